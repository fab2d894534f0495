/* SPDX-License-Identifier: Apache-2.0
 *
 * cache - a bounded table of shared things that never change, by 32 bytes of key.
 *
 *  1. Each entry is of an epoch: one that is asked for in another epoch is not there. So all that
 *     was read from rows is forgotten by counting on.
 *  2. A full set gives up what is over first, then what was not asked for the longest.
 *
 * Threads: any; nothing waits but for a lock that is held for a few instructions.
 */
#ifndef EBB_CACHE_H
#define EBB_CACHE_H

#include <stdatomic.h>

#include "base/err.h"

/* First member of what is shared; begins with one reference. */
struct counted {
    atomic_uint refs;
    void (*free)(struct counted *c);
};
void counted_take(struct counted *c);
void counted_drop(struct counted *c); /* NULL is fine */

#define CACHE_KEY_BYTES 32
struct cache;
/* `entries` is a multiple of 8. */
MUST_CHECK enum st cache_new(size_t entries, struct cache **out, struct err *err);
void cache_free(struct cache *c); /* NULL is fine */

/* A reference, or NULL. */
struct counted *cache_find(struct cache *c, const uint8_t key[static CACHE_KEY_BYTES],
                           uint64_t epoch, int64_t now);
/* Takes a reference of its own. Over at `over_at`. */
void cache_put(struct cache *c, const uint8_t key[static CACHE_KEY_BYTES], uint64_t epoch,
               int64_t over_at, int64_t now, struct counted *value);

#endif
