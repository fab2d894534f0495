/* SPDX-License-Identifier: Apache-2.0 */
#include "deletion/plan_map.h"

#include "base/mem.h"

#define FIRST_SIZE ((size_t)64)
#define KEEP_SIZE  ((size_t)4096)

/* Ids come one after the other; the multiplication spreads them. */
static size_t start_of(const struct plan_map *m, int64_t key)
{
    uint64_t h = (uint64_t)key * 0x9e3779b97f4a7c15u;
    return (size_t)(h >> 32) & (m->size - 1);
}

uint32_t plan_map_find(const struct plan_map *m, int64_t key)
{
    if (m->size == 0)
        return PLAN_NOWHERE;
    for (size_t i = start_of(m, key);; i = (i + 1) & (m->size - 1)) {
        if (m->keys[i] == key)
            return m->places[i];
        if (m->keys[i] == 0)
            return PLAN_NOWHERE;
    }
}

static void place(struct plan_map *m, int64_t key, uint32_t at)
{
    size_t i = start_of(m, key);
    while (m->keys[i] != 0)
        i = (i + 1) & (m->size - 1);
    m->keys[i] = key;
    m->places[i] = at;
}

static enum st grow(struct plan_map *m, struct err *err)
{
    size_t size = m->size == 0 ? FIRST_SIZE : m->size * 2;
    struct plan_map grown = { .count = m->count, .size = size };
    grown.keys = mem_new(size * sizeof(*grown.keys));
    grown.places = mem_new(size * sizeof(*grown.places));
    if (grown.keys == NULL || grown.places == NULL) {
        plan_map_release(&grown);
        return err_no_memory(err);
    }
    for (size_t i = 0; i < m->size; i++)
        if (m->keys[i] != 0)
            place(&grown, m->keys[i], m->places[i]);
    plan_map_release(m);
    *m = grown;
    return ST_OK;
}

enum st plan_map_add(struct plan_map *m, int64_t key, uint32_t at, struct err *err)
{
    assert(key != 0);
    if ((m->count + 1) * 4 > m->size * 3) {
        enum st st = grow(m, err);
        if (st != ST_OK)
            return st;
    }
    place(m, key, at);
    m->count++;
    return ST_OK;
}

void plan_map_clear(struct plan_map *m)
{
    if (m->size > KEEP_SIZE) {
        plan_map_release(m);
    } else if (m->count > 0) {
        memset(m->keys, 0, m->size * sizeof(*m->keys));
        m->count = 0;
    }
}

void plan_map_release(struct plan_map *m)
{
    mem_free(m->keys);
    mem_free(m->places);
    *m = (struct plan_map){ 0 };
}

enum st plan_array_add(struct plan_array *a, void *out, struct err *err)
{
    if (a->count >= a->max)
        return err_set(err, ST_TOO_LARGE,
                       "more than deletion.plan_items allows: plan fewer repositories or tags at a"
                       " time");
    if (a->count == a->size) {
        size_t size = a->size == 0 ? 16 : a->size + a->size / 2;
        void *grown = mem_resize(a->items, size * a->item_bytes);
        if (grown == NULL)
            return err_no_memory(err);
        a->items = grown;
        a->size = size;
    }
    char *item = (char *)a->items + a->count++ * a->item_bytes;
    memset(item, 0, a->item_bytes);
    memcpy(out, &item, sizeof(item));
    return ST_OK;
}

void plan_array_release(struct plan_array *a)
{
    mem_free(a->items);
    a->items = NULL;
    a->count = a->size = 0;
}
