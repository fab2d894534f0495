/* SPDX-License-Identifier: Apache-2.0
 *
 * deletion_test - what the tests of applying and undoing share: plans, receipts and their items in
 * one line each.
 */
#ifndef EBB_DELETION_TEST_H
#define EBB_DELETION_TEST_H

#include <unistd.h>

#include "deletion/apply.h"
#include "deletion/plan.h"
#include "deletion/undo.h"
#include "meta/receipts.h"
#include "meta/trash.h"
#include "world_test.h"

#define TRASH "SELECT count(*) FROM manifest WHERE receipt_id IS NOT NULL"
#define LIVE  "SELECT count(*) FROM manifest WHERE receipt_id IS NULL"
#define TAGS  "SELECT count(*) FROM tag"

#define TAG_OF(r, t)   ((struct selector){ .kind = SELECT_TAG, .repo = STR(r), .tag = STR(t) })
#define IMAGE_OF(r, t) ((struct selector){ .kind = SELECT_IMAGE, .repo = STR(r), .tag = STR(t) })
#define REPO_OF(glob)  ((struct selector){ .kind = SELECT_REPOSITORY, .repo = STR(glob) })
#define TRASH_OF(glob) ((struct selector){ .kind = SELECT_TRASH, .repo = STR(glob) })

static struct arena test_arena = { .limit_bytes = 256 * MIB }; /* emptied by each set-up */

#define TEST_BY                                                                                    \
    ((struct deletion_by){ .door = STR("ebb"),                                                     \
                           .actor = STR("somebody"),                                               \
                           .peer = STR("192.0.2.1"),                                               \
                           .reason = STR("for a test") })

static inline int deletion_setup(void **state)
{
    arena_release(&test_arena);
    return world_setup(state);
}

static inline int deletion_teardown(void **state)
{
    arena_release(&test_arena);
    return world_teardown(state);
}

#define DELETION_TEST(fn) cmocka_unit_test_setup_teardown(fn, deletion_setup, deletion_teardown)

static inline struct plan plan_of(struct world *w, struct selector s, bool now)
{
    const struct plan_request request = {
        .selectors = &s, .count = 1, .now = now, .by = TEST_BY, .text = STR("{}")
    };
    struct plan plan = { 0 };
    OK(plan_make(w->d, &request, w->now, &test_arena, &plan, &w->err));
    return plan;
}

static inline enum st apply_of(struct world *w, const struct plan *plan, int64_t *receipt_id)
{
    const struct apply_request request = { .plan_id = str_of(plan->id),
                                           .has_tags = plan->confirm_tags > 0,
                                           .confirm_tags = plan->confirm_tags,
                                           .has_bytes = plan->now,
                                           .confirm_bytes = plan->bytes_freed,
                                           .by = TEST_BY };
    return apply_plan(w->d, &request, w->now, receipt_id, &w->err);
}

/* Plans and applies, to the end. */
static inline int64_t delete_all_of(struct world *w, struct selector s)
{
    struct plan plan = plan_of(w, s, false);
    int64_t id = 0;
    OK(apply_of(w, &plan, &id));
    OK(world_carry_on(w));
    return id;
}

struct finding {
    int64_t id;
    struct receipt receipt;
    struct receipt_item *items;
    size_t count;
};

static inline enum st find_it(struct db_tx *tx, void *ctx, struct err *err)
{
    struct finding *f = ctx;
    bool more = false;
    enum st st = receipts_find(tx, f->id, &test_arena, &f->receipt, err);
    if (st == ST_OK)
        st = receipts_items(tx, f->id, 0, 100000, false, &test_arena, &f->items, &f->count, &more,
                            err);
    return st;
}

static inline struct finding receipt_of(struct world *w, int64_t id)
{
    struct finding f = { .id = id };
    OK(db_read(w->r.db, find_it, &f, &w->err));
    return f;
}

/* The item about this tag, or (tag NULL) this digest; NULL when there is none. */
static inline const struct receipt_item *item_of(const struct finding *f, const char *repo,
                                                 const char *tag, const struct digest *digest)
{
    for (size_t i = 0; i < f->count; i++) {
        const struct receipt_item *item = &f->items[i];
        if (!str_eq(item->repo, str_of(repo)))
            continue;
        if (tag != NULL ? item->kind == ITEM_TAG && str_eq(item->tag, str_of(tag))
                        : item->kind != ITEM_TAG && digest_eq(&item->digest, digest))
            return item;
    }
    return NULL;
}

static inline void expect_why(const struct receipt_item *item, const char *want, const char *file,
                              int line)
{
    if (item == NULL) {
        print_error("there is no such item\n");
        _fail(file, line);
    }
    if (want == NULL ? item->why.ptr == NULL
                     : item->why.ptr != NULL && strstr(item->why.ptr, want) != NULL)
        return;
    print_error("why: %s\n", item->why.ptr == NULL ? "(unset)" : item->why.ptr);
    _fail(file, line);
}
/* The reason why it was skipped holds this text; NULL: it was not. */
#define WHY(want, item) expect_why(item, want, __FILE__, __LINE__)

static inline enum st undo_of(struct world *w, int64_t id, struct undo_request request,
                              int64_t *undo_id)
{
    request.receipt_id = id;
    request.by = TEST_BY;
    return undo_receipt(w->d, &request, w->now, undo_id, &w->err);
}

static inline int64_t undo_all(struct world *w, int64_t id)
{
    int64_t undo_id = 0;
    OK(undo_of(w, id, (struct undo_request){ 0 }, &undo_id));
    OK(world_carry_on(w));
    return undo_id;
}

static inline enum st verify_it(struct db_tx *tx, void *ctx, struct err *err)
{
    struct world *w = ctx;
    struct receipts_verdict v = { 0 };
    const struct receipts_stretch all = { .limit = 1000000 };
    enum st st = receipts_verify(tx, deletion_public_key(w->d), &all, &test_arena, &v, err);
    if (st == ST_OK && v.wrong_count > 0)
        st =
            err_set(err, ST_BUG, "number %lld: %s", (long long)v.wrong[0].seq, v.wrong[0].text.ptr);
    return st;
}
/* The whole chain is right. */
#define CHAIN() OK(db_read(w->r.db, verify_it, w, &w->err))

/* Images "<repo>-<i>" with their own config and one layer that all share; tags "t<i>". */
static inline void push_many(struct world *w, const char *repo, int count)
{
    struct digest layer = world_digest("layer of all");
    OK(world_upload(w, repo, "layer of all"));
    for (int i = 0; i < count; i++) {
        char name[64];
        char tag[32];
        char config[96];
        struct made m;
        (void)snprintf(name, sizeof(name), "%s-%d", repo, i);
        (void)snprintf(tag, sizeof(tag), "t%d", i);
        (void)snprintf(config, sizeof(config), "config of %s", name);
        made_image(&m, name);
        struct digest d = world_digest(config);
        OK(world_upload_as(w, repo, &d, config, WORLD_INLINE));
        made_add_blob(&m, &d, false);
        made_add_blob(&m, &layer, false);
        OK(world_push(w, repo, &m, tag));
    }
}

#endif
