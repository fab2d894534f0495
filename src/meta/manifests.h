/* SPDX-License-Identifier: Apache-2.0
 *
 * manifests - rows of manifest, manifest_blob and manifest_child, and what keeps a manifest.
 * Functions run inside the caller's transaction.
 *
 *             push                 a tag, or kept from above
 *   absent ──────────▶ loose ◀──────────────────────────────▶ kept
 *      ▲               due_at     nothing of that any more     due_at NULL
 *      │                 │  ▲
 *      │ reclaim: due,   │  └─ a HEAD renews                     │ delete by digest
 *      │ nothing names it│                                       ▼ (from loose as well)
 *      ├─────────────────┘                                     trash
 *      └──────────────────────── reclaim: due ───────────────── receipt_id, due_at
 *
 * An index is above its children, a subject above its referrers. Of a manifest we ask:
 *
 *   kept    a tag names it, a hold or a lock keeps it (locks.h, 4), or a kept manifest is above it.
 *           Exactly then due_at is NULL. Letting a manifest go therefore lets go what hangs below
 *           it.
 *   named   any row is above it, in the trash too: it must stay on the disk, for undo. Of one in
 *           the trash: a row in the trash is above it. What lives can do without it.
 *
 * A link between two manifests is their digests. A digest cannot contain itself, but an index could
 * have its own child as its subject: such knots, which would keep themselves, are refused. Pushing
 * a manifest that lies in the trash takes it out of there.
 */
#ifndef EBB_MANIFESTS_H
#define EBB_MANIFESTS_H

#include "meta/links.h"
#include "oci/manifest.h"

struct manifest_row {
    int64_t id;
    int64_t repo_id;
    struct digest digest;
    str media_type;
    str payload; /* unset where a function says so */
    uint64_t size;
    int64_t due_at; /* 0: kept */
    bool any_locks; /* there is one somewhere (locks.h) */
};

/* Live manifest by tag or digest; strings live in `a`. ST_NOT_FOUND. */
MUST_CHECK enum st manifests_find_by_tag(struct db_tx *tx, str repo, str tag, struct arena *a,
                                         struct manifest_row *out, struct err *err);
MUST_CHECK enum st manifests_find_by_digest(struct db_tx *tx, str repo, const struct digest *d,
                                            struct arena *a, struct manifest_row *out,
                                            struct err *err);

struct manifest_push {
    int64_t repo_id;
    const struct manifest *parsed;
    const struct digest *digest;
    str payload;
    bool sparse; /* an index may name children that are not there */
};

/* Descriptors that are named and not there; the first few. */
#define MANIFEST_MISSING_MAX 16
struct manifest_missing {
    struct digest digests[MANIFEST_MISSING_MAX];
    size_t count;
};

/* Inserts the manifest as loose, or finds it, or takes it out of the trash. The caller then sets
 * its tags and calls manifests_review().
 *
 *   ST_MISSING_PART  with *missing filled: the only output that a failure sets
 *   ST_MISMATCH      the same bytes are stored as another media type
 *   ST_INVALID       its subject is below it */
MUST_CHECK enum st manifests_put(struct db_tx *tx, const struct manifest_push *in,
                                 const struct keeping *k, int64_t now, int64_t *id,
                                 struct manifest_missing *missing, struct err *err);

/* After anything that may have kept it or let it go: moves a live manifest between loose and kept,
 * its blobs and what hangs below with it. In the trash or absent: does nothing. *freed as in
 * links.h, or NULL. */
MUST_CHECK enum st manifests_review(struct db_tx *tx, int64_t id, const struct keeping *k,
                                    int64_t now, uint64_t *freed, struct err *err);

/* A promise that a loose manifest stays until now + lease; for others nothing is written. */
MUST_CHECK enum st manifests_renew(struct db_tx *tx, int64_t id, const struct keeping *k,
                                   int64_t now, struct err *err);

/* A live index that names it; ST_NOT_FOUND when there is none. */
MUST_CHECK enum st manifests_live_parent(struct db_tx *tx, int64_t repo_id, const struct digest *d,
                                         struct digest *parent, struct err *err);

/* Ids of the live manifests right below `id`, in `a`. */
MUST_CHECK enum st manifests_below(struct db_tx *tx, int64_t id, struct arena *a, int64_t **ids,
                                   size_t *count, struct err *err);

struct standing {
    int64_t repo_id;
    int64_t due_at;     /* 0: none */
    int64_t receipt_id; /* 0: it is not in the trash */
    bool trashed;
    bool tagged;
    bool held; /* by a hold on its digest, or a lock against writing or deleting it */
    bool kept;
    bool named;
    uint64_t size; /* of the payload */
    struct digest digest;
};
/* ST_NOT_FOUND when there is no such row. */
MUST_CHECK enum st manifests_standing(struct db_tx *tx, int64_t id, struct standing *out,
                                      struct err *err);

/* Moves one live manifest to the trash. *freed as in links.h. */
MUST_CHECK enum st manifests_trash(struct db_tx *tx, int64_t id, const struct standing *s,
                                   int64_t receipt_id, int64_t due_at, const struct keeping *k,
                                   int64_t now, uint64_t *freed, struct err *err);
/* Takes one out of the trash with whatever it names that lies in the trash as well: so it is
 * complete again. What a tag, a hold or an index keeps is kept at once, all else loose: so tags
 * that are to keep it are cheapest set before; after setting them later call manifests_review().
 * Does nothing to one that is live. */
MUST_CHECK enum st manifests_restore(struct db_tx *tx, int64_t id, const struct keeping *k,
                                     int64_t now, struct err *err);

/* Ids that are due, oldest first. */
MUST_CHECK enum st manifests_due(struct db_tx *tx, int64_t now, int64_t *out, size_t limit,
                                 size_t *count, struct err *err);

/* Looks at a manifest that manifests_due() listed in this transaction. If something keeps it, it
 * leaves the queue; if something names it, it is looked at after that; otherwise it goes for good,
 * with the links of its blobs that nothing else uses and whose lease is over, and with what hangs
 * below and is due. Adds to *out. */
MUST_CHECK enum st manifests_reclaim(struct db_tx *tx, int64_t id, const struct keeping *k,
                                     int64_t now, struct removal *out, struct err *err);

struct referrer {
    struct digest digest;
    str media_type;
    uint64_t size;
    str artifact_type;
    str annotations; /* JSON object text or unset */
};
/* Live referrers of `subject`, by digest, after `last` (NULL: from the start), up to `limit`;
 * fewer, with *more, when their annotations are long. */
MUST_CHECK enum st manifests_referrers(struct db_tx *tx, str repo, const struct digest *subject,
                                       str artifact_type, const struct digest *last, size_t limit,
                                       struct arena *a, struct referrer **out, size_t *count,
                                       bool *more, struct err *err);

#endif
