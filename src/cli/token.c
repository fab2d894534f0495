/* SPDX-License-Identifier: Apache-2.0
 *
 * `ebb token` - tokens to log in with.
 */
#include "cli/cli_call.h"
#include "cli/cli_text.h"

struct token_args {
    struct cli_common common;
    const char *account;
    const char *deploy;
    const char *scopes;
    const char *prefix;
    const char *expires;
};

static void add_scopes(const json_t *item, enum cli_form form, struct buf *out)
{
    (void)form;
    call_add_list(item, "scopes", out);
}

static const struct table_column columns[] = {
    { "TOKEN", "token", TABLE_TEXT, NULL },
    { "KIND", "kind", TABLE_TEXT, NULL },
    { "ACCOUNT", "account", TABLE_TEXT, NULL },
    { "NAME", "name", TABLE_TEXT, NULL },
    { "SCOPES", "scopes", TABLE_TEXT, add_scopes },
    { "PREFIX", "prefix", TABLE_TEXT, NULL },
    { "CREATED", "created_at", TABLE_TIME, NULL },
    { "EXPIRES", "expires_at", TABLE_TIME, NULL },
    { "LAST USE", "used_at", TABLE_TIME, NULL },
    { "BY", "created_by", TABLE_TEXT, NULL },
    { 0 },
};

static enum cli_exit check_whose(const struct cli_command *self, const struct token_args *args)
{
    if (args->account != NULL && args->deploy != NULL)
        return cli_usage(self, "--account and --deploy exclude each other");
    if (args->deploy != NULL && call_prefix(args->deploy).len == 0)
        return cli_usage(self, "--deploy takes a path, such as group/app");
    return CLI_DONE;
}

static enum cli_exit ls_run(const struct cli_command *self, int argc, char **argv)
{
    struct token_args args = { 0 };
    struct call_words words = { 0 };
    struct ask_path path = ask_path("/tokens");
    enum cli_exit exit = call_read(self, argc, argv, &args, &words);
    if (exit == CLI_DONE)
        exit = check_whose(self, &args);
    if (exit != CLI_DONE)
        return exit;
    ask_query(&path, "account", str_of(args.account));
    if (args.deploy != NULL)
        ask_query(&path, "prefix", call_prefix(args.deploy));
    return call_list(self, &args.common, &path, columns, "There are no tokens.");
}

/* ---- add ------------------------------------------------------------------------------------- */

/* The secret alone on standard output, so that it can be captured; the rest beside it. */
static enum cli_exit print_new(const struct cli_command *self, enum cli_form form,
                               const struct ask_server *s, const json_t *token)
{
    static const struct table_column line[] = {
        { "token", "token", TABLE_TEXT, NULL },
        { "user", "user", TABLE_TEXT, NULL },
        { "expires_at", "expires_at", TABLE_TIME, NULL },
        { "secret", "secret", TABLE_TEXT, NULL },
        { 0 },
    };
    char until[TEXT_TIME_MAX];
    const char *host = strstr(s->base, "://") + 3;
    str user = ask_text(token, "user");
    if (form != FORM_TABLE) {
        table_object(form, line, token);
        return cli_finish(self);
    }
    text_line(stdout, "%.*s", STR_FMT(ask_text(token, "secret")));
    enum cli_exit exit = cli_finish(self);
    text_line(stderr, "This is token %llu, good %s%s. It is shown this once. To log in with it:",
              (unsigned long long)ask_count(token, "token"),
              ask_has(token, "expires_at") ? "until " : "for ever",
              text_time(ask_text(token, "expires_at"), until));
    text_line(stderr, "  docker login -u %.*s %s", STR_FMT(user), host);
    text_line(stderr, "  ebb --token-file FILE, or EBB_TOKEN");
    return exit;
}

static enum cli_exit add_run(const struct cli_command *self, int argc, char **argv)
{
    AUTO(ask_answer_release) struct ask_answer answer = { 0 };
    struct token_args args = { 0 };
    struct call_words words = { 1, 1, "takes a name for the token", NULL, 0 };
    const struct ask_path path = ask_path("/tokens");
    struct ask_server s;
    struct err err;
    enum cli_exit exit = call_read(self, argc, argv, &args, &words);
    if (exit == CLI_DONE)
        exit = check_whose(self, &args);
    if (exit == CLI_DONE && args.deploy != NULL && args.prefix != NULL)
        exit = cli_usage(self, "--deploy names the prefix; --prefix is for tokens of accounts");
    if (exit != CLI_DONE)
        return exit;
    if (ask_server_init(&s, &args.common, &err) != ST_OK)
        return cli_fail(self, &err);
    json_t *body = json_object();
    json_t *scopes = json_array();
    str rest = args.scopes == NULL ? STR("pull") : str_of(args.scopes);
    for (str one; rest.ptr != NULL;) {
        one = rest;
        if (!str_cut(rest, ',', &one, &rest))
            rest = STR_NONE;
        one = str_trim(one);
        (void)json_array_append_new(scopes, json_stringn(one.ptr, one.len));
    }
    call_set_text(&body, "name", words.items[0]);
    call_set(&body, "scopes", scopes);
    call_set_prefix(&body, "prefix", args.deploy != NULL ? args.deploy : args.prefix);
    call_set_text(&body, "expires_in", args.expires);
    call_set_text(&body, "account", args.account);
    call_set(&body, "deploy", json_boolean(args.deploy != NULL));
    exit = call_ask(self, &s, "POST", &path, body, &answer);
    return exit == CLI_DONE ? print_new(self, args.common.form, &s, answer.body) : exit;
}

/* ---- rm -------------------------------------------------------------------------------------- */

static void remove_one(const char *word, struct ask_path *path, json_t **body)
{
    (void)body;
    *path = ask_path("/tokens");
    ask_path_add(path, str_of(word));
}

static enum cli_exit rm_run(const struct cli_command *self, int argc, char **argv)
{
    static const struct call_each how = { remove_one, "DELETE", "Removed token", "removed", true };
    struct cli_common common = { 0 };
    struct call_words words = { 1, CLI_LIST_MAX, "takes the numbers of tokens", NULL, 0 };
    uint64_t id;
    enum cli_exit exit = call_read(self, argc, argv, &common, &words);
    for (int i = 0; exit == CLI_DONE && i < words.count; i++)
        if (!str_to_u64(str_of(words.items[i]), INT64_MAX, &id))
            exit = cli_usage(self, "\"%.64s\" is no number of a token", words.items[i]);
    return exit == CLI_DONE ? call_each(self, &common, &words, &how) : exit;
}

/* ---- the table ------------------------------------------------------------------------------- */

static const struct cli_group common_groups[] = { { cli_common_flags, 0 }, { 0 } };
static const struct cli_flag ls_flags[] = {
    { "account", 0, VALUE_TEXT, "NAME", "those of this account instead of the own ones",
      offsetof(struct token_args, account) },
    { "deploy", 0, VALUE_TEXT, "PREFIX", "the deploy tokens of PREFIX and below it",
      offsetof(struct token_args, deploy) },
    { 0 },
};
static const struct cli_group ls_groups[] = {
    { ls_flags, 0 },
    { cli_common_flags, offsetof(struct token_args, common) },
    { 0 },
};
static const struct cli_flag add_flags[] = {
    { "scopes", 0, VALUE_TEXT, "LIST", "of pull, push, delete, admin; pull without it",
      offsetof(struct token_args, scopes) },
    { "prefix", 0, VALUE_TEXT, "PATH", "for PATH and what is below it only",
      offsetof(struct token_args, prefix) },
    { "expires", 0, VALUE_DURATION, "DURATION",
      "good for so long: 90d; without it for ever, or as long as\nthe token that asks",
      offsetof(struct token_args, expires) },
    { "account", 0, VALUE_TEXT, "NAME", "of this account instead of the own one",
      offsetof(struct token_args, account) },
    { "deploy", 0, VALUE_TEXT, "PREFIX", "a deploy token of PREFIX, which is nobody's",
      offsetof(struct token_args, deploy) },
    { 0 },
};
static const struct cli_group add_groups[] = {
    { add_flags, 0 },
    { cli_common_flags, offsetof(struct token_args, common) },
    { 0 },
};
static const struct cli_command token_ls_command = {
    .name = "token ls",
    .takes = "[OPTIONS]",
    .summary = "List tokens.",
    .help = "\n"
            "Examples:\n"
            "  ebb token ls\n"
            "  ebb token ls --account ci\n"
            "  ebb token ls --deploy group\n",
    .run = ls_run,
    .groups = ls_groups,
};
static const struct cli_command token_add_command = {
    .name = "token add",
    .takes = "[OPTIONS] NAME",
    .summary = "Make a token; its secret is printed once, alone.",
    .help =
        "\n"
        "A token, such as that of `ebb login`, makes none that may more or lasts longer; with -u\n"
        "the password asks, and there is no such limit.\n"
        "\n"
        "Examples:\n"
        "  ebb token add laptop --scopes pull,push --expires 90d\n"
        "  ebb token add nightly -u admin --account ci --scopes push,delete --prefix group > "
        "token\n"
        "  ebb token add cluster --deploy group/app\n",
    .run = add_run,
    .groups = add_groups,
};
static const struct cli_command token_rm_command = {
    .name = "token rm",
    .takes = "[OPTIONS] ID...",
    .summary = "Take tokens back, at once.",
    .help = "\n"
            "Examples:\n"
            "  ebb token rm 3\n",
    .run = rm_run,
    .groups = common_groups,
};
static const struct cli_command *const commands[] = { &token_ls_command, &token_add_command,
                                                      &token_rm_command, NULL };
const struct cli_command token_command = {
    .name = "token",
    .takes = "[COMMAND] [OPTIONS]",
    .summary = "Tokens to log in with, of accounts and of paths.",
    .help = "\n"
            "`ebb token COMMAND --help` shows more.\n",
    .commands = commands,
    .otherwise = &token_ls_command,
};
