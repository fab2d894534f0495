/* SPDX-License-Identifier: Apache-2.0
 *
 * Chunked bodies: the same data and the same end however the bytes are cut, and never more data
 * than was sent.
 */
#include "base/mem.h"
#include "net/http_parse.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Decodes a copy in steps; *end is where it stopped. */
static enum http_parse decode(const uint8_t *data, size_t size, size_t step, char *out,
                              size_t *out_len, size_t *end)
{
    struct http_chunk c = { 0 };
    enum http_parse done = HTTP_PARSE_MORE;
    *out_len = 0;
    *end = 0;
    while (*end < size && done == HTTP_PARSE_MORE) {
        size_t n = MIN(step, size - *end);
        size_t used = 0;
        size_t got = 0;
        memcpy(out + *out_len, data + *end, n);
        done = http_chunk_feed(&c, out + *out_len, n, &used, &got);
        assert(got <= used && used <= n);
        assert(used == n || done != HTTP_PARSE_MORE);
        *out_len += got;
        *end += used;
    }
    assert((done == HTTP_PARSE_REFUSED) == (c.why != NULL));
    return done;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    size_t step = (size_t)data[0] % 32 + 1;
    data++;
    size--;
    char *a = mem_new(size);
    char *b = mem_new(size);
    assert(a != NULL && b != NULL);
    size_t a_len;
    size_t b_len;
    size_t a_end;
    size_t b_end;
    enum http_parse whole = decode(data, size, size, a, &a_len, &a_end);
    enum http_parse cut = decode(data, size, step, b, &b_len, &b_end);
    assert(whole == cut && a_end == b_end);
    assert(a_len == b_len && memcmp(a, b, a_len) == 0);
    mem_free(a);
    mem_free(b);
    return 0;
}
