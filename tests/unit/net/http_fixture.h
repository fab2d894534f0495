/* SPDX-License-Identifier: Apache-2.0
 *
 * A real server with a small application, and a client that says exactly the bytes it is told to.
 *
 *   /hello   5 bytes, on the loop            /work     the same on a worker
 *   /echo    the body (at most 1 MiB)        /sink     counts its body: "<bytes> <sum>"
 *   /no      a sink that refuses in begin()  /mid      a sink that refuses in its first add()
 *   /file/<offset>/<length>  of a 5 MiB file, byte i of which is i % 251; /short promises too much
 *   /block   waits in a worker for app.go    /none     answers nothing
 *   /arena   needs more than it may have     /split    a header with a line break in it
 *   /small   a body of at most 10 bytes      /query    the parameter "q", decoded
 */
#ifndef EBB_TESTS_HTTP_FIXTURE_H
#define EBB_TESTS_HTTP_FIXTURE_H

#include "net/http.h"

#define FILE_BYTES ((size_t)(5 * MIB))

struct app_seen { /* guarded by app_lock(); each change wakes app_wait() */
    unsigned begun;
    unsigned ended;
    bool complete;  /* of the last end() */
    uint64_t bytes; /* given to add() since the last begin() */
    unsigned adds;
    unsigned done;     /* requests over */
    unsigned released; /* http_on_end() */
    struct http_outcome outcome;
    char last_reason[64];
    unsigned blocked;
    bool go;
};
extern struct app_seen app;

void app_reset(void);
/* Waits up to 10 s for `ready`, checked after each change. */
bool app_wait(bool (*ready)(const struct app_seen *seen));
void app_let_go(void);

extern const struct http_app test_app;
/* Starts on a free port of 127.0.0.1; `o` may be NULL. Fails the test when it cannot. */
struct http_server *server_start(const struct http_options *o);
int client_open(const struct http_server *s); /* receives give up after 10 s */
void client_send(int fd, const char *text);
void client_send_bytes(int fd, const void *bytes, size_t len);
bool client_try_send(int fd, const void *bytes, size_t len);

struct reply {
    int code; /* 0: the connection ended first */
    char head[8192];
    char *body; /* NUL-terminated; freed by the next client_reply() into it or reply_free() */
    size_t body_len;
};
/* One answer: by Content-Length; `head_only` for HEAD. False when the connection ended inside. */
bool client_reply(int fd, struct reply *r, bool head_only);
void reply_free(struct reply *r);
/* Everything until the end; the answer is NUL-terminated and malloc()ed. */
char *client_rest(int fd);
/* True when the server closes without sending anything more. */
bool client_closed(int fd);

#endif
