/* SPDX-License-Identifier: Apache-2.0
 *
 * `ebb trash` - what was deleted and can still be restored.
 */
#include "cli/cli_call.h"
#include "cli/cli_reference.h"
#include "cli/cli_text.h"
#include "cli/delete.h"
#include "cli/undo.h"

static void add_tags(const json_t *item, enum cli_form form, struct buf *out)
{
    const json_t *tags = json_object_get(item, "tags");
    (void)form;
    text_add(out, ask_text(item, "tag"));
    for (size_t i = 0; i < json_array_size(tags); i++) {
        const json_t *tag = json_array_get(tags, i);
        buf_add(out, out->len > 0 && i > 0 ? STR(", ") : STR(""));
        if (json_is_string(tag))
            text_add(out, (str){ json_string_value(tag), json_string_length(tag) });
    }
}

static const struct table_column columns[] = {
    { "KIND", "kind", TABLE_TEXT, NULL },
    { "REPOSITORY", "repository", TABLE_TEXT, NULL },
    { "TAGS", "tags", TABLE_TEXT, add_tags },
    { "DIGEST", "digest", TABLE_DIGEST, NULL },
    { "SIZE", "size", TABLE_BYTES, NULL },
    { "DELETED", "deleted_at", TABLE_TIME, NULL },
    { "UNTIL", "until", TABLE_TIME, NULL },
    { "RECEIPT", "receipt", TABLE_TEXT, NULL },
    { 0 },
};

static enum cli_exit ls_run(const struct cli_command *self, int argc, char **argv)
{
    struct cli_common common = { 0 };
    struct call_words words = { 0, 1, NULL, NULL, 0 };
    struct ask_path path = ask_path("/trash");
    enum cli_exit exit = call_read(self, argc, argv, &common, &words);
    if (exit != CLI_DONE)
        return exit;
    if (words.count > 0)
        ask_query(&path, "prefix", call_prefix(words.items[0]));
    return call_list(self, &common, &path, columns, "The trash is empty.");
}

static const struct cli_group ls_groups[] = { { cli_common_flags, 0 }, { 0 } };
static const struct cli_command ls_command_of_trash = {
    .name = "trash ls",
    .takes = "[OPTIONS] [PREFIX]",
    .summary = "List what can be restored, the newest deletion first.",
    .help = "\n"
            "Examples:\n"
            "  ebb trash\n"
            "  ebb trash ls group/app\n",
    .run = ls_run,
    .groups = ls_groups,
};

/* ---- restore --------------------------------------------------------------------------------- */

struct restore_args {
    struct cli_common common;
    struct undo_args undo;
};

static enum st add_reference(str reference, void *ctx, struct err *err)
{
    json_t *text = json_stringn(reference.ptr, reference.len);
    return json_array_append_new(ctx, text) == 0 ? ST_OK : err_no_memory(err);
}

static enum cli_exit restore_run(const struct cli_command *self, int argc, char **argv)
{
    struct restore_args args = { 0 };
    struct ask_server s;
    struct ask_path path = ask_path("/trash/restore");
    struct err err;
    char **words;
    int count;
    bool from_input;
    enum cli_exit exit = cli_read(self, argc, argv, &args, &words, &count);
    if (exit != CLI_DONE)
        return exit;
    if (count == 0)
        return cli_usage(self, "which? Name what was deleted as repo:tag or repo@sha256:...");
    json_t *body = json_object();
    json_t *references = json_array();
    (void)json_object_set_new(body, "references", references);
    exit = reference_each(self, words, count, REFERENCE_TAG | REFERENCE_IMAGE, add_reference,
                          references, &from_input);
    if (exit == CLI_DONE && undo_fill(&args.undo, body, &err) != ST_OK)
        exit = cli_usage(self, "%s", err.text);
    if (exit == CLI_DONE && ask_server_init(&s, &args.common, &err) != ST_OK)
        exit = cli_fail(self, &err);
    if (exit == CLI_DONE)
        return undo_ask(self, &s, &path, body, args.common.form);
    json_decref(body);
    return exit;
}

static const struct cli_group restore_groups[] = {
    { undo_flags, offsetof(struct restore_args, undo) },
    { cli_common_flags, offsetof(struct restore_args, common) },
    { 0 },
};
static const struct cli_command restore_command = {
    .name = "trash restore",
    .takes = "[OPTIONS] REF...",
    .summary = "Take back the newest deletion of each.",
    .help = "\n"
            "\"-\" reads references from standard input, one a line.\n"
            "\n"
            "Examples:\n"
            "  ebb trash restore group/app:1.0\n"
            "  ebb trash restore group/app:latest --as latest-before\n",
    .run = restore_run,
    .groups = restore_groups,
};

/* ---- empty ----------------------------------------------------------------------------------- */

struct empty_args {
    struct cli_common common;
    struct delete_args deletion;
};

static enum cli_exit empty_run(const struct cli_command *self, int argc, char **argv)
{
    struct empty_args args = { 0 };
    struct delete_call call = { .self = self };
    struct err err;
    char **words;
    int count;
    enum cli_exit exit = cli_read(self, argc, argv, &args, &words, &count);
    if (exit != CLI_DONE)
        return exit;
    json_t *select = json_array();
    enum st st = count == 0 ? delete_add_selector(select, "trash", STR("**"), &err) : ST_OK;
    for (int i = 0; st == ST_OK && i < count; i++)
        st = delete_add_selector(select, "trash", str_of(words[i]), &err);
    if (st != ST_OK) {
        json_decref(select);
        return cli_usage(self, "%s", err.text);
    }
    call.common = args.common;
    call.args = args.deletion;
    call.args.now = true; /* what is in the trash has had its grace */
    return delete_select(&call, select);
}

static const struct cli_group empty_groups[] = {
    { delete_flags, offsetof(struct empty_args, deletion) },
    { cli_common_flags, offsetof(struct empty_args, common) },
    { 0 },
};
static const struct cli_command empty_command = {
    .name = "trash empty",
    .takes = "[OPTIONS] [GLOB...]",
    .summary = "Give the space of the trash back now; there is no undo.",
    .help = "\n"
            "GLOB names repositories; without one, all of the trash goes. It is always --now.\n"
            "\n"
            "Examples:\n"
            "  ebb trash empty --dry-run\n"
            "  ebb trash empty 'group/**' --yes --bytes 1048576\n",
    .run = empty_run,
    .groups = empty_groups,
};

static const struct cli_command *const commands[] = { &ls_command_of_trash, &restore_command,
                                                      &empty_command, NULL };
const struct cli_command trash_command = {
    .name = "trash",
    .takes = "[COMMAND] [OPTIONS]",
    .summary = "List, restore or empty what was deleted and can still be had.",
    .help = "\n"
            "`ebb trash COMMAND --help` shows more.\n",
    .commands = commands,
    .otherwise = &ls_command_of_trash,
};
