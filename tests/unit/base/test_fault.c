/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdatomic.h>

#include "base/fault.h"

#ifdef EBB_FAULTS
static void the_nth_call_fails(void **state)
{
    (void)state;
    for (uint64_t nth = 1; nth < 5; nth++) {
        fault_arm(FAULT_IO, nth, false);
        for (uint64_t call = 1; call < 8; call++) {
            assert_false(fault_hit(FAULT_ALLOC));
            assert_int_equal(fault_fired(), call > nth);
            assert_int_equal(fault_hit(FAULT_IO), call == nth);
        }
        fault_arm(FAULT_IO, nth, true);
        for (uint64_t call = 1; call < 8; call++)
            assert_int_equal(fault_hit(FAULT_IO), call >= nth);
        fault_disarm();
        assert_false(fault_hit(FAULT_IO));
        assert_true(fault_fired()); /* since it was armed */
    }
}

static atomic_int hits;

static void *hit_often(void *arg)
{
    (void)arg;
    for (int i = 0; i < 1000; i++)
        if (fault_hit(FAULT_SQL))
            atomic_fetch_add(&hits, 1);
    return NULL;
}

static void of_many_threads_one_fails(void **state)
{
    (void)state;
    for (int round = 0; round < 50; round++) {
        pthread_t threads[4];
        atomic_store(&hits, 0);
        fault_arm(FAULT_SQL, 1 + (uint64_t)round * 70, false);
        for (size_t i = 0; i < ARRAY_LEN(threads); i++)
            assert_int_equal(pthread_create(&threads[i], NULL, hit_often, NULL), 0);
        for (size_t i = 0; i < ARRAY_LEN(threads); i++)
            assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_int_equal(atomic_load(&hits), 1);
    }
    fault_disarm();
}
#else
static void costs_nothing(void **state)
{
    (void)state;
    fault_arm(FAULT_IO, 1, true);
    assert_false(fault_hit(FAULT_IO));
    assert_false(fault_fired());
    fault_disarm();
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
#ifdef EBB_FAULTS
        cmocka_unit_test(the_nth_call_fails),
        cmocka_unit_test(of_many_threads_one_fails),
#else
        cmocka_unit_test(costs_nothing),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
