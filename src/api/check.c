/* SPDX-License-Identifier: Apache-2.0
 *
 * A check of the running registry:
 *
 *   POST   /api/ebb/v1/check        ?hash= &quick= &rate= &repair=blobs,counts   202, Location
 *   GET    /api/ebb/v1/check        the last one
 *   GET    /api/ebb/v1/check/<id>   ?from= &n=: its state, and findings behind the first `from`
 *   DELETE /api/ebb/v1/check/<id>   tells it to stop; 202
 *
 * It runs on its own thread (check_job.h), one at a time: a second POST is 409 with the Location of
 * the first. A GET without "next" has given all findings there are so far.
 */
#include <inttypes.h>

#include "api/ebb_int.h"
#include "base/clock.h"
#include "base/json.h"

#define CHECK_PATH         EBB_ROOT "/check"
#define RATE_DEFAULT_BYTES (64 * MIB)
#define PAGE_MAX           ((uint64_t)1000)
#define ANSWER_MAX_BYTES   (8 * MIB)

static const struct answer_status statuses[] = {
    { ST_NOT_FOUND, 404, "check-unknown" },
    { ST_BUSY, 409, "check-running" },
    { ST_OK, 0, NULL },
};

static void answer_location(struct http_request *rq, const char *id)
{
    http_answer_header(rq, "Location", arena_printf(&rq->arena, CHECK_PATH "/%s", id));
}

/* ---- starting ------------------------------------------------------------------------------ */

static enum st read_flag(struct http_request *rq, const char *name, bool *out, struct err *err)
{
    str value = STR_NONE;
    if (!http_query(rq, name, &value) || str_eq(value, STR("0")) || str_eq(value, STR("false")))
        return ST_OK;
    if (value.len > 0 && !str_eq(value, STR("1")) && !str_eq(value, STR("true")))
        return err_set(err, ST_INVALID, "?%s= is 1 or 0, not \"%.*s\"", name, STR_FMT(value));
    *out = true;
    return ST_OK;
}

static enum st read_repairs(struct http_request *rq, struct check_options *out, struct err *err)
{
    str rest = STR_NONE;
    if (!http_query(rq, "repair", &rest))
        return ST_OK;
    while (rest.len > 0) {
        str word = rest;
        if (!str_cut(rest, ',', &word, &rest))
            rest = STR("");
        if (str_eq(word, STR("blobs")))
            out->repair_blobs = true;
        else if (str_eq(word, STR("counts")))
            out->repair_counts = true;
        else if (str_eq(word, STR("orphans")))
            out->repair_orphans = true;
        else
            return err_set(err, ST_INVALID,
                           "?repair= is a list of \"blobs\", \"counts\" and \"orphans\"");
    }
    return ST_OK;
}

static enum st read_options(struct http_request *rq, struct check_options *out, struct err *err)
{
    str rate = STR_NONE;
    *out = (struct check_options){ .rate_bytes = RATE_DEFAULT_BYTES };
    out->sparse_index = api_call_of(rq)->api->registry->sparse_index;
    enum st st = read_flag(rq, "hash", &out->hash, err);
    if (st == ST_OK)
        st = read_flag(rq, "quick", &out->quick, err);
    if (st == ST_OK)
        st = read_repairs(rq, out, err);
    if (st == ST_OK && http_query(rq, "rate", &rate) &&
        !str_to_u64(rate, (uint64_t)1 << 50, &out->rate_bytes))
        st = err_set(err, ST_INVALID, "?rate= is a number of bytes in a second, 0 for no limit");
    return st;
}

void check_post(struct http_request *rq)
{
    struct check_options options;
    struct err err = { 0 };
    char id[RNG_ID_LEN + 1] = "";
    enum st st = read_options(rq, &options, &err);
    if (st == ST_OK)
        st = check_job_start(api_call_of(rq)->api->check, &options, id, &err);
    if (st != ST_OK) {
        ebb_fail(rq, statuses, &err);
        if (st == ST_BUSY)
            answer_location(rq, id);
        return;
    }
    oci_answer_json(rq, 202, STR("application/json"),
                    arena_printf(&rq->arena, "{\"id\":\"%s\"}\n", id));
    http_answer_header(rq, "Cache-Control", STR("no-store"));
    answer_location(rq, id);
}

/* ---- following ----------------------------------------------------------------------------- */

static const char *const state_names[] = { [CHECK_RUNNING] = "running",
                                           [CHECK_FINISHED] = "finished",
                                           [CHECK_STOPPED] = "stopped",
                                           [CHECK_FAILED] = "failed" };

static void add_time(struct buf *b, const char *key, int64_t utc_ms)
{
    char text[CLOCK_RFC3339_SIZE];
    if (utc_ms == 0)
        return;
    clock_rfc3339(utc_ms, text);
    buf_printf(b, ",\"%s\":\"%s\"", key, text);
}

static void add_member(struct buf *b, const char *key, str value)
{
    buf_printf(b, ",\"%s\":", key);
    json_add_string(b, value);
}

static void add_finding(struct buf *b, const struct check_finding *f)
{
    const struct check_kind *kind = &check_kinds[f->code];
    buf_printf(b, "{\"code\":\"%s\",\"wrong\":%s,\"repaired\":%s", kind->word,
               kind->wrong ? "true" : "false", f->repaired ? "true" : "false");
    add_member(b, "object", f->object);
    add_member(b, "detail", f->detail);
    add_member(b, "meaning", str_of(kind->meaning));
    add_member(b, "action", str_of(kind->action));
    buf_add_byte(b, '}');
}

static void add_view(struct buf *b, const struct check_view *v, size_t from)
{
    const struct check_report *r = &v->report;
    const struct check_progress *p = &v->progress;
    buf_printf(b, "{\"id\":\"%s\",\"state\":\"%s\"", v->id, state_names[v->state]);
    add_time(b, "started_at", v->started_at);
    add_time(b, "ended_at", v->ended_at);
    if (v->failure[0] != '\0')
        add_member(b, "failure", str_of(v->failure));
    buf_printf(b,
               ",\"progress\":{\"phase\":\"%s\",\"objects\":%" PRIu64 ",\"bytes\":%" PRIu64
               ",\"bytes_total\":%" PRIu64 ",\"hash_ms\":%" PRId64 "}",
               check_phase_names[p->phase], p->objects, p->bytes, p->bytes_total, v->hash_ms);
    buf_printf(b,
               ",\"summary\":{\"wrong\":%" PRIu64 ",\"notes\":%" PRIu64 ",\"repaired\":%" PRIu64
               ",\"tags\":%" PRIu64 ",\"manifests\":%" PRIu64 ",\"links\":%" PRIu64
               ",\"blobs\":%" PRIu64 ",\"uploads\":%" PRIu64 ",\"files\":%" PRIu64
               ",\"stored_bytes\":%" PRIu64 ",\"hashed_bytes\":%" PRIu64 "}",
               r->wrong, r->notes, r->repaired, r->tags, r->manifests, r->links, r->blobs,
               r->uploads, r->files, r->stored_bytes, r->hashed_bytes);
    buf_add(b, STR(",\"findings\":["));
    for (size_t i = 0; i < v->count; i++) {
        if (i > 0)
            buf_add_byte(b, ',');
        add_finding(b, &v->findings[i]);
    }
    buf_add_byte(b, ']');
    if (from + v->count < v->kept)
        buf_printf(b, ",\"next\":%zu", from + v->count);
    if (r->wrong + r->notes > v->kept)
        buf_printf(b, ",\"not_kept\":%" PRIu64, r->wrong + r->notes - v->kept);
    buf_add(b, STR("}\n"));
}

static enum st read_page(struct http_request *rq, size_t *from, size_t *limit, struct err *err)
{
    str text = STR_NONE;
    uint64_t number = 0;
    *limit = (size_t)PAGE_MAX;
    if (http_query(rq, "from", &text)) {
        if (!str_to_u64(text, CHECK_FINDINGS_MAX, &number))
            return err_set(err, ST_INVALID, "?from= is a number up to %zu", CHECK_FINDINGS_MAX);
        *from = (size_t)number;
    }
    if (http_query(rq, "n", &text)) {
        if (!str_to_u64(text, PAGE_MAX, &number))
            return err_set(err, ST_INVALID, "?n= is a number up to %zu", (size_t)PAGE_MAX);
        *limit = (size_t)number;
    }
    return ST_OK;
}

static void release_view(void *arg)
{
    buf_release(arg);
}

void check_get(struct http_request *rq)
{
    struct api_call *call = api_call_of(rq);
    AUTO(arena_release) struct arena page = { .limit_bytes = ANSWER_MAX_BYTES };
    struct check_view v;
    struct err err = { 0 };
    size_t from = 0;
    size_t limit = 0;
    struct buf *body = arena_alloc(&rq->arena, sizeof(*body));
    enum st st = body == NULL ? err_no_memory(&err) : read_page(rq, &from, &limit, &err);
    if (st == ST_OK)
        st = check_job_view(call->api->check, call->reference, from, limit, &page, &v, &err);
    if (st == ST_OK) {
        body->max_bytes = ANSWER_MAX_BYTES;
        http_on_end(rq, release_view, body);
        add_view(body, &v, from);
        st = buf_status(body, &err);
    }
    if (st != ST_OK) {
        ebb_fail(rq, statuses, &err);
        return;
    }
    oci_answer_json(rq, 200, STR("application/json"), buf_str(body));
    http_answer_header(rq, "Cache-Control", STR("no-store"));
}

void check_delete(struct http_request *rq)
{
    struct api_call *call = api_call_of(rq);
    struct err err = { 0 };
    if (check_job_stop(call->api->check, call->reference, &err) != ST_OK)
        ebb_fail(rq, statuses, &err);
    else
        oci_answer_empty(rq, 202);
}
