/* SPDX-License-Identifier: Apache-2.0 */
#include "deletion/plan_record.h"

#include "oci/digest.h"

#define VERSION 1

void plan_record_put_number(struct buf *b, uint64_t n)
{
    while (n >= 0x80) {
        buf_add_byte(b, (char)(unsigned char)(n | 0x80));
        n >>= 7;
    }
    buf_add_byte(b, (char)(unsigned char)n);
}

void plan_record_put_string(struct buf *b, str s)
{
    plan_record_put_number(b, s.len);
    if (s.len > 0)
        buf_add(b, s);
}

unsigned char plan_record_byte(struct plan_record *r)
{
    if (r->broken || r->rest.len == 0) {
        r->broken = true;
        return 0;
    }
    unsigned char byte = (unsigned char)r->rest.ptr[0];
    r->rest = (str){ r->rest.ptr + 1, r->rest.len - 1 };
    return byte;
}

uint64_t plan_record_number(struct plan_record *r)
{
    uint64_t n = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        unsigned char byte = plan_record_byte(r);
        uint64_t part = byte & 0x7f;
        if (shift == 63 && part > 1)
            break;
        n |= part << shift;
        if ((byte & 0x80) == 0)
            return r->broken ? 0 : n;
    }
    r->broken = true;
    return 0;
}

str plan_record_bytes(struct plan_record *r, size_t len)
{
    if (r->broken || len > r->rest.len) {
        r->broken = true;
        return STR_NONE;
    }
    str s = { r->rest.ptr, len };
    r->rest = (str){ r->rest.ptr + len, r->rest.len - len };
    return s;
}

str plan_record_string(struct plan_record *r)
{
    uint64_t len = plan_record_number(r);
    if (len == 0)
        return STR_NONE;
    if (len > r->rest.len) {
        r->broken = true;
        return STR_NONE;
    }
    return plan_record_bytes(r, (size_t)len);
}

/* ST_NO_MEMORY. */
static enum st find_check(str plan_id, uint64_t number, str body, struct digest *out,
                          struct err *err)
{
    struct digest_hash *h = NULL;
    enum st st = digest_hash_new(DIGEST_SHA256, &h, err);
    if (st != ST_OK)
        return st;
    unsigned char bytes[8];
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (unsigned char)(number >> (8 * i));
    digest_hash_add(h, plan_id.ptr, plan_id.len);
    digest_hash_add(h, bytes, sizeof(bytes));
    digest_hash_add(h, body.ptr, body.len);
    digest_hash_get(h, out);
    digest_hash_free(h);
    return ST_OK;
}

void plan_record_seal(struct buf *b, str plan_id, uint64_t number, str body)
{
    struct digest check;
    if (find_check(plan_id, number, body, &check, NULL) != ST_OK) {
        if (b->failed == ST_OK)
            b->failed = ST_NO_MEMORY;
        return;
    }
    buf_add_byte(b, VERSION);
    buf_add(b, (str){ (const char *)check.bytes, PLAN_CHECK_BYTES });
    buf_add(b, body);
}

enum st plan_record_open(str bytes, str plan_id, uint64_t number, str *body, struct err *err)
{
    struct plan_record r = { .rest = bytes };
    struct digest check;
    unsigned char version = plan_record_byte(&r);
    str found = plan_record_bytes(&r, PLAN_CHECK_BYTES);
    if (r.broken || version != VERSION)
        return err_set(err, ST_CORRUPT, "the stored plan cannot be read");
    enum st st = find_check(plan_id, number, r.rest, &check, err);
    if (st != ST_OK)
        return st;
    if (memcmp(check.bytes, found.ptr, PLAN_CHECK_BYTES) != 0)
        return err_set(err, ST_CORRUPT, "the stored plan is damaged");
    *body = r.rest;
    return ST_OK;
}
