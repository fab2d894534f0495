/* SPDX-License-Identifier: Apache-2.0
 *
 * Slowing who guesses, with a clock of the test's own.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "auth/throttle.h"
#include "base/clock.h"
#include "base/fault.h"

#define START ((int64_t)1700000000000)

struct fixture {
    struct throttle *t;
    int64_t now;
};

static int setup(void **state)
{
    static struct fixture f;
    f.now = START;
    assert_int_equal(ST_OK, throttle_new(&f.t, NULL));
    *state = &f;
    return 0;
}

static int teardown(void **state)
{
    throttle_free(((struct fixture *)*state)->t);
    return 0;
}

static int64_t wrong(struct fixture *f, const char *peer, const char *account)
{
    return throttle_fail(f->t, str_of(peer), str_of(account), f->now);
}

static int64_t wait_of(struct fixture *f, const char *peer, const char *account)
{
    return throttle_wait_ms(f->t, str_of(peer), str_of(account), f->now, &(bool){ false });
}

static void pass(struct fixture *f, const char *peer, const char *account)
{
    throttle_pass(f->t, str_of(peer), str_of(account), f->now);
}

static void the_sixth_waits_and_then_twice_as_long(void **state)
{
    struct fixture *f = *state;
    static const int64_t waits[] = { 1, 2, 4, 8, 16, 32, 60, 60, 60 };
    for (int i = 0; i < 5; i++)
        assert_int_equal(0, wrong(f, "192.0.2.1", "ann"));
    for (size_t i = 0; i < ARRAY_LEN(waits); i++) {
        assert_int_equal(0, wait_of(f, "192.0.2.1", "ann"));
        assert_int_equal(waits[i] * 1000, wrong(f, "192.0.2.1", "ann"));
        assert_int_equal(waits[i] * 1000, wait_of(f, "192.0.2.1", "ann"));
        f->now += waits[i] * 1000 - 1;
        assert_int_equal(1, wait_of(f, "192.0.2.1", "ann"));
        f->now += 1;
    }
    f->now += THROTTLE_WINDOW_MS;
    for (int i = 0; i < 5; i++)
        assert_int_equal(0, wrong(f, "192.0.2.1", "ann"));
    assert_int_equal(1000, wrong(f, "192.0.2.1", "ann"));
}

static void six_in_more_than_ten_minutes_are_free(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 50; i++) {
        assert_int_equal(0, wrong(f, "192.0.2.1", "ann"));
        f->now += THROTTLE_WINDOW_MS / 5;
    }
    /* The sixth just within. */
    for (int i = 0; i < 4; i++) {
        assert_int_equal(0, wrong(f, "192.0.2.2", "bob"));
        f->now += THROTTLE_WINDOW_MS / 5;
    }
    f->now += THROTTLE_WINDOW_MS / 5 - 1;
    assert_int_equal(0, wrong(f, "192.0.2.2", "bob"));
    assert_int_equal(1000, wrong(f, "192.0.2.2", "bob"));
}

static void address_and_account_count_each(void **state)
{
    struct fixture *f = *state;
    char name[32];
    for (int i = 0; i < 6; i++) {
        (void)snprintf(name, sizeof(name), "somebody%d", i);
        (void)wrong(f, "192.0.2.1", name);
    }
    assert_int_equal(1000, wait_of(f, "192.0.2.1", "anybody"));
    assert_int_equal(0, wait_of(f, "192.0.2.2", "somebody1"));
    for (int i = 0; i < 6; i++) {
        (void)snprintf(name, sizeof(name), "198.51.100.%d", i);
        (void)wrong(f, name, "ann");
    }
    assert_int_equal(1000, wait_of(f, "192.0.2.99", "ann"));
    assert_int_equal(0, wait_of(f, "192.0.2.99", "bob"));
}

static void who_logged_in_before_is_not_slowed_by_others(void **state)
{
    struct fixture *f = *state;
    pass(f, "192.0.2.1", "ann");
    for (int i = 0; i < 20; i++) {
        (void)wrong(f, "198.51.100.1", "ann"); /* her account, elsewhere */
        (void)wrong(f, "192.0.2.1", "bob");    /* her address, others */
    }
    assert_int_not_equal(0, wait_of(f, "192.0.2.2", "ann"));
    assert_int_not_equal(0, wait_of(f, "192.0.2.1", "eve"));
    assert_int_equal(0, wait_of(f, "192.0.2.1", "ann"));
    /* By her own, she is. */
    for (int i = 0; i < 5; i++)
        assert_int_equal(0, wrong(f, "192.0.2.1", "ann"));
    assert_int_equal(1000, wrong(f, "192.0.2.1", "ann"));
}

static void a_log_in_forgives_ones_own(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 6; i++)
        (void)wrong(f, "192.0.2.1", "ann");
    f->now += 1000;
    pass(f, "192.0.2.1", "ann");
    assert_int_equal(0, wrong(f, "192.0.2.1", "bob"));
    assert_int_equal(0, wrong(f, "192.0.2.3", "ann"));
    /* Who has an account does not win guesses at others by it. */
    f->now += THROTTLE_WINDOW_MS;
    int64_t slowed = 0;
    for (int i = 0; i < 30; i++) {
        pass(f, "203.0.113.5", "mallory");
        slowed += wrong(f, "203.0.113.5", "ann") > 0;
    }
    assert_int_equal(25, slowed);
}

static void addresses_count_by_their_subscriber(void **state)
{
    struct fixture *f = *state;
    char peer[64];
    for (int i = 0; i < 6; i++) {
        (void)snprintf(peer, sizeof(peer), "2001:db8:1:2::%d", i + 1);
        (void)wrong(f, peer, peer);
    }
    assert_int_equal(1000, wait_of(f, "2001:db8:1:2:ffff::1", "x"));
    assert_int_equal(1000, wait_of(f, "[2001:db8:1:2:ffff::1]", "x"));
    assert_int_equal(1000, wait_of(f, "2001:db8:1:2::1%eth0", "x"));
    assert_int_equal(0, wait_of(f, "2001:db8:1:3::1", "x"));
    for (int i = 0; i < 6; i++)
        (void)wrong(f, i % 2 == 0 ? "::ffff:192.0.2.9" : "192.0.2.9", "mapped");
    assert_int_equal(1000, wait_of(f, "192.0.2.9", "y"));
    assert_int_equal(0, wait_of(f, "192.0.2.10", "y"));
    assert_int_equal(0, wait_of(f, "", ""));
}

/* Many strangers do not push out who logged in, and the table stays as large as it is. */
static void the_table_is_bounded(void **state)
{
    struct fixture *f = *state;
    char peer[64];
    pass(f, "192.0.2.1", "ann");
    for (int i = 0; i < 8 * THROTTLE_ENTRIES; i++) {
        (void)snprintf(peer, sizeof(peer), "10.%d.%d.%d", i >> 16 & 255, i >> 8 & 255, i & 255);
        (void)wrong(f, peer, peer);
    }
    for (int i = 0; i < 20; i++)
        (void)wrong(f, "198.51.100.1", "ann");
    assert_int_equal(0, wait_of(f, "192.0.2.1", "ann"));
}

static void a_clock_set_back_locks_nobody_out(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 20; i++)
        (void)wrong(f, "192.0.2.1", "ann");
    f->now -= 365 * CLOCK_DAY_MS;
    assert_in_range(wait_of(f, "192.0.2.1", "ann"), 0, THROTTLE_WAIT_MAX);
}

#ifdef EBB_FAULTS
static void without_memory_there_is_none(void **state)
{
    (void)state;
    struct throttle *t = NULL;
    struct err err;
    fault_arm(FAULT_ALLOC, 1, false);
    assert_int_equal(ST_NO_MEMORY, throttle_new(&t, &err));
    fault_disarm();
    assert_null(t);
    throttle_free(NULL);
}
#endif

#define THROTTLE_TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        THROTTLE_TEST(the_sixth_waits_and_then_twice_as_long),
        THROTTLE_TEST(six_in_more_than_ten_minutes_are_free),
        THROTTLE_TEST(address_and_account_count_each),
        THROTTLE_TEST(who_logged_in_before_is_not_slowed_by_others),
        THROTTLE_TEST(a_log_in_forgives_ones_own),
        THROTTLE_TEST(addresses_count_by_their_subscriber),
        THROTTLE_TEST(the_table_is_bounded),
        THROTTLE_TEST(a_clock_set_back_locks_nobody_out),
#ifdef EBB_FAULTS
        cmocka_unit_test(without_memory_there_is_none),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
