/* SPDX-License-Identifier: Apache-2.0 */
#include "server/config.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "server/config_value.h"
#include "server/data_dir.h"
#include "server/listen.h"

#define ARENA_BYTES (1 * MIB)
#define SHOWN_MAX   64 /* of a refused text, in messages */

const struct config_key config_keys[CONFIG_KEYS] = {
#define KEY(field, kind, name, fallback, least, most, text)                                        \
    { name, CONFIG_##kind, offsetof(struct config, field), fallback, least, most, text },
#include "server/config.def"
};

/* ---- names --------------------------------------------------------------------------------- */

enum config_id config_find(str name)
{
    enum config_id id = 0;
    while (id < CONFIG_KEYS && !str_eq(name, str_of(config_keys[id].name)))
        id++;
    return id;
}

bool config_is_section(str name)
{
    for (size_t i = 0; i < CONFIG_KEYS; i++) {
        str key = str_of(config_keys[i].name);
        if (key.len > name.len && key.ptr[name.len] == '.' && str_starts(key, name))
            return true;
    }
    return false;
}

/* Levenshtein's distance of short texts. */
static size_t distance(str a, str b)
{
    size_t row[64];
    if (a.len >= ARRAY_LEN(row) || b.len >= ARRAY_LEN(row))
        return SIZE_MAX;
    for (size_t j = 0; j <= b.len; j++)
        row[j] = j;
    for (size_t i = 1; i <= a.len; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= b.len; j++) {
            size_t above = row[j];
            size_t change = diagonal + (a.ptr[i - 1] != b.ptr[j - 1]);
            row[j] = MIN(change, MIN(above, row[j - 1]) + 1);
            diagonal = above;
        }
    }
    return row[b.len];
}

const char *config_hint(str name, char out[static CONFIG_HINT_MAX])
{
    const char *best = NULL;
    size_t best_distance = MAX(2, name.len / 3) + 1; /* beyond it, a guess is noise */
    str before = STR("");
    str last = name;
    (void)str_cut_last(name, '.', &before, &last);
    for (size_t i = 0; i < CONFIG_KEYS; i++) {
        str key = str_of(config_keys[i].name);
        str key_last = key;
        (void)str_cut_last(key, '.', &before, &key_last);
        /* the right word in the wrong section is a near miss as well */
        size_t d = str_eq(last, key_last) ? 1 : distance(name, key);
        if (d < best_distance) {
            best_distance = d;
            best = config_keys[i].name;
        }
    }
    if (best == NULL)
        return "; `ebb config defaults` lists all keys";
    (void)snprintf(out, CONFIG_HINT_MAX, "; did you mean \"%s\"?", best);
    return out;
}

/* ---- messages ------------------------------------------------------------------------------ */

const char *config_place_text(const struct config_place *p, char out[static CONFIG_PLACE_MAX])
{
    if (p->line == 0)
        (void)snprintf(out, CONFIG_PLACE_MAX, "%.256s", p->name);
    else
        (void)snprintf(out, CONFIG_PLACE_MAX, "%.256s:%u", p->name, p->line);
    return out;
}

/* `"<value>" <why>`, with the value cut and made printable. */
static enum st refuse_value(const struct config_place *place, enum config_id id, str value,
                            const char *why, struct err *err)
{
    char where[CONFIG_PLACE_MAX];
    char allowed[CONFIG_ALLOWED_MAX];
    char shown[SHOWN_MAX + 1];
    str cut = str_slice(value, 0, SHOWN_MAX);
    for (size_t i = 0; i < cut.len; i++) {
        unsigned char c = (unsigned char)cut.ptr[i];
        shown[i] = c < 0x20 || c == 0x7f ? '?' : (char)c;
    }
    shown[cut.len] = '\0';
    return err_set(err, ST_INVALID, "%s: %s: \"%s%s\" %s; allowed is %s",
                   config_place_text(place, where), config_keys[id].name, shown,
                   cut.len < value.len ? "..." : "", why,
                   config_value_allowed(&config_keys[id], allowed));
}

static enum st refuse(const struct config_place *place, enum config_id id, const char *why,
                      struct err *err)
{
    char where[CONFIG_PLACE_MAX];
    char allowed[CONFIG_ALLOWED_MAX];
    return err_set(err, ST_INVALID, "%s: %s %s; allowed is %s", config_place_text(place, where),
                   config_keys[id].name, why, config_value_allowed(&config_keys[id], allowed));
}

/* ---- setting ------------------------------------------------------------------------------- */

static void *field_of(struct config *c, enum config_id id)
{
    return (char *)c + config_keys[id].offset;
}

static bool is_printable(str value)
{
    for (size_t i = 0; i < value.len; i++)
        if ((unsigned char)value.ptr[i] < 0x20 || value.ptr[i] == 0x7f)
            return false;
    return str_is_utf8(value);
}

static bool in_range(const struct config_key *key, uint64_t value)
{
    uint64_t least = 0;
    uint64_t most = 0;
    const char *why;
    bool read = config_value_parse(key->kind, "", str_of(key->least), &least, &why) &&
                config_value_parse(key->kind, "", str_of(key->most), &most, &why);
    assert(read); /* config.def is ours */
    return value >= least && value <= most;
}

static enum st set_value(struct config *c, const struct config_place *place, enum config_id id,
                         str value, struct err *err)
{
    const struct config_key *key = &config_keys[id];
    uint64_t number = 0;
    const char *why = "";
    if (!config_value_parse(key->kind, key->least, value, &number, &why))
        return refuse_value(place, id, value, why, err);
    if (key->kind <= CONFIG_NUMBER && !in_range(key, number))
        return refuse_value(place, id, value, "is out of range", err);
    void *field = field_of(c, id);
    if (key->kind == CONFIG_DURATION)
        *(int64_t *)field = (int64_t)number;
    else if (key->kind == CONFIG_BOOL)
        *(bool *)field = number != 0;
    else if (key->kind == CONFIG_CHOICE)
        *(int *)field = (int)number;
    else
        *(uint64_t *)field = number;
    return ST_OK;
}

static enum st set_path(struct config *c, const struct config_place *place, enum config_id id,
                        str value, struct err *err)
{
    if (value.len == 0)
        return refuse(place, id, "is empty", err);
    if (!is_printable(value))
        return refuse_value(place, id, value, "holds bytes that are not text", err);
    char *copy = arena_cstr(&c->arena, value);
    if (copy == NULL)
        return err_no_memory(err);
    *(const char **)field_of(c, id) = copy;
    return ST_OK;
}

static void set_origin(struct config *c, const struct config_place *place, enum config_id id)
{
    c->origin[id] = (struct config_origin){ place->source, place->line };
}

static enum st add_member(struct config *c, const struct config_place *place, enum config_id id,
                          str value, struct config_list *list, struct err *err)
{
    struct err why;
    if (!is_printable(value))
        return refuse_value(place, id, value, "holds bytes that are not text", err);
    if (listen_check(value, &why) != ST_OK)
        return refuse_value(place, id, value, why.text, err);
    char *copy = arena_cstr(&c->arena, value);
    if (copy == NULL)
        return err_no_memory(err);
    list->items[list->count++] = copy;
    return ST_OK;
}

enum st config_set_list(struct config *c, const struct config_place *place, enum config_id id,
                        const str *values, size_t count, struct err *err)
{
    const struct config_key *key = &config_keys[id];
    if (key->kind != CONFIG_LIST)
        return refuse(place, id, "is a list and takes one value", err);
    uint64_t least = 0;
    uint64_t most = 0;
    bool read = str_to_u64(str_of(key->least), CONFIG_LIST_MAX, &least) &&
                str_to_u64(str_of(key->most), CONFIG_LIST_MAX, &most);
    assert(read); /* config.def is ours */
    if (count < least || count > most)
        return refuse(place, id, count == 0 ? "is an empty list" : "has too many members", err);
    struct config_list list = { .count = 0 };
    for (size_t i = 0; i < count; i++) {
        enum st st = add_member(c, place, id, values[i], &list, err);
        if (st != ST_OK)
            return st;
    }
    *(struct config_list *)field_of(c, id) = list;
    set_origin(c, place, id);
    return ST_OK;
}

static enum st set_list_text(struct config *c, const struct config_place *place, enum config_id id,
                             str value, struct err *err)
{
    str members[CONFIG_LIST_MAX + 1];
    size_t count = 0;
    for (bool more = true; more && count < ARRAY_LEN(members); count++) {
        str member = value;
        more = str_cut(value, ',', &member, &value);
        members[count] = str_trim(member);
    }
    return config_set_list(c, place, id, members, count, err);
}

enum st config_set_text(struct config *c, const struct config_place *place, enum config_id id,
                        str value, struct err *err)
{
    enum st st;
    if (config_keys[id].kind == CONFIG_LIST)
        return set_list_text(c, place, id, value, err);
    if (config_keys[id].kind == CONFIG_PATH || config_keys[id].kind == CONFIG_TEXT)
        st = set_path(c, place, id, value, err);
    else
        st = set_value(c, place, id, value, err);
    if (st == ST_OK)
        set_origin(c, place, id);
    return st;
}

/* ---- sources ------------------------------------------------------------------------------- */

enum st config_init(struct config *c, struct err *err)
{
    *c = (struct config){ .arena.limit_bytes = ARENA_BYTES };
    const struct config_place place = { .source = CONFIG_FROM_DEFAULT, .name = "default" };
    for (enum config_id id = 0; id < CONFIG_KEYS; id++) {
        if (config_keys[id].fallback[0] == '\0')
            continue;
        enum st st = config_set_text(c, &place, id, str_of(config_keys[id].fallback), err);
        if (st != ST_OK) {
            config_release(c);
            return st;
        }
    }
    return ST_OK;
}

void config_release(struct config *c)
{
    arena_release(&c->arena);
    *c = (struct config){ 0 };
}

/* reclaim.grace is EBB_RECLAIM_GRACE */
static bool is_variable_of(str variable, const struct config_key *key)
{
    str prefix = STR("EBB_");
    str name = str_of(key->name);
    if (!str_starts(variable, prefix) || variable.len != prefix.len + name.len)
        return false;
    for (size_t i = 0; i < name.len; i++) {
        char c = name.ptr[i];
        if (c == '.')
            c = '_';
        else if (c >= 'a' && c <= 'z')
            c = (char)(c - 'a' + 'A');
        if (variable.ptr[prefix.len + i] != c)
            return false;
    }
    return true;
}

enum st config_load_environment(struct config *c, const char *const *environment, struct err *err)
{
    for (; *environment != NULL; environment++) {
        str variable;
        str value;
        if (!str_cut(str_of(*environment), '=', &variable, &value))
            continue;
        for (enum config_id id = 0; id < CONFIG_KEYS; id++) {
            if (!is_variable_of(variable, &config_keys[id]))
                continue;
            char name[64];
            (void)str_copy(variable, name, sizeof(name));
            const struct config_place place = { .source = CONFIG_FROM_ENVIRONMENT, .name = name };
            enum st st = config_set_text(c, &place, id, value, err);
            if (st != ST_OK)
                return st;
        }
    }
    return ST_OK;
}

enum st config_set_pair(struct config *c, const char *pair, struct err *err)
{
    const struct config_place place = { .source = CONFIG_FROM_SET, .name = "--set" };
    str key;
    str value;
    if (!str_cut(str_of(pair), '=', &key, &value))
        return err_set(err, ST_INVALID, "--set: \"%.64s\" is not key=value", pair);
    key = str_trim(key);
    enum config_id id = config_find(key);
    if (id == CONFIG_KEYS) {
        char hint[CONFIG_HINT_MAX];
        return err_set(err, ST_INVALID, "--set: unknown key \"%.*s\"%s", (int)MIN(key.len, 64),
                       key.ptr, config_hint(key, hint));
    }
    return config_set_text(c, &place, id, str_trim(value), err);
}

enum st config_set_option(struct config *c, const char *option, enum config_id id,
                          const char *value, struct err *err)
{
    const struct config_place place = { .source = CONFIG_FROM_OPTION, .name = option };
    if (config_keys[id].kind != CONFIG_LIST || c->origin[id].source != CONFIG_FROM_OPTION)
        return config_set_text(c, &place, id, str_of(value), err);
    const struct config_list *list = field_of(c, id);
    str members[CONFIG_LIST_MAX + 1];
    for (size_t i = 0; i < list->count; i++)
        members[i] = str_of(list->items[i]);
    members[list->count] = str_of(value);
    return config_set_list(c, &place, id, members, list->count + 1, err);
}

/* ---- what no key can say alone ------------------------------------------------------------- */

static enum st refuse_pair(const struct config *c, enum config_id id, const char *why,
                           struct err *err)
{
    const struct config_origin *o = &c->origin[id];
    if (o->source != CONFIG_FROM_FILE)
        return err_set(err, ST_INVALID, "%s %s", config_keys[id].name, why);
    return err_set(err, ST_INVALID, "%.256s:%u: %s %s", c->file, o->line, config_keys[id].name,
                   why);
}

enum st config_complete(struct config *c, struct err *err)
{
    if (c->tls_cert != NULL && c->tls_key == NULL)
        return refuse_pair(c, CONFIG_ID_tls_cert, "needs tls.key as well", err);
    if (c->tls_key != NULL && c->tls_cert == NULL)
        return refuse_pair(c, CONFIG_ID_tls_key, "needs tls.cert as well", err);
    if (c->limits_path_size > c->limits_header_size)
        return refuse_pair(c, CONFIG_ID_limits_path_size,
                           "is larger than limits.header_size, which holds it", err);
    if (c->limits_request_memory < 2 * c->limits_manifest_size)
        return refuse_pair(c, CONFIG_ID_limits_request_memory,
                           "must hold the largest manifest (limits.manifest_size) twice", err);
    if (c->data != NULL)
        return ST_OK;
    return data_dir_default(&c->arena, &c->data, err);
}
