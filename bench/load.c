/* SPDX-License-Identifier: Apache-2.0 */
#include "load.h"

#include "base/mem.h"

#include <arpa/inet.h>
#include <getopt.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/resource.h>
#include <unistd.h>

struct options options = {
    .path = "/v2/",
    .repo = "bench/load",
    .tag_prefix = "t",
    .accept = "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json",
    .file = "bench.bytes",
    .range = 1,
    .connections = 1,
    .threads = 1,
    .layers = 4,
    .layer_bytes = 1024,
    .size = 64 * 1024 * 1024,
    .slow_rate = 8192,
};

static const char usage[] =
    "usage: ebb-load WORK [--to ADDRESS:PORT] [options]\n"
    "\n"
    "  get     GETs of --path; a %d in it is a random number below --range\n"
    "  push    images of --layers unique layers of --layer-bytes (12 requests with 4 layers)\n"
    "  fill    --count tags over shared layers; --same-manifest, --shared-config,\n"
    "          --own-layers N (of each image, besides), --repos N (spread over so many)\n"
    "  delete  DELETEs of --paths in their order, or of --path with %d counted from --from\n"
    "  put     blobs of --size, one a connection (POST, PUT)\n"
    "  fetch   GETs of --path with the body dropped, --count times a connection; --copy\n"
    "  write   --size bytes into --file, with fsync\n"
    "  hash    SHA-256 of --size bytes\n"
    "  idle    holds --connections after one GET of --path, until the input ends\n"
    "  slow    holds --uploads and --downloads (of --path) at --slow-rate bytes a second\n"
    "\n"
    "  --connections N --threads N --sources N (client addresses of idle and slow)\n"
    "  --count N | --seconds S   --warm S (not counted)   --rate N (a second, at fixed times)\n"
    "  --paths FILE (get, fetch: one path a line, instead of --path; a connection of fetch has "
    "one)\n"
    "  --repo NAME --tag-prefix TEXT --from N --accept TYPES --seed N\n"
    "  --authorization TEXT (of get, delete: the header's value)\n"
    "  SIGTERM ends get, push, fill and delete as if their time was over\n"
    "  --pid PID (of the server: its CPU time, with descendants, goes into the result)\n"
    "\n"
    "The result is one line of JSON. Latencies are microseconds.\n";

_Noreturn void die(const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    fputs("ebb-load: ", stderr);
    vfprintf(stderr, fmt, args);
    fputc('\n', stderr);
    va_end(args);
    exit(1);
}

uint64_t random_next(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

/* Digits with K, M or G (1024 each) behind them. */
static uint64_t number(const char *text)
{
    char *end;
    uint64_t n = strtoull(text, &end, 10);
    switch (*end) {
    case 'K':
        return n * KIB;
    case 'M':
        return n * MIB;
    case 'G':
        return n * GIB;
    case '\0':
        return n;
    default:
        die("not a number: %s", text);
    }
}

static void parse_to(const char *text)
{
    char address[32];
    const char *colon = strrchr(text, ':');
    if (!colon || (size_t)(colon - text) >= sizeof(address))
        die("--to wants ADDRESS:PORT");
    memcpy(address, text, (size_t)(colon - text));
    address[colon - text] = '\0';
    options.to.sin_family = AF_INET;
    options.to.sin_port = htons((uint16_t)strtoul(colon + 1, NULL, 10));
    if (inet_pton(AF_INET, address, &options.to.sin_addr) != 1)
        die("not an IPv4 address: %s", address);
    snprintf(options.host, sizeof(options.host), "%.21s", text);
}

static void parse_paths(const char *file)
{
    FILE *f = fopen(file, "re");
    char *line = NULL;
    size_t size = 0;
    if (!f)
        die("cannot read %s", file);
    for (ssize_t n; (n = getline(&line, &size, f)) > 0;) {
        while (n > 0 && (line[n - 1] == '\n' || line[n - 1] == '\r'))
            n--;
        char **more = mem_resize(options.paths, sizeof(*options.paths) * (options.path_count + 1));
        if (!more || !(more[options.path_count] = mem_dup(line, (size_t)n)))
            die("out of memory");
        options.paths = more;
        options.path_count++;
    }
    free(line);
    fclose(f);
    if (options.path_count == 0)
        die("%s holds no path", file);
}

enum option_kind { TEXT, NUMBER, UNSIGNED, REAL, FLAG, TO, PID, PATHS };

static const struct {
    const char *name;
    enum option_kind kind;
    void *value;
} table[] = {
    { "to", TO, NULL },
    { "path", TEXT, &options.path },
    { "paths", PATHS, NULL },
    { "repo", TEXT, &options.repo },
    { "tag-prefix", TEXT, &options.tag_prefix },
    { "accept", TEXT, &options.accept },
    { "authorization", TEXT, &options.authorization },
    { "file", TEXT, &options.file },
    { "range", NUMBER, &options.range },
    { "from", NUMBER, &options.from },
    { "connections", UNSIGNED, &options.connections },
    { "threads", UNSIGNED, &options.threads },
    { "layers", UNSIGNED, &options.layers },
    { "own-layers", UNSIGNED, &options.own_layers },
    { "repos", UNSIGNED, &options.repos },
    { "sources", UNSIGNED, &options.sources },
    { "uploads", UNSIGNED, &options.uploads },
    { "downloads", UNSIGNED, &options.downloads },
    { "layer-bytes", NUMBER, &options.layer_bytes },
    { "size", NUMBER, &options.size },
    { "count", NUMBER, &options.count },
    { "seconds", REAL, &options.seconds },
    { "warm", REAL, &options.warm_seconds },
    { "rate", REAL, &options.rate },
    { "slow-rate", NUMBER, &options.slow_rate },
    { "seed", NUMBER, &options.seed },
    { "pid", PID, NULL },
    { "shared-config", FLAG, &options.shared_config },
    { "same-manifest", FLAG, &options.same_manifest },
    { "copy", FLAG, &options.copy },
};

static void option_set(size_t i, const char *text)
{
    switch (table[i].kind) {
    case TEXT:
        *(const char **)table[i].value = text;
        break;
    case NUMBER:
        *(uint64_t *)table[i].value = number(text);
        break;
    case UNSIGNED:
        *(unsigned *)table[i].value = (unsigned)number(text);
        break;
    case REAL:
        *(double *)table[i].value = strtod(text, NULL);
        break;
    case FLAG:
        *(bool *)table[i].value = true;
        break;
    case TO:
        parse_to(text);
        break;
    case PATHS:
        parse_paths(text);
        break;
    case PID:
        options.pid = (int)strtol(text, NULL, 10);
        break;
    }
}

static void parse(int argc, char **argv)
{
    struct option known[ARRAY_LEN(table) + 1] = { 0 };
    for (size_t i = 0; i < ARRAY_LEN(table); i++)
        known[i] =
            (struct option){ table[i].name, table[i].kind == FLAG ? no_argument : required_argument,
                             NULL, (int)i };
    for (int i; (i = getopt_long(argc, argv, "", known, NULL)) != -1;) {
        if (i == '?')
            exit(2);
        option_set((size_t)i, optarg);
    }
    if (optind != argc - 1) {
        fputs(usage, stderr);
        exit(2);
    }
    options.work = argv[optind];
    if (options.range == 0 || options.threads == 0 || options.threads > 64 ||
        options.connections < options.threads || options.layers == 0)
        die("range, threads, connections and layers are at least 1; threads at most 64 and not "
            "more than connections");
}

static const struct {
    const char *name;
    void (*run)(void);
    bool local;   /* needs no server */
    bool endless; /* wants --count or --seconds */
} works[] = {
    { "get", work_loop, false, true },    { "delete", work_loop, false, true },
    { "push", work_loop, false, true },   { "fill", work_loop, false, true },
    { "put", work_put, false, false },    { "fetch", work_fetch, false, false },
    { "write", work_write, true, false }, { "hash", work_hash, true, false },
    { "idle", work_idle, false, false },  { "slow", work_slow, false, false },
};

int main(int argc, char **argv)
{
    struct rlimit files;
    options.seed = (uint64_t)time(NULL) << 20 ^ (uint64_t)getpid();
    parse(argc, argv);
    signal(SIGPIPE, SIG_IGN);
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
    for (size_t i = 0; i < ARRAY_LEN(works); i++) {
        if (strcmp(works[i].name, options.work) != 0)
            continue;
        if (!works[i].local && options.to.sin_port == 0)
            die("--to ADDRESS:PORT is missing");
        if (works[i].endless && options.count == 0 && options.seconds <= 0)
            die("%s wants --count or --seconds", options.work);
        works[i].run();
        return 0;
    }
    fputs(usage, stderr);
    return 2;
}
