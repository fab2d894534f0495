/* SPDX-License-Identifier: Apache-2.0
 *
 *   open ──▶ running ──tick(stopping)──▶ closed
 *     reads clock,     writes clock          the row is the last moment
 *     clock_step       now and then
 *
 * A crash at any moment leaves a row that is at most as late as the last moment of the process. Two
 * starts from the same row hand out the same times twice, which no row minds: times are compared,
 * and are no keys.
 */
#include "meta/registry_time.h"

#include <stdatomic.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/timeline.h"
#include "meta/registry.h"

#define PERSIST_MS   CLOCK_SECOND_MS
#define FLUSH_MS     CLOCK_MINUTE_MS
#define EXPIRE_BATCH 100 /* holds in one transaction */

struct registry_time {
    bool writes;
    _Atomic int64_t persisted; /* the newest time that is known to be in the row */
    int64_t flushed_at;        /* of pulls; only registry_tick() */
    bool has_step;             /* seen and not yet persisted; only registry_tick() */
    struct timeline_step step;
    struct timeline timeline;
};

/* ---- rows ------------------------------------------------------------------------------------ */

static enum st write_clock(struct db_tx *tx, int64_t now, struct err *err)
{
    return db_run(tx,
                  "INSERT INTO clock (id, now) VALUES (1, $1) ON CONFLICT (id)"
                  " DO UPDATE SET now = excluded.now WHERE clock.now < excluded.now",
                  DB_ARGS(DB_INT(now)), NULL, err);
}

/* With those that the newest TIMELINE_STEPS_MAX push out. */
static enum st write_step(struct db_tx *tx, const struct timeline_step *step, struct err *err)
{
    enum st st = db_run(tx,
                        "INSERT INTO clock_step (at, utc_offset) VALUES ($1, $2)"
                        " ON CONFLICT (at) DO UPDATE SET utc_offset = excluded.utc_offset",
                        DB_ARGS(DB_INT(step->at), DB_INT(step->offset)), NULL, err);
    if (st == ST_OK)
        st = db_run(tx,
                    "DELETE FROM clock_step WHERE at <"
                    " (SELECT at FROM clock_step ORDER BY at DESC LIMIT 1 OFFSET $1)",
                    DB_ARGS(DB_INT(TIMELINE_STEPS_MAX - 1)), NULL, err);
    return st;
}

struct loaded {
    int64_t last;
    size_t n;
    struct timeline_step steps[TIMELINE_STEPS_MAX];
};

static enum st load(struct db_tx *tx, void *ctx, struct err *err)
{
    struct loaded *in = ctx;
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    in->last = 0;
    in->n = 0;
    enum st st = db_one(tx, &rows, "SELECT now FROM clock WHERE id = 1", DB_NO_ARGS, err);
    if (st == ST_OK)
        in->last = db_int(&rows, 0);
    else if (st != ST_NOT_FOUND)
        return st;
    db_rows_close(&rows);
    st = db_select(tx, &rows,
                   "SELECT at, utc_offset FROM (SELECT at, utc_offset FROM clock_step"
                   " ORDER BY at DESC LIMIT $1) AS newest ORDER BY at",
                   DB_ARGS(DB_INT(TIMELINE_STEPS_MAX)), err);
    while (st == ST_OK && (st = db_next(&rows, err)) == ST_OK)
        in->steps[in->n++] =
            (struct timeline_step){ .at = db_int(&rows, 0), .offset = db_int(&rows, 1) };
    return st == ST_END ? ST_OK : st;
}

/* ---- open and close -------------------------------------------------------------------------- */

static enum st save_start(struct db_tx *tx, void *ctx, struct err *err)
{
    struct registry_time *t = ctx;
    int64_t now = timeline_now(&t->timeline);
    enum st st = write_clock(tx, now, err);
    if (st == ST_OK && t->has_step)
        st = write_step(tx, &t->step, err);
    return st == ST_OK ? pulls_begin(tx, now, err) : st;
}

/* `in` is the caller's room. */
static enum st start(struct registry *r, struct registry_time *t, struct loaded *in,
                     struct err *err)
{
    enum st st = db_read(r->db, load, in, err);
    if (st == ST_OK)
        st = timeline_start(&t->timeline, in->last, in->steps, in->n, &t->has_step, &t->step, err);
    if (st == ST_OK && t->writes) {
        st = db_write(r->db, save_start, t, err);
        if (st != ST_OK)
            lock_release(&t->timeline.lock);
    }
    return st;
}

enum st registry_time_open(struct registry *r, bool writes, struct err *err)
{
    struct registry_time *t = mem_new(sizeof(*t));
    struct loaded *in = mem_new(sizeof(*in));
    enum st st = t == NULL || in == NULL ? err_no_memory(err) : ST_OK;
    if (st == ST_OK) {
        t->writes = writes;
        st = start(r, t, in, err);
    }
    mem_free(in);
    if (st != ST_OK) {
        mem_free(t);
        return err_wrap(err, "the registry's time");
    }
    t->has_step = false;
    t->flushed_at = timeline_now(&t->timeline);
    r->time = t;
    return ST_OK;
}

void registry_time_close(struct registry *r)
{
    if (r->time == NULL)
        return;
    lock_release(&r->time->timeline.lock);
    mem_free(r->time);
    r->time = NULL;
}

/* ---- telling --------------------------------------------------------------------------------- */

int64_t registry_now(const struct registry *r)
{
    return r->time == NULL ? clock_utc_ms() : timeline_now(&r->time->timeline);
}

int64_t registry_utc(const struct registry *r, int64_t t)
{
    return r->time == NULL ? t : timeline_utc(&r->time->timeline, t);
}

int64_t registry_of_utc(const struct registry *r, int64_t utc)
{
    return r->time == NULL ? utc : timeline_of_utc(&r->time->timeline, utc);
}

/* ---- writing --------------------------------------------------------------------------------- */

/* A write that takes the clock along. */
struct write_call {
    struct registry_time *time;
    db_fn fn;
    void *ctx;
    int64_t now; /* 0: the clock was not written */
};

static enum st run_write(struct db_tx *tx, void *ctx, struct err *err)
{
    struct write_call *c = ctx;
    c->now = 0;
    enum st st = c->fn(tx, c->ctx, err);
    if (st != ST_OK)
        return st;
    int64_t now = timeline_now(&c->time->timeline);
    if (now - atomic_load_explicit(&c->time->persisted, memory_order_relaxed) < PERSIST_MS)
        return ST_OK;
    c->now = now;
    return write_clock(tx, now, err);
}

static void note_persisted(struct registry_time *t, int64_t now)
{
    int64_t before = atomic_load_explicit(&t->persisted, memory_order_relaxed);
    while (before < now && !atomic_compare_exchange_weak(&t->persisted, &before, now))
        ;
}

enum st registry_write(struct registry *r, db_fn fn, void *ctx, struct err *err)
{
    struct write_call c = { .time = r->time, .fn = fn, .ctx = ctx };
    if (r->time == NULL || !r->time->writes)
        return db_write(r->db, fn, ctx, err);
    enum st st = db_write(r->db, run_write, &c, err);
    if (st == ST_OK && c.now != 0)
        note_persisted(r->time, c.now);
    return st;
}

/* ---- now and then ---------------------------------------------------------------------------- */

struct persist_call {
    struct registry_time *time;
    int64_t now;
};

static enum st persist(struct db_tx *tx, void *ctx, struct err *err)
{
    struct persist_call *c = ctx;
    enum st st = write_clock(tx, c->now, err);
    return st == ST_OK && c->time->has_step ? write_step(tx, &c->time->step, err) : st;
}

static enum st persist_clock(struct registry *r, bool stopping, struct err *err)
{
    struct registry_time *t = r->time;
    struct timeline_step step;
    if (timeline_tick(&t->timeline, &step)) {
        /* One that could not be written is lost when another follows: then what lies between is
         * shown wrong after a restart. */
        t->step = step;
        t->has_step = true;
    }
    struct persist_call c = { .time = t, .now = timeline_now(&t->timeline) };
    if (!stopping && !t->has_step && c.now - atomic_load(&t->persisted) < PERSIST_MS)
        return ST_OK;
    enum st st = db_write(r->db, persist, &c, err);
    if (st == ST_OK) {
        t->has_step = false;
        note_persisted(t, c.now);
    }
    return st;
}

static enum st flush_pulls(struct registry *r, bool stopping, int64_t now, struct err *err)
{
    struct registry_time *t = r->time;
    if (r->pulls == NULL || (!stopping && now - t->flushed_at < FLUSH_MS))
        return ST_OK;
    t->flushed_at = now;
    return pulls_flush(r->pulls, r->db, now, stopping, err);
}

struct expire_call {
    struct registry *r;
    int64_t now;
    size_t count;
};

static enum st hold_is_over(struct db_tx *tx, void *ctx, struct err *err)
{
    struct expire_call *c = ctx;
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    enum st st = db_one(tx, &rows,
                        "SELECT 1 FROM hold WHERE until IS NOT NULL AND until <= $1 ORDER BY until",
                        DB_ARGS(DB_INT(c->now)), err);
    c->count = st == ST_OK;
    return st == ST_NOT_FOUND ? ST_OK : st;
}

static enum st expire(struct db_tx *tx, void *ctx, struct err *err)
{
    struct expire_call *c = ctx;
    return holds_expire(tx, &c->r->keeping, c->now, EXPIRE_BATCH, &c->count, err);
}

/* A look is a read: an idle registry commits nothing for it. */
static enum st expire_holds(struct registry *r, int64_t now, struct err *err)
{
    struct expire_call c = { .r = r, .now = now };
    enum st st = db_read(r->db, hold_is_over, &c, err);
    if (st != ST_OK || c.count == 0)
        return st;
    do {
        st = registry_write(r, expire, &c, err);
    } while (st == ST_OK && c.count == EXPIRE_BATCH);
    return st;
}

enum st registry_tick(struct registry *r, bool stopping, struct err *err)
{
    if (r->time == NULL || !r->time->writes)
        return ST_OK;
    struct err later = { 0 };
    int64_t now = registry_now(r);
    enum st st = persist_clock(r, stopping, err);
    enum st pulls = flush_pulls(r, stopping, now, st == ST_OK ? err : &later);
    st = st == ST_OK ? pulls : st;
    enum st holds = stopping ? ST_OK : expire_holds(r, now, st == ST_OK ? err : &later);
    return st == ST_OK ? holds : st;
}
