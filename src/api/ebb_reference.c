/* SPDX-License-Identifier: Apache-2.0 */
#include "api/ebb_reference.h"

#define ECHO_MAX ((size_t)100)

static const char *forms(int allowed)
{
    static const char *const texts[] = {
        [EBB_REFERENCE_TAG] = "repo:tag",
        [EBB_REFERENCE_DIGEST] = "repo@digest",
        [EBB_REFERENCE_TAG | EBB_REFERENCE_DIGEST] = "repo:tag or repo@digest",
        [EBB_REFERENCE_ALONE] = "a digest",
        [EBB_REFERENCE_TAG | EBB_REFERENCE_ALONE] = "repo:tag or a digest",
        [EBB_REFERENCE_DIGEST | EBB_REFERENCE_ALONE] = "repo@digest or a digest",
        [EBB_REFERENCE_TAG | EBB_REFERENCE_DIGEST | EBB_REFERENCE_ALONE] =
            "repo:tag, repo@digest or a digest",
    };
    return texts[allowed];
}

static enum st refuse(str s, int allowed, const char *why, struct err *err)
{
    size_t len = MIN(s.len, ECHO_MAX);
    while (len > 0 && len < s.len && !str_is_utf8(str_slice(s, 0, len)))
        len--;
    return err_set(err, ST_INVALID, "\"%.*s\" %s; %s is allowed", (int)len, s.ptr, why,
                   forms(allowed));
}

static bool looks_like_digest(str s)
{
    struct digest ignored;
    return digest_parse(s, &ignored, NULL) == ST_OK;
}

static enum st parse(str s, int allowed, struct ebb_reference *out, struct err *err)
{
    str left = STR_NONE;
    str right = STR_NONE;
    enum st st = ST_OK;
    if (str_cut(s, '@', &left, &right)) {
        *out = (struct ebb_reference){ .kind = EBB_REFERENCE_DIGEST, .repo = left };
        st = digest_parse(right, &out->digest, err);
        return st == ST_OK ? name_check(left, err) : st;
    }
    if (looks_like_digest(s)) {
        *out = (struct ebb_reference){ .kind = EBB_REFERENCE_ALONE };
        return digest_parse(s, &out->digest, err);
    }
    if (!str_cut(s, ':', &left, &right))
        return refuse(s, allowed, "names no tag and no digest", err);
    *out = (struct ebb_reference){ .kind = EBB_REFERENCE_TAG, .repo = left, .tag = right };
    st = name_check(left, err);
    return st == ST_OK ? tag_check(right, err) : st;
}

enum st ebb_reference_parse(str s, int allowed, struct ebb_reference *out, struct err *err)
{
    struct ebb_reference found = { 0 };
    if (s.len == 0)
        return err_set(err, ST_INVALID, "a reference is empty; %s is allowed", forms(allowed));
    if (s.len > EBB_REFERENCE_MAX)
        return refuse(s, allowed, "is longer than any reference", err);
    enum st st = parse(s, allowed, &found, err);
    if (st == ST_UNSUPPORTED && err != NULL)
        err->st = ST_INVALID;
    if (st != ST_OK)
        return ST_INVALID;
    if ((found.kind & allowed) == 0)
        return refuse(s, allowed, "is not meant here", err);
    *out = found;
    return ST_OK;
}
