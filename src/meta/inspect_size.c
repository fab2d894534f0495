/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mem.h"
#include "meta/inspect_int.h"

enum st inspect_list_add(struct inspect_list *l, struct arena *a, size_t size, void **out,
                         struct err *err)
{
    if (l->count == l->max) {
        l->more = true;
        *out = NULL;
        return ST_OK;
    }
    if (l->count == l->room) {
        size_t room = MIN(l->max, l->room == 0 ? 16 : 2 * l->room);
        void *items = arena_alloc(a, room * size);
        if (items == NULL)
            return err_no_memory(err);
        if (l->count > 0)
            memcpy(items, l->items, l->count * size);
        l->items = items;
        l->room = room;
    }
    *out = (char *)l->items + l->count++ * size;
    return ST_OK;
}

enum st inspect_dup(struct arena *a, str s, str *out, struct err *err)
{
    if (s.ptr == NULL) {
        *out = STR_NONE;
        return ST_OK;
    }
    str copy = arena_dup(a, s);
    if (copy.ptr == NULL)
        return err_no_memory(err);
    *out = copy;
    return ST_OK;
}

/* ---- size ---------------------------------------------------------------------------------- */

struct sized {
    int64_t id;
    uint64_t size;
};

struct walk {
    struct arena arena;
    struct inspect_list manifests; /* ids, also the queue of the walk */
    struct inspect_list blobs;     /* struct sized, some more than once */
    uint64_t payloads;
};

static bool is_known(const struct walk *w, int64_t id)
{
    const int64_t *ids = w->manifests.items;
    for (size_t i = 0; i < w->manifests.count; i++)
        if (ids[i] == id)
            return true;
    return false;
}

static enum st add_manifest(struct walk *w, int64_t id, uint64_t size, struct err *err)
{
    void *place = NULL;
    if (is_known(w, id))
        return ST_OK;
    enum st st = inspect_list_add(&w->manifests, &w->arena, sizeof(int64_t), &place, err);
    if (st != ST_OK || place == NULL)
        return st;
    *(int64_t *)place = id;
    w->payloads += size;
    return ST_OK;
}

static enum st add_children(struct db_tx *tx, struct walk *w, int64_t id, struct err *err)
{
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    enum st st = db_select(tx, &rows,
                           "SELECT c.id, c.size FROM manifest_child n JOIN manifest c"
                           " ON c.repo_id = n.repo_id AND c.digest = n.digest"
                           " WHERE n.manifest_id = $1 AND c.receipt_id IS NULL",
                           DB_ARGS(DB_INT(id)), err);
    while (st == ST_OK && !w->manifests.more && (st = db_next(&rows, err)) == ST_OK)
        st = add_manifest(w, db_int(&rows, 0), (uint64_t)db_int(&rows, 1), err);
    return st == ST_END ? ST_OK : st;
}

static enum st add_blobs(struct db_tx *tx, struct walk *w, int64_t id, struct err *err)
{
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    enum st st = db_select(tx, &rows,
                           "SELECT b.id, b.size FROM manifest_blob u JOIN blob b"
                           " ON b.id = u.blob_id WHERE u.manifest_id = $1",
                           DB_ARGS(DB_INT(id)), err);
    while (st == ST_OK && !w->blobs.more && (st = db_next(&rows, err)) == ST_OK) {
        void *place = NULL;
        st = inspect_list_add(&w->blobs, &w->arena, sizeof(struct sized), &place, err);
        if (place != NULL)
            *(struct sized *)place = (struct sized){ db_int(&rows, 0), (uint64_t)db_int(&rows, 1) };
    }
    return st == ST_END ? ST_OK : st;
}

static int by_id(const void *a, const void *b)
{
    const struct sized *x = a;
    const struct sized *y = b;
    return (x->id > y->id) - (x->id < y->id);
}

static uint64_t sum_once(struct walk *w)
{
    struct sized *blobs = w->blobs.items;
    uint64_t sum = 0;
    if (w->blobs.count > 1)
        qsort(blobs, w->blobs.count, sizeof(*blobs), by_id);
    for (size_t i = 0; i < w->blobs.count; i++)
        if (i == 0 || blobs[i].id != blobs[i - 1].id)
            sum += blobs[i].size;
    return sum;
}

enum st inspect_size(struct db_tx *tx, int64_t manifest_id, bool *known, uint64_t *size,
                     uint64_t *rows, struct err *err)
{
    struct walk w = { .arena = { .limit_bytes = 8 * MIB },
                      .manifests = { .max = INSPECT_SIZE_MANIFESTS },
                      .blobs = { .max = INSPECT_SIZE_BLOBS } };
    AUTO(db_rows_close) struct db_rows self = { 0 };
    enum st st = db_one(tx, &self, "SELECT size FROM manifest WHERE id = $1",
                        DB_ARGS(DB_INT(manifest_id)), err);
    if (st == ST_OK)
        st = add_manifest(&w, manifest_id, (uint64_t)db_int(&self, 0), err);
    for (size_t i = 0; st == ST_OK && i < w.manifests.count; i++) {
        int64_t id = ((int64_t *)w.manifests.items)[i];
        st = add_blobs(tx, &w, id, err);
        if (st == ST_OK)
            st = add_children(tx, &w, id, err);
        if (w.manifests.more || w.blobs.more)
            break;
    }
    if (st == ST_OK) {
        *rows += w.manifests.count + w.blobs.count;
        *known = !w.manifests.more && !w.blobs.more;
        *size = *known ? w.payloads + sum_once(&w) : 0;
    }
    arena_release(&w.arena);
    return st;
}
