/* SPDX-License-Identifier: Apache-2.0
 *
 * http_tls - TLS 1.2 and later below the server, on sockets that do not block. Sessions are opaque.
 *
 * Threads: a struct http_tls may be used by any; a session belongs to one thread at a time.
 */
#ifndef EBB_HTTP_TLS_H
#define EBB_HTTP_TLS_H

#include <sys/types.h>

#include "base/err.h"

struct http_tls;

/* Reads certificate (with its chain) and key, both PEM files. */
MUST_CHECK enum st http_tls_open(const char *cert, const char *key, struct http_tls **out,
                                 struct err *err);
/* Reads them again for sessions to come; on failure the old ones stay. */
MUST_CHECK enum st http_tls_reload(struct http_tls *t, struct err *err);
void http_tls_close(struct http_tls *t); /* NULL is fine; sessions may outlive it */

void *http_tls_session_new(struct http_tls *t, int fd); /* NULL without memory */
void http_tls_session_free(void *session);

/* >0: bytes (or done); 0: the peer ended; -1: wait for the socket; -2: failed. After -1, send is
 * called again with at least the same bytes; they may stand elsewhere. */
int http_tls_shake(void *session);
ssize_t http_tls_recv(void *session, void *bytes, size_t len);
ssize_t http_tls_send(void *session, const void *bytes, size_t len);
void http_tls_goodbye(void *session); /* tells the peer that no more comes */

#endif
