/* SPDX-License-Identifier: Apache-2.0
 *
 * An image with all that it is related to.
 */
#include "meta/inspect_int.h"
#include "meta/registry_time.h"

struct image_call {
    struct registry *r;
    str repo;
    str tag;
    const struct digest *digest;
    int64_t now;
    struct arena *arena;
    struct inspect_image *out;
};

/* What the parts of an image are read with. */
struct reading {
    struct db_tx *tx;
    struct arena *arena;
    int64_t repo_id;
    int64_t id;
    struct inspect_image *out;
};

static enum st read_tags(const struct reading *in, struct err *err)
{
    struct inspect_list list = { .max = INSPECT_LIST_MAX };
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    enum st st = db_select(in->tx, &rows,
                           "SELECT name FROM tag WHERE manifest_id = $1 ORDER BY name LIMIT $2",
                           DB_ARGS(DB_INT(in->id), DB_INT(INSPECT_LIST_MAX + 1)), err);
    while (st == ST_OK && (st = db_next(&rows, err)) == ST_OK) {
        void *place = NULL;
        st = inspect_list_add(&list, in->arena, sizeof(str), &place, err);
        if (place != NULL)
            st = inspect_dup(in->arena, db_text(&rows, 0), place, err);
    }
    if (st != ST_END)
        return st;
    in->out->tags = list.items;
    in->out->tag_count = list.count;
    in->out->more_tags = list.more;
    return ST_OK;
}

/* ---- blobs --------------------------------------------------------------------------------- */

static enum st count_rows(struct db_tx *tx, const char *sql, const struct db_arg *args, size_t n,
                          uint64_t *out, struct err *err)
{
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    enum st st = db_one(tx, &rows, sql, args, n, err);
    if (st == ST_OK)
        *out = (uint64_t)db_int(&rows, 0);
    return st;
}

static enum st read_sharers(const struct reading *in, int64_t blob_id, struct inspect_blob *b,
                            struct err *err)
{
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    enum st st =
        db_select(in->tx, &rows,
                  "SELECT r.name FROM repo_blob l JOIN repository r ON r.id = l.repo_id"
                  " WHERE l.blob_id = $1 AND l.repo_id <> $2 AND l.receipt_id IS NULL"
                  " LIMIT $3",
                  DB_ARGS(DB_INT(blob_id), DB_INT(in->repo_id), DB_INT(INSPECT_SHARERS)), err);
    while (st == ST_OK && b->sharer_count < INSPECT_SHARERS &&
           (st = db_next(&rows, err)) == ST_OK) {
        st = inspect_dup(in->arena, db_text(&rows, 0), &b->sharers[b->sharer_count], err);
        b->sharer_count += st == ST_OK;
    }
    if (st != ST_END && st != ST_OK)
        return st;
    b->repositories = b->sharer_count;
    if (b->sharer_count < INSPECT_SHARERS)
        return ST_OK;
    return count_rows(in->tx,
                      "SELECT count(*) FROM (SELECT 1 FROM repo_blob WHERE blob_id = $1"
                      " AND repo_id <> $2 AND receipt_id IS NULL LIMIT $3) counted",
                      DB_ARGS(DB_INT(blob_id), DB_INT(in->repo_id), DB_INT(INSPECT_COUNT)),
                      &b->repositories, err);
}

/* Columns: id, digest, size, kept, loose and shared of the link. */
static enum st read_blob(const struct reading *in, const struct db_rows *rows,
                         struct inspect_blob *b, struct err *err)
{
    enum st st = digest_of_key(db_bytes(rows, 1), &b->digest, err);
    b->size = (uint64_t)db_int(rows, 2);
    b->images = MIN((uint64_t)(db_int(rows, 3) + db_int(rows, 4)), (uint64_t)INSPECT_COUNT);
    if (st == ST_OK && db_int(rows, 5) != 0)
        st = read_sharers(in, db_int(rows, 0), b, err);
    return st;
}

static enum st read_blobs(const struct reading *in, struct err *err)
{
    struct inspect_list list = { .max = INSPECT_LIST_MAX };
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    enum st st = db_select(in->tx, &rows,
                           "SELECT b.id, b.digest, b.size, l.kept, l.loose, l.shared"
                           " FROM manifest_blob u JOIN blob b ON b.id = u.blob_id"
                           " LEFT JOIN repo_blob l ON l.repo_id = u.repo_id"
                           " AND l.blob_id = u.blob_id"
                           " WHERE u.manifest_id = $1 ORDER BY b.size DESC LIMIT $2",
                           DB_ARGS(DB_INT(in->id), DB_INT(INSPECT_LIST_MAX + 1)), err);
    while (st == ST_OK && (st = db_next(&rows, err)) == ST_OK) {
        void *place = NULL;
        st = inspect_list_add(&list, in->arena, sizeof(struct inspect_blob), &place, err);
        if (place != NULL)
            st = read_blob(in, &rows, place, err);
    }
    if (st != ST_END)
        return st;
    in->out->blobs = list.items;
    in->out->blob_count = list.count;
    in->out->more_blobs = list.more;
    return ST_OK;
}

/* ---- manifests around it -------------------------------------------------------------------- */

/* Columns: digest, media type (NULL: not there), artifact type, size. */
static enum st read_manifest(const struct reading *in, const struct db_rows *rows,
                             struct inspect_manifest *out, struct err *err)
{
    enum st st = digest_of_key(db_bytes(rows, 0), &out->digest, err);
    out->present = !db_is_null(rows, 1);
    out->size = (uint64_t)db_int(rows, 3);
    if (st == ST_OK)
        st = inspect_dup(in->arena, db_text(rows, 1), &out->media_type, err);
    if (st == ST_OK)
        st = inspect_dup(in->arena, db_text(rows, 2), &out->artifact_type, err);
    return st;
}

static enum st read_manifests(const struct reading *in, const char *sql, const struct db_arg *args,
                              size_t n, struct inspect_manifests *out, struct err *err)
{
    struct inspect_list list = { .max = INSPECT_LIST_MAX };
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    enum st st = db_select(in->tx, &rows, sql, args, n, err);
    while (st == ST_OK && (st = db_next(&rows, err)) == ST_OK) {
        void *place = NULL;
        st = inspect_list_add(&list, in->arena, sizeof(struct inspect_manifest), &place, err);
        if (place != NULL)
            st = read_manifest(in, &rows, place, err);
    }
    if (st != ST_END)
        return st;
    *out = (struct inspect_manifests){ list.items, list.count, list.more };
    return ST_OK;
}

static enum st read_subject(const struct reading *in, str subject_key, struct err *err)
{
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    struct inspect_image *image = in->out;
    enum st st = digest_of_key(subject_key, &image->subject.digest, err);
    if (st != ST_OK)
        return st;
    image->has_subject = true;
    st = db_select(in->tx, &rows,
                   "SELECT digest, media_type, artifact_type, size FROM manifest"
                   " WHERE repo_id = $1 AND digest = $2 AND receipt_id IS NULL",
                   DB_ARGS(DB_INT(in->repo_id), DB_BYTES(subject_key)), err);
    if (st == ST_OK)
        st = db_next(&rows, err);
    if (st == ST_END)
        return ST_OK;
    return st == ST_OK ? read_manifest(in, &rows, &image->subject, err) : st;
}

static enum st read_relations(const struct reading *in, struct err *err)
{
    static const char children[] =
        "SELECT n.digest, c.media_type, c.artifact_type, c.size FROM manifest_child n"
        " LEFT JOIN manifest c ON c.repo_id = n.repo_id AND c.digest = n.digest"
        " AND c.receipt_id IS NULL WHERE n.manifest_id = $1 LIMIT $2";
    static const char indexes[] =
        "SELECT p.digest, p.media_type, p.artifact_type, p.size FROM manifest_child n"
        " JOIN manifest p ON p.id = n.manifest_id"
        " WHERE n.repo_id = $1 AND n.digest = $2 AND p.receipt_id IS NULL LIMIT $3";
    static const char referrers[] =
        "SELECT digest, media_type, artifact_type, size FROM manifest"
        " WHERE repo_id = $1 AND subject = $2 AND receipt_id IS NULL ORDER BY digest LIMIT $3";
    char key[DIGEST_KEY_MAX];
    struct inspect_image *image = in->out;
    str digest = digest_key(&image->manifest.digest, key);
    const struct db_arg limit = DB_INT(INSPECT_LIST_MAX + 1);
    enum st st =
        read_manifests(in, children, DB_ARGS(DB_INT(in->id), limit), &image->children, err);
    if (st == ST_OK)
        st = read_manifests(in, indexes, DB_ARGS(DB_INT(in->repo_id), DB_BYTES(digest), limit),
                            &image->indexes, err);
    if (st == ST_OK)
        st = read_manifests(in, referrers, DB_ARGS(DB_INT(in->repo_id), DB_BYTES(digest), limit),
                            &image->referrers, err);
    return st;
}

enum st inspect_holds(struct db_tx *tx, str repo, const struct digest *d, int64_t now,
                      struct arena *a, struct hold **out, size_t *count, struct err *err)
{
    struct inspect_list list = { .max = INSPECT_LIST_MAX };
    char key[DIGEST_KEY_MAX];
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    enum st st = db_select(tx, &rows,
                           "SELECT id, repo, until, reason, actor, created_at FROM hold"
                           " WHERE digest = $1 AND (repo = '' OR repo = $2)"
                           " AND (until IS NULL OR until > $3) ORDER BY id",
                           DB_ARGS(DB_BYTES(digest_key(d, key)), DB_TEXT(repo), DB_INT(now)), err);
    while (st == ST_OK && !list.more && (st = db_next(&rows, err)) == ST_OK) {
        void *place = NULL;
        st = inspect_list_add(&list, a, sizeof(struct hold), &place, err);
        if (place == NULL)
            continue;
        struct hold *h = place;
        *h = (struct hold){ .id = db_int(&rows, 0),
                            .digest = *d,
                            .until = db_int(&rows, 2),
                            .created_at = db_int(&rows, 5) };
        st = inspect_dup(a, db_text(&rows, 1), &h->repo, err);
        if (st == ST_OK)
            st = inspect_dup(a, db_text(&rows, 3), &h->reason, err);
        if (st == ST_OK)
            st = inspect_dup(a, db_text(&rows, 4), &h->actor, err);
    }
    if (st != ST_END && st != ST_OK)
        return st;
    *out = list.items;
    *count = list.count;
    return ST_OK;
}

/* ---- the whole ------------------------------------------------------------------------------ */

static enum st find(struct db_tx *tx, const struct image_call *c, struct manifest_row *row,
                    struct err *err)
{
    enum st st = c->tag.ptr != NULL
                     ? manifests_find_by_tag(tx, c->repo, c->tag, c->arena, row, err)
                     : manifests_find_by_digest(tx, c->repo, c->digest, c->arena, row, err);
    char text[DIGEST_TEXT_MAX + 1];
    int64_t ignored;
    if (st != ST_NOT_FOUND)
        return st;
    if (repositories_find(tx, c->repo, &ignored, NULL) == ST_NOT_FOUND)
        return err_set(err, st, "there is no repository %.*s", STR_FMT(c->repo));
    if (c->tag.ptr != NULL)
        return err_set(err, st, "there is no tag %.*s in %.*s", STR_FMT(c->tag), STR_FMT(c->repo));
    (void)digest_text(c->digest, text);
    return err_set(err, st, "there is no manifest %s in %.*s", text, STR_FMT(c->repo));
}

static enum st read_row(const struct reading *in, const struct manifest_row *row, struct err *err)
{
    struct inspect_image *image = in->out;
    uint64_t ignored = 0;
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    image->manifest = (struct inspect_manifest){
        .digest = row->digest, .media_type = row->media_type, .present = true, .size = row->size
    };
    image->payload = row->payload;
    image->due_at = row->due_at;
    enum st st = db_one(in->tx, &rows,
                        "SELECT artifact_type, annotations, pushed_at, subject FROM manifest"
                        " WHERE id = $1",
                        DB_ARGS(DB_INT(in->id)), err);
    if (st == ST_OK)
        st = inspect_dup(in->arena, db_text(&rows, 0), &image->manifest.artifact_type, err);
    if (st == ST_OK)
        st = inspect_dup(in->arena, db_text(&rows, 1), &image->annotations, err);
    if (st == ST_OK) {
        image->pushed_at = db_int(&rows, 2);
        if (!db_is_null(&rows, 3))
            st = read_subject(in, db_bytes(&rows, 3), err);
    }
    if (st == ST_OK)
        st = inspect_size(in->tx, in->id, &image->has_size, &image->size, &ignored, err);
    return st;
}

static enum st read_image(struct db_tx *tx, void *ctx, struct err *err)
{
    struct image_call *c = ctx;
    struct manifest_row row = { 0 };
    *c->out = (struct inspect_image){ 0 };
    enum st st = find(tx, c, &row, err);
    if (st != ST_OK)
        return st;
    const struct reading in = {
        .tx = tx, .arena = c->arena, .repo_id = row.repo_id, .id = row.id, .out = c->out
    };
    st = read_row(&in, &row, err);
    if (st == ST_OK)
        st = pulls_find(tx, c->r->pulls, row.id, &c->out->pulled_at, err);
    if (st == ST_OK)
        st = read_tags(&in, err);
    if (st == ST_OK)
        st = read_blobs(&in, err);
    if (st == ST_OK)
        st = read_relations(&in, err);
    if (st == ST_OK)
        st = inspect_holds(tx, c->repo, &row.digest, c->now, c->arena, &c->out->holds,
                           &c->out->hold_count, err);
    return st;
}

enum st inspect_image(struct registry *r, str repo, str tag, const struct digest *d, int64_t now,
                      struct arena *a, struct inspect_image *out, struct err *err)
{
    struct inspect_image image = { 0 };
    struct image_call c = {
        .r = r, .repo = repo, .tag = tag, .digest = d, .now = now, .arena = a, .out = &image
    };
    enum st st = db_read(r->db, read_image, &c, err);
    if (st == ST_OK)
        *out = image;
    return st;
}
