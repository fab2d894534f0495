/* SPDX-License-Identifier: Apache-2.0
 *
 * The pace on made-up streams of reads: batches and rests as it says, and what reads take in each.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/rng.h"
#include "reclaim/reclaim_pace.h"

#define BATCH_MS 20
#define FINE     20000

/* How long reads take, and how many there are. */
struct stream {
    double per_second;
    int64_t idle_us;       /* typical, while nothing is reclaimed */
    double slower;         /* times, while a batch runs */
    double slow_share;     /* of the reads in a batch that are slower */
    int64_t spike_from_ms; /* everything is ten times as slow from here on; 0: never */
};

struct play {
    struct reclaim_pace pace;
    uint64_t rng;
    double left; /* of a read */
    int64_t now_ms;
    int64_t worked_ms;
    uint64_t all[FINE];  /* of the time counted, in tens of microseconds */
    uint64_t calm[FINE]; /* what they had been without reclaiming */
};

static double chance(struct play *p)
{
    return (double)(rng_next(&p->rng) >> 11) / 9007199254740992.0;
}

/* Typically `us`, one in twenty twice and one in two hundred four times as long. */
static int64_t draw(struct play *p, int64_t us)
{
    double x = chance(p);
    double spread = 0.8 + 0.4 * chance(p);
    return (int64_t)((double)us * spread * (x < 0.005 ? 4 : x < 0.05 ? 2 : 1));
}

static void reads(struct play *p, const struct stream *s, int64_t ms, bool busy,
                  struct reclaim_latencies *to)
{
    p->left += s->per_second * (double)ms / 1000;
    for (; p->left >= 1; p->left -= 1) {
        int64_t us = draw(p, s->idle_us);
        if (s->spike_from_ms != 0 && p->now_ms >= s->spike_from_ms)
            us *= 10;
        p->calm[MIN(us / 10, FINE - 1)]++;
        if (busy && chance(p) < s->slow_share)
            us = (int64_t)((double)us * s->slower);
        p->all[MIN(us / 10, FINE - 1)]++;
        reclaim_latencies_note(to, us);
    }
}

static void play_for(struct play *p, const struct stream *s, int64_t ms)
{
    int64_t end = p->now_ms + ms;
    p->worked_ms = 0;
    memset(p->all, 0, sizeof(p->all));
    memset(p->calm, 0, sizeof(p->calm));
    while (p->now_ms < end) {
        struct reclaim_latencies idle = { 0 }, busy = { 0 };
        reads(p, s, BATCH_MS, true, &busy);
        p->now_ms += BATCH_MS;
        p->worked_ms += BATCH_MS;
        int64_t rest = reclaim_pace_rest_ms(&p->pace, BATCH_MS, p->now_ms);
        reads(p, s, rest, false, &idle);
        p->now_ms += rest;
        reclaim_pace_note(&p->pace, &idle, &busy, p->now_ms);
    }
}

/* As before a pass: what reads take was seen for a while. */
static void begin(struct play *p, const struct stream *s, uint64_t seed)
{
    struct reclaim_latencies idle = { 0 }, none = { 0 };
    *p = (struct play){ .rng = seed, .now_ms = 1000000 };
    reclaim_pace_init(&p->pace, p->now_ms);
    reads(p, s, 10000, false, &idle);
    p->now_ms += 10000;
    reclaim_pace_note(&p->pace, &idle, &none, p->now_ms);
}

static double p99(const uint64_t fine[static FINE])
{
    uint64_t all = 0, above = 0;
    for (size_t i = 0; i < FINE; i++)
        all += fine[i];
    for (size_t i = FINE; i > 0; i--) {
        above += fine[i - 1];
        if (above * 100 > all)
            return (double)i * 10;
    }
    return 0;
}

static double share(const struct play *p, int64_t ms)
{
    return (double)p->worked_ms / (double)ms;
}

static void nobody_reads(void **state)
{
    (void)state;
    const struct stream s = { .idle_us = 1000, .slower = 1 };
    static struct play p;
    begin(&p, &s, 1);
    play_for(&p, &s, 10000);
    assert_true(share(&p, 10000) > 0.999);
    assert_true(p.pace.duty == 1.0);
}

static void few_reads(void **state)
{
    (void)state;
    const struct stream s = { .per_second = 2, .idle_us = 1000, .slower = 10, .slow_share = 1 };
    static struct play p;
    begin(&p, &s, 1);
    play_for(&p, &s, 60000);
    assert_true(share(&p, 60000) > 0.4);
}

static void reads_that_do_not_suffer(void **state)
{
    (void)state;
    static const double rates[] = { 50, 1000, 20000 };
    for (size_t i = 0; i < ARRAY_LEN(rates); i++) {
        const struct stream s = {
            .per_second = rates[i], .idle_us = 400, .slower = 1.1, .slow_share = 1
        };
        static struct play p;
        begin(&p, &s, 7 + i);
        play_for(&p, &s, 20000);
        play_for(&p, &s, 40000);
        if (share(&p, 40000) < 0.80)
            fail_msg("%g reads a second: %g", rates[i], share(&p, 40000));
    }
}

/* Reads that suffer keep their 99th percentile, and reclaiming goes on. */
static void reads_that_suffer(void **state)
{
    (void)state;
    static const struct {
        double per_second, slower, slow_share, least;
    } cases[] = {
        { 5000, 2, 1, 0.05 },   { 5000, 5, 1, 0.045 },    { 20000, 2, 0.05, 0.2 },
        { 1000, 3, 0.1, 0.05 }, { 20000, 20, 0.02, 0.1 },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const struct stream s = { .per_second = cases[i].per_second,
                                  .idle_us = 500,
                                  .slower = cases[i].slower,
                                  .slow_share = cases[i].slow_share };
        static struct play p;
        begin(&p, &s, 3 + i);
        play_for(&p, &s, 20000);
        play_for(&p, &s, 120000);
        double ratio = p99(p.all) / p99(p.calm);
        if (share(&p, 120000) < cases[i].least)
            fail_msg("case %zu: only %g of the time", i, share(&p, 120000));
        /* 5 % of the time is taken whatever it costs */
        if (ratio > 1.25 && share(&p, 120000) > 0.06)
            fail_msg("case %zu: %g times as slow at %g", i, ratio, share(&p, 120000));
    }
}

/* Something else makes all reads ten times as slow: that is no reason to rest. */
static void unrelated_spike(void **state)
{
    (void)state;
    struct stream s = { .per_second = 2000, .idle_us = 500, .slower = 1, .slow_share = 1 };
    static struct play p;
    begin(&p, &s, 5);
    play_for(&p, &s, 10000);
    s.spike_from_ms = p.now_ms;
    play_for(&p, &s, 20000);
    play_for(&p, &s, 20000);
    assert_true(share(&p, 20000) > 0.8);
}

/* It comes back when the reads end, and when they stop suffering. */
static void recovers(void **state)
{
    (void)state;
    struct stream s = { .per_second = 5000, .idle_us = 500, .slower = 8, .slow_share = 1 };
    static struct play p;
    begin(&p, &s, 9);
    play_for(&p, &s, 20000);
    assert_true(share(&p, 20000) < 0.3);
    static struct play q;
    q = p;
    s.slower = 1;
    play_for(&p, &s, 20000);
    play_for(&p, &s, 20000);
    assert_true(share(&p, 20000) > 0.8);
    s.per_second = 0;
    play_for(&q, &s, 2000);
    play_for(&q, &s, 10000);
    assert_true(share(&q, 10000) > 0.99);
}

static void never_below_the_floor(void **state)
{
    (void)state;
    const struct stream s = { .per_second = 3000, .idle_us = 500, .slower = 1000, .slow_share = 1 };
    static struct play p;
    begin(&p, &s, 11);
    for (int i = 0; i < 20; i++) {
        play_for(&p, &s, 10000);
        assert_true(p.pace.duty >= RECLAIM_DUTY_LEAST);
        assert_true(share(&p, 10000) >= 0.04);
    }
}

static void load_tells_busy_from_idle(void **state)
{
    (void)state;
    static struct reclaim_load load;
    struct reclaim_latencies idle = { 0 }, busy = { 0 };
    reclaim_load_note(&load, 10000, 100); /* before any work */
    reclaim_load_work(&load);
    reclaim_load_note(&load, 20000, 100); /* in a batch */
    reclaim_load_rest(&load, 30000);
    reclaim_load_note(&load, 30500, 1000); /* began in the batch */
    reclaim_load_note(&load, 40000, 1000); /* after it */
    reclaim_load_take(&load, &idle, &busy);
    assert_int_equal(idle.count, 2);
    assert_int_equal(busy.count, 2);
    reclaim_load_take(&load, &idle, &busy); /* nothing new: what was taken stays */
    assert_int_equal(idle.count + busy.count, 4);
    reclaim_load_take(NULL, &idle, &busy);
}

static void buckets_cover_all(void **state)
{
    (void)state;
    static const int64_t times[] = { -5, 0,   1,     15,     16,         17,
                                     31, 100, 12345, 999999, 3600000000, INT64_MAX };
    for (size_t i = 0; i < ARRAY_LEN(times); i++) {
        struct reclaim_latencies l = { 0 };
        reclaim_latencies_note(&l, times[i]);
        assert_int_equal(l.count, 1);
        for (size_t b = 0; b < RECLAIM_LOAD_BUCKETS; b++) {
            if (l.buckets[b] == 0)
                continue;
            if (b > 0 && b < RECLAIM_LOAD_BUCKETS - 1)
                assert_in_range(times[i], reclaim_bucket_us(b), reclaim_bucket_us(b + 1) - 1);
        }
    }
    for (size_t b = 0; b + 1 < RECLAIM_LOAD_BUCKETS; b++)
        assert_true(reclaim_bucket_us(b) < reclaim_bucket_us(b + 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nobody_reads),
        cmocka_unit_test(few_reads),
        cmocka_unit_test(reads_that_do_not_suffer),
        cmocka_unit_test(reads_that_suffer),
        cmocka_unit_test(unrelated_spike),
        cmocka_unit_test(recovers),
        cmocka_unit_test(never_below_the_floor),
        cmocka_unit_test(load_tells_busy_from_idle),
        cmocka_unit_test(buckets_cover_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
