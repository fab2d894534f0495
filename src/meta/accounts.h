/* SPDX-License-Identifier: Apache-2.0
 *
 * accounts - rows of account and access_token: who there is, and by which secrets they are known.
 * Functions run inside the caller's transaction; whoever writes must tell auth/ (auth_write()).
 *
 *  1. A name is never given to somebody else: a removed account keeps its row, disabled and
 *     without a name that can log in, so receipts go on meaning the same person.
 *  2. No secret is stored: of a password the crypt(5) hash, of a token SHA-256 (its 200 random bits
 *     need no slow hash).
 *  3. `generation` changes whenever refresh tokens and remembered passwords must stop working:
 *     another password, disabled, enabled, removed.
 *
 * Names: 1 to 64 bytes of [a-z0-9._@+-], the first a letter or digit; `anonymous` is nobody's, and
 * what starts with `deploy-token-` is no account's.
 * Times are the registry's own, in milliseconds. Strings that come out live in the arena given.
 */
#ifndef EBB_ACCOUNTS_H
#define EBB_ACCOUNTS_H

#include "base/arena.h"
#include "db/db.h"
#include "policy/access.h"

#define ACCOUNT_NAME_MAX  ((size_t)64)
#define ACCOUNTS_HASH_MAX 384 /* CRYPT_OUTPUT_SIZE */

enum account_kind {
    ACCOUNT_PERSON,   /* logs in with a password, or with its tokens */
    ACCOUNT_ROBOT,    /* tokens only */
    ACCOUNT_HTPASSWD, /* a person whose password is in the htpasswd file */
};
struct account {
    int64_t id;
    str name;
    enum account_kind kind;
    str hash; /* of the password, or unset */
    bool administrator;
    bool disabled;
    int64_t generation;
    int64_t created_at;
    int64_t used_at; /* last log-in, to the hour; 0: never */
    str note;        /* or unset */
};

/* ST_INVALID with a sentence. */
MUST_CHECK enum st account_name_check(str name, struct err *err);

#define ACCOUNT_NOTE_MAX 1000
/* Of `in`: name, kind, hash, administrator, created_at, note. ST_EXISTS: the name is taken, or was.
 * ST_INVALID: a name that is none, a note that is too long, a hash for who has no password here. */
MUST_CHECK enum st accounts_add(struct db_tx *tx, const struct account *in, int64_t *id,
                                struct err *err);
MUST_CHECK enum st accounts_find(struct db_tx *tx, str name, struct arena *a, struct account *out,
                                 struct err *err); /* ST_NOT_FOUND; not a removed one */
MUST_CHECK enum st accounts_find_id(struct db_tx *tx, int64_t id, struct arena *a,
                                    struct account *out, struct err *err);
/* After name `after`, up to `limit`. */
MUST_CHECK enum st accounts_list(struct db_tx *tx, str after, size_t limit, struct arena *a,
                                 struct account **out, size_t *count, struct err *err);
MUST_CHECK enum st accounts_count(struct db_tx *tx, uint64_t *out, struct err *err);
/* What to change; the rest stays. ST_DENIED: no administrator would be left who can log in with a
 * password. ST_INVALID as above. `hash` unset: no password. */
struct account_change {
    bool set_hash, set_administrator, set_disabled, set_note;
    str hash;
    bool administrator, disabled;
    str note;
};
MUST_CHECK enum st accounts_change(struct db_tx *tx, str name, const struct account_change *change,
                                   struct err *err);
/* With its tokens and roles. ST_DENIED as above. */
MUST_CHECK enum st accounts_remove(struct db_tx *tx, str name, struct err *err);
/* Writes nothing within the same hour. */
MUST_CHECK enum st accounts_note_use(struct db_tx *tx, int64_t id, int64_t now, struct err *err);

/* ---- tokens --------------------------------------------------------------------------------- */

#define TOKEN_HASH_BYTES 32
/* A personal token acts as its account, within its prefix and scopes. A deploy token (account_id 0)
 * acts as itself: its scopes are its rights below its prefix, which is not ""; it is called
 * "deploy-token-<id>" in receipts and logs. */
struct access_token {
    int64_t id;
    int64_t account_id; /* 0: a deploy token */
    str account;        /* its name; unset of a deploy token */
    str name;           /* what its owner calls it */
    str prefix;         /* "": everywhere */
    unsigned scopes;
    int64_t created_at;
    int64_t expires_at; /* 0: never */
    int64_t used_at;    /* to the minute; 0: never */
    str created_by;
};
#define TOKEN_NAME_MAX 255
#define TOKENS_MAX     1000 /* of one account, and of one prefix */
/* ST_INVALID; ST_NOT_FOUND without the account; ST_TOO_LARGE over TOKENS_MAX. A number is given
 * once. */
MUST_CHECK enum st tokens_add(struct db_tx *tx, const struct access_token *in,
                              const uint8_t hash[static TOKEN_HASH_BYTES], int64_t *id,
                              struct err *err);
/* ST_NOT_FOUND. Whether it is over is not looked at. */
MUST_CHECK enum st tokens_find(struct db_tx *tx, const uint8_t hash[static TOKEN_HASH_BYTES],
                               struct arena *a, struct access_token *out, struct err *err);
MUST_CHECK enum st tokens_find_id(struct db_tx *tx, int64_t id, struct arena *a,
                                  struct access_token *out, struct err *err);
enum tokens_whose { TOKENS_ALL, TOKENS_OF_ACCOUNT, TOKENS_DEPLOY };
/* After id `after`. `account_id` with TOKENS_OF_ACCOUNT; `prefix` with TOKENS_DEPLOY: those on it
 * or below it. */
MUST_CHECK enum st tokens_list(struct db_tx *tx, enum tokens_whose whose, int64_t account_id,
                               str prefix, int64_t after, size_t limit, struct arena *a,
                               struct access_token **out, size_t *count, struct err *err);
MUST_CHECK enum st tokens_remove(struct db_tx *tx, int64_t id, struct err *err); /* ST_NOT_FOUND */
/* Writes nothing within the same minute. */
MUST_CHECK enum st tokens_note_use(struct db_tx *tx, int64_t id, int64_t now, struct err *err);
/* Removes those that expired more than `keep_ms` ago, up to `limit`. */
MUST_CHECK enum st tokens_expire(struct db_tx *tx, int64_t now, int64_t keep_ms, size_t limit,
                                 struct err *err);

#endif
