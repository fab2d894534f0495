/* SPDX-License-Identifier: Apache-2.0 */
#include "check/check_job.h"

#include <pthread.h>
#include <signal.h>

#include "base/clock.h"
#include "base/lock.h"
#include "base/log.h"
#include "base/mem.h"

struct kept {
    enum check_code code;
    bool repaired;
    char *object;
    char *detail;
};

struct check_job {
    struct registry *r;
    struct lock lock;
    /* under `lock` */
    struct check_view view; /* without a page of findings */
    struct kept *kept;
    size_t room;
    int64_t hash_started_ms; /* monotonic */
    bool stopping;
    bool started; /* there is a thread to join */
    pthread_t thread;
};

static void forget(struct check_job *job)
{
    for (size_t i = 0; i < job->view.kept; i++) {
        mem_free(job->kept[i].object);
        mem_free(job->kept[i].detail);
    }
    mem_free(job->kept);
    job->kept = NULL;
    job->room = 0;
    job->view = (struct check_view){ 0 };
}

static bool advance(void *ctx, const struct check_progress *p)
{
    struct check_job *job = ctx;
    LOCK_SCOPE(&job->lock);
    if (p->phase == CHECK_HASH && job->view.progress.phase != CHECK_HASH)
        job->hash_started_ms = clock_mono_ms();
    job->view.progress = *p;
    if (p->phase == CHECK_HASH)
        job->view.hash_ms = clock_mono_ms() - job->hash_started_ms;
    return !job->stopping;
}

/* Under the lock. One that does not fit in memory is counted only. */
static void keep(struct check_job *job, const struct check_finding *f)
{
    size_t at = job->view.kept;
    if (at == CHECK_FINDINGS_MAX)
        return;
    if (at == job->room) {
        size_t room = MIN(job->room * 2 + 64, CHECK_FINDINGS_MAX);
        struct kept *more = mem_resize(job->kept, room * sizeof(*more));
        if (more == NULL)
            return;
        job->kept = more;
        job->room = room;
    }
    struct kept k = { f->code, f->repaired, mem_dup(f->object.ptr, f->object.len),
                      mem_dup(f->detail.ptr, f->detail.len) };
    if (k.object == NULL || k.detail == NULL) {
        mem_free(k.object);
        mem_free(k.detail);
        return;
    }
    job->kept[job->view.kept++] = k;
}

static void found(void *ctx, const struct check_finding *f)
{
    struct check_job *job = ctx;
    const struct check_kind *kind = &check_kinds[f->code];
    log_event(kind->wrong ? LOG_ERROR : LOG_INFO, "check found",
              LOG_STR("finding", str_of(kind->word)), LOG_STR("object", f->object),
              LOG_STR("detail", f->detail), LOG_INT("repaired", f->repaired));
    LOCK_SCOPE(&job->lock);
    keep(job, f);
    if (kind->wrong)
        job->view.report.wrong++;
    else
        job->view.report.notes++;
    if (f->repaired)
        job->view.report.repaired++;
}

static void *run(void *arg)
{
    struct check_job *job = arg;
    struct check_report report;
    struct check_options options;
    struct err err = { 0 };
    const struct check_watch watch = { advance, found, job };
    sigset_t all;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_BLOCK, &all, NULL);
    (void)pthread_setname_np(pthread_self(), "check");
    {
        LOCK_SCOPE(&job->lock);
        options = job->view.options;
    }
    enum st st = check_run(job->r, &options, &watch, &report, &err);
    log_event(LOG_INFO, "check ended", LOG_INT("wrong", report.wrong),
              LOG_INT("notes", report.notes), LOG_INT("repaired", report.repaired));
    if (st != ST_OK && st != ST_STOPPING)
        log_failure("the check failed", &err);
    LOCK_SCOPE(&job->lock);
    job->view.report = report;
    job->view.ended_at = clock_utc_ms();
    job->view.state = st == ST_OK         ? CHECK_FINISHED
                      : st == ST_STOPPING ? CHECK_STOPPED
                                          : CHECK_FAILED;
    if (job->view.state == CHECK_FAILED)
        (void)str_copy(str_of(err.text), job->view.failure, sizeof(job->view.failure));
    return NULL;
}

enum st check_job_new(struct registry *r, struct check_job **out, struct err *err)
{
    struct check_job *job = mem_new(sizeof(*job));
    if (job == NULL)
        return err_no_memory(err);
    job->r = r;
    lock_init(&job->lock, LOCK_CHECK);
    *out = job;
    return ST_OK;
}

void check_job_free(struct check_job *job)
{
    if (job == NULL)
        return;
    lock_take(&job->lock);
    job->stopping = true;
    lock_drop(&job->lock);
    if (job->started)
        (void)pthread_join(job->thread, NULL);
    forget(job);
    lock_release(&job->lock);
    mem_free(job);
}

static bool is_running(const struct check_job *job)
{
    return job->started && job->view.state == CHECK_RUNNING;
}

enum st check_job_start(struct check_job *job, const struct check_options *options,
                        char id[static RNG_ID_LEN + 1], struct err *err)
{
    LOCK_SCOPE(&job->lock);
    if (is_running(job)) {
        memcpy(id, job->view.id, sizeof(job->view.id));
        return err_set(err, ST_BUSY, "check %s is running; there is one at a time", id);
    }
    if (job->started)
        (void)pthread_join(job->thread, NULL); /* it has let go of the lock for the last time */
    forget(job);
    job->started = false;
    job->stopping = false;
    job->view.options = *options;
    job->view.started_at = clock_utc_ms();
    rng_id(job->view.id);
    if (pthread_create(&job->thread, NULL, run, job) != 0)
        return err_set(err, ST_NO_MEMORY, "cannot start the thread of a check");
    job->started = true;
    memcpy(id, job->view.id, sizeof(job->view.id));
    return ST_OK;
}

static enum st find(const struct check_job *job, str id, struct err *err)
{
    if (job->started && (id.ptr == NULL || str_eq(id, str_of(job->view.id))))
        return ST_OK;
    return err_set(err, ST_NOT_FOUND,
                   "there is no such check: one is remembered until the next, or a restart");
}

enum st check_job_view(struct check_job *job, str id, size_t from, size_t limit, struct arena *a,
                       struct check_view *out, struct err *err)
{
    LOCK_SCOPE(&job->lock);
    enum st st = find(job, id, err);
    if (st != ST_OK)
        return st;
    struct check_view view = job->view;
    view.count = from < view.kept ? MIN(limit, view.kept - from) : 0;
    view.findings = arena_alloc(a, (view.count + 1) * sizeof(*view.findings));
    if (view.findings == NULL)
        return err_no_memory(err);
    for (size_t i = 0; i < view.count; i++) {
        const struct kept *k = &job->kept[from + i];
        view.findings[i] = (struct check_finding){ .code = k->code,
                                                   .object = arena_dup(a, str_of(k->object)),
                                                   .detail = arena_dup(a, str_of(k->detail)),
                                                   .repaired = k->repaired };
        if (view.findings[i].object.ptr == NULL || view.findings[i].detail.ptr == NULL)
            return err_no_memory(err);
    }
    *out = view;
    return ST_OK;
}

enum st check_job_stop(struct check_job *job, str id, struct err *err)
{
    LOCK_SCOPE(&job->lock);
    enum st st = find(job, id, err);
    if (st == ST_OK)
        job->stopping = true;
    return st;
}
