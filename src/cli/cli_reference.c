/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli_reference.h"

#include <errno.h>

#include "oci/name.h"

#define LINE_MAX_BYTES 1024

static enum st refuse(str text, unsigned kinds, const struct err *why, struct err *err)
{
    static const char *const allowed[] = {
        [REFERENCE_TAG] = "repo:tag",
        [REFERENCE_IMAGE] = "repo@sha256:...",
        [REFERENCE_TAG | REFERENCE_IMAGE] = "repo:tag and repo@sha256:...",
        [REFERENCE_DIGEST] = "sha256:...",
        [REFERENCE_DIGEST | REFERENCE_TAG] = "repo:tag and sha256:...",
        [REFERENCE_DIGEST | REFERENCE_IMAGE] = "repo@sha256:... and sha256:...",
        [REFERENCE_DIGEST | REFERENCE_TAG | REFERENCE_IMAGE] =
            "repo:tag, repo@sha256:... and sha256:...",
    };
    return err_set(err, ST_INVALID, "\"%.*s\" is no reference%s%s; allowed: %s",
                   (int)MIN(text.len, 128), text.ptr, why == NULL ? "" : ": ",
                   why == NULL ? "" : why->text, allowed[kinds]);
}

enum st reference_check(str text, unsigned kinds, struct err *err)
{
    str repo;
    str rest;
    struct digest digest;
    struct err why;
    if (str_cut(text, '@', &repo, &rest)) {
        if ((kinds & REFERENCE_IMAGE) == 0)
            return refuse(text, kinds, NULL, err);
        if (name_check(repo, &why) != ST_OK || digest_parse(rest, &digest, &why) != ST_OK)
            return refuse(text, kinds, &why, err);
        return ST_OK;
    }
    if ((kinds & REFERENCE_DIGEST) != 0 &&
        (str_starts(text, STR("sha256:")) || str_starts(text, STR("sha512:")))) {
        if (digest_parse(text, &digest, &why) != ST_OK)
            return refuse(text, kinds, &why, err);
        return ST_OK;
    }
    if ((kinds & REFERENCE_TAG) == 0 || !str_cut_last(text, ':', &repo, &rest))
        return refuse(text, kinds, NULL, err);
    if (name_check(repo, &why) != ST_OK || tag_check(rest, &why) != ST_OK)
        return refuse(text, kinds, &why, err);
    return ST_OK;
}

/* ---- many ------------------------------------------------------------------------------------ */

static enum st read_input(unsigned kinds, reference_fn add, void *ctx, struct err *err)
{
    char line[LINE_MAX_BYTES];
    size_t number = 0;
    size_t found = 0;
    enum st st = ST_OK;
    while (st == ST_OK && fgets(line, sizeof(line), stdin) != NULL) {
        size_t len = strlen(line);
        number++;
        if (len + 1 == sizeof(line) && line[len - 1] != '\n')
            return err_set(err, ST_TOO_LARGE,
                           "standard input, line %zu: longer than %d bytes, or not a text", number,
                           LINE_MAX_BYTES - 2);
        while (len > 0 && (line[len - 1] == '\n' || line[len - 1] == '\r'))
            len--;
        str s = str_trim((str){ line, len });
        if (s.len == 0 || s.ptr[0] == '#')
            continue;
        if (++found > REFERENCES_MAX)
            return err_set(err, ST_TOO_LARGE,
                           "standard input, line %zu: more than %d references; divide them", number,
                           REFERENCES_MAX);
        st = reference_check(s, kinds, err);
        if (st == ST_OK)
            st = add(s, ctx, err);
        if (st != ST_OK)
            return err_wrap(err, "standard input, line %zu", number);
    }
    if (ferror(stdin))
        return err_sys(err, "standard input");
    if (found == 0)
        return err_set(err, ST_INVALID, "standard input names nothing");
    return ST_OK;
}

enum cli_exit reference_each(const struct cli_command *self, char **words, int count,
                             unsigned kinds, reference_fn add, void *ctx, bool *from_input)
{
    struct err err;
    *from_input = false;
    for (int i = 0; i < count; i++) {
        str s = str_of(words[i]);
        if (str_eq(s, STR("-"))) {
            if (*from_input)
                return cli_usage(self, "\"-\" may be given once");
            *from_input = true;
            if (read_input(kinds, add, ctx, &err) != ST_OK)
                return cli_fail(self, &err);
            continue;
        }
        if (reference_check(s, kinds, &err) != ST_OK)
            return cli_usage(self, "%s", err.text);
        if (add(s, ctx, &err) != ST_OK)
            return cli_fail(self, &err);
    }
    return CLI_DONE;
}
