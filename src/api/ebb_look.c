/* SPDX-License-Identifier: Apache-2.0
 *
 * What there is: GET /repositories, /tags, /usage.
 */
#include "api/ebb_int.h"
#include "meta/inspect.h"

#define PAGE_BYTES_MAX (64 * MIB)
#define LOOKS          20

static const struct answer_status statuses[] = {
    { ST_NOT_FOUND, 404, "repository-unknown" },
    { ST_OK, 0, NULL },
};

static void add_bytes(struct json_out *o, const struct usage *u)
{
    json_out_count(o, "unique", u->unique);
    json_out_count(o, "shared", u->shared);
    json_out_count(o, "trash", u->trash);
    json_out_count(o, "pending", u->pending);
    json_out_count(o, "uploads", u->uploads);
}

/* ---- repositories --------------------------------------------------------------------------- */

static void add_repository(struct http_request *rq, struct json_out *o,
                           const struct inspect_repository *r)
{
    json_out_open(o, NULL, '{');
    json_out_text(o, "repository", r->name);
    json_out_count(o, "tags", r->usage.tags);
    json_out_count(o, "manifests", r->usage.manifests);
    ebb_add_time(rq, o, "created_at", r->created_at);
    add_bytes(o, &r->usage);
    json_out_close(o, '}');
}

/* Who is nobody and may see nothing at all is asked who they are, instead of being told that there
 * is nothing. */
static bool may_list(struct http_request *rq)
{
    char room[ACCESS_SEEK_MAX];
    str from = STR_NONE;
    return !ebb_is_anonymous(rq) || access_seek(&gate_who(rq)->access, STR(""), room, &from) ||
           gate_demand(rq, STR(""), RIGHT_PULL);
}

/* Those that may be pulled, behind page->after. What lies between is passed by without a look, and
 * a page ends after LOOKS stretches. */
static enum st list_repositories(struct http_request *rq, struct json_out *o, str prefix,
                                 const struct ebb_page *page, struct arena *a, str *next,
                                 struct err *err)
{
    struct api *api = api_call_of(rq)->api;
    size_t room = page->limit;
    str after = page->after;
    for (int looks = 0; room > 0 && looks < LOOKS; looks++) {
        struct inspect_repositories found;
        char *seek = arena_alloc(a, ACCESS_SEEK_MAX);
        if (seek == NULL)
            return err_no_memory(err);
        str from = after.ptr == NULL ? STR("") : after;
        if (api->accounts && !access_seek(&gate_who(rq)->access, from, seek, &from)) {
            *next = STR_NONE;
            return ST_OK;
        }
        enum st st = inspect_repositories(api->registry, prefix, from.len == 0 ? STR_NONE : from,
                                          room, a, &found, err);
        if (st != ST_OK)
            return st;
        for (size_t i = 0; i < found.count; i++)
            if (ebb_sees(rq, found.items[i].name)) {
                add_repository(rq, o, &found.items[i]);
                room--;
            }
        *next = STR_NONE;
        if (!found.more || found.count == 0)
            return ST_OK;
        *next = after = found.items[found.count - 1].name;
    }
    return ST_OK;
}

void ebb_repositories_get(struct http_request *rq)
{
    struct ebb_page page;
    struct json_out o;
    struct err err = { 0 };
    str prefix = STR_NONE;
    str next = STR_NONE;
    struct arena *a = ebb_arena(rq, PAGE_BYTES_MAX);
    if (a == NULL || !ebb_page(rq, &page) || !ebb_prefix(rq, &prefix) || !may_list(rq))
        return;
    if (!ebb_begin(rq, &o))
        return;
    json_out_open(&o, NULL, '{');
    json_out_open(&o, "items", '[');
    if (list_repositories(rq, &o, prefix, &page, a, &next, &err) != ST_OK) {
        ebb_fail(rq, NULL, &err);
        return;
    }
    json_out_close(&o, ']');
    ebb_add_next(&o, next.ptr != NULL, next);
    json_out_close(&o, '}');
    ebb_end(rq, 200, &o);
}

/* ---- tags ----------------------------------------------------------------------------------- */

static void add_tag(struct http_request *rq, struct json_out *o, const struct inspect_tag *t)
{
    json_out_open(o, NULL, '{');
    json_out_text(o, "tag", t->name);
    json_out_digest(o, "digest", &t->digest);
    json_out_text(o, "media_type", t->media_type);
    if (t->has_size)
        json_out_count(o, "size", t->size);
    else
        json_out_null(o, "size");
    ebb_add_time(rq, o, "tagged_at", t->tagged_at);
    ebb_add_time(rq, o, "pulled_at", t->pulled_at);
    json_out_text(o, "protected", t->protected_by);
    json_out_close(o, '}');
}

static bool read_repository(struct http_request *rq, str *out)
{
    struct err err = { 0 };
    str repo = STR("");
    (void)http_query(rq, "repository", &repo);
    if (name_check(repo, &err) == ST_OK) {
        *out = repo;
        api_call_of(rq)->repo = repo;
        return true;
    }
    (void)err_wrap(&err, "?repository= must name one");
    ebb_fail(rq, NULL, &err);
    return false;
}

void ebb_tags_get(struct http_request *rq)
{
    struct inspect_tags found;
    struct ebb_page page;
    struct json_out o;
    struct err err = { 0 };
    str repo = STR_NONE;
    struct arena *a = ebb_arena(rq, PAGE_BYTES_MAX);
    if (a == NULL || !ebb_page(rq, &page) || !read_repository(rq, &repo) ||
        !gate_demand(rq, repo, RIGHT_PULL))
        return;
    if (inspect_tags(api_call_of(rq)->api->registry, repo, page.after, page.limit, ebb_now(rq), a,
                     &found, &err) != ST_OK) {
        ebb_fail(rq, statuses, &err);
        return;
    }
    if (!ebb_begin(rq, &o))
        return;
    json_out_open(&o, NULL, '{');
    json_out_open(&o, "items", '[');
    for (size_t i = 0; i < found.count; i++)
        add_tag(rq, &o, &found.items[i]);
    json_out_close(&o, ']');
    if (found.count > 0)
        ebb_add_next(&o, found.more, found.items[found.count - 1].name);
    json_out_close(&o, '}');
    ebb_end(rq, 200, &o);
}

/* ---- usage ---------------------------------------------------------------------------------- */

static void add_node(struct json_out *o, const char *key, const struct inspect_usage *u,
                     unsigned depth)
{
    json_out_open(o, key, '{');
    json_out_text(o, "prefix", u->prefix);
    json_out_count(o, "repositories", u->usage.repositories);
    json_out_count(o, "tags", u->usage.tags);
    json_out_count(o, "manifests", u->usage.manifests);
    add_bytes(o, &u->usage);
    json_out_open(o, "below", '[');
    for (size_t i = 0; depth > 0 && i < u->below_count; i++)
        add_node(o, NULL, &u->below[i], depth - 1);
    json_out_close(o, ']');
    json_out_flag(o, "more", u->more);
    json_out_close(o, '}');
}

void ebb_usage_get(struct http_request *rq)
{
    struct inspect_usage found;
    struct json_out o;
    struct err err = { 0 };
    str prefix = STR_NONE;
    str text = STR_NONE;
    uint64_t depth = 1;
    if (http_query(rq, "depth", &text) && !str_to_u64(text, INSPECT_DEPTH_MAX, &depth)) {
        (void)err_set(&err, ST_INVALID, "?depth= is a number from 0 to %d", INSPECT_DEPTH_MAX);
        ebb_fail(rq, NULL, &err);
        return;
    }
    struct arena *a = ebb_arena(rq, PAGE_BYTES_MAX);
    if (a == NULL || !ebb_prefix(rq, &prefix) || !ebb_demand_prefix(rq, prefix, RIGHT_PULL))
        return;
    if (inspect_usage(api_call_of(rq)->api->registry, prefix, (unsigned)depth, a, &found, &err) !=
        ST_OK) {
        ebb_fail(rq, NULL, &err);
        return;
    }
    if (!ebb_begin(rq, &o))
        return;
    add_node(&o, NULL, &found, (unsigned)depth);
    ebb_end(rq, 200, &o);
}
