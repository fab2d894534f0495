/* SPDX-License-Identifier: Apache-2.0
 *
 * Manifests: pages of them, one, and its locks. (They are deleted by the OCI API.)
 */
#include "api/acr_int.h"

#define CONFIG_BYTES_MAX (16 * (uint64_t)MIB) /* of one answer */

static const struct answer_status listing[] = {
    { ST_NOT_FOUND, 404, "NAME_UNKNOWN" },
    { ST_EXPIRED, 404, "MANIFEST_UNKNOWN" },
    { ST_OK, 0, NULL },
};
static const struct answer_status finding[] = {
    { ST_NOT_FOUND, 404, "MANIFEST_UNKNOWN" },
    { ST_OK, 0, NULL },
};

/* `null` says that nothing keeps the manifest, so scripts that look for null find what is left
 * over; without tags, but kept by an index, a subject or a hold, it is an empty list. */
static void add_tags(struct json_out *o, const struct artifact_manifest *m)
{
    if (m->tag_count == 0 && !m->kept) {
        json_out_null(o, "tags");
        return;
    }
    json_out_open(o, "tags", '[');
    for (size_t i = 0; i < m->tag_count; i++)
        json_out_text(o, NULL, m->tags[i]);
    json_out_close(o, ']');
}

static void add_manifest(struct http_request *rq, struct json_out *o, const char *key,
                         const struct artifact_manifest *m, uint64_t *budget, struct arena *a)
{
    struct acr_platform platform = { STR_NONE, STR_NONE };
    if (m->has_config)
        acr_read_platform(rq, &m->config, budget, a, &platform);
    json_out_open(o, key, '{');
    json_out_digest(o, "digest", &m->digest);
    if (m->has_size)
        json_out_count(o, "imageSize", m->size);
    acr_add_time(rq, o, "createdTime", m->pushed_at);
    acr_add_time(rq, o, "lastUpdateTime", m->pushed_at);
    if (platform.architecture.ptr != NULL)
        json_out_text(o, "architecture", platform.architecture);
    if (platform.os.ptr != NULL)
        json_out_text(o, "os", platform.os);
    json_out_text(o, "mediaType", m->media_type);
    if (m->config_type.ptr != NULL)
        json_out_text(o, "configMediaType", m->config_type);
    add_tags(o, m);
    acr_add_attributes(o, m->may);
    if (m->payload.ptr != NULL)
        acr_add_references(o, m->payload);
    json_out_close(o, '}');
}

/* ---- pages --------------------------------------------------------------------------------- */

static bool read_place(struct http_request *rq, const struct acr_page *page,
                       struct artifacts_query *q)
{
    struct err err = { 0 };
    q->has_digest = page->name.ptr != NULL;
    q->has_time = page->has_time;
    q->after_time = page->time;
    if (!q->has_digest || digest_parse(page->name, &q->after_digest, &err) == ST_OK)
        return true;
    acr_error(rq, 400, "DIGEST_INVALID",
              arena_printf(&rq->arena, "last must be a digest or come from a Link: %s", err.text),
              STR_NONE);
    return false;
}

static void answer_manifests(struct http_request *rq, const struct acr_page *page,
                             const struct artifact_manifests *found, struct arena *a)
{
    uint64_t budget = CONFIG_BYTES_MAX;
    char text[DIGEST_TEXT_MAX + 1];
    struct json_out o;
    if (!acr_begin(rq, &o))
        return;
    json_out_open(&o, NULL, '{');
    acr_add_names(rq, &o);
    if (found->count == 0) {
        json_out_null(&o, "manifests");
    } else {
        json_out_open(&o, "manifests", '[');
        for (size_t i = 0; i < found->count; i++)
            add_manifest(rq, &o, NULL, &found->items[i], &budget, a);
        json_out_close(&o, ']');
    }
    json_out_close(&o, '}');
    acr_end(rq, 200, &o);
    if (!found->more || found->count == 0)
        return;
    const struct artifact_manifest *last = &found->items[found->count - 1];
    acr_answer_next(rq, page, page->order == ARTIFACTS_BY_NAME ? 0 : last->pushed_at,
                    digest_text(&last->digest, text), STR(""));
}

void acr_manifests_get(struct http_request *rq)
{
    struct api_call *call = api_call_of(rq);
    struct artifact_manifests found = { 0 };
    struct acr_page page;
    struct err err = { 0 };
    if (!acr_read_page(rq, &page))
        return;
    struct artifacts_query query = { .repo = call->repo, .order = page.order, .limit = page.limit };
    if (!read_place(rq, &page, &query))
        return;
    struct arena *a = acr_arena(rq);
    if (a == NULL)
        return;
    if (artifacts_manifests(call->api->registry, &query, a, &found, &err) != ST_OK)
        acr_fail(rq, listing, &err);
    else
        answer_manifests(rq, &page, &found, a);
}

/* ---- one ----------------------------------------------------------------------------------- */

static void answer_manifest(struct http_request *rq, const struct digest *digest)
{
    struct api_call *call = api_call_of(rq);
    uint64_t budget = CONFIG_BYTES_MAX;
    struct artifact_manifest found = { 0 };
    struct json_out o;
    struct err err = { 0 };
    struct arena *a = acr_arena(rq);
    if (a == NULL)
        return;
    if (artifacts_manifest(call->api->registry, call->repo, digest, a, &found, &err) != ST_OK) {
        acr_fail(rq, finding, &err);
        return;
    }
    if (!acr_begin(rq, &o))
        return;
    json_out_open(&o, NULL, '{');
    acr_add_names(rq, &o);
    add_manifest(rq, &o, "manifest", &found, &budget, a);
    json_out_close(&o, '}');
    acr_end(rq, 200, &o);
}

/* The path was routed by it. */
static bool read_digest(struct http_request *rq, struct digest *out)
{
    if (digest_parse(api_call_of(rq)->reference, out, NULL) == ST_OK)
        return true;
    acr_no_page(rq);
    return false;
}

void acr_manifest_get(struct http_request *rq)
{
    struct digest digest;
    if (read_digest(rq, &digest))
        answer_manifest(rq, &digest);
}

void acr_manifest_patch(struct http_request *rq)
{
    struct digest digest;
    if (!read_digest(rq, &digest))
        return;
    const struct lock_object object = { .repo = api_call_of(rq)->repo, .digest = &digest };
    if (acr_set_lock(rq, &object, "MANIFEST_UNKNOWN"))
        answer_manifest(rq, &digest);
}
