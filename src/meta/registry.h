/* SPDX-License-Identifier: Apache-2.0
 *
 * registry - what api/ calls: each function is one transaction. Reads run where they are called (an
 * event loop may call them: they touch the database only for as long as a look-up takes); writes
 * block until they are durable and belong on a worker.
 *
 * Names and references were checked against their grammar before (oci/name.h). Strings that come
 * out live in the arena given.
 *
 * Threads: any.
 */
#ifndef EBB_REGISTRY_H
#define EBB_REGISTRY_H

#include "blob/blob.h"
#include "meta/protection.h"
#include "meta/pulls.h"
#include "meta/registry_time.h"
#include "meta/tags.h"
#include "meta/uploads.h"

struct registry {
    struct db *db;
    struct blob_store *store;
    struct keeping keeping;
    int64_t upload_rest_ms;        /* limits.upload_rest */
    uint64_t uploads_per_repo_max; /* limits.uploads_per_repository */
    bool sparse_index;             /* oci.sparse_index */
    /* These may be NULL (tests): rules are compiled in every transaction, pulls are not noted, and
     * the time is the wall clock's. */
    struct protection_cache *protection;
    struct pulls *pulls;
    struct registry_time *time; /* set by registry_time_open() */
};

/* Statuses of the reads below: ST_NOT_FOUND; *repo_known tells whether the repository is there;
 * ST_DENIED with a sentence: a lock (locks.h). Lists leave out what a lock hides. */

/* A whole, visible blob. ST_DAMAGED for one that is known to be damaged. */
MUST_CHECK enum st registry_find_blob(struct registry *r, str repo, const struct digest *d,
                                      struct arena *a, struct blob_row *out, bool *repo_known,
                                      struct err *err);
/* What a HEAD promises: true when the link's lease must be renewed before it is answered. */
bool registry_blob_wants_lease(const struct registry *r, const struct blob_row *row, int64_t now);
/* Renews it. ST_NOT_FOUND when the link went meanwhile. */
MUST_CHECK enum st registry_lease_blob(struct registry *r, str repo, const struct digest *d,
                                       int64_t now, struct err *err);

/* By tag when `d` is NULL. */
MUST_CHECK enum st registry_find_manifest(struct registry *r, str repo, str tag,
                                          const struct digest *d, struct arena *a,
                                          struct manifest_row *out, bool *repo_known,
                                          struct err *err);
bool registry_manifest_wants_lease(const struct registry *r, const struct manifest_row *row,
                                   int64_t now);
MUST_CHECK enum st registry_lease_manifest(struct registry *r, str repo, const struct digest *d,
                                           int64_t now, struct err *err);

MUST_CHECK enum st registry_list_tags(struct registry *r, str repo, str last, size_t limit,
                                      struct arena *a, struct name_page *out, struct err *err);
MUST_CHECK enum st registry_list_repositories(struct registry *r, str last, size_t limit,
                                              struct arena *a, struct name_page *out,
                                              struct err *err);

struct referrer_page {
    struct referrer *items;
    size_t count;
    bool more;
};
MUST_CHECK enum st registry_list_referrers(struct registry *r, str repo,
                                           const struct digest *subject, str artifact_type,
                                           const struct digest *last, size_t limit, struct arena *a,
                                           struct referrer_page *out, struct err *err);

/* ---- uploads ------------------------------------------------------------------------------ */

/* These, registry_mount() and registry_push_manifest() give ST_DENIED with the sentence of
 * protection.h. */
MUST_CHECK enum st registry_start_upload(struct registry *r, str repo, str id, str actor,
                                         int64_t now, struct err *err);
MUST_CHECK enum st registry_find_upload(struct registry *r, str repo, str id, struct arena *a,
                                        struct upload_row *out, struct err *err);
MUST_CHECK enum st registry_note_progress(struct registry *r, str id, uint64_t size, str data,
                                          int64_t now, struct err *err);
MUST_CHECK enum st registry_cancel_upload(struct registry *r, str repo, str id, int64_t now,
                                          struct err *err);
/* The upload's bytes, which are durable in the store or in `in->data`, become a blob that is
 * visible in the repository. in->name is the upload's id. */
MUST_CHECK enum st registry_finish_upload(struct registry *r, str repo,
                                          const struct blob_arrival *in, int64_t now,
                                          struct err *err);
/* Names of repositories in which a blob is visible, up to `limit`; none when it is nowhere. */
MUST_CHECK enum st registry_blob_homes(struct registry *r, const struct digest *d, size_t limit,
                                       struct arena *a, struct name_page *out, struct err *err);
/* Makes a blob of `from` visible in `repo`; an unset `from` means any repository. ST_NOT_FOUND. */
MUST_CHECK enum st registry_mount(struct registry *r, str repo, str from, const struct digest *d,
                                  int64_t now, struct err *err);

/* ---- manifests ---------------------------------------------------------------------------- */

struct registry_push {
    str repo;
    str actor; /* protection.h; unset: nobody */
    const struct manifest *parsed;
    const struct digest *digest;
    str payload;
    const str *tags;
    size_t tag_count;
};
/* As manifests_put(), with the tags set in the same transaction. */
MUST_CHECK enum st registry_push_manifest(struct registry *r, const struct registry_push *in,
                                          int64_t now, struct manifest_missing *missing,
                                          struct err *err);

/* The bytes of `row` are not what they should be. Does nothing when the blob has others by now. */
MUST_CHECK enum st registry_report_damage(struct registry *r, const struct blob_row *row,
                                          int64_t now, struct err *err);
MUST_CHECK enum st registry_count_uploads(struct registry *r, uint64_t *out, struct err *err);

#endif
