/* SPDX-License-Identifier: Apache-2.0
 *
 * Pushing a manifest: what it names is looked for, and the rows are written, in one transaction. So
 * either everything it names is there and is held from now on, or the client is told what is not.
 */
#include "meta/manifests_int.h"

/* How many manifests may be above one that is pushed with something below it. */
#define KNOT_MAX 1000

struct present {
    int64_t id; /* 0: not there */
    uint64_t size;
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
                  "SELECT id, receipt_id, media_type, size FROM manifest"
                  " WHERE repo_id = $1 AND digest = $2",
                  DB_ARGS(DB_INT(in->repo_id), DB_BYTES(digest_key(in->digest, key))), err);
    if (st == ST_OK)
        st = db_next(&rows, err);
    if (st != ST_OK && st != ST_END)
        return st;
    *out = (struct present){ 0 };
    if (st == ST_OK)
        *out = (struct present){ .id = db_int(&rows, 0),
                                 .size = (uint64_t)db_int(&rows, 3),
                                 .trashed = !db_is_null(&rows, 1),
                                 .other_type = !str_eq(db_text(&rows, 2), in->parsed->media_type) };
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
        " annotations, pushed_at, due_at)"
        " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) RETURNING id",
        DB_ARGS(DB_INT(in->repo_id), DB_BYTES(digest_key(in->digest, key)), DB_TEXT(m->media_type),
                DB_INT(in->payload.len), DB_TEXT_OR_NULL(m->artifact_type),
                m->has_subject ? DB_BYTES(digest_key(&m->subject.digest, subject)) : DB_NULL,
                DB_TEXT_OR_NULL(m->annotations), DB_INT(now), DB_INT(due_at)),
        err);
    if (st != ST_OK)
        return st;
    *id = db_int(&rows, 0);
    return db_run(tx, "INSERT INTO manifest_payload (manifest_id, payload) VALUES ($1, $2)",
                  DB_ARGS(DB_INT(*id), DB_BYTES(in->payload)), NULL, err);
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

static enum st move_links(struct db_tx *tx, const struct manifest_push *in, int64_t id,
                          uint64_t size, enum manifest_state from, enum manifest_state to,
                          const struct keeping *k, int64_t now, struct err *err)
{
    const struct links_move move = {
        .manifest_id = id, .repo_id = in->repo_id, .payload_bytes = size, .from = from, .to = to
    };
    return links_move_manifest(tx, &move, k, now, NULL, err);
}

static enum st add_new(struct db_tx *tx, const struct manifest_push *in, const int64_t *blob_ids,
                       const struct keeping *k, int64_t now, int64_t *id, struct err *err)
{
    enum st st = insert_manifest(tx, in, loose_until(k, now), now, id, err);
    if (st == ST_OK)
        st = insert_blobs(tx, in, *id, blob_ids, err);
    if (st == ST_OK)
        st = insert_children(tx, in, *id, err);
    if (st == ST_OK)
        st = move_links(tx, in, *id, in->payload.len, MANIFEST_ABSENT, MANIFEST_LOOSE, k, now, err);
    return st;
}

/* Out of the trash, as loose. Its blobs were found visible just before; a foreign layer that it
 * used then may be gone from sight since, or be there now. */
static enum st take_back(struct db_tx *tx, const struct manifest_push *in,
                         const struct present *there, const int64_t *blob_ids,
                         const struct keeping *k, int64_t now, struct err *err)
{
    int64_t id = there->id;
    enum st st = db_run(
        tx, "UPDATE manifest SET receipt_id = NULL, due_at = $1, pushed_at = $2 WHERE id = $3",
        DB_ARGS(DB_INT(loose_until(k, now)), DB_INT(now), DB_INT(id)), NULL, err);
    if (st == ST_OK)
        st = move_links(tx, in, id, there->size, MANIFEST_TRASH, MANIFEST_ABSENT, k, now, err);
    if (st == ST_OK)
        st = manifests_drop_blobs(tx, id, err);
    if (st == ST_OK)
        st = insert_blobs(tx, in, id, blob_ids, err);
    if (st == ST_OK)
        st = move_links(tx, in, id, there->size, MANIFEST_ABSENT, MANIFEST_LOOSE, k, now, err);
    return st;
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

/* An index may have a subject, and so be named by what it names: such a knot would hold itself for
 * ever. It can only be tied by the push of something that has rows above it and below it. */
static enum st refuse_knot(struct db_tx *tx, int64_t id, struct err *err)
{
    static const char above[] =
        "SELECT p.id FROM manifest m JOIN manifest_child c"
        " ON c.repo_id = m.repo_id AND c.digest = m.digest"
        " JOIN manifest p ON p.id = c.manifest_id WHERE m.id = $1"
        " UNION SELECT s.id FROM manifest m JOIN manifest s"
        " ON s.repo_id = m.repo_id AND s.digest = m.subject WHERE m.id = $1";
    AUTO(worklist_release) struct worklist work = { .ids = { .max_bytes = KNOT_MAX * sizeof(id) } };
    int64_t at = id;
    worklist_add(&work, &at, 1);
    while (worklist_next(&work, &at)) {
        AUTO(db_rows_close) struct db_rows rows = { 0 };
        enum st st = db_select(tx, &rows, above, DB_ARGS(DB_INT(at)), err);
        while (st == ST_OK && (st = db_next(&rows, err)) == ST_OK) {
            int64_t up = db_int(&rows, 0);
            if (up == id)
                return err_set(err, ST_INVALID,
                               "the subject of this manifest is below the manifest itself");
            worklist_add_new(&work, up);
        }
        if (st != ST_END)
            return st;
    }
    if (work.ids.failed == ST_TOO_LARGE)
        return err_set(err, ST_TOO_LARGE,
                       "more than %d manifests are above this one: too many to be sure that it is"
                       " not among them",
                       KNOT_MAX);
    return buf_status(&work.ids, err);
}

static enum st has_below(struct db_tx *tx, const struct manifest_push *in, bool *out,
                         struct err *err)
{
    char key[DIGEST_KEY_MAX];
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    *out = in->parsed->child_count > 0;
    if (*out)
        return ST_OK;
    enum st st =
        db_select(tx, &rows, "SELECT 1 FROM manifest WHERE repo_id = $1 AND subject = $2 LIMIT 1",
                  DB_ARGS(DB_INT(in->repo_id), DB_BYTES(digest_key(in->digest, key))), err);
    if (st == ST_OK)
        st = db_next(&rows, err);
    *out = st == ST_OK;
    return st == ST_END ? ST_OK : st;
}

static enum st check_knot(struct db_tx *tx, const struct manifest_push *in, int64_t id,
                          struct err *err)
{
    bool below = false;
    if (!in->parsed->has_subject)
        return ST_OK;
    enum st st = has_below(tx, in, &below, err);
    return st == ST_OK && below ? refuse_knot(tx, id, err) : st;
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
            st = there.trashed ? take_back(tx, in, &there, blob_ids, k, now, err)
                               : add_new(tx, in, blob_ids, k, now, &there.id, err);
        if (st == ST_OK)
            st = check_knot(tx, in, there.id, err);
    }
    if (st == ST_OK)
        *id = there.id;
    return st;
}
