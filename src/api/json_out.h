/* SPDX-License-Identifier: Apache-2.0
 *
 * json_out - writes JSON values into a buffer, commas by itself.
 *
 *     json_out_open(&o, NULL, '{');
 *     json_out_text(&o, "repository", name);
 *     json_out_open(&o, "items", '[');
 *     json_out_close(&o, ']');
 *     json_out_close(&o, '}');
 *
 * `key` is NULL for the outermost value and within arrays. What fails is remembered by the buffer.
 *
 * Threads: one at a time.
 */
#ifndef EBB_JSON_OUT_H
#define EBB_JSON_OUT_H

#include "base/buf.h"
#include "oci/digest.h"

struct json_out {
    struct buf *b;
    bool more; /* a value stands before, in the same object or array */
};

void json_out_open(struct json_out *o, const char *key, char bracket);
void json_out_close(struct json_out *o, char bracket);
void json_out_text(struct json_out *o, const char *key, str s); /* unset: null */
void json_out_count(struct json_out *o, const char *key, uint64_t n);
void json_out_number(struct json_out *o, const char *key, int64_t n);
void json_out_real(struct json_out *o, const char *key, double n); /* two places */
void json_out_flag(struct json_out *o, const char *key, bool yes);
void json_out_null(struct json_out *o, const char *key);
void json_out_utc(struct json_out *o, const char *key, int64_t utc_ms); /* 0: null */
void json_out_digest(struct json_out *o, const char *key, const struct digest *d);
void json_out_hex(struct json_out *o, const char *key, const void *bytes, size_t n);
void json_out_raw(struct json_out *o, const char *key, str json); /* JSON text; unset: null */

#endif
