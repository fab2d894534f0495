/* SPDX-License-Identifier: Apache-2.0
 *
 * GET, POST and DELETE /members.
 */
#include "api/ebb_account.h"
#include "base/log.h"

#define MEMBERS_BYTES_MAX (32 * MIB)

static const struct answer_status setting[] = {
    { ST_NOT_FOUND, 404, "account-unknown" },
    { ST_TOO_LARGE, 422, "too-many-members" },
    { ST_OK, 0, NULL },
};
static const struct answer_status removing[] = {
    { ST_NOT_FOUND, 404, "member-unknown" },
    { ST_OK, 0, NULL },
};

struct member_call {
    struct arena *arena;
    str prefix;
    str account;
    bool inherited;
    struct member member;
    struct member *list;
    size_t count;
};

static enum st list(struct db_tx *tx, void *ctx, struct err *err)
{
    struct member_call *c = ctx;
    return members_list(tx, c->prefix, c->inherited, c->arena, &c->list, &c->count, err);
}

static enum st set(struct db_tx *tx, void *ctx, struct err *err)
{
    struct member_call *c = ctx;
    return members_set(tx, &c->member, err);
}

static enum st take(struct db_tx *tx, void *ctx, struct err *err)
{
    struct member_call *c = ctx;
    return members_remove(tx, c->prefix, c->account, err);
}

static void write_member(struct http_request *rq, struct json_out *o, const struct member *m)
{
    json_out_open(o, NULL, '{');
    json_out_text(o, "prefix", m->prefix);
    json_out_text(o, "account", m->account);
    json_out_text(o, "role", str_of(role_text(m->role)));
    ebb_add_time(rq, o, "created_at", m->created_at);
    json_out_text(o, "created_by", m->created_by);
    json_out_close(o, '}');
}

static bool read_inherited(struct http_request *rq, bool *out)
{
    str text = STR_NONE;
    if (!http_query(rq, "inherited", &text) || str_eq(text, STR("false")) || str_eq(text, STR("0")))
        return true;
    if (str_eq(text, STR("true")) || str_eq(text, STR("1"))) {
        *out = true;
        return true;
    }
    ebb_problem(rq, 400, "invalid", STR("?inherited= is true or false"), STR_NONE);
    return false;
}

void ebb_members_get(struct http_request *rq)
{
    struct member_call c = { 0 };
    struct json_out o;
    if (!ebb_has_accounts(rq) || !ebb_prefix(rq, &c.prefix) || !read_inherited(rq, &c.inherited) ||
        !ebb_demand_prefix(rq, c.prefix, RIGHT_MEMBERS))
        return;
    c.arena = ebb_arena(rq, MEMBERS_BYTES_MAX);
    if (c.arena == NULL)
        return;
    if (!ebb_read_list(rq, list, &c, &o))
        return;
    for (size_t i = 0; i < c.count; i++)
        write_member(rq, &o, &c.list[i]);
    ebb_end_list(rq, &o, false, STR_NONE);
}

static bool read_member(struct http_request *rq, struct member *out)
{
    struct json_in in;
    struct err err = { 0 };
    str role = STR_NONE;
    if (!ebb_read(rq, &in))
        return false;
    if (!json_in_text(&in, "prefix", NAME_MAX_BYTES, &out->prefix))
        json_in_refuse(&in, NULL, "\"prefix\" is missing: a path, or \"\" for the whole registry");
    else if (prefix_check(out->prefix, &err) != ST_OK)
        json_in_refuse_as(&in, "prefix", &err);
    if (!json_in_text(&in, "account", EBB_REASON_MAX, &out->account))
        json_in_refuse(&in, NULL, "\"account\" is missing: its name");
    if (!json_in_text(&in, "role", 20, &role))
        json_in_refuse(&in, NULL, "\"role\" is missing: guest, developer, maintainer or owner");
    else if (!role_of(role, &out->role))
        json_in_refuse(&in, "role", "\"%.*s\" is none; guest, developer, maintainer and owner are",
                       STR_FMT(role));
    return ebb_read_end(rq, &in);
}

/* Nobody gives a role above their own. */
static bool may_give(struct http_request *rq, const struct member *m)
{
    if (!ebb_demand_prefix(rq, m->prefix, RIGHT_MEMBERS))
        return false;
    if (m->role <= identity_role(gate_who(rq), m->prefix))
        return true;
    ebb_forbid(rq, "a role above your own is not yours to give");
    return false;
}

void ebb_members_post(struct http_request *rq)
{
    struct member_call c = { .member = { .created_at = ebb_now(rq),
                                         .created_by = gate_actor(rq) } };
    struct json_out o;
    struct err err = { 0 };
    if (!ebb_has_accounts(rq) || !read_member(rq, &c.member) || !may_give(rq, &c.member))
        return;
    const struct trail_entry entry = gate_trail(
        rq, "member set", c.member.prefix,
        arena_printf(&rq->arena, "%.*s: %s", STR_FMT(c.member.account), role_text(c.member.role)));
    if (auth_write(api_call_of(rq)->api->auth, set, &c, &entry, &err) != ST_OK) {
        ebb_fail(rq, setting, &err);
        return;
    }
    log_event(LOG_INFO, "member set", LOG_STR("id", rq->id), LOG_STR("prefix", c.member.prefix),
              LOG_STR("account", c.member.account),
              LOG_STR("role", str_of(role_text(c.member.role))), LOG_STR("actor", gate_actor(rq)));
    if (!ebb_begin(rq, &o))
        return;
    write_member(rq, &o, &c.member);
    ebb_end(rq, 200, &o);
}

void ebb_members_delete(struct http_request *rq)
{
    struct member_call c = { 0 };
    struct err err = { 0 };
    if (!ebb_has_accounts(rq) || !ebb_prefix(rq, &c.prefix))
        return;
    if (!http_query(rq, "account", &c.account)) {
        ebb_problem(rq, 400, "invalid", STR("?account= is missing: whose role ends"), STR_NONE);
        return;
    }
    if (!ebb_demand_prefix(rq, c.prefix, RIGHT_MEMBERS))
        return;
    const struct trail_entry entry = gate_trail(rq, "member removed", c.prefix, c.account);
    if (auth_write(api_call_of(rq)->api->auth, take, &c, &entry, &err) != ST_OK) {
        ebb_fail(rq, removing, &err);
        return;
    }
    log_event(LOG_INFO, "member removed", LOG_STR("id", rq->id), LOG_STR("prefix", c.prefix),
              LOG_STR("account", c.account), LOG_STR("actor", gate_actor(rq)));
    http_answer(rq, 204);
}
