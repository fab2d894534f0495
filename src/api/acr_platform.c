/* SPDX-License-Identifier: Apache-2.0
 *
 * For which platform an image is: its configuration says it (image-spec, config.md), an index says
 * it of each of its children.
 */
#include "api/acr_int.h"
#include "base/mem.h"
#include "oci/json_tree.h"

static str read_text(const json_t *object, const char *key, struct arena *a)
{
    const json_t *j = json_object_get(object, key);
    if (!json_is_string(j) || json_string_length(j) == 0 || json_string_length(j) > 100)
        return STR_NONE;
    return arena_dup(a, (str){ json_string_value(j), json_string_length(j) });
}

static void parse(str text, struct arena *a, struct acr_platform *out)
{
    static const struct json_limits limits = { .bytes_max = ARTIFACT_CONFIG_MAX,
                                               .depth_max = 32,
                                               .values_max = 20000 };
    AUTO(json_tree_free) json_t *root = NULL;
    if (json_tree_read("configuration", text, &limits, &root, NULL) != ST_OK)
        return;
    out->architecture = read_text(root, "architecture", a);
    out->os = read_text(root, "os", a);
}

static void read_stored(struct http_request *rq, str name, size_t size, struct arena *a,
                        struct acr_platform *out)
{
    struct blob_reader reader = BLOB_READER_NONE;
    char *bytes = mem_new(size);
    size_t got = 0;
    if (bytes != NULL &&
        blob_reader_open(api_call_of(rq)->api->registry->store, name, &reader, NULL) == ST_OK &&
        blob_reader_get(&reader, bytes, size, 0, &got, NULL) == ST_OK && got == size)
        parse((str){ bytes, size }, a, out);
    blob_reader_close(&reader);
    mem_free(bytes);
}

void acr_read_platform(struct http_request *rq, const struct blob_row *config, uint64_t *budget,
                       struct arena *a, struct acr_platform *out)
{
    *out = (struct acr_platform){ STR_NONE, STR_NONE };
    if (config->size == 0 || config->size > *budget)
        return;
    *budget -= config->size;
    if (config->name.ptr == NULL)
        parse(config->data, a, out);
    else
        read_stored(rq, config->name, (size_t)config->size, a, out);
}

static void add_reference(struct json_out *o, const json_t *entry)
{
    const json_t *platform = json_object_get(entry, "platform");
    const char *digest = json_string_value(json_object_get(entry, "digest"));
    const char *architecture = json_string_value(json_object_get(platform, "architecture"));
    const char *os = json_string_value(json_object_get(platform, "os"));
    json_out_open(o, NULL, '{');
    json_out_text(o, "digest", str_of(digest));
    if (architecture != NULL)
        json_out_text(o, "architecture", str_of(architecture));
    if (os != NULL)
        json_out_text(o, "os", str_of(os));
    json_out_close(o, '}');
}

void acr_add_references(struct json_out *o, str payload)
{
    static const struct json_limits limits = { .bytes_max = 16 * MIB,
                                               .depth_max = 64,
                                               .values_max = 1000000 };
    AUTO(json_tree_free) json_t *root = NULL;
    if (json_tree_read("index", payload, &limits, &root, NULL) != ST_OK)
        return;
    const json_t *entries = json_object_get(root, "manifests");
    if (json_array_size(entries) == 0)
        return;
    json_out_open(o, "references", '[');
    for (size_t i = 0; i < json_array_size(entries); i++)
        add_reference(o, json_array_get(entries, i));
    json_out_close(o, ']');
}
