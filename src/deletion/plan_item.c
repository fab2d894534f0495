/* SPDX-License-Identifier: Apache-2.0 */
#include "deletion/plan_item.h"

#include "deletion/plan_record.h"
#include "oci/name.h"

enum {
    KIND_BITS = 3,
    WITH = 4,
    PROTECTED = 8,
    IN_TRASH = 16,
    SAME_REPO = 32,
    WAS_LOOSE = 64,
    WHOLE = 128,
    ALL = 255
};

void plan_item_put(struct buf *b, const struct plan_item *item, const struct plan_item *before)
{
    char key[DIGEST_KEY_MAX];
    bool same = before != NULL && str_eq(before->repo, item->repo);
    unsigned head = (unsigned)item->kind;
    head |= item->role == PLAN_WITH ? WITH : 0u;
    head |= item->is_protected ? PROTECTED : 0u;
    head |= item->in_trash ? IN_TRASH : 0u;
    head |= item->was_loose ? WAS_LOOSE : 0u;
    head |= item->is_whole ? WHOLE : 0u;
    head |= same ? SAME_REPO : 0u;
    buf_add_byte(b, (char)head);
    if (!same)
        plan_record_put_string(b, item->repo);
    plan_record_put_string(b, item->tag);
    plan_record_put_string(b, digest_key(&item->digest, key));
    plan_record_put_number(b, item->size);
    plan_record_put_number(b, (uint64_t)item->changed_at);
    plan_record_put_string(b, str_slice(item->why, 0, PLAN_WHY_MAX));
}

static enum st read_item(struct plan_record *r, struct plan_item *out, str repo, struct err *err)
{
    struct plan_item item = { 0 };
    unsigned head = plan_record_byte(r);
    unsigned kind = head & KIND_BITS;
    if (kind > PLAN_BLOB || (head & ~(unsigned)ALL) != 0)
        r->broken = true;
    item.kind = kind == 0 ? PLAN_TAG : kind == 1 ? PLAN_MANIFEST : PLAN_BLOB;
    item.role = (head & WITH) != 0 ? PLAN_WITH : PLAN_SELECTED;
    item.is_protected = (head & PROTECTED) != 0;
    item.in_trash = (head & IN_TRASH) != 0;
    item.was_loose = (head & WAS_LOOSE) != 0;
    item.is_whole = (head & WHOLE) != 0;
    item.repo = (head & SAME_REPO) != 0 ? repo : plan_record_string(r);
    item.tag = plan_record_string(r);
    str key = plan_record_string(r);
    item.size = plan_record_number(r);
    item.changed_at = (int64_t)plan_record_number(r);
    item.why = plan_record_string(r);
    if (r->broken || item.repo.len == 0 || (item.kind == PLAN_TAG) != (item.tag.len > 0) ||
        digest_of_key(key, &item.digest, NULL) != ST_OK)
        return err_set(err, ST_CORRUPT, "an item of the stored plan cannot be read");
    *out = item;
    return ST_OK;
}

void plan_chunk_seal(struct buf *b, str plan_id, uint64_t chunk, size_t count, str records)
{
    AUTO(buf_release) struct buf body = { .max_bytes = b->max_bytes };
    plan_record_put_number(&body, count);
    buf_add(&body, records);
    if (body.failed != ST_OK && b->failed == ST_OK)
        b->failed = body.failed;
    plan_record_seal(b, plan_id, chunk, buf_str(&body));
}

enum st plan_chunk_open(str bytes, str plan_id, uint64_t chunk, struct arena *a,
                        struct plan_item **items, size_t *count, struct err *err)
{
    struct plan_record r = { 0 };
    str repo = STR_NONE;
    enum st st = plan_record_open(bytes, plan_id, chunk, &r.rest, err);
    if (st != ST_OK)
        return st;
    uint64_t n = plan_record_number(&r);
    if (r.broken || n > PLAN_CHUNK_ITEMS)
        return err_set(err, ST_CORRUPT, "the stored plan cannot be read");
    struct plan_item *list = arena_alloc(a, ((size_t)n + 1) * sizeof(*list));
    if (list == NULL)
        return err_no_memory(err);
    for (size_t i = 0; i < n; i++) {
        st = read_item(&r, &list[i], repo, err);
        if (st != ST_OK)
            return st;
        repo = list[i].repo;
    }
    if (r.rest.len != 0)
        return err_set(err, ST_CORRUPT, "the stored plan cannot be read");
    *items = list;
    *count = (size_t)n;
    return ST_OK;
}
