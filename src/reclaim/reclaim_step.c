/* SPDX-License-Identifier: Apache-2.0
 *
 * A step: uploads, rows, names; of each a batch.
 *
 *   batch in one transaction ──fails──▶ each object in one of its own ──fails──▶ reclaim_failure
 *
 * Names wait until there are RECLAIM_NAMES of them or no more rows are due: to remove them durably
 * costs a sync of each folder that held some, however many those are.
 */
#include "base/clock.h"
#include "base/metric.h"
#include "meta/doomed.h"
#include "reclaim/reclaim_int.h"

/* A transaction stops taking rows once it removed this many: about 6 ms. An image with many layers
 * counts for as many. */
#define ROWS_AT_ONCE 128

/* One step, and the batches of it. */
struct step {
    struct registry *r;
    const struct reclaim_guard *guard;
    int64_t now;
    struct reclaim_report *out;

    bool rows_due;
    bool uploads_due;
    bool failing; /* there are objects that failed before */
    size_t names_due;

    int64_t manifests[RECLAIM_BATCH];
    size_t manifest_count;
    struct link_ref links[RECLAIM_BATCH];
    size_t link_count;
    bool more;
    struct removal removed;

    struct arena arena; /* of uploads */
    struct upload_due *uploads;
    size_t upload_count;
    void *held[RECLAIM_UPLOADS];
    bool taken[RECLAIM_UPLOADS];
    uint64_t expired;

    struct reclaim_object object; /* the one that is looked at alone */
    struct err why;               /* it failed */
};

bool reclaim_blames_object(enum st st)
{
    switch (st) {
    case ST_OK:
    case ST_END:
    case ST_FULL:
    case ST_NO_MEMORY:
    case ST_STOPPING:
    case ST_BUSY:
        return false;
    default:
        return true;
    }
}

/* ---- one object alone ------------------------------------------------------------------------ */

static enum st review_link(struct db_tx *tx, struct step *s, const struct link_ref *link,
                           struct err *err)
{
    enum st st = links_review(tx, link, s->now, &s->removed, err);
    return st == ST_OK ? repositories_drop_if_empty(tx, link->repo_id, err) : st;
}

static enum st expire(struct db_tx *tx, struct step *s, const struct upload_due *u, struct err *err)
{
    enum st st = uploads_expire(tx, u->id, u->repo, s->now, err);
    if (st == ST_OK)
        s->expired++;
    return st == ST_NOT_FOUND ? ST_OK : st; /* it ended by itself meanwhile, or went on */
}

static enum st expire_object(struct db_tx *tx, struct step *s, struct err *err)
{
    for (size_t i = 0; i < s->upload_count; i++)
        if (str_eq(s->uploads[i].id, s->object.upload))
            return expire(tx, s, &s->uploads[i], err);
    return ST_OK;
}

static enum st take_object(struct db_tx *tx, void *ctx, struct err *err)
{
    struct step *s = ctx;
    s->removed = (struct removal){ 0 };
    s->expired = 0;
    switch (s->object.kind) {
    case RECLAIM_MANIFEST:
        return manifests_reclaim(tx, s->object.manifest_id, &s->r->keeping, s->now, &s->removed,
                                 err);
    case RECLAIM_LINK:
        return review_link(tx, s, &s->object.link, err);
    case RECLAIM_UPLOAD:
        return expire_object(tx, s, err);
    case RECLAIM_NAME:
        break;
    }
    return err_set(err, ST_BUG, "a name is no row");
}

static enum st note_failure(struct db_tx *tx, void *ctx, struct err *err)
{
    struct step *s = ctx;
    return reclaim_failures_add(tx, &s->object, str_of(s->why.text), s->now, err);
}

static void add_up(struct step *s)
{
    struct reclaim_report *out = s->out;
    out->removed.manifests += s->removed.manifests;
    out->removed.links += s->removed.links;
    out->removed.blobs += s->removed.blobs;
    out->removed.bytes += s->removed.bytes;
    out->uploads += s->expired;
}

static enum st take_alone(struct step *s, struct reclaim_object object, struct err *err)
{
    s->object = object;
    enum st st = db_write(s->r->db, take_object, s, &s->why);
    if (st == ST_OK) {
        add_up(s);
        return ST_OK;
    }
    if (!reclaim_blames_object(st)) {
        *err = s->why;
        return st;
    }
    s->out->failures++;
    return db_write(s->r->db, note_failure, s, err);
}

/* ---- rows ------------------------------------------------------------------------------------ */

static bool is_enough(const struct removal *r)
{
    return r->manifests + r->links >= ROWS_AT_ONCE;
}

static enum st take_rows(struct db_tx *tx, void *ctx, struct err *err)
{
    struct step *s = ctx;
    size_t i = 0;
    s->removed = (struct removal){ 0 };
    s->expired = 0;
    s->manifest_count = s->link_count = 0;
    enum st st = manifests_due(tx, s->now, s->manifests, RECLAIM_BATCH, &s->manifest_count, err);
    for (; i < s->manifest_count && st == ST_OK && !is_enough(&s->removed); i++)
        st = manifests_reclaim(tx, s->manifests[i], &s->r->keeping, s->now, &s->removed, err);
    s->more = i == RECLAIM_BATCH || is_enough(&s->removed);
    if (st != ST_OK || is_enough(&s->removed))
        return st;
    st = links_due(tx, s->now, s->links, RECLAIM_BATCH, &s->link_count, err);
    for (i = 0; i < s->link_count && st == ST_OK && !is_enough(&s->removed); i++)
        st = review_link(tx, s, &s->links[i], err);
    s->more = s->more || i == RECLAIM_BATCH || is_enough(&s->removed);
    return st;
}

static enum st reclaim_rows(struct step *s, struct err *err)
{
    enum st st = db_write(s->r->db, take_rows, s, err);
    if (st == ST_OK) {
        add_up(s);
        s->out->more = s->out->more || s->more;
        return ST_OK;
    }
    size_t manifests = s->manifest_count;
    size_t links = s->link_count;
    if (!reclaim_blames_object(st) || manifests + links == 0)
        return st;
    st = ST_OK;
    for (size_t i = 0; i < manifests && st == ST_OK; i++)
        st = take_alone(
            s, (struct reclaim_object){ .kind = RECLAIM_MANIFEST, .manifest_id = s->manifests[i] },
            err);
    for (size_t i = 0; i < links && st == ST_OK; i++)
        st = take_alone(s, (struct reclaim_object){ .kind = RECLAIM_LINK, .link = s->links[i] },
                        err);
    s->out->more = true; /* the batch may have ended where it failed */
    return st;
}

/* ---- uploads --------------------------------------------------------------------------------- */

static enum st list_uploads(struct db_tx *tx, void *ctx, struct err *err)
{
    struct step *s = ctx;
    return uploads_due(tx, s->now, RECLAIM_UPLOADS, &s->arena, &s->uploads, &s->upload_count, err);
}

static enum st expire_taken(struct db_tx *tx, void *ctx, struct err *err)
{
    struct step *s = ctx;
    enum st st = ST_OK;
    s->removed = (struct removal){ 0 };
    s->expired = 0;
    for (size_t i = 0; i < s->upload_count && st == ST_OK; i++)
        if (s->taken[i])
            st = expire(tx, s, &s->uploads[i], err);
    return st;
}

static enum st expire_each(struct step *s, struct err *err)
{
    enum st st = ST_OK;
    for (size_t i = 0; i < s->upload_count && st == ST_OK; i++)
        if (s->taken[i])
            st = take_alone(
                s, (struct reclaim_object){ .kind = RECLAIM_UPLOAD, .upload = s->uploads[i].id },
                err);
    return st;
}

/* Those that a request is writing to are passed over: it will move their time. */
static size_t take_guards(struct step *s)
{
    size_t taken = 0;
    for (size_t i = 0; i < s->upload_count; i++) {
        s->taken[i] =
            s->guard == NULL || s->guard->take_upload(s->guard->ctx, s->uploads[i].id, &s->held[i]);
        taken += s->taken[i];
    }
    return taken;
}

static void release_guards(struct step *s)
{
    for (size_t i = 0; i < s->upload_count && s->guard != NULL; i++)
        if (s->taken[i])
            s->guard->release_upload(s->guard->ctx, s->held[i]);
}

static enum st expire_uploads(struct step *s, struct err *err)
{
    enum st st = db_read(s->r->db, list_uploads, s, err);
    if (st != ST_OK || s->upload_count == 0)
        return st;
    size_t taken = take_guards(s);
    if (taken > 0) {
        st = db_write(s->r->db, expire_taken, s, err);
        if (st == ST_OK)
            add_up(s);
        else if (reclaim_blames_object(st))
            st = expire_each(s, err);
    }
    release_guards(s);
    s->out->more = s->out->more || (s->upload_count == RECLAIM_UPLOADS && taken > 0);
    return st;
}

/* ---- the step -------------------------------------------------------------------------------- */

/* Most steps find nothing: looking is a read, and only then comes a write. */
static enum st look(struct db_tx *tx, void *ctx, struct err *err)
{
    struct step *s = ctx;
    AUTO(arena_release) struct arena scratch = { 0 };
    struct upload_due *upload = NULL;
    int64_t id = 0;
    struct link_ref link = { 0 };
    size_t manifests = 0, links = 0, uploads = 0;
    enum st st = manifests_due(tx, s->now, &id, 1, &manifests, err);
    if (st == ST_OK)
        st = links_due(tx, s->now, &link, 1, &links, err);
    if (st == ST_OK)
        st = uploads_due(tx, s->now, 1, &scratch, &upload, &uploads, err);
    if (st == ST_OK)
        st = reclaim_failures_any(tx, &s->failing, err);
    if (st == ST_OK)
        st = doomed_count_due(tx, s->now, RECLAIM_NAMES, &s->names_due, err);
    s->rows_due = manifests + links > 0;
    s->uploads_due = uploads > 0;
    return st;
}

static enum st prune(struct db_tx *tx, void *ctx, struct err *err)
{
    (void)ctx;
    return reclaim_failures_prune(tx, err);
}

static enum st take_step(struct step *s, struct err *err)
{
    const struct reclaim_report before = *s->out;
    enum st st = db_read(s->r->db, look, s, err);
    if (st == ST_OK && s->uploads_due)
        st = expire_uploads(s, err);
    if (st == ST_OK && s->rows_due)
        st = reclaim_rows(s, err);
    if (st != ST_OK)
        return st;
    size_t added = s->out->removed.blobs - before.removed.blobs + s->out->uploads - before.uploads;
    if (s->names_due + added >= RECLAIM_NAMES || (!s->out->more && s->names_due + added > 0))
        st = reclaim_names(s->r, s->now, s->out, err);
    if (st == ST_OK && s->failing)
        st = db_write(s->r->db, prune, NULL, err);
    return st;
}

static void count(const struct reclaim_report *before, const struct reclaim_report *after)
{
    static const char by_kind[][24] = { "kind=\"manifest\"", "kind=\"blob\"", "kind=\"link\"" };
    const uint64_t numbers[] = { after->removed.manifests - before->removed.manifests,
                                 after->removed.blobs - before->removed.blobs,
                                 after->removed.links - before->removed.links };
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++)
        metric_cell_add(metric_cell(METRIC_RECLAIM_OBJECTS, by_kind[i]), (int64_t)numbers[i]);
    metric_add(METRIC_RECLAIM_BYTES, (int64_t)(after->removed.bytes - before->removed.bytes));
    metric_add(METRIC_RECLAIM_ERRORS, (int64_t)(after->failures - before->failures));
    metric_add(METRIC_UPLOADS_EXPIRED, (int64_t)(after->uploads - before->uploads));
}

enum st reclaim_step(struct registry *r, const struct reclaim_guard *guard, int64_t now,
                     struct reclaim_report *out, struct err *err)
{
    struct step s = { .r = r, .guard = guard, .now = now, .out = out };
    const struct reclaim_report before = *out;
    int64_t started = clock_mono_us();
    out->more = false;
    enum st st = take_step(&s, err);
    arena_release(&s.arena);
    count(&before, out);
    if (st != ST_OK)
        metric_add(METRIC_RECLAIM_ERRORS, 1);
    metric_observe(METRIC_RECLAIM_SECONDS, clock_mono_us() - started);
    return st == ST_OK ? ST_OK : err_wrap(err, "reclaim");
}
