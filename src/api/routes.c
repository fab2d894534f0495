/* SPDX-License-Identifier: Apache-2.0
 *
 * Which path and method is whose. Repository names may hold components such as "blobs" or "tags",
 * so a path under /v2/ is read from the right: what is left of the right-most known ending is the
 * name.
 */
#include "api/api_int.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"

/* One resource: a handler for each method that it has, and what it takes to come in. */
struct resource {
    struct {
        int methods;
        const struct http_route *route;
        unsigned rights;
        unsigned action; /* what the challenge asks for */
    } doors[6];
    enum claim_type type;
    bool ping; /* any credentials, but some */
};

#define READS  RIGHT_PULL, ACTION_PULL
#define WRITES RIGHT_PULL | RIGHT_PUSH, ACTION_PULL | ACTION_PUSH

static const struct resource ping = { .doors = { { HTTP_GET | HTTP_HEAD, &oci_ping_route, 0, 0 } },
                                      .ping = true };
/* What of it somebody sees is the handler's. */
static const struct resource catalog = {
    .doors = { { HTTP_GET | HTTP_HEAD, &oci_catalog_route, 0, ACTION_ALL } },
    .type = CLAIM_CATALOG,
    .ping = true,
};
static const struct resource tags = { .doors = {
                                          { HTTP_GET | HTTP_HEAD, &oci_tags_route, READS } } };
static const struct resource referrers = { .doors = { { HTTP_GET | HTTP_HEAD, &oci_referrers_route,
                                                        READS } } };
static const struct resource blob = { .doors = { { HTTP_GET, &oci_blob_get_route, READS },
                                                 { HTTP_HEAD, &oci_blob_head_route, READS },
                                                 { HTTP_DELETE, &oci_blob_delete_route,
                                                   RIGHT_DELETE, ACTION_DELETE } } };
static const struct resource uploads = { .doors = {
                                             { HTTP_POST, &oci_upload_start_route, WRITES } } };
static const struct resource upload = {
    .doors = { { HTTP_GET | HTTP_HEAD, &oci_upload_status_route, WRITES },
               { HTTP_PATCH, &oci_upload_patch_route, WRITES },
               { HTTP_PUT, &oci_upload_put_route, WRITES },
               { HTTP_DELETE, &oci_upload_cancel_route, WRITES } }
};
static const struct resource manifest = { .doors = { { HTTP_GET, &oci_manifest_get_route, READS },
                                                     { HTTP_HEAD, &oci_manifest_head_route, READS },
                                                     { HTTP_PUT, &oci_manifest_put_route, WRITES },
                                                     { HTTP_DELETE, &oci_manifest_delete_route,
                                                       RIGHT_DELETE, ACTION_DELETE } } };

/* ---- refusals ------------------------------------------------------------------------------ */

static void answer_no_route(struct http_request *rq)
{
    oci_error(rq, 404, "NAME_UNKNOWN", STR("there is nothing at this path"), STR_NONE);
}

static void answer_no_memory(struct http_request *rq)
{
    oci_error(rq, 503, "UNAVAILABLE", STR("out of memory"), STR_NONE);
    http_answer_header(rq, "Retry-After", STR("1"));
}

static void answer_bad_path(struct http_request *rq)
{
    oci_error(rq, 400, "NAME_INVALID", STR("the path is not properly percent-encoded"), STR_NONE);
}

static void answer_no_method(struct http_request *rq)
{
    static const struct {
        int method;
        const char *name;
    } names[] = { { HTTP_GET, "GET" }, { HTTP_HEAD, "HEAD" },   { HTTP_POST, "POST" },
                  { HTTP_PUT, "PUT" }, { HTTP_PATCH, "PATCH" }, { HTTP_DELETE, "DELETE" } };
    const struct resource *r = api_call_of(rq)->work;
    char allow[64] = "";
    size_t used = 0;
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        for (size_t k = 0; k < ARRAY_LEN(r->doors); k++)
            if ((r->doors[k].methods & names[i].method) != 0)
                used += (size_t)snprintf(allow + used, sizeof(allow) - used, "%s%s",
                                         used == 0 ? "" : ", ", names[i].name);
    oci_error(rq, 405, "UNSUPPORTED", STR("this resource does not have that method"), STR_NONE);
    http_answer_header(rq, "Allow", str_of(allow));
}

static const struct http_route no_route = { .name = "none",
                                            .body_max = API_BODY_DROPPED_MAX,
                                            .handle = answer_no_route };
static const struct http_route bad_path = { .name = "none",
                                            .body_max = API_BODY_DROPPED_MAX,
                                            .handle = answer_bad_path };
static const struct http_route no_memory = { .name = "none",
                                             .body_max = API_BODY_DROPPED_MAX,
                                             .handle = answer_no_memory };
static const struct http_route no_method = { .name = "none",
                                             .body_max = API_BODY_DROPPED_MAX,
                                             .handle = answer_no_method };

/* ---- finding ------------------------------------------------------------------------------- */

static bool cut_ending(str path, const char *ending, str *name)
{
    str end = str_of(ending);
    if (!str_ends(path, end))
        return false;
    *name = str_slice(path, 0, path.len - end.len);
    return true;
}

/* `path` is decoded and begins behind "/v2/". */
static const struct resource *find_resource(str path, struct api_call *call)
{
    static const struct {
        const char *before_last; /* what the path has before its last component */
        const struct resource *resource;
    } kinds[] = {
        { "/manifests", &manifest },
        { "/blobs/uploads", &upload },
        { "/blobs", &blob },
        { "/referrers", &referrers },
    };
    str head = STR_NONE;
    if (path.len == 0)
        return &ping;
    if (str_eq(path, STR("_catalog")))
        return &catalog;
    if (cut_ending(path, "/tags/list", &call->repo))
        return &tags;
    if (cut_ending(path, "/blobs/uploads/", &call->repo) ||
        cut_ending(path, "/blobs/uploads", &call->repo))
        return &uploads;
    if (!str_cut_last(path, '/', &head, &call->reference))
        return NULL;
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
        if (cut_ending(head, kinds[i].before_last, &call->repo))
            return kinds[i].resource;
    return NULL;
}

/* Requests whose handler depends on more than path and method. */
static const struct http_route *specialise(struct http_request *rq, const struct http_route *route)
{
    str ignored = STR_NONE;
    if (route == &oci_upload_start_route && http_query(rq, "digest", &ignored) &&
        !http_query(rq, "mount", &ignored))
        return &oci_upload_single_route;
    if (route == &oci_manifest_put_route)
        return &api_call_of(rq)->api->manifest_put_route;
    return route;
}

/* A name outside the grammar is nobody's: who has credentials hears what is wrong with it. */
static const struct http_route *pass(struct http_request *rq, const struct resource *resource,
                                     size_t door)
{
    const struct api_call *call = api_call_of(rq);
    struct gate_need need = { .rights = resource->doors[door].rights,
                              .action = resource->doors[door].action,
                              .type = resource->type,
                              .path = call->repo,
                              .ping = resource->ping };
    if (call->repo.ptr != NULL && name_check(call->repo, NULL) != ST_OK)
        need = (struct gate_need){ .ping = true };
    return gate_pass(rq, &oci_family, &need, specialise(rq, resource->doors[door].route));
}

static const struct http_route *pick(struct http_request *rq, const struct resource *resource)
{
    for (size_t i = 0; i < ARRAY_LEN(resource->doors); i++)
        if ((resource->doors[i].methods & (int)rq->method) != 0)
            return pass(rq, resource, i);
    api_call_of(rq)->work = (void *)(uintptr_t)resource; /* const: only read back */
    return &no_method;
}

/* /metrics tells how much is where; /healthz and /readyz are for everybody. */
static const struct http_route *find_operations(struct http_request *rq)
{
    const struct http_route *route = operations_route(rq);
    const struct gate_need admin = { .rights = RIGHT_ADMIN };
    if (route != &operations_metrics_route || api_call_of(rq)->api->options.open_metrics)
        return route;
    return gate_pass(rq, &oci_family, &admin, route);
}

static const struct http_route *(*const families[])(struct http_request *rq) = {
    ebb_route, token_route, gitlab_route, acr_route, arm_route,
};

static const struct http_route *route(struct http_request *rq)
{
    struct api_call *call = arena_alloc(&rq->arena, sizeof(*call));
    str path = STR_NONE;
    if (call == NULL)
        return &no_memory; /* answers without a call */
    call->api = rq->app_ctx;
    rq->state = call;
    if (str_eq(rq->path, STR("/v2")))
        return pick(rq, &ping);
    if (!str_starts(rq->path, STR("/v2/"))) {
        const struct http_route *found = find_operations(rq);
        for (size_t i = 0; found == NULL && i < ARRAY_LEN(families); i++)
            found = families[i](rq);
        return found != NULL ? found : &no_route;
    }
    enum st st = http_unescape(&rq->arena, str_slice(rq->path, 4, rq->path.len), &path, NULL);
    if (st != ST_OK)
        return st == ST_NO_MEMORY ? &no_memory : &bad_path;
    const struct resource *resource = find_resource(path, call);
    return resource != NULL ? pick(rq, resource) : &no_route;
}

/* ---- what net/ refuses, and the log --------------------------------------------------------- */

static const char *code_of_refusal(int http)
{
    switch (http) {
    case 413:
        return "SIZE_INVALID";
    case 429:
        return "TOOMANYREQUESTS";
    case 408:
    case 503:
        return "UNAVAILABLE";
    case 500:
        return "UNKNOWN";
    default:
        return "UNSUPPORTED";
    }
}

static void refuse(struct http_request *rq, const struct http_refusal *why)
{
    if (ebb_is_mine(rq->path))
        ebb_refuse(rq, why);
    else if (gitlab_is_mine(rq->path))
        gitlab_refuse(rq, why);
    else
        oci_error(rq, why->code, code_of_refusal(why->code), str_of(why->text), STR_NONE);
}

static bool is_logged(const struct api *api, const struct http_request *rq, int code)
{
    bool reading = (rq->method & (HTTP_GET | HTTP_HEAD)) != 0;
    switch (api->options.log_requests) {
    case API_LOG_ALL:
        return true;
    case API_LOG_WRITES:
        return !reading || code >= 400;
    case API_LOG_ERRORS:
        return code >= 400;
    case API_LOG_NONE:
        return false;
    }
    return true;
}

/* Longer answers take as long as their client does. */
#define PACED_BYTES_MAX (256 * KIB)

static void note_load(struct api *api, const struct http_request *rq,
                      const struct http_outcome *outcome)
{
    if ((rq->method & (HTTP_GET | HTTP_HEAD)) != 0 && outcome->bytes_out <= PACED_BYTES_MAX)
        reclaim_load_note(&api->load, clock_mono_us(), outcome->duration_us);
}

static void done(struct http_request *rq, const struct http_outcome *outcome)
{
    const struct api_call *call = api_call_of(rq);
    struct api *api = rq->app_ctx;
    note_load(api, rq, outcome);
    if (!is_logged(api, rq, outcome->code) || !log_wants(LOG_INFO))
        return;
    str repo = call == NULL ? STR_NONE : call->repo;
    str digest = call == NULL ? STR_NONE : call->digest;
    str reference = call == NULL ? STR_NONE : call->reference;
    str failure = call == NULL ? STR_NONE : call->failure;
    str actor = call != NULL && api->accounts ? call->who.name : STR_NONE;
    log_event(LOG_INFO, "request", LOG_STR("id", rq->id), LOG_STR("peer", rq->peer),
              LOG_STR("actor", actor), LOG_STR("method", rq->method_text),
              LOG_STR("path", rq->path), LOG_INT("status", outcome->code),
              LOG_INT("bytes_in", outcome->bytes_in), LOG_INT("bytes_out", outcome->bytes_out),
              LOG_INT("us", outcome->duration_us), LOG_STR("repository", repo),
              LOG_STR("reference", reference), LOG_STR("digest", digest),
              LOG_STR("error", failure));
}

/* ---- the application ------------------------------------------------------------------------ */

enum st api_new(struct registry *registry, struct deletion *deletion, struct auth *auth,
                const struct api_options *options, struct api **out, struct err *err)
{
    struct api *api = mem_new(sizeof(*api));
    if (api == NULL)
        return err_no_memory(err);
    api->registry = registry;
    api->deletion = deletion;
    api->auth = auth;
    api->accounts = auth != NULL && auth_mode(auth) == AUTH_ACCOUNTS;
    api->options = *options;
    api->manifest_put_route = oci_manifest_put_route;
    api->manifest_put_route.body_max = options->manifest.bytes_max;
    enum st st = check_job_new(registry, &api->check, err);
    if (st != ST_OK) {
        mem_free(api);
        return st;
    }
    upload_table_init(&api->uploads);
    space_init(&api->space, registry->store);
    *out = api;
    return ST_OK;
}

void api_free(struct api *api)
{
    if (api == NULL)
        return;
    check_job_free(api->check);
    upload_table_release(&api->uploads);
    mem_free(api);
}

void api_set_reclaim(struct api *api, struct reclaim_loop *loop)
{
    api->reclaim = loop;
}

struct http_app api_app(struct api *api)
{
    return (struct http_app){
        .route = route,
        .refuse = refuse,
        .done = done,
        .ctx = api,
        .headers = "Docker-Distribution-API-Version: registry/2.0\r\n"
                   "X-Content-Type-Options: nosniff\r\n",
    };
}

static bool guard_take(void *ctx, str id, void **held)
{
    struct api *api = ctx;
    struct upload *u = NULL;
    if (upload_table_take(&api->uploads, id, &u, NULL) != ST_OK)
        return false;
    *held = u;
    return true;
}

static void guard_release(void *ctx, void *held)
{
    struct api *api = ctx;
    upload_table_drop(&api->uploads, held);
}

struct reclaim_guard api_reclaim_guard(struct api *api)
{
    return (struct reclaim_guard){ guard_take, guard_release, api };
}

struct reclaim_load *api_reclaim_load(struct api *api)
{
    return &api->load;
}
