/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"

#include <errno.h>
#include <stdarg.h>
#include <unistd.h>

#include "base/str.h"
#include "cli/cli_text.h"

bool cli_colored(FILE *stream)
{
    const char *no_color = getenv("NO_COLOR");
    return isatty(fileno(stream)) == 1 && (no_color == NULL || no_color[0] == '\0');
}

/* "ebb", "ebb serve", "ebb config check" */
#define PROGRAM(self) (self)->name[0] == '\0' ? "" : " ", (self)->name

const char *cli_last_word(const struct cli_command *self)
{
    const char *blank = strrchr(self->name, ' ');
    return blank == NULL ? self->name : blank + 1;
}

/* ---- help ------------------------------------------------------------------------------------ */

#define OPTION_WIDTH 22

static void print_flag(const struct cli_flag *f, FILE *out)
{
    char left[64];
    char letter[8] = "   ";
    if (f->letter != 0)
        (void)snprintf(letter, sizeof(letter), "-%c,", f->letter);
    (void)snprintf(left, sizeof(left), "%s --%s%s%s", letter, f->name, f->takes == NULL ? "" : " ",
                   f->takes == NULL ? "" : f->takes);
    fprintf(out, "  %-*s", OPTION_WIDTH, left);
    if (strlen(left) >= OPTION_WIDTH)
        fprintf(out, "\n  %*s", OPTION_WIDTH, "");
    for (str rest = str_of(f->text); rest.len > 0;) {
        str line = rest;
        if (!str_cut(rest, '\n', &line, &rest))
            rest = STR("");
        fprintf(out, " %.*s\n", STR_FMT(line));
        if (rest.len > 0)
            fprintf(out, "  %*s", OPTION_WIDTH, "");
    }
}

static void print_rest(const char *text, const char *bold, const char *plain, FILE *out)
{
    for (str rest = str_of(text); rest.len > 0;) { /* headings stand at the margin */
        str line = rest;
        if (!str_cut(rest, '\n', &line, &rest))
            rest = STR("");
        bool heading = str_ends(line, STR(":")) && line.ptr[0] != ' ';
        fprintf(out, "%s%.*s%s\n", heading ? bold : "", STR_FMT(line), heading ? plain : "");
    }
}

void cli_help(const struct cli_command *self, FILE *out)
{
    const char *bold = out == stdout && cli_colored(out) ? "\033[1m" : "";
    const char *plain = bold[0] == '\0' ? "" : "\033[0m";
    fprintf(out, "%s\n\n%sUsage:%s ebb%s%s %s\n", self->summary, bold, plain, PROGRAM(self),
            self->takes);
    if (self->commands != NULL)
        fprintf(out, "\n%sCommands:%s\n", bold, plain);
    for (const struct cli_command *const *c = self->commands; c != NULL && *c != NULL; c++)
        fprintf(out, "  %-11s %s%s\n", cli_last_word(*c), (*c)->summary,
                *c == self->otherwise ? " (The default.)" : "");
    if (self->groups != NULL)
        fprintf(out, "\n%sOptions:%s\n", bold, plain);
    for (const struct cli_group *g = self->groups; g != NULL && g->flags != NULL; g++)
        for (const struct cli_flag *f = g->flags; f->name != NULL; f++)
            print_flag(f, out);
    if (self->groups != NULL)
        fprintf(out, "  %-*s show this\n", OPTION_WIDTH, "-h, --help");
    print_rest(self->help, bold, plain, out);
}

/* ---- what went wrong ------------------------------------------------------------------------- */

static void complain(const struct cli_command *self, const char *text)
{
    const char *red = cli_colored(stderr) ? "\033[31m" : "";
    fprintf(stderr, "%sebb%s%s:%s ", red, PROGRAM(self), red[0] == '\0' ? "" : "\033[0m");
    text_put(stderr, str_of(text));
    (void)fputc('\n', stderr);
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

enum cli_exit cli_refuse(const struct cli_command *self, const char *fmt, ...)
{
    char text[2 * ERR_TEXT_MAX];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    complain(self, text);
    return CLI_FAILED;
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

/* ---- which command --------------------------------------------------------------------------- */

static bool is_help(const char *arg)
{
    return strcmp(arg, "--help") == 0 || strcmp(arg, "-h") == 0;
}

static const struct cli_command *find(const struct cli_command *self, const char *name)
{
    for (const struct cli_command *const *c = self->commands; *c != NULL; c++)
        if (strcmp(cli_last_word(*c), name) == 0)
            return *c;
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
    cli_help(self, stdout);
    return cli_finish(self);
}

static enum cli_exit run(const struct cli_command *c, int argc, char **argv)
{
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
        if (is_help(argv[i])) {
            cli_help(c, stdout);
            return cli_finish(c);
        }
    }
    return c->run(c, argc, argv);
}

static const struct cli_command *root;

const struct cli_command *cli_root(void)
{
    return root;
}

enum cli_exit cli_dispatch(const struct cli_command *self, int argc, char **argv)
{
    if (root == NULL)
        root = self;
    if (argc < 2 && self->otherwise != NULL)
        return run(self->otherwise, argc, argv);
    if (argc < 2)
        return cli_usage(self, "which command?");
    if (strcmp(argv[1], "help") == 0)
        return help_run(self, argc - 1, argv + 1);
    if (is_help(argv[1])) {
        cli_help(self, stdout);
        return cli_finish(self);
    }
    const struct cli_command *c = find(self, argv[1]);
    if (c == NULL && argv[1][0] == '-' && self->otherwise != NULL)
        return run(self->otherwise, argc, argv);
    if (c == NULL && argv[1][0] == '-')
        return cli_usage(self, "unknown option %.64s", argv[1]);
    if (c == NULL)
        return cli_usage(self, "there is no command \"%.64s\"", argv[1]);
    if (c->commands != NULL)
        return cli_dispatch(c, argc - 1, argv + 1);
    return run(c, argc - 1, argv + 1);
}
