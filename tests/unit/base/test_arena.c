/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/fault.h"

static void aligned_zeroed_and_apart(void **state)
{
    (void)state;
    AUTO(arena_release) struct arena a = { .limit_bytes = 1 * MIB };
    char *before = NULL;
    for (size_t size = 0; size < 6000; size = size * 2 + 1) {
        char *p = arena_alloc(&a, size);
        assert_non_null(p);
        assert_int_equal((uintptr_t)p % 16, 0);
        for (size_t i = 0; i < size; i++)
            assert_int_equal(p[i], 0);
        memset(p, 0xff, size); /* a neighbour that overlaps would not be zero */
        assert_ptr_not_equal(p, before);
        before = p;
    }
}

static void limit_holds(void **state)
{
    (void)state;
    AUTO(arena_release) struct arena a = { .limit_bytes = 10000 };
    size_t given = 0;
    while (arena_alloc(&a, 100) != NULL)
        given += 100;
    assert_in_range(given, 5000, 10000);
    assert_true(a.used_bytes <= 10000);
    assert_null(arena_alloc(&a, SIZE_MAX));
    assert_null(arena_alloc(&a, SIZE_MAX / 2));
    assert_null(arena_alloc(&a, 10001));
    arena_release(&a);
    assert_int_equal(a.used_bytes, 0);
    assert_non_null(arena_alloc(&a, 9000)); /* ready again */
    arena_release(&a);
    arena_release(&a);
}

static void default_limit_is_a_mebibyte(void **state)
{
    (void)state;
    AUTO(arena_release) struct arena a = { 0 };
    assert_non_null(arena_alloc(&a, 1000000));
    assert_null(arena_alloc(&a, 100000));
}

static void texts(void **state)
{
    (void)state;
    AUTO(arena_release) struct arena a = { 0 };
    str copy = arena_dup(&a, STR("a\0b"));
    assert_true(str_eq(copy, STR("a\0b")));
    assert_int_equal(copy.ptr[3], '\0');
    assert_non_null(arena_dup(&a, STR_NONE).ptr);
    assert_string_equal(arena_cstr(&a, STR("xy")), "xy");
    str text = arena_printf(&a, "%d-%s", 5, "abc");
    assert_true(str_eq(text, STR("5-abc")));
    assert_int_equal(text.ptr[5], '\0');
    text = arena_printf(&a, "%5000d", 1);
    assert_int_equal(text.len, 5000);
    assert_int_equal(text.ptr[4999], '1');
}

static void no_memory(void **state)
{
    (void)state;
#ifdef EBB_FAULTS
    AUTO(arena_release) struct arena a = { 0 };
    fault_arm(FAULT_ALLOC, 1, true);
    assert_null(arena_alloc(&a, 1));
    assert_null(arena_dup(&a, STR("x")).ptr);
    assert_null(arena_cstr(&a, STR("x")));
    assert_null(arena_printf(&a, "x").ptr);
    fault_disarm();
    assert_int_equal(a.used_bytes, 0);
    assert_non_null(arena_alloc(&a, 1));
#endif
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(aligned_zeroed_and_apart),
        cmocka_unit_test(limit_holds),
        cmocka_unit_test(default_limit_is_a_mebibyte),
        cmocka_unit_test(texts),
        cmocka_unit_test(no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
