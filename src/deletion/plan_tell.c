/* SPDX-License-Identifier: Apache-2.0
 *
 * What a person should know before applying: warnings, the number to repeat, what keeps the largest
 * blobs that stay.
 */
#include "base/clock.h"
#include "deletion/plan_int.h"

#define WARNINGS_MAX 200
#define NEWEST_LOOKS ((size_t)20000) /* tags looked at for the newest */
#define USERS_LOOKS  2000            /* manifests looked at for what keeps a blob */

static enum st warn(struct planning *p, enum plan_warning_code code, str repo, str text,
                    struct err *err)
{
    struct plan_warning *w = NULL;
    if (p->warnings.count == p->warnings.max)
        return ST_OK;
    enum st st = plan_array_add(&p->warnings, &w, err);
    if (st != ST_OK)
        return st;
    *w = (struct plan_warning){ .code = code, .repo = repo, .text = text };
    return text.ptr == NULL ? err_no_memory(err) : ST_OK;
}

/* ---- one repository -------------------------------------------------------------------------- */

/* A tag or image that is named one by one never has to be confirmed. */
static bool is_bulk(const struct plan_request *q)
{
    return q->count > 1 || q->selectors[0].kind == SELECT_RULE ||
           q->selectors[0].kind == SELECT_REPOSITORY;
}

static enum st confirm(struct planning *p, bool all, struct err *err)
{
    if (!is_bulk(p->request) || p->plan.confirm_why.ptr != NULL)
        return ST_OK;
    str repo = p->g.repo->name;
    p->plan.confirm_why =
        all ? arena_printf(p->a, "%.*s loses all of its tags", STR_FMT(repo))
            : arena_printf(p->a,
                           "%.*s loses %llu of its %llu tags, more than %u percent"
                           " (deletion.max_percent)",
                           STR_FMT(repo), (unsigned long long)p->g.tags_gone,
                           (unsigned long long)p->g.repo->tags, p->d->options.max_percent);
    return p->plan.confirm_why.ptr == NULL ? err_no_memory(err) : ST_OK;
}

static enum st tell_share(struct planning *p, struct err *err)
{
    const struct plan_graph *g = &p->g;
    str repo = g->repo->name;
    unsigned long long gone = g->tags_gone;
    unsigned long long tags = g->repo->tags;
    enum st st = ST_OK;
    if (gone == 0)
        return ST_OK;
    bool all = gone >= tags;
    bool share = gone * 100 > tags * p->d->options.max_percent;
    if (all)
        st = warn(p, PLAN_ALL_TAGS, repo,
                  arena_printf(p->a, "%.*s loses all of its %llu tags", STR_FMT(repo), tags), err);
    else if (share)
        st = warn(p, PLAN_SHARE, repo,
                  arena_printf(p->a, "%.*s loses %llu of its %llu tags", STR_FMT(repo), gone, tags),
                  err);
    return st == ST_OK && (all || share) ? confirm(p, all, err) : st;
}

static enum st tell_newest(struct planning *p, struct err *err)
{
    const struct plan_graph *g = &p->g;
    bool newer = false;
    bool known = false;
    if (g->tags_gone == 0 || g->tags_gone >= g->repo->tags)
        return ST_OK;
    str name = plan_graph_name(g, g->newest);
    enum st st = selection_newer_tag(p->tx, g->repo->id, g->newest_at, name, NEWEST_LOOKS, &newer,
                                     &known, err);
    if (st != ST_OK || newer || !known)
        return st;
    return warn(p, PLAN_NEWEST_TAG, g->repo->name,
                arena_printf(p->a, "%.*s is the tag that was set last", STR_FMT(name)), err);
}

static enum st find_pulls(struct planning *p, const int64_t *ids, size_t count, size_t *pulled,
                          struct err *err)
{
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    struct selection_pair pair = { 0 };
    enum st st = selection_pulls(p->tx, &rows, ids, count, err);
    while (st == ST_OK && (st = selection_next_pair(&rows, &pair, err)) == ST_OK)
        *pulled += p->now - pair.value < CLOCK_DAY_MS;
    return st == ST_END ? ST_OK : st;
}

static enum st tell_pulls(struct planning *p, struct err *err)
{
    int64_t ids[SELECTION_IDS];
    size_t count = 0;
    size_t pulled = 0;
    enum st st = ST_OK;
    for (uint32_t i = 0; p->any_pulls && i < p->g.nodes.count && st == ST_OK; i++) {
        const struct plan_node *n = plan_node_at(&p->g, i);
        if (n->fate == FATE_STAYS || (n->flags & NODE_IN_TRASH) != 0)
            continue;
        ids[count++] = n->id;
        if (count == SELECTION_IDS) {
            st = find_pulls(p, ids, count, &pulled, err);
            count = 0;
        }
    }
    if (st == ST_OK && count > 0)
        st = find_pulls(p, ids, count, &pulled, err);
    if (st != ST_OK || pulled == 0)
        return st;
    return warn(p, PLAN_PULLED_RECENTLY, p->g.repo->name,
                arena_printf(p->a, "%zu of these images %s pulled within a day", pulled,
                             pulled == 1 ? "was" : "were"),
                err);
}

enum st plan_tell_repository(struct planning *p, struct err *err)
{
    p->warnings.max = WARNINGS_MAX;
    p->warnings.item_bytes = sizeof(struct plan_warning);
    enum st st = tell_share(p, err);
    if (st == ST_OK)
        st = tell_newest(p, err);
    return st == ST_OK ? tell_pulls(p, err) : st;
}

/* ---- what keeps the largest blobs ------------------------------------------------------------ */

static enum st add_keeper(struct planning *p, const struct selection_user *user,
                          struct plan_kept *kept, struct err *err)
{
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    struct plan_keeper *k = &kept->by[kept->by_count];
    struct selection_tag tag = { 0 };
    enum st st = digest_of_key(user->digest_key, &k->digest, err);
    if (st == ST_OK)
        st = selection_tags_of(p->tx, &rows, user->manifest_id, err);
    if (st == ST_OK)
        st = selection_next_tag(&rows, &tag, err);
    if (st != ST_OK && st != ST_END)
        return st;
    k->repo = arena_dup(p->a, user->repo);
    k->tag = st == ST_OK ? arena_dup(p->a, tag.name) : STR_NONE;
    k->why = st == ST_OK         ? STR("used by a tagged image")
             : user->due_at != 0 ? STR("used by an untagged image, which lasts here")
                                 : STR("used by a part of a tagged image");
    kept->by_count++;
    return k->repo.ptr == NULL ? err_no_memory(err) : ST_OK;
}

static enum st find_keepers(struct planning *p, int64_t blob_id, struct plan_kept *kept,
                            struct err *err)
{
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    struct selection_user user = { 0 };
    enum st st = selection_users(p->tx, &rows, blob_id, err);
    for (int i = 0; st == ST_OK && i < USERS_LOOKS && kept->by_count < PLAN_KEEPERS_MAX; i++) {
        st = selection_next_user(&rows, &user, err);
        if (st != ST_OK || user.trashed)
            continue;
        bool lasts = user.due_at == 0 || !p->keeping.untagged;
        bool goes = plan_map_find(&p->going, user.manifest_id) != PLAN_NOWHERE;
        if (lasts && (!goes || !p->keeping.untagged))
            st = add_keeper(p, &user, kept, err);
    }
    return st == ST_END ? ST_OK : st;
}

static enum st describe_kept(struct planning *p, const struct plan_stay *stay,
                             struct plan_kept *kept, struct err *err)
{
    bool held = false;
    char reason[200] = "";
    kept->size = stay->size;
    enum st st = selection_blob_digest(p->tx, stay->blob_id, &kept->digest, err);
    if (st == ST_OK && p->any_holds)
        st = selection_blob_held(p->tx, stay->blob_id, p->now, &held, reason, sizeof(reason), err);
    if (st == ST_OK && held) {
        struct plan_keeper *k = &kept->by[kept->by_count++];
        k->digest = kept->digest;
        k->why = arena_printf(p->a, reason[0] == '\0' ? "held" : "held: %s", reason);
        if (k->why.ptr == NULL)
            return err_no_memory(err);
    }
    return st == ST_OK ? find_keepers(p, stay->blob_id, kept, err) : st;
}

static int by_size(const void *a, const void *b)
{
    const struct plan_stay *x = a;
    const struct plan_stay *y = b;
    if (x->size != y->size)
        return x->size < y->size ? 1 : -1;
    return x->blob_id < y->blob_id ? -1 : 1;
}

static enum st tell_kept(struct planning *p, struct err *err)
{
    enum st st = ST_OK;
    p->plan.kept = arena_alloc(p->a, (p->stay_count + 1) * sizeof(*p->plan.kept));
    if (p->plan.kept == NULL)
        return err_no_memory(err);
    qsort(p->stays, p->stay_count, sizeof(*p->stays), by_size);
    for (size_t i = 0; i < p->stay_count && st == ST_OK; i++)
        st = describe_kept(p, &p->stays[i], &p->plan.kept[p->plan.kept_count++], err);
    return st;
}

enum st plan_tell(struct planning *p, struct err *err)
{
    enum st st = ST_OK;
    if (p->untagged_bytes > 0)
        st = warn(p, PLAN_UNTAGGED_KEPT, STR_NONE,
                  STR("images that lose their last tag stay with their bytes: reclaim.untagged is"
                      " off"),
                  err);
    if (p->plan.confirm_why.ptr != NULL)
        p->plan.confirm_tags = p->plan.tags;
    p->plan.warning_count = p->warnings.count;
    p->plan.warnings = arena_alloc(p->a, (p->warnings.count + 1) * sizeof(struct plan_warning));
    if (st != ST_OK || p->plan.warnings == NULL)
        return st == ST_OK ? err_no_memory(err) : st;
    if (p->warnings.count > 0)
        memcpy(p->plan.warnings, p->warnings.items,
               p->warnings.count * sizeof(struct plan_warning));
    return tell_kept(p, err);
}
