/* SPDX-License-Identifier: Apache-2.0
 *
 * keys - the signing keys of the token service: EC keys on P-256 (ES256), in rows
 * (meta/signing_keys.h).
 *
 *     made ──▶ signs ──(a newer one)──▶ verifies ──(what it signed is over)──▶ dropped
 *
 *  1. The newest key signs. A key is dropped when the key that came after it is older than the
 *     longest life of a token: then all that it signed is over, however late the change was.
 *  2. A set of keys never changes; it goes with its last reference.
 *
 * Threads: any; keys_load() and keys_rotate() one at a time.
 */
#ifndef EBB_KEYS_H
#define EBB_KEYS_H

#include "auth/cache.h"
#include "base/arena.h"
#include "meta/registry.h"
#include "meta/signing_keys.h"

#include <cjose/cjose.h>

#define KEYS_MAX   1000
#define KEY_ID_MAX ((size_t)64)

struct key {
    str kid;
    int64_t created_at;
    cjose_jwk_t *jwk;
};
struct key_set {
    struct counted counted;
    struct arena arena;
    struct key *keys; /* newest first */
    size_t count;
    str public; /* a JSON Web Key Set */
};

MUST_CHECK enum st keys_load(struct registry *r, struct key_set **out, struct err *err);
/* NULL when there is none of this id. */
const struct key *keys_find(const struct key_set *s, str kid);
/* A fresh key, as a row; strings in `a`. */
MUST_CHECK enum st keys_make(int64_t now, struct arena *a, struct signing_key *out,
                             struct err *err);
/* Before which time keys were made that may be dropped at `now`; 0: none. */
int64_t keys_over(const struct key_set *s, int64_t now, int64_t longest_life_ms);

#endif
