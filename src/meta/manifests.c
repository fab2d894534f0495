/* SPDX-License-Identifier: Apache-2.0 */
#include "meta/manifests.h"

#include "base/buf.h"
#include "base/clock.h"
#include "meta/repositories.h"

#define ROW_COLUMNS    "m.id, m.repo_id, m.digest, m.media_type, m.size, m.due_at"
#define PAYLOAD_COLUMN 6

/* Columns ROW_COLUMNS, then the payload when `a` is given. */
static enum st read_row(const struct db_rows *rows, struct arena *a, struct manifest_row *out,
                        struct err *err)
{
    struct manifest_row row = {
        .id = db_int(rows, 0),
        .repo_id = db_int(rows, 1),
        .size = (uint64_t)db_int(rows, 4),
        .due_at = db_int(rows, 5),
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
                           "SELECT " ROW_COLUMNS ", m.payload FROM repository r"
                           " JOIN tag t ON t.repo_id = r.id JOIN manifest m ON m.id = t.manifest_id"
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
                           "SELECT " ROW_COLUMNS ", m.payload FROM repository r"
                           " JOIN manifest m ON m.repo_id = r.id"
                           " WHERE r.name = $1 AND m.digest = $2 AND m.receipt_id IS NULL",
                           DB_ARGS(DB_TEXT(repo), DB_BYTES(digest_key(d, key))), err);
    if (st == ST_OK)
        st = db_next(&rows, err);
    if (st == ST_END)
        return not_found(tx, repo, "manifest", digest_text(d, text), err);
    return st == ST_OK ? read_row(&rows, a, out, err) : st;
}

/* ---- pushing ------------------------------------------------------------------------------ */

struct present {
    int64_t id; /* 0: not there */
    bool trashed;
    bool other_type;
};

static enum st find_present(struct db_tx *tx, const struct manifest_push *in, struct present *out,
                            struct err *err)
{
    char key[DIGEST_KEY_MAX];
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    enum st st =
        db_select(tx, &rows,
                  "SELECT id, receipt_id, media_type FROM manifest"
                  " WHERE repo_id = $1 AND digest = $2",
                  DB_ARGS(DB_INT(in->repo_id), DB_BYTES(digest_key(in->digest, key))), err);
    if (st == ST_OK)
        st = db_next(&rows, err);
    if (st != ST_OK && st != ST_END)
        return st;
    *out = (struct present){ 0 };
    if (st == ST_OK)
        *out = (struct present){ db_int(&rows, 0), !db_is_null(&rows, 1),
                                 !str_eq(db_text(&rows, 2), in->parsed->media_type) };
    return ST_OK;
}

static void note_missing(struct manifest_missing *missing, const struct digest *d)
{
    if (missing->count < MANIFEST_MISSING_MAX)
        missing->digests[missing->count++] = *d;
}

/* Ids of the blobs named, 0 for a foreign layer that is not there. */
static enum st resolve_blobs(struct db_tx *tx, const struct manifest_push *in, int64_t *ids,
                             struct manifest_missing *missing, struct err *err)
{
    for (size_t i = 0; i < in->parsed->blob_count; i++) {
        const struct descriptor *d = &in->parsed->blobs[i];
        char key[DIGEST_KEY_MAX];
        AUTO(db_rows_close) struct db_rows rows = { 0 };
        enum st st =
            db_select(tx, &rows,
                      "SELECT b.id FROM blob b"
                      " JOIN repo_blob l ON l.repo_id = $1 AND l.blob_id = b.id"
                      " WHERE b.digest = $2 AND l.receipt_id IS NULL"
                      " AND b.damaged_at IS NULL",
                      DB_ARGS(DB_INT(in->repo_id), DB_BYTES(digest_key(&d->digest, key))), err);
        if (st == ST_OK)
            st = db_next(&rows, err);
        if (st != ST_OK && st != ST_END)
            return st;
        ids[i] = st == ST_OK ? db_int(&rows, 0) : 0;
        if (ids[i] == 0 && !d->foreign)
            note_missing(missing, &d->digest);
    }
    return ST_OK;
}

static enum st find_missing_children(struct db_tx *tx, const struct manifest_push *in,
                                     struct manifest_missing *missing, struct err *err)
{
    for (size_t i = 0; i < in->parsed->child_count && !in->sparse; i++) {
        const struct digest *d = &in->parsed->children[i].digest;
        char key[DIGEST_KEY_MAX];
        AUTO(db_rows_close) struct db_rows rows = { 0 };
        enum st st = db_select(tx, &rows,
                               "SELECT 1 FROM manifest WHERE repo_id = $1 AND digest = $2"
                               " AND receipt_id IS NULL",
                               DB_ARGS(DB_INT(in->repo_id), DB_BYTES(digest_key(d, key))), err);
        if (st == ST_OK)
            st = db_next(&rows, err);
        if (st != ST_OK && st != ST_END)
            return st;
        if (st == ST_END)
            note_missing(missing, d);
    }
    return ST_OK;
}

static enum st insert_manifest(struct db_tx *tx, const struct manifest_push *in, int64_t due_at,
                               int64_t now, int64_t *id, struct err *err)
{
    const struct manifest *m = in->parsed;
    char key[DIGEST_KEY_MAX];
    char subject[DIGEST_KEY_MAX];
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    enum st st = db_one(
        tx, &rows,
        "INSERT INTO manifest (repo_id, digest, media_type, size, artifact_type, subject,"
        " annotations, pushed_at, due_at, payload)"
        " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) RETURNING id",
        DB_ARGS(DB_INT(in->repo_id), DB_BYTES(digest_key(in->digest, key)), DB_TEXT(m->media_type),
                DB_INT(in->payload.len), DB_TEXT_OR_NULL(m->artifact_type),
                m->has_subject ? DB_BYTES(digest_key(&m->subject.digest, subject)) : DB_NULL,
                DB_TEXT_OR_NULL(m->annotations), DB_INT(now), DB_INT(due_at),
                DB_BYTES(in->payload)),
        err);
    if (st == ST_OK)
        *id = db_int(&rows, 0);
    return st;
}

static enum st insert_blobs(struct db_tx *tx, const struct manifest_push *in, int64_t id,
                            const int64_t *blob_ids, struct err *err)
{
    enum st st = ST_OK;
    for (size_t i = 0; i < in->parsed->blob_count && st == ST_OK; i++) {
        if (blob_ids[i] != 0)
            st = db_run(tx,
                        "INSERT INTO manifest_blob (manifest_id, blob_id, repo_id)"
                        " VALUES ($1, $2, $3)",
                        DB_ARGS(DB_INT(id), DB_INT(blob_ids[i]), DB_INT(in->repo_id)), NULL, err);
    }
    return st;
}

static enum st delete_blobs(struct db_tx *tx, int64_t id, struct err *err)
{
    return db_run(tx, "DELETE FROM manifest_blob WHERE manifest_id = $1", DB_ARGS(DB_INT(id)), NULL,
                  err);
}

static enum st insert_children(struct db_tx *tx, const struct manifest_push *in, int64_t id,
                               struct err *err)
{
    enum st st = ST_OK;
    for (size_t i = 0; i < in->parsed->child_count && st == ST_OK; i++) {
        char key[DIGEST_KEY_MAX];
        str child = digest_key(&in->parsed->children[i].digest, key);
        st = db_run(tx,
                    "INSERT INTO manifest_child (manifest_id, digest, repo_id) VALUES ($1, $2, $3)",
                    DB_ARGS(DB_INT(id), DB_BYTES(child), DB_INT(in->repo_id)), NULL, err);
    }
    return st;
}

static int64_t loose_until(const struct keeping *k, int64_t now)
{
    return now + MAX(k->grace_ms, k->lease_ms);
}

static enum st add_new(struct db_tx *tx, const struct manifest_push *in, const int64_t *blob_ids,
                       const struct keeping *k, int64_t now, int64_t *id, struct err *err)
{
    enum st st = insert_manifest(tx, in, loose_until(k, now), now, id, err);
    if (st == ST_OK)
        st = insert_blobs(tx, in, *id, blob_ids, err);
    if (st == ST_OK)
        st = insert_children(tx, in, *id, err);
    return st;
}

/* Out of the trash, as loose. Its blobs were found visible just before; a foreign layer that it
 * used then may be gone from sight since, or be there now. */
static enum st take_back(struct db_tx *tx, const struct manifest_push *in, int64_t id,
                         const int64_t *blob_ids, const struct keeping *k, int64_t now,
                         struct err *err)
{
    enum st st = db_run(
        tx, "UPDATE manifest SET receipt_id = NULL, due_at = $1, pushed_at = $2 WHERE id = $3",
        DB_ARGS(DB_INT(loose_until(k, now)), DB_INT(now), DB_INT(id)), NULL, err);
    if (st == ST_OK)
        st = delete_blobs(tx, id, err);
    return st == ST_OK ? insert_blobs(tx, in, id, blob_ids, err) : st;
}

/* Pushed again: its age counts from now. */
static enum st touch(struct db_tx *tx, int64_t id, const struct keeping *k, int64_t now,
                     struct err *err)
{
    return db_run(tx,
                  "UPDATE manifest SET pushed_at = $1,"
                  " due_at = CASE WHEN due_at < $2 THEN $2 ELSE due_at END WHERE id = $3",
                  DB_ARGS(DB_INT(now), DB_INT(loose_until(k, now)), DB_INT(id)), NULL, err);
}

/* Everything that the manifest names must be there: ids of its blobs, or ST_MISSING_PART. */
static enum st resolve(struct db_tx *tx, const struct manifest_push *in, int64_t *blob_ids,
                       struct manifest_missing *missing, struct err *err)
{
    enum st st = resolve_blobs(tx, in, blob_ids, missing, err);
    if (st == ST_OK)
        st = find_missing_children(tx, in, missing, err);
    if (st == ST_OK && missing->count > 0)
        st = err_set(err, ST_MISSING_PART,
                     "the manifest names content that is not in this repository");
    return st;
}

enum st manifests_put(struct db_tx *tx, const struct manifest_push *in, const struct keeping *k,
                      int64_t now, int64_t *id, struct manifest_missing *missing, struct err *err)
{
    AUTO(arena_release) struct arena scratch = { 0 };
    struct present there = { 0 };
    missing->count = 0;
    enum st st = find_present(tx, in, &there, err);
    if (st != ST_OK)
        return st;
    if (there.id != 0 && there.other_type)
        return err_set(err, ST_MISMATCH,
                       "these bytes are stored here as another media type; the Content-Type of a"
                       " manifest cannot change");
    if (there.id != 0 && !there.trashed) {
        st = touch(tx, there.id, k, now, err);
    } else {
        int64_t *blob_ids = arena_alloc(&scratch, (in->parsed->blob_count + 1) * sizeof(*blob_ids));
        if (blob_ids == NULL)
            return err_no_memory(err);
        st = resolve(tx, in, blob_ids, missing, err);
        if (st == ST_OK)
            st = there.trashed ? take_back(tx, in, there.id, blob_ids, k, now, err)
                               : add_new(tx, in, blob_ids, k, now, &there.id, err);
    }
    if (st == ST_OK)
        *id = there.id;
    return st;
}

/* ---- keeping and letting go ---------------------------------------------------------------- */

/* Whether some index above m is in that state: stops at the first one. */
#define INDEX_ABOVE(state)                                                                         \
    "EXISTS (SELECT 1 FROM manifest_child c JOIN manifest p ON p.id = c.manifest_id"               \
    " WHERE c.repo_id = m.repo_id AND c.digest = m.digest AND " state ")"

enum st manifests_standing(struct db_tx *tx, int64_t id, struct standing *out, struct err *err)
{
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    enum st st =
        db_one(tx, &rows,
               "SELECT m.repo_id, m.due_at, m.receipt_id, m.size, m.digest,"
               " EXISTS (SELECT 1 FROM tag WHERE manifest_id = m.id),"
               " CASE WHEN " INDEX_ABOVE(
                   "p.due_at IS NULL") " THEN 0"
                                       "  WHEN " INDEX_ABOVE(
                                           "p.receipt_id IS NULL") " THEN 1"
                                                                   "  WHEN " INDEX_ABOVE(
                                                                       "p.receipt_id IS NOT "
                                                                       "NULL") " THEN 2 ELSE 3 "
                                                                               "END,"
                                                                               " (SELECT CASE "
                                                                               "WHEN "
                                                                               "s.receipt_id "
                                                                               "IS NOT NULL "
                                                                               "THEN 2 WHEN "
                                                                               "s.due_at IS "
                                                                               "NOT NULL THEN 1"
                                                                               "  ELSE 0 END "
                                                                               "FROM manifest "
                                                                               "s WHERE "
                                                                               "s.repo_id = "
                                                                               "m.repo_id AND "
                                                                               "s.digest = "
                                                                               "m.subject),"
                                                                               " m.receipt_id "
                                                                               "IS NOT NULL "
                                                                               "AND"
                                                                               " " INDEX_ABOVE(
                                                                                   "p.receipt_"
                                                                                   "id IS NOT "
                                                                                   "NULL") " FR"
                                                                                           "OM "
                                                                                           "man"
                                                                                           "ife"
                                                                                           "st "
                                                                                           "m "
                                                                                           "WHE"
                                                                                           "RE "
                                                                                           "m."
                                                                                           "id "
                                                                                           "= "
                                                                                           "$1",
               DB_ARGS(DB_INT(id)), err);
    if (st != ST_OK)
        return st;
    enum { KEPT, LOOSE, TRASHED, ABSENT };
    int64_t parent = db_int(&rows, 6);
    int64_t subject = db_is_null(&rows, 7) ? ABSENT : db_int(&rows, 7);
    int64_t above = MIN(parent, subject);
    bool tagged = db_int(&rows, 5) != 0;
    struct standing s = {
        .repo_id = db_int(&rows, 0),
        .due_at = db_int(&rows, 1),
        .trashed = !db_is_null(&rows, 2),
        .size = (uint64_t)db_int(&rows, 3),
        .kept = tagged || above == KEPT,
        .held = tagged || above <= LOOSE,
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

/* Sets or clears due_at when `s` says that it is wrong; *moved tells. */
static enum st settle(struct db_tx *tx, int64_t id, const struct standing *s,
                      const struct keeping *k, int64_t now, bool *moved, struct err *err)
{
    enum st st = ST_OK;
    *moved = s->kept != (s->due_at == 0);
    if (!*moved)
        return ST_OK;
    struct db_arg due = s->kept ? DB_NULL : DB_INT(loose_until(k, now));
    st = db_run(tx, "UPDATE manifest SET due_at = $1 WHERE id = $2", DB_ARGS(due, DB_INT(id)), NULL,
                err);
    if (st != ST_OK)
        return st;
    return s->kept ? blobs_take_back(tx, id, s->repo_id, err)
                   : blobs_let_go(tx, id, s->repo_id, k, now, err);
}

/* A list of work that grows while it is done: nesting may be deep, so there is no recursion. */
struct worklist {
    struct buf ids;
    size_t done;
};

static void worklist_add(struct worklist *w, const int64_t *ids, size_t count)
{
    buf_add(&w->ids, (str){ (const char *)ids, count * sizeof(*ids) });
}

static bool worklist_next(struct worklist *w, int64_t *id)
{
    if (w->done == w->ids.len)
        return false;
    memcpy(id, w->ids.ptr + w->done, sizeof(*id));
    w->done += sizeof(*id);
    return true;
}

static void worklist_release(struct worklist *w)
{
    buf_release(&w->ids);
}

enum st manifests_review(struct db_tx *tx, int64_t id, const struct keeping *k, int64_t now,
                         struct err *err)
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
            st = settle(tx, id, &s, k, now, &moved, err);
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

enum st manifests_trash(struct db_tx *tx, int64_t id, int64_t repo_id, int64_t receipt_id,
                        int64_t due_at, const struct keeping *k, int64_t now, struct err *err)
{
    enum st st = db_run(tx, "UPDATE manifest SET receipt_id = $1, due_at = $2 WHERE id = $3",
                        DB_ARGS(DB_INT(receipt_id), DB_INT(due_at), DB_INT(id)), NULL, err);
    if (st != ST_OK)
        return st;
    return blobs_let_go(tx, id, repo_id, k, now, err);
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

/* ---- removing for good --------------------------------------------------------------------- */

/* Once *out holds this many manifests, what hangs below waits for another step: writers wait for
 * little. */
#define AT_ONCE_MAX 256
/* Levels of nesting that are climbed at once. */
#define CLIMB_MAX   1000

enum st manifests_due(struct db_tx *tx, int64_t now, int64_t *out, size_t limit, size_t *count,
                      struct err *err)
{
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    size_t n = 0;
    enum st st = db_select(tx, &rows,
                           "SELECT id FROM manifest WHERE due_at IS NOT NULL AND due_at <= $1"
                           " ORDER BY due_at LIMIT $2",
                           DB_ARGS(DB_INT(now), DB_INT(limit)), err);
    if (st != ST_OK)
        return st;
    while ((st = db_next(&rows, err)) == ST_OK)
        out[n++] = db_int(&rows, 0);
    if (st != ST_END)
        return st;
    *count = n;
    return ST_OK;
}

static enum st put_off(struct db_tx *tx, int64_t id, int64_t until, struct err *err)
{
    return db_run(tx, "UPDATE manifest SET due_at = $1 WHERE id = $2",
                  DB_ARGS(DB_INT(until), DB_INT(id)), NULL, err);
}

/* Of the rows that name it, the one that is due last. */
static enum st find_last_above(struct db_tx *tx, int64_t id, const struct standing *s,
                               int64_t *above, int64_t *due_at, struct err *err)
{
    char key[DIGEST_KEY_MAX];
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    enum st st = db_one(
        tx, &rows,
        "SELECT above.id, above.due FROM ("
        " SELECT p.id AS id, p.due_at AS due FROM manifest_child c"
        "  JOIN manifest p ON p.id = c.manifest_id WHERE c.repo_id = $1 AND c.digest = $2"
        "  AND ($3 = 0 OR p.receipt_id IS NOT NULL)"
        " UNION ALL SELECT s.id, s.due_at FROM manifest m JOIN manifest s"
        "  ON s.repo_id = m.repo_id AND s.digest = m.subject WHERE m.id = $4"
        "  AND ($3 = 0 OR s.receipt_id IS NOT NULL)) AS above ORDER BY above.due DESC LIMIT 1",
        DB_ARGS(DB_INT(s->repo_id), DB_BYTES(digest_key(&s->digest, key)), DB_INT(s->trashed),
                DB_INT(id)),
        err);
    if (st == ST_OK) {
        *above = db_int(&rows, 0);
        *due_at = db_int(&rows, 1);
    }
    return st;
}

static enum st delete_rows(struct db_tx *tx, int64_t id, struct err *err)
{
    enum st st = delete_blobs(tx, id, err);
    if (st == ST_OK)
        st = db_run(tx, "DELETE FROM manifest_child WHERE manifest_id = $1", DB_ARGS(DB_INT(id)),
                    NULL, err);
    if (st == ST_OK)
        st = db_run(tx, "DELETE FROM manifest WHERE id = $1", DB_ARGS(DB_INT(id)), NULL, err);
    return st;
}

static enum st list_blobs(struct db_tx *tx, int64_t id, struct buf *ids, struct err *err)
{
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    enum st st = db_select(tx, &rows, "SELECT blob_id FROM manifest_blob WHERE manifest_id = $1",
                           DB_ARGS(DB_INT(id)), err);
    if (st != ST_OK)
        return st;
    while ((st = db_next(&rows, err)) == ST_OK) {
        int64_t blob_id = db_int(&rows, 0);
        buf_add(ids, (str){ (const char *)&blob_id, sizeof(blob_id) });
    }
    return st == ST_END ? buf_status(ids, err) : st;
}

/* What is right below and due. */
static enum st list_due_below(struct db_tx *tx, int64_t id, int64_t now, struct worklist *work,
                              struct err *err)
{
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    enum st st = db_select(tx, &rows,
                           "SELECT m.id FROM manifest_child c JOIN manifest m"
                           " ON m.repo_id = c.repo_id AND m.digest = c.digest"
                           " WHERE c.manifest_id = $1 AND m.due_at <= $2"
                           " UNION SELECT r.id FROM manifest s JOIN manifest r"
                           " ON r.repo_id = s.repo_id AND r.subject = s.digest"
                           " WHERE s.id = $1 AND r.due_at <= $2 LIMIT $3",
                           DB_ARGS(DB_INT(id), DB_INT(now), DB_INT(AT_ONCE_MAX)), err);
    if (st != ST_OK)
        return st;
    while ((st = db_next(&rows, err)) == ST_OK) {
        int64_t below = db_int(&rows, 0);
        worklist_add(work, &below, 1);
    }
    return st == ST_END ? buf_status(&work->ids, err) : st;
}

static enum st remove_manifest(struct db_tx *tx, int64_t id, const struct standing *s, int64_t now,
                               struct worklist *below, struct removal *out, struct err *err)
{
    AUTO(worklist_release) struct worklist blobs = { .ids = { .max_bytes = 16 * MIB } };
    struct link_ref link = { .repo_id = s->repo_id };
    enum st st = list_blobs(tx, id, &blobs.ids, err);
    if (st == ST_OK && out->manifests < AT_ONCE_MAX)
        st = list_due_below(tx, id, now, below, err);
    if (st == ST_OK)
        st = delete_rows(tx, id, err);
    while (st == ST_OK && worklist_next(&blobs, &link.blob_id))
        st = blobs_review_link(tx, &link, now, out, err);
    if (st == ST_OK)
        st = repositories_drop_if_empty(tx, s->repo_id, err);
    if (st == ST_OK) {
        out->manifests++;
        out->bytes += s->size;
    }
    return st;
}

/* Looks at one that is due and settles what can be settled; *named when only what names it stands
 * in the way, *gone when nothing does. */
static enum st look_at(struct db_tx *tx, int64_t id, const struct keeping *k, int64_t now,
                       struct standing *s, bool *named, bool *gone, struct err *err)
{
    *named = *gone = false;
    enum st st = manifests_standing(tx, id, s, err);
    if (st == ST_NOT_FOUND)
        return ST_OK;
    if (st != ST_OK || s->due_at == 0 || s->due_at > now)
        return st;
    if (!s->trashed && s->kept)
        return manifests_review(tx, id, k, now, err);
    if (!s->trashed && !k->untagged) /* not to be collected: looked at again another day */
        return put_off(tx, id, now + CLOCK_DAY_MS, err);
    *named = s->named;
    *gone = !s->named;
    return ST_OK;
}

/* From `id` up to what is due and named by nothing: *top, 0 when there is no such. */
static enum st climb(struct db_tx *tx, int64_t id, const struct keeping *k, int64_t now,
                     int64_t *top, struct err *err)
{
    int64_t at = id;
    *top = 0;
    for (int i = 0; i < CLIMB_MAX; i++) {
        struct standing s = { 0 };
        bool named = false, gone = false;
        int64_t above = 0, due_at = 0;
        enum st st = look_at(tx, at, k, now, &s, &named, &gone, err);
        if (st == ST_OK && named)
            st = find_last_above(tx, at, &s, &above, &due_at, err);
        if (st != ST_OK)
            return st;
        if (gone)
            *top = at;
        if (!named)
            return ST_OK;
        if (due_at > now)
            return put_off(tx, at, due_at, err);
        at = above;
    }
    return put_off(tx, id, now + MAX(k->lease_ms, CLOCK_SECOND_MS), err);
}

/* Up first and then down, so that all of a graph goes in one step although its parts are found in
 * any order. What something else above names still stays in the queue. */
enum st manifests_reclaim(struct db_tx *tx, int64_t id, const struct keeping *k, int64_t now,
                          struct removal *out, struct err *err)
{
    AUTO(worklist_release) struct worklist work = { .ids = { .max_bytes = 16 * MIB } };
    enum st st = climb(tx, id, k, now, &id, err);
    if (st == ST_OK && id != 0)
        worklist_add(&work, &id, 1);
    if (st == ST_OK)
        st = buf_status(&work.ids, err);
    while (st == ST_OK && worklist_next(&work, &id)) {
        struct standing s = { 0 };
        bool named = false, gone = false;
        st = look_at(tx, id, k, now, &s, &named, &gone, err);
        if (st == ST_OK && gone)
            st = remove_manifest(tx, id, &s, now, &work, out, err);
    }
    return st;
}

/* ---- referrers ----------------------------------------------------------------------------- */

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
    while ((st = db_next(&rows, err)) == ST_OK && n < limit)
        if ((st = read_referrer(&rows, a, &list[n++], err)) != ST_OK)
            return st;
    if (st != ST_OK && st != ST_END)
        return st;
    *out = list;
    *count = n;
    *more = st == ST_OK;
    return ST_OK;
}
