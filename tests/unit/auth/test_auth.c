/* SPDX-License-Identifier: Apache-2.0
 *
 * Who somebody is and what they may do: every kind of credentials, and that a right that was taken
 * away is gone at once.
 */
#include "auth_test.h"

#include "auth/auth_int.h"

#define PASSWORD "correct horse"

/* ---- the first start ------------------------------------------------------------------------- */

static void a_fresh_registry_gets_its_administrator(void **state)
{
    struct fixture *f = *state;
    struct identity id = { 0 };
    OK(identify(f, basic("admin", ADMIN_PASSWORD), &id));
    assert_true(identity_is_admin(&id));
    assert_true(str_eq(id.name, STR("admin")));
    assert_int_equal(IDENTITY_ACCOUNT, id.kind);
    assert_int_equal(RIGHTS_ALL, identity_rights(&id, STR("any/thing")));
    assert_int_equal(ROLE_ADMINISTRATOR, identity_role(&id, STR("any/thing")));
    identity_release(&id);
}

static void a_password_is_made_when_there_is_none(void **state)
{
    struct fixture *f = *state;
    struct auth_options options = test_options();
    char again[AUTH_PASSWORD_MAX + 1] = "untouched";
    options.admin_password = NULL;
    OK(auth_open(&f->r, &options, &f->a, f->made, &f->err));
    assert_int_equal(24, strlen(f->made));
    assert_int_equal(RIGHTS_ALL, rights(f, basic("admin", f->made), "x"));
    auth_close(f->a);
    OK(auth_open(&f->r, &options, &f->a, again, &f->err));
    assert_string_equal("", again);
    assert_int_equal(RIGHTS_ALL, rights(f, basic("admin", f->made), "x"));
}

static void a_short_password_of_the_environment_is_refused(void **state)
{
    struct fixture *f = *state;
    struct auth_options options = test_options();
    options.admin_password = "short";
    IS(ST_INVALID, auth_open(&f->r, &options, &f->a, f->made, &f->err));
    assert_null(strstr(f->err.text, "short"));
}

static void open_means_everybody(void **state)
{
    struct fixture *f = *state;
    struct auth_options options = test_options();
    options.mode = AUTH_OPEN;
    OK(auth_open(&f->r, &options, &f->a, f->made, &f->err));
    assert_int_equal(RIGHTS_ALL, rights(f, basic("admin", "no such password"), "x"));
    assert_int_equal(RIGHTS_ALL, rights(f, bearer(STR("nonsense")), "x"));
    str text = issue(f, (struct credentials){ 0 }, JWT_REFRESH, "");
    struct identity id = { 0 };
    OK(auth_redeem(f->a, text, JWT_REFRESH, f->now, &f->arena, &id, &f->err));
    assert_true(identity_is_admin(&id));
    assert_true(str_eq(id.name, STR("anonymous")));
    identity_release(&id);
    OK(auth_tick(f->a, f->now, &f->err));
}

/* ---- passwords ------------------------------------------------------------------------------- */

static void roles_count_below_their_prefix(void **state)
{
    struct fixture *f = *state;
    struct credentials ann = basic("ann", PASSWORD);
    add_account(f, "ann", PASSWORD);
    assert_int_equal(0, rights(f, ann, "group/app"));
    set_role(f, "ann", "group", ROLE_DEVELOPER);
    assert_int_equal(DEVELOPS, rights(f, ann, "group/app"));
    assert_int_equal(0, rights(f, ann, "group2"));
    set_role(f, "ann", "group/app", ROLE_MAINTAINER);
    assert_int_equal(MAINTAINS, rights(f, ann, "group/app"));
    set_role(f, "ann", "group/app", ROLE_NONE);
    assert_int_equal(DEVELOPS, rights(f, ann, "group/app"));
    set_role(f, "ann", "group", ROLE_NONE);
    assert_int_equal(0, rights(f, ann, "group/app"));
}

static void a_remembered_password_runs_no_hash(void **state)
{
    struct fixture *f = *state;
    struct credentials admin = basic("admin", ADMIN_PASSWORD);
    struct identity id = { 0 };
    IS(ST_BUSY, identify_fast(f, admin, &id));
    assert_int_equal(RIGHTS_ALL, rights(f, admin, "x"));
    uint64_t before = password_count(f->a->passwords);
    for (int i = 0; i < 10; i++)
        assert_int_equal(RIGHTS_ALL, rights(f, admin, "x"));
    assert_int_equal(before, password_count(f->a->passwords));
    f->now += REMEMBER_MS;
    assert_int_equal(RIGHTS_ALL, rights(f, admin, "x"));
    assert_int_equal(before + 1, password_count(f->a->passwords));
}

static void every_wrong_log_in_runs_one_hash(void **state)
{
    struct fixture *f = *state;
    add_account(f, "robot", NULL);
    add_account(f, "gone", PASSWORD);
    add_account(f, "off", PASSWORD);
    remove_account(f, "gone");
    set_disabled(f, "off", true);
    const struct credentials wrong[] = { basic("admin", "not the password"),
                                         basic("nobody", PASSWORD),
                                         basic("robot", PASSWORD),
                                         basic("gone", PASSWORD),
                                         basic("off", PASSWORD),
                                         basic("NOT A NAME", PASSWORD),
                                         basic("", PASSWORD),
                                         basic("admin", "") };
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        char peer[16];
        struct credentials c = wrong[i];
        (void)snprintf(peer, sizeof(peer), "198.51.100.%zu", i);
        c.peer = str_of(peer);
        uint64_t before = password_count(f->a->passwords);
        REFUSED(c);
        assert_int_equal(before + 1, password_count(f->a->passwords));
        assert_string_equal("the name or the password is wrong", f->err.text);
    }
}

static void another_password_ends_the_old_one(void **state)
{
    struct fixture *f = *state;
    add_account(f, "ann", PASSWORD);
    set_role(f, "ann", "group", ROLE_GUEST);
    str refresh = issue(f, basic("ann", PASSWORD), JWT_REFRESH, "");
    struct identity id = { 0 };
    OK(auth_redeem(f->a, refresh, JWT_REFRESH, f->now, &f->arena, &id, &f->err));
    identity_release(&id);
    set_password(f, "ann", "another one");
    REFUSED(basic("ann", PASSWORD));
    assert_int_equal(RIGHT_PULL, rights(f, basic("ann", "another one"), "group"));
    IS(ST_DENIED, auth_redeem(f->a, refresh, JWT_REFRESH, f->now, &f->arena, &id, &f->err));
}

/* An address that was let in by what is remembered is one that the account logged in from. */
static void another_address_is_trusted_as_well(void **state)
{
    struct fixture *f = *state;
    struct identity id = { 0 };
    add_account(f, "ann", PASSWORD);
    struct credentials ann = basic("ann", PASSWORD);
    OK(identify(f, ann, &id));
    identity_release(&id);
    ann.peer = STR("198.51.100.200");
    OK(identify_fast(f, ann, &id));
    identity_release(&id);
    for (size_t i = 0; i < 10; i++) {
        char peer[16];
        struct credentials guess = basic("ann", "not the password");
        (void)snprintf(peer, sizeof(peer), "198.51.100.%zu", i);
        guess.peer = str_of(peer);
        assert_int_not_equal(ST_OK, identify(f, guess, &id));
    }
    ann.peer = STR("198.51.100.201");
    IS(ST_BUSY, identify(f, ann, &id));
    assert_true(f->refusal.slowed);
    ann.peer = STR("198.51.100.200");
    OK(identify(f, ann, &id));
    identity_release(&id);
}

static void passwords_have_limits(void **state)
{
    struct fixture *f = *state;
    char longest[AUTH_PASSWORD_MAX + 2];
    str hash = STR_NONE;
    memset(longest, 'x', sizeof(longest));
    IS(ST_INVALID, auth_hash_password(STR("1234567"), &f->arena, &hash, &f->err));
    IS(ST_INVALID,
       auth_hash_password((str){ longest, AUTH_PASSWORD_MAX + 1 }, &f->arena, &hash, &f->err));
    IS(ST_INVALID, auth_hash_password((str){ "1234\0efgh", 9 }, &f->arena, &hash, &f->err));
    assert_null(hash.ptr);
    OK(auth_hash_password((str){ longest, AUTH_PASSWORD_MAX }, &f->arena, &hash, &f->err));
    assert_true(str_starts(hash, STR("$y$")));
    struct credentials c = basic("admin", "");
    c.secret = (str){ longest, AUTH_PASSWORD_MAX + 1 };
    REFUSED(c);
}

/* ---- slowing --------------------------------------------------------------------------------- */

static enum st try_as(struct fixture *f, const char *peer, const char *user, const char *password)
{
    struct identity id = { 0 };
    struct credentials c = basic(user, password);
    c.peer = str_of(peer);
    enum st st = identify(f, c, &id);
    identity_release(&id);
    return st;
}

static void guessing_is_slowed(void **state)
{
    struct fixture *f = *state;
    add_account(f, "ann", PASSWORD);
    OK(try_as(f, "203.0.113.1", "ann", PASSWORD));
    for (int i = 0; i < 5; i++)
        IS(ST_DENIED, try_as(f, PEER, "ann", "guess"));
    IS(ST_BUSY, try_as(f, PEER, "ann", "guess"));
    assert_true(f->refusal.slowed);
    assert_int_equal(1, f->refusal.retry_after_s);
    uint64_t before = password_count(f->a->passwords);
    /* Not looked at, right or wrong; for other names, and from elsewhere, neither. */
    IS(ST_BUSY, try_as(f, PEER, "ann", PASSWORD "x"));
    IS(ST_BUSY, try_as(f, PEER, "nobody", "guess"));
    IS(ST_BUSY, try_as(f, "203.0.113.9", "ann", "guess"));
    assert_int_equal(before, password_count(f->a->passwords));
    /* Who logged in from there before is not slowed by others. */
    f->now += REMEMBER_MS / 10;
    OK(try_as(f, "203.0.113.1", "ann", PASSWORD));
    f->now += 1000;
    OK(try_as(f, PEER, "ann", PASSWORD));
    assert_false(f->refusal.slowed);
}

static void what_is_remembered_is_slowed_as_well(void **state)
{
    struct fixture *f = *state;
    add_account(f, "ann", PASSWORD);
    for (int i = 0; i < 5; i++)
        IS(ST_DENIED, try_as(f, PEER, "ann", "guess"));
    IS(ST_BUSY, try_as(f, PEER, "ann", "guess"));
    IS(ST_BUSY, try_as(f, PEER, "ann", PASSWORD));
    IS(ST_BUSY, try_as(f, PEER, "admin", ADMIN_PASSWORD));
    f->now += 1000;
    OK(try_as(f, PEER, "ann", PASSWORD));
    for (int i = 0; i < 5; i++)
        IS(ST_DENIED, try_as(f, PEER, "ann", "guess"));
    IS(ST_BUSY, try_as(f, PEER, "ann", "guess"));
    /* Otherwise a guesser would find the password of who is at work, by its being answered. */
    IS(ST_BUSY, try_as(f, PEER, "ann", PASSWORD));
    f->now += 60 * 1000;
    OK(try_as(f, PEER, "ann", PASSWORD));
}

/* ---- tokens ---------------------------------------------------------------------------------- */

static void a_personal_token_is_its_account_and_less(void **state)
{
    struct fixture *f = *state;
    add_account(f, "ann", PASSWORD);
    set_role(f, "ann", "group", ROLE_OWNER);
    struct token all = add_token(f, "ann", "", SCOPE_ADMIN, 0);
    struct token pull = add_token(f, "ann", "group/app", SCOPE_PULL, 0);
    struct token root = add_token(f, "admin", "", SCOPE_PUSH, 0);
    /* By any header, whatever the name. */
    struct credentials header = { CREDENTIAL_TOKEN, STR_NONE, str_of(all.text), STR(PEER) };
    assert_int_equal(MAINTAINS | RIGHT_MEMBERS | RIGHT_NOW, rights(f, header, "group/app"));
    assert_int_equal(MAINTAINS | RIGHT_MEMBERS | RIGHT_NOW,
                     rights(f, basic("whoever", all.text), "group"));
    assert_int_equal(RIGHT_PULL, rights(f, bearer(str_of(pull.text)), "group/app/x"));
    assert_int_equal(0, rights(f, bearer(str_of(pull.text)), "group"));
    assert_int_equal(DEVELOPS, rights(f, bearer(str_of(root.text)), "any"));
    struct identity id = { 0 };
    OK(identify(f, bearer(str_of(root.text)), &id));
    assert_false(identity_is_admin(&id));
    assert_true(str_eq(id.name, STR("admin")));
    assert_int_equal(root.id, id.token_id);
    identity_release(&id);
    set_role(f, "ann", "group", ROLE_NONE);
    assert_int_equal(0, rights(f, header, "group/app"));
    remove_token(f, all.id);
    REFUSED(header);
}

static void a_deploy_token_is_itself(void **state)
{
    struct fixture *f = *state;
    char name[64];
    struct token t = add_token(f, NULL, "group", SCOPE_PUSH, 0);
    (void)snprintf(name, sizeof(name), "deploy-token-%lld", (long long)t.id);
    struct credentials c = basic("ci", t.text);
    assert_int_equal(DEVELOPS, rights(f, c, "group/app"));
    assert_int_equal(0, rights(f, c, "other"));
    struct identity id = { 0 };
    OK(identify(f, c, &id));
    assert_int_equal(IDENTITY_DEPLOY, id.kind);
    assert_true(str_eq(id.name, str_of(name)));
    assert_int_equal(ROLE_DEVELOPER, identity_role(&id, STR("group/app")));
    identity_release(&id);
    str jwt =
        issue(f, c, JWT_ACCESS, "repository:group/app:pull,push,delete repository:other:pull");
    assert_int_equal(DEVELOPS, rights(f, bearer(jwt), "group/app"));
    assert_int_equal(0, rights(f, bearer(jwt), "other"));
    remove_token(f, t.id);
    REFUSED(bearer(jwt));
    REFUSED(c);
}

static void tokens_end(void **state)
{
    struct fixture *f = *state;
    struct token t = add_token(f, "admin", "", SCOPE_PULL, f->now + 5000);
    struct credentials c = bearer(str_of(t.text));
    assert_int_equal(RIGHT_PULL, rights(f, c, "x"));
    str jwt = issue(f, c, JWT_ACCESS, "repository:x:pull");
    assert_int_equal(RIGHT_PULL, rights(f, bearer(jwt), "x"));
    f->now += 4999;
    assert_int_equal(RIGHT_PULL, rights(f, c, "x"));
    f->now += 1;
    REFUSED(c);
    REFUSED(bearer(jwt));
}

static void a_token_of_nobody_is_refused(void **state)
{
    struct fixture *f = *state;
    char text[TOKEN_TEXT_MAX];
    uint8_t hash[TOKEN_HASH_BYTES];
    auth_make_token(text, hash);
    assert_int_equal(44, strlen(text));
    REFUSED(bearer(str_of(text)));
    REFUSED(basic("admin", text));
    REFUSED(bearer(STR("ebb_")));
    REFUSED(((struct credentials){ CREDENTIAL_TOKEN, STR_NONE, STR("glpat-x"), STR(PEER) }));
    /* Nobody is slowed by it. */
    for (int i = 0; i < 20; i++)
        REFUSED(basic("admin", text));
    assert_int_equal(RIGHTS_ALL, rights(f, basic("admin", ADMIN_PASSWORD), "x"));
}

/* ---- what was taken away --------------------------------------------------------------------- */

static void a_disabled_account_is_out_at_once(void **state)
{
    struct fixture *f = *state;
    add_account(f, "ann", PASSWORD);
    set_role(f, "ann", "group", ROLE_OWNER);
    struct token t = add_token(f, "ann", "", SCOPE_ADMIN, 0);
    struct credentials by_password = basic("ann", PASSWORD);
    struct credentials by_token = bearer(str_of(t.text));
    struct credentials by_jwt =
        bearer(issue(f, by_password, JWT_ACCESS, "repository:group/app:pull,push"));
    struct credentials by_jwt_of_token =
        bearer(issue(f, by_token, JWT_ACCESS, "repository:group/app:pull,push"));
    assert_int_not_equal(0, rights(f, by_password, "group"));
    assert_int_not_equal(0, rights(f, by_token, "group"));
    assert_int_equal(DEVELOPS, rights(f, by_jwt, "group/app"));
    assert_int_equal(DEVELOPS, rights(f, by_jwt_of_token, "group/app"));
    set_disabled(f, "ann", true);
    REFUSED(by_password);
    REFUSED(by_token);
    REFUSED(by_jwt);
    REFUSED(by_jwt_of_token);
    set_disabled(f, "ann", false);
    assert_int_not_equal(0, rights(f, by_password, "group"));
    assert_int_not_equal(0, rights(f, by_token, "group"));
    REFUSED(by_jwt); /* another generation */
    remove_account(f, "ann");
    REFUSED(by_password);
    REFUSED(by_token);
}

static void a_removed_role_is_gone_at_once(void **state)
{
    struct fixture *f = *state;
    add_account(f, "ann", PASSWORD);
    set_role(f, "ann", "group", ROLE_DEVELOPER);
    struct credentials by_jwt =
        bearer(issue(f, basic("ann", PASSWORD), JWT_ACCESS, "repository:group/app:pull,push"));
    assert_int_equal(DEVELOPS, rights(f, by_jwt, "group/app"));
    set_role(f, "ann", "group", ROLE_GUEST);
    assert_int_equal(RIGHT_PULL, rights(f, by_jwt, "group/app"));
    set_role(f, "ann", "group", ROLE_OWNER);
    assert_int_equal(DEVELOPS, rights(f, by_jwt, "group/app"));
    set_role(f, "ann", "group", ROLE_NONE);
    assert_int_equal(0, rights(f, by_jwt, "group/app"));
}

/* As another node would: past this engine. */
static void what_other_nodes_change_is_seen(void **state)
{
    struct fixture *f = *state;
    struct auth_options options = test_options();
    struct auth *other;
    struct auth *mine = f->a;
    add_account(f, "ann", PASSWORD);
    struct credentials ann = basic("ann", PASSWORD);
    assert_int_equal(0, rights(f, ann, "group"));
    OK(auth_open(&f->r, &options, &other, f->made, &f->err));
    f->a = other;
    set_role(f, "ann", "group", ROLE_DEVELOPER);
    OK(auth_rotate_key(other, f->now, &f->err));
    struct credentials by_jwt = bearer(issue(f, ann, JWT_ACCESS, "repository:group:pull"));
    f->a = mine;
    f->now += CHECK_MS;
    assert_int_equal(DEVELOPS, rights(f, ann, "group"));
    assert_int_equal(RIGHT_PULL, rights(f, by_jwt, "group"));
    /* What is remembered is not relied on for long without a look. */
    struct identity id = { 0 };
    f->now += STALE_MS - 1;
    OK(identify_fast(f, ann, &id));
    identity_release(&id);
    f->now += 1;
    IS(ST_BUSY, identify_fast(f, ann, &id));
    OK(auth_tick(f->a, f->now, &f->err));
    OK(identify_fast(f, ann, &id));
    identity_release(&id);
    auth_close(other);
}

/* ---- nobody ---------------------------------------------------------------------------------- */

static void nobody_may_pull_what_is_public(void **state)
{
    struct fixture *f = *state;
    struct credentials none = { 0 };
    struct identity id = { 0 };
    assert_int_equal(0, rights(f, none, "open/app"));
    set_public(f, "open");
    assert_int_equal(RIGHT_PULL, rights(f, none, "open/app"));
    assert_int_equal(0, rights(f, none, "other"));
    OK(identify(f, none, &id));
    assert_int_equal(IDENTITY_ANONYMOUS, id.kind);
    assert_true(str_eq(id.name, STR("anonymous")));
    identity_release(&id);
    str jwt = issue(f, none, JWT_ACCESS, "repository:open/app:pull,push repository:other:pull");
    assert_int_equal(RIGHT_PULL, rights(f, bearer(jwt), "open/app"));
    assert_int_equal(0, rights(f, bearer(jwt), "other"));
    assert_int_equal(0, rights(f, bearer(jwt), "open"));
    add_account(f, "ann", PASSWORD);
    assert_int_equal(RIGHT_PULL, rights(f, basic("ann", PASSWORD), "open/app"));
}

/* ---- last uses and the audit log ------------------------------------------------------------- */

static enum st read_account(struct db_tx *tx, void *ctx, struct err *err)
{
    AUTO(arena_release) struct arena arena = { 0 };
    struct account account;
    enum st st = accounts_find(tx, STR("admin"), &arena, &account, err);
    if (st == ST_OK)
        *(int64_t *)ctx = account.used_at;
    return st;
}

static void last_uses_are_written(void **state)
{
    struct fixture *f = *state;
    int64_t used_at = -1;
    OK(auth_tick(f->a, f->now, &f->err));
    OK(db_read(f->r.db, read_account, &used_at, &f->err));
    assert_int_equal(0, used_at);
    (void)rights(f, basic("admin", ADMIN_PASSWORD), "x");
    OK(auth_tick(f->a, f->now, &f->err));
    OK(db_read(f->r.db, read_account, &used_at, &f->err));
    assert_in_range(used_at, f->now - CLOCK_HOUR_MS, f->now);
}

struct trail_call {
    struct fixture *f;
    str action;
    struct trail_entry *items;
    size_t count;
};

static enum st read_trail(struct db_tx *tx, void *ctx, struct err *err)
{
    struct trail_call *c = ctx;
    return trail_list(tx, STR_NONE, c->action, 0, 100, &c->f->arena, &c->items, &c->count, err);
}

static void failures_are_in_the_audit_log(void **state)
{
    struct fixture *f = *state;
    struct trail_call c = { .f = f, .action = STR("log-in failed") };
    for (int i = 0; i < 3; i++)
        REFUSED(basic("admin", "guess"));
    REFUSED(basic("Typed My Password", "guess"));
    OK(auth_tick(f->a, f->now, &f->err));
    OK(db_read(f->r.db, read_trail, &c, &f->err));
    assert_int_equal(2, c.count);
    assert_true(str_eq(c.items[1].object, STR("admin")));
    assert_true(str_eq(c.items[1].peer, STR(PEER)));
    assert_true(str_eq(c.items[1].actor, STR("anonymous")));
    assert_int_equal(3, c.items[1].times);
    assert_true(str_eq(c.items[0].object, STR("")));
    add_account(f, "ann", PASSWORD);
    c.action = STR("changed");
    OK(db_read(f->r.db, read_trail, &c, &f->err));
    assert_int_equal(1, c.count);
    assert_true(str_eq(c.items[0].actor, STR("admin")));
    assert_true(c.items[0].at >= f->now);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        AUTH_TEST(a_fresh_registry_gets_its_administrator),
        ROWS_TEST(a_password_is_made_when_there_is_none),
        ROWS_TEST(a_short_password_of_the_environment_is_refused),
        ROWS_TEST(open_means_everybody),
        AUTH_TEST(roles_count_below_their_prefix),
        AUTH_TEST(a_remembered_password_runs_no_hash),
        AUTH_TEST(every_wrong_log_in_runs_one_hash),
        AUTH_TEST(another_password_ends_the_old_one),
        AUTH_TEST(passwords_have_limits),
        AUTH_TEST(guessing_is_slowed),
        AUTH_TEST(what_is_remembered_is_slowed_as_well),
        AUTH_TEST(a_personal_token_is_its_account_and_less),
        AUTH_TEST(a_deploy_token_is_itself),
        AUTH_TEST(tokens_end),
        AUTH_TEST(a_token_of_nobody_is_refused),
        AUTH_TEST(a_disabled_account_is_out_at_once),
        AUTH_TEST(a_removed_role_is_gone_at_once),
        AUTH_TEST(what_other_nodes_change_is_seen),
        AUTH_TEST(another_address_is_trusted_as_well),
        AUTH_TEST(nobody_may_pull_what_is_public),
        AUTH_TEST(last_uses_are_written),
        AUTH_TEST(failures_are_in_the_audit_log),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
