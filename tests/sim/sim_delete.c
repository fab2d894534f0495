/* SPDX-License-Identifier: Apache-2.0
 *
 * Plans, receipts and undo: the engine's words are compared with the model's.
 */
#include "base/rng.h"
#include "deletion/apply.h"
#include "deletion/plan.h"
#include "deletion/undo.h"
#include "sim.h"

static const struct deletion_by tester = { .door = { "test", 4 },
                                           .actor = { "tester", 6 },
                                           .peer = { "127.0.0.1", 9 },
                                           .reason = { "because", 7 } };

/* ---- receipts -------------------------------------------------------------------------------- */

static void count_items(const struct model_receipt *r)
{
    sim_done.applied += !r->is_undo;
    sim_done.undone += r->is_undo;
    EACH(i, r->count)
    {
        uint64_t *counter = r->is_undo ? (r->items[i].skipped ? &sim_done.not_back : &sim_done.back)
                                       : (r->items[i].skipped ? &sim_done.skipped : &sim_done.went);
        ++*counter;
    }
}

static bool read_receipt(struct sim *s, int64_t id, struct model_receipt *out)
{
    return receipt_read(out, id, &s->m, &s->w) || sim_wrong(s, s->w.err.text);
}

bool sim_note_receipt(struct sim *s)
{
    struct model_receipt receipt;
    fault_disarm();
    int64_t id = world_count(&s->w, "SELECT max(id) FROM receipt");
    if (!read_receipt(s, id, &receipt))
        return false;
    model_add_receipt(&s->m, &receipt);
    return true;
}

/* ---- plans ----------------------------------------------------------------------------------- */

static void make_wish(const struct sim *s, const struct step *t, uint64_t pick, struct wish *w)
{
    static const enum selector_kind kinds[] = {
        SELECT_TAG,  SELECT_TAG,        SELECT_IMAGE,      SELECT_IMAGE, SELECT_IMAGE, SELECT_BLOB,
        SELECT_RULE, SELECT_RULE,       SELECT_RULE,       SELECT_RULE,  SELECT_RULE,  SELECT_RULE,
        SELECT_RULE, SELECT_REPOSITORY, SELECT_REPOSITORY, SELECT_TRASH,
    };
    *w = (struct wish){ .kind = kinds[pick % ARRAY_LEN(kinds)],
                        .repo = (int)(pick / 16 % REPOS),
                        .repos = (int)(pick / 64 % REPO_GLOBS),
                        .tag = (int)(pick / 256 % TAGS) };
    uint64_t more = pick >> 12;
    if (w->kind == SELECT_IMAGE && more % 2 == 0) {
        w->tag = -1;
        w->thing = (int)(more / 2 % MANIFESTS);
    }
    if (w->kind == SELECT_BLOB) {
        w->tag = -1;
        w->thing = (int)(more / 2 % BLOBS);
    }
    if (w->kind != SELECT_RULE)
        return;
    w->tags = (int)(more % TAG_REGEXES);
    w->keep_tags = more / 4 % 4 == 0 ? (int)(more / 16 % TAG_REGEXES) : 0;
    w->keep = more / 64 % 3 == 0 ? (int)(more / 256 % 3) : 0;
    w->untagged = more / 1024 % 2 == 0;
    w->older_than = more / 2048 % 4 == 0 ? s->m.grace / 3 + 1 : 0;
    w->not_pulled = more / 8192 % 16 == 0;
    (void)t;
}

static struct selector selector_of(const struct sim *s, const struct wish *w)
{
    struct selector out = { .kind = w->kind, .repo = str_of(repo_globs[w->repos].text) };
    switch (w->kind) {
    case SELECT_TAG:
    case SELECT_IMAGE:
        out.repo = str_of(repo_names[w->repo]);
        if (w->tag >= 0)
            out.tag = str_of(tag_names[w->tag]);
        else
            out.digest = s->u.manifests[w->thing].digest;
        break;
    case SELECT_BLOB:
        out.repo = str_of(repo_names[w->repo]);
        out.digest = s->u.blobs[w->thing];
        break;
    case SELECT_RULE:
        out.rule = (struct selector_rule){ .tags = str_of(tag_regexes[w->tags].text),
                                           .keep_tags = str_of(tag_regexes[w->keep_tags].text),
                                           .has_keep = w->keep > 0,
                                           .keep = (uint64_t)w->keep,
                                           .older_than_ms = w->older_than,
                                           .not_pulled_for_ms = w->not_pulled ? 1000 : 0,
                                           .untagged = w->untagged };
        break;
    case SELECT_REPOSITORY:
    case SELECT_TRASH:
        break;
    }
    return out;
}

static struct plan_thing thing_of(const struct sim *s, const struct plan_item *item)
{
    struct plan_thing thing = {
        .kind = item->kind == PLAN_TAG        ? TAG_ITEM
                : item->kind == PLAN_MANIFEST ? MANIFEST_ITEM
                                              : BLOB_ITEM,
        .with = item->role == PLAN_WITH,
        .in_trash = item->in_trash,
        .repo = item->repo.ptr[1] - '0',
        .tag = item->kind == PLAN_TAG ? item->tag.ptr[1] - '0' : -1,
        .thing = universe_find(&s->u, &item->digest, item->kind != PLAN_BLOB),
    };
    thing.changed_at = thing.kind == TAG_ITEM ? s->m.tagged_at[thing.repo][thing.tag]
                       : thing.kind == MANIFEST_ITEM
                           ? s->m.manifests[thing.repo][thing.thing].pushed_at
                           : 0;
    return thing;
}

static bool read_items(struct sim *s, struct model_plan *plan)
{
    uint64_t from = 0;
    do {
        AUTO(arena_release) struct arena a = { 0 };
        struct plan_page page = { 0 };
        if (plan_items(s->w.d, str_of(plan->id), NULL, from, 7, s->w.now, &a, &page, &s->w.err) !=
            ST_OK)
            return sim_wrong(s, s->w.err.text);
        for (size_t i = 0; i < page.count; i++) {
            if (page.items[i].is_protected)
                continue;
            if (plan->count == ITEMS_MAX)
                return sim_wrong(s, "a plan with more items than there are things");
            plan->items[plan->count++] = thing_of(s, &page.items[i]);
        }
        from = page.next;
    } while (from != 0);
    return true;
}

static bool differs(struct sim *s, const char *what, uint64_t told, uint64_t found)
{
    (void)snprintf(s->why, sizeof(s->why), "a plan tells of %llu %s, not %llu",
                   (unsigned long long)told, what, (unsigned long long)found);
    return false;
}

/* The same things, each once. */
static bool compare_items(struct sim *s, const struct model_plan *plan, const struct forecast *f)
{
    struct forecast left = *f;
    for (int i = 0; i < plan->count; i++) {
        const struct plan_thing *p = &plan->items[i];
        bool *known = NULL;
        if (p->kind == TAG_ITEM)
            known = &left.tags[p->repo][p->tag];
        if (p->kind == BLOB_ITEM)
            known =
                p->in_trash ? &left.old_blobs[p->repo][p->thing] : &left.blobs[p->repo][p->thing];
        if (p->kind == MANIFEST_ITEM) {
            enum fate fate = left.fates[p->repo][p->thing];
            left.fates[p->repo][p->thing] = STAYS;
            if (fate != (p->with ? LOOSE : TRASH))
                return sim_wrong(s, fate == STAYS ? "a manifest of a plan must not go"
                                                  : "a manifest of a plan has another role");
            continue;
        }
        if (!*known)
            return sim_wrong(s, p->kind == TAG_ITEM ? "a tag of a plan must not go"
                                                    : "a blob of a plan must not go");
        *known = false;
    }
    return true;
}

static bool compare_plan(struct sim *s, const struct plan *told, const struct model_plan *plan,
                         const struct forecast *f)
{
    if (!compare_items(s, plan, f))
        return false;
    if (told->tags != f->tag_count)
        return differs(s, "tags", told->tags, f->tag_count);
    if (told->manifests != f->manifest_count)
        return differs(s, "manifests", told->manifests, f->manifest_count);
    if (told->blobs != f->blob_count)
        return differs(s, "blobs", told->blobs, f->blob_count);
    if ((uint64_t)plan->count != told->tags + told->manifests + told->blobs)
        return differs(s, "items", told->tags + told->manifests + told->blobs,
                       (uint64_t)plan->count);
    if (told->bytes_freed != f->bytes_freed)
        return differs(s, "freed bytes", told->bytes_freed, f->bytes_freed);
    if (told->bytes_later > told->bytes_freed)
        return sim_wrong(s, "more bytes later than freed at all");
    return true;
}

bool sim_plan(struct sim *s, const struct step *t, struct model_plan *out)
{
    AUTO(arena_release) struct arena a = { 0 };
    struct wish wishes[2];
    struct selector selectors[2];
    struct forecast forecast;
    struct plan told = { 0 };
    struct model_plan plan = { 0 };
    bool now_too = t->how % 8 == 0;
    bool done = false;
    int count = t->how % 5 == 0 ? 2 : 1;
    uint64_t rng = t->pick | 1;
    for (int i = 0; i < count; i++) {
        make_wish(s, t, rng_next(&rng) >> 8, &wishes[i]);
        if (wishes[i].kind == SELECT_TRASH && t->how % 10 != 0)
            now_too = true;
        selectors[i] = selector_of(s, &wishes[i]);
    }
    const struct plan_request request = { .selectors = selectors,
                                          .count = (size_t)count,
                                          .now = now_too,
                                          .by = tester,
                                          .text = STR("{}") };
    model_plan(&s->m, wishes, count, now_too, s->w.now, &forecast);
    *out = (struct model_plan){ 0 };
    enum st st = plan_make(s->w.d, &request, s->w.now, &a, &told, &s->w.err);
    if (!sim_answered(s, st, forecast.st, &done))
        return false;
    if (!done)
        return true;
    fault_disarm();
    plan.now = now_too;
    plan.created_at = s->w.now;
    plan.expires_at = told.expires_at;
    plan.tags = told.tags;
    plan.confirm_tags = told.confirm_tags;
    plan.bytes_freed = told.bytes_freed;
    (void)snprintf(plan.id, sizeof(plan.id), "%s", told.id);
    if (!read_items(s, &plan) || !compare_plan(s, &told, &plan, &forecast))
        return false;
    *out = plan;
    sim_done.plans += plan.count > 0;
    return true;
}

/* ---- carrying out ---------------------------------------------------------------------------- */

static enum st ask(struct sim *s, const struct model_plan *p, bool tags, bool bytes, int64_t *id)
{
    const struct apply_request request = { .plan_id = str_of(p->id),
                                           .has_tags = tags,
                                           .confirm_tags =
                                               p->confirm_tags == 0 ? p->tags : p->confirm_tags,
                                           .has_bytes = bytes,
                                           .confirm_bytes = p->bytes_freed,
                                           .by = tester };
    return apply_plan(s->w.d, &request, s->w.now, id, &s->w.err);
}

static bool refused_without_numbers(struct sim *s, const struct model_plan *p)
{
    int64_t id = 0;
    bool done = false;
    if (p->confirm_tags > 0 && !sim_answered(s, ask(s, p, false, true, &id), ST_DENIED, &done))
        return false;
    return !p->now || sim_answered(s, ask(s, p, true, false, &id), ST_DENIED, &done);
}

/* Takes over what an open plan did since. */
static bool follow(struct sim *s, struct model_plan *p)
{
    struct model_receipt receipt;
    if (!p->open)
        return true;
    if (!read_receipt(s, p->receipt_id, &receipt))
        return false;
    if (!model_applied(&s->m, p, &receipt, s->w.now))
        return sim_wrong(s, s->m.why);
    model_add_receipt(&s->m, &receipt);
    p->open = receipt.open;
    if (!p->open)
        count_items(&receipt);
    return true;
}

static bool follow_all(struct sim *s)
{
    EACH(i, PLANS)
    if (!follow(s, &s->plans[i]))
        return false;
    return true;
}

bool sim_step(struct sim *s, bool *more)
{
    bool done = false;
    *more = false;
    if (!sim_answered(s, deletion_step(s->w.d, s->w.now, more, &s->w.err), ST_OK, &done))
        return false;
    fault_disarm();
    return follow_all(s) && sim_compare(s, false);
}

/* What is open is carried on until it is done, now and then after a crash. */
bool sim_finish(struct sim *s)
{
    bool more = true;
    for (int i = 0; more && i < 1000; i++) {
        if (i > 0 && rng_next(&s->rng) / 256 % 16 == 0 && !sim_restart(s))
            return false;
        enum st st = deletion_step(s->w.d, s->w.now, &more, &s->w.err);
        if (st != ST_OK && !fault_fired())
            return sim_wrong(s, s->w.err.text);
        fault_disarm();
        sim_done.receipts_in_steps += more;
        if (!follow_all(s))
            return false;
    }
    return !more || sim_wrong(s, "deletions do not come to an end");
}

bool sim_apply(struct sim *s, struct model_plan *p)
{
    int64_t id = 0;
    bool known = p->receipt_id != 0 || p->expires_at > s->w.now;
    bool done = false;
    if (known && p->receipt_id == 0 && !refused_without_numbers(s, p))
        return false;
    enum st st = ask(s, p, true, true, &id);
    if (!sim_answered(s, st, known ? ST_OK : ST_NOT_FOUND, &done))
        return false;
    fault_disarm();
    if (st != ST_OK && known) /* it may have begun: asking again is the same plan */
        st = ask(s, p, true, true, &id);
    if (!known || st != ST_OK)
        return !known || sim_answered(s, st, ST_OK, &done);
    if (p->receipt_id != 0)
        return id == p->receipt_id || sim_wrong(s, "a plan has two receipts");
    p->receipt_id = id;
    p->open = true;
    return follow(s, p) && sim_compare(s, false);
}

/* ---- undo ------------------------------------------------------------------------------------ */

static void write_reference(const struct sim *s, const struct model_item *item, char *out,
                            size_t size)
{
    char text[DIGEST_TEXT_MAX + 1];
    if (item->kind == TAG_ITEM) {
        (void)snprintf(out, size, "%s:%s", repo_names[item->repo], tag_names[item->tag]);
        return;
    }
    str digest = digest_text(item->kind == BLOB_ITEM ? &s->u.blobs[item->thing]
                                                     : &s->u.manifests[item->thing].digest,
                             text);
    (void)snprintf(out, size, "%s@%.*s", repo_names[item->repo], STR_FMT(digest));
}

/* What the model thinks to be undone is, and nothing else. */
static bool is_marked(struct sim *s, const struct model_receipt *of)
{
    struct model_receipt row;
    if (!read_receipt(s, of->id, &row))
        return false;
    EACH(i, of->count)
    if (i >= row.count || row.items[i].undone_by != of->items[i].undone_by)
        return sim_wrong(s, "an item is marked as undone that is not, or not marked");
    return true;
}

static enum st ask_undo(struct sim *s, const struct undo_wish *wish, bool newest, int64_t *id)
{
    char reference[DIGEST_TEXT_MAX + 64];
    str only[1];
    struct undo_request request = { .receipt_id = newest ? 0 : wish->of->id,
                                    .force = wish->force,
                                    .as = wish->as < 0 ? STR_NONE : str_of(tag_names[wish->as]),
                                    .by = tester };
    if (wish->only >= 0) {
        write_reference(s, &wish->of->items[wish->only], reference, sizeof(reference));
        only[0] = str_of(reference);
        request.only = only;
        request.only_count = 1;
    }
    return newest ? undo_newest(s->w.d, &request, s->w.now, id, &s->w.err)
                  : undo_receipt(s->w.d, &request, s->w.now, id, &s->w.err);
}

bool sim_undo(struct sim *s, const struct undo_wish *wish)
{
    struct model_receipt receipt;
    int64_t id = 0;
    bool done = false;
    if (!wish->of->open && !sim_finish(s))
        return false;
    enum st want = model_undo(&s->m, wish, s->w.now);
    enum st st = ask_undo(s, wish, false, &id);
    if (!sim_answered(s, st, want, &done))
        return false;
    fault_disarm();
    if (st != ST_OK && want == ST_OK)
        st = ask_undo(s, wish, false, &id);
    if (want != ST_OK)
        return true;
    if (!sim_answered(s, st, ST_OK, &done) || !sim_finish(s) || !read_receipt(s, id, &receipt))
        return false;
    if (!receipt.is_undo)
        return sim_wrong(s, "the receipt of an undo is none");
    if (!model_undone(&s->m, wish, &receipt, s->w.now))
        return sim_wrong(s, s->m.why);
    if (!is_marked(s, wish->of))
        return false;
    model_add_receipt(&s->m, &receipt);
    count_items(&receipt);
    return sim_compare(s, false);
}

static struct model_receipt *pick_receipt(struct sim *s, uint64_t pick)
{
    struct model_receipt *newest = NULL;
    EACH(i, RECEIPTS)
    {
        struct model_receipt *r = &s->m.receipts[i];
        if (r->id != 0 && (newest == NULL || r->id > newest->id))
            newest = r;
    }
    if (newest == NULL || pick % 3 != 0)
        return newest;
    struct model_receipt *other = &s->m.receipts[pick / 3 % RECEIPTS];
    return other->id != 0 ? other : newest;
}

static bool undo(struct sim *s, const struct step *t)
{
    struct undo_wish wish = { .of = pick_receipt(s, t->pick), .only = -1, .as = -1 };
    if (wish.of == NULL)
        return true;
    if (t->how % 2 == 0 && wish.of->count > 0)
        wish.only = (int)(t->pick / 64 % (uint64_t)wish.of->count);
    wish.force = t->how % 4 == 0;
    if (t->how % 7 == 0)
        wish.as = t->tag;
    return sim_undo(s, &wish);
}

/* The newest deletion of a thing: it must be one that the model knows to have taken it. */
static bool restore(struct sim *s, const struct step *t)
{
    struct undo_wish wish = { .of = pick_receipt(s, t->pick), .only = -1, .as = -1 };
    int64_t id = 0;
    if (wish.of == NULL || wish.of->is_undo || wish.of->open || wish.of->count == 0)
        return true;
    wish.only = (int)(t->pick / 64 % (uint64_t)wish.of->count);
    const struct model_item item = wish.of->items[wish.only];
    EACH(i, RECEIPTS) /* a newer one is meant then */
    {
        struct model_receipt *r = &s->m.receipts[i];
        for (int k = 0; k < r->count && r->id > wish.of->id; k++)
            if (r->items[k].kind == item.kind && r->items[k].repo == item.repo &&
                r->items[k].tag == item.tag &&
                (item.kind == TAG_ITEM || r->items[k].thing == item.thing))
                return true;
    }
    if (item.skipped || item.undone_by != 0 || item.with || wish.of->due_at <= s->w.now)
        return true;
    if (!sim_finish(s))
        return false;
    enum st st = ask_undo(s, &wish, true, &id);
    if (st != ST_OK && fault_fired()) {
        fault_disarm();
        st = ask_undo(s, &wish, true, &id);
    }
    fault_disarm();
    if (st == ST_NOT_FOUND) { /* not in the trash any more: it is there again, or forgotten */
        const struct thing *thing = item.kind == BLOB_ITEM ? &s->m.blobs[item.repo][item.thing]
                                                           : &s->m.manifests[item.repo][item.thing];
        bool there = item.kind == TAG_ITEM ? s->m.tags[item.repo][item.tag] >= 0 : thing->visible;
        /* The first steps of a long deletion have their time earlier than its receipt. */
        bool over = item.kind != TAG_ITEM && thing->trash_until <= s->w.now;
        return there || over || !thing->row || sim_wrong(s, "what lies in the trash was not found");
    }
    struct model_receipt receipt;
    bool done = false;
    if (!sim_answered(s, st, ST_OK, &done) || !sim_finish(s) || !read_receipt(s, id, &receipt))
        return false;
    if (!model_undone(&s->m, &wish, &receipt, s->w.now))
        return sim_wrong(s, s->m.why);
    if (!is_marked(s, wish.of))
        return false;
    model_add_receipt(&s->m, &receipt);
    count_items(&receipt);
    return sim_compare(s, false);
}

static bool drop_plan(struct sim *s, struct model_plan *p)
{
    bool done = false;
    enum st st = plan_drop(s->w.d, str_of(p->id), &s->w.err);
    if (!sim_answered(s, st, p->open ? ST_BUSY : ST_OK, &done))
        return false;
    if (done)
        p->id[0] = '\0';
    return true;
}

bool sim_delete(struct sim *s, const struct step *t)
{
    struct model_plan *p = &s->plans[t->slot % PLANS];
    switch (t->op) {
    case OP_PLAN:
        return p->open || sim_plan(s, t, p);
    case OP_STEP: {
        bool more = false;
        return sim_step(s, &more);
    }
    case OP_APPLY:
        return p->id[0] == '\0' || sim_apply(s, p);
    case OP_DROP_PLAN:
        return p->id[0] == '\0' || drop_plan(s, p);
    case OP_UNDO:
        return undo(s, t);
    default:
        return restore(s, t);
    }
}
