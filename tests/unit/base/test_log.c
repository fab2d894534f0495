/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include "base/log.h"

static int ends[2];

static void open_pipe(enum log_format format, enum log_level least)
{
    assert_int_equal(pipe2(ends, O_NONBLOCK | O_CLOEXEC), 0);
    log_setup(ends[1], format, least);
}

static void close_pipe(void)
{
    log_flush();
    log_setup(STDERR_FILENO, LOG_AUTO, LOG_INFO);
    (void)close(ends[0]);
    (void)close(ends[1]);
}

/* What stands in the pipe now, as text. */
static const char *written(void)
{
    static char text[200000];
    size_t len = 0;
    for (;;) {
        ssize_t n = read(ends[0], text + len, sizeof(text) - 1 - len);
        if (n <= 0)
            break;
        len += (size_t)n;
    }
    text[len] = '\0';
    return text;
}

static void assert_holds(const char *text, const char *part)
{
    if (strstr(text, part) == NULL)
        fail_msg("no '%s' in '%s'", part, text);
}

static void json_lines(void **state)
{
    (void)state;
    open_pipe(LOG_JSON, LOG_INFO);
    log_event(LOG_WARN, "say \"x\"", LOG_STR("text", STR("a\n\x1b[0m")), LOG_INT("n", -5),
              LOG_STR("unset", STR_NONE), LOG_STR("empty", STR("")));
    const char *out = written();
    assert_memory_equal(out, "{\"time\":\"", 9);
    assert_holds(out, "Z\",\"level\":\"warn\",\"message\":\"say \\\"x\\\"\","
                      "\"text\":\"a\\n\\u001b[0m\",\"n\":-5,\"empty\":\"\"}\n");
    struct err err;
    (void)err_set(&err, ST_FULL, "disk");
    log_failure("pass failed", &err);
    out = written();
    assert_holds(out, "\"level\":\"error\"");
    assert_holds(out, "\"error\":\"disk\",\"status\":\"no space left\"}\n");
    close_pipe();
}

static void text_lines(void **state)
{
    (void)state;
    open_pipe(LOG_TEXT, LOG_DEBUG);
    log_event(LOG_ERROR, "listening", LOG_STR("plain", STR("a/b:c")), LOG_STR("blank", STR("a b")),
              LOG_STR("forged", STR("x\nerror y")), LOG_INT("port", 5000));
    const char *out = written();
    assert_holds(out,
                 " error listening plain=a/b:c blank=\"a b\" forged=\"x\\nerror y\" port=5000\n");
    assert_ptr_equal(strchr(out, '\n'), out + strlen(out) - 1); /* one line */
    close_pipe();
}

static void small_lines_are_gathered(void **state)
{
    (void)state;
    open_pipe(LOG_JSON, LOG_INFO);
    assert_false(log_wants(LOG_DEBUG));
    assert_true(log_wants(LOG_INFO));
    log_event(LOG_DEBUG, "hidden", LOG_INT("n", 1));
    log_event(LOG_INFO, "first", LOG_INT("n", 1));
    log_event(LOG_WARN, "second", LOG_INT("n", 2));
    const char *out = written();
    assert_null(strstr(out, "hidden"));
    const char *first = strstr(out, "first");
    const char *second = strstr(out, "second");
    assert_true(first != NULL && second != NULL && first < second);
    log_event(LOG_INFO, "third", LOG_INT("n", 3));
    log_flush();
    assert_holds(written(), "third");
    close_pipe();
}

static void lost_lines_are_counted(void **state)
{
    (void)state;
    open_pipe(LOG_JSON, LOG_INFO);
    char fill[4096];
    memset(fill, '.', sizeof(fill));
    while (write(ends[1], fill, sizeof(fill)) > 0)
        continue;
    for (int i = 0; i < 3; i++) /* nobody reads: not waited for */
        log_event(LOG_WARN, "lost", LOG_INT("n", i));
    assert_null(strstr(written(), "lost"));
    log_event(LOG_WARN, "kept", LOG_INT("n", 9));
    const char *out = written();
    assert_holds(out, "\"message\":\"log lines lost\",\"count\":3}\n");
    assert_holds(out, "kept");
    log_event(LOG_WARN, "after", LOG_INT("n", 9));
    assert_null(strstr(written(), "log lines lost"));
    close_pipe();
}

static void a_line_without_room_is_lost_alone(void **state)
{
    (void)state;
    static char big[300000];
    memset(big, 'x', sizeof(big));
    open_pipe(LOG_JSON, LOG_INFO);
    log_event(LOG_INFO, "before", LOG_INT("n", 1));
    log_event(LOG_WARN, "big", LOG_STR("text", ((str){ big, sizeof(big) })));
    log_event(LOG_WARN, "after", LOG_INT("n", 1));
    const char *out = written();
    assert_holds(out, "before");
    assert_holds(out, "\"log lines lost\",\"count\":1}\n");
    assert_holds(out, "after");
    assert_null(strstr(out, "xxx"));
    close_pipe();
}

int main(void)
{
    (void)signal(SIGPIPE, SIG_IGN);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(json_lines),
        cmocka_unit_test(text_lines),
        cmocka_unit_test(small_lines_are_gathered),
        cmocka_unit_test(lost_lines_are_counted),
        cmocka_unit_test(a_line_without_room_is_lost_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
