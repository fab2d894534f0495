/* SPDX-License-Identifier: Apache-2.0 */
#include "model.h"

#include "base/rng.h"

#define EACH(i, n) for (int i = 0; i < (n); i++)

/* Whether going up from `from` (to indexes and the subject) meets `to`. */
static bool is_above(const struct universe *u, int to, int from, bool visited[static MANIFESTS])
{
    EACH(p, MANIFESTS)
    {
        if (visited[p] || !(u->child[p][from] || u->subject[from] == p))
            continue;
        visited[p] = true;
        if (p == to || is_above(u, to, p, visited))
            return true;
    }
    return false;
}

/* An index whose subject is below itself would hold itself: the simulator has none. */
static bool is_cyclic(const struct universe *u)
{
    EACH(i, MANIFESTS)
    {
        bool visited[MANIFESTS] = { 0 };
        if (is_above(u, i, i, visited))
            return true;
    }
    return false;
}

void universe_make(struct universe *u, uint64_t *rng)
{
    *u = (struct universe){ 0 };
    EACH(i, MANIFESTS)
    u->subject[i] = -1;
    EACH(b, BLOBS)
    {
        (void)snprintf(u->texts[b], sizeof(u->texts[b]), "blob %d", b);
        digest_of(b % 4 == 3 ? DIGEST_SHA512 : DIGEST_SHA256, str_of(u->texts[b]), &u->blobs[b]);
    }
    EACH(i, MANIFESTS)
    {
        struct made *made = &u->manifests[i];
        char name[32];
        (void)snprintf(name, sizeof(name), "manifest %d", i);
        bool is_index = i > 2 && rng_next(rng) % 3 == 0;
        is_index ? made_index(made, name) : made_image(made, name);
        EACH(k, 1 + (int)(rng_next(rng) % 3))
        {
            int part = (int)(rng_next(rng) % (uint64_t)(is_index ? i : BLOBS));
            bool foreign = rng_next(rng) % 8 == 0;
            if (is_index && !u->child[i][part]) {
                u->child[i][part] = true;
                made_add_child(made, &u->manifests[part].digest);
            } else if (!is_index && !u->names_blob[i][part]) {
                u->names_blob[i][part] = true;
                u->foreign[i][part] = foreign;
                made_add_blob(made, &u->blobs[part], foreign);
            }
        }
        if (i > 0 && rng_next(rng) % 3 == 0)
            u->subject[i] = (int)(rng_next(rng) % (uint64_t)i);
        if (is_cyclic(u))
            u->subject[i] = -1;
        if (u->subject[i] >= 0)
            made_set_subject(made, &u->manifests[u->subject[i]].digest);
    }
}

void model_init(struct model *m, const struct universe *u, const struct world *w)
{
    *m = (struct model){
        .u = u,
        .sparse = w->r.sparse_index,
        .lease = w->r.keeping.lease_ms,
        .grace = w->r.keeping.grace_ms,
    };
    EACH(r, REPOS)
    EACH(t, TAGS)
    m->tags[r][t] = -1;
}

/* ---- reaching -------------------------------------------------------------------------------- */

static bool has_tag(const struct model *m, int r, int i)
{
    EACH(t, TAGS)
    if (m->tags[r][t] == i)
        return true;
    return false;
}

bool model_is_kept(const struct model *m, int r, int i)
{
    if (!m->manifests[r][i].visible)
        return false;
    if (has_tag(m, r, i))
        return true;
    EACH(p, MANIFESTS)
    if (m->u->child[p][i] && model_is_kept(m, r, p))
        return true;
    return m->u->subject[i] >= 0 && model_is_kept(m, r, m->u->subject[i]);
}

static bool has_live_index(const struct model *m, int r, int i)
{
    EACH(p, MANIFESTS)
    if (m->u->child[p][i] && m->manifests[r][p].visible)
        return true;
    return false;
}

static bool is_used(const struct model *m, int r, int b)
{
    EACH(i, MANIFESTS)
    if (m->manifests[r][i].visible && m->uses[r][i][b])
        return true;
    return false;
}

/* ---- answers --------------------------------------------------------------------------------- */

enum st model_get_blob(const struct model *m, int r, int b)
{
    if (!m->blobs[r][b].visible)
        return ST_NOT_FOUND;
    return m->damaged[b] ? ST_DAMAGED : ST_OK;
}

enum st model_mount(const struct model *m, int from, int b)
{
    EACH(r, REPOS)
    if ((from < 0 || from == r) && model_get_blob(m, r, b) == ST_OK)
        return ST_OK;
    return ST_NOT_FOUND;
}

enum st model_push(const struct model *m, int r, int i)
{
    if (m->manifests[r][i].visible)
        return ST_OK;
    EACH(b, BLOBS)
    if (m->u->names_blob[i][b] && !m->u->foreign[i][b] && model_get_blob(m, r, b) != ST_OK)
        return ST_MISSING_PART;
    EACH(c, MANIFESTS)
    if (m->u->child[i][c] && !m->manifests[r][c].visible && !m->sparse)
        return ST_MISSING_PART;
    return ST_OK;
}

enum st model_delete_manifest(const struct model *m, int r, int i)
{
    if (!m->manifests[r][i].visible)
        return ST_NOT_FOUND;
    return has_live_index(m, r, i) ? ST_DENIED : ST_OK;
}

enum st model_delete_blob(const struct model *m, int r, int b)
{
    if (!m->blobs[r][b].visible)
        return ST_NOT_FOUND;
    return is_used(m, r, b) ? ST_DENIED : ST_OK;
}

/* ---- changes --------------------------------------------------------------------------------- */

static void promise(struct thing *t, int64_t until)
{
    t->promise = MAX(t->promise, until);
}

static int64_t whole(const struct model *m, int64_t now)
{
    return now + MAX(m->lease, m->grace);
}

/* Between these two calls something is let go: it and its blobs stay for a grace. */
struct kept_before {
    bool kept[MANIFESTS];
    bool visible[MANIFESTS];
};

static struct kept_before note_kept(const struct model *m, int r)
{
    struct kept_before before;
    EACH(i, MANIFESTS)
    {
        before.kept[i] = model_is_kept(m, r, i);
        before.visible[i] = m->manifests[r][i].visible;
    }
    return before;
}

static void let_go(struct model *m, int r, const struct kept_before *before, int64_t now)
{
    EACH(i, MANIFESTS)
    {
        bool gone = before->visible[i] && !m->manifests[r][i].visible;
        if (!gone && (!before->kept[i] || model_is_kept(m, r, i)))
            continue;
        if (!gone)
            promise(&m->manifests[r][i], whole(m, now));
        EACH(b, BLOBS)
        if (m->uses[r][i][b])
            promise(&m->blobs[r][b], whole(m, now));
    }
}

void model_linked(struct model *m, int r, int b, int64_t now)
{
    m->blobs[r][b].visible = true;
    promise(&m->blobs[r][b], whole(m, now));
}

static int64_t head(const struct model *m, int64_t now)
{
    return now + m->lease - m->lease / 10;
}

void model_head_blob(struct model *m, int r, int b, int64_t now)
{
    promise(&m->blobs[r][b], head(m, now));
}

void model_head_manifest(struct model *m, int r, int i, int64_t now)
{
    promise(&m->manifests[r][i], head(m, now));
}

void model_pushed(struct model *m, int r, int i, int tag, int64_t now)
{
    struct kept_before before = note_kept(m, r);
    if (!m->manifests[r][i].visible)
        EACH(b, BLOBS)
    m->uses[r][i][b] = m->u->names_blob[i][b] && model_get_blob(m, r, b) == ST_OK;
    m->manifests[r][i].visible = true;
    promise(&m->manifests[r][i], whole(m, now));
    if (tag >= 0)
        m->tags[r][tag] = i;
    let_go(m, r, &before, now);
}

void model_untagged(struct model *m, int r, int tag, int64_t now)
{
    struct kept_before before = note_kept(m, r);
    m->tags[r][tag] = -1;
    let_go(m, r, &before, now);
}

void model_manifest_deleted(struct model *m, int r, int i, int64_t now)
{
    struct kept_before before = note_kept(m, r);
    EACH(t, TAGS)
    if (m->tags[r][t] == i)
        m->tags[r][t] = -1;
    m->manifests[r][i] = (struct thing){ .trash_until = now + m->grace };
    let_go(m, r, &before, now);
}

void model_blob_deleted(struct model *m, int r, int b, int64_t now)
{
    m->blobs[r][b] = (struct thing){ .trash_until = now + m->grace };
}

/* ---- comparing ------------------------------------------------------------------------------- */

struct reading {
    struct seen *s;
    const struct universe *u;
};

/* Repositories are named "r0", "r1", ...; tags "t0", "t1", ... */
static int number_of(str name)
{
    return name.ptr[1] - '0';
}

static int index_of(const struct digest *d, const struct universe *u, bool manifest)
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
        int i = index_of(&d, to->u, manifest);
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
            index_of(&d, to->u, true);
    }
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
    return st == ST_OK ? read_tags(tx, to, err) : st;
}

bool seen_read(struct seen *s, const struct universe *u, struct world *w)
{
    struct reading to = { s, u };
    return db_read(w->r.db, read_seen, &to, &w->err) == ST_OK;
}

static bool wrong(struct model *m, const char *what, int r, int i)
{
    (void)snprintf(m->why, sizeof(m->why), "%s: %d in r%d", what, i, r);
    return false;
}

static bool compare_manifests(struct model *m, const struct seen *s, bool reclaimed, int64_t now)
{
    bool kept[REPOS][MANIFESTS];
    EACH(r, REPOS)
    EACH(i, MANIFESTS)
    kept[r][i] = model_is_kept(m, r, i);
    EACH(r, REPOS)
    EACH(i, MANIFESTS)
    {
        struct thing *t = &m->manifests[r][i];
        if (!t->visible && s->manifests[r][i])
            return wrong(m, "a manifest shows that must not", r, i);
        if (t->visible && !s->manifests[r][i]) {
            if (!reclaimed || kept[r][i] || t->promise > now)
                return wrong(m, "a manifest is gone that must not be", r, i);
            *t = (struct thing){ 0 };
        }
        if (!t->visible && t->trash_until > now && !s->manifest_rows[r][i])
            return wrong(m, "a manifest left the trash early", r, i);
    }
    EACH(r, REPOS) /* again, now that losses are known */
    EACH(i, MANIFESTS)
    if (!m->manifests[r][i].visible && has_live_index(m, r, i) && reclaimed && !m->sparse)
        return wrong(m, "a live index's child is gone", r, i);
    return true;
}

static bool compare_blobs(struct model *m, const struct seen *s, bool reclaimed, int64_t now)
{
    EACH(r, REPOS)
    EACH(b, BLOBS)
    {
        struct thing *t = &m->blobs[r][b];
        if (!t->visible && s->blobs[r][b])
            return wrong(m, "a blob shows that must not", r, b);
        if (t->visible && !s->blobs[r][b]) {
            if (!reclaimed || is_used(m, r, b) || t->promise > now)
                return wrong(m, "a blob is gone that must not be", r, b);
            *t = (struct thing){ 0 };
        }
        if (!t->visible && t->trash_until > now && !s->link_rows[r][b])
            return wrong(m, "a blob left the trash early", r, b);
    }
    return true;
}

bool model_compare(struct model *m, const struct seen *s, bool reclaimed, int64_t now)
{
    EACH(r, REPOS)
    EACH(t, TAGS)
    if (m->tags[r][t] != s->tags[r][t])
        return wrong(m, "a tag names something else", r, t);
    return compare_manifests(m, s, reclaimed, now) && compare_blobs(m, s, reclaimed, now);
}

bool model_is_settled(struct model *m, const struct seen *s)
{
    EACH(r, REPOS)
    {
        EACH(i, MANIFESTS)
        if (s->manifest_rows[r][i] != model_is_kept(m, r, i))
            return wrong(m, "a manifest is left", r, i);
        EACH(b, BLOBS)
        if (s->link_rows[r][b] != is_used(m, r, b))
            return wrong(m, "a blob is left", r, b);
    }
    return true;
}
