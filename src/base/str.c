/* SPDX-License-Identifier: Apache-2.0 */
#include "base/str.h"

#include <string.h>

str str_of(const char *cstr)
{
    return cstr == NULL ? STR_NONE : (str){ cstr, strlen(cstr) };
}

bool str_eq(str a, str b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

bool str_eq_nocase(str a, str b)
{
    if (a.len != b.len)
        return false;
    for (size_t i = 0; i < a.len; i++) /* strncasecmp() stops at a NUL and follows the locale */
        if (lower(a.ptr[i]) != lower(b.ptr[i]))
            return false;
    return true;
}

bool str_starts(str s, str prefix)
{
    return s.len >= prefix.len && str_eq((str){ s.ptr, prefix.len }, prefix);
}

bool str_ends(str s, str suffix)
{
    return s.len >= suffix.len && str_eq(str_slice(s, s.len - suffix.len, s.len), suffix);
}

int str_cmp(str a, str b)
{
    size_t n = MIN(a.len, b.len);
    int c = n == 0 ? 0 : memcmp(a.ptr, b.ptr, n);
    if (c != 0)
        return c;
    return a.len < b.len ? -1 : a.len > b.len;
}

str str_slice(str s, size_t from, size_t to)
{
    to = MIN(to, s.len);
    from = MIN(from, to);
    return (str){ s.ptr == NULL ? NULL : s.ptr + from, to - from };
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

str str_trim(str s)
{
    while (s.len > 0 && is_blank(s.ptr[0]))
        s = str_slice(s, 1, s.len);
    while (s.len > 0 && is_blank(s.ptr[s.len - 1]))
        s.len--;
    return s;
}

static bool cut_at(str s, const char *at, str *before, str *after)
{
    if (at == NULL)
        return false;
    size_t i = (size_t)(at - s.ptr);
    str head = str_slice(s, 0, i);
    str tail = str_slice(s, i + 1, s.len);
    *before = head;
    *after = tail;
    return true;
}

bool str_cut(str s, char sep, str *before, str *after)
{
    return cut_at(s, s.len == 0 ? NULL : memchr(s.ptr, sep, s.len), before, after);
}

bool str_cut_last(str s, char sep, str *before, str *after)
{
    return cut_at(s, s.len == 0 ? NULL : memrchr(s.ptr, sep, s.len), before, after);
}

bool str_to_u64(str s, uint64_t max, uint64_t *out)
{
    uint64_t n = 0;
    if (s.len == 0)
        return false;
    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] < '0' || s.ptr[i] > '9')
            return false;
        uint64_t digit = (uint64_t)(s.ptr[i] - '0');
        if (n > (UINT64_MAX - digit) / 10)
            return false;
        n = n * 10 + digit;
    }
    if (n > max)
        return false;
    *out = n;
    return true;
}

bool str_copy(str s, char *out, size_t out_size)
{
    assert(out_size > 0);
    out[0] = '\0';
    if (s.len >= out_size)
        return false;
    if (s.len > 0)
        memcpy(out, s.ptr, s.len);
    out[s.len] = '\0';
    return true;
}

size_t str_utf8_len(str s)
{
    const unsigned char *p = (const unsigned char *)s.ptr;
    size_t len = s.len;
    if (len == 0)
        return 0;
    unsigned char first = p[0];
    size_t need = first < 0x80 ? 1 : first < 0xc2 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
    if (need == 0 || first > 0xf4 || need > len)
        return 0;
    unsigned char low = 0x80;
    unsigned char high = 0xbf;
    if (first == 0xe0)
        low = 0xa0; /* overlong */
    else if (first == 0xed)
        high = 0x9f; /* surrogates */
    else if (first == 0xf0)
        low = 0x90; /* overlong */
    else if (first == 0xf4)
        high = 0x8f; /* above U+10FFFF */
    for (size_t i = 1; i < need; i++) {
        if (p[i] < low || p[i] > high)
            return 0;
        low = 0x80;
        high = 0xbf;
    }
    return need;
}

bool str_is_utf8(str s)
{
    for (size_t i = 0; i < s.len;) {
        size_t n = str_utf8_len((str){ s.ptr + i, s.len - i });
        if (n == 0)
            return false;
        i += n;
    }
    return true;
}
