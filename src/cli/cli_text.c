/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli_text.h"

#include <stdarg.h>

#define LINE_MAX_BYTES 16384

/* U+0080 to U+009F are controls; U+200E, U+200F, U+202A to U+202E and U+2066 to U+2069 turn the
 * direction of writing; U+2028 and U+2029 end lines. */
static bool is_harmless(str c)
{
    const unsigned char *u = (const unsigned char *)c.ptr;
    if (c.len == 1)
        return u[0] >= 0x20 && u[0] != 0x7f;
    if (c.len == 2)
        return u[0] != 0xc2 || u[1] >= 0xa0;
    if (c.len != 3 || u[0] != 0xe2)
        return true;
    if (u[1] == 0x80)
        return u[2] != 0x8e && u[2] != 0x8f && (u[2] < 0xa8 || u[2] > 0xae);
    return u[1] != 0x81 || u[2] < 0xa6 || u[2] > 0xa9;
}

void text_add(struct buf *b, str s)
{
    while (s.len > 0) {
        size_t n = str_utf8_len(s);
        if (n > 0 && is_harmless(str_slice(s, 0, n))) {
            buf_add(b, str_slice(s, 0, n));
        } else {
            n = MAX(n, 1);
            for (size_t i = 0; i < n; i++)
                buf_printf(b, "\\x%02x", (unsigned)(unsigned char)s.ptr[i]);
        }
        s = str_slice(s, n, s.len);
    }
}

void text_put(FILE *out, str s)
{
    AUTO(buf_release) struct buf b = { .max_bytes = 4 * LINE_MAX_BYTES };
    text_add(&b, s);
    if (b.len > 0)
        (void)fwrite(b.ptr, 1, b.len, out);
}

void text_line(FILE *out, const char *fmt, ...)
{
    char line[LINE_MAX_BYTES];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(line, sizeof(line), fmt, ap);
    va_end(ap);
    text_put(out, str_of(line));
    (void)fputc('\n', out);
}

size_t text_width(str s)
{
    size_t n = 0;
    for (size_t i = 0; i < s.len; i++)
        n += ((unsigned char)s.ptr[i] & 0xc0) != 0x80;
    return n;
}

const char *text_count(uint64_t n, char out[static TEXT_COUNT_MAX])
{
    char digits[TEXT_COUNT_MAX];
    int len = snprintf(digits, sizeof(digits), "%llu", (unsigned long long)n);
    size_t at = 0;
    for (int i = 0; i < len; i++) {
        if (i > 0 && (len - i) % 3 == 0)
            out[at++] = ',';
        out[at++] = digits[i];
    }
    out[at] = '\0';
    return out;
}

const char *text_counted(uint64_t n, const char *one, const char *many,
                         char out[static TEXT_COUNTED_MAX])
{
    char number[TEXT_COUNT_MAX];
    (void)snprintf(out, TEXT_COUNTED_MAX, "%s %s", text_count(n, number), n == 1 ? one : many);
    return out;
}

const char *text_time(str t, char out[static TEXT_TIME_MAX])
{
    if (t.len >= 20 && t.ptr[10] == 'T' && str_ends(t, STR("Z")))
        (void)snprintf(out, TEXT_TIME_MAX, "%.10s %.5s UTC", t.ptr, t.ptr + 11);
    else
        (void)snprintf(out, TEXT_TIME_MAX, "%.*s", (int)MIN(t.len, TEXT_TIME_MAX - 1),
                       t.ptr == NULL ? "" : t.ptr);
    return out;
}
