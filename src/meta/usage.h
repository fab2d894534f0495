/* SPDX-License-Identifier: Apache-2.0
 *
 * usage - how many bytes a repository holds, by class: counters in its row that change in the
 * transaction of what they count (invariant 7). Functions run inside the caller's transaction.
 *
 *   used     links that a kept manifest uses, and payloads of kept manifests
 *   trash    of the rest: what a manifest in the trash uses, links in the trash, payloads there
 *   pending  all else: leased, or of loose manifests; it goes when its time comes
 *
 * Each is counted alone (no other repository has a link to the blob; payloads always) or shared. So
 * `used alone` of a repository is what no other repository holds. For a path prefix or the whole
 * registry, what is alone adds up; what is shared is looked at blob by blob: usage_of_prefix().
 *
 * Two kinds of bytes belong to no repository row: uploads under way, and names in `doomed`, which
 * are pending. Together all classes are what the store and the database hold of content.
 */
#ifndef EBB_USAGE_H
#define EBB_USAGE_H

#include "base/arena.h"
#include "db/db.h"

enum usage_class { USAGE_USED, USAGE_TRASH, USAGE_PENDING, USAGE_CLASSES };

/* What changes in one repository. */
struct usage_delta {
    int64_t tags;
    int64_t manifests;             /* live: kept and loose */
    int64_t alone[USAGE_CLASSES];  /* bytes */
    int64_t shared[USAGE_CLASSES]; /* bytes */
};

/* Does nothing when nothing changes. */
MUST_CHECK enum st usage_add(struct db_tx *tx, int64_t repo_id, const struct usage_delta *d,
                             struct err *err);

struct usage {
    uint64_t repositories;
    uint64_t tags;
    uint64_t manifests;
    uint64_t unique;  /* used, and linked nowhere outside */
    uint64_t shared;  /* used, and linked outside as well */
    uint64_t trash;   /* each blob once, by the highest class that it has inside */
    uint64_t pending; /* with names to be removed, when it is the whole registry */
    uint64_t uploads; /* bytes of uploads under way */
};

/* Of the repository `prefix` and all below it; "" is the whole registry. Exact, in one snapshot;
 * costs a row per repository and per link of a shared blob inside. */
MUST_CHECK enum st usage_of_prefix(struct db_tx *tx, str prefix, struct usage *out,
                                   struct err *err);
/* Of the repository alone. ST_NOT_FOUND. */
MUST_CHECK enum st usage_of_repository(struct db_tx *tx, str repo, struct usage *out,
                                       struct err *err);

#endif
