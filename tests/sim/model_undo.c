/* SPDX-License-Identifier: Apache-2.0
 *
 * Receipts, and what they must bring back.
 */
#include "model.h"

void model_add_receipt(struct model *m, const struct model_receipt *receipt)
{
    EACH(i, RECEIPTS)
    if (m->receipts[i].id == receipt->id) {
        m->receipts[i] = *receipt;
        return;
    }
    m->receipts[receipt->id % RECEIPTS] = *receipt;
}

/* Items that the undo is about; those that were skipped are not. A tag brings its image, an image
 * its tags. */
static bool is_meant(const struct undo_wish *w, int i)
{
    const struct model_item *item = &w->of->items[i];
    if (item->skipped)
        return false;
    if (w->only < 0 || w->only == i)
        return true;
    const struct model_item *only = &w->of->items[w->only];
    if ((only->skipped && only->kind == TAG_ITEM) || item->repo != only->repo ||
        item->thing != only->thing || (item->kind == BLOB_ITEM) != (only->kind == BLOB_ITEM))
        return false;
    return only->kind == TAG_ITEM ? item->kind == MANIFEST_ITEM || item->tag == only->tag : true;
}

enum st model_undo(const struct model *m, const struct undo_wish *w, int64_t now)
{
    int tags = 0, went = 0, meant = 0, left = 0;
    (void)m;
    EACH(i, w->of->count)
    {
        bool open = is_meant(w, i) && w->of->items[i].undone_by == 0;
        went += !w->of->items[i].skipped;
        meant += is_meant(w, i);
        left += open;
        tags += open && w->of->items[i].kind == TAG_ITEM;
    }
    if (w->of->is_undo)
        return ST_INVALID;
    if (w->of->open)
        return ST_BUSY;
    if (w->of->due_at <= now)
        return ST_EXPIRED;
    if (went == 0 || meant == 0)
        return ST_NOT_FOUND;
    if (w->only >= 0 && left == 0)
        return ST_OK; /* it is undone */
    return w->as >= 0 && tags != 1 ? ST_INVALID : ST_OK;
}

/* Out of the trash, with what it names that lies there as well. */
/* With the children that went with it, or after it: others were missing before. */
static void restore(struct model *m, int r, int i, int64_t least_receipt, int64_t now)
{
    struct thing *t = &m->manifests[r][i];
    if (t->visible || !t->row || t->receipt < least_receipt)
        return;
    t->visible = true;
    t->promise = MAX(t->promise, now + MAX(m->lease, m->grace));
    EACH(b, BLOBS)
    if (m->uses[r][i][b])
        model_linked(m, r, b, now);
    EACH(c, MANIFESTS)
    if (m->u->child[i][c])
        restore(m, r, c, t->receipt, now);
}

/* Whether it lies there, and its time is not over. */
static bool is_left(const struct thing *t, int64_t now)
{
    return t->visible || (t->row && t->trash_until > now);
}

/* Whether the item may be brought back, and must be. */
static bool may_restore(const struct model *m, const struct undo_wish *w,
                        const struct model_item *item, int64_t now)
{
    int r = item->repo;
    if (model_is_read_only(m, r))
        return false;
    if (item->with)
        return m->manifests[r][item->thing].visible;
    if (item->kind == BLOB_ITEM)
        return is_left(&m->blobs[r][item->thing], now);
    if (!is_left(&m->manifests[r][item->thing], now))
        return false;
    if (item->kind == MANIFEST_ITEM)
        return true;
    int tag = w->as >= 0 ? w->as : item->tag;
    int there = m->tags[r][tag];
    return there < 0 || there == item->thing || (w->force && !model_is_immutable(m, r, tag));
}

static bool is_there(const struct model *m, const struct undo_wish *w,
                     const struct model_item *item)
{
    if (item->kind == BLOB_ITEM)
        return m->blobs[item->repo][item->thing].visible;
    if (item->kind == MANIFEST_ITEM)
        return m->manifests[item->repo][item->thing].visible;
    return m->tags[item->repo][w->as >= 0 ? w->as : item->tag] == item->thing;
}

static const struct model_item *find_item(const struct model_receipt *receipt,
                                          const struct model_item *of, int tag)
{
    EACH(i, receipt->count)
    {
        const struct model_item *item = &receipt->items[i];
        if (item->kind == of->kind && item->repo == of->repo && item->thing == of->thing &&
            (of->kind != TAG_ITEM || item->tag == of->tag || item->tag == tag))
            return item;
    }
    return NULL;
}

static void bring_back(struct model *m, const struct undo_wish *w, const struct model_item *item,
                       int64_t now)
{
    int tag = w->as >= 0 ? w->as : item->tag;
    if (item->kind == BLOB_ITEM) {
        model_linked(m, item->repo, item->thing, now);
        return;
    }
    restore(m, item->repo, item->thing, 0, now);
    if (item->kind == TAG_ITEM && m->tags[item->repo][tag] != item->thing) {
        m->tags[item->repo][tag] = item->thing;
        m->tagged_at[item->repo][tag] = now;
    }
}

bool model_undone(struct model *m, const struct undo_wish *w, const struct model_receipt *receipt,
                  int64_t now)
{
    struct kept_before before;
    model_note_kept(m, &before);
    for (int i = 0; i < w->of->count; i++) {
        struct model_item *item = &w->of->items[i];
        if (!is_meant(w, i) || item->undone_by != 0)
            continue;
        const struct model_item *told = find_item(receipt, item, w->as);
        bool done = told != NULL && !told->skipped;
        bool may = may_restore(m, w, item, now);
        bool there = is_there(m, w, item);
        if (done && !may && !there)
            return model_wrong(m, "brought back what must not be", item->repo, item->thing);
        if (!done && may && !there)
            return model_wrong(m, "not brought back", item->repo, item->thing);
        if (done && !there)
            bring_back(m, w, item, now);
        if (done)
            item->undone_by = receipt->id;
    }
    model_let_go(m, &before, false, now);
    return true;
}
