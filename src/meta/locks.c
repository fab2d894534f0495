/* SPDX-License-Identifier: Apache-2.0 */
#include "meta/locks.h"

#include "meta/manifests.h"
#include "meta/rules_int.h"

/* Columns kind and object of a row. */
struct lock_key {
    str kind;
    str object;
    char text[DIGEST_TEXT_MAX + 1];
};

static void key_of(const struct lock_object *o, struct lock_key *out)
{
    out->kind = STR("r");
    out->object = STR("");
    if (o->digest != NULL) {
        out->kind = STR("m");
        out->object = digest_text(o->digest, out->text);
    } else if (o->tag.ptr != NULL) {
        out->kind = STR("t");
        out->object = o->tag;
    }
}

enum st locks_get(struct db_tx *tx, const struct lock_object *o, unsigned *may, struct err *err)
{
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    struct lock_key key;
    key_of(o, &key);
    enum st st =
        db_one(tx, &rows, "SELECT may FROM lock WHERE repo = $1 AND kind = $2 AND object = $3",
               DB_ARGS(DB_TEXT(o->repo), DB_TEXT(key.kind), DB_TEXT(key.object)), err);
    if (st != ST_OK && st != ST_NOT_FOUND)
        return st;
    *may = st == ST_OK ? (unsigned)db_int(&rows, 0) & LOCK_MAY_ALL : LOCK_MAY_ALL;
    return ST_OK;
}

static enum st store(struct db_tx *tx, const struct lock_object *o, unsigned may, struct err *err)
{
    char digest[DIGEST_KEY_MAX];
    struct lock_key key;
    key_of(o, &key);
    if ((may & LOCK_MAY_ALL) == LOCK_MAY_ALL)
        return db_run(tx, "DELETE FROM lock WHERE repo = $1 AND kind = $2 AND object = $3",
                      DB_ARGS(DB_TEXT(o->repo), DB_TEXT(key.kind), DB_TEXT(key.object)), NULL, err);
    return db_run(tx,
                  "INSERT INTO lock (repo, kind, object, digest, may) VALUES ($1, $2, $3, $4, $5)"
                  " ON CONFLICT (repo, kind, object) DO UPDATE SET may = excluded.may",
                  DB_ARGS(DB_TEXT(o->repo), DB_TEXT(key.kind), DB_TEXT(key.object),
                          o->digest == NULL ? DB_NULL : DB_BYTES(digest_key(o->digest, digest)),
                          DB_INT(may & LOCK_MAY_ALL)),
                  NULL, err);
}

/* It may be kept from now on, or be kept no more. */
static enum st review(struct db_tx *tx, const struct lock_object *o, const struct keeping *k,
                      int64_t now, struct err *err)
{
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    char key[DIGEST_KEY_MAX];
    enum st st = db_one(tx, &rows,
                        "SELECT m.id FROM repository r JOIN manifest m"
                        " ON m.repo_id = r.id AND m.digest = $1 WHERE r.name = $2",
                        DB_ARGS(DB_BYTES(digest_key(o->digest, key)), DB_TEXT(o->repo)), err);
    if (st != ST_OK)
        return st == ST_NOT_FOUND ? ST_OK : st;
    int64_t id = db_int(&rows, 0);
    db_rows_close(&rows);
    return manifests_review(tx, id, k, now, NULL, err);
}

enum st locks_set(struct db_tx *tx, const struct lock_object *o, unsigned may,
                  const struct keeping *k, int64_t now, struct err *err)
{
    enum st st = rules_new_version(tx, err);
    if (st == ST_OK)
        st = store(tx, o, may, err);
    return st == ST_OK && o->digest != NULL ? review(tx, o, k, now, err) : st;
}

static enum st may_read(struct db_tx *tx, const struct lock_object *o, bool *out, struct err *err)
{
    unsigned may = 0;
    enum st st = locks_get(tx, o, &may, err);
    *out = (may & LOCK_MAY_READ) != 0;
    return st;
}

enum st locks_may_read(struct db_tx *tx, str repo, str tag, const struct digest *digest,
                       struct err *err)
{
    char text[DIGEST_TEXT_MAX + 1];
    bool may = true;
    enum st st = may_read(tx, &(struct lock_object){ .repo = repo }, &may, err);
    if (st == ST_OK && !may)
        return err_set(err, ST_DENIED,
                       "the repository %.*s is locked: it must not be read (readEnabled is false)",
                       STR_FMT(repo));
    if (st == ST_OK && tag.ptr != NULL)
        st = may_read(tx, &(struct lock_object){ .repo = repo, .tag = tag }, &may, err);
    if (st == ST_OK && !may)
        return err_set(err, ST_DENIED,
                       "the tag %.*s of %.*s is locked: it must not be read (readEnabled is false)",
                       STR_FMT(tag), STR_FMT(repo));
    if (st == ST_OK && digest != NULL)
        st = may_read(tx, &(struct lock_object){ .repo = repo, .digest = digest }, &may, err);
    if (st == ST_OK && !may) {
        str name = digest_text(digest, text);
        return err_set(err, ST_DENIED,
                       "%.*s in %.*s is locked: it must not be read (readEnabled is false)",
                       STR_FMT(name), STR_FMT(repo));
    }
    return st;
}

enum st locks_any(struct db_tx *tx, bool *out, struct err *err)
{
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    enum st st = db_one(tx, &rows, "SELECT EXISTS (SELECT 1 FROM lock)", DB_NO_ARGS, err);
    if (st == ST_OK)
        *out = db_int(&rows, 0) != 0;
    return st;
}
