/* SPDX-License-Identifier: Apache-2.0
 *
 * Plans in their rows: finding, listing, dropping.
 */
#include "deletion/deletion_int.h"
#include "deletion/plan_item.h"
#include "deletion/plan_summary.h"

#define SCANNED_CHUNKS 32 /* by a page of items, at most */
/* A place in a plan is chunk * PLACES + item. */
#define PLACES         ((uint64_t)PLAN_CHUNK_ITEMS)

enum st plan_load(struct db_tx *tx, str id, int64_t now, struct arena *a, struct plan *out,
                  uint64_t *chunks, struct err *err)
{
    struct plan_row row = { 0 };
    enum st st = plans_find(tx, id, a, &row, err);
    if (st == ST_NOT_FOUND || (st == ST_OK && row.receipt_id == 0 && row.expires_at <= now))
        return err_set(err, ST_NOT_FOUND,
                       "there is no such plan; plans are forgotten after a while");
    return st == ST_OK ? plan_summary_read(&row, a, out, chunks, err) : st;
}

enum st plan_load_chunk(struct db_tx *tx, str id, uint64_t chunk, struct arena *a,
                        struct plan_item **items, size_t *count, struct err *err)
{
    str bytes = STR_NONE;
    enum st st = plans_find_chunk(tx, id, chunk, a, &bytes, err);
    if (st == ST_NOT_FOUND)
        return err_set(err, ST_CORRUPT, "a part of the stored plan is missing");
    return st == ST_OK ? plan_chunk_open(bytes, id, chunk, a, items, count, err) : st;
}

/* A call under way. */
struct looking {
    str id;
    int64_t now;
    struct arena *a;
    struct plan plan;
    uint64_t chunks;
    const struct plan_filter *filter;
    uint64_t from;
    size_t limit;
    struct plan_page page;
    bool more;
};

static enum st find(struct db_tx *tx, void *ctx, struct err *err)
{
    struct looking *l = ctx;
    return plan_load(tx, l->id, l->now, l->a, &l->plan, &l->chunks, err);
}

enum st plan_find(struct deletion *d, str id, int64_t now, struct arena *a, struct plan *out,
                  struct err *err)
{
    struct looking l = { .id = id, .now = now, .a = a };
    enum st st = db_read(d->r->db, find, &l, err);
    if (st == ST_OK)
        *out = l.plan;
    return st;
}

/* ---- repositories ---------------------------------------------------------------------------- */

struct visiting {
    struct looking look;
    bool (*visit)(void *ctx, str repo);
    void *ctx;
    bool on;
};

static enum st visit_chunk(struct db_tx *tx, struct visiting *v, uint64_t chunk, struct err *err)
{
    AUTO(arena_release) struct arena scratch = { .limit_bytes = 4 * MIB };
    struct plan_item *items = NULL;
    size_t count = 0;
    enum st st = plan_load_chunk(tx, v->look.id, chunk, &scratch, &items, &count, err);
    for (size_t i = 0; st == ST_OK && i < count && v->on; i++)
        if (i == 0 || !str_eq(items[i].repo, items[i - 1].repo))
            v->on = v->visit(v->ctx, items[i].repo);
    return st;
}

static enum st visit_chunks(struct db_tx *tx, void *ctx, struct err *err)
{
    struct visiting *v = ctx;
    struct looking *l = &v->look;
    enum st st = plan_load(tx, l->id, l->now, l->a, &l->plan, &l->chunks, err);
    for (uint64_t i = 0; st == ST_OK && i < l->chunks && v->on; i++)
        st = visit_chunk(tx, v, i, err);
    return st;
}

enum st plan_visit_repositories(struct deletion *d, str id, int64_t now,
                                bool (*visit)(void *ctx, str repo), void *ctx, struct err *err)
{
    AUTO(arena_release) struct arena a = { .limit_bytes = 64 * MIB };
    struct visiting v = {
        .look = { .id = id, .now = now, .a = &a }, .visit = visit, .ctx = ctx, .on = true
    };
    return db_read(d->r->db, visit_chunks, &v, err);
}

/* ---- dropping -------------------------------------------------------------------------------- */

static enum st drop(struct db_tx *tx, void *ctx, struct err *err)
{
    struct looking *l = ctx;
    enum st st = plans_remove(tx, l->id, err);
    return st == ST_NOT_FOUND ? err_set(err, st, "there is no such plan") : st;
}

enum st plan_drop(struct deletion *d, str id, struct err *err)
{
    struct looking l = { .id = id };
    return db_write(d->r->db, drop, &l, err);
}

static enum st expire(struct db_tx *tx, void *ctx, struct err *err)
{
    struct looking *l = ctx;
    return plans_expire(tx, l->now, &l->more, err);
}

static enum st any_expired(struct db_tx *tx, void *ctx, struct err *err)
{
    struct looking *l = ctx;
    return plans_expired(tx, l->now, &l->more, err);
}

enum st plan_expire(struct deletion *d, int64_t now, struct err *err)
{
    struct looking l = { .now = now };
    enum st st = db_read(d->r->db, any_expired, &l, err);
    while (st == ST_OK && l.more)
        st = db_write(d->r->db, expire, &l, err);
    return st;
}

/* ---- items ---------------------------------------------------------------------------------- */

static bool wanted(const struct plan_filter *f, const struct plan_item *item)
{
    if (f == NULL)
        return true;
    return (f->kind < 0 || f->kind == (int)item->kind) &&
           (f->state < 0 || (f->state == 1) == item->is_protected);
}

static bool copy_str(struct arena *a, str *s)
{
    if (s->ptr != NULL)
        *s = arena_dup(a, *s);
    else
        return true;
    return s->ptr != NULL;
}

static enum st add_to_page(struct looking *l, const struct plan_item *item, struct err *err)
{
    struct plan_item *copy = &l->page.items[l->page.count];
    const struct plan_item *last = l->page.count == 0 ? NULL : copy - 1;
    *copy = *item;
    if (last != NULL && str_eq(last->repo, item->repo))
        copy->repo = last->repo;
    else if (!copy_str(l->a, &copy->repo))
        return err_no_memory(err);
    if (!copy_str(l->a, &copy->tag) || !copy_str(l->a, &copy->why))
        return err_no_memory(err);
    l->page.count++;
    return ST_OK;
}

static enum st list_chunk(struct db_tx *tx, struct looking *l, uint64_t chunk, size_t at,
                          struct err *err)
{
    AUTO(arena_release) struct arena scratch = { .limit_bytes = 4 * MIB };
    struct plan_item *items = NULL;
    size_t count = 0;
    enum st st = plan_load_chunk(tx, l->id, chunk, &scratch, &items, &count, err);
    for (; st == ST_OK && at < count && l->page.count < l->limit; at++)
        if (wanted(l->filter, &items[at]))
            st = add_to_page(l, &items[at], err);
    l->page.next = at < count ? chunk * PLACES + at : (chunk + 1) * PLACES;
    return st;
}

static enum st list(struct db_tx *tx, void *ctx, struct err *err)
{
    struct looking *l = ctx;
    l->page.count = 0;
    l->page.next = 0;
    enum st st = plan_load(tx, l->id, l->now, l->a, &l->plan, &l->chunks, err);
    uint64_t chunk = l->from / PLACES;
    size_t at = (size_t)(l->from % PLACES);
    int scanned = 0;
    while (st == ST_OK && chunk < l->chunks && scanned < SCANNED_CHUNKS &&
           l->page.count < l->limit) {
        st = list_chunk(tx, l, chunk, at, err);
        chunk = l->page.next / PLACES;
        at = 0;
        scanned++;
    }
    if (chunk >= l->chunks)
        l->page.next = 0;
    return st;
}

enum st plan_items(struct deletion *d, str id, const struct plan_filter *filter, uint64_t from,
                   size_t limit, int64_t now, struct arena *a, struct plan_page *out,
                   struct err *err)
{
    struct looking l = {
        .id = id, .now = now, .a = a, .filter = filter, .from = from, .limit = limit
    };
    l.page.items = arena_alloc(a, (limit + 1) * sizeof(*l.page.items));
    if (l.page.items == NULL)
        return err_no_memory(err);
    enum st st = db_read(d->r->db, list, &l, err);
    if (st == ST_OK)
        *out = l.page;
    return st;
}
