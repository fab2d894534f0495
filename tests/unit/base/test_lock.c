/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/lock.h"

static struct lock outer, inner;
static pthread_cond_t cond;
static int stage;

static void *answer(void *arg)
{
    (void)arg;
    LOCK_SCOPE(&outer);
    stage = 1;
    pthread_cond_signal(&cond);
    while (stage != 2)
        lock_wait(&outer, &cond);
    stage = 3;
    pthread_cond_signal(&cond);
    return NULL;
}

static void waiting_lets_others_in(void **state)
{
    (void)state;
    pthread_t thread;
    lock_take(&outer);
    assert_int_equal(pthread_create(&thread, NULL, answer, NULL), 0);
    while (stage != 1)
        lock_wait(&outer, &cond);
    stage = 2;
    pthread_cond_signal(&cond);
    while (stage != 3)
        assert_true(lock_wait_for(&outer, &cond, 60000));
    lock_drop(&outer);
    assert_int_equal(pthread_join(thread, NULL), 0);
}

static void timeouts(void **state)
{
    (void)state;
    LOCK_SCOPE(&outer);
    int64_t before = clock_mono_us();
    while (lock_wait_for(&outer, &cond, 20))
        continue; /* woken without a reason */
    assert_true(clock_mono_us() - before >= 20000);
    assert_false(lock_wait_for(&outer, &cond, 0));
    assert_false(lock_wait_for(&outer, &cond, -999)); /* a deadline that is over */
}

static void scope_ends_with_its_block(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        LOCK_SCOPE(&outer);
        assert_int_equal(pthread_mutex_trylock(&outer.mutex), EBUSY);
    }
    assert_int_equal(pthread_mutex_trylock(&outer.mutex), 0);
    assert_int_equal(pthread_mutex_unlock(&outer.mutex), 0);
}

#ifdef EBB_FAULTS
static void right_order(void)
{
    lock_take(&outer);
    lock_take(&inner);
    lock_drop(&outer); /* dropping knows no order */
    lock_drop(&inner);
    lock_take(&inner);
    lock_drop(&inner);
}

static void wrong_order(void)
{
    lock_take(&inner);
    lock_take(&outer);
}

static void twice(void)
{
    lock_take(&outer);
    lock_take(&outer);
}

/* The signal that ended a child which ran `fn`, 0 when it came back. */
static int signal_of(void (*fn)(void))
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        (void)signal(SIGABRT, SIG_DFL);
        int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
        (void)dup2(null, STDERR_FILENO);
        fn();
        _exit(0);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

static void order_is_checked(void **state)
{
    (void)state;
    assert_int_equal(signal_of(right_order), 0);
    assert_int_equal(signal_of(wrong_order), SIGABRT);
    assert_int_equal(signal_of(twice), SIGABRT);
}
#endif

int main(void)
{
    lock_init(&outer, LOCK_SERVER);
    lock_init(&inner, LOCK_LOG);
    lock_cond_init(&cond);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(waiting_lets_others_in),
        cmocka_unit_test(timeouts),
        cmocka_unit_test(scope_ends_with_its_block),
#ifdef EBB_FAULTS
        cmocka_unit_test(order_is_checked),
#endif
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    lock_release(&outer);
    lock_release(&inner);
    return failed;
}
