/* SPDX-License-Identifier: Apache-2.0
 *
 * cli_ask - asks a registry's API (doc/api.md): JSON to it, JSON from it, and its refusals as
 * sentences.
 *
 * Paths start behind /api/ebb/v1 and are built with ask_path(): text is percent-encoded.
 */
#ifndef EBB_CLI_ASK_H
#define EBB_CLI_ASK_H

#include <jansson.h>

#include "base/buf.h"
#include "cli/cli_asker.h"

struct ask_server {
    char base[1024]; /* "http://host:port", the host in small letters */
    const char *ca;  /* or NULL */
    struct asker who;
};

/* The registry of --server, $EBB_SERVER or this machine, and who asks it, for which a password may
 * be asked for on the terminal. ST_INVALID, ST_DENIED, ST_NOT_FOUND, ST_IO. */
MUST_CHECK enum st ask_server_init(struct ask_server *s, const struct cli_common *common,
                                   struct err *err);
/* Only the registry; nobody asks. */
MUST_CHECK enum st ask_server_find(struct ask_server *s, const struct cli_common *common,
                                   struct err *err);

/* A path with its query. */
struct ask_path {
    char text[8192];
    bool too_long;
    bool has_query;
};
struct ask_path ask_path(const char *path);
void ask_path_add(struct ask_path *p, str component);           /* "/" and the component */
void ask_query(struct ask_path *p, const char *key, str value); /* nothing for unset */
void ask_query_number(struct ask_path *p, const char *key, uint64_t value);

struct ask_answer {
    int code;
    json_t *body; /* an object; NULL of 204 */
};
void ask_answer_release(struct ask_answer *a); /* a zeroed one is fine */

/* `body` may be NULL; it is borrowed. ST_GONE: no answer. A refusal gives its `detail` in *err, and
 * its body and code in *out all the same: ST_NOT_FOUND (404), ST_DENIED (401, 403), ST_BUSY (409,
 * 429), ST_EXPIRED (410), ST_INVALID (other 4xx), ST_IO. Release *out in every case. */
MUST_CHECK enum st ask(const struct ask_server *s, const char *method, const struct ask_path *path,
                       const json_t *body, struct ask_answer *out, struct err *err);
/* The `type` of a refusal is urn:ebb:<name>. */
bool ask_refused_as(const struct ask_answer *a, const char *name);

/* Every item of a list, page by page; ST_END from `fn` ends it and is ST_OK. */
typedef enum st (*ask_item_fn)(const json_t *item, void *ctx, struct err *err);
MUST_CHECK enum st ask_each(const struct ask_server *s, const struct ask_path *path, ask_item_fn fn,
                            void *ctx, struct err *err);

/* Members of an object; "" or 0 when they are not there or null. */
str ask_text(const json_t *object, const char *key);
uint64_t ask_count(const json_t *object, const char *key);
bool ask_has(const json_t *object, const char *key); /* there and not null */

#endif
