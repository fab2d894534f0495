/* SPDX-License-Identifier: Apache-2.0 */
#include "meta/manifests_int.h"

#include "base/buf.h"
#include "base/clock.h"
#include "meta/repositories.h"

#define ROW_COLUMNS                                                                                \
    "m.id, m.repo_id, m.digest, m.media_type, m.size, m.due_at, EXISTS (SELECT 1 FROM lock)"
#define PAYLOAD_COLUMN 7

/* Columns ROW_COLUMNS, then the payload when `a` is given. */
static enum st read_row(const struct db_rows *rows, struct arena *a, struct manifest_row *out,
                        struct err *err)
{
    struct manifest_row row = {
        .id = db_int(rows, 0),
        .repo_id = db_int(rows, 1),
        .size = (uint64_t)db_int(rows, 4),
        .due_at = db_int(rows, 5),
        .any_locks = db_int(rows, 6) != 0,
    };
    enum st st = digest_of_key(db_bytes(rows, 2), &row.digest, err);
    if (st != ST_OK)
        return st;
    if (a != NULL) {
        row.media_type = arena_dup(a, db_text(rows, 3));
        row.payload = arena_dup(a, db_bytes(rows, PAYLOAD_COLUMN));
        if (row.media_type.ptr == NULL || row.payload.ptr == NULL)
            return err_no_memory(err);
    }
    *out = row;
    return ST_OK;
}

/* Words a row that is not there: is the repository there at all? */
static enum st not_found(struct db_tx *tx, str repo, const char *what, str name, struct err *err)
{
    int64_t repo_id = 0;
    enum st st = repositories_find(tx, repo, &repo_id, err);
    if (st != ST_OK)
        return st;
    return err_set(err, ST_NOT_FOUND, "there is no %s %.*s in %.*s", what, STR_FMT(name),
                   STR_FMT(repo));
}

enum st manifests_find_by_tag(struct db_tx *tx, str repo, str tag, struct arena *a,
                              struct manifest_row *out, struct err *err)
{
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    enum st st = db_select(tx, &rows,
                           "SELECT " ROW_COLUMNS ", y.payload FROM repository r"
                           " JOIN tag t ON t.repo_id = r.id JOIN manifest m ON m.id = t.manifest_id"
                           " JOIN manifest_payload y ON y.manifest_id = m.id"
                           " WHERE r.name = $1 AND t.name = $2",
                           DB_ARGS(DB_TEXT(repo), DB_TEXT(tag)), err);
    if (st == ST_OK)
        st = db_next(&rows, err);
    if (st == ST_END)
        return not_found(tx, repo, "tag", tag, err);
    return st == ST_OK ? read_row(&rows, a, out, err) : st;
}

enum st manifests_find_by_digest(struct db_tx *tx, str repo, const struct digest *d,
                                 struct arena *a, struct manifest_row *out, struct err *err)
{
    char key[DIGEST_KEY_MAX];
    char text[DIGEST_TEXT_MAX + 1];
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    enum st st = db_select(tx, &rows,
                           "SELECT " ROW_COLUMNS ", y.payload FROM repository r"
                           " JOIN manifest m ON m.repo_id = r.id"
                           " JOIN manifest_payload y ON y.manifest_id = m.id"
                           " WHERE r.name = $1 AND m.digest = $2 AND m.receipt_id IS NULL",
                           DB_ARGS(DB_TEXT(repo), DB_BYTES(digest_key(d, key))), err);
    if (st == ST_OK)
        st = db_next(&rows, err);
    if (st == ST_END)
        return not_found(tx, repo, "manifest", digest_text(d, text), err);
    return st == ST_OK ? read_row(&rows, a, out, err) : st;
}

/* ---- keeping and letting go ---------------------------------------------------------------- */

/* Whether some index above m is in that state: stops at the first one. (Not in an AND: SQLite works
 * out both sides.) */
#define INDEX_ABOVE                                                                                \
    "EXISTS (SELECT 1 FROM manifest_child c JOIN manifest p ON p.id = c.manifest_id"               \
    " WHERE c.repo_id = m.repo_id AND c.digest = m.digest AND "

static const char standing_of[] =
    "SELECT m.repo_id, m.due_at, m.receipt_id, m.size, m.digest,"
    " EXISTS (SELECT 1 FROM tag WHERE manifest_id = m.id),"
    " CASE WHEN " INDEX_ABOVE "p.due_at IS NULL) THEN 0"
    " WHEN " INDEX_ABOVE "p.receipt_id IS NULL) THEN 1"
    " WHEN " INDEX_ABOVE "p.receipt_id IS NOT NULL) THEN 2 ELSE 3 END,"
    " (SELECT CASE WHEN s.receipt_id IS NOT NULL THEN 2 WHEN s.due_at IS NOT NULL THEN 1 ELSE 0 END"
    "  FROM manifest s WHERE s.repo_id = m.repo_id AND s.digest = m.subject),"
    " CASE WHEN m.receipt_id IS NULL THEN FALSE"
    " ELSE " INDEX_ABOVE "p.receipt_id IS NOT NULL) END,"
    " EXISTS (SELECT 1 FROM hold h WHERE h.digest = m.digest AND (h.repo = ''"
    "  OR h.repo = (SELECT name FROM repository WHERE id = m.repo_id)))"
    " OR EXISTS (SELECT 1 FROM lock l WHERE l.digest = m.digest AND l.may % 4 <> 3"
    "  AND l.repo = (SELECT name FROM repository WHERE id = m.repo_id))"
    " FROM manifest m WHERE m.id = $1";

enum st manifests_standing(struct db_tx *tx, int64_t id, struct standing *out, struct err *err)
{
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    enum st st = db_one(tx, &rows, standing_of, DB_ARGS(DB_INT(id)), err);
    if (st != ST_OK)
        return st;
    enum { KEPT, LOOSE, TRASHED, ABSENT };
    int64_t parent = db_int(&rows, 6);
    int64_t subject = db_is_null(&rows, 7) ? ABSENT : db_int(&rows, 7);
    int64_t above = MIN(parent, subject);
    bool tagged = db_int(&rows, 5) != 0;
    bool held = db_int(&rows, 9) != 0;
    struct standing s = {
        .repo_id = db_int(&rows, 0),
        .due_at = db_int(&rows, 1),
        .trashed = !db_is_null(&rows, 2),
        .receipt_id = db_int(&rows, 2),
        .size = (uint64_t)db_int(&rows, 3),
        .tagged = tagged,
        .held = held,
        .kept = tagged || held || above == KEPT,
        .named = above <= TRASHED,
    };
    if (s.trashed)
        s.named = subject == TRASHED || db_int(&rows, 8) != 0;
    st = digest_of_key(db_bytes(&rows, 4), &s.digest, err);
    if (st == ST_OK)
        *out = s;
    return st;
}

enum st manifests_below(struct db_tx *tx, int64_t id, struct arena *a, int64_t **ids, size_t *count,
                        struct err *err)
{
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    AUTO(buf_release) struct buf found = { .max_bytes = 16 * MIB };
    enum st st = db_select(tx, &rows,
                           "SELECT m.id FROM manifest_child c JOIN manifest m"
                           " ON m.repo_id = c.repo_id AND m.digest = c.digest"
                           " WHERE c.manifest_id = $1 AND m.receipt_id IS NULL"
                           " UNION SELECT r.id FROM manifest s JOIN manifest r"
                           " ON r.repo_id = s.repo_id AND r.subject = s.digest"
                           " WHERE s.id = $1 AND r.receipt_id IS NULL",
                           DB_ARGS(DB_INT(id)), err);
    if (st != ST_OK)
        return st;
    while ((st = db_next(&rows, err)) == ST_OK) {
        int64_t below = db_int(&rows, 0);
        buf_add(&found, (str){ (const char *)&below, sizeof(below) });
    }
    if (st == ST_END)
        st = buf_status(&found, err);
    if (st != ST_OK)
        return st;
    int64_t *copy = arena_alloc(a, found.len + 1);
    if (copy == NULL)
        return err_no_memory(err);
    if (found.len > 0)
        memcpy(copy, found.ptr, found.len);
    *ids = copy;
    *count = found.len / sizeof(int64_t);
    return ST_OK;
}

enum st manifests_drop_blobs(struct db_tx *tx, int64_t id, struct err *err)
{
    return db_run(tx, "DELETE FROM manifest_blob WHERE manifest_id = $1", DB_ARGS(DB_INT(id)), NULL,
                  err);
}

/* What the manifest counts as. */
static enum manifest_state state_of(const struct standing *s)
{
    if (s->trashed)
        return MANIFEST_TRASH;
    return s->due_at == 0 ? MANIFEST_KEPT : MANIFEST_LOOSE;
}

/* Tells the links. */
static enum st move_links(struct db_tx *tx, int64_t id, const struct standing *s,
                          enum manifest_state to, const struct keeping *k, int64_t now,
                          uint64_t *freed, struct err *err)
{
    const struct links_move move = { .manifest_id = id,
                                     .repo_id = s->repo_id,
                                     .payload_bytes = s->size,
                                     .from = state_of(s),
                                     .to = to };
    return links_move_manifest(tx, &move, k, now, freed, err);
}

/* Sets or clears due_at when `s` says that it is wrong; *moved tells. */
static enum st settle(struct db_tx *tx, int64_t id, const struct standing *s,
                      const struct keeping *k, int64_t now, bool *moved, uint64_t *freed,
                      struct err *err)
{
    *moved = s->kept != (s->due_at == 0);
    if (!*moved)
        return ST_OK;
    struct db_arg due = s->kept ? DB_NULL : DB_INT(loose_until(k, now));
    enum st st = db_run(tx, "UPDATE manifest SET due_at = $1 WHERE id = $2",
                        DB_ARGS(due, DB_INT(id)), NULL, err);
    if (st != ST_OK)
        return st;
    return move_links(tx, id, s, s->kept ? MANIFEST_KEPT : MANIFEST_LOOSE, k, now, freed, err);
}

enum st manifests_review(struct db_tx *tx, int64_t id, const struct keeping *k, int64_t now,
                         uint64_t *freed, struct err *err)
{
    AUTO(worklist_release) struct worklist work = { .ids = { .max_bytes = 64 * MIB } };
    worklist_add(&work, &id, 1);
    while (worklist_next(&work, &id)) {
        AUTO(arena_release) struct arena scratch = { .limit_bytes = 32 * MIB };
        struct standing s = { 0 };
        int64_t *below = NULL;
        size_t count = 0;
        bool moved = false;
        enum st st = manifests_standing(tx, id, &s, err);
        if (st == ST_NOT_FOUND || (st == ST_OK && s.trashed))
            continue;
        if (st == ST_OK)
            st = settle(tx, id, &s, k, now, &moved, freed, err);
        if (st == ST_OK && moved)
            st = manifests_below(tx, id, &scratch, &below, &count, err);
        if (st != ST_OK)
            return st;
        worklist_add(&work, below, count);
    }
    return buf_status(&work.ids, err);
}

enum st manifests_renew(struct db_tx *tx, int64_t id, const struct keeping *k, int64_t now,
                        struct err *err)
{
    return db_run(tx,
                  "UPDATE manifest SET due_at = $1 WHERE id = $2 AND due_at < $1"
                  " AND receipt_id IS NULL",
                  DB_ARGS(DB_INT(now + k->lease_ms), DB_INT(id)), NULL, err);
}

enum st manifests_trash(struct db_tx *tx, int64_t id, const struct standing *s, int64_t receipt_id,
                        int64_t due_at, const struct keeping *k, int64_t now, uint64_t *freed,
                        struct err *err)
{
    enum st st = db_run(tx, "UPDATE manifest SET receipt_id = $1, due_at = $2 WHERE id = $3",
                        DB_ARGS(DB_INT(receipt_id), DB_INT(due_at), DB_INT(id)), NULL, err);
    return st == ST_OK ? move_links(tx, id, s, MANIFEST_TRASH, k, now, freed, err) : st;
}

/* The children of an index that lie in the trash because of its own receipt, or a later one: those
 * of an earlier one were missing already while it was live (a sparse index), and stay where they
 * are. */
static enum st list_trashed_children(struct db_tx *tx, int64_t id, int64_t receipt_id,
                                     struct worklist *work, struct err *err)
{
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    enum st st = db_select(tx, &rows,
                           "SELECT m.id FROM manifest_child c JOIN manifest m"
                           " ON m.repo_id = c.repo_id AND m.digest = c.digest"
                           " WHERE c.manifest_id = $1 AND m.receipt_id >= $2",
                           DB_ARGS(DB_INT(id), DB_INT(receipt_id)), err);
    while (st == ST_OK && (st = db_next(&rows, err)) == ST_OK) {
        int64_t child = db_int(&rows, 0);
        worklist_add(work, &child, 1);
    }
    return st == ST_END ? buf_status(&work->ids, err) : st;
}

/* Straight to what it is by its standing: kept, or loose. */
static enum st restore_one(struct db_tx *tx, int64_t id, const struct standing *s,
                           const struct keeping *k, int64_t now, struct err *err)
{
    struct db_arg due = s->kept ? DB_NULL : DB_INT(loose_until(k, now));
    enum st st = db_run(tx, "UPDATE manifest SET receipt_id = NULL, due_at = $1 WHERE id = $2",
                        DB_ARGS(due, DB_INT(id)), NULL, err);
    if (st != ST_OK)
        return st;
    return move_links(tx, id, s, s->kept ? MANIFEST_KEPT : MANIFEST_LOOSE, k, now, NULL, err);
}

/* Cheaper than to list what most manifests have not. */
static enum st any_below(struct db_tx *tx, int64_t id, bool *out, struct err *err)
{
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    enum st st = db_one(tx, &rows,
                        "SELECT EXISTS (SELECT 1 FROM manifest_child WHERE manifest_id = $1)"
                        " OR EXISTS (SELECT 1 FROM manifest s JOIN manifest r"
                        "  ON r.repo_id = s.repo_id AND r.subject = s.digest WHERE s.id = $1)",
                        DB_ARGS(DB_INT(id)), err);
    if (st == ST_OK)
        *out = db_int(&rows, 0) != 0;
    return st;
}

/* What is live below one that is kept from now on. */
static enum st review_below(struct db_tx *tx, int64_t id, const struct keeping *k, int64_t now,
                            struct err *err)
{
    AUTO(arena_release) struct arena scratch = { .limit_bytes = 32 * MIB };
    int64_t *below = NULL;
    size_t count = 0;
    bool any = false;
    enum st st = any_below(tx, id, &any, err);
    if (st == ST_OK && any)
        st = manifests_below(tx, id, &scratch, &below, &count, err);
    for (size_t i = 0; i < count && st == ST_OK; i++)
        st = manifests_review(tx, below[i], k, now, NULL, err);
    return st;
}

enum st manifests_restore(struct db_tx *tx, int64_t id, const struct keeping *k, int64_t now,
                          struct err *err)
{
    AUTO(worklist_release) struct worklist work = { .ids = { .max_bytes = 64 * MIB } };
    AUTO(worklist_release) struct worklist kept = { .ids = { .max_bytes = 64 * MIB } };
    worklist_add(&work, &id, 1);
    while (worklist_next(&work, &id)) {
        struct standing s = { 0 };
        enum st st = manifests_standing(tx, id, &s, err);
        if (st != ST_OK)
            return st;
        if (!s.trashed)
            continue;
        st = restore_one(tx, id, &s, k, now, err);
        if (st == ST_OK)
            st = list_trashed_children(tx, id, s.receipt_id, &work, err);
        if (st != ST_OK)
            return st;
        if (s.kept)
            worklist_add(&kept, &id, 1);
    }
    enum st st = buf_status(&work.ids, err);
    if (st == ST_OK)
        st = buf_status(&kept.ids, err);
    while (st == ST_OK && worklist_next(&kept, &id))
        st = review_below(tx, id, k, now, err);
    return st;
}

enum st manifests_live_parent(struct db_tx *tx, int64_t repo_id, const struct digest *d,
                              struct digest *parent, struct err *err)
{
    char key[DIGEST_KEY_MAX];
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    enum st st =
        db_one(tx, &rows,
               "SELECT p.digest FROM manifest_child c JOIN manifest p ON p.id = c.manifest_id"
               " WHERE c.repo_id = $1 AND c.digest = $2 AND p.receipt_id IS NULL LIMIT 1",
               DB_ARGS(DB_INT(repo_id), DB_BYTES(digest_key(d, key))), err);
    return st == ST_OK ? digest_of_key(db_bytes(&rows, 0), parent, err) : st;
}

/* ---- referrers ----------------------------------------------------------------------------- */

/* A page ends when its annotations are this long: each may be as long as a manifest. */
#define REFERRERS_PAGE_BYTES ((size_t)(4 * MIB))

static enum st read_referrer(const struct db_rows *rows, struct arena *a, struct referrer *out,
                             struct err *err)
{
    enum st st = digest_of_key(db_bytes(rows, 0), &out->digest, err);
    if (st != ST_OK)
        return st;
    out->size = (uint64_t)db_int(rows, 2);
    out->media_type = arena_dup(a, db_text(rows, 1));
    bool whole = out->media_type.ptr != NULL;
    if (!db_is_null(rows, 3))
        whole = (out->artifact_type = arena_dup(a, db_text(rows, 3))).ptr != NULL && whole;
    if (!db_is_null(rows, 4))
        whole = (out->annotations = arena_dup(a, db_text(rows, 4))).ptr != NULL && whole;
    return whole ? ST_OK : err_no_memory(err);
}

enum st manifests_referrers(struct db_tx *tx, str repo, const struct digest *subject,
                            str artifact_type, const struct digest *last, size_t limit,
                            struct arena *a, struct referrer **out, size_t *count, bool *more,
                            struct err *err)
{
    char key[DIGEST_KEY_MAX];
    char last_key[DIGEST_KEY_MAX];
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    struct referrer *list = arena_alloc(a, (limit + 1) * sizeof(*list));
    size_t n = 0;
    if (list == NULL)
        return err_no_memory(err);
    enum st st = db_select(tx, &rows,
                           "SELECT m.digest, m.media_type, m.size, m.artifact_type, m.annotations"
                           " FROM repository r JOIN manifest m ON m.repo_id = r.id"
                           " WHERE r.name = $1 AND m.subject = $2 AND m.digest > $3"
                           " AND ($4 IS NULL OR m.artifact_type = $4) AND m.receipt_id IS NULL"
                           " ORDER BY m.digest LIMIT $5",
                           DB_ARGS(DB_TEXT(repo), DB_BYTES(digest_key(subject, key)),
                                   DB_BYTES(last == NULL ? STR("") : digest_key(last, last_key)),
                                   DB_TEXT_OR_NULL(artifact_type), DB_INT(limit + 1)),
                           err);
    if (st != ST_OK)
        return st;
    size_t bytes = 0;
    while ((st = db_next(&rows, err)) == ST_OK && n < limit && bytes < REFERRERS_PAGE_BYTES) {
        if ((st = read_referrer(&rows, a, &list[n], err)) != ST_OK)
            return st;
        bytes += list[n++].annotations.len;
    }
    if (st != ST_OK && st != ST_END)
        return st;
    *out = list;
    *count = n;
    *more = st == ST_OK;
    return ST_OK;
}
