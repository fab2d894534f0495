/* SPDX-License-Identifier: Apache-2.0
 *
 * `ebb undo` - takes a receipt back, whole or in part.
 */
#include "cli/undo.h"

#include "cli/cli_progress.h"
#include "cli/cli_reference.h"
#include "cli/cli_table.h"
#include "cli/cli_text.h"
#include "cli/delete.h"
#include "cli/plan_print.h"
#include "cli/receipts.h"

static const struct table_column columns[] = {
    { "receipt", "receipt", TABLE_TEXT, NULL },
    { "undo_of", "undo_of", TABLE_TEXT, NULL },
    { "tags", "tags", TABLE_COUNT, NULL },
    { "manifests", "manifests", TABLE_COUNT, NULL },
    { "blobs", "blobs", TABLE_COUNT, NULL },
    { "skipped", "skipped", TABLE_COUNT, NULL },
    { 0 },
};

const struct cli_flag undo_flags[] = {
    { "force", 'f', VALUE_SET, NULL,
      "also tags that were set again meanwhile: back to what\nthey named",
      offsetof(struct undo_args, force) },
    { "as", 0, VALUE_TEXT, "NAME", "give the tag another name; with one tag only",
      offsetof(struct undo_args, as) },
    { "reason", 0, VALUE_TEXT, "TEXT", "why; kept in the receipt",
      offsetof(struct undo_args, reason) },
    { 0 },
};

enum st undo_fill(const struct undo_args *args, json_t *body, struct err *err)
{
    bool good = !args->force || json_object_set_new(body, "force", json_true()) == 0;
    if (good && args->as != NULL)
        good = json_object_set_new(body, "as", json_string(args->as)) == 0;
    if (good && args->reason != NULL)
        good = json_object_set_new(body, "reason", json_string(args->reason)) == 0;
    return good ? ST_OK : err_set(err, ST_INVALID, "--as or --reason is not UTF-8");
}

static enum cli_exit finish(const struct cli_command *self, const struct ask_server *s,
                            const json_t *receipt, enum cli_form form)
{
    char what[PLAN_WHAT_MAX];
    struct err err;
    uint64_t skipped = ask_count(receipt, "skipped");
    bool nothing = ask_count(receipt, "tags") + ask_count(receipt, "manifests") +
                       ask_count(receipt, "blobs") ==
                   0;
    enum st st = delete_print_skipped(s, receipt, form == FORM_TABLE ? stdout : stderr, &err);
    if (form == FORM_TABLE)
        text_line(stdout, "Restored %s. Receipt %llu", plan_what(receipt, what),
                  (unsigned long long)ask_count(receipt, "receipt"));
    else
        table_object(form, columns, receipt);
    enum cli_exit exit = cli_finish(self);
    if (exit != CLI_DONE)
        return exit;
    if (st != ST_OK)
        return cli_fail(self, &err);
    if (skipped > 0 && nothing)
        return cli_refuse(self, "nothing was restored; --force sets tags back that were set again, "
                                "--as gives one another name");
    return skipped > 0 ? CLI_PARTLY : CLI_DONE;
}

enum cli_exit undo_ask(const struct cli_command *self, const struct ask_server *s,
                       const struct ask_path *path, json_t *body, enum cli_form form)
{
    AUTO(ask_answer_release) struct ask_answer answer = { 0 };
    struct err err;
    enum st st = ask(s, "POST", path, body, &answer, &err);
    json_decref(body);
    json_t *receipt = NULL;
    if (st == ST_OK) {
        receipt = json_incref(answer.body);
        st = progress_receipt(s, "restoring", &receipt, &err);
    }
    enum cli_exit exit = st == ST_OK ? finish(self, s, receipt, form) : cli_fail(self, &err);
    json_decref(receipt);
    return exit;
}

/* ---- ebb undo -------------------------------------------------------------------------------- */

struct undo_command_args {
    struct cli_common common;
    struct undo_args undo;
    struct cli_list only;
};

static enum cli_exit add_only(const struct cli_command *self, const struct cli_list *only,
                              json_t *body)
{
    struct err err;
    json_t *list = json_array();
    for (size_t i = 0; i < only->count; i++) {
        if (reference_check(str_of(only->items[i]), REFERENCE_TAG | REFERENCE_IMAGE, &err) !=
            ST_OK) {
            json_decref(list);
            return cli_usage(self, "--only: %s", err.text);
        }
        (void)json_array_append_new(list, json_string(only->items[i]));
    }
    (void)json_object_set_new(body, "only", list);
    return CLI_DONE;
}

static enum cli_exit undo_run(const struct cli_command *self, int argc, char **argv)
{
    struct undo_command_args args = { 0 };
    struct ask_server s;
    struct ask_path path;
    struct err err;
    char **words;
    int count;
    enum cli_exit exit = cli_read(self, argc, argv, &args, &words, &count);
    if (exit != CLI_DONE)
        return exit;
    if (count < 1 || !receipts_id(words[0], &path))
        return cli_usage(self, "takes the number of one receipt");
    for (int i = 1; i < count; i++) { /* --only A B C */
        if (args.only.count == 0 || args.only.count == CLI_LIST_MAX)
            return cli_usage(self, "\"%.64s\" is one argument too many", words[i]);
        args.only.items[args.only.count++] = words[i];
    }
    ask_path_add(&path, STR("undo"));
    json_t *body = json_object();
    if (args.only.count > 0)
        exit = add_only(self, &args.only, body);
    if (exit == CLI_DONE && undo_fill(&args.undo, body, &err) != ST_OK)
        exit = cli_usage(self, "%s", err.text);
    if (exit == CLI_DONE && ask_server_init(&s, &args.common, &err) != ST_OK)
        exit = cli_fail(self, &err);
    if (exit == CLI_DONE)
        return undo_ask(self, &s, &path, body, args.common.form);
    json_decref(body);
    return exit;
}

static const struct cli_flag flags[] = {
    { "only", 0, VALUE_LIST, "REF",
      "this of it: repo:tag or repo@sha256:...; more may\nfollow ID, or the option be given again",
      offsetof(struct undo_command_args, only) },
    { 0 },
};
static const struct cli_group groups[] = {
    { flags, 0 },
    { undo_flags, offsetof(struct undo_command_args, undo) },
    { cli_common_flags, offsetof(struct undo_command_args, common) },
    { 0 },
};
const struct cli_command undo_command = {
    .name = "undo",
    .takes = "[OPTIONS] ID",
    .summary = "Take a deletion back, whole or in part, until its grace ends.",
    .help =
        "\n"
        "Nothing newer is overwritten: a tag that was set again meanwhile is skipped and told.\n"
        "\n"
        "Examples:\n"
        "  ebb undo 17\n"
        "  ebb undo 17 --only group/app:1.0\n"
        "  ebb undo 17 --only group/app:latest --as latest-before\n",
    .run = undo_run,
    .groups = groups,
};
