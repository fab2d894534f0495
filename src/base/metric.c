/* SPDX-License-Identifier: Apache-2.0 */
#include "base/metric.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "base/lock.h"
#include "base/mem.h"

enum kind { COUNTER, GAUGE, SECONDS, LONG_SECONDS };

static const struct {
    enum kind kind;
    const char *name;
    const char *help;
} infos[METRICS] = {
#define METRIC(id, kind, name, help) { kind, name, help },
#include "base/metrics.def"
#undef METRIC
};

/* Upper bounds of the buckets; the last bucket, +Inf, has none. */
#define BOUNDS 16
struct bound {
    int64_t us;
    const char *text;
};
static const struct bound seconds[BOUNDS] = {
    { 100, "0.0001" },  { 250, "0.00025" }, { 500, "0.0005" },  { 1000, "0.001" },
    { 2500, "0.0025" }, { 5000, "0.005" },  { 10000, "0.01" },  { 25000, "0.025" },
    { 50000, "0.05" },  { 100000, "0.1" },  { 250000, "0.25" }, { 500000, "0.5" },
    { 1000000, "1" },   { 2500000, "2.5" }, { 10000000, "10" }, { 60000000, "60" },
};
#define S ((int64_t)1000000)
static const struct bound long_seconds[BOUNDS] = {
    { 1 * S, "1" },           { 2 * S, "2" },
    { 5 * S, "5" },           { 15 * S, "15" },
    { 60 * S, "60" },         { 300 * S, "300" },
    { 900 * S, "900" },       { 3600 * S, "3600" },
    { 7200 * S, "7200" },     { 21600 * S, "21600" },
    { 43200 * S, "43200" },   { 86400 * S, "86400" },
    { 90000 * S, "90000" },   { 172800 * S, "172800" },
    { 604800 * S, "604800" }, { 2592000 * S, "2592000" },
};
#undef S
#define BUCKETS (BOUNDS + 1)

struct metric_cell {
    struct metric_cell *next; /* of the same metric */
    char *labels;
    _Atomic int64_t value; /* of a histogram: how many */
    _Atomic int64_t sum_us;
    const struct bound *bounds; /* of a histogram, NULL otherwise */
    _Atomic int64_t *buckets;   /* BUCKETS of a histogram, NULL otherwise; not cumulative */
};

static struct {
    pthread_once_t once;
    struct lock lock;
    size_t cells;
    struct metric_cell *_Atomic first[METRICS]; /* newest first; appended under the lock */
    struct metric_cell *_Atomic plain[METRICS]; /* the one without labels */
} table = { .once = PTHREAD_ONCE_INIT };

/* Shared by all that could not get a cell of their own; never printed. */
static struct metric_cell overflow;

static void make_lock(void)
{
    lock_init(&table.lock, LOCK_METRIC);
}

static struct metric_cell *find(enum metric id, const char *labels)
{
    for (struct metric_cell *c = table.first[id]; c != NULL; c = c->next)
        if (strcmp(c->labels, labels) == 0)
            return c;
    return NULL;
}

static const struct bound *bounds_of(enum metric id)
{
    if (infos[id].kind == LONG_SECONDS)
        return long_seconds;
    return infos[id].kind == SECONDS ? seconds : NULL;
}

static struct metric_cell *add(enum metric id, const char *labels)
{
    const struct bound *bounds = bounds_of(id);
    if (table.cells == METRIC_CELLS_MAX)
        return &overflow;
    struct metric_cell *c = mem_new(sizeof(*c));
    char *copy = mem_dup(labels, strlen(labels));
    if (c != NULL && bounds != NULL)
        c->buckets = mem_new(BUCKETS * sizeof(c->buckets[0]));
    if (c == NULL || copy == NULL || (bounds != NULL && c->buckets == NULL)) {
        if (c != NULL)
            mem_free(c->buckets);
        mem_free(c);
        mem_free(copy);
        return &overflow;
    }
    c->labels = copy;
    c->bounds = bounds;
    c->next = table.first[id];
    table.first[id] = c;
    table.cells++;
    return c;
}

struct metric_cell *metric_cell(enum metric id, const char *labels)
{
    pthread_once(&table.once, make_lock);
    LOCK_SCOPE(&table.lock);
    struct metric_cell *c = find(id, labels);
    return c != NULL ? c : add(id, labels);
}

static struct metric_cell *plain(enum metric id)
{
    struct metric_cell *c = atomic_load_explicit(&table.plain[id], memory_order_acquire);
    if (c == NULL) {
        c = metric_cell(id, "");
        if (c != &overflow)
            atomic_store(&table.plain[id], c);
    }
    return c;
}

void metric_cell_add(struct metric_cell *cell, int64_t n)
{
    atomic_fetch_add_explicit(&cell->value, n, memory_order_relaxed);
}

void metric_cell_set(struct metric_cell *cell, int64_t value)
{
    atomic_store_explicit(&cell->value, value, memory_order_relaxed);
}

void metric_cell_observe(struct metric_cell *cell, int64_t microseconds)
{
    if (cell->buckets == NULL)
        return;
    size_t i = 0;
    microseconds = MAX(microseconds, (int64_t)0); /* Prometheus' sums of times never fall */
    while (i < BOUNDS && microseconds > cell->bounds[i].us)
        i++;
    atomic_fetch_add_explicit(&cell->buckets[i], 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&cell->value, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&cell->sum_us, microseconds, memory_order_relaxed);
}

int64_t metric_cell_get(const struct metric_cell *cell)
{
    return atomic_load_explicit(&cell->value, memory_order_relaxed);
}

void metric_add(enum metric id, int64_t n)
{
    metric_cell_add(plain(id), n);
}

void metric_set(enum metric id, int64_t value)
{
    metric_cell_set(plain(id), value);
}

void metric_observe(enum metric id, int64_t microseconds)
{
    metric_cell_observe(plain(id), microseconds);
}

static void print_histogram(struct buf *out, const char *name, struct metric_cell *c)
{
    const char *comma = c->labels[0] == '\0' ? "" : ",";
    int64_t so_far = 0;
    for (size_t i = 0; i < BUCKETS; i++) {
        so_far += atomic_load_explicit(&c->buckets[i], memory_order_relaxed);
        buf_printf(out, "%s_bucket{%s%sle=\"%s\"} %lld\n", name, c->labels, comma,
                   i < BOUNDS ? c->bounds[i].text : "+Inf", (long long)so_far);
    }
    int64_t sum = atomic_load_explicit(&c->sum_us, memory_order_relaxed);
    const char *open = c->labels[0] == '\0' ? "" : "{";
    const char *close = c->labels[0] == '\0' ? "" : "}";
    buf_printf(out, "%s_sum%s%s%s %lld.%06lld\n", name, open, c->labels, close,
               (long long)(sum / 1000000), (long long)(sum % 1000000));
    buf_printf(out, "%s_count%s%s%s %lld\n", name, open, c->labels, close, (long long)so_far);
}

static void print_value(struct buf *out, const char *name, struct metric_cell *c)
{
    if (c->labels[0] == '\0')
        buf_printf(out, "%s %lld\n", name, (long long)metric_cell_get(c));
    else
        buf_printf(out, "%s{%s} %lld\n", name, c->labels, (long long)metric_cell_get(c));
}

void metric_print(struct buf *out)
{
    static const char *const types[] = { "counter", "gauge", "histogram", "histogram" };
    pthread_once(&table.once, make_lock);
    LOCK_SCOPE(&table.lock);
    for (size_t id = 0; id < METRICS; id++) {
        if (table.first[id] == NULL)
            continue;
        buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", infos[id].name, infos[id].help,
                   infos[id].name, types[infos[id].kind]);
        for (struct metric_cell *c = table.first[id]; c != NULL; c = c->next) {
            if (c->bounds != NULL)
                print_histogram(out, infos[id].name, c);
            else
                print_value(out, infos[id].name, c);
        }
    }
}
