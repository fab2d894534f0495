/* SPDX-License-Identifier: Apache-2.0 */
#include "meta/selection.h"

/* $first .. of SELECTION_IDS parameters. */
#define IDS_8(a, b, c, d, e, f, g, h) "$" #a ",$" #b ",$" #c ",$" #d ",$" #e ",$" #f ",$" #g ",$" #h
#define IDS_1_TO_64                                                                                \
    IDS_8(1, 2, 3, 4, 5, 6, 7, 8)                                                                  \
    "," IDS_8(9, 10, 11, 12, 13, 14, 15, 16) "," IDS_8(17, 18, 19, 20, 21, 22, 23, 24) "," IDS_8(  \
        25, 26, 27, 28, 29, 30, 31,                                                                \
        32) "," IDS_8(33, 34, 35, 36, 37, 38, 39,                                                  \
                      40) "," IDS_8(41, 42, 43, 44, 45, 46, 47,                                    \
                                    48) "," IDS_8(49, 50, 51, 52, 53, 54, 55,                      \
                                                  56) "," IDS_8(57, 58, 59, 60, 61, 62, 63, 64)
#define IDS_2_TO_65                                                                                \
    IDS_8(2, 3, 4, 5, 6, 7, 8, 9)                                                                  \
    "," IDS_8(10, 11, 12, 13, 14, 15, 16, 17) "," IDS_8(18, 19, 20, 21, 22, 23, 24, 25) "," IDS_8( \
        26, 27, 28, 29, 30, 31, 32,                                                                \
        33) "," IDS_8(34, 35, 36, 37, 38, 39, 40,                                                  \
                      41) "," IDS_8(42, 43, 44, 45, 46, 47, 48,                                    \
                                    49) "," IDS_8(50, 51, 52, 53, 54, 55, 56,                      \
                                                  57) "," IDS_8(58, 59, 60, 61, 62, 63, 64, 65)

/* The rest of the parameters is NULL, which is equal to nothing. */
static void fill_ids(struct db_arg args[static SELECTION_IDS], const int64_t *ids, size_t count)
{
    assert(count <= SELECTION_IDS);
    for (size_t i = 0; i < SELECTION_IDS; i++)
        args[i] = i < count ? DB_INT(ids[i]) : DB_NULL;
}

/* ---- repositories --------------------------------------------------------------------------- */

#define REPOSITORY_COLUMNS "id, name, tags, trash_alone + trash_shared"

static struct selection_repository read_repository(const struct db_rows *rows)
{
    return (struct selection_repository){ .id = db_int(rows, 0),
                                          .name = db_text(rows, 1),
                                          .tags = (uint64_t)db_int(rows, 2),
                                          .trash = db_int(rows, 3) > 0 };
}

enum st selection_repositories(struct db_tx *tx, struct db_rows *rows, str prefix, struct err *err)
{
    /* Names are ASCII: what is before this starts with the prefix. */
    char end[1024];
    int len = snprintf(end, sizeof(end), "%.*s\x7f", STR_FMT(prefix));
    if (len < 0 || (size_t)len >= sizeof(end))
        return err_set(err, ST_INVALID, "the pattern is longer than any name of a repository");
    return db_select(tx, rows,
                     "SELECT " REPOSITORY_COLUMNS " FROM repository"
                     " WHERE name >= $1 AND name < $2 ORDER BY name",
                     DB_ARGS(DB_TEXT(prefix.ptr == NULL ? STR("") : prefix), DB_TEXT(str_of(end))),
                     err);
}

enum st selection_next_repository(struct db_rows *rows, struct selection_repository *out,
                                  struct err *err)
{
    enum st st = db_next(rows, err);
    if (st == ST_OK)
        *out = read_repository(rows);
    return st;
}

enum st selection_repository(struct db_tx *tx, str name, struct selection_repository *out,
                             struct err *err)
{
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    enum st st = db_one(tx, &rows, "SELECT " REPOSITORY_COLUMNS " FROM repository WHERE name = $1",
                        DB_ARGS(DB_TEXT(name)), err);
    if (st == ST_NOT_FOUND)
        return err_set(err, st, "there is no repository %.*s", STR_FMT(name));
    if (st != ST_OK)
        return st;
    *out = read_repository(&rows);
    out->name = name;
    return ST_OK;
}

/* ---- tags ----------------------------------------------------------------------------------- */

enum st selection_tags(struct db_tx *tx, struct db_rows *rows, int64_t repo_id, bool pulls,
                       struct err *err)
{
    if (pulls)
        return db_select(tx, rows,
                         "SELECT t.name, t.manifest_id, t.tagged_at, p.pulled_at FROM tag t"
                         " LEFT JOIN manifest_pull p ON p.manifest_id = t.manifest_id"
                         " WHERE t.repo_id = $1 ORDER BY t.name",
                         DB_ARGS(DB_INT(repo_id)), err);
    return db_select(tx, rows,
                     "SELECT name, manifest_id, tagged_at, NULL FROM tag WHERE repo_id = $1"
                     " ORDER BY name",
                     DB_ARGS(DB_INT(repo_id)), err);
}

enum st selection_tags_of(struct db_tx *tx, struct db_rows *rows, int64_t manifest_id,
                          struct err *err)
{
    return db_select(tx, rows,
                     "SELECT name, manifest_id, tagged_at, NULL FROM tag WHERE manifest_id = $1"
                     " ORDER BY name",
                     DB_ARGS(DB_INT(manifest_id)), err);
}

enum st selection_next_tag(struct db_rows *rows, struct selection_tag *out, struct err *err)
{
    enum st st = db_next(rows, err);
    if (st == ST_OK)
        *out = (struct selection_tag){ .name = db_text(rows, 0),
                                       .manifest_id = db_int(rows, 1),
                                       .tagged_at = db_int(rows, 2),
                                       .pulled_at = db_int(rows, 3) };
    return st;
}

enum st selection_tag(struct db_tx *tx, int64_t repo_id, str name, struct selection_tag *out,
                      struct err *err)
{
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    enum st st =
        db_one(tx, &rows, "SELECT manifest_id, tagged_at FROM tag WHERE repo_id = $1 AND name = $2",
               DB_ARGS(DB_INT(repo_id), DB_TEXT(name)), err);
    if (st == ST_OK)
        *out = (struct selection_tag){ .name = name,
                                       .manifest_id = db_int(&rows, 0),
                                       .tagged_at = db_int(&rows, 1) };
    return st;
}

enum st selection_newer_tag(struct db_tx *tx, int64_t repo_id, int64_t tagged_at, str name,
                            size_t limit, bool *newer, bool *known, struct err *err)
{
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    struct selection_tag tag = { 0 };
    size_t seen = 0;
    bool found = false;
    enum st st = db_select(tx, &rows,
                           "SELECT name, manifest_id, tagged_at, NULL FROM tag WHERE repo_id = $1"
                           " LIMIT $2",
                           DB_ARGS(DB_INT(repo_id), DB_INT(limit)), err);
    while (st == ST_OK && !found && (st = selection_next_tag(&rows, &tag, err)) == ST_OK) {
        seen++;
        found = tag.tagged_at > tagged_at ||
                (tag.tagged_at == tagged_at && str_cmp(tag.name, name) > 0);
    }
    if (st != ST_OK && st != ST_END)
        return st;
    *newer = found;
    *known = found || seen < limit;
    return ST_OK;
}

/* ---- manifests ------------------------------------------------------------------------------ */

#define MANIFEST_COLUMNS "id, digest, size, due_at, receipt_id, subject IS NOT NULL, pushed_at"

enum st selection_manifests(struct db_tx *tx, struct db_rows *rows, int64_t repo_id,
                            enum selection_manifests which, int64_t before, struct err *err)
{
    switch (which) {
    case SELECTION_LOOSE:
        return db_select(tx, rows,
                         "SELECT " MANIFEST_COLUMNS " FROM manifest WHERE repo_id = $1"
                         " AND due_at IS NOT NULL AND receipt_id IS NULL AND pushed_at < $2",
                         DB_ARGS(DB_INT(repo_id), DB_INT(before)), err);
    case SELECTION_TRASH:
        return db_select(tx, rows,
                         "SELECT " MANIFEST_COLUMNS " FROM manifest WHERE repo_id = $1"
                         " AND due_at IS NOT NULL AND receipt_id IS NOT NULL",
                         DB_ARGS(DB_INT(repo_id)), err);
    case SELECTION_LIVE:
        break;
    }
    return db_select(tx, rows,
                     "SELECT " MANIFEST_COLUMNS " FROM manifest WHERE repo_id = $1"
                     " AND receipt_id IS NULL",
                     DB_ARGS(DB_INT(repo_id)), err);
}

enum st selection_manifests_by_id(struct db_tx *tx, struct db_rows *rows, const int64_t *ids,
                                  size_t count, struct err *err)
{
    struct db_arg args[SELECTION_IDS];
    fill_ids(args, ids, count);
    return db_select(tx, rows,
                     "SELECT " MANIFEST_COLUMNS " FROM manifest WHERE id IN (" IDS_1_TO_64 ")",
                     args, SELECTION_IDS, err);
}

enum st selection_next_manifest(struct db_rows *rows, struct selection_manifest *out,
                                struct err *err)
{
    enum st st = db_next(rows, err);
    if (st == ST_OK)
        *out = (struct selection_manifest){ .id = db_int(rows, 0),
                                            .digest_key = db_bytes(rows, 1),
                                            .size = (uint64_t)db_int(rows, 2),
                                            .due_at = db_int(rows, 3),
                                            .trashed = !db_is_null(rows, 4),
                                            .has_subject = db_int(rows, 5) != 0,
                                            .pushed_at = db_int(rows, 6) };
    return st;
}

enum st selection_manifest(struct db_tx *tx, int64_t repo_id, const struct digest *d, int64_t *id,
                           struct err *err)
{
    char key[DIGEST_KEY_MAX];
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    enum st st =
        db_one(tx, &rows,
               "SELECT id FROM manifest WHERE repo_id = $1 AND digest = $2 AND receipt_id IS NULL",
               DB_ARGS(DB_INT(repo_id), DB_BYTES(digest_key(d, key))), err);
    if (st == ST_OK)
        *id = db_int(&rows, 0);
    return st;
}

/* ---- pairs ---------------------------------------------------------------------------------- */

enum st selection_tag_counts(struct db_tx *tx, struct db_rows *rows, const int64_t *ids,
                             size_t count, struct err *err)
{
    struct db_arg args[SELECTION_IDS];
    fill_ids(args, ids, count);
    return db_select(tx, rows,
                     "SELECT manifest_id, count(*) FROM tag WHERE manifest_id IN (" IDS_1_TO_64
                     ") GROUP BY manifest_id",
                     args, SELECTION_IDS, err);
}

enum st selection_uses(struct db_tx *tx, struct db_rows *rows, const int64_t *ids, size_t count,
                       struct err *err)
{
    struct db_arg args[SELECTION_IDS];
    fill_ids(args, ids, count);
    return db_select(tx, rows,
                     "SELECT manifest_id, blob_id FROM manifest_blob"
                     " WHERE manifest_id IN (" IDS_1_TO_64 ")",
                     args, SELECTION_IDS, err);
}

enum st selection_pulls(struct db_tx *tx, struct db_rows *rows, const int64_t *ids, size_t count,
                        struct err *err)
{
    struct db_arg args[SELECTION_IDS];
    fill_ids(args, ids, count);
    return db_select(tx, rows,
                     "SELECT manifest_id, pulled_at FROM manifest_pull"
                     " WHERE manifest_id IN (" IDS_1_TO_64 ")",
                     args, SELECTION_IDS, err);
}

enum st selection_next_pair(struct db_rows *rows, struct selection_pair *out, struct err *err)
{
    enum st st = db_next(rows, err);
    if (st == ST_OK)
        *out = (struct selection_pair){ db_int(rows, 0), db_int(rows, 1) };
    return st;
}

/* ---- above and below ------------------------------------------------------------------------ */

enum st selection_is_graph(struct db_tx *tx, int64_t repo_id, bool *out, struct err *err)
{
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    enum st st =
        db_one(tx, &rows,
               "SELECT EXISTS (SELECT 1 FROM manifest_child WHERE repo_id = $1)"
               " OR EXISTS (SELECT 1 FROM manifest WHERE repo_id = $1 AND subject IS NOT NULL)",
               DB_ARGS(DB_INT(repo_id)), err);
    if (st == ST_OK)
        *out = db_int(&rows, 0) != 0;
    return st;
}

enum st selection_above(struct db_tx *tx, struct db_rows *rows, int64_t manifest_id,
                        struct err *err)
{
    return db_select(tx, rows,
                     "SELECT p.id, p.due_at, p.digest, p.receipt_id, 1 FROM manifest m"
                     " JOIN manifest_child c ON c.repo_id = m.repo_id AND c.digest = m.digest"
                     " JOIN manifest p ON p.id = c.manifest_id WHERE m.id = $1"
                     " UNION ALL SELECT s.id, s.due_at, s.digest, s.receipt_id, 0 FROM manifest m"
                     " JOIN manifest s ON s.repo_id = m.repo_id AND s.digest = m.subject"
                     " WHERE m.id = $1",
                     DB_ARGS(DB_INT(manifest_id)), err);
}

enum st selection_next_above(struct db_rows *rows, struct selection_above *out, struct err *err)
{
    enum st st = db_next(rows, err);
    if (st == ST_OK)
        *out = (struct selection_above){ .id = db_int(rows, 0),
                                         .due_at = db_int(rows, 1),
                                         .digest_key = db_bytes(rows, 2),
                                         .trashed = !db_is_null(rows, 3),
                                         .is_index = db_int(rows, 4) != 0 };
    return st;
}

enum st selection_below(struct db_tx *tx, struct db_rows *rows, int64_t manifest_id,
                        struct err *err)
{
    return db_select(tx, rows,
                     "SELECT m.id, 0 FROM manifest_child c JOIN manifest m"
                     " ON m.repo_id = c.repo_id AND m.digest = c.digest"
                     " WHERE c.manifest_id = $1 AND m.receipt_id IS NULL"
                     " UNION ALL SELECT r.id, 0 FROM manifest s JOIN manifest r"
                     " ON r.repo_id = s.repo_id AND r.subject = s.digest"
                     " WHERE s.id = $1 AND r.receipt_id IS NULL",
                     DB_ARGS(DB_INT(manifest_id)), err);
}

/* ---- links ---------------------------------------------------------------------------------- */

#define LINK_COLUMNS                                                                               \
    "repo_id, blob_id, size, kept, loose, trash, lease_until, due_at, receipt_id, shared"

static struct selection_link read_link(const struct db_rows *rows)
{
    return (struct selection_link){ .repo_id = db_int(rows, 0),
                                    .blob_id = db_int(rows, 1),
                                    .size = (uint64_t)db_int(rows, 2),
                                    .kept = (uint64_t)db_int(rows, 3),
                                    .loose = (uint64_t)db_int(rows, 4),
                                    .trash = (uint64_t)db_int(rows, 5),
                                    .lease_until = db_int(rows, 6),
                                    .due_at = db_int(rows, 7),
                                    .trashed = !db_is_null(rows, 8),
                                    .shared = db_int(rows, 9) != 0 };
}

enum st selection_links(struct db_tx *tx, struct db_rows *rows, int64_t repo_id,
                        const int64_t *blob_ids, size_t count, struct err *err)
{
    struct db_arg args[SELECTION_IDS + 1] = { DB_INT(repo_id) };
    fill_ids(args + 1, blob_ids, count);
    return db_select(tx, rows,
                     "SELECT " LINK_COLUMNS " FROM repo_blob WHERE repo_id = $1"
                     " AND blob_id IN (" IDS_2_TO_65 ")",
                     args, ARRAY_LEN(args), err);
}

enum st selection_links_of_blob(struct db_tx *tx, struct db_rows *rows, int64_t blob_id,
                                struct err *err)
{
    return db_select(tx, rows, "SELECT " LINK_COLUMNS " FROM repo_blob WHERE blob_id = $1",
                     DB_ARGS(DB_INT(blob_id)), err);
}

enum st selection_links_unused(struct db_tx *tx, struct db_rows *rows, int64_t repo_id,
                               bool trashed, struct err *err)
{
    if (trashed)
        return db_select(tx, rows,
                         "SELECT " LINK_COLUMNS " FROM repo_blob WHERE repo_id = $1"
                         " AND due_at IS NOT NULL AND receipt_id IS NOT NULL",
                         DB_ARGS(DB_INT(repo_id)), err);
    return db_select(tx, rows,
                     "SELECT " LINK_COLUMNS " FROM repo_blob WHERE repo_id = $1 AND kept = 0"
                     " AND loose = 0 AND receipt_id IS NULL",
                     DB_ARGS(DB_INT(repo_id)), err);
}

enum st selection_next_link(struct db_rows *rows, struct selection_link *out, struct err *err)
{
    enum st st = db_next(rows, err);
    if (st == ST_OK)
        *out = read_link(rows);
    return st;
}

enum st selection_link(struct db_tx *tx, int64_t repo_id, const struct digest *d,
                       struct selection_link *out, struct err *err)
{
    char key[DIGEST_KEY_MAX];
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    enum st st = db_one(tx, &rows,
                        "SELECT " LINK_COLUMNS " FROM repo_blob WHERE repo_id = $1"
                        " AND blob_id = (SELECT id FROM blob WHERE digest = $2)"
                        " AND receipt_id IS NULL",
                        DB_ARGS(DB_INT(repo_id), DB_BYTES(digest_key(d, key))), err);
    if (st == ST_OK)
        *out = read_link(&rows);
    return st;
}

enum st selection_blob_digest(struct db_tx *tx, int64_t blob_id, struct digest *out,
                              struct err *err)
{
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    enum st st =
        db_one(tx, &rows, "SELECT digest FROM blob WHERE id = $1", DB_ARGS(DB_INT(blob_id)), err);
    return st == ST_OK ? digest_of_key(db_bytes(&rows, 0), out, err) : st;
}

enum st selection_users(struct db_tx *tx, struct db_rows *rows, int64_t blob_id, struct err *err)
{
    return db_select(tx, rows,
                     "SELECT m.id, r.name, m.digest, m.due_at, m.receipt_id FROM manifest_blob u"
                     " JOIN manifest m ON m.id = u.manifest_id"
                     " JOIN repository r ON r.id = u.repo_id WHERE u.blob_id = $1"
                     " ORDER BY u.blob_id DESC, u.repo_id DESC, u.manifest_id DESC",
                     DB_ARGS(DB_INT(blob_id)), err);
}

enum st selection_next_user(struct db_rows *rows, struct selection_user *out, struct err *err)
{
    enum st st = db_next(rows, err);
    if (st == ST_OK)
        *out = (struct selection_user){ .manifest_id = db_int(rows, 0),
                                        .repo = db_text(rows, 1),
                                        .digest_key = db_bytes(rows, 2),
                                        .due_at = db_int(rows, 3),
                                        .trashed = !db_is_null(rows, 4) };
    return st;
}

/* ---- holds ---------------------------------------------------------------------------------- */

enum st selection_any(struct db_tx *tx, bool *rules, bool *holds, bool *pulls, struct err *err)
{
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    enum st st = db_one(tx, &rows,
                        "SELECT EXISTS (SELECT 1 FROM rule), EXISTS (SELECT 1 FROM hold),"
                        " EXISTS (SELECT 1 FROM manifest_pull), EXISTS (SELECT 1 FROM lock)",
                        DB_NO_ARGS, err);
    if (st != ST_OK)
        return st;
    bool locks = db_int(&rows, 3) != 0;
    *rules = db_int(&rows, 0) != 0 || locks;
    *holds = db_int(&rows, 1) != 0 || locks;
    *pulls = db_int(&rows, 2) != 0;
    return ST_OK;
}

enum st selection_manifest_held(struct db_tx *tx, int64_t manifest_id, bool *out, struct err *err)
{
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    enum st st = db_one(tx, &rows,
                        "SELECT EXISTS (SELECT 1 FROM manifest m JOIN hold h ON h.digest = m.digest"
                        " WHERE m.id = $1 AND (h.repo = '' OR h.repo ="
                        " (SELECT name FROM repository WHERE id = m.repo_id)))"
                        " OR EXISTS (SELECT 1 FROM manifest m JOIN lock l ON l.digest = m.digest"
                        " WHERE m.id = $1 AND l.may % 4 <> 3 AND l.repo ="
                        " (SELECT name FROM repository WHERE id = m.repo_id))",
                        DB_ARGS(DB_INT(manifest_id)), err);
    if (st == ST_OK)
        *out = db_int(&rows, 0) != 0;
    return st;
}

enum st selection_blob_held(struct db_tx *tx, int64_t blob_id, int64_t now, bool *out, char *reason,
                            size_t reason_size, struct err *err)
{
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    enum st st = db_select(tx, &rows,
                           "SELECT h.reason FROM blob b JOIN hold h ON h.digest = b.digest"
                           " JOIN repo_blob l ON l.blob_id = b.id"
                           " WHERE b.id = $1 AND (h.until IS NULL OR h.until > $2)"
                           " AND (h.repo = '' OR h.repo = (SELECT name FROM repository"
                           " WHERE id = l.repo_id)) LIMIT 1",
                           DB_ARGS(DB_INT(blob_id), DB_INT(now)), err);
    if (st == ST_OK)
        st = db_next(&rows, err);
    if (st != ST_OK && st != ST_END)
        return st;
    *out = st == ST_OK;
    if (*out && !str_copy(str_slice(db_text(&rows, 0), 0, reason_size - 1), reason, reason_size))
        reason[0] = '\0';
    return ST_OK;
}
