/* SPDX-License-Identifier: Apache-2.0
 *
 * Repository names: what is accepted agrees with the grammar, said here once more by splitting, and
 * stays acceptable when taken apart and put together.
 */
#include "oci/name.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool is_word(str s)
{
    for (size_t i = 0; i < s.len; i++)
        if (!(s.ptr[i] >= 'a' && s.ptr[i] <= 'z') && !(s.ptr[i] >= '0' && s.ptr[i] <= '9'))
            return false;
    return s.len > 0;
}

/* A component: a word, or a word, a separator and a component. */
static bool is_component(str s)
{
    size_t word = 0;
    while (word < s.len && is_word(str_slice(s, word, word + 1)))
        word++;
    if (word == 0 || word == s.len)
        return word > 0;
    size_t end = word;
    while (end < s.len && !is_word(str_slice(s, end, end + 1)))
        end++;
    str sep = str_slice(s, word, end);
    bool good = str_eq(sep, STR(".")) || str_eq(sep, STR("_")) || str_eq(sep, STR("__"));
    bool dashes = true;
    for (size_t i = 0; i < sep.len; i++)
        dashes = dashes && sep.ptr[i] == '-';
    return (good || dashes) && is_component(str_slice(s, end, s.len));
}

static bool is_name(str s)
{
    str head, tail;
    if (s.len > NAME_MAX_BYTES)
        return false;
    while (str_cut(s, '/', &head, &tail)) {
        if (!is_component(head))
            return false;
        s = tail;
    }
    return is_component(s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    str name = { (const char *)data, size };
    struct err err = { .st = ST_OK };
    enum st st = name_check(name, &err);
    assert(st == ST_OK || st == ST_INVALID);
    assert(err.st == st);
    assert((st == ST_OK) == is_name(name));
    assert(str_is_utf8(str_of(err.text)));
    if (st != ST_OK)
        return 0;
    assert(name_check(name, NULL) == ST_OK);
    str parent, leaf;
    if (str_cut_last(name, '/', &parent, &leaf))
        assert(name_check(parent, NULL) == ST_OK && name_check(leaf, NULL) == ST_OK);
    char twice[2 * NAME_MAX_BYTES + 1];
    int len = snprintf(twice, sizeof(twice), "%.*s/%.*s", STR_FMT(name), STR_FMT(name));
    enum st joined = name_check((str){ twice, (size_t)len }, NULL);
    assert((joined == ST_OK) == (2 * size + 1 <= NAME_MAX_BYTES));
    return 0;
}
