/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "oci/range.h"

static void headers(void **state)
{
    (void)state;
    const struct {
        str header;
        uint64_t size;
        enum range_result result;
        size_t count;
        struct range ranges[4];
    } cases[] = {
        /* what the conformance suite asks of 2048 bytes */
        { STR("bytes=500-1499"), 2048, RANGE_PART, 1, { { 500, 1499 } } },
        { STR("bytes=500-"), 2048, RANGE_PART, 1, { { 500, 2047 } } },
        { STR("bytes=-500"), 2048, RANGE_PART, 1, { { 1548, 2047 } } },
        { STR("bytes=2000-5000"), 2048, RANGE_PART, 1, { { 2000, 2047 } } },
        { STR("bytes=500-0"), 2048, RANGE_UNSATISFIABLE, 0, { { 0, 0 } } },
        { STR("bytes=5000-10000"), 2048, RANGE_UNSATISFIABLE, 0, { { 0, 0 } } },
        { STR("bytes=0-99,500-599"), 2048, RANGE_PART, 2, { { 0, 99 }, { 500, 599 } } },
        /* edges */
        { STR("bytes=0-"), 2048, RANGE_PART, 1, { { 0, 2047 } } },
        { STR("bytes=0-0"), 1, RANGE_PART, 1, { { 0, 0 } } },
        { STR("bytes=-1"), 1, RANGE_PART, 1, { { 0, 0 } } },
        { STR("bytes=2047-2047"), 2048, RANGE_PART, 1, { { 2047, 2047 } } },
        { STR("bytes=2048-2048"), 2048, RANGE_UNSATISFIABLE, 0, { { 0, 0 } } },
        { STR("bytes=2048-"), 2048, RANGE_UNSATISFIABLE, 0, { { 0, 0 } } },
        { STR("bytes=-0"), 2048, RANGE_UNSATISFIABLE, 0, { { 0, 0 } } },
        { STR("bytes=-9999"), 2048, RANGE_PART, 1, { { 0, 2047 } } },
        { STR("bytes=0-99999999999999999999999999"), 2048, RANGE_PART, 1, { { 0, 2047 } } },
        { STR("bytes=-99999999999999999999999999"), 2048, RANGE_PART, 1, { { 0, 2047 } } },
        { STR("bytes=18446744073709551616-"), 2048, RANGE_UNSATISFIABLE, 0, { { 0, 0 } } },
        { STR("bytes=18446744073709551615-18446744073709551615"),
          UINT64_MAX,
          RANGE_UNSATISFIABLE,
          0,
          { { 0, 0 } } },
        { STR("bytes=0-18446744073709551615"),
          UINT64_MAX,
          RANGE_PART,
          1,
          { { 0, UINT64_MAX - 1 } } },
        /* an empty body has no ranges */
        { STR("bytes=0-0"), 0, RANGE_WHOLE, 0, { { 0, 0 } } },
        { STR("bytes=5-2"), 0, RANGE_WHOLE, 0, { { 0, 0 } } },
        { STR("bytes=-5"), 0, RANGE_WHOLE, 0, { { 0, 0 } } },
        /* not ours, not readable */
        { STR_NONE, 10, RANGE_WHOLE, 0, { { 0, 0 } } },
        { STR(""), 10, RANGE_WHOLE, 0, { { 0, 0 } } },
        { STR("bytes"), 10, RANGE_WHOLE, 0, { { 0, 0 } } },
        { STR("bytes="), 10, RANGE_WHOLE, 0, { { 0, 0 } } },
        { STR("bytes=,"), 10, RANGE_WHOLE, 0, { { 0, 0 } } },
        { STR("bytes=-"), 10, RANGE_WHOLE, 0, { { 0, 0 } } },
        { STR("bytes=1"), 10, RANGE_WHOLE, 0, { { 0, 0 } } },
        { STR("bytes=a-b"), 10, RANGE_WHOLE, 0, { { 0, 0 } } },
        { STR("bytes=1-b"), 10, RANGE_WHOLE, 0, { { 0, 0 } } },
        { STR("bytes=1-2-3"), 10, RANGE_WHOLE, 0, { { 0, 0 } } },
        { STR("bytes=--1"), 10, RANGE_WHOLE, 0, { { 0, 0 } } },
        { STR("bytes=+1-2"), 10, RANGE_WHOLE, 0, { { 0, 0 } } },
        { STR("bytes=0x1-2"), 10, RANGE_WHOLE, 0, { { 0, 0 } } },
        { STR("bytes=1-2,x"), 10, RANGE_WHOLE, 0, { { 0, 0 } } },
        { STR("bytes=1-2;3-4"), 10, RANGE_WHOLE, 0, { { 0, 0 } } },
        { STR("bytes=1 - 2"), 10, RANGE_WHOLE, 0, { { 0, 0 } } },
        { STR("bytes =1-2"), 10, RANGE_WHOLE, 0, { { 0, 0 } } },
        { STR("bytes:1-2"), 10, RANGE_WHOLE, 0, { { 0, 0 } } },
        { STR("items=0-1"), 10, RANGE_WHOLE, 0, { { 0, 0 } } },
        { STR("bytes=1-2\0"), 10, RANGE_WHOLE, 0, { { 0, 0 } } },
        /* lists */
        { STR("Bytes=1-2"), 10, RANGE_PART, 1, { { 1, 2 } } },
        { STR(" bytes= 1-2 ,\t4-5 "), 10, RANGE_PART, 2, { { 1, 2 }, { 4, 5 } } },
        { STR("bytes=,1-2,,4-5,"), 10, RANGE_PART, 2, { { 1, 2 }, { 4, 5 } } },
        { STR("bytes=8-9,4-5,0-1"), 10, RANGE_PART, 3, { { 8, 9 }, { 4, 5 }, { 0, 1 } } },
        { STR("bytes=0-4,2-6"), 10, RANGE_PART, 1, { { 0, 6 } } },
        { STR("bytes=2-6,0-4"), 10, RANGE_PART, 1, { { 0, 6 } } },
        { STR("bytes=0-4,5-6"), 10, RANGE_PART, 1, { { 0, 6 } } },
        { STR("bytes=5-6,0-4"), 10, RANGE_PART, 1, { { 0, 6 } } },
        { STR("bytes=0-4,6-7"), 10, RANGE_PART, 2, { { 0, 4 }, { 6, 7 } } },
        { STR("bytes=0-1,0-1,0-1"), 10, RANGE_PART, 1, { { 0, 1 } } },
        { STR("bytes=8-9,0-1,4-5,1-4"), 10, RANGE_PART, 2, { { 8, 9 }, { 0, 5 } } },
        { STR("bytes=4-5,8-9,0-1,1-8"), 10, RANGE_PART, 1, { { 0, 9 } } },
        { STR("bytes=4-5,20-30,-1"), 10, RANGE_PART, 2, { { 4, 5 }, { 9, 9 } } },
        { STR("bytes=20-30,40-"), 10, RANGE_UNSATISFIABLE, 0, { { 0, 0 } } },
        { STR("bytes=-0,3-2,1-1"), 10, RANGE_PART, 1, { { 1, 1 } } },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct range out[RANGE_COUNT_MAX];
        size_t count = 99;
        enum range_result got = range_parse(cases[i].header, cases[i].size, out, &count);
        if (got != cases[i].result || count != cases[i].count)
            fail_msg("%.*s: result %d, %zu ranges", STR_FMT(cases[i].header), (int)got, count);
        for (size_t k = 0; k < count; k++)
            if (out[k].first != cases[i].ranges[k].first || out[k].last != cases[i].ranges[k].last)
                fail_msg("%.*s: range %zu is %llu-%llu", STR_FMT(cases[i].header), k,
                         (unsigned long long)out[k].first, (unsigned long long)out[k].last);
    }
}

static void at_most_sixteen(void **state)
{
    (void)state;
    char header[400] = "bytes=";
    size_t len = 6;
    for (int n = 1; n <= RANGE_COUNT_MAX + 2; n++) {
        len += (size_t)snprintf(header + len, sizeof(header) - len, "%d-%d,", 10 * n, 10 * n + 1);
        struct range out[RANGE_COUNT_MAX];
        size_t count = 0;
        enum range_result got = range_parse((str){ header, len }, 1000, out, &count);
        assert_int_equal(got, n <= RANGE_COUNT_MAX ? RANGE_PART : RANGE_WHOLE);
        assert_int_equal(count, n <= RANGE_COUNT_MAX ? n : 0);
    }
    /* What is asked counts, not what is left after joining. */
    struct range out[RANGE_COUNT_MAX];
    size_t count = 0;
    str same = STR("bytes=1-2,1-2,1-2,1-2,1-2,1-2,1-2,1-2,1-2,1-2,1-2,1-2,1-2,1-2,1-2,1-2,1-2");
    assert_int_equal(range_parse(same, 10, out, &count), RANGE_WHOLE);
}

static void chunks(void **state)
{
    (void)state;
    const struct {
        str header;
        bool good;
        struct range range;
    } cases[] = {
        { STR("0-0"), true, { 0, 0 } },
        { STR("0-1023"), true, { 0, 1023 } },
        { STR("1024-2047"), true, { 1024, 2047 } },
        { STR("007-08"), true, { 7, 8 } },
        { STR("0-9223372036854775806"), true, { 0, INT64_MAX - 1 } },
        { STR("0-9223372036854775807"), false, { 0, 0 } },
        { STR("0-18446744073709551615"), false, { 0, 0 } },
        { STR("0-18446744073709551616"), false, { 0, 0 } },
        { STR("5-4"), false, { 0, 0 } },
        { STR(""), false, { 0, 0 } },
        { STR_NONE, false, { 0, 0 } },
        { STR("-"), false, { 0, 0 } },
        { STR("5"), false, { 0, 0 } },
        { STR("5-"), false, { 0, 0 } },
        { STR("-5"), false, { 0, 0 } },
        { STR("0-5-9"), false, { 0, 0 } },
        { STR("0--5"), false, { 0, 0 } },
        { STR("bytes 0-5"), false, { 0, 0 } },
        { STR("bytes=0-5"), false, { 0, 0 } },
        { STR("0-5/10"), false, { 0, 0 } },
        { STR("0-5/*"), false, { 0, 0 } },
        { STR(" 0-5"), false, { 0, 0 } },
        { STR("0-5 "), false, { 0, 0 } },
        { STR("0 - 5"), false, { 0, 0 } },
        { STR("+0-5"), false, { 0, 0 } },
        { STR("0-5\0"), false, { 0, 0 } },
        { STR("a-b"), false, { 0, 0 } },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct range r = { 77, 78 };
        struct err err = { .st = ST_OK };
        enum st st = range_parse_chunk(cases[i].header, &r, &err);
        if (st != (cases[i].good ? ST_OK : ST_INVALID))
            fail_msg("%.*s: %s", STR_FMT(cases[i].header), st_text(st));
        assert_int_equal(err.st, st);
        assert_int_equal(r.first, cases[i].good ? cases[i].range.first : 77);
        assert_int_equal(r.last, cases[i].good ? cases[i].range.last : 78);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(headers),
        cmocka_unit_test(at_most_sixteen),
        cmocka_unit_test(chunks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
