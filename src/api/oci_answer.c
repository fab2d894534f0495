/* SPDX-License-Identifier: Apache-2.0
 *
 * What the answers of the OCI API have in common: errors, digests, locations, conditions, pages.
 */
#include "api/api_int.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "base/metric.h"
#include "meta/artifacts.h"

#define ERROR_BYTES_MAX (16 * KIB)

str oci_error_text(struct http_request *rq, const char *code, str message, str detail)
{
    AUTO(buf_release) struct buf body = { .max_bytes = ERROR_BYTES_MAX };
    struct api_call *call = api_call_of(rq);
    buf_printf(&body, "{\"errors\":[{\"code\":\"%s\",\"message\":", code);
    json_add_string(&body, message);
    if (detail.ptr != NULL) {
        buf_add(&body, STR(",\"detail\":"));
        buf_add(&body, detail);
    }
    buf_add(&body, STR("}]}\n"));
    str text = body.failed == ST_OK ? arena_dup(&rq->arena, buf_str(&body)) : STR_NONE;
    if (text.ptr == NULL)
        text = STR("{\"errors\":[{\"code\":\"UNKNOWN\",\"message\":\"out of memory\"}]}\n");
    if (call != NULL)
        call->failure = arena_dup(&rq->arena, message);
    return text;
}

void oci_error(struct http_request *rq, int http, const char *code, str message, str detail)
{
    oci_answer_json(rq, http, STR("application/json"), oci_error_text(rq, code, message, detail));
}

/* What every request can meet. */
static const struct answer_status shared_statuses[] = {
    { ST_DENIED, 403, "DENIED" }, /* a rule: its sentence says which */
    { ST_FULL, 507, "DENIED" },   /* a code that clients do not retry, so people see it at once */
    { ST_BUSY, 503, "UNAVAILABLE" },
    { ST_STOPPING, 503, "UNAVAILABLE" },
    { ST_NO_MEMORY, 503, "UNAVAILABLE" },
    { ST_IO, 500, "UNKNOWN" },
    { ST_OK, 500, "UNKNOWN" },
};

void oci_fail(struct http_request *rq, const struct answer_status *table, const struct err *err)
{
    str text = STR_NONE;
    const struct answer_status *said = answer_status_of(rq, table, shared_statuses, err, &text);
    oci_error(rq, said->http, said->word, text, STR_NONE);
    if (said->http == 503 || said->http == 429)
        http_answer_header(rq, "Retry-After", STR("1"));
}

void oci_answer_json(struct http_request *rq, int http, str type, str body)
{
    http_answer(rq, http);
    http_answer_header(rq, "Content-Type", type);
    http_answer_bytes(rq, body);
}

void oci_answer_empty(struct http_request *rq, int http)
{
    http_answer(rq, http);
}

void oci_answer_digest(struct http_request *rq, str digest)
{
    char etag[DIGEST_TEXT_MAX + 3];
    int len = snprintf(etag, sizeof(etag), "\"%.*s\"", STR_FMT(digest));
    http_answer_header(rq, "Docker-Content-Digest", digest);
    http_answer_header(rq, "ETag", (str){ etag, (size_t)len });
    api_call_of(rq)->digest = arena_dup(&rq->arena, digest);
}

void oci_answer_location(struct http_request *rq, const char *kind, str name)
{
    str path = arena_printf(&rq->arena, "/v2/%.*s/%s/%.*s", STR_FMT(api_call_of(rq)->repo), kind,
                            STR_FMT(name));
    http_answer_header(rq, "Location", path);
}

bool oci_check_repo(struct http_request *rq)
{
    struct err err = { 0 };
    if (name_check(api_call_of(rq)->repo, &err) == ST_OK)
        return true;
    bool reading = (rq->method & (HTTP_GET | HTTP_HEAD | HTTP_DELETE)) != 0;
    oci_error(rq, reading ? 404 : 400, reading ? "NAME_UNKNOWN" : "NAME_INVALID", str_of(err.text),
              STR_NONE);
    return false;
}

bool oci_check_digest(struct http_request *rq, str text, int http, struct digest *out)
{
    struct err err = { 0 };
    if (digest_parse(text, out, &err) == ST_OK)
        return true;
    oci_error(rq, http, "DIGEST_INVALID", str_of(err.text), STR_NONE);
    return false;
}

/* One of the entity tags in a list is the digest's, or the list is "*" (RFC 9110, 13.1.1). */
static bool etag_listed(str list, str digest)
{
    while (list.len > 0) {
        str one = list;
        str rest = STR_NONE;
        (void)str_cut(list, ',', &one, &rest);
        one = str_trim(one);
        if (str_eq(one, STR("*")))
            return true;
        if (str_starts(one, STR("W/")))
            one = str_slice(one, 2, one.len);
        if (one.len >= 2 && one.ptr[0] == '"' && str_eq(str_slice(one, 1, one.len - 1), digest))
            return true;
        list = rest;
    }
    return false;
}

bool oci_answer_condition(struct http_request *rq, str digest)
{
    str match = http_header(rq, "If-Match");
    str none_match = http_header(rq, "If-None-Match");
    if (match.ptr != NULL && !etag_listed(match, digest)) {
        oci_error(rq, 412, "UNSUPPORTED", STR("the content is another than If-Match asks for"),
                  STR_NONE);
        return true;
    }
    if (none_match.ptr != NULL && etag_listed(none_match, digest)) {
        oci_answer_empty(rq, 304);
        oci_answer_digest(rq, digest);
        return true;
    }
    return false;
}

struct deletion_order oci_deletion_order(const struct http_request *rq, enum deletion_kind kind)
{
    return (struct deletion_order){
        .kind = kind,
        .repo = api_call_of(rq)->repo,
        .by = gate_by(rq, STR_NONE),
    };
}

/* Azure's clients, whose locks these are, take 405 for an answer and try again after any other. */
static bool is_locked(struct registry *r, const struct deletion_order *order)
{
    str tag = order->kind == DELETION_TAG ? order->tag : STR_NONE;
    bool locked = false;
    return order->kind != DELETION_BLOB &&
           artifacts_locked(r, order->repo, tag, &order->digest, &locked, NULL) == ST_OK && locked;
}

void oci_delete(struct http_request *rq, const struct deletion_order *order, const char *unknown)
{
    struct api_call *call = api_call_of(rq);
    struct deletion_result result = { 0 };
    char text[DIGEST_TEXT_MAX + 1];
    bool repo_known = false;
    struct err err = { 0 };
    enum st st = deletion_apply(call->api->deletion, order, registry_now(call->api->registry),
                                &result, &repo_known, &err);
    if (st != ST_OK) {
        bool locked = st == ST_DENIED && is_locked(call->api->registry, order);
        const struct answer_status statuses[] = {
            { ST_NOT_FOUND, 404, repo_known ? unknown : "NAME_UNKNOWN" },
            { ST_DENIED, result.in_use || locked ? 405 : 403, "DENIED" },
            { ST_OK, 0, NULL },
        };
        oci_fail(rq, statuses, &err);
        return;
    }
    if (call->api->registry->keeping.grace_ms == 0)
        reclaim_loop_wake(call->api->reclaim); /* it is due at once */
    str digest = digest_text(&result.digest, text);
    oci_answer_empty(rq, 202);
    http_answer_header(rq, "Docker-Content-Digest", digest);
    call->digest = arena_dup(&rq->arena, digest);
    log_event(LOG_INFO, "deleted", LOG_STR("id", rq->id), LOG_INT("receipt", result.receipt_id),
              LOG_STR("repository", order->repo), LOG_STR("digest", digest),
              LOG_STR("tag", order->tag), LOG_INT("tags", result.tags),
              LOG_INT("manifests", result.manifests), LOG_INT("blobs", result.blobs));
}

bool oci_read_page(struct http_request *rq, struct oci_page *out)
{
    size_t most = api_call_of(rq)->api->options.page_max;
    struct err err = { 0 };
    str n = STR_NONE;
    uint64_t wanted = most;
    if (http_query_check(rq, &err) != ST_OK) {
        oci_error(rq, 400, "UNSUPPORTED", str_of(err.text), STR_NONE);
        return false;
    }
    if (http_query(rq, "n", &n) && !str_to_u64(n, UINT64_MAX, &wanted)) {
        oci_error(rq, 400, "PAGINATION_NUMBER_INVALID",
                  STR("n must be a number of entries: decimal digits only"), STR_NONE);
        return false;
    }
    out->limit = (size_t)MIN(wanted, (uint64_t)most);
    out->last = STR_NONE;
    (void)http_query(rq, "last", &out->last);
    return true;
}

void oci_answer_next(struct http_request *rq, str path, str query)
{
    str link = arena_printf(&rq->arena, "<%.*s?%.*s>; rel=\"next\"", STR_FMT(path), STR_FMT(query));
    http_answer_header(rq, "Link", link);
}
