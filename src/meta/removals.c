/* SPDX-License-Identifier: Apache-2.0
 *
 *   (none) ──add──▶ scheduled ──take──▶ ongoing ──done──▶ (none)
 *                     ▲   ▲                │
 *                     │   └─────fail───────┤
 *                  reset                   │ the tenth failure
 *                     └────── failed ◀─────┘
 *
 * A crash leaves a row ongoing, which is taken again when it is due.
 */
#include "meta/removals.h"

#include "base/clock.h"

#define REMOVAL_ERROR_MAX 512 /* bytes of the reason kept */

static const char *const states[] = {
    [REMOVAL_SCHEDULED] = "s",
    [REMOVAL_ONGOING] = "o",
    [REMOVAL_FAILED] = "f",
};

static enum st state_of(str text, enum removal_state *out, struct err *err)
{
    for (size_t i = 0; i < ARRAY_LEN(states); i++) {
        if (str_eq(text, str_of(states[i]))) {
            *out = (enum removal_state)i;
            return ST_OK;
        }
    }
    return err_set(err, ST_CORRUPT, "\"%.*s\" is no state of a removal", STR_FMT(text));
}

#define REMOVAL_COLUMNS                                                                            \
    "SELECT repo_id, repo, state, failures, next_at, actor, peer, door, error FROM removal "

static enum st read_removal(const struct db_rows *rows, struct arena *a, struct repo_removal *out,
                            struct err *err)
{
    struct repo_removal r = {
        .repo_id = db_int(rows, 0),
        .repo = arena_dup(a, db_text(rows, 1)),
        .failures = (unsigned)db_int(rows, 3),
        .next_at = db_int(rows, 4),
        .actor = arena_dup(a, db_text(rows, 5)),
        .peer = arena_dup(a, db_text(rows, 6)),
        .door = arena_dup(a, db_text(rows, 7)),
    };
    bool copied =
        r.repo.ptr != NULL && r.actor.ptr != NULL && r.peer.ptr != NULL && r.door.ptr != NULL;
    if (!db_is_null(rows, 8))
        copied &= (r.error = arena_dup(a, db_text(rows, 8))).ptr != NULL;
    if (!copied)
        return err_no_memory(err);
    enum st st = state_of(db_text(rows, 2), &r.state, err);
    if (st == ST_OK)
        *out = r;
    return st;
}

enum st removals_add(struct db_tx *tx, const struct repo_removal *in, struct err *err)
{
    AUTO(arena_release) struct arena scratch = { 0 };
    struct repo_removal before = { 0 };
    enum st st = removals_find(tx, in->repo_id, &scratch, &before, err);
    if (st == ST_OK && before.state == REMOVAL_FAILED)
        return err_set(err, ST_DENIED,
                       "deleting %.*s failed %u times and is not tried again before it is reset",
                       STR_FMT(before.repo), before.failures);
    if (st != ST_NOT_FOUND)
        return st;
    return db_run(tx,
                  "INSERT INTO removal (repo_id, repo, state, failures, next_at, actor, peer, door)"
                  " VALUES ($1, $2, 's', 0, $3, $4, $5, $6)",
                  DB_ARGS(DB_INT(in->repo_id), DB_TEXT(in->repo), DB_INT(in->next_at),
                          DB_TEXT(in->actor.len == 0 ? STR("") : in->actor),
                          DB_TEXT(in->peer.len == 0 ? STR("") : in->peer),
                          DB_TEXT(in->door.len == 0 ? STR("") : in->door)),
                  NULL, err);
}

enum st removals_find(struct db_tx *tx, int64_t repo_id, struct arena *a, struct repo_removal *out,
                      struct err *err)
{
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    enum st st =
        db_one(tx, &rows, REMOVAL_COLUMNS "WHERE repo_id = $1", DB_ARGS(DB_INT(repo_id)), err);
    if (st == ST_NOT_FOUND)
        return err_set(err, st, "the repository is not to be deleted");
    return st == ST_OK ? read_removal(&rows, a, out, err) : st;
}

enum st removals_list(struct db_tx *tx, int64_t after_repo_id, size_t limit, struct arena *a,
                      struct repo_removal **out, size_t *count, struct err *err)
{
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    struct repo_removal *list = arena_alloc(a, MAX(limit, (size_t)1) * sizeof(*list));
    size_t n = 0;
    if (list == NULL)
        return err_no_memory(err);
    enum st st =
        db_select(tx, &rows, REMOVAL_COLUMNS "WHERE repo_id > $1 ORDER BY repo_id LIMIT $2",
                  DB_ARGS(DB_INT(after_repo_id), DB_INT(limit)), err);
    while (st == ST_OK && (st = db_next(&rows, err)) == ST_OK)
        st = read_removal(&rows, a, &list[n++], err);
    if (st != ST_END)
        return st;
    *out = list;
    *count = n;
    return ST_OK;
}

enum st removals_due(struct db_tx *tx, int64_t now, bool *out, struct err *err)
{
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    enum st st = db_one(
        tx, &rows, "SELECT EXISTS (SELECT 1 FROM removal WHERE state <> 'f' AND next_at <= $1)",
        DB_ARGS(DB_INT(now)), err);
    if (st == ST_OK)
        *out = db_int(&rows, 0) != 0;
    return st;
}

enum st removals_take(struct db_tx *tx, int64_t now, struct arena *a, struct repo_removal *out,
                      struct err *err)
{
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    struct repo_removal found = { 0 };
    enum st st = db_one(tx, &rows,
                        REMOVAL_COLUMNS "WHERE state <> 'f' AND next_at <= $1"
                                        " ORDER BY next_at LIMIT 1",
                        DB_ARGS(DB_INT(now)), err);
    if (st == ST_NOT_FOUND)
        return err_set(err, st, "no repository is due to be deleted");
    if (st == ST_OK)
        st = read_removal(&rows, a, &found, err);
    db_rows_close(&rows);
    if (st == ST_OK)
        st = db_run(tx, "UPDATE removal SET state = 'o' WHERE repo_id = $1",
                    DB_ARGS(DB_INT(found.repo_id)), NULL, err);
    if (st != ST_OK)
        return st;
    found.state = REMOVAL_ONGOING;
    *out = found;
    return ST_OK;
}

enum st removals_done(struct db_tx *tx, int64_t repo_id, struct err *err)
{
    return db_run(tx, "DELETE FROM removal WHERE repo_id = $1", DB_ARGS(DB_INT(repo_id)), NULL,
                  err);
}

enum st removals_fail(struct db_tx *tx, int64_t repo_id, str error, int64_t now, struct err *err)
{
    AUTO(arena_release) struct arena scratch = { 0 };
    struct repo_removal r = { 0 };
    enum st st = removals_find(tx, repo_id, &scratch, &r, err);
    if (st != ST_OK)
        return st;
    unsigned failures = MIN(r.failures + 1, (unsigned)REMOVAL_TRIES_MAX);
    bool over = failures == REMOVAL_TRIES_MAX;
    int64_t next_at = now + CLOCK_MINUTE_MS * ((int64_t)1 << failures);
    return db_run(tx,
                  "UPDATE removal SET state = $1, failures = $2, next_at = $3, error = $4"
                  " WHERE repo_id = $5",
                  DB_ARGS(DB_TEXT(str_of(states[over ? REMOVAL_FAILED : REMOVAL_SCHEDULED])),
                          DB_INT(failures), DB_INT(next_at),
                          DB_TEXT_OR_NULL(str_slice(error, 0, REMOVAL_ERROR_MAX)), DB_INT(repo_id)),
                  NULL, err);
}

enum st removals_reset(struct db_tx *tx, int64_t repo_id, int64_t now, struct err *err)
{
    int64_t changed = 0;
    enum st st = db_run(tx,
                        "UPDATE removal SET state = 's', failures = 0, next_at = $1, error = NULL"
                        " WHERE repo_id = $2",
                        DB_ARGS(DB_INT(now), DB_INT(repo_id)), &changed, err);
    if (st == ST_OK && changed == 0)
        return err_set(err, ST_NOT_FOUND, "the repository is not to be deleted");
    return st;
}
