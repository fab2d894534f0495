/* SPDX-License-Identifier: Apache-2.0
 *
 * Notes of pulls, the registry's own time over restarts, and what a tick does.
 */
#include <unistd.h>

#include "base/fault.h"
#include "db/db_sqlite.h"
#include "registry_test.h"

#define PULLED "SELECT pulled_at FROM manifest_pull WHERE manifest_id = "

struct find_call {
    struct fixture *f;
    int64_t id;
    int64_t out;
};

static enum st find(struct db_tx *tx, void *ctx, struct err *err)
{
    struct find_call *c = ctx;
    return pulls_find(tx, c->f->r.pulls, c->id, &c->out, err);
}

static int64_t found(struct fixture *f, int64_t id)
{
    struct find_call c = { .f = f, .id = id };
    OK(db_read(f->r.db, find, &c, &f->err));
    return c.out;
}

static enum st since(struct db_tx *tx, void *ctx, struct err *err)
{
    struct find_call *c = ctx;
    return pulls_since(tx, c->f->now, &c->out, err);
}

static enum st begin(struct db_tx *tx, void *ctx, struct err *err)
{
    return pulls_begin(tx, ((struct find_call *)ctx)->f->now, err);
}

static void flush(struct fixture *f, bool all)
{
    OK(pulls_flush(f->r.pulls, f->r.db, f->now, all, &f->err));
}

static void notes_are_written_and_found(void **state)
{
    struct fixture *f = *state;
    push_image(f, "app", "one", "v1");
    push_image(f, "app", "two", "v2");
    assert_int_equal(0, found(f, 1));
    pulls_note(f->r.pulls, 1, f->now);
    assert_int_equal(f->now, found(f, 1));
    assert_int_equal(-1, number(f, PULLED "1"));
    flush(f, false);
    assert_int_equal(f->now, number(f, PULLED "1"));
    assert_int_equal(-1, number(f, PULLED "2"));
    assert_int_equal(0, found(f, 2));
    pulls_note(f->r.pulls, 1, f->now - 5); /* a late thread */
    assert_int_equal(f->now, found(f, 1));
    pulls_note(NULL, 1, f->now + 5);
    /* Another process knows what is in rows. */
    struct pulls *mine = f->r.pulls;
    f->r.pulls = NULL;
    assert_int_equal(f->now, found(f, 1));
    f->r.pulls = mine;
}

static void a_busy_manifest_is_written_seldom(void **state)
{
    struct fixture *f = *state;
    push_image(f, "app", "one", "v1");
    int64_t first = f->now;
    pulls_note(f->r.pulls, 1, f->now);
    flush(f, false);
    f->now += PULLS_REWRITE_MS - 1;
    pulls_note(f->r.pulls, 1, f->now);
    flush(f, false);
    assert_int_equal(first, number(f, PULLED "1"));
    assert_int_equal(f->now, found(f, 1));
    int64_t second = f->now;
    f->now += 1;
    flush(f, false); /* nobody pulled it since; it is written all the same */
    assert_int_equal(second, number(f, PULLED "1"));
    f->now += 1;
    pulls_note(f->r.pulls, 1, f->now);
    flush(f, false);
    assert_int_equal(second, number(f, PULLED "1"));
    flush(f, true); /* at stop */
    assert_int_equal(f->now, number(f, PULLED "1"));
}

static void what_is_gone_is_dropped(void **state)
{
    struct fixture *f = *state;
    pulls_note(f->r.pulls, 77, f->now);
    flush(f, false);
    assert_int_equal(0, number(f, "SELECT count(*) FROM manifest_pull"));
}

static void notes_are_bounded(void **state)
{
    struct fixture *f = *state;
    for (int64_t id = 1; id <= 4 * PULLS_MAX; id++)
        pulls_note(f->r.pulls, id, f->now);
    /* The first to come stay: a new note is not given up for another. */
    for (int64_t id = 1; id <= 1000; id++)
        assert_int_equal(f->now, found(f, id));
    size_t kept = 0;
    for (int64_t id = 1; id <= 4 * PULLS_MAX; id += 97)
        kept += found(f, id) != 0;
    assert_in_range(kept, PULLS_MAX / 97 / 2, PULLS_MAX / 97 + 97);
    /* Once written they make room. */
    flush(f, false);
    f->now++;
    for (int64_t id = 10 * PULLS_MAX; id < 10 * PULLS_MAX + 1000; id++) {
        pulls_note(f->r.pulls, id, f->now);
        assert_int_equal(f->now, found(f, id));
    }
}

static void many_are_written_in_batches(void **state)
{
    struct fixture *f = *state;
    run_sql(f, "INSERT INTO repository (name, created_at) VALUES ('app', 0)");
    run_sql(f, "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)"
               " INSERT INTO manifest (repo_id, digest, media_type, size, pushed_at)"
               " SELECT 1, CAST(i AS BLOB), '', 0, 0 FROM n");
    for (int64_t id = 1; id <= 20000; id++)
        pulls_note(f->r.pulls, id, f->now);
    flush(f, false);
    assert_int_equal(20000, number(f, "SELECT count(*) FROM manifest_pull"));
}

#ifdef EBB_FAULTS
static void a_failed_flush_keeps_the_notes(void **state)
{
    struct fixture *f = *state;
    push_image(f, "app", "one", "v1");
    pulls_note(f->r.pulls, 1, f->now);
    fault_arm(FAULT_SQL, 1, true);
    enum st st = pulls_flush(f->r.pulls, f->r.db, f->now, false, &f->err);
    fault_disarm();
    assert_int_not_equal(ST_OK, st);
    assert_int_equal(f->now, found(f, 1));
    flush(f, false);
    assert_int_equal(f->now, number(f, PULLED "1"));
}
#endif

static void since_when_is_set_once(void **state)
{
    struct fixture *f = *state;
    struct find_call c = { .f = f };
    f->now += 5;
    OK(db_read(f->r.db, since, &c, &f->err));
    assert_int_equal(f->now, c.out); /* nothing is known yet */
    OK(db_write(f->r.db, begin, &c, &f->err));
    int64_t began = f->now;
    f->now += 1000;
    OK(db_write(f->r.db, begin, &c, &f->err));
    OK(db_read(f->r.db, since, &c, &f->err));
    assert_int_equal(began, c.out);
    run_sql(f, "UPDATE setting SET value = 'long ago' WHERE name = 'pulls.since'");
    OK(db_read(f->r.db, since, &c, &f->err));
    assert_int_equal(f->now, c.out);
}

/* ---- time ------------------------------------------------------------------------------------ */

static enum st nothing(struct db_tx *tx, void *ctx, struct err *err)
{
    (void)tx;
    (void)ctx;
    (void)err;
    return ST_OK;
}

static enum st refuse(struct db_tx *tx, void *ctx, struct err *err)
{
    (void)tx;
    (void)ctx;
    return err_set(err, ST_DENIED, "no");
}

#define CLOCK "SELECT now FROM clock"

static void without_time_it_is_the_wall_clock(void **state)
{
    struct fixture *f = *state;
    int64_t before = clock_utc_ms();
    assert_true(registry_now(&f->r) >= before && registry_now(&f->r) < before + CLOCK_HOUR_MS);
    assert_int_equal(5, registry_utc(&f->r, 5));
    assert_int_equal(5, registry_of_utc(&f->r, 5));
    OK(registry_write(&f->r, nothing, NULL, &f->err));
    OK(registry_tick(&f->r, true, &f->err));
    assert_int_equal(-1, number(f, CLOCK));
}

/* From the row on, whatever the wall clock says; shown by the wall clock. */
static void time_goes_on_from_the_row(void **state)
{
    struct fixture *f = *state;
    static const int64_t lasts[] = { START, (int64_t)4000000000000 }; /* 2023, 2096 */
    for (size_t i = 0; i < ARRAY_LEN(lasts); i++) {
        if (i == 0)
            run_sql(f, "INSERT INTO clock VALUES (1, 1700000000000)");
        else
            run_sql(f, "UPDATE clock SET now = 4000000000000");
        run_sql(f, "DELETE FROM clock_step");
        OK(registry_time_open(&f->r, true, &f->err));
        int64_t now = registry_now(&f->r);
        assert_true(now >= lasts[i] && now < lasts[i] + CLOCK_HOUR_MS);
        int64_t shown = registry_utc(&f->r, now) - clock_utc_ms();
        assert_true(shown > -5000 && shown < 5000);
        assert_int_equal(now, registry_of_utc(&f->r, registry_utc(&f->r, now)));
        assert_int_equal(1, number(f, "SELECT count(*) FROM clock_step"));
        assert_true(number(f, CLOCK) >= lasts[i] && number(f, CLOCK) <= now);
        assert_true(number(f, "SELECT CAST(value AS INTEGER) FROM setting"
                              " WHERE name = 'pulls.since'") >= lasts[0]);
        registry_time_close(&f->r);
    }
}

static void a_reader_writes_nothing(void **state)
{
    struct fixture *f = *state;
    OK(registry_time_open(&f->r, false, &f->err));
    OK(registry_tick(&f->r, true, &f->err));
    OK(registry_write(&f->r, nothing, NULL, &f->err));
    assert_int_equal(-1, number(f, CLOCK));
    assert_int_equal(0, number(f, "SELECT count(*) FROM clock_step"));
    assert_int_equal(0, number(f, "SELECT count(*) FROM setting"));
}

static void writes_take_the_clock_along(void **state)
{
    struct fixture *f = *state;
    OK(registry_time_open(&f->r, true, &f->err));
    run_sql(f, "UPDATE clock SET now = 1");
    IS(ST_DENIED, registry_write(&f->r, refuse, NULL, &f->err));
    assert_int_equal(1, number(f, CLOCK));
    OK(registry_write(&f->r, nothing, NULL, &f->err));
    int64_t first = number(f, CLOCK);
    assert_true(first > START && first <= registry_now(&f->r));
    /* Not again within a second; then again. */
    run_sql(f, "UPDATE clock SET now = 1");
    OK(registry_write(&f->r, nothing, NULL, &f->err));
    assert_true(number(f, CLOCK) == 1 || registry_now(&f->r) - first >= 1000);
    while (registry_now(&f->r) - first < 1000)
        ;
    OK(registry_write(&f->r, nothing, NULL, &f->err));
    assert_true(number(f, CLOCK) > first && number(f, CLOCK) <= registry_now(&f->r));
}

static void a_stop_writes_all(void **state)
{
    struct fixture *f = *state;
    push_image(f, "app", "one", "v1");
    OK(registry_time_open(&f->r, true, &f->err));
    OK(registry_tick(&f->r, false, &f->err));
    run_sql(f, "UPDATE clock SET now = 1");
    int64_t before = registry_now(&f->r);
    pulls_note(f->r.pulls, 1, before);
    OK(registry_tick(&f->r, false, &f->err));
    assert_int_equal(-1, number(f, PULLED "1")); /* once a minute */
    OK(registry_tick(&f->r, true, &f->err));
    assert_int_equal(before, number(f, PULLED "1"));
    assert_true(number(f, CLOCK) >= before);
}

static enum st add_hold(struct db_tx *tx, void *ctx, struct err *err)
{
    struct fixture *f = ctx;
    int64_t now = registry_now(&f->r);
    const struct hold hold = { .digest = digest_for("one"), .until = now + 1, .created_at = now };
    int64_t id = 0;
    return holds_add(tx, &hold, &f->r.keeping, &id, err);
}

static void a_tick_ends_holds(void **state)
{
    struct fixture *f = *state;
    OK(registry_time_open(&f->r, true, &f->err));
    push_image(f, "app", "one", NULL);
    OK(db_write(f->r.db, add_hold, f, &f->err));
    assert_int_equal(1, number(f, "SELECT count(*) FROM hold"));
    int64_t until = number(f, "SELECT until FROM hold");
    while (registry_now(&f->r) < until)
        ;
    OK(registry_tick(&f->r, false, &f->err));
    assert_int_equal(0, number(f, "SELECT count(*) FROM hold"));
    assert_true(number(f, "SELECT coalesce(due_at, 0) FROM manifest") >= until + GRACE);
}

#ifdef EBB_FAULTS
static void set_wall(const char *path, const char *offset)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    (void)fputs(offset, file);
    assert_int_equal(0, fclose(file));
}

/* Years forth and back: the registry's time does not move, and what was shown stays. */
static void the_wall_clock_jumps(void **state)
{
    struct fixture *f = *state;
    char path[] = "/tmp/ebb-clock-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    (void)close(fd);
    assert_int_equal(0, setenv("EBB_FAULT_CLOCK", path, 1));
    OK(registry_time_open(&f->r, true, &f->err));
    int64_t first = registry_now(&f->r);
    int64_t shown = registry_utc(&f->r, first);
    while (registry_now(&f->r) == first) /* a step of the same moment would take its place */
        ;
    static const char *const offsets[] = { "315576000000", "-315576000000", "0" }; /* 10 years */
    for (size_t i = 0; i < ARRAY_LEN(offsets); i++) {
        int64_t before = registry_now(&f->r);
        set_wall(path, offsets[i]);
        while (registry_now(&f->r) == before)
            ;
        assert_true(registry_now(&f->r) - before < CLOCK_MINUTE_MS);
        OK(registry_tick(&f->r, false, &f->err));
        assert_int_equal(i + 2, number(f, "SELECT count(*) FROM clock_step"));
        assert_int_equal(shown, registry_utc(&f->r, first));
        int64_t away = registry_utc(&f->r, registry_now(&f->r)) - clock_utc_ms();
        assert_true(away > -5000 && away < 5000);
        /* A restart with the clock as wrong. */
        registry_time_close(&f->r);
        OK(registry_time_open(&f->r, true, &f->err));
        assert_true(registry_now(&f->r) - first < CLOCK_MINUTE_MS);
        assert_true(registry_now(&f->r) >= number(f, CLOCK));
        assert_int_equal(shown, registry_utc(&f->r, first));
    }
    assert_int_equal(0, unsetenv("EBB_FAULT_CLOCK"));
    (void)unlink(path);
}
#endif

static void only_the_newest_steps_stay(void **state)
{
    struct fixture *f = *state;
    run_sql(f, "INSERT INTO clock VALUES (1, 100000)");
    run_sql(f, "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000)"
               " INSERT INTO clock_step SELECT i, i * 10000 FROM n");
    OK(registry_time_open(&f->r, true, &f->err));
    assert_int_equal(1000, number(f, "SELECT count(*) FROM clock_step"));
    assert_int_equal(2, number(f, "SELECT min(at) FROM clock_step"));
}

/* ---- what statements cost -------------------------------------------------------------------- */

static int bad_plans(const struct db_stmt *stmt)
{
    char text[4096];
    sqlite3_stmt *plan = NULL;
    int bad = 0;
    if (strstr(stmt->sql, "manifest_pull") == NULL && strstr(stmt->sql, "hold") == NULL &&
        strstr(stmt->sql, "setting") == NULL && strstr(stmt->sql, "FROM clock ") == NULL)
        return 0;
    (void)snprintf(text, sizeof(text), "EXPLAIN QUERY PLAN %s", stmt->sql);
    assert_int_equal(SQLITE_OK, sqlite3_prepare_v2(stmt->conn->handle, text, -1, &plan, NULL));
    while (sqlite3_step(plan) == SQLITE_ROW) {
        const char *detail = (const char *)sqlite3_column_text(plan, 3);
        if (strncmp(detail, "SCAN", 4) == 0) {
            print_error("%s\n    %s\n", stmt->sql, detail);
            bad++;
        }
    }
    (void)sqlite3_finalize(plan);
    return bad + 0x10000;
}

static void statements_use_indexes(void **state)
{
    struct fixture *f = *state;
    struct find_call c = { .f = f };
    OK(registry_time_open(&f->r, true, &f->err));
    push_image(f, "app", "one", "v1");
    OK(db_write(f->r.db, add_hold, f, &f->err));
    pulls_note(f->r.pulls, 1, f->now);
    OK(registry_tick(&f->r, true, &f->err));
    OK(registry_tick(&f->r, false, &f->err));
    OK(db_write(f->r.db, find, &c, &f->err));
    const struct db_sqlite *engine = f->r.db->engine;
    int judged = 0;
    for (const struct db_stmt *s = engine->writer.conn->oldest; s != NULL; s = s->newer)
        judged += bad_plans(s);
    assert_true(judged >> 16 >= 4);
    assert_int_equal(0, judged & 0xffff);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        REGISTRY_TEST(notes_are_written_and_found),
        REGISTRY_TEST(a_busy_manifest_is_written_seldom),
        REGISTRY_TEST(what_is_gone_is_dropped),
        REGISTRY_TEST(notes_are_bounded),
        REGISTRY_TEST(many_are_written_in_batches),
#ifdef EBB_FAULTS
        REGISTRY_TEST(a_failed_flush_keeps_the_notes),
        REGISTRY_TEST(the_wall_clock_jumps),
#endif
        REGISTRY_TEST(since_when_is_set_once),
        REGISTRY_TEST(without_time_it_is_the_wall_clock),
        REGISTRY_TEST(time_goes_on_from_the_row),
        REGISTRY_TEST(a_reader_writes_nothing),
        REGISTRY_TEST(writes_take_the_clock_along),
        REGISTRY_TEST(a_stop_writes_all),
        REGISTRY_TEST(a_tick_ends_holds),
        REGISTRY_TEST(only_the_newest_steps_stay),
        REGISTRY_TEST(statements_use_indexes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
