/* SPDX-License-Identifier: Apache-2.0 */
#include "net/http_parse.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define FIELDS 8

static const struct http_head_limits limits = { 512, 64, FIELDS };

static const struct {
    const char *text;
    int code;           /* 0: done, -1: wants more */
    const char *reason; /* when refused */
} heads[] = {
    { "GET / HTTP/1.1\r\nHost: a\r\n\r\n", 0, NULL },
    { "\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", 0, NULL },
    { "GET / HTTP/1.0\r\n\r\n", 0, NULL },
    { "GET / HTTP/1.1\r\nHost:\r\n\r\n", 0, NULL },
    { "GET / HTTP/1.1\r\nhOsT:\t a:80 \t\r\nX-Y: \x80\xff\t!\r\n\r\n", 0, NULL },
    { "GET http://a/b?c HTTP/1.1\r\nHost: a\r\n\r\n", 0, NULL },
    { "GET HTTPS://[::1]:5 HTTP/1.1\r\nHost: [::1]:5\r\n\r\n", 0, NULL },
    { "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", 0, NULL },
    { "PURGE / HTTP/1.1\r\nHost: a\r\n\r\n", 0, NULL },
    { "PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n", 0, NULL },
    { "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 9223372036854775807\r\n\r\n", 0, NULL },
    { "", -1, NULL },
    { "GET / HTTP/1.1\r\nHost: a\r\n", -1, NULL },
    { "\n", 400, "bare-lf" },
    { "\r\n\r\nGET / HTTP/1.1\r\n", 400, "request-line" },
    { "GET / HTTP/1.1\nHost: a\r\n\r\n", 400, "bare-lf" },
    { "GET / HTTP/1.1\r\nHost: a\n\r\n", 400, "bare-lf" },
    { "GET / HTTP/1.1\r\nHost: a\r\n\n", 400, "bare-lf" },
    { "GET / HTTP/1.1\r\nHost: a\r\nA: b\rC: d\r\n\r\n", 400, "header-value" },
    { "GET / HTTP/1.1\r\nHost: a\r\nA: \x01\r\n\r\n", 400, "header-value" },
    { "GET / HTTP/1.1\r\nHost: a\r\nA: \x7f\r\n\r\n", 400, "header-value" },
    { " GET / HTTP/1.1\r\n", 400, "request-line" },
    { "\x16\x03\x01", 400, "request-line" },
    { "GET\r\n", 400, "request-line" },
    { "G(T / HTTP/1.1\r\n", 400, "method" },
    { "GET /\r\n", 400, "version" },
    { "GET / \r\n", 400, "version" },
    { "GET / HTTP/1.1 \r\n", 400, "version" },
    { "GET / http/1.1\r\n", 400, "version" },
    { "GET / HTTP/1.10\r\n", 400, "version" },
    { "GET  / HTTP/1.1\r\n", 400, "version" },
    { "GET / HTTP/2.0\r\n", 505, "version" },
    { "GET / HTTP/1.2\r\n", 505, "version" },
    { "GET a HTTP/1.1\r\n", 400, "target" },
    { "GET a:80 HTTP/1.1\r\n", 400, "target" },
    { "CONNECT a:80 HTTP/1.1\r\n", 400, "target" },
    { "GET * HTTP/1.1\r\n", 400, "target" },
    { "GET /a\tb HTTP/1.1\r\n", 400, "target" },
    { "GET /\xc3\xa4 HTTP/1.1\r\n", 400, "target" },
    { "GET /a#b HTTP/1.1\r\n", 400, "target" },
    { "GET http:///a HTTP/1.1\r\n", 400, "target" },
    { "GET http://u@a/ HTTP/1.1\r\n", 400, "target" },
    { "GET ftp://a/ HTTP/1.1\r\n", 400, "target" },
    { "GET / HTTP/1.1\r\n Host: a\r\n\r\n", 400, "folded-header" },
    { "GET / HTTP/1.1\r\nHost: a\r\nA: b\r\n c\r\n\r\n", 400, "folded-header" },
    { "GET / HTTP/1.1\r\nHost: a\r\nA: b\r\n\tc\r\n\r\n", 400, "folded-header" },
    { "GET / HTTP/1.1\r\nHost : a\r\n\r\n", 400, "blank-before-colon" },
    { "GET / HTTP/1.1\r\nContent-Length\t: 1\r\n\r\n", 400, "blank-before-colon" },
    { "GET / HTTP/1.1\r\n: a\r\n\r\n", 400, "header-name" },
    { "GET / HTTP/1.1\r\nHost\r\n\r\n", 400, "header-name" },
    { "GET / HTTP/1.1\r\nH\x80: a\r\n\r\n", 400, "header-name" },
    { "GET / HTTP/1.1\r\n\r\n", 400, "host-missing" },
    { "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400, "two-hosts" },
    { "GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n", 400, "two-hosts" },
    { "GET / HTTP/1.1\r\nHost: a, b/\r\n\r\n", 400, "host" },
    { "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\n", 400, "content-length" },
    { "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n", 400, "content-length" },
    { "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 0x1\r\n\r\n", 400, "content-length" },
    { "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n\r\n", 400, "content-length" },
    { "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 5, 5\r\n\r\n", 400, "content-length" },
    { "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 9223372036854775808\r\n\r\n", 400,
      "content-length" },
    { "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n", 400,
      "two-content-lengths" },
    { "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", 400,
      "length-and-encoding" },
    { "PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n", 400,
      "length-and-encoding" },
    { "PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n", 400,
      "transfer-encoding" },
    { "PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity\r\n\r\n", 400,
      "transfer-encoding" },
    { "PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, identity\r\n\r\n", 400,
      "transfer-encoding" },
    { "PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, chunked\r\n\r\n", 400,
      "transfer-encoding" },
    { "PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: \"chunked\"\r\n\r\n", 400,
      "transfer-encoding" },
    { "PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: "
      "chunked\r\n\r\n",
      400, "transfer-encoding" },
    { "PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 501,
      "transfer-encoding" },
    { "PUT / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400, "transfer-encoding-1.0" },
    { "GET /aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa HTTP/1.1\r\n",
      414, "target-length" },
    { "GET / HTTP/1.1\r\nA:\r\nA:\r\nA:\r\nA:\r\nA:\r\nA:\r\nA:\r\nA:\r\nA:\r\n", 431,
      "header-count" },
};

/* Feeds `len` bytes in pieces of `step`. */
static enum http_parse feed(struct http_head *h, const char *text, size_t len, size_t step)
{
    enum http_parse done = HTTP_PARSE_MORE;
    for (size_t at = 0; at < len && done == HTTP_PARSE_MORE;) {
        at = MIN(at + step, len);
        char *copy = malloc(at); /* moves each time, and ends where it ends */
        assert_non_null(copy);
        memcpy(copy, text, at);
        done = http_head_feed(h, copy, at);
        free(copy);
    }
    return done;
}

static void heads_are_accepted_or_refused_however_cut(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(heads); i++) {
        size_t len = strlen(heads[i].text);
        for (size_t step = 1; step <= len + 1; step = step < 4 ? step + 1 : step * 2) {
            struct http_field fields[FIELDS];
            struct http_head h = { .limits = &limits, .fields = fields };
            enum http_parse done = feed(&h, heads[i].text, len, step);
            int code = done == HTTP_PARSE_DONE ? 0 : done == HTTP_PARSE_MORE ? -1 : h.why->code;
            if (code != heads[i].code)
                fail_msg("%s: %d (%s)", heads[i].text, code, h.why == NULL ? "-" : h.why->reason);
            if (code > 0)
                assert_string_equal(h.why->reason, heads[i].reason);
            if (code == 0)
                assert_int_equal(h.end, len);
        }
    }
}

static void head_limit_is_exact(void **state)
{
    (void)state;
    char text[1024];
    for (size_t total = limits.bytes_max - 1; total <= limits.bytes_max + 1; total++) {
        static const char start[] = "GET / HTTP/1.1\r\nHost: a\r\nX: ";
        size_t at = sizeof(start) - 1;
        memcpy(text, start, at);
        memset(text + at, 'x', total - 4 - at);
        memcpy(text + total - 4, "\r\n\r\n", 4);
        for (size_t step = 1; step <= total; step += 101) {
            struct http_field fields[FIELDS];
            struct http_head h = { .limits = &limits, .fields = fields };
            bool fits = total <= limits.bytes_max;
            assert_int_equal(feed(&h, text, total, step),
                             fits ? HTTP_PARSE_DONE : HTTP_PARSE_REFUSED);
            if (!fits)
                assert_int_equal(h.why->code, 431);
        }
    }
}

static void head_parts_are_found(void **state)
{
    (void)state;
    static const char text[] = "PATCH http://h:1/v2/a%2Fb?x=1?&y HTTP/1.1\r\nHost: h\r\n"
                               "Connection: x, Close\r\nExpect: 100-Continue\r\n"
                               "Content-Length: 012\r\n\r\nbody";
    struct http_field fields[FIELDS];
    struct http_head h = { .limits = &limits, .fields = fields };
    assert_int_equal(http_head_feed(&h, text, sizeof(text) - 1), HTTP_PARSE_DONE);
    assert_int_equal(h.method, HTTP_PATCH);
    assert_int_equal(h.end, sizeof(text) - 5);
    assert_memory_equal(text + h.path.at, "/v2/a%2Fb", h.path.len);
    assert_memory_equal(text + h.query.at, "x=1?&y", h.query.len);
    assert_int_equal(h.content_length, 12);
    assert_true(h.close && h.expect_continue && !h.expect_other && !h.keep_alive);
    assert_int_equal(h.field_count, 4);
    assert_memory_equal(text + fields[1].value.at, "x, Close", fields[1].value.len);
}

static const struct {
    const char *in;
    const char *out;  /* NULL: refused */
    const char *rest; /* what follows the body; NULL: wants more */
} chunks[] = {
    { "0\r\n\r\n", "", "" },
    { "3\r\nabc\r\n0\r\n\r\nGET", "abc", "GET" },
    { "1\r\na\r\n2\r\nbc\r\n000\r\n\r\n", "abc", "" },
    { "A;x=\"y\";z\r\n0123456789\r\n0;q\r\nX-T: v\r\nY:\r\n\r\n", "0123456789", "" },
    { "3\r\nab", "ab", NULL },
    { "3\r\nabc\r\n0\r\n", "abc", NULL },
    { "", "", NULL },
    { "3\nabc\r\n0\r\n\r\n", NULL, NULL },
    { "3\r\nabc\n0\r\n\r\n", NULL, NULL },
    { "3\r\nabcd\r\n0\r\n\r\n", NULL, NULL },
    { "3\r\nabc\r\n0\n\r\n", NULL, NULL },
    { "3\r\nabc\r\n0\r\n\n", NULL, NULL },
    { "3\r\nabc\r\n0\r\nX: y\n\r\n", NULL, NULL },
    { "3;a\nb\r\nabc\r\n0\r\n\r\n", NULL, NULL },
    { "3;a\rb\r\nabc\r\n0\r\n\r\n", NULL, NULL },
    { "3\rabc\r\n0\r\n\r\n", NULL, NULL },
    { "\r\nabc\r\n0\r\n\r\n", NULL, NULL },
    { ";x\r\n", NULL, NULL },
    { " 3\r\nabc\r\n", NULL, NULL },
    { "3 \r\nabc\r\n", NULL, NULL },
    { "+3\r\nabc\r\n", NULL, NULL },
    { "-1\r\n", NULL, NULL },
    { "0x3\r\nabc\r\n", NULL, NULL },
    { "g\r\n", NULL, NULL },
    { "8000000000000000\r\n", NULL, NULL },
    { "00000000000000003\r\nabc\r\n", NULL, NULL },
    { "0\r\nX y\r\n\r\n", NULL, NULL },
    { "0\r\nX\r\n\r\n", NULL, NULL },
    { "0\r\n X: y\r\n\r\n", NULL, NULL },
    { "0\r\nX: y\r\n z\r\n\r\n", NULL, NULL },
    { "0\r\nX : y\r\n\r\n", NULL, NULL },
};

static void chunks_are_decoded_or_refused_however_cut(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(chunks); i++) {
        size_t len = strlen(chunks[i].in);
        for (size_t step = 1; step <= len + 1; step++) {
            struct http_chunk c = { 0 };
            char out[128];
            size_t out_len = 0;
            size_t at = 0;
            enum http_parse done = HTTP_PARSE_MORE;
            while (at < len && done == HTTP_PARSE_MORE) {
                char piece[128];
                size_t n = MIN(step, len - at);
                size_t used = 0;
                size_t got = 0;
                memcpy(piece, chunks[i].in + at, n);
                done = http_chunk_feed(&c, piece, n, &used, &got);
                memcpy(out + out_len, piece, got);
                out_len += got;
                at += used;
            }
            if ((done == HTTP_PARSE_REFUSED) != (chunks[i].out == NULL))
                fail_msg("%s in steps of %zu: %d", chunks[i].in, step, (int)done);
            if (done == HTTP_PARSE_REFUSED) {
                assert_int_equal(c.why->code, 400);
                continue;
            }
            assert_int_equal(done == HTTP_PARSE_DONE, chunks[i].rest != NULL);
            assert_int_equal(out_len, strlen(chunks[i].out));
            assert_memory_equal(out, chunks[i].out, out_len);
            if (done == HTTP_PARSE_DONE)
                assert_string_equal(chunks[i].in + at, chunks[i].rest);
        }
    }
}

/* Feeds `unit` `times` times; whether it was refused. */
static bool flood(const char *first, const char *unit, unsigned times)
{
    struct http_chunk c = { 0 };
    char piece[512];
    size_t used = 0;
    size_t got = 0;
    enum http_parse done = HTTP_PARSE_MORE;
    for (unsigned i = 0; i <= times && done == HTTP_PARSE_MORE; i++) {
        const char *text = i == 0 ? first : unit;
        size_t len = strlen(text);
        memcpy(piece, text, len);
        done = http_chunk_feed(&c, piece, len, &used, &got);
    }
    return done == HTTP_PARSE_REFUSED;
}

static void chunk_framing_is_bounded(void **state)
{
    (void)state;
    assert_false(flood("3;", "x", 256));
    assert_true(flood("3;", "x", 257));
    assert_true(flood("0\r\n", "X: yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\r\n", 300));
    /* One byte a chunk is a poor client; one byte with a long extension each is an attack. */
    assert_false(flood("", "1\r\na\r\n", 100000));
    assert_true(flood("", "1;xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\r\na\r\n", 1000));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(heads_are_accepted_or_refused_however_cut),
        cmocka_unit_test(head_limit_is_exact),
        cmocka_unit_test(head_parts_are_found),
        cmocka_unit_test(chunks_are_decoded_or_refused_however_cut),
        cmocka_unit_test(chunk_framing_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
