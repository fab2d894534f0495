/* SPDX-License-Identifier: Apache-2.0
 *
 * Invariants of the cache:
 *
 *  1. The setting 'rules.version' is a random text that every change of rules and locks sets anew,
 *     in its own transaction. Equal versions therefore mean equal rules, also when a transaction
 *     that saw its own changes is rolled back: what it left in the cache is never asked for again.
 *  2. A set of compiled rules never changes; it goes with its last reference.
 *  3. The cache is right whatever it holds: each transaction compares with the version it sees. A
 *     reader with an older snapshot costs another compilation, no more.
 */
#include "base/lock.h"
#include "base/mem.h"
#include "meta/locks.h"
#include "meta/protection_int.h"
#include "meta/rules_int.h"
#include "meta/settings.h"

struct protection_cache {
    bool accounts;
    struct lock lock;
    struct protection *current; /* or NULL */
};

/* ---- sets of compiled rules ------------------------------------------------------------------ */

void protection_release(struct protection **p)
{
    struct protection *set = *p;
    *p = NULL;
    if (set == NULL || atomic_fetch_sub(&set->refs, 1) != 1)
        return;
    for (size_t i = 0; i < set->count; i++) {
        pattern_free(set->rules[i].repo);
        pattern_free(set->rules[i].tag);
        mem_free(set->rules[i].reason);
    }
    mem_free(set->rules);
    mem_free(set);
}

static enum st need_room(struct protection *p, struct err *err)
{
    if (p->count < p->room)
        return ST_OK;
    size_t room = MAX(p->room * 2, (size_t)16);
    struct compiled_rule *rules = mem_resize(p->rules, room * sizeof(*rules));
    if (rules == NULL)
        return err_no_memory(err);
    p->rules = rules;
    p->room = room;
    return ST_OK;
}

/* A text that was a pattern when the rule was made may be none for a newer library: NULL. */
static enum st compile(enum st (*make)(str, struct pattern **, struct err *), str text,
                       struct pattern **out, struct err *err)
{
    enum st st = make(text, out, err);
    return st == ST_INVALID ? ST_OK : st;
}

static enum st add_rule(struct protection *p, const struct db_rows *rows, struct err *err)
{
    str reason = db_text(rows, 4);
    struct compiled_rule *rule = NULL;
    enum st st = need_room(p, err);
    if (st != ST_OK)
        return st;
    rule = &p->rules[p->count];
    *rule = (struct compiled_rule){
        .id = db_int(rows, 0),
        .has_tag = !db_is_null(rows, 3),
        .push_role = (enum role)db_int(rows, 5),
        .delete_role = (enum role)db_int(rows, 6),
    };
    if ((st = rules_kind_of(db_text(rows, 1), &rule->kind, err)) != ST_OK)
        return err_wrap(err, "rule %lld", (long long)rule->id);
    p->count++; /* from here on it is released with the others */
    rule->reason = mem_dup(reason.len == 0 ? "" : reason.ptr, reason.len);
    if (rule->reason == NULL)
        return err_no_memory(err);
    st = compile(pattern_glob, db_text(rows, 2), &rule->repo, err);
    if (st == ST_OK && rule->has_tag)
        st = compile(pattern_new, db_text(rows, 3), &rule->tag, err);
    return st;
}

static enum st compile_all(struct db_tx *tx, struct protection *p, struct err *err)
{
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    enum st st = locks_any(tx, &p->locks, err);
    if (st == ST_OK)
        st = db_select(tx, &rows,
                       "SELECT id, kind, repo, tag, reason, push_role, delete_role FROM rule"
                       " ORDER BY id LIMIT $1",
                       DB_ARGS(DB_INT(RULES_MAX + 1)), err);
    while (st == ST_OK && (st = db_next(&rows, err)) == ST_OK)
        st = add_rule(p, &rows, err);
    return st == ST_END ? ST_OK : st;
}

/* ---- the cache ------------------------------------------------------------------------------- */

enum st protection_cache_new(bool accounts, struct protection_cache **out, struct err *err)
{
    struct protection_cache *c = mem_new(sizeof(*c));
    if (c == NULL)
        return err_no_memory(err);
    c->accounts = accounts;
    lock_init(&c->lock, LOCK_PROTECTION);
    *out = c;
    return ST_OK;
}

void protection_cache_free(struct protection_cache *c)
{
    if (c == NULL)
        return;
    protection_release(&c->current);
    lock_release(&c->lock);
    mem_free(c);
}

/* With a reference, or NULL. */
static struct protection *cached(struct protection_cache *c, str version)
{
    LOCK_SCOPE(&c->lock);
    struct protection *p = c->current;
    if (p == NULL || !str_eq((str){ p->version, p->version_len }, version))
        return NULL;
    atomic_fetch_add(&p->refs, 1);
    return p;
}

static void keep(struct protection_cache *c, struct protection *p)
{
    AUTO(protection_release) struct protection *before = NULL;
    atomic_fetch_add(&p->refs, 1);
    LOCK_SCOPE(&c->lock);
    before = c->current;
    c->current = p;
}

enum st protection_load(struct db_tx *tx, struct protection_cache *cache, struct protection **out,
                        struct err *err)
{
    AUTO(arena_release) struct arena scratch = { 0 };
    AUTO(protection_release) struct protection *p = NULL;
    str version = STR_NONE; /* unset: there never was a rule */
    enum st st = settings_get(tx, RULES_VERSION, &scratch, &version, err);
    if (st != ST_OK)
        return st;
    if (version.len > VERSION_MAX)
        return err_set(err, ST_CORRUPT, "the setting " RULES_VERSION " is too long");
    if (cache != NULL && (p = cached(cache, version)) != NULL) {
        *out = p;
        p = NULL;
        return ST_OK;
    }
    p = mem_new(sizeof(*p));
    if (p == NULL)
        return err_no_memory(err);
    atomic_init(&p->refs, 1);
    p->accounts = cache != NULL && cache->accounts;
    p->version_len = version.len;
    if (version.len > 0)
        memcpy(p->version, version.ptr, version.len);
    st = compile_all(tx, p, err);
    if (st != ST_OK)
        return st;
    if (cache != NULL)
        keep(cache, p);
    *out = p;
    p = NULL;
    return ST_OK;
}
