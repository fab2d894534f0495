/* SPDX-License-Identifier: Apache-2.0
 *
 * GET /removals, POST /removals/reset: repositories that are to be deleted whole (GitLab's call),
 * and those where that failed too often to go on by itself.
 */
#include "api/ebb_int.h"
#include "base/log.h"
#include "meta/removals.h"
#include "meta/selection.h"

#define REMOVALS_BYTES_MAX (32 * MIB)

static const struct answer_status statuses[] = {
    { ST_NOT_FOUND, 404, "removal-unknown" },
    { ST_OK, 0, NULL },
};

struct removal_call {
    struct arena *arena;
    str repo;
    uint64_t after;
    size_t limit;
    int64_t now;
    struct repo_removal removal;
    struct repo_removal *list;
    size_t count;
};

static enum st list(struct db_tx *tx, void *ctx, struct err *err)
{
    struct removal_call *c = ctx;
    return removals_list(tx, (int64_t)c->after, c->limit + 1, c->arena, &c->list, &c->count, err);
}

static enum st reset(struct db_tx *tx, void *ctx, struct err *err)
{
    struct removal_call *c = ctx;
    struct selection_repository repo = { 0 };
    enum st st = selection_repository(tx, c->repo, &repo, err);
    if (st == ST_OK)
        st = removals_reset(tx, repo.id, c->now, err);
    if (st == ST_OK)
        st = removals_find(tx, repo.id, c->arena, &c->removal, err);
    return st == ST_NOT_FOUND
               ? err_set(err, st, "there is no repository %.*s that is to be deleted",
                         STR_FMT(c->repo))
               : st;
}

static void write_removal(struct http_request *rq, struct json_out *o, const struct repo_removal *r)
{
    static const char *const states[] = { [REMOVAL_SCHEDULED] = "scheduled",
                                          [REMOVAL_ONGOING] = "ongoing",
                                          [REMOVAL_FAILED] = "failed" };
    json_out_open(o, NULL, '{');
    json_out_text(o, "repository", r->repo);
    json_out_text(o, "state", str_of(states[r->state]));
    json_out_count(o, "failures", r->failures);
    ebb_add_time(rq, o, "next_at", r->state == REMOVAL_FAILED ? 0 : r->next_at);
    json_out_text(o, "actor", r->actor);
    json_out_text(o, "peer", r->peer);
    json_out_text(o, "door", r->door);
    json_out_text(o, "error", r->error.len == 0 ? STR_NONE : r->error);
    json_out_close(o, '}');
}

void ebb_removals_get(struct http_request *rq)
{
    struct removal_call c = { 0 };
    struct json_out o;
    if (!ebb_page_number(rq, &c.limit, &c.after) || !ebb_prefix(rq, &c.repo) ||
        !ebb_demand_prefix(rq, c.repo, RIGHT_DELETE))
        return;
    c.arena = ebb_arena(rq, REMOVALS_BYTES_MAX);
    if (c.arena == NULL)
        return;
    if (!ebb_read_list(rq, list, &c, &o))
        return;
    size_t looked = MIN(c.count, c.limit);
    for (size_t i = 0; i < looked; i++)
        if (prefix_holds(c.repo, c.list[i].repo))
            write_removal(rq, &o, &c.list[i]);
    ebb_end_list_number(rq, &o, c.count > looked ? (uint64_t)c.list[looked - 1].repo_id : 0);
}

void ebb_removals_reset_post(struct http_request *rq)
{
    struct removal_call c = { .now = ebb_now(rq) };
    struct json_in in;
    struct json_out o;
    struct err err = { 0 };
    if (!ebb_read(rq, &in))
        return;
    if (!json_in_text(&in, "repository", NAME_MAX_BYTES, &c.repo))
        json_in_refuse(&in, NULL, "\"repository\" is missing: its name");
    else if (name_check(c.repo, &err) != ST_OK)
        json_in_refuse_as(&in, "repository", &err);
    if (!ebb_read_end(rq, &in))
        return;
    api_call_of(rq)->absent = arena_printf(
        &rq->arena, "there is no repository %.*s that is to be deleted", STR_FMT(c.repo));
    c.arena = ebb_arena(rq, REMOVALS_BYTES_MAX);
    if (c.arena == NULL || !gate_demand(rq, c.repo, RIGHT_DELETE))
        return;
    const struct trail_entry entry = gate_trail(rq, "removal reset", c.repo, STR_NONE);
    if (gate_write(rq, reset, &c, &entry, &err) != ST_OK) {
        ebb_fail(rq, statuses, &err);
        return;
    }
    log_event(LOG_INFO, "a removal is tried again", LOG_STR("id", rq->id),
              LOG_STR("repository", c.repo), LOG_STR("actor", gate_actor(rq)));
    if (!ebb_begin(rq, &o))
        return;
    write_removal(rq, &o, &c.removal);
    ebb_end(rq, 200, &o);
}
