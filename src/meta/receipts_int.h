/* SPDX-License-Identifier: Apache-2.0
 *
 * What receipts.c, receipts_chain.c and trash.c share.
 */
#ifndef EBB_RECEIPTS_INT_H
#define EBB_RECEIPTS_INT_H

#include "meta/receipts.h"

#define RECEIPT_COLUMNS                                                                            \
    "id, kind, state, created_at, sealed_at, due_at, door, actor, peer, reason, rule, request,"    \
    " undo_of, immediate, total, position, items, tags, manifests, blobs, skipped, undone,"        \
    " bytes_freed, bytes_kept, seq, items_hash, prev_hash, hash, signature, plan_id"
/* ST_CORRUPT for a row that cannot be read. */
MUST_CHECK enum st receipts_read(const struct db_rows *rows, struct arena *a, struct receipt *out,
                                 struct err *err);

#define RECEIPT_ITEM_COLUMNS "item, kind, role, repo, tag, digest, size, why, undone_by"
MUST_CHECK enum st receipts_read_item(const struct db_rows *rows, struct arena *a,
                                      struct receipt_item *out, struct err *err);

/* items_hash goes on by an item. */
MUST_CHECK enum st receipts_roll(unsigned char hash[static RECEIPT_HASH_BYTES],
                                 const struct receipt_item *item, struct err *err);
/* The chain begins behind this one from now on. */
MUST_CHECK enum st receipts_set_anchor(struct db_tx *tx, const struct signature_key *key,
                                       int64_t seq,
                                       const unsigned char hash[static RECEIPT_HASH_BYTES],
                                       struct err *err);

#endif
