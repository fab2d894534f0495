/* SPDX-License-Identifier: Apache-2.0
 *
 * namespaces - rows of namespace: the numbers by which GitLab's API knows projects and groups. A
 * project or group is a path, the start of repository names; it gets its number the first time it
 * is asked for and keeps it for ever. Functions run inside the caller's transaction.
 */
#ifndef EBB_NAMESPACES_H
#define EBB_NAMESPACES_H

#include "base/arena.h"
#include "db/db.h"

struct gitlab_namespace {
    int64_t id;
    str path;
    bool is_project; /* somebody named it as a project */
};
/* ST_NOT_FOUND. */
MUST_CHECK enum st namespaces_find(struct db_tx *tx, str path, struct arena *a,
                                   struct gitlab_namespace *out, struct err *err);
MUST_CHECK enum st namespaces_find_id(struct db_tx *tx, int64_t id, struct arena *a,
                                      struct gitlab_namespace *out, struct err *err);
/* Finds or makes it. With `is_project` it is a project from then on. */
MUST_CHECK enum st namespaces_get(struct db_tx *tx, str path, bool is_project, struct arena *a,
                                  struct gitlab_namespace *out, struct err *err);

/* ---- repositories that are to be deleted whole ------------------------------------------------
 */

enum removal_state { REMOVAL_SCHEDULED, REMOVAL_ONGOING, REMOVAL_FAILED };
#define REMOVAL_TRIES_MAX 10
struct repo_removal {
    int64_t repo_id;
    str repo;
    enum removal_state state;
    unsigned failures;
    int64_t next_at;
    str actor, peer, door; /* who asked */
    str error;             /* of the last try, or unset */
};
/* Again for one that is scheduled: nothing; for one that FAILED: ST_DENIED. */
MUST_CHECK enum st removals_add(struct db_tx *tx, const struct repo_removal *in, struct err *err);
MUST_CHECK enum st removals_find(struct db_tx *tx, int64_t repo_id, struct arena *a,
                                 struct repo_removal *out, struct err *err);
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
