/* SPDX-License-Identifier: Apache-2.0
 *
 * cli_text - what a registry says, made fit for a terminal.
 *
 * Names and reasons come from others. A control byte among them could move the cursor, change the
 * title or feed the keyboard; so control bytes, what is not UTF-8, and marks that turn the
 * direction of writing are shown as \x1b and the like. A line is one line.
 */
#ifndef EBB_CLI_TEXT_H
#define EBB_CLI_TEXT_H

#include "base/buf.h"

void text_add(struct buf *b, str s); /* appends it, made fit */
void text_put(FILE *out, str s);
/* Formats a line, makes it fit and ends it. Long lines are cut. */
void text_line(FILE *out, const char *fmt, ...) PRINTF_LIKE(2, 3);
size_t text_width(str s); /* characters, as good as columns */

/* "12,345" */
#define TEXT_COUNT_MAX 32
const char *text_count(uint64_t n, char out[static TEXT_COUNT_MAX]);
/* "1 tag", "12,345 tags" */
#define TEXT_COUNTED_MAX 64
const char *text_counted(uint64_t n, const char *one, const char *many,
                         char out[static TEXT_COUNTED_MAX]);
/* "2026-11-21 09:15 UTC" of "2026-11-21T09:15:00.123Z"; anything else as it is. */
#define TEXT_TIME_MAX 48
const char *text_time(str rfc3339, char out[static TEXT_TIME_MAX]);

#endif
