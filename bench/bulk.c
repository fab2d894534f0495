/* SPDX-License-Identifier: Apache-2.0
 *
 * bulk - large blobs: `put` and `fetch` over HTTP, and what bounds them on this machine: `write`
 * (the same bytes into a file, fsync) and `hash` (SHA-256 of the same bytes).
 *
 * A body is sent with sendfile() from memory and an answer is discarded by the kernel (MSG_TRUNC),
 * so that the generator takes little of the machine. --copy reads answers into memory as a client
 * would.
 */
#include "content.h"
#include "stats.h"
#include "wire.h"

#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <unistd.h>

struct stream {
    pthread_t thread;
    unsigned number;
    struct stats stats;
    int fd;
    char tail[CONTENT_TAIL];
    char digest[CONTENT_DIGEST_SIZE];
};

static struct content content;

static void run_streams(void *(*fn)(void *), bool prepare)
{
    struct stream *all = mem_new(sizeof(*all) * options.connections);
    EVP_MD_CTX *digest = EVP_MD_CTX_new();
    uint64_t random = options.seed;
    static struct stats sum;
    if (!all || !digest)
        die("out of memory");
    for (unsigned i = 0; i < options.connections; i++) {
        all[i].number = i;
        all[i].fd = wire_connect(0, false);
        if (all[i].fd < 0)
            die("cannot connect to %s: %s", options.host, strerror(errno));
        if (prepare)
            content_next(&content, digest, &random, all[i].tail, all[i].digest);
    }
    struct cpu load = cpu_self();
    struct cpu server = cpu_of_pid(options.pid);
    double machine = cpu_of_machine();
    int64_t begin = stats_now_ns();
    for (unsigned i = 0; i < options.connections; i++)
        if (pthread_create(&all[i].thread, NULL, fn, &all[i]) != 0)
            die("cannot start a thread");
    for (unsigned i = 0; i < options.connections; i++) {
        pthread_join(all[i].thread, NULL);
        stats_merge(&sum, &all[i].stats);
    }
    double seconds = (double)(stats_now_ns() - begin) / 1e9;
    size_t extra_size = 64 + options.connections * (CONTENT_DIGEST_SIZE + 4);
    char *extra = mem_new(extra_size);
    if (!extra)
        die("out of memory");
    int n = snprintf(extra, extra_size, ",\"mb_per_s\":%.1f,\"digests\":[",
                     (double)(sum.bytes_in + sum.bytes_out) / 1e6 / seconds);
    for (unsigned i = 0; prepare && i < options.connections; i++)
        n += snprintf(extra + n, extra_size - (size_t)n, "%s\"%s\"", i ? "," : "", all[i].digest);
    snprintf(extra + n, extra_size - (size_t)n, "]");
    result_print(&sum, seconds, cpu_minus(cpu_self(), load),
                 cpu_minus(cpu_of_pid(options.pid), server), cpu_of_machine() - machine, extra);
    EVP_MD_CTX_free(digest);
    mem_free(extra);
    mem_free(all);
}

static bool send_pattern(int fd, uint64_t length)
{
    for (uint64_t done = 0; done < length;) {
        off_t at = (off_t)(done % CONTENT_PATTERN);
        size_t want = (size_t)MIN(length - done, CONTENT_PATTERN - (uint64_t)at);
        ssize_t n = sendfile(fd, content.fd, &at, want);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        done += (uint64_t)n;
    }
    return true;
}

static void *put_stream(void *arg)
{
    struct stream *s = arg;
    char location[WIRE_LOCATION_MAX];
    char head[WIRE_LOCATION_MAX + 512];
    int64_t begin = stats_now_ns();
    wire_upload_begin(s->fd, options.repo, location);
    int64_t posted = stats_now_ns();
    stats_latency(&s->stats, KIND_POST, posted - begin);
    int n = snprintf(head, sizeof(head),
                     "PUT %s%cdigest=%s HTTP/1.1\r\nHost: %s\r\n"
                     "Content-Type: application/octet-stream\r\nContent-Length: %llu\r\n\r\n",
                     location, strchr(location, '?') ? '&' : '?', s->digest, options.host,
                     (unsigned long long)content.size);
    wire_send(s->fd, head, (size_t)n);
    bool sent = send_pattern(s->fd, content.prefix) &&
                send(s->fd, s->tail, CONTENT_TAIL, MSG_NOSIGNAL) == CONTENT_TAIL;
    int code = wire_answer_read(s->fd, NULL, NULL);
    s->stats.requests += 2;
    s->stats.bytes_out += content.size;
    stats_latency(&s->stats, KIND_PUT, stats_now_ns() - posted);
    if (!sent || code != 201)
        stats_error(&s->stats, "a blob was answered with %d instead of 201", code);
    return NULL;
}

void work_put(void)
{
    content_init(&content, options.size);
    run_streams(put_stream, true);
}

/* Reads and drops `length` bytes. */
static bool drop_body(int fd, uint64_t length, char *buf, size_t buf_size)
{
    while (length > 0) {
        size_t want = (size_t)MIN(length, options.copy ? buf_size : 4 * MIB);
        ssize_t n = recv(fd, buf, want, options.copy ? 0 : MSG_TRUNC | MSG_WAITALL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        length -= (uint64_t)n;
    }
    return true;
}

static void fetch_one(struct stream *s, char *buf, size_t buf_size)
{
    struct wire_answer a = { 0 };
    const char *path =
        options.path_count ? options.paths[s->number % options.path_count] : options.path;
    size_t len = 0;
    ssize_t head = 0;
    int64_t begin = stats_now_ns();
    int n = snprintf(buf, buf_size, "GET %s HTTP/1.1\r\nHost: %s\r\n\r\n", path, options.host);
    wire_send(s->fd, buf, (size_t)n);
    while (head == 0 && len < 16384) {
        ssize_t got = recv(s->fd, buf + len, 16384 - len, 0);
        if (got <= 0)
            break;
        len += (size_t)got;
        head = wire_parse(buf, len, &a);
    }
    s->stats.requests++;
    uint64_t came = len - (size_t)MAX(head, 0);
    if (head <= 0 || a.code != 200 || a.chunked || came > a.length ||
        !drop_body(s->fd, a.length - came, buf, buf_size)) {
        stats_error(&s->stats, "%d or a cut body for %s", a.code, path);
        return;
    }
    s->stats.bytes_in += a.length;
    stats_latency(&s->stats, KIND_GET, stats_now_ns() - begin);
}

static void *fetch_stream(void *arg)
{
    struct stream *s = arg;
    size_t buf_size = 256 * 1024;
    char *buf = mem_new(buf_size);
    if (!buf)
        die("out of memory");
    for (uint64_t i = 0; i < MAX(options.count, 1) && s->stats.errors == 0; i++)
        fetch_one(s, buf, buf_size);
    mem_free(buf);
    return NULL;
}

void work_fetch(void)
{
    run_streams(fetch_stream, false);
}

void work_write(void)
{
    content_init(&content, options.size);
    static struct stats stats;
    unlink(options.file);
    struct cpu load = cpu_self();
    double machine = cpu_of_machine();
    int64_t begin = stats_now_ns();
    int fd = open(options.file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        die("cannot write %s: %s", options.file, strerror(errno));
    for (uint64_t done = 0; done < options.size;) {
        size_t at = (size_t)(done % CONTENT_PATTERN);
        size_t want = (size_t)MIN(options.size - done, MIN(MIB, CONTENT_PATTERN - at));
        ssize_t n = write(fd, content.pattern + at, want);
        if (n <= 0)
            die("cannot write %s: %s", options.file, strerror(errno));
        done += (uint64_t)n;
    }
    if (fsync(fd) != 0 || close(fd) != 0)
        die("cannot sync %s: %s", options.file, strerror(errno));
    double seconds = (double)(stats_now_ns() - begin) / 1e9;
    struct cpu used = cpu_minus(cpu_self(), load);
    char extra[64];
    snprintf(extra, sizeof(extra), ",\"mb_per_s\":%.1f", (double)options.size / 1e6 / seconds);
    stats.bytes_out = options.size;
    result_print(&stats, seconds, used, (struct cpu){ 0, 0 }, cpu_of_machine() - machine, extra);
    unlink(options.file);
}

void work_hash(void)
{
    content_init(&content, CONTENT_PATTERN);
    static struct stats stats;
    EVP_MD_CTX *digest = EVP_MD_CTX_new();
    char text[CONTENT_DIGEST_SIZE];
    if (!digest || !EVP_DigestInit_ex(digest, EVP_sha256(), NULL))
        die("libcrypto has no SHA-256");
    struct cpu load = cpu_self();
    double machine = cpu_of_machine();
    int64_t begin = stats_now_ns();
    for (uint64_t done = 0; done < options.size;) {
        size_t at = (size_t)(done % CONTENT_PATTERN);
        size_t want = (size_t)MIN(options.size - done, MIN(MIB, CONTENT_PATTERN - at));
        EVP_DigestUpdate(digest, content.pattern + at, want);
        done += want;
    }
    unsigned char sum[EVP_MAX_MD_SIZE];
    EVP_DigestFinal_ex(digest, sum, NULL);
    double seconds = (double)(stats_now_ns() - begin) / 1e9;
    snprintf(text, sizeof(text), ",\"mb_per_s\":%.1f", (double)options.size / 1e6 / seconds);
    stats.bytes_in = options.size;
    result_print(&stats, seconds, cpu_minus(cpu_self(), load), (struct cpu){ 0, 0 },
                 cpu_of_machine() - machine, text);
    EVP_MD_CTX_free(digest);
}
