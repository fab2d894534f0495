/* SPDX-License-Identifier: Apache-2.0
 *
 * Tags, digests and the keys that rows hold: what is accepted comes back the same.
 */
#include "oci/name.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_digest(str text)
{
    struct digest d, again;
    memset(&d, 0xaa, sizeof(d));
    enum st st = digest_parse(text, &d, NULL);
    assert(st == ST_OK || st == ST_INVALID || st == ST_UNSUPPORTED);
    if (st != ST_OK)
        return;
    char out[DIGEST_TEXT_MAX + 1];
    char key[DIGEST_KEY_MAX];
    assert(str_eq(digest_text(&d, out), text));
    assert(digest_of_key(digest_key(&d, key), &again, NULL) == ST_OK);
    assert(digest_eq(&d, &again));
    for (size_t i = digest_bytes(d.algorithm); i < sizeof(d.bytes); i++)
        assert(d.bytes[i] == 0);
    again.bytes[0] ^= 1;
    assert(!digest_eq(&d, &again));
}

static void check_key(str key)
{
    struct digest d;
    char out[DIGEST_KEY_MAX];
    char text[DIGEST_TEXT_MAX + 1];
    enum st st = digest_of_key(key, &d, NULL);
    assert(st == ST_OK || st == ST_CORRUPT);
    if (st != ST_OK)
        return;
    assert(str_eq(digest_key(&d, out), key));
    struct digest again;
    assert(digest_parse(digest_text(&d, text), &again, NULL) == ST_OK);
    assert(digest_eq(&d, &again));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    str s = { (const char *)data, size };
    struct reference r;
    struct err err = { .st = ST_OK };
    enum st st = reference_parse(s, &r, &err);
    assert(err.st == st);
    assert(str_is_utf8(str_of(err.text)));
    bool colon = size > 0 && memchr(data, ':', size) != NULL;
    if (st == ST_OK) {
        assert(r.is_digest == colon);
        assert(r.is_digest ? r.tag.ptr == NULL : str_eq(r.tag, s));
    } else {
        assert(st == ST_INVALID || (st == ST_UNSUPPORTED && colon));
    }
    bool tag = tag_check(s, NULL) == ST_OK;
    assert(tag == (st == ST_OK && !colon));
    assert(!tag || size <= TAG_MAX_BYTES);
    check_digest(s);
    check_key(s);
    enum digest_algorithm a;
    if (digest_algorithm_parse(s, &a, NULL) == ST_OK)
        assert(str_eq(digest_algorithm_name(a), s));
    return 0;
}
