/* SPDX-License-Identifier: Apache-2.0
 *
 * check - `ebb check`: its options, what it prints, and asking a running registry. The check of a
 * directory needs the database and is in server/check_command.c.
 */
#ifndef EBB_CLI_CHECK_H
#define EBB_CLI_CHECK_H

#include "base/str.h"
#include "cli/cli.h"

struct check_call {
    const char *target;
    bool remote;              /* the target is a URL */
    struct cli_common common; /* who asks it */
    bool hash;
    bool quick;
    bool sparse_index;
    bool repair;
    bool repair_orphans; /* answered, or --yes */
    bool has_rate;
    uint64_t rate_bytes;
    bool json;
};

/* CLI_DONE with *out filled, or what to exit with. May ask on the terminal. */
enum cli_exit check_call_read(const struct cli_command *self, int argc, char **argv,
                              struct check_call *out);

/* Checks the registry at call->target. */
enum cli_exit check_call_ask(const struct cli_command *self, const struct check_call *call);

/* ---- printing ------------------------------------------------------------------------------ */

struct check_line {
    str code;
    str object;
    str detail;
    str meaning;
    str action;
    bool wrong;
    bool repaired;
};

struct check_summary {
    uint64_t wrong, notes, repaired;
    uint64_t tags, manifests, links, blobs, uploads, files;
    uint64_t stored_bytes, hashed_bytes;
};
/* Name and place of each number, in the order of the JSON output. */
struct check_number {
    const char *name;
    size_t offset; /* in struct check_summary */
};
#define CHECK_NUMBERS 11
extern const struct check_number check_numbers[CHECK_NUMBERS];

struct check_stage {
    str phase;
    uint64_t objects;
    uint64_t bytes;
    uint64_t bytes_total; /* 0: nothing is hashed now */
    int64_t hash_ms;
};

struct check_printer {
    const struct check_call *call;
    bool terminal; /* standard error is one */
    bool drawn;    /* a line of progress is on it */
    uint64_t findings;
    int64_t started_ms; /* monotonic */
    int64_t shown_ms;
};

void check_print_begin(struct check_printer *p, const struct check_call *call);
void check_print_finding(struct check_printer *p, const struct check_line *line);
/* On standard error: one line that is drawn again on a terminal, a new line now and then elsewhere.
 */
void check_print_stage(struct check_printer *p, const struct check_stage *stage);
/* `state`: "finished", "stopped" or "failed". */
void check_print_end(struct check_printer *p, const char *state, const struct check_summary *sum);

#endif
