/* SPDX-License-Identifier: Apache-2.0 */
#include "meta/doomed.h"

enum st doomed_add(struct db_tx *tx, str name, uint64_t size, int64_t deleted_at, int64_t now,
                   struct err *err)
{
    return db_run(tx, "INSERT INTO doomed (name, size, deleted_at, since) VALUES ($1, $2, $3, $4)",
                  DB_ARGS(DB_TEXT(name), DB_INT(size), DB_INT(deleted_at), DB_INT(now)), NULL, err);
}

#define COLUMNS "name, size, deleted_at, since, failures, next_at, error"

static enum st read_names(struct db_rows *rows, size_t limit, struct arena *a,
                          struct doomed_name **out, size_t *count, struct err *err)
{
    struct doomed_name *names = arena_alloc(a, (limit + 1) * sizeof(*names));
    size_t n = 0;
    enum st st = ST_OK;
    if (names == NULL)
        return err_no_memory(err);
    while ((st = db_next(rows, err)) == ST_OK) {
        struct doomed_name *d = &names[n++];
        *d = (struct doomed_name){
            .name = arena_dup(a, db_text(rows, 0)),
            .size = (uint64_t)db_int(rows, 1),
            .deleted_at = db_int(rows, 2),
            .since = db_int(rows, 3),
            .failures = (uint64_t)db_int(rows, 4),
            .next_at = db_int(rows, 5),
        };
        bool failed = !db_is_null(rows, 6);
        if (failed)
            d->error = arena_dup(a, db_text(rows, 6));
        if (d->name.ptr == NULL || (failed && d->error.ptr == NULL))
            return err_no_memory(err);
    }
    if (st != ST_END)
        return st;
    *out = names;
    *count = n;
    return ST_OK;
}

enum st doomed_due(struct db_tx *tx, int64_t now, size_t limit, struct arena *a,
                   struct doomed_name **out, size_t *count, struct err *err)
{
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    enum st st = db_select(
        tx, &rows, "SELECT " COLUMNS " FROM doomed WHERE next_at <= $1 ORDER BY next_at LIMIT $2",
        DB_ARGS(DB_INT(now), DB_INT(limit)), err);
    return st == ST_OK ? read_names(&rows, limit, a, out, count, err) : st;
}

enum st doomed_count_due(struct db_tx *tx, int64_t now, size_t limit, size_t *count,
                         struct err *err)
{
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    enum st st = db_one(tx, &rows,
                        "SELECT count(*) FROM (SELECT 1 FROM doomed WHERE next_at <= $1 LIMIT $2)"
                        " AS due",
                        DB_ARGS(DB_INT(now), DB_INT(limit)), err);
    if (st == ST_OK)
        *count = (size_t)db_int(&rows, 0);
    return st;
}

enum st doomed_drop(struct db_tx *tx, str name, struct err *err)
{
    return db_run(tx, "DELETE FROM doomed WHERE name = $1", DB_ARGS(DB_TEXT(name)), NULL, err);
}

enum st doomed_fail(struct db_tx *tx, str name, str error, int64_t next_at, struct err *err)
{
    return db_run(tx,
                  "UPDATE doomed SET failures = failures + 1, error = $1, next_at = $2"
                  " WHERE name = $3",
                  DB_ARGS(DB_TEXT(error), DB_INT(next_at), DB_TEXT(name)), NULL, err);
}

enum st doomed_reset(struct db_tx *tx, int64_t now, int64_t *count, struct err *err)
{
    return db_run(tx, "UPDATE doomed SET next_at = $1 WHERE failures > 0 AND next_at > $1",
                  DB_ARGS(DB_INT(now)), count, err);
}

enum st doomed_sum(struct db_tx *tx, uint64_t *count, uint64_t *bytes, struct err *err)
{
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    enum st st =
        db_one(tx, &rows, "SELECT count(*), coalesce(sum(size), 0) FROM doomed", DB_NO_ARGS, err);
    if (st == ST_OK) {
        *count = (uint64_t)db_int(&rows, 0);
        *bytes = (uint64_t)db_int(&rows, 1);
    }
    return st;
}
