/* SPDX-License-Identifier: Apache-2.0
 *
 * upload.[ch] over a registry, with each kind of store below: what becomes of the bytes, of the
 * session and of what lies in the store, also when something fails on the way.
 */
#include <ftw.h>
#include <unistd.h>

#include "api/upload.h"
#include "base/fault.h"
#include "world_test.h"

#define INLINE_BYTES 16
#define UPLOAD_MOST  100000

enum store { STORE_MEM, STORE_FS, STORE_FAULT, STORES };

struct rig {
    struct world world;
    struct api *api;
    char dir[64];
};

static bool start_api(struct rig *r)
{
    const struct api_options options = { .upload_bytes_max = UPLOAD_MOST,
                                         .inline_bytes_max = INLINE_BYTES };
    return api_new(&r->world.r, NULL, NULL, &options, &r->api, &r->world.err) == ST_OK;
}

static void use_store(struct rig *r, enum store kind)
{
    struct world *w = &r->world;
    struct blob_store *other = NULL;
    if (kind == STORE_FS) {
        OK(blob_fs_open(r->dir, &other, &w->err));
        blob_store_free(w->mem);
    } else if (kind == STORE_FAULT) {
        OK(blob_fault_new(w->mem, 1, 0, &other, &w->err));
    } else {
        return;
    }
    w->mem = w->r.store = other; /* world_close() frees it, and with it what is below */
    api_free(r->api);
    assert_true(start_api(r));
}

static int setup(void **state)
{
    static struct rig rig;
    rig = (struct rig){ .dir = "/tmp/ebb-test-upload-XXXXXX" };
    if (mkdtemp(rig.dir) == NULL || !world_open(&rig.world, ""))
        return -1;
    rig.world.now = clock_utc_ms();
    *state = &rig;
    return start_api(&rig) ? 0 : -1;
}

static int remove_one(const char *path, const struct stat *info, int kind, struct FTW *walk)
{
    (void)info, (void)kind, (void)walk;
    return remove(path);
}

static int teardown(void **state)
{
    struct rig *r = *state;
    api_free(r->api);
    world_close(&r->world);
    return nftw(r->dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static void restart(struct rig *r)
{
    api_free(r->api);
    assert_true(start_api(r));
}

/* Everything is due: what is left then was forgotten by all rows. */
static void reclaim_all(struct rig *r)
{
    struct world *w = &r->world;
    const struct reclaim_guard guard = api_reclaim_guard(r->api);
    for (int i = 0; i < 2; i++) {
        struct reclaim_report report = { 0 };
        w->now += CLOCK_DAY_MS * 30;
        do {
            OK(reclaim_step(&w->r, &guard, w->now, &report, &w->err));
        } while (report.more);
    }
}

static const char *bytes_of(size_t size)
{
    static char bytes[UPLOAD_MOST + 1];
    for (size_t i = bytes[0] == 0 ? 0 : sizeof(bytes); i < sizeof(bytes); i++)
        bytes[i] = (char)('a' + i * 7 % 26);
    assert_true(size <= sizeof(bytes));
    return bytes;
}

static struct digest digest_for(size_t size, enum digest_algorithm algorithm)
{
    struct digest d;
    digest_of(algorithm, (str){ bytes_of(size), size }, &d);
    return d;
}

/* How the bytes come. */
struct plan {
    size_t size;
    size_t first; /* bytes of a PATCH before; 0: none */
    size_t piece;
    bool restart; /* after the PATCH */
    enum digest_algorithm expected, wanted;
};

static enum st add_pieces(struct upload_work *u, const struct plan *p, size_t to, struct err *err)
{
    enum st st = ST_OK;
    while (st == ST_OK && u->size < to) {
        size_t n = MIN(p->piece, to - (size_t)u->size);
        st = upload_add(u, bytes_of(p->size) + u->size, n, err);
    }
    return st;
}

static enum st begin(struct rig *r, const struct plan *p, char id[static RNG_ID_LEN + 1])
{
    struct upload_work u;
    enum st st = upload_start(r->api, STR("app"), STR("ann"), p->expected, &u, &r->world.err);
    if (st != ST_OK)
        return st;
    (void)snprintf(id, RNG_ID_LEN + 1, "%s", u.entry->id);
    upload_abandon(&u);
    return ST_OK;
}

static enum st patch(struct rig *r, const struct plan *p, const char *id)
{
    struct upload_work u;
    struct err *err = &r->world.err;
    enum st st = upload_open(r->api, STR("app"), str_of(id), STR("ann"), &u, err);
    if (st != ST_OK)
        return st;
    st = add_pieces(&u, p, p->first, err);
    if (st == ST_OK)
        st = upload_pause(&u, err);
    upload_abandon(&u);
    return st;
}

static enum st finish(struct rig *r, const struct plan *p, const char *id)
{
    struct upload_work u;
    struct err *err = &r->world.err;
    struct digest want = digest_for(p->size, p->wanted);
    enum st st = upload_open(r->api, STR("app"), str_of(id), STR("ann"), &u, err);
    if (st != ST_OK)
        return st;
    upload_expect(&u, p->wanted);
    st = add_pieces(&u, p, p->size, err);
    if (st == ST_OK)
        st = upload_finish(&u, &want, err);
    upload_abandon(&u);
    return st;
}

static enum st transfer(struct rig *r, const struct plan *p, char id[static RNG_ID_LEN + 1])
{
    id[0] = '\0';
    enum st st = begin(r, p, id);
    if (st == ST_OK && p->first > 0)
        st = patch(r, p, id);
    if (st == ST_OK && p->restart)
        restart(r);
    return st == ST_OK ? finish(r, p, id) : st;
}

static void check_blob(struct rig *r, const struct plan *p)
{
    struct world *w = &r->world;
    AUTO(arena_release) struct arena a = { 0 };
    struct digest d = digest_for(p->size, p->wanted);
    struct blob_row row;
    bool known = false;
    OK(registry_find_blob(&w->r, STR("app"), &d, &a, &row, &known, &w->err));
    assert_int_equal(row.size, p->size);
    assert_int_equal(row.data.ptr != NULL, p->size <= INLINE_BYTES && p->piece != 0);
    char *read = calloc(1, p->size + 1);
    size_t got = 0;
    if (row.data.ptr == NULL) {
        struct blob_reader reader = BLOB_READER_NONE;
        OK(blob_reader_open(w->r.store, row.name, &reader, &w->err));
        OK(blob_reader_get(&reader, read, p->size + 1, 0, &got, &w->err));
        blob_reader_close(&reader);
    } else {
        got = row.data.len;
        memcpy(read, row.data.ptr, got);
    }
    assert_int_equal(got, p->size);
    assert_memory_equal(read, bytes_of(p->size), p->size);
    free(read);
}

static void every_way_of_sending(void **state)
{
    struct rig *r = *state;
    struct world *w = &r->world;
    static const size_t sizes[] = { 0, 1, 15, 16, 17, 1000, 70000 };
    for (enum store kind = STORE_MEM; kind < STORES; kind++) {
        use_store(r, kind);
        for (unsigned i = 0; i < ARRAY_LEN(sizes) * 32; i++) {
            size_t size = sizes[i / 32];
            struct plan p = { .size = size,
                              .first = (i & 1) == 0    ? 0
                                       : (i & 16) == 0 ? size / 2
                                                       : size,
                              .piece = (i & 16) == 0 ? 1 + size / 3 : 1 + size,
                              .restart = (i & 2) != 0,
                              .expected = (i & 4) != 0 ? DIGEST_SHA512 : DIGEST_SHA256,
                              .wanted = (i & 8) != 0 ? DIGEST_SHA512 : DIGEST_SHA256 };
            char id[RNG_ID_LEN + 1];
            OK(transfer(r, &p, id));
            check_blob(r, &p);
            IS(ST_NOT_FOUND, finish(r, &p, id)); /* it is over */
        }
        SOUND();
        reclaim_all(r);
        EMPTY();
        if (kind == STORE_FS) { /* the last kind wraps a store in memory */
            teardown(state);
            assert_int_equal(setup(state), 0);
        }
    }
}

static void other_bytes_end_it(void **state)
{
    struct rig *r = *state;
    struct world *w = &r->world;
    for (size_t size = 10; size <= 1000; size *= 10) {
        struct upload_work u;
        struct digest want = digest_for(size + 1, DIGEST_SHA256);
        OK(upload_start(r->api, STR("app"), STR("ann"), DIGEST_SHA256, &u, &w->err));
        char id[RNG_ID_LEN + 1];
        (void)snprintf(id, sizeof(id), "%s", u.entry->id);
        OK(upload_add(&u, bytes_of(size), size, &w->err));
        IS(ST_MISMATCH, upload_finish(&u, &want, &w->err));
        assert_non_null(strstr(w->err.text, "sha256:"));
        upload_abandon(&u);
        IS(ST_NOT_FOUND, upload_open(r->api, STR("app"), str_of(id), STR("ann"), &u, &w->err));
    }
    COUNT(0, "SELECT count(*) FROM blob");
    OK(world_reclaim(w)); /* at once: nothing has to expire */
    EMPTY();
}

static void no_more_than_allowed(void **state)
{
    struct rig *r = *state;
    struct world *w = &r->world;
    struct upload_work u;
    OK(upload_start(r->api, STR("app"), STR("ann"), DIGEST_SHA256, &u, &w->err));
    OK(upload_add(&u, bytes_of(UPLOAD_MOST), UPLOAD_MOST, &w->err));
    IS(ST_TOO_LARGE, upload_add(&u, "x", 1, &w->err));
    assert_non_null(strstr(w->err.text, "limits.upload_size"));
    upload_discard(&u);
    OK(world_reclaim(w));
    EMPTY();
}

static void one_at_a_time_in_its_repository(void **state)
{
    struct rig *r = *state;
    struct world *w = &r->world;
    const struct plan p = { .size = 20, .first = 10, .piece = 10 };
    char id[RNG_ID_LEN + 1];
    struct upload_work u, other = { 0 };
    OK(begin(r, &p, id));
    OK(upload_open(r->api, STR("app"), str_of(id), STR("ann"), &u, &w->err));
    IS(ST_BUSY, upload_open(r->api, STR("app"), str_of(id), STR("ann"), &other, &w->err));
    IS(ST_BUSY, upload_open(r->api, STR("foreign"), str_of(id), STR("ann"), &other, &w->err));
    upload_abandon(&u);
    IS(ST_NOT_FOUND, upload_open(r->api, STR("foreign"), str_of(id), STR("ann"), &other, &w->err));
    restart(r); /* not in the table now */
    IS(ST_NOT_FOUND, upload_open(r->api, STR("foreign"), str_of(id), STR("ann"), &other, &w->err));
    IS(ST_NOT_FOUND, upload_open(r->api, STR("app"), str_of(id), STR("ben"), &other, &w->err));
    IS(ST_NOT_FOUND, upload_open(r->api, STR("app"), str_of(id), STR(""), &other, &w->err));
    IS(ST_NOT_FOUND, upload_open(r->api, STR("app"), STR(""), STR("ann"), &other, &w->err));
    IS(ST_NOT_FOUND, upload_open(r->api, STR("app"), STR("0123456789abcdef0123456789abcde%"),
                                 STR("ann"), &other, &w->err));
    OK(patch(r, &p, id));
    IS(ST_NOT_FOUND, upload_open(r->api, STR("app"), str_of(id), STR("ben"), &other, &w->err));
    OK(finish(r, &p, id));
    SOUND();
}

/* Its row has no name: who may push may go on with it. */
static void one_from_before_there_were_accounts(void **state)
{
    struct rig *r = *state;
    struct world *w = &r->world;
    const struct plan p = { .size = 20, .first = 10, .piece = 10 };
    char id[RNG_ID_LEN + 1];
    rng_id(id);
    OK(registry_start_upload(&w->r, STR("app"), str_of(id), STR_NONE, w->now, &w->err));
    OK(patch(r, &p, id));
    OK(finish(r, &p, id));
    check_blob(r, &p);
}

static void not_expired_while_a_request_writes(void **state)
{
    struct rig *r = *state;
    struct world *w = &r->world;
    const struct plan p = { .size = 100, .first = 50, .piece = 50 };
    char id[RNG_ID_LEN + 1];
    struct upload_work u;
    OK(begin(r, &p, id));
    OK(patch(r, &p, id));
    OK(upload_open(r->api, STR("app"), str_of(id), STR("ann"), &u, &w->err));
    OK(add_pieces(&u, &p, 100, &w->err));
    reclaim_all(r);
    COUNT(1, "SELECT count(*) FROM upload");
    OK(upload_pause(&u, &w->err));
    OK(finish(r, &p, id));
    check_blob(r, &p);
    OK(begin(r, &p, id));
    OK(patch(r, &p, id));
    reclaim_all(r); /* at rest: now it does */
    IS(ST_NOT_FOUND, finish(r, &p, id));
    EMPTY();
}

static void a_request_that_failed_leaves_what_was_acknowledged(void **state)
{
    struct rig *r = *state;
    struct world *w = &r->world;
    const struct plan p = { .size = 3000, .first = 1000, .piece = 1000 };
    for (int i = 0; i < 2; i++) {
        char id[RNG_ID_LEN + 1];
        struct upload_work u;
        OK(begin(r, &p, id));
        OK(patch(r, &p, id));
        OK(upload_open(r->api, STR("app"), str_of(id), STR("ann"), &u, &w->err));
        OK(upload_add(&u, "these do not count", 18, &w->err));
        upload_abandon(&u);
        if (i == 1)
            restart(r);
        OK(finish(r, &p, id));
        check_blob(r, &p);
    }
    SOUND();
}

static void bytes_that_a_crash_lost_end_it(void **state)
{
    struct rig *r = *state;
    struct world *w = &r->world;
    const struct plan p = { .size = 3000, .first = 1000, .piece = 1000 };
    for (int i = 0; i < 2; i++) {
        char id[RNG_ID_LEN + 1];
        str name = { id, RNG_ID_LEN };
        OK(begin(r, &p, id));
        OK(patch(r, &p, id));
        OK(blob_remove(w->r.store, &name, 1, &w->err));
        if (i == 1)
            restart(r);
        IS(ST_DAMAGED, finish(r, &p, id));
        IS(ST_NOT_FOUND, finish(r, &p, id));
    }
    OK(world_reclaim(w));
    EMPTY();
}

static void a_full_disk_gets_its_bytes_back(void **state)
{
    struct rig *r = *state;
    struct world *w = &r->world;
    struct upload_work u;
    use_store(r, STORE_FAULT);
    OK(upload_start(r->api, STR("app"), STR("ann"), DIGEST_SHA256, &u, &w->err));
    OK(upload_add(&u, bytes_of(1000), 1000, &w->err));
    blob_fault_set_full(w->r.store, true);
    IS(ST_FULL, upload_add(&u, bytes_of(1000), 1000, &w->err));
    upload_discard(&u);
    assert_int_equal(world_names(w), 1);
    OK(world_reclaim(w));
    EMPTY();
}

#ifdef EBB_FAULTS

/* An opening that fails may have made the file all the same. */
static void a_name_is_not_forgotten(void **state)
{
    struct rig *r = *state;
    struct world *w = &r->world;
    const struct plan large = { .size = 1000, .piece = 1000 };
    const struct plan small = { .size = 3, .piece = 3 };
    use_store(r, STORE_FS);
    unsigned failures = 0;
    for (unsigned n = 1; n < 8; n++) { /* the database's checkpoint may get some of them */
        char id[RNG_ID_LEN + 1];
        OK(begin(r, &large, id));
        fault_arm(FAULT_IO, n, false);
        enum st st = finish(r, &large, id);
        fault_disarm();
        failures += st != ST_OK && finish(r, &small, id) == ST_OK;
    }
    assert_true(failures > 0);
    SOUND();
    reclaim_all(r);
    EMPTY();
}

static struct upload_row row_of(struct rig *r, const char *id, enum st *st)
{
    AUTO(arena_release) struct arena a = { 0 };
    struct upload_row row = { 0 };
    *st = registry_find_upload(&r->world.r, STR("app"), str_of(id), &a, &row, &r->world.err);
    return row;
}

/* After any failure: the session goes on from what its row says, or it is over. */
static void go_on(struct rig *r, const struct plan *p, const char *id)
{
    struct world *w = &r->world;
    char fresh[RNG_ID_LEN + 1];
    enum st there = ST_NOT_FOUND;
    struct upload_row row = { 0 };
    if (id[0] != '\0')
        row = row_of(r, id, &there);
    if (there == ST_OK) {
        assert_true(row.size <= p->size);
        OK(finish(r, p, id));
    } else {
        IS(ST_NOT_FOUND, there);
        OK(transfer(r, p, fresh));
    }
    check_blob(r, p);
    SOUND();
}

static void fail_each(struct rig *r, const struct plan *p, enum fault_kind kind, bool all_after)
{
    struct world *w = &r->world;
    bool fired = true;
    for (unsigned n = 1; fired; n++) {
        char id[RNG_ID_LEN + 1];
        w->err = (struct err){ 0 };
        fault_arm(kind, n, all_after);
        enum st st = transfer(r, p, id);
        fired = fault_fired();
        fault_disarm();
        if (st != ST_OK) {
            assert_true(fired);
            assert_int_equal(w->err.st, st);
            assert_true(w->err.text[0] != '\0');
        }
        if (st == ST_MISMATCH || st == ST_NOT_FOUND || st == ST_TOO_LARGE)
            fail_msg("%s, for a failure of ours (kind %d, n %u)", w->err.text, (int)kind, n);
        go_on(r, p, id);
        reclaim_all(r);
        EMPTY();
        assert_true(n < 5000);
    }
}

static void every_failure(void **state)
{
    struct rig *r = *state;
    static const struct plan plans[] = {
        { .size = 10, .piece = 10 },
        { .size = 12, .first = 5, .piece = 5, .wanted = DIGEST_SHA512 },
        { .size = 40, .first = 10, .piece = 10 },
        { .size = 60, .first = 30, .piece = 15, .wanted = DIGEST_SHA512 },
    };
    use_store(r, STORE_FS);
    for (size_t i = 0; i < ARRAY_LEN(plans); i++)
        for (enum fault_kind kind = 0; kind < FAULT_KINDS; kind++)
            for (int all = 0; all < 2; all++)
                fail_each(r, &plans[i], kind, all == 1);
}

/* What was not synced may be lost though a second sync succeeds: nobody may resume there. */
static void a_failed_sync_ends_it(void **state)
{
    struct rig *r = *state;
    struct world *w = &r->world;
    const struct plan p = { .size = 100, .first = 50, .piece = 50 };
    struct digest want = digest_for(100, DIGEST_SHA256);
    use_store(r, STORE_FS);
    char id[RNG_ID_LEN + 1];
    struct upload_work u;
    OK(begin(r, &p, id));
    OK(patch(r, &p, id));
    OK(upload_open(r->api, STR("app"), str_of(id), STR("ann"), &u, &w->err));
    OK(add_pieces(&u, &p, 100, &w->err));
    fault_arm(FAULT_IO, 1, false);
    IS(ST_IO, upload_finish(&u, &want, &w->err));
    fault_disarm();
    upload_abandon(&u);
    IS(ST_NOT_FOUND, finish(r, &p, id));
    OK(world_reclaim(w));
    EMPTY();
}

#endif

/* A store that fails on a seed: partly done, done and not told, or not at all. */
static void a_store_that_fails_now_and_then(void **state)
{
    struct rig *r = *state;
    struct world *w = &r->world;
    struct blob_store *failing = NULL;
    unsigned good = 0, bad = 0;
    OK(blob_fault_new(w->mem, 17, 6, &failing, &w->err));
    w->r.store = failing;
    w->r.uploads_per_repo_max = 1000;
    restart(r);
    for (unsigned i = 0; i < 600; i++) {
        const struct plan p = { .size = 1 + i % 200,
                                .first = i % 3 == 0 ? 0 : 1 + i % 50,
                                .piece = 60,
                                .restart = i % 5 == 0,
                                .wanted = i % 7 == 0 ? DIGEST_SHA512 : DIGEST_SHA256 };
        char id[RNG_ID_LEN + 1];
        enum st st = p.first > p.size ? ST_OK : transfer(r, &p, id);
        good += st == ST_OK;
        bad += st != ST_OK;
        if (st != ST_OK && st != ST_IO && st != ST_FULL && st != ST_DAMAGED)
            fail_msg("%s", w->err.text);
    }
    assert_true(good > 100 && bad > 50);
    SOUND();
    w->r.store = w->mem;
    reclaim_all(r);
    while (world_count(w, "SELECT count(*) FROM upload") > 0 ||
           world_count(w, "SELECT count(*) FROM doomed") > 0)
        reclaim_all(r);
    OK(world_settle(w));
    EMPTY();
    w->mem = failing; /* frees both */
}

#define RIG_TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        RIG_TEST(every_way_of_sending),
        RIG_TEST(other_bytes_end_it),
        RIG_TEST(no_more_than_allowed),
        RIG_TEST(one_at_a_time_in_its_repository),
        RIG_TEST(one_from_before_there_were_accounts),
        RIG_TEST(not_expired_while_a_request_writes),
        RIG_TEST(a_request_that_failed_leaves_what_was_acknowledged),
        RIG_TEST(bytes_that_a_crash_lost_end_it),
        RIG_TEST(a_full_disk_gets_its_bytes_back),
        RIG_TEST(a_store_that_fails_now_and_then),
#ifdef EBB_FAULTS
        RIG_TEST(a_name_is_not_forgotten),
        RIG_TEST(a_failed_sync_ends_it),
        RIG_TEST(every_failure),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
