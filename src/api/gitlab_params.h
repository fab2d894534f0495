/* SPDX-License-Identifier: Apache-2.0
 *
 * gitlab_params - what a request to GitLab's API asks: query, form or JSON body alike, as GitLab
 * reads them.
 *
 *  1. A field of the body counts before one of the query; of several of one name the last counts.
 *  2. Unknown ones are ignored, nested ones ("a[b]") as well. JSON's null is "not there".
 *  3. "" is "not there" for numbers and flags, and a text otherwise.
 *  4. What is wrong is collected in `error`, in the words of GitLab's validation: "keep_n is
 *     invalid, tags is invalid". It repeats names that we asked for, never values.
 *
 * No HTTP here but the form's syntax; fuzzed.
 */
#ifndef EBB_GITLAB_PARAMS_H
#define EBB_GITLAB_PARAMS_H

#include "base/arena.h"

#define GITLAB_BODY_MAX      (64 * KIB)
#define GITLAB_PARAMS_MAX    400
#define GITLAB_JSON_DEPTH    16
#define GITLAB_JSON_VALUES   1000
#define GITLAB_PARAM_ERR_MAX 512

struct gitlab_param {
    str name;
    str text;      /* of numbers and flags: as JSON writes them */
    bool is_plain; /* a text, a number, a flag; no list, no object */
};
struct gitlab_params {
    struct gitlab_param *items; /* those that count more stand behind */
    size_t count;
    char error[GITLAB_PARAM_ERR_MAX]; /* "" when all is well */
};

/* `query` and `content_type` may be unset. A body without a type is read as a form. Strings live in
 * `a`.
 *   ST_INVALID      broken percent-encoding, not UTF-8, JSON that is none or no object
 *   ST_UNSUPPORTED  a body of another type
 *   ST_TOO_LARGE    over a limit above */
MUST_CHECK enum st gitlab_params_read(str query, str content_type, str body, struct arena *a,
                                      struct gitlab_params *out, struct err *err);

/* True when it is there, with *out set; *out is left alone otherwise. */
bool gitlab_param_text(struct gitlab_params *p, const char *name, str *out);
bool gitlab_param_flag(struct gitlab_params *p, const char *name, bool *out);
bool gitlab_param_number(struct gitlab_params *p, const char *name, int64_t *out);
/* Adds "<what> <why>" to the errors. */
void gitlab_param_refuse(struct gitlab_params *p, const char *what, const char *why);

/* "1h", "2 weeks", "1 month and 3 days": what GitLab takes for a duration, with months of 30 days.
 * False for everything that is not plainly one, nothing at all and zero included: a caller then
 * keeps what it was asked about. Numbers need a unit. */
bool gitlab_duration(str text, int64_t *ms);

#endif
