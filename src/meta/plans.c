/* SPDX-License-Identifier: Apache-2.0 */
#include "meta/plans.h"

/* Chunks that one call of plans_expire() removes. */
#define EXPIRE_CHUNKS 64

#define OPEN                                                                                       \
    "EXISTS (SELECT 1 FROM receipt WHERE receipt.id = plan.receipt_id AND receipt.state = 'open')"

enum st plans_begin(struct db_tx *tx, const struct plan_row *row, struct err *err)
{
    return db_run(tx,
                  "INSERT INTO plan (id, created_at, expires_at, receipt_id, request, summary,"
                  " data) VALUES ($1, $2, $3, NULL, $4, '', $5)",
                  DB_ARGS(DB_TEXT(row->id), DB_INT(row->created_at), DB_INT(row->expires_at),
                          DB_TEXT(row->request.ptr == NULL ? STR("") : row->request),
                          DB_BYTES(STR(""))),
                  NULL, err);
}

enum st plans_add_chunk(struct db_tx *tx, str id, uint64_t chunk, str items, struct err *err)
{
    return db_run(tx, "INSERT INTO plan_chunk (plan_id, chunk, items) VALUES ($1, $2, $3)",
                  DB_ARGS(DB_TEXT(id), DB_INT(chunk), DB_BYTES(items)), NULL, err);
}

enum st plans_finish(struct db_tx *tx, str id, str data, struct err *err)
{
    int64_t changed = 0;
    enum st st = db_run(tx, "UPDATE plan SET data = $1 WHERE id = $2",
                        DB_ARGS(DB_BYTES(data), DB_TEXT(id)), &changed, err);
    if (st == ST_OK && changed != 1)
        st = err_set(err, ST_NOT_FOUND, "the plan was removed while it was written");
    return st;
}

enum st plans_find(struct db_tx *tx, str id, struct arena *a, struct plan_row *out, struct err *err)
{
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    enum st st = db_one(tx, &rows,
                        "SELECT created_at, expires_at, receipt_id, request, data FROM plan"
                        " WHERE id = $1",
                        DB_ARGS(DB_TEXT(id)), err);
    if (st != ST_OK)
        return st;
    if (db_bytes(&rows, 4).len == 0)
        return err_set(err, ST_NOT_FOUND, "not found");
    struct plan_row row = {
        .id = arena_dup(a, id),
        .created_at = db_int(&rows, 0),
        .expires_at = db_int(&rows, 1),
        .receipt_id = db_int(&rows, 2),
        .request = arena_dup(a, db_text(&rows, 3)),
        .data = arena_dup(a, db_bytes(&rows, 4)),
    };
    if (row.id.ptr == NULL || row.request.ptr == NULL || row.data.ptr == NULL)
        return err_no_memory(err);
    *out = row;
    return ST_OK;
}

enum st plans_find_chunk(struct db_tx *tx, str id, uint64_t chunk, struct arena *a, str *items,
                         struct err *err)
{
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    enum st st = db_one(tx, &rows, "SELECT items FROM plan_chunk WHERE plan_id = $1 AND chunk = $2",
                        DB_ARGS(DB_TEXT(id), DB_INT(chunk)), err);
    if (st != ST_OK)
        return st;
    str copy = arena_dup(a, db_bytes(&rows, 0));
    if (copy.ptr == NULL)
        return err_no_memory(err);
    *items = copy;
    return ST_OK;
}

enum st plans_set_receipt(struct db_tx *tx, str id, int64_t receipt_id, struct err *err)
{
    return db_run(tx, "UPDATE plan SET receipt_id = $1 WHERE id = $2",
                  DB_ARGS(DB_INT(receipt_id), DB_TEXT(id)), NULL, err);
}

enum st plans_remove(struct db_tx *tx, str id, struct err *err)
{
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    enum st st =
        db_one(tx, &rows, "SELECT " OPEN " FROM plan WHERE id = $1", DB_ARGS(DB_TEXT(id)), err);
    if (st != ST_OK)
        return st;
    if (db_int(&rows, 0) != 0)
        return err_set(err, ST_BUSY, "this plan is being applied");
    db_rows_close(&rows);
    st = db_run(tx, "DELETE FROM plan_chunk WHERE plan_id = $1", DB_ARGS(DB_TEXT(id)), NULL, err);
    if (st == ST_OK)
        st = db_run(tx, "DELETE FROM plan WHERE id = $1", DB_ARGS(DB_TEXT(id)), NULL, err);
    return st;
}

static enum st find_expired(struct db_tx *tx, int64_t now, struct db_rows *rows, bool *found,
                            struct err *err)
{
    enum st st = db_select(tx, rows,
                           "SELECT id FROM plan WHERE expires_at <= $1 AND NOT " OPEN
                           " ORDER BY expires_at LIMIT 1",
                           DB_ARGS(DB_INT(now)), err);
    if (st == ST_OK)
        st = db_next(rows, err);
    if (st != ST_OK && st != ST_END)
        return st;
    *found = st == ST_OK;
    return ST_OK;
}

enum st plans_expired(struct db_tx *tx, int64_t now, bool *out, struct err *err)
{
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    return find_expired(tx, now, &rows, out, err);
}

enum st plans_expire(struct db_tx *tx, int64_t now, bool *more, struct err *err)
{
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    int64_t removed = 0;
    enum st st = find_expired(tx, now, &rows, more, err);
    if (st != ST_OK || !*more)
        return st;
    char text[64];
    if (!str_copy(db_text(&rows, 0), text, sizeof(text)))
        return err_set(err, ST_CORRUPT, "the id of a plan is longer than any");
    str id = str_of(text);
    db_rows_close(&rows);
    st = db_run(tx,
                "DELETE FROM plan_chunk WHERE plan_id = $1 AND chunk IN (SELECT chunk FROM"
                " plan_chunk WHERE plan_id = $1 ORDER BY chunk LIMIT $2)",
                DB_ARGS(DB_TEXT(id), DB_INT(EXPIRE_CHUNKS)), &removed, err);
    /* Without its first chunks it must not be found any more. */
    if (st == ST_OK && removed == EXPIRE_CHUNKS)
        return db_run(tx, "UPDATE plan SET data = $1 WHERE id = $2",
                      DB_ARGS(DB_BYTES(STR("")), DB_TEXT(id)), NULL, err);
    if (st == ST_OK)
        st = db_run(tx, "DELETE FROM plan WHERE id = $1", DB_ARGS(DB_TEXT(id)), NULL, err);
    return st;
}
