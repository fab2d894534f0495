/* SPDX-License-Identifier: Apache-2.0
 *
 * Rules and holds: every act against every kind of rule and of pattern, the doors that push, and
 * that compiled rules are never older than the rows.
 */
#include <unistd.h>

#include "db/db_sqlite.h"
#include "registry_test.h"

/* 28 times "a": (a|aa)+[bc] is not decided within a pattern's limits. */
#define TRAP      "aaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define TRAP_RULE "re:(a|aa)+[bc]"

/* ---- one call, one transaction --------------------------------------------------------------- */

struct call {
    struct fixture *f;
    struct rule rule;
    struct hold hold;
    struct protection_case asked;
    int64_t id;
    size_t count;
    size_t limit;
    bool cached;
};

static enum st add_rule(struct db_tx *tx, void *ctx, struct err *err)
{
    struct call *c = ctx;
    return rules_add(tx, &c->rule, &c->id, err);
}

static enum st remove_rule(struct db_tx *tx, void *ctx, struct err *err)
{
    return rules_remove(tx, ((struct call *)ctx)->id, err);
}

static enum st add_hold(struct db_tx *tx, void *ctx, struct err *err)
{
    struct call *c = ctx;
    return holds_add(tx, &c->hold, &c->f->r.keeping, &c->id, err);
}

static enum st remove_hold(struct db_tx *tx, void *ctx, struct err *err)
{
    struct call *c = ctx;
    return holds_remove(tx, c->id, &c->f->r.keeping, c->f->now, err);
}

static enum st expire_holds(struct db_tx *tx, void *ctx, struct err *err)
{
    struct call *c = ctx;
    return holds_expire(tx, &c->f->r.keeping, c->f->now, c->limit, &c->count, err);
}

static enum st ask(struct db_tx *tx, void *ctx, struct err *err)
{
    struct call *c = ctx;
    AUTO(protection_release) struct protection *p = NULL;
    enum st st = protection_load(tx, c->f->r.protection, &p, err);
    return st == ST_OK ? protection_check(tx, p, &c->asked, c->f->now, err) : st;
}

static enum st try_rule(struct fixture *f, enum rule_kind kind, const char *repo, const char *tag,
                        const char *reason, int64_t *id)
{
    struct call c = { .f = f,
                      .rule = { .kind = kind,
                                .repo = str_of(repo),
                                .tag = str_of(tag),
                                .reason = str_of(reason),
                                .actor = STR("tester"),
                                .created_at = f->now } };
    enum st st = db_write(f->r.db, add_rule, &c, &f->err);
    if (st == ST_OK)
        *id = c.id;
    return st;
}

static int64_t rule(struct fixture *f, enum rule_kind kind, const char *repo, const char *tag,
                    const char *reason)
{
    int64_t id = 0;
    OK(try_rule(f, kind, repo, tag, reason, &id));
    return id;
}

static void drop_rule(struct fixture *f, int64_t id)
{
    OK(db_write(f->r.db, remove_rule, &(struct call){ .f = f, .id = id }, &f->err));
}

static enum st try_hold(struct fixture *f, const char *repo, const char *of, int64_t until,
                        int64_t *id)
{
    struct call c = { .f = f,
                      .hold = { .repo = str_of(repo),
                                .digest = digest_for(of),
                                .until = until,
                                .reason = STR("evidence"),
                                .actor = STR("tester"),
                                .created_at = f->now } };
    enum st st = db_write(f->r.db, add_hold, &c, &f->err);
    if (st == ST_OK)
        *id = c.id;
    return st;
}

static int64_t hold(struct fixture *f, const char *repo, const char *of, int64_t until)
{
    int64_t id = 0;
    OK(try_hold(f, repo, of, until, &id));
    return id;
}

static enum st asked(struct fixture *f, enum protection_act act, const char *repo, const char *tag,
                     const char *of)
{
    struct digest d = digest_for(of == NULL ? "" : of);
    struct call c = { .f = f,
                      .asked = { .act = act,
                                 .repo = str_of(repo),
                                 .tag = str_of(tag),
                                 .digest = of == NULL ? NULL : &d } };
    return db_read(f->r.db, ask, &c, &f->err);
}

#define SAYS(sentence) assert_string_equal(sentence, f->err.text)

/* ---- rules ----------------------------------------------------------------------------------- */

static const enum protection_act acts[] = { PROTECT_PUSH, PROTECT_SET_TAG, PROTECT_DELETE_TAG,
                                            PROTECT_DELETE_MANIFEST, PROTECT_DELETE_BLOB };

/* Which acts a rule of each kind is against, where its patterns match or cannot be decided. */
static const bool against[][ARRAY_LEN(acts)] = {
    [RULE_IMMUTABLE] = { false, true, true, false, false },
    [RULE_PROTECTED] = { false, false, true, false, false },
    [RULE_READ_ONLY] = { true, true, true, true, true },
};

static void every_act_against_every_rule(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *pattern;
        const char *text;
        bool match;
    } repos[] = {
        { "team/app", "team/app", true },   { "team/app", "team/apps", false },
        { "team/*", "team/app", true },     { "team/*", "team/app/x", false },
        { "team/**", "team/app/x", true },  { "**", "team/app", true },
        { "team/ap?", "team/app", true },   { "*", "team/app", false },
    }, tags[] = {
        { "v1.0", "v1.0", true },           { "v1.0", "v1x0", false },
        { "v*", "v1.0", true },             { "v*", "1.0", false },
        { "*", "latest", true },            { "re:v\\d+\\.\\d+", "v1.0", true },
        { "re:v\\d+", "v1.0", false },      { TRAP_RULE, TRAP, true },
        { TRAP_RULE, "b", false },
    };
    for (int kind = RULE_IMMUTABLE; kind <= RULE_READ_ONLY; kind++) {
        for (size_t r = 0; r < ARRAY_LEN(repos); r++) {
            for (size_t t = 0; t < ARRAY_LEN(tags); t++) {
                bool whole = kind == RULE_READ_ONLY;
                int64_t id = rule(f, (enum rule_kind)kind, repos[r].pattern,
                                  whole ? NULL : tags[t].pattern, NULL);
                bool match = repos[r].match && (whole || tags[t].match);
                for (size_t a = 0; a < ARRAY_LEN(acts); a++) {
                    enum st want = match && against[kind][a] ? ST_DENIED : ST_OK;
                    enum st got = asked(f, acts[a], repos[r].text, tags[t].text, "x");
                    if (got != want)
                        fail_msg("kind %d, act %zu, %s on %s, %s on %s: %s", kind, a,
                                 repos[r].pattern, repos[r].text, tags[t].pattern, tags[t].text,
                                 st_text(got));
                }
                drop_rule(f, id);
            }
        }
    }
}

static void sentences_name_the_rule(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(1, rule(f, RULE_READ_ONLY, "old/**", NULL, "moved to new"));
    assert_int_equal(2, rule(f, RULE_PROTECTED, "team/app", "v*", NULL));
    assert_int_equal(3, rule(f, RULE_IMMUTABLE, "team/app", "re:v\\d.*", "release tags"));
    assert_int_equal(4, rule(f, RULE_IMMUTABLE, "team/app", TRAP_RULE, "odd"));
    IS(ST_DENIED, asked(f, PROTECT_PUSH, "old/app", NULL, NULL));
    SAYS("old/app is read-only (rule 1: moved to new)");
    IS(ST_DENIED, asked(f, PROTECT_DELETE_TAG, "team/app", "v1.0", "x"));
    SAYS("the tag v1.0 of team/app is protected (rule 2)");
    IS(ST_DENIED, asked(f, PROTECT_SET_TAG, "team/app", "v1.0", "x"));
    SAYS("the tag v1.0 of team/app is immutable (rule 3: release tags)");
    IS(ST_DENIED, asked(f, PROTECT_SET_TAG, "team/app", TRAP, "x"));
    SAYS("the tag " TRAP " of team/app is taken for immutable (rule 4: odd); whether the rule means"
         " it could not be decided");
}

/* What was a pattern when the rule was made may be none for a newer library. */
static void a_broken_pattern_protects(void **state)
{
    struct fixture *f = *state;
    (void)rule(f, RULE_PROTECTED, "team/app", "v*", NULL);
    (void)rule(f, RULE_READ_ONLY, "other", NULL, NULL);
    run_sql(f, "UPDATE rule SET tag = 're:(' WHERE id = 1");
    run_sql(f, "UPDATE rule SET repo = '' WHERE id = 2");
    IS(ST_DENIED, asked(f, PROTECT_DELETE_TAG, "team/app", "x", "x"));
    SAYS("the tag x of team/app is taken for protected (rule 1); whether the rule means it could"
         " not be decided");
    run_sql(f, "DELETE FROM rule WHERE id = 1");
}

static void what_is_no_rule(void **state)
{
    struct fixture *f = *state;
    int64_t id = 0;
    IS(ST_INVALID, try_rule(f, RULE_IMMUTABLE, "app", "re:(", NULL, &id));
    IS(ST_INVALID, try_rule(f, RULE_IMMUTABLE, "app", "re:(?=x)", NULL, &id));
    IS(ST_INVALID, try_rule(f, RULE_IMMUTABLE, "app", "", NULL, &id));
    IS(ST_INVALID, try_rule(f, RULE_IMMUTABLE, "app", NULL, NULL, &id));
    IS(ST_INVALID, try_rule(f, RULE_IMMUTABLE, "", "v*", NULL, &id));
    IS(ST_INVALID, try_rule(f, RULE_IMMUTABLE, "re:a.*", "v*", NULL, &id));
    IS(ST_INVALID, try_rule(f, RULE_READ_ONLY, "app", "v*", NULL, &id));
    IS(ST_NOT_FOUND, db_write(f->r.db, remove_rule, &(struct call){ .f = f, .id = 7 }, &f->err));
    SAYS("there is no rule 7");
    assert_int_equal(0, number(f, "SELECT count(*) FROM rule"));
    assert_int_equal(0, number(f, "SELECT count(*) FROM setting"));
    run_sql(f, "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000)"
               " INSERT INTO rule (kind, repo, tag, created_at, actor)"
               " SELECT 'p', 'none', 'none', 0, '' FROM n");
    IS(ST_TOO_LARGE, try_rule(f, RULE_IMMUTABLE, "app", "v*", NULL, &id));
}

static enum st list_rules(struct db_tx *tx, void *ctx, struct err *err)
{
    struct fixture *f = ctx;
    AUTO(arena_release) struct arena a = { 0 };
    struct rule *list = NULL;
    size_t count = 0;
    enum st st = rules_list(tx, &a, &list, &count, err);
    if (st != ST_OK)
        return st;
    assert_int_equal(2, count);
    assert_true(list[0].id == 1 && list[0].kind == RULE_IMMUTABLE && list[1].id == 2);
    assert_true(str_eq(list[0].repo, STR("app")) && str_eq(list[0].tag, STR("v*")));
    assert_true(str_eq(list[0].reason, STR("why")) && str_eq(list[0].actor, STR("tester")));
    assert_int_equal(f->now, list[0].created_at);
    assert_true(list[1].kind == RULE_READ_ONLY && list[1].tag.ptr == NULL &&
                list[1].reason.ptr == NULL);
    return ST_OK;
}

static void rules_are_listed(void **state)
{
    struct fixture *f = *state;
    (void)rule(f, RULE_IMMUTABLE, "app", "v*", "why");
    (void)rule(f, RULE_READ_ONLY, "old", NULL, NULL);
    OK(db_read(f->r.db, list_rules, f, &f->err));
}

/* ---- the cache ------------------------------------------------------------------------------- */

static enum st change_and_ask(struct db_tx *tx, void *ctx, struct err *err)
{
    struct call *c = ctx;
    struct fixture *f = c->f;
    OK(ask(tx, c, err));
    OK(add_rule(tx, c, err));
    IS(ST_DENIED, ask(tx, c, err));
    /* What is rolled back was in the cache, and must not be used. */
    return err_set(err, ST_BUG, "rolled back");
}

static void changes_are_seen_at_once(void **state)
{
    struct fixture *f = *state;
    struct call c = { .f = f,
                      .rule = { .kind = RULE_READ_ONLY, .repo = STR("app"), .actor = STR("t") },
                      .asked = { .act = PROTECT_PUSH, .repo = STR("app") } };
    IS(ST_BUG, db_write(f->r.db, change_and_ask, &c, &f->err));
    OK(asked(f, PROTECT_PUSH, "app", NULL, NULL));
    OK(asked(f, PROTECT_PUSH, "app", NULL, NULL));
    /* The rolled back id again, with another rule. */
    int64_t id = rule(f, RULE_READ_ONLY, "other", NULL, NULL);
    assert_int_equal(c.id, id);
    OK(asked(f, PROTECT_PUSH, "app", NULL, NULL));
    IS(ST_DENIED, asked(f, PROTECT_PUSH, "other", NULL, NULL));
    drop_rule(f, id);
    OK(asked(f, PROTECT_PUSH, "other", NULL, NULL));
}

/* Two processes' worth of connections and caches on one file. */
static void changes_elsewhere_are_seen(void **state)
{
    (void)state;
    struct fixture one, two;
    struct fixture *f = &one;
    char path[] = "/tmp/ebb-protection-XXXXXX";
    assert_non_null(mkdtemp(path));
    char file[64];
    (void)snprintf(file, sizeof(file), "%s/db", path);
    open_registry(&one, file);
    two = one;
    two.r.protection = NULL;
    OK(protection_cache_new(false, &two.r.protection, &two.err));
    OK(asked(&two, PROTECT_PUSH, "app", NULL, NULL));
    int64_t id = rule(&one, RULE_READ_ONLY, "app", NULL, NULL);
    IS(ST_DENIED, asked(&two, PROTECT_PUSH, "app", NULL, NULL));
    drop_rule(&one, id);
    OK(asked(&two, PROTECT_PUSH, "app", NULL, NULL));
    protection_cache_free(two.r.protection);
    close_registry(&one);
    static const char *const ends[] = { "", "-wal", "-shm" };
    for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
        (void)snprintf(file, sizeof(file), "%s/db%s", path, ends[i]);
        (void)unlink(file);
    }
    assert_int_equal(0, rmdir(path));
}

static enum st load_twice(struct db_tx *tx, void *ctx, struct err *err)
{
    struct call *c = ctx;
    AUTO(protection_release) struct protection *first = NULL;
    AUTO(protection_release) struct protection *second = NULL;
    enum st st = protection_load(tx, c->f->r.protection, &first, err);
    if (st == ST_OK)
        st = protection_load(tx, c->f->r.protection, &second, err);
    c->cached = first == second;
    return st;
}

static void rules_are_compiled_once(void **state)
{
    struct fixture *f = *state;
    struct call c = { .f = f };
    (void)rule(f, RULE_READ_ONLY, "app", NULL, NULL);
    OK(db_read(f->r.db, load_twice, &c, &f->err));
    assert_true(c.cached);
}

/* ---- pushing --------------------------------------------------------------------------------- */

static enum st mount(struct fixture *f, const char *repo, const char *from, const char *of)
{
    struct digest d = digest_for(of);
    return registry_mount(&f->r, str_of(repo), str_of(from), &d, f->now, &f->err);
}

static void read_only_takes_no_push(void **state)
{
    struct fixture *f = *state;
    push_image(f, "app", "one", "v1");
    OK(registry_start_upload(&f->r, STR("app"), STR("begun"), STR_NONE, f->now, &f->err));
    int64_t id = rule(f, RULE_READ_ONLY, "ap*", NULL, NULL);
    struct digest d = digest_for("late");
    const struct blob_arrival late = {
        .digest = &d, .size = 4, .name = STR("begun"), .data = STR("late")
    };
    IS(ST_DENIED, registry_finish_upload(&f->r, STR("app"), &late, f->now, &f->err));
    SAYS("app is read-only (rule 1)");
    IS(ST_DENIED,
       registry_start_upload(&f->r, STR("app"), STR("other"), STR_NONE, f->now, &f->err));
    IS(ST_DENIED, mount(f, "app", "app", "one/layer"));
    IS(ST_DENIED, mount(f, "app", NULL, "nowhere"));
    IS(ST_DENIED, push(f, "app", "one", "v1"));
    IS(ST_DENIED, push(f, "app", "one", NULL));
    IS(ST_DENIED, push(f, "apple", "one", NULL));
    assert_int_equal(-1, number(f, "SELECT 1 FROM repository WHERE name = 'apple'"));
    OK(mount(f, "other", "app", "one/layer")); /* out of it is fine */
    drop_rule(f, id);
    OK(registry_finish_upload(&f->r, STR("app"), &late, f->now, &f->err));
    OK(push(f, "app", "one", "v1"));
}

static void immutable_tags_stay(void **state)
{
    struct fixture *f = *state;
    push_image(f, "app", "one", "v1");
    push_image(f, "app", "two", "latest");
    (void)rule(f, RULE_IMMUTABLE, "app", "v*", "releases");
    IS(ST_DENIED, push(f, "app", "two", "v1"));
    SAYS("the tag v1 of app is immutable (rule 1: releases)");
    OK(push(f, "app", "one", "v1")); /* the same again */
    OK(push(f, "app", "two", "v2")); /* a new one */
    IS(ST_DENIED, push(f, "app", "one", "v2"));
    OK(push(f, "app", "one", "latest"));
    assert_int_equal(1, number(f, "SELECT count(*) FROM tag t JOIN manifest_payload y"
                                  " ON y.manifest_id = t.manifest_id WHERE t.name = 'v1' AND"
                                  " CAST(y.payload AS TEXT) = 'one'"));
}

static void protected_tags_move(void **state)
{
    struct fixture *f = *state;
    push_image(f, "app", "one", "v1");
    push_image(f, "app", "two", NULL);
    (void)rule(f, RULE_PROTECTED, "app", "v*", NULL);
    OK(push(f, "app", "two", "v1"));
}

/* ---- holds ----------------------------------------------------------------------------------- */

static void holds_are_by_repository_or_everywhere(void **state)
{
    struct fixture *f = *state;
    static const enum protection_act deletes[] = { PROTECT_DELETE_TAG, PROTECT_DELETE_MANIFEST,
                                                   PROTECT_DELETE_BLOB };
    push_image(f, "one", "image", "v1");
    push_image(f, "two", "image", "v1");
    for (size_t everywhere = 0; everywhere < 2; everywhere++) {
        int64_t id = hold(f, everywhere ? "" : "one", "image", 0);
        for (size_t i = 0; i < ARRAY_LEN(deletes); i++) {
            IS(ST_DENIED, asked(f, deletes[i], "one", "v1", "image"));
            IS(everywhere ? ST_DENIED : ST_OK, asked(f, deletes[i], "two", "v1", "image"));
            OK(asked(f, deletes[i], "one", "v1", "another"));
        }
        OK(asked(f, PROTECT_PUSH, "one", "v1", "image"));
        OK(asked(f, PROTECT_SET_TAG, "one", "v1", "image"));
        OK(db_write(f->r.db, remove_hold, &(struct call){ .f = f, .id = id }, &f->err));
        OK(asked(f, PROTECT_DELETE_TAG, "one", "v1", "image"));
    }
    int64_t id = hold(f, "one", "image", 0);
    char want[256], text[DIGEST_TEXT_MAX + 1];
    struct digest d = digest_for("image");
    (void)digest_text(&d, text);
    IS(ST_DENIED, asked(f, PROTECT_DELETE_MANIFEST, "one", NULL, "image"));
    (void)snprintf(want, sizeof(want), "%s in one is held (hold %d: evidence)", text, (int)id);
    SAYS(want);
    IS(ST_DENIED, asked(f, PROTECT_DELETE_TAG, "one", "v1", "image"));
    (void)snprintf(want, sizeof(want),
                   "the tag v1 of one names %s, which is held (hold %d: evidence)", text, (int)id);
    SAYS(want);
}

/* A mistyped digest would hold nothing, and whoever set it would rely on it. */
static void a_hold_needs_something_to_hold(void **state)
{
    struct fixture *f = *state;
    int64_t id = 0;
    push_image(f, "one", "image", "v1");
    OK(mount(f, "two", "one", "image/layer"));
    IS(ST_NOT_FOUND, try_hold(f, "", "mistyped", 0, &id));
    IS(ST_NOT_FOUND, try_hold(f, "one", "mistyped", 0, &id));
    IS(ST_NOT_FOUND, try_hold(f, "two", "image", 0, &id));
    IS(ST_NOT_FOUND, try_hold(f, "none", "image", 0, &id));
    assert_int_equal(0, number(f, "SELECT count(*) FROM hold"));
    OK(try_hold(f, "one", "image", 0, &id));
    OK(try_hold(f, "two", "image/layer", 0, &id));
    OK(try_hold(f, "", "image", 0, &id));
    OK(try_hold(f, "", "image/layer", 0, &id));
    IS(ST_INVALID, try_hold(f, "one", "image", f->now, &id));
    IS(ST_INVALID, try_hold(f, "one", "image", -1, &id));
    IS(ST_NOT_FOUND, db_write(f->r.db, remove_hold, &(struct call){ .f = f, .id = 77 }, &f->err));
    SAYS("there is no hold 77");
}

static const char due_of_image[] =
    "SELECT coalesce(due_at, 0) FROM manifest JOIN manifest_payload ON manifest_id = id"
    " WHERE CAST(payload AS TEXT) = 'image'";
static const char due_of_layer[] = "SELECT coalesce(due_at, 0) FROM repo_blob";
static const char kept_of_layer[] = "SELECT kept FROM repo_blob";

static void holds_keep_and_let_go(void **state)
{
    struct fixture *f = *state;
    push_image(f, "app", "image", NULL);
    assert_int_equal(f->now + GRACE, number(f, due_of_image));
    int64_t id = hold(f, "app", "image", 0);
    int64_t other = hold(f, "", "image", 0);
    assert_int_equal(0, number(f, due_of_image));
    assert_int_equal(0, number(f, due_of_layer));
    assert_int_equal(1, number(f, kept_of_layer));
    f->now += 100 * CLOCK_DAY_MS;
    OK(db_write(f->r.db, remove_hold, &(struct call){ .f = f, .id = id }, &f->err));
    assert_int_equal(0, number(f, due_of_image));
    OK(db_write(f->r.db, remove_hold, &(struct call){ .f = f, .id = other }, &f->err));
    assert_int_equal(f->now + GRACE, number(f, due_of_image));
    assert_int_equal(f->now + GRACE, number(f, due_of_layer));
    assert_int_equal(0, number(f, kept_of_layer));
}

static void holds_end(void **state)
{
    struct fixture *f = *state;
    push_image(f, "app", "image", NULL);
    push_image(f, "app", "other", NULL);
    (void)hold(f, "app", "image", f->now + 10);
    (void)hold(f, "", "other", f->now + 20);
    (void)hold(f, "", "other/layer", f->now + 30);
    (void)hold(f, "", "image/layer", 0);
    struct call c = { .f = f, .limit = 1 };
    f->now += 9;
    IS(ST_DENIED, asked(f, PROTECT_DELETE_MANIFEST, "app", NULL, "image"));
    OK(db_write(f->r.db, expire_holds, &c, &f->err));
    assert_int_equal(0, c.count);
    f->now += 1;
    OK(asked(f, PROTECT_DELETE_MANIFEST, "app", NULL, "image")); /* over, seen by nobody yet */
    f->now += 10;
    OK(db_write(f->r.db, expire_holds, &c, &f->err));
    assert_int_equal(1, c.count);
    assert_int_equal(f->now + GRACE, number(f, due_of_image));
    assert_int_equal(0, number(f, "SELECT coalesce(due_at, 0) FROM manifest"
                                  " JOIN manifest_payload ON manifest_id = id"
                                  " WHERE CAST(payload AS TEXT) = 'other'"));
    c.limit = 10;
    f->now += 1000 * CLOCK_DAY_MS;
    OK(db_write(f->r.db, expire_holds, &c, &f->err));
    assert_int_equal(2, c.count);
    assert_int_equal(1, number(f, "SELECT count(*) FROM hold"));
}

static enum st review_link(struct db_tx *tx, void *ctx, struct err *err)
{
    struct call *c = ctx;
    struct removal removed = { 0 };
    const struct link_ref only = { 1, 1 };
    enum st st = links_review(tx, &only, c->f->now, &removed, err);
    c->count = removed.links;
    return st;
}

/* A link that a hold put off for years is looked at after a grace when the hold goes. */
static void links_go_on(void **state)
{
    struct fixture *f = *state;
    struct call c = { .f = f };
    OK(upload(f, "app", "bytes"));
    int64_t years = f->now + 3650 * CLOCK_DAY_MS;
    int64_t id = hold(f, "", "bytes", years);
    f->now += 2 * GRACE;
    OK(db_write(f->r.db, review_link, &c, &f->err));
    assert_int_equal(0, c.count);
    assert_int_equal(years, number(f, due_of_layer));
    OK(db_write(f->r.db, remove_hold, &(struct call){ .f = f, .id = id }, &f->err));
    assert_int_equal(f->now + GRACE, number(f, due_of_layer));
    /* One whose grace runs anyway keeps its time. */
    id = hold(f, "app", "bytes", 0);
    f->now += GRACE / 2;
    int64_t before = number(f, due_of_layer);
    OK(db_write(f->r.db, remove_hold, &(struct call){ .f = f, .id = id }, &f->err));
    assert_int_equal(before, number(f, due_of_layer));
    f->now += GRACE;
    OK(db_write(f->r.db, review_link, &c, &f->err));
    assert_int_equal(1, c.count);
}

/* Set on what lies in the trash already: it is not reclaimed either. */
static enum st reclaim_first(struct db_tx *tx, void *ctx, struct err *err)
{
    struct call *c = ctx;
    struct removal removed = { 0 };
    enum st st = manifests_reclaim(tx, 1, &c->f->r.keeping, c->f->now, &removed, err);
    c->count = removed.manifests;
    return st;
}

static enum st trash_first(struct db_tx *tx, void *ctx, struct err *err)
{
    struct call *c = ctx;
    struct standing s = { 0 };
    int64_t now = c->f->now;
    enum st st = manifests_standing(tx, 1, &s, err);
    return st == ST_OK
               ? manifests_trash(tx, 1, &s, 1, now + GRACE, &c->f->r.keeping, now, NULL, err)
               : st;
}

static void what_is_held_in_the_trash_stays(void **state)
{
    struct fixture *f = *state;
    struct call c = { .f = f };
    push_image(f, "app", "image", NULL);
    OK(db_write(f->r.db, trash_first, &c, &f->err));
    int64_t id = hold(f, "app", "image", 0);
    f->now += 10 * GRACE;
    OK(db_write(f->r.db, reclaim_first, &c, &f->err));
    assert_int_equal(0, c.count);
    OK(db_write(f->r.db, remove_hold, &(struct call){ .f = f, .id = id }, &f->err));
    f->now += 2 * CLOCK_DAY_MS;
    OK(db_write(f->r.db, reclaim_first, &c, &f->err));
    assert_int_equal(1, c.count);
}

static enum st list_holds(struct db_tx *tx, void *ctx, struct err *err)
{
    struct call *c = ctx;
    AUTO(arena_release) struct arena a = { 0 };
    struct hold *list = NULL;
    struct digest d = digest_for("image");
    enum st st = holds_list(tx, c->id, c->limit, &a, &list, &c->count, err);
    if (st != ST_OK || c->count == 0)
        return st;
    assert_true(digest_eq(&d, &list[0].digest) && list[0].id > c->id);
    assert_true(str_eq(list[0].reason, STR("evidence")) && str_eq(list[0].actor, STR("tester")));
    c->id = list[c->count - 1].id;
    return ST_OK;
}

static void holds_are_listed(void **state)
{
    struct fixture *f = *state;
    struct call c = { .f = f, .limit = 2 };
    push_image(f, "app", "image", NULL);
    for (int i = 0; i < 3; i++)
        (void)hold(f, i == 1 ? "app" : "", "image", i == 2 ? f->now + 5 : 0);
    static const size_t pages[] = { 2, 1, 0 };
    for (size_t i = 0; i < ARRAY_LEN(pages); i++) {
        OK(db_read(f->r.db, list_holds, &c, &f->err));
        assert_int_equal(pages[i], c.count);
    }
}

/* ---- what statements cost -------------------------------------------------------------------- */

static bool scan_is_meant(const char *sql, const char *detail)
{
    static const char *const details[] = {
        "SCAN r ",                        /* holds in every repository ask each repository once */
        "SCAN open",                      /* at most uploads_per_repository rows */
        "SCAN CONSTANT ROW", "SCAN lock", /* its first row */
    };
    for (size_t i = 0; i < ARRAY_LEN(details); i++)
        if (strncmp(detail, details[i], strlen(details[i])) == 0)
            return true;
    return strstr(sql, "FROM rule") != NULL; /* rules are few */
}

static int bad_plans(const struct db_stmt *stmt)
{
    char text[4096];
    sqlite3_stmt *plan = NULL;
    int bad = 0;
    if (strncmp(stmt->sql, "SELECT", 6) != 0 && strncmp(stmt->sql, "UPDATE", 6) != 0 &&
        strncmp(stmt->sql, "INSERT", 6) != 0 && strncmp(stmt->sql, "DELETE", 6) != 0)
        return 0;
    (void)snprintf(text, sizeof(text), "EXPLAIN QUERY PLAN %s", stmt->sql);
    assert_int_equal(SQLITE_OK, sqlite3_prepare_v2(stmt->conn->handle, text, -1, &plan, NULL));
    while (sqlite3_step(plan) == SQLITE_ROW) {
        const char *detail = (const char *)sqlite3_column_text(plan, 3);
        if (strncmp(detail, "SCAN", 4) == 0 && !scan_is_meant(stmt->sql, detail)) {
            print_error("%s\n    %s\n", stmt->sql, detail);
            bad++;
        }
    }
    (void)sqlite3_finalize(plan);
    return bad;
}

static void statements_use_indexes(void **state)
{
    struct fixture *f = *state;
    struct call c = { .f = f, .limit = 10 };
    drop_rule(f, rule(f, RULE_IMMUTABLE, "app", "v*", NULL));
    (void)rule(f, RULE_IMMUTABLE, "app", "v*", NULL);
    push_image(f, "app", "image", "v1");
    OK(push(f, "app", "image", "v1"));
    OK(mount(f, "other", "app", "image/layer"));
    IS(ST_DENIED, asked(f, PROTECT_DELETE_TAG, "app", "v1", "image"));
    c.id = hold(f, "app", "image", 0);
    OK(db_write(f->r.db, remove_hold, &c, &f->err));
    c.id = hold(f, "", "image", 0);
    OK(db_write(f->r.db, remove_hold, &c, &f->err));
    (void)hold(f, "", "image", f->now + 1);
    OK(asked(f, PROTECT_DELETE_BLOB, "app", NULL, "other"));
    OK(db_read(f->r.db, list_holds, &c, &f->err));
    f->now += 1;
    OK(db_write(f->r.db, expire_holds, &c, &f->err));
    const struct db_sqlite *engine = f->r.db->engine;
    int statements = 0, bad = 0;
    for (const struct db_stmt *s = engine->writer.conn->oldest; s != NULL;
         s = s->newer, statements++)
        bad += bad_plans(s);
    for (unsigned i = 0; i < f->r.db->pool.idle_count; i++)
        for (const struct db_stmt *s = f->r.db->pool.idle[i].conn->oldest; s != NULL;
             s = s->newer, statements++)
            bad += bad_plans(s);
    assert_true(statements > 30);
    assert_int_equal(0, bad);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        REGISTRY_TEST(every_act_against_every_rule),
        REGISTRY_TEST(sentences_name_the_rule),
        REGISTRY_TEST(a_broken_pattern_protects),
        REGISTRY_TEST(what_is_no_rule),
        REGISTRY_TEST(rules_are_listed),
        REGISTRY_TEST(changes_are_seen_at_once),
        cmocka_unit_test(changes_elsewhere_are_seen),
        REGISTRY_TEST(rules_are_compiled_once),
        REGISTRY_TEST(read_only_takes_no_push),
        REGISTRY_TEST(immutable_tags_stay),
        REGISTRY_TEST(protected_tags_move),
        REGISTRY_TEST(holds_are_by_repository_or_everywhere),
        REGISTRY_TEST(a_hold_needs_something_to_hold),
        REGISTRY_TEST(holds_keep_and_let_go),
        REGISTRY_TEST(holds_end),
        REGISTRY_TEST(links_go_on),
        REGISTRY_TEST(what_is_held_in_the_trash_stays),
        REGISTRY_TEST(holds_are_listed),
        REGISTRY_TEST(statements_use_indexes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
