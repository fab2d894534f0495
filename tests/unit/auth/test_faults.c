/* SPDX-License-Identifier: Apache-2.0
 *
 * Every allocation and every step of SQL fails once in each operation: it then says so, lets nobody
 * in whom it should not, and works the next time.
 */
#include "auth_test.h"

#include "auth/auth_int.h"
#include "base/fault.h"

#ifdef EBB_FAULTS

/* The library itself leaks a few bytes when jansson has no memory. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
    return "leak:libcjose";
}

struct scene {
    struct fixture *f;
    struct token token;
    str access, refresh;
    str issued; /* by the last run, or unset */
    struct identity id;
};

static enum st by_password(struct scene *s)
{
    return identify(s->f, basic("ann", "correct horse"), &s->id);
}

static enum st by_wrong_password(struct scene *s)
{
    enum st st = identify(s->f, basic("ann", "wrong horse"), &s->id);
    return st == ST_DENIED ? ST_OK : st == ST_OK ? ST_BUG : st;
}

static enum st by_token(struct scene *s)
{
    return identify(s->f, bearer(str_of(s->token.text)), &s->id);
}

static enum st by_jwt(struct scene *s)
{
    return identify(s->f, bearer(s->access), &s->id);
}

static enum st by_nothing(struct scene *s)
{
    return identify(s->f, (struct credentials){ 0 }, &s->id);
}

static enum st redeem(struct scene *s)
{
    return auth_redeem(s->f->a, s->refresh, JWT_REFRESH, s->f->now, &s->f->arena, &s->id,
                       &s->f->err);
}

static enum st issue_one(struct scene *s)
{
    struct jwt_issued issued = { 0 };
    const struct claim claim = { CLAIM_REPOSITORY, STR("group/app"), ACTION_ALL };
    enum st st = by_token(s);
    if (st != ST_OK)
        return st;
    const struct jwt_order order = {
        .use = JWT_ACCESS, .who = &s->id, .claims = &claim, .claim_count = 1
    };
    st = auth_issue(s->f->a, &order, &s->f->arena, &issued, &s->f->err);
    s->issued = issued.text;
    return st;
}

static enum st show_keys(struct scene *s)
{
    str text;
    return auth_public_keys(s->f->a, &s->f->arena, &text, &s->f->err);
}

static enum st rotate(struct scene *s)
{
    return auth_rotate_key(s->f->a, s->f->now, &s->f->err);
}

static enum st tick(struct scene *s)
{
    const struct trail_entry e = { .actor = STR("ann"), .action = STR("refused") };
    auth_note(s->f->a, &e);
    s->f->now += ROTATE_MS;
    return auth_tick(s->f->a, s->f->now, &s->f->err);
}

static enum st make_hash(struct scene *s)
{
    str hash;
    return auth_hash_password(STR("long enough"), &s->f->arena, &hash, &s->f->err);
}

static enum st write_right(struct scene *s)
{
    struct change c = { .kind = SET_VISIBLE, .member.prefix = STR("open") };
    const struct trail_entry e = { .actor = STR("ann"), .action = STR("changed") };
    return auth_write(s->f->a, apply_change, &c, &e, &s->f->err);
}

static enum st open_again(struct scene *s)
{
    struct auth_options options = test_options();
    struct auth *a;
    enum st st = auth_open(&s->f->r, &options, &a, s->f->made, &s->f->err);
    if (st == ST_OK)
        auth_close(a);
    return st;
}

static const struct operation {
    const char *name;
    enum st (*run)(struct scene *s);
    bool adds_keys;
} operations[] = {
    { "password", by_password, false }, { "wrong password", by_wrong_password, false },
    { "token", by_token, false },       { "jwt", by_jwt, false },
    { "nothing", by_nothing, false },   { "redeem", redeem, false },
    { "issue", issue_one, false },      { "keys", show_keys, false },
    { "rotate", rotate, true },         { "tick", tick, true },
    { "hash", make_hash, false },       { "write", write_right, false },
    { "open", open_again, false },
};

static void prepare(struct scene *s, struct fixture *f)
{
    *s = (struct scene){ .f = f };
    add_account(f, "ann", "correct horse");
    set_role(f, "ann", "group", ROLE_MAINTAINER);
    s->token = add_token(f, "ann", "group", SCOPE_PUSH, 0);
    s->access = issue(f, bearer(str_of(s->token.text)), JWT_ACCESS, "repository:group/app:pull");
    s->refresh = issue(f, bearer(str_of(s->token.text)), JWT_REFRESH, "");
}

static enum st drop_old_keys(struct db_tx *tx, void *ctx, struct err *err)
{
    (void)ctx;
    return signing_keys_drop(tx, INT64_MAX, err);
}

/* Nothing is remembered; with `one_key` there are no more keys than at the start. */
static void start_anew(struct fixture *f, bool one_key)
{
    struct auth_options options = test_options();
    auth_close(f->a);
    if (one_key)
        OK(db_write(f->r.db, drop_old_keys, NULL, &f->err));
    OK(auth_open(&f->r, &options, &f->a, f->made, &f->err));
}

static enum st run(struct scene *s, const struct operation *op)
{
    s->f->err = (struct err){ 0 };
    enum st st = op->run(s);
    identity_release(&s->id);
    return st;
}

static bool fail_nth(struct scene *s, const struct operation *op, enum fault_kind kind, uint64_t n)
{
    struct fixture *f = s->f;
    start_anew(f, op->adds_keys);
    fault_arm(kind, n, false);
    enum st st = run(s, op);
    fault_disarm();
    bool fired = fault_fired();
    if (st != ST_OK && (!fired || f->err.st != st || f->err.text[0] == '\0' ||
                        (st != ST_NO_MEMORY && st != ST_IO)))
        fail_msg("%s, number %llu: %s (%s)", op->name, (unsigned long long)n, st_text(st),
                 f->err.text);
    if (st != ST_OK && (st = run(s, op)) != ST_OK)
        fail_msg("%s, after number %llu: %s (%s)", op->name, (unsigned long long)n, st_text(st),
                 f->err.text);
    assert_int_equal(DEVELOPS, rights(f, bearer(str_of(s->token.text)), "group/app"));
    if (s->issued.ptr != NULL) /* it is whole */
        assert_int_equal(DEVELOPS, rights(f, bearer(s->issued), "group/app"));
    return fired;
}

static void fail_each(enum fault_kind kind)
{
    for (size_t i = 0; i < ARRAY_LEN(operations); i++) {
        void *state;
        struct scene s;
        (void)setup(&state);
        prepare(&s, state);
        for (uint64_t n = 1; fail_nth(&s, &operations[i], kind, n);)
            n++;
        (void)teardown(&state);
    }
}

static void every_allocation_fails_once(void **state)
{
    (void)state;
    fail_each(FAULT_ALLOC);
}

static void every_statement_fails_once(void **state)
{
    (void)state;
    fail_each(FAULT_SQL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_allocation_fails_once),
        cmocka_unit_test(every_statement_fails_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#else

int main(void)
{
    return 0;
}

#endif
