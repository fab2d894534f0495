/* SPDX-License-Identifier: Apache-2.0
 *
 * What selectors name. A rule's tags are read in the order of their names and judged; of those that
 * it leaves only the number is kept.
 */
#include "base/mem.h"
#include "deletion/plan_int.h"
#include "policy/pattern.h"

/* Tags judged at a time by a rule that does not have to know all of them. */
#define JUDGED_AT_ONCE 512
/* Bytes of the tags of one repository that a rule with `keep` has to know. */
#define JUDGED_BYTES   ((size_t)(512 * MIB))

/* ---- checking -------------------------------------------------------------------------------- */

/* With `untagged` an age alone is that of manifests: it must not select tags. */
static bool judges_tags(const struct selector_rule *r)
{
    return r->tags.ptr != NULL || (r->has_keep && r->keep > 0) || r->not_pulled_for_ms != 0 ||
           (r->older_than_ms != 0 && !r->untagged);
}

static struct retention_rule retention_of(const struct selector_rule *r,
                                          const struct plan_patterns *patterns)
{
    return (struct retention_rule){ .tags = patterns->tags,
                                    .keep = patterns->keep,
                                    .keep_newest = r->has_keep ? r->keep : 0,
                                    .older_than_ms = r->older_than_ms,
                                    .not_pulled_for_ms = r->not_pulled_for_ms };
}

static enum st check_rule(const struct selector_rule *r, struct plan_patterns *patterns,
                          struct err *err)
{
    if (!judges_tags(r) && !r->untagged)
        return err_set(err, ST_INVALID,
                       "the rule has no criterion and would select every tag; give at least one of"
                       " tags, keep (1 or more), older-than, not-pulled-for and untagged");
    if (r->older_than_ms < 0 || r->not_pulled_for_ms < 0)
        return err_set(err, ST_INVALID, "a rule's time is below zero");
    enum st st = ST_OK;
    if (r->tags.ptr != NULL)
        st = pattern_regex(r->tags, &patterns->tags, err);
    if (st == ST_OK && r->keep_tags.ptr != NULL)
        st = pattern_regex(r->keep_tags, &patterns->keep, err);
    return st;
}

static bool takes_pattern(enum selector_kind kind)
{
    return kind == SELECT_REPOSITORY || kind == SELECT_RULE || kind == SELECT_TRASH;
}

enum st plan_select_check(struct planning *p, struct err *err)
{
    const struct plan_request *q = p->request;
    if (q->count == 0)
        return err_set(err, ST_INVALID, "nothing is selected: give at least one selector");
    for (size_t i = 0; i < q->count; i++) {
        const struct selector *s = &q->selectors[i];
        enum st st = ST_OK;
        if (s->kind == SELECT_TRASH && !q->now)
            return err_set(err, ST_INVALID,
                           "what lies in the trash can only be deleted for good:"
                           " it needs `now`");
        if (takes_pattern(s->kind))
            st = pattern_glob(s->repo, &p->patterns[i].repo, err);
        if (st == ST_OK && s->kind == SELECT_RULE)
            st = check_rule(&s->rule, &p->patterns[i], err);
        if (st != ST_OK)
            return st;
    }
    return ST_OK;
}

/* ---- repositories ---------------------------------------------------------------------------- */

static enum st add_target(struct planning *p, const struct selection_repository *row,
                          uint32_t selector, struct err *err)
{
    struct plan_target *target = NULL;
    struct plan_repo *repo = NULL;
    uint32_t at = plan_map_find(&p->repo_by_id, row->id);
    uint32_t number = (uint32_t)p->targets.count;
    enum st st = plan_array_add(&p->targets, &target, err);
    if (st != ST_OK)
        return st;
    *target = (struct plan_target){ .selector = selector, .next = PLAN_NOWHERE };
    if (at != PLAN_NOWHERE) {
        repo = (struct plan_repo *)p->repos.items + at;
        ((struct plan_target *)p->targets.items)[repo->last_target].next = number;
        repo->last_target = number;
        return ST_OK;
    }
    at = (uint32_t)p->repos.count;
    st = plan_array_add(&p->repos, &repo, err);
    if (st == ST_OK)
        st = plan_map_add(&p->repo_by_id, row->id, at, err);
    if (st != ST_OK)
        return st;
    *repo = (struct plan_repo){ .id = row->id,
                                .name = arena_dup(p->a, row->name),
                                .tags = row->tags,
                                .trash = row->trash,
                                .first_target = number,
                                .last_target = number };
    return repo->name.ptr == NULL ? err_no_memory(err) : ST_OK;
}

static enum st select_named(struct planning *p, uint32_t i, str name, struct err *err)
{
    struct selection_repository row = { 0 };
    enum st st = selection_repository(p->tx, name, &row, err);
    return st == ST_OK ? add_target(p, &row, i, err) : st;
}

static bool may(const struct planning *p, str repo)
{
    return p->request->may == NULL || p->request->may(p->request->may_ctx, repo);
}

/* A pattern that cannot be decided does not match (invariant 10). */
static enum st select_matching(struct planning *p, uint32_t i, struct err *err)
{
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    const struct pattern *pattern = p->patterns[i].repo;
    struct selection_repository row = { 0 };
    str name = STR_NONE;
    if (pattern_literal(pattern, &name))
        return may(p, name)
                   ? select_named(p, i, name, err)
                   : err_set(err, ST_NOT_FOUND, "there is no repository %.*s", STR_FMT(name));
    bool trash_only = p->request->selectors[i].kind == SELECT_TRASH;
    enum st st = selection_repositories(p->tx, &rows, pattern_prefix(pattern), err);
    while (st == ST_OK && (st = selection_next_repository(&rows, &row, err)) == ST_OK)
        if (pattern_match(pattern, row.name) == PATTERN_YES && (row.trash || !trash_only) &&
            may(p, row.name))
            st = add_target(p, &row, i, err);
    return st == ST_END ? ST_OK : st;
}

enum st plan_select_repositories(struct planning *p, struct err *err)
{
    enum st st = ST_OK;
    for (uint32_t i = 0; i < p->request->count && st == ST_OK; i++) {
        const struct selector *s = &p->request->selectors[i];
        st = takes_pattern(s->kind) ? select_matching(p, i, err) : select_named(p, i, s->repo, err);
    }
    return st;
}

/* ---- rules ----------------------------------------------------------------------------------- */

/* Tags to be judged together. */
struct judging {
    struct planning *p;
    struct retention_rule rule;
    struct buf tags; /* struct retention_tag; names are offsets + 1 until they are judged */
    struct buf ids;  /* int64_t: what they name */
    struct buf names;
    struct buf verdicts; /* enum retention_verdict */
    bool pull_known;
};

static void release_judging(struct judging *j)
{
    buf_release(&j->tags);
    buf_release(&j->ids);
    buf_release(&j->names);
    buf_release(&j->verdicts);
}

/* The rows may be behind what is in memory: what is about to be selected is looked at again. */
static enum st was_pulled(struct judging *j, const struct retention_tag *tag, int64_t manifest_id,
                          bool *out, struct err *err)
{
    int64_t pulled_at = 0;
    *out = false;
    if (j->rule.not_pulled_for_ms == 0)
        return ST_OK;
    enum st st = pulls_find(j->p->tx, j->p->d->r->pulls, manifest_id, &pulled_at, err);
    *out = st == ST_OK && pulled_at > tag->pulled_at &&
           j->p->now - pulled_at <= j->rule.not_pulled_for_ms;
    return st;
}

static enum st judge(struct judging *j, struct err *err)
{
    size_t n = j->ids.len / sizeof(int64_t);
    struct retention_tag *tags = (struct retention_tag *)(void *)j->tags.ptr;
    for (size_t i = 0; i < n; i++)
        tags[i].name.ptr = j->names.ptr + (size_t)(uintptr_t)tags[i].name.ptr;
    if (!buf_reserve(&j->verdicts, (n + 1) * sizeof(enum retention_verdict)))
        return buf_status(&j->verdicts, err);
    enum retention_verdict *verdicts = (enum retention_verdict *)(void *)j->verdicts.ptr;
    enum st st = n == 0 ? ST_OK : retention_judge(&j->rule, tags, n, j->p->now, verdicts, err);
    for (size_t i = 0; i < n && st == ST_OK; i++) {
        int64_t id = 0;
        bool pulled = false;
        memcpy(&id, j->ids.ptr + i * sizeof(id), sizeof(id));
        if (verdicts[i] == RETENTION_SELECTED)
            st = was_pulled(j, &tags[i], id, &pulled, err);
        if (pulled)
            verdicts[i] = RETENTION_KEPT_PULLED;
        if (verdicts[i] != RETENTION_SELECTED)
            j->p->plan.retained[verdicts[i]]++;
        else if (st == ST_OK)
            st = plan_graph_tag(j->p,
                                &(struct selection_tag){ .name = tags[i].name,
                                                         .manifest_id = id,
                                                         .tagged_at = tags[i].tagged_at },
                                true, err);
    }
    buf_clear(&j->tags);
    buf_clear(&j->ids);
    buf_clear(&j->names);
    return st;
}

/* The first selector that reads all tags of the repository notes what they name. */
static enum st note_named(struct plan_graph *g, int64_t manifest_id, struct err *err)
{
    if (g->all_named)
        return ST_OK;
    buf_add(&g->named, (str){ (const char *)&manifest_id, sizeof(manifest_id) });
    return buf_status(&g->named, err);
}

static enum st add_judged(struct judging *j, const struct selection_tag *row, struct err *err)
{
    struct retention_tag tag = { .name = { (const char *)(uintptr_t)j->names.len, row->name.len },
                                 .tagged_at = row->tagged_at,
                                 .pulled_at = row->pulled_at,
                                 .pull_known = j->pull_known };
    buf_add(&j->tags, (str){ (const char *)&tag, sizeof(tag) });
    buf_add(&j->ids, (str){ (const char *)&row->manifest_id, sizeof(row->manifest_id) });
    buf_add(&j->names, row->name);
    enum st st = buf_status(&j->tags, err);
    if (st == ST_OK)
        st = buf_status(&j->ids, err);
    return st == ST_OK ? buf_status(&j->names, err) : st;
}

static enum st select_by_rule(struct planning *p, uint32_t selector, struct err *err)
{
    const struct selector_rule *rule = &p->request->selectors[selector].rule;
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    AUTO(release_judging)
    struct judging j = {
        .p = p,
        .rule = retention_of(rule, &p->patterns[selector]),
        .tags = { .max_bytes = JUDGED_BYTES },
        .ids = { .max_bytes = JUDGED_BYTES },
        .names = { .max_bytes = JUDGED_BYTES },
        .verdicts = { .max_bytes = JUDGED_BYTES },
        .pull_known = p->pulls_since <= p->now - rule->not_pulled_for_ms,
    };
    struct selection_tag row = { 0 };
    enum st st = selection_tags(p->tx, &rows, p->g.repo->id, rule->not_pulled_for_ms > 0, err);
    size_t count = 0;
    while (st == ST_OK && (st = selection_next_tag(&rows, &row, err)) == ST_OK) {
        st = note_named(&p->g, row.manifest_id, err);
        if (st == ST_OK)
            st = add_judged(&j, &row, err);
        if (st == ST_OK && ++count % JUDGED_AT_ONCE == 0 && j.rule.keep_newest == 0)
            st = judge(&j, err);
    }
    p->g.all_named = p->g.all_named || st == ST_END;
    return st == ST_END ? judge(&j, err) : st;
}

/* ---- the other selectors --------------------------------------------------------------------- */

static enum st select_manifests(struct planning *p, enum selection_manifests which, int64_t before,
                                uint8_t flags, struct err *err)
{
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    struct selection_manifest row = { 0 };
    enum st st = selection_manifests(p->tx, &rows, p->g.repo->id, which, before, err);
    while (st == ST_OK && (st = selection_next_manifest(&rows, &row, err)) == ST_OK) {
        uint32_t node = 0;
        st = plan_graph_node(&p->g, row.id, &node, err);
        if (st == ST_OK)
            st = plan_graph_fill(&p->g, node, &row, err);
        if (st == ST_OK)
            plan_node_at(&p->g, node)->flags |= flags;
    }
    return st == ST_END ? ST_OK : st;
}

static enum st select_tags_of(struct planning *p, int64_t manifest_id, struct err *err)
{
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    struct selection_tag row = { 0 };
    enum st st = selection_tags_of(p->tx, &rows, manifest_id, err);
    while (st == ST_OK && (st = selection_next_tag(&rows, &row, err)) == ST_OK)
        st = plan_graph_tag(p, &row, true, err);
    return st == ST_END ? ST_OK : st;
}

static enum st no_tag(const struct planning *p, str tag, struct err *err)
{
    return err_set(err, ST_NOT_FOUND, "there is no tag %.*s in %.*s", STR_FMT(tag),
                   STR_FMT(p->g.repo->name));
}

static enum st select_tag(struct planning *p, const struct selector *s, struct err *err)
{
    struct selection_tag row = { 0 };
    enum st st = selection_tag(p->tx, p->g.repo->id, s->tag, &row, err);
    if (st == ST_NOT_FOUND)
        return no_tag(p, s->tag, err);
    return st == ST_OK ? plan_graph_tag(p, &row, false, err) : st;
}

static enum st select_image(struct planning *p, const struct selector *s, struct err *err)
{
    char text[DIGEST_TEXT_MAX + 1];
    struct selection_tag row = { 0 };
    uint32_t node = 0;
    enum st st = ST_OK;
    if (s->tag.ptr != NULL) {
        st = selection_tag(p->tx, p->g.repo->id, s->tag, &row, err);
        if (st == ST_NOT_FOUND)
            return no_tag(p, s->tag, err);
    } else {
        st = selection_manifest(p->tx, p->g.repo->id, &s->digest, &row.manifest_id, err);
        if (st == ST_NOT_FOUND) {
            str digest = digest_text(&s->digest, text);
            return err_set(err, st, "there is no manifest %.*s in %.*s", STR_FMT(digest),
                           STR_FMT(p->g.repo->name));
        }
    }
    if (st == ST_OK)
        st = plan_graph_node(&p->g, row.manifest_id, &node, err);
    if (st != ST_OK)
        return st;
    plan_node_at(&p->g, node)->flags |= NODE_EXPLICIT;
    return select_tags_of(p, row.manifest_id, err);
}

/* ---- links ----------------------------------------------------------------------------------- */

static enum st protect_link(struct planning *p, struct plan_leaf *leaf, struct err *err)
{
    struct digest digest;
    struct err denied = { 0 };
    if (!p->any_rules && !p->any_holds)
        return ST_OK;
    if (p->g.refused != 0) {
        leaf->why = p->g.refused;
        return ST_OK;
    }
    enum st st = selection_blob_digest(p->tx, leaf->blob_id, &digest, err);
    if (st != ST_OK)
        return st;
    const struct protection_case c = { .act = PROTECT_DELETE_BLOB,
                                       .actor = p->request->by.actor,
                                       .repo = p->g.repo->name,
                                       .digest = &digest,
                                       .memo = &p->memo };
    st = protection_check(p->tx, p->protection, &c, p->now, &denied);
    if (st == ST_DENIED)
        return plan_graph_text(&p->g, str_of(denied.text), &leaf->why, err);
    return st == ST_OK ? ST_OK : err_set(err, st, "%s", denied.text);
}

static enum st add_leaf(struct planning *p, const struct selection_link *row, struct err *err)
{
    struct plan_leaf *leaf = NULL;
    for (size_t i = 0; i < p->g.leaves.count; i++) /* several are only named one by one */
        if (((struct plan_leaf *)p->g.leaves.items)[i].blob_id == row->blob_id &&
            p->g.repo->first_target != p->g.repo->last_target)
            return ST_OK;
    enum st st = plan_array_add(&p->g.leaves, &leaf, err);
    if (st != ST_OK)
        return st;
    leaf->blob_id = row->blob_id;
    leaf->size = row->size;
    leaf->in_trash = row->trashed;
    if (!row->trashed && row->kept + row->loose > 0)
        return plan_graph_text(&p->g, STR("a manifest in this repository uses it"), &leaf->why,
                               err);
    return protect_link(p, leaf, err);
}

static enum st select_blob(struct planning *p, const struct selector *s, struct err *err)
{
    char text[DIGEST_TEXT_MAX + 1];
    struct selection_link row = { 0 };
    enum st st = selection_link(p->tx, p->g.repo->id, &s->digest, &row, err);
    if (st == ST_NOT_FOUND) {
        str digest = digest_text(&s->digest, text);
        return err_set(err, st, "there is no blob %.*s in %.*s", STR_FMT(digest),
                       STR_FMT(p->g.repo->name));
    }
    return st == ST_OK ? add_leaf(p, &row, err) : st;
}

static enum st select_links(struct planning *p, bool trashed, struct err *err)
{
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    struct selection_link row = { 0 };
    enum st st = selection_links_unused(p->tx, &rows, p->g.repo->id, trashed, err);
    while (st == ST_OK && (st = selection_next_link(&rows, &row, err)) == ST_OK)
        st = add_leaf(p, &row, err);
    return st == ST_END ? ST_OK : st;
}

/* ---------------------------------------------------------------------------------------------- */

static enum st select_all(struct planning *p, struct err *err)
{
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    struct selection_tag row = { 0 };
    p->g.whole = true;
    enum st st = plan_protect_whole(p, err);
    if (st == ST_OK)
        st = selection_tags(p->tx, &rows, p->g.repo->id, false, err);
    while (st == ST_OK && (st = selection_next_tag(&rows, &row, err)) == ST_OK) {
        st = note_named(&p->g, row.manifest_id, err);
        if (st == ST_OK)
            st = plan_graph_tag(p, &row, true, err);
    }
    p->g.all_named = p->g.all_named || st == ST_END;
    if (st == ST_END)
        st = select_manifests(p, SELECTION_LIVE, 0, NODE_EXPLICIT, err);
    return st == ST_OK ? select_links(p, false, err) : st;
}

static enum st run_rule(struct planning *p, uint32_t selector, struct err *err)
{
    const struct selector_rule *r = &p->request->selectors[selector].rule;
    enum st st = ST_OK;
    if (judges_tags(r))
        st = select_by_rule(p, selector, err);
    if (st == ST_OK && r->untagged)
        st = select_manifests(p, SELECTION_LOOSE,
                              r->older_than_ms > 0 ? p->now - r->older_than_ms : INT64_MAX,
                              NODE_UNTAGGED, err);
    return st;
}

static enum st run(struct planning *p, uint32_t selector, struct err *err)
{
    const struct selector *s = &p->request->selectors[selector];
    switch (s->kind) {
    case SELECT_TAG:
        return select_tag(p, s, err);
    case SELECT_IMAGE:
        return select_image(p, s, err);
    case SELECT_BLOB:
        return select_blob(p, s, err);
    case SELECT_REPOSITORY:
        return select_all(p, err);
    case SELECT_RULE:
        return run_rule(p, selector, err);
    case SELECT_TRASH: {
        enum st st = select_manifests(p, SELECTION_TRASH, 0, NODE_EXPLICIT, err);
        return st == ST_OK ? select_links(p, true, err) : st;
    }
    }
    return err_set(err, ST_BUG, "unknown kind of selector");
}

enum st plan_select(struct planning *p, struct err *err)
{
    const struct plan_target *targets = p->targets.items;
    enum st st = ST_OK;
    for (uint32_t i = p->g.repo->first_target; i != PLAN_NOWHERE && st == ST_OK;
         i = targets[i].next)
        st = run(p, targets[i].selector, err);
    return st;
}
