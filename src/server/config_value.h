/* SPDX-License-Identifier: Apache-2.0
 *
 * config_value - values as text: a whole number with a unit, a word of a choice.
 *
 * Failures say what is wrong with the text and nothing else: `why` ends a sentence that names the
 * key before and what is allowed behind.
 *
 * Threads: pure functions.
 */
#ifndef EBB_CONFIG_VALUE_H
#define EBB_CONFIG_VALUE_H

#include "server/config.h"

/* Reads a DURATION (as milliseconds), a SIZE (as bytes), a NUMBER, a BOOL (0, 1) or a CHOICE (place
 * in `words`). False with `why`, such as "has no unit". */
bool config_value_parse(enum config_kind kind, const char *words, str text, uint64_t *out,
                        const char **why);

/* The shortest text that reads as `value`. For CHOICE with its words. */
#define CONFIG_VALUE_MAX 32
const char *config_value_print(enum config_kind kind, const char *words, uint64_t value,
                               char out[static CONFIG_VALUE_MAX]);

/* "a duration from 0s to 3650d, in ms, s, m, h or d": what a key allows. */
#define CONFIG_ALLOWED_MAX 160
const char *config_value_allowed(const struct config_key *key, char out[static CONFIG_ALLOWED_MAX]);

#endif
