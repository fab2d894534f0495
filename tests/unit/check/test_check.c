/* SPDX-License-Identifier: Apache-2.0
 *
 * Every finding: a sound registry is damaged in one way, and exactly that is found.
 */
#include <sqlite3.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/mem.h"
#include "check/check.h"
#include "world_test.h"

#define FOUND_MAX 64
struct noted {
    struct check_finding at[FOUND_MAX];
    char objects[FOUND_MAX][256];
    size_t count;
    unsigned stop_after; /* calls of progress(); 0: never */
    unsigned calls;
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

/* Past db/, as damage comes. */
static void damage(struct fixture *f, const char *sql)
{
    sqlite3 *handle = NULL;
    char *message = NULL;
    assert_int_equal(sqlite3_open(f->path, &handle), SQLITE_OK);
    (void)sqlite3_busy_timeout(handle, 5000);
    if (sqlite3_exec(handle, sql, NULL, NULL, &message) != SQLITE_OK)
        fail_msg("%s: %s", sql, message);
    assert_true(sqlite3_total_changes(handle) > 0);
    assert_int_equal(sqlite3_close(handle), SQLITE_OK);
}

static int setup(void **state)
{
    struct fixture *f = mem_new(sizeof(*f));
    (void)snprintf(f->dir, sizeof(f->dir), "/tmp/ebb-check-XXXXXX");
    if (f == NULL || mkdtemp(f->dir) == NULL)
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
    OK(world_upload(w, "team/app", "loose"));
    struct digest d = world_digest("few");
    OK(world_upload_as(w, "team/app", &d, "few", WORLD_INLINE));
    OK(world_upload(w, "other", "loose"));
    OK(registry_start_upload(&w->r, STR("other"), STR("0123456789abcdef0123456789abcdef"), w->now,
                             &w->err));
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
    OK(run(f, options));
    assert_int_equal(f->noted.count, 1);
    assert_string_equal(check_kinds[f->noted.at[0].code].word, check_kinds[code].word);
    assert_int_equal(f->report.found[code], 1);
    assert_int_equal(f->report.wrong + f->report.notes, 1);
    assert_int_equal(f->report.wrong, check_kinds[code].wrong);
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
    assert_int_equal(f->report.manifests, 5);
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

#define ROW_OF(text)                                                                               \
    " id = (SELECT id FROM blob WHERE length(digest) = 33 ORDER BY id LIMIT 1 OFFSET " text ")"
#define APP         "(SELECT id FROM repository WHERE name = 'team/app')"
#define MANIFEST(p) "(SELECT id FROM manifest WHERE CAST(payload AS TEXT) = '" p "')"

static const struct {
    const char *sql;
    enum check_code code;
    const char *object; /* its start, or NULL */
} cases[] = {
    { "UPDATE manifest SET receipt_id = 99, due_at = 9999999999999 WHERE id = " MANIFEST("gone"),
      CHECK_CODES, NULL }, /* nothing: it is in the trash already */
    { "UPDATE tag SET manifest_id = " MANIFEST("gone") " WHERE name = 'one'", CHECK_TAG_DANGLING,
      "team/app:one" },
    { "UPDATE tag SET manifest_id = 4711 WHERE name = 'one'", CHECK_TAG_DANGLING, "team/app:one" },
    { "UPDATE manifest SET due_at = NULL WHERE id = " MANIFEST("gone"), CHECK_MANIFEST_LEAKED,
      "team/app@sha256:" },
    { "UPDATE repo_blob SET due_at = NULL WHERE repo_id <> " APP, CHECK_LINK_LEAKED,
      "other@sha256:" },
    { "DELETE FROM repo_blob WHERE blob_id = (SELECT id FROM blob WHERE name IS NULL)",
      CHECK_BLOB_UNLINKED, "sha256:" },
    { "DELETE FROM repo_blob WHERE due_at IS NULL AND blob_id = (SELECT max(blob_id) FROM"
      " manifest_blob WHERE manifest_id = " MANIFEST("b") ");"
      "INSERT INTO repo_blob SELECT (SELECT id FROM repository WHERE name = 'other'),"
      " (SELECT max(blob_id) FROM manifest_blob WHERE manifest_id = " MANIFEST("b") "),"
      " 9999999999999, 9999999999999, NULL",
      CHECK_MANIFEST_BLOB, "team/app@sha256:" },
    { "UPDATE repo_blob SET receipt_id = 99, due_at = 9999999999999 WHERE blob_id = (SELECT"
      " max(blob_id) FROM manifest_blob WHERE manifest_id = " MANIFEST("b") ")",
      CHECK_MANIFEST_BLOB, "team/app@sha256:" },
    { "INSERT INTO manifest_child SELECT id, zeroblob(33), repo_id FROM manifest"
      " WHERE id = " MANIFEST("index"),
      CHECK_MANIFEST_CHILD, "team/app@sha256:" },
    { "UPDATE manifest SET payload = CAST('index!' AS BLOB) WHERE id = " MANIFEST("index"),
      CHECK_MANIFEST_DIGEST, "team/app@sha256:" },
    { "UPDATE manifest SET payload = CAST('xndex' AS BLOB) WHERE id = " MANIFEST("index"),
      CHECK_MANIFEST_DIGEST, "team/app@sha256:" },
    { "UPDATE blob SET data = CAST('fewer' AS BLOB) WHERE name IS NULL", CHECK_BLOB_SIZE,
      "sha256:" },
    { "UPDATE blob SET data = CAST('fow' AS BLOB) WHERE name IS NULL", CHECK_BLOB_DIGEST,
      "sha256:" },
    { "UPDATE blob SET data = NULL WHERE name IS NULL", CHECK_BLOB_PLACE, "sha256:" },
    { "UPDATE blob SET data = CAST('x' AS BLOB), size = 1 WHERE id = (SELECT min(id) FROM blob"
      " WHERE name IS NOT NULL)",
      CHECK_CODES, NULL }, /* below: more than one */
    { "UPDATE blob SET damaged_at = 1700000000000 WHERE name IS NULL", CHECK_BLOB_DAMAGED,
      "sha256:" },
    { "UPDATE blob SET digest = CAST('?' AS BLOB) WHERE name IS NULL", CHECK_ROW_DAMAGED,
      "blob " },
    { "INSERT INTO doomed SELECT name, size, 1 FROM blob WHERE name IS NOT NULL LIMIT 1",
      CHECK_DOOMED_USED, NULL },
    { "INSERT INTO doomed SELECT id, size, 1 FROM upload", CHECK_DOOMED_USED, "0123456789abcdef" },
    { "UPDATE upload SET due_at = 1600000000000", CHECK_UPLOAD_OVERDUE,
      "other/0123456789abcdef" },
    { "UPDATE upload SET size = 7", CHECK_UPLOAD_SHORT, "other/0123456789abcdef" },
    { "INSERT INTO repo_blob VALUES (" APP ", 4711, 9999999999999, 9999999999999, NULL)",
      CHECK_LINK_DANGLING, "team/app@blob 4711" },
};

static void test_each_row(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        if (cases[i].code == CHECK_CODES)
            continue;
        struct fixture *f = *state;
        print_message("%s\n", cases[i].sql);
        fill(f);
        damage(f, cases[i].sql);
        expect(f, (struct check_options){ .hash = true }, cases[i].code);
        if (cases[i].object != NULL)
            assert_true(
                str_starts(str_of(f->noted.objects[0]), str_of(cases[i].object)));
        assert_int_equal(teardown(state), 0);
        assert_int_equal(setup(state), 0);
    }
}
