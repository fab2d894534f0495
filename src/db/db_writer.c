/* SPDX-License-Identifier: Apache-2.0
 *
 * The writer: one thread that runs the functions of all who write and commits them in groups.
 *
 *      db_write() ── queue ──▶ batch of up to group_max, in order of arrival
 *                                │
 *              room in the log?  │ no: all fail
 *                                ▼
 *                         BEGIN IMMEDIATE ─────────────── fails: all fail
 *                                │
 *            ┌─▶ SAVEPOINT, function, RELEASE             its success stands, not yet durable
 *            │          └─ fails: ROLLBACK TO, RELEASE    its failure stands if the commit succeeds
 *            └───────────────────┤
 *                                │ the engine gave the transaction up: ROLLBACK, then each
 *                                ▼ function in a batch of its own, so that one cannot fail others
 *                            COMMIT with a sync of the log
 *                                ▼
 *                       all are woken, each by itself
 *
 * Invariants:
 *  1. A function's ST_OK is told only after the COMMIT that holds it, whose sync is done by then.
 *  2. A failed COMMIT fails all of its batch, those as well that had failed: they may have failed
 *     because of what another function in the batch wrote and that is not there now.
 *  3. Between two batches no transaction is open. A connection that cannot get there is closed and
 *     opened again before the next batch.
 *  4. A request lives on its caller's stack. After sem_post() it may be gone.
 *
 * A crash before the COMMIT's sync is over leaves the batch away as a whole, or, when its last page
 * reached the disk, there as a whole: nobody was told either way. After it, the batch is there. A
 * COMMIT whose sync failed is not told as done; its pages are written over by the next one, but a
 * crash before that may bring it back. This holds of any database: a failed commit is "unknown".
 */
#include <semaphore.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/mem.h"
#include "base/metric.h"
#include "db/db_sqlite.h"

struct write_request {
    db_fn fn;
    void *ctx;
    enum st st;
    struct err err;
    struct write_request *next;
    sem_t done;
};

/* How a batch went. */
enum outcome {
    BATCH_DONE, /* each request has its own result */
    BATCH_LOST, /* nothing was committed and it can be repeated in smaller parts */
};

static int on_commit(void *ctx, sqlite3 *handle, const char *name, int frames)
{
    (void)handle;
    (void)name;
    db_log_grew(ctx, frames < 0 ? 0 : (uint64_t)frames);
    return SQLITE_OK;
}

static enum st writer_connect(struct db_writer *writer, struct err *err)
{
    struct db_conn *conn;
    enum st st = db_sqlite_connect(writer->db, DB_ROLE_WRITER, &conn, err);
    if (st != ST_OK)
        return st;
    (void)sqlite3_wal_hook(conn->handle, on_commit, writer->log);
    writer->conn = conn;
    return ST_OK;
}

/* Ends the transaction, whatever state it is in. */
static void roll_back(struct db_writer *writer)
{
    db_sqlite_roll_back(writer->conn);
    if (db_sqlite_in_transaction(writer->conn)) {
        db_sqlite_disconnect(writer->conn); /* closing rolls back */
        writer->conn = NULL;
    }
}

static void fail_all(struct write_request **batch, size_t count, const struct err *why)
{
    for (size_t i = 0; i < count; i++) {
        batch[i]->st = why->st;
        batch[i]->err = *why;
    }
}

/* What a function left behind that must not be committed. */
static enum st verify(const struct db_tx *tx, struct err *err)
{
    if (tx->failed != ST_OK)
        return err_set(err, tx->failed, "a statement failed and its function went on: %s",
                       st_text(tx->failed));
    int now = 0, high = 0;
    (void)sqlite3_db_status(tx->conn->handle, SQLITE_DBSTATUS_DEFERRED_FKS, &now, &high, 0);
    if (now != 0)
        return err_set(err, ST_MISSING_PART, "database: FOREIGN KEY constraint failed (deferred)");
    return ST_OK;
}

/* Runs one function. False when the transaction is not fit to go on. */
static bool run(struct db_writer *writer, struct write_request *request)
{
    struct db_conn *conn = writer->conn;
    request->st = db_sqlite_do(conn, "SAVEPOINT f", &request->err);
    if (request->st != ST_OK)
        return false;
    struct db_tx tx = { .db = writer->db, .conn = conn };
    request->st = db_call(request->fn, &tx, request->ctx, &request->err);
    if (request->st == ST_OK)
        request->st = verify(&tx, &request->err);
    if (!db_sqlite_in_transaction(conn))
        return false;
    if (request->st != ST_OK && db_sqlite_do(conn, "ROLLBACK TO f", NULL) != ST_OK)
        return false;
    struct err why;
    enum st st = db_sqlite_do(conn, "RELEASE f", &why);
    if (st != ST_OK && request->st == ST_OK) {
        request->st = st;
        request->err = why;
    }
    return st == ST_OK;
}

static enum st commit(struct db_writer *writer, struct err *err)
{
    int64_t start = clock_mono_us();
    enum st st = db_sqlite_do(writer->conn, "COMMIT", err);
    atomic_fetch_add(&writer->db->epoch, 1); /* failed or not: who reads next looks anew */
    if (st != ST_OK)
        return st;
    metric_add(METRIC_DB_COMMITS, 1);
    metric_observe(METRIC_DB_COMMIT_SECONDS, clock_mono_us() - start);
    return ST_OK;
}

static enum st begin(struct db_writer *writer, struct err *err)
{
    enum st st = ST_OK;
    if (writer->conn == NULL)
        st = writer_connect(writer, err);
    if (st == ST_OK)
        st = db_log_make_room(writer->log, writer->conn, err);
    if (st == ST_OK)
        st = db_sqlite_do(writer->conn, "BEGIN IMMEDIATE", err);
    return st;
}

static enum outcome run_batch(struct db_writer *writer, struct write_request **batch, size_t count)
{
    struct err why;
    if (begin(writer, &why) != ST_OK) {
        if (writer->conn != NULL)
            roll_back(writer);
        fail_all(batch, count, &why);
        return BATCH_DONE;
    }
    metric_add(METRIC_DB_WRITES, (int64_t)count);
    size_t good = 0;
    for (size_t i = 0; i < count; i++) {
        if (!run(writer, batch[i])) {
            roll_back(writer);
            if (batch[i]->st == ST_OK) /* only the message can tell, so this cannot be */
                batch[i]->st = err_set(&batch[i]->err, ST_IO, "the transaction was rolled back");
            return BATCH_LOST;
        }
        good += batch[i]->st == ST_OK;
    }
    if (good > 0 && commit(writer, &why) != ST_OK)
        fail_all(batch, count, &why);
    roll_back(writer); /* nothing is open after a commit */
    return BATCH_DONE;
}

static void run_and_wake(struct db_writer *writer, size_t count)
{
    if (run_batch(writer, writer->batch, count) == BATCH_LOST && count > 1) {
        for (size_t i = 0; i < count; i++)
            (void)run_batch(writer, &writer->batch[i], 1);
    }
    bool full = false;
    for (size_t i = 0; i < count; i++)
        full |= writer->batch[i]->st == ST_FULL;
    if (full)
        db_log_press(writer->log);
    for (size_t i = 0; i < count; i++)
        (void)sem_post(&writer->batch[i]->done);
}

/* Takes what waits, up to group_max. 0 when the writer is to stop and nothing is left. */
static size_t take_batch(struct db_writer *writer)
{
    LOCK_SCOPE(&writer->lock);
    while (writer->first == NULL && !writer->stopping)
        lock_wait(&writer->lock, &writer->work);
    size_t count = 0;
    while (writer->first != NULL && count < writer->db->options.group_max) {
        writer->batch[count++] = writer->first;
        writer->first = writer->first->next;
    }
    writer->queued -= count;
    if (writer->first == NULL)
        writer->end = &writer->first;
    return count;
}

static void *writer_main(void *ctx)
{
    struct db_writer *writer = ctx;
    db_sqlite_name_thread("db-writer");
    size_t count;
    while ((count = take_batch(writer)) > 0)
        run_and_wake(writer, count);
    return NULL;
}

enum st db_writer_write(struct db_writer *writer, db_fn fn, void *ctx, struct err *err)
{
    int64_t start = clock_mono_us();
    struct write_request request = { .fn = fn, .ctx = ctx };
    if (sem_init(&request.done, 0, 0) != 0)
        return err_sys(err, "semaphore");
    lock_take(&writer->lock);
    assert(!writer->stopping); /* db_close() while somebody writes */
    bool first = writer->first == NULL;
    *writer->end = &request;
    writer->end = &request.next;
    writer->queued++;
    if (first)
        (void)pthread_cond_signal(&writer->work);
    lock_drop(&writer->lock);
    while (sem_wait(&request.done) != 0)
        ; /* a signal */
    (void)sem_destroy(&request.done);
    if (request.st != ST_OK) {
        if (err != NULL)
            *err = request.err;
        return request.st;
    }
    metric_observe(METRIC_DB_WRITE_SECONDS, clock_mono_us() - start);
    return ST_OK;
}

enum st db_writer_start(struct db_writer *writer, struct db *db, struct db_log *log,
                        struct err *err)
{
    writer->db = db;
    writer->log = log;
    writer->end = &writer->first;
    writer->batch = mem_new(db->options.group_max * sizeof(struct write_request *));
    if (writer->batch == NULL)
        return err_no_memory(err);
    enum st st = writer_connect(writer, err);
    if (st == ST_OK) {
        lock_init(&writer->lock, LOCK_DB_QUEUE);
        lock_cond_init(&writer->work);
        if (!fault_hit(FAULT_ALLOC) &&
            pthread_create(&writer->thread, NULL, writer_main, writer) == 0) {
            writer->started = true;
            return ST_OK;
        }
        st = err_set(err, ST_NO_MEMORY, "no thread for writing to the database");
        lock_release(&writer->lock);
        (void)pthread_cond_destroy(&writer->work);
        db_sqlite_disconnect(writer->conn);
    }
    mem_free(writer->batch);
    writer->batch = NULL;
    return st;
}

void db_writer_stop(struct db_writer *writer)
{
    if (!writer->started)
        return;
    lock_take(&writer->lock);
    writer->stopping = true;
    (void)pthread_cond_signal(&writer->work);
    lock_drop(&writer->lock);
    (void)pthread_join(writer->thread, NULL);
    lock_release(&writer->lock);
    (void)pthread_cond_destroy(&writer->work);
    db_sqlite_disconnect(writer->conn);
    mem_free(writer->batch);
    writer->started = false;
}
