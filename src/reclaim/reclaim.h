/* SPDX-License-Identifier: Apache-2.0
 *
 * reclaim/ - gives space back: removes for good what nothing keeps and whose time is over, while
 * pushes and pulls go on. (Elsewhere: garbage collection.) It knows neither HTTP nor SQL.
 *
 *  1. Queue:   the due_at columns of meta/. A step takes rows that are due, oldest first; it never
 *              scans. Its cost follows the garbage.
 *  2. Decide:  each object is looked at again in the transaction that removes it. A push, HEAD or
 *              mount that committed before is seen; one that comes after finds it gone and is told
 *              so (the client uploads again). There is no window between.
 *  3. Bytes:   that transaction writes names into `doomed`. Only after its commit are they removed
 *              from the store, durably; only after that is the row dropped. All steps can be
 *              repeated.
 *              crash before the commit: nothing happened
 *              crash before the removal: the name is still in `doomed`
 *              crash before the drop: the removal is repeated, and finds nothing
 *  4. Names are never used twice, so removing one cannot hurt a newer upload of the same bytes.
 *  5. Bounded: a transaction takes RECLAIM_BATCH objects, and a few hundred below them, so writers
 *              wait for little.
 *  6. Failing: an object that fails never stops the others. It is singled out, counted, and looked
 *              at again after a pause that doubles (reclaim_failures.h, doomed.h). What is no
 *              object's fault (a full disk, no memory, a database that does not answer) ends the
 *              step; it is repeated after a growing pause, and what was done is kept.
 *  7. Polite:  the loop rests after a batch for as long as reads suffer (reclaim_pace.h).
 *
 * Threads: one loop thread; reclaim_step() may be called by any thread as long as only one does.
 * The functions on a loop may be called by any thread; those with an err block on the database.
 */
#ifndef EBB_RECLAIM_H
#define EBB_RECLAIM_H

#include "meta/reclaim_failures.h"
#include "meta/registry.h"
#include "reclaim/reclaim_load.h"

/* Rows of a kind in one transaction, and names in one removal. */
#define RECLAIM_BATCH   64
#define RECLAIM_NAMES   1024
#define RECLAIM_UPLOADS 64

/* Keeps requests off an upload while it expires. take_upload() is false while a request is writing
 * to it; after true nobody else starts writing until release_upload() is called with *held. */
struct reclaim_guard {
    bool (*take_upload)(void *ctx, str id, void **held);
    void (*release_upload)(void *ctx, void *held);
    void *ctx;
};

struct reclaim_report {
    struct removal removed;
    uint64_t uploads;  /* expired */
    uint64_t names;    /* removed from the store */
    uint64_t bytes;    /* of those names */
    uint64_t failures; /* objects that failed, and will be tried again */
    bool more;         /* more is due than this step took */
};

/* Takes a batch of each kind of due object and removes what may go. `guard` may be NULL (tests).
 * Adds to *out, also when it fails half-way. An object that fails is in out->failures, and is no
 * failure of the step. */
MUST_CHECK enum st reclaim_step(struct registry *r, const struct reclaim_guard *guard, int64_t now,
                                struct reclaim_report *out, struct err *err);

/* ---- the loop ------------------------------------------------------------------------------ */

/* A thread that steps until nothing is due (a pass), then waits for the interval.
 *
 *            interval over, wake, run
 *     idle ───────────────────────────▶ running ◀──────▶ waiting   (rests for the reads' sake)
 *      ▲  ◀─────────────────────────────  │  nothing is due, or the disk failed
 *      │ resume                           │ pause: after the batch under way
 *      └───────────── paused ◀────────────┘
 *
 * paused is kept in the database: it survives a restart. */
struct reclaim_loop;

struct reclaim_options {
    const struct reclaim_guard *guard; /* copied; NULL: none */
    struct reclaim_load *load;         /* borrowed until the stop; NULL: always at full speed */
    int64_t interval_ms;               /* reclaim.interval */
};

MUST_CHECK enum st reclaim_loop_start(struct registry *r, const struct reclaim_options *options,
                                      struct reclaim_loop **out, struct err *err);
/* Ends after the batch under way. NULL is fine. */
void reclaim_loop_stop(struct reclaim_loop *loop);

/* A deletion without grace was applied: a pass starts now, unless paused. Cheap; NULL is fine. */
void reclaim_loop_wake(struct reclaim_loop *loop);

/* Kept over restarts. pause takes effect after the batch under way. Both may be repeated. */
MUST_CHECK enum st reclaim_loop_pause(struct reclaim_loop *loop, struct err *err);
MUST_CHECK enum st reclaim_loop_resume(struct reclaim_loop *loop, struct err *err);

/* A pass starts now. *pass is the number of one that begins after this call: it is over once
 * status.passes_ended >= *pass. ST_BUSY while paused. */
MUST_CHECK enum st reclaim_loop_run(struct reclaim_loop *loop, uint64_t *pass, struct err *err);
/* Waits for the end of that pass. ST_STOPPING when the loop stops first, ST_BUSY when it is paused
 * meanwhile, ST_EXPIRED after timeout_ms. For tests and callers that may block that long. */
MUST_CHECK enum st reclaim_loop_wait(struct reclaim_loop *loop, uint64_t pass, int64_t timeout_ms,
                                     struct err *err);

/* What failed is due now, and a pass starts unless paused. *count: how many objects. */
MUST_CHECK enum st reclaim_loop_reset(struct reclaim_loop *loop, uint64_t *count, struct err *err);

enum reclaim_state { RECLAIM_IDLE, RECLAIM_RUNNING, RECLAIM_WAITING, RECLAIM_PAUSED };
const char *reclaim_state_text(enum reclaim_state state); /* "idle", ... as in doc/api.md */

struct reclaim_pass {
    uint64_t number;    /* 1, 2, ... since the start of the server; 0: there was none */
    int64_t started_at; /* registry's time, as all below */
    int64_t ended_at;   /* 0: it is under way */
    struct reclaim_report did;
    struct err failure; /* st other than ST_OK: what ended it early; it will be repeated */
};

#define RECLAIM_FAILURES_SHOWN 100

struct reclaim_status {
    enum reclaim_state state;
    double duty;               /* share of the time that reclaiming may take now, 0.05 to 1 */
    double objects_per_second; /* of late; 0 when idle */
    double bytes_per_second;   /* names removed from the store */
    uint64_t passes_started;   /* since the start of the server */
    uint64_t passes_ended;
    struct reclaim_pass pass;         /* under way; number 0: none */
    struct reclaim_pass last;         /* ended, and found something to do or was asked for */
    struct reclaim_queue queue;       /* of this moment */
    struct reclaim_failure *failures; /* most often failed first, up to RECLAIM_FAILURES_SHOWN */
    size_t failure_count;
    uint64_t failures_total;
};
/* Strings and lists live in `a`. Reads the database: for a worker. */
MUST_CHECK enum st reclaim_loop_status(struct reclaim_loop *loop, struct arena *a,
                                       struct reclaim_status *out, struct err *err);

#endif
