/* SPDX-License-Identifier: Apache-2.0
 *
 * signing_keys - rows of signing_key: the keys of the token service (auth/keys.h). Functions run
 * inside the caller's transaction. Times are the registry's own, in milliseconds. Strings that come
 * out live in the arena given.
 */
#ifndef EBB_SIGNING_KEYS_H
#define EBB_SIGNING_KEYS_H

#include "base/arena.h"
#include "db/db.h"

/* A key of the token service, as a JSON Web Key with its private part. The newest signs; the others
 * verify until they are dropped, so that rotating breaks no client. */
struct signing_key {
    str kid;
    str jwk;
    int64_t created_at;
};
#define SIGNING_KEYS_MAX 1000 /* listed; the newest */
MUST_CHECK enum st signing_keys_add(struct db_tx *tx, const struct signing_key *in,
                                    struct err *err);
/* Newest first. */
MUST_CHECK enum st signing_keys_list(struct db_tx *tx, struct arena *a, struct signing_key **out,
                                     size_t *count, struct err *err);
/* All that were made before `before`, but never the newest. */
MUST_CHECK enum st signing_keys_drop(struct db_tx *tx, int64_t before, struct err *err);

#endif
