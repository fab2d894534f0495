/* SPDX-License-Identifier: Apache-2.0
 *
 * Manifests: GET, HEAD, PUT and DELETE /v2/<name>/manifests/<reference> (distribution-spec, end-3,
 * end-7, end-9; ?tag= from the next version).
 *
 * The stored bytes and media type are what every GET returns, whatever Accept says: clients verify
 * digests, and delete by what they were given.
 */
#include "api/api_int.h"
#include "base/buf.h"
#include "base/metric.h"

static const struct answer_status statuses_in_repo[] = {
    { ST_NOT_FOUND, 404, "MANIFEST_UNKNOWN" },
    { ST_OK, 0, NULL },
};
static const struct answer_status statuses_no_repo[] = {
    { ST_NOT_FOUND, 404, "NAME_UNKNOWN" },
    { ST_OK, 0, NULL },
};

/* The reference in the path. What is no reference can name nothing that is there: 404. */
static bool read_reference(struct http_request *rq, struct reference *out)
{
    struct err err = { 0 };
    if (!oci_check_repo(rq))
        return false;
    if (reference_parse(api_call_of(rq)->reference, out, &err) == ST_OK)
        return true;
    oci_error(rq, 404, "MANIFEST_UNKNOWN", str_of(err.text), STR_NONE);
    return false;
}

static bool find(struct http_request *rq, struct manifest_row *row)
{
    struct api_call *call = api_call_of(rq);
    struct reference ref;
    bool repo_known = false;
    struct err err = { 0 };
    if (!read_reference(rq, &ref))
        return false;
    if (registry_find_manifest(call->api->registry, call->repo, ref.tag,
                               ref.is_digest ? &ref.digest : NULL, &rq->arena, row, &repo_known,
                               &err) == ST_OK)
        return true;
    oci_fail(rq, repo_known ? statuses_in_repo : statuses_no_repo, &err);
    return false;
}

static void answer_manifest(struct http_request *rq, const struct manifest_row *row)
{
    char text[DIGEST_TEXT_MAX + 1];
    str digest = digest_text(&row->digest, text);
    if (oci_answer_condition(rq, digest))
        return;
    http_answer(rq, 200);
    oci_answer_digest(rq, digest);
    http_answer_header(rq, "Content-Type", row->media_type);
    if (rq->method == HTTP_HEAD)
        http_answer_length(rq, row->payload.len);
    else
        http_answer_bytes(rq, row->payload);
}

static void get(struct http_request *rq)
{
    struct registry *registry = api_call_of(rq)->api->registry;
    struct manifest_row row = { 0 };
    if (!find(rq, &row))
        return;
    pulls_note(registry->pulls, row.id, registry_now(registry));
    answer_manifest(rq, &row);
}

static void head(struct http_request *rq)
{
    struct api_call *call = api_call_of(rq);
    struct registry *registry = call->api->registry;
    struct manifest_row row = { 0 };
    struct err err = { 0 };
    int64_t now = registry_now(registry);
    if (!find(rq, &row))
        return;
    if (registry_manifest_wants_lease(registry, &row, now) &&
        registry_lease_manifest(registry, call->repo, &row.digest, now, &err) != ST_OK)
        oci_fail(rq, statuses_in_repo, &err);
    else
        answer_manifest(rq, &row);
}

/* ---- pushing ------------------------------------------------------------------------------- */

/* A push under way. */
struct push {
    struct digest digest;
    struct manifest parsed;
    str *tags;
    size_t tag_count;
};

static bool refuse(struct http_request *rq, int http, const char *code, const struct err *err)
{
    oci_error(rq, http, code, str_of(err->text), STR_NONE);
    return false;
}

/* What the path and ?tag= name: one tag, or a digest with any number of tags. */
static bool read_target(struct http_request *rq, struct push *p)
{
    struct api_call *call = api_call_of(rq);
    size_t most = call->api->options.tags_per_request_max;
    struct reference ref;
    struct err err = { 0 };
    size_t at = 0;
    str tag = STR_NONE;
    bool by_digest = str_cut(call->reference, ':', &(str){ 0 }, &(str){ 0 });
    if (http_query_check(rq, &err) != ST_OK)
        return refuse(rq, 400, "UNSUPPORTED", &err);
    if (reference_parse(call->reference, &ref, &err) != ST_OK)
        return refuse(rq, 400, by_digest ? "DIGEST_INVALID" : "TAG_INVALID", &err);
    p->tags = arena_alloc(&rq->arena, (most + 1) * sizeof(*p->tags));
    if (p->tags == NULL)
        return refuse(rq, 503, "UNAVAILABLE", (err_no_memory(&err), &err));
    if (!ref.is_digest)
        p->tags[p->tag_count++] = ref.tag;
    while (ref.is_digest && http_query_each(rq, "tag", &at, &tag)) {
        if (tag_check(tag, &err) != ST_OK)
            return refuse(rq, 400, "TAG_INVALID", &err);
        if (p->tag_count == most) {
            metric_cell_add(metric_cell(METRIC_LIMIT_HITS, "limit=\"tags_per_request\""), 1);
            err_set(&err, ST_TOO_LARGE,
                    "at most %zu tags can be set by one request"
                    " (limits.tags_per_request)",
                    most);
            return refuse(rq, 414, "TAG_INVALID", &err);
        }
        p->tags[p->tag_count++] = tag;
    }
    digest_of(ref.is_digest ? ref.digest.algorithm : DIGEST_SHA256, rq->body, &p->digest);
    if (!ref.is_digest || digest_eq(&p->digest, &ref.digest))
        return true;
    char text[DIGEST_TEXT_MAX + 1];
    str real = digest_text(&p->digest, text);
    err_set(&err, ST_MISMATCH, "the manifest's bytes are %.*s, not the digest in the path",
            STR_FMT(real));
    return refuse(rq, 400, "DIGEST_INVALID", &err);
}

static bool parse(struct http_request *rq, struct push *p)
{
    static const struct answer_status statuses[] = {
        { ST_INVALID, 400, "MANIFEST_INVALID" },
        { ST_UNSUPPORTED, 400, "MANIFEST_INVALID" },
        { ST_TOO_LARGE, 413, "SIZE_INVALID" },
        { ST_OK, 0, NULL },
    };
    struct err err = { 0 };
    enum st st =
        manifest_parse(rq->body, http_header(rq, "Content-Type"),
                       &api_call_of(rq)->api->options.manifest, &rq->arena, &p->parsed, &err);
    if (st == ST_OK)
        return true;
    if (st == ST_TOO_LARGE)
        metric_cell_add(metric_cell(METRIC_LIMIT_HITS, "limit=\"manifest\""), 1);
    oci_fail(rq, statuses, &err);
    return false;
}

/* One error for each thing that is missing, as clients expect it. */
static void answer_missing(struct http_request *rq, const struct manifest_missing *missing)
{
    AUTO(buf_release) struct buf body = { .max_bytes = 16 * KIB };
    buf_add(&body, STR("{\"errors\":["));
    for (size_t i = 0; i < missing->count; i++) {
        char text[DIGEST_TEXT_MAX + 1];
        str digest = digest_text(&missing->digests[i], text);
        buf_printf(&body,
                   "%s{\"code\":\"MANIFEST_BLOB_UNKNOWN\",\"message\":\"the manifest names %.*s,"
                   " which is not in this repository: push it first\","
                   "\"detail\":{\"digest\":\"%.*s\"}}",
                   i == 0 ? "" : ",", STR_FMT(digest), STR_FMT(digest));
    }
    buf_add(&body, STR("]}\n"));
    api_call_of(rq)->failure = STR("the manifest names content that is not in this repository");
    oci_answer_json(rq, 400, STR("application/json"), arena_dup(&rq->arena, buf_str(&body)));
}

static void answer_pushed(struct http_request *rq, const struct push *p)
{
    struct api_call *call = api_call_of(rq);
    char text[DIGEST_TEXT_MAX + 1];
    str digest = digest_text(&p->digest, text);
    oci_answer_empty(rq, 201);
    oci_answer_location(rq, "manifests", digest);
    http_answer_header(rq, "Docker-Content-Digest", digest);
    call->digest = arena_dup(&rq->arena, digest);
    if (p->parsed.has_subject)
        http_answer_header(rq, "OCI-Subject", digest_text(&p->parsed.subject.digest, text));
    for (size_t i = 0; i < p->tag_count && str_cut(call->reference, ':', &(str){ 0 }, &(str){ 0 });
         i++)
        http_answer_header(rq, "OCI-Tag", p->tags[i]);
}

static void put(struct http_request *rq)
{
    static const struct answer_status statuses[] = {
        { ST_MISMATCH, 400, "MANIFEST_INVALID" },
        { ST_INVALID, 400, "MANIFEST_INVALID" },
        { ST_TOO_LARGE, 400, "MANIFEST_INVALID" },
        { ST_OK, 0, NULL },
    };
    struct api_call *call = api_call_of(rq);
    struct push p = { 0 };
    struct manifest_missing missing = { 0 };
    struct err err = { 0 };
    if (!oci_check_repo(rq) || !read_target(rq, &p) || !parse(rq, &p))
        return;
    const struct registry_push in = {
        .repo = call->repo,
        .actor = gate_actor(rq),
        .parsed = &p.parsed,
        .digest = &p.digest,
        .payload = rq->body,
        .tags = p.tags,
        .tag_count = p.tag_count,
    };
    enum st st = space_take(&call->api->space, rq->body.len, &err);
    if (st == ST_OK)
        st = registry_push_manifest(call->api->registry, &in, registry_now(call->api->registry),
                                    &missing, &err);
    if (st == ST_OK)
        answer_pushed(rq, &p);
    else if (st == ST_MISSING_PART && missing.count > 0)
        answer_missing(rq, &missing);
    else
        oci_fail(rq, statuses, &err);
}

static void remove_manifest(struct http_request *rq)
{
    struct api_call *call = api_call_of(rq);
    struct reference ref;
    struct err err = { 0 };
    if (!oci_check_repo(rq))
        return;
    if (reference_parse(call->reference, &ref, &err) != ST_OK) {
        bool by_digest = str_cut(call->reference, ':', &(str){ 0 }, &(str){ 0 });
        oci_error(rq, by_digest ? 400 : 404, by_digest ? "DIGEST_INVALID" : "MANIFEST_UNKNOWN",
                  str_of(err.text), STR_NONE);
        return;
    }
    struct deletion_order order =
        oci_deletion_order(rq, ref.is_digest ? DELETION_MANIFEST : DELETION_TAG);
    order.tag = ref.tag;
    order.digest = ref.digest;
    oci_delete(rq, &order, "MANIFEST_UNKNOWN");
}

const struct http_route oci_manifest_get_route = { .name = "manifest_get",
                                                   .body_max = API_BODY_DROPPED_MAX,
                                                   .handle = get };
const struct http_route oci_manifest_head_route = {
    .name = "manifest_head", .worker = true, .body_max = API_BODY_DROPPED_MAX, .handle = head
};
/* The limit on its body is the configuration's, set in api_new(). */
const struct http_route oci_manifest_put_route = { .name = "manifest_put",
                                                   .worker = true,
                                                   .handle = put };
const struct http_route oci_manifest_delete_route = { .name = "manifest_delete",
                                                      .worker = true,
                                                      .body_max = API_BODY_DROPPED_MAX,
                                                      .handle = remove_manifest };
