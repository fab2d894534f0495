/* SPDX-License-Identifier: Apache-2.0 */
#include "http_fixture.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/lock.h"

struct app_seen app;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static int file = -1;

#define CHANGE(statement)                                                                          \
    do {                                                                                           \
        pthread_mutex_lock(&mutex);                                                                \
        statement;                                                                                 \
        pthread_cond_broadcast(&changed);                                                          \
        pthread_mutex_unlock(&mutex);                                                              \
    } while (0)

void app_reset(void)
{
    CHANGE(app = (struct app_seen){ 0 });
}

bool app_wait(bool (*ready)(const struct app_seen *seen))
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += 10;
    pthread_mutex_lock(&mutex);
    bool done = ready(&app);
    while (!done && pthread_cond_timedwait(&changed, &mutex, &until) == 0)
        done = ready(&app);
    pthread_mutex_unlock(&mutex);
    return done;
}

void app_let_go(void)
{
    CHANGE(app.go = true);
}

/* ---- handlers ----------------------------------------------------------------------------- */

/* What an earlier server's last request still does is not counted. */
static _Atomic uintptr_t newest;

static void released(void *arg)
{
    if ((uintptr_t)arg == newest)
        CHANGE(app.released++);
}

static void hello(struct http_request *rq)
{
    http_on_end(rq, released, rq->app_ctx);
    http_answer(rq, 200);
    http_answer_header(rq, "Content-Type", STR("text/plain"));
    http_answer_bytes(rq, STR("hello"));
}

static void echo(struct http_request *rq)
{
    http_answer(rq, 200);
    http_answer_bytes(rq, rq->body);
}

static void query(struct http_request *rq)
{
    str value = STR("absent");
    (void)http_query(rq, "q", &value);
    http_answer(rq, 200);
    http_answer_bytes(rq, value);
}

static void send_file(struct http_request *rq)
{
    unsigned long long offset = 0;
    unsigned long long length = FILE_BYTES;
    char *path = arena_cstr(&rq->arena, rq->path);
    assert_true(path != NULL);
    (void)sscanf(path, "/file/%llu/%llu", &offset, &length);
    http_answer(rq, 200);
    http_answer_bytes(rq, STR("<"));
    http_answer_file(rq, file, offset, length);
    http_answer_bytes(rq, STR(">"));
}

static void send_short(struct http_request *rq)
{
    http_answer(rq, 200);
    http_answer_file(rq, file, FILE_BYTES - 10, 1000);
}

static void block(struct http_request *rq)
{
    pthread_mutex_lock(&mutex);
    app.blocked++;
    pthread_cond_broadcast(&changed);
    while (!app.go)
        pthread_cond_wait(&changed, &mutex);
    pthread_mutex_unlock(&mutex);
    hello(rq);
}

static void none(struct http_request *rq)
{
    (void)rq;
}

static void fill_arena(struct http_request *rq)
{
    while (arena_alloc(&rq->arena, 100) != NULL)
        continue;
    http_answer(rq, 200);
    char value[900];
    memset(value, 'v', sizeof(value));
    http_answer_header(rq, "X-Large", (str){ value, sizeof(value) });
}

static void split(struct http_request *rq)
{
    http_answer(rq, 200);
    http_answer_header(rq, "X-Split", STR("a\r\nSet-Cookie: b"));
}

static void sink_begin(struct http_request *rq)
{
    http_on_end(rq, released, rq->app_ctx);
    CHANGE(app.begun++; app.bytes = 0; app.adds = 0);
    if (str_starts(rq->path, STR("/no"))) {
        http_answer(rq, 413);
        http_answer_bytes(rq, STR("no room"));
    }
}

static void sink_add(struct http_request *rq, const void *bytes, size_t len)
{
    static uint64_t sum;
    if (app.bytes == 0)
        sum = 0;
    for (size_t i = 0; i < len; i++)
        sum = sum * 31 + ((const unsigned char *)bytes)[i];
    rq->state = &sum;
    CHANGE(app.bytes += len; app.adds++);
    if (str_starts(rq->path, STR("/mid"))) {
        http_answer(rq, 400);
        http_answer_bytes(rq, STR("bad bytes"));
    }
}

static void sink_end(struct http_request *rq, bool complete)
{
    uint64_t sum = rq->state == NULL ? 0 : *(uint64_t *)rq->state;
    http_answer(rq, 201);
    http_answer_bytes(rq, arena_printf(&rq->arena, "%llu %llu", (unsigned long long)app.bytes,
                                       (unsigned long long)sum));
    CHANGE(app.ended++; app.complete = complete);
}

static const struct http_sink sink = { sink_begin, sink_add, sink_end };

static const struct http_route routes[] = {
    { "hello", false, 1 * MIB, hello, NULL },
    { "work", true, 1 * MIB, hello, NULL },
    { "echo", true, 1 * MIB, echo, NULL },
    { "sink", true, 1 * GIB, NULL, &sink },
    { "no", true, 1 * GIB, NULL, &sink },
    { "mid", true, 1 * GIB, NULL, &sink },
    { "file", false, 1 * MIB, send_file, NULL },
    { "short", false, 1 * MIB, send_short, NULL },
    { "block", true, 1 * MIB, block, NULL },
    { "none", false, 1 * MIB, none, NULL },
    { "arena", true, 1 * MIB, fill_arena, NULL },
    { "split", false, 1 * MIB, split, NULL },
    { "small", true, 10, echo, NULL },
    { "query", false, 0, query, NULL },
    { "tight", true, 100000, NULL, &sink },
};

static const struct http_route *route(struct http_request *rq)
{
    str name = str_slice(rq->path, 1, rq->path.len);
    str rest;
    (void)str_cut(name, '/', &name, &rest);
    for (size_t i = 0; i < ARRAY_LEN(routes); i++)
        if (str_eq(name, str_of(routes[i].name)))
            return &routes[i];
    return &routes[0];
}

static void refuse(struct http_request *rq, const struct http_refusal *why)
{
    CHANGE((void)snprintf(app.last_reason, sizeof(app.last_reason), "%s", why->reason));
    http_answer(rq, why->code);
    http_answer_header(rq, "X-Reason", str_of(why->reason));
    http_answer_bytes(rq, arena_printf(&rq->arena, "%s\n", why->text));
}

static void done(struct http_request *rq, const struct http_outcome *outcome)
{
    if ((uintptr_t)rq->app_ctx == newest)
        CHANGE(app.done++; app.outcome = *outcome);
}

const struct http_app test_app = { route, refuse, done, NULL, "X-App: test\r\n" };

static void make_file(void)
{
    FILE *f = tmpfile();
    assert_non_null(f);
    for (size_t i = 0; i < FILE_BYTES; i++)
        (void)putc((int)(i % 251), f);
    assert_int_equal(fflush(f), 0);
    file = fileno(f); /* lives as long as the test */
}

struct http_server *server_start(const struct http_options *given)
{
    static const char *const listen[] = { "127.0.0.1:0" };
    struct http_options o = given == NULL ? (struct http_options){ 0 } : *given;
    struct http_server *s = NULL;
    struct err err;
    if (file < 0)
        make_file();
    o.listen = listen;
    o.listen_count = 1;
    o.workers = o.workers == 0 ? 4 : o.workers;
    struct http_app mine = test_app;
    mine.ctx = (void *)++newest;
    app_reset();
    if (http_server_start(&o, &mine, &s, &err) != ST_OK)
        fail_msg("%s", err.text);
    return s;
}

/* ---- the client --------------------------------------------------------------------------- */

int client_open(const struct http_server *s)
{
    str host;
    str port;
    uint64_t number = 0;
    assert_true(str_cut_last(http_server_address(s, 0), ':', &host, &port));
    assert_true(str_to_u64(port, 65535, &number));
    struct sockaddr_in a = { .sin_family = AF_INET,
                             .sin_port = htons((uint16_t)number),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    struct timeval patience = { .tv_sec = 10 };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
    return fd;
}

bool client_try_send(int fd, const void *bytes, size_t len)
{
    for (size_t at = 0; at < len;) {
        ssize_t n = send(fd, (const char *)bytes + at, len - at, MSG_NOSIGNAL);
        if (n <= 0)
            return false;
        at += (size_t)n;
    }
    return true;
}

void client_send_bytes(int fd, const void *bytes, size_t len)
{
    assert_true(client_try_send(fd, bytes, len));
}

void client_send(int fd, const char *text)
{
    client_send_bytes(fd, text, strlen(text));
}

void reply_free(struct reply *r)
{
    free(r->body);
    r->body = NULL;
}

static bool read_head(int fd, struct reply *r)
{
    size_t len = 0;
    r->code = 0;
    do { /* a byte at a time: what follows belongs to the next answer */
        if (len + 1 == sizeof(r->head) || recv(fd, r->head + len, 1, 0) != 1)
            return false;
        r->head[++len] = '\0';
    } while (len < 4 || memcmp(r->head + len - 4, "\r\n\r\n", 4) != 0);
    return sscanf(r->head, "HTTP/1.1 %d ", &r->code) == 1;
}

bool client_reply(int fd, struct reply *r, bool head_only)
{
    reply_free(r);
    r->body_len = 0;
    if (!read_head(fd, r))
        return false;
    const char *length = strstr(r->head, "\r\nContent-Length: ");
    size_t len = length == NULL || head_only ? 0 : strtoul(length + 18, NULL, 10);
    r->body = calloc(1, len + 1);
    assert_non_null(r->body);
    while (r->body_len < len) {
        ssize_t n = recv(fd, r->body + r->body_len, len - r->body_len, 0);
        if (n <= 0)
            return false;
        r->body_len += (size_t)n;
    }
    return true;
}

char *client_rest(int fd)
{
    size_t len = 0;
    size_t size = 65536;
    char *all = calloc(1, size);
    assert_non_null(all);
    for (;;) {
        ssize_t n = recv(fd, all + len, size - len - 1, 0);
        if (n < 0 && errno != ECONNRESET)
            fail_msg("the server neither answered nor closed");
        if (n <= 0)
            return all;
        len += (size_t)n;
        assert_true(len + 1 < size);
        all[len] = '\0';
    }
}

bool client_closed(int fd)
{
    char byte;
    return recv(fd, &byte, 1, 0) == 0;
}
