/* SPDX-License-Identifier: Apache-2.0
 *
 * The paths of /api/v4, who is asked for credentials there, and what every request passes before
 * its handler runs.
 *
 * Components of a path are decoded one by one: "group%2Fproject" is one, as GitLab's ":id" wants
 * it.
 */
#include "api/ebb_int.h"
#include "api/gitlab_int.h"

static void enter(struct http_request *rq);

#define ROUTE(label)                                                                               \
    {                                                                                              \
        .name = (label), .worker = true, .body_max = GITLAB_BODY_MAX, .handle = enter              \
    }
static const struct http_route looking = ROUTE("gitlab_look");
static const struct http_route tags = ROUTE("gitlab_tags");
static const struct http_route deleting = ROUTE("gitlab_delete");
static const struct http_route rules = ROUTE("gitlab_rules");

#define REPOSITORIES "/projects/*/registry/repositories"
#define RULES        "/projects/*/registry/protection/repository/rules"
#define OLD_RULES    "/projects/*/registry/protection/rules" /* as it was called before 17.8 */
#define TAG_RULES    "/projects/*/registry/protection/tag/rules"

static const struct gitlab_door doors[] = {
    { "/version", HTTP_GET, gitlab_version_get, &looking, true },
    { "/metadata", HTTP_GET, gitlab_metadata_get, &looking, true },
    { "/user", HTTP_GET, gitlab_user_get, &looking, true },

    { "/projects", HTTP_GET, gitlab_projects_get, &looking, false },
    { "/projects/*", HTTP_GET, gitlab_project_get, &looking, false },
    { "/groups", HTTP_GET, gitlab_groups_get, &looking, false },
    { "/groups/*", HTTP_GET, gitlab_group_get, &looking, false },

    { REPOSITORIES, HTTP_GET, gitlab_project_repositories_get, &looking, false },
    { "/groups/*/registry/repositories", HTTP_GET, gitlab_group_repositories_get, &looking, false },
    { "/registry/repositories/*", HTTP_GET, gitlab_repository_get, &looking, true },
    { REPOSITORIES "/*", HTTP_DELETE, gitlab_repository_delete, &deleting, false },

    { REPOSITORIES "/*/tags", HTTP_GET, gitlab_tags_get, &tags, false },
    { REPOSITORIES "/*/tags", HTTP_DELETE, gitlab_tags_delete, &deleting, false },
    { REPOSITORIES "/*/tags/*", HTTP_GET, gitlab_tag_get, &tags, false },
    { REPOSITORIES "/*/tags/*", HTTP_DELETE, gitlab_tag_delete, &deleting, false },

    { RULES, HTTP_GET, gitlab_repository_rules_get, &rules, false },
    { RULES, HTTP_POST, gitlab_repository_rules_post, &rules, false },
    { RULES "/*", HTTP_PATCH, gitlab_repository_rule_patch, &rules, false },
    { RULES "/*", HTTP_DELETE, gitlab_repository_rule_delete, &rules, false },
    { OLD_RULES, HTTP_GET, gitlab_repository_rules_get, &rules, false },
    { OLD_RULES, HTTP_POST, gitlab_repository_rules_post, &rules, false },
    { OLD_RULES "/*", HTTP_PATCH, gitlab_repository_rule_patch, &rules, false },
    { OLD_RULES "/*", HTTP_DELETE, gitlab_repository_rule_delete, &rules, false },
    { TAG_RULES, HTTP_GET, gitlab_tag_rules_get, &rules, false },
    { TAG_RULES, HTTP_POST, gitlab_tag_rules_post, &rules, false },
    { TAG_RULES "/*", HTTP_PATCH, gitlab_tag_rule_patch, &rules, false },
    { TAG_RULES "/*", HTTP_DELETE, gitlab_tag_rule_delete, &rules, false },
};

/* ---- who asks ------------------------------------------------------------------------------- */

static void refuse_gate(struct http_request *rq, const struct gate_refused *why)
{
    const struct gitlab_call *call = gitlab_call_of(rq);
    switch (why->why) {
    case GATE_NO_CREDENTIALS:
    case GATE_BAD_CREDENTIALS:
        gitlab_message(rq, 401, STR("401 Unauthorized"));
        return;
    case GATE_SLOWED:
        gitlab_message(rq, 429,
                       STR("429 Too Many Requests - this address or account failed to sign in too"
                           " often"));
        http_answer_header(
            rq, "Retry-After",
            arena_printf(&rq->arena, "%lld", (long long)MAX(why->retry_after_s, (int64_t)1)));
        return;
    case GATE_HIDDEN:
        gitlab_message(rq, 404, str_of(call->absent));
        return;
    case GATE_NARROW: /* of what its owner may see, a narrow token must not learn more than others
                       */
        if (why->need->path.len > 0 && !gate_may(rq, why->need->path, RIGHT_PULL)) {
            gitlab_message(rq, 404, str_of(call->absent));
            return;
        }
        break;
    case GATE_FORBIDDEN:
        break;
    }
    gitlab_message(rq, 403, STR("403 Forbidden"));
}

/* In GitLab's order: the tokens of headers, then those of the query, which are in many scripts. */
static enum st read_credentials(struct http_request *rq, struct credentials *out, struct err *err)
{
    static const char *const headers[] = { "PRIVATE-TOKEN", "JOB-TOKEN" };
    static const char *const queries[] = { "private_token", "job_token", "access_token" };
    str secret = STR_NONE;
    for (size_t i = 0; secret.len == 0 && i < ARRAY_LEN(headers); i++) {
        if (http_header_count(rq, headers[i]) > 1)
            return err_set(err, ST_INVALID, "there is more than one %s header", headers[i]);
        secret = str_trim(http_header(rq, headers[i]));
    }
    if (secret.len == 0 && http_header(rq, "Authorization").ptr != NULL) {
        if (http_header_count(rq, "Authorization") > 1)
            return err_set(err, ST_INVALID, "there is more than one Authorization header");
        return credentials_parse(http_header(rq, "Authorization"), rq->peer, &rq->arena, out, err);
    }
    for (size_t i = 0; secret.len == 0 && i < ARRAY_LEN(queries); i++)
        (void)http_query(rq, queries[i], &secret);
    *out = (struct credentials){ .kind = secret.len == 0 ? CREDENTIAL_NONE : CREDENTIAL_TOKEN,
                                 .secret = secret,
                                 .peer = rq->peer };
    return ST_OK;
}

const struct gate_family gitlab_family = { .door = "gitlab",
                                           .refuse = refuse_gate,
                                           .credentials = read_credentials };

/* ---- what every request passes --------------------------------------------------------------- */

static void release_arena(void *arg)
{
    arena_release(arg);
}

static bool read_params(struct http_request *rq, struct gitlab_call *call)
{
    struct err err = { 0 };
    call->arena = arena_alloc(&rq->arena, sizeof(*call->arena));
    if (call->arena == NULL) {
        (void)err_no_memory(&err);
        gitlab_fail(rq, &err);
        return false;
    }
    call->arena->limit_bytes = GITLAB_ARENA_MAX;
    http_on_end(rq, release_arena, call->arena);
    enum st st = gitlab_params_read(rq->query, http_header(rq, "Content-Type"), rq->body,
                                    call->arena, &call->params, &err);
    if (st == ST_OK)
        return true;
    if (st == ST_UNSUPPORTED)
        gitlab_error(rq, 415, str_of("The provided content-type is not supported."));
    else if (st == ST_INVALID || st == ST_TOO_LARGE)
        gitlab_error(rq, 400, arena_dup(&rq->arena, str_of(err.text)));
    else
        gitlab_fail(rq, &err);
    return false;
}

static void enter(struct http_request *rq)
{
    struct gitlab_call *call = gitlab_call_of(rq);
    if (read_params(rq, call))
        call->door->answer(rq);
}

/* ---- finding --------------------------------------------------------------------------------- */

static void answer_no_path(struct http_request *rq)
{
    gitlab_error(rq, 404, STR("404 Not Found"));
}

static void answer_no_memory(struct http_request *rq)
{
    gitlab_message(rq, 503, STR("503 Service Unavailable"));
}

static void answer_cross_site(struct http_request *rq)
{
    gitlab_message(rq, 403, STR("403 Forbidden - requests from pages of other sites are refused"));
}

/* Cuts the first component off `path`, which begins with "/". */
static str cut_part(str *path)
{
    const char *end = path->len < 2 ? NULL : memchr(path->ptr + 1, '/', path->len - 1);
    size_t len = end == NULL ? path->len : (size_t)(end - path->ptr);
    str part = str_slice(*path, 1, len);
    *path = str_slice(*path, len, path->len);
    return part;
}

static bool matches(const struct gitlab_door *door, str path, str parts[static GITLAB_PARTS_MAX])
{
    str pattern = str_of(door->path);
    size_t n = 0;
    for (size_t i = 0; i < GITLAB_PARTS_MAX; i++)
        parts[i] = STR_NONE;
    while (pattern.len > 0 && path.len > 0) {
        str wanted = cut_part(&pattern);
        str given = cut_part(&path);
        if (!str_eq(wanted, STR("*"))) {
            if (!str_eq(wanted, given))
                return false;
            continue;
        }
        if (given.len == 0)
            return false;
        parts[n++] = given;
    }
    return pattern.len == 0 && path.len == 0;
}

static bool has_method(const struct gitlab_door *door, enum http_method method)
{
    return door->method == method || (door->method == HTTP_GET && method == HTTP_HEAD);
}

static void answer_no_method(struct http_request *rq)
{
    static const struct {
        enum http_method method;
        const char *text;
    } names[] = { { HTTP_GET, "GET, HEAD" },
                  { HTTP_POST, "POST" },
                  { HTTP_PATCH, "PATCH" },
                  { HTTP_DELETE, "DELETE" } };
    AUTO(buf_release) struct buf allow = { .max_bytes = 100 };
    str path = str_slice(rq->path, sizeof(GITLAB_ROOT) - 1, rq->path.len);
    str ignored[GITLAB_PARTS_MAX];
    int methods = 0;
    for (size_t i = 0; i < ARRAY_LEN(doors); i++)
        if (matches(&doors[i], path, ignored))
            methods |= (int)doors[i].method;
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if ((methods & (int)names[i].method) != 0)
            buf_printf(&allow, "%s%s", allow.len > 0 ? ", " : "", names[i].text);
    gitlab_message(rq, 405, STR("405 Method Not Allowed"));
    http_answer_header(rq, "Allow",
                       allow.failed == ST_OK ? arena_dup(&rq->arena, buf_str(&allow)) : STR_NONE);
}

static const struct http_route no_path = { .name = "none",
                                           .body_max = API_BODY_DROPPED_MAX,
                                           .handle = answer_no_path };
static const struct http_route no_method = { .name = "none",
                                             .body_max = API_BODY_DROPPED_MAX,
                                             .handle = answer_no_method };
static const struct http_route no_memory = { .name = "none",
                                             .body_max = API_BODY_DROPPED_MAX,
                                             .handle = answer_no_memory };
static const struct http_route cross_site = { .name = "none",
                                              .body_max = API_BODY_DROPPED_MAX,
                                              .handle = answer_cross_site };

static const struct gitlab_door *find(str path, enum http_method method, bool *known,
                                      str parts[static GITLAB_PARTS_MAX])
{
    for (size_t i = 0; i < ARRAY_LEN(doors); i++) {
        if (!matches(&doors[i], path, parts))
            continue;
        *known = true;
        if (has_method(&doors[i], method))
            return &doors[i];
    }
    return NULL;
}

const struct http_route *gitlab_route(struct http_request *rq)
{
    bool known = false;
    str parts[GITLAB_PARTS_MAX] = { 0 };
    if (!gitlab_is_mine(rq->path))
        return NULL;
    str path = str_slice(rq->path, sizeof(GITLAB_ROOT) - 1, rq->path.len);
    const struct gitlab_door *door = find(path, rq->method, &known, parts);
    if (door == NULL)
        return known ? &no_method : &no_path;
    if (ebb_is_cross_site(rq))
        return &cross_site;
    struct gitlab_call *call = arena_alloc(&rq->arena, sizeof(*call));
    if (call == NULL)
        return &no_memory;
    call->door = door;
    call->absent = "404 Not found";
    for (size_t i = 0; i < GITLAB_PARTS_MAX && parts[i].ptr != NULL; i++) {
        enum st st = http_unescape(&rq->arena, parts[i], &call->parts[i], NULL);
        if (st != ST_OK || !str_is_utf8(call->parts[i]))
            return st == ST_NO_MEMORY ? &no_memory : &no_path;
    }
    api_call_of(rq)->work = call;
    const struct gate_need need = { .path = STR(""), .signed_in = door->signed_in };
    return gate_pass(rq, &gitlab_family, &need, door->route);
}
