/* SPDX-License-Identifier: Apache-2.0
 *
 * blobs - rows of blob, repo_blob and doomed: which bytes there are, where, who sees them, until
 * when. Functions run inside the caller's transaction.
 *
 * A link (repo_blob) makes a blob visible in a repository:
 *
 *            upload, mount                 manifest pushed
 *   absent ────────────────▶ leased ◀───────────────────────▶ used
 *      ▲                     due_at     manifest let go       due_at NULL
 *      └─────────────────────────┘
 *       reclaim: due, and no manifest uses it
 *
 *  - lease_until never goes back. due_at is never before lease_until.
 *  - A HEAD of a used blob writes nothing, so letting a manifest go grants its blobs a fresh lease:
 *    every HEAD answered before is then covered.
 *  - A link in the trash (receipt_id) is invisible until it is linked again or restored.
 */
#ifndef EBB_BLOBS_H
#define EBB_BLOBS_H

#include "base/arena.h"
#include "db/db.h"
#include "oci/digest.h"

/* How long things stay; from the configuration. */
struct keeping {
    int64_t lease_ms; /* reclaim.lease */
    int64_t grace_ms; /* reclaim.grace */
    bool untagged;    /* reclaim.untagged: false keeps manifests that nothing names */
};

struct blob_row {
    int64_t id;
    uint64_t size;
    str name; /* in the store; unset when the bytes are in `data` */
    str data;
    bool damaged;
    /* of the link, when looked up in a repository */
    int64_t lease_until;
    bool used; /* a manifest uses it: no lease is needed */
};

/* The blob as visible in a repository, damaged ones included; strings live in `a`. ST_NOT_FOUND. */
MUST_CHECK enum st blobs_find(struct db_tx *tx, int64_t repo_id, const struct digest *d,
                              struct arena *a, struct blob_row *out, struct err *err);

/* Bytes that an upload brought: in the store under `name`, or in `data`. */
struct blob_arrival {
    const struct digest *digest;
    uint64_t size;
    str name;
    str data;          /* used when ptr is not NULL */
    bool name_written; /* something may lie in the store under `name` */
};

/* Makes the arrival a blob, or forgets it when its digest is there and whole already (its name is
 * doomed then); a damaged blob is healed. *blob_id is the blob's. */
MUST_CHECK enum st blobs_arrive(struct db_tx *tx, const struct blob_arrival *in, int64_t now,
                                int64_t *blob_id, struct err *err);

/* Links the blob in the repository, or takes the link back from the trash, with a fresh lease. */
MUST_CHECK enum st blobs_link(struct db_tx *tx, int64_t repo_id, int64_t blob_id,
                              const struct keeping *k, int64_t now, struct err *err);

/* Whole and visible in any repository, the one given included. ST_NOT_FOUND. */
MUST_CHECK enum st blobs_find_anywhere(struct db_tx *tx, const struct digest *d, int64_t *blob_id,
                                       struct err *err);

/* Every blob of the manifest gets a fresh lease and a time at which its link is looked at. */
MUST_CHECK enum st blobs_let_go(struct db_tx *tx, int64_t manifest_id, int64_t repo_id,
                                const struct keeping *k, int64_t now, struct err *err);
/* Every blob of the manifest is used and visible again, out of the trash. */
MUST_CHECK enum st blobs_take_back(struct db_tx *tx, int64_t manifest_id, int64_t repo_id,
                                   struct err *err);

/* A manifest row of this repository that is not in the trash uses it. */
MUST_CHECK enum st blobs_in_live_use(struct db_tx *tx, int64_t repo_id, int64_t blob_id, bool *out,
                                     struct err *err);
/* Moves the link to the trash. */
MUST_CHECK enum st blobs_trash_link(struct db_tx *tx, int64_t repo_id, int64_t blob_id,
                                    int64_t receipt_id, int64_t due_at, struct err *err);

struct link_ref {
    int64_t repo_id;
    int64_t blob_id;
};
/* Links that are due, oldest first, up to `limit`. */
MUST_CHECK enum st blobs_due_links(struct db_tx *tx, int64_t now, struct link_ref *out,
                                   size_t limit, size_t *count, struct err *err);

/* What a step removed. */
struct removal {
    uint64_t manifests;
    uint64_t links;
    uint64_t blobs;
    uint64_t bytes; /* payloads, and blobs of which the last link went */
};

/* Looks at a link: removes it when nothing uses it and its lease is over, then the blob when that
 * was the last link, dooming its name. A link in use stays and leaves the queue, or, when only
 * manifests that are in the queue themselves use it, is looked at again with the last of them. Adds
 * to *out. */
MUST_CHECK enum st blobs_review_link(struct db_tx *tx, const struct link_ref *link, int64_t now,
                                     struct removal *out, struct err *err);

/* Known to be damaged from now on (or, with `damaged` false, whole again). Does nothing when the
 * blob's bytes are others than those of `row`: an id is used again, a name is not. */
MUST_CHECK enum st blobs_set_damaged(struct db_tx *tx, const struct blob_row *row, bool damaged,
                                     int64_t now, struct err *err);

/* Names whose bytes are to be removed. */
MUST_CHECK enum st doomed_add(struct db_tx *tx, str name, uint64_t size, int64_t now,
                              struct err *err);
struct doomed_name {
    str name;
    uint64_t size;
};
MUST_CHECK enum st doomed_list(struct db_tx *tx, size_t limit, struct arena *a,
                               struct doomed_name **out, size_t *count, struct err *err);
/* The bytes are gone, durably. */
MUST_CHECK enum st doomed_drop(struct db_tx *tx, str name, struct err *err);

#endif
