/* SPDX-License-Identifier: Apache-2.0
 *
 * cli_secret - reads what nobody may see: on the terminal without echo, or from standard input.
 *
 * Whatever ends the program while it waits, the terminal shows again what is typed.
 */
#ifndef EBB_CLI_SECRET_H
#define EBB_CLI_SECRET_H

#include "base/err.h"

/* One line from the terminal, whatever standard input is. ST_NOT_FOUND: there is no terminal, or no
 * answer. ST_TOO_LARGE. */
MUST_CHECK enum st secret_ask(const char *question, char *out, size_t size, struct err *err);
/* The same, seen: for names. */
MUST_CHECK enum st secret_ask_name(const char *question, char *out, size_t size, struct err *err);
/* The first line of standard input. ST_INVALID when it is empty. */
MUST_CHECK enum st secret_from_input(char *out, size_t size, struct err *err);

#endif
