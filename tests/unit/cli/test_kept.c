/* SPDX-License-Identifier: Apache-2.0
 *
 * What `ebb login` keeps, and that each failing file call leaves the file before or the one after.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sys/stat.h>
#include <unistd.h>

#include "base/fault.h"
#include "cli/cli_kept.h"

#define SERVER "https://registry.example.org"
#define OTHER  "http://127.0.0.1:5000"

static char config[64];

static int make_config(void **state)
{
    (void)state;
    (void)snprintf(config, sizeof(config), "/tmp/ebb-kept-XXXXXX");
    return mkdtemp(config) == NULL ? -1 : setenv("XDG_CONFIG_HOME", config, 1);
}

static const char *file_path(const char *name)
{
    static char path[128];
    (void)snprintf(path, sizeof(path), "%s/ebb/%s", config, name);
    return path;
}

static int remove_config(void **state)
{
    (void)state;
    (void)unlink(file_path("credentials.json"));
    (void)unlink(file_path("credentials.json.new"));
    (void)rmdir(file_path(""));
    return rmdir(config);
}

static struct kept_login login(const char *token)
{
    struct kept_login l = { .user = "anna", .id = 7, .expires_at = "2027-01-01T00:00:00.000Z" };
    (void)str_copy(str_of(token), l.token, sizeof(l.token));
    return l;
}

static void expect_token(const char *base, const char *token)
{
    struct kept_login found;
    struct err err;
    assert_int_equal(kept_find(base, &found, &err), ST_OK);
    assert_string_equal(found.token, token);
    assert_string_equal(found.user, "anna");
    assert_string_equal(found.expires_at, "2027-01-01T00:00:00.000Z");
    assert_int_equal(found.id, 7);
}

static void test_set_find_remove(void **state)
{
    (void)state;
    struct kept_login found;
    struct err err;
    const struct kept_login first = login("first");
    const struct kept_login second = login("second");
    assert_int_equal(kept_find(SERVER, &found, &err), ST_NOT_FOUND);
    assert_int_equal(kept_remove(SERVER, &err), ST_NOT_FOUND);
    assert_int_equal(kept_set(SERVER, &first, &err), ST_OK);
    assert_int_equal(kept_set(OTHER, &second, &err), ST_OK);
    expect_token(SERVER, "first");
    expect_token(OTHER, "second");
    assert_int_equal(kept_set(SERVER, &second, &err), ST_OK);
    expect_token(SERVER, "second");
    assert_int_equal(kept_remove(SERVER, &err), ST_OK);
    assert_int_equal(kept_find(SERVER, &found, &err), ST_NOT_FOUND);
    expect_token(OTHER, "second");
}

/* A crash left a file that others may read and write; its bytes must not become the new one's. */
static void test_leftover(void **state)
{
    (void)state;
    struct stat about;
    struct err err;
    const struct kept_login first = login("first");
    assert_int_equal(kept_set(SERVER, &first, &err), ST_OK);
    FILE *left = fopen(file_path("credentials.json.new"), "we");
    assert_non_null(left);
    assert_int_equal(fchmod(fileno(left), 0666), 0);
    for (int i = 0; i < 1000; i++)
        (void)fputs("rubbish ", left);
    assert_int_equal(fclose(left), 0);
    assert_int_equal(kept_set(SERVER, &first, &err), ST_OK);
    expect_token(SERVER, "first");
    assert_int_equal(stat(file_path("credentials.json"), &about), 0);
    assert_int_equal(about.st_mode & 0777, 0600);
    assert_int_equal(access(file_path("credentials.json.new"), F_OK), -1);
}

/* The nth file call fails, for each n: the old token or the new one, never none, and nothing lies
 * about. A failure of the last sync may come when the new one is there already. */
static void test_faults(void **state)
{
    (void)state;
    struct err err;
    const struct kept_login first = login("first");
    const struct kept_login second = login("second");
    const struct kept_login other = login("other");
    bool done = false;
    unsigned failures = 0;
    assert_int_equal(kept_set(OTHER, &other, &err), ST_OK);
    for (uint64_t n = 1; !done; n++) {
        struct kept_login found;
        assert_int_equal(kept_set(SERVER, &first, &err), ST_OK);
        fault_arm(FAULT_IO, n, false);
        enum st st = kept_set(SERVER, &second, &err);
        done = !fault_fired();
        fault_disarm();
        failures += st != ST_OK;
        assert_true(done == (st == ST_OK));
        assert_int_equal(kept_find(SERVER, &found, &err), ST_OK);
        assert_true(strcmp(found.token, "second") == 0 ||
                    (st != ST_OK && strcmp(found.token, "first") == 0));
        expect_token(OTHER, "other");
        assert_int_equal(access(file_path("credentials.json.new"), F_OK), -1);
    }
    assert_true(failures >= 7); /* directories, open, read, unlink, open, write, sync, rename... */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_set_find_remove, make_config, remove_config),
        cmocka_unit_test_setup_teardown(test_leftover, make_config, remove_config),
        cmocka_unit_test_setup_teardown(test_faults, make_config, remove_config),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
