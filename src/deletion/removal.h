/* SPDX-License-Identifier: Apache-2.0
 *
 * removal - repositories that are to be deleted whole (rows of meta/removals.h), a step at a
 * time:
 *
 *     scheduled ──take──▶ ongoing ──plan and apply the whole repository──▶ sealed
 *         ▲                                                                   │
 *         │                                          nothing live is left ◀───┼──▶ something is
 *         │                                             done: the row goes                │
 *         ├── again after 2^failures minutes ◀────────────────────────────────────────────┤
 *         └── reset ── failed ◀── the tenth time ◀────────────────────────────────────────┘
 *
 *  1. What is protected or held stays and is the reason of the failure; the rest is gone, under a
 *     receipt, each time.
 *  2. The plan is made when its turn comes: what was pushed since the removal was asked for goes as
 *     well.
 *  3. A process that dies leaves a row that is due again; its receipt is carried on
 *     (deletion.h, 6).
 *
 * Threads: any; one removal is worked on at a time, whoever comes meanwhile finds nothing to do.
 */
#ifndef EBB_REMOVAL_H
#define EBB_REMOVAL_H

#include "deletion/deletion.h"
#include "meta/removals.h"

/* Notes it, in a transaction, and does the first step, so that a repository which is not large is
 * gone when this returns. What then goes wrong is in the removal's row. ST_DENIED: it failed
 * REMOVAL_TRIES_MAX times and is not tried before it is reset. */
MUST_CHECK enum st removal_begin(struct deletion *d, const struct repo_removal *in, int64_t now,
                                 struct err *err);

/* Works on the removal that is due first, for a few seconds at most. *more: there may be more to
 * do; call again. What goes wrong with a removal is written into its row and is no failure of the
 * step. */
MUST_CHECK enum st removal_step(struct deletion *d, int64_t now, bool *more, struct err *err);

#endif
