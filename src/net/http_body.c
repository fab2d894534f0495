/* SPDX-License-Identifier: Apache-2.0
 *
 * Bodies: received whole for a plain route, piece by piece for a sink, or dropped.
 *
 * A sink's body, seen from the loop (x->job_out: a worker runs begin(), add() or end()):
 *
 *     BEGIN out ──answered──▶ answer
 *         │ not answered: "100 Continue" if due
 *         ▼
 *     receive into `fill` ◀────────────────────────────┐
 *         │ full, body over, or cut                    │ `busy` comes back
 *         ▼                                            │
 *     no job out: `fill` becomes `busy`, ADD out ──────┘   (+ END when the body is over or cut)
 *     job out:    reading pauses until it is back
 *
 * Invariants: at most one job is out; begin() without an answer is followed by exactly one end(),
 * unless add() answers; nothing is received before begin() is back; at most two blocks are held.
 * A cut (client gone, too slow, bad chunks, over the limit) hands over what came, then end(false).
 */
#include "base/mem.h"
#include "net/http_int.h"

#define BODY_FIRST_BYTES ((size_t)(16 * KIB))

static const struct http_refusal too_large = { 413, "body-bytes",
                                               "The request's body is too large." };
static const struct http_refusal too_slow = { 408, "body-timeout",
                                              "The request's body did not come in time." };
static const struct http_refusal no_memory = { 503, "memory",
                                               "There is no memory for this request." };

enum pull { PULL_SOME, PULL_WAIT, PULL_DONE, PULL_CUT };

/* Raw bytes of the body into `to`: from the read buffer first, then from the socket. */
static ssize_t take_raw(struct http_conn *c, char *to, size_t size, bool *from_in)
{
    struct http_exchange *x = c->x;
    if (!x->head.chunked)
        size = (size_t)MIN((uint64_t)size, x->body_left);
    size_t there = x->in_len - x->in_at;
    *from_in = there > 0;
    if (there > 0) {
        size_t n = MIN(there, size);
        memcpy(to, x->in + x->in_at, n);
        x->in_at += n;
        return (ssize_t)n;
    }
    if (!c->readable)
        return HTTP_IO_WAIT;
    ssize_t n = http_conn_recv(c, to, size);
    if (n > 0)
        c->moved += (size_t)n;
    return n;
}

/* Decodes `n` raw bytes; what follows the body's end goes back. */
static enum pull decode(struct http_conn *c, char *bytes, size_t n, bool from_in, size_t *got)
{
    struct http_exchange *x = c->x;
    size_t used = 0;
    enum http_parse done = http_chunk_feed(&x->chunk, bytes, n, &used, got);
    if (done == HTTP_PARSE_REFUSED) {
        x->cut = HTTP_CUT_BAD;
        return PULL_CUT;
    }
    if (done == HTTP_PARSE_MORE)
        return PULL_SOME;
    x->body_done = true;
    if (used < n && from_in) {
        x->in_at -= n - used;
    } else if (used < n) {
        x->spill = mem_resize(NULL, n - used);
        if (x->spill == NULL) {
            x->cut = HTTP_CUT_MEMORY;
            return PULL_CUT;
        }
        memcpy(x->spill, bytes + used, n - used);
        x->spill_len = n - used;
    }
    return PULL_SOME;
}

/* Some of the body, decoded. *got may be 0 with PULL_SOME. */
static enum pull pull(struct http_conn *c, char *to, size_t size, size_t *got)
{
    struct http_exchange *x = c->x;
    *got = 0;
    if (x->body_done)
        return PULL_DONE;
    bool from_in = false;
    ssize_t n = take_raw(c, to, size, &from_in);
    if (n == HTTP_IO_WAIT)
        return PULL_WAIT;
    if (n <= 0) {
        x->cut = HTTP_CUT_GONE;
        return PULL_CUT;
    }
    c->touched = true;
    if (x->head.chunked)
        return decode(c, to, (size_t)n, from_in, got);
    *got = (size_t)n;
    x->body_left -= (uint64_t)n;
    x->body_done = x->body_left == 0;
    return PULL_SOME;
}

static bool count(struct http_exchange *x, size_t got)
{
    x->body_got += got;
    if (x->body_got > x->rq.route->body_max)
        x->cut = HTTP_CUT_LARGE;
    return x->cut == HTTP_CUT_NONE;
}

/* The body is cut and nobody needs to hear of it first. */
static void end_cut(struct http_conn *c)
{
    struct http_exchange *x = c->x;
    switch (x->cut) {
    case HTTP_CUT_SLOW:
        http_conn_refuse(c, &too_slow);
        break;
    case HTTP_CUT_BAD:
        http_conn_refuse(c, x->chunk.why);
        break;
    case HTTP_CUT_LARGE:
        http_conn_refuse(c, &too_large);
        break;
    case HTTP_CUT_MEMORY:
        http_conn_refuse(c, &no_memory);
        break;
    default:
        http_conn_close(c);
        break;
    }
}

/* ---- plain routes ------------------------------------------------------------------------ */

static bool body_room(struct http_exchange *x)
{
    if (x->body_len < x->body_size)
        return true;
    /* Doubles with what has come, so that an announced length alone costs nothing. One byte more
     * than allowed is enough to see that a body is too large. */
    uint64_t most = x->head.chunked
                        ? MIN(x->rq.route->body_max, (uint64_t)INT64_MAX) + BODY_FIRST_BYTES
                        : x->head.content_length;
    size_t size = x->body_size == 0 ? BODY_FIRST_BYTES : x->body_size * 2;
    size = (size_t)MIN((uint64_t)size, MAX(most, (uint64_t)1));
    char *body = size > x->body_size ? mem_resize(x->body, size) : NULL;
    if (body == NULL) {
        x->cut = HTTP_CUT_MEMORY;
        return false;
    }
    x->body = body;
    x->body_size = size;
    return true;
}

bool http_body_step(struct http_conn *c)
{
    struct http_exchange *x = c->x;
    while (!x->body_done && x->cut == HTTP_CUT_NONE && body_room(x)) {
        if (c->moved >= HTTP_TURN_BYTES) {
            http_loop_ready(c);
            return false;
        }
        size_t got = 0;
        enum pull result = pull(c, x->body + x->body_len, x->body_size - x->body_len, &got);
        x->body_len += got;
        if (result == PULL_WAIT)
            return false;
        if (result == PULL_CUT || !count(x, got))
            break;
    }
    if (x->cut != HTTP_CUT_NONE) {
        end_cut(c);
        return true;
    }
    x->rq.body = (str){ x->body, x->body_len };
    http_conn_run(c);
    return true;
}

void http_body_begin(struct http_conn *c)
{
    struct http_exchange *x = c->x;
    size_t there = x->in_len - x->in_at;
    c->touched = true;
    if (!x->body_done && !x->head.chunked && there >= x->body_left) { /* all here: no copy */
        x->rq.body = (str){ x->in + x->in_at, (size_t)x->body_left };
        x->body_got = x->body_left;
        x->in_at += (size_t)x->body_left;
        x->body_left = 0;
        x->body_done = true;
    }
    if (x->body_done) {
        http_conn_run(c);
        return;
    }
    c->state = HTTP_BODY;
    http_conn_continue(c);
}

/* ---- sinks ------------------------------------------------------------------------------- */

static bool fill_room(struct http_conn *c)
{
    struct http_exchange *x = c->x;
    if (x->fill == NULL) {
        x->fill = x->spare;
        x->spare = NULL;
        if (x->fill != NULL && x->fill->size < x->block_size) {
            http_block_give(c->loop, x->fill);
            x->fill = NULL;
        }
        if (x->fill == NULL)
            x->fill = http_block_take(c->loop, x->block_size);
        if (x->fill == NULL) {
            x->cut = HTTP_CUT_MEMORY;
            return false;
        }
        x->fill->len = 0;
        x->fill->begun_us = c->loop->now_us;
    }
    return x->fill->len < x->fill->size;
}

/* Receives until a block is full, the body is over or nothing is there. */
static void sink_receive(struct http_conn *c)
{
    struct http_exchange *x = c->x;
    while (!x->body_done && x->cut == HTTP_CUT_NONE && fill_room(c)) {
        size_t got = 0;
        enum pull result =
            pull(c, x->fill->bytes + x->fill->len, x->fill->size - x->fill->len, &got);
        if (result == PULL_WAIT || result == PULL_CUT)
            return;
        if (!count(x, got))
            return; /* what is over the limit is not handed over */
        x->fill->len += got;
    }
}

/* Gives `fill` to the worker when there is a reason to. */
static bool sink_submit(struct http_conn *c)
{
    struct http_exchange *x = c->x;
    bool over = x->body_done || x->cut != HTTP_CUT_NONE;
    bool full = x->fill != NULL && x->fill->len == x->fill->size;
    if (!over && !full)
        return false;
    unsigned jobs = 0;
    if (x->fill != NULL && x->fill->len > 0) {
        jobs |= HTTP_JOB_ADD;
        if (full)
            x->block_size =
                http_block_next_size(c->loop, x->fill->size, c->loop->now_us - x->fill->begun_us);
        x->busy = x->fill;
        x->fill = NULL;
    }
    if (over)
        jobs |= HTTP_JOB_END;
    http_conn_submit(x, jobs);
    return true;
}

bool http_sink_step(struct http_conn *c)
{
    struct http_exchange *x = c->x;
    if (!x->sink_begun) { /* the first job: all at once when the whole body is here already */
        if (x->job_out)
            return false;
        unsigned jobs = HTTP_JOB_BEGIN;
        if (x->body_done) {
            jobs |= HTTP_JOB_END;
        } else if (!x->head.chunked && x->in_len - x->in_at >= x->body_left &&
                   x->body_left <= BODY_FIRST_BYTES) {
            sink_receive(c);
            if (x->body_done && x->fill != NULL) {
                x->busy = x->fill;
                x->fill = NULL;
                jobs |= HTTP_JOB_ADD | HTTP_JOB_END;
            }
        }
        http_conn_submit(x, jobs);
        return false;
    }
    do {
        sink_receive(c); /* a second time into the other block, while the worker has the first */
    } while (!x->job_out && sink_submit(c));
    return false;
}

void http_sink_job_done(struct http_exchange *x)
{
    struct http_conn *c = x->conn;
    if (x->busy != NULL) { /* the sink may still use it until its next piece came back */
        struct http_block *done = x->held;
        x->held = x->busy;
        x->busy = NULL;
        if (done != NULL && x->spare == NULL && done->size >= x->block_size)
            x->spare = done;
        else
            http_block_give(c->loop, done);
    }
    if (!x->sink_over) {
        if ((x->jobs & HTTP_JOB_BEGIN) != 0)
            http_conn_continue(c);
        http_conn_step(c);
        return;
    }
    bool ended = (x->jobs & HTTP_JOB_END) != 0 && !x->end_complete;
    if (ended)
        end_cut(c);
    else
        http_conn_answered(c);
    http_conn_step(c);
}

void http_sink_cut(struct http_conn *c, enum http_cut why)
{
    struct http_exchange *x = c->x;
    if (x->cut == HTTP_CUT_NONE)
        x->cut = why;
    if (!x->job_out && x->sink_begun && !x->sink_over)
        (void)sink_submit(c);
}

/* ---- bodies that nobody wants ------------------------------------------------------------- */

void http_body_drop(struct http_conn *c)
{
    struct http_exchange *x = c->x;
    uint64_t dropped = 0;
    size_t got = 0;
    while (!x->body_done && dropped < HTTP_DRAIN_BYTES) {
        if (pull(c, c->loop->scratch, HTTP_SCRATCH_BYTES, &got) != PULL_SOME)
            break;
        dropped += got;
    }
}
