/* SPDX-License-Identifier: Apache-2.0
 *
 * metric - counters, gauges and histograms, printed in Prometheus' text format (version 0.0.4).
 *
 *  1. All metrics stand in metrics.def. A cell is one metric with one set of labels.
 *  2. Looking a cell up takes a lock: do it once and keep the pointer where it is hot. Cells live
 *     as long as the process.
 *  3. There are at most METRIC_CELLS_MAX cells; what comes beyond is counted nowhere.
 *
 * Threads: any; updates are atomic and take no lock.
 */
#ifndef EBB_METRIC_H
#define EBB_METRIC_H

#include "base/buf.h"

#define METRIC_CELLS_MAX 4096

enum metric {
#define METRIC(id, kind, name, help) METRIC_##id,
#include "base/metrics.def"
#undef METRIC
    METRICS
};

struct metric_cell;

/* `labels` as they stand between the braces, such as "route=\"blob\",code=\"200\"", or "". Copied.
 * Never NULL. */
struct metric_cell *metric_cell(enum metric id, const char *labels);

void metric_cell_add(struct metric_cell *cell, int64_t n);                /* counter, gauge */
void metric_cell_set(struct metric_cell *cell, int64_t value);            /* gauge */
void metric_cell_observe(struct metric_cell *cell, int64_t microseconds); /* histogram */
int64_t metric_cell_get(const struct metric_cell *cell); /* value; of a histogram, its count */

/* The cell without labels, for metrics that have none. */
void metric_add(enum metric id, int64_t n);
void metric_set(enum metric id, int64_t value);
void metric_observe(enum metric id, int64_t microseconds);

/* Appends all metrics to `out`. */
void metric_print(struct buf *out);

#endif
