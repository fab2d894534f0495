/* SPDX-License-Identifier: Apache-2.0
 *
 * fault - makes the nth allocation, file call or SQL step fail, so that tests can fail each in
 * turn.
 *
 * In builds without -Dfaults=true, fault_hit() is the constant false and costs nothing.
 *
 * A test arms one kind, runs, and asks how often the kind was passed:
 *
 *     for (n = 1; !done; n++) { fault_arm(FAULT_IO, n, false); run(); done = !fault_fired(); }
 *
 * Threads: counters are atomic; arm while no other thread works on what is tested.
 */
#ifndef EBB_FAULT_H
#define EBB_FAULT_H

#include "base/base.h"

enum fault_kind { FAULT_ALLOC, FAULT_IO, FAULT_SQL, FAULT_KINDS };

#ifdef EBB_FAULTS
/* True when this call is the one to fail. The caller fails as the real thing would (I/O: EIO). */
bool fault_hit(enum fault_kind kind);
#else
static inline bool fault_hit(enum fault_kind kind)
{
    (void)kind;
    return false;
}
#endif

/* The nth call (from 1) of `kind` from now on fails; with `all_after`, so do all that follow. */
void fault_arm(enum fault_kind kind, uint64_t nth, bool all_after);
void fault_disarm(void);
/* Whether an armed fault was hit since fault_arm(). */
bool fault_fired(void);

#endif
