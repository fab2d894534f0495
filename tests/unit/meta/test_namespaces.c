/* SPDX-License-Identifier: Apache-2.0
 *
 * GitLab's numbers, and repositories that are to be deleted whole.
 */
#include "meta/namespaces.h"
#include "meta/removals.h"
#include "registry_test.h"

static struct arena arena = { .limit_bytes = 4 * MIB };

struct call {
    struct fixture *f;
    void (*test)(struct db_tx *tx, struct fixture *f);
};

static enum st run(struct db_tx *tx, void *ctx, struct err *err)
{
    const struct call *c = ctx;
    (void)err;
    c->test(tx, c->f);
    return ST_OK;
}

static void in_transaction(struct fixture *f, void (*test)(struct db_tx *tx, struct fixture *f))
{
    OK(db_write(f->r.db, run, &(struct call){ f, test }, &f->err));
    arena_release(&arena);
}

/* ---- numbers --------------------------------------------------------------------------------- */

static void number_paths(struct db_tx *tx, struct fixture *f)
{
    struct gitlab_namespace a, b, out;
    IS(ST_NOT_FOUND, namespaces_find(tx, STR("team"), &arena, &out, &f->err));
    IS(ST_NOT_FOUND, namespaces_find_id(tx, 1, &arena, &out, &f->err));
    OK(namespaces_get(tx, STR("team"), false, &arena, &a, &f->err));
    OK(namespaces_get(tx, STR("team/app"), true, &arena, &b, &f->err));
    assert_true(a.id != b.id && !a.is_project && b.is_project);
    OK(namespaces_find(tx, STR("team"), &arena, &out, &f->err));
    assert_true(out.id == a.id && str_eq(out.path, STR("team")) && !out.is_project);
    OK(namespaces_get(tx, STR("team"), true, &arena, &out, &f->err));
    assert_true(out.id == a.id && out.is_project);
    OK(namespaces_get(tx, STR("team"), false, &arena, &out, &f->err)); /* it stays one */
    assert_true(out.is_project);
    OK(namespaces_find_id(tx, b.id, &arena, &out, &f->err));
    assert_true(str_eq(out.path, STR("team/app")));
    IS(ST_INVALID, namespaces_get(tx, STR("Team"), false, &arena, &out, &f->err));
    IS(ST_INVALID, namespaces_get(tx, STR(""), false, &arena, &out, &f->err));
}

static void paths_keep_their_numbers(void **state)
{
    in_transaction(*state, number_paths);
}

/* ---- removals -------------------------------------------------------------------------------- */

static void add_removal(struct db_tx *tx, struct fixture *f, int64_t id, int64_t next_at)
{
    const struct repo_removal in = { .repo_id = id,
                                     .repo = STR("team/app"),
                                     .next_at = next_at,
                                     .actor = STR("bob"),
                                     .peer = STR("192.0.2.1"),
                                     .door = STR("gitlab") };
    OK(removals_add(tx, &in, &f->err));
}

static void take_in_turn(struct db_tx *tx, struct fixture *f)
{
    struct repo_removal out, *list;
    size_t count;
    int64_t now = f->now;
    add_removal(tx, f, 7, now + 20);
    add_removal(tx, f, 5, now + 10);
    add_removal(tx, f, 5, now - 10); /* it is there */
    IS(ST_NOT_FOUND, removals_take(tx, now, &arena, &out, &f->err));
    OK(removals_take(tx, now + 30, &arena, &out, &f->err));
    assert_true(out.repo_id == 5 && out.state == REMOVAL_ONGOING && out.failures == 0);
    assert_true(str_eq(out.repo, STR("team/app")) && str_eq(out.actor, STR("bob")) &&
                str_eq(out.peer, STR("192.0.2.1")) && str_eq(out.door, STR("gitlab")) &&
                out.error.ptr == NULL);
    OK(removals_find(tx, 5, &arena, &out, &f->err));
    assert_int_equal(REMOVAL_ONGOING, out.state);
    OK(removals_take(tx, now + 30, &arena, &out, &f->err)); /* a crash left it so */
    assert_int_equal(5, out.repo_id);
    OK(removals_done(tx, 5, &f->err));
    IS(ST_NOT_FOUND, removals_find(tx, 5, &arena, &out, &f->err));
    OK(removals_take(tx, now + 30, &arena, &out, &f->err));
    assert_int_equal(7, out.repo_id);
    add_removal(tx, f, 9, now);
    OK(removals_list(tx, 0, 1, &arena, &list, &count, &f->err));
    assert_true(count == 1 && list[0].repo_id == 7);
    OK(removals_list(tx, 7, 9, &arena, &list, &count, &f->err));
    assert_true(count == 1 && list[0].repo_id == 9 && list[0].state == REMOVAL_SCHEDULED);
}

static void removals_are_taken_in_turn(void **state)
{
    in_transaction(*state, take_in_turn);
}

static void fail_ten_times(struct db_tx *tx, struct fixture *f)
{
    char error[2000];
    struct repo_removal out;
    const struct repo_removal again = { .repo_id = 3, .repo = STR("team/app") };
    int64_t now = f->now;
    memset(error, 'e', sizeof(error));
    IS(ST_NOT_FOUND, removals_fail(tx, 3, STR("why"), now, &f->err));
    IS(ST_NOT_FOUND, removals_reset(tx, 3, now, &f->err));
    add_removal(tx, f, 3, now);
    for (unsigned i = 1; i <= REMOVAL_TRIES_MAX; i++) {
        OK(removals_take(tx, now, &arena, &out, &f->err));
        OK(removals_fail(tx, 3, STR("why"), now, &f->err));
        OK(removals_find(tx, 3, &arena, &out, &f->err));
        assert_int_equal(i, out.failures);
        assert_int_equal(i == REMOVAL_TRIES_MAX ? REMOVAL_FAILED : REMOVAL_SCHEDULED, out.state);
        assert_true(str_eq(out.error, STR("why")));
        if (i == REMOVAL_TRIES_MAX)
            break;
        int64_t wait = CLOCK_MINUTE_MS << i;
        assert_int_equal(now + wait, out.next_at);
        IS(ST_NOT_FOUND, removals_take(tx, now + wait - 1, &arena, &out, &f->err));
        now += wait;
    }
    now += 1000 * CLOCK_DAY_MS;
    IS(ST_NOT_FOUND, removals_take(tx, now, &arena, &out, &f->err));
    IS(ST_DENIED, removals_add(tx, &again, &f->err));
    assert_string_equal("deleting team/app failed 10 times and is not tried again before it is"
                        " reset",
                        f->err.text);
    OK(removals_reset(tx, 3, now, &f->err));
    OK(removals_find(tx, 3, &arena, &out, &f->err));
    assert_true(out.failures == 0 && out.state == REMOVAL_SCHEDULED && out.error.ptr == NULL);
    OK(removals_take(tx, now, &arena, &out, &f->err));
    OK(removals_fail(tx, 3, (str){ error, sizeof(error) }, now, &f->err));
    OK(removals_find(tx, 3, &arena, &out, &f->err));
    assert_int_equal(512, out.error.len);
}

static void removals_give_up_and_are_reset(void **state)
{
    in_transaction(*state, fail_ten_times);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        REGISTRY_TEST(paths_keep_their_numbers),
        REGISTRY_TEST(removals_are_taken_in_turn),
        REGISTRY_TEST(removals_give_up_and_are_reset),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
