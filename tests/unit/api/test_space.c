/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "api/space.h"
#include "base/clock.h"

static struct blob_space disk;
static enum st can_tell;
static unsigned asked;

static enum st tell(struct blob_store *s, struct blob_space *out, struct err *err)
{
    (void)s;
    asked++;
    if (can_tell != ST_OK)
        return err_set(err, can_tell, "cannot tell");
    *out = disk;
    return ST_OK;
}

static const struct blob_ops ops = { .kind = "test", .space = tell };
static struct blob_store store = { &ops };
static struct space space;

static int setup(void **state)
{
    (void)state;
    can_tell = ST_OK;
    asked = 0;
    space_init(&space, &store);
    return 0;
}

/* As if that long had gone by since the disk was asked. */
static void grow_old(int64_t ms)
{
    atomic_store(&space.asked_mono_ms, clock_mono_ms() - ms);
}

static enum st need(uint64_t bytes)
{
    struct err err = { 0 };
    enum st st = space_need(&space, bytes, &err);
    if (st != ST_OK)
        assert_non_null(strstr(err.text, "disk is full"));
    return st;
}

static enum st take(uint64_t bytes)
{
    return space_take(&space, bytes, NULL);
}

static void a_part_is_kept(void **state)
{
    static const struct {
        uint64_t size, free, usable;
    } cases[] = {
        { 0, 0, 0 },
        { 8 * MIB, 8 * MIB, 7 * MIB },     /* an eighth */
        { 8 * MIB, MIB, 0 },               /* only the kept part is left */
        { 8 * MIB, MIB + 1, 1 },           /* one byte more */
        { 100 * MIB, 50 * MIB, 46 * MIB }, /* 4 MiB at least */
        { 50 * GIB, 10 * GIB, 10 * GIB - 50 * GIB / 100 },
        { 1024 * GIB * 1024, 10 * GIB, 9 * GIB }, /* 1 GiB at most */
        { 1024 * GIB, 0, 0 },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        assert_int_equal(setup(state), 0);
        disk = (struct blob_space){ .free_bytes = cases[i].free, .size_bytes = cases[i].size };
        assert_int_equal(need(cases[i].usable), cases[i].usable > 0 ? ST_OK : ST_FULL);
        assert_int_equal(need(cases[i].usable + 1), ST_FULL);
        assert_int_equal(need(0), cases[i].usable > 0 ? ST_OK : ST_FULL);
        assert_int_equal(need(UINT64_MAX), ST_FULL);
    }
}

static void what_is_taken_counts_until_asked_again(void **state)
{
    (void)state;
    disk = (struct blob_space){ .free_bytes = 8 * MIB, .size_bytes = 8 * MIB };
    assert_int_equal(take(6 * MIB), ST_OK);
    assert_int_equal(take(2 * MIB), ST_FULL);
    assert_int_equal(take(MIB), ST_OK);
    assert_int_equal(take(1), ST_FULL);
    assert_int_equal(need(1), ST_FULL);
    assert_int_equal(asked, 1);
    grow_old(SPACE_AGE_MS);
    assert_int_equal(need(7 * MIB), ST_OK);
    assert_int_equal(asked, 2);
}

static void a_store_that_cannot_tell_has_room(void **state)
{
    (void)state;
    can_tell = ST_UNSUPPORTED;
    assert_int_equal(need(UINT64_MAX / 2), ST_OK);
    assert_int_equal(take(UINT64_MAX / 4), ST_OK);
    disk = (struct blob_space){ 0 };
    can_tell = ST_OK;
    grow_old(SPACE_AGE_MS);
    assert_int_equal(need(1), ST_FULL);
    can_tell = ST_IO; /* nobody is refused because the disk could not be asked */
    grow_old(SPACE_AGE_MS);
    assert_int_equal(need(1), ST_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_part_is_kept, setup),
        cmocka_unit_test_setup(what_is_taken_counts_until_asked_again, setup),
        cmocka_unit_test_setup(a_store_that_cannot_tell_has_room, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
