/* SPDX-License-Identifier: Apache-2.0
 *
 * plan_test - what the tests of plans share: making them in one line, carrying them out with the
 * functions of meta/ (so that the numbers of a plan are compared with what rows and store lose, not
 * with the engine's own), and what the store holds.
 */
#ifndef EBB_PLAN_TEST_H
#define EBB_PLAN_TEST_H

#include "deletion/deletion_int.h"
#include "deletion/plan_item.h"
#include "meta/protection.h"
#include "meta/tags.h"
#include "world_test.h"

struct planner {
    struct deletion *d;
    struct arena a;
    struct plan plan;
};

static struct planner planner;

static inline int planner_setup(void **state)
{
    if (world_setup(state) != 0)
        return -1;
    struct world *w = *state;
    const struct deletion_options options = { .max_percent = 50,
                                              .plan_items_max = 100000,
                                              .plan_keep_ms = CLOCK_HOUR_MS,
                                              .receipts_keep_ms = 365 * CLOCK_DAY_MS,
                                              .no_thread = true };
    planner = (struct planner){ .a = { .limit_bytes = 64 * MIB } };
    if (deletion_open(&w->r, &options, &planner.d, &w->err) != ST_OK) {
        print_error("%s\n", w->err.text);
        return -1;
    }
    return 0;
}

static inline int planner_teardown(void **state)
{
    deletion_close(planner.d);
    arena_release(&planner.a);
    return world_teardown(state);
}

#define PLAN_TEST(fn) cmocka_unit_test_setup_teardown(fn, planner_setup, planner_teardown)

static inline enum st make_plan_of(struct world *w, const struct selector *selectors, size_t count,
                                   bool now)
{
    const struct plan_request request = {
        .selectors = selectors, .count = count, .now = now, .text = STR("{}")
    };
    planner.plan = (struct plan){ 0 };
    return plan_make(planner.d, &request, w->now, &planner.a, &planner.plan, &w->err);
}

static inline enum st make_plan(struct world *w, struct selector s)
{
    return make_plan_of(w, &s, 1, false);
}

static inline enum st make_plan_now(struct world *w, struct selector s)
{
    return make_plan_of(w, &s, 1, true);
}

/* All items in `planner.a`. */
static inline struct plan_item *list_items(struct world *w, int state, size_t *count)
{
    const struct plan_filter filter = { .kind = -1, .state = state };
    struct plan_page page = { 0 };
    OK(plan_items(planner.d, str_of(planner.plan.id), &filter, 0, 100000, w->now, &planner.a, &page,
                  &w->err));
    *count = page.count;
    return page.items;
}

static inline enum st run_sql(struct db_tx *tx, void *ctx, struct err *err)
{
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    enum st st = db_select(tx, &rows, ctx, DB_NO_ARGS, err);
    while (st == ST_OK)
        st = db_next(&rows, err);
    return st == ST_END ? ST_OK : st;
}

/* A statement that writes; the text must stay where it is, unchanged. */
static inline enum st world_run(struct world *w, char *sql)
{
    return db_write(w->r.db, run_sql, sql, &w->err);
}

/* ---- carrying out -----------------------------------------------------------------------------
 */

struct by_hand {
    struct world *w;
    struct keeping keeping;
    uint64_t freed;
};

static inline enum st below_reviewed(struct db_tx *tx, struct by_hand *b, int64_t id,
                                     struct err *err)
{
    AUTO(arena_release) struct arena scratch = { .limit_bytes = 16 * MIB };
    int64_t *below = NULL;
    size_t count = 0;
    enum st st = manifests_below(tx, id, &scratch, &below, &count, err);
    for (size_t i = 0; i < count && st == ST_OK; i++)
        st = manifests_review(tx, below[i], &b->keeping, b->w->now, &b->freed, err);
    return st;
}

static inline enum st manifest_by_hand(struct db_tx *tx, struct by_hand *b, int64_t repo_id,
                                       const struct plan_item *item, struct err *err)
{
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    char key[DIGEST_KEY_MAX];
    struct standing s = { 0 };
    enum st st = db_one(tx, &rows, "SELECT id FROM manifest WHERE repo_id = $1 AND digest = $2",
                        DB_ARGS(DB_INT(repo_id), DB_BYTES(digest_key(&item->digest, key))), err);
    if (st != ST_OK)
        return st;
    int64_t id = db_int(&rows, 0);
    db_rows_close(&rows);
    if (item->in_trash)
        return db_run(tx,
                      "UPDATE manifest SET due_at = $1 WHERE id = $2 AND receipt_id IS NOT NULL",
                      DB_ARGS(DB_INT(b->w->now), DB_INT(id)), NULL, err);
    st = manifests_standing(tx, id, &s, err);
    bool counted = s.due_at != 0 && !item->was_loose;
    if (st == ST_OK)
        st = manifests_trash(tx, id, &s, 1, b->w->now + b->keeping.grace_ms, &b->keeping, b->w->now,
                             counted ? NULL : &b->freed, err);
    return st == ST_OK ? below_reviewed(tx, b, id, err) : st;
}

static inline enum st blob_by_hand(struct db_tx *tx, struct by_hand *b, int64_t repo_id,
                                   const struct plan_item *item, struct err *err)
{
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    char key[DIGEST_KEY_MAX];
    enum st st = db_one(tx, &rows, "SELECT id FROM blob WHERE digest = $1",
                        DB_ARGS(DB_BYTES(digest_key(&item->digest, key))), err);
    if (st != ST_OK)
        return st;
    const struct link_ref link = { repo_id, db_int(&rows, 0) };
    db_rows_close(&rows);
    return links_trash(tx, &link, 1, b->w->now + b->keeping.grace_ms, &b->keeping, b->w->now,
                       &b->freed, err);
}

/* A tag's manifest is reviewed only where it does not go to the trash right afterwards. */
static inline enum st items_by_hand(struct db_tx *tx, void *ctx, struct err *err)
{
    struct by_hand *b = ctx;
    struct plan plan = { 0 };
    uint64_t chunks = 0;
    b->freed = 0;
    str id = str_of(planner.plan.id);
    enum st st = plan_load(tx, id, b->w->now, &planner.a, &plan, &chunks, err);
    for (uint64_t c = 0; c < chunks && st == ST_OK; c++) {
        struct plan_item *items = NULL;
        size_t count = 0;
        st = plan_load_chunk(tx, id, c, &planner.a, &items, &count, err);
        for (size_t i = 0; i < count && st == ST_OK; i++) {
            int64_t repo_id = 0;
            int64_t manifest_id = 0;
            struct digest digest;
            if (items[i].is_protected)
                continue;
            st = repositories_find(tx, items[i].repo, &repo_id, err);
            if (st == ST_OK && items[i].kind == PLAN_MANIFEST && items[i].role == PLAN_SELECTED)
                st = manifest_by_hand(tx, b, repo_id, &items[i], err);
            if (st == ST_OK && items[i].kind == PLAN_BLOB)
                st = blob_by_hand(tx, b, repo_id, &items[i], err);
            if (st != ST_OK || items[i].kind != PLAN_TAG)
                continue;
            st = tags_find(tx, repo_id, items[i].tag, &manifest_id, &digest, err);
            if (st == ST_OK)
                st = tags_remove(tx, repo_id, items[i].tag, err);
            size_t next = i + 1;
            while (next < count && items[next].kind == PLAN_TAG &&
                   digest_eq(&items[next].digest, &items[i].digest))
                next++;
            bool trashed = next < count && items[next].kind == PLAN_MANIFEST &&
                           items[next].role == PLAN_SELECTED && !items[next].is_protected &&
                           digest_eq(&items[next].digest, &items[i].digest);
            if (st == ST_OK && !trashed)
                st = manifests_review(tx, manifest_id, &b->keeping, b->w->now, &b->freed, err);
        }
    }
    return st;
}

/* What links_move_manifest() and its like added up. */
static inline uint64_t apply_by_hand(struct world *w)
{
    struct by_hand b = { .w = w, .keeping = w->r.keeping };
    if (planner.plan.now)
        b.keeping = (struct keeping){ .untagged = w->r.keeping.untagged, .cut = true };
    (void)world_count(w, "SELECT 1");
    OK(db_write(w->r.db, items_by_hand, &b, &w->err));
    return b.freed;
}

/* Bytes of blobs and payloads that the registry holds; names that are to be removed included. */
static inline uint64_t bytes_held(struct world *w)
{
    return (uint64_t)world_count(w, "SELECT coalesce((SELECT sum(size) FROM blob), 0)"
                                    " + coalesce((SELECT sum(size) FROM manifest), 0)");
}

/* Past every grace, with the clock; leases given meanwhile are none. */
#define FREES(want)                                                                                \
    do {                                                                                           \
        uint64_t before_ = bytes_held(w);                                                          \
        assert_int_equal(planner.plan.bytes_freed, want);                                          \
        assert_int_equal(apply_by_hand(w), want);                                                  \
        SOUND();                                                                                   \
        OK(world_settle(w));                                                                       \
        SOUND();                                                                                   \
        assert_int_equal(before_ - bytes_held(w), want);                                           \
    } while (0)

#endif
