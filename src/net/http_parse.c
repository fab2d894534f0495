/* SPDX-License-Identifier: Apache-2.0
 *
 * The head of a request, line by line. A line is looked at when its LF is there; until then only
 * its length counts, so the result does not depend on how the bytes were cut.
 *
 *     start ──(one CRLF may be skipped)──▶ request line ──▶ fields ──(empty line)──▶ done
 *       └──────────────── any breach ─────────┴───────────────┴──▶ refused (stays so)
 */
#include "net/http_parse.h"

#include <strings.h>

#define REFUSAL(id, code, reason, text)                                                            \
    static const struct http_refusal id = { (code), (reason), (text) }

REFUSAL(bare_lf, 400, "bare-lf", "A line must end in CRLF.");
REFUSAL(no_request, 400, "request-line", "This is not an HTTP request.");
REFUSAL(bad_method, 400, "method", "The request's method is not a token.");
REFUSAL(bad_target, 400, "target",
        "The request's target is not a path or holds bytes that must be "
        "percent-encoded.");
REFUSAL(long_target, 414, "target-length", "The request's target is too long.");
REFUSAL(bad_version, 400, "version", "The request line must end in one blank and the version.");
REFUSAL(other_version, 505, "version", "Only HTTP/1.1 and HTTP/1.0 are spoken here.");
REFUSAL(head_bytes, 431, "header-bytes", "The request's headers are too large.");
REFUSAL(head_count, 431, "header-count", "The request has too many headers.");
REFUSAL(folded, 400, "folded-header", "A header must not begin with a blank.");
REFUSAL(bad_name, 400, "header-name", "A header's name is not a token.");
REFUSAL(blank_colon, 400, "blank-before-colon", "No blank may stand before a header's colon.");
REFUSAL(bad_value, 400, "header-value", "A header's value holds control bytes.");
REFUSAL(bad_length, 400, "content-length", "Content-Length must be one decimal number.");
REFUSAL(two_lengths, 400, "two-content-lengths", "Content-Length stands there more than once.");
REFUSAL(length_and_te, 400, "length-and-encoding",
        "Content-Length and Transfer-Encoding exclude each other.");
REFUSAL(bad_te, 400, "transfer-encoding", "Transfer-Encoding may only be \"chunked\", once.");
REFUSAL(other_te, 501, "transfer-encoding", "Of the transfer codings only \"chunked\" is known.");
REFUSAL(old_te, 400, "transfer-encoding-1.0", "HTTP/1.0 knows no Transfer-Encoding.");
REFUSAL(no_host, 400, "host-missing", "HTTP/1.1 requests need a Host header.");
REFUSAL(two_hosts, 400, "two-hosts", "Host stands there more than once.");
REFUSAL(bad_host, 400, "host", "The Host header is not a host with an optional port.");

/* What a byte may be part of. */
enum { TCHAR = 1, TARGET = 2, HOST = 4 };

#define NO 0
#define AL (TCHAR | TARGET | HOST)
#define TT (TCHAR | TARGET)
#define TH (TARGET | HOST)
#define TC TCHAR
#define T_ TARGET

/* RFC 9110 5.6.2 (token), RFC 9112 3.2 (target: visible ASCII but '#'), RFC 3986 3.2.2 (host and
 * port, without user information). Nothing from 80 on. */
/* clang-format off */
static const unsigned char classes[256] = {
    NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, /* 00 */
    NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, /* 10 */
    NO, AL, T_, TC, AL, AL, AL, AL, TH, TH, AL, AL, TH, AL, AL, T_, /* 20 */
    AL, AL, AL, AL, AL, AL, AL, AL, AL, AL, TH, TH, T_, TH, T_, T_, /* 30 */
    T_, AL, AL, AL, AL, AL, AL, AL, AL, AL, AL, AL, AL, AL, AL, AL, /* 40 */
    AL, AL, AL, AL, AL, AL, AL, AL, AL, AL, AL, TH, T_, TH, TT, AL, /* 50 */
    TT, AL, AL, AL, AL, AL, AL, AL, AL, AL, AL, AL, AL, AL, AL, AL, /* 60 */
    AL, AL, AL, AL, AL, AL, AL, AL, AL, AL, AL, T_, TT, T_, AL, NO, /* 70 */
};
/* clang-format on */

static bool is(char c, unsigned what)
{
    return (classes[(unsigned char)c] & what) != 0;
}

static bool all(str s, unsigned what)
{
    for (size_t i = 0; i < s.len; i++)
        if (!is(s.ptr[i], what))
            return false;
    return true;
}

/* RFC 9110 5.5, with obs-text: no control byte but the tab. Without an early end, so that it looks
 * at many bytes at a time: tokens are long. */
static bool is_value(str s)
{
    unsigned bad = 0;
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.ptr[i];
        bad |= ((c < 0x20) & (c != '\t')) | (c == 0x7f);
    }
    return bad == 0;
}

static struct http_span span(const char *bytes, str s)
{
    return (struct http_span){ (uint32_t)(s.ptr - bytes), (uint32_t)s.len };
}

static enum http_parse refuse(struct http_head *h, const struct http_refusal *why)
{
    h->why = why;
    return HTTP_PARSE_REFUSED;
}

void http_head_reset(struct http_head *h)
{
    *h = (struct http_head){ .limits = h->limits, .fields = h->fields };
}

static enum http_method method_of(str s)
{
    static const struct {
        const char *text;
        enum http_method method;
    } methods[] = {
        { "GET", HTTP_GET },         { "HEAD", HTTP_HEAD }, { "PUT", HTTP_PUT },
        { "PATCH", HTTP_PATCH },     { "POST", HTTP_POST }, { "DELETE", HTTP_DELETE },
        { "OPTIONS", HTTP_OPTIONS },
    };
    for (size_t i = 0; i < ARRAY_LEN(methods); i++)
        if (str_eq(s, str_of(methods[i].text)))
            return methods[i].method;
    return HTTP_OTHER;
}

/* "/path?query", "http://host/path?query", or "*" for OPTIONS (RFC 9112, 3.2). */
static bool take_target(struct http_head *h, const char *bytes, str target)
{
    if (target.len == 0 || !all(target, TARGET))
        return false;
    if (str_eq(target, STR("*"))) {
        h->path = span(bytes, target);
        return h->method == HTTP_OPTIONS;
    }
    str rest = target;
    if (target.ptr[0] != '/') {
        size_t scheme = str_eq_nocase(str_slice(target, 0, 7), STR("http://"))    ? 7
                        : str_eq_nocase(str_slice(target, 0, 8), STR("https://")) ? 8
                                                                                  : 0;
        size_t end = scheme;
        while (end < target.len && target.ptr[end] != '/' && target.ptr[end] != '?')
            end++;
        if (scheme == 0 || end == scheme || !all(str_slice(target, scheme, end), HOST))
            return false;
        rest = str_slice(target, end, target.len);
    }
    str query;
    if (str_cut(rest, '?', &rest, &query)) {
        h->has_query = true;
        h->query = span(bytes, query);
    }
    h->path = span(bytes, rest);
    return true;
}

static enum http_parse take_request_line(struct http_head *h, const char *bytes, str line)
{
    str method;
    str rest;
    if (!str_cut(line, ' ', &method, &rest))
        return refuse(h, &no_request);
    if (method.len == 0 || !all(method, TCHAR))
        return refuse(h, &bad_method);
    h->method = method_of(method);
    h->method_text = span(bytes, method);
    str target;
    str version;
    if (!str_cut(rest, ' ', &target, &version))
        return refuse(h, &bad_version);
    if (target.len > h->limits->target_max)
        return refuse(h, &long_target);
    if (version.len != 8 || !str_starts(version, STR("HTTP/")) || version.ptr[6] != '.' ||
        version.ptr[5] < '0' || version.ptr[5] > '9' || version.ptr[7] < '0' ||
        version.ptr[7] > '9')
        return refuse(h, &bad_version);
    if (version.ptr[5] != '1' || version.ptr[7] > '1')
        return refuse(h, &other_version);
    if (!take_target(h, bytes, target))
        return refuse(h, &bad_target);
    h->minor = version.ptr[7] == '1';
    h->line_done = true;
    return HTTP_PARSE_MORE;
}

static enum http_parse take_content_length(struct http_head *h, str value)
{
    if (h->has_length)
        return refuse(h, &two_lengths);
    h->has_length = true;
    if (!str_to_u64(value, INT64_MAX, &h->content_length))
        return refuse(h, &bad_length);
    return HTTP_PARSE_MORE;
}

static enum http_parse take_transfer_encoding(struct http_head *h, str value)
{
    str before;
    str last;
    if (h->chunked)
        return refuse(h, &bad_te);
    if (str_eq_nocase(value, STR("chunked"))) {
        h->chunked = true;
        return HTTP_PARSE_MORE;
    }
    if (str_cut_last(value, ',', &before, &last) && str_eq_nocase(str_trim(last), STR("chunked")) &&
        before.len > 0 && all(before, TCHAR) && !str_eq_nocase(before, STR("chunked")))
        return refuse(h, &other_te); /* "gzip, chunked" is right, and not offered */
    return refuse(h, &bad_te);
}

static enum http_parse take_host(struct http_head *h, str value)
{
    if (h->hosts++ > 0)
        return refuse(h, &two_hosts);
    if (!all(value, HOST))
        return refuse(h, &bad_host);
    return HTTP_PARSE_MORE;
}

static void take_connection(struct http_head *h, str value)
{
    for (bool more = true; more;) {
        str token = value;
        more = str_cut(value, ',', &token, &value);
        token = str_trim(token);
        h->close |= str_eq_nocase(token, STR("close"));
        h->keep_alive |= str_eq_nocase(token, STR("keep-alive"));
    }
}

/* The headers that decide about framing and the connection; the length picks the candidate. */
static enum http_parse take_known(struct http_head *h, str name, str value)
{
    switch (name.len) {
    case 4:
        if (str_eq_nocase(name, STR("Host")))
            return take_host(h, value);
        break;
    case 6:
        if (str_eq_nocase(name, STR("Expect"))) {
            bool known = str_eq_nocase(value, STR("100-continue"));
            h->expect_continue |= known;
            h->expect_other |= !known;
        }
        break;
    case 10:
        if (str_eq_nocase(name, STR("Connection")))
            take_connection(h, value);
        break;
    case 14:
        if (str_eq_nocase(name, STR("Content-Length")))
            return take_content_length(h, value);
        break;
    case 17:
        if (str_eq_nocase(name, STR("Transfer-Encoding")))
            return take_transfer_encoding(h, value);
        break;
    default:
        break;
    }
    return HTTP_PARSE_MORE;
}

static enum http_parse take_field(struct http_head *h, const char *bytes, str line)
{
    if (line.ptr[0] == ' ' || line.ptr[0] == '\t')
        return refuse(h, &folded);
    size_t colon = 0;
    while (colon < line.len && is(line.ptr[colon], TCHAR))
        colon++;
    if (colon == line.len || colon == 0)
        return refuse(h, &bad_name);
    if (line.ptr[colon] != ':')
        return refuse(h,
                      line.ptr[colon] == ' ' || line.ptr[colon] == '\t' ? &blank_colon : &bad_name);
    str name = str_slice(line, 0, colon);
    str value = str_trim(str_slice(line, colon + 1, line.len));
    if (!is_value(value))
        return refuse(h, &bad_value);
    if (h->field_count == h->limits->fields_max)
        return refuse(h, &head_count);
    h->fields[h->field_count++] = (struct http_field){ span(bytes, name), span(bytes, value) };
    return take_known(h, name, value);
}

static enum http_parse finish(struct http_head *h)
{
    if (h->chunked && h->has_length)
        return refuse(h, &length_and_te);
    if (h->chunked && h->minor == 0)
        return refuse(h, &old_te);
    if (h->hosts == 0 && h->minor == 1)
        return refuse(h, &no_host);
    return HTTP_PARSE_DONE;
}

static enum http_parse take_line(struct http_head *h, const char *bytes, str line)
{
    if (h->line_done)
        return line.len == 0 ? finish(h) : take_field(h, bytes, line);
    if (line.len == 0 && !h->crlf_skipped) { /* RFC 9112, 2.2 */
        h->crlf_skipped = true;
        return HTTP_PARSE_MORE;
    }
    return take_request_line(h, bytes, line);
}

enum http_parse http_head_feed(struct http_head *h, const char *bytes, size_t len)
{
    if (h->why != NULL)
        return HTTP_PARSE_REFUSED;
    size_t max = MIN(h->limits->bytes_max, (size_t)UINT32_MAX);
    /* Whoever speaks TLS or noise here is told at once; it will hardly send a line. */
    if (len > 0 && bytes[0] != '\r' && !is(bytes[0], TCHAR))
        return refuse(h, bytes[0] == '\n' ? &bare_lf : &no_request);
    for (;;) {
        size_t end = MIN(len, max);
        size_t from = MAX(h->scanned, h->line_at);
        const char *lf = from < end ? memchr(bytes + from, '\n', end - from) : NULL;
        if (lf == NULL) {
            h->scanned = end;
            if (len >= max)
                return refuse(h, h->line_done ? &head_bytes : &long_target);
            return HTTP_PARSE_MORE;
        }
        size_t at = (size_t)(lf - bytes);
        if (at == h->line_at || bytes[at - 1] != '\r')
            return refuse(h, &bare_lf);
        str line = { bytes + h->line_at, at - 1 - h->line_at };
        h->line_at = at + 1;
        enum http_parse done = take_line(h, bytes, line);
        if (done == HTTP_PARSE_DONE)
            h->end = at + 1;
        if (done != HTTP_PARSE_MORE)
            return done;
    }
}
