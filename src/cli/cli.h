/* SPDX-License-Identifier: Apache-2.0
 *
 * cli/ - what the commands of the program share, and the commands that need no database: one file
 * each. They talk to a registry over HTTP.
 *
 *  1. A command returns one of enum cli_exit and nothing else.
 *  2. What was asked for goes to standard output, everything else to standard error.
 *  3. Colours are used on a terminal only, and not with NO_COLOR set (https://no-color.org).
 *  4. Text of a registry never reaches a terminal as it came (cli_text.h).
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
    CLI_PARTLY = 3, /* done, but something that was asked for was skipped */
};

/* ---- options --------------------------------------------------------------------------------- */

enum cli_value {
    VALUE_SET,      /* bool; takes nothing */
    VALUE_TEXT,     /* const char * */
    VALUE_LIST,     /* struct cli_list; may be given again */
    VALUE_NUMBER,   /* struct cli_number */
    VALUE_SIZE,     /* struct cli_number: bytes, such as 10G */
    VALUE_DURATION, /* const char *, looked at and kept as a text */
    VALUE_FORM,     /* enum cli_form */
};

enum cli_form { FORM_TABLE, FORM_JSON, FORM_TSV };

struct cli_number {
    bool given;
    uint64_t value;
};

#define CLI_LIST_MAX 256
struct cli_list {
    const char *items[CLI_LIST_MAX];
    size_t count;
};

struct cli_flag {
    const char *name; /* "keep-tags"; NULL ends a table */
    char letter;      /* 'o', or 0 */
    enum cli_value value;
    const char *takes; /* "RE" */
    const char *text;  /* for --help */
    size_t at;         /* of its value, in the struct of its group */
};

/* Options that belong together, and where their struct stands in that of the command. */
struct cli_group {
    const struct cli_flag *flags; /* NULL ends a table */
    size_t at;
};

/* ---- commands -------------------------------------------------------------------------------- */

struct cli_command {
    const char *name;    /* "config check" */
    const char *takes;   /* behind the name in the usage line */
    const char *summary; /* a line in the list of commands */
    const char *help;    /* the rest of --help behind the options: examples; lines end in \n */
    /* argv[0] is the command's last word. --help was answered before. NULL with sub-commands. */
    enum cli_exit (*run)(const struct cli_command *self, int argc, char **argv);
    const struct cli_command *const *commands; /* sub-commands up to NULL; or NULL */
    /* The sub-command that is meant where none is named; or NULL. */
    const struct cli_command *otherwise;
    const struct cli_group *groups; /* its options; NULL when `help` holds them or there are none */
};

/* Finds the command in argv[1] among self->commands and runs it. */
enum cli_exit cli_dispatch(const struct cli_command *self, int argc, char **argv);
const struct cli_command *cli_root(void); /* what the first cli_dispatch() was called with */
void cli_help(const struct cli_command *self, FILE *out);
const char *cli_last_word(const struct cli_command *self); /* "check" of "config check" */

/* Prints "ebb <command>: <text>" with where to read on; returns CLI_USAGE. */
enum cli_exit cli_usage(const struct cli_command *self, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* Prints the failure; returns CLI_FAILED. */
enum cli_exit cli_fail(const struct cli_command *self, const struct err *err);
/* As cli_fail() with a text. */
enum cli_exit cli_refuse(const struct cli_command *self, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* After the last output: CLI_DONE, or CLI_FAILED when standard output could not take it. */
enum cli_exit cli_finish(const struct cli_command *self);
/* Whether this stream may be coloured. */
bool cli_colored(FILE *stream);

/* Reads the options of self->groups into *args, which starts zeroed; what is no option is left in
 * words[0..*count). CLI_DONE, or CLI_USAGE after saying what is wrong. */
enum cli_exit cli_read(const struct cli_command *self, int argc, char **argv, void *args,
                       char ***words, int *count);

/* As getopt_long() without its messages; -1 at the end, '?' after cli_usage() has said what is
 * wrong. Start with cli_options_begin(). */
void cli_options_begin(void);
int cli_option(const struct cli_command *self, int argc, char **argv, const struct option *options);

/* What nearly every command takes: which registry, who asks (cli_asker.h), what comes out. */
struct cli_common {
    const char *server;
    const char *user;
    const char *token_file;
    const char *ca;
    bool insecure_http;
    enum cli_form form;
};
extern const struct cli_flag cli_common_flags[];
#define CLI_SERVER_FLAGS (&cli_common_flags[1]) /* all but the form */
#define CLI_ASKER_FLAGS  (&cli_common_flags[2]) /* all but the form and the registry */

/* ---- the commands ---------------------------------------------------------------------------- */

extern const char cli_version[]; /* "0.1.0" */
extern const char check_help[];
extern const struct cli_group check_groups[];

extern const struct cli_command account_command;
extern const struct cli_command apply_command;
extern const struct cli_command audit_command;
extern const struct cli_command completion_command;
extern const struct cli_command du_command;
extern const struct cli_command hold_command;
extern const struct cli_command lock_command;
extern const struct cli_command login_command;
extern const struct cli_command logout_command;
extern const struct cli_command ls_command;
extern const struct cli_command member_command;
extern const struct cli_command password_command;
extern const struct cli_command plan_command;
extern const struct cli_command protect_command;
extern const struct cli_command purge_command;
extern const struct cli_command receipt_command;
extern const struct cli_command receipts_command;
extern const struct cli_command reclaim_command;
extern const struct cli_command removal_command;
extern const struct cli_command rm_command;
extern const struct cli_command show_command;
extern const struct cli_command token_command;
extern const struct cli_command trash_command;
extern const struct cli_command undo_command;
extern const struct cli_command untag_command;
extern const struct cli_command version_command;
extern const struct cli_command visibility_command;
extern const struct cli_command whoami_command;
extern const struct cli_command why_command;

#endif
