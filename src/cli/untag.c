/* SPDX-License-Identifier: Apache-2.0
 *
 * `ebb untag` - tags alone; an image goes with its last tag.
 */
#include "cli/cli_reference.h"
#include "cli/delete.h"

struct untag_args {
    struct cli_common common;
    struct delete_args deletion;
};

static enum st add(str reference, void *ctx, struct err *err)
{
    return delete_add_selector(ctx, "tag", reference, err);
}

static enum cli_exit untag_run(const struct cli_command *self, int argc, char **argv)
{
    struct untag_args args = { 0 };
    struct delete_call call = { .self = self, .named = true };
    char **words;
    int count;
    enum cli_exit exit = cli_read(self, argc, argv, &args, &words, &count);
    if (exit != CLI_DONE)
        return exit;
    if (count == 0)
        return cli_usage(self, "which tags? Name them as repo:tag, or - to read them from standard "
                               "input");
    call.common = args.common;
    call.args = args.deletion;
    json_t *select = json_array();
    exit = reference_each(self, words, count, REFERENCE_TAG, add, select, &call.input_is_used);
    if (exit == CLI_DONE)
        return delete_select(&call, select);
    json_decref(select);
    return exit;
}

static const struct cli_group groups[] = {
    { delete_flags, offsetof(struct untag_args, deletion) },
    { cli_common_flags, offsetof(struct untag_args, common) },
    { 0 },
};
const struct cli_command untag_command = {
    .name = "untag",
    .takes = "[OPTIONS] REPO:TAG...",
    .summary = "Remove tags; an image goes with its last one.",
    .help = "\n"
            "\"-\" reads references from standard input, one a line.\n"
            "\n"
            "Examples:\n"
            "  ebb untag group/app:old\n"
            "  ebb untag --dry-run group/app:1 group/app:2\n"
            "  ebb ls group/app -o tsv | cut -f1 | sed 's|^|group/app:|' | ebb untag --yes -\n",
    .run = untag_run,
    .groups = groups,
};
