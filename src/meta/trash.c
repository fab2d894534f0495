/* SPDX-License-Identifier: Apache-2.0 */
#include "meta/trash.h"

#include "base/buf.h"
#include "meta/receipts_int.h"
#include "meta/repositories.h"

#define SCANNED_MAX 5000 /* items that a page passes over */

/* ---- listing --------------------------------------------------------------------------------- */

/* Whether the row is in the trash by this receipt, and its time not over. */
static enum st manifest_is_in(struct db_tx *tx, const struct trash_item *t, int64_t now, bool *out,
                              struct err *err)
{
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    char key[DIGEST_KEY_MAX];
    enum st st =
        db_one(tx, &rows,
               "SELECT m.receipt_id, m.due_at FROM repository r JOIN manifest m ON m.repo_id = r.id"
               " WHERE r.name = $1 AND m.digest = $2",
               DB_ARGS(DB_TEXT(t->item.repo), DB_BYTES(digest_key(&t->item.digest, key))), err);
    if (st != ST_OK && st != ST_NOT_FOUND)
        return st;
    *out = st == ST_OK && db_int(&rows, 0) == t->receipt_id && db_int(&rows, 1) > now;
    return ST_OK;
}

static enum st link_is_in(struct db_tx *tx, const struct trash_item *t, int64_t now, bool *out,
                          struct err *err)
{
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    char key[DIGEST_KEY_MAX];
    enum st st = db_one(
        tx, &rows,
        "SELECT l.receipt_id, l.due_at FROM repository r JOIN repo_blob l ON l.repo_id = r.id"
        " JOIN blob b ON b.id = l.blob_id WHERE r.name = $1 AND b.digest = $2",
        DB_ARGS(DB_TEXT(t->item.repo), DB_BYTES(digest_key(&t->item.digest, key))), err);
    if (st != ST_OK && st != ST_NOT_FOUND)
        return st;
    *out = st == ST_OK && db_int(&rows, 0) == t->receipt_id && db_int(&rows, 1) > now;
    return ST_OK;
}

/* The tag is gone or names another image, and its image is there, live or in the trash by another
 * receipt. */
static enum st tag_is_in(struct db_tx *tx, const struct trash_item *t, int64_t now, bool *out,
                         struct err *err)
{
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    char key[DIGEST_KEY_MAX];
    enum st st =
        db_one(tx, &rows,
               "SELECT m.receipt_id, m.due_at, EXISTS (SELECT 1 FROM tag g WHERE g.repo_id = r.id"
               " AND g.name = $1 AND g.manifest_id = m.id) FROM repository r"
               " JOIN manifest m ON m.repo_id = r.id WHERE r.name = $2 AND m.digest = $3",
               DB_ARGS(DB_TEXT(t->item.tag), DB_TEXT(t->item.repo),
                       DB_BYTES(digest_key(&t->item.digest, key))),
               err);
    if (st != ST_OK && st != ST_NOT_FOUND)
        return st;
    bool trashed = st == ST_OK && !db_is_null(&rows, 0);
    *out = st == ST_OK && db_int(&rows, 2) == 0 && db_int(&rows, 0) != t->receipt_id &&
           (!trashed || db_int(&rows, 1) > now);
    return ST_OK;
}

/* The tags that stand right before a manifest. */
static enum st read_tags(struct db_tx *tx, struct trash_item *t, struct arena *a, struct err *err)
{
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    char key[DIGEST_KEY_MAX];
    str digest = digest_key(&t->item.digest, key);
    size_t n = 0;
    str *tags = arena_alloc(a, TRASH_TAGS_MAX * sizeof(*tags));
    if (tags == NULL)
        return err_no_memory(err);
    enum st st = db_select(tx, &rows,
                           "SELECT kind, digest, tag, repo, why, undone_by FROM receipt_item"
                           " WHERE receipt_id = $1 AND item < $2 ORDER BY item DESC",
                           DB_ARGS(DB_INT(t->receipt_id), DB_INT(t->item.number)), err);
    while (st == ST_OK && n < TRASH_TAGS_MAX && (st = db_next(&rows, err)) == ST_OK) {
        if (!str_eq(db_text(&rows, 0), STR("t")) || !str_eq(db_bytes(&rows, 1), digest) ||
            !str_eq(db_text(&rows, 3), t->item.repo))
            break;
        if (!db_is_null(&rows, 4) || !db_is_null(&rows, 5))
            continue;
        tags[n] = arena_dup(a, db_text(&rows, 2));
        if (tags[n++].ptr == NULL)
            return err_no_memory(err);
    }
    if (st != ST_OK && st != ST_END)
        return st;
    for (size_t i = 0; i < n / 2; i++) { /* as they were written */
        str swap = tags[i];
        tags[i] = tags[n - 1 - i];
        tags[n - 1 - i] = swap;
    }
    t->tags = tags;
    t->tag_count = n;
    return ST_OK;
}

static enum st look_at(struct db_tx *tx, struct trash_item *t, int64_t now, struct arena *a,
                       bool *listed, struct err *err)
{
    switch (t->item.kind) {
    case ITEM_TAG:
        return tag_is_in(tx, t, now, listed, err);
    case ITEM_BLOB:
        return link_is_in(tx, t, now, listed, err);
    case ITEM_MANIFEST:
        break;
    }
    enum st st = manifest_is_in(tx, t, now, listed, err);
    return st == ST_OK && *listed ? read_tags(tx, t, a, err) : st;
}

/* The receipt that follows in the list: this one again, or the next older one in its grace. */
static enum st next_receipt(struct db_tx *tx, int64_t below, int64_t now, struct trash_item *out,
                            struct err *err)
{
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    enum st st = db_one(tx, &rows,
                        "SELECT id, created_at, due_at FROM receipt WHERE id < $1 AND due_at > $2"
                        " AND kind = 'delete' AND state IN ('sealed', 'open')"
                        " AND id >= (SELECT coalesce(min(id), 0) FROM receipt WHERE due_at > $2)"
                        " ORDER BY id DESC LIMIT 1",
                        DB_ARGS(DB_INT(below), DB_INT(now)), err);
    if (st == ST_OK)
        *out = (struct trash_item){ .receipt_id = db_int(&rows, 0),
                                    .deleted_at = db_int(&rows, 1),
                                    .until = db_int(&rows, 2) };
    return st;
}

struct listing {
    str prefix;
    int64_t now;
    size_t limit;
    struct arena *a;
    struct trash_item *items;
    size_t count;
    size_t scanned;
    struct trash_place place;
};

static bool is_full(const struct listing *l)
{
    return l->count == l->limit || l->scanned >= SCANNED_MAX;
}

/* Items of one receipt behind the place; ST_END when all were seen. */
static enum st list_receipt(struct db_tx *tx, struct listing *l, const struct trash_item *receipt,
                            struct err *err)
{
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    bool all = l->prefix.len == 0;
    enum st st = db_select(tx, &rows,
                           "SELECT " RECEIPT_ITEM_COLUMNS " FROM receipt_item WHERE receipt_id = $1"
                           " AND item > $2 ORDER BY item",
                           DB_ARGS(DB_INT(receipt->receipt_id), DB_INT(l->place.item)), err);
    while (st == ST_OK && !is_full(l) && (st = db_next(&rows, err)) == ST_OK) {
        str repo = db_text(&rows, 3);
        bool inside = all || (str_starts(repo, l->prefix) &&
                              (repo.len == l->prefix.len || repo.ptr[l->prefix.len] == '/'));
        bool can =
            db_is_null(&rows, 7) && db_is_null(&rows, 8) && str_eq(db_text(&rows, 2), STR("s"));
        bool listed = false;
        struct trash_item t = *receipt;
        l->scanned++;
        l->place.item = (uint64_t)db_int(&rows, 0);
        if (!inside || !can)
            continue;
        st = receipts_read_item(&rows, l->a, &t.item, err);
        if (st == ST_OK)
            st = look_at(tx, &t, l->now, l->a, &listed, err);
        if (st == ST_OK && listed)
            l->items[l->count++] = t;
    }
    return st;
}

enum st trash_list(struct db_tx *tx, str prefix, struct trash_place *place, size_t limit,
                   int64_t now, struct arena *a, struct trash_item **out, size_t *count, bool *more,
                   struct err *err)
{
    struct listing l = { .prefix = prefix, .now = now, .limit = limit, .a = a, .place = *place };
    struct trash_item receipt = { 0 };
    l.items = arena_alloc(a, (limit + 1) * sizeof(*l.items));
    if (l.items == NULL)
        return err_no_memory(err);
    int64_t below = l.place.receipt_id == 0 ? INT64_MAX : l.place.receipt_id + 1;
    enum st st = next_receipt(tx, below, now, &receipt, err);
    while (st == ST_OK && !is_full(&l)) {
        if (receipt.receipt_id != l.place.receipt_id)
            l.place = (struct trash_place){ .receipt_id = receipt.receipt_id };
        l.scanned++;
        st = list_receipt(tx, &l, &receipt, err);
        if (st == ST_END)
            st = next_receipt(tx, receipt.receipt_id, now, &receipt, err);
    }
    if (st != ST_OK && st != ST_NOT_FOUND)
        return st;
    *out = l.items;
    *count = l.count;
    *more = st == ST_OK;
    *place = l.place;
    return ST_OK;
}

/* ---- finding --------------------------------------------------------------------------------- */

enum st trash_find_tag(struct db_tx *tx, str repo, str tag, int64_t now, int64_t *receipt_id,
                       struct err *err)
{
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    enum st st = db_one(tx, &rows,
                        "SELECT r.id FROM receipt_item i JOIN receipt r ON r.id = i.receipt_id"
                        " WHERE i.repo = $1 AND i.tag = $2 AND i.tag IS NOT NULL AND i.why IS NULL"
                        " AND i.undone_by IS NULL AND r.kind = 'delete' AND r.due_at > $3"
                        " AND r.state = 'sealed' ORDER BY r.id DESC LIMIT 1",
                        DB_ARGS(DB_TEXT(repo), DB_TEXT(tag), DB_INT(now)), err);
    if (st == ST_OK)
        *receipt_id = db_int(&rows, 0);
    return st;
}

enum st trash_find_digest(struct db_tx *tx, str repo, const struct digest *d, int64_t now,
                          int64_t *receipt_id, struct err *err)
{
    struct manifest_target manifest = { 0 };
    struct link_target link = { 0 };
    int64_t repo_id = 0;
    enum st st = repositories_find(tx, repo, &repo_id, err);
    if (st != ST_OK)
        return st;
    st = targets_manifest(tx, repo_id, d, &manifest, err);
    if (st == ST_OK && manifest.receipt_id != 0 && manifest.due_at > now) {
        *receipt_id = manifest.receipt_id;
        return ST_OK;
    }
    if (st == ST_OK || st == ST_NOT_FOUND)
        st = targets_link(tx, repo_id, d, &link, err);
    if (st == ST_OK && (link.receipt_id == 0 || link.due_at <= now))
        st = err_set(err, ST_NOT_FOUND, "not found");
    if (st == ST_OK)
        *receipt_id = link.receipt_id;
    return st;
}

/* ---- emptying -------------------------------------------------------------------------------- */

/* Whether anything but what is due in the trash keeps the blob. A link that nothing uses does not:
 * it goes when its lease ends. */
static enum st kept_by_others(struct db_tx *tx, int64_t blob_id, int64_t now, bool *out,
                              struct err *err)
{
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    enum st st =
        db_select(tx, &rows,
                  "SELECT 1 FROM repo_blob l WHERE l.blob_id = $1 AND (l.kept > 0 OR l.loose > 0"
                  " OR (l.receipt_id IS NOT NULL AND l.due_at > $2)"
                  " OR (l.trash > 0 AND EXISTS (SELECT 1 FROM manifest_blob u JOIN manifest m"
                  "  ON m.id = u.manifest_id WHERE u.blob_id = $1 AND u.repo_id = l.repo_id"
                  "  AND m.receipt_id IS NOT NULL AND m.due_at > $2))) LIMIT 1",
                  DB_ARGS(DB_INT(blob_id), DB_INT(now)), err);
    if (st == ST_OK)
        st = db_next(&rows, err);
    if (st != ST_OK && st != ST_END)
        return st;
    *out = st == ST_OK;
    return ST_OK;
}

static enum st list_blobs(struct db_tx *tx, int64_t id, struct buf *out, struct err *err)
{
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    enum st st = db_select(tx, &rows,
                           "SELECT l.blob_id, l.size FROM manifest_blob u JOIN repo_blob l"
                           " ON l.repo_id = u.repo_id AND l.blob_id = u.blob_id"
                           " WHERE u.manifest_id = $1",
                           DB_ARGS(DB_INT(id)), err);
    while (st == ST_OK && (st = db_next(&rows, err)) == ST_OK) {
        int64_t blob[] = { db_int(&rows, 0), db_int(&rows, 1) };
        buf_add(out, (str){ (const char *)blob, sizeof(blob) });
    }
    return st == ST_END ? buf_status(out, err) : st;
}

enum st trash_empty_manifest(struct db_tx *tx, int64_t repo_id, const struct manifest_target *row,
                             int64_t now, uint64_t *freed, struct err *err)
{
    AUTO(buf_release) struct buf blobs = { .max_bytes = 64 * MIB };
    const struct keeping k = { .untagged = true, .cut = true };
    const struct links_move stay = { .manifest_id = row->id,
                                     .repo_id = repo_id,
                                     .payload_bytes = row->size,
                                     .from = MANIFEST_TRASH,
                                     .to = MANIFEST_TRASH };
    if (row->due_at <= now)
        return ST_OK; /* it is already */
    enum st st = db_run(tx, "UPDATE manifest SET due_at = $1 WHERE id = $2",
                        DB_ARGS(DB_INT(now), DB_INT(row->id)), NULL, err);
    if (st == ST_OK) /* the same state, but its links are let go without a lease */
        st = links_move_manifest(tx, &stay, &k, now, NULL, err);
    if (st == ST_OK)
        st = list_blobs(tx, row->id, &blobs, err);
    for (size_t at = 0; st == ST_OK && at < blobs.len; at += 2 * sizeof(int64_t)) {
        int64_t blob[2];
        bool kept = false;
        memcpy(blob, blobs.ptr + at, sizeof(blob));
        st = kept_by_others(tx, blob[0], now, &kept, err);
        if (st == ST_OK && !kept)
            *freed += (uint64_t)blob[1];
    }
    if (st == ST_OK)
        *freed += row->size;
    return st;
}

enum st trash_empty_link(struct db_tx *tx, const struct link_ref *link, int64_t now,
                         uint64_t *freed, struct err *err)
{
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    bool kept = false;
    enum st st = db_one(tx, &rows,
                        "SELECT size FROM repo_blob WHERE repo_id = $1 AND blob_id = $2"
                        " AND receipt_id IS NOT NULL AND due_at > $3",
                        DB_ARGS(DB_INT(link->repo_id), DB_INT(link->blob_id), DB_INT(now)), err);
    if (st != ST_OK)
        return st == ST_NOT_FOUND ? ST_OK : st;
    uint64_t size = (uint64_t)db_int(&rows, 0);
    db_rows_close(&rows);
    st = db_run(tx,
                "UPDATE repo_blob SET due_at = $1, lease_until = $1"
                " WHERE repo_id = $2 AND blob_id = $3",
                DB_ARGS(DB_INT(now), DB_INT(link->repo_id), DB_INT(link->blob_id)), NULL, err);
    if (st == ST_OK)
        st = kept_by_others(tx, link->blob_id, now, &kept, err);
    if (st == ST_OK && !kept)
        *freed += size;
    return st;
}
