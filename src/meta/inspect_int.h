/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of inspect share.
 */
#ifndef EBB_INSPECT_INT_H
#define EBB_INSPECT_INT_H

#include "meta/inspect.h"

/* A list that grows within an arena, up to `max` items; what comes beyond sets `more`. */
struct inspect_list {
    void *items;
    size_t count;
    size_t room;
    size_t max;
    bool more;
};
/* Zeroed place for one more item of `size` bytes; *out is NULL when the list is full. */
MUST_CHECK enum st inspect_list_add(struct inspect_list *l, struct arena *a, size_t size,
                                    void **out, struct err *err);

MUST_CHECK enum st inspect_dup(struct arena *a, str s, str *out, struct err *err); /* unset stays */

/* *known is false over the limits. *rows grows by what it cost. */
MUST_CHECK enum st inspect_size(struct db_tx *tx, int64_t manifest_id, bool *known, uint64_t *size,
                                uint64_t *rows, struct err *err);

/* Holds on a digest that concern the repository. */
MUST_CHECK enum st inspect_holds(struct db_tx *tx, str repo, const struct digest *d, int64_t now,
                                 struct arena *a, struct hold **out, size_t *count,
                                 struct err *err);

#endif
