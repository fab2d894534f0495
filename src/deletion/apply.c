/* SPDX-License-Identifier: Apache-2.0
 *
 * A step is a chunk of the plan, in a transaction:
 *
 *     receipt open, position n ──chunk n looked at again, removed, recorded──▶ position n + 1
 *                                                                      └ the last one ──▶ sealed
 *
 *  1. The receipt is opened, and the plan told which it is, with the first step: a plan has one
 *     receipt whoever asks, and a crash before that leaves a plan that was not applied.
 *  2. What loses its tags or what is above it is looked at after all other items of the step, so
 *     that what goes itself goes once. Then come the items that went with others.
 *  3. A crash leaves whole steps. The chunks of a plan that has an open receipt stay (plans.h).
 */
#include "deletion/apply.h"

#include "base/log.h"
#include "deletion/carry.h"
#include "deletion/job.h"
#include "deletion/plan_item.h"
#include "meta/plans.h"
#include "meta/selection.h"
#include "meta/trash.h"

/* Steps that apply_plan() does itself. */
#define STEPS_AT_ONCE 2

struct applying {
    struct removing m;
    struct carry *c;
    const struct plan *plan;
    str repo;                   /* that of the item before */
    int64_t repo_id;            /* 0: it is gone */
    bool is_graph;              /* a manifest of it names another */
    bool whole_known;           /* whether it may go whole was asked */
    enum st may_whole;          /* what was answered */
    struct err whole;           /* why it may not */
    struct id_list touched;     /* manifests to review */
    struct links_batch batch;   /* that m.keeping names */
    struct tag_target untagged; /* the tag that went last; manifest.id 0: none */
};

/* ---- recording ------------------------------------------------------------------------------- */

static enum st record(struct applying *s, const struct plan_item *item, uint64_t size, str why,
                      struct err *err)
{
    static const int kinds[] = {
        [PLAN_TAG] = ITEM_TAG, [PLAN_MANIFEST] = ITEM_MANIFEST, [PLAN_BLOB] = ITEM_BLOB
    };
    struct receipt_item out = { .with = item->role == PLAN_WITH,
                                .repo = item->repo,
                                .tag = item->kind == PLAN_TAG ? item->tag : STR_NONE,
                                .digest = item->digest,
                                .size = size,
                                .why = why };
    out.kind = kinds[item->kind];
    return removing_record(&s->m, &out, err);
}

static enum st skip(struct applying *s, const struct plan_item *item, str why, struct err *err)
{
    return record(s, item, item->size, why, err);
}

#define GONE STR("it is gone already")

/* *passed: no rule and no hold is in the way. Otherwise it is written down. */
static enum st check_protection(struct applying *s, const struct plan_item *item,
                                enum protection_act act, bool *passed, struct err *err)
{
    struct err denied = { 0 };
    enum st st = removing_check(&s->m, act, item->repo, item->tag, &item->digest, &denied);
    *passed = st == ST_OK;
    if (st == ST_DENIED)
        return skip(s, item, str_of(denied.text), err);
    return st == ST_OK ? ST_OK : err_set(err, st, "%s", denied.text);
}

/* As above, for what goes with its whole repository. */
static enum st check_whole(struct applying *s, const struct plan_item *item, bool *passed,
                           struct err *err)
{
    *passed = true;
    if (!item->is_whole)
        return ST_OK;
    if (!s->whole_known) {
        s->may_whole =
            removing_check(&s->m, PROTECT_DELETE_REPOSITORY, item->repo, STR_NONE, NULL, &s->whole);
        s->whole_known = true;
    }
    if (s->may_whole == ST_OK)
        return ST_OK;
    *passed = false;
    if (s->may_whole == ST_DENIED)
        return skip(s, item, str_of(s->whole.text), err);
    return err_set(err, s->may_whole, "%s", s->whole.text);
}

/* ---- one item -------------------------------------------------------------------------------- */

static enum st apply_tag(struct applying *s, const struct plan_item *item, struct err *err)
{
    struct tag_target tag = { 0 };
    char text[DIGEST_TEXT_MAX + 1];
    char why[96 + DIGEST_TEXT_MAX];
    bool passed = false;
    enum st st = targets_tag(s->m.tx, s->repo_id, item->tag, &tag, err);
    if (st == ST_NOT_FOUND)
        return skip(s, item, GONE, err);
    if (st != ST_OK)
        return st;
    if (!digest_eq(&tag.digest, &item->digest)) {
        str digest = digest_text(&tag.digest, text);
        (void)snprintf(why, sizeof(why), "moved since the plan was made: it names %.*s now",
                       STR_FMT(digest));
        return skip(s, item, str_of(why), err);
    }
    if (tag.tagged_at != item->changed_at)
        return skip(s, item, STR("set again since the plan was made"), err);
    st = check_protection(s, item, PROTECT_DELETE_TAG, &passed, err);
    if (st == ST_OK && passed)
        st = tags_remove(s->m.tx, s->repo_id, item->tag, err);
    if (st != ST_OK || !passed)
        return st;
    id_list_add_new(&s->touched, tag.manifest.id);
    s->untagged = tag;
    return record(s, item, item->size, STR_NONE, err);
}

/* Whether something keeps a live manifest that is to go: then it is written down. */
static enum st check_manifest(struct applying *s, const struct plan_item *item,
                              const struct manifest_target *row, struct standing *standing,
                              bool *passed, struct err *err)
{
    AUTO(arena_release) struct arena scratch = { 0 };
    struct digest parent;
    char text[DIGEST_TEXT_MAX + 1];
    char why[512];
    str tag = STR_NONE;
    *passed = false;
    if (row->receipt_id != 0)
        return skip(s, item, STR("it was deleted meanwhile"), err);
    if (row->pushed_at != item->changed_at)
        return skip(s, item, STR("pushed again since the plan was made"), err);
    if (item->was_loose && row->due_at == 0)
        return skip(s, item, STR("something keeps it since the plan was made"), err);
    enum st st = ST_OK;
    *standing = (struct standing){ .repo_id = s->repo_id,
                                   .due_at = row->due_at,
                                   .size = row->size,
                                   .digest = item->digest,
                                   .tagged = true };
    if (s->is_graph)
        st = manifests_standing(s->m.tx, row->id, standing, err);
    if (st != ST_OK)
        return st;
    st = standing->tagged ? tags_first_of(s->m.tx, row->id, &scratch, &tag, err) : ST_NOT_FOUND;
    if (st == ST_OK) {
        (void)snprintf(why, sizeof(why), "the tag %.*s names it", STR_FMT(tag));
        return skip(s, item, str_of(why), err);
    }
    if (st == ST_NOT_FOUND && standing->named)
        st = manifests_live_parent(s->m.tx, s->repo_id, &item->digest, &parent, err);
    if (st == ST_OK) {
        str digest = digest_text(&parent, text);
        (void)snprintf(why, sizeof(why), "part of the index %.*s, which stays", STR_FMT(digest));
        return skip(s, item, str_of(why), err);
    }
    return st == ST_NOT_FOUND ? check_protection(s, item, PROTECT_DELETE_MANIFEST, passed, err)
                              : st;
}

/* One that was kept when the plan was made and is loose by now was let go by an earlier step, or by
 * somebody else: it was counted as freed then. */
static bool is_counted(const struct plan_item *item, const struct manifest_target *row)
{
    return row->due_at != 0 && !item->was_loose;
}

static enum st touch_below(struct applying *s, int64_t id, struct err *err)
{
    AUTO(arena_release) struct arena scratch = { .limit_bytes = 32 * MIB };
    int64_t *below = NULL;
    size_t count = 0;
    enum st st = manifests_below(s->m.tx, id, &scratch, &below, &count, err);
    for (size_t i = 0; i < count && st == ST_OK; i++)
        id_list_add_new(&s->touched, below[i]);
    return st;
}

static enum st trash_manifest(struct applying *s, const struct plan_item *item,
                              const struct manifest_target *row, const struct standing *standing,
                              struct err *err)
{
    struct receipt *receipt = s->m.receipt;
    uint64_t *freed = is_counted(item, row) ? NULL : &receipt->bytes_freed;
    enum st st = manifests_trash(s->m.tx, row->id, standing, receipt->id, receipt->due_at,
                                 &s->m.keeping, s->m.now, freed, err);
    id_list_drop_last(&s->touched, row->id); /* its tags went right before it */
    if (st == ST_OK && s->is_graph)
        st = touch_below(s, row->id, err);
    return st == ST_OK ? record(s, item, row->size, STR_NONE, err) : st;
}

/* Deleted again since, it is another deletion's: *newer. */
static enum st find_newer_trash(struct applying *s, int64_t receipt_id, bool *newer,
                                struct err *err)
{
    AUTO(arena_release) struct arena scratch = { 0 };
    struct receipt by = { 0 };
    enum st st = receipts_find(s->m.tx, receipt_id, &scratch, &by, err);
    if (st == ST_OK)
        *newer = by.created_at > s->plan->created_at;
    return st == ST_NOT_FOUND ? ST_OK : st; /* forgotten, so it is old */
}

static enum st empty_manifest(struct applying *s, const struct plan_item *item,
                              const struct manifest_target *row, struct err *err)
{
    bool passed = false;
    bool newer = false;
    if (row->receipt_id == 0)
        return skip(s, item, STR("restored since the plan was made"), err);
    enum st st = links_batch_write(s->m.tx, &s->batch, err);
    if (st == ST_OK)
        st = find_newer_trash(s, row->receipt_id, &newer, err);
    if (st == ST_OK && newer)
        return skip(s, item, STR("restored and deleted again since the plan was made"), err);
    if (st == ST_OK)
        st = check_protection(s, item, PROTECT_DELETE_MANIFEST, &passed, err);
    if (st == ST_OK && passed)
        st = trash_empty_manifest(s->m.tx, s->repo_id, row, s->m.now, &s->m.receipt->bytes_freed,
                                  err);
    return st == ST_OK && passed ? record(s, item, row->size, STR_NONE, err) : st;
}

/* Its last tag, the item before, has found it already. */
static enum st find_manifest(struct applying *s, const struct plan_item *item,
                             struct manifest_target *row, struct err *err)
{
    if (s->untagged.manifest.id == 0 || !digest_eq(&s->untagged.digest, &item->digest))
        return targets_manifest(s->m.tx, s->repo_id, &item->digest, row, err);
    *row = s->untagged.manifest;
    s->untagged.manifest.id = 0;
    return ST_OK;
}

static enum st apply_manifest(struct applying *s, const struct plan_item *item, struct err *err)
{
    struct manifest_target row = { 0 };
    struct standing standing = { 0 };
    bool passed = false;
    enum st st = find_manifest(s, item, &row, err);
    if (st == ST_NOT_FOUND)
        return skip(s, item, GONE, err);
    if (st != ST_OK || item->in_trash)
        return st == ST_OK ? empty_manifest(s, item, &row, err) : st;
    st = check_manifest(s, item, &row, &standing, &passed, err);
    return st == ST_OK && passed ? trash_manifest(s, item, &row, &standing, err) : st;
}

/* What was kept by others only: it is loose by now, or something else keeps it. */
static enum st apply_with(struct applying *s, const struct plan_item *item, struct err *err)
{
    struct manifest_target row = { 0 };
    enum st st = targets_manifest(s->m.tx, s->repo_id, &item->digest, &row, err);
    if (st == ST_NOT_FOUND)
        return skip(s, item, GONE, err);
    if (st != ST_OK)
        return st;
    if (row.receipt_id != 0)
        return skip(s, item, STR("it was deleted meanwhile"), err);
    if (row.due_at == 0)
        return skip(s, item, STR("something else keeps it"), err);
    return record(s, item, row.size, STR_NONE, err);
}

static enum st apply_blob(struct applying *s, const struct plan_item *item, struct err *err)
{
    struct receipt *receipt = s->m.receipt;
    struct link_target row = { 0 };
    bool passed = false;
    bool newer = false;
    enum st st = links_batch_write(s->m.tx, &s->batch, err);
    if (st == ST_OK)
        st = targets_link(s->m.tx, s->repo_id, &item->digest, &row, err);
    if (st == ST_NOT_FOUND)
        return skip(s, item, GONE, err);
    if (st != ST_OK)
        return st;
    if (item->in_trash && row.receipt_id == 0)
        return skip(s, item, STR("restored since the plan was made"), err);
    if (item->in_trash)
        st = find_newer_trash(s, row.receipt_id, &newer, err);
    if (st == ST_OK && newer)
        return skip(s, item, STR("restored and deleted again since the plan was made"), err);
    if (!item->in_trash && row.receipt_id != 0)
        return skip(s, item, STR("it was deleted meanwhile"), err);
    if (!item->in_trash && row.live_use)
        return skip(s, item, STR("a manifest uses it"), err);
    if (st == ST_OK)
        st = check_protection(s, item, PROTECT_DELETE_BLOB, &passed, err);
    if (st != ST_OK || !passed)
        return st;
    const struct link_ref link = { s->repo_id, row.blob_id };
    if (item->in_trash)
        st = trash_empty_link(s->m.tx, &link, s->m.now, &receipt->bytes_freed, err);
    else
        st = links_trash(s->m.tx, &link, receipt->id, receipt->due_at, &s->m.keeping, s->m.now,
                         &receipt->bytes_freed, err);
    return st == ST_OK ? record(s, item, row.size, STR_NONE, err) : st;
}

static enum st find_repository(struct applying *s, str repo, struct err *err)
{
    if (s->repo.ptr != NULL && str_eq(s->repo, repo))
        return ST_OK;
    s->repo = repo;
    s->whole_known = false;
    s->untagged.manifest.id = 0;
    enum st st = repositories_find(s->m.tx, repo, &s->repo_id, err);
    if (st == ST_OK)
        return selection_is_graph(s->m.tx, s->repo_id, &s->is_graph, err);
    s->repo_id = 0;
    return st == ST_NOT_FOUND ? ST_OK : st;
}

static enum st apply_item(struct applying *s, const struct plan_item *item, struct err *err)
{
    bool passed = false;
    enum st st = find_repository(s, item->repo, err);
    if (st != ST_OK)
        return st;
    if (item->is_protected)
        return skip(s, item, item->why.ptr == NULL ? STR("it is protected") : item->why, err);
    if (s->repo_id == 0)
        return skip(s, item, GONE, err);
    st = check_whole(s, item, &passed, err);
    if (st != ST_OK || !passed)
        return st;
    switch (item->kind) {
    case PLAN_TAG:
        return apply_tag(s, item, err);
    case PLAN_MANIFEST:
        return item->role == PLAN_WITH ? apply_with(s, item, err) : apply_manifest(s, item, err);
    case PLAN_BLOB:
        return apply_blob(s, item, err);
    }
    return err_set(err, ST_BUG, "unknown kind of item");
}

/* What cannot be read stays and does not stop the others; reading comes before any write. */
static enum st apply_readable(struct applying *s, const struct plan_item *item, struct err *err)
{
    struct err why = { 0 };
    enum st st = apply_item(s, item, &why);
    if (st == ST_CORRUPT)
        return skip(s, item, str_of(why.text), err);
    return st == ST_OK ? ST_OK : err_set(err, st, "%s", why.text);
}

/* ---- a step ---------------------------------------------------------------------------------- */

static bool goes_with(const struct plan_item *item)
{
    return item->kind == PLAN_MANIFEST && item->role == PLAN_WITH;
}

static enum st apply_items(struct applying *s, const struct plan_item *items, size_t count,
                           struct err *err)
{
    enum st st = removing_begin(&s->m, err);
    for (size_t i = 0; i < count && st == ST_OK; i++)
        if (!goes_with(&items[i]))
            st = apply_readable(s, &items[i], err);
    if (st == ST_OK)
        st = removing_review(&s->m, &s->touched, &s->m.receipt->bytes_freed, err);
    for (size_t i = 0; i < count && st == ST_OK; i++)
        if (goes_with(&items[i]))
            st = apply_readable(s, &items[i], err);
    return st == ST_OK ? links_batch_write(s->m.tx, &s->batch, err) : st;
}

/* What a chunk that cannot be read names is kept; the others go. */
static enum st apply_chunk(struct carry *c, const struct plan *plan, struct err *err)
{
    struct receipt *receipt = c->receipt;
    struct applying s = { .c = c, .plan = plan, .touched = ID_LIST };
    struct plan_item *items = NULL;
    size_t count = 0;
    struct err why = { 0 };
    s.m = (struct removing){ .tx = c->tx,
                             .d = c->d,
                             .receipt = receipt,
                             .keeping = deletion_keeping(c->d, receipt->immediate),
                             .now = c->now };
    s.m.keeping.batch = &s.batch;
    /* A step may come long after the first one: what it takes has its whole grace, too. */
    receipt->due_at = MAX(receipt->due_at, c->now + s.m.keeping.grace_ms);
    enum st st =
        plan_load_chunk(c->tx, receipt->plan_id, receipt->position, c->a, &items, &count, &why);
    if (st == ST_CORRUPT) {
        log_event(LOG_ERROR, "a part of a plan is damaged; what it names stays",
                  LOG_INT("receipt", receipt->id), LOG_STR("error", str_of(why.text)));
        count = 0;
        st = ST_OK;
    }
    st = st == ST_OK ? apply_items(&s, items, count, err) : err_set(err, st, "%s", why.text);
    if (st == ST_OK)
        receipt->position++;
    removing_end(&s.m);
    links_batch_release(&s.batch);
    id_list_release(&s.touched);
    return st;
}

enum st carry_plan(struct carry *c, struct err *err)
{
    struct plan plan = { 0 };
    uint64_t chunks = 0;
    enum st st = plan_load(c->tx, c->receipt->plan_id, c->now, c->a, &plan, &chunks, err);
    if (st == ST_OK && c->receipt->position < chunks)
        st = apply_chunk(c, &plan, err);
    return st;
}

enum st carry_end(struct carry *c, struct err *err)
{
    if (c->receipt->position >= c->receipt->total)
        return receipts_seal(c->tx, c->receipt, c->d->key, c->now, err);
    return receipts_note(c->tx, c->receipt, err);
}

/* ---- beginning ------------------------------------------------------------------------------- */

struct beginning {
    struct deletion *d;
    const struct apply_request *request;
    int64_t now;
    int64_t receipt_id;
    bool sealed;
};

static enum st check_numbers(const struct apply_request *r, const struct plan *plan,
                             struct err *err)
{
    uint64_t tags = plan->confirm_tags == 0 ? plan->tags : plan->confirm_tags;
    if (plan->confirm_tags != 0 && !r->has_tags)
        return err_set(err, ST_DENIED, "%.*s: to do it, repeat the number of tags, %llu",
                       STR_FMT(plan->confirm_why), (unsigned long long)tags);
    if (r->has_tags && r->confirm_tags != tags)
        return err_set(err, ST_DENIED, "the plan takes %llu tags, not %llu: repeat the number",
                       (unsigned long long)tags, (unsigned long long)r->confirm_tags);
    if (plan->now && !r->has_bytes)
        return err_set(err, ST_DENIED,
                       "without a grace %llu bytes are gone for good: repeat the number",
                       (unsigned long long)plan->bytes_freed);
    if (r->has_bytes && r->confirm_bytes != plan->bytes_freed)
        return err_set(err, ST_DENIED, "the plan frees %llu bytes, not %llu: repeat the number",
                       (unsigned long long)plan->bytes_freed, (unsigned long long)r->confirm_bytes);
    return ST_OK;
}

static str unless_empty(str s)
{
    return s.len == 0 ? STR_NONE : s;
}

static enum st open_receipt(struct db_tx *tx, struct beginning *b, const struct plan *plan,
                            uint64_t chunks, struct receipt *out, struct err *err)
{
    const struct deletion_by *by = &b->request->by;
    struct keeping k = deletion_keeping(b->d, plan->now);
    *out = (struct receipt){
        .created_at = b->now,
        .due_at = b->now + k.grace_ms,
        .door = by->door,
        .actor = by->actor,
        .peer = by->peer,
        .reason = by->reason.ptr == NULL ? plan->reason : by->reason,
        .request = unless_empty(plan->request),
        .plan_id = b->request->plan_id,
        .immediate = plan->now,
        .total = chunks,
        .bytes_kept = plan->bytes_kept,
    };
    enum st st = receipts_open(tx, out, err);
    return st == ST_OK ? plans_set_receipt(tx, b->request->plan_id, out->id, err) : st;
}

static enum st begin(struct db_tx *tx, void *ctx, struct err *err)
{
    AUTO(arena_release) struct arena scratch = { .limit_bytes = 160 * MIB };
    struct beginning *b = ctx;
    struct plan plan = { 0 };
    struct receipt receipt = { 0 };
    uint64_t chunks = 0;
    b->sealed = false;
    enum st st = plan_load(tx, b->request->plan_id, b->now, &scratch, &plan, &chunks, err);
    if (st == ST_OK && plan.receipt_id != 0) {
        b->receipt_id = plan.receipt_id;
        b->sealed = true; /* or somebody is at it */
        return ST_OK;
    }
    if (st == ST_OK)
        st = check_numbers(b->request, &plan, err);
    if (st == ST_OK)
        st = open_receipt(tx, b, &plan, chunks, &receipt, err);
    struct carry c = { .tx = tx, .d = b->d, .receipt = &receipt, .now = b->now, .a = &scratch };
    if (st == ST_OK && chunks > 0)
        st = apply_chunk(&c, &plan, err);
    if (st == ST_OK)
        st = carry_end(&c, err);
    b->receipt_id = receipt.id;
    b->sealed = receipt.sealed;
    return st;
}

enum st apply_plan(struct deletion *d, const struct apply_request *request, int64_t now,
                   int64_t *receipt_id, struct err *err)
{
    struct beginning b = { .d = d, .request = request, .now = now };
    deletion_note_now(d, now);
    enum st st = registry_write(d->r, begin, &b, err);
    if (st != ST_OK)
        return st;
    *receipt_id = b.receipt_id;
    if (!b.sealed) /* it is open, durably: a failure from here on is the thread's to repeat */
        job_hand_over(d, b.receipt_id, now, STEPS_AT_ONCE - 1);
    return ST_OK;
}
