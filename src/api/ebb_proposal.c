/* SPDX-License-Identifier: Apache-2.0
 *
 * POST /proposals: how so many bytes could be given back, cheapest first.
 *
 *   candidates ──a plan each──▶ those that free something, by tags per byte
 *              ──taken in turn until together they free enough──▶ the proposal
 *
 * A family holds candidates that contain each other, such as "older than 90 days" and "older than
 * 30": taking the larger one replaces the smaller. What candidates free together is computed as a
 * plan of its own, as they overlap. Plans that are not proposed are dropped.
 *
 * Bounded: a fixed number of candidates, and no further plan is begun after PROPOSAL_MS. Fewer
 * candidates then, never wrong numbers.
 */
#include "api/ebb_int.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/quantity.h"
#include "deletion/plan.h"
#include "meta/inspect.h"

#define PROPOSAL_MS    (10 * CLOCK_SECOND_MS)
#define LAYERS         5
#define LAYER_SAMPLE   500
#define CANDIDATES_MAX (7 + LAYERS)
#define SELECTORS_MAX  (CANDIDATES_MAX * INSPECT_LAYER_USERS)
#define PLAN_BYTES_MAX (64 * MIB)

enum family { TRASH, UNTAGGED, UNPULLED, OLD, LAYER };
static const char *const family_texts[] = { [TRASH] = "trash",
                                            [UNTAGGED] = "untagged",
                                            [UNPULLED] = "unpulled",
                                            [OLD] = "old",
                                            [LAYER] = "layer" };

struct candidate {
    enum family family;
    str text;
    bool now;
    struct selector *selectors;
    size_t count;
    char plan[RNG_ID_LEN + 1]; /* "": none */
    uint64_t bytes;
    uint64_t tags;
    uint64_t manifests;
    bool taken;
};

struct proposal {
    struct http_request *rq;
    struct api *api;
    struct arena *arena;
    uint64_t wanted;
    bool now;
    str prefix; /* "": everywhere */
    int64_t deadline;
    struct candidate list[CANDIDATES_MAX];
    size_t count;
    uint64_t bytes; /* of those taken, together */
};

/* What is looked at: repositories below the prefix where who asks may delete. To apply a plan
 * without a grace they need more, and are told then. */
static bool may(void *ctx, str repo)
{
    const struct proposal *p = ctx;
    return prefix_holds(p->prefix, repo) && gate_may(p->rq, repo, RIGHT_DELETE);
}

/* ---- candidates ------------------------------------------------------------------------------ */

static enum st add(struct proposal *p, enum family family, bool now, const struct selector *s,
                   size_t count, str text, struct err *err)
{
    struct selector *copy = arena_alloc(p->arena, count * sizeof(*copy));
    if (copy == NULL || text.ptr == NULL)
        return err_no_memory(err);
    assert(p->count < CANDIDATES_MAX);
    memcpy(copy, s, count * sizeof(*copy));
    p->list[p->count++] = (struct candidate){
        .family = family, .text = text, .now = now, .selectors = copy, .count = count
    };
    return ST_OK;
}

static enum st add_rules(struct proposal *p, struct err *err)
{
    static const struct {
        enum family family;
        int days;
    } rules[] = { { UNPULLED, 90 }, { UNPULLED, 30 }, { OLD, 365 }, { OLD, 90 }, { OLD, 30 } };
    enum st st = ST_OK;
    for (size_t i = 0; st == ST_OK && i < ARRAY_LEN(rules); i++) {
        int64_t ms = rules[i].days * CLOCK_DAY_MS;
        bool old = rules[i].family == OLD;
        const struct selector s = { .kind = SELECT_RULE,
                                    .repo = STR("**"),
                                    .rule = { .has_keep = old,
                                              .keep = old ? 3 : 0,
                                              .older_than_ms = old ? ms : 0,
                                              .not_pulled_for_ms = old ? 0 : ms } };
        str text = arena_printf(p->arena,
                                old ? "tags older than %d days, but the newest 3 of each repository"
                                    : "tags of images that were not pulled for %d days",
                                rules[i].days);
        st = add(p, rules[i].family, p->now, &s, 1, text, err);
    }
    return st;
}

/* Images are named one by one, so all must be allowed: else the layer would not go anyway. */
static bool may_all(struct proposal *p, const struct inspect_layer *layer)
{
    for (size_t i = 0; i < layer->user_count; i++)
        if (!may(p, layer->users[i].repo))
            return false;
    return true;
}

static enum st add_layers(struct proposal *p, struct err *err)
{
    struct inspect_layer *layers = NULL;
    size_t count = 0;
    enum st st =
        inspect_layers(p->api->registry, LAYER_SAMPLE, LAYERS, p->arena, &layers, &count, err);
    for (size_t i = 0; st == ST_OK && i < count; i++) {
        struct selector s[INSPECT_LAYER_USERS] = { 0 };
        if (!may_all(p, &layers[i]))
            continue;
        char digest[DIGEST_TEXT_MAX + 1];
        char size[QUANTITY_MAX];
        for (size_t n = 0; n < layers[i].user_count; n++)
            s[n] = (struct selector){ .kind = SELECT_IMAGE,
                                      .repo = layers[i].users[n].repo,
                                      .digest = layers[i].users[n].digest };
        str text = arena_printf(p->arena, "the images that use the layer %.*s of %s",
                                STR_FMT(digest_text(&layers[i].digest, digest)),
                                quantity_bytes_text((double)layers[i].size, size));
        st = add(p, LAYER, p->now, s, layers[i].user_count, text, err);
    }
    return st;
}

static enum st add_candidates(struct proposal *p, struct err *err)
{
    const struct selector trash = { .kind = SELECT_TRASH, .repo = STR("**") };
    const struct selector untagged = { .kind = SELECT_RULE,
                                       .repo = STR("**"),
                                       .rule = { .untagged = true } };
    /* With reclaim.untagged on, images without a tag go by themselves: only at once is sooner. */
    bool at_once = p->now || p->api->registry->keeping.untagged;
    enum st st = add(p, TRASH, true, &trash, 1,
                     STR("the trash: what lies there cannot be restored afterwards"), err);
    if (st == ST_OK)
        st = add(p, UNTAGGED, at_once, &untagged, 1, STR("images without a tag"), err);
    if (st == ST_OK)
        st = add_rules(p, err);
    if (st == ST_OK)
        st = add_layers(p, err);
    return st;
}

/* ---- plans ----------------------------------------------------------------------------------- */

static bool is_late(const struct proposal *p)
{
    return clock_mono_ms() >= p->deadline;
}

/* What makes no plan, such as too large a one, is no candidate; what else fails ends it all. */
static enum st make_plan(struct proposal *p, const struct selector *selectors, size_t count,
                         bool now, struct plan *out, struct err *err)
{
    AUTO(arena_release) struct arena scratch = { .limit_bytes = PLAN_BYTES_MAX };
    struct plan plan = { 0 };
    const struct plan_request request = { .selectors = selectors,
                                          .count = count,
                                          .now = now,
                                          .by = gate_by(p->rq, STR("proposed to free space")),
                                          .text = p->rq->body,
                                          .may = may,
                                          .may_ctx = p };
    enum st st = plan_make(p->api->deletion, &request, ebb_now(p->rq), &scratch, &plan, err);
    if (st == ST_TOO_LARGE || st == ST_NOT_FOUND || st == ST_INVALID) {
        *out = (struct plan){ 0 };
        return ST_OK;
    }
    if (st != ST_OK)
        return st;
    *out = plan; /* its strings die with `scratch`: only the numbers and the id are used */
    return ST_OK;
}

static void drop_plan(struct proposal *p, const char *id)
{
    struct err err = { 0 };
    if (id[0] != '\0' && plan_drop(p->api->deletion, str_of(id), &err) != ST_OK)
        log_failure("a plan that is not proposed stays until it expires", &err);
}

static enum st make_plans(struct proposal *p, struct err *err)
{
    for (size_t i = 0; i < p->count && !is_late(p); i++) {
        struct candidate *c = &p->list[i];
        struct plan plan;
        enum st st = make_plan(p, c->selectors, c->count, c->now, &plan, err);
        if (st != ST_OK)
            return st;
        if (plan.bytes_freed == 0) {
            drop_plan(p, plan.id);
            continue;
        }
        memcpy(c->plan, plan.id, sizeof(c->plan));
        c->bytes = plan.bytes_freed;
        c->tags = plan.tags;
        c->manifests = plan.manifests;
    }
    return ST_OK;
}

/* Fewer tags a byte first, then more bytes. Of candidates without a plan the place is no matter. */
static int by_price(const void *a, const void *b)
{
    const struct candidate *x = a;
    const struct candidate *y = b;
    double left = (double)x->tags * (double)MAX(y->bytes, (uint64_t)1);
    double right = (double)y->tags * (double)MAX(x->bytes, (uint64_t)1);
    if (left != right)
        return left < right ? -1 : 1;
    return (x->bytes < y->bytes) - (x->bytes > y->bytes);
}

/* What all that are taken free together. Those of the trash go alone: what is in the trash and what
 * is not have nothing in common that the other plan could count. */
static enum st sum_taken(struct proposal *p, struct err *err)
{
    struct selector all[SELECTORS_MAX];
    size_t count = 0;
    size_t others = 0;
    uint64_t alone = 0;
    uint64_t trash = 0;
    bool now = true;
    for (size_t i = 0; i < p->count; i++) {
        const struct candidate *c = &p->list[i];
        if (!c->taken)
            continue;
        if (c->family == TRASH) {
            trash += c->bytes;
            continue;
        }
        now = now && c->now;
        others++;
        alone = c->bytes;
        for (size_t n = 0; n < c->count; n++)
            all[count++] = c->selectors[n];
    }
    if (others > 1 && !is_late(p)) {
        struct plan plan;
        enum st st = make_plan(p, all, count, now, &plan, err);
        if (st != ST_OK)
            return st;
        drop_plan(p, plan.id);
        alone = plan.bytes_freed;
    }
    p->bytes = trash + (others == 0 ? 0 : alone);
    return ST_OK;
}

static void take(struct proposal *p, struct candidate *c)
{
    for (size_t i = 0; i < p->count; i++) {
        struct candidate *o = &p->list[i];
        if (o->taken && o->family == c->family && (c->family == UNPULLED || c->family == OLD)) {
            if (o->bytes >= c->bytes)
                return; /* the larger one is in already */
            o->taken = false;
        }
    }
    c->taken = true;
}

static enum st choose(struct proposal *p, struct err *err)
{
    qsort(p->list, p->count, sizeof(p->list[0]), by_price);
    for (size_t i = 0; i < p->count && p->bytes < p->wanted; i++) {
        if (p->list[i].plan[0] == '\0')
            continue;
        take(p, &p->list[i]);
        enum st st = sum_taken(p, err);
        if (st != ST_OK)
            return st;
    }
    for (size_t i = 0; i < p->count; i++)
        if (!p->list[i].taken)
            drop_plan(p, p->list[i].plan);
    return ST_OK;
}

/* ---- the answer ------------------------------------------------------------------------------ */

static void answer(const struct proposal *p)
{
    struct json_out o;
    if (!ebb_begin(p->rq, &o))
        return;
    json_out_open(&o, NULL, '{');
    json_out_open(&o, "items", '[');
    for (size_t i = 0; i < p->count; i++) {
        const struct candidate *c = &p->list[i];
        if (!c->taken)
            continue;
        json_out_open(&o, NULL, '{');
        json_out_text(&o, "kind", str_of(family_texts[c->family]));
        json_out_text(&o, "text", c->text);
        json_out_flag(&o, "now", c->now);
        json_out_count(&o, "bytes_freed", c->bytes);
        json_out_count(&o, "tags", c->tags);
        json_out_count(&o, "manifests", c->manifests);
        json_out_text(&o, "plan", str_of(c->plan));
        json_out_close(&o, '}');
    }
    json_out_close(&o, ']');
    json_out_count(&o, "bytes_freed", p->bytes);
    json_out_flag(&o, "enough", p->bytes >= p->wanted);
    json_out_close(&o, '}');
    ebb_end(p->rq, 200, &o);
}

void ebb_proposals_post(struct http_request *rq)
{
    struct json_in in;
    struct err err = { 0 };
    struct arena *a = ebb_arena(rq, PLAN_BYTES_MAX);
    struct proposal *p = a == NULL ? NULL : arena_alloc(a, sizeof(*p));
    if (a == NULL)
        return;
    if (p == NULL) {
        (void)err_no_memory(&err);
        ebb_fail(rq, NULL, &err);
        return;
    }
    *p = (struct proposal){
        .rq = rq, .api = api_call_of(rq)->api, .arena = a, .deadline = clock_mono_ms() + PROPOSAL_MS
    };
    if (!ebb_read(rq, &in))
        return;
    if (!json_in_count(&in, "bytes", JSON_IN_NUMBER_MAX, &p->wanted) || p->wanted == 0)
        json_in_refuse(&in, NULL, "\"bytes\" is missing: how many are to be given back, from 1 on");
    (void)json_in_flag(&in, "now", &p->now);
    if (json_in_text(&in, "prefix", NAME_MAX_BYTES, &p->prefix) &&
        prefix_check(p->prefix, &err) != ST_OK)
        json_in_refuse_as(&in, "prefix", &err);
    if (!ebb_read_end(rq, &in) || !ebb_demand_prefix(rq, p->prefix, RIGHT_DELETE))
        return;
    enum st st = add_candidates(p, &err);
    if (st == ST_OK)
        st = make_plans(p, &err);
    if (st == ST_OK)
        st = choose(p, &err);
    if (st != ST_OK)
        ebb_fail(rq, NULL, &err);
    else
        answer(p);
}
