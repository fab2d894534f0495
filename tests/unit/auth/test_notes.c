/* SPDX-License-Identifier: Apache-2.0
 *
 * Notes for the audit log and of last uses; the cache below all that is remembered.
 */
#include "auth_test.h"

#include "auth/auth_int.h"
#include "base/fault.h"

static struct notes *notes;

static int setup_notes(void **state)
{
    (void)setup_rows(state);
    struct fixture *f = *state;
    OK(notes_new(&notes, &f->err));
    return 0;
}

static int teardown_notes(void **state)
{
    notes_free(notes);
    return teardown(state);
}
#define NOTES_TEST(fn) cmocka_unit_test_setup_teardown(fn, setup_notes, teardown_notes)

static struct trail_entry entry_of(const char *action, const char *object)
{
    return (struct trail_entry){ .actor = STR("ann"),
                                 .peer = STR(PEER),
                                 .door = STR("oci"),
                                 .action = str_of(action),
                                 .object = str_of(object) };
}

static void add(struct fixture *f, const char *object)
{
    const struct trail_entry e = entry_of("refused", object);
    notes_add(notes, &e, f->now);
}

static void flush(struct fixture *f, bool all)
{
    OK(notes_flush(notes, &f->r, f->now, all, &f->err));
}

struct trail_call {
    struct fixture *f;
    struct trail_entry *items;
    size_t count;
    uint64_t times;
};

static enum st read_trail(struct db_tx *tx, void *ctx, struct err *err)
{
    struct trail_call *c = ctx;
    enum st st =
        trail_list(tx, STR_NONE, STR_NONE, 0, 5000, &c->f->arena, &c->items, &c->count, err);
    c->times = 0;
    for (size_t i = 0; st == ST_OK && i < c->count; i++)
        c->times += c->items[i].times;
    return st;
}

static struct trail_call trail(struct fixture *f)
{
    struct trail_call c = { .f = f };
    OK(db_read(f->r.db, read_trail, &c, &f->err));
    return c;
}

static void equal_ones_of_a_minute_are_one(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 100; i++)
        add(f, "app");
    add(f, "other");
    flush(f, false);
    struct trail_call c = trail(f);
    assert_int_equal(2, c.count);
    assert_int_equal(101, c.times);
    assert_int_equal(100, c.items[1].times);
    assert_int_equal(f->now, c.items[1].at);
    /* What follows within the minute is written when it is over. */
    f->now += 1000;
    for (int i = 0; i < 7; i++)
        add(f, "app");
    flush(f, false);
    assert_int_equal(101, trail(f).times);
    f->now += 59000;
    flush(f, false);
    c = trail(f);
    assert_int_equal(3, c.count);
    assert_int_equal(7, c.items[0].times);
    /* The next minute is another entry. */
    add(f, "app");
    flush(f, false);
    assert_int_equal(4, trail(f).count);
    add(f, "app");
    flush(f, true);
    assert_int_equal(5, trail(f).count);
    /* Without a flush in between as well. */
    add(f, "late");
    f->now += CLOCK_MINUTE_MS;
    add(f, "late");
    flush(f, true);
    assert_int_equal(7, trail(f).count);
}

static void each_part_tells_them_apart(void **state)
{
    struct fixture *f = *state;
    struct trail_entry e = entry_of("refused", "app");
    struct trail_entry others[] = { e, e, e, e, e, e };
    others[1].actor = STR("bob");
    others[2].peer = STR("192.0.2.8");
    others[3].door = STR("ebb");
    others[4].action = STR("log-in failed");
    others[5].object = STR("ap");
    for (size_t i = 0; i < ARRAY_LEN(others); i++) {
        others[i].detail = STR("a sentence");
        notes_add(notes, &others[i], f->now);
    }
    e.actor = STR("an"); /* the same bytes, cut elsewhere */
    e.peer = STR("n" PEER);
    notes_add(notes, &e, f->now);
    flush(f, false);
    struct trail_call c = trail(f);
    assert_int_equal(7, c.count);
    assert_true(str_eq(c.items[6].detail, STR("a sentence")));
    assert_null(c.items[0].detail.ptr);
}

static void they_are_bounded_and_what_is_lost_is_told(void **state)
{
    struct fixture *f = *state;
    char object[32];
    for (int i = 0; i < NOTES_MAX + 500; i++) {
        (void)snprintf(object, sizeof(object), "app%d", i);
        add(f, object);
    }
    flush(f, false);
    struct trail_call c = trail(f);
    assert_int_equal(NOTES_MAX + 1, c.count);
    assert_true(str_eq(c.items[0].action, STR("entries lost")));
    assert_int_equal(500, c.items[0].times);
    /* There is room when the minute is over. */
    f->now += CLOCK_MINUTE_MS;
    flush(f, false);
    add(f, "more");
    flush(f, false);
    assert_int_equal(NOTES_MAX + 2, trail(f).count);
}

static void long_texts_are_cut(void **state)
{
    struct fixture *f = *state;
    char text[1000];
    memset(text, 'x', sizeof(text));
    memcpy(text + NOTE_TEXT_MAX - 1, "\xc3\xa4", 2);
    text[999] = '\0';
    add(f, text);
    flush(f, false);
    struct trail_call c = trail(f);
    assert_int_equal(NOTE_TEXT_MAX - 1, c.items[0].object.len);
}

static void uses_are_bounded(void **state)
{
    struct fixture *f = *state;
    for (int64_t i = 1; i < 3 * NOTES_USES; i++)
        notes_use(notes, i % 2 == 0 ? USE_OF_ACCOUNT : USE_OF_TOKEN, i, f->now);
    flush(f, false); /* of rows that are not there */
    notes_use(notes, USE_OF_TOKEN, 1, f->now);
    flush(f, false);
}

#ifdef EBB_FAULTS
static void a_failed_flush_keeps_them(void **state)
{
    struct fixture *f = *state;
    bool fired = true;
    uint64_t want = 0;
    for (uint64_t n = 1; fired; n++) {
        add(f, "app");
        want++;
        notes_use(notes, USE_OF_ACCOUNT, 1, f->now);
        fault_arm(FAULT_SQL, n, false);
        enum st st = notes_flush(notes, &f->r, f->now, true, &f->err);
        fault_disarm();
        fired = fault_fired();
        assert_int_equal(fired ? ST_IO : ST_OK, st);
        flush(f, true);
        assert_int_equal(want, trail(f).times);
    }
    fault_arm(FAULT_ALLOC, 1, true);
    add(f, "no memory for it");
    IS(ST_NO_MEMORY, notes_flush(notes, &f->r, f->now, true, &f->err));
    fault_disarm();
    flush(f, true);
    assert_true(str_eq(trail(f).items[0].action, STR("entries lost")));
}
#endif

/* ---- the cache ------------------------------------------------------------------------------- */

static atomic_int living;

struct thing {
    struct counted counted;
    int number;
};

static void free_thing(struct counted *c)
{
    test_free(CONTAINER_OF(c, struct thing, counted));
    living--;
}

static void put(struct cache *c, int number, uint64_t epoch, int64_t over_at)
{
    struct thing *t = test_calloc(1, sizeof(*t));
    uint8_t key[CACHE_KEY_BYTES];
    hash256((const str[]){ { (const char *)&number, sizeof(number) } }, 1, key);
    atomic_init(&t->counted.refs, 1);
    t->counted.free = free_thing;
    t->number = number;
    living++;
    cache_put(c, key, epoch, over_at, 0, &t->counted);
    counted_drop(&t->counted);
}

static bool has(struct cache *c, int number, uint64_t epoch, int64_t now)
{
    uint8_t key[CACHE_KEY_BYTES];
    hash256((const str[]){ { (const char *)&number, sizeof(number) } }, 1, key);
    struct counted *found = cache_find(c, key, epoch, now);
    if (found != NULL)
        assert_int_equal(number, CONTAINER_OF(found, struct thing, counted)->number);
    counted_drop(found);
    return found != NULL;
}

static void the_cache_forgets_by_epoch_and_time(void **state)
{
    (void)state;
    struct cache *c;
    assert_int_equal(ST_OK, cache_new(64, &c, NULL));
    assert_false(has(c, 1, 1, 0));
    put(c, 1, 1, 100);
    assert_true(has(c, 1, 1, 99));
    assert_false(has(c, 1, 1, 100));
    assert_false(has(c, 1, 2, 0));
    put(c, 1, 2, 100); /* takes the place of the first */
    assert_int_equal(1, living);
    assert_true(has(c, 1, 2, 0));
    cache_free(c);
    assert_int_equal(0, living);
    cache_free(NULL);
}

static void the_cache_is_bounded(void **state)
{
    (void)state;
    struct cache *c;
    assert_int_equal(ST_OK, cache_new(64, &c, NULL));
    put(c, 0, 1, INT64_MAX);
    for (int i = 1; i < 10000; i++) {
        put(c, i, 1, INT64_MAX);
        assert_true(has(c, i, 1, 0));
        assert_true(has(c, 0, 1, 0)); /* what is asked for stays */
    }
    assert_in_range(living, 32, 64);
    cache_free(c);
    assert_int_equal(0, living);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        NOTES_TEST(equal_ones_of_a_minute_are_one),
        NOTES_TEST(each_part_tells_them_apart),
        NOTES_TEST(they_are_bounded_and_what_is_lost_is_told),
        NOTES_TEST(long_texts_are_cut),
        NOTES_TEST(uses_are_bounded),
#ifdef EBB_FAULTS
        NOTES_TEST(a_failed_flush_keeps_them),
#endif
        cmocka_unit_test(the_cache_forgets_by_epoch_and_time),
        cmocka_unit_test(the_cache_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
