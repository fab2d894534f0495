/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/delete.h"

#include "base/quantity.h"
#include "cli/cli_confirm.h"
#include "cli/cli_progress.h"
#include "cli/cli_table.h"
#include "cli/cli_text.h"
#include "cli/plan_print.h"

#define SKIPPED_SHOWN 20

#define APPLY_FLAGS                                                                                \
    { "dry-run",                                                                                   \
      'n',                                                                                         \
      VALUE_SET,                                                                                   \
      NULL,                                                                                        \
      "show the plan, to the byte, and delete nothing",                                            \
      offsetof(struct delete_args, dry_run) },                                                     \
        { "yes", 'y', VALUE_SET, NULL, "do not ask", offsetof(struct delete_args, yes) },          \
        { "bytes",                                                                                 \
          0,                                                                                       \
          VALUE_NUMBER,                                                                            \
          "N",                                                                                     \
          "without a grace: repeats the bytes that will be gone\nfor good, for scripts",           \
          offsetof(struct delete_args, bytes) },                                                   \
    {                                                                                              \
        "confirm-tags", 0, VALUE_NUMBER, "N",                                                      \
            "of a bulk deletion over the registry's cap: repeats\nthe number of tags, for "        \
            "scripts",                                                                             \
            offsetof(struct delete_args, confirm_tags)                                             \
    }

const struct cli_flag delete_apply_flags[] = { APPLY_FLAGS, { 0 } };
const struct cli_flag delete_flags[] = {
    APPLY_FLAGS,
    { "now", 0, VALUE_SET, NULL,
      "without a grace: the space comes back at once, and\nnothing can be undone",
      offsetof(struct delete_args, now) },
    { "reason", 0, VALUE_TEXT, "TEXT", "why; kept in the receipt",
      offsetof(struct delete_args, reason) },
    { 0 },
};

/* One call, from its plan to its receipt. */
struct deleting {
    const struct delete_call *call;
    struct ask_server server;
    json_t *plan;
    json_t *receipt; /* NULL: not applied */
};

static bool is_now(const struct deleting *d)
{
    return json_is_true(json_object_get(d->plan, "now"));
}

static bool is_empty(const json_t *counts)
{
    return ask_count(counts, "tags") + ask_count(counts, "manifests") +
               ask_count(counts, "blobs") ==
           0;
}

/* ---- what comes out -------------------------------------------------------------------------- */

static void copy_member(json_t *to, const json_t *from, const char *key)
{
    json_t *value = json_object_get(from, key);
    (void)json_object_set_new(to, key, value == NULL ? json_null() : json_incref(value));
}

/* Stable: ebb-rm(1) documents it. */
static json_t *make_summary(const struct deleting *d)
{
    static const char *const of_both[] = { "tags", "manifests", "blobs", "bytes_freed",
                                           "bytes_kept" };
    static const char *const of_plan[] = { "bytes_later", "later_until", "protected", "now",
                                           "confirm",     "retained",    "warnings",  "kept" };
    const json_t *counts = d->receipt == NULL ? d->plan : d->receipt;
    json_t *out = json_object();
    copy_member(out, d->plan, "plan");
    copy_member(out, d->receipt, "receipt");
    for (size_t i = 0; i < ARRAY_LEN(of_both); i++)
        copy_member(out, counts, of_both[i]);
    (void)json_object_set_new(out, "skipped",
                              json_integer((json_int_t)ask_count(d->receipt, "skipped")));
    copy_member(out, d->receipt, "undoable_until");
    for (size_t i = 0; i < ARRAY_LEN(of_plan); i++)
        copy_member(out, d->plan, of_plan[i]);
    return out;
}

static void print_summary(const struct deleting *d)
{
    static const struct table_column columns[] = {
        { "plan", "plan", TABLE_TEXT, NULL },
        { "receipt", "receipt", TABLE_TEXT, NULL },
        { "tags", "tags", TABLE_COUNT, NULL },
        { "manifests", "manifests", TABLE_COUNT, NULL },
        { "blobs", "blobs", TABLE_COUNT, NULL },
        { "bytes_freed", "bytes_freed", TABLE_BYTES, NULL },
        { "bytes_kept", "bytes_kept", TABLE_BYTES, NULL },
        { "skipped", "skipped", TABLE_COUNT, NULL },
        { 0 },
    };
    json_t *summary = make_summary(d);
    table_object(d->call->common.form, columns, summary);
    json_decref(summary);
}

struct skipped_list {
    FILE *out;
    uint64_t left; /* to be found */
    unsigned shown;
};

static enum st print_skipped(const json_t *item, void *ctx, struct err *err)
{
    struct skipped_list *l = ctx;
    (void)err;
    if (!ask_has(item, "skipped"))
        return ST_OK;
    bool tag = ask_has(item, "tag");
    text_line(l->out, "Skipped: %.*s%s%.*s: %.*s", STR_FMT(ask_text(item, "repository")),
              tag ? ":" : "@", STR_FMT(ask_text(item, tag ? "tag" : "digest")),
              STR_FMT(ask_text(item, "skipped")));
    l->left -= l->left > 0;
    l->shown++;
    return l->left == 0 || l->shown == SKIPPED_SHOWN ? ST_END : ST_OK;
}

enum st delete_print_skipped(const struct ask_server *s, const json_t *receipt, FILE *out,
                             struct err *err)
{
    char number[32];
    struct skipped_list list = { .out = out, .left = ask_count(receipt, "skipped") };
    struct ask_path path = ask_path("/receipts");
    if (list.left == 0)
        return ST_OK;
    (void)snprintf(number, sizeof(number), "%llu",
                   (unsigned long long)ask_count(receipt, "receipt"));
    ask_path_add(&path, str_of(number));
    ask_path_add(&path, STR("items"));
    enum st st = ask_each(s, &path, print_skipped, &list, err);
    if (st == ST_OK && list.left > 0)
        text_line(out, "Skipped: %llu more; `ebb receipt %s --items` lists them",
                  (unsigned long long)list.left, number);
    return st;
}

static void print_receipt(const struct deleting *d)
{
    char what[PLAN_WHAT_MAX];
    char size[QUANTITY_MAX];
    char until[TEXT_TIME_MAX];
    const json_t *r = d->receipt;
    unsigned long long id = ask_count(r, "receipt");
    bool undoable = ask_has(r, "undoable_until");
    text_line(stdout, "Deleted %s; %s %s. Receipt %llu%s", plan_what(r, what),
              quantity_bytes_text((double)ask_count(r, "bytes_freed"), size),
              undoable ? "are given back when the grace is over" : "are given back now", id,
              undoable ? "" : "; there is no undo");
    if (undoable)
        text_line(stdout, "undo with: ebb undo %llu (until %s)", id,
                  text_time(ask_text(r, "undoable_until"), until));
}

/* ---- confirming ------------------------------------------------------------------------------ */

/* Numbers that were repeated wrongly. */
static enum cli_exit check_numbers_given(const struct deleting *d)
{
    const struct delete_args *a = &d->call->args;
    const json_t *confirm = json_object_get(d->plan, "confirm");
    uint64_t tags = ask_count(confirm, "tags");
    uint64_t bytes = ask_count(d->plan, "bytes_freed");
    if (json_is_object(confirm) && a->confirm_tags.given && a->confirm_tags.value != tags)
        return cli_refuse(d->call->self,
                          "nothing was deleted: --confirm-tags %llu is not the number of tags that "
                          "would go, which is %llu",
                          (unsigned long long)a->confirm_tags.value, (unsigned long long)tags);
    if (is_now(d) && a->bytes.given && a->bytes.value != bytes)
        return cli_refuse(d->call->self,
                          "nothing was deleted: --bytes %llu is not the number of bytes that would "
                          "be gone, which is %llu",
                          (unsigned long long)a->bytes.value, (unsigned long long)bytes);
    return CLI_DONE;
}

static enum cli_exit refuse_without_person(const struct deleting *d, bool need_tags,
                                           bool need_bytes)
{
    char tags[64] = "";
    char bytes[64] = "";
    if (need_tags)
        (void)snprintf(tags, sizeof(tags), " --confirm-tags %llu",
                       (unsigned long long)ask_count(json_object_get(d->plan, "confirm"), "tags"));
    if (need_bytes)
        (void)snprintf(bytes, sizeof(bytes), " --bytes %llu",
                       (unsigned long long)ask_count(d->plan, "bytes_freed"));
    return cli_refuse(d->call->self,
                      "nothing was deleted: there is no terminal to ask on. To do it: ebb apply "
                      "%.*s --yes%s%s",
                      STR_FMT(ask_text(d->plan, "plan")), tags, bytes);
}

static bool ask_tags(const struct deleting *d)
{
    char question[1024];
    char count[TEXT_COUNT_MAX];
    const json_t *confirm = json_object_get(d->plan, "confirm");
    uint64_t tags = ask_count(confirm, "tags");
    (void)snprintf(question, sizeof(question),
                   "%.*s. Type the number of tags that go (%s):", STR_FMT(ask_text(confirm, "why")),
                   text_count(tags, count));
    return confirm_number(d->call->input_is_used, question, tags);
}

static bool ask_bytes(const struct deleting *d)
{
    char question[256];
    char count[TEXT_COUNT_MAX];
    uint64_t bytes = ask_count(d->plan, "bytes_freed");
    (void)snprintf(question, sizeof(question),
                   "%s bytes will be gone for good, without an undo. Type the number of bytes:",
                   text_count(bytes, count));
    return confirm_number(d->call->input_is_used, question, bytes);
}

static enum cli_exit confirm(const struct deleting *d)
{
    const struct delete_args *a = &d->call->args;
    char what[PLAN_WHAT_MAX];
    char question[PLAN_WHAT_MAX + 32];
    bool need_tags = ask_has(d->plan, "confirm") && !a->confirm_tags.given;
    bool need_bytes = is_now(d) && !a->bytes.given;
    enum cli_exit exit = check_numbers_given(d);
    if (exit != CLI_DONE || (a->yes && !need_tags && !need_bytes))
        return exit;
    if (!confirm_possible(d->call->input_is_used))
        return refuse_without_person(d, need_tags, need_bytes);
    bool go = true;
    (void)snprintf(question, sizeof(question), "Delete %s? [y/N]", plan_what(d->plan, what));
    if (need_tags)
        go = ask_tags(d);
    if (go && need_bytes)
        go = ask_bytes(d);
    if (!need_tags && !need_bytes)
        go = confirm_yes(d->call->input_is_used, question);
    return go ? CLI_DONE : cli_refuse(d->call->self, "nothing was deleted");
}

/* ---- applying -------------------------------------------------------------------------------- */

static enum st apply(struct deleting *d, struct err *err)
{
    AUTO(ask_answer_release) struct ask_answer answer = { 0 };
    struct ask_path path = ask_path("/plans");
    json_t *body = json_object();
    const json_t *tags = json_object_get(d->plan, "confirm");
    ask_path_add(&path, ask_text(d->plan, "plan"));
    ask_path_add(&path, STR("apply"));
    if (json_is_object(tags))
        (void)json_object_set_new(body, "confirm_tags",
                                  json_integer((json_int_t)ask_count(tags, "tags")));
    if (is_now(d))
        (void)json_object_set_new(body, "confirm_bytes",
                                  json_integer((json_int_t)ask_count(d->plan, "bytes_freed")));
    enum st st = ask(&d->server, "POST", &path, body, &answer, err);
    json_decref(body);
    if (st != ST_OK)
        return st;
    d->receipt = json_incref(answer.body);
    return progress_receipt(&d->server, "deleting", &d->receipt, err);
}

static enum cli_exit finish(struct deleting *d)
{
    struct err err;
    const struct delete_call *c = d->call;
    uint64_t skipped = ask_count(d->receipt, "skipped");
    bool table = c->common.form == FORM_TABLE;
    enum st st = delete_print_skipped(&d->server, d->receipt, table ? stdout : stderr, &err);
    if (table)
        print_receipt(d);
    else
        print_summary(d);
    enum cli_exit exit = cli_finish(c->self);
    if (exit != CLI_DONE)
        return exit;
    if (st != ST_OK)
        return cli_fail(c->self, &err);
    if (skipped > 0 && is_empty(d->receipt))
        return cli_refuse(c->self, "nothing was deleted: all of it was skipped");
    return skipped > 0 || (c->named && ask_count(d->plan, "protected") > 0) ? CLI_PARTLY : CLI_DONE;
}

/* Nothing was applied, which is what `exit` says, too. */
static enum cli_exit leave(const struct deleting *d, enum cli_exit exit)
{
    if (d->call->common.form != FORM_TABLE)
        print_summary(d);
    enum cli_exit printed = cli_finish(d->call->self);
    return exit == CLI_DONE ? printed : exit;
}

static enum cli_exit show(const struct deleting *d)
{
    const struct delete_call *c = d->call;
    struct err err;
    bool table = c->common.form == FORM_TABLE;
    bool person = !c->args.dry_run && confirm_possible(c->input_is_used);
    if (!table && (c->args.yes || !person))
        return CLI_DONE;
    FILE *out = table ? stdout : stderr;
    if (plan_print(&d->server, d->plan, out, &err) != ST_OK)
        return cli_fail(c->self, &err);
    if (c->args.dry_run || ask_has(d->plan, "receipt"))
        plan_print_end(d->plan, out);
    return CLI_DONE;
}

/* With the plan in hand. */
static enum cli_exit go_on(struct deleting *d)
{
    const struct delete_call *c = d->call;
    struct err err;
    bool empty = is_empty(d->plan);
    if (empty && !(c->named && ask_count(d->plan, "protected") > 0)) {
        if (c->common.form == FORM_TABLE)
            text_line(stdout, "There is nothing to delete.");
        return leave(d, CLI_DONE);
    }
    enum cli_exit exit = show(d);
    if (exit != CLI_DONE || c->args.dry_run)
        return leave(d, exit);
    if (empty)
        return leave(d, cli_refuse(c->self, "nothing was deleted: all of it is protected"));
    if (!ask_has(d->plan, "receipt"))
        exit = confirm(d);
    if (exit != CLI_DONE)
        return leave(d, exit);
    return apply(d, &err) == ST_OK ? finish(d) : cli_fail(c->self, &err);
}

static enum cli_exit run(const struct delete_call *c, const char *method,
                         const struct ask_path *path, const json_t *body)
{
    struct deleting d = { .call = c };
    AUTO(ask_answer_release) struct ask_answer answer = { 0 };
    struct err err;
    enum st st = ask_server_init(&d.server, &c->common, &err);
    if (st == ST_OK)
        st = ask(&d.server, method, path, body, &answer, &err);
    d.plan = answer.body;
    enum cli_exit exit = st == ST_OK ? go_on(&d) : cli_fail(c->self, &err);
    json_decref(d.receipt);
    return exit;
}

enum cli_exit delete_select(const struct delete_call *c, json_t *select)
{
    struct ask_path path = ask_path("/plans");
    if (c->args.bytes.given && !c->args.now) {
        json_decref(select);
        return cli_usage(c->self, "--bytes goes with --now");
    }
    json_t *body = json_object();
    (void)json_object_set_new(body, "select", select);
    (void)json_object_set_new(body, "now", json_boolean(c->args.now));
    if (c->args.reason != NULL)
        (void)json_object_set_new(body, "reason", json_string(c->args.reason));
    enum cli_exit exit = CLI_USAGE;
    if (c->args.reason != NULL && !str_is_utf8(str_of(c->args.reason)))
        exit = cli_usage(c->self, "--reason is not UTF-8");
    else
        exit = run(c, "POST", &path, body);
    json_decref(body);
    return exit;
}

enum cli_exit delete_apply(const struct delete_call *c, const char *plan_id)
{
    struct ask_path path = ask_path("/plans");
    ask_path_add(&path, str_of(plan_id));
    return run(c, "GET", &path, NULL);
}

enum st delete_add_selector(json_t *select, const char *member, str text, struct err *err)
{
    json_t *selector = json_object();
    json_t *value = json_stringn(text.ptr, text.len); /* NULL when it is not UTF-8 */
    if (value == NULL) {
        json_decref(selector);
        return err_set(err, ST_INVALID, "\"%.*s\" is not UTF-8", STR_FMT(str_slice(text, 0, 128)));
    }
    if (json_object_set_new(selector, member, value) != 0 ||
        json_array_append_new(select, selector) != 0)
        return err_no_memory(err);
    return ST_OK;
}
