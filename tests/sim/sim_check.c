/* SPDX-License-Identifier: Apache-2.0
 *
 * Comparing, crashes, settling, and what must be true of a whole round of deletion.
 */
#include "base/rng.h"
#include "deletion/apply.h"
#include "invariants.h"
#include "meta/receipts.h"
#include "sim.h"

/* Uploads that reclaim expired. */
static bool compare_uploads(struct sim *s)
{
    for (int i = 0; i < SLOTS; i++) {
        AUTO(arena_release) struct arena a = { 0 };
        struct slot *slot = &s->slots[i];
        struct upload_row row;
        if (!slot->open)
            continue;
        enum st st = registry_find_upload(&s->w.r, str_of(repo_names[slot->repo]),
                                          str_of(slot->name), &a, &row, &s->w.err);
        if (st == ST_OK)
            continue;
        if (st != ST_NOT_FOUND || slot->due_at > s->w.now)
            return sim_wrong(s, "an upload is gone that must not be");
        slot->open = false;
    }
    return true;
}

bool sim_compare(struct sim *s, bool reclaimed)
{
    struct seen seen;
    if (!seen_read(&seen, &s->m, &s->w))
        return sim_wrong(s, s->w.err.text);
    if (!model_compare(&s->m, &seen, reclaimed, s->w.now))
        return sim_wrong(s, s->m.why);
    return true;
}

bool sim_sound(struct sim *s)
{
    enum st st = check_invariants(s->w.r.db, s->w.mem, s->w.r.sparse_index, s->w.now, &s->w.err);
    return st == ST_OK ? true : sim_wrong(s, s->w.err.text);
}

static bool reclaim(struct sim *s)
{
    if (!sim_expire_holds(s))
        return false;
    struct reclaim_report report = { 0 };
    bool done = false;
    enum st st = reclaim_step(&s->w.r, NULL, s->w.now, &report, &s->w.err);
    if (st != ST_OK && s->failing == NULL && !sim_answered(s, st, ST_OK, &done))
        return false;
    fault_disarm();
    return compare_uploads(s) && sim_compare(s, true);
}

bool sim_restart(struct sim *s)
{
    if (!world_crash(&s->w, sim_path, &s->rng))
        return sim_wrong(s, s->w.err.text);
    if (s->failing == NULL)
        s->w.r.store = s->w.mem;
    for (int i = 0; i < SLOTS; i++) /* some clients never come back */
        s->slots[i].open = s->slots[i].open && rng_next(&s->rng) % 2 == 0;
    return true;
}

static bool crash(struct sim *s)
{
    return sim_restart(s) && compare_uploads(s) && sim_compare(s, false) && sim_sound(s);
}

bool sim_settle(struct sim *s)
{
    if (!sim_finish(s))
        return false;
    struct seen seen;
    struct blob_store *store = s->w.r.store;
    s->w.now += 2 * (s->m.grace + s->m.lease) + 1; /* no hold that ends is longer */
    if (!sim_expire_holds(s) || !sim_compare(s, false))
        return false;
    s->w.r.store = s->w.mem;
    enum st st = world_settle(&s->w);
    s->w.r.store = store;
    if (st != ST_OK)
        return sim_wrong(s, s->w.err.text);
    if (!compare_uploads(s) || !sim_compare(s, true) || !sim_sound(s))
        return false;
    if (!seen_read(&seen, &s->m, &s->w))
        return sim_wrong(s, s->w.err.text);
    if (!model_is_settled(&s->m, &seen, s->w.now))
        return sim_wrong(s, s->m.why);
    if (world_count(&s->w, "SELECT count(*) FROM upload") != 0 ||
        world_count(&s->w, "SELECT count(*) FROM doomed") != 0)
        return sim_wrong(s, "an upload or a doomed name is left");
    return true;
}

/* ---- properties of a whole round ------------------------------------------------------------- */

static enum st add_size(str name, uint64_t size, void *ctx, struct err *err)
{
    (void)name;
    (void)err;
    *(int64_t *)ctx += (int64_t)size;
    return ST_OK;
}

/* What the store and the rows hold of content. */
static int64_t count_bytes(struct sim *s)
{
    int64_t bytes = world_count(&s->w, "SELECT (SELECT total(length(data)) FROM blob)"
                                       " + (SELECT total(length(payload)) FROM manifest_payload)");
    return blob_walk(s->w.mem, add_size, &bytes, &s->w.err) == ST_OK ? bytes : -1;
}

/* The last slot is free once nothing is open. */
static bool apply_whole(struct sim *s, struct model_plan *plan)
{
    struct model_plan *p = &s->plans[PLANS - 1];
    if (!sim_finish(s))
        return false;
    *p = *plan;
    if (!sim_apply(s, p) || !sim_finish(s))
        return false;
    *plan = *p;
    return true;
}

/* In a registry at rest, a plan gives back what it told, to the byte. */
static bool freed(struct sim *s, const struct step *t)
{
    struct model_plan plan;
    if (!sim_settle(s))
        return false;
    int64_t before = count_bytes(s);
    if (!sim_plan(s, t, &plan))
        return false;
    if (plan.id[0] == '\0')
        return true;
    if (!apply_whole(s, &plan) || !sim_settle(s))
        return false;
    int64_t gone = before - count_bytes(s);
    if (gone == (int64_t)plan.bytes_freed)
        return true;
    (void)snprintf(s->why, sizeof(s->why), "%lld bytes were freed, not %llu as told",
                   (long long)gone, (unsigned long long)plan.bytes_freed);
    return false;
}

/* Everything that a client can see. */
struct answers {
    struct seen seen;
    enum st manifests[REPOS][MANIFESTS], blobs[REPOS][BLOBS];
    struct digest tags[REPOS][TAGS];
    bool refers[REPOS][MANIFESTS][MANIFESTS];
};

static bool read_answers(struct sim *s, struct answers *out)
{
    memset(out, 0, sizeof(*out));
    if (!seen_read(&out->seen, &s->m, &s->w))
        return sim_wrong(s, s->w.err.text);
    memset(out->seen.holds, 0, sizeof(out->seen.holds));
    memset(out->seen.manifest_rows, 0, sizeof(out->seen.manifest_rows));
    memset(out->seen.link_rows, 0, sizeof(out->seen.link_rows));
    EACH(r, REPOS)
    {
        EACH(i, MANIFESTS)
        {
            AUTO(arena_release) struct arena a = { 0 };
            struct referrer_page page = { 0 };
            const struct digest *d = &s->u.manifests[i].digest;
            out->manifests[r][i] = world_get_manifest(&s->w, repo_names[r], d);
            if (registry_list_referrers(&s->w.r, str_of(repo_names[r]), d, STR_NONE, NULL, 100, &a,
                                        &page, &s->w.err) != ST_OK)
                return sim_wrong(s, s->w.err.text);
            for (size_t k = 0; k < page.count; k++)
                out->refers[r][i][universe_find(&s->u, &page.items[k].digest, true)] = true;
        }
        EACH(b, BLOBS)
        out->blobs[r][b] = world_get_blob(&s->w, repo_names[r], &s->u.blobs[b]);
        EACH(t, TAGS)
        (void)world_get_tag(&s->w, repo_names[r], tag_names[t], &out->tags[r][t]);
    }
    return true;
}

/* Undone at once, a deletion leaves no trace in any answer. */
static bool as_was(struct sim *s, const struct step *t)
{
    static struct answers before, after;
    struct model_plan plan;
    struct step with_grace = *t;
    with_grace.how |= 1;
    if (s->m.grace == 0)
        return true;
    if (!sim_finish(s) || !read_answers(s, &before) || !sim_plan(s, &with_grace, &plan))
        return false;
    if (plan.id[0] == '\0' || plan.now)
        return true;
    if (!apply_whole(s, &plan))
        return false;
    EACH(i, RECEIPTS)
    if (s->m.receipts[i].id == plan.receipt_id) {
        const struct undo_wish wish = { .of = &s->m.receipts[i], .only = -1, .as = -1 };
        if (!sim_undo(s, &wish) || !read_answers(s, &after))
            return false;
    }
    return memcmp(&before, &after, sizeof(before)) == 0 ||
           sim_wrong(s, "an answer is not as it was before the deletion that was undone");
}

/* ---- receipts -------------------------------------------------------------------------------- */

struct chain {
    struct sim *s;
    struct receipts_verdict verdict;
    struct arena *a;
};

static enum st verify(struct db_tx *tx, void *ctx, struct err *err)
{
    struct chain *c = ctx;
    const struct receipts_stretch all = { .limit = 1000000 };
    return receipts_verify(tx, deletion_public_key(c->s->w.d), &all, c->a, &c->verdict, err);
}

bool sim_chain(struct sim *s)
{
    AUTO(arena_release) struct arena a = { 0 };
    struct chain c = { .s = s, .a = &a };
    if (db_read(s->w.r.db, verify, &c, &s->w.err) != ST_OK)
        return sim_wrong(s, s->w.err.text);
    if (c.verdict.wrong_count > 0) {
        (void)snprintf(s->why, sizeof(s->why), "receipt %lld: %.*s",
                       (long long)c.verdict.wrong[0].seq, STR_FMT(c.verdict.wrong[0].text));
        return false;
    }
    int64_t count = world_count(&s->w, "SELECT count(*) FROM receipt");
    return c.verdict.next == 0 && (int64_t)c.verdict.checked == count
               ? true
               : sim_wrong(s, "receipts that are in no chain");
}

bool sim_check(struct sim *s, const struct step *t)
{
    switch (t->op) {
    case OP_RECLAIM:
        return reclaim(s);
    case OP_CRASH:
        return crash(s);
    case OP_FREED:
        return freed(s, t);
    case OP_AS_WAS:
        return as_was(s, t);
    default:
        return sim_settle(s);
    }
}
