/* SPDX-License-Identifier: Apache-2.0
 *
 * job - the thread of the deletion engine: carries open receipts on, a step at a time, drops
 * receipts that are old enough, and plans whose time is over.
 *
 *     asleep ──wake, or now and then──▶ steps of each open receipt, the oldest first ──▶ asleep
 *                                             │ a step failed
 *                                             └──▶ the next one; all are tried again later
 *
 * The queue is the rows with state 'open': a crash loses nothing but the step under way.
 */
#ifndef EBB_JOB_H
#define EBB_JOB_H

#include "deletion/deletion.h"

struct job;
/* Begins with what is open. */
MUST_CHECK enum st job_start(struct deletion *d, struct job **out, struct err *err);
void job_stop(struct job *job); /* NULL is fine, for the next one as well */
void job_wake(struct job *job);

/* One step of this receipt, in a transaction of its own. *sealed: there is no other; that it was
 * sealed already is no failure. */
MUST_CHECK enum st job_step(struct deletion *d, int64_t receipt_id, int64_t now, bool *sealed,
                            struct err *err);
/* As many as `steps`, then it is the thread's turn, as it is after a failure. For those who opened
 * a receipt just now. */
void job_hand_over(struct deletion *d, int64_t receipt_id, int64_t now, unsigned steps);

#endif
