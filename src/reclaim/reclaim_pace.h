/* SPDX-License-Identifier: Apache-2.0
 *
 * reclaim_pace - how much of the time reclaiming may take, so that reads do not suffer: their 99th
 * percentile stays within 1.2 times of what it is without reclaiming. Pure: no clock, no thread.
 *
 * Two distributions are kept, of the reads that overlapped a batch and of those that did not; both
 * fade, so that the pace follows. Let L be 1.2 times the 99th percentile of the latter, and b and i
 * the shares of each that take longer than L. When a share s of the reads overlaps batches, the
 * share s b + (1 - s) i takes longer than L, and may be 1 %: so s = (1 % - i) / (b - i). That is
 * the duty wanted, between RECLAIM_DUTY_LEAST and 1; the duty moves half-way to it at each look.
 *
 *  - Nobody reads: full speed.
 *  - What makes reads slow besides reclaiming makes those slow that overlap no batch, L grows with
 *    them, and b falls: no stall. To see it there is a rest of a twentieth at least while there are
 *    reads.
 *  - Too few reads to tell 1 % from chance: the look waits, for some seconds.
 */
#ifndef EBB_RECLAIM_PACE_H
#define EBB_RECLAIM_PACE_H

#include "reclaim/reclaim_load.h"

#define RECLAIM_DUTY_LEAST 0.05

/* Counts that fade. */
struct reclaim_weights {
    double sum;
    double buckets[RECLAIM_LOAD_BUCKETS];
};

struct reclaim_pace {
    double duty;
    int64_t looked_ms; /* when the duty was last thought over */
    int64_t read_ms;   /* when a read was last seen */
    uint64_t reads;    /* since the last look */
    double owed_ms;    /* rest that was too short to take at once */
    struct reclaim_weights idle;
    struct reclaim_weights busy;
};

void reclaim_pace_init(struct reclaim_pace *p, int64_t now_ms);
/* Adds what reads took since the last call, and thinks the duty over when that is enough. */
void reclaim_pace_note(struct reclaim_pace *p, const struct reclaim_latencies *idle,
                       const struct reclaim_latencies *busy, int64_t now_ms);
/* How long to rest after a batch of that many ms. */
int64_t reclaim_pace_rest_ms(struct reclaim_pace *p, double batch_ms, int64_t now_ms);

#endif
