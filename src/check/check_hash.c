/* SPDX-License-Identifier: Apache-2.0
 *
 * Hashes the files of all blobs, no faster than asked for. What it reads of large files is dropped
 * from the page cache again, so that a check does not push out what pulls need; small files stay
 * for the pulls that may have brought them in.
 */
#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "check/check_int.h"

#define PIECE_BYTES  ((size_t)MIB)
/* blob_fs.c keeps files up to this cached. */
#define CACHED_BYTES (16 * MIB)
#define NAP_MS       200 /* a stop is heard so often */

/* Sleeps until no more than the rate was read since the first piece. A stop is heard in between. */
static enum st hold_rate(struct check *c, struct err *err)
{
    uint64_t rate = c->options->rate_bytes;
    enum st st = check_advance(c, 0, err);
    while (st == ST_OK && rate > 0) {
        int64_t due =
            c->hash_started_ms + (int64_t)((double)c->progress.bytes * 1000.0 / (double)rate);
        int64_t wait = MIN(due - clock_mono_ms(), NAP_MS);
        if (wait <= 0)
            break;
        (void)nanosleep(&(struct timespec){ .tv_nsec = wait * 1000000 }, NULL);
        st = check_advance(c, 0, err);
    }
    return st;
}

/* Reads all of it. *why says what could not be read; only a stop is a failure. */
static enum st hash_file(struct check *c, struct blob_reader *reader, struct digest_hash *hash,
                         struct err *why, struct err *err)
{
    AUTO(mem_auto) char *piece = mem_new(PIECE_BYTES);
    uint64_t offset = 0;
    size_t got = 1;
    enum st st = piece == NULL ? err_no_memory(err) : ST_OK;
    while (st == ST_OK && got > 0) {
        if (blob_reader_get(reader, piece, PIECE_BYTES, offset, &got, why) != ST_OK)
            return ST_OK;
        digest_hash_add(hash, piece, got);
        if (reader->fd >= 0 && reader->size > CACHED_BYTES)
            file_forget(reader->fd, offset, got);
        offset += got;
        c->progress.bytes += got;
        c->report->hashed_bytes += got;
        if (got > 0)
            st = hold_rate(c, err);
    }
    return st;
}

static enum st look_at_bytes(struct check *c, const struct check_blob *seen, struct err *err)
{
    AUTO(blob_reader_close) struct blob_reader reader = BLOB_READER_NONE;
    struct digest_hash *hash = NULL;
    struct digest real;
    struct err why = { 0 };
    if (!seen->has_digest)
        return ST_OK;
    /* What is missing or of another size was told before, or came and went since. */
    if (blob_reader_open(c->r->store, str_of(seen->name), &reader, NULL) != ST_OK ||
        reader.size != seen->size)
        return ST_OK;
    enum st st = digest_hash_new(seen->digest.algorithm, &hash, err);
    if (st != ST_OK)
        return st;
    st = hash_file(c, &reader, hash, &why, err);
    digest_hash_get(hash, &real);
    digest_hash_free(hash);
    if (st != ST_OK)
        return st;
    if (why.st != ST_OK)
        return check_convict(c, seen, CHECK_BLOB_UNREADABLE, why.text, err);
    if (digest_eq(&real, &seen->digest))
        return ST_OK;
    char what[ERR_TEXT_MAX];
    char text[DIGEST_TEXT_MAX + 1];
    (void)digest_text(&real, text);
    (void)snprintf(what, sizeof(what), "%llu bytes, file %s is %s", (unsigned long long)seen->size,
                   seen->name, text);
    return check_convict(c, seen, CHECK_BLOB_DIGEST, what, err);
}

enum st check_hashes(struct check *c, struct err *err)
{
    c->hash_started_ms = clock_mono_ms();
    return check_each_blob(c, false, look_at_bytes, err);
}
