/* SPDX-License-Identifier: Apache-2.0
 *
 * loop - one thread, one epoll, its share of the connections; each has one request under way.
 *
 *   next() ─▶ sending ─▶ reading the head ─▶ reading the body ─▶ answer() ─▶ next() …
 *
 * With options.rate the next request waits for its time, and its latency counts from that time: a
 * server that stalls is charged for the requests that should have been sent meanwhile.
 *
 * A connection that the server closed between two requests is opened again and the request repeated
 * (counted as a reconnect); one that breaks later is an error.
 */
#ifndef BENCH_LOOP_H
#define BENCH_LOOP_H

#include "stats.h"
#include "wire.h"

#include <openssl/evp.h>
#include <sys/uio.h>

#define LOOP_HEAD_MAX   3072
#define LOOP_BODY_PARTS 3

struct loop;

struct conn {
    struct loop *loop;
    void *state; /* of the work */
    int fd;
    unsigned number;

    /* The request; filled by next(). */
    enum kind kind;
    bool bodyless; /* HEAD */
    size_t head_len;
    char head[LOOP_HEAD_MAX];
    struct iovec body[LOOP_BODY_PARTS];
    unsigned body_parts;

    /* Its progress. */
    int64_t begin_ns;
    struct iovec left[LOOP_BODY_PARTS + 1];
    unsigned left_at;
    unsigned left_count;
    bool wants_out;
    bool used; /* had an answer on this connection */

    /* The answer. */
    bool in_body;
    struct wire_answer answer; /* location is valid in answer() only when the body came with it */
    char location[WIRE_LOCATION_MAX];
    bool has_location;
    struct wire_body rest;
    char *part; /* of a head that came in pieces */
    size_t part_len;

    bool waits;             /* for its time */
    struct conn *next_idle; /* with options.rate */
};

struct loop {
    struct stats stats;
    uint64_t random;
    EVP_MD_CTX *digest;
    int epoll;
    unsigned active; /* connections that are not finished */
    bool stopping;
    bool measuring;
    struct conn **conns;
    unsigned conn_count;
    struct conn *idle;
    int64_t due_ns;
    int64_t interval_ns;
    char buf[256 * 1024];
};

struct loop_ops {
    void (*setup)(void);            /* once, not measured; may be NULL */
    void (*open)(struct conn *c);   /* once a connection; may be NULL */
    bool (*next)(struct conn *c);   /* fills the request; false: this connection is finished */
    void (*answer)(struct conn *c); /* c->answer is complete */
    void (*broken)(struct conn *c); /* the request failed; may be NULL */
};

extern const struct loop_ops get_ops;
extern const struct loop_ops delete_ops;
extern const struct loop_ops push_ops;
extern const struct loop_ops fill_ops;

/* The number of the next unit of work; false when there is none left or the time is over. */
bool loop_take(struct conn *c, uint64_t *index);

/* Fills c->head. */
void loop_head(struct conn *c, enum kind kind, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* Counts an answer with a code that is not the wanted one. */
bool loop_expect(struct conn *c, int code);

#endif
