/* SPDX-License-Identifier: Apache-2.0
 *
 * Removing names from the store. A batch that fails is halved until each name that fails stands
 * alone: a store tries all names and tells the first failure only.
 */
#include "base/mem.h"
#include "base/metric.h"
#include "meta/doomed.h"
#include "reclaim/reclaim_int.h"

/* Rows dropped in one transaction. */
#define DROPS_AT_ONCE 256

struct names {
    struct registry *r;
    int64_t now;
    struct arena arena;
    struct doomed_name *rows;
    size_t count;
    str names[RECLAIM_NAMES];
    str failed[RECLAIM_NAMES]; /* why; unset: it is gone */
    size_t from, to;           /* of the rows that a transaction drops */
};

static enum st list(struct db_tx *tx, void *ctx, struct err *err)
{
    struct names *n = ctx;
    return doomed_due(tx, n->now, RECLAIM_NAMES, &n->arena, &n->rows, &n->count, err);
}

static enum st drop(struct db_tx *tx, void *ctx, struct err *err)
{
    struct names *n = ctx;
    enum st st = ST_OK;
    for (size_t i = n->from; i < n->to && st == ST_OK; i++) {
        const struct doomed_name *row = &n->rows[i];
        if (n->failed[i].ptr == NULL)
            st = doomed_drop(tx, row->name, err);
        else
            st = doomed_fail(tx, row->name, n->failed[i],
                             n->now + reclaim_backoff_ms(row->failures + 1), err);
    }
    return st;
}

/* Removes [from, to). Fails only for what is no name's fault. */
static enum st remove_range(struct names *n, size_t from, size_t to, struct err *err)
{
    struct err why = { 0 };
    enum st st = blob_remove(n->r->store, n->names + from, to - from, &why);
    if (st == ST_OK)
        return ST_OK;
    if (!reclaim_blames_object(st)) {
        *err = why;
        return st;
    }
    if (to - from == 1) {
        n->failed[from] = arena_dup(&n->arena, str_of(why.text));
        return n->failed[from].ptr == NULL ? err_no_memory(err) : ST_OK;
    }
    size_t middle = from + (to - from) / 2;
    st = remove_range(n, from, middle, err);
    return st == ST_OK ? remove_range(n, middle, to, err) : st;
}

static void count(const struct names *n, struct reclaim_report *out)
{
    for (size_t i = n->from; i < n->to; i++) {
        const struct doomed_name *row = &n->rows[i];
        if (n->failed[i].ptr != NULL) {
            out->failures++;
            continue;
        }
        out->names++;
        out->bytes += row->size;
        if (row->deleted_at != 0)
            metric_observe(METRIC_RECLAIM_DELAY, (n->now - row->deleted_at) * 1000);
    }
}

static enum st remove_all(struct names *n, struct reclaim_report *out, struct err *err)
{
    enum st st = db_read(n->r->db, list, n, err);
    if (st != ST_OK || n->count == 0)
        return st;
    for (size_t i = 0; i < n->count; i++)
        n->names[i] = n->rows[i].name;
    st = remove_range(n, 0, n->count, err);
    for (n->from = 0; n->from < n->count && st == ST_OK; n->from = n->to) {
        n->to = MIN(n->from + DROPS_AT_ONCE, n->count);
        st = db_write(n->r->db, drop, n, err);
        if (st == ST_OK)
            count(n, out);
    }
    if (st == ST_OK)
        out->more = out->more || n->count == RECLAIM_NAMES;
    return st;
}

enum st reclaim_names(struct registry *r, int64_t now, struct reclaim_report *out, struct err *err)
{
    struct names *n = mem_new(sizeof(*n));
    if (n == NULL)
        return err_no_memory(err);
    n->r = r;
    n->now = now;
    n->arena.limit_bytes = 4 * MIB;
    enum st st = remove_all(n, out, err);
    arena_release(&n->arena);
    mem_free(n);
    return st;
}
