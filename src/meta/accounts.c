/* SPDX-License-Identifier: Apache-2.0 */
#include "meta/accounts.h"

#include "base/clock.h"

static const char *const kinds[] = {
    [ACCOUNT_PERSON] = "p",
    [ACCOUNT_ROBOT] = "r",
    [ACCOUNT_HTPASSWD] = "h",
};

static enum st kind_of(str text, enum account_kind *out, struct err *err)
{
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        if (str_eq(text, str_of(kinds[i]))) {
            *out = (enum account_kind)i;
            return ST_OK;
        }
    }
    return err_set(err, ST_CORRUPT, "\"%.*s\" is no kind of account", STR_FMT(text));
}

static bool is_name_byte(char c, bool first)
{
    if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'))
        return true;
    return !first && (c == '.' || c == '_' || c == '@' || c == '+' || c == '-');
}

enum st account_name_check(str name, struct err *err)
{
    bool good = name.len > 0 && name.len <= ACCOUNT_NAME_MAX;
    for (size_t i = 0; good && i < name.len; i++)
        good = is_name_byte(name.ptr[i], i == 0);
    if (!good)
        return err_set(err, ST_INVALID,
                       "the name of an account has 1 to %zu of the characters a-z, 0-9, \".\", "
                       "\"_\", \"@\", \"+\" and \"-\"; the first is a letter or a digit",
                       ACCOUNT_NAME_MAX);
    if (str_eq(name, STR("anonymous")))
        return err_set(err, ST_INVALID, "\"anonymous\" is who brings no credentials");
    if (str_starts(name, STR("deploy-token-")))
        return err_set(err, ST_INVALID, "\"deploy-token-\" begins the names of deploy tokens");
    return ST_OK;
}

static enum st check_hash(enum account_kind kind, str hash, struct err *err)
{
    if (hash.ptr == NULL)
        return ST_OK;
    if (kind == ACCOUNT_ROBOT)
        return err_set(err, ST_INVALID, "a robot account has no password, only tokens");
    if (kind == ACCOUNT_HTPASSWD)
        return err_set(err, ST_INVALID, "the password of this account is in the htpasswd file");
    if (hash.len == 0 || hash.len > ACCOUNTS_HASH_MAX)
        return err_set(err, ST_INVALID, "this is no hash of a password");
    return ST_OK;
}

static enum st check_note(str note, struct err *err)
{
    if (note.len > ACCOUNT_NOTE_MAX)
        return err_set(err, ST_INVALID, "a note has up to %d bytes", ACCOUNT_NOTE_MAX);
    if (!str_is_utf8(note))
        return err_set(err, ST_INVALID, "a note is text in UTF-8");
    return ST_OK;
}

/* ---- reading --------------------------------------------------------------------------------- */

#define ACCOUNT_COLUMNS                                                                            \
    "SELECT id, name, kind, hash, administrator, disabled, generation, created_at, used_at, note"  \
    " FROM account "

static enum st read_account(const struct db_rows *rows, struct arena *a, struct account *out,
                            struct err *err)
{
    struct account account = {
        .id = db_int(rows, 0),
        .name = arena_dup(a, db_text(rows, 1)),
        .administrator = db_int(rows, 4) != 0,
        .disabled = db_int(rows, 5) != 0,
        .generation = db_int(rows, 6),
        .created_at = db_int(rows, 7),
        .used_at = db_int(rows, 8),
    };
    bool copied = account.name.ptr != NULL;
    if (!db_is_null(rows, 3))
        copied &= (account.hash = arena_dup(a, db_text(rows, 3))).ptr != NULL;
    if (!db_is_null(rows, 9))
        copied &= (account.note = arena_dup(a, db_text(rows, 9))).ptr != NULL;
    if (!copied)
        return err_no_memory(err);
    enum st st = kind_of(db_text(rows, 2), &account.kind, err);
    if (st == ST_OK)
        *out = account;
    return st;
}

enum st accounts_find(struct db_tx *tx, str name, struct arena *a, struct account *out,
                      struct err *err)
{
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    enum st st = db_one(tx, &rows, ACCOUNT_COLUMNS "WHERE name = $1", DB_ARGS(DB_TEXT(name)), err);
    if (st == ST_NOT_FOUND)
        return err_set(err, st, "there is no account %.*s", STR_FMT(name));
    return st == ST_OK ? read_account(&rows, a, out, err) : st;
}

enum st accounts_find_id(struct db_tx *tx, int64_t id, struct arena *a, struct account *out,
                         struct err *err)
{
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    enum st st = db_one(tx, &rows, ACCOUNT_COLUMNS "WHERE id = $1 AND name IS NOT NULL",
                        DB_ARGS(DB_INT(id)), err);
    if (st == ST_NOT_FOUND)
        return err_set(err, st, "there is no account with the number %lld", (long long)id);
    return st == ST_OK ? read_account(&rows, a, out, err) : st;
}

enum st accounts_list(struct db_tx *tx, str after, size_t limit, struct arena *a,
                      struct account **out, size_t *count, struct err *err)
{
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    struct account *list = arena_alloc(a, MAX(limit, (size_t)1) * sizeof(*list));
    size_t n = 0;
    if (list == NULL)
        return err_no_memory(err);
    enum st st =
        db_select(tx, &rows, ACCOUNT_COLUMNS "WHERE name > $1 ORDER BY name LIMIT $2",
                  DB_ARGS(DB_TEXT(after.ptr == NULL ? STR("") : after), DB_INT(limit)), err);
    while (st == ST_OK && (st = db_next(&rows, err)) == ST_OK)
        st = read_account(&rows, a, &list[n++], err);
    if (st != ST_END)
        return st;
    *out = list;
    *count = n;
    return ST_OK;
}

enum st accounts_count(struct db_tx *tx, uint64_t *out, struct err *err)
{
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    enum st st = db_one(tx, &rows, "SELECT count(*) FROM account WHERE name > ''", DB_NO_ARGS, err);
    if (st == ST_OK)
        *out = (uint64_t)db_int(&rows, 0);
    return st;
}

/* ---- changing -------------------------------------------------------------------------------- */

enum st accounts_add(struct db_tx *tx, const struct account *in, int64_t *id, struct err *err)
{
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    enum st st = account_name_check(in->name, err);
    if (st == ST_OK)
        st = check_hash(in->kind, in->hash, err);
    if (st == ST_OK)
        st = check_note(in->note, err);
    if (st == ST_OK)
        st = db_select(tx, &rows, "SELECT name FROM account WHERE former_name = $1",
                       DB_ARGS(DB_TEXT(in->name)), err);
    if (st != ST_OK)
        return st;
    if ((st = db_next(&rows, err)) == ST_OK)
        return err_set(err, ST_EXISTS, "there %s an account %.*s%s",
                       db_is_null(&rows, 0) ? "was" : "is", STR_FMT(in->name),
                       db_is_null(&rows, 0) ? ", and its name is not given again" : " already");
    db_rows_close(&rows);
    if (st != ST_END)
        return st;
    st = db_one(tx, &rows,
                "INSERT INTO account (name, former_name, kind, hash, administrator, created_at,"
                " note) VALUES ($1, $1, $2, $3, $4, $5, $6) RETURNING id",
                DB_ARGS(DB_TEXT(in->name), DB_TEXT(str_of(kinds[in->kind])),
                        DB_TEXT_OR_NULL(in->hash), DB_INT(in->administrator),
                        DB_INT(in->created_at), DB_TEXT_OR_NULL(in->note)),
                err);
    if (st == ST_OK)
        *id = db_int(&rows, 0);
    return st;
}

/* An administrator who gets in by a password; robots have tokens, and these end. */
static bool opens_the_door(const struct account *account)
{
    return account->administrator && !account->disabled &&
           (account->kind == ACCOUNT_HTPASSWD ||
            (account->kind == ACCOUNT_PERSON && account->hash.ptr != NULL));
}

/* Called after the change of one that was such an administrator and is none now. */
static enum st need_another(struct db_tx *tx, struct err *err)
{
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    enum st st = db_one(tx, &rows,
                        "SELECT id FROM account WHERE administrator = 1 AND disabled = 0 AND"
                        " (kind = 'h' OR (kind = 'p' AND hash IS NOT NULL)) LIMIT 1",
                        DB_NO_ARGS, err);
    if (st == ST_NOT_FOUND)
        return err_set(err, ST_DENIED,
                       "no administrator would be left who can log in with a password");
    return st;
}

enum st accounts_change(struct db_tx *tx, str name, const struct account_change *change,
                        struct err *err)
{
    AUTO(arena_release) struct arena scratch = { 0 };
    struct account before = { 0 };
    enum st st = accounts_find(tx, name, &scratch, &before, err);
    if (st != ST_OK)
        return st;
    struct account after = before;
    if (change->set_hash) {
        if ((st = check_hash(before.kind, change->hash, err)) != ST_OK)
            return st;
        after.hash = change->hash;
    }
    if (change->set_note) {
        if ((st = check_note(change->note, err)) != ST_OK)
            return st;
        after.note = change->note;
    }
    if (change->set_administrator)
        after.administrator = change->administrator;
    if (change->set_disabled)
        after.disabled = change->disabled;
    if (change->set_hash || after.disabled != before.disabled)
        after.generation++;
    st = db_run(tx,
                "UPDATE account SET hash = $1, administrator = $2, disabled = $3, generation = $4,"
                " note = $5 WHERE id = $6",
                DB_ARGS(DB_TEXT_OR_NULL(after.hash), DB_INT(after.administrator),
                        DB_INT(after.disabled), DB_INT(after.generation),
                        DB_TEXT_OR_NULL(after.note), DB_INT(after.id)),
                NULL, err);
    if (st == ST_OK && opens_the_door(&before) && !opens_the_door(&after))
        st = need_another(tx, err);
    return st;
}

enum st accounts_remove(struct db_tx *tx, str name, struct err *err)
{
    AUTO(arena_release) struct arena scratch = { 0 };
    struct account account = { 0 };
    enum st st = accounts_find(tx, name, &scratch, &account, err);
    if (st == ST_OK)
        st = db_run(tx, "DELETE FROM access_token WHERE account_id = $1",
                    DB_ARGS(DB_INT(account.id)), NULL, err);
    if (st == ST_OK)
        st = db_run(tx, "DELETE FROM member WHERE account_id = $1", DB_ARGS(DB_INT(account.id)),
                    NULL, err);
    if (st == ST_OK)
        st = db_run(tx,
                    "UPDATE account SET name = NULL, hash = NULL, administrator = 0, disabled = 1,"
                    " generation = generation + 1, note = NULL WHERE id = $1",
                    DB_ARGS(DB_INT(account.id)), NULL, err);
    if (st == ST_OK && opens_the_door(&account))
        st = need_another(tx, err);
    return st;
}

enum st accounts_note_use(struct db_tx *tx, int64_t id, int64_t now, struct err *err)
{
    return db_run(tx,
                  "UPDATE account SET used_at = $1 WHERE id = $2 AND"
                  " (used_at IS NULL OR used_at < $1)",
                  DB_ARGS(DB_INT(now - now % CLOCK_HOUR_MS), DB_INT(id)), NULL, err);
}
