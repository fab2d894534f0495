/* SPDX-License-Identifier: Apache-2.0 */
#include "blob/blob_behind.h"

#include "base/fault.h"
#include "base/lock.h"
#include "base/mem.h"

struct blob_behind {
    struct lock lock;
    pthread_cond_t changed;
    pthread_t thread;
    /* under the lock; the piece is the thread's while `busy` */
    bool busy;
    bool stopping;
    struct blob_writer *writer;
    const void *bytes;
    size_t len;
    enum st st;
    struct err err;
};

static void *run(void *arg)
{
    struct blob_behind *b = arg;
    lock_take(&b->lock);
    for (;;) {
        while (!b->busy && !b->stopping)
            lock_wait(&b->lock, &b->changed);
        if (!b->busy)
            break;
        lock_drop(&b->lock);
        enum st st = b->writer->store->ops->writer_add(b->writer, b->bytes, b->len, &b->err);
        lock_take(&b->lock);
        b->st = st;
        b->busy = false;
        (void)pthread_cond_signal(&b->changed);
    }
    lock_drop(&b->lock);
    return NULL;
}

struct blob_behind *blob_behind_new(void)
{
    struct blob_behind *b = mem_new(sizeof(*b));
    if (b == NULL)
        return NULL;
    lock_init(&b->lock, LOCK_BLOB);
    lock_cond_init(&b->changed);
    if (!fault_hit(FAULT_ALLOC) && pthread_create(&b->thread, NULL, run, b) == 0) {
        (void)pthread_setname_np(b->thread, "blob-write");
        return b;
    }
    (void)pthread_cond_destroy(&b->changed);
    lock_release(&b->lock);
    mem_free(b);
    return NULL;
}

void blob_behind_free(struct blob_behind *b)
{
    if (b == NULL)
        return;
    lock_take(&b->lock);
    assert(!b->busy);
    b->stopping = true;
    (void)pthread_cond_signal(&b->changed);
    lock_drop(&b->lock);
    (void)pthread_join(b->thread, NULL);
    (void)pthread_cond_destroy(&b->changed);
    lock_release(&b->lock);
    mem_free(b);
}

void blob_behind_start(struct blob_behind *b, struct blob_writer *w, const void *bytes, size_t len)
{
    LOCK_SCOPE(&b->lock);
    assert(!b->busy);
    b->writer = w;
    b->bytes = bytes;
    b->len = len;
    b->busy = true;
    (void)pthread_cond_signal(&b->changed);
}

enum st blob_behind_wait(struct blob_behind *b, struct err *err)
{
    LOCK_SCOPE(&b->lock);
    while (b->busy)
        lock_wait(&b->lock, &b->changed);
    if (b->st != ST_OK && err != NULL)
        *err = b->err;
    return b->st;
}
