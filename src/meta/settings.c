/* SPDX-License-Identifier: Apache-2.0 */
#include "meta/settings.h"

enum st settings_get(struct db_tx *tx, const char *name, struct arena *a, str *out, struct err *err)
{
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    enum st st = db_one(tx, &rows, "SELECT value FROM setting WHERE name = $1",
                        DB_ARGS(DB_TEXT(str_of(name))), err);
    if (st == ST_NOT_FOUND) {
        *out = STR_NONE;
        return ST_OK;
    }
    if (st != ST_OK)
        return st;
    str value = arena_dup(a, db_text(&rows, 0));
    if (value.ptr == NULL)
        return err_no_memory(err);
    *out = value;
    return ST_OK;
}

enum st settings_set(struct db_tx *tx, const char *name, str value, struct err *err)
{
    if (value.ptr == NULL)
        return db_run(tx, "DELETE FROM setting WHERE name = $1", DB_ARGS(DB_TEXT(str_of(name))),
                      NULL, err);
    return db_run(tx,
                  "INSERT INTO setting (name, value) VALUES ($1, $2)"
                  " ON CONFLICT (name) DO UPDATE SET value = excluded.value",
                  DB_ARGS(DB_TEXT(str_of(name)), DB_TEXT(value)), NULL, err);
}
