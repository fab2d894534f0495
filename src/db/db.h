/* SPDX-License-Identifier: Apache-2.0
 *
 * db/ - SQL behind one interface. It knows engines, connections, transactions, durability and
 * migrations; it does not know what any table means. (SQLite today. The statements that meta/
 * hands it keep to the common subset with PostgreSQL: parameters are $1, $2, ... in order of first
 * use, upserts are ON CONFLICT, and a schema uses @ID, @BYTES and @CLUSTERED where the engines
 * differ.)
 *
 * Contract:
 *  1. Durable:   when db_write() returns ST_OK, what its function wrote survives power loss.
 *  2. Atomic:    a function that fails leaves no trace; functions committed together do not see
 *                each other's failures.
 *  3. Repeated:  a function may run more than once before it is committed. It must have no effect
 *                but through `tx` and its own context, which it sets anew each time.
 *  4. Snapshot:  within one db_read() all statements see one state, at least as new as every write
 *                that was acknowledged before the call.
 *  5. Short:     a function never waits for a client, a blob store or another lock.
 *  6. Failure:   outputs are untouched and *err is set. A full disk is ST_FULL; reading goes on.
 *
 * Threads: any thread may read and write at any time. Writes are run by one writer thread, which
 * commits those that wait together with one sync (group commit). A tx, a row and a cursor belong to
 * the function they were given to.
 */
#ifndef EBB_DB_H
#define EBB_DB_H

#include "base/err.h"
#include "base/str.h"

struct db;
struct db_tx;

struct db_options {
    const char *path;       /* of the database file; "" for one in memory (tests) */
    unsigned readers_max;   /* connections for reading, opened when needed; 0 means 8 */
    unsigned group_max;     /* writes in one commit; 0 means 256 */
    uint64_t log_max_bytes; /* bound of the write-ahead log before writers wait; 0 means 64 MiB */
    bool no_sync;           /* tests only: commits are not durable */
    /* Changes no file, a log that a crash left included, which is read all the same. The database
     * must be there with the newest schema, and nobody may have it open; db_write() is ST_DENIED.
     */
    bool read_only;
};

/* One step of the schema. Steps are applied in order, each in a transaction, once. */
struct db_migration {
    int version;     /* 1, 2, 3, ... without gaps */
    const char *sql; /* statements separated by ";" */
};

/* Opens or makes the database and brings its schema up. ST_UNSUPPORTED when the schema is newer
 * than the last migration given: the message says which version is needed. */
MUST_CHECK enum st db_open(const struct db_options *options, const struct db_migration *migrations,
                           size_t migration_count, struct db **out, struct err *err);
/* Runs what is queued, checkpoints, closes. NULL is fine. */
void db_close(struct db *db);

typedef enum st (*db_fn)(struct db_tx *tx, void *ctx, struct err *err);

/* Runs `fn` in a transaction and returns when it is durable, or with fn's failure, or with the
 * commit's. Blocks: not for event loops. */
MUST_CHECK enum st db_write(struct db *db, db_fn fn, void *ctx, struct err *err);

/* Runs `fn` on a snapshot. Waits only when readers_max functions are reading. */
MUST_CHECK enum st db_read(struct db *db, db_fn fn, void *ctx, struct err *err);

/* An argument of a statement. */
struct db_arg {
    enum { DB_ARG_NULL, DB_ARG_INT, DB_ARG_TEXT, DB_ARG_BYTES } kind;
    int64_t number;
    str text; /* borrowed for the call */
};
#define DB_NULL            ((struct db_arg){ DB_ARG_NULL, 0, STR_NONE })
#define DB_INT(n)          ((struct db_arg){ DB_ARG_INT, (int64_t)(n), STR_NONE })
#define DB_TEXT(s)         ((struct db_arg){ DB_ARG_TEXT, 0, (s) })
#define DB_BYTES(s)        ((struct db_arg){ DB_ARG_BYTES, 0, (s) })
#define DB_TEXT_OR_NULL(s) ((s).ptr == NULL ? DB_NULL : DB_TEXT(s))
/* DB_ARGS(DB_INT(id), DB_TEXT(name)): the array and its length. */
#define DB_ARGS(...)                                                                               \
    (const struct db_arg[]){ __VA_ARGS__ },                                                        \
        (sizeof((const struct db_arg[]){ __VA_ARGS__ }) / sizeof(struct db_arg))
#define DB_NO_ARGS NULL, 0

/* `sql` must be a string constant: its address is the key of the prepared statement's cache. */

/* Runs a statement that returns no rows. `*changed`, unless NULL, is how many rows it changed. */
MUST_CHECK enum st db_run(struct db_tx *tx, const char *sql, const struct db_arg *args, size_t n,
                          int64_t *changed, struct err *err);

/* Rows of a statement. Start with {0} and AUTO(db_rows_close); zero-initialised is closed. */
struct db_rows {
    struct db_tx *tx;
    void *statement;
};
MUST_CHECK enum st db_select(struct db_tx *tx, struct db_rows *rows, const char *sql,
                             const struct db_arg *args, size_t n, struct err *err);
/* ST_OK with a row, ST_END after the last. */
MUST_CHECK enum st db_next(struct db_rows *rows, struct err *err);
void db_rows_close(struct db_rows *rows);

/* First row of a statement: ST_OK with `rows` on it, or ST_NOT_FOUND with a plain message. */
MUST_CHECK enum st db_one(struct db_tx *tx, struct db_rows *rows, const char *sql,
                          const struct db_arg *args, size_t n, struct err *err);

/* Columns of the current row, from 0. NULL reads as 0 and as an unset str. Text and bytes are
 * borrowed until the next db_next() or db_rows_close(). */
int64_t db_int(const struct db_rows *rows, int column);
str db_text(const struct db_rows *rows, int column);
str db_bytes(const struct db_rows *rows, int column);
bool db_is_null(const struct db_rows *rows, int column);

/* Whole-database facts for `ebb check` and /metrics. */
struct db_status {
    int schema_version;
    uint64_t bytes;     /* of the database file */
    uint64_t log_bytes; /* of the write-ahead log */
};
MUST_CHECK enum st db_get_status(struct db *db, struct db_status *out, struct err *err);
/* The engine's own check of its file: ST_CORRUPT with what it found. With read_only, before the
 * first db_read(). */
MUST_CHECK enum st db_check(struct db *db, struct err *err);

#endif
