/* SPDX-License-Identifier: Apache-2.0
 *
 * receipts - rows of receipt and receipt_item: the record of each deletion, and the handle by which
 * the trash knows what went together. Functions run inside the caller's transaction.
 */
#ifndef EBB_RECEIPTS_H
#define EBB_RECEIPTS_H

#include "db/db.h"
#include "oci/digest.h"

struct receipt {
    int64_t created_at;
    int64_t due_at; /* until then it can be undone */
    str door;       /* "oci", ... */
    str actor;
    str peer;   /* address */
    str reason; /* or unset */
};

struct receipt_item {
    enum { ITEM_TAG, ITEM_MANIFEST, ITEM_BLOB } kind;
    str repo;
    str tag; /* of ITEM_TAG */
    struct digest digest;
    uint64_t size;
};

MUST_CHECK enum st receipts_add(struct db_tx *tx, const struct receipt *r, int64_t *id,
                                struct err *err);
/* `number` counts the items of a receipt from 1. */
MUST_CHECK enum st receipts_add_item(struct db_tx *tx, int64_t receipt_id, int64_t number,
                                     const struct receipt_item *item, struct err *err);

#endif
