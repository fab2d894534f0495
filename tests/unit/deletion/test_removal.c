/* SPDX-License-Identifier: Apache-2.0
 *
 * Repositories that are deleted whole: what goes, what stays and is tried again, and when it is
 * given up.
 */
#include "deletion/removal.h"
#include "deletion_test.h"
#include "meta/tags.h"

static struct repo_removal removal_of(struct world *w, const char *repo)
{
    char sql[200];
    (void)snprintf(sql, sizeof(sql), "SELECT id FROM repository WHERE name = '%s'", repo);
    return (struct repo_removal){ .repo_id = world_count(w, sql),
                                  .repo = str_of(repo),
                                  .next_at = w->now,
                                  .actor = STR("somebody"),
                                  .peer = STR("192.0.2.1"),
                                  .door = STR("gitlab") };
}

struct found {
    int64_t repo_id;
    struct repo_removal removal;
};

static enum st find(struct db_tx *tx, void *ctx, struct err *err)
{
    struct found *f = ctx;
    return removals_find(tx, f->repo_id, &test_arena, &f->removal, err);
}

static enum st reset(struct db_tx *tx, void *ctx, struct err *err)
{
    const struct repo_removal *r = ctx;
    return removals_reset(tx, r->repo_id, r->next_at, err);
}

static enum st add(struct db_tx *tx, void *ctx, struct err *err)
{
    return removals_add(tx, ctx, err);
}

static enum st take(struct db_tx *tx, void *ctx, struct err *err)
{
    struct found *f = ctx;
    return removals_take(tx, INT64_MAX, &test_arena, &f->removal, err);
}

struct protecting {
    struct rule rule;
    int64_t id;
    bool off;
};

static enum st protect(struct db_tx *tx, void *ctx, struct err *err)
{
    struct protecting *p = ctx;
    return p->off ? rules_remove(tx, p->id, err) : rules_add(tx, &p->rule, &p->id, err);
}

static void is_idle(struct world *w)
{
    bool more = true;
    OK(removal_step(w->d, w->now, &more, &w->err));
    assert_false(more);
}

/* ---- what goes --------------------------------------------------------------------------------
 */

static void a_repository_goes_whole(void **state)
{
    struct world *w = *state;
    struct made a, b, index, kept;
    push_image(w, "group/app", "a", "v1", &a);
    push_image(w, "group/app", "b", NULL, &b);
    OK(world_push(w, "group/app", &b, NULL));
    OK(world_push(w, "group/app", &b, "latest"));
    made_index(&index, "index");
    made_add_child(&index, &a.digest);
    OK(world_push(w, "group/app", &index, "multi"));
    push_image(w, "group/app2", "a", "v1", &kept);
    struct repo_removal r = removal_of(w, "group/app");
    OK(removal_begin(w->d, &r, w->now, &w->err));
    COUNT(1, TAGS);
    COUNT(3, TRASH);
    COUNT(1, LIVE);
    COUNT(0, "SELECT count(*) FROM removal");
    COUNT(1, "SELECT count(*) FROM receipt WHERE state = 'sealed' OR state = 's'");
    is_idle(w);
    SOUND();
}

static void what_is_large_takes_several_steps(void **state)
{
    struct world *w = *state;
    struct made a;
    char tag[20];
    push_image(w, "app", "a", "v0", &a);
    for (int i = 1; i < 3 * APPLY_STEP; i++) {
        (void)snprintf(tag, sizeof(tag), "v%d", i);
        OK(world_push(w, "app", &a, tag));
    }
    struct repo_removal r = removal_of(w, "app");
    OK(removal_begin(w->d, &r, w->now, &w->err));
    COUNT(0, TAGS);
    COUNT(0, LIVE);
    COUNT(0, "SELECT count(*) FROM removal");
    SOUND();
}

/* What a process left ONGOING is done by the next; a repository that went meanwhile is done; one
 * that was made anew under the name is not meant. */
static void what_was_under_way_is_carried_on(void **state)
{
    struct world *w = *state;
    struct made a;
    struct found f = { 0 };
    bool more = false;
    push_image(w, "app", "a", "v1", &a);
    struct repo_removal r = removal_of(w, "app");
    OK(db_write(w->r.db, add, &r, &w->err));
    OK(db_write(w->r.db, take, &f, &w->err));
    assert_int_equal(f.removal.state, REMOVAL_ONGOING);
    OK(removal_step(w->d, w->now, &more, &w->err));
    assert_true(more);
    COUNT(0, TAGS);
    COUNT(0, "SELECT count(*) FROM removal");
    r.repo_id = 12345;
    push_image(w, "app", "b", "v1", &a);
    OK(db_write(w->r.db, add, &r, &w->err));
    OK(removal_step(w->d, w->now, &more, &w->err));
    COUNT(0, "SELECT count(*) FROM removal");
    COUNT(1, TAGS);
    is_idle(w);
    SOUND();
}

/* ---- what stays -------------------------------------------------------------------------------
 */

static void ten_failures_are_the_end_until_it_is_reset(void **state)
{
    struct world *w = *state;
    struct made a, b;
    struct protecting p = { .rule = { .kind = RULE_PROTECTED,
                                      .repo = STR("app"),
                                      .tag = STR("keep"),
                                      .actor = STR("somebody"),
                                      .reason = STR("in use") } };
    bool more = false;
    push_image(w, "app", "a", "v1", &a);
    push_image(w, "app", "b", "keep", &b);
    OK(db_write(w->r.db, protect, &p, &w->err));
    struct repo_removal r = removal_of(w, "app");
    struct found f = { .repo_id = r.repo_id };
    OK(removal_begin(w->d, &r, w->now, &w->err));
    COUNT(1, TAGS); /* what may go is gone */
    int64_t wait = 2 * CLOCK_MINUTE_MS;
    for (unsigned i = 1; i < REMOVAL_TRIES_MAX; i++) {
        OK(db_read(w->r.db, find, &f, &w->err));
        assert_int_equal(f.removal.state, REMOVAL_SCHEDULED);
        assert_int_equal(f.removal.failures, i);
        assert_int_equal(f.removal.next_at, w->now + wait);
        assert_non_null(strstr(arena_cstr(&test_arena, f.removal.error), "in use"));
        OK(removal_step(w->d, w->now + wait - 1, &more, &w->err));
        assert_false(more);
        w->now += wait;
        wait *= 2;
        OK(removal_step(w->d, w->now, &more, &w->err));
        assert_true(more);
    }
    OK(db_read(w->r.db, find, &f, &w->err));
    assert_int_equal(f.removal.state, REMOVAL_FAILED);
    assert_int_equal(f.removal.failures, REMOVAL_TRIES_MAX);
    is_idle(w);
    w->now += 1000 * wait;
    is_idle(w);
    IS(ST_DENIED, removal_begin(w->d, &r, w->now, &w->err));
    COUNT(1, TAGS);

    /* The reason goes, and somebody says so. */
    p.off = true;
    OK(db_write(w->r.db, protect, &p, &w->err));
    is_idle(w);
    r.next_at = w->now;
    OK(db_write(w->r.db, reset, &r, &w->err));
    OK(removal_step(w->d, w->now, &more, &w->err));
    COUNT(0, TAGS);
    COUNT(0, LIVE);
    COUNT(0, "SELECT count(*) FROM removal");
    SOUND();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        DELETION_TEST(a_repository_goes_whole),
        DELETION_TEST(what_is_large_takes_several_steps),
        DELETION_TEST(what_was_under_way_is_carried_on),
        DELETION_TEST(ten_failures_are_the_end_until_it_is_reset),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
