/* SPDX-License-Identifier: Apache-2.0 */
#include "net/http.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static const struct {
    const char *in;
    const char *out; /* NULL: invalid */
} escapes[] = {
    { "", "" },      { "a+b", "a+b" }, { "%41%2f%2F", "A//" }, { "a%c3%a4", "a\xc3\xa4" },
    { "%", NULL },   { "%4", NULL },   { "%4g", NULL },        { "%00", NULL },
    { "a%2", NULL }, { "%%41", NULL }, { "%2541", "%41" },     { "%ff", "\xff" },
};

static void unescape_takes_sound_encodings_only(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(escapes); i++) {
        struct arena a = { 0 };
        str out = STR("untouched");
        enum st st = http_unescape(&a, str_of(escapes[i].in), &out, NULL);
        assert_int_equal(st, escapes[i].out == NULL ? ST_INVALID : ST_OK);
        assert_true(
            str_eq(out, escapes[i].out == NULL ? STR("untouched") : str_of(escapes[i].out)));
        arena_release(&a);
    }
}

static void unescape_refuses_a_raw_nul(void **state)
{
    (void)state;
    struct arena a = { 0 };
    str out;
    assert_int_equal(http_unescape(&a, (str){ "a\0b", 3 }, &out, NULL), ST_INVALID);
}

static void unescape_without_memory(void **state)
{
    (void)state;
    struct arena a = { .limit_bytes = 1 };
    str out;
    assert_int_equal(http_unescape(&a, STR("abc"), &out, NULL), ST_NO_MEMORY);
    assert_null(http_escape(&a, STR("abc")).ptr);
}

static void escape_keeps_unreserved_bytes_and_slashes(void **state)
{
    (void)state;
    struct arena a = { 0 };
    assert_true(str_eq(http_escape(&a, STR("a/B-9._~ +&%\xff")), STR("a/B-9._~%20%2B%26%25%FF")));
    assert_true(str_eq(http_escape(&a, STR("")), STR("")));
    arena_release(&a);
}

static const struct {
    const char *query; /* NULL: none */
    const char *name;
    const char *values; /* joined by '|'; NULL: absent */
} queries[] = {
    { NULL, "a", NULL },
    { "", "a", NULL },
    { "a", "a", "" },
    { "a=", "a", "" },
    { "a=1&b=2&a=3", "a", "1|3" },
    { "a=1&b=2&a=3", "b", "2" },
    { "a=x=y", "a", "x=y" },
    { "a=x+y%2Bz", "a", "x+y+z" },
    { "%61=1", "a", "1" },
    { "aa=1&ab=2", "a", NULL },
    { "a%00=1&a=%zz&a=2", "a", "2" },
    { "&&a=1&", "a", "1" },
    { "A=1", "a", NULL },
    { "digest=sha256%3Aab&mount=sha256:cd", "digest", "sha256:ab" },
};

static void query_values_are_found_and_decoded(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(queries); i++) {
        struct http_request rq = { .query = str_of(queries[i].query) };
        char joined[128] = "";
        size_t len = 0;
        size_t at = 0;
        str value;
        unsigned count = 0;
        while (http_query_each(&rq, queries[i].name, &at, &value))
            len += (size_t)snprintf(joined + len, sizeof(joined) - len, "%s%.*s",
                                    count++ > 0 ? "|" : "", STR_FMT(value));
        assert_int_equal(count > 0, queries[i].values != NULL);
        if (count > 0)
            assert_string_equal(joined, queries[i].values);
        assert_int_equal(http_query(&rq, queries[i].name, &value), count > 0);
        arena_release(&rq.arena);
    }
}

static void query_check_sees_broken_encodings(void **state)
{
    (void)state;
    struct http_request rq = { .query = STR("a=1&b=%41") };
    assert_int_equal(http_query_check(&rq, NULL), ST_OK);
    rq.query = STR_NONE;
    assert_int_equal(http_query_check(&rq, NULL), ST_OK);
    rq.query = STR("a=1&b=%4");
    assert_int_equal(http_query_check(&rq, NULL), ST_INVALID);
    rq.query = STR("a%00");
    assert_int_equal(http_query_check(&rq, NULL), ST_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(unescape_takes_sound_encodings_only),
        cmocka_unit_test(unescape_refuses_a_raw_nul),
        cmocka_unit_test(unescape_without_memory),
        cmocka_unit_test(escape_keeps_unreserved_bytes_and_slashes),
        cmocka_unit_test(query_values_are_found_and_decoded),
        cmocka_unit_test(query_check_sees_broken_encodings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
