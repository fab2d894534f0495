/* SPDX-License-Identifier: Apache-2.0
 *
 * The bodies of requests: what is read, and what each refusal says.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "api/json_in.h"
#include "base/fault.h"

struct read {
    str text;
    bool flag;
    uint64_t count;
    int64_t duration;
    int64_t utc;
    str inner;
    str list[3];
    size_t list_count;
    bool has_text, has_flag, has_count, has_duration, has_utc, has_object;
};

static enum st read_all(const char *body, bool may_be_empty, struct arena *a, struct read *out,
                        struct err *err)
{
    struct json_in_body b;
    struct json_in in;
    struct json_in inner;
    *out = (struct read){ 0 };
    enum st st = json_in_read(&b, str_of(body), may_be_empty, a, &in, err);
    if (st == ST_OK) {
        out->has_text = json_in_text(&in, "text", 10, &out->text);
        out->has_flag = json_in_flag(&in, "flag", &out->flag);
        out->has_count = json_in_count(&in, "count", 100, &out->count);
        out->has_duration = json_in_duration(&in, "duration", &out->duration);
        out->has_utc = json_in_utc(&in, "utc", &out->utc);
        if (json_in_list(&in, "list", 3, &out->list_count))
            for (size_t i = 0; i < out->list_count; i++)
                (void)json_in_list_text(&in, "list", i, 10, &out->list[i]);
        out->has_object = json_in_object(&in, "object", &inner);
        if (out->has_object) {
            (void)json_in_text(&inner, "inner", 10, &out->inner);
            json_in_end(&inner);
        }
        st = json_in_close(&in, err);
    }
    json_in_release(&b);
    return st;
}

static void members_are_read(void **state)
{
    (void)state;
    AUTO(arena_release) struct arena a = { 0 };
    struct read r;
    struct err err = { 0 };
    assert_int_equal(read_all("{\"text\":\"a\\\"\xc3\xa4\",\"flag\":true,\"count\":1e2,"
                              "\"duration\":\"7d\",\"utc\":\"2026-11-21T10:15:00.5+01:00\","
                              "\"list\":[\"x\",\"y\"],\"object\":{\"inner\":\"i\"}}",
                              false, &a, &r, &err),
                     ST_OK);
    assert_true(r.has_text && str_eq(r.text, STR("a\"\xc3\xa4")));
    assert_true(r.has_flag && r.flag);
    assert_true(r.has_count && r.count == 100);
    assert_true(r.has_duration && r.duration == (int64_t)7 * 24 * 3600 * 1000);
    assert_true(r.has_utc && r.utc == 1795252500500);
    assert_true(r.list_count == 2 && str_eq(r.list[1], STR("y")));
    assert_true(r.has_object && str_eq(r.inner, STR("i")));
}

static void secrets_are_not_repeated(void **state)
{
    (void)state;
    static const char *const bodies[] = { "{\"secret\":12345678}", "{\"secret\":[\"12345678\"]}",
                                          "{\"secret\":true}", "{\"secret\":\"123456789012345\"}" };
    for (size_t i = 0; i < ARRAY_LEN(bodies); i++) {
        AUTO(arena_release) struct arena a = { 0 };
        struct json_in_body b;
        struct json_in in;
        struct err err = { 0 };
        str secret = STR_NONE;
        assert_int_equal(json_in_read(&b, str_of(bodies[i]), false, &a, &in, &err), ST_OK);
        assert_false(json_in_secret(&in, "secret", 10, &secret));
        assert_int_equal(json_in_close(&in, &err), ST_INVALID);
        json_in_release(&b);
        assert_null(strstr(err.text, "12345678"));
        assert_null(strstr(err.text, "true"));
        assert_non_null(strstr(err.text, "secret:"));
    }
}

static void null_is_not_there(void **state)
{
    (void)state;
    AUTO(arena_release) struct arena a = { 0 };
    struct read r;
    struct err err = { 0 };
    static const char nulls[] =
        "{\"text\":null,\"flag\":null,\"count\":null,\"duration\":null,\"utc\":null,\"list\":null,"
        "\"object\":null}";
    const char *const bodies[] = { "{}", nulls, "" };
    for (size_t i = 0; i < ARRAY_LEN(bodies); i++) {
        assert_int_equal(read_all(bodies[i], true, &a, &r, &err), ST_OK);
        assert_false(r.has_text || r.has_flag || r.has_count || r.has_duration || r.has_utc ||
                     r.has_object);
        assert_int_equal(r.list_count, 0);
    }
}

static void every_refusal_names_its_member(void **state)
{
    (void)state;
    static const struct {
        const char *body;
        enum st st;
        const char *text;
    } cases[] = {
        { "", ST_INVALID, "body: the body is empty" },
        { "[]", ST_INVALID, "must be a JSON object" },
        { "{", ST_INVALID, "not accepted as JSON" },
        { "{}{}", ST_INVALID, "not accepted as JSON" },
        { "{\"flag\":true,\"flag\":false}", ST_INVALID, "duplicate" },
        { "{\"flag\":true,\"fl\\u0061g\":false}", ST_INVALID, "duplicate" },
        { "{\"text\":\"\\u0000\"}", ST_INVALID, "not accepted as JSON" },
        { "{\"text\":\"\xff\"}", ST_INVALID, "not UTF-8" },
        { "{\"count\":1e999}", ST_INVALID, "not accepted as JSON" },
        { "{\"a\":[[[[[[[[[0]]]]]]]]]}", ST_TOO_LARGE, "nested more than 8 deep" },
        { "{\"misspelt\":1}", ST_INVALID,
          "there is no member \"misspelt\"; there are: text, flag, count, duration, utc, list,"
          " object" },
        { "{\"object\":{\"other\":1}}", ST_INVALID, "object: there is no member \"other\"" },
        { "{\"text\":1}", ST_INVALID, "text: 1 is no text" },
        { "{\"text\":[]}", ST_INVALID, "text: a list is no text" },
        { "{\"text\":\"01234567890\"}", ST_INVALID,
          "text: a text of 11 bytes is too long; up to 10" },
        { "{\"flag\":\"true\"}", ST_INVALID, "flag: \"true\" is neither true nor false" },
        { "{\"flag\":1}", ST_INVALID, "flag: 1 is neither" },
        { "{\"count\":101}", ST_INVALID,
          "count: 101 is not allowed; a whole number from 0 to 100" },
        { "{\"count\":-1}", ST_INVALID, "count: -1 is not allowed" },
        { "{\"count\":1.5}", ST_INVALID, "count: 1.5 is not allowed" },
        { "{\"count\":\"5\"}", ST_INVALID, "count: \"5\" is not allowed" },
        { "{\"count\":true}", ST_INVALID, "count: true is not allowed" },
        { "{\"duration\":\"7\"}", ST_INVALID, "duration: " },
        { "{\"duration\":\"1d12h\"}", ST_INVALID, "duration: " },
        { "{\"duration\":\"0s\"}", ST_INVALID, "duration: \"0s\" is no time; at least" },
        { "{\"duration\":7}", ST_INVALID, "duration: 7 is no text" },
        { "{\"utc\":\"2026-11-21\"}", ST_INVALID, "utc: \"2026-11-21\" is no time since 1970" },
        { "{\"utc\":\"2026-02-30T00:00:00Z\"}", ST_INVALID, "utc: " },
        { "{\"utc\":\"2026-02-28T24:00:00Z\"}", ST_INVALID, "utc: " },
        { "{\"utc\":\"2026-02-28T00:00:00\"}", ST_INVALID, "utc: " },
        { "{\"utc\":\"2026-02-28T00:00:00.Z\"}", ST_INVALID, "utc: " },
        { "{\"utc\":\"2026-02-28T00:00:00+-1:00\"}", ST_INVALID, "utc: " },
        { "{\"utc\":\"2026-02-28T00:00:00Zz\"}", ST_INVALID, "utc: " },
        { "{\"utc\":\"1969-12-31T00:00:00Z\"}", ST_INVALID, "utc: " },
        { "{\"list\":[]}", ST_INVALID, "list: a list of 0 is not allowed; 1 to 3 are" },
        { "{\"list\":[\"a\",\"b\",\"c\",\"d\"]}", ST_INVALID, "list: a list of 4 is not allowed" },
        { "{\"list\":{}}", ST_INVALID, "list: an object is no list" },
        { "{\"list\":[\"a\",7]}", ST_INVALID, "list[1]: 7 is no text" },
        { "{\"list\":[\"a\",null]}", ST_INVALID, "list[1]: null is no text" },
        { "{\"object\":[]}", ST_INVALID, "object: a list is no object" },
        { "{\"object\":{\"inner\":5}}", ST_INVALID, "object.inner: 5 is no text" },
        /* the first one is told */
        { "{\"count\":-1,\"text\":7}", ST_INVALID, "text: 7" },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO(arena_release) struct arena a = { 0 };
        struct read r;
        struct err err = { 0 };
        enum st st = read_all(cases[i].body, false, &a, &r, &err);
        if (st != cases[i].st || err.st != st || strstr(err.text, cases[i].text) == NULL)
            fail_msg("%s: %d %s", cases[i].body, (int)st, err.text);
    }
}

static void too_much_is_refused_before_it_is_read(void **state)
{
    (void)state;
    AUTO(arena_release) struct arena a = { 0 };
    struct read r;
    struct err err = { 0 };
    size_t size = JSON_IN_BYTES_MAX + 2;
    char *body = calloc(1, size + 1);
    assert_non_null(body);
    memset(body, ' ', size);
    body[0] = '{';
    body[size - 1] = '}';
    assert_int_equal(read_all(body, false, &a, &r, &err), ST_TOO_LARGE);
    body[size - 3] = '}';
    body[size - 2] = '\0';
    assert_int_equal(read_all(body, false, &a, &r, &err), ST_OK);
    (void)snprintf(body, size, "{\"list\":[");
    for (size_t i = 9; i < 9 + (size_t)2 * JSON_IN_VALUES_MAX; i += 2)
        memcpy(body + i, "1,", 2);
    memcpy(body + 9 + (size_t)2 * JSON_IN_VALUES_MAX, "1]}", 4);
    assert_int_equal(read_all(body, false, &a, &r, &err), ST_TOO_LARGE);
    free(body);
}

static void long_values_are_not_repeated_whole(void **state)
{
    (void)state;
    AUTO(arena_release) struct arena a = { 0 };
    struct read r;
    struct err err = { 0 };
    char body[600];
    (void)snprintf(body, sizeof(body), "{\"flag\":\"%0400d\"}", 1);
    assert_int_equal(read_all(body, false, &a, &r, &err), ST_INVALID);
    assert_true(strlen(err.text) < 200);
    (void)snprintf(body, sizeof(body), "{\"%0400d\":1}", 1);
    assert_int_equal(read_all(body, false, &a, &r, &err), ST_INVALID);
    assert_true(strlen(err.text) < 250);
    assert_non_null(strstr(err.text, "...\"; there are: text"));
}

/* Without memory nothing is taken for absent. */
static void without_memory(void **state)
{
    (void)state;
#ifdef EBB_FAULTS
    static const char body[] =
        "{\"text\":\"abc\",\"list\":[\"a\",\"b\"],\"object\":{\"inner\":\"i\"}}";
    bool done = false;
    for (uint64_t n = 1; !done; n++) {
        AUTO(arena_release) struct arena a = { 0 };
        struct read r;
        struct err err = { 0 };
        fault_arm(FAULT_ALLOC, n, false);
        enum st st = read_all(body, false, &a, &r, &err);
        done = !fault_fired();
        fault_disarm();
        assert_int_equal(st, done ? ST_OK : ST_NO_MEMORY);
    }
#else
    skip();
#endif
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(members_are_read),
        cmocka_unit_test(secrets_are_not_repeated),
        cmocka_unit_test(null_is_not_there),
        cmocka_unit_test(every_refusal_names_its_member),
        cmocka_unit_test(too_much_is_refused_before_it_is_read),
        cmocka_unit_test(long_values_are_not_repeated_whole),
        cmocka_unit_test(without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
