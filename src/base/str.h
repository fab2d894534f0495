/* SPDX-License-Identifier: Apache-2.0
 *
 * str - a view of bytes that it does not own. Not NUL-terminated. {NULL, 0} is "unset".
 *
 * Pass by value. What must outlive the call is copied by the callee (arena_dup(), mem_dup()).
 */
#ifndef EBB_STR_H
#define EBB_STR_H

#include "base/base.h"

typedef struct {
    const char *ptr;
    size_t len;
} str;

#define STR(lit)   ((str){ "" lit, sizeof(lit) - 1 })
#define STR_NONE   ((str){ NULL, 0 })
#define STR_FMT(s) (int)(s).len, (s).ptr /* for "%.*s" */

str str_of(const char *cstr); /* NULL gives STR_NONE */
bool str_eq(str a, str b);
bool str_eq_nocase(str a, str b); /* ASCII only */
bool str_starts(str s, str prefix);
bool str_ends(str s, str suffix);
int str_cmp(str a, str b); /* byte order, as memcmp, shorter first */

str str_slice(str s, size_t from, size_t to); /* [from, to), cut to what is there */
str str_trim(str s);                          /* without leading and trailing blanks and tabs */

/* Splits at the first / last `sep`. Returns false and leaves the outputs alone when there is none.
 * The outputs may be `s` itself. */
bool str_cut(str s, char sep, str *before, str *after);
bool str_cut_last(str s, char sep, str *before, str *after);

/* Decimal digits only, no sign, no blanks; false when empty, over `max` or anything else. */
bool str_to_u64(str s, uint64_t max, uint64_t *out);

/* Copies into a NUL-terminated buffer; false when it does not fit (then `out` is ""). */
bool str_copy(str s, char *out, size_t out_size);

/* Length of the well-formed UTF-8 sequence at the start, 0 when there is none. */
size_t str_utf8_len(str s);
bool str_is_utf8(str s); /* well-formed (RFC 3629): no overlong forms, no surrogates */

#endif
