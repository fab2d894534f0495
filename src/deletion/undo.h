/* SPDX-License-Identifier: Apache-2.0
 *
 * undo - takes a receipt back, whole or in part, until its grace ends. The undo is a receipt
 * itself.
 *
 *  1. A tag comes back on the image that it named; a manifest with the children and links it needs;
 *     a link by itself. What is there already is left alone.
 *  2. Nothing newer is overwritten: a tag that somebody set again meanwhile is skipped and told,
 *     unless `force`; `as` gives it another name (with one tag only). Protection holds here as for
 *     a push.
 *  3. Steps, crash and resuming as in apply.h.
 *  4. Undoing what is undone already gives the receipt of the undo that did it.
 */
#ifndef EBB_UNDO_H
#define EBB_UNDO_H

#include "deletion/deletion.h"

struct undo_request {
    int64_t receipt_id;
    const str *only; /* "repo:tag", "repo@digest"; all items when only_count is 0 */
    size_t only_count;
    bool force;
    str as; /* tag, or unset */
    struct deletion_by by;
};

/*   ST_NOT_FOUND  no such receipt, or nothing in it is named by `only`
 *   ST_EXPIRED    its grace is over
 *   ST_INVALID    `as` with more than one tag, the receipt of an undo, a reference that is none
 *   ST_BUSY       the receipt is still open */
MUST_CHECK enum st undo_receipt(struct deletion *d, const struct undo_request *request, int64_t now,
                                int64_t *undo_id, struct err *err);

/* Undoes the newest deletion of each reference: one receipt. ST_NOT_FOUND names the first that does
 * not lie in the trash. */
MUST_CHECK enum st undo_newest(struct deletion *d, const struct undo_request *request, int64_t now,
                               int64_t *undo_id, struct err *err);

#endif
