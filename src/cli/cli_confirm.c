/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli_confirm.h"

#include <unistd.h>

#include "base/str.h"
#include "cli/cli_text.h"

static FILE *open_person(bool input_is_used)
{
    if (!input_is_used)
        return isatty(STDIN_FILENO) == 1 ? stdin : NULL;
    return fopen("/dev/tty", "re");
}

static void close_person(FILE *person)
{
    if (person != NULL && person != stdin)
        (void)fclose(person);
}

bool confirm_possible(bool input_is_used)
{
    FILE *person = open_person(input_is_used);
    close_person(person);
    return person != NULL;
}

/* False when there is no answer. */
static bool ask_person(bool input_is_used, const char *question, char *answer, size_t size)
{
    FILE *person = open_person(input_is_used);
    if (person == NULL)
        return false;
    (void)fflush(stdout);
    text_put(stderr, str_of(question));
    (void)fputc(' ', stderr);
    (void)fflush(stderr);
    bool answered = fgets(answer, (int)size, person) != NULL;
    if (!answered)
        (void)fputc('\n', stderr);
    close_person(person);
    answer[strcspn(answer, "\r\n")] = '\0';
    return answered;
}

bool confirm_yes(bool input_is_used, const char *question)
{
    char answer[16] = "";
    if (!ask_person(input_is_used, question, answer, sizeof(answer)))
        return false;
    str s = str_trim(str_of(answer));
    return str_eq_nocase(s, STR("y")) || str_eq_nocase(s, STR("yes"));
}

bool confirm_number(bool input_is_used, const char *question, uint64_t number)
{
    char answer[64] = "";
    char digits[64];
    size_t n = 0;
    uint64_t given;
    if (!ask_person(input_is_used, question, answer, sizeof(answer)))
        return false;
    for (const char *c = answer; *c != '\0'; c++)
        if (*c != ',' && *c != ' ')
            digits[n++] = *c;
    return str_to_u64((str){ digits, n }, UINT64_MAX, &given) && given == number;
}
