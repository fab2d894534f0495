/* SPDX-License-Identifier: Apache-2.0
 *
 * The token service: JWTs for identities, and identities of refresh tokens.
 */
#include "auth/auth_int.h"

static bool claims_hold(const struct identity *who, enum claim_type type)
{
    for (size_t i = 0; i < who->claim_count; i++)
        if (who->claims[i].type == type)
            return true;
    return !who->has_claims;
}

/* What of the claim is given; no actions: nothing. */
static unsigned grant(const struct identity *who, const struct claim *c)
{
    /* What a list shows is judged when it is asked for, and so is a claim to every repository. */
    if (c->type != CLAIM_REPOSITORY)
        return claims_hold(who, c->type) ? c->actions : 0;
    if (!str_eq(c->name, STR("*")))
        return actions_within(c->actions, identity_rights(who, c->name));
    if (!who->has_claims)
        return c->actions;
    for (size_t i = 0; i < who->claim_count; i++)
        if (who->claims[i].type == CLAIM_REPOSITORY && str_eq(who->claims[i].name, STR("*")))
            return (who->claims[i].actions & ACTION_ALL) != 0
                       ? c->actions
                       : actions_within(c->actions, action_rights(who->claims[i].actions));
    return 0;
}

static enum st grant_all(const struct jwt_order *order, struct arena *arena, struct jwt_issued *out,
                         struct err *err)
{
    out->claims = arena_alloc(arena, (order->claim_count + 1) * sizeof(*out->claims));
    if (out->claims == NULL)
        return err_no_memory(err);
    for (size_t i = 0; order->use == JWT_ACCESS && i < order->claim_count; i++) {
        struct claim given = order->claims[i];
        given.actions = grant(order->who, &given);
        given.name = arena_dup(arena, given.name);
        if (given.name.ptr == NULL)
            return err_no_memory(err);
        if (given.actions != 0)
            out->claims[out->claim_count++] = given;
    }
    return ST_OK;
}

static int64_t life_of(const struct auth *a, const struct jwt_order *order)
{
    const struct auth_options *o = &a->options;
    int64_t longest = MAX(o->token_ms, o->refresh_ms); /* keys are kept so long */
    if (order->life_ms > 0)
        return MIN(order->life_ms, longest);
    return order->use == JWT_REFRESH ? o->refresh_ms : o->token_ms;
}

enum st auth_issue(struct auth *a, const struct jwt_order *order, struct arena *arena,
                   struct jwt_issued *out, struct err *err)
{
    const struct identity *who = order->who;
    struct jwt_issued issued = { 0 };
    /* A log-in of az is good for a refresh token, so no JWT may be good for a log-in. */
    if (who->has_claims ? order->use != JWT_ACCESS : who->by_jwt && order->use == JWT_ARM)
        return err_set(err, ST_DENIED, "an access token cannot be turned into another token");
    enum st st = grant_all(order, arena, &issued, err);
    if (st != ST_OK)
        return st;
    issued.issued_at = registry_utc(a->registry, registry_now(a->registry)) / 1000;
    issued.expires_at = issued.issued_at + life_of(a, order) / 1000;
    const struct jwt_claims claims = {
        .use = order->use,
        .sub = who->kind == IDENTITY_ANONYMOUS ? STR("") : who->name,
        .exp = issued.expires_at,
        .nbf = issued.issued_at,
        .iat = issued.issued_at,
        .generation = who->kind == IDENTITY_ANONYMOUS ? 0 : who->generation,
        .token_id = who->token_id,
        .claims = issued.claims,
        .claim_count = issued.claim_count,
    };
    struct key_set *keys = engine_keys(a);
    st = keys->count == 0 ? err_set(err, ST_BUG, "there is no signing key")
                          : jwt_make(&keys->keys[0], &claims, str_of(a->options.service),
                                     order->extra, arena, &issued.text, err);
    counted_drop(&keys->counted);
    if (st == ST_OK) {
        engine_remember_jwt(a, issued.text, &claims);
        *out = issued;
    }
    return st;
}

enum st auth_redeem(struct auth *a, str text, enum jwt_use use, int64_t now, struct arena *arena,
                    struct identity *out, struct err *err)
{
    const struct look l = { .auth = a, .now = now, .may_read = true };
    struct known_jwt *jwt;
    if (a->options.mode == AUTH_OPEN) { /* one from before the mode changed is as good as none */
        identity_everybody(out);
        return ST_OK;
    }
    enum st st = engine_freshen(a, now, err);
    if (st == ST_OK)
        st = engine_jwt(&l, text, &jwt, err);
    if (st == ST_EXPIRED)
        return err_set(err, ST_DENIED, "the token's time is over");
    if (st != ST_OK)
        return st;
    if (jwt->claims.use == use)
        return identity_of_jwt(&l, jwt, arena, out, err);
    counted_drop(&jwt->counted);
    return err_set(err, ST_DENIED, "the token is for something else");
}

enum st auth_public_keys(struct auth *a, struct arena *arena, str *out, struct err *err)
{
    struct key_set *keys = engine_keys(a);
    str copy = arena_dup(arena, keys->public);
    counted_drop(&keys->counted);
    if (copy.ptr == NULL)
        return err_no_memory(err);
    *out = copy;
    return ST_OK;
}
