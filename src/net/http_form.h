/* SPDX-License-Identifier: Apache-2.0
 *
 * http_form - bodies of type application/x-www-form-urlencoded, and queries of those who read them
 * the same way: "name=value&name=value", "+" is a blank, %XX a byte (WHATWG URL, 5.1).
 *
 *  1. Names and values are UTF-8 without NUL; a broken percent-encoding is refused, as it would
 *     change what was meant.
 *  2. A field without "=" has an empty value. Order and repetition are kept.
 *
 * Pure; fuzzed by fuzz_gitlab_params.
 */
#ifndef EBB_HTTP_FORM_H
#define EBB_HTTP_FORM_H

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"

#define HTTP_FORM_FIELDS_MAX ((size_t)200)
#define HTTP_FORM_BYTES_MAX  ((size_t)(1 * MIB))

struct http_form_field {
    str name;
    str value;
};
struct http_form {
    struct http_form_field *fields;
    size_t count;
};

/* Copies into `a`. ST_INVALID with a sentence that repeats nothing of the text; ST_TOO_LARGE over a
 * limit above. */
MUST_CHECK enum st http_form_parse(str text, struct arena *a, struct http_form *out,
                                   struct err *err);
/* The first field of that name; false when there is none, *value is left alone then. */
bool http_form_first(const struct http_form *f, const char *name, str *value);
size_t http_form_count(const struct http_form *f, const char *name);
/* Whether a Content-Type is that of a form; parameters are allowed. */
bool http_form_is_type(str content_type);

#endif
