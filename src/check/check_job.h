/* SPDX-License-Identifier: Apache-2.0
 *
 * check_job - a check of a running registry on a thread of its own, followed from outside.
 *
 *            start                    its end
 *   none ─────────────▶ running ────────────────▶ finished, stopped or failed
 *                        │   ▲                       │ start: the old one is forgotten
 *                        └───┴───────────────────────┘
 *
 *  - There is at most one. What the last one found is kept until the next starts.
 *  - It keeps CHECK_FINDINGS_MAX findings; what is found beyond is counted.
 *  - A crash ends and forgets it.
 *
 * Threads: any; one lock (LOCK_CHECK).
 */
#ifndef EBB_CHECK_JOB_H
#define EBB_CHECK_JOB_H

#include "base/rng.h"
#include "check/check.h"

#define CHECK_FINDINGS_MAX ((size_t)10000)

struct check_job;

enum check_state { CHECK_RUNNING, CHECK_FINISHED, CHECK_STOPPED, CHECK_FAILED };

struct check_view {
    char id[RNG_ID_LEN + 1];
    enum check_state state;
    struct check_options options;
    int64_t started_at; /* UTC */
    int64_t ended_at;   /* 0 while it runs */
    struct check_progress progress;
    int64_t hash_ms; /* for how long it has been hashing */
    struct check_report report;
    char failure[ERR_TEXT_MAX];
    size_t kept;                    /* findings that can be read */
    struct check_finding *findings; /* a page of them */
    size_t count;
};

MUST_CHECK enum st check_job_new(struct registry *r, struct check_job **out, struct err *err);
void check_job_free(struct check_job *job); /* stops it, waits for that. NULL is fine */

/* ST_BUSY when one is running; `id` is the id of the one that runs in both cases. */
MUST_CHECK enum st check_job_start(struct check_job *job, const struct check_options *options,
                                   char id[static RNG_ID_LEN + 1], struct err *err);
/* The one named, or the last when `id` is unset; with up to `limit` findings after the first
 * `from`, in `a`. ST_NOT_FOUND. */
MUST_CHECK enum st check_job_view(struct check_job *job, str id, size_t from, size_t limit,
                                  struct arena *a, struct check_view *out, struct err *err);
/* Tells it to stop and does not wait. ST_NOT_FOUND. */
MUST_CHECK enum st check_job_stop(struct check_job *job, str id, struct err *err);

#endif
