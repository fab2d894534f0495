/* SPDX-License-Identifier: Apache-2.0
 *
 * wire - the little HTTP/1.1 a client needs: the head of an answer, the end of its body, and one
 * blocking exchange. It trusts the server it measures to frame correctly.
 */
#ifndef BENCH_WIRE_H
#define BENCH_WIRE_H

#include "load.h"

#include <sys/types.h>

#define WIRE_LOCATION_MAX 2048

struct wire_answer {
    int code;
    uint64_t length;
    bool chunked;
    bool close;
    const char *location; /* borrowed from the parsed bytes, NULL when absent */
    size_t location_len;
};

/* Length of the head; 0 when it is not complete yet, -1 when it is not HTTP. */
ssize_t wire_parse(const char *bytes, size_t len, struct wire_answer *out);

/* Where in a body we are. */
struct wire_body {
    enum { WIRE_PLAIN, WIRE_SIZE, WIRE_EXTENSION, WIRE_DATA, WIRE_DATA_END, WIRE_TRAILER } state;
    bool line_empty; /* the trailer's current line */
    uint64_t left;   /* of the body (plain) or the chunk */
};

void wire_body_init(struct wire_body *b, const struct wire_answer *a);
/* Takes bytes of the body; true when it is over. Adds the payload's length to *payload. */
bool wire_body_eat(struct wire_body *b, const char *bytes, size_t len, uint64_t *payload);

/* A connected socket, or -1 with errno. `source` chooses the client's address 127.0.0.(1+n). */
int wire_connect(unsigned source, bool nonblocking);

/* Sends everything or ends the process. */
void wire_send(int fd, const void *bytes, size_t len);
/* Reads one answer and drops its body; returns the code, 0 when the connection broke. The target in
 * its Location, without scheme and host, goes to `location` (WIRE_LOCATION_MAX) unless NULL. */
int wire_answer_read(int fd, char *location, bool *close);
/* Copies the target of a Location header: servers send it absolute or relative. */
bool wire_location(const struct wire_answer *a, char out[static WIRE_LOCATION_MAX]);
/* POSTs an upload session over a blocking connection; dies unless 202. */
void wire_upload_begin(int fd, const char *repo, char location[static WIRE_LOCATION_MAX]);

#endif
