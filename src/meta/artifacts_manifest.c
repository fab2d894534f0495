/* SPDX-License-Identifier: Apache-2.0
 *
 * Manifests.
 */
#include "meta/artifacts_int.h"

#define PAGE_TAGS_MAX ((size_t)100000) /* a page ends early behind so many */

struct manifests_call {
    const struct artifacts_query *q;
    struct arena *arena;
    struct artifact_manifests *out;
    int64_t repo_id;
    bool any_locks;
    struct digest after; /* the place; has_after false: the start */
    bool has_after;
    int64_t after_time;
    struct inspect_list list;
    uint64_t size_rows; /* that sizes took */
    size_t tags;        /* of all rows */
};

#define MANIFEST_COLUMNS                                                                           \
    "SELECT m.id, m.digest, m.media_type, m.pushed_at, m.due_at, y.payload FROM manifest m"        \
    " JOIN manifest_payload y ON y.manifest_id = m.id WHERE "

/* ---- a row --------------------------------------------------------------------------------- */

static enum st read_tags(struct db_tx *tx, struct arena *a, int64_t id,
                         struct artifact_manifest *out, struct err *err)
{
    struct inspect_list list = { .max = SIZE_MAX / 2 }; /* all of them: the arena bounds it */
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    enum st st =
        db_select(tx, &rows, "SELECT name FROM tag WHERE manifest_id = $1 ORDER BY name LIMIT $2",
                  DB_ARGS(DB_INT(id), DB_INT(INT64_MAX)), err);
    while (st == ST_OK && (st = db_next(&rows, err)) == ST_OK) {
        void *place = NULL;
        st = inspect_list_add(&list, a, sizeof(str), &place, err);
        if (place != NULL)
            st = inspect_dup(a, db_text(&rows, 0), place, err);
    }
    if (st != ST_END)
        return st;
    out->tags = list.items;
    out->tag_count = list.count;
    return ST_OK;
}

static bool is_index(str media_type)
{
    return str_eq(media_type, STR("application/vnd.oci.image.index.v1+json")) ||
           str_eq(media_type, STR("application/vnd.docker.distribution.manifest.list.v2+json"));
}

/* A payload that cannot be read any more has no configuration. */
static enum st read_config(struct db_tx *tx, int64_t repo_id, str payload, struct arena *a,
                           struct artifact_manifest *out, struct err *err)
{
    static const struct manifest_limits limits = { .bytes_max = ARTIFACT_PAYLOAD_MAX,
                                                   .depth_max = 32,
                                                   .descriptors_max = 10000 };
    AUTO(arena_release) struct arena scratch = { .limit_bytes = 8 * MIB };
    struct manifest parsed = { 0 };
    if (payload.len > ARTIFACT_PAYLOAD_MAX ||
        manifest_parse(payload, out->media_type, &limits, &scratch, &parsed, NULL) != ST_OK ||
        parsed.blob_count == 0)
        return ST_OK;
    const struct descriptor *config = &parsed.blobs[0];
    enum st st = inspect_dup(a, config->media_type, &out->config_type, err);
    if (st != ST_OK || config->size > ARTIFACT_CONFIG_MAX)
        return st;
    st = blobs_find(tx, repo_id, &config->digest, a, &out->config, err);
    out->has_config =
        st == ST_OK && !out->config.damaged && out->config.size <= ARTIFACT_CONFIG_MAX;
    return st == ST_NOT_FOUND ? ST_OK : st;
}

/* Columns MANIFEST_COLUMNS. */
static enum st read_manifest(struct db_tx *tx, const struct db_rows *rows, struct manifests_call *c,
                             str repo, struct artifact_manifest *out, struct err *err)
{
    int64_t id = db_int(rows, 0);
    out->pushed_at = db_int(rows, 3);
    out->kept = db_is_null(rows, 4);
    enum st st = digest_of_key(db_bytes(rows, 1), &out->digest, err);
    if (st == ST_OK)
        st = inspect_dup(c->arena, db_text(rows, 2), &out->media_type, err);
    if (st == ST_OK)
        st = artifacts_may(tx, c->any_locks,
                           &(struct lock_object){ .repo = repo, .digest = &out->digest }, &out->may,
                           err);
    if (st == ST_OK)
        st = inspect_size(tx, id, &out->has_size, &out->size, &c->size_rows, err);
    if (st == ST_OK)
        st = read_tags(tx, c->arena, id, out, err);
    if (st == ST_OK && !is_index(out->media_type))
        st = read_config(tx, c->repo_id, db_bytes(rows, 5), c->arena, out, err);
    return st;
}

/* ---- pages --------------------------------------------------------------------------------- */

static enum st select_manifests(struct db_tx *tx, struct db_rows *rows,
                                const struct manifests_call *c, size_t limit, struct err *err)
{
    static const char *const sql[] = {
        [ARTIFACTS_BY_NAME] = MANIFEST_COLUMNS
        "m.repo_id = $1 AND m.digest > $2 AND m.receipt_id IS NULL ORDER BY m.digest LIMIT $3",
        [ARTIFACTS_OLDEST] = MANIFEST_COLUMNS
        "m.repo_id = $1 AND (m.pushed_at, m.digest) > ($2, $3) AND m.receipt_id IS NULL"
        " ORDER BY m.pushed_at, m.digest LIMIT $4",
        [ARTIFACTS_NEWEST] = MANIFEST_COLUMNS
        "m.repo_id = $1 AND (m.pushed_at, m.digest) < ($2, $3) AND m.receipt_id IS NULL"
        " ORDER BY m.pushed_at DESC, m.digest DESC LIMIT $4",
    };
    char key[DIGEST_KEY_MAX];
    enum artifacts_order order = c->q->order;
    /* A key's first byte is the algorithm: nothing is before "" or behind 0xff. */
    str after = order == ARTIFACTS_NEWEST ? STR("\xff") : STR("");
    if (c->has_after)
        after = digest_key(&c->after, key);
    if (order == ARTIFACTS_BY_NAME)
        return db_select(tx, rows, sql[order],
                         DB_ARGS(DB_INT(c->repo_id), DB_BYTES(after), DB_INT(limit)), err);
    return db_select(
        tx, rows, sql[order],
        DB_ARGS(DB_INT(c->repo_id), DB_INT(c->after_time), DB_BYTES(after), DB_INT(limit)), err);
}

/* One select of rows; *whole: it ended before its limit. */
static enum st add_manifests(struct db_tx *tx, struct manifests_call *c, bool *whole,
                             struct err *err)
{
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    size_t limit = c->list.max - c->list.count + 1;
    size_t read = 0;
    enum st st = select_manifests(tx, &rows, c, limit, err);
    while (st == ST_OK && !c->list.more && (st = db_next(&rows, err)) == ST_OK) {
        struct artifact_manifest m = { 0 };
        void *place = NULL;
        read++;
        if (c->size_rows > INSPECT_PAGE_ROWS || c->tags > PAGE_TAGS_MAX)
            c->list.max = MAX(c->list.count, (size_t)1);
        if (c->list.count == c->list.max) {
            c->list.more = true;
            break;
        }
        st = read_manifest(tx, &rows, c, c->q->repo, &m, err);
        if (st != ST_OK)
            break;
        c->after = m.digest;
        c->after_time = m.pushed_at;
        c->has_after = true;
        if ((m.may & LOCK_MAY_LIST) == 0)
            continue;
        c->tags += m.tag_count;
        st = inspect_list_add(&c->list, c->arena, sizeof(m), &place, err);
        if (place != NULL)
            *(struct artifact_manifest *)place = m;
    }
    *whole = read < limit;
    return st == ST_END ? ST_OK : st;
}

static enum st find_place(struct db_tx *tx, struct manifests_call *c, struct err *err)
{
    const struct artifacts_query *q = c->q;
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    char key[DIGEST_KEY_MAX];
    char text[DIGEST_TEXT_MAX + 1];
    c->has_after = q->has_digest;
    c->after = q->after_digest;
    c->after_time = q->after_time;
    if (!q->has_digest)
        c->after_time = q->order == ARTIFACTS_NEWEST ? INT64_MAX : -1;
    if (!q->has_digest || q->has_time || q->order == ARTIFACTS_BY_NAME)
        return ST_OK;
    enum st st =
        db_one(tx, &rows, "SELECT pushed_at FROM manifest WHERE repo_id = $1 AND digest = $2",
               DB_ARGS(DB_INT(c->repo_id), DB_BYTES(digest_key(&c->after, key))), err);
    if (st == ST_NOT_FOUND) {
        (void)digest_text(&c->after, text);
        return err_set(err, ST_EXPIRED,
                       "the manifest %s is gone, so there is no telling what comes behind it: take"
                       " `last` from the Link header",
                       text);
    }
    if (st == ST_OK)
        c->after_time = db_int(&rows, 0);
    return st;
}

static enum st list_manifests(struct db_tx *tx, void *ctx, struct err *err)
{
    struct manifests_call *c = ctx;
    bool whole = false;
    c->list = (struct inspect_list){ .max = c->q->limit };
    c->size_rows = 0;
    c->tags = 0;
    enum st st = artifacts_find(tx, c->q->repo, &c->repo_id, err);
    if (st == ST_OK)
        st = find_place(tx, c, err);
    if (st == ST_OK)
        st = locks_any(tx, &c->any_locks, err);
    while (st == ST_OK && !c->list.more && !whole)
        st = add_manifests(tx, c, &whole, err);
    if (st == ST_OK)
        *c->out = (struct artifact_manifests){ c->list.items, c->list.count, c->list.more };
    return st;
}

enum st artifacts_manifests(struct registry *r, const struct artifacts_query *q, struct arena *a,
                            struct artifact_manifests *out, struct err *err)
{
    struct artifact_manifests page = { 0 };
    struct manifests_call c = { .q = q, .arena = a, .out = &page };
    enum st st = db_read(r->db, list_manifests, &c, err);
    if (st == ST_OK)
        *out = page;
    return st;
}

/* ---- one ----------------------------------------------------------------------------------- */

struct manifest_call {
    struct manifests_call in;
    str repo;
    const struct digest *digest;
    struct artifact_manifest *out;
};

static enum st find_manifest(struct db_tx *tx, void *ctx, struct err *err)
{
    struct manifest_call *c = ctx;
    struct artifact_manifest m = { 0 };
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    char key[DIGEST_KEY_MAX];
    char text[DIGEST_TEXT_MAX + 1];
    enum st st = repositories_find(tx, c->repo, &c->in.repo_id, err);
    c->in.size_rows = 0;
    if (st == ST_OK)
        st = db_one(tx, &rows,
                    MANIFEST_COLUMNS "m.repo_id = $1 AND m.digest = $2 AND m.receipt_id IS NULL",
                    DB_ARGS(DB_INT(c->in.repo_id), DB_BYTES(digest_key(c->digest, key))), err);
    if (st == ST_NOT_FOUND) {
        (void)digest_text(c->digest, text);
        return err_set(err, st, "there is no manifest %s in %.*s", text, STR_FMT(c->repo));
    }
    if (st == ST_OK)
        st = locks_any(tx, &c->in.any_locks, err);
    if (st == ST_OK)
        st = read_manifest(tx, &rows, &c->in, c->repo, &m, err);
    if (st == ST_OK && is_index(m.media_type))
        st = inspect_dup(c->in.arena, db_bytes(&rows, 5), &m.payload, err);
    if (st == ST_OK)
        *c->out = m;
    return st;
}

enum st artifacts_manifest(struct registry *r, str repo, const struct digest *d, struct arena *a,
                           struct artifact_manifest *out, struct err *err)
{
    struct manifest_call c = { .in = { .arena = a }, .repo = repo, .digest = d, .out = out };
    return db_read(r->db, find_manifest, &c, err);
}

/* ---- locks --------------------------------------------------------------------------------- */

struct locked_call {
    str repo;
    str tag;
    const struct digest *digest;
    bool out;
};

static enum st add_lock(struct db_tx *tx, struct locked_call *c, str tag,
                        const struct digest *digest, struct err *err)
{
    unsigned may = LOCK_MAY_ALL;
    const struct lock_object o = { .repo = c->repo, .tag = tag, .digest = digest };
    enum st st = locks_get(tx, &o, &may, err);
    c->out = c->out || (may & LOCK_MAY_DELETE) == 0 || (may & LOCK_MAY_WRITE) == 0;
    return st;
}

static enum st find_locks(struct db_tx *tx, void *ctx, struct err *err)
{
    struct locked_call *c = ctx;
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    char key[DIGEST_KEY_MAX];
    bool any = false;
    c->out = false;
    enum st st = locks_any(tx, &any, err);
    if (st != ST_OK || !any)
        return st;
    st = add_lock(tx, c, c->tag, c->tag.ptr == NULL ? c->digest : NULL, err);
    if (st != ST_OK || c->tag.ptr != NULL)
        return st;
    st = db_select(tx, &rows,
                   "SELECT t.name FROM repository r JOIN manifest m ON m.repo_id = r.id"
                   " JOIN tag t ON t.manifest_id = m.id WHERE r.name = $1 AND m.digest = $2",
                   DB_ARGS(DB_TEXT(c->repo), DB_BYTES(digest_key(c->digest, key))), err);
    while (st == ST_OK && !c->out && (st = db_next(&rows, err)) == ST_OK)
        st = add_lock(tx, c, db_text(&rows, 0), NULL, err);
    return st == ST_END ? ST_OK : st;
}

enum st artifacts_locked(struct registry *r, str repo, str tag, const struct digest *d, bool *out,
                         struct err *err)
{
    struct locked_call c = { .repo = repo, .tag = tag, .digest = d };
    enum st st = db_read(r->db, find_locks, &c, err);
    if (st == ST_OK)
        *out = c.out;
    return st;
}
