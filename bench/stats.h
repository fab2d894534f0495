/* SPDX-License-Identifier: Apache-2.0
 *
 * stats - counts, latencies and CPU times of a measurement, and the one JSON line that says them.
 *
 * Latencies go into buckets less than 1 % wide (128 to each power of two, in microseconds).
 */
#ifndef BENCH_STATS_H
#define BENCH_STATS_H

#include "load.h"

#define STATS_BUCKETS (128 * 34) /* to 2^40 us */

struct latency {
    uint64_t count;
    uint64_t max_us;
    uint64_t bucket[STATS_BUCKETS];
};

struct stats {
    uint64_t requests;
    uint64_t errors;
    uint64_t reconnects; /* the server ended a keep-alive connection between two requests */
    uint64_t bytes_in;   /* of bodies */
    uint64_t bytes_out;
    int64_t last_ns; /* when the last request ended */
    char first_error[256];
    struct latency latency[KIND_COUNT];
};

struct cpu {
    double user_s;
    double sys_s;
};

int64_t stats_now_ns(void); /* monotonic */
void stats_latency(struct stats *s, enum kind kind, int64_t ns);
void stats_error(struct stats *s, const char *fmt, ...) PRINTF_LIKE(2, 3);
void stats_merge(struct stats *into, const struct stats *s);
void stats_clear(struct stats *s);

struct cpu cpu_self(void);
/* Of a process with all its threads and descendants. Zero when pid is 0. */
struct cpu cpu_of_pid(int pid);
/* Seconds in which the machine's cores were busy or taken by the hypervisor. What is over the load
 * generator's and the server's time was something else: a disturbed measurement. */
double cpu_of_machine(void);

/* Prints the JSON line. `extra` is further members, such as ",\"open\":3", or "". The CPU times are
 * differences. */
void result_print(const struct stats *s, double seconds, struct cpu load, struct cpu server,
                  double machine_s, const char *extra);

struct cpu cpu_minus(struct cpu a, struct cpu b);

#endif
