/* SPDX-License-Identifier: Apache-2.0
 *
 * What undo.c, undo_select.c and undo_step.c share.
 */
#ifndef EBB_UNDO_INT_H
#define EBB_UNDO_INT_H

#include "base/buf.h"
#include "deletion/carry.h"
#include "deletion/undo.h"

/* Items from..to of a receipt, both included. */
struct undo_range {
    uint64_t from, to;
};

/* What is to be undone of one receipt. `ranges` ascend. */
struct undo_choice {
    struct undo_range *ranges;
    size_t range_count;
    uint64_t chosen;     /* items */
    uint64_t left;       /* of those, not undone yet */
    uint64_t tags;       /* of `left` */
    int64_t newest_undo; /* of the others; 0: none */
};

/* A reference as it was asked for. */
struct undo_reference {
    str repo;
    str tag; /* unset: by digest */
    struct digest digest;
    str text;
};
/* ST_INVALID with a sentence. Borrows from `text`. */
MUST_CHECK enum st undo_parse(str text, struct undo_reference *out, struct err *err);

/* Goes through the items of a sealed receipt, which never change; only undone_by does. A tag takes
 * its image along, an image the tags that went with it. ST_NOT_FOUND names a reference that nothing
 * of the receipt is. */
MUST_CHECK enum st undo_choose(struct db_tx *tx, int64_t receipt_id,
                               const struct undo_reference *only, size_t count, struct arena *a,
                               struct undo_choice *out, struct err *err);

/* How an undo is carried on: the request of its receipt, as JSON. */
struct undo_order {
    bool force;
    str as;                    /* or unset */
    struct undo_range *ranges; /* or NULL: all items */
    size_t range_count;
};
void undo_order_write(struct buf *b, const struct undo_request *request,
                      const struct undo_choice *choice);
MUST_CHECK enum st undo_order_read(str text, struct arena *a, struct undo_order *out,
                                   struct err *err);

/* Takes the items back that *ranges name, from the place `first` on, up to `limit`. */
MUST_CHECK enum st undo_items(struct carry *c, const struct undo_order *order, int64_t receipt_id,
                              uint64_t first, uint64_t limit, struct err *err);

#endif
