/* SPDX-License-Identifier: Apache-2.0
 *
 * plan_summary - a plan without its items as it lies in plan.data, sealed as in plan_record.h.
 */
#ifndef EBB_PLAN_SUMMARY_H
#define EBB_PLAN_SUMMARY_H

#include "base/buf.h"
#include "deletion/plan.h"
#include "meta/plans.h"

/* What plan_chunk rows are numbered up to, so that no summary is taken for a chunk. */
#define PLAN_SUMMARY_NUMBER UINT64_MAX

void plan_summary_write(struct buf *b, const struct plan *plan, uint64_t chunks);
/* Strings borrow from `row`, arrays live in `a`. ST_CORRUPT. */
MUST_CHECK enum st plan_summary_read(const struct plan_row *row, struct arena *a, struct plan *out,
                                     uint64_t *chunks, struct err *err);

#endif
