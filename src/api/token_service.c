/* SPDX-License-Identifier: Apache-2.0
 *
 * The token service: who asks, and for what. A wrong password is refused; it never becomes nobody.
 *
 * A JWT cannot buy another one, or it would live for ever: only names with passwords, tokens and
 * refresh tokens can.
 */
#include "api/token.h"
#include "net/http_form.h"

#define FORM_BYTES_MAX (64 * KIB)

static void refuse_bad(struct http_request *rq, str text)
{
    token_error(rq, 401, "invalid_grant", "UNAUTHORIZED",
                text.ptr == NULL ? STR("the credentials are wrong") : text);
    http_answer_header(rq, "WWW-Authenticate", STR("Basic realm=\"ebb\""));
}

static void refuse_slowed(struct http_request *rq, int64_t after_s)
{
    token_error(rq, 429, "slow_down", "TOOMANYREQUESTS",
                STR("too many failed log-ins: try again later"));
    http_answer_header(rq, "Retry-After",
                       arena_printf(&rq->arena, "%lld", (long long)MAX(after_s, 1)));
}

static void refuse_invalid(struct http_request *rq, str text)
{
    token_error(rq, 400, "invalid_request", "UNSUPPORTED", text);
}

static void refuse_failed(struct http_request *rq, const struct err *err)
{
    static const struct answer_status statuses[] = {
        { ST_INVALID, 400, "UNSUPPORTED" },
        { ST_TOO_LARGE, 400, "UNSUPPORTED" },
        { ST_OK, 0, NULL },
    };
    oci_fail(rq, statuses, err);
}

/* ---- families ------------------------------------------------------------------------------- */

static void refuse(struct http_request *rq, const struct gate_refused *why)
{
    if (why->why == GATE_SLOWED)
        refuse_slowed(rq, why->retry_after_s);
    else
        refuse_bad(rq, why->text);
}

static enum st no_credentials(struct http_request *rq, struct credentials *out, struct err *err)
{
    (void)err;
    *out = (struct credentials){ .peer = rq->peer };
    return ST_OK;
}

const struct gate_family *token_family(bool azure, bool by_form)
{
    static const struct gate_family families[2][2] = {
        { { .door = "oci", .refuse = refuse },
          { .door = "oci", .refuse = refuse, .credentials = no_credentials } },
        { { .door = "azure", .refuse = refuse },
          { .door = "azure", .refuse = refuse, .credentials = no_credentials } },
    };
    return &families[azure][by_form];
}

/* ---- what is asked -------------------------------------------------------------------------- */

static struct claims *read_scopes(struct http_request *rq, const struct http_form *form,
                                  struct err *err)
{
    struct claims *c = arena_alloc(&rq->arena, sizeof(*c));
    enum st st = c == NULL ? err_no_memory(err) : ST_OK;
    for (size_t i = 0; st == ST_OK && i < form->count; i++)
        if (str_eq(form->fields[i].name, STR("scope")))
            st = scope_add(c, form->fields[i].value, &rq->arena, err);
    return st == ST_OK ? c : NULL;
}

static bool has(const struct http_form *form, const char *name, str value)
{
    str found = STR_NONE;
    return http_form_first(form, name, &found) && str_eq(found, value);
}

/* A refresh token that came as a password (Azure's way) stays the one there is. */
static str brought_refresh(const struct credentials *c)
{
    bool is_one =
        c->kind == CREDENTIAL_BASIC && str_eq(c->user, STR("00000000-0000-0000-0000-000000000000"));
    return is_one ? c->secret : STR_NONE;
}

/* ---- GET ------------------------------------------------------------------------------------ */

static void get(struct http_request *rq, bool azure, bool gitlab)
{
    struct http_form query = { 0 };
    struct err err = { 0 };
    const struct identity *who = gate_who(rq);
    if (who->has_claims) {
        refuse_bad(rq, STR("an access token cannot be used to get another one"));
        return;
    }
    struct claims *asked = NULL;
    if (http_form_parse(rq->query, &rq->arena, &query, &err) != ST_OK ||
        (asked = read_scopes(rq, &query, &err)) == NULL) {
        refuse_failed(rq, &err);
        return;
    }
    const struct credentials brought = gate_credentials(rq);
    const struct token_wish wish = { .who = who,
                                     .refresh_token = brought_refresh(&brought),
                                     .asked = asked,
                                     .offline = has(&query, "offline_token", STR("true")),
                                     .azure = azure,
                                     .gitlab = gitlab };
    token_answer(rq, &wish);
}

static void get_docker(struct http_request *rq)
{
    get(rq, false, false);
}

static void get_gitlab(struct http_request *rq)
{
    get(rq, false, true);
}

static void get_azure(struct http_request *rq)
{
    get(rq, true, false);
}

/* ---- POST ----------------------------------------------------------------------------------- */

/* The form of the body. False when it was answered. */
static bool read_form(struct http_request *rq, struct http_form *form)
{
    struct err err = { 0 };
    if (!http_form_is_type(http_header(rq, "Content-Type"))) {
        refuse_invalid(rq, STR("the body must be of type application/x-www-form-urlencoded"));
        return false;
    }
    if (http_form_parse(rq->body, &rq->arena, form, &err) == ST_OK)
        return true;
    refuse_failed(rq, &err);
    return false;
}

/* The one value of a field; unset when there is none. False when it was answered. */
static bool read_field(struct http_request *rq, const struct http_form *form, const char *name,
                       str *out)
{
    *out = STR_NONE;
    if (http_form_count(form, name) > 1) {
        refuse_invalid(rq, arena_printf(&rq->arena, "%s is given more than once", name));
        return false;
    }
    (void)http_form_first(form, name, out);
    return true;
}

/* Of a password grant. Without name and password it is nobody (Azure's clients ask so). */
static bool log_in(struct http_request *rq, const struct http_form *form, struct token_wish *wish)
{
    struct api_call *call = api_call_of(rq);
    struct auth *auth = call->api->auth;
    struct credentials c = { .kind = CREDENTIAL_BASIC, .peer = rq->peer };
    struct auth_refusal refusal = { 0 };
    struct err err = { 0 };
    int64_t now = registry_now(call->api->registry);
    if (!read_field(rq, form, "username", &c.user) || !read_field(rq, form, "password", &c.secret))
        return false;
    if (c.user.len == 0 && c.secret.len == 0)
        return true;
    identity_release(&call->who); /* nobody's */
    call->who = (struct identity){ .name = STR("anonymous") };
    enum st st = auth_identify_fast(auth, &c, now, &rq->arena, &call->who, &err);
    if (st == ST_BUSY)
        st = auth_identify(auth, &c, now, &rq->arena, &call->who, &refusal, &err);
    wish->refresh_token = brought_refresh(&c);
    if (st == ST_OK && !call->who.has_claims)
        return true;
    if (st == ST_BUSY && refusal.slowed)
        refuse_slowed(rq, refusal.retry_after_s);
    else if (st == ST_OK || st == ST_DENIED)
        refuse_bad(rq, arena_dup(&rq->arena, str_of(st == ST_OK ? "" : err.text)));
    else
        refuse_failed(rq, &err);
    return false;
}

/* Whose token this is, into call->who. */
static bool redeem(struct http_request *rq, str text, enum jwt_use use)
{
    struct api_call *call = api_call_of(rq);
    struct err err = { 0 };
    identity_release(&call->who); /* nobody's */
    call->who = (struct identity){ .name = STR("anonymous") };
    enum st st = auth_redeem(call->api->auth, text, use, registry_now(call->api->registry),
                             &rq->arena, &call->who, &err);
    if (st == ST_DENIED || st == ST_INVALID)
        refuse_bad(rq, arena_dup(&rq->arena, str_of(err.text)));
    else if (st != ST_OK)
        refuse_failed(rq, &err);
    return st == ST_OK;
}

static bool enter(struct http_request *rq, const struct http_form *form, struct token_wish *wish)
{
    str grant = STR_NONE;
    if (!read_field(rq, form, "grant_type", &grant))
        return false;
    if (str_eq(grant, STR("password")))
        return log_in(rq, form, wish);
    if (str_eq(grant, STR("refresh_token"))) {
        if (!read_field(rq, form, "refresh_token", &wish->refresh_token))
            return false;
        return redeem(rq, wish->refresh_token, JWT_REFRESH);
    }
    if (grant.ptr == NULL)
        refuse_invalid(rq, STR("there is no grant_type"));
    else
        token_error(rq, 400, "unsupported_grant_type", "UNSUPPORTED",
                    STR("the grant_type must be password or refresh_token"));
    return false;
}

static void post(struct http_request *rq, bool azure)
{
    struct http_form form = { 0 };
    struct token_wish wish = { .azure = azure, .by_post = true };
    struct err err = { 0 };
    if (!read_form(rq, &form) || !enter(rq, &form, &wish))
        return;
    wish.who = gate_who(rq);
    wish.offline = has(&form, "access_type", STR("offline"));
    wish.asked = read_scopes(rq, &form, &err);
    if (wish.asked == NULL)
        refuse_failed(rq, &err);
    else
        token_answer(rq, &wish);
}

static void post_docker(struct http_request *rq)
{
    post(rq, false);
}

static void post_azure(struct http_request *rq)
{
    post(rq, true);
}

/* ---- Azure's exchange ----------------------------------------------------------------------- */

static void answer_refresh(struct http_request *rq, str text)
{
    oci_answer_json(rq, 200, STR("application/json"),
                    arena_printf(&rq->arena, "{\"refresh_token\":\"%.*s\"}\n", STR_FMT(text)));
    http_answer_header(rq, "Cache-Control", STR("no-store"));
}

static void exchange(struct http_request *rq)
{
    struct api_call *call = api_call_of(rq);
    struct http_form form = { 0 };
    struct jwt_issued issued = { 0 };
    struct err err = { 0 };
    str grant = STR_NONE;
    str token = STR_NONE;
    if (!read_form(rq, &form) || !read_field(rq, &form, "grant_type", &grant) ||
        !read_field(rq, &form, "access_token", &token))
        return;
    if (!str_eq(grant, STR("access_token")) && !str_eq(grant, STR("access_token_refresh_token"))) {
        token_error(rq, 400, "unsupported_grant_type", "UNSUPPORTED",
                    STR("the grant_type must be access_token or access_token_refresh_token"));
        return;
    }
    if (!redeem(rq, token, JWT_ARM))
        return;
    const struct jwt_order order = { .use = JWT_REFRESH, .who = &call->who };
    if (auth_issue(call->api->auth, &order, &rq->arena, &issued, &err) == ST_OK)
        answer_refresh(rq, issued.text);
    else
        refuse_failed(rq, &err);
}

/* ---- keys ----------------------------------------------------------------------------------- */

static void keys(struct http_request *rq)
{
    struct err err = { 0 };
    str text = STR_NONE;
    if (auth_public_keys(api_call_of(rq)->api->auth, &rq->arena, &text, &err) == ST_OK)
        oci_answer_json(rq, 200, STR("application/json"), text);
    else
        refuse_failed(rq, &err);
}

const struct http_route token_get_route = { .name = "token",
                                            .body_max = API_BODY_DROPPED_MAX,
                                            .handle = get_docker };
const struct http_route token_get_gitlab_route = { .name = "token",
                                                   .body_max = API_BODY_DROPPED_MAX,
                                                   .handle = get_gitlab };
const struct http_route token_get_azure_route = { .name = "token",
                                                  .body_max = API_BODY_DROPPED_MAX,
                                                  .handle = get_azure };
const struct http_route token_post_route = {
    .name = "token_post", .worker = true, .body_max = FORM_BYTES_MAX, .handle = post_docker
};
const struct http_route token_post_azure_route = {
    .name = "token_post", .worker = true, .body_max = FORM_BYTES_MAX, .handle = post_azure
};
const struct http_route token_exchange_route = {
    .name = "token_exchange", .worker = true, .body_max = FORM_BYTES_MAX, .handle = exchange
};
const struct http_route token_keys_route = {
    .name = "token_keys", .worker = true, .body_max = API_BODY_DROPPED_MAX, .handle = keys
};
