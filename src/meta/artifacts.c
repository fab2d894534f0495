/* SPDX-License-Identifier: Apache-2.0
 *
 * Repositories and tags.
 */
#include "meta/artifacts_int.h"
#include "meta/repositories.h"

enum st artifacts_find(struct db_tx *tx, str repo, int64_t *id, struct err *err)
{
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    enum st st = db_one(tx, &rows, "SELECT id FROM repository WHERE name = $1 AND manifests > 0",
                        DB_ARGS(DB_TEXT(repo)), err);
    if (st == ST_NOT_FOUND)
        return err_set(err, st, "there is no repository %.*s", STR_FMT(repo));
    if (st == ST_OK)
        *id = db_int(&rows, 0);
    return st;
}

enum st artifacts_may(struct db_tx *tx, bool any, const struct lock_object *o, unsigned *may,
                      struct err *err)
{
    *may = LOCK_MAY_ALL;
    return any ? locks_get(tx, o, may, err) : ST_OK;
}

/* ---- a repository -------------------------------------------------------------------------- */

struct repository_call {
    str repo;
    struct artifact_repository *out;
};

/* The first column of the first row, if it is later. */
static enum st later(struct db_tx *tx, const char *sql, int64_t repo_id, int64_t *at,
                     struct err *err)
{
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    enum st st = db_select(tx, &rows, sql, DB_ARGS(DB_INT(repo_id)), err);
    if (st == ST_OK)
        st = db_next(&rows, err);
    if (st == ST_OK)
        *at = MAX(*at, db_int(&rows, 0));
    return st == ST_END ? ST_OK : st;
}

static enum st read_repository(struct db_tx *tx, void *ctx, struct err *err)
{
    struct repository_call *c = ctx;
    struct artifact_repository out = { 0 };
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    bool any = false;
    int64_t id = 0;
    enum st st = artifacts_find(tx, c->repo, &id, err);
    if (st == ST_OK)
        st = db_one(tx, &rows, "SELECT created_at, manifests, tags FROM repository WHERE id = $1",
                    DB_ARGS(DB_INT(id)), err);
    if (st != ST_OK)
        return st;
    out.created_at = out.updated_at = db_int(&rows, 0);
    out.manifests = (uint64_t)db_int(&rows, 1);
    out.tags = (uint64_t)db_int(&rows, 2);
    st = later(tx,
               "SELECT pushed_at FROM manifest WHERE repo_id = $1 AND receipt_id IS NULL"
               " ORDER BY pushed_at DESC LIMIT 1",
               id, &out.updated_at, err);
    if (st == ST_OK)
        st = later(tx,
                   "SELECT tagged_at FROM tag WHERE repo_id = $1 ORDER BY tagged_at DESC LIMIT 1",
                   id, &out.updated_at, err);
    if (st == ST_OK)
        st = locks_any(tx, &any, err);
    if (st == ST_OK)
        st = artifacts_may(tx, any, &(struct lock_object){ .repo = c->repo }, &out.may, err);
    if (st == ST_OK)
        *c->out = out;
    return st;
}

enum st artifacts_repository(struct registry *r, str repo, struct artifact_repository *out,
                             struct err *err)
{
    struct repository_call c = { .repo = repo, .out = out };
    return db_read(r->db, read_repository, &c, err);
}

/* ---- tags ---------------------------------------------------------------------------------- */

struct tags_call {
    const struct artifacts_query *q;
    struct arena *arena;
    struct artifact_tags *out;
    int64_t repo_id;
    int64_t only_id;
    str tag; /* of a single one */
    bool any_locks;
    /* The place, in the order of time. */
    str after;
    int64_t after_time;
    struct inspect_list list;
};

#define TAG_COLUMNS                                                                                \
    "SELECT t.name, m.digest, t.tagged_at, t.created_at FROM tag t JOIN manifest m"                \
    " ON m.id = t.manifest_id WHERE "

static enum st read_tag(struct db_tx *tx, const struct db_rows *rows, const struct tags_call *c,
                        str repo, struct artifact_tag *out, struct err *err)
{
    out->updated_at = db_int(rows, 2);
    out->created_at = db_is_null(rows, 3) ? out->updated_at : db_int(rows, 3);
    enum st st = inspect_dup(c->arena, db_text(rows, 0), &out->name, err);
    if (st == ST_OK)
        st = digest_of_key(db_bytes(rows, 1), &out->digest, err);
    if (st == ST_OK)
        st = artifacts_may(tx, c->any_locks,
                           &(struct lock_object){ .repo = repo, .tag = out->name }, &out->may, err);
    return st;
}

/* Rows behind the place, up to `limit`. */
static enum st select_tags(struct db_tx *tx, struct db_rows *rows, const struct tags_call *c,
                           size_t limit, struct err *err)
{
    static const char *const all[] = {
        [ARTIFACTS_BY_NAME] = TAG_COLUMNS "t.repo_id = $1 AND t.name > $2 ORDER BY t.name LIMIT $3",
        [ARTIFACTS_OLDEST] = TAG_COLUMNS "t.repo_id = $1 AND (t.tagged_at, t.name) > ($2, $3)"
                                         " ORDER BY t.tagged_at, t.name LIMIT $4",
        [ARTIFACTS_NEWEST] = TAG_COLUMNS "t.repo_id = $1 AND (t.tagged_at, t.name) < ($2, $3)"
                                         " ORDER BY t.tagged_at DESC, t.name DESC LIMIT $4",
    };
    static const char *const of_one[] = {
        [ARTIFACTS_BY_NAME] =
            TAG_COLUMNS "t.manifest_id = $1 AND t.name > $2 ORDER BY t.name LIMIT $3",
        [ARTIFACTS_OLDEST] = TAG_COLUMNS "t.manifest_id = $1 AND (t.tagged_at, t.name) > ($2, $3)"
                                         " ORDER BY t.tagged_at, t.name LIMIT $4",
        [ARTIFACTS_NEWEST] = TAG_COLUMNS "t.manifest_id = $1 AND (t.tagged_at, t.name) < ($2, $3)"
                                         " ORDER BY t.tagged_at DESC, t.name DESC LIMIT $4",
    };
    enum artifacts_order order = c->q->order;
    bool one = c->only_id != 0;
    const char *sql = one ? of_one[order] : all[order];
    const struct db_arg key = DB_INT(one ? c->only_id : c->repo_id);
    if (order == ARTIFACTS_BY_NAME)
        return db_select(tx, rows, sql, DB_ARGS(key, DB_TEXT(c->after), DB_INT(limit)), err);
    return db_select(tx, rows, sql,
                     DB_ARGS(key, DB_INT(c->after_time), DB_TEXT(c->after), DB_INT(limit)), err);
}

/* One select of rows; *whole: it ended before its limit. */
static enum st add_tags(struct db_tx *tx, struct tags_call *c, bool *whole, struct err *err)
{
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    size_t limit = c->list.max - c->list.count + 1;
    size_t read = 0;
    enum st st = select_tags(tx, &rows, c, limit, err);
    while (st == ST_OK && !c->list.more && (st = db_next(&rows, err)) == ST_OK) {
        struct artifact_tag tag = { 0 };
        void *place = NULL;
        st = read_tag(tx, &rows, c, c->q->repo, &tag, err);
        if (st != ST_OK)
            break;
        read++;
        c->after = tag.name;
        c->after_time = tag.updated_at;
        if ((tag.may & LOCK_MAY_LIST) == 0)
            continue;
        st = inspect_list_add(&c->list, c->arena, sizeof(tag), &place, err);
        if (place != NULL)
            *(struct artifact_tag *)place = tag;
    }
    *whole = read < limit;
    return st == ST_END ? ST_OK : st;
}

/* Where the page begins. */
static enum st find_place(struct db_tx *tx, struct tags_call *c, struct err *err)
{
    const struct artifacts_query *q = c->q;
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    c->after = q->after_tag.ptr == NULL ? STR("") : q->after_tag;
    c->after_time = q->after_time;
    if (q->after_tag.ptr == NULL)
        c->after_time = q->order == ARTIFACTS_NEWEST ? INT64_MAX : -1;
    if (q->after_tag.ptr == NULL || q->has_time || q->order == ARTIFACTS_BY_NAME)
        return ST_OK;
    enum st st = db_one(tx, &rows, "SELECT tagged_at FROM tag WHERE repo_id = $1 AND name = $2",
                        DB_ARGS(DB_INT(c->repo_id), DB_TEXT(q->after_tag)), err);
    if (st == ST_NOT_FOUND)
        return err_set(err, ST_EXPIRED,
                       "the tag %.*s is gone, so there is no telling what comes behind it: take"
                       " `last` from the Link header",
                       STR_FMT(q->after_tag));
    if (st == ST_OK)
        c->after_time = db_int(&rows, 0);
    return st;
}

static enum st find_only(struct db_tx *tx, struct tags_call *c, struct err *err)
{
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    char key[DIGEST_KEY_MAX];
    c->only_id = 0;
    if (c->q->only == NULL)
        return ST_OK;
    enum st st =
        db_one(tx, &rows,
               "SELECT id FROM manifest WHERE repo_id = $1 AND digest = $2 AND receipt_id IS NULL",
               DB_ARGS(DB_INT(c->repo_id), DB_BYTES(digest_key(c->q->only, key))), err);
    if (st == ST_OK)
        c->only_id = db_int(&rows, 0);
    else if (st == ST_NOT_FOUND)
        c->only_id = -1; /* no row has it: an empty page */
    return st == ST_NOT_FOUND ? ST_OK : st;
}

static enum st list_tags(struct db_tx *tx, void *ctx, struct err *err)
{
    struct tags_call *c = ctx;
    bool whole = false;
    c->list = (struct inspect_list){ .max = c->q->limit };
    enum st st = artifacts_find(tx, c->q->repo, &c->repo_id, err);
    if (st == ST_OK)
        st = find_only(tx, c, err);
    if (st == ST_OK)
        st = find_place(tx, c, err);
    if (st == ST_OK)
        st = locks_any(tx, &c->any_locks, err);
    while (st == ST_OK && !c->list.more && !whole)
        st = add_tags(tx, c, &whole, err);
    if (st == ST_OK)
        *c->out = (struct artifact_tags){ c->list.items, c->list.count, c->list.more };
    return st;
}

enum st artifacts_tags(struct registry *r, const struct artifacts_query *q, struct arena *a,
                       struct artifact_tags *out, struct err *err)
{
    struct artifact_tags page = { 0 };
    struct tags_call c = { .q = q, .arena = a, .out = &page };
    enum st st = db_read(r->db, list_tags, &c, err);
    if (st == ST_OK)
        *out = page;
    return st;
}

struct tag_call {
    struct tags_call in;
    str repo;
    struct artifact_tag *out;
};

static enum st find_tag(struct db_tx *tx, void *ctx, struct err *err)
{
    struct tag_call *c = ctx;
    struct artifact_tag tag = { 0 };
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    int64_t repo_id = 0;
    enum st st = repositories_find(tx, c->repo, &repo_id, err);
    if (st == ST_OK)
        st = db_one(tx, &rows, TAG_COLUMNS "t.repo_id = $1 AND t.name = $2",
                    DB_ARGS(DB_INT(repo_id), DB_TEXT(c->in.tag)), err);
    if (st == ST_NOT_FOUND)
        return err_set(err, st, "there is no tag %.*s in %.*s", STR_FMT(c->in.tag),
                       STR_FMT(c->repo));
    if (st == ST_OK)
        st = locks_any(tx, &c->in.any_locks, err);
    if (st == ST_OK)
        st = read_tag(tx, &rows, &c->in, c->repo, &tag, err);
    if (st == ST_OK)
        *c->out = tag;
    return st;
}

enum st artifacts_tag(struct registry *r, str repo, str tag, struct arena *a,
                      struct artifact_tag *out, struct err *err)
{
    struct tag_call c = { .in = { .arena = a, .tag = tag }, .repo = repo, .out = out };
    return db_read(r->db, find_tag, &c, err);
}
