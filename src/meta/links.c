/* SPDX-License-Identifier: Apache-2.0 */
#include "meta/links.h"

#include "base/buf.h"
#include "base/clock.h"
#include "meta/doomed.h"
#include "meta/usage.h"

/* A row, with what a change makes of it. */
struct link {
    int64_t blob_id;
    int64_t size;
    int64_t kept, loose, trash;
    int64_t lease_until;
    int64_t due_at; /* 0: NULL */
    int64_t receipt_id;
    int64_t since;
    bool shared;
    uint32_t next; /* in a batch: of the same head; 0: none */
};

#define LINK_COLUMNS                                                                               \
    "l.blob_id, l.size, l.kept, l.loose, l.trash, l.lease_until, l.due_at, l.receipt_id, l.since," \
    " l.shared"

static struct link read_link(const struct db_rows *rows)
{
    return (struct link){ .blob_id = db_int(rows, 0),
                          .size = db_int(rows, 1),
                          .kept = db_int(rows, 2),
                          .loose = db_int(rows, 3),
                          .trash = db_int(rows, 4),
                          .lease_until = db_int(rows, 5),
                          .due_at = db_int(rows, 6),
                          .receipt_id = db_int(rows, 7),
                          .since = db_int(rows, 8),
                          .shared = db_int(rows, 9) != 0 };
}

static enum usage_class class_of(const struct link *l)
{
    if (l->kept > 0)
        return USAGE_USED;
    return l->trash > 0 || l->receipt_id != 0 ? USAGE_TRASH : USAGE_PENDING;
}

static void count_link(struct usage_delta *d, const struct link *l, int64_t sign)
{
    (l->shared ? d->shared : d->alone)[class_of(l)] += sign * l->size;
}

/* ST_NOT_FOUND with a plain message. */
static enum st find_link(struct db_tx *tx, const struct link_ref *ref, struct link *out,
                         struct err *err)
{
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    enum st st = db_one(tx, &rows,
                        "SELECT " LINK_COLUMNS " FROM repo_blob l"
                        " WHERE l.repo_id = $1 AND l.blob_id = $2",
                        DB_ARGS(DB_INT(ref->repo_id), DB_INT(ref->blob_id)), err);
    if (st == ST_OK)
        *out = read_link(&rows);
    return st;
}

static enum st write_link(struct db_tx *tx, int64_t repo_id, const struct link *l, struct err *err)
{
    return db_run(tx,
                  "UPDATE repo_blob SET kept = $1, loose = $2, trash = $3, lease_until = $4,"
                  " due_at = $5, receipt_id = $6, since = $7"
                  " WHERE repo_id = $8 AND blob_id = $9",
                  DB_ARGS(DB_INT(l->kept), DB_INT(l->loose), DB_INT(l->trash),
                          DB_INT(l->lease_until), l->due_at == 0 ? DB_NULL : DB_INT(l->due_at),
                          l->receipt_id == 0 ? DB_NULL : DB_INT(l->receipt_id), DB_INT(l->since),
                          DB_INT(repo_id), DB_INT(l->blob_id)),
                  NULL, err);
}

/* A link that nothing uses for good stays for a lease, and for the grace. */
static void let_go(struct link *l, const struct keeping *k, int64_t now)
{
    int64_t due_at = now + MAX(k->lease_ms, k->grace_ms);
    l->lease_until = k->cut ? now : MAX(l->lease_until, now + k->lease_ms);
    l->due_at = k->cut ? now : MAX(l->due_at, due_at);
    l->since = now;
}

/* ---- shared or alone ------------------------------------------------------------------------- */

/* The repositories besides `repo_id` that link the blob: how many, up to two, and the first. */
static enum st find_others(struct db_tx *tx, const struct link_ref *ref, int *count,
                           int64_t *repo_id, struct err *err)
{
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    enum st st = db_select(tx, &rows,
                           "SELECT repo_id FROM repo_blob WHERE blob_id = $1 AND repo_id <> $2"
                           " LIMIT 2",
                           DB_ARGS(DB_INT(ref->blob_id), DB_INT(ref->repo_id)), err);
    int n = 0;
    while (st == ST_OK && (st = db_next(&rows, err)) == ST_OK)
        if (n++ == 0)
            *repo_id = db_int(&rows, 0);
    if (st != ST_END)
        return st;
    *count = n;
    return ST_OK;
}

/* The only other link of a blob becomes shared when this one comes, and alone when it goes. */
static enum st set_shared(struct db_tx *tx, const struct link_ref *other, bool shared,
                          struct err *err)
{
    struct usage_delta d = { 0 };
    struct link l = { 0 };
    enum st st = find_link(tx, other, &l, err);
    if (st != ST_OK)
        return st;
    count_link(&d, &l, -1);
    l.shared = shared;
    count_link(&d, &l, 1);
    st = db_run(tx, "UPDATE repo_blob SET shared = $1 WHERE repo_id = $2 AND blob_id = $3",
                DB_ARGS(DB_INT(shared), DB_INT(other->repo_id), DB_INT(other->blob_id)), NULL, err);
    return st == ST_OK ? usage_add(tx, other->repo_id, &d, err) : st;
}

/* Something that does not go by itself uses the link. */
static bool is_lasting(const struct link *l, const struct keeping *k)
{
    return l->kept > 0 || (!k->untagged && l->loose > 0);
}

/* Whether another repository's link keeps the blob for good; with `trash` also one in the trash. */
static enum st kept_elsewhere(struct db_tx *tx, const struct link_ref *ref, bool trash,
                              const struct keeping *k, bool *out, struct err *err)
{
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    enum st st = db_select(
        tx, &rows,
        "SELECT 1 FROM repo_blob WHERE blob_id = $1 AND repo_id <> $2"
        " AND (kept > 0 OR ($3 = 0 AND loose > 0)"
        " OR ($4 = 1 AND (trash > 0 OR receipt_id IS NOT NULL))) LIMIT 1",
        DB_ARGS(DB_INT(ref->blob_id), DB_INT(ref->repo_id), DB_INT(k->untagged), DB_INT(trash)),
        err);
    if (st == ST_OK)
        st = db_next(&rows, err);
    if (st != ST_OK && st != ST_END)
        return st;
    *out = st == ST_OK;
    return ST_OK;
}

static enum st any_row(struct db_tx *tx, const char *sql, const struct db_arg *args, size_t n,
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

/* What a change frees, added up. */
struct freed {
    uint64_t *bytes; /* NULL: nobody asks */
    bool any_holds;
};

static enum st freed_begin(struct db_tx *tx, uint64_t *bytes, struct freed *out, struct err *err)
{
    *out = (struct freed){ .bytes = bytes };
    if (bytes == NULL)
        return ST_OK;
    return any_row(tx, "SELECT 1 FROM hold LIMIT 1", DB_NO_ARGS, &out->any_holds, err);
}

/* Counts the blob when this change is the one that frees it: the last lasting use goes, or what was
 * only pending goes to the trash. */
static enum st count_freed(struct db_tx *tx, int64_t repo_id, const struct link *before,
                           const struct link *after, const struct keeping *k, struct freed *freed,
                           struct err *err)
{
    struct link_ref ref = { repo_id, after->blob_id };
    bool stays = false;
    bool released = is_lasting(before, k);
    bool discarded = class_of(before) == USAGE_PENDING && class_of(after) == USAGE_TRASH;
    if (freed->bytes == NULL || is_lasting(after, k) || (!released && !discarded))
        return ST_OK;
    enum st st = ST_OK;
    if (after->shared)
        st = kept_elsewhere(tx, &ref, !released, k, &stays, err);
    if (st == ST_OK && !stays && freed->any_holds)
        st = any_row(tx, "SELECT 1 FROM blob b JOIN hold h ON h.digest = b.digest WHERE b.id = $1",
                     DB_ARGS(DB_INT(after->blob_id)), &stays, err);
    if (st == ST_OK && !stays)
        *freed->bytes += (uint64_t)after->size;
    return st;
}

/* ---- in a batch ---------------------------------------------------------------------------- */

#define BATCH_LINKS_MAX 8192

static uint32_t *batch_head(struct links_batch *b, int64_t blob_id)
{
    return &b->heads[(uint64_t)blob_id % LINKS_BATCH_HEADS];
}

static struct link *batch_at(const struct links_batch *b, uint32_t place)
{
    return (struct link *)b->links.ptr + place - 1;
}

static uint32_t batch_find(struct links_batch *b, int64_t blob_id)
{
    uint32_t place = *batch_head(b, blob_id);
    while (place != 0 && batch_at(b, place)->blob_id != blob_id)
        place = batch_at(b, place)->next;
    return place;
}

static enum st batch_add(struct links_batch *b, struct link l, uint32_t *place, struct err *err)
{
    uint32_t *head = batch_head(b, l.blob_id);
    l.next = *head;
    buf_add(&b->links, (str){ (const char *)&l, sizeof(l) });
    enum st st = buf_status(&b->links, err);
    if (st == ST_OK)
        *place = *head = (uint32_t)(b->links.len / sizeof(l));
    return st;
}

enum st links_batch_write(struct db_tx *tx, struct links_batch *b, struct err *err)
{
    uint32_t count = (uint32_t)(b->links.len / sizeof(struct link));
    enum st st = ST_OK;
    for (uint32_t place = 1; place <= count && st == ST_OK; place++)
        st = write_link(tx, b->repo_id, batch_at(b, place), err);
    if (st == ST_OK)
        st = usage_add(tx, b->repo_id, &b->usage, err);
    if (st != ST_OK)
        return st; /* all of it is there still: written again it comes to the same */
    buf_clear(&b->links);
    memset(b->heads, 0, sizeof(b->heads));
    b->usage = (struct usage_delta){ 0 };
    return ST_OK;
}

void links_batch_release(struct links_batch *b)
{
    buf_release(&b->links);
}

/* Before links are changed in the database itself. */
static enum st write_batch_of(struct db_tx *tx, const struct keeping *k, struct err *err)
{
    return k->batch == NULL ? ST_OK : links_batch_write(tx, k->batch, err);
}

/* ---- coming -------------------------------------------------------------------------------- */

static enum st add_link(struct db_tx *tx, const struct link_ref *ref, const struct keeping *k,
                        int64_t now, struct err *err)
{
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    struct usage_delta d = { 0 };
    struct link l = { .blob_id = ref->blob_id };
    struct link_ref other = { .blob_id = ref->blob_id };
    int others = 0;
    enum st st = db_one(tx, &rows, "SELECT size FROM blob WHERE id = $1",
                        DB_ARGS(DB_INT(ref->blob_id)), err);
    if (st != ST_OK)
        return st;
    l.size = db_int(&rows, 0);
    db_rows_close(&rows);
    st = find_others(tx, ref, &others, &other.repo_id, err);
    if (st == ST_OK && others == 1)
        st = set_shared(tx, &other, true, err);
    if (st != ST_OK)
        return st;
    l.shared = others > 0;
    count_link(&d, &l, 1);
    st = db_run(tx,
                "INSERT INTO repo_blob (repo_id, blob_id, size, lease_until, due_at, shared, since)"
                " VALUES ($1, $2, $3, $4, $5, $6, $7)",
                DB_ARGS(DB_INT(ref->repo_id), DB_INT(ref->blob_id), DB_INT(l.size),
                        DB_INT(now + k->lease_ms), DB_INT(now + MAX(k->lease_ms, k->grace_ms)),
                        DB_INT(l.shared), DB_INT(now)),
                NULL, err);
    return st == ST_OK ? usage_add(tx, ref->repo_id, &d, err) : st;
}

/* Visible, with a lease from now on. */
static enum st renew(struct db_tx *tx, int64_t repo_id, struct link l, const struct keeping *k,
                     int64_t now, struct err *err)
{
    struct usage_delta d = { 0 };
    count_link(&d, &l, -1);
    l.receipt_id = 0;
    count_link(&d, &l, 1);
    l.lease_until = MAX(l.lease_until, now + k->lease_ms);
    if (l.kept == 0)
        l.due_at = MAX(l.due_at, now + MAX(k->lease_ms, k->grace_ms));
    enum st st = write_link(tx, repo_id, &l, err);
    return st == ST_OK ? usage_add(tx, repo_id, &d, err) : st;
}

enum st links_put(struct db_tx *tx, int64_t repo_id, int64_t blob_id, const struct keeping *k,
                  int64_t now, struct err *err)
{
    const struct link_ref ref = { repo_id, blob_id };
    struct link l = { 0 };
    enum st st = write_batch_of(tx, k, err);
    if (st == ST_OK)
        st = find_link(tx, &ref, &l, err);
    if (st == ST_NOT_FOUND)
        return add_link(tx, &ref, k, now, err);
    return st == ST_OK ? renew(tx, repo_id, l, k, now, err) : st;
}

enum st links_restore(struct db_tx *tx, const struct link_ref *ref, const struct keeping *k,
                      int64_t now, struct err *err)
{
    struct link l = { 0 };
    enum st st = write_batch_of(tx, k, err);
    if (st == ST_OK)
        st = find_link(tx, ref, &l, err);
    if (st != ST_OK || l.receipt_id == 0)
        return st;
    return renew(tx, ref->repo_id, l, k, now, err);
}

/* ---- used by manifests ---------------------------------------------------------------------- */

static int64_t *counter_of(struct link *l, enum manifest_state state)
{
    switch (state) {
    case MANIFEST_KEPT:
        return &l->kept;
    case MANIFEST_LOOSE:
        return &l->loose;
    case MANIFEST_TRASH:
        return &l->trash;
    case MANIFEST_ABSENT:
        break;
    }
    return NULL;
}

static void move_link(struct link *l, const struct links_move *m, const struct keeping *k,
                      int64_t now)
{
    int64_t *from = counter_of(l, m->from);
    int64_t *to = counter_of(l, m->to);
    if (from != NULL)
        (*from)--;
    if (to != NULL)
        (*to)++;
    bool live = m->to == MANIFEST_KEPT || m->to == MANIFEST_LOOSE;
    if (live)
        l->receipt_id = 0;
    if (l->kept > 0)
        l->due_at = 0;
    else if (m->from == MANIFEST_KEPT || m->to == MANIFEST_TRASH ||
             (m->from == MANIFEST_TRASH && live))
        let_go(l, k, now);
}

static enum st list_links(struct db_tx *tx, int64_t manifest_id, struct buf *out, struct err *err)
{
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    enum st st = db_select(tx, &rows,
                           "SELECT " LINK_COLUMNS " FROM manifest_blob u JOIN repo_blob l"
                           " ON l.repo_id = u.repo_id AND l.blob_id = u.blob_id"
                           " WHERE u.manifest_id = $1",
                           DB_ARGS(DB_INT(manifest_id)), err);
    while (st == ST_OK && (st = db_next(&rows, err)) == ST_OK) {
        struct link l = read_link(&rows);
        buf_add(out, (str){ (const char *)&l, sizeof(l) });
    }
    return st == ST_END ? buf_status(out, err) : st;
}

static enum usage_class class_of_state(enum manifest_state state)
{
    switch (state) {
    case MANIFEST_KEPT:
        return USAGE_USED;
    case MANIFEST_TRASH:
        return USAGE_TRASH;
    case MANIFEST_LOOSE:
    case MANIFEST_ABSENT:
        break;
    }
    return USAGE_PENDING;
}

static bool is_live(enum manifest_state state)
{
    return state == MANIFEST_KEPT || state == MANIFEST_LOOSE;
}

static void count_payload(struct usage_delta *d, const struct links_move *m, uint64_t *freed,
                          const struct keeping *k)
{
    if (m->from != MANIFEST_ABSENT)
        d->alone[class_of_state(m->from)] -= (int64_t)m->payload_bytes;
    if (m->to != MANIFEST_ABSENT)
        d->alone[class_of_state(m->to)] += (int64_t)m->payload_bytes;
    d->manifests += (int64_t)is_live(m->to) - (int64_t)is_live(m->from);
    bool goes = m->to == MANIFEST_TRASH || (m->from == MANIFEST_KEPT && k->untagged);
    if (freed != NULL && goes && is_live(m->from))
        *freed += m->payload_bytes;
}

/* Places of the manifest's links in the batch. */
static enum st batch_list(struct db_tx *tx, struct links_batch *b, const struct links_move *m,
                          struct buf *out, struct err *err)
{
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    enum st st = db_select(tx, &rows, "SELECT blob_id FROM manifest_blob WHERE manifest_id = $1",
                           DB_ARGS(DB_INT(m->manifest_id)), err);
    while (st == ST_OK && (st = db_next(&rows, err)) == ST_OK) {
        struct link_ref ref = { m->repo_id, db_int(&rows, 0) };
        struct link l = { 0 };
        uint32_t place = batch_find(b, ref.blob_id);
        if (place == 0)
            st = find_link(tx, &ref, &l, err);
        if (st == ST_NOT_FOUND) {
            st = ST_OK;
            continue;
        }
        if (place == 0 && st == ST_OK)
            st = batch_add(b, l, &place, err);
        buf_add(out, (str){ (const char *)&place, sizeof(place) });
    }
    return st == ST_END ? buf_status(out, err) : st;
}

static enum st batch_begin(struct db_tx *tx, struct links_batch *b, int64_t repo_id,
                           struct err *err)
{
    enum st st = ST_OK;
    if (b->links.max_bytes == 0)
        b->links.max_bytes = 64 * MIB;
    if (b->repo_id != repo_id || b->links.len >= BATCH_LINKS_MAX * sizeof(struct link))
        st = links_batch_write(tx, b, err);
    b->repo_id = repo_id;
    return st;
}

static enum st batch_move(struct db_tx *tx, const struct links_move *m, const struct keeping *k,
                          int64_t now, struct freed *f, struct err *err)
{
    AUTO(buf_release) struct buf places = { .max_bytes = 64 * MIB };
    struct links_batch *b = k->batch;
    enum st st = batch_begin(tx, b, m->repo_id, err);
    if (st == ST_OK)
        st = batch_list(tx, b, m, &places, err);
    for (size_t at = 0; st == ST_OK && at < places.len; at += sizeof(uint32_t)) {
        uint32_t place = 0;
        memcpy(&place, places.ptr + at, sizeof(place));
        struct link *l = batch_at(b, place);
        struct link before = *l;
        move_link(l, m, k, now);
        count_link(&b->usage, &before, -1);
        count_link(&b->usage, l, 1);
        st = count_freed(tx, m->repo_id, &before, l, k, f, err);
    }
    return st;
}

static enum st move_each(struct db_tx *tx, const struct links_move *m, const struct keeping *k,
                         int64_t now, struct usage_delta *d, struct freed *f, struct err *err)
{
    AUTO(buf_release) struct buf links = { .max_bytes = 64 * MIB };
    enum st st = list_links(tx, m->manifest_id, &links, err);
    for (size_t at = 0; st == ST_OK && at < links.len; at += sizeof(struct link)) {
        struct link before, after;
        memcpy(&before, links.ptr + at, sizeof(before));
        after = before;
        move_link(&after, m, k, now);
        count_link(d, &before, -1);
        count_link(d, &after, 1);
        st = write_link(tx, m->repo_id, &after, err);
        if (st == ST_OK)
            st = count_freed(tx, m->repo_id, &before, &after, k, f, err);
    }
    return st;
}

enum st links_move_manifest(struct db_tx *tx, const struct links_move *m, const struct keeping *k,
                            int64_t now, uint64_t *freed, struct err *err)
{
    struct usage_delta d = { 0 };
    struct freed f;
    enum st st = freed_begin(tx, freed, &f, err);
    if (st == ST_OK)
        st = k->batch == NULL ? move_each(tx, m, k, now, &d, &f, err)
                              : batch_move(tx, m, k, now, &f, err);
    if (st != ST_OK)
        return st;
    count_payload(k->batch == NULL ? &d : &k->batch->usage, m, freed, k);
    return usage_add(tx, m->repo_id, &d, err);
}

/* ---- the trash ------------------------------------------------------------------------------ */

enum st links_trash(struct db_tx *tx, const struct link_ref *ref, int64_t receipt_id,
                    int64_t due_at, const struct keeping *k, int64_t now, uint64_t *freed,
                    struct err *err)
{
    struct usage_delta d = { 0 };
    struct link before = { 0 };
    struct freed f;
    enum st st = write_batch_of(tx, k, err);
    if (st == ST_OK)
        st = freed_begin(tx, freed, &f, err);
    if (st == ST_OK)
        st = find_link(tx, ref, &before, err);
    if (st != ST_OK)
        return st;
    struct link after = before;
    after.receipt_id = receipt_id;
    after.due_at = due_at;
    after.since = now;
    count_link(&d, &before, -1);
    count_link(&d, &after, 1);
    st = write_link(tx, ref->repo_id, &after, err);
    if (st == ST_OK)
        st = count_freed(tx, ref->repo_id, &before, &after, k, &f, err);
    return st == ST_OK ? usage_add(tx, ref->repo_id, &d, err) : st;
}

/* ---- going ---------------------------------------------------------------------------------- */

enum st links_due(struct db_tx *tx, int64_t now, struct link_ref *out, size_t limit, size_t *count,
                  struct err *err)
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

/* When the last of the manifests in the queue that use the link is looked at. Asks a few only: a
 * blob that thousands share costs no more than one that few do, and looking again is safe. */
static enum st find_use_end(struct db_tx *tx, const struct link_ref *ref, int64_t *until,
                            struct err *err)
{
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    int64_t last = 0;
    enum st st = db_select(tx, &rows,
                           "SELECT m.due_at FROM manifest_blob u"
                           " JOIN manifest m ON m.id = u.manifest_id"
                           " WHERE u.blob_id = $1 AND u.repo_id = $2 LIMIT 8",
                           DB_ARGS(DB_INT(ref->blob_id), DB_INT(ref->repo_id)), err);
    while (st == ST_OK && (st = db_next(&rows, err)) == ST_OK)
        last = MAX(last, db_int(&rows, 0));
    if (st != ST_OK && st != ST_END)
        return st;
    *until = last;
    return ST_OK;
}

/* The end of the holds on the blob's digest that are in force; 0 when there is none. */
static enum st find_hold(struct db_tx *tx, const struct link_ref *ref, int64_t now, int64_t *until,
                         struct err *err)
{
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    int64_t last = 0;
    enum st st = db_select(tx, &rows,
                           "SELECT h.until FROM blob b JOIN hold h ON h.digest = b.digest"
                           " JOIN repository r ON r.id = $1"
                           " WHERE b.id = $2 AND (h.repo = '' OR h.repo = r.name)"
                           " AND (h.until IS NULL OR h.until > $3)",
                           DB_ARGS(DB_INT(ref->repo_id), DB_INT(ref->blob_id), DB_INT(now)), err);
    while (st == ST_OK && (st = db_next(&rows, err)) == ST_OK)
        last = MAX(last, db_is_null(&rows, 0) ? now + CLOCK_DAY_MS : db_int(&rows, 0));
    if (st != ST_OK && st != ST_END)
        return st;
    *until = last;
    return ST_OK;
}

static enum st put_off(struct db_tx *tx, const struct link_ref *ref, int64_t until, struct err *err)
{
    return db_run(tx, "UPDATE repo_blob SET due_at = $1 WHERE repo_id = $2 AND blob_id = $3",
                  DB_ARGS(DB_INT(until), DB_INT(ref->repo_id), DB_INT(ref->blob_id)), NULL, err);
}

/* Removes the blob when no repository links it any more. */
static enum st drop_blob(struct db_tx *tx, const struct link *l, int64_t now, struct removal *out,
                         struct err *err)
{
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    struct db_arg id = DB_INT(l->blob_id);
    enum st st = db_select(tx, &rows,
                           "SELECT name, size FROM blob WHERE id = $1"
                           " AND NOT EXISTS (SELECT 1 FROM repo_blob WHERE blob_id = $1)"
                           " AND NOT EXISTS (SELECT 1 FROM manifest_blob WHERE blob_id = $1)",
                           &id, 1, err);
    if (st == ST_OK)
        st = db_next(&rows, err);
    if (st == ST_END)
        return ST_OK;
    if (st != ST_OK)
        return st;
    uint64_t size = (uint64_t)db_int(&rows, 1);
    if (!db_is_null(&rows, 0))
        st = doomed_add(tx, db_text(&rows, 0), size, l->since, now, err);
    db_rows_close(&rows);
    if (st == ST_OK)
        st = db_run(tx, "DELETE FROM blob WHERE id = $1", &id, 1, NULL, err);
    if (st == ST_OK) {
        out->blobs++;
        out->bytes += size;
    }
    return st;
}

static enum st remove_link(struct db_tx *tx, const struct link_ref *ref, const struct link *l,
                           int64_t now, struct removal *out, struct err *err)
{
    struct usage_delta d = { 0 };
    struct link_ref other = { .blob_id = ref->blob_id };
    int others = 0;
    enum st st = db_run(tx, "DELETE FROM repo_blob WHERE repo_id = $1 AND blob_id = $2",
                        DB_ARGS(DB_INT(ref->repo_id), DB_INT(ref->blob_id)), NULL, err);
    if (st != ST_OK)
        return st;
    count_link(&d, l, -1);
    st = usage_add(tx, ref->repo_id, &d, err);
    if (st == ST_OK && l->shared)
        st = find_others(tx, ref, &others, &other.repo_id, err);
    if (st == ST_OK && others == 1)
        st = set_shared(tx, &other, false, err);
    if (st == ST_OK)
        out->links++;
    return st == ST_OK && others == 0 ? drop_blob(tx, l, now, out, err) : st;
}

enum st links_review(struct db_tx *tx, const struct link_ref *ref, int64_t now, struct removal *out,
                     struct err *err)
{
    struct link l = { 0 };
    int64_t until = 0;
    enum st st = find_link(tx, ref, &l, err);
    if (st == ST_NOT_FOUND)
        return ST_OK;
    if (st != ST_OK || l.kept > 0 || l.due_at > now)
        return st;
    if (l.loose + l.trash > 0) {
        st = find_use_end(tx, ref, &until, err);
        if (st != ST_OK || until <= now)
            return st; /* they are due as well; when they go, this is called again */
        return put_off(tx, ref, l.receipt_id == 0 ? MAX(until, l.lease_until) : until, err);
    }
    if (l.receipt_id == 0 && l.lease_until > now) /* in the trash there is no lease */
        return put_off(tx, ref, l.lease_until, err);
    st = find_hold(tx, ref, now, &until, err);
    if (st != ST_OK)
        return st;
    return until > now ? put_off(tx, ref, until, err) : remove_link(tx, ref, &l, now, out, err);
}
