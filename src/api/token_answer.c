/* SPDX-License-Identifier: Apache-2.0
 *
 * Answers of the token service. A scope that may not be granted is left out without a word: the
 * request that the token is for is refused then, in its own words.
 */
#include <inttypes.h>

#include "api/token.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/json.h"

#define ANSWER_BYTES_MAX (128 * KIB)

static void answer(struct http_request *rq, int http, const struct buf *body)
{
    str text = body->failed == ST_OK ? arena_dup(&rq->arena, buf_str(body)) : STR_NONE;
    if (text.ptr == NULL) {
        oci_error(rq, 503, "UNAVAILABLE", STR("out of memory"), STR_NONE);
        return;
    }
    oci_answer_json(rq, http, STR("application/json"), text);
    http_answer_header(rq, "Cache-Control", STR("no-store"));
    http_answer_header(rq, "Pragma", STR("no-cache"));
}

void token_error(struct http_request *rq, int http, const char *error, const char *code, str text)
{
    AUTO(buf_release) struct buf body = { .max_bytes = ANSWER_BYTES_MAX };
    buf_printf(&body, "{\"error\":\"%s\",\"error_description\":", error);
    json_add_string(&body, text);
    buf_printf(&body, ",\"errors\":[{\"code\":\"%s\",\"message\":", code);
    json_add_string(&body, text);
    buf_add(&body, STR("}]}\n"));
    answer(rq, http, &body);
    api_call_of(rq)->failure = arena_dup(&rq->arena, text);
}

/* repository:a:pull registry:catalog:* */
static void add_scope(struct buf *body, const struct jwt_issued *issued)
{
    AUTO(buf_release) struct buf scope = { .max_bytes = ANSWER_BYTES_MAX };
    char actions[ACTIONS_TEXT_MAX];
    for (size_t i = 0; i < issued->claim_count; i++) {
        const struct claim *c = &issued->claims[i];
        if (c->actions == 0)
            continue;
        buf_printf(&scope, "%s%s:%.*s:%s", scope.len > 0 ? " " : "",
                   c->type == CLAIM_REPOSITORY ? "repository" : "registry", STR_FMT(c->name),
                   actions_text(c->actions, actions));
    }
    buf_add(body, STR(",\"scope\":"));
    json_add_string(body, buf_str(&scope));
    if (scope.failed != ST_OK)
        body->failed = scope.failed;
}

static void add_times(struct buf *body, const struct jwt_issued *issued)
{
    char when[CLOCK_RFC3339_SIZE];
    clock_rfc3339(issued->issued_at * 1000, when);
    buf_printf(body, ",\"expires_in\":%" PRId64 ",\"issued_at\":\"%s\"",
               issued->expires_at - issued->issued_at, when);
}

static bool grants_something(const struct jwt_issued *issued)
{
    for (size_t i = 0; i < issued->claim_count; i++)
        if (issued->claims[i].actions != 0)
            return true;
    return false;
}

static enum st issue_refresh(struct http_request *rq, const struct token_wish *wish, str *out,
                             struct err *err)
{
    const struct jwt_order order = { .use = JWT_REFRESH, .who = wish->who };
    struct jwt_issued issued = { 0 };
    *out = wish->refresh_token;
    if (!wish->offline || wish->who->kind == IDENTITY_ANONYMOUS || wish->refresh_token.ptr != NULL)
        return ST_OK;
    enum st st = auth_issue(api_call_of(rq)->api->auth, &order, &rq->arena, &issued, err);
    *out = issued.text;
    return st;
}

void token_answer(struct http_request *rq, const struct token_wish *wish)
{
    static const struct answer_status statuses[] = {
        { ST_TOO_LARGE, 400, "UNSUPPORTED" }, /* more was asked for than a token holds */
        { ST_OK, 0, NULL },
    };
    AUTO(buf_release) struct buf body = { .max_bytes = ANSWER_BYTES_MAX };
    const struct jwt_order order = { .use = JWT_ACCESS,
                                     .who = wish->who,
                                     .claims = wish->asked->items,
                                     .claim_count = wish->asked->count };
    struct jwt_issued issued = { 0 };
    struct err err = { 0 };
    str refresh = STR_NONE;
    enum st st = auth_issue(api_call_of(rq)->api->auth, &order, &rq->arena, &issued, &err);
    if (st == ST_OK)
        st = issue_refresh(rq, wish, &refresh, &err);
    if (st != ST_OK) {
        oci_fail(rq, statuses, &err);
        return;
    }
    if (wish->gitlab && wish->who->kind == IDENTITY_ANONYMOUS && !grants_something(&issued)) {
        token_error(rq, 403, "access_denied", "DENIED", STR("access forbidden"));
        return;
    }
    /* A JWT needs no escaping. */
    buf_printf(&body, "{\"access_token\":\"%.*s\"", STR_FMT(issued.text));
    if (!wish->azure) {
        buf_printf(&body, ",\"token\":\"%.*s\"", STR_FMT(issued.text));
        add_times(&body, &issued);
        if (wish->by_post)
            add_scope(&body, &issued);
    }
    if (refresh.ptr != NULL && wish->offline) {
        buf_add(&body, STR(",\"refresh_token\":"));
        json_add_string(&body, refresh);
    }
    buf_add(&body, STR("}\n"));
    answer(rq, 200, &body);
}
