/* SPDX-License-Identifier: Apache-2.0
 *
 * POST /tokens.
 *
 *  1. A secret is in the answer of the POST that made it, and nowhere else.
 *  2. No token gives more than it has: one that makes another needs the scope admin, its prefix
 *     holds the new one's, and it ends later. That is looked at in the transaction that adds.
 *  3. A JWT makes none: it is lent for minutes, a token may be for ever.
 */
#include "api/ebb_account.h"
#include "base/log.h"

#define TOKENS_BYTES_MAX (1 * MIB)

static const struct answer_status making[] = {
    { ST_NOT_FOUND, 404, "account-unknown" },
    { ST_TOO_LARGE, 422, "too-many-tokens" },
    { ST_DENIED, 403, "forbidden" },
    { ST_OK, 0, NULL },
};

struct making_call {
    struct arena *arena;
    str account; /* whose; unset of a deploy token */
    struct access_token token;
    uint8_t hash[TOKEN_HASH_BYTES];
    int64_t by_token; /* the one it is made with; 0: a password */
};

static void read_scopes(struct json_in *in, unsigned *out)
{
    struct err err = { 0 };
    size_t count = 0;
    if (!json_in_list(in, "scopes", 4, &count)) {
        json_in_refuse(in, NULL, "\"scopes\" is missing: a list of pull, push, delete, admin");
        return;
    }
    for (size_t i = 0; i < count; i++) {
        unsigned scope = 0;
        str word = STR_NONE;
        if (!json_in_list_text(in, "scopes", i, SCOPE_TEXT_MAX, &word))
            return;
        if (memchr(word.ptr, ',', word.len) != NULL)
            json_in_refuse(in, "scopes", "each is an element of its own");
        else if (scope_parse(word, &scope, &err) != ST_OK)
            json_in_refuse_as(in, "scopes", &err);
        *out |= scope;
    }
}

static bool read_new(struct http_request *rq, struct making_call *c, bool *deploy)
{
    struct access_token *t = &c->token;
    struct json_in in;
    struct err err = { 0 };
    int64_t life_ms = 0;
    if (!ebb_read(rq, &in))
        return false;
    if (!json_in_text(&in, "name", TOKEN_NAME_MAX, &t->name) || t->name.len == 0)
        json_in_refuse(&in, NULL, "\"name\" is missing: what you call it");
    read_scopes(&in, &t->scopes);
    t->prefix = STR("");
    if (json_in_text(&in, "prefix", NAME_MAX_BYTES, &t->prefix) &&
        prefix_check(t->prefix, &err) != ST_OK)
        json_in_refuse_as(&in, "prefix", &err);
    if (json_in_duration(&in, "expires_in", &life_ms))
        t->expires_at = t->created_at + life_ms;
    bool named = json_in_text(&in, "account", EBB_REASON_MAX, &c->account);
    (void)json_in_flag(&in, "deploy", deploy);
    if (*deploy && named)
        json_in_refuse(&in, "account", "a deploy token is nobody's; leave it out");
    if (*deploy && t->prefix.len == 0)
        json_in_refuse(&in, "prefix", "a deploy token is for a path, such as \"group\"");
    if (*deploy && (t->scopes & SCOPE_ADMIN) != 0)
        json_in_refuse(&in, "scopes", "a deploy token has pull, push and delete, not admin");
    return ebb_read_end(rq, &in);
}

/* See 2 at the top. */
static enum st check_maker(struct db_tx *tx, struct making_call *c, struct err *err)
{
    struct access_token by = { 0 };
    if (c->by_token == 0)
        return ST_OK;
    enum st st = tokens_find_id(tx, c->by_token, c->arena, &by, err);
    if (st == ST_NOT_FOUND)
        return err_set(err, ST_DENIED, "the token that this was asked with is gone");
    if (st != ST_OK)
        return st;
    if ((by.scopes & SCOPE_ADMIN) == 0)
        return err_set(err, ST_DENIED, "a token without the scope admin makes no others");
    if (!prefix_holds(by.prefix, c->token.prefix))
        return err_set(err, ST_DENIED, "this token is for %.*s: what it makes is for that or below",
                       STR_FMT(by.prefix));
    if (by.expires_at != 0 && c->token.expires_at == 0)
        c->token.expires_at = by.expires_at;
    if (by.expires_at != 0 && c->token.expires_at > by.expires_at)
        return err_set(err, ST_DENIED, "a token makes none that is good for longer than itself");
    return ST_OK;
}

static enum st add(struct db_tx *tx, void *ctx, struct err *err)
{
    struct making_call *c = ctx;
    struct account account = { 0 };
    enum st st = check_maker(tx, c, err);
    if (st == ST_OK && c->account.ptr != NULL) {
        st = accounts_find(tx, c->account, c->arena, &account, err);
        c->token.account_id = account.id;
        c->token.account = account.name;
    }
    return st == ST_OK ? tokens_add(tx, &c->token, c->hash, &c->token.id, err) : st;
}

/* For whom it is to be, and may they have one from who asks? */
static bool demand_owner(struct http_request *rq, struct making_call *c, bool deploy)
{
    const struct identity *who = gate_who(rq);
    c->by_token = who->token_id;
    if (who->by_jwt) {
        ebb_forbid(rq, "tokens are made with a password or a token, not with a JWT");
        return false;
    }
    if (deploy)
        return gate_demand(rq, c->token.prefix, RIGHT_MEMBERS);
    if (!ebb_is_self(rq, c->account) && !gate_demand(rq, STR(""), RIGHT_ADMIN))
        return false;
    if (c->account.ptr == NULL)
        c->account = who->name;
    return true;
}

static void answer_made(struct http_request *rq, const struct access_token *t, const char *secret)
{
    struct json_out o;
    if (!ebb_begin(rq, &o))
        return;
    str user = t->account;
    if (t->account_id == 0)
        user = arena_printf(&rq->arena, "deploy-token-%lld", (long long)t->id);
    json_out_open(&o, NULL, '{');
    ebb_add_token(rq, &o, t);
    json_out_text(&o, "secret", str_of(secret));
    json_out_text(&o, "user", user);
    json_out_close(&o, '}');
    ebb_end(rq, 201, &o);
}

void ebb_tokens_post(struct http_request *rq)
{
    struct making_call c = { .token = { .created_at = ebb_now(rq), .created_by = gate_actor(rq) } };
    char secret[TOKEN_TEXT_MAX];
    struct err err = { 0 };
    bool deploy = false;
    if (!ebb_has_accounts(rq) || !read_new(rq, &c, &deploy) || !demand_owner(rq, &c, deploy))
        return;
    c.arena = ebb_arena(rq, TOKENS_BYTES_MAX);
    if (c.arena == NULL)
        return;
    auth_make_token(secret, c.hash);
    const struct trail_entry entry = gate_trail(
        rq, "token added", deploy ? c.token.prefix : c.account, ebb_token_text(rq, &c.token));
    if (auth_write(api_call_of(rq)->api->auth, add, &c, &entry, &err) != ST_OK) {
        ebb_fail(rq, making, &err);
        return;
    }
    log_event(LOG_INFO, "token added", LOG_STR("id", rq->id), LOG_INT("token", c.token.id),
              LOG_STR("account", deploy ? STR("") : c.account), LOG_STR("prefix", c.token.prefix),
              LOG_STR("actor", gate_actor(rq)));
    answer_made(rq, &c.token, secret);
}
