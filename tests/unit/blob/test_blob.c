/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/metric.h"
#include "blob/blob.h"

static const str name = { "0123456789abcdef0123456789abcdef", 32 };

static int64_t metric(enum metric id)
{
    return metric_cell_get(metric_cell(id, ""));
}

static void failures_and_syncs_are_counted(void **state)
{
    (void)state;
    struct blob_store *inner = NULL;
    struct blob_store *s = NULL;
    struct blob_writer *w = NULL;
    struct blob_reader r = BLOB_READER_NONE;
    assert_int_equal(blob_mem_new(&inner, NULL), ST_OK);
    int64_t errors = metric(METRIC_BLOB_ERRORS);
    int64_t syncs = metric(METRIC_BLOB_SYNC_SECONDS);
    assert_int_equal(blob_reader_open(inner, name, &r, NULL), ST_NOT_FOUND);
    assert_int_equal(blob_reader_open(inner, STR("no"), &r, NULL), ST_INVALID);
    assert_int_equal(metric(METRIC_BLOB_ERRORS), errors); /* an answer, and the caller's mistake */
    assert_int_equal(blob_writer_open(inner, name, 0, &w, NULL), ST_OK);
    assert_int_equal(blob_writer_finish(w, NULL), ST_OK);
    blob_writer_close(w);
    assert_int_equal(metric(METRIC_BLOB_SYNC_SECONDS), syncs + 1);
    assert_int_equal(blob_fault_new(inner, 1, 1, &s, NULL), ST_OK);
    assert_int_equal(blob_reader_open(s, name, &r, NULL), ST_IO);
    assert_int_equal(metric(METRIC_BLOB_ERRORS), errors + 1);
    blob_store_free(s);
}

static void failed_writer_can_only_be_closed(void **state)
{
    (void)state;
    struct blob_store *inner = NULL;
    struct blob_store *s = NULL;
    struct blob_writer *w = NULL;
    struct err err = { .st = ST_OK };
    assert_int_equal(blob_mem_new(&inner, NULL), ST_OK);
    assert_int_equal(blob_fault_new(inner, 1, 0, &s, NULL), ST_OK);
    assert_int_equal(blob_writer_open(s, name, 0, &w, NULL), ST_OK);
    blob_fault_set_full(s, true);
    assert_int_equal(blob_writer_add(w, "x", 1, &err), ST_FULL);
    blob_fault_set_full(s, false);
    assert_int_equal(blob_writer_add(w, "x", 1, &err), ST_BUG);
    assert_int_equal(blob_writer_finish(w, &err), ST_BUG);
    assert_int_equal(blob_writer_offset(w), 0);
    blob_writer_close(w);
    blob_writer_close(NULL);
    blob_store_free(s);
    blob_store_free(NULL);
}

static enum st short_get(struct blob_reader *r, void *bytes, size_t len, uint64_t offset,
                         size_t *got, struct err *err)
{
    (void)r, (void)bytes, (void)offset, (void)err;
    *got = len - 1;
    return ST_OK;
}

/* A file that somebody cut while it was open must not pass for a shorter blob. */
static void short_read_is_damage(void **state)
{
    (void)state;
    const struct blob_ops short_ops = { .kind = "short", .reader_get = short_get };
    struct blob_store s = { .ops = &short_ops };
    struct blob_reader r = { .fd = -1, .size = 10, .store = &s };
    char bytes[10];
    size_t got = 77;
    struct err err = { .st = ST_OK };
    assert_int_equal(blob_reader_get(&r, bytes, 10, 0, &got, &err), ST_DAMAGED);
    assert_int_equal(got, 77);
    assert_int_equal(blob_reader_get(&r, bytes, 10, 10, &got, &err), ST_OK);
    assert_int_equal(got, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(failures_and_syncs_are_counted),
        cmocka_unit_test(failed_writer_can_only_be_closed),
        cmocka_unit_test(short_read_is_damage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
