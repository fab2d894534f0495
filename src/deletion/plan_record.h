/* SPDX-License-Identifier: Apache-2.0
 *
 * plan_record - numbers and strings of the binary records of a plan, and their check.
 *
 *  1. Writing goes to a buf, which remembers a failure.
 *  2. Reading never leaves the bytes given. After the first thing that does not fit `broken` is set
 *     and every further read gives 0 or an empty string.
 */
#ifndef EBB_PLAN_RECORD_H
#define EBB_PLAN_RECORD_H

#include "base/buf.h"

void plan_record_put_number(struct buf *b, uint64_t n);
void plan_record_put_string(struct buf *b, str s); /* unset becomes "" */

struct plan_record {
    str rest;
    bool broken;
};
uint64_t plan_record_number(struct plan_record *r);
unsigned char plan_record_byte(struct plan_record *r);
str plan_record_string(struct plan_record *r); /* borrows; unset when empty */
str plan_record_bytes(struct plan_record *r, size_t len);

#define PLAN_CHECK_BYTES 16
/* Adds version, check and `body`: the check also covers the plan and a number. */
void plan_record_seal(struct buf *b, str plan_id, uint64_t number, str body);
/* The body. ST_CORRUPT. */
MUST_CHECK enum st plan_record_open(str bytes, str plan_id, uint64_t number, str *body,
                                    struct err *err);

#endif
