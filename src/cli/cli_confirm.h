/* SPDX-License-Identifier: Apache-2.0
 *
 * cli_confirm - asks a person, on the terminal. Where references came from standard input, the
 * answers come from /dev/tty.
 */
#ifndef EBB_CLI_CONFIRM_H
#define EBB_CLI_CONFIRM_H

#include "base/base.h"

/* Whether there is somebody to ask. */
bool confirm_possible(bool input_is_used);
/* True for y or yes. */
bool confirm_yes(bool input_is_used, const char *question);
/* True when the number is repeated; separators of thousands may be. */
bool confirm_number(bool input_is_used, const char *question, uint64_t number);

#endif
