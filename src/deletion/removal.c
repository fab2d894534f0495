/* SPDX-License-Identifier: Apache-2.0
 *
 * What is remembered between steps (struct removal_work) belongs to the step that set `busy`.
 * Losing it costs another plan of what is left, nothing else.
 */
#include "deletion/removal.h"

#include "base/log.h"
#include "deletion/apply.h"
#include "deletion/deletion_int.h"
#include "deletion/job.h"
#include "deletion/plan.h"
#include "meta/usage.h"

/* How long a step waits for its receipt. */
#define WAIT_MS        2000
#define PLAN_BYTES_MAX (64 * MIB)
#define REASON         STR("the repository was deleted")

struct removing_whole {
    struct deletion *d;
    int64_t now;
    struct arena *a;
    struct repo_removal removal;
    bool found;
    bool gone;
    struct usage usage; /* of what is left */
    str error;
};

/* ---- transactions ---------------------------------------------------------------------------- */

static enum st add(struct db_tx *tx, void *ctx, struct err *err)
{
    return removals_add(tx, ctx, err);
}

static enum st find_due(struct db_tx *tx, void *ctx, struct err *err)
{
    struct removing_whole *w = ctx;
    return removals_due(tx, w->now, &w->found, err);
}

static enum st take(struct db_tx *tx, void *ctx, struct err *err)
{
    struct removing_whole *w = ctx;
    enum st st = removals_take(tx, w->now, w->a, &w->removal, err);
    w->found = st == ST_OK;
    return st == ST_NOT_FOUND ? ST_OK : st;
}

/* A repository of that name that was made anew has another number. */
static enum st look(struct db_tx *tx, void *ctx, struct err *err)
{
    struct removing_whole *w = ctx;
    int64_t id = 0;
    enum st st = repositories_find(tx, w->removal.repo, &id, err);
    if (st == ST_OK && id == w->removal.repo_id)
        st = usage_of_repository(tx, w->removal.repo, &w->usage, err);
    if (st != ST_OK && st != ST_NOT_FOUND)
        return st;
    w->gone =
        st == ST_NOT_FOUND || id != w->removal.repo_id || w->usage.manifests + w->usage.tags == 0;
    return ST_OK;
}

static enum st end_well(struct db_tx *tx, void *ctx, struct err *err)
{
    const struct removing_whole *w = ctx;
    return removals_done(tx, w->removal.repo_id, err);
}

static enum st end_badly(struct db_tx *tx, void *ctx, struct err *err)
{
    struct removing_whole *w = ctx;
    enum st st = removals_fail(tx, w->removal.repo_id, w->error, w->now, err);
    return st == ST_OK ? removals_find(tx, w->removal.repo_id, w->a, &w->removal, err) : st;
}

/* ---- a step ---------------------------------------------------------------------------------- */

static enum st plan_all(struct removing_whole *w, struct plan *plan, struct err *err)
{
    const struct repo_removal *r = &w->removal;
    const struct selector all = { .kind = SELECT_REPOSITORY, .repo = r->repo };
    const struct plan_request request = {
        .selectors = &all,
        .count = 1,
        .by = { .door = r->door, .actor = r->actor, .peer = r->peer, .reason = REASON },
        .text = STR("{}")
    };
    return plan_make(w->d, &request, w->now, w->a, plan, err);
}

/* *receipt stays 0 when there is nothing that may go. */
static enum st apply(struct removing_whole *w, int64_t *receipt, struct err *err)
{
    struct plan plan = { 0 };
    enum st st = plan_all(w, &plan, err);
    if (st != ST_OK || plan.tags + plan.manifests + plan.blobs == 0)
        return st;
    const struct apply_request order = { .plan_id = str_of(plan.id),
                                         .has_tags = plan.confirm_tags != 0,
                                         .confirm_tags = plan.confirm_tags,
                                         .by = { .door = w->removal.door,
                                                 .actor = w->removal.actor,
                                                 .peer = w->removal.peer,
                                                 .reason = REASON } };
    return apply_plan(w->d, &order, w->now, receipt, err);
}

/* What a plan of the rest finds protected. */
static void find_reason(struct removing_whole *w)
{
    const struct plan_filter filter = { .kind = -1, .state = 1 };
    struct plan plan = { 0 };
    struct plan_page page = { 0 };
    w->error = STR("something was pushed, or tagged again, while it was deleted");
    if (plan_all(w, &plan, NULL) != ST_OK)
        return;
    if (plan.protected_items > 0 &&
        plan_items(w->d, str_of(plan.id), &filter, 0, 1, w->now, w->a, &page, NULL) == ST_OK &&
        page.count > 0 && page.items[0].why.len > 0)
        w->error = page.items[0].why;
    if (plan_drop(w->d, str_of(plan.id), NULL) != ST_OK)
        log_event(LOG_WARN, "a plan that was only looked at stays until it expires",
                  LOG_STR("plan", str_of(plan.id)));
}

static enum st wait_for(struct removing_whole *w, int64_t receipt, bool *sealed, struct err *err)
{
    enum st st = ST_OK;
    if (w->d->job != NULL)
        return deletion_wait(w->d, receipt, WAIT_MS, sealed, err);
    while (st == ST_OK && !*sealed)
        st = job_step(w->d, receipt, w->now, sealed, err);
    return st;
}

static void tell(const struct removing_whole *w)
{
    const struct repo_removal *r = &w->removal;
    bool over = r->state == REMOVAL_FAILED;
    log_event(over ? LOG_ERROR : LOG_WARN,
              over ? "deleting a repository is given up until it is reset: ebb removal reset"
                   : "deleting a repository failed; it is tried again",
              LOG_STR("repository", r->repo), LOG_INT("failures", r->failures),
              LOG_STR("error", w->error), LOG_STR("actor", r->actor));
}

static enum st fail(struct removing_whole *w, struct err *err)
{
    if (w->error.len == 0)
        find_reason(w);
    enum st st = registry_write(w->d->r, end_badly, w, err);
    if (st == ST_OK)
        tell(w);
    return st;
}

/* Tries, and says whether it is over, one way or the other. */
static enum st try(struct removing_whole *w, bool *over, struct err *err)
{
    struct removal_work *work = &w->d->removal;
    bool sealed = true;
    enum st st = db_read(w->d->r->db, look, w, err);
    if (st != ST_OK || w->gone)
        goto ended;
    if (work->repo_id != w->removal.repo_id || work->receipt == 0) {
        *work = (struct removal_work){ .repo_id = w->removal.repo_id };
        st = apply(w, &work->receipt, err);
    }
    if (st == ST_OK && work->receipt != 0) {
        sealed = false;
        st = wait_for(w, work->receipt, &sealed, err);
    }
    if (st == ST_OK && !sealed)
        return ST_OK;
    if (st == ST_OK)
        st = db_read(w->d->r->db, look, w, err);
ended:
    *work = (struct removal_work){ 0 };
    *over = st == ST_OK;
    return st;
}

static enum st step(struct removing_whole *w, bool *more, struct err *err)
{
    struct err why = { 0 };
    bool over = false;
    enum st st = db_read(w->d->r->db, find_due, w, err); /* most of the time there is none */
    if (st == ST_OK && w->found)
        st = registry_write(w->d->r, take, w, err);
    if (st != ST_OK || !w->found)
        return st;
    *more = true;
    st = try(w, &over, &why);
    if (st == ST_STOPPING || st == ST_NO_MEMORY) {
        *err = why; /* says nothing about the repository */
        return st;
    }
    if (st != ST_OK)
        w->error = str_of(why.text);
    else if (!over)
        return ST_OK;
    else if (w->gone)
        return registry_write(w->d->r, end_well, w, err);
    return fail(w, err);
}

enum st removal_step(struct deletion *d, int64_t now, bool *more, struct err *err)
{
    AUTO(arena_release) struct arena a = { .limit_bytes = PLAN_BYTES_MAX };
    struct removing_whole w = { .d = d, .now = now, .a = &a };
    struct err inner = { 0 };
    *more = false;
    if (atomic_exchange(&d->removal_busy, true))
        return ST_OK;
    enum st st = step(&w, more, &inner);
    atomic_store(&d->removal_busy, false);
    if (st != ST_OK && err != NULL)
        *err = inner;
    return st;
}

enum st removal_begin(struct deletion *d, const struct repo_removal *in, int64_t now,
                      struct err *err)
{
    struct repo_removal copy = *in;
    struct err later = { 0 };
    bool more = false;
    enum st st = registry_write(d->r, add, &copy, err);
    if (st == ST_OK && removal_step(d, now, &more, &later) != ST_OK)
        log_failure("a repository that is to be deleted waits", &later);
    return st;
}
