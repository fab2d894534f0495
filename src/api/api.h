/* SPDX-License-Identifier: Apache-2.0
 *
 * api/ - the doors: turns HTTP requests into calls of the engine and statuses into the words of
 * each protocol. It holds no SQL, and deletes only through deletion/.
 *
 * Files begin with their family: oci_ is the OCI distribution API, ebb_ our own (doc/api.md),
 * gitlab_ GitLab's (doc/gitlab.md), acr_ and arm Azure's (doc/azure.md), token_ the token service;
 * operations.c is health and metrics. routes.c knows the paths of OCI and operations, *_routes.c,
 * ebb_doors.c and arm.c those of the others. A request's way: net/ parses it; api_route() picks
 * resource and handler on the event loop; gate.h asks whether they may; the handler runs there
 * (reads) or on a worker (all that may block).
 *
 * Threads: struct api is shared and immutable but for the parts that lock for themselves.
 */
#ifndef EBB_API_H
#define EBB_API_H

#include "auth/auth.h"
#include "deletion/deletion.h"
#include "net/http.h"
#include "reclaim/reclaim.h"

enum api_log_requests { API_LOG_ALL, API_LOG_WRITES, API_LOG_ERRORS, API_LOG_NONE };

struct api_options {
    struct manifest_limits manifest; /* limits.manifest_size, .json_depth, .descriptors */
    size_t tags_per_request_max;     /* limits.tags_per_request */
    size_t page_max;                 /* limits.page_size */
    uint64_t upload_bytes_max;       /* limits.upload_size */
    size_t inline_bytes_max;         /* store.inline_size */
    enum api_log_requests log_requests;
    const char *url;     /* "https://registry.example.org", or NULL */
    const char *address; /* the first address listened on: for clients without a Host */
    bool open_metrics;   /* auth.open_metrics */
    int64_t gitlab_bulk_interval_ms;
    const char *acr_names; /* separated by commas */
};

struct api;

/* `registry`, `deletion` and `auth` stay the caller's and must outlive the api, as must the strings
 * in `options`. `auth` may be NULL (tests): mode open. */
MUST_CHECK enum st api_new(struct registry *registry, struct deletion *deletion, struct auth *auth,
                           const struct api_options *options, struct api **out, struct err *err);
/* Before the first request; the loop must outlive all of them. (It needs the guard below, so it is
 * started after the api is made.) */
void api_set_reclaim(struct api *api, struct reclaim_loop *loop);
void api_free(struct api *api); /* NULL is fine */

/* For http_server_start(). */
struct http_app api_app(struct api *api);
/* For the reclaim loop: keeps it off uploads that a request is writing to. */
struct reclaim_guard api_reclaim_guard(struct api *api);
/* How long reads take, for the reclaim loop's pace. */
struct reclaim_load *api_reclaim_load(struct api *api);

#endif
