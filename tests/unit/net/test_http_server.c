/* SPDX-License-Identifier: Apache-2.0
 *
 * Requests and answers over a real socket: order, keep-alive, framing, files, aborts.
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
    server = server_start(NULL);
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

static void answer_has_the_headers_of_all(void **state)
{
    (void)state;
    int fd = client_open(server);
    struct reply r = { 0 };
    client_send(fd, "GET /hello?x HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_true(client_reply(fd, &r, false));
    assert_int_equal(r.code, 200);
    assert_string_equal(r.body, "hello");
    assert_non_null(strstr(r.head, "\r\nX-App: test\r\n"));
    assert_non_null(strstr(r.head, "\r\nX-Request-Id: "));
    assert_non_null(strstr(r.head, "\r\nDate: "));
    assert_non_null(strstr(r.head, "\r\nContent-Length: 5\r\n"));
    assert_null(strstr(r.head, "Connection:"));
    reply_free(&r);
    close(fd);
}

static void keep_alive_serves_one_after_the_other(void **state)
{
    (void)state;
    int fd = client_open(server);
    for (int i = 0; i < 50; i++) {
        client_send(fd, i % 2 == 0 ? "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n"
                                   : "GET /work HTTP/1.1\r\nHost: a\r\n\r\n");
        expect(fd, 200, "hello");
    }
    close(fd);
}

static void byte_by_byte_is_the_same(void **state)
{
    (void)state;
    static const char text[] =
        "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
        "3\r\nabc\r\n2;x\r\nde\r\n0\r\nT: u\r\n\r\n";
    int fd = client_open(server);
    for (size_t i = 0; i < sizeof(text) - 1; i++)
        client_send_bytes(fd, text + i, 1);
    expect(fd, 200, "abcde");
    close(fd);
}

static void pipelined_requests_are_answered_in_order(void **state)
{
    (void)state;
    char text[65536];
    size_t len = 0;
    int fd = client_open(server);
    for (int i = 0; i < 300; i++)
        len += (size_t)snprintf(text + len, sizeof(text) - len,
                                "POST /%s HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n%04d",
                                i % 3 == 0 ? "work" : "echo", i);
    client_send_bytes(fd, text, len);
    for (int i = 0; i < 300; i++) {
        char want[8];
        (void)snprintf(want, sizeof(want), "%04d", i);
        expect(fd, 200, i % 3 == 0 ? "hello" : want);
    }
    close(fd);
}

static void requests_behind_a_chunked_sink_are_not_lost(void **state)
{
    (void)state;
    int fd = client_open(server);
    client_send(fd, "PUT /sink HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
                    "1\r\na\r\n0\r\n\r\nGET /hello HTTP/1.1\r\nHost: a\r\n\r\n"
                    "PUT /sink HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    expect(fd, 201, "1 97");
    expect(fd, 200, "hello");
    /* Now the body's end and the next request come in one piece behind the read buffer. */
    client_send(fd, "1\r\nb\r\n0\r\n\r\nGET /hello HTTP/1.1\r\nHost: a\r\n\r\n");
    expect(fd, 201, "1 98");
    expect(fd, 200, "hello");
    close(fd);
}

static void head_has_no_body(void **state)
{
    (void)state;
    int fd = client_open(server);
    struct reply r = { 0 };
    client_send(fd,
                "HEAD /hello HTTP/1.1\r\nHost: a\r\n\r\nGET /hello HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_true(client_reply(fd, &r, true));
    assert_non_null(strstr(r.head, "\r\nContent-Length: 5\r\n"));
    reply_free(&r);
    expect(fd, 200, "hello");
    close(fd);
}

static void connection_close_and_http_1_0_end_the_connection(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "GET /hello HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        "GET /hello HTTP/1.0\r\n\r\n",
    };
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        int fd = client_open(server);
        client_send(fd, texts[i]);
        expect(fd, 200, "hello");
        assert_true(client_closed(fd));
        close(fd);
    }
    int fd = client_open(server);
    client_send(fd, "GET /hello HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    expect(fd, 200, "hello");
    client_send(fd, "GET /hello HTTP/1.0\r\n\r\n");
    expect(fd, 200, "hello");
    close(fd);
}

/* Each is followed by a request that must not be seen as one. */
static const struct {
    const char *name;
    const char *text;
    int code;
} shapes[] = {
    { "content-length with transfer-encoding",
      "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n"
      "0\r\n\r\n",
      400 },
    { "two content-lengths",
      "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nContent-Length: 44\r\n\r\n", 400 },
    { "the same content-length twice",
      "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nContent-Length: 0\r\n\r\n", 400 },
    { "obscured transfer-encoding",
      "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n", 400 },
    { "blank before colon", "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding : chunked\r\n\r\n",
      400 },
    { "folded header", "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\r\n chunked\r\n\r\n",
      400 },
    { "two hosts", "GET /echo HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400 },
    { "no host", "GET /echo HTTP/1.1\r\n\r\n", 400 },
    { "bare LF", "GET /echo HTTP/1.1\nHost: a\n\n", 400 },
    { "bare CR", "GET /echo HTTP/1.1\r\nHost: a\rX: y\r\n\r\n", 400 },
    { "signed content-length", "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: +0\r\n\r\n",
      400 },
    { "LF in chunk framing",
      "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\n\n", 400 },
    { "LF in a chunk extension",
      "POST /sink HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: "
      "chunked\r\n\r\n1;x\ny\r\na\r\n0\r\n\r\n",
      400 },
    { "chunk longer than announced",
      "POST /sink HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n",
      400 },
    { "transfer-encoding in HTTP/1.0",
      "POST /echo HTTP/1.0\r\nConnection: keep-alive\r\nTransfer-Encoding: "
      "chunked\r\n\r\n0\r\n\r\n",
      400 },
    { "other version", "GET /echo HTTP/3.0\r\nHost: a\r\n\r\n", 505 },
    { "other transfer coding",
      "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 501 },
    { "other expectation", "POST /echo HTTP/1.1\r\nHost: a\r\nExpect: tea\r\n\r\n", 417 },
};

static void smuggling_shapes_are_refused_and_end_the_connection(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(shapes); i++) {
        int fd = client_open(server);
        char want[32];
        (void)snprintf(want, sizeof(want), "HTTP/1.1 %d ", shapes[i].code);
        client_send(fd, shapes[i].text);
        (void)client_try_send(fd, "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n", 32);
        char *all = client_rest(fd);
        if (strncmp(all, want, strlen(want)) != 0 || strstr(all, "HTTP/1.1 200") != NULL)
            fail_msg("%s: %s", shapes[i].name, all);
        assert_non_null(strstr(all, "\r\nConnection: close\r\n"));
        free(all);
        close(fd);
    }
}

static void paths_and_queries_reach_the_handler(void **state)
{
    (void)state;
    int fd = client_open(server);
    client_send(fd, "GET /query?a=1&q=x%2By HTTP/1.1\r\nHost: a\r\n\r\n");
    expect(fd, 200, "x+y");
    client_send(fd, "GET http://elsewhere/query?q=abs HTTP/1.1\r\nHost: a\r\n\r\n");
    expect(fd, 200, "abs");
    client_send(fd, "GET http://elsewhere HTTP/1.1\r\nHost: a\r\n\r\n");
    expect(fd, 200, "hello");
    close(fd);
}

static void check_file(const char *path, size_t offset, size_t length)
{
    int fd = client_open(server);
    char text[256];
    struct reply r = { 0 };
    (void)snprintf(text, sizeof(text), "GET %s HTTP/1.1\r\nHost: a\r\n\r\n", path);
    client_send(fd, text);
    assert_true(client_reply(fd, &r, false));
    assert_int_equal(r.body_len, length + 2);
    assert_int_equal(r.body[0], '<');
    assert_int_equal(r.body[length + 1], '>');
    for (size_t i = 0; i < length; i++)
        if ((unsigned char)r.body[i + 1] != (offset + i) % 251)
            fail_msg("%s: byte %zu", path, i);
    reply_free(&r);
    close(fd);
}

static void files_and_their_ranges_are_sent(void **state)
{
    (void)state;
    check_file("/file", 0, FILE_BYTES);
    check_file("/file/0/1", 0, 1);
    check_file("/file/4000000/1242880", 4000000, 1242880);
    check_file("/file/17/0", 17, 0);
    check_file("/file/2097153/2097152", 2097153, 2097152);
}

static void a_file_that_is_too_short_cuts_the_connection(void **state)
{
    (void)state;
    int fd = client_open(server);
    struct reply r = { 0 };
    client_send(fd, "GET /short HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_false(client_reply(fd, &r, false));
    assert_int_equal(r.body_len, 10);
    reply_free(&r);
    close(fd);
}

static bool one_done(const struct app_seen *seen)
{
    return seen->done >= 1;
}

static void a_client_that_hangs_up_while_we_send_is_let_go(void **state)
{
    (void)state;
    struct http_server *s = server_start(NULL);
    int fd = client_open(s);
    char some[1000];
    client_send(fd, "GET /file HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_int_equal(recv(fd, some, sizeof(some), MSG_WAITALL), sizeof(some));
    close(fd);
    assert_true(app_wait(one_done));
    assert_false(app.outcome.complete);
    assert_int_equal(app.outcome.code, 200);
    http_server_stop(s, 5000);
}

static void bugs_of_handlers_are_answered_500(void **state)
{
    (void)state;
    static const char *const paths[] = { "/none", "/arena", "/split" };
    for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
        int fd = client_open(server);
        char text[128];
        (void)snprintf(text, sizeof(text), "GET %s HTTP/1.1\r\nHost: a\r\n\r\n", paths[i]);
        client_send(fd, text);
        struct reply r = { 0 };
        assert_true(client_reply(fd, &r, false));
        assert_int_equal(r.code, 500);
        assert_null(strstr(r.head, "Set-Cookie"));
        reply_free(&r);
        close(fd);
    }
}

static void each_request_ends_once(void **state)
{
    (void)state;
    struct http_server *s = server_start(NULL);
    int fd = client_open(s);
    for (int i = 0; i < 20; i++) {
        client_send(fd, "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n");
        expect(fd, 200, "hello");
    }
    http_server_stop(s, 5000);
    assert_int_equal(app.done, 20);
    assert_int_equal(app.released, 20);
    assert_true(app.outcome.complete);
    assert_int_equal(app.outcome.bytes_out, 5);
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answer_has_the_headers_of_all),
        cmocka_unit_test(keep_alive_serves_one_after_the_other),
        cmocka_unit_test(byte_by_byte_is_the_same),
        cmocka_unit_test(pipelined_requests_are_answered_in_order),
        cmocka_unit_test(requests_behind_a_chunked_sink_are_not_lost),
        cmocka_unit_test(head_has_no_body),
        cmocka_unit_test(connection_close_and_http_1_0_end_the_connection),
        cmocka_unit_test(smuggling_shapes_are_refused_and_end_the_connection),
        cmocka_unit_test(paths_and_queries_reach_the_handler),
        cmocka_unit_test(files_and_their_ranges_are_sent),
        cmocka_unit_test(a_file_that_is_too_short_cuts_the_connection),
        cmocka_unit_test(a_client_that_hangs_up_while_we_send_is_let_go),
        cmocka_unit_test(bugs_of_handlers_are_answered_500),
        cmocka_unit_test(each_request_ends_once),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
