/* SPDX-License-Identifier: Apache-2.0
 *
 * Configuration files: what is refused is refused with a place and a text that can be printed; what
 * is accepted means the same when it is printed and read again.
 */
#include "server/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool same(const struct config *a, const struct config *b, const struct config_key *key)
{
    const char *in_a = (const char *)a + key->offset;
    const char *in_b = (const char *)b + key->offset;
    if (key->kind == CONFIG_PATH || key->kind == CONFIG_TEXT) {
        const char *const *path_a = (const char *const *)(const void *)in_a;
        const char *const *path_b = (const char *const *)(const void *)in_b;
        return str_eq(str_of(*path_a), str_of(*path_b));
    }
    if (key->kind == CONFIG_LIST) {
        const struct config_list *list_a = (const void *)in_a;
        const struct config_list *list_b = (const void *)in_b;
        bool equal = list_a->count == list_b->count;
        for (size_t i = 0; equal && i < list_a->count; i++)
            equal = str_eq(str_of(list_a->items[i]), str_of(list_b->items[i]));
        return equal;
    }
    size_t len = key->kind == CONFIG_BOOL     ? sizeof(bool)
                 : key->kind == CONFIG_CHOICE ? sizeof(int)
                                              : sizeof(uint64_t);
    return memcmp(in_a, in_b, len) == 0;
}

static void check_again(const struct config *c)
{
    struct buf out = { .max_bytes = 4 * CONFIG_FILE_MAX_BYTES };
    struct config again;
    struct err err = { .st = ST_OK };
    enum st st = config_init(&again, &err);
    assert(st == ST_OK);
    config_print(c, &out);
    assert(out.failed == ST_OK);
    if (out.len <= CONFIG_FILE_MAX_BYTES) { /* quotes and escapes may make a long text too long */
        st = config_load_yaml(&again, "again", buf_str(&out), &err);
        assert(st == ST_OK);
        for (size_t i = 0; i < CONFIG_KEYS; i++)
            assert(same(c, &again, &config_keys[i]));
    }
    config_release(&again);
    buf_release(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct config c;
    struct err err = { .st = ST_OK };
    enum st st = config_init(&c, &err);
    assert(st == ST_OK);
    st = config_load_yaml(&c, "fuzz", (str){ (const char *)data, size }, &err);
    assert(st == ST_OK || st == ST_INVALID || st == ST_TOO_LARGE || st == ST_NO_MEMORY);
    assert(err.st == st);
    if (st == ST_OK) {
        check_again(&c);
    } else {
        assert(st == ST_NO_MEMORY || str_starts(str_of(err.text), STR("fuzz:")));
        for (const char *p = err.text; *p != '\0'; p++)
            assert((unsigned char)*p >= 0x20 && *p != 0x7f);
    }
    config_release(&c);
    return 0;
}
