/* SPDX-License-Identifier: Apache-2.0
 *
 * `ebb completion` - scripts that complete commands and options, made of the table of commands and
 * of what each --help shows, so that nothing is written twice.
 */
#include "base/buf.h"
#include "cli/cli.h"

#define SCRIPT_MAX_BYTES (256 * KIB)

struct completion {
    struct buf script;
    bool zsh;
};

/* ---- what --help shows ----------------------------------------------------------------------- */

struct option_line {
    str letter; /* "-o" or unset */
    str name;   /* "--output" or unset */
    bool takes;
    str text;
};

/* "  -o, --output FORM  table (default), json or tsv" */
static bool parse_option(str line, struct option_line *out)
{
    str s = str_trim(line);
    if (!str_starts(s, STR("-")) || !str_starts(line, STR("  ")))
        return false;
    *out = (struct option_line){ 0 };
    size_t i = 0;
    while (i < s.len && s.ptr[i] == '-') {
        size_t end = i;
        while (end < s.len && s.ptr[end] != ' ' && s.ptr[end] != ',')
            end++;
        str word = str_slice(s, i, end);
        if (str_starts(word, STR("--")))
            out->name = word;
        else
            out->letter = word;
        i = end;
        while (i < s.len && s.ptr[i] == ',')
            i++;
        size_t blanks = i;
        while (blanks < s.len && s.ptr[blanks] == ' ')
            blanks++;
        if (blanks - i != 1) {
            i = blanks;
            break;
        }
        i = blanks;
    }
    out->takes = i < s.len && s.ptr[i] >= 'A' && s.ptr[i] <= 'Z';
    for (; out->takes && i < s.len && s.ptr[i] != ' '; i++)
        ;
    out->text = str_trim(str_slice(s, i, s.len));
    return true;
}

/* The text of --help; NULL without memory. Free with free(): it is stdio's. */
static char *render_help(const struct cli_command *c)
{
    char *text = NULL;
    size_t len;
    FILE *out = open_memstream(&text, &len);
    if (out == NULL)
        return NULL;
    cli_help(c, out);
    if (fclose(out) == 0)
        return text;
    free(text);
    return NULL;
}

/* ---- the script ------------------------------------------------------------------------------ */

/* Between single quotes of a shell; zsh takes what stands before a colon as the word. */
static void add_quoted(struct buf *b, str s, bool escape_colons)
{
    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] == '\'')
            buf_add(b, STR("'\\''"));
        else if (s.ptr[i] == ':' && escape_colons)
            buf_add(b, STR("\\:"));
        else
            buf_add_byte(b, s.ptr[i]);
    }
}

static void add_word(struct completion *c, bool first, str word, str text)
{
    if (c->zsh) {
        buf_add(&c->script, STR(" '"));
        add_quoted(&c->script, word, true);
        buf_add_byte(&c->script, ':');
        add_quoted(&c->script, text, false);
        buf_add_byte(&c->script, '\'');
    } else {
        buf_add(&c->script, first ? STR("") : STR(" "));
        buf_add(&c->script, word);
    }
}

static void begin_case(struct completion *c, const struct cli_command *self, const char *variable)
{
    buf_printf(&c->script, "    '%s') %s=%s", self->name, variable, c->zsh ? "(" : "'");
}

static void end_case(struct completion *c)
{
    buf_add(&c->script, c->zsh ? STR(" ) ;;\n") : STR("' ;;\n"));
}

static void add_commands(struct completion *c, const struct cli_command *self)
{
    if (self->commands == NULL)
        return;
    begin_case(c, self, "subcommands");
    for (const struct cli_command *const *sub = self->commands; *sub != NULL; sub++)
        add_word(c, sub == self->commands, str_of(cli_last_word(*sub)), str_of((*sub)->summary));
    if (self->name[0] == '\0')
        add_word(c, false, STR("help"), STR("Print what a command takes."));
    end_case(c);
    for (const struct cli_command *const *sub = self->commands; *sub != NULL; sub++)
        add_commands(c, *sub);
}

static bool add_options(struct completion *c, const struct cli_command *self)
{
    const struct cli_command *of = self->otherwise != NULL ? self->otherwise : self;
    char *help = render_help(of);
    bool first = true;
    if (help == NULL)
        return false;
    begin_case(c, self, "flags");
    for (str rest = str_of(help); rest.len > 0;) {
        str line = rest;
        struct option_line option;
        if (!str_cut(rest, '\n', &line, &rest))
            rest = STR("");
        if (!parse_option(line, &option) || option.name.len == 0)
            continue;
        add_word(c, first, option.name, option.text);
        if (option.letter.len > 0)
            add_word(c, false, option.letter, option.text);
        first = false;
    }
    end_case(c);
    free(help);
    bool good = true;
    for (const struct cli_command *const *sub = self->commands; good && sub != NULL && *sub != NULL;
         sub++)
        good = add_options(c, *sub);
    return good;
}

static const char bash_head[] =
    "# bash completion for ebb; `ebb completion bash` prints it.\n"
    "_ebb()\n"
    "{\n"
    "    local at='' cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}\n"
    "    local subcommands='' flags='' word i\n"
    "    COMPREPLY=()\n"
    "    for ((i = 1; i < COMP_CWORD; i++)); do\n"
    "        word=${COMP_WORDS[i]}\n"
    "        _ebb_table \"$at\"\n"
    "        [[ \" $subcommands \" == *\" $word \"* ]] && at=${at:+$at }$word\n"
    "    done\n"
    "    case $prev in\n"
    "    -o | --output) COMPREPLY=($(compgen -W 'table json tsv' -- \"$cur\")); return ;;\n"
    "    --config | --data | --ca | --token-file) COMPREPLY=($(compgen -f -- \"$cur\")); return "
    ";;\n"
    "    esac\n"
    "    _ebb_table \"$at\"\n"
    "    if [[ $cur == -* ]]; then\n"
    "        COMPREPLY=($(compgen -W \"$flags\" -- \"$cur\"))\n"
    "    elif [[ -n $subcommands ]]; then\n"
    "        COMPREPLY=($(compgen -W \"$subcommands\" -- \"$cur\"))\n"
    "    elif [[ $at == 'protect add' ]]; then\n"
    "        COMPREPLY=($(compgen -W 'immutable protected read-only levels' -- \"$cur\"))\n"
    "    elif [[ $at == completion ]]; then\n"
    "        COMPREPLY=($(compgen -W 'bash zsh' -- \"$cur\"))\n"
    "    elif [[ $at == 'member set' && $COMP_CWORD -ge 5 ]]; then\n"
    "        COMPREPLY=($(compgen -W 'guest developer maintainer owner' -- \"$cur\"))\n"
    "    elif [[ $at == check || $at == config* ]]; then\n"
    "        COMPREPLY=($(compgen -f -- \"$cur\"))\n"
    "    fi\n"
    "}\n"
    "_ebb_table()\n"
    "{\n"
    "    subcommands='' flags=''\n"
    "    case $1 in\n";

static const char zsh_head[] = "#compdef ebb\n"
                               "# zsh completion for ebb; `ebb completion zsh` prints it.\n"
                               "_ebb()\n"
                               "{\n"
                               "    local at='' word prev=${words[CURRENT-1]}\n"
                               "    local -a subcommands flags\n"
                               "    for word in ${words[2,CURRENT-1]}; do\n"
                               "        _ebb_table \"$at\"\n"
                               "        (( ${subcommands[(I)$word:*]} )) && at=${at:+$at }$word\n"
                               "    done\n"
                               "    case $prev in\n"
                               "    -o | --output) compadd table json tsv; return ;;\n"
                               "    --config | --data | --ca | --token-file) _files; return ;;\n"
                               "    esac\n"
                               "    _ebb_table \"$at\"\n"
                               "    if [[ $PREFIX == -* ]]; then\n"
                               "        _describe -o option flags\n"
                               "    elif (( $#subcommands )); then\n"
                               "        _describe command subcommands\n"
                               "    elif [[ $at == 'protect add' ]]; then\n"
                               "        compadd immutable protected read-only levels\n"
                               "    elif [[ $at == completion ]]; then\n"
                               "        compadd bash zsh\n"
                               "    elif [[ $at == 'member set' ]] && (( CURRENT >= 6 )); then\n"
                               "        compadd guest developer maintainer owner\n"
                               "    elif [[ $at == check || $at == config* ]]; then\n"
                               "        _files\n"
                               "    fi\n"
                               "}\n"
                               "_ebb_table()\n"
                               "{\n"
                               "    subcommands=() flags=()\n"
                               "    case $1 in\n";

static const char middle[] = "    esac\n"
                             "    case $1 in\n";
static const char bash_tail[] = "    esac\n"
                                "}\n"
                                "complete -F _ebb ebb\n";
/* As a file of fpath it is the function's body; sourced, it is named by compdef. */
static const char zsh_tail[] = "    esac\n"
                               "}\n"
                               "if [[ $funcstack[1] == _ebb ]]; then\n"
                               "    _ebb \"$@\"\n"
                               "elif (( $+functions[compdef] )); then\n"
                               "    compdef _ebb ebb\n"
                               "fi\n";

static enum cli_exit completion_run(const struct cli_command *self, int argc, char **argv)
{
    struct completion c = { .script = { .max_bytes = SCRIPT_MAX_BYTES } };
    struct err err;
    if (argc != 2 || (strcmp(argv[1], "bash") != 0 && strcmp(argv[1], "zsh") != 0))
        return cli_usage(self, "takes bash or zsh");
    c.zsh = strcmp(argv[1], "zsh") == 0;
    buf_add(&c.script, str_of(c.zsh ? zsh_head : bash_head));
    add_commands(&c, cli_root());
    buf_add(&c.script, str_of(middle));
    bool good = add_options(&c, cli_root());
    buf_add(&c.script, str_of(c.zsh ? zsh_tail : bash_tail));
    enum st st = good ? buf_status(&c.script, &err) : err_no_memory(&err);
    if (st == ST_OK)
        (void)fwrite(c.script.ptr, 1, c.script.len, stdout);
    buf_release(&c.script);
    return st == ST_OK ? cli_finish(self) : cli_fail(self, &err);
}

const struct cli_command completion_command = {
    .name = "completion",
    .takes = "bash|zsh",
    .summary = "Print a script that completes commands and options.",
    .help = "\n"
            "Installed packages bring it along; this is for a program that was built by hand.\n"
            "\n"
            "Examples:\n"
            "  source <(ebb completion bash)\n"
            "  ebb completion zsh > ~/.zfunc/_ebb    a directory of fpath\n",
    .run = completion_run,
};
