/* SPDX-License-Identifier: Apache-2.0 */
#include "meta/reclaim_failures.h"

#include "base/clock.h"
#include "meta/doomed.h"

/* The key of a row is what never changes and can always be read: the id of a manifest, those of a
 * link's repository and blob in LINK_KEY's fixed places, the id of an upload. */
#define KEY_SIZE  48
#define LINK_KEY  "%020lld/%020lld"
#define LINK_REPO "CAST(substr(object, 1, 20) AS BIGINT)"
#define LINK_BLOB "CAST(substr(object, 22, 20) AS BIGINT)"

static const struct {
    const char *letter;
    const char *text;
} kinds[] = {
    [RECLAIM_MANIFEST] = { "m", "manifest" },
    [RECLAIM_LINK] = { "l", "link" },
    [RECLAIM_UPLOAD] = { "u", "upload" },
    [RECLAIM_NAME] = { "n", "name" },
};

const char *reclaim_kind_text(enum reclaim_kind kind)
{
    return kinds[kind].text;
}

static enum reclaim_kind kind_of(str letter)
{
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
        if (str_eq(letter, str_of(kinds[i].letter)))
            return (enum reclaim_kind)i;
    return RECLAIM_MANIFEST;
}

int64_t reclaim_backoff_ms(uint64_t failures)
{
    int64_t ms = CLOCK_MINUTE_MS;
    for (uint64_t i = 1; i < failures && ms < CLOCK_DAY_MS; i++)
        ms *= 2;
    return MIN(ms, CLOCK_DAY_MS);
}

static str key_of(const struct reclaim_object *o, char out[static KEY_SIZE])
{
    if (o->kind == RECLAIM_UPLOAD)
        return o->upload;
    if (o->kind == RECLAIM_MANIFEST)
        (void)snprintf(out, KEY_SIZE, "%lld", (long long)o->manifest_id);
    else
        (void)snprintf(out, KEY_SIZE, LINK_KEY, (long long)o->link.repo_id,
                       (long long)o->link.blob_id);
    return str_of(out);
}

/* ---- one fails ------------------------------------------------------------------------------- */

static enum st put_off(struct db_tx *tx, const struct reclaim_object *o, int64_t until,
                       struct err *err)
{
    switch (o->kind) {
    case RECLAIM_MANIFEST:
        return db_run(tx, "UPDATE manifest SET due_at = $1 WHERE id = $2 AND due_at IS NOT NULL",
                      DB_ARGS(DB_INT(until), DB_INT(o->manifest_id)), NULL, err);
    case RECLAIM_LINK:
        return db_run(tx,
                      "UPDATE repo_blob SET due_at = $1 WHERE repo_id = $2 AND blob_id = $3"
                      " AND due_at IS NOT NULL",
                      DB_ARGS(DB_INT(until), DB_INT(o->link.repo_id), DB_INT(o->link.blob_id)),
                      NULL, err);
    case RECLAIM_UPLOAD:
        return db_run(tx, "UPDATE upload SET due_at = $1 WHERE id = $2",
                      DB_ARGS(DB_INT(until), DB_TEXT(o->upload)), NULL, err);
    case RECLAIM_NAME:
        break;
    }
    return err_set(err, ST_BUG, "names have their own failures");
}

static enum st find_failures(struct db_tx *tx, str kind, str key, uint64_t *out, struct err *err)
{
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    enum st st =
        db_one(tx, &rows, "SELECT failures FROM reclaim_failure WHERE kind = $1 AND object = $2",
               DB_ARGS(DB_TEXT(kind), DB_TEXT(key)), err);
    if (st == ST_NOT_FOUND) {
        *out = 0;
        return ST_OK;
    }
    if (st == ST_OK)
        *out = (uint64_t)db_int(&rows, 0);
    return st;
}

enum st reclaim_failures_add(struct db_tx *tx, const struct reclaim_object *o, str error,
                             int64_t now, struct err *err)
{
    char text[KEY_SIZE];
    str kind = str_of(kinds[o->kind].letter);
    str key = key_of(o, text);
    uint64_t before = 0;
    enum st st = find_failures(tx, kind, key, &before, err);
    int64_t next_at = now + reclaim_backoff_ms(before + 1);
    if (st == ST_OK)
        st = db_run(
            tx,
            "INSERT INTO reclaim_failure"
            " (kind, object, failures, first_at, last_at, next_at, error)"
            " VALUES ($1, $2, 1, $3, $3, $4, $5) ON CONFLICT (kind, object) DO UPDATE"
            " SET failures = failures + 1, last_at = excluded.last_at,"
            " next_at = excluded.next_at, error = excluded.error",
            DB_ARGS(DB_TEXT(kind), DB_TEXT(key), DB_INT(now), DB_INT(next_at), DB_TEXT(error)),
            NULL, err);
    return st == ST_OK ? put_off(tx, o, next_at, err) : st;
}

/* ---- all of them ----------------------------------------------------------------------------- */

/* The rows of `table` that a failure `f` is about. */
#define MANIFEST_OF_F "f.kind = 'm' AND m.id = CAST(f.object AS BIGINT)"
#define LINK_OF_F     "f.kind = 'l' AND l.repo_id = " LINK_REPO " AND l.blob_id = " LINK_BLOB
#define UPLOAD_OF_F   "f.kind = 'u' AND u.id = f.object"

enum st reclaim_failures_any(struct db_tx *tx, bool *out, struct err *err)
{
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    enum st st =
        db_one(tx, &rows, "SELECT 1 FROM reclaim_failure WHERE kind > '' LIMIT 1", DB_NO_ARGS, err);
    if (st != ST_OK && st != ST_NOT_FOUND)
        return st;
    *out = st == ST_OK;
    return ST_OK;
}

/* One that failed is due at the time of its next try, or before: a later time was set by something
 * that looked at it and was content. */
enum st reclaim_failures_prune(struct db_tx *tx, struct err *err)
{
    bool some = false;
    enum st st = reclaim_failures_any(tx, &some, err);
    if (st != ST_OK || !some)
        return st;
    return db_run(
        tx,
        "DELETE FROM reclaim_failure AS f WHERE"
        " NOT EXISTS (SELECT 1 FROM manifest m WHERE " MANIFEST_OF_F " AND m.due_at <= f.next_at)"
        " AND NOT EXISTS (SELECT 1 FROM repo_blob l WHERE " LINK_OF_F " AND l.due_at <= f.next_at)"
        " AND NOT EXISTS (SELECT 1 FROM upload u WHERE " UPLOAD_OF_F " AND u.due_at <= f.next_at)",
        DB_NO_ARGS, NULL, err);
}

static enum st reset_rows(struct db_tx *tx, int64_t now, struct err *err)
{
    const struct db_arg at = DB_INT(now);
    enum st st = db_run(tx,
                        "UPDATE manifest SET due_at = $1 WHERE due_at > $1 AND id IN"
                        " (SELECT CAST(object AS BIGINT) FROM reclaim_failure WHERE kind = 'm')",
                        &at, 1, NULL, err);
    if (st == ST_OK)
        st = db_run(tx,
                    "UPDATE repo_blob SET due_at = $1 WHERE due_at > $1 AND (repo_id, blob_id) IN"
                    " (SELECT " LINK_REPO ", " LINK_BLOB " FROM reclaim_failure WHERE kind = 'l')",
                    &at, 1, NULL, err);
    if (st == ST_OK)
        st = db_run(tx,
                    "UPDATE upload SET due_at = $1 WHERE due_at > $1 AND id IN"
                    " (SELECT object FROM reclaim_failure WHERE kind = 'u')",
                    &at, 1, NULL, err);
    return st;
}

enum st reclaim_failures_reset(struct db_tx *tx, int64_t now, uint64_t *count, struct err *err)
{
    int64_t rows = 0;
    int64_t names = 0;
    enum st st = reclaim_failures_prune(tx, err);
    if (st == ST_OK)
        st = reset_rows(tx, now, err);
    if (st == ST_OK)
        st =
            db_run(tx, "UPDATE reclaim_failure SET next_at = $1", DB_ARGS(DB_INT(now)), &rows, err);
    if (st == ST_OK)
        st = doomed_reset(tx, now, &names, err);
    if (st == ST_OK)
        *count = (uint64_t)(rows + names);
    return st;
}

/* ---- showing them ---------------------------------------------------------------------------- */

static str name_of(struct arena *a, const struct db_rows *rows)
{
    struct digest d;
    char text[DIGEST_TEXT_MAX + 1];
    str key = db_text(rows, 1);
    str repo = db_text(rows, 7);
    if (db_is_null(rows, 7))
        return arena_dup(a, key);
    if (digest_of_key(db_bytes(rows, 8), &d, NULL) != ST_OK)
        return arena_printf(a, "%.*s@(row %.*s)", STR_FMT(repo), STR_FMT(key));
    str digest = digest_text(&d, text);
    return arena_printf(a, "%.*s@%.*s", STR_FMT(repo), STR_FMT(digest));
}

enum st reclaim_failures_list(struct db_tx *tx, size_t limit, struct arena *a,
                              struct reclaim_failure **out, size_t *count, struct err *err)
{
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    struct reclaim_failure *list = arena_alloc(a, (limit + 1) * sizeof(*list));
    size_t n = 0;
    if (list == NULL)
        return err_no_memory(err);
    enum st st = db_select(
        tx, &rows,
        "SELECT x.kind, x.object, x.failures, x.first_at, x.last_at, x.next_at, x.error,"
        " r.name, x.digest FROM ("
        " SELECT f.kind, f.object, f.failures, f.first_at, f.last_at, f.next_at, f.error,"
        "  coalesce(m.repo_id, l.repo_id) AS repo_id, coalesce(m.digest, b.digest) AS digest"
        "  FROM reclaim_failure f LEFT JOIN manifest m ON " MANIFEST_OF_F
        "  LEFT JOIN repo_blob l ON " LINK_OF_F " LEFT JOIN blob b ON b.id = l.blob_id"
        " UNION ALL SELECT 'n', name, failures, since, next_at, next_at, error, NULL, NULL"
        "  FROM doomed WHERE failures > 0) AS x"
        " LEFT JOIN repository r ON r.id = x.repo_id"
        " ORDER BY x.failures DESC, x.kind, x.object LIMIT $1",
        DB_ARGS(DB_INT(limit)), err);
    while (st == ST_OK && (st = db_next(&rows, err)) == ST_OK) {
        struct reclaim_failure *f = &list[n++];
        *f = (struct reclaim_failure){
            .kind = kind_of(db_text(&rows, 0)),
            .object = name_of(a, &rows),
            .failures = (uint64_t)db_int(&rows, 2),
            .first_at = db_int(&rows, 3),
            .last_at = db_int(&rows, 4),
            .next_at = db_int(&rows, 5),
            .error = arena_dup(a, db_text(&rows, 6)),
        };
        if (f->kind == RECLAIM_NAME)
            f->last_at = f->next_at - reclaim_backoff_ms(f->failures);
        if (f->object.ptr == NULL || f->error.ptr == NULL)
            return err_no_memory(err);
    }
    if (st != ST_END)
        return st;
    *out = list;
    *count = n;
    return ST_OK;
}

enum st reclaim_failures_count(struct db_tx *tx, uint64_t *out, struct err *err)
{
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    enum st st = db_one(tx, &rows,
                        "SELECT (SELECT count(*) FROM reclaim_failure)"
                        " + (SELECT count(*) FROM doomed WHERE failures > 0)",
                        DB_NO_ARGS, err);
    if (st == ST_OK)
        *out = (uint64_t)db_int(&rows, 0);
    return st;
}

/* ---- the queue ------------------------------------------------------------------------------- */

enum st reclaim_queue_sum(struct db_tx *tx, int64_t now, struct reclaim_queue *out, struct err *err)
{
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    uint64_t names = 0;
    uint64_t bytes = 0;
    enum st st = doomed_sum(tx, &names, &bytes, err);
    if (st == ST_OK)
        st = db_one(tx, &rows,
                    "SELECT (SELECT count(*) FROM manifest WHERE due_at IS NOT NULL)"
                    " + (SELECT count(*) FROM repo_blob WHERE due_at IS NOT NULL),"
                    " (SELECT count(*) FROM manifest WHERE due_at IS NOT NULL AND due_at <= $1)"
                    " + (SELECT count(*) FROM repo_blob WHERE due_at IS NOT NULL AND due_at <= $1)"
                    " + (SELECT count(*) FROM upload WHERE due_at <= $1),"
                    " (SELECT min(due_at) FROM manifest WHERE due_at IS NOT NULL),"
                    " (SELECT min(due_at) FROM repo_blob WHERE due_at IS NOT NULL),"
                    " (SELECT coalesce(sum(pending_alone), 0) FROM repository),"
                    " (SELECT coalesce(sum(trash_alone), 0) FROM repository)",
                    DB_ARGS(DB_INT(now)), err);
    if (st != ST_OK)
        return st;
    int64_t manifest = db_is_null(&rows, 2) ? INT64_MAX : db_int(&rows, 2);
    int64_t link = db_is_null(&rows, 3) ? INT64_MAX : db_int(&rows, 3);
    int64_t oldest = MIN(manifest, link);
    *out = (struct reclaim_queue){ .queued = (uint64_t)db_int(&rows, 0),
                                   .due = (uint64_t)db_int(&rows, 1),
                                   .oldest_due_at = oldest == INT64_MAX ? 0 : oldest,
                                   .doomed_names = names,
                                   .doomed_bytes = bytes,
                                   .bytes_pending = (uint64_t)db_int(&rows, 4) + bytes,
                                   .bytes_trash = (uint64_t)db_int(&rows, 5) };
    return ST_OK;
}
