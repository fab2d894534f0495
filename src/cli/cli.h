/* SPDX-License-Identifier: Apache-2.0
 *
 * cli/ - what the commands of the program share, and the commands that need no database: one file
 * each. They talk to a registry over HTTP.
 *
 *  1. A command returns one of enum cli_exit and nothing else.
 *  2. What was asked for goes to standard output, everything else to standard error.
 *  3. Colours are used on a terminal only, and not with NO_COLOR set (https://no-color.org).
 *
 * Threads: the main thread.
 */
#ifndef EBB_CLI_H
#define EBB_CLI_H

#include <getopt.h>

#include "base/err.h"

enum cli_exit {
    CLI_DONE = 0,
    CLI_FAILED = 1, /* refused or failed; standard error says why */
    CLI_USAGE = 2,
};

struct cli_command {
    const char *name;    /* "config check" */
    const char *takes;   /* behind the name in the usage line */
    const char *summary; /* a line in the list of commands */
    const char *help;    /* the rest of --help: options, examples; lines end in \n */
    /* argv[0] is the command's last word. --help was answered before. NULL with sub-commands. */
    enum cli_exit (*run)(const struct cli_command *self, int argc, char **argv);
    const struct cli_command *commands; /* sub-commands up to one without a name, or NULL */
};

/* Finds the command in argv[1] among self->commands and runs it. */
enum cli_exit cli_dispatch(const struct cli_command *self, int argc, char **argv);
void cli_help(const struct cli_command *self); /* on standard output */

/* Prints "ebb <command>: <text>" with where to read on; returns CLI_USAGE. */
enum cli_exit cli_usage(const struct cli_command *self, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* Prints the failure; returns CLI_FAILED. */
enum cli_exit cli_fail(const struct cli_command *self, const struct err *err);
/* After the last output: CLI_DONE, or CLI_FAILED when standard output could not take it. */
enum cli_exit cli_finish(const struct cli_command *self);

/* As getopt_long() without its messages; -1 at the end, '?' after cli_usage() has said what is
 * wrong. Start with cli_options_begin(). */
void cli_options_begin(void);
int cli_option(const struct cli_command *self, int argc, char **argv, const struct option *options);

/* ---- the commands -------------------------------------------------------------------------- */

extern const char cli_version[]; /* "0.1.0" */

enum cli_exit version_run(const struct cli_command *self, int argc, char **argv);
extern const char check_help[];

#endif
