/* SPDX-License-Identifier: Apache-2.0
 *
 * What lies in the trash, by repository.
 */
#include "meta/artifacts_int.h"
#include "meta/repositories.h"
#include "meta/targets.h"

struct deleted_call {
    str repo;
    str after_name;
    const struct artifact_deleted *after;
    size_t limit;
    int64_t now;
    struct arena *arena;
    struct artifacts_deleted *out;
};

static enum st finish(const struct deleted_call *c, enum st st, const struct inspect_list *list)
{
    if (st != ST_OK && st != ST_END)
        return st;
    *c->out = (struct artifacts_deleted){ list->items, list->count, list->more };
    return ST_OK;
}

/* ---- repositories -------------------------------------------------------------------------- */

/* When it lost its last; ST_NOT_FOUND when nothing of it can come back. */
static enum st read_deleted_at(struct db_tx *tx, int64_t repo_id, int64_t now, int64_t *out,
                               struct err *err)
{
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    enum st st = db_one(tx, &rows,
                        "SELECT r.created_at FROM manifest m JOIN receipt r ON r.id = m.receipt_id"
                        " WHERE m.repo_id = $1 AND m.due_at IS NOT NULL AND m.due_at > $2"
                        " AND m.receipt_id IS NOT NULL ORDER BY m.due_at DESC LIMIT 1",
                        DB_ARGS(DB_INT(repo_id), DB_INT(now)), err);
    if (st == ST_OK)
        *out = db_int(&rows, 0);
    return st;
}

static enum st list_repositories(struct db_tx *tx, void *ctx, struct err *err)
{
    struct deleted_call *c = ctx;
    struct inspect_list list = { .max = c->limit };
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    enum st st =
        db_select(tx, &rows,
                  "SELECT id, name, created_at FROM repository"
                  " WHERE name > $1 AND manifests = 0 ORDER BY name",
                  DB_ARGS(DB_TEXT(c->after_name.ptr == NULL ? STR("") : c->after_name)), err);
    while (st == ST_OK && !list.more && (st = db_next(&rows, err)) == ST_OK) {
        struct artifact_deleted d = { .created_at = db_int(&rows, 2) };
        void *place = NULL;
        st = read_deleted_at(tx, db_int(&rows, 0), c->now, &d.deleted_at, err);
        if (st == ST_NOT_FOUND) {
            st = ST_OK;
            continue;
        }
        if (st == ST_OK)
            st = inspect_list_add(&list, c->arena, sizeof(d), &place, err);
        if (place != NULL)
            st = inspect_dup(c->arena, db_text(&rows, 1), &d.name, err);
        if (place != NULL)
            *(struct artifact_deleted *)place = d;
    }
    return finish(c, st, &list);
}

enum st artifacts_deleted_repositories(struct registry *r, str after, size_t limit, int64_t now,
                                       struct arena *a, struct artifacts_deleted *out,
                                       struct err *err)
{
    struct deleted_call c = {
        .after_name = after, .limit = limit, .now = now, .arena = a, .out = out
    };
    return db_read(r->db, list_repositories, &c, err);
}

/* ---- manifests ----------------------------------------------------------------------------- */

/* By the end of their time, which is the order in which they were deleted as long as the grace is
 * the same. */
static enum st list_manifests(struct db_tx *tx, void *ctx, struct err *err)
{
    struct deleted_call *c = ctx;
    struct inspect_list list = { .max = c->limit };
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    int64_t repo_id = 0;
    int64_t due_at = c->after == NULL ? c->now : c->after->due_at;
    uint64_t item = c->after == NULL ? INT64_MAX : c->after->item;
    enum st st = repositories_find(tx, c->repo, &repo_id, err);
    if (st == ST_OK)
        st = db_select(tx, &rows,
                       "SELECT m.id, m.digest, m.pushed_at, m.due_at, r.id, r.created_at"
                       " FROM manifest m JOIN receipt r ON r.id = m.receipt_id"
                       " WHERE m.repo_id = $1 AND m.due_at IS NOT NULL"
                       " AND (m.due_at, m.id) > ($2, $3) AND m.receipt_id IS NOT NULL"
                       " ORDER BY m.due_at, m.id LIMIT $4",
                       DB_ARGS(DB_INT(repo_id), DB_INT(due_at), DB_INT(item), DB_INT(c->limit + 1)),
                       err);
    if (st != ST_OK)
        return st;
    while (st == ST_OK && (st = db_next(&rows, err)) == ST_OK) {
        void *place = NULL;
        st = inspect_list_add(&list, c->arena, sizeof(struct artifact_deleted), &place, err);
        if (place == NULL)
            continue;
        struct artifact_deleted *d = place;
        *d = (struct artifact_deleted){ .item = (uint64_t)db_int(&rows, 0),
                                        .created_at = db_int(&rows, 2),
                                        .due_at = db_int(&rows, 3),
                                        .receipt_id = db_int(&rows, 4),
                                        .deleted_at = db_int(&rows, 5) };
        st = digest_of_key(db_bytes(&rows, 1), &d->digest, err);
    }
    return finish(c, st, &list);
}

enum st artifacts_deleted_manifests(struct registry *r, str repo,
                                    const struct artifact_deleted *after, size_t limit, int64_t now,
                                    struct arena *a, struct artifacts_deleted *out, struct err *err)
{
    struct deleted_call c = {
        .repo = repo, .after = after, .limit = limit, .now = now, .arena = a, .out = out
    };
    return db_read(r->db, list_manifests, &c, err);
}

/* ---- tags ---------------------------------------------------------------------------------- */

/* The oldest receipt that can be undone. */
static enum st first_receipt(struct db_tx *tx, int64_t now, int64_t *out, struct err *err)
{
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    enum st st = db_one(tx, &rows, "SELECT min(id) FROM receipt WHERE due_at > $1",
                        DB_ARGS(DB_INT(now)), err);
    if (st == ST_OK)
        *out = db_is_null(&rows, 0) ? INT64_MAX : db_int(&rows, 0);
    return st;
}

static enum st list_tags(struct db_tx *tx, void *ctx, struct err *err)
{
    struct deleted_call *c = ctx;
    struct inspect_list list = { .max = c->limit };
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    int64_t repo_id = 0;
    int64_t receipt_id = 0;
    uint64_t item = 0;
    enum st st = repositories_find(tx, c->repo, &repo_id, err);
    if (st == ST_OK)
        st = first_receipt(tx, c->now, &receipt_id, err);
    if (st == ST_OK && c->after != NULL && c->after->receipt_id >= receipt_id) {
        receipt_id = c->after->receipt_id;
        item = c->after->item;
    }
    if (st == ST_OK)
        st = db_select(tx, &rows,
                       "SELECT i.tag, i.digest, i.item, r.id, r.created_at, m.pushed_at"
                       " FROM receipt_item i JOIN receipt r ON r.id = i.receipt_id"
                       " JOIN manifest m ON m.repo_id = $1 AND m.digest = i.digest"
                       " WHERE i.repo = $2 AND (i.receipt_id, i.item) > ($3, $4)"
                       " AND i.tag IS NOT NULL AND i.why IS NULL AND i.undone_by IS NULL"
                       " AND r.kind = 'delete' AND r.state = 'sealed' AND r.due_at > $5"
                       " AND (m.receipt_id IS NULL OR m.due_at > $5)"
                       " ORDER BY i.receipt_id, i.item LIMIT $6",
                       DB_ARGS(DB_INT(repo_id), DB_TEXT(c->repo), DB_INT(receipt_id), DB_INT(item),
                               DB_INT(c->now), DB_INT(c->limit + 1)),
                       err);
    if (st != ST_OK)
        return st;
    while (st == ST_OK && (st = db_next(&rows, err)) == ST_OK) {
        void *place = NULL;
        st = inspect_list_add(&list, c->arena, sizeof(struct artifact_deleted), &place, err);
        if (place == NULL)
            continue;
        struct artifact_deleted *d = place;
        *d = (struct artifact_deleted){ .item = (uint64_t)db_int(&rows, 2),
                                        .receipt_id = db_int(&rows, 3),
                                        .deleted_at = db_int(&rows, 4),
                                        .created_at = db_int(&rows, 5) };
        st = inspect_dup(c->arena, db_text(&rows, 0), &d->name, err);
        if (st == ST_OK)
            st = digest_of_key(db_bytes(&rows, 1), &d->digest, err);
    }
    return finish(c, st, &list);
}

enum st artifacts_deleted_tags(struct registry *r, str repo, const struct artifact_deleted *after,
                               size_t limit, int64_t now, struct arena *a,
                               struct artifacts_deleted *out, struct err *err)
{
    struct deleted_call c = {
        .repo = repo, .after = after, .limit = limit, .now = now, .arena = a, .out = out
    };
    return db_read(r->db, list_tags, &c, err);
}

/* ---- finding ------------------------------------------------------------------------------- */

struct find_call {
    str repo;
    const struct digest *digest;
    str tag;
    int64_t now;
    struct arena *arena;
    int64_t receipt_id;
    str by_tag;
};

static enum st find_tag(struct db_tx *tx, struct find_call *c, struct err *err)
{
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    char key[DIGEST_KEY_MAX];
    enum st st = db_one(tx, &rows,
                        "SELECT r.id FROM receipt_item i JOIN receipt r ON r.id = i.receipt_id"
                        " WHERE i.repo = $1 AND i.tag = $2 AND i.tag IS NOT NULL AND i.digest = $3"
                        " AND i.why IS NULL AND i.undone_by IS NULL AND r.kind = 'delete'"
                        " AND r.due_at > $4 AND r.state = 'sealed' ORDER BY r.id DESC LIMIT 1",
                        DB_ARGS(DB_TEXT(c->repo), DB_TEXT(c->tag),
                                DB_BYTES(digest_key(c->digest, key)), DB_INT(c->now)),
                        err);
    if (st != ST_OK)
        return st;
    c->receipt_id = db_int(&rows, 0);
    c->by_tag = c->tag;
    return ST_OK;
}

/* A tag that went with the manifest. */
static enum st find_any_tag(struct db_tx *tx, struct find_call *c, struct err *err)
{
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    char key[DIGEST_KEY_MAX];
    enum st st = db_one(
        tx, &rows,
        "SELECT tag FROM receipt_item WHERE repo = $1 AND receipt_id = $2"
        " AND tag IS NOT NULL AND digest = $3 AND why IS NULL"
        " AND undone_by IS NULL LIMIT 1",
        DB_ARGS(DB_TEXT(c->repo), DB_INT(c->receipt_id), DB_BYTES(digest_key(c->digest, key))),
        err);
    if (st == ST_OK)
        st = inspect_dup(c->arena, db_text(&rows, 0), &c->by_tag, err);
    return st == ST_NOT_FOUND ? ST_OK : st;
}

static enum st find_deleted(struct db_tx *tx, void *ctx, struct err *err)
{
    struct find_call *c = ctx;
    struct manifest_target target = { 0 };
    char text[DIGEST_TEXT_MAX + 1];
    int64_t repo_id = 0;
    c->by_tag = STR_NONE;
    enum st st = c->tag.ptr == NULL ? ST_NOT_FOUND : find_tag(tx, c, err);
    if (st != ST_NOT_FOUND)
        return st;
    st = repositories_find(tx, c->repo, &repo_id, err);
    if (st == ST_OK)
        st = targets_manifest(tx, repo_id, c->digest, &target, err);
    if (st != ST_OK && st != ST_NOT_FOUND)
        return st;
    if (st == ST_NOT_FOUND || target.receipt_id == 0 || target.due_at <= c->now) {
        (void)digest_text(c->digest, text);
        return err_set(err, ST_NOT_FOUND, "the manifest %s does not lie in the trash of %.*s", text,
                       STR_FMT(c->repo));
    }
    c->receipt_id = target.receipt_id;
    return find_any_tag(tx, c, err);
}

enum st artifacts_find_deleted(struct registry *r, str repo, const struct digest *digest, str tag,
                               int64_t now, struct arena *a, int64_t *receipt_id, str *by_tag,
                               struct err *err)
{
    struct find_call c = { .repo = repo, .digest = digest, .tag = tag, .now = now, .arena = a };
    enum st st = db_read(r->db, find_deleted, &c, err);
    if (st != ST_OK)
        return st;
    *receipt_id = c.receipt_id;
    *by_tag = c.by_tag;
    return ST_OK;
}
