/* SPDX-License-Identifier: Apache-2.0
 *
 * The tree that json_tree.h makes of a body dies before manifest_parse() returns; the result lives
 * in the caller's arena.
 *
 * null stands for "absent" where a field is optional, because Go programs write nil so.
 */
#include "oci/manifest.h"

#include "oci/json_tree.h"

/* Values a body may hold: for each descriptor what annotated and platform-specific ones need, and
 * some for the rest. A value costs jansson up to 250 bytes. */
#define VALUES_PER_DESCRIPTOR 16
#define VALUES_MORE           10000

#define SIZE_MAX_JSON ((json_int_t)1 << 53) /* the largest integer all JSON readers agree on */
#define ECHO_MAX      ((size_t)100)         /* of peer input repeated in a message */

static const struct {
    const char *media_type;
    enum manifest_kind kind;
    bool oci; /* knows subject and artifactType */
} types[] = {
    { "application/vnd.oci.image.manifest.v1+json", MANIFEST_IMAGE, true },
    { "application/vnd.oci.image.index.v1+json", MANIFEST_INDEX, true },
    { "application/vnd.docker.distribution.manifest.v2+json", MANIFEST_IMAGE, false },
    { "application/vnd.docker.distribution.manifest.list.v2+json", MANIFEST_INDEX, false },
};

static const char *const schema1_types[] = {
    "application/vnd.docker.distribution.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v1+prettyjws",
};

/* Layers that clients fetch elsewhere and never push (image-spec layer.md; Docker schema 2). */
static const char *const foreign_types[] = {
    "application/vnd.oci.image.layer.nondistributable.v1.tar",
    "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
    "application/vnd.oci.image.layer.nondistributable.v1.tar+zstd",
    "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
};

/* One body under way. */
struct parse {
    const struct manifest_limits *limits;
    struct arena *arena;
    const json_t *root;
    size_t type; /* in types[] */
    struct err *err;
};

static enum st refuse_type(str media_type, struct err *err)
{
    for (size_t i = 0; i < ARRAY_LEN(schema1_types); i++)
        if (str_eq_nocase(media_type, str_of(schema1_types[i])))
            return err_set(err, ST_UNSUPPORTED,
                           "Docker schema 1 manifests are not accepted; push again with a client "
                           "that writes schema 2 or OCI (Docker 1.10 or later)");
    return err_set(err, ST_UNSUPPORTED,
                   "media type \"%.*s\" is not accepted; OCI image manifests and indexes, Docker "
                   "schema 2 manifests and manifest lists are",
                   (int)MIN(media_type.len, ECHO_MAX), media_type.ptr);
}

static enum st type_of(str media_type, size_t *type, struct err *err)
{
    for (size_t i = 0; i < ARRAY_LEN(types); i++)
        if (str_eq_nocase(media_type, str_of(types[i].media_type))) {
            *type = i;
            return ST_OK;
        }
    return refuse_type(media_type, err);
}

/* A field's value; NULL when absent or null. */
static const json_t *field(const json_t *object, const char *key)
{
    const json_t *j = json_object_get(object, key);
    return json_is_null(j) ? NULL : j;
}

static str text_of(const json_t *string)
{
    return (str){ json_string_value(string), json_string_length(string) };
}

static enum st invalid(struct err *err, const char *what)
{
    return err_set(err, ST_INVALID, "%s", what);
}

/* The body's own mediaType must not contradict the Content-Type (CVE-2021-41190). */
static enum st check_media_type(struct parse *p, str content_type)
{
    const json_t *own = json_object_get(p->root, "mediaType");
    if (own != NULL && !json_is_string(own))
        return invalid(p->err, "manifest: mediaType must be a string");
    if (content_type.len == 0) {
        if (own == NULL)
            return err_set(p->err, ST_UNSUPPORTED,
                           "manifest: neither a Content-Type nor a mediaType says what it is");
        for (p->type = 0; p->type < ARRAY_LEN(types); p->type++)
            if (str_eq(text_of(own), str_of(types[p->type].media_type)))
                return ST_OK;
        return refuse_type(text_of(own), p->err);
    }
    if (own != NULL && !str_eq(text_of(own), str_of(types[p->type].media_type)))
        return err_set(p->err, ST_INVALID,
                       "manifest: mediaType \"%.*s\" in the body differs from the Content-Type %s",
                       (int)MIN(text_of(own).len, ECHO_MAX), text_of(own).ptr,
                       types[p->type].media_type);
    return ST_OK;
}

static enum st check_kind(struct parse *p)
{
    const json_t *version = json_object_get(p->root, "schemaVersion");
    if (!json_is_integer(version) || json_integer_value(version) != 2)
        return invalid(p->err, "manifest: schemaVersion must be the integer 2");
    bool image = field(p->root, "config") != NULL || field(p->root, "layers") != NULL;
    bool index = field(p->root, "manifests") != NULL;
    if (image && index)
        return invalid(p->err,
                       "manifest: \"manifests\" beside \"config\" or \"layers\" is ambiguous");
    return ST_OK;
}

/* `like` is a media type copied before: neighbours mostly share theirs. */
static enum st parse_descriptor(struct parse *p, const json_t *j, str like, struct descriptor *out)
{
    const json_t *type = json_object_get(j, "mediaType");
    const json_t *digest = json_object_get(j, "digest");
    const json_t *size = json_object_get(j, "size");
    struct descriptor d = { .size = 0 };
    if (!json_is_object(j))
        return invalid(p->err, "must be an object");
    if (!json_is_string(type) || json_string_length(type) == 0)
        return invalid(p->err, "mediaType must be a string");
    if (!json_is_string(digest))
        return invalid(p->err, "digest must be a string");
    enum st st = digest_parse(text_of(digest), &d.digest, p->err);
    if (st != ST_OK)
        return st;
    if (!json_is_integer(size) || json_integer_value(size) < 0 ||
        json_integer_value(size) > SIZE_MAX_JSON)
        return invalid(p->err, "size must be an integer from 0 to 2^53");
    d.size = (uint64_t)json_integer_value(size);
    d.media_type = str_eq(text_of(type), like) ? like : arena_dup(p->arena, text_of(type));
    if (d.media_type.ptr == NULL)
        return err_no_memory(p->err);
    *out = d;
    return ST_OK;
}

static int by_digest_then_place(const void *a, const void *b)
{
    const struct descriptor *x = *(const struct descriptor *const *)a;
    const struct descriptor *y = *(const struct descriptor *const *)b;
    int c = (int)x->digest.algorithm - (int)y->digest.algorithm;
    if (c == 0)
        c = memcmp(x->digest.bytes, y->digest.bytes, sizeof(x->digest.bytes));
    return c != 0 ? c : (x > y) - (x < y);
}

/* Keeps the first of equal digests, in the order given. What one mention calls foreign and another
 * does not must be there, so it is not foreign. */
static enum st remove_duplicates(struct parse *p, struct descriptor *d, size_t *count)
{
    if (*count < 2)
        return ST_OK;
    struct descriptor **sorted = arena_alloc(p->arena, *count * sizeof(struct descriptor *));
    if (sorted == NULL)
        return err_no_memory(p->err);
    for (size_t i = 0; i < *count; i++)
        sorted[i] = &d[i];
    qsort(sorted, *count, sizeof(struct descriptor *), by_digest_then_place);
    struct descriptor *first = sorted[0];
    for (size_t i = 1; i < *count; i++) {
        if (!digest_eq(&first->digest, &sorted[i]->digest)) {
            first = sorted[i];
            continue;
        }
        if (first->size != sorted[i]->size) {
            char text[DIGEST_TEXT_MAX + 1];
            (void)digest_text(&first->digest, text);
            return err_set(p->err, ST_INVALID, "manifest: %s is given with two sizes", text);
        }
        first->foreign = first->foreign && sorted[i]->foreign;
        sorted[i]->media_type = STR_NONE; /* no descriptor that stays is without */
    }
    size_t kept = 0;
    for (size_t i = 0; i < *count; i++)
        if (d[i].media_type.ptr != NULL)
            d[kept++] = d[i];
    *count = kept;
    return ST_OK;
}

static bool is_foreign(str media_type)
{
    for (size_t i = 0; i < ARRAY_LEN(foreign_types); i++)
        if (str_eq(media_type, str_of(foreign_types[i])))
            return true;
    return false;
}

/* Reads `before`, when there is one (an image's config), and then array field `key` into one list.
 * Only layers, so never in a list without config, can be foreign. */
static enum st parse_list(struct parse *p, const char *key, const json_t *before,
                          struct descriptor **out, size_t *count)
{
    const json_t *list = json_object_get(p->root, key);
    if (!json_is_array(list))
        return err_set(p->err, ST_INVALID, "manifest: %s must be an array", key);
    size_t n = before != NULL;
    size_t all = n + json_array_size(list);
    if (all > p->limits->descriptors_max)
        return err_set(p->err, ST_TOO_LARGE,
                       "manifest: %zu descriptors are more than the %zu allowed", all,
                       p->limits->descriptors_max);
    struct descriptor *d = NULL;
    if (all > 0) {
        d = arena_alloc(p->arena, all * sizeof(*d));
        if (d == NULL)
            return err_no_memory(p->err);
    }
    if (before != NULL && parse_descriptor(p, before, STR_NONE, &d[0]) != ST_OK)
        return err_wrap(p->err, "manifest: config");
    for (size_t i = 0; n < all; i++, n++) {
        str like = n == 0 ? STR_NONE : d[n - 1].media_type;
        if (parse_descriptor(p, json_array_get(list, i), like, &d[n]) != ST_OK)
            return err_wrap(p->err, "manifest: %s[%zu]", key, i);
        d[n].foreign = before != NULL && is_foreign(d[n].media_type);
    }
    enum st st = remove_duplicates(p, d, &all);
    if (st != ST_OK)
        return st;
    *out = d;
    *count = all;
    return ST_OK;
}

static enum st parse_content(struct parse *p, struct manifest *m)
{
    if (m->kind == MANIFEST_INDEX)
        return parse_list(p, "manifests", NULL, &m->children, &m->child_count);
    const json_t *config = field(p->root, "config");
    if (!json_is_object(config))
        return invalid(p->err, "manifest: config must be an object");
    return parse_list(p, "layers", config, &m->blobs, &m->blob_count);
}

/* subject and artifactType: fields of OCI's types; Docker's have none, whatever stands there. */
static enum st parse_relation(struct parse *p, struct manifest *m)
{
    if (m->kind == MANIFEST_IMAGE)
        m->artifact_type = m->blobs[0].media_type; /* config is first and never a duplicate */
    if (!types[p->type].oci)
        return ST_OK;
    const json_t *artifact = field(p->root, "artifactType");
    if (artifact != NULL && !json_is_string(artifact))
        return invalid(p->err, "manifest: artifactType must be a string");
    if (artifact != NULL && json_string_length(artifact) > 0) {
        m->artifact_type = arena_dup(p->arena, text_of(artifact));
        if (m->artifact_type.ptr == NULL)
            return err_no_memory(p->err);
    }
    const json_t *subject = field(p->root, "subject");
    if (subject == NULL)
        return ST_OK;
    if (parse_descriptor(p, subject, STR_NONE, &m->subject) != ST_OK)
        return err_wrap(p->err, "manifest: subject");
    m->has_subject = true;
    return ST_OK;
}

static enum st parse_annotations(struct parse *p, struct manifest *m)
{
    const json_t *notes = field(p->root, "annotations");
    if (notes == NULL)
        return ST_OK;
    if (!json_is_object(notes))
        return invalid(p->err, "manifest: annotations must be an object");
    /* jansson's iterator is not const-correct: it only reads. */
    json_t *walked = json_object_get(p->root, "annotations");
    for (void *at = json_object_iter(walked); at != NULL; at = json_object_iter_next(walked, at))
        if (!json_is_string(json_object_iter_value(at)))
            return err_set(p->err, ST_INVALID, "manifest: annotation \"%.*s\" must be a string",
                           (int)MIN(strlen(json_object_iter_key(at)), ECHO_MAX),
                           json_object_iter_key(at));
    size_t len = json_dumpb(notes, NULL, 0, JSON_COMPACT);
    char *text = len == 0 ? NULL : arena_alloc(p->arena, len);
    if (text == NULL || json_dumpb(notes, text, len, JSON_COMPACT) != len)
        return err_no_memory(p->err);
    m->annotations = (str){ text, len };
    return ST_OK;
}

enum st manifest_parse(str body, str content_type, const struct manifest_limits *limits,
                       struct arena *a, struct manifest *out, struct err *err)
{
    struct err unread;
    AUTO(json_tree_free) json_t *root = NULL;
    struct parse p = { .limits = limits, .arena = a, .err = err == NULL ? &unread : err };
    str type = content_type;
    str parameters;
    const struct json_limits json = {
        .bytes_max = limits->bytes_max,
        .depth_max = limits->depth_max,
        .values_max = limits->descriptors_max * VALUES_PER_DESCRIPTOR + VALUES_MORE,
    };
    enum st st = ST_OK;

    (void)str_cut(content_type, ';', &type, &parameters);
    type = str_trim(type);
    if (type.len > 0)
        st = type_of(type, &p.type, p.err);
    if (st == ST_OK)
        st = json_tree_read("manifest", body, &json, &root, p.err);
    p.root = root;
    if (st == ST_OK)
        st = check_media_type(&p, type);
    if (st == ST_OK)
        st = check_kind(&p);
    if (st != ST_OK)
        return st;

    struct manifest m = { .kind = types[p.type].kind,
                          .media_type = str_of(types[p.type].media_type) };
    st = parse_content(&p, &m);
    if (st == ST_OK)
        st = parse_relation(&p, &m);
    if (st == ST_OK)
        st = parse_annotations(&p, &m);
    if (st == ST_OK)
        *out = m;
    return st;
}
