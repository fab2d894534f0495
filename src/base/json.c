/* SPDX-License-Identifier: Apache-2.0 */
#include "base/json.h"

static void add_escaped(struct buf *b, unsigned char c)
{
    switch (c) {
    case '"':
        buf_add(b, STR("\\\""));
        break;
    case '\\':
        buf_add(b, STR("\\\\"));
        break;
    case '\n':
        buf_add(b, STR("\\n"));
        break;
    case '\r':
        buf_add(b, STR("\\r"));
        break;
    case '\t':
        buf_add(b, STR("\\t"));
        break;
    default:
        buf_printf(b, "\\u%04x", c);
    }
}

static bool is_plain(unsigned char c)
{
    return c >= 0x20 && c != '"' && c != '\\' && c != 0x7f;
}

/* Length of the leading run of plain ASCII: nearly always all of it. */
static size_t plain_run(str s)
{
    size_t i = 0;
    while (i < s.len && (unsigned char)s.ptr[i] < 0x80 && is_plain((unsigned char)s.ptr[i]))
        i++;
    return i;
}

void json_add_string(struct buf *b, str s)
{
    size_t from = 0; /* start of the run that needs no escape */
    buf_add_byte(b, '"');
    for (size_t i = plain_run(s); i < s.len;) {
        unsigned char c = (unsigned char)s.ptr[i];
        size_t n = str_utf8_len(str_slice(s, i, s.len));
        bool c1 = n == 2 && c == 0xc2 && (unsigned char)s.ptr[i + 1] < 0xa0;
        if (n > 0 && is_plain(c) && !c1) {
            i += n;
            continue;
        }
        buf_add(b, str_slice(s, from, i));
        if (n == 0)
            buf_add(b, STR("\xef\xbf\xbd"));
        else if (c1) /* some terminals obey these */
            add_escaped(b, (unsigned char)s.ptr[i + 1]);
        else
            add_escaped(b, c);
        i += MAX(n, (size_t)1);
        from = i;
    }
    buf_add(b, str_slice(s, from, s.len));
    buf_add_byte(b, '"');
}
