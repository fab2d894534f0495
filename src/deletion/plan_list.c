/* SPDX-License-Identifier: Apache-2.0
 *
 * The items of a repository as records, in the order of plan_item.h, 3.
 */
#include "deletion/plan_int.h"

/* Starts another chunk unless `count` more items fit into this one. */
static enum st make_room(struct plan_stream *s, size_t count, struct err *err)
{
    struct plan_cut *cut = (struct plan_cut *)s->chunks.items + s->chunks.count;
    size_t used = s->chunks.count == 0 ? PLAN_CHUNK_ITEMS : cut[-1].count;
    if (used + MIN(count, (size_t)PLAN_CHUNK_ITEMS) <= PLAN_CHUNK_ITEMS)
        return ST_OK;
    s->last.repo = STR_NONE;
    enum st st = plan_array_add(&s->chunks, &cut, err);
    if (st == ST_OK)
        cut->end = s->records.len;
    return st;
}

static enum st add_item(struct planning *p, struct plan_stream *s, const struct plan_item *item,
                        struct err *err)
{
    enum st st = make_room(s, 1, err);
    if (st != ST_OK)
        return st;
    if (++p->plan.items > p->items_max)
        return err_set(err, ST_TOO_LARGE,
                       "the plan has more than %llu items (deletion.plan_items): plan fewer"
                       " repositories or tags at a time",
                       (unsigned long long)p->items_max);
    struct plan_cut *cut = (struct plan_cut *)s->chunks.items + s->chunks.count - 1;
    plan_item_put(&s->records, item, s->last.repo.ptr == NULL ? NULL : &s->last);
    s->last.repo = item->repo;
    cut->end = s->records.len;
    cut->count++;
    if (item->is_protected)
        p->plan.protected_items++;
    else if (item->kind == PLAN_TAG)
        p->plan.tags++;
    else if (item->kind == PLAN_MANIFEST)
        p->plan.manifests++;
    else
        p->plan.blobs++;
    return buf_status(&s->records, err);
}

static enum st list_leaf(struct planning *p, const struct plan_leaf *leaf, struct err *err)
{
    struct plan_item item = { .kind = PLAN_BLOB,
                              .repo = p->g.repo->name,
                              .size = leaf->size,
                              .in_trash = leaf->in_trash,
                              .is_whole = p->g.whole && !leaf->in_trash,
                              .is_protected = leaf->why != 0,
                              .why = plan_graph_why(&p->g, leaf->why) };
    enum st st = selection_blob_digest(p->tx, leaf->blob_id, &item.digest, err);
    return st == ST_OK ? add_item(p, &p->early, &item, err) : st;
}

static enum st list_manifest(struct planning *p, struct plan_stream *s, const struct plan_node *n,
                             struct err *err)
{
    struct plan_item item = { .kind = PLAN_MANIFEST,
                              .role = n->fate == FATE_LOOSE ? PLAN_WITH : PLAN_SELECTED,
                              .repo = p->g.repo->name,
                              .size = n->size,
                              .changed_at = n->pushed_at,
                              .was_loose = n->due_at != 0 && (n->flags & NODE_IN_TRASH) == 0,
                              .in_trash = (n->flags & NODE_IN_TRASH) != 0,
                              .is_whole = p->g.whole && (n->flags & NODE_IN_TRASH) == 0,
                              .is_protected = n->fate == FATE_STAYS };
    plan_graph_digest(&p->g, n, &item.digest);
    if (item.is_protected)
        item.why = plan_graph_why(&p->g, n->why);
    return add_item(p, s, &item, err);
}

static enum st list_node(struct planning *p, const struct plan_node *n, struct err *err)
{
    const struct plan_graph *g = &p->g;
    bool loose_before = n->due_at != 0;
    bool listed = plan_node_goes(p, n);
    if (n->fate == FATE_STAYS) /* only what was asked for */
        listed = n->why != 0 && (n->flags & (NODE_EXPLICIT | NODE_UNTAGGED)) != 0;
    struct plan_stream *s = loose_before && n->fate == FATE_TRASH ? &p->early : &p->late;
    struct plan_item item = { .kind = PLAN_TAG, .repo = g->repo->name, .is_whole = g->whole };
    plan_graph_digest(g, n, &item.digest);
    size_t count = (size_t)listed;
    for (uint32_t t = n->first_tag; t != PLAN_NOWHERE; t = plan_tag_at(g, t)->next)
        count++;
    enum st st = count == 0 ? ST_OK : make_room(s, count, err);
    for (uint32_t t = n->first_tag; t != PLAN_NOWHERE && st == ST_OK; t = plan_tag_at(g, t)->next) {
        const struct plan_tag *tag = plan_tag_at(g, t);
        item.tag = plan_graph_name(g, tag->name);
        item.changed_at = tag->tagged_at;
        item.why = plan_graph_why(g, tag->why);
        item.is_protected = tag->why != 0;
        st = add_item(p, s, &item, err);
    }
    return st == ST_OK && listed ? list_manifest(p, s, n, err) : st;
}

/* What stays has no place in g->order; what was raised has an old one, too. */
enum st plan_list(struct planning *p, struct err *err)
{
    const struct plan_graph *g = &p->g;
    uint64_t before = p->plan.items - p->plan.protected_items;
    enum st st = ST_OK;
    for (size_t i = 0; i < g->leaves.count && st == ST_OK; i++)
        st = list_leaf(p, (const struct plan_leaf *)g->leaves.items + i, err);
    for (uint32_t i = 0; i < g->nodes.count && st == ST_OK; i++)
        if (plan_node_at(g, i)->fate == FATE_STAYS)
            st = list_node(p, plan_node_at(g, i), err);
    for (uint32_t i = 0; i < g->order.len / sizeof(uint32_t) && st == ST_OK; i++) {
        uint32_t node = 0;
        memcpy(&node, g->order.ptr + i * sizeof(node), sizeof(node));
        if (plan_node_at(g, node)->order == i)
            st = list_node(p, plan_node_at(g, node), err);
    }
    if (p->plan.items - p->plan.protected_items > before)
        p->plan.repositories++;
    return st;
}
