/* SPDX-License-Identifier: Apache-2.0
 *
 * Taking items back, in the transaction of a step. Each is recorded, with the reason when it stays
 * away; nothing that is there already is touched.
 */
#include "deletion/undo_int.h"
#include "meta/trash.h"

struct undoing {
    struct removing m;
    const struct undo_order *order;
    int64_t receipt_id; /* that is undone */
    str repo;           /* that of the item before */
    int64_t repo_id;    /* 0: it is gone */
    str refused;        /* why the repository takes nothing back; or unset */
    struct arena *a;
    struct id_list touched;   /* manifests to review */
    struct links_batch batch; /* that m.keeping names */
    struct digest tagged;     /* the image that a tag came back on last: it is live */
    bool any_tagged;
    struct undo_range back; /* items that came back and are not marked yet; from 0: none */
};

#define GONE    STR("it is gone for good")
#define EMPTIED STR("it was emptied from the trash")

static enum st mark(struct undoing *u, struct err *err)
{
    struct undo_range r = u->back;
    u->back = (struct undo_range){ 0 };
    if (r.from == 0)
        return ST_OK;
    return receipts_mark_undone(u->m.tx, u->receipt_id, r.from, r.to, u->m.receipt->id, err);
}

/* Records it as `out`, which came back unless it says why not. */
static enum st record(struct undoing *u, const struct receipt_item *item, str why, struct err *err)
{
    struct receipt_item out = *item;
    out.why = why;
    if (item->kind == ITEM_TAG && u->order->as.ptr != NULL)
        out.tag = u->order->as;
    enum st st = removing_record(&u->m, &out, err);
    if (st != ST_OK || why.ptr != NULL)
        return st;
    if (u->back.from != 0 && u->back.to + 1 == item->number) {
        u->back.to = item->number;
        return ST_OK;
    }
    st = mark(u, err);
    u->back = (struct undo_range){ item->number, item->number };
    return st;
}

/* ---- one item -------------------------------------------------------------------------------- */

/* The image as it is, in the trash or not. *why: it cannot come back. */
static enum st find_manifest(struct undoing *u, const struct receipt_item *item,
                             struct manifest_target *row, str *why, struct err *err)
{
    enum st st = targets_manifest(u->m.tx, u->repo_id, &item->digest, row, err);
    if (st == ST_NOT_FOUND) {
        *why = item->kind == ITEM_TAG ? STR("its image is gone for good") : GONE;
        return ST_OK;
    }
    if (st == ST_OK && row->receipt_id != 0 && row->due_at <= u->m.now)
        *why = item->kind == ITEM_TAG ? STR("its image was emptied from the trash") : EMPTIED;
    return st;
}

/* Out of the trash, if it is there. */
static enum st bring_back(struct undoing *u, const struct manifest_target *row, struct err *err)
{
    if (row->receipt_id == 0)
        return ST_OK;
    return manifests_restore(u->m.tx, row->id, &u->m.keeping, u->m.now, err);
}

/* Whether the tag may be set at all. *why: it may not. */
static enum st ask(struct undoing *u, enum protection_act act, const struct receipt_item *item,
                   str name, const struct digest *digest, str *why, struct err *err)
{
    struct err denied = { 0 };
    enum st st = removing_check(&u->m, act, item->repo, name, digest, &denied);
    if (st != ST_DENIED)
        return st == ST_OK ? ST_OK : err_set(err, st, "%s", denied.text);
    *why = arena_dup(u->a, str_of(denied.text));
    return why->ptr == NULL ? err_no_memory(err) : ST_OK;
}

/* Whether the name is free: nobody set it again meanwhile, or it may be moved. */
static enum st check_tag(struct undoing *u, const struct receipt_item *item, str name, bool *set,
                         str *why, struct err *err)
{
    struct tag_target there = { 0 };
    char text[DIGEST_TEXT_MAX + 1];
    enum st st = targets_tag(u->m.tx, u->repo_id, name, &there, err);
    *set = false;
    if (st == ST_NOT_FOUND)
        return ask(u, PROTECT_PUSH_TAG, item, name, &item->digest, why, err);
    if (st != ST_OK)
        return st;
    if (digest_eq(&there.digest, &item->digest)) {
        *set = true;
        return ST_OK;
    }
    str digest = digest_text(&there.digest, text);
    if (!u->order->force) {
        *why = arena_printf(u->a, "it was set again meanwhile: it names %.*s now", STR_FMT(digest));
        return why->ptr == NULL ? err_no_memory(err) : ST_OK;
    }
    st = ask(u, PROTECT_PUSH_TAG, item, name, &there.digest, why, err);
    if (st == ST_OK && why->ptr == NULL)
        st = ask(u, PROTECT_SET_TAG, item, name, &there.digest, why, err);
    return st;
}

/* The tag first: so what comes back out of the trash is kept at once, and its links move once. */
static enum st set_tag(struct undoing *u, str name, const struct manifest_target *row,
                       struct err *err)
{
    enum st st = tags_set(u->m.tx, u->repo_id, name, row->id, &u->m.keeping, u->m.now, err);
    if (row->due_at != 0 && row->receipt_id == 0)
        id_list_add_new(&u->touched, row->id);
    return st == ST_OK ? bring_back(u, row, err) : st;
}

static enum st undo_tag(struct undoing *u, const struct receipt_item *item, struct err *err)
{
    str name = u->order->as.ptr != NULL ? u->order->as : item->tag;
    struct manifest_target row = { 0 };
    str why = STR_NONE;
    bool set = false;
    enum st st = check_tag(u, item, name, &set, &why, err);
    if (st == ST_OK && why.ptr == NULL && !set)
        st = find_manifest(u, item, &row, &why, err);
    if (st == ST_OK && why.ptr == NULL && !set)
        st = set_tag(u, name, &row, err);
    if (st == ST_OK && why.ptr == NULL) {
        u->tagged = item->digest;
        u->any_tagged = true;
    }
    return st == ST_OK ? record(u, item, why, err) : st;
}

static enum st undo_manifest(struct undoing *u, const struct receipt_item *item, struct err *err)
{
    struct manifest_target row = { 0 };
    str why = STR_NONE;
    if (u->any_tagged && digest_eq(&u->tagged, &item->digest))
        return record(u, item, STR_NONE, err);
    enum st st = find_manifest(u, item, &row, &why, err);
    if (st == ST_OK && why.ptr == NULL)
        st = bring_back(u, &row, err);
    return st == ST_OK ? record(u, item, why, err) : st;
}

/* It was loose, and is kept again when what it went with came back. */
static enum st undo_with(struct undoing *u, const struct receipt_item *item, struct err *err)
{
    struct manifest_target row = { 0 };
    enum st st = targets_manifest(u->m.tx, u->repo_id, &item->digest, &row, err);
    if (st == ST_NOT_FOUND)
        return record(u, item, GONE, err);
    if (st == ST_OK && row.receipt_id != 0)
        return record(u, item, STR("it was deleted meanwhile"), err);
    return st == ST_OK ? record(u, item, STR_NONE, err) : st;
}

static enum st undo_blob(struct undoing *u, const struct receipt_item *item, struct err *err)
{
    struct link_target row = { 0 };
    enum st st = links_batch_write(u->m.tx, &u->batch, err);
    if (st == ST_OK)
        st = targets_link(u->m.tx, u->repo_id, &item->digest, &row, err);
    if (st == ST_NOT_FOUND)
        return record(u, item, GONE, err);
    if (st == ST_OK && row.receipt_id != 0 && row.due_at <= u->m.now)
        return record(u, item, EMPTIED, err);
    if (st == ST_OK && row.receipt_id != 0)
        st = links_restore(u->m.tx, &(struct link_ref){ u->repo_id, row.blob_id }, &u->m.keeping,
                           u->m.now, err);
    return st == ST_OK ? record(u, item, STR_NONE, err) : st;
}

static enum st find_repository(struct undoing *u, str repo, struct err *err)
{
    struct err denied = { 0 };
    if (u->repo.ptr != NULL && str_eq(u->repo, repo))
        return ST_OK;
    u->repo = repo;
    u->repo_id = 0;
    u->any_tagged = false;
    u->refused = STR_NONE;
    enum st st = repositories_find(u->m.tx, repo, &u->repo_id, err);
    if (st != ST_OK)
        return st == ST_NOT_FOUND ? ST_OK : st;
    st = removing_check(&u->m, PROTECT_PUSH_MANIFEST, repo, STR_NONE, NULL, &denied);
    if (st != ST_DENIED)
        return st == ST_OK ? ST_OK : err_set(err, st, "%s", denied.text);
    u->refused = arena_dup(u->a, str_of(denied.text));
    return u->refused.ptr == NULL ? err_no_memory(err) : ST_OK;
}

static enum st undo_item(struct undoing *u, const struct receipt_item *item, struct err *err)
{
    if (item->why.ptr != NULL || item->undone_by != 0)
        return ST_OK; /* it never went, or is back */
    enum st st = find_repository(u, item->repo, err);
    if (st != ST_OK)
        return st;
    if (u->repo_id == 0)
        return record(u, item, GONE, err);
    if (u->refused.ptr != NULL)
        return record(u, item, u->refused, err);
    if (item->with)
        return undo_with(u, item, err);
    switch (item->kind) {
    case ITEM_TAG:
        return undo_tag(u, item, err);
    case ITEM_MANIFEST:
        return undo_manifest(u, item, err);
    case ITEM_BLOB:
        return undo_blob(u, item, err);
    }
    return err_set(err, ST_BUG, "unknown kind of item");
}

/* ---- a step ---------------------------------------------------------------------------------- */

static enum st undo_stretch(struct undoing *u, uint64_t from, uint64_t count, struct err *err)
{
    struct receipt_item *items = NULL;
    size_t found = 0;
    bool more = false;
    enum st st = receipts_items(u->m.tx, u->receipt_id, from - 1, (size_t)count, false, u->a,
                                &items, &found, &more, err);
    for (size_t i = 0; i < found && st == ST_OK; i++)
        if (items[i].number < from + count)
            st = undo_item(u, &items[i], err);
    return st;
}

static enum st undo_ranges(struct undoing *u, uint64_t first, uint64_t limit, struct err *err)
{
    const struct undo_order *order = u->order;
    enum st st = ST_OK;
    if (order->ranges == NULL)
        return undo_stretch(u, first + 1, limit, err);
    for (size_t i = 0; i < order->range_count && limit > 0 && st == ST_OK; i++) {
        struct undo_range r = order->ranges[i];
        uint64_t there = r.to - r.from + 1;
        if (first >= there) {
            first -= there;
            continue;
        }
        uint64_t count = MIN(there - first, limit);
        st = undo_stretch(u, r.from + first, count, err);
        first = 0;
        limit -= count;
    }
    return st;
}

enum st undo_items(struct carry *c, const struct undo_order *order, int64_t receipt_id,
                   uint64_t first, uint64_t limit, struct err *err)
{
    struct undoing u = { .order = order, .receipt_id = receipt_id, .a = c->a, .touched = ID_LIST };
    u.m = (struct removing){ .tx = c->tx,
                             .d = c->d,
                             .receipt = c->receipt,
                             .keeping = deletion_keeping(c->d, false),
                             .now = c->now };
    u.m.keeping.batch = &u.batch;
    enum st st = removing_begin(&u.m, err);
    if (st == ST_OK)
        st = undo_ranges(&u, first, limit, err);
    if (st == ST_OK)
        st = mark(&u, err);
    if (st == ST_OK)
        st = removing_review(&u.m, &u.touched, NULL, err);
    if (st == ST_OK)
        st = links_batch_write(u.m.tx, &u.batch, err);
    removing_end(&u.m);
    links_batch_release(&u.batch);
    id_list_release(&u.touched);
    return st;
}
