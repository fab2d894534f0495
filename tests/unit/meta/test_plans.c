/* SPDX-License-Identifier: Apache-2.0
 *
 * What statements cost: none scans a table, and none works harder when the registry is ten times as
 * large. The statements are those in the connections' caches after every door was used.
 */
#include "base/mem.h"
#include "base/rng.h"
#include "db/db_sqlite.h"
#include "meta/accounts.h"
#include "meta/artifacts.h"
#include "meta/inspect.h"
#include "meta/locks.h"
#include "meta/members.h"
#include "meta/namespaces.h"
#include "meta/projects.h"
#include "meta/removals.h"
#include "meta/signing_keys.h"
#include "meta/trail.h"
#include "world_test.h"

static struct made image, other, index_a, index_b, signature;

static enum st stop_walking(void *ctx, const struct project_repository *r, struct err *err)
{
    (void)ctx;
    (void)r;
    (void)err;
    return ST_END;
}

/* What GitLab's API looks at. Not projects_list(): it costs the projects. */
static enum st look_as_gitlab(struct db_tx *tx, void *ctx, struct err *err)
{
    AUTO(arena_release) struct arena a = { .limit_bytes = 16 * MIB };
    const str *repo = ctx;
    struct project_repository r;
    struct gitlab_namespace found;
    struct name_page page;
    struct project_tag tag;
    struct project_tags_ask ask = { .limit = 10 };
    uint64_t total = 0;
    bool yes = false;
    str path = STR_NONE;
    enum st st = repositories_find(tx, *repo, &ask.repo_id, err);
    for (int descending = 0; st == ST_OK && descending < 2; descending++) {
        ask.descending = descending == 1;
        st = projects_tags(tx, &ask, &a, &page, &total, err);
    }
    if (st == ST_OK)
        st = projects_repository(tx, ask.repo_id, &a, &r, err);
    if (st == ST_OK)
        st = projects_walk(tx, *repo, stop_walking, NULL, err);
    if (st == ST_OK)
        st = projects_walk(tx, STR("a"), stop_walking, NULL, err);
    if (st == ST_OK)
        st = projects_exists(tx, STR("a"), &yes, err);
    if (st == ST_OK)
        st = projects_of(tx, *repo, &a, &path, err);
    if (st == ST_OK)
        st = projects_tag(tx, ask.repo_id, STR("v1"), &a, &tag, err);
    if (st == ST_OK)
        st = removals_due(tx, INT64_MAX, &yes, err);
    if (st == ST_OK && namespaces_find_id(tx, 1, &a, &found, NULL) == ST_OK)
        st = err_set(err, ST_BUG, "there are no numbers here");
    return st;
}

static enum st list_projects(struct db_tx *tx, void *ctx, struct err *err)
{
    AUTO(arena_release) struct arena a = { .limit_bytes = 16 * MIB };
    struct name_page page;
    bool taken = false;
    (void)ctx;
    enum st st = projects_list(tx, 10, &a, &page, err);
    return st == ST_OK ? projects_take_lease(tx, 1, 2, 3, &taken, err) : st;
}

/* What people look at. */
static void look(struct world *w, const char *repo)
{
    AUTO(arena_release) struct arena a = { .limit_bytes = 16 * MIB };
    struct inspect_repositories repositories;
    struct inspect_tags tags;
    struct inspect_usage usage;
    struct inspect_image seen;
    struct inspect_why why;
    struct inspect_layer *layers;
    size_t count;
    str name = str_of(repo);
    OK(inspect_repositories(&w->r, STR(""), STR_NONE, 10, &a, &repositories, &w->err));
    OK(inspect_repositories(&w->r, name, STR_NONE, 10, &a, &repositories, &w->err));
    OK(inspect_tags(&w->r, name, STR_NONE, 10, w->now, &a, &tags, &w->err));
    /* Not of `repo`: it costs what lies below the prefix. */
    OK(inspect_usage(&w->r, STR("mounted"), 2, &a, &usage, &w->err));
    OK(inspect_image(&w->r, name, STR("b"), NULL, w->now, &a, &seen, &w->err));
    OK(inspect_image(&w->r, name, STR_NONE, &signature.digest, w->now, &a, &seen, &w->err));
    OK(inspect_why(&w->r, name, STR("v1"), NULL, w->now, &a, &why, &w->err));
    OK(inspect_why(&w->r, name, STR_NONE, &signature.digest, w->now, &a, &why, &w->err));
    OK(inspect_why(&w->r, name, STR_NONE, &image.parts[0].digest, w->now, &a, &why, &w->err));
    OK(inspect_why(&w->r, STR_NONE, STR_NONE, &image.parts[0].digest, w->now, &a, &why, &w->err));
    OK(inspect_layers(&w->r, 10, 5, &a, &layers, &count, &w->err));
    OK(db_read(w->r.db, look_as_gitlab, &name, &w->err));
}

/* What Azure's API looks at. */
static void look_as_azure(struct world *w, const char *name)
{
    AUTO(arena_release) struct arena a = { .limit_bytes = 16 * MIB };
    struct artifact_repository repository;
    struct artifact_tags tags;
    struct artifact_tag tag;
    struct artifact_manifests manifests;
    struct artifact_manifest manifest;
    str repo = str_of(name);
    bool locked = false;
    OK(artifacts_repository(&w->r, repo, &repository, &w->err));
    OK(artifacts_tag(&w->r, repo, STR("v1"), &a, &tag, &w->err));
    OK(artifacts_manifest(&w->r, repo, &index_b.digest, &a, &manifest, &w->err));
    OK(artifacts_locked(&w->r, repo, STR_NONE, &index_b.digest, &locked, &w->err));
    for (int order = ARTIFACTS_BY_NAME; order <= ARTIFACTS_NEWEST; order++) {
        struct artifacts_query q = { .repo = repo, .order = order, .limit = 10 };
        OK(artifacts_tags(&w->r, &q, &a, &tags, &w->err));
        OK(artifacts_manifests(&w->r, &q, &a, &manifests, &w->err));
        q.after_tag = STR("b");
        q.has_digest = true;
        q.after_digest = index_b.digest;
        q.only = &index_b.digest;
        OK(artifacts_tags(&w->r, &q, &a, &tags, &w->err));
        OK(artifacts_manifests(&w->r, &q, &a, &manifests, &w->err));
    }
}

/* ... once index_b, and its tag, are deleted. */
static void look_into_trash(struct world *w, const char *name)
{
    AUTO(arena_release) struct arena a = { .limit_bytes = 16 * MIB };
    struct artifacts_deleted deleted;
    str repo = str_of(name);
    int64_t receipt = 0;
    str by_tag = STR_NONE;
    OK(artifacts_deleted_repositories(&w->r, STR_NONE, 10, w->now, &a, &deleted, &w->err));
    OK(artifacts_deleted_manifests(&w->r, repo, NULL, 10, w->now, &a, &deleted, &w->err));
    assert_true(deleted.count > 0);
    OK(artifacts_deleted_tags(&w->r, repo, NULL, 10, w->now, &a, &deleted, &w->err));
    assert_true(deleted.count > 0);
    OK(artifacts_find_deleted(&w->r, repo, &index_b.digest, STR("none"), w->now, &a, &receipt,
                              &by_tag, &w->err));
    OK(artifacts_find_deleted(&w->r, repo, &index_b.digest, STR("b"), w->now, &a, &receipt, &by_tag,
                              &w->err));
}

/* Uses every door of a repository; it has its own manifests, so that it can be done again. */
static void use_all(struct world *w, const char *repo, const char *name)
{
    AUTO(arena_release) struct arena a = { 0 };
    struct name_page page = { 0 };
    struct referrer_page referrers = { 0 };
    struct blob_row row = { 0 };
    struct upload_row open = { 0 };
    uint64_t count = 0;
    bool known = false;
    char text[64], id[33];
    (void)snprintf(text, sizeof(text), "%s image", name);
    push_image(w, repo, text, "v1", &image);
    (void)snprintf(text, sizeof(text), "%s other", name);
    push_image(w, repo, text, "v1", &other);
    OK(world_push(w, repo, &image, NULL));
    (void)snprintf(text, sizeof(text), "%s index a", name);
    made_index(&index_a, text);
    made_add_child(&index_a, &image.digest);
    OK(world_push(w, repo, &index_a, "a"));
    (void)snprintf(text, sizeof(text), "%s index b", name);
    made_index(&index_b, text);
    made_add_child(&index_b, &image.digest);
    made_add_child(&index_b, &other.digest);
    OK(world_push(w, repo, &index_b, "b"));
    (void)snprintf(text, sizeof(text), "%s signature", name);
    made_image(&signature, text);
    made_set_subject(&signature, &image.digest);
    OK(world_push(w, repo, &signature, NULL));
    OK(registry_list_referrers(&w->r, str_of(repo), &image.digest, STR_NONE, NULL, 10, &a,
                               &referrers, &w->err));
    OK(registry_list_tags(&w->r, str_of(repo), STR("a"), 10, &a, &page, &w->err));
    OK(registry_list_repositories(&w->r, STR_NONE, 10, &a, &page, &w->err));
    OK(registry_count_uploads(&w->r, &count, &w->err));
    look(w, repo);
    look_as_azure(w, repo);
    OK(world_mount(w, "mounted", repo, &image.parts[0].digest));
    OK(world_mount(w, "mounted", NULL, &image.parts[1].digest));
    OK(registry_blob_homes(&w->r, &image.parts[1].digest, 10, &a, &page, &w->err));
    assert_int_equal(page.count, 2);
    w->now += WORLD_LEASE;
    OK(world_head_blob(w, "mounted", &image.parts[0].digest));
    OK(world_head_manifest(w, repo, &signature.digest));
    OK(registry_find_blob(&w->r, STR("mounted"), &image.parts[1].digest, &a, &row, &known,
                          &w->err));
    OK(registry_report_damage(&w->r, &row, w->now, &w->err));
    (void)snprintf(text, sizeof(text), "%s image/layer", name);
    OK(world_upload(w, repo, text));
    OK(world_upload(w, repo, text));
    world_name(w, id);
    OK(registry_start_upload(&w->r, str_of(repo), str_of(id), STR_NONE, w->now, &w->err));
    OK(registry_find_upload(&w->r, str_of(repo), str_of(id), &a, &open, &w->err));
    OK(registry_cancel_upload(&w->r, str_of(repo), str_of(id), w->now, &w->err));
    world_name(w, id);
    OK(registry_start_upload(&w->r, str_of(repo), str_of(id), STR_NONE, w->now, &w->err));
    OK(world_delete_tag(w, repo, "a"));
    IS(ST_DENIED, world_delete_manifest(w, repo, &other.digest));
    OK(world_delete_manifest(w, repo, &index_b.digest));
    look_into_trash(w, repo);
    OK(world_delete_manifest(w, repo, &index_a.digest));
    OK(world_push(w, repo, &other, "v1"));
    IS(ST_DENIED, world_delete_blob(w, repo, &other.parts[0].digest));
    OK(world_delete_blob(w, "mounted", &image.parts[0].digest));
    OK(world_settle(w));
    OK(world_delete_manifest(w, repo, &other.digest));
    OK(world_settle(w));
}

typedef void (*statement_fn)(const struct db_stmt *stmt, void *ctx);

/* Only between calls: the connections are idle then. */
static void each_statement(struct world *w, statement_fn fn, void *ctx)
{
    const struct db_sqlite *engine = w->r.db->engine;
    for (const struct db_stmt *s = engine->writer.conn->oldest; s != NULL; s = s->newer)
        fn(s, ctx);
    for (unsigned i = 0; i < w->r.db->pool.idle_count; i++)
        for (const struct db_stmt *s = w->r.db->pool.idle[i].conn->oldest; s != NULL; s = s->newer)
            fn(s, ctx);
}

/* Scans that are meant: of what is small, or of one page of an index in its order. */
static bool scan_is_meant(const char *sql, const char *detail)
{
    static const char *const meant[][2] = {
        { "SELECT count(*)", "" },             /* of tests */
        { "SELECT COUNT(*) FROM upload", "" }, /* for a metric; uploads are few */
        { "", "SCAN open" },                   /* at most uploads_per_repository rows */
        { "FROM rule ORDER BY id LIMIT", "" }, /* all rules, when they changed */
        { "SELECT 1 FROM hold LIMIT 1", "" },  /* its first row */
        { "SELECT EXISTS (SELECT 1 FROM rule)", "" },
        { "EXISTS (SELECT 1 FROM lock)", "SCAN lock" },
        { "WHERE administrator = 1", "account_administrator" }, /* these only */
        { "FROM signing_key ORDER BY", "USING INDEX" },         /* a page of it, in order */
        { "kid <> (SELECT kid FROM signing_key", "USING COVERING INDEX" }, /* its last row */
        { "", "SCAN above" }, /* what names one manifest */
        { "", "SCAN CONSTANT ROW" },
        { "CROSS JOIN manifest m WHERE",
          "SCAN r" },           /* a digest in any repository: a look-up each */
        { "", "SCAN counted" }, /* at most INSPECT_COUNT rows */
    };
    for (size_t i = 0; i < ARRAY_LEN(meant); i++)
        if (strstr(sql, meant[i][0]) != NULL && strstr(detail, meant[i][1]) != NULL &&
            (meant[i][0][0] != '\0' || meant[i][1][0] != '\0'))
            return true;
    return false;
}

struct plans {
    int statements;
    int bad;
};

static void check_plan(const struct db_stmt *stmt, void *ctx)
{
    struct plans *p = ctx;
    char text[4096];
    sqlite3_stmt *plan = NULL;
    if (strncmp(stmt->sql, "SELECT", 6) != 0 && strncmp(stmt->sql, "UPDATE", 6) != 0 &&
        strncmp(stmt->sql, "INSERT", 6) != 0 && strncmp(stmt->sql, "DELETE", 6) != 0)
        return;
    p->statements++;
    (void)snprintf(text, sizeof(text), "EXPLAIN QUERY PLAN %s", stmt->sql);
    assert_int_equal(sqlite3_prepare_v2(stmt->conn->handle, text, -1, &plan, NULL), SQLITE_OK);
    while (sqlite3_step(plan) == SQLITE_ROW) {
        const char *detail = (const char *)sqlite3_column_text(plan, 3);
        if (getenv("PLANS_VERBOSE") != NULL)
            print_message("%s\n    %s\n", stmt->sql, detail);
        if (strncmp(detail, "SCAN", 4) == 0 && !scan_is_meant(stmt->sql, detail)) {
            print_error("%s\n    %s\n", stmt->sql, detail);
            p->bad++;
        }
    }
    (void)sqlite3_finalize(plan);
}

static void no_statement_scans_a_table(void **state)
{
    struct world *w = *state;
    struct plans plans = { 0 };
    use_all(w, "app", "first");
    OK(db_write(w->r.db, list_projects, NULL, &w->err));
    each_statement(w, check_plan, &plans);
    assert_true(plans.statements > 55); /* that the caches held them */
    assert_int_equal(plans.bad, 0);
}

/* Accounts, tokens and keys: each function once, whatever it finds. */
static enum st use_accounts(struct db_tx *tx, void *ctx, struct err *err)
{
    AUTO(arena_release) struct arena a = { 0 };
    struct world *w = ctx;
    const struct account in = { .name = STR("bob"), .kind = ACCOUNT_PERSON, .hash = STR("$y$x") };
    const struct access_token made = { .name = STR("t"), .prefix = STR("team"), .scopes = 1 };
    const struct account_change raise = { .set_administrator = true, .administrator = true };
    const struct account_change lower = { .set_administrator = true };
    const uint8_t hash[TOKEN_HASH_BYTES] = { 0 };
    struct account account, *accounts;
    struct access_token token, *tokens;
    struct signing_key key = { .kid = STR("k"), .jwk = STR("{}") }, *keys;
    int64_t id = 0, token_id = 0;
    uint64_t all = 0;
    size_t count;
    OK(accounts_add(tx, &in, &id, err));
    OK(accounts_find_id(tx, id, &a, &account, err));
    OK(accounts_list(tx, STR(""), 5, &a, &accounts, &count, err));
    OK(accounts_count(tx, &all, err));
    OK(accounts_note_use(tx, id, w->now, err));
    token = made;
    token.account_id = id;
    OK(tokens_add(tx, &token, hash, &token_id, err));
    OK(tokens_find(tx, hash, &a, &token, err));
    OK(tokens_remove(tx, token_id, err));
    OK(tokens_add(tx, &made, hash, &token_id, err));
    OK(tokens_list(tx, TOKENS_ALL, 0, STR_NONE, 0, 5, &a, &tokens, &count, err));
    OK(tokens_list(tx, TOKENS_OF_ACCOUNT, id, STR_NONE, 0, 5, &a, &tokens, &count, err));
    OK(tokens_list(tx, TOKENS_DEPLOY, 0, STR(""), 0, 5, &a, &tokens, &count, err));
    OK(tokens_list(tx, TOKENS_DEPLOY, 0, STR("team"), 0, 5, &a, &tokens, &count, err));
    OK(tokens_note_use(tx, token_id, w->now, err));
    OK(tokens_expire(tx, w->now, 0, 5, err));
    OK(signing_keys_add(tx, &key, err));
    OK(signing_keys_list(tx, &a, &keys, &count, err));
    OK(signing_keys_drop(tx, w->now, err));
    OK(accounts_change(tx, STR("bob"), &raise, err));
    IS(ST_DENIED, accounts_change(tx, STR("bob"), &lower, err));
    OK(accounts_remove(tx, STR("bob"), err));
    return ST_OK;
}

/* Roles, visibility, the audit log, locks, levels. */
static enum st use_rights(struct db_tx *tx, void *ctx, struct err *err)
{
    AUTO(arena_release) struct arena a = { 0 };
    struct world *w = ctx;
    const struct account in = { .name = STR("eve"), .kind = ACCOUNT_ROBOT };
    const struct member member = { .prefix = STR("team"), .account = STR("eve"), .role = 10 };
    const struct trail_entry entry = { .at = 1, .actor = STR("eve") };
    const struct digest digest = world_digest("x");
    const struct lock_object object = { .repo = STR("app"), .digest = &digest };
    struct rule rule = { .kind = RULE_LEVELS, .repo = STR("app"), .push_role = ROLE_OWNER };
    struct member *members;
    struct access_member *own;
    struct access_visibility *visible;
    struct trail_entry *entries;
    unsigned may = 0;
    bool any = false;
    enum role role;
    int64_t id = 0;
    size_t count;
    OK(accounts_add(tx, &in, &id, err));
    OK(members_set(tx, &member, err));
    OK(members_list(tx, STR("team/x"), true, &a, &members, &count, err));
    OK(members_of_account(tx, id, &a, &own, &count, err));
    OK(members_role(tx, STR("eve"), STR("team/x"), w->now, &role, err));
    OK(members_role(tx, STR("deploy-token-1"), STR("team/x"), w->now, &role, err));
    OK(members_remove(tx, STR("team"), STR("eve"), err));
    OK(visibility_set(tx, STR("team"), true, err));
    OK(visibility_list(tx, &a, &visible, &count, err));
    OK(visibility_remove(tx, STR("team"), err));
    OK(trail_add(tx, &entry, err));
    for (int i = 0; i < 4; i++)
        OK(trail_list(tx, i % 2 == 0 ? STR("eve") : STR_NONE, i / 2 == 0 ? STR("x") : STR_NONE, 0,
                      5, &a, &entries, &count, err));
    OK(trail_expire(tx, w->now, 5, err));
    OK(locks_set(tx, &object, 0, &w->r.keeping, w->now, err));
    OK(locks_get(tx, &object, &may, err));
    OK(locks_any(tx, &any, err));
    OK(locks_set(tx, &object, LOCK_MAY_ALL, &w->r.keeping, w->now, err));
    OK(rules_add(tx, &rule, &rule.id, err));
    OK(rules_change(tx, &rule, err));
    OK(rules_remove(tx, rule.id, err));
    return ST_OK;
}

static enum st use_gitlab(struct db_tx *tx, void *ctx, struct err *err)
{
    AUTO(arena_release) struct arena a = { 0 };
    struct world *w = ctx;
    const struct repo_removal in = { .repo_id = 7, .repo = STR("app") };
    struct gitlab_namespace space;
    struct repo_removal out, *list;
    size_t count;
    OK(namespaces_get(tx, STR("team"), false, &a, &space, err));
    OK(namespaces_get(tx, STR("team"), true, &a, &space, err));
    OK(namespaces_find_id(tx, space.id, &a, &space, err));
    OK(removals_add(tx, &in, err));
    OK(removals_take(tx, w->now, &a, &out, err));
    OK(removals_list(tx, 0, 5, &a, &list, &count, err));
    OK(removals_fail(tx, 7, STR("why"), w->now, err));
    OK(removals_reset(tx, 7, w->now, err));
    OK(removals_done(tx, 7, err));
    return ST_OK;
}

static void no_statement_about_rights_scans_a_table(void **state)
{
    struct world *w = *state;
    static const db_fn uses[] = { use_accounts, use_rights, use_gitlab };
    struct plans plans = { 0 };
    for (size_t i = 0; i < ARRAY_LEN(uses); i++)
        OK(db_write(w->r.db, uses[i], w, &w->err));
    each_statement(w, check_plan, &plans);
    assert_true(plans.statements > 50); /* that the caches held them */
    assert_int_equal(plans.bad, 0);
}

/* ---- cost ----------------------------------------------------------------------------------- */

/* A registry of `n` images in as many repositories, and `n` more in one, each with a tag and a
 * layer of its own; one layer is shared by all in the one; all in use. */
static enum st fill(struct db_tx *tx, void *ctx, struct err *err)
{
    static const char *const lines[] = {
        "INSERT INTO repository (id, name, created_at, manifests, tags)"
        " SELECT 1000000 + i, 'fill/' || i, 0, 1, 1 FROM n",
        "INSERT INTO repository (id, name, created_at) VALUES (999999, 'app', 0)",
        "INSERT INTO blob (id, digest, size, name, created_at)"
        " SELECT 1000000 + i, x'01' || randomblob(32), 1, lower(hex(randomblob(16))), 0 FROM n",
        "INSERT INTO repo_blob (repo_id, blob_id, lease_until)"
        " SELECT 1000000 + i, 1000000 + i, 0 FROM n",
        "INSERT INTO repo_blob (repo_id, blob_id, lease_until)"
        " SELECT 999999, 1000000 + i, 0 FROM n",
        "INSERT INTO manifest (id, repo_id, digest, media_type, size, pushed_at)"
        " SELECT 1000000 + i, 1000000 + i, x'01' || randomblob(32), 'm', 1, 0 FROM n",
        "INSERT INTO manifest_payload SELECT 1000000 + i, 'x' FROM n",
        "INSERT INTO manifest (id, repo_id, digest, media_type, size, pushed_at)"
        " SELECT 3000000 + i, 999999, x'01' || randomblob(32), 'm', 1, 0 FROM n",
        "INSERT INTO manifest_payload SELECT 3000000 + i, 'x' FROM n",
        "INSERT INTO manifest_blob (manifest_id, blob_id, repo_id)"
        " SELECT 1000000 + i, 1000000 + i, 1000000 + i FROM n",
        "INSERT INTO manifest_blob (manifest_id, blob_id, repo_id)"
        " SELECT 3000000 + i, 1000000 + i, 999999 FROM n",
        "INSERT OR IGNORE INTO manifest_blob (manifest_id, blob_id, repo_id)"
        " SELECT 3000000 + i, 1000001, 999999 FROM n",
        "INSERT INTO tag (repo_id, name, manifest_id, tagged_at)"
        " SELECT 1000000 + i, 'v1', 1000000 + i, 0 FROM n",
        "INSERT INTO tag (repo_id, name, manifest_id, tagged_at)"
        " SELECT 999999, 'fill-' || i, 3000000 + i, 0 FROM n",
    };
    static char texts[ARRAY_LEN(lines)][512]; /* constants for the cache of statements */
    const int64_t *n = ctx;
    enum st st = ST_OK;
    for (size_t i = 0; i < ARRAY_LEN(lines) && st == ST_OK; i++) {
        (void)snprintf(texts[i], sizeof(texts[i]),
                       "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i <"
                       " $1) %s",
                       lines[i]);
        bool takes_n = strstr(lines[i], "FROM n") != NULL;
        st = db_run(tx, takes_n ? texts[i] : lines[i],
                    takes_n ? (const struct db_arg[]){ DB_INT(*n) } : NULL, takes_n ? 1 : 0, NULL,
                    err);
    }
    return st;
}

/* `n` kept indexes that all name the image "shared", use its layer and refer to it. */
static enum st fill_sharers(struct db_tx *tx, void *ctx, struct err *err)
{
    const int64_t *n = ctx;
#define SHARED                                                                                     \
    "(SELECT id, repo_id, digest FROM manifest JOIN manifest_payload ON manifest_id = id WHERE "   \
    "payload = CAST('shared' AS BLOB))"
#define NUMBERS "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < $1) "
    const struct db_arg args[] = { DB_INT(*n) };
    enum st st = db_run(
        tx,
        NUMBERS "INSERT INTO manifest (id, repo_id, digest, media_type, size, pushed_at,"
                " subject) SELECT 5000000 + i, s.repo_id, x'01' || randomblob(32), 'm', 1, 0,"
                " s.digest FROM n, " SHARED " AS s",
        args, 1, NULL, err);
    if (st == ST_OK)
        st = db_run(tx, NUMBERS "INSERT INTO manifest_payload SELECT 5000000 + i, 'x' FROM n", args,
                    1, NULL, err);
    if (st == ST_OK)
        st = db_run(tx,
                    NUMBERS "INSERT INTO manifest_child (manifest_id, digest, repo_id)"
                            " SELECT 5000000 + i, s.digest, s.repo_id FROM n, " SHARED " AS s",
                    args, 1, NULL, err);
    if (st == ST_OK)
        st = db_run(tx,
                    NUMBERS "INSERT INTO manifest_blob (manifest_id, blob_id, repo_id)"
                            " SELECT 5000000 + i, u.blob_id, s.repo_id FROM n, " SHARED " AS s"
                            " JOIN manifest_blob u ON u.manifest_id = s.id",
                    args, 1, NULL, err);
    return st;
}

/* One more sharer comes and goes. */
static void use_shared(struct world *w, const struct made *shared, const char *name)
{
    struct made index, user;
    char text[64];
    (void)snprintf(text, sizeof(text), "%s index", name);
    made_index(&index, text);
    made_add_child(&index, &shared->digest);
    (void)snprintf(text, sizeof(text), "%s user", name);
    made_image(&user, text);
    made_add_blob(&user, &shared->parts[1].digest, false);
    OK(world_push(w, "app", &index, "i"));
    OK(world_push(w, "app", &user, "u"));
    OK(world_push(w, "app", &user, "i"));
    OK(world_push(w, "app", &index, NULL));
    OK(world_head_blob(w, "app", &shared->parts[1].digest));
    IS(ST_DENIED, world_delete_blob(w, "app", &shared->parts[1].digest));
    IS(ST_DENIED, world_delete_manifest(w, "app", &shared->digest));
    OK(world_delete_manifest(w, "app", &index.digest));
    OK(world_delete_manifest(w, "app", &user.digest));
    OK(world_settle(w));
}

static void reset(const struct db_stmt *stmt, void *ctx)
{
    (void)ctx;
    (void)sqlite3_stmt_status(stmt->handle, SQLITE_STMTSTATUS_VM_STEP, 1);
    (void)sqlite3_stmt_status(stmt->handle, SQLITE_STMTSTATUS_FULLSCAN_STEP, 1);
}

struct cost {
    int64_t steps, worst;
    const char *worst_sql;
};

static void add_cost(const struct db_stmt *stmt, void *ctx)
{
    struct cost *c = ctx;
    int steps = sqlite3_stmt_status(stmt->handle, SQLITE_STMTSTATUS_VM_STEP, 0);
    if (strncmp(stmt->sql, "SELECT count(*)", 15) == 0 || strncmp(stmt->sql, "WITH", 4) == 0)
        return;
    c->steps += steps;
    if (steps > c->worst) {
        c->worst = steps;
        c->worst_sql = stmt->sql;
    }
}

static struct cost cost_in(int64_t n)
{
    struct world world;
    struct world *w = &world;
    struct cost cost = { 0 };
    if (!world_open(w, ""))
        fail_msg("%s", w->err.text);
    OK(db_write(w->r.db, fill, &n, &w->err));
    use_all(w, "app", "warm"); /* prepares the statements */
    each_statement(w, reset, NULL);
    use_all(w, "app", "measured");
    each_statement(w, add_cost, &cost);
    world_close(w);
    return cost;
}

static void cost_does_not_grow_with_the_registry(void **state)
{
    (void)state;
    struct cost small = cost_in(1000);
    struct cost large = cost_in(30000);
    print_message("steps of the engine: %lld among 1,000 images, %lld among 30,000; worst %lld in"
                  " %.100s\n",
                  (long long)small.steps, (long long)large.steps, (long long)large.worst,
                  large.worst_sql);
    assert_true(large.steps < small.steps + small.steps / 10);
}

static struct cost cost_among_sharers(int64_t n)
{
    struct world world;
    struct world *w = &world;
    struct cost cost = { 0 };
    struct made shared;
    if (!world_open(w, ""))
        fail_msg("%s", w->err.text);
    push_image(w, "app", "shared", "shared", &shared);
    OK(db_write(w->r.db, fill_sharers, &n, &w->err));
    assert_int_equal(world_count(w, "SELECT count(*) FROM manifest_child"), n);
    assert_int_equal(world_count(w, "SELECT count(*) FROM manifest_blob"), 2 * n + 2);
    use_shared(w, &shared, "warm");
    each_statement(w, reset, NULL);
    use_shared(w, &shared, "measured");
    each_statement(w, add_cost, &cost);
    world_close(w);
    return cost;
}

static void cost_does_not_grow_with_sharing(void **state)
{
    (void)state;
    struct cost few = cost_among_sharers(100);
    struct cost many = cost_among_sharers(10000);
    print_message("steps of the engine: %lld among 100 sharers, %lld among 10,000; worst %lld in"
                  " %.100s\n",
                  (long long)few.steps, (long long)many.steps, (long long)many.worst,
                  many.worst_sql);
    assert_true(many.steps < few.steps + few.steps / 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WORLD_TEST(no_statement_scans_a_table),
        WORLD_TEST(no_statement_about_rights_scans_a_table),
        cmocka_unit_test(cost_does_not_grow_with_the_registry),
        cmocka_unit_test(cost_does_not_grow_with_sharing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
