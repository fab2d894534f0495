/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>

#include "base/err.h"

static void set_and_wrap(void **state)
{
    (void)state;
    struct err err;
    assert_int_equal(err_set(&err, ST_NOT_FOUND, "tag %s", "v1"), ST_NOT_FOUND);
    assert_int_equal(err.st, ST_NOT_FOUND);
    assert_string_equal(err.text, "tag v1");
    assert_int_equal(err_wrap(&err, "repository %d", 7), ST_NOT_FOUND);
    assert_string_equal(err.text, "repository 7: tag v1");
    assert_int_equal(err_set(NULL, ST_BUSY, "x"), ST_BUSY);
    assert_int_equal(err_no_memory(&err), ST_NO_MEMORY);
    assert_int_equal(err.st, ST_NO_MEMORY);
    assert_int_equal(err_no_memory(NULL), ST_NO_MEMORY);
}

static void long_texts_are_cut(void **state)
{
    (void)state;
    struct err err;
    (void)err_set(&err, ST_IO, "%2000d", 1);
    assert_int_equal(strlen(err.text), ERR_TEXT_MAX - 1);
    (void)err_wrap(&err, "%s", "outer");
    assert_memory_equal(err.text, "outer: ", 7);
    assert_int_equal(strlen(err.text), ERR_TEXT_MAX - 1);
    (void)err_wrap(&err, "%2000d", 2);
    assert_int_equal(strlen(err.text), ERR_TEXT_MAX - 1);
    errno = EIO;
    (void)err_sys(&err, "%2000d", 2);
    assert_int_equal(strlen(err.text), ERR_TEXT_MAX - 1);
}

static void errno_decides(void **state)
{
    (void)state;
    static const struct {
        int code;
        enum st st;
    } cases[] = {
        { ENOSPC, ST_FULL },      { EDQUOT, ST_FULL }, { EFBIG, ST_FULL }, { ENOENT, ST_NOT_FOUND },
        { ENOMEM, ST_NO_MEMORY }, { EIO, ST_IO },      { EACCES, ST_IO },  { 0, ST_IO },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct err err;
        errno = cases[i].code;
        assert_int_equal(err_sys(&err, "open %s", "f"), cases[i].st);
        assert_int_equal(err.st, cases[i].st);
        assert_int_equal(errno, cases[i].code);
        assert_memory_equal(err.text, "open f: ", 8);
        assert_true(strlen(err.text) > 8);
        assert_int_equal(err_sys(NULL, "x"), cases[i].st);
    }
}

static void every_status_has_words(void **state)
{
    (void)state;
    for (int st = ST_OK; st <= ST_END; st++) {
        assert_string_not_equal(st_text((enum st)st), "unknown status");
        assert_true(st_text((enum st)st)[0] != '\0');
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(set_and_wrap),
        cmocka_unit_test(long_texts_are_cut),
        cmocka_unit_test(errno_decides),
        cmocka_unit_test(every_status_has_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
