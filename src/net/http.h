/* SPDX-License-Identifier: Apache-2.0
 *
 * net/ - HTTP/1.1: a server that is strict in what it accepts, and a client. It knows nothing of
 * registries; what a path means is told by an application (struct http_app).
 *
 * Contract of the server:
 *  1. One event loop a thread owns each connection. A route either runs on the loop (it must never
 *     block: no commit, no store, no lock held for long) or on a worker. Routes say which; handlers
 *     do not know.
 *  2. A request has exactly one answer. Handlers fill it with http_answer...() and return; it is
 *     sent after that. A handler that answers nothing has a bug: 500.
 *  3. Framing is refused unless it is unambiguous: lines end in CRLF, no folded headers, no blank
 *     before a colon, no control bytes, at most one Content-Length of digits only, never together
 *     with Transfer-Encoding, which may only be "chunked"; exactly one Host in HTTP/1.1. After such
 *     a refusal (400) the connection is closed. The decoder of chunks is as strict.
 *  4. Everything has a limit (struct http_options) and every wait a deadline: headers, body,
 *     answer, idle connection.
 *  5. An answer given before the whole body was read is not lost: what is left of the body is read
 *     and dropped when it is small, otherwise the answer goes out with "Connection: close", the
 *     sending half is shut, and input is dropped for a while before the socket closes.
 *  6. Memory of an idle connection is its struct and nothing else; buffers exist only while a
 *     request is under way.
 *  7. Pipelined requests are answered in order, one at a time.
 *
 * Threads: a request is owned by one thread at a time; the server hands it over.
 */
#ifndef EBB_HTTP_H
#define EBB_HTTP_H

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"

struct http_server;
struct http_request;

enum http_method {
    HTTP_GET = 1 << 0,
    HTTP_HEAD = 1 << 1,
    HTTP_POST = 1 << 2,
    HTTP_PUT = 1 << 3,
    HTTP_PATCH = 1 << 4,
    HTTP_DELETE = 1 << 5,
    HTTP_OPTIONS = 1 << 6,
    HTTP_OTHER = 1 << 7, /* any other token */
};

/* A body that arrives in pieces. All three run on a worker, one after the other. */
struct http_sink {
    /* Once, when the headers are in and before any of the body is read. May answer: then the body
     * is not wanted and add() and end() are not called. */
    void (*begin)(struct http_request *rq);
    /* A piece, in order. The bytes are borrowed until the next add() or end() returns, or the
     * request is over: so what is written can overlap with what is hashed. May answer: as in
     * begin(). */
    void (*add)(struct http_request *rq, const void *bytes, size_t len);
    /* Once after a begin() that did not answer, unless add() answered. `complete` is false when the
     * client went away, was too slow, sent bad chunks or went over the limit: what came is given to
     * add() first, and an answer set here is not sent. */
    void (*end)(struct http_request *rq, bool complete);
};

struct http_route {
    const char *name;  /* label in metrics, such as "blob"; lives as long as the server */
    bool worker;       /* handle() may block */
    uint64_t body_max; /* bytes; a larger body is refused with 413 */
    void (*handle)(struct http_request *rq); /* with the whole body in rq->body; NULL with a sink */
    const struct http_sink *sink;            /* or NULL */
};

struct http_request {
    enum http_method method;
    str method_text;
    str path;            /* as sent: still percent-encoded, without the query; starts with "/" */
    str query;           /* as sent, without the "?"; unset when there is none */
    str body;            /* of a route without a sink; "" when there is none */
    int64_t body_length; /* announced: -1 chunked, 0 none */
    str id;              /* of this request, for the log and the X-Request-Id header */
    str peer;            /* the client's address as text, without port */
    bool tls;
    struct arena arena; /* dies with the request */
    const struct http_route *route;
    void *app_ctx;   /* from struct http_app */
    void *state;     /* the application's own */
    int answer_code; /* 0 until answered */
    bool misread;    /* some of it could not be decoded for want of memory */
};

/* What the server refuses by itself. The application words the answer. */
struct http_refusal {
    int code;           /* 400, 408, 413, 414, 417, 431, 500, 501, 503, 505 */
    const char *reason; /* a token for metrics, such as "bare-lf" */
    const char *text;   /* a sentence for a person */
};

/* How a request ended, for the log. */
struct http_outcome {
    int code;          /* 0: the client went away before an answer */
    uint64_t bytes_in; /* of the body */
    uint64_t bytes_out;
    int64_t duration_us;
    bool complete; /* the whole answer was handed to the kernel */
};

struct http_app {
    /* On the loop, when the headers are in: never NULL, never blocks. */
    const struct http_route *(*route)(struct http_request *rq);
    /* On the loop or a worker: fills the answer for a refusal. rq->route may be NULL. */
    void (*refuse)(struct http_request *rq, const struct http_refusal *why);
    /* On the loop, at the end of each request; may be NULL. Must not block. */
    void (*done)(struct http_request *rq, const struct http_outcome *outcome);
    void *ctx;
    const char *headers; /* sent with every answer: "Name: value\r\n..." or "" */
};

/* 0 anywhere means the default (http_server.c). */
struct http_options {
    const char *const *listen; /* "127.0.0.1:5000", "[::1]:5000", "host:0" for any free port */
    size_t listen_count;
    const char *tls_cert; /* PEM files; both or none. With them every listener speaks TLS. */
    const char *tls_key;
    unsigned loops;   /* 0: 2 */
    unsigned workers; /* 0: 32 */
    unsigned connections_max;
    unsigned connections_per_address_max;
    size_t header_bytes_max; /* request line and headers together */
    size_t path_bytes_max;   /* target with query; over it 414 */
    unsigned header_count_max;
    size_t arena_bytes_max;    /* of one request */
    int64_t header_timeout_ms; /* from a request's first byte to the end of its headers */
    int64_t idle_timeout_ms;   /* between requests */
    int64_t body_timeout_ms;   /* without any byte of the body */
    int64_t send_timeout_ms;   /* without the client taking any byte of the answer */
    int64_t linger_timeout_ms; /* dropping input after an early answer */
    size_t sink_bytes;         /* piece of a body handed to a sink, at the most; 0: 1 MiB */
};

/* Binds, starts loops and workers. Bind failures name the address. */
MUST_CHECK enum st http_server_start(const struct http_options *options, const struct http_app *app,
                                     struct http_server **out, struct err *err);
/* The i-th address listened on, with its real port: "127.0.0.1:5000". Borrowed. */
str http_server_address(const struct http_server *s, size_t i);
/* Reads certificate and key again for connections to come; on failure the old ones stay. */
MUST_CHECK enum st http_server_reload_tls(struct http_server *s, struct err *err);
/* Takes no new connections or requests, lets running ones end for up to `grace_ms`, closes the
 * rest, stops all threads, frees. */
void http_server_stop(struct http_server *s, int64_t grace_ms);

/* ---- reading a request ------------------------------------------------------------------- */

/* The value of a header, name in any case; unset when absent. Of several, the first. */
str http_header(const struct http_request *rq, const char *name);
unsigned http_header_count(const struct http_request *rq, const char *name);

/* The first value of a query parameter, decoded; false when absent. "+" stays "+". The value lives
 * as long as the request. Without memory to decode it, it is "" and the request will be answered
 * with 500 whatever the handler says. */
bool http_query(struct http_request *rq, const char *name, str *value);
/* Each value in turn: start with *at = 0. */
bool http_query_each(struct http_request *rq, const char *name, size_t *at, str *value);
/* ST_INVALID when the query has a broken percent-encoding or a NUL in it. */
MUST_CHECK enum st http_query_check(struct http_request *rq, struct err *err);

/* Decodes %XX into the arena. ST_INVALID for a broken encoding or a NUL; ST_NO_MEMORY. */
MUST_CHECK enum st http_unescape(struct arena *a, str s, str *out, struct err *err);
/* Encodes all but unreserved characters (RFC 3986) and "/"; ptr NULL without memory. */
str http_escape(struct arena *a, str s);

/* ---- answering --------------------------------------------------------------------------- */

/* Sets the code; a second answer of the same request replaces the first and all that was added. */
void http_answer(struct http_request *rq, int code);
/* Adds a header. Name and value are copied; a value with control bytes is a bug. An unset value is
 * text that the arena had no room for: 500 is answered instead. */
void http_answer_header(struct http_request *rq, const char *name, str value);
/* Appends bytes to the body; borrowed until the request's end (arena, static, or released by
 * http_on_end()). Unset: as above. */
void http_answer_bytes(struct http_request *rq, str bytes);
/* Appends `length` bytes of `fd` from `offset`; the descriptor is borrowed until the request's end.
 * A file that turns out shorter cuts the connection, so the client sees that bytes are missing. */
void http_answer_file(struct http_request *rq, int fd, uint64_t offset, uint64_t length);
/* For HEAD: the Content-Length of the body that GET would have. */
void http_answer_length(struct http_request *rq, uint64_t length);
/* Called once when the request is over, whatever its end; several run last first. */
void http_on_end(struct http_request *rq, void (*fn)(void *arg), void *arg);

#endif
