/* SPDX-License-Identifier: Apache-2.0
 *
 * cli_asker - who a command asks as.
 *
 *     --token-file or --user ▷ EBB_TOKEN ▷ EBB_USER ▷ what `ebb login` kept ▷ nobody
 *
 *  1. The first that is there is taken; one that cannot be used is an error, never passed over.
 *  2. Credentials go to the registry that they are for, and over http:// to this machine only,
 *     unless --insecure-http is given.
 *  3. No secret is printed, or comes from or goes to an argument of a process.
 */
#ifndef EBB_CLI_ASKER_H
#define EBB_CLI_ASKER_H

#include "base/str.h"
#include "cli/cli.h"

#define ASKER_TOKEN_MAX ((size_t)8192)
#define ASKER_USER_MAX  ((size_t)256)
#define SECRET_MAX      ((size_t)1024)

enum asker_kind {
    ASKER_NOBODY,
    ASKER_TOKEN_FILE,
    ASKER_USER,
    ASKER_TOKEN_VARIABLE,
    ASKER_USER_VARIABLE,
    ASKER_LOGIN,
};
const char *asker_text(enum asker_kind kind); /* "the token in EBB_TOKEN" */

struct asker {
    enum asker_kind kind;
    char user[ASKER_USER_MAX + 1];
    char header[ASKER_TOKEN_MAX + 64]; /* "Authorization: ..."; "" for nobody */
};
/* Those that go to the registry at `base`. May ask for a password on the terminal. ST_INVALID,
 * ST_DENIED (they may not go there), ST_IO. */
MUST_CHECK enum st asker_choose(const struct cli_common *common, const char *base,
                                struct asker *out, struct err *err);
/* The header of a name and a password. ST_INVALID for what cannot be one. */
MUST_CHECK enum st asker_basic(str user, str password, struct asker *out, struct err *err);
MUST_CHECK enum st asker_bearer(str token, struct asker *out, struct err *err);
/* The token in a file: its first line. */
MUST_CHECK enum st asker_read_token(const char *path, char out[static ASKER_TOKEN_MAX + 2],
                                    struct err *err);
/* Whether a secret may go there; ST_DENIED. */
MUST_CHECK enum st asker_allow(const char *base, bool insecure_http, struct err *err);
bool asker_is_loopback(const char *base);

#endif
