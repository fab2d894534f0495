/* SPDX-License-Identifier: Apache-2.0
 *
 * `ebb config check|show|defaults`
 */
#include <stdio.h>

#include "server/commands.h"
#include "server/config_options.h"
#include "server/listen.h"

#define OUTPUT_MAX_BYTES (1 * MIB)

static enum cli_exit print(const struct cli_command *self, struct buf *out)
{
    struct err err;
    enum st st = buf_status(out, &err);
    if (st == ST_OK)
        fwrite(out->ptr, 1, out->len, stdout);
    buf_release(out);
    return st == ST_OK ? cli_finish(self) : cli_fail(self, &err);
}

/* What `ebb serve` refuses later than the configuration itself. */
static enum st check(const struct config *c, struct err *err)
{
    for (size_t i = 0; i < c->listen.count && !c->open; i++) {
        enum st st = listen_check_loopback(c->listen.items[i], err);
        if (st != ST_OK)
            return st;
    }
    return ST_OK;
}

static enum cli_exit check_config(const struct cli_command *self, int argc, char **argv)
{
    struct config c;
    struct err err;
    enum cli_exit exit = config_options_load(self, argc, argv, true, &c);
    if (exit == CLI_DONE && check(&c, &err) != ST_OK)
        exit = cli_fail(self, &err);
    if (exit == CLI_DONE) {
        if (c.file != NULL)
            printf("%s is a good configuration.\n", c.file);
        else
            printf("The configuration is good.\n");
        exit = cli_finish(self);
    }
    config_release(&c);
    return exit;
}

static enum cli_exit show(const struct cli_command *self, int argc, char **argv)
{
    struct config c;
    enum cli_exit exit = config_options_load(self, argc, argv, true, &c);
    if (exit == CLI_DONE) {
        struct buf out = { .max_bytes = OUTPUT_MAX_BYTES };
        config_print(&c, &out);
        exit = print(self, &out);
    }
    config_release(&c);
    return exit;
}

static enum cli_exit defaults(const struct cli_command *self, int argc, char **argv)
{
    if (argc > 1)
        return cli_usage(self, "takes nothing, not \"%.64s\"", argv[1]);
    struct buf out = { .max_bytes = OUTPUT_MAX_BYTES };
    config_print_defaults(&out);
    return print(self, &out);
}

static const struct cli_command check_command = {
    .name = "config check",
    .takes = "[OPTIONS] [FILE]",
    .summary = "Say whether the configuration is good.",
    .help = "\n"
            "Options, as of `ebb serve`:\n" CONFIG_OPTIONS_HELP "\n"
            "Examples:\n"
            "  ebb config check /etc/ebb/ebb.yml\n",
    .run = check_config,
};
static const struct cli_command show_command_of_config = {
    .name = "config show",
    .takes = "[OPTIONS] [FILE]",
    .summary = "Print every key, its value and where it comes from.",
    .help = "\n"
            "Options, as of `ebb serve`:\n" CONFIG_OPTIONS_HELP "\n"
            "Examples:\n"
            "  ebb config show --set reclaim.grace=2h\n"
            "  EBB_LOG_LEVEL=debug ebb config show /etc/ebb/ebb.yml\n",
    .run = show,
};
static const struct cli_command defaults_command = {
    .name = "config defaults",
    .takes = "",
    .summary = "Print a configuration file with every key and its meaning.",
    .help = "\n"
            "Examples:\n"
            "  ebb config defaults > ebb.yml\n",
    .run = defaults,
};
const struct cli_command *const config_commands[] = { &check_command, &show_command_of_config,
                                                      &defaults_command, NULL };
