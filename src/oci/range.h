/* SPDX-License-Identifier: Apache-2.0
 *
 * range - byte ranges of requests (RFC 9110, section 14) and of chunked uploads
 * (distribution-spec).
 */
#ifndef EBB_RANGE_H
#define EBB_RANGE_H

#include "base/err.h"
#include "base/str.h"

#define RANGE_COUNT_MAX 16

struct range {
    uint64_t first; /* inclusive */
    uint64_t last;  /* inclusive; first <= last */
};

enum range_result {
    RANGE_WHOLE, /* no or unusable header, another unit, an empty body, too many ranges: send all */
    RANGE_PART,  /* `count` ranges, at least one */
    RANGE_UNSATISFIABLE, /* 416 */
};

/* Reads a Range header for a body of `size` bytes. Overlapping and adjacent ranges are joined, in
 * the order asked for otherwise; unsatisfiable ones among others are dropped. `bytes=500-0` is
 * RANGE_UNSATISFIABLE, as the conformance suite wants it. */
enum range_result range_parse(str header, uint64_t size, struct range out[static RANGE_COUNT_MAX],
                              size_t *count);

/* `<first>-<last>` of a chunk, no unit and no total. ST_INVALID otherwise or when last < first. */
MUST_CHECK enum st range_parse_chunk(str header, struct range *out, struct err *err);

#endif
