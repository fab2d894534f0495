/* SPDX-License-Identifier: Apache-2.0
 *
 * err - a status to branch on and a message to read, always set together.
 *
 *  1. A failing function returns a status other than ST_OK and fills *err. Success leaves *err
 *     alone.
 *  2. ST_END is not a failure: an iteration is over. It leaves *err alone.
 *  3. Context is added once per layer with err_wrap(), which returns the status again.
 *  4. Messages are sentences for a person: what was wrong and what is allowed. They hold no
 *     secrets.
 *  5. Only edges log: the end of a request, a background loop, main().
 *
 * Threads: a struct err belongs to one thread.
 */
#ifndef EBB_ERR_H
#define EBB_ERR_H

#include "base/base.h"

enum st {
    ST_OK = 0,
#define ERR(name, text) ST_##name,
#include "base/errors.def"
#undef ERR
    ST_END,
};

#define ERR_TEXT_MAX 512

struct err {
    enum st st;
    char text[ERR_TEXT_MAX]; /* NUL-terminated, cut at the end when too long */
};

/* A few words for a status, such as "not found". Never NULL. */
const char *st_text(enum st st);

/* Sets status and message; returns the status. `err` may be NULL: then only the status is returned.
 */
enum st err_set(struct err *err, enum st st, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* As err_set() with ": <strerror(errno)>" appended. The status follows errno: ENOSPC, EDQUOT and
 * EFBIG are ST_FULL, ENOENT ST_NOT_FOUND, ENOMEM ST_NO_MEMORY, all else ST_IO. */
enum st err_sys(struct err *err, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* Puts "<text>: " in front of the message of a failure and returns its status. */
enum st err_wrap(struct err *err, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* ST_NO_MEMORY with the usual message. */
enum st err_no_memory(struct err *err);

#endif
