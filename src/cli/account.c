/* SPDX-License-Identifier: Apache-2.0
 *
 * `ebb account` - accounts of people and robots.
 */
#include "cli/account.h"

#include "cli/cli_call.h"
#include "cli/cli_confirm.h"
#include "cli/cli_secret.h"

struct account_args {
    struct cli_common common;
    bool robot, htpasswd;
    bool password, password_stdin;
    bool admin, no_admin, disable, enable;
    bool yes;
    const char *note;
};

static const struct table_column columns[] = {
    { "ACCOUNT", "account", TABLE_TEXT, NULL },
    { "KIND", "kind", TABLE_TEXT, NULL },
    { "ADMINISTRATOR", "administrator", TABLE_TEXT, NULL },
    { "DISABLED", "disabled", TABLE_TEXT, NULL },
    { "CREATED", "created_at", TABLE_TIME, NULL },
    { "LAST LOG-IN", "used_at", TABLE_TIME, NULL },
    { "NOTE", "note", TABLE_TEXT, NULL },
    { 0 },
};

static struct ask_path path_of(const char *name)
{
    struct ask_path path = ask_path("/accounts");
    ask_path_add(&path, str_of(name));
    return path;
}

enum cli_exit account_new_password(const struct cli_command *self, bool from_input, char *out,
                                   size_t size)
{
    char again[SECRET_MAX + 1];
    struct err err;
    enum st st;
    if (from_input) {
        st = secret_from_input(out, size, &err);
    } else {
        st = secret_ask("New password:", out, size, &err);
        if (st == ST_OK)
            st = secret_ask("The same again:", again, sizeof(again), &err);
        if (st == ST_OK && strcmp(out, again) != 0)
            st = err_set(&err, ST_INVALID, "the two are not the same; nothing was changed");
        explicit_bzero(again, sizeof(again));
        if (st == ST_NOT_FOUND)
            (void)err_wrap(&err, "the new password (or use --password-stdin)");
    }
    return st == ST_OK ? CLI_DONE : cli_fail(self, &err);
}

/* ---- ls, show -------------------------------------------------------------------------------- */

static enum cli_exit ls_run(const struct cli_command *self, int argc, char **argv)
{
    struct cli_common common = { 0 };
    struct call_words words = { 0 };
    const struct ask_path path = ask_path("/accounts");
    enum cli_exit exit = call_read(self, argc, argv, &common, &words);
    return exit == CLI_DONE ? call_list(self, &common, &path, columns, "There are no accounts.")
                            : exit;
}

static enum cli_exit show_run(const struct cli_command *self, int argc, char **argv)
{
    static const struct table_column one[] = {
        { "account", "account", TABLE_TEXT, NULL },
        { "kind", "kind", TABLE_TEXT, NULL },
        { "administrator", "administrator", TABLE_TEXT, NULL },
        { "disabled", "disabled", TABLE_TEXT, NULL },
        { "created", "created_at", TABLE_TIME, NULL },
        { "last log-in", "used_at", TABLE_TIME, NULL },
        { "note", "note", TABLE_TEXT, NULL },
        { 0 },
    };
    struct cli_common common = { 0 };
    struct call_words words = { 1, 1, "takes the name of one account", NULL, 0 };
    enum cli_exit exit = call_read(self, argc, argv, &common, &words);
    if (exit != CLI_DONE)
        return exit;
    const struct ask_path path = path_of(words.items[0]);
    return call_object(self, &common, &path, one);
}

/* ---- add, set -------------------------------------------------------------------------------- */

static enum cli_exit add_run(const struct cli_command *self, int argc, char **argv)
{
    struct account_args args = { 0 };
    struct call_words words = { 1, 1, "takes the name of the account", NULL, 0 };
    const struct ask_path path = ask_path("/accounts");
    char password[SECRET_MAX + 1] = "";
    enum cli_exit exit = call_read(self, argc, argv, &args, &words);
    if (exit != CLI_DONE)
        return exit;
    if (args.robot && args.htpasswd)
        return cli_usage(self, "--robot and --htpasswd exclude each other");
    bool person = !args.robot && !args.htpasswd;
    if (!person && args.password_stdin)
        return cli_usage(self, "--password-stdin is for people; the others have no password here");
    if (person)
        exit = account_new_password(self, args.password_stdin, password, sizeof(password));
    if (exit != CLI_DONE)
        return exit;
    json_t *body = json_object();
    call_set_text(&body, "account", words.items[0]);
    call_set_text(&body, "kind", args.robot ? "robot" : args.htpasswd ? "htpasswd" : "person");
    call_set_text(&body, "password", person ? password : NULL);
    call_set(&body, "administrator", json_boolean(args.admin));
    call_set_text(&body, "note", args.note);
    explicit_bzero(password, sizeof(password));
    return call_row(self, &args.common, &path, body, columns);
}

static enum cli_exit set_run(const struct cli_command *self, int argc, char **argv)
{
    struct account_args args = { 0 };
    struct call_words words = { 1, 1, "takes the name of the account", NULL, 0 };
    char password[SECRET_MAX + 1] = "";
    enum cli_exit exit = call_read(self, argc, argv, &args, &words);
    if (exit != CLI_DONE)
        return exit;
    if (args.admin && args.no_admin)
        return cli_usage(self, "--admin and --no-admin exclude each other");
    if (args.disable && args.enable)
        return cli_usage(self, "--disable and --enable exclude each other");
    bool other = args.password || args.password_stdin;
    if (!other && !args.admin && !args.no_admin && !args.disable && !args.enable &&
        args.note == NULL)
        return cli_usage(self, "what is to change?");
    if (other)
        exit = account_new_password(self, args.password_stdin, password, sizeof(password));
    if (exit != CLI_DONE)
        return exit;
    json_t *body = json_object();
    call_set_text(&body, "password", other ? password : NULL);
    call_set_text(&body, "note", args.note);
    if (args.admin || args.no_admin)
        call_set(&body, "administrator", json_boolean(args.admin));
    if (args.disable || args.enable)
        call_set(&body, "disabled", json_boolean(args.disable));
    explicit_bzero(password, sizeof(password));
    const struct ask_path path = path_of(words.items[0]);
    return call_row(self, &args.common, &path, body, columns);
}

/* ---- rm -------------------------------------------------------------------------------------- */

static void remove_one(const char *word, struct ask_path *path, json_t **body)
{
    (void)body;
    *path = path_of(word);
}

static enum cli_exit confirm_removal(const struct cli_command *self, const struct call_words *words)
{
    char question[256];
    if (!confirm_possible(false))
        return cli_refuse(
            self, "nothing was removed: there is no terminal to ask on; --yes does not ask");
    if (words->count == 1)
        (void)snprintf(question, sizeof(question),
                       "Remove account %.64s with its tokens and roles, for good? [y/N]",
                       words->items[0]);
    else
        (void)snprintf(question, sizeof(question),
                       "Remove %d accounts with their tokens and roles, for good? [y/N]",
                       words->count);
    return confirm_yes(false, question) ? CLI_DONE : cli_refuse(self, "nothing was removed");
}

static enum cli_exit rm_run(const struct cli_command *self, int argc, char **argv)
{
    static const struct call_each how = { remove_one, "DELETE", "Removed account", "removed",
                                          false };
    struct account_args args = { 0 };
    struct call_words words = { 1, CLI_LIST_MAX, "takes the names of accounts", NULL, 0 };
    enum cli_exit exit = call_read(self, argc, argv, &args, &words);
    if (exit == CLI_DONE && !args.yes)
        exit = confirm_removal(self, &words);
    return exit == CLI_DONE ? call_each(self, &args.common, &words, &how) : exit;
}

/* ---- the table ------------------------------------------------------------------------------- */

#define FLAG(name, letter, value, takes, text, member)                                             \
    {                                                                                              \
        name, letter, value, takes, text, offsetof(struct account_args, member)                    \
    }
#define PASSWORD_STDIN                                                                             \
    FLAG("password-stdin", 0, VALUE_SET, NULL, "read the password from standard input",            \
         password_stdin)
#define NOTE FLAG("note", 0, VALUE_TEXT, "TEXT", "what it is for", note)

static const struct cli_group common_groups[] = { { cli_common_flags, 0 }, { 0 } };
static const struct cli_flag add_flags[] = {
    FLAG("robot", 0, VALUE_SET, NULL, "no password: it logs in with tokens", robot),
    FLAG("htpasswd", 0, VALUE_SET, NULL, "its password is in the htpasswd file", htpasswd),
    FLAG("admin", 0, VALUE_SET, NULL, "it may do everything", admin),
    NOTE,
    PASSWORD_STDIN,
    { 0 },
};
static const struct cli_group add_groups[] = {
    { add_flags, 0 },
    { cli_common_flags, offsetof(struct account_args, common) },
    { 0 },
};
static const struct cli_flag set_flags[] = {
    FLAG("password", 0, VALUE_SET, NULL, "ask for another password", password),
    PASSWORD_STDIN,
    FLAG("disable", 0, VALUE_SET, NULL, "it cannot log in, and its tokens open nothing", disable),
    FLAG("enable", 0, VALUE_SET, NULL, "it may again", enable),
    FLAG("admin", 0, VALUE_SET, NULL, "it may do everything", admin),
    FLAG("no-admin", 0, VALUE_SET, NULL, "no longer", no_admin),
    NOTE,
    { 0 },
};
static const struct cli_group set_groups[] = {
    { set_flags, 0 },
    { cli_common_flags, offsetof(struct account_args, common) },
    { 0 },
};
static const struct cli_flag rm_flags[] = {
    FLAG("yes", 'y', VALUE_SET, NULL, "do not ask", yes),
    { 0 },
};
static const struct cli_group rm_groups[] = {
    { rm_flags, 0 },
    { cli_common_flags, offsetof(struct account_args, common) },
    { 0 },
};
static const struct cli_command account_ls_command = {
    .name = "account ls",
    .takes = "[OPTIONS]",
    .summary = "List accounts.",
    .help = "\n"
            "Examples:\n"
            "  ebb account ls\n",
    .run = ls_run,
    .groups = common_groups,
};
static const struct cli_command account_show_command = {
    .name = "account show",
    .takes = "[OPTIONS] NAME",
    .summary = "Show an account.",
    .help = "\n"
            "Examples:\n"
            "  ebb account show anna\n",
    .run = show_run,
    .groups = common_groups,
};
static const struct cli_command account_add_command = {
    .name = "account add",
    .takes = "[OPTIONS] NAME",
    .summary = "Add an account.",
    .help = "\n"
            "The password is asked for twice. What it may is said by `ebb member set`.\n"
            "\n"
            "Examples:\n"
            "  ebb account add anna\n"
            "  ebb account add ci --robot --note 'builds of group'\n"
            "  ebb account add root2 --admin --password-stdin < password\n",
    .run = add_run,
    .groups = add_groups,
};
static const struct cli_command account_set_command = {
    .name = "account set",
    .takes = "OPTIONS NAME",
    .summary = "Change an account.",
    .help = "\n"
            "What is not named stays. An empty note removes it.\n"
            "\n"
            "Examples:\n"
            "  ebb account set anna --disable\n"
            "  ebb account set anna --password\n",
    .run = set_run,
    .groups = set_groups,
};
static const struct cli_command account_rm_command = {
    .name = "account rm",
    .takes = "[OPTIONS] NAME...",
    .summary = "Remove accounts with their tokens and roles, for good.",
    .help = "\n"
            "`ebb account set --disable` can be taken back.\n"
            "\n"
            "Examples:\n"
            "  ebb account rm anna\n",
    .run = rm_run,
    .groups = rm_groups,
};
static const struct cli_command *const commands[] = { &account_ls_command,  &account_show_command,
                                                      &account_add_command, &account_set_command,
                                                      &account_rm_command,  NULL };
const struct cli_command account_command = {
    .name = "account",
    .takes = "[COMMAND] [OPTIONS]",
    .summary = "Accounts of people and robots.",
    .help = "\n"
            "`ebb account COMMAND --help` shows more.\n",
    .commands = commands,
    .otherwise = &account_ls_command,
};
