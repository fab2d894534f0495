/* SPDX-License-Identifier: Apache-2.0
 *
 * What the database holds, read with statements of our own, and whether that may be.
 */
#include "model.h"

/* ---- comparing ------------------------------------------------------------------------------- */

struct reading {
    struct seen *s;
    struct model_receipt *receipt;
    const struct model *m;
    const struct universe *u;
};

/* Repositories are named "r0", "r1", ...; tags "t0", "t1", ... */
static int number_of(str name)
{
    return name.ptr[1] - '0';
}

int universe_find(const struct universe *u, const struct digest *d, bool manifest)
{
    EACH(i, manifest ? MANIFESTS : BLOBS)
    if (digest_eq(d, manifest ? &u->manifests[i].digest : &u->blobs[i]))
        return i;
    return -1;
}

static enum st read_things(struct db_tx *tx, struct reading *to, bool manifest, struct err *err)
{
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    enum st st = db_select(
        tx, &rows,
        manifest ? "SELECT r.name, m.digest, m.receipt_id FROM manifest m"
                   " JOIN repository r ON r.id = m.repo_id"
                 : "SELECT r.name, b.digest, l.receipt_id FROM repo_blob l"
                   " JOIN repository r ON r.id = l.repo_id JOIN blob b ON b.id = l.blob_id",
        DB_NO_ARGS, err);
    while (st == ST_OK && (st = db_next(&rows, err)) == ST_OK) {
        struct digest d;
        if ((st = digest_of_key(db_bytes(&rows, 1), &d, err)) != ST_OK)
            break;
        int r = number_of(db_text(&rows, 0));
        int i = universe_find(to->u, &d, manifest);
        if (i < 0)
            return err_set(err, ST_BUG, "a digest from nowhere");
        (manifest ? to->s->manifest_rows[r] : to->s->link_rows[r])[i] = true;
        (manifest ? to->s->manifests[r] : to->s->blobs[r])[i] = db_is_null(&rows, 2);
    }
    return st == ST_END ? ST_OK : st;
}

static enum st read_tags(struct db_tx *tx, struct reading *to, struct err *err)
{
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    enum st st = db_select(tx, &rows,
                           "SELECT r.name, t.name, m.digest FROM tag t"
                           " JOIN repository r ON r.id = t.repo_id"
                           " JOIN manifest m ON m.id = t.manifest_id",
                           DB_NO_ARGS, err);
    while (st == ST_OK && (st = db_next(&rows, err)) == ST_OK) {
        struct digest d;
        if ((st = digest_of_key(db_bytes(&rows, 2), &d, err)) != ST_OK)
            break;
        to->s->tags[number_of(db_text(&rows, 0))][number_of(db_text(&rows, 1))] =
            universe_find(to->u, &d, true);
    }
    return st == ST_END ? ST_OK : st;
}

static enum st read_holds(struct db_tx *tx, struct reading *to, struct err *err)
{
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    enum st st = db_select(tx, &rows, "SELECT id FROM hold", DB_NO_ARGS, err);
    while (st == ST_OK && (st = db_next(&rows, err)) == ST_OK)
        EACH(h, HOLDS)
    if (to->m->holds[h].id == db_int(&rows, 0))
        to->s->holds[h] = true;
    return st == ST_END ? ST_OK : st;
}

static enum st read_seen(struct db_tx *tx, void *ctx, struct err *err)
{
    struct reading *to = ctx;
    *to->s = (struct seen){ 0 };
    EACH(r, REPOS)
    EACH(t, TAGS)
    to->s->tags[r][t] = -1;
    enum st st = read_things(tx, to, true, err);
    if (st == ST_OK)
        st = read_things(tx, to, false, err);
    if (st == ST_OK)
        st = read_holds(tx, to, err);
    return st == ST_OK ? read_tags(tx, to, err) : st;
}

bool seen_read(struct seen *s, const struct model *m, struct world *w)
{
    struct reading to = { .s = s, .m = m, .u = m->u };
    return db_read(w->r.db, read_seen, &to, &w->err) == ST_OK;
}

static enum st read_item(const struct db_rows *rows, struct model_receipt *to,
                         const struct universe *u, struct err *err)
{
    struct digest d;
    if (to->count == ITEMS_MAX)
        return err_set(err, ST_BUG, "a receipt with more items than there are things");
    struct model_item *item = &to->items[to->count++];
    char kind = db_text(rows, 0).ptr[0];
    enum st st = digest_of_key(db_bytes(rows, 3), &d, err);
    if (st != ST_OK)
        return st;
    *item = (struct model_item){
        .kind = kind == 't'   ? TAG_ITEM
                : kind == 'm' ? MANIFEST_ITEM
                              : BLOB_ITEM,
        .repo = number_of(db_text(rows, 1)),
        .tag = kind == 't' ? number_of(db_text(rows, 2)) : -1,
        .thing = universe_find(u, &d, kind != 'b'),
        .with = db_text(rows, 4).ptr[0] == 'w',
        .skipped = !db_is_null(rows, 5),
        .undone_by = db_int(rows, 6),
    };
    return item->thing >= 0 ? ST_OK : err_set(err, ST_BUG, "an item from nowhere");
}

static enum st read_receipt(struct db_tx *tx, void *ctx, struct err *err)
{
    struct reading *to = ctx;
    int64_t id = to->receipt->id;
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    *to->receipt = (struct model_receipt){ .id = id };
    enum st st = db_one(tx, &rows, "SELECT kind, due_at, state FROM receipt WHERE id = $1",
                        DB_ARGS(DB_INT(id)), err);
    if (st != ST_OK)
        return st;
    to->receipt->is_undo = db_text(&rows, 0).ptr[0] == 'u';
    to->receipt->due_at = db_int(&rows, 1);
    to->receipt->open = !str_eq(db_text(&rows, 2), STR("sealed"));
    db_rows_close(&rows);
    st = db_select(tx, &rows,
                   "SELECT kind, repo, tag, digest, role, why, undone_by FROM receipt_item"
                   " WHERE receipt_id = $1 ORDER BY item",
                   DB_ARGS(DB_INT(id)), err);
    while (st == ST_OK && (st = db_next(&rows, err)) == ST_OK)
        st = read_item(&rows, to->receipt, to->u, err);
    return st == ST_END ? ST_OK : st;
}

bool receipt_read(struct model_receipt *to, int64_t id, const struct model *m, struct world *w)
{
    struct reading reading = { .receipt = to, .m = m, .u = m->u };
    to->id = id;
    return db_read(w->r.db, read_receipt, &reading, &w->err) == ST_OK;
}

static bool compare_manifests(struct model *m, const struct seen *s, bool reclaimed, int64_t now)
{
    bool kept[REPOS][MANIFESTS], held_before[REPOS][MANIFESTS];
    EACH(r, REPOS)
    EACH(i, MANIFESTS)
    {
        kept[r][i] = model_is_kept(m, r, i);
        held_before[r][i] = model_is_held(m, r, false, i, now);
    }
    EACH(r, REPOS)
    EACH(i, MANIFESTS)
    {
        struct thing *t = &m->manifests[r][i];
        if (!t->visible && s->manifests[r][i])
            return model_wrong(m, "a manifest shows that must not", r, i);
        if (t->visible && !s->manifests[r][i]) {
            if (!reclaimed || kept[r][i] || t->promise > now)
                return model_wrong(m, "a manifest is gone that must not be", r, i);
            *t = (struct thing){ 0 };
        }
        if (!t->visible && t->row && !s->manifest_rows[r][i]) {
            if (!reclaimed || t->trash_until > now || held_before[r][i])
                return model_wrong(m, "a manifest left the trash early", r, i);
            *t = (struct thing){ 0 };
        }
        if (!t->row && s->manifest_rows[r][i])
            return model_wrong(m, "a manifest from nowhere", r, i);
    }
    EACH(r, REPOS) /* again, now that losses are known */
    EACH(i, MANIFESTS)
    if (!m->manifests[r][i].visible && model_has_live_index(m, r, i) && reclaimed && !m->sparse)
        return model_wrong(m, "a live index's child is gone", r, i);
    return true;
}

static bool compare_blobs(struct model *m, const struct seen *s, bool reclaimed, int64_t now)
{
    EACH(r, REPOS)
    EACH(b, BLOBS)
    {
        struct thing *t = &m->blobs[r][b];
        if (!t->visible && s->blobs[r][b])
            return model_wrong(m, "a blob shows that must not", r, b);
        if (t->visible && !s->blobs[r][b]) {
            if (!reclaimed || model_is_used(m, r, b) || t->promise > now ||
                model_is_held(m, r, true, b, now))
                return model_wrong(m, "a blob is gone that must not be", r, b);
            *t = (struct thing){ 0 };
        }
        if (!t->visible && t->row && !s->link_rows[r][b]) {
            if (!reclaimed || t->trash_until > now || model_is_held(m, r, true, b, now))
                return model_wrong(m, "a blob left the trash early", r, b);
            *t = (struct thing){ 0 };
        }
        if (!t->row && s->link_rows[r][b])
            return model_wrong(m, "a blob from nowhere", r, b);
    }
    return true;
}

/* Holds whose time is over end when somebody looks. */
static bool compare_holds(struct model *m, const struct seen *s, int64_t now)
{
    EACH(h, HOLDS)
    {
        if (m->holds[h].id == 0 || s->holds[h])
            continue;
        if (m->holds[h].until > now)
            return model_wrong(m, "a hold is gone early", m->holds[h].repo, h);
        model_hold_ended(m, h, now);
    }
    return true;
}

bool model_compare(struct model *m, const struct seen *s, bool reclaimed, int64_t now)
{
    if (!compare_holds(m, s, now))
        return false;
    EACH(r, REPOS)
    EACH(t, TAGS)
    if (m->tags[r][t] != s->tags[r][t])
        return model_wrong(m, "a tag names something else", r, t);
    return compare_manifests(m, s, reclaimed, now) && compare_blobs(m, s, reclaimed, now);
}

/* What is left when all times are over. Something in the trash that is held stays, and so does what
 * hangs below it: for undo. */
static bool stays(const struct model *m, int r, int i, int64_t now)
{
    const struct thing *t = &m->manifests[r][i];
    if (!t->row)
        return false;
    if (model_is_kept(m, r, i) || model_is_held(m, r, false, i, now))
        return true;
    EACH(p, MANIFESTS)
    if ((m->u->child[p][i] || m->u->subject[i] == p) &&
        (t->visible || !m->manifests[r][p].visible) && stays(m, r, p, now))
        return true;
    return false;
}

static bool link_stays(const struct model *m, int r, int b, int64_t now)
{
    if (!m->blobs[r][b].row)
        return false;
    if (model_is_held(m, r, true, b, now))
        return true;
    EACH(i, MANIFESTS)
    if (m->uses[r][i][b] && stays(m, r, i, now))
        return true;
    return false;
}

bool model_is_settled(struct model *m, const struct seen *s, int64_t now)
{
    EACH(r, REPOS)
    {
        EACH(i, MANIFESTS)
        if (s->manifest_rows[r][i] != stays(m, r, i, now))
            return model_wrong(m, "a manifest is left, or lost", r, i);
        EACH(b, BLOBS)
        if (s->link_rows[r][b] != link_stays(m, r, b, now))
            return model_wrong(m, "a blob is left, or lost", r, b);
    }
    return true;
}
