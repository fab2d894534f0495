/* SPDX-License-Identifier: Apache-2.0
 *
 * Uploads: POST /v2/<name>/blobs/uploads/, then PATCH, PUT, GET and DELETE of the session
 * (distribution-spec, end-4, end-5, end-6, end-11, end-13, end-14).
 *
 *   POST ──202──▶ session ──PATCH 202──▶ session ──PUT ?digest= 201──▶ blob
 *     │?mount= 201 ▶ blob    │DELETE 204 ▶ nothing
 *     └?digest= with the bytes 201 ▶ blob
 *
 * The session's id alone identifies it: nothing in the Location but the path, so a Location that is
 * out of date still works, and the server's offset is the truth (416 otherwise).
 */
#include <inttypes.h>

#include "api/upload.h"
#include "base/log.h"
#include "base/metric.h"
#include "oci/range.h"

static const struct answer_status statuses[] = {
    { ST_NOT_FOUND, 404, "BLOB_UPLOAD_UNKNOWN" },
    { ST_TOO_LARGE, 413, "SIZE_INVALID" },
    { ST_MISMATCH, 400, "DIGEST_INVALID" },
    { ST_DAMAGED, 400, "BLOB_UPLOAD_INVALID" },
    { ST_OK, 0, NULL },
};
/* Of taking an upload: another request may have it. */
static const struct answer_status open_statuses[] = {
    { ST_NOT_FOUND, 404, "BLOB_UPLOAD_UNKNOWN" },
    { ST_BUSY, 400, "BLOB_UPLOAD_INVALID" },
    { ST_OK, 0, NULL },
};
static const struct answer_status start_statuses[] = {
    { ST_TOO_LARGE, 429, "TOOMANYREQUESTS" },
    { ST_OK, 0, NULL },
};

/* A request that carries bytes. */
struct transfer {
    struct upload_work upload;
    bool has_range;
    struct range range; /* Content-Range */
    uint64_t before;    /* size of the upload when the request came */
    bool ends;          /* PUT and single POST: makes it a blob */
    bool single;        /* single POST: nobody can resume it */
    struct digest want;
};

static struct transfer *transfer_of(const struct http_request *rq)
{
    return api_call_of(rq)->work;
}

/* ---- answers ------------------------------------------------------------------------------- */

/* "0-<last byte>". An empty session has no true range: Docker expects 0-0 of a 202; who resumes by
 * a status or a 416 adds one to what follows the dash, so there it is 0--1. */
static void answer_session(struct http_request *rq, int http, str id, uint64_t size)
{
    bool accepted = http == 202;
    str range = size > 0   ? arena_printf(&rq->arena, "0-%" PRIu64, size - 1)
                : accepted ? STR("0-0")
                           : STR("0--1");
    if (http != 416)
        oci_answer_empty(rq, http);
    oci_answer_location(rq, "blobs/uploads", id);
    http_answer_header(rq, "Range", range);
    http_answer_header(rq, "Docker-Upload-UUID", id);
}

static void answer_blob(struct http_request *rq, const struct digest *d)
{
    char text[DIGEST_TEXT_MAX + 1];
    str digest = digest_text(d, text);
    oci_answer_empty(rq, 201);
    oci_answer_location(rq, "blobs", digest);
    http_answer_header(rq, "Docker-Content-Digest", digest);
    api_call_of(rq)->digest = arena_dup(&rq->arena, digest);
}

/* A full disk is helped by giving the upload's bytes back; after other failures it can be resumed,
 * if anybody knows its id. */
static void fail_transfer(struct http_request *rq, struct err *err)
{
    struct transfer *t = transfer_of(rq);
    struct upload_work *w = &t->upload;
    if (w->entry != NULL && (t->single || err->st == ST_FULL || err->st == ST_TOO_LARGE))
        upload_discard(w);
    upload_abandon(w);
    oci_fail(rq, statuses, err);
}

/* ---- starting ------------------------------------------------------------------------------ */

/* Without ?from= any repository will do in which the blob is and that this caller may pull: the
 * first of so many. Unset: there is none. */
#define MOUNT_LOOKS_MAX 1000

static str find_source(struct http_request *rq, const struct digest *d)
{
    struct name_page homes = { 0 };
    if (registry_blob_homes(api_call_of(rq)->api->registry, d, MOUNT_LOOKS_MAX, &rq->arena, &homes,
                            NULL) != ST_OK)
        return STR_NONE;
    for (size_t i = 0; i < homes.count; i++)
        if (gate_may(rq, homes.names[i], RIGHT_PULL))
            return homes.names[i];
    return STR_NONE;
}

/* ?mount=: true when it was answered. Whatever does not fit starts a session instead, with the same
 * answer for what is not there and what may not be seen. */
static bool mount(struct http_request *rq)
{
    struct api_call *call = api_call_of(rq);
    str wanted = STR_NONE;
    str from = STR_NONE;
    struct digest digest;
    struct err err = { 0 };
    if (!http_query(rq, "mount", &wanted) || digest_parse(wanted, &digest, &err) != ST_OK)
        return false;
    if (http_query(rq, "from", &from) && name_check(from, &err) != ST_OK)
        return false;
    if (from.ptr == NULL && call->api->accounts && (from = find_source(rq, &digest)).ptr == NULL)
        return false;
    if (from.ptr != NULL && !gate_may(rq, from, RIGHT_PULL))
        return false;
    struct registry *registry = call->api->registry;
    enum st st = registry_mount(registry, call->repo, from, &digest, registry_now(registry), &err);
    if (st == ST_NOT_FOUND)
        return false;
    if (st == ST_OK)
        answer_blob(rq, &digest);
    else
        oci_fail(rq, statuses, &err);
    return true;
}

/* ?digest-algorithm=; sha256 when absent. */
static bool read_algorithm(struct http_request *rq, enum digest_algorithm *out)
{
    struct err err = { 0 };
    str name = STR_NONE;
    *out = DIGEST_SHA256;
    if (!http_query(rq, "digest-algorithm", &name) ||
        digest_algorithm_parse(name, out, &err) == ST_OK)
        return true;
    oci_error(rq, 400, "DIGEST_INVALID", str_of(err.text), STR_NONE);
    return false;
}

static bool check_query(struct http_request *rq)
{
    struct err err = { 0 };
    if (http_query_check(rq, &err) == ST_OK)
        return true;
    oci_error(rq, 400, "UNSUPPORTED", str_of(err.text), STR_NONE);
    return false;
}

static void start(struct http_request *rq)
{
    struct api_call *call = api_call_of(rq);
    enum digest_algorithm algorithm = DIGEST_SHA256;
    struct upload_work w = { 0 };
    struct err err = { 0 };
    if (!oci_check_repo(rq) || !check_query(rq) || mount(rq) || !read_algorithm(rq, &algorithm))
        return;
    if (space_need(&call->api->space, 1, &err) != ST_OK) {
        oci_fail(rq, statuses, &err);
        return;
    }
    if (upload_start(call->api, call->repo, gate_actor(rq), algorithm, &w, &err) != ST_OK) {
        oci_fail(rq, start_statuses, &err);
        return;
    }
    str id = arena_dup(&rq->arena, str_of(w.entry->id));
    upload_abandon(&w);
    answer_session(rq, 202, id, 0);
}

/* ---- receiving ----------------------------------------------------------------------------- */

static void release_transfer(void *arg)
{
    upload_abandon(&((struct transfer *)arg)->upload);
}

static struct transfer *transfer_new(struct http_request *rq)
{
    struct transfer *t = arena_alloc(&rq->arena, sizeof(*t));
    if (t == NULL) {
        oci_error(rq, 503, "UNAVAILABLE", STR("out of memory"), STR_NONE);
        return NULL;
    }
    api_call_of(rq)->work = t;
    http_on_end(rq, release_transfer, t);
    return t;
}

/* ?digest= of a request that ends the upload. */
static bool read_want(struct http_request *rq, struct transfer *t)
{
    str digest = STR_NONE;
    if (!http_query(rq, "digest", &digest)) {
        oci_error(rq, 400, "DIGEST_INVALID",
                  STR("the request that ends an upload needs ?digest=<algorithm>:<hex>"), STR_NONE);
        return false;
    }
    return oci_check_digest(rq, digest, 400, &t->want);
}

static void refuse_order(struct http_request *rq, struct transfer *t)
{
    str text = arena_printf(
        &rq->arena, "the next byte of this upload is %" PRIu64 "; the chunk does not begin there",
        t->before);
    str id = arena_dup(&rq->arena, str_of(t->upload.entry->id));
    upload_abandon(&t->upload);
    oci_error(rq, 416, "BLOB_UPLOAD_INVALID", text, STR_NONE);
    answer_session(rq, 416, id, t->before);
}

static void refuse_length(struct http_request *rq, struct transfer *t)
{
    upload_abandon(&t->upload);
    oci_error(rq, 400, "SIZE_INVALID", STR("the chunk's length is not what Content-Range says"),
              STR_NONE);
}

/* Content-Range: <first>-<last>; absent means "the next bytes". False when it was answered. */
static bool check_content_range(struct http_request *rq, struct transfer *t)
{
    struct err err = { 0 };
    str header = http_header(rq, "Content-Range");
    t->has_range = header.ptr != NULL;
    if (!t->has_range)
        return true;
    if (range_parse_chunk(header, &t->range, &err) != ST_OK) {
        upload_abandon(&t->upload);
        oci_error(rq, 400, "BLOB_UPLOAD_INVALID", str_of(err.text), STR_NONE);
        return false;
    }
    if (t->range.first != t->before) {
        refuse_order(rq, t);
        return false;
    }
    if (rq->body_length >= 0 && t->range.last - t->range.first + 1 != (uint64_t)rq->body_length) {
        refuse_length(rq, t);
        return false;
    }
    return true;
}

/* Room and limits, as far as the announced length tells. */
static enum st check_length(struct http_request *rq, struct transfer *t, struct err *err)
{
    struct api *api = api_call_of(rq)->api;
    uint64_t length = rq->body_length > 0 ? (uint64_t)rq->body_length : 0;
    if (length > api->options.upload_bytes_max - MIN(t->before, api->options.upload_bytes_max)) {
        metric_cell_add(metric_cell(METRIC_LIMIT_HITS, "limit=\"upload_size\""), 1);
        return err_set(err, ST_TOO_LARGE,
                       "a blob may have %" PRIu64 " bytes here (limits.upload_size); this one has"
                       " more",
                       api->options.upload_bytes_max);
    }
    return rq->body_length == 0 ? ST_OK : space_need(&api->space, length, err);
}

static void begin_session(struct http_request *rq, bool ends)
{
    struct api_call *call = api_call_of(rq);
    struct err err = { 0 };
    struct transfer *t = NULL;
    if (!oci_check_repo(rq) || !check_query(rq) || (t = transfer_new(rq)) == NULL)
        return;
    t->ends = ends;
    if (ends && !read_want(rq, t))
        return;
    if (upload_open(call->api, call->repo, call->reference, gate_actor(rq), &t->upload, &err) !=
        ST_OK) {
        oci_fail(rq, open_statuses, &err);
        return;
    }
    t->before = t->upload.size;
    if (!check_content_range(rq, t))
        return;
    if (check_length(rq, t, &err) != ST_OK)
        fail_transfer(rq, &err);
    else if (ends)
        upload_expect(&t->upload, t->want.algorithm);
}

static void begin_patch(struct http_request *rq)
{
    begin_session(rq, false);
}

static void begin_put(struct http_request *rq)
{
    begin_session(rq, true);
}

static void begin_single(struct http_request *rq)
{
    struct api_call *call = api_call_of(rq);
    struct err err = { 0 };
    struct transfer *t = NULL;
    if (!oci_check_repo(rq) || !check_query(rq) || (t = transfer_new(rq)) == NULL)
        return;
    t->ends = t->single = true;
    if (!read_want(rq, t))
        return;
    if (check_length(rq, t, &err) != ST_OK)
        oci_fail(rq, statuses, &err);
    else if (upload_start(call->api, call->repo, gate_actor(rq), t->want.algorithm, &t->upload,
                          &err) != ST_OK)
        oci_fail(rq, start_statuses, &err);
}

static void add(struct http_request *rq, const void *bytes, size_t len)
{
    struct err err = { 0 };
    if (upload_add(&transfer_of(rq)->upload, bytes, len, &err) != ST_OK)
        fail_transfer(rq, &err);
}

/* The client went away. What came stays, so that it can go on from there. */
static void end_early(struct http_request *rq, struct transfer *t)
{
    struct err err = { 0 };
    enum st st = ST_OK;
    if (t->single)
        upload_discard(&t->upload);
    else if (t->upload.size > t->before)
        st = upload_pause(&t->upload, &err);
    if (st != ST_OK)
        log_event(LOG_WARN, "an interrupted upload could not be kept", LOG_STR("id", rq->id),
                  LOG_STR("error", str_of(err.text)));
    upload_abandon(&t->upload);
}

static void end(struct http_request *rq, bool complete)
{
    struct transfer *t = transfer_of(rq);
    struct err err = { 0 };
    uint64_t length = t->upload.size - t->before;
    if (!complete) {
        end_early(rq, t);
        return;
    }
    if (t->has_range && t->range.last - t->range.first + 1 != length) {
        refuse_length(rq, t);
        return;
    }
    uint64_t size = t->upload.size;
    str id = arena_dup(&rq->arena, str_of(t->upload.entry->id));
    enum st st =
        t->ends ? upload_finish(&t->upload, &t->want, &err) : upload_pause(&t->upload, &err);
    if (st != ST_OK)
        fail_transfer(rq, &err);
    else if (t->ends)
        answer_blob(rq, &t->want);
    else
        answer_session(rq, 202, id, size);
}

/* ---- status and cancel --------------------------------------------------------------------- */

static void status(struct http_request *rq)
{
    struct api_call *call = api_call_of(rq);
    struct upload_row row = { 0 };
    struct err err = { 0 };
    if (!oci_check_repo(rq))
        return;
    enum st st = registry_find_upload(call->api->registry, call->repo, call->reference, &rq->arena,
                                      &row, &err);
    if (st == ST_OK && row.actor.ptr != NULL && !str_eq(row.actor, gate_actor(rq)))
        st = err_set(&err, ST_NOT_FOUND, "there is no such upload in %.*s", STR_FMT(call->repo));
    if (st != ST_OK)
        oci_fail(rq, statuses, &err);
    else
        answer_session(rq, 204, call->reference, row.size);
}

static void cancel(struct http_request *rq)
{
    struct api_call *call = api_call_of(rq);
    struct upload_work w = { 0 };
    struct err err = { 0 };
    if (!oci_check_repo(rq))
        return;
    enum st st = upload_open(call->api, call->repo, call->reference, gate_actor(rq), &w, &err);
    if (st == ST_OK)
        st = upload_cancel(&w, &err);
    if (st == ST_OK)
        oci_answer_empty(rq, 204);
    else
        oci_fail(rq, open_statuses, &err);
}

static const struct http_sink patch_sink = { .begin = begin_patch, .add = add, .end = end };
static const struct http_sink put_sink = { .begin = begin_put, .add = add, .end = end };
static const struct http_sink single_sink = { .begin = begin_single, .add = add, .end = end };

/* The limit on a blob is upload_add()'s: it counts over all chunks. */
const struct http_route oci_upload_start_route = {
    .name = "upload_start", .worker = true, .body_max = API_BODY_DROPPED_MAX, .handle = start
};
const struct http_route oci_upload_single_route = {
    .name = "upload_single", .worker = true, .body_max = UINT64_MAX, .sink = &single_sink
};
const struct http_route oci_upload_patch_route = {
    .name = "upload_patch", .worker = true, .body_max = UINT64_MAX, .sink = &patch_sink
};
const struct http_route oci_upload_put_route = {
    .name = "upload_put", .worker = true, .body_max = UINT64_MAX, .sink = &put_sink
};
const struct http_route oci_upload_status_route = { .name = "upload_status",
                                                    .body_max = API_BODY_DROPPED_MAX,
                                                    .handle = status };
const struct http_route oci_upload_cancel_route = {
    .name = "upload_cancel", .worker = true, .body_max = API_BODY_DROPPED_MAX, .handle = cancel
};
