/* SPDX-License-Identifier: Apache-2.0
 *
 * Blobs: GET, HEAD and DELETE /v2/<name>/blobs/<digest> (distribution-spec, end-2 and end-10).
 *
 * GET runs on the event loop: one look-up, one open, and the kernel sends the file. HEAD runs on a
 * worker, because a blob that no manifest uses gets its lease renewed before it is promised.
 */
#include <inttypes.h>

#include "api/api_int.h"
#include "base/log.h"
#include "base/metric.h"
#include "oci/range.h"

#define BOUNDARY  "ebb-" /* followed by the request's id */
#define BLOB_TYPE STR("application/octet-stream")

static const struct answer_status statuses_in_repo[] = {
    { ST_NOT_FOUND, 404, "BLOB_UNKNOWN" },
    { ST_DAMAGED, 404, "BLOB_UNKNOWN" },
    { ST_OK, 0, NULL },
};
static const struct answer_status statuses_no_repo[] = {
    { ST_NOT_FOUND, 404, "NAME_UNKNOWN" },
    { ST_OK, 0, NULL },
};

/* Finds the blob that the path names; answers and returns false when there is none. */
static bool find(struct http_request *rq, struct digest *digest, struct blob_row *row)
{
    struct api_call *call = api_call_of(rq);
    bool repo_known = false;
    struct err err = { 0 };
    if (!oci_check_repo(rq) || !oci_check_digest(rq, call->reference, 404, digest))
        return false;
    if (registry_find_blob(call->api->registry, call->repo, digest, &rq->arena, row, &repo_known,
                           &err) == ST_OK)
        return true;
    oci_fail(rq, repo_known ? statuses_in_repo : statuses_no_repo, &err);
    return false;
}

static void answer_blob_headers(struct http_request *rq, str type)
{
    oci_answer_digest(rq, api_call_of(rq)->reference);
    http_answer_header(rq, "Content-Type", type);
    http_answer_header(rq, "Accept-Ranges", STR("bytes"));
    http_answer_header(rq, "Cache-Control", STR("private, max-age=31536000"));
}

/* ---- the bytes ----------------------------------------------------------------------------- */

/* Where the bytes come from: the row, or the store. */
struct source {
    str bytes;
    int fd; /* used when bytes.ptr is NULL */
    uint64_t size;
};

static void close_reader(void *arg)
{
    blob_reader_close(arg);
}

/* Bytes that are gone or cut short: nobody may get them as the blob, and the next push heals it.
 * Marking it is a commit on an event loop, once for a damaged blob. */
static void report_damage(struct http_request *rq, const struct blob_row *row, const char *what)
{
    struct api_call *call = api_call_of(rq);
    struct err err = { 0 };
    log_event(LOG_ERROR, "blob is damaged", LOG_STR("digest", call->reference),
              LOG_STR("name", row->name), LOG_STR("what", str_of(what)));
    metric_add(METRIC_BLOB_DAMAGED, 1);
    if (registry_report_damage(call->api->registry, row, registry_now(call->api->registry), &err) !=
        ST_OK)
        log_failure("a damaged blob could not be marked", &err);
}

/* Opens what the row says. The row may be older than a removal: ST_NOT_FOUND then. */
static enum st open_source(struct http_request *rq, const struct blob_row *row, struct source *out,
                           struct err *err)
{
    if (row->data.ptr != NULL) {
        *out = (struct source){ .bytes = row->data, .fd = -1, .size = row->data.len };
        return ST_OK;
    }
    struct blob_reader *reader = arena_alloc(&rq->arena, sizeof(*reader));
    if (reader == NULL)
        return err_no_memory(err);
    *reader = BLOB_READER_NONE;
    enum st st = blob_reader_open(api_call_of(rq)->api->registry->store, row->name, reader, err);
    if (st != ST_OK)
        return st;
    http_on_end(rq, close_reader, reader);
    *out = (struct source){ .bytes = reader->bytes, .fd = reader->fd, .size = reader->size };
    return ST_OK;
}

static void add_part(struct http_request *rq, const struct source *from, uint64_t first,
                     uint64_t length)
{
    if (from->bytes.ptr != NULL)
        http_answer_bytes(rq, str_slice(from->bytes, (size_t)first, (size_t)(first + length)));
    else if (length > 0)
        http_answer_file(rq, from->fd, first, length);
}

static str content_range(struct http_request *rq, const struct range *range, uint64_t size)
{
    return arena_printf(&rq->arena, "bytes %" PRIu64 "-%" PRIu64 "/%" PRIu64, range->first,
                        range->last, size);
}

static void answer_parts(struct http_request *rq, const struct source *from,
                         const struct range *ranges, size_t count)
{
    http_answer(rq, 206);
    if (count == 1) {
        answer_blob_headers(rq, BLOB_TYPE);
        http_answer_header(rq, "Content-Range", content_range(rq, &ranges[0], from->size));
        add_part(rq, from, ranges[0].first, ranges[0].last - ranges[0].first + 1);
        return;
    }
    answer_blob_headers(rq,
                        arena_printf(&rq->arena, "multipart/byteranges; boundary=" BOUNDARY "%.*s",
                                     STR_FMT(rq->id)));
    for (size_t i = 0; i < count; i++) {
        str where = content_range(rq, &ranges[i], from->size);
        http_answer_bytes(rq, arena_printf(&rq->arena,
                                           "\r\n--" BOUNDARY "%.*s\r\n"
                                           "Content-Type: application/octet-stream\r\n"
                                           "Content-Range: %.*s\r\n\r\n",
                                           STR_FMT(rq->id), STR_FMT(where)));
        add_part(rq, from, ranges[i].first, ranges[i].last - ranges[i].first + 1);
    }
    http_answer_bytes(rq,
                      arena_printf(&rq->arena, "\r\n--" BOUNDARY "%.*s--\r\n", STR_FMT(rq->id)));
}

/* If-Range with another entity tag means: the whole blob (RFC 9110, 13.1.5). */
static str range_header(const struct http_request *rq, str digest)
{
    str only_if = http_header(rq, "If-Range");
    bool quoted = str_starts(only_if, STR("\"")) && str_ends(only_if, STR("\""));
    str bare = quoted && only_if.len > 1 ? str_slice(only_if, 1, only_if.len - 1) : STR("");
    if (only_if.ptr != NULL && !str_eq(bare, digest))
        return STR_NONE;
    return http_header(rq, "Range");
}

static void answer_source(struct http_request *rq, const struct source *from)
{
    struct range ranges[RANGE_COUNT_MAX];
    size_t count = 0;
    switch (range_parse(range_header(rq, api_call_of(rq)->reference), from->size, ranges, &count)) {
    case RANGE_PART:
        answer_parts(rq, from, ranges, count);
        return;
    case RANGE_UNSATISFIABLE:
        oci_error(rq, 416, "RANGE_INVALID", STR("the range lies outside the blob"), STR_NONE);
        http_answer_header(rq, "Content-Range",
                           arena_printf(&rq->arena, "bytes */%" PRIu64, from->size));
        return;
    case RANGE_WHOLE:
        http_answer(rq, 200);
        answer_blob_headers(rq, BLOB_TYPE);
        add_part(rq, from, 0, from->size);
        return;
    }
}

static void get(struct http_request *rq)
{
    struct digest digest;
    struct blob_row row = { 0 };
    struct source from = { 0 };
    struct err err = { 0 };
    enum st st = ST_NOT_FOUND;
    /* A blob that was reclaimed between look-up and open is looked up again: it may have been
     * pushed anew, under another name. */
    for (int attempt = 0; attempt < 2 && st == ST_NOT_FOUND; attempt++) {
        if (!find(rq, &digest, &row))
            return;
        if (attempt == 0 && oci_answer_condition(rq, api_call_of(rq)->reference))
            return;
        st = open_source(rq, &row, &from, &err);
    }
    if (st == ST_NOT_FOUND || (st == ST_OK && from.size != row.size)) {
        report_damage(rq, &row,
                      st == ST_OK ? "its size is not what it was" : "its file is missing");
        err_set(&err, ST_DAMAGED,
                "the stored bytes of this blob are damaged; pushing it again heals it");
        st = ST_DAMAGED;
    }
    if (st != ST_OK)
        oci_fail(rq, statuses_in_repo, &err);
    else
        answer_source(rq, &from);
}

static void head(struct http_request *rq)
{
    struct api_call *call = api_call_of(rq);
    struct registry *registry = call->api->registry;
    struct digest digest;
    struct blob_row row = { 0 };
    struct err err = { 0 };
    int64_t now = registry_now(registry);
    if (!find(rq, &digest, &row))
        return;
    if (registry_blob_wants_lease(registry, &row, now) &&
        registry_lease_blob(registry, call->repo, &digest, now, &err) != ST_OK) {
        oci_fail(rq, statuses_in_repo, &err);
        return;
    }
    if (oci_answer_condition(rq, call->reference))
        return;
    http_answer(rq, 200);
    answer_blob_headers(rq, BLOB_TYPE);
    http_answer_length(rq, row.size);
}

static void remove_blob(struct http_request *rq)
{
    struct deletion_order order = oci_deletion_order(rq, DELETION_BLOB);
    if (oci_check_repo(rq) && oci_check_digest(rq, api_call_of(rq)->reference, 400, &order.digest))
        oci_delete(rq, &order, "BLOB_UNKNOWN");
}

const struct http_route oci_blob_get_route = { .name = "blob_get",
                                               .body_max = API_BODY_DROPPED_MAX,
                                               .handle = get };
const struct http_route oci_blob_head_route = {
    .name = "blob_head", .worker = true, .body_max = API_BODY_DROPPED_MAX, .handle = head
};
const struct http_route oci_blob_delete_route = {
    .name = "blob_delete", .worker = true, .body_max = API_BODY_DROPPED_MAX, .handle = remove_blob
};
