/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/fault.h"

static void grows_to_its_maximum_and_no_further(void **state)
{
    (void)state;
    for (size_t max = 1; max < 2000; max += 111) {
        AUTO(buf_release) struct buf b = { .max_bytes = max };
        for (size_t i = 0; i < max; i++)
            buf_add_byte(&b, (char)('a' + i % 26));
        assert_int_equal(buf_status(&b, NULL), ST_OK);
        assert_int_equal(b.len, max);
        buf_add(&b, STR_NONE);
        assert_int_equal(buf_status(&b, NULL), ST_OK);
        buf_add_byte(&b, 'x');
        struct err err;
        assert_int_equal(buf_status(&b, &err), ST_TOO_LARGE);
        assert_int_equal(err.st, ST_TOO_LARGE);
        assert_int_equal(b.len, max);
        for (size_t i = 0; i < max; i++)
            assert_int_equal(buf_str(&b).ptr[i], 'a' + i % 26);
    }
}

static void remembers_the_first_failure(void **state)
{
    (void)state;
    AUTO(buf_release) struct buf b = { .max_bytes = 4 };
    buf_add(&b, STR("ab"));
    buf_add(&b, STR("cdefg"));
    buf_add(&b, STR("c")); /* would fit, but comes after a hole */
    assert_int_equal(buf_status(&b, NULL), ST_TOO_LARGE);
    assert_true(str_eq(buf_str(&b), STR("ab")));
    assert_false(buf_reserve(&b, 0));
    buf_clear(&b);
    assert_int_equal(buf_status(&b, NULL), ST_OK);
    buf_add(&b, STR("wxyz"));
    assert_true(str_eq(buf_str(&b), STR("wxyz")));
    buf_release(&b);
    assert_null(b.ptr);
    buf_add(&b, STR("again"));
    assert_int_equal(buf_status(&b, NULL), ST_TOO_LARGE);
}

static void long_formats_fit_exactly(void **state)
{
    (void)state;
    AUTO(buf_release) struct buf b = { .max_bytes = 1000 };
    buf_printf(&b, "%s=%d;", "k", 5);
    buf_printf(&b, "%0997d", 7);
    assert_int_equal(buf_status(&b, NULL), ST_TOO_LARGE);
    assert_true(str_eq(buf_str(&b), STR("k=5;")));
    buf_clear(&b);
    buf_printf(&b, "%s=%d;", "k", 5);
    buf_printf(&b, "%0996d", 7);
    assert_int_equal(buf_status(&b, NULL), ST_OK);
    assert_int_equal(b.len, 1000);
    assert_int_equal(b.ptr[999], '7');
}

static void reserve_then_write(void **state)
{
    (void)state;
    AUTO(buf_release) struct buf b = { .max_bytes = 5000 };
    assert_true(buf_reserve(&b, 5000));
    memset(b.ptr, 'x', 5000);
    b.len = 5000;
    assert_false(buf_reserve(&b, 1));
    AUTO(buf_release) struct buf c = { .max_bytes = 5000 };
    assert_false(buf_reserve(&c, SIZE_MAX));
}

static void no_memory(void **state)
{
    (void)state;
#ifdef EBB_FAULTS
    AUTO(buf_release) struct buf b = { .max_bytes = 5000 };
    buf_add(&b, STR("kept"));
    fault_arm(FAULT_ALLOC, 1, false);
    buf_printf(&b, "%1000d", 1);
    fault_disarm();
    struct err err;
    assert_int_equal(buf_status(&b, &err), ST_NO_MEMORY);
    assert_int_equal(err.st, ST_NO_MEMORY);
    assert_true(str_eq(buf_str(&b), STR("kept")));
#endif
}

static void numbers(void **state)
{
    (void)state;
    static const struct {
        int64_t n;
        const char *text;
    } cases[] = {
        { 0, "0" },
        { 7, "7" },
        { -1, "-1" },
        { 1234567890123, "1234567890123" },
        { INT64_MAX, "9223372036854775807" },
        { INT64_MIN, "-9223372036854775808" },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO(buf_release) struct buf b = { .max_bytes = 64 };
        buf_add_number(&b, cases[i].n);
        assert_true(str_eq(buf_str(&b), str_of(cases[i].text)));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers),
        cmocka_unit_test(grows_to_its_maximum_and_no_further),
        cmocka_unit_test(remembers_the_first_failure),
        cmocka_unit_test(long_formats_fit_exactly),
        cmocka_unit_test(reserve_then_write),
        cmocka_unit_test(no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
