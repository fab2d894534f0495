/* SPDX-License-Identifier: Apache-2.0
 *
 * log - structured lines on standard error: text for a terminal, one JSON object a line otherwise.
 *
 *  1. A line is a level, a message that never varies, and fields that do.
 *  2. Lines below LOG_WARN are gathered and written within 200 ms; warnings and worse at once, with
 *     all that was gathered before them. log_flush() writes what is left.
 *     When nothing more is logged nobody wakes up to write: a server's own tick calls log_flush().
 *  3. A line that cannot be written is lost, never waited for longer than the write itself. How
 *     many were lost is said as soon as lines can be written again ("log lines lost").
 *  4. Secrets are never fields.
 *
 * Threads: any. One lock, the innermost of all (locks.def).
 */
#ifndef EBB_LOG_H
#define EBB_LOG_H

#include "base/err.h"
#include "base/str.h"

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };
enum log_format { LOG_AUTO, LOG_TEXT, LOG_JSON }; /* AUTO: text when `fd` is a terminal */

struct log_field {
    const char *key; /* a plain word; NULL: no field */
    str text;        /* used when ptr is not NULL */
    int64_t number;  /* otherwise */
};

static inline struct log_field log_field_of(const char *key, str value)
{
    return (struct log_field){ value.ptr == NULL ? NULL : key, value, 0 };
}

#define LOG_STR(key, value) log_field_of((key), (value)) /* unset text: field left out */
#define LOG_INT(key, value) ((struct log_field){ (key), STR_NONE, (int64_t)(value) })

/* log_event(LOG_INFO, "listening", LOG_STR("address", a), LOG_INT("port", 5000)) */
#define log_event(level, message, ...)                                                             \
    log_fields((level), (message), (const struct log_field[]){ __VA_ARGS__ },                      \
               sizeof((const struct log_field[]){ __VA_ARGS__ }) / sizeof(struct log_field))

void log_fields(enum log_level level, const char *message, const struct log_field *fields,
                size_t n);

/* A failure at an edge: level ERROR with fields "error" and "status". */
void log_failure(const char *message, const struct err *err);

void log_setup(int fd, enum log_format format, enum log_level least);
bool log_wants(enum log_level level);
void log_flush(void);

#endif
