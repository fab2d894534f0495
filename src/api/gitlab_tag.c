/* SPDX-License-Identifier: Apache-2.0
 *
 * Tags of a repository: lists by page and by key, one, deleting one.
 */
#include "api/gitlab_int.h"
#include "base/log.h"
#include "meta/locks.h"

#define TAG_NOT_FOUND "404 Tag Not Found"

/* The tag in the third part; nothing else is a tag. False with the error answered. */
static bool read_name(struct http_request *rq, str *out)
{
    str tag = gitlab_call_of(rq)->parts[2];
    if (tag_check(tag, NULL) != ST_OK) {
        gitlab_message(rq, 404, STR(TAG_NOT_FOUND));
        return false;
    }
    api_call_of(rq)->reference = tag;
    *out = tag;
    return true;
}

/* ---- lists ----------------------------------------------------------------------------------- */

struct tag_list {
    struct arena *arena;
    struct project_tags_ask ask;
    struct name_page page;
    uint64_t total;
};

static enum st read_tags(struct db_tx *tx, void *ctx, struct err *err)
{
    struct tag_list *l = ctx;
    return projects_tags(tx, &l->ask, l->arena, &l->page, &l->total, err);
}

static bool read_keyset(struct http_request *rq, struct tag_list *l, bool *keyset)
{
    struct gitlab_params *p = &gitlab_call_of(rq)->params;
    str pagination = STR_NONE;
    str sort = STR_NONE;
    str last = STR_NONE;
    *keyset = false;
    if (gitlab_param_text(p, "pagination", &pagination)) {
        *keyset = str_eq(pagination, STR("keyset"));
        if (!*keyset && pagination.len > 0 && !str_eq(pagination, STR("legacy")))
            gitlab_param_refuse(p, "pagination", "does not have a valid value");
    }
    if (gitlab_param_text(p, "sort", &sort) && sort.len > 0) {
        l->ask.descending = str_eq(sort, STR("desc"));
        if (!l->ask.descending && !str_eq(sort, STR("asc")))
            gitlab_param_refuse(p, "sort", "does not have a valid value");
    }
    if (*keyset && gitlab_param_text(p, "last", &last) && last.len > 0)
        l->ask.after = last;
    (void)gitlab_param_text(p, "name", &l->ask.contains);
    return gitlab_params_ok(rq);
}

void gitlab_tags_get(struct http_request *rq)
{
    struct tag_list l = { .arena = gitlab_call_of(rq)->arena };
    struct gitlab_namespace project;
    struct project_repository repo;
    struct gitlab_page page;
    struct json_out o;
    struct err err = { 0 };
    bool keyset = false;
    if (!gitlab_page(rq, &page) || !read_keyset(rq, &l, &keyset) ||
        !gitlab_project(rq, RIGHT_PULL, &project) ||
        !gitlab_project_repository(rq, &project, RIGHT_PULL, &repo))
        return;
    l.ask.repo_id = repo.id;
    l.ask.limit = (size_t)page.per_page;
    l.ask.skip = keyset ? 0 : gitlab_page_skip(&page);
    l.ask.count = !keyset;
    if (db_read(api_call_of(rq)->api->registry->db, read_tags, &l, &err) != ST_OK) {
        gitlab_fail(rq, &err);
        return;
    }
    if (!gitlab_begin(rq, &o))
        return;
    json_out_open(&o, NULL, '[');
    for (size_t i = 0; i < l.page.count; i++) {
        json_out_open(&o, NULL, '{');
        gitlab_add_tag(rq, &o, repo.name, l.page.names[i]);
        json_out_close(&o, '}');
    }
    json_out_close(&o, ']');
    gitlab_end(rq, 200, &o);
    if (rq->answer_code != 200)
        return;
    if (!keyset)
        gitlab_answer_page(rq, &page, l.total, l.page.more);
    else if (l.page.more)
        gitlab_answer_keyset(rq, page.per_page, l.ask.descending, l.page.names[l.page.count - 1]);
}

/* ---- one ------------------------------------------------------------------------------------- */

struct one_tag {
    struct arena *arena;
    int64_t repo_id;
    str repo;
    str name;
    struct project_tag tag;
};

/* What Azure's door has locked against reading is not read here either. */
static enum st read_tag(struct db_tx *tx, void *ctx, struct err *err)
{
    struct one_tag *t = ctx;
    enum st st = projects_tag(tx, t->repo_id, t->name, t->arena, &t->tag, err);
    return st == ST_OK ? locks_may_read(tx, t->repo, t->name, &t->tag.digest, err) : st;
}

/* Of an index there is no configuration: GitLab says "" then. */
static void add_revision(struct http_request *rq, struct json_out *o, const struct one_tag *t)
{
    const struct api *api = api_call_of(rq)->api;
    struct manifest parsed = { 0 };
    char text[DIGEST_TEXT_MAX + 1];
    str hex = STR("");
    enum st st = manifest_parse(t->tag.payload, t->tag.media_type, &api->options.manifest, t->arena,
                                &parsed, NULL);
    if (st == ST_NO_MEMORY)
        o->b->failed = st;
    if (st == ST_OK && parsed.kind == MANIFEST_IMAGE && parsed.blob_count > 0) {
        str digest = digest_text(&parsed.blobs[0].digest, text);
        (void)str_cut(digest, ':', &(str){ 0 }, &hex);
    }
    json_out_text(o, "revision", hex);
    json_out_text(o, "short_revision", str_slice(hex, 0, 9));
}

static bool find_tag(struct http_request *rq, unsigned rights, struct one_tag *t)
{
    struct gitlab_namespace project;
    struct project_repository repo;
    t->arena = gitlab_call_of(rq)->arena;
    if (!gitlab_params_ok(rq) || !gitlab_project(rq, RIGHT_PULL, &project) ||
        !gitlab_project_repository(rq, &project, rights, &repo) || !read_name(rq, &t->name))
        return false;
    t->repo_id = repo.id;
    t->repo = repo.name;
    return true;
}

void gitlab_tag_get(struct http_request *rq)
{
    struct one_tag t = { 0 };
    struct json_out o;
    struct err err = { 0 };
    if (!find_tag(rq, RIGHT_PULL, &t))
        return;
    enum st st = db_read(api_call_of(rq)->api->registry->db, read_tag, &t, &err);
    if (st == ST_NOT_FOUND)
        gitlab_message(rq, 404, STR(TAG_NOT_FOUND));
    else if (st != ST_OK)
        gitlab_fail(rq, &err);
    if (st != ST_OK || !gitlab_begin(rq, &o))
        return;
    json_out_open(&o, NULL, '{');
    gitlab_add_tag(rq, &o, t.repo, t.name);
    add_revision(rq, &o, &t);
    json_out_digest(&o, "digest", &t.tag.digest);
    gitlab_add_time(rq, &o, "created_at", t.tag.tagged_at);
    if (t.tag.has_size)
        json_out_count(&o, "total_size", t.tag.size);
    else
        json_out_null(&o, "total_size");
    json_out_close(&o, '}');
    gitlab_end(rq, 200, &o);
}

void gitlab_tag_delete(struct http_request *rq)
{
    struct api_call *call = api_call_of(rq);
    struct deletion_result result = { 0 };
    struct one_tag t = { 0 };
    struct err err = { 0 };
    char text[DIGEST_TEXT_MAX + 1];
    bool repo_known = false;
    if (!find_tag(rq, RIGHT_DELETE, &t))
        return;
    const struct deletion_order order = {
        .kind = DELETION_TAG, .repo = t.repo, .tag = t.name, .by = gate_by(rq, STR_NONE)
    };
    enum st st =
        deletion_apply(call->api->deletion, &order, gitlab_now(rq), &result, &repo_known, &err);
    if (st == ST_NOT_FOUND) {
        gitlab_message(rq, 404, str_of(repo_known ? TAG_NOT_FOUND : "404 Not found"));
        return;
    }
    if (st == ST_DENIED) {
        gitlab_message(rq, 403, STR("403 Forbidden - cannot delete protected tag(s)"));
        call->failure = arena_dup(&rq->arena, str_of(err.text)); /* the log says which rule */
        return;
    }
    if (st != ST_OK) {
        gitlab_fail(rq, &err);
        return;
    }
    if (call->api->registry->keeping.grace_ms == 0)
        reclaim_loop_wake(call->api->reclaim);
    log_event(LOG_INFO, "deleted", LOG_STR("id", rq->id), LOG_INT("receipt", result.receipt_id),
              LOG_STR("repository", t.repo), LOG_STR("digest", digest_text(&result.digest, text)),
              LOG_STR("tag", t.name), LOG_STR("actor", order.by.actor));
    gitlab_answer_code(rq, 200);
}
