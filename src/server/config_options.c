/* SPDX-License-Identifier: Apache-2.0 */
#include "server/config_options.h"

#include <string.h>
#include <unistd.h>

enum {
    CONFIG_OPTION_CONFIG = 1,
    CONFIG_OPTION_DATA,
    CONFIG_OPTION_LISTEN,
    CONFIG_OPTION_OPEN,
    CONFIG_OPTION_SET
};

static const struct option options[] = {
    { "config", required_argument, NULL, CONFIG_OPTION_CONFIG },
    { "data", required_argument, NULL, CONFIG_OPTION_DATA },
    { "listen", required_argument, NULL, CONFIG_OPTION_LISTEN },
    { "open", no_argument, NULL, CONFIG_OPTION_OPEN },
    { "set", required_argument, NULL, CONFIG_OPTION_SET },
    { 0 },
};

/* The file's name; *file stays NULL without one. */
static enum cli_exit find_file(const struct cli_command *self, int argc, char **argv,
                               bool may_stand_alone, const char **file)
{
    int option;
    cli_options_begin();
    while ((option = cli_option(self, argc, argv, options)) != -1) {
        if (option == '?')
            return CLI_USAGE;
        if (option != CONFIG_OPTION_CONFIG)
            continue;
        if (*file != NULL)
            return cli_usage(self, "--config may be given once");
        *file = optarg;
    }
    if (optind == argc)
        return CLI_DONE;
    if (!may_stand_alone || *file != NULL || argc - optind > 1)
        return cli_usage(self, "\"%.64s\" is one argument too many", argv[argc - 1]);
    *file = argv[optind];
    return CLI_DONE;
}

/* What one option says, when it is of this source. */
static enum st apply(struct config *c, int option, enum config_source source, struct err *err)
{
    if (option == CONFIG_OPTION_SET)
        return source == CONFIG_FROM_SET ? config_set_pair(c, optarg, err) : ST_OK;
    if (source != CONFIG_FROM_OPTION)
        return ST_OK;
    if (option == CONFIG_OPTION_DATA)
        return config_set_option(c, "--data", CONFIG_ID_data, optarg, err);
    if (option == CONFIG_OPTION_LISTEN)
        return config_set_option(c, "--listen", CONFIG_ID_listen, optarg, err);
    if (option == CONFIG_OPTION_OPEN)
        return config_set_option(c, "--open", CONFIG_ID_open, "true", err);
    return ST_OK;
}

/* In two passes, so that an option of its own counts wherever it stands. */
static enum st apply_all(const struct cli_command *self, struct config *c, int argc, char **argv,
                         struct err *err)
{
    for (enum config_source source = CONFIG_FROM_SET; source <= CONFIG_FROM_OPTION; source++) {
        int option;
        cli_options_begin();
        while ((option = cli_option(self, argc, argv, options)) != -1) {
            enum st st = apply(c, option, source, err);
            if (st != ST_OK)
                return st;
        }
    }
    return ST_OK;
}

enum cli_exit config_options_load(const struct cli_command *self, int argc, char **argv,
                                  bool file_may_stand_alone, struct config *c)
{
    const char *file = NULL;
    struct err err;
    *c = (struct config){ 0 };
    enum cli_exit exit = find_file(self, argc, argv, file_may_stand_alone, &file);
    if (exit != CLI_DONE)
        return exit;
    enum st st = config_init(c, &err);
    if (st == ST_OK && file != NULL)
        st = config_load_file(c, file, &err);
    if (st == ST_OK)
        st = config_load_environment(c, (const char *const *)environ, &err);
    if (st != ST_OK)
        return cli_fail(self, &err);
    if (apply_all(self, c, argc, argv, &err) != ST_OK)
        return cli_usage(self, "%s", err.text);
    if (config_complete(c, &err) != ST_OK)
        return cli_fail(self, &err);
    return CLI_DONE;
}
