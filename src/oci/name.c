/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/name.h"

#define NAME_RULE                                                                                  \
    "names are made of a-z and 0-9, with single \".\", \"_\", \"__\" or any number of \"-\" "      \
    "between them, in parts separated by \"/\""
#define TAG_RULE                                                                                   \
    "tags are 1 to 128 of a-z, A-Z, 0-9, \"_\", \".\" and \"-\", the first neither \".\" nor "     \
    "\"-\""

static bool is_lower_or_digit(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

/* Length of the separator at s[i], 0 when what stands there is none or too many of them. */
static size_t separator_len(str s, size_t i)
{
    size_t n = 1;
    while (i + n < s.len && s.ptr[i + n] == s.ptr[i])
        n++;
    switch (s.ptr[i]) {
    case '.':
    case '/':
        return n == 1 ? n : 0;
    case '_':
        return n <= 2 ? n : 0;
    case '-':
        return n;
    default:
        return 0;
    }
}

enum st name_check(str name, struct err *err)
{
    if (name.len == 0)
        return err_set(err, ST_INVALID, "repository name is empty; " NAME_RULE);
    if (name.len > NAME_MAX_BYTES)
        return err_set(err, ST_INVALID, "repository name has %zu bytes; at most %d are allowed",
                       name.len, NAME_MAX_BYTES);
    /* Words and separators take turns; a word comes first and last. */
    size_t i = 0;
    for (;;) {
        size_t word = i;
        while (i < name.len && is_lower_or_digit(name.ptr[i]))
            i++;
        if (i == word)
            return err_set(err, ST_INVALID,
                           "repository name: a letter or digit is wanted at byte %zu; " NAME_RULE,
                           i + 1);
        if (i == name.len)
            return ST_OK;
        size_t n = separator_len(name, i);
        if (n == 0)
            return err_set(err, ST_INVALID,
                           "repository name: byte %zu is not allowed there; " NAME_RULE, i + 1);
        i += n;
    }
}

static bool is_tag_byte(char c)
{
    return is_lower_or_digit(c) || (c >= 'A' && c <= 'Z') || c == '_' || c == '.' || c == '-';
}

enum st tag_check(str tag, struct err *err)
{
    if (tag.len == 0)
        return err_set(err, ST_INVALID, "tag is empty; " TAG_RULE);
    if (tag.len > TAG_MAX_BYTES)
        return err_set(err, ST_INVALID, "tag has %zu bytes; " TAG_RULE, tag.len);
    for (size_t i = 0; i < tag.len; i++)
        if (!is_tag_byte(tag.ptr[i]) || (i == 0 && (tag.ptr[0] == '.' || tag.ptr[0] == '-')))
            return err_set(err, ST_INVALID, "tag: byte %zu is not allowed there; " TAG_RULE, i + 1);
    return ST_OK;
}

enum st reference_parse(str s, struct reference *out, struct err *err)
{
    if (s.len > 0 && memchr(s.ptr, ':', s.len) != NULL) {
        struct digest d;
        enum st st = digest_parse(s, &d, err);
        if (st == ST_OK)
            *out = (struct reference){ .is_digest = true, .digest = d };
        return st;
    }
    enum st st = tag_check(s, err);
    if (st == ST_OK)
        *out = (struct reference){ .tag = s };
    return st;
}
