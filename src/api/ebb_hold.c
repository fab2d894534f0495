/* SPDX-License-Identifier: Apache-2.0
 *
 * GET and POST /holds, DELETE /holds/<id>.
 */
#include "api/ebb_int.h"
#include "base/log.h"
#include "meta/protection.h"
#include "meta/registry_time.h"

#define HOLDS_BYTES_MAX (32 * MIB)

static const struct answer_status statuses[] = {
    { ST_NOT_FOUND, 404, "hold-unknown" },
    { ST_OK, 0, NULL },
};
static const struct answer_status digest_statuses[] = {
    { ST_NOT_FOUND, 404, "digest-unknown" },
    { ST_OK, 0, NULL },
};

/* What the functions inside transactions take. */
struct hold_call {
    struct registry *r;
    struct arena *arena;
    const struct hold *hold;
    struct hold *holds;
    int64_t id;
    int64_t now;
    size_t limit;
    size_t count;
};

static enum st list_holds(struct db_tx *tx, void *ctx, struct err *err)
{
    struct hold_call *c = ctx;
    return holds_list(tx, c->id, c->limit + 1, c->arena, &c->holds, &c->count, err);
}

static enum st add_hold(struct db_tx *tx, void *ctx, struct err *err)
{
    struct hold_call *c = ctx;
    return holds_add(tx, c->hold, &c->r->keeping, &c->id, err);
}

static enum st remove_hold(struct db_tx *tx, void *ctx, struct err *err)
{
    struct hold_call *c = ctx;
    return holds_remove(tx, c->id, &c->r->keeping, c->now, err);
}

void ebb_add_hold(struct http_request *rq, struct json_out *o, const struct hold *h)
{
    json_out_open(o, NULL, '{');
    json_out_number(o, "hold", h->id);
    json_out_digest(o, "digest", &h->digest);
    json_out_text(o, "repository", h->repo.len == 0 ? STR_NONE : h->repo);
    ebb_add_time(rq, o, "until", h->until);
    json_out_text(o, "reason", h->reason.len == 0 ? STR_NONE : h->reason);
    json_out_text(o, "actor", h->actor);
    ebb_add_time(rq, o, "created_at", h->created_at);
    json_out_close(o, '}');
}

/* Those of every repository tell which content is somewhere. */
static bool may_see(const struct http_request *rq, const struct hold *h)
{
    return h->repo.len == 0 ? ebb_is_admin(rq) : ebb_sees(rq, h->repo);
}

void ebb_holds_get(struct http_request *rq)
{
    struct hold_call c = { .r = api_call_of(rq)->api->registry };
    uint64_t after = 0;
    struct json_out o;
    if (!ebb_page_number(rq, &c.limit, &after))
        return;
    c.id = (int64_t)after;
    c.arena = ebb_arena(rq, HOLDS_BYTES_MAX);
    if (c.arena == NULL)
        return;
    if (!ebb_read_list(rq, list_holds, &c, &o))
        return;
    size_t shown = MIN(c.count, c.limit);
    for (size_t i = 0; i < shown; i++)
        if (may_see(rq, &c.holds[i]))
            ebb_add_hold(rq, &o, &c.holds[i]);
    ebb_end_list_number(rq, &o, c.count > shown ? (uint64_t)c.holds[shown - 1].id : 0);
}

static bool read_hold(struct http_request *rq, struct hold *out)
{
    struct registry *r = api_call_of(rq)->api->registry;
    struct json_in in;
    struct err err = { 0 };
    str digest = STR_NONE;
    int64_t utc = 0;
    out->repo = STR("");
    if (!ebb_read(rq, &in))
        return false;
    if (!json_in_text(&in, "digest", DIGEST_TEXT_MAX, &digest))
        json_in_refuse(&in, NULL, "\"digest\" is missing: of a manifest or blob, \"sha256:...\"");
    else if (digest_parse(digest, &out->digest, &err) != ST_OK)
        json_in_refuse(&in, "digest", "%s", err.text);
    if (json_in_text(&in, "repository", NAME_MAX_BYTES, &out->repo) &&
        name_check(out->repo, &err) != ST_OK)
        json_in_refuse_as(&in, "repository", &err);
    if (json_in_utc(&in, "until", &utc)) {
        out->until = registry_of_utc(r, utc);
        if (out->until <= out->created_at)
            json_in_refuse(&in, "until", "this time is over; one that is still to come is allowed");
    }
    (void)json_in_text(&in, "reason", EBB_REASON_MAX, &out->reason);
    return ebb_read_end(rq, &in);
}

/* The answer for a repository that cannot be seen is holds_add()'s for one that is not there. */
static bool may_set(struct http_request *rq, const struct hold *h)
{
    char text[DIGEST_TEXT_MAX + 1];
    struct err err = { 0 };
    str digest = digest_text(&h->digest, text);
    (void)err_set(&err, ST_NOT_FOUND, "there is no manifest and no blob %.*s in %.*s",
                  STR_FMT(digest), STR_FMT(h->repo));
    api_call_of(rq)->absent = arena_dup(&rq->arena, str_of(err.text));
    return ebb_demand_prefix(rq, h->repo, RIGHT_RULES);
}

void ebb_holds_post(struct http_request *rq)
{
    struct registry *r = api_call_of(rq)->api->registry;
    struct hold hold = { .actor = gate_actor(rq), .created_at = ebb_now(rq) };
    struct hold_call c = { .r = r, .hold = &hold };
    char digest[DIGEST_TEXT_MAX + 1];
    struct json_out o;
    struct err err = { 0 };
    if (!read_hold(rq, &hold) || !may_set(rq, &hold))
        return;
    const struct trail_entry entry = gate_trail(
        rq, "hold added", hold.repo, arena_dup(&rq->arena, digest_text(&hold.digest, digest)));
    if (gate_write(rq, add_hold, &c, &entry, &err) != ST_OK) {
        ebb_fail(rq, digest_statuses, &err);
        return;
    }
    hold.id = c.id;
    log_event(LOG_INFO, "hold added", LOG_STR("id", rq->id), LOG_INT("hold", hold.id),
              LOG_STR("digest", digest_text(&hold.digest, digest)),
              LOG_STR("repository", hold.repo), LOG_STR("reason", hold.reason),
              LOG_STR("actor", gate_actor(rq)));
    if (!ebb_begin(rq, &o))
        return;
    ebb_add_hold(rq, &o, &hold);
    ebb_end(rq, 201, &o);
}

static enum st find_hold(struct db_tx *tx, void *ctx, struct err *err)
{
    struct hold_call *c = ctx;
    enum st st = holds_list(tx, c->id - 1, 1, c->arena, &c->holds, &c->count, err);
    if (st == ST_OK && (c->count == 0 || c->holds[0].id != c->id))
        return err_set(err, ST_NOT_FOUND, "there is no hold %lld", (long long)c->id);
    return st;
}

/* One that cannot be seen is not there. */
static bool may_remove(struct http_request *rq, struct hold_call *c)
{
    struct err err = { 0 };
    c->arena = ebb_arena(rq, HOLDS_BYTES_MAX);
    if (c->arena == NULL)
        return false;
    enum st st = db_read(c->r->db, find_hold, c, &err);
    api_call_of(rq)->absent = arena_printf(&rq->arena, "there is no hold %lld", (long long)c->id);
    if (st == ST_OK && c->holds[0].repo.len == 0 && !ebb_is_admin(rq))
        st = err_set(&err, ST_NOT_FOUND, "there is no hold %lld", (long long)c->id);
    if (st == ST_OK)
        return ebb_demand_prefix(rq, c->holds[0].repo, RIGHT_RULES);
    ebb_fail(rq, statuses, &err);
    return false;
}

void ebb_hold_delete(struct http_request *rq)
{
    struct registry *r = api_call_of(rq)->api->registry;
    struct hold_call c = { .r = r, .now = ebb_now(rq) };
    struct err err = { 0 };
    if (!ebb_id(rq, "hold-unknown", &c.id) || !may_remove(rq, &c))
        return;
    char digest[DIGEST_TEXT_MAX + 1];
    const struct trail_entry entry =
        gate_trail(rq, "hold removed", c.holds[0].repo,
                   arena_dup(&rq->arena, digest_text(&c.holds[0].digest, digest)));
    if (gate_write(rq, remove_hold, &c, &entry, &err) != ST_OK) {
        ebb_fail(rq, statuses, &err);
        return;
    }
    log_event(LOG_INFO, "hold removed", LOG_STR("id", rq->id), LOG_INT("hold", c.id),
              LOG_STR("actor", gate_actor(rq)));
    http_answer(rq, 204);
}
