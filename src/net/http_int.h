/* SPDX-License-Identifier: Apache-2.0
 *
 * http_int - what the files of the server share. Nobody outside net/ includes it.
 *
 * Ownership:
 *  - A connection (struct http_conn) belongs to one loop from its first event to its end; only that
 *    loop's thread touches it.
 *  - A request under way (struct http_exchange) belongs to its connection. While `job_out` is set a
 *    worker owns what handlers may touch (rq, answer, the block in `busy`); the loop owns the rest
 *    (input, `fill`, body counters) and may go on receiving.
 *  - A worker hands an exchange back through its loop's inbox, and touches it no more.
 */
#ifndef EBB_HTTP_INT_H
#define EBB_HTTP_INT_H

#include <netinet/in.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "base/clock.h"
#include "base/lock.h"
#include "base/metric.h"
#include "net/http_parse.h"
#include "net/http_tls.h"

#define HTTP_IN_BYTES        ((size_t)(8 * KIB))  /* first size of a read buffer */
#define HTTP_SCRATCH_BYTES   ((size_t)(64 * KIB)) /* of a loop: input to drop, output of TLS */
#define HTTP_TURN_BYTES      ((size_t)(2 * MIB))  /* a connection moves before others have a turn */
#define HTTP_TURN_REQUESTS   32u                  /* pipelined requests, as above */
#define HTTP_DRAIN_BYTES     ((uint64_t)(256 * KIB)) /* of an unwanted body are read to keep alive */
#define HTTP_FIELDS_BYTES    ((size_t)768)           /* headers of an answer without the heap */
#define HTTP_FIELDS_MAX      ((size_t)(64 * KIB))
#define HTTP_HEAD_BYTES      ((size_t)1536) /* head of an answer without the heap */
#define HTTP_SEGMENTS_INLINE 6u
#define HTTP_ENDS_INLINE     4u

struct http_conn;
struct http_loop;

/* ---- memory of requests (http_buffer.c) --------------------------------------------------- */

/* A page-aligned piece of a body. */
struct http_block {
    struct http_block *next;
    char *bytes;
    size_t size;
    size_t len;
    int64_t begun_us; /* when its first byte came */
};

#define HTTP_BLOCK_CLASSES 4u /* 16 KiB, 64 KiB, 256 KiB, and sink_bytes */

struct http_segment {
    const char *ptr; /* NULL: a file */
    int fd;
    uint64_t offset;
    uint64_t len;
};

struct http_end {
    struct http_end *next;
    void (*fn)(void *arg);
    void *arg;
    bool heap;
};

/* What a handler answers, and how far it is sent. */
struct http_answer {
    bool failed; /* no memory, or a header that must not be: 500 goes out instead */
    bool length_set;
    uint64_t length; /* from http_answer_length() */
    char *fields;    /* "Name: value\r\n"...; fields_inline or the arena */
    size_t fields_len;
    size_t fields_size;
    struct http_segment *segments; /* segments_inline or the arena */
    unsigned segment_count;
    unsigned segment_size;
    uint64_t body_bytes;
    /* sending */
    char *head; /* head_inline or the heap */
    size_t head_len;
    size_t head_at;
    unsigned segment_at;
    uint64_t segment_done;
    uint64_t sent; /* of the body */
    bool with_body;
    bool keep;
};

enum http_job { HTTP_JOB_BEGIN = 1, HTTP_JOB_ADD = 2, HTTP_JOB_END = 4, HTTP_JOB_HANDLE = 8 };

/* Why no more of a body is taken. */
enum http_cut {
    HTTP_CUT_NONE,
    HTTP_CUT_GONE,
    HTTP_CUT_SLOW,
    HTTP_CUT_BAD,
    HTTP_CUT_LARGE,
    HTTP_CUT_MEMORY
};

struct http_exchange {
    struct http_request rq; /* first: handlers know only this */
    struct http_conn *conn;
    struct http_exchange *next; /* in a queue or free list */
    int64_t start_us;           /* first byte of the request */
    bool begun;                 /* rq is filled in */
    bool refused;
    /* body */
    uint64_t body_left; /* of a Content-Length */
    uint64_t body_got;
    bool body_done;
    bool continue_due; /* the client waits for "100 Continue" */
    enum http_cut cut;
    struct http_chunk chunk;
    char *body; /* of a plain route, heap */
    size_t body_len;
    size_t body_size;
    char *spill; /* bytes that follow the body, read together with its end; heap */
    size_t spill_len;
    /* sink and jobs */
    struct http_block *fill;  /* the loop receives into it */
    struct http_block *busy;  /* the worker reads it */
    struct http_block *held;  /* was read last; the sink may still borrow it */
    struct http_block *spare; /* comes next */
    size_t block_size;        /* of the next block */
    unsigned jobs;            /* enum http_job, in this order */
    bool job_out;
    bool sink_begun;
    bool sink_over;    /* end() was or must not be called */
    bool end_complete; /* what end() is told */
    atomic_bool doomed;
    struct http_answer answer;
    struct http_end *ends;
    unsigned ends_inline_used;
    /* ---- kept from request to request, see http_exchange_reset() ---- */
    struct http_head head; /* holds its own limits and fields */
    char *in;              /* read buffer: head, first bytes of the body, requests that follow */
    size_t in_size;
    size_t in_len;
    size_t in_at; /* consumed so far */
    char id[16];
    struct http_segment segments_inline[HTTP_SEGMENTS_INLINE];
    struct http_end ends_inline[HTTP_ENDS_INLINE];
    char fields_inline[HTTP_FIELDS_BYTES];
    char head_inline[HTTP_HEAD_BYTES];
    struct http_field fields[];
};

struct http_exchange *http_exchange_take(struct http_loop *l); /* NULL without memory */
void http_exchange_give(struct http_loop *l, struct http_exchange *x);
/* Ready for the next request of the same connection; what was read of it moves to the front. */
bool http_exchange_reset(struct http_exchange *x);
bool http_exchange_grow(struct http_exchange *x, size_t size); /* the read buffer */
struct http_block *http_block_take(struct http_loop *l, size_t size);
void http_block_give(struct http_loop *l, struct http_block *b); /* NULL is fine */
size_t http_block_next_size(const struct http_loop *l, size_t size, int64_t filled_in_us);
void http_buffers_release(struct http_loop *l);

/* ---- connections (http_conn.c, http_body.c) ---------------------------------------------- */

enum http_state {
    HTTP_NEW, /* accepted, its loop has not seen it yet */
    HTTP_SHAKE,
    HTTP_IDLE,
    HTTP_HEADING,
    HTTP_BODY,
    HTTP_SINK,
    HTTP_WORK,
    HTTP_SEND,
    HTTP_DRAIN,
    HTTP_LINGER,
    HTTP_CLOSED,
};

/* One list of connections for each, in the order of their deadlines. */
enum http_timer {
    HTTP_TIMER_HEAD,
    HTTP_TIMER_IDLE,
    HTTP_TIMER_BODY,
    HTTP_TIMER_SEND,
    HTTP_TIMER_LINGER,
    HTTP_TIMERS,
    HTTP_TIMER_NONE = HTTP_TIMERS
};

struct http_peer { /* a client for the limit per address: IPv4, or the /64 of IPv6 */
    uint64_t high;
    uint64_t low;
};

struct http_conn {
    struct http_loop *loop;
    struct http_exchange *x;                   /* NULL while idle */
    void *tls;                                 /* http_tls.h; NULL for plain TCP */
    struct http_conn *next, *prev;             /* of the loop */
    struct http_conn *timer_next, *timer_prev; /* of the kind */
    struct http_conn *ready_next;              /* wants another turn */
    struct http_conn *dead_next;               /* is to be freed */
    int64_t deadline_ms;
    uint64_t drain_left;
    struct http_peer key;
    int fd;
    unsigned turns;
    size_t moved; /* in this turn */
    uint8_t state;
    uint8_t timer;
    bool readable; /* since the last EAGAIN */
    bool writable;
    bool hung_up; /* the peer sends no more: read to the end even after a short read */
    bool touched; /* the deadline starts anew */
    bool ready;
    uint8_t text_len;
    char text[INET6_ADDRSTRLEN];
};

/* What epoll says of it; the first event is the one that its loop adopts it by. */
void http_conn_event(struct http_conn *c, uint32_t events);
void http_conn_step(struct http_conn *c); /* as far as it goes without waiting */
void http_conn_job_done(struct http_exchange *x);
void http_conn_expired(struct http_conn *c);
void http_conn_close(struct http_conn *c); /* at once; later, when a worker has its request */
/* The request has its answer, by handler or refusal: begin to send it. */
void http_conn_answered(struct http_conn *c);
void http_conn_refuse(struct http_conn *c, const struct http_refusal *why);
void http_conn_run(struct http_conn *c); /* handle(), here or on a worker */
void http_conn_submit(struct http_exchange *x, unsigned jobs);

/* >0: bytes; otherwise one of these. Clears `readable` or `writable`. */
enum { HTTP_IO_END = 0, HTTP_IO_WAIT = -1, HTTP_IO_ERROR = -2 };
ssize_t http_conn_recv(struct http_conn *c, void *bytes, size_t len);
void http_conn_continue(struct http_conn *c); /* "100 Continue", when it is due */

/* False: nothing to do until something happens. */
bool http_body_step(struct http_conn *c);
bool http_sink_step(struct http_conn *c);
void http_body_begin(struct http_conn *c);
void http_sink_job_done(struct http_exchange *x);
void http_sink_cut(struct http_conn *c, enum http_cut why);
/* Reads what is there of an unwanted body, without waiting, up to HTTP_DRAIN_BYTES. */
void http_body_drop(struct http_conn *c);

/* ---- answers (http_answer.c, http_send.c) ------------------------------------------------ */

void http_answer_init(struct http_exchange *x);
/* Puts the head together. False without memory. */
bool http_answer_compose(struct http_exchange *x);
void http_answer_release(struct http_exchange *x);
/* 1: all sent; HTTP_IO_WAIT; HTTP_IO_ERROR; 2: this turn's share is used up. */
int http_answer_send(struct http_conn *c);
void http_ends_run(struct http_exchange *x);

/* ---- loops, workers, server --------------------------------------------------------------- */

struct http_route_cells;

struct http_timer_list {
    struct http_conn *first, *last;
};

struct http_loop {
    struct http_server *server;
    pthread_t thread;
    bool started;
    int epoll;
    int wake; /* eventfd */
    int64_t now_ms;
    int64_t now_us;
    int64_t date_s;
    char date[CLOCK_HTTP_DATE_SIZE];
    uint64_t id_next;
    struct http_conn *conns;
    struct http_conn *ready; /* want another turn */
    struct http_conn *dead;  /* freed after the events at hand */
    struct http_timer_list timers[HTTP_TIMERS];
    struct http_exchange *free_exchanges;
    unsigned free_exchange_count;
    struct http_block *free_blocks[HTTP_BLOCK_CLASSES];
    unsigned free_block_counts[HTTP_BLOCK_CLASSES];
    int64_t bytes_in; /* not yet in the metrics */
    int64_t bytes_out;
    int64_t listen_again_ms; /* 0: listening; otherwise descriptors had run out */
    bool listening;
    bool stopping_seen;
    bool killed;
    atomic_uint count; /* connections given to it */
    struct lock lock;  /* of the inbox */
    struct http_exchange *inbox;
    struct http_route_cells *cells;
    char *scratch;
};

struct http_pool {
    struct lock lock;
    pthread_cond_t more;
    struct http_exchange *first, *last;
    bool stopping;
    unsigned idle;
    unsigned count;
    pthread_t *threads;
};

struct http_address_entry;

struct http_addresses { /* connections per address */
    struct lock lock;
    struct http_address_entry **buckets;
};

struct http_listener {
    int fd;
    char text[128];
};

struct http_server {
    struct http_options o; /* with defaults filled in; the strings in it are not used after start */
    struct http_app app;
    str app_headers;
    struct http_head_limits limits;
    struct http_listener *listeners;
    size_t listener_count;
    struct http_loop *loops;
    struct http_pool pool;
    struct http_addresses addresses;
    struct http_tls *tls;
    atomic_uint connections;
    atomic_bool stopping;
    _Atomic int64_t stop_at_ms;
};

/* All loops are ready before the first one runs: each hands connections to the others. */
MUST_CHECK enum st http_loop_init(struct http_loop *l, struct http_server *s, struct err *err);
MUST_CHECK enum st http_loop_start(struct http_loop *l, struct err *err);
void http_loop_wake(struct http_loop *l);
void http_loop_release(struct http_loop *l);                   /* its thread is gone */
void http_loop_push(struct http_exchange *x);                  /* from a worker: hands `x` back */
void http_loop_ready(struct http_conn *c);                     /* another turn, after the others */
void http_loop_arm(struct http_conn *c, enum http_timer kind); /* moves it to the list's end */
void http_loop_add(struct http_conn *c);
void http_loop_remove(struct http_conn *c); /* freed once the events at hand are through */
/* Metrics (http_count.c). */
void http_count_request(struct http_loop *l, const struct http_route *route, int code,
                        int64_t duration_us);
void http_count_refusal(const char *reason);
void http_count_release(struct http_loop *l);

void http_accept(struct http_loop *l, struct http_listener *from);
void http_accept_forget(struct http_conn *c); /* gives its place back */
MUST_CHECK enum st http_addresses_init(struct http_addresses *t, struct err *err);
void http_addresses_release(struct http_addresses *t);

MUST_CHECK enum st http_pool_start(struct http_pool *p, unsigned count, struct err *err);
void http_pool_push(struct http_pool *p, struct http_exchange *x);
void http_pool_stop(struct http_pool *p);
/* All signals are blocked in it: SIGPIPE must not kill, others belong to main(). */
MUST_CHECK enum st http_thread_start(pthread_t *thread, void *(*fn)(void *), void *arg,
                                     struct err *err);

static inline struct http_exchange *http_exchange_of(struct http_request *rq)
{
    return CONTAINER_OF(rq, struct http_exchange, rq);
}

#endif
