/* SPDX-License-Identifier: Apache-2.0
 *
 * id_list - ids of rows, in the order in which they were added. What fails is remembered by the
 * buffer: buf_status(&list->b).
 *
 * Threads: one at a time.
 */
#ifndef EBB_ID_LIST_H
#define EBB_ID_LIST_H

#include "base/buf.h"

#define ID_LIST_BYTES_MAX ((size_t)(64 * MIB))

struct id_list {
    struct buf b;
};
#define ID_LIST                                                                                    \
    {                                                                                              \
        .b = {.max_bytes = ID_LIST_BYTES_MAX }                                                     \
    }

void id_list_add(struct id_list *l, const int64_t *ids, size_t count);
/* Unless it is the last one already. */
void id_list_add_new(struct id_list *l, int64_t id);
/* Takes it off if it is the last one. */
void id_list_drop_last(struct id_list *l, int64_t id);
/* Each in turn: start with *at = 0. The list may grow meanwhile. */
bool id_list_next(const struct id_list *l, size_t *at, int64_t *id);
void id_list_release(struct id_list *l);

#endif
