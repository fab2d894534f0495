/* SPDX-License-Identifier: Apache-2.0
 *
 * server - the parts of a running registry, in the order in which they start:
 *
 *   data directory's lock, database, content, accounts, reclaimer, HTTP server, housekeeping
 *
 * They stop in the opposite order. Dying at any point in between is what kill -9 does: nothing
 * acknowledged is lost, and the lock goes with the process.
 *
 * Threads: start and stop belong to one thread; the rest any.
 */
#ifndef EBB_SERVER_H
#define EBB_SERVER_H

#include "server/config.h"

struct server;

/* `config` is borrowed until server_stop(). */
MUST_CHECK enum st server_start(const struct config *config, struct server **out, struct err *err);
/* The i-th address listened on, of config->listen.count: "127.0.0.1:5000". Borrowed. */
str server_address(const struct server *s, size_t i);
MUST_CHECK enum st server_reload_tls(struct server *s, struct err *err);
/* Lets running requests end for up to http.stop_timeout. */
void server_stop(struct server *s);

#endif
