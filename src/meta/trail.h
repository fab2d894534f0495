/* SPDX-License-Identifier: Apache-2.0
 *
 * trail - rows of trail: the audit log. Every change of rights, every refusal, log-ins that failed.
 * (What was deleted is in the receipts.) Functions run inside the caller's transaction. Times are
 * the registry's own, in milliseconds. Strings that come out live in the arena given.
 */
#ifndef EBB_TRAIL_H
#define EBB_TRAIL_H

#include "base/arena.h"
#include "db/db.h"

struct trail_entry {
    int64_t id;
    int64_t at;
    str actor;      /* "anonymous" without credentials */
    str peer;       /* from which address */
    str door;       /* "oci", "ebb", "gitlab", "azure", "server" */
    str action;     /* "refused", "log-in failed", "log-in slowed", "account added", ... */
    str object;     /* what it was about: a repository, an account, "" */
    str detail;     /* a sentence, or unset */
    uint64_t times; /* so often within a minute */
};
/* Texts are cut at so many bytes. */
#define TRAIL_TEXT_MAX 512
MUST_CHECK enum st trail_add(struct db_tx *tx, const struct trail_entry *in, struct err *err);
/* Newest first, before id `before` (0: from the newest). `actor` and `action` unset: all. */
MUST_CHECK enum st trail_list(struct db_tx *tx, str actor, str action, int64_t before, size_t limit,
                              struct arena *a, struct trail_entry **out, size_t *count,
                              struct err *err);
/* Removes what is older than `before`, up to `limit`. */
MUST_CHECK enum st trail_expire(struct db_tx *tx, int64_t before, size_t limit, struct err *err);

#endif
