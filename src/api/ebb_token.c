/* SPDX-License-Identifier: Apache-2.0
 *
 * GET /tokens, DELETE /tokens/<id>.
 */
#include "api/ebb_account.h"
#include "base/log.h"

#define TOKENS_BYTES_MAX (32 * MIB)

static const struct answer_status statuses[] = {
    { ST_NOT_FOUND, 404, "token-unknown" },
    { ST_OK, 0, NULL },
};
struct token_call {
    struct arena *arena;
    enum tokens_whose whose;
    str account; /* whose; or unset */
    str prefix;
    uint64_t after;
    size_t limit;
    struct access_token *list;
    size_t count;
    struct access_token token;
};

/* ---- looking -------------------------------------------------------------------------------- */

void ebb_add_scopes(struct json_out *o, unsigned scopes)
{
    char text[SCOPE_TEXT_MAX];
    str rest = str_of(scope_text(scopes, text));
    json_out_open(o, "scopes", '[');
    while (rest.len > 0) {
        str word = rest;
        if (!str_cut(rest, ',', &word, &rest))
            rest = STR("");
        json_out_text(o, NULL, word);
    }
    json_out_close(o, ']');
}

void ebb_add_token(struct http_request *rq, struct json_out *o, const struct access_token *t)
{
    json_out_number(o, "token", t->id);
    json_out_text(o, "kind", t->account_id == 0 ? STR("deploy") : STR("personal"));
    json_out_text(o, "account", t->account_id == 0 ? STR_NONE : t->account);
    json_out_text(o, "name", t->name);
    json_out_text(o, "prefix", t->prefix);
    ebb_add_scopes(o, t->scopes);
    ebb_add_time(rq, o, "created_at", t->created_at);
    ebb_add_time(rq, o, "expires_at", t->expires_at);
    ebb_add_time(rq, o, "used_at", t->used_at);
    json_out_text(o, "created_by", t->created_by);
}

bool ebb_is_self(const struct http_request *rq, str account)
{
    const struct identity *who = gate_who(rq);
    return who->kind == IDENTITY_ACCOUNT && (account.ptr == NULL || str_eq(account, who->name));
}

static enum st list(struct db_tx *tx, void *ctx, struct err *err)
{
    struct token_call *c = ctx;
    struct account account = { 0 };
    enum st st = ST_OK;
    if (c->whose == TOKENS_OF_ACCOUNT)
        st = accounts_find(tx, c->account, c->arena, &account, err);
    return st == ST_OK ? tokens_list(tx, c->whose, account.id, c->prefix, (int64_t)c->after,
                                     c->limit + 1, c->arena, &c->list, &c->count, err)
                       : st;
}

/* Whose are asked for, and may they be seen? */
static bool read_whose(struct http_request *rq, struct token_call *c)
{
    bool deploy = http_query(rq, "prefix", &c->prefix);
    if (http_query(rq, "account", &c->account) && deploy) {
        ebb_problem(rq, 400, "invalid",
                    STR("?account= is about personal tokens, ?prefix= about deploy tokens: give"
                        " one"),
                    STR_NONE);
        return false;
    }
    if (deploy) {
        c->whose = TOKENS_DEPLOY;
        return ebb_prefix(rq, &c->prefix) && ebb_demand_prefix(rq, c->prefix, RIGHT_MEMBERS);
    }
    c->whose = TOKENS_OF_ACCOUNT;
    if (!ebb_is_self(rq, c->account))
        return gate_demand(rq, STR(""), RIGHT_ADMIN);
    c->account = gate_who(rq)->name;
    return true;
}

/* Every token may know and end itself; the others of its account only one with the scope admin,
 * and what lies within its prefix. */
static bool may_handle(const struct http_request *rq, const struct access_token *t)
{
    const struct identity *who = gate_who(rq);
    const struct access *a = &who->access;
    if (ebb_is_admin(rq) || (who->token_id == t->id && !who->by_jwt))
        return true;
    if (t->account_id == 0)
        return !who->by_jwt && gate_may(rq, t->prefix, RIGHT_MEMBERS);
    return !who->by_jwt && who->kind == IDENTITY_ACCOUNT && who->account_id == t->account_id &&
           (a->cap_rights & RIGHT_ADMIN) != 0 && prefix_holds(a->cap_prefix, t->prefix);
}

void ebb_tokens_get(struct http_request *rq)
{
    struct token_call c = { 0 };
    struct json_out o;
    struct err err = { 0 };
    if (!ebb_has_accounts(rq) || !ebb_page_number(rq, &c.limit, &c.after) || !read_whose(rq, &c))
        return;
    c.arena = ebb_arena(rq, TOKENS_BYTES_MAX);
    if (c.arena == NULL)
        return;
    if (db_read(api_call_of(rq)->api->registry->db, list, &c, &err) != ST_OK) {
        ebb_fail(rq, ebb_account_statuses, &err);
        return;
    }
    if (!ebb_begin_list(rq, &o))
        return;
    size_t shown = MIN(c.count, c.limit);
    for (size_t i = 0; i < shown; i++) {
        if (!may_handle(rq, &c.list[i]))
            continue;
        json_out_open(&o, NULL, '{');
        ebb_add_token(rq, &o, &c.list[i]);
        json_out_close(&o, '}');
    }
    ebb_end_list_number(rq, &o, c.count > shown ? (uint64_t)c.list[shown - 1].id : 0);
}

str ebb_token_text(struct http_request *rq, const struct access_token *t)
{
    char scopes[SCOPE_TEXT_MAX];
    return arena_printf(&rq->arena, "\"%.*s\": %s%s%.*s", STR_FMT(t->name),
                        scope_text(t->scopes, scopes), t->prefix.len == 0 ? "" : " on ",
                        STR_FMT(t->prefix));
}

/* ---- removing ------------------------------------------------------------------------------- */

static enum st find(struct db_tx *tx, void *ctx, struct err *err)
{
    struct token_call *c = ctx;
    return tokens_find_id(tx, c->token.id, c->arena, &c->token, err);
}

static enum st removed(struct db_tx *tx, void *ctx, struct err *err)
{
    struct token_call *c = ctx;
    return tokens_remove(tx, c->token.id, err);
}

void ebb_token_delete(struct http_request *rq)
{
    struct api *api = api_call_of(rq)->api;
    struct token_call c = { 0 };
    struct err err = { 0 };
    if (!ebb_has_accounts(rq) || !ebb_id(rq, "token-unknown", &c.token.id))
        return;
    c.arena = ebb_arena(rq, TOKENS_BYTES_MAX);
    if (c.arena == NULL)
        return;
    int64_t id = c.token.id;
    enum st st = db_read(api->registry->db, find, &c, &err);
    if (st == ST_OK && !may_handle(rq, &c.token))
        st = err_set(&err, ST_NOT_FOUND, "there is no token %lld", (long long)id);
    const struct trail_entry entry =
        gate_trail(rq, "token removed", c.token.account_id == 0 ? c.token.prefix : c.token.account,
                   st == ST_OK ? ebb_token_text(rq, &c.token) : STR_NONE);
    if (st == ST_OK)
        st = auth_write(api->auth, removed, &c, &entry, &err);
    if (st != ST_OK) {
        ebb_fail(rq, statuses, &err);
        return;
    }
    log_event(LOG_INFO, "token removed", LOG_STR("id", rq->id), LOG_INT("token", id),
              LOG_STR("actor", gate_actor(rq)));
    http_answer(rq, 204);
}
