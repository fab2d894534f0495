/* SPDX-License-Identifier: Apache-2.0 */
#include "db_fixture.h"

#include <dirent.h>
#include <sched.h>
#include <unistd.h>

#include "db/db_sqlite.h"

const struct db_migration fixture_schema[FIXTURE_STEPS] = {
    { 1, "CREATE TABLE item (id @ID, name TEXT NOT NULL UNIQUE, number BIGINT NOT NULL);"
         "CREATE TABLE part (item BIGINT NOT NULL REFERENCES item (id) "
         "  DEFERRABLE INITIALLY DEFERRED, content @BYTES, PRIMARY KEY (item)) @CLUSTERED;" },
    { 2, "ALTER TABLE item ADD COLUMN note TEXT" },
};

void fixture_make(struct fixture *f)
{
    *f = (struct fixture){ 0 };
    /* In memory: these suites prove what is called, not what a disk does with it. */
    const char *parent = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    (void)snprintf(f->dir, sizeof(f->dir), "%s/db-suite-XXXXXX", parent);
    assert_non_null(mkdtemp(f->dir));
    (void)snprintf(f->path, sizeof(f->path), "%s/ebb.db", f->dir);
}

void fixture_remove(struct fixture *f)
{
    fixture_close(f);
    DIR *dir = opendir(f->dir);
    assert_non_null(dir);
    const struct dirent *entry;
    while ((entry = readdir(dir)) != NULL)
        (void)unlinkat(dirfd(dir), entry->d_name, 0);
    (void)closedir(dir);
    assert_int_equal(rmdir(f->dir), 0);
}

void fixture_open(struct fixture *f, struct db_options options)
{
    struct err err = { 0 };
    options.path = f->path;
    if (db_open(&options, fixture_schema, FIXTURE_STEPS, &f->db, &err) != ST_OK)
        fail_msg("%s", err.text);
}

void fixture_close(struct fixture *f)
{
    db_close(f->db);
    f->db = NULL;
}

enum st item_add(struct db_tx *tx, void *ctx, struct err *err)
{
    struct item *item = ctx;
    item->runs++;
    enum st st = db_run(tx, "INSERT INTO item (name, number) VALUES ($1, $2)",
                        DB_ARGS(DB_TEXT(str_of(item->name)), DB_INT(item->number)), NULL, err);
    if (st == ST_OK && item->fail != ST_OK)
        st = err_set(err, item->fail, "asked to fail");
    return st;
}

enum st item_find(struct db_tx *tx, void *ctx, struct err *err)
{
    struct item *item = ctx;
    item->runs++;
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    enum st st = db_one(tx, &rows, "SELECT number FROM item WHERE name = $1",
                        DB_ARGS(DB_TEXT(str_of(item->name))), err);
    if (st == ST_OK)
        item->number = db_int(&rows, 0);
    return st;
}

enum st item_count(struct db_tx *tx, void *ctx, struct err *err)
{
    struct item *item = ctx;
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    enum st st = db_one(tx, &rows, "SELECT count(*) FROM item", DB_NO_ARGS, err);
    if (st == ST_OK)
        item->number = db_int(&rows, 0);
    return st;
}

void fixture_wait_queued(struct fixture *f, size_t count)
{
    struct db_sqlite *engine = f->db->engine;
    for (;;) {
        lock_take(&engine->writer.lock);
        size_t queued = engine->writer.queued;
        lock_drop(&engine->writer.lock);
        if (queued >= count)
            return;
        (void)sched_yield();
    }
}

int64_t fixture_count(struct fixture *f)
{
    struct err err = { 0 };
    struct item item = { 0 };
    if (db_read(f->db, item_count, &item, &err) != ST_OK)
        fail_msg("%s", err.text);
    return item.number;
}

void fixture_add(struct fixture *f, const char *name, int64_t number)
{
    struct err err = { 0 };
    struct item item = { .name = name, .number = number };
    if (db_write(f->db, item_add, &item, &err) != ST_OK)
        fail_msg("%s", err.text);
}
