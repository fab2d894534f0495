/* SPDX-License-Identifier: Apache-2.0 */
#include "meta/namespaces.h"

#include "oci/name.h"

static enum st read_namespace(const struct db_rows *rows, struct arena *a,
                              struct gitlab_namespace *out, struct err *err)
{
    str path = arena_dup(a, db_text(rows, 1));
    if (path.ptr == NULL)
        return err_no_memory(err);
    *out = (struct gitlab_namespace){ .id = db_int(rows, 0),
                                      .path = path,
                                      .is_project = db_int(rows, 2) != 0 };
    return ST_OK;
}

enum st namespaces_find(struct db_tx *tx, str path, struct arena *a, struct gitlab_namespace *out,
                        struct err *err)
{
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    enum st st = db_one(tx, &rows, "SELECT id, path, is_project FROM namespace WHERE path = $1",
                        DB_ARGS(DB_TEXT(path)), err);
    if (st == ST_NOT_FOUND)
        return err_set(err, st, "%.*s has no number", STR_FMT(path));
    return st == ST_OK ? read_namespace(&rows, a, out, err) : st;
}

enum st namespaces_find_id(struct db_tx *tx, int64_t id, struct arena *a,
                           struct gitlab_namespace *out, struct err *err)
{
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    enum st st = db_one(tx, &rows, "SELECT id, path, is_project FROM namespace WHERE id = $1",
                        DB_ARGS(DB_INT(id)), err);
    if (st == ST_NOT_FOUND)
        return err_set(err, st, "nothing has the number %lld", (long long)id);
    return st == ST_OK ? read_namespace(&rows, a, out, err) : st;
}

enum st namespaces_get(struct db_tx *tx, str path, bool is_project, struct arena *a,
                       struct gitlab_namespace *out, struct err *err)
{
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    struct gitlab_namespace found = { 0 };
    enum st st = name_check(path, err);
    if (st == ST_OK)
        st = namespaces_find(tx, path, a, &found, err);
    if (st == ST_OK && is_project && !found.is_project) {
        found.is_project = true;
        st = db_run(tx, "UPDATE namespace SET is_project = 1 WHERE id = $1",
                    DB_ARGS(DB_INT(found.id)), NULL, err);
    }
    if (st == ST_OK)
        *out = found;
    if (st != ST_NOT_FOUND)
        return st;
    st = db_one(tx, &rows,
                "INSERT INTO namespace (path, is_project) VALUES ($1, $2)"
                " RETURNING id, path, is_project",
                DB_ARGS(DB_TEXT(path), DB_INT(is_project)), err);
    return st == ST_OK ? read_namespace(&rows, a, out, err) : st;
}
