/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/fault.h"
#include "oci/manifest.h"

#define OCI_IMAGE      "application/vnd.oci.image.manifest.v1+json"
#define OCI_INDEX      "application/vnd.oci.image.index.v1+json"
#define DOCKER_IMAGE   "application/vnd.docker.distribution.manifest.v2+json"
#define DOCKER_LIST    "application/vnd.docker.distribution.manifest.list.v2+json"
#define SCHEMA1        "application/vnd.docker.distribution.manifest.v1+json"
#define SCHEMA1_SIGNED "application/vnd.docker.distribution.manifest.v1+prettyjws"
#define CONFIG         "application/vnd.oci.image.config.v1+json"
#define LAYER          "application/vnd.oci.image.layer.v1.tar+gzip"
#define FOREIGN        "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"

#define HEX62  "00000000000000000000000000000000000000000000000000000000000000"
#define D(two) "sha256:" HEX62 two
#define DESC(type, two, size)                                                                      \
    "{\"mediaType\":\"" type "\",\"digest\":\"" D(two) "\",\"size\":" size "}"
#define V2                "\"schemaVersion\":2"
#define CONF              "\"config\":" DESC(CONFIG, "01", "2")
#define IMAGE(more)       "{" V2 "," CONF ",\"layers\":[]" more "}"
#define INDEX(list, more) "{" V2 ",\"manifests\":[" list "]" more "}"
#define LAYERS(list)      "{" V2 "," CONF ",\"layers\":[" list "]}"

static const struct manifest_limits limits = { 4194304, 32, 10000 };

static enum st parse(str body, const char *type, struct arena *a, struct manifest *m,
                     struct err *err)
{
    *a = (struct arena){ .limit_bytes = 16 * MIB };
    return manifest_parse(body, str_of(type), &limits, a, m, err);
}

struct refusal {
    const char *body;
    const char *type;
    enum st st;
    const char *says; /* part of the message */
};

static void check_refusals(const struct refusal *cases, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        AUTO(arena_release) struct arena a = { 0 };
        struct manifest m = { .blob_count = 77 };
        struct err err = { .st = ST_OK };
        enum st st = parse(str_of(cases[i].body), cases[i].type, &a, &m, &err);
        if (st != cases[i].st || (st != ST_OK && strstr(err.text, cases[i].says) == NULL))
            fail_msg("case %zu (%s): %s, %s", i, cases[i].body, st_text(st), err.text);
        assert_int_equal(err.st, st);
        if (st != ST_OK)
            assert_int_equal(m.blob_count, 77);
        AUTO(arena_release) struct arena b = { 0 };
        assert_int_equal(parse(str_of(cases[i].body), cases[i].type, &b, &m, NULL), st);
    }
}

static void media_types(void **state)
{
    (void)state;
    static const struct refusal cases[] = {
        { IMAGE(""), OCI_IMAGE, ST_OK, "" },
        { IMAGE(""), DOCKER_IMAGE, ST_OK, "" },
        { INDEX("", ""), OCI_INDEX, ST_OK, "" },
        { INDEX("", ""), DOCKER_LIST, ST_OK, "" },
        { IMAGE(""), OCI_IMAGE "; charset=utf-8", ST_OK, "" },
        { IMAGE(""), " " OCI_IMAGE " ;a=b;c=d", ST_OK, "" },
        { IMAGE(""), "Application/VND.oci.image.manifest.v1+JSON", ST_OK, "" },
        { IMAGE(",\"mediaType\":\"" OCI_IMAGE "\""), OCI_IMAGE, ST_OK, "" },
        { IMAGE(",\"mediaType\":\"" OCI_IMAGE "\""), NULL, ST_OK, "" },
        { IMAGE(",\"mediaType\":\"" DOCKER_IMAGE "\""), "", ST_OK, "" },
        { INDEX("", ",\"mediaType\":\"" DOCKER_LIST "\""), " ;x=y", ST_OK, "" },
        { IMAGE(""), NULL, ST_UNSUPPORTED, "Content-Type" },
        { IMAGE(",\"mediaType\":\"text/plain\""), NULL, ST_UNSUPPORTED, "text/plain" },
        { IMAGE(""), "text/plain", ST_UNSUPPORTED, "text/plain" },
        { IMAGE(""), "application/json", ST_UNSUPPORTED, "not accepted" },
        { IMAGE(""), OCI_IMAGE "x", ST_UNSUPPORTED, "not accepted" },
        { IMAGE(""), OCI_IMAGE "," OCI_INDEX, ST_UNSUPPORTED, "not accepted" },
        { "{\"schemaVersion\":1}", SCHEMA1, ST_UNSUPPORTED, "push again" },
        { "{\"schemaVersion\":1}", SCHEMA1_SIGNED "; a=b", ST_UNSUPPORTED, "push again" },
        { IMAGE(",\"mediaType\":\"" SCHEMA1 "\""), NULL, ST_UNSUPPORTED, "push again" },
        { IMAGE(",\"mediaType\":\"" DOCKER_IMAGE "\""), OCI_IMAGE, ST_INVALID, "differs" },
        { IMAGE(",\"mediaType\":\"" OCI_INDEX "\""), OCI_IMAGE, ST_INVALID, "differs" },
        { IMAGE(",\"mediaType\":\"\""), OCI_IMAGE, ST_INVALID, "differs" },
        { IMAGE(",\"mediaType\":7"), OCI_IMAGE, ST_INVALID, "mediaType" },
        { IMAGE(",\"mediaType\":null"), OCI_IMAGE, ST_INVALID, "mediaType" },
        { IMAGE(",\"mediaType\":7"), NULL, ST_INVALID, "mediaType" },
    };
    check_refusals(cases, ARRAY_LEN(cases));
}

static void body_shape(void **state)
{
    (void)state;
    static const struct refusal cases[] = {
        { "", OCI_IMAGE, ST_INVALID, "empty" },
        { "x", OCI_IMAGE, ST_INVALID, "JSON" },
        { "[]", OCI_IMAGE, ST_INVALID, "object" },
        { "null", OCI_IMAGE, ST_INVALID, "JSON" },
        { "\"a\"", OCI_IMAGE, ST_INVALID, "JSON" },
        { IMAGE("") "x", OCI_IMAGE, ST_INVALID, "JSON" },
        { IMAGE("") "\n \t", OCI_IMAGE, ST_OK, "" },
        { IMAGE("") IMAGE(""), OCI_IMAGE, ST_INVALID, "JSON" },
        { "{" V2 "," CONF ",\"layers\":[]", OCI_IMAGE, ST_INVALID, "JSON" },
        { IMAGE(",\"a\":1,\"a\":1"), OCI_IMAGE, ST_INVALID, "duplicate" },
        { IMAGE(",\"layers\":[]"), OCI_IMAGE, ST_INVALID, "duplicate" },
        { IMAGE(",\"x\":{\"a\":1,\"\\u0061\":2}"), OCI_IMAGE, ST_INVALID, "duplicate" },
        { IMAGE(",\"a\":\"\xff\""), OCI_IMAGE, ST_INVALID, "UTF-8" },
        { IMAGE(",\"a\":\"\xed\xa0\x80\""), OCI_IMAGE, ST_INVALID, "UTF-8" },
        { IMAGE(",\"a\":\"\\u0000\""), OCI_IMAGE, ST_INVALID, "JSON" },
        { IMAGE(",\"a\":\"\\ud800\""), OCI_IMAGE, ST_INVALID, "JSON" },
        { IMAGE(",\"a\":NaN"), OCI_IMAGE, ST_INVALID, "JSON" },
        { IMAGE(",\"a\":\"\xe2\x82\xac\",\"b\":1.5,\"c\":[null,true,{}]"), OCI_IMAGE, ST_OK, "" },
        { "{" CONF ",\"layers\":[]}", OCI_IMAGE, ST_INVALID, "schemaVersion" },
        { "{\"schemaVersion\":1," CONF ",\"layers\":[]}", OCI_IMAGE, ST_INVALID, "schemaVersion" },
        { "{\"schemaVersion\":3," CONF ",\"layers\":[]}", OCI_IMAGE, ST_INVALID, "schemaVersion" },
        { "{\"schemaVersion\":2.0," CONF ",\"layers\":[]}", OCI_IMAGE, ST_INVALID, "schemaV" },
        { "{\"schemaVersion\":\"2\"," CONF ",\"layers\":[]}", OCI_IMAGE, ST_INVALID, "schemaV" },
        { IMAGE(",\"manifests\":[]"), OCI_IMAGE, ST_INVALID, "ambiguous" },
        { IMAGE(",\"manifests\":[]"), OCI_INDEX, ST_INVALID, "ambiguous" },
        { IMAGE(",\"manifests\":{}"), OCI_IMAGE, ST_INVALID, "ambiguous" },
        { INDEX("", ",\"layers\":[]"), OCI_INDEX, ST_INVALID, "ambiguous" },
        { INDEX("", ",\"layers\":[]"), DOCKER_LIST, ST_INVALID, "ambiguous" },
        { INDEX("", "," CONF), OCI_INDEX, ST_INVALID, "ambiguous" },
        { IMAGE(",\"manifests\":null"), OCI_IMAGE, ST_OK, "" },
        { INDEX("", ",\"layers\":null,\"config\":null"), OCI_INDEX, ST_OK, "" },
        { IMAGE(""), OCI_INDEX, ST_INVALID, "manifests must be an array" },
        { INDEX("", ""), OCI_IMAGE, ST_INVALID, "config must be an object" },
        { "{" V2 "}", OCI_INDEX, ST_INVALID, "manifests must be an array" },
        { "{" V2 ",\"manifests\":null}", OCI_INDEX, ST_INVALID, "manifests must be an array" },
        { "{" V2 ",\"manifests\":{}}", OCI_INDEX, ST_INVALID, "manifests must be an array" },
        { "{" V2 ",\"layers\":[]}", OCI_IMAGE, ST_INVALID, "config must be an object" },
        { "{" V2 ",\"config\":[],\"layers\":[]}", OCI_IMAGE, ST_INVALID, "config must be" },
        { "{" V2 "," CONF "}", OCI_IMAGE, ST_INVALID, "layers must be an array" },
        { "{" V2 "," CONF ",\"layers\":null}", OCI_IMAGE, ST_INVALID, "layers must be an array" },
    };
    check_refusals(cases, ARRAY_LEN(cases));
    AUTO(arena_release) struct arena a = { 0 };
    struct manifest m;
    assert_int_equal(parse(STR("{\0}"), OCI_IMAGE, &a, &m, NULL), ST_INVALID);
    assert_int_equal(parse(STR_NONE, OCI_IMAGE, &a, &m, NULL), ST_INVALID);
    assert_int_equal(parse(STR_NONE, NULL, &a, &m, NULL), ST_INVALID);
}

static void descriptors(void **state)
{
    (void)state;
#define RAW(type, digest, size)                                                                    \
    LAYERS("{\"mediaType\":" type ",\"digest\":" digest ",\"size\":" size "}")
#define GOOD "\"" D("02") "\""
    static const struct refusal cases[] = {
        { RAW("\"t\"", GOOD, "0"), OCI_IMAGE, ST_OK, "" },
        { RAW("\"t\"", GOOD, "9007199254740992"), OCI_IMAGE, ST_OK, "" },
        { RAW("\"t\"", GOOD, "9007199254740993"), OCI_IMAGE, ST_INVALID, "layers[0]: size" },
        { RAW("\"t\"", GOOD, "99999999999999999999"), OCI_IMAGE, ST_INVALID, "JSON" },
        { RAW("\"t\"", GOOD, "-1"), OCI_IMAGE, ST_INVALID, "layers[0]: size" },
        { RAW("\"t\"", GOOD, "1.0"), OCI_IMAGE, ST_INVALID, "layers[0]: size" },
        { RAW("\"t\"", GOOD, "\"1\""), OCI_IMAGE, ST_INVALID, "layers[0]: size" },
        { RAW("\"t\"", GOOD, "null"), OCI_IMAGE, ST_INVALID, "layers[0]: size" },
        { RAW("\"\"", GOOD, "1"), OCI_IMAGE, ST_INVALID, "layers[0]: mediaType" },
        { RAW("null", GOOD, "1"), OCI_IMAGE, ST_INVALID, "layers[0]: mediaType" },
        { RAW("{}", GOOD, "1"), OCI_IMAGE, ST_INVALID, "layers[0]: mediaType" },
        { RAW("\"t\"", "1", "1"), OCI_IMAGE, ST_INVALID, "layers[0]: digest" },
        { RAW("\"t\"", "\"\"", "1"), OCI_IMAGE, ST_INVALID, "layers[0]: digest" },
        { RAW("\"t\"", "\"sha256:../../x\"", "1"), OCI_IMAGE, ST_INVALID, "layers[0]: digest" },
        { RAW("\"t\"", "\"sha256:" HEX62 "0A\"", "1"), OCI_IMAGE, ST_INVALID, "lower-case" },
        { RAW("\"t\"", "\"blake3:" HEX62 "00\"", "1"), OCI_IMAGE, ST_UNSUPPORTED, "blake3" },
        { LAYERS("{}"), OCI_IMAGE, ST_INVALID, "layers[0]" },
        { LAYERS("[]"), OCI_IMAGE, ST_INVALID, "layers[0]: must be an object" },
        { LAYERS("null"), OCI_IMAGE, ST_INVALID, "layers[0]: must be an object" },
        { LAYERS(DESC(LAYER, "02", "1") ",7"), OCI_IMAGE, ST_INVALID, "layers[1]" },
        { "{" V2 ",\"config\":{},\"layers\":[]}", OCI_IMAGE, ST_INVALID, "config: mediaType" },
        { INDEX("{}", ""), OCI_INDEX, ST_INVALID, "manifests[0]" },
        { INDEX(DESC(OCI_IMAGE, "05", "1") "," DESC(OCI_IMAGE, "05", "2"), ""), OCI_INDEX,
          ST_INVALID, "two sizes" },
        { LAYERS(DESC(LAYER, "01", "3")), OCI_IMAGE, ST_INVALID, "two sizes" },
        { LAYERS("{\"mediaType\":\"t\",\"digest\":" GOOD ",\"size\":1,\"urls\":7,\"data\":[],"
                 "\"annotations\":1,\"platform\":null,\"artifactType\":{}}"),
          OCI_IMAGE, ST_OK, "" },
    };
    check_refusals(cases, ARRAY_LEN(cases));
}

static void assert_last_byte(const struct descriptor *d, int last)
{
    assert_int_equal(d->digest.algorithm, DIGEST_SHA256);
    assert_int_equal(d->digest.bytes[31], last);
}

static void image(void **state)
{
    (void)state;
    AUTO(arena_release) struct arena a = { 0 };
    struct manifest m;
    str body = STR(LAYERS(DESC(LAYER, "03", "30") "," DESC(LAYER, "02", "20") "," DESC(
        FOREIGN, "04", "40") "," DESC(LAYER, "03", "30") "," DESC("x", "01", "2")));
    assert_int_equal(parse(body, OCI_IMAGE, &a, &m, NULL), ST_OK);
    assert_int_equal(m.kind, MANIFEST_IMAGE);
    assert_true(str_eq(m.media_type, STR(OCI_IMAGE)));
    assert_true(str_eq(m.artifact_type, STR(CONFIG)));
    assert_int_equal(m.blob_count, 4);
    assert_int_equal(m.child_count, 0);
    assert_false(m.has_subject);
    assert_null(m.annotations.ptr);
    assert_last_byte(&m.blobs[0], 1);
    assert_last_byte(&m.blobs[1], 3);
    assert_last_byte(&m.blobs[2], 2);
    assert_last_byte(&m.blobs[3], 4);
    assert_int_equal(m.blobs[1].size, 30);
    assert_true(str_eq(m.blobs[0].media_type, STR(CONFIG)));
    assert_true(str_eq(m.blobs[1].media_type, STR(LAYER)));
    assert_false(m.blobs[1].foreign);
    assert_true(m.blobs[3].foreign);
}

/* A blob that one mention calls foreign and another does not must be pushed, in either order. */
static void foreign_only_when_all_say_so(void **state)
{
    (void)state;
    const struct {
        str body;
        bool foreign;
    } cases[] = {
        { STR(LAYERS(DESC(FOREIGN, "04", "4"))), true },
        { STR(LAYERS(DESC(FOREIGN, "04", "4") "," DESC(FOREIGN, "04", "4"))), true },
        { STR(LAYERS(DESC(FOREIGN, "04", "4") "," DESC(LAYER, "04", "4"))), false },
        { STR(LAYERS(DESC(LAYER, "04", "4") "," DESC(FOREIGN, "04", "4"))), false },
        { STR(LAYERS(DESC("application/vnd.oci.image.layer.nondistributable.v1.tar", "04", "4"))),
          true },
        { STR(LAYERS(
              DESC("application/vnd.oci.image.layer.nondistributable.v1.tar+gzip", "04", "4"))),
          true },
        { STR(LAYERS(
              DESC("application/vnd.oci.image.layer.nondistributable.v1.tar+zstd", "04", "4"))),
          true },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO(arena_release) struct arena a = { 0 };
        struct manifest m;
        assert_int_equal(parse(cases[i].body, OCI_IMAGE, &a, &m, NULL), ST_OK);
        assert_int_equal(m.blob_count, 2);
        assert_int_equal(m.blobs[1].foreign, cases[i].foreign);
    }
    /* A config is always pushed, and so is a child. */
    AUTO(arena_release) struct arena a = { 0 };
    struct manifest m;
    str config = STR("{" V2 ",\"config\":" DESC(FOREIGN, "01", "1") ",\"layers\":[]}");
    assert_int_equal(parse(config, OCI_IMAGE, &a, &m, NULL), ST_OK);
    assert_false(m.blobs[0].foreign);
    AUTO(arena_release) struct arena b = { 0 };
    assert_int_equal(parse(STR(INDEX(DESC(FOREIGN, "01", "1"), "")), OCI_INDEX, &b, &m, NULL),
                     ST_OK);
    assert_false(m.children[0].foreign);
}

static void index_of_children(void **state)
{
    (void)state;
    AUTO(arena_release) struct arena a = { 0 };
    struct manifest m;
    str body = STR(INDEX(
        DESC(OCI_IMAGE, "09", "1") "," DESC(OCI_INDEX, "08", "2") "," DESC(OCI_IMAGE, "09", "1"),
        ""));
    assert_int_equal(parse(body, DOCKER_LIST, &a, &m, NULL), ST_OK);
    assert_int_equal(m.kind, MANIFEST_INDEX);
    assert_int_equal(m.child_count, 2);
    assert_int_equal(m.blob_count, 0);
    assert_last_byte(&m.children[0], 9);
    assert_last_byte(&m.children[1], 8);
    assert_true(str_eq(m.children[1].media_type, STR(OCI_INDEX)));
    assert_null(m.artifact_type.ptr);
}

static void relations(void **state)
{
    (void)state;
#define SUBJECT  ",\"subject\":" DESC(OCI_IMAGE, "0a", "9")
#define ARTIFACT ",\"artifactType\":\"a/b\""
    const struct {
        str body;
        const char *type;
        bool subject;
        const char *artifact;
    } cases[] = {
        { STR(IMAGE("")), OCI_IMAGE, false, CONFIG },
        { STR(IMAGE(SUBJECT)), OCI_IMAGE, true, CONFIG },
        { STR(IMAGE(SUBJECT ARTIFACT)), OCI_IMAGE, true, "a/b" },
        { STR(IMAGE(SUBJECT ",\"artifactType\":\"\"")), OCI_IMAGE, true, CONFIG },
        { STR(IMAGE(",\"subject\":null,\"artifactType\":null")), OCI_IMAGE, false, CONFIG },
        { STR(INDEX("", SUBJECT ARTIFACT)), OCI_INDEX, true, "a/b" },
        { STR(INDEX("", SUBJECT)), OCI_INDEX, true, NULL },
        { STR(IMAGE(SUBJECT ARTIFACT)), DOCKER_IMAGE, false, CONFIG },
        { STR(IMAGE(",\"subject\":7,\"artifactType\":7")), DOCKER_IMAGE, false, CONFIG },
        { STR(INDEX("", SUBJECT ARTIFACT)), DOCKER_LIST, false, NULL },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO(arena_release) struct arena a = { 0 };
        struct manifest m;
        assert_int_equal(parse(cases[i].body, cases[i].type, &a, &m, NULL), ST_OK);
        assert_int_equal(m.has_subject, cases[i].subject);
        if (m.has_subject) {
            assert_last_byte(&m.subject, 10);
            assert_int_equal(m.subject.size, 9);
        }
        if (!str_eq(m.artifact_type, str_of(cases[i].artifact)))
            fail_msg("case %zu: %.*s", i, STR_FMT(m.artifact_type));
        assert_int_equal(m.artifact_type.ptr == NULL, cases[i].artifact == NULL);
    }
    static const struct refusal bad[] = {
        { IMAGE(",\"subject\":7"), OCI_IMAGE, ST_INVALID, "subject: must be an object" },
        { IMAGE(",\"subject\":{}"), OCI_IMAGE, ST_INVALID, "subject: mediaType" },
        { INDEX("", ",\"subject\":[]"), OCI_INDEX, ST_INVALID, "subject" },
        { IMAGE(",\"artifactType\":7"), OCI_IMAGE, ST_INVALID, "artifactType" },
        { IMAGE(",\"subject\":{\"mediaType\":\"t\",\"digest\":\"md5:00\",\"size\":1}"), OCI_IMAGE,
          ST_UNSUPPORTED, "subject: digest algorithm" },
    };
    check_refusals(bad, ARRAY_LEN(bad));
}

static void annotations(void **state)
{
    (void)state;
    const struct {
        str body;
        const char *text;
    } cases[] = {
        { STR(IMAGE("")), NULL },
        { STR(IMAGE(",\"annotations\":null")), NULL },
        { STR(IMAGE(",\"annotations\":{}")), "{}" },
        { STR(IMAGE(",\"annotations\": { \"b\" : \"1\" , \"a\" : \"\\u20ac/\\/\\n\" } ")),
          "{\"b\":\"1\",\"a\":\"\xe2\x82\xac//\\n\"}" },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO(arena_release) struct arena a = { 0 };
        struct manifest m;
        assert_int_equal(parse(cases[i].body, OCI_IMAGE, &a, &m, NULL), ST_OK);
        if (!str_eq(m.annotations, str_of(cases[i].text)))
            fail_msg("case %zu: %.*s", i, STR_FMT(m.annotations));
        assert_int_equal(m.annotations.ptr == NULL, cases[i].text == NULL);
    }
    static const struct refusal bad[] = {
        { IMAGE(",\"annotations\":[]"), OCI_IMAGE, ST_INVALID, "annotations must be an object" },
        { IMAGE(",\"annotations\":{\"a\":\"\",\"key\":1}"), OCI_IMAGE, ST_INVALID, "\"key\"" },
        { INDEX("", ",\"annotations\":{\"key\":null}"), OCI_INDEX, ST_INVALID, "\"key\"" },
    };
    check_refusals(bad, ARRAY_LEN(bad));
}

static void nested(struct buf *b, size_t depth)
{
    buf_clear(b);
    buf_add(b, STR("{" V2 "," CONF ",\"layers\":[],\"s\":\"]]\\\"[[[[{{{{\",\"x\":"));
    for (size_t i = 1; i < depth; i++)
        buf_add_byte(b, '[');
    for (size_t i = 1; i < depth; i++)
        buf_add_byte(b, ']');
    buf_add_byte(b, '}');
}

static void limit_of_depth(void **state)
{
    (void)state;
    AUTO(arena_release) struct arena a = { 0 };
    AUTO(buf_release) struct buf b = { .max_bytes = 1 * MIB };
    struct manifest m;
    nested(&b, 32);
    assert_int_equal(parse(buf_str(&b), OCI_IMAGE, &a, &m, NULL), ST_OK);
    arena_release(&a);
    nested(&b, 33);
    assert_int_equal(parse(buf_str(&b), OCI_IMAGE, &a, &m, NULL), ST_TOO_LARGE);
    nested(&b, 100000);
    assert_int_equal(parse(buf_str(&b), OCI_IMAGE, &a, &m, NULL), ST_TOO_LARGE);
    assert_int_equal(a.used_bytes, 0);
}

static void limit_of_values(void **state)
{
    (void)state;
    AUTO(arena_release) struct arena a = { 0 };
    AUTO(buf_release) struct buf b = { .max_bytes = 4 * MIB };
    struct manifest m;
    buf_add(&b, STR("{" V2 "," CONF ",\"layers\":[],\"x\":["));
    for (size_t i = 0; i < 1000000; i++)
        buf_add(&b, STR("{},"));
    buf_add(&b, STR("{}]}"));
    assert_int_equal(parse(buf_str(&b), OCI_IMAGE, &a, &m, NULL), ST_TOO_LARGE);
    assert_int_equal(a.used_bytes, 0);
}

static void limit_of_bytes(void **state)
{
    (void)state;
    AUTO(arena_release) struct arena a = { 0 };
    AUTO(buf_release) struct buf b = { .max_bytes = 5 * MIB };
    struct manifest m;
    buf_add(&b, STR(IMAGE("")));
    while (b.len < limits.bytes_max)
        buf_add_byte(&b, ' ');
    assert_int_equal(parse(buf_str(&b), OCI_IMAGE, &a, &m, NULL), ST_OK);
    arena_release(&a);
    buf_add_byte(&b, ' ');
    assert_int_equal(parse(buf_str(&b), OCI_IMAGE, &a, &m, NULL), ST_TOO_LARGE);
}

/* An index of `n` children with the fields real ones have, every digest another. */
static void many_children(struct buf *b, size_t n)
{
    buf_clear(b);
    buf_add(b, STR("{" V2 ",\"manifests\":["));
    for (size_t i = 0; i < n; i++)
        buf_printf(b,
                   "%s{\"mediaType\":\"" OCI_IMAGE "\",\"digest\":\"sha256:%064zx\",\"size\":%zu,"
                   "\"platform\":{\"os\":\"linux\",\"architecture\":\"arm\",\"variant\":\"v7\"},"
                   "\"annotations\":{\"a\":\"b\",\"c\":\"d\",\"e\":\"f\"}}",
                   i == 0 ? "" : ",", n - i, i);
    buf_add(b, STR("]}"));
}

static void limit_of_descriptors(void **state)
{
    (void)state;
    AUTO(arena_release) struct arena a = { 0 };
    AUTO(buf_release) struct buf b = { .max_bytes = 4 * MIB };
    struct manifest m;
    many_children(&b, 10000);
    assert_int_equal(buf_status(&b, NULL), ST_OK);
    assert_int_equal(parse(buf_str(&b), OCI_INDEX, &a, &m, NULL), ST_OK);
    assert_int_equal(m.child_count, 10000);
    assert_int_equal(m.children[9999].size, 9999); /* order kept */
    assert_true(a.used_bytes < 2 * MIB);
    arena_release(&a);
    many_children(&b, 10001);
    assert_int_equal(parse(buf_str(&b), OCI_INDEX, &a, &m, NULL), ST_TOO_LARGE);
    /* config counts */
    struct manifest_limits two = { 4096, 32, 2 };
    str body = STR(LAYERS(DESC(LAYER, "02", "1") "," DESC(LAYER, "03", "1")));
    assert_int_equal(manifest_parse(body, STR(OCI_IMAGE), &two, &a, &m, NULL), ST_TOO_LARGE);
    two.descriptors_max = 3;
    assert_int_equal(manifest_parse(body, STR(OCI_IMAGE), &two, &a, &m, NULL), ST_OK);
}

static void each_allocation_fails(void **state)
{
    (void)state;
#ifdef EBB_FAULTS
    str body = STR("{" V2 "," CONF ",\"layers\":[" DESC(LAYER, "02", "1") "," DESC(
        "x", "02", "1") "]" SUBJECT ARTIFACT ",\"annotations\":{\"a\":\"b\"}}");
    size_t failures = 0;
    for (uint64_t nth = 1;; nth++) {
        AUTO(arena_release) struct arena a = { 0 };
        struct manifest m = { .blob_count = 77 };
        struct err err = { .st = ST_OK };
        fault_arm(FAULT_ALLOC, nth, false);
        enum st st = parse(body, OCI_IMAGE, &a, &m, &err);
        bool fired = fault_fired();
        fault_disarm();
        if (!fired) {
            assert_int_equal(st, ST_OK);
            break;
        }
        if (st != ST_NO_MEMORY)
            fail_msg("allocation %llu: %s %s", (unsigned long long)nth, st_text(st), err.text);
        assert_int_equal(m.blob_count, 77);
        failures++;
    }
    assert_true(failures > 20);
#endif
    /* An arena that is too small says so. */
    AUTO(arena_release) struct arena a = { .limit_bytes = 64 };
    struct manifest m;
    assert_int_equal(manifest_parse(STR(IMAGE("")), STR(OCI_IMAGE), &limits, &a, &m, NULL),
                     ST_NO_MEMORY);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(media_types),
        cmocka_unit_test(body_shape),
        cmocka_unit_test(descriptors),
        cmocka_unit_test(image),
        cmocka_unit_test(foreign_only_when_all_say_so),
        cmocka_unit_test(index_of_children),
        cmocka_unit_test(relations),
        cmocka_unit_test(annotations),
        cmocka_unit_test(limit_of_depth),
        cmocka_unit_test(limit_of_values),
        cmocka_unit_test(limit_of_bytes),
        cmocka_unit_test(limit_of_descriptors),
        cmocka_unit_test(each_allocation_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
