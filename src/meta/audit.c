/* SPDX-License-Identifier: Apache-2.0 */
#include "meta/audit.h"

#include "meta/usage_int.h"

/* A digest that is none is a finding, not a failure. */
static bool read_digest(const struct db_rows *rows, int column, struct digest *out)
{
    return digest_of_key(db_bytes(rows, column), out, NULL) == ST_OK;
}

static enum st end_of(enum st st, size_t passed, size_t *count)
{
    if (st != ST_END)
        return st;
    *count = passed;
    return ST_OK;
}

static enum st keep_name(str name, char out[static AUDIT_NAME_MAX + 1], struct err *err)
{
    if (str_copy(name, out, AUDIT_NAME_MAX + 1))
        return ST_OK;
    return err_set(err, ST_CORRUPT, "a row has a name of %zu bytes: %.40s...", name.len, name.ptr);
}

/* Whether the statement has a row. */
static enum st exists(struct db_tx *tx, const char *sql, const struct db_arg *args, size_t n,
                      bool *out, struct err *err)
{
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    enum st st = db_select(tx, &rows, sql, args, n, err);
    if (st == ST_OK)
        st = db_next(&rows, err);
    if (st != ST_OK && st != ST_END)
        return st;
    *out = st == ST_OK;
    return ST_OK;
}

/* ---- blobs --------------------------------------------------------------------------------- */

static struct audit_blob read_blob(const struct db_rows *rows, bool with_data)
{
    struct audit_blob row = {
        .id = db_int(rows, 0),
        .size = (uint64_t)db_int(rows, 2),
        .damaged_at = db_int(rows, 4),
        .in_row = !db_is_null(rows, 5),
        .row_bytes = (uint64_t)db_int(rows, 5),
        .linked = db_int(rows, 6) != 0,
    };
    row.has_digest = read_digest(rows, 1, &row.digest);
    if (!db_is_null(rows, 3))
        row.name = db_text(rows, 3);
    if (with_data && row.in_row)
        row.data = db_bytes(rows, 7);
    return row;
}

enum st audit_blobs(struct db_tx *tx, int64_t *after_id, size_t limit, bool with_data,
                    audit_blob_fn fn, void *ctx, size_t *count, struct err *err)
{
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    size_t passed = 0;
    enum st st = db_select(tx, &rows,
                           "SELECT b.id, b.digest, b.size, b.name, b.damaged_at, length(b.data),"
                           " EXISTS (SELECT 1 FROM repo_blob WHERE blob_id = b.id), b.data"
                           " FROM blob b WHERE b.id > $1 ORDER BY b.id LIMIT $2",
                           DB_ARGS(DB_INT(*after_id), DB_INT(limit)), err);
    while (st == ST_OK && (st = db_next(&rows, err)) == ST_OK) {
        const struct audit_blob row = read_blob(&rows, with_data);
        passed++;
        *after_id = row.id;
        st = fn(tx, &row, ctx, err);
    }
    return end_of(st, passed, count);
}

/* ---- manifests ----------------------------------------------------------------------------- */

static struct audit_manifest read_manifest(const struct db_rows *rows, bool with_payload)
{
    struct audit_manifest row = {
        .id = db_int(rows, 0),
        .media_type = db_text(rows, 3),
        .size = (uint64_t)db_int(rows, 4),
        .due = !db_is_null(rows, 5),
        .trashed = !db_is_null(rows, 6),
        .payload_bytes = (uint64_t)db_int(rows, 7),
        .kept = db_int(rows, 8) != 0,
        .missing_blobs = (uint64_t)db_int(rows, 9),
        .missing_children = (uint64_t)db_int(rows, 10),
    };
    row.has_digest = read_digest(rows, 2, &row.digest);
    if (!db_is_null(rows, 1))
        row.repo = db_text(rows, 1);
    if (with_payload)
        row.payload = db_bytes(rows, 11);
    return row;
}

#define INVISIBLE_BLOBS                                                                            \
    " FROM manifest_blob u LEFT JOIN repo_blob l ON l.repo_id = u.repo_id"                         \
    "  AND l.blob_id = u.blob_id AND l.receipt_id IS NULL"                                         \
    " LEFT JOIN blob b ON b.id = u.blob_id"                                                        \
    " WHERE (l.blob_id IS NULL OR b.id IS NULL) AND u.manifest_id = "
#define ABSENT_CHILDREN                                                                            \
    " FROM manifest_child c WHERE NOT EXISTS (SELECT 1 FROM manifest k"                            \
    "  WHERE k.repo_id = c.repo_id AND k.digest = c.digest AND k.receipt_id IS NULL)"              \
    " AND c.manifest_id = "

enum st audit_manifests(struct db_tx *tx, int64_t *after_id, size_t limit, bool with_payload,
                        audit_manifest_fn fn, void *ctx, size_t *count, struct err *err)
{
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    size_t passed = 0;
    enum st st = db_select(
        tx, &rows,
        "SELECT m.id, r.name, m.digest, m.media_type, m.size, m.due_at, m.receipt_id,"
        " length(y.payload),"
        " EXISTS (SELECT 1 FROM tag WHERE manifest_id = m.id)"
        "  OR EXISTS (SELECT 1 FROM manifest_child c JOIN manifest p ON p.id = c.manifest_id"
        "   WHERE c.repo_id = m.repo_id AND c.digest = m.digest"
        "   AND p.due_at IS NULL AND p.receipt_id IS NULL)"
        "  OR EXISTS (SELECT 1 FROM manifest s WHERE s.repo_id = m.repo_id"
        "   AND s.digest = m.subject AND s.due_at IS NULL AND s.receipt_id IS NULL)"
        "  OR EXISTS (SELECT 1 FROM hold h WHERE h.digest = m.digest"
        "   AND (h.repo = '' OR h.repo = r.name))"
        "  OR EXISTS (SELECT 1 FROM lock l WHERE l.digest = m.digest AND l.repo = r.name"
        "   AND l.may % 4 <> 3),"
        " (SELECT COUNT(*)" INVISIBLE_BLOBS "m.id),"
        " (SELECT COUNT(*)" ABSENT_CHILDREN "m.id),"
        " y.payload FROM manifest m LEFT JOIN repository r ON r.id = m.repo_id"
        " LEFT JOIN manifest_payload y ON y.manifest_id = m.id"
        " WHERE m.id > $1 ORDER BY m.id LIMIT $2",
        DB_ARGS(DB_INT(*after_id), DB_INT(limit)), err);
    while (st == ST_OK && (st = db_next(&rows, err)) == ST_OK) {
        const struct audit_manifest row = read_manifest(&rows, with_payload);
        passed++;
        *after_id = row.id;
        st = fn(tx, &row, ctx, err);
    }
    return end_of(st, passed, count);
}

enum st audit_names_blob(struct db_tx *tx, int64_t manifest_id, const struct digest *d, bool *out,
                         struct err *err)
{
    char key[DIGEST_KEY_MAX];
    return exists(tx,
                  "SELECT 1 FROM blob b JOIN manifest_blob u ON u.blob_id = b.id"
                  " WHERE u.manifest_id = $1 AND b.digest = $2",
                  DB_ARGS(DB_INT(manifest_id), DB_BYTES(digest_key(d, key))), out, err);
}

enum st audit_names_child(struct db_tx *tx, int64_t manifest_id, const struct digest *d, bool *out,
                          struct err *err)
{
    char key[DIGEST_KEY_MAX];
    return exists(tx, "SELECT 1 FROM manifest_child WHERE manifest_id = $1 AND digest = $2",
                  DB_ARGS(DB_INT(manifest_id), DB_BYTES(digest_key(d, key))), out, err);
}

static enum st first_digest(struct db_tx *tx, const char *sql, int64_t id, struct digest *out,
                            struct err *err)
{
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    enum st st = db_one(tx, &rows, sql, DB_ARGS(DB_INT(id)), err);
    return st == ST_OK ? digest_of_key(db_bytes(&rows, 0), out, err) : st;
}

enum st audit_missing_blob(struct db_tx *tx, int64_t manifest_id, struct digest *out,
                           struct err *err)
{
    return first_digest(tx, "SELECT b.digest" INVISIBLE_BLOBS "$1 LIMIT 1", manifest_id, out, err);
}

enum st audit_missing_child(struct db_tx *tx, int64_t manifest_id, struct digest *out,
                            struct err *err)
{
    return first_digest(tx, "SELECT c.digest" ABSENT_CHILDREN "$1 LIMIT 1", manifest_id, out, err);
}

/* ---- links and tags ------------------------------------------------------------------------ */

/* What the columns of a link should say. */
#define LINK_COUNTS                                                                                \
    "(SELECT coalesce(sum(CASE WHEN m.due_at IS NULL THEN 1 ELSE 0 END), 0),"                      \
    " coalesce(sum(CASE WHEN m.due_at IS NOT NULL AND m.receipt_id IS NULL THEN 1 ELSE 0 END), "   \
    "0),"                                                                                          \
    " coalesce(sum(CASE WHEN m.receipt_id IS NOT NULL THEN 1 ELSE 0 END), 0)"                      \
    " FROM manifest_blob u JOIN manifest m ON m.id = u.manifest_id"                                \
    " WHERE u.blob_id = l.blob_id AND u.repo_id = l.repo_id)"
#define LINK_SHARED                                                                                \
    "(CASE WHEN EXISTS (SELECT 1 FROM repo_blob o WHERE o.blob_id = l.blob_id"                     \
    " AND o.repo_id <> l.repo_id) THEN 1 ELSE 0 END)"

enum st audit_links(struct db_tx *tx, struct audit_link_at *after, size_t limit, audit_link_fn fn,
                    void *ctx, size_t *count, struct err *err)
{
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    size_t passed = 0;
    enum st st = db_select(
        tx, &rows,
        "SELECT l.repo_id, l.blob_id, r.name, b.id, b.digest, l.due_at, l.receipt_id,"
        " CASE WHEN l.due_at IS NOT NULL THEN NULL ELSE EXISTS (SELECT 1 FROM manifest_blob u"
        "  JOIN manifest m ON m.id = u.manifest_id WHERE u.blob_id = l.blob_id"
        "  AND u.repo_id = l.repo_id AND m.due_at IS NULL AND m.receipt_id IS NULL) END,"
        " CASE WHEN (l.kept, l.loose, l.trash) = " LINK_COUNTS " AND l.shared = " LINK_SHARED
        " AND (b.size IS NULL OR l.size = b.size) THEN 1 ELSE 0 END"
        " FROM repo_blob l LEFT JOIN repository r ON r.id = l.repo_id"
        " LEFT JOIN blob b ON b.id = l.blob_id"
        " WHERE (l.repo_id, l.blob_id) > ($1, $2) ORDER BY l.repo_id, l.blob_id LIMIT $3",
        DB_ARGS(DB_INT(after->repo_id), DB_INT(after->blob_id), DB_INT(limit)), err);
    while (st == ST_OK && (st = db_next(&rows, err)) == ST_OK) {
        struct audit_link row = {
            .repo_id = db_int(&rows, 0),
            .blob_id = db_int(&rows, 1),
            .has_blob = !db_is_null(&rows, 3),
            .due = !db_is_null(&rows, 5),
            .trashed = !db_is_null(&rows, 6),
            .kept = db_int(&rows, 7) != 0,
            .counted = db_int(&rows, 8) != 0,
        };
        if (!db_is_null(&rows, 2))
            row.repo = db_text(&rows, 2);
        row.has_digest = row.has_blob && read_digest(&rows, 4, &row.digest);
        passed++;
        *after = (struct audit_link_at){ row.repo_id, row.blob_id };
        st = fn(tx, &row, ctx, err);
    }
    return end_of(st, passed, count);
}

enum st audit_recount_link(struct db_tx *tx, const struct audit_link_at *at, struct err *err)
{
    return db_run(tx,
                  "UPDATE repo_blob AS l SET (kept, loose, trash) = " LINK_COUNTS
                  ", shared = " LINK_SHARED ", size = (SELECT size FROM blob WHERE id = l.blob_id)"
                  " WHERE repo_id = $1 AND blob_id = $2",
                  DB_ARGS(DB_INT(at->repo_id), DB_INT(at->blob_id)), NULL, err);
}

/* ---- repositories --------------------------------------------------------------------------- */

enum st audit_repositories(struct db_tx *tx, int64_t *after_id, size_t limit,
                           audit_repository_fn fn, void *ctx, size_t *count, struct err *err)
{
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    size_t passed = 0;
    enum st st = db_select(
        tx, &rows,
        "SELECT id, name, tags, manifests, used_alone, trash_alone, pending_alone, used_shared,"
        " trash_shared, pending_shared, " USAGE_TAGS_SQL ", " USAGE_MANIFESTS_SQL
        ", " USAGE_USED_ALONE_SQL ", " USAGE_TRASH_ALONE_SQL ", " USAGE_PENDING_ALONE_SQL
        ", " USAGE_USED_SHARED_SQL ", " USAGE_TRASH_SHARED_SQL ", " USAGE_PENDING_SHARED_SQL
        " FROM repository WHERE id > $1 ORDER BY id LIMIT $2",
        DB_ARGS(DB_INT(*after_id), DB_INT(limit)), err);
    while (st == ST_OK && (st = db_next(&rows, err)) == ST_OK) {
        struct audit_repository row = { .id = db_int(&rows, 0), .name = db_text(&rows, 1) };
        row.counted = true;
        for (int i = 2; i < 10; i++)
            row.counted = row.counted && db_int(&rows, i) == db_int(&rows, i + 8);
        passed++;
        *after_id = row.id;
        st = fn(tx, &row, ctx, err);
    }
    return end_of(st, passed, count);
}

enum st audit_recount_repository(struct db_tx *tx, int64_t id, struct err *err)
{
    return db_run(tx, USAGE_RECOUNT_SQL " WHERE id = $1", DB_ARGS(DB_INT(id)), NULL, err);
}

#define TAG_COLUMNS                                                                                \
    "SELECT t.repo_id, t.name, r.name, m.id, m.receipt_id FROM tag t"                              \
    " LEFT JOIN repository r ON r.id = t.repo_id"                                                  \
    " LEFT JOIN manifest m ON m.id = t.manifest_id AND m.repo_id = t.repo_id"

static struct audit_tag read_tag(const struct db_rows *rows)
{
    struct audit_tag row = {
        .repo_id = db_int(rows, 0),
        .name = db_text(rows, 1),
        .has_manifest = !db_is_null(rows, 3),
        .trashed = !db_is_null(rows, 4),
    };
    if (!db_is_null(rows, 2))
        row.repo = db_text(rows, 2);
    return row;
}

enum st audit_tags(struct db_tx *tx, struct audit_tag_at *after, size_t limit, audit_tag_fn fn,
                   void *ctx, size_t *count, struct err *err)
{
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    size_t passed = 0;
    enum st st = db_select(
        tx, &rows,
        TAG_COLUMNS " WHERE (t.repo_id, t.name) > ($1, $2) ORDER BY t.repo_id, t.name LIMIT $3",
        DB_ARGS(DB_INT(after->repo_id), DB_TEXT(str_of(after->name)), DB_INT(limit)), err);
    while (st == ST_OK && (st = db_next(&rows, err)) == ST_OK) {
        const struct audit_tag row = read_tag(&rows);
        passed++;
        after->repo_id = row.repo_id;
        st = keep_name(row.name, after->name, err);
        if (st == ST_OK)
            st = fn(tx, &row, ctx, err);
    }
    return end_of(st, passed, count);
}

enum st audit_tag(struct db_tx *tx, const struct audit_tag_at *at, audit_tag_fn fn, void *ctx,
                  struct err *err)
{
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    enum st st = db_one(tx, &rows, TAG_COLUMNS " WHERE t.repo_id = $1 AND t.name = $2",
                        DB_ARGS(DB_INT(at->repo_id), DB_TEXT(str_of(at->name))), err);
    if (st != ST_OK)
        return st;
    const struct audit_tag row = read_tag(&rows);
    return fn(tx, &row, ctx, err);
}

/* ---- uploads, doomed names ----------------------------------------------------------------- */

#define UPLOAD_COLUMNS "SELECT id, repo, size, due_at, data IS NOT NULL FROM upload"

static struct audit_upload read_upload(const struct db_rows *rows)
{
    return (struct audit_upload){
        .id = db_text(rows, 0),
        .repo = db_text(rows, 1),
        .size = (uint64_t)db_int(rows, 2),
        .due_at = db_int(rows, 3),
        .in_row = db_int(rows, 4) != 0,
    };
}

enum st audit_uploads(struct db_tx *tx, struct audit_name_at *after, size_t limit,
                      audit_upload_fn fn, void *ctx, size_t *count, struct err *err)
{
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    size_t passed = 0;
    enum st st = db_select(tx, &rows, UPLOAD_COLUMNS " WHERE id > $1 ORDER BY id LIMIT $2",
                           DB_ARGS(DB_TEXT(str_of(after->name)), DB_INT(limit)), err);
    while (st == ST_OK && (st = db_next(&rows, err)) == ST_OK) {
        const struct audit_upload row = read_upload(&rows);
        passed++;
        st = keep_name(row.id, after->name, err);
        if (st == ST_OK)
            st = fn(tx, &row, ctx, err);
    }
    return end_of(st, passed, count);
}

enum st audit_upload(struct db_tx *tx, str id, audit_upload_fn fn, void *ctx, struct err *err)
{
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    enum st st = db_one(tx, &rows, UPLOAD_COLUMNS " WHERE id = $1", DB_ARGS(DB_TEXT(id)), err);
    if (st != ST_OK)
        return st;
    const struct audit_upload row = read_upload(&rows);
    return fn(tx, &row, ctx, err);
}

enum st audit_doomed(struct db_tx *tx, struct audit_name_at *after, size_t limit,
                     audit_doomed_fn fn, void *ctx, size_t *count, struct err *err)
{
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    size_t passed = 0;
    enum st st = db_select(tx, &rows,
                           "SELECT d.name, EXISTS (SELECT 1 FROM blob WHERE name = d.name)"
                           "  OR EXISTS (SELECT 1 FROM upload WHERE id = d.name)"
                           " FROM doomed d WHERE d.name > $1 ORDER BY d.name LIMIT $2",
                           DB_ARGS(DB_TEXT(str_of(after->name)), DB_INT(limit)), err);
    while (st == ST_OK && (st = db_next(&rows, err)) == ST_OK) {
        str name = db_text(&rows, 0);
        passed++;
        st = keep_name(name, after->name, err);
        if (st == ST_OK)
            st = fn(tx, name, db_int(&rows, 1) != 0, ctx, err);
    }
    return end_of(st, passed, count);
}

enum st audit_use_of(struct db_tx *tx, str name, enum audit_use *out, struct err *err)
{
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    enum st st = db_one(tx, &rows,
                        "SELECT CASE WHEN EXISTS (SELECT 1 FROM blob WHERE name = $1) THEN 1"
                        " WHEN EXISTS (SELECT 1 FROM upload WHERE id = $1) THEN 2"
                        " WHEN EXISTS (SELECT 1 FROM doomed WHERE name = $1) THEN 3 ELSE 0 END",
                        DB_ARGS(DB_TEXT(name)), err);
    if (st == ST_OK)
        *out = (enum audit_use)db_int(&rows, 0);
    return st;
}

/* ---- repairs ------------------------------------------------------------------------------- */

enum st audit_mark_damaged(struct db_tx *tx, int64_t blob_id, str name, int64_t now, bool *marked,
                           struct err *err)
{
    int64_t changed = 0;
    enum st st = name.ptr != NULL
                     ? db_run(tx,
                              "UPDATE blob SET damaged_at = $1 WHERE id = $2 AND damaged_at IS NULL"
                              " AND name = $3",
                              DB_ARGS(DB_INT(now), DB_INT(blob_id), DB_TEXT(name)), &changed, err)
                     : db_run(tx,
                              "UPDATE blob SET damaged_at = $1 WHERE id = $2 AND damaged_at IS NULL"
                              " AND name IS NULL",
                              DB_ARGS(DB_INT(now), DB_INT(blob_id)), &changed, err);
    if (st == ST_OK)
        *marked = changed > 0;
    return st;
}

enum st audit_doom_orphan(struct db_tx *tx, str name, uint64_t size, int64_t now, bool *doomed,
                          struct err *err)
{
    int64_t changed = 0;
    enum st st = db_run(tx,
                        "INSERT INTO doomed (name, size, deleted_at, since) SELECT $1, $2, $3, $3"
                        " WHERE NOT EXISTS (SELECT 1 FROM blob WHERE name = $1)"
                        " AND NOT EXISTS (SELECT 1 FROM upload WHERE id = $1)"
                        " AND NOT EXISTS (SELECT 1 FROM doomed WHERE name = $1)",
                        DB_ARGS(DB_TEXT(name), DB_INT(size), DB_INT(now)), &changed, err);
    if (st == ST_OK)
        *doomed = changed > 0;
    return st;
}
