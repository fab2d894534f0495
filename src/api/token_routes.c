/* SPDX-License-Identifier: Apache-2.0
 *
 * The token service's paths. They exist with accounts only.
 *
 *   GET  /token, /jwt/auth         Docker's: Basic or nobody; service, scope, offline_token
 *   POST /token, /jwt/auth         OAuth2: grant_type password or refresh_token
 *   GET  /oauth2/token             Azure's: Basic
 *   POST /oauth2/token             Azure's: as above; without a name it is for nobody
 *   POST /oauth2/exchange          Azure's: a token of the log-in for a refresh token
 *   GET  /oauth2/keys, /.well-known/jwks.json      the public keys
 *
 * GET runs on the loop when its credentials are remembered. A form is only known when it has been
 * read, so POST always runs on a worker.
 */
#include "api/token.h"

static void answer_no_method(struct http_request *rq)
{
    oci_error(rq, 405, "UNSUPPORTED", STR("this resource does not have that method"), STR_NONE);
    http_answer_header(rq, "Allow", str_of(api_call_of(rq)->work));
}

static const struct http_route no_method = { .name = "none",
                                             .body_max = API_BODY_DROPPED_MAX,
                                             .handle = answer_no_method };

static const struct {
    const char *path;
    const char *allow;
    const struct http_route *get;
    const struct http_route *post;
    bool azure;
} paths[] = {
    { "/token", "GET, POST", &token_get_route, &token_post_route, false },
    { "/jwt/auth", "GET, POST", &token_get_gitlab_route, &token_post_route, false },
    { "/oauth2/token", "GET, POST", &token_get_azure_route, &token_post_azure_route, true },
    { "/oauth2/exchange", "POST", NULL, &token_exchange_route, true },
    { "/oauth2/keys", "GET", &token_keys_route, NULL, true },
    { "/.well-known/jwks.json", "GET", &token_keys_route, NULL, false },
};

const struct http_route *token_route(struct http_request *rq)
{
    static const struct gate_need nothing = { 0 };
    struct api_call *call = api_call_of(rq);
    for (size_t i = 0; i < ARRAY_LEN(paths) && call->api->accounts; i++) {
        if (!str_eq(rq->path, str_of(paths[i].path)))
            continue;
        const struct http_route *route = NULL;
        if (rq->method == HTTP_GET)
            route = paths[i].get;
        else if (rq->method == HTTP_POST)
            route = paths[i].post;
        if (route == NULL) {
            call->work = (void *)(uintptr_t)paths[i].allow; /* const: only read back */
            return &no_method;
        }
        bool by_form = rq->method == HTTP_POST || route == &token_keys_route;
        return gate_pass(rq, token_family(paths[i].azure, by_form), &nothing, route);
    }
    return NULL;
}
