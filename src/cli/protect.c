/* SPDX-License-Identifier: Apache-2.0
 *
 * `ebb protect` - rules that no deletion and no push may pass.
 */
#include "cli/protect.h"

struct protect_args {
    struct cli_common common;
    const char *tags;
    const char *push_role;
    const char *delete_role;
    const char *reason;
};

const struct cli_group protect_groups[] = { { cli_common_flags, 0 }, { 0 } };

enum cli_exit protect_list(const struct cli_command *self, int argc, char **argv, const char *path,
                           const struct table_column *columns, const char *empty)
{
    struct cli_common common = { 0 };
    struct call_words words = { 0 };
    const struct ask_path at = ask_path(path);
    enum cli_exit exit = call_read(self, argc, argv, &common, &words);
    return exit == CLI_DONE ? call_list(self, &common, &at, columns, empty) : exit;
}

enum cli_exit protect_remove(const struct cli_command *self, int argc, char **argv,
                             const char *what, const struct call_each *how)
{
    struct cli_common common = { 0 };
    struct call_words words = { 0, CLI_LIST_MAX, NULL, NULL, 0 };
    uint64_t id;
    enum cli_exit exit = call_read(self, argc, argv, &common, &words);
    if (exit == CLI_DONE && words.count == 0)
        exit = cli_usage(self, "takes the number of a %s", what);
    for (int i = 0; exit == CLI_DONE && i < words.count; i++)
        if (!str_to_u64(str_of(words.items[i]), INT64_MAX, &id))
            exit = cli_usage(self, "\"%.64s\" is no number of a %s", words.items[i], what);
    return exit == CLI_DONE ? call_each(self, &common, &words, how) : exit;
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
    { "PUSH", "push_role", TABLE_TEXT, NULL },
    { "DELETE", "delete_role", TABLE_TEXT, NULL },
    { 0 },
};

static enum cli_exit ls_run(const struct cli_command *self, int argc, char **argv)
{
    return protect_list(self, argc, argv, "/rules", columns, "There are no rules.");
}

static void remove_one(const char *word, struct ask_path *path, json_t **body)
{
    (void)body;
    *path = ask_path("/rules");
    ask_path_add(path, str_of(word));
}

static enum cli_exit rm_run(const struct cli_command *self, int argc, char **argv)
{
    static const struct call_each how = { remove_one, "DELETE", "Ended rule", "removed", true };
    return protect_remove(self, argc, argv, "rule", &how);
}

static enum cli_exit check_combination(const struct cli_command *self,
                                       const struct protect_args *args, const char *kind)
{
    bool levels = strcmp(kind, "levels") == 0;
    bool read_only = strcmp(kind, "read-only") == 0;
    bool roles = args->push_role != NULL || args->delete_role != NULL;
    if (!levels && !read_only && strcmp(kind, "immutable") != 0 && strcmp(kind, "protected") != 0)
        return cli_usage(
            self, "\"%.64s\" is no kind; allowed: immutable, protected, read-only, levels", kind);
    if (read_only && args->tags != NULL)
        return cli_usage(self, "--tags does not go with read-only, which is about repositories");
    if (levels != roles)
        return cli_usage(self, levels ? "levels takes --push-role or --delete-role"
                                      : "--push-role and --delete-role go with levels");
    return CLI_DONE;
}

static enum cli_exit add_run(const struct cli_command *self, int argc, char **argv)
{
    struct protect_args args = { 0 };
    struct call_words words = { 2, 2, "takes a kind and a glob of repositories", NULL, 0 };
    const struct ask_path path = ask_path("/rules");
    enum cli_exit exit = call_read(self, argc, argv, &args, &words);
    if (exit == CLI_DONE)
        exit = check_combination(self, &args, words.items[0]);
    if (exit != CLI_DONE)
        return exit;
    bool read_only = strcmp(words.items[0], "read-only") == 0;
    json_t *body = json_object();
    call_set_text(&body, "kind", words.items[0]);
    call_set_text(&body, "repositories", words.items[1]);
    call_set_text(&body, "tags", read_only ? NULL : args.tags == NULL ? "*" : args.tags);
    call_set_text(&body, "push_role", args.push_role);
    call_set_text(&body, "delete_role", args.delete_role);
    call_set_text(&body, "reason", args.reason);
    return call_row(self, &args.common, &path, body, columns);
}

static const struct cli_flag add_flags[] = {
    { "tags", 0, VALUE_TEXT, "PATTERN",
      "a glob, or re: and a regular expression; all tags\nwithout it",
      offsetof(struct protect_args, tags) },
    { "push-role", 0, VALUE_TEXT, "ROLE",
      "of levels: who may set such a tag: maintainer, owner or\nadministrator",
      offsetof(struct protect_args, push_role) },
    { "delete-role", 0, VALUE_TEXT, "ROLE", "of levels: who may delete such a tag",
      offsetof(struct protect_args, delete_role) },
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
            "  levels      a tag that matches is set or deleted by who has such a role or more\n"
            "\n"
            "Examples:\n"
            "  ebb protect add immutable 'prod/**' --tags 'v*'\n"
            "  ebb protect add protected '**' --tags latest --reason 'deployed by name'\n"
            "  ebb protect add read-only archive/app\n"
            "  ebb protect add levels 'group/**' --tags 'v*' --delete-role owner\n",
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
