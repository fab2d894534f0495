/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/json_tree.h"

#include <pthread.h>

#include "base/mem.h"

/* jansson reports some failed allocations as syntax errors and passes over others; this tells. */
static _Thread_local bool starved;

static void *json_new(size_t size)
{
    void *p = mem_new(size);
    if (p == NULL)
        starved = true;
    return p;
}

static void set_json_heap(void)
{
    json_set_alloc_funcs(json_new, mem_free);
}

void json_tree_free(json_t **root)
{
    json_decref(*root);
}

/* Nesting and number of values, without regard to whether it is JSON at all: for what is, both are
 * right; the rest is refused by jansson after no more work than for what is. */
static enum st check_shape(const char *what, str body, const struct json_limits *limits,
                           struct err *err)
{
    size_t depth = 0;
    size_t values = 0;
    for (size_t i = 0; i < body.len; i++) {
        switch (body.ptr[i]) {
        case '"':
            for (i++; i < body.len && body.ptr[i] != '"'; i++)
                if (body.ptr[i] == '\\')
                    i++;
            break;
        case '{':
        case '[':
            values++;
            if (++depth > limits->depth_max)
                return err_set(err, ST_TOO_LARGE,
                               "%s: JSON nested more than %zu deep is not accepted", what,
                               limits->depth_max);
            break;
        case '}':
        case ']':
            depth -= depth > 0;
            break;
        case ',':
            values++;
            break;
        default:
            break;
        }
        if (values > limits->values_max)
            return err_set(err, ST_TOO_LARGE, "%s: more than %zu JSON values are not accepted",
                           what, limits->values_max);
    }
    return ST_OK;
}

static enum st check_text(const char *what, str body, const struct json_limits *limits,
                          struct err *err)
{
    if (body.len > limits->bytes_max)
        return err_set(err, ST_TOO_LARGE, "%s: %zu bytes are more than the %zu allowed", what,
                       body.len, limits->bytes_max);
    if (body.len == 0)
        return err_set(err, ST_INVALID, "%s: the body is empty", what);
    if (memchr(body.ptr, '\0', body.len) != NULL)
        return err_set(err, ST_INVALID, "%s: the body holds a NUL byte", what);
    if (!str_is_utf8(body))
        return err_set(err, ST_INVALID, "%s: the body is not UTF-8", what);
    return check_shape(what, body, limits, err);
}

enum st json_tree_read(const char *what, str body, const struct json_limits *limits, json_t **out,
                       struct err *err)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    (void)pthread_once(&once, set_json_heap);
    json_error_t why;
    enum st st = check_text(what, body, limits, err);
    if (st != ST_OK)
        return st;
    starved = false;
    json_t *j = json_loadb(body.ptr, body.len, JSON_REJECT_DUPLICATES, &why);
    if (starved) {
        json_decref(j);
        return err_no_memory(err);
    }
    if (j == NULL)
        return err_set(err, ST_INVALID, "%s: not accepted as JSON at line %d: %s", what, why.line,
                       why.text);
    if (!json_is_object(j)) {
        json_decref(j);
        return err_set(err, ST_INVALID, "%s: the body must be a JSON object", what);
    }
    *out = j;
    return ST_OK;
}
