/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"
#include "base/metric.h"
#include "reclaim/reclaim.h"

/* One batch of the step under way. */
struct batch {
    struct registry *r;
    int64_t now;
    struct removal removed;
    size_t taken;
    struct arena arena;
    struct upload_due *uploads;
    size_t upload_count;
    const struct upload_due *upload;
    struct doomed_name *names;
    size_t name_count;
};

/* ---- manifests and links ------------------------------------------------------------------- */

static enum st take_manifests(struct db_tx *tx, void *ctx, struct err *err)
{
    struct batch *b = ctx;
    int64_t ids[RECLAIM_BATCH];
    b->removed = (struct removal){ 0 };
    enum st st = manifests_due(tx, b->now, ids, RECLAIM_BATCH, &b->taken, err);
    for (size_t i = 0; i < b->taken && st == ST_OK; i++)
        st = manifests_reclaim(tx, ids[i], &b->r->keeping, b->now, &b->removed, err);
    return st;
}

static enum st take_links(struct db_tx *tx, void *ctx, struct err *err)
{
    struct batch *b = ctx;
    struct link_ref links[RECLAIM_BATCH];
    b->removed = (struct removal){ 0 };
    enum st st = blobs_due_links(tx, b->now, links, RECLAIM_BATCH, &b->taken, err);
    for (size_t i = 0; i < b->taken && st == ST_OK; i++) {
        st = blobs_review_link(tx, &links[i], b->now, &b->removed, err);
        if (st == ST_OK)
            st = repositories_drop_if_empty(tx, links[i].repo_id, err);
    }
    return st;
}

static void add_removal(struct reclaim_report *out, const struct batch *b)
{
    out->removed.manifests += b->removed.manifests;
    out->removed.links += b->removed.links;
    out->removed.blobs += b->removed.blobs;
    out->removed.bytes += b->removed.bytes;
    out->more = out->more || b->taken == RECLAIM_BATCH;
}

/* Most steps find nothing: looking is a read, and only then comes a write. */
static enum st any_due(struct db_tx *tx, void *ctx, struct err *err)
{
    struct batch *b = ctx;
    int64_t id = 0;
    struct link_ref link = { 0 };
    size_t links = 0;
    size_t manifests = 0;
    enum st st = manifests_due(tx, b->now, &id, 1, &manifests, err);
    if (st == ST_OK)
        st = blobs_due_links(tx, b->now, &link, 1, &links, err);
    b->taken = manifests + links;
    return st;
}

static enum st reclaim_rows(struct registry *r, int64_t now, struct reclaim_report *out,
                            struct err *err)
{
    struct batch b = { .r = r, .now = now };
    enum st st = db_read(r->db, any_due, &b, err);
    if (st != ST_OK || b.taken == 0)
        return st;
    st = db_write(r->db, take_manifests, &b, err);
    if (st == ST_OK) {
        add_removal(out, &b);
        st = db_write(r->db, take_links, &b, err);
    }
    if (st == ST_OK)
        add_removal(out, &b);
    return st;
}

/* ---- uploads ------------------------------------------------------------------------------- */

static enum st list_uploads(struct db_tx *tx, void *ctx, struct err *err)
{
    struct batch *b = ctx;
    return uploads_due(tx, b->now, RECLAIM_BATCH, &b->arena, &b->uploads, &b->upload_count, err);
}

static enum st expire_upload(struct db_tx *tx, void *ctx, struct err *err)
{
    struct batch *b = ctx;
    return uploads_expire(tx, b->upload->id, b->upload->repo, b->now, err);
}

static enum st expire_uploads(struct registry *r, const struct reclaim_guard *guard, int64_t now,
                              struct reclaim_report *out, struct err *err)
{
    struct batch b = { .r = r, .now = now };
    size_t passed_over = 0;
    enum st st = db_read(r->db, list_uploads, &b, err);
    for (size_t i = 0; i < b.upload_count && st == ST_OK; i++) {
        void *held = NULL;
        b.upload = &b.uploads[i];
        if (guard != NULL && !guard->take_upload(guard->ctx, b.upload->id, &held)) {
            passed_over++; /* a request is writing to it, and will move its time */
            continue;
        }
        st = db_write(r->db, expire_upload, &b, err);
        if (guard != NULL)
            guard->release_upload(guard->ctx, held);
        if (st == ST_NOT_FOUND)
            st = ST_OK; /* it ended by itself meanwhile, or went on */
        else if (st == ST_OK)
            out->uploads++;
    }
    out->more = out->more || (b.upload_count == RECLAIM_BATCH && passed_over < RECLAIM_BATCH);
    arena_release(&b.arena);
    return st;
}

/* ---- bytes --------------------------------------------------------------------------------- */

static enum st list_names(struct db_tx *tx, void *ctx, struct err *err)
{
    struct batch *b = ctx;
    return doomed_list(tx, RECLAIM_BATCH, &b->arena, &b->names, &b->name_count, err);
}

static enum st drop_names(struct db_tx *tx, void *ctx, struct err *err)
{
    struct batch *b = ctx;
    enum st st = ST_OK;
    for (size_t i = 0; i < b->name_count && st == ST_OK; i++)
        st = doomed_drop(tx, b->names[i].name, err);
    return st;
}

static enum st remove_names(struct registry *r, struct reclaim_report *out, struct err *err)
{
    struct batch b = { .r = r };
    str names[RECLAIM_BATCH];
    enum st st = db_read(r->db, list_names, &b, err);
    for (size_t i = 0; i < b.name_count && st == ST_OK; i++)
        names[i] = b.names[i].name;
    if (st == ST_OK && b.name_count > 0)
        st = blob_remove(r->store, names, b.name_count, err);
    if (st == ST_OK && b.name_count > 0)
        st = db_write(r->db, drop_names, &b, err);
    if (st == ST_OK) {
        out->names += b.name_count;
        out->more = out->more || b.name_count == RECLAIM_BATCH;
    }
    arena_release(&b.arena);
    return st;
}

/* -------------------------------------------------------------------------------------------- */

static void count(const struct reclaim_report *before, const struct reclaim_report *after)
{
    static const char by_kind[][24] = { "kind=\"manifest\"", "kind=\"blob\"", "kind=\"link\"" };
    const uint64_t numbers[] = { after->removed.manifests - before->removed.manifests,
                                 after->removed.blobs - before->removed.blobs,
                                 after->removed.links - before->removed.links };
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++)
        metric_cell_add(metric_cell(METRIC_RECLAIM_OBJECTS, by_kind[i]), (int64_t)numbers[i]);
    metric_add(METRIC_RECLAIM_BYTES, (int64_t)(after->removed.bytes - before->removed.bytes));
    metric_add(METRIC_UPLOADS_EXPIRED, (int64_t)(after->uploads - before->uploads));
}

enum st reclaim_step(struct registry *r, const struct reclaim_guard *guard, int64_t now,
                     struct reclaim_report *out, struct err *err)
{
    const struct reclaim_report before = *out;
    int64_t started = clock_mono_us();
    out->more = false;
    enum st st = expire_uploads(r, guard, now, out, err);
    if (st == ST_OK)
        st = reclaim_rows(r, now, out, err);
    if (st == ST_OK)
        st = remove_names(r, out, err);
    count(&before, out);
    if (st != ST_OK)
        metric_add(METRIC_RECLAIM_ERRORS, 1);
    metric_observe(METRIC_RECLAIM_SECONDS, clock_mono_us() - started);
    return st == ST_OK ? ST_OK : err_wrap(err, "reclaim");
}
