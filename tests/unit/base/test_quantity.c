/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/quantity.h"
#include "base/rng.h"

#define D QUANTITY_DURATION
#define S QUANTITY_SIZE

static void reads(void **state)
{
    (void)state;
    static const struct {
        enum quantity q;
        const char *text;
        uint64_t value;
        bool in_short; /* only where short forms are allowed */
    } cases[] = {
        { D, "0s", 0, false },
        { D, "10ms", 10, false },
        { D, "90s", 90000, false },
        { D, "30m", 1800000, false },
        { D, "24h", 86400000, false },
        { D, "7d", 604800000, false },
        { D, "007d", 604800000, false },
        { D, "9223372036854775807ms", INT64_MAX, false },
        { D, "106751991167d", 106751991167ULL * 86400000, false },
        { S, "0B", 0, false },
        { S, "1000B", 1000, false },
        { S, "512MiB", 512 * MIB, false },
        { S, "10GiB", 10 * GIB, false },
        { S, "3TiB", 3072 * GIB, false },
        { S, "10G", 10 * GIB, true },
        { S, "10g", 10 * GIB, true },
        { S, "10gib", 10 * GIB, true },
        { S, "64k", 64 * KIB, true },
        { S, "64K", 64 * KIB, true },
        { S, "1T", 1024 * GIB, true },
        { S, "5b", 5, true },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        uint64_t value = 77;
        const char *why = NULL;
        str text = str_of(cases[i].text);
        assert_true(quantity_read(cases[i].q, true, text, &value, &why));
        assert_int_equal(value, cases[i].value);
        value = 77;
        assert_int_equal(quantity_read(cases[i].q, false, text, &value, &why), !cases[i].in_short);
        assert_int_equal(value, cases[i].in_short ? 77 : cases[i].value);
    }
}

static void refuses(void **state)
{
    (void)state;
    static const struct {
        enum quantity q;
        const char *text;
        const char *why;
    } cases[] = {
        { D, "", "does not start with a whole number" },
        { D, "d", "does not start with a whole number" },
        { D, "-1d", "does not start with a whole number" },
        { D, " 1d", "does not start with a whole number" },
        { D, "7", "has no unit" },
        { D, "7 d", "has an unknown unit" },
        { D, "7D", "has an unknown unit" },
        { D, "7w", "has an unknown unit" },
        { D, "1d12h", "has an unknown unit" },
        { D, "1.5d", "has an unknown unit" },
        { D, "106751991168d", "is out of range" },
        { D, "99999999999999999999s", "is out of range" },
        { S, "10", "has no unit" },
        { S, "10GB", "has an unknown unit" },
        { S, "10Gi", "has an unknown unit" },
        { S, "10d", "has an unknown unit" },
        { S, "9223372036854775808B", "is out of range" },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        uint64_t value = 77;
        const char *why = NULL;
        assert_false(quantity_read(cases[i].q, true, str_of(cases[i].text), &value, &why));
        assert_string_equal(why, cases[i].why);
        assert_int_equal(value, 77);
    }
}

static void tells_people(void **state)
{
    (void)state;
    struct err err;
    int64_t ms = 5;
    uint64_t bytes = 5;
    assert_int_equal(quantity_parse_duration(STR("7d"), &ms, &err), ST_OK);
    assert_int_equal(ms, 604800000);
    assert_int_equal(quantity_parse_size(STR("10G"), &bytes, &err), ST_OK);
    assert_int_equal(bytes, 10 * GIB);
    assert_int_equal(quantity_parse_duration(STR("7"), &ms, &err), ST_INVALID);
    assert_string_equal(err.text, "\"7\" has no unit: a duration is a whole number and a unit (ms, "
                                  "s, m, h or d), as in 7d");
    assert_int_equal(quantity_parse_size(STR("10GB"), &bytes, &err), ST_INVALID);
    assert_string_equal(err.text, "\"10GB\" has an unknown unit: a size is a whole number and a "
                                  "unit (B, KiB, MiB, GiB or TiB), as in 10GiB");
    assert_int_equal(ms, 604800000);
    assert_int_equal(bytes, 10 * GIB);
}

static void prints_what_it_reads(void **state)
{
    (void)state;
    char out[QUANTITY_MAX];
    assert_string_equal(quantity_print(D, 0, out), "0s");
    assert_string_equal(quantity_print(D, 90 * 60000, out), "90m");
    assert_string_equal(quantity_print(D, 7 * 86400000, out), "7d");
    assert_string_equal(quantity_print(S, 0, out), "0B");
    assert_string_equal(quantity_print(S, 65536, out), "64KiB");
    assert_string_equal(quantity_print(S, 1025, out), "1025B");
    uint64_t seed = 7;
    static const uint64_t steps[] = { 1, 1000, 60000, 86400000, KIB, MIB, GIB };
    for (size_t i = 0; i < 10000; i++) {
        uint64_t value = (rng_next(&seed) >> 36) * steps[i % ARRAY_LEN(steps)];
        for (enum quantity q = D; q <= S; q++) {
            uint64_t again = 77;
            const char *why;
            assert_true(
                quantity_read(q, false, str_of(quantity_print(q, value, out)), &again, &why));
            assert_int_equal(again, value);
        }
    }
}

static void rounds_for_reading(void **state)
{
    (void)state;
    static const struct {
        double bytes;
        const char *text;
    } cases[] = {
        { 0, "0 B" },
        { 1, "1 B" },
        { 1023, "1023 B" },
        { 1024, "1.0 KiB" },
        { 1536, "1.5 KiB" },
        { 99.96 * 1024, "100 KiB" },
        { 123456, "121 KiB" },
        { 1023.4 * 1024, "1023 KiB" },
        { 1048575, "1.0 MiB" }, /* never "1024 KiB" */
        { 1503238553, "1.4 GiB" },
        { 1e15, "909 TiB" },
        { 18446744073709551615.0, "16.0 EiB" },
        { 1e25, "8673617 EiB" },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char out[QUANTITY_MAX];
        assert_string_equal(quantity_bytes_text(cases[i].bytes, out), cases[i].text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads),
        cmocka_unit_test(refuses),
        cmocka_unit_test(tells_people),
        cmocka_unit_test(prints_what_it_reads),
        cmocka_unit_test(rounds_for_reading),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
