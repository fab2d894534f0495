/* SPDX-License-Identifier: Apache-2.0 */
#include "deletion/plan_summary.h"

#include "base/buf.h"
#include "deletion/plan_record.h"

#define WARNINGS_MAX 10000 /* that a row may name */

/* The plain numbers, in their order. */
#define NUMBERS 10
static void list_numbers(struct plan *p, uint64_t *out[static NUMBERS])
{
    uint64_t *const list[NUMBERS] = {
        &p->tags,        &p->manifests,   &p->blobs,      &p->repositories, &p->items,
        &p->bytes_freed, &p->bytes_later, &p->bytes_kept, &p->confirm_tags, &p->protected_items,
    };
    memcpy(out, list, sizeof(list));
}

static void put_digest(struct buf *b, const struct digest *d)
{
    char key[DIGEST_KEY_MAX];
    plan_record_put_string(b, digest_key(d, key));
}

static void put_kept(struct buf *b, const struct plan_kept *k)
{
    put_digest(b, &k->digest);
    plan_record_put_number(b, k->size);
    plan_record_put_number(b, k->by_count);
    for (size_t i = 0; i < k->by_count; i++) {
        plan_record_put_string(b, k->by[i].repo);
        put_digest(b, &k->by[i].digest);
        plan_record_put_string(b, k->by[i].tag);
        plan_record_put_string(b, k->by[i].why);
    }
}

void plan_summary_write(struct buf *b, const struct plan *plan, uint64_t chunks)
{
    AUTO(buf_release) struct buf body = { .max_bytes = b->max_bytes };
    struct plan copy = *plan;
    uint64_t *numbers[NUMBERS];
    list_numbers(&copy, numbers);
    plan_record_put_number(&body, chunks);
    plan_record_put_number(&body, plan->now);
    plan_record_put_number(&body, (uint64_t)plan->later_until);
    for (size_t i = 0; i < NUMBERS; i++)
        plan_record_put_number(&body, *numbers[i]);
    plan_record_put_number(&body, RETENTION_VERDICTS);
    for (size_t i = 0; i < RETENTION_VERDICTS; i++)
        plan_record_put_number(&body, plan->retained[i]);
    plan_record_put_string(&body, plan->reason);
    plan_record_put_string(&body, plan->confirm_why);
    plan_record_put_number(&body, plan->warning_count);
    for (size_t i = 0; i < plan->warning_count; i++) {
        plan_record_put_number(&body, plan->warnings[i].code);
        plan_record_put_string(&body, plan->warnings[i].repo);
        plan_record_put_string(&body, plan->warnings[i].text);
    }
    plan_record_put_number(&body, plan->kept_count);
    for (size_t i = 0; i < plan->kept_count; i++)
        put_kept(&body, &plan->kept[i]);
    if (body.failed != ST_OK && b->failed == ST_OK)
        b->failed = body.failed;
    plan_record_seal(b, str_of(plan->id), PLAN_SUMMARY_NUMBER, buf_str(&body));
}

static size_t read_count(struct plan_record *r, size_t max)
{
    uint64_t n = plan_record_number(r);
    if (n > max)
        r->broken = true;
    return r->broken ? 0 : (size_t)n;
}

static void read_digest(struct plan_record *r, struct digest *out)
{
    if (digest_of_key(plan_record_string(r), out, NULL) != ST_OK)
        r->broken = true;
}

static void read_kept(struct plan_record *r, struct plan_kept *k)
{
    read_digest(r, &k->digest);
    k->size = plan_record_number(r);
    k->by_count = read_count(r, PLAN_KEEPERS_MAX);
    for (size_t i = 0; i < k->by_count; i++) {
        k->by[i].repo = plan_record_string(r);
        read_digest(r, &k->by[i].digest);
        k->by[i].tag = plan_record_string(r);
        k->by[i].why = plan_record_string(r);
    }
}

static bool read_lists(struct plan_record *r, struct arena *a, struct plan *p)
{
    p->warning_count = read_count(r, WARNINGS_MAX);
    p->warnings = arena_alloc(a, (p->warning_count + 1) * sizeof(*p->warnings));
    if (p->warnings == NULL)
        return false;
    for (size_t i = 0; i < p->warning_count; i++) {
        p->warnings[i].code = (enum plan_warning_code)read_count(r, PLAN_UNTAGGED_KEPT);
        p->warnings[i].repo = plan_record_string(r);
        p->warnings[i].text = plan_record_string(r);
    }
    p->kept_count = read_count(r, PLAN_KEPT_MAX);
    p->kept = arena_alloc(a, (p->kept_count + 1) * sizeof(*p->kept));
    if (p->kept == NULL)
        return false;
    for (size_t i = 0; i < p->kept_count; i++)
        read_kept(r, &p->kept[i]);
    return true;
}

enum st plan_summary_read(const struct plan_row *row, struct arena *a, struct plan *out,
                          uint64_t *chunks, struct err *err)
{
    struct plan_record r = { 0 };
    struct plan p = { .created_at = row->created_at,
                      .expires_at = row->expires_at,
                      .request = row->request,
                      .receipt_id = row->receipt_id };
    uint64_t *numbers[NUMBERS];
    enum st st = plan_record_open(row->data, row->id, PLAN_SUMMARY_NUMBER, &r.rest, err);
    if (st != ST_OK)
        return st;
    if (!str_copy(row->id, p.id, sizeof(p.id)))
        return err_set(err, ST_CORRUPT, "the id of the stored plan is none");
    uint64_t chunk_count = plan_record_number(&r);
    p.now = plan_record_number(&r) != 0;
    p.later_until = (int64_t)plan_record_number(&r);
    list_numbers(&p, numbers);
    for (size_t i = 0; i < NUMBERS; i++)
        *numbers[i] = plan_record_number(&r);
    if (plan_record_number(&r) != RETENTION_VERDICTS)
        r.broken = true;
    for (size_t i = 0; i < RETENTION_VERDICTS; i++)
        p.retained[i] = plan_record_number(&r);
    p.reason = plan_record_string(&r);
    p.confirm_why = plan_record_string(&r);
    if (!read_lists(&r, a, &p))
        return err_no_memory(err);
    if (r.broken || r.rest.len != 0)
        return err_set(err, ST_CORRUPT, "the stored plan cannot be read");
    *out = p;
    *chunks = chunk_count;
    return ST_OK;
}
