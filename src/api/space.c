/* SPDX-License-Identifier: Apache-2.0 */
#include "api/space.h"

#include "base/clock.h"

#define KEPT_LEAST (4 * MIB)
#define KEPT_MOST  (1 * GIB)

static uint64_t usable(const struct blob_space *space)
{
    uint64_t kept = MIN(MAX(space->size_bytes / 100, KEPT_LEAST), KEPT_MOST);
    kept = MIN(kept, space->size_bytes / 8);
    return space->free_bytes > kept ? space->free_bytes - kept : 0;
}

void space_init(struct space *s, struct blob_store *store)
{
    s->store = store;
    atomic_init(&s->asked_mono_ms, -SPACE_AGE_MS);
    atomic_init(&s->usable_bytes, UINT64_MAX);
}

static void ask(struct space *s)
{
    int64_t now = clock_mono_ms();
    if (now - atomic_load(&s->asked_mono_ms) < SPACE_AGE_MS)
        return;
    struct blob_space space = { 0 };
    uint64_t left = UINT64_MAX;
    atomic_store(&s->asked_mono_ms, now);
    if (blob_space_get(s->store, &space, NULL) == ST_OK)
        left = usable(&space);
    atomic_store(&s->usable_bytes, left);
}

static enum st full(struct err *err)
{
    return err_set(err, ST_FULL,
                   "the registry's disk is full: pulls and deletes go on, and pushing works again"
                   " when space was given back");
}

enum st space_need(struct space *s, uint64_t bytes, struct err *err)
{
    ask(s);
    uint64_t left = atomic_load(&s->usable_bytes);
    return left >= bytes && left > 0 ? ST_OK : full(err);
}

enum st space_take(struct space *s, uint64_t bytes, struct err *err)
{
    ask(s);
    uint64_t left = atomic_load(&s->usable_bytes);
    do {
        if (left < bytes || left == 0)
            return full(err);
    } while (!atomic_compare_exchange_weak(&s->usable_bytes, &left, left - bytes));
    return ST_OK;
}
