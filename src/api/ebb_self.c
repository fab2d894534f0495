/* SPDX-License-Identifier: Apache-2.0
 *
 * GET /self: who asks, and what they may.
 */
#include "api/ebb_account.h"

#define SELF_BYTES_MAX (4 * MIB)

struct self_call {
    const struct identity *who;
    struct arena *arena;
    struct account account;
    struct access_token token;
    bool has_token;
};

/* What went meanwhile is left out: it says nothing wrong. */
static enum st look_up(struct db_tx *tx, void *ctx, struct err *err)
{
    struct self_call *c = ctx;
    enum st st = ST_OK;
    if (c->who->kind == IDENTITY_ACCOUNT)
        st = accounts_find_id(tx, c->who->account_id, c->arena, &c->account, err);
    if (st == ST_OK && c->who->token_id != 0) {
        st = tokens_find_id(tx, c->who->token_id, c->arena, &c->token, err);
        c->has_token = st == ST_OK;
    }
    return st == ST_NOT_FOUND ? ST_OK : st;
}

static const char *kind_text(const struct self_call *c)
{
    switch (c->who->kind) {
    case IDENTITY_ACCOUNT:
        return ebb_account_kind(c->account.kind);
    case IDENTITY_DEPLOY:
        return "deploy-token";
    case IDENTITY_ANONYMOUS:
        break;
    }
    return "anonymous";
}

static void add_token(struct http_request *rq, struct json_out *o, const struct self_call *c)
{
    if (!c->has_token) {
        json_out_null(o, "token");
        return;
    }
    json_out_open(o, "token", '{');
    json_out_number(o, "token", c->token.id);
    json_out_text(o, "prefix", c->token.prefix);
    ebb_add_scopes(o, c->token.scopes);
    ebb_add_time(rq, o, "expires_at", c->token.expires_at);
    json_out_close(o, '}');
}

static void add_roles(struct json_out *o, const struct access *a)
{
    json_out_open(o, "roles", '[');
    for (size_t i = 0; i < a->member_count; i++) {
        json_out_open(o, NULL, '{');
        json_out_text(o, "prefix", a->members[i].prefix);
        json_out_text(o, "role", str_of(role_text(a->members[i].role)));
        json_out_close(o, '}');
    }
    json_out_close(o, ']');
}

static void add_rights(struct json_out *o, const struct identity *who, str path)
{
    static const struct {
        unsigned right;
        const char *text;
    } words[] = {
        { RIGHT_PULL, "pull" },   { RIGHT_PUSH, "push" }, { RIGHT_DELETE, "delete" },
        { RIGHT_RULES, "rules" }, { RIGHT_NOW, "now" },   { RIGHT_MEMBERS, "members" },
    };
    unsigned rights = identity_rights(who, path);
    enum role role = identity_role(who, path);
    json_out_text(o, "path", path);
    json_out_text(o, "role", role == ROLE_NONE ? STR_NONE : str_of(role_text(role)));
    json_out_open(o, "rights", '[');
    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        if ((rights & words[i].right) != 0)
            json_out_text(o, NULL, str_of(words[i].text));
    if (identity_is_admin(who))
        json_out_text(o, NULL, STR("admin"));
    json_out_close(o, ']');
}

static bool read_path(struct http_request *rq, str *out)
{
    struct err err = { 0 };
    if (!http_query(rq, "path", out) || prefix_check(*out, &err) == ST_OK)
        return true;
    (void)err_wrap(&err, "?path=");
    ebb_fail(rq, NULL, &err);
    return false;
}

void ebb_self_get(struct http_request *rq)
{
    struct self_call c = { .who = gate_who(rq) };
    struct json_out o;
    struct err err = { 0 };
    str path = STR_NONE;
    if (!ebb_has_accounts(rq) || !read_path(rq, &path))
        return;
    c.arena = ebb_arena(rq, SELF_BYTES_MAX);
    if (c.arena == NULL)
        return;
    if (db_read(api_call_of(rq)->api->registry->db, look_up, &c, &err) != ST_OK) {
        ebb_fail(rq, NULL, &err);
        return;
    }
    if (!ebb_begin(rq, &o))
        return;
    json_out_open(&o, NULL, '{');
    json_out_text(&o, "account", c.who->name);
    json_out_text(&o, "kind", str_of(kind_text(&c)));
    json_out_flag(&o, "administrator", c.who->access.administrator);
    add_token(rq, &o, &c);
    json_out_flag(&o, "jwt", c.who->by_jwt);
    add_roles(&o, &c.who->access);
    if (path.ptr != NULL) {
        add_rights(&o, c.who, path);
    } else {
        json_out_null(&o, "path");
        json_out_null(&o, "role");
        json_out_null(&o, "rights");
    }
    json_out_close(&o, '}');
    ebb_end(rq, 200, &o);
}
