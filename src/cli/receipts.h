/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EBB_CLI_RECEIPTS_H
#define EBB_CLI_RECEIPTS_H

#include "cli/cli_ask.h"

/* The path of a receipt by its number on the command line; false when it is none. */
bool receipts_id(const char *text, struct ask_path *path);

extern const struct cli_command receipts_verify_command;

#endif
