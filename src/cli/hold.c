/* SPDX-License-Identifier: Apache-2.0
 *
 * `ebb hold` - digests that no deletion may pass.
 */
#include "base/clock.h"
#include "base/quantity.h"
#include "cli/cli_reference.h"
#include "cli/cli_text.h"
#include "cli/protect.h"
#include "cli/show.h"

struct hold_args {
    struct cli_common common;
    const char *until;
    const char *reason;
};

static const struct table_column columns[] = {
    { "HOLD", "hold", TABLE_TEXT, NULL },       { "REPOSITORY", "repository", TABLE_TEXT, NULL },
    { "DIGEST", "digest", TABLE_DIGEST, NULL }, { "UNTIL", "until", TABLE_TIME, NULL },
    { "BY", "actor", TABLE_TEXT, NULL },        { "SINCE", "created_at", TABLE_TIME, NULL },
    { "REASON", "reason", TABLE_TEXT, NULL },   { 0 },
};

static enum cli_exit ls_run(const struct cli_command *self, int argc, char **argv)
{
    return protect_list(self, argc, argv, "/holds", columns, "There are no holds.");
}

static void remove_one(const char *word, struct ask_path *path, json_t **body)
{
    (void)body;
    *path = ask_path("/holds");
    ask_path_add(path, str_of(word));
}

static enum cli_exit rm_run(const struct cli_command *self, int argc, char **argv)
{
    static const struct call_each how = { remove_one, "DELETE", "Ended hold", "removed", true };
    return protect_remove(self, argc, argv, "hold", &how);
}

/* "30d" from now on, or a time as the registry takes it. */
static enum cli_exit read_until(const struct cli_command *self, const char *text,
                                char out[static CLOCK_RFC3339_SIZE])
{
    int64_t ms;
    size_t len = strlen(text);
    if (quantity_parse_duration(str_of(text), &ms, NULL) == ST_OK) {
        int64_t now = clock_utc_ms();
        clock_rfc3339(now + MIN(ms, 100 * 365 * CLOCK_DAY_MS), out);
        return CLI_DONE;
    }
    bool day = len == 10 && text[4] == '-' && text[7] == '-';
    bool time = len >= 20 && len < CLOCK_RFC3339_SIZE && text[10] == 'T';
    if (!day && !time)
        return cli_usage(self,
                         "--until takes a duration such as 30d, a day such as 2027-01-31 or "
                         "a time such as 2027-01-31T12:00:00Z, not \"%.64s\"",
                         text);
    (void)snprintf(out, CLOCK_RFC3339_SIZE, "%.*s%s", (int)len, text, day ? "T00:00:00Z" : "");
    return CLI_DONE;
}

/* A tag is held by the image that it names now. */
static enum st resolve(const struct ask_server *s, str text, json_t **body, struct err *err)
{
    AUTO(ask_answer_release) struct ask_answer answer = { 0 };
    str repo;
    str digest = text;
    if (str_starts(text, STR("sha256:")) || str_starts(text, STR("sha512:"))) {
        repo = STR_NONE;
    } else if (!str_cut(text, '@', &repo, &digest)) {
        (void)str_cut_last(text, ':', &repo, &digest);
        enum st st = show_ask(s, text, &answer, err);
        if (st != ST_OK)
            return st;
        digest = ask_text(answer.body, "digest");
    }
    if (repo.len > 0)
        call_set(body, "repository", json_stringn(repo.ptr, repo.len));
    call_set(body, "digest", json_stringn(digest.ptr, digest.len));
    return ST_OK;
}

static enum cli_exit add_run(const struct cli_command *self, int argc, char **argv)
{
    struct hold_args args = { 0 };
    struct call_words words = { 1, 1, "takes one digest, repo@sha256:... or repo:tag", NULL, 0 };
    const struct ask_path path = ask_path("/holds");
    struct ask_server s;
    struct err err;
    char until[CLOCK_RFC3339_SIZE] = "";
    enum cli_exit exit = call_read(self, argc, argv, &args, &words);
    if (exit != CLI_DONE)
        return exit;
    str reference = str_of(words.items[0]);
    if (reference_check(reference, REFERENCE_TAG | REFERENCE_IMAGE | REFERENCE_DIGEST, &err) !=
        ST_OK)
        return cli_usage(self, "%s", err.text);
    if (args.reason == NULL)
        return cli_usage(self, "why? Give --reason");
    if (args.until != NULL)
        exit = read_until(self, args.until, until);
    if (exit != CLI_DONE)
        return exit;
    json_t *body = json_object();
    call_set_text(&body, "reason", args.reason);
    call_set_text(&body, "until", until[0] == '\0' ? NULL : until);
    enum st st = ask_server_init(&s, &args.common, &err);
    if (st == ST_OK)
        st = resolve(&s, reference, &body, &err);
    if (st == ST_OK)
        return call_row_of(self, &s, args.common.form, &path, body, columns);
    json_decref(body);
    return cli_fail(self, &err);
}

static const struct cli_flag add_flags[] = {
    { "until", 0, VALUE_TEXT, "TIME",
      "a duration such as 30d, a day or a time (RFC 3339);\nfor ever without it",
      offsetof(struct hold_args, until) },
    { "reason", 0, VALUE_TEXT, "TEXT", "why; must be given", offsetof(struct hold_args, reason) },
    { 0 },
};
static const struct cli_group add_groups[] = {
    { add_flags, 0 },
    { cli_common_flags, offsetof(struct hold_args, common) },
    { 0 },
};
static const struct cli_command hold_ls_command = {
    .name = "hold ls",
    .takes = "[OPTIONS]",
    .summary = "List holds.",
    .help = "\n"
            "Examples:\n"
            "  ebb hold ls\n",
    .run = ls_run,
    .groups = protect_groups,
};
static const struct cli_command hold_add_command = {
    .name = "hold add",
    .takes = "[OPTIONS] REF|DIGEST",
    .summary = "Hold an image or a blob: nothing deletes or reclaims it.",
    .help = "\n"
            "A repo:tag holds the image that it names now; a digest alone is held everywhere.\n"
            "\n"
            "Examples:\n"
            "  ebb hold add group/app:1.0 --reason 'incident 42' --until 30d\n"
            "  ebb hold add sha256:... --reason 'evidence'\n",
    .run = add_run,
    .groups = add_groups,
};
static const struct cli_command hold_rm_command = {
    .name = "hold rm",
    .takes = "[OPTIONS] ID...",
    .summary = "End a hold.",
    .help = "\n"
            "Examples:\n"
            "  ebb hold rm 3\n",
    .run = rm_run,
    .groups = protect_groups,
};
static const struct cli_command *const commands[] = { &hold_ls_command, &hold_add_command,
                                                      &hold_rm_command, NULL };
const struct cli_command hold_command = {
    .name = "hold",
    .takes = "[COMMAND] [OPTIONS]",
    .summary = "Hold images or blobs, so that nothing deletes them.",
    .help = "\n"
            "`ebb hold COMMAND --help` shows more.\n",
    .commands = commands,
    .otherwise = &hold_ls_command,
};
