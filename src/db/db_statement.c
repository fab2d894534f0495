/* SPDX-License-Identifier: Apache-2.0
 *
 * Prepared statements of a SQLite connection: the cache, arguments, rows.
 *
 * Invariants:
 *  1. A statement is handed to one user at a time. The same text used again meanwhile gets a
 *     statement of its own, which is closed after use.
 *  2. The cache holds at most stmt_max statements that are idle or busy; only idle ones are closed.
 *  3. Parameter i of the statement is named "$i": SQLite numbers names in order of first use, so a
 *     text with "$2" before "$1" would bind the wrong values. It is refused when it is prepared.
 */
#include "db/db_statement.h"

#include "base/fault.h"
#include "base/mem.h"
#include "base/metric.h"

static struct db_stmt **bucket_of(struct db_conn *conn, const char *sql)
{
    uint64_t hash = (uint64_t)(uintptr_t)sql * UINT64_C(0x9E3779B97F4A7C15);
    return &conn->buckets[(hash >> 32) & (STMT_BUCKETS - 1)];
}

static void unlink_age(struct db_stmt *stmt)
{
    struct db_conn *conn = stmt->conn;
    *(stmt->older != NULL ? &stmt->older->newer : &conn->oldest) = stmt->newer;
    *(stmt->newer != NULL ? &stmt->newer->older : &conn->newest) = stmt->older;
}

static void link_newest(struct db_stmt *stmt)
{
    struct db_conn *conn = stmt->conn;
    stmt->newer = NULL;
    stmt->older = conn->newest;
    *(conn->newest != NULL ? &conn->newest->newer : &conn->oldest) = stmt;
    conn->newest = stmt;
}

static void statement_free(struct db_stmt *stmt)
{
    if (stmt->cached) {
        struct db_stmt **at = bucket_of(stmt->conn, stmt->sql);
        while (*at != stmt)
            at = &(*at)->bucket_next;
        *at = stmt->bucket_next;
        unlink_age(stmt);
        stmt->conn->stmt_count--;
    }
    (void)sqlite3_finalize(stmt->handle); /* repeats the last failure, which was reported */
    mem_free(stmt);
}

void db_statement_free_all(struct db_conn *conn)
{
    while (conn->oldest != NULL)
        statement_free(conn->oldest);
}

static void cache_add(struct db_conn *conn, struct db_stmt *stmt)
{
    struct db_stmt *old = conn->oldest;
    while (conn->stmt_count >= conn->stmt_max && old != NULL) {
        struct db_stmt *newer = old->newer;
        if (!old->busy)
            statement_free(old);
        old = newer;
    }
    if (conn->stmt_count >= conn->stmt_max)
        return; /* all are busy: this one is closed after use */
    struct db_stmt **bucket = bucket_of(conn, stmt->sql);
    stmt->bucket_next = *bucket;
    *bucket = stmt;
    stmt->cached = true;
    link_newest(stmt);
    conn->stmt_count++;
}

static enum st check_text(struct db_stmt *stmt, const char *tail, struct err *err)
{
    if (stmt->handle == NULL || tail[strspn(tail, " \t\n;")] != '\0')
        return err_set(err, ST_BUG, "not one statement: %.100s", stmt->sql);
    int count = sqlite3_bind_parameter_count(stmt->handle);
    for (int i = 1; i <= count; i++) {
        char expected[16];
        (void)snprintf(expected, sizeof(expected), "$%d", i);
        const char *name = sqlite3_bind_parameter_name(stmt->handle, i);
        if (name == NULL || strcmp(name, expected) != 0)
            return err_set(err, ST_BUG, "parameter %d is %s, not %s: %.100s", i,
                           name == NULL ? "?" : name, expected, stmt->sql);
    }
    stmt->parameters = (size_t)count;
    return ST_OK;
}

static enum st statement_new(struct db_conn *conn, const char *sql, bool share,
                             struct db_stmt **out, struct err *err)
{
    struct db_stmt *stmt = mem_new(sizeof(*stmt));
    if (stmt == NULL)
        return err_no_memory(err);
    stmt->conn = conn;
    stmt->sql = sql;
    const char *tail = "";
    int code = fault_hit(FAULT_SQL) ? SQLITE_IOERR
                                    : sqlite3_prepare_v3(conn->handle, sql, -1,
                                                         share ? SQLITE_PREPARE_PERSISTENT : 0,
                                                         &stmt->handle, &tail);
    enum st st = code == SQLITE_OK ? check_text(stmt, tail, err)
                                   : db_sqlite_failure(conn, code, "prepare", err);
    if (st != ST_OK) {
        statement_free(stmt);
        return st;
    }
    if (share)
        cache_add(conn, stmt);
    *out = stmt;
    return ST_OK;
}

enum st db_statement_get(struct db_conn *conn, const char *sql, struct db_stmt **out,
                         struct err *err)
{
    struct db_stmt *stmt = *bucket_of(conn, sql);
    while (stmt != NULL && stmt->sql != sql)
        stmt = stmt->bucket_next;
    if (stmt == NULL || stmt->busy) {
        enum st st = statement_new(conn, sql, stmt == NULL, &stmt, err);
        if (st != ST_OK)
            return st;
    } else if (stmt != conn->newest) {
        unlink_age(stmt);
        link_newest(stmt);
    }
    stmt->busy = true;
    stmt->ended = false;
    *out = stmt;
    return ST_OK;
}

void db_statement_finish(struct db_stmt *stmt)
{
    (void)sqlite3_reset(stmt->handle); /* repeats the last failure, which was reported */
    if (stmt->parameters > 0)
        (void)sqlite3_clear_bindings(stmt->handle);
    stmt->busy = false;
    if (!stmt->cached)
        statement_free(stmt);
}

static int bind(sqlite3_stmt *handle, int index, const struct db_arg *arg,
                sqlite3_destructor_type life)
{
    /* An empty text is not NULL, and SQLite takes a NULL pointer for NULL. */
    const char *ptr = arg->text.ptr == NULL ? "" : arg->text.ptr;
    switch (arg->kind) {
    case DB_ARG_NULL:
        return sqlite3_bind_null(handle, index);
    case DB_ARG_INT:
        return sqlite3_bind_int64(handle, index, arg->number);
    case DB_ARG_TEXT:
        return sqlite3_bind_text64(handle, index, ptr, arg->text.len, life, SQLITE_UTF8);
    case DB_ARG_BYTES:
        return sqlite3_bind_blob64(handle, index, ptr, arg->text.len, life);
    }
    return SQLITE_MISUSE;
}

enum st db_statement_bind(struct db_stmt *stmt, const struct db_arg *args, size_t n, bool keep,
                          struct err *err)
{
    if (n != stmt->parameters)
        return err_set(err, ST_BUG, "%zu arguments for %zu parameters: %.100s", n, stmt->parameters,
                       stmt->sql);
    for (size_t i = 0; i < n; i++) {
        int code =
            bind(stmt->handle, (int)i + 1, &args[i], keep ? SQLITE_TRANSIENT : SQLITE_STATIC);
        if (code != SQLITE_OK)
            return db_sqlite_failure(stmt->conn, code, "bind", err);
    }
    return ST_OK;
}

enum st db_statement_step(struct db_stmt *stmt, struct err *err)
{
    if (stmt->ended)
        return ST_END;
    int code = fault_hit(FAULT_SQL) ? SQLITE_IOERR : sqlite3_step(stmt->handle);
    if (code == SQLITE_ROW)
        return ST_OK;
    stmt->ended = true;
    if (code == SQLITE_DONE)
        return ST_END;
    return db_sqlite_failure(stmt->conn, code, stmt->sql, err);
}

struct db_arg db_statement_column(const struct db_stmt *stmt, int column, bool as_number)
{
    sqlite3_stmt *handle = stmt->handle;
    assert(column >= 0 && column < sqlite3_data_count(handle)); /* and there is a row */
    int type = sqlite3_column_type(handle, column);
    if (type == SQLITE_NULL)
        return DB_NULL;
    if (as_number)
        return DB_INT(sqlite3_column_int64(handle, column));
    /* Of a text too: the database is UTF-8, so nothing is converted, and unlike
     * sqlite3_column_text() this needs no memory for a NUL at the end. */
    const char *ptr = sqlite3_column_blob(handle, column);
    size_t len = (size_t)sqlite3_column_bytes(handle, column);
    return DB_BYTES(((str){ len == 0 ? "" : ptr, len }));
}
