/* SPDX-License-Identifier: Apache-2.0 */
#include <time.h>

#include "deletion/job.h"
#include "plan_test.h"

#define TAG(r, t)   ((struct selector){ .kind = SELECT_TAG, .repo = STR(r), .tag = STR(t) })
#define IMAGE(r, t) ((struct selector){ .kind = SELECT_IMAGE, .repo = STR(r), .tag = STR(t) })
#define REPO(glob)  ((struct selector){ .kind = SELECT_REPOSITORY, .repo = STR(glob) })
#define TRASH(glob) ((struct selector){ .kind = SELECT_TRASH, .repo = STR(glob) })
#define RULE(glob, ...)                                                                            \
    ((struct selector){ .kind = SELECT_RULE, .repo = STR(glob), .rule = { __VA_ARGS__ } })

/* What push_image() gives an image: its name, "name/config", "name/layer". */
static uint64_t image_bytes(const char *name)
{
    return 3 * strlen(name) + strlen("/config") + strlen("/layer");
}

#define COUNTS(tag_count, manifest_count, blob_count, protected_count)                             \
    do {                                                                                           \
        assert_int_equal(planner.plan.tags, tag_count);                                            \
        assert_int_equal(planner.plan.manifests, manifest_count);                                  \
        assert_int_equal(planner.plan.blobs, blob_count);                                          \
        assert_int_equal(planner.plan.protected_items, protected_count);                           \
        assert_int_equal(planner.plan.items,                                                       \
                         (tag_count) + (manifest_count) + (blob_count) + (protected_count));       \
    } while (0)

static void one_tag(void **state)
{
    struct world *w = *state;
    struct made a;
    size_t count = 0;
    push_image(w, "app", "a", "v1", &a);
    OK(world_push(w, "app", &a, "v2"));
    OK(make_plan(w, TAG("app", "v1")));
    COUNTS(1, 0, 0, 0);
    assert_int_equal(planner.plan.bytes_freed, 0);
    OK(world_delete_tag(w, "app", "v2"));
    OK(make_plan(w, TAG("app", "v1")));
    COUNTS(1, 1, 0, 0);
    struct plan_item *items = list_items(w, 0, &count);
    assert_int_equal(count, 2);
    assert_int_equal(items[0].kind, PLAN_TAG);
    assert_true(str_eq(items[0].tag, STR("v1")) && str_eq(items[0].repo, STR("app")));
    assert_int_equal(items[1].kind, PLAN_MANIFEST);
    assert_int_equal(items[1].role, PLAN_WITH);
    assert_true(digest_eq(&items[1].digest, &a.digest));
    assert_int_equal(planner.plan.confirm_tags, 0);
    FREES(image_bytes("a"));
    EMPTY();
}

static void not_there(void **state)
{
    struct world *w = *state;
    struct made a;
    push_image(w, "app", "a", "v1", &a);
    IS(ST_NOT_FOUND, make_plan(w, TAG("app", "v2")));
    IS(ST_NOT_FOUND, make_plan(w, TAG("none", "v1")));
    IS(ST_NOT_FOUND, make_plan(w, REPO("none")));
    IS(ST_NOT_FOUND,
       make_plan(w, ((struct selector){
                        .kind = SELECT_IMAGE, .repo = STR("app"), .digest = world_digest("x") })));
    IS(ST_NOT_FOUND,
       make_plan(w, ((struct selector){
                        .kind = SELECT_BLOB, .repo = STR("app"), .digest = world_digest("x") })));
    IS(ST_INVALID, make_plan(w, RULE("app", .keep_tags = STR("v"))));
    IS(ST_INVALID, make_plan(w, RULE("app", .has_keep = true)));
    IS(ST_INVALID, make_plan(w, RULE("app", .tags = STR("("))));
    IS(ST_INVALID, make_plan(w, RULE("app", .older_than_ms = -1)));
    IS(ST_INVALID, make_plan(w, TRASH("**")));
    IS(ST_INVALID, make_plan_of(w, NULL, 0, false));
    OK(make_plan(w, REPO("no*")));
    COUNTS(0, 0, 0, 0);
    COUNT(1, "SELECT count(*) FROM plan");
}

static void whole_repository(void **state)
{
    struct world *w = *state;
    struct made a, b, c;
    push_image(w, "group/app", "a", "v1", &a);
    push_image(w, "group/app", "b", NULL, &b);
    OK(world_push(w, "group/app", &b, NULL));
    OK(world_upload(w, "group/app", "alone"));
    push_image(w, "other", "c", "v1", &c);
    OK(make_plan(w, REPO("group/**")));
    COUNTS(1, 2, 1, 0);
    assert_int_equal(planner.plan.repositories, 1);
    assert_int_equal(planner.plan.confirm_tags, 1);
    assert_int_equal(planner.plan.warning_count, 1);
    assert_int_equal(planner.plan.warnings[0].code, PLAN_ALL_TAGS);
    FREES(image_bytes("a") + image_bytes("b") + strlen("alone"));
    COUNT(1, "SELECT count(*) FROM repository");
}

static void index_goes_with_its_children(void **state)
{
    struct world *w = *state;
    struct made a, b, n, i, signature;
    size_t count = 0;
    push_image(w, "app", "a", NULL, &a);
    OK(world_push(w, "app", &a, NULL));
    push_image(w, "app", "b", "b", &b);
    made_index(&n, "n");
    made_add_child(&n, &a.digest);
    OK(world_push(w, "app", &n, NULL));
    made_index(&i, "i");
    made_add_child(&i, &n.digest);
    made_add_child(&i, &a.digest);
    made_add_child(&i, &b.digest);
    OK(world_push(w, "app", &i, "v1"));
    made_image(&signature, "signature");
    made_set_subject(&signature, &a.digest);
    OK(world_push(w, "app", &signature, NULL));
    OK(make_plan(w, IMAGE("app", "v1")));
    COUNTS(1, 4, 0, 0); /* i, n, a, signature; not b */
    struct plan_item *items = list_items(w, 0, &count);
    assert_true(digest_eq(&items[1].digest, &i.digest) && items[1].role == PLAN_SELECTED);
    assert_true(digest_eq(&items[2].digest, &n.digest) && items[2].role == PLAN_WITH);
    FREES(image_bytes("a") + strlen("n") + strlen("i") + strlen("signature"));
}

static void child_of_an_index_that_stays(void **state)
{
    struct world *w = *state;
    struct made a, i;
    size_t count = 0;
    push_image(w, "app", "a", "a", &a);
    made_index(&i, "i");
    made_add_child(&i, &a.digest);
    OK(world_push(w, "app", &i, "v1"));
    OK(make_plan(w, IMAGE("app", "a")));
    COUNTS(1, 0, 0, 1);
    struct plan_item *items = list_items(w, 1, &count);
    assert_int_equal(count, 1);
    assert_non_null(strstr(items[0].why.ptr, "part of the index sha256:"));
    assert_int_equal(planner.plan.bytes_freed, 0);
    const struct selector both[] = { IMAGE("app", "a"), IMAGE("app", "v1") };
    OK(make_plan_of(w, both, 2, false));
    COUNTS(2, 2, 0, 0);
    items = list_items(w, 0, &count);
    for (size_t k = 0; k < count; k++)
        assert_int_equal(items[k].role, PLAN_SELECTED);
    FREES(image_bytes("a") + strlen("i"));
    EMPTY();
}

static void rule_keeps_the_newest(void **state)
{
    struct world *w = *state;
    struct made m;
    for (int i = 0; i < 6; i++) {
        char name[8];
        (void)snprintf(name, sizeof(name), "v%d", i);
        w->now += 1000;
        push_image(w, i == 5 ? "b" : "a", name, name, &m);
    }
    OK(make_plan(
        w, RULE("**", .tags = STR("v[0-9]"), .keep_tags = STR("v0"), .has_keep = true, .keep = 1)));
    COUNTS(3, 3, 0, 0); /* v1, v2, v3 */
    assert_int_equal(planner.plan.retained[RETENTION_KEPT_NEWEST], 2);
    assert_int_equal(planner.plan.retained[RETENTION_KEPT_BY_NAME], 1);
    assert_int_equal(planner.plan.confirm_tags, 3); /* 3 of 5 > 50 % */
    assert_int_equal(planner.plan.warning_count, 1);
    assert_int_equal(planner.plan.warnings[0].code, PLAN_SHARE);
    FREES(3 * image_bytes("v1"));
    OK(make_plan(w, RULE("*", .older_than_ms = 1)));
    COUNTS(3, 3, 0, 0);
    size_t count = 0;
    struct plan_item *items = list_items(w, 0, &count);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(items[i].role, PLAN_SELECTED);
}

static void rule_takes_the_untagged(void **state)
{
    struct world *w = *state;
    struct made a, b, i, c;
    push_image(w, "app", "a", NULL, &a);
    OK(world_push(w, "app", &a, NULL));
    push_image(w, "app", "b", NULL, &b);
    OK(world_push(w, "app", &b, NULL));
    made_index(&i, "i");
    made_add_child(&i, &a.digest);
    OK(world_push(w, "app", &i, NULL));
    push_image(w, "app", "c", "v1", &c);
    w->now += 60000;
    made_index(&i, "later");
    made_add_child(&i, &b.digest);
    OK(world_push(w, "app", &i, NULL));
    OK(make_plan(w, RULE("app", .untagged = true, .older_than_ms = 1000)));
    COUNTS(0, 2, 0, 0); /* the index, and a; b is part of a young one */
    assert_int_equal(planner.plan.bytes_freed, image_bytes("a") + 1);
    assert_int_equal(apply_by_hand(w), planner.plan.bytes_freed);
    SOUND();
}

static enum st add_rule(struct db_tx *tx, void *ctx, struct err *err)
{
    int64_t id = 0;
    return rules_add(tx, ctx, &id, err);
}
static void protect(struct world *w, enum rule_kind kind, const char *repo, const char *tag)
{
    struct rule rule = { .kind = kind,
                         .repo = str_of(repo),
                         .tag = tag == NULL ? STR_NONE : str_of(tag),
                         .actor = STR("tester") };
    OK(db_write(w->r.db, add_rule, &rule, &w->err));
}

static enum st add_hold(struct db_tx *tx, void *ctx, struct err *err)
{
    const struct keeping keeping = { WORLD_LEASE, WORLD_GRACE, true, false, NULL };
    int64_t id = 0;
    return holds_add(tx, ctx, &keeping, &id, err);
}

static void protected_tags_stay(void **state)
{
    struct world *w = *state;
    struct made a, b;
    size_t count = 0;
    push_image(w, "app", "a", "stable", &a);
    OK(world_push(w, "app", &a, "v1"));
    push_image(w, "app", "b", "v2", &b);
    protect(w, RULE_PROTECTED, "app", "stable");
    OK(make_plan(w, REPO("app")));
    COUNTS(2, 1, 0, 2); /* v1, v2, b; the tag `stable` and the image a stay */
    struct plan_item *items = list_items(w, 1, &count);
    assert_int_equal(count, 2);
    for (size_t i = 0; i < count; i++)
        assert_true(items[i].why.len > 0);
    FREES(image_bytes("b"));
    OK(world_get_manifest(w, "app", &a.digest));
    protect(w, RULE_READ_ONLY, "app", NULL);
    OK(make_plan(w, RULE("app", .tags = STR(".*"))));
    COUNTS(0, 0, 0, 1);
}

static void held_images_stay(void **state)
{
    struct world *w = *state;
    struct made a, i;
    push_image(w, "app", "a", NULL, &a);
    OK(world_push(w, "app", &a, NULL));
    made_index(&i, "i");
    made_add_child(&i, &a.digest);
    OK(world_push(w, "app", &i, "v1"));
    struct hold hold = { .digest = a.digest, .repo = STR(""), .actor = STR("tester") };
    OK(db_write(w->r.db, add_hold, &hold, &w->err));
    OK(make_plan(w, IMAGE("app", "v1")));
    COUNTS(1, 1, 0, 0);
    FREES(1);
    OK(make_plan(w, REPO("app")));
    COUNTS(0, 0, 0, 1);
}

static void links_selected_by_themselves(void **state)
{
    struct world *w = *state;
    struct made a;
    size_t count = 0;
    struct digest alone = world_digest("alone");
    push_image(w, "app", "a", "v1", &a);
    OK(world_upload(w, "app", "alone"));
    OK(make_plan(w, ((struct selector){
                        .kind = SELECT_BLOB, .repo = STR("app"), .digest = a.parts[0].digest })));
    COUNTS(0, 0, 0, 1);
    (void)list_items(w, 1, &count);
    assert_int_equal(count, 1);
    OK(make_plan(w,
                 ((struct selector){ .kind = SELECT_BLOB, .repo = STR("app"), .digest = alone })));
    COUNTS(0, 0, 1, 0);
    FREES(5);
}

static bool warned(enum plan_warning_code code)
{
    for (size_t i = 0; i < planner.plan.warning_count; i++)
        if (planner.plan.warnings[i].code == code)
            return true;
    return false;
}

static void warns(void **state)
{
    struct world *w = *state;
    struct made m;
    for (int i = 0; i < 4; i++) {
        char name[8];
        (void)snprintf(name, sizeof(name), "v%d", i);
        w->now += 1000;
        push_image(w, "app", name, name, &m);
    }
    OK(make_plan(w, TAG("app", "v2")));
    assert_int_equal(planner.plan.warning_count, 0);
    OK(make_plan(w, TAG("app", "v3")));
    assert_true(warned(PLAN_NEWEST_TAG));
    assert_int_equal(planner.plan.confirm_tags, 0);
    OK(make_plan(w, RULE("app", .tags = STR("v[0-2]"))));
    assert_true(warned(PLAN_SHARE) && !warned(PLAN_NEWEST_TAG));
    assert_int_equal(planner.plan.confirm_tags, 3);
    assert_true(planner.plan.confirm_why.len > 0);
    OK(make_plan(w, RULE("app", .tags = STR("v[01]"))));
    assert_int_equal(planner.plan.confirm_tags, 0); /* not more than half */
    const struct selector all[] = { TAG("app", "v0"), TAG("app", "v1"), TAG("app", "v2"),
                                    TAG("app", "v3"), TAG("app", "v3") };
    OK(make_plan_of(w, all, 5, false));
    COUNTS(4, 4, 0, 0);
    assert_true(warned(PLAN_ALL_TAGS));
    assert_int_equal(planner.plan.confirm_tags, 4);
    static char pull[200];
    (void)snprintf(pull, sizeof(pull),
                   "INSERT INTO manifest_pull SELECT manifest_id, %lld FROM tag WHERE name = 'v1'"
                   " RETURNING 1",
                   (long long)w->now - 1000);
    OK(world_run(w, pull));
    OK(make_plan(w, TAG("app", "v1")));
    assert_true(warned(PLAN_PULLED_RECENTLY));
}

static void not_pulled_is_not_unknown(void **state)
{
    struct world *w = *state;
    struct made m;
    push_image(w, "app", "a", "v1", &m);
    w->now += 10 * CLOCK_DAY_MS;
    OK(make_plan(w, RULE("app", .not_pulled_for_ms = CLOCK_DAY_MS)));
    COUNTS(0, 0, 0, 0);
    assert_int_equal(planner.plan.retained[RETENTION_KEPT_UNKNOWN], 1);
}

static void found_listed_dropped_expired(void **state)
{
    struct world *w = *state;
    struct made m;
    struct plan again = { 0 };
    struct plan_page page = { 0 };
    for (int i = 0; i < 400; i++) {
        char name[16];
        (void)snprintf(name, sizeof(name), "v%03d", i);
        push_image(w, "app", name, name, &m);
    }
    OK(make_plan(w, REPO("app")));
    COUNTS(400, 400, 0, 0);
    str id = str_of(planner.plan.id);
    OK(plan_find(planner.d, id, w->now, &planner.a, &again, &w->err));
    assert_int_equal(again.bytes_freed, planner.plan.bytes_freed);
    assert_int_equal(again.warning_count, planner.plan.warning_count);
    assert_int_equal(again.confirm_tags, 400);
    assert_true(str_eq(again.confirm_why, planner.plan.confirm_why));
    uint64_t from = 0;
    size_t seen = 0;
    const struct plan_filter tags = { .kind = PLAN_TAG, .state = 0 };
    do {
        OK(plan_items(planner.d, id, &tags, from, 30, w->now, &planner.a, &page, &w->err));
        for (size_t i = 0; i < page.count; i++, seen++) {
            char name[16];
            (void)snprintf(name, sizeof(name), "v%03d", (int)seen);
            assert_true(str_eq(page.items[i].tag, str_of(name)));
        }
        from = page.next;
    } while (from != 0);
    assert_int_equal(seen, 400);
    IS(ST_NOT_FOUND, plan_find(planner.d, id, w->now + CLOCK_HOUR_MS, &planner.a, &again, &w->err));
    OK(plan_expire(planner.d, w->now + CLOCK_HOUR_MS - 1, &w->err));
    COUNT(1, "SELECT count(*) FROM plan");
    OK(plan_expire(planner.d, w->now + CLOCK_HOUR_MS, &w->err));
    COUNT(0, "SELECT count(*) FROM plan");
    COUNT(0, "SELECT count(*) FROM plan_chunk");
    OK(make_plan(w, TAG("app", "v001")));
    id = str_of(planner.plan.id);
    OK(plan_drop(planner.d, id, &w->err));
    IS(ST_NOT_FOUND, plan_drop(planner.d, id, &w->err));
    COUNT(0, "SELECT count(*) FROM plan_chunk");
    planner.d->options.plan_items_max = 799;
    IS(ST_TOO_LARGE, make_plan(w, REPO("app")));
    planner.d->options.plan_items_max = 800;
    OK(make_plan(w, REPO("app")));
}

/* The engine's thread removes what expired, whoever made it. */
static void the_thread_drops_expired_plans(void **state)
{
    struct world *w = *state;
    const struct deletion_options options = { .max_percent = 50,
                                              .plan_items_max = 100,
                                              .plan_keep_ms = CLOCK_HOUR_MS,
                                              .receipts_keep_ms = CLOCK_DAY_MS };
    struct deletion *d = NULL;
    struct made m;
    push_image(w, "app", "image", "v001", &m);
    OK(make_plan(w, TAG("app", "v001")));
    OK(deletion_open(&w->r, &options, &d, &w->err));
    deletion_note_now(d, w->now + CLOCK_HOUR_MS - 1);
    job_wake(d->job);
    COUNT(1, "SELECT count(*) FROM plan");
    deletion_note_now(d, w->now + CLOCK_HOUR_MS);
    job_wake(d->job);
    while (world_count(w, "SELECT count(*) FROM plan") > 0)
        (void)nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
    deletion_close(d);
}

static void damaged_rows(void **state)
{
    struct world *w = *state;
    struct made m;
    struct plan_page page = { 0 };
    push_image(w, "app", "a", "v1", &m);
    OK(make_plan(w, TAG("app", "v1")));
    str id = str_of(planner.plan.id);
    static char cut[] = "UPDATE plan_chunk SET items = substr(items, 1, length(items) - 1)"
                        " RETURNING 1";
    OK(world_run(w, cut));
    IS(ST_CORRUPT, plan_items(planner.d, id, NULL, 0, 10, w->now, &planner.a, &page, &w->err));
    static char none[] = "DELETE FROM plan_chunk RETURNING 1";
    OK(world_run(w, none));
    IS(ST_CORRUPT, plan_items(planner.d, id, NULL, 0, 10, w->now, &planner.a, &page, &w->err));
    static char other[] = "UPDATE plan SET data = substr(data, 1, 20) || x'00' || substr(data, 22)"
                          " RETURNING 1";
    OK(world_run(w, other));
    struct plan plan;
    IS(ST_CORRUPT, plan_find(planner.d, id, w->now, &planner.a, &plan, &w->err));
}

/* ---- of somebody who may not delete everywhere ------------------------------------------------
 */

static bool may(void *ctx, str repo)
{
    int *asked = ctx;
    (*asked)++;
    return str_starts(repo, STR("mine/"));
}

static enum st make_my_plan(struct world *w, struct selector s, bool now)
{
    int asked = 0;
    const struct plan_request request = {
        .selectors = &s, .count = 1, .now = now, .text = STR("{}"), .may = may, .may_ctx = &asked
    };
    planner.plan = (struct plan){ 0 };
    enum st st = plan_make(planner.d, &request, w->now, &planner.a, &planner.plan, &w->err);
    assert_true(asked > 0);
    return st;
}

/* Names that were visited, with blanks between. */
static char visited[200];
static bool visit(void *ctx, str repo)
{
    int *left = ctx;
    size_t len = strlen(visited);
    (void)snprintf(visited + len, sizeof(visited) - len, "%.*s ", STR_FMT(repo));
    return --*left > 0;
}

static const char *visit_plan(struct world *w, int most)
{
    visited[0] = '\0';
    OK(plan_visit_repositories(planner.d, str_of(planner.plan.id), w->now, visit, &most, &w->err));
    return visited;
}

static void patterns_pass_by_what_one_may_not(void **state)
{
    struct world *w = *state;
    struct made m;
    int most = 10;
    push_image(w, "mine/a", "a", "v1", &m);
    push_image(w, "mine/b", "b", "v1", &m);
    push_image(w, "other/c", "c", "v1", &m);
    OK(make_my_plan(w, REPO("**"), false));
    assert_int_equal(planner.plan.tags, 2);
    assert_string_equal(visit_plan(w, 10), "mine/a mine/b ");
    assert_string_equal(visit_plan(w, 1), "mine/a ");
    OK(make_my_plan(w, RULE("**", .tags = STR("v.*")), false));
    assert_int_equal(planner.plan.tags, 2);
    OK(make_my_plan(w, REPO("other/**"), false));
    assert_int_equal(planner.plan.items, 0);
    assert_string_equal(visit_plan(w, 10), "");
    IS(ST_NOT_FOUND, make_my_plan(w, REPO("other/c"), false));
    assert_non_null(strstr(w->err.text, "there is no repository other/c"));
    OK(make_my_plan(w, REPO("mine/a"), false));
    assert_string_equal(visit_plan(w, 10), "mine/a ");
    OK(make_plan_of(w, (struct selector[]){ TAG("other/c", "v1"), TAG("mine/b", "v1") }, 2, false));
    assert_int_equal(strlen(visit_plan(w, 10)), strlen("other/c mine/b "));
    OK(world_delete_tag(w, "mine/a", "v1"));
    OK(world_delete_tag(w, "other/c", "v1"));
    OK(world_delete_manifest(w, "other/c", &m.digest));
    OK(make_my_plan(w, TRASH("other/**"), true));
    assert_int_equal(planner.plan.items, 0);
    OK(make_plan_now(w, TRASH("other/**")));
    assert_int_equal(planner.plan.manifests, 1);
    IS(ST_NOT_FOUND,
       plan_visit_repositories(planner.d, STR("0123"), w->now, visit, &most, &w->err));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        PLAN_TEST(one_tag),
        PLAN_TEST(not_there),
        PLAN_TEST(whole_repository),
        PLAN_TEST(index_goes_with_its_children),
        PLAN_TEST(child_of_an_index_that_stays),
        PLAN_TEST(rule_keeps_the_newest),
        PLAN_TEST(rule_takes_the_untagged),
        PLAN_TEST(protected_tags_stay),
        PLAN_TEST(held_images_stay),
        PLAN_TEST(links_selected_by_themselves),
        PLAN_TEST(warns),
        PLAN_TEST(not_pulled_is_not_unknown),
        PLAN_TEST(found_listed_dropped_expired),
        PLAN_TEST(the_thread_drops_expired_plans),
        PLAN_TEST(damaged_rows),
        PLAN_TEST(patterns_pass_by_what_one_may_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
