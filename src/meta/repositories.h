/* SPDX-License-Identifier: Apache-2.0
 *
 * repositories - rows of table repository. Functions run inside the caller's transaction.
 */
#ifndef EBB_REPOSITORIES_H
#define EBB_REPOSITORIES_H

#include "base/arena.h"
#include "db/db.h"

/* A page of names in byte order. Strings live in the arena given. */
struct name_page {
    str *names;
    size_t count;
    bool more; /* another page follows the last name */
};

/* ST_NOT_FOUND with a sentence when there is no such repository. */
MUST_CHECK enum st repositories_find(struct db_tx *tx, str name, int64_t *id, struct err *err);
/* Finds it, or makes it. */
MUST_CHECK enum st repositories_need(struct db_tx *tx, str name, int64_t now, int64_t *id,
                                     struct err *err);
/* Removes the row if no manifest and no blob is in it, in the trash or live. */
MUST_CHECK enum st repositories_drop_if_empty(struct db_tx *tx, int64_t id, struct err *err);
/* Those with a live manifest, after `last` (unset: from the start), up to `limit`. */
MUST_CHECK enum st repositories_list(struct db_tx *tx, str last, size_t limit, struct arena *a,
                                     struct name_page *out, struct err *err);

/* Reads up to `limit` names of column 0 from `rows`, which was opened with a limit of one more. */
MUST_CHECK enum st name_page_read(struct db_rows *rows, size_t limit, struct arena *a,
                                  struct name_page *out, struct err *err);

#endif
