/* SPDX-License-Identifier: Apache-2.0
 *
 * Many threads ask while rights change: once a change was made, nobody has what it took away, and
 * nobody is without what it gave.
 */
#include "auth_test.h"

#include <pthread.h>

#include "auth/auth_int.h"

#define THREADS 6
#define ROUNDS  60

struct shared {
    struct fixture *f;
    struct credentials password, token, jwt;
    /* Even: the role is given. Odd: it is not, or is about to change. */
    _Atomic unsigned step;
    atomic_bool stop;
    atomic_uint looks;
    atomic_uint wrong;
};

static void look_once(struct shared *s, const struct credentials *c, bool fast)
{
    AUTO(arena_release) struct arena arena = { 0 };
    struct identity id = { 0 };
    struct auth_refusal refusal;
    struct err err;
    unsigned before = atomic_load(&s->step);
    enum st st = fast ? auth_identify_fast(s->f->a, c, s->f->now, &arena, &id, &err)
                      : auth_identify(s->f->a, c, s->f->now, &arena, &id, &refusal, &err);
    if (fast && st == ST_BUSY)
        return;
    unsigned got = st == ST_OK ? identity_rights(&id, STR("group/app")) : 0;
    if (st == ST_OK)
        identity_release(&id);
    unsigned after = atomic_load(&s->step);
    bool settled = before == after && before % 2 == 0;
    bool given = before % 4 == 0;
    if (st != ST_OK || (settled && (got != 0) != given))
        atomic_fetch_add(&s->wrong, 1);
    atomic_fetch_add(&s->looks, 1);
}

static void *look_on(void *ctx)
{
    struct shared *s = ctx;
    for (unsigned i = 0; !atomic_load(&s->stop); i++) {
        const struct credentials *all[] = { &s->password, &s->token, &s->jwt };
        look_once(s, all[i % 3], i % 2 == 0);
    }
    return NULL;
}

static void *tick(void *ctx)
{
    struct shared *s = ctx;
    struct err err;
    while (!atomic_load(&s->stop)) {
        if (auth_tick(s->f->a, s->f->now, &err) != ST_OK ||
            auth_rotate_key(s->f->a, s->f->now, &err) != ST_OK)
            atomic_fetch_add(&s->wrong, 1);
    }
    return NULL;
}

static void changes_are_seen_at_once(void **state)
{
    struct fixture *f = *state;
    static struct shared s;
    pthread_t threads[THREADS + 1];
    add_account(f, "ann", "correct horse");
    set_role(f, "ann", "group", ROLE_DEVELOPER);
    struct token t = add_token(f, "ann", "", SCOPE_ADMIN, 0);
    s = (struct shared){ .f = f,
                         .password = basic("ann", "correct horse"),
                         .token = bearer(str_of(t.text)) };
    s.jwt = bearer(issue(f, s.password, JWT_ACCESS, "repository:group/app:pull"));
    (void)rights(f, s.password, "group/app"); /* hashed once */
    for (size_t i = 0; i <= THREADS; i++)
        assert_int_equal(0, pthread_create(&threads[i], NULL, i == THREADS ? tick : look_on, &s));
    for (int i = 0; i < ROUNDS; i++) {
        atomic_fetch_add(&s.step, 1);
        set_role(f, "ann", "group", i % 2 == 0 ? ROLE_NONE : ROLE_DEVELOPER);
        atomic_fetch_add(&s.step, 1);
        unsigned looks = atomic_load(&s.looks);
        while (atomic_load(&s.looks) < looks + 20) /* some see it */
            sched_yield();
    }
    atomic_store(&s.stop, true);
    for (size_t i = 0; i <= THREADS; i++)
        assert_int_equal(0, pthread_join(threads[i], NULL));
    assert_int_equal(0, atomic_load(&s.wrong));
}

/* ---- one question at a time ------------------------------------------------------------------ */

static void *log_in(void *ctx)
{
    struct shared *s = ctx;
    AUTO(arena_release) struct arena arena = { 0 };
    struct identity id = { 0 };
    struct auth_refusal refusal;
    struct err err;
    enum st st = auth_identify(s->f->a, &s->password, s->f->now, &arena, &id, &refusal, &err);
    if (st == ST_OK)
        identity_release(&id);
    else
        atomic_fetch_add(&s->wrong, 1);
    return NULL;
}

static void run_all(struct shared *s, size_t count)
{
    pthread_t threads[64];
    for (size_t i = 0; i < count; i++)
        assert_int_equal(0, pthread_create(&threads[i], NULL, log_in, s));
    for (size_t i = 0; i < count; i++)
        assert_int_equal(0, pthread_join(threads[i], NULL));
}

static void the_same_password_is_hashed_once(void **state)
{
    struct fixture *f = *state;
    static struct shared s;
    s = (struct shared){ .f = f, .password = basic("admin", ADMIN_PASSWORD) };
    uint64_t before = password_count(f->a->passwords);
    run_all(&s, 64);
    assert_int_equal(0, atomic_load(&s.wrong));
    assert_int_equal(before + 1, password_count(f->a->passwords));
}

/* However many guess at once: no more are looked at than are free, and a few that were on their
 * way. */
static void guessers_at_once_are_slowed_as_well(void **state)
{
    struct fixture *f = *state;
    static struct shared s;
    s = (struct shared){ .f = f, .password = basic("admin", "a guess") };
    uint64_t before = password_count(f->a->passwords);
    run_all(&s, 64);
    assert_int_equal(64, atomic_load(&s.wrong));
    assert_in_range(password_count(f->a->passwords) - before, 6, 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        AUTH_TEST(changes_are_seen_at_once),
        AUTH_TEST(the_same_password_is_hashed_once),
        AUTH_TEST(guessers_at_once_are_slowed_as_well),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
