/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "api/upload_table.h"
#include "base/fault.h"
#include "base/mem.h"

static struct upload_table table;

static int setup(void **state)
{
    (void)state;
    upload_table_init(&table);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    upload_table_release(&table);
    return 0;
}

static str id_of(unsigned i, char out[static RNG_ID_LEN + 1])
{
    (void)snprintf(out, RNG_ID_LEN + 1, "%032x", i);
    return str_of(out);
}

static enum st take(unsigned i, struct upload **out)
{
    char id[RNG_ID_LEN + 1];
    struct err err;
    return upload_table_take(&table, id_of(i, id), out, &err);
}

static void one_request_at_a_time(void **state)
{
    (void)state;
    struct upload *u = NULL;
    struct upload *other = NULL;
    assert_int_equal(take(1, &u), ST_OK);
    assert_false(u->known);
    assert_int_equal(take(1, &other), ST_BUSY);
    assert_null(other);
    assert_int_equal(take(2, &other), ST_OK);
    upload_table_drop(&table, other);
    u->known = true;
    u->size = 7;
    upload_table_give(&table, u);
    assert_int_equal(take(1, &other), ST_OK);
    assert_ptr_equal(u, other);
    assert_int_equal(other->size, 7);
    upload_table_drop(&table, other);
    assert_int_equal(take(1, &other), ST_OK);
    assert_false(other->known); /* dropped is forgotten */
    upload_table_give(&table, other);
    assert_int_equal(table.at_rest, 0); /* and so is what was never known */
}

static void the_oldest_at_rest_is_forgotten(void **state)
{
    (void)state;
    struct upload *u = NULL;
    struct upload *held = NULL;
    assert_int_equal(take(1000000, &held), ST_OK);
    held->known = true;
    for (unsigned i = 0; i <= UPLOADS_AT_REST_MAX; i++) {
        assert_int_equal(take(i, &u), ST_OK);
        u->known = true;
        upload_table_give(&table, u);
        if (i == UPLOADS_AT_REST_MAX / 2) { /* used again: the youngest now */
            assert_int_equal(take(0, &u), ST_OK);
            upload_table_give(&table, u);
        }
    }
    assert_int_equal(table.at_rest, UPLOADS_AT_REST_MAX);
    assert_int_equal(take(0, &u), ST_OK);
    assert_true(u->known);
    upload_table_drop(&table, u);
    assert_int_equal(take(1, &u), ST_OK);
    assert_false(u->known);
    upload_table_drop(&table, u);
    assert_int_equal(take(2, &u), ST_OK);
    assert_true(u->known);
    upload_table_give(&table, u);
    assert_true(held->known); /* what is taken is never forgotten */
    upload_table_give(&table, held);
}

static void only_ids_of_the_right_length(void **state)
{
    (void)state;
    struct upload *u = NULL;
    assert_int_equal(upload_table_take(&table, STR("0123456789abcdef0123456789abcdef0"), &u, NULL),
                     ST_NO_MEMORY);
    assert_null(u);
    assert_null(table.oldest);
}

static void without_memory(void **state)
{
    (void)state;
#ifdef EBB_FAULTS
    struct upload *u = NULL;
    fault_arm(FAULT_ALLOC, 1, false);
    assert_int_equal(take(1, &u), ST_NO_MEMORY);
    fault_disarm();
    assert_int_equal(take(1, &u), ST_OK);
    upload_table_drop(&table, u);
#else
    skip();
#endif
}

enum { ROUNDS = 20000 };
static unsigned inside, taken, together;

static void *fight(void *arg)
{
    for (unsigned i = 0; i < ROUNDS; i++) {
        struct upload *u = NULL;
        if (take(5, &u) != ST_OK)
            continue;
        if (__atomic_fetch_add(&inside, 1, __ATOMIC_SEQ_CST) != 0)
            __atomic_fetch_add(&together, 1, __ATOMIC_SEQ_CST);
        __atomic_fetch_add(&taken, 1, __ATOMIC_SEQ_CST);
        u->known = true;
        u->size++; /* a race is seen by the thread sanitizer */
        __atomic_fetch_sub(&inside, 1, __ATOMIC_SEQ_CST);
        if (i % 7 == 0)
            upload_table_drop(&table, u);
        else
            upload_table_give(&table, u);
    }
    return arg;
}

static void threads_take_turns(void **state)
{
    (void)state;
    pthread_t threads[3];
    for (size_t i = 0; i < ARRAY_LEN(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, fight, NULL), 0);
    for (size_t i = 0; i < ARRAY_LEN(threads); i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_int_equal(together, 0);
    assert_true(taken > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(one_request_at_a_time, setup, teardown),
        cmocka_unit_test_setup_teardown(the_oldest_at_rest_is_forgotten, setup, teardown),
        cmocka_unit_test_setup_teardown(only_ids_of_the_right_length, setup, teardown),
        cmocka_unit_test_setup_teardown(without_memory, setup, teardown),
        cmocka_unit_test_setup_teardown(threads_take_turns, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
