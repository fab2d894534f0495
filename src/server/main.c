/* SPDX-License-Identifier: Apache-2.0 */
#include "server/commands.h"

static const struct cli_command commands[] = {
    { "serve", "[OPTIONS]", "Run the registry.", serve_help, serve_run, NULL },
    { "config", "COMMAND [OPTIONS]", "Check or show the configuration, or print the defaults.",
      "\n"
      "`ebb config COMMAND --help` shows more.\n",
      NULL, config_commands },
    { "check", "[OPTIONS] DIR|URL", "Check a data directory or a running registry.", check_help,
      check_command, NULL },
    { "version", "", "Print the version.", "", version_run, NULL },
    { 0 },
};

static const struct cli_command program = {
    "",
    "COMMAND [OPTIONS]",
    "Ebb, a container registry whose deletions give space back.",
    "\n"
    "`ebb COMMAND --help` shows more, and so do the man pages: ebb(1), ebb-serve(1), ebb.yml(5).\n"
    "\n"
    "Examples:\n"
    "  ebb serve                           a registry for this machine, on 127.0.0.1:5000\n"
    "  docker push localhost:5000/app:1    push to it\n"
    "  ebb config defaults > ebb.yml       begin a configuration file\n",
    NULL,
    commands
};

int main(int argc, char **argv)
{
    if (argc == 2 && (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0))
        return (int)version_run(&commands[3], 1, argv);
    return (int)cli_dispatch(&program, argc, argv);
}
