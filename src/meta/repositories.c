/* SPDX-License-Identifier: Apache-2.0 */
#include "meta/repositories.h"

#include "meta/settings.h"

/* Looks without wording a failure: absent is ST_OK with id 0. */
static enum st look_up(struct db_tx *tx, str name, int64_t *id, struct err *err)
{
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    enum st st = db_select(tx, &rows, "SELECT id FROM repository WHERE name = $1",
                           DB_ARGS(DB_TEXT(name)), err);
    if (st == ST_OK)
        st = db_next(&rows, err);
    if (st != ST_OK && st != ST_END)
        return st;
    *id = st == ST_OK ? db_int(&rows, 0) : 0;
    return ST_OK;
}

enum st repositories_find(struct db_tx *tx, str name, int64_t *id, struct err *err)
{
    int64_t found = 0;
    enum st st = look_up(tx, name, &found, err);
    if (st != ST_OK)
        return st;
    if (found == 0)
        return err_set(err, ST_NOT_FOUND, "there is no repository %.*s", STR_FMT(name));
    *id = found;
    return ST_OK;
}

/* The highest id that a repository has or had: GitLab's API knows repositories by their numbers, so
 * none is given twice. What is kept is the highest of those that went. */
#define LAST_ID "repository.last_id"

static enum st newest_id(struct db_tx *tx, int64_t *id, struct err *err)
{
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    int64_t newest = 0;
    enum st st = db_select(tx, &rows,
                           "SELECT max(id) FROM repository UNION ALL"
                           " SELECT CAST(value AS BIGINT) FROM setting WHERE name = '" LAST_ID "'",
                           DB_NO_ARGS, err);
    while (st == ST_OK && (st = db_next(&rows, err)) == ST_OK)
        newest = MAX(newest, db_int(&rows, 0));
    if (st != ST_END)
        return st;
    *id = newest;
    return ST_OK;
}

static enum st new_id(struct db_tx *tx, int64_t *id, struct err *err)
{
    int64_t newest = 0;
    enum st st = newest_id(tx, &newest, err);
    if (st == ST_OK)
        *id = newest + 1;
    return st;
}

enum st repositories_need(struct db_tx *tx, str name, int64_t now, int64_t *id, struct err *err)
{
    int64_t found = 0;
    enum st st = look_up(tx, name, &found, err);
    if (st != ST_OK)
        return st;
    if (found == 0) {
        st = new_id(tx, &found, err);
        if (st == ST_OK)
            st = db_run(tx, "INSERT INTO repository (id, name, created_at) VALUES ($1, $2, $3)",
                        DB_ARGS(DB_INT(found), DB_TEXT(name), DB_INT(now)), NULL, err);
        if (st != ST_OK)
            return st;
    }
    *id = found;
    return ST_OK;
}

enum st repositories_drop_if_empty(struct db_tx *tx, int64_t id, struct err *err)
{
    char text[24];
    int64_t dropped = 0;
    int64_t newest = 0;
    enum st st = newest_id(tx, &newest, err);
    if (st == ST_OK)
        st = db_run(tx,
                    "DELETE FROM repository WHERE id = $1"
                    " AND NOT EXISTS (SELECT 1 FROM manifest WHERE repo_id = $1)"
                    " AND NOT EXISTS (SELECT 1 FROM repo_blob WHERE repo_id = $1)",
                    DB_ARGS(DB_INT(id)), &dropped, err);
    if (st != ST_OK || dropped == 0 || id < newest)
        return st;
    (void)snprintf(text, sizeof(text), "%lld", (long long)id);
    return settings_set(tx, LAST_ID, str_of(text), err);
}

enum st name_page_read(struct db_rows *rows, size_t limit, struct arena *a, struct name_page *out,
                       struct err *err)
{
    struct name_page page = { 0 };
    enum st st = ST_END;
    if (limit > 0) {
        page.names = arena_alloc(a, limit * sizeof(str));
        if (page.names == NULL)
            return err_no_memory(err);
    }
    while ((st = db_next(rows, err)) == ST_OK) {
        if (page.count == limit) {
            page.more = true;
            break;
        }
        str copy = arena_dup(a, db_text(rows, 0));
        if (copy.ptr == NULL)
            return err_no_memory(err);
        page.names[page.count++] = copy;
    }
    if (st != ST_END && st != ST_OK)
        return st;
    *out = page;
    return ST_OK;
}

enum st repositories_list(struct db_tx *tx, str last, size_t limit, struct arena *a,
                          struct name_page *out, struct err *err)
{
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    str after = last.ptr == NULL ? STR("") : last; /* no name is empty: before all of them */
    enum st st = db_select(tx, &rows,
                           "SELECT name FROM repository WHERE name > $1 AND EXISTS (SELECT 1 FROM"
                           " manifest WHERE repo_id = repository.id AND receipt_id IS NULL)"
                           " AND NOT EXISTS (SELECT 1 FROM lock WHERE repo = repository.name"
                           "  AND kind = 'r' AND object = '' AND may % 8 < 4)"
                           " ORDER BY name LIMIT $2",
                           DB_ARGS(DB_TEXT(after), DB_INT(limit + 1)), err);
    if (st != ST_OK)
        return st;
    return name_page_read(&rows, limit, a, out, err);
}
