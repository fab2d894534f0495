/* SPDX-License-Identifier: Apache-2.0
 *
 * projects - repositories and tags as GitLab's API knows them: by number, below the path of a
 * project or group, a page with a number at a time. Functions run inside the caller's transaction;
 * strings live in the arena given.
 *
 *  1. A repository is there while a live manifest is in it. Its number is its row's: it keeps it
 *     until nothing is left of it, trash included.
 *  2. The project of a repository is the longest path above it, or its own, that was named as a
 *     project (namespaces.h); else the first two components of its name, or the only one.
 */
#ifndef EBB_PROJECTS_H
#define EBB_PROJECTS_H

#include "meta/namespaces.h"
#include "meta/repositories.h"
#include "oci/digest.h"

struct project_repository {
    int64_t id;
    str name;
    int64_t created_at;
    uint64_t tags;
};
/* ST_NOT_FOUND. */
MUST_CHECK enum st projects_repository(struct db_tx *tx, int64_t id, struct arena *a,
                                       struct project_repository *out, struct err *err);
/* Each repository whose name is `prefix` or lies below it, by name; "" is all of them. `name` is
 * borrowed. `fn` ends the walk with ST_END, which is no failure here. */
typedef enum st (*projects_fn)(void *ctx, const struct project_repository *r, struct err *err);
MUST_CHECK enum st projects_walk(struct db_tx *tx, str prefix, projects_fn fn, void *ctx,
                                 struct err *err);
/* Whether anything is, or was not long ago, at or below `path`. */
MUST_CHECK enum st projects_exists(struct db_tx *tx, str path, bool *out, struct err *err);
MUST_CHECK enum st projects_of(struct db_tx *tx, str repo, struct arena *a, str *path,
                               struct err *err);
/* Paths of all projects by name, up to `max`: those named as one, and those that repositories
 * imply. */
MUST_CHECK enum st projects_list(struct db_tx *tx, size_t max, struct arena *a,
                                 struct name_page *out, struct err *err);

/* ---- tags ------------------------------------------------------------------------------------ */

struct project_tags_ask {
    int64_t repo_id;
    str after; /* exclusive, in the order asked for; unset: from the start */
    bool descending;
    str contains; /* in the name; unset or "": all */
    uint64_t skip;
    size_t limit;
    bool count; /* all that match, for `total` */
};
MUST_CHECK enum st projects_tags(struct db_tx *tx, const struct project_tags_ask *ask,
                                 struct arena *a, struct name_page *out, uint64_t *total,
                                 struct err *err);

struct project_tag {
    struct digest digest;
    str media_type;
    str payload;
    int64_t tagged_at;
    bool has_size;
    uint64_t size; /* inspect.h */
};
/* ST_NOT_FOUND. */
MUST_CHECK enum st projects_tag(struct db_tx *tx, int64_t repo_id, str tag, struct arena *a,
                                struct project_tag *out, struct err *err);

/* ---- leases ---------------------------------------------------------------------------------- */

/* Whether nobody took the repository's lease on bulk deletions that still runs at `now`; then it
 * runs until `until`. */
MUST_CHECK enum st projects_take_lease(struct db_tx *tx, int64_t repo_id, int64_t now,
                                       int64_t until, bool *taken, struct err *err);

#endif
