/* SPDX-License-Identifier: Apache-2.0
 *
 * `ebb plan show`, `ebb apply` - plans that are there.
 */
#include "cli/cli_call.h"
#include "cli/delete.h"
#include "cli/plan_print.h"

struct plan_args {
    struct cli_common common;
    bool items;
};

static void add_what(const json_t *item, enum cli_form form, struct buf *out);

static const struct table_column item_columns[] = {
    { "KIND", "kind", TABLE_TEXT, NULL },       { "STATE", "state", TABLE_TEXT, NULL },
    { "ROLE", "role", TABLE_TEXT, NULL },       { "REFERENCE", "repository", TABLE_TEXT, add_what },
    { "DIGEST", "digest", TABLE_DIGEST, NULL }, { "SIZE", "size", TABLE_BYTES, NULL },
    { "WHY", "why", TABLE_TEXT, NULL },         { 0 },
};
static const struct table_column plan_columns[] = {
    { "plan", "plan", TABLE_TEXT, NULL },
    { "receipt", "receipt", TABLE_TEXT, NULL },
    { "tags", "tags", TABLE_COUNT, NULL },
    { "manifests", "manifests", TABLE_COUNT, NULL },
    { "blobs", "blobs", TABLE_COUNT, NULL },
    { "bytes_freed", "bytes_freed", TABLE_BYTES, NULL },
    { "bytes_kept", "bytes_kept", TABLE_BYTES, NULL },
    { "protected", "protected", TABLE_COUNT, NULL },
    { 0 },
};

static void add_what(const json_t *item, enum cli_form form, struct buf *out)
{
    struct table_column part = { "", "repository", TABLE_TEXT, NULL };
    (void)form;
    table_cell(item, &part, FORM_TSV, out);
    if (!ask_has(item, "tag"))
        return;
    buf_add_byte(out, ':');
    part.key = "tag";
    table_cell(item, &part, FORM_TSV, out);
}

static enum cli_exit print_plan(const struct cli_command *self, const struct ask_server *s,
                                const struct plan_args *args, const char *id)
{
    AUTO(ask_answer_release) struct ask_answer answer = { 0 };
    struct ask_path path = ask_path("/plans");
    struct err err;
    ask_path_add(&path, str_of(id));
    enum st st = ask(s, "GET", &path, NULL, &answer, &err);
    if (st == ST_OK && args->common.form != FORM_TABLE)
        table_object(args->common.form, plan_columns, answer.body);
    else if (st == ST_OK)
        st = plan_print(s, answer.body, stdout, &err);
    if (st != ST_OK)
        return cli_fail(self, &err);
    if (args->common.form == FORM_TABLE)
        plan_print_end(answer.body, stdout);
    return cli_finish(self);
}

static enum cli_exit show_run(const struct cli_command *self, int argc, char **argv)
{
    struct plan_args args = { 0 };
    struct call_words words = { 1, 1, "takes the id of one plan", NULL, 0 };
    struct ask_server s;
    struct err err;
    enum cli_exit exit = call_read(self, argc, argv, &args, &words);
    if (exit != CLI_DONE)
        return exit;
    if (args.items) {
        struct ask_path path = ask_path("/plans");
        ask_path_add(&path, str_of(words.items[0]));
        ask_path_add(&path, STR("items"));
        return call_list(self, &args.common, &path, item_columns, "The plan is empty.");
    }
    if (ask_server_init(&s, &args.common, &err) != ST_OK)
        return cli_fail(self, &err);
    return print_plan(self, &s, &args, words.items[0]);
}

static const struct cli_flag flags[] = {
    { "items", 0, VALUE_SET, NULL, "each tag, image and blob instead of a summary",
      offsetof(struct plan_args, items) },
    { 0 },
};
static const struct cli_group show_groups[] = {
    { flags, 0 },
    { cli_common_flags, offsetof(struct plan_args, common) },
    { 0 },
};
static const struct cli_command plan_show_command = {
    .name = "plan show",
    .takes = "[OPTIONS] ID",
    .summary = "Show what a plan would delete.",
    .help = "\n"
            "Examples:\n"
            "  ebb plan show 5f0c...\n"
            "  ebb plan show 5f0c... --items -o tsv\n",
    .run = show_run,
    .groups = show_groups,
};
static const struct cli_command *const plan_commands[] = { &plan_show_command, NULL };
const struct cli_command plan_command = {
    .name = "plan",
    .takes = "COMMAND [OPTIONS]",
    .summary = "Show a plan that --dry-run or `ebb why --free` made.",
    .help = "\n"
            "`ebb plan COMMAND --help` shows more.\n",
    .commands = plan_commands,
};

/* ---- apply ----------------------------------------------------------------------------------- */

struct apply_args {
    struct cli_common common;
    struct delete_args deletion;
};

static enum cli_exit apply_run(const struct cli_command *self, int argc, char **argv)
{
    struct apply_args args = { 0 };
    struct call_words words = { 1, 1, "takes the id of one plan", NULL, 0 };
    enum cli_exit exit = call_read(self, argc, argv, &args, &words);
    if (exit != CLI_DONE)
        return exit;
    const struct delete_call call = { .self = self, .common = args.common, .args = args.deletion };
    return delete_apply(&call, words.items[0]);
}

static const struct cli_group apply_groups[] = {
    { delete_apply_flags, offsetof(struct apply_args, deletion) },
    { cli_common_flags, offsetof(struct apply_args, common) },
    { 0 },
};
const struct cli_command apply_command = {
    .name = "apply",
    .takes = "[OPTIONS] ID",
    .summary = "Delete what a plan shows.",
    .help = "\n"
            "Applying a plan again gives the receipt that it has. What changed since it was made\n"
            "is looked at again, and skipped where deleting is no longer safe.\n"
            "\n"
            "Examples:\n"
            "  ebb apply 5f0c...\n"
            "  ebb apply 5f0c... --yes --confirm-tags 900\n",
    .run = apply_run,
    .groups = apply_groups,
};
