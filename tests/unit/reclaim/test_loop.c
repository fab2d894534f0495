/* SPDX-License-Identifier: Apache-2.0
 *
 * The loop's thread: pause, resume, run and wait, reset, stop. It has the real clock.
 */
#include <pthread.h>

#include "base/clock.h"
#include "base/log.h"
#include "world_test.h"

#define SOON (60 * CLOCK_SECOND_MS) /* a test that waits longer has failed */

/* The world's past: what is uploaded now is due. */
static void go_back(struct world *w)
{
    w->now = clock_utc_ms() - 10 * CLOCK_DAY_MS;
}

static void upload_some(struct world *w, int from, int to)
{
    for (int i = from; i < to; i++) {
        char text[32];
        (void)snprintf(text, sizeof(text), "bytes %d", i);
        OK(world_upload(w, "app", text));
    }
}

/* Nothing happens by itself with this interval. */
static const struct reclaim_options asleep = { .interval_ms = CLOCK_DAY_MS };

static struct reclaim_status status_of(struct world *w, struct reclaim_loop *loop)
{
    AUTO(arena_release) struct arena a = { 0 };
    struct reclaim_status status = { 0 };
    OK(reclaim_loop_status(loop, &a, &status, &w->err));
    status.failures = NULL; /* died with the arena */
    return status;
}

static void run_and_wait(struct world *w, struct reclaim_loop *loop)
{
    uint64_t pass = 0;
    OK(reclaim_loop_run(loop, &pass, &w->err));
    OK(reclaim_loop_wait(loop, pass, SOON, &w->err));
}

static void run_is_a_pass_that_begins_after(void **state)
{
    struct world *w = *state;
    struct reclaim_loop *loop = NULL;
    go_back(w);
    OK(reclaim_loop_start(&w->r, &asleep, &loop, &w->err));
    struct reclaim_status s = status_of(w, loop);
    assert_int_equal(s.state, RECLAIM_IDLE);
    assert_int_equal(s.passes_started + s.last.number + s.pass.number, 0);
    for (int i = 0; i < 20; i++) {
        upload_some(w, i * 10, i * 10 + 10);
        run_and_wait(w, loop);
        COUNT(0, "SELECT count(*) FROM blob");
        COUNT(0, "SELECT count(*) FROM doomed");
        s = status_of(w, loop);
        assert_true(s.last.number >= 1);
        assert_int_equal(s.last.did.names, 10);
        assert_int_equal(s.last.did.removed.blobs, 10);
        assert_true(s.last.ended_at >= s.last.started_at);
    }
    EMPTY();
    reclaim_loop_stop(loop);
}

struct runner {
    struct world *w;
    struct reclaim_loop *loop;
    int number;
    bool missed;
};

/* What was there before the call is gone after the wait, whatever others run meanwhile. */
static void *upload_and_run(void *arg)
{
    struct runner *r = arg;
    struct world w = *r->w;
    char repo[16];
    (void)snprintf(repo, sizeof(repo), "app%d", r->number);
    w.ids = (uint64_t)(r->number + 1) << 32;
    for (int i = 0; i < 30; i++) {
        char text[32];
        uint64_t pass = 0;
        bool known = true;
        AUTO(arena_release) struct arena a = { 0 };
        struct blob_row row;
        (void)snprintf(text, sizeof(text), "%d of %d", i, r->number);
        struct digest d = world_digest(text);
        if (world_upload(&w, repo, text) != ST_OK ||
            reclaim_loop_run(r->loop, &pass, &w.err) != ST_OK ||
            reclaim_loop_wait(r->loop, pass, SOON, &w.err) != ST_OK)
            r->missed = true;
        if (registry_find_blob(&w.r, str_of(repo), &d, &a, &row, &known, &w.err) != ST_NOT_FOUND)
            r->missed = true;
    }
    return NULL;
}

static void many_run_at_once(void **state)
{
    struct world *w = *state;
    struct runner runners[4];
    pthread_t threads[4];
    bool missed = false;
    w->r.upload_rest_ms = 100 * CLOCK_DAY_MS; /* uploads under way are not due */
    struct reclaim_loop *loop = NULL;
    go_back(w);
    OK(reclaim_loop_start(&w->r, &asleep, &loop, &w->err));
    for (int i = 0; i < 4; i++) {
        runners[i] = (struct runner){ .w = w, .loop = loop, .number = i };
        assert_int_equal(pthread_create(&threads[i], NULL, upload_and_run, &runners[i]), 0);
    }
    for (int i = 0; i < 4; i++) {
        (void)pthread_join(threads[i], NULL);
        missed = missed || runners[i].missed;
    }
    assert_false(missed);
    reclaim_loop_stop(loop);
    EMPTY();
}

static void pause_outlives_the_loop(void **state)
{
    struct world *w = *state;
    struct reclaim_loop *loop = NULL;
    uint64_t pass = 0;
    go_back(w);
    OK(reclaim_loop_start(&w->r, &asleep, &loop, &w->err));
    OK(reclaim_loop_pause(loop, &w->err));
    OK(reclaim_loop_pause(loop, &w->err));
    upload_some(w, 0, 5);
    assert_int_equal(status_of(w, loop).state, RECLAIM_PAUSED);
    IS(ST_BUSY, reclaim_loop_run(loop, &pass, &w->err));
    IS(ST_BUSY, reclaim_loop_wait(loop, 1, SOON, &w->err));
    reclaim_loop_wake(loop);
    reclaim_loop_stop(loop);
    COUNT(5, "SELECT count(*) FROM blob");

    OK(reclaim_loop_start(&w->r, &(struct reclaim_options){ .interval_ms = 1 }, &loop, &w->err));
    assert_int_equal(status_of(w, loop).state, RECLAIM_PAUSED);
    IS(ST_BUSY, reclaim_loop_run(loop, &pass, &w->err));
    reclaim_loop_stop(loop);
    COUNT(5, "SELECT count(*) FROM blob");

    OK(reclaim_loop_start(&w->r, &asleep, &loop, &w->err));
    OK(reclaim_loop_resume(loop, &w->err));
    OK(reclaim_loop_wait(loop, 1, SOON, &w->err));
    EMPTY();
    reclaim_loop_stop(loop);
    COUNT(0, "SELECT count(*) FROM setting WHERE name = 'reclaim.paused'");
}

static void wake_starts_a_pass(void **state)
{
    struct world *w = *state;
    struct reclaim_loop *loop = NULL;
    reclaim_loop_wake(NULL);
    go_back(w);
    OK(reclaim_loop_start(&w->r, &asleep, &loop, &w->err));
    upload_some(w, 0, 3);
    reclaim_loop_wake(loop);
    OK(reclaim_loop_wait(loop, 1, SOON, &w->err));
    EMPTY();
    reclaim_loop_stop(loop);
}

/* A store that holds a pass up until it is told to go on. */
struct gate {
    struct blob_store store;
    struct blob_ops ops;
    struct blob_store *inner;
    pthread_mutex_t mutex;
    pthread_cond_t cond;
    int passed; /* removals so far */
    int open;   /* how many may pass */
};

static enum st gate_remove(struct blob_store *s, const str *names, size_t count, struct err *err)
{
    struct gate *g = CONTAINER_OF(s, struct gate, store);
    pthread_mutex_lock(&g->mutex);
    g->passed++;
    pthread_cond_broadcast(&g->cond);
    while (g->passed > g->open)
        pthread_cond_wait(&g->cond, &g->mutex);
    pthread_mutex_unlock(&g->mutex);
    return blob_remove(g->inner, names, count, err);
}

static void gate_set(struct gate *g, struct world *w)
{
    *g = (struct gate){ .inner = w->mem };
    pthread_mutex_init(&g->mutex, NULL);
    pthread_cond_init(&g->cond, NULL);
    g->ops.kind = "gate";
    g->ops.remove = gate_remove;
    g->store.ops = &g->ops;
    w->r.store = &g->store;
}

static void gate_wait(struct gate *g, int passed)
{
    pthread_mutex_lock(&g->mutex);
    while (g->passed < passed)
        pthread_cond_wait(&g->cond, &g->mutex);
    pthread_mutex_unlock(&g->mutex);
}

static void gate_open(struct gate *g, int open)
{
    pthread_mutex_lock(&g->mutex);
    g->open = open;
    pthread_cond_broadcast(&g->cond);
    pthread_mutex_unlock(&g->mutex);
}

static enum st doom_many(struct db_tx *tx, void *ctx, struct err *err)
{
    const int *count = ctx;
    for (int i = 0; i < *count; i++) {
        char name[33];
        (void)snprintf(name, sizeof(name), "%032x", (unsigned)i);
        enum st st = db_run(tx,
                            "INSERT INTO doomed (name, size, deleted_at, since, next_at)"
                            " VALUES ($1, 1, 0, 0, 0)",
                            DB_ARGS(DB_TEXT(str_of(name))), NULL, err);
        if (st != ST_OK)
            return st;
    }
    return ST_OK;
}

/* Pause, look and stop while a long pass is under way: each after the batch, none at its end. */
static void long_pass_can_be_paused_and_stopped(void **state)
{
    struct world *w = *state;
    struct reclaim_loop *loop = NULL;
    struct gate gate;
    int many = 5 * RECLAIM_NAMES;
    uint64_t pass = 0;
    w->r.store = w->mem;
    OK(db_write(w->r.db, doom_many, &many, &w->err));
    gate_set(&gate, w);
    OK(reclaim_loop_start(&w->r, &asleep, &loop, &w->err));
    OK(reclaim_loop_run(loop, &pass, &w->err));
    gate_wait(&gate, 1);
    struct reclaim_status s = status_of(w, loop);
    assert_int_equal(s.state, RECLAIM_RUNNING);
    assert_int_equal(s.pass.number, pass);
    assert_int_equal(s.pass.ended_at, 0);
    assert_int_equal(s.queue.doomed_names, many);
    OK(reclaim_loop_pause(loop, &w->err));
    gate_open(&gate, 5);
    while (status_of(w, loop).state != RECLAIM_PAUSED)
        ; /* the test's timeout is the limit */
    s = status_of(w, loop);
    assert_int_equal(s.pass.did.names, RECLAIM_NAMES);
    assert_int_equal(s.passes_ended, 0);
    IS(ST_BUSY, reclaim_loop_wait(loop, pass, SOON, &w->err));
    gate_open(&gate, 2);
    OK(reclaim_loop_resume(loop, &w->err));
    gate_wait(&gate, 3); /* the same pass goes on */
    assert_int_equal(status_of(w, loop).pass.number, pass);
    OK(reclaim_loop_pause(loop, &w->err));
    gate_open(&gate, 100);
    reclaim_loop_stop(loop);
    COUNT(2 * RECLAIM_NAMES, "SELECT count(*) FROM doomed");
    w->r.store = w->mem;
}

/* A pass that is run while another is under way begins after it. */
static void run_during_a_pass_is_another(void **state)
{
    struct world *w = *state;
    struct reclaim_loop *loop = NULL;
    struct gate gate;
    int some = 10;
    uint64_t first = 0, second = 0;
    OK(db_write(w->r.db, doom_many, &some, &w->err));
    gate_set(&gate, w);
    go_back(w);
    OK(reclaim_loop_start(&w->r, &asleep, &loop, &w->err));
    OK(reclaim_loop_run(loop, &first, &w->err));
    gate_wait(&gate, 1);
    OK(reclaim_loop_run(loop, &second, &w->err));
    assert_int_equal(second, first + 1);
    IS(ST_EXPIRED, reclaim_loop_wait(loop, first, 0, &w->err));
    gate_open(&gate, 100);
    OK(reclaim_loop_wait(loop, second, SOON, &w->err));
    assert_int_equal(status_of(w, loop).last.number, second);
    reclaim_loop_stop(loop);
    w->r.store = w->mem;
}

static void reset_tries_again(void **state)
{
    struct world *w = *state;
    struct reclaim_loop *loop = NULL;
    struct blob_store *broken = NULL;
    struct blob_store *mem = w->mem;
    uint64_t count = 0;
    go_back(w);
    upload_some(w, 0, 3);
    OK(blob_fault_new(w->mem, 1, 1, &broken, &w->err));
    w->r.store = broken;
    OK(reclaim_loop_start(&w->r, &asleep, &loop, &w->err));
    run_and_wait(w, loop);
    struct reclaim_status s = status_of(w, loop);
    assert_int_equal(s.failures_total, 3);
    assert_int_equal(s.failure_count, 3);
    assert_int_equal(s.last.did.failures, 3);
    assert_int_equal(s.last.failure.st, ST_OK);
    run_and_wait(w, loop); /* not yet */
    assert_int_equal(status_of(w, loop).last.did.failures, 0);
    OK(reclaim_loop_pause(loop, &w->err));
    w->r.store = mem;
    OK(reclaim_loop_resume(loop, &w->err));
    OK(reclaim_loop_reset(loop, &count, &w->err));
    assert_int_equal(count, 3);
    run_and_wait(w, loop);
    assert_int_equal(status_of(w, loop).failures_total, 0);
    EMPTY();
    reclaim_loop_stop(loop);
    w->mem = broken; /* which owns the other one now */
}

int main(void)
{
    log_setup(2, LOG_TEXT, LOG_ERROR); /* thousands of passes */
    const struct CMUnitTest tests[] = {
        WORLD_TEST(run_is_a_pass_that_begins_after),
        WORLD_TEST(many_run_at_once),
        WORLD_TEST(pause_outlives_the_loop),
        WORLD_TEST(wake_starts_a_pass),
        WORLD_TEST(long_pass_can_be_paused_and_stopped),
        WORLD_TEST(run_during_a_pass_is_another),
        WORLD_TEST(reset_tries_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
