/* SPDX-License-Identifier: Apache-2.0
 *
 * plan_map - from ids of rows to places in an array; and the arrays.
 *
 * Ids are not 0. Threads: one at a time.
 */
#ifndef EBB_PLAN_MAP_H
#define EBB_PLAN_MAP_H

#include "base/err.h"

/* {0} is empty. */
struct plan_map {
    int64_t *keys;
    uint32_t *places;
    size_t count;
    size_t size; /* a power of two, or 0 */
};
#define PLAN_NOWHERE UINT32_MAX
uint32_t plan_map_find(const struct plan_map *m, int64_t key); /* PLAN_NOWHERE when absent */
/* `key` must be absent. ST_NO_MEMORY. */
MUST_CHECK enum st plan_map_add(struct plan_map *m, int64_t key, uint32_t place, struct err *err);
void plan_map_clear(struct plan_map *m); /* keeps the memory, unless it is much */
void plan_map_release(struct plan_map *m);

/* An array that grows. {.item_bytes = sizeof(item), .max = n} is empty. */
struct plan_array {
    void *items;
    size_t count;
    size_t size;
    size_t item_bytes;
    size_t max; /* ST_TOO_LARGE beyond */
};
/* A zeroed item at the end; moves the others. */
MUST_CHECK enum st plan_array_add(struct plan_array *a, void *out, struct err *err);
void plan_array_release(struct plan_array *a);

#endif
