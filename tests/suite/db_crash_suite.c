/* SPDX-License-Identifier: Apache-2.0
 *
 * What lasts: a process that is killed while it writes, a log that stays bounded under load, a sync
 * for each commit.
 */
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/metric.h"
#include "base/rng.h"
#include "db/db_sqlite.h"
#include "db_fixture.h"

static int set_up(void **state)
{
    static struct fixture f;
    fixture_make(&f);
    *state = &f;
    return 0;
}

static int tear_down(void **state)
{
    fixture_remove(*state);
    return 0;
}

/* --- kill -9 --- */

#define KILL_ROUNDS  20
#define KILL_THREADS 8

/* What is acknowledged, as it goes through the pipe: less than PIPE_BUF, so always whole. */
struct ack {
    int32_t round, thread, number;
};

struct killed_thread {
    struct fixture *f;
    int pipe;
    struct ack ack;
};

static void ack_name(const struct ack *ack, int part, char out[static 48])
{
    (void)snprintf(out, 48, "%d-%d-%d-%d", (int)ack->round, (int)ack->thread, (int)ack->number,
                   part);
}

/* Two rows: they come together or not at all. */
static enum st add_pair(struct db_tx *tx, void *ctx, struct err *err)
{
    enum st st = ST_OK;
    for (int part = 0; st == ST_OK && part < 2; part++) {
        char name[48];
        ack_name(ctx, part, name);
        struct item item = { .name = name, .number = part };
        st = item_add(tx, &item, err);
    }
    return st;
}

static void *write_until_killed(void *ctx)
{
    struct killed_thread *t = ctx;
    for (;; t->ack.number++) {
        if (db_write(t->f->db, add_pair, &t->ack, NULL) != ST_OK)
            _exit(1);
        if (write(t->pipe, &t->ack, sizeof(t->ack)) != (ssize_t)sizeof(t->ack))
            _exit(2);
    }
    return NULL;
}

static void child_main(struct fixture *f, int out, int round)
{
    const struct db_options options = { .path = f->path, .log_max_bytes = 256 * KIB };
    if (db_open(&options, fixture_schema, FIXTURE_STEPS, &f->db, NULL) != ST_OK)
        _exit(3);
    pthread_t thread = pthread_self();
    struct killed_thread threads[KILL_THREADS];
    for (int i = 0; i < KILL_THREADS; i++) {
        threads[i] = (struct killed_thread){ f, out, { round, i, 0 } };
        if (pthread_create(&thread, NULL, write_until_killed, &threads[i]) != 0)
            _exit(4);
    }
    (void)pthread_join(thread, NULL);
    _exit(5);
}

static void expect_rows(struct fixture *f, const struct ack *ack)
{
    for (int part = 0; part < 2; part++) {
        char name[48];
        ack_name(ack, part, name);
        struct item item = { .name = name };
        struct err err = { 0 };
        if (db_read(f->db, item_find, &item, &err) != ST_OK)
            fail_msg("%s was acknowledged: %s", name, err.text);
    }
}

static void killed_1(void **state)
{
    struct fixture *f = *state;
    uint64_t seed = 42;
    size_t total = 0;
    static struct ack acks[100000];
    for (int round = 0; round < KILL_ROUNDS; round++) {
        int ends[2];
        assert_int_equal(pipe(ends), 0);
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0)
            child_main(f, ends[1], round);
        (void)close(ends[1]);
        uint64_t until = total + 1 + rng_next(&seed) % 400;
        bool killed = false;
        while (total < ARRAY_LEN(acks) &&
               read(ends[0], &acks[total], sizeof(acks[0])) == (ssize_t)sizeof(acks[0])) {
            if (++total < until || killed)
                continue;
            for (uint64_t i = rng_next(&seed) % 64; i > 0; i--)
                (void)sched_yield(); /* another moment of the commit each time */
            assert_int_equal(kill(child, SIGKILL), 0);
            killed = true; /* and read what is left in the pipe */
        }
        (void)close(ends[0]);
        int how = 0;
        assert_int_equal(waitpid(child, &how, 0), child);
        assert_true(WIFSIGNALED(how) && WTERMSIG(how) == SIGKILL);
        struct err err = { 0 };
        fixture_open(f, (struct db_options){ 0 });
        assert_int_equal(db_check(f->db, &err), ST_OK);
        for (size_t i = 0; i < total; i++)
            expect_rows(f, &acks[i]);
        int64_t rows = fixture_count(f);
        assert_true(rows % 2 == 0 && (size_t)rows >= total * 2);
        fixture_close(f);
    }
    print_message("%zu acknowledged writes in %d rounds\n", total, KILL_ROUNDS);
}

/* --- the log's bound --- */

#define LOG_MAX     MIB
#define LOG_WRITERS 6
#define LOG_READERS 4
#define LOG_WRITES  1000  /* of each writer */
#define WRITE_BYTES 24000 /* of each write */
#define BATCH_BYTES (LOG_WRITERS * (WRITE_BYTES + 12 * 4120))

struct load {
    struct fixture *f;
    char log[200];
    atomic_int next;
    atomic_bool stop;
    atomic_int failures;
    atomic_llong highest;
};

static enum st put_bytes(struct db_tx *tx, void *ctx, struct err *err)
{
    const int *number = ctx;
    return db_run(
        tx,
        "INSERT INTO item (id, name, number, note) VALUES ($1, $1, 0, $2) "
        "ON CONFLICT (id) DO UPDATE SET note = excluded.note",
        DB_ARGS(DB_INT(*number % 50), DB_BYTES(((str){ (char[WRITE_BYTES]){ 1 }, WRITE_BYTES }))),
        NULL, err);
}

static uint64_t size_of(const char *path)
{
    struct stat about;
    return stat(path, &about) == 0 ? (uint64_t)about.st_size : 0;
}

static void *load_writer(void *ctx)
{
    struct load *load = ctx;
    for (int i = 0; i < LOG_WRITES; i++) {
        int number = atomic_fetch_add(&load->next, 1);
        if (db_write(load->f->db, put_bytes, &number, NULL) != ST_OK)
            atomic_fetch_add(&load->failures, 1);
        long long size = (long long)size_of(load->log);
        long long highest = atomic_load(&load->highest);
        while (size > highest && !atomic_compare_exchange_weak(&load->highest, &highest, size))
            ;
    }
    return NULL;
}

static enum st read_all(struct db_tx *tx, void *ctx, struct err *err)
{
    int64_t *sum = ctx;
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    enum st st = db_select(tx, &rows, "SELECT length(note) FROM item", DB_NO_ARGS, err);
    while (st == ST_OK && (st = db_next(&rows, err)) == ST_OK)
        *sum += db_int(&rows, 0);
    return st == ST_END ? ST_OK : st;
}

static void *load_reader(void *ctx)
{
    struct load *load = ctx;
    int64_t sum = 0;
    while (!atomic_load(&load->stop)) {
        if (db_read(load->f->db, read_all, &sum, NULL) != ST_OK)
            atomic_fetch_add(&load->failures, 1);
    }
    return NULL;
}

static void load_init(struct load *load, struct fixture *f)
{
    *load = (struct load){ .f = f };
    (void)snprintf(load->log, sizeof(load->log), "%s-wal", f->path);
    fixture_open(f, (struct db_options){ .log_max_bytes = LOG_MAX });
}

static void log_stays_bounded(void **state)
{
    static struct load load;
    load_init(&load, *state);
    pthread_t writers[LOG_WRITERS], readers[LOG_READERS];
    for (size_t i = 0; i < LOG_READERS; i++)
        assert_int_equal(pthread_create(&readers[i], NULL, load_reader, &load), 0);
    for (size_t i = 0; i < LOG_WRITERS; i++)
        assert_int_equal(pthread_create(&writers[i], NULL, load_writer, &load), 0);
    for (size_t i = 0; i < LOG_WRITERS; i++)
        (void)pthread_join(writers[i], NULL);
    atomic_store(&load.stop, true);
    for (size_t i = 0; i < LOG_READERS; i++)
        (void)pthread_join(readers[i], NULL);
    print_message("%d MB written, log at most %lld KiB of %d\n",
                  LOG_WRITERS * LOG_WRITES * (WRITE_BYTES / 1000) / 1000,
                  (long long)load.highest / 1024, (int)(LOG_MAX / 1024));
    assert_int_equal(load.failures, 0);
    assert_true((uint64_t)load.highest <= LOG_MAX + BATCH_BYTES);
}

/* A reader that stays keeps the log from starting over: writers wait at the bound and go on when it
 * leaves. */
struct staying {
    sem_t entered, go;
};

static enum st stay(struct db_tx *tx, void *ctx, struct err *err)
{
    struct staying *s = ctx;
    int64_t sum = 0;
    enum st st = read_all(tx, &sum, err);
    (void)sem_post(&s->entered);
    (void)sem_wait(&s->go);
    return st;
}

struct staying_thread {
    struct load *load;
    struct staying staying;
};

static void *staying_main(void *ctx)
{
    struct staying_thread *t = ctx;
    if (db_read(t->load->f->db, stay, &t->staying, NULL) != ST_OK)
        atomic_fetch_add(&t->load->failures, 1);
    return NULL;
}

static void log_waits_for_a_reader(void **state)
{
    static struct load load;
    load_init(&load, *state);
    fixture_add(load.f, "a", 1);
    struct staying_thread t = { .load = &load };
    (void)sem_init(&t.staying.entered, 0, 0);
    (void)sem_init(&t.staying.go, 0, 0);
    pthread_t reader, writer;
    assert_int_equal(pthread_create(&reader, NULL, staying_main, &t), 0);
    (void)sem_wait(&t.staying.entered);
    assert_int_equal(pthread_create(&writer, NULL, load_writer, &load), 0);
    while (size_of(load.log) < LOG_MAX)
        (void)sched_yield();
    int before = atomic_load(&load.next);
    for (int i = 0; i < 20000; i++)
        (void)sched_yield();
    assert_true(atomic_load(&load.next) <= before + 2); /* it waits */
    (void)sem_post(&t.staying.go);
    (void)pthread_join(reader, NULL);
    (void)pthread_join(writer, NULL);
    assert_int_equal(load.failures, 0);
    assert_int_equal(load.next, LOG_WRITES);
    assert_true((uint64_t)load.highest <= LOG_MAX + BATCH_BYTES);
}

/* With a reader that never leaves, a write fails and says why; it works again afterwards. */
static void log_bound_fails_writes_at_last(void **state)
{
    static struct load load;
    load_init(&load, *state);
    fixture_add(load.f, "a", 1);
    struct db_sqlite *engine = load.f->db->engine;
    engine->log.limit_wait_ms = 10;
    struct staying_thread t = { .load = &load };
    (void)sem_init(&t.staying.entered, 0, 0);
    (void)sem_init(&t.staying.go, 0, 0);
    pthread_t reader;
    assert_int_equal(pthread_create(&reader, NULL, staying_main, &t), 0);
    (void)sem_wait(&t.staying.entered);
    struct err err = { 0 };
    enum st st = ST_OK;
    for (int i = 0; st == ST_OK && i < LOG_WRITES; i++)
        st = db_write(load.f->db, put_bytes, &i, &err);
    assert_int_equal(st, ST_BUSY);
    assert_non_null(strstr(err.text, "reader"));
    assert_true(size_of(load.log) <= LOG_MAX + BATCH_BYTES);
    (void)sem_post(&t.staying.go);
    (void)pthread_join(reader, NULL);
    fixture_add(load.f, "b", 1);
}

/* --- another process --- */

static void other_process_reads(void **state)
{
    struct fixture *f = *state;
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork(); /* before there are threads and connections to inherit */
    assert_true(child >= 0);
    if (child == 0) {
        char go;
        struct item item = { 0 };
        const struct db_options options = { .path = f->path };
        if (read(ends[0], &go, 1) != 1 ||
            db_open(&options, fixture_schema, FIXTURE_STEPS, &f->db, NULL) != ST_OK ||
            db_read(f->db, item_count, &item, NULL) != ST_OK || db_check(f->db, NULL) != ST_OK)
            _exit(100);
        db_close(f->db);
        _exit((int)item.number);
    }
    fixture_open(f, (struct db_options){ 0 });
    fixture_add(f, "a", 1);
    fixture_add(f, "b", 1);
    assert_int_equal(write(ends[1], "x", 1), 1);
    int how = 0;
    assert_int_equal(waitpid(child, &how, 0), child);
    assert_true(WIFEXITED(how));
    assert_int_equal(WEXITSTATUS(how), 2);
    fixture_add(f, "c", 1);
    assert_int_equal(fixture_count(f), 3);
    (void)close(ends[0]);
    (void)close(ends[1]);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(killed_1),
        TEST(log_stays_bounded),
        TEST(log_waits_for_a_reader),
        TEST(log_bound_fails_writes_at_last),
        TEST(other_process_reads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
