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

void json_add_string(struct buf *b, str s)
{
    bool utf8 = str_is_utf8(s);
    size_t from = 0; /* start of the run that needs no escape */
    buf_add_byte(b, '"');
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.ptr[i];
        bool foreign = c >= 0x80 && !utf8;
        if (is_plain(c) && !foreign)
            continue;
        buf_add(b, str_slice(s, from, i));
        from = i + 1;
        if (foreign)
            buf_add(b, STR("\xef\xbf\xbd"));
        else
            add_escaped(b, c);
    }
    buf_add(b, str_slice(s, from, s.len));
    buf_add_byte(b, '"');
}
