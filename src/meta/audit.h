/* SPDX-License-Identifier: Apache-2.0
 *
 * audit - every row, a page at a time, with what its neighbours say of it: the statements of
 * `ebb check`. (The audit log is trail.h.) Functions run inside the caller's transaction and change
 * nothing but where they say.
 *
 *  1. A page is the rows behind a cursor in the order of the primary key, so a table of any size
 *     costs one page of time in one transaction; the cursor is moved to the last row passed.
 *  2. Strings of a row are borrowed for the call of its function. That function may run other
 *     statements of `tx`.
 *  3. *count is how many rows were passed: fewer than `limit` means that there are no more.
 */
#ifndef EBB_AUDIT_H
#define EBB_AUDIT_H

#include "db/db.h"
#include "oci/digest.h"

struct audit_blob {
    int64_t id;
    bool has_digest; /* false: the row's digest is no digest */
    struct digest digest;
    uint64_t size;
    str name;           /* in the store, or unset */
    bool in_row;        /* the row holds bytes: */
    uint64_t row_bytes; /* so many */
    str data;           /* and these, when asked for */
    int64_t damaged_at; /* 0: not known to be damaged */
    bool linked;        /* in some repository, the trash included */
};
typedef enum st (*audit_blob_fn)(struct db_tx *tx, const struct audit_blob *row, void *ctx,
                                 struct err *err);
MUST_CHECK enum st audit_blobs(struct db_tx *tx, int64_t *after_id, size_t limit, bool with_data,
                               audit_blob_fn fn, void *ctx, size_t *count, struct err *err);

struct audit_manifest {
    int64_t id;
    str repo; /* unset: there is no such repository */
    bool has_digest;
    struct digest digest;
    str media_type;
    uint64_t size;
    uint64_t payload_bytes;
    str payload; /* when asked for */
    bool due;    /* the reclaimer will look at it */
    bool trashed;
    bool kept;                 /* a tag names it, a hold, or a kept manifest is above it */
    uint64_t missing_blobs;    /* of those recorded: not visible in the repository */
    uint64_t missing_children; /* of those recorded: not live in the repository */
};
typedef enum st (*audit_manifest_fn)(struct db_tx *tx, const struct audit_manifest *row, void *ctx,
                                     struct err *err);
MUST_CHECK enum st audit_manifests(struct db_tx *tx, int64_t *after_id, size_t limit,
                                   bool with_payload, audit_manifest_fn fn, void *ctx,
                                   size_t *count, struct err *err);
/* Whether the manifest's rows record that it names this blob or child. */
MUST_CHECK enum st audit_names_blob(struct db_tx *tx, int64_t manifest_id, const struct digest *d,
                                    bool *out, struct err *err);
MUST_CHECK enum st audit_names_child(struct db_tx *tx, int64_t manifest_id, const struct digest *d,
                                     bool *out, struct err *err);
/* One of those that `missing_blobs` or `missing_children` count. ST_NOT_FOUND. */
MUST_CHECK enum st audit_missing_blob(struct db_tx *tx, int64_t manifest_id, struct digest *out,
                                      struct err *err);
MUST_CHECK enum st audit_missing_child(struct db_tx *tx, int64_t manifest_id, struct digest *out,
                                       struct err *err);

struct audit_link {
    int64_t repo_id;
    int64_t blob_id;
    str repo; /* unset: there is no such repository */
    bool has_blob;
    bool has_digest;
    struct digest digest;
    bool due;
    bool trashed;
    bool kept;    /* a kept manifest uses it; only told of one that is not due */
    bool counted; /* its counters say what its neighbours do (links.h) */
};
struct audit_link_at {
    int64_t repo_id;
    int64_t blob_id;
};
typedef enum st (*audit_link_fn)(struct db_tx *tx, const struct audit_link *row, void *ctx,
                                 struct err *err);
MUST_CHECK enum st audit_links(struct db_tx *tx, struct audit_link_at *after, size_t limit,
                               audit_link_fn fn, void *ctx, size_t *count, struct err *err);

MUST_CHECK enum st audit_recount_link(struct db_tx *tx, const struct audit_link_at *at,
                                      struct err *err);

struct audit_repository {
    int64_t id;
    str name;
    bool counted; /* its counters say what its rows do (usage.h) */
};
typedef enum st (*audit_repository_fn)(struct db_tx *tx, const struct audit_repository *row,
                                       void *ctx, struct err *err);
/* Costs all rows of the repositories passed. */
MUST_CHECK enum st audit_repositories(struct db_tx *tx, int64_t *after_id, size_t limit,
                                      audit_repository_fn fn, void *ctx, size_t *count,
                                      struct err *err);
MUST_CHECK enum st audit_recount_repository(struct db_tx *tx, int64_t id, struct err *err);

#define AUDIT_NAME_MAX 255
struct audit_tag {
    int64_t repo_id;
    str repo; /* unset: there is no such repository */
    str name;
    bool has_manifest; /* of the same repository */
    bool trashed;      /* the manifest is */
};
struct audit_tag_at {
    int64_t repo_id;
    char name[AUDIT_NAME_MAX + 1];
};
typedef enum st (*audit_tag_fn)(struct db_tx *tx, const struct audit_tag *row, void *ctx,
                                struct err *err);
MUST_CHECK enum st audit_tags(struct db_tx *tx, struct audit_tag_at *after, size_t limit,
                              audit_tag_fn fn, void *ctx, size_t *count, struct err *err);
/* ST_NOT_FOUND. */
MUST_CHECK enum st audit_tag(struct db_tx *tx, const struct audit_tag_at *at, audit_tag_fn fn,
                             void *ctx, struct err *err);

struct audit_upload {
    str id;
    str repo;
    uint64_t size;
    int64_t due_at;
    bool in_row; /* the bytes are */
};
struct audit_name_at {
    char name[AUDIT_NAME_MAX + 1];
};
typedef enum st (*audit_upload_fn)(struct db_tx *tx, const struct audit_upload *row, void *ctx,
                                   struct err *err);
MUST_CHECK enum st audit_uploads(struct db_tx *tx, struct audit_name_at *after, size_t limit,
                                 audit_upload_fn fn, void *ctx, size_t *count, struct err *err);
/* ST_NOT_FOUND. */
MUST_CHECK enum st audit_upload(struct db_tx *tx, str id, audit_upload_fn fn, void *ctx,
                                struct err *err);

/* A doomed name that something uses all the same. */
typedef enum st (*audit_doomed_fn)(struct db_tx *tx, str name, bool used, void *ctx,
                                   struct err *err);
MUST_CHECK enum st audit_doomed(struct db_tx *tx, struct audit_name_at *after, size_t limit,
                                audit_doomed_fn fn, void *ctx, size_t *count, struct err *err);

enum audit_use { AUDIT_UNKNOWN, AUDIT_BLOB, AUDIT_UPLOAD, AUDIT_DOOMED };
/* Whose the name in the store is. */
MUST_CHECK enum st audit_use_of(struct db_tx *tx, str name, enum audit_use *out, struct err *err);

/* Marks the blob as damaged if its bytes are still where they were found damaged: under `name`, or
 * in the row when unset. */
MUST_CHECK enum st audit_mark_damaged(struct db_tx *tx, int64_t blob_id, str name, int64_t now,
                                      bool *marked, struct err *err);
/* Dooms a name that is in the store, if no row has it. */
MUST_CHECK enum st audit_doom_orphan(struct db_tx *tx, str name, uint64_t size, int64_t now,
                                     bool *doomed, struct err *err);

#endif
