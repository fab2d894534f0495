/* SPDX-License-Identifier: Apache-2.0 */
#include "meta/targets.h"

#include "base/buf.h"

#define MANIFEST_COLUMNS "m.id, m.size, m.pushed_at, m.due_at, m.receipt_id"

static struct manifest_target read_manifest(const struct db_rows *rows)
{
    return (struct manifest_target){ .id = db_int(rows, 0),
                                     .size = (uint64_t)db_int(rows, 1),
                                     .pushed_at = db_int(rows, 2),
                                     .due_at = db_int(rows, 3),
                                     .receipt_id = db_int(rows, 4) };
}

enum st targets_tag(struct db_tx *tx, int64_t repo_id, str tag, struct tag_target *out,
                    struct err *err)
{
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    struct tag_target t = { 0 };
    enum st st = db_one(tx, &rows,
                        "SELECT " MANIFEST_COLUMNS ", m.digest, t.tagged_at FROM tag t"
                        " JOIN manifest m ON m.id = t.manifest_id"
                        " WHERE t.repo_id = $1 AND t.name = $2",
                        DB_ARGS(DB_INT(repo_id), DB_TEXT(tag)), err);
    if (st == ST_OK)
        st = digest_of_key(db_bytes(&rows, 5), &t.digest, err);
    if (st != ST_OK)
        return st;
    t.tagged_at = db_int(&rows, 6);
    t.manifest = read_manifest(&rows);
    *out = t;
    return ST_OK;
}

enum st targets_manifest(struct db_tx *tx, int64_t repo_id, const struct digest *d,
                         struct manifest_target *out, struct err *err)
{
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    char key[DIGEST_KEY_MAX];
    enum st st = db_one(tx, &rows,
                        "SELECT " MANIFEST_COLUMNS " FROM manifest m"
                        " WHERE m.repo_id = $1 AND m.digest = $2",
                        DB_ARGS(DB_INT(repo_id), DB_BYTES(digest_key(d, key))), err);
    if (st == ST_OK)
        *out = read_manifest(&rows);
    return st;
}

enum st targets_link(struct db_tx *tx, int64_t repo_id, const struct digest *d,
                     struct link_target *out, struct err *err)
{
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    char key[DIGEST_KEY_MAX];
    enum st st = db_one(tx, &rows,
                        "SELECT l.blob_id, l.size, l.due_at, l.receipt_id, l.kept + l.loose"
                        " FROM blob b JOIN repo_blob l ON l.blob_id = b.id AND l.repo_id = $1"
                        " WHERE b.digest = $2",
                        DB_ARGS(DB_INT(repo_id), DB_BYTES(digest_key(d, key))), err);
    if (st == ST_OK)
        *out = (struct link_target){ .blob_id = db_int(&rows, 0),
                                     .size = (uint64_t)db_int(&rows, 1),
                                     .due_at = db_int(&rows, 2),
                                     .receipt_id = db_int(&rows, 3),
                                     .live_use = db_int(&rows, 4) > 0 };
    return st;
}
