/* SPDX-License-Identifier: Apache-2.0
 *
 * The engine's insides.
 *
 *  1. What was read from rows is of an epoch. auth_write() counts on after its commit, and so does
 *     engine_freshen() when the setting "auth.version", a random text that every auth_write() of
 *     any node sets anew, is not the one that was known, or when the htpasswd file changed. Who
 *     reads notes the epoch first: what was read before a change is never found after it.
 *  2. Signatures and passwords that were found right are kept by what they were checked against,
 *     and do not depend on the epoch: a stored hash that changed is another question.
 *  3. engine_freshen() looks at most once in CHECK_MS. Who may not read the database relies on what
 *     is remembered for STALE_MS after the last look and no longer.
 */
#ifndef EBB_AUTH_INT_H
#define EBB_AUTH_INT_H

#include "auth/auth.h"
#include "auth/htpasswd.h"
#include "auth/jwt.h"
#include "auth/keys.h"
#include "auth/notes.h"
#include "auth/password.h"
#include "auth/secret.h"
#include "auth/subject.h"
#include "auth/throttle.h"
#include "base/lock.h"

#define AUTH_VERSION "auth.version"
#define VERSION_MAX  64

#define CHECK_MS    ((int64_t)1000)
#define STALE_MS    ((int64_t)3000)
#define REMEMBER_MS ((int64_t)10 * 60 * 1000)

struct auth {
    struct registry *registry;
    struct auth_options options; /* with texts of our own */
    struct password_engine *passwords;
    struct throttle *throttle;
    struct htpasswd *htpasswd; /* or NULL */
    struct notes *notes;
    uint8_t secret[SECRET_KEYED_BYTES]; /* of remembered passwords; of this process */

    atomic_uint_fast64_t epoch;
    _Atomic int64_t checked_at;
    struct cache *worlds, *subjects, *tokens; /* of the epoch */
    struct cache *jwts, *passed;
    struct counted yes; /* what `passed` holds; never freed */

    struct lock keys_lock;
    struct key_set *keys;

    struct lock load_lock; /* of what follows */
    char version[VERSION_MAX];
    int64_t keys_loaded_at;

    struct lock tick_lock; /* of what follows */
    int64_t expired_at;
};

/* How something is looked up, and for whom. */
struct look {
    struct auth *auth;
    int64_t now;
    bool may_read; /* the database; otherwise what is not remembered is ST_BUSY */
};

/* Before rows are relied on. */
MUST_CHECK enum st engine_freshen(struct auth *a, int64_t now, struct err *err);
bool engine_is_fresh(const struct auth *a, int64_t now);
void engine_forget(struct auth *a);
/* References, for counted_drop(). ST_NOT_FOUND, ST_BUSY. */
MUST_CHECK enum st engine_subject(const struct look *l, str name,
                                  const uint8_t key[static CACHE_KEY_BYTES], struct subject **out,
                                  struct err *err);
MUST_CHECK enum st engine_token(const struct look *l, const uint8_t key[static CACHE_KEY_BYTES],
                                int64_t id, struct known_token **out, struct err *err);
/* One that was made a moment ago need not be verified when it comes. As well as memory goes. */
void engine_remember_jwt(struct auth *a, str text, const struct jwt_claims *claims);
/* ST_DENIED, ST_EXPIRED, ST_BUSY. */
MUST_CHECK enum st engine_jwt(const struct look *l, str text, struct known_jwt **out,
                              struct err *err);
struct key_set *engine_keys(struct auth *a);
MUST_CHECK enum st engine_load_keys(struct auth *a, struct err *err);

/* Who a JWT of our own stands for. ST_DENIED. Takes over the reference to `jwt`. */
MUST_CHECK enum st identity_of_jwt(const struct look *l, struct known_jwt *jwt, struct arena *arena,
                                   struct identity *out, struct err *err);
void identity_everybody(struct identity *out); /* of AUTH_OPEN */
/* By name and password: identify_password.c. */
MUST_CHECK enum st identify_password(const struct look *l, const struct credentials *c,
                                     struct subject **out, struct auth_refusal *refusal,
                                     struct err *err);
void engine_note(struct auth *a, const struct credentials *c, const char *action, str object,
                 const char *detail, int64_t now);

#endif
