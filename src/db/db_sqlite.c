/* SPDX-License-Identifier: Apache-2.0
 *
 * The SQLite engine: connections and what is asked of the whole database.
 *
 * One connection writes (db_writer.c), one moves the log into the file (db_checkpoint.c), up to
 * readers_max read (db_pool.c). All are used without SQLite's own mutexes: one thread at a time.
 * Other processes may open the file for reading.
 */
#include "db/db_sqlite.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/metric.h"
#include "db/db_statement.h"

enum { BUSY_MS = 2000 };

static struct db_sqlite *engine_of(const struct db *db)
{
    return db->engine;
}

static enum st status_of(sqlite3 *handle, int code)
{
    switch (code) {
    case SQLITE_CONSTRAINT_UNIQUE:
    case SQLITE_CONSTRAINT_PRIMARYKEY:
    case SQLITE_CONSTRAINT_ROWID:
        return ST_EXISTS;
    case SQLITE_CONSTRAINT_FOREIGNKEY:
        return ST_MISSING_PART;
    default:
        break;
    }
    switch (code & 0xff) {
    case SQLITE_CONSTRAINT:
        return ST_INVALID;
    case SQLITE_FULL:
        return ST_FULL;
    case SQLITE_NOMEM:
        return ST_NO_MEMORY;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return ST_CORRUPT;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return ST_BUSY;
    case SQLITE_TOOBIG:
        return ST_TOO_LARGE;
    case SQLITE_ERROR: /* a text that does not fit the schema */
    case SQLITE_MISUSE:
    case SQLITE_RANGE:
        return ST_BUG;
    default:
        break;
    }
    /* SQLite says SQLITE_FULL for ENOSPC on a write, and not for a quota or a sync. */
    int os = handle == NULL ? 0 : sqlite3_system_errno(handle);
    if ((code & 0xff) == SQLITE_IOERR && (os == ENOSPC || os == EDQUOT || os == EFBIG))
        return ST_FULL;
    if (code == SQLITE_IOERR_NOMEM)
        return ST_NO_MEMORY;
    return ST_IO;
}

enum st db_sqlite_failure(struct db_conn *conn, int code, const char *what, struct err *err)
{
    sqlite3 *handle = conn == NULL ? NULL : conn->handle;
    /* The connection's message belongs to its last call, which an injected fault was not. */
    bool own = handle != NULL && (sqlite3_extended_errcode(handle) & 0xff) == (code & 0xff);
    if (own)
        code = sqlite3_extended_errcode(handle);
    enum st st = status_of(handle, code);
    if (st != ST_EXISTS && st != ST_MISSING_PART && st != ST_INVALID)
        metric_add(METRIC_DB_ERRORS, 1);
    return err_set(err, st, "database: %s (code %d) in: %.120s",
                   own ? sqlite3_errmsg(handle) : sqlite3_errstr(code), code, what);
}

bool db_sqlite_in_transaction(const struct db_conn *conn)
{
    return sqlite3_get_autocommit(conn->handle) == 0;
}

enum st db_sqlite_do(struct db_conn *conn, const char *sql, struct err *err)
{
    struct db_stmt *stmt;
    enum st st = db_statement_get(conn, sql, &stmt, err);
    if (st != ST_OK)
        return st;
    st = db_statement_step(stmt, err);
    db_statement_finish(stmt);
    return st == ST_END ? ST_OK : st;
}

void db_sqlite_roll_back(struct db_conn *conn)
{
    enum st st = ST_OK;
    if (db_sqlite_in_transaction(conn))
        st = db_sqlite_do(conn, "ROLLBACK", NULL);
    (void)st; /* callers ask whether it is open still */
}

void db_sqlite_name_thread(const char *name)
{
    sigset_t all;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_BLOCK, &all, NULL);
    (void)pthread_setname_np(pthread_self(), name);
}

/* --- connections --- */

static int on_busy(void *ctx, int tries)
{
    struct db_conn *conn = ctx;
    int64_t now = clock_mono_ms();
    if (tries == 0)
        conn->busy_until = now + conn->busy_ms;
    if (now >= conn->busy_until)
        return 0;
    /* SQLite's locks tell nobody when they are dropped: it can only be asked again. */
    (void)nanosleep(&(struct timespec){ .tv_nsec = 500000 }, NULL);
    return 1;
}

static enum st pragma(struct db_conn *conn, const char *sql, struct err *err)
{
    int code =
        fault_hit(FAULT_SQL) ? SQLITE_IOERR : sqlite3_exec(conn->handle, sql, NULL, NULL, NULL);
    return code == SQLITE_OK ? ST_OK : db_sqlite_failure(conn, code, sql, err);
}

static enum st set_up(struct db *db, struct db_conn *conn, enum db_role role, struct err *err)
{
    (void)sqlite3_extended_result_codes(conn->handle, 1);
    (void)sqlite3_busy_handler(conn->handle, on_busy, conn);
    (void)sqlite3_db_config(conn->handle, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    (void)sqlite3_db_config(conn->handle, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    (void)sqlite3_db_config(conn->handle, SQLITE_DBCONFIG_DQS_DML, 0, NULL);
    (void)sqlite3_db_config(conn->handle, SQLITE_DBCONFIG_DQS_DDL, 0, NULL);
    (void)sqlite3_db_config(conn->handle, SQLITE_DBCONFIG_ENABLE_FKEY, 1, NULL);
    (void)sqlite3_wal_autocheckpoint(conn->handle, 0);
    char limit[64];
    (void)snprintf(limit, sizeof(limit), "PRAGMA journal_size_limit=%llu",
                   (unsigned long long)db->options.log_max_bytes);
    const char *const lines[] = {
        "PRAGMA page_size=4096",
        "PRAGMA encoding='UTF-8'",
        "PRAGMA temp_store=MEMORY",
        "PRAGMA mmap_size=0",      /* its pages would count as the server's memory */
        "PRAGMA cache_size=-8192", /* holds the upper levels of the indexes at 10^6 images */
        db->options.no_sync ? "PRAGMA synchronous=OFF" : "PRAGMA synchronous=FULL",
        limit,
        role == DB_ROLE_READER ? "PRAGMA query_only=ON" : "PRAGMA query_only=OFF",
    };
    for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
        enum st st = pragma(conn, lines[i], err);
        if (st != ST_OK)
            return st;
    }
    return ST_OK;
}

static enum st use_log(struct db_conn *conn, struct err *err)
{
    enum st st = ST_OK;
    struct db_stmt *stmt;
    st = db_statement_get(conn, "PRAGMA journal_mode=WAL", &stmt, err);
    if (st != ST_OK)
        return st;
    st = db_statement_step(stmt, err);
    if (st == ST_OK) {
        str mode = db_statement_column(stmt, 0, false).text;
        if (!str_eq(mode, STR("wal")))
            st = err_set(err, ST_UNSUPPORTED,
                         "the database cannot use a write-ahead log where it is stored (mode %.*s)",
                         STR_FMT(mode));
    } else if (st == ST_END) {
        st = err_set(err, ST_IO, "the database did not name its journal mode");
    }
    db_statement_finish(stmt);
    return st;
}

/* Changes nothing. Without a log the file is opened as one that cannot change. With one, SQLite has
 * to index the log: in its memory and not in a file, because the connection locks others out, and
 * it leaves the log where it is in the end. */
static int open_read_only(const struct db_sqlite *engine, struct db_conn *conn)
{
    char uri[3 * 4096 + 32] = "file:";
    size_t len = strlen(uri);
    int code;
    if (engine->has_log) {
        code = sqlite3_open_v2(engine->path, &conn->handle,
                               SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, db_fault_vfs());
        if (code == SQLITE_OK)
            code = sqlite3_db_config(conn->handle, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
        if (code == SQLITE_OK)
            code = sqlite3_exec(conn->handle, "PRAGMA locking_mode=EXCLUSIVE", NULL, NULL, NULL);
        return code;
    }
    for (const char *p = engine->path; *p != '\0' && len < sizeof(uri) - 32; p++) {
        if (strchr("%?#", *p) != NULL)
            len += (size_t)snprintf(uri + len, 4, "%%%02X", (unsigned char)*p);
        else
            uri[len++] = *p;
    }
    (void)snprintf(uri + len, sizeof(uri) - len, "?immutable=1");
    return sqlite3_open_v2(uri, &conn->handle,
                           SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_URI,
                           db_fault_vfs());
}

enum st db_sqlite_connect(struct db *db, enum db_role role, struct db_conn **out, struct err *err)
{
    struct db_conn *conn = mem_new(sizeof(*conn));
    if (conn == NULL)
        return err_no_memory(err);
    conn->busy_ms = BUSY_MS;
    conn->stmt_max = role == DB_ROLE_CHECKPOINTER ? 8 : role == DB_ROLE_WRITER ? 256 : 128;
    bool read_only = db->options.read_only;
    int code = read_only
                   ? open_read_only(engine_of(db), conn)
                   : sqlite3_open_v2(engine_of(db)->path, &conn->handle,
                                     SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, db_fault_vfs());
    enum st st = code == SQLITE_OK ? set_up(db, conn, role, err)
                                   : db_sqlite_failure(conn, code, "open", err);
    if (st == ST_OK && !read_only)
        st = use_log(conn, err);
    if (st != ST_OK) {
        db_sqlite_disconnect(conn);
        return st;
    }
    *out = conn;
    return ST_OK;
}

void db_sqlite_disconnect(struct db_conn *conn)
{
    if (conn == NULL)
        return;
    db_statement_free_all(conn);
    int code = sqlite3_close(conn->handle);
    assert(code == SQLITE_OK); /* it fails only when statements are left */
    (void)code;
    mem_free(conn);
}

static enum st connect_for(struct db *db, bool writes, struct db_conn **out, struct err *err)
{
    writes = writes && !db->options.read_only;
    return db_sqlite_connect(db, writes ? DB_ROLE_WRITER : DB_ROLE_READER, out, err);
}

static enum st begin(struct db_conn *conn, struct err *err)
{
    return db_sqlite_do(conn, "BEGIN", err);
}

static bool end(struct db_conn *conn)
{
    if (!db_sqlite_in_transaction(conn))
        return true;
    return db_sqlite_do(conn, "COMMIT", NULL) == ST_OK && !db_sqlite_in_transaction(conn);
}

/* --- open and close --- */

static void config_once(void)
{
    /* Refused when something else in the process uses SQLite already: then it runs as it is. */
    (void)sqlite3_config(SQLITE_CONFIG_MULTITHREAD);
    (void)sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0); /* a mutex around each allocation */
    db_fault_config_memory();
}

static enum st make_scratch(struct db_sqlite *engine, struct err *err)
{
    const char *parent = getenv("TMPDIR");
    if (parent == NULL || *parent == '\0')
        parent = "/tmp";
    static const char name[] = "/ebb-db-XXXXXX";
    size_t size = strlen(parent) + sizeof(name);
    char *dir = mem_new(size);
    if (dir == NULL)
        return err_no_memory(err);
    (void)snprintf(dir, size, "%s%s", parent, name);
    if (mkdtemp(dir) == NULL) {
        enum st st = err_sys(err, "make a directory in %s", parent);
        mem_free(dir);
        return st;
    }
    engine->scratch = dir;
    size_t path_size = size + sizeof("/db");
    engine->path = mem_new(path_size);
    if (engine->path == NULL)
        return err_no_memory(err);
    (void)snprintf(engine->path, path_size, "%s/db", dir);
    return ST_OK;
}

static void remove_scratch(struct db_sqlite *engine)
{
    static const char *const ends[] = { "", "-wal", "-shm", "-journal" };
    size_t size = strlen(engine->scratch) + sizeof("/db-journal");
    for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
        char *path = mem_new(size);
        if (path == NULL)
            continue; /* a file is left in the directory for temporary files */
        (void)snprintf(path, size, "%s/db%s", engine->scratch, ends[i]);
        (void)unlink(path);
        mem_free(path);
    }
    (void)rmdir(engine->scratch);
    mem_free(engine->scratch);
}

/* Makes the file with the right mode, which its log inherits, and makes its name durable. A file
 * that is there is not opened: closing it would drop the locks that this process has on it. */
static enum st make_file(const char *path, bool sync, struct err *err)
{
    if (access(path, F_OK) == 0)
        return ST_OK;
    AUTO(file_close_auto) int fd = -1;
    enum st st = file_open(AT_FDCWD, path, O_RDWR | O_CREAT, 0600, &fd, err);
    if (st != ST_OK || !sync)
        return st;
    str dir = str_of(path), name;
    char parent[4096] = ".";
    if (str_cut_last(dir, '/', &dir, &name) &&
        !str_copy(dir.len == 0 ? STR("/") : dir, parent, sizeof(parent)))
        return err_set(err, ST_INVALID, "the path of the database is too long");
    return file_sync_dir(AT_FDCWD, parent, err);
}

static enum st file_bytes(const char *path, const char *end, uint64_t *out, struct err *err);

static enum st look_at_files(struct db_sqlite *engine, struct err *err)
{
    uint64_t log_bytes = 0;
    if (access(engine->path, F_OK) != 0)
        return err_sys(err, "there is no database");
    enum st st = file_bytes(engine->path, "-wal", &log_bytes, err);
    engine->has_log = log_bytes > 0;
    return st;
}

static enum st engine_open(struct db *db, struct err *err)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    (void)pthread_once(&once, config_once);
    struct db_sqlite *engine = mem_new(sizeof(*engine));
    if (engine == NULL)
        return err_no_memory(err);
    db->engine = engine;
    enum st st = ST_OK;
    if (*db->options.path == '\0') {
        db->options.no_sync = true;
        st = make_scratch(engine, err);
    } else {
        engine->path = mem_dup(db->options.path, strlen(db->options.path));
        if (engine->path == NULL)
            st = err_no_memory(err);
    }
    if (st == ST_OK && db->options.read_only) {
        st = look_at_files(engine, err);
        return st == ST_OK ? ST_OK : err_wrap(err, "open the database %s", db->options.path);
    }
    if (st == ST_OK)
        st = make_file(engine->path, !db->options.no_sync, err);
    if (st == ST_OK)
        st = db_log_start(&engine->log, db, err);
    if (st == ST_OK)
        st = db_writer_start(&engine->writer, db, &engine->log, err);
    return st == ST_OK ? ST_OK : err_wrap(err, "open the database %s", db->options.path);
}

static void engine_close(struct db *db)
{
    struct db_sqlite *engine = engine_of(db);
    if (engine == NULL)
        return;
    db_writer_stop(&engine->writer);
    db_log_stop(&engine->log);
    if (engine->scratch != NULL)
        remove_scratch(engine);
    mem_free(engine->path);
    mem_free(engine);
    db->engine = NULL;
}

static enum st engine_write(struct db *db, db_fn fn, void *ctx, struct err *err)
{
    if (db->options.read_only)
        return err_set(err, ST_DENIED, "the database was opened for reading only");
    return db_writer_write(&engine_of(db)->writer, fn, ctx, err);
}

/* --- statements --- */

/* Notes that the transaction must not be committed. A broken constraint is an answer: the
 * statement left no trace and the function may go on. */
static enum st note_failure(struct db_tx *tx, enum st st)
{
    if (st != ST_OK && st != ST_END && st != ST_EXISTS && st != ST_MISSING_PART && st != ST_INVALID)
        tx->failed = st;
    return st;
}

static enum st prepare(struct db_tx *tx, const char *sql, const struct db_arg *args, size_t n,
                       bool keep, struct db_stmt **out, struct err *err)
{
    /* Without this check a function that ignores a failure would write outside a transaction. */
    if (!db_sqlite_in_transaction(tx->conn))
        return note_failure(tx, err_set(err, ST_IO,
                                        "the transaction was rolled back before: "
                                        "%.100s",
                                        sql));
    struct db_stmt *stmt;
    enum st st = db_statement_get(tx->conn, sql, &stmt, err);
    if (st == ST_OK) {
        st = db_statement_bind(stmt, args, n, keep, err);
        if (st != ST_OK)
            db_statement_finish(stmt);
    }
    if (st != ST_OK)
        return note_failure(tx, st);
    *out = stmt;
    return ST_OK;
}

static enum st next(struct db_tx *tx, struct db_stmt *stmt, struct err *err)
{
    return note_failure(tx, db_statement_step(stmt, err));
}

static int64_t changed(const struct db_stmt *stmt)
{
    return sqlite3_stmt_readonly(stmt->handle) ? 0 : sqlite3_changes64(stmt->conn->handle);
}

/* --- the whole database --- */

static enum st file_bytes(const char *path, const char *end, uint64_t *out, struct err *err)
{
    char name[4096];
    struct stat about;
    if (snprintf(name, sizeof(name), "%s%s", path, end) >= (int)sizeof(name))
        return err_set(err, ST_INVALID, "the path of the database is too long");
    if (stat(name, &about) == 0)
        *out = (uint64_t)about.st_size;
    else if (errno == ENOENT)
        *out = 0;
    else
        return err_sys(err, "stat %s", name);
    return ST_OK;
}

static enum st schema_version(struct db_conn *conn, int *out, struct err *err)
{
    struct db_stmt *stmt;
    enum st st = db_statement_get(conn, "PRAGMA user_version", &stmt, err);
    if (st != ST_OK)
        return st;
    st = db_statement_step(stmt, err);
    if (st == ST_OK)
        *out = (int)db_statement_column(stmt, 0, true).number;
    else if (st == ST_END)
        st = err_set(err, ST_CORRUPT, "the database has no schema version");
    db_statement_finish(stmt);
    return st;
}

static enum st status(struct db *db, struct db_status *out, struct err *err)
{
    struct db_status found = { 0 };
    struct db_reader reader;
    enum st st = db_pool_take(db, &reader, err);
    if (st != ST_OK)
        return st;
    st = schema_version(reader.conn, &found.schema_version, err);
    db_pool_give(db, &reader, st == ST_OK);
    const char *path = engine_of(db)->path;
    if (st == ST_OK)
        st = file_bytes(path, "", &found.bytes, err);
    if (st == ST_OK)
        st = file_bytes(path, "-wal", &found.log_bytes, err);
    if (st == ST_OK)
        *out = found;
    return st;
}

/* On a connection of its own: it reads all of the file and may take minutes. */
static enum st check(struct db *db, struct err *err)
{
    struct db_conn *conn;
    enum st st = db_sqlite_connect(db, DB_ROLE_READER, &conn, err);
    if (st != ST_OK)
        return st;
    struct db_stmt *stmt;
    st = db_statement_get(conn, "PRAGMA quick_check(1)", &stmt, err);
    if (st == ST_OK) {
        st = db_statement_step(stmt, err);
        str found = st == ST_OK ? db_statement_column(stmt, 0, false).text : STR("no answer");
        if (st == ST_END || (st == ST_OK && !str_eq(found, STR("ok"))))
            st = err_set(err, ST_CORRUPT, "the database is damaged: %.*s", STR_FMT(found));
        db_statement_finish(stmt);
    }
    db_sqlite_disconnect(conn);
    return st;
}

const struct db_ops db_sqlite_ops = {
    .open = engine_open,
    .close = engine_close,
    .connect = connect_for,
    .disconnect = db_sqlite_disconnect,
    .begin = begin,
    .end = end,
    .write = engine_write,
    .prepare = prepare,
    .next = next,
    .changed = changed,
    .finish = db_statement_finish,
    .column = db_statement_column,
    .schema_version = schema_version,
    .migrate = db_schema_step,
    .status = status,
    .check = check,
};
