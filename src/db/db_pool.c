/* SPDX-License-Identifier: Apache-2.0
 *
 * The pool of connections for reading.
 *
 * Invariants, under `lock`:
 *  1. idle_count <= open_count <= max.
 *  2. Who waits on `freed` is woken by each connection that comes back or is closed: one signal for
 *     one place, so none is lost and nobody wakes in vain but for a reader that came between.
 * A connection is opened outside the lock, its place is taken first.
 */
#include "base/mem.h"
#include "db/db_int.h"

enum st db_pool_init(struct db *db, struct err *err)
{
    struct db_pool *pool = &db->pool;
    pool->idle = mem_new(db->options.readers_max * sizeof(struct db_conn *));
    if (pool->idle == NULL)
        return err_no_memory(err);
    pool->max = db->options.readers_max;
    lock_init(&pool->lock, LOCK_DB_POOL);
    lock_cond_init(&pool->freed);
    return ST_OK;
}

void db_pool_release(struct db *db)
{
    struct db_pool *pool = &db->pool;
    if (pool->idle == NULL)
        return; /* never made */
    assert(pool->idle_count == pool->open_count);
    while (pool->idle_count > 0)
        db->ops->disconnect(pool->idle[--pool->idle_count]);
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

enum st db_pool_take(struct db *db, struct db_conn **out, struct err *err)
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
    enum st st = db->ops->connect(db, false, out, err);
    if (st != ST_OK)
        give_up_place(pool);
    return st;
}

void db_pool_give(struct db *db, struct db_conn *conn, bool fit)
{
    struct db_pool *pool = &db->pool;
    if (!fit) {
        db->ops->disconnect(conn);
        give_up_place(pool);
        return;
    }
    LOCK_SCOPE(&pool->lock);
    pool->idle[pool->idle_count++] = conn;
    (void)pthread_cond_signal(&pool->freed);
}
