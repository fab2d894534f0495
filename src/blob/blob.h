/* SPDX-License-Identifier: Apache-2.0
 *
 * blob/ - stores of bytes under names that are chosen once, never moved and never reused. A store
 * knows nothing of digests, repositories or tags: that is meta/.
 *
 * Stores: blob_fs.c (files), blob_mem.c (tests), and a wrapper, blob_fault.c, that fails on a seed.
 *
 * Contract, checked for every store by tests/suite/blob_suite.c:
 *  1. Names:      RNG_ID_LEN lower-case hex digits (base/rng.h); any other name is ST_INVALID.
 *  2. Written in place: bytes are appended under their final name. There is no rename and no copy.
 *  3. Durable:    when blob_writer_finish() returns ST_OK the bytes and the name survive power
 *                 loss. Before that, what was written survives the death of the process but may be
 *                 lost with the power.
 *  4. Resumable:  blob_writer_open() at an offset continues there; what was beyond it is cut off.
 *                 Fewer bytes than `offset` there is ST_DAMAGED.
 *  5. Removal:    when blob_remove() returns ST_OK the names are gone, after power loss too. A name
 *                 that is not there counts as removed. Readers that are open go on reading.
 *  6. Failure:    outputs are untouched and *err is set; a full disk is ST_FULL. A writer that
 *                 failed can only be closed.
 *  7. Threads:    every operation on a store is safe from any thread; one writer or reader belongs
 *                 to one thread at a time.
 */
#ifndef EBB_BLOB_H
#define EBB_BLOB_H

#include "base/err.h"
#include "base/str.h"

#define BLOB_SIZE_MAX ((uint64_t)1 << 62) /* offsets beyond are ST_TOO_LARGE */

struct blob_store;
struct blob_writer;

/* An open blob. Either `fd` >= 0 and the bytes are the file's, or `bytes` holds them. */
struct blob_reader {
    int fd;
    str bytes;
    uint64_t size;
    void *pin; /* the store's own; keeps `bytes` alive */
    struct blob_store *store;
};
#define BLOB_READER_NONE ((struct blob_reader){ .fd = -1 })

struct blob_space {
    uint64_t free_bytes;
    uint64_t size_bytes;
};

/* Called for each name in the store, in any order; what comes or goes meanwhile may be seen or not.
 * A status other than ST_OK ends the walk and is returned. The callback may use the store. What
 * somebody else put there is passed too, with a `name` that blob_name_valid() refuses (fs: its path
 * relative to the store; of a folder only the folder, with size 0). */
typedef enum st (*blob_walk_fn)(str name, uint64_t size, void *ctx, struct err *err);

struct blob_ops {
    const char *kind; /* "fs", "mem", "fault" */
    void (*free)(struct blob_store *s);
    enum st (*writer_open)(struct blob_store *s, str name, uint64_t offset,
                           struct blob_writer **out, struct err *err);
    enum st (*writer_add)(struct blob_writer *w, const void *bytes, size_t len, struct err *err);
    enum st (*writer_finish)(struct blob_writer *w, struct err *err);
    void (*writer_close)(struct blob_writer *w);
    enum st (*reader_open)(struct blob_store *s, str name, struct blob_reader *out,
                           struct err *err);
    enum st (*reader_get)(struct blob_reader *r, void *bytes, size_t len, uint64_t offset,
                          size_t *got, struct err *err);
    void (*reader_close)(struct blob_reader *r);
    enum st (*remove)(struct blob_store *s, const str *names, size_t count, struct err *err);
    enum st (*walk)(struct blob_store *s, blob_walk_fn fn, void *ctx, struct err *err);
    enum st (*space)(struct blob_store *s, struct blob_space *out, struct err *err);
};

struct blob_store {
    const struct blob_ops *ops;
};
struct blob_writer {
    struct blob_store *store;
    uint64_t offset; /* bytes under the name so far; kept by blob.c */
    bool failed;
    struct blob_behind *behind; /* blob.c's; NULL until a large piece is started */
    size_t started;             /* bytes being written behind, 0: none */
};

/* Whether it can be the name of a blob (contract 1). */
bool blob_name_valid(str name);

void blob_store_free(struct blob_store *s); /* NULL is fine */

MUST_CHECK enum st blob_writer_open(struct blob_store *s, str name, uint64_t offset,
                                    struct blob_writer **out, struct err *err);
MUST_CHECK enum st blob_writer_add(struct blob_writer *w, const void *bytes, size_t len,
                                   struct err *err);
/* As blob_writer_add(), but a large piece may still be being written when it returns: its bytes are
 * borrowed until blob_writer_wait(), or until the next call on this writer, which waits by itself.
 * So the caller can hash what is being written. */
MUST_CHECK enum st blob_writer_start(struct blob_writer *w, const void *bytes, size_t len,
                                     struct err *err);
/* The piece that was started is written, or has failed. Without one: ST_OK. */
MUST_CHECK enum st blob_writer_wait(struct blob_writer *w, struct err *err);
uint64_t blob_writer_offset(const struct blob_writer *w);
/* Makes everything under the name durable. The writer stays open, for blob_writer_close(). When it
 * fails the bytes cannot be trusted: opening at the same offset may be ST_DAMAGED. */
MUST_CHECK enum st blob_writer_finish(struct blob_writer *w, struct err *err);
/* Waits for a piece that was started. Bytes stay as they are. NULL is fine. */
void blob_writer_close(struct blob_writer *w);

/* ST_NOT_FOUND when there is no such name. */
MUST_CHECK enum st blob_reader_open(struct blob_store *s, str name, struct blob_reader *out,
                                    struct err *err);
/* Up to `len` bytes from `offset`; *got is smaller only at the end. */
MUST_CHECK enum st blob_reader_get(struct blob_reader *r, void *bytes, size_t len, uint64_t offset,
                                   size_t *got, struct err *err);
void blob_reader_close(struct blob_reader *r); /* a BLOB_READER_NONE is fine */

MUST_CHECK enum st blob_remove(struct blob_store *s, const str *names, size_t count,
                               struct err *err);
MUST_CHECK enum st blob_walk(struct blob_store *s, blob_walk_fn fn, void *ctx, struct err *err);
MUST_CHECK enum st blob_space_get(struct blob_store *s, struct blob_space *out, struct err *err);

/* The stores. `dir` is made when absent; its parent must be there. */
MUST_CHECK enum st blob_fs_open(const char *dir, struct blob_store **out, struct err *err);
/* As blob_fs_open(), and makes nothing: ST_NOT_FOUND when there is no such directory. For reading.
 */
MUST_CHECK enum st blob_fs_open_read_only(const char *dir, struct blob_store **out,
                                          struct err *err);
MUST_CHECK enum st blob_mem_new(struct blob_store **out, struct err *err);

/* What a power loss leaves of a blob_mem store: finished bytes stay; a name that was not finished
 * vanishes or is cut at a random point, as `*rng` (the state of rng_next()) decides; what is left
 * is durable from then on. Writers and readers that are open may only be closed. */
void blob_mem_crash(struct blob_store *s, uint64_t *rng);

/* Wraps `inner`, which it then owns: one call of `one_in` fails, the same calls for the same seed.
 * A failed call may have done nothing, a part or all of its work. 0 for `one_in`: none fails.
 * `full` makes every write, and every opening of a writer at 0, fail with ST_FULL until set back.
 * When this fails, `inner` is still the caller's. */
MUST_CHECK enum st blob_fault_new(struct blob_store *inner, uint64_t seed, uint32_t one_in,
                                  struct blob_store **out, struct err *err);
void blob_fault_set_full(struct blob_store *s, bool full);

#endif
