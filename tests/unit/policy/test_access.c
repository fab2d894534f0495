/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "policy/access.h"

#define CHECK(st, call) assert_int_equal(st, call)

/* ---- words ----------------------------------------------------------------------------------- */

static void roles_add_up(void **state)
{
    (void)state;
    static const enum role roles[] = { ROLE_NONE,       ROLE_GUEST, ROLE_DEVELOPER,
                                       ROLE_MAINTAINER, ROLE_OWNER, ROLE_ADMINISTRATOR };
    static const unsigned rights[] = {
        0,
        RIGHT_PULL,
        RIGHT_PULL | RIGHT_PUSH,
        RIGHT_PULL | RIGHT_PUSH | RIGHT_DELETE | RIGHT_RULES,
        RIGHTS_ALL & ~(unsigned)RIGHT_ADMIN,
        RIGHTS_ALL,
    };
    for (size_t i = 0; i < ARRAY_LEN(roles); i++)
        assert_int_equal(rights[i], role_rights(roles[i]));
}

static void roles_that_can_be_given(void **state)
{
    (void)state;
    static const enum role given[] = { ROLE_GUEST, ROLE_DEVELOPER, ROLE_MAINTAINER, ROLE_OWNER };
    static const char *const not_given[] = { "",       "none", "administrator", "Owner",
                                             "guest ", "own",  "ownerr" };
    enum role role = ROLE_NONE;
    for (size_t i = 0; i < ARRAY_LEN(given); i++) {
        assert_true(role_of(str_of(role_text(given[i])), &role));
        assert_int_equal(given[i], role);
    }
    for (size_t i = 0; i < ARRAY_LEN(not_given); i++)
        assert_false(role_of(str_of(not_given[i]), &role));
    assert_int_equal(ROLE_OWNER, role);
    assert_string_equal("administrator", role_text(ROLE_ADMINISTRATOR));
    assert_string_equal("none", role_text(ROLE_NONE));
    assert_string_equal("unknown", role_text((enum role)7));
}

static void scopes_are_words(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        unsigned scopes;
    } good[] = {
        { "pull", SCOPE_PULL },
        { "push", SCOPE_PUSH },
        { "delete,pull", SCOPE_PULL | SCOPE_DELETE },
        { "admin,delete,push,pull", SCOPE_PULL | SCOPE_PUSH | SCOPE_DELETE | SCOPE_ADMIN },
        { "pull,pull", SCOPE_PULL },
    };
    static const char *const bad[] = { "", ",", "pull,", ",pull", "pull push", "Pull", "all", "*" };
    char text[SCOPE_TEXT_MAX];
    struct err err;
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        unsigned scopes = 0, again = 0;
        CHECK(ST_OK, scope_parse(str_of(good[i].text), &scopes, &err));
        assert_int_equal(good[i].scopes, scopes);
        CHECK(ST_OK, scope_parse(str_of(scope_text(scopes, text)), &again, &err));
        assert_int_equal(scopes, again);
    }
    assert_string_equal("pull,push,delete,admin", scope_text(15, text));
    assert_string_equal("", scope_text(0, text));
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        unsigned scopes = 77;
        CHECK(ST_INVALID, scope_parse(str_of(bad[i]), &scopes, &err));
        assert_int_equal(77, scopes);
    }
}

static void scopes_give_rights(void **state)
{
    (void)state;
    assert_int_equal(0, scope_rights(0));
    assert_int_equal(RIGHT_PULL, scope_rights(SCOPE_PULL));
    assert_int_equal(RIGHT_PULL | RIGHT_PUSH, scope_rights(SCOPE_PUSH));
    assert_int_equal(RIGHT_PULL | RIGHT_DELETE, scope_rights(SCOPE_DELETE));
    assert_int_equal(RIGHTS_ALL, scope_rights(SCOPE_ADMIN));
    assert_int_equal(ROLE_NONE, scope_role(0));
    assert_int_equal(ROLE_GUEST, scope_role(SCOPE_PULL));
    assert_int_equal(ROLE_DEVELOPER, scope_role(SCOPE_PULL | SCOPE_PUSH));
    assert_int_equal(ROLE_MAINTAINER, scope_role(SCOPE_DELETE));
    assert_int_equal(ROLE_OWNER, scope_role(SCOPE_ADMIN | SCOPE_PULL));
}

/* ---- prefixes -------------------------------------------------------------------------------- */

static void prefixes_are_whole_components(void **state)
{
    (void)state;
    struct err err;
    assert_true(prefix_holds(STR(""), STR("a")));
    assert_true(prefix_holds(STR_NONE, STR("a/b")));
    assert_true(prefix_holds(STR(""), STR("")));
    assert_true(prefix_holds(STR("group"), STR("group")));
    assert_true(prefix_holds(STR("group"), STR("group/x")));
    assert_true(prefix_holds(STR("group/x"), STR("group/x/y")));
    assert_false(prefix_holds(STR("group"), STR("group2")));
    assert_false(prefix_holds(STR("group"), STR("group-x")));
    assert_false(prefix_holds(STR("group/x"), STR("group")));
    assert_false(prefix_holds(STR("group"), STR("")));
    CHECK(ST_OK, prefix_check(STR(""), &err));
    CHECK(ST_OK, prefix_check(STR("group/a-b"), &err));
    CHECK(ST_INVALID, prefix_check(STR("group/"), &err));
    CHECK(ST_INVALID, prefix_check(STR("/group"), &err));
    CHECK(ST_INVALID, prefix_check(STR("Group"), &err));
}

/* ---- rights ---------------------------------------------------------------------------------- */

/* A constant, as STR() is none. */
#define WORD(lit)                                                                                  \
    {                                                                                              \
        "" lit, sizeof(lit) - 1                                                                    \
    }

static const struct access_member members[] = {
    { WORD("group"), ROLE_DEVELOPER },
    { WORD("group/low"), ROLE_GUEST },
    { WORD("group/top"), ROLE_OWNER },
};
static const struct access_visibility visible[] = {
    { WORD("group/open"), true },
    { WORD("open"), true },
    { WORD("open/secret"), false },
    { WORD("open/secret/shown"), true },
};
static const struct access somebody = {
    .members = members,
    .member_count = ARRAY_LEN(members),
    .visibility = visible,
    .visibility_count = ARRAY_LEN(visible),
    .cap_rights = RIGHTS_ALL,
};

static void the_highest_role_counts(void **state)
{
    (void)state;
    assert_int_equal(ROLE_DEVELOPER, access_role(&somebody, STR("group")));
    assert_int_equal(ROLE_DEVELOPER, access_role(&somebody, STR("group/x/y")));
    assert_int_equal(ROLE_DEVELOPER, access_role(&somebody, STR("group/low/x")));
    assert_int_equal(ROLE_OWNER, access_role(&somebody, STR("group/top/x")));
    assert_int_equal(ROLE_NONE, access_role(&somebody, STR("group2")));
    assert_int_equal(ROLE_NONE, access_role(&somebody, STR("")));
    const struct access root = { .administrator = true, .cap_rights = RIGHTS_ALL };
    assert_int_equal(ROLE_ADMINISTRATOR, access_role(&root, STR("anything")));
    assert_int_equal(RIGHTS_ALL, access_rights(&root, STR("")));
    const struct access_member everywhere[] = { { STR(""), ROLE_GUEST } };
    const struct access guest = { .members = everywhere,
                                  .member_count = 1,
                                  .cap_rights = RIGHTS_ALL };
    assert_int_equal(RIGHT_PULL, access_rights(&guest, STR("a/b")));
}

static void the_nearest_visibility_counts(void **state)
{
    (void)state;
    assert_int_equal(RIGHT_PULL, access_rights(&somebody, STR("open")));
    assert_int_equal(RIGHT_PULL, access_rights(&somebody, STR("open/x/y")));
    assert_int_equal(0, access_rights(&somebody, STR("open/secret")));
    assert_int_equal(0, access_rights(&somebody, STR("open/secret/x")));
    assert_int_equal(RIGHT_PULL, access_rights(&somebody, STR("open/secret/shown/x")));
    assert_int_equal(0, access_rights(&somebody, STR("open2")));
    assert_int_equal(RIGHT_PULL | RIGHT_PUSH, access_rights(&somebody, STR("group/open")));
}

static void nothing_is_given_to_nobody(void **state)
{
    (void)state;
    const struct access nobody = { 0 };
    char room[ACCESS_SEEK_MAX];
    str last;
    assert_int_equal(0, access_rights(&nobody, STR("a")));
    assert_int_equal(0, access_rights(&nobody, STR("")));
    assert_false(access_seek(&nobody, STR(""), room, &last));
}

static void a_cap_only_takes_away(void **state)
{
    (void)state;
    struct access a = somebody;
    a.cap_prefix = STR("group/top");
    a.cap_rights = scope_rights(SCOPE_PUSH);
    assert_int_equal(RIGHT_PULL | RIGHT_PUSH, access_rights(&a, STR("group/top/x")));
    assert_int_equal(0, access_rights(&a, STR("group")));
    assert_int_equal(0, access_rights(&a, STR("group/topper")));
    assert_int_equal(0, access_rights(&a, STR("open"))); /* public, and not the token's business */
    assert_int_equal(ROLE_OWNER, access_role(&a, STR("group/top")));
    a.cap_prefix = STR("open");
    assert_int_equal(RIGHT_PULL, access_rights(&a, STR("open/x")));
    a.administrator = true;
    a.cap_rights = RIGHTS_ALL;
    assert_int_equal(RIGHTS_ALL & ~(unsigned)RIGHT_ADMIN, access_rights(&a, STR("open/x")));
    assert_int_equal(0, access_rights(&a, STR("")));
    a.cap_prefix = STR("");
    assert_int_equal(RIGHTS_ALL, access_rights(&a, STR("")));
}

/* ---- seeking, against looking at every name ---------------------------------------------------
 */

#define NAMES_MAX 20000
static char names_text[NAMES_MAX][8];
static str names[NAMES_MAX];
static size_t name_count;

static int by_bytes(const void *a, const void *b)
{
    return str_cmp(*(const str *)a, *(const str *)b);
}

/* All names of up to `left` more bytes of a small alphabet, which has the neighbours of "/". */
static void make_names(char *text, size_t len, size_t left)
{
    static const char alphabet[] = "a0z";
    static const char between[] = "/-.";
    if (len > 0) {
        assert_true(name_count < NAMES_MAX);
        memcpy(names_text[name_count], text, len);
        names[name_count] = (str){ names_text[name_count], len };
        name_count++;
    }
    for (size_t i = 0; left >= 1 && i < sizeof(alphabet) - 1; i++) {
        text[len] = alphabet[i];
        make_names(text, len + 1, left - 1);
    }
    for (size_t b = 0; len > 0 && left >= 2 && b < sizeof(between) - 1; b++) {
        for (size_t i = 0; i < sizeof(alphabet) - 1; i++) {
            text[len] = between[b];
            text[len + 1] = alphabet[i];
            make_names(text, len + 2, left - 2);
        }
    }
}

static uint64_t seed = 88172645463325252ULL;
static uint64_t some(uint64_t below)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed % below;
}

#define SETTINGS_MAX 6
struct settings {
    struct access_member members[SETTINGS_MAX];
    struct access_visibility visibility[SETTINGS_MAX];
    struct access access;
};

static str some_prefix(void)
{
    if (some(8) == 0)
        return STR("");
    for (;;) {
        str name = names[some(name_count)];
        if (name.len <= 4)
            return name;
    }
}

static void make_settings(struct settings *s)
{
    size_t m = 0, v = 0;
    *s = (struct settings){ 0 };
    for (uint64_t want = some(SETTINGS_MAX + 1); m < want; m++)
        s->members[m] =
            (struct access_member){ some_prefix(), some(4) == 0 ? ROLE_NONE : ROLE_GUEST };
    for (uint64_t want = some(SETTINGS_MAX + 1); v < want; v++)
        s->visibility[v] = (struct access_visibility){ some_prefix(), some(2) == 0 };
    qsort(s->members, m, sizeof(s->members[0]), by_bytes); /* the prefix is the first member */
    qsort(s->visibility, v, sizeof(s->visibility[0]), by_bytes);
    for (size_t i = 1; i < m; i++)
        while (i < m && str_eq(s->members[i].prefix, s->members[i - 1].prefix)) {
            memmove(&s->members[i], &s->members[i + 1], (m - i - 1) * sizeof(s->members[0]));
            m--;
        }
    for (size_t i = 1; i < v; i++)
        while (i < v && str_eq(s->visibility[i].prefix, s->visibility[i - 1].prefix)) {
            memmove(&s->visibility[i], &s->visibility[i + 1],
                    (v - i - 1) * sizeof(s->visibility[0]));
            v--;
        }
    s->access = (struct access){
        .administrator = some(20) == 0,
        .members = s->members,
        .member_count = m,
        .visibility = s->visibility,
        .visibility_count = v,
        .cap_prefix = some(3) == 0 ? some_prefix() : STR(""),
        .cap_rights = some(20) == 0 ? RIGHT_PUSH : RIGHTS_ALL,
    };
}

static bool may(const struct settings *s, str name)
{
    return (access_rights(&s->access, name) & RIGHT_PULL) != 0;
}

/* Index of the first name behind `after`. */
static size_t first_behind(str after)
{
    size_t low = 0, high = name_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (str_cmp(names[middle], after) <= 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Lists everything by seeking: the same names, and few seeks. */
static void list_by_seeking(const struct settings *s)
{
    size_t listed = 0, all = 0, seeks = 0;
    char room[ACCESS_SEEK_MAX], copy[ACCESS_SEEK_MAX];
    str after = STR("");
    for (size_t i = 0; i < name_count; i++)
        all += may(s, names[i]);
    for (;;) {
        str last = STR_NONE;
        seeks++;
        if (!access_seek(&s->access, after, room, &last))
            break;
        assert_true(str_cmp(last, after) >= 0);
        assert_true(str_copy(last, copy, sizeof(copy)));
        size_t from = first_behind(after), to = first_behind(last);
        for (size_t i = from; i < to; i++)
            assert_false(may(s, names[i]));
        for (; to < name_count && may(s, names[to]); to++)
            listed++;
        if (to == name_count)
            break;
        after = names[to];
        assert_true(str_cmp(after, str_of(copy)) > 0); /* it goes on */
    }
    assert_int_equal(all, listed);
    /* Each begins behind an end of a setting. */
    assert_true(seeks <= 2 + 3 * (s->access.member_count + s->access.visibility_count) + 3);
}

static void seeking_finds_what_looking_finds(void **state)
{
    (void)state;
    char text[8];
    char room[ACCESS_SEEK_MAX];
    static const char *const odd[] = { "~", "a/", "a//", "/", "a/~", "A", "zz/~", "a-", "0/." };
    name_count = 0;
    make_names(text, 0, 5);
    qsort(names, name_count, sizeof(names[0]), by_bytes);
    for (int round = 0; round < 400; round++) {
        struct settings s;
        make_settings(&s);
        list_by_seeking(&s);
        for (size_t i = 0; i < 20 + ARRAY_LEN(odd); i++) {
            str after = i < 20 ? names[some(name_count)] : str_of(odd[i - 20]);
            str last = STR_NONE;
            size_t from = first_behind(after);
            assert_true(str_copy(after, room, sizeof(room))); /* in the room itself */
            bool found = access_seek(&s.access, (str){ room, after.len }, room, &last);
            size_t to = found ? first_behind(last) : name_count;
            assert_true(!found || str_cmp(last, after) >= 0);
            for (size_t n = from; n < to; n++)
                assert_false(may(&s, names[n]));
        }
    }
}

static void seeking_in_the_longest_names(void **state)
{
    (void)state;
    char text[255], room[ACCESS_SEEK_MAX];
    memset(text, 'a', sizeof(text));
    text[100] = '/';
    str name = { text, sizeof(text) };
    str last;
    const struct access_visibility v[] = { { { text, 100 }, true }, { name, false } };
    const struct access_member m[] = { { name, ROLE_GUEST } };
    struct access a = { .visibility = v, .visibility_count = 2, .cap_rights = RIGHTS_ALL };
    assert_true(access_seek(&a, STR(""), room, &last));
    assert_true(access_seek(&a, name, room, &last));
    a = (struct access){ .members = m, .member_count = 1, .cap_rights = RIGHTS_ALL };
    a.cap_prefix = name;
    assert_true(access_seek(&a, STR("a"), room, &last));
    assert_true(access_seek(&a, name, room, &last));
    assert_int_equal(256, last.len);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(roles_add_up),
        cmocka_unit_test(roles_that_can_be_given),
        cmocka_unit_test(scopes_are_words),
        cmocka_unit_test(scopes_give_rights),
        cmocka_unit_test(prefixes_are_whole_components),
        cmocka_unit_test(the_highest_role_counts),
        cmocka_unit_test(the_nearest_visibility_counts),
        cmocka_unit_test(nothing_is_given_to_nobody),
        cmocka_unit_test(a_cap_only_takes_away),
        cmocka_unit_test(seeking_finds_what_looking_finds),
        cmocka_unit_test(seeking_in_the_longest_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
