/* SPDX-License-Identifier: Apache-2.0
 *
 * json_tree - reads a JSON text into jansson's tree, within limits that jansson itself lacks: it
 * takes any number of values, up to 250 bytes of heap each, and nests 2048 deep.
 *
 * Each check is cheaper than the next: size ─▶ UTF-8, NUL ─▶ nesting and number of values (nothing
 * is allocated) ─▶ jansson. Duplicate keys are refused.
 *
 * Threads: any. jansson's heap is set to base/mem.h by the first call, for the whole process.
 */
#ifndef EBB_JSON_TREE_H
#define EBB_JSON_TREE_H

#include <jansson.h>

#include "base/err.h"
#include "base/str.h"

struct json_limits {
    size_t bytes_max;
    size_t depth_max;
    size_t values_max;
};

/* The text must be an object. `what` begins the messages: "manifest".
 *   ST_TOO_LARGE  over a limit
 *   ST_INVALID    anything else */
MUST_CHECK enum st json_tree_read(const char *what, str body, const struct json_limits *limits,
                                  json_t **out, struct err *err);
/* For AUTO(json_tree_free) json_t *root = NULL. */
void json_tree_free(json_t **root);

#endif
