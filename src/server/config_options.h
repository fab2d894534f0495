/* SPDX-License-Identifier: Apache-2.0
 *
 * config_options - the options that `ebb serve` and `ebb config` share.
 */
#ifndef EBB_CONFIG_OPTIONS_H
#define EBB_CONFIG_OPTIONS_H

#include "cli/cli.h"
#include "server/config.h"

/* Fills *c from the file, the environment and the options, in this order of priority. What is wrong
 * has been said on standard error when this returns anything but CLI_DONE. `file_may_stand_alone`:
 * the file may be given without --config. The caller releases *c, whatever is returned. */
enum cli_exit config_options_load(const struct cli_command *self, int argc, char **argv,
                                  bool file_may_stand_alone, struct config *c);

/* The options' part of a help text. */
#define CONFIG_OPTIONS_HELP                                                                        \
    "  --config FILE          read the configuration from FILE, see ebb.yml(5)\n"                  \
    "  --data DIR             keep database and content in DIR\n"                                  \
    "  --listen ADDR:PORT     listen there; may be given several times\n"                          \
    "  --open                 allow addresses other than loopback: anyone who reaches\n"           \
    "                         them may push, pull and delete\n"                                    \
    "  --set KEY=VALUE        set one key of the configuration\n"                                  \
    "  -h, --help             show this\n"

#endif
