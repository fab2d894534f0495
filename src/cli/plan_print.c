/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/plan_print.h"

#include "base/quantity.h"
#include "cli/cli_text.h"

#define ITEMS_SHOWN    200
#define OTHERS_SHOWN   10 /* of what stays, of what is protected */
#define TAGS_MAX_BYTES 400
#define HEX_SHOWN      12

const char *plan_what(const json_t *counts, char out[static PLAN_WHAT_MAX])
{
    static const char *const words[][3] = { { "tags", "tag", "tags" },
                                            { "manifests", "image", "images" },
                                            { "blobs", "blob", "blobs" } };
    size_t len = 0;
    char text[TEXT_COUNTED_MAX];
    out[0] = '\0';
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        uint64_t n = ask_count(counts, words[i][0]);
        if (n == 0)
            continue;
        (void)snprintf(out + len, PLAN_WHAT_MAX - len, "%s%s", len > 0 ? ", " : "",
                       text_counted(n, words[i][1], words[i][2], text));
        len = strlen(out);
    }
    if (len == 0)
        (void)snprintf(out, PLAN_WHAT_MAX, "nothing");
    return out;
}

/* "sha256:0123456789ab" */
static str short_digest(const json_t *object)
{
    str s = ask_text(object, "digest");
    str rest;
    str algorithm;
    if (!str_cut(s, ':', &algorithm, &rest))
        return s;
    return str_slice(s, 0, algorithm.len + 1 + HEX_SHOWN);
}

/* ---- what goes ------------------------------------------------------------------------------- */

static bool is_kind(const json_t *item, str kind)
{
    return str_eq(ask_text(item, "kind"), kind);
}

static bool is_same_image(const json_t *a, const json_t *b)
{
    return str_eq(ask_text(a, "repository"), ask_text(b, "repository")) &&
           str_eq(ask_text(a, "digest"), ask_text(b, "digest"));
}

static bool has_image(const json_t *items, const json_t *tag)
{
    for (size_t i = 0; i < json_array_size(items); i++) {
        const json_t *item = json_array_get(items, i);
        if (is_kind(item, STR("manifest")) && is_same_image(item, tag))
            return true;
    }
    return false;
}

static void add_tags(const json_t *items, const json_t *image, struct buf *out)
{
    size_t left = 0;
    for (size_t i = 0; i < json_array_size(items); i++) {
        const json_t *item = json_array_get(items, i);
        if (!is_kind(item, STR("tag")) || !is_same_image(item, image))
            continue;
        str tag = ask_text(item, "tag");
        if (out->len + tag.len > TAGS_MAX_BYTES)
            left++;
        else
            buf_printf(out, "%s%.*s", out->len > 0 ? ", " : "", STR_FMT(tag));
    }
    if (left > 0)
        buf_printf(out, " and %zu more", left);
}

static void print_item(const json_t *items, const json_t *item, bool whole_list, FILE *out)
{
    AUTO(buf_release) struct buf tags = { .max_bytes = 4096 };
    char size[QUANTITY_MAX];
    str repo = ask_text(item, "repository");
    str digest = short_digest(item);
    if (is_kind(item, STR("tag"))) {
        if (!has_image(items, item))
            text_line(out, "  %.*s:%.*s  %s %.*s", STR_FMT(repo), STR_FMT(ask_text(item, "tag")),
                      whole_list ? "the tag alone; its image stays:" : "a tag of", STR_FMT(digest));
        return;
    }
    bool blob = is_kind(item, STR("blob")); /* an image's size here is that of its manifest only */
    add_tags(items, item, &tags);
    text_line(
        out, "  %.*s@%.*s%s%s%s%.*s%s", STR_FMT(repo), STR_FMT(digest), blob ? "  blob, " : "",
        blob ? quantity_bytes_text((double)ask_count(item, "size"), size) : "",
        tags.len > 0 ? "  tagged " : "", STR_FMT(tags.len > 0 ? buf_str(&tags) : STR("")),
        str_eq(ask_text(item, "role"), STR("with")) ? "  with it: nothing else keeps it" : "");
}

static struct ask_path items_path(const json_t *plan, const char *state, unsigned n)
{
    struct ask_path path = ask_path("/plans");
    ask_path_add(&path, ask_text(plan, "plan"));
    ask_path_add(&path, STR("items"));
    ask_query(&path, "state", str_of(state));
    ask_query_number(&path, "n", n);
    return path;
}

static enum st print_goes(const struct ask_server *s, const json_t *plan, FILE *out,
                          struct err *err)
{
    AUTO(ask_answer_release) struct ask_answer page = { 0 };
    struct ask_path path = items_path(plan, "goes", ITEMS_SHOWN);
    enum st st = ask(s, "GET", &path, NULL, &page, err);
    if (st != ST_OK)
        return st;
    const json_t *items = json_object_get(page.body, "items");
    bool whole = !ask_has(page.body, "next");
    if (json_array_size(items) > 0)
        text_line(out, "Goes:");
    for (size_t i = 0; i < json_array_size(items); i++)
        print_item(items, json_array_get(items, i), whole, out);
    if (!whole)
        text_line(out, "  and more: `ebb plan show %.*s --items` lists all of it",
                  STR_FMT(ask_text(plan, "plan")));
    return ST_OK;
}

/* ---- what does not --------------------------------------------------------------------------- */

static enum st print_protected(const struct ask_server *s, const json_t *plan, FILE *out,
                               struct err *err)
{
    AUTO(ask_answer_release) struct ask_answer page = { 0 };
    struct ask_path path = items_path(plan, "protected", OTHERS_SHOWN);
    char count[TEXT_COUNT_MAX];
    uint64_t n = ask_count(plan, "protected");
    if (n == 0)
        return ST_OK;
    enum st st = ask(s, "GET", &path, NULL, &page, err);
    if (st != ST_OK)
        return st;
    const json_t *items = json_object_get(page.body, "items");
    text_line(out, "Protected, does not go: %s", text_count(n, count));
    for (size_t i = 0; i < json_array_size(items); i++) {
        const json_t *item = json_array_get(items, i);
        bool tag = is_kind(item, STR("tag"));
        text_line(out, "  %.*s%s%.*s  %.*s", STR_FMT(ask_text(item, "repository")), tag ? ":" : "@",
                  STR_FMT(tag ? ask_text(item, "tag") : short_digest(item)),
                  STR_FMT(ask_text(item, "why")));
    }
    return ST_OK;
}

static void print_keeper(const json_t *by, FILE *out)
{
    str tag = ask_text(by, "tag");
    text_line(out, "      %.*s%s%.*s  %.*s", STR_FMT(ask_text(by, "repository")),
              tag.len > 0 ? ":" : "@", STR_FMT(tag.len > 0 ? tag : short_digest(by)),
              STR_FMT(ask_text(by, "why")));
}

static void print_kept(const json_t *plan, FILE *out)
{
    char size[QUANTITY_MAX];
    const json_t *kept = json_object_get(plan, "kept");
    uint64_t bytes = ask_count(plan, "bytes_kept");
    size_t n = json_array_size(kept);
    if (bytes == 0)
        return;
    text_line(out, "Stays: %s that something else uses", quantity_bytes_text((double)bytes, size));
    for (size_t i = 0; i < MIN(n, OTHERS_SHOWN); i++) {
        const json_t *blob = json_array_get(kept, i);
        const json_t *by = json_object_get(blob, "by");
        str digest = short_digest(blob);
        text_line(out, "  %.*s  %s", STR_FMT(digest),
                  quantity_bytes_text((double)ask_count(blob, "size"), size));
        for (size_t k = 0; k < json_array_size(by); k++)
            print_keeper(json_array_get(by, k), out);
    }
    if (n > OTHERS_SHOWN)
        text_line(out, "  and %zu smaller", n - OTHERS_SHOWN);
}

static void print_retained(const json_t *plan, FILE *out)
{
    static const char *const words[][2] = {
        { "newest", "among the newest" },
        { "young", "too young" },
        { "pulled", "pulled not long ago" },
        { "name", "kept by name" },
        { "unknown", "whose pulls are not known long enough" },
        { "unclear", "on which a regular expression gave up" },
    };
    const json_t *retained = json_object_get(plan, "retained");
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        char count[TEXT_COUNTED_MAX];
        uint64_t n = ask_count(retained, words[i][0]);
        if (n > 0)
            text_line(out, "Left alone: %s %s", text_counted(n, "tag", "tags", count), words[i][1]);
    }
}

static void print_freed(const json_t *plan, FILE *out)
{
    char size[QUANTITY_MAX];
    char count[TEXT_COUNT_MAX];
    char later[QUANTITY_MAX];
    char until[TEXT_TIME_MAX];
    uint64_t freed = ask_count(plan, "bytes_freed");
    text_line(out, "Frees: %s (%s bytes)%s", quantity_bytes_text((double)freed, size),
              text_count(freed, count),
              json_is_true(json_object_get(plan, "now")) ? ", at once and for good" : "");
    if (ask_count(plan, "bytes_later") > 0)
        text_line(out, "  of it %s later: something holds it until %s",
                  quantity_bytes_text((double)ask_count(plan, "bytes_later"), later),
                  text_time(ask_text(plan, "later_until"), until));
}

static void print_warnings(const json_t *plan, FILE *out)
{
    const json_t *warnings = json_object_get(plan, "warnings");
    bool colored = cli_colored(out);
    for (size_t i = 0; i < json_array_size(warnings); i++) {
        fputs(colored ? "\033[33mWarning:\033[0m " : "Warning: ", out);
        text_line(out, "%.*s", STR_FMT(ask_text(json_array_get(warnings, i), "text")));
    }
}

enum st plan_print(const struct ask_server *s, const json_t *plan, FILE *out, struct err *err)
{
    char what[PLAN_WHAT_MAX];
    uint64_t repositories = ask_count(plan, "repositories");
    char in[TEXT_COUNTED_MAX];
    text_line(out, "Plan %.*s: %s in %s", STR_FMT(ask_text(plan, "plan")), plan_what(plan, what),
              text_counted(repositories, "repository", "repositories", in));
    enum st st = print_goes(s, plan, out, err);
    if (st == ST_OK)
        st = print_protected(s, plan, out, err);
    if (st != ST_OK)
        return st;
    print_retained(plan, out);
    print_kept(plan, out);
    print_freed(plan, out);
    print_warnings(plan, out);
    return ST_OK;
}

void plan_print_end(const json_t *plan, FILE *out)
{
    char until[TEXT_TIME_MAX];
    if (ask_has(plan, "receipt"))
        text_line(out, "It was applied: receipt %llu.",
                  (unsigned long long)ask_count(plan, "receipt"));
    else
        text_line(out, "Nothing was deleted. Until %s this does it: ebb apply %.*s",
                  text_time(ask_text(plan, "expires_at"), until), STR_FMT(ask_text(plan, "plan")));
}
