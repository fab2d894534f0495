/* SPDX-License-Identifier: Apache-2.0
 *
 * Limits, deadlines and the end of the server.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "http_fixture.h"

static const struct http_options quick = {
    .header_timeout_ms = 400,
    .idle_timeout_ms = 700,
    .send_timeout_ms = 300,
    .connections_max = 8,
    .connections_per_address_max = 4,
    .header_bytes_max = 2000,
    .path_bytes_max = 300,
    .header_count_max = 5,
};
static struct http_server *server;

static int start(void **state)
{
    (void)state;
    server = server_start(&quick);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    http_server_stop(server, 5000);
    return 0;
}

static void expect(int fd, int code)
{
    struct reply r = { 0 };
    assert_true(client_reply(fd, &r, false));
    assert_int_equal(r.code, code);
    reply_free(&r);
}

static void heads_over_a_limit_are_refused(void **state)
{
    (void)state;
    char text[4096];
    char filler[2500];
    memset(filler, 'x', sizeof(filler));
    static const struct {
        const char *format;
        int filler;
        int code;
    } cases[] = {
        { "GET /%.*s HTTP/1.1\r\nHost: a\r\n\r\n", 299, 200 },
        { "GET /%.*s HTTP/1.1\r\nHost: a\r\n\r\n", 300, 414 },
        { "GET /%.*s", 2100, 414 },
        { "GET / HTTP/1.1\r\nHost: a\r\nX: %.*s\r\n\r\n", 1900, 200 },
        { "GET / HTTP/1.1\r\nHost: a\r\nX: %.*s\r\n\r\n", 2000, 431 },
        { "GET / HTTP/1.1\r\nHost: a\r\nA:\r\nB:\r\nC:\r\nD:%.*s\r\n\r\n", 0, 200 },
        { "GET / HTTP/1.1\r\nHost: a\r\nA:\r\nB:\r\nC:\r\nD:\r\nE:%.*s\r\n\r\n", 0, 431 },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        int fd = client_open(server);
        (void)snprintf(text, sizeof(text), cases[i].format, cases[i].filler, filler);
        client_send(fd, text);
        expect(fd, cases[i].code);
        close(fd);
    }
}

/* The deadline counts from the first byte: sending more does not move it. */
static void a_slow_head_is_408_however_busy_it_looks(void **state)
{
    (void)state;
    int fd = client_open(server);
    struct timeval step = { .tv_usec = 20000 };
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &step, sizeof(step));
    int64_t begun = clock_mono_ms();
    char first;
    client_send(fd, "GET / HTTP/1.1\r\nX: ");
    while (recv(fd, &first, 1, MSG_PEEK) < 0 && clock_mono_ms() - begun < 5000)
        (void)client_try_send(fd, "x", 1); /* recv() above waits 20 ms */
    int64_t took = clock_mono_ms() - begun;
    assert_true(took >= 390 && took < 3000);
    expect(fd, 408);
    close(fd);
}

static void idle_connections_are_closed(void **state)
{
    (void)state;
    int fresh = client_open(server);
    int used = client_open(server);
    client_send(used, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    expect(used, 200);
    assert_true(client_closed(fresh));
    assert_true(client_closed(used));
    close(fresh);
    close(used);
}

static bool one_done(const struct app_seen *seen)
{
    return seen->done >= 1;
}

static void a_client_that_does_not_read_is_let_go(void **state)
{
    (void)state;
    app_reset();
    int fd = client_open(server);
    int small = 4096;
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
    for (int i = 0; i < 4; i++) /* more than socket buffers take */
        client_send(fd, "GET /file HTTP/1.1\r\nHost: a\r\n\r\n");
    while (app_wait(one_done) && app.outcome.complete)
        app_reset();
    assert_int_equal(app.done, 1);
    assert_false(app.outcome.complete);
    close(fd);
}

static void connections_per_address_are_limited(void **state)
{
    (void)state;
    int fds[4];
    for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
        fds[i] = client_open(server);
        client_send(fds[i], "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        expect(fds[i], 200);
    }
    int fd = client_open(server);
    struct reply r = { 0 };
    assert_true(client_reply(fd, &r, false));
    assert_int_equal(r.code, 503);
    assert_non_null(strstr(r.head, "Retry-After: "));
    assert_non_null(strstr(r.body, "UNAVAILABLE"));
    assert_true(client_closed(fd));
    reply_free(&r);
    close(fd);
    for (size_t i = 0; i < ARRAY_LEN(fds); i++)
        close(fds[i]);
    for (int code = 0; code != 200;) { /* the places are given back */
        fd = client_open(server);
        (void)client_try_send(fd, "GET / HTTP/1.1\r\nHost: a\r\n\r\n", 27);
        if (client_reply(fd, &r, false))
            code = r.code;
        reply_free(&r);
        close(fd);
    }
}

static void all_connections_are_limited(void **state)
{
    (void)state;
    struct http_server *s = server_start(&(struct http_options){ .connections_max = 2 });
    int a = client_open(s);
    int b = client_open(s);
    int c = client_open(s);
    expect(c, 503);
    client_send(a, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    expect(a, 200);
    close(a);
    close(b);
    close(c);
    http_server_stop(s, 5000);
}

static bool blocked(const struct app_seen *seen)
{
    return seen->blocked == 1;
}

static void *let_go_later(void *arg)
{
    int idle = *(int *)arg;
    assert_true(client_closed(idle)); /* so the stop has begun */
    app_let_go();
    return NULL;
}

static void stop_waits_for_a_running_request(void **state)
{
    (void)state;
    struct http_server *s = server_start(NULL);
    int idle = client_open(s);
    int fd = client_open(s);
    pthread_t helper;
    client_send(fd, "GET /block HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_true(app_wait(blocked));
    assert_int_equal(pthread_create(&helper, NULL, let_go_later, &idle), 0);
    http_server_stop(s, 10000);
    (void)pthread_join(helper, NULL);
    struct reply r = { 0 };
    assert_true(client_reply(fd, &r, false));
    assert_int_equal(r.code, 200);
    assert_non_null(strstr(r.head, "Connection: close"));
    reply_free(&r);
    close(fd);
    close(idle);
}

static bool begun(const struct app_seen *seen)
{
    return seen->begun == 1;
}

static void stop_cuts_an_upload_after_the_grace(void **state)
{
    (void)state;
    struct http_server *s = server_start(NULL);
    int fd = client_open(s);
    client_send(fd, "PUT /sink HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nabc");
    assert_true(app_wait(begun));
    int64_t from = clock_mono_ms();
    http_server_stop(s, 100);
    assert_true(clock_mono_ms() - from < 10000);
    assert_int_equal(app.ended, 1);
    assert_false(app.complete);
    assert_int_equal(app.done, 1);
    assert_int_equal(app.released, 1);
    close(fd);
}

static void bind_failures_name_the_address(void **state)
{
    (void)state;
    char text[64];
    (void)str_copy(http_server_address(server, 0), text, sizeof(text));
    const char *listen[] = { text };
    struct http_server *s = NULL;
    struct err err = { 0 };
    struct http_options o = { .listen = listen, .listen_count = 1 };
    assert_int_not_equal(http_server_start(&o, &test_app, &s, &err), ST_OK);
    assert_non_null(strstr(err.text, text));
    listen[0] = "nonsense";
    assert_int_equal(http_server_start(&o, &test_app, &s, &err), ST_INVALID);
    assert_non_null(strstr(err.text, "nonsense"));
    assert_null(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(heads_over_a_limit_are_refused),
        cmocka_unit_test(a_slow_head_is_408_however_busy_it_looks),
        cmocka_unit_test(idle_connections_are_closed),
        cmocka_unit_test(a_client_that_does_not_read_is_let_go),
        cmocka_unit_test(connections_per_address_are_limited),
        cmocka_unit_test(all_connections_are_limited),
        cmocka_unit_test(stop_waits_for_a_running_request),
        cmocka_unit_test(stop_cuts_an_upload_after_the_grace),
        cmocka_unit_test(bind_failures_name_the_address),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
