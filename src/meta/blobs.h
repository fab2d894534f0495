/* SPDX-License-Identifier: Apache-2.0
 *
 * blobs - rows of blob: which bytes there are and where. (links.h: who sees them, and until when.)
 * Functions run inside the caller's transaction.
 */
#ifndef EBB_BLOBS_H
#define EBB_BLOBS_H

#include "base/arena.h"
#include "db/db.h"
#include "meta/repositories.h"
#include "oci/digest.h"

/* How long things stay; from the configuration. */
struct links_batch;

struct keeping {
    int64_t lease_ms; /* reclaim.lease */
    int64_t grace_ms; /* reclaim.grace */
    bool untagged;    /* reclaim.untagged: false keeps manifests that nothing names */
    bool cut;         /* a deletion that skips the grace: leases of what it lets go end, too */
    struct links_batch *batch; /* of a step that moves many manifests (links.h); or NULL */
};

struct blob_row {
    int64_t id;
    uint64_t size;
    str name; /* in the store; unset when the bytes are in `data` */
    str data;
    bool damaged;
    /* of the link, when looked up in a repository */
    int64_t lease_until;
    bool used;      /* a manifest uses it: no lease is needed */
    bool any_locks; /* there is one somewhere (locks.h) */
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

/* Whole and visible in any repository, the one given included. ST_NOT_FOUND. */
MUST_CHECK enum st blobs_find_anywhere(struct db_tx *tx, const struct digest *d, int64_t *blob_id,
                                       struct err *err);

/* Names of repositories in which it is whole and visible, up to `limit`. */
MUST_CHECK enum st blobs_homes(struct db_tx *tx, const struct digest *d, size_t limit,
                               struct arena *a, struct name_page *out, struct err *err);

/* Known to be damaged from now on (or, with `damaged` false, whole again). Does nothing when the
 * blob's bytes are others than those of `row`: an id is used again, a name is not. */
MUST_CHECK enum st blobs_set_damaged(struct db_tx *tx, const struct blob_row *row, bool damaged,
                                     int64_t now, struct err *err);

#endif
