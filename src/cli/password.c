/* SPDX-License-Identifier: Apache-2.0
 *
 * `ebb password` - another password for the account that asks.
 */
#include "cli/account.h"
#include "cli/cli_call.h"
#include "cli/cli_secret.h"
#include "cli/cli_text.h"

struct password_args {
    struct cli_common common;
    bool from_input;
};

/* The present one: who found a terminal open must not be able to change it. */
static enum cli_exit ask_old(const struct cli_command *self, bool from_input, char *out,
                             size_t size)
{
    struct err err;
    const char *given = getenv("EBB_PASSWORD");
    enum st st = ST_OK;
    if (from_input)
        st = secret_from_input(out, size, &err);
    else if (given == NULL || given[0] == '\0')
        st = secret_ask("Present password:", out, size, &err);
    else if (!str_copy(str_of(given), out, size))
        st = err_set(&err, ST_TOO_LARGE, "EBB_PASSWORD is too long");
    if (st == ST_NOT_FOUND)
        (void)err_wrap(&err, "the present password (or use --password-stdin)");
    return st == ST_OK ? CLI_DONE : cli_fail(self, &err);
}

static enum cli_exit change(const struct cli_command *self, const struct password_args *args,
                            const struct ask_server *s, str account)
{
    AUTO(ask_answer_release) struct ask_answer answer = { 0 };
    char old[SECRET_MAX + 1] = "";
    char new[SECRET_MAX + 1] = "";
    struct ask_path path = ask_path("/accounts");
    ask_path_add(&path, account);
    enum cli_exit exit = ask_old(self, args->from_input, old, sizeof(old));
    if (exit == CLI_DONE)
        exit = account_new_password(self, args->from_input, new, sizeof(new));
    if (exit != CLI_DONE)
        return exit;
    json_t *body = json_object();
    call_set_text(&body, "old_password", old);
    call_set_text(&body, "password", new);
    explicit_bzero(old, sizeof(old));
    explicit_bzero(new, sizeof(new));
    exit = call_ask(self, s, "POST", &path, body, &answer);
    if (exit != CLI_DONE)
        return exit;
    text_line(stdout, "The password of %.*s is set.", STR_FMT(account));
    return cli_finish(self);
}

static enum cli_exit password_run(const struct cli_command *self, int argc, char **argv)
{
    AUTO(ask_answer_release) struct ask_answer self_answer = { 0 };
    struct password_args args = { 0 };
    struct call_words words = { 0 };
    struct ask_server s;
    struct err err;
    const struct ask_path path = ask_path("/self");
    enum cli_exit exit = call_read(self, argc, argv, &args, &words);
    if (exit == CLI_DONE && ask_server_init(&s, &args.common, &err) != ST_OK)
        exit = cli_fail(self, &err);
    if (exit == CLI_DONE)
        exit = call_ask(self, &s, "GET", &path, NULL, &self_answer);
    if (exit != CLI_DONE)
        return exit;
    if (!str_eq(ask_text(self_answer.body, "kind"), STR("person")))
        return cli_refuse(self,
                          "%.*s has no password at the registry; say who asks with --user, or "
                          "log in with `ebb login`",
                          STR_FMT(ask_text(self_answer.body, "account")));
    return change(self, &args, &s, ask_text(self_answer.body, "account"));
}

static const struct cli_flag flags[] = {
    { "password-stdin", 0, VALUE_SET, NULL,
      "read the present one from the first line of standard\ninput, the new one from the second",
      offsetof(struct password_args, from_input) },
    { 0 },
};
static const struct cli_group groups[] = {
    { flags, 0 },
    { CLI_SERVER_FLAGS, offsetof(struct password_args, common) },
    { 0 },
};
const struct cli_command password_command = {
    .name = "password",
    .takes = "[OPTIONS]",
    .summary = "Set the own password.",
    .help = "\n"
            "Examples:\n"
            "  ebb password\n"
            "  ebb password -u anna\n",
    .run = password_run,
    .groups = groups,
};
