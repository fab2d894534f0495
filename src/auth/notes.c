/* SPDX-License-Identifier: Apache-2.0
 *
 *   new ──flush──▶ written ──the same again──▶ pending ──flush, minute over──▶ gone
 *                     └────────────flush, minute over, nothing pending──────────┘
 *
 * Only a flush removes entries, so it reads those that it collected without the lock.
 */
#include "auth/notes.h"

#include "base/clock.h"
#include "base/lock.h"
#include "base/mem.h"

#define MERGE_MS CLOCK_MINUTE_MS

enum { ACTOR, PEER, DOOR, ACTION, OBJECT, MERGED, DETAIL = MERGED, TEXTS };

struct note {
    int64_t at;
    uint64_t pending; /* not written yet */
    bool written;
    uint64_t hash; /* of the first MERGED texts */
    str texts[TEXTS];
    char room[];
};

struct use {
    enum notes_use_kind kind;
    int64_t id;
    int64_t at;
};

struct notes {
    struct lock lock;
    uint64_t lost;
    size_t count;
    struct note *items[NOTES_MAX];
    size_t use_count;
    struct use uses[NOTES_USES];
};

enum st notes_new(struct notes **out, struct err *err)
{
    struct notes *n = mem_new(sizeof(*n));
    if (n == NULL)
        return err_no_memory(err);
    lock_init(&n->lock, LOCK_AUTH_TRAIL);
    *out = n;
    return ST_OK;
}

void notes_free(struct notes *n)
{
    if (n == NULL)
        return;
    for (size_t i = 0; i < n->count; i++)
        mem_free(n->items[i]);
    lock_release(&n->lock);
    mem_free(n);
}

/* ---- noting ---------------------------------------------------------------------------------- */

static uint64_t hash_of(const str *texts)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325); /* FNV-1a; a collision costs a comparison */
    for (size_t i = 0; i < MERGED; i++) {
        for (size_t k = 0; k < texts[i].len; k++)
            hash = (hash ^ (unsigned char)texts[i].ptr[k]) * UINT64_C(0x100000001b3);
        hash = (hash ^ 0xff) * UINT64_C(0x100000001b3);
    }
    return hash;
}

static struct note *find(struct notes *n, const str *texts, uint64_t hash, int64_t now)
{
    for (size_t i = 0; i < n->count; i++) {
        struct note *note = n->items[i];
        bool same = note->hash == hash && now - note->at < MERGE_MS;
        for (size_t k = 0; same && k < MERGED; k++)
            same = str_eq(note->texts[k], texts[k]);
        if (same)
            return note;
    }
    return NULL;
}

static struct note *make(const str *texts, uint64_t hash, int64_t now)
{
    size_t size = 0;
    for (size_t i = 0; i < TEXTS; i++)
        size += texts[i].len;
    struct note *note = mem_new(sizeof(*note) + size);
    if (note == NULL)
        return NULL;
    note->at = now;
    note->hash = hash;
    char *to = note->room;
    for (size_t i = 0; i < TEXTS; i++) {
        if (texts[i].len > 0)
            memcpy(to, texts[i].ptr, texts[i].len);
        note->texts[i] = texts[i].ptr == NULL && i == DETAIL ? STR_NONE : (str){ to, texts[i].len };
        to += texts[i].len;
    }
    return note;
}

/* Not within a character. */
static str cut(str s)
{
    if (s.len <= NOTE_TEXT_MAX)
        return s;
    s.len = NOTE_TEXT_MAX;
    while (s.len > 0 && ((unsigned char)s.ptr[s.len] & 0xc0) == 0x80)
        s.len--;
    return s;
}

void notes_add(struct notes *n, const struct trail_entry *e, int64_t now)
{
    const str texts[TEXTS] = { cut(e->actor),  cut(e->peer),   cut(e->door),
                               cut(e->action), cut(e->object), cut(e->detail) };
    uint64_t hash = hash_of(texts);
    LOCK_SCOPE(&n->lock);
    struct note *note = find(n, texts, hash, now);
    if (note == NULL && n->count < NOTES_MAX && (note = make(texts, hash, now)) != NULL)
        n->items[n->count++] = note;
    if (note != NULL)
        note->pending++;
    else
        n->lost++;
}

void notes_use(struct notes *n, enum notes_use_kind kind, int64_t id, int64_t now)
{
    LOCK_SCOPE(&n->lock);
    if (n->use_count < NOTES_USES) /* a later use will be noted */
        n->uses[n->use_count++] = (struct use){ kind, id, now };
}

/* ---- writing --------------------------------------------------------------------------------- */

struct batch {
    int64_t now;
    uint64_t lost;
    size_t count;
    struct {
        struct note *note;
        uint64_t times;
    } items[NOTES_MAX];
    size_t use_count;
    struct use uses[NOTES_USES];
};

static void collect(struct notes *n, int64_t now, bool all, struct batch *out)
{
    LOCK_SCOPE(&n->lock);
    out->now = now;
    out->lost = n->lost;
    out->count = 0;
    for (size_t i = 0; i < n->count; i++) {
        struct note *note = n->items[i];
        if (note->pending > 0 && (all || !note->written || now - note->at >= MERGE_MS)) {
            out->items[out->count].note = note;
            out->items[out->count++].times = note->pending;
        }
    }
    out->use_count = n->use_count;
    memcpy(out->uses, n->uses, n->use_count * sizeof(n->uses[0]));
}

static enum st write_note(struct db_tx *tx, const struct note *note, uint64_t times,
                          struct err *err)
{
    const struct trail_entry e = { .at = note->at,
                                   .actor = note->texts[ACTOR],
                                   .peer = note->texts[PEER],
                                   .door = note->texts[DOOR],
                                   .action = note->texts[ACTION],
                                   .object = note->texts[OBJECT],
                                   .detail = note->texts[DETAIL],
                                   .times = times };
    return trail_add(tx, &e, err);
}

static enum st write_lost(struct db_tx *tx, const struct batch *b, struct err *err)
{
    const struct trail_entry e = { .at = b->now,
                                   .actor = STR("server"),
                                   .peer = STR(""),
                                   .door = STR("server"),
                                   .action = STR("entries lost"),
                                   .object = STR(""),
                                   .detail = STR("more entries at once than the audit log takes"),
                                   .times = b->lost };
    return trail_add(tx, &e, err);
}

static enum st write_batch(struct db_tx *tx, void *ctx, struct err *err)
{
    const struct batch *b = ctx;
    enum st st = ST_OK;
    for (size_t i = 0; i < b->count && st == ST_OK; i++)
        st = write_note(tx, b->items[i].note, b->items[i].times, err);
    if (st == ST_OK && b->lost > 0)
        st = write_lost(tx, b, err);
    for (size_t i = 0; i < b->use_count && st == ST_OK; i++) {
        const struct use *u = &b->uses[i];
        st = u->kind == USE_OF_ACCOUNT ? accounts_note_use(tx, u->id, u->at, err)
                                       : tokens_note_use(tx, u->id, u->at, err);
        if (st == ST_NOT_FOUND) /* removed meanwhile */
            st = ST_OK;
    }
    return st;
}

static void mark_written(struct notes *n, const struct batch *b)
{
    LOCK_SCOPE(&n->lock);
    for (size_t i = 0; i < b->count; i++) {
        b->items[i].note->pending -= b->items[i].times;
        b->items[i].note->written = true;
    }
    n->lost -= b->lost;
    n->use_count -= b->use_count;
    memmove(n->uses, n->uses + b->use_count, n->use_count * sizeof(n->uses[0]));
}

static void drop_over(struct notes *n, int64_t now)
{
    LOCK_SCOPE(&n->lock);
    size_t kept = 0;
    for (size_t i = 0; i < n->count; i++) {
        struct note *note = n->items[i];
        if (note->written && note->pending == 0 && now - note->at >= MERGE_MS)
            mem_free(note);
        else
            n->items[kept++] = note;
    }
    n->count = kept;
}

enum st notes_flush(struct notes *n, struct registry *r, int64_t now, bool all, struct err *err)
{
    struct batch *b = mem_new(sizeof(*b));
    if (b == NULL)
        return err_no_memory(err);
    collect(n, now, all, b);
    enum st st = ST_OK;
    if (b->count > 0 || b->lost > 0 || b->use_count > 0)
        st = registry_write(r, write_batch, b, err);
    if (st == ST_OK) {
        mark_written(n, b);
        drop_over(n, now);
    }
    mem_free(b);
    return st;
}
