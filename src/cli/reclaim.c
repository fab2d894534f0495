/* SPDX-License-Identifier: Apache-2.0
 *
 * `ebb reclaim` - how space comes back, and when.
 */
#include "base/clock.h"
#include "base/quantity.h"
#include "cli/cli_call.h"
#include "cli/cli_progress.h"
#include "cli/cli_text.h"

struct reclaim_args {
    struct cli_common common;
    bool wait;
};

static void add_member(const json_t *item, const char *of, const char *key, enum table_kind kind,
                       enum cli_form form, struct buf *out)
{
    const struct table_column column = { "", key, kind, NULL };
    table_cell(json_object_get(item, of), &column, form, out);
}

static void add_last(const json_t *item, enum cli_form form, struct buf *out)
{
    add_member(item, "last_pass", "ended_at", TABLE_TIME, form, out);
}

static void add_last_bytes(const json_t *item, enum cli_form form, struct buf *out)
{
    add_member(item, "last_pass", "bytes", TABLE_BYTES, form, out);
}

static void add_doomed(const json_t *item, enum cli_form form, struct buf *out)
{
    add_member(item, "doomed", "names", TABLE_COUNT, form, out);
}

static void add_rate(const json_t *item, enum cli_form form, struct buf *out)
{
    char text[QUANTITY_MAX];
    double bytes = json_number_value(json_object_get(json_object_get(item, "rate"), "bytes"));
    if (form == FORM_TABLE)
        buf_printf(out, "%s/s", quantity_bytes_text(bytes, text));
    else
        buf_printf(out, "%.0f", bytes);
}

static void add_failures(const json_t *item, enum cli_form form, struct buf *out)
{
    (void)form;
    buf_add_number(out, (int64_t)json_array_size(json_object_get(item, "failures")));
}

static const struct table_column columns[] = {
    { "state", "state", TABLE_TEXT, NULL },
    { "queued", "queued", TABLE_COUNT, NULL },
    { "due", "due", TABLE_COUNT, NULL },
    { "oldest due", "oldest_due_at", TABLE_TIME, NULL },
    { "bytes pending", "bytes_pending", TABLE_BYTES, NULL },
    { "files to remove", "doomed", TABLE_COUNT, add_doomed },
    { "last pass", "last_pass", TABLE_TIME, add_last },
    { "it freed", "last_pass", TABLE_BYTES, add_last_bytes },
    { "rate", "rate", TABLE_TEXT, add_rate },
    { "failures", "failures", TABLE_COUNT, add_failures },
    { 0 },
};
static const struct table_column failure_columns[] = {
    { "KIND", "kind", TABLE_TEXT, NULL },          { "OBJECT", "object", TABLE_TEXT, NULL },
    { "FAILURES", "failures", TABLE_COUNT, NULL }, { "NEXT TRY", "next_at", TABLE_TIME, NULL },
    { "ERROR", "error", TABLE_TEXT, NULL },        { 0 },
};

static enum st ask_status(const struct ask_server *s, struct ask_answer *out, struct err *err)
{
    struct ask_path path = ask_path("/reclaim");
    return ask(s, "GET", &path, NULL, out, err);
}

static enum cli_exit print_status(const struct cli_command *self, const json_t *status,
                                  enum cli_form form)
{
    static struct table t;
    const json_t *failures = json_object_get(status, "failures");
    struct err err;
    enum st st = ST_OK;
    table_object(form, columns, status);
    if (form == FORM_TABLE && json_array_size(failures) > 0) {
        printf("\n");
        table_begin(&t, form, failure_columns);
        for (size_t i = 0; st == ST_OK && i < json_array_size(failures); i++)
            st = table_row(json_array_get(failures, i), &t, &err);
        table_end(&t, NULL);
    }
    return st == ST_OK ? cli_finish(self) : cli_fail(self, &err);
}

static enum cli_exit read_args(const struct cli_command *self, int argc, char **argv,
                               struct reclaim_args *args, struct ask_server *s)
{
    struct call_words words = { 0 };
    struct err err;
    enum cli_exit exit = call_read(self, argc, argv, args, &words);
    if (exit == CLI_DONE && ask_server_init(s, &args->common, &err) != ST_OK)
        exit = cli_fail(self, &err);
    return exit;
}

static enum cli_exit status_run(const struct cli_command *self, int argc, char **argv)
{
    struct reclaim_args args = { 0 };
    struct ask_server s;
    struct err err;
    AUTO(ask_answer_release) struct ask_answer answer = { 0 };
    enum cli_exit exit = read_args(self, argc, argv, &args, &s);
    if (exit != CLI_DONE)
        return exit;
    if (ask_status(&s, &answer, &err) != ST_OK)
        return cli_fail(self, &err);
    return print_status(self, answer.body, args.common.form);
}

/* ---- orders ---------------------------------------------------------------------------------- */

static enum st order(const struct ask_server *s, const char *what, struct ask_answer *out,
                     struct err *err)
{
    struct ask_path path = ask_path("/reclaim");
    ask_path_add(&path, str_of(what));
    return ask(s, "POST", &path, NULL, out, err);
}

/* pause, resume, reset: the last word of the command is what the API calls it. */
static enum cli_exit order_run(const struct cli_command *self, int argc, char **argv)
{
    struct reclaim_args args = { 0 };
    struct ask_server s;
    struct err err;
    AUTO(ask_answer_release) struct ask_answer ordered = { 0 };
    AUTO(ask_answer_release) struct ask_answer answer = { 0 };
    enum cli_exit exit = read_args(self, argc, argv, &args, &s);
    if (exit != CLI_DONE)
        return exit;
    enum st st = order(&s, cli_last_word(self), &ordered, &err);
    if (st == ST_OK)
        st = ask_status(&s, &answer, &err);
    if (st != ST_OK)
        return cli_fail(self, &err);
    return print_status(self, answer.body, args.common.form);
}

static uint64_t work_of(const json_t *status)
{
    return ask_count(status, "due") + ask_count(json_object_get(status, "doomed"), "names");
}

static bool is_state(const json_t *status, const char *name)
{
    return str_eq(ask_text(status, "state"), str_of(name));
}

/* *last is replaced by how reclaiming stands when the pass has ended. */
static enum st wait_for_pass(const struct ask_server *s, uint64_t pass, json_t **last,
                             struct err *err)
{
    struct progress p;
    int64_t pause = 20;
    uint64_t total = work_of(*last);
    progress_begin(&p, "reclaiming");
    progress_watch();
    for (;;) {
        AUTO(ask_answer_release) struct ask_answer answer = { 0 };
        char rate[QUANTITY_MAX];
        char detail[QUANTITY_MAX + 16];
        enum st st = ask_status(s, &answer, err);
        bool ended = st == ST_OK && ask_count(answer.body, "passes_ended") >= pass;
        if (st == ST_OK && !ended && is_state(answer.body, "paused"))
            st = err_set(err, ST_BUSY, "reclaiming is paused; `ebb reclaim resume` goes on");
        if (st == ST_OK && !ended && progress_interrupted())
            st = err_set(err, ST_STOPPING,
                         "not waited for: the pass goes on at the registry. "
                         "`ebb reclaim` shows how far it is");
        if (st != ST_OK || ended) {
            progress_end(&p);
            json_decref(*last);
            *last = json_incref(answer.body);
            return st;
        }
        uint64_t left = work_of(answer.body);
        total = MAX(total, left);
        const json_t *bytes = json_object_get(json_object_get(answer.body, "rate"), "bytes");
        (void)snprintf(detail, sizeof(detail), ", %s/s",
                       quantity_bytes_text(json_number_value(bytes), rate));
        progress_show(&p, total - left, total, detail);
        progress_pause(&pause);
    }
}

static enum cli_exit run_run(const struct cli_command *self, int argc, char **argv)
{
    struct reclaim_args args = { 0 };
    struct ask_server s;
    struct err err;
    AUTO(ask_answer_release) struct ask_answer before = { 0 };
    AUTO(ask_answer_release) struct ask_answer started = { 0 };
    enum cli_exit exit = read_args(self, argc, argv, &args, &s);
    if (exit != CLI_DONE)
        return exit;
    enum st st = ask_status(&s, &before, &err);
    if (st == ST_OK)
        st = order(&s, "run", &started, &err);
    if (st != ST_OK)
        return cli_fail(self, &err);
    json_t *last = json_incref(before.body);
    if (args.wait)
        st = wait_for_pass(&s, ask_count(started.body, "pass"), &last, &err);
    if (st != ST_OK) {
        exit = cli_fail(self, &err);
    } else if (!args.wait && args.common.form == FORM_TABLE) {
        text_line(stdout, "A pass was started; `ebb reclaim` shows how far it is.");
        exit = cli_finish(self);
    } else {
        exit = print_status(self, last, args.common.form);
    }
    if (exit == CLI_DONE && args.wait && json_array_size(json_object_get(last, "failures")) > 0)
        exit = CLI_PARTLY;
    json_decref(last);
    return exit;
}

/* ---- the table ------------------------------------------------------------------------------- */

static const struct cli_group common_groups[] = {
    { cli_common_flags, offsetof(struct reclaim_args, common) },
    { 0 },
};
static const struct cli_flag run_flags[] = {
    { "wait", 'w', VALUE_SET, NULL, "until the pass has ended, with its progress",
      offsetof(struct reclaim_args, wait) },
    { 0 },
};
static const struct cli_group run_groups[] = {
    { run_flags, 0 },
    { cli_common_flags, offsetof(struct reclaim_args, common) },
    { 0 },
};
static const struct cli_command status_command = {
    .name = "reclaim status",
    .takes = "[OPTIONS]",
    .summary = "Show what waits to be reclaimed, and what fails.",
    .help = "\n"
            "Examples:\n"
            "  ebb reclaim\n"
            "  ebb reclaim status -o json\n",
    .run = status_run,
    .groups = common_groups,
};
static const struct cli_command run_command = {
    .name = "reclaim run",
    .takes = "[OPTIONS]",
    .summary = "Start a pass now: what is due goes.",
    .help = "\n"
            "Examples:\n"
            "  ebb reclaim run --wait\n",
    .run = run_run,
    .groups = run_groups,
};
static const struct cli_command pause_command = {
    .name = "reclaim pause",
    .takes = "[OPTIONS]",
    .summary = "Reclaim nothing until `ebb reclaim resume`.",
    .help = "\n"
            "Examples:\n"
            "  ebb reclaim pause\n",
    .run = order_run,
    .groups = common_groups,
};
static const struct cli_command resume_command = {
    .name = "reclaim resume",
    .takes = "[OPTIONS]",
    .summary = "Go on after a pause.",
    .help = "\n"
            "Examples:\n"
            "  ebb reclaim resume\n",
    .run = order_run,
    .groups = common_groups,
};
static const struct cli_command reset_command = {
    .name = "reclaim reset",
    .takes = "[OPTIONS]",
    .summary = "Try again now what failed.",
    .help = "\n"
            "Examples:\n"
            "  ebb reclaim reset\n",
    .run = order_run,
    .groups = common_groups,
};
static const struct cli_command *const commands[] = { &status_command, &run_command,
                                                      &pause_command,  &resume_command,
                                                      &reset_command,  NULL };
const struct cli_command reclaim_command = {
    .name = "reclaim",
    .takes = "[COMMAND] [OPTIONS]",
    .summary = "Show, start, pause or resume reclaiming of space.",
    .help = "\n"
            "Other registries call it garbage collection. It runs by itself, beside pushes and\n"
            "pulls. `ebb reclaim COMMAND --help` shows more.\n",
    .commands = commands,
    .otherwise = &status_command,
};
