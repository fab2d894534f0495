/* SPDX-License-Identifier: Apache-2.0
 *
 * Percent-encoding (RFC 3986, 2.1) and query parameters. "+" is a plus: registries' clients send
 * media types such as "application/vnd.x+json" bare.
 */
#include "net/http.h"

static int hex(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

/* The byte at *at, decoded; moves behind it. -1 for a broken encoding or a NUL. */
static int next_byte(str s, size_t *at)
{
    unsigned char c = (unsigned char)s.ptr[*at];
    if (c != '%') {
        (*at)++;
        return c == 0 ? -1 : c;
    }
    if (s.len - *at < 3)
        return -1;
    int high = hex(s.ptr[*at + 1]);
    int low = hex(s.ptr[*at + 2]);
    if (high < 0 || low < 0 || (high == 0 && low == 0))
        return -1;
    *at += 3;
    return high << 4 | low;
}

static bool is_sound(str s)
{
    for (size_t at = 0; at < s.len;)
        if (next_byte(s, &at) < 0)
            return false;
    return true;
}

enum st http_unescape(struct arena *a, str s, str *out, struct err *err)
{
    if (!is_sound(s))
        return err_set(err, ST_INVALID, "a percent-encoding is broken or stands for a NUL");
    char *copy = arena_alloc(a, s.len + 1);
    if (copy == NULL)
        return err_no_memory(err);
    size_t len = 0;
    for (size_t at = 0; at < s.len;)
        copy[len++] = (char)next_byte(s, &at);
    copy[len] = '\0';
    *out = (str){ copy, len };
    return ST_OK;
}

static bool is_plain(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.' || c == '_' || c == '~' || c == '/';
}

str http_escape(struct arena *a, str s)
{
    static const char digits[] = "0123456789ABCDEF";
    size_t len = s.len;
    for (size_t i = 0; i < s.len; i++)
        len += is_plain(s.ptr[i]) ? 0 : 2;
    char *out = arena_alloc(a, len + 1);
    if (out == NULL)
        return STR_NONE;
    size_t at = 0;
    for (size_t i = 0; i < s.len; i++) {
        if (is_plain(s.ptr[i])) {
            out[at++] = s.ptr[i];
            continue;
        }
        out[at++] = '%';
        out[at++] = digits[(unsigned char)s.ptr[i] >> 4];
        out[at++] = digits[(unsigned char)s.ptr[i] & 15];
    }
    out[at] = '\0';
    return (str){ out, len };
}

/* Whether `s`, decoded, is `name`. */
static bool names(str s, str name)
{
    size_t len = 0;
    for (size_t at = 0; at < s.len; len++) {
        int c = next_byte(s, &at);
        if (c < 0 || len == name.len || (unsigned char)name.ptr[len] != c)
            return false;
    }
    return len == name.len;
}

bool http_query_each(struct http_request *rq, const char *name, size_t *at, str *value)
{
    str wanted = str_of(name);
    while (*at < rq->query.len) {
        str rest = str_slice(rq->query, *at, rq->query.len);
        str pair = rest;
        if (str_cut(rest, '&', &pair, &rest))
            *at += pair.len + 1;
        else
            *at = rq->query.len;
        str key = pair;
        str raw = STR("");
        (void)str_cut(pair, '=', &key, &raw);
        if (!names(key, wanted) || !is_sound(raw))
            continue;
        *value = raw;
        if (memchr(raw.ptr, '%', raw.len) == NULL)
            return true;
        if (http_unescape(&rq->arena, raw, value, NULL) != ST_OK) {
            *value = STR("");
            rq->misread = true;
        }
        return true;
    }
    return false;
}

bool http_query(struct http_request *rq, const char *name, str *value)
{
    size_t at = 0;
    return http_query_each(rq, name, &at, value);
}

enum st http_query_check(struct http_request *rq, struct err *err)
{
    if (!is_sound(rq->query))
        return err_set(err, ST_INVALID,
                       "the query holds a percent-encoding that is broken or stands for a NUL");
    return ST_OK;
}
