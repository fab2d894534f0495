/* SPDX-License-Identifier: Apache-2.0
 *
 * Protection rules of repositories and of tags: from which role on one may push or delete. They are
 * kept as rules of kind RULE_LEVELS, so every door keeps to them.
 *
 *  1. A rule of GitLab's is about one project. What our globs cannot say in one is said in two
 *     rows: a project's own repository, and what lies below it. The first row has the rule's
 *     number.
 *  2. The row's reason is the pattern as it was given. A row is shown when its reason gives that
 *     row again, so nobody else's rules are.
 *  3. GitLab's pattern for tags is a regular expression that may match anywhere in the name.
 */
#include "api/gitlab_int.h"
#include "base/log.h"
#include "policy/pattern.h"

#define REPO_PATTERN_MAX 255
#define TAG_PATTERN_MAX  100
#define TAG_RULES_MAX    5
#define ROWS_MAX         2

/* What is about repositories, and what is about tags. */
struct rule_family {
    bool tags;
    const char *pattern_name; /* the parameter */
    const char *title;        /* of it, in messages */
    size_t pattern_max;
};
static const struct rule_family of_repositories = { false, "repository_path_pattern",
                                                    "Repository path pattern", REPO_PATTERN_MAX };
static const struct rule_family of_tags = { true, "tag_name_pattern", "Tag name pattern",
                                            TAG_PATTERN_MAX };

struct rule_call {
    struct http_request *rq;
    struct arena *arena;
    const struct rule_family *family;
    struct gitlab_namespace project;
    int64_t id; /* of the rule to change or remove */
    bool has_pattern, has_push, has_delete;
    str pattern;
    enum role push, delete;
    struct rule *rules; /* all there are */
    size_t count;
    struct rule out; /* the row that stands for it */
    db_fn write;
    const char *event; /* for the logs */
};

/* ---- roles ----------------------------------------------------------------------------------- */

static const struct {
    enum role role;
    const char *word;
} levels[] = { { ROLE_MAINTAINER, "maintainer" },
               { ROLE_OWNER, "owner" },
               { ROLE_ADMINISTRATOR, "admin" } };

/* "" takes a level away, where that is allowed. */
static bool read_level(struct gitlab_params *p, const char *name, bool may_be_empty, enum role *out)
{
    str text = STR_NONE;
    if (!gitlab_param_text(p, name, &text))
        return false;
    *out = ROLE_NONE;
    if (text.len == 0 && may_be_empty)
        return true;
    for (size_t i = 0; i < ARRAY_LEN(levels); i++)
        if (str_eq(text, str_of(levels[i].word))) {
            *out = levels[i].role;
            return true;
        }
    gitlab_param_refuse(p, name, "does not have a valid value");
    return true;
}

static void add_level(struct json_out *o, const char *key, enum role role)
{
    str word = STR_NONE;
    for (size_t i = 0; i < ARRAY_LEN(levels); i++)
        if (levels[i].role == role)
            word = str_of(levels[i].word);
    json_out_text(o, key, word);
}

/* ---- patterns -------------------------------------------------------------------------------- */

static enum st refuse(struct err *err, const struct rule_family *f, const char *why)
{
    return err_set(err, ST_INVALID, "%s %s", f->title, why);
}

/* GitLab's "*" matches any run; ours is "**". */
static str glob_of(struct arena *a, const char *head, str project, str rest)
{
    AUTO(buf_release) struct buf b = { .max_bytes = 4 * KIB };
    buf_add(&b, project);
    buf_add(&b, str_of(head));
    for (size_t i = 0; i < rest.len; i++) {
        bool star = rest.ptr[i] == '*';
        if (star && b.len > 0 && b.ptr[b.len - 1] == '*')
            continue;
        buf_add(&b, star ? STR("**") : str_slice(rest, i, i + 1));
    }
    return b.failed == ST_OK ? arena_dup(a, buf_str(&b)) : STR_NONE;
}

static bool is_path_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
           (c != '\0' && strchr("/._-*", c) != NULL);
}

static enum st rows_of_repositories(const struct rule_call *c, str pattern, struct rule *rows,
                                    size_t *n, struct err *err)
{
    str project = c->project.path;
    char *copy = arena_cstr(c->arena, pattern);
    if (copy == NULL)
        return err_no_memory(err);
    for (size_t i = 0; i < pattern.len; i++) {
        if (copy[i] >= 'A' && copy[i] <= 'Z')
            copy[i] = (char)(copy[i] | 0x20);
        if (!is_path_char(copy[i]))
            return refuse(err, c->family,
                          "should be a valid container repository path with optional wildcard"
                          " characters.");
    }
    str rest = { copy, pattern.len };
    if (!str_starts(rest, project))
        return refuse(err, c->family, "should start with the project's full path");
    rest = str_slice(rest, project.len, rest.len);
    if (rest.len > 0 && rest.ptr[0] != '/' && rest.ptr[0] != '*')
        return refuse(err, c->family, "should start with the project's full path");
    bool star = rest.len > 0 && rest.ptr[0] == '*';
    while (rest.len > 0 && rest.ptr[0] == '*')
        rest = str_slice(rest, 1, rest.len);
    *n = 0;
    if (!star || rest.len == 0 || rest.ptr[0] == '/')
        rows[(*n)++].repo = glob_of(c->arena, "", project, rest);
    if (star)
        rows[(*n)++].repo = glob_of(c->arena, "/**", project, rest);
    return ST_OK;
}

static enum st rows_of_tags(const struct rule_call *c, str pattern, struct rule *rows, size_t *n,
                            struct err *err)
{
    AUTO(pattern_free_auto) struct pattern *alone = NULL;
    AUTO(pattern_free_auto) struct pattern *whole = NULL;
    struct err why = { 0 };
    str tag = arena_printf(c->arena, "re:.*(?:%.*s).*", STR_FMT(pattern));
    if (tag.ptr == NULL)
        return err_no_memory(err);
    enum st st = pattern_regex(pattern, &alone, &why);
    if (st == ST_OK)
        st = pattern_new(tag, &whole, &why);
    if (st == ST_INVALID)
        return err_set(err, st, "%s not valid RE2 syntax: %s", c->family->title, why.text);
    if (st != ST_OK)
        return err_set(err, st, "%s", why.text);
    rows[0].repo = c->project.path;
    rows[1].repo = glob_of(c->arena, "/**", c->project.path, STR(""));
    rows[0].tag = rows[1].tag = tag;
    *n = 2;
    return ST_OK;
}

/* The rows that say `pattern` of the project: ST_INVALID when it is none. */
static enum st make_rows(const struct rule_call *c, str pattern, struct rule rows[ROWS_MAX],
                         size_t *n, struct err *err)
{
    memset(rows, 0, ROWS_MAX * sizeof(*rows));
    if (pattern.len == 0)
        return refuse(err, c->family, "can't be blank");
    if (pattern.len > c->family->pattern_max)
        return err_set(err, ST_INVALID, "%s is too long (maximum is %zu characters)",
                       c->family->title, c->family->pattern_max);
    enum st st = c->family->tags ? rows_of_tags(c, pattern, rows, n, err)
                                 : rows_of_repositories(c, pattern, rows, n, err);
    for (size_t i = 0; st == ST_OK && i < *n; i++) {
        rows[i].kind = RULE_LEVELS;
        rows[i].reason = pattern;
        if (rows[i].repo.ptr == NULL)
            return err_no_memory(err);
    }
    return st;
}

/* Which of its rows `rule` is, if it is one of the project's and of this family; else -1. */
static int place_of(const struct rule_call *c, const struct rule *rule)
{
    struct rule rows[ROWS_MAX];
    size_t n = 0;
    if (rule->kind != RULE_LEVELS || rule->reason.len == 0 ||
        (rule->tag.len > 0) != c->family->tags || !str_starts(rule->repo, c->project.path))
        return -1;
    if (make_rows(c, rule->reason, rows, &n, NULL) != ST_OK)
        return -1;
    for (size_t i = 0; i < n; i++)
        if (str_eq(rows[i].repo, rule->repo) &&
            (!c->family->tags || str_eq(rows[i].tag, rule->tag)))
            return (int)i;
    return -1;
}

/* ---- reading --------------------------------------------------------------------------------- */

static enum st list_rules(struct db_tx *tx, void *ctx, struct err *err)
{
    struct rule_call *c = ctx;
    return rules_list(tx, c->arena, &c->rules, &c->count, err);
}

static void add_rule(struct json_out *o, const struct rule_call *c, const struct rule *r)
{
    json_out_open(o, NULL, '{');
    json_out_number(o, "id", r->id);
    json_out_number(o, "project_id", c->project.id);
    json_out_text(o, c->family->pattern_name, r->reason);
    add_level(o, "minimum_access_level_for_push", r->push_role);
    add_level(o, "minimum_access_level_for_delete", r->delete_role);
    json_out_close(o, '}');
}

static bool begin(struct http_request *rq, const struct rule_family *f, struct rule_call *c)
{
    *c = (struct rule_call){ .rq = rq, .arena = gitlab_call_of(rq)->arena, .family = f };
    return gitlab_project(rq, RIGHT_RULES, &c->project);
}

static void list(struct http_request *rq, const struct rule_family *f)
{
    struct rule_call c;
    struct json_out o;
    struct err err = { 0 };
    if (!begin(rq, f, &c))
        return;
    if (db_read(api_call_of(rq)->api->registry->db, list_rules, &c, &err) != ST_OK) {
        gitlab_fail(rq, &err);
        return;
    }
    if (!gitlab_begin(rq, &o))
        return;
    json_out_open(&o, NULL, '[');
    for (size_t i = 0; i < c.count; i++)
        if (place_of(&c, &c.rules[i]) == 0)
            add_rule(&o, &c, &c.rules[i]);
    json_out_close(&o, ']');
    gitlab_end(rq, 200, &o);
}

/* ---- writing --------------------------------------------------------------------------------- */

/* What GitLab says of a record that it does not take. */
static void answer_unprocessable(struct http_request *rq, str why)
{
    struct json_out o;
    if (!gitlab_begin(rq, &o))
        return;
    json_out_open(&o, NULL, '{');
    json_out_open(&o, "message", '{');
    json_out_open(&o, "error", '[');
    json_out_text(&o, NULL, why);
    json_out_close(&o, ']');
    json_out_close(&o, '}');
    json_out_close(&o, '}');
    gitlab_end(rq, 422, &o);
}

/* Statuses of the functions inside transactions: ST_INVALID is a 422. */
static void fail(struct http_request *rq, const struct err *err)
{
    if (err->st == ST_INVALID || err->st == ST_TOO_LARGE)
        answer_unprocessable(rq, arena_dup(&rq->arena, str_of(err->text)));
    else
        gitlab_fail(rq, err);
}

static enum st check_unique(const struct rule_call *c, str pattern, bool adds, struct err *err)
{
    size_t tags = 0;
    for (size_t i = 0; i < c->count; i++) {
        if (place_of(c, &c->rules[i]) != 0)
            continue;
        tags++;
        bool same = c->family->tags ? str_eq(c->rules[i].reason, pattern)
                                    : str_eq_nocase(c->rules[i].reason, pattern);
        if (same && c->rules[i].id != c->id)
            return refuse(err, c->family, "has already been taken");
    }
    if (adds && c->family->tags && tags >= TAG_RULES_MAX)
        return err_set(err, ST_INVALID, "Maximum number of protection rules have been reached.");
    return ST_OK;
}

static enum st check_levels(const struct rule_call *c, enum role push, enum role delete,
                            struct err *err)
{
    if (c->family->tags && (push == ROLE_NONE || delete == ROLE_NONE))
        return err_set(err, ST_INVALID,
                       "Access levels should either both be present or both be nil");
    if (push == ROLE_NONE && delete == ROLE_NONE)
        return err_set(err, ST_INVALID,
                       "A rule must have at least a minimum access role for push or delete.");
    return ST_OK;
}

static enum st add_rows(struct db_tx *tx, struct rule_call *c, struct rule *rows, size_t from,
                        size_t n, struct err *err)
{
    enum st st = ST_OK;
    for (size_t i = from; st == ST_OK && i < n; i++) {
        rows[i].actor = gate_actor(c->rq);
        rows[i].created_at = gitlab_now(c->rq);
        st = rules_add(tx, &rows[i], &rows[i].id, err);
    }
    return st;
}

static void set_levels(struct rule *rows, size_t n, enum role push, enum role delete)
{
    for (size_t i = 0; i < n; i++) {
        rows[i].push_role = push;
        rows[i].delete_role = delete;
    }
}

static enum st create_rule(struct db_tx *tx, void *ctx, struct err *err)
{
    struct rule_call *c = ctx;
    struct rule rows[ROWS_MAX];
    size_t n = 0;
    enum st st = make_rows(c, c->pattern, rows, &n, err);
    if (st == ST_OK)
        st = list_rules(tx, c, err);
    if (st == ST_OK)
        st = check_unique(c, c->pattern, true, err);
    if (st == ST_OK)
        st = check_levels(c, c->push, c->delete, err);
    if (st != ST_OK)
        return st;
    set_levels(rows, n, c->push, c->delete);
    st = add_rows(tx, c, rows, 0, n, err);
    c->out = rows[0];
    return st;
}

/* The row with the number c->id, if it stands for a rule of the project. */
static enum st find_rule(struct db_tx *tx, struct rule_call *c, struct rule *out, struct err *err)
{
    enum st st = list_rules(tx, c, err);
    for (size_t i = 0; st == ST_OK && i < c->count; i++)
        if (c->rules[i].id == c->id && place_of(c, &c->rules[i]) == 0) {
            *out = c->rules[i];
            return ST_OK;
        }
    return st == ST_OK ? err_set(err, ST_NOT_FOUND, "there is no such rule") : st;
}

/* The other rows of the rule. */
static enum st remove_twins(struct db_tx *tx, const struct rule_call *c, str pattern,
                            struct err *err)
{
    enum st st = ST_OK;
    for (size_t i = 0; st == ST_OK && i < c->count; i++)
        if (place_of(c, &c->rules[i]) > 0 && str_eq(c->rules[i].reason, pattern))
            st = rules_remove(tx, c->rules[i].id, err);
    return st;
}

static enum st change_rule(struct db_tx *tx, void *ctx, struct err *err)
{
    struct rule_call *c = ctx;
    struct rule before = { 0 };
    struct rule rows[ROWS_MAX];
    size_t n = 0;
    enum st st = find_rule(tx, c, &before, err);
    if (st != ST_OK)
        return st;
    str pattern = c->has_pattern ? c->pattern : before.reason;
    enum role push = c->has_push ? c->push : before.push_role;
    enum role delete = c->has_delete ? c->delete : before.delete_role;
    st = make_rows(c, pattern, rows, &n, err);
    if (st == ST_OK)
        st = check_unique(c, pattern, false, err);
    if (st == ST_OK)
        st = check_levels(c, push, delete, err);
    if (st == ST_OK)
        st = remove_twins(tx, c, before.reason, err);
    if (st != ST_OK)
        return st;
    set_levels(rows, n, push, delete);
    rows[0].id = before.id;
    st = rules_change(tx, &rows[0], err);
    if (st == ST_OK)
        st = add_rows(tx, c, rows, 1, n, err);
    c->out = rows[0];
    return st;
}

static enum st remove_rule(struct db_tx *tx, void *ctx, struct err *err)
{
    struct rule_call *c = ctx;
    enum st st = find_rule(tx, c, &c->out, err);
    if (st == ST_OK)
        st = remove_twins(tx, c, c->out.reason, err);
    return st == ST_OK ? rules_remove(tx, c->id, err) : st;
}

/* ---- requests -------------------------------------------------------------------------------- */

static void read_rule(struct rule_call *c, bool creates)
{
    static const char *const names[] = { "minimum_access_level_for_push",
                                         "minimum_access_level_for_delete" };
    struct gitlab_params *p = &gitlab_call_of(c->rq)->params;
    c->has_pattern = gitlab_param_text(p, c->family->pattern_name, &c->pattern);
    if (creates && !c->has_pattern)
        gitlab_param_refuse(p, c->family->pattern_name, "is missing");
    c->has_push = read_level(p, names[0], !creates || !c->family->tags, &c->push);
    c->has_delete = read_level(p, names[1], !creates || !c->family->tags, &c->delete);
    if (!creates)
        return;
    if (c->family->tags && !c->has_push)
        gitlab_param_refuse(p, names[0], "is missing");
    if (c->family->tags && !c->has_delete)
        gitlab_param_refuse(p, names[1], "is missing");
    if (!c->family->tags && !c->has_push && !c->has_delete)
        gitlab_param_refuse(p, "minimum_access_level_for_push, minimum_access_level_for_delete",
                            "are missing, at least one parameter must be provided");
}

static bool read_id(struct rule_call *c)
{
    uint64_t id = 0;
    if (!str_to_u64(gitlab_call_of(c->rq)->parts[1], INT64_MAX, &id)) {
        gitlab_error(c->rq, 400, STR("protection_rule_id is invalid"));
        return false;
    }
    c->id = (int64_t)id;
    return true;
}

/* Who may push and delete is a right: with accounts, changes of it are in the audit log. */
static enum st write_noted(struct db_tx *tx, void *ctx, struct err *err)
{
    struct rule_call *c = ctx;
    enum st st = c->write(tx, c, err);
    const struct trail_entry entry =
        gate_trail(c->rq, c->event, c->project.path, c->out.reason /* the pattern */);
    return st == ST_OK && api_call_of(c->rq)->api->accounts ? trail_add(tx, &entry, err) : st;
}

static void write_rule(struct rule_call *c, db_fn fn, int http, const char *event)
{
    struct http_request *rq = c->rq;
    struct json_out o;
    struct err err = { 0 };
    c->write = fn;
    c->event = event;
    if (registry_write(api_call_of(rq)->api->registry, write_noted, c, &err) != ST_OK) {
        fail(rq, &err);
        return;
    }
    log_event(LOG_INFO, event, LOG_STR("id", rq->id), LOG_INT("rule", c->out.id),
              LOG_STR("kind", STR("levels")), LOG_STR("repositories", c->out.repo),
              LOG_STR("tags", c->out.tag), LOG_STR("actor", gate_actor(rq)));
    if (http == 204) {
        http_answer(rq, http);
        return;
    }
    if (!gitlab_begin(rq, &o))
        return;
    add_rule(&o, c, &c->out);
    gitlab_end(rq, http, &o);
}

static void post(struct http_request *rq, const struct rule_family *f)
{
    struct rule_call c;
    if (!begin(rq, f, &c))
        return;
    read_rule(&c, true);
    if (gitlab_params_ok(rq))
        write_rule(&c, create_rule, 201, "rule added");
}

static void patch(struct http_request *rq, const struct rule_family *f)
{
    struct rule_call c;
    if (!begin(rq, f, &c) || !read_id(&c))
        return;
    read_rule(&c, false);
    if (gitlab_params_ok(rq))
        write_rule(&c, change_rule, 200, "rule changed");
}

static void delete (struct http_request *rq, const struct rule_family *f)
{
    struct rule_call c;
    if (begin(rq, f, &c) && read_id(&c))
        write_rule(&c, remove_rule, 204, "rule removed");
}

void gitlab_repository_rules_get(struct http_request *rq)
{
    list(rq, &of_repositories);
}

void gitlab_repository_rules_post(struct http_request *rq)
{
    post(rq, &of_repositories);
}

void gitlab_repository_rule_patch(struct http_request *rq)
{
    patch(rq, &of_repositories);
}

void gitlab_repository_rule_delete(struct http_request *rq)
{
    delete (rq, &of_repositories);
}

void gitlab_tag_rules_get(struct http_request *rq)
{
    list(rq, &of_tags);
}

void gitlab_tag_rules_post(struct http_request *rq)
{
    post(rq, &of_tags);
}

void gitlab_tag_rule_patch(struct http_request *rq)
{
    patch(rq, &of_tags);
}

void gitlab_tag_rule_delete(struct http_request *rq)
{
    delete (rq, &of_tags);
}
