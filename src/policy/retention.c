/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/retention.h"

#include "base/mem.h"
#include "base/rng.h"

const char *retention_verdict_text(enum retention_verdict v)
{
    static const char *const texts[RETENTION_VERDICTS] = {
        [RETENTION_SELECTED] = "is selected",
        [RETENTION_NOT_MATCHED] = "does not match the rule",
        [RETENTION_KEPT_BY_NAME] = "is kept by its name",
        [RETENTION_KEPT_NEWEST] = "is among the newest",
        [RETENTION_KEPT_YOUNG] = "is not old enough",
        [RETENTION_KEPT_PULLED] = "was pulled or tagged too recently",
        [RETENTION_KEPT_UNKNOWN] = "is kept because its pulls are not known for long enough",
        [RETENTION_KEPT_UNCLEAR] = "is kept because a regular expression took too long to decide",
    };
    assert(v < RETENTION_VERDICTS);
    return texts[v];
}

static bool has_criterion(const struct retention_rule *r)
{
    return r->tags != NULL || r->keep != NULL || r->keep_newest > 0 || r->older_than_ms > 0 ||
           r->not_pulled_for_ms > 0;
}

enum st retention_check(const struct retention_rule *rule, struct err *err)
{
    if (rule->older_than_ms < 0 || rule->not_pulled_for_ms < 0)
        return err_set(err, ST_INVALID, "a rule's time is below zero");
    if (!has_criterion(rule))
        return err_set(err, ST_INVALID,
                       "the rule has no criterion and would select every tag; give at least one of "
                       "tags, keep-tags, keep, older-than and not-pulled-for");
    return ST_OK;
}

static enum retention_verdict judge_name(const struct retention_rule *rule, str name)
{
    enum pattern_match match = rule->tags == NULL ? PATTERN_YES : pattern_match(rule->tags, name);
    if (match == PATTERN_NO)
        return RETENTION_NOT_MATCHED;
    enum pattern_match keep = rule->keep == NULL ? PATTERN_NO : pattern_match(rule->keep, name);
    if (keep == PATTERN_YES)
        return RETENTION_KEPT_BY_NAME;
    return match == PATTERN_YES && keep == PATTERN_NO ? RETENTION_SELECTED : RETENTION_KEPT_UNCLEAR;
}

static bool is_older(int64_t now, int64_t then, int64_t age_ms)
{
    int64_t age;
    if (__builtin_sub_overflow(now, then, &age))
        return now > then;
    return age > age_ms;
}

static enum retention_verdict judge_age(const struct retention_rule *rule,
                                        const struct retention_tag *tag, int64_t now)
{
    if (rule->older_than_ms > 0 && !is_older(now, tag->tagged_at, rule->older_than_ms))
        return RETENTION_KEPT_YOUNG;
    if (rule->not_pulled_for_ms > 0) {
        int64_t used = MAX(tag->tagged_at, tag->pulled_at);
        if (!is_older(now, used, rule->not_pulled_for_ms))
            return RETENTION_KEPT_PULLED;
        if (!tag->pull_known)
            return RETENTION_KEPT_UNKNOWN;
    }
    return RETENTION_SELECTED;
}

struct place {
    int64_t tagged_at;
    size_t i; /* in tags[] */
};

static bool is_newer(const struct retention_tag *tags, struct place a, struct place b)
{
    if (a.tagged_at != b.tagged_at)
        return a.tagged_at > b.tagged_at;
    return str_cmp(tags[a.i].name, tags[b.i].name) > 0;
}

/* Moves the `keep` newest to the front, in any order: Hoare's selection. The place in memory
 * seeds the pivots, so that nobody can order tags to make it slow. */
static void select_newest(const struct retention_tag *tags, struct place *p, size_t n, size_t keep)
{
    uint64_t seed = (uint64_t)(uintptr_t)p | 1;
    while (n > 1 && keep > 0 && keep < n) {
        struct place pivot = p[rng_next(&seed) % n];
        size_t i = 0;
        size_t k = n - 1;
        for (;;) {
            while (is_newer(tags, p[i], pivot))
                i++;
            while (is_newer(tags, pivot, p[k]))
                k--;
            if (i >= k)
                break;
            struct place held = p[i];
            p[i++] = p[k];
            p[k--] = held;
        }
        size_t front = k + 1; /* p[0, front) is no older than all behind; i == k: the pivot */
        if (keep < front) {
            n = i == k ? k : front;
        } else {
            p += front;
            n -= front;
            keep -= front;
        }
    }
}

static enum st keep_newest(const struct retention_rule *rule, const struct retention_tag *tags,
                           size_t n, enum retention_verdict *verdicts, struct err *err)
{
    size_t count = 0;
    for (size_t i = 0; i < n; i++)
        count += verdicts[i] == RETENTION_SELECTED;
    if (count == 0)
        return ST_OK;
    AUTO(mem_auto) struct place *places = mem_new(count * sizeof(*places));
    if (places == NULL)
        return err_no_memory(err);
    size_t at = 0;
    for (size_t i = 0; i < n; i++)
        if (verdicts[i] == RETENTION_SELECTED)
            places[at++] = (struct place){ tags[i].tagged_at, i };
    size_t keep = (size_t)MIN(rule->keep_newest, (uint64_t)count);
    select_newest(tags, places, count, keep);
    for (size_t i = 0; i < keep; i++)
        verdicts[places[i].i] = RETENTION_KEPT_NEWEST;
    return ST_OK;
}

enum st retention_judge(const struct retention_rule *rule, const struct retention_tag *tags,
                        size_t n, int64_t now, enum retention_verdict *verdicts, struct err *err)
{
    bool valid = retention_check(rule, NULL) == ST_OK;
    for (size_t i = 0; i < n; i++)
        verdicts[i] = valid ? judge_name(rule, tags[i].name) : RETENTION_NOT_MATCHED;
    if (rule->keep_newest > 0) {
        enum st st = keep_newest(rule, tags, n, verdicts, err);
        if (st != ST_OK)
            return st;
    }
    for (size_t i = 0; i < n; i++)
        if (verdicts[i] == RETENTION_SELECTED)
            verdicts[i] = judge_age(rule, &tags[i], now);
    return ST_OK;
}
