/* SPDX-License-Identifier: Apache-2.0
 *
 * Which blobs the plan gives back. For each blob that going manifests use, over all its links:
 *
 *   stays         a kept manifest outside the plan uses it, or a hold is on it
 *                 (or, without reclaim.untagged, a loose one)
 *   freed         it was kept before; or it was only pending and goes to the trash now; or it lay
 *                 in the trash and all of that is selected
 *   neither       other trash had it already: an earlier receipt counts it
 *
 * links_move_manifest() adds up the same while the plan is applied.
 */
#include "deletion/plan_int.h"

struct account {
    uint64_t size;
    uint64_t kept_before;
    bool lasting;
    bool trash_before;
    bool trash_left;
    bool loose_left;
    bool pending_goes;
    int64_t until; /* somebody holds it until then */
};

bool plan_node_goes(const struct planning *p, const struct plan_node *n)
{
    return n->fate == FATE_TRASH || (n->fate == FATE_LOOSE && p->keeping.untagged);
}

static void add_link(const struct planning *p, struct account *a, const struct selection_link *l,
                     const struct plan_going *going, int64_t held_until)
{
    a->size = l->size;
    if (l->kept < going->kept || l->loose < going->loose || l->trash < going->trash) {
        a->lasting = true; /* counters that are wrong keep data */
        return;
    }
    uint64_t loose_left = l->loose - going->loose;
    bool touched = going->kept + going->loose > 0 || (going->itself && !l->trashed);
    a->kept_before += l->kept;
    a->lasting = a->lasting || l->kept > going->kept ||
                 (!p->keeping.untagged && loose_left + going->loosened > 0);
    a->trash_before = a->trash_before || l->trash > 0 || l->trashed;
    a->trash_left = a->trash_left || l->trash > going->trash || (l->trashed && !going->itself);
    a->loose_left = a->loose_left || loose_left > 0;
    a->pending_goes = a->pending_goes || going->loose > 0 || (going->itself && !l->trashed);
    a->until = MAX(a->until, held_until);
    if (l->trashed && !going->itself)
        a->until = MAX(a->until, l->due_at);
    if (!l->trashed && !(touched && p->keeping.cut))
        a->until = MAX(a->until, MAX(l->lease_until, l->due_at));
}

/* Loose manifests and trash outside the plan. */
static enum st find_holders(struct planning *p, int64_t blob_id, int64_t *until, struct err *err)
{
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    struct selection_user user = { 0 };
    enum st st = selection_users(p->tx, &rows, blob_id, err);
    while (st == ST_OK && (st = selection_next_user(&rows, &user, err)) == ST_OK)
        if (plan_map_find(&p->going, user.manifest_id) == PLAN_NOWHERE)
            *until = MAX(*until, user.due_at);
    return st == ST_END ? ST_OK : st;
}

static void sift_down(struct plan_stay *heap, size_t count)
{
    for (size_t i = 0;;) {
        size_t least = i;
        for (size_t c = 2 * i + 1; c <= 2 * i + 2 && c < count; c++)
            if (heap[c].size < heap[least].size)
                least = c;
        if (least == i)
            return;
        struct plan_stay held = heap[i];
        heap[i] = heap[least];
        heap[least] = held;
        i = least;
    }
}

static void note_stay(struct planning *p, int64_t blob_id, uint64_t size)
{
    struct plan_stay *heap = p->stays;
    p->plan.bytes_kept += size;
    if (p->stay_count == PLAN_KEPT_MAX) {
        if (size > heap[0].size) {
            heap[0] = (struct plan_stay){ blob_id, size };
            sift_down(heap, p->stay_count);
        }
        return;
    }
    size_t i = p->stay_count++;
    for (; i > 0 && heap[(i - 1) / 2].size > size; i = (i - 1) / 2)
        heap[i] = heap[(i - 1) / 2];
    heap[i] = (struct plan_stay){ blob_id, size };
}

static void note_freed(struct planning *p, uint64_t size, int64_t until)
{
    p->plan.bytes_freed += size;
    if (until > p->horizon) {
        p->plan.bytes_later += size;
        p->plan.later_until = MAX(p->plan.later_until, until);
    }
}

static enum st settle(struct planning *p, int64_t blob_id, struct account *a, struct err *err)
{
    enum st st = ST_OK;
    bool held = false;
    char reason[4];
    if (!a->lasting && p->any_holds)
        st = selection_blob_held(p->tx, blob_id, p->now, &held, reason, sizeof(reason), err);
    if (st != ST_OK)
        return st;
    if (a->lasting || held) {
        note_stay(p, blob_id, a->size);
        return ST_OK;
    }
    bool emptied = a->trash_before && !a->trash_left && !a->loose_left;
    if (a->kept_before == 0 && !(a->pending_goes && !a->trash_before) && !emptied)
        return ST_OK;
    if (a->loose_left || a->trash_left)
        st = find_holders(p, blob_id, &a->until, err);
    if (st == ST_OK)
        note_freed(p, a->size, a->until);
    return st;
}

/* ---- one repository -------------------------------------------------------------------------- */

static struct plan_use *use_at(const struct plan_graph *g, uint32_t i)
{
    return (struct plan_use *)g->uses.items + i;
}

static enum st need_use(struct plan_graph *g, int64_t blob_id, struct plan_use **out,
                        struct err *err)
{
    uint32_t at = plan_map_find(&g->by_blob, blob_id);
    if (at != PLAN_NOWHERE) {
        *out = use_at(g, at);
        return ST_OK;
    }
    struct plan_use *use = NULL;
    at = (uint32_t)g->uses.count;
    enum st st = plan_array_add(&g->uses, &use, err);
    if (st == ST_OK)
        st = plan_map_add(&g->by_blob, blob_id, at, err);
    if (st != ST_OK)
        return st;
    use->blob_id = blob_id;
    *out = use;
    return ST_OK;
}

static void count_use(struct plan_use *use, const struct plan_node *n)
{
    if ((n->flags & NODE_IN_TRASH) != 0) {
        use->going.trash++;
    } else if (n->due_at == 0) {
        use->going.kept++;
        use->going.loosened += n->fate == FATE_LOOSE;
    } else {
        use->going.loose++;
    }
    use->held_until = MAX(use->held_until, n->held_until);
}

static enum st add_uses(struct planning *p, const int64_t *ids, size_t count, struct err *err)
{
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    struct selection_pair pair = { 0 };
    enum st st = selection_uses(p->tx, &rows, ids, count, err);
    while (st == ST_OK && (st = selection_next_pair(&rows, &pair, err)) == ST_OK) {
        struct plan_use *use = NULL;
        st = need_use(&p->g, pair.value, &use, err);
        if (st == ST_OK)
            count_use(use, plan_node_at(&p->g, plan_map_find(&p->g.by_id, pair.id)));
    }
    return st == ST_END ? ST_OK : st;
}

static enum st add_all_uses(struct planning *p, struct err *err)
{
    const struct plan_graph *g = &p->g;
    int64_t ids[SELECTION_IDS];
    size_t count = 0;
    enum st st = ST_OK;
    for (uint32_t i = 0; i < g->nodes.count && st == ST_OK; i++) {
        const struct plan_node *n = plan_node_at(g, i);
        if (n->fate == FATE_STAYS)
            continue;
        st = plan_map_add(&p->going, n->id, 0, err);
        if (plan_node_goes(p, n))
            note_freed(p, n->size, n->held_until);
        else
            p->untagged_bytes += n->size;
        ids[count++] = n->id;
        if (st == ST_OK && count == SELECTION_IDS) {
            st = add_uses(p, ids, count, err);
            count = 0;
        }
    }
    return st == ST_OK && count > 0 ? add_uses(p, ids, count, err) : st;
}

static enum st add_leaves(struct planning *p, struct err *err)
{
    const struct plan_leaf *leaves = p->g.leaves.items;
    enum st st = ST_OK;
    for (size_t i = 0; i < p->g.leaves.count && st == ST_OK; i++) {
        struct plan_use *use = NULL;
        if (leaves[i].why != 0)
            continue;
        st = need_use(&p->g, leaves[i].blob_id, &use, err);
        if (st == ST_OK)
            use->going.itself = true;
    }
    return st;
}

static enum st add_part(struct planning *p, const struct plan_use *use, int64_t repo_id,
                        struct err *err)
{
    struct plan_part *part = NULL;
    struct plan_blob *blob = NULL;
    uint32_t number = (uint32_t)p->parts.count;
    uint32_t at = plan_map_find(&p->by_blob, use->blob_id);
    enum st st = plan_array_add(&p->parts, &part, err);
    if (st != ST_OK)
        return st;
    *part = (struct plan_part){
        .repo_id = repo_id, .held_until = use->held_until, .going = use->going, .next = PLAN_NOWHERE
    };
    if (at != PLAN_NOWHERE) {
        blob = (struct plan_blob *)p->blobs.items + at;
        part->next = blob->first_part;
        blob->first_part = number;
        return ST_OK;
    }
    at = (uint32_t)p->blobs.count;
    st = plan_array_add(&p->blobs, &blob, err);
    if (st == ST_OK)
        st = plan_map_add(&p->by_blob, use->blob_id, at, err);
    if (st == ST_OK)
        *blob = (struct plan_blob){ .id = use->blob_id, .first_part = number };
    return st;
}

/* A link without a row is a foreign layer that is not here, or damage that `check` reports: nothing
 * to give back. */
static enum st settle_links(struct planning *p, const int64_t *blob_ids, size_t count,
                            struct err *err)
{
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    struct selection_link link = { 0 };
    enum st st = selection_links(p->tx, &rows, p->g.repo->id, blob_ids, count, err);
    while (st == ST_OK && (st = selection_next_link(&rows, &link, err)) == ST_OK) {
        const struct plan_use *use = use_at(&p->g, plan_map_find(&p->g.by_blob, link.blob_id));
        struct account account = { 0 };
        if (link.shared) {
            st = add_part(p, use, link.repo_id, err);
            continue;
        }
        add_link(p, &account, &link, &use->going, use->held_until);
        st = settle(p, link.blob_id, &account, err);
    }
    return st == ST_END ? ST_OK : st;
}

enum st plan_bytes_of_repository(struct planning *p, struct err *err)
{
    int64_t ids[SELECTION_IDS];
    enum st st = add_all_uses(p, err);
    if (st == ST_OK)
        st = add_leaves(p, err);
    for (uint32_t i = 0; st == ST_OK && i < p->g.uses.count;) {
        size_t count = 0;
        while (count < SELECTION_IDS && i < p->g.uses.count)
            ids[count++] = use_at(&p->g, i++)->blob_id;
        st = settle_links(p, ids, count, err);
    }
    return st;
}

/* ---- blobs of several repositories ----------------------------------------------------------- */

static enum st settle_shared(struct planning *p, const struct plan_blob *blob, struct err *err)
{
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    const struct plan_part *parts = p->parts.items;
    struct selection_link link = { 0 };
    struct account account = { 0 };
    enum st st = selection_links_of_blob(p->tx, &rows, blob->id, err);
    while (st == ST_OK && !account.lasting &&
           (st = selection_next_link(&rows, &link, err)) == ST_OK) {
        struct plan_part none = { 0 };
        const struct plan_part *part = &none;
        for (uint32_t i = blob->first_part; i != PLAN_NOWHERE; i = parts[i].next)
            if (parts[i].repo_id == link.repo_id)
                part = &parts[i];
        add_link(p, &account, &link, &part->going, part->held_until);
    }
    if (st != ST_OK && st != ST_END)
        return st;
    db_rows_close(&rows);
    return settle(p, blob->id, &account, err);
}

enum st plan_bytes_of_shared(struct planning *p, struct err *err)
{
    const struct plan_blob *blobs = p->blobs.items;
    enum st st = ST_OK;
    for (size_t i = 0; i < p->blobs.count && st == ST_OK; i++)
        st = settle_shared(p, &blobs[i], err);
    return st;
}
