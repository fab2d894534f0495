/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of the SQLite engine share: a connection, the writer, the log's keeper.
 */
#ifndef EBB_DB_SQLITE_H
#define EBB_DB_SQLITE_H

#include <sqlite3.h>

#include "db/db_int.h"

#define SQLITE_PAGE_BYTES       4096
#define SQLITE_FRAME_BYTES      (SQLITE_PAGE_BYTES + 24) /* sqlite.org/fileformat2.html, section 4.1 */
#define SQLITE_LOG_HEADER_BYTES 32

/* A statement in use (`busy`) belongs to who prepared it. Idle ones wait in the cache, keyed by the
 * address of their text; the one idle for longest goes when there are too many. */
struct db_stmt {
    sqlite3_stmt *handle;
    struct db_conn *conn;
    const char *sql;
    struct db_stmt *bucket_next;
    struct db_stmt *older, *newer; /* by last use */
    size_t parameters;
    bool cached;
    bool busy;
    bool ended; /* SQLite would start it again */
};

#define STMT_BUCKETS 128 /* a power of two */

enum db_role { DB_ROLE_READER, DB_ROLE_WRITER, DB_ROLE_CHECKPOINTER };

struct db_conn {
    sqlite3 *handle;
    struct db_stmt *buckets[STMT_BUCKETS];
    struct db_stmt *oldest, *newest;
    unsigned stmt_count, stmt_max;
    int64_t busy_ms;    /* how long to wait for another connection's lock */
    int64_t busy_until; /* monotonic; of the wait under way */
};

MUST_CHECK enum st db_sqlite_connect(struct db *db, enum db_role role, struct db_conn **out,
                                     struct err *err);
void db_sqlite_disconnect(struct db_conn *conn); /* NULL is fine */
/* Status and message of the failure `code` on `conn`. */
enum st db_sqlite_failure(struct db_conn *conn, int code, const char *what, struct err *err);
/* Runs a constant statement without arguments and rows, such as "COMMIT". */
MUST_CHECK enum st db_sqlite_do(struct db_conn *conn, const char *sql, struct err *err);
/* Ends the transaction if there is one. When even that fails, it stays open. */
void db_sqlite_roll_back(struct db_conn *conn);
/* Whether a transaction is open. SQLite ends one by itself after some failures. */
bool db_sqlite_in_transaction(const struct db_conn *conn);

/* Names the calling thread, and leaves signals to the others. */
void db_sqlite_name_thread(const char *name);

/* db_schema.c: struct db_ops' migrate() */
MUST_CHECK enum st db_schema_step(struct db_conn *conn, const char *sql, int version,
                                  struct err *err);

/* db_fault.c: in builds with -Dfaults=true, SQLite's allocations and file calls pass fault_hit().
 */
void db_fault_config_memory(void);
const char *db_fault_vfs(void);    /* the name for sqlite3_open_v2(); NULL is the default */
uint64_t db_fault_log_syncs(void); /* of write-ahead logs, so far; 0 in other builds */

/* Who keeps the write-ahead log bounded: see db_checkpoint.c. */
struct db_log {
    struct db *db;
    struct db_conn *conn; /* of the thread below */
    struct lock lock;
    pthread_cond_t wake; /* the thread: there is work */
    pthread_cond_t rest; /* the writer: no checkpoint is running */
    pthread_t thread;
    uint64_t bytes;        /* in the log, as of the last commit */
    uint64_t moved;        /* of them, in the database file; see invariant 2 */
    uint64_t passed;       /* `bytes` when the last passive checkpoint began */
    uint64_t generation;   /* how often the log has started over */
    int64_t limit_wait_ms; /* for readers at the bound, before a write fails */
    int64_t retry_at;      /* monotonic ms; no restart is tried before */
    bool pressed;          /* the disk is full: start over as soon as it is possible */
    bool running;          /* a checkpoint is under way */
    bool stopping;
    bool started;
};

MUST_CHECK enum st db_log_start(struct db_log *log, struct db *db, struct err *err);
void db_log_stop(struct db_log *log);
/* The writer committed; the log has `frames` now. */
void db_log_grew(struct db_log *log, uint64_t frames);
/* A write failed for lack of space. */
void db_log_press(struct db_log *log);
/* The writer calls this between two transactions on its own connection. Returns when the log has
 * room for the next; waits for that only when the log is at its bound. */
MUST_CHECK enum st db_log_make_room(struct db_log *log, struct db_conn *conn, struct err *err);

/* The writer thread: see db_writer.c. */
struct write_request;

struct db_writer {
    struct db *db;
    struct db_log *log;
    struct db_conn *conn; /* NULL after a failure that needs a new one */
    struct lock lock;
    pthread_cond_t work;
    struct write_request *first; /* in order of arrival */
    struct write_request **end;
    size_t queued;
    struct write_request **batch; /* group_max places */
    pthread_t thread;
    bool stopping;
    bool started;
};

MUST_CHECK enum st db_writer_start(struct db_writer *writer, struct db *db, struct db_log *log,
                                   struct err *err);
void db_writer_stop(struct db_writer *writer); /* after all that is queued */
MUST_CHECK enum st db_writer_write(struct db_writer *writer, db_fn fn, void *ctx, struct err *err);

struct db_sqlite {
    char *scratch; /* the directory of a database "in memory"; NULL otherwise */
    char *path;
    bool has_log; /* with read_only: there is a log to read */
    struct db_log log;
    struct db_writer writer;
};

#endif
