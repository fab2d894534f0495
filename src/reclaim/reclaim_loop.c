/* SPDX-License-Identifier: Apache-2.0
 *
 * The thread that reclaims: passes, rests, pause. A pass under way when it is paused goes on after
 * the resume; one under way when the server stops is simply not finished, as after a crash: the
 * queue is in the database.
 */
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "meta/settings.h"
#include "reclaim/reclaim_int.h"

/* After a failure the loop waits for the interval, then twice that, up to this. */
#define PAUSE_MAX_MS (10 * CLOCK_MINUTE_MS)
/* How often the thread looks around while it has nothing to do. */
#define TICK_MS      (5 * CLOCK_SECOND_MS)
/* How often the queue is counted during a pass. */
#define GAUGE_MS     (5 * CLOCK_SECOND_MS)
/* The rate is of the last few seconds. */
#define RATE_S       2.0

int64_t reclaim_now(const struct reclaim_loop *loop)
{
    return registry_now(loop->r);
}

/* Now and then, whether it is paused or not: what the registry keeps in memory is written, holds
 * end. */
static void tick(struct reclaim_loop *loop)
{
    struct err err = { 0 };
    if (clock_mono_ms() - loop->ticked_ms < TICK_MS)
        return;
    loop->ticked_ms = clock_mono_ms();
    if (registry_tick(loop->r, false, &err) != ST_OK)
        log_failure("what is done now and then failed and will be repeated", &err);
}

/* ---- waiting --------------------------------------------------------------------------------- */

/* One turn of a rest. False: it is over, or the loop is to stop. */
static bool rest_on(struct reclaim_loop *loop, int64_t until)
{
    LOCK_SCOPE(&loop->lock);
    int64_t left = until - clock_mono_ms();
    if (loop->stopping || (left <= 0 && !loop->paused)) {
        loop->at = LOOP_BATCH;
        return false;
    }
    loop->at = LOOP_REST;
    (void)lock_wait_for(&loop->lock, &loop->wake, left <= 0 ? TICK_MS : MIN(left, TICK_MS));
    return true;
}

/* Rests for `ms`, and for as long as it is paused. False: the loop is to stop. */
static bool rest(struct reclaim_loop *loop, int64_t ms)
{
    int64_t until = clock_mono_ms() + ms;
    while (rest_on(loop, until))
        tick(loop);
    LOCK_SCOPE(&loop->lock);
    return !loop->stopping;
}

static void note_load(struct reclaim_loop *loop)
{
    struct reclaim_latencies idle = { 0 };
    struct reclaim_latencies busy = { 0 };
    reclaim_load_take(loop->load, &idle, &busy);
    reclaim_pace_note(&loop->pace, &idle, &busy, clock_mono_ms());
}

/* Until the next pass is to start. False: the loop is to stop. */
static bool wait_for_turn(struct reclaim_loop *loop, int64_t ms)
{
    int64_t until = clock_mono_ms() + ms;
    bool turn = false;
    bool stopping = false;
    while (!turn && !stopping) {
        note_load(loop);
        tick(loop);
        LOCK_SCOPE(&loop->lock);
        int64_t left = until - clock_mono_ms();
        stopping = loop->stopping;
        turn = !stopping && !loop->paused && (loop->woken || left <= 0);
        if (!turn && !stopping)
            (void)lock_wait_for(&loop->lock, &loop->wake, left <= 0 ? TICK_MS : MIN(left, TICK_MS));
    }
    return turn;
}

/* ---- a pass ---------------------------------------------------------------------------------- */

static uint64_t objects_of(const struct reclaim_report *did)
{
    return did->removed.manifests + did->removed.blobs + did->uploads;
}

static bool did_anything(const struct reclaim_report *did)
{
    return objects_of(did) + did->removed.links + did->names + did->failures > 0;
}

static void begin_pass(struct reclaim_loop *loop)
{
    LOCK_SCOPE(&loop->lock);
    loop->asked = loop->woken;
    loop->woken = false;
    loop->at = LOOP_BATCH;
    loop->pass =
        (struct reclaim_pass){ .number = ++loop->passes_started, .started_at = reclaim_now(loop) };
    loop->rated_us = clock_mono_us();
}

static void log_pass(const struct reclaim_pass *pass)
{
    const struct reclaim_report *did = &pass->did;
    if (did->failures > 0)
        log_event(LOG_WARN, "objects could not be reclaimed and will be tried again",
                  LOG_INT("failures", did->failures));
    if (pass->failure.st != ST_OK)
        log_failure("reclaiming failed and will be repeated", &pass->failure);
    if (did->removed.manifests + did->removed.links + did->names + did->uploads == 0)
        return;
    log_event(LOG_INFO, "reclaimed", LOG_INT("manifests", did->removed.manifests),
              LOG_INT("blobs", did->removed.blobs), LOG_INT("links", did->removed.links),
              LOG_INT("uploads", did->uploads), LOG_INT("bytes", did->removed.bytes),
              LOG_INT("names", did->names), LOG_INT("ms", pass->ended_at - pass->started_at));
}

static void end_pass(struct reclaim_loop *loop)
{
    reclaim_gauge(loop, reclaim_now(loop));
    lock_take(&loop->lock);
    struct reclaim_pass *pass = &loop->pass;
    pass->ended_at = reclaim_now(loop);
    loop->at = LOOP_IDLE;
    loop->objects_per_second = loop->bytes_per_second = 0;
    loop->passes_ended = pass->number;
    if (loop->asked || did_anything(&pass->did) || pass->failure.st != ST_OK)
        loop->last = *pass;
    const struct reclaim_pass ended = *pass;
    pthread_cond_broadcast(&loop->over);
    lock_drop(&loop->lock);
    log_pass(&ended);
}

/* Makes what a batch did visible. */
static void publish(struct reclaim_loop *loop, const struct reclaim_report *did)
{
    LOCK_SCOPE(&loop->lock);
    int64_t now_us = clock_mono_us();
    double seconds = (double)MAX(now_us - loop->rated_us, (int64_t)1) / 1e6;
    double weight = seconds / (seconds + RATE_S);
    double objects = (double)(objects_of(did) - objects_of(&loop->pass.did)) / seconds;
    double bytes = (double)(did->bytes - loop->pass.did.bytes) / seconds;
    if (loop->objects_per_second == 0) /* the first of a pass */
        weight = 1;
    loop->objects_per_second += weight * (objects - loop->objects_per_second);
    loop->bytes_per_second += weight * (bytes - loop->bytes_per_second);
    loop->rated_us = now_us;
    loop->duty = loop->pace.duty;
    loop->pass.did = *did;
}

static enum st run_pass(struct reclaim_loop *loop)
{
    struct reclaim_report did = { 0 };
    struct err err = { 0 };
    enum st st = ST_OK;
    int64_t rest_ms = 0;
    begin_pass(loop);
    do {
        int64_t started_us = clock_mono_us();
        reclaim_load_work(loop->load);
        st = reclaim_step(loop->r, loop->guarded ? &loop->guard : NULL, reclaim_now(loop), &did,
                          &err);
        int64_t ended_us = clock_mono_us();
        reclaim_load_rest(loop->load, ended_us);
        note_load(loop);
        publish(loop, &did);
        rest_ms = reclaim_pace_rest_ms(&loop->pace, (double)(ended_us - started_us) / 1000,
                                       clock_mono_ms());
        tick(loop);
        if (clock_mono_ms() - loop->gauged_ms >= GAUGE_MS)
            reclaim_gauge(loop, reclaim_now(loop));
    } while (st == ST_OK && did.more && rest(loop, rest_ms));
    if (st != ST_OK)
        loop->pass.failure = err;
    end_pass(loop);
    return st;
}

static void *run(void *arg)
{
    struct reclaim_loop *loop = arg;
    int64_t pause = loop->interval_ms;
    while (wait_for_turn(loop, pause)) {
        enum st st = run_pass(loop);
        pause = st == ST_OK ? loop->interval_ms : MIN(pause * 2, PAUSE_MAX_MS);
    }
    return NULL;
}

/* ---- start and stop -------------------------------------------------------------------------- */

static enum st read_paused(struct db_tx *tx, void *ctx, struct err *err)
{
    AUTO(arena_release) struct arena scratch = { 0 };
    bool *paused = ctx;
    str value = STR_NONE;
    enum st st = settings_get(tx, SETTING_RECLAIM_PAUSED, &scratch, &value, err);
    if (st == ST_OK)
        *paused = str_eq(value, STR("true"));
    return st;
}

static void release(struct reclaim_loop *loop)
{
    pthread_cond_destroy(&loop->over);
    pthread_cond_destroy(&loop->wake);
    lock_release(&loop->lock);
    mem_free(loop);
}

enum st reclaim_loop_start(struct registry *r, const struct reclaim_options *options,
                           struct reclaim_loop **out, struct err *err)
{
    bool paused = false;
    enum st st = db_read(r->db, read_paused, &paused, err);
    if (st != ST_OK)
        return st;
    struct reclaim_loop *loop = mem_new(sizeof(*loop));
    if (loop == NULL)
        return err_no_memory(err);
    loop->r = r;
    loop->load = options->load;
    loop->interval_ms = options->interval_ms;
    loop->guarded = options->guard != NULL;
    if (options->guard != NULL)
        loop->guard = *options->guard;
    loop->paused = paused;
    loop->duty = 1;
    reclaim_pace_init(&loop->pace, clock_mono_ms());
    lock_init(&loop->lock, LOCK_RECLAIM);
    lock_cond_init(&loop->wake);
    lock_cond_init(&loop->over);
    if (pthread_create(&loop->thread, NULL, run, loop) != 0) {
        release(loop);
        return err_set(err, ST_NO_MEMORY, "cannot start the reclaim thread");
    }
    if (paused)
        log_event(LOG_WARN, "reclaiming is paused: no space is given back until it is resumed",
                  LOG_STR("resume", STR("ebb reclaim resume")));
    *out = loop;
    return ST_OK;
}

void reclaim_loop_stop(struct reclaim_loop *loop)
{
    if (loop == NULL)
        return;
    lock_take(&loop->lock);
    loop->stopping = true;
    pthread_cond_broadcast(&loop->wake);
    pthread_cond_broadcast(&loop->over);
    lock_drop(&loop->lock);
    (void)pthread_join(loop->thread, NULL);
    release(loop);
}

/* ---- what others ask for --------------------------------------------------------------------- */

static void wake(struct reclaim_loop *loop)
{
    loop->woken = true;
    pthread_cond_broadcast(&loop->wake);
}

void reclaim_loop_wake(struct reclaim_loop *loop)
{
    if (loop == NULL)
        return;
    LOCK_SCOPE(&loop->lock);
    wake(loop);
}

static enum st write_paused(struct db_tx *tx, void *ctx, struct err *err)
{
    const bool *paused = ctx;
    return settings_set(tx, SETTING_RECLAIM_PAUSED, *paused ? STR("true") : STR_NONE, err);
}

/* The lock is held over the commit: what is in the database and what the loop does never differ. */
static enum st set_paused(struct reclaim_loop *loop, bool paused, struct err *err)
{
    LOCK_SCOPE(&loop->lock);
    enum st st = db_write(loop->r->db, write_paused, &paused, err);
    if (st != ST_OK)
        return err_wrap(err, paused ? "pause reclaiming" : "resume reclaiming");
    loop->paused = paused;
    pthread_cond_broadcast(&loop->over);
    wake(loop);
    return ST_OK;
}

enum st reclaim_loop_pause(struct reclaim_loop *loop, struct err *err)
{
    return set_paused(loop, true, err);
}

enum st reclaim_loop_resume(struct reclaim_loop *loop, struct err *err)
{
    return set_paused(loop, false, err);
}

static enum st is_paused(struct err *err)
{
    return err_set(err, ST_BUSY, "reclaiming is paused: resume it first");
}

enum st reclaim_loop_run(struct reclaim_loop *loop, uint64_t *pass, struct err *err)
{
    LOCK_SCOPE(&loop->lock);
    if (loop->paused)
        return is_paused(err);
    *pass = loop->passes_started + 1;
    wake(loop);
    return ST_OK;
}

enum st reclaim_loop_wait(struct reclaim_loop *loop, uint64_t pass, int64_t timeout_ms,
                          struct err *err)
{
    LOCK_SCOPE(&loop->lock);
    int64_t until = clock_mono_ms() + timeout_ms;
    while (loop->passes_ended < pass) {
        int64_t left = until - clock_mono_ms();
        if (loop->stopping)
            return err_set(err, ST_STOPPING, "the registry is shutting down");
        if (loop->paused)
            return is_paused(err);
        if (left <= 0)
            return err_set(err, ST_EXPIRED, "the pass is not over yet");
        (void)lock_wait_for(&loop->lock, &loop->over, left);
    }
    return ST_OK;
}
