/* SPDX-License-Identifier: Apache-2.0
 *
 * config_man - a build tool: copies the page given as its argument to standard output with the line
 * @KEYS@ replaced by the keys of config.def, in mdoc. It needs nothing but the table, so it runs
 * where the build runs.
 */
#include <stdio.h>
#include <string.h>

struct row {
    const char *kind; /* NULL: a section */
    const char *name;
    const char *fallback;
    const char *least;
    const char *most;
    const char *text;
};

static const struct row rows[] = {
#define SECTION(name, text) { NULL, name, "", "", "", text },
#define KEY(field, kind, name, fallback, least, most, text)                                        \
    { #kind, name, fallback, least, most, text },
#include "server/config.def"
};

/* One sentence a line, as mdoc wants it; lines of at most about 76 bytes. */
static void print_text(const char *text)
{
    size_t column = 0;
    while (*text != '\0') {
        size_t word = strcspn(text, " ");
        if (column > 0 && column + 1 + word > 76) {
            putchar('\n');
            column = 0;
        }
        if (column > 0) {
            putchar(' ');
            column++;
        }
        fwrite(text, 1, word, stdout);
        column += word;
        text += word;
        if (*text == ' ') {
            if (text[-1] == '.' || text[-1] == ':') {
                putchar('\n');
                column = 0;
            }
            text++;
        }
    }
    putchar('\n');
}

static void print_key(const struct row *r)
{
    char kind[16] = "";
    for (size_t i = 0; i + 1 < sizeof(kind) && r->kind[i] != '\0'; i++)
        kind[i] = (char)(r->kind[i] | 0x20); /* lower case */
    if (strcmp(kind, "bool") == 0)
        (void)snprintf(kind, sizeof(kind), "boolean");
    printf(".It Ic %s : Ar %s\n", r->name, kind);
    print_text(r->text);
    if (strcmp(kind, "choice") == 0) {
        printf("One of\n");
        for (const char *word = r->least; *word != '\0';) {
            size_t len = strcspn(word, "|");
            printf(".Ql %.*s%s\n", (int)len, word, word[len] == '|' ? " ," : " .");
            word += len + (word[len] == '|');
        }
    } else if (strcmp(kind, "list") == 0) {
        printf("%s to %s members.\n", r->least, r->most);
    } else if (r->least[0] != '\0') {
        printf("From %s to %s.\n", r->least, r->most);
    }
    if (r->fallback[0] != '\0')
        printf("Default:\n.Ql %s .\n", r->fallback);
}

static void print_keys(void)
{
    int open = 0;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (rows[i].kind != NULL) {
            print_key(&rows[i]);
            continue;
        }
        if (open)
            printf(".El\n");
        printf(".Ss %s\n", rows[i].name[0] != '\0' ? rows[i].name : "General");
        print_text(rows[i].text);
        printf(".Bl -tag -width Ds\n");
        open = 1;
    }
    printf(".El\n");
}

int main(int argc, char **argv)
{
    char line[1024];
    FILE *page = argc == 2 ? fopen(argv[1], "re") : NULL;
    if (page == NULL) {
        fprintf(stderr, "usage: config-man page.in > page\n");
        return 2;
    }
    while (fgets(line, sizeof(line), page) != NULL) {
        if (strcmp(line, "@KEYS@\n") == 0)
            print_keys();
        else
            fputs(line, stdout);
    }
    int failed = ferror(page) || fflush(stdout) != 0;
    (void)fclose(page);
    return failed;
}
