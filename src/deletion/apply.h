/* SPDX-License-Identifier: Apache-2.0
 *
 * apply - carries a plan out.
 *
 *     planned ──apply──▶ open ──a step of items a transaction──▶ open ... ──▶ sealed
 *
 *  1. Looked at again: each item is checked in the transaction that removes it. A tag that points
 *     elsewhere by now, a manifest that was tagged, pushed or named by an index since, what became
 *     protected: skipped, and written down with the reason.
 *  2. One receipt, however large; a plan that was applied answers with the receipt that it has.
 *  3. Others go on: a step takes at most APPLY_STEP items, so writers wait for little.
 *  4. A crash between steps leaves the receipt open with its position, in the same transaction as
 *     what was removed; it is carried on from there after the start. A step is all or nothing.
 */
#ifndef EBB_APPLY_H
#define EBB_APPLY_H

#include "deletion/deletion.h"

#ifndef APPLY_STEP /* the simulation has smaller ones */
#define APPLY_STEP 256
#endif

struct apply_request {
    str plan_id;
    bool has_tags;
    uint64_t confirm_tags; /* repeats plan.confirm_tags */
    bool has_bytes;
    uint64_t confirm_bytes; /* repeats plan.bytes_freed; needed by a plan without grace */
    struct deletion_by by;
};

/* Carries it out, or begins to: up to two steps are done when this returns, the rest is done by the
 * engine's thread. *receipt_id is durable.
 *   ST_NOT_FOUND  no such plan, or forgotten
 *   ST_DENIED     a number must be repeated (or was repeated wrongly): the message says which */
MUST_CHECK enum st apply_plan(struct deletion *d, const struct apply_request *request, int64_t now,
                              int64_t *receipt_id, struct err *err);

#endif
