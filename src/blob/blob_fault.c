/* SPDX-License-Identifier: Apache-2.0
 *
 * A store that fails on a seed, around another one. A call that is drawn to fail leaves what a real
 * failure may leave: nothing done, part of it done (a prefix written, some names removed) or all of
 * it done and the answer lost.
 *
 * Threads: the draws are made under the lock, one after the other; which thread gets which is
 * chance. The lock is never held while the inner store is called.
 */
#include <stdatomic.h>

#include "base/lock.h"
#include "base/mem.h"
#include "base/rng.h"
#include "blob/blob.h"

struct fault_store {
    struct blob_store store;
    struct blob_store *inner;
    struct lock lock;
    uint64_t rng;
    uint32_t one_in;
    atomic_bool full;
};

struct fault_writer {
    struct blob_writer writer;
    struct blob_writer *inner;
};

static struct fault_store *fault_of(struct blob_store *s)
{
    return CONTAINER_OF(s, struct fault_store, store);
}

/* Whether this call fails; *how then says in which way. */
static bool draw(struct fault_store *f, uint64_t *how)
{
    if (f->one_in == 0)
        return false;
    LOCK_SCOPE(&f->lock);
    bool hit = (rng_next(&f->rng) >> 16) % f->one_in == 0;
    if (hit)
        *how = rng_next(&f->rng) >> 16;
    return hit;
}

static enum st broken(const char *what, struct err *err)
{
    return err_set(err, ST_IO, "injected failure: %s", what);
}

static enum st full(struct err *err)
{
    return err_set(err, ST_FULL, "injected failure: no space left on the device");
}

static enum st fault_writer_open(struct blob_store *s, str name, uint64_t offset,
                                 struct blob_writer **out, struct err *err)
{
    struct fault_store *f = fault_of(s);
    uint64_t how = 0;
    if (offset == 0 && atomic_load(&f->full))
        return full(err);
    bool hit = draw(f, &how);
    if (hit && how % 2 == 0)
        return how % 4 == 0 ? full(err) : broken("open for writing", err);
    struct fault_writer *w = mem_new(sizeof(*w));
    if (w == NULL)
        return err_no_memory(err);
    enum st st = blob_writer_open(f->inner, name, offset, &w->inner, err);
    if (st == ST_OK && hit) {
        blob_writer_close(w->inner);
        st = broken("open for writing", err);
    }
    if (st != ST_OK) {
        mem_free(w);
        return st;
    }
    *out = &w->writer;
    return ST_OK;
}

static enum st fault_writer_add(struct blob_writer *writer, const void *bytes, size_t len,
                                struct err *err)
{
    struct fault_store *f = fault_of(writer->store);
    struct fault_writer *w = CONTAINER_OF(writer, struct fault_writer, writer);
    uint64_t how = 0;
    if (atomic_load(&f->full))
        return full(err);
    if (!draw(f, &how))
        return blob_writer_add(w->inner, bytes, len, err);
    enum st st = blob_writer_add(w->inner, bytes, (size_t)((how / 4) % (len + 1)), err);
    if (st != ST_OK)
        return st;
    return how % 4 == 0 ? full(err) : broken("write", err);
}

static enum st fault_writer_finish(struct blob_writer *writer, struct err *err)
{
    struct fault_writer *w = CONTAINER_OF(writer, struct fault_writer, writer);
    uint64_t how = 0;
    bool hit = draw(fault_of(writer->store), &how);
    if (hit && how % 2 == 0)
        return broken("sync", err);
    enum st st = blob_writer_finish(w->inner, err);
    return st == ST_OK && hit ? broken("sync", err) : st;
}

static void fault_writer_close(struct blob_writer *writer)
{
    struct fault_writer *w = CONTAINER_OF(writer, struct fault_writer, writer);
    blob_writer_close(w->inner);
    mem_free(w);
}

static enum st fault_reader_open(struct blob_store *s, str name, struct blob_reader *out,
                                 struct err *err)
{
    struct fault_store *f = fault_of(s);
    uint64_t how = 0;
    if (draw(f, &how))
        return broken("open for reading", err);
    struct blob_reader *inner = mem_new(sizeof(*inner));
    if (inner == NULL)
        return err_no_memory(err);
    enum st st = blob_reader_open(f->inner, name, inner, err);
    if (st != ST_OK) {
        mem_free(inner);
        return st;
    }
    *out = *inner;
    out->pin = inner;
    return ST_OK;
}

static enum st fault_reader_get(struct blob_reader *r, void *bytes, size_t len, uint64_t offset,
                                size_t *got, struct err *err)
{
    uint64_t how = 0;
    if (draw(fault_of(r->store), &how))
        return broken("read", err);
    return blob_reader_get(r->pin, bytes, len, offset, got, err);
}

static void fault_reader_close(struct blob_reader *r)
{
    blob_reader_close(r->pin);
    mem_free(r->pin);
}

static enum st fault_remove(struct blob_store *s, const str *names, size_t count, struct err *err)
{
    struct fault_store *f = fault_of(s);
    uint64_t how = 0;
    if (!draw(f, &how))
        return blob_remove(f->inner, names, count, err);
    enum st st = blob_remove(f->inner, names, (size_t)(how % (count + 1)), err);
    return st == ST_OK ? broken("remove", err) : st;
}

struct walk {
    blob_walk_fn fn;
    void *ctx;
    uint64_t left;
};

static enum st walk_some(str name, uint64_t size, void *ctx, struct err *err)
{
    struct walk *walk = ctx;
    if (walk->left == 0)
        return broken("list", err);
    walk->left--;
    return walk->fn(name, size, walk->ctx, err);
}

static enum st fault_walk(struct blob_store *s, blob_walk_fn fn, void *ctx, struct err *err)
{
    struct fault_store *f = fault_of(s);
    uint64_t how = 0;
    if (!draw(f, &how))
        return blob_walk(f->inner, fn, ctx, err);
    struct walk walk = { fn, ctx, how % 8 };
    enum st st = blob_walk(f->inner, walk_some, &walk, err);
    return st == ST_OK ? broken("list", err) : st;
}

static enum st fault_space(struct blob_store *s, struct blob_space *out, struct err *err)
{
    struct fault_store *f = fault_of(s);
    uint64_t how = 0;
    if (draw(f, &how))
        return broken("free space", err);
    enum st st = blob_space_get(f->inner, out, err);
    if (st == ST_OK && atomic_load(&f->full))
        out->free_bytes = 0;
    return st;
}

static void fault_store_free(struct blob_store *s)
{
    struct fault_store *f = fault_of(s);
    blob_store_free(f->inner);
    lock_release(&f->lock);
    mem_free(f);
}

static const struct blob_ops ops = {
    .kind = "fault",
    .free = fault_store_free,
    .writer_open = fault_writer_open,
    .writer_add = fault_writer_add,
    .writer_finish = fault_writer_finish,
    .writer_close = fault_writer_close,
    .reader_open = fault_reader_open,
    .reader_get = fault_reader_get,
    .reader_close = fault_reader_close,
    .remove = fault_remove,
    .walk = fault_walk,
    .space = fault_space,
};

enum st blob_fault_new(struct blob_store *inner, uint64_t seed, uint32_t one_in,
                       struct blob_store **out, struct err *err)
{
    struct fault_store *f = mem_new(sizeof(*f));
    if (f == NULL)
        return err_no_memory(err);
    f->store.ops = &ops;
    f->inner = inner;
    f->rng = seed != 0 ? seed : 1;
    f->one_in = one_in;
    lock_init(&f->lock, LOCK_BLOB);
    *out = &f->store;
    return ST_OK;
}

void blob_fault_set_full(struct blob_store *s, bool full_now)
{
    assert(s->ops == &ops);
    atomic_store(&fault_of(s)->full, full_now);
}
