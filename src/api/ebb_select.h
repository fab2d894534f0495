/* SPDX-License-Identifier: Apache-2.0
 *
 * ebb_select - the body of POST /plans: what a deletion is to be about (doc/api.md, "Plans").
 *
 * Threads: pure functions.
 */
#ifndef EBB_EBB_SELECT_H
#define EBB_EBB_SELECT_H

#include "api/json_in.h"
#include "deletion/select.h"

#define EBB_SELECTORS_MAX ((size_t)10000)
#define EBB_PATTERN_MAX   ((size_t)1003) /* with "re:" */

struct ebb_selection {
    struct selector *selectors; /* in the body's arena */
    size_t count;
    bool now;
    str reason; /* or unset */
};

/* What is wrong is remembered by the body: json_in_close(). */
void ebb_select_read(struct json_in *in, size_t reason_max, struct ebb_selection *out);

#endif
