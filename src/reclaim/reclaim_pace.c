/* SPDX-License-Identifier: Apache-2.0 */
#include "reclaim/reclaim_pace.h"

#include <math.h>

/* A look needs this many reads of both kinds. */
#define READS_WANTED 400
/* After this time it takes what there is, if it is this many. */
#define LOOK_MS      5000
#define READS_LEAST  20
/* No read for so long: nobody is there. */
#define QUIET_MS     1000
/* What came before weighs no more than this many reads. */
#define WEIGHT_MAX   4000

#define SLOWER_MAX 1.2
#define SLOW_SHARE 0.01
/* Of the duty that would just do. */
#define CAUTION    0.85
#define DUTY_STEP  0.5
#define REST_SHARE 0.05
#define REST_LEAST 10

void reclaim_pace_init(struct reclaim_pace *p, int64_t now_ms)
{
    *p = (struct reclaim_pace){ .duty = 1, .looked_ms = now_ms, .read_ms = now_ms - QUIET_MS };
}

static void add(struct reclaim_weights *to, const struct reclaim_latencies *from)
{
    for (size_t i = 0; i < RECLAIM_LOAD_BUCKETS; i++)
        to->buckets[i] += from->buckets[i];
    to->sum += (double)from->count;
}

static void fade(struct reclaim_weights *w)
{
    double by = MIN(0.5, WEIGHT_MAX / MAX(w->sum, 1.0));
    for (size_t i = 0; i < RECLAIM_LOAD_BUCKETS; i++)
        w->buckets[i] *= by;
    w->sum *= by;
}

/* The lower bound of the bucket that holds the last but SLOW_SHARE: rather too strict. */
static double slow_us(const struct reclaim_weights *w)
{
    double above = 0;
    for (size_t i = RECLAIM_LOAD_BUCKETS; i > 0; i--) {
        above += w->buckets[i - 1];
        if (above > SLOW_SHARE * w->sum)
            return (double)reclaim_bucket_us(i - 1);
    }
    return (double)RECLAIM_LOAD_LEAST_US;
}

/* Within a bucket as if evenly spread. */
static double share_over(const struct reclaim_weights *w, double limit_us)
{
    double over = 0;
    for (size_t i = 0; i < RECLAIM_LOAD_BUCKETS; i++) {
        double from = (double)reclaim_bucket_us(i);
        double to = (double)reclaim_bucket_us(i + 1);
        over += w->buckets[i] * MIN(MAX((to - limit_us) / (to - from), 0.0), 1.0);
    }
    return over / w->sum;
}

static double wanted(const struct reclaim_pace *p)
{
    double limit = SLOWER_MAX * slow_us(&p->idle);
    double idle = share_over(&p->idle, limit);
    double busy = share_over(&p->busy, limit);
    busy -= sqrt(busy * (1 - busy) / p->busy.sum) / 2; /* chance alone may have added that */
    if (busy <= SLOW_SHARE)
        return 1;
    double share = CAUTION * (SLOW_SHARE - idle) / (busy - idle);
    return MIN(MAX(share, RECLAIM_DUTY_LEAST), 1.0);
}

static void set(struct reclaim_pace *p, double duty, int64_t now_ms)
{
    p->duty = MIN(MAX(duty, RECLAIM_DUTY_LEAST), 1.0);
    p->looked_ms = now_ms;
    p->reads = 0;
}

void reclaim_pace_note(struct reclaim_pace *p, const struct reclaim_latencies *idle,
                       const struct reclaim_latencies *busy, int64_t now_ms)
{
    if (idle->count + busy->count > 0)
        p->read_ms = now_ms;
    p->reads += idle->count + busy->count;
    add(&p->idle, idle);
    add(&p->busy, busy);
    double least = MIN(p->idle.sum, p->busy.sum);
    bool late = now_ms - p->looked_ms >= LOOK_MS;
    if (now_ms - p->read_ms >= QUIET_MS) {
        set(p, 1, now_ms);
    } else if (least >= READS_WANTED || (late && least >= READS_LEAST)) {
        set(p, p->duty + DUTY_STEP * (wanted(p) - p->duty), now_ms);
        fade(&p->idle);
        fade(&p->busy);
    } else if (late && p->reads < READS_LEAST) { /* hardly anybody */
        set(p, p->duty * 2, now_ms);
    }
}

int64_t reclaim_pace_rest_ms(struct reclaim_pace *p, double batch_ms, int64_t now_ms)
{
    bool quiet = now_ms - p->read_ms >= QUIET_MS;
    double duty = quiet ? 1 : MIN(p->duty, 1 - REST_SHARE);
    p->owed_ms = quiet ? 0 : p->owed_ms + batch_ms * (1 - duty) / duty;
    if (p->owed_ms < REST_LEAST)
        return 0;
    int64_t rest = (int64_t)p->owed_ms;
    p->owed_ms = 0;
    return rest;
}
