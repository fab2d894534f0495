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

/* A JWT that names what it is for, in contrast to one for every repository. */
static bool names_repositories(const struct identity *who)
{
    for (size_t i = 0; i < who->claim_count; i++)
        if (who->claims[i].type == CLAIM_REPOSITORY && str_eq(who->claims[i].name, STR("*")) &&
            (action_rights(who->claims[i].actions) & RIGHT_PULL) != 0)
            return false;
    return who->has_claims;
}

/* The first of the names in a JWT that is behind `after` and may be pulled; unset: none. */
static str next_named(struct http_request *rq, str prefix, str after)
{
    const struct identity *who = gate_who(rq);
    str found = STR_NONE;
    for (size_t i = 0; i < who->claim_count; i++) {
        str name = who->claims[i].name;
        if (who->claims[i].type == CLAIM_REPOSITORY && name_check(name, NULL) == ST_OK &&
            prefix_holds(prefix, name) && (after.ptr == NULL || str_cmp(name, after) > 0) &&
            (found.ptr == NULL || str_cmp(name, found) < 0) && ebb_sees(rq, name))
            found = name;
    }
    return found;
}

/* Looks at these names alone: to look for them among all that its owner may pull could take the
 * whole registry, and a page that ends between would tell a name that is not in the JWT. */
static enum st list_named(struct http_request *rq, struct json_out *o, str prefix,
                          const struct ebb_page *page, struct arena *a, str *next, struct err *err)
{
    size_t room = page->limit;
    str name = next_named(rq, prefix, page->after);
    for (; room > 0 && name.ptr != NULL; name = next_named(rq, prefix, name)) {
        struct inspect_repositories found;
        enum st st =
            inspect_repositories(api_call_of(rq)->api->registry, name, STR_NONE, 1, a, &found, err);
        if (st != ST_OK)
            return st;
        if (found.count == 0 || !str_eq(found.items[0].name, name))
            continue;
        add_repository(rq, o, &found.items[0]);
        *next = name;
        room--;
    }
    if (name.ptr == NULL)
        *next = STR_NONE;
    return ST_OK;
}

/* Those that may be pulled, behind page->after. What lies between is passed by without a look, and
 * a page ends after LOOKS stretches, but only at a name that may be known: each further stretch
 * passes one of the caller's roles or a private path below a public one. */
static enum st list_repositories(struct http_request *rq, struct json_out *o, str prefix,
                                 const struct ebb_page *page, struct arena *a, str *next,
                                 struct err *err)
{
    struct api *api = api_call_of(rq)->api;
    size_t room = page->limit;
    str after = page->after;
    if (names_repositories(gate_who(rq)))
        return list_named(rq, o, prefix, page, a, next, err);
    for (int looks = 0; room > 0 && (looks < LOOKS || !ebb_sees(rq, after)); looks++) {
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
    if (!ebb_begin_list(rq, &o))
        return;
    if (list_repositories(rq, &o, prefix, &page, a, &next, &err) != ST_OK) {
        ebb_fail(rq, NULL, &err);
        return;
    }
    ebb_end_list(rq, &o, next.ptr != NULL, next);
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
    if (!ebb_begin_list(rq, &o))
        return;
    for (size_t i = 0; i < found.count; i++)
        add_tag(rq, &o, &found.items[i]);
    bool more = found.more && found.count > 0;
    ebb_end_list(rq, &o, more, more ? found.items[found.count - 1].name : STR_NONE);
}

/* ---- usage ---------------------------------------------------------------------------------- */

/* Its sums are of all below it; who may not pull from a part (a private path below a public one)
 * does not learn that it is there. */
static void add_node(const struct http_request *rq, struct json_out *o, const char *key,
                     const struct inspect_usage *u, unsigned depth)
{
    json_out_open(o, key, '{');
    json_out_text(o, "prefix", u->prefix);
    json_out_count(o, "repositories", u->usage.repositories);
    json_out_count(o, "tags", u->usage.tags);
    json_out_count(o, "manifests", u->usage.manifests);
    add_bytes(o, &u->usage);
    json_out_open(o, "below", '[');
    for (size_t i = 0; depth > 0 && i < u->below_count; i++)
        if (ebb_sees(rq, u->below[i].prefix))
            add_node(rq, o, NULL, &u->below[i], depth - 1);
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
    add_node(rq, &o, NULL, &found, (unsigned)depth);
    ebb_end(rq, 200, &o);
}
