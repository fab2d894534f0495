/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/json.h"

static void strings(void **state)
{
    (void)state;
    const struct {
        str in;
        str out;
    } cases[] = {
        { STR_NONE, STR("\"\"") },
        { STR("plain /text"), STR("\"plain /text\"") },
        { STR("a\"b\\c"), STR("\"a\\\"b\\\\c\"") },
        { STR("\n\r\t\b\0\x1f\x7f"), STR("\"\\n\\r\\t\\u0008\\u0000\\u001f\\u007f\"") },
        { STR("\xe2\x82\xac \xf0\x9f\x98\x80"), STR("\"\xe2\x82\xac \xf0\x9f\x98\x80\"") },
        { STR("\xff"), STR("\"\xef\xbf\xbd\"") },
        { STR("a\xe2\x82"), STR("\"a\xef\xbf\xbd\xef\xbf\xbd\"") },
        /* one bad byte leaves the good ones alone */
        { STR("\xc3\xa9\xffz"), STR("\"\xc3\xa9\xef\xbf\xbdz\"") },
        { STR("\xed\xa0\x80"), STR("\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"") },
        /* controls above ASCII, which some terminals obey */
        { STR("\xc2\x9b"
              "2J\xc2\xa0"),
          STR("\"\\u009b2J\xc2\xa0\"") },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO(buf_release) struct buf b = { .max_bytes = 1000 };
        json_add_string(&b, cases[i].in);
        assert_int_equal(buf_status(&b, NULL), ST_OK);
        if (!str_eq(buf_str(&b), cases[i].out))
            fail_msg("case %zu: %.*s", i, STR_FMT(buf_str(&b)));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(strings) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
