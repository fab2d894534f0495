/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "cli/cli.h"

const char cli_version[] = EBB_VERSION;

static enum cli_exit version_run(const struct cli_command *self, int argc, char **argv)
{
    if (argc > 1)
        return cli_usage(self, "takes nothing, not \"%.64s\"", argv[1]);
    printf("ebb %s\n", cli_version);
    return cli_finish(self);
}

const struct cli_command version_command = {
    .name = "version", .takes = "", .summary = "Print the version.", .help = "", .run = version_run
};
