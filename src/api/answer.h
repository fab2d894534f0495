/* SPDX-License-Identifier: Apache-2.0
 *
 * answer - what the answers of all families have in common: a status as HTTP and the family say it,
 * and memory that lives to the end of the request.
 */
#ifndef EBB_ANSWER_H
#define EBB_ANSWER_H

#include "base/buf.h"
#include "net/http.h"

/* How a family says a status. A table of them is ended by an ST_OK entry. */
struct answer_status {
    enum st st;
    int http;
    const char *word; /* of the family: an error code, a problem's type */
};
/* The entry of `table` (or NULL) for err->st, else of `shared`, whose ST_OK entry stands for all
 * that neither has. *text is the sentence for the client: the cause of a 500, and which write found
 * the disk full, is for the operator, so it goes to the log, as every 5xx does. */
const struct answer_status *answer_status_of(const struct http_request *rq,
                                             const struct answer_status *table,
                                             const struct answer_status *shared,
                                             const struct err *err, str *text);

/* Each dies with the request; NULL without memory. */
struct buf *answer_buf(struct http_request *rq, size_t max_bytes);
struct arena *answer_arena(struct http_request *rq, size_t limit_bytes);

#endif
