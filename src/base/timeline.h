/* SPDX-License-Identifier: Apache-2.0
 *
 * timeline - the registry's own time, by which it decides what to keep.
 *
 * Registry time R is in milliseconds. It goes on by CLOCK_BOOTTIME while the process runs and from
 * the last persisted value after a restart; time while the process was off does not count. Whoever
 * sets the machine's clock can therefore never shorten a grace: all times that decide (leases,
 * graces, ages) are in R. To show them to people R is mapped to UTC by a list of steps.
 *
 *  1. R never decreases. A duration in R is never longer than the process ran meanwhile.
 *  2. A start from a value older than the last R that was handed out (a crash before it was
 *     persisted) makes graces longer, never shorter.
 *  3. From a step on, UTC = R + offset. A step is added when the wall clock is more than
 *     TIMELINE_SLACK_MS away from what the last one says: at a start, and whenever
 *     timeline_observe() sees it. The caller persists each (a step with the same `at` takes the
 *     place of the one before) and R itself every few seconds and at a clean stop.
 *  4. There are at most TIMELINE_STEPS_MAX steps; then the oldest goes and what it covered is shown
 *     by the next.
 *
 * Threads: any, after timeline_init(). timeline_at() and timeline_now() take no lock, the others
 * LOCK_TIMELINE.
 */
#ifndef EBB_TIMELINE_H
#define EBB_TIMELINE_H

#include "base/err.h"
#include "base/lock.h"

#define TIMELINE_STEPS_MAX 1000
#define TIMELINE_SLACK_MS  2000

struct timeline_step {
    int64_t at;     /* R from which it holds */
    int64_t offset; /* UTC - R */
};

struct timeline {
    int64_t start_r; /* R at start_boot; both never change */
    int64_t start_boot;
    struct lock lock; /* of what follows */
    size_t n;
    struct timeline_step steps[TIMELINE_STEPS_MAX]; /* ascending by `at` */
};

/* The clocks are the caller's. `last_r` 0: a fresh registry, R starts at the wall clock. Of more
 * steps than TIMELINE_STEPS_MAX the last are taken. ST_CORRUPT: steps that do not ascend, or values
 * that no clock gives. When *has_new, *new is a step to persist. */
MUST_CHECK enum st timeline_init(struct timeline *t, int64_t last_r,
                                 const struct timeline_step *steps, size_t n, int64_t wall_now,
                                 int64_t boot_now, bool *has_new, struct timeline_step *new,
                                 struct err *err);
int64_t timeline_at(const struct timeline *t, int64_t boot);
/* True when the wall clock was set: *new is to be persisted. Once a second or so. */
bool timeline_observe(struct timeline *t, int64_t wall, int64_t boot, struct timeline_step *new);

/* By the last step with at <= r; before the first step, by the first. */
int64_t timeline_utc(struct timeline *t, int64_t r);
/* The smallest R that is shown as `utc`. When none is, because the clock jumped over `utc` or the
 * process was off: the R of the first such jump. So "older than `utc`" leaves too much rather than
 * too little. */
int64_t timeline_of_utc(struct timeline *t, int64_t utc);

/* The same by the machine's clocks. */
MUST_CHECK enum st timeline_start(struct timeline *t, int64_t last_r,
                                  const struct timeline_step *steps, size_t n, bool *has_new,
                                  struct timeline_step *new, struct err *err);
int64_t timeline_now(const struct timeline *t);
bool timeline_tick(struct timeline *t, struct timeline_step *new);

#endif
