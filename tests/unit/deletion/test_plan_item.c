/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "deletion/plan_item.h"
#include "deletion/plan_record.h"

static struct plan_item items[4];

static void make_items(void)
{
    items[0] = (struct plan_item){ .kind = PLAN_TAG, .repo = STR("app"), .tag = STR("v1") };
    items[1] = (struct plan_item){
        .kind = PLAN_MANIFEST, .role = PLAN_WITH, .repo = STR("app"), .size = 300, .was_loose = true
    };
    items[2] = (struct plan_item){
        .kind = PLAN_BLOB, .repo = STR("lib"), .size = UINT64_MAX, .in_trash = true
    };
    items[3] = (struct plan_item){ .kind = PLAN_TAG,
                                   .is_protected = true,
                                   .repo = STR("lib"),
                                   .tag = STR("v2"),
                                   .why = STR("protected by a rule") };
    for (size_t i = 0; i < ARRAY_LEN(items); i++)
        digest_of(i == 2 ? DIGEST_SHA512 : DIGEST_SHA256, items[i].repo, &items[i].digest);
}

static void seal(struct buf *out)
{
    AUTO(buf_release) struct buf records = { .max_bytes = MIB };
    make_items();
    for (size_t i = 0; i < ARRAY_LEN(items); i++)
        plan_item_put(&records, &items[i], i == 0 ? NULL : &items[i - 1]);
    plan_chunk_seal(out, STR("plan"), 7, ARRAY_LEN(items), buf_str(&records));
    assert_int_equal(buf_status(out, NULL), ST_OK);
}

static void comes_back(void **state)
{
    AUTO(buf_release) struct buf b = { .max_bytes = MIB };
    AUTO(arena_release) struct arena a = { 0 };
    struct plan_item *back = NULL;
    size_t count = 0;
    (void)state;
    seal(&b);
    assert_int_equal(plan_chunk_open(buf_str(&b), STR("plan"), 7, &a, &back, &count, NULL), ST_OK);
    assert_int_equal(count, ARRAY_LEN(items));
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(back[i].kind, items[i].kind);
        assert_int_equal(back[i].role, items[i].role);
        assert_int_equal(back[i].is_protected, items[i].is_protected);
        assert_int_equal(back[i].in_trash, items[i].in_trash);
        assert_int_equal(back[i].was_loose, items[i].was_loose);
        assert_int_equal(back[i].size, items[i].size);
        assert_true(str_eq(back[i].repo, items[i].repo));
        assert_true(str_eq(back[i].tag, items[i].tag));
        assert_true(str_eq(back[i].why, items[i].why));
        assert_true(digest_eq(&back[i].digest, &items[i].digest));
    }
}

/* Any bit, any length, another plan, another place: told, never believed. */
static void damaged(void **state)
{
    AUTO(buf_release) struct buf b = { .max_bytes = MIB };
    AUTO(arena_release) struct arena a = { .limit_bytes = 64 * MIB };
    struct plan_item *back = NULL;
    size_t count = 0;
    (void)state;
    seal(&b);
    str whole = buf_str(&b);
    for (size_t bit = 0; bit < 8 * b.len; bit++) {
        b.ptr[bit / 8] ^= (char)(1 << bit % 8);
        assert_int_equal(plan_chunk_open(whole, STR("plan"), 7, &a, &back, &count, NULL),
                         ST_CORRUPT);
        b.ptr[bit / 8] ^= (char)(1 << bit % 8);
    }
    for (size_t len = 0; len < b.len; len++)
        assert_int_equal(
            plan_chunk_open(str_slice(whole, 0, len), STR("plan"), 7, &a, &back, &count, NULL),
            ST_CORRUPT);
    assert_int_equal(plan_chunk_open(whole, STR("plam"), 7, &a, &back, &count, NULL), ST_CORRUPT);
    assert_int_equal(plan_chunk_open(whole, STR("plan"), 6, &a, &back, &count, NULL), ST_CORRUPT);
    assert_int_equal(plan_chunk_open(whole, STR("plan"), 7, &a, &back, &count, NULL), ST_OK);
}

/* What is sealed well and says nonsense. */
static void nonsense(void **state)
{
    static const struct {
        const char *bytes;
        size_t len;
    } bodies[] = {
        { "", 0 },
        { "\x81\x02", 2 },      /* more items than a chunk has */
        { "\x01", 1 },          /* an item that is not there */
        { "\x01\x03", 2 },      /* no such kind */
        { "\x01\xff", 2 },      /* no such flags */
        { "\x01\x20\x01v", 4 }, /* the repository of the item before */
        { "\x01\x00\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 12 }, /* a length beyond all */
        { "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", 11 },
        { "\x00x", 2 }, /* something behind the last */
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bodies); i++) {
        AUTO(buf_release) struct buf b = { .max_bytes = MIB };
        AUTO(arena_release) struct arena a = { 0 };
        struct plan_item *back = NULL;
        size_t count = 0;
        plan_record_seal(&b, STR("plan"), 7, (str){ bodies[i].bytes, bodies[i].len });
        assert_int_equal(plan_chunk_open(buf_str(&b), STR("plan"), 7, &a, &back, &count, NULL),
                         ST_CORRUPT);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(comes_back),
        cmocka_unit_test(damaged),
        cmocka_unit_test(nonsense),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
