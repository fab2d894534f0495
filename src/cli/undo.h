/* SPDX-License-Identifier: Apache-2.0
 *
 * undo - what `ebb undo` and `ebb trash restore` share.
 */
#ifndef EBB_CLI_UNDO_H
#define EBB_CLI_UNDO_H

#include "cli/cli_ask.h"

struct undo_args {
    bool force;
    const char *as;
    const char *reason;
};
extern const struct cli_flag undo_flags[];

/* Adds --force, --as and --reason to a body. */
MUST_CHECK enum st undo_fill(const struct undo_args *args, json_t *body, struct err *err);
/* Asks, follows the undo and prints its receipt. Takes `body`. */
enum cli_exit undo_ask(const struct cli_command *self, const struct ask_server *s,
                       const struct ask_path *path, json_t *body, enum cli_form form);

#endif
