/* SPDX-License-Identifier: Apache-2.0
 *
 * Protection: GET and POST /rules, DELETE /rules/<id>, and the same for /holds.
 */
#include "api/ebb_int.h"
#include "api/ebb_select.h"
#include "base/log.h"
#include "meta/protection.h"
#include "meta/registry_time.h"

#define RULES_BYTES_MAX (32 * MIB)
#define ACTOR           STR("anonymous")

static const char *const kinds[] = {
    [RULE_IMMUTABLE] = "immutable", [RULE_PROTECTED] = "protected", [RULE_READ_ONLY] = "read-only"
};

static const struct ebb_status rule_statuses[] = {
    { ST_NOT_FOUND, 404, "rule-unknown" },
    { ST_TOO_LARGE, 422, "too-many-rules" },
    { ST_OK, 0, NULL },
};
static const struct ebb_status hold_statuses[] = {
    { ST_NOT_FOUND, 404, "hold-unknown" },
    { ST_OK, 0, NULL },
};
static const struct ebb_status digest_statuses[] = {
    { ST_NOT_FOUND, 404, "digest-unknown" },
    { ST_OK, 0, NULL },
};

/* What the functions inside transactions take. */
struct rule_call {
    struct registry *r;
    struct arena *arena;
    const struct rule *rule;
    struct rule *rules;
    const struct hold *hold;
    struct hold *holds;
    int64_t id;
    int64_t now;
    size_t limit;
    size_t count;
};

/* ---- rules ---------------------------------------------------------------------------------- */

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

static void write_rule(struct http_request *rq, struct json_out *o, const struct rule *r)
{
    json_out_open(o, NULL, '{');
    json_out_number(o, "rule", r->id);
    json_out_text(o, "kind", str_of(kinds[r->kind]));
    json_out_text(o, "repositories", r->repo);
    json_out_text(o, "tags", r->kind == RULE_READ_ONLY ? STR_NONE : r->tag);
    json_out_text(o, "reason", r->reason.len == 0 ? STR_NONE : r->reason);
    json_out_text(o, "actor", r->actor);
    ebb_add_time(rq, o, "created_at", r->created_at);
    json_out_close(o, '}');
}

void ebb_rules_get(struct http_request *rq)
{
    struct rule_call c = { .r = api_call_of(rq)->api->registry };
    struct json_out o;
    struct err err = { 0 };
    c.arena = ebb_arena(rq, RULES_BYTES_MAX);
    if (c.arena == NULL)
        return;
    if (db_read(c.r->db, list_rules, &c, &err) != ST_OK) {
        ebb_fail(rq, NULL, &err);
        return;
    }
    if (!ebb_begin(rq, &o))
        return;
    json_out_open(&o, NULL, '{');
    json_out_open(&o, "items", '[');
    for (size_t i = 0; i < c.count; i++)
        write_rule(rq, &o, &c.rules[i]);
    json_out_close(&o, ']');
    json_out_close(&o, '}');
    ebb_end(rq, 200, &o);
}

static void read_kind(struct json_in *in, enum rule_kind *out)
{
    str text = STR_NONE;
    if (!json_in_text(in, "kind", 20, &text)) {
        json_in_refuse(in, NULL, "\"kind\" is missing: immutable, protected or read-only");
        return;
    }
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
        if (str_eq(text, str_of(kinds[i]))) {
            *out = (enum rule_kind)i;
            return;
        }
    json_in_refuse(in, "kind", "\"%.*s\" is none; immutable, protected and read-only are",
                   STR_FMT(text));
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
    if (out->kind != RULE_READ_ONLY && !tags)
        json_in_refuse(&in, NULL,
                       "\"tags\" is missing: a pattern such as \"v*\" or \"re:v[0-9]+\"");
    return ebb_read_end(rq, &in);
}

void ebb_rules_post(struct http_request *rq)
{
    struct registry *r = api_call_of(rq)->api->registry;
    struct rule rule = { .actor = ACTOR, .created_at = ebb_now(rq) };
    struct rule_call c = { .r = r, .rule = &rule };
    struct json_out o;
    struct err err = { 0 };
    if (!read_rule(rq, &rule))
        return;
    if (registry_write(r, add_rule, &c, &err) != ST_OK) {
        ebb_fail(rq, rule_statuses, &err);
        return;
    }
    rule.id = c.id;
    log_event(LOG_INFO, "rule added", LOG_STR("id", rq->id), LOG_INT("rule", rule.id),
              LOG_STR("kind", str_of(kinds[rule.kind])), LOG_STR("repositories", rule.repo),
              LOG_STR("tags", rule.tag), LOG_STR("reason", rule.reason));
    if (!ebb_begin(rq, &o))
        return;
    write_rule(rq, &o, &rule);
    ebb_end(rq, 201, &o);
}

void ebb_rule_delete(struct http_request *rq)
{
    struct registry *r = api_call_of(rq)->api->registry;
    struct rule_call c = { .r = r };
    struct err err = { 0 };
    if (!ebb_id(rq, "rule-unknown", &c.id))
        return;
    if (registry_write(r, remove_rule, &c, &err) != ST_OK) {
        ebb_fail(rq, rule_statuses, &err);
        return;
    }
    log_event(LOG_INFO, "rule removed", LOG_STR("id", rq->id), LOG_INT("rule", c.id));
    http_answer(rq, 204);
}

/* ---- holds ---------------------------------------------------------------------------------- */

static enum st list_holds(struct db_tx *tx, void *ctx, struct err *err)
{
    struct rule_call *c = ctx;
    return holds_list(tx, c->id, c->limit + 1, c->arena, &c->holds, &c->count, err);
}

static enum st add_hold(struct db_tx *tx, void *ctx, struct err *err)
{
    struct rule_call *c = ctx;
    return holds_add(tx, c->hold, &c->r->keeping, &c->id, err);
}

static enum st remove_hold(struct db_tx *tx, void *ctx, struct err *err)
{
    struct rule_call *c = ctx;
    return holds_remove(tx, c->id, &c->r->keeping, c->now, err);
}

void ebb_add_hold(struct http_request *rq, struct json_out *o, const struct hold *h)
{
    json_out_open(o, NULL, '{');
    json_out_number(o, "hold", h->id);
    json_out_digest(o, "digest", &h->digest);
    json_out_text(o, "repository", h->repo.len == 0 ? STR_NONE : h->repo);
    ebb_add_time(rq, o, "until", h->until);
    json_out_text(o, "reason", h->reason.len == 0 ? STR_NONE : h->reason);
    json_out_text(o, "actor", h->actor);
    ebb_add_time(rq, o, "created_at", h->created_at);
    json_out_close(o, '}');
}

void ebb_holds_get(struct http_request *rq)
{
    struct rule_call c = { .r = api_call_of(rq)->api->registry };
    uint64_t after = 0;
    struct json_out o;
    struct err err = { 0 };
    if (!ebb_page_number(rq, &c.limit, &after))
        return;
    c.id = (int64_t)after;
    c.arena = ebb_arena(rq, RULES_BYTES_MAX);
    if (c.arena == NULL)
        return;
    if (db_read(c.r->db, list_holds, &c, &err) != ST_OK) {
        ebb_fail(rq, NULL, &err);
        return;
    }
    if (!ebb_begin(rq, &o))
        return;
    size_t shown = MIN(c.count, c.limit);
    json_out_open(&o, NULL, '{');
    json_out_open(&o, "items", '[');
    for (size_t i = 0; i < shown; i++)
        ebb_add_hold(rq, &o, &c.holds[i]);
    json_out_close(&o, ']');
    ebb_add_next_number(&o, c.count > shown ? (uint64_t)c.holds[shown - 1].id : 0);
    json_out_close(&o, '}');
    ebb_end(rq, 200, &o);
}

static bool read_hold(struct http_request *rq, struct hold *out)
{
    struct registry *r = api_call_of(rq)->api->registry;
    struct json_in in;
    struct err err = { 0 };
    str digest = STR_NONE;
    int64_t utc = 0;
    out->repo = STR("");
    if (!ebb_read(rq, &in))
        return false;
    if (!json_in_text(&in, "digest", DIGEST_TEXT_MAX, &digest))
        json_in_refuse(&in, NULL, "\"digest\" is missing: of a manifest or blob, \"sha256:...\"");
    else if (digest_parse(digest, &out->digest, &err) != ST_OK)
        json_in_refuse(&in, "digest", "%s", err.text);
    if (json_in_text(&in, "repository", NAME_MAX_BYTES, &out->repo) &&
        name_check(out->repo, &err) != ST_OK)
        json_in_refuse_as(&in, "repository", &err);
    if (json_in_utc(&in, "until", &utc)) {
        out->until = registry_of_utc(r, utc);
        if (out->until <= out->created_at)
            json_in_refuse(&in, "until", "this time is over; one that is still to come is allowed");
    }
    (void)json_in_text(&in, "reason", EBB_REASON_MAX, &out->reason);
    return ebb_read_end(rq, &in);
}

void ebb_holds_post(struct http_request *rq)
{
    struct registry *r = api_call_of(rq)->api->registry;
    struct hold hold = { .actor = ACTOR, .created_at = ebb_now(rq) };
    struct rule_call c = { .r = r, .hold = &hold };
    char digest[DIGEST_TEXT_MAX + 1];
    struct json_out o;
    struct err err = { 0 };
    if (!read_hold(rq, &hold))
        return;
    if (registry_write(r, add_hold, &c, &err) != ST_OK) {
        ebb_fail(rq, digest_statuses, &err);
        return;
    }
    hold.id = c.id;
    log_event(LOG_INFO, "hold added", LOG_STR("id", rq->id), LOG_INT("hold", hold.id),
              LOG_STR("digest", digest_text(&hold.digest, digest)),
              LOG_STR("repository", hold.repo), LOG_STR("reason", hold.reason));
    if (!ebb_begin(rq, &o))
        return;
    ebb_add_hold(rq, &o, &hold);
    ebb_end(rq, 201, &o);
}

void ebb_hold_delete(struct http_request *rq)
{
    struct registry *r = api_call_of(rq)->api->registry;
    struct rule_call c = { .r = r, .now = ebb_now(rq) };
    struct err err = { 0 };
    if (!ebb_id(rq, "hold-unknown", &c.id))
        return;
    if (registry_write(r, remove_hold, &c, &err) != ST_OK) {
        ebb_fail(rq, hold_statuses, &err);
        return;
    }
    log_event(LOG_INFO, "hold removed", LOG_STR("id", rq->id), LOG_INT("hold", c.id));
    http_answer(rq, 204);
}
