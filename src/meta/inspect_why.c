/* SPDX-License-Identifier: Apache-2.0
 *
 * What keeps a manifest or a blob, and until when; and the large blobs that little keeps.
 */
#include <stdarg.h>

#include "meta/inspect_int.h"
#include "meta/locks.h"

struct why_call {
    struct registry *r;
    str repo;
    str tag;
    const struct digest *digest;
    int64_t now;
    struct arena *arena;
    struct inspect_why *out;
};

/* One answer under way. */
struct why {
    struct db_tx *tx;
    struct arena *arena;
    int64_t now;
    struct inspect_list list;
    struct inspect_why *out;
    struct err *err;
};

const char *inspect_keeper_text(enum inspect_keeper_kind kind)
{
    static const char *const texts[] = {
        [KEEPER_TAG] = "tag",           [KEEPER_INDEX] = "index", [KEEPER_SUBJECT] = "subject",
        [KEEPER_MANIFEST] = "manifest", [KEEPER_HOLD] = "hold",   [KEEPER_LEASE] = "lease",
        [KEEPER_TRASH] = "trash",       [KEEPER_GRACE] = "grace",
    };
    return texts[kind];
}

/* Adds a keeper; its strings are copied. Over the limit only w->list.more is set. */
static enum st add(struct why *w, const struct inspect_keeper *k, const char *fmt, ...)
    PRINTF_LIKE(3, 4);
static enum st add(struct why *w, const struct inspect_keeper *k, const char *fmt, ...)
{
    void *place = NULL;
    char text[ERR_TEXT_MAX];
    va_list args;
    enum st st = inspect_list_add(&w->list, w->arena, sizeof(*k), &place, w->err);
    if (st != ST_OK || place == NULL)
        return st;
    struct inspect_keeper *out = place;
    *out = *k;
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    st = inspect_dup(w->arena, k->repo, &out->repo, w->err);
    if (st == ST_OK)
        st = inspect_dup(w->arena, k->tag, &out->tag, w->err);
    if (st == ST_OK)
        st = inspect_dup(w->arena, str_of(text), &out->text, w->err);
    return st;
}

static void raise(struct why *w, enum inspect_state state, int64_t until)
{
    struct inspect_why *out = w->out;
    if (state == INSPECT_KEPT)
        until = 0;
    if (out->state != INSPECT_KEPT)
        out->until = state == INSPECT_KEPT ? 0 : MAX(out->until, until);
    out->state = MAX(out->state, state);
}

static enum st add_holds(struct why *w, str repo, const struct digest *d, bool *held)
{
    struct hold *holds = NULL;
    size_t count = 0;
    enum st st = inspect_holds(w->tx, repo, d, w->now, w->arena, &holds, &count, w->err);
    for (size_t i = 0; st == ST_OK && i < count; i++) {
        const struct hold *h = &holds[i];
        const struct inspect_keeper k = { .kind = KEEPER_HOLD,
                                          .repo = h->repo.len == 0 ? STR_NONE : h->repo,
                                          .has_digest = true,
                                          .digest = *d,
                                          .until = h->until };
        st = add(w, &k, "hold %lld%s%.*s", (long long)h->id, h->reason.len > 0 ? ": " : "",
                 STR_FMT(h->reason));
    }
    *held = count > 0;
    return st;
}

/* A lock keeps a manifest as a hold does. */
static enum st add_lock(struct why *w, str repo, const struct digest *d)
{
    const struct lock_object object = { .repo = repo, .digest = d };
    unsigned may = LOCK_MAY_ALL;
    enum st st = locks_get(w->tx, &object, &may, w->err);
    if (st != ST_OK || (~may & (LOCK_MAY_WRITE | LOCK_MAY_DELETE)) == 0)
        return st;
    const struct inspect_keeper k = {
        .kind = KEEPER_HOLD, .repo = repo, .has_digest = true, .digest = *d
    };
    return add(w, &k, "it is locked (%s is false)",
               (may & LOCK_MAY_WRITE) == 0 ? "writeEnabled" : "deleteEnabled");
}

/* ---- manifests ------------------------------------------------------------------------------ */

struct found {
    int64_t id;
    int64_t repo_id;
    str repo;
    struct digest digest;
    uint64_t size;
    int64_t due_at;
    int64_t receipt_id; /* 0: live */
    str subject_key;    /* unset: none */
};

static enum st add_tags(struct why *w, const struct found *m)
{
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    enum st st = db_select(w->tx, &rows,
                           "SELECT name FROM tag WHERE manifest_id = $1 ORDER BY name LIMIT $2",
                           DB_ARGS(DB_INT(m->id), DB_INT(INSPECT_KEEPERS_MAX + 1)), w->err);
    while (st == ST_OK && (st = db_next(&rows, w->err)) == ST_OK) {
        str tag = db_text(&rows, 0);
        const struct inspect_keeper k = {
            .kind = KEEPER_TAG, .repo = m->repo, .has_digest = true, .digest = m->digest, .tag = tag
        };
        st = add(w, &k, "the tag %.*s names it", STR_FMT(tag));
    }
    return st == ST_END ? ST_OK : st;
}

/* Live indexes above; those that are loose themselves keep nothing, but are told by `grace`. */
static enum st add_indexes(struct why *w, const struct found *m)
{
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    char key[DIGEST_KEY_MAX];
    enum st st = db_select(w->tx, &rows,
                           "SELECT p.digest, p.due_at FROM manifest_child n"
                           " JOIN manifest p ON p.id = n.manifest_id"
                           " WHERE n.repo_id = $1 AND n.digest = $2 AND p.receipt_id IS NULL"
                           " LIMIT $3",
                           DB_ARGS(DB_INT(m->repo_id), DB_BYTES(digest_key(&m->digest, key)),
                                   DB_INT(INSPECT_KEEPERS_MAX + 1)),
                           w->err);
    while (st == ST_OK && (st = db_next(&rows, w->err)) == ST_OK) {
        struct inspect_keeper k = { .kind = KEEPER_INDEX, .repo = m->repo, .has_digest = true };
        k.until = db_int(&rows, 1);
        st = digest_of_key(db_bytes(&rows, 0), &k.digest, w->err);
        if (st == ST_OK)
            st = add(w, &k, k.until == 0 ? "an index names it" : "an index without a tag names it");
    }
    return st == ST_END ? ST_OK : st;
}

static enum st add_subject(struct why *w, const struct found *m)
{
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    struct inspect_keeper k = { .kind = KEEPER_SUBJECT, .repo = m->repo, .has_digest = true };
    if (m->subject_key.ptr == NULL)
        return ST_OK;
    enum st st = db_select(w->tx, &rows,
                           "SELECT due_at FROM manifest WHERE repo_id = $1 AND digest = $2"
                           " AND receipt_id IS NULL",
                           DB_ARGS(DB_INT(m->repo_id), DB_BYTES(m->subject_key)), w->err);
    if (st == ST_OK)
        st = db_next(&rows, w->err);
    if (st != ST_OK)
        return st == ST_END ? ST_OK : st;
    k.until = db_int(&rows, 0);
    st = digest_of_key(m->subject_key, &k.digest, w->err);
    if (st != ST_OK)
        return st;
    return add(w, &k, "it refers to an image that is there%s",
               k.until == 0 ? "" : ", which has no tag");
}

static enum st add_manifest(struct why *w, const struct found *m)
{
    struct inspect_keeper k = {
        .repo = m->repo, .has_digest = true, .digest = m->digest, .until = m->due_at
    };
    bool held = false;
    w->out->digest = m->digest;
    w->out->size = m->size;
    if (m->receipt_id != 0) {
        raise(w, INSPECT_TRASH, m->due_at);
        k.kind = KEEPER_TRASH;
        return add(w, &k, "it lies in the trash by receipt %lld and can be restored until then",
                   (long long)m->receipt_id);
    }
    raise(w, m->due_at == 0 ? INSPECT_KEPT : INSPECT_LOOSE, m->due_at);
    enum st st = add_holds(w, m->repo, &m->digest, &held);
    if (st == ST_OK)
        st = add_lock(w, m->repo, &m->digest);
    if (st == ST_OK)
        st = add_tags(w, m);
    if (st == ST_OK)
        st = add_indexes(w, m);
    if (st == ST_OK)
        st = add_subject(w, m);
    if (st != ST_OK || m->due_at == 0)
        return st;
    k.kind = KEEPER_GRACE;
    if (!w->out->untagged_goes) {
        k.until = 0;
        w->out->until = 0;
        return add(w, &k, "nothing names it, and reclaim.untagged is off");
    }
    return add(w, &k, "no tag reaches it: it goes when its time comes");
}

/* Columns: id, repo_id, name, digest, size, due_at, receipt_id, subject. */
#define FOUND_COLUMNS "m.id, m.repo_id, r.name, m.digest, m.size, m.due_at, m.receipt_id, m.subject"

static enum st read_found(struct why *w, const struct db_rows *rows, struct found *out)
{
    *out = (struct found){ .id = db_int(rows, 0),
                           .repo_id = db_int(rows, 1),
                           .size = (uint64_t)db_int(rows, 4),
                           .due_at = db_int(rows, 5),
                           .receipt_id = db_int(rows, 6) };
    enum st st = digest_of_key(db_bytes(rows, 3), &out->digest, w->err);
    if (st == ST_OK)
        st = inspect_dup(w->arena, db_text(rows, 2), &out->repo, w->err);
    if (st == ST_OK && !db_is_null(rows, 7))
        st = inspect_dup(w->arena, db_bytes(rows, 7), &out->subject_key, w->err);
    return st;
}

static enum st add_manifests(struct why *w, const char *sql, const struct db_arg *args, size_t n)
{
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    enum st st = db_select(w->tx, &rows, sql, args, n, w->err);
    while (st == ST_OK && !w->list.more && (st = db_next(&rows, w->err)) == ST_OK) {
        struct found m;
        st = read_found(w, &rows, &m);
        if (st == ST_OK)
            st = add_manifest(w, &m);
    }
    return st == ST_END ? ST_OK : st;
}

/* ---- blobs ---------------------------------------------------------------------------------- */

/* A link of the blob. */
struct link {
    int64_t blob_id;
    int64_t repo_id;
    str repo;
    int64_t lease_until;
    int64_t due_at;
    int64_t receipt_id;
    int64_t kept;
    int64_t loose;
    int64_t trash;
};

static enum st first_tag(struct why *w, int64_t manifest_id, str *out)
{
    enum st st = tags_first_of(w->tx, manifest_id, w->arena, out, w->err);
    return st == ST_NOT_FOUND ? ST_OK : st;
}

/* Kept and loose manifests that use the link. */
static enum st add_users(struct why *w, const struct link *l)
{
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    enum st st = db_select(
        w->tx, &rows,
        "SELECT m.id, m.digest, m.due_at FROM manifest_blob u"
        " JOIN manifest m ON m.id = u.manifest_id"
        " WHERE u.blob_id = $1 AND u.repo_id = $2 AND m.receipt_id IS NULL"
        " LIMIT $3",
        DB_ARGS(DB_INT(l->blob_id), DB_INT(l->repo_id), DB_INT(INSPECT_KEEPERS_MAX + 1)), w->err);
    while (st == ST_OK && (st = db_next(&rows, w->err)) == ST_OK) {
        struct inspect_keeper k = { .kind = KEEPER_MANIFEST, .repo = l->repo, .has_digest = true };
        k.until = db_int(&rows, 2);
        st = digest_of_key(db_bytes(&rows, 1), &k.digest, w->err);
        if (st == ST_OK)
            st = first_tag(w, db_int(&rows, 0), &k.tag);
        if (st == ST_OK)
            st = add(w, &k, k.until == 0 ? "an image uses it" : "an image without a tag uses it");
    }
    return st == ST_END ? ST_OK : st;
}

static enum st add_link(struct why *w, const struct link *l)
{
    enum st st = ST_OK;
    bool held = false;
    struct inspect_keeper k = { .repo = l->repo, .until = l->due_at };
    enum inspect_state state = INSPECT_PENDING;
    if (l->kept > 0)
        state = INSPECT_KEPT;
    else if (l->trash > 0 || l->receipt_id != 0)
        state = INSPECT_TRASH;
    st = add_holds(w, l->repo, &w->out->digest, &held);
    raise(w, held ? INSPECT_KEPT : state, l->due_at);
    if (st == ST_OK && l->kept + l->loose > 0)
        st = add_users(w, l);
    if (st == ST_OK && l->lease_until > w->now && l->kept == 0) {
        k.kind = KEEPER_LEASE;
        k.until = l->lease_until;
        st = add(w, &k, "an upload, a mount or a HEAD was promised that it stays until then");
    }
    if (st == ST_OK && (l->receipt_id != 0 || l->trash > 0)) {
        k.kind = KEEPER_TRASH;
        k.until = l->due_at;
        st = l->receipt_id != 0
                 ? add(w, &k, "it lies in the trash by receipt %lld", (long long)l->receipt_id)
                 : add(w, &k, "an image in the trash uses it");
    }
    if (st == ST_OK && state == INSPECT_PENDING) {
        k.kind = KEEPER_GRACE;
        k.until = l->due_at;
        st = add(w, &k, "nothing lasting uses it: it goes when its time comes");
    }
    return st;
}

static enum st add_links(struct why *w, int64_t blob_id, str repo)
{
    static const char everywhere[] =
        "SELECT l.repo_id, r.name, l.lease_until, l.due_at, l.receipt_id, l.kept, l.loose, l.trash"
        " FROM repo_blob l JOIN repository r ON r.id = l.repo_id WHERE l.blob_id = $1";
    static const char in_one[] =
        "SELECT l.repo_id, r.name, l.lease_until, l.due_at, l.receipt_id, l.kept, l.loose, l.trash"
        " FROM repository r JOIN repo_blob l ON l.repo_id = r.id AND l.blob_id = $1"
        " WHERE r.name = $2";
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    const struct db_arg args[] = { DB_INT(blob_id), DB_TEXT(repo) };
    enum st st = repo.ptr == NULL ? db_select(w->tx, &rows, everywhere, args, 1, w->err)
                                  : db_select(w->tx, &rows, in_one, args, 2, w->err);
    while (st == ST_OK && !w->list.more && (st = db_next(&rows, w->err)) == ST_OK) {
        struct link l = { .blob_id = blob_id,
                          .repo_id = db_int(&rows, 0),
                          .lease_until = db_int(&rows, 2),
                          .due_at = db_int(&rows, 3),
                          .receipt_id = db_int(&rows, 4),
                          .kept = db_int(&rows, 5),
                          .loose = db_int(&rows, 6),
                          .trash = db_int(&rows, 7) };
        st = inspect_dup(w->arena, db_text(&rows, 1), &l.repo, w->err);
        if (st == ST_OK)
            st = add_link(w, &l);
    }
    return st == ST_END ? ST_OK : st;
}

static enum st add_blob(struct why *w, str repo, const struct digest *d)
{
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    char key[DIGEST_KEY_MAX];
    enum st st = db_select(w->tx, &rows, "SELECT id, size FROM blob WHERE digest = $1",
                           DB_ARGS(DB_BYTES(digest_key(d, key))), w->err);
    if (st == ST_OK)
        st = db_next(&rows, w->err);
    if (st != ST_OK)
        return st == ST_END ? ST_OK : st;
    w->out->is_blob = true;
    w->out->digest = *d;
    w->out->size = (uint64_t)db_int(&rows, 1);
    int64_t id = db_int(&rows, 0);
    db_rows_close(&rows);
    return add_links(w, id, repo);
}

/* ---- the whole ------------------------------------------------------------------------------ */

static enum st ask(struct db_tx *tx, void *ctx, struct err *err)
{
    static const char by_tag[] =
        "SELECT " FOUND_COLUMNS " FROM repository r JOIN tag t ON t.repo_id = r.id"
        " JOIN manifest m ON m.id = t.manifest_id WHERE r.name = $1 AND t.name = $2";
    static const char by_digest[] =
        "SELECT " FOUND_COLUMNS " FROM repository r JOIN manifest m ON m.repo_id = r.id"
        " WHERE r.name = $1 AND m.digest = $2";
    /* A look-up for each repository: manifests have no index over all of them. */
    static const char everywhere[] =
        "SELECT " FOUND_COLUMNS " FROM repository r"
        " CROSS JOIN manifest m WHERE m.repo_id = r.id AND m.digest = $1";
    struct why_call *c = ctx;
    struct inspect_why *out = c->out;
    *out = (struct inspect_why){ .untagged_goes = c->r->keeping.untagged };
    struct why w = { .tx = tx,
                     .arena = c->arena,
                     .now = c->now,
                     .list = { .max = INSPECT_KEEPERS_MAX },
                     .out = out,
                     .err = err };
    char key[DIGEST_KEY_MAX];
    str digest = c->tag.ptr != NULL ? STR_NONE : digest_key(c->digest, key);
    enum st st = ST_OK;
    if (c->tag.ptr != NULL)
        st = add_manifests(&w, by_tag, DB_ARGS(DB_TEXT(c->repo), DB_TEXT(c->tag)));
    else if (c->repo.ptr != NULL)
        st = add_manifests(&w, by_digest, DB_ARGS(DB_TEXT(c->repo), DB_BYTES(digest)));
    if (st == ST_OK && out->state == INSPECT_ABSENT && c->tag.ptr == NULL)
        st = add_blob(&w, c->repo, c->digest);
    if (st == ST_OK && out->state == INSPECT_ABSENT && c->repo.ptr == NULL)
        st = add_manifests(&w, everywhere, DB_ARGS(DB_BYTES(digest)));
    out->keepers = w.list.items;
    out->count = w.list.count;
    out->more = w.list.more;
    return st;
}

enum st inspect_why(struct registry *r, str repo, str tag, const struct digest *d, int64_t now,
                    struct arena *a, struct inspect_why *out, struct err *err)
{
    struct inspect_why why = { 0 };
    struct why_call c = {
        .r = r, .repo = repo, .tag = tag, .digest = d, .now = now, .arena = a, .out = &why
    };
    enum st st = db_read(r->db, ask, &c, err);
    if (st == ST_OK)
        *out = why;
    return st;
}

/* ---- large blobs ----------------------------------------------------------------------------- */

struct layers_call {
    size_t sample;
    size_t limit;
    struct arena *arena;
    struct inspect_layer **out;
    size_t *count;
};

static enum st read_users(struct db_tx *tx, int64_t blob_id, struct arena *a,
                          struct inspect_layer *layer, bool *many, struct err *err)
{
    struct inspect_list list = { .max = INSPECT_LAYER_USERS };
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    enum st st = db_select(tx, &rows,
                           "SELECT r.name, m.digest FROM manifest_blob u"
                           " JOIN manifest m ON m.id = u.manifest_id"
                           " JOIN repository r ON r.id = u.repo_id"
                           " WHERE u.blob_id = $1 AND m.receipt_id IS NULL LIMIT $2",
                           DB_ARGS(DB_INT(blob_id), DB_INT(INSPECT_LAYER_USERS + 1)), err);
    while (st == ST_OK && (st = db_next(&rows, err)) == ST_OK) {
        void *place = NULL;
        st = inspect_list_add(&list, a, sizeof(struct inspect_layer_user), &place, err);
        if (place == NULL)
            continue;
        struct inspect_layer_user *user = place;
        st = digest_of_key(db_bytes(&rows, 1), &user->digest, err);
        if (st == ST_OK)
            st = inspect_dup(a, db_text(&rows, 0), &user->repo, err);
    }
    if (st != ST_END)
        return st;
    layer->users = list.items;
    layer->user_count = list.count;
    *many = list.more;
    return ST_OK;
}

static enum st list_layers(struct db_tx *tx, void *ctx, struct err *err)
{
    struct layers_call *c = ctx;
    struct inspect_list list = { .max = c->limit };
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    enum st st = db_select(tx, &rows,
                           "SELECT id, digest, size FROM blob WHERE size >= 1048576"
                           " ORDER BY size DESC LIMIT $1",
                           DB_ARGS(DB_INT(c->sample)), err);
    while (st == ST_OK && !list.more && (st = db_next(&rows, err)) == ST_OK) {
        struct inspect_layer layer = { .size = (uint64_t)db_int(&rows, 2) };
        bool many = false;
        void *place = NULL;
        st = digest_of_key(db_bytes(&rows, 1), &layer.digest, err);
        if (st == ST_OK)
            st = read_users(tx, db_int(&rows, 0), c->arena, &layer, &many, err);
        if (st != ST_OK || many || layer.user_count == 0)
            continue;
        st = inspect_list_add(&list, c->arena, sizeof(layer), &place, err);
        if (place != NULL)
            *(struct inspect_layer *)place = layer;
    }
    if (st != ST_END && st != ST_OK)
        return st;
    *c->out = list.items;
    *c->count = list.count;
    return ST_OK;
}

enum st inspect_layers(struct registry *r, size_t sample, size_t limit, struct arena *a,
                       struct inspect_layer **out, size_t *count, struct err *err)
{
    struct inspect_layer *layers = NULL;
    size_t n = 0;
    struct layers_call c = {
        .sample = sample, .limit = limit, .arena = a, .out = &layers, .count = &n
    };
    enum st st = db_read(r->db, list_layers, &c, err);
    if (st == ST_OK) {
        *out = layers;
        *count = n;
    }
    return st;
}
