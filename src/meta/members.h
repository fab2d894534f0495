/* SPDX-License-Identifier: Apache-2.0
 *
 * members - rows of member and visibility: who has which role below which path, and what everybody
 * may pull. Functions run inside the caller's transaction; whoever writes must tell auth/
 * (auth_write()). Times are the registry's own, in milliseconds. Strings that come out live in the
 * arena given.
 */
#ifndef EBB_MEMBERS_H
#define EBB_MEMBERS_H

#include "base/arena.h"
#include "db/db.h"
#include "policy/access.h"

struct member {
    str prefix;
    str account;
    int64_t account_id;
    enum role role;
    int64_t created_at;
    str created_by;
};
#define MEMBERS_OF_ACCOUNT_MAX 1000 /* prefixes that one account may have roles on */
#define MEMBERS_OF_PREFIX_MAX  2000

/* Sets or changes. ST_NOT_FOUND without the account; ST_TOO_LARGE; ST_INVALID for a prefix that is
 * none, or a role that cannot be given. */
MUST_CHECK enum st members_set(struct db_tx *tx, const struct member *in, struct err *err);
/* ST_NOT_FOUND. */
MUST_CHECK enum st members_remove(struct db_tx *tx, str prefix, str account, struct err *err);
/* With `inherited` those of the paths above, too; the nearest first, then by name. */
MUST_CHECK enum st members_list(struct db_tx *tx, str prefix, bool inherited, struct arena *a,
                                struct member **out, size_t *count, struct err *err);
/* In byte order of prefixes, for struct access. */
MUST_CHECK enum st members_of_account(struct db_tx *tx, int64_t account_id, struct arena *a,
                                      struct access_member **out, size_t *count, struct err *err);
/* The role of somebody whom a receipt or log names: an account, or "deploy-token-<id>".
 * ROLE_NONE for nobody, and for who is disabled, removed or expired. */
MUST_CHECK enum st members_role(struct db_tx *tx, str actor, str path, int64_t now, enum role *out,
                                struct err *err);

#define VISIBILITY_MAX 10000
/* ST_TOO_LARGE over VISIBILITY_MAX; ST_INVALID. */
MUST_CHECK enum st visibility_set(struct db_tx *tx, str prefix, bool is_public, struct err *err);
/* ST_NOT_FOUND. */
MUST_CHECK enum st visibility_remove(struct db_tx *tx, str prefix, struct err *err);
/* In byte order of prefixes. */
MUST_CHECK enum st visibility_list(struct db_tx *tx, struct arena *a,
                                   struct access_visibility **out, size_t *count, struct err *err);

#endif
