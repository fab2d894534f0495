/* SPDX-License-Identifier: Apache-2.0
 *
 * Percent-encoding and queries: what was decoded and encoded again decodes to the same.
 */
#include "net/http.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_escape(str in)
{
    struct arena a = { 0 };
    str decoded;
    if (http_unescape(&a, in, &decoded, NULL) == ST_OK) {
        assert(decoded.len <= in.len && memchr(decoded.ptr, 0, decoded.len) == NULL);
        str again;
        str encoded = http_escape(&a, decoded);
        assert(encoded.ptr == NULL || http_unescape(&a, encoded, &again, NULL) != ST_OK ||
               str_eq(again, decoded));
    }
    arena_release(&a);
}

static void check_query(str in)
{
    struct http_request rq = { .query = in };
    bool sound = http_query_check(&rq, NULL) == ST_OK;
    static const char *const names[] = { "a", "digest", "" };
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        size_t at = 0;
        size_t before = 0;
        str value;
        while (http_query_each(&rq, names[i], &at, &value)) {
            assert(at > before && at <= in.len);
            before = at;
            arena_release(&rq.arena);
        }
        assert(!sound || at == in.len);
    }
    arena_release(&rq.arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > 100000)
        return 0;
    check_escape((str){ (const char *)data, size });
    check_query((str){ (const char *)data, size });
    return 0;
}
