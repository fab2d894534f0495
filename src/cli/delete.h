/* SPDX-License-Identifier: Apache-2.0
 *
 * delete - what all commands that delete share:
 *
 *     POST /plans ──▶ show it ──▶ confirm ──▶ apply ──▶ follow ──▶ receipt, how to undo
 *                        └─ --dry-run, refused: the plan stays, nothing was deleted
 *
 *  1. Nothing is applied that was not confirmed: on the terminal, or by --yes; a bulk deletion over
 *     the registry's cap by its number of tags, one without a grace by its number of bytes.
 *  2. What is applied is the plan that was shown, by its id.
 *  3. JSON and tsv are the same for each command, done or not (ebb-rm(1)).
 */
#ifndef EBB_CLI_DELETE_H
#define EBB_CLI_DELETE_H

#include "cli/cli_ask.h"

struct delete_args {
    bool dry_run;
    bool yes;
    bool now;
    struct cli_number bytes;
    struct cli_number confirm_tags;
    const char *reason;
};
extern const struct cli_flag delete_flags[];       /* all of them */
extern const struct cli_flag delete_apply_flags[]; /* of a plan that is there */

struct delete_call {
    const struct cli_command *self;
    struct cli_common common;
    struct delete_args args;
    bool input_is_used; /* references came from standard input */
    bool named;         /* things were named, so what is protected counts as skipped */
};

/* Takes `select`, an array of selectors (doc/api.md). */
enum cli_exit delete_select(const struct delete_call *c, json_t *select);
enum cli_exit delete_apply(const struct delete_call *c, const char *plan_id);

/* For the receipt of a deletion or an undo: prints what was skipped and why. */
MUST_CHECK enum st delete_print_skipped(const struct ask_server *s, const json_t *receipt,
                                        FILE *out, struct err *err);

/* Appends {"<member>": "<text>"} to a JSON array. */
MUST_CHECK enum st delete_add_selector(json_t *select, const char *member, str text,
                                       struct err *err);

#endif
