/* SPDX-License-Identifier: Apache-2.0
 *
 * Patterns: a text, a line feed, then the name to match. Without a line feed the name is empty.
 */
#include "policy/pattern.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    str text = { (const char *)data, size };
    str name = STR("");
    (void)str_cut(text, '\n', &text, &name);
    struct pattern *p = NULL;
    struct err err = { .text = "" };
    enum st st = pattern_new(text, &p, &err);
    assert(st == ST_OK || (st == ST_INVALID && err.text[0] != '\0'));
    if (st != ST_OK)
        return 0;
    enum pattern_match match = pattern_match(p, name);
    bool regex = str_starts(text, STR("re:"));
    assert(str_eq(pattern_text(p), text));
    assert(match != PATTERN_UNCLEAR || regex);
    assert(match != PATTERN_YES || str_starts(name, pattern_prefix(p)));
    str literal;
    if (pattern_literal(p, &literal))
        assert((match == PATTERN_YES) == str_eq(name, literal));
    pattern_free(p);
    if (match != PATTERN_YES || regex || name.len == 0)
        return 0;
    /* What a glob matches it still matches when a run of it becomes a wildcard. */
    char wide[PATTERN_TEXT_MAX];
    (void)memcpy(wide, text.ptr, text.len);
    if (text.len < 2 || memchr(wide, '*', text.len) != NULL)
        return 0;
    wide[0] = wide[1] = '*';
    assert(pattern_glob((str){ wide, text.len }, &p, &err) == ST_OK);
    assert(pattern_match(p, name) == PATTERN_YES);
    pattern_free(p);
    return 0;
}
