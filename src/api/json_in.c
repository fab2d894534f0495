/* SPDX-License-Identifier: Apache-2.0 */
#include "api/json_in.h"

#include <inttypes.h>
#include <stdarg.h>

#include "base/buf.h"
#include "base/json.h"
#include "base/quantity.h"
#include "oci/json_tree.h"

#define PLACE_MAX 120
#define GIVEN_MAX ((size_t)60) /* of what was given, repeated in a message */

/* ---- refusals ------------------------------------------------------------------------------ */

/* "select[2].rule", "" for the outermost. */
static size_t add_place(const struct json_in *o, char *out, size_t size)
{
    if (o->above == NULL)
        return 0;
    size_t at = add_place(o->above, out, size);
    int n = o->index == 0 ? snprintf(out + at, size - at, "%s%s", at > 0 ? "." : "", o->key)
                          : snprintf(out + at, size - at, "%s%s[%zu]", at > 0 ? "." : "", o->key,
                                     o->index - 1);
    return MIN(at + (size_t)MAX(n, 0), size - 1);
}

void json_in_refuse_as(struct json_in *o, const char *key, const struct err *why)
{
    char place[PLACE_MAX] = "";
    if (json_in_failed(o))
        return;
    size_t at = add_place(o, place, sizeof(place));
    if (key != NULL)
        (void)snprintf(place + at, sizeof(place) - at, "%s%s", at > 0 ? "." : "", key);
    if (place[0] == '\0')
        o->body->err = *why;
    else
        (void)err_set(&o->body->err, why->st, "%s: %s", place, why->text);
}

void json_in_refuse(struct json_in *o, const char *key, const char *fmt, ...)
{
    struct err why = { .st = ST_INVALID };
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(why.text, sizeof(why.text), fmt, args);
    va_end(args);
    json_in_refuse_as(o, key, &why);
}

bool json_in_failed(const struct json_in *o)
{
    return o->body->err.st != ST_OK;
}

static void out_of_memory(struct json_in *o)
{
    if (!json_in_failed(o))
        (void)err_no_memory(&o->body->err);
}

/* What was given, as JSON, cut to a line's length. */
static void refuse_value(struct json_in *o, const char *key, const json_t *given, const char *why)
{
    char text[GIVEN_MAX + 1] = "";
    if (json_is_object(given) || json_is_array(given)) {
        json_in_refuse(o, key, "%s %s", json_is_object(given) ? "an object" : "a list", why);
        return;
    }
    size_t len = json_dumpb(given, text, GIVEN_MAX, JSON_ENCODE_ANY | JSON_COMPACT);
    if (len > GIVEN_MAX) /* too long: its beginning, without a half of a character */
        (void)snprintf(text, sizeof(text), "what was given");
    json_in_refuse(o, key, "%s %s", text, why);
}

/* ---- reading ------------------------------------------------------------------------------- */

enum st json_in_read(struct json_in_body *body, str text, bool may_be_empty, struct arena *a,
                     struct json_in *out, struct err *err)
{
    static const struct json_limits limits = {
        .bytes_max = JSON_IN_BYTES_MAX,
        .depth_max = JSON_IN_DEPTH_MAX,
        .values_max = JSON_IN_VALUES_MAX,
    };
    *body = (struct json_in_body){ .arena = a };
    str read = text.len == 0 && may_be_empty ? STR("{}") : text;
    enum st st = json_tree_read("body", read, &limits, &body->root, err);
    if (st == ST_OK)
        *out = (struct json_in){ .body = body, .object = body->root };
    return st;
}

void json_in_release(struct json_in_body *body)
{
    json_tree_free(&body->root);
    body->root = NULL;
}

/* The member, and notes that it was asked for. NULL when it is not there, or is null. */
static const json_t *ask(struct json_in *o, const char *key)
{
    bool asked = false;
    for (size_t i = 0; i < o->asked_count; i++)
        asked = asked || strcmp(o->asked[i], key) == 0;
    if (!asked) {
        assert(o->asked_count < JSON_IN_MEMBERS_MAX);
        o->asked[o->asked_count++] = key;
    }
    const json_t *j = json_in_failed(o) ? NULL : json_object_get(o->object, key);
    return json_is_null(j) ? NULL : j;
}

static bool copy_text(struct json_in *o, const char *key, const json_t *j, size_t bytes_max,
                      str *out)
{
    if (!json_is_string(j)) {
        refuse_value(o, key, j, "is no text");
        return false;
    }
    if (json_string_length(j) > bytes_max) {
        json_in_refuse(o, key, "a text of %zu bytes is too long; up to %zu are allowed",
                       json_string_length(j), bytes_max);
        return false;
    }
    str copy = arena_dup(o->body->arena, (str){ json_string_value(j), json_string_length(j) });
    if (copy.ptr == NULL) {
        out_of_memory(o);
        return false;
    }
    *out = copy;
    return true;
}

bool json_in_text(struct json_in *o, const char *key, size_t bytes_max, str *out)
{
    const json_t *j = ask(o, key);
    return j != NULL && copy_text(o, key, j, bytes_max, out);
}

bool json_in_secret(struct json_in *o, const char *key, size_t bytes_max, str *out)
{
    const json_t *j = ask(o, key);
    if (j != NULL && !json_is_string(j)) {
        json_in_refuse(o, key, "what was given is no text");
        return false;
    }
    return j != NULL && copy_text(o, key, j, bytes_max, out);
}

bool json_in_flag(struct json_in *o, const char *key, bool *out)
{
    const json_t *j = ask(o, key);
    if (j == NULL)
        return false;
    if (!json_is_boolean(j)) {
        refuse_value(o, key, j, "is neither true nor false");
        return false;
    }
    *out = json_is_true(j);
    return true;
}

/* JSON has no integers: 5.0 is 5 (RFC 8259, 6). */
static bool whole_number(const json_t *j, uint64_t *out)
{
    if (json_is_integer(j) && json_integer_value(j) >= 0) {
        *out = (uint64_t)json_integer_value(j);
        return true;
    }
    double n = json_is_real(j) ? json_real_value(j) : -1;
    if (n < 0 || n > (double)JSON_IN_NUMBER_MAX || n != (double)(uint64_t)n)
        return false;
    *out = (uint64_t)n;
    return true;
}

bool json_in_count(struct json_in *o, const char *key, uint64_t max, uint64_t *out)
{
    const json_t *j = ask(o, key);
    char why[100];
    uint64_t n = 0;
    if (j == NULL)
        return false;
    if (!whole_number(j, &n) || n > max) {
        (void)snprintf(why, sizeof(why), "is not allowed; a whole number from 0 to %" PRIu64 " is",
                       max);
        refuse_value(o, key, j, why);
        return false;
    }
    *out = n;
    return true;
}

bool json_in_duration(struct json_in *o, const char *key, int64_t *ms)
{
    str text = STR_NONE;
    struct err err = { 0 };
    int64_t found = 0;
    if (!json_in_text(o, key, 40, &text))
        return false;
    if (quantity_parse_duration(text, &found, &err) != ST_OK) {
        json_in_refuse_as(o, key, &err);
        return false;
    }
    if (found <= 0) {
        json_in_refuse(o, key, "\"%.*s\" is no time; at least \"1ms\" is allowed", STR_FMT(text));
        return false;
    }
    *ms = found;
    return true;
}

/* So many digits as a number up to `max`; moves behind them. */
static bool cut_digits(str *s, size_t digits, uint64_t max, int *out)
{
    uint64_t n = 0;
    if (s->len < digits || !str_to_u64(str_slice(*s, 0, digits), max, &n))
        return false;
    *s = str_slice(*s, digits, s->len);
    *out = (int)n;
    return true;
}

static bool cut_char(str *s, char c)
{
    if (s->len == 0 || s->ptr[0] != c)
        return false;
    *s = str_slice(*s, 1, s->len);
    return true;
}

static void cut_fraction(str *s, int *ms)
{
    int scale = 100;
    while (s->len > 0 && s->ptr[0] >= '0' && s->ptr[0] <= '9') {
        *ms += scale * (s->ptr[0] - '0');
        scale /= 10;
        *s = str_slice(*s, 1, s->len);
    }
}

/* RFC 3339, 5.6. */
static bool parse_time(str s, int64_t *out)
{
    int year, month, day, hour, minute, second;
    int ms = 0;
    int sign = 0;
    int hours = 0;
    int minutes = 0;
    if (!cut_digits(&s, 4, 9999, &year) || !cut_char(&s, '-') || !cut_digits(&s, 2, 12, &month) ||
        !cut_char(&s, '-') || !cut_digits(&s, 2, 31, &day) ||
        (!cut_char(&s, 'T') && !cut_char(&s, 't')) || !cut_digits(&s, 2, 23, &hour) ||
        !cut_char(&s, ':') || !cut_digits(&s, 2, 59, &minute) || !cut_char(&s, ':') ||
        !cut_digits(&s, 2, 60, &second))
        return false;
    if (cut_char(&s, '.')) {
        size_t before = s.len;
        cut_fraction(&s, &ms);
        if (s.len == before)
            return false;
    }
    if (s.len > 0 && (s.ptr[0] == '+' || s.ptr[0] == '-')) {
        sign = s.ptr[0] == '-' ? 1 : -1;
        s = str_slice(s, 1, s.len);
        if (!cut_digits(&s, 2, 23, &hours) || !cut_char(&s, ':') ||
            !cut_digits(&s, 2, 59, &minutes))
            return false;
    } else if (!cut_char(&s, 'Z') && !cut_char(&s, 'z')) {
        return false;
    }
    struct tm tm = { .tm_year = year - 1900,
                     .tm_mon = month - 1,
                     .tm_mday = day,
                     .tm_hour = hour,
                     .tm_min = minute,
                     .tm_sec = second };
    int64_t seconds = timegm(&tm);
    if (s.len > 0 || year < 1970 || tm.tm_mday != day || tm.tm_mon != month - 1)
        return false;
    *out = (seconds + sign * (hours * 60 + minutes) * 60) * 1000 + ms;
    return true;
}

bool json_in_utc(struct json_in *o, const char *key, int64_t *ms)
{
    str text = STR_NONE;
    if (!json_in_text(o, key, 40, &text))
        return false;
    if (parse_time(text, ms))
        return true;
    json_in_refuse(o, key,
                   "\"%.*s\" is no time since 1970; one such as \"2026-11-21T09:15:00Z\" is"
                   " allowed",
                   STR_FMT(text));
    return false;
}

static bool open_object(struct json_in *o, const char *key, const json_t *j, size_t index,
                        struct json_in *out)
{
    struct json_in inner = { .body = o->body, .object = j, .above = o, .key = key, .index = index };
    if (!json_is_object(j)) {
        refuse_value(&inner, NULL, j, "is no object");
        return false;
    }
    *out = inner;
    return true;
}

bool json_in_object(struct json_in *o, const char *key, struct json_in *out)
{
    const json_t *j = ask(o, key);
    return j != NULL && open_object(o, key, j, 0, out);
}

bool json_in_list(struct json_in *o, const char *key, size_t max, size_t *count)
{
    const json_t *j = ask(o, key);
    if (j == NULL)
        return false;
    if (!json_is_array(j)) {
        refuse_value(o, key, j, "is no list");
        return false;
    }
    size_t n = json_array_size(j);
    if (n == 0 || n > max) {
        json_in_refuse(o, key, "a list of %zu is not allowed; 1 to %zu are", n, max);
        return false;
    }
    *count = n;
    return true;
}

bool json_in_list_object(struct json_in *o, const char *key, size_t i, struct json_in *out)
{
    const json_t *j = ask(o, key);
    return j != NULL && open_object(o, key, json_array_get(j, i), i + 1, out);
}

bool json_in_list_text(struct json_in *o, const char *key, size_t i, size_t bytes_max, str *out)
{
    const json_t *j = ask(o, key);
    struct json_in place = { .body = o->body, .object = j, .above = o, .key = key, .index = i + 1 };
    return j != NULL && copy_text(&place, NULL, json_array_get(j, i), bytes_max, out);
}

/* ---- the end ------------------------------------------------------------------------------- */

static bool was_asked(const struct json_in *o, const char *key)
{
    for (size_t i = 0; i < o->asked_count; i++)
        if (strcmp(o->asked[i], key) == 0)
            return true;
    return false;
}

static void refuse_member(struct json_in *o, const char *key)
{
    char allowed[300] = "";
    char given[GIVEN_MAX + 4];
    size_t at = 0;
    for (size_t i = 0; i < o->asked_count && at < sizeof(allowed); i++)
        at += (size_t)snprintf(allowed + at, sizeof(allowed) - at, "%s%s", i > 0 ? ", " : "",
                               o->asked[i]);
    size_t len = 0;
    while (key[len] != '\0' && len < GIVEN_MAX) {
        size_t n = str_utf8_len(str_of(key + len));
        if (n == 0 || len + n > GIVEN_MAX)
            break;
        len += n;
    }
    (void)snprintf(given, sizeof(given), "%.*s%s", (int)len, key, key[len] == '\0' ? "" : "...");
    json_in_refuse(o, NULL, "there is no member \"%s\"; there are: %s", given, allowed);
}

void json_in_end(struct json_in *o)
{
    if (json_in_failed(o))
        return;
    /* jansson's iterator is not const-correct: it only reads. */
    json_t *walked = (json_t *)(uintptr_t)o->object;
    for (void *at = json_object_iter(walked); at != NULL; at = json_object_iter_next(walked, at)) {
        if (was_asked(o, json_object_iter_key(at)))
            continue;
        refuse_member(o, json_object_iter_key(at));
        return;
    }
}

enum st json_in_close(struct json_in *o, struct err *err)
{
    json_in_end(o);
    if (!json_in_failed(o))
        return ST_OK;
    if (err != NULL)
        *err = o->body->err;
    return o->body->err.st;
}
