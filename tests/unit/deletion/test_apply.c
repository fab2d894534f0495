/* SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>

#include "base/fault.h"
#include "deletion_test.h"

#define MANY 300 /* images: 600 items, three steps */

static char db_path[64];

static int file_setup(void **state)
{
    static struct world world;
    arena_release(&test_arena);
    (void)snprintf(db_path, sizeof(db_path), "/tmp/ebb-test-apply-%d.db", (int)getpid());
    (void)unlink(db_path);
    if (!world_open(&world, db_path)) {
        print_error("%s\n", world.err.text);
        return -1;
    }
    *state = &world;
    return 0;
}

static int file_teardown(void **state)
{
    char path[80];
    static const char *const ends[] = { "", "-wal", "-shm" };
    world_close(*state);
    for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
        (void)snprintf(path, sizeof(path), "%s%s", db_path, ends[i]);
        (void)unlink(path);
    }
    arena_release(&test_arena);
    return 0;
}

#define FILE_TEST(fn) cmocka_unit_test_setup_teardown(fn, file_setup, file_teardown)

/* ---- what is planned goes -------------------------------------------------------------------- */

static void plan_becomes_a_receipt(void **state)
{
    struct world *w = *state;
    struct made a, b, index, signature;
    int64_t id = 0;
    push_image(w, "app", "a", NULL, &a);
    push_image(w, "app", "b", "b", &b);
    OK(world_push(w, "app", &a, NULL));
    made_index(&index, "index");
    made_add_child(&index, &a.digest);
    made_add_child(&index, &b.digest);
    OK(world_push(w, "app", &index, "v1"));
    OK(world_push(w, "app", &index, "latest"));
    made_image(&signature, "signature");
    made_set_subject(&signature, &index.digest);
    OK(world_push(w, "app", &signature, NULL));
    struct plan plan = plan_of(w, IMAGE_OF("app", "v1"), false);
    OK(apply_of(w, &plan, &id));
    struct finding f = receipt_of(w, id);
    assert_true(f.receipt.sealed);
    assert_int_equal(f.receipt.kind, RECEIPT_DELETE);
    assert_int_equal(f.receipt.tags, 2);
    assert_int_equal(f.receipt.manifests, 3);
    assert_int_equal(f.receipt.skipped, 0);
    assert_int_equal(f.receipt.items, plan.items);
    assert_int_equal(f.receipt.bytes_freed, plan.bytes_freed);
    assert_int_equal(f.receipt.bytes_kept, plan.bytes_kept);
    assert_int_equal(f.receipt.due_at, w->now + WORLD_GRACE);
    assert_true(str_eq(f.receipt.plan_id, str_of(plan.id)));
    assert_true(str_eq(f.receipt.reason, STR("for a test")));
    assert_false(item_of(&f, "app", NULL, &index.digest)->with);
    assert_true(item_of(&f, "app", NULL, &a.digest)->with);
    assert_true(item_of(&f, "app", NULL, &signature.digest)->with);
    COUNT(1, TAGS);
    COUNT(1, TRASH);
    OK(world_get_manifest(w, "app", &b.digest));
    SOUND();
    CHAIN();
    OK(world_settle(w));
    OK(world_get_manifest(w, "app", &b.digest));
    COUNT(1, LIVE);
}

static void freed_bytes_are_those_of_the_plan(void **state)
{
    struct world *w = *state;
    push_many(w, "app", 10);
    int64_t before = world_count(w, "SELECT sum(size) FROM blob") +
                     world_count(w, "SELECT sum(size) FROM manifest");
    struct plan plan = plan_of(w, REPO_OF("app"), false);
    int64_t id = 0;
    OK(apply_of(w, &plan, &id));
    struct finding f = receipt_of(w, id);
    assert_int_equal(f.receipt.bytes_freed, plan.bytes_freed);
    assert_int_equal(f.receipt.bytes_freed, before);
    OK(world_settle(w));
    EMPTY();
}

static void unknown_and_expired_plans(void **state)
{
    struct world *w = *state;
    struct made m;
    int64_t id = 0;
    push_image(w, "app", "m", "v1", &m);
    struct plan plan = plan_of(w, TAG_OF("app", "v1"), false);
    struct plan none = plan;
    none.id[0] = none.id[0] == 'a' ? 'b' : 'a';
    IS(ST_NOT_FOUND, apply_of(w, &none, &id));
    w->now += CLOCK_HOUR_MS;
    IS(ST_NOT_FOUND, apply_of(w, &plan, &id));
    COUNT(0, "SELECT count(*) FROM receipt");
    COUNT(1, TAGS);
}

static void numbers_must_be_repeated(void **state)
{
    struct world *w = *state;
    push_many(w, "app", 4);
    struct plan plan = plan_of(w, REPO_OF("app"), true);
    int64_t id = 0;
    assert_int_equal(plan.confirm_tags, 4);
    struct apply_request request = { .plan_id = str_of(plan.id), .by = TEST_BY };
    static const struct {
        bool has_tags, has_bytes;
        uint64_t tags;
        int64_t bytes; /* added to what is right */
        enum st want;
    } rows[] = {
        { false, false, 0, 0, ST_DENIED }, { true, false, 4, 0, ST_DENIED },
        { false, true, 0, 0, ST_DENIED },  { true, true, 3, 0, ST_DENIED },
        { true, true, 4, 1, ST_DENIED },   { true, true, 4, 0, ST_OK },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        request.has_tags = rows[i].has_tags;
        request.confirm_tags = rows[i].tags;
        request.has_bytes = rows[i].has_bytes;
        request.confirm_bytes = plan.bytes_freed + (uint64_t)rows[i].bytes;
        COUNT(0, "SELECT count(*) FROM receipt");
        IS(rows[i].want, apply_plan(w->d, &request, w->now, &id, &w->err));
    }
    COUNT(0, TAGS);
}

/* ---- looked at again ------------------------------------------------------------------------- */

static void what_moved_stays(void **state)
{
    struct world *w = *state;
    struct made a, b, c, d, e, f, index;
    int64_t id = 0;
    push_image(w, "app", "a", "moved", &a);
    push_image(w, "app", "b", "gone", &b);
    push_image(w, "app", "c", "again", &c);
    push_image(w, "app", "d", "tagged", &d);
    push_image(w, "app", "e", "child", &e);
    push_image(w, "app", "f", "fine", &f);
    struct plan plan = plan_of(w, REPO_OF("app"), false);
    w->now += 1000;
    OK(world_push(w, "app", &b, "moved"));
    OK(world_delete_tag(w, "app", "gone"));
    OK(world_push(w, "app", &c, "again"));
    OK(world_push(w, "app", &d, "other"));
    made_index(&index, "index");
    made_add_child(&index, &e.digest);
    OK(world_push(w, "app", &index, "index"));
    OK(apply_of(w, &plan, &id));
    struct finding r = receipt_of(w, id);
    WHY("moved since the plan was made: it names sha256:", item_of(&r, "app", "moved", NULL));
    WHY("gone already", item_of(&r, "app", "gone", NULL));
    WHY("set again since", item_of(&r, "app", "again", NULL));
    WHY("pushed again since", item_of(&r, "app", NULL, &c.digest));
    WHY("pushed again since", item_of(&r, "app", NULL, &b.digest));
    WHY(NULL, item_of(&r, "app", "tagged", NULL));
    WHY(NULL, item_of(&r, "app", "child", NULL));
    WHY("part of the index", item_of(&r, "app", NULL, &e.digest));
    WHY(NULL, item_of(&r, "app", "fine", NULL));
    WHY(NULL, item_of(&r, "app", NULL, &f.digest));
    WHY(NULL, item_of(&r, "app", NULL, &a.digest)); /* its tag went elsewhere: loose */
    assert_int_equal(r.receipt.skipped, 7);
    OK(world_get_manifest(w, "app", &b.digest));
    OK(world_get_manifest(w, "app", &c.digest));
    OK(world_get_manifest(w, "app", &d.digest));
    OK(world_get_manifest(w, "app", &e.digest));
    IS(ST_NOT_FOUND, world_get_manifest(w, "app", &f.digest));
    SOUND();
    CHAIN();
    OK(world_settle(w));
    OK(world_get_manifest(w, "app", &e.digest));
    SOUND();
}

/* Each re-check alone, with nothing else in its way. */
static void each_check_alone(void **state)
{
    struct world *w = *state;
    struct made m, other, index;
    static const char *const why[] = { "the tag other names it", "part of the index",
                                       "it was deleted meanwhile", "gone already" };
    for (int i = 0; i < 4; i++) {
        char name[16];
        int64_t id = 0;
        (void)snprintf(name, sizeof(name), "m%d", i);
        push_image(w, "app", name, "v1", &m);
        push_image(w, "app", "keeper", "keeper", &other);
        struct plan plan = plan_of(w, IMAGE_OF("app", "v1"), false);
        if (i == 0) { /* in the same instant: no time tells that it was pushed again */
            OK(world_push(w, "app", &m, "other"));
        } else if (i == 1) {
            made_index(&index, "index");
            made_add_child(&index, &m.digest);
            OK(world_push(w, "app", &index, "index"));
        } else {
            OK(world_delete_manifest(w, "app", &m.digest));
        }
        if (i == 3) {
            w->now += WORLD_GRACE + CLOCK_MINUTE_MS;
            OK(world_reclaim(w));
            w->now -= WORLD_GRACE + CLOCK_MINUTE_MS;
        }
        OK(apply_of(w, &plan, &id));
        struct finding r = receipt_of(w, id);
        WHY(why[i], item_of(&r, "app", NULL, &m.digest));
        SOUND();
        (void)world_delete_tag(w, "app", "other");
        (void)world_delete_tag(w, "app", "index");
    }
}

struct protecting {
    struct rule rule;
    struct hold hold;
    struct keeping k;
};

static enum st protect(struct db_tx *tx, void *ctx, struct err *err)
{
    struct protecting *p = ctx;
    int64_t id = 0;
    if (p->rule.repo.ptr != NULL)
        return rules_add(tx, &p->rule, &id, err);
    return holds_add(tx, &p->hold, &p->k, &id, err);
}

static void what_became_protected_stays(void **state)
{
    struct world *w = *state;
    struct made a, b, c;
    int64_t id = 0;
    push_image(w, "app", "a", "release", &a);
    push_image(w, "app", "b", "held", &b);
    push_image(w, "app", "c", "other", &c);
    OK(world_upload(w, "app", "alone"));
    struct plan plan = plan_of(w, REPO_OF("app"), false);
    struct protecting p = { .rule = { .kind = RULE_PROTECTED,
                                      .repo = STR("app"),
                                      .tag = STR("release"),
                                      .actor = STR("x"),
                                      .created_at = w->now } };
    OK(db_write(w->r.db, protect, &p, &w->err));
    p = (struct protecting){ .hold = { .repo = STR("app"),
                                       .digest = b.digest,
                                       .reason = STR("evidence"),
                                       .actor = STR("x"),
                                       .created_at = w->now },
                             .k = w->r.keeping };
    OK(db_write(w->r.db, protect, &p, &w->err));
    OK(apply_of(w, &plan, &id));
    struct finding r = receipt_of(w, id);
    WHY("protected", item_of(&r, "app", "release", NULL));
    WHY("the tag release names it", item_of(&r, "app", NULL, &a.digest));
    WHY("evidence", item_of(&r, "app", "held", NULL));
    WHY(NULL, item_of(&r, "app", "other", NULL));
    COUNT(2, TAGS);
    SOUND();
}

static void direct_orders_are_protected(void **state)
{
    struct world *w = *state;
    struct made a;
    struct deletion_result result = { 0 };
    bool known = false;
    push_image(w, "app", "a", "v1", &a);
    struct protecting p = { .rule = { .kind = RULE_IMMUTABLE,
                                      .repo = STR("app"),
                                      .tag = STR("v*"),
                                      .actor = STR("x"),
                                      .created_at = w->now } };
    OK(db_write(w->r.db, protect, &p, &w->err));
    IS(ST_DENIED, world_delete_tag(w, "app", "v1"));
    IS(ST_DENIED, world_delete_manifest(w, "app", &a.digest)); /* not by the other door, either */
    struct deletion_order order = {
        .kind = DELETION_MANIFEST, .repo = STR("app"), .digest = a.digest, .by = TEST_BY
    };
    IS(ST_DENIED, deletion_apply(w->d, &order, w->now, &result, &known, &w->err));
    assert_false(result.in_use);
    order.kind = DELETION_BLOB;
    order.digest = a.parts[0].digest;
    IS(ST_DENIED, deletion_apply(w->d, &order, w->now, &result, &known, &w->err));
    assert_true(result.in_use);
    COUNT(0, "SELECT count(*) FROM receipt");
    COUNT(0, "SELECT count(*) FROM receipt_item");
    COUNT(1, TAGS);
    SOUND();
}

/* ---- without a grace ------------------------------------------------------------------------- */

static void now_skips_the_grace(void **state)
{
    struct world *w = *state;
    int64_t id = 0;
    push_many(w, "app", 3);
    struct plan plan = plan_of(w, REPO_OF("app"), true);
    OK(apply_of(w, &plan, &id));
    struct finding r = receipt_of(w, id);
    assert_true(r.receipt.immediate);
    assert_int_equal(r.receipt.due_at, w->now);
    assert_int_equal(r.receipt.bytes_freed, plan.bytes_freed);
    OK(world_reclaim(w));
    EMPTY();
    IS(ST_EXPIRED, undo_of(w, id, (struct undo_request){ 0 }, &id));
}

static void emptying_the_trash(void **state)
{
    struct world *w = *state;
    struct made kept;
    int64_t id = 0;
    int64_t undo_id = 0;
    push_many(w, "app", 3);
    push_many(w, "lib", 2);
    push_image(w, "app", "kept", "kept", &kept);
    OK(world_upload(w, "app", "alone"));
    struct digest alone = world_digest("alone");
    OK(world_delete_blob(w, "app", &alone));
    int64_t first = delete_all_of(w, IMAGE_OF("app", "t0"));
    int64_t second = delete_all_of(w, IMAGE_OF("app", "t1"));
    int64_t before = world_count(w, "SELECT sum(size) FROM blob") +
                     world_count(w, "SELECT sum(size) FROM manifest");
    struct plan plan = plan_of(w, TRASH_OF("app"), true);
    w->now += 1000;
    OK(apply_of(w, &plan, &id));
    struct finding r = receipt_of(w, id);
    assert_int_equal(r.receipt.skipped, 0);
    assert_int_equal(r.receipt.manifests, 2);
    assert_int_equal(r.receipt.blobs, 1);
    assert_int_equal(r.receipt.bytes_freed, plan.bytes_freed);
    /* Before the bytes are gone it is too late, too. */
    OK(undo_of(w, first, (struct undo_request){ 0 }, &undo_id));
    r = receipt_of(w, undo_id);
    assert_int_equal(r.receipt.skipped, r.receipt.items);
    WHY("emptied", item_of(&r, "app", "t0", NULL));
    OK(world_reclaim(w));
    int64_t after = world_count(w, "SELECT sum(size) FROM blob") +
                    world_count(w, "SELECT sum(size) FROM manifest");
    assert_int_equal(before - after, plan.bytes_freed);
    COUNT(0, TRASH);
    OK(undo_of(w, second, (struct undo_request){ 0 }, &undo_id));
    r = receipt_of(w, undo_id);
    WHY("gone for good", item_of(&r, "app", "t1", NULL));
    SOUND();
    CHAIN();
}

/* ---- once ------------------------------------------------------------------------------------ */

static void twice_is_one_receipt(void **state)
{
    struct world *w = *state;
    int64_t first = 0;
    int64_t second = 0;
    push_many(w, "app", MANY);
    struct plan plan = plan_of(w, REPO_OF("app"), false);
    OK(apply_of(w, &plan, &first));
    assert_false(receipt_of(w, first).receipt.sealed); /* after two steps */
    OK(apply_of(w, &plan, &second));
    assert_int_equal(first, second);
    OK(world_carry_on(w));
    OK(apply_of(w, &plan, &second));
    assert_int_equal(first, second);
    w->now += 2 * CLOCK_HOUR_MS; /* the plan is applied: it is found after its time */
    OK(apply_of(w, &plan, &second));
    assert_int_equal(first, second);
    struct finding r = receipt_of(w, first);
    assert_true(r.receipt.sealed);
    assert_int_equal(r.receipt.items, 2 * MANY);
    assert_int_equal(r.receipt.tags, MANY);
    assert_int_equal(r.receipt.bytes_freed, plan.bytes_freed);
    COUNT(1, "SELECT count(*) FROM receipt");
    COUNT(0, TAGS);
    SOUND();
    CHAIN();
}

struct racer {
    struct world *w;
    const struct plan *plan;
    int64_t receipt_id;
    enum st st;
    struct err err;
};

static void *race(void *arg)
{
    struct racer *r = arg;
    const struct apply_request request = { .plan_id = str_of(r->plan->id),
                                           .has_tags = true,
                                           .confirm_tags = r->plan->confirm_tags,
                                           .by = TEST_BY };
    r->st = apply_plan(r->w->d, &request, r->w->now, &r->receipt_id, &r->err);
    return NULL;
}

static void racing_callers_get_one_receipt(void **state)
{
    struct world *w = *state;
    struct racer racers[4];
    pthread_t threads[4];
    push_many(w, "app", MANY);
    struct plan plan = plan_of(w, REPO_OF("app"), false);
    for (size_t i = 0; i < 4; i++) {
        racers[i] = (struct racer){ .w = w, .plan = &plan };
        assert_int_equal(pthread_create(&threads[i], NULL, race, &racers[i]), 0);
    }
    for (size_t i = 0; i < 4; i++) {
        (void)pthread_join(threads[i], NULL);
        assert_int_equal(racers[i].st, ST_OK);
        assert_int_equal(racers[i].receipt_id, racers[0].receipt_id);
    }
    OK(world_carry_on(w));
    struct finding r = receipt_of(w, racers[0].receipt_id);
    assert_int_equal(r.receipt.items, 2 * MANY);
    assert_int_equal(r.receipt.skipped, 0);
    COUNT(1, "SELECT count(*) FROM receipt");
    SOUND();
    CHAIN();
}

/* ---- the thread, crashes, faults ------------------------------------------------------------- */

static void the_thread_finishes(void **state)
{
    struct world *w = *state;
    const struct deletion_options options = { .max_percent = 50,
                                              .plan_items_max = 100000,
                                              .plan_keep_ms = CLOCK_HOUR_MS,
                                              .receipts_keep_ms = CLOCK_DAY_MS };
    bool sealed = false;
    int64_t id = 0;
    push_many(w, "app", MANY);
    deletion_close(w->d);
    OK(deletion_open(&w->r, &options, &w->d, &w->err));
    struct plan plan = plan_of(w, REPO_OF("app"), false);
    OK(apply_of(w, &plan, &id));
    OK(deletion_wait(w->d, id, 60000, &sealed, &w->err));
    assert_true(sealed);
    struct finding r = receipt_of(w, id);
    assert_int_equal(r.receipt.items, 2 * MANY);
    SOUND();
    CHAIN();
}

/* The process dies after each number of steps; the next one finishes, by itself. */
static void crash_between_steps(void **state)
{
    struct world *w = *state;
    uint64_t rng = 7;
    int64_t id = 0;
    bool more = true;
    push_many(w, "app", 2 * MANY);
    struct plan plan = plan_of(w, REPO_OF("app"), false);
    OK(apply_of(w, &plan, &id));
    int crashes = 0;
    while (more) {
        uint64_t position = receipt_of(w, id).receipt.position;
        assert_true(world_crash(w, db_path, &rng));
        assert_int_equal(receipt_of(w, id).receipt.position, position);
        SOUND();
        w->now += 2 * CLOCK_HOUR_MS;
        OK(plan_expire(w->d, w->now, &w->err)); /* the plan stays while it is needed */
        OK(deletion_step(w->d, w->now, &more, &w->err));
        crashes++;
    }
    assert_true(crashes >= 3);
    struct finding r = receipt_of(w, id);
    assert_true(r.receipt.sealed);
    assert_int_equal(r.receipt.items, 4 * MANY);
    assert_int_equal(r.receipt.skipped, 0);
    assert_int_equal(r.receipt.bytes_freed, plan.bytes_freed);
    COUNT(0, TAGS);
    /* Each step has a whole grace; the receipt can be undone until that of the last is over. */
    COUNT(0, "SELECT count(*) FROM manifest WHERE due_at > (SELECT due_at FROM receipt)");
    assert_true(r.receipt.due_at - r.receipt.created_at > w->r.keeping.grace_ms);
    SOUND();
}

#ifdef EBB_FAULTS

/* Each SQL step of every step fails in turn. Nothing is lost or done twice, and it goes on. */
static void fail_each_step(bool all_after)
{
    uint64_t tried = 0;
    bool fired = true;
    for (uint64_t n = 1; fired; n += 1 + n / 8) {
        struct world world;
        struct world *w = &world;
        int64_t id = 0;
        arena_release(&test_arena);
        assert_true(world_open(w, ""));
        push_many(w, "app", 140); /* two steps */
        struct plan plan = plan_of(w, REPO_OF("app"), false);
        fault_arm(FAULT_SQL, n, all_after);
        w->err = (struct err){ 0 };
        enum st st = apply_of(w, &plan, &id);
        fault_disarm();
        fired = fault_fired();
        if (st != ST_OK && (st != ST_IO || w->err.text[0] == '\0' || !fired))
            fail_msg("number %llu: %s (%s)", (unsigned long long)n, st_text(st), w->err.text);
        SOUND();
        OK(apply_of(w, &plan, &id));
        OK(world_carry_on(w));
        struct finding r = receipt_of(w, id);
        assert_int_equal(r.receipt.items, 280);
        assert_int_equal(r.receipt.skipped, 0);
        assert_int_equal(r.receipt.bytes_freed, plan.bytes_freed);
        COUNT(1, "SELECT count(*) FROM receipt");
        COUNT(0, TAGS);
        SOUND();
        OK(db_read(w->r.db, verify_it, w, &w->err));
        world_close(w);
        tried++;
    }
    assert_true(tried > 20);
}

static void each_sql_step_fails(void **state)
{
    (void)state;
    fail_each_step(false);
}

static void each_sql_step_and_all_after_fail(void **state)
{
    (void)state;
    fail_each_step(true);
}

#endif

/* ---- whose it is ------------------------------------------------------------------------------
 */

struct visiting {
    int64_t id;
    int left;
    char text[100];
};

static bool visit(void *ctx, str repo)
{
    struct visiting *v = ctx;
    size_t len = strlen(v->text);
    (void)snprintf(v->text + len, sizeof(v->text) - len, "%.*s ", STR_FMT(repo));
    return --v->left > 0;
}

static enum st visit_repositories(struct db_tx *tx, void *ctx, struct err *err)
{
    struct visiting *v = ctx;
    return receipts_visit_repositories(tx, v->id, visit, v, err);
}

static void repositories_of_a_receipt(void **state)
{
    struct world *w = *state;
    struct made m;
    struct visiting v = { .left = 10 };
    push_image(w, "a", "x", "v1", &m);
    push_image(w, "a", "y", "v2", &m);
    push_image(w, "b/c", "z", "v1", &m);
    struct plan plan = plan_of(w, REPO_OF("**"), false);
    OK(apply_of(w, &plan, &v.id));
    OK(db_read(w->r.db, visit_repositories, &v, &w->err));
    assert_string_equal(v.text, "a b/c ");
    v = (struct visiting){ .id = v.id, .left = 1 };
    OK(db_read(w->r.db, visit_repositories, &v, &w->err));
    assert_string_equal(v.text, "a ");
    v = (struct visiting){ .id = v.id + 1, .left = 1 };
    OK(db_read(w->r.db, visit_repositories, &v, &w->err));
    assert_string_equal(v.text, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        DELETION_TEST(plan_becomes_a_receipt),
        DELETION_TEST(freed_bytes_are_those_of_the_plan),
        DELETION_TEST(unknown_and_expired_plans),
        DELETION_TEST(numbers_must_be_repeated),
        DELETION_TEST(what_moved_stays),
        DELETION_TEST(each_check_alone),
        DELETION_TEST(what_became_protected_stays),
        DELETION_TEST(direct_orders_are_protected),
        DELETION_TEST(now_skips_the_grace),
        DELETION_TEST(emptying_the_trash),
        DELETION_TEST(twice_is_one_receipt),
        DELETION_TEST(racing_callers_get_one_receipt),
        DELETION_TEST(the_thread_finishes),
        DELETION_TEST(repositories_of_a_receipt),
        FILE_TEST(crash_between_steps),
#ifdef EBB_FAULTS
        cmocka_unit_test(each_sql_step_fails),
        cmocka_unit_test(each_sql_step_and_all_after_fail),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
