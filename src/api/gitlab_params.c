/* SPDX-License-Identifier: Apache-2.0 */
#include "api/gitlab_params.h"

#include <jansson.h>

#include "base/clock.h"
#include "net/http_form.h"
#include "oci/json_tree.h"

/* ---- reading ------------------------------------------------------------------------------- */

static enum st add_form(str text, struct arena *a, struct gitlab_params *p, struct err *err)
{
    struct http_form form = { 0 };
    enum st st = http_form_parse(text, a, &form, err);
    for (size_t i = 0; st == ST_OK && i < form.count; i++) {
        if (p->count == GITLAB_PARAMS_MAX)
            return err_set(err, ST_TOO_LARGE, "there may be %d parameters", GITLAB_PARAMS_MAX);
        p->items[p->count++] = (struct gitlab_param){ .name = form.fields[i].name,
                                                      .text = form.fields[i].value,
                                                      .is_plain = true };
    }
    return st;
}

static enum st add_value(const char *key, const json_t *j, struct arena *a, struct gitlab_params *p,
                         struct err *err)
{
    struct gitlab_param *out = &p->items[p->count];
    *out = (struct gitlab_param){ .name = arena_dup(a, str_of(key)), .text = STR("") };
    out->is_plain = !json_is_object(j) && !json_is_array(j);
    if (json_is_string(j))
        out->text = arena_dup(a, (str){ json_string_value(j), json_string_length(j) });
    else if (json_is_integer(j))
        out->text = arena_printf(a, "%lld", (long long)json_integer_value(j));
    else if (json_is_real(j))
        out->text = arena_printf(a, "%.17g", json_real_value(j));
    else if (json_is_boolean(j))
        out->text = json_is_true(j) ? STR("true") : STR("false");
    if (out->name.ptr == NULL || out->text.ptr == NULL)
        return err_no_memory(err);
    p->count++;
    return ST_OK;
}

static enum st add_json(str text, struct arena *a, struct gitlab_params *p, struct err *err)
{
    static const struct json_limits limits = { .bytes_max = GITLAB_BODY_MAX,
                                               .depth_max = GITLAB_JSON_DEPTH,
                                               .values_max = GITLAB_JSON_VALUES };
    AUTO(json_tree_free) json_t *root = NULL;
    enum st st = json_tree_read("body", text, &limits, &root, err);
    for (void *at = st == ST_OK ? json_object_iter(root) : NULL; st == ST_OK && at != NULL;
         at = json_object_iter_next(root, at)) {
        const json_t *j = json_object_iter_value(at);
        if (json_is_null(j))
            continue;
        if (p->count == GITLAB_PARAMS_MAX)
            return err_set(err, ST_TOO_LARGE, "there may be %d parameters", GITLAB_PARAMS_MAX);
        st = add_value(json_object_iter_key(at), j, a, p, err);
    }
    return st;
}

static bool is_json(str content_type)
{
    str type = content_type;
    str rest = STR_NONE;
    (void)str_cut(content_type, ';', &type, &rest);
    return str_eq_nocase(str_trim(type), STR("application/json"));
}

enum st gitlab_params_read(str query, str content_type, str body, struct arena *a,
                           struct gitlab_params *out, struct err *err)
{
    struct gitlab_params p = { 0 };
    if (body.len > GITLAB_BODY_MAX)
        return err_set(err, ST_TOO_LARGE, "the body may have %d bytes", (int)GITLAB_BODY_MAX);
    p.items = arena_alloc(a, GITLAB_PARAMS_MAX * sizeof(*p.items));
    if (p.items == NULL)
        return err_no_memory(err);
    enum st st = query.len == 0 ? ST_OK : add_form(query, a, &p, err);
    if (st == ST_OK && body.len > 0) {
        if (is_json(content_type))
            st = add_json(body, a, &p, err);
        else if (content_type.len == 0 || http_form_is_type(content_type))
            st = add_form(body, a, &p, err);
        else
            st = err_set(err, ST_UNSUPPORTED,
                         "the body's type is neither application/json nor "
                         "application/x-www-form-urlencoded");
    }
    if (st == ST_OK)
        *out = p;
    return st;
}

/* ---- asking -------------------------------------------------------------------------------- */

void gitlab_param_refuse(struct gitlab_params *p, const char *what, const char *why)
{
    size_t at = strlen(p->error);
    (void)snprintf(p->error + at, sizeof(p->error) - at, "%s%s %s", at > 0 ? ", " : "", what, why);
}

static const struct gitlab_param *find(struct gitlab_params *p, const char *name)
{
    for (size_t i = p->count; i > 0; i--) {
        const struct gitlab_param *one = &p->items[i - 1];
        if (!str_eq(one->name, str_of(name)))
            continue;
        if (one->is_plain)
            return one;
        gitlab_param_refuse(p, name, "is invalid");
        return NULL;
    }
    return NULL;
}

bool gitlab_param_text(struct gitlab_params *p, const char *name, str *out)
{
    const struct gitlab_param *one = find(p, name);
    if (one != NULL)
        *out = one->text;
    return one != NULL;
}

bool gitlab_param_flag(struct gitlab_params *p, const char *name, bool *out)
{
    static const char *const words[][2] = { { "false", "true" }, { "0", "1" }, { "f", "t" },
                                            { "no", "yes" },     { "n", "y" }, { "off", "on" } };
    const struct gitlab_param *one = find(p, name);
    if (one == NULL || one->text.len == 0)
        return false;
    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        for (int yes = 0; yes < 2; yes++)
            if (str_eq_nocase(one->text, str_of(words[i][yes]))) {
                *out = yes == 1;
                return true;
            }
    gitlab_param_refuse(p, name, "is invalid");
    return false;
}

bool gitlab_param_number(struct gitlab_params *p, const char *name, int64_t *out)
{
    const struct gitlab_param *one = find(p, name);
    uint64_t n = 0;
    if (one == NULL || one->text.len == 0)
        return false;
    bool below = one->text.ptr[0] == '-';
    if (!str_to_u64(str_slice(one->text, below ? 1 : 0, one->text.len), INT64_MAX, &n)) {
        gitlab_param_refuse(p, name, "is invalid");
        return false;
    }
    *out = below ? -(int64_t)n : (int64_t)n;
    return true;
}

/* ---- durations ------------------------------------------------------------------------------- */

#define DAY_S   ((int64_t)86400)
#define MONTH_S (30 * DAY_S)
#define YEAR_S  ((int64_t)31557600) /* 365.25 days */

static const struct {
    const char *words; /* each between blanks */
    int64_t seconds;
} units[] = {
    { " s sec secs second seconds ", 1 },   { " m min mins minute minutes ", 60 },
    { " h hr hrs hour hours ", 3600 },      { " d day days ", DAY_S },
    { " w wk wks week weeks ", 7 * DAY_S }, { " mo mon mos month months ", MONTH_S },
    { " y yr yrs year years ", YEAR_S },
};

static int64_t unit_seconds(str word)
{
    char wanted[20];
    if (word.len == 0 || word.len + 3 > sizeof(wanted))
        return 0;
    size_t at = 0;
    wanted[at++] = ' ';
    for (size_t i = 0; i < word.len; i++)
        wanted[at++] = (char)(word.ptr[i] | 0x20); /* letters only: see next_word() */
    wanted[at++] = ' ';
    wanted[at] = '\0';
    for (size_t i = 0; i < ARRAY_LEN(units); i++)
        if (strstr(units[i].words, wanted) != NULL)
            return units[i].seconds;
    return 0;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
    return (c | 0x20) >= 'a' && (c | 0x20) <= 'z';
}

static str take(str *s, bool (*is)(char c))
{
    size_t n = 0;
    while (n < s->len && is(s->ptr[n]))
        n++;
    str word = str_slice(*s, 0, n);
    *s = str_slice(*s, n, s->len);
    return word;
}

/* What may stand between two parts: blanks, a comma, "and". */
static void skip_between(str *s)
{
    *s = str_trim(*s);
    if (s->len > 0 && s->ptr[0] == ',')
        *s = str_trim(str_slice(*s, 1, s->len));
    if (str_eq_nocase(str_slice(*s, 0, 4), STR("and ")))
        *s = str_trim(str_slice(*s, 4, s->len));
}

bool gitlab_duration(str text, int64_t *ms)
{
    int64_t total = 0;
    str rest = str_trim(text);
    if (rest.len == 0 || rest.len > 100)
        return false;
    while (rest.len > 0) {
        uint64_t n = 0;
        int64_t part = 0;
        str digits = take(&rest, is_digit);
        rest = str_trim(rest);
        str word = take(&rest, is_letter);
        if (!str_to_u64(digits, 1000000000, &n) ||
            __builtin_mul_overflow((int64_t)n, unit_seconds(word), &part) || part == 0 ||
            __builtin_add_overflow(total, part, &total))
            return false;
        size_t before = rest.len;
        skip_between(&rest);
        if (before > 0 && rest.len == 0) /* it ends in "," or "and" */
            return false;
    }
    int64_t all = 0;
    if (__builtin_mul_overflow(total, CLOCK_SECOND_MS, &all))
        return false;
    *ms = all;
    return true;
}
