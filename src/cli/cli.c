/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/str.h"

static bool colors_on(FILE *stream)
{
    const char *no_color = getenv("NO_COLOR");
    return isatty(fileno(stream)) == 1 && (no_color == NULL || no_color[0] == '\0');
}

/* "ebb", "ebb serve", "ebb config check" */
#define PROGRAM(self) (self)->name[0] == '\0' ? "" : " ", (self)->name

void cli_help(const struct cli_command *self)
{
    const char *bold = colors_on(stdout) ? "\033[1m" : "";
    const char *plain = bold[0] == '\0' ? "" : "\033[0m";
    printf("%s\n\n%sUsage:%s ebb%s%s %s\n", self->summary, bold, plain, PROGRAM(self), self->takes);
    if (self->commands != NULL)
        printf("\n%sCommands:%s\n", bold, plain);
    for (const struct cli_command *c = self->commands; c != NULL && c->name != NULL; c++) {
        const char *last = strrchr(c->name, ' ');
        printf("  %-10s %s\n", last == NULL ? c->name : last + 1, c->summary);
    }
    for (str rest = str_of(self->help); rest.len > 0;) { /* headings stand at the margin */
        str line = rest;
        if (!str_cut(rest, '\n', &line, &rest))
            rest = STR("");
        bool heading = str_ends(line, STR(":")) && line.ptr[0] != ' ';
        printf("%s%.*s%s\n", heading ? bold : "", STR_FMT(line), heading ? plain : "");
    }
}

static void complain(const struct cli_command *self, const char *text)
{
    const char *red = colors_on(stderr) ? "\033[31m" : "";
    fprintf(stderr, "%sebb%s%s:%s %s\n", red, PROGRAM(self), red[0] == '\0' ? "" : "\033[0m", text);
}

enum cli_exit cli_usage(const struct cli_command *self, const char *fmt, ...)
{
    char text[ERR_TEXT_MAX];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    complain(self, text);
    fprintf(stderr, "`ebb%s%s --help` shows what it takes.\n", PROGRAM(self));
    return CLI_USAGE;
}

enum cli_exit cli_fail(const struct cli_command *self, const struct err *err)
{
    complain(self, err->text);
    return CLI_FAILED;
}

enum cli_exit cli_finish(const struct cli_command *self)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return CLI_DONE;
    struct err err;
    (void)err_sys(&err, "standard output");
    return cli_fail(self, &err);
}

static bool is_help(const char *arg)
{
    return strcmp(arg, "--help") == 0 || strcmp(arg, "-h") == 0;
}

static const struct cli_command *find(const struct cli_command *self, const char *name)
{
    for (const struct cli_command *c = self->commands; c->name != NULL; c++) {
        const char *last = strrchr(c->name, ' ');
        if (strcmp(last == NULL ? c->name : last + 1, name) == 0)
            return c;
    }
    return NULL;
}

/* "ebb help", "ebb help serve", "ebb help config check" */
static enum cli_exit help_run(const struct cli_command *self, int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        const struct cli_command *c = self->commands == NULL ? NULL : find(self, argv[i]);
        if (c == NULL)
            return cli_usage(self, "there is no command \"%.64s\"", argv[i]);
        self = c;
    }
    cli_help(self);
    return cli_finish(self);
}

enum cli_exit cli_dispatch(const struct cli_command *self, int argc, char **argv)
{
    if (argc < 2)
        return cli_usage(self, "which command?");
    if (strcmp(argv[1], "help") == 0)
        return help_run(self, argc - 1, argv + 1);
    if (is_help(argv[1])) {
        cli_help(self);
        return cli_finish(self);
    }
    const struct cli_command *c = find(self, argv[1]);
    if (c == NULL && argv[1][0] == '-')
        return cli_usage(self, "unknown option %.64s", argv[1]);
    if (c == NULL)
        return cli_usage(self, "there is no command \"%.64s\"", argv[1]);
    if (c->commands != NULL)
        return cli_dispatch(c, argc - 1, argv + 1);
    for (int i = 2; i < argc && strcmp(argv[i], "--") != 0; i++) {
        if (is_help(argv[i])) {
            cli_help(c);
            return cli_finish(c);
        }
    }
    return c->run(c, argc - 1, argv + 1);
}

void cli_options_begin(void)
{
    optind = 0; /* glibc: forget what an earlier scan left */
    opterr = 0;
}

int cli_option(const struct cli_command *self, int argc, char **argv, const struct option *options)
{
    int at = MAX(optind, 1);
    int found = getopt_long(argc, argv, ":", options, NULL);
    if (found == ':')
        (void)cli_usage(self, "%s needs a value", argv[optind - 1]);
    else if (found == '?')
        (void)cli_usage(self, "unknown option %.64s", argv[optind > at ? optind - 1 : at]);
    return found == ':' ? '?' : found;
}
