/* SPDX-License-Identifier: Apache-2.0
 *
 * Locks and rules about levels in pushes, reads and lists. (In deletions: tests/unit/deletion.)
 */
#include "meta/accounts.h"
#include "meta/inspect.h"
#include "meta/locks.h"
#include "meta/members.h"
#include "registry_test.h"

struct call {
    struct fixture *f;
    struct rule rule;
    struct lock_object object;
    unsigned may;
    int64_t id;
};

static enum st set_lock(struct db_tx *tx, void *ctx, struct err *err)
{
    const struct call *c = ctx;
    return locks_set(tx, &c->object, c->may, &c->f->r.keeping, c->f->now, err);
}

static enum st get_lock(struct db_tx *tx, void *ctx, struct err *err)
{
    struct call *c = ctx;
    return locks_get(tx, &c->object, &c->may, err);
}

static enum st any_lock(struct db_tx *tx, void *ctx, struct err *err)
{
    bool any = false;
    enum st st = locks_any(tx, &any, err);
    ((struct call *)ctx)->may = any;
    return st;
}

static struct call call_of(struct fixture *f, const char *repo, const char *tag, const char *of)
{
    static struct digest d;
    if (of != NULL)
        d = digest_for(of);
    return (struct call){
        .f = f,
        .object = { .repo = str_of(repo), .tag = str_of(tag), .digest = of == NULL ? NULL : &d }
    };
}

static void lock(struct fixture *f, const char *repo, const char *tag, const char *of, unsigned may)
{
    struct call c = call_of(f, repo, tag, of);
    c.may = may;
    OK(db_write(f->r.db, set_lock, &c, &f->err));
}

static unsigned lock_of(struct fixture *f, const char *repo, const char *tag, const char *of)
{
    struct call c = call_of(f, repo, tag, of);
    OK(db_read(f->r.db, get_lock, &c, &f->err));
    return c.may;
}

static bool any(struct fixture *f)
{
    struct call c = { .f = f };
    OK(db_read(f->r.db, any_lock, &c, &f->err));
    return c.may != 0;
}

#define NO_WRITE (LOCK_MAY_ALL & ~(unsigned)LOCK_MAY_WRITE)
#define NO_READ  (LOCK_MAY_ALL & ~(unsigned)LOCK_MAY_READ)
#define NO_LIST  (LOCK_MAY_ALL & ~(unsigned)LOCK_MAY_LIST)
#define SAYS(s)  assert_string_equal(s, f->err.text)

static void says_in_part(struct fixture *f, const char *want)
{
    if (strstr(f->err.text, want) == NULL)
        print_error("\"%s\" does not say \"%s\"\n", f->err.text, want);
    assert_non_null(strstr(f->err.text, want));
}

/* ---- rows ------------------------------------------------------------------------------------ */

static void objects_have_locks_of_their_own(void **state)
{
    struct fixture *f = *state;
    assert_false(any(f));
    assert_int_equal(LOCK_MAY_ALL, lock_of(f, "app", NULL, NULL));
    lock(f, "app", NULL, NULL, 1);
    lock(f, "app", "v1", NULL, 2);
    lock(f, "app", NULL, "image", 4);
    assert_int_equal(1, lock_of(f, "app", NULL, NULL));
    assert_int_equal(2, lock_of(f, "app", "v1", NULL));
    assert_int_equal(4, lock_of(f, "app", NULL, "image"));
    assert_int_equal(LOCK_MAY_ALL, lock_of(f, "app", "v2", NULL));
    assert_int_equal(LOCK_MAY_ALL, lock_of(f, "apple", NULL, NULL));
    assert_int_equal(LOCK_MAY_ALL, lock_of(f, "apple", NULL, "image"));
    lock(f, "app", "v1", NULL, 8);
    assert_int_equal(8, lock_of(f, "app", "v1", NULL));
    assert_true(any(f));
    lock(f, "app", NULL, NULL, LOCK_MAY_ALL);
    lock(f, "app", "v1", NULL, LOCK_MAY_ALL);
    lock(f, "app", NULL, "image", LOCK_MAY_ALL);
    assert_false(any(f));
    assert_int_equal(0, number(f, "SELECT count(*) FROM lock"));
}

/* ---- pushes ---------------------------------------------------------------------------------- */

static enum st mount(struct fixture *f, const char *repo, const char *from, const char *of)
{
    struct digest d = digest_for(of);
    return registry_mount(&f->r, str_of(repo), str_of(from), &d, f->now, &f->err);
}

static void write_locks_bind_pushes(void **state)
{
    struct fixture *f = *state;
    push_image(f, "app", "one", "v1");
    push_image(f, "app", "two", NULL);
    lock(f, "app", "v1", NULL, NO_WRITE);
    IS(ST_DENIED, push(f, "app", "two", "v1"));
    SAYS("the tag v1 of app is locked: it must not be changed (writeEnabled is false)");
    IS(ST_DENIED, push(f, "app", "one", "v1"));
    OK(push(f, "app", "two", "v2"));
    lock(f, "app", "v1", NULL, LOCK_MAY_WRITE); /* which is not about deleting it */
    OK(push(f, "app", "two", "v1"));
    lock(f, "app", "later", NULL, NO_WRITE); /* that is not there yet */
    IS(ST_DENIED, push(f, "app", "two", "later"));

    lock(f, "app", NULL, "one", NO_WRITE);
    IS(ST_DENIED, push(f, "app", "one", "v3"));
    says_in_part(f, " in app is locked: it must not be changed (writeEnabled is false)");
    OK(push(f, "app", "two", "v3"));

    lock(f, "app", NULL, NULL, NO_WRITE);
    IS(ST_DENIED, push(f, "app", "two", "v3"));
    SAYS("the repository app is locked: it must not be changed (writeEnabled is false)");
    IS(ST_DENIED, upload(f, "app", "bytes"));
    IS(ST_DENIED, mount(f, "app", "app", "one/layer"));
    OK(mount(f, "other", "app", "one/layer"));
    push_image(f, "apple", "one", "v1");
    lock(f, "app", NULL, NULL, LOCK_MAY_WRITE);
    OK(push(f, "app", "two", "v3"));
    OK(upload(f, "app", "bytes"));
}

/* Seen in the next transaction, although rules are compiled once. */
static void locks_are_seen_at_once(void **state)
{
    struct fixture *f = *state;
    push_image(f, "app", "one", "v1");
    for (int i = 0; i < 3; i++) {
        lock(f, "app", "v1", NULL, NO_WRITE);
        IS(ST_DENIED, push(f, "app", "one", "v1"));
        lock(f, "app", "v1", NULL, LOCK_MAY_ALL);
        OK(push(f, "app", "one", "v1"));
    }
}

/* A manifest that must not be deleted or changed needs no tag. */
static void locks_keep_manifests(void **state)
{
    struct fixture *f = *state;
    static const char due[] = "SELECT coalesce(due_at, 0) FROM manifest";
    push_image(f, "app", "one", NULL);
    for (unsigned may = 0; may <= LOCK_MAY_ALL; may++) {
        bool keeps = (may & 3) != 3;
        lock(f, "app", NULL, "one", may);
        assert_int_equal(keeps ? 0 : f->now + GRACE, number(f, due));
        lock(f, "app", NULL, "one", LOCK_MAY_ALL);
        assert_int_equal(f->now + GRACE, number(f, due));
    }
    lock(f, "app", NULL, "another", 0);
    lock(f, "apple", NULL, "one", 0);
    lock(f, "app", "one", NULL, 0);
    assert_int_equal(f->now + GRACE, number(f, due));
}

/* ---- reads ----------------------------------------------------------------------------------- */

static enum st find(struct fixture *f, const char *repo, const char *tag, const char *of)
{
    AUTO(arena_release) struct arena a = { 0 };
    struct digest d = digest_for(of == NULL ? "" : of);
    struct manifest_row row = { 0 };
    bool known = false;
    enum st st = registry_find_manifest(&f->r, str_of(repo), str_of(tag), of == NULL ? NULL : &d,
                                        &a, &row, &known, &f->err);
    assert_true(st == ST_OK || row.id == 0);
    return st;
}

static enum st find_blob(struct fixture *f, const char *repo, const char *of)
{
    AUTO(arena_release) struct arena a = { 0 };
    struct digest d = digest_for(of);
    struct blob_row row = { 0 };
    bool known = false;
    return registry_find_blob(&f->r, str_of(repo), &d, &a, &row, &known, &f->err);
}

static void read_locks_bind_reads(void **state)
{
    struct fixture *f = *state;
    push_image(f, "app", "one", "v1");
    OK(push(f, "app", "one", "v2"));
    lock(f, "app", "v1", NULL, NO_READ);
    IS(ST_DENIED, find(f, "app", "v1", NULL));
    SAYS("the tag v1 of app is locked: it must not be read (readEnabled is false)");
    OK(find(f, "app", "v2", NULL));
    OK(find(f, "app", NULL, "one"));
    OK(find_blob(f, "app", "one/layer"));
    lock(f, "app", NULL, "one", NO_READ);
    IS(ST_DENIED, find(f, "app", NULL, "one"));
    says_in_part(f, " in app is locked: it must not be read (readEnabled is false)");
    IS(ST_DENIED, find(f, "app", "v2", NULL));
    IS(ST_NOT_FOUND, find(f, "app", "v3", NULL));
    lock(f, "app", NULL, "one", LOCK_MAY_READ);
    lock(f, "app", NULL, NULL, NO_READ);
    IS(ST_DENIED, find(f, "app", "v2", NULL));
    SAYS("the repository app is locked: it must not be read (readEnabled is false)");
    IS(ST_DENIED, find_blob(f, "app", "one/layer"));
    IS(ST_NOT_FOUND, mount(f, "other", "app", "one/layer"));
    lock(f, "app", NULL, NULL, LOCK_MAY_READ);
    OK(find(f, "app", "v2", NULL));
    OK(find_blob(f, "app", "one/layer"));
    OK(mount(f, "other", "app", "one/layer"));
}

/* ---- lists ----------------------------------------------------------------------------------- */

static void expect_names(const struct name_page *page, const char *want)
{
    char text[256] = "";
    size_t len = 0;
    for (size_t i = 0; i < page->count; i++) {
        int added = snprintf(text + len, sizeof(text) - len, "%.*s ", STR_FMT(page->names[i]));
        len += (size_t)added;
    }
    assert_string_equal(want, text);
}

static void list_locks_hide(void **state)
{
    struct fixture *f = *state;
    AUTO(arena_release) struct arena a = { 0 };
    struct name_page page;
    struct inspect_tags tags;
    struct inspect_repositories repositories;
    static const char *const names[] = { "v1", "v2", "v3" };
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        push_image(f, "app", "one", names[i]);
        push_image(f, i == 0 ? "app/x" : i == 1 ? "app/y" : "zoo", "one", "v1");
    }
    lock(f, "app", "v2", NULL, NO_LIST);
    lock(f, "app", "v3", NULL, LOCK_MAY_LIST);
    lock(f, "app/x", "v1", NULL, NO_LIST);
    OK(registry_list_tags(&f->r, STR("app"), STR_NONE, 2, &a, &page, &f->err));
    expect_names(&page, "v1 v3 ");
    assert_false(page.more);
    OK(inspect_tags(&f->r, STR("app"), STR_NONE, 9, f->now, &a, &tags, &f->err));
    assert_int_equal(2, tags.count);
    assert_true(str_eq(tags.items[1].name, STR("v3")));
    OK(find(f, "app", "v2", NULL)); /* hidden, and there */
    lock(f, "app", NULL, NULL, NO_LIST);
    lock(f, "app/y", NULL, NULL, NO_LIST);
    OK(registry_list_repositories(&f->r, STR_NONE, 9, &a, &page, &f->err));
    expect_names(&page, "app/x zoo ");
    OK(registry_list_tags(&f->r, STR("app"), STR_NONE, 9, &a, &page, &f->err));
    expect_names(&page, "v1 v3 ");
    OK(inspect_repositories(&f->r, STR(""), STR_NONE, 9, &a, &repositories, &f->err));
    assert_int_equal(2, repositories.count);
    OK(inspect_repositories(&f->r, STR("app"), STR_NONE, 9, &a, &repositories, &f->err));
    assert_int_equal(1, repositories.count);
    lock(f, "app", NULL, NULL, LOCK_MAY_LIST);
    OK(inspect_repositories(&f->r, STR("app"), STR_NONE, 9, &a, &repositories, &f->err));
    assert_int_equal(2, repositories.count);
}

/* ---- levels ---------------------------------------------------------------------------------- */

static enum st add_rule(struct db_tx *tx, void *ctx, struct err *err)
{
    struct call *c = ctx;
    return rules_add(tx, &c->rule, &c->id, err);
}

static enum st change_rule(struct db_tx *tx, void *ctx, struct err *err)
{
    return rules_change(tx, &((struct call *)ctx)->rule, err);
}

static enum st remove_rule(struct db_tx *tx, void *ctx, struct err *err)
{
    return rules_remove(tx, ((struct call *)ctx)->id, err);
}

static enum st try_levels(struct fixture *f, const char *repo, const char *tag, enum role pushes,
                          enum role deletes, int64_t *id)
{
    struct call c = { .f = f,
                      .rule = { .kind = RULE_LEVELS,
                                .repo = str_of(repo),
                                .tag = str_of(tag),
                                .reason = STR("releases"),
                                .push_role = pushes,
                                .delete_role = deletes } };
    enum st st = db_write(f->r.db, add_rule, &c, &f->err);
    if (st == ST_OK)
        *id = c.id;
    return st;
}

static int64_t levels(struct fixture *f, const char *repo, const char *tag, enum role pushes)
{
    int64_t id = 0;
    OK(try_levels(f, repo, tag, pushes, ROLE_NONE, &id));
    return id;
}

static enum st add_people(struct db_tx *tx, void *ctx, struct err *err)
{
    struct fixture *f = ctx;
    static const char *const names[] = { "dev", "boss", "root" };
    static const enum role roles[] = { ROLE_DEVELOPER, ROLE_MAINTAINER, ROLE_NONE };
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        const struct account in = { .name = str_of(names[i]),
                                    .kind = ACCOUNT_ROBOT,
                                    .administrator = roles[i] == ROLE_NONE,
                                    .created_at = f->now };
        const struct member m = { .prefix = STR("app"), .account = in.name, .role = roles[i] };
        int64_t id = 0;
        OK(accounts_add(tx, &in, &id, err));
        if (!in.administrator)
            OK(members_set(tx, &m, err));
    }
    return ST_OK;
}

static int accounts_setup(void **state)
{
    if (setup(state) != 0)
        return -1;
    struct fixture *f = *state;
    protection_cache_free(f->r.protection);
    OK(protection_cache_new(true, &f->r.protection, &f->err));
    OK(db_write(f->r.db, add_people, f, &f->err));
    return 0;
}
#define ACCOUNTS_TEST(fn) cmocka_unit_test_setup_teardown(fn, accounts_setup, teardown)

static void what_is_no_level(void **state)
{
    struct fixture *f = *state;
    int64_t id = 0;
    IS(ST_INVALID, try_levels(f, "app", "v*", ROLE_NONE, ROLE_NONE, &id));
    says_in_part(f, "names the role");
    IS(ST_INVALID, try_levels(f, "app", "v*", (enum role)20, ROLE_NONE, &id));
    IS(ST_INVALID, try_levels(f, "app", "v*", ROLE_OWNER, (enum role) - 1, &id));
    IS(ST_INVALID, try_levels(f, "app", "", ROLE_OWNER, ROLE_NONE, &id));
    IS(ST_INVALID, try_levels(f, "", NULL, ROLE_OWNER, ROLE_NONE, &id));
    IS(ST_INVALID, try_levels(f, "app", "re:(", ROLE_OWNER, ROLE_NONE, &id));
    struct call c = { .f = f,
                      .rule = { .kind = RULE_IMMUTABLE,
                                .repo = STR("app"),
                                .tag = STR("v*"),
                                .push_role = ROLE_OWNER } };
    IS(ST_INVALID, db_write(f->r.db, add_rule, &c, &f->err));
    assert_int_equal(0, number(f, "SELECT count(*) FROM rule"));
}

static void levels_bind_pushes(void **state)
{
    struct fixture *f = *state;
    f->actor = "dev";
    push_image(f, "app", "one", "v1");
    push_image(f, "app", "two", "x");
    int64_t id = levels(f, "app", "v*", ROLE_MAINTAINER);
    IS(ST_DENIED, push(f, "app", "two", "v1"));
    SAYS("to push the tag v1 of app takes the role maintainer, and dev has developer there"
         " (rule 1: releases)");
    IS(ST_DENIED, push(f, "app", "one", "v1")); /* the same again is set, too */
    IS(ST_DENIED, push(f, "app", "one", "v2")); /* and a new one */
    OK(push(f, "app", "two", "w"));
    OK(push(f, "app", "two", NULL));
    f->actor = NULL;
    IS(ST_DENIED, push(f, "app", "one", "v1"));
    SAYS("to push the tag v1 of app takes the role maintainer, and nobody has none there"
         " (rule 1: releases)");
    f->actor = "boss";
    OK(push(f, "app", "two", "v1"));
    OK(db_write(f->r.db, remove_rule, &(struct call){ .id = id }, &f->err));

    (void)levels(f, "a**", NULL, ROLE_MAINTAINER);
    OK(push(f, "app", "two", "v1"));
    f->actor = "dev";
    IS(ST_DENIED, push(f, "app", "two", "x"));
    SAYS("to push to app takes the role maintainer, and dev has developer there"
         " (rule 1: releases)");
    IS(ST_DENIED, push(f, "app", "two", NULL));
    OK(upload(f, "app", "bytes")); /* bytes are no image yet */
    f->actor = "boss";
    push_image(f, "b/app", "one", "v1"); /* nothing is said of that */
    IS(ST_DENIED, push(f, "apple", "one", "v1"));
    says_in_part(f, "boss has none there");
    f->actor = "root";
    push_image(f, "apple", "one", "v1");
}

static void the_highest_of_several_levels_counts(void **state)
{
    struct fixture *f = *state;
    f->actor = "boss";
    push_image(f, "app", "one", NULL);
    (void)levels(f, "app", "v*", ROLE_DEVELOPER);
    OK(push(f, "app", "one", "v1"));
    (void)levels(f, "**", "*1", ROLE_OWNER);
    IS(ST_DENIED, push(f, "app", "one", "v1"));
    says_in_part(f, "takes the role owner, and boss has maintainer there (rule 2");
    OK(push(f, "app", "one", "v2"));
}

/* A pattern that cannot be decided binds. */
static void an_undecided_level_binds(void **state)
{
    struct fixture *f = *state;
    f->actor = "dev";
    push_image(f, "app", "one", NULL);
    (void)levels(f, "app", "re:(a|aa)+[bc]", ROLE_MAINTAINER);
    IS(ST_DENIED, push(f, "app", "one", "aaaaaaaaaaaaaaaaaaaaaaaaaaaa"));
    says_in_part(f, "could not be decided");
    f->actor = "boss";
    OK(push(f, "app", "one", "aaaaaaaaaaaaaaaaaaaaaaaaaaaa"));
}

static void rules_are_changed(void **state)
{
    struct fixture *f = *state;
    f->actor = "dev";
    push_image(f, "app", "one", "v1");
    struct call c = { .f = f };
    c.rule = (struct rule){ .id = levels(f, "app", "v*", ROLE_OWNER),
                            .repo = STR("app"),
                            .tag = STR("w*"),
                            .delete_role = ROLE_OWNER,
                            .push_role = ROLE_MAINTAINER };
    IS(ST_DENIED, push(f, "app", "one", "v1"));
    OK(db_write(f->r.db, change_rule, &c, &f->err));
    OK(push(f, "app", "one", "v1"));
    IS(ST_DENIED, push(f, "app", "one", "w"));
    says_in_part(f, "(rule 1)");
    assert_int_equal(ROLE_OWNER, number(f, "SELECT delete_role FROM rule WHERE kind = 'l'"));
    c.rule.tag = STR_NONE; /* the repository, from now on */
    OK(db_write(f->r.db, change_rule, &c, &f->err));
    IS(ST_DENIED, push(f, "app", "one", "v1"));
    c.rule.push_role = c.rule.delete_role = ROLE_NONE;
    IS(ST_INVALID, db_write(f->r.db, change_rule, &c, &f->err));
    c.rule.id = 99;
    IS(ST_NOT_FOUND, db_write(f->r.db, change_rule, &c, &f->err));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        REGISTRY_TEST(objects_have_locks_of_their_own),
        REGISTRY_TEST(write_locks_bind_pushes),
        REGISTRY_TEST(locks_are_seen_at_once),
        REGISTRY_TEST(locks_keep_manifests),
        REGISTRY_TEST(read_locks_bind_reads),
        REGISTRY_TEST(list_locks_hide),
        ACCOUNTS_TEST(what_is_no_level),
        ACCOUNTS_TEST(levels_bind_pushes),
        ACCOUNTS_TEST(the_highest_of_several_levels_counts),
        ACCOUNTS_TEST(an_undecided_level_binds),
        ACCOUNTS_TEST(rules_are_changed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
