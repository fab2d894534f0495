/* SPDX-License-Identifier: Apache-2.0
 *
 * Answers as handlers fill them, and the head that is made of them.
 *
 * A failure while filling (no memory in the arena, a header that would break the framing) is
 * remembered; the server then answers 500 instead. Handlers need not check.
 */
#include "base/log.h"
#include "base/mem.h"
#include "net/http_int.h"

void http_answer_init(struct http_exchange *x)
{
    x->answer = (struct http_answer){
        .fields = x->fields_inline,
        .fields_size = sizeof(x->fields_inline),
        .segments = x->segments_inline,
        .segment_size = HTTP_SEGMENTS_INLINE,
    };
}

void http_answer(struct http_request *rq, int code)
{
    struct http_exchange *x = http_exchange_of(rq);
    http_answer_init(x);
    rq->answer_code = code;
}

static bool is_clean(str s)
{
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.ptr[i];
        if ((c < 0x20 && c != '\t') || c == 0x7f)
            return false;
    }
    return true;
}

static bool fields_reserve(struct http_exchange *x, size_t more)
{
    struct http_answer *a = &x->answer;
    if (a->fields_size - a->fields_len >= more)
        return true;
    if (more > HTTP_FIELDS_MAX || a->fields_len + more > HTTP_FIELDS_MAX)
        return false;
    size_t size = MAX(a->fields_size * 2, a->fields_len + more);
    char *fields = arena_alloc(&x->rq.arena, size);
    if (fields == NULL)
        return false;
    memcpy(fields, a->fields, a->fields_len);
    a->fields = fields;
    a->fields_size = size;
    return true;
}

static char *put(char *to, str s)
{
    if (s.len > 0)
        memcpy(to, s.ptr, s.len);
    return to + s.len;
}

void http_answer_header(struct http_request *rq, const char *name, str value)
{
    struct http_exchange *x = http_exchange_of(rq);
    struct http_answer *a = &x->answer;
    str key = str_of(name);
    if (value.ptr == NULL) {
        a->failed = true;
        return;
    }
    if (!is_clean(value) || !is_clean(key)) {
        log_event(LOG_ERROR, "an answer's header held control bytes", LOG_STR("header", key),
                  LOG_STR("request", rq->id));
        a->failed = true;
        return;
    }
    size_t len = key.len + value.len + 4;
    if (!fields_reserve(x, len)) {
        a->failed = true;
        return;
    }
    char *to = put(a->fields + a->fields_len, key);
    to = put(to, STR(": "));
    to = put(to, value);
    (void)put(to, STR("\r\n"));
    a->fields_len += len;
}

static void add_segment(struct http_request *rq, struct http_segment segment)
{
    struct http_exchange *x = http_exchange_of(rq);
    struct http_answer *a = &x->answer;
    if (segment.len == 0)
        return;
    if (a->segment_count == a->segment_size) {
        struct http_segment *more =
            arena_alloc(&rq->arena, 2 * (size_t)a->segment_size * sizeof(more[0]));
        if (more == NULL) {
            a->failed = true;
            return;
        }
        memcpy(more, a->segments, a->segment_count * sizeof(more[0]));
        a->segments = more;
        a->segment_size *= 2;
    }
    a->segments[a->segment_count++] = segment;
    a->body_bytes += segment.len;
}

void http_answer_bytes(struct http_request *rq, str bytes)
{
    if (bytes.ptr == NULL)
        http_exchange_of(rq)->answer.failed = true;
    add_segment(rq, (struct http_segment){ .ptr = bytes.ptr, .fd = -1, .len = bytes.len });
}

void http_answer_file(struct http_request *rq, int fd, uint64_t offset, uint64_t length)
{
    add_segment(rq, (struct http_segment){ .fd = fd, .offset = offset, .len = length });
}

void http_answer_length(struct http_request *rq, uint64_t length)
{
    struct http_answer *a = &http_exchange_of(rq)->answer;
    a->length_set = true;
    a->length = length;
}

void http_on_end(struct http_request *rq, void (*fn)(void *arg), void *arg)
{
    struct http_exchange *x = http_exchange_of(rq);
    struct http_end *e;
    if (x->ends_inline_used < HTTP_ENDS_INLINE) {
        e = &x->ends_inline[x->ends_inline_used++];
        e->heap = false;
    } else {
        e = mem_new(sizeof(*e));
        if (e == NULL) {
            /* What `fn` releases may still be in use: better never released than too early. */
            log_event(LOG_ERROR, "no memory to note what a request must release",
                      LOG_STR("request", rq->id));
            x->answer.failed = true;
            return;
        }
        e->heap = true;
    }
    e->fn = fn;
    e->arg = arg;
    e->next = x->ends;
    x->ends = e;
}

void http_ends_run(struct http_exchange *x)
{
    while (x->ends != NULL) {
        struct http_end *e = x->ends;
        x->ends = e->next;
        e->fn(e->arg);
        if (e->heap)
            mem_free(e);
    }
    x->ends_inline_used = 0;
}

static str reason_of(int code)
{
    switch (code) {
#define REASON(code, text)                                                                         \
    case code:                                                                                     \
        return STR(text)
        REASON(200, "OK");
        REASON(201, "Created");
        REASON(202, "Accepted");
        REASON(204, "No Content");
        REASON(206, "Partial Content");
        REASON(301, "Moved Permanently");
        REASON(302, "Found");
        REASON(303, "See Other");
        REASON(304, "Not Modified");
        REASON(307, "Temporary Redirect");
        REASON(308, "Permanent Redirect");
        REASON(400, "Bad Request");
        REASON(401, "Unauthorized");
        REASON(403, "Forbidden");
        REASON(404, "Not Found");
        REASON(405, "Method Not Allowed");
        REASON(408, "Request Timeout");
        REASON(409, "Conflict");
        REASON(411, "Length Required");
        REASON(412, "Precondition Failed");
        REASON(413, "Content Too Large");
        REASON(414, "URI Too Long");
        REASON(415, "Unsupported Media Type");
        REASON(416, "Range Not Satisfiable");
        REASON(417, "Expectation Failed");
        REASON(422, "Unprocessable Content");
        REASON(429, "Too Many Requests");
        REASON(431, "Request Header Fields Too Large");
        REASON(500, "Internal Server Error");
        REASON(501, "Not Implemented");
        REASON(503, "Service Unavailable");
        REASON(505, "HTTP Version Not Supported");
        REASON(507, "Insufficient Storage");
#undef REASON
    default:
        return STR("Other");
    }
}

static char *put_number(char *to, uint64_t n)
{
    char digits[20];
    size_t len = 0;
    do {
        digits[len++] = (char)('0' + n % 10);
        n /= 10;
    } while (n > 0);
    while (len > 0)
        *to++ = digits[--len];
    return to;
}

/* 1xx, 204 and 304 have no body (RFC 9110, 6.4.1). */
static bool may_have_body(int code)
{
    return code >= 200 && code != 204 && code != 304;
}

bool http_answer_compose(struct http_exchange *x)
{
    struct http_answer *a = &x->answer;
    struct http_loop *l = x->conn->loop;
    struct http_server *s = l->server;
    int code = x->rq.answer_code;
    size_t most = s->app_headers.len + a->fields_len + 320; /* 320: all lines below with numbers */
    a->head = x->head_inline;
    if (most > sizeof(x->head_inline)) {
        a->head = mem_resize(NULL, most);
        if (a->head == NULL)
            return false;
    }
    char *to = put(a->head, STR("HTTP/1.1 "));
    to = put_number(to, (uint64_t)code);
    to = put(to, STR(" "));
    to = put(to, reason_of(code));
    to = put(to, STR("\r\nDate: "));
    to = put(to, str_of(l->date));
    to = put(to, STR("\r\nX-Request-Id: "));
    to = put(to, x->rq.id);
    to = put(to, STR("\r\n"));
    to = put(to, s->app_headers);
    to = put(to, (str){ a->fields, a->fields_len });
    bool head = x->rq.method == HTTP_HEAD;
    if (may_have_body(code)) {
        to = put(to, STR("Content-Length: "));
        to = put_number(to, head && a->length_set ? a->length : a->body_bytes);
        to = put(to, STR("\r\n"));
    }
    if (!a->keep)
        to = put(to, STR("Connection: close\r\n"));
    else if (x->head.minor == 0)
        to = put(to, STR("Connection: keep-alive\r\n"));
    to = put(to, STR("\r\n"));
    a->head_len = (size_t)(to - a->head);
    a->head_at = 0;
    a->with_body = !head && may_have_body(code);
    assert(a->head_len <= MAX(most, sizeof(x->head_inline)));
    return true;
}

void http_answer_release(struct http_exchange *x)
{
    if (x->answer.head != x->head_inline)
        mem_free(x->answer.head);
    x->answer.head = NULL;
}
