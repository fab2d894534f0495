/* SPDX-License-Identifier: Apache-2.0
 *
 * A connection's life on its loop.
 *
 *              ┌────────────────────── keep alive ─────────────────────────┐
 *              ▼                                                           │
 *  NEW ─▶ SHAKE ─▶ IDLE ─▶ HEADING ─┬─▶ BODY ─┬─▶ (handle) ─┬─▶ SEND ─┬────┤
 *         (TLS)                     ├─────────┘     │       │         ├─▶ DRAIN (a small rest of
 *                                   │              WORK ────┤         │    an unwanted body)
 *                                   ├─▶ SINK ───────────────┤         ├─▶ LINGER ─▶ CLOSED
 *                                   └─▶ (refused) ──────────┘         └───────────▶ CLOSED
 *
 * Events: input and output set `readable` and `writable` and run http_conn_step(), which goes on
 * until the state has to wait; a worker's return (http_conn_job_done) and an expired deadline
 * (http_conn_expired) enter from the side. epoll is edge-triggered and armed once, so a request
 * costs one recv() and one send.
 *
 * Invariants:
 *  1. No input is read in WORK and SEND: a client that pipelines waits.
 *  2. A request that began (x->begun) ends exactly once, in request_end().
 *  3. While a worker has the request (x->job_out) the connection may lose its socket (fd < 0) but
 *     is freed only after the worker gave it back; a sink whose begin() ran hears end(false) first.
 *  4. After a refusal nothing that follows on the connection is parsed.
 *
 * A crash loses what is under way here and nothing else: no state of this file is stored.
 */
#include <errno.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "net/http_int.h"

static const struct http_refusal head_slow = { 408, "header-timeout",
                                               "The request's headers did not come in time." };
static const struct http_refusal too_large = { 413, "body-bytes",
                                               "The request's body is too large." };
static const struct http_refusal bad_expect = { 417, "expect",
                                                "Only 100-continue can be expected." };
static const struct http_refusal no_answer = { 500, "no-answer", "The request was not answered." };
static const struct http_refusal no_memory = { 500, "memory",
                                               "The request needs more memory than "
                                               "it may have." };
static const struct http_refusal no_buffer = { 503, "memory",
                                               "There is no memory for this request." };

ssize_t http_conn_recv(struct http_conn *c, void *bytes, size_t len)
{
    ssize_t n;
    if (c->tls != NULL) {
        n = http_tls_recv(c->tls, bytes, len);
    } else {
        do {
            n = recv(c->fd, bytes, len, MSG_DONTWAIT);
        } while (n < 0 && errno == EINTR);
        if (n < 0)
            n = errno == EAGAIN || errno == EWOULDBLOCK ? HTTP_IO_WAIT : HTTP_IO_ERROR;
        /* Less than asked for: the socket is empty, the next byte raises an event. The end of
         * input raises none when it was there already. */
        if (n > 0 && (size_t)n < len && !c->hung_up)
            c->readable = false;
    }
    if (n == HTTP_IO_WAIT)
        c->readable = false;
    if (n > 0)
        c->loop->bytes_in += n;
    return n;
}

/* ---- a request's beginning and end -------------------------------------------------------- */

static str text_of(const struct http_exchange *x, struct http_span span)
{
    return (str){ x->in + span.at, span.len };
}

static void make_id(struct http_exchange *x)
{
    static const char digits[] = "0123456789abcdef";
    uint64_t n = x->conn->loop->id_next++;
    for (size_t i = sizeof(x->id); i-- > 0; n >>= 4)
        x->id[i] = digits[n & 15];
}

/* Fills the request from what could be parsed: all of it, or the request line, or nothing. */
static void request_begin(struct http_exchange *x)
{
    struct http_conn *c = x->conn;
    const struct http_server *s = c->loop->server;
    const struct http_head *h = &x->head;
    struct http_request *rq = &x->rq;
    make_id(x);
    rq->method = h->line_done ? h->method : HTTP_OTHER;
    rq->method_text = text_of(x, h->method_text);
    rq->path = h->line_done && h->path.len > 0 ? text_of(x, h->path) : STR("/");
    if (h->line_done && h->has_query)
        rq->query = text_of(x, h->query);
    rq->body = STR("");
    rq->body_length = h->chunked ? -1 : (int64_t)h->content_length;
    rq->id = (str){ x->id, sizeof(x->id) };
    rq->peer = (str){ c->text, c->text_len };
    rq->tls = c->tls != NULL;
    rq->arena.limit_bytes = s->o.arena_bytes_max;
    rq->app_ctx = s->app.ctx;
    x->body_left = h->content_length;
    x->body_done = !h->chunked && h->content_length == 0;
    x->begun = true;
}

/* Tells everybody that the request is over and frees what it held. */
static void request_end(struct http_conn *c, bool complete)
{
    struct http_exchange *x = c->x;
    if (x->begun) {
        int code = c->state == HTTP_SEND ? x->rq.answer_code : 0;
        int64_t duration_us = clock_mono_us() - x->start_us;
        if (code != 0)
            http_count_request(c->loop, x->rq.route, code, duration_us);
        const struct http_app *app = &c->loop->server->app;
        if (app->done != NULL)
            app->done(&x->rq, &(struct http_outcome){ .code = code,
                                                      .bytes_in = x->body_got,
                                                      .bytes_out = x->answer.sent,
                                                      .duration_us = duration_us,
                                                      .complete = complete });
        http_ends_run(x);
        x->begun = false;
    }
    http_answer_release(x);
    arena_release(&x->rq.arena);
    mem_free(x->body);
    x->body = NULL;
    http_block_give(c->loop, x->fill);
    http_block_give(c->loop, x->busy);
    http_block_give(c->loop, x->held);
    http_block_give(c->loop, x->spare);
    x->fill = x->busy = x->held = x->spare = NULL;
}

static void drop_exchange(struct http_conn *c)
{
    mem_free(c->x->spill);
    c->x->spill = NULL;
    http_exchange_give(c->loop, c->x);
    c->x = NULL;
}

void http_conn_close(struct http_conn *c)
{
    struct http_exchange *x = c->x;
    if (c->state == HTTP_CLOSED)
        return;
    http_tls_session_free(c->tls);
    c->tls = NULL;
    if (c->fd >= 0)
        (void)close(c->fd);
    c->fd = -1;
    c->readable = c->writable = false;
    if (x != NULL) {
        if (!x->job_out && c->state == HTTP_SINK)
            http_sink_cut(c, HTTP_CUT_GONE); /* may send a last job */
        if (x->job_out) {
            atomic_store(&x->doomed, true);
            http_loop_arm(c, HTTP_TIMER_NONE);
            return;
        }
        request_end(c, false);
        drop_exchange(c);
    }
    c->state = HTTP_CLOSED;
    http_loop_remove(c);
}

/* ---- handlers ----------------------------------------------------------------------------- */

void http_conn_submit(struct http_exchange *x, unsigned jobs)
{
    x->jobs = jobs;
    x->end_complete = x->cut == HTTP_CUT_NONE;
    x->job_out = true;
    http_pool_push(&x->conn->loop->server->pool, x);
}

void http_conn_run(struct http_conn *c)
{
    struct http_exchange *x = c->x;
    if (x->rq.route->worker) {
        c->state = HTTP_WORK;
        http_conn_submit(x, HTTP_JOB_HANDLE);
        return;
    }
    x->rq.route->handle(&x->rq);
    http_conn_answered(c);
}

void http_conn_job_done(struct http_exchange *x)
{
    struct http_conn *c = x->conn;
    x->job_out = false;
    if ((x->jobs & HTTP_JOB_BEGIN) != 0)
        x->sink_begun = true;
    if (c->fd < 0) {
        http_conn_close(c);
        return;
    }
    if ((x->jobs & HTTP_JOB_HANDLE) == 0) {
        http_sink_job_done(x);
        return;
    }
    http_conn_answered(c);
    http_conn_step(c);
}

void http_conn_continue(struct http_conn *c)
{
    static const char text[] = "HTTP/1.1 100 Continue\r\n\r\n";
    struct http_exchange *x = c->x;
    if (!x->continue_due || x->body_done)
        return;
    x->continue_due = false;
    if (x->in_at < x->in_len)
        return; /* the client did not wait */
    ssize_t n = c->tls != NULL ? http_tls_send(c->tls, text, sizeof(text) - 1)
                               : send(c->fd, text, sizeof(text) - 1, MSG_NOSIGNAL | MSG_DONTWAIT);
    /* The send buffer is empty here, all earlier answers are out. Should the kernel refuse all the
     * same, the client goes on after a while (RFC 9110, 10.1.1); half a line would be an error. */
    if (n > 0 && n < (ssize_t)sizeof(text) - 1)
        (void)shutdown(c->fd, SHUT_RDWR);
}

/* ---- answers ------------------------------------------------------------------------------ */

/* Whether the connection can go on after this answer, given what is left of the body. */
static bool can_keep(struct http_conn *c)
{
    struct http_exchange *x = c->x;
    if (x->refused || x->head.close || atomic_load(&c->loop->server->stopping) ||
        x->cut != HTTP_CUT_NONE || (x->head.minor == 0 && !x->head.keep_alive))
        return false;
    if (x->body_done)
        return true;
    if (x->continue_due) /* whether the body comes is unknown now */
        return false;
    http_body_drop(c);
    return x->cut == HTTP_CUT_NONE &&
           (x->body_done || (!x->head.chunked && x->body_left <= HTTP_DRAIN_BYTES));
}

static void begin_send(struct http_conn *c)
{
    struct http_exchange *x = c->x;
    x->answer.keep = can_keep(c);
    c->state = HTTP_SEND;
    c->touched = true;
    if (!http_answer_compose(x))
        http_conn_close(c);
}

void http_conn_refuse(struct http_conn *c, const struct http_refusal *why)
{
    struct http_exchange *x = c->x;
    if (!x->begun)
        request_begin(x);
    x->refused = true;
    http_count_refusal(why->reason);
    http_answer_init(x);
    x->rq.answer_code = 0;
    x->rq.arena.limit_bytes += 16 * KIB; /* what used the rest up must not keep us from saying so */
    c->loop->server->app.refuse(&x->rq, why);
    if (x->rq.answer_code == 0 || x->answer.failed)
        http_answer(&x->rq, why->code);
    begin_send(c);
}

void http_conn_answered(struct http_conn *c)
{
    struct http_exchange *x = c->x;
    if (x->rq.answer_code == 0)
        http_conn_refuse(c, &no_answer);
    else if (x->answer.failed || x->rq.misread)
        http_conn_refuse(c, &no_memory);
    else
        begin_send(c);
}

static void begin_linger(struct http_conn *c)
{
    if (c->tls != NULL)
        http_tls_goodbye(c->tls);
    (void)shutdown(c->fd, SHUT_WR);
    c->state = HTTP_LINGER;
    c->touched = true;
    c->readable = true;
}

static void answer_sent(struct http_conn *c)
{
    struct http_exchange *x = c->x;
    bool keep = x->answer.keep;
    bool linger = x->refused || !x->body_done || x->in_at < x->in_len || c->readable;
    uint64_t rest = x->body_done ? 0 : x->body_left;
    request_end(c, true);
    c->touched = true;
    if (!keep) {
        drop_exchange(c);
        if (linger) {
            begin_linger(c);
        } else {
            if (c->tls != NULL)
                http_tls_goodbye(c->tls);
            http_conn_close(c);
        }
        return;
    }
    size_t skip = (size_t)MIN(rest, (uint64_t)(x->in_len - x->in_at));
    x->in_at += skip;
    c->drain_left = rest - skip;
    if (!http_exchange_reset(x)) {
        http_conn_close(c);
        return;
    }
    if (x->in_len > 0) {
        x->start_us = c->loop->now_us;
        c->state = HTTP_HEADING;
        c->turns++;
        return;
    }
    drop_exchange(c);
    c->state = c->drain_left > 0 ? HTTP_DRAIN : HTTP_IDLE;
}

/* ---- the states' steps: false when nothing more can be done now --------------------------- */

static bool step_shake(struct http_conn *c)
{
    int done = http_tls_shake(c->tls);
    if (done == HTTP_IO_WAIT)
        return false;
    if (done != 1) { /* also a client that speaks plain HTTP here */
        http_conn_close(c);
        return false;
    }
    c->state = HTTP_IDLE;
    c->touched = true;
    return true;
}

/* The headers are in. */
static void start_request(struct http_conn *c)
{
    struct http_exchange *x = c->x;
    const struct http_head *h = &x->head;
    const struct http_app *app = &c->loop->server->app;
    x->in_at = h->end;
    request_begin(x);
    if (h->expect_other && h->minor == 1) {
        http_conn_refuse(c, &bad_expect);
        return;
    }
    x->continue_due = h->expect_continue && h->minor == 1 && !x->body_done && x->in_at == x->in_len;
    x->rq.route = app->route(&x->rq);
    if (x->rq.route == NULL) {
        http_conn_refuse(c, &no_answer);
        return;
    }
    if (!h->chunked && h->content_length > x->rq.route->body_max) {
        http_conn_refuse(c, &too_large);
        return;
    }
    if (x->rq.route->sink == NULL) {
        http_body_begin(c);
        return;
    }
    c->state = HTTP_SINK;
    c->touched = true;
}

/* Room for at least one more byte of the head; what is too much the parser refuses. */
static bool head_room(struct http_exchange *x)
{
    size_t max = MAX(x->head.limits->bytes_max, HTTP_IN_BYTES);
    return x->in_len < x->in_size || http_exchange_grow(x, MIN(x->in_size * 2, max + 1));
}

static bool step_head(struct http_conn *c)
{
    struct http_exchange *x = c->x;
    if (c->loop->stopping_seen) {
        http_conn_close(c);
        return false;
    }
    if (x == NULL) {
        if (!c->readable)
            return false;
        x = http_exchange_take(c->loop);
        if (x == NULL) {
            log_event(LOG_ERROR, "a connection was closed: no memory",
                      LOG_STR("peer", ((str){ c->text, c->text_len })));
            http_conn_close(c);
            return false;
        }
        x->conn = c;
        c->x = x;
    }
    for (;;) {
        enum http_parse done = http_head_feed(&x->head, x->in, x->in_len);
        if (done == HTTP_PARSE_DONE) {
            start_request(c);
            return true;
        }
        if (done == HTTP_PARSE_REFUSED) {
            http_conn_refuse(c, x->head.why);
            return true;
        }
        if (!head_room(x)) {
            http_conn_refuse(c, &no_buffer);
            return true;
        }
        ssize_t n = c->readable ? http_conn_recv(c, x->in + x->in_len, x->in_size - x->in_len)
                                : HTTP_IO_WAIT;
        if (n == HTTP_IO_WAIT) {
            if (x->in_len == 0) /* woken for nothing */
                drop_exchange(c);
            return false;
        }
        if (n <= 0) {
            http_conn_close(c);
            return false;
        }
        if (c->state == HTTP_IDLE) {
            c->state = HTTP_HEADING;
            c->touched = true;
            x->start_us = c->loop->now_us;
        }
        x->in_len += (size_t)n;
    }
}

static bool step_send(struct http_conn *c)
{
    int done = http_answer_send(c);
    if (done == 1) {
        answer_sent(c);
        return true;
    }
    if (done == 2)
        http_loop_ready(c);
    else if (done != HTTP_IO_WAIT)
        http_conn_close(c); /* clients hang up when they have enough: nothing to tell */
    return false;
}

static bool step_drain(struct http_conn *c)
{
    while (c->drain_left > 0) {
        if (!c->readable)
            return false;
        size_t size = (size_t)MIN(c->drain_left, (uint64_t)HTTP_SCRATCH_BYTES);
        ssize_t n = http_conn_recv(c, c->loop->scratch, size);
        if (n == HTTP_IO_WAIT)
            return false;
        if (n <= 0) {
            http_conn_close(c);
            return false;
        }
        c->drain_left -= (uint64_t)n;
        c->touched = true;
    }
    c->state = HTTP_IDLE;
    return true;
}

/* The bytes below TLS are dropped as they are. */
static bool step_linger(struct http_conn *c)
{
    while (c->readable) {
        if (c->moved >= HTTP_TURN_BYTES) {
            http_loop_ready(c);
            return false;
        }
        ssize_t n = recv(c->fd, c->loop->scratch, HTTP_SCRATCH_BYTES, MSG_DONTWAIT);
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
            c->readable = false;
        } else if (n <= 0) {
            http_conn_close(c);
            return false;
        }
        c->moved += (size_t)MAX(n, 0);
    }
    return false;
}

static bool step_once(struct http_conn *c)
{
    switch ((enum http_state)c->state) {
    case HTTP_SHAKE:
        return step_shake(c);
    case HTTP_IDLE:
    case HTTP_HEADING:
        return step_head(c);
    case HTTP_BODY:
        return http_body_step(c);
    case HTTP_SINK:
        return http_sink_step(c);
    case HTTP_SEND:
        return step_send(c);
    case HTTP_DRAIN:
        return step_drain(c);
    case HTTP_LINGER:
        return step_linger(c);
    case HTTP_NEW:
    case HTTP_WORK:
    case HTTP_CLOSED:
        break;
    }
    return false;
}

/* Which deadline the state has. A sink has one only while the client is waited for. */
static enum http_timer timer_of(const struct http_conn *c)
{
    switch ((enum http_state)c->state) {
    case HTTP_SHAKE:
    case HTTP_HEADING:
        return HTTP_TIMER_HEAD;
    case HTTP_IDLE:
        return HTTP_TIMER_IDLE;
    case HTTP_BODY:
    case HTTP_DRAIN:
        return HTTP_TIMER_BODY;
    case HTTP_SINK: {
        const struct http_exchange *x = c->x;
        bool full = x->fill != NULL && x->fill->len == x->fill->size;
        bool waits = x->sink_begun && !x->body_done && x->cut == HTTP_CUT_NONE && !full;
        return waits ? HTTP_TIMER_BODY : HTTP_TIMER_NONE;
    }
    case HTTP_SEND:
        return HTTP_TIMER_SEND;
    case HTTP_LINGER:
        return HTTP_TIMER_LINGER;
    case HTTP_NEW:
    case HTTP_WORK:
    case HTTP_CLOSED:
        break;
    }
    return HTTP_TIMER_NONE;
}

void http_conn_step(struct http_conn *c)
{
    c->turns = 0;
    c->moved = 0;
    while (step_once(c)) {
        if (c->turns >= HTTP_TURN_REQUESTS) {
            http_loop_ready(c);
            break;
        }
    }
    if (c->state == HTTP_CLOSED)
        return;
    enum http_timer kind = timer_of(c);
    if (kind != (enum http_timer)c->timer || c->touched)
        http_loop_arm(c, kind);
    c->touched = false;
}

void http_conn_event(struct http_conn *c, uint32_t events)
{
    if (c->state == HTTP_CLOSED || c->fd < 0)
        return;
    if (c->state == HTTP_NEW) {
        http_loop_add(c);
        c->state = c->tls != NULL ? HTTP_SHAKE : HTTP_IDLE;
        c->touched = true;
        if (c->loop->stopping_seen) {
            http_conn_close(c);
            return;
        }
    }
    bool over = (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0;
    c->hung_up |= over;
    c->readable |= over || (events & EPOLLIN) != 0;
    c->writable |= (events & (EPOLLOUT | EPOLLHUP | EPOLLERR)) != 0;
    if (c->tls != NULL) /* TLS may have to write in order to read, and the other way round */
        c->readable = c->writable = true;
    http_conn_step(c);
}

void http_conn_expired(struct http_conn *c)
{
    c->touched = true;
    switch ((enum http_state)c->state) {
    case HTTP_HEADING:
        if (c->x == NULL)
            break;
        http_conn_refuse(c, &head_slow);
        http_conn_step(c);
        return;
    case HTTP_BODY:
        c->x->cut = HTTP_CUT_SLOW;
        http_conn_step(c);
        return;
    case HTTP_SINK:
        http_sink_cut(c, HTTP_CUT_SLOW);
        http_conn_step(c);
        return;
    default:
        break;
    }
    http_conn_close(c);
}
