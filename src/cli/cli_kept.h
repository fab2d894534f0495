/* SPDX-License-Identifier: Apache-2.0
 *
 * cli_kept - the file in which `ebb login` keeps tokens, $XDG_CONFIG_HOME/ebb/credentials.json:
 *
 *     {"servers": {"https://registry.example.org": {"user": "anna", "token": "...", "id": 7,
 *                                                   "expires_at": "..."}}}
 *
 *  1. It is 0600, in a directory that is made 0700. One that others may read is refused.
 *  2. It is replaced as a whole: written beside it, synced, renamed. After a crash it is the one
 *     before or the one after.
 *  3. Writers wait for each other (a lock on the directory), so none loses what another wrote.
 *     What they do not know in it they leave.
 */
#ifndef EBB_CLI_KEPT_H
#define EBB_CLI_KEPT_H

#include "cli/cli_asker.h"

struct kept_login {
    char user[ASKER_USER_MAX + 1];
    char token[ASKER_TOKEN_MAX + 1];
    uint64_t id; /* of the token that `ebb login` made; 0: it was given */
    char expires_at[40];
};
/* `base`: the registry, as cli_ask.h has it. ST_NOT_FOUND: nothing is kept for it. */
MUST_CHECK enum st kept_find(const char *base, struct kept_login *out, struct err *err);
MUST_CHECK enum st kept_set(const char *base, const struct kept_login *in, struct err *err);
MUST_CHECK enum st kept_remove(const char *base, struct err *err); /* ST_NOT_FOUND */

#endif
