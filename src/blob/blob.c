/* SPDX-License-Identifier: Apache-2.0
 *
 * The checked front doors: names, offsets and the rule that a failed writer can only be closed are
 * checked here once, so that no store has to. Metrics are counted here too.
 */
#include "blob/blob.h"

#include "base/clock.h"
#include "base/metric.h"
#include "base/rng.h"
#include "blob/blob_behind.h"

/* Handing a piece to another thread costs about as much as writing 20 KiB. */
#define BEHIND_BYTES (256 * KIB)

bool blob_name_valid(str name)
{
    if (name.ptr == NULL || name.len != RNG_ID_LEN)
        return false;
    for (size_t i = 0; i < name.len; i++) {
        char c = name.ptr[i];
        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f')))
            return false;
    }
    return true;
}

static enum st check_name(str name, struct err *err)
{
    if (blob_name_valid(name))
        return ST_OK;
    return err_set(err, ST_INVALID, "a blob's name is %d lower-case hex digits", RNG_ID_LEN);
}

/* Absence is an answer; everything else counts as an error of the store. */
static enum st failed(enum st st, struct err *err, const char *what)
{
    if (st != ST_NOT_FOUND)
        metric_add(METRIC_BLOB_ERRORS, 1);
    if (err != NULL)
        (void)err_wrap(err, "%s", what);
    return st;
}

void blob_store_free(struct blob_store *s)
{
    if (s != NULL)
        s->ops->free(s);
}

enum st blob_writer_open(struct blob_store *s, str name, uint64_t offset, struct blob_writer **out,
                         struct err *err)
{
    enum st st = check_name(name, err);
    if (st != ST_OK)
        return st;
    if (offset > BLOB_SIZE_MAX)
        return err_set(err, ST_TOO_LARGE, "a blob cannot hold more than 2^62 bytes");
    struct blob_writer *w = NULL;
    st = s->ops->writer_open(s, name, offset, &w, err);
    if (st != ST_OK)
        return failed(st, err, "open blob for writing");
    w->store = s;
    w->offset = offset;
    w->failed = false;
    w->behind = NULL;
    w->started = 0;
    *out = w;
    return ST_OK;
}

static enum st end_piece(struct blob_writer *w, enum st st, size_t len, struct err *err)
{
    if (st != ST_OK) {
        w->failed = true;
        return failed(st, err, "write blob");
    }
    w->offset += len;
    return ST_OK;
}

enum st blob_writer_wait(struct blob_writer *w, struct err *err)
{
    size_t len = w->started;
    if (len == 0)
        return ST_OK;
    w->started = 0;
    return end_piece(w, blob_behind_wait(w->behind, err), len, err);
}

static enum st check_writer(struct blob_writer *w, struct err *err)
{
    enum st st = blob_writer_wait(w, err);
    if (st == ST_OK && w->failed)
        st = err_set(err, ST_BUG, "a blob writer that failed was used again");
    return st;
}

static enum st check_piece(struct blob_writer *w, size_t len, struct err *err)
{
    enum st st = check_writer(w, err);
    if (st == ST_OK && len > BLOB_SIZE_MAX - w->offset)
        st = err_set(err, ST_TOO_LARGE, "a blob cannot hold more than 2^62 bytes");
    return st;
}

enum st blob_writer_add(struct blob_writer *w, const void *bytes, size_t len, struct err *err)
{
    enum st st = check_piece(w, len, err);
    if (st != ST_OK || len == 0)
        return st;
    return end_piece(w, w->store->ops->writer_add(w, bytes, len, err), len, err);
}

enum st blob_writer_start(struct blob_writer *w, const void *bytes, size_t len, struct err *err)
{
    if (len < BEHIND_BYTES)
        return blob_writer_add(w, bytes, len, err);
    enum st st = check_piece(w, len, err);
    if (st != ST_OK)
        return st;
    if (w->behind == NULL)
        w->behind = blob_behind_new();
    if (w->behind == NULL)
        return blob_writer_add(w, bytes, len, err);
    blob_behind_start(w->behind, w, bytes, len);
    w->started = len;
    return ST_OK;
}

uint64_t blob_writer_offset(const struct blob_writer *w)
{
    return w->offset;
}

enum st blob_writer_finish(struct blob_writer *w, struct err *err)
{
    enum st st = check_writer(w, err);
    if (st != ST_OK)
        return st;
    int64_t start = clock_mono_us();
    st = w->store->ops->writer_finish(w, err);
    metric_observe(METRIC_BLOB_SYNC_SECONDS, clock_mono_us() - start);
    if (st != ST_OK) {
        w->failed = true;
        return failed(st, err, "sync blob");
    }
    return ST_OK;
}

void blob_writer_close(struct blob_writer *w)
{
    if (w == NULL)
        return;
    if (blob_writer_wait(w, NULL) != ST_OK)
        w->failed = true; /* whoever closes without finishing does not ask */
    blob_behind_free(w->behind);
    w->store->ops->writer_close(w);
}

enum st blob_reader_open(struct blob_store *s, str name, struct blob_reader *out, struct err *err)
{
    enum st st = check_name(name, err);
    if (st != ST_OK)
        return st;
    struct blob_reader r = BLOB_READER_NONE;
    st = s->ops->reader_open(s, name, &r, err);
    if (st != ST_OK)
        return failed(st, err, "open blob");
    r.store = s;
    *out = r;
    return ST_OK;
}

enum st blob_reader_get(struct blob_reader *r, void *bytes, size_t len, uint64_t offset,
                        size_t *got, struct err *err)
{
    uint64_t left = offset < r->size ? r->size - offset : 0;
    size_t want = (size_t)MIN((uint64_t)len, left);
    size_t n = 0;
    if (want > 0) {
        enum st st = r->store->ops->reader_get(r, bytes, want, offset, &n, err);
        if (st != ST_OK)
            return failed(st, err, "read blob");
    }
    if (n < want) {
        metric_add(METRIC_BLOB_ERRORS, 1);
        return err_set(err, ST_DAMAGED, "read blob: it became shorter while it was open");
    }
    *got = n;
    return ST_OK;
}

void blob_reader_close(struct blob_reader *r)
{
    if (r->store != NULL)
        r->store->ops->reader_close(r);
    *r = BLOB_READER_NONE;
}

enum st blob_remove(struct blob_store *s, const str *names, size_t count, struct err *err)
{
    for (size_t i = 0; i < count; i++) {
        enum st st = check_name(names[i], err);
        if (st != ST_OK)
            return st;
    }
    if (count == 0)
        return ST_OK;
    enum st st = s->ops->remove(s, names, count, err);
    return st == ST_OK ? ST_OK : failed(st, err, "remove blobs");
}

/* Tells a callback that ended the walk, which is no error of the store, from a store that failed.
 */
struct walk {
    blob_walk_fn fn;
    void *ctx;
    bool ended;
};

static enum st walk_step(str name, uint64_t size, void *ctx, struct err *err)
{
    struct walk *walk = ctx;
    enum st st = walk->fn(name, size, walk->ctx, err);
    walk->ended = st != ST_OK;
    return st;
}

enum st blob_walk(struct blob_store *s, blob_walk_fn fn, void *ctx, struct err *err)
{
    struct walk walk = { .fn = fn, .ctx = ctx };
    enum st st = s->ops->walk(s, walk_step, &walk, err);
    if (st == ST_OK || walk.ended)
        return st;
    return failed(st, err, "list blobs");
}

enum st blob_space_get(struct blob_store *s, struct blob_space *out, struct err *err)
{
    struct blob_space space = { 0 };
    enum st st = s->ops->space(s, &space, err);
    if (st != ST_OK)
        return failed(st, err, "look up free space for blobs");
    *out = space;
    return ST_OK;
}
