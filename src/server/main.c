/* SPDX-License-Identifier: Apache-2.0 */
#include "server/commands.h"

static const struct cli_command serve_command = { .name = "serve",
                                                  .takes = "[OPTIONS]",
                                                  .summary = "Run the registry.",
                                                  .help = serve_help,
                                                  .run = serve_run };
static const struct cli_command config_command = {
    .name = "config",
    .takes = "COMMAND [OPTIONS]",
    .summary = "Check or show the configuration, or print the defaults.",
    .help = "\n"
            "`ebb config COMMAND --help` shows more.\n",
    .commands = config_commands,
};
static const struct cli_command check_command = {
    .name = "check",
    .takes = "[OPTIONS] DIR|URL",
    .summary = "Check a data directory or a running registry.",
    .help = check_help,
    .run = check_run_command,
    .groups = check_groups,
};

static const struct cli_command *const commands[] = {
    &serve_command,      &ls_command,      &show_command,
    &untag_command,      &rm_command,      &purge_command,
    &plan_command,       &apply_command,   &receipts_command,
    &receipt_command,    &undo_command,    &trash_command,
    &du_command,         &why_command,     &hold_command,
    &protect_command,    &lock_command,    &reclaim_command,
    &removal_command,    &check_command,   &login_command,
    &logout_command,     &whoami_command,  &account_command,
    &password_command,   &token_command,   &member_command,
    &visibility_command, &audit_command,   &config_command,
    &completion_command, &version_command, NULL,
};

static const struct cli_command program = {
    .name = "",
    .takes = "COMMAND [OPTIONS]",
    .summary = "Ebb, a container registry whose deletions give space back.",
    .help = "\n"
            "Commands talk to --server URL, to $EBB_SERVER, or to http://127.0.0.1:5000, as who\n"
            "logged in there (`ebb login`) or as EBB_TOKEN says.\n"
            "`ebb COMMAND --help` shows more, and so does the man page of each: ebb-rm(1).\n"
            "\n"
            "Examples:\n"
            "  ebb serve                           a registry for this machine, on 127.0.0.1:5000\n"
            "  docker push localhost:5000/app:1    push to it\n"
            "  ebb rm --dry-run app:1              what deleting it would free, to the byte\n"
            "  ebb rm app:1                        delete it; the receipt says how to undo that\n"
            "  ebb why --free 10G                  what could go to free 10 GiB\n",
    .commands = commands,
};

int main(int argc, char **argv)
{
    if (argc == 2 && (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0))
        return (int)version_command.run(&version_command, 1, argv);
    return (int)cli_dispatch(&program, argc, argv);
}
