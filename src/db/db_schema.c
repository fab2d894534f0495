/* SPDX-License-Identifier: Apache-2.0
 *
 * One step of the schema on SQLite. The step and its version are one transaction: a crash leaves
 * either both or neither.
 */
#include "base/buf.h"
#include "base/fault.h"
#include "db/db_sqlite.h"

static const struct {
    str word;
    str sqlite;
} words[] = {
    { { "@ID", 3 }, { "INTEGER PRIMARY KEY", 19 } },
    { { "@BYTES", 6 }, { "BLOB", 4 } },
    { { "@CLUSTERED", 10 }, { "WITHOUT ROWID", 13 } },
};

/* Length of what starts at `p` and is copied as it is: a quoted text, a comment, or one byte. */
static size_t plain_len(const char *p)
{
    if (*p == '\'' || *p == '"') {
        const char *last = strchr(p + 1, *p);
        return last == NULL ? strlen(p) : (size_t)(last - p) + 1;
    }
    if (p[0] == '-' && p[1] == '-')
        return strcspn(p, "\n");
    return 1;
}

static enum st translate(const char *sql, struct buf *out, struct err *err)
{
    for (const char *p = sql; *p != '\0';) {
        if (*p != '@') {
            size_t len = plain_len(p);
            buf_add(out, (str){ p, len });
            p += len;
            continue;
        }
        size_t len = 1 + strspn(p + 1, "ABCDEFGHIJKLMNOPQRSTUVWXYZ");
        size_t i = 0;
        while (i < ARRAY_LEN(words) && !str_eq(words[i].word, (str){ p, len }))
            i++;
        if (i == ARRAY_LEN(words))
            return err_set(err, ST_BUG, "unknown word %.*s", (int)len, p);
        buf_add(out, words[i].sqlite);
        p += len;
    }
    buf_add_byte(out, '\0');
    return buf_status(out, err);
}

static enum st execute(struct db_conn *conn, const char *sql, struct err *err)
{
    while (*sql != '\0') {
        sqlite3_stmt *stmt = NULL;
        const char *tail = sql;
        bool injected = fault_hit(FAULT_SQL);
        int code =
            injected ? SQLITE_IOERR : sqlite3_prepare_v2(conn->handle, sql, -1, &stmt, &tail);
        while (code == SQLITE_OK && stmt != NULL) {
            code = sqlite3_step(stmt);
            if (code == SQLITE_ROW)
                code = SQLITE_OK;
        }
        if (code != SQLITE_OK && code != SQLITE_DONE) {
            enum st st = db_sqlite_failure(conn, code, sql + strspn(sql, " \t\n"), err);
            (void)sqlite3_finalize(stmt);
            return st;
        }
        (void)sqlite3_finalize(stmt);
        sql = tail;
    }
    return ST_OK;
}

enum st db_schema_step(struct db_conn *conn, const char *sql, int version, struct err *err)
{
    AUTO(buf_release) struct buf text = { .max_bytes = MIB };
    enum st st = translate(sql, &text, err);
    if (st != ST_OK)
        return st;
    char set_version[64];
    (void)snprintf(set_version, sizeof(set_version), "PRAGMA user_version=%d", version);
    st = db_sqlite_do(conn, "BEGIN IMMEDIATE", err);
    if (st != ST_OK)
        return st;
    st = execute(conn, text.ptr, err);
    if (st == ST_OK)
        st = execute(conn, set_version, err);
    if (st == ST_OK)
        st = db_sqlite_do(conn, "COMMIT", err);
    /* The caller closes the connection after a failure, which rolls back for certain. */
    if (st != ST_OK)
        db_sqlite_roll_back(conn);
    return st;
}
