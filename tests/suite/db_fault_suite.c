/* SPDX-License-Identifier: Apache-2.0
 *
 * Database calls that fail: each allocation, file call and SQL step in turn, and a full disk. After
 * each: a failure is told, what was acknowledged is there, what failed is not, nothing leaks (run
 * under ASan), and the next call works.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <sys/mount.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/rng.h"
#include "db/db_sqlite.h"
#include "db_fixture.h"

#ifdef EBB_FAULTS
static const bool have_faults = true;
#else
static const bool have_faults = false;
#endif

static int set_up(void **state)
{
    static struct fixture f;
    fixture_make(&f);
    *state = &f;
    return 0;
}

static int tear_down(void **state)
{
    fault_disarm();
    fixture_remove(*state);
    return 0;
}

static bool is_there(struct fixture *f, const char *name)
{
    struct item item = { .name = name };
    struct err err = { 0 };
    enum st st = db_read(f->db, item_find, &item, &err);
    if (st != ST_OK && st != ST_NOT_FOUND)
        fail_msg("%s", err.text);
    return st == ST_OK;
}

static enum st open_now(struct fixture *f, struct err *err)
{
    const struct db_options options = { .path = f->path, .log_max_bytes = 64 * KIB };
    return db_open(&options, fixture_schema, FIXTURE_STEPS, &f->db, err);
}

static void expect_message(const struct err *err, enum st st)
{
    assert_int_equal(err->st, st);
    assert_true(err->text[0] != '\0');
}

/* One write and one read while a fault is armed; false when the fault was not reached. */
static bool try_write(struct fixture *f, enum fault_kind kind, uint64_t nth, bool all_after,
                      int64_t *expected)
{
    struct err err = { 0 };
    char name[32];
    (void)snprintf(name, sizeof(name), "%d-%llu-%d", kind, (unsigned long long)nth, all_after);
    struct item item = { .name = name };
    fault_arm(kind, nth, all_after);
    enum st st = db_write(f->db, item_add, &item, &err);
    if (st != ST_OK)
        expect_message(&err, st);
    struct item found = { .name = name };
    enum st read = db_read(f->db, item_find, &found, &err);
    if (read != ST_OK)
        expect_message(&err, read);
    bool fired = fault_fired();
    fault_disarm();
    if (read == ST_OK || read == ST_NOT_FOUND)
        assert_int_equal(read == ST_OK, st == ST_OK);
    assert_int_equal(is_there(f, name), st == ST_OK);
    *expected += st == ST_OK;
    (void)snprintf(name, sizeof(name), "%d-%llu-%d+", kind, (unsigned long long)nth, all_after);
    fixture_add(f, name, 0);
    ++*expected;
    assert_int_equal(fixture_count(f), *expected);
    return fired;
}

static void fail_writes(struct fixture *f, enum fault_kind kind)
{
    if (!have_faults)
        skip();
    struct err err = { 0 };
    int64_t expected = 0;
    for (int all_after = 0; all_after < 2; all_after++) {
        bool fired = true;
        for (uint64_t nth = 1; fired; nth++) {
            /* A fresh start in between, so that caches are cold and the log is read again. */
            if (nth % 8 == 1) {
                fixture_close(f);
                if (open_now(f, &err) != ST_OK)
                    fail_msg("%s", err.text);
                assert_int_equal(fixture_count(f), expected);
            }
            fired = try_write(f, kind, nth, all_after != 0, &expected);
        }
    }
    assert_int_equal(db_check(f->db, &err), ST_OK);
}

static void sql_steps_in_turn(void **state)
{
    fail_writes(*state, FAULT_SQL);
}

static void allocations_in_turn(void **state)
{
    fail_writes(*state, FAULT_ALLOC);
}

static void file_calls_in_turn(void **state)
{
    fail_writes(*state, FAULT_IO);
}

/* Opening while each call fails in turn: a database that has to be made, or one that is there. */
static void fail_opens(struct fixture *f, enum fault_kind kind, bool fresh)
{
    if (!have_faults)
        skip();
    bool fired = true;
    for (uint64_t nth = 1; fired; nth++) {
        struct err err = { 0 };
        fault_arm(kind, nth, false);
        enum st st = open_now(f, &err);
        fired = fault_fired();
        if (st == ST_OK) /* closing fails as well, and loses nothing */
            fixture_close(f);
        else
            expect_message(&err, st);
        fault_disarm();
        assert_null(f->db);
        if (open_now(f, &err) != ST_OK)
            fail_msg("after failure %llu: %s", (unsigned long long)nth, err.text);
        char name[24];
        (void)snprintf(name, sizeof(name), "%llu", (unsigned long long)nth);
        fixture_add(f, name, 1);
        assert_int_equal(fixture_count(f), fresh ? 1 : (int64_t)nth);
        fixture_close(f);
        if (fresh)
            assert_int_equal(unlink(f->path), 0);
    }
}

static void opening_sql(void **state)
{
    fail_opens(*state, FAULT_SQL, true);
    fail_opens(*state, FAULT_SQL, false);
}

static void opening_allocations(void **state)
{
    fail_opens(*state, FAULT_ALLOC, true);
    fail_opens(*state, FAULT_ALLOC, false);
}

static void opening_file_calls(void **state)
{
    fail_opens(*state, FAULT_IO, true);
    fail_opens(*state, FAULT_IO, false);
}

/* 3: a function whose neighbour makes the engine give up the transaction is run again. */
struct late {
    sem_t entered, go;
    unsigned runs;
};

static enum st hold_first_time(struct db_tx *tx, void *ctx, struct err *err)
{
    struct late *late = ctx;
    struct item item = { .name = "held" };
    if (late->runs++ == 0) {
        (void)sem_post(&late->entered);
        (void)sem_wait(&late->go);
    }
    return item_add(tx, &item, err);
}

static enum st give_up(struct db_tx *tx, void *ctx, struct err *err)
{
    struct late *late = ctx;
    late->runs++;
    return db_run(tx, "INSERT OR ROLLBACK INTO item (name, number) VALUES ('twin', 1), ('twin', 2)",
                  DB_NO_ARGS, NULL, err);
}

struct call {
    struct fixture *f;
    db_fn fn;
    void *ctx;
    enum st st;
};

static void *call_main(void *ctx)
{
    struct call *call = ctx;
    call->st = db_write(call->f->db, call->fn, call->ctx, NULL);
    return NULL;
}

#define NEIGHBOURS 6

static void repeated_3_after_a_lost_transaction(void **state)
{
    struct fixture *f = *state;
    fixture_open(f, (struct db_options){ 0 });
    struct late late = { 0 }, bad = { 0 };
    (void)sem_init(&late.entered, 0, 0);
    (void)sem_init(&late.go, 0, 0);
    struct item items[NEIGHBOURS] = { { .name = "a" }, { .name = "b" }, { .name = "c" },
                                      { .name = "d" }, { .name = "e" }, { .name = "f" } };
    struct call calls[NEIGHBOURS + 2];
    pthread_t threads[NEIGHBOURS + 2];
    calls[0] = (struct call){ .f = f, .fn = hold_first_time, .ctx = &late };
    calls[1] = (struct call){ .f = f, .fn = give_up, .ctx = &bad };
    for (size_t i = 0; i < NEIGHBOURS; i++)
        calls[i + 2] = (struct call){ .f = f, .fn = item_add, .ctx = &items[i] };
    (void)pthread_create(&threads[0], NULL, call_main, &calls[0]);
    (void)sem_wait(&late.entered);
    for (size_t i = 1; i < NEIGHBOURS + 2; i++)
        (void)pthread_create(&threads[i], NULL, call_main, &calls[i]);
    fixture_wait_queued(f, NEIGHBOURS + 1); /* one batch */
    (void)sem_post(&late.go);
    for (size_t i = 0; i < NEIGHBOURS + 2; i++)
        (void)pthread_join(threads[i], NULL);
    assert_int_equal(calls[1].st, ST_EXISTS);
    for (size_t i = 0; i < NEIGHBOURS + 2; i++)
        assert_true(i == 1 || calls[i].st == ST_OK);
    assert_int_equal(fixture_count(f), NEIGHBOURS + 1);
    assert_false(is_there(f, "twin"));
    assert_int_equal(bad.runs, 2); /* in the batch, and alone */
    (void)sem_destroy(&late.entered);
    (void)sem_destroy(&late.go);
}

/* A function that ignores that the engine gave its transaction up must not write outside of one. */
static enum st go_on(struct db_tx *tx, void *ctx, struct err *err)
{
    struct item stray = { .name = "stray" };
    struct late unused = { 0 };
    (void)ctx;
    if (give_up(tx, &unused, err) == ST_OK || item_add(tx, &stray, err) == ST_OK)
        return err_set(err, ST_BUG, "this cannot be");
    return ST_OK;
}

static void atomic_2_lost_transaction_ignored(void **state)
{
    struct fixture *f = *state;
    fixture_open(f, (struct db_options){ 0 });
    struct err err = { 0 };
    assert_int_equal(db_write(f->db, go_on, NULL, &err), ST_IO);
    assert_false(is_there(f, "stray"));
    fixture_add(f, "next", 1);
    assert_int_equal(fixture_count(f), 1);
}

/* --- syncs --- */

/* 1: nothing is acknowledged whose log was not synced. A process cannot lose its power, so this
 * counts the syncs instead: fewer than one a commit would be too few. */
static void durable_1_each_commit_syncs(void **state)
{
    struct fixture *f = *state;
    if (!have_faults)
        skip();
    fixture_open(f, (struct db_options){ 0 });
    fixture_add(f, "first", 0); /* begins the log */
    for (int i = 0; i < 10; i++) {
        char name[24];
        (void)snprintf(name, sizeof(name), "%d", i);
        uint64_t before = db_fault_log_syncs();
        fixture_add(f, name, 0);
        assert_true(db_fault_log_syncs() > before);
    }
}

/* --- a full disk --- */

static enum st add_big(struct db_tx *tx, void *ctx, struct err *err)
{
    return db_run(tx, "INSERT INTO item (name, number, note) VALUES ($1, 0, hex(zeroblob(10000)))",
                  DB_ARGS(DB_TEXT(str_of(ctx))), NULL, err);
}

static enum st drop_one(struct db_tx *tx, void *ctx, struct err *err)
{
    return db_run(tx, "DELETE FROM item WHERE name = $1", DB_ARGS(DB_TEXT(str_of(ctx))), NULL, err);
}

/* Takes up to `size` bytes of the disk, in the place of what it took before. */
static void take_space(const char *path, size_t size)
{
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    static const char bytes[4096] = { 1 };
    for (size_t n = 0; n < size && write(fd, bytes, sizeof(bytes)) > 0; n += sizeof(bytes))
        ;
    (void)close(fd);
}

static int64_t write_until_full(struct fixture *f, int64_t from)
{
    struct err err = { 0 };
    char name[32];
    for (int64_t i = from; i < 10000; i++) {
        (void)snprintf(name, sizeof(name), "%lld", (long long)i);
        enum st st = db_write(f->db, add_big, name, &err);
        if (st == ST_OK)
            continue;
        if (st != ST_FULL)
            fail_msg("%s", err.text);
        return i;
    }
    fail_msg("the disk did not fill");
    return 0;
}

static void full_disk_6(void **state)
{
    struct fixture *f = *state;
    if (unshare(CLONE_NEWNS) != 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount("tmpfs", f->dir, "tmpfs", 0, "size=8m") != 0) {
        print_message("no right to mount: %s\n", strerror(errno));
        skip();
    }
    char ballast[200];
    struct err err = { 0 };
    (void)snprintf(ballast, sizeof(ballast), "%s/ballast", f->dir);
    fixture_open(f, (struct db_options){ .log_max_bytes = MIB });
    for (int round = 0; round < 2; round++) {
        take_space(ballast, 2 * MIB);
        int64_t written = write_until_full(f, 0);
        written = write_until_full(f, written);              /* the log may have started over */
        assert_int_equal(fixture_count(f), written + round); /* reading goes on */
        take_space(ballast, 0);
        fixture_add(f, round == 0 ? "first" : "second", 1); /* room again */
        for (int64_t i = 0; i < written; i++) {
            char name[32];
            (void)snprintf(name, sizeof(name), "%lld", (long long)i);
            if (db_write(f->db, drop_one, name, &err) != ST_OK)
                fail_msg("%lld of %lld: %s", (long long)i, (long long)written, err.text);
        }
    }
    assert_int_equal(db_check(f->db, &err), ST_OK);
    fixture_close(f);
    fixture_open(f, (struct db_options){ 0 });
    assert_int_equal(fixture_count(f), 2);
    fixture_close(f);
    assert_int_equal(umount2(f->dir, MNT_DETACH), 0);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(sql_steps_in_turn),
        TEST(allocations_in_turn),
        TEST(file_calls_in_turn),
        TEST(opening_sql),
        TEST(opening_allocations),
        TEST(opening_file_calls),
        TEST(durable_1_each_commit_syncs),
        TEST(atomic_2_lost_transaction_ignored),
        TEST(full_disk_6),
        TEST(repeated_3_after_a_lost_transaction),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
