/* SPDX-License-Identifier: Apache-2.0
 *
 * An object that fails is put off, counted, shown, and stops nobody.
 */
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "meta/doomed.h"
#include "world_test.h"

static enum st run_sql(struct db_tx *tx, void *ctx, struct err *err)
{
    return db_run(tx, ctx, DB_NO_ARGS, NULL, err);
}

static void change(struct world *w, const char *sql)
{
    OK(db_write(w->r.db, run_sql, (void *)(uintptr_t)sql, &w->err));
}

struct shown {
    struct arena arena;
    struct reclaim_failure *list;
    size_t count;
};

static enum st list(struct db_tx *tx, void *ctx, struct err *err)
{
    struct shown *s = ctx;
    return reclaim_failures_list(tx, 100, &s->arena, &s->list, &s->count, err);
}

static void show(struct world *w, struct shown *s)
{
    arena_release(&s->arena);
    OK(db_read(w->r.db, list, s, &w->err));
}

struct resetting {
    int64_t now;
    uint64_t count;
};

static enum st reset(struct db_tx *tx, void *ctx, struct err *err)
{
    struct resetting *c = ctx;
    return reclaim_failures_reset(tx, c->now, &c->count, err);
}

static uint64_t reset_all(struct world *w)
{
    struct resetting c = { .now = w->now };
    OK(db_write(w->r.db, reset, &c, &w->err));
    return c.count;
}

/* Steps until nothing more is due; what failed. */
static uint64_t reclaim(struct world *w)
{
    struct reclaim_report report = { 0 };
    do {
        OK(reclaim_step(&w->r, NULL, w->now, &report, &w->err));
    } while (report.more);
    return report.failures;
}

static void backoff_doubles_up_to_a_day(void **state)
{
    (void)state;
    assert_int_equal(reclaim_backoff_ms(1), CLOCK_MINUTE_MS);
    assert_int_equal(reclaim_backoff_ms(2), 2 * CLOCK_MINUTE_MS);
    assert_int_equal(reclaim_backoff_ms(5), 16 * CLOCK_MINUTE_MS);
    assert_int_equal(reclaim_backoff_ms(11), 1024 * CLOCK_MINUTE_MS);
    assert_int_equal(reclaim_backoff_ms(12), CLOCK_DAY_MS);
    assert_int_equal(reclaim_backoff_ms(UINT64_MAX), CLOCK_DAY_MS);
}

/* Images, one of which has a digest that nobody can read. */
#define IMAGES 100

static int64_t push_images(struct world *w)
{
    for (int i = 0; i < IMAGES; i++) {
        struct made image;
        char name[32];
        (void)snprintf(name, sizeof(name), "image %d", i);
        made_image(&image, name);
        struct digest d = world_digest(name);
        OK(world_upload(w, "app", name));
        made_add_blob(&image, &d, false);
        OK(world_push(w, "app", &image, NULL));
    }
    return world_count(w, "SELECT min(id) + 7 FROM manifest");
}

static void corrupt_digest_stops_nobody(void **state)
{
    struct world *w = *state;
    struct shown s = { 0 };
    int64_t id = push_images(w);
    change(w, "CREATE TABLE whole AS SELECT id, digest FROM manifest");
    change(w, "UPDATE manifest SET digest = x'ff00' WHERE id = (SELECT min(id) + 7 FROM manifest)");
    w->now += WORLD_GRACE;
    assert_int_equal(reclaim(w), 1);
    COUNT(1, "SELECT count(*) FROM manifest");
    COUNT(1, "SELECT count(*) FROM blob"); /* its own */
    assert_int_equal(world_names(w), 1);
    show(w, &s);
    assert_int_equal(s.count, 1);
    assert_int_equal(s.list[0].kind, RECLAIM_MANIFEST);
    assert_int_equal(s.list[0].failures, 1);
    assert_int_equal(s.list[0].first_at, w->now);
    assert_int_equal(s.list[0].last_at, w->now);
    assert_int_equal(s.list[0].next_at, w->now + CLOCK_MINUTE_MS);
    assert_true(s.list[0].error.len > 0);
    char text[64];
    (void)snprintf(text, sizeof(text), "app@(row %lld)", (long long)id);
    assert_true(str_eq(s.list[0].object, str_of(text)));

    assert_int_equal(reclaim(w), 0); /* not before its time */
    for (uint64_t n = 2; n <= 14; n++) {
        int64_t first_at = s.list[0].first_at;
        w->now = s.list[0].next_at;
        assert_int_equal(reclaim(w), 1);
        show(w, &s);
        assert_int_equal(s.count, 1);
        assert_int_equal(s.list[0].failures, n);
        assert_int_equal(s.list[0].first_at, first_at);
        assert_int_equal(s.list[0].last_at, w->now);
        assert_int_equal(s.list[0].next_at, w->now + reclaim_backoff_ms(n));
    }

    /* Healed: it goes at the next try, and is forgotten. */
    change(w, "UPDATE manifest SET digest ="
              " (SELECT digest FROM whole WHERE whole.id = manifest.id)");
    assert_int_equal(reclaim(w), 0);
    COUNT(1, "SELECT count(*) FROM manifest");
    assert_int_equal(reset_all(w), 1);
    assert_int_equal(reclaim(w), 0);
    COUNT(0, "SELECT count(*) FROM reclaim_failure");
    COUNT(0, "SELECT count(*) FROM manifest");
    w->now += CLOCK_DAY_MS; /* when its blob is looked at again */
    assert_int_equal(reclaim(w), 0);
    EMPTY();
    arena_release(&s.arena);
}

/* A tag keeps it again: it is no failure any more. */
static void kept_again_is_forgotten(void **state)
{
    struct world *w = *state;
    (void)push_images(w);
    change(w, "UPDATE manifest SET digest = x'ff00' WHERE id = (SELECT min(id) FROM manifest)");
    w->now += WORLD_GRACE;
    assert_int_equal(reclaim(w), 1);
    COUNT(1, "SELECT count(*) FROM reclaim_failure");
    change(w, "UPDATE manifest SET due_at = NULL");
    assert_int_equal(reclaim(w), 0);
    COUNT(0, "SELECT count(*) FROM reclaim_failure");
}

/* A link whose blob is read-protected by a broken trigger: any failing row will do. */
static void failing_link_stops_nobody(void **state)
{
    struct world *w = *state;
    struct shown s = { 0 };
    for (int i = 0; i < IMAGES; i++) {
        char name[32];
        (void)snprintf(name, sizeof(name), "blob %d", i);
        OK(world_upload(w, "app", name));
    }
    change(w, "CREATE TRIGGER broken BEFORE DELETE ON blob WHEN old.id = 5"
              " BEGIN SELECT RAISE(ABORT, 'broken on purpose'); END");
    w->now += WORLD_GRACE;
    assert_int_equal(reclaim(w), 1);
    COUNT(1, "SELECT count(*) FROM blob");
    assert_int_equal(world_names(w), 1);
    show(w, &s);
    assert_int_equal(s.count, 1);
    assert_int_equal(s.list[0].kind, RECLAIM_LINK);
    assert_true(str_starts(s.list[0].object, STR("app@sha256:")));
    change(w, "DROP TRIGGER broken");
    w->now += CLOCK_MINUTE_MS;
    assert_int_equal(reclaim(w), 0);
    COUNT(0, "SELECT count(*) FROM reclaim_failure");
    EMPTY();
    arena_release(&s.arena);
}

static void failing_upload_stops_nobody(void **state)
{
    struct world *w = *state;
    struct shown s = { 0 };
    char first[33], name[33];
    world_name(w, first);
    OK(registry_start_upload(&w->r, STR("app"), str_of(first), STR_NONE, w->now, &w->err));
    for (int i = 0; i < 90; i++) {
        world_name(w, name);
        OK(registry_start_upload(&w->r, STR("app"), str_of(name), STR_NONE, w->now, &w->err));
        OK(world_write(w, name, "some"));
    }
    char sql[256];
    (void)snprintf(sql, sizeof(sql),
                   "CREATE TRIGGER broken BEFORE DELETE ON upload WHEN old.id = '%s'"
                   " BEGIN SELECT RAISE(ABORT, 'broken on purpose'); END",
                   first);
    static char kept[256]; /* statements are told apart by their address */
    memcpy(kept, sql, sizeof(kept));
    change(w, kept);
    w->now += w->r.upload_rest_ms;
    assert_int_equal(reclaim(w), 1);
    COUNT(1, "SELECT count(*) FROM upload");
    assert_int_equal(world_names(w), 0);
    show(w, &s);
    assert_int_equal(s.count, 1);
    assert_int_equal(s.list[0].kind, RECLAIM_UPLOAD);
    assert_true(str_eq(s.list[0].object, str_of(first)));
    change(w, "DROP TRIGGER broken");
    assert_int_equal(reset_all(w), 1);
    assert_int_equal(reclaim(w), 0);
    COUNT(0, "SELECT count(*) FROM reclaim_failure");
    EMPTY();
    arena_release(&s.arena);
}

/* ---- names ----------------------------------------------------------------------------------- */

static enum st doom(struct db_tx *tx, void *ctx, struct err *err)
{
    struct world *w = ctx;
    for (int i = 0; i < 40; i++) {
        char name[33];
        (void)snprintf(name, sizeof(name), "%032x", (unsigned)i * 0x01000001U);
        enum st st = doomed_add(tx, str_of(name), 4, w->now, w->now, err);
        if (st != ST_OK)
            return st;
    }
    return ST_OK;
}

/* In a store of files, two names are folders that hold something: they cannot be unlinked. */
static void names_that_cannot_go(void **state)
{
    struct world *w = *state;
    struct shown s = { 0 };
    struct blob_store *fs = NULL;
    char dir[] = "/tmp/ebb-test-XXXXXX";
    char path[128];
    assert_non_null(mkdtemp(dir));
    OK(blob_fs_open(dir, &fs, &w->err));
    w->r.store = fs;
    for (int i = 0; i < 40; i++) {
        char name[33];
        struct blob_writer *writer = NULL;
        (void)snprintf(name, sizeof(name), "%032x", (unsigned)i * 0x01000001U);
        if (i % 20 == 7) {
            (void)snprintf(path, sizeof(path), "%s/%.2s/%s", dir, name, name + 2);
            assert_int_equal(mkdir(path, 0700), 0);
            continue;
        }
        OK(blob_writer_open(fs, str_of(name), 0, &writer, &w->err));
        OK(blob_writer_add(writer, "some", 4, &w->err));
        OK(blob_writer_finish(writer, &w->err));
        blob_writer_close(writer);
    }
    OK(db_write(w->r.db, doom, w, &w->err));
    assert_int_equal(reclaim(w), 2);
    COUNT(2, "SELECT count(*) FROM doomed");
    show(w, &s);
    assert_int_equal(s.count, 2);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(s.list[i].kind, RECLAIM_NAME);
        assert_int_equal(s.list[i].failures, 1);
        assert_int_equal(s.list[i].last_at, w->now);
        assert_int_equal(s.list[i].next_at, w->now + CLOCK_MINUTE_MS);
        assert_true(s.list[i].error.len > 0);
        assert_int_equal(s.list[i].object.len, 32);
    }
    assert_int_equal(reclaim(w), 0);
    w->now += CLOCK_MINUTE_MS;
    assert_int_equal(reclaim(w), 2);
    COUNT(2, "SELECT failures FROM doomed LIMIT 1");
    for (size_t i = 0; i < 2; i++) {
        (void)snprintf(path, sizeof(path), "%s/%.2s/%.30s", dir, s.list[i].object.ptr,
                       s.list[i].object.ptr + 2);
        assert_int_equal(rmdir(path), 0);
    }
    assert_int_equal(reset_all(w), 2);
    assert_int_equal(reclaim(w), 0);
    COUNT(0, "SELECT count(*) FROM doomed");
    for (unsigned i = 0; i < 256; i++) {
        (void)snprintf(path, sizeof(path), "%s/%02x", dir, i);
        assert_int_equal(rmdir(path), 0); /* every one is empty */
    }
    assert_int_equal(rmdir(dir), 0);
    w->r.store = w->mem;
    blob_store_free(fs);
    arena_release(&s.arena);
}

/* Every other call fails: what went is dropped, what did not waits, all goes in time. */
static void store_that_fails_now_and_then(void **state)
{
    struct world *w = *state;
    struct blob_store *broken = NULL;
    uint64_t failures = 0;
    OK(blob_fault_new(w->mem, 7, 2, &broken, &w->err));
    for (int round = 0; round < 20; round++) {
        w->r.store = w->mem;
        (void)push_images(w);
        w->r.store = broken;
        w->now += WORLD_GRACE;
        failures += reclaim(w);
        SOUND();
        for (int i = 0; i < 100 && world_count(w, "SELECT count(*) FROM doomed") > 0; i++) {
            w->now += CLOCK_DAY_MS;
            failures += reclaim(w);
            SOUND();
        }
        EMPTY();
    }
    assert_true(failures > 0);
    w->mem = broken; /* which owns the other one now */
}

/* A full disk is no object's fault. */
static void machine_that_fails_blames_nobody(void **state)
{
    struct world *w = *state;
    struct reclaim_report report = { 0 };
    (void)push_images(w);
    w->now += WORLD_GRACE;
    change(w, "CREATE TRIGGER broken BEFORE DELETE ON blob WHEN old.id = 5"
              " BEGIN SELECT RAISE(ABORT, 'broken on purpose'); END");
    change(w, "CREATE TRIGGER worse BEFORE INSERT ON reclaim_failure"
              " BEGIN SELECT RAISE(ABORT, 'broken as well'); END");
    assert_int_not_equal(reclaim_step(&w->r, NULL, w->now, &report, &w->err), ST_OK);
    COUNT(0, "SELECT count(*) FROM reclaim_failure");
    change(w, "DROP TRIGGER broken");
    change(w, "DROP TRIGGER worse");
    assert_int_equal(reclaim(w), 0);
    EMPTY();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(backoff_doubles_up_to_a_day), WORLD_TEST(corrupt_digest_stops_nobody),
        WORLD_TEST(kept_again_is_forgotten),           WORLD_TEST(failing_link_stops_nobody),
        WORLD_TEST(failing_upload_stops_nobody),       WORLD_TEST(names_that_cannot_go),
        WORLD_TEST(store_that_fails_now_and_then),     WORLD_TEST(machine_that_fails_blames_nobody),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
