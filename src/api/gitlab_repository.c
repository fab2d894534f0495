/* SPDX-License-Identifier: Apache-2.0
 *
 * Repositories: lists of a project and of a group, one by its number, and deleting one whole.
 *
 * A repository belongs to the project that the path of the request names, if it lies below it.
 * Where only its number is known, meta/projects.h says which project it is.
 */
#include "api/gitlab_int.h"
#include "base/log.h"
#include "base/mem.h"
#include "deletion/removal.h"
#include "meta/locks.h"
#include "meta/usage.h"

#define NOT_FOUND "404 Not found"

/* What the object of a repository may hold besides. */
struct shown {
    bool tags, tags_count, size;
};

struct repository_answer {
    struct project_repository r;
    str project;        /* its path */
    int64_t project_id; /* 0: not known yet */
    const char *status; /* or NULL */
    struct usage usage; /* with shown.size */
    struct name_page tags;
};

/* ---- reading --------------------------------------------------------------------------------- */

static enum st find_status(struct db_tx *tx, struct arena *a, const struct project_repository *r,
                           const char **out, struct err *err)
{
    static const char *const states[] = { [REMOVAL_SCHEDULED] = "delete_scheduled",
                                          [REMOVAL_ONGOING] = "delete_ongoing",
                                          [REMOVAL_FAILED] = "delete_failed" };
    struct repo_removal removal = { 0 };
    enum st st = removals_find(tx, r->id, a, &removal, err);
    *out = st == ST_OK && str_eq(removal.repo, r->name) ? states[removal.state] : NULL;
    return st == ST_NOT_FOUND ? ST_OK : st;
}

/* What stands in the database besides the row. */
static enum st fill(struct db_tx *tx, struct repository_answer *a, const struct shown *shown,
                    struct arena *arena, struct err *err)
{
    uint64_t total = 0;
    const struct project_tags_ask ask = { .repo_id = a->r.id, .limit = (size_t)a->r.tags };
    enum st st = find_status(tx, arena, &a->r, &a->status, err);
    if (st == ST_OK && a->project.ptr == NULL)
        st = projects_of(tx, a->r.name, arena, &a->project, err);
    if (st == ST_OK && shown->size)
        st = usage_of_repository(tx, a->r.name, &a->usage, err);
    if (st == ST_OK && shown->tags)
        st = projects_tags(tx, &ask, arena, &a->tags, &total, err);
    return st;
}

struct repository_page {
    struct http_request *rq;
    struct db_tx *tx;
    struct arena *arena;
    str prefix;
    str project; /* unset: each its own */
    int64_t project_id;
    struct shown shown;
    struct gitlab_page page;
    bool any_locks;
    struct repository_answer *items;
    size_t count;
    uint64_t found;
};

static enum st is_listed(const struct repository_page *p, str name, bool *out, struct err *err)
{
    const struct lock_object object = { .repo = name };
    unsigned may = LOCK_MAY_ALL;
    *out = gate_may(p->rq, name, RIGHT_PULL);
    enum st st = *out && p->any_locks ? locks_get(p->tx, &object, &may, err) : ST_OK;
    *out = *out && (may & LOCK_MAY_LIST) != 0;
    return st;
}

static enum st add_repository(void *ctx, const struct project_repository *r, struct err *err)
{
    struct repository_page *p = ctx;
    uint64_t from = gitlab_page_skip(&p->page);
    bool yes = false;
    enum st st = is_listed(p, r->name, &yes, err);
    if (st != ST_OK || !yes)
        return st;
    if (p->found++ < from)
        return ST_OK;
    if (p->found > from + p->page.per_page)
        return p->found > GITLAB_TOTAL_MAX ? ST_END : ST_OK;
    struct repository_answer *a = &p->items[p->count++];
    *a = (struct repository_answer){ .r = *r, .project = p->project, .project_id = p->project_id };
    a->r.name = arena_dup(p->arena, r->name);
    return a->r.name.ptr == NULL ? err_no_memory(err) : ST_OK;
}

static enum st read_page(struct db_tx *tx, void *ctx, struct err *err)
{
    struct repository_page *p = ctx;
    p->tx = tx;
    p->count = 0;
    p->found = 0;
    enum st st = locks_any(tx, &p->any_locks, err);
    if (st == ST_OK)
        st = projects_walk(tx, p->prefix, add_repository, p, err);
    for (size_t i = 0; st == ST_OK && i < p->count; i++)
        st = fill(tx, &p->items[i], &p->shown, p->arena, err);
    return st;
}

/* ---- answering ------------------------------------------------------------------------------- */

/* What stands behind the project's path; "" for the repository that has its name. */
static str name_in(str project, str repo)
{
    return repo.len > project.len ? str_slice(repo, project.len + 1, repo.len) : STR("");
}

static enum st add_answer(struct http_request *rq, struct json_out *o,
                          const struct repository_answer *a, const struct shown *shown,
                          struct err *err)
{
    int64_t project_id = a->project_id;
    char text[80];
    enum st st = project_id == 0 ? gitlab_number(rq, a->project, true, &project_id, err) : ST_OK;
    if (st != ST_OK)
        return st;
    json_out_open(o, NULL, '{');
    json_out_number(o, "id", a->r.id);
    json_out_text(o, "name", name_in(a->project, a->r.name));
    json_out_text(o, "path", a->r.name);
    json_out_number(o, "project_id", project_id);
    gitlab_add_made(o, "location", gitlab_location(rq, a->r.name));
    gitlab_add_time(rq, o, "created_at", a->r.created_at);
    json_out_null(o, "cleanup_policy_started_at");
    json_out_text(o, "status", str_of(a->status));
    if (shown->tags_count)
        json_out_count(o, "tags_count", a->r.tags);
    if (shown->tags) {
        json_out_open(o, "tags", '[');
        for (size_t i = 0; i < a->tags.count; i++) {
            json_out_open(o, NULL, '{');
            gitlab_add_tag(rq, o, a->r.name, a->tags.names[i]);
            json_out_close(o, '}');
        }
        json_out_close(o, ']');
    }
    if (shown->size)
        json_out_count(o, "size", a->usage.unique + a->usage.shared);
    if (gate_may(rq, a->r.name, RIGHT_DELETE)) {
        (void)snprintf(text, sizeof(text), "/projects/%lld/registry/repositories/%lld",
                       (long long)project_id, (long long)a->r.id);
        gitlab_add_made(o, "delete_api_path", gitlab_url(rq, str_of(text)));
    }
    json_out_close(o, '}');
    return ST_OK;
}

static void answer_page(struct http_request *rq, struct repository_page *p)
{
    struct json_out o;
    struct err err = { 0 };
    p->rq = rq;
    p->arena = gitlab_call_of(rq)->arena;
    p->items = arena_alloc(p->arena, (size_t)p->page.per_page * sizeof(*p->items));
    enum st st = p->items == NULL ? err_no_memory(&err)
                                  : db_read(api_call_of(rq)->api->registry->db, read_page, p, &err);
    if (st == ST_OK && !gitlab_begin(rq, &o))
        return;
    if (st == ST_OK)
        json_out_open(&o, NULL, '[');
    for (size_t i = 0; st == ST_OK && i < p->count; i++)
        st = add_answer(rq, &o, &p->items[i], &p->shown, &err);
    if (st != ST_OK) {
        gitlab_fail(rq, &err);
        return;
    }
    json_out_close(&o, ']');
    gitlab_end(rq, 200, &o);
    if (rq->answer_code == 200)
        gitlab_answer_page(rq, &p->page, p->found,
                           p->found > gitlab_page_skip(&p->page) + p->page.per_page);
}

void gitlab_project_repositories_get(struct http_request *rq)
{
    struct gitlab_params *params = &gitlab_call_of(rq)->params;
    struct repository_page p = { 0 };
    struct gitlab_namespace project;
    (void)gitlab_param_flag(params, "tags", &p.shown.tags);
    (void)gitlab_param_flag(params, "tags_count", &p.shown.tags_count);
    if (!gitlab_page(rq, &p.page) || !gitlab_project(rq, RIGHT_PULL, &project))
        return;
    p.prefix = p.project = project.path;
    p.project_id = project.id;
    answer_page(rq, &p);
}

void gitlab_group_repositories_get(struct http_request *rq)
{
    struct repository_page p = { 0 };
    struct gitlab_namespace group;
    if (!gitlab_page(rq, &p.page) || !gitlab_group(rq, &group))
        return;
    p.prefix = group.path;
    answer_page(rq, &p);
}

/* ---- one ------------------------------------------------------------------------------------- */

struct one {
    struct http_request *rq;
    struct arena *arena;
    int64_t id;
    struct shown shown;
    struct repository_answer answer;
};

static enum st read_one(struct db_tx *tx, void *ctx, struct err *err)
{
    struct one *o = ctx;
    o->answer = (struct repository_answer){ 0 };
    return projects_repository(tx, o->id, o->arena, &o->answer.r, err);
}

static enum st fill_one(struct db_tx *tx, void *ctx, struct err *err)
{
    struct one *o = ctx;
    enum st st = read_one(tx, o, err); /* as it is in this snapshot */
    return st == ST_OK ? fill(tx, &o->answer, &o->shown, o->arena, err) : st;
}

static bool read_number(struct http_request *rq, str text, const char *name, int64_t *out)
{
    uint64_t n = 0;
    if (str_to_u64(text, INT64_MAX, &n)) {
        *out = (int64_t)n;
        return true;
    }
    gitlab_error(rq, 400, arena_printf(&rq->arena, "%s is invalid", name));
    return false;
}

static bool find_one(struct http_request *rq, struct one *o)
{
    struct err err = { 0 };
    o->rq = rq;
    o->arena = gitlab_call_of(rq)->arena;
    gitlab_call_of(rq)->absent = NOT_FOUND;
    enum st st = db_read(api_call_of(rq)->api->registry->db, read_one, o, &err);
    if (st == ST_OK)
        return true;
    if (st == ST_NOT_FOUND)
        gitlab_absent(rq, NOT_FOUND);
    else
        gitlab_fail(rq, &err);
    return false;
}

void gitlab_repository_get(struct http_request *rq)
{
    struct gitlab_call *call = gitlab_call_of(rq);
    struct one o = { 0 };
    struct json_out out;
    struct err err = { 0 };
    (void)gitlab_param_flag(&call->params, "tags", &o.shown.tags);
    (void)gitlab_param_flag(&call->params, "tags_count", &o.shown.tags_count);
    (void)gitlab_param_flag(&call->params, "size", &o.shown.size);
    if (!read_number(rq, call->parts[0], "id", &o.id) || !gitlab_params_ok(rq) ||
        !find_one(rq, &o) || !gate_demand(rq, o.answer.r.name, RIGHT_PULL))
        return;
    api_call_of(rq)->repo = o.answer.r.name;
    enum st st = db_read(api_call_of(rq)->api->registry->db, fill_one, &o, &err);
    if (st == ST_OK && !gitlab_begin(rq, &out))
        return;
    if (st == ST_OK)
        st = add_answer(rq, &out, &o.answer, &o.shown, &err);
    if (st != ST_OK)
        gitlab_fail(rq, &err);
    else
        gitlab_end(rq, 200, &out);
}

bool gitlab_project_repository(struct http_request *rq, const struct gitlab_namespace *project,
                               unsigned rights, struct project_repository *out)
{
    struct one o = { 0 };
    if (!read_number(rq, gitlab_call_of(rq)->parts[1], "repository_id", &o.id) || !find_one(rq, &o))
        return false;
    if (!prefix_holds(project->path, o.answer.r.name)) {
        gitlab_absent(rq, NOT_FOUND);
        return false;
    }
    if (!gate_demand(rq, o.answer.r.name, RIGHT_PULL) || !gate_demand(rq, o.answer.r.name, rights))
        return false;
    *out = o.answer.r;
    api_call_of(rq)->repo = out->name;
    return true;
}

/* ---- deleting one ---------------------------------------------------------------------------- */

#define FORBIDDEN "403 Forbidden - Deleting protected container repository forbidden."

/* GitLab refuses at once when a rule about the repository is in the way. (All other protection is
 * met by the removal itself, and is the reason why it fails.) */
static enum st is_protected(struct db_tx *tx, void *ctx, struct err *err)
{
    AUTO(protection_release) struct protection *rules = NULL;
    const struct one *o = ctx;
    const struct registry *r = api_call_of(o->rq)->api->registry;
    const struct protection_case c = { .act = PROTECT_DELETE_REPOSITORY,
                                       .repo = o->answer.r.name,
                                       .actor = gate_actor(o->rq) };
    enum st st = protection_load(tx, r->protection, &rules, err);
    return st == ST_OK ? protection_check(tx, rules, &c, gitlab_now(o->rq), err) : st;
}

void gitlab_repository_delete(struct http_request *rq)
{
    struct api *api = api_call_of(rq)->api;
    struct gitlab_namespace project;
    struct one o = { .rq = rq, .arena = gitlab_call_of(rq)->arena };
    struct err err = { 0 };
    if (!gitlab_project(rq, RIGHT_PULL, &project) ||
        !gitlab_project_repository(rq, &project, RIGHT_DELETE, &o.answer.r))
        return;
    enum st st = db_read(api->registry->db, is_protected, &o, &err);
    if (st == ST_DENIED) {
        gitlab_message(rq, 403, STR(FORBIDDEN));
        api_call_of(rq)->failure = arena_dup(&rq->arena, str_of(err.text)); /* for the log */
        return;
    }
    const struct deletion_by by = gate_by(rq, STR_NONE);
    const struct repo_removal removal = { .repo_id = o.answer.r.id,
                                          .repo = o.answer.r.name,
                                          .next_at = gitlab_now(rq),
                                          .actor = by.actor,
                                          .peer = by.peer,
                                          .door = by.door };
    if (st == ST_OK)
        st = removal_begin(api->deletion, &removal, gitlab_now(rq), &err);
    if (st == ST_DENIED) { /* it failed too often */
        gitlab_message(rq, 400, arena_printf(&rq->arena, "400 Bad request - %s", err.text));
        return;
    }
    if (st != ST_OK) {
        gitlab_fail(rq, &err);
        return;
    }
    log_event(LOG_INFO, "repository is to be deleted", LOG_STR("id", rq->id),
              LOG_STR("repository", removal.repo), LOG_STR("actor", removal.actor));
    gitlab_answer_code(rq, 202);
}
