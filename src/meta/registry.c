/* SPDX-License-Identifier: Apache-2.0 */
#include "meta/registry.h"

#include "meta/locks.h"

/* Each call has a struct of what its transaction reads and writes, and a function that runs inside
 * it. A function may run more than once (db.h, contract 3), so outputs are set anew each time. */

/* ST_DENIED when rules forbid to bring anything into the repository. */
static enum st check_push(struct db_tx *tx, const struct registry *r, str repo, int64_t now,
                          struct err *err)
{
    AUTO(protection_release) struct protection *p = NULL;
    const struct protection_case c = { .act = PROTECT_PUSH, .repo = repo };
    enum st st = protection_load(tx, r->protection, &p, err);
    return st == ST_OK ? protection_check(tx, p, &c, now, err) : st;
}

/* ---- reads -------------------------------------------------------------------------------- */

struct blob_call {
    struct registry *r;
    str repo;
    str from;
    const struct digest *digest;
    const struct blob_arrival *arrival;
    struct arena *arena;
    struct blob_row *row;
    bool *repo_known;
    int64_t now;
    const struct blob_row *damaged;
};

static enum st no_blob(str repo, const struct digest *d, struct err *err)
{
    char text[DIGEST_TEXT_MAX + 1];
    str digest = digest_text(d, text);
    return err_set(err, ST_NOT_FOUND, "there is no blob %.*s in %.*s", STR_FMT(digest),
                   STR_FMT(repo));
}

static enum st find_blob(struct db_tx *tx, void *ctx, struct err *err)
{
    struct blob_call *c = ctx;
    int64_t repo_id = 0;
    *c->repo_known = false;
    enum st st = repositories_find(tx, c->repo, &repo_id, err);
    if (st != ST_OK)
        return st;
    *c->repo_known = true;
    st = blobs_find(tx, repo_id, c->digest, c->arena, c->row, err);
    if (st == ST_OK && c->row->any_locks)
        st = locks_may_read(tx, c->repo, STR_NONE, NULL, err);
    return st == ST_NOT_FOUND ? no_blob(c->repo, c->digest, err) : st;
}

enum st registry_find_blob(struct registry *r, str repo, const struct digest *d, struct arena *a,
                           struct blob_row *out, bool *repo_known, struct err *err)
{
    struct blob_row row = { 0 };
    struct blob_call c = {
        .r = r, .repo = repo, .digest = d, .arena = a, .row = &row, .repo_known = repo_known
    };
    enum st st = db_read(r->db, find_blob, &c, err);
    if (st != ST_OK)
        return st;
    if (row.damaged)
        return err_set(err, ST_DAMAGED,
                       "the stored bytes of this blob are damaged; pushing it again heals it");
    *out = row;
    return ST_OK;
}

/* Renewing when a tenth of the lease is used up spares a write for most repeated HEADs; a promise
 * is then nine tenths of a lease at least. */
static int64_t lease_wanted_until(const struct registry *r, int64_t now)
{
    return now + r->keeping.lease_ms - r->keeping.lease_ms / 10;
}

bool registry_blob_wants_lease(const struct registry *r, const struct blob_row *row, int64_t now)
{
    return !row->used && row->lease_until < lease_wanted_until(r, now);
}

bool registry_manifest_wants_lease(const struct registry *r, const struct manifest_row *row,
                                   int64_t now)
{
    return row->due_at != 0 && row->due_at < lease_wanted_until(r, now);
}

static enum st lease_blob(struct db_tx *tx, void *ctx, struct err *err)
{
    struct blob_call *c = ctx;
    AUTO(arena_release) struct arena scratch = { 0 };
    struct blob_row row = { 0 };
    int64_t repo_id = 0;
    enum st st = repositories_find(tx, c->repo, &repo_id, err);
    if (st == ST_OK)
        st = blobs_find(tx, repo_id, c->digest, &scratch, &row, err);
    if (st == ST_OK)
        st = links_put(tx, repo_id, row.id, &c->r->keeping, c->now, err);
    return st;
}

enum st registry_lease_blob(struct registry *r, str repo, const struct digest *d, int64_t now,
                            struct err *err)
{
    struct blob_call c = { .r = r, .repo = repo, .digest = d, .now = now };
    return registry_write(r, lease_blob, &c, err);
}

struct manifest_call {
    struct registry *r;
    str repo;
    str tag;
    const struct digest *digest;
    struct arena *arena;
    struct manifest_row *row;
    bool *repo_known;
    int64_t now;
};

static enum st find_manifest(struct db_tx *tx, void *ctx, struct err *err)
{
    struct manifest_call *c = ctx;
    int64_t repo_id = 0;
    *c->repo_known = true;
    enum st st = c->digest == NULL
                     ? manifests_find_by_tag(tx, c->repo, c->tag, c->arena, c->row, err)
                     : manifests_find_by_digest(tx, c->repo, c->digest, c->arena, c->row, err);
    if (st == ST_OK && c->row->any_locks)
        st = locks_may_read(tx, c->repo, c->digest == NULL ? c->tag : STR_NONE, &c->row->digest,
                            err);
    if (st != ST_NOT_FOUND)
        return st;
    struct err why = { 0 };
    enum st there = repositories_find(tx, c->repo, &repo_id, &why);
    *c->repo_known = there == ST_OK;
    if (there == ST_OK)
        return st;
    *err = why;
    return there;
}

enum st registry_find_manifest(struct registry *r, str repo, str tag, const struct digest *d,
                               struct arena *a, struct manifest_row *out, bool *repo_known,
                               struct err *err)
{
    struct manifest_row row = { 0 };
    struct manifest_call c = { .r = r,
                               .repo = repo,
                               .tag = tag,
                               .digest = d,
                               .arena = a,
                               .row = &row,
                               .repo_known = repo_known };
    enum st st = db_read(r->db, find_manifest, &c, err);
    if (st == ST_OK)
        *out = row;
    return st;
}

static enum st lease_manifest(struct db_tx *tx, void *ctx, struct err *err)
{
    struct manifest_call *c = ctx;
    AUTO(arena_release) struct arena scratch = { .limit_bytes = 16 * MIB };
    struct manifest_row row = { 0 };
    enum st st = manifests_find_by_digest(tx, c->repo, c->digest, &scratch, &row, err);
    if (st == ST_OK)
        st = manifests_renew(tx, row.id, &c->r->keeping, c->now, err);
    return st;
}

enum st registry_lease_manifest(struct registry *r, str repo, const struct digest *d, int64_t now,
                                struct err *err)
{
    struct manifest_call c = { .r = r, .repo = repo, .digest = d, .now = now };
    return registry_write(r, lease_manifest, &c, err);
}

struct list_call {
    str repo;
    str last;
    size_t limit;
    struct arena *arena;
    struct name_page *names;
    const struct digest *subject;
    str artifact_type;
    const struct digest *last_digest;
    struct referrer_page *referrers;
};

static enum st list_tags(struct db_tx *tx, void *ctx, struct err *err)
{
    struct list_call *c = ctx;
    return tags_list(tx, c->repo, c->last, c->limit, c->arena, c->names, err);
}

enum st registry_list_tags(struct registry *r, str repo, str last, size_t limit, struct arena *a,
                           struct name_page *out, struct err *err)
{
    struct list_call c = { .repo = repo, .last = last, .limit = limit, .arena = a, .names = out };
    return db_read(r->db, list_tags, &c, err);
}

static enum st list_repositories(struct db_tx *tx, void *ctx, struct err *err)
{
    struct list_call *c = ctx;
    return repositories_list(tx, c->last, c->limit, c->arena, c->names, err);
}

enum st registry_list_repositories(struct registry *r, str last, size_t limit, struct arena *a,
                                   struct name_page *out, struct err *err)
{
    struct list_call c = { .last = last, .limit = limit, .arena = a, .names = out };
    return db_read(r->db, list_repositories, &c, err);
}

static enum st list_referrers(struct db_tx *tx, void *ctx, struct err *err)
{
    struct list_call *c = ctx;
    struct referrer_page *p = c->referrers;
    return manifests_referrers(tx, c->repo, c->subject, c->artifact_type, c->last_digest, c->limit,
                               c->arena, &p->items, &p->count, &p->more, err);
}

enum st registry_list_referrers(struct registry *r, str repo, const struct digest *subject,
                                str artifact_type, const struct digest *last, size_t limit,
                                struct arena *a, struct referrer_page *out, struct err *err)
{
    struct list_call c = { .repo = repo,
                           .limit = limit,
                           .arena = a,
                           .subject = subject,
                           .artifact_type = artifact_type,
                           .last_digest = last,
                           .referrers = out };
    return db_read(r->db, list_referrers, &c, err);
}

/* ---- uploads ------------------------------------------------------------------------------ */

struct upload_call {
    struct registry *r;
    str repo;
    str id;
    str actor;
    uint64_t size;
    str data;
    int64_t now;
    struct arena *arena;
    struct upload_row *row;
    uint64_t *count;
};

static enum st start_upload(struct db_tx *tx, void *ctx, struct err *err)
{
    struct upload_call *c = ctx;
    enum st st = check_push(tx, c->r, c->repo, c->now, err);
    if (st != ST_OK)
        return st;
    return uploads_start(tx, c->id, c->repo, c->actor, c->r->uploads_per_repo_max, c->now,
                         c->now + c->r->upload_rest_ms, err);
}

enum st registry_start_upload(struct registry *r, str repo, str id, str actor, int64_t now,
                              struct err *err)
{
    struct upload_call c = { .r = r, .repo = repo, .id = id, .actor = actor, .now = now };
    return registry_write(r, start_upload, &c, err);
}

static enum st find_upload(struct db_tx *tx, void *ctx, struct err *err)
{
    struct upload_call *c = ctx;
    return uploads_find(tx, c->id, c->repo, c->arena, c->row, err);
}

enum st registry_find_upload(struct registry *r, str repo, str id, struct arena *a,
                             struct upload_row *out, struct err *err)
{
    struct upload_call c = { .repo = repo, .id = id, .arena = a, .row = out };
    return db_read(r->db, find_upload, &c, err);
}

static enum st note_progress(struct db_tx *tx, void *ctx, struct err *err)
{
    struct upload_call *c = ctx;
    return uploads_progress(tx, c->id, c->size, c->data, c->now + c->r->upload_rest_ms, err);
}

enum st registry_note_progress(struct registry *r, str id, uint64_t size, str data, int64_t now,
                               struct err *err)
{
    struct upload_call c = { .r = r, .id = id, .size = size, .data = data, .now = now };
    return registry_write(r, note_progress, &c, err);
}

static enum st cancel_upload(struct db_tx *tx, void *ctx, struct err *err)
{
    struct upload_call *c = ctx;
    return uploads_cancel(tx, c->id, c->repo, c->now, err);
}

enum st registry_cancel_upload(struct registry *r, str repo, str id, int64_t now, struct err *err)
{
    struct upload_call c = { .repo = repo, .id = id, .now = now };
    return registry_write(r, cancel_upload, &c, err);
}

static enum st finish_upload(struct db_tx *tx, void *ctx, struct err *err)
{
    struct blob_call *c = ctx;
    int64_t repo_id = 0;
    int64_t blob_id = 0;
    enum st st = check_push(tx, c->r, c->repo, c->now, err);
    if (st == ST_OK)
        st = uploads_end(tx, c->arrival->name, c->repo, err);
    if (st == ST_OK)
        st = blobs_arrive(tx, c->arrival, c->now, &blob_id, err);
    if (st == ST_OK)
        st = repositories_need(tx, c->repo, c->now, &repo_id, err);
    if (st == ST_OK)
        st = links_put(tx, repo_id, blob_id, &c->r->keeping, c->now, err);
    return st;
}

enum st registry_finish_upload(struct registry *r, str repo, const struct blob_arrival *in,
                               int64_t now, struct err *err)
{
    struct blob_call c = { .r = r, .repo = repo, .arrival = in, .now = now };
    return registry_write(r, finish_upload, &c, err);
}

static enum st blob_homes(struct db_tx *tx, void *ctx, struct err *err)
{
    struct list_call *c = ctx;
    return blobs_homes(tx, c->subject, c->limit, c->arena, c->names, err);
}

enum st registry_blob_homes(struct registry *r, const struct digest *d, size_t limit,
                            struct arena *a, struct name_page *out, struct err *err)
{
    struct list_call c = { .subject = d, .limit = limit, .arena = a, .names = out };
    return db_read(r->db, blob_homes, &c, err);
}

static enum st mount_from(struct db_tx *tx, struct blob_call *c, int64_t *blob_id, struct err *err)
{
    AUTO(arena_release) struct arena scratch = { 0 };
    struct blob_row row = { 0 };
    int64_t from_id = 0;
    enum st st = repositories_find(tx, c->from, &from_id, err);
    if (st == ST_OK)
        st = blobs_find(tx, from_id, c->digest, &scratch, &row, err);
    if (st == ST_OK && row.any_locks)
        st = locks_may_read(tx, c->from, STR_NONE, NULL, err);
    if (st == ST_DENIED || (st == ST_OK && row.damaged))
        st = ST_NOT_FOUND;
    if (st == ST_NOT_FOUND)
        return no_blob(c->from, c->digest, err);
    if (st == ST_OK)
        *blob_id = row.id;
    return st;
}

static enum st mount(struct db_tx *tx, void *ctx, struct err *err)
{
    struct blob_call *c = ctx;
    int64_t repo_id = 0;
    int64_t blob_id = 0;
    enum st st = check_push(tx, c->r, c->repo, c->now, err);
    if (st == ST_OK)
        st = c->from.ptr != NULL ? mount_from(tx, c, &blob_id, err)
                                 : blobs_find_anywhere(tx, c->digest, &blob_id, err);
    if (st == ST_OK)
        st = repositories_need(tx, c->repo, c->now, &repo_id, err);
    if (st == ST_OK)
        st = links_put(tx, repo_id, blob_id, &c->r->keeping, c->now, err);
    return st;
}

enum st registry_mount(struct registry *r, str repo, str from, const struct digest *d, int64_t now,
                       struct err *err)
{
    struct blob_call c = { .r = r, .repo = repo, .from = from, .digest = d, .now = now };
    return registry_write(r, mount, &c, err);
}

/* ---- manifests ---------------------------------------------------------------------------- */

struct push_call {
    struct registry *r;
    const struct registry_push *in;
    int64_t now;
    struct manifest_missing *missing;
};

/* A tag that is there may be set again to what it names, and be moved unless a rule is against it.
 */
static enum st check_tag(struct db_tx *tx, const struct push_call *c, const struct protection *p,
                         int64_t repo_id, str tag, struct protection_memo *memo, struct err *err)
{
    struct protection_case ask = { .act = PROTECT_PUSH_TAG,
                                   .actor = c->in->actor,
                                   .repo = c->in->repo,
                                   .tag = tag,
                                   .memo = memo };
    struct digest before;
    struct err why = { 0 };
    int64_t id = 0;
    enum st st = protection_check(tx, p, &ask, c->now, err);
    if (st != ST_OK)
        return st;
    ask.act = PROTECT_SET_TAG;
    enum st may = protection_check(tx, p, &ask, c->now, &why);
    if (may == ST_OK)
        return ST_OK;
    st = tags_find(tx, repo_id, tag, &id, &before, err);
    if (st == ST_NOT_FOUND || (st == ST_OK && digest_eq(&before, c->in->digest)))
        return ST_OK;
    if (st != ST_OK)
        return st;
    return err_set(err, may, "%s", why.text);
}

/* May all of it be pushed? */
static enum st check_manifest(struct db_tx *tx, const struct push_call *c, int64_t repo_id,
                              struct err *err)
{
    AUTO(protection_release) struct protection *p = NULL;
    struct protection_memo memo = { 0 };
    const struct protection_case push = { .act = PROTECT_PUSH_MANIFEST,
                                          .actor = c->in->actor,
                                          .repo = c->in->repo,
                                          .digest = c->in->digest,
                                          .memo = &memo };
    enum st st = protection_load(tx, c->r->protection, &p, err);
    if (st == ST_OK)
        st = protection_check(tx, p, &push, c->now, err);
    for (size_t i = 0; i < c->in->tag_count && st == ST_OK; i++)
        st = check_tag(tx, c, p, repo_id, c->in->tags[i], &memo, err);
    return st;
}

static enum st push_manifest(struct db_tx *tx, void *ctx, struct err *err)
{
    struct push_call *c = ctx;
    const struct keeping *k = &c->r->keeping;
    int64_t id = 0;
    struct manifest_push put = { .parsed = c->in->parsed,
                                 .digest = c->in->digest,
                                 .payload = c->in->payload,
                                 .sparse = c->r->sparse_index };
    enum st st = repositories_need(tx, c->in->repo, c->now, &put.repo_id, err);
    if (st == ST_OK)
        st = check_manifest(tx, c, put.repo_id, err);
    if (st == ST_OK)
        st = manifests_put(tx, &put, k, c->now, &id, c->missing, err);
    for (size_t i = 0; i < c->in->tag_count && st == ST_OK; i++)
        st = tags_set(tx, put.repo_id, c->in->tags[i], id, k, c->now, err);
    if (st == ST_OK)
        st = manifests_review(tx, id, k, c->now, NULL, err);
    return st;
}

enum st registry_push_manifest(struct registry *r, const struct registry_push *in, int64_t now,
                               struct manifest_missing *missing, struct err *err)
{
    struct push_call c = { .r = r, .in = in, .now = now, .missing = missing };
    return registry_write(r, push_manifest, &c, err);
}

/* ---- the rest ----------------------------------------------------------------------------- */

static enum st report_damage(struct db_tx *tx, void *ctx, struct err *err)
{
    struct blob_call *c = ctx;
    return blobs_set_damaged(tx, c->damaged, true, c->now, err);
}

enum st registry_report_damage(struct registry *r, const struct blob_row *row, int64_t now,
                               struct err *err)
{
    struct blob_call c = { .damaged = row, .now = now };
    return registry_write(r, report_damage, &c, err);
}

static enum st count_uploads(struct db_tx *tx, void *ctx, struct err *err)
{
    struct upload_call *c = ctx;
    return uploads_count(tx, c->count, err);
}

enum st registry_count_uploads(struct registry *r, uint64_t *out, struct err *err)
{
    struct upload_call c = { .count = out };
    return db_read(r->db, count_uploads, &c, err);
}
