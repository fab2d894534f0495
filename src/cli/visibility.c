/* SPDX-License-Identifier: Apache-2.0
 *
 * `ebb visibility` - who may pull without an account.
 */
#include "cli/cli_call.h"
#include "cli/cli_text.h"

static void add_prefix(const json_t *item, enum cli_form form, struct buf *out)
{
    str prefix = ask_text(item, "prefix");
    text_add(out, prefix.len == 0 && form == FORM_TABLE ? STR("/") : prefix);
}

static void add_public(const json_t *item, enum cli_form form, struct buf *out)
{
    bool is_public = json_is_true(json_object_get(item, "public"));
    if (form == FORM_TABLE)
        buf_add(out, is_public ? STR("public") : STR("private"));
    else
        buf_add(out, is_public ? STR("true") : STR("false"));
}

static const struct table_column columns[] = {
    { "PREFIX", "prefix", TABLE_TEXT, add_prefix },
    { "VISIBILITY", "public", TABLE_TEXT, add_public },
    { 0 },
};

static enum cli_exit ls_run(const struct cli_command *self, int argc, char **argv)
{
    struct cli_common common = { 0 };
    struct call_words words = { 0, 1, NULL, NULL, 0 };
    struct ask_path path = ask_path("/visibility");
    enum cli_exit exit = call_read(self, argc, argv, &common, &words);
    if (exit != CLI_DONE)
        return exit;
    ask_query(&path, "prefix", call_prefix(words.count == 0 ? "" : words.items[0]));
    return call_list(self, &common, &path, columns, "Nothing is public.");
}

/* public, private: the last word of the command says which. */
static enum cli_exit set_run(const struct cli_command *self, int argc, char **argv)
{
    struct cli_common common = { 0 };
    struct call_words words = { 1, 1, "takes a path; / is the whole registry", NULL, 0 };
    const struct ask_path path = ask_path("/visibility");
    enum cli_exit exit = call_read(self, argc, argv, &common, &words);
    if (exit != CLI_DONE)
        return exit;
    json_t *body = json_object();
    call_set_prefix(&body, "prefix", words.items[0]);
    call_set(&body, "public", json_boolean(strcmp(cli_last_word(self), "public") == 0));
    return call_row(self, &common, &path, body, columns);
}

static void unset_one(const char *word, struct ask_path *path, json_t **body)
{
    (void)body;
    *path = ask_path("/visibility");
    ask_query(path, "prefix", call_prefix(word));
}

static enum cli_exit unset_run(const struct cli_command *self, int argc, char **argv)
{
    static const struct call_each how = { unset_one, "DELETE", "Removed the setting of", "removed",
                                          false };
    struct cli_common common = { 0 };
    struct call_words words = { 1, 1, "takes a path; / is the whole registry", NULL, 0 };
    enum cli_exit exit = call_read(self, argc, argv, &common, &words);
    return exit == CLI_DONE ? call_each(self, &common, &words, &how) : exit;
}

static const struct cli_group groups[] = { { cli_common_flags, 0 }, { 0 } };
static const struct cli_command visibility_ls_command = {
    .name = "visibility ls",
    .takes = "[OPTIONS] [PREFIX]",
    .summary = "List what is set.",
    .help = "\n"
            "Examples:\n"
            "  ebb visibility ls\n"
            "  ebb visibility ls group\n",
    .run = ls_run,
    .groups = groups,
};
static const struct cli_command visibility_public_command = {
    .name = "visibility public",
    .takes = "[OPTIONS] PREFIX",
    .summary = "Everybody may pull PREFIX and what is below it.",
    .help = "\n"
            "Examples:\n"
            "  ebb visibility public base\n",
    .run = set_run,
    .groups = groups,
};
static const struct cli_command visibility_private_command = {
    .name = "visibility private",
    .takes = "[OPTIONS] PREFIX",
    .summary = "Only members may pull PREFIX and what is below it.",
    .help = "\n"
            "Examples:\n"
            "  ebb visibility private base/internal\n",
    .run = set_run,
    .groups = groups,
};
static const struct cli_command visibility_unset_command = {
    .name = "visibility unset",
    .takes = "[OPTIONS] PREFIX",
    .summary = "What is set above PREFIX counts again.",
    .help = "\n"
            "Examples:\n"
            "  ebb visibility unset base/internal\n",
    .run = unset_run,
    .groups = groups,
};
static const struct cli_command *const commands[] = { &visibility_ls_command,
                                                      &visibility_public_command,
                                                      &visibility_private_command,
                                                      &visibility_unset_command, NULL };
const struct cli_command visibility_command = {
    .name = "visibility",
    .takes = "[COMMAND] [OPTIONS]",
    .summary = "Who may pull without an account.",
    .help = "\n"
            "`ebb visibility COMMAND --help` shows more.\n",
    .commands = commands,
    .otherwise = &visibility_ls_command,
};
