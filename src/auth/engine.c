/* SPDX-License-Identifier: Apache-2.0 */
#include "auth/auth_int.h"
#include "base/log.h"
#include "meta/settings.h"

/* ---- epochs ---------------------------------------------------------------------------------- */

void engine_forget(struct auth *a)
{
    atomic_fetch_add(&a->epoch, 1);
}

bool engine_is_fresh(const struct auth *a, int64_t now)
{
    int64_t age = now - atomic_load_explicit(&a->checked_at, memory_order_relaxed);
    return age < STALE_MS && age > -STALE_MS;
}

static enum st read_version(struct db_tx *tx, void *ctx, struct err *err)
{
    AUTO(arena_release) struct arena scratch = { 0 };
    str text = STR_NONE;
    enum st st = settings_get(tx, AUTH_VERSION, &scratch, &text, err);
    if (st == ST_OK && !str_copy(text, ctx, VERSION_MAX))
        st = err_set(err, ST_CORRUPT, "the setting " AUTH_VERSION " is too long");
    return st;
}

static enum st look_at_version(struct auth *a, struct err *err)
{
    char version[VERSION_MAX] = "";
    enum st st = db_read(a->registry->db, read_version, version, err);
    if (st != ST_OK || strcmp(version, a->version) == 0)
        return st;
    memcpy(a->version, version, sizeof(version));
    engine_forget(a);
    return ST_OK;
}

/* A file that cannot be read leaves what it said before: an edit that went wrong locks nobody out,
 * and is told. */
static void look_at_file(struct auth *a)
{
    bool changed = false;
    struct err err;
    if (a->htpasswd == NULL)
        return;
    if (htpasswd_look(a->htpasswd, &changed, &err) != ST_OK)
        log_failure("the htpasswd file cannot be read; what it said before is used", &err);
    if (changed)
        engine_forget(a);
}

enum st engine_freshen(struct auth *a, int64_t now, struct err *err)
{
    int64_t age = now - atomic_load(&a->checked_at);
    if (age < CHECK_MS && age > -CHECK_MS)
        return ST_OK;
    LOCK_SCOPE(&a->load_lock);
    age = now - atomic_load(&a->checked_at);
    if (age < CHECK_MS && age > -CHECK_MS)
        return ST_OK;
    look_at_file(a);
    enum st st = look_at_version(a, err);
    if (st == ST_OK)
        atomic_store(&a->checked_at, now);
    return st;
}

/* ---- rows ------------------------------------------------------------------------------------ */

static const uint8_t world_key[CACHE_KEY_BYTES] = { 0 };

struct subject_call {
    str name;
    const struct htpasswd_table *table;
    struct world *world;
    struct subject *subject;
};

static enum st read_subject(struct db_tx *tx, void *ctx, struct err *err)
{
    struct subject_call *c = ctx;
    enum st st = ST_OK;
    if (c->world == NULL)
        st = world_load(tx, &c->world, err);
    if (st == ST_OK)
        st = subject_load(tx, c->name, c->table, c->world, &c->subject, err);
    return st;
}

/* Of the epoch; or NULL. */
static struct world *find_world(struct auth *a, uint64_t epoch, int64_t now)
{
    struct counted *found = cache_find(a->worlds, world_key, epoch, now);
    return found == NULL ? NULL : CONTAINER_OF(found, struct world, counted);
}

static enum st load_subject(const struct look *l, str name, const uint8_t *key,
                            struct subject **out, struct err *err)
{
    struct auth *a = l->auth;
    uint64_t epoch = atomic_load(&a->epoch);
    struct htpasswd_table *table = htpasswd_table(a->htpasswd);
    struct subject_call c = { .name = name, .table = table, .world = find_world(a, epoch, l->now) };
    enum st st = db_read(a->registry->db, read_subject, &c, err);
    if (c.world != NULL) {
        cache_put(a->worlds, world_key, epoch, INT64_MAX, l->now, &c.world->counted);
        counted_drop(&c.world->counted);
    }
    if (st == ST_OK) {
        cache_put(a->subjects, key, epoch, INT64_MAX, l->now, &c.subject->counted);
        *out = c.subject;
    }
    if (table != NULL)
        counted_drop(&table->counted);
    return st;
}

enum st engine_subject(const struct look *l, str name, const uint8_t key[static CACHE_KEY_BYTES],
                       struct subject **out, struct err *err)
{
    struct auth *a = l->auth;
    struct counted *found = cache_find(a->subjects, key, atomic_load(&a->epoch), l->now);
    if (found != NULL) {
        *out = CONTAINER_OF(found, struct subject, counted);
        return ST_OK;
    }
    if (!l->may_read)
        return err_set(err, ST_BUSY, "an account has to be looked up");
    return load_subject(l, name, key, out, err);
}

struct token_call {
    const uint8_t *hash;
    int64_t id;
    struct known_token *token;
};

static enum st read_token(struct db_tx *tx, void *ctx, struct err *err)
{
    struct token_call *c = ctx;
    return known_token_load(tx, c->hash, c->id, &c->token, err);
}

enum st engine_token(const struct look *l, const uint8_t key[static CACHE_KEY_BYTES], int64_t id,
                     struct known_token **out, struct err *err)
{
    struct auth *a = l->auth;
    uint64_t epoch = atomic_load(&a->epoch);
    struct counted *found = cache_find(a->tokens, key, epoch, l->now);
    if (found != NULL) {
        *out = CONTAINER_OF(found, struct known_token, counted);
        return ST_OK;
    }
    if (!l->may_read)
        return err_set(err, ST_BUSY, "a token has to be looked up");
    struct token_call c = { .hash = id == 0 ? key : NULL, .id = id };
    enum st st = db_read(a->registry->db, read_token, &c, err);
    if (st != ST_OK)
        return st;
    cache_put(a->tokens, key, epoch, INT64_MAX, l->now, &c.token->counted);
    *out = c.token;
    return ST_OK;
}

/* ---- keys ------------------------------------------------------------------------------------ */

struct key_set *engine_keys(struct auth *a)
{
    LOCK_SCOPE(&a->keys_lock);
    counted_take(&a->keys->counted);
    return a->keys;
}

static void set_keys(struct auth *a, struct key_set *keys)
{
    struct key_set *old;
    {
        LOCK_SCOPE(&a->keys_lock);
        old = a->keys;
        a->keys = keys;
    }
    if (old != NULL)
        counted_drop(&old->counted);
}

static enum st load_keys(struct auth *a, struct err *err)
{
    struct key_set *keys;
    enum st st = keys_load(a->registry, &keys, err);
    if (st == ST_OK)
        set_keys(a, keys);
    return st;
}

enum st engine_load_keys(struct auth *a, struct err *err)
{
    LOCK_SCOPE(&a->load_lock);
    return load_keys(a, err);
}

/* Another node may have made it; unknown ones cost a look a second, no more. */
static enum st look_for_keys(struct auth *a, int64_t now, struct err *err)
{
    LOCK_SCOPE(&a->load_lock);
    int64_t age = now - a->keys_loaded_at;
    if (age < CHECK_MS && age > -CHECK_MS)
        return ST_OK;
    a->keys_loaded_at = now;
    return load_keys(a, err);
}

/* ---- JWTs ------------------------------------------------------------------------------------ */

/* Nobody needs credentials to be given a JWT, and thousands are remembered: those that name a lot
 * are verified each time instead. */
#define JWT_KEPT_BYTES ((size_t)4 * KIB)

static enum st read_jwt(struct auth *a, str text, str kid, struct known_jwt *jwt, struct err *err)
{
    struct key_set *keys = engine_keys(a);
    const struct key *key = keys_find(keys, kid);
    enum st st = key == NULL ? err_set(err, ST_NOT_FOUND, "the token is none of ours")
                             : jwt_verify(text, key, str_of(a->options.service), &jwt->arena,
                                          &jwt->claims, err);
    counted_drop(&keys->counted);
    return st;
}

static enum st verify(struct auth *a, str text, int64_t now, struct known_jwt *jwt, struct err *err)
{
    AUTO(arena_release)
    struct arena scratch = { 0 }; /* what is remembered holds no more than it must */
    str kid;
    enum st st = jwt_header(text, &scratch, &kid, err);
    if (st != ST_OK)
        return st;
    st = read_jwt(a, text, kid, jwt, err);
    if (st == ST_NOT_FOUND && (st = look_for_keys(a, now, err)) == ST_OK)
        st = read_jwt(a, text, kid, jwt, err);
    if (st == ST_OK) {
        subject_key(jwt->claims.sub, jwt->subject);
        known_token_key(jwt->claims.token_id, jwt->token);
    }
    return st == ST_NOT_FOUND ? err_set(err, ST_DENIED, "the token is none of ours") : st;
}

static void keep_jwt(struct auth *a, const uint8_t *key, struct known_jwt *jwt, int64_t now)
{
    int64_t now_s = registry_utc(a->registry, now) / 1000;
    int64_t over_at = now + (jwt->claims.exp + JWT_LEEWAY_S - now_s) * 1000;
    cache_put(a->jwts, key, 0, over_at, now, &jwt->counted);
}

enum st engine_jwt(const struct look *l, str text, struct known_jwt **out, struct err *err)
{
    struct auth *a = l->auth;
    uint8_t key[HASH256_BYTES];
    str signed_part;
    str signature;
    if (text.len > JWT_BYTES_MAX || !str_cut_last(text, '.', &signed_part, &signature))
        return err_set(err, ST_DENIED, "the token is none of ours");
    /* The signature alone is secret, so it is hashed, and the rest compared: half of the time. */
    secret_hash(signature, key);
    struct counted *found = cache_find(a->jwts, key, 0, l->now);
    if (found != NULL) {
        struct known_jwt *known = CONTAINER_OF(found, struct known_jwt, counted);
        if (str_eq(known->signed_part, signed_part)) {
            *out = known;
            return ST_OK;
        }
        counted_drop(found);
    }
    if (!l->may_read)
        return err_set(err, ST_BUSY, "a token has to be verified");
    struct known_jwt *jwt;
    int64_t now_s = registry_utc(a->registry, l->now) / 1000;
    enum st st = known_jwt_new(&jwt, err);
    if (st != ST_OK)
        return st;
    st = verify(a, text, l->now, jwt, err);
    if (st == ST_OK)
        st = jwt_check_times(&jwt->claims, now_s, err);
    if (st == ST_OK)
        jwt->signed_part = arena_dup(&jwt->arena, signed_part);
    if (st == ST_OK && jwt->signed_part.ptr == NULL)
        st = err_no_memory(err);
    if (st != ST_OK) {
        counted_drop(&jwt->counted);
        return st;
    }
    if (text.len <= JWT_KEPT_BYTES)
        keep_jwt(a, key, jwt, l->now);
    *out = jwt;
    return ST_OK;
}

static enum st copy_claims(const struct jwt_claims *from, struct known_jwt *to, struct err *err)
{
    struct arena *arena = &to->arena;
    struct claim *claims = arena_alloc(arena, (from->claim_count + 1) * sizeof(*claims));
    to->claims = *from;
    to->claims.sub = arena_dup(arena, from->sub);
    to->claims.claims = claims;
    if (claims == NULL || to->claims.sub.ptr == NULL)
        return err_no_memory(err);
    for (size_t i = 0; i < from->claim_count; i++) {
        claims[i] = from->claims[i];
        claims[i].name = arena_dup(arena, from->claims[i].name);
        if (claims[i].name.ptr == NULL)
            return err_no_memory(err);
    }
    subject_key(to->claims.sub, to->subject);
    known_token_key(to->claims.token_id, to->token);
    return ST_OK;
}

void engine_remember_jwt(struct auth *a, str text, const struct jwt_claims *claims)
{
    uint8_t key[HASH256_BYTES];
    str signed_part;
    str signature;
    struct known_jwt *jwt;
    struct err ignored;
    if (text.len > JWT_KEPT_BYTES || !str_cut_last(text, '.', &signed_part, &signature) ||
        known_jwt_new(&jwt, &ignored) != ST_OK)
        return;
    secret_hash(signature, key);
    jwt->signed_part = arena_dup(&jwt->arena, signed_part);
    if (jwt->signed_part.ptr != NULL && copy_claims(claims, jwt, &ignored) == ST_OK)
        keep_jwt(a, key, jwt, registry_now(a->registry));
    counted_drop(&jwt->counted);
}
