/* SPDX-License-Identifier: Apache-2.0
 *
 * account - what `ebb account` and `ebb password` share.
 */
#ifndef EBB_CLI_ACCOUNT_H
#define EBB_CLI_ACCOUNT_H

#include "cli/cli.h"

/* A new password: asked for twice, or the next line of standard input. */
enum cli_exit account_new_password(const struct cli_command *self, bool from_input, char *out,
                                   size_t size);

#endif
