/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/rng.h"
#include "base/timeline.h"

#define DAY    CLOCK_DAY_MS
#define HOUR   CLOCK_HOUR_MS
#define SECOND CLOCK_SECOND_MS
#define WALL   (20000 * DAY) /* some day in 2024 */
#define BOOT   (3 * HOUR)

/* What the caller persists. */
static struct {
    int64_t r;
    size_t n;
    struct timeline_step steps[3 * TIMELINE_STEPS_MAX];
} disk;

static struct timeline t;

static void persist(const struct timeline_step *step)
{
    if (disk.n > 0 && disk.steps[disk.n - 1].at == step->at)
        disk.n--;
    assert_true(disk.n < ARRAY_LEN(disk.steps));
    disk.steps[disk.n++] = *step;
}

static bool start(int64_t wall, int64_t boot)
{
    struct timeline_step new;
    bool has_new = false;
    assert_int_equal(
        timeline_init(&t, disk.r, disk.steps, disk.n, wall, boot, &has_new, &new, NULL), ST_OK);
    if (has_new)
        persist(&new);
    return has_new;
}

static bool observe(int64_t wall, int64_t boot)
{
    struct timeline_step new;
    bool seen = timeline_observe(&t, wall, boot, &new);
    if (seen)
        persist(&new);
    return seen;
}

static void start_fresh(void)
{
    memset(&disk, 0, sizeof(disk));
    assert_true(start(WALL, BOOT));
    assert_int_equal(timeline_at(&t, BOOT), WALL);
}

static void runs_with_the_clock(void **state)
{
    (void)state;
    start_fresh();
    assert_int_equal(timeline_at(&t, BOOT + 5), WALL + 5);
    assert_false(observe(WALL + HOUR, BOOT + HOUR));
    assert_false(observe(WALL + 2 * HOUR + TIMELINE_SLACK_MS, BOOT + 2 * HOUR));
    assert_false(observe(WALL + 2 * HOUR - TIMELINE_SLACK_MS, BOOT + 2 * HOUR));
    assert_int_equal(timeline_utc(&t, WALL + 77), WALL + 77);
    assert_int_equal(timeline_utc(&t, WALL - 77 * DAY), WALL - 77 * DAY); /* before all steps */
    assert_int_equal(timeline_of_utc(&t, WALL + 77), WALL + 77);
    assert_int_equal(timeline_of_utc(&t, WALL - DAY), WALL - DAY);
    assert_int_equal(timeline_at(&t, BOOT - 5), WALL); /* a clock that cannot be */
    assert_int_equal(disk.n, 1);
}

static void jumps_forward(void **state)
{
    (void)state;
    start_fresh();
    assert_true(observe(WALL + HOUR + 365 * DAY, BOOT + HOUR));
    assert_int_equal(timeline_at(&t, BOOT + HOUR), WALL + HOUR); /* no grace is over */
    assert_int_equal(timeline_utc(&t, WALL + HOUR), WALL + HOUR + 365 * DAY);
    assert_int_equal(timeline_utc(&t, WALL + HOUR - 1), WALL + HOUR - 1);
    /* A time that was jumped over is the jump. */
    assert_int_equal(timeline_of_utc(&t, WALL + 9 * DAY), WALL + HOUR);
    assert_int_equal(timeline_of_utc(&t, WALL + HOUR - 1), WALL + HOUR - 1);
    assert_int_equal(timeline_of_utc(&t, WALL + HOUR + 366 * DAY), WALL + HOUR + DAY);
    assert_false(observe(WALL + 2 * HOUR + 365 * DAY, BOOT + 2 * HOUR));
    /* And back again: what was shown uniquely in between still is. */
    assert_true(observe(WALL + 3 * HOUR, BOOT + 3 * HOUR));
    assert_int_equal(timeline_of_utc(&t, WALL + 4 * HOUR), WALL + 4 * HOUR);
    assert_int_equal(timeline_of_utc(&t, WALL + 2 * HOUR + 365 * DAY), WALL + 2 * HOUR);
    assert_int_equal(timeline_at(&t, BOOT + 3 * HOUR), WALL + 3 * HOUR);
}

static void jumps_back(void **state)
{
    (void)state;
    start_fresh();
    assert_true(observe(WALL, BOOT + HOUR));
    assert_int_equal(timeline_at(&t, BOOT + HOUR), WALL + HOUR);
    assert_int_equal(timeline_utc(&t, WALL + HOUR), WALL);
    assert_int_equal(timeline_utc(&t, WALL + HOUR - 1), WALL + HOUR - 1);
    /* Shown twice: the smaller is meant. */
    assert_int_equal(timeline_of_utc(&t, WALL + 5), WALL + 5);
    assert_int_equal(timeline_of_utc(&t, WALL + HOUR), WALL + 2 * HOUR);
    /* To 1970 and before. */
    assert_true(observe(-DAY, BOOT + 2 * HOUR));
    assert_int_equal(timeline_at(&t, BOOT + 2 * HOUR), WALL + 2 * HOUR);
    assert_int_equal(timeline_utc(&t, WALL + 2 * HOUR), -DAY);
}

static void suspended(void **state)
{
    (void)state;
    start_fresh(); /* both clocks go on while the machine sleeps: no step */
    assert_false(observe(WALL + 30 * DAY, BOOT + 30 * DAY));
    assert_int_equal(timeline_at(&t, BOOT + 30 * DAY), WALL + 30 * DAY);
}

static void years_off(void **state)
{
    (void)state;
    start_fresh();
    disk.r = timeline_at(&t, BOOT + DAY);
    assert_true(start(WALL + 1000 * DAY, 5)); /* the machine was booted, too */
    assert_int_equal(timeline_at(&t, 5), WALL + DAY);
    assert_int_equal(timeline_at(&t, 5 + HOUR), WALL + DAY + HOUR);
    assert_int_equal(timeline_utc(&t, WALL + DAY), WALL + 1000 * DAY);
    assert_int_equal(timeline_utc(&t, WALL + HOUR), WALL + HOUR);
    assert_int_equal(timeline_of_utc(&t, WALL + 500 * DAY), WALL + DAY);
    assert_int_equal(disk.n, 2);
    disk.r = timeline_at(&t, 5 + HOUR); /* off for a moment: no step */
    assert_false(start(WALL + 1000 * DAY + HOUR + 1500, 9));
}

static void clock_before_the_last_value(void **state)
{
    (void)state;
    start_fresh();
    disk.r = timeline_at(&t, BOOT + 90 * DAY);
    assert_true(start(0, 5)); /* no battery: 1970 */
    assert_int_equal(timeline_at(&t, 5), WALL + 90 * DAY);
    assert_int_equal(timeline_utc(&t, WALL + 90 * DAY), 0);
    assert_true(observe(WALL + 91 * DAY, 5 + HOUR)); /* and then NTP */
    assert_int_equal(timeline_at(&t, 5 + HOUR), WALL + 90 * DAY + HOUR);
    assert_int_equal(timeline_utc(&t, WALL + 90 * DAY + HOUR), WALL + 91 * DAY);
}

static void killed_before_r_was_persisted(void **state)
{
    (void)state;
    start_fresh();
    disk.r = WALL + 1;
    assert_true(observe(WALL + DAY, BOOT + HOUR)); /* a step at WALL + HOUR is on the disk */
    assert_true(start(WALL + 2 * DAY, BOOT + DAY));
    assert_int_equal(timeline_at(&t, BOOT + DAY), WALL + HOUR); /* not below it */
    assert_int_equal(disk.n, 2);                                /* and takes its place */
    assert_int_equal(timeline_utc(&t, WALL + HOUR), WALL + 2 * DAY);
    assert_true(start(WALL + 3 * DAY, BOOT + 2 * DAY));
    assert_int_equal(disk.n, 2);
}

static void machine_without_a_clock(void **state)
{
    (void)state;
    memset(&disk, 0, sizeof(disk));
    assert_true(start(0, 0));
    assert_true(timeline_at(&t, 0) > 0); /* 0 means fresh */
    assert_true(observe(WALL, SECOND));
    assert_int_equal(timeline_utc(&t, timeline_at(&t, 2 * SECOND)), WALL + SECOND);
}

static void bad_values(void **state)
{
    (void)state;
    static const struct {
        int64_t r;
        struct timeline_step steps[2];
    } cases[] = {
        { -1, { { 1, 0 }, { 2, 0 } } },        { INT64_MAX, { { 1, 0 }, { 2, 0 } } },
        { 5, { { 2, 0 }, { 1, 0 } } },         { 5, { { 2, 0 }, { 2, 0 } } },
        { 5, { { 1, INT64_MIN }, { 2, 0 } } }, { 5, { { 1, 0 }, { INT64_MAX, 0 } } },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct err err;
        struct timeline_step new;
        bool has_new = false;
        assert_int_equal(
            timeline_init(&t, cases[i].r, cases[i].steps, 2, WALL, BOOT, &has_new, &new, &err),
            ST_CORRUPT);
        assert_false(has_new);
    }
    start_fresh();
    assert_false(observe(INT64_MAX, BOOT));
    assert_false(observe(INT64_MIN, BOOT));
    assert_int_equal(timeline_utc(&t, INT64_MAX), INT64_MAX);
    assert_int_equal(timeline_utc(&t, INT64_MIN), INT64_MIN);
    assert_int_equal(timeline_of_utc(&t, INT64_MIN), INT64_MIN);
    assert_true(observe(WALL + DAY, BOOT));
    assert_int_equal(timeline_utc(&t, INT64_MAX - 5), INT64_MAX);
    assert_int_equal(timeline_of_utc(&t, INT64_MIN + 5), INT64_MIN);
    assert_true(observe(WALL - DAY, BOOT + 1));
    assert_int_equal(timeline_utc(&t, INT64_MIN + 5), INT64_MIN + 5 + DAY);
    assert_int_equal(timeline_utc(&t, INT64_MAX - 5), INT64_MAX - 5 - DAY - 1);
}

static void many_steps(void **state)
{
    (void)state;
    start_fresh();
    int64_t boot = BOOT;
    for (int64_t i = 1; i <= 2 * TIMELINE_STEPS_MAX; i++) {
        boot += HOUR;
        assert_true(observe(WALL + i * DAY, boot));
    }
    assert_int_equal(t.n, TIMELINE_STEPS_MAX);
    assert_int_equal(disk.n, 2 * TIMELINE_STEPS_MAX + 1);
    for (int64_t i = 2 * TIMELINE_STEPS_MAX; i > TIMELINE_STEPS_MAX; i--) {
        assert_int_equal(timeline_utc(&t, WALL + i * HOUR + 5), WALL + i * DAY + 5);
        assert_int_equal(timeline_of_utc(&t, WALL + i * DAY + 5), WALL + i * HOUR + 5);
    }
    disk.r = timeline_at(&t, boot);
    struct timeline_step first = t.steps[0];
    assert_false(start(WALL + 2 * TIMELINE_STEPS_MAX * DAY, 1)); /* of more, the last are taken */
    assert_int_equal(t.n, TIMELINE_STEPS_MAX);
    assert_memory_equal(&t.steps[0], &first, sizeof(first));
}

/* A machine that does everything to its clock. R against the time that really went by. */
static void random_machine(void **state)
{
    (void)state;
    uint64_t seed = 4711;
    for (size_t round = 0; round < 200; round++) {
        int64_t boot = (int64_t)(rng_next(&seed) % 1000000);
        int64_t wall = WALL + (int64_t)(rng_next(&seed) % 1000000);
        int64_t run = 0; /* ms with the process running since the first start */
        memset(&disk, 0, sizeof(disk));
        assert_true(start(wall, boot));
        const int64_t first = timeline_at(&t, boot);
        int64_t last = first;
        for (size_t i = 0; i < 300; i++) {
            int64_t step = (int64_t)(rng_next(&seed) % (uint64_t)HOUR);
            bool stopped = false;
            switch (rng_next(&seed) % 6) {
            case 0: /* the clock is set */
                wall += (int64_t)(rng_next(&seed) % (uint64_t)(200 * DAY)) - 100 * DAY;
                break;
            case 1: /* stopped and started, perhaps with a boot between */
                disk.r = timeline_at(&t, boot);
                wall += step;
                boot = rng_next(&seed) % 2 == 0 ? 0 : boot + step;
                stopped = true;
                break;
            default:
                wall += step + (int64_t)(rng_next(&seed) % 3) - 1;
                boot += step;
                run += step;
            }
            (void)(stopped ? start(wall, boot) : observe(wall, boot));
            int64_t r = timeline_at(&t, boot);
            assert_true(r >= last);
            assert_int_equal(r - first, run);
            int64_t away = timeline_utc(&t, r) - wall;
            assert_true(away >= -TIMELINE_SLACK_MS && away <= TIMELINE_SLACK_MS);
            last = r;
        }
        for (size_t i = 0; i < 300; i++) {
            int64_t r = first + (int64_t)(rng_next(&seed) % (uint64_t)(last - first + 1));
            int64_t utc = timeline_utc(&t, r);
            int64_t back = timeline_of_utc(&t, utc);
            /* The smallest that is shown so; where it is unique, the same. */
            assert_true(back <= r);
            assert_int_equal(timeline_utc(&t, back), utc);
            int64_t any = utc + (int64_t)(rng_next(&seed) % (uint64_t)(20 * DAY)) - 10 * DAY;
            int64_t of = timeline_of_utc(&t, any);
            assert_true(timeline_utc(&t, of) >= any); /* itself or the jump over it */
            assert_true(timeline_utc(&t, of) == any || timeline_utc(&t, of - 1) < any);
        }
    }
}

static void real_clocks(void **state)
{
    (void)state;
    struct timeline_step new = { 0 };
    bool has_new = false;
    int64_t before = clock_utc_ms();
    assert_int_equal(timeline_start(&t, 0, NULL, 0, &has_new, &new, NULL), ST_OK);
    assert_true(has_new);
    assert_true(new.at >= before &&new.offset == 0);
    int64_t r = timeline_now(&t);
    assert_true(r >= new.at &&timeline_now(&t) >= r);
    assert_false(timeline_tick(&t, &new));
    int64_t away = timeline_utc(&t, timeline_now(&t)) - clock_utc_ms();
    assert_true(away > -TIMELINE_SLACK_MS && away < TIMELINE_SLACK_MS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(runs_with_the_clock),
        cmocka_unit_test(jumps_forward),
        cmocka_unit_test(jumps_back),
        cmocka_unit_test(suspended),
        cmocka_unit_test(years_off),
        cmocka_unit_test(clock_before_the_last_value),
        cmocka_unit_test(killed_before_r_was_persisted),
        cmocka_unit_test(machine_without_a_clock),
        cmocka_unit_test(bad_values),
        cmocka_unit_test(many_steps),
        cmocka_unit_test(random_machine),
        cmocka_unit_test(real_clocks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
