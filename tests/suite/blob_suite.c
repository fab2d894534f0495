/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>

#include "base/mem.h"
#include "base/rng.h"
#include "tests/suite/blob_suite.h"

/* Fails with the message of the error. */
#define CHECK_OK(call)                                                                             \
    do {                                                                                           \
        struct err check_err = { .text = "no message" };                                           \
        struct err *err = &check_err;                                                              \
        if ((call) != ST_OK)                                                                       \
            fail_msg("%s: %s", #call, check_err.text);                                             \
    } while (0)

/* Fails unless the status is the wanted one and a message is set. */
#define CHECK_ST(wanted, call)                                                                     \
    do {                                                                                           \
        struct err check_err = { .st = ST_OK };                                                    \
        struct err *err = &check_err;                                                              \
        enum st check_st = (call);                                                                 \
        if (check_st != (wanted))                                                                  \
            fail_msg("%s: %s (%s)", #call, st_text(check_st), check_err.text);                     \
        assert_int_equal(check_err.st, check_st);                                                  \
        assert_true(check_err.text[0] != '\0');                                                    \
    } while (0)

static str some_name(char out[static RNG_ID_LEN + 1])
{
    rng_id(out);
    return (str){ out, RNG_ID_LEN };
}

/* Bytes that depend on the name and the place: a mix-up of either shows. */
static void fill(char *out, size_t len, uint64_t offset, unsigned key)
{
    for (size_t i = 0; i < len; i++) {
        uint64_t at = offset + i;
        out[i] = (char)((at * 31 + (at >> 8) * 7 + (at >> 16) + key * 131) & 255);
    }
}

static void put(struct blob_store *s, str name, const char *bytes, size_t len)
{
    struct blob_writer *w = NULL;
    CHECK_OK(blob_writer_open(s, name, 0, &w, err));
    CHECK_OK(blob_writer_add(w, bytes, len, err));
    CHECK_OK(blob_writer_finish(w, err));
    blob_writer_close(w);
}

static void check_content(struct blob_reader *r, const char *bytes, size_t len)
{
    assert_int_equal(r->size, len);
    char *copy = mem_new(len + 8);
    size_t got = 99;
    CHECK_OK(blob_reader_get(r, copy, len + 8, 0, &got, err));
    assert_int_equal(got, len);
    assert_memory_equal(copy, bytes, len);
    if (r->fd < 0) {
        assert_int_equal(r->bytes.len, len);
        assert_memory_equal(r->bytes.ptr, bytes, len);
    }
    mem_free(copy);
}

static void check_holds(struct blob_store *s, str name, const char *bytes, size_t len)
{
    struct blob_reader r = BLOB_READER_NONE;
    CHECK_OK(blob_reader_open(s, name, &r, err));
    check_content(&r, bytes, len);
    blob_reader_close(&r);
}

static void check_absent(struct blob_store *s, str name)
{
    struct blob_reader r = { .fd = -7, .size = 77 };
    CHECK_ST(ST_NOT_FOUND, blob_reader_open(s, name, &r, err));
    assert_int_equal(r.fd, -7); /* outputs untouched */
    assert_int_equal(r.size, 77);
}

static void check_names(struct blob_store *s)
{
    static const char *const bad[] = {
        "",
        "ab",
        "0123456789abcdef0123456789abcde",
        "0123456789abcdef0123456789abcdef0",
        "0123456789ABCDEF0123456789abcdef",
        "../456789abcdef0123456789abcdef00",
        "0123456789abcdef0123456789abcde/",
        "01/3456789abcdef0123456789abcdef",
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        str name = str_of(bad[i]);
        struct blob_writer *w = NULL;
        struct blob_reader r = BLOB_READER_NONE;
        CHECK_ST(ST_INVALID, blob_writer_open(s, name, 0, &w, err));
        assert_null(w);
        CHECK_ST(ST_INVALID, blob_reader_open(s, name, &r, err));
        CHECK_ST(ST_INVALID, blob_remove(s, &name, 1, err));
    }
    /* One bad name in a batch: nothing is removed. */
    char id[RNG_ID_LEN + 1];
    str names[] = { some_name(id), STR("no") };
    put(s, names[0], "x", 1);
    CHECK_ST(ST_INVALID, blob_remove(s, names, 2, err));
    check_holds(s, names[0], "x", 1);
    CHECK_OK(blob_remove(s, names, 1, err));
    CHECK_OK(blob_remove(s, NULL, 0, err));
}

static void check_sizes(struct blob_store *s)
{
    static const size_t sizes[] = { 0, 1, 4095, 4096, 4097, 65536, 1000003, 3 * MIB + 5 };
    static const size_t pieces[] = { 777, 4096, 1 * MIB };
    char *bytes = mem_new(3 * MIB + 5);
    for (size_t i = 0; i < ARRAY_LEN(sizes) * ARRAY_LEN(pieces); i++) {
        size_t size = sizes[i % ARRAY_LEN(sizes)];
        size_t piece = pieces[i / ARRAY_LEN(sizes)];
        char id[RNG_ID_LEN + 1];
        str name = some_name(id);
        struct blob_writer *w = NULL;
        fill(bytes, size, 0, (unsigned)i);
        CHECK_OK(blob_writer_open(s, name, 0, &w, err));
        for (size_t at = 0; at < size; at += piece) {
            assert_int_equal(blob_writer_offset(w), at);
            CHECK_OK(blob_writer_add(w, bytes + at, MIN(piece, size - at), err));
        }
        CHECK_OK(blob_writer_add(w, "", 0, err));
        assert_int_equal(blob_writer_offset(w), size);
        CHECK_OK(blob_writer_finish(w, err));
        blob_writer_close(w);
        check_holds(s, name, bytes, size);
        CHECK_OK(blob_remove(s, &name, 1, err));
        check_absent(s, name);
        CHECK_OK(blob_remove(s, &name, 1, err)); /* absent counts as removed */
    }
    mem_free(bytes);
}

static void check_resume(struct blob_store *s)
{
    char id[RNG_ID_LEN + 1];
    str name = some_name(id);
    struct blob_writer *w = NULL;
    CHECK_ST(ST_DAMAGED, blob_writer_open(s, name, 1, &w, err));
    assert_null(w);
    check_absent(s, name); /* a failed resume makes no name */

    CHECK_OK(blob_writer_open(s, name, 0, &w, err));
    blob_writer_close(w);
    CHECK_OK(blob_writer_open(s, name, 0, &w, err)); /* again, before a byte was stored */
    CHECK_OK(blob_writer_add(w, "0123456789", 10, err));
    blob_writer_close(w); /* not finished: the bytes stay as they are */
    check_holds(s, name, "0123456789", 10);

    w = NULL;
    CHECK_ST(ST_DAMAGED, blob_writer_open(s, name, 11, &w, err));
    assert_null(w);
    CHECK_OK(blob_writer_open(s, name, 6, &w, err)); /* what was beyond is cut off */
    assert_int_equal(blob_writer_offset(w), 6);
    blob_writer_close(w);
    check_holds(s, name, "012345", 6);
    CHECK_OK(blob_writer_open(s, name, 6, &w, err));
    CHECK_OK(blob_writer_add(w, "ab", 2, err));
    CHECK_OK(blob_writer_finish(w, err));
    blob_writer_close(w);
    check_holds(s, name, "012345ab", 8);
    CHECK_OK(blob_writer_open(s, name, 0, &w, err)); /* starts over */
    CHECK_OK(blob_writer_add(w, "z", 1, err));
    blob_writer_close(w);
    check_holds(s, name, "z", 1);
    CHECK_OK(blob_remove(s, &name, 1, err));
    CHECK_ST(ST_TOO_LARGE, blob_writer_open(s, name, UINT64_MAX, &w, err));
}

static void check_ranges(struct blob_store *s)
{
    char id[RNG_ID_LEN + 1];
    str name = some_name(id);
    put(s, name, "0123456789", 10);
    struct blob_reader r = BLOB_READER_NONE;
    CHECK_OK(blob_reader_open(s, name, &r, err));
    static const struct {
        uint64_t offset;
        size_t len;
        const char *want;
    } rows[] = {
        { 0, 10, "0123456789" }, { 0, 1, "0" }, { 9, 1, "9" },         { 9, 5, "9" },
        { 3, 4, "3456" },        { 10, 1, "" }, { UINT64_MAX, 3, "" }, { 4, 0, "" },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char got_bytes[16];
        size_t got = 99;
        CHECK_OK(blob_reader_get(&r, got_bytes, rows[i].len, rows[i].offset, &got, err));
        assert_int_equal(got, strlen(rows[i].want));
        assert_memory_equal(got_bytes, rows[i].want, got);
    }
    /* Contract 5: what is open stays readable after the removal, and under a new blob's writes. */
    CHECK_OK(blob_remove(s, &name, 1, err));
    check_absent(s, name);
    put(s, name, "abcdef", 6);
    check_content(&r, "0123456789", 10);
    blob_reader_close(&r);
    blob_reader_close(&r); /* closed is BLOB_READER_NONE */
    CHECK_OK(blob_remove(s, &name, 1, err));
}

struct seen {
    unsigned names;
    uint64_t bytes;
    unsigned stop_at;
};

static enum st count_name(str name, uint64_t size, void *ctx, struct err *err)
{
    struct seen *seen = ctx;
    assert_true(blob_name_valid(name));
    seen->names++;
    seen->bytes += size;
    if (seen->names == seen->stop_at)
        return err_set(err, ST_STOPPING, "enough");
    return ST_OK;
}

static void check_walk(struct blob_store *s)
{
    enum { COUNT = 300 };
    char ids[COUNT][RNG_ID_LEN + 1];
    str names[COUNT];
    char bytes[COUNT] = { 0 };
    uint64_t sum = 0;
    for (size_t i = 0; i < COUNT; i++) {
        names[i] = some_name(ids[i]);
        put(s, names[i], bytes, i);
        sum += i;
    }
    struct seen seen = { 0 };
    CHECK_OK(blob_walk(s, count_name, &seen, err));
    assert_int_equal(seen.names, COUNT);
    assert_int_equal(seen.bytes, sum);
    seen = (struct seen){ .stop_at = 3 };
    CHECK_ST(ST_STOPPING, blob_walk(s, count_name, &seen, err));
    assert_int_equal(seen.names, 3);
    CHECK_OK(blob_remove(s, names, COUNT, err));
    seen = (struct seen){ 0 };
    CHECK_OK(blob_walk(s, count_name, &seen, err));
    assert_int_equal(seen.names, 0);

    struct blob_space space = { 0 };
    CHECK_OK(blob_space_get(s, &space, err));
    assert_true(space.size_bytes > 0 && space.free_bytes <= space.size_bytes);
}

void blob_suite_contract(struct blob_store *s)
{
    check_names(s);
    check_sizes(s);
    check_resume(s);
    check_ranges(s);
    check_walk(s);
}

/* The model: for each name, what must be there and what may be. The bytes of a name are always a
 * prefix of one sequence, fill() with the name's key. */

enum { NAMES = 12, BYTES_MAX = 70000 };

struct known {
    char id[RNG_ID_LEN + 1];
    unsigned key;       /* new when the name is written from 0 */
    size_t least, most; /* bytes there, when there at all */
    size_t durable;     /* of them, promised to survive power loss */
    bool may_be_absent;
    bool may_be_there;
    bool name_durable;
};

struct model {
    struct blob_store *store;
    uint64_t rng;
    unsigned failures;
    unsigned keys;
    struct known known[NAMES];
    char bytes[BYTES_MAX];
    char copy[BYTES_MAX];
};

static size_t below(struct model *m, size_t n)
{
    return (size_t)((rng_next(&m->rng) >> 16) % n);
}

/* Contract 6. True when the call worked. */
static bool worked(struct model *m, enum st st, struct err *err)
{
    if (st == ST_OK) {
        assert_true(err->text[0] == '\0'); /* success leaves it alone */
        return true;
    }
    assert_int_equal(err->st, st);
    assert_true(err->text[0] != '\0');
    assert_int_not_equal(st, ST_BUG);
    assert_int_not_equal(st, ST_INVALID);
    m->failures++;
    return false;
}

static void forget(struct known *k)
{
    k->least = k->most = k->durable = 0;
    k->may_be_there = k->name_durable = false;
    k->may_be_absent = true;
}

/* Adds one to three pieces. False when the writer failed. */
static bool model_add(struct model *m, struct known *k, struct blob_writer *w)
{
    for (size_t n = below(m, 4); n > 0; n--) {
        size_t at = (size_t)blob_writer_offset(w);
        size_t len = below(m, 8) == 0 ? below(m, BYTES_MAX) : below(m, 6000);
        len = MIN(len, BYTES_MAX - at);
        struct err err = { .st = ST_OK };
        fill(m->bytes, len, at, k->key);
        k->most = at + len;
        if (!worked(m, blob_writer_add(w, m->bytes, len, &err), &err)) {
            struct err again = { .st = ST_OK };
            assert_int_equal(blob_writer_offset(w), at);
            assert_int_equal(blob_writer_add(w, "x", 1, &again), ST_BUG);
            assert_int_equal(blob_writer_finish(w, &again), ST_BUG);
            return false;
        }
        k->least = at + len;
    }
    return true;
}

static void model_write(struct model *m, struct known *k)
{
    /* A caller resumes at what it knows to be stored, or starts over. */
    size_t offset = k->may_be_there && !k->may_be_absent && below(m, 4) != 0 ? k->least : 0;
    struct err err = { .st = ST_OK };
    struct blob_writer *w = NULL;
    enum st st = blob_writer_open(m->store, (str){ k->id, RNG_ID_LEN }, offset, &w, &err);
    if (!worked(m, st, &err)) {
        assert_null(w);
        assert_int_not_equal(st, ST_DAMAGED); /* `least` bytes were promised */
        if (offset == 0) { /* it may have been made or cut before the call failed */
            k->least = 0;
            k->may_be_absent = k->may_be_absent || !k->may_be_there;
            k->may_be_there = true;
        }
        k->durable = MIN(k->durable, offset);
        return;
    }
    assert_int_equal(blob_writer_offset(w), offset);
    k->may_be_absent = false;
    k->may_be_there = true;
    if (offset == 0)
        k->key = ++m->keys;
    k->least = k->most = offset;
    k->durable = MIN(k->durable, offset);
    if (model_add(m, k, w) && below(m, 2) == 0) {
        if (worked(m, blob_writer_finish(w, &err), &err)) {
            k->durable = k->least;
            k->name_durable = true;
        } else { /* the bytes cannot be trusted, and may be gone */
            k->least = k->durable = 0;
            k->may_be_absent = true;
            k->name_durable = false;
        }
    }
    blob_writer_close(w);
}

static void model_read(struct model *m, struct known *k)
{
    struct err err = { .st = ST_OK };
    struct blob_reader r = BLOB_READER_NONE;
    enum st st = blob_reader_open(m->store, (str){ k->id, RNG_ID_LEN }, &r, &err);
    if (st == ST_NOT_FOUND) {
        assert_true(k->may_be_absent);
        return;
    }
    if (!worked(m, st, &err))
        return;
    assert_true(k->may_be_there);
    assert_in_range(r.size, k->least, k->most);
    size_t from = below(m, (size_t)r.size + 1);
    size_t got = 12345678;
    if (worked(m, blob_reader_get(&r, m->copy, BYTES_MAX, from, &got, &err), &err)) {
        assert_int_equal(got, r.size - from);
        fill(m->bytes, got, from, k->key);
        assert_memory_equal(m->copy, m->bytes, got);
    } else {
        assert_int_equal(got, 12345678);
    }
    blob_reader_close(&r);
}

static void model_remove(struct model *m)
{
    str names[3];
    struct known *picked[3];
    size_t count = 1 + below(m, 3);
    for (size_t i = 0; i < count; i++) {
        picked[i] = &m->known[below(m, NAMES)];
        names[i] = (str){ picked[i]->id, RNG_ID_LEN };
    }
    struct err err = { .st = ST_OK };
    bool done = worked(m, blob_remove(m->store, names, count, &err), &err);
    for (size_t i = 0; i < count; i++) {
        if (done)
            forget(picked[i]);
        else
            picked[i]->may_be_absent = true;
        picked[i]->name_durable = false;
        picked[i]->durable = 0;
    }
}

static enum st model_seen(str name, uint64_t size, void *ctx, struct err *err)
{
    (void)err;
    struct model *m = ctx;
    for (size_t i = 0; i < NAMES; i++)
        if (str_eq(name, (str){ m->known[i].id, RNG_ID_LEN })) {
            assert_true(m->known[i].may_be_there);
            assert_in_range(size, m->known[i].least, m->known[i].most);
            return ST_OK;
        }
    fail_msg("a name that was never written: %.*s", STR_FMT(name));
    return ST_OK;
}

static void model_power_loss(struct model *m, void (*loss)(struct blob_store *, uint64_t *))
{
    loss(m->store, &m->rng);
    for (size_t i = 0; i < NAMES; i++) {
        struct known *k = &m->known[i];
        k->least = k->durable;
        if (!k->name_durable)
            k->may_be_absent = true;
    }
}

unsigned blob_suite_model(struct blob_store *s, uint64_t seed, unsigned steps,
                          void (*power_loss)(struct blob_store *, uint64_t *))
{
    struct model *m = mem_new(sizeof(*m));
    m->store = s;
    m->rng = seed;
    for (size_t i = 0; i < NAMES; i++) {
        rng_id(m->known[i].id);
        forget(&m->known[i]);
    }
    for (unsigned step = 0; step < steps; step++) {
        struct known *k = &m->known[below(m, NAMES)];
        struct err err = { .st = ST_OK };
        struct blob_space space = { .free_bytes = 5 };
        size_t what = below(m, 20);
        if (what < 9)
            model_write(m, k);
        else if (what < 15)
            model_read(m, k);
        else if (what < 17)
            model_remove(m);
        else if (what == 17)
            (void)worked(m, blob_walk(s, model_seen, m, &err), &err);
        else if (what == 18 && !worked(m, blob_space_get(s, &space, &err), &err))
            assert_int_equal(space.free_bytes, 5);
        else if (what == 19 && power_loss != NULL)
            model_power_loss(m, power_loss);
    }
    unsigned failures = m->failures;
    str names[NAMES];
    for (size_t i = 0; i < NAMES; i++)
        names[i] = (str){ m->known[i].id, RNG_ID_LEN };
    for (unsigned tries = 0; blob_remove(s, names, NAMES, NULL) != ST_OK && tries < 100; tries++)
        ; /* a store that fails now and then */
    mem_free(m);
    return failures;
}

struct worker {
    struct blob_store *store;
    unsigned key;
    unsigned wrong; /* cmocka must not be called from other threads */
};

static void *work(void *arg)
{
    struct worker *worker = arg;
    char bytes[5000];
    char copy[5000];
    for (unsigned i = 0; i < 60; i++) {
        char id[RNG_ID_LEN + 1];
        rng_id(id);
        str name = { id, RNG_ID_LEN };
        struct blob_writer *w = NULL;
        struct blob_reader r = BLOB_READER_NONE;
        size_t got = 0;
        fill(bytes, sizeof(bytes), 0, worker->key + i);
        bool ok = blob_writer_open(worker->store, name, 0, &w, NULL) == ST_OK &&
                  blob_writer_add(w, bytes, 2000, NULL) == ST_OK &&
                  blob_writer_add(w, bytes + 2000, 3000, NULL) == ST_OK &&
                  blob_writer_finish(w, NULL) == ST_OK;
        blob_writer_close(w);
        ok = ok && blob_reader_open(worker->store, name, &r, NULL) == ST_OK &&
             blob_remove(worker->store, &name, 1, NULL) == ST_OK &&
             blob_reader_get(&r, copy, sizeof(copy), 0, &got, NULL) == ST_OK &&
             got == sizeof(copy) && memcmp(copy, bytes, sizeof(bytes)) == 0;
        blob_reader_close(&r);
        if (!ok)
            worker->wrong++;
    }
    return NULL;
}

static enum st any_name(str name, uint64_t size, void *ctx, struct err *err)
{
    (void)name, (void)size, (void)ctx, (void)err;
    return ST_OK;
}

void blob_suite_threads(struct blob_store *s)
{
    enum { THREADS = 8 };
    pthread_t threads[THREADS];
    struct worker workers[THREADS];
    for (unsigned i = 0; i < THREADS; i++) {
        workers[i] = (struct worker){ .store = s, .key = i * 1000 };
        assert_int_equal(pthread_create(&threads[i], NULL, work, &workers[i]), 0);
    }
    for (unsigned i = 0; i < 20; i++) /* while names come and go */
        CHECK_OK(blob_walk(s, any_name, NULL, err));
    for (unsigned i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_int_equal(workers[i].wrong, 0);
    }
    struct seen seen = { 0 };
    CHECK_OK(blob_walk(s, count_name, &seen, err));
    assert_int_equal(seen.names, 0);
}
