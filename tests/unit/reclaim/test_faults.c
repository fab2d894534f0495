/* SPDX-License-Identifier: Apache-2.0
 *
 * Every SQL step, allocation and file call of each operation fails in turn, once and with all that
 * follow. Each time: the failure is told, nothing leaks (the sanitizer sees to that), all
 * invariants hold, what was acknowledged before is there, and the operation works when it is
 * repeated.
 */
#include "base/fault.h"
#include "world_test.h"

#ifndef EBB_FAULTS

int main(void)
{
    return 77; /* skipped: built without -Dfaults=true */
}

#else

struct operation {
    const char *name;
    enum st (*run)(struct world *w);
    void (*check)(struct world *w); /* that it was done */
};

static struct made old, image, child, parent; /* as prepare() makes them */
static struct digest loose_blob, fresh_blob;

/* A registry in which each operation has much to do. */
static void prepare(struct world *w)
{
    loose_blob = world_digest("loose");
    fresh_blob = world_digest("fresh");
    push_image(w, "app", "old", "v1", &old);
    push_image(w, "app", "image", NULL, &image);
    push_image(w, "app", "child", NULL, &child);
    OK(world_push(w, "app", &child, NULL));
    made_index(&parent, "parent");
    made_add_child(&parent, &child.digest);
    OK(world_push(w, "app", &parent, "index"));
    OK(world_upload(w, "app", "loose"));
}

static enum st push(struct world *w)
{
    return world_push(w, "app", &image, "v1");
}

static void check_push(struct world *w)
{
    struct digest found;
    OK(world_get_tag(w, "app", "v1", &found));
    assert_true(digest_eq(&found, &image.digest));
}

static enum st upload(struct world *w)
{
    return world_upload(w, "app", "fresh");
}

static void check_upload(struct world *w)
{
    OK(world_get_blob(w, "app", &fresh_blob));
}

static enum st mount(struct world *w)
{
    return world_mount(w, "other", "app", &loose_blob);
}

static void check_mount(struct world *w)
{
    OK(world_get_blob(w, "other", &loose_blob));
}

static enum st head(struct world *w)
{
    w->now += WORLD_LEASE;
    enum st st = world_head_blob(w, "app", &loose_blob);
    w->now -= WORLD_LEASE;
    return st;
}

static void check_head(struct world *w)
{
    OK(world_get_blob(w, "app", &loose_blob));
}

static enum st delete_tag(struct world *w)
{
    enum st st = world_delete_tag(w, "app", "index");
    return st;
}

static void check_delete_tag(struct world *w)
{
    COUNT(2, "SELECT count(*) FROM manifest WHERE due_at IS NOT NULL AND receipt_id IS NULL");
}

static enum st delete_manifest(struct world *w)
{
    return world_delete_manifest(w, "app", &parent.digest);
}

static void check_delete_manifest(struct world *w)
{
    IS(ST_NOT_FOUND, world_get_manifest(w, "app", &parent.digest));
    OK(world_get_manifest(w, "app", &child.digest)); /* loose */
    COUNT(1, "SELECT count(*) FROM receipt");
    COUNT(3, "SELECT count(*) FROM receipt_item"); /* with the child that became loose */
}

static enum st delete_blob(struct world *w)
{
    return world_delete_blob(w, "app", &loose_blob);
}

static void check_delete_blob(struct world *w)
{
    IS(ST_NOT_FOUND, world_get_blob(w, "app", &loose_blob));
    COUNT(1, "SELECT count(*) FROM receipt_item");
}

/* Everything but what v1 reaches is let go; the loose blobs and an upload are due. */
static enum st reclaim(struct world *w)
{
    return world_reclaim(w);
}

static void check_reclaim(struct world *w)
{
    COUNT(1, "SELECT count(*) FROM manifest");
    COUNT(2, "SELECT count(*) FROM blob");
    COUNT(0, "SELECT count(*) FROM upload");
    COUNT(0, "SELECT count(*) FROM doomed");
    assert_int_equal(world_names(w), 2);
}

static const struct operation operations[] = {
    { "push", push, check_push },
    { "upload", upload, check_upload },
    { "mount", mount, check_mount },
    { "head", head, check_head },
    { "delete tag", delete_tag, check_delete_tag },
    { "delete manifest", delete_manifest, check_delete_manifest },
    { "delete blob", delete_blob, check_delete_blob },
    { "reclaim", reclaim, check_reclaim },
};

static void prepare_for(struct world *w, const struct operation *op)
{
    prepare(w);
    if (op->run != reclaim)
        return;
    char name[33];
    OK(world_delete_manifest(w, "app", &parent.digest));
    world_name(w, name);
    OK(registry_start_upload(&w->r, STR("app"), str_of(name), STR_NONE, w->now, &w->err));
    OK(world_write(w, name, "some"));
    w->now += WORLD_GRACE + w->r.upload_rest_ms;
}

/* What v1 named before stays readable, whatever fails. */
static void check_old(struct world *w)
{
    OK(world_get_manifest(w, "app", &old.digest));
    for (size_t i = 0; i < 2; i++)
        OK(world_get_blob(w, "app", &old.parts[i].digest));
}

/* An operation may have been done although its answer was a failure: then its repetition says so.
 */
static bool is_done_already(const struct operation *op, enum st st)
{
    return st == ST_NOT_FOUND &&
           (op->run == delete_tag || op->run == delete_manifest || op->run == delete_blob);
}

static bool fail_nth(struct world *w, const struct operation *op, enum fault_kind kind, uint64_t n,
                     bool all_after)
{
    prepare_for(w, op);
    struct blob_store *store = w->r.store;
    fault_arm(kind, n, all_after);
    w->err = (struct err){ 0 };
    enum st st = op->run(w);
    fault_disarm();
    bool fired = fault_fired();
    if (st != ST_OK && (w->err.st != st || w->err.text[0] == '\0'))
        fail_msg("%s: a failure without words", op->name);
    if (st != ST_OK && !fired)
        fail_msg("%s: %s", op->name, w->err.text);
    if (st != ST_OK && st != ST_IO && st != ST_NO_MEMORY)
        fail_msg("%s, number %llu: %s (%s)", op->name, (unsigned long long)n, st_text(st),
                 w->err.text);
    w->r.store = store;
    SOUND();
    check_old(w);
    if (st != ST_OK) {
        st = op->run(w);
        assert_true(st == ST_OK || is_done_already(op, st));
        SOUND();
    }
    op->check(w);
    return fired;
}

/* All of the first, which are the operation's own; then the engine's allocations by the thousand,
 * of which ever fewer are tried. */
static uint64_t step_after(enum fault_kind kind, uint64_t n)
{
    return kind == FAULT_ALLOC && n > 40 ? 1 + n / 16 : 1;
}

static void fail_each(enum fault_kind kind, bool all_after)
{
    for (size_t i = 0; i < ARRAY_LEN(operations); i++) {
        uint64_t n = 1;
        for (bool fired = true; fired; n += step_after(kind, n)) {
            struct world world;
            if (!world_open(&world, ""))
                fail_msg("%s", world.err.text);
            fired = fail_nth(&world, &operations[i], kind, n, all_after);
            world_close(&world);
        }
        if (getenv("FAULTS_VERBOSE") != NULL)
            print_message("%s: %llu\n", operations[i].name, (unsigned long long)n);
        if (n < 3 && kind != FAULT_IO)
            fail_msg("%s: nothing was made to fail", operations[i].name);
    }
}

static void each_sql_step(void **state)
{
    (void)state;
    fail_each(FAULT_SQL, false);
}

static void each_sql_step_and_all_after(void **state)
{
    (void)state;
    fail_each(FAULT_SQL, true);
}

static void each_allocation(void **state)
{
    (void)state;
    fail_each(FAULT_ALLOC, false);
}

static void each_file_call(void **state)
{
    (void)state;
    fail_each(FAULT_IO, false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_sql_step),
        cmocka_unit_test(each_sql_step_and_all_after),
        cmocka_unit_test(each_allocation),
        cmocka_unit_test(each_file_call),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#endif
