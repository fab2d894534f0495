/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/rng.h"
#include "policy/pattern.h"

static struct pattern *made(const char *text)
{
    struct pattern *p = NULL;
    struct err err;
    if (pattern_new(str_of(text), &p, &err) != ST_OK)
        fail_msg("%s: %s", text, err.text);
    return p;
}

struct match_case {
    const char *pattern;
    const char *name;
    enum pattern_match match;
};

static void check_matches(const struct match_case *cases, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        AUTO(pattern_free_auto) struct pattern *p = made(cases[i].pattern);
        if (pattern_match(p, str_of(cases[i].name)) != cases[i].match)
            fail_msg("%s %s %s", cases[i].pattern,
                     cases[i].match == PATTERN_YES ? "does not match" : "matches", cases[i].name);
        assert_true(str_eq(pattern_text(p), str_of(cases[i].pattern)));
    }
}

static void globs(void **state)
{
    (void)state;
    static const struct match_case cases[] = {
        { "a", "a", PATTERN_YES },
        { "a", "b", PATTERN_NO },
        { "a", "", PATTERN_NO },
        { "a", "aa", PATTERN_NO },
        { "*", "", PATTERN_YES },
        { "*", "anything", PATTERN_YES },
        { "*", "a/b", PATTERN_NO },
        { "**", "a/b", PATTERN_YES },
        { "**", "", PATTERN_YES },
        { "***", "a/b/c", PATTERN_YES },
        { "?", "a", PATTERN_YES },
        { "?", "/", PATTERN_NO },
        { "?", "", PATTERN_NO },
        { "group/**", "group/a", PATTERN_YES },
        { "group/**", "group/a/b", PATTERN_YES },
        { "group/**", "group", PATTERN_NO },
        { "group/**", "groups/a", PATTERN_NO },
        { "group/*", "group/a", PATTERN_YES },
        { "group/*", "group/a/b", PATTERN_NO },
        { "**/cache", "a/b/cache", PATTERN_YES },
        { "**/cache", "cache", PATTERN_NO },
        { "**cache", "cache", PATTERN_YES },
        { "v1.*", "v1.2.3", PATTERN_YES },
        { "v1.*", "v1x2", PATTERN_NO },
        { "*-rc?", "1.0-rc1", PATTERN_YES },
        { "*-rc?", "1.0-rc12", PATTERN_NO },
        { "*-rc?", "1-rc-rc2", PATTERN_YES },
        { "a*b*c", "abbbc", PATTERN_YES },
        { "a*b*c", "a/b/c", PATTERN_NO },
        { "a**b*c", "a/x/b/xbc", PATTERN_YES },
        { "**b*c", "ab/bxc", PATTERN_YES },
        { "**a/b*d", "a/bc/a/bd", PATTERN_YES },
        { "**/*", "a", PATTERN_NO },
        { "[ab]{c}(d)+^$.\\", "[ab]{c}(d)+^$.\\", PATTERN_YES },
        { "[ab]", "a", PATTERN_NO },
        { "RE:a", "RE:a", PATTERN_YES },
    };
    check_matches(cases, ARRAY_LEN(cases));
}

static void regexes(void **state)
{
    (void)state;
    static const struct match_case cases[] = {
        { "re:v\\d+", "v12", PATTERN_YES },
        { "re:v\\d+", "v12x", PATTERN_NO },
        { "re:v\\d+", "xv12", PATTERN_NO },
        { "re:a|ab", "ab", PATTERN_YES }, /* both ends also bind alternatives */
        { "re:a|bc", "abc", PATTERN_NO },
        { "re:a|", "", PATTERN_YES },
        { "re:^a$", "a", PATTERN_YES },
        { "re:a$", "a\n", PATTERN_NO },
        { "re:a$\\n", "a\n", PATTERN_NO }, /* $ is the end and nothing else */
        { "re:(?i)main", "MAIN", PATTERN_YES },
        { "re:(?P<year>\\d{4})-(?<month>\\d\\d)", "2026-11", PATTERN_YES },
        { "re:(?:a|b)*?c", "ababc", PATTERN_YES },
        { "re:(?i-s:A)b", "ab", PATTERN_YES },
        { "re:.*", "group/a", PATTERN_YES },
        { "re:[[:alpha:](?=]+", "a(?=", PATTERN_YES }, /* no group in a class */
        { "re:\\(\\?=a", "(?=a", PATTERN_YES },
        { "re:\\Q(?=\\1\\E.", "(?=\\1x", PATTERN_YES },
        { "re:[]\\]a]+", "]a]", PATTERN_YES },
        { "re:.", "\xc3\xa4", PATTERN_NO }, /* bytes */
        { "re:..", "\xc3\xa4", PATTERN_YES },
    };
    check_matches(cases, ARRAY_LEN(cases));
}

static void refusals(void **state)
{
    (void)state;
    static const struct {
        const char *pattern;
        const char *text;
    } cases[] = {
        { "", "the pattern is empty" },
        { "re:", "the regular expression is empty" },
        { "re:v(1|2", "the regular expression is wrong at character 5: missing closing "
                      "parenthesis" },
        { "re:*", "at character 1: quantifier does not follow a repeatable item" },
        { "re:a[b", "missing terminating ]" },
        { "re:(a)\\1", "at character 4: references to groups" },
        { "re:(?<n>a)\\k<n>", "at character 8: references to groups" },
        { "re:(a)\\g{1}", "references to groups" },
        { "re:a\\Kb", "\\K" },
        { "re:\\C", "\\C" },
        { "re:a(?=b)", "at character 2: of the groups" },
        { "re:(?!a)", "of the groups" },
        { "re:(?<=a)b", "of the groups" },
        { "re:(?<!a)b", "of the groups" },
        { "re:(?>a)", "of the groups" },
        { "re:(?|a)", "of the groups" },
        { "re:(?R)", "of the groups" },
        { "re:(?1)", "of the groups" },
        { "re:(?P>n)", "of the groups" },
        { "re:(?P=n)", "of the groups" },
        { "re:(?C1)", "of the groups" },
        { "re:(?(1)a)", "of the groups" },
        { "re:(?x)a #(", "of the groups" },
        { "re:(?#a)", "of the groups" },
        { "re:(?)", "of the groups" },
        { "re:(?", "of the groups" },
        { "re:(*UTF)a", "verbs" },
        { "re:(*LIMIT_MATCH=4000000000)a", "verbs" },
        { "re:\\Qa\\E(?=b)", "at character 6: of the groups" },
        { "re:[a](?=b)", "at character 4: of the groups" },
        { "re:[\\]](?=b)", "at character 5: of the groups" },
        { "re:\\", "\\ at end of pattern" },
        { "re:((a{100}){100}){100}", "too large" },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        static char untouched;
        struct pattern *p = (void *)&untouched;
        struct err err = { .text = "none" };
        if (pattern_new(str_of(cases[i].pattern), &p, &err) != ST_INVALID)
            fail_msg("%s is accepted", cases[i].pattern);
        assert_ptr_equal(p, &untouched);
        if (strstr(err.text, cases[i].text) == NULL)
            fail_msg("%s: %s", cases[i].pattern, err.text);
    }
}

static void lengths(void **state)
{
    (void)state;
    char text[PATTERN_TEXT_MAX + 8];
    memset(text, 'a', sizeof(text));
    memcpy(text, "re:", 3);
    struct pattern *p = NULL;
    struct err err;
    assert_int_equal(pattern_new((str){ text, PATTERN_TEXT_MAX + 3 }, &p, &err), ST_OK);
    pattern_free(p);
    assert_int_equal(pattern_new((str){ text, PATTERN_TEXT_MAX + 4 }, &p, &err), ST_INVALID);
    assert_string_equal(err.text,
                        "the regular expression has 1001 bytes, at most 1000 are allowed");
    assert_int_equal(pattern_new((str){ text + 3, PATTERN_TEXT_MAX + 1 }, &p, &err), ST_INVALID);
    assert_int_equal(pattern_new((str){ text + 3, PATTERN_TEXT_MAX }, &p, &err), ST_OK);
    pattern_free(p);
    pattern_free(NULL);
    /* A NUL is a byte like any other. */
    assert_int_equal(pattern_new((str){ "re:a\0.", 6 }, &p, &err), ST_OK);
    assert_int_equal(pattern_match(p, (str){ "a\0b", 3 }), PATTERN_YES);
    assert_int_equal(pattern_match(p, STR("a")), PATTERN_NO);
    assert_int_equal(pattern_match(p, STR_NONE), PATTERN_NO);
    pattern_free(p);
}

static void literals_and_prefixes(void **state)
{
    (void)state;
    static const struct {
        const char *pattern;
        bool literal;
        const char *prefix;
    } cases[] = {
        { "a/b", true, "a/b" }, { "a/**", false, "a/" }, { "a?c", false, "a" },
        { "*", false, "" },     { "re:abc", false, "" },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO(pattern_free_auto) struct pattern *p = made(cases[i].pattern);
        str literal = STR("untouched");
        assert_int_equal(pattern_literal(p, &literal), cases[i].literal);
        assert_true(
            str_eq(literal, cases[i].literal ? str_of(cases[i].pattern) : STR("untouched")));
        assert_true(str_eq(pattern_prefix(p), str_of(cases[i].prefix)));
    }
}

/* What a glob means, as plainly as it can be said. */
static bool model(str g, str s)
{
    if (g.len == 0)
        return s.len == 0;
    str rest = str_slice(s, 1, s.len);
    if (str_starts(g, STR("**")))
        return model(str_slice(g, 2, g.len), s) || (s.len > 0 && model(g, rest));
    if (g.ptr[0] == '*')
        return model(str_slice(g, 1, g.len), s) || (s.len > 0 && s.ptr[0] != '/' && model(g, rest));
    if (s.len == 0 || (g.ptr[0] == '?' ? s.ptr[0] == '/' : g.ptr[0] != s.ptr[0]))
        return false;
    return model(str_slice(g, 1, g.len), rest);
}

static str random_text(uint64_t *seed, const char *letters, size_t most, char *out)
{
    size_t len = rng_next(seed) % (most + 1);
    for (size_t i = 0; i < len; i++)
        out[i] = letters[rng_next(seed) % strlen(letters)];
    return (str){ out, len };
}

static void random_globs(void **state)
{
    (void)state;
    uint64_t seed = 20261121;
    size_t matches = 0;
    for (size_t round = 0; round < 300000; round++) {
        char g_text[16];
        char s_text[16];
        str g = random_text(&seed, "ab/**?", 9, g_text);
        str s = random_text(&seed, "aab/", 10, s_text);
        struct pattern *p = NULL;
        if (g.len == 0)
            continue;
        assert_int_equal(pattern_glob(g, &p, NULL), ST_OK);
        bool is = pattern_match(p, s) == PATTERN_YES;
        if (is != model(g, s))
            fail_msg("%.*s and %.*s", STR_FMT(g), STR_FMT(s));
        assert_true(!is || str_starts(s, pattern_prefix(p)));
        matches += is;
        pattern_free(p);
    }
    assert_true(matches > 10000);
}

/* Inputs on which matchers that try everything need longer than the universe has. */
static void traps_end(void **state)
{
    (void)state;
    static char name[20001];
    static const char *const globs[] = { "**a*a*a*a*a*a*a*a*a*a*a*b", "**a**a**a**a**a**a**a**a*b",
                                         "**a*/a*/a*/a*/a*/a*/a*/b", "*a*a*a*a*a*a*a*a*a*a*a*a*b" };
    int64_t began = clock_mono_ms();
    for (size_t i = 0; i < ARRAY_LEN(globs); i++) {
        AUTO(pattern_free_auto) struct pattern *p = made(globs[i]);
        for (size_t every = 2; every < 500; every += 100) {
            for (size_t k = 0; k < sizeof(name) - 1; k++)
                name[k] = k % every == every - 1 ? '/' : 'a';
            assert_int_equal(pattern_match(p, str_of(name)), PATTERN_NO);
        }
    }
    assert_true(clock_mono_ms() - began < 2000);

    static const char *const traps[] = { "re:(a+)+[bc]", "re:(a|aa)+[bc]", "re:(a*)*(b|c)",
                                         "re:(.*)*(.*)*(.*)*[xy]" };
    for (size_t i = 0; i < ARRAY_LEN(traps); i++) {
        AUTO(pattern_free_auto) struct pattern *p = made(traps[i]);
        memset(name, 'a', 255);
        name[255] = '\0';
        assert_int_equal(pattern_match(p, str_of(name)), PATTERN_UNCLEAR);
    }
    assert_true(clock_mono_ms() - began < 4000);

    /* The limit is ours: PCRE2's own would go on and find that this does not match. */
    AUTO(pattern_free_auto) struct pattern *p = made("re:(a|aa)+[bc]");
    assert_int_equal(pattern_match(p, (str){ name, 28 }), PATTERN_UNCLEAR);
    assert_int_equal(pattern_match(p, (str){ name, 12 }), PATTERN_NO);
}

/* What is too deep for the stack of compiled code is tried again on the heap. */
static void deep_names(void **state)
{
    (void)state;
    AUTO(pattern_free_auto) struct pattern *p = made("re:(?:(a)|b)*");
    static char name[1500];
    memset(name, 'a', sizeof(name));
    assert_int_equal(pattern_match(p, (str){ name, sizeof(name) }), PATTERN_YES);
}

static void *match_often(void *shared)
{
    uintptr_t wrong = 0;
    for (size_t i = 0; i < 20000; i++) {
        wrong += pattern_match(shared, STR("release-1.24.7")) != PATTERN_YES;
        wrong += pattern_match(shared, STR("release-1.24.x")) != PATTERN_NO;
    }
    return (void *)wrong;
}

static void threads_share(void **state)
{
    (void)state;
    AUTO(pattern_free_auto) struct pattern *p = made("re:(release|v)-(\\d+\\.)*\\d+");
    pthread_t threads[4];
    for (size_t i = 0; i < ARRAY_LEN(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, match_often, p), 0);
    for (size_t i = 0; i < ARRAY_LEN(threads); i++) {
        void *wrong = NULL;
        assert_int_equal(pthread_join(threads[i], &wrong), 0);
        assert_null(wrong);
    }
}

#ifdef EBB_FAULTS
static void without_memory(void **state)
{
    (void)state;
    static const char *const texts[] = { "a*", "re:(a|b)+c{3}" };
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        bool done = false;
        size_t failed = 0;
        for (uint64_t n = 1; !done; n++) {
            struct pattern *p = NULL;
            struct err err = { .st = ST_OK };
            fault_arm(FAULT_ALLOC, n, false);
            enum st st = pattern_new(str_of(texts[i]), &p, &err);
            /* Once made, a match without memory is unclear: never a wrong answer. */
            enum pattern_match match = st == ST_OK ? pattern_match(p, STR("abccc")) : PATTERN_NO;
            done = !fault_fired();
            fault_disarm();
            if (st == ST_OK)
                assert_true(match == PATTERN_YES || (!done && match == PATTERN_UNCLEAR));
            else
                assert_true(st == ST_NO_MEMORY && p == NULL);
            failed += st != ST_OK || match == PATTERN_UNCLEAR;
            pattern_free(p);
        }
        assert_true(failed >= 1);
    }
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(globs),
        cmocka_unit_test(regexes),
        cmocka_unit_test(refusals),
        cmocka_unit_test(lengths),
        cmocka_unit_test(literals_and_prefixes),
        cmocka_unit_test(random_globs),
        cmocka_unit_test(traps_end),
        cmocka_unit_test(deep_names),
        cmocka_unit_test(threads_share),
#ifdef EBB_FAULTS
        cmocka_unit_test(without_memory),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
