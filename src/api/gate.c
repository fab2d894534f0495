/* SPDX-License-Identifier: Apache-2.0 */
#include "api/gate.h"

#include "api/api_int.h"
#include "base/log.h"
#include "oci/name.h"

/* What the gate knows of a request, in its arena. A route that has to wait for a worker, or that
 * refuses, is a copy of the inner one that lives here; net/ counts it by its name. */
struct gate_state {
    struct gate_need need;
    struct credentials credentials;
    struct gate_refused refused;
    const struct http_route *inner;
    struct http_route route;
    struct http_sink sink;
};

static void answer_no_memory(struct http_request *rq)
{
    http_answer(rq, 503);
    http_answer_header(rq, "Retry-After", STR("1"));
}

static const struct http_route no_memory = { .name = "none",
                                             .body_max = API_BODY_DROPPED_MAX,
                                             .handle = answer_no_memory };

/* ---- deciding ------------------------------------------------------------------------------- */

/* Of a list; there is one thing to do with it. */
static bool has_claim(const struct identity *who, enum claim_type type)
{
    for (size_t i = 0; i < who->claim_count; i++)
        if (who->claims[i].type == type && who->claims[i].actions != 0)
            return true;
    return false;
}

static bool refuse_as(struct gate_state *g, enum gate_refusal why, str text)
{
    g->refused = (struct gate_refused){ .why = why, .need = &g->need, .text = text };
    return false;
}

/* Somebody who has not all the rights on a path. Whoever came by a JWT may have them without it. */
static bool refuse_rights(struct gate_state *g, const struct identity *who)
{
    const struct gate_need *need = &g->need;
    unsigned rights = access_rights(&who->access, need->path);
    bool everywhere = need->path.len == 0;
    if (who->kind == IDENTITY_ANONYMOUS && !who->has_claims)
        return refuse_as(g, GATE_NO_CREDENTIALS, STR("authentication required"));
    if (who->has_claims && (rights & need->rights) == need->rights)
        return refuse_as(g, GATE_NARROW, STR("the token is not for this"));
    if ((rights & RIGHT_PULL) == 0 && !everywhere)
        return refuse_as(g, GATE_HIDDEN, STR("authentication required"));
    if (who->kind == IDENTITY_ANONYMOUS)
        return refuse_as(g, GATE_NARROW, STR("authentication required"));
    return refuse_as(g, GATE_FORBIDDEN, STR("you have not the right to do this here"));
}

/* Fills g->refused when false. */
static bool decide(struct gate_state *g, const struct identity *who)
{
    const struct gate_need *need = &g->need;
    bool nobody = who->kind == IDENTITY_ANONYMOUS;
    if (need->signed_in && nobody)
        return refuse_as(g, who->has_claims ? GATE_NARROW : GATE_NO_CREDENTIALS,
                         STR("authentication required"));
    if (need->ping && nobody && !who->has_claims)
        return refuse_as(g, GATE_NO_CREDENTIALS, STR("authentication required"));
    if (need->type != CLAIM_REPOSITORY && who->has_claims && !has_claim(who, need->type))
        return refuse_as(g, GATE_NARROW, STR("the token is not for this"));
    if ((need->rights & RIGHT_ADMIN) != 0)
        return identity_is_admin(who) || refuse_rights(g, who);
    return (identity_rights(who, need->path) & need->rights) == need->rights ||
           refuse_rights(g, who);
}

/* ---- refusing ------------------------------------------------------------------------------- */

static void note(struct http_request *rq, const char *action, str object, str detail)
{
    const struct api_call *call = api_call_of(rq);
    const struct trail_entry entry = gate_trail(rq, action, object, detail);
    auth_note(call->api->auth, &entry);
}

/* Failed log-ins are noted by auth/, which knows more of them. */
static void note_refusal(struct http_request *rq, const struct gate_state *g)
{
    enum gate_refusal why = g->refused.why;
    if (why == GATE_NO_CREDENTIALS || why == GATE_SLOWED || why == GATE_BAD_CREDENTIALS)
        return;
    note(rq, "refused", g->need.path.ptr == NULL ? STR("") : g->need.path,
         arena_printf(&rq->arena, "%.*s %s", STR_FMT(rq->method_text), g->inner->name));
}

static void answer_refused(struct http_request *rq)
{
    struct api_call *call = api_call_of(rq);
    note_refusal(rq, call->gate);
    call->family->refuse(rq, &call->gate->refused);
}

static const struct http_sink refusing_sink = { .begin = answer_refused };

/* A body is not waited for. */
static const struct http_route *refusing_route(struct http_request *rq, struct gate_state *g)
{
    g->route = (struct http_route){ .name = g->inner->name, .body_max = UINT64_MAX };
    if (rq->body_length == 0)
        g->route.handle = answer_refused;
    else
        g->route.sink = &refusing_sink;
    return &g->route;
}

/* ---- who is asked on a worker --------------------------------------------------------------- */

/* False when it was answered. */
static bool identify(struct http_request *rq)
{
    struct api_call *call = api_call_of(rq);
    struct gate_state *g = call->gate;
    struct auth_refusal refusal = { 0 };
    struct err err = { 0 };
    enum st st = auth_identify(call->api->auth, &g->credentials, registry_now(call->api->registry),
                               &rq->arena, &call->who, &refusal, &err);
    if (st == ST_OK && decide(g, &call->who))
        return true;
    if (st == ST_BUSY && refusal.slowed) {
        (void)refuse_as(g, GATE_SLOWED, STR("too many failed log-ins: try again later"));
        g->refused.retry_after_s = refusal.retry_after_s;
    } else if (st == ST_DENIED) {
        (void)refuse_as(g, GATE_BAD_CREDENTIALS, arena_dup(&rq->arena, str_of(err.text)));
    } else if (st != ST_OK) {
        oci_fail(rq, NULL, &err);
        return false;
    }
    answer_refused(rq);
    return false;
}

static void enter_late(struct http_request *rq)
{
    if (identify(rq))
        api_call_of(rq)->gate->inner->handle(rq);
}

static void begin_late(struct http_request *rq)
{
    if (identify(rq))
        api_call_of(rq)->gate->inner->sink->begin(rq);
}

static const struct http_route *late_route(struct gate_state *g)
{
    g->route = *g->inner;
    if (g->inner->sink == NULL) {
        g->route.worker = true;
        g->route.handle = enter_late;
    } else {
        g->sink = *g->inner->sink;
        g->sink.begin = begin_late;
        g->route.sink = &g->sink;
    }
    return &g->route;
}

/* ---- the way in ----------------------------------------------------------------------------- */

static void release_identity(void *arg)
{
    struct api_call *call = arg;
    identity_release(&call->who);
}

static enum st read_credentials(struct http_request *rq, struct credentials *out, struct err *err)
{
    const struct gate_family *family = api_call_of(rq)->family;
    if (family->credentials != NULL)
        return family->credentials(rq, out, err);
    str header = http_header(rq, "Authorization");
    if (header.ptr == NULL) {
        *out = (struct credentials){ .peer = rq->peer };
        return ST_OK;
    }
    if (http_header_count(rq, "Authorization") > 1)
        return err_set(err, ST_INVALID, "there is more than one Authorization header");
    return credentials_parse(header, rq->peer, &rq->arena, out, err);
}

static const struct identity everybody = {
    .kind = IDENTITY_ANONYMOUS,
    .name = { "anonymous", 9 },
    .access = { .administrator = true, .cap_rights = RIGHTS_ALL },
};

const struct http_route *gate_pass(struct http_request *rq, const struct gate_family *family,
                                   const struct gate_need *need, const struct http_route *route)
{
    struct api_call *call = api_call_of(rq);
    struct err err = { 0 };
    call->family = family;
    call->who = everybody;
    if (!call->api->accounts)
        return route;
    call->who = (struct identity){ .name = STR("anonymous") };
    struct gate_state *g = arena_alloc(&rq->arena, sizeof(*g));
    if (g == NULL)
        return &no_memory;
    *g = (struct gate_state){ .need = *need, .inner = route, .credentials.peer = rq->peer };
    call->gate = g;
    if (read_credentials(rq, &g->credentials, &err) != ST_OK) {
        (void)refuse_as(g, GATE_BAD_CREDENTIALS, arena_dup(&rq->arena, str_of(err.text)));
        note(rq, "log-in failed", STR(""), STR("credentials that cannot be read"));
        return refusing_route(rq, g);
    }
    http_on_end(rq, release_identity, call);
    enum st st =
        auth_identify_fast(call->api->auth, &g->credentials, registry_now(call->api->registry),
                           &rq->arena, &call->who, &err);
    if (st == ST_OK)
        return decide(g, &call->who) ? route : refusing_route(rq, g);
    if (st == ST_DENIED) {
        (void)refuse_as(g, GATE_BAD_CREDENTIALS, arena_dup(&rq->arena, str_of(err.text)));
        return refusing_route(rq, g);
    }
    return late_route(g);
}

/* ---- for handlers --------------------------------------------------------------------------- */

bool gate_may(const struct http_request *rq, str path, unsigned rights)
{
    const struct identity *who = gate_who(rq);
    if ((rights & RIGHT_ADMIN) != 0 && !identity_is_admin(who))
        return false;
    rights &= ~(unsigned)RIGHT_ADMIN;
    return (identity_rights(who, path) & rights) == rights;
}

static unsigned asked_for(unsigned rights)
{
    return ((rights & RIGHT_PULL) != 0 ? ACTION_PULL : 0U) |
           ((rights & RIGHT_PUSH) != 0 ? ACTION_PULL | ACTION_PUSH : 0U) |
           ((rights & RIGHT_DELETE) != 0 ? ACTION_DELETE : 0U) |
           ((rights & RIGHT_RULES) != 0 ? ACTION_METADATA_WRITE : 0U);
}

bool gate_demand(struct http_request *rq, str path, unsigned rights)
{
    struct api_call *call = api_call_of(rq);
    struct gate_state *g = call->gate;
    if (gate_may(rq, path, rights))
        return true;
    if (g == NULL) /* a path that did not come by the gate */
        return false;
    g->need = (struct gate_need){ .path = path, .rights = rights, .action = asked_for(rights) };
    (void)refuse_rights(g, &call->who);
    answer_refused(rq);
    return false;
}

struct credentials gate_credentials(const struct http_request *rq)
{
    const struct gate_state *g = api_call_of(rq)->gate;
    return g == NULL ? (struct credentials){ .peer = rq->peer } : g->credentials;
}

str gate_actor(const struct http_request *rq)
{
    return gate_who(rq)->name;
}

const struct identity *gate_who(const struct http_request *rq)
{
    return &api_call_of(rq)->who;
}

struct trail_entry gate_trail(const struct http_request *rq, const char *action, str object,
                              str detail)
{
    const struct api_call *call = api_call_of(rq);
    return (struct trail_entry){ .at = registry_now(call->api->registry),
                                 .actor = gate_actor(rq),
                                 .peer = rq->peer,
                                 .door = str_of(call->family->door),
                                 .action = str_of(action),
                                 .object = object.ptr == NULL ? STR("") : object,
                                 .detail = detail,
                                 .times = 1 };
}

struct noted_write {
    db_fn fn;
    void *ctx;
    const struct trail_entry *entry; /* NULL: none */
};

static enum st write_noted(struct db_tx *tx, void *ctx, struct err *err)
{
    struct noted_write *w = ctx;
    enum st st = w->fn(tx, w->ctx, err);
    return st == ST_OK && w->entry != NULL ? trail_add(tx, w->entry, err) : st;
}

enum st gate_write(struct http_request *rq, db_fn fn, void *ctx, const struct trail_entry *entry,
                   struct err *err)
{
    struct api *api = api_call_of(rq)->api;
    struct noted_write w = { fn, ctx, api->accounts ? entry : NULL };
    return registry_write(api->registry, write_noted, &w, err);
}

struct deletion_by gate_by(const struct http_request *rq, str reason)
{
    const struct api_call *call = api_call_of(rq);
    return (struct deletion_by){ .door = str_of(call->family->door),
                                 .actor = call->who.name,
                                 .peer = rq->peer,
                                 .reason = reason };
}

/* ---- lists ---------------------------------------------------------------------------------- */

/* Takes what may be seen of `found`. *after is where the search goes on; false: nothing comes any
 * more. */
static bool take_visible(const struct access *access, const struct name_page *found, size_t limit,
                         struct arena *a, struct name_page *out, str *after)
{
    char room[ACCESS_SEEK_MAX];
    for (size_t i = 0; i < found->count; i++) {
        str name = found->names[i];
        if (str_cmp(name, *after) <= 0)
            continue; /* it was passed over */
        *after = name;
        if ((access_rights(access, name) & RIGHT_PULL) != 0) {
            out->more = out->count == limit;
            if (out->more)
                return false;
            out->names[out->count++] = name;
            continue;
        }
        if (!access_seek(access, name, room, after))
            return false;
        *after = arena_dup(a, *after);
    }
    return found->more;
}

enum st gate_list_repositories(struct http_request *rq, str last, size_t limit,
                               struct name_page *out, struct err *err)
{
    struct registry *registry = api_call_of(rq)->api->registry;
    const struct access *access = &gate_who(rq)->access;
    char room[ACCESS_SEEK_MAX];
    str after = last.ptr == NULL ? STR("") : last;
    if (!api_call_of(rq)->api->accounts || limit == 0)
        return registry_list_repositories(registry, last, limit, &rq->arena, out, err);
    *out = (struct name_page){ .names = arena_alloc(&rq->arena, limit * sizeof(*out->names)) };
    if (out->names == NULL)
        return err_no_memory(err);
    for (bool more = access_seek(access, after, room, &after); more;) {
        struct name_page found = { 0 };
        if (after.ptr == NULL)
            return err_no_memory(err);
        enum st st = registry_list_repositories(registry, after, limit - out->count + 1, &rq->arena,
                                                &found, err);
        if (st != ST_OK)
            return st;
        more = take_visible(access, &found, limit, &rq->arena, out, &after);
    }
    return ST_OK;
}

/* ---- challenges ----------------------------------------------------------------------------- */

static bool only_has(str s, const char *more)
{
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];
        bool alnum = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        if (!alnum && (c == '\0' || strchr(more, c) == NULL))
            return false;
    }
    return s.len > 0;
}

/* host[:port], as it may stand in a URL between quotes: a name, an IPv4 address, or an IPv6 address
 * in brackets. */
static bool is_host(str host)
{
    str port = STR_NONE;
    uint64_t number = 0;
    if (host.len > 261) /* 255 of a name, and the port */
        return false;
    if (!str_starts(host, STR("["))) {
        if (str_cut(host, ':', &host, &port) && !str_to_u64(port, 65535, &number))
            return false;
        return only_has(host, "-._");
    }
    str rest = STR_NONE;
    if (!str_cut(str_slice(host, 1, host.len), ']', &host, &rest))
        return false;
    if (rest.len > 0 &&
        (rest.ptr[0] != ':' || !str_to_u64(str_slice(rest, 1, rest.len), 65535, &number)))
        return false;
    return only_has(host, ":.");
}

str gate_url(struct http_request *rq)
{
    const struct api_options *o = &api_call_of(rq)->api->options;
    if (o->url != NULL)
        return str_of(o->url);
    str host = http_header(rq, "Host");
    if (!is_host(host))
        host = str_of(o->address);
    return arena_printf(&rq->arena, "%s://%.*s", rq->tls ? "https" : "http", STR_FMT(host));
}

/* ",scope=..." or "". What stands in it is a name by its grammar, so it needs no quoting. */
static str scope_part(struct http_request *rq, const struct gate_need *need)
{
    char actions[ACTIONS_TEXT_MAX];
    if (need->type == CLAIM_CATALOG)
        return STR(",scope=\"registry:catalog:*\"");
    if (need->type == CLAIM_DELETED_CATALOG)
        return STR(",scope=\"registry:deleted_catalog:*\"");
    if (need->action == 0 || name_check(need->path, NULL) != ST_OK)
        return STR("");
    return arena_printf(&rq->arena, ",scope=\"repository:%.*s:%s\"", STR_FMT(need->path),
                        actions_text(need->action, actions));
}

static const char *error_part(const struct gate_state *g, enum gate_refusal why)
{
    if (g->credentials.kind != CREDENTIAL_BEARER)
        return "";
    return why == GATE_BAD_CREDENTIALS ? ",error=\"invalid_token\""
                                       : ",error=\"insufficient_scope\"";
}

void gate_challenge(struct http_request *rq, const struct gate_refused *why)
{
    struct api_call *call = api_call_of(rq);
    str door = str_of(call->family->door);
    bool azure = str_eq(door, STR("azure"));
    if (!azure && !str_eq(door, STR("oci"))) {
        http_answer_header(rq, "WWW-Authenticate", STR("Basic realm=\"ebb\""));
        return;
    }
    str url = gate_url(rq);
    str scope = scope_part(rq, why->need);
    http_answer_header(rq, "WWW-Authenticate",
                       arena_printf(&rq->arena, "Bearer realm=\"%.*s%s\",service=\"%s\"%.*s%s",
                                    STR_FMT(url), azure ? "/oauth2/token" : "/token",
                                    auth_options(call->api->auth)->service, STR_FMT(scope),
                                    error_part(call->gate, why->why)));
}
