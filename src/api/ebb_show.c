/* SPDX-License-Identifier: Apache-2.0
 *
 * GET /show: an image with all that it is related to, and what deleting it would give back.
 */
#include "api/ebb_int.h"
#include "base/log.h"
#include "deletion/plan.h"
#include "meta/inspect.h"

#define SHOW_BYTES_MAX (64 * MIB)

static const struct answer_status statuses[] = {
    { ST_NOT_FOUND, 404, "image-unknown" },
    { ST_OK, 0, NULL },
};

/* One answer under way. */
struct show {
    struct http_request *rq;
    struct json_out *o;
    const struct ebb_reference *ref;
    const struct inspect_image *image;
    const struct manifest *parsed; /* or NULL: the payload is none that can be read */
    struct arena *arena;
};

/* ---- blobs --------------------------------------------------------------------------------- */

static int by_digest(const void *a, const void *b)
{
    const struct inspect_blob *x = *(const struct inspect_blob *const *)a;
    const struct inspect_blob *y = *(const struct inspect_blob *const *)b;
    int c = (int)x->digest.algorithm - (int)y->digest.algorithm;
    return c != 0 ? c : memcmp(x->digest.bytes, y->digest.bytes, sizeof(x->digest.bytes));
}

/* `b` is NULL for what is named and not there, `d` when the manifest could not be read. */
static void add_blob(const struct show *s, const struct inspect_blob *b, const struct descriptor *d,
                     bool is_config)
{
    struct json_out *o = s->o;
    json_out_open(o, NULL, '{');
    json_out_digest(o, "digest", b != NULL ? &b->digest : &d->digest);
    json_out_text(o, "role", d == NULL ? STR_NONE : is_config ? STR("config") : STR("layer"));
    json_out_text(o, "media_type", d == NULL ? STR_NONE : d->media_type);
    json_out_count(o, "size", b != NULL ? b->size : d->size);
    json_out_flag(o, "present", b != NULL);
    json_out_count(o, "images", b == NULL ? 0 : b->images);
    json_out_count(o, "repositories", b == NULL ? 0 : b->repositories);
    json_out_open(o, "shared_with", '[');
    for (size_t i = 0; b != NULL && i < b->sharer_count; i++)
        json_out_text(o, NULL, ebb_sees(s->rq, b->sharers[i]) ? b->sharers[i] : STR_NONE);
    json_out_close(o, ']');
    json_out_close(o, '}');
}

/* In the manifest's order where it can be read. */
static void add_parsed_blobs(const struct show *s, const struct inspect_blob **sorted)
{
    const struct manifest *m = s->parsed;
    for (size_t i = 0; i < MIN(m->blob_count, (size_t)INSPECT_LIST_MAX); i++) {
        const struct inspect_blob key = { .digest = m->blobs[i].digest };
        const struct inspect_blob *wanted = &key;
        const struct inspect_blob **found = NULL;
        if (s->image->blob_count > 0)
            found = bsearch(&wanted, sorted, s->image->blob_count, sizeof(*sorted), by_digest);
        if (found != NULL || m->blobs[i].foreign)
            add_blob(s, found == NULL ? NULL : *found, &m->blobs[i], i == 0);
    }
}

static void add_blobs(const struct show *s)
{
    const struct inspect_image *image = s->image;
    const struct inspect_blob **sorted =
        arena_alloc(s->arena, MAX(image->blob_count, (size_t)1) * sizeof(*sorted));
    json_out_open(s->o, "blobs", '[');
    if (s->parsed != NULL && sorted != NULL && !image->more_blobs) {
        for (size_t i = 0; i < image->blob_count; i++)
            sorted[i] = &image->blobs[i];
        if (image->blob_count > 1)
            qsort(sorted, image->blob_count, sizeof(*sorted), by_digest);
        add_parsed_blobs(s, sorted);
    } else {
        for (size_t i = 0; i < image->blob_count; i++)
            add_blob(s, &image->blobs[i], NULL, false);
    }
    json_out_close(s->o, ']');
    json_out_flag(s->o, "more_blobs", image->more_blobs);
}

/* ---- the rest ------------------------------------------------------------------------------- */

static void add_manifest(struct json_out *o, const char *key, const struct inspect_manifest *m)
{
    json_out_open(o, key, '{');
    json_out_digest(o, "digest", &m->digest);
    json_out_flag(o, "present", m->present);
    json_out_text(o, "media_type", m->media_type);
    json_out_text(o, "artifact_type", m->artifact_type);
    if (m->present)
        json_out_count(o, "size", m->size);
    else
        json_out_null(o, "size");
    json_out_close(o, '}');
}

static void add_manifests(struct json_out *o, const char *key, const char *more,
                          const struct inspect_manifests *list)
{
    json_out_open(o, key, '[');
    for (size_t i = 0; i < list->count; i++)
        add_manifest(o, NULL, &list->items[i]);
    json_out_close(o, ']');
    json_out_flag(o, more, list->more);
}

static void add_tags(struct json_out *o, const struct inspect_image *image)
{
    json_out_open(o, "tags", '[');
    for (size_t i = 0; i < image->tag_count; i++)
        json_out_text(o, NULL, image->tags[i]);
    json_out_close(o, ']');
    json_out_flag(o, "more_tags", image->more_tags);
}

static void add_freed(const struct show *s)
{
    struct api *api = api_call_of(s->rq)->api;
    const struct selector selector = { .kind = SELECT_IMAGE,
                                       .repo = s->ref->repo,
                                       .digest = s->image->manifest.digest };
    const struct plan_request request = {
        .selectors = &selector, .count = 1, .by = gate_by(s->rq, STR_NONE), .text = STR("{}")
    };
    struct plan plan = { 0 };
    struct err err = { 0 };
    if (plan_make(api->deletion, &request, ebb_now(s->rq), s->arena, &plan, &err) != ST_OK) {
        json_out_null(s->o, "bytes_freed"); /* gone meanwhile, or too large: the rest is true */
        return;
    }
    json_out_count(s->o, "bytes_freed", plan.bytes_freed);
    if (plan_drop(api->deletion, str_of(plan.id), &err) != ST_OK)
        log_failure("a plan that was only looked at stays until it expires", &err);
}

static void add_image(const struct show *s)
{
    const struct inspect_image *image = s->image;
    struct json_out *o = s->o;
    json_out_open(o, NULL, '{');
    json_out_text(o, "repository", s->ref->repo);
    json_out_digest(o, "digest", &image->manifest.digest);
    json_out_text(o, "media_type", image->manifest.media_type);
    json_out_text(o, "artifact_type", image->manifest.artifact_type);
    json_out_raw(o, "annotations", image->annotations);
    json_out_count(o, "manifest_size", image->manifest.size);
    if (image->has_size)
        json_out_count(o, "size", image->size);
    else
        json_out_null(o, "size");
    json_out_text(o, "state", image->due_at == 0 ? STR("kept") : STR("loose"));
    ebb_add_time(s->rq, o, "until", image->due_at);
    ebb_add_time(s->rq, o, "pushed_at", image->pushed_at);
    ebb_add_time(s->rq, o, "pulled_at", image->pulled_at);
    add_tags(o, image);
    add_blobs(s);
    add_manifests(o, "children", "more_children", &image->children);
    if (image->has_subject)
        add_manifest(o, "subject", &image->subject);
    else
        json_out_null(o, "subject");
    add_manifests(o, "referrers", "more_referrers", &image->referrers);
    add_manifests(o, "indexes", "more_indexes", &image->indexes);
    json_out_open(o, "holds", '[');
    for (size_t i = 0; i < image->hold_count; i++)
        ebb_add_hold(s->rq, o, &image->holds[i]);
    json_out_close(o, ']');
    add_freed(s);
    json_out_close(o, '}');
}

void ebb_show_get(struct http_request *rq)
{
    struct api *api = api_call_of(rq)->api;
    struct ebb_reference ref;
    struct inspect_image image;
    struct manifest parsed;
    struct json_out o;
    struct err err = { 0 };
    str text = STR_NONE;
    struct arena *a = ebb_arena(rq, SHOW_BYTES_MAX);
    if (a == NULL || !ebb_reference(rq, EBB_REFERENCE_TAG | EBB_REFERENCE_DIGEST, &text, &ref) ||
        !gate_demand(rq, ref.repo, RIGHT_PULL))
        return;
    if (inspect_image(api->registry, ref.repo, ref.tag, &ref.digest, ebb_now(rq), a, &image,
                      &err) != ST_OK) {
        ebb_fail(rq, statuses, &err);
        return;
    }
    bool readable = manifest_parse(image.payload, image.manifest.media_type, &api->options.manifest,
                                   a, &parsed, NULL) == ST_OK;
    if (!ebb_begin(rq, &o))
        return;
    const struct show show = { .rq = rq,
                               .o = &o,
                               .ref = &ref,
                               .image = &image,
                               .parsed = readable ? &parsed : NULL,
                               .arena = a };
    add_image(&show);
    ebb_end(rq, 200, &o);
}
