/* SPDX-License-Identifier: Apache-2.0
 *
 * Rules and holds come and go.
 */
#include "base/clock.h"
#include "sim.h"

struct protecting {
    struct sim *s;
    struct rule rule;
    struct hold hold;
    int64_t id;
    size_t count;
};

static enum st add_rule(struct db_tx *tx, void *ctx, struct err *err)
{
    struct protecting *p = ctx;
    return rules_add(tx, &p->rule, &p->id, err);
}

static enum st remove_rule(struct db_tx *tx, void *ctx, struct err *err)
{
    struct protecting *p = ctx;
    return rules_remove(tx, p->id, err);
}

static enum st add_hold(struct db_tx *tx, void *ctx, struct err *err)
{
    struct protecting *p = ctx;
    return holds_add(tx, &p->hold, &p->s->w.r.keeping, &p->id, err);
}

static enum st remove_hold(struct db_tx *tx, void *ctx, struct err *err)
{
    struct protecting *p = ctx;
    return holds_remove(tx, p->id, &p->s->w.r.keeping, p->s->w.now, err);
}

static enum st expire_holds(struct db_tx *tx, void *ctx, struct err *err)
{
    struct protecting *p = ctx;
    return holds_expire(tx, &p->s->w.r.keeping, p->s->w.now, 3, &p->count, err);
}

static bool rule(struct sim *s, const struct step *t)
{
    struct model_rule *rule = &s->m.rules[t->pick % RULES];
    bool done = false;
    if (rule->id != 0) {
        struct protecting p = { .s = s, .id = rule->id };
        if (!sim_answered(s, db_write(s->w.r.db, remove_rule, &p, &s->w.err), ST_OK, &done))
            return false;
        if (done)
            *rule = (struct model_rule){ 0 };
        return true;
    }
    if (t->how % 3 != 0)
        return true;
    struct model_rule new = { .kind = (enum rule_kind)(t->pick / 8 % 5 % 3),
                              .repos = (int)(t->pick / 64 % REPO_GLOBS),
                              .tags = (int)(t->pick / 1024 % TAG_PATTERNS) };
    struct protecting p = { .s = s,
                            .rule = { .kind = new.kind,
                                      .repo = str_of(repo_globs[new.repos].text),
                                      .tag = new.kind == RULE_READ_ONLY
                                                 ? STR_NONE
                                                 : str_of(tag_patterns[new.tags].text),
                                      .reason = STR("so"),
                                      .actor = STR("tester"),
                                      .created_at = s->w.now } };
    if (!sim_answered(s, db_write(s->w.r.db, add_rule, &p, &s->w.err), ST_OK, &done))
        return false;
    new.id = p.id;
    if (done)
        *rule = new;
    return true;
}

static bool hold(struct sim *s, const struct step *t)
{
    struct model_hold *hold = &s->m.holds[t->pick % HOLDS];
    bool done = false;
    if (hold->id != 0) {
        struct protecting p = { .s = s, .id = hold->id };
        if (!sim_answered(s, db_write(s->w.r.db, remove_hold, &p, &s->w.err), ST_OK, &done))
            return false;
        if (done)
            model_hold_ended(&s->m, (int)(t->pick % HOLDS), s->w.now);
        return true;
    }
    if (t->how % 2 != 0)
        return true;
    struct model_hold new = { .repo = t->pick / 8 % 2 == 0 ? -1 : t->repo,
                              .of_blob = t->pick / 16 % 3 == 0,
                              .until = INT64_MAX };
    new.thing = new.of_blob ? t->blob : t->manifest;
    if (t->pick / 64 % 4 != 0)
        new.until = s->w.now + 1 + (int64_t)(t->pick / 256 % 4) * (s->m.grace + s->m.lease) / 2;
    struct protecting p = { .s = s,
                            .hold = { .repo = new.repo < 0 ? STR("") : str_of(repo_names[new.repo]),
                                      .digest = new.of_blob ? s->u.blobs[new.thing]
                                                            : s->u.manifests[new.thing].digest,
                                      .until = new.until == INT64_MAX ? 0 : new.until,
                                      .reason = STR("so"),
                                      .actor = STR("tester"),
                                      .created_at = s->w.now } };
    enum st want = model_can_hold(&s->m, new.repo, new.of_blob, new.thing) ? ST_OK : ST_NOT_FOUND;
    if (!sim_answered(s, db_write(s->w.r.db, add_hold, &p, &s->w.err), want, &done))
        return false;
    new.id = p.id;
    if (done)
        *hold = new;
    return true;
}

bool sim_expire_holds(struct sim *s)
{
    bool done = false;
    do {
        struct protecting p = { .s = s };
        if (!sim_answered(s, db_write(s->w.r.db, expire_holds, &p, &s->w.err), ST_OK, &done))
            return false;
        done = done && p.count > 0;
    } while (done);
    return true;
}

bool sim_protect(struct sim *s, const struct step *t)
{
    return t->op == OP_RULE ? rule(s, t) : hold(s, t);
}
