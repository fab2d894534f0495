/* SPDX-License-Identifier: Apache-2.0
 *
 * doomed - rows of doomed: names in the blob store that no row uses any more. The row goes after
 * the bytes. Functions run inside the caller's transaction.
 *
 *   added ──▶ waiting ──bytes removed, durably──▶ dropped
 *               ▲  │ removing failed: failures + 1, next_at later
 *               └──┘
 */
#ifndef EBB_DOOMED_H
#define EBB_DOOMED_H

#include "base/arena.h"
#include "db/db.h"

/* deleted_at: when the content was let go, for the time from delete to space back. */
MUST_CHECK enum st doomed_add(struct db_tx *tx, str name, uint64_t size, int64_t deleted_at,
                              int64_t now, struct err *err);

struct doomed_name {
    str name;
    uint64_t size;
    int64_t deleted_at;
    int64_t since;
    uint64_t failures;
    int64_t next_at; /* 0: it never failed */
    str error;       /* of the last failure, or unset */
};
/* Those whose next_at has come, the longest waiting first. */
MUST_CHECK enum st doomed_due(struct db_tx *tx, int64_t now, size_t limit, struct arena *a,
                              struct doomed_name **out, size_t *count, struct err *err);
/* How many those are, up to `limit`. */
MUST_CHECK enum st doomed_count_due(struct db_tx *tx, int64_t now, size_t limit, size_t *count,
                                    struct err *err);
/* The bytes are gone, durably. */
MUST_CHECK enum st doomed_drop(struct db_tx *tx, str name, struct err *err);
/* Removing failed; looked at again at next_at. */
MUST_CHECK enum st doomed_fail(struct db_tx *tx, str name, str error, int64_t next_at,
                               struct err *err);
/* All that failed are due now. */
MUST_CHECK enum st doomed_reset(struct db_tx *tx, int64_t now, int64_t *count, struct err *err);
MUST_CHECK enum st doomed_sum(struct db_tx *tx, uint64_t *count, uint64_t *bytes, struct err *err);

#endif
