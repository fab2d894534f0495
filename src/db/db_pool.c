/* SPDX-License-Identifier: Apache-2.0
 *
 * The pool of connections for reading.
 *
 * Invariants, under `lock`:
 *  1. idle_count <= open_count <= max.
 *  2. Who waits on `freed` is woken by each connection that comes back or is closed: one signal for
 *     one place, so none is lost and nobody wakes in vain but for a reader that came between.
 *  3. An idle connection's open snapshot is of the current epoch when it is given back; it is used
 *     again as long as nothing was committed since. Beginning and ending one costs more than a
 *     look-up.
 *
 * A connection is opened outside the lock, its place is taken first.
 *
 * Between db_pool_settle() and db_pool_resume() none is kept: what is idle is ended by the first,
 * what comes back later by its giver, both under the lock.
 */
#include "base/mem.h"
#include "db/db_int.h"

enum st db_pool_init(struct db *db, struct err *err)
{
    struct db_pool *pool = &db->pool;
    pool->idle = mem_new(db->options.readers_max * sizeof(struct db_reader));
    if (pool->idle == NULL)
        return err_no_memory(err);
    pool->max = db->options.readers_max;
    lock_init(&pool->lock, LOCK_DB_POOL);
    lock_cond_init(&pool->freed);
    return ST_OK;
}

void db_pool_close(struct db *db)
{
    struct db_pool *pool = &db->pool;
    LOCK_SCOPE(&pool->lock);
    assert(pool->idle_count == pool->open_count);
    while (pool->idle_count > 0)
        db->ops->disconnect(pool->idle[--pool->idle_count].conn);
}

void db_pool_release(struct db *db)
{
    struct db_pool *pool = &db->pool;
    mem_free(pool->idle);
    pool->idle = NULL;
    lock_release(&pool->lock);
    (void)pthread_cond_destroy(&pool->freed);
}

static void give_up_place(struct db_pool *pool)
{
    LOCK_SCOPE(&pool->lock);
    pool->open_count--;
    (void)pthread_cond_signal(&pool->freed);
}

/* False when the connection is of no more use. */
static bool end_snapshot(struct db *db, struct db_reader *reader)
{
    bool fit = !reader->snapshot || db->ops->end(reader->conn);
    reader->snapshot = false;
    return fit;
}

static enum st take_place(struct db *db, struct db_reader *out, struct err *err)
{
    struct db_pool *pool = &db->pool;
    {
        LOCK_SCOPE(&pool->lock);
        while (pool->idle_count == 0 && pool->open_count == pool->max)
            lock_wait(&pool->lock, &pool->freed);
        if (pool->idle_count > 0) {
            *out = pool->idle[--pool->idle_count];
            return ST_OK;
        }
        pool->open_count++;
    }
    *out = (struct db_reader){ 0 };
    enum st st = db->ops->connect(db, false, &out->conn, err);
    if (st != ST_OK)
        give_up_place(pool);
    return st;
}

enum st db_pool_take(struct db *db, struct db_reader *out, struct err *err)
{
    enum st st = take_place(db, out, err);
    if (st != ST_OK)
        return st;
    uint64_t epoch = atomic_load(&db->epoch); /* before the snapshot, which is then no older */
    if (out->snapshot && out->epoch == epoch)
        return ST_OK;
    if (!end_snapshot(db, out))
        st = err_set(err, ST_IO, "a connection to the database could not end its transaction");
    if (st == ST_OK)
        st = db->ops->begin(out->conn, err);
    if (st != ST_OK) {
        db_pool_give(db, out, db->ops->end(out->conn));
        return st;
    }
    out->snapshot = true;
    out->epoch = epoch;
    return ST_OK;
}

void db_pool_give(struct db *db, struct db_reader *reader, bool fit)
{
    struct db_pool *pool = &db->pool;
    if (!fit) {
        db->ops->disconnect(reader->conn);
        give_up_place(pool);
        return;
    }
    lock_take(&pool->lock);
    bool keep = pool->settling == 0 && reader->epoch == atomic_load(&db->epoch);
    if (keep || end_snapshot(db, reader)) {
        pool->idle[pool->idle_count++] = *reader;
        (void)pthread_cond_signal(&pool->freed);
        lock_drop(&pool->lock);
        return;
    }
    lock_drop(&pool->lock);
    db->ops->disconnect(reader->conn);
    give_up_place(pool);
}

void db_pool_settle(struct db *db)
{
    struct db_pool *pool = &db->pool;
    LOCK_SCOPE(&pool->lock);
    pool->settling++;
    for (unsigned i = 0; i < pool->idle_count;) {
        if (end_snapshot(db, &pool->idle[i])) {
            i++;
            continue;
        }
        db->ops->disconnect(pool->idle[i].conn);
        pool->idle[i] = pool->idle[--pool->idle_count];
        pool->open_count--;
    }
}

void db_pool_resume(struct db *db)
{
    struct db_pool *pool = &db->pool;
    LOCK_SCOPE(&pool->lock);
    pool->settling--;
}
