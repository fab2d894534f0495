/* SPDX-License-Identifier: Apache-2.0
 *
 * Rules about levels and locks in each door of deletion/: one order, a plan and its application,
 * undo.
 */
#include "deletion_test.h"
#include "meta/accounts.h"
#include "meta/locks.h"
#include "meta/members.h"

/* ---- who there is ---------------------------------------------------------------------------- */

static enum st add_people(struct db_tx *tx, void *ctx, struct err *err)
{
    static const struct {
        const char *name;
        enum role role;
    } people[] = { { "dev", ROLE_DEVELOPER }, { "boss", ROLE_MAINTAINER }, { "root", ROLE_NONE } };
    struct world *w = ctx;
    enum st st = ST_OK;
    for (size_t i = 0; i < ARRAY_LEN(people) && st == ST_OK; i++) {
        const struct account account = { .name = str_of(people[i].name),
                                         .kind = ACCOUNT_ROBOT,
                                         .administrator = people[i].role == ROLE_NONE,
                                         .created_at = w->now };
        const struct member member = { .prefix = STR("app"),
                                       .account = account.name,
                                       .role = people[i].role };
        int64_t id = 0;
        st = accounts_add(tx, &account, &id, err);
        if (st == ST_OK && !account.administrator)
            st = members_set(tx, &member, err);
    }
    return st;
}

/* With accounts. */
static int access_setup(void **state)
{
    if (deletion_setup(state) != 0)
        return -1;
    struct world *w = *state;
    OK(protection_cache_new(true, &w->r.protection, &w->err));
    OK(db_write(w->r.db, add_people, w, &w->err));
    return 0;
}

static int access_teardown(void **state)
{
    struct world *w = *state;
    protection_cache_free(w->r.protection);
    w->r.protection = NULL;
    return deletion_teardown(state);
}
#define ACCESS_TEST(fn) cmocka_unit_test_setup_teardown(fn, access_setup, access_teardown)

static struct deletion_by by_of(const char *actor)
{
    return (
        struct deletion_by){ .door = STR("oci"), .actor = str_of(actor), .peer = STR("192.0.2.1") };
}

/* ---- setting --------------------------------------------------------------------------------- */

struct setting {
    struct world *w;
    struct rule rule;
    struct lock_object object;
    unsigned may;
    int64_t id;
};

static enum st add_rule(struct db_tx *tx, void *ctx, struct err *err)
{
    struct setting *s = ctx;
    return rules_add(tx, &s->rule, &s->id, err);
}

static enum st remove_rule(struct db_tx *tx, void *ctx, struct err *err)
{
    return rules_remove(tx, ((struct setting *)ctx)->id, err);
}

static enum st set_lock(struct db_tx *tx, void *ctx, struct err *err)
{
    const struct setting *s = ctx;
    return locks_set(tx, &s->object, s->may, &s->w->r.keeping, s->w->now, err);
}

/* `tag` may be NULL: about the repository. */
static int64_t levels(struct world *w, const char *repo, const char *tag, enum role push,
                      enum role remove)
{
    struct setting s = { .rule = { .kind = RULE_LEVELS,
                                   .repo = str_of(repo),
                                   .tag = str_of(tag),
                                   .push_role = push,
                                   .delete_role = remove,
                                   .actor = STR("root"),
                                   .created_at = w->now } };
    OK(db_write(w->r.db, add_rule, &s, &w->err));
    return s.id;
}

static void drop_rule(struct world *w, int64_t id)
{
    OK(db_write(w->r.db, remove_rule, &(struct setting){ .id = id }, &w->err));
}

static void lock(struct world *w, const char *repo, const char *tag, const struct digest *digest,
                 unsigned may)
{
    struct setting s = { .w = w,
                         .object = { .repo = str_of(repo), .tag = str_of(tag), .digest = digest },
                         .may = may };
    OK(db_write(w->r.db, set_lock, &s, &w->err));
}
#define NO_DELETE (LOCK_MAY_ALL & ~(unsigned)LOCK_MAY_DELETE)
#define NO_WRITE  (LOCK_MAY_ALL & ~(unsigned)LOCK_MAY_WRITE)

/* ---- doing ----------------------------------------------------------------------------------- */

static enum st order(struct world *w, const char *actor, enum deletion_kind kind, const char *tag,
                     const struct digest *digest)
{
    struct deletion_order o = {
        .kind = kind, .repo = STR("app"), .tag = str_of(tag), .by = by_of(actor)
    };
    struct deletion_result result = { 0 };
    bool known = false;
    if (digest != NULL)
        o.digest = *digest;
    return deletion_apply(w->d, &o, w->now, &result, &known, &w->err);
}

static struct plan plan_by(struct world *w, struct selector s, const char *actor)
{
    const struct plan_request request = { .selectors = &s,
                                          .count = 1,
                                          .now = s.kind == SELECT_TRASH,
                                          .by = by_of(actor),
                                          .text = STR("{}") };
    struct plan plan = { 0 };
    OK(plan_make(w->d, &request, w->now, &test_arena, &plan, &w->err));
    return plan;
}

/* The first step; world_carry_on() does the others. */
static int64_t apply_by(struct world *w, const struct plan *plan, const char *actor)
{
    const struct apply_request request = { .plan_id = str_of(plan->id),
                                           .has_tags = plan->confirm_tags > 0,
                                           .confirm_tags = plan->confirm_tags,
                                           .has_bytes = plan->now,
                                           .confirm_bytes = plan->bytes_freed,
                                           .by = by_of(actor) };
    int64_t id = 0;
    OK(apply_plan(w->d, &request, w->now, &id, &w->err));
    return id;
}

static int64_t undo_by(struct world *w, int64_t id, struct undo_request request, const char *actor)
{
    int64_t undo_id = 0;
    request.receipt_id = id;
    request.by = by_of(actor);
    OK(undo_receipt(w->d, &request, w->now, &undo_id, &w->err));
    OK(world_carry_on(w));
    return undo_id;
}

static void expect_sentence(struct world *w, const char *want)
{
    if (strstr(w->err.text, want) == NULL)
        print_error("\"%s\" does not say \"%s\"\n", w->err.text, want);
    assert_non_null(strstr(w->err.text, want));
}
#define SAYS(want) expect_sentence(w, want)

/* ---- levels ---------------------------------------------------------------------------------- */

static void levels_bind_orders(void **state)
{
    struct world *w = *state;
    struct made a, b;
    push_image(w, "app", "a", "v1", &a);
    push_image(w, "app", "b", "x", &b);
    OK(world_upload(w, "app", "alone"));
    struct digest alone = world_digest("alone");
    int64_t rule = levels(w, "app", "v*", ROLE_NONE, ROLE_MAINTAINER);
    IS(ST_DENIED, order(w, "dev", DELETION_TAG, "v1", NULL));
    SAYS(
        "to delete the tag v1 of app takes the role maintainer, and dev has developer there (rule");
    IS(ST_DENIED, order(w, "dev", DELETION_MANIFEST, NULL, &a.digest));
    SAYS("the tag v1 of app");
    IS(ST_DENIED, order(w, "anonymous", DELETION_TAG, "v1", NULL));
    SAYS("anonymous has none there");
    OK(order(w, "dev", DELETION_TAG, "x", NULL));
    OK(order(w, "dev", DELETION_BLOB, NULL, &alone));
    drop_rule(w, rule);
    OK(world_upload(w, "app", "alone"));
    rule = levels(w, "ap*", NULL, ROLE_NONE, ROLE_MAINTAINER);
    IS(ST_DENIED, order(w, "dev", DELETION_BLOB, NULL, &alone));
    SAYS("to delete from app takes the role maintainer, and dev has developer there");
    IS(ST_DENIED, order(w, "dev", DELETION_MANIFEST, NULL, &b.digest));
    IS(ST_DENIED, order(w, "dev", DELETION_TAG, "v1", NULL));
    OK(order(w, "boss", DELETION_BLOB, NULL, &alone));
    OK(order(w, "boss", DELETION_TAG, "v1", NULL));
    drop_rule(w, rule);
    (void)levels(w, "app", NULL, ROLE_NONE, ROLE_ADMINISTRATOR);
    IS(ST_DENIED, order(w, "boss", DELETION_MANIFEST, NULL, &b.digest));
    OK(order(w, "root", DELETION_MANIFEST, NULL, &b.digest));
    SOUND();
}

/* Without accounts everybody is an administrator, and so in a registry without a cache. */
static void levels_bind_nobody_without_accounts(void **state)
{
    struct world *w = *state;
    struct protection_cache *with = w->r.protection;
    struct made a;
    push_image(w, "app", "a", "v1", &a);
    (void)levels(w, "app", NULL, ROLE_ADMINISTRATOR, ROLE_ADMINISTRATOR);
    (void)levels(w, "app", "*", ROLE_ADMINISTRATOR, ROLE_ADMINISTRATOR);
    OK(protection_cache_new(false, &w->r.protection, &w->err));
    OK(order(w, "anonymous", DELETION_TAG, "v1", NULL));
    OK(world_push(w, "app", &a, "v1"));
    protection_cache_free(w->r.protection);
    w->r.protection = NULL;
    OK(order(w, "anonymous", DELETION_TAG, "v1", NULL));
    w->r.protection = with;
    IS(ST_DENIED, world_push(w, "app", &a, "v1"));
    IS(ST_DENIED, order(w, "boss", DELETION_MANIFEST, NULL, &a.digest));
}

static void levels_bind_plans(void **state)
{
    struct world *w = *state;
    struct made a, b;
    push_image(w, "app", "a", "v1", &a);
    push_image(w, "app", "b", "x", &b);
    (void)levels(w, "**", "v*", ROLE_NONE, ROLE_MAINTAINER);
    struct plan plan = plan_by(w, REPO_OF("app"), "dev");
    assert_int_equal(1, plan.tags);
    assert_int_equal(2, plan.protected_items); /* the tag and its image */
    plan = plan_by(w, REPO_OF("app"), "boss");
    assert_int_equal(2, plan.tags);
    assert_int_equal(0, plan.protected_items);
    /* The plan of one who may, applied by one who may not. */
    struct finding r = receipt_of(w, apply_by(w, &plan, "dev"));
    WHY("dev has developer there", item_of(&r, "app", "v1", NULL));
    WHY("the tag v1 names it", item_of(&r, "app", NULL, &a.digest));
    WHY(NULL, item_of(&r, "app", "x", NULL));
    COUNT(1, TAGS);
    plan = plan_by(w, REPO_OF("app"), "boss");
    r = receipt_of(w, apply_by(w, &plan, "boss"));
    WHY(NULL, item_of(&r, "app", "v1", NULL));
    COUNT(0, TAGS);
    SOUND();
}

static enum st raise_dev(struct db_tx *tx, void *ctx, struct err *err)
{
    (void)ctx;
    const struct member member = { .prefix = STR("apple"),
                                   .account = STR("dev"),
                                   .role = ROLE_MAINTAINER };
    return members_set(tx, &member, err);
}

/* A role is one on a repository, also when a plan is about several. */
static void levels_go_by_the_repository(void **state)
{
    struct world *w = *state;
    struct made a, b;
    push_image(w, "app", "a", "v1", &a);
    push_image(w, "apple", "b", "v1", &b);
    push_image(w, "apply", "c", "v1", &b);
    OK(db_write(w->r.db, raise_dev, NULL, &w->err));
    int64_t rule = levels(w, "**", NULL, ROLE_NONE, ROLE_MAINTAINER);
    struct plan plan = plan_by(w, REPO_OF("app*"), "dev");
    assert_int_equal(1, plan.tags);
    drop_rule(w, rule);
    plan = plan_by(w, REPO_OF("app*"), "dev");
    assert_int_equal(3, plan.tags);
    (void)levels(w, "**", NULL, ROLE_NONE, ROLE_MAINTAINER);
    struct finding r = receipt_of(w, apply_by(w, &plan, "dev"));
    WHY("dev has developer there", item_of(&r, "app", "v1", NULL));
    WHY(NULL, item_of(&r, "apple", "v1", NULL));
    WHY("dev has none there", item_of(&r, "apply", "v1", NULL));
}

#define MANY (APPLY_STEP + 20)

/* What goes on later, or after a crash, is still done for whoever asked. */
static void later_steps_are_the_receipts_actor(void **state)
{
    struct world *w = *state;
    static const char *const actors[] = { "dev", "boss" };
    for (size_t i = 0; i < ARRAY_LEN(actors); i++) {
        push_many(w, "app", MANY);
        struct plan plan = plan_by(w, REPO_OF("app"), actors[i]);
        int64_t id = apply_by(w, &plan, actors[i]);
        int64_t rule = levels(w, "app", NULL, ROLE_NONE, ROLE_MAINTAINER);
        OK(world_carry_on(w));
        struct finding r = receipt_of(w, id);
        assert_true(str_eq(r.receipt.actor, str_of(actors[i])));
        if (i == 0)
            assert_true(r.receipt.skipped > 0 && r.receipt.skipped < r.receipt.items);
        else
            assert_int_equal(0, r.receipt.skipped);
        drop_rule(w, rule);
    }
    SOUND();
}

static void levels_bind_undo(void **state)
{
    struct world *w = *state;
    struct made a, b;
    push_image(w, "app", "a", "v1", &a);
    push_image(w, "app", "b", "v2", &b);
    struct plan plan = plan_by(w, REPO_OF("app"), "boss");
    int64_t id = apply_by(w, &plan, "boss");
    int64_t rule = levels(w, "app", "v1", ROLE_MAINTAINER, ROLE_NONE);
    struct finding u = receipt_of(w, undo_by(w, id, (struct undo_request){ 0 }, "dev"));
    WHY("to push the tag v1 of app takes the role maintainer, and dev has developer",
        item_of(&u, "app", "v1", NULL));
    WHY(NULL, item_of(&u, "app", "v2", NULL));
    COUNT(1, TAGS);
    drop_rule(w, rule);
    rule = levels(w, "app", NULL, ROLE_MAINTAINER, ROLE_NONE);
    u = receipt_of(w, undo_by(w, id, (struct undo_request){ 0 }, "dev"));
    WHY("to push to app takes the role maintainer", item_of(&u, "app", "v1", NULL));
    COUNT(1, TAGS);
    u = receipt_of(w, undo_by(w, id, (struct undo_request){ 0 }, "boss"));
    WHY(NULL, item_of(&u, "app", "v1", NULL));
    COUNT(2, TAGS);
    SOUND();
}

/* ---- locks ----------------------------------------------------------------------------------- */

static void locks_bind_orders(void **state)
{
    struct world *w = *state;
    static const unsigned mays[] = { NO_DELETE, NO_WRITE };
    static const char *const sentences[] = {
        "the tag v1 of app is locked: it must not be deleted (deleteEnabled is false)",
        "the tag v1 of app is locked: it must not be changed (writeEnabled is false)"
    };
    struct made a;
    push_image(w, "app", "a", "v1", &a);
    for (size_t i = 0; i < ARRAY_LEN(mays); i++) {
        OK(world_push(w, "app", &a, "v1"));
        OK(world_push(w, "app", &a, "other"));
        lock(w, "app", "v1", NULL, mays[i]);
        IS(ST_DENIED, order(w, "root", DELETION_TAG, "v1", NULL)); /* administrators, too */
        SAYS(sentences[i]);
        IS(ST_DENIED, order(w, "root", DELETION_MANIFEST, NULL, &a.digest));
        SAYS(sentences[i]);
        OK(order(w, "root", DELETION_TAG, "other", NULL));
        lock(w, "app", "v1", NULL, LOCK_MAY_ALL);
        OK(order(w, "root", DELETION_TAG, "v1", NULL));

        OK(world_push(w, "app", &a, "v1"));
        lock(w, "app", NULL, &a.digest, mays[i]);
        IS(ST_DENIED, order(w, "root", DELETION_MANIFEST, NULL, &a.digest));
        SAYS("in app is locked: it must not be ");
        OK(order(w, "root", DELETION_TAG, "v1", NULL)); /* the tag has none */
        OK(world_settle(w));
        COUNT(1, LIVE); /* and what it named stays */
        SOUND();
        lock(w, "app", NULL, &a.digest, LOCK_MAY_ALL);
    }
    lock(w, "app", NULL, NULL, NO_DELETE & NO_WRITE); /* the repository, not what is in it */
    OK(order(w, "root", DELETION_MANIFEST, NULL, &a.digest));
    lock(w, "elsewhere", NULL, &a.digest, 0);
    OK(world_settle(w));
    SOUND();
    EMPTY();
}

static void a_locked_manifest_goes_when_it_is_free(void **state)
{
    struct world *w = *state;
    struct made a, index;
    push_image(w, "app", "a", NULL, &a);
    OK(world_push(w, "app", &a, NULL));
    made_index(&index, "index");
    made_add_child(&index, &a.digest);
    OK(world_push(w, "app", &index, NULL));
    lock(w, "app", NULL, &index.digest, NO_DELETE);
    OK(world_settle(w));
    COUNT(2, LIVE); /* with what hangs below */
    SOUND();
    lock(w, "app", NULL, &index.digest, NO_WRITE);
    OK(world_settle(w));
    COUNT(2, LIVE);
    lock(w, "app", NULL, &index.digest, LOCK_MAY_DELETE | LOCK_MAY_WRITE);
    SOUND();
    OK(world_settle(w));
    EMPTY();
}

static void locks_bind_plans(void **state)
{
    struct world *w = *state;
    struct made a, b, c;
    push_image(w, "app", "a", "v1", &a);
    push_image(w, "app", "b", "v2", &b);
    push_image(w, "app", "c", "v3", &c);
    lock(w, "app", "v1", NULL, NO_DELETE);
    lock(w, "app", NULL, &b.digest, NO_WRITE);
    struct plan plan = plan_by(w, TAG_OF("app", "v2"), "root");
    assert_int_equal(1, plan.tags);
    assert_int_equal(0, plan.bytes_freed); /* the lock keeps it */
    assert_true(plan_by(w, TAG_OF("app", "v3"), "root").bytes_freed > 0);
    plan = plan_by(w, REPO_OF("app"), "root");
    assert_int_equal(2, plan.tags);
    assert_int_equal(3, plan.protected_items);
    struct finding r = receipt_of(w, apply_by(w, &plan, "root"));
    WHY("the tag v1 of app is locked", item_of(&r, "app", "v1", NULL));
    WHY("is locked", item_of(&r, "app", NULL, &b.digest));
    WHY(NULL, item_of(&r, "app", "v2", NULL));
    WHY(NULL, item_of(&r, "app", NULL, &c.digest));
    SOUND();
    /* Set since the plan was made. */
    lock(w, "app", "v1", NULL, LOCK_MAY_ALL);
    plan = plan_by(w, IMAGE_OF("app", "v1"), "root");
    assert_int_equal(0, plan.protected_items);
    lock(w, "app", "v1", NULL, NO_WRITE);
    r = receipt_of(w, apply_by(w, &plan, "root"));
    WHY("the tag v1 of app is locked", item_of(&r, "app", "v1", NULL));
    OK(world_settle(w));
    COUNT(2, LIVE);
    SOUND();
}

static void a_locked_repository_does_not_go_whole(void **state)
{
    struct world *w = *state;
    struct made a, b, c;
    static const unsigned mays[] = { NO_DELETE, NO_WRITE };
    push_image(w, "app", "a", "v1", &a);
    push_image(w, "app", "b", "v2", &b);
    push_image(w, "apple", "c", "v1", &c);
    OK(world_upload(w, "app", "alone"));
    for (size_t i = 0; i < ARRAY_LEN(mays); i++) {
        lock(w, "app", NULL, NULL, mays[i]);
        struct plan plan = plan_by(w, REPO_OF("app"), "root");
        assert_int_equal(0, plan.tags + plan.manifests + plan.blobs);
        assert_int_equal(5, plan.protected_items);
        struct finding r = receipt_of(w, apply_by(w, &plan, "root"));
        WHY("the repository app is locked", item_of(&r, "app", "v1", NULL));
        WHY("the repository app is locked", item_of(&r, "app", NULL, &b.digest));
        lock(w, "app", NULL, NULL, LOCK_MAY_ALL);
    }
    /* Set since the plan was made; the other repository goes. */
    struct plan plan = plan_by(w, REPO_OF("app*"), "root");
    lock(w, "app", NULL, NULL, NO_DELETE);
    struct finding r = receipt_of(w, apply_by(w, &plan, "root"));
    WHY("the repository app is locked", item_of(&r, "app", "v1", NULL));
    WHY("the repository app is locked", item_of(&r, "app", NULL, &a.digest));
    WHY(NULL, item_of(&r, "apple", "v1", NULL));
    COUNT(2, TAGS);
    /* Single images are not the repository. */
    plan = plan_by(w, IMAGE_OF("app", "v1"), "root");
    assert_int_equal(0, plan.protected_items);
    r = receipt_of(w, apply_by(w, &plan, "root"));
    WHY(NULL, item_of(&r, "app", "v1", NULL));
    COUNT(1, TAGS);
    SOUND();
}

static void locks_bind_undo(void **state)
{
    struct world *w = *state;
    struct made a, b;
    push_image(w, "app", "a", "v1", &a);
    push_image(w, "app", "b", "v2", &b);
    struct plan plan = plan_by(w, REPO_OF("app"), "root");
    int64_t id = apply_by(w, &plan, "root");
    lock(w, "app", NULL, NULL, NO_WRITE);
    struct finding u = receipt_of(w, undo_by(w, id, (struct undo_request){ 0 }, "root"));
    WHY("the repository app is locked", item_of(&u, "app", "v1", NULL));
    COUNT(0, TAGS);
    lock(w, "app", NULL, NULL, NO_DELETE); /* which is no push */
    lock(w, "app", "v1", NULL, NO_WRITE);
    u = receipt_of(w, undo_by(w, id, (struct undo_request){ 0 }, "root"));
    WHY("the tag v1 of app is locked", item_of(&u, "app", "v1", NULL));
    WHY(NULL, item_of(&u, "app", "v2", NULL));
    COUNT(1, TAGS);
    u = receipt_of(w, undo_by(w, id, (struct undo_request){ .as = STR("v3") }, "root"));
    WHY(NULL, item_of(&u, "app", "v3", NULL));
    /* Moving a tag that is there. */
    OK(order(w, "root", DELETION_TAG, "v2", NULL));
    push_image(w, "app", "c", "v2", &a);
    lock(w, "app", "v2", NULL, NO_WRITE);
    id = world_count(w, "SELECT max(id) FROM receipt");
    u = receipt_of(w, undo_by(w, id, (struct undo_request){ .force = true }, "root"));
    WHY("the tag v2 of app is locked", item_of(&u, "app", "v2", NULL));
    SOUND();
}

/* What lies in the trash stays there when its lock says so. */
static void locks_bind_emptying_the_trash(void **state)
{
    struct world *w = *state;
    struct made a;
    push_image(w, "app", "a", "v1", &a);
    struct plan plan = plan_by(w, IMAGE_OF("app", "v1"), "root");
    (void)apply_by(w, &plan, "root");
    COUNT(1, TRASH);
    lock(w, "app", NULL, &a.digest, NO_DELETE);
    plan = plan_by(w, TRASH_OF("app"), "root");
    assert_int_equal(0, plan.manifests);
    (void)apply_by(w, &plan, "root");
    OK(world_settle(w));
    COUNT(1, TRASH);
    SOUND();
    lock(w, "app", NULL, &a.digest, LOCK_MAY_ALL);
    OK(world_settle(w));
    EMPTY();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ACCESS_TEST(levels_bind_orders),
        ACCESS_TEST(levels_bind_nobody_without_accounts),
        ACCESS_TEST(levels_bind_plans),
        ACCESS_TEST(levels_go_by_the_repository),
        ACCESS_TEST(later_steps_are_the_receipts_actor),
        ACCESS_TEST(levels_bind_undo),
        ACCESS_TEST(locks_bind_orders),
        ACCESS_TEST(a_locked_manifest_goes_when_it_is_free),
        ACCESS_TEST(locks_bind_plans),
        ACCESS_TEST(a_locked_repository_does_not_go_whole),
        ACCESS_TEST(locks_bind_undo),
        ACCESS_TEST(locks_bind_emptying_the_trash),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
