/* SPDX-License-Identifier: Apache-2.0 */
#include "meta/uploads.h"

#include "meta/doomed.h"

static enum st not_found(str id, struct err *err)
{
    return err_set(err, ST_NOT_FOUND,
                   "there is no upload %.*s here: it was finished, cancelled, or rested too long",
                   STR_FMT(id));
}

enum st uploads_start(struct db_tx *tx, str id, str repo, str actor, uint64_t limit, int64_t now,
                      int64_t due_at, struct err *err)
{
    int64_t started = 0;
    enum st st = db_run(tx,
                        "INSERT INTO upload (id, repo, size, started_at, due_at, actor)"
                        " SELECT $1, $2, 0, $3, $4, $5 WHERE (SELECT COUNT(*) FROM"
                        " (SELECT 1 FROM upload WHERE repo = $2 LIMIT $6) AS open) < $6",
                        DB_ARGS(DB_TEXT(id), DB_TEXT(repo), DB_INT(now), DB_INT(due_at),
                                DB_TEXT_OR_NULL(actor), DB_INT(limit)),
                        &started, err);
    if (st == ST_OK && started == 0)
        return err_set(err, ST_TOO_LARGE,
                       "%.*s has %llu uploads under way, which is as many as are allowed"
                       " (limits.uploads_per_repository): finish or cancel some",
                       STR_FMT(repo), (unsigned long long)limit);
    return st;
}

enum st uploads_find(struct db_tx *tx, str id, str repo, struct arena *a, struct upload_row *out,
                     struct err *err)
{
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    enum st st =
        db_one(tx, &rows, "SELECT size, data, actor FROM upload WHERE id = $1 AND repo = $2",
               DB_ARGS(DB_TEXT(id), DB_TEXT(repo)), err);
    if (st == ST_NOT_FOUND)
        return not_found(id, err);
    if (st != ST_OK)
        return st;
    struct upload_row row = { .size = (uint64_t)db_int(&rows, 0) };
    if (!db_is_null(&rows, 1)) {
        row.data = arena_dup(a, db_bytes(&rows, 1));
        if (row.data.ptr == NULL)
            return err_no_memory(err);
    }
    if (!db_is_null(&rows, 2)) {
        row.actor = arena_dup(a, db_text(&rows, 2));
        if (row.actor.ptr == NULL)
            return err_no_memory(err);
    }
    *out = row;
    return ST_OK;
}

enum st uploads_progress(struct db_tx *tx, str id, uint64_t size, str data, int64_t due_at,
                         struct err *err)
{
    int64_t changed = 0;
    enum st st = db_run(tx, "UPDATE upload SET size = $1, data = $2, due_at = $3 WHERE id = $4",
                        DB_ARGS(DB_INT(size), data.ptr == NULL ? DB_NULL : DB_BYTES(data),
                                DB_INT(due_at), DB_TEXT(id)),
                        &changed, err);
    return st == ST_OK && changed == 0 ? not_found(id, err) : st;
}

enum st uploads_end(struct db_tx *tx, str id, str repo, struct err *err)
{
    int64_t changed = 0;
    enum st st = db_run(tx, "DELETE FROM upload WHERE id = $1 AND repo = $2",
                        DB_ARGS(DB_TEXT(id), DB_TEXT(repo)), &changed, err);
    return st == ST_OK && changed == 0 ? not_found(id, err) : st;
}

enum st uploads_cancel(struct db_tx *tx, str id, str repo, int64_t now, struct err *err)
{
    AUTO(arena_release) struct arena scratch = { 0 };
    struct upload_row row = { 0 };
    enum st st = uploads_find(tx, id, repo, &scratch, &row, err);
    if (st == ST_OK)
        st = uploads_end(tx, id, repo, err);
    /* Doomed even when the bytes were in the row: after a crash something may lie there all the
     * same, and removing a name that is not there costs one failed unlink. */
    if (st == ST_OK)
        st = doomed_add(tx, id, row.size, now, now, err);
    return st;
}

enum st uploads_expire(struct db_tx *tx, str id, str repo, int64_t now, struct err *err)
{
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    enum st st = db_one(tx, &rows, "SELECT 1 FROM upload WHERE id = $1 AND due_at <= $2",
                        DB_ARGS(DB_TEXT(id), DB_INT(now)), err);
    return st == ST_OK ? uploads_cancel(tx, id, repo, now, err) : st;
}

enum st uploads_due(struct db_tx *tx, int64_t now, size_t limit, struct arena *a,
                    struct upload_due **out, size_t *count, struct err *err)
{
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    struct upload_due *list = arena_alloc(a, limit * sizeof(*list));
    size_t n = 0;
    if (list == NULL)
        return err_no_memory(err);
    enum st st = db_select(
        tx, &rows, "SELECT id, repo FROM upload WHERE due_at <= $1 ORDER BY due_at LIMIT $2",
        DB_ARGS(DB_INT(now), DB_INT(limit)), err);
    if (st != ST_OK)
        return st;
    while ((st = db_next(&rows, err)) == ST_OK) {
        list[n] =
            (struct upload_due){ arena_dup(a, db_text(&rows, 0)), arena_dup(a, db_text(&rows, 1)) };
        if (list[n].id.ptr == NULL || list[n].repo.ptr == NULL)
            return err_no_memory(err);
        n++;
    }
    if (st != ST_END)
        return st;
    *out = list;
    *count = n;
    return ST_OK;
}

enum st uploads_count(struct db_tx *tx, uint64_t *out, struct err *err)
{
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    enum st st = db_one(tx, &rows, "SELECT COUNT(*) FROM upload", DB_NO_ARGS, err);
    if (st == ST_OK)
        *out = (uint64_t)db_int(&rows, 0);
    return st;
}
