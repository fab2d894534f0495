/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/fault.h"
#include "base/rng.h"
#include "blob/blob.h"

static const str name = { "0123456789abcdef0123456789abcdef", 32 };
static const str other = { "fedcba9876543210fedcba9876543210", 32 };

static struct blob_store *new_store(void)
{
    struct blob_store *s = NULL;
    assert_int_equal(blob_mem_new(&s, NULL), ST_OK);
    return s;
}

static void put(struct blob_store *s, str n, const char *bytes, bool finish)
{
    struct blob_writer *w = NULL;
    assert_int_equal(blob_writer_open(s, n, 0, &w, NULL), ST_OK);
    assert_int_equal(blob_writer_add(w, bytes, strlen(bytes), NULL), ST_OK);
    if (finish)
        assert_int_equal(blob_writer_finish(w, NULL), ST_OK);
    blob_writer_close(w);
}

static void crash_takes_only_what_was_not_finished(void **state)
{
    (void)state;
    unsigned vanished = 0;
    unsigned cut = 0;
    unsigned whole = 0;
    for (uint64_t seed = 1; seed <= 200; seed++) {
        uint64_t rng = seed * 7919;
        struct blob_store *s = new_store();
        struct blob_reader r = BLOB_READER_NONE;
        put(s, name, "promised", true);
        put(s, other, "loose", false);
        blob_mem_crash(s, &rng);
        assert_int_equal(blob_reader_open(s, name, &r, NULL), ST_OK);
        assert_true(str_eq(r.bytes, STR("promised")));
        blob_reader_close(&r);
        if (blob_reader_open(s, other, &r, NULL) != ST_OK) {
            vanished++;
        } else {
            assert_true(r.size <= 5 && memcmp(r.bytes.ptr, "loose", r.size) == 0);
            if (r.size < 5)
                cut++;
            else
                whole++;
        }
        blob_reader_close(&r);
        blob_store_free(s);
    }
    assert_true(vanished > 20 && cut > 20 && whole > 5);
}

static void same_seed_same_crash(void **state)
{
    (void)state;
    uint64_t sizes[2];
    for (size_t i = 0; i < 2; i++) {
        uint64_t rng = 7;
        struct blob_store *s = new_store();
        struct blob_reader r = BLOB_READER_NONE;
        put(s, other, "something long enough to be cut somewhere in the middle", false);
        blob_mem_crash(s, &rng);
        sizes[i] = blob_reader_open(s, other, &r, NULL) == ST_OK ? r.size : UINT64_MAX;
        blob_reader_close(&r);
        blob_store_free(s);
    }
    assert_int_equal(sizes[0], sizes[1]);
}

/* Appending moves the bytes, cutting rewrites them: a reader must not notice either. */
static void readers_keep_their_bytes(void **state)
{
    (void)state;
    struct blob_store *s = new_store();
    struct blob_reader r = BLOB_READER_NONE;
    struct blob_writer *w = NULL;
    put(s, name, "first", false);
    assert_int_equal(blob_reader_open(s, name, &r, NULL), ST_OK);
    assert_int_equal(blob_writer_open(s, name, 5, &w, NULL), ST_OK);
    static const char block[10000];
    for (size_t i = 0; i < 10; i++)
        assert_int_equal(blob_writer_add(w, block, sizeof(block), NULL), ST_OK);
    blob_writer_close(w);
    assert_true(str_eq(r.bytes, STR("first")));
    struct blob_reader long_one = BLOB_READER_NONE;
    assert_int_equal(blob_reader_open(s, name, &long_one, NULL), ST_OK);
    put(s, name, "SECOND", true); /* in place of bytes that are pinned */
    assert_true(str_eq(r.bytes, STR("first")));
    assert_memory_equal(long_one.bytes.ptr, "first\0\0", 7);
    blob_reader_close(&long_one);
    assert_int_equal(blob_remove(s, &name, 1, NULL), ST_OK);
    assert_true(str_eq(r.bytes, STR("first")));
    blob_reader_close(&r);
    blob_store_free(s);
}

static void writer_of_a_removed_name_ends_well(void **state)
{
    (void)state;
    struct blob_store *s = new_store();
    struct blob_writer *w = NULL;
    struct blob_reader r = BLOB_READER_NONE;
    struct blob_space before;
    struct blob_space after;
    assert_int_equal(blob_space_get(s, &before, NULL), ST_OK);
    assert_int_equal(blob_writer_open(s, name, 0, &w, NULL), ST_OK);
    assert_int_equal(blob_remove(s, &name, 1, NULL), ST_OK);
    assert_int_equal(blob_writer_add(w, "lost", 4, NULL), ST_OK);
    assert_int_equal(blob_writer_finish(w, NULL), ST_OK);
    blob_writer_close(w);
    assert_int_equal(blob_reader_open(s, name, &r, NULL), ST_NOT_FOUND);
    assert_int_equal(blob_space_get(s, &after, NULL), ST_OK);
    assert_int_equal(before.free_bytes, after.free_bytes);
    blob_store_free(s);
}

#ifdef EBB_FAULTS
static enum st all_calls(void)
{
    struct blob_store *s = NULL;
    struct blob_writer *w = NULL;
    struct err err = { .st = ST_OK };
    enum st st = blob_mem_new(&s, &err);
    if (st == ST_OK)
        st = blob_writer_open(s, name, 0, &w, &err);
    if (st == ST_OK)
        st = blob_writer_add(w, "0123456789", 10, &err);
    if (st == ST_OK)
        st = blob_writer_finish(w, &err);
    blob_writer_close(w);
    struct blob_reader r = BLOB_READER_NONE;
    if (st == ST_OK)
        st = blob_reader_open(s, name, &r, &err);
    w = NULL;
    if (st == ST_OK)
        st = blob_writer_open(s, name, 5, &w, &err); /* under a reader: a copy */
    blob_writer_close(w);
    blob_reader_close(&r);
    assert_int_equal(err.st, st);
    blob_store_free(s);
    return st;
}

static void every_allocation_can_fail(void **state)
{
    (void)state;
    assert_int_equal(all_calls(), ST_OK);
    unsigned failed = 0;
    for (uint64_t n = 1;; n++) {
        fault_arm(FAULT_ALLOC, n, false);
        enum st st = all_calls();
        bool fired = fault_fired();
        fault_disarm();
        if (!fired)
            break;
        assert_true(st == ST_NO_MEMORY || st == ST_OK); /* a metric's cell may be what failed */
        failed += st == ST_NO_MEMORY;
    }
    assert_true(failed >= 5);
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(crash_takes_only_what_was_not_finished),
        cmocka_unit_test(same_seed_same_crash),
        cmocka_unit_test(readers_keep_their_bytes),
        cmocka_unit_test(writer_of_a_removed_name_ends_well),
#ifdef EBB_FAULTS
        cmocka_unit_test(every_allocation_can_fail),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
