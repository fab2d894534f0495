/* SPDX-License-Identifier: Apache-2.0
 *
 * auth/ - who somebody is and what they may do: passwords, tokens, roles, and the token service. It
 * knows no HTTP and no routes: api/gate.h brings credentials and asks for rights.
 *
 *     credentials ──▶ auth_identify() ──▶ struct identity ──▶ identity_rights(path)
 *                          │                                        │
 *                 passwords, tokens, JWTs              roles, visibility, caps: policy/access.h
 *
 * Contract:
 *  1. Rights are evaluated when they are used, from the rows as they stand: a JWT or a remembered
 *     password never outlives the right it was given for. A JWT can only narrow.
 *  2. auth_identify_fast() never blocks and never reads the database; what it cannot tell it leaves
 *     to auth_identify(), which may hash for a tenth of a second, outside of every lock.
 *  3. A wrong name costs what a wrong password costs. Secrets are compared in constant time.
 *  4. Failed log-ins are slowed by address and by account, from the sixth within ten minutes; an
 *     address from which the account logged in before is not slowed by others' failures.
 *  5. JWTs: ES256, our own keys by `kid`, nothing else: the header is compared before anything is
 *     parsed further. Times have 60 s of leeway.
 *  6. A name that is in a receipt, the audit log or `sub` is the account's, or "deploy-token-<id>",
 *     or "anonymous".
 *  7. In mode AUTH_OPEN everybody is "anonymous" and may everything; credentials are not looked at.
 *
 * Times are the registry's own, in milliseconds, but for those of JWTs: UTC seconds.
 *
 * Threads: any, at any time. An identity belongs to one request. auth_open(), auth_identify(),
 * auth_redeem(), auth_rotate_key(), auth_write() and auth_tick() wait for the database: not for
 * event loops.
 */
#ifndef EBB_AUTH_H
#define EBB_AUTH_H

#include "auth/scope.h"
#include "meta/accounts.h"
#include "meta/members.h"
#include "meta/registry.h"
#include "meta/trail.h"

enum auth_mode { AUTH_OPEN, AUTH_ACCOUNTS };

struct auth_options {
    enum auth_mode mode;
    const char *htpasswd;  /* a file, or NULL; read again when it changes */
    const char *service;   /* what JWTs are for: "aud" and "iss" */
    int64_t token_ms;      /* life of an access token */
    int64_t refresh_ms;    /* life of a refresh token */
    int64_t key_rotate_ms; /* a new signing key after so long */
    int64_t trail_keep_ms;
    const char *admin_password; /* of EBB_ADMIN_PASSWORD, or NULL */
};

struct auth;
#define AUTH_PASSWORD_MAX ((size_t)256)
/* Opens the engine. In mode AUTH_ACCOUNTS on a registry without accounts it makes the administrator
 * `admin`; with a password of its own making that is in `made`, else `made` is "". */
MUST_CHECK enum st auth_open(struct registry *r, const struct auth_options *options,
                             struct auth **out, char made[static AUTH_PASSWORD_MAX + 1],
                             struct err *err);
/* Writes what is left of the audit log: the registry is still open. NULL is fine. */
void auth_close(struct auth *a);
enum auth_mode auth_mode(const struct auth *a);
const struct auth_options *auth_options(const struct auth *a);
/* Called about once a second: writes the audit log, last uses, drops what is over, rotates keys. */
MUST_CHECK enum st auth_tick(struct auth *a, int64_t now, struct err *err);

/* ---- who ------------------------------------------------------------------------------------ */

enum credential_kind {
    CREDENTIAL_NONE,
    CREDENTIAL_BASIC,  /* user, secret: a password, a token, or (zero GUID) a JWT */
    CREDENTIAL_BEARER, /* secret: a JWT or a token */
    CREDENTIAL_TOKEN,  /* secret: a token (PRIVATE-TOKEN and its like) */
};
struct credentials {
    enum credential_kind kind;
    str user;
    str secret;
    str peer;
};
/* The value of an Authorization header; strings in `a`. ST_INVALID for what is neither Basic nor
 * Bearer, too long, no base64, not UTF-8, without its colon. An unset header is CREDENTIAL_NONE,
 * and so are an empty name and an empty password, which some clients send for "nobody". */
MUST_CHECK enum st credentials_parse(str header, str peer, struct arena *a, struct credentials *out,
                                     struct err *err);

enum identity_kind { IDENTITY_ANONYMOUS, IDENTITY_ACCOUNT, IDENTITY_DEPLOY };
struct identity {
    enum identity_kind kind;
    str name;
    int64_t account_id;
    int64_t token_id; /* the token it came by, or that its JWT was made from; 0: a password */
    int64_t generation;
    struct access access;
    bool by_jwt;     /* came by a JWT of any use: makes nothing that outlives it */
    bool has_claims; /* came by one of JWT_ACCESS: nothing but what it names */
    const struct claim *claims;
    size_t claim_count;
    void *held; /* auth's own */
};
/* Why somebody is not known. */
struct auth_refusal {
    bool slowed;
    int64_t retry_after_s; /* with slowed */
};
/* ST_OK; ST_BUSY: ask auth_identify() on a worker; ST_DENIED: the credentials are wrong, over or
 * for somebody else (err says which in general words; the log knows more). identity_release() in
 * the first case. Strings live in `arena` or as long as the identity. */
MUST_CHECK enum st auth_identify_fast(struct auth *a, const struct credentials *c, int64_t now,
                                      struct arena *arena, struct identity *out, struct err *err);
/* As above, and ST_BUSY with refusal->slowed: too many failures. */
MUST_CHECK enum st auth_identify(struct auth *a, const struct credentials *c, int64_t now,
                                 struct arena *arena, struct identity *out,
                                 struct auth_refusal *refusal, struct err *err);
void identity_release(struct identity *id); /* {0} is fine */

/* Rights of access.h, narrowed by claims. */
unsigned identity_rights(const struct identity *id, str path);
/* RIGHT_ADMIN, not narrowed away. Never by a JWT, nor is RIGHT_MEMBERS. */
bool identity_is_admin(const struct identity *id);
enum role identity_role(const struct identity *id, str path);

/* ---- the token service ---------------------------------------------------------------------- */

enum jwt_use {
    JWT_ACCESS,  /* opens what its claims name */
    JWT_REFRESH, /* is good for access tokens only */
    JWT_ARM,     /* of Azure's log-in: good for the resource manager's calls and a refresh token */
};
struct jwt_order {
    enum jwt_use use;
    const struct identity *who;
    const struct claim *claims; /* of JWT_ACCESS: what was asked; granted is what `who` may of it */
    size_t claim_count;
    int64_t life_ms;          /* 0: the configured one */
    const char *const *extra; /* NULL, or claim names and values, two by two, ended by NULL */
};
struct jwt_issued {
    str text;
    int64_t issued_at; /* UTC seconds */
    int64_t expires_at;
    struct claim *claims; /* granted */
    size_t claim_count;
};
/* What it hands out lives in `arena`. ST_DENIED: `who` came by a token that makes none of this use.
 * ST_TOO_LARGE: more claims than a token can hold. */
MUST_CHECK enum st auth_issue(struct auth *a, const struct jwt_order *order, struct arena *arena,
                              struct jwt_issued *out, struct err *err);
/* Whose refresh or ARM token this is; identity_release() with ST_OK. ST_DENIED. */
MUST_CHECK enum st auth_redeem(struct auth *a, str text, enum jwt_use use, int64_t now,
                               struct arena *arena, struct identity *out, struct err *err);
/* The public keys, a JSON Web Key Set. */
MUST_CHECK enum st auth_public_keys(struct auth *a, struct arena *arena, str *out, struct err *err);
/* Makes a new signing key; those before verify until what they signed is over. */
MUST_CHECK enum st auth_rotate_key(struct auth *a, int64_t now, struct err *err);

/* ---- changing rights ------------------------------------------------------------------------ */

/* registry_write() of a function that changes accounts, tokens, members or visibility, with its
 * entry of the audit log (its `at` and `times` are set here) in the same transaction; what is
 * remembered is forgotten. `entry` may be NULL. */
MUST_CHECK enum st auth_write(struct auth *a, db_fn fn, void *ctx, const struct trail_entry *entry,
                              struct err *err);
/* A crypt(5) hash. ST_INVALID: too short (8 bytes), too long. Slow: for a worker. */
MUST_CHECK enum st auth_hash_password(str password, struct arena *arena, str *out, struct err *err);
/* A fresh secret of a token, and what is stored of it. */
#define TOKEN_TEXT_MAX 48
void auth_make_token(char text[static TOKEN_TEXT_MAX], uint8_t hash[static TOKEN_HASH_BYTES]);

/* A refusal, for the audit log; written by auth_tick(). Never blocks. */
void auth_note(struct auth *a, const struct trail_entry *entry);

#endif
