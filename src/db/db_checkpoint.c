/* SPDX-License-Identifier: Apache-2.0
 *
 * Keeps the write-ahead log bounded without checkpoints in the path of commits.
 *
 * A commit appends pages to the log. A checkpoint moves them into the database file. Only when all
 * are moved and no reader looks at the log any more may the log start over at its beginning.
 *
 *      bytes:  0 ......... step ......... 2 step ........ max/2 ........................ max
 *      thread:              passive        passive        passive, four times as often
 *      writer:                                            restart when nearly all is   restart, and
 *                                                         moved and no reader is in    wait for it
 *                                                         the way; else goes on
 *
 * - A passive checkpoint runs on the thread's own connection beside writers and readers. It moves
 *   what was committed when it began and no reader needs from the log, and syncs both files.
 * - A restart runs on the writer's connection between two transactions. It has little to move, as
 *   nothing is committed meanwhile, and waits for the readers that still look at the log: new ones
 *   find all in the file and look only there.
 * - After a restart the log's blocks are written again in place. They are not given back: on a full
 *   disk there may still be room for the deletions that help. A write that found the disk full
 *   therefore asks for a restart before the next.
 *
 * Invariants, under `lock`:
 *  1. `running` while a checkpoint is under way; there is at most one (SQLite refuses a second).
 *  2. `moved` is never less than what is moved of the log of this `generation`, as far as `bytes`
 *     reaches. A passive checkpoint begins only when more is in the log than that.
 *  3. The log never exceeds log_max_bytes by more than one batch: the writer makes room before
 *     each, and when it gets none within LIMIT_WAIT_MS the batch fails.
 *
 * The second is more than thrift. SQLite before 3.51.3 (but for 3.44.6 and 3.50.7) has a race
 * between a checkpoint and a writer that starts the log over at the same instant, which can damage
 * the file (sqlite.org/wal.html#walresetbug). A writer can start over only when all of the log is
 * moved; as long as something is left to move when a checkpoint begins, none can do so under it
 * before the checkpoint has read the log's header. For the same reason nothing else in this room
 * checkpoints, but for the close of the last connection, which is alone by then.
 *
 * A crash at any step leaves a log that is read again at the next start; moving pages twice is
 * harmless, and the log starts over only after the file was synced.
 */
#include "base/clock.h"
#include "base/fault.h"
#include "base/metric.h"
#include "db/db_sqlite.h"

enum {
    RESTART_WAIT_MS = 5,   /* for readers, while there is room */
    RETRY_MS = 50,         /* until the next attempt */
    LIMIT_WAIT_MS = 30000, /* for readers, at the bound */
};

static uint64_t step_bytes(const struct db_log *log)
{
    return MIN(4 * MIB, log->db->options.log_max_bytes / 8);
}

static bool above_half(const struct db_log *log)
{
    return log->bytes > log->db->options.log_max_bytes / 2;
}

static uint64_t unmoved_bytes(const struct db_log *log)
{
    return log->bytes > log->moved ? log->bytes - log->moved : 0;
}

static bool is_due(const struct db_log *log)
{
    uint64_t step = step_bytes(log);
    return unmoved_bytes(log) > 0 &&
           log->bytes - log->passed >= (above_half(log) ? step / 4 : step);
}

static uint64_t bytes_of(int64_t frames)
{
    return frames <= 0 ? 0 : SQLITE_LOG_HEADER_BYTES + (uint64_t)frames * SQLITE_FRAME_BYTES;
}

/* The log is empty or is written from its beginning. Under the lock. */
static void start_over(struct db_log *log)
{
    log->generation++;
    log->moved = 0;
    log->passed = 0;
}

void db_log_grew(struct db_log *log, uint64_t frames)
{
    uint64_t bytes = bytes_of((int64_t)frames);
    metric_set(METRIC_DB_LOG_BYTES, (int64_t)bytes);
    LOCK_SCOPE(&log->lock);
    if (bytes < log->bytes)
        start_over(log);
    log->bytes = bytes;
    if (!log->running && is_due(log))
        (void)pthread_cond_signal(&log->wake);
}

void db_log_press(struct db_log *log)
{
    LOCK_SCOPE(&log->lock);
    log->pressed = log->bytes > 0;
}

static int checkpoint(struct db_log *log, struct db_conn *conn, int mode, uint64_t *moved)
{
    int frames = 0, done = 0;
    db_pool_settle(log->db);
    int code = fault_hit(FAULT_SQL)
                   ? SQLITE_IOERR
                   : sqlite3_wal_checkpoint_v2(conn->handle, NULL, mode, &frames, &done);
    db_pool_resume(log->db);
    *moved = bytes_of(done);
    return code;
}

/* Under the lock, which it drops meanwhile. */
static void pass(struct db_log *log)
{
    uint64_t generation = log->generation;
    log->passed = log->bytes; /* what grows from now on makes the next one due */
    log->running = true;
    lock_drop(&log->lock);
    uint64_t moved;
    int code = checkpoint(log, log->conn, SQLITE_CHECKPOINT_PASSIVE, &moved);
    if (code == SQLITE_OK)
        metric_cell_add(metric_cell(METRIC_DB_CHECKPOINTS, "mode=\"passive\""), 1);
    else if (code != SQLITE_BUSY) /* it is repeated when the log has grown; the writer reports */
        (void)db_sqlite_failure(log->conn, code, "checkpoint", NULL);
    lock_take(&log->lock);
    if (generation == log->generation)
        log->moved = MAX(log->moved, code == SQLITE_OK ? moved : log->bytes);
    log->running = false;
    (void)pthread_cond_signal(&log->rest);
}

static void *log_main(void *ctx)
{
    struct db_log *log = ctx;
    db_sqlite_name_thread("db-log");
    LOCK_SCOPE(&log->lock);
    while (!log->stopping) {
        if (!log->running && is_due(log))
            pass(log);
        else
            lock_wait(&log->lock, &log->wake);
    }
    return NULL;
}

/* Whether a restart is worth an attempt. At the bound it waits until none is under way. Under the
 * lock. */
static bool wants_restart(struct db_log *log)
{
    if (log->bytes >= log->db->options.log_max_bytes) {
        while (log->running)
            lock_wait(&log->lock, &log->rest);
        return log->bytes >= log->db->options.log_max_bytes;
    }
    if (log->running || clock_mono_ms() < log->retry_at)
        return false;
    return log->pressed || (above_half(log) && unmoved_bytes(log) <= step_bytes(log) / 2);
}

enum st db_log_make_room(struct db_log *log, struct db_conn *conn, struct err *err)
{
    bool full;
    {
        LOCK_SCOPE(&log->lock);
        if (!wants_restart(log))
            return ST_OK;
        log->running = true;
        full = log->bytes >= log->db->options.log_max_bytes;
    }
    int64_t usual_ms = conn->busy_ms;
    conn->busy_ms = full ? log->limit_wait_ms : RESTART_WAIT_MS;
    uint64_t moved;
    int code = checkpoint(log, conn, SQLITE_CHECKPOINT_RESTART, &moved);
    conn->busy_ms = usual_ms;
    if (code == SQLITE_OK)
        metric_cell_add(metric_cell(METRIC_DB_CHECKPOINTS, "mode=\"restart\""), 1);
    LOCK_SCOPE(&log->lock);
    log->running = false;
    log->pressed = false;
    if (code == SQLITE_OK) {
        log->bytes = 0; /* the next commit starts over */
        start_over(log);
        return ST_OK;
    }
    log->moved = MAX(log->moved, code == SQLITE_BUSY ? moved : log->bytes);
    log->retry_at = clock_mono_ms() + RETRY_MS;
    if (!full)
        return ST_OK;
    if (code == SQLITE_BUSY)
        return err_set(err, ST_BUSY,
                       "the database's log is at its bound of %llu bytes and a reader keeps it "
                       "from starting over",
                       (unsigned long long)log->db->options.log_max_bytes);
    return db_sqlite_failure(conn, code, "restart of the log", err);
}

enum st db_log_start(struct db_log *log, struct db *db, struct err *err)
{
    log->db = db;
    log->limit_wait_ms = LIMIT_WAIT_MS;
    enum st st = db_sqlite_connect(db, DB_ROLE_CHECKPOINTER, &log->conn, err);
    if (st != ST_OK)
        return st;
    lock_init(&log->lock, LOCK_DB_LOG);
    lock_cond_init(&log->wake);
    lock_cond_init(&log->rest);
    log->started = true;
    if (fault_hit(FAULT_ALLOC) || pthread_create(&log->thread, NULL, log_main, log) != 0) {
        log->stopping = true; /* no thread to wait for */
        return err_set(err, ST_NO_MEMORY, "no thread for the database's log");
    }
    return ST_OK;
}

void db_log_stop(struct db_log *log)
{
    if (!log->started)
        return;
    lock_take(&log->lock);
    bool has_thread = !log->stopping;
    log->stopping = true;
    (void)pthread_cond_signal(&log->wake);
    lock_drop(&log->lock);
    if (has_thread)
        (void)pthread_join(log->thread, NULL);
    /* The last connection: it moves what is left. A failure is no loss, the next start reads the
     * log again. */
    db_sqlite_disconnect(log->conn);
    lock_release(&log->lock);
    (void)pthread_cond_destroy(&log->wake);
    (void)pthread_cond_destroy(&log->rest);
    log->started = false;
}
