/* SPDX-License-Identifier: Apache-2.0
 *
 * The log-in of az: an account's name and password (or token) for a JWT with which it goes to the
 * resource manager and, by /oauth2/exchange, to the token service.
 */
#include <inttypes.h>

#include "api/arm_int.h"
#include "base/log.h"
#include "net/http_form.h"

/* ---- errors -------------------------------------------------------------------------------- */

void arm_error(struct http_request *rq, int http, const char *code, str message)
{
    struct json_out o;
    if (!acr_begin(rq, &o))
        return;
    api_call_of(rq)->failure = arena_dup(&rq->arena, message);
    json_out_open(&o, NULL, '{');
    json_out_open(&o, "error", '{');
    json_out_text(&o, "code", str_of(code));
    json_out_text(&o, "message", message);
    json_out_close(&o, '}');
    json_out_close(&o, '}');
    acr_end(rq, http, &o);
}

void arm_fail(struct http_request *rq, const struct err *err)
{
    log_event(LOG_ERROR, "request failed", LOG_STR("id", rq->id),
              LOG_STR("error", str_of(err->text)));
    bool later = err->st == ST_BUSY || err->st == ST_STOPPING || err->st == ST_NO_MEMORY;
    arm_error(rq, later ? 503 : 500, later ? "ServerBusy" : "InternalServerError",
              later ? STR("the registry cannot answer now")
                    : STR("the registry failed inside; its log has the cause under this request's"
                          " X-Request-Id"));
}

/* OAuth2's words (RFC 6749, 5.2). */
static void refuse_login(struct http_request *rq, int http, const char *error, str text)
{
    struct json_out o;
    if (!acr_begin(rq, &o))
        return;
    api_call_of(rq)->failure = arena_dup(&rq->arena, text);
    json_out_open(&o, NULL, '{');
    json_out_text(&o, "error", str_of(error));
    json_out_text(&o, "error_description", text);
    json_out_close(&o, '}');
    acr_end(rq, http, &o);
    http_answer_header(rq, "Cache-Control", STR("no-store"));
}

/* ---- the gate ------------------------------------------------------------------------------ */

static enum st no_credentials(struct http_request *rq, struct credentials *out, struct err *err)
{
    (void)err;
    *out = (struct credentials){ .peer = rq->peer };
    return ST_OK;
}

/* Nothing is needed that it could refuse: arm_enter() looks at the token, which opens nothing else.
 */
static void refuse(struct http_request *rq, const struct gate_refused *why)
{
    arm_error(rq, 401, "AuthenticationFailed", why->text);
}

const struct gate_family arm_family = { .door = "azure",
                                        .refuse = refuse,
                                        .credentials = no_credentials };

static bool ask_for_login(struct http_request *rq, str text)
{
    arm_error(rq, 401, "AuthenticationFailed", text);
    http_answer_header(rq, "WWW-Authenticate", STR("Bearer error=\"invalid_token\""));
    return false;
}

bool arm_enter(struct http_request *rq)
{
    struct api_call *call = api_call_of(rq);
    struct auth_refusal refusal = { 0 };
    struct credentials c = { 0 };
    struct err err = { 0 };
    int64_t now = acr_now(rq);
    if (!call->api->accounts)
        return true;
    if (credentials_parse(http_header(rq, "Authorization"), rq->peer, &rq->arena, &c, &err) !=
        ST_OK)
        return ask_for_login(rq, arena_dup(&rq->arena, str_of(err.text)));
    if (c.kind == CREDENTIAL_NONE)
        return ask_for_login(rq, STR("authentication required: az login"));
    identity_release(&call->who); /* nobody's */
    call->who = (struct identity){ .name = STR("anonymous") };
    enum st st = ST_DENIED;
    if (c.kind == CREDENTIAL_BEARER)
        st = auth_redeem(call->api->auth, c.secret, JWT_ARM, now, &rq->arena, &call->who, &err);
    else
        st = auth_identify(call->api->auth, &c, now, &rq->arena, &call->who, &refusal, &err);
    if (st == ST_OK)
        return true;
    if (st == ST_BUSY && refusal.slowed) {
        arm_error(rq, 429, "TooManyRequests", STR("too many failed log-ins: try again later"));
        http_answer_header(rq, "Retry-After",
                           arena_printf(&rq->arena, "%" PRId64, refusal.retry_after_s));
        return false;
    }
    if (st == ST_DENIED || st == ST_INVALID)
        return ask_for_login(rq, arena_dup(&rq->arena, str_of(err.text)));
    arm_fail(rq, &err);
    return false;
}

/* ---- discovery ----------------------------------------------------------------------------- */

static void add_url(struct http_request *rq, struct json_out *o, const char *key, const char *path)
{
    str url = gate_url(rq);
    acr_add_text(o, key, arena_printf(&rq->arena, "%.*s%s", STR_FMT(url), path));
}

void arm_discovery_get(struct http_request *rq)
{
    struct json_out o;
    if (!acr_begin(rq, &o))
        return;
    json_out_open(&o, NULL, '{');
    add_url(rq, &o, "issuer", "/adfs");
    add_url(rq, &o, "authorization_endpoint", "/adfs/oauth2/authorize");
    add_url(rq, &o, "token_endpoint", "/adfs/oauth2/token");
    add_url(rq, &o, "device_authorization_endpoint", "/adfs/oauth2/devicecode");
    add_url(rq, &o, "jwks_uri", "/oauth2/keys");
    json_out_open(&o, "grant_types_supported", '[');
    json_out_text(&o, NULL, STR("client_credentials"));
    json_out_close(&o, ']');
    json_out_close(&o, '}');
    acr_end(rq, 200, &o);
}

/* ---- a token ------------------------------------------------------------------------------- */

void arm_guid(const char *kind, str of, char out[static ARM_GUID_SIZE])
{
    char text[512];
    struct digest d;
    int len = snprintf(text, sizeof(text), "%s %.*s", kind, (int)MIN(of.len, (size_t)400), of.ptr);
    digest_of(DIGEST_SHA256, (str){ text, (size_t)len }, &d);
    const unsigned char *b = d.bytes;
    /* Version 8: made as its maker likes (RFC 9562). */
    (void)snprintf(out, ARM_GUID_SIZE,
                   "%02x%02x%02x%02x-%02x%02x-8%x%02x-%x%x%02x-%02x%02x%02x%02x%02x%02x", b[0],
                   b[1], b[2], b[3], b[4], b[5], b[6] & 15U, b[7], 8U | (b[8] & 3U), b[8] >> 4,
                   b[9], b[10], b[11], b[12], b[13], b[14], b[15]);
}

static void answer_token(struct http_request *rq, const struct jwt_issued *issued)
{
    struct json_out o;
    if (!acr_begin(rq, &o))
        return;
    json_out_open(&o, NULL, '{');
    json_out_text(&o, "access_token", issued->text);
    json_out_text(&o, "token_type", STR("bearer"));
    json_out_number(&o, "expires_in", issued->expires_at - issued->issued_at);
    json_out_close(&o, '}');
    acr_end(rq, 200, &o);
    http_answer_header(rq, "Cache-Control", STR("no-store"));
}

static void issue(struct http_request *rq)
{
    struct api_call *call = api_call_of(rq);
    char oid[ARM_GUID_SIZE];
    char tid[ARM_GUID_SIZE];
    arm_guid("account", call->who.name, oid);
    arm_guid("tenant", acr_host(rq), tid);
    const char *name = arena_cstr(&rq->arena, call->who.name);
    const char *const extra[] = { "oid", oid, "tid", tid, "appid", name, NULL };
    const struct jwt_order order = { .use = JWT_ARM, .who = &call->who, .extra = extra };
    struct jwt_issued issued = { 0 };
    struct err err = { 0 };
    enum st st = name == NULL ? err_no_memory(&err)
                              : auth_issue(call->api->auth, &order, &rq->arena, &issued, &err);
    if (st == ST_OK)
        answer_token(rq, &issued);
    else
        arm_fail(rq, &err);
}

/* By form, as clients of OAuth2 do; or by Basic. */
static bool read_login(struct http_request *rq, struct credentials *c)
{
    struct http_form form = { 0 };
    struct err err = { 0 };
    str grant = STR_NONE;
    *c = (struct credentials){ .kind = CREDENTIAL_BASIC, .peer = rq->peer };
    if (!http_form_is_type(http_header(rq, "Content-Type")) ||
        http_form_parse(rq->body, &rq->arena, &form, &err) != ST_OK) {
        refuse_login(rq, 400, "invalid_request", STR("the body must be a form"));
        return false;
    }
    if (!http_form_first(&form, "grant_type", &grant) ||
        !str_eq(grant, STR("client_credentials"))) {
        refuse_login(rq, 400, "unsupported_grant_type",
                     STR("only client_credentials are known here: az login --service-principal -u"
                         " NAME -p PASSWORD --tenant adfs"));
        return false;
    }
    if (http_form_first(&form, "client_id", &c->user) &&
        http_form_first(&form, "client_secret", &c->secret) && c->user.len > 0)
        return true;
    refuse_login(rq, 400, "invalid_request", STR("client_id and client_secret are needed"));
    return false;
}

void arm_token_post(struct http_request *rq)
{
    struct api_call *call = api_call_of(rq);
    struct auth_refusal refusal = { 0 };
    struct credentials c;
    struct err err = { 0 };
    if (!call->api->accounts) {
        refuse_login(rq, 400, "unauthorized_client",
                     STR("there are no accounts here: auth.mode is open"));
        return;
    }
    if (!read_login(rq, &c))
        return;
    identity_release(&call->who); /* nobody's */
    call->who = (struct identity){ .name = STR("anonymous") };
    enum st st =
        auth_identify(call->api->auth, &c, acr_now(rq), &rq->arena, &call->who, &refusal, &err);
    if (st == ST_OK && call->who.by_jwt) {
        refuse_login(rq, 401, "invalid_client", STR("a JWT is good for no other one"));
    } else if (st == ST_OK) {
        issue(rq);
    } else if (st == ST_BUSY && refusal.slowed) {
        refuse_login(rq, 429, "slow_down", STR("too many failed log-ins: try again later"));
        http_answer_header(rq, "Retry-After",
                           arena_printf(&rq->arena, "%" PRId64, MAX(refusal.retry_after_s, 1)));
    } else if (st == ST_DENIED || st == ST_INVALID) {
        refuse_login(rq, 401, "invalid_client", arena_dup(&rq->arena, str_of(err.text)));
    } else {
        arm_fail(rq, &err);
    }
}
