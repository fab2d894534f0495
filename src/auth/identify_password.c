/* SPDX-License-Identifier: Apache-2.0
 *
 *     known name ──▶ its hash ──┐
 *                               ├─▶ slowed? ──▶ answered before? ──▶ a turn ──▶ one hash ──▶ yes
 *   unknown name ──▶ a dummy ───┘                                                    └────▶ no
 *
 * Whatever the name, the same steps are taken and one hash is run.
 */
#include "auth/auth_int.h"
#include "base/log.h"

struct attempt {
    const struct look *look;
    const struct credentials *credentials;
    struct subject *subject; /* or NULL */
    struct htpasswd_table *table;
    str hash;     /* unset: there is none, and it cannot be right */
    bool of_file; /* known to the file only, so far */
    bool trusted; /* it logged in from this address before */
    uint8_t question[HASH256_BYTES];
};

/* What is remembered: that this was the password for this stored hash of this name. */
static void ask(struct attempt *t)
{
    const str slices[] = { t->credentials->user, t->hash, t->credentials->secret };
    secret_keyed(t->look->auth->secret, slices, ARRAY_LEN(slices), t->question);
}

/* Of what kind of hash nothing must tell whether the name is known: without a name it is sometimes
 * one like those in the file, the same for the same name. */
static str like_the_file(const struct attempt *t)
{
    uint8_t pick[HASH256_BYTES];
    const str slices[] = { STR("like the file"), t->credentials->user };
    secret_keyed(t->look->auth->secret, slices, ARRAY_LEN(slices), pick);
    bool yes = t->table != NULL && t->table->count > 0 && pick[0] % 2 == 0;
    return yes ? t->table->entries[0].hash : STR_NONE;
}

/* After wait_ms(). What was answered for another address is a log-in from this one, too. */
static bool was_right(const struct attempt *t)
{
    const struct credentials *c = t->credentials;
    struct counted *found = NULL;
    if (t->hash.ptr != NULL)
        found = cache_find(t->look->auth->passed, t->question, 0, t->look->now);
    counted_drop(found);
    if (found != NULL && !t->trusted)
        throttle_pass(t->look->auth->throttle, c->peer, c->user, t->look->now);
    return found != NULL;
}

/* Before what is remembered is asked: who is slowed must not find a right guess by its being quick.
 */
static int64_t wait_ms(struct attempt *t)
{
    const struct credentials *c = t->credentials;
    return throttle_wait_ms(t->look->auth->throttle, c->peer, c->user, t->look->now, &t->trusted);
}

static enum st find(struct attempt *t, struct err *err)
{
    const struct look *l = t->look;
    str name = t->credentials->user;
    uint8_t key[CACHE_KEY_BYTES];
    enum st st = account_name_check(name, NULL) == ST_OK ? ST_OK : ST_NOT_FOUND;
    if (st == ST_OK) {
        subject_key(name, key);
        st = engine_subject(l, name, key, &t->subject, err);
    }
    if (st != ST_OK && st != ST_NOT_FOUND)
        return st;
    if (st == ST_NOT_FOUND && l->may_read) {
        t->hash = htpasswd_find(t->table, name);
        t->of_file = t->hash.ptr != NULL;
    } else if (t->subject != NULL && t->subject->may_log_in &&
               t->subject->account.kind != ACCOUNT_ROBOT) {
        t->hash = t->subject->account.hash;
    }
    ask(t);
    return ST_OK;
}

/* ---- outcomes -------------------------------------------------------------------------------- */

/* What somebody typed for a name may be a password. Who is slowed is noted without it: their
 * entries are one a minute then, and cannot fill the log. */
static void note(const struct attempt *t, const char *action)
{
    bool is_name = strcmp(action, "log-in slowed") != 0 &&
                   account_name_check(t->credentials->user, NULL) == ST_OK;
    engine_note(t->look->auth, t->credentials, action, is_name ? t->credentials->user : STR(""),
                NULL, t->look->now);
}

static enum st slow(int64_t wait_ms, struct auth_refusal *refusal, struct err *err)
{
    *refusal = (struct auth_refusal){ .slowed = true, .retry_after_s = (wait_ms + 999) / 1000 };
    return err_set(err, ST_BUSY, "too many log-ins failed; try again in %lld s",
                   (long long)refusal->retry_after_s);
}

static enum st fail(const struct attempt *t, struct auth_refusal *refusal, struct err *err)
{
    const struct credentials *c = t->credentials;
    int64_t wait = throttle_fail(t->look->auth->throttle, c->peer, c->user, t->look->now);
    note(t, "log-in failed");
    return wait > 0 ? slow(wait, refusal, err)
                    : err_set(err, ST_DENIED, "the name or the password is wrong");
}

static void pass(const struct attempt *t)
{
    const struct look *l = t->look;
    throttle_pass(l->auth->throttle, t->credentials->peer, t->credentials->user, l->now);
    cache_put(l->auth->passed, t->question, 0, l->now + REMEMBER_MS, l->now, &l->auth->yes);
}

/* ---- the hash -------------------------------------------------------------------------------- */

/* In a turn. */
static enum st check(struct attempt *t, struct auth_refusal *refusal, struct err *err)
{
    struct auth *a = t->look->auth;
    const struct credentials *c = t->credentials;
    /* Again: others may have failed while this one waited. */
    int64_t wait = wait_ms(t);
    if (wait > 0) {
        note(t, "log-in slowed");
        return slow(wait, refusal, err);
    }
    if (was_right(t))
        return ST_OK;
    str hash = t->hash.ptr == NULL ? like_the_file(t) : t->hash;
    enum st st = password_check(a->passwords, c->secret, hash, err);
    if (st == ST_NO_MEMORY)
        return st;
    if (st == ST_CORRUPT)
        log_failure("a password cannot be checked", err);
    if (st != ST_OK || t->hash.ptr == NULL)
        return fail(t, refusal, err);
    pass(t);
    return ST_OK;
}

static enum st take_turn(struct attempt *t, struct auth_refusal *refusal, struct err *err)
{
    struct auth *a = t->look->auth;
    enum st st;
    do {
        int64_t wait = wait_ms(t);
        if (wait > 0) {
            note(t, "log-in slowed");
            return slow(wait, refusal, err);
        }
        if (was_right(t))
            return ST_OK;
        st = password_begin(a->passwords, t->question, err);
    } while (st == ST_EXISTS);
    if (st == ST_BUSY)
        return slow(1000, refusal, err);
    if (st == ST_OK) {
        st = check(t, refusal, err);
        password_end(a->passwords, t->question);
    }
    return st;
}

/* ---- the first log-in of somebody in the file ------------------------------------------------ */

struct add_call {
    str name;
    int64_t now;
};

static enum st add_account(struct db_tx *tx, void *ctx, struct err *err)
{
    const struct add_call *c = ctx;
    const struct account in = { .name = c->name, .kind = ACCOUNT_HTPASSWD, .created_at = c->now };
    int64_t id;
    return accounts_add(tx, &in, &id, err);
}

/* ST_EXISTS: another thread added it meanwhile, or the name was somebody's who was removed: then it
 * is not found. */
static enum st add_from_file(struct attempt *t, struct err *err)
{
    const struct look *l = t->look;
    struct add_call c = { .name = t->credentials->user, .now = l->now };
    const struct trail_entry entry = { .actor = c.name,
                                       .peer = t->credentials->peer,
                                       .door = STR("server"),
                                       .action = STR("account added"),
                                       .object = c.name,
                                       .detail = STR("from the htpasswd file"),
                                       .times = 1 };
    uint8_t key[CACHE_KEY_BYTES];
    enum st st = auth_write(l->auth, add_account, &c, &entry, err);
    if (st != ST_OK && st != ST_EXISTS)
        return st;
    engine_forget(l->auth);
    subject_key(c.name, key);
    st = engine_subject(l, c.name, key, &t->subject, err);
    if (st == ST_NOT_FOUND || (st == ST_OK && !t->subject->may_log_in))
        st = err_set(err, ST_DENIED, "the name or the password is wrong");
    return st;
}

enum st identify_password(const struct look *l, const struct credentials *c, struct subject **out,
                          struct auth_refusal *refusal, struct err *err)
{
    struct attempt t = { .look = l, .credentials = c };
    if (l->may_read)
        t.table = htpasswd_table(l->auth->htpasswd);
    enum st st = find(&t, err);
    if (st == ST_OK && l->may_read)
        st = take_turn(&t, refusal, err);
    else if (st == ST_OK && (wait_ms(&t) > 0 || !was_right(&t)))
        st = err_set(err, ST_BUSY, "a password has to be checked");
    if (st == ST_OK && t.of_file)
        st = add_from_file(&t, err);
    if (st == ST_OK)
        *out = t.subject;
    else if (t.subject != NULL)
        counted_drop(&t.subject->counted);
    if (t.table != NULL)
        counted_drop(&t.table->counted);
    return st;
}
