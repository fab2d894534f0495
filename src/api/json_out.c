/* SPDX-License-Identifier: Apache-2.0 */
#include "api/json_out.h"

#include <inttypes.h>
#include <math.h>

#include "base/clock.h"
#include "base/json.h"

static void begin(struct json_out *o, const char *key)
{
    if (o->more)
        buf_add_byte(o->b, ',');
    o->more = true;
    if (key == NULL)
        return;
    json_add_string(o->b, str_of(key));
    buf_add_byte(o->b, ':');
}

void json_out_open(struct json_out *o, const char *key, char bracket)
{
    begin(o, key);
    buf_add_byte(o->b, bracket);
    o->more = false;
}

void json_out_close(struct json_out *o, char bracket)
{
    buf_add_byte(o->b, bracket);
    o->more = true;
}

void json_out_text(struct json_out *o, const char *key, str s)
{
    if (s.ptr == NULL) {
        json_out_null(o, key);
        return;
    }
    begin(o, key);
    json_add_string(o->b, s);
}

void json_out_count(struct json_out *o, const char *key, uint64_t n)
{
    begin(o, key);
    buf_printf(o->b, "%" PRIu64, n);
}

void json_out_number(struct json_out *o, const char *key, int64_t n)
{
    begin(o, key);
    buf_add_number(o->b, n);
}

void json_out_real(struct json_out *o, const char *key, double n)
{
    begin(o, key);
    buf_printf(o->b, "%.2f", isfinite(n) ? n : 0.0); /* JSON has no other */
}

void json_out_flag(struct json_out *o, const char *key, bool yes)
{
    begin(o, key);
    buf_add(o->b, yes ? STR("true") : STR("false"));
}

void json_out_null(struct json_out *o, const char *key)
{
    begin(o, key);
    buf_add(o->b, STR("null"));
}

void json_out_utc(struct json_out *o, const char *key, int64_t utc_ms)
{
    char text[CLOCK_RFC3339_SIZE];
    if (utc_ms == 0) {
        json_out_null(o, key);
        return;
    }
    clock_rfc3339(utc_ms, text);
    json_out_text(o, key, str_of(text));
}

void json_out_digest(struct json_out *o, const char *key, const struct digest *d)
{
    char text[DIGEST_TEXT_MAX + 1];
    json_out_text(o, key, digest_text(d, text));
}

void json_out_hex(struct json_out *o, const char *key, const void *bytes, size_t n)
{
    const unsigned char *at = bytes;
    begin(o, key);
    buf_add_byte(o->b, '"');
    for (size_t i = 0; i < n; i++)
        buf_printf(o->b, "%02x", at[i]);
    buf_add_byte(o->b, '"');
}

void json_out_raw(struct json_out *o, const char *key, str json)
{
    begin(o, key);
    buf_add(o->b, json.ptr == NULL ? STR("null") : json);
}
