/* SPDX-License-Identifier: Apache-2.0 */
#include "meta/members.h"

#include "meta/accounts.h"

/* An empty text for the database, where an unset one would be NULL. */
static str text_of(str s)
{
    return s.len == 0 ? STR("") : s;
}

/* The path above: false when there is none, for "". */
static bool go_up(str *path)
{
    str last;
    if (path->len == 0)
        return false;
    if (!str_cut_last(*path, '/', path, &last))
        *path = STR("");
    return true;
}

/* ---- setting --------------------------------------------------------------------------------- */

static enum st count_of(struct db_tx *tx, const char *sql, struct db_arg arg, int64_t *out,
                        struct err *err)
{
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    enum st st = db_one(tx, &rows, sql, &arg, 1, err);
    if (st == ST_OK)
        *out = db_int(&rows, 0);
    return st;
}

static enum st check_room(struct db_tx *tx, str prefix, int64_t account_id, struct err *err)
{
    int64_t of_account = 0, of_prefix = 0;
    enum st st = count_of(tx, "SELECT count(*) FROM member WHERE account_id = $1",
                          DB_INT(account_id), &of_account, err);
    if (st == ST_OK)
        st = count_of(tx, "SELECT count(*) FROM member WHERE prefix = $1", DB_TEXT(prefix),
                      &of_prefix, err);
    if (st == ST_OK && of_account >= MEMBERS_OF_ACCOUNT_MAX)
        return err_set(err, ST_TOO_LARGE, "an account may have roles on %d paths",
                       MEMBERS_OF_ACCOUNT_MAX);
    if (st == ST_OK && of_prefix >= MEMBERS_OF_PREFIX_MAX)
        return err_set(err, ST_TOO_LARGE, "%d accounts may have roles on a path",
                       MEMBERS_OF_PREFIX_MAX);
    return st;
}

static enum st is_member(struct db_tx *tx, str prefix, int64_t account_id, enum role *role,
                         struct err *err)
{
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    enum st st = db_one(tx, &rows, "SELECT role FROM member WHERE prefix = $1 AND account_id = $2",
                        DB_ARGS(DB_TEXT(prefix), DB_INT(account_id)), err);
    *role = st == ST_OK ? (enum role)db_int(&rows, 0) : ROLE_NONE;
    return st == ST_NOT_FOUND ? ST_OK : st;
}

enum st members_set(struct db_tx *tx, const struct member *in, struct err *err)
{
    AUTO(arena_release) struct arena scratch = { 0 };
    struct account account = { 0 };
    enum role given, before = ROLE_NONE;
    str prefix = text_of(in->prefix);
    if (!role_of(str_of(role_text(in->role)), &given))
        return err_set(err, ST_INVALID, "a role is guest, developer, maintainer or owner");
    enum st st = prefix_check(prefix, err);
    if (st == ST_OK)
        st = accounts_find(tx, in->account, &scratch, &account, err);
    if (st == ST_OK)
        st = is_member(tx, prefix, account.id, &before, err);
    if (st == ST_OK && before == ROLE_NONE)
        st = check_room(tx, prefix, account.id, err);
    if (st != ST_OK)
        return st;
    return db_run(tx,
                  "INSERT INTO member (prefix, account_id, role, created_at, created_by)"
                  " VALUES ($1, $2, $3, $4, $5) ON CONFLICT (prefix, account_id) DO UPDATE SET"
                  " role = excluded.role, created_at = excluded.created_at,"
                  " created_by = excluded.created_by",
                  DB_ARGS(DB_TEXT(prefix), DB_INT(account.id), DB_INT(in->role),
                          DB_INT(in->created_at), DB_TEXT(text_of(in->created_by))),
                  NULL, err);
}

enum st members_remove(struct db_tx *tx, str prefix, str account, struct err *err)
{
    AUTO(arena_release) struct arena scratch = { 0 };
    struct account found = { 0 };
    int64_t removed = 0;
    enum st st = accounts_find(tx, account, &scratch, &found, err);
    if (st == ST_OK)
        st = db_run(tx, "DELETE FROM member WHERE prefix = $1 AND account_id = $2",
                    DB_ARGS(DB_TEXT(text_of(prefix)), DB_INT(found.id)), &removed, err);
    if (st == ST_OK && removed == 0)
        return err_set(err, ST_NOT_FOUND, "%.*s has no role on %s%.*s", STR_FMT(account),
                       prefix.len == 0 ? "the registry" : "", STR_FMT(text_of(prefix)));
    return st;
}

/* ---- lists ----------------------------------------------------------------------------------- */

struct member_list {
    struct arena *arena;
    struct member *items;
    size_t count;
    size_t room;
};

static enum st add_member(struct member_list *list, const struct db_rows *rows, str prefix,
                          struct err *err)
{
    if (list->count == list->room) {
        size_t room = MAX(list->room * 2, (size_t)16);
        struct member *items = arena_alloc(list->arena, room * sizeof(*items));
        if (items == NULL)
            return err_no_memory(err);
        if (list->count > 0)
            memcpy(items, list->items, list->count * sizeof(*items));
        list->items = items;
        list->room = room;
    }
    struct member *m = &list->items[list->count];
    *m = (struct member){
        .prefix = prefix,
        .account = arena_dup(list->arena, db_text(rows, 0)),
        .account_id = db_int(rows, 1),
        .role = (enum role)db_int(rows, 2),
        .created_at = db_int(rows, 3),
        .created_by = arena_dup(list->arena, db_text(rows, 4)),
    };
    if (m->account.ptr == NULL || m->created_by.ptr == NULL)
        return err_no_memory(err);
    list->count++;
    return ST_OK;
}

static enum st list_prefix(struct db_tx *tx, str prefix, struct member_list *list, struct err *err)
{
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    str copy = arena_dup(list->arena, prefix);
    if (copy.ptr == NULL)
        return err_no_memory(err);
    enum st st = db_select(tx, &rows,
                           "SELECT a.name, m.account_id, m.role, m.created_at, m.created_by"
                           " FROM member m JOIN account a ON a.id = m.account_id"
                           " WHERE m.prefix = $1 ORDER BY a.name",
                           DB_ARGS(DB_TEXT(prefix)), err);
    while (st == ST_OK && (st = db_next(&rows, err)) == ST_OK)
        st = add_member(list, &rows, copy, err);
    return st == ST_END ? ST_OK : st;
}

enum st members_list(struct db_tx *tx, str prefix, bool inherited, struct arena *a,
                     struct member **out, size_t *count, struct err *err)
{
    struct member_list list = { .arena = a };
    str at = text_of(prefix);
    enum st st;
    do
        st = list_prefix(tx, at, &list, err);
    while (st == ST_OK && inherited && go_up(&at));
    if (st != ST_OK)
        return st;
    *out = list.items;
    *count = list.count;
    return ST_OK;
}

enum st members_of_account(struct db_tx *tx, int64_t account_id, struct arena *a,
                           struct access_member **out, size_t *count, struct err *err)
{
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    int64_t there = 0;
    size_t n = 0;
    enum st st = count_of(tx, "SELECT count(*) FROM member WHERE account_id = $1",
                          DB_INT(account_id), &there, err);
    if (st != ST_OK)
        return st;
    struct access_member *list = arena_alloc(a, ((size_t)there + 1) * sizeof(*list));
    if (list == NULL)
        return err_no_memory(err);
    st = db_select(tx, &rows,
                   "SELECT prefix, role FROM member WHERE account_id = $1 ORDER BY prefix",
                   DB_ARGS(DB_INT(account_id)), err);
    while (st == ST_OK && (st = db_next(&rows, err)) == ST_OK) {
        struct access_member m = { .prefix = arena_dup(a, db_text(&rows, 0)),
                                   .role = (enum role)db_int(&rows, 1) };
        if (m.prefix.ptr == NULL)
            return err_no_memory(err);
        list[n++] = m;
    }
    if (st != ST_END)
        return st;
    *out = list;
    *count = n;
    return ST_OK;
}

/* ---- who is it ------------------------------------------------------------------------------- */

static enum st role_of_token(struct db_tx *tx, uint64_t id, str path, int64_t now, enum role *out,
                             struct err *err)
{
    AUTO(arena_release) struct arena scratch = { 0 };
    struct access_token token = { 0 };
    enum st st = tokens_find_id(tx, (int64_t)id, &scratch, &token, err);
    if (st != ST_OK)
        return st;
    bool good = token.account_id == 0 && (token.expires_at == 0 || token.expires_at > now) &&
                prefix_holds(token.prefix, path);
    *out = good ? scope_role(token.scopes) : ROLE_NONE;
    return ST_OK;
}

static enum st role_of_account(struct db_tx *tx, str name, str path, enum role *out,
                               struct err *err)
{
    AUTO(arena_release) struct arena scratch = { 0 };
    struct account account = { 0 };
    enum role highest = ROLE_NONE;
    str at = text_of(path);
    enum st st = accounts_find(tx, name, &scratch, &account, err);
    if (st != ST_OK)
        return st;
    if (account.disabled || account.administrator) {
        *out = account.disabled ? ROLE_NONE : ROLE_ADMINISTRATOR;
        return ST_OK;
    }
    do {
        enum role role;
        st = is_member(tx, at, account.id, &role, err);
        if (st == ST_OK)
            highest = MAX(highest, role);
    } while (st == ST_OK && go_up(&at));
    if (st == ST_OK)
        *out = highest;
    return st;
}

enum st members_role(struct db_tx *tx, str actor, str path, int64_t now, enum role *out,
                     struct err *err)
{
    static const str deploy = { "deploy-token-", sizeof("deploy-token-") - 1 };
    uint64_t id = 0;
    struct err why = { 0 };
    enum role role = ROLE_NONE;
    enum st st = ST_NOT_FOUND;
    if (!str_starts(actor, deploy))
        st = role_of_account(tx, actor, path, &role, &why);
    else if (str_to_u64(str_slice(actor, deploy.len, actor.len), INT64_MAX, &id))
        st = role_of_token(tx, id, path, now, &role, &why);
    if (st != ST_OK && st != ST_NOT_FOUND) {
        if (err != NULL)
            *err = why;
        return st;
    }
    *out = st == ST_OK ? role : ROLE_NONE;
    return ST_OK;
}

/* ---- visibility ------------------------------------------------------------------------------ */

enum st visibility_set(struct db_tx *tx, str prefix, bool is_public, struct err *err)
{
    int64_t there = 0, all = 0;
    str path = text_of(prefix);
    enum st st = prefix_check(path, err);
    if (st == ST_OK)
        st = count_of(tx, "SELECT count(*) FROM visibility WHERE prefix = $1", DB_TEXT(path),
                      &there, err);
    if (st == ST_OK && there == 0)
        st = count_of(tx, "SELECT count(*) FROM visibility WHERE prefix >= $1", DB_TEXT(STR("")),
                      &all, err);
    if (st == ST_OK && all >= VISIBILITY_MAX)
        return err_set(err, ST_TOO_LARGE, "%d paths may be set public or private", VISIBILITY_MAX);
    if (st != ST_OK)
        return st;
    return db_run(tx,
                  "INSERT INTO visibility (prefix, is_public) VALUES ($1, $2)"
                  " ON CONFLICT (prefix) DO UPDATE SET is_public = excluded.is_public",
                  DB_ARGS(DB_TEXT(path), DB_INT(is_public)), NULL, err);
}

enum st visibility_remove(struct db_tx *tx, str prefix, struct err *err)
{
    int64_t removed = 0;
    enum st st = db_run(tx, "DELETE FROM visibility WHERE prefix = $1",
                        DB_ARGS(DB_TEXT(text_of(prefix))), &removed, err);
    if (st == ST_OK && removed == 0)
        return err_set(err, ST_NOT_FOUND, "%s%.*s is not set public or private",
                       prefix.len == 0 ? "the registry" : "", STR_FMT(text_of(prefix)));
    return st;
}

enum st visibility_list(struct db_tx *tx, struct arena *a, struct access_visibility **out,
                        size_t *count, struct err *err)
{
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    int64_t all = 0;
    size_t n = 0;
    enum st st = count_of(tx, "SELECT count(*) FROM visibility WHERE prefix >= $1",
                          DB_TEXT(STR("")), &all, err);
    if (st != ST_OK)
        return st;
    struct access_visibility *list = arena_alloc(a, ((size_t)all + 1) * sizeof(*list));
    if (list == NULL)
        return err_no_memory(err);
    st = db_select(tx, &rows,
                   "SELECT prefix, is_public FROM visibility WHERE prefix >= $1 ORDER BY prefix",
                   DB_ARGS(DB_TEXT(STR(""))), err);
    while (st == ST_OK && (st = db_next(&rows, err)) == ST_OK) {
        struct access_visibility v = { .prefix = arena_dup(a, db_text(&rows, 0)),
                                       .is_public = db_int(&rows, 1) != 0 };
        if (v.prefix.ptr == NULL)
            return err_no_memory(err);
        list[n++] = v;
    }
    if (st != ST_END)
        return st;
    *out = list;
    *count = n;
    return ST_OK;
}
