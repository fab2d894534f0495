/* SPDX-License-Identifier: Apache-2.0 */
#include "base/timeline.h"

#include "base/clock.h"

#define SANE_MAX ((int64_t)1 << 53) /* 285,000 years: sums of three stay far from overflow */

static bool is_sane(int64_t ms)
{
    return ms > -SANE_MAX && ms < SANE_MAX;
}

static int64_t add(int64_t a, int64_t b)
{
    int64_t sum;
    if (__builtin_add_overflow(a, b, &sum))
        return a < 0 ? INT64_MIN : INT64_MAX;
    return sum;
}

static enum st check_steps(const struct timeline_step *steps, size_t n, struct err *err)
{
    for (size_t i = 0; i < n; i++)
        if (!is_sane(steps[i].at) || !is_sane(steps[i].offset) ||
            (i > 0 && steps[i].at <= steps[i - 1].at))
            return err_set(err, ST_CORRUPT, "step %zu of the registry's time does not follow", i);
    return ST_OK;
}

static void add_step(struct timeline *t, struct timeline_step step)
{
    if (t->n > 0 && t->steps[t->n - 1].at == step.at) {
        t->n--;
    } else if (t->n == TIMELINE_STEPS_MAX) {
        t->n--;
        memmove(t->steps, t->steps + 1, t->n * sizeof(step));
    }
    t->steps[t->n++] = step;
}

int64_t timeline_at(const struct timeline *t, int64_t boot)
{
    return t->start_r + MAX(boot - t->start_boot, 0);
}

/* The caller holds the lock. */
static bool observe(struct timeline *t, int64_t wall, int64_t boot, struct timeline_step *new)
{
    int64_t r = timeline_at(t, boot);
    if (!is_sane(wall))
        return false;
    if (t->n > 0) {
        int64_t away = wall - (r + t->steps[t->n - 1].offset);
        if (away >= -TIMELINE_SLACK_MS && away <= TIMELINE_SLACK_MS)
            return false;
        if (r < t->steps[t->n - 1].at)
            return false; /* an older reading than another thread's */
    }
    *new = (struct timeline_step){ .at = r, .offset = wall - r };
    add_step(t, *new);
    return true;
}

enum st timeline_init(struct timeline *t, int64_t last_r, const struct timeline_step *steps,
                      size_t n, int64_t wall_now, int64_t boot_now, bool *has_new,
                      struct timeline_step *new, struct err *err)
{
    enum st st = check_steps(steps, n, err);
    if (st != ST_OK)
        return st;
    if (last_r < 0 || !is_sane(last_r) || !is_sane(wall_now) || !is_sane(boot_now))
        return err_set(err, ST_CORRUPT, "the registry's time is out of range");
    /* A step may have been persisted after the last R. */
    int64_t start = n == 0 ? last_r : MAX(last_r, steps[n - 1].at);
    t->start_r = start > 0 ? start : MAX(wall_now, 1); /* 0 stays free to mean "fresh" */
    t->start_boot = boot_now;
    t->n = MIN(n, TIMELINE_STEPS_MAX);
    if (t->n > 0)
        memcpy(t->steps, steps + n - t->n, t->n * sizeof(*steps));
    lock_init(&t->lock, LOCK_TIMELINE);
    *has_new = timeline_observe(t, wall_now, boot_now, new);
    return ST_OK;
}

bool timeline_observe(struct timeline *t, int64_t wall, int64_t boot, struct timeline_step *new)
{
    LOCK_SCOPE(&t->lock);
    return observe(t, wall, boot, new);
}

int64_t timeline_utc(struct timeline *t, int64_t r)
{
    LOCK_SCOPE(&t->lock);
    size_t from = 0; /* the step that holds lies in [from, to) */
    size_t to = t->n;
    while (to - from > 1) {
        size_t middle = from + (to - from) / 2;
        if (t->steps[middle].at <= r)
            from = middle;
        else
            to = middle;
    }
    return add(r, t->steps[from].offset);
}

int64_t timeline_of_utc(struct timeline *t, int64_t utc)
{
    LOCK_SCOPE(&t->lock);
    const struct timeline_step *s = t->steps;
    int64_t jump = INT64_MAX;
    for (size_t i = 0; i < t->n; i++) {
        int64_t r = add(utc, -s[i].offset);
        bool after_begin = i == 0 || r >= s[i].at;
        bool before_end = i + 1 == t->n || r < s[i + 1].at;
        if (after_begin && before_end)
            return r;
        /* Behind the end of this step and before the begin of the next: jumped over. */
        if (!before_end && jump == INT64_MAX && add(utc, -s[i + 1].offset) < s[i + 1].at)
            jump = s[i + 1].at;
    }
    return jump;
}

/* Both clocks of one moment: read again when the process was held up in between. */
static void read_clocks(int64_t *wall, int64_t *boot)
{
    int64_t after;
    do {
        *boot = clock_boot_ms();
        *wall = clock_utc_ms();
        after = clock_boot_ms();
    } while (after - *boot > TIMELINE_SLACK_MS / 10);
}

enum st timeline_start(struct timeline *t, int64_t last_r, const struct timeline_step *steps,
                       size_t n, bool *has_new, struct timeline_step *new, struct err *err)
{
    int64_t wall;
    int64_t boot;
    read_clocks(&wall, &boot);
    return timeline_init(t, last_r, steps, n, wall, boot, has_new, new, err);
}

int64_t timeline_now(const struct timeline *t)
{
    return timeline_at(t, clock_boot_ms());
}

bool timeline_tick(struct timeline *t, struct timeline_step *new)
{
    int64_t wall;
    int64_t boot;
    read_clocks(&wall, &boot);
    return timeline_observe(t, wall, boot, new);
}
