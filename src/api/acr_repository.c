/* SPDX-License-Identifier: Apache-2.0
 *
 * A repository: its attributes, its locks, and deleting it whole. Locks of tags and manifests are
 * set here, too.
 */
#include "api/acr_int.h"
#include "api/json_in.h"
#include "base/log.h"
#include "deletion/apply.h"
#include "deletion/plan.h"
#include "meta/receipts.h"

static const struct answer_status statuses[] = {
    { ST_NOT_FOUND, 404, "NAME_UNKNOWN" },
    { ST_OK, 0, NULL },
};

/* ---- locks --------------------------------------------------------------------------------- */

struct lock_change {
    unsigned set;  /* which of the bits */
    unsigned bits; /* and to what */
};

struct lock_call {
    const struct lock_object *object;
    struct lock_change change;
    const struct keeping *keeping;
    int64_t now;
};

/* There must be such an object: a lock on a mistyped name would be relied on. */
static enum st find_object(struct db_tx *tx, const struct lock_object *o, struct err *err)
{
    AUTO(arena_release) struct arena scratch = { .limit_bytes = 16 * MIB };
    struct manifest_row row = { 0 };
    int64_t id = 0;
    if (o->digest != NULL)
        return manifests_find_by_digest(tx, o->repo, o->digest, &scratch, &row, err);
    if (o->tag.ptr != NULL)
        return manifests_find_by_tag(tx, o->repo, o->tag, &scratch, &row, err);
    return artifacts_find(tx, o->repo, &id, err);
}

static enum st set_lock(struct db_tx *tx, void *ctx, struct err *err)
{
    const struct lock_call *c = ctx;
    unsigned may = LOCK_MAY_ALL;
    enum st st = find_object(tx, c->object, err);
    if (st == ST_OK)
        st = locks_get(tx, c->object, &may, err);
    if (st == ST_OK)
        st = locks_set(tx, c->object, (may & ~c->change.set) | c->change.bits, c->keeping, c->now,
                       err);
    return st;
}

static bool read_change(struct http_request *rq, struct lock_change *out)
{
    static const struct {
        const char *key;
        unsigned bit;
    } members[] = { { "deleteEnabled", LOCK_MAY_DELETE },
                    { "writeEnabled", LOCK_MAY_WRITE },
                    { "readEnabled", LOCK_MAY_READ },
                    { "listEnabled", LOCK_MAY_LIST } };
    struct json_in_body body = { 0 };
    struct json_in in = { 0 };
    struct err err = { 0 };
    str ignored = STR_NONE;
    *out = (struct lock_change){ 0 };
    enum st st = json_in_read(&body, rq->body, false, &rq->arena, &in, &err);
    for (size_t i = 0; st == ST_OK && i < ARRAY_LEN(members); i++) {
        bool yes = false;
        if (!json_in_flag(&in, members[i].key, &yes))
            continue;
        out->set |= members[i].bit;
        out->bits |= yes ? members[i].bit : 0;
    }
    if (st == ST_OK) { /* what Azure has besides; not kept */
        (void)json_in_text(&in, "quarantineState", 1000, &ignored);
        (void)json_in_text(&in, "quarantineDetails", 100000, &ignored);
        st = json_in_close(&in, &err);
    }
    json_in_release(&body);
    if (st != ST_OK)
        acr_fail(rq, NULL, &err);
    return st == ST_OK;
}

bool acr_set_lock(struct http_request *rq, const struct lock_object *object, const char *unknown)
{
    const struct answer_status table[] = { { ST_NOT_FOUND, 404, unknown }, { ST_OK, 0, NULL } };
    struct registry *r = api_call_of(rq)->api->registry;
    struct lock_call c = { .object = object, .keeping = &r->keeping, .now = acr_now(rq) };
    struct err err = { 0 };
    if (!read_change(rq, &c.change))
        return false;
    const struct trail_entry entry =
        gate_trail(rq, "lock set", object->repo, api_call_of(rq)->reference);
    if (c.change.set != 0 && gate_write(rq, set_lock, &c, &entry, &err) != ST_OK) {
        acr_fail(rq, table, &err);
        return false;
    }
    log_event(LOG_INFO, "lock set", LOG_STR("id", rq->id), LOG_STR("actor", gate_actor(rq)),
              LOG_STR("repository", object->repo), LOG_STR("reference", api_call_of(rq)->reference),
              LOG_INT("set", c.change.set), LOG_INT("to", c.change.bits));
    return true;
}

/* ---- attributes ----------------------------------------------------------------------------- */

static void answer_repository(struct http_request *rq)
{
    struct api_call *call = api_call_of(rq);
    struct artifact_repository found = { 0 };
    struct json_out o;
    struct err err = { 0 };
    if (artifacts_repository(call->api->registry, call->repo, &found, &err) != ST_OK) {
        acr_fail(rq, statuses, &err);
        return;
    }
    if (!acr_begin(rq, &o))
        return;
    json_out_open(&o, NULL, '{');
    acr_add_names(rq, &o);
    acr_add_time(rq, &o, "createdTime", found.created_at);
    acr_add_time(rq, &o, "lastUpdateTime", found.updated_at);
    json_out_count(&o, "manifestCount", found.manifests);
    json_out_count(&o, "tagCount", found.tags);
    acr_add_attributes(&o, found.may);
    json_out_close(&o, '}');
    acr_end(rq, 200, &o);
}

void acr_repository_get(struct http_request *rq)
{
    answer_repository(rq);
}

void acr_repository_patch(struct http_request *rq)
{
    const struct lock_object object = { .repo = api_call_of(rq)->repo };
    if (acr_set_lock(rq, &object, "NAME_UNKNOWN"))
        answer_repository(rq);
}

/* ---- deleting it --------------------------------------------------------------------------- */

#define WAIT_MS      (270 * (int64_t)1000) /* az waits for 300 s */
#define WAIT_STEP_MS 1000
#define PAGE_ITEMS   2000

/* What may not be deleted whole is not deleted in part. */
static bool check_plan(struct http_request *rq, const struct artifact_repository *found,
                       const struct plan *plan)
{
    const char *why = NULL;
    if ((found->may & (LOCK_MAY_DELETE | LOCK_MAY_WRITE)) != (LOCK_MAY_DELETE | LOCK_MAY_WRITE))
        why = "the repository is locked: its deleteEnabled or writeEnabled is false";
    else if (plan->protected_items > 0)
        why = "something in the repository is locked, held or protected by a rule; nothing was"
              " deleted";
    if (why == NULL)
        return true;
    acr_error(rq, 405, "REGISTRY_DISALLOWED_OPERATION", str_of(why), STR("{}"));
    return false;
}

/* Plans, applies, and waits until all of it is gone. */
static enum st delete_whole(struct http_request *rq, struct arena *a, int64_t *receipt,
                            bool *answered, struct err *err)
{
    struct api_call *call = api_call_of(rq);
    struct deletion *d = call->api->deletion;
    struct artifact_repository found = { 0 };
    struct plan plan = { 0 };
    const struct selector selector = { .kind = SELECT_REPOSITORY, .repo = call->repo };
    str text = arena_printf(a, "{\"select\":[{\"repository\":\"%.*s\"}]}", STR_FMT(call->repo));
    const struct plan_request request = {
        .selectors = &selector, .count = 1, .by = gate_by(rq, STR_NONE), .text = text
    };
    enum st st = text.ptr == NULL ? err_no_memory(err) : ST_OK;
    if (st == ST_OK)
        st = artifacts_repository(call->api->registry, call->repo, &found, err);
    if (st == ST_OK)
        st = plan_make(d, &request, acr_now(rq), a, &plan, err);
    if (st != ST_OK)
        return st;
    if (!check_plan(rq, &found, &plan)) {
        *answered = true;
        return plan_drop(d, str_of(plan.id), err);
    }
    const struct apply_request apply = { .plan_id = str_of(plan.id),
                                         .has_tags = plan.confirm_tags > 0,
                                         .confirm_tags = plan.confirm_tags,
                                         .by = request.by };
    bool sealed = false;
    st = apply_plan(d, &apply, acr_now(rq), receipt, err);
    for (int64_t ms = 0; st == ST_OK && !sealed && ms < WAIT_MS; ms += WAIT_STEP_MS)
        st = deletion_wait(d, *receipt, WAIT_STEP_MS, &sealed, err);
    if (st == ST_OK && !sealed)
        st = err_set(err, ST_BUSY, "the repository is still being deleted: receipt %lld",
                     (long long)*receipt);
    return st;
}

struct items_call {
    int64_t receipt;
    uint64_t after;
    struct arena *arena;
    struct receipt_item *items;
    size_t count;
    bool more;
};

static enum st read_items(struct db_tx *tx, void *ctx, struct err *err)
{
    struct items_call *c = ctx;
    return receipts_items(tx, c->receipt, c->after, PAGE_ITEMS, false, c->arena, &c->items,
                          &c->count, &c->more, err);
}

/* One of the two lists. */
static enum st add_deleted(struct http_request *rq, struct json_out *o, int64_t receipt, bool tags,
                           struct err *err)
{
    struct items_call c = { .receipt = receipt, .more = true };
    enum st st = ST_OK;
    json_out_open(o, tags ? "tagsDeleted" : "manifestsDeleted", '[');
    while (st == ST_OK && c.more) {
        AUTO(arena_release) struct arena page = { .limit_bytes = 16 * MIB };
        c.arena = &page;
        st = db_read(api_call_of(rq)->api->registry->db, read_items, &c, err);
        for (size_t i = 0; st == ST_OK && i < c.count; i++) {
            const struct receipt_item *item = &c.items[i];
            c.after = item->number;
            if (item->why.ptr != NULL)
                continue;
            if (tags && item->kind == ITEM_TAG)
                json_out_text(o, NULL, item->tag);
            else if (!tags && item->kind == ITEM_MANIFEST)
                json_out_digest(o, NULL, &item->digest);
        }
    }
    json_out_close(o, ']');
    return st;
}

void acr_repository_delete(struct http_request *rq)
{
    struct api_call *call = api_call_of(rq);
    struct json_out o;
    struct err err = { 0 };
    int64_t receipt = 0;
    bool answered = false;
    struct arena *a = acr_arena(rq);
    if (a == NULL)
        return;
    enum st st = delete_whole(rq, a, &receipt, &answered, &err);
    if (answered)
        return;
    if (st == ST_OK && call->api->registry->keeping.grace_ms == 0)
        reclaim_loop_wake(call->api->reclaim);
    if (st == ST_OK && !acr_begin(rq, &o))
        return;
    if (st == ST_OK) {
        json_out_open(&o, NULL, '{');
        st = add_deleted(rq, &o, receipt, false, &err);
    }
    if (st == ST_OK)
        st = add_deleted(rq, &o, receipt, true, &err);
    if (st != ST_OK) {
        acr_fail(rq, statuses, &err);
        return;
    }
    json_out_close(&o, '}');
    acr_end(rq, 202, &o);
    log_event(LOG_INFO, "deleted", LOG_STR("id", rq->id), LOG_INT("receipt", receipt),
              LOG_STR("repository", call->repo));
}
