/* SPDX-License-Identifier: Apache-2.0
 *
 * What protection.c, rules.c and locks.c share.
 */
#ifndef EBB_RULES_INT_H
#define EBB_RULES_INT_H

#include "meta/protection.h"

#define RULES_VERSION "rules.version"

/* So that compiled rules elsewhere are known to be old (protection.c, 1). */
MUST_CHECK enum st rules_new_version(struct db_tx *tx, struct err *err);

/* Of the column; ST_CORRUPT. */
MUST_CHECK enum st rules_kind_of(str text, enum rule_kind *out, struct err *err);

#endif
