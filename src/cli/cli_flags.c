/* SPDX-License-Identifier: Apache-2.0
 *
 * Reading options, from tables into structs.
 */
#include "base/quantity.h"
#include "cli/cli.h"

#define FLAGS_MAX 48

/* The order matters: cli.h gives out what the table ends with. */
const struct cli_flag cli_common_flags[] = {
    { "output", 'o', VALUE_FORM, "FORM", "table (default), json or tsv",
      offsetof(struct cli_common, form) },
    { "server", 0, VALUE_TEXT, "URL",
      "the registry; without it $EBB_SERVER, or else\nhttp://127.0.0.1:5000",
      offsetof(struct cli_common, server) },
    { "user", 'u', VALUE_TEXT, "NAME", "who asks; the password is $EBB_PASSWORD or asked for",
      offsetof(struct cli_common, user) },
    { "token-file", 0, VALUE_TEXT, "PATH",
      "ask with the token in this file; without either, as\nebb-login(1) says",
      offsetof(struct cli_common, token_file) },
    { "ca", 0, VALUE_TEXT, "FILE", "trust these certificates instead of the system's",
      offsetof(struct cli_common, ca) },
    { "insecure-http", 0, VALUE_SET, NULL, "send passwords and tokens without encryption, too",
      offsetof(struct cli_common, insecure_http) },
    { 0 },
};

void cli_options_begin(void)
{
    optind = 0; /* glibc: forget what an earlier scan left */
    opterr = 0;
}

static int next_option(const struct cli_command *self, int argc, char **argv, const char *letters,
                       const struct option *options)
{
    int at = MAX(optind, 1);
    int found = getopt_long(argc, argv, letters, options, NULL);
    if (found == ':')
        (void)cli_usage(self, "%.64s needs a value", argv[optind - 1]);
    else if (found == '?')
        (void)cli_usage(self, "unknown option %.64s", argv[optind > at ? optind - 1 : at]);
    return found == ':' ? '?' : found;
}

int cli_option(const struct cli_command *self, int argc, char **argv, const struct option *options)
{
    return next_option(self, argc, argv, ":", options);
}

/* ---- values ---------------------------------------------------------------------------------- */

static enum cli_exit read_form(const struct cli_command *self, enum cli_form *out)
{
    static const char *const names[] = { "table", "json", "tsv" };
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        if (strcmp(optarg, names[i]) != 0)
            continue;
        *out = (enum cli_form)i;
        return CLI_DONE;
    }
    return cli_usage(self, "--output is table, json or tsv, not \"%.64s\"", optarg);
}

static enum cli_exit read_number(const struct cli_command *self, const struct cli_flag *f,
                                 struct cli_number *out)
{
    struct err err;
    str text = str_of(optarg);
    out->given = true;
    if (str_to_u64(text, INT64_MAX, &out->value))
        return CLI_DONE;
    if (f->value == VALUE_NUMBER)
        return cli_usage(self, "--%s takes a whole number, not \"%.64s\"", f->name, optarg);
    if (quantity_parse_size(text, &out->value, &err) != ST_OK)
        return cli_usage(self, "--%s: %s", f->name, err.text);
    return CLI_DONE;
}

static enum cli_exit read_value(const struct cli_command *self, const struct cli_flag *f, void *at)
{
    int64_t ms;
    struct err err;
    struct cli_list *list = at;
    switch (f->value) {
    case VALUE_SET:
        *(bool *)at = true;
        return CLI_DONE;
    case VALUE_FORM:
        return read_form(self, at);
    case VALUE_NUMBER:
    case VALUE_SIZE:
        if (((struct cli_number *)at)->given)
            break;
        return read_number(self, f, at);
    case VALUE_LIST:
        if (list->count == CLI_LIST_MAX)
            return cli_usage(self, "--%s may be given %d times", f->name, CLI_LIST_MAX);
        list->items[list->count++] = optarg;
        return CLI_DONE;
    case VALUE_DURATION:
        if (quantity_parse_duration(str_of(optarg), &ms, &err) != ST_OK)
            return cli_usage(self, "--%s: %s", f->name, err.text);
        __attribute__((fallthrough));
    case VALUE_TEXT:
        if (*(const char **)at != NULL)
            break;
        *(const char **)at = optarg;
        return CLI_DONE;
    }
    return cli_usage(self, "--%s may be given once", f->name);
}

/* ---- tables ---------------------------------------------------------------------------------- */

struct scan {
    const struct cli_flag *flags[FLAGS_MAX];
    size_t at[FLAGS_MAX]; /* of the value in the command's struct */
    struct option options[FLAGS_MAX + 1];
    char letters[2 * FLAGS_MAX + 2];
    size_t count;
};

enum { ID_FIRST = 256 };

static void add_flag(struct scan *s, const struct cli_flag *f, size_t base)
{
    assert(s->count < FLAGS_MAX);
    size_t i = s->count++;
    s->flags[i] = f;
    s->at[i] = base + f->at;
    s->options[i] =
        (struct option){ .name = f->name,
                         .has_arg = f->value == VALUE_SET ? no_argument : required_argument,
                         .val = ID_FIRST + (int)i };
    size_t len = strlen(s->letters);
    if (f->letter != 0)
        (void)snprintf(s->letters + len, sizeof(s->letters) - len, "%c%s", f->letter,
                       f->value == VALUE_SET ? "" : ":");
}

static size_t find_flag(const struct scan *s, int found)
{
    if (found >= ID_FIRST)
        return (size_t)(found - ID_FIRST);
    size_t i = 0;
    while (s->flags[i]->letter != found)
        i++;
    return i;
}

enum cli_exit cli_read(const struct cli_command *self, int argc, char **argv, void *args,
                       char ***words, int *count)
{
    struct scan s = { .letters = ":" };
    int found;
    for (const struct cli_group *g = self->groups; g != NULL && g->flags != NULL; g++)
        for (const struct cli_flag *f = g->flags; f->name != NULL; f++)
            add_flag(&s, f, g->at);
    cli_options_begin();
    while ((found = next_option(self, argc, argv, s.letters, s.options)) != -1) {
        if (found == '?')
            return CLI_USAGE;
        size_t i = find_flag(&s, found);
        enum cli_exit exit = read_value(self, s.flags[i], (char *)args + s.at[i]);
        if (exit != CLI_DONE)
            return exit;
    }
    *words = argv + optind;
    *count = argc - optind;
    return CLI_DONE;
}
