/* SPDX-License-Identifier: Apache-2.0
 *
 * `ebb whoami` - who asks, and what they may.
 */
#include "cli/cli_call.h"
#include "cli/cli_text.h"

struct whoami_args {
    struct cli_common common;
};

static void add_token(const json_t *item, const char *key, enum cli_form form, struct buf *out)
{
    const struct table_column column = { "", key, TABLE_TIME, NULL };
    const json_t *token = json_object_get(item, "token");
    if (json_is_array(json_object_get(token, key)))
        call_add_list(token, key, out);
    else
        table_cell(token, &column, form, out);
}

static void add_id(const json_t *item, enum cli_form form, struct buf *out)
{
    char number[32];
    uint64_t id = ask_count(json_object_get(item, "token"), "token");
    (void)snprintf(number, sizeof(number), "%llu", (unsigned long long)id);
    buf_add(out, id > 0 ? str_of(number) : form == FORM_TABLE ? STR("-") : STR(""));
}

static void add_scopes(const json_t *item, enum cli_form form, struct buf *out)
{
    add_token(item, "scopes", form, out);
}

static void add_prefix(const json_t *item, enum cli_form form, struct buf *out)
{
    if (form == FORM_TABLE && ask_text(json_object_get(item, "token"), "prefix").len == 0)
        buf_add(out, STR("/"));
    else
        add_token(item, "prefix", form, out);
}

static void add_expiry(const json_t *item, enum cli_form form, struct buf *out)
{
    add_token(item, "expires_at", form, out);
}

static void add_rights(const json_t *item, enum cli_form form, struct buf *out)
{
    (void)form;
    call_add_list(item, "rights", out);
}

static const struct table_column whole_columns[] = {
    { "account", "account", TABLE_TEXT, NULL },
    { "kind", "kind", TABLE_TEXT, NULL },
    { "administrator", "administrator", TABLE_TEXT, NULL },
    { "token", "token", TABLE_TEXT, add_id },
    { "scopes", "token", TABLE_TEXT, add_scopes },
    { "prefix", "token", TABLE_TEXT, add_prefix },
    { "expires", "token", TABLE_TEXT, add_expiry },
    { "path", "path", TABLE_TEXT, NULL },
    { "role", "role", TABLE_TEXT, NULL },
    { "rights", "rights", TABLE_TEXT, add_rights },
    { 0 },
};

/* A person wants to see only what there is. */
static void print_person(const json_t *who)
{
    struct table_column shown[ARRAY_LEN(whole_columns)] = { 0 };
    size_t count = 0;
    bool token = ask_has(who, "token");
    bool path = ask_has(who, "path");
    for (const struct table_column *c = whole_columns; c->title != NULL; c++) {
        bool of_token = strcmp(c->key, "token") == 0;
        bool of_path = strcmp(c->key, "path") == 0 || strcmp(c->key, "role") == 0 ||
                       strcmp(c->key, "rights") == 0;
        if ((token || !of_token) && (path || !of_path))
            shown[count++] = *c;
    }
    table_object(FORM_TABLE, shown, who);
}

static enum st print_roles(const json_t *who, struct err *err)
{
    static struct table t;
    static const struct table_column columns[] = {
        { "PREFIX", "prefix", TABLE_TEXT, NULL },
        { "ROLE", "role", TABLE_TEXT, NULL },
        { 0 },
    };
    const json_t *roles = json_object_get(who, "roles");
    enum st st = ST_OK;
    if (json_array_size(roles) == 0)
        return ST_OK;
    printf("\n");
    table_begin(&t, FORM_TABLE, columns);
    for (size_t i = 0; st == ST_OK && i < json_array_size(roles); i++)
        st = table_row(json_array_get(roles, i), &t, err);
    table_end(&t, NULL);
    return st;
}

static enum cli_exit whoami_run(const struct cli_command *self, int argc, char **argv)
{
    AUTO(ask_answer_release) struct ask_answer answer = { 0 };
    struct whoami_args args = { 0 };
    struct call_words words = { 0, 1, NULL, NULL, 0 };
    struct ask_path path = ask_path("/self");
    struct ask_server s;
    struct err err;
    enum cli_exit exit = call_read(self, argc, argv, &args, &words);
    if (exit == CLI_DONE && ask_server_init(&s, &args.common, &err) != ST_OK)
        exit = cli_fail(self, &err);
    if (exit != CLI_DONE)
        return exit;
    if (words.count > 0)
        ask_query(&path, "path", call_prefix(words.items[0]));
    exit = call_ask(self, &s, "GET", &path, NULL, &answer);
    if (exit != CLI_DONE)
        return exit;
    enum st st = ST_OK;
    if (args.common.form == FORM_TABLE) {
        print_person(answer.body);
        st = print_roles(answer.body, &err);
    } else {
        table_object(args.common.form, whole_columns, answer.body);
    }
    return st == ST_OK ? cli_finish(self) : cli_fail(self, &err);
}

static const struct cli_group groups[] = {
    { cli_common_flags, offsetof(struct whoami_args, common) },
    { 0 },
};
const struct cli_command whoami_command = {
    .name = "whoami",
    .takes = "[OPTIONS] [PATH]",
    .summary = "Show who asks, and what they may.",
    .help = "\n"
            "Examples:\n"
            "  ebb whoami\n"
            "  ebb whoami group/app      and what may be done there\n",
    .run = whoami_run,
    .groups = groups,
};
