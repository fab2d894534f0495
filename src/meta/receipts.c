/* SPDX-License-Identifier: Apache-2.0 */
#include "meta/receipts.h"

enum st receipts_add(struct db_tx *tx, const struct receipt *r, int64_t *id, struct err *err)
{
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    enum st st = db_one(tx, &rows,
                        "INSERT INTO receipt (created_at, due_at, door, actor, peer, reason)"
                        " VALUES ($1, $2, $3, $4, $5, $6) RETURNING id",
                        DB_ARGS(DB_INT(r->created_at), DB_INT(r->due_at), DB_TEXT(r->door),
                                DB_TEXT(r->actor), DB_TEXT(r->peer), DB_TEXT_OR_NULL(r->reason)),
                        err);
    if (st == ST_OK)
        *id = db_int(&rows, 0);
    return st;
}

enum st receipts_add_item(struct db_tx *tx, int64_t receipt_id, int64_t number,
                          const struct receipt_item *item, struct err *err)
{
    static const char *const kinds[] = { "t", "m", "b" };
    char key[DIGEST_KEY_MAX];
    return db_run(tx,
                  "INSERT INTO receipt_item (receipt_id, item, kind, repo, tag, digest, size)"
                  " VALUES ($1, $2, $3, $4, $5, $6, $7)",
                  DB_ARGS(DB_INT(receipt_id), DB_INT(number), DB_TEXT(str_of(kinds[item->kind])),
                          DB_TEXT(item->repo), DB_TEXT_OR_NULL(item->tag),
                          DB_BYTES(digest_key(&item->digest, key)), DB_INT(item->size)),
                  NULL, err);
}
