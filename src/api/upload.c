/* SPDX-License-Identifier: Apache-2.0 */
#include "api/upload.h"

#include "base/log.h"
#include "base/mem.h"
#include "base/metric.h"

#define REHASH_BYTES ((size_t)(256 * KIB))

static struct registry *registry_of(const struct upload_work *w)
{
    return w->api->registry;
}

static str id_of(const struct upload_work *w)
{
    return str_of(w->entry->id);
}

/* ---- taking -------------------------------------------------------------------------------- */

static enum st take(struct api *api, str repo, str id, struct upload_work *out, struct err *err)
{
    struct upload *entry = NULL;
    enum st st = upload_table_take(&api->uploads, id, &entry, err);
    if (st != ST_OK)
        return st;
    *out = (struct upload_work){ .api = api, .repo = repo, .entry = entry, .size = entry->size };
    return ST_OK;
}

static enum st fill_entry(struct upload_work *w, str actor, enum digest_algorithm algorithm,
                          struct err *err)
{
    struct upload *u = w->entry;
    u->repo = mem_dup(w->repo.ptr, w->repo.len);
    if (actor.ptr != NULL)
        u->actor = mem_dup(actor.ptr, actor.len);
    if (u->repo == NULL || (actor.ptr != NULL && u->actor == NULL))
        return err_no_memory(err);
    u->data.max_bytes = w->api->options.inline_bytes_max + 1;
    return digest_hash_new(algorithm, &u->hash, err);
}

enum st upload_start(struct api *api, str repo, str actor, enum digest_algorithm algorithm,
                     struct upload_work *out, struct err *err)
{
    char id[RNG_ID_LEN + 1];
    struct upload_work w;
    rng_id(id);
    enum st st = take(api, repo, str_of(id), &w, err);
    if (st != ST_OK)
        return st;
    st = fill_entry(&w, actor, algorithm, err);
    if (st == ST_OK)
        st = registry_start_upload(api->registry, repo, id_of(&w), actor,
                                   registry_now(api->registry), err);
    if (st != ST_OK) {
        upload_table_drop(&api->uploads, w.entry);
        return st;
    }
    w.entry->known = true;
    *out = w;
    return ST_OK;
}

/* Fills an entry from the row that another process, or this one before it forgot, has left. */
static enum st load(struct upload_work *w, struct err *err)
{
    AUTO(arena_release) struct arena scratch = { 0 };
    struct upload_row row = { 0 };
    struct upload *u = w->entry;
    enum st st = registry_find_upload(registry_of(w), w->repo, id_of(w), &scratch, &row, err);
    if (st == ST_OK)
        st = fill_entry(w, row.actor, DIGEST_SHA256, err);
    if (st != ST_OK)
        return st;
    if (row.data.ptr != NULL) {
        u->data.max_bytes = MAX(u->data.max_bytes, row.data.len + 1);
        buf_add(&u->data, row.data);
        digest_hash_add(u->hash, row.data.ptr, row.data.len);
        st = buf_status(&u->data, err);
    } else if (row.size > 0) { /* the hash of what lies in the store is made when it is finished */
        digest_hash_free(u->hash);
        u->hash = NULL;
    }
    u->in_store = true;
    u->size = w->size = row.size;
    u->known = st == ST_OK;
    return st;
}

static bool is_of(const struct upload *u, str repo, str actor)
{
    return str_eq(str_of(u->repo), repo) && (u->actor == NULL || str_eq(str_of(u->actor), actor));
}

enum st upload_open(struct api *api, str repo, str id, str actor, struct upload_work *out,
                    struct err *err)
{
    struct upload_work w;
    if (id.len != RNG_ID_LEN)
        return err_set(err, ST_NOT_FOUND, "there is no such upload");
    enum st st = take(api, repo, id, &w, err);
    if (st != ST_OK)
        return st;
    if (!w.entry->known)
        st = load(&w, err);
    if (st != ST_OK) {
        upload_table_drop(&api->uploads, w.entry);
        return st;
    }
    if (!is_of(w.entry, repo, actor)) {
        upload_table_give(&api->uploads, w.entry);
        return err_set(err, ST_NOT_FOUND, "there is no such upload in %.*s", STR_FMT(repo));
    }
    *out = w;
    return ST_OK;
}

void upload_expect(struct upload_work *w, enum digest_algorithm algorithm)
{
    struct digest_hash *hash = NULL;
    if (w->size > 0 || w->entry->hash == NULL || digest_hash_algorithm(w->entry->hash) == algorithm)
        return;
    if (digest_hash_new(algorithm, &hash, NULL) != ST_OK)
        return; /* then the bytes are hashed again at the end */
    digest_hash_free(w->entry->hash);
    w->entry->hash = hash;
}

/* ---- writing ------------------------------------------------------------------------------- */

static bool in_memory(const struct upload_work *w)
{
    return w->writer == NULL && w->entry->data.len == w->size;
}

/* From here on the bytes go to the store, with those that were in memory. */
static enum st open_writer(struct upload_work *w, struct err *err)
{
    struct upload *u = w->entry;
    bool spill = in_memory(w);
    u->in_store = true; /* an opening that fails may have made the name */
    enum st st =
        blob_writer_open(registry_of(w)->store, id_of(w), spill ? 0 : w->size, &w->writer, err);
    if (st != ST_OK) {
        w->lost = st == ST_DAMAGED;
        return st;
    }
    if (spill && u->data.len > 0)
        st = blob_writer_add(w->writer, u->data.ptr, u->data.len, err);
    if (st == ST_OK)
        buf_release(&u->data);
    return st;
}

static enum st check_limits(struct upload_work *w, size_t len, struct err *err)
{
    uint64_t most = w->api->options.upload_bytes_max;
    if (len > most || w->size > most - len) {
        metric_cell_add(metric_cell(METRIC_LIMIT_HITS, "limit=\"upload_size\""), 1);
        return err_set(err, ST_TOO_LARGE,
                       "a blob may have %llu bytes here (limits.upload_size); this one has more",
                       (unsigned long long)most);
    }
    return len == 0 ? ST_OK : space_take(&w->api->space, len, err);
}

enum st upload_add(struct upload_work *w, const void *bytes, size_t len, struct err *err)
{
    struct upload *u = w->entry;
    enum st st = check_limits(w, len, err);
    if (st != ST_OK || len == 0)
        return st;
    if (in_memory(w) && w->size + len <= w->api->options.inline_bytes_max) {
        buf_add(&u->data, (str){ bytes, len });
        st = buf_status(&u->data, err);
    } else {
        if (w->writer == NULL)
            st = open_writer(w, err);
        if (st == ST_OK)
            st = blob_writer_start(w->writer, bytes, len, err);
    }
    if (st == ST_OK && u->hash != NULL) /* while the bytes are being written */
        digest_hash_add(u->hash, bytes, len);
    if (st != ST_OK) {
        w->failed = true;
        return st;
    }
    w->size += len;
    return ST_OK;
}

/* ---- giving back --------------------------------------------------------------------------- */

static void give(struct upload_work *w)
{
    blob_writer_close(w->writer);
    w->writer = NULL;
    upload_table_give(&w->api->uploads, w->entry);
    w->entry = NULL;
}

static void drop(struct upload_work *w)
{
    blob_writer_close(w->writer);
    w->writer = NULL;
    upload_table_drop(&w->api->uploads, w->entry);
    w->entry = NULL;
}

void upload_abandon(struct upload_work *w)
{
    if (w->entry == NULL)
        return;
    if (w->lost)
        upload_discard(w);
    else if (w->size == w->entry->size && !w->failed)
        give(w);
    else
        drop(w); /* it is loaded anew from its row */
}

enum st upload_pause(struct upload_work *w, struct err *err)
{
    struct upload *u = w->entry;
    str data = in_memory(w) && w->size > 0 ? buf_str(&u->data) : STR_NONE;
    enum st st = w->writer == NULL ? ST_OK : blob_writer_wait(w->writer, err);
    if (st != ST_OK) { /* the last piece: nothing of this request is acknowledged */
        w->failed = true;
        return st;
    }
    blob_writer_close(w->writer);
    w->writer = NULL;
    st = registry_note_progress(registry_of(w), id_of(w), w->size, data,
                                registry_now(registry_of(w)), err);
    if (st != ST_OK) {
        drop(w);
        return st;
    }
    u->size = w->size;
    give(w);
    return ST_OK;
}

enum st upload_cancel(struct upload_work *w, struct err *err)
{
    blob_writer_close(w->writer);
    w->writer = NULL;
    enum st st = registry_cancel_upload(registry_of(w), w->repo, id_of(w),
                                        registry_now(registry_of(w)), err);
    drop(w);
    return st;
}

void upload_discard(struct upload_work *w)
{
    struct err err = { 0 };
    enum st st = upload_cancel(w, &err);
    if (st != ST_OK && st != ST_NOT_FOUND)
        log_failure("an upload could not be ended and will expire", &err);
}

/* ---- finishing ----------------------------------------------------------------------------- */

static enum st make_durable(struct upload_work *w, struct err *err)
{
    enum st st = ST_OK;
    if (w->writer == NULL)
        st = blob_writer_open(registry_of(w)->store, id_of(w), w->size, &w->writer, err);
    w->lost = st == ST_DAMAGED;
    if (st == ST_OK) {
        st = blob_writer_finish(w->writer, err);
        w->lost = st != ST_OK;
    }
    return st;
}

/* Hashes what lies in the store: after a restart, or when the digest is of another algorithm than
 * was expected. */
static enum st hash_store(struct upload_work *w, struct digest_hash *hash, struct err *err)
{
    AUTO(blob_reader_close) struct blob_reader reader = BLOB_READER_NONE;
    AUTO(mem_auto) char *piece = mem_new(REHASH_BYTES);
    uint64_t offset = 0;
    size_t got = 0;
    if (piece == NULL)
        return err_no_memory(err);
    enum st st = blob_reader_open(registry_of(w)->store, id_of(w), &reader, err);
    while (st == ST_OK) {
        st = blob_reader_get(&reader, piece, REHASH_BYTES, offset, &got, err);
        if (st != ST_OK || got == 0)
            break;
        digest_hash_add(hash, piece, got);
        offset += got;
    }
    return st;
}

static enum st hash_again(struct upload_work *w, enum digest_algorithm algorithm,
                          struct digest *out, struct err *err)
{
    struct upload *u = w->entry;
    struct digest_hash *hash = NULL;
    enum st st = digest_hash_new(algorithm, &hash, err);
    if (st != ST_OK)
        return st;
    if (in_memory(w))
        digest_hash_add(hash, u->data.ptr, u->data.len);
    else
        st = hash_store(w, hash, err);
    if (st == ST_OK && digest_hash_size(hash) != w->size) {
        st = err_set(err, ST_DAMAGED, "the upload has %llu bytes, of which %llu can be read",
                     (unsigned long long)w->size, (unsigned long long)digest_hash_size(hash));
        w->lost = true;
    }
    if (st == ST_OK)
        digest_hash_get(hash, out);
    digest_hash_free(hash);
    return st;
}

static enum st compare(struct upload_work *w, const struct digest *want, struct err *err)
{
    struct upload *u = w->entry;
    struct digest real;
    char text[DIGEST_TEXT_MAX + 1];
    enum st st = ST_OK;
    if (u->hash != NULL && digest_hash_algorithm(u->hash) == want->algorithm)
        digest_hash_get(u->hash, &real);
    else
        st = hash_again(w, want->algorithm, &real, err);
    if (st != ST_OK || digest_eq(&real, want))
        return st;
    str digest = digest_text(&real, text);
    return err_set(err, ST_MISMATCH,
                   "the %llu bytes that arrived are %.*s, not the digest that was announced",
                   (unsigned long long)w->size, STR_FMT(digest));
}

enum st upload_finish(struct upload_work *w, const struct digest *want, struct err *err)
{
    struct upload *u = w->entry;
    bool few = in_memory(w);
    enum st st = few ? ST_OK : make_durable(w, err);
    if (st == ST_OK)
        st = compare(w, want, err);
    if (st == ST_MISMATCH) {
        upload_discard(w);
        return st;
    }
    if (st == ST_OK) {
        const struct blob_arrival arrival = {
            .digest = want,
            .size = w->size,
            .name = id_of(w),
            .data = few ? (w->size == 0 ? STR("") : buf_str(&u->data)) : STR_NONE,
            .name_written = u->in_store,
        };
        st = registry_finish_upload(registry_of(w), w->repo, &arrival, registry_now(registry_of(w)),
                                    err);
    }
    if (st == ST_OK)
        drop(w);
    else
        w->failed = true;
    return st;
}
