/* SPDX-License-Identifier: Apache-2.0
 *
 * tags - rows of table tag. Functions run inside the caller's transaction.
 */
#ifndef EBB_TAGS_H
#define EBB_TAGS_H

#include "meta/manifests.h"
#include "meta/repositories.h"

/* Points the tag at the manifest; the one it pointed at before is reviewed. */
MUST_CHECK enum st tags_set(struct db_tx *tx, int64_t repo_id, str tag, int64_t manifest_id,
                            const struct keeping *k, int64_t now, struct err *err);

/* The manifest that a tag names. ST_NOT_FOUND. */
MUST_CHECK enum st tags_find(struct db_tx *tx, int64_t repo_id, str tag, int64_t *manifest_id,
                             struct digest *digest, struct err *err);

/* Removes one tag; reviewing the manifest is the caller's. */
MUST_CHECK enum st tags_remove(struct db_tx *tx, int64_t repo_id, str tag, struct err *err);

/* Some tag of the manifest, in `a`; ST_NOT_FOUND when it has none. */
MUST_CHECK enum st tags_first_of(struct db_tx *tx, int64_t manifest_id, struct arena *a, str *tag,
                                 struct err *err);

/* Names in byte order after `last` (unset: from the start). ST_NOT_FOUND without the repository. */
MUST_CHECK enum st tags_list(struct db_tx *tx, str repo, str last, size_t limit, struct arena *a,
                             struct name_page *out, struct err *err);

#endif
