/* SPDX-License-Identifier: Apache-2.0
 *
 * protection - what no deletion and no push may pass (invariant 9): rules, locks (locks.h) and
 * holds. Checked in the transaction that writes, whatever the door. Functions run inside the
 * caller's transaction.
 *
 *   immutable   a tag that matches is set once: no push over it, no delete
 *   protected   a tag that matches is not deleted; a push may move it
 *   read-only   a repository that matches takes no push, mount, tag, delete or undo
 *   levels      what matches is pushed, or deleted, from a role on (policy/access.h). Where the
 *               actor is not known (blob uploads and mounts) it is not asked; the manifest that
 *               makes blobs an image comes with its actor
 *   lock        Azure's attributes of a repository, a tag or a manifest (locks.h)
 *   hold        a digest: its manifest is not deleted, nor a tag that names it, nor is it
 *               reclaimed; its blob is not deleted, nor reclaimed
 *
 * A pattern that cannot be decided protects (invariant 10).
 */
#ifndef EBB_PROTECTION_H
#define EBB_PROTECTION_H

#include "base/arena.h"
#include "db/db.h"
#include "oci/digest.h"
#include "policy/access.h"

enum protection_act {
    PROTECT_PUSH,              /* any content into the repository: upload, mount */
    PROTECT_PUSH_MANIFEST,     /* as above, by `actor`: `digest`, or (undo) unset */
    PROTECT_PUSH_TAG,          /* by `actor`: `tag` is set, whether it is there or not */
    PROTECT_SET_TAG,           /* asked besides: `tag` is there and names another manifest */
    PROTECT_DELETE_TAG,        /* `digest` is what it names */
    PROTECT_DELETE_MANIFEST,   /* its tags are asked for one by one besides */
    PROTECT_DELETE_BLOB,       /* a link */
    PROTECT_DELETE_REPOSITORY, /* whole; what is in it is asked for one by one besides */
};

/* The actor's role, once asked for, so that ten thousand questions cost one look-up. Of one actor
 * and one transaction; {0} is empty. */
struct protection_memo {
    char repo[256];
    size_t repo_len;
    bool known;
    enum role role;
};

struct protection_case {
    enum protection_act act;
    str actor; /* who: an account, "deploy-token-<id>"; unset: nobody, who has no role */
    str repo;
    str tag;
    const struct digest *digest;  /* or NULL */
    bool no_holds;                /* the caller knows that there are none */
    bool no_levels;               /* what binds everybody is asked for only */
    struct protection_memo *memo; /* or NULL */
};

/* Keeps compiled rules between transactions while nothing changes; registry.h has one. Any thread.
 * Without `accounts` everybody is an administrator: rules about levels bind nobody. */
struct protection_cache;
MUST_CHECK enum st protection_cache_new(bool accounts, struct protection_cache **out,
                                        struct err *err);
void protection_cache_free(struct protection_cache *c); /* NULL is fine */

/* The rules as they stand in this transaction, compiled. Cheap to ask thousands of times. */
struct protection;
/* Takes a reference. `cache` is the registry's `protection`; with NULL the rules are compiled anew,
 * and without accounts. */
MUST_CHECK enum st protection_load(struct db_tx *tx, struct protection_cache *cache,
                                   struct protection **out, struct err *err);
void protection_release(struct protection **p); /* for AUTO */
/* ST_DENIED with a sentence that names the rule, lock or hold. */
MUST_CHECK enum st protection_check(struct db_tx *tx, const struct protection *p,
                                    const struct protection_case *c, int64_t now, struct err *err);

/* ---- rules and holds ------------------------------------------------------------------------- */

enum rule_kind { RULE_IMMUTABLE, RULE_PROTECTED, RULE_READ_ONLY, RULE_LEVELS };
struct rule {
    int64_t id;
    enum rule_kind kind;
    str repo; /* glob */
    str tag;  /* pattern (policy/pattern.h); unset in RULE_READ_ONLY, and in a RULE_LEVELS that is
               * about all that is in the repository */
    /* Of RULE_LEVELS, at least one of them; ROLE_NONE: it says nothing of that. With `tag`: setting
     * a tag that matches; deleting it, or a manifest that has it. Without: pushing a manifest;
     * deleting anything. */
    enum role push_role;
    enum role delete_role;
    str reason;
    str actor;
    int64_t created_at;
};
#define RULES_MAX 1000 /* there may be */
/* ST_INVALID for a pattern that is none, ST_TOO_LARGE over RULES_MAX. */
MUST_CHECK enum st rules_add(struct db_tx *tx, const struct rule *rule, int64_t *id,
                             struct err *err);
/* Patterns, roles and reason of one that is there; kind, actor and created_at stay. ST_NOT_FOUND.
 */
MUST_CHECK enum st rules_change(struct db_tx *tx, const struct rule *rule, struct err *err);
MUST_CHECK enum st rules_remove(struct db_tx *tx, int64_t id, struct err *err); /* ST_NOT_FOUND */
MUST_CHECK enum st rules_list(struct db_tx *tx, struct arena *a, struct rule **out, size_t *count,
                              struct err *err);

struct hold {
    int64_t id;
    str repo; /* "": every repository */
    struct digest digest;
    int64_t until; /* 0: for ever */
    str reason;
    str actor;
    int64_t created_at;
};
struct keeping;
/* ST_NOT_FOUND when no such manifest or blob is there, live or in the trash: a hold that holds
 * nothing is a mistyped digest, and whoever set it would rely on it. ST_INVALID: `until` is not
 * after created_at, which is taken for now. */
MUST_CHECK enum st holds_add(struct db_tx *tx, const struct hold *hold, const struct keeping *k,
                             int64_t *id, struct err *err);
/* What it held has a whole grace from now on. ST_NOT_FOUND. */
MUST_CHECK enum st holds_remove(struct db_tx *tx, int64_t id, const struct keeping *k, int64_t now,
                                struct err *err);
/* After `after_id`, up to `limit`. */
MUST_CHECK enum st holds_list(struct db_tx *tx, int64_t after_id, size_t limit, struct arena *a,
                              struct hold **out, size_t *count, struct err *err);
/* Removes holds whose time is over and reviews what they held, up to `limit`. */
MUST_CHECK enum st holds_expire(struct db_tx *tx, const struct keeping *k, int64_t now,
                                size_t limit, size_t *count, struct err *err);

#endif
