/* SPDX-License-Identifier: Apache-2.0
 *
 * `ebb du` - who uses how much.
 */
#include "cli/cli_call.h"

#define DEPTH_MAX 8 /* the API gives no more */

struct du_args {
    struct cli_common common;
    struct cli_number depth;
};

static void add_prefix(const json_t *item, enum cli_form form, struct buf *out)
{
    static const struct table_column prefix = { "", "prefix", TABLE_TEXT, NULL };
    if (form == FORM_TABLE && ask_text(item, "prefix").len == 0)
        buf_add(out, STR("(all)"));
    else
        table_cell(item, &prefix, form, out);
}

static const struct table_column columns[] = {
    { "UNIQUE", "unique", TABLE_BYTES, NULL },      { "SHARED", "shared", TABLE_BYTES, NULL },
    { "TRASH", "trash", TABLE_BYTES, NULL },        { "PENDING", "pending", TABLE_BYTES, NULL },
    { "UPLOADS", "uploads", TABLE_BYTES, NULL },    { "REPOS", "repositories", TABLE_COUNT, NULL },
    { "TAGS", "tags", TABLE_COUNT, NULL },          { "MANIFESTS", "manifests", TABLE_COUNT, NULL },
    { "PREFIX", "prefix", TABLE_TEXT, add_prefix }, { 0 },
};

/* What is below comes first, as in du(1). */
static enum st add_rows(const json_t *usage, unsigned depth, struct table *t, struct err *err)
{
    const json_t *below = json_object_get(usage, "below");
    enum st st = ST_OK;
    for (size_t i = 0; depth > 0 && st == ST_OK && i < json_array_size(below); i++)
        st = add_rows(json_array_get(below, i), depth - 1, t, err);
    return st == ST_OK ? table_row(usage, t, err) : st;
}

static enum cli_exit du_run(const struct cli_command *self, int argc, char **argv)
{
    static struct table t;
    struct du_args args = { 0 };
    struct call_words words = { 0, 1, NULL, NULL, 0 };
    struct ask_path path = ask_path("/usage");
    struct ask_server s;
    struct err err;
    enum cli_exit exit = call_read(self, argc, argv, &args, &words);
    if (exit != CLI_DONE)
        return exit;
    if (args.depth.given && args.depth.value > DEPTH_MAX)
        return cli_usage(self, "--depth is at most %d", DEPTH_MAX);
    uint64_t depth = args.depth.given ? args.depth.value : 1;
    if (words.count > 0)
        ask_query(&path, "prefix", call_prefix(words.items[0]));
    ask_query_number(&path, "depth", depth);
    AUTO(ask_answer_release) struct ask_answer answer = { 0 };
    enum st st = ask_server_init(&s, &args.common, &err);
    if (st == ST_OK)
        st = ask(&s, "GET", &path, NULL, &answer, &err);
    if (st == ST_OK && args.common.form == FORM_JSON) {
        table_json(answer.body);
    } else if (st == ST_OK) {
        table_begin(&t, args.common.form, columns);
        st = add_rows(answer.body, (unsigned)depth, &t, &err);
        table_end(&t, NULL);
    }
    return st == ST_OK ? cli_finish(self) : cli_fail(self, &err);
}

static const struct cli_flag flags[] = {
    { "depth", 'd', VALUE_NUMBER, "N", "so many parts of the names below PREFIX; 1 without it",
      offsetof(struct du_args, depth) },
    { 0 },
};
static const struct cli_group groups[] = {
    { flags, 0 },
    { cli_common_flags, offsetof(struct du_args, common) },
    { 0 },
};
const struct cli_command du_command = {
    .name = "du",
    .takes = "[OPTIONS] [PREFIX]",
    .summary = "Show who uses how much space.",
    .help = "\n"
            "UNIQUE is used there alone, SHARED elsewhere, too; TRASH can be restored, PENDING is\n"
            "about to be reclaimed.\n"
            "\n"
            "Examples:\n"
            "  ebb du\n"
            "  ebb du group --depth 2\n"
            "  ebb du -o json | jq .unique\n",
    .run = du_run,
    .groups = groups,
};
