/* SPDX-License-Identifier: Apache-2.0
 *
 * `ebb show` - one image: what it is made of, who else uses that, what deleting it would free.
 */
#include "cli/show.h"
#include "cli/cli_call.h"
#include "cli/cli_reference.h"
#include "cli/cli_text.h"

struct show_args {
    struct cli_common common;
};

enum st show_ask(const struct ask_server *s, str reference, struct ask_answer *out, struct err *err)
{
    struct ask_path path = ask_path("/show");
    ask_query(&path, "reference", reference);
    return ask(s, "GET", &path, NULL, out, err);
}

/* "1.0, latest": texts, or one member of each object. */
static void add_texts(const json_t *list, const char *member, struct buf *out)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *item = json_array_get(list, i);
        const json_t *value = json_is_object(item) ? json_object_get(item, member) : item;
        if (!json_is_string(value))
            continue;
        buf_add(out, i > 0 ? STR(", ") : STR(""));
        text_add(out, (str){ json_string_value(value), json_string_length(value) });
    }
}

static void add_tags(const json_t *item, enum cli_form form, struct buf *out)
{
    (void)form;
    add_texts(json_object_get(item, "tags"), "tag", out);
}

static void add_sharers(const json_t *item, enum cli_form form, struct buf *out)
{
    const json_t *shared = json_object_get(item, "shared_with");
    uint64_t repositories = ask_count(item, "repositories");
    (void)form;
    add_texts(shared, "repository", out);
    if (repositories > json_array_size(shared))
        buf_printf(out, " and %llu more",
                   (unsigned long long)(repositories - json_array_size(shared)));
}

static void add_subject(const json_t *item, enum cli_form form, struct buf *out)
{
    static const struct table_column digest = { "", "digest", TABLE_TEXT, NULL };
    table_cell(json_object_get(item, "subject"), &digest, form, out);
}

static const struct table_column head_columns[] = {
    { "repository", "repository", TABLE_TEXT, NULL },
    { "digest", "digest", TABLE_TEXT, NULL },
    { "type", "media_type", TABLE_TEXT, NULL },
    { "artifact type", "artifact_type", TABLE_TEXT, NULL },
    { "size", "size", TABLE_BYTES, NULL },
    { "tags", "tags", TABLE_TEXT, add_tags },
    { "subject", "subject", TABLE_TEXT, add_subject },
    { "pushed", "pushed_at", TABLE_TIME, NULL },
    { "pulled", "pulled_at", TABLE_TIME, NULL },
    { "deleting frees", "bytes_freed", TABLE_BYTES, NULL },
    { 0 },
};

static const struct table_column blob_columns[] = {
    { "BLOB", "digest", TABLE_TEXT, NULL },
    { "ROLE", "role", TABLE_TEXT, NULL },
    { "SIZE", "size", TABLE_BYTES, NULL },
    { "SHARED WITH", "shared_with", TABLE_TEXT, add_sharers },
    { 0 },
};
static const struct table_column child_columns[] = {
    { "IMAGE", "digest", TABLE_TEXT, NULL },
    { "TYPE", "media_type", TABLE_TEXT, NULL },
    { "ARTIFACT TYPE", "artifact_type", TABLE_TEXT, NULL },
    { 0 },
};
static const struct table_column hold_columns[] = {
    { "HOLD", "hold", TABLE_TEXT, NULL },
    { "UNTIL", "until", TABLE_TIME, NULL },
    { "REASON", "reason", TABLE_TEXT, NULL },
    { 0 },
};

static enum st print_parts(const json_t *image, struct err *err)
{
    static const struct {
        const char *title;
        const char *member;
        const char *more;
        const struct table_column *columns;
    } parts[] = { { "Blobs", "blobs", "more_blobs", blob_columns },
                  { "Children", "children", "more_children", child_columns },
                  { "Referrers", "referrers", "more_referrers", child_columns },
                  { "In indexes", "indexes", "more_indexes", child_columns },
                  { "Holds", "holds", "more_holds", hold_columns } };
    static struct table t;
    enum st st = ST_OK;
    for (size_t p = 0; st == ST_OK && p < ARRAY_LEN(parts); p++) {
        const json_t *list = json_object_get(image, parts[p].member);
        if (json_array_size(list) == 0)
            continue;
        printf("\n%s:\n", parts[p].title);
        table_begin(&t, FORM_TABLE, parts[p].columns);
        for (size_t i = 0; st == ST_OK && i < json_array_size(list); i++)
            st = table_row(json_array_get(list, i), &t, err);
        table_end(&t, NULL);
        if (json_is_true(json_object_get(image, parts[p].more)))
            printf("and more\n");
    }
    return st;
}

static enum cli_exit show_run(const struct cli_command *self, int argc, char **argv)
{
    struct show_args args = { 0 };
    struct call_words words = { 1, 1, "takes one reference", NULL, 0 };
    struct ask_server s;
    struct err err;
    enum cli_exit exit = call_read(self, argc, argv, &args, &words);
    if (exit != CLI_DONE)
        return exit;
    if (reference_check(str_of(words.items[0]), REFERENCE_TAG | REFERENCE_IMAGE, &err) != ST_OK)
        return cli_usage(self, "%s", err.text);
    AUTO(ask_answer_release) struct ask_answer answer = { 0 };
    enum st st = ask_server_init(&s, &args.common, &err);
    if (st == ST_OK)
        st = show_ask(&s, str_of(words.items[0]), &answer, &err);
    if (st != ST_OK)
        return cli_fail(self, &err);
    table_object(args.common.form, head_columns, answer.body);
    if (args.common.form == FORM_TABLE)
        st = print_parts(answer.body, &err);
    return st == ST_OK ? cli_finish(self) : cli_fail(self, &err);
}

static const struct cli_group groups[] = {
    { cli_common_flags, offsetof(struct show_args, common) },
    { 0 },
};
const struct cli_command show_command = {
    .name = "show",
    .takes = "[OPTIONS] REF",
    .summary = "Show an image: parts, who shares them, what deleting it frees.",
    .help = "\n"
            "Examples:\n"
            "  ebb show group/app:1.0\n"
            "  ebb show group/app@sha256:... -o json\n",
    .run = show_run,
    .groups = groups,
};
