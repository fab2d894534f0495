/* SPDX-License-Identifier: Apache-2.0 */
#include "model.h"

#include "base/rng.h"

#define LONG_TAG "t5aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

const char *const repo_names[REPOS] = { "r0", "r1", "r2" };
const char *const tag_names[TAGS] = { "t0", "t1", "t2", "t3", "t4", LONG_TAG };

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
        int size = 3 + (3 << b); /* so that sums tell which */
        (void)snprintf(u->texts[b], sizeof(u->texts[b]), "blob %d %0*d", b, MAX(size - 7, 0), 0);
        u->texts[b][size] = '\0';
        u->sizes[b] = strlen(u->texts[b]);
        digest_of(b % 4 == 3 ? DIGEST_SHA512 : DIGEST_SHA256, str_of(u->texts[b]), &u->blobs[b]);
    }
    EACH(i, MANIFESTS)
    {
        struct made *made = &u->manifests[i];
        char name[48];
        (void)snprintf(name, sizeof(name), "manifest %d %0*d", i, 1 + i, 0);
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
        u->payloads[i] = strlen(made->name);
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

bool model_wrong(struct model *m, const char *what, int r, int i)
{
    (void)snprintf(m->why, sizeof(m->why), "%s: %d in r%d", what, i, r);
    return false;
}

/* ---- reaching -------------------------------------------------------------------------------- */

bool model_has_tag(const struct model *m, int r, int i)
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
    if (model_has_tag(m, r, i) || model_has_hold(m, r, false, i))
        return true;
    EACH(p, MANIFESTS)
    if (m->u->child[p][i] && model_is_kept(m, r, p))
        return true;
    return m->u->subject[i] >= 0 && model_is_kept(m, r, m->u->subject[i]);
}

bool model_has_live_index(const struct model *m, int r, int i)
{
    EACH(p, MANIFESTS)
    if (m->u->child[p][i] && m->manifests[r][p].visible)
        return true;
    return false;
}

bool model_is_used(const struct model *m, int r, int b)
{
    EACH(i, MANIFESTS)
    if (m->manifests[r][i].visible && m->uses[r][i][b])
        return true;
    return false;
}

bool model_has_repo(const struct model *m, int r)
{
    EACH(i, MANIFESTS)
    if (m->manifests[r][i].row)
        return true;
    EACH(b, BLOBS)
    if (m->blobs[r][b].row)
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

enum st model_mount(const struct model *m, int repo, int from, int b)
{
    if (model_is_read_only(m, repo))
        return ST_DENIED;
    EACH(r, REPOS)
    if ((from < 0 || from == r) && model_get_blob(m, r, b) == ST_OK)
        return ST_OK;
    return ST_NOT_FOUND;
}

enum st model_push(const struct model *m, int r, int i, int tag)
{
    if (model_is_read_only(m, r))
        return ST_DENIED;
    if (tag >= 0 && m->tags[r][tag] >= 0 && m->tags[r][tag] != i && model_is_immutable(m, r, tag))
        return ST_DENIED;
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

enum st model_untag(const struct model *m, int r, int tag, int64_t now)
{
    if (m->tags[r][tag] < 0)
        return ST_NOT_FOUND;
    return model_may_delete_tag(m, r, tag, now) ? ST_OK : ST_DENIED;
}

enum st model_delete_manifest(const struct model *m, int r, int i, int64_t now)
{
    if (!m->manifests[r][i].visible)
        return ST_NOT_FOUND;
    if (model_has_live_index(m, r, i) || !model_may_delete_manifest(m, r, i, now))
        return ST_DENIED;
    EACH(t, TAGS)
    if (m->tags[r][t] == i && !model_may_delete_tag(m, r, t, now))
        return ST_DENIED;
    return ST_OK;
}

enum st model_delete_blob(const struct model *m, int r, int b, int64_t now)
{
    if (!m->blobs[r][b].visible)
        return ST_NOT_FOUND;
    return model_is_used(m, r, b) || !model_may_delete_blob(m, r, b, now) ? ST_DENIED : ST_OK;
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

void model_note_kept(const struct model *m, struct kept_before *before)
{
    EACH(r, REPOS)
    EACH(i, MANIFESTS)
    {
        before->kept[r][i] = model_is_kept(m, r, i);
        before->visible[r][i] = m->manifests[r][i].visible;
    }
}

void model_let_go(struct model *m, const struct kept_before *before, bool cut, int64_t now)
{
    EACH(r, REPOS)
    EACH(i, MANIFESTS)
    {
        bool gone = before->visible[r][i] && !m->manifests[r][i].visible;
        if (!gone && (!before->kept[r][i] || model_is_kept(m, r, i)))
            continue;
        if (!gone && cut)
            m->manifests[r][i].promise = now;
        else if (!gone)
            promise(&m->manifests[r][i], whole(m, now));
        EACH(b, BLOBS)
        {
            if (!m->uses[r][i][b])
                continue;
            if (cut)
                m->blobs[r][b].promise = now;
            else
                promise(&m->blobs[r][b], whole(m, now));
        }
    }
}

void model_linked(struct model *m, int r, int b, int64_t now)
{
    m->blobs[r][b].visible = m->blobs[r][b].row = true;
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
    struct kept_before before;
    struct thing *t = &m->manifests[r][i];
    model_note_kept(m, &before);
    if (!t->visible)
        EACH(b, BLOBS)
    m->uses[r][i][b] = m->u->names_blob[i][b] && model_get_blob(m, r, b) == ST_OK;
    t->visible = t->row = true;
    t->pushed_at = now;
    promise(t, whole(m, now));
    if (tag >= 0) {
        m->tags[r][tag] = i;
        m->tagged_at[r][tag] = now;
    }
    model_let_go(m, &before, false, now);
}

void model_untagged(struct model *m, int r, int tag, int64_t now)
{
    struct kept_before before;
    model_note_kept(m, &before);
    m->tags[r][tag] = -1;
    model_let_go(m, &before, false, now);
}

void model_manifest_deleted(struct model *m, int r, int i, int64_t receipt, int64_t now)
{
    struct kept_before before;
    model_note_kept(m, &before);
    EACH(t, TAGS)
    if (m->tags[r][t] == i)
        m->tags[r][t] = -1;
    m->manifests[r][i] = (struct thing){ .row = true,
                                         .trash_until = now + m->grace,
                                         .receipt = receipt,
                                         .pushed_at = m->manifests[r][i].pushed_at };
    model_let_go(m, &before, false, now);
}

void model_blob_deleted(struct model *m, int r, int b, int64_t now)
{
    m->blobs[r][b] = (struct thing){ .row = true, .trash_until = now + m->grace };
}
