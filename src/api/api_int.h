/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of api/ share.
 */
#ifndef EBB_API_INT_H
#define EBB_API_INT_H

#include "api/answer.h"
#include "api/api.h"
#include "api/gate.h"
#include "api/space.h"
#include "api/upload_table.h"
#include "check/check_job.h"
#include "oci/name.h"

struct api {
    struct registry *registry;
    struct auth *auth;
    bool accounts; /* auth.mode */
    struct api_options options;
    struct http_route manifest_put_route; /* with the configured limit on its body */
    struct upload_table uploads;
    struct space space;
    struct check_job *check;
    struct reclaim_load load;
    struct deletion *deletion;
    struct reclaim_loop *reclaim; /* NULL until api_set_reclaim() */
};

struct ebb_door;

/* Of one request, in its arena: what the path named, and what the log says about it. */
struct api_call {
    struct api *api;
    str repo;
    str reference;               /* tag or digest as sent; id of an upload */
    str digest;                  /* for the log: what the request was about in the end */
    str failure;                 /* for the log: the message of an error answer */
    void *work;                  /* the handler's own, between the calls of a sink */
    const struct ebb_door *door; /* of a request under /api/ebb/v1 */
    str absent;                  /* its answer for what is not there, or not to be seen; or unset */
    struct identity who;         /* see gate.h */
    const struct gate_family *family; /* whose door it came by */
    struct gate_state *gate;          /* gate.c's own */
};

static inline struct api_call *api_call_of(const struct http_request *rq)
{
    return rq->state;
}

/* Bodies that mean nothing, such as of a GET, are read up to this and dropped. */
#define API_BODY_DROPPED_MAX (64 * KIB)

/* ---- answers ------------------------------------------------------------------------------ */

/* {"errors":[{"code":..., "message":..., "detail":...}]}; `detail` is JSON text or unset. */
void oci_error(struct http_request *rq, int http, const char *code, str message, str detail);
/* Its text; the message is for the log, too. */
str oci_error_text(struct http_request *rq, const char *code, str message, str detail);

/* Answers with the entry of `table` (ended by an ST_OK entry) for err->st, else with the entry that
 * all share (full disk, busy, ...), else with 500 UNKNOWN; the cause of a 5xx goes to the log. */
void oci_fail(struct http_request *rq, const struct answer_status *table, const struct err *err);

void oci_answer_json(struct http_request *rq, int http, str type, str body);
void oci_answer_empty(struct http_request *rq, int http);
/* Docker-Content-Digest and ETag. */
void oci_answer_digest(struct http_request *rq, str digest);
/* An absolute path without host, which no proxy can get wrong. */
void oci_answer_location(struct http_request *rq, const char *kind, str name);

/* Checks call->repo; answers and returns false when it is no name. A name outside the grammar can
 * name nothing: 404 when reading, 400 when writing. */
bool oci_check_repo(struct http_request *rq);
/* As a digest; answers and returns false when it is none. */
bool oci_check_digest(struct http_request *rq, str text, int http, struct digest *out);

/* True, with 304 or 412 answered, when a conditional header (RFC 9110, 13) settles the request. */
bool oci_answer_condition(struct http_request *rq, str digest);

/* What deletes log and record about who asked. */
struct deletion_order oci_deletion_order(const struct http_request *rq, enum deletion_kind kind);
/* Applies it and answers 202, or the error. `unknown` is the code of a 404 in a known repository.
 */
void oci_delete(struct http_request *rq, const struct deletion_order *order, const char *unknown);

/* A page of a list as the query asks for it: ?n= and ?last=. */
struct oci_page {
    size_t limit;
    str last;
};
/* Answers 400 and returns false for a bad query. */
bool oci_read_page(struct http_request *rq, struct oci_page *out);
/* Link: <path?query>; rel="next" (RFC 8288). */
void oci_answer_next(struct http_request *rq, str path, str query);

/* ---- routes ------------------------------------------------------------------------------- */

extern const struct http_route oci_ping_route;
extern const struct http_route oci_catalog_route;
extern const struct http_route oci_tags_route;
extern const struct http_route oci_referrers_route;
extern const struct http_route oci_blob_get_route;
extern const struct http_route oci_blob_head_route;
extern const struct http_route oci_blob_delete_route;
extern const struct http_route oci_upload_start_route;
extern const struct http_route oci_upload_single_route; /* POST ?digest=, with the bytes */
extern const struct http_route oci_upload_patch_route;
extern const struct http_route oci_upload_put_route;
extern const struct http_route oci_upload_status_route;
extern const struct http_route oci_upload_cancel_route;
extern const struct http_route oci_manifest_get_route;
extern const struct http_route oci_manifest_head_route;
extern const struct http_route oci_manifest_put_route; /* copied into struct api, with its limit */
extern const struct http_route oci_manifest_delete_route;

/* Paths outside /v2: /healthz, /readyz, /metrics. NULL when it is none of them. */
const struct http_route *operations_route(struct http_request *rq);
extern const struct http_route operations_metrics_route;

/* The other families; each NULL when the path is none of theirs.
 *   token_route   /token, /jwt/auth, /oauth2/... (token_*.c)
 *   gitlab_route  /api/v4/... (gitlab_*.c)
 *   acr_route     /acr/v1/... (acr_*.c)
 *   arm_route     //metadata/endpoints, /adfs/..., /subscriptions...: what az needs (arm.c) */
const struct http_route *token_route(struct http_request *rq);
const struct http_route *gitlab_route(struct http_request *rq);
const struct http_route *acr_route(struct http_request *rq);
const struct http_route *arm_route(struct http_request *rq);
/* What net/ refused of theirs, in their words. */
bool gitlab_is_mine(str path);
void gitlab_refuse(struct http_request *rq, const struct http_refusal *why);

/* /api/ebb/v1 and below; NULL when it is none of them. */
const struct http_route *ebb_route(struct http_request *rq);
bool ebb_is_mine(str path);
void ebb_refuse(struct http_request *rq, const struct http_refusal *why);

#endif
