/* SPDX-License-Identifier: Apache-2.0
 *
 * `ebb lock` - what may be done with a repository, tag or image: Azure's attributes.
 */
#include "cli/cli_call.h"
#include "cli/cli_reference.h"
#include "oci/name.h"

struct lock_args {
    struct cli_common common;
    bool may[4]; /* as attributes[] has them */
    bool no[4];
};
static const char *const attributes[] = { "delete", "write", "list", "read" };

static const struct table_column columns[] = {
    { "repository", "repository", TABLE_TEXT, NULL },
    { "tag", "tag", TABLE_TEXT, NULL },
    { "digest", "digest", TABLE_TEXT, NULL },
    { "delete", "delete", TABLE_TEXT, NULL },
    { "write", "write", TABLE_TEXT, NULL },
    { "list", "list", TABLE_TEXT, NULL },
    { "read", "read", TABLE_TEXT, NULL },
    { 0 },
};

struct object {
    str repository;
    str tag;    /* or unset */
    str digest; /* or unset */
};

/* "repo", "repo:tag" or "repo@digest" */
static enum cli_exit read_object(const struct cli_command *self, const char *word,
                                 struct object *out)
{
    struct err err;
    str text = str_of(word);
    *out = (struct object){ .repository = text };
    bool parted = str_cut(text, '@', &out->repository, &out->digest) ||
                  str_cut_last(text, ':', &out->repository, &out->tag);
    enum st st = parted ? reference_check(text, REFERENCE_TAG | REFERENCE_IMAGE, &err)
                        : name_check(text, &err);
    return st == ST_OK ? CLI_DONE : cli_usage(self, "%s", err.text);
}

static enum cli_exit show_run(const struct cli_command *self, int argc, char **argv)
{
    struct cli_common common = { 0 };
    struct call_words words = { 1, 1, "takes a repository, repo:tag or repo@sha256:...", NULL, 0 };
    struct ask_path path = ask_path("/locks");
    struct object object = { 0 };
    enum cli_exit exit = call_read(self, argc, argv, &common, &words);
    if (exit == CLI_DONE)
        exit = read_object(self, words.items[0], &object);
    if (exit != CLI_DONE)
        return exit;
    ask_query(&path, "repository", object.repository);
    ask_query(&path, "tag", object.tag);
    ask_query(&path, "digest", object.digest);
    return call_object(self, &common, &path, columns);
}

static enum cli_exit set_run(const struct cli_command *self, int argc, char **argv)
{
    struct lock_args args = { 0 };
    struct call_words words = { 1, 1, "takes a repository, repo:tag or repo@sha256:...", NULL, 0 };
    const struct ask_path path = ask_path("/locks");
    struct object object = { 0 };
    bool any = false;
    enum cli_exit exit = call_read(self, argc, argv, &args, &words);
    if (exit == CLI_DONE)
        exit = read_object(self, words.items[0], &object);
    for (size_t i = 0; exit == CLI_DONE && i < ARRAY_LEN(attributes); i++) {
        any = any || args.may[i] || args.no[i];
        if (args.may[i] && args.no[i])
            exit = cli_usage(self, "--%s and --no-%s exclude each other", attributes[i],
                             attributes[i]);
    }
    if (exit == CLI_DONE && !any)
        exit = cli_usage(self, "what is to change?");
    if (exit != CLI_DONE)
        return exit;
    json_t *body = json_object();
    call_set(&body, "repository", json_stringn(object.repository.ptr, object.repository.len));
    if (object.tag.len > 0)
        call_set(&body, "tag", json_stringn(object.tag.ptr, object.tag.len));
    if (object.digest.len > 0)
        call_set(&body, "digest", json_stringn(object.digest.ptr, object.digest.len));
    for (size_t i = 0; i < ARRAY_LEN(attributes); i++)
        if (args.may[i] || args.no[i])
            call_set(&body, attributes[i], json_boolean(args.may[i]));
    return call_row(self, &args.common, &path, body, columns);
}

#define PAIR(i, name, text_may, text_no)                                                           \
    { "no-" name, 0, VALUE_SET, NULL, text_no, offsetof(struct lock_args, no[i]) },                \
    {                                                                                              \
        name, 0, VALUE_SET, NULL, text_may, offsetof(struct lock_args, may[i])                     \
    }
static const struct cli_flag set_flags[] = {
    PAIR(0, "delete", "it can", "it cannot be deleted"),
    PAIR(1, "write", "it can", "it cannot be pushed or moved"),
    PAIR(2, "list", "it does", "it stands in no list"),
    PAIR(3, "read", "it can", "it cannot be pulled"),
    { 0 },
};
static const struct cli_group common_groups[] = { { cli_common_flags, 0 }, { 0 } };
static const struct cli_group set_groups[] = {
    { set_flags, 0 },
    { cli_common_flags, offsetof(struct lock_args, common) },
    { 0 },
};
static const struct cli_command lock_show_command = {
    .name = "lock show",
    .takes = "[OPTIONS] REPO|REF",
    .summary = "Show what may be done; false is locked.",
    .help = "\n"
            "Examples:\n"
            "  ebb lock show group/app\n"
            "  ebb lock show group/app:1.0 -o json\n",
    .run = show_run,
    .groups = common_groups,
};
static const struct cli_command lock_set_command = {
    .name = "lock set",
    .takes = "OPTIONS REPO|REF",
    .summary = "Change what may be done; what is not named stays.",
    .help = "\n"
            "Examples:\n"
            "  ebb lock set group/app:1.0 --no-delete --no-write\n"
            "  ebb lock set group/app:1.0 --delete --write\n",
    .run = set_run,
    .groups = set_groups,
};
static const struct cli_command *const commands[] = { &lock_show_command, &lock_set_command, NULL };
const struct cli_command lock_command = {
    .name = "lock",
    .takes = "COMMAND [OPTIONS]",
    .summary = "Lock a repository, tag or image, as Azure's registry does.",
    .help = "\n"
            "`ebb lock COMMAND --help` shows more.\n",
    .commands = commands,
};
