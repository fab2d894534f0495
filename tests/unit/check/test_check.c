/* SPDX-License-Identifier: Apache-2.0
 *
 * Every finding: a sound registry is damaged in one way, and exactly that is found.
 */
#include <pthread.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/mem.h"
#include "check/check.h"
#include "meta/schema.h"
#include "world_test.h"

#define FOUND_MAX 64
struct noted {
    struct check_finding at[FOUND_MAX];
    char objects[FOUND_MAX][256];
    size_t count;
    unsigned stop_after; /* calls of progress(); 0: never */
    unsigned calls;
    bool without_counts; /* findings about counters are not noted */
};

struct fixture {
    struct world w;
    char dir[64];
    char path[96];
    struct noted noted;
    struct check_report report;
};

static void note(void *ctx, const struct check_finding *f)
{
    struct noted *n = ctx;
    if (n->without_counts && (f->code == CHECK_LINK_COUNT || f->code == CHECK_REPOSITORY_COUNT))
        return;
    assert_true(n->count < FOUND_MAX);
    n->at[n->count] = *f;
    (void)str_copy(f->object, n->objects[n->count], sizeof(n->objects[0]));
    print_message("  %s %.*s: %.*s\n", check_kinds[f->code].word, STR_FMT(f->object),
                  STR_FMT(f->detail));
    n->count++;
}

static bool advance(void *ctx, const struct check_progress *p)
{
    struct noted *n = ctx;
    assert_true(p->phase < CHECK_PHASES);
    return n->stop_after == 0 || ++n->calls < n->stop_after;
}

static enum st run(struct fixture *f, struct check_options options)
{
    const struct check_watch watch = { advance, note, &f->noted };
    f->noted.count = 0;
    f->noted.calls = 0;
    options.now = f->w.now;
    return check_run(&f->w.r, &options, &watch, &f->report, &f->w.err);
}

/* Past db/, as damage comes: foreign keys do not keep it out. */
static void damage(struct fixture *f, const char *sql)
{
    struct world *w = &f->w;
    sqlite3 *handle = NULL;
    char *message = NULL;
    db_close(w->r.db);
    w->r.db = NULL;
    assert_int_equal(sqlite3_open(f->path, &handle), SQLITE_OK);
    if (sqlite3_exec(handle, sql, NULL, NULL, &message) != SQLITE_OK)
        fail_msg("%s: %s", sql, message);
    assert_true(sqlite3_total_changes(handle) > 0);
    assert_int_equal(sqlite3_close(handle), SQLITE_OK);
    const struct db_options options = { .path = f->path, .no_sync = true, .readers_max = 2 };
    OK(db_open(&options, schema_migrations, schema_migration_count, &w->r.db, &w->err));
}

static int setup(void **state)
{
    struct fixture *f = mem_new(sizeof(*f));
    assert_non_null(f);
    (void)snprintf(f->dir, sizeof(f->dir), "/tmp/ebb-check-XXXXXX");
    if (mkdtemp(f->dir) == NULL)
        return -1;
    (void)snprintf(f->path, sizeof(f->path), "%s/db", f->dir);
    *state = f;
    return world_open(&f->w, f->path) ? 0 : -1;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    world_close(&f->w);
    char path[128];
    static const char *const ends[] = { "", "-wal", "-shm" };
    for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
        (void)snprintf(path, sizeof(path), "%s%s", f->path, ends[i]);
        (void)unlink(path);
    }
    (void)rmdir(f->dir);
    mem_free(f);
    return 0;
}

/* Two images under an index, a signature, one deleted image, a blob without a manifest, an inline
 * blob, an upload under way, a doomed name: a bit of everything that is in order. */
static void fill(struct fixture *f)
{
    struct world *w = &f->w;
    struct made a, b, index, signature, gone;
    push_image(w, "team/app", "a", NULL, &a);
    OK(world_push(w, "team/app", &a, NULL));
    push_image(w, "team/app", "b", "one", &b);
    made_index(&index, "index");
    made_add_child(&index, &a.digest);
    made_add_child(&index, &b.digest);
    OK(world_push(w, "team/app", &index, "many"));
    made_image(&signature, "signature");
    made_add_blob(&signature, &a.parts[0].digest, false);
    made_set_subject(&signature, &index.digest);
    OK(world_push(w, "team/app", &signature, NULL));
    push_image(w, "team/app", "gone", "gone", &gone);
    OK(world_delete_manifest(w, "team/app", &gone.digest));
    struct made lone;
    made_image(&lone, "lone");
    OK(world_push(w, "team/app", &lone, NULL));
    OK(world_upload(w, "team/app", "loose"));
    struct digest d = world_digest("few");
    OK(world_upload_as(w, "team/app", &d, "few", WORLD_INLINE));
    OK(world_upload(w, "other", "loose"));
    OK(registry_start_upload(&w->r, STR("other"), STR("0123456789abcdef0123456789abcdef"), STR_NONE,
                             w->now, &w->err));
    OK(world_write(w, "0123456789abcdef0123456789abcdef", "partly"));
    OK(registry_note_progress(&w->r, STR("0123456789abcdef0123456789abcdef"), 6, STR_NONE, w->now,
                              &w->err));
    OK(check_invariants(w->r.db, w->mem, false, w->now, &w->err));
}

/* The name in the store of the blob with these bytes. */
static str name_of(struct fixture *f, const char *text, struct arena *a)
{
    struct world *w = &f->w;
    struct blob_row row = { 0 };
    struct digest d = world_digest(text);
    bool known = false;
    OK(registry_find_blob(&w->r, STR("team/app"), &d, a, &row, &known, &w->err));
    return row.name;
}

static void expect(struct fixture *f, struct check_options options, enum check_code code)
{
    struct world *w = &f->w;
    bool counts = code == CHECK_LINK_COUNT || code == CHECK_REPOSITORY_COUNT;
    f->noted.without_counts = !counts;
    OK(run(f, options));
    f->noted.without_counts = false;
    uint64_t wrong = f->report.wrong; /* rows that are wrong are counted wrong, too */
    if (!counts)
        wrong -= f->report.found[CHECK_LINK_COUNT] + f->report.found[CHECK_REPOSITORY_COUNT];
    assert_int_equal(f->noted.count, 1);
    assert_string_equal(check_kinds[f->noted.at[0].code].word, check_kinds[code].word);
    assert_int_equal(f->report.found[code], 1);
    assert_int_equal(wrong + f->report.notes, 1);
    assert_int_equal(wrong, check_kinds[code].wrong);
}

/* ---- nothing -------------------------------------------------------------------------------- */

static void test_nothing_is_wrong(void **state)
{
    struct fixture *f = *state;
    struct world *w = &f->w;
    OK(run(f, (struct check_options){ .hash = true })); /* empty */
    assert_int_equal(f->noted.count, 0);
    fill(f);
    OK(run(f, (struct check_options){ .hash = true }));
    assert_int_equal(f->noted.count, 0);
    assert_int_equal(f->report.tags, 2);
    assert_int_equal(f->report.manifests, 6);
    assert_int_equal(f->report.blobs, world_count(w, "SELECT count(*) FROM blob"));
    assert_int_equal(f->report.links, world_count(w, "SELECT count(*) FROM repo_blob"));
    assert_int_equal(f->report.uploads, 1);
    assert_int_equal(f->report.files, world_names(w));
    assert_int_equal(f->report.hashed_bytes,
                     world_count(w, "SELECT sum(size) FROM blob WHERE name IS NOT NULL"));
    assert_int_equal(f->report.stored_bytes, f->report.hashed_bytes);
    OK(run(f, (struct check_options){ .quick = true }));
    assert_int_equal(f->noted.count, 0);
    OK(world_settle(w));
    OK(run(f, (struct check_options){ .hash = true }));
    assert_int_equal(f->noted.count, 0);
}

/* More rows than a page has. */
static void test_pages(void **state)
{
    struct fixture *f = *state;
    struct world *w = &f->w;
    char text[32];
    enum { MANY = 1100 };
    struct made m;
    for (int i = 0; i < MANY; i++) {
        (void)snprintf(text, sizeof(text), "%d", i);
        OK(world_upload(w, "team/app", text));
        made_image(&m, text);
        struct digest d = world_digest(text);
        made_add_blob(&m, &d, false);
        OK(world_push(w, "team/app", &m, text));
    }
    OK(run(f, (struct check_options){ .hash = true }));
    assert_int_equal(f->noted.count, 0);
    assert_int_equal(f->report.tags, MANY);
    assert_int_equal(f->report.manifests, MANY);
    assert_int_equal(f->report.links, MANY);
    assert_int_equal(f->report.blobs, MANY);
    assert_int_equal(f->report.files, MANY);
    damage(f, "UPDATE blob SET size = size + 1 WHERE id = (SELECT max(id) FROM blob)");
    expect(f, (struct check_options){ 0 }, CHECK_BLOB_SIZE);
}

/* ---- rows ----------------------------------------------------------------------------------- */

#define APP "(SELECT id FROM repository WHERE name = 'team/app')"
#define MANIFEST(p)                                                                                \
    "(SELECT manifest_id FROM manifest_payload WHERE CAST(payload AS TEXT) = '" p "')"

static const struct {
    const char *sql;
    enum check_code code;
    const char *object; /* its start, or NULL */
} cases[] = {
    { "UPDATE tag SET manifest_id = " MANIFEST("gone") " WHERE name = 'one'", CHECK_TAG_DANGLING,
      "team/app:one" },
    { "UPDATE tag SET manifest_id = 4711 WHERE name = 'one'", CHECK_TAG_DANGLING, "team/app:one" },
    { "UPDATE manifest SET due_at = NULL WHERE id = " MANIFEST("gone"), CHECK_MANIFEST_LEAKED,
      "team/app@sha256:" },
    { "UPDATE manifest SET due_at = NULL WHERE id = " MANIFEST("lone"), CHECK_MANIFEST_LEAKED,
      "team/app@sha256:" },
    { "UPDATE repo_blob SET due_at = NULL WHERE repo_id <> " APP, CHECK_LINK_LEAKED,
      "other@sha256:" },
    { "DELETE FROM repo_blob WHERE blob_id = (SELECT id FROM blob WHERE name IS NULL)",
      CHECK_BLOB_UNLINKED, "sha256:" },
    { "DELETE FROM repo_blob WHERE due_at IS NULL AND blob_id = (SELECT max(blob_id) FROM"
      " manifest_blob WHERE manifest_id = " MANIFEST(
          "b") ");"
               "INSERT INTO repo_blob (repo_id, blob_id, lease_until, due_at)"
               " SELECT (SELECT id FROM repository WHERE name = 'other'),"
               " (SELECT max(blob_id) FROM manifest_blob WHERE manifest_id = " MANIFEST(
                   "b") "),"
                        " 9999999999999, 9999999999999",
      CHECK_MANIFEST_BLOB, "team/app@sha256:" },
    { "UPDATE repo_blob SET receipt_id = 99, due_at = 9999999999999 WHERE blob_id = (SELECT"
      " max(blob_id) FROM manifest_blob WHERE manifest_id = " MANIFEST("b") ")",
      CHECK_MANIFEST_BLOB, "team/app@sha256:" },
    { "INSERT INTO manifest_child SELECT id, zeroblob(33), repo_id FROM manifest"
      " WHERE id = " MANIFEST("index"),
      CHECK_MANIFEST_CHILD, "team/app@sha256:" },
    { "UPDATE manifest_payload SET payload = CAST('index!' AS BLOB) WHERE manifest_id = " MANIFEST(
          "index"),
      CHECK_MANIFEST_DIGEST, "team/app@sha256:" },
    { "UPDATE manifest_payload SET payload = CAST('xndex' AS BLOB) WHERE manifest_id = " MANIFEST(
          "index"),
      CHECK_MANIFEST_DIGEST, "team/app@sha256:" },
    { "UPDATE blob SET data = CAST('fewer' AS BLOB) WHERE name IS NULL", CHECK_BLOB_SIZE,
      "sha256:" },
    { "UPDATE blob SET data = CAST('fow' AS BLOB) WHERE name IS NULL", CHECK_BLOB_DIGEST,
      "sha256:" },
    { "UPDATE blob SET data = NULL WHERE name IS NULL", CHECK_BLOB_PLACE, "sha256:" },
    { "UPDATE blob SET data = CAST('x' AS BLOB) WHERE id = (SELECT min(id) FROM blob"
      " WHERE name IS NOT NULL)",
      CHECK_BLOB_PLACE, "sha256:" },
    { "UPDATE blob SET damaged_at = 1700000000000 WHERE name IS NULL", CHECK_BLOB_DAMAGED,
      "sha256:" },
    { "UPDATE blob SET digest = CAST('?' AS BLOB) WHERE name IS NULL", CHECK_ROW_DAMAGED, "blob " },
    { "INSERT INTO doomed (name, size, since) SELECT name, size, 1 FROM blob WHERE name IS NOT "
      "NULL LIMIT 1",
      CHECK_DOOMED_USED, NULL },
    { "INSERT INTO doomed (name, size, since) SELECT id, size, 1 FROM upload", CHECK_DOOMED_USED,
      "0123456789abcdef" },
    { "UPDATE upload SET due_at = 1600000000000", CHECK_UPLOAD_OVERDUE, "other/0123456789abcdef" },
    { "UPDATE upload SET size = 7", CHECK_UPLOAD_SHORT, "other/0123456789abcdef" },
    { "INSERT INTO repo_blob (repo_id, blob_id, lease_until, due_at)"
      " VALUES (" APP ", 4711, 9999999999999, 9999999999999)",
      CHECK_LINK_DANGLING, "team/app@blob 4711" },
    { "UPDATE repo_blob SET kept = kept + 1 WHERE repo_id = " APP " AND kept > 0 AND blob_id ="
      " (SELECT min(blob_id) FROM repo_blob WHERE repo_id = " APP " AND kept > 0)",
      CHECK_LINK_COUNT, "team/app@sha256:" },
    { "UPDATE repository SET used_alone = used_alone - 1 WHERE id = " APP, CHECK_REPOSITORY_COUNT,
      "team/app" },
    { "UPDATE repository SET tags = tags + 1 WHERE id = " APP, CHECK_REPOSITORY_COUNT, "team/app" },
};

static void test_each_row(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct fixture *f = *state;
        print_message("%s\n", cases[i].sql);
        fill(f);
        damage(f, cases[i].sql);
        expect(f, (struct check_options){ .hash = true }, cases[i].code);
        if (cases[i].object != NULL)
            assert_true(str_starts(str_of(f->noted.objects[0]), str_of(cases[i].object)));
        assert_int_equal(teardown(state), 0);
        assert_int_equal(setup(state), 0);
    }
}

/* What is counted wrong is counted again, when that is asked for. */
static void test_counts(void **state)
{
    struct fixture *f = *state;
    struct world *w = &f->w;
    fill(f);
    damage(f, "UPDATE repo_blob SET kept = 7, size = 1, shared = 1 - shared");
    OK(run(f, (struct check_options){ .repair_counts = true }));
    assert_true(f->report.found[CHECK_LINK_COUNT] > 0);
    assert_int_equal(f->report.repaired, f->report.wrong);
    OK(check_invariants(w->r.db, w->mem, false, w->now, &w->err));
    damage(f, "UPDATE repository SET pending_alone = 1, manifests = 99");
    OK(run(f, (struct check_options){ .repair_counts = true }));
    assert_int_equal(f->report.found[CHECK_REPOSITORY_COUNT],
                     world_count(w, "SELECT count(*) FROM repository"));
    OK(check_invariants(w->r.db, w->mem, false, w->now, &w->err));
    OK(run(f, (struct check_options){ 0 }));
    assert_int_equal(f->noted.count, 0);
}

/* ---- files ---------------------------------------------------------------------------------- */

static void test_missing(void **state)
{
    struct fixture *f = *state;
    struct world *w = &f->w;
    AUTO(arena_release) struct arena a = { 0 };
    fill(f);
    str name = name_of(f, "a/layer", &a);
    OK(blob_remove(w->mem, &name, 1, &w->err));
    expect(f, (struct check_options){ .hash = true }, CHECK_BLOB_MISSING);
    assert_false(f->noted.at[0].repaired);
    COUNT(0, "SELECT count(*) FROM blob WHERE damaged_at IS NOT NULL");
    /* Marked, so that a push heals it. */
    expect(f, (struct check_options){ .repair_blobs = true }, CHECK_BLOB_MISSING);
    assert_true(f->noted.at[0].repaired);
    assert_int_equal(f->report.repaired, 1);
    expect(f, (struct check_options){ .hash = true }, CHECK_BLOB_DAMAGED);
    OK(world_upload(w, "team/app", "a/layer"));
    OK(world_reclaim(w));
    OK(run(f, (struct check_options){ .hash = true }));
    assert_int_equal(f->noted.count, 0);
}

static void test_size(void **state)
{
    struct fixture *f = *state;
    struct world *w = &f->w;
    AUTO(arena_release) struct arena a = { 0 };
    fill(f);
    str name = name_of(f, "a/layer", &a);
    OK(world_write(w, name.ptr, "a/lay"));
    expect(f, (struct check_options){ .hash = true }, CHECK_BLOB_SIZE);
    OK(world_write(w, name.ptr, "a/layers"));
    expect(f, (struct check_options){ .quick = true }, CHECK_BLOB_SIZE);
    expect(f, (struct check_options){ .repair_blobs = true }, CHECK_BLOB_SIZE);
    assert_true(f->noted.at[0].repaired);
    OK(world_upload(w, "team/app", "a/layer"));
    OK(world_reclaim(w));
    OK(run(f, (struct check_options){ .hash = true }));
    assert_int_equal(f->noted.count, 0);
}

static void test_bytes(void **state)
{
    struct fixture *f = *state;
    struct world *w = &f->w;
    AUTO(arena_release) struct arena a = { 0 };
    fill(f);
    str name = name_of(f, "a/layer", &a);
    OK(world_write(w, name.ptr, "a/lAyer"));
    OK(run(f, (struct check_options){ 0 })); /* not asked for */
    assert_int_equal(f->noted.count, 0);
    OK(run(f, (struct check_options){ .hash = true, .quick = true }));
    assert_int_equal(f->noted.count, 0);
    expect(f, (struct check_options){ .hash = true }, CHECK_BLOB_DIGEST);
    expect(f, (struct check_options){ .hash = true, .repair_blobs = true }, CHECK_BLOB_DIGEST);
    assert_true(f->noted.at[0].repaired);
    struct digest d = world_digest("a/layer");
    IS(ST_DAMAGED, world_get_blob(w, "team/app", &d));
    OK(world_upload(w, "team/app", "a/layer"));
    OK(world_reclaim(w));
    OK(run(f, (struct check_options){ .hash = true }));
    assert_int_equal(f->noted.count, 0);
}

static void test_unreadable(void **state)
{
    struct fixture *f = *state;
    struct world *w = &f->w;
    struct blob_store *faulty = NULL;
    fill(f);
    OK(blob_fault_new(w->mem, 1, 1, &faulty, &w->err));
    w->r.store = faulty;
    const struct check_watch watch = { advance, note, &f->noted };
    enum st st =
        check_run(&w->r, &(struct check_options){ .now = w->now }, &watch, &f->report, &w->err);
    w->r.store = w->mem;
    assert_int_not_equal(st, ST_OK); /* a store that cannot even list its names ends the check */
    assert_true(f->report.found[CHECK_BLOB_UNREADABLE] > 0);
    assert_int_equal(f->report.found[CHECK_BLOB_MISSING], 0);
    COUNT(0, "SELECT count(*) FROM blob WHERE damaged_at IS NOT NULL");
    w->mem = w->r.store = NULL; /* the wrapper owns it */
    blob_store_free(faulty);
}

static void test_orphan(void **state)
{
    struct fixture *f = *state;
    struct world *w = &f->w;
    fill(f);
    OK(world_reclaim(w));
    OK(world_write(w, "ffffffffffffffffffffffffffffffff", "nobody's"));
    expect(f, (struct check_options){ .repair_blobs = true }, CHECK_FILE_ORPHAN);
    assert_false(f->noted.at[0].repaired);
    expect(f, (struct check_options){ .repair_orphans = true }, CHECK_FILE_ORPHAN);
    assert_true(f->noted.at[0].repaired);
    OK(run(f, (struct check_options){ 0 })); /* doomed, so accounted */
    assert_int_equal(f->noted.count, 0);
    int64_t names = world_names(w);
    OK(world_reclaim(w));
    assert_int_equal(world_names(w), names - 1);
    OK(run(f, (struct check_options){ .hash = true }));
    assert_int_equal(f->noted.count, 0);
}

static void test_foreign(void **state)
{
    struct fixture *f = *state;
    struct world *w = &f->w;
    struct blob_store *fs = NULL;
    char dir[96];
    char path[192];
    (void)snprintf(dir, sizeof(dir), "%s/blobs", f->dir);
    OK(blob_fs_open(dir, &fs, &w->err));
    w->r.store = fs;
    (void)snprintf(path, sizeof(path), "%s/00/notes.txt", dir);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fclose(file), 0);
    expect(f, (struct check_options){ .repair_orphans = true }, CHECK_FILE_FOREIGN);
    assert_string_equal(f->noted.objects[0], "00/notes.txt");
    assert_int_equal(access(path, F_OK), 0);
    w->r.store = w->mem;
    blob_store_free(fs);
    (void)snprintf(path, sizeof(path), "rm -r %s", dir);
    assert_int_equal(system(path), 0);
}

/* ---- bytes of manifests --------------------------------------------------------------------- */

#define OCI_IMAGE "application/vnd.oci.image.manifest.v1+json"

static void push_json(struct fixture *f, const char *layer)
{
    struct world *w = &f->w;
    AUTO(arena_release) struct arena a = { 0 };
    struct digest config = world_digest("config");
    struct digest d = world_digest(layer);
    char config_text[DIGEST_TEXT_MAX + 1];
    char layer_text[DIGEST_TEXT_MAX + 1];
    OK(world_upload(w, "team/app", "config"));
    OK(world_upload(w, "team/app", layer));
    str body = arena_printf(
        &a,
        "{\"schemaVersion\":2,\"mediaType\":\"" OCI_IMAGE "\",\"config\":{\"mediaType\":"
        "\"application/vnd.oci.image.config.v1+json\",\"digest\":\"%s\",\"size\":6},\"layers\":["
        "{\"mediaType\":\"application/"
        "vnd.oci.image.layer.v1.tar\",\"digest\":\"%s\",\"size\":%zu}]}",
        digest_text(&config, config_text).ptr, digest_text(&d, layer_text).ptr, strlen(layer));
    struct manifest m;
    const struct manifest_limits limits = { MIB, 32, 100 };
    struct manifest_missing missing;
    struct digest digest;
    str tag = STR("json");
    OK(manifest_parse(body, STR(OCI_IMAGE), &limits, &a, &m, &w->err));
    digest_of(DIGEST_SHA256, body, &digest);
    const struct registry_push push = { .repo = STR("team/app"),
                                        .parsed = &m,
                                        .digest = &digest,
                                        .payload = body,
                                        .tags = &tag,
                                        .tag_count = 1 };
    OK(registry_push_manifest(&w->r, &push, w->now, &missing, &w->err));
}

static void test_parts(void **state)
{
    struct fixture *f = *state;
    struct world *w = &f->w;
    push_json(f, "layer");
    OK(run(f, (struct check_options){ 0 }));
    assert_int_equal(f->noted.count, 0);
    /* Its row goes, and the link has a time again: the reclaimer would take the layer. */
    damage(f, "DELETE FROM manifest_blob WHERE blob_id = (SELECT max(blob_id) FROM manifest_blob);"
              "UPDATE repo_blob SET due_at = 9999999999999, kept = kept - 1"
              " WHERE blob_id = (SELECT max(id) FROM blob)");
    expect(f, (struct check_options){ 0 }, CHECK_MANIFEST_PARTS);
    f->noted.without_counts = true;
    OK(run(f, (struct check_options){ .quick = true }));
    assert_int_equal(f->noted.count, 0);
}

static void test_sparse_index(void **state)
{
    struct fixture *f = *state;
    struct world *w = &f->w;
    struct made index;
    struct digest d = world_digest("never pushed");
    w->r.sparse_index = true;
    made_index(&index, "index");
    made_add_child(&index, &d);
    OK(world_push(w, "team/app", &index, "sparse"));
    expect(f, (struct check_options){ 0 }, CHECK_MANIFEST_CHILD);
    OK(run(f, (struct check_options){ .sparse_index = true }));
    assert_int_equal(f->noted.count, 0);
}

/* ---- stopping, a damaged database, company -------------------------------------------------- */

static void test_stop(void **state)
{
    struct fixture *f = *state;
    fill(f);
    unsigned n = 1;
    enum st st = ST_STOPPING;
    while (st == ST_STOPPING) {
        f->noted.stop_after = n++;
        st = run(f, (struct check_options){ .hash = true });
        assert_int_equal(f->report.stopped, st == ST_STOPPING);
    }
    assert_int_equal(st, ST_OK);
    assert_true(n > CHECK_PHASES);
}

/* Every allocation and statement fails once: the check fails, and finds nothing that is not so. */
static void test_failures(void **state)
{
    struct fixture *f = *state;
    struct world *w = &f->w;
    fill(f);
    for (enum fault_kind kind = FAULT_ALLOC; kind < FAULT_KINDS; kind++) {
        bool fired = true;
        for (uint64_t n = 1; fired; n++) {
            fault_arm(kind, n, false);
            enum st st = run(f, (struct check_options){ .hash = true });
            fired = fault_fired();
            fault_disarm();
            assert_int_equal(f->report.found[CHECK_BLOB_MISSING], 0);
            assert_int_equal(f->report.found[CHECK_FILE_ORPHAN], 0);
            if (!fired)
                assert_int_equal(st, ST_OK);
        }
    }
    OK(run(f, (struct check_options){ .hash = true }));
    assert_int_equal(f->noted.count, 0);
}

struct company {
    struct world w; /* the same registry, with a state of its own */
    _Atomic bool stop;
    unsigned rounds;
};

/* Pushes, deletes and reclaims, in a repository of which nothing is left after each round. */
static void *keep_busy(void *arg)
{
    struct company *c = arg;
    struct world *w = &c->w;
    while (!c->stop) {
        struct made m, index;
        char name[32];
        (void)snprintf(name, sizeof(name), "busy%u", c->rounds++);
        push_image(w, "busy", name, name, &m);
        made_index(&index, "busy index");
        made_add_child(&index, &m.digest);
        OK(world_push(w, "busy", &index, "index"));
        OK(world_upload(w, "busy", "shared"));
        OK(world_upload(w, "busy", "shared")); /* there already: its name is doomed */
        OK(world_delete_tag(w, "busy", name));
        OK(world_delete_manifest(w, "busy", &index.digest));
        w->now += WORLD_GRACE + 2;
        OK(world_reclaim(w));
        w->now += WORLD_GRACE + 2;
        OK(world_reclaim(w));
    }
    return NULL;
}

static void test_beside_pushes_and_reclaim(void **state)
{
    struct fixture *f = *state;
    struct world *w = &f->w;
    struct company c = { 0 };
    pthread_t thread;
    struct made m;
    push_image(w, "team/app", "a", "one", &m);
    c.w = *w;
    c.w.ids = 1000000;
    assert_int_equal(pthread_create(&thread, NULL, keep_busy, &c), 0);
    for (int i = 0; i < 60; i++) {
        OK(run(f, (struct check_options){ .hash = true }));
        assert_int_equal(f->noted.count, 0);
    }
    c.stop = true;
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_true(c.rounds > 10);
}

/* The store as it is, but something happens just before a file is opened, or after the names were
 * listed and before the check is told of them. */
static struct {
    struct blob_ops ops;
    const struct blob_ops *real;
    struct world *w;
    bool at_open, at_walk;
    char names[FOUND_MAX][33];
    size_t count;
} hook;

/* Everything that nothing keeps goes, rows and files. */
static void let_go(void)
{
    struct world *w = hook.w;
    hook.at_open = hook.at_walk = false;
    OK(world_settle(w));
}

static enum st open_late(struct blob_store *s, str name, struct blob_reader *out, struct err *err)
{
    if (hook.at_open)
        let_go();
    return hook.real->reader_open(s, name, out, err);
}

static enum st note_name(str name, uint64_t size, void *ctx, struct err *err)
{
    (void)size;
    (void)ctx;
    (void)err;
    assert_true(hook.count < FOUND_MAX);
    assert_true(str_copy(name, hook.names[hook.count++], sizeof(hook.names[0])));
    return ST_OK;
}

static enum st walk_late(struct blob_store *s, blob_walk_fn fn, void *ctx, struct err *err)
{
    hook.count = 0;
    enum st st = hook.real->walk(s, note_name, NULL, err);
    if (hook.at_walk)
        let_go();
    for (size_t i = 0; st == ST_OK && i < hook.count; i++)
        st = fn(str_of(hook.names[i]), 1, ctx, err);
    return st;
}

static void hook_store(struct world *w)
{
    hook.real = w->mem->ops;
    hook.ops = *hook.real;
    hook.ops.reader_open = open_late;
    hook.ops.walk = walk_late;
    hook.w = w;
    w->mem->ops = &hook.ops;
}

static void test_blobs_go_while_their_files_are_looked_at(void **state)
{
    struct fixture *f = *state;
    struct world *w = &f->w;
    fill(f);
    hook_store(w);
    hook.at_open = true;
    int64_t names = world_names(w);
    OK(run(f, (struct check_options){ .hash = true, .repair_blobs = true }));
    w->mem->ops = hook.real;
    assert_true(world_names(w) < names);
    assert_int_equal(f->noted.count, 0);
}

static void test_files_go_after_they_were_listed(void **state)
{
    struct fixture *f = *state;
    struct world *w = &f->w;
    fill(f);
    int64_t names = world_names(w);
    hook_store(w);
    hook.at_walk = true;
    OK(run(f, (struct check_options){ .hash = true, .repair_orphans = true }));
    w->mem->ops = hook.real;
    assert_true(world_names(w) < names);
    assert_int_equal(f->noted.count, 0);
}

#define CHECK_TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CHECK_TEST(test_nothing_is_wrong),
        CHECK_TEST(test_pages),
        CHECK_TEST(test_each_row),
        CHECK_TEST(test_counts),
        CHECK_TEST(test_missing),
        CHECK_TEST(test_size),
        CHECK_TEST(test_bytes),
        CHECK_TEST(test_unreadable),
        CHECK_TEST(test_orphan),
        CHECK_TEST(test_foreign),
        CHECK_TEST(test_parts),
        CHECK_TEST(test_sparse_index),
        CHECK_TEST(test_stop),
        CHECK_TEST(test_failures),
        CHECK_TEST(test_blobs_go_while_their_files_are_looked_at),
        CHECK_TEST(test_files_go_after_they_were_listed),
        CHECK_TEST(test_beside_pushes_and_reclaim),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
