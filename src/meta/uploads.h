/* SPDX-License-Identifier: Apache-2.0
 *
 * uploads - rows of table upload. Functions run inside the caller's transaction.
 *
 *   start ──▶ open ──arrives──▶ a blob, or its name is doomed
 *               ├──cancel─────▶ its name is doomed
 *               └──rests too long: as cancel
 *
 * The id is also the name of the bytes in the store: whatever a crash leaves there, the row names
 * it until the transaction that ends the upload hands the name on.
 */
#ifndef EBB_UPLOADS_H
#define EBB_UPLOADS_H

#include "base/arena.h"
#include "db/db.h"

struct upload_row {
    uint64_t size; /* bytes that were acknowledged */
    str actor;     /* who started it and may go on with it; unset: anybody who may push */
    str data;      /* the bytes themselves while they are few; unset when they are in the store */
};

/* ST_TOO_LARGE when `repo` has `limit` uploads under way already. */
MUST_CHECK enum st uploads_start(struct db_tx *tx, str id, str repo, str actor, uint64_t limit,
                                 int64_t now, int64_t due_at, struct err *err);
/* ST_NOT_FOUND when there is no such upload in this repository. */
MUST_CHECK enum st uploads_find(struct db_tx *tx, str id, str repo, struct arena *a,
                                struct upload_row *out, struct err *err);
/* `data` unset: the bytes are in the store. ST_NOT_FOUND when it was ended meanwhile. */
MUST_CHECK enum st uploads_progress(struct db_tx *tx, str id, uint64_t size, str data,
                                    int64_t due_at, struct err *err);
/* Removes the row; the name is the caller's to hand on. ST_NOT_FOUND. */
MUST_CHECK enum st uploads_end(struct db_tx *tx, str id, str repo, struct err *err);
/* Removes the row and dooms its name. ST_NOT_FOUND. */
MUST_CHECK enum st uploads_cancel(struct db_tx *tx, str id, str repo, int64_t now, struct err *err);
/* As uploads_cancel() if it is due still: a request may have moved its time since it was listed.
 * ST_NOT_FOUND otherwise. */
MUST_CHECK enum st uploads_expire(struct db_tx *tx, str id, str repo, int64_t now, struct err *err);

struct upload_due {
    str id;
    str repo;
};
MUST_CHECK enum st uploads_due(struct db_tx *tx, int64_t now, size_t limit, struct arena *a,
                               struct upload_due **out, size_t *count, struct err *err);
MUST_CHECK enum st uploads_count(struct db_tx *tx, uint64_t *out, struct err *err);

#endif
