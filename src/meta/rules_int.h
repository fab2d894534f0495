/* SPDX-License-Identifier: Apache-2.0
 *
 * What protection.c and rules.c share.
 */
#ifndef EBB_RULES_INT_H
#define EBB_RULES_INT_H

#include "meta/protection.h"

#define RULES_VERSION "rules.version"

/* Of the column; ST_CORRUPT. */
MUST_CHECK enum st rules_kind_of(str text, enum rule_kind *out, struct err *err);

#endif
