/* SPDX-License-Identifier: Apache-2.0
 *
 * operations.c alone: the engine below and HTTP above are stood in for by this file, so that they
 * can fail.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "api/api_int.h"

static enum st database;
static enum st store;
static char answered[64 * 1024];

enum st registry_list_repositories(struct registry *r, str last, size_t limit, struct arena *a,
                                   struct name_page *out, struct err *err)
{
    (void)r, (void)last, (void)limit, (void)a;
    *out = (struct name_page){ 0 };
    return database == ST_OK ? ST_OK : err_set(err, database, "disk \"gone\"");
}

enum st blob_space_get(struct blob_store *s, struct blob_space *out, struct err *err)
{
    (void)s;
    if (store != ST_OK)
        return err_set(err, store, "not mounted");
    *out = (struct blob_space){ .free_bytes = 123, .size_bytes = 456 };
    return ST_OK;
}

enum st db_get_status(struct db *db, struct db_status *out, struct err *err)
{
    (void)db, (void)err;
    *out = (struct db_status){ .log_bytes = 789 };
    return ST_OK;
}

enum st registry_count_uploads(struct registry *r, uint64_t *out, struct err *err)
{
    (void)r, (void)err;
    *out = 5;
    return ST_OK;
}

void http_answer(struct http_request *rq, int code)
{
    rq->answer_code = code;
    answered[0] = '\0';
}

void http_answer_header(struct http_request *rq, const char *name, str value)
{
    (void)rq, (void)name, (void)value;
}

void http_answer_bytes(struct http_request *rq, str bytes)
{
    (void)rq;
    assert_true(str_copy(bytes, answered, sizeof(answered)));
}

static int ask(const char *path, enum http_method method)
{
    struct registry registry = { 0 };
    struct api api = { .registry = &registry };
    struct api_call call = { .api = &api };
    struct http_request rq = { .path = str_of(path), .method = method, .state = &call };
    const struct http_route *route = operations_route(&rq);
    if (route == NULL)
        return 0;
    route->handle(&rq);
    arena_release(&rq.arena);
    return rq.answer_code;
}

static void test_paths(void **state)
{
    (void)state;
    assert_int_equal(ask("/healthz", HTTP_GET), 200);
    assert_int_equal(ask("/healthz", HTTP_HEAD), 200);
    assert_int_equal(ask("/healthz", HTTP_POST), 405);
    assert_int_equal(ask("/healthz/", HTTP_GET), 0);
    assert_int_equal(ask("/health", HTTP_GET), 0);
    assert_int_equal(ask("/", HTTP_GET), 0);
}

static void test_ready(void **state)
{
    (void)state;
    static const struct {
        enum st database;
        enum st store;
        int code;
        const char *text;
    } cases[] = {
        { ST_OK, ST_OK, 200, "{\"ready\":true,\"reasons\":[]}\n" },
        { ST_OK, ST_UNSUPPORTED, 200, "{\"ready\":true,\"reasons\":[]}\n" },
        { ST_IO, ST_OK, 503,
          "{\"ready\":false,\"reasons\":[{\"part\":\"database\",\"reason\":\"disk \\\"gone\\\"\"}]}"
          "\n" },
        { ST_OK, ST_IO, 503,
          "{\"ready\":false,\"reasons\":[{\"part\":\"store\",\"reason\":\"not mounted\"}]}\n" },
        { ST_BUSY, ST_IO, 503,
          "{\"ready\":false,\"reasons\":[{\"part\":\"database\",\"reason\":\"disk \\\"gone\\\"\"},"
          "{\"part\":\"store\",\"reason\":\"not mounted\"}]}\n" },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        database = cases[i].database;
        store = cases[i].store;
        assert_int_equal(ask("/readyz", HTTP_GET), cases[i].code);
        assert_string_equal(answered, cases[i].text);
        assert_int_equal(ask("/healthz", HTTP_GET), 200); /* whatever is broken below */
    }
    database = ST_OK;
    store = ST_OK;
}

static void test_metrics(void **state)
{
    (void)state;
    assert_int_equal(ask("/metrics", HTTP_GET), 200);
    assert_non_null(strstr(answered, "\nebb_disk_free_bytes 123\n"));
    assert_non_null(strstr(answered, "\nebb_disk_size_bytes 456\n"));
    assert_non_null(strstr(answered, "\nebb_db_log_bytes 789\n"));
    assert_non_null(strstr(answered, "\nebb_uploads_open 5\n"));
    store = ST_IO; /* what cannot be read keeps its last value, and the others are there */
    assert_int_equal(ask("/metrics", HTTP_GET), 200);
    assert_non_null(strstr(answered, "\nebb_disk_free_bytes 123\n"));
    store = ST_OK;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_paths),
        cmocka_unit_test(test_ready),
        cmocka_unit_test(test_metrics),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
