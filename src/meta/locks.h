/* SPDX-License-Identifier: Apache-2.0
 *
 * locks - rows of lock: Azure's changeable attributes of repositories, tags and manifests. They are
 * kept in every door: protection_check() asks for `write` and `delete`, registry.h's reads for
 * `read`; the lists of registry.h and inspect.h leave out tags and repositories without `list`.
 *
 *  1. An object without a row has all four.
 *  2. The lock of a tag is none of its manifest, and the other way round; one of a repository holds
 *     for pushes into it (write) and for deleting it whole (delete).
 *  3. A lock stays with the name or digest until it is set again, also while the object is in the
 *     trash.
 *  4. A manifest that must not be written or deleted is kept, as a hold keeps it: it may lose its
 *     last tag, and stays.
 */
#ifndef EBB_LOCKS_H
#define EBB_LOCKS_H

#include "base/arena.h"
#include "db/db.h"
#include "oci/digest.h"

struct keeping; /* links.h */

enum { LOCK_MAY_DELETE = 1, LOCK_MAY_WRITE = 2, LOCK_MAY_LIST = 4, LOCK_MAY_READ = 8 };
#define LOCK_MAY_ALL 15u

/* A repository; a tag of it when `tag` is set; a manifest when `digest` is not NULL. */
struct lock_object {
    str repo;
    str tag;
    const struct digest *digest;
};
MUST_CHECK enum st locks_get(struct db_tx *tx, const struct lock_object *o, unsigned *may,
                             struct err *err);
/* With the review of the manifest that it keeps or lets go. Whether the object is there is not
 * looked at. */
MUST_CHECK enum st locks_set(struct db_tx *tx, const struct lock_object *o, unsigned may,
                             const struct keeping *k, int64_t now, struct err *err);
/* ST_DENIED with a sentence when the repository, its tag (unless unset) or its manifest (unless
 * NULL) must not be read. */
MUST_CHECK enum st locks_may_read(struct db_tx *tx, str repo, str tag, const struct digest *digest,
                                  struct err *err);
/* False as long as no lock is set anywhere: one look-up answers for all. */
MUST_CHECK enum st locks_any(struct db_tx *tx, bool *out, struct err *err);

#endif
