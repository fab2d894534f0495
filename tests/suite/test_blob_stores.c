/* SPDX-License-Identifier: Apache-2.0
 *
 * Every store against the suite: fs, mem, and fault around each.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <unistd.h>

#include "tests/suite/blob_suite.h"

static char dir[64];
static char blobs[80];

static int make_dir(void **state)
{
    (void)state;
    (void)snprintf(dir, sizeof(dir), "/tmp/ebb-test-XXXXXX");
    if (mkdtemp(dir) == NULL)
        return -1;
    (void)snprintf(blobs, sizeof(blobs), "%s/blobs", dir);
    return 0;
}

static int remove_dir(void **state)
{
    (void)state;
    char command[128];
    (void)snprintf(command, sizeof(command), "rm -rf %s", dir);
    return system(command);
}

static struct blob_store *new_fs(void)
{
    struct err err;
    struct blob_store *s = NULL;
    if (blob_fs_open(blobs, &s, &err) != ST_OK)
        fail_msg("%s", err.text);
    return s;
}

static struct blob_store *new_mem(void)
{
    struct blob_store *s = NULL;
    assert_int_equal(blob_mem_new(&s, NULL), ST_OK);
    return s;
}

static struct blob_store *new_fault(struct blob_store *inner, uint64_t seed, uint32_t one_in)
{
    struct blob_store *s = NULL;
    assert_int_equal(blob_fault_new(inner, seed, one_in, &s, NULL), ST_OK);
    return s;
}

static void check(struct blob_store *s, unsigned steps,
                  void (*loss)(struct blob_store *, uint64_t *))
{
    blob_suite_contract(s);
    blob_suite_threads(s);
    for (uint64_t seed = 1; seed <= 3; seed++)
        assert_int_equal(blob_suite_model(s, seed, steps, loss), 0);
    blob_store_free(s);
}

static void fs_keeps_the_contract(void **state)
{
    (void)state;
    check(new_fs(), 150, NULL);
}

static void mem_keeps_the_contract(void **state)
{
    (void)state;
    check(new_mem(), 5000, NULL);
}

static void mem_keeps_its_promises_over_power_loss(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 30; seed++) {
        struct blob_store *s = new_mem();
        assert_int_equal(blob_suite_model(s, seed, 2000, blob_mem_crash), 0);
        blob_store_free(s);
    }
}

static void fault_that_never_fails_keeps_the_contract(void **state)
{
    (void)state;
    check(new_fault(new_mem(), 1, 0), 2000, NULL);
    check(new_fault(new_fs(), 1, 0), 100, NULL);
}

static void fault_around_mem_fails_cleanly(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 40; seed++) {
        struct blob_store *s = new_fault(new_mem(), seed, 1 + (uint32_t)seed % 12);
        assert_true(blob_suite_model(s, seed, 2000, NULL) > 50);
        blob_store_free(s);
    }
}

static void fault_around_fs_fails_cleanly(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 4; seed++) {
        struct blob_store *s = new_fault(new_fs(), seed, 2 + (uint32_t)seed);
        assert_true(blob_suite_model(s, seed, 200, NULL) > 5);
        blob_store_free(s);
        assert_int_equal(remove_dir(NULL) + make_dir(NULL),
                         0); /* the model knows only its own names */
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(fs_keeps_the_contract, make_dir, remove_dir),
        cmocka_unit_test(mem_keeps_the_contract),
        cmocka_unit_test(mem_keeps_its_promises_over_power_loss),
        cmocka_unit_test_setup_teardown(fault_that_never_fails_keeps_the_contract, make_dir,
                                        remove_dir),
        cmocka_unit_test(fault_around_mem_fails_cleanly),
        cmocka_unit_test_setup_teardown(fault_around_fs_fails_cleanly, make_dir, remove_dir),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
