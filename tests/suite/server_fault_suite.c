/* SPDX-License-Identifier: Apache-2.0
 *
 * The whole server in this process while the nth allocation, SQL step or file call fails: a script
 * of requests is run for n = 1, 2, ... Then:
 *
 *  1. Every answer is the expected one or an error as the protocol says it: 4xx or 5xx with the
 *     JSON body. Without memory a connection may end instead.
 *  2. A failure of ours never looks like an absence: what was acknowledged is not answered by 404.
 *  3. With no more failures the whole script works, and what was acknowledged before is there.
 *  4. In the end the rows are sound, and when everything is let go nothing is left in the store.
 */
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

#include "api/api.h"
#include "base/clock.h"
#include "base/fault.h"
#include "base/log.h"
#include "base/rng.h"
#include "http_fixture.h"
#include "invariants.h"
#include "meta/schema.h"

#ifndef EBB_FAULTS

int main(void)
{
    return 77; /* skipped: built without -Dfaults=true */
}

#else

#define INLINE_BYTES 16

static struct {
    char dir[64];
    char db_path[96];
    char blobs_path[96];
    struct registry registry;
    struct deletion *deletion;
    struct api *api;
    struct http_server *http;
    int fd; /* of the client's connection; -1: none */
    struct reply reply;
    struct err err;
} rig = { .fd = -1 };

static void must(enum st st)
{
    if (st != ST_OK)
        fail_msg("%s", rig.err.text);
}

static void start(void)
{
    static const char *const listen[] = { "127.0.0.1:0" };
    const struct db_options db = { .path = rig.db_path, .no_sync = true, .readers_max = 2 };
    const struct api_options api = {
        .manifest = { .bytes_max = 1 * MIB, .depth_max = 16, .descriptors_max = 100 },
        .tags_per_request_max = 10,
        .page_max = 100,
        .upload_bytes_max = 1 * MIB,
        .inline_bytes_max = INLINE_BYTES,
    };
    rig.registry = (struct registry){
        .keeping = { .lease_ms = CLOCK_HOUR_MS, .grace_ms = CLOCK_DAY_MS, .untagged = true },
        .upload_rest_ms = CLOCK_DAY_MS,
        .uploads_per_repo_max = 1000,
    };
    must(db_open(&db, schema_migrations, schema_migration_count, &rig.registry.db, &rig.err));
    must(blob_fs_open(rig.blobs_path, &rig.registry.store, &rig.err));
    const struct deletion_options deleting = {
        .max_percent = 50, .plan_items_max = 1000, .plan_keep_ms = CLOCK_HOUR_MS, .no_thread = true
    };
    must(deletion_open(&rig.registry, &deleting, &rig.deletion, &rig.err));
    must(api_new(&rig.registry, rig.deletion, NULL, &api, &rig.api, &rig.err));
    const struct http_app door = api_app(rig.api);
    const struct http_options http = {
        .listen = listen, .listen_count = 1, .loops = 1, .workers = 2
    };
    must(http_server_start(&http, &door, &rig.http, &rig.err));
}

static void hang_up(void)
{
    if (rig.fd >= 0)
        (void)close(rig.fd);
    rig.fd = -1;
}

static void stop(void)
{
    hang_up();
    http_server_stop(rig.http, 1000);
    api_free(rig.api);
    deletion_close(rig.deletion);
    db_close(rig.registry.db);
    blob_store_free(rig.registry.store);
}

/* ---- requests ----------------------------------------------------------------------------- */

/* Everything of one run of the script. Its content is its own, so that all of it is new. */
struct run {
    char repo[32];
    char layer[128];
    char config[32];
    char manifest[1024];
    char layer_digest[DIGEST_TEXT_MAX + 1];
    char config_digest[DIGEST_TEXT_MAX + 1];
    char manifest_digest[DIGEST_TEXT_MAX + 1];
    char location[256];
    bool layer_there, config_there, manifest_there, tag_there, kept_there, mounted;
    bool failing; /* something may fail */
    enum fault_kind kind;
    unsigned n;
};

static void digest_text_of(const char *bytes, char out[static DIGEST_TEXT_MAX + 1])
{
    struct digest d;
    digest_of(DIGEST_SHA256, str_of(bytes), &d);
    (void)digest_text(&d, out);
}

static void make(struct run *r, unsigned number)
{
    *r = (struct run){ 0 };
    (void)snprintf(r->repo, sizeof(r->repo), "run/%u", number);
    (void)snprintf(r->layer, sizeof(r->layer), "layer of run %u, too long for a row", number);
    (void)snprintf(r->config, sizeof(r->config), "{\"n\":%u}", number);
    digest_text_of(r->layer, r->layer_digest);
    digest_text_of(r->config, r->config_digest);
    (void)snprintf(r->manifest, sizeof(r->manifest),
                   "{\"schemaVersion\":2,"
                   "\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\","
                   "\"config\":{\"mediaType\":\"application/vnd.oci.image.config.v1+json\","
                   "\"digest\":\"%s\",\"size\":%zu},\"layers\":[{\"mediaType\":"
                   "\"application/vnd.oci.image.layer.v1.tar\",\"digest\":\"%s\",\"size\":%zu}]}",
                   r->config_digest, strlen(r->config), r->layer_digest, strlen(r->layer));
    digest_text_of(r->manifest, r->manifest_digest);
}

/* The answer's code, 0 when the connection ended before one. */
static int ask(const char *method, const char *target, const char *headers, const char *body)
{
    char text[2048]; /* in one piece: two would wait for each other's acknowledgement */
    int len =
        snprintf(text, sizeof(text), "%s %s HTTP/1.1\r\nHost: a\r\n%sContent-Length: %zu\r\n\r\n%s",
                 method, target, headers, strlen(body), body);
    assert_in_range(len, 1, sizeof(text) - 1);
    rig.reply.code = 0;
    if (rig.fd < 0)
        rig.fd = client_open(rig.http);
    bool whole = client_try_send(rig.fd, text, (size_t)len) &&
                 client_reply(rig.fd, &rig.reply, strcmp(method, "HEAD") == 0);
    if (!whole || strstr(rig.reply.head, "\r\nConnection: close\r\n") != NULL)
        hang_up();
    return whole ? rig.reply.code : 0;
}

static const char *header(const char *name, char *out, size_t size)
{
    char key[64];
    (void)snprintf(key, sizeof(key), "\r\n%s: ", name);
    const char *at = strstr(rig.reply.head, key);
    if (at == NULL)
        return NULL;
    at += strlen(key);
    assert_true(str_copy((str){ at, strcspn(at, "\r") }, out, size));
    return out;
}

/* An error in the words of the path's family. GitLab's has a message for what the server refuses
 * and an error for what net/ refuses; before it is known whose path it is, the words are the OCI
 * API's.
 */
static bool is_worded(const char *target, int code, str body)
{
    bool oci = str_starts(body, STR("{\"errors\":[{\"code\":\""));
    if (!str_starts(str_of(target), STR("/api/v4/")))
        return oci;
    return str_starts(body, STR("{\"message\":\"")) || str_starts(body, STR("{\"error\":\"")) ||
           (code == 503 && oci);
}

/* One step: true when the answer was `want`. `there`: what is asked for was acknowledged. */
static bool step(struct run *r, bool there, int want, const char *method, const char *target,
                 const char *headers, const char *body)
{
    int code = ask(method, target, headers, body);
    if (code == want)
        return true;
    bool head = strcmp(method, "HEAD") == 0;
    bool clean =
        code >= 400 && code < 600 && (head || is_worded(target, code, str_of(rig.reply.body)));
    bool ended = code == 0 && r->failing && r->kind == FAULT_ALLOC;
    bool lied = there && code == 404;
    if (r->failing && (clean || ended) && !lied)
        return false;
    fail_msg("kind %d, n %u: %s %s: %d, not %d\n%s%s", (int)r->kind, r->n, method, target, code,
             want, code == 0 ? "" : rig.reply.head, code == 0 || head ? "" : rig.reply.body);
    return false;
}

static void body_is(const char *bytes)
{
    assert_int_equal(rig.reply.body_len, strlen(bytes));
    assert_memory_equal(rig.reply.body, bytes, strlen(bytes));
}

static void header_is(const char *name, const char *want)
{
    char value[256];
    if (header(name, value, sizeof(value)) == NULL || strcmp(value, want) != 0)
        fail_msg("%s is not %s\n%s", name, want, rig.reply.head);
}

static bool start_upload(struct run *r)
{
    char target[256];
    (void)snprintf(target, sizeof(target), "/v2/%s/blobs/uploads/", r->repo);
    if (!step(r, false, 202, "POST", target, "", ""))
        return false;
    assert_non_null(header("Location", r->location, sizeof(r->location)));
    assert_int_equal(strlen(r->location), strlen(target) + RNG_ID_LEN);
    return true;
}

static void push_layer(struct run *r)
{
    char target[512];
    char half[64] = "";
    if (!start_upload(r))
        return;
    assert_true(str_copy((str){ r->layer, 20 }, half, sizeof(half)));
    if (!step(r, true, 202, "PATCH", r->location, "Content-Range: 0-19\r\n", half)) {
        /* Resumed from wherever it is, if it is. */
        char range[64];
        unsigned last = 0;
        if (!step(r, false, 204, "GET", r->location, "", ""))
            return;
        assert_non_null(header("Range", range, sizeof(range)));
        bool empty = strcmp(range, "0--1") == 0;
        assert_true(empty || (sscanf(range, "0-%u", &last) == 1 && last == 19));
        if (empty && !step(r, false, 202, "PATCH", r->location, "", half))
            return;
    }
    (void)snprintf(target, sizeof(target), "%s?digest=%s", r->location, r->layer_digest);
    if (step(r, false, 201, "PUT", target, "", r->layer + 20)) {
        r->layer_there = true;
        header_is("Docker-Content-Digest", r->layer_digest);
    }
}

static void push_config(struct run *r)
{
    char target[512];
    (void)snprintf(target, sizeof(target), "/v2/%s/blobs/uploads/?digest=%s", r->repo,
                   r->config_digest);
    r->config_there = step(r, false, 201, "POST", target, "", r->config);
}

static bool push_manifest(struct run *r, const char *tag)
{
    char target[512];
    (void)snprintf(target, sizeof(target), "/v2/%s/manifests/%s", r->repo, tag);
    bool done = step(r, false, 201, "PUT", target,
                     "Content-Type: application/vnd.oci.image.manifest.v1+json\r\n", r->manifest);
    if (done) {
        header_is("Docker-Content-Digest", r->manifest_digest);
        assert_true(r->layer_there || r->failing); /* it may be there though its answer was lost */
    }
    return done;
}

static void get(struct run *r, bool there, const char *kind, const char *name, const char *bytes)
{
    char target[512];
    (void)snprintf(target, sizeof(target), "/v2/%s/%s/%s", r->repo, kind, name);
    if (step(r, there, 200, "HEAD", target, "", ""))
        assert_non_null(strstr(rig.reply.head, "\r\nDocker-Content-Digest: sha256:"));
    if (step(r, there, 200, "GET", target, "", ""))
        body_is(bytes);
}

static void look_around(struct run *r)
{
    char target[512];
    (void)snprintf(target, sizeof(target), "/v2/%s/blobs/%s", r->repo, r->layer_digest);
    if (step(r, r->layer_there, 206, "GET", target, "Range: bytes=2-5\r\n", ""))
        body_is("yer ");
    if (step(r, r->layer_there, 206, "GET", target, "Range: bytes=0-1,8-9\r\n", ""))
        assert_non_null(strstr(rig.reply.head, "\r\nContent-Type: multipart/byteranges"));
    (void)snprintf(target, sizeof(target), "/v2/%s/tags/list?n=5", r->repo);
    if (step(r, r->manifest_there, 200, "GET", target, "", "") && r->tag_there)
        assert_non_null(strstr(rig.reply.body, "\"v1\""));
    if (step(r, false, 200, "GET", "/v2/_catalog?last=ru%6e", "", ""))
        assert_true(!r->manifest_there || strstr(rig.reply.body, "run/") != NULL);
    /* The project "run/<n>" has one repository, its own. */
    (void)snprintf(target, sizeof(target),
                   "/api/v4/projects/run%%2F%s/registry/repositories?tags=1", r->repo + 4);
    if (step(r, r->manifest_there, 200, "GET", target, "", "") && r->tag_there) {
        assert_non_null(strstr(rig.reply.body, "\"name\":\"v1\""));
        assert_null(strstr(rig.reply.body, "\"location\":null"));
    }
    (void)snprintf(target, sizeof(target), "/acr/v1/%s/_tags?n=5&orderby=timedesc", r->repo);
    if (step(r, r->manifest_there, 200, "GET", target, "", "") && r->tag_there) {
        assert_non_null(strstr(rig.reply.body, "\"name\":\"v1\""));
        assert_null(strstr(rig.reply.body, "null"));
    }
    (void)snprintf(target, sizeof(target), "/acr/v1/%s/_manifests", r->repo);
    if (step(r, r->manifest_there, 200, "GET", target, "", "") && r->tag_there)
        assert_non_null(strstr(rig.reply.body, "\"tags\":[\"v1\"]"));
    (void)snprintf(target, sizeof(target), "/v2/%s/referrers/%s", r->repo, r->manifest_digest);
    if (step(r, true, 200, "GET", target, "", ""))
        header_is("Content-Type", "application/vnd.oci.image.index.v1+json");
}

static void mount(struct run *r)
{
    char target[512];
    (void)snprintf(target, sizeof(target), "/v2/%s/mounted/blobs/uploads/?mount=%s&from=run%%2F%s",
                   r->repo, r->layer_digest, r->repo + 4);
    int want = r->layer_there ? 201 : 202;
    if (!step(r, true, want, "POST", target, "", "") || want != 201) {
        r->mounted = false;
        return;
    }
    r->mounted = true;
    header_is("Docker-Content-Digest", r->layer_digest);
}

static void cancel(struct run *r)
{
    if (start_upload(r))
        (void)step(r, true, 204, "DELETE", r->location, "", "");
}

static void move_tag(struct run *r)
{
    char target[512];
    (void)snprintf(target, sizeof(target), "/v2/%s/manifests/v1", r->repo);
    if (step(r, r->tag_there, 202, "DELETE", target, "", "")) {
        r->tag_there = false;
        assert_false(ask("GET", target, "", "") == 200);
    } else {
        r->tag_there = false; /* nobody knows */
    }
    r->kept_there = push_manifest(r, "keep");
}

/* What was acknowledged is there. */
static void verify(struct run *r)
{
    r->failing = false;
    if (r->layer_there)
        get(r, true, "blobs", r->layer_digest, r->layer);
    if (r->config_there)
        get(r, true, "blobs", r->config_digest, r->config);
    if (r->manifest_there || r->kept_there)
        get(r, true, "manifests", r->manifest_digest, r->manifest);
    if (r->manifest_there || r->kept_there) { /* and whole (invariant 1) */
        get(r, true, "blobs", r->layer_digest, r->layer);
        get(r, true, "blobs", r->config_digest, r->config);
    }
    if (r->kept_there)
        get(r, true, "manifests", "keep", r->manifest);
    if (r->mounted) {
        char target[512];
        (void)snprintf(target, sizeof(target), "/v2/%s/mounted/blobs/%s", r->repo, r->layer_digest);
        (void)step(r, true, 200, "GET", target, "", "");
        body_is(r->layer);
    }
}

static void run_script(struct run *r)
{
    (void)step(r, true, 200, "GET", "/v2/", "", "");
    push_layer(r);
    push_config(r);
    r->manifest_there = r->tag_there = push_manifest(r, "v1");
    get(r, r->tag_there, "manifests", "v1", r->manifest);
    get(r, r->manifest_there, "manifests", r->manifest_digest, r->manifest);
    get(r, r->layer_there, "blobs", r->layer_digest, r->layer);
    get(r, r->config_there, "blobs", r->config_digest, r->config);
    look_around(r);
    mount(r);
    cancel(r);
    move_tag(r);
}

/* ---- the sweep ---------------------------------------------------------------------------- */

static unsigned runs;
static struct run first; /* without failures, before all others */

static void run_without_failures(struct run *r)
{
    make(r, runs++);
    run_script(r);
    assert_true(r->layer_there && r->config_there && r->manifest_there && r->kept_there &&
                r->mounted);
    verify(r);
}

static bool run_with(enum fault_kind kind, unsigned n, bool all_after)
{
    struct run r;
    make(&r, runs++);
    r.failing = true;
    r.kind = kind;
    r.n = n;
    fault_arm(kind, n, all_after);
    run_script(&r);
    bool fired = fault_fired();
    fault_disarm();
    hang_up(); /* the next run meets a fresh connection, and its failures */
    verify(&r);
    return fired;
}

/* Each of the first, then some; the whole takes a minute at the most. */
static void sweep(enum fault_kind kind)
{
    int64_t until = clock_mono_ms() + 15 * CLOCK_SECOND_MS;
    unsigned n = 1;
    unsigned stride = 1;
    while (run_with(kind, n, false)) {
        if (clock_mono_ms() > until)
            stride = 97;
        n += stride;
        assert_true(n < 100000);
    }
    struct run r;
    run_without_failures(&r);
    print_message("kind %d: %u places, stride %u\n", (int)kind, n, stride);
}

static void each_allocation_fails(void **state)
{
    (void)state;
    sweep(FAULT_ALLOC);
}

static void each_sql_step_fails(void **state)
{
    (void)state;
    sweep(FAULT_SQL);
}

static void each_file_call_fails(void **state)
{
    (void)state;
    sweep(FAULT_IO);
}

static void all_fail_from_some_point_on(void **state)
{
    (void)state;
    for (unsigned n = 1; n < 400; n += 17) {
        (void)run_with(FAULT_SQL, n, true);
        (void)run_with(FAULT_IO, n, true);
    }
    struct run r;
    run_without_failures(&r);
}

static enum st count_name(str name, uint64_t size, void *ctx, struct err *err)
{
    (void)name, (void)size, (void)err;
    ++*(unsigned *)ctx;
    return ST_OK;
}

static unsigned names_in_store(void)
{
    unsigned n = 0;
    must(blob_walk(rig.registry.store, count_name, &n, &rig.err));
    return n;
}

static enum st count_named(struct db_tx *tx, void *ctx, struct err *err)
{
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    enum st st =
        db_one(tx, &rows, "SELECT count(*) FROM blob WHERE name IS NOT NULL", DB_NO_ARGS, err);
    if (st == ST_OK)
        *(unsigned *)ctx = (unsigned)db_int(&rows, 0);
    return st;
}

static void sound_after_a_restart(void **state)
{
    (void)state;
    stop();
    start();
    verify(&first);
    int64_t now = clock_utc_ms();
    must(check_invariants(rig.registry.db, rig.registry.store, false, now, &rig.err));
    const struct reclaim_guard guard = api_reclaim_guard(rig.api);
    struct reclaim_report report = { 0 };
    unsigned named = 0;
    for (int i = 0; i < 3; i++) { /* uploads expire, what nothing keeps goes */
        now += 10 * CLOCK_DAY_MS;
        do {
            must(reclaim_step(&rig.registry, &guard, now, &report, &rig.err));
        } while (report.more);
    }
    must(check_invariants(rig.registry.db, rig.registry.store, false, now, &rig.err));
    must(db_read(rig.registry.db, count_named, &named, &rig.err));
    assert_int_equal(names_in_store(), named);
    first.tag_there = first.mounted = false; /* the lease of a mount is over */
    verify(&first);
}

static int setup(void **state)
{
    (void)state;
    const char *parent = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    (void)snprintf(rig.dir, sizeof(rig.dir), "%s/ebb-server-faults-XXXXXX", parent);
    if (mkdtemp(rig.dir) == NULL)
        return -1;
    (void)snprintf(rig.db_path, sizeof(rig.db_path), "%s/db", rig.dir);
    (void)snprintf(rig.blobs_path, sizeof(rig.blobs_path), "%s/blobs", rig.dir);
    FILE *log = fopen("/dev/null", "w"); /* failures are expected by the thousand */
    if (log == NULL)
        return -1;
    log_setup(fileno(log), LOG_JSON, LOG_INFO);
    start();
    run_without_failures(&first);
    return 0;
}

static int remove_one(const char *path, const struct stat *info, int kind, struct FTW *walk)
{
    (void)info, (void)kind, (void)walk;
    return remove(path);
}

static int teardown(void **state)
{
    (void)state;
    stop();
    reply_free(&rig.reply);
    return nftw(rig.dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_allocation_fails), cmocka_unit_test(each_sql_step_fails),
        cmocka_unit_test(each_file_call_fails),  cmocka_unit_test(all_fail_from_some_point_on),
        cmocka_unit_test(sound_after_a_restart),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}

#endif
