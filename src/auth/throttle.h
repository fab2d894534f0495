/* SPDX-License-Identifier: Apache-2.0
 *
 * throttle - slows who guesses passwords (auth.h, 4). Pure but for its random key: times are given.
 *
 *     five failures within ten minutes are free; each further one makes the next wait 1, 2, 4, ...
 *     60 s
 *
 *  1. Failures are counted by address, by account, and by both together. What counts for somebody
 *     is the worst of the three; for an account that logged in from that address before, only what
 *     failed for it from there.
 *  2. A log-in forgives the failures of that account from that address, and no others: neither
 *     does a guesser's own account help him, nor does a guesser lock out who mistyped.
 *  3. An IPv6 address counts by its /64, which one subscriber has.
 *  4. The tables are bounded. Who is evicted starts anew; of those in the way the one that matters
 *     least goes.
 *
 * Threads: any.
 */
#ifndef EBB_THROTTLE_H
#define EBB_THROTTLE_H

#include "base/err.h"
#include "base/str.h"

#define THROTTLE_FREE      5
#define THROTTLE_WINDOW_MS ((int64_t)10 * 60 * 1000)
#define THROTTLE_WAIT_MAX  ((int64_t)60 * 1000)
#define THROTTLE_ENTRIES   8192 /* in each of three tables */

struct throttle;
MUST_CHECK enum st throttle_new(struct throttle **out, struct err *err);
void throttle_free(struct throttle *t); /* NULL is fine */

/* How long until the next attempt is looked at, in ms; 0: it is. *trusted: the account logged in
 * from there before. */
int64_t throttle_wait_ms(struct throttle *t, str peer, str account, int64_t now, bool *trusted);
/* Notes a failure; as above. */
int64_t throttle_fail(struct throttle *t, str peer, str account, int64_t now);
void throttle_pass(struct throttle *t, str peer, str account, int64_t now);

#endif
