/* SPDX-License-Identifier: Apache-2.0
 *
 * Range headers and chunk ranges. The first eight bytes are the body's size (little endian), cut to
 * as many bits as the ninth says, so that small sizes are common.
 */
#include "oci/range.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_request(str header, uint64_t size)
{
    struct range r[RANGE_COUNT_MAX];
    size_t count = 99;
    enum range_result result = range_parse(header, size, r, &count);
    assert(result == RANGE_WHOLE || result == RANGE_PART || result == RANGE_UNSATISFIABLE);
    assert((result == RANGE_PART) == (count > 0));
    assert(size > 0 || result == RANGE_WHOLE);
    assert(count <= RANGE_COUNT_MAX);
    char text[RANGE_COUNT_MAX * 42 + 8] = "bytes=";
    size_t len = 6;
    for (size_t i = 0; i < count; i++) {
        assert(r[i].first <= r[i].last && r[i].last < size);
        for (size_t k = 0; k < i; k++) /* neither overlapping nor adjacent */
            assert(r[k].first > r[i].last + 1 || r[i].first > r[k].last + 1);
        len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%llu-%llu", i == 0 ? "" : ",",
                                (unsigned long long)r[i].first, (unsigned long long)r[i].last);
    }
    if (result != RANGE_PART)
        return;
    /* What was understood, said plainly, is understood the same. */
    struct range again[RANGE_COUNT_MAX];
    size_t count_again = 0;
    assert(range_parse((str){ text, len }, size, again, &count_again) == RANGE_PART);
    assert(count_again == count && memcmp(r, again, count * sizeof(r[0])) == 0);
}

static void check_chunk(str header)
{
    struct range r;
    enum st st = range_parse_chunk(header, &r, NULL);
    assert(st == ST_OK || st == ST_INVALID);
    if (st != ST_OK)
        return;
    assert(r.first <= r.last && r.last - r.first < INT64_MAX);
    char text[48];
    int len = snprintf(text, sizeof(text), "%llu-%llu", (unsigned long long)r.first,
                       (unsigned long long)r.last);
    struct range again;
    assert(range_parse_chunk((str){ text, (size_t)len }, &again, NULL) == ST_OK);
    assert(again.first == r.first && again.last == r.last);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 9)
        return 0;
    uint64_t body = 0;
    for (size_t i = 0; i < 8; i++)
        body |= (uint64_t)data[i] << (8 * i);
    body >>= data[8] % 64;
    str header = { (const char *)data + 9, size - 9 };
    check_request(header, body);
    check_chunk(header);
    return 0;
}
