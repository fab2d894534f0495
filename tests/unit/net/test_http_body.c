/* SPDX-License-Identifier: Apache-2.0
 *
 * Bodies over a real socket: sinks, limits, early answers, clients that stop in the middle.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "http_fixture.h"

static struct http_server *server;

static int start(void **state)
{
    (void)state;
    server =
        server_start(&(struct http_options){ .body_timeout_ms = 300, .linger_timeout_ms = 5000 });
    return 0;
}

static int stop(void **state)
{
    (void)state;
    http_server_stop(server, 5000);
    return 0;
}

static void expect(int fd, int code, const char *body)
{
    struct reply r = { 0 };
    assert_true(client_reply(fd, &r, false));
    assert_int_equal(r.code, code);
    if (body != NULL)
        assert_string_equal(r.body, body);
    reply_free(&r);
}

/* Bytes 0, 1, 2, ... and the sum that the sink makes of them. */
static uint64_t fill(char *bytes, size_t len, uint64_t sum)
{
    for (size_t i = 0; i < len; i++) {
        bytes[i] = (char)(i * 7);
        sum = sum * 31 + (unsigned char)bytes[i];
    }
    return sum;
}

static void upload(size_t len, bool chunked, size_t chunk)
{
    char *bytes = malloc(len + 1);
    char head[256];
    char want[64];
    assert_non_null(bytes);
    uint64_t sum = fill(bytes, len, 0);
    (void)snprintf(want, sizeof(want), "%zu %llu", len, (unsigned long long)sum);
    int fd = client_open(server);
    if (chunked)
        client_send(fd, "PUT /sink HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    else {
        (void)snprintf(head, sizeof(head),
                       "PUT /sink HTTP/1.1\r\nHost: a\r\nContent-Length: %zu\r\n\r\n", len);
        client_send(fd, head);
    }
    for (size_t at = 0; at < len;) {
        size_t n = MIN(chunk, len - at);
        if (chunked) {
            (void)snprintf(head, sizeof(head), "%zx\r\n", n);
            client_send(fd, head);
        }
        client_send_bytes(fd, bytes + at, n);
        if (chunked)
            client_send(fd, "\r\n");
        at += n;
    }
    if (chunked)
        client_send(fd, "0\r\n\r\n");
    expect(fd, 201, want);
    client_send(fd, "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n");
    expect(fd, 200, "hello");
    free(bytes);
    close(fd);
}

static void sinks_get_every_byte_in_order(void **state)
{
    (void)state;
    static const size_t sizes[] = { 0,     1,     8000,    16383,           16384,
                                    16385, 70000, 1048577, 10 * 1000 * 1000 };
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        upload(sizes[i], false, 1000000);
        upload(sizes[i], true, 65536);
        upload(MIN(sizes[i], (size_t)70000), true, 113);
    }
    upload(10 * 1000 * 1000, true, 5 * 1000 * 1000);
    assert_true(app.adds < 100); /* pieces grow */
}

static void plain_routes_get_the_whole_body(void **state)
{
    (void)state;
    size_t len = 1 * MIB;
    char *bytes = calloc(1, len + 1);
    char head[128];
    assert_non_null(bytes);
    memset(bytes, 'b', len);
    int fd = client_open(server);
    (void)snprintf(head, sizeof(head),
                   "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: %zu\r\n\r\n", len);
    client_send(fd, head);
    client_send_bytes(fd, bytes, len);
    expect(fd, 200, bytes);
    client_send(fd,
                "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n100000\r\n");
    client_send_bytes(fd, bytes, len);
    client_send(fd, "\r\n0\r\n\r\n");
    expect(fd, 200, bytes);
    free(bytes);
    close(fd);
}

static void a_body_over_the_limit_is_413(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int code;
    } cases[] = {
        { "POST /small HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n0123456789", 200 },
        { "POST /small HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\n\r\n0123456789x", 413 },
        { "POST /small HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
          "a\r\n0123456789\r\n0\r\n\r\n",
          200 },
        { "POST /small HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
          "b\r\n0123456789x\r\n0\r\n\r\n",
          413 },
        { "POST /query HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx", 413 },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        int fd = client_open(server);
        client_send(fd, cases[i].text);
        expect(fd, cases[i].code, NULL);
        close(fd);
    }
}

static bool ended(const struct app_seen *seen)
{
    return seen->ended == 1 && seen->released == 1;
}

static void a_chunked_sink_over_the_limit_ends_incomplete(void **state)
{
    (void)state;
    char bytes[60000] = "";
    app_reset();
    int fd = client_open(server);
    client_send(fd, "PUT /tight HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    for (int i = 0; i < 2; i++) {
        client_send(fd, "ea60\r\n");
        client_send_bytes(fd, bytes, sizeof(bytes));
        client_send(fd, "\r\n");
    }
    expect(fd, 413, NULL);
    assert_true(app_wait(ended));
    assert_false(app.complete);
    assert_true(app.bytes <= 100000);
    close(fd);
}

static void continue_comes_when_the_body_is_wanted(void **state)
{
    (void)state;
    static const char *const paths[] = { "/echo", "/sink" };
    for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
        int fd = client_open(server);
        char text[256];
        (void)snprintf(text, sizeof(text),
                       "PUT %s HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n"
                       "Content-Length: 1\r\n\r\n",
                       paths[i]);
        client_send(fd, text);
        expect(fd, 100, NULL);
        client_send(fd, "a");
        expect(fd, i == 0 ? 200 : 201, i == 0 ? "a" : "1 97");
        close(fd);
    }
}

static void continue_does_not_come_when_the_body_is_refused(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "PUT /no HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n",
        "PUT /small HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 50\r\n\r\n",
    };
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        int fd = client_open(server);
        client_send(fd, texts[i]);
        expect(fd, 413, NULL);
        assert_true(client_closed(fd));
        close(fd);
    }
}

/* A client that sends all of its body before it reads must see the answer, not a reset. */
static void an_early_answer_to_a_large_upload_is_seen(void **state)
{
    (void)state;
    static const struct {
        const char *path;
        int code;
    } cases[] = { { "/no", 413 }, { "/mid", 400 }, { "/small", 413 } };
    static char piece[1 << 20];
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char head[128];
        app_reset();
        int fd = client_open(server);
        (void)snprintf(head, sizeof(head),
                       "PUT %s HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n", cases[i].path,
                       50 << 20);
        client_send(fd, head);
        for (int k = 0; k < 50; k++)
            client_send_bytes(fd, piece, sizeof(piece));
        struct reply r = { 0 };
        assert_true(client_reply(fd, &r, false));
        assert_int_equal(r.code, cases[i].code);
        assert_non_null(strstr(r.head, "Connection: close"));
        assert_int_equal(app.ended, 0);
        reply_free(&r);
        assert_true(client_closed(fd));
        close(fd);
    }
}

static void a_small_rest_is_dropped_and_the_connection_kept(void **state)
{
    (void)state;
    static char body[200 << 10];
    int fd = client_open(server);
    char head[128];
    (void)snprintf(head, sizeof(head), "PUT /no HTTP/1.1\r\nHost: a\r\nContent-Length: %zu\r\n\r\n",
                   sizeof(body));
    client_send(fd, head);
    expect(fd, 413, "no room"); /* before the body is sent */
    client_send_bytes(fd, body, sizeof(body));
    client_send(fd, "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n");
    expect(fd, 200, "hello");
    close(fd);
}

static bool begun(const struct app_seen *seen)
{
    return seen->begun == 1;
}

static void a_client_that_goes_away_ends_the_sink_with_what_came(void **state)
{
    (void)state;
    struct http_server *s = server_start(NULL); /* its own: an outcome is looked at */
    int fd = client_open(s);
    client_send(fd, "PUT /sink HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\nabcde");
    assert_true(app_wait(begun));
    close(fd);
    assert_true(app_wait(ended));
    assert_false(app.complete);
    assert_int_equal(app.bytes, 5);
    assert_int_equal(app.outcome.code, 0);
    http_server_stop(s, 5000);
}

static void a_slow_body_is_408(void **state)
{
    (void)state;
    static const char *const paths[] = { "/echo", "/sink" };
    for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
        char head[128];
        struct http_server *s = server_start(&(struct http_options){ .body_timeout_ms = 300 });
        int fd = client_open(s);
        (void)snprintf(head, sizeof(head),
                       "PUT %s HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc", paths[i]);
        client_send(fd, head);
        struct reply r = { 0 };
        assert_true(client_reply(fd, &r, false));
        assert_int_equal(r.code, 408);
        reply_free(&r);
        assert_true(client_closed(fd));
        if (i == 1) {
            assert_true(app_wait(ended));
            assert_false(app.complete);
            assert_int_equal(app.bytes, 3);
        }
        close(fd);
        http_server_stop(s, 5000);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sinks_get_every_byte_in_order),
        cmocka_unit_test(plain_routes_get_the_whole_body),
        cmocka_unit_test(a_body_over_the_limit_is_413),
        cmocka_unit_test(a_chunked_sink_over_the_limit_ends_incomplete),
        cmocka_unit_test(continue_comes_when_the_body_is_wanted),
        cmocka_unit_test(continue_does_not_come_when_the_body_is_refused),
        cmocka_unit_test(an_early_answer_to_a_large_upload_is_seen),
        cmocka_unit_test(a_small_rest_is_dropped_and_the_connection_kept),
        cmocka_unit_test(a_client_that_goes_away_ends_the_sink_with_what_came),
        cmocka_unit_test(a_slow_body_is_408),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
