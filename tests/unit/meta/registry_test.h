/* SPDX-License-Identifier: Apache-2.0
 *
 * registry_test - a registry of rows alone, in memory or in a file, for tests of meta/ that delete
 * nothing; small images, and statements in transactions of their own.
 */
#ifndef EBB_REGISTRY_TEST_H
#define EBB_REGISTRY_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "meta/registry.h"
#include "meta/schema.h"

#define START ((int64_t)1700000000000)
#define LEASE (1 * CLOCK_HOUR_MS)
#define GRACE (24 * CLOCK_HOUR_MS)

struct fixture {
    struct registry r;
    int64_t now;
    const char *actor; /* of pushes */
    unsigned ids;
    struct err err;
};

static inline void expect_st(struct fixture *f, enum st want, enum st got, const char *call,
                             const char *file, int line)
{
    if (want == got)
        return;
    print_error("%s\n  gave \"%s\" (%s), not \"%s\"\n", call, st_text(got),
                got == ST_OK ? "" : f->err.text, want == ST_OK ? "ok" : st_text(want));
    _fail(file, line);
}
/* The call on the fixture `f` gives this status. */
#define IS(status, call) expect_st(f, status, call, #call, __FILE__, __LINE__)
#define OK(call)         IS(ST_OK, call)

static inline void open_registry(struct fixture *f, const char *path)
{
    const struct db_options options = { .path = path, .no_sync = true, .readers_max = 2 };
    *f = (struct fixture){
        .now = START,
        .r = { .keeping = { .lease_ms = LEASE, .grace_ms = GRACE, .untagged = true },
               .upload_rest_ms = CLOCK_DAY_MS,
               .uploads_per_repo_max = 100 },
    };
    OK(db_open(&options, schema_migrations, schema_migration_count, &f->r.db, &f->err));
    OK(protection_cache_new(false, &f->r.protection, &f->err));
    OK(pulls_new(&f->r.pulls, &f->err));
}

static inline void close_registry(struct fixture *f)
{
    registry_time_close(&f->r);
    pulls_free(f->r.pulls);
    protection_cache_free(f->r.protection);
    db_close(f->r.db);
}

static inline int setup(void **state)
{
    static struct fixture fixture;
    open_registry(&fixture, "");
    *state = &fixture;
    return 0;
}

static inline int teardown(void **state)
{
    close_registry(*state);
    return 0;
}
#define REGISTRY_TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

/* ---- content --------------------------------------------------------------------------------- */

static inline struct digest digest_for(const char *text)
{
    struct digest d;
    digest_of(DIGEST_SHA256, str_of(text), &d);
    return d;
}

static inline enum st upload(struct fixture *f, const char *repo, const char *text)
{
    struct digest d = digest_for(text);
    char id[33];
    (void)snprintf(id, sizeof(id), "%032x", ++f->ids);
    const struct blob_arrival in = {
        .digest = &d, .size = strlen(text), .name = str_of(id), .data = str_of(text)
    };
    enum st st = registry_start_upload(&f->r, str_of(repo), in.name, STR_NONE, f->now, &f->err);
    return st == ST_OK ? registry_finish_upload(&f->r, str_of(repo), &in, f->now, &f->err) : st;
}

/* The bytes are the name; one blob, "<name>/layer", which must be there. `tag` may be NULL. */
static inline enum st push(struct fixture *f, const char *repo, const char *name, const char *tag)
{
    char layer[80];
    (void)snprintf(layer, sizeof(layer), "%s/layer", name);
    struct digest d = digest_for(name);
    struct descriptor blob = { .digest = digest_for(layer) };
    struct manifest_missing missing = { 0 };
    const struct manifest parsed = { .kind = MANIFEST_IMAGE,
                                     .media_type =
                                         STR("application/vnd.oci.image.manifest.v1+json"),
                                     .blobs = &blob,
                                     .blob_count = 1 };
    str tags[] = { str_of(tag) };
    const struct registry_push in = { .repo = str_of(repo),
                                      .actor = str_of(f->actor),
                                      .parsed = &parsed,
                                      .digest = &d,
                                      .payload = str_of(name),
                                      .tags = tags,
                                      .tag_count = tag == NULL ? 0 : 1 };
    return registry_push_manifest(&f->r, &in, f->now, &missing, &f->err);
}

static inline void push_image(struct fixture *f, const char *repo, const char *name,
                              const char *tag)
{
    char layer[80];
    (void)snprintf(layer, sizeof(layer), "%s/layer", name);
    OK(upload(f, repo, layer));
    OK(push(f, repo, name, tag));
}

/* ---- statements ------------------------------------------------------------------------------ */

struct number_call {
    const char *sql;
    int64_t number;
};

static inline enum st read_number(struct db_tx *tx, void *ctx, struct err *err)
{
    struct number_call *c = ctx;
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    enum st st = db_one(tx, &rows, c->sql, DB_NO_ARGS, err);
    c->number = st == ST_OK ? db_int(&rows, 0) : -1;
    return st == ST_NOT_FOUND ? ST_OK : st;
}

/* Of the first row; -1 when there is none. */
static inline int64_t number(struct fixture *f, const char *sql)
{
    struct number_call c = { .sql = sql };
    OK(db_read(f->r.db, read_number, &c, &f->err));
    return c.number;
}

static inline enum st run_statement(struct db_tx *tx, void *ctx, struct err *err)
{
    return db_run(tx, ((struct number_call *)ctx)->sql, DB_NO_ARGS, NULL, err);
}

/* `sql` must be a string constant (db.h). */
static inline void run_sql(struct fixture *f, const char *sql)
{
    OK(db_write(f->r.db, run_statement, &(struct number_call){ .sql = sql }, &f->err));
}

#endif
