/* SPDX-License-Identifier: Apache-2.0
 *
 * /healthz, /readyz and /metrics: what keeps a registry running asks these.
 *
 * /healthz says that the event loops run; it asks nobody. /readyz reads the database and asks the
 * store, so a registry whose disk is gone leaves the load balancer. A full disk is ready: pulls and
 * deletes go on.
 */
#include "api/api_int.h"
#include "base/json.h"
#include "base/metric.h"

#define READY_MAX_BYTES   (8 * KIB)
#define METRICS_MAX_BYTES (4 * MIB)

static void answer_text(struct http_request *rq, int code, str type, str text)
{
    http_answer(rq, code);
    http_answer_header(rq, "Content-Type", type);
    http_answer_header(rq, "Cache-Control", STR("no-store"));
    http_answer_bytes(rq, text);
}

static void answer_plain(struct http_request *rq, int code, str text)
{
    answer_text(rq, code, STR("text/plain; charset=utf-8"), text);
}

/* Answers with what `body` holds and releases it. */
static void send_buf(struct http_request *rq, int code, str type, struct buf *body)
{
    str text = body->failed == ST_OK ? arena_dup(&rq->arena, buf_str(body)) : STR_NONE;
    buf_release(body);
    if (text.ptr == NULL)
        answer_plain(rq, 503, STR("out of memory\n"));
    else
        answer_text(rq, code, type, text);
}

static void health(struct http_request *rq)
{
    answer_plain(rq, 200, STR("ok\n"));
}

static enum st check_database(struct registry *r, struct arena *a, struct err *err)
{
    struct name_page page;
    return registry_list_repositories(r, STR_NONE, 1, a, &page, err);
}

static enum st check_store(struct registry *r, struct arena *a, struct err *err)
{
    struct blob_space space;
    (void)a;
    enum st st = blob_space_get(r->store, &space, err);
    return st == ST_UNSUPPORTED ? ST_OK : st; /* a store that cannot tell */
}

static void ready(struct http_request *rq)
{
    static const struct {
        const char *part;
        enum st (*check)(struct registry *r, struct arena *a, struct err *err);
    } parts[] = { { "database", check_database }, { "store", check_store } };
    struct registry *r = api_call_of(rq)->api->registry;
    struct buf reasons = { .max_bytes = READY_MAX_BYTES };
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        struct err err = { 0 };
        if (parts[i].check(r, &rq->arena, &err) == ST_OK)
            continue;
        buf_printf(&reasons, "%s{\"part\":\"%s\",\"reason\":", reasons.len > 0 ? "," : "",
                   parts[i].part);
        json_add_string(&reasons, str_of(err.text));
        buf_add_byte(&reasons, '}');
    }
    bool good = reasons.len == 0 && reasons.failed == ST_OK;
    struct buf body = { .max_bytes = 2 * READY_MAX_BYTES };
    buf_printf(&body, "{\"ready\":%s,\"reasons\":[", good ? "true" : "false");
    buf_add(&body, buf_str(&reasons));
    buf_add(&body, STR("]}\n"));
    buf_release(&reasons);
    send_buf(rq, good ? 200 : 503, STR("application/json"), &body);
}

/* Gauges that nobody keeps up to date; one that cannot be read keeps its last value. */
static void refresh_gauges(struct registry *r)
{
    struct blob_space space;
    struct db_status status;
    uint64_t uploads;
    if (blob_space_get(r->store, &space, NULL) == ST_OK) {
        metric_set(METRIC_DISK_FREE, (int64_t)space.free_bytes);
        metric_set(METRIC_DISK_SIZE, (int64_t)space.size_bytes);
    }
    if (db_get_status(r->db, &status, NULL) == ST_OK)
        metric_set(METRIC_DB_LOG_BYTES, (int64_t)status.log_bytes);
    if (registry_count_uploads(r, &uploads, NULL) == ST_OK)
        metric_set(METRIC_UPLOADS, (int64_t)uploads);
}

static void metrics(struct http_request *rq)
{
    struct buf body = { .max_bytes = METRICS_MAX_BYTES };
    refresh_gauges(api_call_of(rq)->api->registry);
    metric_print(&body);
    send_buf(rq, 200, STR("text/plain; version=0.0.4; charset=utf-8"), &body);
}

static void refuse_method(struct http_request *rq)
{
    answer_plain(rq, 405, STR("only GET and HEAD\n"));
    http_answer_header(rq, "Allow", STR("GET, HEAD"));
}

static const struct http_route health_route = { .name = "healthz",
                                                .body_max = API_BODY_DROPPED_MAX,
                                                .handle = health };
static const struct http_route ready_route = {
    .name = "readyz", .worker = true, .body_max = API_BODY_DROPPED_MAX, .handle = ready
};
const struct http_route operations_metrics_route = {
    .name = "metrics", .worker = true, .body_max = API_BODY_DROPPED_MAX, .handle = metrics
};
static const struct http_route method_route = { .name = "operations",
                                                .body_max = API_BODY_DROPPED_MAX,
                                                .handle = refuse_method };

const struct http_route *operations_route(struct http_request *rq)
{
    static const struct {
        str path;
        const struct http_route *route;
    } routes[] = {
        { { "/healthz", 8 }, &health_route },
        { { "/readyz", 7 }, &ready_route },
        { { "/metrics", 8 }, &operations_metrics_route },
    };
    for (size_t i = 0; i < ARRAY_LEN(routes); i++) {
        if (!str_eq(rq->path, routes[i].path))
            continue;
        bool reads = rq->method == HTTP_GET || rq->method == HTTP_HEAD;
        return reads ? routes[i].route : &method_route;
    }
    return NULL;
}
