/* SPDX-License-Identifier: Apache-2.0
 *
 * The trash: GET /trash, POST /trash/restore.
 */
#include "api/ebb_int.h"
#include "base/log.h"
#include "deletion/undo.h"
#include "meta/trash.h"

#define PAGE_BYTES_MAX (64 * MIB)

static const struct answer_status statuses[] = {
    { ST_NOT_FOUND, 404, "trash-unknown" },
    { ST_BUSY, 409, "receipt-open" },
    { ST_OK, 0, NULL },
};

struct trash_call {
    struct registry *r;
    struct arena *arena;
    str prefix;
    int64_t now;
    struct trash_place after;
    size_t limit;
    struct trash_place next;
    struct trash_item *items;
    size_t count;
    bool more;
};

static enum st list(struct db_tx *tx, void *ctx, struct err *err)
{
    struct trash_call *c = ctx;
    c->next = c->after;
    return trash_list(tx, c->prefix, &c->next, c->limit, c->now, c->arena, &c->items, &c->count,
                      &c->more, err);
}

/* "<receipt>.<number>" */
static bool read_place(struct http_request *rq, str text, struct trash_place *out)
{
    str receipt = STR_NONE;
    str number = STR_NONE;
    uint64_t id = 0;
    uint64_t n = 0;
    if (text.ptr == NULL)
        return true;
    if (str_cut(text, '.', &receipt, &number) && str_to_u64(receipt, INT64_MAX, &id) &&
        str_to_u64(number, INT64_MAX, &n)) {
        *out = (struct trash_place){ (int64_t)id, n };
        return true;
    }
    ebb_problem(rq, 400, "invalid", STR("?after= is the \"next\" of the page before"), STR_NONE);
    return false;
}

void ebb_trash_get(struct http_request *rq)
{
    struct trash_call c = { .r = api_call_of(rq)->api->registry, .now = ebb_now(rq) };
    struct ebb_page page;
    struct json_out o;
    if (!ebb_page(rq, &page) || !read_place(rq, page.after, &c.after) || !ebb_prefix(rq, &c.prefix))
        return;
    if (!ebb_demand_prefix(rq, c.prefix, RIGHT_DELETE))
        return;
    c.limit = page.limit;
    c.arena = ebb_arena(rq, PAGE_BYTES_MAX);
    if (c.arena == NULL)
        return;
    if (!ebb_read_list(rq, list, &c, &o))
        return;
    for (size_t i = 0; i < c.count; i++) {
        const struct trash_item *t = &c.items[i];
        json_out_open(&o, NULL, '{');
        ebb_add_receipt_item(&o, &t->item);
        json_out_open(&o, "tags", '[');
        for (size_t n = 0; n < t->tag_count; n++)
            json_out_text(&o, NULL, t->tags[n]);
        json_out_close(&o, ']');
        json_out_number(&o, "receipt", t->receipt_id);
        ebb_add_time(rq, &o, "deleted_at", t->deleted_at);
        ebb_add_time(rq, &o, "until", t->until);
        json_out_close(&o, '}');
    }
    ebb_end_list(rq, &o, c.more,
                 arena_printf(&rq->arena, "%lld.%llu", (long long)c.next.receipt_id,
                              (unsigned long long)c.next.item));
}

/* Whether each may be restored; what cannot be seen lies in no trash. */
static bool demand_each(struct http_request *rq, const struct undo_request *request)
{
    struct ebb_reference ref;
    struct err err = { 0 };
    for (size_t i = 0; i < request->only_count; i++) {
        if (ebb_reference_parse(request->only[i], EBB_REFERENCE_TAG | EBB_REFERENCE_DIGEST, &ref,
                                &err) != ST_OK ||
            gate_may(rq, ref.repo, RIGHT_DELETE))
            continue;
        api_call_of(rq)->absent =
            arena_printf(&rq->arena, "%.*s does not lie in the trash", STR_FMT(request->only[i]));
        return gate_demand(rq, ref.repo, RIGHT_DELETE);
    }
    return true;
}

void ebb_trash_restore_post(struct http_request *rq)
{
    struct undo_request request = { 0 };
    struct err err = { 0 };
    int64_t undo = 0;
    if (!ebb_read_undo(rq, "references", true, &request) || !demand_each(rq, &request) ||
        !ebb_demand_as(rq, &request))
        return;
    if (undo_newest(api_call_of(rq)->api->deletion, &request, ebb_now(rq), &undo, &err) != ST_OK) {
        ebb_fail(rq, statuses, &err);
        return;
    }
    log_event(LOG_INFO, "restored", LOG_STR("id", rq->id), LOG_INT("undo", undo),
              LOG_INT("references", request.only_count), LOG_STR("reason", request.by.reason));
    ebb_answer_receipt(rq, undo);
}
