/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of the token service share.
 */
#ifndef EBB_TOKEN_H
#define EBB_TOKEN_H

#include "api/api_int.h"

extern const struct http_route token_get_route;
extern const struct http_route token_get_gitlab_route;
extern const struct http_route token_get_azure_route;
extern const struct http_route token_post_route;
extern const struct http_route token_post_azure_route;
extern const struct http_route token_exchange_route;
extern const struct http_route token_keys_route;

/* `by_form`: who asks is not told by a header. */
const struct gate_family *token_family(bool azure, bool by_form);

/* {"error":..., "error_description":..., "errors":[...]}: OAuth2's words (RFC 6749, 5.2) and the
 * registry's in one. */
void token_error(struct http_request *rq, int http, const char *error, const char *code, str text);

/* What somebody asks for, from a query or a form. */
struct token_wish {
    const struct identity *who;
    struct claims *asked;
    bool offline;      /* and a refresh token */
    str refresh_token; /* the one that was brought, or unset */
    bool azure;        /* answer as Azure does */
    bool gitlab;       /* nobody who may nothing is refused */
    bool by_post;      /* tell what was granted */
};
/* Issues and answers. */
void token_answer(struct http_request *rq, const struct token_wish *wish);

#endif
