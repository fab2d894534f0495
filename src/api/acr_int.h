/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of Azure's API share: /acr/v1 (acr_*.c), and what az asks a resource manager
 * (arm*.c). doc/azure.md has what it answers and where it differs.
 */
#ifndef EBB_ACR_INT_H
#define EBB_ACR_INT_H

#include "api/api_int.h"
#include "api/json_out.h"
#include "meta/artifacts.h"

#define ACR_PAGE 100 /* entries, unless told */

/* ---- answers ------------------------------------------------------------------------------- */

/* {"errors":[{"code":..., "message":..., "detail":...}]}; `detail` is JSON text or unset. */
void acr_error(struct http_request *rq, int http, const char *code, str message, str detail);
/* As oci_fail(), in Azure's words: what a rule or lock forbids is 405
 * REGISTRY_DISALLOWED_OPERATION. */
void acr_fail(struct http_request *rq, const struct answer_status *table, const struct err *err);
/* What is no path of this API: as Azure's router says it. */
void acr_no_page(struct http_request *rq);

/* An answer under way: its text lives to the end of the request. False with the error answered. */
bool acr_begin(struct http_request *rq, struct json_out *out);
void acr_end(struct http_request *rq, int http, struct json_out *out);
/* 202 without a body. */
void acr_accepted(struct http_request *rq);
/* An arena for a page; dies with the request. NULL with the error answered. */
struct arena *acr_arena(struct http_request *rq);

int64_t acr_now(const struct http_request *rq);
/* A time of the registry: UTC, without zeros at the end of its fraction. */
void acr_add_time(struct http_request *rq, struct json_out *o, const char *key, int64_t r);
void acr_add_attributes(struct json_out *o, unsigned may);
/* A text that must be there: unset means that there was no memory for it, and the answer will be
 * 503. */
void acr_add_text(struct json_out *o, const char *key, str text);
/* "registry" and "imageName". */
void acr_add_names(struct http_request *rq, struct json_out *o);
/* gate_url() without its scheme. */
str acr_host(struct http_request *rq);

/* ---- pages --------------------------------------------------------------------------------- */

struct acr_page {
    size_t limit;
    str last; /* or unset */
    str orderby;
    enum artifacts_order order;
    /* `last`, taken apart: a time when it was ours. */
    bool has_time;
    int64_t time;
    str name;
};
/* Answers 400 and returns false for a bad query. */
bool acr_read_page(struct http_request *rq, struct acr_page *out);
/* Link with `last` as the place behind an entry: `time` 0 for the bare name. `more` is added to the
 * query as it is. */
void acr_answer_next(struct http_request *rq, const struct acr_page *page, int64_t time, str name,
                     str more);

/* ---- locks --------------------------------------------------------------------------------- */

/* PATCH: reads the body and sets the lock. False with the error answered; `unknown` is the code of
 * a 404. */
bool acr_set_lock(struct http_request *rq, const struct lock_object *object, const char *unknown);

/* What the configuration of an image says of its platform; parts that it does not say are unset.
 * Failures are no errors: there is nothing to be told then. *budget is what may still be read. */
struct acr_platform {
    str architecture;
    str os;
};
void acr_read_platform(struct http_request *rq, const struct blob_row *config, uint64_t *budget,
                       struct arena *a, struct acr_platform *out);

/* "references" of an index: its children, with their platforms. */
void acr_add_references(struct json_out *o, str payload);

/* ---- doors --------------------------------------------------------------------------------- */

/* call->repo is a name by its grammar in all of them; call->reference a tag or a digest. */
void acr_repository_get(struct http_request *rq);
void acr_repository_patch(struct http_request *rq);
void acr_repository_delete(struct http_request *rq);
void acr_tags_get(struct http_request *rq);
void acr_tag_get(struct http_request *rq);
void acr_tag_patch(struct http_request *rq);
void acr_tag_delete(struct http_request *rq);
void acr_manifests_get(struct http_request *rq);
void acr_manifest_get(struct http_request *rq);
void acr_manifest_patch(struct http_request *rq);
void acr_deleted_catalog_get(struct http_request *rq);
void acr_deleted_manifests_get(struct http_request *rq);
void acr_deleted_tags_get(struct http_request *rq);
void acr_deleted_manifest_post(struct http_request *rq);

#endif
