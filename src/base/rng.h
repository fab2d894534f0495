/* SPDX-License-Identifier: Apache-2.0
 *
 * rng - unguessable ids from the kernel, and a seeded generator for tests and jitter.
 */
#ifndef EBB_RNG_H
#define EBB_RNG_H

#include "base/base.h"

#define RNG_ID_LEN 32 /* lower-case hex digits, 128 bits */

/* A fresh unguessable id, NUL-terminated. Aborts when the kernel gives no random bytes. */
void rng_id(char out[static RNG_ID_LEN + 1]);

/* xorshift64*: repeatable, not for secrets. The state must not be 0. */
uint64_t rng_next(uint64_t *state);

#endif
