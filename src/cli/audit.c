/* SPDX-License-Identifier: Apache-2.0
 *
 * `ebb audit` - who changed which right, and who was refused.
 */
#include "cli/cli_call.h"

#define NUMBER_DEFAULT 100

struct audit_args {
    struct cli_common common;
    const char *actor;
    const char *action;
    struct cli_number number;
};

static const struct table_column columns[] = {
    { "ENTRY", "entry", TABLE_TEXT, NULL },   { "AT", "at", TABLE_TIME, NULL },
    { "ACTOR", "actor", TABLE_TEXT, NULL },   { "FROM", "peer", TABLE_TEXT, NULL },
    { "DOOR", "door", TABLE_TEXT, NULL },     { "ACTION", "action", TABLE_TEXT, NULL },
    { "OBJECT", "object", TABLE_TEXT, NULL }, { "TIMES", "times", TABLE_COUNT, NULL },
    { "DETAIL", "detail", TABLE_TEXT, NULL }, { 0 },
};

static enum cli_exit audit_run(const struct cli_command *self, int argc, char **argv)
{
    struct audit_args args = { 0 };
    struct call_words words = { 0 };
    struct ask_path path = ask_path("/audit");
    struct ask_server s;
    struct err err;
    enum cli_exit exit = call_read(self, argc, argv, &args, &words);
    if (exit != CLI_DONE)
        return exit;
    uint64_t most = args.number.given ? args.number.value : NUMBER_DEFAULT;
    ask_query(&path, "actor", str_of(args.actor));
    ask_query(&path, "action", str_of(args.action));
    if (most > 0 && most < 1000)
        ask_query_number(&path, "n", most);
    if (ask_server_init(&s, &args.common, &err) != ST_OK)
        return cli_fail(self, &err);
    return call_list_of(self, &s, args.common.form, &path, columns, "The audit log is empty.",
                        most);
}

static const struct cli_flag flags[] = {
    { "actor", 0, VALUE_TEXT, "NAME", "of this account", offsetof(struct audit_args, actor) },
    { "action", 0, VALUE_TEXT, "TEXT", "of this kind, such as refused or 'log-in failed'",
      offsetof(struct audit_args, action) },
    { "number", 'n', VALUE_NUMBER, "N", "so many at the most; 100 without it, 0 for all",
      offsetof(struct audit_args, number) },
    { 0 },
};
static const struct cli_group groups[] = {
    { flags, 0 },
    { cli_common_flags, offsetof(struct audit_args, common) },
    { 0 },
};
const struct cli_command audit_command = {
    .name = "audit",
    .takes = "[OPTIONS]",
    .summary = "Show who changed which right, and who was refused, newest first.",
    .help = "\n"
            "What was deleted is in the receipts: `ebb receipts`.\n"
            "\n"
            "Examples:\n"
            "  ebb audit\n"
            "  ebb audit --action refused -n 20\n"
            "  ebb audit --actor anna -n 0 -o json\n",
    .run = audit_run,
    .groups = groups,
};
