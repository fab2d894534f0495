/* SPDX-License-Identifier: Apache-2.0
 *
 * plans - rows of plan and plan_chunk: what deletions were computed. What the bytes mean is
 * deletion/'s. Functions run inside the caller's transaction.
 *
 *     begun ──chunks, in transactions of their own──▶ begun ──finish──▶ there ──expire──▶ gone
 *
 * What is only begun is found by nobody; a crash leaves it so, until it expires. A plan that is
 * being applied does not expire.
 */
#ifndef EBB_PLANS_H
#define EBB_PLANS_H

#include "base/arena.h"
#include "db/db.h"

struct plan_row {
    str id;
    int64_t created_at;
    int64_t expires_at;
    int64_t receipt_id; /* 0: not applied */
    str request;
    str data; /* unset when it is only begun */
};
/* row->data is not looked at. */
MUST_CHECK enum st plans_begin(struct db_tx *tx, const struct plan_row *row, struct err *err);
MUST_CHECK enum st plans_add_chunk(struct db_tx *tx, str id, uint64_t chunk, str items,
                                   struct err *err);
MUST_CHECK enum st plans_finish(struct db_tx *tx, str id, str data, struct err *err);

/* Strings in `a`. ST_NOT_FOUND, with a plain message. */
MUST_CHECK enum st plans_find(struct db_tx *tx, str id, struct arena *a, struct plan_row *out,
                              struct err *err);
MUST_CHECK enum st plans_find_chunk(struct db_tx *tx, str id, uint64_t chunk, struct arena *a,
                                    str *items, struct err *err);
/* It is applied from now on. */
MUST_CHECK enum st plans_set_receipt(struct db_tx *tx, str id, int64_t receipt_id, struct err *err);
/* ST_NOT_FOUND; ST_BUSY while it is being applied. */
MUST_CHECK enum st plans_remove(struct db_tx *tx, str id, struct err *err);
/* Whether there is one whose time is over. */
MUST_CHECK enum st plans_expired(struct db_tx *tx, int64_t now, bool *out, struct err *err);
/* Removes a plan whose time is over; *more tells that one was found. Chunks go a number at a time:
 * a large plan takes several calls. */
MUST_CHECK enum st plans_expire(struct db_tx *tx, int64_t now, bool *more, struct err *err);

#endif
