/* SPDX-License-Identifier: Apache-2.0
 *
 * reclaim_load - how long reads take while the reclaimer works and while it rests: what its pace is
 * set by. The api notes each read that is over; the loop says when it works, and takes what was
 * noted since it asked last.
 *
 * A read that any work overlapped counts as one made while reclaiming.
 *
 * Threads: any number note, one loop works and takes. No locks; relaxed counters: a read that is
 * noted while they are taken may count to either side or window.
 */
#ifndef EBB_RECLAIM_LOAD_H
#define EBB_RECLAIM_LOAD_H

#include <stdatomic.h>

#include "base/base.h"

/* Buckets of latency, eight to a doubling from RECLAIM_LOAD_LEAST_US on: 9 % each. */
#define RECLAIM_LOAD_BUCKETS  144
#define RECLAIM_LOAD_LEAST_US 16

/* Zeroed is ready. */
struct reclaim_load {
    _Atomic int64_t busy_until_us; /* INT64_MAX while a batch runs; else when the last ended */
    _Atomic uint32_t idle[RECLAIM_LOAD_BUCKETS]; /* noted since the last take */
    _Atomic uint32_t busy[RECLAIM_LOAD_BUCKETS];
};

/* Counts of one window. */
struct reclaim_latencies {
    uint64_t count;
    uint32_t buckets[RECLAIM_LOAD_BUCKETS];
};

/* For api: a GET or HEAD that took `us` is over now (monotonic). Long answers, whose time is the
 * client's, are not to be noted. */
void reclaim_load_note(struct reclaim_load *load, int64_t now_us, int64_t us);

/* For the loop. NULL is fine. */
void reclaim_load_work(struct reclaim_load *load);                 /* a batch begins */
void reclaim_load_rest(struct reclaim_load *load, int64_t now_us); /* it is over */
/* Adds what was noted since the last call to both. */
void reclaim_load_take(struct reclaim_load *load, struct reclaim_latencies *idle,
                       struct reclaim_latencies *busy);

/* The least latency in a bucket, microseconds. */
int64_t reclaim_bucket_us(size_t bucket);
void reclaim_latencies_note(struct reclaim_latencies *l, int64_t us);

#endif
