/* SPDX-License-Identifier: Apache-2.0
 *
 * The rows; receipts_chain.c has the texts, the hashes and the signatures.
 */
#include "meta/receipts_int.h"

#include "oci/name.h"

#define EXPIRE_ITEMS 1000 /* that one call of receipts_expire() removes */

static const char *const kinds[] = { "delete", "undo" };
static const char *const item_kinds[] = { "t", "m", "b" };

static str hash_bytes(const unsigned char hash[static RECEIPT_HASH_BYTES])
{
    return (str){ (const char *)hash, RECEIPT_HASH_BYTES };
}

/* ---- writing --------------------------------------------------------------------------------- */

enum st receipts_open(struct db_tx *tx, struct receipt *r, struct err *err)
{
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    enum st st = db_one(
        tx, &rows,
        "INSERT INTO receipt (created_at, due_at, door, actor, peer, reason, kind, state,"
        " plan_id, undo_of, rule, request, immediate, total, bytes_kept, items_hash)"
        " VALUES ($1, $2, $3, $4, $5, $6, $7, 'open', $8, $9, $10, $11, $12, $13, $14, $15)"
        " RETURNING id",
        DB_ARGS(DB_INT(r->created_at), DB_INT(r->due_at), DB_TEXT(r->door), DB_TEXT(r->actor),
                DB_TEXT(r->peer), DB_TEXT_OR_NULL(r->reason), DB_TEXT(str_of(kinds[r->kind])),
                DB_TEXT_OR_NULL(r->plan_id), r->undo_of == 0 ? DB_NULL : DB_INT(r->undo_of),
                DB_TEXT_OR_NULL(r->rule), DB_TEXT_OR_NULL(r->request), DB_INT(r->immediate),
                DB_INT(r->total), DB_INT(r->bytes_kept), DB_BYTES(hash_bytes(r->items_hash))),
        err);
    if (st == ST_OK)
        r->id = db_int(&rows, 0);
    return st;
}

enum st receipts_add_item(struct db_tx *tx, struct receipt *r, const struct receipt_item *item,
                          struct err *err)
{
    struct receipt_item numbered = *item;
    char key[DIGEST_KEY_MAX];
    numbered.number = r->items + 1;
    enum st st = receipts_roll(r->items_hash, &numbered, err);
    if (st == ST_OK)
        st = db_run(tx,
                    "INSERT INTO receipt_item (receipt_id, item, kind, repo, tag, digest, size,"
                    " role, why) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
                    DB_ARGS(DB_INT(r->id), DB_INT(numbered.number),
                            DB_TEXT(str_of(item_kinds[item->kind])), DB_TEXT(item->repo),
                            DB_TEXT_OR_NULL(item->tag), DB_BYTES(digest_key(&item->digest, key)),
                            DB_INT(item->size), DB_TEXT(item->with ? STR("w") : STR("s")),
                            DB_TEXT_OR_NULL(item->why)),
                    NULL, err);
    if (st != ST_OK)
        return st;
    r->items++;
    if (item->why.ptr != NULL)
        r->skipped++;
    else if (item->kind == ITEM_TAG)
        r->tags++;
    else if (item->kind == ITEM_MANIFEST)
        r->manifests++;
    else
        r->blobs++;
    return ST_OK;
}

enum st receipts_note(struct db_tx *tx, const struct receipt *r, struct err *err)
{
    return db_run(tx,
                  "UPDATE receipt SET total = $1, position = $2, items = $3, tags = $4,"
                  " manifests = $5, blobs = $6, skipped = $7, bytes_freed = $8, bytes_kept = $9,"
                  " items_hash = $10, due_at = $11 WHERE id = $12",
                  DB_ARGS(DB_INT(r->total), DB_INT(r->position), DB_INT(r->items), DB_INT(r->tags),
                          DB_INT(r->manifests), DB_INT(r->blobs), DB_INT(r->skipped),
                          DB_INT(r->bytes_freed), DB_INT(r->bytes_kept),
                          DB_BYTES(hash_bytes(r->items_hash)), DB_INT(r->due_at), DB_INT(r->id)),
                  NULL, err);
}

enum st receipts_mark_undone(struct db_tx *tx, int64_t id, uint64_t from, uint64_t to,
                             int64_t undo_id, struct err *err)
{
    int64_t changed = 0;
    enum st st =
        db_run(tx,
               "UPDATE receipt_item SET undone_by = $1 WHERE receipt_id = $2"
               " AND item BETWEEN $3 AND $4 AND undone_by IS NULL",
               DB_ARGS(DB_INT(undo_id), DB_INT(id), DB_INT(from), DB_INT(to)), &changed, err);
    if (st == ST_OK && changed > 0)
        st = db_run(tx, "UPDATE receipt SET undone = undone + $1 WHERE id = $2",
                    DB_ARGS(DB_INT(changed), DB_INT(id)), NULL, err);
    return st;
}

/* ---- reading --------------------------------------------------------------------------------- */

/* NULL stays unset. */
static bool read_text(const struct db_rows *rows, int column, struct arena *a, str *out)
{
    if (db_is_null(rows, column))
        return true;
    *out = arena_dup(a, db_text(rows, column));
    return out->ptr != NULL;
}

static bool read_hash(const struct db_rows *rows, int column, unsigned char *out, size_t bytes)
{
    str s = db_bytes(rows, column);
    if (s.len == bytes)
        memcpy(out, s.ptr, bytes);
    return s.len == bytes;
}

static enum st read_words(const struct db_rows *rows, struct receipt *r, struct err *err)
{
    str kind = db_text(rows, 1);
    str state = db_text(rows, 2);
    int64_t immediate = db_int(rows, 13);
    r->kind = str_eq(kind, STR("undo")) ? RECEIPT_UNDO : RECEIPT_DELETE;
    r->sealed = str_eq(state, STR("sealed"));
    r->immediate = immediate != 0;
    bool known = str_eq(kind, str_of(kinds[r->kind])) && (r->sealed || str_eq(state, STR("open")));
    if (!known || immediate < 0 || immediate > 1)
        return err_set(err, ST_CORRUPT, "the row of receipt %lld is not as it was written",
                       (long long)db_int(rows, 0));
    return ST_OK;
}

/* As RECEIPT_COLUMNS name them. */
enum st receipts_read(const struct db_rows *rows, struct arena *a, struct receipt *out,
                      struct err *err)
{
    struct receipt r = {
        .id = db_int(rows, 0),
        .created_at = db_int(rows, 3),
        .sealed_at = db_int(rows, 4),
        .due_at = db_int(rows, 5),
        .undo_of = db_int(rows, 12),
        .total = (uint64_t)db_int(rows, 14),
        .position = (uint64_t)db_int(rows, 15),
        .items = (uint64_t)db_int(rows, 16),
        .tags = (uint64_t)db_int(rows, 17),
        .manifests = (uint64_t)db_int(rows, 18),
        .blobs = (uint64_t)db_int(rows, 19),
        .skipped = (uint64_t)db_int(rows, 20),
        .undone = (uint64_t)db_int(rows, 21),
        .bytes_freed = (uint64_t)db_int(rows, 22),
        .bytes_kept = (uint64_t)db_int(rows, 23),
        .seq = db_int(rows, 24),
    };
    str *const texts[] = { &r.door, &r.actor, &r.peer, &r.reason, &r.rule, &r.request };
    enum st st = read_words(rows, &r, err);
    for (size_t i = 0; i < ARRAY_LEN(texts) && st == ST_OK; i++)
        if (!read_text(rows, 6 + (int)i, a, texts[i]))
            st = err_no_memory(err);
    if (st == ST_OK && !read_text(rows, 29, a, &r.plan_id))
        st = err_no_memory(err);
    if (st != ST_OK)
        return st;
    (void)read_hash(rows, 25, r.items_hash, sizeof(r.items_hash));
    (void)read_hash(rows, 26, r.prev_hash, sizeof(r.prev_hash));
    (void)read_hash(rows, 27, r.hash, sizeof(r.hash));
    r.has_signature = read_hash(rows, 28, r.signature, sizeof(r.signature));
    *out = r;
    return ST_OK;
}

enum st receipts_find(struct db_tx *tx, int64_t id, struct arena *a, struct receipt *out,
                      struct err *err)
{
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    enum st st = db_one(tx, &rows,
                        "SELECT " RECEIPT_COLUMNS " FROM receipt"
                        " WHERE id = $1 AND state <> 'dropped'",
                        DB_ARGS(DB_INT(id)), err);
    if (st == ST_NOT_FOUND)
        return err_set(err, st, "there is no receipt %lld", (long long)id);
    return st == ST_OK ? receipts_read(&rows, a, out, err) : st;
}

enum st receipts_list(struct db_tx *tx, str repo, int64_t before, size_t limit, struct arena *a,
                      struct receipt **out, size_t *count, bool *more, struct err *err)
{
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    struct receipt *list = arena_alloc(a, (limit + 1) * sizeof(*list));
    size_t n = 0;
    if (list == NULL)
        return err_no_memory(err);
    enum st st = db_select(
        tx, &rows,
        "SELECT " RECEIPT_COLUMNS " FROM receipt WHERE id < $1 AND state <> 'dropped'"
        " AND ($2 IS NULL OR EXISTS (SELECT 1 FROM receipt_item i"
        "  WHERE i.receipt_id = receipt.id AND i.repo = $2)) ORDER BY id DESC LIMIT $3",
        DB_ARGS(DB_INT(before == 0 ? INT64_MAX : before), DB_TEXT_OR_NULL(repo), DB_INT(limit + 1)),
        err);
    while (st == ST_OK && (st = db_next(&rows, err)) == ST_OK && n < limit)
        st = receipts_read(&rows, a, &list[n++], err);
    if (st != ST_OK && st != ST_END)
        return st;
    *out = list;
    *count = n;
    *more = st == ST_OK;
    return ST_OK;
}

enum st receipts_read_item(const struct db_rows *rows, struct arena *a, struct receipt_item *out,
                           struct err *err)
{
    str kind = db_text(rows, 1);
    str role = db_text(rows, 2);
    struct receipt_item item = { .number = (uint64_t)db_int(rows, 0),
                                 .with = str_eq(role, STR("w")),
                                 .size = (uint64_t)db_int(rows, 6),
                                 .undone_by = db_int(rows, 8) };
    size_t k = 0;
    while (k < ARRAY_LEN(item_kinds) && !str_eq(kind, str_of(item_kinds[k])))
        k++;
    if (k == ARRAY_LEN(item_kinds) || (!item.with && !str_eq(role, STR("s"))))
        return err_set(err, ST_CORRUPT, "item %lld of a receipt is not as it was written",
                       (long long)item.number);
    item.kind = k == 0 ? ITEM_TAG : k == 1 ? ITEM_MANIFEST : ITEM_BLOB;
    enum st st = digest_of_key(db_bytes(rows, 5), &item.digest, err);
    if (st != ST_OK)
        return st;
    if (!read_text(rows, 3, a, &item.repo) || !read_text(rows, 4, a, &item.tag) ||
        !read_text(rows, 7, a, &item.why))
        return err_no_memory(err);
    *out = item;
    return ST_OK;
}

enum st receipts_items(struct db_tx *tx, int64_t id, uint64_t after, size_t limit, bool skipped,
                       struct arena *a, struct receipt_item **out, size_t *count, bool *more,
                       struct err *err)
{
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    struct receipt_item *list = arena_alloc(a, (limit + 1) * sizeof(*list));
    size_t n = 0;
    if (list == NULL)
        return err_no_memory(err);
    enum st st = db_select(tx, &rows,
                           "SELECT " RECEIPT_ITEM_COLUMNS " FROM receipt_item"
                           " WHERE receipt_id = $1 AND item > $2 AND ($3 = 0 OR why IS NOT NULL)"
                           " ORDER BY item LIMIT $4",
                           DB_ARGS(DB_INT(id), DB_INT(MIN(after, (uint64_t)INT64_MAX)),
                                   DB_INT(skipped), DB_INT(limit + 1)),
                           err);
    while (st == ST_OK && (st = db_next(&rows, err)) == ST_OK && n < limit)
        st = receipts_read_item(&rows, a, &list[n++], err);
    if (st != ST_OK && st != ST_END)
        return st;
    *out = list;
    *count = n;
    *more = st == ST_OK;
    return ST_OK;
}

/* Items of a repository mostly stand together. */
enum st receipts_visit_repositories(struct db_tx *tx, int64_t id,
                                    bool (*visit)(void *ctx, str repo), void *ctx, struct err *err)
{
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    char last[NAME_MAX_BYTES];
    size_t last_len = 0;
    bool on = true;
    enum st st =
        db_select(tx, &rows, "SELECT repo FROM receipt_item WHERE receipt_id = $1 ORDER BY item",
                  DB_ARGS(DB_INT(id)), err);
    while (on && st == ST_OK && (st = db_next(&rows, err)) == ST_OK) {
        str repo = db_text(&rows, 0);
        if (str_eq(repo, (str){ last, last_len }))
            continue;
        on = visit(ctx, repo);
        last_len = MIN(repo.len, sizeof(last));
        if (last_len > 0)
            memcpy(last, repo.ptr, last_len);
    }
    return st == ST_END ? ST_OK : st;
}

static enum st one_number(struct db_tx *tx, const char *sql, const struct db_arg *args, size_t n,
                          int64_t *out, struct err *err)
{
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    enum st st = db_one(tx, &rows, sql, args, n, err);
    if (st == ST_OK)
        *out = db_int(&rows, 0);
    return st;
}

enum st receipts_next_open(struct db_tx *tx, int64_t after, int64_t *id, struct err *err)
{
    return one_number(tx,
                      "SELECT id FROM receipt WHERE state = 'open' AND id > $1 ORDER BY id LIMIT 1",
                      DB_ARGS(DB_INT(after)), id, err);
}

enum st receipts_open_undo(struct db_tx *tx, int64_t id, int64_t *undo_id, struct err *err)
{
    return one_number(tx,
                      "SELECT id FROM receipt WHERE undo_of = $1 AND state = 'open'"
                      " ORDER BY id DESC LIMIT 1",
                      DB_ARGS(DB_INT(id)), undo_id, err);
}

enum st receipts_count_undoable(struct db_tx *tx, int64_t id, uint64_t *left, int64_t *newest_undo,
                                struct err *err)
{
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    enum st st = db_one(tx, &rows,
                        "SELECT count(*) - count(undone_by), max(undone_by) FROM receipt_item"
                        " WHERE receipt_id = $1 AND why IS NULL",
                        DB_ARGS(DB_INT(id)), err);
    if (st == ST_OK) {
        *left = (uint64_t)db_int(&rows, 0);
        *newest_undo = db_int(&rows, 1);
    }
    return st;
}

/* ---- dropping -------------------------------------------------------------------------------- */

/* The newest stays, so that no id is given twice: rows of the trash name receipts. */
#define NOT_NEWEST "id < (SELECT max(id) FROM receipt)"

/* A receipt that is being dropped has the state 'dropped', no seq and the time 0: it is found by
 * that until its items are gone. */

struct old_receipt {
    int64_t id;
    int64_t seq;
    unsigned char hash[RECEIPT_HASH_BYTES];
    bool dropped;
};

static enum st read_old(struct db_rows *rows, bool *found, struct old_receipt *out, struct err *err)
{
    enum st st = db_next(rows, err);
    *found = st == ST_OK;
    if (st != ST_OK)
        return st == ST_END ? ST_OK : st;
    *out = (struct old_receipt){ .id = db_int(rows, 0), .seq = db_int(rows, 1) };
    (void)read_hash(rows, 2, out->hash, sizeof(out->hash));
    return ST_OK;
}

/* The one to go next: one that is half gone, one of before the chain, the oldest of the chain. */
static enum st find_old(struct db_tx *tx, int64_t until, bool *found, struct old_receipt *out,
                        struct err *err)
{
    static const char *const queries[] = {
        "SELECT id, seq, hash FROM receipt WHERE due_at = 0 AND state = 'dropped' LIMIT 1",
        "SELECT id, seq, hash FROM receipt WHERE due_at <= $1 AND due_at > 0 AND seq IS NULL"
        " AND state = 'sealed' AND " NOT_NEWEST " LIMIT 1",
        "SELECT id, seq, hash FROM (SELECT id, seq, hash, due_at FROM receipt"
        " WHERE seq IS NOT NULL ORDER BY seq LIMIT 1) AS oldest WHERE due_at <= $1"
        " AND " NOT_NEWEST,
    };
    *found = false;
    for (size_t i = 0; i < ARRAY_LEN(queries) && !*found; i++) {
        AUTO(db_rows_close) struct db_rows rows = { 0 };
        const struct db_arg arg = DB_INT(until);
        enum st st = db_select(tx, &rows, queries[i], &arg, i == 0 ? 0 : 1, err);
        if (st == ST_OK)
            st = read_old(&rows, found, out, err);
        if (st != ST_OK)
            return st;
        out->dropped = i == 0;
    }
    return ST_OK;
}

enum st receipts_any_expired(struct db_tx *tx, int64_t until, bool *out, struct err *err)
{
    struct old_receipt old = { 0 };
    return find_old(tx, until, out, &old, err);
}

enum st receipts_expire(struct db_tx *tx, int64_t until, const struct signature_key *key,
                        bool *more, struct err *err)
{
    struct old_receipt old = { 0 };
    int64_t removed = 0;
    enum st st = find_old(tx, until, more, &old, err);
    if (st != ST_OK || !*more)
        return st;
    if (!old.dropped && old.seq != 0)
        st = receipts_set_anchor(tx, key, old.seq, old.hash, err);
    if (st == ST_OK && !old.dropped)
        st =
            db_run(tx, "UPDATE receipt SET state = 'dropped', seq = NULL, due_at = 0 WHERE id = $1",
                   DB_ARGS(DB_INT(old.id)), NULL, err);
    if (st == ST_OK)
        st = db_run(tx,
                    "DELETE FROM receipt_item WHERE receipt_id = $1 AND item IN (SELECT item FROM"
                    " receipt_item WHERE receipt_id = $1 ORDER BY item LIMIT $2)",
                    DB_ARGS(DB_INT(old.id), DB_INT(EXPIRE_ITEMS)), &removed, err);
    if (st != ST_OK || removed == EXPIRE_ITEMS)
        return st;
    return db_run(tx, "DELETE FROM receipt WHERE id = $1", DB_ARGS(DB_INT(old.id)), NULL, err);
}
