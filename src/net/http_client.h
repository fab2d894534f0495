/* SPDX-License-Identifier: Apache-2.0
 *
 * http_client - asks a server, once, and waits for the whole answer.
 *
 *  1. An answer of any code is ST_OK; failures are those of asking, worded for a person.
 *  2. Redirects are not followed. http:// and https:// only.
 *  3. Everything has a limit: the body, the time to connect, the time in all.
 *  4. No header stands in a message, so credentials may be among them.
 *
 * Threads: any; each call is on its own, but for its session.
 */
#ifndef EBB_HTTP_CLIENT_H
#define EBB_HTTP_CLIENT_H

#include "base/buf.h"

/* Keeps connections from one question to the next. {0} is ready; one thread at a time. It lasts as
 * long as the process. */
struct http_session {
    void *curl;
};

struct http_ask {
    const char *method; /* "GET" */
    const char *url;
    const char *const *headers;   /* "Name: value", ended by NULL; or NULL */
    str body;                     /* unset: none */
    const char *ca;               /* a PEM file to trust instead of the system's; or NULL */
    bool direct;                  /* through no proxy, whatever the environment says */
    size_t answer_max_bytes;      /* 0: 1 MiB */
    int64_t connect_timeout_ms;   /* 0: 10 s */
    int64_t timeout_ms;           /* 0: 60 s */
    struct http_session *session; /* or NULL: the connection is closed after the answer */
};

struct http_reply {
    int code;
    struct buf body;
    char location[1024];   /* "" when there is none */
    int64_t retry_after_s; /* 0 when there is none in seconds */
};

/* ST_INVALID: no such URL. ST_GONE: the server cannot be reached, or broke off. ST_TOO_LARGE.
 * Release *out after ST_OK. */
MUST_CHECK enum st http_client_ask(const struct http_ask *ask, struct http_reply *out,
                                   struct err *err);
void http_reply_release(struct http_reply *r); /* a zeroed one is fine */

#endif
