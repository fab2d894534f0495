/* SPDX-License-Identifier: Apache-2.0
 *
 * References and selectors as they stand in bodies.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "api/ebb_reference.h"
#include "api/ebb_select.h"
#include "base/clock.h"

#define HEX64 "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define D     "sha256:" HEX64

static void references(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int kind; /* 0: refused */
        const char *repo, *tag;
    } cases[] = {
        { "a:b", EBB_REFERENCE_TAG, "a", "b" },
        { "group/project/app:v1.0_x-Y", EBB_REFERENCE_TAG, "group/project/app", "v1.0_x-Y" },
        { "a@" D, EBB_REFERENCE_DIGEST, "a", NULL },
        { D, EBB_REFERENCE_ALONE, NULL, NULL },
        { "sha256:abc", EBB_REFERENCE_TAG, "sha256", "abc" },
        { "sha512:" HEX64 HEX64, EBB_REFERENCE_ALONE, NULL, NULL },
        { "", 0, NULL, NULL },
        { "a", 0, NULL, NULL },
        { "a:", 0, NULL, NULL },
        { ":b", 0, NULL, NULL },
        { "a:b:c", 0, NULL, NULL },
        { "A:b", 0, NULL, NULL },
        { "a/:b", 0, NULL, NULL },
        { "a:.b", 0, NULL, NULL },
        { "a@b", 0, NULL, NULL },
        { "a:b@" D, 0, NULL, NULL }, /* which of the two? */
        { "@" D, 0, NULL, NULL },
        { "a@" D "0", 0, NULL, NULL },
        { "a@sha1:da39a3ee5e6b4b0d3255bfef95601890afd80709", 0, NULL, NULL },
        { "localhost:5000/a:b", 0, NULL, NULL },
        { "https://h/a:b", 0, NULL, NULL },
        { "a*:b", 0, NULL, NULL },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct ebb_reference r = { 0 };
        struct err err = { 0 };
        enum st st = ebb_reference_parse(str_of(cases[i].text), 7, &r, &err);
        if (cases[i].kind == 0) {
            if (st != ST_INVALID || err.st != ST_INVALID || err.text[0] == '\0')
                fail_msg("%s: %d", cases[i].text, (int)st);
            continue;
        }
        if (st != ST_OK || r.kind != cases[i].kind || !str_eq(r.repo, str_of(cases[i].repo)) ||
            !str_eq(r.tag, str_of(cases[i].tag)))
            fail_msg("%s: %d %s", cases[i].text, (int)st, err.text);
        assert_int_equal(ebb_reference_parse(str_of(cases[i].text), 7 & ~r.kind, &r, &err),
                         ST_INVALID);
        assert_non_null(strstr(err.text, "is not meant here"));
    }
}

static enum st read_body(const char *text, struct arena *a, struct ebb_selection *out,
                         struct err *err)
{
    struct json_in_body body;
    struct json_in in;
    enum st st = json_in_read(&body, str_of(text), false, a, &in, err);
    if (st == ST_OK) {
        ebb_select_read(&in, 100, out);
        st = json_in_close(&in, err);
    }
    json_in_release(&body);
    return st;
}

static void selectors(void **state)
{
    (void)state;
    AUTO(arena_release) struct arena a = { 0 };
    struct ebb_selection s = { 0 };
    struct err err = { 0 };
    assert_int_equal(
        read_body("{\"now\":true,\"reason\":\"why\",\"select\":["
                  "{\"tag\":\"a:b\"},{\"image\":\"a/c:d\"},{\"image\":\"a@" D "\"},"
                  "{\"blob\":\"a@" D "\"},{\"repository\":\"g/**\"},{\"trash\":\"**\"},"
                  "{\"rule\":{\"repositories\":\"*\",\"tags\":\"v.*\",\"keep_tags\":\"v1\","
                  "\"keep\":5,\"older_than\":\"7d\",\"not_pulled_for\":\"36h\",\"untagged\":true}},"
                  "{\"rule\":{\"repositories\":\"x\",\"keep\":0}}]}",
                  &a, &s, &err),
        ST_OK);
    static const enum selector_kind kinds[] = { SELECT_TAG,  SELECT_IMAGE,      SELECT_IMAGE,
                                                SELECT_BLOB, SELECT_REPOSITORY, SELECT_TRASH,
                                                SELECT_RULE, SELECT_RULE };
    assert_true(s.now && str_eq(s.reason, STR("why")));
    assert_int_equal(s.count, ARRAY_LEN(kinds));
    for (size_t i = 0; i < s.count; i++)
        assert_int_equal(s.selectors[i].kind, kinds[i]);
    assert_true(str_eq(s.selectors[1].repo, STR("a/c")) && str_eq(s.selectors[1].tag, STR("d")));
    assert_null(s.selectors[2].tag.ptr);
    assert_int_equal(s.selectors[2].digest.bytes[0], 0xe3);
    assert_true(str_eq(s.selectors[4].repo, STR("g/**")));
    const struct selector_rule *r = &s.selectors[6].rule;
    assert_true(str_eq(r->tags, STR("v.*")) && str_eq(r->keep_tags, STR("v1")));
    assert_true(r->has_keep && r->keep == 5 && r->untagged);
    assert_true(r->older_than_ms == 7 * CLOCK_DAY_MS && r->not_pulled_for_ms == 36 * CLOCK_HOUR_MS);
    assert_true(s.selectors[7].rule.has_keep && s.selectors[7].rule.keep == 0);
}

static void refused(void **state)
{
    (void)state;
    static const struct {
        const char *body;
        const char *text;
    } cases[] = {
        { "{}", "\"select\" is missing" },
        { "{\"select\":[]}", "select: a list of 0" },
        { "{\"select\":{}}", "select: an object is no list" },
        { "{\"select\":[\"a:b\"]}", "select[0]: \"a:b\" is no object" },
        { "{\"select\":[{}]}", "select[0]: it selects nothing; exactly one of tag, image, blob" },
        { "{\"select\":[{\"tag\":null}]}", "select[0]: it selects nothing" },
        { "{\"select\":[{\"tag\":\"a:b\",\"image\":\"a:b\"}]}",
          "select[0]: it selects two things" },
        { "{\"select\":[{\"tag\":\"a:b\"},{\"tags\":\"a:b\"}]}",
          "select[1]: there is no member \"tags\"" },
        { "{\"select\":[{\"tag\":\"a@" D "\"}]}", "select[0].tag: " },
        { "{\"select\":[{\"tag\":\"" D "\"}]}", "select[0].tag: " },
        { "{\"select\":[{\"image\":\"a\"}]}",
          "select[0].image: \"a\" names no tag and no digest; repo:tag or repo@digest is allowed" },
        { "{\"select\":[{\"blob\":\"a:b\"}]}", "select[0].blob: \"a:b\" is not meant here" },
        { "{\"select\":[{\"repository\":\"\"}]}", "select[0].repository: an empty pattern" },
        { "{\"select\":[{\"trash\":true}]}", "select[0].trash: true is no text" },
        { "{\"select\":[{\"rule\":{}}]}", "select[0].rule: \"repositories\" is missing" },
        { "{\"select\":[{\"rule\":{\"repositories\":\"**\"}}]}",
          "select[0].rule: a rule needs at least one of" },
        { "{\"select\":[{\"rule\":{\"repositories\":\"**\",\"keep_tags\":\"x\"}}]}",
          "select[0].rule: a rule needs" },
        { "{\"select\":[{\"rule\":{\"repositories\":\"**\",\"untagged\":false}}]}",
          "select[0].rule: a rule needs" },
        { "{\"select\":[{\"rule\":{\"repositories\":\"**\",\"older-than\":\"7d\"}}]}",
          "select[0].rule: there is no member \"older-than\"" },
        { "{\"select\":[{\"rule\":{\"repositories\":\"**\",\"keep\":-1}}]}",
          "select[0].rule.keep: -1 is not allowed" },
        { "{\"select\":[{\"rule\":{\"repositories\":\"**\",\"older_than\":\"7 days\"}}]}",
          "select[0].rule.older_than: " },
        { "{\"select\":[{\"tag\":\"a:b\"}],\"dry_run\":true}", "there is no member \"dry_run\"" },
        { "{\"select\":[{\"tag\":\"a:b\"}],\"now\":\"yes\"}", "now: \"yes\" is neither" },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO(arena_release) struct arena a = { 0 };
        struct ebb_selection s = { 0 };
        struct err err = { 0 };
        enum st st = read_body(cases[i].body, &a, &s, &err);
        if (st != ST_INVALID || strstr(err.text, cases[i].text) == NULL)
            fail_msg("%s: %d %s", cases[i].body, (int)st, err.text);
    }
}

static void ten_thousand_are_the_most(void **state)
{
    (void)state;
    for (size_t n = 10000; n <= 10001; n++) {
        AUTO(arena_release) struct arena a = { .limit_bytes = 16 * MIB };
        struct ebb_selection s = { 0 };
        struct err err = { 0 };
        char *body = malloc(n * 16 + 32);
        assert_non_null(body);
        size_t at = (size_t)snprintf(body, 32, "{\"select\":[");
        for (size_t i = 0; i < n; i++)
            at += (size_t)snprintf(body + at, 16, "%s{\"tag\":\"a:b\"}", i == 0 ? "" : ",");
        (void)snprintf(body + at, 4, "]}");
        assert_int_equal(read_body(body, &a, &s, &err), n == 10000 ? ST_OK : ST_INVALID);
        free(body);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(references),
        cmocka_unit_test(selectors),
        cmocka_unit_test(refused),
        cmocka_unit_test(ten_thousand_are_the_most),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
