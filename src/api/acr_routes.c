/* SPDX-License-Identifier: Apache-2.0
 *
 * Which path and method of /acr/v1 is whose. Components that begin with "_" can be of no
 * repository's name, so they say what the rest is.
 */
#include "api/acr_int.h"

#define ROOT       STR("/acr/v1/")
#define NO_BODY    API_BODY_DROPPED_MAX
#define SMALL_BODY (64 * KIB)

enum shape {
    CATALOG,
    REPOSITORY,
    TAGS,
    TAG,
    MANIFESTS,
    MANIFEST,
    DELETED_CATALOG,
    DELETED_TAGS,
    DELETED_MANIFESTS,
    DELETED_MANIFEST,
    NOWHERE,
};

#define ROUTE(label, function, body)                                                               \
    {                                                                                              \
        .name = (label), .worker = true, .body_max = (body), .handle = (function)                  \
    }

struct door {
    enum shape shape;
    int methods;
    struct http_route route;
    unsigned rights;
    unsigned action;
};

#define READ HTTP_GET | HTTP_HEAD

static const struct door doors[] = {
    { REPOSITORY, READ, ROUTE("acr_repository", acr_repository_get, NO_BODY), RIGHT_PULL,
      ACTION_METADATA_READ },
    { REPOSITORY, HTTP_PATCH, ROUTE("acr_lock", acr_repository_patch, SMALL_BODY), RIGHT_RULES,
      ACTION_METADATA_WRITE },
    { REPOSITORY, HTTP_DELETE, ROUTE("acr_repository_delete", acr_repository_delete, NO_BODY),
      RIGHT_DELETE, ACTION_DELETE },
    { TAGS, READ, ROUTE("acr_tags", acr_tags_get, NO_BODY), RIGHT_PULL, ACTION_METADATA_READ },
    { TAG, READ, ROUTE("acr_tag", acr_tag_get, NO_BODY), RIGHT_PULL, ACTION_METADATA_READ },
    { TAG, HTTP_PATCH, ROUTE("acr_lock", acr_tag_patch, SMALL_BODY), RIGHT_RULES,
      ACTION_METADATA_WRITE },
    { TAG, HTTP_DELETE, ROUTE("acr_tag_delete", acr_tag_delete, NO_BODY), RIGHT_DELETE,
      ACTION_DELETE },
    { MANIFESTS, READ, ROUTE("acr_manifests", acr_manifests_get, NO_BODY), RIGHT_PULL,
      ACTION_METADATA_READ },
    { MANIFEST, READ, ROUTE("acr_manifest", acr_manifest_get, NO_BODY), RIGHT_PULL,
      ACTION_METADATA_READ },
    { MANIFEST, HTTP_PATCH, ROUTE("acr_lock", acr_manifest_patch, SMALL_BODY), RIGHT_RULES,
      ACTION_METADATA_WRITE },
    { DELETED_CATALOG, READ, ROUTE("acr_deleted", acr_deleted_catalog_get, NO_BODY), 0,
      ACTION_ALL },
    { DELETED_TAGS, READ, ROUTE("acr_deleted", acr_deleted_tags_get, NO_BODY), RIGHT_DELETE,
      ACTION_DELETED_READ },
    { DELETED_MANIFESTS, READ, ROUTE("acr_deleted", acr_deleted_manifests_get, NO_BODY),
      RIGHT_DELETE, ACTION_DELETED_READ },
    { DELETED_MANIFEST, HTTP_POST, ROUTE("acr_restore", acr_deleted_manifest_post, SMALL_BODY),
      RIGHT_DELETE, ACTION_DELETED_READ | ACTION_DELETED_RESTORE },
};

/* ---- what is no door ------------------------------------------------------------------------ */

static void answer_no_method(struct http_request *rq)
{
    acr_error(rq, 405, "UNSUPPORTED", STR("this resource does not have that method"), STR_NONE);
    http_answer_header(rq, "Allow", *(const str *)api_call_of(rq)->work);
}

static const struct http_route no_page = { .name = "none",
                                           .body_max = API_BODY_DROPPED_MAX,
                                           .handle = acr_no_page };
static const struct http_route no_method = { .name = "none",
                                             .body_max = API_BODY_DROPPED_MAX,
                                             .handle = answer_no_method };

static const struct http_route *refuse_method(struct http_request *rq, int methods)
{
    str *allow = arena_alloc(&rq->arena, sizeof(*allow));
    if (allow == NULL)
        return &no_page;
    *allow = arena_printf(&rq->arena, "%s%s%s%s", (methods & HTTP_GET) != 0 ? "GET, HEAD" : "",
                          (methods & HTTP_PATCH) != 0 ? ", PATCH" : "",
                          (methods & HTTP_DELETE) != 0 ? ", DELETE" : "",
                          (methods & HTTP_POST) != 0 ? "POST" : "");
    api_call_of(rq)->work = allow;
    return &no_method;
}

/* ---- finding ------------------------------------------------------------------------------- */

static bool cut_ending(str path, str end, str *name)
{
    if (!str_ends(path, end))
        return false;
    *name = str_slice(path, 0, path.len - end.len);
    return true;
}

/* `path` is decoded and begins behind the root. */
static enum shape find_shape(str path, struct api_call *call)
{
    str head = STR_NONE;
    if (str_eq(path, STR("_catalog")))
        return CATALOG;
    if (str_eq(path, STR("_deleted/_catalog")))
        return DELETED_CATALOG;
    bool deleted = str_starts(path, STR("_deleted/"));
    if (deleted)
        path = str_slice(path, sizeof("_deleted/") - 1, path.len);
    if (cut_ending(path, STR("/_tags"), &call->repo))
        return deleted ? DELETED_TAGS : TAGS;
    if (cut_ending(path, STR("/_manifests"), &call->repo))
        return deleted ? DELETED_MANIFESTS : MANIFESTS;
    if (str_cut_last(path, '/', &head, &call->reference)) {
        if (!deleted && cut_ending(head, STR("/_tags"), &call->repo))
            return TAG;
        if (cut_ending(head, STR("/_manifests"), &call->repo))
            return deleted ? DELETED_MANIFEST : MANIFEST;
    }
    call->reference = STR_NONE;
    call->repo = path;
    return deleted ? NOWHERE : REPOSITORY;
}

/* Outside the grammar it can be nothing, whoever asks. */
static bool is_proper(enum shape shape, const struct api_call *call)
{
    struct digest digest;
    if (shape == CATALOG || shape == DELETED_CATALOG)
        return true;
    if (shape == NOWHERE || name_check(call->repo, NULL) != ST_OK)
        return false;
    if (shape == TAG)
        return tag_check(call->reference, NULL) == ST_OK;
    if (shape == MANIFEST || shape == DELETED_MANIFEST)
        return digest_parse(call->reference, &digest, NULL) == ST_OK;
    return true;
}

static const struct http_route *find_catalog(struct http_request *rq)
{
    const struct gate_need need = { .ping = true, .action = ACTION_ALL, .type = CLAIM_CATALOG };
    if (((READ) & (int)rq->method) == 0)
        return refuse_method(rq, READ);
    return gate_pass(rq, &acr_family, &need, &oci_catalog_route);
}

const struct http_route *acr_route(struct http_request *rq)
{
    struct api_call *call = api_call_of(rq);
    str path = STR_NONE;
    int methods = 0;
    if (!str_starts(rq->path, ROOT))
        return NULL;
    call->family = &acr_family;
    if (http_unescape(&rq->arena, str_slice(rq->path, ROOT.len, rq->path.len), &path, NULL) !=
        ST_OK)
        return &no_page;
    enum shape shape = find_shape(path, call);
    if (!is_proper(shape, call)) {
        call->repo = STR_NONE;
        return &no_page;
    }
    if (shape == CATALOG)
        return find_catalog(rq);
    for (size_t i = 0; i < ARRAY_LEN(doors); i++) {
        const struct door *d = &doors[i];
        if (d->shape != shape)
            continue;
        methods |= d->methods;
        if ((d->methods & (int)rq->method) == 0)
            continue;
        const struct gate_need need = { .path = call->repo,
                                        .rights = d->rights,
                                        .action = d->action,
                                        .ping = shape == DELETED_CATALOG,
                                        .type = shape == DELETED_CATALOG ? CLAIM_DELETED_CATALOG
                                                                         : CLAIM_REPOSITORY };
        return gate_pass(rq, &acr_family, &need, &d->route);
    }
    return refuse_method(rq, methods);
}
