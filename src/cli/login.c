/* SPDX-License-Identifier: Apache-2.0
 *
 * `ebb login`, `ebb logout` - a token for this machine, made, kept and taken back.
 *
 *     password ──▶ GET /self ──▶ POST /tokens ──▶ the file ──▶ DELETE of the token before
 *
 * A crash behind the POST leaves a token at the registry that nobody knows, and that ends by
 * itself; one before the DELETE the same. What the file holds is good in every case.
 */
#include "base/quantity.h"
#include "cli/cli_call.h"
#include "cli/cli_kept.h"
#include "cli/cli_secret.h"
#include "cli/cli_text.h"

#include <unistd.h>

#define EXPIRES_DEFAULT "90d"

struct login_args {
    struct cli_common common;
    bool password_stdin;
    const char *expires;
};

static struct ask_path path_of_token(uint64_t id)
{
    struct ask_path path = ask_path("/tokens");
    char number[32];
    (void)snprintf(number, sizeof(number), "%llu", (unsigned long long)id);
    ask_path_add(&path, str_of(number));
    return path;
}

/* ---- who ------------------------------------------------------------------------------------- */

/* By the first of --password-stdin, EBB_PASSWORD and the terminal. */
static enum st ask_password(const struct ask_server *s, const struct login_args *args,
                            const char *user, char *out, size_t size, struct err *err)
{
    char question[ASKER_USER_MAX + 1200];
    const char *given = getenv("EBB_PASSWORD");
    if (args->password_stdin)
        return secret_from_input(out, size, err);
    if (given != NULL && given[0] != '\0')
        return str_copy(str_of(given), out, size)
                   ? ST_OK
                   : err_set(err, ST_TOO_LARGE, "EBB_PASSWORD is too long");
    (void)snprintf(question, sizeof(question), "Password of %.*s at %s:", (int)ASKER_USER_MAX, user,
                   s->base);
    enum st st = secret_ask(question, out, size, err);
    return st == ST_NOT_FOUND ? err_wrap(err, "the password (or use --password-stdin)") : st;
}

static enum st ask_user(const struct ask_server *s, const struct login_args *args, char *out,
                        size_t size, struct err *err)
{
    char question[1200];
    const char *given = args->common.user != NULL ? args->common.user : getenv("EBB_USER");
    if (given != NULL && given[0] != '\0')
        return str_copy(str_of(given), out, size)
                   ? ST_OK
                   : err_set(err, ST_TOO_LARGE, "the name is too long");
    (void)snprintf(question, sizeof(question), "Name at %s:", s->base);
    enum st st = secret_ask_name(question, out, size, err);
    return st == ST_NOT_FOUND ? err_wrap(err, "who logs in? (use -u NAME)") : st;
}

static enum st choose_asker(struct ask_server *s, const struct login_args *args, struct err *err)
{
    char user[ASKER_USER_MAX + 1] = "";
    char password[SECRET_MAX + 1] = "";
    if (args->common.token_file != NULL)
        return asker_choose(&args->common, s->base, &s->who, err);
    enum st st = asker_allow(s->base, args->common.insecure_http, err);
    if (st == ST_OK)
        st = ask_user(s, args, user, sizeof(user), err);
    if (st == ST_OK)
        st = ask_password(s, args, user, password, sizeof(password), err);
    if (st == ST_OK)
        st = asker_basic(str_of(user), str_of(password), &s->who, err);
    explicit_bzero(password, sizeof(password));
    s->who.kind = ASKER_USER;
    return st;
}

/* ---- login ----------------------------------------------------------------------------------- */

/* What is kept of a token that was given. */
static enum st keep_given(const struct login_args *args, const json_t *who, struct kept_login *out,
                          struct err *err)
{
    char token[ASKER_TOKEN_MAX + 2];
    enum st st = asker_read_token(args->common.token_file, token, err);
    if (st != ST_OK)
        return st;
    (void)str_copy(str_of(token), out->token, sizeof(out->token));
    (void)str_copy(ask_text(json_object_get(who, "token"), "expires_at"), out->expires_at,
                   sizeof(out->expires_at));
    explicit_bzero(token, sizeof(token));
    return ST_OK;
}

static enum st make_token(const struct ask_server *s, const struct login_args *args,
                          struct kept_login *out, struct err *err)
{
    AUTO(ask_answer_release) struct ask_answer answer = { 0 };
    const struct ask_path path = ask_path("/tokens");
    char host[64] = "";
    char name[80];
    if (gethostname(host, sizeof(host)) != 0 || host[0] == '\0')
        (void)snprintf(host, sizeof(host), "a machine");
    host[sizeof(host) - 1] = '\0';
    (void)snprintf(name, sizeof(name), "ebb on %s", host);
    json_t *body = json_pack("{s:s,s:[s],s:s}", "name", name, "scopes", "admin", "expires_in",
                             args->expires == NULL ? EXPIRES_DEFAULT : args->expires);
    if (body == NULL)
        return err_no_memory(err);
    enum st st = ask(s, "POST", &path, body, &answer, err);
    json_decref(body);
    if (st != ST_OK)
        return st;
    out->id = ask_count(answer.body, "token");
    (void)str_copy(ask_text(answer.body, "expires_at"), out->expires_at, sizeof(out->expires_at));
    if (!str_copy(ask_text(answer.body, "secret"), out->token, sizeof(out->token)) ||
        out->token[0] == '\0')
        return err_set(err, ST_INVALID, "%s answers what is no token", s->base);
    return ST_OK;
}

/* Nobody needs it any more. It ends by itself when this fails. */
static enum st take_back(struct ask_server *s, uint64_t id, struct err *err)
{
    AUTO(ask_answer_release) struct ask_answer answer = { 0 };
    const struct ask_path path = path_of_token(id);
    return ask(s, "DELETE", &path, NULL, &answer, err);
}

static enum st log_in(struct ask_server *s, const struct login_args *args, struct kept_login *out,
                      struct err *err)
{
    AUTO(ask_answer_release) struct ask_answer answer = { 0 };
    const struct ask_path path = ask_path("/self");
    struct kept_login before = { 0 };
    bool made = args->common.token_file == NULL;
    enum st st = ask(s, "GET", &path, NULL, &answer, err);
    if (st != ST_OK)
        return ask_refused_as(&answer, "open")
                   ? err_set(err, st,
                             "%s asks nobody who they are (auth.mode is open), so there is nothing "
                             "to log in to",
                             s->base)
                   : st;
    (void)str_copy(ask_text(answer.body, "account"), out->user, sizeof(out->user));
    st = made ? make_token(s, args, out, err) : keep_given(args, answer.body, out, err);
    if (st != ST_OK)
        return st;
    bool replaces = kept_find(s->base, &before, NULL) == ST_OK && before.id > 0;
    st = kept_set(s->base, out, err);
    if (st != ST_OK && made)
        (void)take_back(s, out->id, NULL);
    if (st == ST_OK && replaces)
        (void)take_back(s, before.id, NULL);
    explicit_bzero(&before, sizeof(before));
    return st;
}

/* What goes before what is kept, and would be a riddle. */
static void warn_of_variables(void)
{
    static const char *const names[] = { "EBB_TOKEN", "EBB_USER" };
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        const char *value = getenv(names[i]);
        if (value != NULL && value[0] != '\0')
            fprintf(stderr, "ebb login: %s is set, and goes before what was kept now\n", names[i]);
    }
}

static enum cli_exit login_run(const struct cli_command *self, int argc, char **argv)
{
    struct login_args args = { 0 };
    struct call_words words = { 0 };
    struct ask_server s;
    struct kept_login kept = { 0 };
    struct err err;
    char until[TEXT_TIME_MAX];
    enum cli_exit exit = call_read(self, argc, argv, &args, &words);
    if (exit != CLI_DONE)
        return exit;
    if (args.common.token_file != NULL &&
        (args.password_stdin || args.expires != NULL || args.common.user != NULL))
        return cli_usage(self,
                         "--token-file goes with none of --user, --password-stdin, --expires");
    enum st st = ask_server_find(&s, &args.common, &err);
    if (st == ST_OK)
        st = choose_asker(&s, &args, &err);
    if (st == ST_OK)
        st = log_in(&s, &args, &kept, &err);
    explicit_bzero(kept.token, sizeof(kept.token));
    if (st != ST_OK)
        return cli_fail(self, &err);
    text_line(stdout, "Logged in to %s as %s%s%s.", s.base, kept.user,
              kept.expires_at[0] == '\0' ? "" : ", until ",
              text_time(str_of(kept.expires_at), until));
    warn_of_variables();
    return cli_finish(self);
}

/* ---- logout ---------------------------------------------------------------------------------- */

static enum cli_exit logout_run(const struct cli_command *self, int argc, char **argv)
{
    struct cli_common common = { 0 };
    struct call_words words = { 0 };
    struct ask_server s;
    struct kept_login kept;
    struct err err;
    struct err told;
    enum cli_exit exit = call_read(self, argc, argv, &common, &words);
    if (exit != CLI_DONE)
        return exit;
    enum st st = ask_server_find(&s, &common, &err);
    if (st == ST_OK)
        st = kept_find(s.base, &kept, &err);
    if (st != ST_OK)
        return cli_fail(self, &err);
    enum st left = ST_OK;
    if (kept.id > 0) {
        left = asker_allow(s.base, common.insecure_http, &told);
        if (left == ST_OK)
            left = asker_bearer(str_of(kept.token), &s.who, &told);
        s.who.kind = ASKER_LOGIN;
        if (left == ST_OK)
            left = take_back(&s, kept.id, &told);
    }
    explicit_bzero(&kept, sizeof(kept));
    if (kept_remove(s.base, &err) != ST_OK)
        return cli_fail(self, &err);
    text_line(stdout, "Logged out of %s.", s.base);
    exit = cli_finish(self);
    if (left == ST_OK || exit != CLI_DONE)
        return exit;
    (void)cli_refuse(self, "the token was not taken back: %s", told.text);
    return CLI_PARTLY;
}

/* ---- the table ------------------------------------------------------------------------------- */

static const struct cli_flag login_flags[] = {
    { "password-stdin", 0, VALUE_SET, NULL, "read the password from standard input",
      offsetof(struct login_args, password_stdin) },
    { "expires", 0, VALUE_DURATION, "DURATION", "how long the token is good; 90d without it",
      offsetof(struct login_args, expires) },
    { 0 },
};
static const struct cli_group login_groups[] = {
    { login_flags, 0 },
    { CLI_SERVER_FLAGS, offsetof(struct login_args, common) },
    { 0 },
};
static const struct cli_group logout_groups[] = { { CLI_SERVER_FLAGS, 0 }, { 0 } };
const struct cli_command login_command = {
    .name = "login",
    .takes = "[OPTIONS]",
    .summary = "Log in to a registry: make a token for this machine and keep it.",
    .help = "\n"
            "The password is kept nowhere. Without logging in, EBB_TOKEN, or EBB_USER and\n"
            "EBB_PASSWORD say who asks.\n"
            "\n"
            "Examples:\n"
            "  ebb login\n"
            "  ebb login --server https://registry.example.org -u anna\n"
            "  ebb login -u anna --password-stdin < password\n"
            "  ebb login --token-file token      keep a token that is there, such as a robot's\n",
    .run = login_run,
    .groups = login_groups,
};
const struct cli_command logout_command = {
    .name = "logout",
    .takes = "[OPTIONS]",
    .summary = "Log out of a registry: take the token of this machine back.",
    .help = "\n"
            "Examples:\n"
            "  ebb logout\n"
            "  ebb logout --server https://registry.example.org\n",
    .run = logout_run,
    .groups = logout_groups,
};
