/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"
#include "meta/accounts.h"
#include "meta/path_range.h"
#include "meta/settings.h"

#define LAST_TOKEN "tokens.last" /* the setting with the highest number given */

#define TOKEN_COLUMNS                                                                              \
    "SELECT t.id, t.account_id, a.name, t.name, t.prefix, t.scopes, t.created_at, t.expires_at,"   \
    " t.used_at, t.created_by FROM access_token t LEFT JOIN account a ON a.id = t.account_id "

static enum st read_token(const struct db_rows *rows, struct arena *a, struct access_token *out,
                          struct err *err)
{
    struct access_token token = {
        .id = db_int(rows, 0),
        .account_id = db_int(rows, 1),
        .name = arena_dup(a, db_text(rows, 3)),
        .prefix = arena_dup(a, db_text(rows, 4)),
        .scopes = (unsigned)db_int(rows, 5),
        .created_at = db_int(rows, 6),
        .expires_at = db_int(rows, 7),
        .used_at = db_int(rows, 8),
        .created_by = arena_dup(a, db_text(rows, 9)),
    };
    bool copied =
        token.name.ptr != NULL && token.prefix.ptr != NULL && token.created_by.ptr != NULL;
    if (!db_is_null(rows, 2))
        copied &= (token.account = arena_dup(a, db_text(rows, 2))).ptr != NULL;
    if (!copied)
        return err_no_memory(err);
    *out = token;
    return ST_OK;
}

/* ---- adding ---------------------------------------------------------------------------------- */

static enum st check_token(const struct access_token *in, struct err *err)
{
    unsigned all = SCOPE_PULL | SCOPE_PUSH | SCOPE_DELETE | SCOPE_ADMIN;
    if (in->name.len == 0 || in->name.len > TOKEN_NAME_MAX || !str_is_utf8(in->name))
        return err_set(err, ST_INVALID, "the name of a token has 1 to %d bytes of UTF-8",
                       TOKEN_NAME_MAX);
    if (in->scopes == 0 || (in->scopes & ~all) != 0)
        return err_set(err, ST_INVALID, "a token has at least one scope");
    if (in->account_id == 0 && in->prefix.len == 0)
        return err_set(err, ST_INVALID,
                       "a deploy token is for a path; for the whole registry use a robot account");
    if (in->expires_at != 0 && in->expires_at <= in->created_at)
        return err_set(err, ST_INVALID, "the token would be expired from the start");
    return prefix_check(in->prefix, err);
}

/* There is an owner, and it has room for one token more. */
static enum st check_owner(struct db_tx *tx, const struct access_token *in, struct err *err)
{
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    AUTO(arena_release) struct arena scratch = { 0 };
    struct account account;
    enum st st;
    if (in->account_id == 0) {
        st = db_one(tx, &rows,
                    "SELECT count(*) FROM access_token WHERE account_id IS NULL AND prefix = $1",
                    DB_ARGS(DB_TEXT(in->prefix)), err);
    } else {
        st = accounts_find_id(tx, in->account_id, &scratch, &account, err);
        if (st == ST_OK)
            st = db_one(tx, &rows, "SELECT count(*) FROM access_token WHERE account_id = $1",
                        DB_ARGS(DB_INT(in->account_id)), err);
    }
    if (st == ST_OK && db_int(&rows, 0) >= TOKENS_MAX)
        return err_set(err, ST_TOO_LARGE,
                       "there may be %d tokens of one account and of one path; remove one first",
                       TOKENS_MAX);
    return st;
}

/* The number of a token that is gone is in receipts and in JWTs: no other gets it. */
static enum st next_id(struct db_tx *tx, int64_t *out, struct err *err)
{
    AUTO(arena_release) struct arena scratch = { 0 };
    str text = STR_NONE;
    uint64_t last = 0;
    enum st st = settings_get(tx, LAST_TOKEN, &scratch, &text, err);
    if (st != ST_OK)
        return st;
    if (text.ptr != NULL && !str_to_u64(text, INT64_MAX - 1, &last))
        return err_set(err, ST_CORRUPT, "the setting " LAST_TOKEN " is no number");
    str next = arena_printf(&scratch, "%llu", (unsigned long long)last + 1);
    if (next.ptr == NULL)
        return err_no_memory(err);
    *out = (int64_t)last + 1;
    return settings_set(tx, LAST_TOKEN, next, err);
}

enum st tokens_add(struct db_tx *tx, const struct access_token *in,
                   const uint8_t hash[static TOKEN_HASH_BYTES], int64_t *id, struct err *err)
{
    str bytes = { (const char *)hash, TOKEN_HASH_BYTES };
    int64_t next = 0;
    enum st st = check_token(in, err);
    if (st == ST_OK)
        st = check_owner(tx, in, err);
    if (st == ST_OK)
        st = next_id(tx, &next, err);
    if (st == ST_OK)
        st = db_run(tx,
                    "INSERT INTO access_token (id, account_id, name, hash, prefix, scopes,"
                    " created_at, expires_at, created_by)"
                    " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
                    DB_ARGS(DB_INT(next), in->account_id == 0 ? DB_NULL : DB_INT(in->account_id),
                            DB_TEXT(in->name), DB_BYTES(bytes),
                            DB_TEXT(in->prefix.len == 0 ? STR("") : in->prefix), DB_INT(in->scopes),
                            DB_INT(in->created_at),
                            in->expires_at == 0 ? DB_NULL : DB_INT(in->expires_at),
                            DB_TEXT(in->created_by.len == 0 ? STR("") : in->created_by)),
                    NULL, err);
    if (st == ST_OK)
        *id = next;
    return st;
}

/* ---- reading --------------------------------------------------------------------------------- */

enum st tokens_find(struct db_tx *tx, const uint8_t hash[static TOKEN_HASH_BYTES], struct arena *a,
                    struct access_token *out, struct err *err)
{
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    str bytes = { (const char *)hash, TOKEN_HASH_BYTES };
    enum st st =
        db_one(tx, &rows, TOKEN_COLUMNS "WHERE t.hash = $1", DB_ARGS(DB_BYTES(bytes)), err);
    if (st == ST_NOT_FOUND)
        return err_set(err, st, "there is no such token");
    return st == ST_OK ? read_token(&rows, a, out, err) : st;
}

enum st tokens_find_id(struct db_tx *tx, int64_t id, struct arena *a, struct access_token *out,
                       struct err *err)
{
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    enum st st = db_one(tx, &rows, TOKEN_COLUMNS "WHERE t.id = $1", DB_ARGS(DB_INT(id)), err);
    if (st == ST_NOT_FOUND)
        return err_set(err, st, "there is no token %lld", (long long)id);
    return st == ST_OK ? read_token(&rows, a, out, err) : st;
}

static enum st select_deploy_tokens(struct db_tx *tx, struct db_rows *rows, str prefix,
                                    int64_t after, size_t limit, struct err *err)
{
    struct path_range below;
    if (prefix.len == 0)
        return db_select(tx, rows,
                         TOKEN_COLUMNS "WHERE t.account_id IS NULL AND t.id > $1"
                                       " ORDER BY t.id LIMIT $2",
                         DB_ARGS(DB_INT(after), DB_INT(limit)), err);
    enum st st = path_range_below(prefix, &below, err);
    if (st != ST_OK)
        return st;
    return db_select(tx, rows,
                     TOKEN_COLUMNS
                     "WHERE t.id IN (SELECT id FROM access_token WHERE account_id IS NULL"
                     " AND prefix = $1 UNION ALL SELECT id FROM access_token WHERE account_id IS"
                     " NULL AND prefix > $2 AND prefix < $3) AND t.id > $4 ORDER BY t.id LIMIT $5",
                     DB_ARGS(DB_TEXT(prefix), DB_TEXT(below.from), DB_TEXT(below.to), DB_INT(after),
                             DB_INT(limit)),
                     err);
}

enum st tokens_list(struct db_tx *tx, enum tokens_whose whose, int64_t account_id, str prefix,
                    int64_t after, size_t limit, struct arena *a, struct access_token **out,
                    size_t *count, struct err *err)
{
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    struct access_token *list = arena_alloc(a, MAX(limit, (size_t)1) * sizeof(*list));
    size_t n = 0;
    enum st st = ST_OK;
    if (list == NULL)
        return err_no_memory(err);
    switch (whose) {
    case TOKENS_ALL:
        st = db_select(tx, &rows, TOKEN_COLUMNS "WHERE t.id > $1 ORDER BY t.id LIMIT $2",
                       DB_ARGS(DB_INT(after), DB_INT(limit)), err);
        break;
    case TOKENS_OF_ACCOUNT:
        st = db_select(tx, &rows,
                       TOKEN_COLUMNS "WHERE t.account_id = $1 AND t.id > $2 ORDER BY t.id LIMIT $3",
                       DB_ARGS(DB_INT(account_id), DB_INT(after), DB_INT(limit)), err);
        break;
    case TOKENS_DEPLOY:
        st = select_deploy_tokens(tx, &rows, prefix, after, limit, err);
        break;
    }
    while (st == ST_OK && (st = db_next(&rows, err)) == ST_OK)
        st = read_token(&rows, a, &list[n++], err);
    if (st != ST_END)
        return st;
    *out = list;
    *count = n;
    return ST_OK;
}

/* ---- the rest -------------------------------------------------------------------------------- */

enum st tokens_remove(struct db_tx *tx, int64_t id, struct err *err)
{
    int64_t removed = 0;
    enum st st =
        db_run(tx, "DELETE FROM access_token WHERE id = $1", DB_ARGS(DB_INT(id)), &removed, err);
    if (st == ST_OK && removed == 0)
        return err_set(err, ST_NOT_FOUND, "there is no token %lld", (long long)id);
    return st;
}

enum st tokens_note_use(struct db_tx *tx, int64_t id, int64_t now, struct err *err)
{
    return db_run(tx,
                  "UPDATE access_token SET used_at = $1 WHERE id = $2 AND"
                  " (used_at IS NULL OR used_at < $1)",
                  DB_ARGS(DB_INT(now - now % CLOCK_MINUTE_MS), DB_INT(id)), NULL, err);
}

enum st tokens_expire(struct db_tx *tx, int64_t now, int64_t keep_ms, size_t limit, struct err *err)
{
    return db_run(tx,
                  "DELETE FROM access_token WHERE id IN (SELECT id FROM access_token"
                  " WHERE expires_at < $1 ORDER BY expires_at LIMIT $2)",
                  DB_ARGS(DB_INT(now - keep_ms), DB_INT(limit)), NULL, err);
}
