/* SPDX-License-Identifier: Apache-2.0
 *
 * Scopes as text and as rights, and the Authorization header.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "auth/auth.h"
#include "auth/base64.h"
#include "base/fault.h"

struct fixture {
    struct arena arena;
    struct claims claims;
    struct err err;
};

static int setup(void **state)
{
    static struct fixture f;
    f.claims.count = 0;
    *state = &f;
    return 0;
}

static int teardown(void **state)
{
    arena_release(&((struct fixture *)*state)->arena);
    return 0;
}

static void add(struct fixture *f, const char *text)
{
    assert_int_equal(ST_OK, scope_add(&f->claims, str_of(text), &f->arena, &f->err));
}

static void expect(struct fixture *f, size_t i, enum claim_type type, const char *name,
                   const char *actions)
{
    char text[ACTIONS_TEXT_MAX];
    assert_true(i < f->claims.count);
    assert_int_equal(type, f->claims.items[i].type);
    assert_true(str_eq(f->claims.items[i].name, str_of(name)));
    assert_string_equal(actions, actions_text(f->claims.items[i].actions, text));
}

static void scopes_are_read(void **state)
{
    struct fixture *f = *state;
    add(f, "repository:group/app:pull,push registry:catalog:*");
    add(f, "repository(plugin):group/plugin:pull  repository:host.example:5000/a:delete");
    add(f, "registry:deleted_catalog:* repository:*:*");
    add(f, "repository:group/app:metadata_read,metadata_write,deleted_read,deleted_restore");
    assert_int_equal(6, f->claims.count);
    expect(f, 0, CLAIM_REPOSITORY, "group/app",
           "pull,push,metadata_read,metadata_write,deleted_read,deleted_restore");
    expect(f, 1, CLAIM_CATALOG, "catalog", "*");
    expect(f, 2, CLAIM_REPOSITORY, "group/plugin", "pull");
    expect(f, 3, CLAIM_REPOSITORY, "host.example:5000/a", "delete");
    expect(f, 4, CLAIM_DELETED_CATALOG, "deleted_catalog", "*");
    expect(f, 5, CLAIM_REPOSITORY, "*", "*");
}

static void what_is_unknown_is_dropped(void **state)
{
    struct fixture *f = *state;
    static const char *const none[] = {
        "",
        " ",
        ":",
        "::",
        ":::",
        "repository",
        "repository:",
        "repository:x",
        "repository:x:",
        "repository::pull",
        "repository:x:fly",
        "moon:x:pull",
        "registry:other:*",
        "registry:x:pull",
        "repository)x(:y:pull",
        "repository):y:pull",
        "Repository:x:pull",
        "repository:x*:pull",
        "repository:**:pull",
        "repository:a\"b:pull",
        "repository:a\\:pull",
        "repository:a\x01:pull",
        "repository:\xc3\xa4:pull",
        "repository:x:PULL",
        "repository:x: pull",
        "repository:x;y:pull",
    };
    for (size_t i = 0; i < ARRAY_LEN(none); i++) {
        add(f, none[i]);
        if (f->claims.count != 0)
            fail_msg("%s", none[i]);
    }
    add(f, "repository:x:fly,pull,,push,");
    expect(f, 0, CLAIM_REPOSITORY, "x", "pull,push");
}

static void scopes_have_limits(void **state)
{
    struct fixture *f = *state;
    char text[2048];
    for (int i = 0; i < CLAIMS_MAX; i++) {
        (void)snprintf(text, sizeof(text), "repository:x%d:pull", i);
        add(f, text);
    }
    add(f, "repository:x7:push");
    assert_int_equal(ST_TOO_LARGE,
                     scope_add(&f->claims, STR("repository:y:pull"), &f->arena, &f->err));
    assert_int_equal(CLAIMS_MAX, f->claims.count);
    f->claims.count = 0;
    memset(text, 'x', sizeof(text));
    memcpy(text, "repository:", 11);
    memcpy(text + 11 + 513, ":pull", 6);
    add(f, text);
    assert_int_equal(0, f->claims.count);
    memcpy(text + 11 + 512, ":pull", 6);
    add(f, text);
    assert_int_equal(1, f->claims.count);
}

static void actions_are_rights(void **state)
{
    (void)state;
    static const struct {
        unsigned actions, rights, granted;
    } cases[] = {
        { ACTION_PULL, RIGHT_PULL, ACTION_PULL },
        { ACTION_PULL | ACTION_PUSH, RIGHT_PULL, ACTION_PULL },
        { ACTION_PUSH, RIGHT_PULL | RIGHT_PUSH, ACTION_PUSH },
        { ACTION_DELETE, RIGHT_DELETE, 0 },
        { ACTION_DELETE, RIGHT_DELETE | RIGHT_PULL, ACTION_DELETE },
        { ACTION_METADATA_READ, RIGHT_PULL, ACTION_METADATA_READ },
        { ACTION_METADATA_WRITE, RIGHT_PULL | RIGHT_PUSH, 0 },
        { ACTION_METADATA_WRITE, RIGHT_RULES, ACTION_METADATA_WRITE },
        { ACTION_ALL, 0, 0 },
        { ACTION_ALL, RIGHT_PULL, ACTION_PULL | ACTION_METADATA_READ },
        { ACTION_ALL, RIGHTS_ALL, ACTION_ALL - 1 },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        assert_int_equal(cases[i].granted, actions_within(cases[i].actions, cases[i].rights));
    assert_int_equal(RIGHTS_ALL, action_rights(ACTION_ALL));
    assert_int_equal(RIGHT_DELETE | RIGHT_PULL, action_rights(ACTION_DELETE));
    assert_int_equal(0, action_rights(0));
    char text[ACTIONS_TEXT_MAX];
    assert_string_equal("pull,push,delete,metadata_read,metadata_write,deleted_read,"
                        "deleted_restore,*",
                        actions_text(2 * ACTION_ALL - 1, text));
}

/* ---- the Authorization header ---------------------------------------------------------------- */

static enum st parse(struct fixture *f, const char *header, struct credentials *out)
{
    *out = (struct credentials){ .kind = CREDENTIAL_TOKEN };
    return credentials_parse(str_of(header), STR("192.0.2.1"), &f->arena, out, &f->err);
}

static void good_headers(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *header;
        enum credential_kind kind;
        const char *user, *secret;
    } cases[] = {
        { NULL, CREDENTIAL_NONE, NULL, NULL },
        { "Basic Og==", CREDENTIAL_NONE, "", "" }, /* ":" */
        { "Basic YW5uOnNlY3JldA==", CREDENTIAL_BASIC, "ann", "secret" },
        { "basic YW5uOnNlY3JldA", CREDENTIAL_BASIC, "ann", "secret" },
        { "BASIC   YW5uOnNlY3JldA== ", CREDENTIAL_BASIC, "ann", "secret" },
        { "Basic YW5uOmE6Yjpj", CREDENTIAL_BASIC, "ann", "a:b:c" },
        { "Basic OnNlY3JldA==", CREDENTIAL_BASIC, "", "secret" },
        { "Basic YW5uOg==", CREDENTIAL_BASIC, "ann", "" },
        { "Basic w6Q6w7w=", CREDENTIAL_BASIC, "\xc3\xa4", "\xc3\xbc" },
        { "Bearer ebb_x", CREDENTIAL_BEARER, NULL, "ebb_x" },
        { "bearer  a.b.c", CREDENTIAL_BEARER, NULL, "a.b.c" },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct credentials c;
        assert_int_equal(ST_OK, parse(f, cases[i].header, &c));
        assert_int_equal(cases[i].kind, c.kind);
        assert_true(str_eq(c.user, str_of(cases[i].user)));
        assert_true(str_eq(c.secret, str_of(cases[i].secret)));
        assert_true(str_eq(c.peer, STR("192.0.2.1")));
    }
}

static void bad_headers(void **state)
{
    struct fixture *f = *state;
    static const char *const bad[] = {
        "",
        " ",
        "Basic",
        "Basic ",
        "Bearer",
        "Bearer ",
        "Bearer a b",
        "Bearer \xc3\xa4",
        "Digest username=x",
        "YW5uOnNlY3JldA==",
        "Basic YW5uOnNlY3JldA===",
        "Basic =",
        "Basic A",
        "Basic YW5u",
        "Basic YW5uOnNlY3JldB==",
        "Basic YW5u!!!!",
        "Basic YW5uOnNlY3JldA==,",
        "Basic YW5u OnNlY3Jl",
        "Basic /zp4",
        "Basic YQA6YQ==",
        "Basic YTpiCg==",
        "Basic YW5uOnNlY3JldA=",
        "BasicYW5uOnNlY3JldA==",
    };
    struct credentials c;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        enum st st = parse(f, bad[i], &c);
        if (st != ST_INVALID)
            fail_msg("%s: %s", bad[i], st_text(st));
        assert_int_equal(CREDENTIAL_TOKEN, c.kind); /* untouched */
        assert_null(strstr(f->err.text, "YW5u"));
    }
    char *huge = arena_alloc(&f->arena, 40 * KIB);
    memset(huge, 'A', 40 * KIB - 1);
    memcpy(huge, "Basic ", 6);
    assert_int_equal(ST_INVALID, parse(f, huge, &c));
}

static void base64_is_strict(void **state)
{
    (void)state;
    char out[16];
    size_t len = 99;
    assert_true(base64_decode(STR(""), out, &len));
    assert_int_equal(0, len);
    assert_true(base64_decode(STR("-_-_"), out, &len));
    assert_true(base64_decode(STR("+/+/"), out, &len));
    assert_int_equal(3, len);
    assert_false(base64_decode(STR("A"), out, &len));
    assert_false(base64_decode(STR("AB"), out, &len));
    assert_false(base64_decode(STR("AA="), out, &len));
    assert_false(base64_decode(STR("===="), out, &len));
    assert_false(base64_decode(STR("A==="), out, &len));
}

#ifdef EBB_FAULTS
static void without_memory_it_says_so(void **state)
{
    struct fixture *f = *state;
    static const char *const headers[] = { "Basic YW5uOnNlY3JldA==", "Bearer x" };
    struct credentials c;
    for (size_t i = 0; i < ARRAY_LEN(headers); i++) {
        arena_release(&f->arena);
        fault_arm(FAULT_ALLOC, 1, true);
        enum st st = parse(f, headers[i], &c);
        fault_disarm();
        assert_int_equal(ST_NO_MEMORY, st);
    }
    arena_release(&f->arena);
    fault_arm(FAULT_ALLOC, 1, true);
    enum st st = scope_add(&f->claims, STR("repository:x:pull"), &f->arena, &f->err);
    fault_disarm();
    assert_int_equal(ST_NO_MEMORY, st);
}
#endif

#define SCOPE_TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        SCOPE_TEST(scopes_are_read),
        SCOPE_TEST(what_is_unknown_is_dropped),
        SCOPE_TEST(scopes_have_limits),
        SCOPE_TEST(actions_are_rights),
        SCOPE_TEST(good_headers),
        SCOPE_TEST(bad_headers),
        SCOPE_TEST(base64_is_strict),
#ifdef EBB_FAULTS
        SCOPE_TEST(without_memory_it_says_so),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
