/* SPDX-License-Identifier: Apache-2.0
 *
 * The client against a real server (http_fixture.h).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "http_fixture.h"
#include "net/http_client.h"

static int setup(void **state)
{
    app_reset();
    *state = server_start(NULL);
    return 0;
}

static int teardown(void **state)
{
    http_server_stop(*state, 1000);
    return 0;
}

static const char *url_of(struct http_server *s, const char *path, char out[static 256])
{
    str address = http_server_address(s, 0);
    (void)snprintf(out, 256, "http://%.*s%s", STR_FMT(address), path);
    return out;
}

static void test_answers(void **state)
{
    static const struct {
        const char *method;
        const char *path;
        const char *body; /* sent */
        int code;
        const char *answer;
    } cases[] = {
        { "GET", "/hello", NULL, 200, "hello" },
        { "GET", "/work", NULL, 200, "hello" },
        { "HEAD", "/hello", NULL, 200, "" },
        { "POST", "/echo", "bytes", 200, "bytes" },
        { "PUT", "/echo", "others", 200, "others" },
        { "POST", "/echo", NULL, 200, "" },
        { "POST", "/small", "more than ten bytes", 413, NULL },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char url[256];
        struct http_reply r = { 0 };
        struct err err = { 0 };
        const struct http_ask ask = { .method = cases[i].method,
                                      .url = url_of(*state, cases[i].path, url),
                                      .body = str_of(cases[i].body) };
        print_message("%s %s\n", ask.method, cases[i].path);
        if (http_client_ask(&ask, &r, &err) != ST_OK)
            fail_msg("%s", err.text);
        assert_int_equal(r.code, cases[i].code);
        if (cases[i].answer != NULL)
            assert_true(str_eq(buf_str(&r.body), str_of(cases[i].answer)));
        http_reply_release(&r);
    }
}

static void expect_failure(const struct http_ask *ask, enum st want)
{
    struct http_reply r = { .code = 77 };
    struct err err = { 0 };
    assert_int_equal(http_client_ask(ask, &r, &err), want);
    assert_int_equal(err.st, want);
    assert_true(err.text[0] != '\0');
    assert_int_equal(r.code, 77);
    print_message("%s\n", err.text);
}

static void test_failures(void **state)
{
    char url[256];
    expect_failure(&(struct http_ask){ .method = "GET", .url = "http://127.0.0.1:1/" }, ST_GONE);
    expect_failure(&(struct http_ask){ .method = "GET", .url = "ftp://127.0.0.1/" }, ST_INVALID);
    expect_failure(&(struct http_ask){ .method = "GET", .url = "http://[/" }, ST_INVALID);
    expect_failure(&(struct http_ask){ .method = "GET",
                                       .url = url_of(*state, "/file/0/2000", url),
                                       .answer_max_bytes = 1000 },
                   ST_TOO_LARGE);
    expect_failure(&(struct http_ask){ .method = "GET", .url = url_of(*state, "/short", url) },
                   ST_GONE);
    expect_failure(&(struct http_ask){ .method = "GET",
                                       .url = url_of(*state, "/block", url),
                                       .timeout_ms = 100 },
                   ST_GONE);
    app_let_go();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_answers, setup, teardown),
        cmocka_unit_test_setup_teardown(test_failures, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
