/* SPDX-License-Identifier: Apache-2.0
 *
 * An undo is a receipt of its own, carried out in steps of up to APPLY_STEP items as apply.c does:
 *
 *     receipt open, position n ──items of step n taken back, recorded, marked──▶ position n + 1
 *                                                                      └ the last one ──▶ sealed
 *
 *  1. What is to be undone is chosen once and written into the receipt as numbers of items, which
 *     never change: a restart goes on with the same ones.
 *  2. An item that came back bears the number of the undo; it is passed over from then on. So doing
 *     it twice does nothing, also when two do it at the same time.
 *  3. At most one undo of a receipt is open.
 */
#include "deletion/undo.h"

#include "deletion/apply.h"
#include "deletion/job.h"
#include "deletion/undo_int.h"
#include "meta/trash.h"
#include "oci/name.h"

#define STEPS_AT_ONCE 2
/* Items of several receipts that are taken back in one transaction. */
#define NEWEST_MAX    1024
#define REQUEST_BYTES ((size_t)(32 * MIB))

static uint64_t steps_of(uint64_t items)
{
    return (items + APPLY_STEP - 1) / APPLY_STEP;
}

enum st carry_undo(struct carry *c, struct err *err)
{
    struct receipt *r = c->receipt;
    struct undo_order order = { 0 };
    enum st st = undo_order_read(r->request, c->a, &order, err);
    if (st == ST_OK)
        st = undo_items(c, &order, r->undo_of, r->position * APPLY_STEP, APPLY_STEP, err);
    if (st == ST_OK)
        r->position++;
    return st;
}

/* ---- beginning ------------------------------------------------------------------------------- */

struct beginning {
    struct deletion *d;
    const struct undo_request *request;
    int64_t now;
    struct arena *a; /* of the call */
    struct undo_reference *only;
    struct receipt original;
    struct undo_choice choice; /* unless it is all of it */
    bool chosen;
    int64_t undo_id;
    bool sealed;
};

static enum st check_receipt(const struct beginning *b, struct err *err)
{
    const struct receipt *r = &b->original;
    long long id = (long long)r->id;
    if (r->kind == RECEIPT_UNDO)
        return err_set(err, ST_INVALID, "receipt %lld is an undo: to take that back, delete again",
                       id);
    if (!r->sealed)
        return err_set(err, ST_BUSY, "receipt %lld is still being carried out", id);
    if (r->immediate)
        return err_set(err, ST_EXPIRED, "receipt %lld skipped the grace: it is gone for good", id);
    if (r->due_at <= b->now)
        return err_set(err, ST_EXPIRED, "the grace of receipt %lld is over", id);
    if (r->items == r->skipped)
        return err_set(err, ST_NOT_FOUND, "receipt %lld removed nothing", id);
    return ST_OK;
}

static enum st count_left(struct db_tx *tx, struct beginning *b, struct err *err)
{
    const struct receipt *r = &b->original;
    if (b->request->only_count > 0 || b->request->as.ptr != NULL)
        return ST_OK;
    if (r->undone < r->items - r->skipped)
        return ST_OK;
    uint64_t left = 0;
    enum st st = receipts_count_undoable(tx, r->id, &left, &b->undo_id, err);
    b->sealed = st == ST_OK && b->undo_id != 0;
    return st;
}

/* Everything, as references that name it all would. */
static enum st choose_all(struct db_tx *tx, struct beginning *b, struct err *err)
{
    enum st st = ST_OK;
    uint64_t after = 0;
    bool more = true;
    while (st == ST_OK && more) {
        AUTO(arena_release) struct arena page = { .limit_bytes = 64 * MIB };
        struct receipt_item *items = NULL;
        size_t count = 0;
        st = receipts_items(tx, b->original.id, after, 1000, false, &page, &items, &count, &more,
                            err);
        for (size_t i = 0; i < count && st == ST_OK; i++) {
            after = items[i].number;
            if (items[i].why.ptr == NULL && items[i].undone_by == 0 && items[i].kind == ITEM_TAG)
                b->choice.tags++;
        }
    }
    return st;
}

/* Reads only: going through a large receipt must not keep writers waiting. */
static enum st prepare(struct db_tx *tx, void *ctx, struct err *err)
{
    struct beginning *b = ctx;
    const struct undo_request *q = b->request;
    b->choice = (struct undo_choice){ 0 };
    b->chosen = q->only_count > 0;
    enum st st = receipts_find(tx, q->receipt_id, b->a, &b->original, err);
    if (st == ST_OK)
        st = check_receipt(b, err);
    if (st == ST_OK && b->chosen)
        st = undo_choose(tx, q->receipt_id, b->only, q->only_count, b->a, &b->choice, err);
    else if (st == ST_OK && q->as.ptr != NULL)
        st = choose_all(tx, b, err);
    if (st != ST_OK)
        return st;
    if (b->chosen && b->choice.left == 0) {
        b->undo_id = b->choice.newest_undo;
        b->sealed = b->undo_id != 0;
        if (!b->sealed)
            return err_set(err, ST_NOT_FOUND, "none of that was removed by receipt %lld",
                           (long long)q->receipt_id);
        return ST_OK;
    }
    if (q->as.ptr != NULL && b->choice.tags != 1)
        return err_set(err, ST_INVALID,
                       "another name can be given to one tag, not to %llu: choose one",
                       (unsigned long long)b->choice.tags);
    return ST_OK;
}

static enum st open_receipt(struct db_tx *tx, struct beginning *b, int64_t undo_of, uint64_t total,
                            struct receipt *out, struct err *err)
{
    const struct deletion_by *by = &b->request->by;
    AUTO(buf_release) struct buf request = { .max_bytes = REQUEST_BYTES };
    undo_order_write(&request, b->request, b->chosen ? &b->choice : NULL);
    enum st st = buf_status(&request, err);
    if (st != ST_OK)
        return st;
    *out = (struct receipt){
        .kind = RECEIPT_UNDO,
        .created_at = b->now,
        .due_at = b->now,
        .door = by->door,
        .actor = by->actor,
        .peer = by->peer,
        .reason = by->reason,
        .request = arena_dup(b->a, buf_str(&request)),
        .undo_of = undo_of,
        .total = total,
    };
    return out->request.ptr == NULL ? err_no_memory(err) : receipts_open(tx, out, err);
}

/* An undo that is under way: with the same request it is the answer. */
static enum st find_open_undo(struct db_tx *tx, struct beginning *b, bool *found, struct err *err)
{
    AUTO(buf_release) struct buf request = { .max_bytes = REQUEST_BYTES };
    struct receipt open = { 0 };
    int64_t id = 0;
    *found = false;
    enum st st = receipts_open_undo(tx, b->original.id, &id, err);
    if (st == ST_NOT_FOUND)
        return ST_OK;
    if (st == ST_OK)
        st = receipts_find(tx, id, b->a, &open, err);
    undo_order_write(&request, b->request, b->chosen ? &b->choice : NULL);
    if (st == ST_OK)
        st = buf_status(&request, err);
    if (st != ST_OK)
        return st;
    if (!str_eq(open.request, buf_str(&request)))
        return err_set(err, ST_BUSY, "receipt %lld is being undone already, by %lld",
                       (long long)b->original.id, (long long)id);
    b->undo_id = id;
    b->sealed = *found = true; /* somebody is at it */
    return ST_OK;
}

static enum st begin(struct db_tx *tx, void *ctx, struct err *err)
{
    AUTO(arena_release) struct arena scratch = { .limit_bytes = 160 * MIB };
    struct beginning *b = ctx;
    struct receipt receipt = { 0 };
    bool found = false;
    b->sealed = false;
    b->undo_id = 0;
    enum st st = receipts_find(tx, b->request->receipt_id, b->a, &b->original, err);
    if (st == ST_OK)
        st = check_receipt(b, err);
    if (st == ST_OK)
        st = count_left(tx, b, err);
    if (st == ST_OK && !b->sealed)
        st = find_open_undo(tx, b, &found, err);
    if (st != ST_OK || b->sealed)
        return st;
    uint64_t total = steps_of(b->chosen ? b->choice.chosen : b->original.items);
    st = open_receipt(tx, b, b->original.id, total, &receipt, err);
    struct carry c = { .tx = tx, .d = b->d, .receipt = &receipt, .now = b->now, .a = &scratch };
    if (st == ST_OK)
        st = carry_undo(&c, err);
    if (st == ST_OK)
        st = carry_end(&c, err);
    b->undo_id = receipt.id;
    b->sealed = receipt.sealed;
    return st;
}

static enum st parse_references(struct beginning *b, struct err *err)
{
    const struct undo_request *q = b->request;
    enum st st = ST_OK;
    b->only = arena_alloc(b->a, (q->only_count + 1) * sizeof(*b->only));
    if (b->only == NULL)
        return err_no_memory(err);
    for (size_t i = 0; i < q->only_count && st == ST_OK; i++)
        st = undo_parse(q->only[i], &b->only[i], err);
    if (st == ST_OK && q->as.ptr != NULL)
        st = tag_check(q->as, err);
    return st;
}

static enum st begin_one(struct beginning *b, struct err *err)
{
    enum st st = db_read(b->d->r->db, prepare, b, err);
    if (st != ST_OK || b->sealed)
        return st;
    st = registry_write(b->d->r, begin, b, err);
    if (st == ST_OK && !b->sealed)
        job_hand_over(b->d, b->undo_id, b->now, STEPS_AT_ONCE - 1);
    return st;
}

enum st undo_receipt(struct deletion *d, const struct undo_request *request, int64_t now,
                     int64_t *undo_id, struct err *err)
{
    AUTO(arena_release) struct arena scratch = { .limit_bytes = 256 * MIB };
    struct beginning b = { .d = d, .request = request, .now = now, .a = &scratch };
    deletion_note_now(d, now);
    enum st st = parse_references(&b, err);
    if (st == ST_OK)
        st = begin_one(&b, err);
    if (st == ST_OK)
        *undo_id = b.undo_id;
    return st;
}

/* ---- the newest deletion of each ------------------------------------------------------------- */

struct newest {
    struct beginning b;
    int64_t *receipts; /* by reference */
    bool several;
};

static enum st find_newest(struct db_tx *tx, struct newest *n, struct err *err)
{
    const struct undo_request *q = n->b.request;
    n->several = false;
    for (size_t i = 0; i < q->only_count; i++) {
        const struct undo_reference *r = &n->b.only[i];
        enum st st =
            r->tag.ptr != NULL
                ? trash_find_tag(tx, r->repo, r->tag, n->b.now, &n->receipts[i], err)
                : trash_find_digest(tx, r->repo, &r->digest, n->b.now, &n->receipts[i], err);
        if (st == ST_NOT_FOUND)
            return err_set(err, st, "%.*s does not lie in the trash", STR_FMT(r->text));
        if (st != ST_OK)
            return st;
        n->several = n->several || n->receipts[i] != n->receipts[0];
    }
    return ST_OK;
}

static enum st look_for_newest(struct db_tx *tx, void *ctx, struct err *err)
{
    return find_newest(tx, ctx, err);
}

/* The references that `receipt_id` is the newest deletion of; those are done with. */
static enum st undo_part(struct newest *n, struct carry *c, size_t first, struct err *err)
{
    const struct undo_request *q = n->b.request;
    int64_t id = n->receipts[first];
    struct undo_choice choice = { 0 };
    struct undo_reference *refs = arena_alloc(c->a, (q->only_count + 1) * sizeof(*refs));
    size_t count = 0;
    if (refs == NULL)
        return err_no_memory(err);
    for (size_t i = first; i < q->only_count; i++) {
        if (n->receipts[i] != id)
            continue;
        refs[count++] = n->b.only[i];
        n->receipts[i] = 0;
    }
    enum st st = undo_choose(c->tx, id, refs, count, c->a, &choice, err);
    if (st == ST_OK && c->receipt->items + choice.chosen > NEWEST_MAX)
        st = err_set(err, ST_TOO_LARGE,
                     "these lie in several receipts and are more than %d items: restore fewer at a"
                     " time, or undo the receipts",
                     NEWEST_MAX);
    const struct undo_order order = { .force = q->force,
                                      .ranges = choice.ranges,
                                      .range_count = choice.range_count };
    return st == ST_OK ? undo_items(c, &order, id, 0, choice.chosen, err) : st;
}

static enum st begin_several(struct db_tx *tx, void *ctx, struct err *err)
{
    AUTO(arena_release) struct arena scratch = { .limit_bytes = 256 * MIB };
    struct newest *n = ctx;
    struct receipt receipt = { 0 };
    enum st st = find_newest(tx, n, err);
    if (st == ST_OK)
        st = open_receipt(tx, &n->b, 0, 1, &receipt, err);
    struct carry c = { .tx = tx, .d = n->b.d, .receipt = &receipt, .now = n->b.now, .a = &scratch };
    for (size_t i = 0; i < n->b.request->only_count && st == ST_OK; i++)
        if (n->receipts[i] != 0)
            st = undo_part(n, &c, i, err);
    receipt.position = 1;
    if (st == ST_OK)
        st = carry_end(&c, err);
    n->b.undo_id = receipt.id;
    return st;
}

enum st undo_newest(struct deletion *d, const struct undo_request *request, int64_t now,
                    int64_t *undo_id, struct err *err)
{
    AUTO(arena_release) struct arena scratch = { .limit_bytes = 256 * MIB };
    struct newest n = { .b = { .d = d, .request = request, .now = now, .a = &scratch } };
    deletion_note_now(d, now);
    if (request->only_count == 0)
        return err_set(err, ST_INVALID, "name what is to be restored: repo:tag or repo@sha256:...");
    enum st st = parse_references(&n.b, err);
    n.receipts = arena_alloc(&scratch, request->only_count * sizeof(*n.receipts));
    if (st == ST_OK && n.receipts == NULL)
        st = err_no_memory(err);
    if (st == ST_OK)
        st = db_read(d->r->db, look_for_newest, &n, err);
    if (st != ST_OK)
        return st;
    if (!n.several) {
        struct undo_request one = *request;
        one.receipt_id = n.receipts[0];
        n.b.request = &one;
        st = begin_one(&n.b, err);
    } else if (request->as.ptr != NULL) {
        st = err_set(err, ST_INVALID, "another name can be given to one tag only");
    } else {
        st = registry_write(d->r, begin_several, &n, err);
    }
    if (st == ST_OK)
        *undo_id = n.b.undo_id;
    return st;
}
