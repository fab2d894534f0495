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
#include <unistd.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/mem.h"
#include "base/rng.h"
#include "invariants.h"
#include "model.h"

enum { SLOTS = 6 };

/* clang-format off: it never comes to rest here */
#define OPS(X)                                                                                     \
    X(START, 6)                                                                                    \
    X(WRITE, 5)                                                                                    \
    X(FINISH, 12)                                                                                  \
    X(CANCEL, 1)                                                                                   \
    X(UPLOAD, 12)                                                                                  \
    X(MOUNT, 6)                                                                                    \
    X(HEAD_BLOB, 8)                                                                                \
    X(GET_BLOB, 3)                                                                                 \
    X(DAMAGE, 1)                                                                                   \
    X(PUSH, 16)                                                                                    \
    X(TAG, 14)                                                                                     \
    X(HEAD_MANIFEST, 5)                                                                            \
    X(GET_MANIFEST, 3)                                                                             \
    X(UNTAG, 6)                                                                                    \
    X(DELETE_MANIFEST, 5)                                                                          \
    X(DELETE_BLOB, 4)                                                                              \
    X(RECLAIM, 16)                                                                                 \
    X(TIME, 12)
/* clang-format on */

enum op {
#define X(name, weight) OP_##name,
    OPS(X)
#undef X
        OP_CRASH,
    OP_SETTLE,
    OP_KINDS
};
static const char *const op_names[] = {
#define X(name, weight) #name,
    OPS(X)
#undef X
        "CRASH",
    "SETTLE"
};
static const unsigned weights[] = {
#define X(name, weight) weight,
    OPS(X)
#undef X
};

struct step {
    enum op op;
    int repo, other, slot, blob, manifest, tag;
    unsigned how;
    unsigned fault; /* this SQL step fails; 0: none */
    bool left_out;
};

/* An upload as its client knows it. */
struct slot {
    bool open;
    bool wrote; /* something may lie under the name */
    char name[33];
    int repo, blob;
    int64_t due_at;
};

struct sim {
    struct world w;
    struct blob_store *failing; /* around w.mem; NULL: none */
    struct universe u;
    struct model m;
    struct slot slots[SLOTS];
    uint64_t rng; /* for crashes */
    int open[REPOS];
    char why[ERR_TEXT_MAX + 100];
};

static char db_path[128]; /* a file, since a crash opens it again */

static const char *const repo_names[REPOS] = { "r0", "r1", "r2" };
static const char *const tag_names[TAGS] = { "t0", "t1", "t2", "t3" };

/* ---- one step ------------------------------------------------------------------------------- */

static bool wrong(struct sim *s, const char *what)
{
    (void)snprintf(s->why, sizeof(s->why), "%s", what);
    return false;
}

/* Compares an answer. A call in which a failure was injected may fail instead, without trace. */
static bool answered(struct sim *s, enum st got, enum st want, bool *done)
{
    *done = got == ST_OK && want == ST_OK;
    if (got == want)
        return true;
    if (fault_fired() && got != ST_OK)
        return true;
    (void)snprintf(s->why, sizeof(s->why), "the answer is \"%s\" (%s), not \"%s\"", st_text(got),
                   got == ST_OK ? "" : s->w.err.text, want == ST_OK ? "ok" : st_text(want));
    return false;
}

static bool start(struct sim *s, const struct step *t)
{
    struct slot *slot = &s->slots[t->slot];
    bool done = false;
    if (slot->open)
        return true;
    world_name(&s->w, slot->name);
    enum st st = registry_start_upload(&s->w.r, str_of(repo_names[t->repo]), str_of(slot->name),
                                       s->w.now, &s->w.err);
    if (st == ST_TOO_LARGE) /* uploads that a crash made forget count as well */
        return true;
    if (!answered(s, st, ST_OK, &done))
        return false;
    if (done)
        *slot = (struct slot){ .open = true,
                               .repo = t->repo,
                               .blob = t->blob,
                               .due_at = s->w.now + s->w.r.upload_rest_ms };
    if (done)
        (void)snprintf(slot->name, sizeof(slot->name), "%032llx", (unsigned long long)s->w.ids);
    return true;
}

/* Bytes that are written, synced or not, and perhaps acknowledged. */
static bool write_some(struct sim *s, const struct step *t)
{
    struct slot *slot = &s->slots[t->slot];
    struct blob_writer *writer = NULL;
    bool done = false;
    if (!slot->open)
        return true;
    const char *text = s->u.texts[slot->blob];
    slot->wrote = true;
    if (blob_writer_open(s->w.r.store, str_of(slot->name), 0, &writer, NULL) != ST_OK)
        return true;
    enum st st = blob_writer_add(writer, text, t->how % strlen(text), NULL);
    uint64_t size = blob_writer_offset(writer);
    if (st == ST_OK && t->how % 3 == 0)
        st = blob_writer_finish(writer, NULL);
    blob_writer_close(writer);
    if (st != ST_OK || t->how % 2 == 0)
        return true;
    st = registry_note_progress(&s->w.r, str_of(slot->name), size, STR_NONE, s->w.now, &s->w.err);
    if (!answered(s, st, ST_OK, &done))
        return false;
    if (done)
        slot->due_at = s->w.now + s->w.r.upload_rest_ms;
    return true;
}

static bool finish(struct sim *s, const struct step *t)
{
    struct slot *slot = &s->slots[t->slot];
    bool in_row = t->how % 2 == 0;
    bool done = false;
    if (!slot->open)
        return true;
    const char *text = s->u.texts[slot->blob];
    if (!in_row) {
        slot->wrote = true;
        if (world_write(&s->w, slot->name, text) != ST_OK)
            return true; /* its client tries again, or never comes back */
    }
    const struct blob_arrival arrival = { .digest = &s->u.blobs[slot->blob],
                                          .size = strlen(text),
                                          .name = str_of(slot->name),
                                          .data = in_row ? str_of(text) : STR_NONE,
                                          .name_written = slot->wrote };
    enum st st = registry_finish_upload(&s->w.r, str_of(repo_names[slot->repo]), &arrival, s->w.now,
                                        &s->w.err);
    if (!answered(s, st, ST_OK, &done))
        return false;
    if (done) {
        model_linked(&s->m, slot->repo, slot->blob, s->w.now);
        s->m.damaged[slot->blob] = false;
        slot->open = false;
    }
    return true;
}

static bool cancel(struct sim *s, const struct step *t)
{
    struct slot *slot = &s->slots[t->slot];
    bool done = false;
    if (!slot->open)
        return true;
    enum st st = registry_cancel_upload(&s->w.r, str_of(repo_names[slot->repo]), str_of(slot->name),
                                        s->w.now, &s->w.err);
    if (!answered(s, st, ST_OK, &done))
        return false;
    slot->open = slot->open && !done;
    return true;
}

static bool upload(struct sim *s, const struct step *t)
{
    bool done = false;
    struct blob_store *store = s->w.r.store;
    s->w.r.store = s->w.mem; /* here only the database fails */
    enum st st = world_upload_as(&s->w, repo_names[t->repo], &s->u.blobs[t->blob],
                                 s->u.texts[t->blob], t->how % 3);
    s->w.r.store = store;
    if (st == ST_TOO_LARGE)
        return true;
    if (!answered(s, st, ST_OK, &done))
        return false;
    if (done) {
        model_linked(&s->m, t->repo, t->blob, s->w.now);
        s->m.damaged[t->blob] = false;
    }
    return true;
}

static bool mount(struct sim *s, const struct step *t)
{
    int from = t->how % 4 == 0 ? -1 : t->other;
    bool done = false;
    enum st st = world_mount(&s->w, repo_names[t->repo], from < 0 ? NULL : repo_names[from],
                             &s->u.blobs[t->blob]);
    if (!answered(s, st, model_mount(&s->m, from, t->blob), &done))
        return false;
    if (done)
        model_linked(&s->m, t->repo, t->blob, s->w.now);
    return true;
}

static bool blob_call(struct sim *s, const struct step *t)
{
    const char *repo = repo_names[t->repo];
    const struct digest *d = &s->u.blobs[t->blob];
    bool done = false;
    if (t->op == OP_DELETE_BLOB) {
        enum st st = world_delete_blob(&s->w, repo, d);
        if (!answered(s, st, model_delete_blob(&s->m, t->repo, t->blob), &done))
            return false;
        if (done)
            model_blob_deleted(&s->m, t->repo, t->blob, s->w.now);
        return true;
    }
    enum st st =
        t->op == OP_HEAD_BLOB ? world_head_blob(&s->w, repo, d) : world_get_blob(&s->w, repo, d);
    if (!answered(s, st, model_get_blob(&s->m, t->repo, t->blob), &done))
        return false;
    if (done && t->op == OP_HEAD_BLOB)
        model_head_blob(&s->m, t->repo, t->blob, s->w.now);
    return true;
}

static bool damage(struct sim *s, const struct step *t)
{
    AUTO(arena_release) struct arena a = { 0 };
    struct blob_row row = { 0 };
    bool known = false, done = false;
    enum st st = registry_find_blob(&s->w.r, str_of(repo_names[t->repo]), &s->u.blobs[t->blob], &a,
                                    &row, &known, &s->w.err);
    if (st != ST_OK)
        return true;
    st = registry_report_damage(&s->w.r, &row, s->w.now, &s->w.err);
    if (!answered(s, st, ST_OK, &done))
        return false;
    s->m.damaged[t->blob] = s->m.damaged[t->blob] || done;
    return true;
}

static bool manifest_call(struct sim *s, const struct step *t)
{
    const char *repo = repo_names[t->repo];
    const struct made *made = &s->u.manifests[t->manifest];
    int tag = t->op == OP_TAG ? t->tag : -1;
    bool done = false;
    enum st want = s->m.manifests[t->repo][t->manifest].visible ? ST_OK : ST_NOT_FOUND;
    switch (t->op) {
    case OP_HEAD_MANIFEST:
        if (!answered(s, world_head_manifest(&s->w, repo, &made->digest), want, &done))
            return false;
        if (done)
            model_head_manifest(&s->m, t->repo, t->manifest, s->w.now);
        return true;
    case OP_GET_MANIFEST:
        return answered(s, world_get_manifest(&s->w, repo, &made->digest), want, &done);
    case OP_DELETE_MANIFEST:
        if (!answered(s, world_delete_manifest(&s->w, repo, &made->digest),
                      model_delete_manifest(&s->m, t->repo, t->manifest), &done))
            return false;
        if (done)
            model_manifest_deleted(&s->m, t->repo, t->manifest, s->w.now);
        return true;
    default:
        if (!answered(s, world_push(&s->w, repo, made, tag < 0 ? NULL : tag_names[tag]),
                      model_push(&s->m, t->repo, t->manifest), &done))
            return false;
        if (done)
            model_pushed(&s->m, t->repo, t->manifest, tag, s->w.now);
        return true;
    }
}

static bool untag(struct sim *s, const struct step *t)
{
    bool done = false;
    enum st st = world_delete_tag(&s->w, repo_names[t->repo], tag_names[t->tag]);
    if (!answered(s, st, s->m.tags[t->repo][t->tag] < 0 ? ST_NOT_FOUND : ST_OK, &done))
        return false;
    if (done)
        model_untagged(&s->m, t->repo, t->tag, s->w.now);
    return true;
}

static void pass_time(struct sim *s, const struct step *t)
{
    const struct keeping *k = &s->w.r.keeping;
    const int64_t jumps[] = { 1,           k->lease_ms / 10,          k->lease_ms - 1,
                              k->lease_ms, k->grace_ms / 3,           MAX(k->grace_ms, 1) - 1,
                              k->grace_ms, k->grace_ms + k->lease_ms, s->w.r.upload_rest_ms };
    s->w.now += jumps[t->how % ARRAY_LEN(jumps)];
}

/* ---- comparing ------------------------------------------------------------------------------ */

/* Uploads that reclaim expired. */
static bool compare_uploads(struct sim *s)
{
    for (int i = 0; i < SLOTS; i++) {
        AUTO(arena_release) struct arena a = { 0 };
        struct slot *slot = &s->slots[i];
        struct upload_row row;
        if (!slot->open)
            continue;
        enum st st = registry_find_upload(&s->w.r, str_of(repo_names[slot->repo]),
                                          str_of(slot->name), &a, &row, &s->w.err);
        if (st == ST_OK)
            continue;
        if (st != ST_NOT_FOUND || slot->due_at > s->w.now)
            return wrong(s, "an upload is gone that must not be");
        slot->open = false;
    }
    return true;
}

static bool compare(struct sim *s, bool reclaimed)
{
    struct seen seen;
    if (!seen_read(&seen, &s->u, &s->w))
        return wrong(s, s->w.err.text);
    if (!model_compare(&s->m, &seen, reclaimed, s->w.now))
        return wrong(s, s->m.why);
    return true;
}

static bool sound(struct sim *s)
{
    enum st st = check_invariants(s->w.r.db, s->w.mem, s->w.r.sparse_index, s->w.now, &s->w.err);
    return st == ST_OK ? true : wrong(s, s->w.err.text);
}

static bool reclaim(struct sim *s)
{
    struct reclaim_report report = { 0 };
    bool done = false;
    enum st st = reclaim_step(&s->w.r, NULL, s->w.now, &report, &s->w.err);
    if (st != ST_OK && s->failing == NULL && !answered(s, st, ST_OK, &done))
        return false;
    fault_disarm();
    return compare_uploads(s) && compare(s, true);
}

static bool crash(struct sim *s)
{
    if (!world_crash(&s->w, db_path, &s->rng))
        return wrong(s, s->w.err.text);
    if (s->failing == NULL)
        s->w.r.store = s->w.mem;
    for (int i = 0; i < SLOTS; i++) /* some clients never come back */
        s->slots[i].open = s->slots[i].open && rng_next(&s->rng) % 2 == 0;
    return compare_uploads(s) && compare(s, false) && sound(s);
}

static bool settle(struct sim *s)
{
    struct seen seen;
    struct blob_store *store = s->w.r.store;
    s->w.r.store = s->w.mem;
    enum st st = world_settle(&s->w);
    s->w.r.store = store;
    if (st != ST_OK)
        return wrong(s, s->w.err.text);
    if (!compare_uploads(s) || !compare(s, true) || !sound(s))
        return false;
    if (!seen_read(&seen, &s->u, &s->w))
        return wrong(s, s->w.err.text);
    if (!model_is_settled(&s->m, &seen))
        return wrong(s, s->m.why);
    if (world_count(&s->w, "SELECT count(*) FROM upload") != 0 ||
        world_count(&s->w, "SELECT count(*) FROM doomed") != 0)
        return wrong(s, "an upload or a doomed name is left");
    return true;
}

/* ---- a run ---------------------------------------------------------------------------------- */

static bool take_step(struct sim *s, const struct step *t)
{
    switch (t->op) {
    case OP_START:
        return start(s, t);
    case OP_WRITE:
        return write_some(s, t);
    case OP_FINISH:
        return finish(s, t);
    case OP_CANCEL:
        return cancel(s, t);
    case OP_UPLOAD:
        return upload(s, t);
    case OP_MOUNT:
        return mount(s, t);
    case OP_HEAD_BLOB:
    case OP_GET_BLOB:
    case OP_DELETE_BLOB:
        return blob_call(s, t);
    case OP_DAMAGE:
        return damage(s, t);
    case OP_PUSH:
    case OP_TAG:
    case OP_HEAD_MANIFEST:
    case OP_GET_MANIFEST:
    case OP_DELETE_MANIFEST:
        return manifest_call(s, t);
    case OP_UNTAG:
        return untag(s, t);
    case OP_RECLAIM:
        return reclaim(s);
    case OP_TIME:
        pass_time(s, t);
        return true;
    case OP_CRASH:
        return crash(s);
    case OP_SETTLE:
    case OP_KINDS:
        break;
    }
    return settle(s);
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
                                 : (enum op)op,
            .repo = (int)(b % REPOS),
            .other = (int)(b / 16 % REPOS),
            .slot = (int)(b / 64 % SLOTS),
            .blob = (int)(b / 1024 % BLOBS),
            .manifest = (int)(b / 8192 % MANIFESTS),
            .tag = (int)(b / 131072 % TAGS),
            .how = (unsigned)(b >> 32) % 1000,
            .fault = a % 16 == 3 ? 1 + (unsigned)(a >> 16) % 80 : 0,
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
    if (!world_open(&s->w, db_path))
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
    static const char *const ends[] = { "", "-wal", "-shm" };
    for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
        char path[160];
        (void)snprintf(path, sizeof(path), "%s%s", db_path, ends[i]);
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
        bool settles = script[i].op == OP_SETTLE || script[i].op == OP_CRASH;
        fault_arm(FAULT_SQL, script[i].fault > 0 && !settles ? script[i].fault : 1, false);
        if (script[i].fault == 0 || settles)
            fault_disarm();
        bool good = take_step(&s, &script[i]);
        fault_disarm();
        if (!good || (i % check == 0 && (!compare(&s, false) || !sound(&s))))
            failed = i + 1;
    }
    if (failed == 0 && !settle(&s))
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
            printf("  %-15s r%d other r%d slot %d blob %d manifest %d t%d how %u fault %u\n",
                   op_names[t->op], t->repo, t->other, t->slot, t->blob, t->manifest, t->tag,
                   t->how, t->fault);
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
    (void)snprintf(db_path, sizeof(db_path), "%s/db", made);
    bool good = true;
    for (uint64_t i = 0; i < seeds && good; i++)
        good = run_seed(seed + i, (size_t)steps, (unsigned)check);
    (void)rmdir(made);
    if (!good)
        return 1;
    printf("%llu seeds of %llu steps\n", (unsigned long long)seeds, (unsigned long long)steps);
    return 0;
}
