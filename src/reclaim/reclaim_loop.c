/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"
#include "base/lock.h"
#include "base/log.h"
#include "base/mem.h"
#include "reclaim/reclaim.h"

/* After a failure the loop waits for the interval, then twice that, up to this. */
#define PAUSE_MAX_MS (10 * CLOCK_MINUTE_MS)

struct reclaim_loop {
    struct registry *r;
    struct reclaim_guard guard;
    bool guarded;
    int64_t interval_ms;
    pthread_t thread;
    struct lock lock;
    pthread_cond_t wake;
    bool stopping; /* under `lock` */
};

static bool wait_or_stop(struct reclaim_loop *loop, int64_t ms)
{
    LOCK_SCOPE(&loop->lock);
    int64_t until = clock_mono_ms() + ms;
    while (!loop->stopping) {
        int64_t left = until - clock_mono_ms();
        if (left <= 0)
            return true;
        (void)lock_wait_for(&loop->lock, &loop->wake, left);
    }
    return false;
}

static void log_report(const struct reclaim_report *report)
{
    if (report->removed.manifests + report->removed.links + report->names + report->uploads == 0)
        return;
    log_event(LOG_INFO, "reclaimed", LOG_INT("manifests", report->removed.manifests),
              LOG_INT("blobs", report->removed.blobs), LOG_INT("links", report->removed.links),
              LOG_INT("uploads", report->uploads), LOG_INT("bytes", report->removed.bytes));
}

static void *run(void *arg)
{
    struct reclaim_loop *loop = arg;
    int64_t pause = loop->interval_ms;
    while (wait_or_stop(loop, pause)) {
        struct reclaim_report report = { 0 };
        struct err err = { 0 };
        enum st st = ST_OK;
        do {
            st = reclaim_step(loop->r, loop->guarded ? &loop->guard : NULL, clock_utc_ms(), &report,
                              &err);
        } while (st == ST_OK && report.more && wait_or_stop(loop, 0));
        log_report(&report);
        pause = st == ST_OK ? loop->interval_ms : MIN(pause * 2, PAUSE_MAX_MS);
        if (st != ST_OK)
            log_failure("reclaiming failed and will be repeated", &err);
    }
    return NULL;
}

enum st reclaim_loop_start(struct registry *r, const struct reclaim_guard *guard,
                           int64_t interval_ms, struct reclaim_loop **out, struct err *err)
{
    struct reclaim_loop *loop = mem_new(sizeof(*loop));
    if (loop == NULL)
        return err_no_memory(err);
    loop->r = r;
    loop->interval_ms = interval_ms;
    loop->guarded = guard != NULL;
    if (guard != NULL)
        loop->guard = *guard;
    lock_init(&loop->lock, LOCK_RECLAIM);
    lock_cond_init(&loop->wake);
    if (pthread_create(&loop->thread, NULL, run, loop) != 0) {
        lock_release(&loop->lock);
        mem_free(loop);
        return err_set(err, ST_NO_MEMORY, "cannot start the reclaim thread");
    }
    *out = loop;
    return ST_OK;
}

void reclaim_loop_stop(struct reclaim_loop *loop)
{
    if (loop == NULL)
        return;
    lock_take(&loop->lock);
    loop->stopping = true;
    pthread_cond_signal(&loop->wake);
    lock_drop(&loop->lock);
    (void)pthread_join(loop->thread, NULL);
    pthread_cond_destroy(&loop->wake);
    lock_release(&loop->lock);
    mem_free(loop);
}
