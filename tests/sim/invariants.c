/* SPDX-License-Identifier: Apache-2.0 */
#include "invariants.h"

#include "base/mem.h"
#include "meta/usage.h"

#define KEY_SIZE 80 /* of any digest's key or name in the store */

struct key {
    size_t len; /* 0: unset */
    char bytes[KEY_SIZE];
};

/* One row of any table; each uses the fields it has. */
struct row {
    int64_t id, repo, blob, manifest, lease, due, receipt, size;
    bool has_due, live, has_data, kept;
    struct key key, other; /* digest or name; subject */
};

enum table { REPOS, BLOBS, LINKS, MANIFESTS, USES, CHILDREN, TAGS, UPLOADS, DOOMED, HELD, TABLES };

struct rows {
    struct row *at;
    size_t count, room;
};

struct check {
    struct rows t[TABLES];
    bool sparse;
    int64_t now;
    struct err *err;
};

#define EACH(c, table, r)                                                                          \
    for (struct row *r = (c)->t[table].at; r != (c)->t[table].at + (c)->t[table].count; r++)

static enum st wrong(struct check *c, const char *what, int64_t a, int64_t b)
{
    return err_set(c->err, ST_BUG, "invariant broken: %s (%lld, %lld)", what, (long long)a,
                   (long long)b);
}

static bool same(const struct key *a, const struct key *b)
{
    return a->len > 0 && a->len == b->len && memcmp(a->bytes, b->bytes, a->len) == 0;
}

static struct key key_of(str s)
{
    struct key k = { .len = MIN(s.len, sizeof(k.bytes)) };
    if (k.len > 0)
        memcpy(k.bytes, s.ptr, k.len);
    return k;
}

/* ---- reading -------------------------------------------------------------------------------- */

/* Columns: id, repo, blob, manifest, lease, due, receipt, size, has_data, key, other */
static const char *const queries[TABLES] = {
    [REPOS] = "SELECT id, 0, 0, 0, 0, 0, NULL, 0, 0, name, NULL FROM repository",
    [BLOBS] = "SELECT id, 0, 0, 0, 0, 0, NULL, size, data IS NOT NULL, name, NULL FROM blob",
    [LINKS] = "SELECT 0, repo_id, blob_id, 0, lease_until, due_at, receipt_id, 0, 0, NULL, NULL"
              " FROM repo_blob",
    [MANIFESTS] = "SELECT id, repo_id, 0, 0, 0, due_at, receipt_id, 0, 0, digest, subject"
                  " FROM manifest",
    [USES] = "SELECT 0, repo_id, blob_id, manifest_id, 0, 0, NULL, 0, 0, NULL, NULL"
             " FROM manifest_blob",
    [CHILDREN] = "SELECT 0, repo_id, 0, manifest_id, 0, 0, NULL, 0, 0, digest, NULL"
                 " FROM manifest_child",
    [TAGS] = "SELECT 0, repo_id, 0, manifest_id, 0, 0, NULL, 0, 0, name, NULL FROM tag",
    [UPLOADS] = "SELECT 0, 0, 0, 0, 0, due_at, NULL, size, data IS NOT NULL, id, NULL FROM upload",
    [DOOMED] = "SELECT 0, 0, 0, 0, 0, 0, NULL, size, 0, name, NULL FROM doomed",
    [HELD] = "SELECT m.id, m.repo_id, 0, 0, 0, 0, NULL, 0, 0, NULL, NULL FROM manifest m"
             " JOIN repository r ON r.id = m.repo_id JOIN hold h ON h.digest = m.digest"
             " WHERE (h.repo = '' OR h.repo = r.name) AND m.receipt_id IS NULL"
             " UNION ALL SELECT m.id, m.repo_id, 0, 0, 0, 0, NULL, 0, 0, NULL, NULL FROM manifest m"
             " JOIN repository r ON r.id = m.repo_id JOIN lock l ON l.digest = m.digest"
             " WHERE l.repo = r.name AND l.may IN (0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13, 14)"
             " AND m.receipt_id IS NULL",
};

static enum st add_row(struct rows *to, const struct db_rows *from, struct err *err)
{
    if (to->count == to->room) {
        size_t room = to->room * 2 + 64;
        struct row *more = mem_resize(to->at, room * sizeof(*more));
        if (more == NULL)
            return err_no_memory(err);
        to->at = more;
        to->room = room;
    }
    to->at[to->count++] = (struct row){
        .id = db_int(from, 0),
        .repo = db_int(from, 1),
        .blob = db_int(from, 2),
        .manifest = db_int(from, 3),
        .lease = db_int(from, 4),
        .due = db_int(from, 5),
        .has_due = !db_is_null(from, 5),
        .receipt = db_int(from, 6),
        .live = db_is_null(from, 6),
        .size = db_int(from, 7),
        .has_data = db_int(from, 8) != 0,
        .key = key_of(db_bytes(from, 9)),
        .other = key_of(db_bytes(from, 10)),
    };
    return ST_OK;
}

static enum st read_all(struct db_tx *tx, void *ctx, struct err *err)
{
    struct check *c = ctx;
    for (size_t i = 0; i < TABLES; i++) {
        AUTO(db_rows_close) struct db_rows rows = { 0 };
        c->t[i].count = 0;
        enum st st = db_select(tx, &rows, queries[i], DB_NO_ARGS, err);
        while (st == ST_OK && (st = db_next(&rows, err)) == ST_OK)
            st = add_row(&c->t[i], &rows, err);
        if (st != ST_END)
            return st;
    }
    return ST_OK;
}

/* ---- looking up ----------------------------------------------------------------------------- */

static struct row *by_id(struct check *c, enum table table, int64_t id)
{
    EACH(c, table, r)
    if (r->id == id)
        return r;
    return NULL;
}

static struct row *link_of(struct check *c, int64_t repo, int64_t blob)
{
    EACH(c, LINKS, r)
    if (r->repo == repo && r->blob == blob)
        return r;
    return NULL;
}

static struct row *manifest_of(struct check *c, int64_t repo, const struct key *digest)
{
    EACH(c, MANIFESTS, r)
    if (r->repo == repo && same(&r->key, digest))
        return r;
    return NULL;
}

/* ---- what must hold ------------------------------------------------------------------------- */

/* Reachable from a tag, a hold or a lock, downwards only, until nothing new is found. */
static void mark_kept(struct check *c)
{
    bool more = false;
    EACH(c, TAGS, t)
    {
        struct row *m = by_id(c, MANIFESTS, t->manifest);
        if (m != NULL)
            m->kept = more = true;
    }
    EACH(c, HELD, h)
    {
        by_id(c, MANIFESTS, h->id)->kept = true;
        more = true;
    }
    while (more) {
        more = false;
        EACH(c, CHILDREN, e)
        {
            const struct row *above = by_id(c, MANIFESTS, e->manifest);
            struct row *m = manifest_of(c, e->repo, &e->key);
            if (above != NULL && above->kept && m != NULL && m->live && !m->kept)
                m->kept = more = true;
        }
        EACH(c, MANIFESTS, m)
        {
            const struct row *above = manifest_of(c, m->repo, &m->other);
            if (above != NULL && above->kept && m->live && !m->kept)
                m->kept = more = true;
        }
    }
}

static enum st check_manifests(struct check *c)
{
    EACH(c, TAGS, t)
    {
        const struct row *m = by_id(c, MANIFESTS, t->manifest);
        if (m == NULL || !m->live || m->repo != t->repo)
            return wrong(c, "a tag names no live manifest of its repository", t->repo, t->manifest);
    }
    EACH(c, MANIFESTS, m)
    {
        if (by_id(c, REPOS, m->repo) == NULL)
            return wrong(c, "a manifest without a repository", m->id, m->repo);
        if (m->live && m->kept == m->has_due)
            return wrong(c, m->kept ? "a kept manifest is due" : "a loose manifest is not due",
                         m->id, m->due);
        if (!m->live && !m->has_due)
            return wrong(c, "a manifest in the trash is not due", m->id, m->receipt);
    }
    EACH(c, USES, u)
    {
        const struct row *m = by_id(c, MANIFESTS, u->manifest);
        const struct row *l = link_of(c, u->repo, u->blob);
        if (m == NULL || m->repo != u->repo)
            return wrong(c, "an orphan row of manifest_blob", u->manifest, u->blob);
        if (l == NULL || by_id(c, BLOBS, u->blob) == NULL)
            return wrong(c, "a manifest's blob is gone", u->manifest, u->blob);
        if (m->live && !l->live)
            return wrong(c, "a live manifest's blob is in the trash", u->manifest, u->blob);
    }
    EACH(c, CHILDREN, e)
    {
        const struct row *m = by_id(c, MANIFESTS, e->manifest);
        const struct row *child = manifest_of(c, e->repo, &e->key);
        if (m == NULL || m->repo != e->repo)
            return wrong(c, "an orphan row of manifest_child", e->manifest, e->repo);
        if (!c->sparse && child == NULL)
            return wrong(c, "an index's child is gone", e->manifest, e->repo);
        if (!c->sparse && m->live && !child->live)
            return wrong(c, "a live index's child is in the trash", e->manifest, child->id);
    }
    return ST_OK;
}

static bool kept_use(struct check *c, const struct row *l)
{
    EACH(c, USES, u)
    {
        const struct row *m = by_id(c, MANIFESTS, u->manifest);
        if (u->repo == l->repo && u->blob == l->blob && m->live && m->kept)
            return true;
    }
    return false;
}

static enum st check_blobs(struct check *c)
{
    EACH(c, LINKS, l)
    {
        if (by_id(c, BLOBS, l->blob) == NULL || by_id(c, REPOS, l->repo) == NULL)
            return wrong(c, "a link to nothing", l->repo, l->blob);
        if (l->has_due == kept_use(c, l))
            return wrong(c,
                         l->has_due ? "a used link is due"
                                    : "a link that no kept manifest uses is not due",
                         l->repo, l->blob);
        if (!l->has_due && !l->live)
            return wrong(c, "a used link is in the trash", l->repo, l->blob);
        if (l->has_due && l->live && l->due < l->lease)
            return wrong(c, "a link is due before its lease ends", l->repo, l->blob);
    }
    EACH(c, BLOBS, b)
    {
        bool linked = false;
        EACH(c, LINKS, l)
        linked = linked || l->blob == b->id;
        if (!linked)
            return wrong(c, "a blob that no repository links", b->id, 0);
        if (b->has_data == (b->key.len > 0))
            return wrong(c, "a blob in both places or none", b->id, 0);
    }
    EACH(c, REPOS, r)
    {
        bool filled = false;
        EACH(c, LINKS, l)
        filled = filled || l->repo == r->id;
        EACH(c, MANIFESTS, m)
        filled = filled || m->repo == r->id;
        if (!filled)
            return wrong(c, "an empty repository", r->id, 0);
    }
    return ST_OK;
}

static struct row *by_name(struct check *c, enum table table, const struct key *name)
{
    EACH(c, table, r)
    if (same(&r->key, name))
        return r;
    return NULL;
}

static enum st check_name(str name, uint64_t size, void *ctx, struct err *err)
{
    struct check *c = ctx;
    struct key k = key_of(name);
    struct row *b = by_name(c, BLOBS, &k);
    (void)err;
    int uses = (b != NULL) + (by_name(c, UPLOADS, &k) != NULL) + (by_name(c, DOOMED, &k) != NULL);
    if (uses != 1)
        return wrong(c, "a name in the store that is not used once", uses, (int64_t)size);
    if (b != NULL && (uint64_t)b->size != size)
        return wrong(c, "a blob of another size in the store", b->size, (int64_t)size);
    if (b != NULL)
        b->kept = true; /* seen */
    return ST_OK;
}

static enum st check_store(struct check *c, struct blob_store *store)
{
    enum st st = blob_walk(store, check_name, c, c->err);
    if (st != ST_OK)
        return st;
    EACH(c, BLOBS, b)
    if (!b->has_data && !b->kept)
        return wrong(c, "a blob without its bytes", b->id, b->size);
    EACH(c, DOOMED, d)
    if (by_name(c, BLOBS, &d->key) != NULL || by_name(c, UPLOADS, &d->key) != NULL)
        return wrong(c, "a doomed name is in use", 0, d->size);
    return ST_OK;
}

/* ---- counters (invariant 7) ------------------------------------------------------------------ */

/* Each finds rows that count wrong. */
static const struct {
    const char *what;
    const char *sql;
} counters[] = {
    { "a link counts its manifests wrong",
      "SELECT l.repo_id, l.blob_id FROM repo_blob l WHERE"
      " kept <> (SELECT count(*) FROM manifest_blob u JOIN manifest m ON m.id = u.manifest_id"
      "  WHERE u.blob_id = l.blob_id AND m.repo_id = l.repo_id AND m.due_at IS NULL)"
      " OR loose <> (SELECT count(*) FROM manifest_blob u JOIN manifest m ON m.id = u.manifest_id"
      "  WHERE u.blob_id = l.blob_id AND m.repo_id = l.repo_id AND m.due_at IS NOT NULL"
      "  AND m.receipt_id IS NULL)"
      " OR trash <> (SELECT count(*) FROM manifest_blob u JOIN manifest m ON m.id = u.manifest_id"
      "  WHERE u.blob_id = l.blob_id AND m.repo_id = l.repo_id AND m.receipt_id IS NOT NULL)" },
    { "a link has another size than its blob",
      "SELECT l.repo_id, l.blob_id FROM repo_blob l JOIN blob b ON b.id = l.blob_id"
      " WHERE b.size <> l.size" },
    { "a link is wrong about being shared",
      "SELECT repo_id, blob_id FROM repo_blob l WHERE shared <> ((SELECT count(*) FROM repo_blob o"
      " WHERE o.blob_id = l.blob_id) > 1)" },
    { "a repository counts its tags wrong",
      "SELECT id, tags FROM repository r WHERE tags <> (SELECT count(*) FROM tag"
      " WHERE repo_id = r.id)" },
    { "a repository counts its manifests wrong",
      "SELECT id, manifests FROM repository r WHERE manifests <> (SELECT count(*) FROM manifest"
      " WHERE repo_id = r.id AND receipt_id IS NULL)" },
    { "a repository counts used bytes wrong",
      "SELECT id, used_alone FROM repository r WHERE used_alone <>"
      " (SELECT total(size) FROM repo_blob WHERE repo_id = r.id AND due_at IS NULL AND shared = 0)"
      " + (SELECT total(size) FROM manifest WHERE repo_id = r.id AND due_at IS NULL)"
      " OR used_shared <> (SELECT total(size) FROM repo_blob WHERE repo_id = r.id"
      "  AND due_at IS NULL AND shared = 1)" },
    { "a repository counts bytes in the trash wrong",
      "SELECT id, trash_alone FROM repository r WHERE trash_alone <>"
      " (SELECT total(size) FROM repo_blob WHERE repo_id = r.id AND due_at IS NOT NULL"
      "  AND (trash > 0 OR receipt_id IS NOT NULL) AND shared = 0)"
      " + (SELECT total(size) FROM manifest WHERE repo_id = r.id AND receipt_id IS NOT NULL)"
      " OR trash_shared <> (SELECT total(size) FROM repo_blob WHERE repo_id = r.id"
      "  AND due_at IS NOT NULL AND (trash > 0 OR receipt_id IS NOT NULL) AND shared = 1)" },
    { "a repository's bytes do not add up",
      "SELECT id, pending_alone FROM repository r WHERE"
      " used_alone + trash_alone + pending_alone + used_shared + trash_shared + pending_shared <>"
      " (SELECT total(size) FROM repo_blob WHERE repo_id = r.id)"
      " + (SELECT total(size) FROM manifest WHERE repo_id = r.id)"
      " OR pending_shared <> (SELECT total(size) FROM repo_blob WHERE repo_id = r.id"
      "  AND due_at IS NOT NULL AND trash = 0 AND receipt_id IS NULL AND shared = 1)" },
};

static enum st count_all(struct db_tx *tx, struct err *err)
{
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    struct usage u = { 0 };
    enum st st = usage_of_prefix(tx, STR(""), &u, err);
    if (st == ST_OK)
        st = db_one(tx, &rows,
                    "SELECT (SELECT total(size) FROM blob) + (SELECT total(size) FROM manifest)"
                    " + (SELECT total(size) FROM upload) + (SELECT total(size) FROM doomed)",
                    DB_NO_ARGS, err);
    if (st != ST_OK)
        return st;
    uint64_t sum = u.unique + u.shared + u.trash + u.pending + u.uploads;
    if (sum != (uint64_t)db_int(&rows, 0))
        return err_set(err, ST_BUG, "invariant broken: %llu bytes counted, %lld are there",
                       (unsigned long long)sum, (long long)db_int(&rows, 0));
    return ST_OK;
}

static enum st check_counters(struct db_tx *tx, void *ctx, struct err *err)
{
    (void)ctx;
    for (size_t i = 0; i < ARRAY_LEN(counters); i++) {
        AUTO(db_rows_close) struct db_rows rows = { 0 };
        enum st st = db_select(tx, &rows, counters[i].sql, DB_NO_ARGS, err);
        if (st == ST_OK)
            st = db_next(&rows, err);
        if (st == ST_OK)
            return err_set(err, ST_BUG, "invariant broken: %s (%lld, %lld)", counters[i].what,
                           (long long)db_int(&rows, 0), (long long)db_int(&rows, 1));
        if (st != ST_END)
            return st;
    }
    return count_all(tx, err);
}

enum st check_invariants(struct db *db, struct blob_store *store, bool sparse, int64_t now,
                         struct err *err)
{
    struct check c = { .sparse = sparse, .now = now, .err = err };
    enum st st = db_read(db, read_all, &c, err);
    if (st == ST_OK) {
        mark_kept(&c);
        st = check_manifests(&c);
    }
    if (st == ST_OK)
        st = check_blobs(&c);
    if (st == ST_OK)
        st = check_store(&c, store);
    if (st == ST_OK)
        st = db_read(db, check_counters, NULL, err);
    for (size_t i = 0; i < TABLES; i++)
        mem_free(c.t[i].at);
    return st;
}
