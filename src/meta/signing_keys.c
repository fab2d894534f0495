/* SPDX-License-Identifier: Apache-2.0 */
#include "meta/signing_keys.h"

enum st signing_keys_add(struct db_tx *tx, const struct signing_key *in, struct err *err)
{
    return db_run(tx, "INSERT INTO signing_key (kid, jwk, created_at) VALUES ($1, $2, $3)",
                  DB_ARGS(DB_TEXT(in->kid), DB_TEXT(in->jwk), DB_INT(in->created_at)), NULL, err);
}

enum st signing_keys_list(struct db_tx *tx, struct arena *a, struct signing_key **out,
                          size_t *count, struct err *err)
{
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    struct signing_key *list = arena_alloc(a, SIGNING_KEYS_MAX * sizeof(*list));
    size_t n = 0;
    if (list == NULL)
        return err_no_memory(err);
    enum st st = db_select(tx, &rows,
                           "SELECT kid, jwk, created_at FROM signing_key"
                           " ORDER BY created_at DESC, kid DESC LIMIT $1",
                           DB_ARGS(DB_INT(SIGNING_KEYS_MAX)), err);
    while (st == ST_OK && (st = db_next(&rows, err)) == ST_OK) {
        struct signing_key key = { .kid = arena_dup(a, db_text(&rows, 0)),
                                   .jwk = arena_dup(a, db_text(&rows, 1)),
                                   .created_at = db_int(&rows, 2) };
        if (key.kid.ptr == NULL || key.jwk.ptr == NULL)
            return err_no_memory(err);
        list[n++] = key;
    }
    if (st != ST_END)
        return st;
    *out = list;
    *count = n;
    return ST_OK;
}

enum st signing_keys_drop(struct db_tx *tx, int64_t before, struct err *err)
{
    return db_run(tx,
                  "DELETE FROM signing_key WHERE created_at < $1 AND kid <> (SELECT kid FROM"
                  " signing_key ORDER BY created_at DESC, kid DESC LIMIT 1)",
                  DB_ARGS(DB_INT(before)), NULL, err);
}
