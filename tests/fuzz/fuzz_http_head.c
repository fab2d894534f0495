/* SPDX-License-Identifier: Apache-2.0
 *
 * Heads of requests: the same result however the bytes are cut, and nothing outside of them.
 */
#include "net/http_parse.h"

#define FIELDS 16

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct http_head_limits limits = { 2048, 512, FIELDS };

static void check_span(struct http_span span, size_t end)
{
    assert(span.at <= end && span.len <= end - span.at);
}

static bool known_once(const struct http_head *h, const char *bytes, str name)
{
    unsigned count = 0;
    for (unsigned i = 0; i < h->field_count; i++)
        count += str_eq_nocase((str){ bytes + h->fields[i].name.at, h->fields[i].name.len }, name);
    return count == 1;
}

static void check_done(const struct http_head *h, const char *bytes, size_t size)
{
    assert(h->end <= size && h->end <= limits.bytes_max);
    assert(memcmp(bytes + h->end - 4, "\r\n\r\n", 4) == 0);
    assert(h->line_done && h->field_count <= FIELDS);
    assert(!(h->chunked && h->has_length));
    assert(h->minor == 0 || known_once(h, bytes, STR("host")));
    assert(!h->has_length || known_once(h, bytes, STR("content-length")));
    assert(!h->chunked || known_once(h, bytes, STR("transfer-encoding")));
    check_span(h->method_text, h->end);
    check_span(h->path, h->end);
    check_span(h->query, h->end);
    for (size_t i = 0; i < h->end; i++) { /* each LF has its CR and the other way round */
        assert(bytes[i] != '\0');
        assert(bytes[i] != '\n' || (i > 0 && bytes[i - 1] == '\r'));
        assert(bytes[i] != '\r' || bytes[i + 1] == '\n');
    }
    for (unsigned i = 0; i < h->field_count; i++) {
        check_span(h->fields[i].name, h->end);
        check_span(h->fields[i].value, h->end);
        assert(h->fields[i].name.len > 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1)
        return 0;
    size_t step = (size_t)data[0] % 32 + 1;
    const char *bytes = (const char *)data + 1;
    size--;
    struct http_field fields[FIELDS];
    struct http_field cut_fields[FIELDS];
    struct http_head whole = { .limits = &limits, .fields = fields };
    struct http_head cut = { .limits = &limits, .fields = cut_fields };
    enum http_parse done = http_head_feed(&whole, bytes, size);
    enum http_parse cut_done = HTTP_PARSE_MORE;
    for (size_t at = 0; at < size && cut_done == HTTP_PARSE_MORE;) {
        at = MIN(at + step, size);
        cut_done = http_head_feed(&cut, bytes, at);
    }
    assert(done == cut_done);
    assert(whole.why == cut.why);
    assert((done == HTTP_PARSE_REFUSED) == (whole.why != NULL));
    if (done != HTTP_PARSE_DONE)
        return 0;
    assert(whole.end == cut.end && whole.field_count == cut.field_count);
    assert(memcmp(fields, cut_fields, whole.field_count * sizeof(fields[0])) == 0);
    check_done(&whole, bytes, size);
    return 0;
}
