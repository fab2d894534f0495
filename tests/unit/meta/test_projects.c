/* SPDX-License-Identifier: Apache-2.0
 *
 * Repositories, projects and tags as GitLab's API knows them.
 */
#include "meta/locks.h"
#include "meta/projects.h"
#include "meta/repositories.h"
#include "world_test.h"

static struct arena test_arena = { .limit_bytes = 16 * MIB };

static int setup(void **state)
{
    arena_release(&test_arena);
    return world_setup(state);
}

static int teardown(void **state)
{
    arena_release(&test_arena);
    return world_teardown(state);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

/* What a transaction takes and gives; each function below reads what it needs. */
struct ask {
    const char *path;
    int64_t id;
    size_t most;
    struct project_tags_ask tags;
    bool as_project;
    str found;
    bool yes;
    uint64_t total;
    struct name_page page;
    struct project_repository repository;
    int64_t now, until;
    char seen[500];
};

static enum st number(struct db_tx *tx, void *ctx, struct err *err)
{
    struct ask *q = ctx;
    struct gitlab_namespace found;
    enum st st = namespaces_get(tx, str_of(q->path), q->as_project, &test_arena, &found, err);
    q->id = st == ST_OK ? found.id : 0;
    return st;
}

static enum st project_of(struct db_tx *tx, void *ctx, struct err *err)
{
    struct ask *q = ctx;
    return projects_of(tx, str_of(q->path), &test_arena, &q->found, err);
}

static enum st exists(struct db_tx *tx, void *ctx, struct err *err)
{
    struct ask *q = ctx;
    return projects_exists(tx, str_of(q->path), &q->yes, err);
}

static enum st list(struct db_tx *tx, void *ctx, struct err *err)
{
    struct ask *q = ctx;
    return projects_list(tx, q->most, &test_arena, &q->page, err);
}

static enum st note(void *ctx, const struct project_repository *r, struct err *err)
{
    struct ask *q = ctx;
    size_t at = strlen(q->seen);
    (void)err;
    (void)snprintf(q->seen + at, sizeof(q->seen) - at, "%.*s:%d ", STR_FMT(r->name), (int)r->tags);
    return --q->most == 0 ? ST_END : ST_OK;
}

static enum st walk(struct db_tx *tx, void *ctx, struct err *err)
{
    struct ask *q = ctx;
    q->seen[0] = '\0';
    return projects_walk(tx, str_of(q->path), note, q, err);
}

static enum st read_tags(struct db_tx *tx, void *ctx, struct err *err)
{
    struct ask *q = ctx;
    return projects_tags(tx, &q->tags, &test_arena, &q->page, &q->total, err);
}

static enum st find(struct db_tx *tx, void *ctx, struct err *err)
{
    struct ask *q = ctx;
    return projects_repository(tx, q->id, &test_arena, &q->repository, err);
}

static enum st lease(struct db_tx *tx, void *ctx, struct err *err)
{
    struct ask *q = ctx;
    return projects_take_lease(tx, q->id, q->now, q->until, &q->yes, err);
}

static enum st need(struct db_tx *tx, void *ctx, struct err *err)
{
    struct ask *q = ctx;
    return repositories_need(tx, str_of(q->path), 1, &q->id, err);
}

static enum st drop(struct db_tx *tx, void *ctx, struct err *err)
{
    struct ask *q = ctx;
    return repositories_drop_if_empty(tx, q->id, err);
}

static int64_t number_of_new(struct world *w, const char *repo)
{
    struct ask q = { .path = repo };
    OK(db_write(w->r.db, need, &q, &w->err));
    return q.id;
}

/* A script that kept the number of a repository that went must not meet another one. */
static void a_number_is_given_once(void **state)
{
    struct world *w = *state;
    struct ask first = { .id = number_of_new(w, "g/first") };
    struct ask second = { .id = number_of_new(w, "g/second") };
    assert_true(second.id > first.id);
    OK(db_write(w->r.db, drop, &second, &w->err));
    OK(db_write(w->r.db, drop, &first, &w->err));
    COUNT(0, "SELECT count(*) FROM repository");
    assert_true(number_of_new(w, "g/third") > second.id);
}

static const char *text_of(const struct name_page *page)
{
    static char text[500];
    text[0] = '\0';
    for (size_t i = 0; i < page->count; i++) {
        size_t at = strlen(text);
        (void)snprintf(text + at, sizeof(text) - at, "%.*s ", STR_FMT(page->names[i]));
    }
    return text;
}

static void has_project(struct world *w, const char *repo, const char *wanted)
{
    struct ask q = { .path = repo };
    OK(db_read(w->r.db, project_of, &q, &w->err));
    assert_string_equal(arena_cstr(&test_arena, q.found), wanted);
}

static void make_repositories(struct world *w)
{
    static const char *const names[] = { "g/p",  "g/p-x", "g/p-x/a", "g/p/a", "g/p/a/b",
                                         "g/p0", "g2/p",  "solo",    "h/i/j", "h/i-k" };
    struct made m;
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        push_image(w, names[i], "image", "v1", &m);
}

static void what_lies_below_a_path(void **state)
{
    struct world *w = *state;
    struct ask q = { .path = "g/p" };
    make_repositories(w);
    OK(db_read(w->r.db, walk, &q, &w->err));
    assert_string_equal(q.seen, "g/p:1 g/p/a:1 g/p/a/b:1 ");
    q = (struct ask){ .path = "g/p", .most = 1 };
    OK(db_read(w->r.db, walk, &q, &w->err));
    assert_string_equal(q.seen, "g/p:1 ");
    q = (struct ask){ .path = "g", .most = 2 };
    OK(db_read(w->r.db, walk, &q, &w->err));
    assert_string_equal(q.seen, "g/p:1 g/p-x:1 ");
    q = (struct ask){ .path = "h/i" };
    OK(db_read(w->r.db, walk, &q, &w->err));
    assert_string_equal(q.seen, "h/i/j:1 ");
    static const struct {
        const char *path;
        bool yes;
    } cases[] = { { "g", true },    { "g/p", true },    { "g/p/a/b", true }, { "h/i", true },
                  { "g/q", false }, { "g/p/b", false }, { "sol", false },    { "solo/x", false } };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        q.path = cases[i].path;
        OK(db_read(w->r.db, exists, &q, &w->err));
        assert_int_equal(q.yes, cases[i].yes);
    }
}

static void the_project_of_a_repository(void **state)
{
    struct world *w = *state;
    struct ask q = { .path = "g/p/a", .as_project = true };
    make_repositories(w);
    has_project(w, "g/p/a/b", "g/p");
    has_project(w, "solo", "solo");
    has_project(w, "g/p-x/a", "g/p-x");
    OK(db_write(w->r.db, number, &q, &w->err));
    has_project(w, "g/p/a/b", "g/p/a");
    has_project(w, "g/p/a", "g/p/a");
    has_project(w, "g/p/ab", "g/p");
    q = (struct ask){ .path = "h" };
    OK(db_write(w->r.db, number, &q, &w->err)); /* a group */
    has_project(w, "h/i/j", "h/i");
    q = (struct ask){ .most = 100 };
    OK(db_read(w->r.db, list, &q, &w->err));
    assert_string_equal(text_of(&q.page), "g/p g/p-x g/p/a g/p0 g2/p h/i h/i-k solo ");
    assert_false(q.page.more);
    q = (struct ask){ .most = 2 };
    OK(db_read(w->r.db, list, &q, &w->err));
    assert_true(q.page.more);
}

static void an_empty_repository_is_not_there(void **state)
{
    struct world *w = *state;
    struct ask q = { .path = "" };
    struct made m;
    push_image(w, "app", "image", "v1", &m);
    q.id = world_count(w, "SELECT id FROM repository");
    OK(db_read(w->r.db, find, &q, &w->err));
    assert_true(str_eq(q.repository.name, STR("app")));
    OK(world_delete_manifest(w, "app", &m.digest));
    IS(ST_NOT_FOUND, db_read(w->r.db, find, &q, &w->err));
    OK(db_read(w->r.db, walk, &q, &w->err));
    assert_string_equal(q.seen, "");
}

static enum st lock_tag(struct db_tx *tx, void *ctx, struct err *err)
{
    const struct lock_object o = { .repo = STR("app"), .tag = STR("v2") };
    const struct world *w = ctx;
    return locks_set(tx, &o, LOCK_MAY_ALL & ~(unsigned)LOCK_MAY_LIST, &w->r.keeping, w->now, err);
}

static void pages_of_tags(void **state)
{
    static const struct {
        struct project_tags_ask ask;
        const char *names;
        bool more;
        uint64_t total; /* with .count */
    } cases[] = {
        { { .limit = 2, .count = true }, "latest v1 ", true, 4 },
        { { .limit = 2, .skip = 2, .count = true }, "v10 v2 ", false, 4 },
        { { .limit = 2, .skip = 9, .count = true }, "", false, 4 },
        { { .limit = 2, .after = { "v1", 2 } }, "v10 v2 ", false, 0 },
        { { .limit = 2, .descending = true }, "v2 v10 ", true, 0 },
        { { .limit = 2, .descending = true, .after = { "v10", 3 } }, "v1 latest ", false, 0 },
        { { .limit = 1, .contains = { "1", 1 }, .count = true }, "v1 ", true, 2 },
        { { .limit = 1, .skip = 1, .contains = { "1", 1 }, .count = true }, "v10 ", false, 2 },
        { { .limit = 1, .contains = { "1", 1 }, .after = { "v1", 2 } }, "v10 ", false, 0 },
        { { .limit = 1, .contains = { "nothing", 7 }, .count = true }, "", false, 0 },
    };
    struct world *w = *state;
    struct ask q = { 0 };
    struct made m;
    push_image(w, "app", "image", "v1", &m);
    OK(world_push(w, "app", &m, "v10"));
    OK(world_push(w, "app", &m, "v2"));
    OK(world_push(w, "app", &m, "latest"));
    int64_t id = world_count(w, "SELECT id FROM repository");
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        q.tags = cases[i].ask;
        q.tags.repo_id = id;
        OK(db_read(w->r.db, read_tags, &q, &w->err));
        assert_string_equal(text_of(&q.page), cases[i].names);
        assert_int_equal(q.page.more, cases[i].more);
        if (q.tags.count)
            assert_int_equal(q.total, cases[i].total);
    }
    OK(db_write(w->r.db, lock_tag, w, &w->err));
    q.tags = (struct project_tags_ask){ .repo_id = id, .limit = 10, .count = true };
    OK(db_read(w->r.db, read_tags, &q, &w->err));
    assert_string_equal(text_of(&q.page), "latest v1 v10 ");
    assert_int_equal(q.total, 3);
}

static void a_lease_runs_once(void **state)
{
    struct world *w = *state;
    static const struct {
        int64_t id, now, until;
        bool taken;
    } calls[] = {
        { 1, 1000, 5000, true },  { 1, 1001, 5001, false }, { 2, 1001, 5001, true },
        { 1, 4999, 9000, false }, { 1, 5000, 9000, true },  { 2, 5000, 9000, false },
        { 2, 5001, 9000, true },
    };
    for (size_t i = 0; i < ARRAY_LEN(calls); i++) {
        struct ask q = { .id = calls[i].id, .now = calls[i].now, .until = calls[i].until };
        OK(db_write(w->r.db, lease, &q, &w->err));
        assert_int_equal(q.yes, calls[i].taken);
    }
    COUNT(2, "SELECT count(*) FROM bulk_lease");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_number_is_given_once),
        TEST(what_lies_below_a_path),
        TEST(the_project_of_a_repository),
        TEST(an_empty_repository_is_not_there),
        TEST(pages_of_tags),
        TEST(a_lease_runs_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
