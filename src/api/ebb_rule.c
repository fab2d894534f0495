/* SPDX-License-Identifier: Apache-2.0
 *
 * GET and POST /rules, DELETE /rules/<id>.
 */
#include "api/ebb_int.h"
#include "api/ebb_select.h"
#include "base/log.h"
#include "meta/protection.h"
#include "meta/registry_time.h"

#define RULES_BYTES_MAX (32 * MIB)

static const char *const kinds[] = {
    [RULE_IMMUTABLE] = "immutable",
    [RULE_PROTECTED] = "protected",
    [RULE_READ_ONLY] = "read-only",
    [RULE_LEVELS] = "levels",
};

static const struct answer_status rule_statuses[] = {
    { ST_NOT_FOUND, 404, "rule-unknown" },
    { ST_TOO_LARGE, 422, "too-many-rules" },
    { ST_OK, 0, NULL },
};

/* What the functions inside transactions take. */
struct rule_call {
    struct registry *r;
    struct arena *arena;
    const struct rule *rule;
    struct rule *rules;
    int64_t id;
    str path; /* of the rule that goes */
    size_t count;
};

/* The path of a glob before its first component with a wildcard; "" when there is none. Whatever
 * matches is there or below it. */
static str head_of(str glob)
{
    size_t end = 0;
    while (end < glob.len && glob.ptr[end] != '*' && glob.ptr[end] != '?')
        end++;
    if (end == glob.len)
        return glob;
    while (end > 0 && glob.ptr[end - 1] != '/')
        end--;
    return str_slice(glob, 0, end == 0 ? 0 : end - 1);
}

static bool may_see(const struct http_request *rq, const struct rule *r)
{
    str head = head_of(r->repo);
    return head.len == 0 || ebb_sees(rq, head);
}

static enum st list_rules(struct db_tx *tx, void *ctx, struct err *err)
{
    struct rule_call *c = ctx;
    return rules_list(tx, c->arena, &c->rules, &c->count, err);
}

static enum st add_rule(struct db_tx *tx, void *ctx, struct err *err)
{
    struct rule_call *c = ctx;
    return rules_add(tx, c->rule, &c->id, err);
}

static enum st remove_rule(struct db_tx *tx, void *ctx, struct err *err)
{
    struct rule_call *c = ctx;
    return rules_remove(tx, c->id, err);
}

static void add_role(struct json_out *o, const char *key, enum role role)
{
    json_out_text(o, key, role == ROLE_NONE ? STR_NONE : str_of(role_text(role)));
}

static void write_rule(struct http_request *rq, struct json_out *o, const struct rule *r)
{
    json_out_open(o, NULL, '{');
    json_out_number(o, "rule", r->id);
    json_out_text(o, "kind", str_of(kinds[r->kind]));
    json_out_text(o, "repositories", r->repo);
    json_out_text(o, "tags", r->tag.len == 0 ? STR_NONE : r->tag);
    add_role(o, "push_role", r->push_role);
    add_role(o, "delete_role", r->delete_role);
    json_out_text(o, "reason", r->reason.len == 0 ? STR_NONE : r->reason);
    json_out_text(o, "actor", r->actor);
    ebb_add_time(rq, o, "created_at", r->created_at);
    json_out_close(o, '}');
}

void ebb_rules_get(struct http_request *rq)
{
    struct rule_call c = { .r = api_call_of(rq)->api->registry };
    struct json_out o;
    c.arena = ebb_arena(rq, RULES_BYTES_MAX);
    if (c.arena == NULL)
        return;
    if (!ebb_read_list(rq, list_rules, &c, &o))
        return;
    for (size_t i = 0; i < c.count; i++)
        if (may_see(rq, &c.rules[i]))
            write_rule(rq, &o, &c.rules[i]);
    ebb_end_list(rq, &o, false, STR_NONE);
}

static void read_kind(struct json_in *in, enum rule_kind *out)
{
    str text = STR_NONE;
    if (!json_in_text(in, "kind", 20, &text)) {
        json_in_refuse(in, NULL, "\"kind\" is missing: immutable, protected, read-only or levels");
        return;
    }
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
        if (str_eq(text, str_of(kinds[i]))) {
            *out = (enum rule_kind)i;
            return;
        }
    json_in_refuse(in, "kind", "\"%.*s\" is none; immutable, protected, read-only and levels are",
                   STR_FMT(text));
}

/* Below maintainers nobody deletes, and developers push where no rule says otherwise: a level is
 * one that takes something away from somebody. */
static bool read_level(struct json_in *in, const char *key, enum role *out)
{
    static const enum role levels[] = { ROLE_MAINTAINER, ROLE_OWNER, ROLE_ADMINISTRATOR };
    str text = STR_NONE;
    if (!json_in_text(in, key, 20, &text))
        return false;
    for (size_t i = 0; i < ARRAY_LEN(levels); i++)
        if (str_eq(text, str_of(role_text(levels[i])))) {
            *out = levels[i];
            return true;
        }
    json_in_refuse(in, key, "\"%.*s\" is none; maintainer, owner and administrator are",
                   STR_FMT(text));
    return false;
}

static void read_levels(struct json_in *in, struct rule *out)
{
    bool push = read_level(in, "push_role", &out->push_role);
    bool removal = read_level(in, "delete_role", &out->delete_role);
    if (out->kind == RULE_LEVELS && !push && !removal)
        json_in_refuse(in, NULL, "a rule of levels needs push_role or delete_role");
    if (out->kind != RULE_LEVELS && (push || removal))
        json_in_refuse(in, push ? "push_role" : "delete_role",
                       "only a rule of levels has roles; leave it out");
}

static bool read_rule(struct http_request *rq, struct rule *out)
{
    struct json_in in;
    if (!ebb_read(rq, &in))
        return false;
    read_kind(&in, &out->kind);
    if (!json_in_text(&in, "repositories", EBB_PATTERN_MAX, &out->repo) || out->repo.len == 0)
        json_in_refuse(&in, NULL, "\"repositories\" is missing: a glob such as \"group/**\"");
    bool tags = json_in_text(&in, "tags", EBB_PATTERN_MAX, &out->tag) && out->tag.len > 0;
    (void)json_in_text(&in, "reason", EBB_REASON_MAX, &out->reason);
    if (out->kind == RULE_READ_ONLY && tags)
        json_in_refuse(&in, "tags", "a read-only rule is about whole repositories; leave it out");
    read_levels(&in, out);
    if ((out->kind == RULE_IMMUTABLE || out->kind == RULE_PROTECTED) && !tags)
        json_in_refuse(&in, NULL,
                       "\"tags\" is missing: a pattern such as \"v*\" or \"re:v[0-9]+\"");
    return ebb_read_end(rq, &in);
}

void ebb_rules_post(struct http_request *rq)
{
    struct registry *r = api_call_of(rq)->api->registry;
    struct rule rule = { .actor = gate_actor(rq), .created_at = ebb_now(rq) };
    struct rule_call c = { .r = r, .rule = &rule };
    struct json_out o;
    struct err err = { 0 };
    if (!read_rule(rq, &rule) || !ebb_demand_prefix(rq, head_of(rule.repo), RIGHT_RULES))
        return;
    const struct trail_entry entry =
        gate_trail(rq, "rule added", rule.repo,
                   arena_printf(&rq->arena, "%s %.*s", kinds[rule.kind], STR_FMT(rule.tag)));
    if (gate_write(rq, add_rule, &c, &entry, &err) != ST_OK) {
        ebb_fail(rq, rule_statuses, &err);
        return;
    }
    rule.id = c.id;
    log_event(LOG_INFO, "rule added", LOG_STR("id", rq->id), LOG_INT("rule", rule.id),
              LOG_STR("kind", str_of(kinds[rule.kind])), LOG_STR("repositories", rule.repo),
              LOG_STR("tags", rule.tag), LOG_STR("reason", rule.reason),
              LOG_STR("actor", gate_actor(rq)));
    if (!ebb_begin(rq, &o))
        return;
    write_rule(rq, &o, &rule);
    ebb_end(rq, 201, &o);
}

/* One that cannot be seen is not there. */
static bool may_remove(struct http_request *rq, struct rule_call *c)
{
    struct err err = { 0 };
    c->arena = ebb_arena(rq, RULES_BYTES_MAX);
    if (c->arena == NULL)
        return false;
    enum st st = db_read(c->r->db, list_rules, c, &err);
    api_call_of(rq)->absent = arena_printf(&rq->arena, "there is no rule %lld", (long long)c->id);
    for (size_t i = 0; st == ST_OK && i < c->count; i++)
        if (c->rules[i].id == c->id) {
            c->path = c->rules[i].repo;
            return ebb_demand_prefix(rq, head_of(c->path), RIGHT_RULES);
        }
    if (st == ST_OK)
        (void)err_set(&err, ST_NOT_FOUND, "there is no rule %lld", (long long)c->id);
    ebb_fail(rq, rule_statuses, &err);
    return false;
}

void ebb_rule_delete(struct http_request *rq)
{
    struct registry *r = api_call_of(rq)->api->registry;
    struct rule_call c = { .r = r };
    struct err err = { 0 };
    if (!ebb_id(rq, "rule-unknown", &c.id) || !may_remove(rq, &c))
        return;
    const struct trail_entry entry = gate_trail(
        rq, "rule removed", c.path, arena_printf(&rq->arena, "rule %lld", (long long)c.id));
    if (gate_write(rq, remove_rule, &c, &entry, &err) != ST_OK) {
        ebb_fail(rq, rule_statuses, &err);
        return;
    }
    log_event(LOG_INFO, "rule removed", LOG_STR("id", rq->id), LOG_INT("rule", c.id),
              LOG_STR("actor", gate_actor(rq)));
    http_answer(rq, 204);
}
