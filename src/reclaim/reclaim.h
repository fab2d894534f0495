/* SPDX-License-Identifier: Apache-2.0
 *
 * reclaim/ - gives space back: removes for good what nothing keeps and whose time is over, while
 * pushes and pulls go on. (Elsewhere: garbage collection.) It knows neither HTTP nor SQL.
 *
 *  1. Queue:   the due_at columns of meta/. A step takes rows that are due, oldest first; it never
 *              scans. Its cost follows the garbage.
 *  2. Decide:  each object is looked at again in the transaction that removes it. A push, HEAD or
 *              mount that committed before is seen; one that comes after finds it gone and is told
 * so (the client uploads again). There is no window between.
 *  3. Bytes:   that transaction writes names into `doomed`. Only after its commit are they removed
 *              from the store, durably; only after that is the row dropped. All steps can be
 * repeated. crash before the commit: nothing happened crash before the removal: the name is still
 * in `doomed` crash before the drop: the removal is repeated, and finds nothing
 *  4. Names are never used twice, so removing one cannot hurt a newer upload of the same bytes.
 *  5. Bounded: a transaction takes RECLAIM_BATCH objects, and a few hundred below them, so writers
 *              wait for little.
 *  6. Failing: a step that fails is repeated later with a growing pause; what it did is kept.
 *
 * Threads: one loop thread; reclaim_step() may be called by any thread as long as only one does.
 */
#ifndef EBB_RECLAIM_H
#define EBB_RECLAIM_H

#include "meta/registry.h"

#define RECLAIM_BATCH 64

/* Keeps requests off an upload while it expires. take_upload() is false while a request is writing
 * to it; after true nobody else starts writing until release_upload() is called with *held. */
struct reclaim_guard {
    bool (*take_upload)(void *ctx, str id, void **held);
    void (*release_upload)(void *ctx, void *held);
    void *ctx;
};

struct reclaim_report {
    struct removal removed;
    uint64_t uploads; /* expired */
    uint64_t names;   /* removed from the store */
    bool more;        /* more is due than this step took */
};

/* Takes a batch of each kind of due object and removes what may go. `guard` may be NULL (tests).
 * Adds to *out, also when it fails half-way. */
MUST_CHECK enum st reclaim_step(struct registry *r, const struct reclaim_guard *guard, int64_t now,
                                struct reclaim_report *out, struct err *err);

/* The loop: a thread that steps until nothing is due, then waits for `interval_ms`. */
struct reclaim_loop;
MUST_CHECK enum st reclaim_loop_start(struct registry *r, const struct reclaim_guard *guard,
                                      int64_t interval_ms, struct reclaim_loop **out,
                                      struct err *err);
/* Ends after the step under way. NULL is fine. */
void reclaim_loop_stop(struct reclaim_loop *loop);

#endif
