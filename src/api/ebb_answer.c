/* SPDX-License-Identifier: Apache-2.0
 *
 * What the answers of /api/ebb/v1 have in common.
 */
#include "api/ebb_int.h"
#include "base/json.h"
#include "base/mem.h"
#include "meta/registry_time.h"

#define PROBLEM_BYTES_MAX (64 * KIB)

/* ---- errors -------------------------------------------------------------------------------- */

/* A title is the same for each problem of a type. */
static const char *title_of(const char *type, int http)
{
    static const struct {
        const char *type;
        const char *title;
    } titles[] = {
        { "invalid", "The request is not valid" },
        { "cross-site", "Requests from pages of other sites are refused" },
        { "unauthorized", "Credentials are needed" },
        { "forbidden", "That is not allowed to you" },
        { "slowed", "Too many log-ins failed" },
        { "wrong-password", "The old password is another" },
        { "open", "There are no accounts" },
        { "account-exists", "The name is taken" },
        { "last-administrator", "One administrator must be left" },
        { "protected", "A rule or hold protects this" },
        { "confirm-needed", "A number has to be repeated" },
        { "receipt-open", "The receipt is still being carried out" },
        { "reclaim-paused", "Reclaiming is paused" },
        { "check-running", "A check is running" },
        { "grace-over", "The time to take it back is over" },
        { "too-large", "The request is too large" },
        { "plan-too-large", "The plan would be too large" },
        { "content-type", "The body's type is not accepted" },
        { "method", "This resource does not have that method" },
        { "full", "The registry's disk is full" },
        { "internal", "The registry failed inside" },
        { "unavailable", "The registry cannot answer now" },
        { "protocol", "The request is not proper HTTP" },
    };
    for (size_t i = 0; i < ARRAY_LEN(titles); i++)
        if (strcmp(titles[i].type, type) == 0)
            return titles[i].title;
    return http == 404 ? "There is no such thing" : "The request was refused";
}

void ebb_problem(struct http_request *rq, int http, const char *type, str detail, str members)
{
    struct api_call *call = api_call_of(rq);
    AUTO(buf_release) struct buf b = { .max_bytes = PROBLEM_BYTES_MAX };
    struct json_out o = { .b = &b };
    json_out_open(&o, NULL, '{');
    str urn = arena_printf(&rq->arena, "urn:ebb:%s", type);
    json_out_text(&o, "type", urn);
    json_out_text(&o, "title", str_of(title_of(type, http)));
    json_out_number(&o, "status", http);
    json_out_text(&o, "detail", detail);
    if (members.ptr != NULL)
        buf_printf(&b, ",%.*s", STR_FMT(members));
    json_out_close(&o, '}');
    buf_add_byte(&b, '\n');
    str text = b.failed == ST_OK && urn.ptr != NULL ? arena_dup(&rq->arena, buf_str(&b)) : STR_NONE;
    if (text.ptr == NULL)
        text = STR("{\"type\":\"urn:ebb:unavailable\",\"title\":\"The registry cannot answer now\","
                   "\"status\":503,\"detail\":\"out of memory\"}\n");
    if (call != NULL)
        call->failure = arena_dup(&rq->arena, detail);
    http_answer(rq, http);
    http_answer_header(rq, "Content-Type", STR("application/problem+json"));
    http_answer_header(rq, "Cache-Control", STR("no-store"));
    http_answer_bytes(rq, text);
    if (http == 503 || (http == 429 && strcmp(type, "slowed") != 0)) /* which knows how long */
        http_answer_header(rq, "Retry-After", STR("1"));
}

/* What every request can meet. */
static const struct answer_status shared_statuses[] = {
    { ST_INVALID, 400, "invalid" },
    { ST_UNSUPPORTED, 400, "invalid" },
    { ST_DENIED, 403, "protected" },
    { ST_NOT_FOUND, 404, "unknown" },
    { ST_EXPIRED, 410, "grace-over" },
    { ST_TOO_LARGE, 413, "too-large" },
    { ST_FULL, 507, "full" },
    { ST_BUSY, 503, "unavailable" },
    { ST_STOPPING, 503, "unavailable" },
    { ST_NO_MEMORY, 503, "unavailable" },
    { ST_OK, 500, "internal" },
};

void ebb_fail(struct http_request *rq, const struct answer_status *table, const struct err *err)
{
    str text = STR_NONE;
    const struct answer_status *said = answer_status_of(rq, table, shared_statuses, err, &text);
    ebb_problem(rq, said->http, said->word, text, STR_NONE);
}

void ebb_refuse(struct http_request *rq, const struct http_refusal *why)
{
    const char *type = "protocol";
    if (why->code == 413)
        type = "too-large";
    else if (why->code == 500)
        type = "internal";
    else if (why->code == 503 || why->code == 429 || why->code == 408)
        type = "unavailable";
    ebb_problem(rq, why->code, type, str_of(why->text), STR_NONE);
}

/* ---- answers ------------------------------------------------------------------------------- */

static void fail_without_memory(struct http_request *rq)
{
    struct err err = { 0 };
    (void)err_no_memory(&err);
    ebb_fail(rq, NULL, &err);
}

bool ebb_begin(struct http_request *rq, struct json_out *out)
{
    struct buf *b = answer_buf(rq, EBB_ANSWER_MAX);
    if (b == NULL) {
        fail_without_memory(rq);
        return false;
    }
    *out = (struct json_out){ .b = b };
    return true;
}

void ebb_end(struct http_request *rq, int http, struct json_out *out)
{
    struct err err = { 0 };
    buf_add_byte(out->b, '\n');
    enum st st = buf_status(out->b, &err);
    if (st == ST_TOO_LARGE)
        (void)err_set(&err, ST_INVALID,
                      "the answer would be larger than %zu MiB: ask for less"
                      " with ?n=",
                      (size_t)(EBB_ANSWER_MAX / MIB));
    if (st != ST_OK) {
        ebb_fail(rq, NULL, &err);
        return;
    }
    http_answer(rq, http);
    http_answer_header(rq, "Content-Type", STR("application/json"));
    http_answer_header(rq, "Cache-Control", STR("no-store"));
    http_answer_bytes(rq, buf_str(out->b));
}

int64_t ebb_now(const struct http_request *rq)
{
    return registry_now(api_call_of(rq)->api->registry);
}

void ebb_add_time(struct http_request *rq, struct json_out *out, const char *key, int64_t r)
{
    json_out_utc(out, key, r == 0 ? 0 : registry_utc(api_call_of(rq)->api->registry, r));
}

struct arena *ebb_arena(struct http_request *rq, size_t limit_bytes)
{
    struct arena *a = answer_arena(rq, limit_bytes);
    if (a == NULL)
        fail_without_memory(rq);
    return a;
}

/* ---- lists --------------------------------------------------------------------------------- */

bool ebb_begin_list(struct http_request *rq, struct json_out *out)
{
    if (!ebb_begin(rq, out))
        return false;
    json_out_open(out, NULL, '{');
    json_out_open(out, "items", '[');
    return true;
}

bool ebb_read_list(struct http_request *rq, db_fn fn, void *ctx, struct json_out *out)
{
    struct err err = { 0 };
    if (db_read(api_call_of(rq)->api->registry->db, fn, ctx, &err) == ST_OK)
        return ebb_begin_list(rq, out);
    ebb_fail(rq, NULL, &err);
    return false;
}

void ebb_end_list(struct http_request *rq, struct json_out *out, bool more, str next)
{
    json_out_close(out, ']');
    if (more)
        json_out_text(out, "next", next);
    json_out_close(out, '}');
    ebb_end(rq, 200, out);
}

void ebb_end_list_number(struct http_request *rq, struct json_out *out, uint64_t next)
{
    char text[24];
    int len = snprintf(text, sizeof(text), "%llu", (unsigned long long)next);
    ebb_end_list(rq, out, next != 0, (str){ text, (size_t)len });
}
