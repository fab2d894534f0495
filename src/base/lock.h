/* SPDX-License-Identifier: Apache-2.0
 *
 * lock - mutexes with a name and a place in one order, checked in debug builds.
 *
 * A thread may take a lock only when its rank is higher than those of all locks it holds. The ranks
 * stand in locks.def, the reasons in doc/concurrency.md. Builds with -Dfaults=true abort on a
 * breach.
 */
#ifndef EBB_LOCK_H
#define EBB_LOCK_H

#include <pthread.h>

#include "base/base.h"

enum lock_rank {
#define LOCK(name, what) LOCK_##name,
#include "base/locks.def"
#undef LOCK
    LOCK_RANKS
};

struct lock {
    pthread_mutex_t mutex;
    enum lock_rank rank;
};

void lock_init(struct lock *l, enum lock_rank rank);
void lock_release(struct lock *l); /* nobody may hold it */
void lock_take(struct lock *l);
void lock_drop(struct lock *l);

/* A condition that belongs to one lock; the caller holds it. */
void lock_wait(struct lock *l, pthread_cond_t *cond);
/* False when `timeout_ms` went by. `cond` must come from lock_cond_init(). */
bool lock_wait_for(struct lock *l, pthread_cond_t *cond, int64_t timeout_ms);
void lock_cond_init(pthread_cond_t *cond); /* on the monotonic clock */

/* { LOCK_SCOPE(&x->lock); ... } holds the lock to the end of the block. */
#define LOCK_SCOPE(l)                                                                              \
    AUTO(lock_drop_auto) __attribute__((unused)) struct lock *lock_scope = lock_taken(l)
struct lock *lock_taken(struct lock *l);
void lock_drop_auto(struct lock **l);

#endif
