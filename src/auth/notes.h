/* SPDX-License-Identifier: Apache-2.0
 *
 * notes - what is written to the audit log and to last uses a little later, so that a refusal and a
 * log-in cost no transaction.
 *
 *  1. Equal entries (actor, peer, door, action, object) of one minute are one, with how often. The
 *     first is written at the next flush, those that follow when the minute is over.
 *  2. Texts are cut to NOTE_TEXT_MAX. Entries over NOTES_MAX are counted, and the count is written.
 *  3. A flush that fails keeps everything for the next one. A crash loses what was not written.
 *
 * Threads: any; notes_flush() one at a time.
 */
#ifndef EBB_NOTES_H
#define EBB_NOTES_H

#include "meta/accounts.h"
#include "meta/registry.h"
#include "meta/trail.h"

#define NOTES_MAX     1024
#define NOTES_USES    4096
#define NOTE_TEXT_MAX ((size_t)256)

struct notes;
MUST_CHECK enum st notes_new(struct notes **out, struct err *err);
void notes_free(struct notes *n); /* NULL is fine */

/* Never blocks; the entry's own `at` and `times` do not count. */
void notes_add(struct notes *n, const struct trail_entry *e, int64_t now);
enum notes_use_kind { USE_OF_ACCOUNT, USE_OF_TOKEN };
void notes_use(struct notes *n, enum notes_use_kind kind, int64_t id, int64_t now);
/* With `all`, entries whose minute is not over, too. Nothing to write: nothing is committed. */
MUST_CHECK enum st notes_flush(struct notes *n, struct registry *r, int64_t now, bool all,
                               struct err *err);

#endif
