/* SPDX-License-Identifier: Apache-2.0
 *
 * `ebb why` - what keeps something, and what could go.
 */
#include "base/quantity.h"
#include "cli/cli_call.h"
#include "cli/cli_reference.h"
#include "cli/cli_text.h"

struct why_args {
    struct cli_common common;
    struct cli_number free;
    bool now;
    const char *prefix;
};

static void add_name(const json_t *item, enum cli_form form, struct buf *out)
{
    bool tag = ask_has(item, "tag");
    text_add(out, ask_text(item, "repository"));
    buf_add(out, tag ? STR(":") : ask_has(item, "digest") ? STR("@") : STR(""));
    str digest = ask_text(item, "digest");
    text_add(out, tag ? ask_text(item, "tag")
                      : str_slice(digest, 0, form == FORM_TABLE ? 19 : digest.len));
}

static const struct table_column keeper_columns[] = {
    { "KEPT BY", "kind", TABLE_TEXT, NULL },
    { "WHERE", "repository", TABLE_TEXT, add_name },
    { "UNTIL", "until", TABLE_TIME, NULL },
    { "WHY", "text", TABLE_TEXT, NULL },
    { 0 },
};
static const struct table_column proposal_columns[] = {
    { "FREES", "bytes_freed", TABLE_BYTES, NULL },
    { "TAGS", "tags", TABLE_COUNT, NULL },
    { "IMAGES", "manifests", TABLE_COUNT, NULL },
    { "KIND", "kind", TABLE_TEXT, NULL },
    { "PLAN", "plan", TABLE_TEXT, NULL },
    { "WHAT", "text", TABLE_TEXT, NULL },
    { 0 },
};

static enum st print_list(enum cli_form form, const struct table_column *columns,
                          const json_t *list, const char *empty, struct err *err)
{
    static struct table t;
    enum st st = ST_OK;
    table_begin(&t, form, columns);
    for (size_t i = 0; st == ST_OK && i < json_array_size(list); i++)
        st = table_row(json_array_get(list, i), &t, err);
    table_end(&t, empty);
    return st;
}

static const char *state_text(const json_t *answer)
{
    static const char *const words[][2] = {
        { "kept", "is kept" },
        { "loose", "is kept by nothing that lasts" },
        { "trash", "lies in the trash" },
        { "used", "is used" },
        { "pending", "waits to be reclaimed" },
        { "absent", "is not there" },
    };
    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        if (str_eq(ask_text(answer, "state"), str_of(words[i][0])))
            return words[i][1];
    return "is in a state that this program does not know";
}

static enum cli_exit explain(const struct cli_command *self, const struct ask_server *s,
                             const char *reference, enum cli_form form)
{
    AUTO(ask_answer_release) struct ask_answer answer = { 0 };
    struct ask_path path = ask_path("/why");
    struct err err;
    char size[QUANTITY_MAX];
    char until[TEXT_TIME_MAX];
    ask_query(&path, "reference", str_of(reference));
    enum st st = ask(s, "GET", &path, NULL, &answer, &err);
    if (st == ST_OK && form == FORM_JSON) {
        table_json(answer.body);
    } else if (st == ST_OK) {
        const json_t *keepers = json_object_get(answer.body, "keepers");
        if (form == FORM_TABLE)
            text_line(stdout, "%s (%.*s, %s) %s%s%s", reference,
                      STR_FMT(ask_text(answer.body, "kind")),
                      quantity_bytes_text((double)ask_count(answer.body, "size"), size),
                      state_text(answer.body), ask_has(answer.body, "until") ? " until " : "",
                      text_time(ask_text(answer.body, "until"), until));
        if (form == FORM_TSV || json_array_size(keepers) > 0)
            st = print_list(form, keeper_columns, keepers, NULL, &err);
        if (form == FORM_TABLE && json_is_true(json_object_get(answer.body, "more")))
            text_line(stdout, "and more");
    }
    return st == ST_OK ? cli_finish(self) : cli_fail(self, &err);
}

static enum cli_exit propose(const struct cli_command *self, const struct ask_server *s,
                             const struct why_args *args)
{
    AUTO(ask_answer_release) struct ask_answer answer = { 0 };
    struct ask_path path = ask_path("/proposals");
    struct err err;
    char size[QUANTITY_MAX];
    enum cli_form form = args->common.form;
    json_t *body = json_pack("{s:I,s:b}", "bytes", (json_int_t)args->free.value, "now", args->now);
    if (args->prefix != NULL)
        call_set_prefix(&body, "prefix", args->prefix);
    enum cli_exit asked = call_ask(self, s, "POST", &path, body, &answer);
    if (asked != CLI_DONE)
        return asked;
    enum st st = ST_OK;
    const json_t *items = json_object_get(answer.body, "items");
    bool enough = json_is_true(json_object_get(answer.body, "enough"));
    if (form == FORM_JSON)
        table_json(answer.body);
    else
        st = print_list(form, proposal_columns, items, "Nothing can go.", &err);
    if (st == ST_OK && form == FORM_TABLE && json_array_size(items) > 0)
        text_line(
            stdout,
            "Together they free %s%s. `ebb plan show PLAN` shows one, `ebb apply PLAN` does it.",
            quantity_bytes_text((double)ask_count(answer.body, "bytes_freed"), size),
            enough ? "" : ", which is less than was asked for");
    enum cli_exit exit = st == ST_OK ? cli_finish(self) : cli_fail(self, &err);
    return exit == CLI_DONE && !enough ? CLI_FAILED : exit;
}

static enum cli_exit why_run(const struct cli_command *self, int argc, char **argv)
{
    struct why_args args = { 0 };
    struct call_words words = { 0, 1, NULL, NULL, 0 };
    struct ask_server s;
    struct err err;
    enum cli_exit exit = call_read(self, argc, argv, &args, &words);
    if (exit != CLI_DONE)
        return exit;
    if (words.count != (args.free.given ? 0 : 1))
        return cli_usage(self, "takes one reference, or --free SIZE");
    if ((args.now || args.prefix != NULL) && !args.free.given)
        return cli_usage(self, "--now and --prefix go with --free");
    if (!args.free.given &&
        reference_check(str_of(words.items[0]), REFERENCE_TAG | REFERENCE_IMAGE | REFERENCE_DIGEST,
                        &err) != ST_OK)
        return cli_usage(self, "%s", err.text);
    if (ask_server_init(&s, &args.common, &err) != ST_OK)
        return cli_fail(self, &err);
    return args.free.given ? propose(self, &s, &args)
                           : explain(self, &s, words.items[0], args.common.form);
}

static const struct cli_flag flags[] = {
    { "free", 0, VALUE_SIZE, "SIZE", "propose the cheapest deletions that free so much: 10G",
      offsetof(struct why_args, free) },
    { "now", 0, VALUE_SET, NULL,
      "propose plans without a grace: the space comes back at\nonce, and nothing can be undone",
      offsetof(struct why_args, now) },
    { "prefix", 0, VALUE_TEXT, "PATH", "look at PATH and what is below it only; takes --free",
      offsetof(struct why_args, prefix) },
    { 0 },
};
static const struct cli_group groups[] = {
    { flags, 0 },
    { cli_common_flags, offsetof(struct why_args, common) },
    { 0 },
};
const struct cli_command why_command = {
    .name = "why",
    .takes = "[OPTIONS] REF|DIGEST",
    .summary = "Show what keeps something, or what could go to free space.",
    .help = "\n"
            "Examples:\n"
            "  ebb why group/app:1.0\n"
            "  ebb why sha256:...\n"
            "  ebb why --free 10G        each proposal is a plan to look at and apply\n",
    .run = why_run,
    .groups = groups,
};
