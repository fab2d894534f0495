/* SPDX-License-Identifier: Apache-2.0
 *
 * `ebb check` - of a directory that no registry has; of a running registry, by asking it.
 *
 * The lock of the directory is held throughout. Without --repair nothing else is written: the
 * database and the store are opened for reading only, and a log that a crash left stays as it is.
 */
#include <unistd.h>

#include "base/clock.h"
#include "check/check.h"
#include "cli/check.h"
#include "cli/cli_progress.h"
#include "meta/schema.h"
#include "server/commands.h"
#include "server/data_dir.h"

struct dir_check {
    struct arena arena;
    struct data_dir dir;
    struct registry registry;
    struct check_printer printer;
    int64_t hash_started_ms;
};

static bool advance(void *ctx, const struct check_progress *p)
{
    struct dir_check *d = ctx;
    if (p->phase == CHECK_HASH && d->hash_started_ms == 0)
        d->hash_started_ms = clock_mono_ms();
    const struct check_stage stage = {
        .phase = str_of(check_phase_names[p->phase]),
        .objects = p->objects,
        .bytes = p->bytes,
        .bytes_total = p->bytes_total,
        .hash_ms = d->hash_started_ms == 0 ? 0 : clock_mono_ms() - d->hash_started_ms,
    };
    check_print_stage(&d->printer, &stage);
    return !progress_interrupted();
}

static void found(void *ctx, const struct check_finding *f)
{
    struct dir_check *d = ctx;
    const struct check_kind *kind = &check_kinds[f->code];
    const struct check_line line = { .code = str_of(kind->word),
                                     .object = f->object,
                                     .detail = f->detail,
                                     .meaning = str_of(kind->meaning),
                                     .action = str_of(kind->action),
                                     .wrong = kind->wrong,
                                     .repaired = f->repaired };
    check_print_finding(&d->printer, &line);
}

/* A directory that is not one of ours is not made into one. */
static enum st need_database(const char *path, struct err *err)
{
    if (access(path, F_OK) == 0)
        return ST_OK;
    return err_sys(err, "this is no data directory of a registry: %s", path);
}

/* What is overdue is so by the registry's time, which stood still while no server ran. The database
 * is opened for it alone, because its own check comes before anything is read (db.h). In a damaged
 * one the time may not be found; the check tells of the damage. */
static enum st load_time(struct dir_check *d, const struct db_options *options, struct err *err)
{
    enum st st = db_open(options, schema_migrations, schema_migration_count, &d->registry.db, err);
    if (st == ST_OK)
        st = registry_time_open(&d->registry, false, err);
    db_close(d->registry.db);
    d->registry.db = NULL;
    return st == ST_CORRUPT ? ST_OK : st;
}

static enum st open_dir(struct dir_check *d, const struct check_call *call, struct err *err)
{
    str db_path = arena_printf(&d->arena, "%s/ebb.db", call->target);
    str blobs_path = arena_printf(&d->arena, "%s/blobs", call->target);
    if (db_path.ptr == NULL || blobs_path.ptr == NULL)
        return err_no_memory(err);
    enum st st = need_database(db_path.ptr, err);
    if (st == ST_OK)
        st = data_dir_open(call->target, false, &d->dir, err);
    if (st == ST_BUSY)
        return err_wrap(err, "a registry is running on it: check that one by its URL, such as "
                             "http://localhost:5000");
    if (st != ST_OK)
        return st;
    const struct db_options options = { .path = db_path.ptr, .read_only = !call->repair };
    st = load_time(d, &options, err);
    if (st != ST_OK)
        return st;
    st = db_open(&options, schema_migrations, schema_migration_count, &d->registry.db, err);
    if (st != ST_OK)
        return st;
    return call->repair ? blob_fs_open(blobs_path.ptr, &d->registry.store, err)
                        : blob_fs_open_read_only(blobs_path.ptr, &d->registry.store, err);
}

static struct check_summary summary_of(const struct check_report *r)
{
    return (struct check_summary){ .wrong = r->wrong,
                                   .notes = r->notes,
                                   .repaired = r->repaired,
                                   .tags = r->tags,
                                   .manifests = r->manifests,
                                   .links = r->links,
                                   .blobs = r->blobs,
                                   .uploads = r->uploads,
                                   .files = r->files,
                                   .stored_bytes = r->stored_bytes,
                                   .hashed_bytes = r->hashed_bytes };
}

static enum cli_exit check_opened(const struct cli_command *self, struct dir_check *d,
                                  const struct check_call *call)
{
    const struct check_options options = { .quick = call->quick,
                                           .hash = call->hash,
                                           .sparse_index = call->sparse_index,
                                           .repair_blobs = call->repair,
                                           .repair_counts = call->repair,
                                           .repair_orphans = call->repair_orphans,
                                           .rate_bytes = call->rate_bytes };
    const struct check_watch watch = { advance, found, d };
    struct check_report report;
    struct err err;
    progress_watch();
    check_print_begin(&d->printer, call);
    enum st st = check_run(&d->registry, &options, &watch, &report, &err);
    const struct check_summary summary = summary_of(&report);
    check_print_end(&d->printer,
                    st == ST_OK         ? "finished"
                    : st == ST_STOPPING ? "stopped"
                                        : "failed",
                    &summary);
    enum cli_exit exit = cli_finish(self);
    if (st != ST_OK)
        return cli_fail(self, &err);
    return exit == CLI_DONE && report.wrong > 0 ? CLI_FAILED : exit;
}

static enum cli_exit check_dir(const struct cli_command *self, const struct check_call *call)
{
    struct dir_check d = { .dir = DATA_DIR_NONE };
    struct err err;
    enum st st = open_dir(&d, call, &err);
    enum cli_exit exit = st == ST_OK ? check_opened(self, &d, call) : cli_fail(self, &err);
    registry_time_close(&d.registry);
    db_close(d.registry.db);
    blob_store_free(d.registry.store);
    data_dir_close(&d.dir);
    arena_release(&d.arena);
    return exit;
}

enum cli_exit check_run_command(const struct cli_command *self, int argc, char **argv)
{
    struct check_call call;
    enum cli_exit exit = check_call_read(self, argc, argv, &call);
    if (exit != CLI_DONE)
        return exit;
    return call.remote ? check_call_ask(self, &call) : check_dir(self, &call);
}
