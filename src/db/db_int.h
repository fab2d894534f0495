/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of db/ share: the engine's operations, a database, the pool of readers.
 *
 * An engine is a `struct db_ops`. Statements belong to a connection, a connection to one thread at
 * a time; `write` may be called by any. How writes reach the disk is the engine's own affair:
 * SQLite has one writer thread (db_writer.c), a server would take a connection for each write.
 */
#ifndef EBB_DB_INT_H
#define EBB_DB_INT_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/lock.h"
#include "db/db.h"

struct db_conn; /* an engine's connection */
struct db_stmt; /* an engine's prepared statement, in use */

struct db_ops {
    /* Makes the database reachable, ready for connections and writes. After a failure, close() is
     * called all the same. */
    enum st (*open)(struct db *db, struct err *err);
    void (*close)(struct db *db); /* runs what is queued; no connection is open any more */

    enum st (*connect)(struct db *db, bool writes, struct db_conn **out, struct err *err);
    void (*disconnect)(struct db_conn *conn);
    /* A snapshot for reading. end() returns false when the connection is of no more use. */
    enum st (*begin)(struct db_conn *conn, struct err *err);
    bool (*end)(struct db_conn *conn);
    enum st (*write)(struct db *db, db_fn fn, void *ctx, struct err *err);

    /* `keep`: the arguments outlive the call, so they are copied. */
    enum st (*prepare)(struct db_tx *tx, const char *sql, const struct db_arg *args, size_t n,
                       bool keep, struct db_stmt **out, struct err *err);
    enum st (*next)(struct db_tx *tx, struct db_stmt *stmt, struct err *err); /* as db_next() */
    int64_t (*changed)(const struct db_stmt *stmt);
    void (*finish)(struct db_stmt *stmt);
    /* Text and bytes are given in .text, whatever the column holds; numbers in .number. */
    struct db_arg (*column)(const struct db_stmt *stmt, int column, bool as_number);

    enum st (*schema_version)(struct db_conn *conn, int *out, struct err *err);
    /* Runs the statements in `sql` and sets the version, in one transaction. */
    enum st (*migrate)(struct db_conn *conn, const char *sql, int version, struct err *err);
    enum st (*status)(struct db *db, struct db_status *out, struct err *err);
    enum st (*check)(struct db *db, struct err *err);
};

extern const struct db_ops db_sqlite_ops;

struct db_tx {
    struct db *db;
    struct db_conn *conn;
    unsigned open;  /* statements in use; 0 when the function returns */
    enum st failed; /* a statement failed in the engine: must not be committed. ST_OK: none did */
};

/* A connection for reading, and the snapshot that it may still hold from the read before. */
struct db_reader {
    struct db_conn *conn;
    uint64_t epoch; /* of the snapshot */
    bool snapshot;  /* one is open */
};

struct db_pool {
    struct lock lock;
    pthread_cond_t freed;
    struct db_reader *idle; /* a stack: the one used last has the warmest cache */
    unsigned idle_count;
    unsigned open_count; /* idle, in use or being opened */
    unsigned max;
    unsigned settling; /* how many asked that no snapshot outlives its read */
};

struct db {
    const struct db_ops *ops;
    /* Grows with each commit, before it is acknowledged: a snapshot of the current epoch shows
     * everything that was acknowledged. */
    _Atomic uint64_t epoch;
    struct db_options options; /* with the defaults filled in; .path is owned */
    struct db_pool pool;
    void *engine; /* the engine's own state */
};

MUST_CHECK enum st db_pool_init(struct db *db, struct err *err);
void db_pool_close(struct db *db);   /* nobody may read any more; settling does nothing then */
void db_pool_release(struct db *db); /* nobody may settle any more */
/* Lends a connection for reading, with a snapshot that shows everything acknowledged; waits when
 * all are lent. */
MUST_CHECK enum st db_pool_take(struct db *db, struct db_reader *out, struct err *err);
/* `fit` is false for a connection that has to be closed. */
void db_pool_give(struct db *db, struct db_reader *reader, bool fit);
/* Between these two no snapshot outlives its read: idle ones are ended now, lent ones when they
 * come back. The log can only be moved, and start over, when nobody looks at it. */
void db_pool_settle(struct db *db);
void db_pool_resume(struct db *db);

/* Brings the schema up to the last of `steps`. */
MUST_CHECK enum st db_migrate(struct db *db, const struct db_migration *steps, size_t count,
                              struct err *err);

/* Set while this thread runs a function: such a thread must not call db_read() or db_write(), it
 * would wait for itself. */
extern _Thread_local bool db_inside;

/* Runs `fn` with its failure made well-formed: ST_END and an empty *err become ST_BUG. */
MUST_CHECK enum st db_call(db_fn fn, struct db_tx *tx, void *ctx, struct err *err);

#endif
