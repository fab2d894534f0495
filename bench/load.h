/* SPDX-License-Identifier: Apache-2.0
 *
 * load - ebb-load, the load generator behind bench/run: what its files share.
 *
 * It measures and nothing else: it verifies lengths and status codes, not digests (bench/run checks
 * the bytes once, before it measures). A failure to set a measurement up ends the process with a
 * message (die()); what the server does wrong during a measurement is counted as an error, and the
 * first one is quoted in the result.
 *
 * The machine that measures is often the machine that serves, so a request costs little here: it is
 * written into a buffer of its connection, sent with one call and read with one call, bodies are
 * discarded inside the kernel, and a unique blob is a shared prefix with a tail of 64 bytes whose
 * digest goes on from a saved state. The result says what CPU time the generator took.
 *
 * Threads: each loop (loop.h) and each stream (bulk.c) is one thread and has its own struct stats,
 * merged after the threads ended. `options` is constant after main() parsed it.
 */
#ifndef BENCH_LOAD_H
#define BENCH_LOAD_H

#include "base/base.h"

#include <netinet/in.h>

enum kind { /* what a latency belongs to */
            KIND_GET,
            KIND_PING,
            KIND_POST,
            KIND_PUT,
            KIND_MANIFEST,
            KIND_DELETE,
            KIND_IMAGE, /* a whole push; not a request */
            KIND_COUNT
};

struct options {
    const char *work;
    struct sockaddr_in to;
    char host[32];    /* "127.0.0.1:5000", for the Host header */
    const char *path; /* one %d is replaced by a random number below `range` */
    char **paths;     /* of --paths, instead of `path` */
    size_t path_count;
    const char *repo;
    const char *tag_prefix;
    const char *accept;
    const char *authorization; /* value of that header in each request of a loop, or NULL */
    const char *file;          /* `write`: where to */
    uint64_t range;
    uint64_t from;       /* `push`, `fill`, `delete`: number of the first tag */
    unsigned repos;      /* `fill`: 0 is `repo` itself, otherwise `repo`/0 ... */
    unsigned own_layers; /* `fill`: of each image, besides the shared ones */
    unsigned connections;
    unsigned threads;
    unsigned layers;
    unsigned sources;   /* `idle`, `slow`: client addresses 127.0.0.1 ... */
    unsigned uploads;   /* `slow` */
    unsigned downloads; /* `slow` */
    uint64_t layer_bytes;
    uint64_t size;
    uint64_t count;      /* requests, images or tags; 0: until the time is over */
    double seconds;      /* of a loop; SIGTERM ends it earlier */
    double warm_seconds; /* not counted, at the beginning */
    double rate;         /* requests a second, at fixed times; 0: one after the other */
    uint64_t slow_rate;  /* bytes a second and connection */
    uint64_t seed;
    int pid;            /* of the server, 0: unknown */
    bool shared_config; /* `fill`: images differ by an annotation only */
    bool same_manifest; /* `fill`: all tags name one manifest */
    bool copy;          /* `fetch`: into memory instead of discarding in the kernel */
};

extern struct options options;

_Noreturn void die(const char *fmt, ...) PRINTF_LIKE(1, 2);

uint64_t random_next(uint64_t *state); /* splitmix64 */

/* The works; each prints its result with result_print(). */
void work_loop(void);  /* get, delete, push, fill: loop.c with ops from get.c and push.c */
void work_put(void);   /* bulk.c */
void work_fetch(void); /* bulk.c */
void work_write(void); /* bulk.c */
void work_hash(void);  /* bulk.c */
void work_idle(void);  /* hold.c */
void work_slow(void);  /* hold.c */

#endif
