/* SPDX-License-Identifier: Apache-2.0
 *
 * trash - what was deleted and can still be restored, as items of receipts in their grace; and
 * emptying it. Functions run inside the caller's transaction.
 */
#ifndef EBB_TRASH_H
#define EBB_TRASH_H

#include "meta/links.h"
#include "meta/receipts.h"
#include "meta/targets.h"

struct trash_item {
    int64_t receipt_id;
    struct receipt_item item;
    int64_t deleted_at;
    int64_t until;
    str *tags; /* of a manifest: those that went with it; the first TRASH_TAGS_MAX */
    size_t tag_count;
};
#define TRASH_TAGS_MAX 100

/* A place in the list: behind this item. {0, 0} is the start. */
struct trash_place {
    int64_t receipt_id;
    uint64_t item;
};

/* Newest deletion first, then in the order of its items. A tag is an item of its own when its image
 * is not in the trash by the same receipt. `prefix`: the repository and all below it; "" or unset:
 * all. Starts behind *place and moves it; up to `limit`, fewer when much had to be passed over;
 * *more when others may follow. */
MUST_CHECK enum st trash_list(struct db_tx *tx, str prefix, struct trash_place *place, size_t limit,
                              int64_t now, struct arena *a, struct trash_item **out, size_t *count,
                              bool *more, struct err *err);

/* The newest deletion of a tag, or of a manifest or blob link, that can be undone.
 * ST_NOT_FOUND, plain. */
MUST_CHECK enum st trash_find_tag(struct db_tx *tx, str repo, str tag, int64_t now,
                                  int64_t *receipt_id, struct err *err);
MUST_CHECK enum st trash_find_digest(struct db_tx *tx, str repo, const struct digest *d,
                                     int64_t now, int64_t *receipt_id, struct err *err);

/* ---- emptying -------------------------------------------------------------------------------- */

/* What lies in the trash is due now: the next pass of reclaim removes it, unless something in the
 * trash that is not due names it. An undo finds that its time is over. *freed grows by its payload
 * and by the blobs that nothing else keeps. */
MUST_CHECK enum st trash_empty_manifest(struct db_tx *tx, int64_t repo_id,
                                        const struct manifest_target *row, int64_t now,
                                        uint64_t *freed, struct err *err);
MUST_CHECK enum st trash_empty_link(struct db_tx *tx, const struct link_ref *link, int64_t now,
                                    uint64_t *freed, struct err *err);

#endif
