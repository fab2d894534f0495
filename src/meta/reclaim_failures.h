/* SPDX-License-Identifier: Apache-2.0
 *
 * reclaim_failures - rows of reclaim_failure: objects that the reclaimer could not deal with; and
 * what its queue holds. (Names whose removal failed are rows of doomed.) Functions run inside the
 * caller's transaction.
 *
 *   absent ──fails──▶ failing ──fails again: failures + 1, next_at later──┐
 *      ▲                │ ▲                                                │
 *      └──succeeds──────┘ └────────────────────────────────────────────────┘
 *
 * The object's own due_at moves to next_at with it, so the queue goes on.
 */
#ifndef EBB_RECLAIM_FAILURES_H
#define EBB_RECLAIM_FAILURES_H

#include "meta/links.h"

enum reclaim_kind { RECLAIM_MANIFEST, RECLAIM_LINK, RECLAIM_UPLOAD, RECLAIM_NAME };
const char *reclaim_kind_text(enum reclaim_kind kind); /* "manifest", "link", "upload", "name" */

struct reclaim_failure {
    enum reclaim_kind kind;
    str object; /* "repo@digest", or the row's number when that cannot be read; an id; a name */
    uint64_t failures;
    int64_t first_at;
    int64_t last_at;
    int64_t next_at;
    str error;
};

/* A row of manifest or repo_blob, or an upload's id. Names have doomed_fail(). */
struct reclaim_object {
    enum reclaim_kind kind;
    int64_t manifest_id;
    struct link_ref link;
    str upload;
};

/* How long after the nth failure in a row it is tried again: a minute, doubling up to a day. */
int64_t reclaim_backoff_ms(uint64_t failures);

/* Counts a failure, and moves the object's due_at behind it. */
MUST_CHECK enum st reclaim_failures_add(struct db_tx *tx, const struct reclaim_object *o, str error,
                                        int64_t now, struct err *err);
MUST_CHECK enum st reclaim_failures_any(struct db_tx *tx, bool *out, struct err *err);
/* Forgets those that succeeded, are gone, or wait for something else by now. A read when there are
 * none. */
MUST_CHECK enum st reclaim_failures_prune(struct db_tx *tx, struct err *err);
/* All that failed are due now, names too. */
MUST_CHECK enum st reclaim_failures_reset(struct db_tx *tx, int64_t now, uint64_t *count,
                                          struct err *err);
/* Names too, the most often failed first. */
MUST_CHECK enum st reclaim_failures_list(struct db_tx *tx, size_t limit, struct arena *a,
                                         struct reclaim_failure **out, size_t *count,
                                         struct err *err);
MUST_CHECK enum st reclaim_failures_count(struct db_tx *tx, uint64_t *out, struct err *err);

/* The queue: manifests and links that are looked at some day, and uploads whose time is over. */
struct reclaim_queue {
    uint64_t queued;        /* manifests and links */
    uint64_t due;           /* of them, with uploads */
    int64_t oldest_due_at;  /* 0: nothing is queued */
    uint64_t bytes_pending; /* of what goes and lies in one repository only, with doomed names */
    uint64_t doomed_names;
    uint64_t doomed_bytes;
    uint64_t bytes_trash; /* of what lies in the trash of one repository only */
};
/* Costs an index entry for each that is queued, and a row for each repository. */
MUST_CHECK enum st reclaim_queue_sum(struct db_tx *tx, int64_t now, struct reclaim_queue *out,
                                     struct err *err);

#endif
