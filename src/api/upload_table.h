/* SPDX-License-Identifier: Apache-2.0
 *
 * upload_table - the upload sessions that this process knows: one request at a time writes to an
 * upload, and the hash of what came so far is carried from one request to the next.
 *
 *            take                  give
 *   at rest ─────▶ taken by one ─────────▶ at rest
 *      │             │ drop                  │
 *      ▼             ▼                       ▼ beyond UPLOADS_AT_REST_MAX the oldest is forgotten
 *    (gone)        (gone)                  (the row stays: it is loaded again, and hashed again)
 *
 *  - The database row is the truth; an entry is a cache of it plus the hash. An upload that is not
 *    in the table is loaded from its row by the first request that takes it.
 *  - While an entry is taken nobody else may touch the row, the reclaimer included.
 *
 * Threads: any; one lock (LOCK_UPLOAD).
 */
#ifndef EBB_UPLOAD_TABLE_H
#define EBB_UPLOAD_TABLE_H

#include "base/buf.h"
#include "base/lock.h"
#include "base/rng.h"
#include "oci/digest.h"

#define UPLOADS_AT_REST_MAX 10000

/* An upload as one request holds it. */
struct upload {
    struct upload *next;          /* the table's */
    struct upload *older, *newer; /* at rest, by time */
    char id[RNG_ID_LEN + 1];
    bool taken;
    bool known;    /* the fields below are set */
    bool in_store; /* its name may exist in the store; false only when this process knows better */
    char *actor;   /* who may go on with it; NULL: anybody who may push */
    char *repo;    /* an upload belongs to the repository that it was started in */
    uint64_t size; /* acknowledged */
    struct buf data;          /* the bytes, while they are few and not in the store */
    struct digest_hash *hash; /* over all `size` bytes, or NULL when that is not known */
};

struct upload_table {
    struct lock lock;
    struct upload *buckets[4096];
    struct upload *oldest, *newest; /* at rest */
    size_t at_rest;
};

void upload_table_init(struct upload_table *t);
void upload_table_release(struct upload_table *t); /* nothing may be taken */

/* Takes the upload, as an entry that is not `known` when the table has none. ST_BUSY when another
 * request has it. */
MUST_CHECK enum st upload_table_take(struct upload_table *t, str id, struct upload **out,
                                     struct err *err);
/* Back to rest. */
void upload_table_give(struct upload_table *t, struct upload *u);
/* The upload is over, or its state is not to be trusted: forgets it. */
void upload_table_drop(struct upload_table *t, struct upload *u);

#endif
