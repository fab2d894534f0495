/* SPDX-License-Identifier: Apache-2.0 */
#include "auth/auth.h"

#include "auth/auth_int.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/rng.h"
#include "meta/settings.h"

#define KNOWN_SUBJECTS  4096
#define KNOWN_TOKENS    8192
#define KNOWN_JWTS      16384
#define KNOWN_PASSWORDS 8192

#define EXPIRE_EVERY_MS (10 * CLOCK_MINUTE_MS)
#define EXPIRE_BATCH    2000
#define EXPIRE_ROUNDS   10
#define TOKEN_KEEP_MS   (30 * CLOCK_DAY_MS) /* for who wonders what became of it */

/* ---- open ------------------------------------------------------------------------------------ */

static void keep_yes(struct counted *c)
{
    (void)c;
}

static enum st copy_text(const char *from, const char **out, struct err *err)
{
    *out = from == NULL ? NULL : mem_dup(from, strlen(from));
    return from != NULL && *out == NULL ? err_no_memory(err) : ST_OK;
}

static enum st copy_options(struct auth *a, const struct auth_options *o, struct err *err)
{
    a->options = *o;
    a->options.admin_password = NULL;
    a->options.htpasswd = NULL;
    enum st st = copy_text(o->service, &a->options.service, err);
    return st == ST_OK ? copy_text(o->htpasswd, &a->options.htpasswd, err) : st;
}

static enum st make_parts(struct auth *a, struct err *err)
{
    enum st st = password_engine_new(&a->passwords, err);
    if (st == ST_OK)
        st = throttle_new(&a->throttle, err);
    if (st == ST_OK)
        st = notes_new(&a->notes, err);
    if (st == ST_OK)
        st = cache_new(8, &a->worlds, err);
    if (st == ST_OK)
        st = cache_new(KNOWN_SUBJECTS, &a->subjects, err);
    if (st == ST_OK)
        st = cache_new(KNOWN_TOKENS, &a->tokens, err);
    if (st == ST_OK)
        st = cache_new(KNOWN_JWTS, &a->jwts, err);
    if (st == ST_OK)
        st = cache_new(KNOWN_PASSWORDS, &a->passed, err);
    if (st == ST_OK && a->options.htpasswd != NULL)
        st = htpasswd_open(a->options.htpasswd, &a->htpasswd, err);
    return st;
}

struct first_call {
    struct registry *registry;
    bool want_admin;
    bool made_admin;
    str hash;
    struct signing_key key;
    int64_t now;
};

static enum st add_admin(struct db_tx *tx, struct first_call *c, struct err *err)
{
    const struct account admin = { .name = STR("admin"),
                                   .kind = ACCOUNT_PERSON,
                                   .hash = c->hash,
                                   .administrator = true,
                                   .created_at = c->now };
    const struct trail_entry entry = { .at = c->now,
                                       .actor = STR("server"),
                                       .peer = STR(""),
                                       .door = STR("server"),
                                       .action = STR("account added"),
                                       .object = STR("admin"),
                                       .detail = STR("the first administrator"),
                                       .times = 1 };
    int64_t id;
    enum st st = accounts_add(tx, &admin, &id, err);
    if (st == ST_OK)
        st = trail_add(tx, &entry, err);
    c->made_admin = st == ST_OK;
    return st;
}

struct state {
    bool has_accounts;
    bool has_keys;
};

static enum st read_state(struct db_tx *tx, void *ctx, struct err *err)
{
    AUTO(arena_release) struct arena scratch = { .limit_bytes = 16 * MIB };
    struct state *s = ctx;
    struct signing_key *keys;
    size_t key_count = 0;
    uint64_t accounts = 0;
    enum st st = accounts_count(tx, &accounts, err);
    if (st == ST_OK)
        st = signing_keys_list(tx, &scratch, &keys, &key_count, err);
    s->has_accounts = accounts > 0;
    s->has_keys = key_count > 0;
    return st;
}

/* Looks again: two nodes may start on the same fresh database. */
static enum st write_first(struct db_tx *tx, void *ctx, struct err *err)
{
    struct first_call *c = ctx;
    struct state s;
    c->made_admin = false;
    enum st st = read_state(tx, &s, err);
    if (st == ST_OK && !s.has_keys)
        st = signing_keys_add(tx, &c->key, err);
    if (st == ST_OK && c->want_admin && !s.has_accounts)
        st = add_admin(tx, c, err);
    return st;
}

static enum st make_first(struct auth *a, const struct auth_options *o, bool want_admin,
                          char made[static AUTH_PASSWORD_MAX + 1], struct err *err)
{
    AUTO(arena_release) struct arena arena = { 0 };
    char password[SECRET_PASSWORD_LEN + 1];
    struct first_call c = { .registry = a->registry,
                            .want_admin = want_admin,
                            .now = registry_now(a->registry) };
    enum st st = keys_make(c.now, &arena, &c.key, err);
    secret_password(password);
    if (st == ST_OK && want_admin) {
        str text = str_of(o->admin_password == NULL ? password : o->admin_password);
        st = auth_hash_password(text, &arena, &c.hash, err);
        if (st != ST_OK)
            return err_wrap(err, "the password of the administrator admin");
    }
    if (st == ST_OK)
        st = registry_write(a->registry, write_first, &c, err);
    if (st == ST_OK && c.made_admin && o->admin_password == NULL)
        (void)str_copy(str_of(password), made, AUTH_PASSWORD_MAX + 1);
    return st;
}

static enum st open_rows(struct auth *a, const struct auth_options *o,
                         char made[static AUTH_PASSWORD_MAX + 1], struct err *err)
{
    struct state s = { 0 };
    enum st st = db_read(a->registry->db, read_state, &s, err);
    bool want_admin = o->mode == AUTH_ACCOUNTS && !s.has_accounts;
    if (st == ST_OK && (want_admin || !s.has_keys))
        st = make_first(a, o, want_admin, made, err);
    return st == ST_OK ? engine_load_keys(a, err) : st;
}

enum st auth_open(struct registry *r, const struct auth_options *options, struct auth **out,
                  char made[static AUTH_PASSWORD_MAX + 1], struct err *err)
{
    char text[AUTH_PASSWORD_MAX + 1] = "";
    struct auth *a = mem_new(sizeof(*a));
    if (a == NULL)
        return err_no_memory(err);
    a->registry = r;
    atomic_init(&a->yes.refs, 1);
    a->yes.free = keep_yes;
    atomic_init(&a->epoch, 1);
    atomic_init(&a->checked_at, INT64_MIN / 2);
    a->keys_loaded_at = INT64_MIN / 2;
    secret_random(a->secret, sizeof(a->secret));
    lock_init(&a->keys_lock, LOCK_AUTH_KEYS);
    lock_init(&a->load_lock, LOCK_AUTH_LOAD);
    lock_init(&a->tick_lock, LOCK_AUTH_TICK);
    enum st st = copy_options(a, options, err);
    if (st == ST_OK)
        st = make_parts(a, err);
    if (st == ST_OK)
        st = open_rows(a, options, text, err);
    if (st != ST_OK) {
        auth_close(a);
        return st;
    }
    memcpy(made, text, sizeof(text));
    *out = a;
    return ST_OK;
}

void auth_close(struct auth *a)
{
    struct err err;
    if (a == NULL)
        return;
    if (a->notes != NULL &&
        notes_flush(a->notes, a->registry, registry_now(a->registry), true, &err) != ST_OK)
        log_failure("the rest of the audit log cannot be written", &err);
    cache_free(a->worlds);
    cache_free(a->subjects);
    cache_free(a->tokens);
    cache_free(a->jwts);
    cache_free(a->passed);
    if (a->keys != NULL)
        counted_drop(&a->keys->counted);
    htpasswd_close(a->htpasswd);
    notes_free(a->notes);
    throttle_free(a->throttle);
    password_engine_free(a->passwords);
    lock_release(&a->keys_lock);
    lock_release(&a->load_lock);
    lock_release(&a->tick_lock);
    mem_free((void *)(uintptr_t)a->options.service);
    mem_free((void *)(uintptr_t)a->options.htpasswd);
    mem_free(a);
}

enum auth_mode auth_mode(const struct auth *a)
{
    return a->options.mode;
}

const struct auth_options *auth_options(const struct auth *a)
{
    return &a->options;
}

/* ---- changing rights ------------------------------------------------------------------------- */

struct write_call {
    struct registry *registry;
    db_fn fn;
    void *ctx;
    const struct trail_entry *entry;
    char version[RNG_ID_LEN + 1];
};

static enum st run_write(struct db_tx *tx, void *ctx, struct err *err)
{
    const struct write_call *c = ctx;
    enum st st = c->fn(tx, c->ctx, err);
    if (st == ST_OK && c->entry != NULL) {
        struct trail_entry entry = *c->entry;
        entry.at = registry_now(c->registry);
        entry.times = MAX(entry.times, (uint64_t)1);
        st = trail_add(tx, &entry, err);
    }
    return st == ST_OK ? settings_set(tx, AUTH_VERSION, str_of(c->version), err) : st;
}

enum st auth_write(struct auth *a, db_fn fn, void *ctx, const struct trail_entry *entry,
                   struct err *err)
{
    struct write_call c = { .registry = a->registry, .fn = fn, .ctx = ctx, .entry = entry };
    rng_id(c.version);
    enum st st = registry_write(a->registry, run_write, &c, err);
    engine_forget(a); /* whatever came of it: a failed commit may have been one all the same */
    return st;
}

enum st auth_hash_password(str password, struct arena *arena, str *out, struct err *err)
{
    char hash[PASSWORD_HASH_MAX];
    enum st st = password_make(password, hash, err);
    if (st != ST_OK)
        return st;
    str copy = arena_dup(arena, str_of(hash));
    if (copy.ptr == NULL)
        return err_no_memory(err);
    *out = copy;
    return ST_OK;
}

void auth_make_token(char text[static TOKEN_TEXT_MAX], uint8_t hash[static TOKEN_HASH_BYTES])
{
    static_assert(TOKEN_TEXT_MAX > SECRET_TOKEN_LEN && TOKEN_HASH_BYTES == HASH256_BYTES, "");
    secret_token(text);
    secret_hash(str_of(text), hash);
}

/* ---- the audit log --------------------------------------------------------------------------- */

void auth_note(struct auth *a, const struct trail_entry *entry)
{
    notes_add(a->notes, entry, registry_now(a->registry));
}

void engine_note(struct auth *a, const struct credentials *c, const char *action, str object,
                 const char *detail, int64_t now)
{
    const struct trail_entry entry = { .actor = STR("anonymous"),
                                       .peer = c->peer,
                                       .door = STR("server"),
                                       .action = str_of(action),
                                       .object = object,
                                       .detail = str_of(detail) };
    notes_add(a->notes, &entry, now);
}

/* ---- now and then ---------------------------------------------------------------------------- */

struct rotate_call {
    struct signing_key key;
};

static enum st add_key(struct db_tx *tx, void *ctx, struct err *err)
{
    return signing_keys_add(tx, &((struct rotate_call *)ctx)->key, err);
}

enum st auth_rotate_key(struct auth *a, int64_t now, struct err *err)
{
    AUTO(arena_release) struct arena arena = { 0 };
    struct rotate_call c;
    const struct trail_entry entry = { .actor = STR("server"),
                                       .peer = STR(""),
                                       .door = STR("server"),
                                       .action = STR("signing key added"),
                                       .object = STR("") };
    enum st st = keys_make(now, &arena, &c.key, err);
    if (st == ST_OK)
        st = auth_write(a, add_key, &c, &entry, err);
    return st == ST_OK ? engine_load_keys(a, err) : st;
}

static enum st drop_keys(struct db_tx *tx, void *ctx, struct err *err)
{
    return signing_keys_drop(tx, *(int64_t *)ctx, err);
}

static enum st look_after_keys(struct auth *a, int64_t now, struct err *err)
{
    struct key_set *keys = engine_keys(a);
    int64_t longest = MAX(a->options.token_ms, a->options.refresh_ms);
    int64_t before = keys_over(keys, now, longest);
    bool old = keys->count == 0 || now - keys->keys[0].created_at >= a->options.key_rotate_ms;
    enum st st = ST_OK;
    counted_drop(&keys->counted);
    if (before != 0) {
        st = registry_write(a->registry, drop_keys, &before, err);
        if (st == ST_OK)
            st = engine_load_keys(a, err);
    }
    return st == ST_OK && old ? auth_rotate_key(a, now, err) : st;
}

struct expire_call {
    int64_t now;
    int64_t keep_ms;
};

static enum st expire(struct db_tx *tx, void *ctx, struct err *err)
{
    const struct expire_call *c = ctx;
    enum st st = trail_expire(tx, c->now - c->keep_ms, EXPIRE_BATCH, err);
    return st == ST_OK ? tokens_expire(tx, c->now, TOKEN_KEEP_MS, EXPIRE_BATCH, err) : st;
}

static enum st expire_rows(struct auth *a, int64_t now, struct err *err)
{
    struct expire_call c = { .now = now, .keep_ms = a->options.trail_keep_ms };
    enum st st = ST_OK;
    if (now - a->expired_at < EXPIRE_EVERY_MS)
        return ST_OK;
    for (int i = 0; i < EXPIRE_ROUNDS && st == ST_OK; i++)
        st = registry_write(a->registry, expire, &c, err);
    if (st == ST_OK)
        a->expired_at = now;
    return st;
}

enum st auth_tick(struct auth *a, int64_t now, struct err *err)
{
    LOCK_SCOPE(&a->tick_lock);
    struct err later;
    enum st st = engine_freshen(a, now, err);
    enum st notes = notes_flush(a->notes, a->registry, now, false, st == ST_OK ? err : &later);
    st = st == ST_OK ? notes : st;
    enum st keys = look_after_keys(a, now, st == ST_OK ? err : &later);
    st = st == ST_OK ? keys : st;
    enum st rows = expire_rows(a, now, st == ST_OK ? err : &later);
    return st == ST_OK ? rows : st;
}
