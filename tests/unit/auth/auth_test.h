/* SPDX-License-Identifier: Apache-2.0
 *
 * auth_test - an engine of rights over a registry of rows in memory, and changes of rights in one
 * line each.
 */
#ifndef EBB_AUTH_TEST_H
#define EBB_AUTH_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "auth/auth.h"
#include "base/clock.h"
#include "meta/schema.h"

#define ADMIN_PASSWORD "the first of all"
#define PEER           "192.0.2.7"
#define TOKEN_MS       (15 * CLOCK_MINUTE_MS)
#define REFRESH_MS     (30 * CLOCK_DAY_MS)
#define ROTATE_MS      (10 * CLOCK_DAY_MS)

struct fixture {
    struct registry r;
    struct auth *a;
    struct arena arena;
    int64_t now;
    struct auth_refusal refusal;
    char made[AUTH_PASSWORD_MAX + 1];
    struct err err;
};

static inline void expect_st(struct fixture *f, enum st want, enum st got, const char *call,
                             const char *file, int line)
{
    if (want == got)
        return;
    print_error("%s\n  gave \"%s\" (%s), not \"%s\"\n", call, st_text(got),
                got == ST_OK ? "" : f->err.text, want == ST_OK ? "ok" : st_text(want));
    _fail(file, line);
}
/* The call on the fixture `f` gives this status. */
#define IS(status, call) expect_st(f, status, call, #call, __FILE__, __LINE__)
#define OK(call)         IS(ST_OK, call)

static inline struct auth_options test_options(void)
{
    return (struct auth_options){ .mode = AUTH_ACCOUNTS,
                                  .service = "ebb.test",
                                  .token_ms = TOKEN_MS,
                                  .refresh_ms = REFRESH_MS,
                                  .key_rotate_ms = ROTATE_MS,
                                  .trail_keep_ms = 365 * CLOCK_DAY_MS,
                                  .admin_password = ADMIN_PASSWORD };
}

static inline void open_rows(struct fixture *f)
{
    const struct db_options options = { .path = "", .no_sync = true, .readers_max = 4 };
    *f = (struct fixture){ .arena = { .limit_bytes = 64 * MIB } };
    OK(db_open(&options, schema_migrations, schema_migration_count, &f->r.db, &f->err));
    f->now = registry_now(&f->r);
}

static inline int setup_rows(void **state)
{
    static struct fixture fixture;
    open_rows(&fixture);
    *state = &fixture;
    return 0;
}

static inline int setup(void **state)
{
    (void)setup_rows(state);
    struct fixture *f = *state;
    struct auth_options options = test_options();
    OK(auth_open(&f->r, &options, &f->a, f->made, &f->err));
    assert_string_equal("", f->made);
    return 0;
}

static inline int teardown(void **state)
{
    struct fixture *f = *state;
    auth_close(f->a);
    db_close(f->r.db);
    arena_release(&f->arena);
    return 0;
}
#define AUTH_TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
#define ROWS_TEST(fn) cmocka_unit_test_setup_teardown(fn, setup_rows, teardown)

/* ---- changes --------------------------------------------------------------------------------- */

/* One change of rights; `id` comes out. */
struct change {
    enum {
        ADD_ACCOUNT,
        CHANGE_ACCOUNT,
        REMOVE_ACCOUNT,
        SET_MEMBER,
        REMOVE_MEMBER,
        SET_VISIBLE,
        ADD_TOKEN,
        REMOVE_TOKEN,
    } kind;
    struct account account;
    struct account_change change;
    struct member member;
    struct access_token token;
    const uint8_t *hash;
    int64_t id;
};

static inline enum st apply_change(struct db_tx *tx, void *ctx, struct err *err)
{
    struct change *c = ctx;
    switch (c->kind) {
    case ADD_ACCOUNT:
        return accounts_add(tx, &c->account, &c->id, err);
    case CHANGE_ACCOUNT:
        return accounts_change(tx, c->account.name, &c->change, err);
    case REMOVE_ACCOUNT:
        return accounts_remove(tx, c->account.name, err);
    case SET_MEMBER:
        return members_set(tx, &c->member, err);
    case REMOVE_MEMBER:
        return members_remove(tx, c->member.prefix, c->member.account, err);
    case SET_VISIBLE:
        return visibility_set(tx, c->member.prefix, true, err);
    case ADD_TOKEN:
        return tokens_add(tx, &c->token, c->hash, &c->id, err);
    case REMOVE_TOKEN:
        return tokens_remove(tx, c->id, err);
    }
    return err_set(err, ST_BUG, "no such change");
}

static inline void change(struct fixture *f, struct change *c)
{
    const struct trail_entry entry = { .actor = STR("admin"),
                                       .peer = STR(PEER),
                                       .door = STR("ebb"),
                                       .action = STR("changed"),
                                       .object = STR("something") };
    OK(auth_write(f->a, apply_change, c, &entry, &f->err));
}

static inline void add_account(struct fixture *f, const char *name, const char *password)
{
    struct change c = { .kind = ADD_ACCOUNT,
                        .account = { .name = str_of(name), .created_at = f->now } };
    if (password == NULL)
        c.account.kind = ACCOUNT_ROBOT;
    else
        OK(auth_hash_password(str_of(password), &f->arena, &c.account.hash, &f->err));
    change(f, &c);
}

static inline void set_password(struct fixture *f, const char *name, const char *password)
{
    struct change c = { .kind = CHANGE_ACCOUNT,
                        .account.name = str_of(name),
                        .change.set_hash = true };
    OK(auth_hash_password(str_of(password), &f->arena, &c.change.hash, &f->err));
    change(f, &c);
}

static inline void set_disabled(struct fixture *f, const char *name, bool disabled)
{
    change(f, &(struct change){ .kind = CHANGE_ACCOUNT,
                                .account.name = str_of(name),
                                .change = { .set_disabled = true, .disabled = disabled } });
}

static inline void remove_account(struct fixture *f, const char *name)
{
    change(f, &(struct change){ .kind = REMOVE_ACCOUNT, .account.name = str_of(name) });
}

static inline void set_role(struct fixture *f, const char *name, const char *prefix, enum role role)
{
    change(f, &(struct change){ .kind = role == ROLE_NONE ? REMOVE_MEMBER : SET_MEMBER,
                                .member = { .prefix = str_of(prefix),
                                            .account = str_of(name),
                                            .role = role,
                                            .created_at = f->now,
                                            .created_by = STR("admin") } });
}

static inline void set_public(struct fixture *f, const char *prefix)
{
    change(f, &(struct change){ .kind = SET_VISIBLE, .member.prefix = str_of(prefix) });
}

struct token {
    int64_t id;
    char text[TOKEN_TEXT_MAX];
};

static inline enum st find_account(struct db_tx *tx, void *ctx, struct err *err)
{
    AUTO(arena_release) struct arena arena = { 0 };
    struct access_token *t = ctx;
    struct account account;
    enum st st = accounts_find(tx, t->account, &arena, &account, err);
    if (st == ST_OK)
        t->account_id = account.id;
    return st;
}

/* `name` NULL: a deploy token. */
static inline struct token add_token(struct fixture *f, const char *name, const char *prefix,
                                     unsigned scopes, int64_t expires_at)
{
    struct token t;
    uint8_t hash[TOKEN_HASH_BYTES];
    struct change c = { .kind = ADD_TOKEN,
                        .hash = hash,
                        .token = { .account = str_of(name),
                                   .name = STR("for a test"),
                                   .prefix = str_of(prefix),
                                   .scopes = scopes,
                                   .created_at = f->now,
                                   .expires_at = expires_at,
                                   .created_by = STR("admin") } };
    auth_make_token(t.text, hash);
    if (name != NULL)
        OK(db_read(f->r.db, find_account, &c.token, &f->err));
    change(f, &c);
    t.id = c.id;
    return t;
}

static inline void remove_token(struct fixture *f, int64_t id)
{
    change(f, &(struct change){ .kind = REMOVE_TOKEN, .id = id });
}

/* ---- asking ---------------------------------------------------------------------------------- */

static inline struct credentials basic(const char *user, const char *secret)
{
    return (struct credentials){ CREDENTIAL_BASIC, str_of(user), str_of(secret), STR(PEER) };
}

static inline struct credentials bearer(str secret)
{
    return (struct credentials){ CREDENTIAL_BEARER, STR_NONE, secret, STR(PEER) };
}

static inline enum st identify(struct fixture *f, struct credentials c, struct identity *out)
{
    return auth_identify(f->a, &c, f->now, &f->arena, out, &f->refusal, &f->err);
}

static inline enum st identify_fast(struct fixture *f, struct credentials c, struct identity *out)
{
    return auth_identify_fast(f->a, &c, f->now, &f->arena, out, &f->err);
}

/* Fast and slow give the same, and fast once slow has: the rights on `path`. */
static inline unsigned rights(struct fixture *f, struct credentials c, const char *path)
{
    struct identity slow = { 0 };
    struct identity fast = { 0 };
    OK(identify(f, c, &slow));
    OK(identify_fast(f, c, &fast));
    unsigned got = identity_rights(&slow, str_of(path));
    assert_int_equal(got, identity_rights(&fast, str_of(path)));
    assert_int_equal(identity_is_admin(&slow), identity_is_admin(&fast));
    assert_true(str_eq(slow.name, fast.name));
    identity_release(&slow);
    identity_release(&fast);
    return got;
}

/* Neither way lets them in. */
static inline void refused(struct fixture *f, struct credentials c, const char *file, int line)
{
    struct identity id = { 0 };
    enum st fast = identify_fast(f, c, &id);
    enum st slow = identify(f, c, &id);
    if ((fast != ST_BUSY && fast != ST_DENIED) || slow != ST_DENIED) {
        print_error("%s, then %s\n", st_text(fast), st_text(slow));
        _fail(file, line);
    }
}
#define REFUSED(c) refused(f, c, __FILE__, __LINE__)

#define MAINTAINS (RIGHT_PULL | RIGHT_PUSH | RIGHT_DELETE | RIGHT_RULES)
#define DEVELOPS  (RIGHT_PULL | RIGHT_PUSH)

/* A token of the service for who these are, with the scope; in the fixture's arena. */
static inline str issue(struct fixture *f, struct credentials c, enum jwt_use use,
                        const char *scope)
{
    struct identity id = { 0 };
    struct claims claims = { .count = 0 };
    struct jwt_issued issued = { 0 };
    OK(identify(f, c, &id));
    OK(scope_add(&claims, str_of(scope), &f->arena, &f->err));
    const struct jwt_order order = {
        .use = use, .who = &id, .claims = claims.items, .claim_count = claims.count
    };
    OK(auth_issue(f->a, &order, &f->arena, &issued, &f->err));
    identity_release(&id);
    return issued.text;
}

#endif
