/* SPDX-License-Identifier: Apache-2.0 */
#include "base/arena.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"

#define CHUNK_BYTES         ((size_t)4096)
#define LIMIT_DEFAULT_BYTES ((size_t)(1 * MIB))
#define ALIGN_BYTES         ((size_t)16)

struct arena_chunk {
    struct arena_chunk *next;
    size_t size; /* of `bytes` */
    size_t used;
    _Alignas(16) char bytes[];
};

static size_t round_up(size_t n)
{
    return (n + ALIGN_BYTES - 1) & ~(ALIGN_BYTES - 1);
}

/* The newest chunk with room for `size`, made when there is none. */
static struct arena_chunk *chunk_with_room(struct arena *a, size_t size)
{
    if (a->top != NULL && a->top->size - a->top->used >= size)
        return a->top;
    size_t limit = a->limit_bytes == 0 ? LIMIT_DEFAULT_BYTES : a->limit_bytes;
    size_t body = MAX(size, CHUNK_BYTES - sizeof(struct arena_chunk));
    size_t whole = sizeof(struct arena_chunk) + body;
    if (whole > limit || a->used_bytes > limit - whole)
        return NULL;
    struct arena_chunk *c = mem_new(whole);
    if (c == NULL)
        return NULL;
    c->size = body;
    c->next = a->top;
    a->top = c;
    a->used_bytes += whole;
    return c;
}

void *arena_alloc(struct arena *a, size_t size)
{
    if (size > SIZE_MAX / 2)
        return NULL;
    size = round_up(MAX(size, (size_t)1));
    struct arena_chunk *c = chunk_with_room(a, size);
    if (c == NULL)
        return NULL;
    void *p = c->bytes + c->used;
    c->used += size;
    return p;
}

str arena_dup(struct arena *a, str s)
{
    char *copy = arena_cstr(a, s);
    return copy == NULL ? STR_NONE : (str){ copy, s.len };
}

char *arena_cstr(struct arena *a, str s)
{
    char *copy = arena_alloc(a, s.len + 1);
    if (copy != NULL && s.len > 0)
        memcpy(copy, s.ptr, s.len);
    return copy;
}

str arena_printf(struct arena *a, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int len = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    if (len < 0)
        return STR_NONE;
    char *out = arena_alloc(a, (size_t)len + 1);
    if (out == NULL)
        return STR_NONE;
    va_start(ap, fmt);
    (void)vsnprintf(out, (size_t)len + 1, fmt, ap);
    va_end(ap);
    return (str){ out, (size_t)len };
}

void arena_release(struct arena *a)
{
    while (a->top != NULL) {
        struct arena_chunk *next = a->top->next;
        mem_free(a->top);
        a->top = next;
    }
    a->used_bytes = 0;
}
