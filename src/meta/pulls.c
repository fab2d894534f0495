/* SPDX-License-Identifier: Apache-2.0
 *
 * Notes lie in shards, each with its lock, so that event loops seldom meet. A shard is a set-
 * associative table: an id has WAYS places, found by its hash, and nothing ever moves.
 *
 *   empty ──note──▶ new ──flush──▶ written ──note──▶ pulled again
 *     ▲                              │  ▲                  │
 *     └── its place is wanted ───────┘  └──────────────────┘
 *                                         flush, PULLS_REWRITE_MS later
 *
 * A place is taken from what was written, the oldest first; a new note is never given up for
 * another: when all places hold new notes, the one that comes is forgotten. A crash loses what is
 * new, and up to PULLS_REWRITE_MS of what was pulled again.
 */
#include "meta/pulls.h"

#include "base/lock.h"
#include "base/mem.h"
#include "meta/settings.h"

#define SHARDS    16
#define WAYS      8
#define SETS      (PULLS_MAX / SHARDS / WAYS)
#define BATCH_MAX 512 /* notes in one transaction: other writers wait for little */
#define SINCE     "pulls.since"

struct note {
    int64_t manifest_id; /* 0: empty */
    int64_t pulled_at;
    int64_t written; /* of pulled_at, what is in the row; 0: never written */
};

struct shard {
    struct lock lock;
    struct note notes[SETS][WAYS];
};

struct pulls {
    struct shard shards[SHARDS];
};

enum st pulls_new(struct pulls **out, struct err *err)
{
    struct pulls *p = mem_new(sizeof(*p));
    if (p == NULL)
        return err_no_memory(err);
    for (size_t i = 0; i < SHARDS; i++)
        lock_init(&p->shards[i].lock, LOCK_PULLS);
    *out = p;
    return ST_OK;
}

void pulls_free(struct pulls *p)
{
    if (p == NULL)
        return;
    for (size_t i = 0; i < SHARDS; i++)
        lock_release(&p->shards[i].lock);
    mem_free(p);
}

/* ---- the table ------------------------------------------------------------------------------- */

/* Ids are given out one after the other; this spreads them over shards and sets. */
static uint64_t hash_of(int64_t id)
{
    return (uint64_t)id * UINT64_C(0x9e3779b97f4a7c15) >> 32;
}

static struct shard *shard_of(struct pulls *p, int64_t id)
{
    return &p->shards[hash_of(id) % SHARDS];
}

static struct note *set_of(struct shard *s, int64_t id)
{
    return s->notes[hash_of(id) / SHARDS % SETS];
}

static struct note *find_note(struct note *set, int64_t id)
{
    for (size_t i = 0; i < WAYS; i++)
        if (set[i].manifest_id == id)
            return &set[i];
    return NULL;
}

/* An empty place, or that of the note that was written with the oldest pull; NULL. */
static struct note *find_place(struct note *set)
{
    struct note *oldest = NULL;
    for (size_t i = 0; i < WAYS; i++) {
        if (set[i].manifest_id == 0)
            return &set[i];
        if (set[i].written != 0 && (oldest == NULL || set[i].pulled_at < oldest->pulled_at))
            oldest = &set[i];
    }
    return oldest;
}

void pulls_note(struct pulls *p, int64_t manifest_id, int64_t now)
{
    if (p == NULL)
        return;
    struct shard *s = shard_of(p, manifest_id);
    LOCK_SCOPE(&s->lock);
    struct note *set = set_of(s, manifest_id);
    struct note *note = find_note(set, manifest_id);
    if (note != NULL)
        note->pulled_at = MAX(note->pulled_at, now);
    else if ((note = find_place(set)) != NULL)
        *note = (struct note){ .manifest_id = manifest_id, .pulled_at = now };
}

/* ---- writing --------------------------------------------------------------------------------- */

struct batch {
    struct note notes[BATCH_MAX];
    size_t count;
};

static enum st write_batch(struct db_tx *tx, void *ctx, struct err *err)
{
    const struct batch *b = ctx;
    enum st st = ST_OK;
    for (size_t i = 0; i < b->count && st == ST_OK; i++)
        st = db_run(tx,
                    "INSERT INTO manifest_pull (manifest_id, pulled_at)"
                    " SELECT id, $1 FROM manifest WHERE id = $2"
                    " ON CONFLICT (manifest_id) DO UPDATE SET pulled_at = excluded.pulled_at"
                    " WHERE manifest_pull.pulled_at < excluded.pulled_at",
                    DB_ARGS(DB_INT(b->notes[i].pulled_at), DB_INT(b->notes[i].manifest_id)), NULL,
                    err);
    return st;
}

static bool is_due(const struct note *n, int64_t now, bool all)
{
    return n->manifest_id != 0 && n->pulled_at > n->written &&
           (all || n->written == 0 || now - n->written >= PULLS_REWRITE_MS);
}

/* From set `*from` on, as many as fit; *from is where to go on. */
static void collect(struct shard *s, size_t *from, int64_t now, bool all, struct batch *out)
{
    LOCK_SCOPE(&s->lock);
    out->count = 0;
    for (; *from < SETS && out->count + WAYS <= BATCH_MAX; (*from)++)
        for (size_t i = 0; i < WAYS; i++)
            if (is_due(&s->notes[*from][i], now, all))
                out->notes[out->count++] = s->notes[*from][i];
}

static void mark_written(struct shard *s, const struct batch *b)
{
    LOCK_SCOPE(&s->lock);
    for (size_t i = 0; i < b->count; i++) {
        int64_t id = b->notes[i].manifest_id;
        struct note *n = find_note(set_of(s, id), id);
        if (n != NULL)
            n->written = b->notes[i].pulled_at;
    }
}

enum st pulls_flush(struct pulls *p, struct db *db, int64_t now, bool all, struct err *err)
{
    struct batch *b = mem_new(sizeof(*b));
    enum st st = b == NULL ? err_no_memory(err) : ST_OK;
    for (size_t i = 0; i < SHARDS && st == ST_OK; i++) {
        for (size_t from = 0; from < SETS && st == ST_OK;) {
            collect(&p->shards[i], &from, now, all, b);
            if (b->count > 0)
                st = db_write(db, write_batch, b, err);
            if (st == ST_OK)
                mark_written(&p->shards[i], b);
        }
    }
    mem_free(b);
    return st;
}

/* ---- asking ---------------------------------------------------------------------------------- */

static int64_t find_in_memory(struct pulls *p, int64_t manifest_id)
{
    if (p == NULL)
        return 0;
    struct shard *s = shard_of(p, manifest_id);
    LOCK_SCOPE(&s->lock);
    const struct note *n = find_note(set_of(s, manifest_id), manifest_id);
    return n == NULL ? 0 : n->pulled_at;
}

enum st pulls_find(struct db_tx *tx, struct pulls *p, int64_t manifest_id, int64_t *out,
                   struct err *err)
{
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    int64_t noted = find_in_memory(p, manifest_id);
    enum st st = db_one(tx, &rows, "SELECT pulled_at FROM manifest_pull WHERE manifest_id = $1",
                        DB_ARGS(DB_INT(manifest_id)), err);
    if (st != ST_OK && st != ST_NOT_FOUND)
        return st;
    *out = MAX(noted, st == ST_OK ? db_int(&rows, 0) : 0);
    return ST_OK;
}

enum st pulls_since(struct db_tx *tx, int64_t now, int64_t *out, struct err *err)
{
    AUTO(arena_release) struct arena scratch = { 0 };
    str text = STR_NONE;
    uint64_t since = 0;
    enum st st = settings_get(tx, SINCE, &scratch, &text, err);
    if (st != ST_OK)
        return st;
    /* What cannot be read is not known: nothing counts as "not pulled". */
    bool known = text.ptr != NULL && str_to_u64(text, INT64_MAX, &since);
    *out = known ? (int64_t)since : now;
    return ST_OK;
}

enum st pulls_begin(struct db_tx *tx, int64_t now, struct err *err)
{
    AUTO(arena_release) struct arena scratch = { 0 };
    str text = STR_NONE;
    uint64_t since = 0;
    enum st st = settings_get(tx, SINCE, &scratch, &text, err);
    if (st != ST_OK || (text.ptr != NULL && str_to_u64(text, INT64_MAX, &since)))
        return st;
    text = arena_printf(&scratch, "%lld", (long long)now);
    return text.ptr == NULL ? err_no_memory(err) : settings_set(tx, SINCE, text, err);
}
