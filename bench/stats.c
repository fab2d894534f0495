/* SPDX-License-Identifier: Apache-2.0 */
#include "stats.h"

#include <ctype.h>
#include <dirent.h>
#include <stdarg.h>
#include <sys/resource.h>
#include <unistd.h>

static const char *const kind_names[KIND_COUNT] = {
    [KIND_GET] = "get",     [KIND_PING] = "ping",         [KIND_POST] = "post",
    [KIND_PUT] = "put",     [KIND_MANIFEST] = "manifest", [KIND_DELETE] = "delete",
    [KIND_IMAGE] = "image",
};

int64_t stats_now_ns(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

static size_t bucket_of(uint64_t us)
{
    if (us < 128)
        return (size_t)us;
    unsigned shift = 63 - (unsigned)__builtin_clzll(us) - 7;
    size_t i = ((size_t)(shift + 1) << 7) + (size_t)(us >> shift) - 128;
    return MIN(i, (size_t)STATS_BUCKETS - 1);
}

/* The middle of a bucket. */
static double bucket_us(size_t i)
{
    if (i < 128)
        return (double)i;
    unsigned shift = (unsigned)(i >> 7) - 1;
    return (double)(((i & 127) + 128) << shift) + (double)((uint64_t)1 << shift) / 2;
}

void stats_latency(struct stats *s, enum kind kind, int64_t ns)
{
    struct latency *l = &s->latency[kind];
    uint64_t us = ns > 0 ? (uint64_t)ns / 1000 : 0;
    l->count++;
    l->max_us = MAX(l->max_us, us);
    l->bucket[bucket_of(us)]++;
}

void stats_error(struct stats *s, const char *fmt, ...)
{
    if (s->errors++ > 0)
        return;
    va_list args;
    va_start(args, fmt);
    vsnprintf(s->first_error, sizeof(s->first_error), fmt, args);
    va_end(args);
    for (char *p = s->first_error; *p; p++) /* goes into JSON as it is */
        if (*p == '"' || *p == '\\' || (unsigned char)*p < ' ')
            *p = ' ';
}

void stats_merge(struct stats *into, const struct stats *s)
{
    into->requests += s->requests;
    if (into->errors == 0 && s->errors > 0)
        memcpy(into->first_error, s->first_error, sizeof(s->first_error));
    into->errors += s->errors;
    into->reconnects += s->reconnects;
    into->bytes_in += s->bytes_in;
    into->bytes_out += s->bytes_out;
    into->last_ns = MAX(into->last_ns, s->last_ns);
    for (size_t k = 0; k < KIND_COUNT; k++) {
        into->latency[k].count += s->latency[k].count;
        into->latency[k].max_us = MAX(into->latency[k].max_us, s->latency[k].max_us);
        for (size_t i = 0; i < STATS_BUCKETS; i++)
            into->latency[k].bucket[i] += s->latency[k].bucket[i];
    }
}

void stats_clear(struct stats *s)
{
    memset(s, 0, sizeof(*s));
}

static double percentile_us(const struct latency *l, double share)
{
    uint64_t want = (uint64_t)((double)l->count * share);
    uint64_t seen = 0;
    for (size_t i = 0; i < STATS_BUCKETS; i++) {
        seen += l->bucket[i];
        if (seen > want)
            return MIN(bucket_us(i), (double)l->max_us);
    }
    return (double)l->max_us;
}

struct cpu cpu_self(void)
{
    struct rusage r;
    getrusage(RUSAGE_SELF, &r);
    return (struct cpu){ (double)r.ru_utime.tv_sec + (double)r.ru_utime.tv_usec / 1e6,
                         (double)r.ru_stime.tv_sec + (double)r.ru_stime.tv_usec / 1e6 };
}

struct process {
    int pid;
    int parent;
    bool counted;
    struct cpu cpu;
};

static bool process_read(int pid, struct process *p)
{
    char path[64];
    char text[1024];
    snprintf(path, sizeof(path), "/proc/%d/stat", pid);
    FILE *f = fopen(path, "re");
    if (!f)
        return false;
    size_t n = fread(text, 1, sizeof(text) - 1, f);
    fclose(f);
    text[n] = '\0';
    const char *after = strrchr(text, ')'); /* the name may hold anything */
    unsigned long user;
    unsigned long sys;
    int parent;
    if (!after || sscanf(after + 1, " %*c %d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &parent,
                         &user, &sys) != 3)
        return false;
    double tick = (double)sysconf(_SC_CLK_TCK);
    *p = (struct process){ pid, parent, false, { (double)user / tick, (double)sys / tick } };
    return true;
}

struct cpu cpu_of_pid(int pid)
{
    struct cpu sum = { 0, 0 };
    static struct process all[4096];
    size_t count = 0;
    if (pid == 0)
        return sum;
    DIR *d = opendir("/proc");
    if (!d)
        die("cannot read /proc");
    for (struct dirent *e; (e = readdir(d)) && count < ARRAY_LEN(all);)
        if (isdigit((unsigned char)e->d_name[0]) &&
            process_read((int)strtol(e->d_name, NULL, 10), &all[count]))
            count++;
    closedir(d);
    for (bool more = true; more;) { /* until no process has a counted parent */
        more = false;
        for (size_t i = 0; i < count; i++) {
            bool mine = all[i].pid == pid;
            for (size_t j = 0; j < count && !mine; j++)
                mine = all[j].counted && all[j].pid == all[i].parent;
            if (!mine || all[i].counted)
                continue;
            all[i].counted = true;
            sum.user_s += all[i].cpu.user_s;
            sum.sys_s += all[i].cpu.sys_s;
            more = true;
        }
    }
    return sum;
}

double cpu_of_machine(void)
{
    double v[8] = { 0 }; /* user nice system idle iowait irq softirq steal */
    FILE *f = fopen("/proc/stat", "re");
    if (!f)
        return 0;
    int n = fscanf(f, "cpu %lf %lf %lf %lf %lf %lf %lf %lf", &v[0], &v[1], &v[2], &v[3], &v[4],
                   &v[5], &v[6], &v[7]);
    fclose(f);
    return n == 8 ? (v[0] + v[1] + v[2] + v[5] + v[6] + v[7]) / (double)sysconf(_SC_CLK_TCK) : 0;
}

struct cpu cpu_minus(struct cpu a, struct cpu b)
{
    return (struct cpu){ a.user_s - b.user_s, a.sys_s - b.sys_s };
}

void result_print(const struct stats *s, double seconds, struct cpu load, struct cpu server,
                  double machine_s, const char *extra)
{
    printf("{\"work\":\"%s\",\"requests\":%llu,\"seconds\":%.4f,\"rate\":%.2f,\"errors\":%llu,"
           "\"first_error\":\"%s\",\"reconnects\":%llu,\"bytes_in\":%llu,\"bytes_out\":%llu,"
           "\"load_user_s\":%.3f,\"load_sys_s\":%.3f,\"server_user_s\":%.2f,\"server_sys_s\":%.2f,"
           "\"machine_s\":%.2f,"
           "\"latency_us\":{",
           options.work, (unsigned long long)s->requests, seconds,
           seconds > 0 ? (double)s->requests / seconds : 0, (unsigned long long)s->errors,
           s->first_error, (unsigned long long)s->reconnects, (unsigned long long)s->bytes_in,
           (unsigned long long)s->bytes_out, load.user_s, load.sys_s, server.user_s, server.sys_s,
           machine_s);
    const char *comma = "";
    for (size_t k = 0; k < KIND_COUNT; k++) {
        const struct latency *l = &s->latency[k];
        if (l->count == 0)
            continue;
        printf("%s\"%s\":{\"count\":%llu,\"p50\":%.0f,\"p90\":%.0f,\"p99\":%.0f,\"max\":%llu}",
               comma, kind_names[k], (unsigned long long)l->count, percentile_us(l, 0.5),
               percentile_us(l, 0.9), percentile_us(l, 0.99), (unsigned long long)l->max_us);
        comma = ",";
    }
    printf("}%s}\n", extra);
    fflush(stdout);
}
