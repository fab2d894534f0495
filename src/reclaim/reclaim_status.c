/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"
#include "base/metric.h"
#include "reclaim/reclaim_int.h"

const char *reclaim_state_text(enum reclaim_state state)
{
    static const char *const texts[] = {
        [RECLAIM_IDLE] = "idle",
        [RECLAIM_RUNNING] = "running",
        [RECLAIM_WAITING] = "waiting",
        [RECLAIM_PAUSED] = "paused",
    };
    return texts[state];
}

/* ---- gauges ---------------------------------------------------------------------------------- */

struct look {
    int64_t now;
    struct arena *arena;
    struct reclaim_queue queue;
    uint64_t failing;
    struct reclaim_failure *failures;
    size_t count;
};

static enum st look(struct db_tx *tx, void *ctx, struct err *err)
{
    struct look *l = ctx;
    enum st st = reclaim_queue_sum(tx, l->now, &l->queue, err);
    if (st == ST_OK)
        st = reclaim_failures_count(tx, &l->failing, err);
    if (st == ST_OK && l->arena != NULL)
        st = reclaim_failures_list(tx, RECLAIM_FAILURES_SHOWN, l->arena, &l->failures, &l->count,
                                   err);
    return st;
}

void reclaim_gauge(struct reclaim_loop *loop, int64_t now)
{
    struct look l = { .now = now };
    loop->gauged_ms = clock_mono_ms();
    if (db_read(loop->r->db, look, &l, NULL) != ST_OK)
        return; /* the next pass says why */
    bool due = l.queue.oldest_due_at != 0 && l.queue.oldest_due_at < now;
    metric_set(METRIC_RECLAIM_QUEUED, (int64_t)l.queue.queued);
    metric_set(METRIC_RECLAIM_DUE, (int64_t)l.queue.due);
    metric_set(METRIC_RECLAIM_OLDEST, due ? (now - l.queue.oldest_due_at) / CLOCK_SECOND_MS : 0);
    metric_set(METRIC_RECLAIM_PENDING, (int64_t)l.queue.bytes_pending);
    metric_set(METRIC_RECLAIM_FAILING, (int64_t)l.failing);
    LOCK_SCOPE(&loop->lock);
    metric_set(METRIC_RECLAIM_DUTY, (int64_t)(loop->duty * 100 + 0.5));
    metric_set(METRIC_RECLAIM_PAUSED, loop->paused);
}

/* ---- status ---------------------------------------------------------------------------------- */

static enum reclaim_state state_of(const struct reclaim_loop *loop)
{
    if (loop->paused && loop->at != LOOP_BATCH)
        return RECLAIM_PAUSED;
    switch (loop->at) {
    case LOOP_BATCH:
        return RECLAIM_RUNNING;
    case LOOP_REST:
        return RECLAIM_WAITING;
    case LOOP_IDLE:
        break;
    }
    return RECLAIM_IDLE;
}

enum st reclaim_loop_status(struct reclaim_loop *loop, struct arena *a, struct reclaim_status *out,
                            struct err *err)
{
    struct look l = { .now = reclaim_now(loop), .arena = a };
    enum st st = db_read(loop->r->db, look, &l, err);
    if (st != ST_OK)
        return st;
    LOCK_SCOPE(&loop->lock);
    *out = (struct reclaim_status){ .state = state_of(loop),
                                    .duty = loop->duty,
                                    .objects_per_second = loop->objects_per_second,
                                    .bytes_per_second = loop->bytes_per_second,
                                    .passes_started = loop->passes_started,
                                    .passes_ended = loop->passes_ended,
                                    .last = loop->last,
                                    .queue = l.queue,
                                    .failures = l.failures,
                                    .failure_count = l.count,
                                    .failures_total = l.failing };
    if (loop->passes_ended < loop->passes_started)
        out->pass = loop->pass;
    return ST_OK;
}

/* ---- what failed ----------------------------------------------------------------------------- */

struct reset {
    int64_t now;
    uint64_t count;
};

static enum st reset(struct db_tx *tx, void *ctx, struct err *err)
{
    struct reset *c = ctx;
    return reclaim_failures_reset(tx, c->now, &c->count, err);
}

enum st reclaim_loop_reset(struct reclaim_loop *loop, uint64_t *count, struct err *err)
{
    struct reset c = { .now = reclaim_now(loop) };
    enum st st = db_write(loop->r->db, reset, &c, err);
    if (st != ST_OK)
        return err_wrap(err, "reset what could not be reclaimed");
    *count = c.count;
    reclaim_loop_wake(loop);
    return ST_OK;
}
