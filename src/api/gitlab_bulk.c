/* SPDX-License-Identifier: Apache-2.0
 *
 * DELETE .../tags: what matches goes, under one receipt. It is a plan with a rule, applied at once;
 * the answer says only that it was accepted, as GitLab's does.
 *
 *  1. Asked for and accepted once per gitlab.bulk_interval and repository. The lease is taken when
 *     the parameters are sound, before anything is looked for, and is never given back.
 *  2. Expressions are matched against whole names, each in a group of its own: GitLab's own
 *     concatenation makes "a|b" mean something else than it says.
 *  3. What is unclear deletes nothing: a duration that is none, a number below zero.
 */
#include "api/gitlab_int.h"
#include "base/log.h"
#include "base/mem.h"
#include "deletion/apply.h"
#include "deletion/plan.h"
#include "policy/pattern.h"

#define TOO_SOON                                                                                   \
    "This request has already been made. You can run this at most once an hour for a given "       \
    "container repository"
#define BULK_BYTES_MAX (64 * MIB)

struct bulk {
    struct selector_rule rule;
    bool nothing; /* what was asked can delete nothing */
    int64_t repo_id;
    int64_t now, until;
    bool taken;
};

/* ---- what is asked --------------------------------------------------------------------------- */

/* True with an expression that can be compiled; "" is none that matches anything. */
static bool read_regex(struct gitlab_params *p, const char *name, str *out)
{
    AUTO(pattern_free_auto) struct pattern *compiled = NULL;
    char why[ERR_TEXT_MAX + 32];
    struct err err = { 0 };
    if (!gitlab_param_text(p, name, out))
        return false;
    if (out->len == 0 || pattern_regex(*out, &compiled, &err) == ST_OK)
        return true;
    (void)snprintf(why, sizeof(why), "is an invalid regexp: %s", err.text);
    gitlab_param_refuse(p, name, why);
    return true;
}

/* `latest` is never deleted. */
static void read_keep(struct http_request *rq, struct bulk *b)
{
    AUTO(pattern_free_auto) struct pattern *compiled = NULL;
    struct gitlab_params *p = &gitlab_call_of(rq)->params;
    str keep = STR_NONE;
    b->rule.keep_tags = STR("latest");
    if (!read_regex(p, "name_regex_keep", &keep) || keep.len == 0 || p->error[0] != '\0')
        return;
    b->rule.keep_tags = arena_printf(&rq->arena, "latest|(?:%.*s)", STR_FMT(keep));
    /* Such as "\Qa", whose end only the end of the text is. */
    if (b->rule.keep_tags.ptr == NULL || pattern_regex(b->rule.keep_tags, &compiled, NULL) != ST_OK)
        gitlab_param_refuse(p, "name_regex_keep", "is an invalid regexp: it is too long, or open");
}

static void read_limits(struct http_request *rq, struct bulk *b)
{
    struct gitlab_params *p = &gitlab_call_of(rq)->params;
    str older = STR_NONE;
    int64_t keep = 0;
    if (gitlab_param_number(p, "keep_n", &keep)) {
        b->rule.has_keep = keep > 0;
        b->rule.keep = (uint64_t)MAX(keep, (int64_t)0);
        b->nothing = keep < 0;
    }
    if (gitlab_param_text(p, "older_than", &older) &&
        !gitlab_duration(older, &b->rule.older_than_ms))
        b->nothing = true;
}

static bool read_bulk(struct http_request *rq, struct bulk *b)
{
    struct gitlab_params *p = &gitlab_call_of(rq)->params;
    str old = STR_NONE;
    bool has_old = read_regex(p, "name_regex", &old);
    if (!read_regex(p, "name_regex_delete", &b->rule.tags)) {
        b->rule.tags = old;
        if (!has_old)
            gitlab_param_refuse(p, "name_regex, name_regex_delete",
                                "are missing, at least one parameter must be provided");
    }
    read_keep(rq, b);
    read_limits(rq, b);
    b->nothing = b->nothing || b->rule.tags.len == 0;
    return gitlab_params_ok(rq);
}

/* ---- doing it -------------------------------------------------------------------------------- */

static enum st take_lease(struct db_tx *tx, void *ctx, struct err *err)
{
    struct bulk *b = ctx;
    return projects_take_lease(tx, b->repo_id, b->now, b->until, &b->taken, err);
}

/* False with the refusal answered. */
static bool may_now(struct http_request *rq, struct bulk *b)
{
    struct api *api = api_call_of(rq)->api;
    struct err err = { 0 };
    if (api->options.gitlab_bulk_interval_ms == 0)
        return true;
    b->until = b->now + api->options.gitlab_bulk_interval_ms;
    if (registry_write(api->registry, take_lease, b, &err) != ST_OK)
        gitlab_fail(rq, &err);
    else if (!b->taken)
        gitlab_message(rq, 400, STR(TOO_SOON));
    else
        return true;
    return false;
}

/* As JSON, for the plan and the receipt. */
static str request_text(struct http_request *rq, str repo, const struct bulk *b)
{
    AUTO(buf_release) struct buf text = { .max_bytes = 64 * KIB };
    struct json_out o = { .b = &text };
    json_out_open(&o, NULL, '{');
    json_out_text(&o, "repository", repo);
    json_out_text(&o, "name_regex_delete", b->rule.tags);
    json_out_text(&o, "name_regex_keep", b->rule.keep_tags);
    json_out_count(&o, "keep_n", b->rule.keep);
    json_out_count(&o, "older_than_ms", (uint64_t)b->rule.older_than_ms);
    json_out_close(&o, '}');
    return text.failed == ST_OK ? arena_dup(&rq->arena, buf_str(&text)) : STR_NONE;
}

/* *receipt is 0 when nothing matched. */
static enum st apply(struct http_request *rq, str repo, const struct bulk *b, struct plan *plan,
                     int64_t *receipt, struct err *err)
{
    AUTO(arena_release) struct arena a = { .limit_bytes = BULK_BYTES_MAX };
    struct api *api = api_call_of(rq)->api;
    const struct selector selector = { .kind = SELECT_RULE, .repo = repo, .rule = b->rule };
    const struct plan_request request = { .selectors = &selector,
                                          .count = 1,
                                          .by = gate_by(rq, STR_NONE),
                                          .text = request_text(rq, repo, b) };
    if (request.text.ptr == NULL)
        return err_no_memory(err);
    enum st st = plan_make(api->deletion, &request, b->now, &a, plan, err);
    if (st != ST_OK)
        return st;
    if (plan->tags + plan->manifests + plan->blobs == 0)
        return plan_drop(api->deletion, str_of(plan->id), err);
    const struct apply_request order = { .plan_id = str_of(plan->id),
                                         .has_tags = plan->confirm_tags != 0,
                                         .confirm_tags = plan->confirm_tags,
                                         .by = request.by };
    st = apply_plan(api->deletion, &order, b->now, receipt, err);
    plan->warnings = NULL; /* what lived in `a` */
    plan->kept = NULL;
    return st;
}

void gitlab_tags_delete(struct http_request *rq)
{
    struct api *api = api_call_of(rq)->api;
    struct bulk b = { .now = gitlab_now(rq) };
    struct gitlab_namespace project;
    struct project_repository repo;
    struct plan plan = { 0 };
    struct err err = { 0 };
    int64_t receipt = 0;
    if (!read_bulk(rq, &b) || !gitlab_project(rq, RIGHT_PULL, &project) ||
        !gitlab_project_repository(rq, &project, RIGHT_DELETE, &repo))
        return;
    b.repo_id = repo.id;
    if (!may_now(rq, &b))
        return;
    enum st st = b.nothing ? ST_OK : apply(rq, repo.name, &b, &plan, &receipt, &err);
    if (st != ST_OK && st != ST_NOT_FOUND) {
        gitlab_fail(rq, &err);
        return;
    }
    if (receipt != 0 && api->registry->keeping.grace_ms == 0)
        reclaim_loop_wake(api->reclaim);
    log_event(LOG_INFO, "bulk deletion", LOG_STR("id", rq->id), LOG_STR("repository", repo.name),
              LOG_INT("receipt", receipt), LOG_INT("tags", plan.tags),
              LOG_INT("protected", plan.protected_items), LOG_STR("actor", gate_actor(rq)));
    gitlab_answer_code(rq, 202);
}
