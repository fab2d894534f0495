/* SPDX-License-Identifier: Apache-2.0
 *
 * `ebb protect` - rules that no deletion and no push may pass.
 */
#include "cli/protect.h"

struct protect_args {
    struct cli_common common;
    const char *tags;
    const char *reason;
};

const struct cli_group protect_groups[] = { { cli_common_flags, 0 }, { 0 } };

enum cli_exit protect_list(const struct cli_command *self, int argc, char **argv, const char *path,
                           const struct table_column *columns, const char *empty)
{
    struct cli_common common = { 0 };
    struct ask_server s;
    struct ask_path at = ask_path(path);
    struct err err;
    char **words;
    int count;
    enum cli_exit exit = cli_read(self, argc, argv, &common, &words, &count);
    if (exit != CLI_DONE)
        return exit;
    if (count > 0)
        return cli_usage(self, "\"%.64s\" is one argument too many", words[0]);
    if (ask_server_init(&s, common.server, &err) != ST_OK)
        return cli_fail(self, &err);
    return table_list(self, &s, &at, common.form, columns, empty);
}

enum cli_exit protect_add(const struct cli_command *self, const struct ask_server *s,
                          const char *path, const json_t *body, enum cli_form form,
                          const struct table_column *columns)
{
    static struct table t;
    AUTO(ask_answer_release) struct ask_answer answer = { 0 };
    struct ask_path at = ask_path(path);
    struct err err;
    enum st st = ask(s, "POST", &at, body, &answer, &err);
    if (st == ST_OK && form == FORM_JSON) {
        table_json(answer.body);
    } else if (st == ST_OK) {
        table_begin(&t, form, columns);
        st = table_row(answer.body, &t, &err);
        table_end(&t, NULL);
    }
    return st == ST_OK ? cli_finish(self) : cli_fail(self, &err);
}

enum cli_exit protect_remove(const struct cli_command *self, int argc, char **argv,
                             const char *path, const char *what)
{
    struct cli_common common = { 0 };
    struct ask_server s;
    struct err err;
    char **words;
    int count;
    uint64_t id;
    enum cli_exit exit = cli_read(self, argc, argv, &common, &words, &count);
    if (exit != CLI_DONE)
        return exit;
    for (int i = 0; i < count; i++)
        if (!str_to_u64(str_of(words[i]), INT64_MAX, &id))
            return cli_usage(self, "\"%.64s\" is no number of a %s", words[i], what);
    if (count == 0)
        return cli_usage(self, "takes the number of a %s", what);
    enum st st = ask_server_init(&s, common.server, &err);
    json_t *removed = json_array();
    for (int i = 0; st == ST_OK && i < count; i++) {
        AUTO(ask_answer_release) struct ask_answer answer = { 0 };
        struct ask_path at = ask_path(path);
        ask_path_add(&at, str_of(words[i]));
        st = ask(&s, "DELETE", &at, NULL, &answer, &err);
        (void)str_to_u64(str_of(words[i]), INT64_MAX, &id);
        if (st == ST_OK)
            (void)json_array_append_new(removed, json_integer((json_int_t)id));
        if (st == ST_OK && common.form == FORM_TABLE)
            printf("Ended %s %s.\n", what, words[i]);
        else if (st == ST_OK && common.form == FORM_TSV)
            printf("%s\n", words[i]);
    }
    json_t *out = json_pack("{s:o}", "removed", removed);
    if (common.form == FORM_JSON)
        table_json(out);
    json_decref(out);
    exit = cli_finish(self);
    return st == ST_OK ? exit : cli_fail(self, &err);
}

/* ---- ebb protect ----------------------------------------------------------------------------- */

static const struct table_column columns[] = {
    { "RULE", "rule", TABLE_TEXT, NULL },
    { "KIND", "kind", TABLE_TEXT, NULL },
    { "REPOSITORIES", "repositories", TABLE_TEXT, NULL },
    { "TAGS", "tags", TABLE_TEXT, NULL },
    { "BY", "actor", TABLE_TEXT, NULL },
    { "SINCE", "created_at", TABLE_TIME, NULL },
    { "REASON", "reason", TABLE_TEXT, NULL },
    { 0 },
};

static enum cli_exit ls_run(const struct cli_command *self, int argc, char **argv)
{
    return protect_list(self, argc, argv, "/rules", columns, "There are no rules.");
}

static enum cli_exit rm_run(const struct cli_command *self, int argc, char **argv)
{
    return protect_remove(self, argc, argv, "/rules", "rule");
}

static enum cli_exit add_run(const struct cli_command *self, int argc, char **argv)
{
    struct protect_args args = { 0 };
    struct ask_server s;
    struct err err;
    char **words;
    int count;
    enum cli_exit exit = cli_read(self, argc, argv, &args, &words, &count);
    if (exit != CLI_DONE)
        return exit;
    if (count != 2)
        return cli_usage(self, "takes a kind and a glob of repositories");
    bool read_only = strcmp(words[0], "read-only") == 0;
    if (!read_only && strcmp(words[0], "immutable") != 0 && strcmp(words[0], "protected") != 0)
        return cli_usage(self, "\"%.64s\" is no kind; allowed: immutable, protected, read-only",
                         words[0]);
    if (read_only && args.tags != NULL)
        return cli_usage(self, "--tags does not go with read-only, which is about repositories");
    json_t *body = json_object();
    const char *tags = read_only ? NULL : args.tags == NULL ? "*" : args.tags;
    bool good = json_object_set_new(body, "kind", json_string(words[0])) == 0 &&
                json_object_set_new(body, "repositories", json_string(words[1])) == 0;
    if (good && tags != NULL)
        good = json_object_set_new(body, "tags", json_string(tags)) == 0;
    if (good && args.reason != NULL)
        good = json_object_set_new(body, "reason", json_string(args.reason)) == 0;
    if (!good)
        exit = cli_usage(self, "what is given is not UTF-8");
    else if (ask_server_init(&s, args.common.server, &err) != ST_OK)
        exit = cli_fail(self, &err);
    else
        exit = protect_add(self, &s, "/rules", body, args.common.form, columns);
    json_decref(body);
    return exit;
}

static const struct cli_flag add_flags[] = {
    { "tags", 0, VALUE_TEXT, "PATTERN",
      "a glob, or re: and a regular expression; all tags\nwithout it",
      offsetof(struct protect_args, tags) },
    { "reason", 0, VALUE_TEXT, "TEXT", "why", offsetof(struct protect_args, reason) },
    { 0 },
};
static const struct cli_group add_groups[] = {
    { add_flags, 0 },
    { cli_common_flags, offsetof(struct protect_args, common) },
    { 0 },
};
static const struct cli_command protect_ls_command = {
    .name = "protect ls",
    .takes = "[OPTIONS]",
    .summary = "List rules.",
    .help = "\n"
            "Examples:\n"
            "  ebb protect ls\n",
    .run = ls_run,
    .groups = protect_groups,
};
static const struct cli_command protect_add_command = {
    .name = "protect add",
    .takes = "[OPTIONS] KIND GLOB",
    .summary = "Add a rule for the repositories that match GLOB.",
    .help = "\n"
            "KIND is one of:\n"
            "  immutable   a tag that matches is set once: no push over it, no delete\n"
            "  protected   a tag that matches is not deleted; a push may move it\n"
            "  read-only   a repository that matches takes no push and no delete\n"
            "\n"
            "Examples:\n"
            "  ebb protect add immutable 'prod/**' --tags 'v*'\n"
            "  ebb protect add protected '**' --tags latest --reason 'deployed by name'\n"
            "  ebb protect add read-only archive/app\n",
    .run = add_run,
    .groups = add_groups,
};
static const struct cli_command protect_rm_command = {
    .name = "protect rm",
    .takes = "[OPTIONS] ID...",
    .summary = "Remove a rule.",
    .help = "\n"
            "Examples:\n"
            "  ebb protect rm 3\n",
    .run = rm_run,
    .groups = protect_groups,
};
static const struct cli_command *const commands[] = { &protect_ls_command, &protect_add_command,
                                                      &protect_rm_command, NULL };
const struct cli_command protect_command = {
    .name = "protect",
    .takes = "[COMMAND] [OPTIONS]",
    .summary = "Protect tags and repositories by rules.",
    .help = "\n"
            "`ebb protect COMMAND --help` shows more.\n",
    .commands = commands,
    .otherwise = &protect_ls_command,
};
