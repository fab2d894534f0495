/* SPDX-License-Identifier: Apache-2.0 */
#include "base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const char *st_text(enum st st)
{
    switch (st) {
    case ST_OK:
        return "ok";
#define ERR(name, text)                                                                            \
    case ST_##name:                                                                                \
        return text;
#include "base/errors.def"
#undef ERR
    case ST_END:
        return "end";
    }
    return "unknown status";
}

PRINTF_LIKE(3, 0)
static void set_text(struct err *err, enum st st, const char *fmt, va_list ap)
{
    err->st = st;
    (void)vsnprintf(err->text, sizeof(err->text), fmt, ap); /* a cut message is still a message */
}

enum st err_set(struct err *err, enum st st, const char *fmt, ...)
{
    assert(st != ST_OK && st != ST_END);
    if (err != NULL) {
        va_list ap;
        va_start(ap, fmt);
        set_text(err, st, fmt, ap);
        va_end(ap);
    }
    return st;
}

static enum st st_of_errno(int code)
{
    switch (code) {
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
        return ST_FULL;
    case ENOENT:
        return ST_NOT_FOUND;
    case ENOMEM:
        return ST_NO_MEMORY;
    default:
        return ST_IO;
    }
}

enum st err_sys(struct err *err, const char *fmt, ...)
{
    int code = errno;
    enum st st = st_of_errno(code);
    if (err != NULL) {
        char why[128];
        va_list ap;
        va_start(ap, fmt);
        set_text(err, st, fmt, ap);
        va_end(ap);
        size_t used = strlen(err->text);
        (void)snprintf(err->text + used, sizeof(err->text) - used, ": %s",
                       strerror_r(code, why, sizeof(why)));
    }
    errno = code;
    return st;
}

enum st err_wrap(struct err *err, const char *fmt, ...)
{
    if (err == NULL)
        return ST_BUG;
    char inner[ERR_TEXT_MAX];
    memcpy(inner, err->text, sizeof(inner));
    va_list ap;
    va_start(ap, fmt);
    set_text(err, err->st, fmt, ap);
    va_end(ap);
    size_t used = strlen(err->text);
    (void)snprintf(err->text + used, sizeof(err->text) - used, ": %s", inner);
    return err->st;
}

enum st err_no_memory(struct err *err)
{
    return err_set(err, ST_NO_MEMORY, "out of memory");
}
