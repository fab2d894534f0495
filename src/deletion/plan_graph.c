/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mem.h"
#include "deletion/plan_int.h"

struct plan_node *plan_node_at(const struct plan_graph *g, uint32_t i)
{
    assert(i < g->nodes.count);
    return (struct plan_node *)g->nodes.items + i;
}

struct plan_tag *plan_tag_at(const struct plan_graph *g, uint32_t i)
{
    assert(i < g->tags.count);
    return (struct plan_tag *)g->tags.items + i;
}

void plan_graph_reset(struct planning *p, const struct plan_repo *repo)
{
    struct plan_graph *g = &p->g;
    /* Nodes that stay are looked at, too: there may be more than items. */
    size_t nodes_max = (size_t)MIN(p->items_max * 4 + 1000, (uint64_t)UINT32_MAX - 1);
    size_t items_max = (size_t)MIN(p->items_max, (uint64_t)UINT32_MAX - 1);
    g->repo = repo;
    g->whole = false;
    g->refused = 0;
    g->nodes.count = g->tags.count = g->leaves.count = g->uses.count = 0;
    g->nodes.item_bytes = sizeof(struct plan_node);
    g->nodes.max = nodes_max;
    g->tags.item_bytes = sizeof(struct plan_tag);
    g->tags.max = items_max;
    g->leaves.item_bytes = sizeof(struct plan_leaf);
    g->leaves.max = items_max;
    g->uses.item_bytes = sizeof(struct plan_use);
    g->uses.max = (size_t)MIN(p->items_max * 32 + 1000, (uint64_t)UINT32_MAX - 1);
    plan_map_clear(&g->by_id);
    plan_map_clear(&g->by_name);
    plan_map_clear(&g->by_blob);
    g->bytes.max_bytes = g->order.max_bytes = g->work.max_bytes = g->named.max_bytes = UINT32_MAX;
    buf_clear(&g->bytes);
    buf_clear(&g->order);
    buf_clear(&g->work);
    buf_release(&g->named);
    g->all_named = false;
    buf_add_byte(&g->bytes, 0);
    g->has_edges = false;
    g->tags_gone = 0;
    g->newest_at = INT64_MIN;
    g->newest = 0;
    g->newest_known = g->newest_goes = false;
}

void plan_graph_release(struct plan_graph *g)
{
    plan_array_release(&g->nodes);
    plan_array_release(&g->tags);
    plan_array_release(&g->leaves);
    plan_array_release(&g->uses);
    plan_map_release(&g->by_id);
    plan_map_release(&g->by_name);
    plan_map_release(&g->by_blob);
    buf_release(&g->bytes);
    buf_release(&g->order);
    buf_release(&g->work);
    buf_release(&g->named);
}

/* ---- texts: a length of two bytes, then the bytes -------------------------------------------- */

enum st plan_graph_text(struct plan_graph *g, str text, uint32_t *out, struct err *err)
{
    size_t len = MIN(text.len, (size_t)UINT16_MAX);
    uint32_t at = (uint32_t)g->bytes.len;
    buf_add_byte(&g->bytes, (char)(len & 0xff));
    buf_add_byte(&g->bytes, (char)(len >> 8));
    buf_add(&g->bytes, (str){ text.ptr, len });
    enum st st = buf_status(&g->bytes, err);
    if (st == ST_OK)
        *out = at;
    return st;
}

str plan_graph_name(const struct plan_graph *g, uint32_t name)
{
    const unsigned char *at = (const unsigned char *)g->bytes.ptr + name;
    return (str){ (const char *)at + 2, (size_t)at[0] | (size_t)at[1] << 8 };
}

str plan_graph_why(const struct plan_graph *g, uint32_t why)
{
    return why == 0 ? STR_NONE : plan_graph_name(g, why);
}

void plan_graph_digest(const struct plan_graph *g, const struct plan_node *n, struct digest *out)
{
    enum st st = digest_of_key(plan_graph_name(g, n->digest), out, NULL);
    assert(st == ST_OK); /* plan_graph_fill() looked */
    (void)st;
}

/* ---- nodes ----------------------------------------------------------------------------------- */

enum st plan_graph_node(struct plan_graph *g, int64_t id, uint32_t *out, struct err *err)
{
    uint32_t found = plan_map_find(&g->by_id, id);
    if (found != PLAN_NOWHERE) {
        *out = found;
        return ST_OK;
    }
    struct plan_node *n = NULL;
    uint32_t at = (uint32_t)g->nodes.count;
    enum st st = plan_array_add(&g->nodes, &n, err);
    if (st == ST_OK)
        st = plan_map_add(&g->by_id, id, at, err);
    if (st != ST_OK)
        return st;
    n->id = id;
    n->first_tag = n->last_tag = PLAN_NOWHERE;
    n->order = PLAN_NOWHERE;
    *out = at;
    return ST_OK;
}

enum st plan_graph_fill(struct plan_graph *g, uint32_t node, const struct selection_manifest *row,
                        struct err *err)
{
    struct plan_node *n = plan_node_at(g, node);
    struct digest digest;
    if (n->digest != 0)
        return ST_OK;
    enum st st = digest_of_key(row->digest_key, &digest, err);
    if (st == ST_OK && row->size > UINT32_MAX)
        st = err_set(err, ST_CORRUPT, "the size of a manifest is not what a size can be");
    if (st == ST_OK)
        st = plan_graph_text(g, row->digest_key, &n->digest, err);
    if (st != ST_OK)
        return st;
    n->size = (uint32_t)row->size;
    n->due_at = row->due_at;
    n->pushed_at = row->pushed_at;
    if (row->trashed)
        n->flags |= NODE_IN_TRASH;
    if (row->has_subject)
        n->flags |= NODE_HAS_SUBJECT;
    return ST_OK;
}

/* ---- tags ------------------------------------------------------------------------------------ */

static int64_t hash_of(str name)
{
    uint64_t h = 0xcbf29ce484222325u;
    for (size_t i = 0; i < name.len; i++)
        h = (h ^ (unsigned char)name.ptr[i]) * 0x100000001b3u;
    return h == 0 ? 1 : (int64_t)h;
}

/* Several selectors may name the same tag. */
static enum st is_known(struct plan_graph *g, str name, bool *out, struct err *err)
{
    int64_t key = hash_of(name);
    *out = false;
    for (;; key = key == -1 ? 1 : key + 1) {
        uint32_t at = plan_map_find(&g->by_name, key);
        if (at == PLAN_NOWHERE)
            return plan_map_add(&g->by_name, key, (uint32_t)g->tags.count, err);
        if (str_eq(plan_graph_name(g, plan_tag_at(g, at)->name), name)) {
            *out = true;
            return ST_OK;
        }
    }
}

static enum st note_newest(struct plan_graph *g, const struct plan_tag *tag, int64_t tagged_at)
{
    if (tagged_at > g->newest_at ||
        (tagged_at == g->newest_at &&
         str_cmp(plan_graph_name(g, tag->name), plan_graph_name(g, g->newest)) > 0)) {
        g->newest_at = tagged_at;
        g->newest = tag->name;
    }
    return ST_OK;
}

enum st plan_graph_tag(struct planning *p, const struct selection_tag *row, bool own,
                       struct err *err)
{
    struct plan_graph *g = &p->g;
    struct plan_tag *tag = NULL;
    uint32_t node = 0;
    bool known = false;
    bool several = g->repo->first_target != g->repo->last_target;
    enum st st = plan_graph_node(g, row->manifest_id, &node, err);
    if (st == ST_OK && own)
        plan_node_at(g, node)->flags |= NODE_OWN;
    if (st == ST_OK && several)
        st = is_known(g, row->name, &known, err);
    if (st != ST_OK || known)
        return st;
    uint32_t at = (uint32_t)g->tags.count;
    st = plan_array_add(&g->tags, &tag, err);
    if (st == ST_OK)
        st = plan_graph_text(g, row->name, &tag->name, err);
    if (st != ST_OK)
        return st;
    struct plan_node *n = plan_node_at(g, node);
    tag->tagged_at = row->tagged_at;
    tag->node = node;
    tag->next = PLAN_NOWHERE;
    if (n->first_tag == PLAN_NOWHERE)
        n->first_tag = at;
    else
        plan_tag_at(g, n->last_tag)->next = at;
    n->last_tag = at;
    n->taken++;
    g->tags_gone++;
    return note_newest(g, tag, row->tagged_at);
}

/* ---- loading --------------------------------------------------------------------------------- */

static enum st load_rows(struct planning *p, const int64_t *ids, size_t count, struct err *err)
{
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    struct selection_manifest row = { 0 };
    enum st st = selection_manifests_by_id(p->tx, &rows, ids, count, err);
    while (st == ST_OK && (st = selection_next_manifest(&rows, &row, err)) == ST_OK)
        st = plan_graph_fill(&p->g, plan_map_find(&p->g.by_id, row.id), &row, err);
    return st == ST_END ? ST_OK : st;
}

static enum st load_tag_counts(struct planning *p, const int64_t *ids, size_t count,
                               struct err *err)
{
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    struct selection_pair pair = { 0 };
    enum st st = selection_tag_counts(p->tx, &rows, ids, count, err);
    while (st == ST_OK && (st = selection_next_pair(&rows, &pair, err)) == ST_OK)
        plan_node_at(&p->g, plan_map_find(&p->g.by_id, pair.id))->tags = (uint32_t)pair.value;
    return st == ST_END ? ST_OK : st;
}

static enum st load_hold(struct planning *p, uint32_t node, struct err *err)
{
    struct plan_node *n = plan_node_at(&p->g, node);
    bool held = false;
    enum st st = selection_manifest_held(p->tx, n->id, &held, err);
    if (st == ST_OK && held)
        n->flags |= NODE_HELD;
    return st;
}

/* All tags of the repository were read: nothing has to be asked for. */
static void count_tags(struct plan_graph *g)
{
    for (size_t at = 0; at < g->named.len; at += sizeof(int64_t)) {
        int64_t id = 0;
        memcpy(&id, g->named.ptr + at, sizeof(id));
        uint32_t node = plan_map_find(&g->by_id, id);
        if (node != PLAN_NOWHERE)
            plan_node_at(g, node)->tags++;
    }
}

enum st plan_graph_load(struct planning *p, uint32_t from, struct err *err)
{
    struct plan_graph *g = &p->g;
    enum st st = ST_OK;
    bool counted = from == 0 && g->all_named;
    if (counted)
        count_tags(g);
    while (st == ST_OK && from < g->nodes.count) {
        int64_t ids[SELECTION_IDS];
        int64_t unfilled[SELECTION_IDS];
        size_t count = 0;
        size_t unfilled_count = 0;
        uint32_t first = from;
        for (; count < SELECTION_IDS && from < g->nodes.count; from++) {
            const struct plan_node *n = plan_node_at(g, from);
            ids[count++] = n->id;
            if (n->digest == 0)
                unfilled[unfilled_count++] = n->id;
        }
        if (unfilled_count > 0)
            st = load_rows(p, unfilled, unfilled_count, err);
        if (st == ST_OK && !counted)
            st = load_tag_counts(p, ids, count, err);
        for (uint32_t i = first; st == ST_OK && i < from; i++) {
            if (plan_node_at(g, i)->digest == 0)
                st = err_set(err, ST_CORRUPT, "a manifest that is named in rows has none");
            else if (p->any_holds)
                st = load_hold(p, i, err);
        }
    }
    return st;
}
