/* SPDX-License-Identifier: Apache-2.0
 *
 * The Authorization header.
 */
#include "auth/auth.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool is_plain(str s)
{
    for (size_t i = 0; i < s.len; i++)
        if ((unsigned char)s.ptr[i] < 0x20 || s.ptr[i] == 0x7f)
            return false;
    return str_is_utf8(s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena a = { .limit_bytes = MIB };
    struct credentials c = { .kind = CREDENTIAL_TOKEN };
    struct err err = { .st = ST_OK };
    enum st st = credentials_parse((str){ (const char *)data, size }, STR("peer"), &a, &c, &err);
    assert(st == ST_OK || st == ST_INVALID);
    assert(err.st == st && str_is_utf8(str_of(err.text)));
    if (st == ST_OK) {
        assert(c.kind != CREDENTIAL_TOKEN);
        assert(c.user.len + c.secret.len <= size);
        assert(is_plain(c.user) && is_plain(c.secret));
        assert(c.user.len == 0 || memchr(c.user.ptr, ':', c.user.len) == NULL);
        assert((c.kind == CREDENTIAL_NONE) == (c.user.len + c.secret.len == 0));
    } else {
        assert(c.kind == CREDENTIAL_TOKEN);
    }
    arena_release(&a);
    return 0;
}
