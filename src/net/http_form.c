/* SPDX-License-Identifier: Apache-2.0 */
#include "net/http_form.h"

#include "net/http.h"

/* Decodes; `text` is not changed. */
static enum st decode(str text, struct arena *a, str *out, struct err *err)
{
    char *copy = arena_alloc(a, text.len + 1);
    if (copy == NULL)
        return err_no_memory(err);
    for (size_t i = 0; i < text.len; i++)
        copy[i] = text.ptr[i] == '+' ? ' ' : text.ptr[i];
    str plain = { copy, text.len };
    enum st st = memchr(copy, '%', text.len) == NULL && memchr(copy, '\0', text.len) == NULL
                     ? ST_OK
                     : http_unescape(a, plain, &plain, err);
    if (st != ST_OK)
        return st;
    if (!str_is_utf8(plain))
        return err_set(err, ST_INVALID, "a field is not UTF-8");
    *out = plain;
    return ST_OK;
}

static size_t count_fields(str text)
{
    size_t n = text.len > 0 ? 1 : 0;
    for (size_t i = 0; i < text.len; i++)
        n += text.ptr[i] == '&' ? 1 : 0;
    return n;
}

enum st http_form_parse(str text, struct arena *a, struct http_form *out, struct err *err)
{
    struct http_form form = { 0 };
    size_t most = count_fields(text);
    if (text.len > HTTP_FORM_BYTES_MAX || most > HTTP_FORM_FIELDS_MAX)
        return err_set(err, ST_TOO_LARGE, "a form may have %zu fields and %zu bytes",
                       HTTP_FORM_FIELDS_MAX, HTTP_FORM_BYTES_MAX);
    form.fields = arena_alloc(a, MAX(most, (size_t)1) * sizeof(*form.fields));
    if (form.fields == NULL)
        return err_no_memory(err);
    for (str rest = text; rest.len > 0;) {
        str pair = rest;
        if (!str_cut(rest, '&', &pair, &rest))
            rest = STR("");
        if (pair.len == 0)
            continue;
        str name = pair;
        str value = STR("");
        (void)str_cut(pair, '=', &name, &value);
        struct http_form_field *field = &form.fields[form.count];
        enum st st = decode(name, a, &field->name, err);
        if (st == ST_OK)
            st = decode(value, a, &field->value, err);
        if (st != ST_OK)
            return st;
        form.count++;
    }
    *out = form;
    return ST_OK;
}

bool http_form_first(const struct http_form *f, const char *name, str *value)
{
    for (size_t i = 0; i < f->count; i++)
        if (str_eq(f->fields[i].name, str_of(name))) {
            *value = f->fields[i].value;
            return true;
        }
    return false;
}

size_t http_form_count(const struct http_form *f, const char *name)
{
    size_t n = 0;
    for (size_t i = 0; i < f->count; i++)
        n += str_eq(f->fields[i].name, str_of(name)) ? 1 : 0;
    return n;
}

bool http_form_is_type(str content_type)
{
    str type = content_type;
    str rest = STR_NONE;
    (void)str_cut(content_type, ';', &type, &rest);
    return str_eq_nocase(str_trim(type), STR("application/x-www-form-urlencoded"));
}
