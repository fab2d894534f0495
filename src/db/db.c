/* SPDX-License-Identifier: Apache-2.0 */
#include "db/db.h"

#include "base/mem.h"
#include "base/metric.h"
#include "db/db_int.h"

_Thread_local bool db_inside;

enum st db_open(const struct db_options *options, const struct db_migration *migrations,
                size_t migration_count, struct db **out, struct err *err)
{
    assert(options->path != NULL);
    struct err unread;
    if (err == NULL)
        err = &unread; /* to add context to */
    struct db *db = mem_new(sizeof(*db));
    if (db == NULL)
        return err_no_memory(err);
    db->ops = &db_sqlite_ops;
    db->options = *options;
    if (db->options.readers_max == 0)
        db->options.readers_max = 8;
    if (db->options.read_only)
        db->options.readers_max = 1; /* it has the log to itself: db_sqlite.c */
    if (db->options.group_max == 0)
        db->options.group_max = 256;
    if (db->options.log_max_bytes == 0)
        db->options.log_max_bytes = 64 * MIB;
    db->options.path = mem_dup(options->path, strlen(options->path));
    if (db->options.path == NULL) {
        mem_free(db);
        return err_no_memory(err);
    }
    enum st st = db_pool_init(db, err);
    if (st != ST_OK) {
        mem_free((char *)(uintptr_t)db->options.path);
        mem_free(db);
        return st;
    }
    st = db->ops->open(db, err);
    if (st == ST_OK)
        st = db_migrate(db, migrations, migration_count, err);
    if (st != ST_OK) {
        db_close(db);
        return st;
    }
    *out = db;
    return ST_OK;
}

void db_close(struct db *db)
{
    if (db == NULL)
        return;
    db_pool_close(db);
    db->ops->close(db);
    db_pool_release(db);
    char *path = (char *)(uintptr_t)db->options.path; /* made by db_open() */
    mem_free(path);
    mem_free(db);
}

enum st db_call(db_fn fn, struct db_tx *tx, void *ctx, struct err *err)
{
    err->st = ST_OK;
    db_inside = true;
    enum st st = fn(tx, ctx, err);
    db_inside = false;
    assert(tx->open == 0); /* the function left rows open */
    if (st == ST_END)
        return err_set(err, ST_BUG, "a database function ended with ST_END");
    if (st != ST_OK && err->st != st)
        return err_set(err, st, "%s", st_text(st));
    return st;
}

enum st db_write(struct db *db, db_fn fn, void *ctx, struct err *err)
{
    assert(!db_inside);
    return db->ops->write(db, fn, ctx, err);
}

enum st db_read(struct db *db, db_fn fn, void *ctx, struct err *err)
{
    assert(!db_inside);
    struct db_reader reader;
    enum st st = db_pool_take(db, &reader, err);
    if (st != ST_OK)
        return st;
    struct err why;
    struct db_tx tx = { .db = db, .conn = reader.conn };
    st = db_call(fn, &tx, ctx, &why);
    bool fit = true;
    if (tx.failed != ST_OK) { /* the engine failed: whatever it left open is not used again */
        fit = db->ops->end(reader.conn);
        reader.snapshot = false;
    }
    db_pool_give(db, &reader, fit);
    if (st != ST_OK && err != NULL)
        *err = why;
    return st;
}

static enum st prepare(struct db_tx *tx, const char *sql, const struct db_arg *args, size_t n,
                       bool keep, struct db_stmt **out, struct err *err)
{
    enum st st = tx->db->ops->prepare(tx, sql, args, n, keep, out, err);
    if (st == ST_OK)
        tx->open++;
    return st;
}

static void finish(struct db_tx *tx, struct db_stmt *stmt)
{
    tx->open--;
    tx->db->ops->finish(stmt);
}

enum st db_run(struct db_tx *tx, const char *sql, const struct db_arg *args, size_t n,
               int64_t *changed, struct err *err)
{
    struct db_stmt *stmt;
    enum st st = prepare(tx, sql, args, n, false, &stmt, err);
    if (st != ST_OK)
        return st;
    st = tx->db->ops->next(tx, stmt, err);
    if (st == ST_OK)
        st = err_set(err, ST_BUG, "a statement for db_run() returned a row: %.100s", sql);
    if (st == ST_END) {
        st = ST_OK;
        if (changed != NULL)
            *changed = tx->db->ops->changed(stmt);
    }
    finish(tx, stmt);
    return st;
}

enum st db_select(struct db_tx *tx, struct db_rows *rows, const char *sql,
                  const struct db_arg *args, size_t n, struct err *err)
{
    struct db_stmt *stmt;
    enum st st = prepare(tx, sql, args, n, true, &stmt, err);
    if (st != ST_OK)
        return st;
    db_rows_close(rows);
    *rows = (struct db_rows){ tx, stmt };
    return ST_OK;
}

enum st db_next(struct db_rows *rows, struct err *err)
{
    assert(rows->statement != NULL);
    return rows->tx->db->ops->next(rows->tx, rows->statement, err);
}

void db_rows_close(struct db_rows *rows)
{
    if (rows->statement != NULL)
        finish(rows->tx, rows->statement);
    *rows = (struct db_rows){ 0 };
}

enum st db_one(struct db_tx *tx, struct db_rows *rows, const char *sql, const struct db_arg *args,
               size_t n, struct err *err)
{
    struct db_stmt *stmt;
    enum st st = prepare(tx, sql, args, n, true, &stmt, err);
    if (st != ST_OK)
        return st;
    st = tx->db->ops->next(tx, stmt, err);
    if (st != ST_OK) {
        finish(tx, stmt);
        return st == ST_END ? err_set(err, ST_NOT_FOUND, "not found") : st;
    }
    db_rows_close(rows);
    *rows = (struct db_rows){ tx, stmt };
    return ST_OK;
}

static struct db_arg column_of(const struct db_rows *rows, int column, bool as_number)
{
    assert(rows->statement != NULL);
    return rows->tx->db->ops->column(rows->statement, column, as_number);
}

int64_t db_int(const struct db_rows *rows, int column)
{
    return column_of(rows, column, true).number;
}

str db_text(const struct db_rows *rows, int column)
{
    return column_of(rows, column, false).text;
}

str db_bytes(const struct db_rows *rows, int column)
{
    return column_of(rows, column, false).text;
}

bool db_is_null(const struct db_rows *rows, int column)
{
    return column_of(rows, column, true).kind == DB_ARG_NULL;
}

enum st db_get_status(struct db *db, struct db_status *out, struct err *err)
{
    return db->ops->status(db, out, err);
}

enum st db_check(struct db *db, struct err *err)
{
    return db->ops->check(db, err);
}
