/* SPDX-License-Identifier: Apache-2.0 */
#include "base/lock.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

#ifdef EBB_FAULTS
#include <stdio.h>

static const char *const names[] = {
#define LOCK(name, what) #name,
#include "base/locks.def"
#undef LOCK
};

static _Thread_local uint32_t held; /* one bit per rank */

static void note_taken(const struct lock *l)
{
    uint32_t bit = (uint32_t)1 << l->rank;
    if (held >= bit) {
        (void)fprintf(stderr, "lock order: %s taken while holding mask %x\n", names[l->rank],
                      (unsigned)held);
        abort();
    }
    held |= bit;
}

static void note_dropped(const struct lock *l)
{
    held &= ~((uint32_t)1 << l->rank);
}
#else
static void note_taken(const struct lock *l)
{
    (void)l;
}
static void note_dropped(const struct lock *l)
{
    (void)l;
}
#endif

static_assert(LOCK_RANKS <= 32, "the mask of held locks has 32 bits");

static void check(int code)
{
    if (code != 0)
        abort(); /* only a bug makes these calls fail */
}

void lock_init(struct lock *l, enum lock_rank rank)
{
    check(pthread_mutex_init(&l->mutex, NULL));
    l->rank = rank;
}

void lock_release(struct lock *l)
{
    check(pthread_mutex_destroy(&l->mutex));
}

void lock_take(struct lock *l)
{
    note_taken(l);
    check(pthread_mutex_lock(&l->mutex));
}

void lock_drop(struct lock *l)
{
    note_dropped(l);
    check(pthread_mutex_unlock(&l->mutex));
}

void lock_wait(struct lock *l, pthread_cond_t *cond)
{
    check(pthread_cond_wait(cond, &l->mutex));
}

bool lock_wait_for(struct lock *l, pthread_cond_t *cond, int64_t timeout_ms)
{
    struct timespec until;
    timeout_ms = MAX(timeout_ms, (int64_t)0); /* a deadline that is over */
    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += timeout_ms / 1000;
    until.tv_nsec += (timeout_ms % 1000) * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    int code = pthread_cond_timedwait(cond, &l->mutex, &until);
    if (code == ETIMEDOUT)
        return false;
    check(code);
    return true;
}

void lock_cond_init(pthread_cond_t *cond)
{
    pthread_condattr_t attr;
    check(pthread_condattr_init(&attr));
    check(pthread_condattr_setclock(&attr, CLOCK_MONOTONIC));
    check(pthread_cond_init(cond, &attr));
    check(pthread_condattr_destroy(&attr));
}

struct lock *lock_taken(struct lock *l)
{
    lock_take(l);
    return l;
}

void lock_drop_auto(struct lock **l)
{
    lock_drop(*l);
}
