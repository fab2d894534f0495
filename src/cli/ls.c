/* SPDX-License-Identifier: Apache-2.0
 *
 * `ebb ls` - repositories, or the tags of one.
 */
#include "cli/cli_call.h"

struct ls_args {
    struct cli_common common;
    bool repositories;
};

static const struct table_column repository_columns[] = {
    { "REPOSITORY", "repository", TABLE_TEXT, NULL },
    { "TAGS", "tags", TABLE_COUNT, NULL },
    { "MANIFESTS", "manifests", TABLE_COUNT, NULL },
    { "UNIQUE", "unique", TABLE_BYTES, NULL },
    { "SHARED", "shared", TABLE_BYTES, NULL },
    { "TRASH", "trash", TABLE_BYTES, NULL },
    { 0 },
};

static const struct table_column tag_columns[] = {
    { "TAG", "tag", TABLE_TEXT, NULL },
    { "DIGEST", "digest", TABLE_DIGEST, NULL },
    { "SIZE", "size", TABLE_BYTES, NULL },
    { "SET", "tagged_at", TABLE_TIME, NULL },
    { "PULLED", "pulled_at", TABLE_TIME, NULL },
    { "PROTECTED", "protected", TABLE_TEXT, NULL },
    { 0 },
};

/* A repository has tags; of anything else the name is a prefix. */
static enum st find_repository(const struct ask_server *s, str name, bool *found, struct err *err)
{
    AUTO(ask_answer_release) struct ask_answer answer = { 0 };
    struct ask_path path = ask_path("/tags");
    ask_query(&path, "repository", name);
    ask_query_number(&path, "n", 1);
    enum st st = ask(s, "GET", &path, NULL, &answer, err);
    *found = st == ST_OK;
    return st == ST_NOT_FOUND ? ST_OK : st;
}

static enum cli_exit ls_run(const struct cli_command *self, int argc, char **argv)
{
    struct ls_args args = { 0 };
    struct call_words words = { 0, 1, NULL, NULL, 0 };
    struct ask_server s;
    struct err err;
    enum cli_exit exit = call_read(self, argc, argv, &args, &words);
    if (exit != CLI_DONE)
        return exit;
    str given = words.count == 0 ? STR_NONE : str_of(words.items[0]);
    str name = words.count == 0 ? STR_NONE : call_prefix(words.items[0]);
    bool folder = words.count == 0 || name.len < given.len || args.repositories;
    bool tags = false;
    enum st st = ask_server_init(&s, &args.common, &err);
    if (st == ST_OK && !folder)
        st = find_repository(&s, name, &tags, &err);
    if (st != ST_OK)
        return cli_fail(self, &err);
    struct ask_path path = ask_path(tags ? "/tags" : "/repositories");
    if (name.len > 0)
        ask_query(&path, tags ? "repository" : "prefix", name);
    return call_list_of(self, &s, args.common.form, &path, tags ? tag_columns : repository_columns,
                        tags ? "There are no tags." : "There are no repositories.", 0);
}

static const struct cli_flag flags[] = {
    { "repositories", 0, VALUE_SET, NULL,
      "the repositories at and below PREFIX, even when it\nis one itself",
      offsetof(struct ls_args, repositories) },
    { 0 },
};
static const struct cli_group groups[] = {
    { flags, 0 },
    { cli_common_flags, offsetof(struct ls_args, common) },
    { 0 },
};
const struct cli_command ls_command = {
    .name = "ls",
    .takes = "[OPTIONS] [PREFIX|REPO]",
    .summary = "List repositories, or the tags of one.",
    .help = "\n"
            "Examples:\n"
            "  ebb ls                    all repositories\n"
            "  ebb ls group              those below group/, or the tags of \"group\"\n"
            "  ebb ls group/app -o tsv   tags, for a script\n",
    .run = ls_run,
    .groups = groups,
};
