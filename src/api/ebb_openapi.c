/* SPDX-License-Identifier: Apache-2.0
 *
 * GET /openapi.json: the description of this API (OpenAPI 3.1), as it was built in. tests/clients/
 * openapi holds the server against it.
 */
#include "api/ebb_int.h"
#include "api/openapi_text.h"

/* In a list of entity tags, weak or not (RFC 9110, 13.1.2). */
static bool is_listed(str list, str etag)
{
    if (str_eq(str_trim(list), STR("*")))
        return true;
    for (size_t i = 0; i + etag.len <= list.len; i++)
        if (memcmp(list.ptr + i, etag.ptr, etag.len) == 0)
            return true;
    return false;
}

void ebb_openapi_get(struct http_request *rq)
{
    str text = { openapi_text, openapi_text_len };
    struct digest d;
    char digest[DIGEST_TEXT_MAX + 1];
    digest_of(DIGEST_SHA256, text, &d);
    str tag = digest_text(&d, digest);
    str etag = arena_printf(&rq->arena, "\"%.*s\"", STR_FMT(tag));
    bool same = etag.ptr != NULL && is_listed(http_header(rq, "If-None-Match"), etag);
    http_answer(rq, same ? 304 : 200);
    http_answer_header(rq, "Cache-Control", STR("no-cache"));
    http_answer_header(rq, "ETag", etag);
    if (same)
        return;
    http_answer_header(rq, "Content-Type", STR("application/json"));
    http_answer_bytes(rq, text);
}
