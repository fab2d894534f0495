/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/json.h"
#include "server/config.h"
#include "server/config_value.h"

#define TEXT_COLUMNS 90

static const struct section {
    const char *name;
    const char *text;
} sections[] = {
#define SECTION(name, text) { name, text },
#include "server/config.def"
};

/* The key's name within its section. */
static str short_name(const struct config_key *key, str *section)
{
    str name = str_of(key->name);
    str last = name;
    *section = STR("");
    (void)str_cut(name, '.', section, &last);
    return last;
}

/* As comment lines behind `indent`. */
static void print_text(struct buf *out, const char *indent, const char *text)
{
    size_t column = 0;
    for (str rest = str_of(text); rest.len > 0;) {
        str word = rest;
        if (!str_cut(rest, ' ', &word, &rest))
            rest = STR("");
        if (column > 0 && column + 1 + word.len > TEXT_COLUMNS) {
            buf_add_byte(out, '\n');
            column = 0;
        }
        if (column == 0) {
            buf_printf(out, "%s#", indent);
            column = strlen(indent) + 1;
        }
        buf_printf(out, " %.*s", STR_FMT(word));
        column += 1 + word.len;
    }
    buf_add_byte(out, '\n');
}

static void print_section(struct buf *out, const struct section *s)
{
    if (out->len > 0)
        buf_add_byte(out, '\n');
    print_text(out, "", s->text);
    if (s->name[0] != '\0')
        buf_printf(out, "%s:\n", s->name);
}

/* "indent name: value", as a comment when unset; a list has a line for each member. */
static void print_value(struct buf *out, const char *indent, str name, const struct config *c,
                        const struct config_key *key)
{
    const void *field = (const char *)c + key->offset;
    if (key->kind == CONFIG_LIST) {
        const struct config_list *list = field;
        buf_printf(out, "%s%.*s:\n", indent, STR_FMT(name));
        for (size_t i = 0; i < list->count; i++) {
            buf_printf(out, "%s  - ", indent);
            json_add_string(out, str_of(list->items[i]));
            buf_add(out, i + 1 < list->count ? STR("\n") : STR(""));
        }
        return;
    }
    if (key->kind == CONFIG_PATH || key->kind == CONFIG_TEXT) {
        const char *path = *(const char *const *)field;
        buf_printf(out, "%s%s%.*s: ", indent, path == NULL ? "#" : "", STR_FMT(name));
        if (path != NULL)
            json_add_string(out, str_of(path));
        return;
    }
    uint64_t value;
    if (key->kind == CONFIG_DURATION)
        value = (uint64_t) * (const int64_t *)field;
    else if (key->kind == CONFIG_BOOL)
        value = *(const bool *)field;
    else if (key->kind == CONFIG_CHOICE)
        value = (uint64_t) * (const int *)field;
    else
        value = *(const uint64_t *)field;
    char text[CONFIG_VALUE_MAX];
    buf_printf(out, "%s%.*s: %s", indent, STR_FMT(name),
               config_value_print(key->kind, key->least, value, text));
}

static void print_origin(struct buf *out, const struct config *c, enum config_id id)
{
    const struct config_origin *o = &c->origin[id];
    static const char *const texts[] = { "default", "", "environment", "--set", "command line" };
    if (o->source == CONFIG_FROM_FILE)
        buf_printf(out, "  # %s:%u\n", c->file, o->line);
    else
        buf_printf(out, "  # %s\n", texts[o->source]);
}

void config_print(const struct config *c, struct buf *out)
{
    for (size_t s = 0; s < ARRAY_LEN(sections); s++) {
        if (s > 0)
            buf_printf(out, "%s:\n", sections[s].name);
        for (enum config_id id = 0; id < CONFIG_KEYS; id++) {
            str section;
            str name = short_name(&config_keys[id], &section);
            if (!str_eq(section, str_of(sections[s].name)))
                continue;
            print_value(out, s > 0 ? "  " : "", name, c, &config_keys[id]);
            print_origin(out, c, id);
        }
    }
}

static void print_default(struct buf *out, const char *indent, str name,
                          const struct config_key *key)
{
    char allowed[CONFIG_ALLOWED_MAX];
    char line[CONFIG_ALLOWED_MAX + 16];
    print_text(out, indent, key->text);
    (void)snprintf(line, sizeof(line), "Allowed: %s.", config_value_allowed(key, allowed));
    print_text(out, indent, line);
    if (key->kind == CONFIG_LIST)
        buf_printf(out, "%s%.*s:\n%s  - \"%s\"\n", indent, STR_FMT(name), indent, key->fallback);
    else if (key->fallback[0] == '\0')
        buf_printf(out, "%s#%.*s:\n", indent, STR_FMT(name));
    else
        buf_printf(out, "%s%.*s: %s\n", indent, STR_FMT(name), key->fallback);
}

void config_print_defaults(struct buf *out)
{
    for (size_t s = 0; s < ARRAY_LEN(sections); s++) {
        print_section(out, &sections[s]);
        for (size_t i = 0; i < CONFIG_KEYS; i++) {
            str section;
            str name = short_name(&config_keys[i], &section);
            if (!str_eq(section, str_of(sections[s].name)))
                continue;
            if (s == 0)
                buf_add_byte(out, '\n');
            print_default(out, s > 0 ? "  " : "", name, &config_keys[i]);
        }
    }
}
