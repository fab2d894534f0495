/* SPDX-License-Identifier: Apache-2.0 */
#include "deletion/job.h"

#include "base/clock.h"
#include "base/lock.h"
#include "base/log.h"
#include "base/mem.h"
#include "deletion/carry.h"
#include "deletion/deletion_int.h"
#include "deletion/plan.h"

/* How often the thread looks around although nobody woke it. */
#define LOOK_MS      (10 * CLOCK_MINUTE_MS)
/* After a failure: so long, then twice that, up to LOOK_MS. */
#define RETRY_MS     CLOCK_SECOND_MS
#define WAIT_EACH_MS 500

struct job {
    struct deletion *d;
    pthread_t thread;
    struct lock lock; /* of what follows */
    pthread_cond_t wake;
    pthread_cond_t stepped; /* a receipt was sealed, or the thread fell asleep */
    bool woken;
    bool stopping;
};

/* ---- a step ---------------------------------------------------------------------------------- */

struct stepping {
    struct deletion *d;
    int64_t receipt_id;
    int64_t now; /* 0: by the engine's clock */
    bool sealed;
};

static enum st step(struct db_tx *tx, void *ctx, struct err *err)
{
    AUTO(arena_release) struct arena scratch = { .limit_bytes = 160 * MIB };
    struct stepping *s = ctx;
    struct receipt receipt = { 0 };
    enum st st = receipts_find(tx, s->receipt_id, &scratch, &receipt, err);
    if (st != ST_OK || receipt.sealed) {
        s->sealed = st == ST_OK;
        return st;
    }
    struct carry c = { .tx = tx,
                       .d = s->d,
                       .receipt = &receipt,
                       .now = s->now != 0 ? s->now : deletion_now(s->d, receipt.created_at),
                       .a = &scratch };
    st = receipt.kind == RECEIPT_UNDO ? carry_undo(&c, err) : carry_plan(&c, err);
    if (st == ST_OK)
        st = carry_end(&c, err);
    s->sealed = receipt.sealed;
    return st;
}

enum st job_step(struct deletion *d, int64_t receipt_id, int64_t now, bool *sealed, struct err *err)
{
    struct stepping s = { .d = d, .receipt_id = receipt_id, .now = now };
    enum st st = registry_write(d->r, step, &s, err);
    if (st == ST_OK)
        *sealed = s.sealed;
    return st;
}

struct looking {
    int64_t after;
    int64_t id; /* 0: none */
};

static enum st find_open(struct db_tx *tx, void *ctx, struct err *err)
{
    struct looking *l = ctx;
    l->id = 0;
    enum st st = receipts_next_open(tx, l->after, &l->id, err);
    return st == ST_NOT_FOUND ? ST_OK : st;
}

enum st deletion_step(struct deletion *d, int64_t now, bool *more, struct err *err)
{
    struct looking l = { 0 };
    bool sealed = false;
    deletion_note_now(d, now);
    enum st st = db_read(d->r->db, find_open, &l, err);
    if (st == ST_OK && l.id != 0)
        st = job_step(d, l.id, now, &sealed, err);
    if (st == ST_OK)
        st = db_read(d->r->db, find_open, &l, err);
    if (st == ST_OK)
        *more = l.id != 0;
    return st;
}

void job_hand_over(struct deletion *d, int64_t receipt_id, int64_t now, unsigned steps)
{
    bool sealed = false;
    struct err ignored = { 0 };
    for (unsigned i = 0; i < steps && !sealed; i++)
        if (job_step(d, receipt_id, now, &sealed, &ignored) != ST_OK)
            break;
    if (!sealed)
        job_wake(d->job);
}

/* ---- old receipts ---------------------------------------------------------------------------- */

struct expiring {
    struct deletion *d;
    int64_t until;
    bool more;
};

static enum st any_expired(struct db_tx *tx, void *ctx, struct err *err)
{
    struct expiring *e = ctx;
    return receipts_any_expired(tx, e->until, &e->more, err);
}

static enum st expire(struct db_tx *tx, void *ctx, struct err *err)
{
    struct expiring *e = ctx;
    return receipts_expire(tx, e->until, e->d->key, &e->more, err);
}

static bool is_stopping(struct job *job)
{
    LOCK_SCOPE(&job->lock);
    return job->stopping;
}

static enum st drop_plans(struct job *job, struct err *err)
{
    return plan_expire(job->d, deletion_now(job->d, 0), err);
}

static enum st drop_old(struct job *job, struct err *err)
{
    struct deletion *d = job->d;
    struct expiring e = { .d = d, .until = deletion_now(d, 0) - d->options.receipts_keep_ms };
    if (d->options.receipts_keep_ms < 0 || e.until <= 0)
        return ST_OK;
    enum st st = db_read(d->r->db, any_expired, &e, err);
    while (st == ST_OK && e.more && !is_stopping(job))
        st = registry_write(d->r, expire, &e, err);
    return st;
}

/* ---- the thread ------------------------------------------------------------------------------ */

static void tell(struct job *job)
{
    LOCK_SCOPE(&job->lock);
    pthread_cond_broadcast(&job->stepped);
}

static enum st carry_on(struct job *job, int64_t id, struct err *err)
{
    bool sealed = false;
    enum st st = ST_OK;
    while (st == ST_OK && !sealed && !is_stopping(job))
        st = job_step(job->d, id, 0, &sealed, err);
    tell(job);
    return st;
}

/* Everything that is open, then what is old: one that fails holds up neither. False: something
 * failed. */
static bool carry_all_on(struct job *job)
{
    struct looking l = { 0 };
    struct err err = { 0 };
    bool good = true;
    while (!is_stopping(job)) {
        enum st st = db_read(job->d->r->db, find_open, &l, &err);
        if (st == ST_OK && l.id == 0)
            break;
        if (st == ST_OK)
            st = carry_on(job, l.id, &err);
        if (st != ST_OK) {
            good = false;
            log_event(LOG_ERROR, "a deletion could not go on and will be tried again",
                      LOG_INT("receipt", l.id), LOG_STR("error", str_of(err.text)));
        }
        if (l.id == 0)
            break;
        l.after = l.id;
    }
    if (!is_stopping(job) && drop_old(job, &err) != ST_OK) {
        log_failure("old receipts could not be dropped", &err);
        good = false;
    }
    if (!is_stopping(job) && drop_plans(job, &err) != ST_OK) {
        log_failure("expired plans could not be removed", &err);
        good = false;
    }
    return good;
}

static void *run(void *arg)
{
    struct job *job = arg;
    int64_t rest_ms = RETRY_MS;
    for (;;) {
        bool good = carry_all_on(job);
        rest_ms = good ? RETRY_MS : MIN(rest_ms * 2, LOOK_MS);
        LOCK_SCOPE(&job->lock);
        if (!job->woken && !job->stopping)
            (void)lock_wait_for(&job->lock, &job->wake, good ? LOOK_MS : rest_ms);
        job->woken = false;
        if (job->stopping)
            return NULL;
    }
}

static void release(struct job *job)
{
    pthread_cond_destroy(&job->wake);
    pthread_cond_destroy(&job->stepped);
    lock_release(&job->lock);
    mem_free(job);
}

enum st job_start(struct deletion *d, struct job **out, struct err *err)
{
    struct job *job = mem_new(sizeof(*job));
    if (job == NULL)
        return err_no_memory(err);
    job->d = d;
    lock_init(&job->lock, LOCK_DELETION);
    lock_cond_init(&job->wake);
    lock_cond_init(&job->stepped);
    if (pthread_create(&job->thread, NULL, run, job) != 0) {
        release(job);
        return err_set(err, ST_NO_MEMORY, "cannot start the thread that carries out deletions");
    }
    *out = job;
    return ST_OK;
}

void job_stop(struct job *job)
{
    if (job == NULL)
        return;
    lock_take(&job->lock);
    job->stopping = true;
    pthread_cond_broadcast(&job->wake);
    pthread_cond_broadcast(&job->stepped);
    lock_drop(&job->lock);
    (void)pthread_join(job->thread, NULL);
    release(job);
}

void job_wake(struct job *job)
{
    if (job == NULL)
        return;
    LOCK_SCOPE(&job->lock);
    job->woken = true;
    pthread_cond_broadcast(&job->wake);
}

/* ---- waiting --------------------------------------------------------------------------------- */

struct asking {
    int64_t id;
    bool sealed;
};

static enum st ask(struct db_tx *tx, void *ctx, struct err *err)
{
    AUTO(arena_release) struct arena scratch = { .limit_bytes = 160 * MIB };
    struct asking *a = ctx;
    struct receipt receipt = { 0 };
    enum st st = receipts_find(tx, a->id, &scratch, &receipt, err);
    if (st == ST_OK)
        a->sealed = receipt.sealed;
    return st;
}

enum st deletion_wait(struct deletion *d, int64_t receipt_id, int64_t timeout_ms, bool *sealed,
                      struct err *err)
{
    int64_t until = clock_mono_ms() + timeout_ms;
    struct asking a = { .id = receipt_id };
    for (;;) {
        enum st st = db_read(d->r->db, ask, &a, err);
        if (st != ST_OK)
            return st;
        int64_t left = until - clock_mono_ms();
        if (a.sealed || left <= 0 || d->job == NULL)
            break;
        LOCK_SCOPE(&d->job->lock);
        (void)lock_wait_for(&d->job->lock, &d->job->stepped, MIN(left, WAIT_EACH_MS));
    }
    *sealed = a.sealed;
    return ST_OK;
}
