/* SPDX-License-Identifier: Apache-2.0
 *
 * commands - those that need this room; the others are in cli/.
 */
#ifndef EBB_COMMANDS_H
#define EBB_COMMANDS_H

#include "cli/cli.h"

extern const char serve_help[];
enum cli_exit serve_run(const struct cli_command *self, int argc, char **argv);

extern const struct cli_command *const config_commands[]; /* up to NULL */

enum cli_exit check_run_command(const struct cli_command *self, int argc, char **argv);

#endif
