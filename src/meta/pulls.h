/* SPDX-License-Identifier: Apache-2.0
 *
 * pulls - when a manifest was last pulled. A GET notes it in memory; notes are written in batches,
 * so reading costs no transaction. A crash loses the notes of the last minute; nobody takes a
 * missing note for "never" (invariant 10): since when there are statistics is known, too.
 *
 * Threads: pulls_note() any, without waiting; the rest as their transaction.
 */
#ifndef EBB_PULLS_H
#define EBB_PULLS_H

#include "base/clock.h"
#include "db/db.h"

#define PULLS_MAX        65536 /* manifests that are noted at a time */
#define PULLS_REWRITE_MS (10 * CLOCK_MINUTE_MS)

struct pulls;
MUST_CHECK enum st pulls_new(struct pulls **out, struct err *err);
void pulls_free(struct pulls *p); /* NULL is fine */

/* A full table forgets the note: flushing is due more often than that. NULL is fine. */
void pulls_note(struct pulls *p, int64_t manifest_id, int64_t now);
/* Writes the notes so far, in transactions of its own; those of manifests that are gone are
 * dropped. What is pulled all the time is written every PULLS_REWRITE_MS; with `all` (at stop) all
 * are. On failure they are kept for the next time. */
MUST_CHECK enum st pulls_flush(struct pulls *p, struct db *db, int64_t now, bool all,
                               struct err *err);

/* The last pull known, in rows or in memory; 0: none. `p` may be NULL. */
MUST_CHECK enum st pulls_find(struct db_tx *tx, struct pulls *p, int64_t manifest_id, int64_t *out,
                              struct err *err);
/* Since when pulls are noted; `now` when they are not yet. */
MUST_CHECK enum st pulls_since(struct db_tx *tx, int64_t now, int64_t *out, struct err *err);
/* From now on they are, unless they were already. Writes. */
MUST_CHECK enum st pulls_begin(struct db_tx *tx, int64_t now, struct err *err);

#endif
