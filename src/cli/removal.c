/* SPDX-License-Identifier: Apache-2.0
 *
 * `ebb removal` - repositories whose deletion goes on in the background, or failed.
 */
#include "cli/cli_call.h"

static const struct table_column columns[] = {
    { "REPOSITORY", "repository", TABLE_TEXT, NULL },
    { "STATE", "state", TABLE_TEXT, NULL },
    { "FAILURES", "failures", TABLE_COUNT, NULL },
    { "NEXT TRY", "next_at", TABLE_TIME, NULL },
    { "BY", "actor", TABLE_TEXT, NULL },
    { "DOOR", "door", TABLE_TEXT, NULL },
    { "ERROR", "error", TABLE_TEXT, NULL },
    { 0 },
};

static enum cli_exit ls_run(const struct cli_command *self, int argc, char **argv)
{
    struct cli_common common = { 0 };
    struct call_words words = { 0, 1, NULL, NULL, 0 };
    struct ask_path path = ask_path("/removals");
    enum cli_exit exit = call_read(self, argc, argv, &common, &words);
    if (exit != CLI_DONE)
        return exit;
    if (words.count > 0)
        ask_query(&path, "prefix", call_prefix(words.items[0]));
    return call_list(self, &common, &path, columns, "No repository is being deleted.");
}

static void reset_one(const char *word, struct ask_path *path, json_t **body)
{
    *path = ask_path("/removals/reset");
    *body = json_object();
    call_set_text(body, "repository", word);
}

static enum cli_exit reset_run(const struct cli_command *self, int argc, char **argv)
{
    static const struct call_each how = { reset_one, "POST", "Trying again to delete", "reset",
                                          false };
    struct cli_common common = { 0 };
    struct call_words words = { 1, CLI_LIST_MAX, "takes the names of repositories", NULL, 0 };
    enum cli_exit exit = call_read(self, argc, argv, &common, &words);
    return exit == CLI_DONE ? call_each(self, &common, &words, &how) : exit;
}

static const struct cli_group groups[] = { { cli_common_flags, 0 }, { 0 } };
static const struct cli_command removal_ls_command = {
    .name = "removal ls",
    .takes = "[OPTIONS] [PREFIX]",
    .summary = "List repositories that are being deleted, or could not be.",
    .help = "\n"
            "Examples:\n"
            "  ebb removal ls\n",
    .run = ls_run,
    .groups = groups,
};
static const struct cli_command removal_reset_command = {
    .name = "removal reset",
    .takes = "[OPTIONS] REPO...",
    .summary = "Try again to delete what failed ten times.",
    .help = "\n"
            "Examples:\n"
            "  ebb removal reset group/app\n",
    .run = reset_run,
    .groups = groups,
};
static const struct cli_command *const commands[] = { &removal_ls_command, &removal_reset_command,
                                                      NULL };
const struct cli_command removal_command = {
    .name = "removal",
    .takes = "[COMMAND] [OPTIONS]",
    .summary = "Repositories whose deletion goes on, or failed.",
    .help = "\n"
            "GitLab's API deletes repositories in the background. `ebb removal COMMAND --help`\n"
            "shows more.\n",
    .commands = commands,
    .otherwise = &removal_ls_command,
};
