/* SPDX-License-Identifier: Apache-2.0 */
#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"

#define FIRST_BYTES ((size_t)256)

static bool fail(struct buf *b, enum st st)
{
    if (b->failed == ST_OK)
        b->failed = st;
    return false;
}

bool buf_reserve(struct buf *b, size_t len)
{
    assert(b->max_bytes > 0);
    if (b->failed != ST_OK)
        return false;
    if (len <= b->size - b->len)
        return true;
    if (len > b->max_bytes - b->len)
        return fail(b, ST_TOO_LARGE);
    size_t want = MAX(b->len + len, MIN(b->size * 2, b->max_bytes));
    want = MIN(MAX(want, FIRST_BYTES), b->max_bytes);
    char *grown = mem_resize(b->ptr, want + 1); /* vsnprintf() wants room for its NUL */
    if (grown == NULL)
        return fail(b, ST_NO_MEMORY);
    b->ptr = grown;
    b->size = want;
    return true;
}

void buf_add(struct buf *b, str s)
{
    if (s.len == 0 || !buf_reserve(b, s.len))
        return;
    memcpy(b->ptr + b->len, s.ptr, s.len);
    b->len += s.len;
}

void buf_add_byte(struct buf *b, char c)
{
    buf_add(b, (str){ &c, 1 });
}

void buf_add_number(struct buf *b, int64_t n)
{
    char digits[20];
    size_t at = sizeof(digits);
    uint64_t left = n < 0 ? 0 - (uint64_t)n : (uint64_t)n;
    do {
        digits[--at] = (char)('0' + left % 10);
        left /= 10;
    } while (left > 0);
    if (n < 0)
        buf_add_byte(b, '-');
    buf_add(b, (str){ digits + at, sizeof(digits) - at });
}

void buf_printf(struct buf *b, const char *fmt, ...)
{
    char small[256];
    va_list ap;
    va_start(ap, fmt);
    int len = vsnprintf(small, sizeof(small), fmt, ap);
    va_end(ap);
    if (len < 0) { /* longer than INT_MAX */
        (void)fail(b, ST_TOO_LARGE);
        return;
    }
    if ((size_t)len < sizeof(small)) {
        buf_add(b, (str){ small, (size_t)len });
        return;
    }
    if (!buf_reserve(b, (size_t)len))
        return;
    va_start(ap, fmt);
    (void)vsnprintf(b->ptr + b->len, (size_t)len + 1, fmt, ap);
    va_end(ap);
    b->len += (size_t)len;
}

str buf_str(const struct buf *b)
{
    return (str){ b->ptr, b->len };
}

enum st buf_status(const struct buf *b, struct err *err)
{
    if (b->failed == ST_TOO_LARGE)
        return err_set(err, ST_TOO_LARGE, "more than the %zu bytes allowed here", b->max_bytes);
    if (b->failed != ST_OK)
        return err_no_memory(err);
    return ST_OK;
}

void buf_clear(struct buf *b)
{
    b->len = 0;
    b->failed = ST_OK;
}

void buf_release(struct buf *b)
{
    mem_free(b->ptr);
    *b = (struct buf){ .max_bytes = b->max_bytes };
}
