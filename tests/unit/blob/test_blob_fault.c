/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "blob/blob.h"

static const str name = { "0123456789abcdef0123456789abcdef", 32 };

static struct blob_store *new_store(uint64_t seed, uint32_t one_in)
{
    struct blob_store *inner = NULL;
    struct blob_store *s = NULL;
    assert_int_equal(blob_mem_new(&inner, NULL), ST_OK);
    assert_int_equal(blob_fault_new(inner, seed, one_in, &s, NULL), ST_OK);
    return s;
}

/* One bit for each of 64 calls: whether it failed. */
static uint64_t pattern(uint64_t seed, uint32_t one_in)
{
    struct blob_store *s = new_store(seed, one_in);
    uint64_t bits = 0;
    for (unsigned i = 0; i < 64; i++) {
        struct blob_space space;
        if (blob_space_get(s, &space, NULL) != ST_OK)
            bits |= (uint64_t)1 << i;
    }
    blob_store_free(s);
    return bits;
}

static void same_seed_same_failures(void **state)
{
    (void)state;
    assert_int_equal(pattern(42, 4), pattern(42, 4));
    assert_int_not_equal(pattern(42, 4), pattern(43, 4));
    assert_int_equal(pattern(42, 0), 0);
    assert_int_equal(pattern(42, 1), UINT64_MAX);
    assert_int_equal(pattern(0, 4), pattern(0, 4)); /* 0 is no state of the generator */
    unsigned failures = 0;
    for (uint64_t seed = 1; seed <= 50; seed++)
        failures += (unsigned)__builtin_popcountll(pattern(seed, 8));
    assert_in_range(failures, 300, 500); /* 3200 calls, one in 8 */
}

static void full_until_set_back(void **state)
{
    (void)state;
    struct blob_store *s = new_store(1, 0);
    struct blob_writer *w = NULL;
    struct blob_space space;
    struct err err = { .st = ST_OK };
    assert_int_equal(blob_writer_open(s, name, 0, &w, &err), ST_OK);
    blob_fault_set_full(s, true);
    assert_int_equal(blob_writer_add(w, "x", 1, &err), ST_FULL);
    assert_non_null(strstr(err.text, "no space"));
    blob_writer_close(w);
    w = NULL;
    assert_int_equal(blob_writer_open(s, name, 0, &w, &err), ST_FULL);
    assert_null(w);
    assert_int_equal(blob_space_get(s, &space, &err), ST_OK);
    assert_int_equal(space.free_bytes, 0);
    assert_int_equal(blob_remove(s, &name, 1, &err), ST_OK);
    blob_fault_set_full(s, false);
    assert_int_equal(blob_writer_open(s, name, 0, &w, &err), ST_OK);
    assert_int_equal(blob_writer_add(w, "x", 1, &err), ST_OK);
    blob_writer_close(w);
    blob_store_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(same_seed_same_failures),
        cmocka_unit_test(full_until_set_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
