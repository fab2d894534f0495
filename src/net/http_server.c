/* SPDX-License-Identifier: Apache-2.0
 *
 * The HTTP/1.1 server: start, stop, listeners and limits.
 *
 * Why it is our own: libmicrohttpd 0.9.75, the library of choice otherwise, was tried. Even in its
 * strict mode it accepts lines that end in a bare LF (in the framing of chunks, too),
 * Content-Length together with Transfer-Encoding, two Content-Lengths, folded headers, blanks
 * before a colon and two Hosts, each of which lets a proxy in front see other requests than we do;
 * and it cannot answer in the middle of an upload. What we keep instead: a parser that refuses
 * whatever is ambiguous, in two pure files (http_parse.c, http_chunk.c) that are fuzzed.
 *
 * Files: http_accept.c takes connections, http_loop.c waits for events and deadlines, http_conn.c
 * is a connection's life, http_body.c receives, http_answer.c and http_send.c answer, http_pool.c
 * has the workers, http_buffer.c the memory of requests, http_tls.c TLS, http_query.c the queries.
 */
#include <errno.h>
#include <netdb.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "net/http_int.h"

#define FILES_SPARE 64u /* descriptors for the log, the database, epoll and the like */

static void defaults(struct http_options *o)
{
#define DEFAULT(field, value) o->field = o->field == 0 ? (value) : o->field
    DEFAULT(loops, 2);
    DEFAULT(workers, 32);
    DEFAULT(connections_max, 10000);
    DEFAULT(connections_per_address_max, o->connections_max);
    DEFAULT(header_bytes_max, 32 * KIB);
    DEFAULT(path_bytes_max, 8 * KIB);
    DEFAULT(header_count_max, 100);
    DEFAULT(arena_bytes_max, 1 * MIB);
    DEFAULT(header_timeout_ms, 15 * CLOCK_SECOND_MS);
    DEFAULT(idle_timeout_ms, 120 * CLOCK_SECOND_MS);
    DEFAULT(body_timeout_ms, 60 * CLOCK_SECOND_MS);
    DEFAULT(send_timeout_ms, 60 * CLOCK_SECOND_MS);
    DEFAULT(linger_timeout_ms, 10 * CLOCK_SECOND_MS);
    DEFAULT(sink_bytes, 1 * MIB);
#undef DEFAULT
}

/* A connection is a descriptor, and every fourth may have a file open. */
static void fit_to_files(struct http_options *o)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return;
    if (limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
        if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
            return;
    }
    uint64_t files = limit.rlim_cur > FILES_SPARE ? (uint64_t)limit.rlim_cur - FILES_SPARE : 1;
    uint64_t most = MAX(files * 4 / 5, (uint64_t)1);
    if (most >= o->connections_max)
        return;
    log_event(LOG_WARN, "fewer connections than configured: the limit of open files is too low",
              LOG_INT("configured", o->connections_max), LOG_INT("connections", most),
              LOG_INT("open_files", limit.rlim_cur));
    o->connections_max = (unsigned)most;
}

/* ---- listeners ---------------------------------------------------------------------------- */

/* "host:port", "[ipv6]:port" or ":port" (all addresses). */
static bool split_address(const char *text, char *host, size_t host_size, char *port,
                          size_t port_size)
{
    str before;
    str after;
    if (!str_cut_last(str_of(text), ':', &before, &after) || after.len == 0)
        return false;
    if (str_starts(before, STR("[")) && str_ends(before, STR("]")))
        before = str_slice(before, 1, before.len - 1);
    return str_copy(before, host, host_size) && str_copy(after, port, port_size);
}

static void name_listener(struct http_listener *l)
{
    struct sockaddr_storage a;
    socklen_t len = sizeof(a);
    char host[64] = "";
    char port[16] = "";
    if (getsockname(l->fd, (struct sockaddr *)&a, &len) == 0)
        (void)getnameinfo((struct sockaddr *)&a, len, host, sizeof(host), port, sizeof(port),
                          NI_NUMERICHOST | NI_NUMERICSERV);
    (void)snprintf(l->text, sizeof(l->text), strchr(host, ':') != NULL ? "[%s]:%s" : "%s:%s", host,
                   port);
}

static enum st bind_one(const struct addrinfo *a, bool all, int *out)
{
    int on = 1;
    int only6 = !all;
    int fd = socket(a->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return ST_IO;
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (a->ai_family == AF_INET6)
        (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &only6, sizeof(only6));
    if (bind(fd, a->ai_addr, a->ai_addrlen) == 0 && listen(fd, SOMAXCONN) == 0) {
        *out = fd;
        return ST_OK;
    }
    int code = errno;
    (void)close(fd);
    errno = code;
    return ST_IO;
}

static enum st listener_open(struct http_listener *l, const char *text, struct err *err)
{
    char host[256];
    char port[16];
    if (!split_address(text, host, sizeof(host), port, sizeof(port)))
        return err_set(err, ST_INVALID, "the address to listen on must be host:port: %s", text);
    bool all = host[0] == '\0';
    struct addrinfo hints = { .ai_socktype = SOCK_STREAM,
                              .ai_family = AF_UNSPEC,
                              .ai_flags = AI_PASSIVE | AI_NUMERICSERV };
    struct addrinfo *found = NULL;
    int code = getaddrinfo(all ? "::" : host, port, &hints, &found);
    if (code != 0)
        return err_set(err, ST_INVALID, "listening on %s: %s", text, gai_strerror(code));
    enum st st = bind_one(found, all, &l->fd);
    if (st != ST_OK && all && errno == EAFNOSUPPORT) { /* a kernel without IPv6 */
        freeaddrinfo(found);
        found = NULL;
        code = getaddrinfo("0.0.0.0", port, &hints, &found);
        st = code == 0 ? bind_one(found, all, &l->fd) : ST_IO;
    }
    if (st != ST_OK)
        st = err_sys(err, "listening on %s", text);
    else
        name_listener(l);
    if (found != NULL)
        freeaddrinfo(found);
    return st;
}

static enum st listeners_open(struct http_server *s, const struct http_options *o, struct err *err)
{
    s->listeners = mem_new(MAX(o->listen_count, (size_t)1) * sizeof(s->listeners[0]));
    if (s->listeners == NULL)
        return err_no_memory(err);
    for (size_t i = 0; i < o->listen_count; i++) {
        enum st st = listener_open(&s->listeners[i], o->listen[i], err);
        if (st != ST_OK)
            return st;
        s->listener_count++;
    }
    return ST_OK;
}

/* ---- start and stop ----------------------------------------------------------------------- */

static enum st start(struct http_server *s, const struct http_options *o, struct err *err)
{
    enum st st = listeners_open(s, o, err);
    if (st == ST_OK && o->tls_cert != NULL)
        st = http_tls_open(o->tls_cert, o->tls_key, &s->tls, err);
    if (st == ST_OK)
        st = http_addresses_init(&s->addresses, err);
    if (st == ST_OK)
        st = http_pool_start(&s->pool, s->o.workers, err);
    if (st != ST_OK)
        return st;
    s->loops = mem_new(s->o.loops * sizeof(s->loops[0]));
    if (s->loops == NULL)
        return err_no_memory(err);
    for (unsigned i = 0; st == ST_OK && i < s->o.loops; i++)
        st = http_loop_init(&s->loops[i], s, err);
    for (unsigned i = 0; st == ST_OK && i < s->o.loops; i++)
        st = http_loop_start(&s->loops[i], err);
    return st;
}

enum st http_server_start(const struct http_options *options, const struct http_app *app,
                          struct http_server **out, struct err *err)
{
    struct http_server *s = mem_new(sizeof(*s));
    if (s == NULL)
        return err_no_memory(err);
    s->o = *options;
    s->app = *app;
    s->app_headers = str_of(app->headers);
    defaults(&s->o);
    fit_to_files(&s->o);
    s->limits = (struct http_head_limits){ s->o.header_bytes_max, s->o.path_bytes_max,
                                           s->o.header_count_max };
    enum st st = start(s, options, err);
    if (st != ST_OK) {
        http_server_stop(s, 0);
        return st;
    }
    *out = s;
    return ST_OK;
}

str http_server_address(const struct http_server *s, size_t i)
{
    return i < s->listener_count ? str_of(s->listeners[i].text) : STR_NONE;
}

enum st http_server_reload_tls(struct http_server *s, struct err *err)
{
    return s->tls == NULL ? ST_OK : http_tls_reload(s->tls, err);
}

void http_server_stop(struct http_server *s, int64_t grace_ms)
{
    atomic_store(&s->stop_at_ms, clock_mono_ms() + MAX(grace_ms, (int64_t)0));
    atomic_store(&s->stopping, true);
    for (unsigned i = 0; s->loops != NULL && i < s->o.loops; i++)
        if (s->loops[i].started)
            http_loop_wake(&s->loops[i]);
    for (unsigned i = 0; s->loops != NULL && i < s->o.loops; i++)
        if (s->loops[i].started)
            (void)pthread_join(s->loops[i].thread, NULL);
    if (s->pool.threads != NULL)
        http_pool_stop(&s->pool);
    for (unsigned i = 0; s->loops != NULL && i < s->o.loops; i++)
        if (s->loops[i].server != NULL)
            http_loop_release(&s->loops[i]);
    mem_free(s->loops);
    http_addresses_release(&s->addresses);
    http_tls_close(s->tls);
    for (size_t i = 0; i < s->listener_count; i++)
        (void)close(s->listeners[i].fd);
    mem_free(s->listeners);
    mem_free(s);
}

/* ---- reading headers ---------------------------------------------------------------------- */

static str text_of(const struct http_exchange *x, struct http_span span)
{
    return (str){ x->in + span.at, span.len };
}

str http_header(const struct http_request *rq, const char *name)
{
    const struct http_exchange *x = (const struct http_exchange *)(const void *)rq;
    str wanted = str_of(name);
    for (unsigned i = 0; i < x->head.field_count; i++)
        if (str_eq_nocase(text_of(x, x->fields[i].name), wanted))
            return text_of(x, x->fields[i].value);
    return STR_NONE;
}

unsigned http_header_count(const struct http_request *rq, const char *name)
{
    const struct http_exchange *x = (const struct http_exchange *)(const void *)rq;
    str wanted = str_of(name);
    unsigned count = 0;
    for (unsigned i = 0; i < x->head.field_count; i++)
        count += str_eq_nocase(text_of(x, x->fields[i].name), wanted);
    return count;
}
