/* SPDX-License-Identifier: Apache-2.0 */
#include "reclaim/reclaim_load.h"

#define PER_DOUBLING 8

/* 8 log2(us / LEAST), by the leading bit and the three behind it. */
static size_t bucket_of(int64_t us)
{
    uint64_t n = (uint64_t)MAX(us, (int64_t)RECLAIM_LOAD_LEAST_US);
    unsigned log = 63 - (unsigned)__builtin_clzll(n);
    size_t bucket = (size_t)(log - 4) * PER_DOUBLING + ((n >> (log - 3)) & (PER_DOUBLING - 1));
    return MIN(bucket, (size_t)RECLAIM_LOAD_BUCKETS - 1);
}

static_assert(RECLAIM_LOAD_LEAST_US == 16, "bucket_of() begins at the fourth bit");

int64_t reclaim_bucket_us(size_t bucket)
{
    size_t log = bucket / PER_DOUBLING + 4;
    return (int64_t)((PER_DOUBLING + bucket % PER_DOUBLING) << (log - 3));
}

void reclaim_load_note(struct reclaim_load *load, int64_t now_us, int64_t us)
{
    int64_t busy_until = atomic_load_explicit(&load->busy_until_us, memory_order_relaxed);
    bool overlapped = busy_until > now_us - us;
    (void)atomic_fetch_add_explicit(&(overlapped ? load->busy : load->idle)[bucket_of(us)], 1,
                                    memory_order_relaxed);
}

void reclaim_load_work(struct reclaim_load *load)
{
    if (load != NULL)
        atomic_store_explicit(&load->busy_until_us, INT64_MAX, memory_order_relaxed);
}

void reclaim_load_rest(struct reclaim_load *load, int64_t now_us)
{
    if (load != NULL)
        atomic_store_explicit(&load->busy_until_us, now_us, memory_order_relaxed);
}

static void take(_Atomic uint32_t *from, struct reclaim_latencies *to)
{
    for (size_t i = 0; i < RECLAIM_LOAD_BUCKETS; i++) {
        if (atomic_load_explicit(&from[i], memory_order_relaxed) == 0)
            continue;
        uint32_t n = atomic_exchange_explicit(&from[i], 0, memory_order_relaxed);
        to->buckets[i] += n;
        to->count += n;
    }
}

void reclaim_load_take(struct reclaim_load *load, struct reclaim_latencies *idle,
                       struct reclaim_latencies *busy)
{
    if (load == NULL)
        return;
    take(load->idle, idle);
    take(load->busy, busy);
}

void reclaim_latencies_note(struct reclaim_latencies *l, int64_t us)
{
    l->buckets[bucket_of(us)]++;
    l->count++;
}
