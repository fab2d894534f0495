/* SPDX-License-Identifier: Apache-2.0
 *
 * listen - which addresses a registry without accounts may listen on.
 */
#ifndef EBB_LISTEN_H
#define EBB_LISTEN_H

#include "base/err.h"
#include "base/str.h"

/* "host:port" or "[v6]:port". ST_INVALID with words that follow the address in a sentence. */
MUST_CHECK enum st listen_check(str address, struct err *err);

/* ST_DENIED with a sentence that explains the choice unless everything that the address's name
 * resolves to is in 127.0.0.0/8 or is ::1. Asks the resolver: may block. */
MUST_CHECK enum st listen_check_loopback(const char *address, struct err *err);

#endif
