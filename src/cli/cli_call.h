/* SPDX-License-Identifier: Apache-2.0
 *
 * cli_call - the steps that most commands are made of: options and words read, the registry asked,
 * what it answers printed. Each says by itself what went wrong and returns what to exit with.
 */
#ifndef EBB_CLI_CALL_H
#define EBB_CLI_CALL_H

#include "cli/cli_table.h"

/* What is no option. */
struct call_words {
    int least, most;
    const char *what; /* told when it is another number: "takes the name of an account" */
    char **items;
    int count;
};
/* cli_read() with so many words. */
enum cli_exit call_read(const struct cli_command *self, int argc, char **argv, void *args,
                        struct call_words *words);

/* Members of a body that is sent. What does not go in (a text that is not UTF-8) makes *body NULL,
 * which is told when it is to be sent. `value` is taken. */
void call_set(json_t **body, const char *key, json_t *value);
void call_set_text(json_t **body, const char *key, const char *value);  /* NULL: nothing */
void call_set_prefix(json_t **body, const char *key, const char *word); /* as call_prefix() */

/* Asks once. `body` is taken; a POST needs one. Release *out in every case. */
enum cli_exit call_ask(const struct cli_command *self, const struct ask_server *s,
                       const char *method, const struct ask_path *path, json_t *body,
                       struct ask_answer *out);

/* ---- whole commands -------------------------------------------------------------------------- */

/* Prints every item of a list, or the line `empty`. */
enum cli_exit call_list(const struct cli_command *self, const struct cli_common *common,
                        const struct ask_path *path, const struct table_column *columns,
                        const char *empty);
/* The same of a registry that was found; `most` of it, 0: all. */
enum cli_exit call_list_of(const struct cli_command *self, const struct ask_server *s,
                           enum cli_form form, const struct ask_path *path,
                           const struct table_column *columns, const char *empty, uint64_t most);
/* Sends a body and prints what is answered as one row. */
enum cli_exit call_row(const struct cli_command *self, const struct cli_common *common,
                       const struct ask_path *path, json_t *body,
                       const struct table_column *columns);
/* The same of a registry that was found. */
enum cli_exit call_row_of(const struct cli_command *self, const struct ask_server *s,
                          enum cli_form form, const struct ask_path *path, json_t *body,
                          const struct table_column *columns);
/* Prints what GET answers, as table_object() does. */
enum cli_exit call_object(const struct cli_command *self, const struct cli_common *common,
                          const struct ask_path *path, const struct table_column *columns);

/* Several, one after the other: `fn` fills the path, and the body of a POST, from a word. */
typedef void (*call_each_fn)(const char *word, struct ask_path *path, json_t **body);
struct call_each {
    call_each_fn fn;
    const char *method; /* "DELETE", "POST" */
    const char *done;   /* "Removed account": a line of the table for each word */
    const char *member; /* "removed": the array in JSON */
    bool numbers;       /* words are numbers, and so they are in JSON */
};
/* Ends with the first that fails; the others before it are done, and told. */
enum cli_exit call_each(const struct cli_command *self, const struct cli_common *common,
                        const struct call_words *words, const struct call_each *how);

/* The path that a word means: "" for "/" and nothing, without slashes at its end. */
str call_prefix(const char *word);

/* A column's text of a list of texts: "pull,push". */
void call_add_list(const json_t *item, const char *key, struct buf *out);

#endif
