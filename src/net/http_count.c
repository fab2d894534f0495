/* SPDX-License-Identifier: Apache-2.0
 *
 * Metrics of requests. Looking up a cell takes a lock, so each loop remembers the cells of the
 * names it has seen; the table is small and never shrinks. (A route may be of one request; its name
 * lives as long as the server, see http.h.)
 */
#include "base/mem.h"
#include "net/http_int.h"

#define ROUTES_MAX 256u /* a power of two */
#define CODES_MAX  12u

struct http_route_cells {
    const char *name;
    struct metric_cell *seconds;
    struct {
        int code;
        struct metric_cell *cell;
    } codes[CODES_MAX];
};

static struct metric_cell *code_cell(const char *name, int code)
{
    char labels[128];
    (void)snprintf(labels, sizeof(labels), "route=\"%s\",code=\"%d\"", name, code);
    return metric_cell(METRIC_HTTP_REQUESTS, labels);
}

static struct http_route_cells *find(struct http_loop *l, const char *name)
{
    if (l->cells == NULL)
        l->cells = mem_new(ROUTES_MAX * sizeof(l->cells[0]));
    if (l->cells == NULL)
        return NULL;
    size_t at = ((uintptr_t)name >> 2) * 0x9e3779b1u;
    for (unsigned i = 0; i < ROUTES_MAX; i++) {
        struct http_route_cells *c = &l->cells[(at + i) & (ROUTES_MAX - 1)];
        if (c->name == name)
            return c;
        if (c->name != NULL)
            continue;
        char labels[96];
        (void)snprintf(labels, sizeof(labels), "route=\"%s\"", name);
        c->name = name;
        c->seconds = metric_cell(METRIC_HTTP_SECONDS, labels);
        return c;
    }
    return NULL;
}

void http_count_request(struct http_loop *l, const struct http_route *route, int code,
                        int64_t duration_us)
{
    const char *name = route == NULL ? "none" : route->name;
    struct http_route_cells *c = find(l, name);
    if (c == NULL) {
        metric_cell_add(code_cell(name, code), 1);
        return;
    }
    metric_cell_observe(c->seconds, duration_us);
    for (unsigned i = 0; i < CODES_MAX; i++) {
        if (c->codes[i].code == 0) {
            c->codes[i].code = code;
            c->codes[i].cell = code_cell(name, code);
        }
        if (c->codes[i].code == code) {
            metric_cell_add(c->codes[i].cell, 1);
            return;
        }
    }
    metric_cell_add(code_cell(name, code), 1);
}

void http_count_refusal(const char *reason)
{
    char labels[96];
    (void)snprintf(labels, sizeof(labels), "reason=\"%s\"", reason);
    metric_cell_add(metric_cell(METRIC_HTTP_REFUSED, labels), 1);
}

void http_count_release(struct http_loop *l)
{
    mem_free(l->cells);
    l->cells = NULL;
}
