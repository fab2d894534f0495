/* SPDX-License-Identifier: Apache-2.0
 *
 * Rows of rule. What they mean: protection.c.
 */
#include "base/rng.h"
#include "meta/rules_int.h"
#include "meta/settings.h"
#include "policy/pattern.h"

static const char *const kinds[] = {
    [RULE_IMMUTABLE] = "i",
    [RULE_PROTECTED] = "p",
    [RULE_READ_ONLY] = "r",
    [RULE_LEVELS] = "l",
};

enum st rules_kind_of(str text, enum rule_kind *out, struct err *err)
{
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        if (str_eq(text, str_of(kinds[i]))) {
            *out = (enum rule_kind)i;
            return ST_OK;
        }
    }
    return err_set(err, ST_CORRUPT, "\"%.*s\" is no kind of rule", STR_FMT(text));
}

enum st rules_new_version(struct db_tx *tx, struct err *err)
{
    char version[RNG_ID_LEN + 1];
    rng_id(version);
    return settings_set(tx, RULES_VERSION, str_of(version), err);
}

static bool is_level(enum role role)
{
    return role == ROLE_NONE || role == ROLE_GUEST || role == ROLE_DEVELOPER ||
           role == ROLE_MAINTAINER || role == ROLE_OWNER || role == ROLE_ADMINISTRATOR;
}

static enum st check_levels(const struct rule *rule, struct err *err)
{
    bool set = rule->push_role != ROLE_NONE || rule->delete_role != ROLE_NONE;
    if (rule->kind != RULE_LEVELS)
        return set ? err_set(err, ST_INVALID, "only rules about levels name roles") : ST_OK;
    if (!set)
        return err_set(err, ST_INVALID,
                       "a rule about levels names the role that it takes to push, to delete, or"
                       " both");
    if (!is_level(rule->push_role) || !is_level(rule->delete_role))
        return err_set(err, ST_INVALID,
                       "a level is guest, developer, maintainer, owner or administrator");
    return ST_OK;
}

static enum st check_rule(const struct rule *rule, struct err *err)
{
    AUTO(pattern_free_auto) struct pattern *repo = NULL;
    AUTO(pattern_free_auto) struct pattern *tag = NULL;
    if (rule->repo.len == 0)
        return err_set(err, ST_INVALID,
                       "a rule names repositories by a glob; \"**\" means all of them");
    if (str_starts(rule->repo, STR("re:")))
        return err_set(err, ST_INVALID,
                       "repositories are named by a glob, not by a regular expression");
    enum st st = pattern_glob(rule->repo, &repo, err);
    if (st != ST_OK)
        return err_wrap(err, "repositories");
    if ((st = check_levels(rule, err)) != ST_OK)
        return st;
    if (rule->kind == RULE_LEVELS && rule->tag.ptr == NULL)
        return ST_OK;
    if (rule->kind == RULE_READ_ONLY)
        return rule->tag.len == 0 ? ST_OK
                                  : err_set(err, ST_INVALID,
                                            "a read-only rule is about whole repositories; it"
                                            " takes no pattern for tags");
    if (rule->tag.len == 0)
        return err_set(err, ST_INVALID,
                       "a rule about tags needs a pattern for them; \"*\" means all of them");
    st = pattern_new(rule->tag, &tag, err);
    return st == ST_OK ? ST_OK : err_wrap(err, "tags");
}

enum st rules_add(struct db_tx *tx, const struct rule *rule, int64_t *id, struct err *err)
{
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    enum st st = check_rule(rule, err);
    if (st == ST_OK)
        st = db_one(tx, &rows, "SELECT count(*) FROM rule", DB_NO_ARGS, err);
    if (st == ST_OK && db_int(&rows, 0) >= RULES_MAX)
        st = err_set(err, ST_TOO_LARGE, "there may be %d rules; remove one first", RULES_MAX);
    db_rows_close(&rows);
    if (st == ST_OK)
        st = rules_new_version(tx, err);
    if (st == ST_OK)
        st = db_one(tx, &rows,
                    "INSERT INTO rule (kind, repo, tag, created_at, actor, reason, push_role,"
                    " delete_role) VALUES ($1, $2, $3, $4, $5, $6, $7, $8) RETURNING id",
                    DB_ARGS(DB_TEXT(str_of(kinds[rule->kind])), DB_TEXT(rule->repo),
                            rule->kind == RULE_READ_ONLY ? DB_NULL : DB_TEXT_OR_NULL(rule->tag),
                            DB_INT(rule->created_at),
                            DB_TEXT(rule->actor.ptr == NULL ? STR("") : rule->actor),
                            DB_TEXT_OR_NULL(rule->reason), DB_INT(rule->push_role),
                            DB_INT(rule->delete_role)),
                    err);
    if (st == ST_OK)
        *id = db_int(&rows, 0);
    return st;
}

enum st rules_change(struct db_tx *tx, const struct rule *rule, struct err *err)
{
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    struct rule after = *rule;
    enum st st =
        db_one(tx, &rows, "SELECT kind FROM rule WHERE id = $1", DB_ARGS(DB_INT(rule->id)), err);
    if (st == ST_NOT_FOUND)
        return err_set(err, st, "there is no rule %lld", (long long)rule->id);
    if (st == ST_OK)
        st = rules_kind_of(db_text(&rows, 0), &after.kind, err);
    db_rows_close(&rows);
    if (st == ST_OK)
        st = check_rule(&after, err);
    if (st == ST_OK)
        st = rules_new_version(tx, err);
    if (st != ST_OK)
        return st;
    return db_run(tx,
                  "UPDATE rule SET repo = $1, tag = $2, reason = $3, push_role = $4,"
                  " delete_role = $5 WHERE id = $6",
                  DB_ARGS(DB_TEXT(after.repo),
                          after.kind == RULE_READ_ONLY ? DB_NULL : DB_TEXT_OR_NULL(after.tag),
                          DB_TEXT_OR_NULL(after.reason), DB_INT(after.push_role),
                          DB_INT(after.delete_role), DB_INT(after.id)),
                  NULL, err);
}

enum st rules_remove(struct db_tx *tx, int64_t id, struct err *err)
{
    int64_t removed = 0;
    enum st st = db_run(tx, "DELETE FROM rule WHERE id = $1", DB_ARGS(DB_INT(id)), &removed, err);
    if (st == ST_OK && removed == 0)
        return err_set(err, ST_NOT_FOUND, "there is no rule %lld", (long long)id);
    return st == ST_OK ? rules_new_version(tx, err) : st;
}

static enum st read_rule(const struct db_rows *rows, struct arena *a, struct rule *out,
                         struct err *err)
{
    *out = (struct rule){
        .id = db_int(rows, 0),
        .repo = arena_dup(a, db_text(rows, 2)),
        .actor = arena_dup(a, db_text(rows, 4)),
        .created_at = db_int(rows, 6),
        .push_role = (enum role)db_int(rows, 7),
        .delete_role = (enum role)db_int(rows, 8),
    };
    bool copied = out->repo.ptr != NULL && out->actor.ptr != NULL;
    if (!db_is_null(rows, 3))
        copied &= (out->tag = arena_dup(a, db_text(rows, 3))).ptr != NULL;
    if (!db_is_null(rows, 5))
        copied &= (out->reason = arena_dup(a, db_text(rows, 5))).ptr != NULL;
    if (!copied)
        return err_no_memory(err);
    return rules_kind_of(db_text(rows, 1), &out->kind, err);
}

enum st rules_list(struct db_tx *tx, struct arena *a, struct rule **out, size_t *count,
                   struct err *err)
{
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    struct rule *list = arena_alloc(a, RULES_MAX * sizeof(*list));
    size_t n = 0;
    if (list == NULL)
        return err_no_memory(err);
    enum st st = db_select(tx, &rows,
                           "SELECT id, kind, repo, tag, actor, reason, created_at, push_role,"
                           " delete_role FROM rule ORDER BY id LIMIT $1",
                           DB_ARGS(DB_INT(RULES_MAX)), err);
    while (st == ST_OK && (st = db_next(&rows, err)) == ST_OK)
        st = read_rule(&rows, a, &list[n++], err);
    if (st != ST_END)
        return st;
    *out = list;
    *count = n;
    return ST_OK;
}
