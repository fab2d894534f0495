/* SPDX-License-Identifier: Apache-2.0
 *
 * plan_item - the items of a plan as they lie in rows of plan_chunk, and how apply.h reads them.
 *
 *     chunk    version (1 byte), check (16 bytes), count, records
 *     record   kind, role, flags | repository unless that of the record before | tag | digest key |
 *              size | changed_at | why
 *
 *  1. Numbers are LEB128, strings a number and their bytes.
 *  2. The check is the head of a SHA-256 over plan, number of the chunk and what follows: a chunk
 *     that is damaged, or of another plan or place, is ST_CORRUPT, never a wrong deletion.
 *  3. Tags stand right before their manifest, in the same chunk where all of them fit; an index
 *     before its children. What is loose already, links and what lies in the trash come before
 *     everything else: so a blob that both a loose and a kept manifest of the plan use is counted
 *     as freed once, by the latter.
 *  4. Counting what is freed while a plan is applied: a selected manifest that was kept when the
 *     plan was made, and is loose when its turn comes, was let go by an item before it (a tag of
 *     it, an index above it) and counted then. Its own step must not count it again (NULL for
 *     `freed` of manifests_trash()); one that was_loose is counted then.
 */
#ifndef EBB_PLAN_ITEM_H
#define EBB_PLAN_ITEM_H

#include "base/buf.h"
#include "deletion/apply.h"
#include "deletion/plan.h"

#define PLAN_CHUNK_ITEMS APPLY_STEP /* at most */
#define PLAN_WHY_MAX     300        /* bytes; longer ones are cut */

/* Adds the record of `item` to `b`; `before` is the one before in the chunk, or NULL. */
void plan_item_put(struct buf *b, const struct plan_item *item, const struct plan_item *before);

/* Adds the chunk made of `count` records. */
void plan_chunk_seal(struct buf *b, str plan_id, uint64_t chunk, size_t count, str records);

/* Items in `a`; their strings borrow from `bytes`. ST_CORRUPT. */
MUST_CHECK enum st plan_chunk_open(str bytes, str plan_id, uint64_t chunk, struct arena *a,
                                   struct plan_item **items, size_t *count, struct err *err);

/* ---- from their rows, inside the caller's transaction ---------------------------------------- */

/* The plan, and of how many chunks its items are. ST_NOT_FOUND as plan_find(). A plan that was
 * applied is found after its time, too. */
MUST_CHECK enum st plan_load(struct db_tx *tx, str id, int64_t now, struct arena *a,
                             struct plan *out, uint64_t *chunks, struct err *err);
/* Chunk 0 .. chunks-1; items and strings in `a`. ST_CORRUPT when it is not there. */
MUST_CHECK enum st plan_load_chunk(struct db_tx *tx, str id, uint64_t chunk, struct arena *a,
                                   struct plan_item **items, size_t *count, struct err *err);

#endif
