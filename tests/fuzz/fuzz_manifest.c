/* SPDX-License-Identifier: Apache-2.0
 *
 * Manifests. The first byte chooses the Content-Type and the limits, the rest is the body.
 */
#include <jansson.h>

#include "oci/manifest.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const types[] = {
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "Application/vnd.oci.image.manifest.v1+json; charset=utf-8",
    "",
    "application/json",
    "application/vnd.docker.distribution.manifest.v1+prettyjws",
};

static const struct manifest_limits limits[] = {
    { 4194304, 32, 10000 },
    { 4194304, 5, 3 },
};

static void check_descriptor(const struct descriptor *d)
{
    char text[DIGEST_TEXT_MAX + 1];
    struct digest again;
    assert(digest_parse(digest_text(&d->digest, text), &again, NULL) == ST_OK);
    assert(digest_eq(&d->digest, &again));
    assert(d->size <= (uint64_t)1 << 53);
    assert(d->media_type.len > 0 && str_is_utf8(d->media_type));
}

static void check_list(const struct descriptor *d, size_t count, const struct manifest_limits *l)
{
    assert(count <= l->descriptors_max);
    for (size_t i = 0; i < count; i++) {
        check_descriptor(&d[i]);
        for (size_t k = 0; k < i && i < 200; k++)
            assert(!digest_eq(&d[i].digest, &d[k].digest));
    }
}

static void check_annotations(str text)
{
    if (text.ptr == NULL)
        return;
    json_t *j = json_loadb(text.ptr, text.len, JSON_REJECT_DUPLICATES, NULL);
    assert(json_is_object(j));
    const char *key;
    json_t *value;
    json_object_foreach(j, key, value) assert(json_is_string(value));
    json_decref(j);
}

static void check_accepted(const struct manifest *m, const struct manifest_limits *l)
{
    bool known = false;
    for (size_t i = 0; i < 4; i++)
        known = known || str_eq(m->media_type, str_of(types[i]));
    assert(known);
    check_list(m->blobs, m->blob_count, l);
    check_list(m->children, m->child_count, l);
    if (m->kind == MANIFEST_IMAGE) {
        assert(m->blob_count > 0 && m->child_count == 0);
        assert(m->artifact_type.len > 0);
    } else {
        assert(m->blob_count == 0);
    }
    for (size_t i = 0; i < m->child_count; i++)
        assert(!m->children[i].foreign);
    if (m->has_subject)
        check_descriptor(&m->subject);
    bool oci = str_starts(m->media_type, STR("application/vnd.oci."));
    assert(oci || !m->has_subject);
    check_annotations(m->annotations);
}

static bool same(const struct manifest *a, const struct manifest *b)
{
    return a->kind == b->kind && str_eq(a->media_type, b->media_type) &&
           str_eq(a->artifact_type, b->artifact_type) && a->has_subject == b->has_subject &&
           a->blob_count == b->blob_count && a->child_count == b->child_count &&
           str_eq(a->annotations, b->annotations);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    str type = str_of(types[data[0] % ARRAY_LEN(types)]);
    const struct manifest_limits *l = &limits[data[0] / 128];
    str body = { (const char *)data + 1, size - 1 };
    struct arena a = { .limit_bytes = 64 * MIB };
    struct manifest m;
    struct err err = { .st = ST_OK };
    enum st st = manifest_parse(body, type, l, &a, &m, &err);
    assert(err.st == st);
    assert(st == ST_OK || st == ST_INVALID || st == ST_UNSUPPORTED || st == ST_TOO_LARGE);
    if (st == ST_OK) {
        check_accepted(&m, l);
        /* One body is one kind: any other type refuses it or sees the same thing (an OCI and a
         * Docker type of one kind, when the body names neither). */
        for (size_t i = 0; i < ARRAY_LEN(types); i++) {
            struct manifest other;
            if (manifest_parse(body, str_of(types[i]), l, &a, &other, NULL) != ST_OK)
                continue;
            assert(other.kind == m.kind);
            assert(!str_eq(other.media_type, m.media_type) || same(&m, &other));
        }
    }
    arena_release(&a);
    return 0;
}
