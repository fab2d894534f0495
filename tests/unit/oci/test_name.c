/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "oci/name.h"

#define A10   "aaaaaaaaaa"
#define A50   A10 A10 A10 A10 A10
#define A250  A50 A50 A50 A50 A50
#define HEX64 "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

struct text_case {
    str text;
    bool good;
};

static void check_all(const struct text_case *cases, size_t n, enum st (*check)(str, struct err *))
{
    for (size_t i = 0; i < n; i++) {
        struct err err = { .st = ST_OK };
        enum st st = check(cases[i].text, &err);
        if (st != (cases[i].good ? ST_OK : ST_INVALID))
            fail_msg("case %zu (%.*s): %s %s", i, STR_FMT(cases[i].text), st_text(st), err.text);
        assert_int_equal(err.st, st);
        assert_int_equal(check(cases[i].text, NULL), st);
        assert_true(st == ST_OK || strlen(err.text) > 20);
        assert_true(strlen(err.text) < ERR_TEXT_MAX - 1); /* not cut */
    }
}

static void names(void **state)
{
    (void)state;
    const struct text_case cases[] = {
        { STR("a"), true },
        { STR("0"), true },
        { STR("library/alpine"), true },
        { STR("a/b/c/d/e/f/g/h/i/j"), true },
        { STR("a.b"), true },
        { STR("a_b"), true },
        { STR("a__b"), true },
        { STR("a-b"), true },
        { STR("a--b"), true },
        { STR("a-----b"), true },
        { STR("a.b_c__d-e/f.g"), true },
        { STR("10.0.0.1/x"), true },
        { STR("blobs/manifests/tags/uploads"), true },
        { STR(A250 "aaaaa"), true },
        { STR(A250 "/aaaa"), true },
        { STR(A250 "aaaaaa"), false },
        { STR(""), false },
        { STR_NONE, false },
        { STR("/"), false },
        { STR("/a"), false },
        { STR("a/"), false },
        { STR("a//b"), false },
        { STR("."), false },
        { STR(".."), false },
        { STR("../a"), false },
        { STR("a/../b"), false },
        { STR("a/./b"), false },
        { STR("a..b"), false },
        { STR("a___b"), false },
        { STR("a._b"), false },
        { STR("a_.b"), false },
        { STR("a-_b"), false },
        { STR("a-.b"), false },
        { STR("a.-b"), false },
        { STR("_a"), false },
        { STR("-a"), false },
        { STR(".a"), false },
        { STR("a."), false },
        { STR("a_"), false },
        { STR("a__"), false },
        { STR("a-"), false },
        { STR("a-/b"), false },
        { STR("a/-b"), false },
        { STR("a/_b"), false },
        { STR("a./b"), false },
        { STR("_catalog"), false },
        { STR("A"), false },
        { STR("library/Alpine"), false },
        { STR("a b"), false },
        { STR(" a"), false },
        { STR("a\n"), false },
        { STR("a\0b"), false },
        { STR("a\0"), false },
        { STR("a:b"), false },
        { STR("a@b"), false },
        { STR("a%2fb"), false },
        { STR("a\\b"), false },
        { STR("a*"), false },
        { STR("\xc3\xa9"), false },
        { STR("a\xff"), false },
    };
    check_all(cases, ARRAY_LEN(cases), name_check);
}

/* Every byte in every place of a short name, against the grammar said in another way. */
static void names_byte_by_byte(void **state)
{
    (void)state;
    for (int c = 0; c < 256; c++) {
        bool word = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
        bool between = word || c == '.' || c == '_' || c == '-' || c == '/';
        char first[] = { (char)c, 'x' };
        char middle[] = { 'x', (char)c, 'x' };
        char last[] = { 'x', (char)c };
        assert_int_equal(name_check((str){ first, 2 }, NULL) == ST_OK, word);
        assert_int_equal(name_check((str){ middle, 3 }, NULL) == ST_OK, between);
        assert_int_equal(name_check((str){ last, 2 }, NULL) == ST_OK, word);
        bool tag_first = word || (c >= 'A' && c <= 'Z') || c == '_';
        bool tag_later = tag_first || c == '.' || c == '-';
        assert_int_equal(tag_check((str){ first, 2 }, NULL) == ST_OK, tag_first);
        assert_int_equal(tag_check((str){ middle, 3 }, NULL) == ST_OK, tag_later);
        assert_int_equal(tag_check((str){ last, 2 }, NULL) == ST_OK, tag_later);
    }
}

static void tags(void **state)
{
    (void)state;
    const struct text_case cases[] = {
        { STR("latest"), true },
        { STR("v1.2.3-rc.1"), true },
        { STR("_"), true },
        { STR("_x"), true },
        { STR("A"), true },
        { STR("0"), true },
        { STR("a..b--c__d"), true },
        { STR("a."), true },
        { STR("sha256-" HEX64 ".sig"), true },
        { STR(A50 A50 A10 A10 "aaaaaaaa"), true },
        { STR(A50 A50 A10 A10 "aaaaaaaaa"), false },
        { STR(""), false },
        { STR_NONE, false },
        { STR(".INVALID_MANIFEST_NAME"), false },
        { STR("."), false },
        { STR(".."), false },
        { STR("-a"), false },
        { STR("a b"), false },
        { STR("a/b"), false },
        { STR("a:b"), false },
        { STR("a+b"), false },
        { STR("a\0"), false },
        { STR("a\n"), false },
        { STR("\xc3\xa9"), false },
    };
    check_all(cases, ARRAY_LEN(cases), tag_check);
}

static void references(void **state)
{
    (void)state;
    struct reference r;
    str tag = STR("v1");
    assert_int_equal(reference_parse(tag, &r, NULL), ST_OK);
    assert_false(r.is_digest);
    assert_ptr_equal(r.tag.ptr, tag.ptr);
    assert_int_equal(reference_parse(STR("sha256:" HEX64), &r, NULL), ST_OK);
    assert_true(r.is_digest);
    assert_null(r.tag.ptr);
    char text[DIGEST_TEXT_MAX + 1];
    assert_true(str_eq(digest_text(&r.digest, text), STR("sha256:" HEX64)));
    /* A tag that looks like a digest's name is a tag. */
    assert_int_equal(reference_parse(STR("sha256"), &r, NULL), ST_OK);
    assert_false(r.is_digest);
    assert_int_equal(reference_parse(STR("sha256-" HEX64), &r, NULL), ST_OK);
    assert_false(r.is_digest);
    const struct {
        str text;
        enum st st;
    } bad[] = {
        { STR(""), ST_INVALID },
        { STR_NONE, ST_INVALID },
        { STR(":"), ST_INVALID },
        { STR("a:b:c"), ST_INVALID },
        { STR("sha256:"), ST_INVALID },
        { STR(":x"), ST_INVALID },
        { STR(".x"), ST_INVALID },
        { STR("md5:abc"), ST_UNSUPPORTED },
        { STR("sha256:totallywrong"), ST_INVALID },
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct reference same = { .is_digest = true, .tag = tag };
        assert_int_equal(reference_parse(bad[i].text, &same, NULL), bad[i].st);
        assert_ptr_equal(same.tag.ptr, tag.ptr);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names),
        cmocka_unit_test(names_byte_by_byte),
        cmocka_unit_test(tags),
        cmocka_unit_test(references),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
