/* SPDX-License-Identifier: Apache-2.0
 *
 * config_yaml - a configuration from YAML, by libyaml's events.
 *
 * Nested mappings flatten to dotted keys: {reclaim: {grace: 7d}} is {reclaim.grace: 7d}. Of YAML
 * this takes mappings, scalars and flat sequences of scalars in one document. Anchors, aliases and
 * tags are refused: they make one line mean what another says, and a small file large.
 *
 * Limits: CONFIG_FILE_MAX_BYTES, DEPTH_MAX mappings in each other, KEY_MAX bytes of a dotted key.
 */
#include <errno.h>
#include <yaml.h>

#include "base/mem.h"
#include "server/config.h"

#define DEPTH_MAX 4 /* config.def needs 2 */
#define KEY_MAX   128

struct reader {
    yaml_parser_t yaml;
    struct config *config;
    const char *name; /* of the file */
    char key[KEY_MAX + 1];
    size_t key_len;
    struct err *err;
};

static void event_release(yaml_event_t *event)
{
    yaml_event_delete(event); /* a zeroed event is fine */
}
#define EVENT(name) AUTO(event_release) yaml_event_t name = { .type = YAML_NO_EVENT }

static unsigned line_of(const yaml_event_t *event)
{
    return (unsigned)event->start_mark.line + 1;
}

static struct config_place place_of(const struct reader *r, const yaml_event_t *event)
{
    return (struct config_place){ CONFIG_FROM_FILE, r->name, line_of(event) };
}

static str scalar_of(const yaml_event_t *event)
{
    return (str){ (const char *)event->data.scalar.value, event->data.scalar.length };
}

static str key_of(const struct reader *r)
{
    return (str){ r->key, r->key_len };
}

/* "<file>:<line>: " before the message. */
static enum st refuse(struct reader *r, const yaml_event_t *event, const char *text)
{
    char where[CONFIG_PLACE_MAX];
    struct config_place place = place_of(r, event);
    return err_set(r->err, ST_INVALID, "%s: %s", config_place_text(&place, where), text);
}

static enum st next(struct reader *r, yaml_event_t *event)
{
    if (!yaml_parser_parse(&r->yaml, event)) {
        if (r->yaml.error == YAML_MEMORY_ERROR)
            return err_no_memory(r->err);
        size_t line = r->yaml.problem_mark.line;
        if (r->yaml.error == YAML_READER_ERROR) /* no mark, but how far the parser had come */
            line = r->yaml.mark.line;
        return err_set(r->err, ST_INVALID, "%.256s:%zu: not YAML: %s", r->name, line + 1,
                       r->yaml.problem != NULL ? r->yaml.problem : "no reason given");
    }
    const yaml_char_t *anchor = NULL;
    const yaml_char_t *tag = NULL;
    switch (event->type) {
    case YAML_ALIAS_EVENT:
        return refuse(r, event, "aliases are not allowed");
    case YAML_SCALAR_EVENT:
        anchor = event->data.scalar.anchor;
        tag = event->data.scalar.tag;
        break;
    case YAML_MAPPING_START_EVENT:
        anchor = event->data.mapping_start.anchor;
        tag = event->data.mapping_start.tag;
        break;
    case YAML_SEQUENCE_START_EVENT:
        anchor = event->data.sequence_start.anchor;
        tag = event->data.sequence_start.tag;
        break;
    default:
        break;
    }
    if (anchor != NULL)
        return refuse(r, event, "anchors are not allowed");
    if (tag != NULL)
        return refuse(r, event, "tags are not allowed");
    return ST_OK;
}

static bool is_null(const yaml_event_t *event)
{
    str s = scalar_of(event);
    return event->data.scalar.plain_implicit &&
           (s.len == 0 || str_eq(s, STR("~")) || str_eq(s, STR("null")));
}

static enum st refuse_unknown(struct reader *r, const yaml_event_t *event)
{
    char where[CONFIG_PLACE_MAX];
    char hint[CONFIG_HINT_MAX];
    struct config_place place = place_of(r, event);
    return err_set(r->err, ST_INVALID, "%s: unknown key \"%.*s\"%s",
                   config_place_text(&place, where), STR_FMT(key_of(r)),
                   config_hint(key_of(r), hint));
}

/* The key's row, unless it is unknown or stood in the file before. */
static enum st find_key(struct reader *r, const yaml_event_t *event, enum config_id *out)
{
    enum config_id id = config_find(key_of(r));
    if (id == CONFIG_KEYS)
        return refuse_unknown(r, event);
    const struct config_origin *origin = &r->config->origin[id];
    if (origin->source == CONFIG_FROM_FILE) {
        char where[CONFIG_PLACE_MAX];
        struct config_place place = place_of(r, event);
        return err_set(r->err, ST_INVALID, "%s: %s stands twice, first on line %u",
                       config_place_text(&place, where), config_keys[id].name, origin->line);
    }
    *out = id;
    return ST_OK;
}

static enum st read_scalar(struct reader *r, const yaml_event_t *event)
{
    if (is_null(event) && config_is_section(key_of(r)))
        return ST_OK; /* a section whose keys are all comments */
    if (config_is_section(key_of(r)) && config_find(key_of(r)) == CONFIG_KEYS)
        return err_set(r->err, ST_INVALID, "%.256s:%u: %s is a section: its keys stand below it",
                       r->name, line_of(event), r->key);
    enum config_id id;
    enum st st = find_key(r, event, &id);
    if (st != ST_OK)
        return st;
    if (is_null(event))
        return err_set(r->err, ST_INVALID, "%.256s:%u: %s has no value", r->name, line_of(event),
                       r->key);
    struct config_place place = place_of(r, event);
    if (config_keys[id].kind != CONFIG_LIST)
        return config_set_text(r->config, &place, id, scalar_of(event), r->err);
    str member = scalar_of(event);
    return config_set_list(r->config, &place, id, &member, 1, r->err);
}

static enum st read_sequence(struct reader *r, const yaml_event_t *start)
{
    enum config_id id;
    enum st st = find_key(r, start, &id);
    if (st != ST_OK)
        return st;
    struct arena texts = { .limit_bytes = 2 * CONFIG_FILE_MAX_BYTES };
    str members[CONFIG_LIST_MAX + 1]; /* one more than any list may have: more need not be kept */
    size_t count = 0;
    for (;;) {
        EVENT(event);
        st = next(r, &event);
        if (st != ST_OK || event.type == YAML_SEQUENCE_END_EVENT)
            break;
        if (event.type != YAML_SCALAR_EVENT) {
            st = refuse(r, &event, "a list holds values only");
            break;
        }
        if (count == ARRAY_LEN(members))
            continue;
        members[count] = arena_dup(&texts, scalar_of(&event));
        if (members[count++].ptr == NULL) {
            st = err_no_memory(r->err);
            break;
        }
    }
    struct config_place place = place_of(r, start);
    if (st == ST_OK)
        st = config_set_list(r->config, &place, id, members, count, r->err);
    arena_release(&texts);
    return st;
}

/* Appends a part to the dotted key. */
static enum st enter_key(struct reader *r, const yaml_event_t *event)
{
    str part = scalar_of(event);
    size_t dot = r->key_len > 0;
    if (part.len == 0 || memchr(part.ptr, '\0', part.len) != NULL)
        return refuse(r, event, "a key is empty or holds a NUL");
    if (!str_is_utf8(part))
        return refuse(r, event, "a key is not UTF-8");
    for (size_t i = 0; i < part.len; i++)
        if ((unsigned char)part.ptr[i] < 0x20 || part.ptr[i] == 0x7f)
            return refuse(r, event, "a key holds a control character");
    if (r->key_len + dot + part.len > KEY_MAX)
        return refuse(r, event, "a key is longer than any that exists");
    if (dot)
        r->key[r->key_len++] = '.';
    memcpy(r->key + r->key_len, part.ptr, part.len);
    r->key_len += part.len;
    r->key[r->key_len] = '\0';
    return ST_OK;
}

static enum st read_mapping(struct reader *r, int depth);

static enum st read_value(struct reader *r, const yaml_event_t *key, int depth)
{
    EVENT(event);
    enum st st = next(r, &event);
    if (st != ST_OK)
        return st;
    if (event.type == YAML_SCALAR_EVENT)
        return read_scalar(r, &event);
    if (event.type == YAML_SEQUENCE_START_EVENT)
        return read_sequence(r, &event);
    if (!config_is_section(key_of(r))) {
        if (config_find(key_of(r)) == CONFIG_KEYS)
            return refuse_unknown(r, key);
        return err_set(r->err, ST_INVALID, "%.256s:%u: %s is not a section and takes a value",
                       r->name, line_of(key), r->key);
    }
    if (depth == DEPTH_MAX)
        return refuse(r, &event, "nested too deeply");
    return read_mapping(r, depth + 1);
}

static enum st read_mapping(struct reader *r, int depth)
{
    size_t outer_len = r->key_len;
    for (;;) {
        EVENT(event);
        enum st st = next(r, &event);
        if (st != ST_OK || event.type == YAML_MAPPING_END_EVENT)
            return st;
        if (event.type != YAML_SCALAR_EVENT)
            return refuse(r, &event, "a key is one word");
        st = enter_key(r, &event);
        if (st == ST_OK)
            st = read_value(r, &event, depth);
        if (st != ST_OK)
            return st;
        r->key_len = outer_len;
        r->key[outer_len] = '\0';
    }
}

static enum st read_document(struct reader *r)
{
    EVENT(event);
    enum st st = next(r, &event);
    if (st != ST_OK)
        return st;
    if (event.type == YAML_SCALAR_EVENT && is_null(&event))
        return ST_OK; /* "---" and comments */
    if (event.type != YAML_MAPPING_START_EVENT)
        return refuse(r, &event, "the file holds no keys: write \"key: value\"");
    return read_mapping(r, 1);
}

static enum st read_stream(struct reader *r)
{
    for (int documents = 0;;) {
        EVENT(event);
        enum st st = next(r, &event);
        if (st != ST_OK || event.type == YAML_STREAM_END_EVENT)
            return st;
        if (event.type != YAML_DOCUMENT_START_EVENT)
            continue; /* the stream's start, a document's end */
        if (++documents > 1)
            return refuse(r, &event, "a second document is not allowed");
        st = read_document(r);
        if (st != ST_OK)
            return st;
    }
}

enum st config_load_yaml(struct config *c, const char *name, str text, struct err *err)
{
    struct reader r = { .config = c, .name = name, .err = err };
    if (text.len > CONFIG_FILE_MAX_BYTES)
        return err_set(err, ST_TOO_LARGE, "%.256s: larger than %llu KiB", name,
                       (unsigned long long)(CONFIG_FILE_MAX_BYTES / KIB));
    char *copy = arena_cstr(&c->arena, str_of(name));
    if (copy == NULL || !yaml_parser_initialize(&r.yaml))
        return err_no_memory(err);
    c->file = copy;
    yaml_parser_set_encoding(&r.yaml, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&r.yaml, (const unsigned char *)text.ptr, text.len);
    enum st st = read_stream(&r);
    yaml_parser_delete(&r.yaml);
    return st;
}

static void file_end(FILE **file)
{
    if (*file != NULL)
        (void)fclose(*file);
}

/* By stdio, so that a pipe is a file, too. */
enum st config_load_file(struct config *c, const char *path, struct err *err)
{
    AUTO(file_end) FILE *file = fopen(path, "re");
    if (file == NULL)
        return err_sys(err, "%s", path);
    AUTO(mem_auto) char *bytes = mem_new(CONFIG_FILE_MAX_BYTES + 1);
    if (bytes == NULL)
        return err_no_memory(err);
    size_t len = fread(bytes, 1, CONFIG_FILE_MAX_BYTES + 1, file);
    if (ferror(file))
        return err_sys(err, "%s", path);
    return config_load_yaml(c, path, (str){ bytes, len }, err);
}
