/* SPDX-License-Identifier: Apache-2.0
 *
 * upload - the bytes of one upload while a request writes to it: where they go, what they hash to,
 * and how they become a blob. It does not know HTTP.
 *
 *   upload_open ─▶ upload_add* ─┬─▶ upload_pause    what came is acknowledged; the upload rests
 *                               ├─▶ upload_finish   it is a blob now
 *                               └─▶ upload_abandon  back to what was acknowledged
 *
 * Few bytes stay in memory and in the row; once they are more than store.inline_size they go to the
 * store under the upload's id. A crash leaves the row, and the row names whatever lies in the
 * store:
 *
 *   before the first byte   row, size 0
 *   while bytes come        row with the acknowledged size; more may lie in the store, and is cut
 *                           off when the upload goes on
 *   after upload_finish     the blob
 *
 * Threads: an upload is used by one thread at a time; these block (database, store).
 */
#ifndef EBB_UPLOAD_H
#define EBB_UPLOAD_H

#include "api/api_int.h"

/* An upload that this request has taken. */
struct upload_work {
    struct api *api;
    str repo;
    struct upload *entry;       /* NULL once given back */
    struct blob_writer *writer; /* NULL while the bytes are in memory */
    uint64_t size;              /* with what this request brought */
    bool failed;                /* the entry may be ahead of the row, or behind it */
    bool lost;                  /* the store cannot give the bytes back: it can only be ended */
};

/* Starts a new upload of `actor` and takes it. */
MUST_CHECK enum st upload_start(struct api *api, str repo, str actor,
                                enum digest_algorithm algorithm, struct upload_work *out,
                                struct err *err);
/* Takes one that was started before. ST_NOT_FOUND, also of another repository or somebody else;
 * ST_BUSY. */
MUST_CHECK enum st upload_open(struct api *api, str repo, str id, str actor,
                               struct upload_work *out, struct err *err);
/* Before the first byte of an empty upload: what it will be hashed with. */
void upload_expect(struct upload_work *w, enum digest_algorithm algorithm);
/* The bytes are borrowed until the next call on this upload: they may still be written while they
 * are hashed and the next ones come. A write that fails is told by that call. ST_TOO_LARGE over
 * limits.upload_size, ST_FULL, ST_IO; ST_DAMAGED when the store has fewer bytes than were
 * acknowledged. After a failure: abandon or cancel. */
MUST_CHECK enum st upload_add(struct upload_work *w, const void *bytes, size_t len,
                              struct err *err);
/* Acknowledges w->size bytes and gives the upload back. */
MUST_CHECK enum st upload_pause(struct upload_work *w, struct err *err);
/* Makes it a blob with this digest, and gives it back. ST_MISMATCH: the bytes are another digest's;
 * the upload is cancelled then. After other failures: abandon or cancel. */
MUST_CHECK enum st upload_finish(struct upload_work *w, const struct digest *want, struct err *err);
/* Ends the upload; its bytes are removed. */
MUST_CHECK enum st upload_cancel(struct upload_work *w, struct err *err);
/* As upload_cancel(), when there is another failure to report: if it cannot be ended now, it
 * expires. */
void upload_discard(struct upload_work *w);
/* Gives it back as it was acknowledged last; ends it when that cannot be had any more. Does nothing
 * when it was given back before. */
void upload_abandon(struct upload_work *w);

#endif
