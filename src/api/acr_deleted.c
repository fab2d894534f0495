/* SPDX-License-Identifier: Apache-2.0
 *
 * Azure's soft delete is Ebb's trash: what lies there, and getting it back.
 */
#include "api/acr_int.h"
#include "api/json_in.h"
#include "base/log.h"
#include "deletion/undo.h"
#include "meta/receipts.h"
#include "meta/targets.h"

static const struct answer_status statuses[] = {
    { ST_NOT_FOUND, 404, "NAME_UNKNOWN" },
    { ST_OK, 0, NULL },
};

/* ---- pages --------------------------------------------------------------------------------- */

static void add_times(struct http_request *rq, struct json_out *o, const struct artifact_deleted *d)
{
    acr_add_time(rq, o, "createdAt", d->created_at);
    acr_add_time(rq, o, "deletedAt", d->deleted_at);
}

/* What they may have back. The token that is asked for this list names no repository. */
static bool may_restore(const struct http_request *rq, str repo)
{
    return (access_rights(&gate_who(rq)->access, repo) & RIGHT_DELETE) != 0;
}

void acr_deleted_catalog_get(struct http_request *rq)
{
    struct registry *r = api_call_of(rq)->api->registry;
    struct acr_page page;
    struct json_out o;
    struct err err = { 0 };
    size_t listed = 0;
    bool more = true;
    if (!acr_read_page(rq, &page) || !acr_begin(rq, &o))
        return;
    str after = page.name;
    json_out_open(&o, NULL, '{');
    json_out_open(&o, "repositories", '[');
    while (more && listed < page.limit) {
        struct artifacts_deleted found = { 0 };
        if (artifacts_deleted_repositories(r, after, page.limit, acr_now(rq), &rq->arena, &found,
                                           &err) != ST_OK) {
            acr_fail(rq, statuses, &err);
            return;
        }
        more = found.more;
        for (size_t i = 0; i < found.count && listed < page.limit; i++) {
            const struct artifact_deleted *d = &found.items[i];
            more = found.more || i + 1 < found.count;
            after = d->name;
            if (!may_restore(rq, d->name))
                continue;
            json_out_open(&o, NULL, '{');
            json_out_text(&o, "repository", d->name);
            add_times(rq, &o, d);
            json_out_close(&o, '}');
            listed++;
        }
    }
    json_out_close(&o, ']');
    json_out_close(&o, '}');
    acr_end(rq, 200, &o);
    if (more && listed > 0)
        acr_answer_next(rq, &page, 0, after, STR(""));
}

/* Places are "~<time or receipt>~<item>". */
static bool read_deleted_place(struct http_request *rq, const struct acr_page *page,
                               struct artifact_deleted *out)
{
    uint64_t item = 0;
    *out = (struct artifact_deleted){ .due_at = page->time, .receipt_id = page->time };
    if (page->last.ptr == NULL)
        return true;
    if (page->has_time && str_to_u64(page->name, INT64_MAX, &item)) {
        out->item = item;
        return true;
    }
    acr_error(rq, 400, "UNSUPPORTED", STR("last must come from a Link"), STR_NONE);
    return false;
}

static void answer_deleted(struct http_request *rq, const struct acr_page *page,
                           const struct artifacts_deleted *found, bool tags)
{
    struct json_out o;
    if (!acr_begin(rq, &o))
        return;
    json_out_open(&o, NULL, '{');
    acr_add_names(rq, &o);
    json_out_open(&o, tags ? "tags" : "manifests", '[');
    for (size_t i = 0; i < found->count; i++) {
        const struct artifact_deleted *d = &found->items[i];
        json_out_open(&o, NULL, '{');
        if (tags)
            json_out_text(&o, "tag", d->name);
        json_out_digest(&o, "digest", &d->digest);
        add_times(rq, &o, d);
        json_out_close(&o, '}');
    }
    json_out_close(&o, ']');
    json_out_close(&o, '}');
    acr_end(rq, 200, &o);
    if (!found->more || found->count == 0)
        return;
    const struct artifact_deleted *last = &found->items[found->count - 1];
    acr_answer_next(rq, page, tags ? last->receipt_id : last->due_at,
                    arena_printf(&rq->arena, "%llu", (unsigned long long)last->item), STR(""));
}

static void list_deleted(struct http_request *rq, bool tags)
{
    struct api_call *call = api_call_of(rq);
    struct artifacts_deleted found = { 0 };
    struct artifact_deleted place;
    struct acr_page page;
    struct err err = { 0 };
    if (!acr_read_page(rq, &page) || !read_deleted_place(rq, &page, &place))
        return;
    struct arena *a = acr_arena(rq);
    if (a == NULL)
        return;
    const struct artifact_deleted *after = page.last.ptr == NULL ? NULL : &place;
    enum st st = tags ? artifacts_deleted_tags(call->api->registry, call->repo, after, page.limit,
                                               acr_now(rq), a, &found, &err)
                      : artifacts_deleted_manifests(call->api->registry, call->repo, after,
                                                    page.limit, acr_now(rq), a, &found, &err);
    if (st != ST_OK)
        acr_fail(rq, statuses, &err);
    else
        answer_deleted(rq, &page, &found, tags);
}

void acr_deleted_manifests_get(struct http_request *rq)
{
    list_deleted(rq, false);
}

void acr_deleted_tags_get(struct http_request *rq)
{
    list_deleted(rq, true);
}

/* ---- getting it back ------------------------------------------------------------------------ */

static const struct answer_status restoring[] = {
    { ST_NOT_FOUND, 404, "MANIFEST_UNKNOWN" },
    { ST_EXPIRED, 404, "MANIFEST_UNKNOWN" },
    { ST_EXISTS, 409, "TAG_ALREADY_EXISTS" },
    { ST_OK, 0, NULL },
};

struct restore {
    struct http_request *rq;
    struct digest digest;
    str digest_text;
    str tag; /* that it gets; unset: those that it had */
    bool force;
    struct arena *arena;
};

/* "force=True": as az spells it. */
static bool read_force(struct http_request *rq, bool *out)
{
    str text = STR("");
    *out = false;
    if (!http_query(rq, "force", &text) || text.len == 0 || str_eq_nocase(text, STR("false")))
        return true;
    *out = str_eq_nocase(text, STR("true"));
    if (!*out)
        acr_error(rq, 400, "UNSUPPORTED", STR("force must be true or false"), STR_NONE);
    return *out;
}

static bool read_restore(struct http_request *rq, struct restore *out)
{
    struct json_in_body body = { 0 };
    struct json_in in = { 0 };
    struct err err = { 0 };
    out->rq = rq;
    out->digest_text = api_call_of(rq)->reference;
    if (digest_parse(out->digest_text, &out->digest, NULL) != ST_OK) {
        acr_no_page(rq);
        return false;
    }
    if (!read_force(rq, &out->force))
        return false;
    out->arena = acr_arena(rq);
    if (out->arena == NULL)
        return false;
    enum st st = json_in_read(&body, rq->body, true, &rq->arena, &in, &err);
    if (st == ST_OK && json_in_text(&in, "tag", TAG_MAX_BYTES, &out->tag))
        st = tag_check(out->tag, &err);
    if (st == ST_OK)
        st = json_in_close(&in, &err);
    json_in_release(&body);
    if (st != ST_OK)
        acr_fail(rq, NULL, &err);
    return st == ST_OK;
}

/* Whether the name is free, or may be taken. */
static enum st check_tag(const struct restore *in, struct err *err)
{
    struct api_call *call = api_call_of(in->rq);
    struct artifact_tag there = { 0 };
    if (in->tag.ptr == NULL || in->force)
        return ST_OK;
    enum st st = artifacts_tag(call->api->registry, call->repo, in->tag, in->arena, &there, NULL);
    if (st == ST_NOT_FOUND || (st == ST_OK && digest_eq(&there.digest, &in->digest)))
        return ST_OK;
    if (st != ST_OK)
        return err_set(err, st, "cannot tell whether the tag is there");
    return err_set(err, ST_EXISTS,
                   "the tag %.*s names another manifest now: restore with force to move it",
                   STR_FMT(in->tag));
}

/* A tag that is set, or moved by force, is as good as pushed. az brings a token for deleted_restore
 * only, so its owner's right is asked, not the token's. */
static enum st check_push(const struct restore *in, struct err *err)
{
    const struct api_call *call = api_call_of(in->rq);
    unsigned rights = access_rights(&gate_who(in->rq)->access, call->repo);
    if ((in->tag.ptr == NULL && !in->force) || (rights & RIGHT_PUSH) != 0)
        return ST_OK;
    return err_set(err, ST_DENIED, "restoring a tag takes the right to push");
}

/* The undo, and whether all of it came back. */
struct undone_call {
    int64_t undo;
    struct arena *arena;
    struct receipt_item *items;
    size_t count;
    bool more;
};

static enum st read_skipped(struct db_tx *tx, void *ctx, struct err *err)
{
    struct undone_call *c = ctx;
    return receipts_items(tx, c->undo, 0, 1, true, c->arena, &c->items, &c->count, &c->more, err);
}

static enum st undo(const struct restore *in, const struct undo_request *request, struct err *err)
{
    struct api_call *call = api_call_of(in->rq);
    struct undone_call c = { .arena = in->arena };
    bool sealed = false;
    enum st st = undo_receipt(call->api->deletion, request, acr_now(in->rq), &c.undo, err);
    while (st == ST_OK && !sealed)
        st = deletion_wait(call->api->deletion, c.undo, 1000, &sealed, err);
    if (st == ST_OK)
        st = db_read(call->api->registry->db, read_skipped, &c, err);
    if (st == ST_OK && c.count > 0)
        st = err_set(err, ST_DENIED, "not all of it came back: %.*s", STR_FMT(c.items[0].why));
    return st;
}

/* A manifest that had no tag gets one as by a push. */
static enum st give_tag(const struct restore *in, struct err *err)
{
    static const struct manifest_limits limits = { .bytes_max = 64 * MIB,
                                                   .depth_max = 1000,
                                                   .descriptors_max = 1000000 };
    struct api_call *call = api_call_of(in->rq);
    struct registry *r = call->api->registry;
    struct manifest_row row = { 0 };
    struct manifest parsed = { 0 };
    struct manifest_missing missing = { 0 };
    bool repo_known = false;
    enum st st = registry_find_manifest(r, call->repo, STR_NONE, &in->digest, in->arena, &row,
                                        &repo_known, err);
    if (st == ST_OK)
        st = manifest_parse(row.payload, row.media_type, &limits, in->arena, &parsed, err);
    if (st != ST_OK)
        return st;
    const struct registry_push push = { .repo = call->repo,
                                        .actor = gate_actor(in->rq),
                                        .parsed = &parsed,
                                        .digest = &in->digest,
                                        .payload = row.payload,
                                        .tags = &in->tag,
                                        .tag_count = 1 };
    return registry_push_manifest(r, &push, acr_now(in->rq), &missing, err);
}

static enum st restore(const struct restore *in, struct err *err)
{
    struct api_call *call = api_call_of(in->rq);
    struct undo_request request = { .only_count = 1,
                                    .force = in->force,
                                    .by = gate_by(in->rq, STR_NONE) };
    str by_tag = STR_NONE;
    str reference = STR_NONE;
    enum st st =
        artifacts_find_deleted(call->api->registry, call->repo, &in->digest, in->tag,
                               acr_now(in->rq), in->arena, &request.receipt_id, &by_tag, err);
    if (st == ST_OK)
        st = check_tag(in, err);
    if (st == ST_OK)
        st = check_push(in, err);
    if (st != ST_OK)
        return st;
    if (in->tag.ptr == NULL || by_tag.ptr == NULL)
        reference =
            arena_printf(in->arena, "%.*s@%.*s", STR_FMT(call->repo), STR_FMT(in->digest_text));
    else
        reference = arena_printf(in->arena, "%.*s:%.*s", STR_FMT(call->repo), STR_FMT(by_tag));
    if (reference.ptr == NULL)
        return err_no_memory(err);
    request.only = &reference;
    if (by_tag.ptr != NULL && in->tag.ptr != NULL && !str_eq(by_tag, in->tag))
        request.as = in->tag;
    st = undo(in, &request, err);
    if (st == ST_OK && in->tag.ptr != NULL && by_tag.ptr == NULL)
        st = give_tag(in, err);
    return st;
}

void acr_deleted_manifest_post(struct http_request *rq)
{
    struct restore in = { 0 };
    struct json_out o;
    struct err err = { 0 };
    if (!read_restore(rq, &in))
        return;
    if (restore(&in, &err) != ST_OK) {
        acr_fail(rq, restoring, &err);
        return;
    }
    if (!acr_begin(rq, &o))
        return;
    json_out_open(&o, NULL, '{');
    json_out_text(&o, "digest", in.digest_text);
    json_out_text(&o, "tag", in.tag);
    json_out_close(&o, '}');
    acr_end(rq, 200, &o);
    log_event(LOG_INFO, "restored", LOG_STR("id", rq->id),
              LOG_STR("repository", api_call_of(rq)->repo), LOG_STR("digest", in.digest_text),
              LOG_STR("tag", in.tag));
}
