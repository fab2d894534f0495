/* SPDX-License-Identifier: Apache-2.0
 *
 * json_in - reads the JSON bodies of requests, strictly: members that are not asked for are
 * refused, so that a misspelt one never means "not given"; so are other types and values out of
 * bounds. Every refusal names the member, what was given and what is allowed:
 *
 *     select[2].rule.keep: "five" is no number; a whole number from 0 to 100000 is allowed
 *
 *  1. Readers take an object and a member. They return true when the member is there, and set *out
 *     only then. null is "not there".
 *  2. The first failure is remembered in the struct err that json_in_body() was given, and by
 *     json_in_failed(); all readers return false from then on. So a chain of reads needs one check
 *     at the end, json_in_close(), which also refuses the members nobody asked for.
 *  3. Texts are copied into the arena.
 *
 * Threads: one at a time.
 */
#ifndef EBB_JSON_IN_H
#define EBB_JSON_IN_H

#include <jansson.h>

#include "base/arena.h"

#define JSON_IN_BYTES_MAX   (1 * MIB)
#define JSON_IN_DEPTH_MAX   8
#define JSON_IN_VALUES_MAX  70000
#define JSON_IN_MEMBERS_MAX 16
#define JSON_IN_NUMBER_MAX  ((uint64_t)1 << 53) /* the largest that all JSON readers agree on */

/* What all objects of one body share. */
struct json_in_body {
    json_t *root;
    struct arena *arena;
    struct err err;
};

/* An object of the body. */
struct json_in {
    struct json_in_body *body;
    const json_t *object;
    const struct json_in *above; /* must outlive this one */
    const char *key;             /* its member in `above`; NULL for the outermost */
    size_t index;                /* in a list, plus one; 0: it is no element of a list */
    const char *asked[JSON_IN_MEMBERS_MAX];
    size_t asked_count;
};

/* An empty text is an object without members when `may_be_empty`. ST_INVALID, ST_TOO_LARGE. Call
 * json_in_release() in any case. */
MUST_CHECK enum st json_in_read(struct json_in_body *body, str text, bool may_be_empty,
                                struct arena *a, struct json_in *out, struct err *err);
void json_in_release(struct json_in_body *body);

bool json_in_text(struct json_in *o, const char *key, size_t bytes_max, str *out);
/* As json_in_text(): no refusal repeats what was given. */
bool json_in_secret(struct json_in *o, const char *key, size_t bytes_max, str *out);
bool json_in_flag(struct json_in *o, const char *key, bool *out);
bool json_in_count(struct json_in *o, const char *key, uint64_t max, uint64_t *out);
/* A text such as "7d". From one millisecond on: a duration of nothing selects too much. */
bool json_in_duration(struct json_in *o, const char *key, int64_t *ms);
/* An RFC 3339 time, such as "2026-11-21T09:15:00Z" or with an offset; milliseconds since 1970. */
bool json_in_utc(struct json_in *o, const char *key, int64_t *ms);
bool json_in_object(struct json_in *o, const char *key, struct json_in *out);

/* A list's length, at least one, up to `max`. */
bool json_in_list(struct json_in *o, const char *key, size_t max, size_t *count);
/* Elements of a list whose length was asked for. */
bool json_in_list_object(struct json_in *o, const char *key, size_t i, struct json_in *out);
bool json_in_list_text(struct json_in *o, const char *key, size_t i, size_t bytes_max, str *out);

/* Refuses the body: the member's place is put before the text. */
void json_in_refuse(struct json_in *o, const char *key, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* The same for what a checker of the engine said: keeps its status. */
void json_in_refuse_as(struct json_in *o, const char *key, const struct err *why);
bool json_in_failed(const struct json_in *o);

/* Refuses what is in the object and was not asked for. */
void json_in_end(struct json_in *o);
/* json_in_end(), and the first failure of the whole body if there was one. */
MUST_CHECK enum st json_in_close(struct json_in *o, struct err *err);

#endif
