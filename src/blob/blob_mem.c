/* SPDX-License-Identifier: Apache-2.0
 *
 * Blobs in memory, for tests and the simulator: a hash table of entries, each with its bytes.
 *
 * Invariants
 *  1. An entry lives while it is in the table or a writer holds it; bytes live while an entry or a
 *     reader holds them. All counts change under the lock.
 *  2. Bytes that a reader pinned never change below the size it saw: whoever must move or cut them
 *     puts a copy into the entry instead. Appending behind that size needs no copy.
 *  3. `durable` is what blob_writer_finish() promised; blob_mem_crash() may take anything beyond
 *     it.
 */
#include "base/lock.h"
#include "base/mem.h"
#include "base/rng.h"
#include "blob/blob.h"

#define SLOTS 1024 /* fixed: tests hold thousands of blobs at most */

struct bytes {
    size_t refs;
    size_t size; /* room in data */
    char data[];
};

struct entry {
    struct entry *next;
    char name[RNG_ID_LEN];
    size_t refs;         /* the table's and the writers' */
    struct bytes *bytes; /* NULL while empty */
    size_t len;
    size_t durable;
    bool finished; /* the name is durable */
};

struct mem_store {
    struct blob_store store;
    struct lock lock;
    struct entry *slots[SLOTS];
    uint64_t used_bytes;
};

struct mem_writer {
    struct blob_writer writer;
    struct entry *entry;
};

/* What blob_space_get() answers: enough to never matter, finite so that sums work. */
#define SPACE_BYTES (64 * GIB)

static struct mem_store *mem_of(struct blob_store *s)
{
    return CONTAINER_OF(s, struct mem_store, store);
}

static struct entry **find(struct mem_store *m, str name)
{
    size_t hash = 0;
    for (size_t i = 0; i < name.len; i++)
        hash = hash * 31 + (unsigned char)name.ptr[i];
    struct entry **at = &m->slots[hash % SLOTS];
    while (*at != NULL && memcmp((*at)->name, name.ptr, RNG_ID_LEN) != 0)
        at = &(*at)->next;
    return at;
}

static void bytes_drop(struct bytes *b)
{
    if (b != NULL && --b->refs == 0)
        mem_free(b);
}

static void entry_drop(struct entry *e)
{
    if (--e->refs > 0)
        return;
    bytes_drop(e->bytes);
    mem_free(e);
}

static void unlink_entry(struct mem_store *m, struct entry **at)
{
    struct entry *e = *at;
    *at = e->next;
    m->used_bytes -= e->len;
    entry_drop(e);
}

/* Makes the entry's bytes its own, with room for `size`, keeping the first `keep`. */
static bool own(struct entry *e, size_t keep, size_t size)
{
    struct bytes *b = mem_new(sizeof(*b) + size);
    if (b == NULL)
        return false;
    b->refs = 1;
    b->size = size;
    if (keep > 0)
        memcpy(b->data, e->bytes->data, keep);
    bytes_drop(e->bytes);
    e->bytes = b;
    return true;
}

static bool cut(struct entry *e, size_t len)
{
    if (e->bytes != NULL && e->bytes->refs > 1 && !own(e, len, MAX(len, (size_t)1)))
        return false;
    e->len = len;
    e->durable = MIN(e->durable, len);
    return true;
}

static enum st mem_writer_open(struct blob_store *s, str name, uint64_t offset,
                               struct blob_writer **out, struct err *err)
{
    struct mem_store *m = mem_of(s);
    struct mem_writer *w = mem_new(sizeof(*w));
    if (w == NULL)
        return err_no_memory(err);
    LOCK_SCOPE(&m->lock);
    struct entry **at = find(m, name);
    size_t len = *at != NULL ? (*at)->len : 0;
    if (len < offset) {
        mem_free(w);
        return err_set(err, ST_DAMAGED, "%.*s holds %zu bytes, not the %llu stored before",
                       STR_FMT(name), len, (unsigned long long)offset);
    }
    struct entry *e = *at;
    if (e == NULL) {
        e = mem_new(sizeof(*e));
        if (e == NULL) {
            mem_free(w);
            return err_no_memory(err);
        }
        memcpy(e->name, name.ptr, RNG_ID_LEN);
        e->refs = 1;
        *at = e;
    } else if (len > offset) {
        if (!cut(e, (size_t)offset)) {
            mem_free(w);
            return err_no_memory(err);
        }
        m->used_bytes -= len - offset;
    }
    e->refs++;
    w->entry = e;
    *out = &w->writer;
    return ST_OK;
}

/* Whether the entry can still be reached by its name. */
static bool is_listed(struct mem_store *m, struct entry *e)
{
    return *find(m, (str){ e->name, RNG_ID_LEN }) == e;
}

static enum st mem_writer_add(struct blob_writer *writer, const void *bytes, size_t len,
                              struct err *err)
{
    struct mem_store *m = mem_of(writer->store);
    struct entry *e = CONTAINER_OF(writer, struct mem_writer, writer)->entry;
    LOCK_SCOPE(&m->lock);
    if (writer->offset > SIZE_MAX / 4 || len > SIZE_MAX / 4)
        return err_set(err, ST_FULL, "more bytes than memory can hold");
    size_t from = (size_t)writer->offset;
    size_t to = from + len;
    bool pinned = e->bytes != NULL && e->bytes->refs > 1;
    bool overwrites = from < e->len; /* only when a second writer appended meanwhile */
    if (e->bytes == NULL || to > e->bytes->size || (pinned && overwrites)) {
        size_t size = MAX(MAX(2 * to, (size_t)64), e->len);
        if (!own(e, e->len, size))
            return err_no_memory(err);
    }
    if (from > e->len) /* a second writer cut it meanwhile: a hole, as in a file */
        memset(e->bytes->data + e->len, 0, from - e->len);
    memcpy(e->bytes->data + from, bytes, len);
    if (to > e->len) {
        if (is_listed(m, e))
            m->used_bytes += to - e->len;
        e->len = to;
    }
    return ST_OK;
}

static enum st mem_writer_finish(struct blob_writer *writer, struct err *err)
{
    (void)err;
    struct mem_store *m = mem_of(writer->store);
    struct entry *e = CONTAINER_OF(writer, struct mem_writer, writer)->entry;
    LOCK_SCOPE(&m->lock);
    e->durable = e->len;
    e->finished = true;
    return ST_OK;
}

static void mem_writer_close(struct blob_writer *writer)
{
    struct mem_store *m = mem_of(writer->store);
    struct mem_writer *w = CONTAINER_OF(writer, struct mem_writer, writer);
    LOCK_SCOPE(&m->lock);
    entry_drop(w->entry);
    mem_free(w);
}

static enum st mem_reader_open(struct blob_store *s, str name, struct blob_reader *out,
                               struct err *err)
{
    struct mem_store *m = mem_of(s);
    LOCK_SCOPE(&m->lock);
    struct entry *e = *find(m, name);
    if (e == NULL)
        return err_set(err, ST_NOT_FOUND, "%.*s is not there", STR_FMT(name));
    out->size = e->len;
    out->bytes = (str){ "", 0 };
    if (e->len > 0) {
        out->bytes = (str){ e->bytes->data, e->len };
        out->pin = e->bytes;
        e->bytes->refs++;
    }
    return ST_OK;
}

static enum st mem_reader_get(struct blob_reader *r, void *bytes, size_t len, uint64_t offset,
                              size_t *got, struct err *err)
{
    (void)err;
    str part = str_slice(r->bytes, (size_t)offset, (size_t)offset + len);
    memcpy(bytes, part.ptr, part.len);
    *got = part.len;
    return ST_OK;
}

static void mem_reader_close(struct blob_reader *r)
{
    struct mem_store *m = mem_of(r->store);
    LOCK_SCOPE(&m->lock);
    bytes_drop(r->pin);
}

static enum st mem_remove(struct blob_store *s, const str *names, size_t count, struct err *err)
{
    (void)err;
    struct mem_store *m = mem_of(s);
    LOCK_SCOPE(&m->lock);
    for (size_t i = 0; i < count; i++) {
        struct entry **at = find(m, names[i]);
        if (*at != NULL)
            unlink_entry(m, at);
    }
    return ST_OK;
}

struct listed {
    char name[RNG_ID_LEN];
    uint64_t size;
};

/* The callback may use the store, so it runs on a copy of the list, without the lock. */
static enum st mem_walk(struct blob_store *s, blob_walk_fn fn, void *ctx, struct err *err)
{
    struct mem_store *m = mem_of(s);
    AUTO(mem_auto) struct listed *list = NULL;
    size_t count = 0;
    {
        LOCK_SCOPE(&m->lock);
        for (size_t i = 0; i < SLOTS; i++)
            for (struct entry *e = m->slots[i]; e != NULL; e = e->next)
                count++;
        list = count > 0 ? mem_new(count * sizeof(*list)) : NULL;
        if (count > 0 && list == NULL)
            return err_no_memory(err);
        struct listed *to = list;
        for (size_t i = 0; i < SLOTS; i++)
            for (struct entry *e = m->slots[i]; e != NULL; e = e->next, to++) {
                memcpy(to->name, e->name, RNG_ID_LEN);
                to->size = e->len;
            }
    }
    for (size_t i = 0; i < count; i++) {
        enum st st = fn((str){ list[i].name, RNG_ID_LEN }, list[i].size, ctx, err);
        if (st != ST_OK)
            return st;
    }
    return ST_OK;
}

static enum st mem_space(struct blob_store *s, struct blob_space *out, struct err *err)
{
    (void)err;
    struct mem_store *m = mem_of(s);
    LOCK_SCOPE(&m->lock);
    out->size_bytes = SPACE_BYTES;
    out->free_bytes = SPACE_BYTES - MIN(m->used_bytes, SPACE_BYTES);
    return ST_OK;
}

static void mem_store_free(struct blob_store *s)
{
    struct mem_store *m = mem_of(s);
    for (size_t i = 0; i < SLOTS; i++)
        while (m->slots[i] != NULL)
            unlink_entry(m, &m->slots[i]);
    lock_release(&m->lock);
    mem_free(m);
}

static const struct blob_ops ops = {
    .kind = "mem",
    .free = mem_store_free,
    .writer_open = mem_writer_open,
    .writer_add = mem_writer_add,
    .writer_finish = mem_writer_finish,
    .writer_close = mem_writer_close,
    .reader_open = mem_reader_open,
    .reader_get = mem_reader_get,
    .reader_close = mem_reader_close,
    .remove = mem_remove,
    .walk = mem_walk,
    .space = mem_space,
};

enum st blob_mem_new(struct blob_store **out, struct err *err)
{
    struct mem_store *m = mem_new(sizeof(*m));
    if (m == NULL)
        return err_no_memory(err);
    m->store.ops = &ops;
    lock_init(&m->lock, LOCK_BLOB);
    *out = &m->store;
    return ST_OK;
}

void blob_mem_crash(struct blob_store *s, uint64_t *rng)
{
    assert(s->ops == &ops);
    struct mem_store *m = mem_of(s);
    LOCK_SCOPE(&m->lock);
    for (size_t i = 0; i < SLOTS; i++) {
        struct entry **at = &m->slots[i];
        while (*at != NULL) {
            struct entry *e = *at;
            if (!e->finished && rng_next(rng) % 2 == 0) {
                unlink_entry(m, at);
                continue;
            }
            size_t len = e->durable;
            if (e->len > len)
                len += (size_t)(rng_next(rng) % (e->len - len + 1));
            m->used_bytes -= e->len - len;
            e->len = len; /* an open reader was cut off by the crash as well: no copy for it */
            e->durable = len;
            e->finished = true;
            at = &e->next;
        }
    }
}
