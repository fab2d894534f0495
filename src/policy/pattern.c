/* SPDX-License-Identifier: Apache-2.0 */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "policy/pattern.h"

#include <pcre2.h>

#include "base/mem.h"

/* Names are at most 255 bytes. An expression that takes more than this for one is a trap or a
 * mistake; what it means is then unclear. */
#define STEPS_MAX    100000
#define DEPTH_MAX    10000
#define HEAP_KIB_MAX 4096

struct pattern {
    pcre2_code *code; /* NULL: a glob */
    pcre2_match_context *limits;
    size_t prefix; /* bytes of a glob before its first wildcard */
    size_t len;
    char text[]; /* of a regular expression with "re:" */
};

#define REGEX_MARK STR("re:")

static void *regex_alloc(size_t size, void *ctx)
{
    (void)ctx;
    return mem_new(MAX(size, 1));
}

static void regex_free(void *ptr, void *ctx)
{
    (void)ctx;
    mem_free(ptr);
}

static enum st refuse(struct err *err, size_t place, const char *why)
{
    return err_set(err, ST_INVALID, "the regular expression is wrong at character %zu: %s", place,
                   why);
}

/* "(?i)", "(?s:", "(?:": flags that RE2 has, then the end of the group's head. */
static bool is_flags(str s)
{
    size_t i = 0;
    while (i < s.len && s.ptr[i] != '\0' && strchr("imsU-", s.ptr[i]) != NULL)
        i++;
    return i < s.len && (s.ptr[i] == ':' || (s.ptr[i] == ')' && i > 0));
}

/* What follows "(?" names a group: "<name>" or "P<name>", but no "<=" or "<!". */
static bool is_name(str s)
{
    if (str_starts(s, STR("P<")))
        return true;
    return s.len > 1 && s.ptr[0] == '<' && s.ptr[1] != '=' && s.ptr[1] != '!';
}

/* The end of what a backslash at `i` begins; 0 when we do not have it. `\Q` reaches to its `\E`. */
static size_t skip_escape(str text, size_t i)
{
    char c = i + 1 < text.len ? text.ptr[i + 1] : 'a';
    if (c == 'Q') {
        const char *end = memmem(text.ptr + i, text.len - i, "\\E", 2);
        return end == NULL ? text.len : (size_t)(end - text.ptr) + 2;
    }
    if (c != '\0' && strchr("123456789gkCGKRX", c) != NULL)
        return 0;
    return i + (c == 'c' ? 3 : 2); /* a control character takes whatever comes next */
}

/* The end of the class of characters that a "[" at `i` begins; what is in it is PCRE2's to judge,
 * as escapes in a class refer to nothing. */
static size_t skip_class(str text, size_t i)
{
    i++;
    if (i < text.len && text.ptr[i] == '^')
        i++;
    if (i < text.len && text.ptr[i] == ']')
        i++;
    while (i < text.len && text.ptr[i] != ']') {
        const char *end = NULL;
        if (i + 1 < text.len && text.ptr[i] == '[' && text.ptr[i + 1] == ':')
            end = memmem(text.ptr + i, text.len - i, ":]", 2);
        if (end != NULL)
            i = (size_t)(end - text.ptr) + 2;
        else if (text.ptr[i] == '\\')
            i = MAX(skip_escape(text, i), i + 2);
        else
            i++;
    }
    return i + 1;
}

/* Refuses what RE2 does not have, so that a rule means the same to every tool and its cost has less
 * to explode with. What slips through is bounded by the limits. */
static enum st check_syntax(str text, struct err *err)
{
    for (size_t i = 0; i < text.len;) {
        str rest = str_slice(text, i, text.len);
        if (rest.ptr[0] == '\\') {
            size_t end = skip_escape(text, i);
            if (end == 0)
                return refuse(err, i + 1,
                              "references to groups, \\C, \\G, \\K, \\R and \\X are "
                              "not allowed");
            i = end;
            continue;
        }
        if (rest.ptr[0] == '[') {
            i = skip_class(text, i);
            continue;
        }
        str group = str_slice(rest, 2, rest.len);
        if (str_starts(rest, STR("(*")))
            return refuse(err, i + 1, "verbs such as (*ACCEPT) are not allowed");
        if (str_starts(rest, STR("(?")) && !is_flags(group) && !is_name(group))
            return refuse(err, i + 1,
                          "of the groups that start with (? only (?:...), (?i) with "
                          "flags of i, m, s, U and (?<name>...) are allowed");
        i++;
    }
    return ST_OK;
}

static enum st check_text(str text, const char *what, struct err *err)
{
    if (text.len == 0)
        return err_set(err, ST_INVALID, "the %s is empty", what);
    if (text.len > PATTERN_TEXT_MAX)
        return err_set(err, ST_INVALID, "the %s has %zu bytes, at most %d are allowed", what,
                       text.len, PATTERN_TEXT_MAX);
    return ST_OK;
}

static struct pattern *pattern_of(str mark, str text)
{
    struct pattern *p = mem_new(sizeof(*p) + mark.len + text.len);
    if (p == NULL)
        return NULL;
    p->len = mark.len + text.len;
    if (mark.len > 0)
        memcpy(p->text, mark.ptr, mark.len);
    memcpy(p->text + mark.len, text.ptr, text.len);
    return p;
}

static size_t literal_len(str glob)
{
    size_t i = 0;
    while (i < glob.len && glob.ptr[i] != '*' && glob.ptr[i] != '?')
        i++;
    return i;
}

enum st pattern_glob(str text, struct pattern **out, struct err *err)
{
    enum st st = check_text(text, "pattern", err);
    if (st != ST_OK)
        return st;
    struct pattern *p = pattern_of(STR(""), text);
    if (p == NULL)
        return err_no_memory(err);
    p->prefix = literal_len(text);
    *out = p;
    return ST_OK;
}

static enum st compile(struct pattern *p, str text, struct err *err)
{
    int code = 0;
    size_t place = 0;
    pcre2_general_context *memory = pcre2_general_context_create(regex_alloc, regex_free, NULL);
    pcre2_compile_context *how = memory == NULL ? NULL : pcre2_compile_context_create(memory);
    if (how != NULL) {
        p->limits = pcre2_match_context_create(memory);
        p->code = pcre2_compile((PCRE2_SPTR)text.ptr, text.len,
                                PCRE2_ANCHORED | PCRE2_ENDANCHORED | PCRE2_DOLLAR_ENDONLY |
                                    PCRE2_NEVER_UTF | PCRE2_NEVER_UCP | PCRE2_NEVER_BACKSLASH_C,
                                &code, &place, how);
    }
    pcre2_compile_context_free(how);
    pcre2_general_context_free(memory);
    if (p->limits == NULL || (p->code == NULL && (code == 0 || code == PCRE2_ERROR_HEAP_FAILED)))
        return err_no_memory(err);
    if (p->code == NULL) {
        char why[160] = "";
        (void)pcre2_get_error_message(code, (PCRE2_UCHAR *)why, sizeof(why));
        return refuse(err, MAX(place, 1), why);
    }
    pcre2_set_match_limit(p->limits, STEPS_MAX);
    pcre2_set_depth_limit(p->limits, DEPTH_MAX);
    pcre2_set_heap_limit(p->limits, HEAP_KIB_MAX);
    (void)pcre2_jit_compile(p->code, PCRE2_JIT_COMPLETE); /* without it, it is only slower */
    return ST_OK;
}

enum st pattern_regex(str text, struct pattern **out, struct err *err)
{
    enum st st = check_text(text, "regular expression", err);
    if (st == ST_OK)
        st = check_syntax(text, err);
    if (st != ST_OK)
        return st;
    struct pattern *p = pattern_of(REGEX_MARK, text);
    if (p == NULL)
        return err_no_memory(err);
    st = compile(p, text, err);
    if (st != ST_OK) {
        pattern_free(p);
        return st;
    }
    *out = p;
    return ST_OK;
}

enum st pattern_new(str text, struct pattern **out, struct err *err)
{
    if (str_starts(text, REGEX_MARK))
        return pattern_regex(str_slice(text, REGEX_MARK.len, text.len), out, err);
    return pattern_glob(text, out, err);
}

void pattern_free(struct pattern *p)
{
    if (p == NULL)
        return;
    pcre2_code_free(p->code);
    pcre2_match_context_free(p->limits);
    mem_free(p);
}

void pattern_free_auto(struct pattern **p)
{
    pattern_free(*p);
}

/* Where matching can be in a glob: its places, ascending, a byte of the name after the other. */
struct places {
    size_t n;
    uint16_t at[PATTERN_TEXT_MAX + 1];
};

static size_t wildcard_len(str glob, size_t k)
{
    if (k >= glob.len || glob.ptr[k] != '*')
        return 0;
    return k + 1 < glob.len && glob.ptr[k + 1] == '*' ? 2 : 1;
}

/* Adds a place and those behind it that are reached because a wildcard may stand for nothing. What
 * is not above the last place was added with it. */
static void places_add(struct places *p, str glob, size_t k)
{
    for (;;) {
        if (p->n == 0 || p->at[p->n - 1] < k)
            p->at[p->n++] = (uint16_t)k;
        size_t skip = wildcard_len(glob, k);
        if (skip == 0)
            return;
        k += skip;
    }
}

/* Follows all ways to match at once, so that no glob and name can make it slow. */
static bool glob_match(str glob, size_t prefix, str s)
{
    struct places sets[2];
    struct places *now = &sets[0];
    struct places *next = &sets[1];
    if (!str_starts(s, str_slice(glob, 0, prefix)))
        return false;
    now->n = 0;
    places_add(now, glob, prefix);
    for (size_t i = prefix; i < s.len && now->n > 0; i++) {
        char c = s.ptr[i];
        next->n = 0;
        for (size_t j = 0; j < now->n; j++) {
            size_t k = now->at[j];
            size_t wildcard = wildcard_len(glob, k);
            if (wildcard == 2 && k + 2 == glob.len)
                return true;
            if (wildcard == 2 || (wildcard == 1 && c != '/'))
                places_add(next, glob, k);
            else if (wildcard == 0 && k < glob.len &&
                     (glob.ptr[k] == '?' ? c != '/' : glob.ptr[k] == c))
                places_add(next, glob, k + 1);
        }
        struct places *held = now;
        now = next;
        next = held;
    }
    return now->n > 0 && now->at[now->n - 1] == glob.len;
}

static enum pattern_match regex_match(const struct pattern *p, str s)
{
    pcre2_match_data *found = pcre2_match_data_create_from_pattern(p->code, NULL);
    if (found == NULL)
        return PATTERN_UNCLEAR;
    PCRE2_SPTR subject = (PCRE2_SPTR)(s.ptr == NULL ? "" : s.ptr);
    int n = pcre2_match(p->code, subject, s.len, 0, 0, found, p->limits);
    if (n == PCRE2_ERROR_JIT_STACKLIMIT) /* 32 KiB; the interpreter has HEAP_KIB_MAX */
        n = pcre2_match(p->code, subject, s.len, 0, PCRE2_NO_JIT, found, p->limits);
    pcre2_match_data_free(found);
    if (n == PCRE2_ERROR_NOMATCH)
        return PATTERN_NO;
    return n >= 0 ? PATTERN_YES : PATTERN_UNCLEAR;
}

enum pattern_match pattern_match(const struct pattern *p, str s)
{
    if (p->code != NULL)
        return regex_match(p, s);
    return glob_match(pattern_text(p), p->prefix, s) ? PATTERN_YES : PATTERN_NO;
}

str pattern_text(const struct pattern *p)
{
    return (str){ p->text, p->len };
}

bool pattern_literal(const struct pattern *p, str *out)
{
    str text = pattern_text(p);
    if (p->code != NULL || p->prefix < p->len)
        return false;
    *out = text;
    return true;
}

str pattern_prefix(const struct pattern *p)
{
    return (str){ p->text, p->prefix }; /* 0 of a regular expression */
}
