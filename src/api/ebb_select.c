/* SPDX-License-Identifier: Apache-2.0 */
#include "api/ebb_select.h"

#include "api/ebb_reference.h"

#define KEEP_MAX ((uint64_t)1000000000)

/* A member that holds a reference of these kinds. */
static bool read_reference(struct json_in *in, const char *key, int allowed, struct selector *out)
{
    struct ebb_reference ref;
    struct err err = { 0 };
    str text = STR_NONE;
    if (!json_in_text(in, key, EBB_REFERENCE_MAX, &text))
        return false;
    if (ebb_reference_parse(text, allowed, &ref, &err) != ST_OK) {
        json_in_refuse_as(in, key, &err);
        return false;
    }
    out->repo = ref.repo;
    out->tag = ref.tag;
    out->digest = ref.digest;
    return true;
}

/* Patterns are the engine's to check; an empty one means nothing. */
static bool read_pattern(struct json_in *in, const char *key, str *out)
{
    if (!json_in_text(in, key, EBB_PATTERN_MAX, out))
        return false;
    if (out->len > 0)
        return true;
    json_in_refuse(in, key, "an empty pattern matches nothing; leave it out, or name something");
    return false;
}

static void read_rule(struct json_in *in, struct selector *out)
{
    struct selector_rule *r = &out->rule;
    if (!read_pattern(in, "repositories", &out->repo))
        json_in_refuse(in, NULL, "\"repositories\" is missing: a glob such as \"group/**\"");
    (void)read_pattern(in, "tags", &r->tags);
    (void)read_pattern(in, "keep_tags", &r->keep_tags);
    r->has_keep = json_in_count(in, "keep", KEEP_MAX, &r->keep);
    (void)json_in_duration(in, "older_than", &r->older_than_ms);
    (void)json_in_duration(in, "not_pulled_for", &r->not_pulled_for_ms);
    (void)json_in_flag(in, "untagged", &r->untagged);
    json_in_end(in);
    if (r->tags.ptr == NULL && !r->has_keep && r->older_than_ms == 0 && r->not_pulled_for_ms == 0 &&
        !r->untagged)
        json_in_refuse(in, NULL,
                       "a rule needs at least one of tags, keep, older_than, not_pulled_for and"
                       " untagged");
}

static void read_selector(struct json_in *in, struct selector *out)
{
    static const struct {
        const char *key;
        enum selector_kind kind;
        int allowed;
    } references[] = {
        { "tag", SELECT_TAG, EBB_REFERENCE_TAG },
        { "image", SELECT_IMAGE, EBB_REFERENCE_TAG | EBB_REFERENCE_DIGEST },
        { "blob", SELECT_BLOB, EBB_REFERENCE_DIGEST },
    };
    struct json_in rule;
    int found = 0;
    for (size_t i = 0; i < ARRAY_LEN(references); i++)
        if (read_reference(in, references[i].key, references[i].allowed, out)) {
            out->kind = references[i].kind;
            found++;
        }
    if (read_pattern(in, "repository", &out->repo)) {
        out->kind = SELECT_REPOSITORY;
        found++;
    }
    if (read_pattern(in, "trash", &out->repo)) {
        out->kind = SELECT_TRASH;
        found++;
    }
    if (json_in_object(in, "rule", &rule)) {
        out->kind = SELECT_RULE;
        read_rule(&rule, out);
        found++;
    }
    json_in_end(in);
    if (found != 1)
        json_in_refuse(in, NULL,
                       "%s; exactly one of tag, image, blob, repository, rule and trash is"
                       " allowed",
                       found == 0 ? "it selects nothing" : "it selects two things at once");
}

void ebb_select_read(struct json_in *in, size_t reason_max, struct ebb_selection *out)
{
    struct ebb_selection s = { 0 };
    if (!json_in_list(in, "select", EBB_SELECTORS_MAX, &s.count)) {
        json_in_refuse(in, NULL, "\"select\" is missing: a list of what is to be deleted");
        return;
    }
    s.selectors = arena_alloc(in->body->arena, s.count * sizeof(*s.selectors));
    if (s.selectors == NULL) {
        struct err err = { 0 };
        (void)err_no_memory(&err);
        json_in_refuse_as(in, NULL, &err);
        return;
    }
    for (size_t i = 0; i < s.count && !json_in_failed(in); i++) {
        struct json_in one;
        if (json_in_list_object(in, "select", i, &one))
            read_selector(&one, &s.selectors[i]);
    }
    (void)json_in_flag(in, "now", &s.now);
    (void)json_in_text(in, "reason", reason_max, &s.reason);
    *out = s;
}
