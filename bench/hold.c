/* SPDX-License-Identifier: Apache-2.0
 *
 * hold - connections that cost the server something while others are measured: `idle` keep-alive
 * connections, and `slow` uploads and downloads.
 *
 * Both print {"ready":…} when everything is open, hold until their input ends, and then print the
 * result with what the server had closed by itself.
 */
#include "stats.h"
#include "wire.h"

#include "base/mem.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#define TICK_MS 50
#define EACH_MS 500 /* a slow connection moves this often */

struct held {
    int fd;
    bool upload;
};

static struct held *held;
static unsigned held_count;
static struct stats stats;

/* Waits at most `ms`; false when the input is over. */
static bool input_open(int ms)
{
    struct pollfd p = { .fd = STDIN_FILENO, .events = POLLIN };
    char drop[256];
    if (poll(&p, 1, ms) <= 0)
        return true;
    return read(STDIN_FILENO, drop, sizeof(drop)) > 0;
}

static void open_all(unsigned count)
{
    held = mem_new(sizeof(*held) * MAX(count, 1));
    if (!held)
        die("out of memory");
    for (unsigned i = 0; i < count; i++) {
        held[i].fd = wire_connect(options.sources ? 1 + i % options.sources : 0, false);
        if (held[i].fd < 0)
            die("connection %u of %u: %s", i + 1, count, strerror(errno));
        held_count++;
    }
}

static void ready(void)
{
    printf("{\"ready\":%u}\n", held_count);
    fflush(stdout);
}

static void finish(int64_t begin, struct cpu load, struct cpu server, double machine)
{
    unsigned lost = 0;
    for (unsigned i = 0; i < held_count; i++) {
        char c;
        if (held[i].fd < 0) {
            lost++;
            continue;
        }
        ssize_t n = recv(held[i].fd, &c, 1, MSG_PEEK | MSG_DONTWAIT);
        if (n == 0 || (n < 0 && errno != EAGAIN))
            lost++;
        close(held[i].fd);
    }
    char extra[64];
    snprintf(extra, sizeof(extra), ",\"held\":%u,\"lost\":%u", held_count, lost);
    result_print(&stats, (double)(stats_now_ns() - begin) / 1e9, cpu_minus(cpu_self(), load),
                 cpu_minus(cpu_of_pid(options.pid), server), cpu_of_machine() - machine, extra);
}

void work_idle(void)
{
    char head[256];
    int n = snprintf(head, sizeof(head), "GET %s HTTP/1.1\r\nHost: %s\r\n\r\n", options.path,
                     options.host);
    open_all(options.connections);
    for (unsigned i = 0; i < held_count; i++) {
        bool closes = false;
        wire_send(held[i].fd, head, (size_t)n);
        int code = wire_answer_read(held[i].fd, NULL, &closes);
        stats.requests++;
        if (code != 200 || closes)
            stats_error(&stats, "connection %u: %d%s", i, code, closes ? ", closed" : "");
    }
    int64_t begin = stats_now_ns();
    struct cpu load = cpu_self();
    struct cpu server = cpu_of_pid(options.pid);
    double machine = cpu_of_machine();
    ready();
    while (input_open(-1))
        continue;
    finish(begin, load, server, machine);
}

/* An upload or download that goes on for longer than any measurement. */
static void slow_begin(struct held *h)
{
    char location[WIRE_LOCATION_MAX];
    char head[WIRE_LOCATION_MAX + 512];
    int n;
    if (h->upload) {
        wire_upload_begin(h->fd, options.repo, location);
        n = snprintf(head, sizeof(head),
                     "PATCH %s HTTP/1.1\r\nHost: %s\r\nContent-Type: application/octet-stream\r\n"
                     "Content-Length: %llu\r\n\r\n",
                     location, options.host, (unsigned long long)options.size);
    } else {
        int small = 4096;
        setsockopt(h->fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
        n = snprintf(head, sizeof(head), "GET %s HTTP/1.1\r\nHost: %s\r\n\r\n", options.path,
                     options.host);
    }
    wire_send(h->fd, head, (size_t)n);
}

static void slow_move(struct held *h)
{
    static char buf[65536];
    size_t n = MIN((size_t)options.slow_rate * EACH_MS / 1000, sizeof(buf));
    ssize_t moved = h->upload ? send(h->fd, buf, n, MSG_DONTWAIT | MSG_NOSIGNAL)
                              : recv(h->fd, buf, n, MSG_DONTWAIT);
    if (moved > 0 && h->upload)
        stats.bytes_out += (uint64_t)moved;
    else if (moved > 0)
        stats.bytes_in += (uint64_t)moved;
    else if (moved == 0 || errno != EAGAIN) {
        stats_error(&stats, "a slow %s was ended by the server", h->upload ? "upload" : "download");
        close(h->fd);
        h->fd = -1;
    }
}

void work_slow(void)
{
    open_all(options.uploads + options.downloads);
    for (unsigned i = 0; i < held_count; i++) {
        held[i].upload = i < options.uploads;
        slow_begin(&held[i]);
    }
    int64_t begin = stats_now_ns();
    struct cpu load = cpu_self();
    struct cpu server = cpu_of_pid(options.pid);
    double machine = cpu_of_machine();
    ready();
    unsigned groups = EACH_MS / TICK_MS;
    for (unsigned tick = 0; input_open(TICK_MS); tick++)
        for (unsigned i = tick % groups; i < held_count; i += groups)
            if (held[i].fd >= 0)
                slow_move(&held[i]);
    finish(begin, load, server, machine);
}
