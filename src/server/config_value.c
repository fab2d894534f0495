/* SPDX-License-Identifier: Apache-2.0 */
#include "server/config_value.h"

#include "base/quantity.h"

static enum quantity quantity_of(enum config_kind kind)
{
    return kind == CONFIG_DURATION ? QUANTITY_DURATION : QUANTITY_SIZE;
}

static bool refuse(const char **why, const char *text)
{
    *why = text;
    return false;
}

static bool parse_choice(const char *words, str text, uint64_t *out, const char **why)
{
    str rest = str_of(words);
    for (uint64_t i = 0; rest.len > 0; i++) {
        str word = rest;
        if (!str_cut(rest, '|', &word, &rest))
            rest = STR("");
        if (str_eq(word, text)) {
            *out = i;
            return true;
        }
    }
    return refuse(why, "is none of the words");
}

bool config_value_parse(enum config_kind kind, const char *words, str text, uint64_t *out,
                        const char **why)
{
    switch (kind) {
    case CONFIG_DURATION:
    case CONFIG_SIZE:
        return quantity_read(quantity_of(kind), false, text, out, why);
    case CONFIG_NUMBER:
        for (size_t i = 0; i < text.len; i++)
            if (text.ptr[i] < '0' || text.ptr[i] > '9')
                return refuse(why, "is not a whole number");
        if (!str_to_u64(text, INT64_MAX, out))
            return refuse(why, "is out of range");
        return true;
    case CONFIG_BOOL:
        if (!str_eq(text, STR("true")) && !str_eq(text, STR("false")))
            return refuse(why, "is neither");
        *out = text.ptr[0] == 't';
        return true;
    case CONFIG_CHOICE:
        return parse_choice(words, text, out, why);
    case CONFIG_PATH:
    case CONFIG_TEXT:
    case CONFIG_LIST:
        break;
    }
    abort(); /* no kind that is one value: a bug of the caller */
}

static const char *word_at(const char *words, uint64_t place, char *out)
{
    str rest = str_of(words);
    str word = rest;
    for (uint64_t i = 0; i <= place; i++) {
        word = rest;
        if (!str_cut(rest, '|', &word, &rest))
            rest = STR("");
    }
    (void)str_copy(word, out, CONFIG_VALUE_MAX);
    return out;
}

const char *config_value_print(enum config_kind kind, const char *words, uint64_t value,
                               char out[static CONFIG_VALUE_MAX])
{
    if (kind == CONFIG_BOOL)
        return value != 0 ? "true" : "false";
    if (kind == CONFIG_CHOICE)
        return word_at(words, value, out);
    if (kind != CONFIG_NUMBER)
        return quantity_print(quantity_of(kind), value, out);
    (void)snprintf(out, CONFIG_VALUE_MAX, "%llu", (unsigned long long)value);
    return out;
}

/* "debug|info|warn" as "debug, info or warn" */
static void print_words(const char *words, char *out, size_t size)
{
    size_t used = (size_t)snprintf(out, size, "one of ");
    for (str rest = str_of(words); rest.len > 0 && used < size;) {
        str word = rest;
        bool more = str_cut(rest, '|', &word, &rest);
        bool last_but_one = more && memchr(rest.ptr, '|', rest.len) == NULL;
        used += (size_t)snprintf(out + used, size - used, "%.*s%s", STR_FMT(word),
                                 !more          ? ""
                                 : last_but_one ? " or "
                                                : ", ");
        if (!more)
            break;
    }
}

const char *config_value_allowed(const struct config_key *key, char out[static CONFIG_ALLOWED_MAX])
{
    const char *format = NULL;
    switch (key->kind) {
    case CONFIG_BOOL:
        return "true or false";
    case CONFIG_PATH:
        return "the name of a file or directory";
    case CONFIG_TEXT:
        return "a text";
    case CONFIG_CHOICE:
        print_words(key->least, out, CONFIG_ALLOWED_MAX);
        return out;
    case CONFIG_DURATION:
        format = "a duration from %s to %s, in %s";
        break;
    case CONFIG_SIZE:
        format = "a size from %s to %s, in %s";
        break;
    case CONFIG_NUMBER:
        format = "a whole number from %s to %s";
        break;
    case CONFIG_LIST:
        format = "%s to %s addresses with ports, such as 127.0.0.1:5000";
        break;
    }
    /* a format without the third %s leaves the units out */
    (void)snprintf(out, CONFIG_ALLOWED_MAX, format, key->least, key->most,
                   quantity_units(quantity_of(key->kind)));
    return out;
}
