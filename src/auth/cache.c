/* SPDX-License-Identifier: Apache-2.0 */
#include "auth/cache.h"

#include <openssl/crypto.h>

#include "base/lock.h"
#include "base/mem.h"

#define WAYS   8
#define SHARDS 8

struct entry {
    struct counted *value; /* NULL: empty */
    uint64_t epoch;
    int64_t over_at;
    uint64_t asked; /* number of the last look */
    uint8_t key[CACHE_KEY_BYTES];
};

struct shard {
    struct lock lock;
    uint64_t looks;
};

struct cache {
    size_t sets;
    struct shard shards[SHARDS]; /* set n belongs to shard n % SHARDS */
    struct entry entries[][WAYS];
};

void counted_take(struct counted *c)
{
    atomic_fetch_add_explicit(&c->refs, 1, memory_order_relaxed);
}

void counted_drop(struct counted *c)
{
    if (c != NULL && atomic_fetch_sub_explicit(&c->refs, 1, memory_order_acq_rel) == 1)
        c->free(c);
}

enum st cache_new(size_t entries, struct cache **out, struct err *err)
{
    assert(entries % WAYS == 0 && entries > 0);
    struct cache *c = mem_new(sizeof(*c) + entries * sizeof(c->entries[0][0]));
    if (c == NULL)
        return err_no_memory(err);
    c->sets = entries / WAYS;
    for (size_t i = 0; i < SHARDS; i++)
        lock_init(&c->shards[i].lock, LOCK_AUTH_CACHE);
    *out = c;
    return ST_OK;
}

void cache_free(struct cache *c)
{
    if (c == NULL)
        return;
    for (size_t i = 0; i < c->sets; i++)
        for (size_t k = 0; k < WAYS; k++)
            counted_drop(c->entries[i][k].value);
    for (size_t i = 0; i < SHARDS; i++)
        lock_release(&c->shards[i].lock);
    mem_free(c);
}

/* Keys are hashes: any of their bytes will do. */
static size_t set_of(const struct cache *c, const uint8_t *key)
{
    uint64_t n;
    memcpy(&n, key, sizeof(n));
    return n % c->sets;
}

static bool holds(const struct entry *e, const uint8_t *key)
{
    return e->value != NULL && CRYPTO_memcmp(e->key, key, CACHE_KEY_BYTES) == 0;
}

struct counted *cache_find(struct cache *c, const uint8_t key[static CACHE_KEY_BYTES],
                           uint64_t epoch, int64_t now)
{
    size_t set = set_of(c, key);
    struct shard *shard = &c->shards[set % SHARDS];
    LOCK_SCOPE(&shard->lock);
    for (size_t i = 0; i < WAYS; i++) {
        struct entry *e = &c->entries[set][i];
        if (!holds(e, key))
            continue;
        if (e->epoch != epoch || e->over_at <= now)
            return NULL;
        e->asked = ++shard->looks;
        counted_take(e->value);
        return e->value;
    }
    return NULL;
}

/* The place for a new entry: its own, an empty one, one that is over, the one asked for least. */
static struct entry *find_place(struct entry *set, const uint8_t *key, uint64_t epoch, int64_t now)
{
    struct entry *best = NULL;
    uint64_t best_rank = UINT64_MAX;
    for (size_t i = 0; i < WAYS; i++) {
        struct entry *e = &set[i];
        bool over = e->value == NULL || e->epoch != epoch || e->over_at <= now;
        uint64_t rank = over ? 0 : e->asked + 1;
        if (holds(e, key))
            return e;
        if (best == NULL || rank < best_rank) {
            best = e;
            best_rank = rank;
        }
    }
    return best;
}

void cache_put(struct cache *c, const uint8_t key[static CACHE_KEY_BYTES], uint64_t epoch,
               int64_t over_at, int64_t now, struct counted *value)
{
    size_t set = set_of(c, key);
    struct shard *shard = &c->shards[set % SHARDS];
    struct counted *old;
    counted_take(value);
    {
        LOCK_SCOPE(&shard->lock);
        struct entry *e = find_place(c->entries[set], key, epoch, now);
        old = e->value;
        *e = (struct entry){
            .value = value, .epoch = epoch, .over_at = over_at, .asked = ++shard->looks
        };
        memcpy(e->key, key, CACHE_KEY_BYTES);
    }
    counted_drop(old);
}
