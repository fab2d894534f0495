/* SPDX-License-Identifier: Apache-2.0
 *
 * Tags: pages of them, one, its locks, and taking it away.
 */
#include "api/acr_int.h"
#include "base/log.h"

static const struct answer_status listing[] = {
    { ST_NOT_FOUND, 404, "NAME_UNKNOWN" },
    { ST_EXPIRED, 404, "TAG_UNKNOWN" },
    { ST_OK, 0, NULL },
};
static const struct answer_status finding[] = {
    { ST_NOT_FOUND, 404, "TAG_UNKNOWN" },
    { ST_OK, 0, NULL },
};

static void add_tag(struct http_request *rq, struct json_out *o, const char *key,
                    const struct artifact_tag *t)
{
    json_out_open(o, key, '{');
    json_out_text(o, "name", t->name);
    json_out_digest(o, "digest", &t->digest);
    acr_add_time(rq, o, "createdTime", t->created_at);
    acr_add_time(rq, o, "lastUpdateTime", t->updated_at);
    json_out_flag(o, "signed", false);
    acr_add_attributes(o, t->may);
    json_out_close(o, '}');
}

/* ---- pages --------------------------------------------------------------------------------- */

/* ?digest= and what of it goes into a Link. */
static bool read_only(struct http_request *rq, struct digest *out, bool *given, str *more)
{
    struct err err = { 0 };
    str text = STR_NONE;
    *more = STR("");
    *given = http_query(rq, "digest", &text) && text.len > 0;
    if (!*given)
        return true;
    if (digest_parse(text, out, &err) != ST_OK) {
        acr_error(rq, 400, "DIGEST_INVALID", str_of(err.text), STR_NONE);
        return false;
    }
    str escaped = http_escape(&rq->arena, text);
    *more = arena_printf(&rq->arena, "&digest=%.*s", STR_FMT(escaped));
    return true;
}

/* Without entries `null`: az and acr take it for the end, an empty list or none breaks one of them.
 */
static void answer_tags(struct http_request *rq, const struct acr_page *page,
                        const struct artifact_tags *found, str more)
{
    struct json_out o;
    if (!acr_begin(rq, &o))
        return;
    json_out_open(&o, NULL, '{');
    acr_add_names(rq, &o);
    if (found->count == 0) {
        json_out_null(&o, "tags");
    } else {
        json_out_open(&o, "tags", '[');
        for (size_t i = 0; i < found->count; i++)
            add_tag(rq, &o, NULL, &found->items[i]);
        json_out_close(&o, ']');
    }
    json_out_close(&o, '}');
    acr_end(rq, 200, &o);
    if (!found->more || found->count == 0)
        return;
    const struct artifact_tag *last = &found->items[found->count - 1];
    acr_answer_next(rq, page, page->order == ARTIFACTS_BY_NAME ? 0 : last->updated_at, last->name,
                    more);
}

void acr_tags_get(struct http_request *rq)
{
    struct api_call *call = api_call_of(rq);
    struct artifact_tags found = { 0 };
    struct acr_page page;
    struct digest only;
    struct err err = { 0 };
    bool filtered = false;
    str more = STR("");
    if (!acr_read_page(rq, &page) || !read_only(rq, &only, &filtered, &more))
        return;
    struct arena *a = acr_arena(rq);
    if (a == NULL)
        return;
    const struct artifacts_query query = { .repo = call->repo,
                                           .order = page.order,
                                           .limit = page.limit,
                                           .after_tag = page.name,
                                           .has_time = page.has_time,
                                           .after_time = page.time,
                                           .only = filtered ? &only : NULL };
    if (artifacts_tags(call->api->registry, &query, a, &found, &err) != ST_OK)
        acr_fail(rq, listing, &err);
    else
        answer_tags(rq, &page, &found, more);
}

/* ---- one ----------------------------------------------------------------------------------- */

static void answer_tag(struct http_request *rq)
{
    struct api_call *call = api_call_of(rq);
    struct artifact_tag found = { 0 };
    struct json_out o;
    struct err err = { 0 };
    if (artifacts_tag(call->api->registry, call->repo, call->reference, &rq->arena, &found, &err) !=
        ST_OK) {
        acr_fail(rq, finding, &err);
        return;
    }
    if (!acr_begin(rq, &o))
        return;
    json_out_open(&o, NULL, '{');
    acr_add_names(rq, &o);
    add_tag(rq, &o, "tag", &found);
    json_out_close(&o, '}');
    acr_end(rq, 200, &o);
}

void acr_tag_get(struct http_request *rq)
{
    answer_tag(rq);
}

void acr_tag_patch(struct http_request *rq)
{
    const struct api_call *call = api_call_of(rq);
    const struct lock_object object = { .repo = call->repo, .tag = call->reference };
    if (acr_set_lock(rq, &object, "TAG_UNKNOWN"))
        answer_tag(rq);
}

void acr_tag_delete(struct http_request *rq)
{
    struct api_call *call = api_call_of(rq);
    struct deletion_result result = { 0 };
    char text[DIGEST_TEXT_MAX + 1];
    bool repo_known = false;
    struct err err = { 0 };
    const struct deletion_order order = { .kind = DELETION_TAG,
                                          .repo = call->repo,
                                          .tag = call->reference,
                                          .by = gate_by(rq, STR_NONE) };
    if (deletion_apply(call->api->deletion, &order, acr_now(rq), &result, &repo_known, &err) !=
        ST_OK) {
        acr_fail(rq, finding, &err);
        return;
    }
    if (call->api->registry->keeping.grace_ms == 0)
        reclaim_loop_wake(call->api->reclaim); /* it is due at once */
    acr_accepted(rq);
    str digest = digest_text(&result.digest, text);
    call->digest = arena_dup(&rq->arena, digest);
    log_event(LOG_INFO, "deleted", LOG_STR("id", rq->id), LOG_INT("receipt", result.receipt_id),
              LOG_STR("repository", order.repo), LOG_STR("digest", digest),
              LOG_STR("tag", order.tag), LOG_INT("tags", result.tags));
}
