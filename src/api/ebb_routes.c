/* SPDX-License-Identifier: Apache-2.0
 *
 * The paths of /api/ebb/v1, and what every request there passes before its handler runs.
 *
 * Pages of other sites: a browser on a machine with an open registry sends whatever a page asks it
 * to send to 127.0.0.1. It names the page's origin in each request that writes, so what writes and
 * names another origin is refused; and bodies are JSON by their Content-Type, which a page cannot
 * send elsewhere without being allowed to first.
 */
#include "api/ebb_int.h"

/* ---- what every request passes -------------------------------------------------------------- */

/* The authority of "scheme://authority"; unset for anything else, such as "null". */
static str authority_of(str origin)
{
    if (str_starts(origin, STR("http://")))
        return str_slice(origin, 7, origin.len);
    if (str_starts(origin, STR("https://")))
        return str_slice(origin, 8, origin.len);
    return STR_NONE;
}

/* A proxy in front may speak another scheme, so only the host is compared. */
bool ebb_is_cross_site(const struct http_request *rq)
{
    str origin = http_header(rq, "Origin");
    str site = http_header(rq, "Sec-Fetch-Site");
    if (rq->method == HTTP_GET || rq->method == HTTP_HEAD)
        return false;
    if (site.ptr != NULL && !str_eq(site, STR("same-origin")) && !str_eq(site, STR("none")))
        return true;
    if (origin.ptr == NULL)
        return false;
    str host = http_header(rq, "Host");
    return host.len == 0 || http_header_count(rq, "Origin") > 1 ||
           !str_eq_nocase(authority_of(origin), host);
}

static bool is_json(const struct http_request *rq)
{
    str type = http_header(rq, "Content-Type");
    str rest = STR_NONE;
    (void)str_cut(type, ';', &type, &rest);
    return http_header_count(rq, "Content-Type") == 1 &&
           str_eq_nocase(str_trim(type), STR("application/json"));
}

static bool check_body(struct http_request *rq, const struct ebb_door *door)
{
    bool writes = rq->method == HTTP_POST || rq->method == HTTP_DELETE;
    if (door->body == EBB_NO_BODY) {
        if (!writes || rq->body.len == 0)
            return true;
        ebb_problem(rq, 400, "invalid", STR("this request takes no body"), STR_NONE);
        return false;
    }
    if ((rq->body.len == 0 && door->body == EBB_MAY_BODY) || is_json(rq))
        return true;
    ebb_problem(rq, 415, "content-type",
                STR("the body must be JSON, and its Content-Type application/json"), STR_NONE);
    return false;
}

/* Which of the door's parameters, or -1. */
static int query_place(const struct ebb_door *door, str name)
{
    str rest = str_of(door->queries);
    for (int place = 0; rest.len > 0; place++) {
        str word = rest;
        if (!str_cut(rest, ',', &word, &rest))
            rest = STR("");
        if (str_eq(name, str_trim(word)))
            return place;
    }
    return -1;
}

static bool refuse_query(struct http_request *rq, str detail)
{
    ebb_problem(rq, 400, "invalid", detail.ptr == NULL ? STR("out of memory") : detail, STR_NONE);
    return false;
}

static bool check_query(struct http_request *rq, const struct ebb_door *door)
{
    unsigned seen = 0;
    str rest = rq->query;
    struct err err = { 0 };
    if (http_query_check(rq, &err) != ST_OK)
        return refuse_query(rq, str_of(err.text));
    while (rest.len > 0) {
        str pair = rest;
        str raw = STR_NONE;
        str value = STR("");
        str name = STR_NONE;
        if (!str_cut(rest, '&', &pair, &rest))
            rest = STR("");
        if (pair.len == 0)
            continue;
        raw = pair;
        (void)str_cut(pair, '=', &raw, &value);
        enum st st = http_unescape(&rq->arena, raw, &name, &err);
        if (st == ST_OK && http_unescape(&rq->arena, value, &value, &err) == ST_OK &&
            !str_is_utf8(value))
            return refuse_query(rq, STR("a parameter is not UTF-8"));
        int place = st == ST_OK ? query_place(door, name) : -1;
        if (place < 0)
            return refuse_query(rq,
                                arena_printf(&rq->arena,
                                             "there is no parameter \"%.*s\" here; there are:"
                                             " %s",
                                             (int)MIN(name.len, (size_t)60), name.ptr,
                                             door->queries[0] == '\0' ? "none" : door->queries));
        if ((seen & 1U << place) != 0)
            return refuse_query(rq,
                                arena_printf(&rq->arena, "?%.*s= is given twice", STR_FMT(name)));
        seen |= 1U << place;
    }
    return true;
}

static void answer_cross_site(struct http_request *rq)
{
    ebb_problem(rq, 403, "cross-site",
                STR("this request was made by a page of another site than the registry's"),
                STR_NONE);
}

void ebb_enter(struct http_request *rq)
{
    const struct ebb_door *door = api_call_of(rq)->door;
    if (check_query(rq, door) && check_body(rq, door))
        door->answer(rq);
}

/* ---- finding -------------------------------------------------------------------------------- */

static void answer_no_path(struct http_request *rq)
{
    ebb_problem(rq, 404, "unknown", STR("there is nothing at this path"), STR_NONE);
}

/* `path` matches the door's; *id is what stands for its "*". */
static bool matches(const struct ebb_door *door, str path, str *id)
{
    str pattern = str_of(door->path);
    str before = STR_NONE;
    str behind = STR_NONE;
    if (!str_cut(pattern, '*', &before, &behind))
        return str_eq(pattern, path);
    if (path.len <= before.len + behind.len || !str_starts(path, before) || !str_ends(path, behind))
        return false;
    str found = str_slice(path, before.len, path.len - behind.len);
    if (memchr(found.ptr, '/', found.len) != NULL)
        return false;
    *id = found;
    return true;
}

static bool has_method(const struct ebb_door *door, enum http_method method)
{
    return door->method == method || (door->method == HTTP_GET && method == HTTP_HEAD);
}

static void answer_no_method(struct http_request *rq)
{
    str path = str_slice(rq->path, sizeof(EBB_ROOT) - 1, rq->path.len);
    str ignored = STR_NONE;
    int methods = 0;
    for (size_t i = 0; i < ebb_door_count; i++)
        if (matches(&ebb_doors[i], path, &ignored))
            methods |= (int)ebb_doors[i].method;
    str allow = arena_printf(&rq->arena, "%s%s%s", (methods & HTTP_GET) != 0 ? ", GET, HEAD" : "",
                             (methods & HTTP_POST) != 0 ? ", POST" : "",
                             (methods & HTTP_DELETE) != 0 ? ", DELETE" : "");
    ebb_problem(rq, 405, "method", STR("this resource does not have that method"), STR_NONE);
    http_answer_header(rq, "Allow", str_slice(allow, 2, allow.len));
}

static const struct http_route no_path = { .name = "none",
                                           .body_max = API_BODY_DROPPED_MAX,
                                           .handle = answer_no_path };
static const struct http_route no_method = { .name = "none",
                                             .body_max = API_BODY_DROPPED_MAX,
                                             .handle = answer_no_method };

static const struct http_route cross_site = { .name = "none",
                                              .body_max = JSON_IN_BYTES_MAX,
                                              .handle = answer_cross_site };

/* Literal paths stand before "*" in the table, so "/receipts/key" is no id. */
static const struct ebb_door *find(str path, enum http_method method, bool *known, str *id)
{
    for (size_t i = 0; i < ebb_door_count; i++) {
        const struct ebb_door *door = &ebb_doors[i];
        str found = STR_NONE;
        if (!matches(door, path, &found))
            continue;
        *known = true;
        if (has_method(door, method)) {
            *id = found;
            return door;
        }
    }
    return NULL;
}

bool ebb_is_mine(str path)
{
    str root = STR(EBB_ROOT);
    return str_starts(path, root) && (path.len == root.len || path.ptr[root.len] == '/');
}

static const struct http_route *pass(struct http_request *rq, const struct ebb_door *door)
{
    struct gate_need need = { .path = STR("") };
    if (door->need == EBB_NEEDS_SIGNED_IN)
        need.signed_in = true;
    else if (door->need == EBB_NEEDS_ADMIN)
        need.rights = RIGHT_ADMIN;
    return gate_pass(rq, &ebb_family, &need, door->route);
}

const struct http_route *ebb_route(struct http_request *rq)
{
    struct api_call *call = api_call_of(rq);
    bool known = false;
    str id = STR_NONE;
    if (!ebb_is_mine(rq->path))
        return NULL;
    str path = str_slice(rq->path, sizeof(EBB_ROOT) - 1, rq->path.len);
    const struct ebb_door *door = find(path, rq->method, &known, &id);
    if (door == NULL)
        return known ? &no_method : &no_path;
    if (id.ptr != NULL && http_unescape(&rq->arena, id, &call->reference, NULL) != ST_OK)
        return &no_path;
    call->door = door;
    if (ebb_is_cross_site(rq)) /* before it learns who asks, or that nobody does */
        return &cross_site;
    return pass(rq, door);
}
