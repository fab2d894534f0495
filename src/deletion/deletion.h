/* SPDX-License-Identifier: Apache-2.0
 *
 * deletion/ - the one way anything is deleted, and comes back:
 *
 *     select ─▶ plan ─▶ apply ─▶ receipt ─▶ (undo) ─▶ reclaim
 *
 * It does not know HTTP or who asked; the doors in api/ are selectors in front of it. select.h and
 * plan.h say what would go, to the byte; apply.h carries a plan out; undo.h takes it back;
 * deletion_apply() below is plan and apply of one thing in one transaction, for doors that delete
 * one thing a call.
 *
 *  1. Visible at once: what was deleted is gone in the next request, in that repository only.
 *  2. Together: what only a deleted manifest kept (the children of an index, the referrers of a
 *     subject) becomes loose and is reclaimed with it, after one grace. Until then it answers by
 *     its digest: another client may have been told a moment ago that it is there, and may name it
 *     in the index that it pushes next. What something else keeps stays.
 *  3. Complete (invariant 1): what a live manifest names cannot be deleted under it: ST_DENIED for
 *     a child of a live index and for a blob that a live manifest uses.
 *  4. Recorded: a receipt names every tag, manifest and blob link that went, and until when it can
 *     be undone. Receipts are a chain of hashes, each signed (receipts.h). Bytes go later, by
 *     reclaim/.
 *  5. Protected (invariant 9): every item passes meta/protection.h in the transaction that removes
 *     it.
 *  6. Resumed: a receipt that is open when the process dies is carried on after the start.
 *
 * Threads: any; calls block until durable. One thread of its own carries out what is large.
 */
#ifndef EBB_DELETION_H
#define EBB_DELETION_H

#include "base/signature.h"
#include "meta/registry.h"

/* Who asks, through which door, and why. Strings are borrowed for the call. */
struct deletion_by {
    str door;   /* "oci", "ebb", ... */
    str actor;  /* who; "anonymous" without accounts */
    str peer;   /* from which address */
    str reason; /* or unset */
};

struct deletion_options {
    const char *key_path;    /* of the key that signs receipts; made when it is not there. NULL: a
                              * key of this process only (tests) */
    unsigned max_percent;    /* deletion.max_percent: above it a bulk deletion repeats its number */
    uint64_t plan_items_max; /* deletion.plan_items */
    int64_t plan_keep_ms;    /* deletion.plan_keep */
    int64_t receipts_keep_ms; /* receipts.keep: after their grace */
    bool no_thread;           /* tests, the simulation: what is open waits for deletion_step() */
};

struct deletion;
/* Opens the engine; open receipts of an earlier process are carried on. `r` stays the caller's. */
MUST_CHECK enum st deletion_open(struct registry *r, const struct deletion_options *options,
                                 struct deletion **out, struct err *err);
/* Waits for the transaction under way; what is left goes on after the next start. NULL is fine. */
void deletion_close(struct deletion *d);

/* The key that receipts are signed with; lives as long as the engine. */
const uint8_t *deletion_public_key(const struct deletion *d);

/* Carries an open receipt on by one step, without the thread. *more: something is open still. */
MUST_CHECK enum st deletion_step(struct deletion *d, int64_t now, bool *more, struct err *err);
/* Waits until the receipt is sealed, or for `timeout_ms`: *sealed tells. */
MUST_CHECK enum st deletion_wait(struct deletion *d, int64_t receipt_id, int64_t timeout_ms,
                                 bool *sealed, struct err *err);

/* ---- one thing, in one transaction ----------------------------------------------------------- */

enum deletion_kind {
    DELETION_TAG,      /* the tag alone; its manifest stays, loose when nothing else keeps it */
    DELETION_MANIFEST, /* by digest: with every tag on it */
    DELETION_BLOB,     /* the blob's visibility in this repository */
};

struct deletion_order {
    enum deletion_kind kind;
    str repo;
    str tag;              /* of DELETION_TAG */
    struct digest digest; /* of the others */
    struct deletion_by by;
};

struct deletion_result {
    int64_t receipt_id;
    struct digest digest; /* of the manifest or blob concerned */
    uint64_t tags;
    uint64_t manifests; /* that went to the trash; what became loose with them is in the receipt */
    uint64_t blobs;     /* links */
    uint64_t bytes_freed;
    bool in_use; /* with ST_DENIED: by contract 3, not by a rule or hold of contract 5 */
};

/* ST_NOT_FOUND: there is no such thing (*repo_known tells whether the repository is there);
 * ST_DENIED: see contracts 3 and 5. A failure sets *repo_known and out->in_use only. */
MUST_CHECK enum st deletion_apply(struct deletion *d, const struct deletion_order *order,
                                  int64_t now, struct deletion_result *out, bool *repo_known,
                                  struct err *err);

#endif
