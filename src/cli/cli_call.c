/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli_call.h"

#include "cli/cli_text.h"

enum cli_exit call_read(const struct cli_command *self, int argc, char **argv, void *args,
                        struct call_words *words)
{
    enum cli_exit exit = cli_read(self, argc, argv, args, &words->items, &words->count);
    if (exit != CLI_DONE)
        return exit;
    if (words->count < words->least ||
        (words->count > words->most && words->least == words->most && words->what != NULL))
        return cli_usage(self, "%s", words->what);
    if (words->count > words->most)
        return cli_usage(self, "\"%.64s\" is one argument too many", words->items[words->most]);
    return CLI_DONE;
}

/* ---- bodies ---------------------------------------------------------------------------------- */

void call_set(json_t **body, const char *key, json_t *value)
{
    if (*body == NULL) {
        json_decref(value);
    } else if (json_object_set_new(*body, key, value) != 0) {
        json_decref(*body);
        *body = NULL;
    }
}

void call_set_text(json_t **body, const char *key, const char *value)
{
    if (value != NULL)
        call_set(body, key, json_string(value));
}

void call_set_prefix(json_t **body, const char *key, const char *word)
{
    str prefix = call_prefix(word);
    call_set(body, key, json_stringn(prefix.ptr, prefix.len));
}

enum cli_exit call_ask(const struct cli_command *self, const struct ask_server *s,
                       const char *method, const struct ask_path *path, json_t *body,
                       struct ask_answer *out)
{
    struct err err;
    *out = (struct ask_answer){ 0 };
    if (body == NULL && strcmp(method, "POST") == 0)
        return cli_usage(self, "what is given is not UTF-8");
    enum st st = ask(s, method, path, body, out, &err);
    json_decref(body);
    return st == ST_OK ? CLI_DONE : cli_fail(self, &err);
}

/* ---- lists ----------------------------------------------------------------------------------- */

struct some {
    struct table table;
    uint64_t left;
    bool counted;
};

static enum st add_row(const json_t *item, void *ctx, struct err *err)
{
    struct some *s = ctx;
    if (s->counted && s->left == 0)
        return ST_END;
    s->left--;
    return table_row(item, &s->table, err);
}

enum cli_exit call_list_of(const struct cli_command *self, const struct ask_server *server,
                           enum cli_form form, const struct ask_path *path,
                           const struct table_column *columns, const char *empty, uint64_t most)
{
    static struct some s;
    struct err err;
    s.left = most;
    s.counted = most > 0;
    table_begin(&s.table, form, columns);
    enum st st = ask_each(server, path, add_row, &s, &err);
    if (st == ST_OK || s.table.total > 0)
        table_end(&s.table, empty);
    buf_release(&s.table.cells);
    return st == ST_OK ? cli_finish(self) : cli_fail(self, &err);
}

enum cli_exit call_list(const struct cli_command *self, const struct cli_common *common,
                        const struct ask_path *path, const struct table_column *columns,
                        const char *empty)
{
    struct ask_server server;
    struct err err;
    if (ask_server_init(&server, common, &err) != ST_OK)
        return cli_fail(self, &err);
    return call_list_of(self, &server, common->form, path, columns, empty, 0);
}

/* ---- objects --------------------------------------------------------------------------------- */

enum cli_exit call_row_of(const struct cli_command *self, const struct ask_server *s,
                          enum cli_form form, const struct ask_path *path, json_t *body,
                          const struct table_column *columns)
{
    static struct table t;
    AUTO(ask_answer_release) struct ask_answer answer = { 0 };
    struct err err;
    enum st st = ST_OK;
    enum cli_exit exit = call_ask(self, s, "POST", path, body, &answer);
    if (exit != CLI_DONE)
        return exit;
    if (form == FORM_JSON) {
        table_json(answer.body);
    } else {
        table_begin(&t, form, columns);
        st = table_row(answer.body, &t, &err);
        table_end(&t, NULL);
    }
    return st == ST_OK ? cli_finish(self) : cli_fail(self, &err);
}

enum cli_exit call_row(const struct cli_command *self, const struct cli_common *common,
                       const struct ask_path *path, json_t *body,
                       const struct table_column *columns)
{
    struct ask_server s;
    struct err err;
    if (ask_server_init(&s, common, &err) == ST_OK)
        return call_row_of(self, &s, common->form, path, body, columns);
    json_decref(body);
    return cli_fail(self, &err);
}

enum cli_exit call_object(const struct cli_command *self, const struct cli_common *common,
                          const struct ask_path *path, const struct table_column *columns)
{
    AUTO(ask_answer_release) struct ask_answer answer = { 0 };
    struct ask_server s;
    struct err err;
    if (ask_server_init(&s, common, &err) != ST_OK)
        return cli_fail(self, &err);
    enum cli_exit exit = call_ask(self, &s, "GET", path, NULL, &answer);
    if (exit != CLI_DONE)
        return exit;
    table_object(common->form, columns, answer.body);
    return cli_finish(self);
}

/* ---- one after the other --------------------------------------------------------------------- */

static void tell(const struct call_each *how, enum cli_form form, const char *word, json_t *answer,
                 json_t *list)
{
    uint64_t number = 0;
    if (form == FORM_TABLE)
        text_line(stdout, "%s %s.", how->done, word);
    else if (form == FORM_TSV)
        text_line(stdout, "%s", word);
    if (answer != NULL)
        (void)json_array_append(list, answer);
    else if (how->numbers && str_to_u64(str_of(word), INT64_MAX, &number))
        (void)json_array_append_new(list, json_integer((json_int_t)number));
    else
        (void)json_array_append_new(list, json_string(word));
}

enum cli_exit call_each(const struct cli_command *self, const struct cli_common *common,
                        const struct call_words *words, const struct call_each *how)
{
    struct ask_server s;
    struct err err;
    if (ask_server_init(&s, common, &err) != ST_OK)
        return cli_fail(self, &err);
    json_t *out = json_object();
    json_t *list = json_array();
    (void)json_object_set_new(out, how->member, list);
    enum cli_exit exit = CLI_DONE;
    for (int i = 0; exit == CLI_DONE && i < words->count; i++) {
        AUTO(ask_answer_release) struct ask_answer answer = { 0 };
        struct ask_path path;
        json_t *body = NULL;
        how->fn(words->items[i], &path, &body);
        exit = call_ask(self, &s, how->method, &path, body, &answer);
        if (exit == CLI_DONE)
            tell(how, common->form, words->items[i], answer.body, list);
    }
    if (common->form == FORM_JSON)
        table_json(out);
    json_decref(out);
    enum cli_exit printed = cli_finish(self);
    return exit == CLI_DONE ? printed : exit;
}

/* ---- words and cells ------------------------------------------------------------------------- */

str call_prefix(const char *word)
{
    str prefix = str_of(word == NULL ? "" : word);
    while (str_ends(prefix, STR("/")))
        prefix.len--;
    return prefix;
}

void call_add_list(const json_t *item, const char *key, struct buf *out)
{
    const json_t *list = json_object_get(item, key);
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *text = json_array_get(list, i);
        buf_add(out, i > 0 ? STR(",") : STR(""));
        if (json_is_string(text))
            text_add(out, (str){ json_string_value(text), json_string_length(text) });
    }
}
