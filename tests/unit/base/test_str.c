/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/str.h"

static void equality(void **state)
{
    (void)state;
    assert_true(str_eq(STR("ab"), STR("ab")));
    assert_false(str_eq(STR("ab"), STR("aB")));
    assert_false(str_eq(STR("ab"), STR("abc")));
    assert_true(str_eq(STR_NONE, STR("")));
    assert_true(str_eq_nocase(STR("Content-TYPE"), STR("content-type")));
    assert_true(str_eq_nocase(STR_NONE, STR("")));
    assert_false(str_eq_nocase(STR("a["), STR("a{"))); /* neighbours of the letters */
    assert_false(str_eq_nocase(STR("a@"), STR("a`")));
    assert_false(str_eq_nocase(STR("\xc3\x89"), STR("\xc3\xa9")));
}

static void nocase_looks_behind_a_nul(void **state)
{
    (void)state;
    assert_false(str_eq_nocase(STR("a\0b"), STR("a\0c")));
    assert_true(str_eq_nocase(STR("a\0b"), STR("A\0B")));
}

static void order(void **state)
{
    (void)state;
    assert_int_equal(str_cmp(STR("a"), STR("a")), 0);
    assert_int_equal(str_cmp(STR_NONE, STR("")), 0);
    assert_true(str_cmp(STR("a"), STR("b")) < 0);
    assert_true(str_cmp(STR("a"), STR("aa")) < 0);
    assert_true(str_cmp(STR("aa"), STR("a")) > 0);
    assert_true(str_cmp(STR("\xff"), STR("a")) > 0); /* bytes are unsigned */
    assert_true(str_cmp(STR("B"), STR("a")) < 0);
}

static void parts(void **state)
{
    (void)state;
    assert_true(str_starts(STR("abc"), STR("ab")));
    assert_true(str_starts(STR("abc"), STR("")));
    assert_false(str_starts(STR("a"), STR("ab")));
    assert_true(str_ends(STR("abc"), STR("bc")));
    assert_false(str_ends(STR("c"), STR("bc")));
    assert_true(str_ends(STR_NONE, STR_NONE));
    assert_true(str_eq(str_slice(STR("abcd"), 1, 3), STR("bc")));
    assert_true(str_eq(str_slice(STR("abcd"), 2, 99), STR("cd")));
    assert_int_equal(str_slice(STR("abcd"), 9, 99).len, 0);
    assert_int_equal(str_slice(STR("abcd"), 3, 1).len, 0);
    assert_null(str_slice(STR_NONE, 0, 5).ptr);
    assert_true(str_eq(str_trim(STR(" \ta b\t ")), STR("a b")));
    assert_int_equal(str_trim(STR(" \t ")).len, 0);
    assert_int_equal(str_trim(STR_NONE).len, 0);
    assert_true(str_eq(str_trim(STR("\na\n")), STR("\na\n")));
    assert_null(str_of(NULL).ptr);
    assert_true(str_eq(str_of("xy"), STR("xy")));
}

static void cutting(void **state)
{
    (void)state;
    str a = STR("same");
    str b = STR("too");
    assert_false(str_cut(STR("abc"), ':', &a, &b));
    assert_false(str_cut_last(STR_NONE, ':', &a, &b));
    assert_true(str_eq(a, STR("same")) && str_eq(b, STR("too")));
    assert_true(str_cut(STR("a:b:c"), ':', &a, &b));
    assert_true(str_eq(a, STR("a")) && str_eq(b, STR("b:c")));
    assert_true(str_cut_last(STR("a:b:c"), ':', &a, &b));
    assert_true(str_eq(a, STR("a:b")) && str_eq(b, STR("c")));
    assert_true(str_cut(STR(":"), ':', &a, &b));
    assert_true(a.len == 0 && b.len == 0);
    str s = STR("k=v");
    assert_true(str_cut(s, '=', &b, &s));
    assert_true(str_eq(b, STR("k")) && str_eq(s, STR("v")));
    s = STR("k=v");
    assert_true(str_cut(s, '=', &s, &b));
    assert_true(str_eq(s, STR("k")) && str_eq(b, STR("v")));
}

static void numbers(void **state)
{
    (void)state;
    const struct {
        str text;
        uint64_t max;
        bool good;
        uint64_t value;
    } cases[] = {
        { STR("0"), 0, true, 0 },
        { STR("007"), 10, true, 7 },
        { STR("10"), 10, true, 10 },
        { STR("11"), 10, false, 0 },
        { STR("18446744073709551615"), UINT64_MAX, true, UINT64_MAX },
        { STR("18446744073709551616"), UINT64_MAX, false, 0 },
        { STR("99999999999999999999999"), UINT64_MAX, false, 0 },
        { STR(""), 10, false, 0 },
        { STR_NONE, 10, false, 0 },
        { STR("+1"), 10, false, 0 },
        { STR("-1"), 10, false, 0 },
        { STR(" 1"), 10, false, 0 },
        { STR("1 "), 10, false, 0 },
        { STR("1\0"), 10, false, 0 },
        { STR("0x1"), 10, false, 0 },
        { STR("1e1"), 10, false, 0 },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        uint64_t n = 77;
        assert_int_equal(str_to_u64(cases[i].text, cases[i].max, &n), cases[i].good);
        assert_int_equal(n, cases[i].good ? cases[i].value : 77);
    }
}

static void copying(void **state)
{
    (void)state;
    char out[4] = "xyz";
    assert_true(str_copy(STR("abc"), out, sizeof(out)));
    assert_string_equal(out, "abc");
    assert_false(str_copy(STR("abcd"), out, sizeof(out)));
    assert_string_equal(out, "");
    assert_true(str_copy(STR_NONE, out, 1));
    assert_string_equal(out, "");
}

static void utf8(void **state)
{
    (void)state;
    const struct {
        str text;
        bool good;
    } cases[] = {
        { STR_NONE, true },
        { STR("a\0b\x7f"), true },
        { STR("\xc2\x80 \xdf\xbf"), true },
        { STR("\xe0\xa0\x80 \xed\x9f\xbf \xee\x80\x80 \xef\xbf\xbf"), true },
        { STR("\xf0\x90\x80\x80 \xf4\x8f\xbf\xbf"), true },
        { STR("\x80"), false },
        { STR("\xc0\x80"), false },
        { STR("\xc1\xbf"), false },
        { STR("\xe0\x9f\xbf"), false },
        { STR("\xed\xa0\x80"), false },
        { STR("\xed\xbf\xbf"), false },
        { STR("\xf0\x8f\xbf\xbf"), false },
        { STR("\xf4\x90\x80\x80"), false },
        { STR("\xf5\x80\x80\x80"), false },
        { STR("\xff"), false },
        { STR("\xc3"), false },
        { STR("\xe2\x82"), false },
        { STR("\xf0\x9f\x98"), false },
        { STR("\xe2(\xa1"), false },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        if (str_is_utf8(cases[i].text) != cases[i].good)
            fail_msg("case %zu", i);
    assert_int_equal(str_utf8_len(STR("\xe2\x82\xac!")), 3);
    assert_int_equal(str_utf8_len(STR("\xff!")), 0);
    assert_int_equal(str_utf8_len(STR_NONE), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equality), cmocka_unit_test(nocase_looks_behind_a_nul),
        cmocka_unit_test(order),    cmocka_unit_test(parts),
        cmocka_unit_test(cutting),  cmocka_unit_test(numbers),
        cmocka_unit_test(copying),  cmocka_unit_test(utf8),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
