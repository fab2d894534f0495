/* SPDX-License-Identifier: Apache-2.0
 *
 * What the doors of /api/ebb/v1 need, what doc/api.md says of it, and what openapi.json describes
 * are the same doors.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "api/ebb_int.h"
#include "api/openapi_text.h"

static char text[256 * KIB];
static str page;

static int setup(void **state)
{
    (void)state;
    FILE *f = fopen(DOC_API, "re");
    if (f == NULL)
        return -1;
    size_t len = fread(text, 1, sizeof(text), f);
    (void)fclose(f);
    page = (str){ text, len };
    return len > 0 && len < sizeof(text) ? 0 : -1;
}

static const char *method_text(enum http_method method)
{
    return method == HTTP_GET ? "GET" : method == HTTP_POST ? "POST" : "DELETE";
}

/* "/receipts/" and "/items", for both the page's "<id>" and the description's "{receipt}". */
static void path_parts(const struct ebb_door *door, str *before, str *behind)
{
    *before = str_of(door->path);
    *behind = STR("");
    (void)str_cut(*before, '*', before, behind);
}

/* The right in a line "- `METHOD path`. Right: ....", or unset. */
static str find_right(const struct ebb_door *door)
{
    str rest = page;
    str before = STR_NONE;
    str behind = STR_NONE;
    char start[80];
    path_parts(door, &before, &behind);
    bool has_id = strchr(door->path, '*') != NULL;
    (void)snprintf(start, sizeof(start), "- `%s %.*s%s", method_text(door->method), STR_FMT(before),
                   has_id ? "<" : "`. Right: ");
    while (rest.len > 0) {
        str line = rest;
        str value = STR_NONE;
        if (!str_cut(rest, '\n', &line, &rest))
            rest = STR("");
        if (!str_starts(line, str_of(start)) || !str_ends(line, STR(".")))
            continue;
        value = str_slice(line, strlen(start), line.len - 1);
        if (!has_id)
            return value;
        str id = STR_NONE;
        char end[80];
        (void)snprintf(end, sizeof(end), "%.*s`. Right: ", STR_FMT(behind));
        if (str_cut(value, '>', &id, &value) && str_starts(value, str_of(end)))
            return str_slice(value, strlen(end), value.len);
    }
    return STR_NONE;
}

static void test_the_page_says_what_each_door_needs(void **state)
{
    (void)state;
    for (size_t i = 0; i < ebb_door_count; i++) {
        const struct ebb_door *door = &ebb_doors[i];
        str right = find_right(door);
        bool good = false;
        switch (door->need) {
        case EBB_NEEDS_NOTHING:
            good = str_eq(right, STR("none"));
            break;
        case EBB_NEEDS_ADMIN:
            good = str_eq(right, STR("administrator"));
            break;
        case EBB_NEEDS_SIGNED_IN:
        case EBB_NEEDS_HANDLER:
            good = right.len > 0 && !str_eq(right, STR("none")) &&
                   !str_eq(right, STR("administrator"));
            break;
        }
        if (!good)
            fail_msg("doc/api.md says \"%.*s\" of %s %s", STR_FMT(right), method_text(door->method),
                     door->path);
    }
}

/* As many lines as doors: none is told that is not there. */
static void test_the_page_tells_no_other_door(void **state)
{
    (void)state;
    size_t told = 0;
    str rest = page;
    while (rest.len > 0) {
        str line = rest;
        if (!str_cut(rest, '\n', &line, &rest))
            rest = STR("");
        if (str_starts(line, STR("- `")) && strstr(line.ptr, "`. Right: ") != NULL &&
            strstr(line.ptr, "`. Right: ") < line.ptr + line.len)
            told++;
    }
    assert_int_equal(told, ebb_door_count);
}

static void test_every_door_is_described(void **state)
{
    (void)state;
    for (size_t i = 0; i < ebb_door_count; i++) {
        str before = STR_NONE;
        str behind = STR_NONE;
        char path[80];
        path_parts(&ebb_doors[i], &before, &behind);
        (void)snprintf(path, sizeof(path), "\"%.*s%s", STR_FMT(before),
                       strchr(ebb_doors[i].path, '*') != NULL ? "{" : "\":{");
        if (strstr(openapi_text, path) == NULL)
            fail_msg("openapi.json has no %s", ebb_doors[i].path);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_page_says_what_each_door_needs),
        cmocka_unit_test(test_the_page_tells_no_other_door),
        cmocka_unit_test(test_every_door_is_described),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
