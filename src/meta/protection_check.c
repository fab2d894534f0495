/* SPDX-License-Identifier: Apache-2.0
 *
 * Asking: rules first, then locks, then holds; the first that forbids gives the sentence.
 */
#include "meta/locks.h"
#include "meta/members.h"
#include "meta/protection_int.h"

/* ---- rules ----------------------------------------------------------------------------------- */

static bool is_delete(enum protection_act act)
{
    return act == PROTECT_DELETE_TAG || act == PROTECT_DELETE_MANIFEST ||
           act == PROTECT_DELETE_BLOB || act == PROTECT_DELETE_REPOSITORY;
}

/* The role that the rule asks for; ROLE_NONE when it is not about this. */
static enum role level_of(const struct compiled_rule *rule, enum protection_act act)
{
    enum protection_act pushed = rule->has_tag ? PROTECT_PUSH_TAG : PROTECT_PUSH_MANIFEST;
    if (act == pushed)
        return rule->push_role;
    bool deleted = rule->has_tag ? act == PROTECT_DELETE_TAG : is_delete(act);
    return deleted ? rule->delete_role : ROLE_NONE;
}

static bool rule_is_about(const struct protection *p, const struct compiled_rule *rule,
                          const struct protection_case *c)
{
    enum protection_act act = c->act;
    switch (rule->kind) {
    case RULE_IMMUTABLE:
        return act == PROTECT_SET_TAG || act == PROTECT_DELETE_TAG;
    case RULE_PROTECTED:
        return act == PROTECT_DELETE_TAG;
    case RULE_READ_ONLY:
        break;
    case RULE_LEVELS:
        return p->accounts && !c->no_levels && level_of(rule, act) != ROLE_NONE;
    }
    return true;
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
    if (repo == PATTERN_NO || !rule->has_tag)
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

/* ---- levels ---------------------------------------------------------------------------------- */

static enum st find_role(struct db_tx *tx, const struct protection_case *c, int64_t now,
                         enum role *out, struct err *err)
{
    struct protection_memo *memo = c->memo;
    if (memo != NULL && memo->known && str_eq(c->repo, (str){ memo->repo, memo->repo_len })) {
        *out = memo->role;
        return ST_OK;
    }
    enum role role = ROLE_NONE;
    enum st st = c->actor.len == 0 ? ST_OK : members_role(tx, c->actor, c->repo, now, &role, err);
    if (st != ST_OK)
        return st;
    if (memo != NULL && c->repo.len <= sizeof(memo->repo)) {
        memcpy(memo->repo, c->repo.ptr, c->repo.len);
        memo->repo_len = c->repo.len;
        memo->role = role;
        memo->known = true;
    }
    *out = role;
    return ST_OK;
}

static enum st check_level(struct db_tx *tx, const struct compiled_rule *rule,
                           const struct protection_case *c, int64_t now, bool unclear,
                           struct err *err)
{
    enum role needed = level_of(rule, c->act);
    enum role role = ROLE_NONE;
    enum st st = find_role(tx, c, now, &role, err);
    if (st != ST_OK || role >= needed)
        return st;
    const char *verb = is_delete(c->act) ? "delete" : "push";
    const char *colon = rule->reason[0] == '\0' ? "" : ": ";
    const char *why = unclear ? "; whether the rule means it could not be decided" : "";
    str who = c->actor.len == 0 ? STR("nobody") : c->actor;
    char what[256];
    if (rule->has_tag)
        (void)snprintf(what, sizeof(what), "the tag %.*s of ", STR_FMT(c->tag));
    else
        (void)snprintf(what, sizeof(what), "%s", is_delete(c->act) ? "from " : "to ");
    return err_set(err, ST_DENIED,
                   "to %s %s%.*s takes the role %s, and %.*s has %s there (rule %lld%s%s)%s", verb,
                   what, STR_FMT(c->repo), role_text(needed), STR_FMT(who), role_text(role),
                   (long long)rule->id, colon, rule->reason, why);
}

static enum st check_rules(struct db_tx *tx, const struct protection *p,
                           const struct protection_case *c, int64_t now, struct err *err)
{
    for (size_t i = 0; i < p->count; i++) {
        const struct compiled_rule *rule = &p->rules[i];
        if (!rule_is_about(p, rule, c))
            continue;
        enum pattern_match found = match_rule(rule, c);
        if (found == PATTERN_NO)
            continue;
        bool unclear = found == PATTERN_UNCLEAR;
        if (rule->kind != RULE_LEVELS)
            return deny_by_rule(rule, c, unclear, err);
        enum st st = check_level(tx, rule, c, now, unclear, err);
        if (st != ST_OK)
            return st;
    }
    return ST_OK;
}

/* ---- locks ----------------------------------------------------------------------------------- */

/* The object whose lock decides, and what it must allow; false: no lock is about this. */
static bool lock_of(const struct protection_case *c, struct lock_object *o, unsigned *needed)
{
    *o = (struct lock_object){ .repo = c->repo };
    *needed = LOCK_MAY_WRITE;
    switch (c->act) {
    case PROTECT_PUSH:
        return true;
    case PROTECT_PUSH_MANIFEST: /* that of the repository is asked besides */
        o->digest = c->digest;
        return c->digest != NULL;
    case PROTECT_PUSH_TAG:
        o->tag = c->tag;
        return true;
    case PROTECT_SET_TAG:
        return false;
    case PROTECT_DELETE_TAG:
        o->tag = c->tag;
        break;
    case PROTECT_DELETE_MANIFEST:
        o->digest = c->digest;
        break;
    case PROTECT_DELETE_BLOB:
        return false;
    case PROTECT_DELETE_REPOSITORY:
        break;
    }
    *needed = LOCK_MAY_WRITE | LOCK_MAY_DELETE;
    return true;
}

static enum st deny_by_lock(const struct lock_object *o, unsigned denied, struct err *err)
{
    char text[DIGEST_TEXT_MAX + 1];
    bool write = (denied & LOCK_MAY_WRITE) != 0;
    const char *how = write ? "it must not be changed (writeEnabled is false)"
                            : "it must not be deleted (deleteEnabled is false)";
    if (o->digest != NULL) {
        str digest = digest_text(o->digest, text);
        return err_set(err, ST_DENIED, "%.*s in %.*s is locked: %s", STR_FMT(digest),
                       STR_FMT(o->repo), how);
    }
    if (o->tag.ptr != NULL)
        return err_set(err, ST_DENIED, "the tag %.*s of %.*s is locked: %s", STR_FMT(o->tag),
                       STR_FMT(o->repo), how);
    return err_set(err, ST_DENIED, "the repository %.*s is locked: %s", STR_FMT(o->repo), how);
}

static enum st check_lock(struct db_tx *tx, const struct lock_object *o, unsigned needed,
                          struct err *err)
{
    unsigned may = 0;
    enum st st = locks_get(tx, o, &may, err);
    unsigned denied = needed & ~may;
    return st == ST_OK && denied != 0 ? deny_by_lock(o, denied, err) : st;
}

static enum st check_locks(struct db_tx *tx, const struct protection_case *c, struct err *err)
{
    struct lock_object object;
    unsigned needed = 0;
    enum st st = ST_OK;
    if (c->act == PROTECT_PUSH_MANIFEST)
        st = check_lock(tx, &(struct lock_object){ .repo = c->repo }, LOCK_MAY_WRITE, err);
    if (st == ST_OK && lock_of(c, &object, &needed))
        st = check_lock(tx, &object, needed, err);
    return st;
}

/* ---- holds ----------------------------------------------------------------------------------- */

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

static bool hold_is_about(enum protection_act act)
{
    return act == PROTECT_DELETE_TAG || act == PROTECT_DELETE_MANIFEST ||
           act == PROTECT_DELETE_BLOB;
}

enum st protection_check(struct db_tx *tx, const struct protection *p,
                         const struct protection_case *c, int64_t now, struct err *err)
{
    enum st st = check_rules(tx, p, c, now, err);
    if (st == ST_OK && p->locks)
        st = check_locks(tx, c, err);
    if (st != ST_OK || c->no_holds || c->digest == NULL || !hold_is_about(c->act))
        return st;
    return check_holds(tx, c, now, err);
}
