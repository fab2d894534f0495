/* SPDX-License-Identifier: Apache-2.0
 *
 * Accounts, tokens, signing keys, members, visibility and the audit log. Each test is one
 * transaction, unless it needs one to fail.
 */
#include "meta/accounts.h"
#include "meta/members.h"
#include "meta/signing_keys.h"
#include "meta/trail.h"
#include "registry_test.h"

static struct arena arena = { .limit_bytes = 64 * MIB };

/* name_tx() is run in a transaction. */
#define IN_TX(name)                                                                                \
    static enum st name##_tx(struct db_tx *tx, struct fixture *f);                                 \
    static enum st name##_call(struct db_tx *tx, void *ctx, struct err *err)                       \
    {                                                                                              \
        (void)err;                                                                                 \
        return name##_tx(tx, ctx);                                                                 \
    }                                                                                              \
    static void name(void **state)                                                                 \
    {                                                                                              \
        struct fixture *f = *state;                                                                \
        OK(db_write(f->r.db, name##_call, f, &f->err));                                            \
        arena_release(&arena);                                                                     \
    }                                                                                              \
    static enum st name##_tx(struct db_tx *tx, struct fixture *f)

static void expect_text(struct fixture *f, const char *want)
{
    if (strstr(f->err.text, want) == NULL)
        print_error("\"%s\" does not say \"%s\"\n", f->err.text, want);
    assert_non_null(strstr(f->err.text, want));
}

static int64_t add_account(struct db_tx *tx, struct fixture *f, const char *name,
                           enum account_kind kind, bool administrator)
{
    int64_t id = 0;
    struct account in = { .name = str_of(name),
                          .kind = kind,
                          .hash = kind == ACCOUNT_PERSON ? STR("$y$hash") : STR_NONE,
                          .administrator = administrator,
                          .created_at = f->now };
    OK(accounts_add(tx, &in, &id, &f->err));
    return id;
}

/* ---- accounts -------------------------------------------------------------------------------- */

static void names_of_accounts(void **state)
{
    struct fixture *f = *state;
    static const char *const good[] = { "a", "0", "alice", "a.b_c@d+e-f", "9lives" };
    static const char *const bad[] = { "",
                                       "Alice",
                                       ".a",
                                       "-a",
                                       "a b",
                                       "a/b",
                                       "\xc3\xa4",
                                       "a\x01b",
                                       "anonymous",
                                       "_a",
                                       "deploy-token-1",
                                       "deploy-token-" };
    char longest[ACCOUNT_NAME_MAX + 1];
    memset(longest, 'a', sizeof(longest));
    for (size_t i = 0; i < ARRAY_LEN(good); i++)
        OK(account_name_check(str_of(good[i]), &f->err));
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        IS(ST_INVALID, account_name_check(str_of(bad[i]), &f->err));
    OK(account_name_check((str){ longest, ACCOUNT_NAME_MAX }, &f->err));
    IS(ST_INVALID, account_name_check((str){ longest, ACCOUNT_NAME_MAX + 1 }, &f->err));
    IS(ST_INVALID, account_name_check(STR_NONE, &f->err));
}

IN_TX(accounts_come_back_as_they_were)
{
    struct account in = { .name = STR("alice"),
                          .kind = ACCOUNT_PERSON,
                          .hash = STR("$y$hash"),
                          .administrator = true,
                          .created_at = 5,
                          .note = STR("of the kernel") };
    struct account out;
    int64_t id = 0;
    OK(accounts_add(tx, &in, &id, &f->err));
    OK(accounts_find(tx, STR("alice"), &arena, &out, &f->err));
    assert_int_equal(id, out.id);
    assert_true(str_eq(out.name, in.name) && str_eq(out.hash, in.hash) &&
                str_eq(out.note, in.note) && out.administrator && !out.disabled);
    assert_int_equal(1, out.generation);
    assert_int_equal(5, out.created_at);
    assert_int_equal(0, out.used_at);
    OK(accounts_find_id(tx, id, &arena, &out, &f->err));
    assert_true(str_eq(out.name, in.name));
    IS(ST_EXISTS, accounts_add(tx, &in, &id, &f->err));
    expect_text(f, "there is an account alice already");
    IS(ST_NOT_FOUND, accounts_find(tx, STR("bob"), &arena, &out, &f->err));
    IS(ST_NOT_FOUND, accounts_find_id(tx, id + 1, &arena, &out, &f->err));
    in.name = STR("ci");
    in.kind = ACCOUNT_ROBOT;
    IS(ST_INVALID, accounts_add(tx, &in, &id, &f->err));
    expect_text(f, "only tokens");
    in.kind = ACCOUNT_HTPASSWD;
    IS(ST_INVALID, accounts_add(tx, &in, &id, &f->err));
    in.hash = STR_NONE;
    in.note = STR_NONE;
    OK(accounts_add(tx, &in, &id, &f->err));
    OK(accounts_find(tx, STR("ci"), &arena, &out, &f->err));
    assert_true(out.kind == ACCOUNT_HTPASSWD && out.hash.ptr == NULL && out.note.ptr == NULL);
    char note[ACCOUNT_NOTE_MAX + 1];
    memset(note, 'n', sizeof(note));
    in.name = STR("long");
    in.note = (str){ note, sizeof(note) };
    IS(ST_INVALID, accounts_add(tx, &in, &id, &f->err));
    in.note = STR("\xff");
    IS(ST_INVALID, accounts_add(tx, &in, &id, &f->err));
    return ST_OK;
}

IN_TX(accounts_are_listed)
{
    static const char *const there[] = { "ada", "bob", "eve", "zoe" };
    struct account *list;
    size_t count;
    uint64_t all;
    for (size_t i = ARRAY_LEN(there); i > 0; i--)
        (void)add_account(tx, f, there[i - 1], ACCOUNT_ROBOT, false);
    (void)add_account(tx, f, "gone", ACCOUNT_ROBOT, false);
    OK(accounts_remove(tx, STR("gone"), &f->err));
    OK(accounts_list(tx, STR_NONE, 3, &arena, &list, &count, &f->err));
    assert_int_equal(3, count);
    for (size_t i = 0; i < count; i++)
        assert_true(str_eq(list[i].name, str_of(there[i])));
    OK(accounts_list(tx, STR("eve"), 3, &arena, &list, &count, &f->err));
    assert_int_equal(1, count);
    assert_true(str_eq(list[0].name, STR("zoe")));
    OK(accounts_count(tx, &all, &f->err));
    assert_int_equal(4, all);
    return ST_OK;
}

static int64_t generation_of(struct db_tx *tx, struct fixture *f, const char *name)
{
    struct account out;
    OK(accounts_find(tx, str_of(name), &arena, &out, &f->err));
    return out.generation;
}

IN_TX(accounts_change_in_part)
{
    struct account_change c = { .set_note = true, .note = STR("new") };
    struct account out;
    (void)add_account(tx, f, "root", ACCOUNT_PERSON, true);
    (void)add_account(tx, f, "bob", ACCOUNT_PERSON, false);
    OK(accounts_change(tx, STR("bob"), &c, &f->err));
    OK(accounts_find(tx, STR("bob"), &arena, &out, &f->err));
    assert_true(str_eq(out.note, STR("new")) && str_eq(out.hash, STR("$y$hash")));
    assert_int_equal(1, out.generation);
    c = (struct account_change){ .set_administrator = true, .administrator = true };
    OK(accounts_change(tx, STR("bob"), &c, &f->err));
    assert_int_equal(1, generation_of(tx, f, "bob"));
    c = (struct account_change){ .set_hash = true, .hash = STR("$y$other") };
    OK(accounts_change(tx, STR("bob"), &c, &f->err));
    assert_int_equal(2, generation_of(tx, f, "bob"));
    c = (struct account_change){ .set_disabled = true, .disabled = true };
    OK(accounts_change(tx, STR("bob"), &c, &f->err));
    assert_int_equal(3, generation_of(tx, f, "bob"));
    OK(accounts_change(tx, STR("bob"), &c, &f->err)); /* it is */
    assert_int_equal(3, generation_of(tx, f, "bob"));
    c.disabled = false;
    OK(accounts_change(tx, STR("bob"), &c, &f->err));
    assert_int_equal(4, generation_of(tx, f, "bob"));
    OK(accounts_find(tx, STR("bob"), &arena, &out, &f->err));
    assert_true(out.administrator && !out.disabled && str_eq(out.hash, STR("$y$other")) &&
                str_eq(out.note, STR("new")));
    IS(ST_NOT_FOUND, accounts_change(tx, STR("eve"), &c, &f->err));
    (void)add_account(tx, f, "ci", ACCOUNT_ROBOT, false);
    c = (struct account_change){ .set_hash = true, .hash = STR("$y$x") };
    IS(ST_INVALID, accounts_change(tx, STR("ci"), &c, &f->err));
    return ST_OK;
}

IN_TX(a_removed_account_leaves_its_name)
{
    const uint8_t hash[TOKEN_HASH_BYTES] = { 7 };
    struct access_token token = { .name = STR("t"), .scopes = SCOPE_PULL, .created_at = 1 };
    struct member member = { .prefix = STR("team"), .account = STR("bob"), .role = ROLE_OWNER };
    struct account out;
    int64_t id = 0;
    enum role role;
    token.account_id = add_account(tx, f, "bob", ACCOUNT_PERSON, false);
    OK(tokens_add(tx, &token, hash, &id, &f->err));
    OK(members_set(tx, &member, &f->err));
    OK(accounts_remove(tx, STR("bob"), &f->err));
    IS(ST_NOT_FOUND, accounts_find(tx, STR("bob"), &arena, &out, &f->err));
    IS(ST_NOT_FOUND, accounts_find_id(tx, token.account_id, &arena, &out, &f->err));
    IS(ST_NOT_FOUND, tokens_find(tx, hash, &arena, &token, &f->err));
    OK(members_role(tx, STR("bob"), STR("team"), f->now, &role, &f->err));
    assert_int_equal(ROLE_NONE, role);
    const struct account again = { .name = STR("bob"), .kind = ACCOUNT_ROBOT };
    IS(ST_EXISTS, accounts_add(tx, &again, &id, &f->err));
    expect_text(f, "there was an account bob, and its name is not given again");
    IS(ST_NOT_FOUND, accounts_remove(tx, STR("bob"), &f->err));
    return ST_OK;
}

struct change_call {
    struct fixture *f;
    const char *name;
    struct account_change change;
    bool remove;
};

static enum st change_one(struct db_tx *tx, void *ctx, struct err *err)
{
    struct change_call *c = ctx;
    return c->remove ? accounts_remove(tx, str_of(c->name), err)
                     : accounts_change(tx, str_of(c->name), &c->change, err);
}

static enum st add_two(struct db_tx *tx, void *ctx, struct err *err)
{
    (void)err;
    (void)add_account(tx, ctx, "root", ACCOUNT_PERSON, true);
    (void)add_account(tx, ctx, "bob", ACCOUNT_PERSON, false);
    (void)add_account(tx, ctx, "ci", ACCOUNT_ROBOT, true); /* cannot log in with a password */
    return ST_OK;
}

static void the_last_administrator_stays(void **state)
{
    struct fixture *f = *state;
    struct change_call fatal[] = {
        { .change = { .set_administrator = true } },
        { .change = { .set_disabled = true, .disabled = true } },
        { .change = { .set_hash = true } },
        { .remove = true },
    };
    OK(db_write(f->r.db, add_two, f, &f->err));
    for (size_t i = 0; i < ARRAY_LEN(fatal); i++) {
        fatal[i].name = "root";
        IS(ST_DENIED, db_write(f->r.db, change_one, &fatal[i], &f->err));
        expect_text(f, "no administrator would be left");
        fatal[i].name = "ci"; /* on which nothing depends */
        if (!fatal[i].change.set_hash)
            OK(db_write(f->r.db, change_one, &fatal[i], &f->err));
    }
    assert_int_equal(1, number(f, "SELECT count(*) FROM account WHERE name = 'root' AND"
                                  " administrator = 1 AND disabled = 0 AND hash IS NOT NULL"
                                  " AND generation = 1"));
    struct change_call raise = { .name = "bob",
                                 .change = { .set_administrator = true, .administrator = true } };
    OK(db_write(f->r.db, change_one, &raise, &f->err));
    fatal[3].name = "root";
    OK(db_write(f->r.db, change_one, &fatal[3], &f->err));
    fatal[3].name = "bob";
    IS(ST_DENIED, db_write(f->r.db, change_one, &fatal[3], &f->err));
}

IN_TX(last_uses_are_coarse)
{
    struct access_token token = { .name = STR("t"), .scopes = SCOPE_PULL, .created_at = 1 };
    const uint8_t hash[TOKEN_HASH_BYTES] = { 1 };
    struct account out;
    int64_t hour = f->now - f->now % CLOCK_HOUR_MS + CLOCK_HOUR_MS;
    int64_t id = add_account(tx, f, "bob", ACCOUNT_PERSON, false), token_id = 0;
    token.account_id = id;
    OK(tokens_add(tx, &token, hash, &token_id, &f->err));
    static const struct {
        int64_t at, account, token;
    } uses[] = { { 0, 0, 0 },
                 { CLOCK_MINUTE_MS + 1, 0, CLOCK_MINUTE_MS },
                 { 30, 0, CLOCK_MINUTE_MS }, /* a clock does not go back */
                 { CLOCK_HOUR_MS + 70000, CLOCK_HOUR_MS, CLOCK_HOUR_MS + 60000 } };
    for (size_t i = 0; i < ARRAY_LEN(uses); i++) {
        OK(accounts_note_use(tx, id, hour + uses[i].at, &f->err));
        OK(tokens_note_use(tx, token_id, hour + uses[i].at, &f->err));
        OK(accounts_find_id(tx, id, &arena, &out, &f->err));
        OK(tokens_find_id(tx, token_id, &arena, &token, &f->err));
        assert_int_equal(hour + uses[i].account, out.used_at);
        assert_int_equal(hour + uses[i].token, token.used_at);
    }
    return ST_OK;
}

/* ---- tokens ---------------------------------------------------------------------------------- */

static int64_t add_token(struct db_tx *tx, struct fixture *f, int64_t account_id,
                         const char *prefix, int64_t expires_at, uint8_t mark)
{
    uint8_t hash[TOKEN_HASH_BYTES] = { mark };
    const struct access_token in = { .account_id = account_id,
                                     .name = STR("made"),
                                     .prefix = str_of(prefix),
                                     .scopes = SCOPE_PULL | SCOPE_DELETE,
                                     .created_at = 10,
                                     .expires_at = expires_at,
                                     .created_by = STR("root") };
    int64_t id = 0;
    OK(tokens_add(tx, &in, hash, &id, &f->err));
    return id;
}

IN_TX(tokens_are_found_by_their_hash)
{
    struct access_token out;
    uint8_t hash[TOKEN_HASH_BYTES] = { 3 };
    int64_t bob = add_account(tx, f, "bob", ACCOUNT_ROBOT, false);
    int64_t id = add_token(tx, f, bob, "", 99, 3);
    OK(tokens_find(tx, hash, &arena, &out, &f->err));
    assert_int_equal(id, out.id);
    assert_int_equal(bob, out.account_id);
    assert_true(str_eq(out.account, STR("bob")) && str_eq(out.name, STR("made")) &&
                str_eq(out.prefix, STR("")) && str_eq(out.created_by, STR("root")));
    assert_int_equal(SCOPE_PULL | SCOPE_DELETE, out.scopes);
    assert_int_equal(10, out.created_at);
    assert_int_equal(99, out.expires_at);
    assert_int_equal(0, out.used_at);
    hash[31] = 1;
    IS(ST_NOT_FOUND, tokens_find(tx, hash, &arena, &out, &f->err));
    int64_t deploy = add_token(tx, f, 0, "team", 0, 4);
    OK(tokens_find_id(tx, deploy, &arena, &out, &f->err));
    assert_true(out.account_id == 0 && out.account.ptr == NULL && out.expires_at == 0);
    OK(tokens_remove(tx, id, &f->err));
    IS(ST_NOT_FOUND, tokens_remove(tx, id, &f->err));
    IS(ST_NOT_FOUND, tokens_find_id(tx, id, &arena, &out, &f->err));
    OK(tokens_remove(tx, deploy, &f->err));
    assert_int_equal(deploy + 1, add_token(tx, f, bob, "", 0, 5)); /* not theirs again */
    return ST_OK;
}

IN_TX(what_is_no_token)
{
    const uint8_t hash[TOKEN_HASH_BYTES] = { 9 };
    char name[TOKEN_NAME_MAX + 1];
    int64_t id = 0, bob = add_account(tx, f, "bob", ACCOUNT_PERSON, false);
    memset(name, 'n', sizeof(name));
    const struct access_token good = {
        .account_id = bob, .name = STR("x"), .scopes = SCOPE_PULL, .created_at = 5
    };
    struct access_token bad[8];
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        bad[i] = good;
    bad[0].name = STR("");
    bad[1].name = (str){ name, sizeof(name) };
    bad[2].name = STR("\xff");
    bad[3].scopes = 0;
    bad[4].scopes = 16;
    bad[5].prefix = STR("Team");
    bad[6].expires_at = 5;
    bad[7].account_id = 0; /* a deploy token for everything */
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        IS(ST_INVALID, tokens_add(tx, &bad[i], hash, &id, &f->err));
    struct access_token whose = good;
    whose.account_id = bob + 1;
    IS(ST_NOT_FOUND, tokens_add(tx, &whose, hash, &id, &f->err));
    OK(tokens_add(tx, &good, hash, &id, &f->err));
    return ST_OK;
}

IN_TX(there_may_be_so_many_tokens)
{
    int64_t id = 0, bob = add_account(tx, f, "bob", ACCOUNT_PERSON, false);
    uint8_t hash[TOKEN_HASH_BYTES] = { 0 };
    struct access_token in = {
        .account_id = bob, .name = STR("x"), .scopes = SCOPE_PULL, .created_at = 5
    };
    for (int i = 0; i < 2 * TOKENS_MAX; i++) {
        hash[0] = (uint8_t)i;
        hash[1] = (uint8_t)(i >> 8);
        in.account_id = i < TOKENS_MAX ? bob : 0;
        in.prefix = i < TOKENS_MAX ? STR("") : STR("team");
        OK(tokens_add(tx, &in, hash, &id, &f->err));
    }
    hash[2] = 1;
    IS(ST_TOO_LARGE, tokens_add(tx, &in, hash, &id, &f->err));
    in.prefix = STR("other");
    OK(tokens_add(tx, &in, hash, &id, &f->err));
    in.account_id = bob;
    hash[2] = 2;
    IS(ST_TOO_LARGE, tokens_add(tx, &in, hash, &id, &f->err));
    return ST_OK;
}

static void expect_tokens(struct fixture *f, const struct access_token *list, size_t count,
                          const int64_t *want, size_t want_count)
{
    (void)f;
    assert_int_equal(want_count, count);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(want[i], list[i].id);
}

IN_TX(tokens_are_listed)
{
    struct access_token *list;
    size_t count;
    int64_t bob = add_account(tx, f, "bob", ACCOUNT_ROBOT, false);
    int64_t eve = add_account(tx, f, "eve", ACCOUNT_ROBOT, false);
    int64_t ids[7] = {
        add_token(tx, f, bob, "", 0, 1),       add_token(tx, f, 0, "team/a", 0, 2),
        add_token(tx, f, eve, "team", 0, 3),   add_token(tx, f, 0, "team", 0, 4),
        add_token(tx, f, 0, "team-x", 0, 5),   add_token(tx, f, bob, "x", 0, 6),
        add_token(tx, f, 0, "team/a/b", 0, 7),
    };
    OK(tokens_list(tx, TOKENS_ALL, 0, STR_NONE, 0, 4, &arena, &list, &count, &f->err));
    expect_tokens(f, list, count, ids, 4);
    OK(tokens_list(tx, TOKENS_ALL, 0, STR_NONE, ids[3], 4, &arena, &list, &count, &f->err));
    expect_tokens(f, list, count, ids + 4, 3);
    OK(tokens_list(tx, TOKENS_OF_ACCOUNT, bob, STR_NONE, 0, 9, &arena, &list, &count, &f->err));
    expect_tokens(f, list, count, (int64_t[]){ ids[0], ids[5] }, 2);
    OK(tokens_list(tx, TOKENS_DEPLOY, 0, STR("team"), 0, 9, &arena, &list, &count, &f->err));
    expect_tokens(f, list, count, (int64_t[]){ ids[1], ids[3], ids[6] }, 3);
    OK(tokens_list(tx, TOKENS_DEPLOY, 0, STR("team"), ids[1], 1, &arena, &list, &count, &f->err));
    expect_tokens(f, list, count, &ids[3], 1);
    OK(tokens_list(tx, TOKENS_DEPLOY, 0, STR(""), 0, 9, &arena, &list, &count, &f->err));
    expect_tokens(f, list, count, (int64_t[]){ ids[1], ids[3], ids[4], ids[6] }, 4);
    return ST_OK;
}

IN_TX(tokens_expire_after_a_while)
{
    struct access_token *list;
    size_t count;
    int64_t ids[4] = { add_token(tx, f, 0, "a", 100, 1), add_token(tx, f, 0, "b", 200, 2),
                       add_token(tx, f, 0, "c", 0, 3), add_token(tx, f, 0, "d", 300, 4) };
    OK(tokens_expire(tx, 150, 50, 10, &f->err)); /* the first has 50 ms left in the list */
    OK(tokens_list(tx, TOKENS_ALL, 0, STR_NONE, 0, 9, &arena, &list, &count, &f->err));
    assert_int_equal(4, count);
    OK(tokens_expire(tx, 1000, 50, 1, &f->err));
    OK(tokens_list(tx, TOKENS_ALL, 0, STR_NONE, 0, 9, &arena, &list, &count, &f->err));
    expect_tokens(f, list, count, ids + 1, 3);
    OK(tokens_expire(tx, 1000, 50, 10, &f->err));
    OK(tokens_list(tx, TOKENS_ALL, 0, STR_NONE, 0, 9, &arena, &list, &count, &f->err));
    expect_tokens(f, list, count, &ids[2], 1);
    return ST_OK;
}

IN_TX(signing_keys_rotate)
{
    struct signing_key *list;
    size_t count;
    static const char *const kids[] = { "b", "a", "c" };
    for (int i = 0; i < 3; i++) {
        const struct signing_key in = { .kid = str_of(kids[i]),
                                        .jwk = STR("{}"),
                                        .created_at = 10 * (i + 1) };
        OK(signing_keys_add(tx, &in, &f->err));
    }
    OK(signing_keys_list(tx, &arena, &list, &count, &f->err));
    assert_int_equal(3, count);
    for (int i = 0; i < 3; i++)
        assert_true(str_eq(list[i].kid, str_of(kids[2 - i])));
    OK(signing_keys_drop(tx, 20, &f->err));
    OK(signing_keys_list(tx, &arena, &list, &count, &f->err));
    assert_int_equal(2, count);
    OK(signing_keys_drop(tx, 1000, &f->err));
    OK(signing_keys_list(tx, &arena, &list, &count, &f->err));
    assert_int_equal(1, count);
    assert_true(str_eq(list[0].kid, STR("c")) && str_eq(list[0].jwk, STR("{}")) &&
                list[0].created_at == 30);
    return ST_OK;
}

/* ---- members --------------------------------------------------------------------------------- */

static enum st set_member(struct db_tx *tx, struct fixture *f, const char *prefix, const char *name,
                          enum role role)
{
    const struct member in = { .prefix = str_of(prefix),
                               .account = str_of(name),
                               .role = role,
                               .created_at = f->now,
                               .created_by = STR("root") };
    return members_set(tx, &in, &f->err);
}

static enum role role_on(struct db_tx *tx, struct fixture *f, const char *actor, const char *path)
{
    enum role role = (enum role)99;
    OK(members_role(tx, str_of(actor), str_of(path), f->now, &role, &f->err));
    return role;
}

IN_TX(members_are_set_and_removed)
{
    struct member *list;
    size_t count;
    (void)add_account(tx, f, "bob", ACCOUNT_PERSON, false);
    (void)add_account(tx, f, "ada", ACCOUNT_ROBOT, false);
    IS(ST_NOT_FOUND, set_member(tx, f, "team", "eve", ROLE_GUEST));
    IS(ST_INVALID, set_member(tx, f, "team", "bob", ROLE_NONE));
    IS(ST_INVALID, set_member(tx, f, "team", "bob", ROLE_ADMINISTRATOR));
    IS(ST_INVALID, set_member(tx, f, "team", "bob", (enum role)20));
    IS(ST_INVALID, set_member(tx, f, "team/", "bob", ROLE_GUEST));
    OK(set_member(tx, f, "team", "bob", ROLE_GUEST));
    OK(set_member(tx, f, "team", "bob", ROLE_OWNER)); /* changes */
    OK(set_member(tx, f, "team", "ada", ROLE_GUEST));
    OK(set_member(tx, f, "", "ada", ROLE_DEVELOPER));
    OK(set_member(tx, f, "team/x", "ada", ROLE_MAINTAINER));
    OK(set_member(tx, f, "team-2", "ada", ROLE_OWNER));
    OK(members_list(tx, STR("team/x"), false, &arena, &list, &count, &f->err));
    assert_int_equal(1, count);
    OK(members_list(tx, STR("team/x/y"), true, &arena, &list, &count, &f->err));
    static const struct {
        const char *prefix, *name;
        enum role role;
    } want[] = { { "team/x", "ada", ROLE_MAINTAINER },
                 { "team", "ada", ROLE_GUEST },
                 { "team", "bob", ROLE_OWNER },
                 { "", "ada", ROLE_DEVELOPER } };
    assert_int_equal(ARRAY_LEN(want), count);
    for (size_t i = 0; i < count; i++) {
        assert_true(str_eq(list[i].prefix, str_of(want[i].prefix)));
        assert_true(str_eq(list[i].account, str_of(want[i].name)));
        assert_int_equal(want[i].role, list[i].role);
        assert_true(str_eq(list[i].created_by, STR("root")));
    }
    IS(ST_NOT_FOUND, members_remove(tx, STR("team/x"), STR("bob"), &f->err));
    OK(members_remove(tx, STR("team"), STR("bob"), &f->err));
    assert_int_equal(ROLE_NONE, role_on(tx, f, "bob", "team"));
    return ST_OK;
}

IN_TX(members_of_an_account_are_in_order)
{
    static const char *const order[] = { "", "a", "a-b", "a.b", "a/b", "a0", "b" };
    struct access_member *list;
    size_t count;
    int64_t bob = add_account(tx, f, "bob", ACCOUNT_PERSON, false);
    for (size_t i = ARRAY_LEN(order); i > 0; i--)
        OK(set_member(tx, f, order[i - 1], "bob", ROLE_GUEST));
    OK(members_of_account(tx, bob, &arena, &list, &count, &f->err));
    assert_int_equal(ARRAY_LEN(order), count);
    for (size_t i = 0; i < count; i++)
        assert_true(str_eq(list[i].prefix, str_of(order[i])));
    OK(members_of_account(tx, bob + 1, &arena, &list, &count, &f->err));
    assert_int_equal(0, count);
    return ST_OK;
}

IN_TX(there_may_be_so_many_members)
{
    char name[64];
    (void)add_account(tx, f, "bob", ACCOUNT_PERSON, false);
    for (int i = 0; i < MEMBERS_OF_ACCOUNT_MAX; i++) {
        (void)snprintf(name, sizeof(name), "path%d", i);
        OK(set_member(tx, f, name, "bob", ROLE_GUEST));
    }
    IS(ST_TOO_LARGE, set_member(tx, f, "one-more", "bob", ROLE_GUEST));
    OK(set_member(tx, f, "path7", "bob", ROLE_OWNER)); /* a change is none more */
    for (int i = 0; i < MEMBERS_OF_PREFIX_MAX; i++) {
        (void)snprintf(name, sizeof(name), "robot%d", i);
        (void)add_account(tx, f, name, ACCOUNT_ROBOT, false);
        OK(set_member(tx, f, "team", name, ROLE_GUEST));
    }
    (void)add_account(tx, f, "late", ACCOUNT_ROBOT, false);
    IS(ST_TOO_LARGE, set_member(tx, f, "team", "late", ROLE_GUEST));
    return ST_OK;
}

IN_TX(whoever_a_receipt_names_has_a_role)
{
    char name[64];
    const struct account_change disable = { .set_disabled = true, .disabled = true };
    int64_t root = add_account(tx, f, "root", ACCOUNT_PERSON, true);
    (void)add_account(tx, f, "bob", ACCOUNT_PERSON, false);
    OK(set_member(tx, f, "team", "bob", ROLE_MAINTAINER));
    OK(set_member(tx, f, "team/x", "bob", ROLE_GUEST));
    assert_int_equal(ROLE_ADMINISTRATOR, role_on(tx, f, "root", "any/thing"));
    assert_int_equal(ROLE_MAINTAINER, role_on(tx, f, "bob", "team/x/y"));
    assert_int_equal(ROLE_NONE, role_on(tx, f, "bob", "team2"));
    assert_int_equal(ROLE_NONE, role_on(tx, f, "anonymous", "team"));
    assert_int_equal(ROLE_NONE, role_on(tx, f, "", "team"));
    OK(accounts_change(tx, STR("bob"), &disable, &f->err));
    assert_int_equal(ROLE_NONE, role_on(tx, f, "bob", "team"));

    int64_t id = add_token(tx, f, 0, "team", f->now + 10, 1);
    (void)snprintf(name, sizeof(name), "deploy-token-%lld", (long long)id);
    assert_int_equal(ROLE_MAINTAINER, role_on(tx, f, name, "team/x"));
    assert_int_equal(ROLE_NONE, role_on(tx, f, name, "team2"));
    assert_int_equal(ROLE_NONE, role_on(tx, f, "deploy-token-", "team"));
    assert_int_equal(ROLE_NONE, role_on(tx, f, "deploy-token-x", "team"));
    assert_int_equal(ROLE_NONE, role_on(tx, f, "deploy-token-99999999999999999999", "team"));
    f->now += 10;
    assert_int_equal(ROLE_NONE, role_on(tx, f, name, "team/x"));
    /* A personal token acts as its account, never as itself. */
    id = add_token(tx, f, root, "", 0, 2);
    (void)snprintf(name, sizeof(name), "deploy-token-%lld", (long long)id);
    assert_int_equal(ROLE_NONE, role_on(tx, f, name, "team"));
    return ST_OK;
}

IN_TX(visibility_is_listed_in_order)
{
    struct access_visibility *list;
    size_t count;
    OK(visibility_set(tx, STR("team/x"), false, &f->err));
    OK(visibility_set(tx, STR("team-x"), true, &f->err));
    OK(visibility_set(tx, STR("team"), false, &f->err));
    OK(visibility_set(tx, STR("team"), true, &f->err));
    OK(visibility_set(tx, STR(""), true, &f->err));
    IS(ST_INVALID, visibility_set(tx, STR("/team"), true, &f->err));
    OK(visibility_list(tx, &arena, &list, &count, &f->err));
    static const char *const want[] = { "", "team", "team-x", "team/x" };
    assert_int_equal(ARRAY_LEN(want), count);
    for (size_t i = 0; i < count; i++) {
        assert_true(str_eq(list[i].prefix, str_of(want[i])));
        assert_int_equal(i != 3, list[i].is_public);
    }
    OK(visibility_remove(tx, STR("team"), &f->err));
    IS(ST_NOT_FOUND, visibility_remove(tx, STR("team"), &f->err));
    OK(visibility_remove(tx, STR_NONE, &f->err));
    OK(visibility_list(tx, &arena, &list, &count, &f->err));
    assert_int_equal(2, count);
    return ST_OK;
}

IN_TX(there_may_be_so_many_visible_paths)
{
    char name[64];
    for (int i = 0; i < VISIBILITY_MAX; i++) {
        (void)snprintf(name, sizeof(name), "path%d", i);
        OK(visibility_set(tx, str_of(name), true, &f->err));
    }
    IS(ST_TOO_LARGE, visibility_set(tx, STR("more"), true, &f->err));
    OK(visibility_set(tx, STR("path0"), false, &f->err));
    return ST_OK;
}

/* ---- the audit log --------------------------------------------------------------------------- */

static void add_entry(struct db_tx *tx, struct fixture *f, const char *actor, const char *action,
                      int64_t at)
{
    const struct trail_entry in = { .at = at,
                                    .actor = str_of(actor),
                                    .peer = STR("192.0.2.1"),
                                    .door = STR("oci"),
                                    .action = str_of(action),
                                    .object = STR("team/app"),
                                    .times = 3 };
    OK(trail_add(tx, &in, &f->err));
}

IN_TX(the_audit_log_is_read_backwards)
{
    struct trail_entry *list;
    size_t count;
    for (int i = 0; i < 12; i++)
        add_entry(tx, f, i % 2 == 0 ? "bob" : "eve", i % 3 == 0 ? "refused" : "log-in failed", i);
    OK(trail_list(tx, STR_NONE, STR_NONE, 0, 5, &arena, &list, &count, &f->err));
    assert_int_equal(5, count);
    assert_int_equal(11, list[0].at);
    OK(trail_list(tx, STR_NONE, STR_NONE, list[4].id, 50, &arena, &list, &count, &f->err));
    assert_int_equal(7, count);
    assert_int_equal(6, list[0].at);
    OK(trail_list(tx, STR("bob"), STR_NONE, 0, 50, &arena, &list, &count, &f->err));
    assert_int_equal(6, count);
    OK(trail_list(tx, STR_NONE, STR("refused"), 0, 50, &arena, &list, &count, &f->err));
    assert_int_equal(4, count);
    OK(trail_list(tx, STR("bob"), STR("refused"), 0, 50, &arena, &list, &count, &f->err));
    assert_int_equal(2, count);
    assert_int_equal(6, list[0].at);
    assert_true(str_eq(list[0].actor, STR("bob")) && str_eq(list[0].peer, STR("192.0.2.1")) &&
                str_eq(list[0].door, STR("oci")) && str_eq(list[0].action, STR("refused")) &&
                str_eq(list[0].object, STR("team/app")) && list[0].detail.ptr == NULL &&
                list[0].times == 3);
    OK(trail_expire(tx, 4, 3, &f->err));
    OK(trail_list(tx, STR_NONE, STR_NONE, 0, 50, &arena, &list, &count, &f->err));
    assert_int_equal(9, count);
    assert_int_equal(3, list[8].at);
    OK(trail_expire(tx, 4, 3, &f->err));
    OK(trail_list(tx, STR_NONE, STR_NONE, 0, 50, &arena, &list, &count, &f->err));
    assert_int_equal(8, count);
    return ST_OK;
}

IN_TX(what_a_peer_wrote_is_cut)
{
    char text[TRAIL_TEXT_MAX + 10];
    struct trail_entry *list;
    size_t count;
    memset(text, 'x', sizeof(text));
    text[TRAIL_TEXT_MAX - 1] = (char)0xc3; /* a character that would be cut in two */
    text[TRAIL_TEXT_MAX] = (char)0xa4;
    const struct trail_entry in = { .at = 1,
                                    .object = { text, sizeof(text) },
                                    .detail = { text, sizeof(text) } };
    OK(trail_add(tx, &in, &f->err));
    OK(trail_list(tx, STR_NONE, STR_NONE, 0, 50, &arena, &list, &count, &f->err));
    assert_int_equal(1, count);
    assert_int_equal(TRAIL_TEXT_MAX - 1, list[0].object.len);
    assert_int_equal(TRAIL_TEXT_MAX - 1, list[0].detail.len);
    assert_int_equal(0, list[0].actor.len);
    assert_int_equal(1, list[0].times);
    return ST_OK;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        REGISTRY_TEST(names_of_accounts),
        REGISTRY_TEST(accounts_come_back_as_they_were),
        REGISTRY_TEST(accounts_are_listed),
        REGISTRY_TEST(accounts_change_in_part),
        REGISTRY_TEST(a_removed_account_leaves_its_name),
        REGISTRY_TEST(the_last_administrator_stays),
        REGISTRY_TEST(last_uses_are_coarse),
        REGISTRY_TEST(tokens_are_found_by_their_hash),
        REGISTRY_TEST(what_is_no_token),
        REGISTRY_TEST(there_may_be_so_many_tokens),
        REGISTRY_TEST(tokens_are_listed),
        REGISTRY_TEST(tokens_expire_after_a_while),
        REGISTRY_TEST(signing_keys_rotate),
        REGISTRY_TEST(members_are_set_and_removed),
        REGISTRY_TEST(members_of_an_account_are_in_order),
        REGISTRY_TEST(there_may_be_so_many_members),
        REGISTRY_TEST(whoever_a_receipt_names_has_a_role),
        REGISTRY_TEST(visibility_is_listed_in_order),
        REGISTRY_TEST(there_may_be_so_many_visible_paths),
        REGISTRY_TEST(the_audit_log_is_read_backwards),
        REGISTRY_TEST(what_a_peer_wrote_is_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
