/* SPDX-License-Identifier: Apache-2.0
 *
 * GET /audit: who changed rights, and who was refused. POST /keys/rotate.
 */
#include "api/ebb_account.h"
#include "base/log.h"

#define AUDIT_BYTES_MAX (32 * MIB)
#define FILTER_MAX      ((size_t)100)

struct audit_call {
    struct arena *arena;
    str actor;
    str action;
    uint64_t before;
    size_t limit;
    struct trail_entry *list;
    size_t count;
};

static enum st list(struct db_tx *tx, void *ctx, struct err *err)
{
    struct audit_call *c = ctx;
    return trail_list(tx, c->actor, c->action, (int64_t)c->before, c->limit + 1, c->arena, &c->list,
                      &c->count, err);
}

static void write_entry(struct http_request *rq, struct json_out *o, const struct trail_entry *e)
{
    json_out_open(o, NULL, '{');
    json_out_number(o, "entry", e->id);
    ebb_add_time(rq, o, "at", e->at);
    json_out_text(o, "actor", e->actor);
    json_out_text(o, "peer", e->peer);
    json_out_text(o, "door", e->door);
    json_out_text(o, "action", e->action);
    json_out_text(o, "object", e->object);
    json_out_text(o, "detail", e->detail.len == 0 ? STR_NONE : e->detail);
    json_out_count(o, "times", e->times);
    json_out_close(o, '}');
}

static bool read_filter(struct http_request *rq, const char *name, str *out)
{
    if (!http_query(rq, name, out) || out->len <= FILTER_MAX)
        return true;
    ebb_problem(rq, 400, "invalid",
                arena_printf(&rq->arena, "?%s= has up to %zu bytes", name, FILTER_MAX), STR_NONE);
    return false;
}

void ebb_audit_get(struct http_request *rq)
{
    struct audit_call c = { 0 };
    struct json_out o;
    if (!ebb_has_accounts(rq) || !ebb_page_number(rq, &c.limit, &c.before) ||
        !read_filter(rq, "actor", &c.actor) || !read_filter(rq, "action", &c.action))
        return;
    c.arena = ebb_arena(rq, AUDIT_BYTES_MAX);
    if (c.arena == NULL)
        return;
    if (!ebb_read_list(rq, list, &c, &o))
        return;
    size_t shown = MIN(c.count, c.limit);
    for (size_t i = 0; i < shown; i++)
        write_entry(rq, &o, &c.list[i]);
    ebb_end_list_number(rq, &o, c.count > shown ? (uint64_t)c.list[shown - 1].id : 0);
}

static enum st nothing(struct db_tx *tx, void *ctx, struct err *err)
{
    (void)tx;
    (void)ctx;
    (void)err;
    return ST_OK;
}

void ebb_keys_rotate_post(struct http_request *rq)
{
    struct auth *auth = api_call_of(rq)->api->auth;
    struct json_in in;
    struct err err = { 0 };
    if (!ebb_has_accounts(rq) || !ebb_read(rq, &in) || !ebb_read_end(rq, &in))
        return;
    const struct trail_entry entry = gate_trail(rq, "key rotated", STR(""), STR_NONE);
    enum st st = auth_rotate_key(auth, ebb_now(rq), &err);
    if (st == ST_OK)
        st = auth_write(auth, nothing, NULL, &entry, &err);
    if (st != ST_OK) {
        ebb_fail(rq, NULL, &err);
        return;
    }
    log_event(LOG_INFO, "a new key signs tokens", LOG_STR("id", rq->id),
              LOG_STR("actor", gate_actor(rq)));
    http_answer(rq, 204);
}
