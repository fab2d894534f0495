/* SPDX-License-Identifier: Apache-2.0
 *
 * What becomes of each node: plan_int.h has the states. A node is looked at again whenever
 * something above it got another fate; graphs have no knots, so this ends.
 */
#include "deletion/plan_int.h"

/* ---- protection ------------------------------------------------------------------------------ */

static enum st ask(struct planning *p, enum protection_act act, str tag,
                   const struct digest *digest, uint32_t *why, struct err *err)
{
    struct err denied = { 0 };
    const struct protection_case c = { .act = act,
                                       .actor = p->request->by.actor,
                                       .repo = p->g.repo->name,
                                       .tag = tag,
                                       .digest = digest,
                                       .memo = &p->memo };
    enum st st = protection_check(p->tx, p->protection, &c, p->now, &denied);
    if (st == ST_DENIED)
        return plan_graph_text(&p->g, str_of(denied.text), why, err);
    return st == ST_OK ? ST_OK : err_set(err, st, "%s", denied.text);
}

enum st plan_protect_whole(struct planning *p, struct err *err)
{
    if (!p->any_rules)
        return ST_OK;
    return ask(p, PROTECT_DELETE_REPOSITORY, STR_NONE, NULL, &p->g.refused, err);
}

/* A protected tag stays, and what it names with it. */
static enum st protect_node(struct planning *p, uint32_t node, struct err *err)
{
    struct plan_graph *g = &p->g;
    struct plan_node *n = plan_node_at(g, node);
    struct digest digest;
    enum st st = ST_OK;
    plan_graph_digest(g, n, &digest);
    for (uint32_t t = n->first_tag; t != PLAN_NOWHERE && st == ST_OK; t = plan_tag_at(g, t)->next) {
        struct plan_tag *tag = plan_tag_at(g, t);
        char name[256];
        if (!str_copy(plan_graph_name(g, tag->name), name, sizeof(name)))
            return err_set(err, ST_CORRUPT, "the name of a tag is longer than any");
        uint32_t why = g->refused; /* asking moves g->bytes */
        if (why == 0)
            st = ask(p, PROTECT_DELETE_TAG, str_of(name), &digest, &why, err);
        if (why == 0)
            continue;
        tag->why = why;
        n->why = n->why == 0 ? why : n->why;
        n->flags |= NODE_PROTECTED;
        n->taken--;
        g->tags_gone--;
    }
    if (n->why == 0 && (n->flags & NODE_IN_TRASH) == 0)
        n->why = g->refused;
    if (st == ST_OK && (n->flags & (NODE_EXPLICIT | NODE_UNTAGGED)) != 0 && n->why == 0)
        st = ask(p, PROTECT_DELETE_MANIFEST, STR_NONE, &digest, &n->why, err);
    if (n->why != 0)
        n->flags |= NODE_PROTECTED;
    return st;
}

static enum st protect(struct planning *p, struct err *err)
{
    enum st st = ST_OK;
    if (!p->any_rules && !p->any_holds)
        return ST_OK;
    for (uint32_t i = 0; i < p->g.nodes.count && st == ST_OK; i++)
        st = protect_node(p, i, err);
    return st;
}

/* ---- above ----------------------------------------------------------------------------------- */

struct above {
    bool kept;         /* an index or subject that is kept stays */
    bool live_index;   /* an index that is not deleted */
    bool live_subject; /* a subject that is not deleted */
    struct digest index;
    int64_t held_until; /* of rows that let go of it by themselves */
    int64_t trash_until;
};

static enum st look_up_row(struct planning *p, const struct selection_above *row,
                           struct above *above, struct err *err)
{
    uint32_t at = plan_map_find(&p->g.by_id, row->id);
    enum plan_fate fate =
        at == PLAN_NOWHERE ? FATE_STAYS : (enum plan_fate)plan_node_at(&p->g, at)->fate;
    if (row->trashed) {
        if (fate != FATE_TRASH)
            above->trash_until = MAX(above->trash_until, row->due_at);
        return ST_OK;
    }
    if (fate == FATE_STAYS && row->due_at == 0)
        above->kept = true;
    if (fate == FATE_STAYS && row->due_at != 0)
        above->held_until = MAX(above->held_until, row->due_at);
    if (fate == FATE_TRASH)
        return ST_OK;
    if (!row->is_index) {
        above->live_subject = true;
        return ST_OK;
    }
    above->live_index = true;
    return digest_of_key(row->digest_key, &above->index, err);
}

static enum st look_up(struct planning *p, const struct plan_node *n, struct above *above,
                       struct err *err)
{
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    struct selection_above row = { 0 };
    if (!p->g.has_edges)
        return ST_OK;
    enum st st = selection_above(p->tx, &rows, n->id, err);
    while (st == ST_OK && (st = selection_next_above(&rows, &row, err)) == ST_OK)
        st = look_up_row(p, &row, above, err);
    return st == ST_END ? ST_OK : st;
}

/* ---- the fate -------------------------------------------------------------------------------- */

static enum plan_fate judge(const struct plan_node *n, const struct above *above)
{
    bool was_kept = n->due_at == 0;
    if ((n->flags & (NODE_PROTECTED | NODE_HELD)) != 0 || n->taken < n->tags)
        return FATE_STAYS;
    if ((n->flags & NODE_IN_TRASH) != 0)
        return (n->flags & NODE_EXPLICIT) != 0 ? FATE_TRASH : FATE_STAYS;
    if ((n->flags & NODE_EXPLICIT) != 0 && !above->live_index)
        return FATE_TRASH;
    if ((n->flags & NODE_UNTAGGED) != 0 && !above->live_index && !above->live_subject)
        return FATE_TRASH;
    if (!was_kept || above->kept)
        return FATE_STAYS;
    return (n->flags & NODE_OWN) != 0 && n->taken > 0 && !above->live_index ? FATE_TRASH
                                                                            : FATE_LOOSE;
}

static void queue(struct plan_graph *g, uint32_t node)
{
    struct plan_node *n = plan_node_at(g, node);
    if ((n->flags & NODE_QUEUED) != 0)
        return;
    n->flags |= NODE_QUEUED;
    buf_add(&g->work, (str){ (const char *)&node, sizeof(node) });
}

static enum st queue_below(struct planning *p, uint32_t node, struct err *err)
{
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    struct plan_graph *g = &p->g;
    struct selection_pair row = { 0 };
    uint32_t known = (uint32_t)g->nodes.count;
    enum st st = selection_below(p->tx, &rows, plan_node_at(g, node)->id, err);
    while (st == ST_OK && (st = selection_next_pair(&rows, &row, err)) == ST_OK) {
        uint32_t below = 0;
        st = plan_graph_node(g, row.id, &below, err);
        if (st == ST_OK)
            queue(g, below);
    }
    return st == ST_END ? plan_graph_load(p, known, err) : st;
}

static enum st why_it_stays(struct planning *p, uint32_t node, const struct above *above,
                            struct err *err)
{
    struct plan_node *n = plan_node_at(&p->g, node);
    char text[DIGEST_TEXT_MAX + 1];
    char why[64 + DIGEST_TEXT_MAX];
    if ((n->flags & NODE_EXPLICIT) == 0 || n->fate != FATE_STAYS || !above->live_index ||
        n->why != 0)
        return ST_OK;
    str digest = digest_text(&above->index, text);
    (void)snprintf(why, sizeof(why), "part of the index %.*s", STR_FMT(digest));
    uint32_t at = 0;
    enum st st = plan_graph_text(&p->g, str_of(why), &at, err);
    if (st == ST_OK)
        n->why = at;
    return st;
}

static enum st look_at(struct planning *p, uint32_t node, struct err *err)
{
    struct plan_graph *g = &p->g;
    struct plan_node *n = plan_node_at(g, node);
    struct above above = { 0 };
    enum st st = look_up(p, n, &above, err);
    if (st != ST_OK)
        return st;
    enum plan_fate fate = judge(n, &above);
    /* What is loose is named by all rows, what is in the trash by those there. */
    n->held_until =
        fate == FATE_TRASH ? above.trash_until : MAX(above.held_until, above.trash_until);
    if (fate <= (enum plan_fate)n->fate)
        return why_it_stays(p, node, &above, err);
    n->fate = (uint8_t)fate;
    n->why = 0;
    n->order = (uint32_t)(g->order.len / sizeof(node));
    buf_add(&g->order, (str){ (const char *)&node, sizeof(node) });
    return g->has_edges && (n->flags & NODE_IN_TRASH) == 0 ? queue_below(p, node, err) : ST_OK;
}

enum st plan_close(struct planning *p, struct err *err)
{
    struct plan_graph *g = &p->g;
    size_t done = 0;
    if (g->nodes.count == 0)
        return ST_OK;
    enum st st = plan_graph_load(p, 0, err);
    if (st == ST_OK)
        st = protect(p, err);
    if (st == ST_OK)
        st = selection_is_graph(p->tx, g->repo->id, &g->has_edges, err);
    for (uint32_t i = 0; st == ST_OK && i < g->nodes.count; i++)
        queue(g, i);
    while (st == ST_OK && done < g->work.len) {
        uint32_t node = 0;
        memcpy(&node, g->work.ptr + done, sizeof(node));
        done += sizeof(node);
        plan_node_at(g, node)->flags &= (uint8_t)~NODE_QUEUED;
        st = look_at(p, node, err);
    }
    if (st == ST_OK)
        st = buf_status(&g->work, err);
    return st == ST_OK ? buf_status(&g->order, err) : st;
}
