/* SPDX-License-Identifier: Apache-2.0 */
#include "server/housekeeping.h"

#include "base/lock.h"
#include "base/log.h"
#include "base/mem.h"
#include "deletion/removal.h"

#define TICK_MS 1000

struct job {
    struct housekeeping *of;
    enum st (*work)(struct housekeeping *h, bool *more, struct err *err);
    const char *failure; /* for the log */
    pthread_t thread;
    bool started;
    bool failing; /* said once, not once a second */
};

struct housekeeping {
    struct registry *registry;
    struct auth *auth;
    struct deletion *deletion;
    struct lock lock;
    pthread_cond_t wake;
    bool stopping; /* by `lock` */
    struct job jobs[2];
};

static enum st tend_accounts(struct housekeeping *h, bool *more, struct err *err)
{
    *more = false;
    return auth_tick(h->auth, registry_now(h->registry), err);
}

static enum st tend_removals(struct housekeeping *h, bool *more, struct err *err)
{
    return removal_step(h->deletion, registry_now(h->registry), more, err);
}

static bool rest(struct housekeeping *h, bool more)
{
    LOCK_SCOPE(&h->lock);
    if (!h->stopping && !more)
        (void)lock_wait_for(&h->lock, &h->wake, TICK_MS);
    return !h->stopping;
}

static void *run(void *arg)
{
    struct job *job = arg;
    bool more = false;
    while (rest(job->of, more)) {
        struct err err = { 0 };
        more = false;
        enum st st = job->work(job->of, &more, &err);
        if (st != ST_OK) {
            more = false;
            if (!job->failing)
                log_failure(job->failure, &err);
        }
        job->failing = st != ST_OK;
    }
    return NULL;
}

enum st housekeeping_start(struct registry *registry, struct auth *auth, struct deletion *deletion,
                           struct housekeeping **out, struct err *err)
{
    struct housekeeping *h = mem_new(sizeof(*h));
    if (h == NULL)
        return err_no_memory(err);
    *h = (struct housekeeping){
        .registry = registry,
        .auth = auth,
        .deletion = deletion,
        .jobs = { { .work = tend_accounts, .failure = "the audit log and last uses wait" },
                  { .work = tend_removals, .failure = "repositories to be removed wait" } },
    };
    lock_init(&h->lock, LOCK_SERVER);
    lock_cond_init(&h->wake);
    for (size_t i = 0; i < ARRAY_LEN(h->jobs); i++) {
        struct job *job = &h->jobs[i];
        job->of = h;
        job->started = pthread_create(&job->thread, NULL, run, job) == 0;
        if (!job->started) {
            housekeeping_stop(h);
            return err_set(err, ST_IO, "cannot start a thread for housekeeping");
        }
    }
    *out = h;
    return ST_OK;
}

void housekeeping_stop(struct housekeeping *h)
{
    if (h == NULL)
        return;
    lock_take(&h->lock);
    h->stopping = true;
    pthread_cond_broadcast(&h->wake);
    lock_drop(&h->lock);
    for (size_t i = 0; i < ARRAY_LEN(h->jobs); i++)
        if (h->jobs[i].started)
            (void)pthread_join(h->jobs[i].thread, NULL);
    pthread_cond_destroy(&h->wake);
    lock_release(&h->lock);
    mem_free(h);
}
