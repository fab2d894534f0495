/* SPDX-License-Identifier: Apache-2.0 */
#include "loop.h"

#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define DRAIN_NS ((int64_t)30 * 1000000000) /* for requests under way when the time is over */
#define HOPELESS 2000                       /* errors without one success */

static const struct loop_ops *ops;
static atomic_uint_fast64_t taken;
static atomic_int_fast64_t begin_ns; /* of the measurement; 0 while warming up */
static atomic_int_fast64_t end_ns;

static volatile sig_atomic_t told_to_end;

static void conn_next(struct conn *c);

bool loop_take(struct conn *c, uint64_t *index)
{
    if (c->loop->stopping)
        return false;
    *index = atomic_fetch_add(&taken, 1);
    return options.count == 0 || *index < options.count;
}

void loop_head(struct conn *c, enum kind kind, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(c->head, sizeof(c->head), fmt, args);
    va_end(args);
    if (n >= 2 && (size_t)n < sizeof(c->head) && options.authorization)
        n = n - 2 +
            snprintf(c->head + n - 2, sizeof(c->head) - (size_t)n + 2, "Authorization: %s\r\n\r\n",
                     options.authorization);
    if (n < 0 || (size_t)n >= sizeof(c->head))
        die("a request's head is over %d bytes", LOOP_HEAD_MAX);
    c->head_len = (size_t)n;
    c->kind = kind;
    c->bodyless = false;
    c->body_parts = 0;
}

bool loop_expect(struct conn *c, int code)
{
    if (c->answer.code == code)
        return true;
    stats_error(&c->loop->stats, "%d instead of %d for %.*s", c->answer.code, code,
                (int)MIN(c->head_len, 160), c->head);
    return false;
}

static void conn_open(struct conn *c)
{
    c->fd = wire_connect(0, false); /* loopback: connects at once */
    if (c->fd < 0)
        die("cannot connect to %s: %s", options.host, strerror(errno));
    struct epoll_event e = { .events = EPOLLIN, .data.ptr = c };
    if (fcntl(c->fd, F_SETFL, O_NONBLOCK) != 0 ||
        epoll_ctl(c->loop->epoll, EPOLL_CTL_ADD, c->fd, &e))
        die("cannot watch a connection: %s", strerror(errno));
    c->wants_out = false;
    c->used = false;
}

static void conn_finish(struct conn *c)
{
    close(c->fd);
    c->fd = -1;
    c->loop->active--;
}

static void conn_want_out(struct conn *c, bool want)
{
    if (c->wants_out == want)
        return;
    c->wants_out = want;
    struct epoll_event e = { .events = EPOLLIN | (want ? EPOLLOUT : 0u), .data.ptr = c };
    epoll_ctl(c->loop->epoll, EPOLL_CTL_MOD, c->fd, &e);
}

static void request_rewind(struct conn *c)
{
    c->left[0] = (struct iovec){ c->head, c->head_len };
    for (unsigned i = 0; i < c->body_parts; i++)
        c->left[i + 1] = c->body[i];
    c->left_at = 0;
    c->left_count = c->body_parts + 1;
}

static void conn_send(struct conn *c)
{
    while (c->left_at < c->left_count) {
        struct msghdr m = { .msg_iov = c->left + c->left_at,
                            .msg_iovlen = c->left_count - c->left_at };
        ssize_t n = sendmsg(c->fd, &m, MSG_NOSIGNAL);
        if (n < 0 && errno == EAGAIN) {
            conn_want_out(c, true);
            return;
        }
        if (n < 0) {
            /* An answer may have been sent before the close: then reading finds it. */
            if (c->used && c->left_at == 0)
                c->left_at = c->left_count;
            break;
        }
        for (size_t done = (size_t)n; done > 0;) {
            struct iovec *v = &c->left[c->left_at];
            size_t part = MIN(done, v->iov_len);
            v->iov_base = (char *)v->iov_base + part;
            v->iov_len -= part;
            done -= part;
            if (v->iov_len == 0)
                c->left_at++;
        }
        while (c->left_at < c->left_count && c->left[c->left_at].iov_len == 0)
            c->left_at++;
    }
    conn_want_out(c, false);
}

/* The connection broke. */
static void conn_broken(struct conn *c, const char *why)
{
    bool again = c->used && !c->in_body && c->part_len == 0;
    close(c->fd);
    c->in_body = false;
    c->part_len = 0;
    if (again) {
        c->loop->stats.reconnects++;
    } else {
        stats_error(&c->loop->stats, "%s: %.*s", why, (int)MIN(c->head_len, 160), c->head);
        if (c->loop->stats.requests == 0 && c->loop->stats.errors > HOPELESS)
            die("%s", c->loop->stats.first_error);
        if (ops->broken)
            ops->broken(c);
    }
    conn_open(c);
    if (again) {
        request_rewind(c);
        conn_send(c);
    } else {
        conn_next(c);
    }
}

static void request_send(struct conn *c, int64_t begin)
{
    c->begin_ns = begin;
    request_rewind(c);
    conn_send(c);
}

static void conn_next(struct conn *c)
{
    struct loop *l = c->loop;
    if (options.rate > 0 && !l->stopping) {
        if (l->due_ns > stats_now_ns()) {
            c->waits = true;
            c->next_idle = l->idle;
            l->idle = c;
            return;
        }
    }
    if (!ops->next(c)) {
        conn_finish(c);
        return;
    }
    int64_t begin = stats_now_ns();
    if (options.rate > 0) {
        begin = l->due_ns;
        l->due_ns += l->interval_ns;
    }
    request_send(c, begin);
}

static void request_end(struct conn *c)
{
    struct stats *s = &c->loop->stats;
    int64_t now = stats_now_ns();
    s->last_ns = now;
    s->requests++;
    for (unsigned i = 0; i < c->body_parts; i++)
        s->bytes_out += c->body[i].iov_len;
    stats_latency(s, c->kind, now - c->begin_ns);
    c->in_body = false;
    c->used = true;
    bool closed = c->answer.close || c->left_at < c->left_count; /* or answered too early */
    ops->answer(c);
    if (closed) {
        close(c->fd);
        conn_open(c);
        s->reconnects++;
    }
    conn_next(c);
}

/* Keeps what came of a head; the rest is put behind it. */
static void part_keep(struct conn *c, const char *bytes, size_t len)
{
    if (len > 32768)
        die("the head of an answer is over 32 KiB");
    if (!c->part && !(c->part = mem_new(32768)))
        die("out of memory");
    memcpy(c->part, bytes, len);
    c->part_len = len;
}

static void conn_read(struct conn *c)
{
    struct loop *l = c->loop;
    size_t have = c->part_len;
    if (have > 0)
        memcpy(l->buf, c->part, have);
    ssize_t n = recv(c->fd, l->buf + have, sizeof(l->buf) - have, 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        conn_broken(c, n < 0 ? strerror(errno) : "closed");
        return;
    }
    const char *bytes = l->buf;
    size_t len = have + (size_t)n;
    if (!c->in_body) {
        ssize_t head = wire_parse(bytes, len, &c->answer);
        if (head < 0) {
            conn_broken(c, "not HTTP");
            return;
        }
        if (head == 0) {
            part_keep(c, bytes, len);
            return;
        }
        c->part_len = 0;
        c->has_location = c->answer.location && wire_location(&c->answer, c->location);
        if (c->bodyless || c->answer.code == 204 || c->answer.code == 304)
            c->answer.length = 0;
        wire_body_init(&c->rest, &c->answer);
        c->in_body = true;
        bytes += head;
        len -= (size_t)head;
    }
    if (wire_body_eat(&c->rest, bytes, len, &l->stats.bytes_in))
        request_end(c);
}

static void loop_dispatch_due(struct loop *l)
{
    while (l->idle && (l->stopping || l->due_ns <= stats_now_ns())) {
        struct conn *c = l->idle;
        l->idle = c->next_idle;
        c->waits = false;
        conn_next(c);
    }
}

static void loop_wait(struct loop *l)
{
    struct epoll_event events[128];
    int64_t now = stats_now_ns();
    int64_t wait = 100000000;
    if (options.rate > 0 && l->idle)
        wait = MAX(MIN(l->due_ns - now, wait), 0);
    struct timespec ts = { wait / 1000000000, wait % 1000000000 };
    int n = epoll_pwait2(l->epoll, events, ARRAY_LEN(events), &ts, NULL);
    for (int i = 0; i < n; i++) {
        struct conn *c = events[i].data.ptr;
        if (c->fd < 0)
            continue;
        if (c->waits) { /* nothing is expected: the server closed it */
            close(c->fd);
            conn_open(c);
            l->stats.reconnects++;
            continue;
        }
        if (events[i].events & EPOLLOUT)
            conn_send(c);
        if (events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR))
            conn_read(c);
    }
}

static void *loop_run(void *arg)
{
    struct loop *l = arg;
    l->due_ns = stats_now_ns();
    l->measuring = atomic_load(&begin_ns) != 0;
    for (unsigned i = 0; i < l->conn_count; i++) {
        struct conn *c = l->conns[i];
        conn_open(c);
        l->active++;
        if (ops->open)
            ops->open(c);
        conn_next(c);
    }
    while (l->active > 0) {
        loop_wait(l);
        int64_t now = stats_now_ns();
        if (!l->measuring && atomic_load(&begin_ns) != 0) {
            l->measuring = true;
            stats_clear(&l->stats);
        }
        if (told_to_end && !l->stopping)
            atomic_store(&end_ns, now - 1);
        int64_t end = atomic_load(&end_ns);
        if (end != 0 && now > end)
            l->stopping = true;
        if (end != 0 && now > end + DRAIN_NS) {
            stats_error(&l->stats, "%u requests were not answered within 30 s", l->active);
            break;
        }
        if (options.rate > 0)
            loop_dispatch_due(l);
    }
    return NULL;
}

static struct loop *loop_new(unsigned number)
{
    struct loop *l = mem_new(sizeof(*l));
    if (!l || !(l->conns = mem_new(sizeof(struct conn *) * options.connections)))
        die("out of memory");
    l->random = options.seed * 1000003 + number;
    l->digest = EVP_MD_CTX_new();
    l->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (!l->digest || l->epoll < 0)
        die("cannot make an event loop");
    if (options.rate > 0)
        l->interval_ns = (int64_t)(1e9 * options.threads / options.rate);
    return l;
}

static void end_early(int number)
{
    (void)number;
    told_to_end = 1;
}

void work_loop(void)
{
    static struct loop *loops[64];
    static pthread_t threads[64];
    ops = strcmp(options.work, "get") == 0      ? &get_ops
          : strcmp(options.work, "delete") == 0 ? &delete_ops
          : strcmp(options.work, "push") == 0   ? &push_ops
                                                : &fill_ops;
    signal(SIGTERM, end_early);
    if (ops->setup)
        ops->setup();
    for (unsigned i = 0; i < options.threads; i++)
        loops[i] = loop_new(i);
    for (unsigned i = 0; i < options.connections; i++) {
        struct loop *l = loops[i % options.threads];
        struct conn *c = mem_new(sizeof(*c));
        if (!c)
            die("out of memory");
        c->loop = l;
        c->number = i;
        l->conns[l->conn_count++] = c;
    }
    double warm = options.warm_seconds;
    if (warm <= 0)
        atomic_store(&begin_ns, stats_now_ns());
    struct cpu load = cpu_self();
    struct cpu server = cpu_of_pid(options.pid);
    double machine = cpu_of_machine();
    if (warm <= 0 && options.seconds > 0)
        atomic_store(&end_ns, atomic_load(&begin_ns) + (int64_t)(options.seconds * 1e9));
    for (unsigned i = 0; i < options.threads; i++)
        if (pthread_create(&threads[i], NULL, loop_run, loops[i]) != 0)
            die("cannot start a thread");
    if (warm > 0) {
        usleep((useconds_t)(warm * 1e6));
        load = cpu_self();
        server = cpu_of_pid(options.pid);
        machine = cpu_of_machine();
        int64_t now = stats_now_ns();
        atomic_store(&end_ns, now + (int64_t)(options.seconds * 1e9));
        atomic_store(&begin_ns, now);
    }
    static struct stats sum;
    for (unsigned i = 0; i < options.threads; i++) {
        pthread_join(threads[i], NULL);
        stats_merge(&sum, &loops[i]->stats);
    }
    char extra[128] = "";
    double seconds = (double)(sum.last_ns - atomic_load(&begin_ns)) / 1e9;
    uint64_t images = sum.latency[KIND_IMAGE].count;
    if (images > 0)
        snprintf(extra, sizeof(extra), ",\"images\":%llu,\"image_rate\":%.2f",
                 (unsigned long long)images, (double)images / seconds);
    result_print(&sum, seconds, cpu_minus(cpu_self(), load),
                 cpu_minus(cpu_of_pid(options.pid), server), cpu_of_machine() - machine, extra);
}
