/* SPDX-License-Identifier: Apache-2.0
 *
 * Lists: the version check, tags, the catalog and referrers (distribution-spec, end-1, end-8,
 * end-12, and Docker's _catalog). All are reads and run on the event loop, a page at a time.
 */
#include "api/api_int.h"
#include "base/buf.h"
#include "base/json.h"

#define REFERRERS_BYTES_MAX (4 * MIB) /* clients read no more */
#define INDEX_TYPE          "application/vnd.oci.image.index.v1+json"

static void ping(struct http_request *rq)
{
    oci_answer_json(rq, 200, STR("application/json"), STR("{}"));
}

/* Answers `body` from the arena, or that there is no memory for it. */
static void send_buf(struct http_request *rq, const char *type, const struct buf *body)
{
    struct err err = { 0 };
    str text = STR_NONE;
    if (buf_status(body, &err) == ST_OK) {
        text = arena_dup(&rq->arena, buf_str(body));
        if (text.ptr == NULL)
            err_no_memory(&err);
    }
    if (text.ptr == NULL)
        oci_fail(rq, NULL, &err);
    else
        oci_answer_json(rq, 200, str_of(type), text);
}

static void add_names(struct buf *body, const struct name_page *page)
{
    for (size_t i = 0; i < page->count; i++) {
        if (i > 0)
            buf_add_byte(body, ',');
        json_add_string(body, page->names[i]);
    }
}

static void answer_names(struct http_request *rq, struct buf *body, const struct name_page *page,
                         const struct oci_page *asked)
{
    add_names(body, page);
    buf_add(body, STR("]}\n"));
    send_buf(rq, "application/json", body);
    if (page->more && page->count > 0) {
        str last = http_escape(&rq->arena, page->names[page->count - 1]);
        oci_answer_next(rq, rq->path,
                        arena_printf(&rq->arena, "n=%zu&last=%.*s", asked->limit, STR_FMT(last)));
    }
}

static void tags(struct http_request *rq)
{
    static const struct answer_status statuses[] = {
        { ST_NOT_FOUND, 404, "NAME_UNKNOWN" },
        { ST_OK, 0, NULL },
    };
    AUTO(buf_release) struct buf body = { .max_bytes = 16 * MIB };
    struct api_call *call = api_call_of(rq);
    struct oci_page asked = { 0 };
    struct name_page page = { 0 };
    struct err err = { 0 };
    if (!oci_check_repo(rq) || !oci_read_page(rq, &asked))
        return;
    if (registry_list_tags(call->api->registry, call->repo, asked.last, asked.limit, &rq->arena,
                           &page, &err) != ST_OK) {
        oci_fail(rq, statuses, &err);
        return;
    }
    buf_printf(&body, "{\"name\":\"%.*s\",\"tags\":[", STR_FMT(call->repo));
    answer_names(rq, &body, &page, &asked);
}

static void catalog(struct http_request *rq)
{
    static const struct answer_status statuses[] = { { ST_OK, 0, NULL } };
    AUTO(buf_release) struct buf body = { .max_bytes = 32 * MIB };
    struct oci_page asked = { 0 };
    struct name_page page = { 0 };
    struct err err = { 0 };
    if (!oci_read_page(rq, &asked))
        return;
    if (gate_list_repositories(rq, asked.last, asked.limit, &page, &err) != ST_OK) {
        oci_fail(rq, statuses, &err);
        return;
    }
    buf_add(&body, STR("{\"repositories\":["));
    answer_names(rq, &body, &page, &asked);
}

/* ---- referrers ----------------------------------------------------------------------------- */

static void add_referrer(struct buf *body, const struct referrer *r, bool first)
{
    char text[DIGEST_TEXT_MAX + 1];
    str digest = digest_text(&r->digest, text);
    buf_add(body, first ? STR("{\"mediaType\":") : STR(",{\"mediaType\":"));
    json_add_string(body, r->media_type);
    buf_printf(body, ",\"digest\":\"%.*s\",\"size\":%llu", STR_FMT(digest),
               (unsigned long long)r->size);
    if (r->artifact_type.ptr != NULL) {
        buf_add(body, STR(",\"artifactType\":"));
        json_add_string(body, r->artifact_type);
    }
    if (r->annotations.ptr != NULL) {
        buf_add(body, STR(",\"annotations\":"));
        buf_add(body, r->annotations);
    }
    buf_add_byte(body, '}');
}

/* Adds entries while they fit into what clients read; returns how many. One always fits: a manifest
 * is no larger than the limit, and an entry holds only part of it. */
static size_t add_referrers(struct buf *body, const struct referrer_page *page)
{
    size_t i = 0;
    for (; i < page->count; i++) {
        size_t next = page->items[i].annotations.len + 1024;
        if (i > 0 && body->len + next > REFERRERS_BYTES_MAX)
            break;
        add_referrer(body, &page->items[i], i == 0);
    }
    return i;
}

static void link_to_next(struct http_request *rq, const struct referrer *last, str artifact_type)
{
    char text[DIGEST_TEXT_MAX + 1];
    str digest = digest_text(&last->digest, text);
    str query = arena_printf(&rq->arena, "last=%.*s", STR_FMT(digest));
    if (artifact_type.ptr != NULL) {
        str type = http_escape(&rq->arena, artifact_type);
        query = arena_printf(&rq->arena, "artifactType=%.*s&%.*s", STR_FMT(type), STR_FMT(query));
    }
    oci_answer_next(rq, rq->path, query);
}

static void referrers(struct http_request *rq)
{
    static const struct answer_status statuses[] = { { ST_OK, 0, NULL } };
    AUTO(buf_release) struct buf body = { .max_bytes = 2 * REFERRERS_BYTES_MAX };
    struct api_call *call = api_call_of(rq);
    struct oci_page asked = { 0 };
    struct referrer_page page = { 0 };
    struct digest subject;
    struct digest last;
    struct err err = { 0 };
    str type = STR_NONE;
    if (!oci_check_repo(rq) || !oci_check_digest(rq, call->reference, 400, &subject) ||
        !oci_read_page(rq, &asked))
        return;
    if (asked.last.ptr != NULL && !oci_check_digest(rq, asked.last, 400, &last))
        return;
    (void)http_query(rq, "artifactType", &type);
    if (registry_list_referrers(call->api->registry, call->repo, &subject, type,
                                asked.last.ptr == NULL ? NULL : &last, asked.limit, &rq->arena,
                                &page, &err) != ST_OK) {
        oci_fail(rq, statuses, &err);
        return;
    }
    buf_add(&body, STR("{\"schemaVersion\":2,\"mediaType\":\"" INDEX_TYPE "\",\"manifests\":["));
    size_t added = add_referrers(&body, &page);
    buf_add(&body, STR("]}\n"));
    send_buf(rq, INDEX_TYPE, &body);
    if (type.ptr != NULL)
        http_answer_header(rq, "OCI-Filters-Applied", STR("artifactType"));
    if (added > 0 && (page.more || added < page.count))
        link_to_next(rq, &page.items[added - 1], type);
}

const struct http_route oci_ping_route = { .name = "ping",
                                           .body_max = API_BODY_DROPPED_MAX,
                                           .handle = ping };
const struct http_route oci_catalog_route = { .name = "catalog",
                                              .body_max = API_BODY_DROPPED_MAX,
                                              .handle = catalog };
const struct http_route oci_tags_route = { .name = "tags",
                                           .body_max = API_BODY_DROPPED_MAX,
                                           .handle = tags };
const struct http_route oci_referrers_route = { .name = "referrers",
                                                .body_max = API_BODY_DROPPED_MAX,
                                                .handle = referrers };
