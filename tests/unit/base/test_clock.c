/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"

static void formats(void **state)
{
    (void)state;
    static const struct {
        int64_t ms;
        const char *rfc3339;
        const char *http;
    } cases[] = {
        { 0, "1970-01-01T00:00:00.000Z", "Thu, 01 Jan 1970 00:00:00 GMT" },
        { 1795252500123, "2026-11-21T09:15:00.123Z", "Sat, 21 Nov 2026 09:15:00 GMT" },
        { 951782399999, "2000-02-28T23:59:59.999Z", "Mon, 28 Feb 2000 23:59:59 GMT" },
        { 951782400000, "2000-02-29T00:00:00.000Z", "Tue, 29 Feb 2000 00:00:00 GMT" },
        { -1, "1969-12-31T23:59:59.999Z", "Wed, 31 Dec 1969 23:59:59 GMT" },
        { -1000, "1969-12-31T23:59:59.000Z", "Wed, 31 Dec 1969 23:59:59 GMT" },
        { 253402300799999, "9999-12-31T23:59:59.999Z", "Fri, 31 Dec 9999 23:59:59 GMT" },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char a[CLOCK_RFC3339_SIZE];
        char b[CLOCK_HTTP_DATE_SIZE];
        clock_rfc3339(cases[i].ms, a);
        clock_http_date(cases[i].ms, b);
        assert_string_equal(a, cases[i].rfc3339);
        assert_string_equal(b, cases[i].http);
    }
    /* Out of any calendar: some text, inside the buffer. */
    char a[CLOCK_RFC3339_SIZE];
    char b[CLOCK_HTTP_DATE_SIZE];
    const int64_t far[] = { INT64_MAX, INT64_MIN, 67767976233532799LL };
    for (size_t i = 0; i < ARRAY_LEN(far); i++) {
        clock_rfc3339(far[i], a);
        clock_http_date(far[i], b);
        assert_true(strlen(a) < sizeof(a) && strlen(b) < sizeof(b));
    }
}

static void time_goes_on(void **state)
{
    (void)state;
    int64_t us = clock_mono_us();
    int64_t ms = clock_mono_ms();
    assert_true(clock_mono_us() >= us);
    assert_true(clock_mono_ms() >= ms && ms >= us / 1000);
    assert_true(clock_utc_ms() > 1700000000000);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(formats), cmocka_unit_test(time_goes_on) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
