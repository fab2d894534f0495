/* SPDX-License-Identifier: Apache-2.0
 *
 * namespaces - rows of namespace: the numbers by which GitLab's API knows projects and groups. A
 * project or group is a path, the start of repository names; it gets its number the first time it
 * is asked for and keeps it for ever. Functions run inside the caller's transaction;
 * strings that come out live in the arena given.
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

#endif
