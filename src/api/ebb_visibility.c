/* SPDX-License-Identifier: Apache-2.0
 *
 * GET, POST and DELETE /visibility: what everybody may pull.
 */
#include "api/ebb_account.h"
#include "base/log.h"

#define VISIBILITY_BYTES_MAX (32 * MIB)

static const struct answer_status statuses[] = {
    { ST_NOT_FOUND, 404, "visibility-unknown" },
    { ST_TOO_LARGE, 422, "too-many-settings" },
    { ST_OK, 0, NULL },
};

struct visibility_call {
    struct arena *arena;
    struct access_visibility setting;
    struct access_visibility *list;
    size_t count;
};

static enum st list(struct db_tx *tx, void *ctx, struct err *err)
{
    struct visibility_call *c = ctx;
    return visibility_list(tx, c->arena, &c->list, &c->count, err);
}

static enum st set(struct db_tx *tx, void *ctx, struct err *err)
{
    const struct visibility_call *c = ctx;
    return visibility_set(tx, c->setting.prefix, c->setting.is_public, err);
}

static enum st unset(struct db_tx *tx, void *ctx, struct err *err)
{
    const struct visibility_call *c = ctx;
    return visibility_remove(tx, c->setting.prefix, err);
}

static void write_setting(struct json_out *o, const struct access_visibility *v)
{
    json_out_open(o, NULL, '{');
    json_out_text(o, "prefix", v->prefix);
    json_out_flag(o, "public", v->is_public);
    json_out_close(o, '}');
}

/* The nearest setting on the prefix or above it. The list is in byte order, so it is the last. */
static const struct access_visibility *in_force(const struct visibility_call *c)
{
    const struct access_visibility *nearest = NULL;
    for (size_t i = 0; i < c->count; i++)
        if (prefix_holds(c->list[i].prefix, c->setting.prefix))
            nearest = &c->list[i];
    return nearest;
}

void ebb_visibility_get(struct http_request *rq)
{
    struct visibility_call c = { 0 };
    struct json_out o;
    if (!ebb_has_accounts(rq) || !ebb_prefix(rq, &c.setting.prefix) ||
        !ebb_demand_prefix(rq, c.setting.prefix, RIGHT_RULES))
        return;
    c.arena = ebb_arena(rq, VISIBILITY_BYTES_MAX);
    if (c.arena == NULL)
        return;
    if (!ebb_read_list(rq, list, &c, &o))
        return;
    const struct access_visibility *nearest = in_force(&c);
    for (size_t i = 0; i < c.count; i++)
        if (&c.list[i] == nearest || prefix_holds(c.setting.prefix, c.list[i].prefix))
            write_setting(&o, &c.list[i]);
    ebb_end_list(rq, &o, false, STR_NONE);
}

static bool read_setting(struct http_request *rq, struct access_visibility *out)
{
    struct json_in in;
    struct err err = { 0 };
    if (!ebb_read(rq, &in))
        return false;
    if (!json_in_text(&in, "prefix", NAME_MAX_BYTES, &out->prefix))
        json_in_refuse(&in, NULL, "\"prefix\" is missing: a path, or \"\" for the whole registry");
    else if (prefix_check(out->prefix, &err) != ST_OK)
        json_in_refuse_as(&in, "prefix", &err);
    if (!json_in_flag(&in, "public", &out->is_public))
        json_in_refuse(&in, NULL, "\"public\" is missing: true or false");
    return ebb_read_end(rq, &in);
}

void ebb_visibility_post(struct http_request *rq)
{
    struct visibility_call c = { 0 };
    struct json_out o;
    struct err err = { 0 };
    if (!ebb_has_accounts(rq) || !read_setting(rq, &c.setting) ||
        !ebb_demand_prefix(rq, c.setting.prefix, RIGHT_RULES))
        return;
    const struct trail_entry entry =
        gate_trail(rq, "visibility set", c.setting.prefix,
                   c.setting.is_public ? STR("public") : STR("not public"));
    if (auth_write(api_call_of(rq)->api->auth, set, &c, &entry, &err) != ST_OK) {
        ebb_fail(rq, statuses, &err);
        return;
    }
    log_event(LOG_INFO, "visibility set", LOG_STR("id", rq->id),
              LOG_STR("prefix", c.setting.prefix), LOG_INT("public", c.setting.is_public),
              LOG_STR("actor", gate_actor(rq)));
    if (!ebb_begin(rq, &o))
        return;
    write_setting(&o, &c.setting);
    ebb_end(rq, 200, &o);
}

void ebb_visibility_delete(struct http_request *rq)
{
    struct visibility_call c = { 0 };
    struct err err = { 0 };
    if (!ebb_has_accounts(rq) || !ebb_prefix(rq, &c.setting.prefix) ||
        !ebb_demand_prefix(rq, c.setting.prefix, RIGHT_RULES))
        return;
    const struct trail_entry entry =
        gate_trail(rq, "visibility removed", c.setting.prefix, STR_NONE);
    if (auth_write(api_call_of(rq)->api->auth, unset, &c, &entry, &err) != ST_OK) {
        ebb_fail(rq, statuses, &err);
        return;
    }
    log_event(LOG_INFO, "visibility removed", LOG_STR("id", rq->id),
              LOG_STR("prefix", c.setting.prefix), LOG_STR("actor", gate_actor(rq)));
    http_answer(rq, 204);
}
