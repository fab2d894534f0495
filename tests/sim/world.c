/* SPDX-License-Identifier: Apache-2.0 */
#include "world.h"

#include "base/clock.h"
#include "meta/schema.h"

#define PLAN_ITEMS_MAX 1000000

/* The key that signs receipts lies beside the database; in memory it is another one after each
 * opening. */
static bool open_database(struct world *w, const char *path)
{
    char key[200];
    (void)snprintf(key, sizeof(key), "%s.key", path);
    const struct db_options options = { .path = path, .no_sync = true, .readers_max = 2 };
    const struct deletion_options deletion = { .key_path = path[0] == '\0' ? NULL : key,
                                               .max_percent = 50,
                                               .plan_items_max = PLAN_ITEMS_MAX,
                                               .plan_keep_ms = CLOCK_HOUR_MS,
                                               .receipts_keep_ms = 365 * CLOCK_DAY_MS,
                                               .no_thread = true };
    if (db_open(&options, schema_migrations, schema_migration_count, &w->r.db, &w->err) != ST_OK)
        return false;
    if (deletion_open(&w->r, &deletion, &w->d, &w->err) == ST_OK)
        return true;
    db_close(w->r.db);
    w->r.db = NULL;
    return false;
}

static void close_database(struct world *w)
{
    deletion_close(w->d);
    db_close(w->r.db);
    w->d = NULL;
    w->r.db = NULL;
}

bool world_open(struct world *w, const char *path)
{
    *w = (struct world){
        .now = WORLD_START,
        .r = {
            .keeping = { .lease_ms = WORLD_LEASE, .grace_ms = WORLD_GRACE, .untagged = true },
            .upload_rest_ms = CLOCK_DAY_MS,
            .uploads_per_repo_max = 100,
        },
    };
    if (!open_database(w, path))
        return false;
    if (blob_mem_new(&w->mem, &w->err) != ST_OK) {
        close_database(w);
        return false;
    }
    w->r.store = w->mem;
    return true;
}

void world_close(struct world *w)
{
    close_database(w);
    blob_store_free(w->mem);
}

bool world_crash(struct world *w, const char *path, uint64_t *rng)
{
    blob_mem_crash(w->mem, rng);
    close_database(w);
    return open_database(w, path);
}

void world_name(struct world *w, char out[static 33])
{
    (void)snprintf(out, 33, "%032llx", (unsigned long long)++w->ids);
}

struct digest world_digest(const char *text)
{
    struct digest d;
    digest_of(DIGEST_SHA256, str_of(text), &d);
    return d;
}

/* ---- made-up manifests ---------------------------------------------------------------------- */

static void made_start(struct made *m, const char *name, enum manifest_kind kind, str media_type)
{
    *m = (struct made){ .parsed = { .kind = kind, .media_type = media_type } };
    (void)snprintf(m->name, sizeof(m->name), "%s", name);
    m->digest = world_digest(m->name);
}

void made_image(struct made *m, const char *name)
{
    made_start(m, name, MANIFEST_IMAGE, STR("application/vnd.oci.image.manifest.v1+json"));
}

void made_index(struct made *m, const char *name)
{
    made_start(m, name, MANIFEST_INDEX, STR("application/vnd.oci.image.index.v1+json"));
}

void made_add_blob(struct made *m, const struct digest *d, bool foreign)
{
    assert(m->parsed.blob_count < MADE_PARTS_MAX && m->parsed.child_count == 0);
    m->parts[m->parsed.blob_count++] = (struct descriptor){ .digest = *d, .foreign = foreign };
}

void made_add_child(struct made *m, const struct digest *d)
{
    assert(m->parsed.child_count < MADE_PARTS_MAX && m->parsed.blob_count == 0);
    m->parts[m->parsed.child_count++] = (struct descriptor){ .digest = *d };
}

void made_set_subject(struct made *m, const struct digest *d)
{
    m->parsed.has_subject = true;
    m->parsed.subject.digest = *d;
    m->parsed.artifact_type = STR("application/vnd.example.signature");
}

/* ---- doors ---------------------------------------------------------------------------------- */

enum st world_write(struct world *w, const char *name, const char *text)
{
    struct blob_writer *writer = NULL;
    enum st st = blob_writer_open(w->r.store, str_of(name), 0, &writer, &w->err);
    if (st != ST_OK)
        return st;
    st = blob_writer_add(writer, text, strlen(text), &w->err);
    if (st == ST_OK)
        st = blob_writer_finish(writer, &w->err);
    blob_writer_close(writer);
    return st;
}

enum st world_upload_as(struct world *w, const char *repo, const struct digest *d, const char *text,
                        enum world_how how)
{
    char name[33];
    world_name(w, name);
    str bytes = str_of(text);
    struct blob_arrival arrival = {
        .digest = d,
        .size = bytes.len,
        .name = str_of(name),
        .data = how == WORLD_STORED ? STR_NONE : bytes,
        .name_written = how != WORLD_INLINE,
    };
    enum st st =
        registry_start_upload(&w->r, str_of(repo), arrival.name, STR_NONE, w->now, &w->err);
    if (st == ST_OK && how != WORLD_INLINE)
        st = world_write(w, name, text);
    if (st == ST_OK)
        st = registry_note_progress(&w->r, arrival.name, bytes.len, arrival.data, w->now, &w->err);
    if (st == ST_OK)
        st = registry_finish_upload(&w->r, str_of(repo), &arrival, w->now, &w->err);
    return st;
}

enum st world_upload(struct world *w, const char *repo, const char *text)
{
    struct digest d = world_digest(text);
    return world_upload_as(w, repo, &d, text, WORLD_STORED);
}

enum st world_mount(struct world *w, const char *repo, const char *from, const struct digest *d)
{
    return registry_mount(&w->r, str_of(repo), str_of(from), d, w->now, &w->err);
}

enum st world_push(struct world *w, const char *repo, const struct made *m, const char *tag)
{
    struct made copy = *m; /* its lists are in itself */
    struct manifest_missing missing = { 0 };
    str tags[] = { str_of(tag) };
    copy.parsed.blobs = copy.parsed.children = copy.parts;
    const struct registry_push in = { .repo = str_of(repo),
                                      .parsed = &copy.parsed,
                                      .digest = &copy.digest,
                                      .payload = str_of(copy.name),
                                      .tags = tags,
                                      .tag_count = tag == NULL ? 0 : 1 };
    return registry_push_manifest(&w->r, &in, w->now, &missing, &w->err);
}

static enum st order(struct world *w, struct deletion_order *order)
{
    struct deletion_result result = { 0 };
    bool known = false;
    order->by = (struct deletion_by){ .door = STR("test"),
                                      .actor = STR("tester"),
                                      .peer = STR("127.0.0.1") };
    return deletion_apply(w->d, order, w->now, &result, &known, &w->err);
}

enum st world_delete_tag(struct world *w, const char *repo, const char *tag)
{
    return order(w, &(struct deletion_order){
                        .kind = DELETION_TAG, .repo = str_of(repo), .tag = str_of(tag) });
}

enum st world_delete_manifest(struct world *w, const char *repo, const struct digest *d)
{
    return order(w, &(struct deletion_order){
                        .kind = DELETION_MANIFEST, .repo = str_of(repo), .digest = *d });
}

enum st world_delete_blob(struct world *w, const char *repo, const struct digest *d)
{
    return order(
        w, &(struct deletion_order){ .kind = DELETION_BLOB, .repo = str_of(repo), .digest = *d });
}

#define CARRY_MAX 100000

enum st world_carry_on(struct world *w)
{
    bool more = true;
    for (int i = 0; i < CARRY_MAX && more; i++) {
        enum st st = deletion_step(w->d, w->now, &more, &w->err);
        if (st != ST_OK)
            return st;
    }
    return more ? err_set(&w->err, ST_BUG, "deletions do not come to an end") : ST_OK;
}

enum st world_head_blob(struct world *w, const char *repo, const struct digest *d)
{
    AUTO(arena_release) struct arena a = { 0 };
    struct blob_row row;
    bool known = false;
    enum st st = registry_find_blob(&w->r, str_of(repo), d, &a, &row, &known, &w->err);
    if (st == ST_OK && registry_blob_wants_lease(&w->r, &row, w->now))
        st = registry_lease_blob(&w->r, str_of(repo), d, w->now, &w->err);
    return st;
}

enum st world_head_manifest(struct world *w, const char *repo, const struct digest *d)
{
    AUTO(arena_release) struct arena a = { 0 };
    struct manifest_row row;
    bool known = false;
    enum st st =
        registry_find_manifest(&w->r, str_of(repo), STR_NONE, d, &a, &row, &known, &w->err);
    if (st == ST_OK && registry_manifest_wants_lease(&w->r, &row, w->now))
        st = registry_lease_manifest(&w->r, str_of(repo), d, w->now, &w->err);
    return st;
}

static enum st compare(struct world *w, str bytes, const struct digest *d)
{
    struct digest found;
    digest_of(d->algorithm, bytes, &found);
    return digest_eq(&found, d) ? ST_OK : err_set(&w->err, ST_BUG, "bytes of another digest");
}

enum st world_get_blob(struct world *w, const char *repo, const struct digest *d)
{
    AUTO(arena_release) struct arena a = { 0 };
    struct blob_row row;
    bool known = false;
    enum st st = registry_find_blob(&w->r, str_of(repo), d, &a, &row, &known, &w->err);
    if (st != ST_OK || row.name.ptr == NULL)
        return st == ST_OK ? compare(w, row.data, d) : st;
    struct blob_reader reader = BLOB_READER_NONE;
    st = blob_reader_open(w->mem, row.name, &reader, &w->err);
    if (st != ST_OK)
        return err_set(&w->err, ST_BUG, "a blob without its bytes");
    st = compare(w, reader.bytes, d);
    blob_reader_close(&reader);
    return st;
}

enum st world_get_manifest(struct world *w, const char *repo, const struct digest *d)
{
    AUTO(arena_release) struct arena a = { 0 };
    struct manifest_row row;
    bool known = false;
    enum st st =
        registry_find_manifest(&w->r, str_of(repo), STR_NONE, d, &a, &row, &known, &w->err);
    return st == ST_OK ? compare(w, row.payload, d) : st;
}

enum st world_get_tag(struct world *w, const char *repo, const char *tag, struct digest *out)
{
    AUTO(arena_release) struct arena a = { 0 };
    struct manifest_row row;
    bool known = false;
    enum st st =
        registry_find_manifest(&w->r, str_of(repo), str_of(tag), NULL, &a, &row, &known, &w->err);
    if (st == ST_OK)
        *out = row.digest;
    return st;
}

/* ---- time ----------------------------------------------------------------------------------- */

#define STEPS_MAX 10000

enum st world_reclaim(struct world *w)
{
    for (int i = 0; i < STEPS_MAX; i++) {
        struct reclaim_report report = { 0 };
        enum st st = reclaim_step(&w->r, NULL, w->now, &report, &w->err);
        w->removed.manifests += report.removed.manifests;
        w->removed.links += report.removed.links;
        w->removed.blobs += report.removed.blobs;
        w->removed.bytes += report.removed.bytes;
        if (st != ST_OK || !report.more)
            return st;
    }
    return err_set(&w->err, ST_BUG, "reclaim does not come to an end");
}

enum st world_settle(struct world *w)
{
    /* At most three times: what is let go last is let go when what names it goes. */
    for (int i = 0; i < 3; i++) {
        w->now += MAX(w->r.keeping.lease_ms, w->r.keeping.grace_ms) + w->r.upload_rest_ms + 1;
        enum st st = world_reclaim(w);
        if (st != ST_OK)
            return st;
    }
    return ST_OK;
}

struct counting {
    const char *sql;
    int64_t number;
};

static enum st count(struct db_tx *tx, void *ctx, struct err *err)
{
    struct counting *c = ctx;
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    enum st st = db_one(tx, &rows, c->sql, DB_NO_ARGS, err);
    if (st == ST_OK)
        c->number = db_int(&rows, 0);
    return st;
}

int64_t world_count(struct world *w, const char *sql)
{
    struct counting c = { .sql = sql };
    return db_read(w->r.db, count, &c, &w->err) == ST_OK ? c.number : -1;
}

static enum st count_name(str name, uint64_t size, void *ctx, struct err *err)
{
    int64_t *n = ctx;
    (void)name;
    (void)size;
    (void)err;
    ++*n;
    return ST_OK;
}

int64_t world_names(struct world *w)
{
    int64_t n = 0;
    return blob_walk(w->mem, count_name, &n, &w->err) == ST_OK ? n : -1;
}
