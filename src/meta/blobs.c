/* SPDX-License-Identifier: Apache-2.0 */
#include "meta/blobs.h"

enum st blobs_find(struct db_tx *tx, int64_t repo_id, const struct digest *d, struct arena *a,
                   struct blob_row *out, struct err *err)
{
    char key[DIGEST_KEY_MAX];
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    enum st st = db_one(tx, &rows,
                        "SELECT b.id, b.size, b.name, b.damaged_at, l.lease_until, l.due_at, b.data"
                        " FROM blob b JOIN repo_blob l ON l.repo_id = $1 AND l.blob_id = b.id"
                        " WHERE b.digest = $2 AND l.receipt_id IS NULL",
                        DB_ARGS(DB_INT(repo_id), DB_BYTES(digest_key(d, key))), err);
    if (st != ST_OK)
        return st;
    struct blob_row row = {
        .id = db_int(&rows, 0),
        .size = (uint64_t)db_int(&rows, 1),
        .damaged = !db_is_null(&rows, 3),
        .lease_until = db_int(&rows, 4),
        .used = db_is_null(&rows, 5),
    };
    bool in_store = !db_is_null(&rows, 2);
    str copy = arena_dup(a, in_store ? db_text(&rows, 2) : db_bytes(&rows, 6));
    if (copy.ptr == NULL)
        return err_no_memory(err);
    *(in_store ? &row.name : &row.data) = copy;
    *out = row;
    return ST_OK;
}

/* The row of a digest: ST_OK with id 0 when there is none. */
static enum st find_row(struct db_tx *tx, const struct digest *d, int64_t *id, bool *damaged,
                        struct err *err)
{
    char key[DIGEST_KEY_MAX];
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    enum st st = db_select(tx, &rows, "SELECT id, damaged_at FROM blob WHERE digest = $1",
                           DB_ARGS(DB_BYTES(digest_key(d, key))), err);
    if (st == ST_OK)
        st = db_next(&rows, err);
    if (st != ST_OK && st != ST_END)
        return st;
    *id = st == ST_OK ? db_int(&rows, 0) : 0;
    *damaged = st == ST_OK && !db_is_null(&rows, 1);
    return ST_OK;
}

static struct db_arg name_arg(const struct blob_arrival *in)
{
    return in->data.ptr == NULL ? DB_TEXT(in->name) : DB_NULL;
}

static struct db_arg data_arg(const struct blob_arrival *in)
{
    return in->data.ptr == NULL ? DB_NULL : DB_BYTES(in->data);
}

/* Puts the arrival in the place of bytes that are damaged; those are doomed. */
static enum st heal(struct db_tx *tx, int64_t blob_id, const struct blob_arrival *in, int64_t now,
                    struct err *err)
{
    enum st st = db_run(tx,
                        "INSERT INTO doomed (name, size, since) SELECT name, size, $1 FROM blob"
                        " WHERE id = $2 AND name IS NOT NULL",
                        DB_ARGS(DB_INT(now), DB_INT(blob_id)), NULL, err);
    if (st != ST_OK)
        return st;
    return db_run(tx, "UPDATE blob SET name = $1, data = $2, damaged_at = NULL WHERE id = $3",
                  DB_ARGS(name_arg(in), data_arg(in), DB_INT(blob_id)), NULL, err);
}

static enum st insert(struct db_tx *tx, const struct blob_arrival *in, int64_t now,
                      int64_t *blob_id, struct err *err)
{
    char key[DIGEST_KEY_MAX];
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    enum st st = db_one(tx, &rows,
                        "INSERT INTO blob (digest, size, name, created_at, data)"
                        " VALUES ($1, $2, $3, $4, $5) RETURNING id",
                        DB_ARGS(DB_BYTES(digest_key(in->digest, key)), DB_INT(in->size),
                                name_arg(in), DB_INT(now), data_arg(in)),
                        err);
    if (st == ST_OK)
        *blob_id = db_int(&rows, 0);
    return st;
}

enum st blobs_arrive(struct db_tx *tx, const struct blob_arrival *in, int64_t now, int64_t *blob_id,
                     struct err *err)
{
    int64_t id = 0;
    bool damaged = false;
    bool name_needed = in->data.ptr == NULL;
    enum st st = find_row(tx, in->digest, &id, &damaged, err);
    if (st != ST_OK)
        return st;
    if (id == 0) {
        st = insert(tx, in, now, &id, err);
    } else if (damaged) {
        st = heal(tx, id, in, now, err);
    } else {
        name_needed = false;
    }
    if (st == ST_OK && in->name_written && !name_needed)
        st = doomed_add(tx, in->name, in->size, now, err);
    if (st == ST_OK)
        *blob_id = id;
    return st;
}

enum st blobs_link(struct db_tx *tx, int64_t repo_id, int64_t blob_id, const struct keeping *k,
                   int64_t now, struct err *err)
{
    int64_t lease_until = now + k->lease_ms;
    int64_t due_at = now + MAX(k->lease_ms, k->grace_ms);
    return db_run(
        tx,
        "INSERT INTO repo_blob (repo_id, blob_id, lease_until, due_at) VALUES ($1, $2, $3, $4)"
        " ON CONFLICT (repo_id, blob_id) DO UPDATE SET receipt_id = NULL,"
        " lease_until = CASE WHEN repo_blob.lease_until > excluded.lease_until"
        "  THEN repo_blob.lease_until ELSE excluded.lease_until END,"
        " due_at = CASE WHEN repo_blob.due_at IS NULL THEN NULL"
        "  WHEN repo_blob.due_at > excluded.due_at THEN repo_blob.due_at"
        "  ELSE excluded.due_at END",
        DB_ARGS(DB_INT(repo_id), DB_INT(blob_id), DB_INT(lease_until), DB_INT(due_at)), NULL, err);
}

enum st blobs_find_anywhere(struct db_tx *tx, const struct digest *d, int64_t *blob_id,
                            struct err *err)
{
    char key[DIGEST_KEY_MAX];
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    enum st st = db_one(tx, &rows,
                        "SELECT b.id FROM blob b WHERE b.digest = $1 AND b.damaged_at IS NULL"
                        " AND EXISTS (SELECT 1 FROM repo_blob WHERE blob_id = b.id"
                        " AND receipt_id IS NULL)",
                        DB_ARGS(DB_BYTES(digest_key(d, key))), err);
    if (st == ST_OK)
        *blob_id = db_int(&rows, 0);
    return st;
}

enum st blobs_let_go(struct db_tx *tx, int64_t manifest_id, int64_t repo_id,
                     const struct keeping *k, int64_t now, struct err *err)
{
    return db_run(tx,
                  "UPDATE repo_blob SET"
                  " lease_until = CASE WHEN lease_until > $1 THEN lease_until ELSE $1 END,"
                  " due_at = CASE WHEN due_at > $2 THEN due_at ELSE $2 END"
                  " WHERE repo_id = $3 AND receipt_id IS NULL"
                  " AND blob_id IN (SELECT blob_id FROM manifest_blob WHERE manifest_id = $4)",
                  DB_ARGS(DB_INT(now + k->lease_ms), DB_INT(now + MAX(k->lease_ms, k->grace_ms)),
                          DB_INT(repo_id), DB_INT(manifest_id)),
                  NULL, err);
}

enum st blobs_take_back(struct db_tx *tx, int64_t manifest_id, int64_t repo_id, struct err *err)
{
    return db_run(tx,
                  "UPDATE repo_blob SET due_at = NULL, receipt_id = NULL WHERE repo_id = $1"
                  " AND blob_id IN (SELECT blob_id FROM manifest_blob WHERE manifest_id = $2)",
                  DB_ARGS(DB_INT(repo_id), DB_INT(manifest_id)), NULL, err);
}

enum st blobs_in_live_use(struct db_tx *tx, int64_t repo_id, int64_t blob_id, bool *out,
                          struct err *err)
{
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    enum st st = db_select(tx, &rows,
                           "SELECT 1 FROM manifest_blob u JOIN manifest m ON m.id = u.manifest_id"
                           " WHERE u.blob_id = $1 AND u.repo_id = $2 AND m.receipt_id IS NULL"
                           " LIMIT 1",
                           DB_ARGS(DB_INT(blob_id), DB_INT(repo_id)), err);
    if (st == ST_OK)
        st = db_next(&rows, err);
    if (st != ST_OK && st != ST_END)
        return st;
    *out = st == ST_OK;
    return ST_OK;
}

enum st blobs_trash_link(struct db_tx *tx, int64_t repo_id, int64_t blob_id, int64_t receipt_id,
                         int64_t due_at, struct err *err)
{
    return db_run(tx,
                  "UPDATE repo_blob SET receipt_id = $1, due_at = $2"
                  " WHERE repo_id = $3 AND blob_id = $4",
                  DB_ARGS(DB_INT(receipt_id), DB_INT(due_at), DB_INT(repo_id), DB_INT(blob_id)),
                  NULL, err);
}

enum st blobs_due_links(struct db_tx *tx, int64_t now, struct link_ref *out, size_t limit,
                        size_t *count, struct err *err)
{
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    size_t n = 0;
    enum st st = db_select(tx, &rows,
                           "SELECT repo_id, blob_id FROM repo_blob"
                           " WHERE due_at IS NOT NULL AND due_at <= $1 ORDER BY due_at LIMIT $2",
                           DB_ARGS(DB_INT(now), DB_INT(limit)), err);
    if (st != ST_OK)
        return st;
    while ((st = db_next(&rows, err)) == ST_OK)
        out[n++] = (struct link_ref){ db_int(&rows, 0), db_int(&rows, 1) };
    if (st != ST_END)
        return st;
    *count = n;
    return ST_OK;
}

/* What uses a link's blob in its repository. */
struct link_use {
    bool any;      /* some manifest row, in the trash or not */
    bool lasting;  /* one that is not itself in the queue */
    int64_t until; /* otherwise: when the last of them is looked at */
};

/* Looks at a few users only: a blob that thousands of manifests share costs no more than one that
 * few do. Seeing none that lasts among the few makes the link wait, which is safe. */
static enum st find_use(struct db_tx *tx, const struct link_ref *link, struct link_use *out,
                        struct err *err)
{
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    struct link_use use = { 0 };
    enum st st = db_select(tx, &rows,
                           "SELECT m.due_at FROM manifest_blob u"
                           " JOIN manifest m ON m.id = u.manifest_id"
                           " WHERE u.blob_id = $1 AND u.repo_id = $2 LIMIT 8",
                           DB_ARGS(DB_INT(link->blob_id), DB_INT(link->repo_id)), err);
    if (st != ST_OK)
        return st;
    while (!use.lasting && (st = db_next(&rows, err)) == ST_OK) {
        use.any = true;
        use.lasting = db_is_null(&rows, 0);
        use.until = MAX(use.until, db_int(&rows, 0));
    }
    if (st != ST_OK && st != ST_END)
        return st;
    *out = use;
    return ST_OK;
}

/* Removes the blob when no repository links it any more. */
static enum st drop_blob(struct db_tx *tx, int64_t blob_id, int64_t now, struct removal *out,
                         struct err *err)
{
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    enum st st = db_select(tx, &rows,
                           "SELECT name, size FROM blob WHERE id = $1"
                           " AND NOT EXISTS (SELECT 1 FROM repo_blob WHERE blob_id = $1)"
                           " AND NOT EXISTS (SELECT 1 FROM manifest_blob WHERE blob_id = $1)",
                           DB_ARGS(DB_INT(blob_id)), err);
    if (st == ST_OK)
        st = db_next(&rows, err);
    if (st == ST_END)
        return ST_OK;
    if (st != ST_OK)
        return st;
    uint64_t size = (uint64_t)db_int(&rows, 1);
    if (!db_is_null(&rows, 0))
        st = doomed_add(tx, db_text(&rows, 0), size, now, err);
    db_rows_close(&rows);
    if (st == ST_OK)
        st = db_run(tx, "DELETE FROM blob WHERE id = $1", DB_ARGS(DB_INT(blob_id)), NULL, err);
    if (st == ST_OK) {
        out->blobs++;
        out->bytes += size;
    }
    return st;
}

enum st blobs_review_link(struct db_tx *tx, const struct link_ref *link, int64_t now,
                          struct removal *out, struct err *err)
{
    struct db_arg repo = DB_INT(link->repo_id);
    struct db_arg blob = DB_INT(link->blob_id);
    struct link_use use = { 0 };
    int64_t removed = 0;
    enum st st = find_use(tx, link, &use, err);
    if (st != ST_OK)
        return st;
    if (use.any && !use.lasting && use.until <= now)
        return ST_OK; /* they are due as well; when they go, this is called again */
    if (use.any) {
        struct db_arg due = use.lasting ? DB_NULL : DB_INT(use.until);
        return db_run(tx,
                      "UPDATE repo_blob SET due_at = $1 WHERE repo_id = $2 AND blob_id = $3"
                      " AND due_at <= $4",
                      DB_ARGS(due, repo, blob, DB_INT(now)), NULL, err);
    }
    /* In the trash there is no lease, but the time to undo. */
    st = db_run(tx,
                "DELETE FROM repo_blob WHERE repo_id = $1 AND blob_id = $2"
                " AND (lease_until <= $3 OR receipt_id IS NOT NULL)"
                " AND (due_at IS NULL OR due_at <= $3)",
                DB_ARGS(repo, blob, DB_INT(now)), &removed, err);
    if (st == ST_OK && removed > 0) {
        out->links++;
        return drop_blob(tx, link->blob_id, now, out, err);
    }
    if (st == ST_OK)
        st = db_run(tx,
                    "UPDATE repo_blob SET due_at ="
                    " CASE WHEN due_at > lease_until THEN due_at ELSE lease_until END"
                    " WHERE repo_id = $1 AND blob_id = $2 AND receipt_id IS NULL",
                    DB_ARGS(repo, blob), NULL, err);
    return st;
}

enum st blobs_set_damaged(struct db_tx *tx, const struct blob_row *row, bool damaged, int64_t now,
                          struct err *err)
{
    return db_run(
        tx, "UPDATE blob SET damaged_at = $1 WHERE id = $2 AND name IS NOT DISTINCT FROM $3",
        DB_ARGS(damaged ? DB_INT(now) : DB_NULL, DB_INT(row->id), DB_TEXT_OR_NULL(row->name)), NULL,
        err);
}

enum st doomed_add(struct db_tx *tx, str name, uint64_t size, int64_t now, struct err *err)
{
    return db_run(tx, "INSERT INTO doomed (name, size, since) VALUES ($1, $2, $3)",
                  DB_ARGS(DB_TEXT(name), DB_INT(size), DB_INT(now)), NULL, err);
}

enum st doomed_list(struct db_tx *tx, size_t limit, struct arena *a, struct doomed_name **out,
                    size_t *count, struct err *err)
{
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    struct doomed_name *names = arena_alloc(a, limit * sizeof(*names));
    size_t n = 0;
    if (names == NULL)
        return err_no_memory(err);
    enum st st = db_select(tx, &rows, "SELECT name, size FROM doomed ORDER BY name LIMIT $1",
                           DB_ARGS(DB_INT(limit)), err);
    if (st != ST_OK)
        return st;
    while ((st = db_next(&rows, err)) == ST_OK) {
        names[n] =
            (struct doomed_name){ arena_dup(a, db_text(&rows, 0)), (uint64_t)db_int(&rows, 1) };
        if (names[n].name.ptr == NULL)
            return err_no_memory(err);
        n++;
    }
    if (st != ST_END)
        return st;
    *out = names;
    *count = n;
    return ST_OK;
}

enum st doomed_drop(struct db_tx *tx, str name, struct err *err)
{
    return db_run(tx, "DELETE FROM doomed WHERE name = $1", DB_ARGS(DB_TEXT(name)), NULL, err);
}
