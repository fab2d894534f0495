/* SPDX-License-Identifier: Apache-2.0
 *
 * What a request to /api/v4 asks: a line with the query, one with the Content-Type, then the body.
 */
#include "api/gitlab_params.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(struct gitlab_params *p)
{
    static const char *const names[] = { "keep_n", "tags", "older_than", "page", "name" };
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        str text = STR("");
        int64_t n = 0;
        int64_t ms = 0;
        bool flag = false;
        if (gitlab_param_text(p, names[i], &text))
            assert(str_is_utf8(text) && memchr(text.ptr, '\0', text.len) == NULL);
        if (gitlab_param_number(p, names[i], &n) || gitlab_param_flag(p, names[i], &flag))
            assert(text.len > 0);
        if (gitlab_duration(text, &ms))
            assert(ms > 0 && text.len >= 2);
    }
    assert(strlen(p->error) < GITLAB_PARAM_ERR_MAX && str_is_utf8(str_of(p->error)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO(arena_release) struct arena a = { .limit_bytes = 64 * MIB };
    struct gitlab_params p;
    struct err err = { .st = ST_OK };
    str body = { (const char *)data, size };
    str query = STR("");
    str type = STR("");
    (void)str_cut(body, '\n', &query, &body);
    (void)str_cut(body, '\n', &type, &body);
    enum st st = gitlab_params_read(query, type, body, &a, &p, &err);
    assert(st == ST_OK || st == ST_INVALID || st == ST_UNSUPPORTED || st == ST_TOO_LARGE);
    assert(err.st == st);
    if (st == ST_OK)
        check(&p);
    else
        assert(err.text[0] != '\0');
    return 0;
}
