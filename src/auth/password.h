/* SPDX-License-Identifier: Apache-2.0
 *
 * password - crypt(5) hashes by libxcrypt, a few at a time.
 *
 *  1. New hashes are yescrypt ("$y$") at the library's cost; every hash that begins with "$" and
 *     that the library knows is verified.
 *  2. As many hashes run at once as there are cores. Others wait for their turn, up to
 *     PASSWORD_WAITERS of them; the next is turned away, so that guessers cannot take all workers.
 *     Who waits for the very same question does not count, however many jobs begin at once: its
 *     answer will do for all.
 *  3. Checking without a hash (nobody has that name) hashes against a dummy of the same cost.
 *
 * Slow: a tenth of a second. Threads: any; the caller holds no lock.
 */
#ifndef EBB_PASSWORD_H
#define EBB_PASSWORD_H

#include "base/err.h"
#include "base/signature.h"
#include "base/str.h"

#define PASSWORD_MIN      8
#define PASSWORD_HASH_MAX 384 /* with its NUL */
#define PASSWORD_WAITERS  16

struct password_engine;
MUST_CHECK enum st password_engine_new(struct password_engine **out, struct err *err);
void password_engine_free(struct password_engine *p); /* NULL is fine */

/* A turn. `question` tells equal ones apart from others. ST_OK: password_end() must follow.
 * ST_EXISTS: somebody asked the same and has the answer now; look for it. ST_BUSY: too many. */
MUST_CHECK enum st password_begin(struct password_engine *p,
                                  const uint8_t question[static HASH256_BYTES], struct err *err);
void password_end(struct password_engine *p, const uint8_t question[static HASH256_BYTES]);

/* Within a turn. `hash` unset: against the dummy; never matches. ST_MISMATCH. */
MUST_CHECK enum st password_check(struct password_engine *p, str password, str hash,
                                  struct err *err);
/* Without a turn: only who may change passwords gets here. ST_INVALID. */
MUST_CHECK enum st password_make(str password, char out[static PASSWORD_HASH_MAX], struct err *err);
/* Whether password_check() can verify against it. */
bool password_hash_is_known(str hash);
/* How many hashes were run. */
uint64_t password_count(const struct password_engine *p);

#endif
