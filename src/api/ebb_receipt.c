/* SPDX-License-Identifier: Apache-2.0
 *
 * Receipts: GET /receipts, /receipts/<id>, /receipts/<id>/items, /receipts/key, /receipts/verify,
 * POST /receipts/<id>/undo.
 */
#include "api/ebb_int.h"
#include "base/log.h"
#include "deletion/undo.h"
#include "meta/receipts.h"
#include "oci/name.h"

#define PAGE_BYTES_MAX   (64 * MIB)
#define VERIFY_RECEIPTS  ((size_t)10000)
#define VERIFY_ITEMS_MAX ((uint64_t)200000)

static const struct answer_status statuses[] = {
    { ST_NOT_FOUND, 404, "receipt-unknown" },
    { ST_BUSY, 409, "receipt-open" },
    { ST_OK, 0, NULL },
};

/* What the functions inside transactions take. */
struct receipt_call {
    struct registry *r;
    struct arena *arena;
    int64_t id;
    str repo;
    uint64_t after;
    size_t limit;
    struct receipt receipt;
    struct receipt *receipts;
    struct receipt_item *items;
    size_t count;
    bool more;
    const uint8_t *public;
    struct receipts_stretch stretch;
    struct receipts_verdict verdict;
};

/* ---- rights ---------------------------------------------------------------------------------- */

static bool refuse_unknown(struct http_request *rq, int64_t id)
{
    struct err err = { 0 };
    (void)err_set(&err, ST_NOT_FOUND, "there is no receipt %lld", (long long)id);
    ebb_fail(rq, statuses, &err);
    return false;
}

/* To look at it. */
static bool may_see(struct http_request *rq, const struct receipt *r)
{
    struct err err = { 0 };
    str repo = STR_NONE;
    switch (ebb_receipt_access(rq, r, &repo, &err)) {
    case EBB_ALLOWED:
    case EBB_PARTLY:
        return true;
    case EBB_REFUSED:
        return refuse_unknown(rq, r->id);
    case EBB_FAILED:
        break;
    }
    ebb_fail(rq, NULL, &err);
    return false;
}

/* A page of its items: rights on what the page tells are enough, as looking at the whole receipt
 * for each page would cost its square. */
static bool may_read(struct http_request *rq, const struct receipt_call *c)
{
    for (size_t i = 0; i < c->count; i++)
        if ((i == 0 || !str_eq(c->items[i].repo, c->items[i - 1].repo)) &&
            !gate_may(rq, c->items[i].repo, RIGHT_DELETE))
            return may_see(rq, &c->receipt);
    return c->count > 0 || may_see(rq, &c->receipt);
}

/* To undo what `only` names, or all of it. */
static bool may_undo(struct http_request *rq, const struct receipt *r,
                     const struct undo_request *request)
{
    struct err err = { 0 };
    struct ebb_reference ref;
    str repo = STR_NONE;
    enum ebb_access access = ebb_receipt_access(rq, r, &repo, &err);
    if (access == EBB_FAILED) {
        ebb_fail(rq, NULL, &err);
        return false;
    }
    if (access == EBB_ALLOWED)
        return true;
    if (access == EBB_REFUSED && request->only_count == 0)
        return refuse_unknown(rq, r->id);
    if (request->only_count == 0)
        return gate_demand(rq, repo, RIGHT_DELETE);
    for (size_t i = 0; i < request->only_count; i++)
        if (ebb_reference_parse(request->only[i], EBB_REFERENCE_TAG | EBB_REFERENCE_DIGEST, &ref,
                                &err) == ST_OK &&
            !gate_may(rq, ref.repo, RIGHT_DELETE))
            return ebb_sees(rq, ref.repo) ? gate_demand(rq, ref.repo, RIGHT_DELETE)
                                          : refuse_unknown(rq, r->id);
    return true;
}

/* ---- one receipt ----------------------------------------------------------------------------- */

static enum st find(struct db_tx *tx, void *ctx, struct err *err)
{
    struct receipt_call *c = ctx;
    return receipts_find(tx, c->id, c->arena, &c->receipt, err);
}

static void add_id(struct json_out *o, const char *key, int64_t id)
{
    if (id == 0)
        json_out_null(o, key);
    else
        json_out_number(o, key, id);
}

static void add_chain(struct json_out *o, const struct receipt *r)
{
    bool chained = r->sealed && r->seq != 0;
    add_id(o, "seq", chained ? r->seq : 0);
    if (!chained) {
        json_out_null(o, "hash");
        json_out_null(o, "previous");
    } else {
        json_out_hex(o, "hash", r->hash, sizeof(r->hash));
        json_out_hex(o, "previous", r->prev_hash, sizeof(r->prev_hash));
    }
    if (chained && r->has_signature)
        json_out_hex(o, "signature", r->signature, sizeof(r->signature));
    else
        json_out_null(o, "signature");
}

static void add_receipt(struct http_request *rq, struct json_out *o, const struct receipt *r)
{
    json_out_open(o, NULL, '{');
    json_out_number(o, "receipt", r->id);
    json_out_text(o, "kind", r->kind == RECEIPT_UNDO ? STR("undo") : STR("delete"));
    json_out_text(o, "state", r->sealed ? STR("sealed") : STR("open"));
    json_out_open(o, "progress", '{');
    json_out_count(o, "done", r->position);
    json_out_count(o, "total", r->total);
    json_out_close(o, '}');
    ebb_add_time(rq, o, "created_at", r->created_at);
    ebb_add_time(rq, o, "sealed_at", r->sealed ? r->sealed_at : 0);
    bool undoable = r->kind == RECEIPT_DELETE && !r->immediate;
    ebb_add_time(rq, o, "undoable_until", undoable ? r->due_at : 0);
    json_out_text(o, "plan", r->plan_id);
    add_id(o, "undo_of", r->undo_of);
    json_out_flag(o, "now", r->immediate);
    json_out_text(o, "door", r->door);
    json_out_text(o, "actor", r->actor);
    json_out_text(o, "peer", r->peer);
    json_out_text(o, "rule", r->rule);
    json_out_text(o, "reason", r->reason);
    json_out_count(o, "tags", r->tags);
    json_out_count(o, "manifests", r->manifests);
    json_out_count(o, "blobs", r->blobs);
    json_out_count(o, "items", r->items);
    json_out_count(o, "skipped", r->skipped);
    json_out_count(o, "undone", r->undone);
    json_out_count(o, "bytes_freed", r->bytes_freed);
    json_out_count(o, "bytes_kept", r->bytes_kept);
    add_chain(o, r);
    json_out_close(o, '}');
}

/* `moves`: what asked for it is carried out now, and 202 says that there is more to come. */
static void answer_receipt(struct http_request *rq, int64_t id, bool moves)
{
    struct receipt_call c = { .r = api_call_of(rq)->api->registry, .id = id };
    struct json_out o;
    struct err err = { 0 };
    c.arena = ebb_arena(rq, PAGE_BYTES_MAX);
    if (c.arena == NULL)
        return;
    if (db_read(c.r->db, find, &c, &err) != ST_OK) {
        ebb_fail(rq, statuses, &err);
        return;
    }
    if (!moves && !may_see(rq, &c.receipt))
        return;
    /* What a deletion without grace let go is due now, also when it was long in coming. */
    if (c.receipt.immediate)
        reclaim_loop_wake(api_call_of(rq)->api->reclaim);
    if (!ebb_begin(rq, &o))
        return;
    add_receipt(rq, &o, &c.receipt);
    int http = moves && !c.receipt.sealed ? 202 : 200;
    ebb_end(rq, http, &o);
    if (moves && rq->answer_code == http)
        http_answer_header(rq, "Location",
                           arena_printf(&rq->arena, EBB_ROOT "/receipts/%lld", (long long)id));
}

void ebb_answer_receipt(struct http_request *rq, int64_t id)
{
    answer_receipt(rq, id, true);
}

void ebb_receipt_get(struct http_request *rq)
{
    int64_t id = 0;
    if (ebb_id(rq, "receipt-unknown", &id))
        answer_receipt(rq, id, false);
}

/* ---- lists ----------------------------------------------------------------------------------- */

static enum st list(struct db_tx *tx, void *ctx, struct err *err)
{
    struct receipt_call *c = ctx;
    return receipts_list(tx, c->repo, (int64_t)c->after, c->limit, c->arena, &c->receipts,
                         &c->count, &c->more, err);
}

static bool read_repository(struct http_request *rq, str *out)
{
    struct err err = { 0 };
    if (!http_query(rq, "repository", out))
        return ebb_demand_prefix(rq, STR(""), RIGHT_DELETE);
    if (name_check(*out, &err) == ST_OK)
        return gate_demand(rq, *out, RIGHT_DELETE);
    (void)err_wrap(&err, "?repository=");
    ebb_fail(rq, NULL, &err);
    return false;
}

void ebb_receipts_get(struct http_request *rq)
{
    struct receipt_call c = { .r = api_call_of(rq)->api->registry };
    struct json_out o;
    if (!ebb_page_number(rq, &c.limit, &c.after) || !read_repository(rq, &c.repo))
        return;
    c.arena = ebb_arena(rq, PAGE_BYTES_MAX);
    if (c.arena == NULL)
        return;
    if (!ebb_read_list(rq, list, &c, &o))
        return;
    for (size_t i = 0; i < c.count; i++)
        add_receipt(rq, &o, &c.receipts[i]);
    ebb_end_list_number(rq, &o, c.more && c.count > 0 ? (uint64_t)c.receipts[c.count - 1].id : 0);
}

/* An unknown receipt has no items, so it is looked up along. */
static enum st list_items(struct db_tx *tx, void *ctx, struct err *err)
{
    struct receipt_call *c = ctx;
    enum st st = find(tx, ctx, err);
    if (st == ST_OK)
        st = receipts_items(tx, c->id, c->after, c->limit, false, c->arena, &c->items, &c->count,
                            &c->more, err);
    return st;
}

void ebb_add_receipt_item(struct json_out *o, const struct receipt_item *i)
{
    static const char *const kinds[] = {
        [ITEM_TAG] = "tag", [ITEM_MANIFEST] = "manifest", [ITEM_BLOB] = "blob"
    };
    json_out_text(o, "kind", str_of(kinds[i->kind]));
    json_out_text(o, "role", i->with ? STR("with") : STR("selected"));
    json_out_text(o, "repository", i->repo);
    json_out_text(o, "tag", i->kind == ITEM_TAG ? i->tag : STR_NONE);
    json_out_digest(o, "digest", &i->digest);
    json_out_count(o, "size", i->size);
    json_out_count(o, "number", i->number);
}

void ebb_receipt_items_get(struct http_request *rq)
{
    struct receipt_call c = { .r = api_call_of(rq)->api->registry };
    struct json_out o;
    struct err err = { 0 };
    if (!ebb_id(rq, "receipt-unknown", &c.id) || !ebb_page_number(rq, &c.limit, &c.after))
        return;
    c.arena = ebb_arena(rq, PAGE_BYTES_MAX);
    if (c.arena == NULL)
        return;
    if (db_read(c.r->db, list_items, &c, &err) != ST_OK) {
        ebb_fail(rq, statuses, &err);
        return;
    }
    if (!may_read(rq, &c) || !ebb_begin_list(rq, &o))
        return;
    for (size_t i = 0; i < c.count; i++) {
        json_out_open(&o, NULL, '{');
        ebb_add_receipt_item(&o, &c.items[i]);
        add_id(&o, "undone_by", c.items[i].undone_by);
        json_out_text(&o, "skipped", c.items[i].why);
        json_out_close(&o, '}');
    }
    ebb_end_list_number(rq, &o, c.more && c.count > 0 ? c.items[c.count - 1].number : 0);
}

/* ---- the chain ------------------------------------------------------------------------------- */

void ebb_receipts_key_get(struct http_request *rq)
{
    char text[SIGNATURE_PUBLIC_TEXT + 1];
    struct json_out o;
    if (!ebb_begin(rq, &o))
        return;
    signature_public_text(deletion_public_key(api_call_of(rq)->api->deletion), text);
    json_out_open(&o, NULL, '{');
    json_out_text(&o, "algorithm", STR("ed25519"));
    json_out_text(&o, "public_key", str_of(text));
    json_out_close(&o, '}');
    ebb_end(rq, 200, &o);
}

static enum st verify(struct db_tx *tx, void *ctx, struct err *err)
{
    struct receipt_call *c = ctx;
    return receipts_verify(tx, c->public, &c->stretch, c->arena, &c->verdict, err);
}

static bool read_hash(str text, unsigned char out[static RECEIPT_HASH_BYTES])
{
    if (text.len != (size_t)2 * RECEIPT_HASH_BYTES)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f')))
            return false;
        int digit = c <= '9' ? c - '0' : c - 'a' + 10;
        out[i / 2] = (unsigned char)(i % 2 == 0 ? digit << 4 : out[i / 2] | digit);
    }
    return true;
}

static bool read_stretch(struct http_request *rq, struct receipts_stretch *out,
                         unsigned char before[static RECEIPT_HASH_BYTES])
{
    struct err err = { 0 };
    uint64_t from = 1;
    str text = STR_NONE;
    if (http_query(rq, "from", &text) && (!str_to_u64(text, INT64_MAX, &from) || from == 0))
        (void)err_set(&err, ST_INVALID, "?from= is the place of a receipt in the chain, from 1 on");
    out->from = (int64_t)from;
    if (http_query(rq, "hash", &text)) {
        if (read_hash(text, before))
            out->before = before;
        else
            (void)err_set(&err, ST_INVALID, "?hash= is %d lower-case hex digits",
                          2 * RECEIPT_HASH_BYTES);
    }
    if (err.st == ST_OK)
        return true;
    ebb_fail(rq, NULL, &err);
    return false;
}

static void add_verdict(struct json_out *o, const struct receipts_verdict *v)
{
    json_out_open(o, NULL, '{');
    json_out_flag(o, "ok", v->wrong_count == 0);
    json_out_count(o, "checked", v->checked);
    if (v->last_seq == 0) {
        json_out_null(o, "last");
    } else {
        json_out_open(o, "last", '{');
        json_out_number(o, "seq", v->last_seq);
        json_out_hex(o, "hash", v->last_hash, sizeof(v->last_hash));
        json_out_close(o, '}');
    }
    add_id(o, "next", v->next);
    json_out_open(o, "wrong", '[');
    for (size_t i = 0; i < v->wrong_count; i++) {
        json_out_open(o, NULL, '{');
        add_id(o, "seq", v->wrong[i].seq);
        add_id(o, "receipt", v->wrong[i].receipt_id);
        json_out_text(o, "text", v->wrong[i].text);
        json_out_close(o, '}');
    }
    json_out_close(o, ']');
    json_out_close(o, '}');
}

void ebb_receipts_verify_get(struct http_request *rq)
{
    struct api *api = api_call_of(rq)->api;
    unsigned char before[RECEIPT_HASH_BYTES];
    struct receipt_call c = { .r = api->registry,
                              .public = deletion_public_key(api->deletion),
                              .stretch = { .limit = VERIFY_RECEIPTS,
                                           .items_max = VERIFY_ITEMS_MAX } };
    struct json_out o;
    struct err err = { 0 };
    if (!read_stretch(rq, &c.stretch, before))
        return;
    c.arena = ebb_arena(rq, PAGE_BYTES_MAX);
    if (c.arena == NULL)
        return;
    if (db_read(c.r->db, verify, &c, &err) != ST_OK) {
        ebb_fail(rq, NULL, &err);
        return;
    }
    if (!ebb_begin(rq, &o))
        return;
    add_verdict(&o, &c.verdict);
    ebb_end(rq, 200, &o);
}

/* ---- undo ------------------------------------------------------------------------------------ */

/* List `key` of references, and the members that both ways to undo have. */
bool ebb_read_undo(struct http_request *rq, const char *key, bool needed, struct undo_request *out)
{
    struct json_in in;
    struct ebb_reference ref;
    struct err err = { 0 };
    str reason = STR_NONE;
    size_t count = 0;
    str *refs = NULL;
    if (!ebb_read(rq, &in))
        return false;
    if (json_in_list(&in, key, EBB_REFERENCES_MAX, &count)) {
        refs = arena_alloc(in.body->arena, count * sizeof(*refs));
        if (refs == NULL) {
            (void)err_no_memory(&err);
            json_in_refuse_as(&in, NULL, &err);
        }
    } else if (needed) {
        json_in_refuse(&in, NULL, "\"%s\" is missing: a list of what is to be restored", key);
    }
    for (size_t i = 0; i < count && !json_in_failed(&in); i++) {
        if (!json_in_list_text(&in, key, i, EBB_REFERENCE_MAX, &refs[i]))
            continue;
        if (ebb_reference_parse(refs[i], EBB_REFERENCE_TAG | EBB_REFERENCE_DIGEST, &ref, &err) !=
            ST_OK)
            json_in_refuse(&in, NULL, "%s[%zu]: %s", key, i, err.text);
    }
    (void)json_in_flag(&in, "force", &out->force);
    if (json_in_text(&in, "as", TAG_MAX_BYTES, &out->as) && tag_check(out->as, &err) != ST_OK)
        json_in_refuse_as(&in, "as", &err);
    (void)json_in_text(&in, "reason", EBB_REASON_MAX, &reason);
    out->only = refs;
    out->only_count = count;
    out->by = gate_by(rq, reason);
    return ebb_read_end(rq, &in);
}

bool ebb_demand_as(struct http_request *rq, const struct undo_request *request)
{
    struct ebb_reference ref;
    struct err err = { 0 };
    for (size_t i = 0; request->as.ptr != NULL && i < request->only_count; i++)
        if (ebb_reference_parse(request->only[i], EBB_REFERENCE_TAG | EBB_REFERENCE_DIGEST, &ref,
                                &err) == ST_OK &&
            !gate_demand(rq, ref.repo, RIGHT_PUSH))
            return false;
    return true;
}

void ebb_receipt_undo_post(struct http_request *rq)
{
    struct undo_request request = { 0 };
    struct receipt_call c = { .r = api_call_of(rq)->api->registry };
    struct err err = { 0 };
    int64_t undo = 0;
    if (!ebb_id(rq, "receipt-unknown", &request.receipt_id) ||
        !ebb_read_undo(rq, "only", false, &request))
        return;
    c.id = request.receipt_id;
    c.arena = ebb_arena(rq, PAGE_BYTES_MAX);
    if (c.arena == NULL)
        return;
    if (db_read(c.r->db, find, &c, &err) != ST_OK) {
        ebb_fail(rq, statuses, &err);
        return;
    }
    if (!may_undo(rq, &c.receipt, &request) || !ebb_demand_as(rq, &request))
        return;
    if (undo_receipt(api_call_of(rq)->api->deletion, &request, ebb_now(rq), &undo, &err) != ST_OK) {
        ebb_fail(rq, statuses, &err);
        return;
    }
    log_event(LOG_INFO, "undone", LOG_STR("id", rq->id), LOG_INT("receipt", request.receipt_id),
              LOG_INT("undo", undo), LOG_STR("reason", request.by.reason));
    ebb_answer_receipt(rq, undo);
}
