/* SPDX-License-Identifier: Apache-2.0
 *
 * `ebb rm` - images with every tag of them; whole repositories.
 */
#include "cli/cli_reference.h"
#include "cli/delete.h"

struct rm_args {
    struct cli_common common;
    struct delete_args deletion;
    struct cli_list repositories;
};

static enum st add(str reference, void *ctx, struct err *err)
{
    return delete_add_selector(ctx, "image", reference, err);
}

static enum cli_exit rm_run(const struct cli_command *self, int argc, char **argv)
{
    struct rm_args args = { 0 };
    struct delete_call call = { .self = self, .named = true };
    struct err err;
    char **words;
    int count;
    enum cli_exit exit = cli_read(self, argc, argv, &args, &words, &count);
    if (exit != CLI_DONE)
        return exit;
    if (count == 0 && args.repositories.count == 0)
        return cli_usage(self, "which images? Name them as repo:tag or repo@sha256:..., - to read "
                               "them from standard input, or --repository");
    call.common = args.common;
    call.args = args.deletion;
    json_t *select = json_array();
    for (size_t i = 0; exit == CLI_DONE && i < args.repositories.count; i++)
        if (delete_add_selector(select, "repository", str_of(args.repositories.items[i]), &err) !=
            ST_OK)
            exit = cli_usage(self, "--repository: %s", err.text);
    if (exit == CLI_DONE)
        exit = reference_each(self, words, count, REFERENCE_TAG | REFERENCE_IMAGE, add, select,
                              &call.input_is_used);
    if (exit == CLI_DONE)
        return delete_select(&call, select);
    json_decref(select);
    return exit;
}

static const struct cli_flag flags[] = {
    { "repository", 0, VALUE_LIST, "GLOB",
      "everything in the repositories that match; may be\ngiven several times",
      offsetof(struct rm_args, repositories) },
    { 0 },
};
static const struct cli_group groups[] = {
    { flags, 0 },
    { delete_flags, offsetof(struct rm_args, deletion) },
    { cli_common_flags, offsetof(struct rm_args, common) },
    { 0 },
};
const struct cli_command rm_command = {
    .name = "rm",
    .takes = "[OPTIONS] REF...",
    .summary = "Delete images, each with every tag of it, or repositories.",
    .help = "\n"
            "REF is repo:tag or repo@sha256:...; \"-\" reads them from standard input, one a\n"
            "line. What only a deleted image kept (children of an index, signatures, layers)\n"
            "goes with it. `ebb untag` removes a tag alone.\n"
            "\n"
            "Examples:\n"
            "  ebb rm group/app:1.0              after showing all tags of the image\n"
            "  ebb rm --dry-run group/app:1.0    what would go, to the byte\n"
            "  ebb rm --yes --reason 'project closed' --repository 'group/old/**'\n"
            "  ebb rm --now group/app:huge       the space back at once, without an undo\n",
    .run = rm_run,
    .groups = groups,
};
