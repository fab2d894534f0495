/* SPDX-License-Identifier: Apache-2.0
 *
 * receipts - rows of receipt and receipt_item: the record of each deletion and each undo, and the
 * handle by which the trash knows what went together. Functions run inside the caller's
 * transaction.
 *
 *     open ──items──▶ open ──seal──▶ sealed ──after receipts.keep──▶ dropped, oldest first
 *
 * Sealed receipts are a chain. hash = SHA-256 over the previous hash and a canonical text of the
 * fields, the hash over all items among them; the signature is Ed25519 over the hash.
 * doc/receipts.md has the texts. Nothing that the hash covers changes afterwards; `undone` and
 * `undone_by` are notes beside it. Dropping leaves an anchor, signed as well, with the hash before
 * the first one that is left.
 *
 *  1. seq goes 1, 2, 3, ... in the order of sealing, without gaps; prev_hash is the hash of seq - 1
 *     (32 zero bytes for the first).
 *  2. Items are numbered 1, 2, 3, ... in the order in which they were carried out.
 *  3. What is in a receipt's row while it is open says what is in its items: both change in one
 *     transaction.
 */
#ifndef EBB_RECEIPTS_H
#define EBB_RECEIPTS_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/signature.h"
#include "db/db.h"
#include "oci/digest.h"

#define RECEIPT_HASH_BYTES HASH256_BYTES

enum receipt_kind { RECEIPT_DELETE, RECEIPT_UNDO };

struct receipt {
    int64_t id;
    enum receipt_kind kind;
    bool sealed;
    int64_t created_at;
    int64_t sealed_at;
    int64_t due_at; /* until then it can be undone; of an undo: created_at */
    str door;       /* "oci", ... */
    str actor;
    str peer;          /* address */
    str reason;        /* or unset */
    str rule;          /* the rule as a text, of a deletion by rule; or unset */
    str request;       /* as asked, JSON; or unset */
    str plan_id;       /* or unset */
    int64_t undo_of;   /* 0: none, or of several */
    bool immediate;    /* without a grace */
    uint64_t total;    /* steps of work there are: of up to 256 items each */
    uint64_t position; /* steps done */
    /* Items there are. tags, manifests and blobs: of those, what went or came back, without
     * skipped ones. undone: items that were taken back since. */
    uint64_t items, tags, manifests, blobs, skipped, undone;
    uint64_t bytes_freed, bytes_kept;
    int64_t seq; /* 0: not sealed, or of before there was a chain */
    unsigned char items_hash[RECEIPT_HASH_BYTES];
    unsigned char prev_hash[RECEIPT_HASH_BYTES];
    unsigned char hash[RECEIPT_HASH_BYTES];
    unsigned char signature[SIGNATURE_BYTES];
    bool has_signature; /* receipts of before there was a chain have none */
};

struct receipt_item {
    uint64_t number; /* from 1 */
    enum { ITEM_TAG, ITEM_MANIFEST, ITEM_BLOB } kind;
    bool with; /* went with what was selected: it is loose, not in the trash */
    str repo;
    str tag; /* of ITEM_TAG */
    struct digest digest;
    uint64_t size;
    str why; /* it was skipped, and why; or unset */
    int64_t undone_by;
};

/* ---- writing --------------------------------------------------------------------------------- */

/* Inserts it, open and without items, and sets r->id. */
MUST_CHECK enum st receipts_open(struct db_tx *tx, struct receipt *r, struct err *err);
/* Adds the item as number r->items + 1 and counts it in *r. Its number and undone_by are not
 * looked at. receipts_note() or receipts_seal() must follow in the same transaction. */
MUST_CHECK enum st receipts_add_item(struct db_tx *tx, struct receipt *r,
                                     const struct receipt_item *item, struct err *err);
/* Writes what may change while it is open: total, position, counts, bytes and items_hash. */
MUST_CHECK enum st receipts_note(struct db_tx *tx, const struct receipt *r, struct err *err);
/* The same, and makes it the newest of the chain. */
MUST_CHECK enum st receipts_seal(struct db_tx *tx, struct receipt *r,
                                 const struct signature_key *key, int64_t now, struct err *err);
/* Notes that the items from..to were taken back by `undo_id`, and counts them. Those that were
 * already are left alone. */
MUST_CHECK enum st receipts_mark_undone(struct db_tx *tx, int64_t id, uint64_t from, uint64_t to,
                                        int64_t undo_id, struct err *err);

/* ---- reading --------------------------------------------------------------------------------- */

/* Strings in `a`. ST_NOT_FOUND with a sentence. */
MUST_CHECK enum st receipts_find(struct db_tx *tx, int64_t id, struct arena *a, struct receipt *out,
                                 struct err *err);
/* Newest first, those with an id below `before` (0: all), up to `limit`; *more when others follow.
 * `repo` set: only those with an item in that repository. */
MUST_CHECK enum st receipts_list(struct db_tx *tx, str repo, int64_t before, size_t limit,
                                 struct arena *a, struct receipt **out, size_t *count, bool *more,
                                 struct err *err);
/* Items with a number above `after`, up to `limit`; *more when others follow. With `skipped` only
 * those that were. ST_NOT_FOUND is not given: an unknown receipt has no items. */
MUST_CHECK enum st receipts_items(struct db_tx *tx, int64_t id, uint64_t after, size_t limit,
                                  bool skipped, struct arena *a, struct receipt_item **out,
                                  size_t *count, bool *more, struct err *err);
/* Calls `visit` with the name of each repository that the receipt has an item in, some more than
 * once, until it returns false. An unknown receipt has none. */
MUST_CHECK enum st receipts_visit_repositories(struct db_tx *tx, int64_t id,
                                               bool (*visit)(void *ctx, str repo), void *ctx,
                                               struct err *err);
/* The open one with the lowest id above `after`. ST_NOT_FOUND, plain. */
MUST_CHECK enum st receipts_next_open(struct db_tx *tx, int64_t after, int64_t *id,
                                      struct err *err);
/* The undo of `id` that is open. ST_NOT_FOUND, plain. */
MUST_CHECK enum st receipts_open_undo(struct db_tx *tx, int64_t id, int64_t *undo_id,
                                      struct err *err);
/* Of the items that can be undone: how many are not yet, and the newest undo of the others (0:
 * none). */
MUST_CHECK enum st receipts_count_undoable(struct db_tx *tx, int64_t id, uint64_t *left,
                                           int64_t *newest_undo, struct err *err);

/* ---- the chain ------------------------------------------------------------------------------- */

/* The text that the hash is over, behind prev_hash; r->seq and r->sealed_at are set. */
void receipts_text(const struct receipt *r, struct buf *out);
/* The text that items_hash rolls over: hash' = SHA-256(hash, text). */
void receipts_item_text(const struct receipt_item *item, struct buf *out);

struct receipts_wrong {
    int64_t seq;
    int64_t receipt_id; /* 0: there is none */
    str text;
};
#define RECEIPTS_WRONG_MAX 100 /* that are told */
struct receipts_verdict {
    uint64_t checked; /* receipts */
    int64_t last_seq; /* the head, when `next` is 0: note both, and pass them next time */
    unsigned char last_hash[RECEIPT_HASH_BYTES];
    int64_t next; /* pass it as `from`, with last_hash; 0: this was the end of the chain */
    struct receipts_wrong *wrong;
    size_t wrong_count;
};
struct receipts_stretch {
    int64_t from; /* the first to check; 0 or 1: from the start, or from the anchor */
    const unsigned char *before; /* the hash of the one before it, when known; or NULL */
    size_t limit;                /* receipts; at least 1 */
    uint64_t items_max;          /* ends behind the receipt that reaches so many items; 0: no end */
};
/* Recomputes everything and compares. What is wrong is no failure: it is in out->wrong. */
MUST_CHECK enum st receipts_verify(struct db_tx *tx,
                                   const uint8_t public[static SIGNATURE_PUBLIC_BYTES],
                                   const struct receipts_stretch *stretch, struct arena *a,
                                   struct receipts_verdict *out, struct err *err);

/* Drops from the old end what was due at or before `until`: one receipt, or a part of its items,
 * a call. *more when there is something left to drop. */
MUST_CHECK enum st receipts_expire(struct db_tx *tx, int64_t until, const struct signature_key *key,
                                   bool *more, struct err *err);
/* Whether it would do something. */
MUST_CHECK enum st receipts_any_expired(struct db_tx *tx, int64_t until, bool *out,
                                        struct err *err);

#endif
