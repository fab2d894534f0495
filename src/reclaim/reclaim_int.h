/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of reclaim/ share.
 */
#ifndef EBB_RECLAIM_INT_H
#define EBB_RECLAIM_INT_H

#include "base/lock.h"
#include "reclaim/reclaim.h"
#include "reclaim/reclaim_pace.h"

/* Whether a failure is one object's. The others are the machine's, and would be the next object's
 * as well. */
bool reclaim_blames_object(enum st st);

/* Removes a batch of the names that are due from the store; the rows of those that are gone go, the
 * others wait. */
MUST_CHECK enum st reclaim_names(struct registry *r, int64_t now, struct reclaim_report *out,
                                 struct err *err);

struct reclaim_loop {
    struct registry *r;
    struct reclaim_guard guard;
    bool guarded;
    struct reclaim_load *load;
    int64_t interval_ms;
    pthread_t thread;

    struct lock lock; /* of what follows */
    pthread_cond_t wake;
    pthread_cond_t over; /* a pass ended, or pause, or stop */
    bool stopping;
    bool paused; /* as in the database */
    bool woken;  /* the next pass starts at once */
    enum { LOOP_IDLE, LOOP_BATCH, LOOP_REST } at;
    uint64_t passes_started;
    uint64_t passes_ended;
    struct reclaim_pass pass; /* the one under way or the last */
    struct reclaim_pass last; /* ended, and did something or was asked for */
    bool asked;               /* for the pass under way */
    double duty;
    double objects_per_second;
    double bytes_per_second;

    /* The thread's own. */
    struct reclaim_pace pace;
    int64_t rated_us;  /* when the rate was counted last */
    int64_t gauged_ms; /* when the queue was counted last */
    int64_t ticked_ms; /* registry_tick() */
};

/* The registry's time. */
int64_t reclaim_now(const struct reclaim_loop *loop);
/* Counts the queue into the gauges. */
void reclaim_gauge(struct reclaim_loop *loop, int64_t now);

#endif
