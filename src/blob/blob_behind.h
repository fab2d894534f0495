/* SPDX-License-Identifier: Apache-2.0
 *
 * blob_behind - a thread that writes one piece for a blob writer while its owner does something
 * else, such as hashing the same bytes. For any store; used by blob.c alone.
 *
 * Threads: one owner. The thread lives from blob_behind_new() to blob_behind_free().
 */
#ifndef EBB_BLOB_BEHIND_H
#define EBB_BLOB_BEHIND_H

#include "blob/blob.h"

struct blob_behind;

/* NULL when there is no memory or no thread to be had: then the owner writes by itself. */
struct blob_behind *blob_behind_new(void);
/* Nothing may be under way. NULL is fine. */
void blob_behind_free(struct blob_behind *b);

/* Begins ops->writer_add(w, bytes, len). Nothing may be under way. */
void blob_behind_start(struct blob_behind *b, struct blob_writer *w, const void *bytes, size_t len);
/* Its result. */
MUST_CHECK enum st blob_behind_wait(struct blob_behind *b, struct err *err);

#endif
