/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"

const char check_help[] = "\n"
                          "Examples:\n"
                          "  ebb check /var/lib/ebb\n"
                          "  ebb check http://localhost:5000\n";

enum cli_exit check_run(const struct cli_command *self, int argc, char **argv)
{
    struct err err;
    (void)argv;
    if (argc != 2)
        return cli_usage(self, "takes one directory or URL");
    (void)err_set(&err, ST_UNSUPPORTED, "not offered by this version");
    return cli_fail(self, &err);
}
