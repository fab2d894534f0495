/* SPDX-License-Identifier: Apache-2.0
 *
 * cli_reference - references on the command line and on standard input: looked at here, so that a
 * slip is told with its place before a registry is asked.
 */
#ifndef EBB_CLI_REFERENCE_H
#define EBB_CLI_REFERENCE_H

#include <jansson.h>

#include "base/str.h"
#include "cli/cli.h"

enum reference_kinds {
    REFERENCE_TAG = 1,    /* repo:tag */
    REFERENCE_IMAGE = 2,  /* repo@digest */
    REFERENCE_DIGEST = 4, /* a digest alone */
};

/* ST_INVALID with what is wrong and which kinds are allowed. */
MUST_CHECK enum st reference_check(str text, unsigned kinds, struct err *err);

#define REFERENCES_MAX 10000 /* on standard input; a plan takes no more */
/* For each of words[0..count): calls `add` with it; for "-" with each line of standard input, where
 * blanks around it, empty lines and what starts with "#" are skipped. *from_input: whether it was
 * read. Usage errors for the command line, failures for lines. */
typedef enum st (*reference_fn)(str reference, void *ctx, struct err *err);
enum cli_exit reference_each(const struct cli_command *self, char **words, int count,
                             unsigned kinds, reference_fn add, void *ctx, bool *from_input);

#endif
