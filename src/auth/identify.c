/* SPDX-License-Identifier: Apache-2.0
 *
 * From credentials to an identity. The same steps whether the database may be read or not: without
 * it the first thing that is not remembered is ST_BUSY.
 */
#include "auth/auth_int.h"

#include "base/clock.h"

#define DEPLOY_PREFIX "deploy-token-"
#define NOBODY_GUID   "00000000-0000-0000-0000-000000000000"

/* What an identity's texts and lists lie in. */
struct held {
    struct subject *subject;
    struct known_token *token;
    struct known_jwt *jwt;
};

static void drop_held(const struct held *h)
{
    if (h->subject != NULL)
        counted_drop(&h->subject->counted);
    if (h->token != NULL)
        counted_drop(&h->token->counted);
    if (h->jwt != NULL)
        counted_drop(&h->jwt->counted);
}

void identity_release(struct identity *id)
{
    if (id->held != NULL)
        drop_held(id->held);
    id->held = NULL;
}

void identity_everybody(struct identity *out)
{
    *out = (struct identity){ .kind = IDENTITY_ANONYMOUS,
                              .name = STR("anonymous"),
                              .access = { .administrator = true, .cap_rights = RIGHTS_ALL } };
}

static enum st refuse(struct err *err, const char *why)
{
    return err_set(err, ST_DENIED, "%s", why);
}

/* ---- last uses ------------------------------------------------------------------------------- */

/* True once in `step_ms`, for one of those who ask. */
static bool is_due(_Atomic int64_t *used_at, int64_t now, int64_t step_ms)
{
    int64_t last = atomic_load_explicit(used_at, memory_order_relaxed);
    return now - last >= step_ms && atomic_compare_exchange_strong(used_at, &last, now);
}

static void note_uses(const struct look *l, const struct held *h)
{
    if (h->subject->account.id != 0 && is_due(&h->subject->used_at, l->now, CLOCK_HOUR_MS))
        notes_use(l->auth->notes, USE_OF_ACCOUNT, h->subject->account.id, l->now);
    if (h->token != NULL && is_due(&h->token->used_at, l->now, CLOCK_MINUTE_MS))
        notes_use(l->auth->notes, USE_OF_TOKEN, h->token->row.id, l->now);
}

/* ---- identities ------------------------------------------------------------------------------ */

static enum st name_deploy(const struct known_token *t, struct arena *arena, struct identity *out,
                           struct err *err)
{
    out->kind = IDENTITY_DEPLOY;
    out->name = arena_printf(arena, DEPLOY_PREFIX "%lld", (long long)t->row.id);
    out->access.members = &t->member;
    out->access.member_count = 1;
    return out->name.ptr == NULL ? err_no_memory(err) : ST_OK;
}

/* Takes over what is held, in any case. */
static enum st build(const struct look *l, const struct held *h, struct arena *arena,
                     struct identity *out, struct err *err)
{
    const struct subject *s = h->subject;
    struct held *kept = arena_alloc(arena, sizeof(*kept));
    struct identity id = { .kind = s->account.id == 0 ? IDENTITY_ANONYMOUS : IDENTITY_ACCOUNT,
                           .name = s->account.name,
                           .account_id = s->account.id,
                           .generation = s->generation,
                           .access = { .administrator = s->account.administrator,
                                       .members = s->members,
                                       .member_count = s->member_count,
                                       .visibility = s->world->visibility,
                                       .visibility_count = s->world->visibility_count,
                                       .cap_rights = RIGHTS_ALL } };
    enum st st = kept == NULL ? err_no_memory(err) : ST_OK;
    if (st == ST_OK && h->token != NULL) {
        id.token_id = h->token->row.id;
        id.access.cap_prefix = h->token->row.prefix;
        id.access.cap_rights = scope_rights(h->token->row.scopes);
        if (h->token->row.account_id == 0)
            st = name_deploy(h->token, arena, &id, err);
    }
    id.by_jwt = h->jwt != NULL;
    if (st == ST_OK && id.by_jwt && h->jwt->claims.use == JWT_ACCESS) {
        id.has_claims = true;
        id.claims = h->jwt->claims.claims;
        id.claim_count = h->jwt->claims.claim_count;
    }
    if (st != ST_OK) {
        drop_held(h);
        return st;
    }
    note_uses(l, h);
    *kept = *h;
    id.held = kept;
    *out = id;
    return ST_OK;
}

static bool token_is_over(const struct known_token *t, int64_t now)
{
    return t->row.expires_at != 0 && t->row.expires_at <= now;
}

static enum st identify_nobody(const struct look *l, struct arena *arena, struct identity *out,
                               struct err *err)
{
    struct held h = { 0 };
    uint8_t key[CACHE_KEY_BYTES];
    subject_key(STR(""), key);
    enum st st = engine_subject(l, STR(""), key, &h.subject, err);
    return st == ST_OK ? build(l, &h, arena, out, err) : st;
}

/* h->token is there; finds its account, or nobody for a deploy token. */
static enum st complete_token(const struct look *l, struct held *h, struct err *err)
{
    const struct known_token *t = h->token;
    bool deploy = t->row.account_id == 0;
    if (token_is_over(t, l->now))
        return refuse(err, "the token's time is over");
    enum st st = engine_subject(l, deploy ? STR("") : t->row.account, t->subject, &h->subject, err);
    if (st == ST_OK && !deploy &&
        (!h->subject->may_log_in || h->subject->account.id != t->row.account_id))
        st = ST_NOT_FOUND;
    return st == ST_NOT_FOUND ? refuse(err, "the token's account is disabled or gone") : st;
}

static enum st identify_token(const struct look *l, const struct credentials *c,
                              struct arena *arena, struct identity *out, struct err *err)
{
    struct held h = { 0 };
    uint8_t hash[HASH256_BYTES];
    enum st st = ST_NOT_FOUND;
    if (c->secret.len == SECRET_TOKEN_LEN) {
        secret_hash(c->secret, hash);
        st = engine_token(l, hash, 0, &h.token, err);
    }
    if (st == ST_OK)
        st = complete_token(l, &h, err);
    else if (st == ST_NOT_FOUND)
        st = refuse(err, "there is no such token, or it was removed");
    if (st == ST_OK)
        return build(l, &h, arena, out, err);
    drop_held(&h);
    /* Nobody guesses 200 bits: it slows nobody down, so that a job with a token that is over does
     * not lock out its neighbours. */
    if (st == ST_DENIED && l->may_read)
        engine_note(l->auth, c, "log-in failed", STR(""), "a token that is unknown or over",
                    l->now);
    return st;
}

/* ---- JWTs ------------------------------------------------------------------------------------ */

static enum st find_token_of_jwt(const struct look *l, struct held *h, struct err *err)
{
    enum st st = engine_token(l, h->jwt->token, h->jwt->claims.token_id, &h->token, err);
    if (st == ST_OK && token_is_over(h->token, l->now))
        st = ST_NOT_FOUND;
    return st == ST_NOT_FOUND ? refuse(err, "what the token was made from is over") : st;
}

static enum st find_deploy_of_jwt(const struct look *l, struct held *h, struct err *err)
{
    char name[64];
    (void)snprintf(name, sizeof(name), DEPLOY_PREFIX "%lld", (long long)h->jwt->claims.token_id);
    if (h->jwt->claims.token_id == 0 || !str_eq(h->jwt->claims.sub, str_of(name)))
        return refuse(err, "the token is none of ours");
    enum st st = find_token_of_jwt(l, h, err);
    if (st != ST_OK)
        return st;
    if (h->token->row.account_id != 0)
        return refuse(err, "the token is none of ours");
    return engine_subject(l, STR(""), h->token->subject, &h->subject, err);
}

static enum st find_account_of_jwt(const struct look *l, struct held *h, struct err *err)
{
    const struct jwt_claims *c = &h->jwt->claims;
    enum st st = engine_subject(l, c->sub, h->jwt->subject, &h->subject, err);
    if (st == ST_NOT_FOUND || (st == ST_OK && !h->subject->may_log_in))
        return refuse(err, "the token's account is disabled or gone");
    if (st != ST_OK)
        return st;
    if (h->subject->generation != c->generation)
        return refuse(err, "the token is older than the account's password");
    if (c->token_id == 0)
        return ST_OK;
    st = find_token_of_jwt(l, h, err);
    if (st == ST_OK && h->token->row.account_id != h->subject->account.id)
        st = refuse(err, "the token is none of ours");
    return st;
}

enum st identity_of_jwt(const struct look *l, struct known_jwt *jwt, struct arena *arena,
                        struct identity *out, struct err *err)
{
    struct held h = { .jwt = jwt };
    enum st st = str_starts(jwt->claims.sub, STR(DEPLOY_PREFIX)) ? find_deploy_of_jwt(l, &h, err)
                                                                 : find_account_of_jwt(l, &h, err);
    if (st == ST_OK)
        return build(l, &h, arena, out, err);
    drop_held(&h);
    return st;
}

static enum st identify_jwt(const struct look *l, const struct credentials *c, bool refresh_too,
                            struct arena *arena, struct identity *out, struct err *err)
{
    struct known_jwt *jwt;
    enum st st = engine_jwt(l, c->secret, &jwt, err);
    if (st == ST_DENIED)
        engine_note(l->auth, c, "log-in failed", STR(""), "a token that is none of ours", l->now);
    if (st != ST_OK)
        return st;
    if (jwt->claims.use == JWT_ACCESS || (jwt->claims.use == JWT_REFRESH && refresh_too))
        return identity_of_jwt(l, jwt, arena, out, err);
    counted_drop(&jwt->counted);
    return refuse(err, "the token is for something else");
}

/* ---- credentials ----------------------------------------------------------------------------- */

static enum st identify(const struct look *l, const struct credentials *c, struct arena *arena,
                        struct identity *out, struct auth_refusal *refusal, struct err *err)
{
    struct held h = { 0 };
    enum st st;
    if (c->kind == CREDENTIAL_NONE)
        return identify_nobody(l, arena, out, err);
    if (secret_is_token(c->secret))
        return identify_token(l, c, arena, out, err);
    switch (c->kind) {
    case CREDENTIAL_BEARER:
        return identify_jwt(l, c, false, arena, out, err);
    case CREDENTIAL_BASIC:
        if (str_eq(c->user, STR(NOBODY_GUID)) && jwt_looks_like(c->secret))
            return identify_jwt(l, c, true, arena, out, err);
        st = identify_password(l, c, &h.subject, refusal, err);
        return st == ST_OK ? build(l, &h, arena, out, err) : st;
    default:
        return refuse(err, "this is no token");
    }
}

enum st auth_identify_fast(struct auth *a, const struct credentials *c, int64_t now,
                           struct arena *arena, struct identity *out, struct err *err)
{
    const struct look l = { .auth = a, .now = now, .may_read = false };
    struct auth_refusal unused;
    if (a->options.mode == AUTH_OPEN) {
        identity_everybody(out);
        return ST_OK;
    }
    if (!engine_is_fresh(a, now))
        return err_set(err, ST_BUSY, "rights have to be looked up");
    return identify(&l, c, arena, out, &unused, err);
}

enum st auth_identify(struct auth *a, const struct credentials *c, int64_t now, struct arena *arena,
                      struct identity *out, struct auth_refusal *refusal, struct err *err)
{
    const struct look l = { .auth = a, .now = now, .may_read = true };
    *refusal = (struct auth_refusal){ 0 };
    if (a->options.mode == AUTH_OPEN) {
        identity_everybody(out);
        return ST_OK;
    }
    enum st st = engine_freshen(a, now, err);
    if (st == ST_OK)
        st = identify(&l, c, arena, out, refusal, err);
    return st == ST_EXPIRED ? err_set(err, ST_DENIED, "the token's time is over") : st;
}

/* ---- rights ---------------------------------------------------------------------------------- */

/* A JWT is short-lived and passed on to others: what it could do to accounts and members would
 * outlive it. */
static unsigned claimed_rights(const struct identity *id, str path)
{
    const unsigned lasting = RIGHT_ADMIN | RIGHT_MEMBERS;
    unsigned actions = 0;
    if (!id->has_claims)
        return id->by_jwt ? RIGHTS_ALL & ~lasting : RIGHTS_ALL;
    for (size_t i = 0; i < id->claim_count; i++) {
        const struct claim *c = &id->claims[i];
        if (c->type == CLAIM_REPOSITORY && (str_eq(c->name, path) || str_eq(c->name, STR("*"))))
            actions |= c->actions;
    }
    return action_rights(actions) & ~lasting;
}

unsigned identity_rights(const struct identity *id, str path)
{
    return access_rights(&id->access, path) & claimed_rights(id, path);
}

enum role identity_role(const struct identity *id, str path)
{
    return access_role(&id->access, path);
}

/* A claim to everything is one to every repository; a repository's name, "" included, is none. */
bool identity_is_admin(const struct identity *id)
{
    return id->access.administrator && (id->access.cap_rights & RIGHT_ADMIN) != 0 &&
           id->access.cap_prefix.len == 0 && (claimed_rights(id, STR("*")) & RIGHT_ADMIN) != 0;
}
