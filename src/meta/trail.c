/* SPDX-License-Identifier: Apache-2.0 */
#include "meta/trail.h"

/* What a peer wrote is cut here, between characters, so that an entry has a size. */
static str cut(str s)
{
    size_t len = MIN(s.len, (size_t)TRAIL_TEXT_MAX);
    while (len > 0 && len < s.len && ((unsigned char)s.ptr[len] & 0xC0) == 0x80)
        len--;
    return len == 0 ? STR("") : (str){ s.ptr, len };
}

enum st trail_add(struct db_tx *tx, const struct trail_entry *in, struct err *err)
{
    return db_run(tx,
                  "INSERT INTO trail (at, actor, peer, door, action, object, detail, times)"
                  " VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
                  DB_ARGS(DB_INT(in->at), DB_TEXT(cut(in->actor)), DB_TEXT(cut(in->peer)),
                          DB_TEXT(cut(in->door)), DB_TEXT(cut(in->action)),
                          DB_TEXT(cut(in->object)),
                          in->detail.ptr == NULL ? DB_NULL : DB_TEXT(cut(in->detail)),
                          DB_INT(MAX(in->times, (uint64_t)1))),
                  NULL, err);
}

#define TRAIL_COLUMNS "SELECT id, at, actor, peer, door, action, object, detail, times FROM trail "

static enum st select_entries(struct db_tx *tx, struct db_rows *rows, str actor, str action,
                              int64_t before, size_t limit, struct err *err)
{
    if (actor.ptr != NULL && action.ptr != NULL)
        return db_select(tx, rows,
                         TRAIL_COLUMNS "WHERE actor = $1 AND action = $2 AND id < $3"
                                       " ORDER BY id DESC LIMIT $4",
                         DB_ARGS(DB_TEXT(actor), DB_TEXT(action), DB_INT(before), DB_INT(limit)),
                         err);
    if (actor.ptr != NULL)
        return db_select(tx, rows,
                         TRAIL_COLUMNS "WHERE actor = $1 AND id < $2 ORDER BY id DESC LIMIT $3",
                         DB_ARGS(DB_TEXT(actor), DB_INT(before), DB_INT(limit)), err);
    if (action.ptr != NULL)
        return db_select(tx, rows,
                         TRAIL_COLUMNS "WHERE action = $1 AND id < $2 ORDER BY id DESC LIMIT $3",
                         DB_ARGS(DB_TEXT(action), DB_INT(before), DB_INT(limit)), err);
    return db_select(tx, rows, TRAIL_COLUMNS "WHERE id < $1 ORDER BY id DESC LIMIT $2",
                     DB_ARGS(DB_INT(before), DB_INT(limit)), err);
}

static enum st read_entry(const struct db_rows *rows, struct arena *a, struct trail_entry *out,
                          struct err *err)
{
    *out = (struct trail_entry){
        .id = db_int(rows, 0),
        .at = db_int(rows, 1),
        .actor = arena_dup(a, db_text(rows, 2)),
        .peer = arena_dup(a, db_text(rows, 3)),
        .door = arena_dup(a, db_text(rows, 4)),
        .action = arena_dup(a, db_text(rows, 5)),
        .object = arena_dup(a, db_text(rows, 6)),
        .times = (uint64_t)db_int(rows, 8),
    };
    bool copied = out->actor.ptr != NULL && out->peer.ptr != NULL && out->door.ptr != NULL &&
                  out->action.ptr != NULL && out->object.ptr != NULL;
    if (!db_is_null(rows, 7))
        copied &= (out->detail = arena_dup(a, db_text(rows, 7))).ptr != NULL;
    return copied ? ST_OK : err_no_memory(err);
}

enum st trail_list(struct db_tx *tx, str actor, str action, int64_t before, size_t limit,
                   struct arena *a, struct trail_entry **out, size_t *count, struct err *err)
{
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    struct trail_entry *list = arena_alloc(a, MAX(limit, (size_t)1) * sizeof(*list));
    size_t n = 0;
    if (list == NULL)
        return err_no_memory(err);
    enum st st =
        select_entries(tx, &rows, actor, action, before == 0 ? INT64_MAX : before, limit, err);
    while (st == ST_OK && (st = db_next(&rows, err)) == ST_OK)
        st = read_entry(&rows, a, &list[n++], err);
    if (st != ST_END)
        return st;
    *out = list;
    *count = n;
    return ST_OK;
}

enum st trail_expire(struct db_tx *tx, int64_t before, size_t limit, struct err *err)
{
    return db_run(tx,
                  "DELETE FROM trail WHERE id IN (SELECT id FROM trail WHERE at < $1 ORDER BY at"
                  " LIMIT $2)",
                  DB_ARGS(DB_INT(before), DB_INT(limit)), NULL, err);
}
