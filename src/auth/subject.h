/* SPDX-License-Identifier: Apache-2.0
 *
 * subject - what rows say about somebody, read once and shared: an account with its roles, a token,
 * what everybody may see. They never change; auth_int.h says when they are read again.
 */
#ifndef EBB_SUBJECT_H
#define EBB_SUBJECT_H

#include "auth/cache.h"
#include "auth/htpasswd.h"
#include "auth/jwt.h"
#include "meta/accounts.h"
#include "meta/members.h"

/* What is public. */
struct world {
    struct counted counted;
    struct arena arena;
    struct access_visibility *visibility;
    size_t visibility_count;
};
MUST_CHECK enum st world_load(struct db_tx *tx, struct world **out, struct err *err);

/* Everybody who has a name, and "" for who has none. */
struct subject {
    struct counted counted;
    struct arena arena;
    struct world *world;
    struct account account; /* {0} with name "anonymous"; the hash may be that of the file */
    int64_t generation;     /* of the account, and of what the file says of it */
    bool may_log_in;
    struct access_member *members;
    size_t member_count;
    _Atomic int64_t used_at; /* the last use that was noted */
};
/* ST_NOT_FOUND. `table` may be NULL; a reference to `world` is taken. */
MUST_CHECK enum st subject_load(struct db_tx *tx, str name, const struct htpasswd_table *table,
                                struct world *world, struct subject **out, struct err *err);
void subject_key(str name, uint8_t out[static CACHE_KEY_BYTES]);

struct known_token {
    struct counted counted;
    struct arena arena;
    struct access_token row;
    uint8_t subject[CACHE_KEY_BYTES];
    struct access_member member; /* of a deploy token */
    _Atomic int64_t used_at;
};
/* By its hash, or by its id when that is NULL. ST_NOT_FOUND. */
MUST_CHECK enum st known_token_load(struct db_tx *tx, const uint8_t *hash, int64_t id,
                                    struct known_token **out, struct err *err);
void known_token_key(int64_t id, uint8_t out[static CACHE_KEY_BYTES]);

/* A token whose signature was seen to be right. */
struct known_jwt {
    struct counted counted;
    struct arena arena;
    struct jwt_claims claims;
    str signed_part; /* what stands before its signature */
    uint8_t subject[CACHE_KEY_BYTES];
    uint8_t token[CACHE_KEY_BYTES];
};
MUST_CHECK enum st known_jwt_new(struct known_jwt **out, struct err *err);

#endif
