/* SPDX-License-Identifier: Apache-2.0 */
#include "meta/tags.h"

#include "meta/usage.h"

enum st tags_find(struct db_tx *tx, int64_t repo_id, str tag, int64_t *manifest_id,
                  struct digest *digest, struct err *err)
{
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    enum st st = db_one(tx, &rows,
                        "SELECT m.id, m.digest FROM tag t JOIN manifest m ON m.id = t.manifest_id"
                        " WHERE t.repo_id = $1 AND t.name = $2",
                        DB_ARGS(DB_INT(repo_id), DB_TEXT(tag)), err);
    if (st == ST_NOT_FOUND)
        return err_set(err, st, "there is no tag %.*s", STR_FMT(tag));
    if (st == ST_OK)
        st = digest_of_key(db_bytes(&rows, 1), digest, err);
    if (st == ST_OK)
        *manifest_id = db_int(&rows, 0);
    return st;
}

enum st tags_set(struct db_tx *tx, int64_t repo_id, str tag, int64_t manifest_id,
                 const struct keeping *k, int64_t now, struct err *err)
{
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    enum st st =
        db_select(tx, &rows, "SELECT manifest_id FROM tag WHERE repo_id = $1 AND name = $2",
                  DB_ARGS(DB_INT(repo_id), DB_TEXT(tag)), err);
    if (st == ST_OK)
        st = db_next(&rows, err);
    if (st != ST_OK && st != ST_END)
        return st;
    int64_t before = st == ST_OK ? db_int(&rows, 0) : 0;
    db_rows_close(&rows);

    st =
        db_run(tx,
               "INSERT INTO tag (repo_id, name, manifest_id, tagged_at, created_at)"
               " VALUES ($1, $2, $3, $4, $4)"
               " ON CONFLICT (repo_id, name) DO UPDATE SET manifest_id = excluded.manifest_id,"
               " tagged_at = excluded.tagged_at",
               DB_ARGS(DB_INT(repo_id), DB_TEXT(tag), DB_INT(manifest_id), DB_INT(now)), NULL, err);
    if (st == ST_OK && before == 0)
        st = usage_add(tx, repo_id, &(struct usage_delta){ .tags = 1 }, err);
    if (st == ST_OK && before != 0 && before != manifest_id)
        st = manifests_review(tx, before, k, now, NULL, err);
    return st;
}

enum st tags_remove(struct db_tx *tx, int64_t repo_id, str tag, struct err *err)
{
    int64_t removed = 0;
    enum st st = db_run(tx, "DELETE FROM tag WHERE repo_id = $1 AND name = $2",
                        DB_ARGS(DB_INT(repo_id), DB_TEXT(tag)), &removed, err);
    if (st == ST_OK)
        st = usage_add(tx, repo_id, &(struct usage_delta){ .tags = -removed }, err);
    return st;
}

enum st tags_first_of(struct db_tx *tx, int64_t manifest_id, struct arena *a, str *tag,
                      struct err *err)
{
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    enum st st = db_one(tx, &rows, "SELECT name FROM tag WHERE manifest_id = $1 LIMIT 1",
                        DB_ARGS(DB_INT(manifest_id)), err);
    if (st != ST_OK)
        return st;
    str copy = arena_dup(a, db_text(&rows, 0));
    if (copy.ptr == NULL)
        return err_no_memory(err);
    *tag = copy;
    return ST_OK;
}

enum st tags_list(struct db_tx *tx, str repo, str last, size_t limit, struct arena *a,
                  struct name_page *out, struct err *err)
{
    int64_t repo_id = 0;
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    enum st st = repositories_find(tx, repo, &repo_id, err);
    if (st != ST_OK)
        return st;
    str after = last.ptr == NULL ? STR("") : last; /* no tag is empty: before all of them */
    st = db_select(tx, &rows,
                   "SELECT name FROM tag WHERE repo_id = $1 AND name > $2 AND NOT EXISTS"
                   " (SELECT 1 FROM lock WHERE repo = $3 AND kind = 't' AND object = tag.name"
                   "  AND may % 8 < 4) ORDER BY name LIMIT $4",
                   DB_ARGS(DB_INT(repo_id), DB_TEXT(after), DB_TEXT(repo), DB_INT(limit + 1)), err);
    if (st != ST_OK)
        return st;
    return name_page_read(&rows, limit, a, out, err);
}
