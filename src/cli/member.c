/* SPDX-License-Identifier: Apache-2.0
 *
 * `ebb member` - who has which role below a path.
 */
#include "cli/cli_call.h"
#include "cli/cli_text.h"

struct member_args {
    struct cli_common common;
    bool inherited;
};

static void add_prefix(const json_t *item, enum cli_form form, struct buf *out)
{
    str prefix = ask_text(item, "prefix");
    text_add(out, prefix.len == 0 && form == FORM_TABLE ? STR("/") : prefix);
}

static const struct table_column columns[] = {
    { "PREFIX", "prefix", TABLE_TEXT, add_prefix }, { "ACCOUNT", "account", TABLE_TEXT, NULL },
    { "ROLE", "role", TABLE_TEXT, NULL },           { "SINCE", "created_at", TABLE_TIME, NULL },
    { "BY", "created_by", TABLE_TEXT, NULL },       { 0 },
};

static enum cli_exit ls_run(const struct cli_command *self, int argc, char **argv)
{
    struct member_args args = { 0 };
    struct call_words words = { 0, 1, NULL, NULL, 0 };
    struct ask_path path = ask_path("/members");
    enum cli_exit exit = call_read(self, argc, argv, &args, &words);
    if (exit != CLI_DONE)
        return exit;
    ask_query(&path, "prefix", call_prefix(words.count == 0 ? "" : words.items[0]));
    if (args.inherited)
        ask_query(&path, "inherited", STR("true"));
    return call_list(self, &args.common, &path, columns, "There are no members.");
}

static enum cli_exit set_run(const struct cli_command *self, int argc, char **argv)
{
    struct cli_common common = { 0 };
    struct call_words words = { 3, 3, "takes a path, an account and a role", NULL, 0 };
    const struct ask_path path = ask_path("/members");
    enum cli_exit exit = call_read(self, argc, argv, &common, &words);
    if (exit != CLI_DONE)
        return exit;
    str role = str_of(words.items[2]);
    if (!str_eq(role, STR("guest")) && !str_eq(role, STR("developer")) &&
        !str_eq(role, STR("maintainer")) && !str_eq(role, STR("owner")))
        return cli_usage(self, "\"%.64s\" is no role; allowed: guest, developer, maintainer, owner",
                         words.items[2]);
    json_t *body = json_object();
    call_set_prefix(&body, "prefix", words.items[0]);
    call_set_text(&body, "account", words.items[1]);
    call_set_text(&body, "role", words.items[2]);
    return call_row(self, &common, &path, body, columns);
}

static void print_removed(const char *account)
{
    json_t *out = json_pack("{s:[s]}", "removed", account);
    table_json(out);
    json_decref(out);
}

static enum cli_exit rm_run(const struct cli_command *self, int argc, char **argv)
{
    AUTO(ask_answer_release) struct ask_answer answer = { 0 };
    struct cli_common common = { 0 };
    struct call_words words = { 2, 2, "takes a path and an account", NULL, 0 };
    struct ask_path path = ask_path("/members");
    struct ask_server s;
    struct err err;
    enum cli_exit exit = call_read(self, argc, argv, &common, &words);
    if (exit == CLI_DONE && ask_server_init(&s, &common, &err) != ST_OK)
        exit = cli_fail(self, &err);
    if (exit != CLI_DONE)
        return exit;
    str prefix = call_prefix(words.items[0]);
    ask_query(&path, "prefix", prefix);
    ask_query(&path, "account", str_of(words.items[1]));
    exit = call_ask(self, &s, "DELETE", &path, NULL, &answer);
    if (exit != CLI_DONE)
        return exit;
    if (common.form == FORM_TABLE)
        text_line(stdout, "%s has no role on %.*s any more.", words.items[1],
                  STR_FMT(prefix.len == 0 ? STR("/") : prefix));
    else if (common.form == FORM_TSV)
        text_line(stdout, "%s", words.items[1]);
    else
        print_removed(words.items[1]);
    return cli_finish(self);
}

static const struct cli_group common_groups[] = { { cli_common_flags, 0 }, { 0 } };
static const struct cli_flag ls_flags[] = {
    { "inherited", 0, VALUE_SET, NULL, "also those that have a role by a path above",
      offsetof(struct member_args, inherited) },
    { 0 },
};
static const struct cli_group ls_groups[] = {
    { ls_flags, 0 },
    { cli_common_flags, offsetof(struct member_args, common) },
    { 0 },
};
static const struct cli_command member_ls_command = {
    .name = "member ls",
    .takes = "[OPTIONS] [PREFIX]",
    .summary = "List the members of a path, or of the whole registry.",
    .help = "\n"
            "Examples:\n"
            "  ebb member ls\n"
            "  ebb member ls group/app --inherited\n",
    .run = ls_run,
    .groups = ls_groups,
};
static const struct cli_command member_set_command = {
    .name = "member set",
    .takes = "[OPTIONS] PREFIX ACCOUNT ROLE",
    .summary = "Give an account a role on a path and below it.",
    .help = "\n"
            "PREFIX / is the whole registry. ROLE is one of:\n"
            "  guest       pulls\n"
            "  developer   pushes as well\n"
            "  maintainer  deletes and sets rules as well\n"
            "  owner       manages members and deletes without a grace as well\n"
            "\n"
            "Examples:\n"
            "  ebb member set group anna maintainer\n"
            "  ebb member set group/app ci developer\n",
    .run = set_run,
    .groups = common_groups,
};
static const struct cli_command member_rm_command = {
    .name = "member rm",
    .takes = "[OPTIONS] PREFIX ACCOUNT",
    .summary = "Take the role of an account on a path away.",
    .help = "\n"
            "Examples:\n"
            "  ebb member rm group anna\n",
    .run = rm_run,
    .groups = common_groups,
};
static const struct cli_command *const commands[] = { &member_ls_command, &member_set_command,
                                                      &member_rm_command, NULL };
const struct cli_command member_command = {
    .name = "member",
    .takes = "[COMMAND] [OPTIONS]",
    .summary = "Who has which role below a path.",
    .help = "\n"
            "`ebb member COMMAND --help` shows more.\n",
    .commands = commands,
    .otherwise = &member_ls_command,
};
