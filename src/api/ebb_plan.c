/* SPDX-License-Identifier: Apache-2.0
 *
 * Plans: POST /plans, GET and DELETE /plans/<id>, its items, and applying it.
 */
#include "api/ebb_int.h"
#include "api/ebb_select.h"
#include "base/log.h"
#include "deletion/apply.h"
#include "deletion/plan.h"

#define PLAN_BYTES_MAX (64 * MIB)
/* As the engine says it. */
#define NO_PLAN        STR("there is no such plan; plans are forgotten after a while")

static const struct answer_status making[] = {
    { ST_NOT_FOUND, 404, "selection-unknown" },
    { ST_TOO_LARGE, 422, "plan-too-large" },
    { ST_OK, 0, NULL },
};
static const struct answer_status finding[] = {
    { ST_NOT_FOUND, 404, "plan-unknown" },
    { ST_BUSY, 409, "plan-applied" },
    { ST_OK, 0, NULL },
};

/* ---- answers ------------------------------------------------------------------------------- */

static void add_retained(struct json_out *o, const struct plan *p)
{
    static const struct {
        const char *key;
        enum retention_verdict verdict;
    } members[] = {
        { "name", RETENTION_KEPT_BY_NAME },    { "newest", RETENTION_KEPT_NEWEST },
        { "young", RETENTION_KEPT_YOUNG },     { "pulled", RETENTION_KEPT_PULLED },
        { "unknown", RETENTION_KEPT_UNKNOWN }, { "unclear", RETENTION_KEPT_UNCLEAR },
    };
    json_out_open(o, "retained", '{');
    for (size_t i = 0; i < ARRAY_LEN(members); i++)
        json_out_count(o, members[i].key, p->retained[members[i].verdict]);
    json_out_close(o, '}');
}

static const char *warning_text(enum plan_warning_code code)
{
    switch (code) {
    case PLAN_ALL_TAGS:
        return "all-tags";
    case PLAN_SHARE:
        return "share";
    case PLAN_NEWEST_TAG:
        return "newest-tag";
    case PLAN_PULLED_RECENTLY:
        return "pulled-recently";
    case PLAN_UNTAGGED_KEPT:
        return "untagged-kept";
    }
    return "other";
}

static void add_warnings(struct json_out *o, const struct plan *p)
{
    json_out_open(o, "warnings", '[');
    for (size_t i = 0; i < p->warning_count; i++) {
        const struct plan_warning *w = &p->warnings[i];
        json_out_open(o, NULL, '{');
        json_out_text(o, "code", str_of(warning_text(w->code)));
        json_out_text(o, "repository", w->repo);
        json_out_text(o, "text", w->text);
        json_out_close(o, '}');
    }
    json_out_close(o, ']');
}

static void add_keeper(const struct http_request *rq, struct json_out *o,
                       const struct plan_keeper *k)
{
    bool seen = ebb_sees(rq, k->repo);
    json_out_open(o, NULL, '{');
    json_out_text(o, "repository", seen ? k->repo : STR_NONE);
    if (seen)
        json_out_digest(o, "digest", &k->digest);
    else
        json_out_null(o, "digest");
    json_out_text(o, "tag", seen ? k->tag : STR_NONE);
    json_out_text(o, "why", seen ? k->why : STR(EBB_UNSEEN));
    json_out_close(o, '}');
}

static void add_kept(const struct http_request *rq, struct json_out *o, const struct plan *p)
{
    json_out_open(o, "kept", '[');
    for (size_t i = 0; i < p->kept_count; i++) {
        const struct plan_kept *k = &p->kept[i];
        json_out_open(o, NULL, '{');
        json_out_digest(o, "digest", &k->digest);
        json_out_count(o, "size", k->size);
        json_out_open(o, "by", '[');
        for (size_t n = 0; n < k->by_count; n++)
            add_keeper(rq, o, &k->by[n]);
        json_out_close(o, ']');
        json_out_close(o, '}');
    }
    json_out_close(o, ']');
}

static void add_plan(struct http_request *rq, struct json_out *o, const struct plan *p)
{
    json_out_open(o, NULL, '{');
    json_out_text(o, "plan", str_of(p->id));
    ebb_add_time(rq, o, "created_at", p->created_at);
    ebb_add_time(rq, o, "expires_at", p->expires_at);
    json_out_flag(o, "now", p->now);
    json_out_text(o, "reason", p->reason);
    json_out_count(o, "tags", p->tags);
    json_out_count(o, "manifests", p->manifests);
    json_out_count(o, "blobs", p->blobs);
    json_out_count(o, "repositories", p->repositories);
    json_out_count(o, "items", p->items);
    json_out_count(o, "bytes_freed", p->bytes_freed);
    json_out_count(o, "bytes_later", p->bytes_later);
    ebb_add_time(rq, o, "later_until", p->later_until);
    json_out_count(o, "bytes_kept", p->bytes_kept);
    if (p->confirm_tags == 0) {
        json_out_null(o, "confirm");
    } else {
        json_out_open(o, "confirm", '{');
        json_out_count(o, "tags", p->confirm_tags);
        json_out_text(o, "why", p->confirm_why);
        json_out_close(o, '}');
    }
    json_out_count(o, "protected", p->protected_items);
    add_retained(o, p);
    add_warnings(o, p);
    add_kept(rq, o, p);
    if (p->receipt_id == 0)
        json_out_null(o, "receipt");
    else
        json_out_number(o, "receipt", p->receipt_id);
    json_out_close(o, '}');
}

static void answer_plan(struct http_request *rq, int http, const struct plan *p)
{
    struct json_out o;
    if (!ebb_begin(rq, &o))
        return;
    add_plan(rq, &o, p);
    ebb_end(rq, http, &o);
    if (http == 201 && rq->answer_code == http)
        http_answer_header(rq, "Location", arena_printf(&rq->arena, EBB_ROOT "/plans/%s", p->id));
}

/* ---- making and finding ---------------------------------------------------------------------- */

/* Names one repository: a glob without wildcards does, too. */
static bool is_name(const struct selector *s)
{
    bool glob = s->kind == SELECT_REPOSITORY || s->kind == SELECT_RULE || s->kind == SELECT_TRASH;
    return !glob || (s->repo.len > 0 && memchr(s->repo.ptr, '*', s->repo.len) == NULL &&
                     memchr(s->repo.ptr, '?', s->repo.len) == NULL);
}

/* Of what is named the right is needed; what patterns match elsewhere is passed by. */
static bool demand_named(struct http_request *rq, const struct ebb_selection *s)
{
    unsigned rights = RIGHT_DELETE | (s->now ? RIGHT_NOW : 0);
    for (size_t i = 0; i < s->count; i++)
        if (is_name(&s->selectors[i]) && !gate_demand(rq, s->selectors[i].repo, rights))
            return false;
    return true;
}

void ebb_plans_post(struct http_request *rq)
{
    struct api_call *call = api_call_of(rq);
    struct ebb_selection selection = { 0 };
    struct json_in in;
    struct plan plan = { 0 };
    struct err err = { 0 };
    struct arena *a = ebb_arena(rq, PLAN_BYTES_MAX);
    if (a == NULL || !ebb_read(rq, &in))
        return;
    ebb_select_read(&in, EBB_REASON_MAX, &selection);
    if (!ebb_read_end(rq, &in) || !demand_named(rq, &selection))
        return;
    const struct plan_request request = { .selectors = selection.selectors,
                                          .count = selection.count,
                                          .now = selection.now,
                                          .by = gate_by(rq, selection.reason),
                                          .text = rq->body,
                                          .may =
                                              selection.now ? ebb_may_delete_now : ebb_may_delete,
                                          .may_ctx = rq };
    if (plan_make(call->api->deletion, &request, ebb_now(rq), a, &plan, &err) != ST_OK)
        ebb_fail(rq, making, &err);
    else
        answer_plan(rq, 201, &plan);
}

/* The plan of call->reference. Rights are asked for again each time: roles change. One that deletes
 * where they may not even look is not there. */
static bool may_touch(struct http_request *rq, bool now)
{
    struct err err = { 0 };
    str repo = STR_NONE;
    api_call_of(rq)->absent = NO_PLAN;
    switch (ebb_plan_access(rq, api_call_of(rq)->reference, now, &repo, &err)) {
    case EBB_ALLOWED:
    case EBB_PARTLY:
        return true;
    case EBB_REFUSED:
        return gate_demand(rq, repo, RIGHT_DELETE | (now ? RIGHT_NOW : 0));
    case EBB_FAILED:
        break;
    }
    ebb_fail(rq, finding, &err);
    return false;
}

static bool find_plan(struct http_request *rq, struct plan *out)
{
    struct api_call *call = api_call_of(rq);
    struct err err = { 0 };
    struct arena *a = ebb_arena(rq, PLAN_BYTES_MAX);
    if (a == NULL)
        return false;
    if (plan_find(call->api->deletion, call->reference, ebb_now(rq), a, out, &err) != ST_OK) {
        ebb_fail(rq, finding, &err);
        return false;
    }
    return may_touch(rq, out->now && rq->method == HTTP_POST);
}

void ebb_plan_get(struct http_request *rq)
{
    struct plan plan = { 0 };
    if (find_plan(rq, &plan))
        answer_plan(rq, 200, &plan);
}

void ebb_plan_delete(struct http_request *rq)
{
    struct api_call *call = api_call_of(rq);
    struct plan plan = { 0 };
    struct err err = { 0 };
    if (!find_plan(rq, &plan)) /* one that is over by its time is not there either */
        return;
    if (plan_drop(call->api->deletion, call->reference, &err) != ST_OK)
        ebb_fail(rq, finding, &err);
    else
        http_answer(rq, 204);
}

/* ---- items ----------------------------------------------------------------------------------- */

static bool read_filter(struct http_request *rq, struct plan_filter *out)
{
    struct err err = { 0 };
    str text = STR_NONE;
    *out = (struct plan_filter){ .kind = -1, .state = -1 };
    if (http_query(rq, "kind", &text)) {
        if (str_eq(text, STR("tag")))
            out->kind = PLAN_TAG;
        else if (str_eq(text, STR("manifest")))
            out->kind = PLAN_MANIFEST;
        else if (str_eq(text, STR("blob")))
            out->kind = PLAN_BLOB;
        else
            (void)err_set(&err, ST_INVALID, "?kind= is tag, manifest or blob");
    }
    if (http_query(rq, "state", &text)) {
        if (str_eq(text, STR("goes")))
            out->state = 0;
        else if (str_eq(text, STR("protected")))
            out->state = 1;
        else
            (void)err_set(&err, ST_INVALID, "?state= is goes or protected");
    }
    if (err.st == ST_OK)
        return true;
    ebb_fail(rq, NULL, &err);
    return false;
}

static void add_item(struct json_out *o, const struct plan_item *i)
{
    static const char *const kinds[] = {
        [PLAN_TAG] = "tag", [PLAN_MANIFEST] = "manifest", [PLAN_BLOB] = "blob"
    };
    json_out_open(o, NULL, '{');
    json_out_text(o, "kind", str_of(kinds[i->kind]));
    json_out_text(o, "role", i->role == PLAN_WITH ? STR("with") : STR("selected"));
    json_out_text(o, "state", i->is_protected ? STR("protected") : STR("goes"));
    json_out_text(o, "repository", i->repo);
    json_out_text(o, "tag", i->kind == PLAN_TAG ? i->tag : STR_NONE);
    json_out_digest(o, "digest", &i->digest);
    json_out_count(o, "size", i->size);
    json_out_flag(o, "in_trash", i->in_trash);
    json_out_text(o, "why", i->why);
    json_out_close(o, '}');
}

/* Rights on what the page tells: looking at the whole plan for each page would cost its square. */
static bool may_read(struct http_request *rq, const struct plan_page *page)
{
    str refused = STR_NONE;
    for (size_t i = 0; i < page->count; i++) {
        str repo = page->items[i].repo;
        if ((i > 0 && str_eq(repo, page->items[i - 1].repo)) || gate_may(rq, repo, RIGHT_DELETE))
            continue;
        if (refused.ptr == NULL || !ebb_sees(rq, repo))
            refused = repo;
    }
    api_call_of(rq)->absent = NO_PLAN;
    return refused.ptr == NULL || gate_demand(rq, refused, RIGHT_DELETE);
}

void ebb_plan_items_get(struct http_request *rq)
{
    struct api_call *call = api_call_of(rq);
    struct plan_filter filter;
    struct plan_page page = { 0 };
    struct json_out o;
    struct err err = { 0 };
    size_t limit = 0;
    uint64_t from = 0;
    struct arena *a = ebb_arena(rq, PLAN_BYTES_MAX);
    if (a == NULL || !ebb_page_number(rq, &limit, &from) || !read_filter(rq, &filter))
        return;
    if (plan_items(call->api->deletion, call->reference, &filter, from, limit, ebb_now(rq), a,
                   &page, &err) != ST_OK) {
        ebb_fail(rq, finding, &err);
        return;
    }
    if (!may_read(rq, &page) || !ebb_begin_list(rq, &o))
        return;
    for (size_t i = 0; i < page.count; i++)
        add_item(&o, &page.items[i]);
    ebb_end_list_number(rq, &o, page.next);
}

/* ---- applying -------------------------------------------------------------------------------- */

/* What must be repeated. */
static void answer_confirm(struct http_request *rq, const struct plan *p, const struct err *err)
{
    struct json_out o;
    if (!ebb_begin(rq, &o))
        return;
    json_out_open(&o, "confirm", '{');
    if (p->confirm_tags > 0)
        json_out_count(&o, "tags", p->confirm_tags);
    else
        json_out_null(&o, "tags");
    if (p->now)
        json_out_count(&o, "bytes", p->bytes_freed);
    else
        json_out_null(&o, "bytes");
    json_out_text(&o, "why", p->confirm_why);
    json_out_close(&o, '}');
    ebb_problem(rq, 409, "confirm-needed", str_of(err->text),
                o.b->failed == ST_OK ? buf_str(o.b) : STR_NONE);
}

void ebb_plan_apply_post(struct http_request *rq)
{
    struct api_call *call = api_call_of(rq);
    struct apply_request request = { .plan_id = call->reference, .by = gate_by(rq, STR_NONE) };
    struct plan plan = { 0 };
    struct json_in in;
    struct err err = { 0 };
    int64_t receipt = 0;
    if (!ebb_read(rq, &in))
        return;
    request.has_tags =
        json_in_count(&in, "confirm_tags", JSON_IN_NUMBER_MAX, &request.confirm_tags);
    request.has_bytes =
        json_in_count(&in, "confirm_bytes", JSON_IN_NUMBER_MAX, &request.confirm_bytes);
    if (!ebb_read_end(rq, &in) || !find_plan(rq, &plan))
        return;
    request.by.reason = plan.reason;
    enum st st = apply_plan(call->api->deletion, &request, ebb_now(rq), &receipt, &err);
    if (st == ST_DENIED) {
        answer_confirm(rq, &plan, &err);
        return;
    }
    if (st != ST_OK) {
        ebb_fail(rq, finding, &err);
        return;
    }
    if (plan.now || call->api->registry->keeping.grace_ms == 0)
        reclaim_loop_wake(call->api->reclaim);
    if (plan.receipt_id == 0)
        log_event(LOG_INFO, "applied", LOG_STR("id", rq->id), LOG_STR("plan", call->reference),
                  LOG_INT("receipt", receipt), LOG_INT("tags", plan.tags),
                  LOG_INT("manifests", plan.manifests), LOG_INT("blobs", plan.blobs),
                  LOG_INT("bytes_freed", plan.bytes_freed), LOG_STR("reason", plan.reason));
    ebb_answer_receipt(rq, receipt);
}
