/* SPDX-License-Identifier: Apache-2.0 */
#include "meta/blobs.h"

#include "meta/doomed.h"

enum st blobs_find(struct db_tx *tx, int64_t repo_id, const struct digest *d, struct arena *a,
                   struct blob_row *out, struct err *err)
{
    char key[DIGEST_KEY_MAX];
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    enum st st =
        db_one(tx, &rows,
               "SELECT b.id, b.size, b.name, b.damaged_at, l.lease_until, l.due_at, b.data,"
               " EXISTS (SELECT 1 FROM lock)"
               " FROM blob b JOIN repo_blob l ON l.repo_id = $1 AND l.blob_id = b.id"
               " WHERE b.digest = $2 AND l.receipt_id IS NULL",
               DB_ARGS(DB_INT(repo_id), DB_BYTES(digest_key(d, key))), err);
    if (st != ST_OK)
        return st;
    struct blob_row row = {
        .id = db_int(&rows, 0),
        .size = (uint64_t)db_int(&rows, 1),
        .damaged = !db_is_null(&rows, 3),
        .lease_until = db_int(&rows, 4),
        .used = db_is_null(&rows, 5),
        .any_locks = db_int(&rows, 7) != 0,
    };
    bool in_store = !db_is_null(&rows, 2);
    str copy = arena_dup(a, in_store ? db_text(&rows, 2) : db_bytes(&rows, 6));
    if (copy.ptr == NULL)
        return err_no_memory(err);
    *(in_store ? &row.name : &row.data) = copy;
    *out = row;
    return ST_OK;
}

/* The row of a digest: ST_OK with id 0 when there is none. */
static enum st find_row(struct db_tx *tx, const struct digest *d, int64_t *id, bool *damaged,
                        struct err *err)
{
    char key[DIGEST_KEY_MAX];
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    enum st st = db_select(tx, &rows, "SELECT id, damaged_at FROM blob WHERE digest = $1",
                           DB_ARGS(DB_BYTES(digest_key(d, key))), err);
    if (st == ST_OK)
        st = db_next(&rows, err);
    if (st != ST_OK && st != ST_END)
        return st;
    *id = st == ST_OK ? db_int(&rows, 0) : 0;
    *damaged = st == ST_OK && !db_is_null(&rows, 1);
    return ST_OK;
}

static struct db_arg name_arg(const struct blob_arrival *in)
{
    return in->data.ptr == NULL ? DB_TEXT(in->name) : DB_NULL;
}

static struct db_arg data_arg(const struct blob_arrival *in)
{
    return in->data.ptr == NULL ? DB_NULL : DB_BYTES(in->data);
}

/* Puts the arrival in the place of bytes that are damaged; those are doomed. */
static enum st heal(struct db_tx *tx, int64_t blob_id, const struct blob_arrival *in, int64_t now,
                    struct err *err)
{
    enum st st = db_run(tx,
                        "INSERT INTO doomed (name, size, deleted_at, since)"
                        " SELECT name, size, $1, $1 FROM blob"
                        " WHERE id = $2 AND name IS NOT NULL",
                        DB_ARGS(DB_INT(now), DB_INT(blob_id)), NULL, err);
    if (st != ST_OK)
        return st;
    return db_run(tx, "UPDATE blob SET name = $1, data = $2, damaged_at = NULL WHERE id = $3",
                  DB_ARGS(name_arg(in), data_arg(in), DB_INT(blob_id)), NULL, err);
}

static enum st insert(struct db_tx *tx, const struct blob_arrival *in, int64_t now,
                      int64_t *blob_id, struct err *err)
{
    char key[DIGEST_KEY_MAX];
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    enum st st = db_one(tx, &rows,
                        "INSERT INTO blob (digest, size, name, created_at, data)"
                        " VALUES ($1, $2, $3, $4, $5) RETURNING id",
                        DB_ARGS(DB_BYTES(digest_key(in->digest, key)), DB_INT(in->size),
                                name_arg(in), DB_INT(now), data_arg(in)),
                        err);
    if (st == ST_OK)
        *blob_id = db_int(&rows, 0);
    return st;
}

enum st blobs_arrive(struct db_tx *tx, const struct blob_arrival *in, int64_t now, int64_t *blob_id,
                     struct err *err)
{
    int64_t id = 0;
    bool damaged = false;
    bool name_needed = in->data.ptr == NULL;
    enum st st = find_row(tx, in->digest, &id, &damaged, err);
    if (st != ST_OK)
        return st;
    if (id == 0) {
        st = insert(tx, in, now, &id, err);
    } else if (damaged) {
        st = heal(tx, id, in, now, err);
    } else {
        name_needed = false;
    }
    if (st == ST_OK && in->name_written && !name_needed)
        st = doomed_add(tx, in->name, in->size, now, now, err);
    if (st == ST_OK)
        *blob_id = id;
    return st;
}

enum st blobs_find_anywhere(struct db_tx *tx, const struct digest *d, int64_t *blob_id,
                            struct err *err)
{
    char key[DIGEST_KEY_MAX];
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    enum st st = db_one(tx, &rows,
                        "SELECT b.id FROM blob b WHERE b.digest = $1 AND b.damaged_at IS NULL"
                        " AND EXISTS (SELECT 1 FROM repo_blob WHERE blob_id = b.id"
                        " AND receipt_id IS NULL)",
                        DB_ARGS(DB_BYTES(digest_key(d, key))), err);
    if (st == ST_OK)
        *blob_id = db_int(&rows, 0);
    return st;
}

enum st blobs_homes(struct db_tx *tx, const struct digest *d, size_t limit, struct arena *a,
                    struct name_page *out, struct err *err)
{
    char key[DIGEST_KEY_MAX];
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    enum st st = db_select(tx, &rows,
                           "SELECT r.name FROM blob b JOIN repo_blob l ON l.blob_id = b.id"
                           " JOIN repository r ON r.id = l.repo_id WHERE b.digest = $1"
                           " AND b.damaged_at IS NULL AND l.receipt_id IS NULL"
                           " ORDER BY l.repo_id LIMIT $2",
                           DB_ARGS(DB_BYTES(digest_key(d, key)), DB_INT(limit)), err);
    return st == ST_OK ? name_page_read(&rows, limit, a, out, err) : st;
}

enum st blobs_set_damaged(struct db_tx *tx, const struct blob_row *row, bool damaged, int64_t now,
                          struct err *err)
{
    return db_run(
        tx, "UPDATE blob SET damaged_at = $1 WHERE id = $2 AND name IS NOT DISTINCT FROM $3",
        DB_ARGS(damaged ? DB_INT(now) : DB_NULL, DB_INT(row->id), DB_TEXT_OR_NULL(row->name)), NULL,
        err);
}
