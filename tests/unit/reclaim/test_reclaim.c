/* SPDX-License-Identifier: Apache-2.0 */
#include "world_test.h"

static void nothing_due_does_nothing(void **state)
{
    struct world *w = *state;
    struct made image;
    struct reclaim_report report = { 0 };
    push_image(w, "app", "image", "v1", &image);
    OK(reclaim_step(&w->r, NULL, w->now, &report, &w->err));
    w->now += 100 * CLOCK_DAY_MS;
    OK(reclaim_step(&w->r, NULL, w->now, &report, &w->err));
    assert_int_equal(report.removed.links + report.removed.manifests + report.names, 0);
    assert_false(report.more);
    SOUND();
}

static void report_counts_what_went(void **state)
{
    struct world *w = *state;
    struct made image;
    struct digest twin = world_digest("image/layer");
    push_image(w, "app", "image", "v1", &image);
    OK(world_mount(w, "other", "app", &twin));
    OK(world_delete_manifest(w, "app", &image.digest));
    w->now += WORLD_GRACE;
    OK(world_head_blob(w, "other", &twin)); /* shared: only the rest is freed */
    struct reclaim_report report = { 0 };
    OK(reclaim_step(&w->r, NULL, w->now, &report, &w->err));
    assert_int_equal(report.removed.manifests, 1);
    assert_int_equal(report.removed.links, 2);
    assert_int_equal(report.removed.blobs, 1);
    assert_int_equal(report.removed.bytes, strlen("image") + strlen("image/config"));
    assert_int_equal(report.names, 1);
    assert_int_equal(world_names(w), 1);
    SOUND();
}

#define MANY (3 * RECLAIM_BATCH + 1)

static void more_than_a_batch(void **state)
{
    struct world *w = *state;
    for (int i = 0; i < MANY; i++) {
        struct made image;
        char name[32];
        (void)snprintf(name, sizeof(name), "image %d", i);
        made_image(&image, name);
        struct digest d = world_digest(name);
        OK(world_upload(w, "app", name));
        made_add_blob(&image, &d, false);
        OK(world_push(w, "app", &image, NULL));
    }
    w->now += WORLD_GRACE;
    struct reclaim_report report = { 0 };
    int steps = 0;
    do {
        uint64_t before = report.removed.manifests;
        OK(reclaim_step(&w->r, NULL, w->now, &report, &w->err));
        assert_true(report.removed.manifests - before <= RECLAIM_BATCH);
        steps++;
        SOUND();
    } while (report.more);
    assert_int_equal(steps, 4);
    assert_int_equal(report.removed.manifests, MANY);
    EMPTY();
}

/* More children than a batch, all due with their index and found before it. */
static void wide_index_goes_at_once(void **state)
{
    struct world *w = *state;
    static struct made index; /* three indexes of up to 64 below one */
    struct made top;
    made_index(&top, "top");
    for (int i = 0; i < 3; i++) {
        char name[32];
        (void)snprintf(name, sizeof(name), "index %d", i);
        made_index(&index, name);
        for (int k = 0; k < MADE_PARTS_MAX; k++) {
            struct made leaf;
            (void)snprintf(name, sizeof(name), "leaf %d of %d", k, i);
            made_image(&leaf, name);
            OK(world_push(w, "app", &leaf, NULL));
            made_add_child(&index, &leaf.digest);
        }
        OK(world_push(w, "app", &index, NULL));
        made_add_child(&top, &index.digest);
    }
    OK(world_push(w, "app", &top, "v1"));
    OK(world_delete_manifest(w, "app", &top.digest));
    COUNT(3 * MADE_PARTS_MAX + 4, "SELECT count(*) FROM manifest WHERE due_at IS NOT NULL");
    w->now += WORLD_GRACE;
    OK(world_reclaim(w));
    EMPTY();
}

/* A name whose bytes cannot be removed stays doomed, and goes when they can be. */
static void removal_is_repeated(void **state)
{
    struct world *w = *state;
    struct blob_store *broken = NULL;
    struct reclaim_report report = { 0 };
    OK(world_upload(w, "app", "bytes"));
    OK(blob_fault_new(w->mem, 1, 1, &broken, &w->err));
    w->r.store = broken;
    w->now += WORLD_GRACE;
    OK(reclaim_step(&w->r, NULL, w->now, &report, &w->err));
    assert_int_equal(report.failures, 1);
    assert_int_equal(report.names, 0);
    COUNT(0, "SELECT count(*) FROM blob");
    COUNT(1, "SELECT count(*) FROM doomed");
    SOUND();
    w->r.store = w->mem;
    OK(world_reclaim(w)); /* not yet */
    COUNT(1, "SELECT count(*) FROM doomed");
    w->now += CLOCK_MINUTE_MS;
    OK(world_reclaim(w));
    EMPTY();
    w->mem = broken; /* which owns the other one now */
}

/* A crash after the bytes went and before the row went. */
static void removed_but_still_doomed(void **state)
{
    struct world *w = *state;
    struct digest d = world_digest("bytes");
    OK(world_upload(w, "app", "bytes"));
    w->now += WORLD_GRACE;
    char name[33];
    (void)snprintf(name, sizeof(name), "%032d", 1); /* the first that was given out */
    const str names[] = { str_of(name) };
    OK(world_delete_blob(w, "app", &d));
    w->now += WORLD_GRACE;
    OK(blob_remove(w->mem, names, 1, &w->err));
    OK(world_reclaim(w));
    EMPTY();
}

/* A repository whose last blob goes goes too; another upload makes it again. */
static void empty_repository_goes(void **state)
{
    struct world *w = *state;
    OK(world_upload(w, "app", "bytes"));
    w->now += WORLD_GRACE;
    OK(world_reclaim(w));
    COUNT(0, "SELECT count(*) FROM repository");
    OK(world_upload(w, "app", "bytes"));
    SOUND();
}

/* A blob that more loose manifests than are looked at share with a kept one. */
static void many_loose_users_and_a_kept_one(void **state)
{
    struct world *w = *state;
    struct digest d = world_digest("shared");
    OK(world_upload(w, "app", "shared"));
    for (int i = 0; i < 20; i++) {
        struct made image;
        char name[32];
        (void)snprintf(name, sizeof(name), "image %d", i);
        made_image(&image, name);
        made_add_blob(&image, &d, false);
        OK(world_push(w, "app", &image, i == 19 ? "v1" : NULL));
    }
    w->now += WORLD_GRACE;
    OK(world_reclaim(w));
    COUNT(1, "SELECT count(*) FROM manifest");
    OK(world_get_blob(w, "app", &d));
    OK(world_settle(w));
    COUNT(1, "SELECT count(*) FROM repo_blob WHERE due_at IS NULL");
    SOUND();
}

static void loop_runs_and_stops(void **state)
{
    struct world *w = *state;
    struct reclaim_loop *loop = NULL;
    w->now = clock_utc_ms() - 10 * CLOCK_DAY_MS; /* the loop has the real clock */
    OK(world_upload(w, "app", "bytes"));
    OK(reclaim_loop_start(&w->r, &(struct reclaim_options){ .interval_ms = 1 }, &loop, &w->err));
    while (world_count(w, "SELECT count(*) FROM doomed") +
               world_count(w, "SELECT count(*) FROM blob") >
           0)
        ; /* the test's timeout is the limit */
    reclaim_loop_stop(loop);
    EMPTY();
    reclaim_loop_stop(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WORLD_TEST(nothing_due_does_nothing), WORLD_TEST(report_counts_what_went),
        WORLD_TEST(more_than_a_batch),        WORLD_TEST(wide_index_goes_at_once),
        WORLD_TEST(removal_is_repeated),      WORLD_TEST(removed_but_still_doomed),
        WORLD_TEST(empty_repository_goes),    WORLD_TEST(many_loose_users_and_a_kept_one),
        WORLD_TEST(loop_runs_and_stops),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
