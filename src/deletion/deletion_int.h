/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of deletion/ share.
 */
#ifndef EBB_DELETION_INT_H
#define EBB_DELETION_INT_H

#include <stdatomic.h>

#include "deletion/deletion.h"
#include "deletion/id_list.h"
#include "meta/receipts.h"
#include "meta/targets.h"

/* Which repository is being deleted whole, and under which receipt; 0: none (removal.c). */
struct removal_work {
    int64_t repo_id;
    int64_t receipt;
};

struct job;
struct deletion {
    struct registry *r;
    struct deletion_options options;
    struct signature_key *key;
    struct job *job;          /* NULL with options.no_thread */
    _Atomic int64_t last_now; /* of the calls: what time the thread goes by without r->time */
    atomic_bool removal_busy; /* a step of removal.c is under way, and `removal` its own */
    struct removal_work removal;
};

/* The time for a step of a receipt that was opened at `created_at`. */
int64_t deletion_now(struct deletion *d, int64_t created_at);
/* A call says what time it is. */
void deletion_note_now(struct deletion *d, int64_t now);

/* How long things stay that a deletion lets go; `immediate` is one that skips the grace. */
struct keeping deletion_keeping(const struct deletion *d, bool immediate);

/* ---- what a transaction that deletes has in hand --------------------------------------------- */

struct removing {
    struct db_tx *tx;
    struct deletion *d;
    struct receipt *receipt; /* open; counts and bytes_freed grow here */
    struct protection *protection;
    struct protection_memo memo; /* of the receipt's actor */
    bool any_holds;              /* without any, nobody asks for them item by item */
    struct keeping keeping;
    int64_t now;
};
/* Loads the protection. To be released with removing_end(), whatever happens. */
MUST_CHECK enum st removing_begin(struct removing *m, struct err *err);
void removing_end(struct removing *m);

/* For the receipt's actor, also when another process opened it. */
MUST_CHECK enum st removing_check(struct removing *m, enum protection_act act, str repo, str tag,
                                  const struct digest *digest, struct err *err);
/* Reviews the manifests that may have gained or lost a keeper; *freed, unless NULL, grows. */
MUST_CHECK enum st removing_review(struct removing *m, const struct id_list *ids, uint64_t *freed,
                                   struct err *err);
MUST_CHECK enum st removing_record(struct removing *m, const struct receipt_item *item,
                                   struct err *err);

#endif
