/* SPDX-License-Identifier: Apache-2.0
 *
 * What requests to GitLab's API ask, in its three spellings, and its durations.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "api/gitlab_params.h"
#include "base/clock.h"
#include "net/http_form.h"

#define FORM "application/x-www-form-urlencoded"
#define JSON "application/json; charset=utf-8"

static enum st read_as(const char *query, const char *type, const char *body, struct arena *a,
                       struct gitlab_params *p, struct err *err)
{
    return gitlab_params_read(str_of(query), str_of(type), str_of(body), a, p, err);
}

static void is_text(struct gitlab_params *p, const char *name, const char *wanted)
{
    str text = STR_NONE;
    assert_int_equal(gitlab_param_text(p, name, &text), wanted != NULL);
    if (wanted != NULL)
        assert_true(str_eq(text, str_of(wanted)));
}

static void three_spellings_are_one(void **state)
{
    static const struct {
        const char *query, *type, *body;
    } cases[] = {
        { "name_regex_delete=v%2B.*+x&keep_n=5&tags=true", NULL, "" },
        { NULL, FORM, "name_regex_delete=v%2b.*+x&keep_n=5&tags=on" },
        { "", NULL, "keep_n=5&tags=1&name_regex_delete=v%2B.*%20x" },
        { NULL, JSON, "{\"name_regex_delete\":\"v+.* x\",\"keep_n\":5,\"tags\":true}" },
        { NULL, JSON, "{\"name_regex_delete\":\"v+.* x\",\"keep_n\":\"5\",\"tags\":\"Yes\"}" },
        { "keep_n=7&tags=false", JSON,
          "{\"name_regex_delete\":\"v+.* x\",\"keep_n\":5,\"tags\":1,\"more\":[1],\"none\":null}" },
        { "keep_n=9", FORM, "keep_n=7&name_regex_delete=v%2B.*+x&&tags=t&keep_n=5&a[b]=c" },
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO(arena_release) struct arena a = { 0 };
        struct gitlab_params p;
        int64_t n = 0;
        bool flag = false;
        assert_int_equal(read_as(cases[i].query, cases[i].type, cases[i].body, &a, &p, NULL),
                         ST_OK);
        is_text(&p, "name_regex_delete", "v+.* x");
        assert_true(gitlab_param_number(&p, "keep_n", &n) && n == 5);
        assert_true(gitlab_param_flag(&p, "tags", &flag) && flag);
        is_text(&p, "none", NULL);
        is_text(&p, "absent", NULL);
        assert_string_equal(p.error, "");
    }
}

static void wrong_types_are_named(void **state)
{
    AUTO(arena_release) struct arena a = { 0 };
    struct gitlab_params p;
    int64_t n = 4;
    bool flag = true;
    str text = STR("as it was");
    (void)state;
    assert_int_equal(
        read_as("keep_n=5x&tags=maybe", JSON, "{\"older_than\":[\"1d\"]}", &a, &p, NULL), ST_OK);
    assert_false(gitlab_param_number(&p, "keep_n", &n));
    assert_false(gitlab_param_flag(&p, "tags", &flag));
    assert_false(gitlab_param_text(&p, "older_than", &text));
    assert_int_equal(n, 4);
    assert_true(flag && str_eq(text, STR("as it was")));
    assert_string_equal(p.error, "keep_n is invalid, tags is invalid, older_than is invalid");
    for (int i = 0; i < 100; i++)
        gitlab_param_refuse(&p, "what", "is too much");
    assert_int_equal(strlen(p.error), GITLAB_PARAM_ERR_MAX - 1);
}

static void numbers_and_flags(void **state)
{
    AUTO(arena_release) struct arena a = { 0 };
    struct gitlab_params p;
    int64_t n = 0;
    bool flag = false;
    (void)state;
    assert_int_equal(read_as("a=-3&b=&c=9223372036854775807&d=9223372036854775808&e=&f=OFF&g=--1",
                             NULL, "", &a, &p, NULL),
                     ST_OK);
    assert_true(gitlab_param_number(&p, "a", &n) && n == -3);
    assert_false(gitlab_param_number(&p, "b", &n));
    assert_true(gitlab_param_number(&p, "c", &n) && n == INT64_MAX);
    assert_false(gitlab_param_flag(&p, "e", &flag));
    flag = true;
    assert_true(gitlab_param_flag(&p, "f", &flag) && !flag);
    assert_string_equal(p.error, "");
    assert_false(gitlab_param_number(&p, "d", &n));
    assert_false(gitlab_param_number(&p, "g", &n));
    assert_string_equal(p.error, "d is invalid, g is invalid");
}

static void what_is_no_request_is_refused(void **state)
{
    static const struct {
        const char *query, *type, *body;
        enum st st;
    } cases[] = {
        { "a=%", NULL, "", ST_INVALID },
        { "a=%00", NULL, "", ST_INVALID },
        { "%ff=1", NULL, "", ST_INVALID },
        { NULL, FORM, "a=%c3%28", ST_INVALID },
        { NULL, JSON, "[]", ST_INVALID },
        { NULL, JSON, "{\"a\":1,\"a\":2}", ST_INVALID },
        { NULL, JSON, "{\"a\":\"\\u0000\"}", ST_INVALID },
        { NULL, JSON, "a=1", ST_INVALID },
        { NULL, "text/plain", "a=1", ST_UNSUPPORTED },
        { NULL, "multipart/form-data; boundary=x", "--x", ST_UNSUPPORTED },
        { NULL, "text/plain", "", ST_OK },
    };
    AUTO(arena_release) struct arena a = { .limit_bytes = 16 * MIB };
    static char many[GITLAB_BODY_MAX + 2];
    struct gitlab_params p;
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct err err = { 0 };
        assert_int_equal(read_as(cases[i].query, cases[i].type, cases[i].body, &a, &p, &err),
                         cases[i].st);
        assert_int_equal(err.st, cases[i].st);
    }
    for (size_t i = 0; i < 2 * HTTP_FORM_FIELDS_MAX + 1; i++)
        many[i] = i % 2 == 0 ? 'a' : '&';
    assert_int_equal(read_as(many, NULL, "", &a, &p, NULL), ST_TOO_LARGE);
    memset(many, 'a', sizeof(many) - 1);
    assert_int_equal(read_as(NULL, FORM, many, &a, &p, NULL), ST_TOO_LARGE);
}

static void durations(void **state)
{
    const int64_t hour = 60 * CLOCK_MINUTE_MS;
    const int64_t day = 24 * hour;
    const struct {
        const char *text;
        int64_t ms; /* 0: none */
    } cases[] = {
        { "1h", hour },
        { "2d", 2 * day },
        { "1month", 30 * day },
        { "1mo", 30 * day },
        { "2 weeks", 14 * day },
        { " 7 DAYS ", 7 * day },
        { "1h30m", hour + hour / 2 },
        { "1 month and 3 days", 33 * day },
        { "1 day, 2 hours", day + 2 * hour },
        { "90s", 90 * CLOCK_SECOND_MS },
        { "1y", INT64_C(31557600000) },
        { "", 0 },
        { "  ", 0 },
        { "7", 0 },
        { "d", 0 },
        { "0d", 0 },
        { "0d1h", 0 },
        { "-1d", 0 },
        { "1.5h", 0 },
        { "1h,", 0 },
        { "1h and", 0 },
        { "1 fortnight", 0 },
        { "1hh", 0 },
        { "soon", 0 },
        { "1d d", 0 },
        { "1000000000y", 0 },
        { "99999999999999999999d", 0 },
        { "one day", 0 },
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        int64_t ms = 0;
        bool is_one = gitlab_duration(str_of(cases[i].text), &ms);
        if (is_one != (cases[i].ms != 0) || ms != cases[i].ms)
            fail_msg("\"%s\": %lld", cases[i].text, (long long)ms);
    }
}

static void forms_keep_order_and_repetition(void **state)
{
    AUTO(arena_release) struct arena a = { 0 };
    struct http_form f;
    str value = STR_NONE;
    (void)state;
    assert_int_equal(http_form_parse(STR("a=1&b&a=2&=x&a=%26%3D+"), &a, &f, NULL), ST_OK);
    assert_int_equal(f.count, 5);
    assert_int_equal(http_form_count(&f, "a"), 3);
    assert_true(http_form_first(&f, "a", &value) && str_eq(value, STR("1")));
    assert_true(str_eq(f.fields[4].name, STR("a")) && str_eq(f.fields[4].value, STR("&= ")));
    assert_true(http_form_first(&f, "b", &value) && str_eq(value, STR("")));
    assert_false(http_form_first(&f, "c", &value));
    assert_true(http_form_is_type(STR("Application/X-WWW-form-urlencoded ; charset=utf-8")));
    assert_false(http_form_is_type(STR("application/json")));
    assert_false(http_form_is_type(STR_NONE));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(three_spellings_are_one),
        cmocka_unit_test(wrong_types_are_named),
        cmocka_unit_test(numbers_and_flags),
        cmocka_unit_test(what_is_no_request_is_refused),
        cmocka_unit_test(durations),
        cmocka_unit_test(forms_keep_order_and_repetition),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
