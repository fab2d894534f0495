/* SPDX-License-Identifier: Apache-2.0 */
#include "base/fault.h"

#include <stdatomic.h>

static _Atomic int64_t countdown[FAULT_KINDS]; /* 0: not armed */
static atomic_bool sticky;
static atomic_bool fired;

#ifdef EBB_FAULTS
bool fault_hit(enum fault_kind kind)
{
    int64_t left = atomic_load_explicit(&countdown[kind], memory_order_relaxed);
    int64_t next;
    do { /* one step, so that of many threads exactly the nth call fails */
        if (left == 0)
            return false;
        next = left > 1 ? left - 1 : atomic_load(&sticky);
    } while (!atomic_compare_exchange_weak(&countdown[kind], &left, next));
    if (left > 1)
        return false;
    atomic_store(&fired, true);
    return true;
}
#endif

void fault_arm(enum fault_kind kind, uint64_t nth, bool all_after)
{
    assert(nth > 0 && kind < FAULT_KINDS);
    fault_disarm();
    atomic_store(&fired, false);
    atomic_store(&sticky, all_after);
    atomic_store(&countdown[kind], (int64_t)nth);
}

void fault_disarm(void)
{
    for (size_t i = 0; i < FAULT_KINDS; i++)
        atomic_store(&countdown[i], 0);
}

bool fault_fired(void)
{
    return atomic_load(&fired);
}
