/* SPDX-License-Identifier: Apache-2.0
 *
 * protect - what `ebb protect` and `ebb hold` share: numbered things that are listed, added, ended.
 */
#ifndef EBB_CLI_PROTECT_H
#define EBB_CLI_PROTECT_H

#include "cli/cli_call.h"

extern const struct cli_group protect_groups[]; /* the common options */

enum cli_exit protect_list(const struct cli_command *self, int argc, char **argv, const char *path,
                           const struct table_column *columns, const char *empty);
/* `what`: "rule". */
enum cli_exit protect_remove(const struct cli_command *self, int argc, char **argv,
                             const char *what, const struct call_each *how);

#endif
