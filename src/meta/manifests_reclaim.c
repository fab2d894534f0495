/* SPDX-License-Identifier: Apache-2.0
 *
 * Removing manifests for good. Each is looked at again in the transaction that removes it; a graph
 * goes from above to below, in one step when all of it is due.
 */
#include "base/clock.h"
#include "meta/manifests_int.h"
#include "meta/repositories.h"

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

static enum st delete_rows(struct db_tx *tx, int64_t id, const struct standing *s,
                           const struct keeping *k, int64_t now, struct err *err)
{
    const struct links_move move = { .manifest_id = id,
                                     .repo_id = s->repo_id,
                                     .payload_bytes = s->size,
                                     .from = s->trashed ? MANIFEST_TRASH : MANIFEST_LOOSE,
                                     .to = MANIFEST_ABSENT };
    enum st st = links_move_manifest(tx, &move, k, now, NULL, err);
    if (st == ST_OK)
        st = manifests_drop_blobs(tx, id, err);
    if (st == ST_OK)
        st = db_run(tx, "DELETE FROM manifest_child WHERE manifest_id = $1", DB_ARGS(DB_INT(id)),
                    NULL, err);
    if (st == ST_OK)
        st = db_run(tx, "DELETE FROM manifest_pull WHERE manifest_id = $1", DB_ARGS(DB_INT(id)),
                    NULL, err);
    if (st == ST_OK)
        st = db_run(tx, "DELETE FROM manifest_payload WHERE manifest_id = $1", DB_ARGS(DB_INT(id)),
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

static enum st remove_manifest(struct db_tx *tx, int64_t id, const struct standing *s,
                               const struct keeping *k, int64_t now, struct worklist *below,
                               struct removal *out, struct err *err)
{
    AUTO(worklist_release) struct worklist blobs = { .ids = { .max_bytes = 16 * MIB } };
    struct link_ref link = { .repo_id = s->repo_id };
    enum st st = list_blobs(tx, id, &blobs.ids, err);
    if (st == ST_OK && out->manifests < AT_ONCE_MAX)
        st = list_due_below(tx, id, now, below, err);
    if (st == ST_OK)
        st = delete_rows(tx, id, s, k, now, err);
    while (st == ST_OK && worklist_next(&blobs, &link.blob_id))
        st = links_review(tx, &link, now, out, err);
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
        return manifests_review(tx, id, k, now, NULL, err);
    if (!s->trashed && !k->untagged) /* not to be collected: looked at again another day */
        return put_off(tx, id, now + CLOCK_DAY_MS, err);
    if (s->trashed && s->held) /* set on what was in the trash already */
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
            st = remove_manifest(tx, id, &s, k, now, &work, out, err);
    }
    return st;
}
