/* SPDX-License-Identifier: Apache-2.0
 *
 * GET and POST /accounts, GET and DELETE /accounts/<name>.
 */
#include "api/ebb_account.h"
#include "base/log.h"

#define ACCOUNTS_BYTES_MAX (32 * MIB)

const struct answer_status ebb_account_statuses[] = {
    { ST_NOT_FOUND, 404, "account-unknown" },
    { ST_EXISTS, 409, "account-exists" },
    { ST_DENIED, 409, "last-administrator" },
    { ST_OK, 0, NULL },
};

static const char *const kinds[] = {
    [ACCOUNT_PERSON] = "person", [ACCOUNT_ROBOT] = "robot", [ACCOUNT_HTPASSWD] = "htpasswd"
};

const char *ebb_account_kind(enum account_kind kind)
{
    return kinds[kind];
}

bool ebb_has_accounts(struct http_request *rq)
{
    if (api_call_of(rq)->api->accounts)
        return true;
    ebb_problem(rq, 409, "open",
                STR("this registry has no accounts: set auth.mode to accounts first"), STR_NONE);
    return false;
}

/* What the functions inside transactions take. */
struct account_call {
    struct arena *arena;
    str name;
    size_t limit;
    struct account account;
    struct account *list;
    size_t count;
};

static enum st find(struct db_tx *tx, void *ctx, struct err *err)
{
    struct account_call *c = ctx;
    return accounts_find(tx, c->name, c->arena, &c->account, err);
}

static enum st list(struct db_tx *tx, void *ctx, struct err *err)
{
    struct account_call *c = ctx;
    return accounts_list(tx, c->name, c->limit + 1, c->arena, &c->list, &c->count, err);
}

static enum st add(struct db_tx *tx, void *ctx, struct err *err)
{
    struct account_call *c = ctx;
    return accounts_add(tx, &c->account, &c->account.id, err);
}

static enum st removed(struct db_tx *tx, void *ctx, struct err *err)
{
    struct account_call *c = ctx;
    return accounts_remove(tx, c->name, err);
}

/* ---- looking -------------------------------------------------------------------------------- */

static void write_account(struct http_request *rq, struct json_out *o, const struct account *a)
{
    json_out_open(o, NULL, '{');
    json_out_text(o, "account", a->name);
    json_out_text(o, "kind", str_of(kinds[a->kind]));
    json_out_flag(o, "administrator", a->administrator);
    json_out_flag(o, "disabled", a->disabled);
    json_out_text(o, "note", a->note.len == 0 ? STR_NONE : a->note);
    ebb_add_time(rq, o, "created_at", a->created_at);
    ebb_add_time(rq, o, "used_at", a->used_at);
    json_out_close(o, '}');
}

void ebb_answer_account(struct http_request *rq, int http, const struct account *a)
{
    struct json_out o;
    if (!ebb_begin(rq, &o))
        return;
    write_account(rq, &o, a);
    ebb_end(rq, http, &o);
}

void ebb_accounts_get(struct http_request *rq)
{
    struct account_call c = { 0 };
    struct ebb_page page;
    struct json_out o;
    if (!ebb_has_accounts(rq) || !ebb_page(rq, &page))
        return;
    c.name = page.after;
    c.limit = page.limit;
    c.arena = ebb_arena(rq, ACCOUNTS_BYTES_MAX);
    if (c.arena == NULL)
        return;
    if (!ebb_read_list(rq, list, &c, &o))
        return;
    size_t shown = MIN(c.count, c.limit);
    for (size_t i = 0; i < shown; i++)
        write_account(rq, &o, &c.list[i]);
    bool more = c.count > shown;
    ebb_end_list(rq, &o, more, more ? c.list[shown - 1].name : STR_NONE);
}

/* The account that the path names. False with the error answered. */
static bool find_named(struct http_request *rq, struct account_call *c)
{
    struct err err = { 0 };
    c->name = api_call_of(rq)->reference;
    c->arena = ebb_arena(rq, ACCOUNTS_BYTES_MAX);
    if (c->arena == NULL)
        return false;
    if (db_read(api_call_of(rq)->api->registry->db, find, c, &err) == ST_OK)
        return true;
    ebb_fail(rq, ebb_account_statuses, &err);
    return false;
}

void ebb_account_get(struct http_request *rq)
{
    struct account_call c = { 0 };
    if (!ebb_has_accounts(rq) ||
        !(ebb_is_self(rq, api_call_of(rq)->reference) || gate_demand(rq, STR(""), RIGHT_ADMIN)))
        return;
    if (find_named(rq, &c))
        ebb_answer_account(rq, 200, &c.account);
}

/* ---- making --------------------------------------------------------------------------------- */

static void read_kind(struct json_in *in, enum account_kind *out)
{
    str text = STR_NONE;
    if (!json_in_text(in, "kind", 20, &text))
        return;
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
        if (str_eq(text, str_of(kinds[i]))) {
            *out = (enum account_kind)i;
            return;
        }
    json_in_refuse(in, "kind", "\"%.*s\" is none; person, robot and htpasswd are", STR_FMT(text));
}

static void read_new(struct json_in *in, struct account *out, str *password)
{
    struct err err = { 0 };
    if (!json_in_text(in, "account", EBB_REASON_MAX, &out->name))
        json_in_refuse(in, NULL, "\"account\" is missing: its name");
    else if (account_name_check(out->name, &err) != ST_OK)
        json_in_refuse_as(in, "account", &err);
    read_kind(in, &out->kind);
    bool given = json_in_secret(in, "password", AUTH_PASSWORD_MAX, password);
    if (out->kind == ACCOUNT_PERSON && !given)
        json_in_refuse(in, NULL, "\"password\" is missing: a person needs one");
    if (out->kind != ACCOUNT_PERSON && given)
        json_in_refuse(in, "password", "%s",
                       out->kind == ACCOUNT_ROBOT
                           ? "a robot account has none: it logs in with tokens"
                           : "that of an htpasswd account is in the htpasswd file");
    (void)json_in_flag(in, "administrator", &out->administrator);
    (void)json_in_text(in, "note", ACCOUNT_NOTE_MAX, &out->note);
}

void ebb_accounts_post(struct http_request *rq)
{
    struct api *api = api_call_of(rq)->api;
    struct account_call c = { .account = { .created_at = ebb_now(rq) } };
    struct json_in in;
    struct err err = { 0 };
    str password = STR_NONE;
    if (!ebb_has_accounts(rq) || !ebb_read(rq, &in))
        return;
    read_new(&in, &c.account, &password);
    if (!ebb_read_end(rq, &in))
        return;
    enum st st = ST_OK;
    if (password.ptr != NULL)
        st = auth_hash_password(password, &rq->arena, &c.account.hash, &err);
    const struct trail_entry entry =
        gate_trail(rq, "account added", c.account.name,
                   arena_printf(&rq->arena, "%s%s", kinds[c.account.kind],
                                c.account.administrator ? ", administrator" : ""));
    if (st == ST_OK)
        st = auth_write(api->auth, add, &c, &entry, &err);
    if (st != ST_OK) {
        ebb_fail(rq, ebb_account_statuses, &err);
        return;
    }
    log_event(LOG_INFO, "account added", LOG_STR("id", rq->id), LOG_STR("account", c.account.name),
              LOG_STR("actor", gate_actor(rq)));
    ebb_answer_account(rq, 201, &c.account);
    if (rq->answer_code == 201)
        http_answer_header(
            rq, "Location",
            arena_printf(&rq->arena, EBB_ROOT "/accounts/%.*s", STR_FMT(c.account.name)));
}

/* ---- removing -------------------------------------------------------------------------------- */

void ebb_account_delete(struct http_request *rq)
{
    struct account_call c = { 0 };
    struct err err = { 0 };
    if (!ebb_has_accounts(rq))
        return;
    c.name = api_call_of(rq)->reference;
    const struct trail_entry entry = gate_trail(rq, "account removed", c.name, STR_NONE);
    if (auth_write(api_call_of(rq)->api->auth, removed, &c, &entry, &err) != ST_OK) {
        ebb_fail(rq, ebb_account_statuses, &err);
        return;
    }
    log_event(LOG_INFO, "account removed", LOG_STR("id", rq->id), LOG_STR("account", c.name),
              LOG_STR("actor", gate_actor(rq)));
    http_answer(rq, 204);
}
