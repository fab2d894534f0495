/* SPDX-License-Identifier: Apache-2.0
 *
 * arena - memory that dies together: one request, one batch, one configuration.
 *
 *  1. A struct arena set to {.limit_bytes = n} is ready; 0 means 1 MiB.
 *  2. Everything allocated dies in arena_release(), which may be called again and leaves it ready.
 *  3. Over the limit, or without memory, calls return NULL (or STR_NONE with len 0 and ptr NULL).
 *
 * Threads: an arena belongs to one thread at a time.
 */
#ifndef EBB_ARENA_H
#define EBB_ARENA_H

#include "base/err.h"
#include "base/str.h"

struct arena_chunk;

struct arena {
    struct arena_chunk *top;
    size_t used_bytes; /* of the heap, bookkeeping included */
    size_t limit_bytes;
};

void *arena_alloc(struct arena *a, size_t size); /* zeroed, aligned for any type */
str arena_dup(struct arena *a,
              str s); /* a NUL follows the copy; ptr NULL on failure only: unset becomes "" */
char *arena_cstr(struct arena *a, str s); /* NUL-terminated copy */
/* Formatted text, NUL-terminated; ptr NULL on failure. */
str arena_printf(struct arena *a, const char *fmt, ...) PRINTF_LIKE(2, 3);
void arena_release(struct arena *a);

#endif
