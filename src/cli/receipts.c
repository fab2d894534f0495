/* SPDX-License-Identifier: Apache-2.0
 *
 * `ebb receipts ls`, `ebb receipt`
 */
#include "cli/receipts.h"
#include "base/quantity.h"
#include "cli/cli_call.h"
#include "cli/cli_text.h"

struct receipts_args {
    struct cli_common common;
    const char *repository;
    bool items;
};

static const struct table_column list_columns[] = {
    { "RECEIPT", "receipt", TABLE_TEXT, NULL },
    { "KIND", "kind", TABLE_TEXT, NULL },
    { "STATE", "state", TABLE_TEXT, NULL },
    { "CREATED", "created_at", TABLE_TIME, NULL },
    { "UNDO UNTIL", "undoable_until", TABLE_TIME, NULL },
    { "DOOR", "door", TABLE_TEXT, NULL },
    { "ACTOR", "actor", TABLE_TEXT, NULL },
    { "TAGS", "tags", TABLE_COUNT, NULL },
    { "IMAGES", "manifests", TABLE_COUNT, NULL },
    { "BLOBS", "blobs", TABLE_COUNT, NULL },
    { "FREED", "bytes_freed", TABLE_BYTES, NULL },
    { "SKIPPED", "skipped", TABLE_COUNT, NULL },
    { "UNDONE", "undone", TABLE_COUNT, NULL },
    { "REASON", "reason", TABLE_TEXT, NULL },
    { 0 },
};

static const struct table_column receipt_columns[] = {
    { "receipt", "receipt", TABLE_TEXT, NULL },
    { "kind", "kind", TABLE_TEXT, NULL },
    { "state", "state", TABLE_TEXT, NULL },
    { "created", "created_at", TABLE_TIME, NULL },
    { "sealed", "sealed_at", TABLE_TIME, NULL },
    { "undo until", "undoable_until", TABLE_TIME, NULL },
    { "undo of", "undo_of", TABLE_TEXT, NULL },
    { "plan", "plan", TABLE_TEXT, NULL },
    { "by", "actor", TABLE_TEXT, NULL },
    { "from", "peer", TABLE_TEXT, NULL },
    { "door", "door", TABLE_TEXT, NULL },
    { "rule", "rule", TABLE_TEXT, NULL },
    { "reason", "reason", TABLE_TEXT, NULL },
    { "tags", "tags", TABLE_COUNT, NULL },
    { "images", "manifests", TABLE_COUNT, NULL },
    { "blobs", "blobs", TABLE_COUNT, NULL },
    { "bytes freed", "bytes_freed", TABLE_BYTES, NULL },
    { "bytes kept", "bytes_kept", TABLE_BYTES, NULL },
    { "skipped", "skipped", TABLE_COUNT, NULL },
    { "undone", "undone", TABLE_COUNT, NULL },
    { "seq", "seq", TABLE_TEXT, NULL },
    { "hash", "hash", TABLE_TEXT, NULL },
    { 0 },
};

static const struct table_column item_columns[] = {
    { "#", "number", TABLE_COUNT, NULL },
    { "KIND", "kind", TABLE_TEXT, NULL },
    { "REPOSITORY", "repository", TABLE_TEXT, NULL },
    { "TAG", "tag", TABLE_TEXT, NULL },
    { "DIGEST", "digest", TABLE_DIGEST, NULL },
    { "SIZE", "size", TABLE_BYTES, NULL },
    { "UNDONE BY", "undone_by", TABLE_TEXT, NULL },
    { "SKIPPED", "skipped", TABLE_TEXT, NULL },
    { 0 },
};

bool receipts_id(const char *text, struct ask_path *path)
{
    uint64_t id;
    if (!str_to_u64(str_of(text), INT64_MAX, &id))
        return false;
    *path = ask_path("/receipts");
    ask_path_add(path, str_of(text));
    return true;
}

static enum cli_exit ls_run(const struct cli_command *self, int argc, char **argv)
{
    struct receipts_args args = { 0 };
    struct call_words words = { 0 };
    struct ask_path path = ask_path("/receipts");
    enum cli_exit exit = call_read(self, argc, argv, &args, &words);
    if (exit != CLI_DONE)
        return exit;
    ask_query(&path, "repository", str_of(args.repository));
    return call_list(self, &args.common, &path, list_columns, "There are no receipts.");
}

static const struct cli_flag ls_flags[] = {
    { "repository", 0, VALUE_TEXT, "REPO", "those with something of REPO",
      offsetof(struct receipts_args, repository) },
    { 0 },
};
static const struct cli_group ls_groups[] = {
    { ls_flags, 0 },
    { cli_common_flags, offsetof(struct receipts_args, common) },
    { 0 },
};
static const struct cli_command receipts_ls_command = {
    .name = "receipts ls",
    .takes = "[OPTIONS]",
    .summary = "List receipts, newest first.",
    .help = "\n"
            "Examples:\n"
            "  ebb receipts\n"
            "  ebb receipts ls --repository group/app -o json\n",
    .run = ls_run,
    .groups = ls_groups,
};
static const struct cli_command *const receipts_commands[] = { &receipts_ls_command,
                                                               &receipts_verify_command, NULL };
const struct cli_command receipts_command = {
    .name = "receipts",
    .takes = "[COMMAND] [OPTIONS]",
    .summary = "List the receipts of deletions, or verify that they are whole.",
    .help = "\n"
            "`ebb receipts COMMAND --help` shows more, `ebb receipt ID` one receipt.\n",
    .commands = receipts_commands,
    .otherwise = &receipts_ls_command,
};

/* ---- one ------------------------------------------------------------------------------------- */

static enum cli_exit print_receipt(const struct cli_command *self, const struct ask_server *s,
                                   const struct ask_path *path, enum cli_form form)
{
    AUTO(ask_answer_release) struct ask_answer answer = { 0 };
    struct err err;
    if (ask(s, "GET", path, NULL, &answer, &err) != ST_OK)
        return cli_fail(self, &err);
    table_object(form, receipt_columns, answer.body);
    if (form == FORM_TABLE && str_eq(ask_text(answer.body, "state"), STR("open"))) {
        const json_t *at = json_object_get(answer.body, "progress");
        text_line(stdout, "progress: %llu of %llu", (unsigned long long)ask_count(at, "done"),
                  (unsigned long long)ask_count(at, "total"));
    }
    return cli_finish(self);
}

static enum cli_exit receipt_run(const struct cli_command *self, int argc, char **argv)
{
    struct receipts_args args = { 0 };
    struct call_words words = { 1, 1, "takes the number of one receipt", NULL, 0 };
    struct ask_server s;
    struct ask_path path;
    struct err err;
    enum cli_exit exit = call_read(self, argc, argv, &args, &words);
    if (exit != CLI_DONE)
        return exit;
    if (!receipts_id(words.items[0], &path))
        return cli_usage(self, "takes the number of one receipt");
    if (args.items) {
        ask_path_add(&path, STR("items"));
        return call_list(self, &args.common, &path, item_columns, "The receipt is empty.");
    }
    if (ask_server_init(&s, &args.common, &err) != ST_OK)
        return cli_fail(self, &err);
    return print_receipt(self, &s, &path, args.common.form);
}

static const struct cli_flag flags[] = {
    { "items", 0, VALUE_SET, NULL, "each tag, image and blob instead of a summary",
      offsetof(struct receipts_args, items) },
    { 0 },
};
static const struct cli_group groups[] = {
    { flags, 0 },
    { cli_common_flags, offsetof(struct receipts_args, common) },
    { 0 },
};
const struct cli_command receipt_command = {
    .name = "receipt",
    .takes = "[OPTIONS] ID",
    .summary = "Show one receipt: who deleted what, when and why.",
    .help = "\n"
            "Examples:\n"
            "  ebb receipt 17\n"
            "  ebb receipt 17 --items -o tsv\n",
    .run = receipt_run,
    .groups = groups,
};
