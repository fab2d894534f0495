/* SPDX-License-Identifier: Apache-2.0
 *
 * The contract of db/db.h. Tests are named after its numbers. What a crash, a full disk and faults
 * do is in db_crash_suite.c and db_fault_suite.c.
 */
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/metric.h"
#include "db_fixture.h"

static int set_up(void **state)
{
    static struct fixture f;
    fixture_make(&f);
    fixture_open(&f, (struct db_options){ .no_sync = true });
    *state = &f;
    return 0;
}

static int tear_down(void **state)
{
    fixture_remove(*state);
    return 0;
}

static enum st find(struct fixture *f, const char *name, int64_t *number)
{
    struct item item = { .name = name };
    enum st st = db_read(f->db, item_find, &item, NULL);
    *number = item.number;
    return st;
}

/* 1, as far as one process can tell: it is there after a close and an open. */
static void durable_1_after_reopening(void **state)
{
    struct fixture *f = *state;
    fixture_add(f, "a", 7);
    fixture_close(f);
    fixture_open(f, (struct db_options){ 0 });
    int64_t number;
    assert_int_equal(find(f, "a", &number), ST_OK);
    assert_int_equal(number, 7);
    struct stat about;
    assert_int_equal(stat(f->path, &about), 0);
    assert_int_equal(about.st_mode & 0777, 0600);
}

static void atomic_2_failure_leaves_no_trace(void **state)
{
    struct fixture *f = *state;
    struct item item = { .name = "a", .fail = ST_DENIED };
    struct err err = { 0 };
    assert_int_equal(db_write(f->db, item_add, &item, &err), ST_DENIED);
    assert_string_equal(err.text, "asked to fail");
    assert_int_equal(fixture_count(f), 0);
}

/* A writer that holds the writer thread until it is let go, so that others queue behind it. */
struct gate {
    sem_t entered, go;
    atomic_bool open;
};

static enum st gate_fn(struct db_tx *tx, void *ctx, struct err *err)
{
    (void)tx;
    (void)err;
    struct gate *gate = ctx;
    if (atomic_load(&gate->open))
        return ST_OK; /* repeated */
    (void)sem_post(&gate->entered);
    (void)sem_wait(&gate->go);
    atomic_store(&gate->open, true);
    return ST_OK;
}

struct writer {
    struct fixture *f;
    db_fn fn;
    void *ctx;
    enum st st;
    struct err err;
    pthread_t thread;
};

static void *writer_main(void *ctx)
{
    struct writer *writer = ctx;
    writer->st = db_write(writer->f->db, writer->fn, writer->ctx, &writer->err);
    return NULL;
}

static void writer_start(struct writer *writer, struct fixture *f, db_fn fn, void *ctx)
{
    *writer = (struct writer){ .f = f, .fn = fn, .ctx = ctx };
    assert_int_equal(pthread_create(&writer->thread, NULL, writer_main, writer), 0);
}

#define GROUP 32

static void atomic_2_neighbours_in_a_batch_commit(void **state)
{
    struct fixture *f = *state;
    struct gate gate = { 0 };
    (void)sem_init(&gate.entered, 0, 0);
    (void)sem_init(&gate.go, 0, 0);
    struct writer first, writers[GROUP];
    struct item items[GROUP];
    char names[GROUP][8];
    writer_start(&first, f, gate_fn, &gate);
    (void)sem_wait(&gate.entered);
    int64_t commits = metric_cell_get(metric_cell(METRIC_DB_COMMITS, ""));
    for (int i = 0; i < GROUP; i++) {
        (void)snprintf(names[i], sizeof(names[i]), "n%d", i);
        items[i] = (struct item){ .name = names[i], .fail = i % 3 == 0 ? ST_DENIED : ST_OK };
        writer_start(&writers[i], f, item_add, &items[i]);
    }
    fixture_wait_queued(f, GROUP);
    (void)sem_post(&gate.go);
    (void)pthread_join(first.thread, NULL);
    assert_int_equal(first.st, ST_OK);
    for (int i = 0; i < GROUP; i++) {
        (void)pthread_join(writers[i].thread, NULL);
        int64_t number;
        assert_int_equal(writers[i].st, i % 3 == 0 ? ST_DENIED : ST_OK);
        assert_int_equal(find(f, names[i], &number), i % 3 == 0 ? ST_NOT_FOUND : ST_OK);
    }
    commits = metric_cell_get(metric_cell(METRIC_DB_COMMITS, "")) - commits;
    assert_int_equal(commits, 2); /* the first, and all others together */
}

/* A constraint that is checked at the end belongs to the function that broke it. */
static enum st dangling_part(struct db_tx *tx, void *ctx, struct err *err)
{
    (void)ctx;
    return db_run(tx, "INSERT INTO part (item, content) VALUES ($1, $2)",
                  DB_ARGS(DB_INT(4711), DB_BYTES(STR("\0x"))), NULL, err);
}

static void atomic_2_deferred_constraint(void **state)
{
    struct fixture *f = *state;
    struct gate gate = { 0 };
    (void)sem_init(&gate.entered, 0, 0);
    (void)sem_init(&gate.go, 0, 0);
    struct writer first, bad, good;
    struct item item = { .name = "good" };
    writer_start(&first, f, gate_fn, &gate);
    (void)sem_wait(&gate.entered);
    writer_start(&bad, f, dangling_part, NULL);
    writer_start(&good, f, item_add, &item);
    fixture_wait_queued(f, 2);
    (void)sem_post(&gate.go);
    (void)pthread_join(first.thread, NULL);
    (void)pthread_join(bad.thread, NULL);
    (void)pthread_join(good.thread, NULL);
    assert_int_equal(bad.st, ST_MISSING_PART);
    assert_int_equal(good.st, ST_OK);
    assert_int_equal(fixture_count(f), 1);
}

static void atomic_2_constraint_is_named(void **state)
{
    struct fixture *f = *state;
    fixture_add(f, "a", 1);
    struct item item = { .name = "a", .number = 2 };
    struct err err = { 0 };
    assert_int_equal(db_write(f->db, item_add, &item, &err), ST_EXISTS);
    assert_non_null(strstr(err.text, "UNIQUE constraint failed: item.name"));
}

/* A function that goes on after a failure of the engine must not be committed. */
static enum st ignore_failure(struct db_tx *tx, void *ctx, struct err *err)
{
    struct item item = { .name = "a" };
    enum st st = item_add(tx, &item, err);
    if (st == ST_OK && db_run(tx, "INSERT INTO nowhere VALUES (1)", DB_NO_ARGS, NULL, ctx) == ST_OK)
        return err_set(err, ST_BUG, "there is no such table");
    return st;
}

static void atomic_2_ignored_failure(void **state)
{
    struct fixture *f = *state;
    struct err inner;
    assert_int_equal(db_write(f->db, ignore_failure, &inner, NULL), ST_BUG);
    assert_int_equal(fixture_count(f), 0);
}

/* 3 and 6: outputs of the caller are set by success alone; *err by failure alone. */
static void failure_6_err_is_set(void **state)
{
    struct fixture *f = *state;
    struct err err = { .st = ST_OK, .text = "untouched" };
    struct item item = { .name = "a" };
    assert_int_equal(db_write(f->db, item_add, &item, &err), ST_OK);
    assert_int_equal(db_read(f->db, item_find, &item, &err), ST_OK);
    assert_string_equal(err.text, "untouched");
    item.name = "nobody";
    assert_int_equal(db_read(f->db, item_find, &item, &err), ST_NOT_FOUND);
    assert_int_equal(err.st, ST_NOT_FOUND);
    item.name = "a";
    assert_int_equal(db_write(f->db, item_add, &item, &err), ST_EXISTS);
    assert_int_equal(err.st, ST_EXISTS);
}

struct snapshot {
    struct fixture *f;
    int64_t before, after;
};

static void *add_one(void *ctx)
{
    fixture_add(ctx, "new", 1);
    return NULL;
}

static enum st count_twice(struct db_tx *tx, void *ctx, struct err *err)
{
    struct snapshot *s = ctx;
    struct item item = { 0 };
    enum st st = item_count(tx, &item, err);
    s->before = item.number;
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, add_one, s->f), 0);
    (void)pthread_join(thread, NULL); /* acknowledged while this snapshot is open */
    if (st == ST_OK)
        st = item_count(tx, &item, err);
    s->after = item.number;
    return st;
}

static void snapshot_4(void **state)
{
    struct snapshot s = { .f = *state };
    assert_int_equal(db_read(s.f->db, count_twice, &s, NULL), ST_OK);
    assert_int_equal(s.before, 0);
    assert_int_equal(s.after, 0);
    assert_int_equal(fixture_count(s.f), 1);
}

static enum st write_in_read(struct db_tx *tx, void *ctx, struct err *err)
{
    (void)ctx;
    struct item item = { .name = "a" };
    return item_add(tx, &item, err);
}

static void snapshot_4_is_for_reading(void **state)
{
    struct fixture *f = *state;
    assert_int_not_equal(db_read(f->db, write_in_read, NULL, NULL), ST_OK);
    assert_int_equal(fixture_count(f), 0);
}

struct busy_thread {
    struct fixture *f;
    atomic_int *failures;
    int number;
};

static void *own_writes_are_seen(void *ctx)
{
    const struct busy_thread *t = ctx;
    for (int i = 0; i < 40; i++) {
        char name[24];
        (void)snprintf(name, sizeof(name), "%d-%d", t->number, i);
        struct item item = { .name = name, .number = i };
        struct item found = { .name = name, .number = -1 };
        if (db_write(t->f->db, item_add, &item, NULL) != ST_OK ||
            db_read(t->f->db, item_find, &found, NULL) != ST_OK || found.number != i)
            atomic_fetch_add(t->failures, 1);
    }
    return NULL;
}

static void run_busy_threads(struct fixture *f)
{
    atomic_int failures = 0;
    pthread_t threads[GROUP];
    struct busy_thread contexts[GROUP];
    for (int i = 0; i < GROUP; i++) {
        contexts[i] = (struct busy_thread){ f, &failures, i };
        assert_int_equal(pthread_create(&threads[i], NULL, own_writes_are_seen, &contexts[i]), 0);
    }
    for (int i = 0; i < GROUP; i++)
        (void)pthread_join(threads[i], NULL);
    assert_int_equal(failures, 0);
    assert_int_equal(fixture_count(f), GROUP * 40);
}

static void snapshot_4_sees_what_was_acknowledged(void **state)
{
    run_busy_threads(*state);
}

static void snapshot_4_in_memory(void **state)
{
    struct fixture f = { 0 };
    (void)state;
    fixture_open(&f, (struct db_options){ .readers_max = 3, .group_max = 5 });
    run_busy_threads(&f);
    fixture_close(&f);
}

static enum st all_kinds(struct db_tx *tx, void *ctx, struct err *err)
{
    (void)ctx;
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    enum st st = db_one(tx, &rows, "SELECT $1, $2, $3, $4, $5, $1 + 1",
                        DB_ARGS(DB_INT(INT64_MIN), DB_TEXT(STR_NONE), DB_BYTES(STR("a\0b")),
                                DB_NULL, DB_TEXT_OR_NULL(STR_NONE)),
                        err);
    if (st != ST_OK)
        return st;
    assert_true(db_int(&rows, 0) == INT64_MIN);
    assert_false(db_is_null(&rows, 1));
    assert_true(db_text(&rows, 1).ptr != NULL && db_text(&rows, 1).len == 0);
    assert_true(str_eq(db_bytes(&rows, 2), STR("a\0b")));
    assert_true(db_is_null(&rows, 3) && db_text(&rows, 3).ptr == NULL && db_int(&rows, 3) == 0);
    assert_true(db_is_null(&rows, 4));
    assert_true(db_int(&rows, 5) == INT64_MIN + 1);
    return ST_OK;
}

static void arguments_and_columns(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(db_read(f->db, all_kinds, NULL, NULL), ST_OK);
}

/* The same text open twice, rows past the end, a count of changes. */
static enum st nested_rows(struct db_tx *tx, void *ctx, struct err *err)
{
    static const char by_number[] = "SELECT number FROM item WHERE number >= $1 ORDER BY number";
    int64_t *sum = ctx;
    *sum = 0;
    int64_t changed = -1;
    enum st st = db_run(tx, "UPDATE item SET note = $1", DB_ARGS(DB_NULL), &changed, err);
    if (st == ST_OK && changed != 3)
        return err_set(err, ST_BUG, "%d changes", (int)changed);
    AUTO(db_rows_close) struct db_rows outer = { 0 };
    if (st == ST_OK)
        st = db_select(tx, &outer, by_number, DB_ARGS(DB_INT(0)), err);
    while (st == ST_OK && (st = db_next(&outer, err)) == ST_OK) {
        AUTO(db_rows_close) struct db_rows inner = { 0 };
        st = db_select(tx, &inner, by_number, DB_ARGS(DB_INT(db_int(&outer, 0))), err);
        while (st == ST_OK && (st = db_next(&inner, err)) == ST_OK)
            *sum += db_int(&inner, 0);
        if (st == ST_END)
            st = db_next(&inner, err) == ST_END ? ST_OK : ST_BUG; /* stays at the end */
    }
    return st == ST_END ? ST_OK : st;
}

static void rows_nest(void **state)
{
    struct fixture *f = *state;
    fixture_add(f, "a", 1);
    fixture_add(f, "b", 2);
    fixture_add(f, "c", 3);
    int64_t sum;
    assert_int_equal(db_write(f->db, nested_rows, &sum, NULL), ST_OK);
    assert_int_equal(sum, 1 + 2 + 3 + 2 + 3 + 3);
}

/* More statements than the cache holds, some of them in use at the same time. */
static enum st many_statements(struct db_tx *tx, void *ctx, struct err *err)
{
    const char(*texts)[32] = ctx;
    struct db_rows rows[300] = { 0 };
    enum st st = ST_OK;
    for (size_t i = 0; st == ST_OK && i < 300; i++) {
        st = db_one(tx, &rows[i], texts[i], DB_NO_ARGS, err);
        if (st == ST_OK && db_int(&rows[i], 0) != (int64_t)i)
            st = err_set(err, ST_BUG, "statement %zu gave another's row", i);
        if (i % 2 == 0)
            db_rows_close(&rows[i]);
    }
    for (size_t i = 0; i < 300; i++)
        db_rows_close(&rows[i]);
    return st;
}

static void statements_beyond_the_cache(void **state)
{
    struct fixture *f = *state;
    static char texts[300][32];
    for (int i = 0; i < 300; i++)
        (void)snprintf(texts[i], sizeof(texts[i]), "SELECT %d", i);
    struct err err = { 0 };
    for (int round = 0; round < 3; round++) {
        assert_int_equal(db_read(f->db, many_statements, texts, &err), ST_OK);
        assert_int_equal(db_write(f->db, many_statements, texts, &err), ST_OK);
    }
}

static enum st bad_sql(struct db_tx *tx, void *ctx, struct err *err)
{
    const char *const *sql = ctx;
    return db_run(tx, *sql, DB_ARGS(DB_INT(1), DB_INT(2)), NULL, err);
}

static void bad_statements_are_refused(void **state)
{
    static const char texts[][32] = {
        "SELECT $2, $1", "SELECT ?, ?", "SELECT $1", "SELECT $1, $2; SELECT 1", "", "SELECT $1, $2",
    };
    struct fixture *f = *state;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        assert_int_equal(db_write(f->db, bad_sql, &(const char *){ texts[i] }, NULL), ST_BUG);
}

static void migrations(void **state)
{
    struct fixture *f = *state;
    struct err err = { 0 };
    fixture_add(f, "a", 1);
    fixture_close(f);
    struct db_migration steps[4] = {
        fixture_schema[0],
        fixture_schema[1],
        { 3, "CREATE TABLE more (id @ID); INSERT INTO more VALUES (1); -- @ID\n" },
        { 4, "INSERT INTO item (name, number) VALUES ('@x', 2); INSERT INTO gone VALUES (1)" },
    };
    const struct db_options options = { .path = f->path };
    struct db_status status;
    /* An upgrade. */
    assert_int_equal(db_open(&options, steps, 3, &f->db, &err), ST_OK);
    assert_int_equal(db_get_status(f->db, &status, &err), ST_OK);
    assert_int_equal(status.schema_version, 3);
    assert_true(status.bytes > 0);
    fixture_close(f);
    /* A broken step leaves what was there. */
    assert_int_equal(db_open(&options, steps, 4, &f->db, &err), ST_BUG);
    assert_null(f->db);
    assert_non_null(strstr(err.text, "schema step 4"));
    assert_int_equal(db_open(&options, steps, 3, &f->db, &err), ST_OK);
    assert_int_equal(fixture_count(f), 1);
    assert_int_equal(db_check(f->db, &err), ST_OK);
    fixture_close(f);
    /* A newer schema is refused and the message says what is needed. */
    assert_int_equal(db_open(&options, steps, 2, &f->db, &err), ST_UNSUPPORTED);
    assert_non_null(strstr(err.text, "version 3"));
    assert_non_null(strstr(err.text, "up to 2"));
}

static void damaged_file_is_named(void **state)
{
    struct fixture *f = *state;
    struct err err = { 0 };
    fixture_close(f);
    FILE *file = fopen(f->path, "w");
    assert_non_null(file);
    for (int i = 0; i < 4096; i++)
        (void)fputs("no database ", file);
    (void)fclose(file);
    const struct db_options options = { .path = f->path };
    assert_int_equal(db_open(&options, fixture_schema, FIXTURE_STEPS, &f->db, &err), ST_CORRUPT);
    assert_null(f->db);
    static const char path[] = "/nonexistent/ebb.db";
    const struct db_options nowhere = { .path = path };
    assert_int_equal(db_open(&nowhere, fixture_schema, FIXTURE_STEPS, &f->db, &err), ST_NOT_FOUND);
    assert_non_null(strstr(err.text, path));
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(durable_1_after_reopening),
        TEST(atomic_2_failure_leaves_no_trace),
        TEST(atomic_2_neighbours_in_a_batch_commit),
        TEST(atomic_2_deferred_constraint),
        TEST(atomic_2_constraint_is_named),
        TEST(atomic_2_ignored_failure),
        TEST(failure_6_err_is_set),
        TEST(snapshot_4),
        TEST(snapshot_4_is_for_reading),
        TEST(snapshot_4_sees_what_was_acknowledged),
        cmocka_unit_test(snapshot_4_in_memory),
        TEST(arguments_and_columns),
        TEST(rows_nest),
        TEST(statements_beyond_the_cache),
        TEST(bad_statements_are_refused),
        TEST(migrations),
        TEST(damaged_file_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
