/* SPDX-License-Identifier: Apache-2.0
 *
 * links - rows of repo_blob: which blob is visible in which repository, until when, and who uses
 * it. Functions run inside the caller's transaction and keep the counters of usage.h.
 *
 *            upload, mount                 manifest kept
 *   absent ────────────────▶ leased ◀───────────────────────▶ used
 *      ▲                     due_at    last one let go        due_at NULL
 *      └─────────────────────────┘
 *       reclaim: due, and no manifest uses it
 *
 *  - kept, loose and trash count the manifests of the repository that use the link, by their state.
 *    due_at is NULL exactly while kept > 0.
 *  - lease_until never goes back, but for a deletion that skips the grace (keeping.cut).
 *  - A HEAD of a used blob writes nothing, so letting the last kept manifest go grants a fresh
 *    lease: every HEAD answered before is then covered.
 *  - A link in the trash (receipt_id) is invisible until it is put again or restored.
 *  - shared: another repository has a link to the same blob.
 */
#ifndef EBB_LINKS_H
#define EBB_LINKS_H

#include "base/buf.h"
#include "meta/blobs.h"
#include "meta/usage.h"

struct link_ref {
    int64_t repo_id;
    int64_t blob_id;
};

/* Makes the link, or takes it back from the trash, with a fresh lease. */
MUST_CHECK enum st links_put(struct db_tx *tx, int64_t repo_id, int64_t blob_id,
                             const struct keeping *k, int64_t now, struct err *err);

/* What the links of a manifest count it as. Its payload and the number of live manifests are
 * counted along. */
enum manifest_state { MANIFEST_ABSENT, MANIFEST_LOOSE, MANIFEST_KEPT, MANIFEST_TRASH };

struct links_move {
    int64_t manifest_id;
    int64_t repo_id;
    uint64_t payload_bytes;
    enum manifest_state from, to;
};
/* Must be called whenever a manifest changes its state, while its manifest_blob rows are there. To
 * kept: its links are used and visible. To loose out of the trash: visible again. Away from kept,
 * and into the trash: the links that no kept manifest uses any more get a fresh lease and a time at
 * which they are looked at; with k->cut none, and what lease they had ends.
 *
 * *freed, unless NULL, grows by what nothing lasting keeps from now on and what was not in the
 * trash before: the bytes that this step gives back in the end. */
MUST_CHECK enum st links_move_manifest(struct db_tx *tx, const struct links_move *m,
                                       const struct keeping *k, int64_t now, uint64_t *freed,
                                       struct err *err);

/* What links_move_manifest() changes, in memory until it is written: what the manifests of a step
 * share is read and written once. It holds links of one repository; those of another, or too many,
 * are written before. Named by `keeping`, it is seen by the functions of this header that take one;
 * before anything else looks at links or counters, and at the end of the step, call
 * links_batch_write(). Start with {0}; released without being written when the step fails. */
#define LINKS_BATCH_HEADS 1024
struct links_batch {
    int64_t repo_id;
    struct buf links;                  /* struct link of links.c */
    uint32_t heads[LINKS_BATCH_HEADS]; /* by blob: place in `links`, from 1 */
    struct usage_delta usage;
};
MUST_CHECK enum st links_batch_write(struct db_tx *tx, struct links_batch *b, struct err *err);
void links_batch_release(struct links_batch *b);

/* Moves the link to the trash; nothing live may use it. *freed as above. */
MUST_CHECK enum st links_trash(struct db_tx *tx, const struct link_ref *link, int64_t receipt_id,
                               int64_t due_at, const struct keeping *k, int64_t now,
                               uint64_t *freed, struct err *err);
/* Out of the trash, with a fresh lease. Does nothing to one that is visible. ST_NOT_FOUND. */
MUST_CHECK enum st links_restore(struct db_tx *tx, const struct link_ref *link,
                                 const struct keeping *k, int64_t now, struct err *err);

/* Links that are due, oldest first, up to `limit`. */
MUST_CHECK enum st links_due(struct db_tx *tx, int64_t now, struct link_ref *out, size_t limit,
                             size_t *count, struct err *err);

/* What a step removed. */
struct removal {
    uint64_t manifests;
    uint64_t links;
    uint64_t blobs;
    uint64_t bytes; /* payloads, and blobs of which the last link went */
};

/* Looks at a link: removes it when nothing uses it, no hold is on it and its lease is over, then
 * the blob when that was the last link, dooming its name. A link that manifests in the queue use is
 * looked at again with the last of them. Adds to *out. */
MUST_CHECK enum st links_review(struct db_tx *tx, const struct link_ref *link, int64_t now,
                                struct removal *out, struct err *err);

#endif
