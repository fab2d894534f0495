/* SPDX-License-Identifier: Apache-2.0
 *
 * policy/ - rules as pure functions: which names a pattern means, which tags a rule selects. No
 * SQL, no HTTP, no clock. Only this room knows PCRE2.
 *
 * pattern - what people write to mean many repositories or tags: a glob, or "re:" and a regular
 * expression. The whole name must match.
 *
 *     glob      `*` any run without "/", `**` any run, `?` one byte other than "/"; all else stands
 *               for itself. `**` behind "group/" means what is below group, not group.
 *     re:...    Perl's syntax by bytes, as far as RE2 has it, too: no backreferences, no
 *               lookaround, no recursion, no verbs.
 *
 *  1. Matching always ends: a glob takes O(name * pattern) steps; a regular expression has limits
 *     on steps, depth and memory. Where one is hit the answer is PATTERN_UNCLEAR, and callers keep
 *     the data (invariant 10).
 *  2. A pattern is never changed once made.
 *
 * Threads: any number may match with the same pattern.
 */
#ifndef EBB_PATTERN_H
#define EBB_PATTERN_H

#include "base/err.h"
#include "base/str.h"

#define PATTERN_TEXT_MAX 1000 /* bytes, without the "re:" */

struct pattern;

/* Each copies `text`. ST_INVALID with position and reason, counted from 1 and without the "re:". */
MUST_CHECK enum st pattern_new(str text, struct pattern **out, struct err *err);
MUST_CHECK enum st pattern_glob(str text, struct pattern **out, struct err *err);
MUST_CHECK enum st pattern_regex(str text, struct pattern **out, struct err *err); /* no "re:" */
void pattern_free(struct pattern *p); /* NULL is fine */
/* For AUTO(pattern_free_auto) struct pattern *p = NULL. */
void pattern_free_auto(struct pattern **p);

enum pattern_match { PATTERN_NO, PATTERN_YES, PATTERN_UNCLEAR };
MUST_CHECK enum pattern_match pattern_match(const struct pattern *p, str s);

/* As pattern_new() was given it, with "re:". Borrowed. */
str pattern_text(const struct pattern *p);
/* True when only one name can match: a glob without wildcards. `out` borrows. */
bool pattern_literal(const struct pattern *p, str *out);
/* What every name that matches starts with, for scans of an index. Borrowed; "" when not known. */
str pattern_prefix(const struct pattern *p);

#endif
