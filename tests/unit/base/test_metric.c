/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>

#include "base/fault.h"
#include "base/metric.h"

static struct buf out = { .max_bytes = 4 * MIB };

static bool printed(const char *line)
{
    buf_clear(&out);
    metric_print(&out);
    buf_add_byte(&out, '\0');
    assert_int_equal(buf_status(&out, NULL), ST_OK);
    return strstr(out.ptr, line) != NULL;
}

static void counters_and_gauges(void **state)
{
    (void)state;
    assert_false(printed("ebb_db_commits_total"));
    metric_add(METRIC_DB_COMMITS, 2);
    metric_add(METRIC_DB_COMMITS, 3);
    metric_set(METRIC_DISK_FREE, 70);
    metric_set(METRIC_DISK_FREE, 7);
    assert_true(printed("# TYPE ebb_db_commits_total counter\nebb_db_commits_total 5\n"));
    assert_true(printed("# TYPE ebb_disk_free_bytes gauge\nebb_disk_free_bytes 7\n"));
    struct metric_cell *c = metric_cell(METRIC_RECLAIM_OBJECTS, "kind=\"blob\"");
    assert_ptr_equal(c, metric_cell(METRIC_RECLAIM_OBJECTS, "kind=\"blob\""));
    assert_ptr_not_equal(c, metric_cell(METRIC_RECLAIM_OBJECTS, "kind=\"manifest\""));
    metric_cell_add(c, 4);
    assert_int_equal(metric_cell_get(c), 4);
    assert_true(printed("ebb_reclaim_objects_total{kind=\"blob\"} 4\n"));
    assert_true(printed("ebb_reclaim_objects_total{kind=\"manifest\"} 0\n"));
}

static void histograms(void **state)
{
    (void)state;
    const int64_t us[] = { 0, 100, 101, 60000000, 60000001, -5 };
    struct metric_cell *c = metric_cell(METRIC_HTTP_SECONDS, "route=\"x\"");
    for (size_t i = 0; i < ARRAY_LEN(us); i++) {
        metric_cell_observe(c, us[i]);
        metric_observe(METRIC_DB_COMMIT_SECONDS, us[i]);
    }
    assert_int_equal(metric_cell_get(c), 6);
    assert_true(printed("# TYPE ebb_http_request_seconds histogram\n"));
    assert_true(printed("ebb_http_request_seconds_bucket{route=\"x\",le=\"0.0001\"} 3\n"));
    assert_true(printed("ebb_http_request_seconds_bucket{route=\"x\",le=\"0.00025\"} 4\n"));
    assert_true(printed("ebb_http_request_seconds_bucket{route=\"x\",le=\"60\"} 5\n"));
    assert_true(printed("ebb_http_request_seconds_bucket{route=\"x\",le=\"+Inf\"} 6\n"));
    assert_true(printed("ebb_http_request_seconds_sum{route=\"x\"} 120.000202\n"));
    assert_true(printed("ebb_http_request_seconds_count{route=\"x\"} 6\n"));
    assert_true(printed("ebb_db_commit_seconds_bucket{le=\"+Inf\"} 6\n"));
    assert_true(printed("ebb_db_commit_seconds_sum 120.000202\nebb_db_commit_seconds_count 6\n"));
}

static void *add_often(void *arg)
{
    for (int i = 0; i < 10000; i++) {
        metric_cell_add(arg, 1);
        metric_add(METRIC_HTTP_BYTES_IN, 1);
    }
    return NULL;
}

static void threads_lose_nothing(void **state)
{
    (void)state;
    pthread_t threads[4];
    struct metric_cell *c = metric_cell(METRIC_LIMIT_HITS, "limit=\"a\"");
    for (size_t i = 0; i < ARRAY_LEN(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, add_often, c), 0);
    for (size_t i = 0; i < ARRAY_LEN(threads); i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_int_equal(metric_cell_get(c), 40000);
    assert_true(printed("ebb_http_received_bytes_total 40000\n"));
}

static void no_memory(void **state)
{
    (void)state;
#ifdef EBB_FAULTS
    for (uint64_t nth = 1; nth <= 3; nth++) {
        fault_arm(FAULT_ALLOC, nth, false);
        metric_cell_observe(metric_cell(METRIC_RECLAIM_SECONDS, "a=\"starved\""), 5);
        assert_true(fault_fired());
        fault_disarm();
        assert_false(printed("starved"));
    }
    metric_cell_observe(metric_cell(METRIC_RECLAIM_SECONDS, "a=\"starved\""), 5);
    assert_true(printed("starved"));
#endif
}

/* Last: it fills the table. */
static void cells_are_bounded(void **state)
{
    (void)state;
    for (int i = 0; i < METRIC_CELLS_MAX + 10; i++) {
        char label[32];
        (void)snprintf(label, sizeof(label), "n=\"%d\"", i);
        metric_cell_add(metric_cell(METRIC_HTTP_REFUSED, label), 1);
    }
    assert_true(printed("ebb_http_refused_total{n=\"0\"} 1\n"));
    assert_false(printed("ebb_http_refused_total{n=\"4105\"}"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counters_and_gauges),  cmocka_unit_test(histograms),
        cmocka_unit_test(threads_lose_nothing), cmocka_unit_test(no_memory),
        cmocka_unit_test(cells_are_bounded),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    buf_release(&out);
    return failed;
}
