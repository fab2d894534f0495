/* SPDX-License-Identifier: Apache-2.0
 *
 * `ebb purge` - deletes by a rule.
 */
#include "cli/delete.h"

struct purge_args {
    struct cli_common common;
    struct delete_args deletion;
    const char *tags;
    const char *keep_tags;
    struct cli_number keep;
    const char *older_than;
    const char *not_pulled_for;
    bool untagged;
};

/* NULL when a text is not UTF-8. */
static json_t *make_rule(const struct purge_args *a, const char *glob)
{
    const struct {
        const char *key;
        const char *value;
    } texts[] = { { "repositories", glob },
                  { "tags", a->tags },
                  { "keep_tags", a->keep_tags },
                  { "older_than", a->older_than },
                  { "not_pulled_for", a->not_pulled_for } };
    json_t *rule = json_object();
    bool good = rule != NULL;
    for (size_t i = 0; good && i < ARRAY_LEN(texts); i++)
        good = texts[i].value == NULL ||
               json_object_set_new(rule, texts[i].key, json_string(texts[i].value)) == 0;
    if (good && a->keep.given)
        good = json_object_set_new(rule, "keep", json_integer((json_int_t)a->keep.value)) == 0;
    if (good && a->untagged)
        good = json_object_set_new(rule, "untagged", json_true()) == 0;
    if (good)
        return rule;
    json_decref(rule);
    return NULL;
}

static enum cli_exit purge_run(const struct cli_command *self, int argc, char **argv)
{
    struct purge_args args = { 0 };
    struct delete_call call = { .self = self };
    char **words;
    int count;
    enum cli_exit exit = cli_read(self, argc, argv, &args, &words, &count);
    if (exit != CLI_DONE)
        return exit;
    if (count == 0)
        return cli_usage(self, "of which repositories? A glob such as 'group/**'");
    if (args.tags == NULL && !args.keep.given && args.older_than == NULL &&
        args.not_pulled_for == NULL && !args.untagged)
        return cli_usage(self, "what is to go? Give --tags, --keep, --older-than, --not-pulled-for "
                               "or --untagged");
    call.common = args.common;
    call.args = args.deletion;
    json_t *select = json_array();
    for (int i = 0; i < count; i++) {
        json_t *rule = make_rule(&args, words[i]);
        if (rule == NULL) {
            json_decref(select);
            return cli_usage(self, "what is given is not UTF-8");
        }
        (void)json_array_append_new(select, json_pack("{s:o}", "rule", rule));
    }
    return delete_select(&call, select);
}

static const struct cli_flag flags[] = {
    { "tags", 0, VALUE_TEXT, "RE", "tags that match as a whole",
      offsetof(struct purge_args, tags) },
    { "keep-tags", 0, VALUE_TEXT, "RE", "but never those that match this as a whole",
      offsetof(struct purge_args, keep_tags) },
    { "keep", 0, VALUE_NUMBER, "N", "keep the newest N of the tags that match",
      offsetof(struct purge_args, keep) },
    { "older-than", 0, VALUE_DURATION, "TIME", "tags that were set longer ago: 7d, 36h",
      offsetof(struct purge_args, older_than) },
    { "not-pulled-for", 0, VALUE_DURATION, "TIME", "images that nobody pulled for so long: 30d",
      offsetof(struct purge_args, not_pulled_for) },
    { "untagged", 0, VALUE_SET, NULL, "images without a tag that nothing refers to",
      offsetof(struct purge_args, untagged) },
    { 0 },
};
static const struct cli_group groups[] = {
    { flags, 0 },
    { delete_flags, offsetof(struct purge_args, deletion) },
    { cli_common_flags, offsetof(struct purge_args, common) },
    { 0 },
};
const struct cli_command purge_command = {
    .name = "purge",
    .takes = "[OPTIONS] GLOB...",
    .summary = "Delete by a rule: by name, age, last pull or number.",
    .help = "\n"
            "GLOB names repositories: * within a part, ** across parts, ? one character. A tag\n"
            "goes when all that is given applies to it; what cannot be decided stays.\n"
            "\n"
            "Examples:\n"
            "  ebb purge 'ci/**' --tags 'pr-.*' --older-than 7d --dry-run\n"
            "  ebb purge group/app --tags '.*' --keep-tags 'v.*|latest' --keep 5\n"
            "  ebb purge '**' --untagged --yes\n",
    .run = purge_run,
    .groups = groups,
};
