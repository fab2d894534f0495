/* SPDX-License-Identifier: Apache-2.0
 *
 * quantity - durations and sizes as people write them: a whole number and one unit.
 *
 *     "90s" "24h" "7d"         milliseconds: ms, s, m, h, d
 *     "512MiB" "1000B"         bytes: B, KiB, MiB, GiB, TiB
 *     "10G" "10g" "10gib"      the same, where short forms are allowed: K, M, G, T in either case
 *
 * No sums ("1d12h"), no fractions, no signs, no blanks; "10GB" is refused, as it could be either of
 * two numbers. Values reach to INT64_MAX.
 *
 * Threads: pure functions.
 */
#ifndef EBB_QUANTITY_H
#define EBB_QUANTITY_H

#include "base/err.h"
#include "base/str.h"

enum quantity { QUANTITY_DURATION, QUANTITY_SIZE };

/* False with `why`, which ends a sentence that names the text: "has no unit". For callers with
 * sentences of their own, such as the configuration, which has no short forms. */
bool quantity_read(enum quantity q, bool short_forms, str text, uint64_t *out, const char **why);

/* For the command line and the API, short forms allowed: ST_INVALID with a whole sentence. */
MUST_CHECK enum st quantity_parse_duration(str text, int64_t *ms, struct err *err);
MUST_CHECK enum st quantity_parse_size(str text, uint64_t *bytes, struct err *err);

/* The shortest text that reads as `value`: "90m", "64KiB". Returns `out`. */
#define QUANTITY_MAX 32
const char *quantity_print(enum quantity q, uint64_t value, char out[static QUANTITY_MAX]);

/* "ms, s, m, h or d": the units to name where a text is refused. */
const char *quantity_units(enum quantity q);

/* Rounded for reading: "1.4 GiB", "512 B". Rates and sums come as double. Returns `out`. */
const char *quantity_bytes_text(double bytes, char out[static QUANTITY_MAX]);

#endif
