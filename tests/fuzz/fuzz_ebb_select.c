/* SPDX-License-Identifier: Apache-2.0
 *
 * Bodies of POST /api/ebb/v1/plans.
 */
#include "api/ebb_select.h"
#include "oci/name.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct selector *s)
{
    const struct selector_rule *r = &s->rule;
    bool named = s->kind == SELECT_TAG || s->kind == SELECT_IMAGE || s->kind == SELECT_BLOB;
    assert(s->repo.len > 0 && str_is_utf8(s->repo));
    if (named)
        assert(name_check(s->repo, NULL) == ST_OK);
    if (s->kind == SELECT_TAG || (s->kind == SELECT_IMAGE && s->tag.ptr != NULL))
        assert(tag_check(s->tag, NULL) == ST_OK);
    if (s->kind == SELECT_BLOB)
        assert(s->tag.ptr == NULL);
    if (s->kind != SELECT_RULE)
        return;
    assert(r->tags.ptr != NULL || r->has_keep || r->older_than_ms > 0 || r->not_pulled_for_ms > 0 ||
           r->untagged);
    assert(r->older_than_ms >= 0 && r->not_pulled_for_ms >= 0);
    assert(r->tags.ptr == NULL || r->tags.len > 0);
    assert(r->keep_tags.ptr == NULL || r->keep_tags.len > 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena a = { .limit_bytes = 64 * MIB };
    struct json_in_body body;
    struct json_in in;
    struct ebb_selection s = { 0 };
    struct err err = { .st = ST_OK };
    enum st st = json_in_read(&body, (str){ (const char *)data, size }, false, &a, &in, &err);
    if (st == ST_OK) {
        ebb_select_read(&in, 1000, &s);
        st = json_in_close(&in, &err);
    }
    assert(st == ST_OK || st == ST_INVALID || st == ST_TOO_LARGE);
    assert(err.st == st);
    if (st != ST_OK)
        assert(err.text[0] != '\0');
    else
        assert(s.count > 0 && s.count <= EBB_SELECTORS_MAX);
    for (size_t i = 0; st == ST_OK && i < s.count; i++)
        check(&s.selectors[i]);
    json_in_release(&body);
    arena_release(&a);
    return 0;
}
