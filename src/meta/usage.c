/* SPDX-License-Identifier: Apache-2.0 */
#include "meta/usage.h"

#include "base/mem.h"
#include "meta/repositories.h"

enum st usage_add(struct db_tx *tx, int64_t repo_id, const struct usage_delta *d, struct err *err)
{
    static const struct usage_delta none;
    if (memcmp(d, &none, sizeof(none)) == 0)
        return ST_OK;
    return db_run(tx,
                  "UPDATE repository SET tags = tags + $1, manifests = manifests + $2,"
                  " used_alone = used_alone + $3, trash_alone = trash_alone + $4,"
                  " pending_alone = pending_alone + $5, used_shared = used_shared + $6,"
                  " trash_shared = trash_shared + $7, pending_shared = pending_shared + $8"
                  " WHERE id = $9",
                  DB_ARGS(DB_INT(d->tags), DB_INT(d->manifests), DB_INT(d->alone[USAGE_USED]),
                          DB_INT(d->alone[USAGE_TRASH]), DB_INT(d->alone[USAGE_PENDING]),
                          DB_INT(d->shared[USAGE_USED]), DB_INT(d->shared[USAGE_TRASH]),
                          DB_INT(d->shared[USAGE_PENDING]), DB_INT(repo_id)),
                  NULL, err);
}

/* ---- reading ------------------------------------------------------------------------------- */

/* Columns: repositories, tags, manifests, used, trash and pending of what is alone. */
static void add_alone(const struct db_rows *rows, struct usage *out)
{
    out->repositories += (uint64_t)db_int(rows, 0);
    out->tags += (uint64_t)db_int(rows, 1);
    out->manifests += (uint64_t)db_int(rows, 2);
    out->unique += (uint64_t)db_int(rows, 3);
    out->trash += (uint64_t)db_int(rows, 4);
    out->pending += (uint64_t)db_int(rows, 5);
}

#define ALONE_SUMS                                                                                 \
    "SELECT count(*), coalesce(sum(tags), 0), coalesce(sum(manifests), 0),"                        \
    " coalesce(sum(used_alone), 0), coalesce(sum(trash_alone), 0),"                                \
    " coalesce(sum(pending_alone), 0) FROM repository"

static enum st sum(struct db_tx *tx, const char *sql, const struct db_arg *args, size_t n,
                   uint64_t *out, struct err *err)
{
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    enum st st = db_one(tx, &rows, sql, args, n, err);
    if (st == ST_OK)
        *out += (uint64_t)db_int(&rows, 0);
    return st;
}

/* A path below `prefix` begins with "prefix/", and "0" is the byte behind "/". */
struct below {
    str from;
    str to;
    char from_text[260];
    char to_text[260];
};

static enum st below_of(str prefix, struct below *out, struct err *err)
{
    if (prefix.len + 2 > sizeof(out->from_text))
        return err_set(err, ST_INVALID, "the prefix is longer than a repository's name can be");
    int len = (int)prefix.len;
    (void)snprintf(out->from_text, sizeof(out->from_text), "%.*s/", len, prefix.ptr);
    (void)snprintf(out->to_text, sizeof(out->to_text), "%.*s0", len, prefix.ptr);
    out->from = (str){ out->from_text, prefix.len + 1 };
    out->to = (str){ out->to_text, prefix.len + 1 };
    return ST_OK;
}

/* One blob that links inside and perhaps outside share. */
struct shared_blob {
    int64_t id;
    uint64_t size;
    int64_t links; /* inside */
    bool used, trash;
};

static enum st links_more_than(struct db_tx *tx, const struct shared_blob *b, bool *out,
                               struct err *err)
{
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    int64_t n = 0;
    enum st st = db_select(tx, &rows, "SELECT 1 FROM repo_blob WHERE blob_id = $1 LIMIT $2",
                           DB_ARGS(DB_INT(b->id), DB_INT(b->links + 1)), err);
    while (st == ST_OK && (st = db_next(&rows, err)) == ST_OK)
        n++;
    if (st != ST_END)
        return st;
    *out = n > b->links;
    return ST_OK;
}

static enum st add_shared(struct db_tx *tx, const struct shared_blob *b, bool whole,
                          struct usage *out, struct err *err)
{
    bool outside = false;
    enum st st = ST_OK;
    if (b->id == 0)
        return ST_OK;
    if (b->used && !whole)
        st = links_more_than(tx, b, &outside, err);
    if (st != ST_OK)
        return st;
    if (b->used && outside)
        out->shared += b->size;
    else if (b->used)
        out->unique += b->size;
    else if (b->trash)
        out->trash += b->size;
    else
        out->pending += b->size;
    return ST_OK;
}

/* Rows of shared links in the order of the blob: columns blob, size, kept, trash. */
static enum st add_all_shared(struct db_tx *tx, struct db_rows *rows, bool whole, struct usage *out,
                              struct err *err)
{
    struct shared_blob b = { 0 };
    enum st st = ST_OK;
    while ((st = db_next(rows, err)) == ST_OK) {
        int64_t id = db_int(rows, 0);
        if (id != b.id) {
            st = add_shared(tx, &b, whole, out, err);
            if (st != ST_OK)
                return st;
            b = (struct shared_blob){ .id = id, .size = (uint64_t)db_int(rows, 1) };
        }
        b.links++;
        b.used = b.used || db_int(rows, 2) > 0;
        b.trash = b.trash || db_int(rows, 3) != 0;
    }
    return st == ST_END ? add_shared(tx, &b, whole, out, err) : st;
}

#define SHARED_COLUMNS                                                                             \
    "l.blob_id, l.size, l.kept,"                                                                   \
    " CASE WHEN l.trash > 0 OR l.receipt_id IS NOT NULL THEN 1 ELSE 0 END"

static enum st usage_of_all(struct db_tx *tx, struct usage *out, struct err *err)
{
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    enum st st = db_one(tx, &rows, ALONE_SUMS, DB_NO_ARGS, err);
    if (st != ST_OK)
        return st;
    add_alone(&rows, out);
    db_rows_close(&rows);
    st = db_select(tx, &rows,
                   "SELECT " SHARED_COLUMNS " FROM repo_blob l WHERE l.shared = 1"
                   " ORDER BY l.blob_id",
                   DB_NO_ARGS, err);
    if (st == ST_OK)
        st = add_all_shared(tx, &rows, true, out, err);
    if (st == ST_OK)
        st = sum(tx, "SELECT coalesce(sum(size), 0) FROM upload", DB_NO_ARGS, &out->uploads, err);
    if (st == ST_OK)
        st = sum(tx, "SELECT coalesce(sum(size), 0) FROM doomed", DB_NO_ARGS, &out->pending, err);
    return st;
}

enum st usage_of_prefix(struct db_tx *tx, str prefix, struct usage *out, struct err *err)
{
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    struct usage u = { 0 };
    struct below b;
    enum st st = ST_OK;
    if (prefix.len == 0) {
        st = usage_of_all(tx, &u, err);
        if (st == ST_OK)
            *out = u;
        return st;
    }
    st = below_of(prefix, &b, err);
    if (st == ST_OK)
        st = db_one(tx, &rows, ALONE_SUMS " WHERE name = $1 OR (name > $2 AND name < $3)",
                    DB_ARGS(DB_TEXT(prefix), DB_TEXT(b.from), DB_TEXT(b.to)), err);
    if (st != ST_OK)
        return st;
    add_alone(&rows, &u);
    db_rows_close(&rows);
    st = db_select(tx, &rows,
                   "SELECT " SHARED_COLUMNS " FROM repository r JOIN repo_blob l"
                   " ON l.repo_id = r.id AND l.shared = 1"
                   " WHERE r.name = $1 OR (r.name > $2 AND r.name < $3) ORDER BY l.blob_id",
                   DB_ARGS(DB_TEXT(prefix), DB_TEXT(b.from), DB_TEXT(b.to)), err);
    if (st == ST_OK)
        st = add_all_shared(tx, &rows, false, &u, err);
    if (st == ST_OK)
        st = sum(tx,
                 "SELECT coalesce(sum(size), 0) FROM upload"
                 " WHERE repo = $1 OR (repo > $2 AND repo < $3)",
                 DB_ARGS(DB_TEXT(prefix), DB_TEXT(b.from), DB_TEXT(b.to)), &u.uploads, err);
    if (st == ST_OK)
        *out = u;
    return st;
}

enum st usage_of_repository(struct db_tx *tx, str repo, struct usage *out, struct err *err)
{
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    struct usage u = { 0 };
    enum st st = db_select(tx, &rows,
                           "SELECT 1, tags, manifests, used_alone, trash_alone + trash_shared,"
                           " pending_alone + pending_shared, used_shared FROM repository"
                           " WHERE name = $1",
                           DB_ARGS(DB_TEXT(repo)), err);
    if (st == ST_OK)
        st = db_next(&rows, err);
    if (st == ST_END)
        return err_set(err, ST_NOT_FOUND, "there is no repository %.*s", STR_FMT(repo));
    if (st != ST_OK)
        return st;
    add_alone(&rows, &u);
    u.shared = (uint64_t)db_int(&rows, 6);
    db_rows_close(&rows);
    st = sum(tx, "SELECT coalesce(sum(size), 0) FROM upload WHERE repo = $1",
             DB_ARGS(DB_TEXT(repo)), &u.uploads, err);
    if (st == ST_OK)
        *out = u;
    return st;
}
