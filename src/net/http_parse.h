/* SPDX-License-Identifier: Apache-2.0
 *
 * http_parse - the grammar of HTTP/1.1 requests (RFC 9112), strict, as pure functions over bytes.
 *
 *  1. Both parsers are fed bytes as they come and give the same result however these are cut.
 *  2. A line ends in CRLF and nothing else. What two parsers could read differently is refused,
 *     with a code, a token and a sentence (struct http_refusal).
 *  3. Neither allocates, and neither reads behind what it was given.
 */
#ifndef EBB_HTTP_PARSE_H
#define EBB_HTTP_PARSE_H

#include "net/http.h"

enum http_parse { HTTP_PARSE_MORE, HTTP_PARSE_DONE, HTTP_PARSE_REFUSED };

/* Offsets into the bytes that were fed, which may move between two calls. */
struct http_span {
    uint32_t at;
    uint32_t len;
};

struct http_field {
    struct http_span name;
    struct http_span value; /* without blanks around it */
};

struct http_head_limits {
    size_t bytes_max; /* request line and headers together */
    size_t target_max;
    unsigned fields_max; /* also the room in http_head.fields */
};

struct http_head {
    const struct http_head_limits *limits; /* set by the caller, as is `fields` */
    struct http_field *fields;
    unsigned field_count;
    const struct http_refusal *why; /* once refused */
    size_t line_at;                 /* where the line that is not complete yet begins */
    size_t scanned;                 /* no LF from line_at up to here */
    size_t end;                     /* once done: where the body begins */
    bool crlf_skipped;
    bool line_done; /* the request line is parsed: method, path and query are valid */
    enum http_method method;
    struct http_span method_text;
    struct http_span path; /* len 0: the target had none, so "/" */
    struct http_span query;
    bool has_query;
    unsigned minor; /* of HTTP/1.x */
    unsigned hosts;
    bool has_length;
    bool chunked;
    bool expect_continue;
    bool expect_other;
    bool close;
    bool keep_alive;
    uint64_t content_length;
};

/* Forgets the request, keeps limits and the room for fields. */
void http_head_reset(struct http_head *h);

/* `bytes` are all bytes since the request's first; `len` grows from call to call. */
enum http_parse http_head_feed(struct http_head *h, const char *bytes, size_t len);

/* ---- a chunked body (RFC 9112, 7.1) ------------------------------------------------------ */

struct http_chunk {
    unsigned state; /* all 0 is ready */
    unsigned digits;
    uint64_t left; /* of the chunk */
    size_t line;   /* bytes of this chunk's extension, or of this trailer line */
    size_t excess; /* framing that no data paid for */
    size_t trailer_bytes;
    bool colon; /* seen in this trailer line */
    const struct http_refusal *why;
};

/* Decodes in place: the data of `bytes` moves to its front, *out bytes of it. *used is how much was
 * consumed: all of it, unless the body ended before (HTTP_PARSE_DONE). */
enum http_parse http_chunk_feed(struct http_chunk *c, char *bytes, size_t len, size_t *used,
                                size_t *out);

#endif
