/* SPDX-License-Identifier: Apache-2.0
 *
 * A plan is computed within one snapshot and then written in steps, so that writers wait for
 * little; until the last step nobody finds it (plans.h).
 */
#include "base/mem.h"
#include "deletion/plan_int.h"
#include "deletion/plan_summary.h"

#define ITEMS_DEFAULT  1000000
#define CHUNKS_AT_ONCE 32 /* written in one transaction */
#define RECORDS_BYTES  ((size_t)(1 * GIB))

/* ---- a plan in the making -------------------------------------------------------------------- */

static void release(struct planning *p)
{
    for (size_t i = 0; p->patterns != NULL && i < p->request->count; i++) {
        pattern_free(p->patterns[i].repo);
        pattern_free(p->patterns[i].tags);
        pattern_free(p->patterns[i].keep);
    }
    mem_free(p->patterns);
    protection_release(&p->protection);
    plan_graph_release(&p->g);
    plan_array_release(&p->repos);
    plan_array_release(&p->targets);
    plan_map_release(&p->repo_by_id);
    plan_array_release(&p->blobs);
    plan_array_release(&p->parts);
    plan_map_release(&p->by_blob);
    plan_map_release(&p->going);
    plan_array_release(&p->warnings);
    struct plan_stream *const streams[] = { &p->early, &p->late };
    for (size_t i = 0; i < ARRAY_LEN(streams); i++) {
        buf_release(&streams[i]->records);
        plan_array_release(&streams[i]->chunks);
    }
    mem_free(p);
}

static void release_auto(struct planning **p)
{
    if (*p != NULL)
        release(*p);
}

static void init_stream(struct plan_stream *s)
{
    s->records.max_bytes = RECORDS_BYTES;
    s->chunks.item_bytes = sizeof(struct plan_cut);
    s->chunks.max = UINT32_MAX;
}

static void init_limits(struct planning *p)
{
    uint64_t most = UINT32_MAX - 1;
    p->items_max = p->d->options.plan_items_max == 0 ? ITEMS_DEFAULT : p->d->options.plan_items_max;
    p->items_max = MIN(p->items_max, most / 32);
    p->repos.item_bytes = sizeof(struct plan_repo);
    p->repos.max = (size_t)MIN(p->items_max * 4 + 1000, most); /* with nothing selected, too */
    p->targets.item_bytes = sizeof(struct plan_target);
    p->targets.max = (size_t)MIN(p->items_max * 4 + 1000, most);
    p->blobs.item_bytes = sizeof(struct plan_blob);
    p->parts.item_bytes = sizeof(struct plan_part);
    p->blobs.max = p->parts.max = (size_t)MIN(p->items_max * 32 + 1000, most);
    init_stream(&p->early);
    init_stream(&p->late);
}

static enum st begin(struct deletion *d, const struct plan_request *request, int64_t now,
                     struct arena *a, struct planning **out, struct err *err)
{
    struct planning *p = mem_new(sizeof(*p));
    if (p == NULL)
        return err_no_memory(err);
    p->d = d;
    p->request = request;
    p->now = now;
    p->a = a;
    p->keeping = d->r->keeping;
    if (request->now) {
        p->keeping.lease_ms = p->keeping.grace_ms = 0;
        p->keeping.cut = true;
    }
    p->horizon = now + MAX(p->keeping.lease_ms, p->keeping.grace_ms);
    init_limits(p);
    rng_id(p->plan.id);
    p->plan.created_at = now;
    p->plan.expires_at = now + d->options.plan_keep_ms;
    p->plan.now = request->now;
    p->plan.request = arena_dup(a, request->text);
    p->plan.reason = request->by.reason.ptr == NULL ? STR_NONE : arena_dup(a, request->by.reason);
    p->patterns = mem_new((request->count + 1) * sizeof(*p->patterns));
    *out = p; /* the caller releases it */
    if (p->plan.request.ptr == NULL || p->patterns == NULL ||
        (request->by.reason.ptr != NULL && p->plan.reason.ptr == NULL))
        return err_no_memory(err);
    return plan_select_check(p, err);
}

/* ---- computing ------------------------------------------------------------------------------- */

static enum st load_protection(struct planning *p, struct err *err)
{
    enum st st = selection_any(p->tx, &p->any_rules, &p->any_holds, &p->any_pulls, err);
    if (st == ST_OK && (p->any_rules || p->any_holds))
        st = protection_load(p->tx, p->d->r->protection, &p->protection, err);
    return st == ST_OK ? pulls_since(p->tx, p->now, &p->pulls_since, err) : st;
}

static enum st look_at_repository(struct planning *p, const struct plan_repo *repo, struct err *err)
{
    plan_graph_reset(p, repo);
    enum st st = plan_select(p, err);
    if (st == ST_OK)
        st = plan_close(p, err);
    if (st == ST_OK)
        st = plan_bytes_of_repository(p, err);
    if (st == ST_OK)
        st = plan_list(p, err);
    return st == ST_OK ? plan_tell_repository(p, err) : st;
}

static enum st compute(struct db_tx *tx, void *ctx, struct err *err)
{
    struct planning *p = ctx;
    p->tx = tx;
    enum st st = load_protection(p, err);
    if (st == ST_OK)
        st = plan_select_repositories(p, err);
    for (size_t i = 0; st == ST_OK && i < p->repos.count; i++)
        st = look_at_repository(p, (const struct plan_repo *)p->repos.items + i, err);
    if (st == ST_OK)
        st = plan_bytes_of_shared(p, err);
    return st == ST_OK ? plan_tell(p, err) : st;
}

/* ---- storing --------------------------------------------------------------------------------- */

struct storing {
    struct planning *p;
    uint64_t chunks;
    uint64_t from;
    struct buf sealed;
};

static enum st write_chunk(struct db_tx *tx, struct storing *s, uint64_t chunk, struct err *err)
{
    struct planning *p = s->p;
    const struct plan_stream *stream = chunk < p->early.chunks.count ? &p->early : &p->late;
    size_t i = (size_t)(stream == &p->early ? chunk : chunk - p->early.chunks.count);
    const struct plan_cut *cut = (const struct plan_cut *)stream->chunks.items + i;
    size_t start = i == 0 ? 0 : cut[-1].end;
    str id = str_of(p->plan.id);
    buf_clear(&s->sealed);
    plan_chunk_seal(&s->sealed, id, chunk, cut->count,
                    (str){ stream->records.ptr + start, cut->end - start });
    enum st st = buf_status(&s->sealed, err);
    return st == ST_OK ? plans_add_chunk(tx, id, chunk, buf_str(&s->sealed), err) : st;
}

static enum st write_step(struct db_tx *tx, void *ctx, struct err *err)
{
    struct storing *s = ctx;
    struct planning *p = s->p;
    const struct plan_row row = { .id = str_of(p->plan.id),
                                  .created_at = p->plan.created_at,
                                  .expires_at = p->plan.expires_at,
                                  .request = p->plan.request };
    uint64_t end = MIN(s->from + CHUNKS_AT_ONCE, s->chunks);
    enum st st = s->from == 0 ? plans_begin(tx, &row, err) : ST_OK;
    for (uint64_t i = s->from; i < end && st == ST_OK; i++)
        st = write_chunk(tx, s, i, err);
    if (st != ST_OK || end < s->chunks)
        return st;
    buf_clear(&s->sealed);
    plan_summary_write(&s->sealed, &p->plan, s->chunks);
    st = buf_status(&s->sealed, err);
    return st == ST_OK ? plans_finish(tx, row.id, buf_str(&s->sealed), err) : st;
}

static enum st store(struct planning *p, struct err *err)
{
    struct storing s = { .p = p,
                         .chunks = p->early.chunks.count + p->late.chunks.count,
                         .sealed = { .max_bytes = 64 * MIB } };
    enum st st = ST_OK;
    do {
        st = db_write(p->d->r->db, write_step, &s, err);
        s.from += CHUNKS_AT_ONCE;
    } while (st == ST_OK && s.from < s.chunks);
    buf_release(&s.sealed);
    return st;
}

enum st plan_make(struct deletion *d, const struct plan_request *request, int64_t now,
                  struct arena *a, struct plan *out, struct err *err)
{
    AUTO(release_auto) struct planning *p = NULL;
    enum st st = begin(d, request, now, a, &p, err);
    if (st == ST_OK)
        st = db_read(d->r->db, compute, p, err);
    if (st == ST_OK)
        st = store(p, err);
    if (st == ST_OK)
        *out = p->plan;
    return st;
}
