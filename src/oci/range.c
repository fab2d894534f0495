/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/range.h"

/* Of a chunk: so that last - first + 1 and sums of sizes as int64_t cannot overflow. */
#define OFFSET_MAX ((uint64_t)INT64_MAX - 1)

/* Digits of any length: what does not fit is as far away as can be (RFC 9110 has no limit). */
static bool parse_position(str s, uint64_t *out)
{
    uint64_t n = 0;
    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] < '0' || s.ptr[i] > '9')
            return false;
        uint64_t digit = (uint64_t)(s.ptr[i] - '0');
        n = n > (UINT64_MAX - digit) / 10 ? UINT64_MAX : n * 10 + digit;
    }
    *out = n;
    return s.len > 0;
}

enum spec { SPEC_GOOD, SPEC_UNSATISFIABLE, SPEC_MALFORMED };

/* One of "first-last", "first-" and "-suffix", for a body of `size` > 0 bytes. */
static enum spec parse_spec(str s, uint64_t size, struct range *out)
{
    str left, right;
    uint64_t first, last;
    if (!str_cut(s, '-', &left, &right))
        return SPEC_MALFORMED;
    if (left.len == 0) {
        if (!parse_position(right, &last))
            return SPEC_MALFORMED;
        if (last == 0)
            return SPEC_UNSATISFIABLE;
        *out = (struct range){ size - MIN(last, size), size - 1 };
        return SPEC_GOOD;
    }
    last = size - 1;
    if (!parse_position(left, &first) || (right.len > 0 && !parse_position(right, &last)))
        return SPEC_MALFORMED;
    if (first >= size || last < first)
        return SPEC_UNSATISFIABLE;
    *out = (struct range){ first, MIN(last, size - 1) };
    return SPEC_GOOD;
}

/* Adds `r`, joined with all it touches, at the place of the first of them. One pass is enough: the
 * ranges there do not touch each other, so what touches the joined range touched `r`. */
static void add_joined(struct range *ranges, size_t *count, struct range r)
{
    size_t kept = 0;
    size_t place = RANGE_COUNT_MAX; /* not found yet */
    for (size_t i = 0; i < *count; i++) {
        struct range o = ranges[i];
        if (o.first > r.last + 1 || r.first > o.last + 1) { /* positions are below size: no wrap */
            ranges[kept++] = o;
            continue;
        }
        r = (struct range){ MIN(r.first, o.first), MAX(r.last, o.last) };
        if (place == RANGE_COUNT_MAX)
            place = kept++;
    }
    if (place == RANGE_COUNT_MAX)
        place = kept++;
    ranges[place] = r;
    *count = kept;
}

enum range_result range_parse(str header, uint64_t size, struct range out[static RANGE_COUNT_MAX],
                              size_t *count)
{
    str unit, rest;
    *count = 0;
    if (size == 0 || !str_cut(str_trim(header), '=', &unit, &rest) ||
        !str_eq_nocase(unit, STR("bytes")))
        return RANGE_WHOLE;
    struct range ranges[RANGE_COUNT_MAX];
    size_t asked = 0;
    size_t n = 0;
    for (bool more = true; more;) {
        str item = rest;
        more = str_cut(rest, ',', &item, &rest);
        item = str_trim(item);
        if (item.len == 0)
            continue; /* empty elements of a list are ignored (RFC 9110, 5.6.1) */
        struct range r = { 0, 0 };
        enum spec spec = parse_spec(item, size, &r);
        if (spec == SPEC_MALFORMED || ++asked > RANGE_COUNT_MAX)
            return RANGE_WHOLE;
        if (spec == SPEC_GOOD)
            add_joined(ranges, &n, r);
    }
    if (asked == 0)
        return RANGE_WHOLE;
    if (n == 0)
        return RANGE_UNSATISFIABLE;
    memcpy(out, ranges, n * sizeof(ranges[0]));
    *count = n;
    return RANGE_PART;
}

enum st range_parse_chunk(str header, struct range *out, struct err *err)
{
    str left, right;
    struct range r;
    if (!str_cut(header, '-', &left, &right) || !str_to_u64(left, OFFSET_MAX, &r.first) ||
        !str_to_u64(right, OFFSET_MAX, &r.last) || r.last < r.first)
        return err_set(err, ST_INVALID,
                       "Content-Range of a chunk: \"<first>-<last>\" is wanted, both inclusive, in "
                       "bytes and without a unit");
    *out = r;
    return ST_OK;
}
