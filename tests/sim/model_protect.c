/* SPDX-License-Identifier: Apache-2.0
 *
 * Rules and holds. What a pattern matches is written down here by hand, not computed.
 */
#include "model.h"

#define ALL_TAGS ((1U << TAGS) - 1)

const struct known_pattern repo_globs[REPO_GLOBS] = {
    { .text = "r0", .yes = 1 },
    { .text = "r1", .yes = 2 },
    { .text = "r?", .yes = 7 },
    { .text = "**", .yes = 7 },
};

const struct known_pattern tag_patterns[TAG_PATTERNS] = {
    { .text = "t0", .yes = 1 },
    { .text = "re:t[12]", .yes = 2 | 4 },
    { .text = "t*", .yes = ALL_TAGS },
    { .text = "re:t5(a|aa)+[bc]", .unclear = 32 },
};

const struct known_pattern tag_regexes[TAG_REGEXES] = {
    { .text = NULL, .yes = ALL_TAGS },
    { .text = "t[0-2]", .yes = 1 | 2 | 4 },
    { .text = ".*", .yes = ALL_TAGS },
    { .text = "t5(a|aa)+[bc]|t[34]", .yes = 8 | 16, .unclear = 32 },
};

static bool rule_means(const struct model_rule *rule, enum rule_kind kind, int r, int t)
{
    if (rule->id == 0 || rule->kind != kind || (repo_globs[rule->repos].yes & 1U << r) == 0)
        return false;
    const struct known_pattern *tags = &tag_patterns[rule->tags];
    return t < 0 || ((tags->yes | tags->unclear) & 1U << t) != 0;
}

static bool any_rule(const struct model *m, enum rule_kind kind, int r, int t)
{
    EACH(i, RULES)
    if (rule_means(&m->rules[i], kind, r, t))
        return true;
    return false;
}

bool model_is_read_only(const struct model *m, int r)
{
    return any_rule(m, RULE_READ_ONLY, r, -1);
}

bool model_is_immutable(const struct model *m, int r, int t)
{
    return any_rule(m, RULE_IMMUTABLE, r, t);
}

static bool hold_means(const struct model_hold *h, int r, bool of_blob, int thing)
{
    return h->id != 0 && (h->repo < 0 || h->repo == r) && h->of_blob == of_blob &&
           h->thing == thing;
}

bool model_has_hold(const struct model *m, int r, bool of_blob, int thing)
{
    EACH(i, HOLDS)
    if (hold_means(&m->holds[i], r, of_blob, thing))
        return true;
    return false;
}

bool model_is_held(const struct model *m, int r, bool of_blob, int thing, int64_t now)
{
    EACH(i, HOLDS)
    if (hold_means(&m->holds[i], r, of_blob, thing) && m->holds[i].until > now)
        return true;
    return false;
}

bool model_may_delete_tag(const struct model *m, int r, int t, int64_t now)
{
    int thing = m->tags[r][t];
    return !model_is_read_only(m, r) && !model_is_immutable(m, r, t) &&
           !any_rule(m, RULE_PROTECTED, r, t) &&
           (thing < 0 || !model_is_held(m, r, false, thing, now));
}

bool model_may_delete_manifest(const struct model *m, int r, int i, int64_t now)
{
    return !model_is_read_only(m, r) && !model_is_held(m, r, false, i, now);
}

bool model_may_delete_blob(const struct model *m, int r, int b, int64_t now)
{
    return !model_is_read_only(m, r) && !model_is_held(m, r, true, b, now);
}

bool model_can_hold(const struct model *m, int repo, bool of_blob, int thing)
{
    EACH(r, REPOS)
    if ((repo < 0 || repo == r) && (of_blob ? m->blobs[r][thing].row : m->manifests[r][thing].row))
        return true;
    return false;
}

void model_hold_ended(struct model *m, int hold, int64_t now)
{
    struct kept_before before;
    model_note_kept(m, &before);
    m->holds[hold].id = 0;
    model_let_go(m, &before, false, now);
}
