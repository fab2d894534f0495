/* SPDX-License-Identifier: Apache-2.0
 *
 * plan_print - a plan for people: what goes, with the tags of each image; what is freed; what stays
 * and why; what is protected; warnings.
 */
#ifndef EBB_CLI_PLAN_PRINT_H
#define EBB_CLI_PLAN_PRINT_H

#include "cli/cli_ask.h"

/* Asks for the plan's items (the first of them) and prints it. */
MUST_CHECK enum st plan_print(const struct ask_server *s, const json_t *plan, FILE *out,
                              struct err *err);
/* How it is applied, or the receipt when it was. */
void plan_print_end(const json_t *plan, FILE *out);
/* "3 tags, 2 images, 1 blob"; "nothing" */
#define PLAN_WHAT_MAX 192
const char *plan_what(const json_t *counts, char out[static PLAN_WHAT_MAX]);

#endif
