/* SPDX-License-Identifier: Apache-2.0 */
#include "api/answer.h"

#include "base/log.h"

static const struct answer_status *find(const struct answer_status *table, enum st st)
{
    while (table->st != ST_OK && table->st != st)
        table++;
    return table;
}

const struct answer_status *answer_status_of(const struct http_request *rq,
                                             const struct answer_status *table,
                                             const struct answer_status *shared,
                                             const struct err *err, str *text)
{
    const struct answer_status *said = table == NULL ? NULL : find(table, err->st);
    if (said == NULL || said->st == ST_OK)
        said = find(shared, err->st);
    if (said->http >= 500)
        log_event(LOG_ERROR, "request failed", LOG_STR("id", rq->id),
                  LOG_STR("error", str_of(err->text)));
    *text = str_of(err->text);
    if (said->http == 500)
        *text = STR("the registry failed inside; its log has the cause under this request's"
                    " X-Request-Id");
    if (said->http == 507)
        *text = STR("the registry's disk is full: pulls go on, and this works again when space was"
                    " given back");
    return said;
}

static void release_buf(void *arg)
{
    buf_release(arg);
}

struct buf *answer_buf(struct http_request *rq, size_t max_bytes)
{
    struct buf *b = arena_alloc(&rq->arena, sizeof(*b));
    if (b == NULL)
        return NULL;
    b->max_bytes = max_bytes;
    http_on_end(rq, release_buf, b);
    return b;
}

static void release_arena(void *arg)
{
    arena_release(arg);
}

struct arena *answer_arena(struct http_request *rq, size_t limit_bytes)
{
    struct arena *a = arena_alloc(&rq->arena, sizeof(*a));
    if (a == NULL)
        return NULL;
    a->limit_bytes = limit_bytes;
    http_on_end(rq, release_arena, a);
    return a;
}
