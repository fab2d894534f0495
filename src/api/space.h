/* SPDX-License-Identifier: Apache-2.0
 *
 * space - keeps the last part of the disk for what must go on when it is full: deletes, reclaim and
 * the database's log. Uploads are refused before they reach it.
 *
 * The part kept is a hundredth of the file system, at least 4 MiB and at most 1 GiB, and never more
 * than an eighth of it.
 *
 * What is written is taken from what was left when the file system was asked last: within
 * SPACE_AGE_MS a fast client writes more than the part kept.
 *
 * Threads: any. The file system is asked at most once in SPACE_AGE_MS.
 */
#ifndef EBB_SPACE_H
#define EBB_SPACE_H

#include <stdatomic.h>

#include "blob/blob.h"

#define SPACE_AGE_MS 250

struct space {
    struct blob_store *store;
    _Atomic int64_t asked_mono_ms;
    _Atomic uint64_t usable_bytes; /* free, without the part kept */
};

void space_init(struct space *s, struct blob_store *store);
/* ST_FULL when fewer than `bytes` are left for uploads. A store that cannot tell has room. */
MUST_CHECK enum st space_need(struct space *s, uint64_t bytes, struct err *err);
/* The same for bytes that are written now. */
MUST_CHECK enum st space_take(struct space *s, uint64_t bytes, struct err *err);

#endif
