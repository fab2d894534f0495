/* SPDX-License-Identifier: Apache-2.0
 *
 * server/ - the program `ebb serve`: configuration, wiring, signals, the data directory's lock.
 * It holds nothing that a test would want alone but the configuration.
 *
 * config - every key with its value and where it was set.
 *
 *  1. config_init() sets all defaults. What is loaded or set later replaces what was set before, so
 *     priorities are the order of the calls: file, environment, --set, options of their own.
 *  2. A key that does not exist, stands twice in a file, or has a value outside its range is
 *     ST_INVALID; the message names place, key and what is allowed. Nothing of a failed load is
 *     to be used.
 *  3. Texts live in the configuration's arena and die with it.
 *
 * Threads: one at a time; read-only once the server runs.
 */
#ifndef EBB_CONFIG_H
#define EBB_CONFIG_H

#include "base/arena.h"
#include "base/buf.h"

#define CONFIG_FILE_MAX_BYTES (256 * KIB)
#define CONFIG_LIST_MAX       16 /* the largest `most` of a list in config.def */

enum config_kind {
    CONFIG_DURATION,
    CONFIG_SIZE,
    CONFIG_NUMBER,
    CONFIG_BOOL,
    CONFIG_CHOICE,
    CONFIG_PATH,
    CONFIG_TEXT,
    CONFIG_LIST,
};

struct config_list {
    const char *items[CONFIG_LIST_MAX];
    size_t count;
};

enum config_log_requests {
    CONFIG_LOG_REQUESTS_ALL,
    CONFIG_LOG_REQUESTS_WRITES,
    CONFIG_LOG_REQUESTS_ERRORS,
    CONFIG_LOG_REQUESTS_NONE,
};

enum config_auth_mode { CONFIG_AUTH_MODE_OPEN, CONFIG_AUTH_MODE_ACCOUNTS };

/* One number for each key, in the table's order. */
enum config_id {
#define KEY(field, kind, name, fallback, least, most, text) CONFIG_ID_##field,
#include "server/config.def"
    CONFIG_KEYS
};

enum config_source {
    CONFIG_FROM_DEFAULT,
    CONFIG_FROM_FILE,
    CONFIG_FROM_ENVIRONMENT,
    CONFIG_FROM_SET,    /* --set */
    CONFIG_FROM_OPTION, /* an option of its own */
};

struct config_origin {
    enum config_source source;
    unsigned line; /* of a file, from 1 */
};

struct config {
#define CONFIG_TYPE_DURATION                                int64_t
#define CONFIG_TYPE_SIZE                                    uint64_t
#define CONFIG_TYPE_NUMBER                                  uint64_t
#define CONFIG_TYPE_BOOL                                    bool
#define CONFIG_TYPE_CHOICE                                  int
#define CONFIG_TYPE_PATH                                    const char *
#define CONFIG_TYPE_TEXT                                    const char *
#define CONFIG_TYPE_LIST                                    struct config_list
#define KEY(field, kind, name, fallback, least, most, text) CONFIG_TYPE_##kind field;
#include "server/config.def"
    struct config_origin origin[CONFIG_KEYS];
    const char *file; /* as named, or NULL */
    struct arena arena;
};

/* A row of the table. */
struct config_key {
    const char *name;
    enum config_kind kind;
    size_t offset; /* of the field in struct config */
    const char *fallback;
    const char *least;
    const char *most;
    const char *text;
};
extern const struct config_key config_keys[CONFIG_KEYS];

MUST_CHECK enum st config_init(struct config *c, struct err *err);
void config_release(struct config *c); /* a zeroed struct is fine */

MUST_CHECK enum st config_load_file(struct config *c, const char *path, struct err *err);
/* `name` stands for the file in messages. */
MUST_CHECK enum st config_load_yaml(struct config *c, const char *name, str text, struct err *err);
/* EBB_RECLAIM_GRACE sets reclaim.grace; variables that name no key are ignored. */
MUST_CHECK enum st config_load_environment(struct config *c, const char *const *environment,
                                           struct err *err);
/* "key=value" of --set. */
MUST_CHECK enum st config_set_pair(struct config *c, const char *pair, struct err *err);
/* An option of its own, which is named in messages. A list given so several times grows. */
MUST_CHECK enum st config_set_option(struct config *c, const char *option, enum config_id id,
                                     const char *value, struct err *err);
/* What no key can say alone, at the end: keys that need each other, the default data directory. */
MUST_CHECK enum st config_complete(struct config *c, struct err *err);

/* A configuration file with all values and where they come from. */
void config_print(const struct config *c, struct buf *out);
/* A configuration file with all defaults and what they mean. */
void config_print_defaults(struct buf *out);

/* ---- between the files of config ----------------------------------------------------------- */

/* A place that sets keys, for messages. */
struct config_place {
    enum config_source source;
    const char *name; /* "ebb.yml", "--set", "EBB_RECLAIM_GRACE" */
    unsigned line;    /* 0: none */
};
/* "ebb.yml:3" or "--set" */
#define CONFIG_PLACE_MAX 300
const char *config_place_text(const struct config_place *p, char out[static CONFIG_PLACE_MAX]);

/* CONFIG_KEYS when there is none. */
enum config_id config_find(str name);
/* "; did you mean ...?" or where to look. */
#define CONFIG_HINT_MAX 128
const char *config_hint(str name, char out[static CONFIG_HINT_MAX]);
/* Whether keys "name.…" exist. */
bool config_is_section(str name);

/* Sets a key from one text (a list: split at commas) or from the members of a list. */
MUST_CHECK enum st config_set_text(struct config *c, const struct config_place *place,
                                   enum config_id id, str value, struct err *err);
MUST_CHECK enum st config_set_list(struct config *c, const struct config_place *place,
                                   enum config_id id, const str *values, size_t count,
                                   struct err *err);

#endif
