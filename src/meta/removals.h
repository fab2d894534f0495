/* SPDX-License-Identifier: Apache-2.0
 *
 * removals - rows of removal: repositories that are to be deleted whole, and how far that came.
 * They are worked on by deletion/removal.h. Functions run inside the caller's transaction; times
 * are the registry's own, in milliseconds.
 */
#ifndef EBB_REMOVALS_H
#define EBB_REMOVALS_H

#include "base/arena.h"
#include "db/db.h"

enum removal_state { REMOVAL_SCHEDULED, REMOVAL_ONGOING, REMOVAL_FAILED };
#define REMOVAL_TRIES_MAX 10
struct repo_removal {
    int64_t repo_id;
    str repo;
    enum removal_state state;
    unsigned failures;
    int64_t next_at;       /* of the next try */
    str actor, peer, door; /* who asked */
    str error;             /* of the last try, or unset */
};
/* Again for one that is scheduled: nothing; for one that FAILED: ST_DENIED. */
MUST_CHECK enum st removals_add(struct db_tx *tx, const struct repo_removal *in, struct err *err);
/* Strings in `a`. ST_NOT_FOUND. */
MUST_CHECK enum st removals_find(struct db_tx *tx, int64_t repo_id, struct arena *a,
                                 struct repo_removal *out, struct err *err);
/* Behind `after_repo_id` in the order of repo_id, up to `limit`. */
MUST_CHECK enum st removals_list(struct db_tx *tx, int64_t after_repo_id, size_t limit,
                                 struct arena *a, struct repo_removal **out, size_t *count,
                                 struct err *err);
/* Whether removals_take() would find one, for those who look often and write nothing. */
MUST_CHECK enum st removals_due(struct db_tx *tx, int64_t now, bool *out, struct err *err);
/* The next that is due (not FAILED), now ONGOING. ST_NOT_FOUND. ONGOING rows of a process that died
 * are due like SCHEDULED ones. */
MUST_CHECK enum st removals_take(struct db_tx *tx, int64_t now, struct arena *a,
                                 struct repo_removal *out, struct err *err);
/* It is gone. */
MUST_CHECK enum st removals_done(struct db_tx *tx, int64_t repo_id, struct err *err);
/* One try more failed: again after 2^failures minutes, or FAILED after REMOVAL_TRIES_MAX. */
MUST_CHECK enum st removals_fail(struct db_tx *tx, int64_t repo_id, str error, int64_t now,
                                 struct err *err);
/* As if it had never been tried. ST_NOT_FOUND. */
MUST_CHECK enum st removals_reset(struct db_tx *tx, int64_t repo_id, int64_t now, struct err *err);

#endif
