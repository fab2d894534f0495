/* SPDX-License-Identifier: Apache-2.0
 *
 * housekeeping - what has to be done about once a second, whether or not anybody asks: auth_tick()
 * and removal_step(). Each has a thread of its own, since deleting a large repository takes a while
 * and the audit log must not wait for it.
 *
 * Threads: start and stop belong to one thread.
 */
#ifndef EBB_HOUSEKEEPING_H
#define EBB_HOUSEKEEPING_H

#include "auth/auth.h"
#include "deletion/deletion.h"

struct housekeeping;

/* All of them must outlive it. */
MUST_CHECK enum st housekeeping_start(struct registry *registry, struct auth *auth,
                                      struct deletion *deletion, struct housekeeping **out,
                                      struct err *err);
/* Waits for what is under way. NULL is fine. */
void housekeeping_stop(struct housekeeping *h);

#endif
