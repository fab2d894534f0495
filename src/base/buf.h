/* SPDX-License-Identifier: Apache-2.0
 *
 * buf - bytes that grow up to a maximum given at the start.
 *
 *  1. {.max_bytes = n} is ready; n must not be 0.
 *  2. After a failed append the buffer keeps what it held and remembers the failure: a chain of
 *     appends needs one check at the end, buf_status().
 *
 * Threads: a buffer belongs to one thread at a time.
 */
#ifndef EBB_BUF_H
#define EBB_BUF_H

#include "base/err.h"
#include "base/str.h"

struct buf {
    char *ptr; /* not NUL-terminated; NULL while empty */
    size_t len;
    size_t size; /* allocated */
    size_t max_bytes;
    enum st failed; /* ST_OK, ST_TOO_LARGE or ST_NO_MEMORY: the first failure */
};

void buf_add(struct buf *b, str s);
void buf_add_byte(struct buf *b, char c);
void buf_add_number(struct buf *b, int64_t n); /* decimal */
void buf_printf(struct buf *b, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* Room for `len` more bytes at ptr + len; false (and remembered) when there is none. */
bool buf_reserve(struct buf *b, size_t len);
str buf_str(const struct buf *b); /* borrowed until the next change */
MUST_CHECK enum st buf_status(const struct buf *b, struct err *err);
void buf_clear(struct buf *b);   /* empties, keeps the memory, forgets the failure */
void buf_release(struct buf *b); /* frees; the buffer is ready again */

#endif
