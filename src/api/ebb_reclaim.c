/* SPDX-License-Identifier: Apache-2.0
 *
 * The reclaimer: GET /reclaim, POST /reclaim/pause, /resume, /run, /reset.
 */
#include "api/ebb_int.h"
#include "base/log.h"

#define STATUS_BYTES_MAX (4 * MIB)

static const struct answer_status statuses[] = {
    { ST_BUSY, 409, "reclaim-paused" },
    { ST_OK, 0, NULL },
};

/* ---- status --------------------------------------------------------------------------------- */

static void add_pass(struct http_request *rq, struct json_out *o, const char *key,
                     const struct reclaim_pass *p)
{
    if (p->number == 0) {
        json_out_null(o, key);
        return;
    }
    json_out_open(o, key, '{');
    json_out_count(o, "number", p->number);
    ebb_add_time(rq, o, "started_at", p->started_at);
    ebb_add_time(rq, o, "ended_at", p->ended_at);
    json_out_count(o, "manifests", p->did.removed.manifests);
    json_out_count(o, "blobs", p->did.removed.blobs);
    json_out_count(o, "links", p->did.removed.links);
    json_out_count(o, "uploads", p->did.uploads);
    json_out_count(o, "names", p->did.names);
    json_out_count(o, "bytes", p->did.removed.bytes);
    json_out_count(o, "failures", p->did.failures);
    json_out_text(o, "error", p->failure.st == ST_OK ? STR_NONE : str_of(p->failure.text));
    json_out_close(o, '}');
}

static void add_failure(struct http_request *rq, struct json_out *o,
                        const struct reclaim_failure *f)
{
    json_out_open(o, NULL, '{');
    json_out_text(o, "kind", str_of(reclaim_kind_text(f->kind)));
    json_out_text(o, "object", f->object);
    json_out_count(o, "failures", f->failures);
    ebb_add_time(rq, o, "first_at", f->first_at);
    ebb_add_time(rq, o, "next_at", f->next_at);
    json_out_text(o, "error", f->error);
    json_out_close(o, '}');
}

static void add_status(struct http_request *rq, struct json_out *o, const struct reclaim_status *s)
{
    json_out_open(o, NULL, '{');
    json_out_text(o, "state", str_of(reclaim_state_text(s->state)));
    json_out_count(o, "queued", s->queue.queued);
    json_out_count(o, "due", s->queue.due);
    ebb_add_time(rq, o, "oldest_due_at", s->queue.oldest_due_at);
    json_out_count(o, "bytes_pending", s->queue.bytes_pending);
    json_out_count(o, "bytes_trash", s->queue.bytes_trash);
    json_out_open(o, "doomed", '{');
    json_out_count(o, "names", s->queue.doomed_names);
    json_out_count(o, "bytes", s->queue.doomed_bytes);
    json_out_close(o, '}');
    json_out_count(o, "passes_started", s->passes_started);
    json_out_count(o, "passes_ended", s->passes_ended);
    add_pass(rq, o, "pass", &s->pass);
    add_pass(rq, o, "last_pass", &s->last);
    json_out_open(o, "rate", '{');
    json_out_real(o, "objects", s->objects_per_second);
    json_out_real(o, "bytes", s->bytes_per_second);
    json_out_close(o, '}');
    json_out_real(o, "duty", s->duty);
    json_out_open(o, "failures", '[');
    for (size_t i = 0; i < s->failure_count; i++)
        add_failure(rq, o, &s->failures[i]);
    json_out_close(o, ']');
    json_out_count(o, "failures_total", s->failures_total);
    json_out_close(o, '}');
}

static void answer_status(struct http_request *rq, int http)
{
    struct api_call *call = api_call_of(rq);
    struct reclaim_status status = { 0 };
    struct json_out o;
    struct err err = { 0 };
    struct arena *a = ebb_arena(rq, STATUS_BYTES_MAX);
    if (a == NULL)
        return;
    if (reclaim_loop_status(call->api->reclaim, a, &status, &err) != ST_OK) {
        ebb_fail(rq, NULL, &err);
        return;
    }
    if (!ebb_begin(rq, &o))
        return;
    add_status(rq, &o, &status);
    ebb_end(rq, http, &o);
}

void ebb_reclaim_get(struct http_request *rq)
{
    answer_status(rq, 200);
}

/* ---- orders --------------------------------------------------------------------------------- */

/* Orders take no members: one that was meant for another would otherwise be obeyed. */
static bool read_nothing(struct http_request *rq)
{
    struct json_in in;
    return ebb_read(rq, &in) && ebb_read_end(rq, &in);
}

static void answer_order(struct http_request *rq, const char *what, enum st st,
                         const struct err *err)
{
    if (st != ST_OK) {
        ebb_fail(rq, statuses, err);
        return;
    }
    log_event(LOG_INFO, what, LOG_STR("id", rq->id), LOG_STR("peer", rq->peer));
    answer_status(rq, 200);
}

void ebb_reclaim_pause_post(struct http_request *rq)
{
    struct err err = { 0 };
    if (!read_nothing(rq))
        return;
    enum st st = reclaim_loop_pause(api_call_of(rq)->api->reclaim, &err);
    answer_order(rq, "reclaiming was paused", st, &err);
}

void ebb_reclaim_resume_post(struct http_request *rq)
{
    struct err err = { 0 };
    if (!read_nothing(rq))
        return;
    enum st st = reclaim_loop_resume(api_call_of(rq)->api->reclaim, &err);
    answer_order(rq, "reclaiming goes on", st, &err);
}

void ebb_reclaim_run_post(struct http_request *rq)
{
    struct json_out o;
    struct err err = { 0 };
    uint64_t pass = 0;
    if (!read_nothing(rq))
        return;
    if (reclaim_loop_run(api_call_of(rq)->api->reclaim, &pass, &err) != ST_OK) {
        ebb_fail(rq, statuses, &err);
        return;
    }
    if (!ebb_begin(rq, &o))
        return;
    json_out_open(&o, NULL, '{');
    json_out_count(&o, "pass", pass);
    json_out_close(&o, '}');
    ebb_end(rq, 202, &o);
    if (rq->answer_code == 202)
        http_answer_header(rq, "Location", STR(EBB_ROOT "/reclaim"));
}

void ebb_reclaim_reset_post(struct http_request *rq)
{
    struct json_out o;
    struct err err = { 0 };
    uint64_t count = 0;
    if (!read_nothing(rq))
        return;
    if (reclaim_loop_reset(api_call_of(rq)->api->reclaim, &count, &err) != ST_OK) {
        ebb_fail(rq, statuses, &err);
        return;
    }
    log_event(LOG_INFO, "failures are tried again", LOG_STR("id", rq->id),
              LOG_INT("objects", count));
    if (!ebb_begin(rq, &o))
        return;
    json_out_open(&o, NULL, '{');
    json_out_count(&o, "objects", count);
    json_out_close(&o, '}');
    ebb_end(rq, 200, &o);
}
