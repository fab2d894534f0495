/* SPDX-License-Identifier: Apache-2.0
 *
 * What a plan must say, worked out over all tags, manifests and blobs until nothing changes; and
 * which items may be skipped when it is carried out.
 */
#include "model.h"

/* What selectors name. */
struct chosen {
    bool by_itself[REPOS][MANIFESTS];
    bool if_unnamed[REPOS][MANIFESTS];
    bool image[REPOS][MANIFESTS]; /* goes with its last tag as a whole */
    bool tags[REPOS][TAGS];
    bool blobs[REPOS][BLOBS];
    bool trash[REPOS][MANIFESTS];
    bool trash_blobs[REPOS][BLOBS];
    bool spared[REPOS][MANIFESTS]; /* protected, or a tag of it is */
};

static bool in_trash(const struct thing *t)
{
    return t->row && !t->visible;
}

/* ---- selecting ------------------------------------------------------------------------------- */

static bool is_newer(const struct model *m, int r, int a, int b)
{
    if (m->tagged_at[r][a] != m->tagged_at[r][b])
        return m->tagged_at[r][a] > m->tagged_at[r][b];
    return a > b; /* their names are in order */
}

static void choose_by_rule(const struct model *m, const struct wish *w, int r, int64_t now,
                           struct chosen *c)
{
    bool found[TAGS];
    EACH(t, TAGS)
    {
        unsigned bit = 1U << t;
        const struct known_pattern *keep = &tag_regexes[w->keep_tags];
        found[t] = m->tags[r][t] >= 0 && (tag_regexes[w->tags].yes & bit) != 0 &&
                   (keep->text == NULL || ((keep->yes | keep->unclear) & bit) == 0);
    }
    EACH(t, TAGS)
    {
        int newer = 0;
        EACH(o, TAGS)
        newer += found[o] && is_newer(m, r, o, t);
        if (!found[t] || newer < w->keep)
            continue;
        if (w->older_than > 0 && now - m->tagged_at[r][t] <= w->older_than)
            continue;
        if (w->not_pulled) /* pulls are not known long enough */
            continue;
        c->tags[r][t] = true;
        c->image[r][m->tags[r][t]] = true;
    }
}

static bool judges_tags(const struct wish *w)
{
    return tag_regexes[w->tags].text != NULL || w->keep > 0 || w->not_pulled ||
           (w->older_than > 0 && !w->untagged);
}

static void choose_rule(const struct model *m, const struct wish *w, int r, int64_t now,
                        struct chosen *c)
{
    if (judges_tags(w))
        choose_by_rule(m, w, r, now, c);
    if (!w->untagged)
        return;
    EACH(i, MANIFESTS)
    if (m->manifests[r][i].visible && !model_is_kept(m, r, i) &&
        (w->older_than == 0 || m->manifests[r][i].pushed_at < now - w->older_than))
        c->if_unnamed[r][i] = true;
}

static void choose_repository(const struct model *m, int r, struct chosen *c)
{
    EACH(t, TAGS)
    c->tags[r][t] = m->tags[r][t] >= 0;
    EACH(i, MANIFESTS)
    c->by_itself[r][i] = c->by_itself[r][i] || m->manifests[r][i].visible;
    EACH(b, BLOBS)
    if (m->blobs[r][b].visible && !model_is_used(m, r, b))
        c->blobs[r][b] = true;
}

static void choose_trash(const struct model *m, int r, struct chosen *c)
{
    EACH(i, MANIFESTS)
    if (in_trash(&m->manifests[r][i]))
        c->trash[r][i] = true;
    EACH(b, BLOBS)
    if (in_trash(&m->blobs[r][b]))
        c->trash_blobs[r][b] = true;
}

static enum st choose_many(const struct model *m, const struct wish *w, int64_t now,
                           struct chosen *c)
{
    unsigned repos = repo_globs[w->repos].yes;
    EACH(r, REPOS)
    {
        if ((repos & 1U << r) == 0)
            continue;
        if (!model_has_repo(m, r)) {
            if (repos == 1U << r) /* a name, not a pattern */
                return ST_NOT_FOUND;
            continue;
        }
        if (w->kind == SELECT_RULE)
            choose_rule(m, w, r, now, c);
        else if (w->kind == SELECT_REPOSITORY)
            choose_repository(m, r, c);
        else
            choose_trash(m, r, c);
    }
    return ST_OK;
}

static enum st choose(const struct model *m, const struct wish *w, bool now_too, int64_t now,
                      struct chosen *c)
{
    int thing = w->tag >= 0 ? m->tags[w->repo][w->tag] : w->thing;
    switch (w->kind) {
    case SELECT_TAG:
        if (thing < 0)
            return ST_NOT_FOUND;
        c->tags[w->repo][w->tag] = true;
        return ST_OK;
    case SELECT_IMAGE:
        if (thing < 0 || !m->manifests[w->repo][thing].visible)
            return ST_NOT_FOUND;
        c->by_itself[w->repo][thing] = true;
        EACH(t, TAGS)
        if (m->tags[w->repo][t] == thing)
            c->tags[w->repo][t] = true;
        return ST_OK;
    case SELECT_BLOB:
        if (!m->blobs[w->repo][thing].visible)
            return ST_NOT_FOUND;
        if (!model_is_used(m, w->repo, thing))
            c->blobs[w->repo][thing] = true;
        return ST_OK;
    case SELECT_RULE:
        if (!judges_tags(w) && !w->untagged)
            return ST_INVALID;
        break;
    case SELECT_TRASH:
        if (!now_too)
            return ST_INVALID;
        break;
    case SELECT_REPOSITORY:
        break;
    }
    return choose_many(m, w, now, c);
}

static void spare(const struct model *m, int64_t now, struct chosen *c)
{
    EACH(r, REPOS)
    {
        EACH(i, MANIFESTS)
        {
            EACH(t, TAGS)
            if (m->tags[r][t] == i && c->tags[r][t] && !model_may_delete_tag(m, r, t, now)) {
                c->tags[r][t] = false;
                c->spared[r][i] = true;
            }
            if ((c->by_itself[r][i] || c->if_unnamed[r][i] || c->trash[r][i]) &&
                !model_may_delete_manifest(m, r, i, now))
                c->spared[r][i] = true;
            if (model_has_hold(m, r, false, i))
                c->spared[r][i] = true;
        }
        EACH(b, BLOBS)
        if (!model_may_delete_blob(m, r, b, now))
            c->blobs[r][b] = c->trash_blobs[r][b] = false;
    }
}

/* ---- what becomes of each -------------------------------------------------------------------- */

static bool keeps_a_tag(const struct model *m, const struct chosen *c, int r, int i)
{
    EACH(t, TAGS)
    if (m->tags[r][t] == i && !c->tags[r][t])
        return true;
    return false;
}

static enum fate fate_of(const struct model *m, const struct chosen *c, const struct forecast *f,
                         int r, int i)
{
    const struct thing *t = &m->manifests[r][i];
    int subject = m->u->subject[i];
    bool above_kept = false, live_index = false, live_subject = false;
    if (!t->visible)
        return c->trash[r][i] && !c->spared[r][i] ? TRASH : STAYS;
    EACH(p, MANIFESTS)
    {
        bool index = m->u->child[p][i];
        if ((!index && subject != p) || !m->manifests[r][p].visible)
            continue;
        live_index = live_index || (index && f->fates[r][p] != TRASH);
        live_subject = live_subject || (subject == p && f->fates[r][p] != TRASH);
        above_kept = above_kept || (model_is_kept(m, r, p) && f->fates[r][p] == STAYS);
    }
    if (c->spared[r][i] || keeps_a_tag(m, c, r, i))
        return STAYS;
    if (c->by_itself[r][i] && !live_index)
        return TRASH;
    if (c->if_unnamed[r][i] && !live_index && !live_subject)
        return TRASH;
    if (!model_is_kept(m, r, i) || above_kept)
        return STAYS;
    return c->image[r][i] && model_has_tag(m, r, i) && !live_index ? TRASH : LOOSE;
}

static void find_fates(const struct model *m, const struct chosen *c, struct forecast *f)
{
    for (bool more = true; more;) {
        more = false;
        EACH(r, REPOS)
        EACH(i, MANIFESTS)
        {
            enum fate fate = fate_of(m, c, f, r, i);
            if (fate > f->fates[r][i]) {
                f->fates[r][i] = fate;
                more = true;
            }
        }
    }
}

/* ---- bytes ----------------------------------------------------------------------------------- */

/* Whether the plan gives the blob back: nothing lasting keeps it afterwards, and it is this plan
 * that takes it from what kept it, not a deletion before. */
static bool is_freed(const struct model *m, const struct forecast *f, int b, int64_t now)
{
    bool touched = false, kept_before = false, kept_after = false, held = false;
    bool trash_before = false, trash_after = false, loose_after = false, loose_goes = false;
    EACH(r, REPOS)
    {
        const struct thing *link = &m->blobs[r][b];
        if (!link->row)
            continue;
        bool itself = f->blobs[r][b] || f->old_blobs[r][b];
        touched = touched || itself;
        held = held || model_is_held(m, r, true, b, now);
        loose_goes = loose_goes || f->blobs[r][b];
        trash_before = trash_before || !link->visible;
        trash_after = trash_after || (!link->visible && !itself);
        EACH(i, MANIFESTS)
        {
            const struct thing *t = &m->manifests[r][i];
            bool goes = f->fates[r][i] != STAYS;
            if (!t->row || !m->uses[r][i][b])
                continue;
            touched = touched || goes;
            if (!t->visible) {
                trash_before = true;
                trash_after = trash_after || !goes;
            } else if (model_is_kept(m, r, i)) {
                kept_before = true;
                kept_after = kept_after || !goes;
            } else {
                loose_goes = loose_goes || goes;
                loose_after = loose_after || !goes;
            }
        }
    }
    if (!touched || kept_after || held)
        return false;
    if (kept_before || (loose_goes && !trash_before))
        return true;
    return trash_before && !trash_after && !loose_after;
}

static void count_up(const struct model *m, struct forecast *f, int64_t now)
{
    EACH(b, BLOBS)
    if (is_freed(m, f, b, now))
        f->bytes_freed += m->u->sizes[b];
    EACH(r, REPOS)
    {
        int tags = 0, gone = 0;
        EACH(t, TAGS)
        {
            tags += m->tags[r][t] >= 0;
            gone += f->tags[r][t];
        }
        f->tag_count += (uint64_t)gone;
        f->all_tags = f->all_tags || (tags > 0 && gone == tags);
        EACH(i, MANIFESTS)
        if (f->fates[r][i] != STAYS) {
            f->manifest_count++;
            f->bytes_freed += m->u->payloads[i];
        }
        EACH(b, BLOBS)
        f->blob_count += f->blobs[r][b] + f->old_blobs[r][b];
    }
}

void model_plan(const struct model *m, const struct wish *wishes, int count, bool now_too,
                int64_t now, struct forecast *out)
{
    struct chosen c = { 0 };
    *out = (struct forecast){ .st = ST_OK };
    for (int i = 0; i < count; i++) /* those that are wrong in themselves are found first */
        if ((wishes[i].kind == SELECT_TRASH && !now_too) ||
            (wishes[i].kind == SELECT_RULE && !judges_tags(&wishes[i]) && !wishes[i].untagged))
            out->st = ST_INVALID;
    for (int i = 0; i < count && out->st == ST_OK; i++)
        out->st = choose(m, &wishes[i], now_too, now, &c);
    if (out->st != ST_OK)
        return;
    spare(m, now, &c);
    memcpy(out->tags, c.tags, sizeof(out->tags));
    memcpy(out->blobs, c.blobs, sizeof(out->blobs));
    memcpy(out->old_blobs, c.trash_blobs, sizeof(out->old_blobs));
    find_fates(m, &c, out);
    count_up(m, out, now);
}

/* ---- carrying it out ------------------------------------------------------------------------- */

static const struct plan_thing *find_thing(const struct model_plan *plan,
                                           const struct model_item *item)
{
    EACH(i, plan->count)
    {
        const struct plan_thing *p = &plan->items[i];
        if (item->kind == p->kind && item->repo == p->repo && item->thing == p->thing &&
            item->tag == p->tag)
            return p;
    }
    return NULL;
}

static void to_trash(struct thing *t, const struct model_receipt *receipt)
{
    *t = (struct thing){ .row = true,
                         .trash_until = receipt->due_at,
                         .receipt = receipt->id,
                         .pushed_at = t->pushed_at };
}

static bool apply_tag(struct model *m, const struct plan_thing *p, bool skipped, int64_t now)
{
    bool there =
        m->tags[p->repo][p->tag] == p->thing && m->tagged_at[p->repo][p->tag] == p->changed_at;
    bool may = there && model_may_delete_tag(m, p->repo, p->tag, now);
    if (skipped)
        return !may || model_wrong(m, "a tag was skipped without need", p->repo, p->tag);
    if (!may)
        return model_wrong(m, there ? "a protected tag went" : "a tag went that was moved", p->repo,
                           p->tag);
    m->tags[p->repo][p->tag] = -1;
    return true;
}

/* For good: leases of what it used end. */
static bool empty_manifest(struct model *m, const struct plan_thing *p, int64_t now)
{
    struct thing *t = &m->manifests[p->repo][p->thing];
    if (!in_trash(t) || !model_may_delete_manifest(m, p->repo, p->thing, now))
        return model_wrong(m, "what is held, or no trash, was emptied", p->repo, p->thing);
    t->trash_until = now;
    EACH(b, BLOBS)
    if (m->uses[p->repo][p->thing][b])
        m->blobs[p->repo][b].promise = now;
    return true;
}

static bool apply_manifest(struct model *m, const struct model_receipt *receipt,
                           const struct plan_thing *p, bool skipped, int64_t now)
{
    struct thing *t = &m->manifests[p->repo][p->thing];
    bool protects = !model_may_delete_manifest(m, p->repo, p->thing, now);
    bool named = model_has_tag(m, p->repo, p->thing) || model_has_live_index(m, p->repo, p->thing);
    if (p->in_trash)
        return skipped || empty_manifest(m, p, now);
    if (skipped) {
        bool newer = t->pushed_at != p->changed_at;
        return !t->visible || protects || named || newer || p->with ||
               model_wrong(m, "a manifest was skipped without need", p->repo, p->thing);
    }
    if (protects)
        return model_wrong(m, "a protected manifest went", p->repo, p->thing);
    if (!t->visible)
        return model_wrong(m, "a manifest went that was not there", p->repo, p->thing);
    if (p->with)
        return true; /* loose it is, or the comparison tells */
    if (named)
        return model_wrong(m, "a manifest went that something names", p->repo, p->thing);
    to_trash(t, receipt);
    return true;
}

static bool apply_blob(struct model *m, const struct model_receipt *receipt,
                       const struct plan_thing *p, bool skipped, int64_t now)
{
    struct thing *t = &m->blobs[p->repo][p->thing];
    bool may = t->visible && !model_is_used(m, p->repo, p->thing) &&
               model_may_delete_blob(m, p->repo, p->thing, now);
    if (p->in_trash) {
        if (skipped)
            return true;
        if (!in_trash(t) || !model_may_delete_blob(m, p->repo, p->thing, now))
            return model_wrong(m, "what is held, or no trash, was emptied", p->repo, p->thing);
        t->trash_until = now;
        return true;
    }
    if (skipped)
        return !may || model_wrong(m, "a blob was skipped without need", p->repo, p->thing);
    if (!may)
        return model_wrong(m, "a blob went that is used, protected or not there", p->repo,
                           p->thing);
    to_trash(t, receipt);
    return true;
}

bool model_applied(struct model *m, struct model_plan *plan, const struct model_receipt *receipt,
                   int64_t now)
{
    struct kept_before before;
    bool good = true;
    int went = 0;
    model_note_kept(m, &before);
    for (; plan->done < receipt->count && good; plan->done++) {
        const struct model_item *item = &receipt->items[plan->done];
        const struct plan_thing *p = find_thing(plan, item);
        if (p == NULL) /* listed as protected */
            good = item->skipped || model_wrong(m, "went unplanned", item->repo, item->thing);
        else if (p->kind == TAG_ITEM)
            good = apply_tag(m, p, item->skipped, now);
        else if (p->kind == MANIFEST_ITEM)
            good = apply_manifest(m, receipt, p, item->skipped, now);
        else
            good = apply_blob(m, receipt, p, item->skipped, now);
    }
    model_let_go(m, &before, plan->now, now);
    EACH(i, receipt->count)
    went += find_thing(plan, &receipt->items[i]) != NULL;
    if (good && !receipt->open && went != plan->count)
        return model_wrong(m, "items of a plan that its receipt does not tell of", 0,
                           plan->count - went);
    return good;
}
