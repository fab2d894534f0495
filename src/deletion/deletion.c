/* SPDX-License-Identifier: Apache-2.0 */
#include "deletion/deletion.h"

#include "meta/receipts.h"

/* A deletion under way, inside its transaction. */
struct deletion {
    struct registry *r;
    const struct deletion_order *order;
    int64_t now;
    int64_t due_at;
    int64_t repo_id;
    int64_t items; /* written so far */
    struct deletion_result result;
    bool *repo_known;
};

static enum st open_receipt(struct db_tx *tx, struct deletion *d, struct err *err)
{
    const struct receipt receipt = {
        .created_at = d->now,
        .due_at = d->due_at,
        .door = d->order->door,
        .actor = d->order->actor,
        .peer = d->order->peer,
        .reason = d->order->reason,
    };
    return receipts_add(tx, &receipt, &d->result.receipt_id, err);
}

static enum st record(struct db_tx *tx, struct deletion *d, struct receipt_item item,
                      struct err *err)
{
    item.repo = d->order->repo;
    return receipts_add_item(tx, d->result.receipt_id, ++d->items, &item, err);
}

/* ---- a tag -------------------------------------------------------------------------------- */

static enum st remove_tag(struct db_tx *tx, struct deletion *d, str tag,
                          const struct digest *digest, struct err *err)
{
    enum st st = tags_remove(tx, d->repo_id, tag, err);
    if (st == ST_OK)
        st = record(tx, d, (struct receipt_item){ .kind = ITEM_TAG, .tag = tag, .digest = *digest },
                    err);
    if (st == ST_OK)
        d->result.tags++;
    return st;
}

static enum st delete_tag(struct db_tx *tx, struct deletion *d, struct err *err)
{
    int64_t manifest_id = 0;
    enum st st = tags_find(tx, d->repo_id, d->order->tag, &manifest_id, &d->result.digest, err);
    if (st == ST_OK)
        st = open_receipt(tx, d, err);
    if (st == ST_OK)
        st = remove_tag(tx, d, d->order->tag, &d->result.digest, err);
    if (st == ST_OK)
        st = manifests_review(tx, manifest_id, &d->r->keeping, d->now, err);
    return st;
}

/* ---- a manifest, and what hangs below ---------------------------------------------------- */

static enum st remove_tags_of(struct db_tx *tx, struct deletion *d, int64_t manifest_id,
                              const struct digest *digest, struct err *err)
{
    for (;;) { /* each round removes the one it finds */
        AUTO(arena_release) struct arena scratch = { 0 };
        str tag = STR_NONE;
        enum st st = tags_first_of(tx, manifest_id, &scratch, &tag, err);
        if (st == ST_NOT_FOUND)
            return ST_OK;
        if (st == ST_OK)
            st = remove_tag(tx, d, tag, digest, err);
        if (st != ST_OK)
            return st;
    }
}

static enum st trash_manifest(struct db_tx *tx, struct deletion *d, int64_t id,
                              const struct standing *s, struct err *err)
{
    enum st st = remove_tags_of(tx, d, id, &s->digest, err);
    if (st == ST_OK)
        st = manifests_trash(tx, id, d->repo_id, d->result.receipt_id, d->due_at, &d->r->keeping,
                             d->now, err);
    if (st == ST_OK)
        st = record(
            tx, d,
            (struct receipt_item){ .kind = ITEM_MANIFEST, .digest = s->digest, .size = s->size },
            err);
    if (st == ST_OK)
        d->result.manifests++;
    return st;
}

/* What hangs below may be kept by something else; what is not is loose from now on. */
static enum st let_go_below(struct db_tx *tx, struct deletion *d, int64_t id, struct err *err)
{
    AUTO(arena_release) struct arena scratch = { .limit_bytes = 32 * MIB };
    int64_t *below = NULL;
    size_t count = 0;
    enum st st = manifests_below(tx, id, &scratch, &below, &count, err);
    for (size_t i = 0; i < count && st == ST_OK; i++)
        st = manifests_review(tx, below[i], &d->r->keeping, d->now, err);
    return st;
}

static enum st refuse_child(struct db_tx *tx, const struct deletion *d, struct err *err)
{
    struct digest parent;
    char text[DIGEST_TEXT_MAX + 1];
    enum st st = manifests_live_parent(tx, d->repo_id, &d->order->digest, &parent, NULL);
    if (st == ST_NOT_FOUND)
        return ST_OK;
    if (st != ST_OK)
        return err_set(err, st, "cannot tell whether an index names this manifest");
    str digest = digest_text(&parent, text);
    return err_set(err, ST_DENIED, "this manifest is part of the index %.*s: delete that one",
                   STR_FMT(digest));
}

static enum st delete_manifest(struct db_tx *tx, struct deletion *d, struct err *err)
{
    AUTO(arena_release) struct arena scratch = { .limit_bytes = 16 * MIB };
    struct manifest_row row = { 0 };
    struct standing s = { 0 };
    enum st st =
        manifests_find_by_digest(tx, d->order->repo, &d->order->digest, &scratch, &row, err);
    if (st == ST_OK)
        st = refuse_child(tx, d, err);
    if (st == ST_OK)
        st = manifests_standing(tx, row.id, &s, err);
    if (st == ST_OK)
        st = open_receipt(tx, d, err);
    if (st == ST_OK)
        st = trash_manifest(tx, d, row.id, &s, err);
    if (st == ST_OK)
        st = let_go_below(tx, d, row.id, err);
    d->result.digest = d->order->digest;
    return st;
}

/* ---- a blob ------------------------------------------------------------------------------- */

static enum st delete_blob(struct db_tx *tx, struct deletion *d, struct err *err)
{
    AUTO(arena_release) struct arena scratch = { 0 };
    struct blob_row row = { 0 };
    bool in_use = false;
    char text[DIGEST_TEXT_MAX + 1];
    str digest = digest_text(&d->order->digest, text);
    enum st st = blobs_find(tx, d->repo_id, &d->order->digest, &scratch, &row, err);
    if (st == ST_NOT_FOUND)
        return err_set(err, st, "there is no blob %.*s in %.*s", STR_FMT(digest),
                       STR_FMT(d->order->repo));
    if (st == ST_OK)
        st = blobs_in_live_use(tx, d->repo_id, row.id, &in_use, err);
    if (st == ST_OK && in_use)
        return err_set(err, ST_DENIED,
                       "a manifest in %.*s uses this blob: delete the manifest, and its blobs go"
                       " with it",
                       STR_FMT(d->order->repo));
    if (st == ST_OK)
        st = open_receipt(tx, d, err);
    if (st == ST_OK)
        st = blobs_trash_link(tx, d->repo_id, row.id, d->result.receipt_id, d->due_at, err);
    if (st == ST_OK)
        st = record(tx, d,
                    (struct receipt_item){
                        .kind = ITEM_BLOB, .digest = d->order->digest, .size = row.size },
                    err);
    d->result.digest = d->order->digest;
    d->result.blobs = 1;
    return st;
}

/* ------------------------------------------------------------------------------------------- */

static enum st apply(struct db_tx *tx, void *ctx, struct err *err)
{
    struct deletion *d = ctx;
    d->items = 0;
    d->result = (struct deletion_result){ 0 };
    *d->repo_known = false;
    enum st st = repositories_find(tx, d->order->repo, &d->repo_id, err);
    if (st != ST_OK)
        return st;
    *d->repo_known = true;
    switch (d->order->kind) {
    case DELETION_TAG:
        return delete_tag(tx, d, err);
    case DELETION_MANIFEST:
        return delete_manifest(tx, d, err);
    case DELETION_BLOB:
        return delete_blob(tx, d, err);
    }
    return err_set(err, ST_BUG, "unknown kind of deletion");
}

enum st deletion_apply(struct registry *r, const struct deletion_order *order, int64_t now,
                       struct deletion_result *out, bool *repo_known, struct err *err)
{
    struct deletion d = {
        .r = r,
        .order = order,
        .now = now,
        .due_at = now + r->keeping.grace_ms,
        .repo_known = repo_known,
    };
    enum st st = db_write(r->db, apply, &d, err);
    if (st == ST_OK)
        *out = d.result;
    return st;
}
