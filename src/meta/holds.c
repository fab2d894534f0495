/* SPDX-License-Identifier: Apache-2.0
 *
 * Rows of hold. A hold that comes or goes makes manifests kept or lets them go (manifests.h); links
 * are asked when they are looked at (links.h).
 *
 * Adding, removing and expiring are each one transaction with the reviews they call for, so a crash
 * leaves a hold with what it keeps, or neither.
 */
#include "base/buf.h"
#include "meta/manifests.h"
#include "meta/protection.h"

#define REVIEWED_MAX (16 * MIB) /* bytes of ids */

/* Is a manifest or a blob of this digest there, live or in the trash? */
static enum st find_held(struct db_tx *tx, const struct hold *hold, bool *out, struct err *err)
{
    static const char in_one[] =
        "SELECT 1 FROM repository r JOIN manifest m ON m.repo_id = r.id AND m.digest = $1"
        " WHERE r.name = $2"
        " UNION ALL SELECT 1 FROM blob b JOIN repo_blob l ON l.blob_id = b.id"
        " JOIN repository r ON r.id = l.repo_id WHERE b.digest = $1 AND r.name = $2 LIMIT 1";
    static const char in_any[] = "SELECT 1 FROM blob WHERE digest = $1"
                                 " UNION ALL SELECT 1 FROM repository r CROSS JOIN manifest m"
                                 " WHERE m.repo_id = r.id AND m.digest = $1 LIMIT 1";
    char key[DIGEST_KEY_MAX];
    const struct db_arg args[] = { DB_BYTES(digest_key(&hold->digest, key)), DB_TEXT(hold->repo) };
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    bool any = hold->repo.len == 0;
    enum st st = db_select(tx, &rows, any ? in_any : in_one, args, any ? 1 : 2, err);
    if (st == ST_OK)
        st = db_next(&rows, err);
    *out = st == ST_OK;
    return st == ST_END ? ST_OK : st;
}

/* Manifests of the digest, in one repository or in all. There is no index over digests alone: a
 * push would pay for it, and holds in every repository are rare. One look-up a repository. */
static enum st list_manifests(struct db_tx *tx, const struct hold *hold, struct buf *ids,
                              struct err *err)
{
    static const char in_one[] = "SELECT m.id FROM repository r JOIN manifest m"
                                 " ON m.repo_id = r.id AND m.digest = $1 WHERE r.name = $2";
    static const char in_any[] = "SELECT m.id FROM repository r CROSS JOIN manifest m"
                                 " WHERE m.repo_id = r.id AND m.digest = $1";
    char key[DIGEST_KEY_MAX];
    const struct db_arg args[] = { DB_BYTES(digest_key(&hold->digest, key)), DB_TEXT(hold->repo) };
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    bool any = hold->repo.len == 0;
    enum st st = db_select(tx, &rows, any ? in_any : in_one, args, any ? 1 : 2, err);
    while (st == ST_OK && (st = db_next(&rows, err)) == ST_OK) {
        int64_t id = db_int(&rows, 0);
        buf_add(ids, (str){ (const char *)&id, sizeof(id) });
    }
    return st == ST_END ? buf_status(ids, err) : st;
}

static enum st review_manifests(struct db_tx *tx, const struct hold *hold, const struct keeping *k,
                                int64_t now, struct err *err)
{
    AUTO(buf_release) struct buf ids = { .max_bytes = REVIEWED_MAX };
    enum st st = list_manifests(tx, hold, &ids, err);
    for (size_t at = 0; st == ST_OK && at < ids.len; at += sizeof(int64_t)) {
        int64_t id;
        memcpy(&id, ids.ptr + at, sizeof(id));
        st = manifests_review(tx, id, k, now, NULL, err);
    }
    return st;
}

/* A link that was put off to the end of the hold, which may be years away, is looked at after a
 * grace from now on. Not before: what is in the queue for another reason keeps its time. */
static enum st hasten_links(struct db_tx *tx, const struct hold *hold, const struct keeping *k,
                            int64_t now, struct err *err)
{
    static const char hasten[] =
        "UPDATE repo_blob SET due_at = $1 WHERE blob_id = (SELECT id FROM blob WHERE digest = $2)"
        " AND due_at > $1 AND ($3 = '' OR repo_id = (SELECT id FROM repository WHERE name = $3))"
        " AND NOT EXISTS (SELECT 1 FROM receipt t WHERE t.id = repo_blob.receipt_id"
        "  AND t.due_at > $1)";
    char key[DIGEST_KEY_MAX];
    return db_run(tx, hasten,
                  DB_ARGS(DB_INT(now + MAX(k->lease_ms, k->grace_ms)),
                          DB_BYTES(digest_key(&hold->digest, key)), DB_TEXT(hold->repo)),
                  NULL, err);
}

static enum st let_go(struct db_tx *tx, const struct hold *hold, const struct keeping *k,
                      int64_t now, struct err *err)
{
    enum st st = db_run(tx, "DELETE FROM hold WHERE id = $1", DB_ARGS(DB_INT(hold->id)), NULL, err);
    if (st == ST_OK)
        st = review_manifests(tx, hold, k, now, err);
    return st == ST_OK ? hasten_links(tx, hold, k, now, err) : st;
}

static enum st insert_hold(struct db_tx *tx, const struct hold *hold, int64_t *id, struct err *err)
{
    char key[DIGEST_KEY_MAX];
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    enum st st =
        db_one(tx, &rows,
               "INSERT INTO hold (repo, digest, until, created_at, actor, reason)"
               " VALUES ($1, $2, $3, $4, $5, $6) RETURNING id",
               DB_ARGS(DB_TEXT(hold->repo), DB_BYTES(digest_key(&hold->digest, key)),
                       hold->until == 0 ? DB_NULL : DB_INT(hold->until), DB_INT(hold->created_at),
                       DB_TEXT(hold->actor.ptr == NULL ? STR("") : hold->actor),
                       DB_TEXT_OR_NULL(hold->reason)),
               err);
    if (st == ST_OK)
        *id = db_int(&rows, 0);
    return st;
}

enum st holds_add(struct db_tx *tx, const struct hold *hold, const struct keeping *k, int64_t *id,
                  struct err *err)
{
    struct hold in = *hold;
    char text[DIGEST_TEXT_MAX + 1];
    bool there = false;
    if (in.repo.ptr == NULL)
        in.repo = STR("");
    if (in.until < 0 || (in.until != 0 && in.until <= in.created_at))
        return err_set(err, ST_INVALID, "a hold must end after now, or never");
    enum st st = find_held(tx, &in, &there, err);
    if (st == ST_OK && !there) {
        str digest = digest_text(&in.digest, text);
        return err_set(err, ST_NOT_FOUND, "there is no manifest and no blob %.*s in %.*s",
                       STR_FMT(digest),
                       STR_FMT(in.repo.len == 0 ? STR("any repository") : in.repo));
    }
    if (st == ST_OK)
        st = insert_hold(tx, &in, id, err);
    return st == ST_OK ? review_manifests(tx, &in, k, in.created_at, err) : st;
}

#define HOLD_COLUMNS "id, repo, digest, until, created_at, actor, reason"

static enum st read_hold(const struct db_rows *rows, struct arena *a, struct hold *out,
                         struct err *err)
{
    *out = (struct hold){
        .id = db_int(rows, 0),
        .repo = arena_dup(a, db_text(rows, 1)),
        .until = db_int(rows, 3),
        .created_at = db_int(rows, 4),
        .actor = arena_dup(a, db_text(rows, 5)),
    };
    bool copied = out->repo.ptr != NULL && out->actor.ptr != NULL;
    if (!db_is_null(rows, 6))
        copied &= (out->reason = arena_dup(a, db_text(rows, 6))).ptr != NULL;
    if (!copied)
        return err_no_memory(err);
    return digest_of_key(db_bytes(rows, 2), &out->digest, err);
}

static enum st read_holds(struct db_rows *rows, size_t limit, struct arena *a, struct hold **out,
                          size_t *count, struct err *err)
{
    struct hold *list = arena_alloc(a, (limit + 1) * sizeof(*list));
    size_t n = 0;
    enum st st = list == NULL ? err_no_memory(err) : ST_OK;
    while (st == ST_OK && (st = db_next(rows, err)) == ST_OK)
        st = read_hold(rows, a, &list[n++], err);
    if (st != ST_END)
        return st;
    *out = list;
    *count = n;
    return ST_OK;
}

enum st holds_remove(struct db_tx *tx, int64_t id, const struct keeping *k, int64_t now,
                     struct err *err)
{
    AUTO(arena_release) struct arena scratch = { 0 };
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    struct hold hold = { 0 };
    enum st st = db_one(tx, &rows, "SELECT " HOLD_COLUMNS " FROM hold WHERE id = $1",
                        DB_ARGS(DB_INT(id)), err);
    if (st == ST_NOT_FOUND)
        return err_set(err, st, "there is no hold %lld", (long long)id);
    if (st == ST_OK)
        st = read_hold(&rows, &scratch, &hold, err);
    db_rows_close(&rows);
    return st == ST_OK ? let_go(tx, &hold, k, now, err) : st;
}

enum st holds_list(struct db_tx *tx, int64_t after_id, size_t limit, struct arena *a,
                   struct hold **out, size_t *count, struct err *err)
{
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    enum st st =
        db_select(tx, &rows, "SELECT " HOLD_COLUMNS " FROM hold WHERE id > $1 ORDER BY id LIMIT $2",
                  DB_ARGS(DB_INT(after_id), DB_INT(limit)), err);
    return st == ST_OK ? read_holds(&rows, limit, a, out, count, err) : st;
}

enum st holds_expire(struct db_tx *tx, const struct keeping *k, int64_t now, size_t limit,
                     size_t *count, struct err *err)
{
    AUTO(arena_release) struct arena scratch = { .limit_bytes = 16 * MIB };
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    struct hold *over = NULL;
    size_t n = 0;
    enum st st = db_select(tx, &rows,
                           "SELECT " HOLD_COLUMNS " FROM hold"
                           " WHERE until IS NOT NULL AND until <= $1 ORDER BY until LIMIT $2",
                           DB_ARGS(DB_INT(now), DB_INT(limit)), err);
    if (st == ST_OK)
        st = read_holds(&rows, limit, &scratch, &over, &n, err);
    db_rows_close(&rows);
    for (size_t i = 0; i < n && st == ST_OK; i++)
        st = let_go(tx, &over[i], k, now, err);
    if (st == ST_OK)
        *count = n;
    return st;
}
