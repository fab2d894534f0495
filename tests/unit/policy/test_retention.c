/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/mem.h"
#include "base/rng.h"
#include "policy/retention.h"

#define DAY CLOCK_DAY_MS
#define NOW (1000 * DAY)

static struct pattern *made(const char *text)
{
    struct pattern *p = NULL;
    assert_int_equal(pattern_new(str_of(text), &p, NULL), ST_OK);
    return p;
}

/* Tags of one story: when each was tagged and pulled, in days ago. */
static struct retention_tag tag_of(const char *name, int64_t tagged, int64_t pulled, bool known)
{
    return (struct retention_tag){ .name = str_of(name),
                                   .tagged_at = NOW - tagged * DAY,
                                   .pulled_at = pulled < 0 ? 0 : NOW - pulled * DAY,
                                   .pull_known = known };
}

static void each_step(void **state)
{
    (void)state;
    AUTO(pattern_free_auto) struct pattern *v = made("v*");
    AUTO(pattern_free_auto) struct pattern *keep = made("re:v1\\.0|main");
    const struct retention_tag tags[] = {
        tag_of("main", 90, 90, true), tag_of("v1.0", 80, 80, true),  tag_of("v1.1", 70, 1, true),
        tag_of("v1.2", 60, -1, true), tag_of("v1.3", 50, -1, false), tag_of("v1.4", 40, 20, false),
        tag_of("v1.5", 2, -1, true),
    };
    static const struct {
        const char *what;
        bool tags, keep;
        uint64_t newest;
        int64_t older, pulled; /* days */
        enum retention_verdict verdicts[7];
    } cases[] = {
#define SEL RETENTION_SELECTED
#define NOT RETENTION_NOT_MATCHED
#define NAM RETENTION_KEPT_BY_NAME
#define NEW RETENTION_KEPT_NEWEST
#define YOU RETENTION_KEPT_YOUNG
#define PUL RETENTION_KEPT_PULLED
#define UNK RETENTION_KEPT_UNKNOWN
        { "tags", true, false, 0, 0, 0, { NOT, SEL, SEL, SEL, SEL, SEL, SEL } },
        { "keep", false, true, 0, 0, 0, { NAM, NAM, SEL, SEL, SEL, SEL, SEL } },
        { "names", true, true, 0, 0, 0, { NOT, NAM, SEL, SEL, SEL, SEL, SEL } },
        { "newest", false, false, 3, 0, 0, { SEL, SEL, SEL, SEL, NEW, NEW, NEW } },
        /* the newest are counted among what remains only */
        { "newest of", true, true, 4, 0, 0, { NOT, NAM, SEL, NEW, NEW, NEW, NEW } },
        { "all", false, false, 7, 0, 0, { NEW, NEW, NEW, NEW, NEW, NEW, NEW } },
        { "more", false, false, UINT64_MAX, 0, 0, { NEW, NEW, NEW, NEW, NEW, NEW, NEW } },
        { "older", false, false, 0, 50, 0, { SEL, SEL, SEL, SEL, YOU, YOU, YOU } },
        { "pulled", false, false, 0, 0, 10, { SEL, SEL, PUL, SEL, UNK, UNK, PUL } },
        { "pulled in 30", false, false, 0, 0, 30, { SEL, SEL, PUL, SEL, UNK, PUL, PUL } },
        { "everything", true, true, 1, 45, 30, { NOT, NAM, PUL, SEL, UNK, YOU, NEW } },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct retention_rule rule = { .tags = cases[i].tags ? v : NULL,
                                       .keep = cases[i].keep ? keep : NULL,
                                       .keep_newest = cases[i].newest,
                                       .older_than_ms = cases[i].older * DAY,
                                       .not_pulled_for_ms = cases[i].pulled * DAY };
        enum retention_verdict verdicts[ARRAY_LEN(tags)];
        assert_int_equal(retention_check(&rule, NULL), ST_OK);
        assert_int_equal(retention_judge(&rule, tags, ARRAY_LEN(tags), NOW, verdicts, NULL), ST_OK);
        for (size_t k = 0; k < ARRAY_LEN(tags); k++)
            if (verdicts[k] != cases[i].verdicts[k])
                fail_msg("%s: %.*s %s", cases[i].what, STR_FMT(tags[k].name),
                         retention_verdict_text(verdicts[k]));
    }
}

static void unclear_is_kept(void **state)
{
    (void)state;
    AUTO(pattern_free_auto) struct pattern *trap = made("re:(a|aa)+[bc]");
    char name[128];
    memset(name, 'a', sizeof(name));
    const struct retention_tag tags[] = { { .name = { name, sizeof(name) }, .tagged_at = 5 },
                                          { .name = STR("aab"), .tagged_at = 1 } };
    const struct retention_rule as_tags = { .tags = trap };
    const struct retention_rule as_keep = { .keep = trap, .keep_newest = 1 };
    enum retention_verdict v[2];
    assert_int_equal(retention_judge(&as_tags, tags, 2, NOW, v, NULL), ST_OK);
    assert_int_equal(v[0], RETENTION_KEPT_UNCLEAR);
    assert_int_equal(v[1], RETENTION_SELECTED);
    assert_int_equal(retention_judge(&as_keep, tags, 2, NOW, v, NULL), ST_OK);
    assert_int_equal(v[0], RETENTION_KEPT_UNCLEAR);
    assert_int_equal(v[1], RETENTION_KEPT_BY_NAME);
}

static void rules_are_checked(void **state)
{
    (void)state;
    struct err err;
    const struct retention_rule none = { .tags = NULL };
    const struct retention_rule below[] = { { .older_than_ms = -1, .keep_newest = 1 },
                                            { .not_pulled_for_ms = -1, .keep_newest = 1 } };
    struct retention_tag tag = tag_of("a", 900, 900, true);
    enum retention_verdict v = RETENTION_VERDICTS;
    assert_int_equal(retention_check(&none, &err), ST_INVALID);
    assert_non_null(strstr(err.text, "no criterion"));
    assert_int_equal(retention_judge(&none, &tag, 1, NOW, &v, NULL), ST_OK);
    assert_int_equal(v, RETENTION_NOT_MATCHED);
    for (size_t i = 0; i < ARRAY_LEN(below); i++) {
        assert_int_equal(retention_check(&below[i], &err), ST_INVALID);
        assert_int_equal(retention_judge(&below[i], &tag, 1, NOW, &v, NULL), ST_OK);
        assert_int_equal(v, RETENTION_NOT_MATCHED);
    }
    for (v = 0; v < RETENTION_VERDICTS; v++)
        assert_true(strlen(retention_verdict_text(v)) > 5);
}

/* Times at the edge, in the future, beyond all calendars: never selected by mistake. */
static void odd_times(void **state)
{
    (void)state;
    const struct retention_rule rule = { .older_than_ms = 100 };
    static const struct {
        int64_t tagged;
        int64_t now;
        enum retention_verdict verdict;
    } cases[] = {
        { 0, 100, YOU },         { 0, 101, SEL },       { 500, 100, YOU },
        { INT64_MAX, -5, YOU },  { INT64_MIN, 5, SEL }, { INT64_MAX, INT64_MIN, YOU },
        { INT64_MIN, 100, SEL }, { 0, INT64_MAX, SEL },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct retention_tag tag = { .name = STR("a"), .tagged_at = cases[i].tagged };
        enum retention_verdict v = RETENTION_VERDICTS;
        assert_int_equal(retention_judge(&rule, &tag, 1, cases[i].now, &v, NULL), ST_OK);
        assert_int_equal(v, cases[i].verdict);
    }
}

/* The steps as sentences, without any cleverness. */
static enum retention_verdict model(const struct retention_rule *r, const struct retention_tag *t,
                                    size_t n, size_t i)
{
    bool in[64];
    for (size_t k = 0; k < n; k++)
        in[k] = (r->tags == NULL || pattern_match(r->tags, t[k].name) == PATTERN_YES) &&
                (r->keep == NULL || pattern_match(r->keep, t[k].name) == PATTERN_NO);
    if (r->tags != NULL && pattern_match(r->tags, t[i].name) == PATTERN_NO)
        return RETENTION_NOT_MATCHED;
    if (!in[i])
        return RETENTION_KEPT_BY_NAME;
    uint64_t newer = 0;
    for (size_t k = 0; k < n; k++)
        newer += in[k] && (t[k].tagged_at > t[i].tagged_at ||
                           (t[k].tagged_at == t[i].tagged_at && str_cmp(t[k].name, t[i].name) > 0));
    if (newer < r->keep_newest)
        return RETENTION_KEPT_NEWEST;
    if (r->older_than_ms > 0 && NOW - t[i].tagged_at <= r->older_than_ms)
        return RETENTION_KEPT_YOUNG;
    if (r->not_pulled_for_ms == 0)
        return RETENTION_SELECTED;
    if (NOW - MAX(t[i].pulled_at, t[i].tagged_at) <= r->not_pulled_for_ms)
        return RETENTION_KEPT_PULLED;
    return t[i].pull_known ? RETENTION_SELECTED : RETENTION_KEPT_UNKNOWN;
}

static void random_rules(void **state)
{
    (void)state;
    AUTO(pattern_free_auto) struct pattern *a = made("re:[ab].*");
    AUTO(pattern_free_auto) struct pattern *b = made("*b?");
    uint64_t seed = 99;
    size_t seen[RETENTION_VERDICTS] = { 0 };
    for (size_t round = 0; round < 20000; round++) {
        struct retention_tag tags[40];
        char names[40][4];
        size_t n = rng_next(&seed) % ARRAY_LEN(tags);
        for (size_t i = 0; i < n; i++) {
            for (size_t k = 0; k < 2; k++)
                names[i][k] = (char)('a' + rng_next(&seed) % 4);
            names[i][2] = (char)('0' + i); /* no name twice */
            tags[i] = (struct retention_tag){
                .name = { names[i], 3 },
                .tagged_at = NOW - (int64_t)(rng_next(&seed) % 12) * DAY,
                .pulled_at =
                    rng_next(&seed) % 3 == 0 ? 0 : NOW - (int64_t)(rng_next(&seed) % 12) * DAY,
                .pull_known = rng_next(&seed) % 2 == 0,
            };
        }
        struct retention_rule rule = {
            .tags = rng_next(&seed) % 2 == 0 ? a : NULL,
            .keep = rng_next(&seed) % 2 == 0 ? b : NULL,
            .keep_newest = rng_next(&seed) % 2 == 0 ? rng_next(&seed) % 45 : 0,
            .older_than_ms = (int64_t)(rng_next(&seed) % 6) * DAY,
            .not_pulled_for_ms = (int64_t)(rng_next(&seed) % 6) * DAY,
        };
        if (retention_check(&rule, NULL) != ST_OK)
            continue;
        enum retention_verdict v[40];
        assert_int_equal(retention_judge(&rule, tags, n, NOW, v, NULL), ST_OK);
        for (size_t i = 0; i < n; i++) {
            if (v[i] != model(&rule, tags, n, i))
                fail_msg("round %zu: %.*s %s", round, STR_FMT(tags[i].name),
                         retention_verdict_text(v[i]));
            seen[v[i]]++;
        }
    }
    for (size_t i = 0; i < RETENTION_KEPT_UNCLEAR; i++)
        assert_true(seen[i] > 1000);
}

static void without_memory(void **state)
{
    (void)state;
#ifdef EBB_FAULTS
    const struct retention_rule rule = { .keep_newest = 1 };
    struct retention_tag tag = tag_of("a", 900, 900, true);
    enum retention_verdict v;
    fault_arm(FAULT_ALLOC, 1, false);
    assert_int_equal(retention_judge(&rule, &tag, 1, NOW, &v, NULL), ST_NO_MEMORY);
    fault_disarm();
#endif
}

/* 1,000,000 tags, in orders that are bad for selections. The limit is for slow, instrumented
 * builds; the requirement is 500 ms in an ordinary one. */
static void many_tags(void **state)
{
    (void)state;
    const size_t n = 1000000;
    struct retention_tag *tags = mem_new(n * sizeof(*tags));
    enum retention_verdict *verdicts = mem_new(n * sizeof(*verdicts));
    char(*names)[12] = mem_new(n * sizeof(*names));
    assert_true(tags != NULL && verdicts != NULL && names != NULL);
    AUTO(pattern_free_auto) struct pattern *glob = made("v*");
    AUTO(pattern_free_auto) struct pattern *regex = made("re:v\\d+9");
    uint64_t seed = 3;
    for (size_t i = 0; i < n; i++) {
        (void)snprintf(names[i], sizeof(names[i]), "v%zu", i);
        tags[i] = (struct retention_tag){ .name = str_of(names[i]) };
    }
    for (size_t order = 0; order < 4; order++) {
        for (size_t i = 0; i < n; i++)
            tags[i].tagged_at = order == 0   ? (int64_t)i
                                : order == 1 ? (int64_t)(n - i)
                                : order == 2 ? 7
                                             : (int64_t)(rng_next(&seed) >> 20);
        const struct retention_rule rule = { .tags = glob,
                                             .keep = order == 3 ? regex : NULL,
                                             .keep_newest = n / 3,
                                             .older_than_ms = 1 };
        int64_t began = clock_mono_ms();
        assert_int_equal(retention_judge(&rule, tags, n, NOW, verdicts, NULL), ST_OK);
        int64_t took = clock_mono_ms() - began;
        print_message("order %zu: %lld ms\n", order, (long long)took);
        assert_true(took < 10000);
        size_t newest = 0;
        for (size_t i = 0; i < n; i++)
            newest += verdicts[i] == RETENTION_KEPT_NEWEST;
        assert_int_equal(newest, n / 3);
    }
    mem_free(names);
    mem_free(verdicts);
    mem_free(tags);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_step),         cmocka_unit_test(unclear_is_kept),
        cmocka_unit_test(rules_are_checked), cmocka_unit_test(odd_times),
        cmocka_unit_test(random_rules),      cmocka_unit_test(without_memory),
        cmocka_unit_test(many_tags),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
