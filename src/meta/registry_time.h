/* SPDX-License-Identifier: Apache-2.0
 *
 * registry_time - the registry's own time (base/timeline.h) and its rows, and what is done now and
 * then. Everything that goes into rows or decides what to keep is in this time; registry_utc() is
 * for people.
 *
 *  1. Table `clock` holds the time as it was at some moment, never one that is still to come. It is
 *     written with what is written anyway, after each second of progress, and by registry_tick():
 *     kill -9 takes back about a second, and the time in which nothing was written.
 *  2. What it takes back makes graces longer: rows may bear times that are a little ahead.
 *  3. Table `clock_step` holds the steps to UTC; each is written before, or with, the first tick
 *     after it was seen.
 *
 * Threads: any, once registry_time_open() has returned.
 */
#ifndef EBB_REGISTRY_TIME_H
#define EBB_REGISTRY_TIME_H

#include "db/db.h"

struct registry;

/* Loads the clock and goes on from there; r->db is open. With `writes` the clock goes into the
 * database, and since when pulls are noted; without, nothing is written, now or later. */
MUST_CHECK enum st registry_time_open(struct registry *r, bool writes, struct err *err);
void registry_time_close(struct registry *r); /* never opened is fine; does not persist */

/* Without registry_time_open() (tests) these three are the wall clock. */
int64_t registry_now(const struct registry *r);
int64_t registry_utc(const struct registry *r, int64_t t);
int64_t registry_of_utc(const struct registry *r, int64_t utc); /* see timeline_of_utc() */

/* db_write() that persists the clock along. */
MUST_CHECK enum st registry_write(struct registry *r, db_fn fn, void *ctx, struct err *err);

/* For a background loop, every few seconds, from one thread at a time: persists the clock and its
 * steps, writes the notes of pulls once a minute, ends holds whose time is over. With `stopping`
 * all that is left is written; the last call before the database is closed. What fails does not
 * keep the rest from being done: the first failure is returned, and the next call tries again. */
MUST_CHECK enum st registry_tick(struct registry *r, bool stopping, struct err *err);

#endif
