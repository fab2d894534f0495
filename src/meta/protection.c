/* SPDX-License-Identifier: Apache-2.0
 *
 * Invariants of the cache:
 *
 *  1. The setting 'rules.version' is a random text that every change of the rules sets anew, in its
 *     own transaction. Equal versions therefore mean equal rules, also when a transaction that saw
 *     its own changes is rolled back: what it left in the cache is never asked for again.
 *  2. A set of compiled rules never changes; it goes with its last reference.
 *  3. The cache is right whatever it holds: each transaction compares with the version it sees. A
 *     reader with an older snapshot costs another compilation, no more.
 */
#include "meta/protection.h"

#include <stdatomic.h>

#include "base/lock.h"
#include "base/mem.h"
#include "meta/rules_int.h"
#include "meta/settings.h"
#include "policy/pattern.h"

#define VERSION_MAX 64

struct compiled_rule {
    int64_t id;
    enum rule_kind kind;
    struct pattern *repo; /* NULL: it is no pattern (any more), so it may mean anything */
    struct pattern *tag;  /* as above; unused in RULE_READ_ONLY */
    char *reason;         /* "" when there is none */
};

struct protection {
    atomic_uint refs;
    char version[VERSION_MAX];
    size_t version_len;
    size_t count;
    size_t room;
    struct compiled_rule *rules;
};

struct protection_cache {
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
    *rule = (struct compiled_rule){ .id = db_int(rows, 0) };
    if ((st = rules_kind_of(db_text(rows, 1), &rule->kind, err)) != ST_OK)
        return err_wrap(err, "rule %lld", (long long)rule->id);
    p->count++; /* from here on it is released with the others */
    rule->reason = mem_dup(reason.len == 0 ? "" : reason.ptr, reason.len);
    if (rule->reason == NULL)
        return err_no_memory(err);
    st = compile(pattern_glob, db_text(rows, 2), &rule->repo, err);
    if (st == ST_OK && rule->kind != RULE_READ_ONLY)
        st = compile(pattern_new, db_text(rows, 3), &rule->tag, err);
    return st;
}

static enum st compile_all(struct db_tx *tx, struct protection *p, struct err *err)
{
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    enum st st =
        db_select(tx, &rows, "SELECT id, kind, repo, tag, reason FROM rule ORDER BY id LIMIT $1",
                  DB_ARGS(DB_INT(RULES_MAX + 1)), err);
    while (st == ST_OK && (st = db_next(&rows, err)) == ST_OK)
        st = add_rule(p, &rows, err);
    return st == ST_END ? ST_OK : st;
}

/* ---- the cache ------------------------------------------------------------------------------- */

enum st protection_cache_new(struct protection_cache **out, struct err *err)
{
    struct protection_cache *c = mem_new(sizeof(*c));
    if (c == NULL)
        return err_no_memory(err);
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

/* ---- asking ---------------------------------------------------------------------------------- */

static bool rule_is_about(enum rule_kind kind, enum protection_act act)
{
    switch (kind) {
    case RULE_IMMUTABLE:
        return act == PROTECT_SET_TAG || act == PROTECT_DELETE_TAG;
    case RULE_PROTECTED:
        return act == PROTECT_DELETE_TAG;
    case RULE_READ_ONLY:
        break;
    }
    return true;
}

static bool hold_is_about(enum protection_act act)
{
    return act == PROTECT_DELETE_TAG || act == PROTECT_DELETE_MANIFEST ||
           act == PROTECT_DELETE_BLOB;
}

static enum pattern_match match(const struct pattern *p, str s)
{
    return p == NULL ? PATTERN_UNCLEAR : pattern_match(p, s);
}

/* NO when either says so; UNCLEAR when one is and the other does not say NO. */
static enum pattern_match match_rule(const struct compiled_rule *rule,
                                     const struct protection_case *c)
{
    enum pattern_match repo = match(rule->repo, c->repo);
    if (repo == PATTERN_NO || rule->kind == RULE_READ_ONLY)
        return repo;
    enum pattern_match tag = match(rule->tag, c->tag);
    return tag == PATTERN_YES ? repo : tag;
}

static enum st deny_by_rule(const struct compiled_rule *rule, const struct protection_case *c,
                            bool unclear, struct err *err)
{
    static const char *const words[] = {
        [RULE_IMMUTABLE] = "immutable",
        [RULE_PROTECTED] = "protected",
        [RULE_READ_ONLY] = "read-only",
    };
    const char *is = unclear ? "taken for" : "is";
    const char *colon = rule->reason[0] == '\0' ? "" : ": ";
    const char *why = unclear ? "; whether the rule means it could not be decided" : "";
    long long id = (long long)rule->id;
    const char *word = words[rule->kind];
    if (rule->kind == RULE_READ_ONLY)
        return err_set(err, ST_DENIED, "%.*s is %s%s (rule %lld%s%s)%s", STR_FMT(c->repo),
                       unclear ? "taken for " : "", word, id, colon, rule->reason, why);
    return err_set(err, ST_DENIED, "the tag %.*s of %.*s %s%s %s (rule %lld%s%s)%s",
                   STR_FMT(c->tag), STR_FMT(c->repo), unclear ? "is " : "", is, word, id, colon,
                   rule->reason, why);
}

/* The digest's rows in the index are in the order of their ids. */
static enum st check_holds(struct db_tx *tx, const struct protection_case *c, int64_t now,
                           struct err *err)
{
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    char key[DIGEST_KEY_MAX];
    char text[DIGEST_TEXT_MAX + 1];
    enum st st = db_select(
        tx, &rows,
        "SELECT id, reason FROM hold WHERE digest = $1 AND (repo = '' OR repo = $2)"
        " AND (until IS NULL OR until > $3) LIMIT 1",
        DB_ARGS(DB_BYTES(digest_key(c->digest, key)), DB_TEXT(c->repo), DB_INT(now)), err);
    if (st == ST_OK)
        st = db_next(&rows, err);
    if (st == ST_END)
        return ST_OK;
    if (st != ST_OK)
        return st;
    str digest = digest_text(c->digest, text);
    str reason = db_text(&rows, 1);
    const char *colon = reason.len == 0 ? "" : ": ";
    if (c->act == PROTECT_DELETE_TAG)
        return err_set(err, ST_DENIED,
                       "the tag %.*s of %.*s names %.*s, which is held (hold %lld%s%.*s)",
                       STR_FMT(c->tag), STR_FMT(c->repo), STR_FMT(digest),
                       (long long)db_int(&rows, 0), colon, STR_FMT(reason));
    return err_set(err, ST_DENIED, "%.*s in %.*s is held (hold %lld%s%.*s)", STR_FMT(digest),
                   STR_FMT(c->repo), (long long)db_int(&rows, 0), colon, STR_FMT(reason));
}

enum st protection_check(struct db_tx *tx, const struct protection *p,
                         const struct protection_case *c, int64_t now, struct err *err)
{
    for (size_t i = 0; i < p->count; i++) {
        const struct compiled_rule *rule = &p->rules[i];
        if (!rule_is_about(rule->kind, c->act))
            continue;
        enum pattern_match found = match_rule(rule, c);
        if (found != PATTERN_NO)
            return deny_by_rule(rule, c, found == PATTERN_UNCLEAR, err);
    }
    if (c->digest == NULL || !hold_is_about(c->act))
        return ST_OK;
    return check_holds(tx, c, now, err);
}
