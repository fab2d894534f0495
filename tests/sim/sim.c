/* SPDX-License-Identifier: Apache-2.0
 *
 * sim - a registry and a model of it are given the same random calls of every door, with a clock
 * that jumps, crashes, a store and a database that fail now and then; their answers, what they show
 * and all invariants are compared.
 *
 *     sim [--seed N] [--seeds M] [--steps N] [--check K]
 *
 * Runs M seeds from N on. A run is decided by its seed and by which of its steps are left out, so a
 * run that fails is repeated with ever fewer steps; what is left is printed. K: how many steps lie
 * between two comparisons (a replay compares after each).
 */
#include "sim.h"

#include <unistd.h>

#include "base/mem.h"
#include "base/rng.h"

static const char *const op_names[] = {
#define X(name, weight) #name,
    OPS(X)
#undef X
        "CRASH",
    "SETTLE",
    "FREED",
    "AS_WAS",
};
static const unsigned weights[] = {
#define X(name, weight) weight,
    OPS(X)
#undef X
};

char sim_path[128];
struct sim_done sim_done;

bool sim_wrong(struct sim *s, const char *what)
{
    (void)snprintf(s->why, sizeof(s->why), "%s", what);
    return false;
}

bool sim_answered(struct sim *s, enum st got, enum st want, bool *done)
{
    *done = got == ST_OK && want == ST_OK;
    sim_done.denied += got == ST_DENIED;
    if (got == want)
        return true;
    if (fault_fired() && got != ST_OK)
        return true;
    (void)snprintf(s->why, sizeof(s->why), "the answer is \"%s\" (%s), not \"%s\"", st_text(got),
                   got == ST_OK ? "" : s->w.err.text, want == ST_OK ? "ok" : st_text(want));
    return false;
}

/* ---- a run ---------------------------------------------------------------------------------- */

static bool take_step(struct sim *s, const struct step *t)
{
    switch (t->op) {
    case OP_PLAN:
    case OP_APPLY:
    case OP_STEP:
    case OP_DROP_PLAN:
    case OP_UNDO:
    case OP_RESTORE:
        return sim_delete(s, t);
    case OP_RULE:
    case OP_HOLD:
        return sim_protect(s, t);
    case OP_RECLAIM:
    case OP_CRASH:
    case OP_SETTLE:
    case OP_FREED:
    case OP_AS_WAS:
        return sim_check(s, t);
    default:
        return sim_door(s, t);
    }
}

static void make_script(uint64_t seed, struct step *script, size_t steps)
{
    uint64_t rng = seed * 2 + 1;
    unsigned total = 0;
    for (size_t i = 0; i < ARRAY_LEN(weights); i++)
        total += weights[i];
    for (int i = 0; i < 10; i++)
        (void)rng_next(&rng);
    for (size_t i = 0; i < steps; i++) {
        unsigned at = (unsigned)((rng_next(&rng) >> 16) % total);
        unsigned op = 0;
        while (at >= weights[op])
            at -= weights[op++];
        uint64_t a = rng_next(&rng) >> 8;
        uint64_t b = rng_next(&rng) >> 8;
        script[i] = (struct step){
            .op = a % 601 == 0   ? OP_CRASH
                  : a % 397 == 0 ? OP_SETTLE
                  : a % 211 == 0 ? OP_FREED
                  : a % 127 == 0 ? OP_AS_WAS
                                 : (enum op)op,
            .repo = (int)(b % REPOS),
            .other = (int)(b / 16 % REPOS),
            .slot = (int)(b / 64 % SLOTS),
            .blob = (int)(b / 1024 % BLOBS),
            .manifest = (int)(b / 8192 % MANIFESTS),
            .tag = (int)(b / 131072 % TAGS),
            .how = (unsigned)(b >> 32) % 1000,
            .pick = rng_next(&rng) >> 4,
            .fault = a % 16 == 3 ? 1 + (unsigned)(a >> 16) % ((a >> 40) % 4 == 0 ? 300 : 60) : 0,
        };
    }
}

static bool sim_init(struct sim *s, uint64_t seed)
{
    static const int64_t times[][2] = {
        { WORLD_LEASE, WORLD_GRACE },
        { WORLD_LEASE, 0 },
        { WORLD_LEASE, WORLD_LEASE / 2 },
        { 1000, 1001 },
        { 1000, 1000 },
    };
    *s = (struct sim){ .rng = seed * 4 + 3 };
    if (!world_open(&s->w, sim_path))
        return false;
    s->w.r.keeping.lease_ms = times[seed % ARRAY_LEN(times)][0];
    s->w.r.keeping.grace_ms = times[seed % ARRAY_LEN(times)][1];
    s->w.r.sparse_index = seed % 3 == 0;
    s->w.r.uploads_per_repo_max = 8;
    if (seed % 2 == 0 && blob_fault_new(s->w.mem, seed, 20, &s->failing, &s->w.err) == ST_OK)
        s->w.r.store = s->failing;
    universe_make(&s->u, &s->rng);
    model_init(&s->m, &s->u, &s->w);
    return true;
}

static void remove_database(void)
{
    static const char *const ends[] = { "", "-wal", "-shm", ".key" };
    for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
        char path[160];
        (void)snprintf(path, sizeof(path), "%s%s", sim_path, ends[i]);
        (void)unlink(path);
    }
}

static void sim_release(struct sim *s)
{
    if (s->failing != NULL)
        s->w.mem = s->failing; /* which owns the other one */
    world_close(&s->w);
    remove_database();
}

/* The number of the step that failed, counted from 1; 0 when all went well. */
static size_t run(uint64_t seed, const struct step *script, size_t steps, unsigned check,
                  char why[static 600])
{
    static struct sim s;
    size_t failed = 0;
    if (!sim_init(&s, seed)) {
        (void)snprintf(why, 600, "%s", s.w.err.text);
        return 1;
    }
    for (size_t i = 0; i < steps && failed == 0; i++) {
        if (script[i].left_out)
            continue;
        bool settles = script[i].op >= OP_CRASH;
        fault_arm(FAULT_SQL, script[i].fault > 0 && !settles ? script[i].fault : 1, false);
        if (script[i].fault == 0 || settles)
            fault_disarm();
        bool good = take_step(&s, &script[i]);
        fault_disarm();
        if (!good || (i % check == 0 && (!sim_compare(&s, false) || !sim_sound(&s))))
            failed = i + 1;
    }
    if (failed == 0 && (!sim_settle(&s) || !sim_chain(&s)))
        failed = steps;
    if (failed > 0)
        (void)snprintf(why, 600, "%.599s", s.why);
    sim_release(&s);
    return failed;
}

/* ---- when it fails -------------------------------------------------------------------------- */

enum { REPLAYS_MAX = 600 };

static void print_script(uint64_t seed, const struct step *script, size_t steps, const char *why)
{
    static struct universe u;
    uint64_t rng = seed * 4 + 3;
    universe_make(&u, &rng);
    printf("seed %llu: %s\n", (unsigned long long)seed, why);
    for (int i = 0; i < MANIFESTS; i++) {
        printf("  manifest %d:", i);
        for (int k = 0; k < MANIFESTS; k++)
            if (u.child[i][k])
                printf(" child %d", k);
        for (int b = 0; b < BLOBS; b++)
            if (u.names_blob[i][b])
                printf(" %s %d", u.foreign[i][b] ? "foreign" : "blob", b);
        u.subject[i] >= 0 ? printf(" subject %d\n", u.subject[i]) : printf("\n");
    }
    for (size_t i = 0; i < steps; i++) {
        const struct step *t = &script[i];
        if (!t->left_out)
            printf(
                "  %-15s r%d other r%d slot %d blob %d manifest %d t%d how %u pick %llu fault %u\n",
                op_names[t->op], t->repo, t->other, t->slot, t->blob, t->manifest, t->tag, t->how,
                (unsigned long long)t->pick, t->fault);
    }
}

/* Leaves out ever smaller parts as long as the run still fails. */
static void shrink(uint64_t seed, struct step *script, size_t steps, char why[static 600])
{
    int replays = 0;
    char last[600];
    for (size_t part = MAX(steps / 2, (size_t)1); part > 0; part /= 2) {
        for (size_t from = 0; from < steps && replays < REPLAYS_MAX; from += part) {
            size_t to = MIN(from + part, steps);
            bool any = false;
            bool before[4096];
            for (size_t i = from; i < to; i++) {
                before[i - from] = script[i].left_out;
                any = any || !script[i].left_out;
                script[i].left_out = true;
            }
            if (!any)
                continue;
            replays++;
            size_t failed = run(seed, script, steps, 1, last);
            for (size_t i = from; i < to && failed == 0; i++)
                script[i].left_out = before[i - from];
            if (failed > 0) {
                steps = failed;
                (void)snprintf(why, 600, "%s", last);
            }
        }
    }
    print_script(seed, script, steps, why);
}

static bool run_seed(uint64_t seed, size_t steps, unsigned check)
{
    char why[600] = "";
    struct step *script = mem_new(steps * sizeof(*script));
    assert(script != NULL);
    make_script(seed, script, steps);
    size_t failed = run(seed, script, steps, check, why);
    if (failed > 0) {
        printf("seed %llu fails at step %zu: %s\n", (unsigned long long)seed, failed, why);
        shrink(seed, script, failed, why);
    }
    mem_free(script);
    return failed == 0;
}

static uint64_t number(const char *text)
{
    uint64_t n = 0;
    if (!str_to_u64(str_of(text), INT32_MAX, &n) || n == 0) {
        fprintf(stderr, "sim: %s is not a number from 1\n", text);
        exit(2);
    }
    return n;
}

int main(int argc, char **argv)
{
    uint64_t seed = 1, seeds = 1, steps = 2000, check = 16;
    static const char *const names[] = { "--seed", "--seeds", "--steps", "--check" };
    uint64_t *const values[] = { &seed, &seeds, &steps, &check };
    for (int i = 1; i < argc; i += 2) {
        size_t k = 0;
        while (k < ARRAY_LEN(names) && strcmp(argv[i], names[k]) != 0)
            k++;
        if (k == ARRAY_LEN(names) || i + 1 == argc) {
            fprintf(stderr, "usage: sim [--seed N] [--seeds M] [--steps N] [--check K]\n");
            return 2;
        }
        *values[k] = number(argv[i + 1]);
    }
    steps = MIN(steps, (uint64_t)8000); /* beyond, more seeds find more than longer runs */
    char dir[] = "/tmp/ebb-sim-XXXXXX";
    char in_memory[] = "/dev/shm/ebb-sim-XXXXXX";
    char *made = mkdtemp(access("/dev/shm", W_OK) == 0 ? in_memory : dir);
    assert(made != NULL);
    (void)snprintf(sim_path, sizeof(sim_path), "%s/db", made);
    bool good = true;
    for (uint64_t i = 0; i < seeds && good; i++)
        good = run_seed(seed + i, (size_t)steps, (unsigned)check);
    (void)rmdir(made);
    if (!good)
        return 1;
    printf("%llu seeds of %llu steps; %llu plans with items, %llu applied (%llu more steps):"
           " %llu items went, %llu skipped; %llu undone: %llu back, %llu not; %llu calls denied\n",
           (unsigned long long)seeds, (unsigned long long)steps, (unsigned long long)sim_done.plans,
           (unsigned long long)sim_done.applied, (unsigned long long)sim_done.receipts_in_steps,
           (unsigned long long)sim_done.went, (unsigned long long)sim_done.skipped,
           (unsigned long long)sim_done.undone, (unsigned long long)sim_done.back,
           (unsigned long long)sim_done.not_back, (unsigned long long)sim_done.denied);
    return 0;
}
