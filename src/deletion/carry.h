/* SPDX-License-Identifier: Apache-2.0
 *
 * carry - one step of a receipt that is open, inside its transaction: what apply.c and undo.c do
 * with their own kind. The receipt's position says which step is next; it is written with what the
 * step did.
 */
#ifndef EBB_CARRY_H
#define EBB_CARRY_H

#include "deletion/deletion_int.h"

struct carry {
    struct db_tx *tx;
    struct deletion *d;
    struct receipt *receipt; /* as it stands; the step counts in it, position included */
    int64_t now;
    struct arena *a; /* of the step */
};
MUST_CHECK enum st carry_plan(struct carry *c, struct err *err);
MUST_CHECK enum st carry_undo(struct carry *c, struct err *err);
/* Writes the receipt: seals it when its position is its total. */
MUST_CHECK enum st carry_end(struct carry *c, struct err *err);

#endif
