/* SPDX-License-Identifier: Apache-2.0 */
#include "world_test.h"

static enum st start(struct world *w, const char *repo, char name[static 33])
{
    world_name(w, name);
    return registry_start_upload(&w->r, str_of(repo), str_of(name), STR_NONE, w->now, &w->err);
}

static enum st progress(struct world *w, const char *name, uint64_t size)
{
    return registry_note_progress(&w->r, str_of(name), size, STR_NONE, w->now, &w->err);
}

static enum st cancel(struct world *w, const char *repo, const char *name)
{
    return registry_cancel_upload(&w->r, str_of(repo), str_of(name), w->now, &w->err);
}

static enum st find(struct world *w, const char *repo, const char *name, uint64_t *size)
{
    AUTO(arena_release) struct arena a = { 0 };
    struct upload_row row = { 0 };
    enum st st = registry_find_upload(&w->r, str_of(repo), str_of(name), &a, &row, &w->err);
    *size = row.size;
    return st;
}

static void limited_per_repository(void **state)
{
    struct world *w = *state;
    char names[4][33];
    w->r.uploads_per_repo_max = 2;
    OK(start(w, "app", names[0]));
    OK(start(w, "app", names[1]));
    IS(ST_TOO_LARGE, start(w, "app", names[2]));
    OK(start(w, "other", names[3]));
    OK(cancel(w, "app", names[0]));
    OK(start(w, "app", names[2]));
    uint64_t open = 0;
    OK(registry_count_uploads(&w->r, &open, &w->err));
    assert_int_equal(open, 3);
    SOUND();
    COUNT(0, "SELECT count(*) FROM repository"); /* none is made before a blob is in it */
    OK(world_settle(w));
    EMPTY();
}

static void known_in_its_repository_only(void **state)
{
    struct world *w = *state;
    char name[33];
    uint64_t size = 0;
    struct digest d = world_digest("x");
    OK(start(w, "app", name));
    const struct blob_arrival arrival = { .digest = &d, .size = 1, .name = str_of(name) };
    IS(ST_NOT_FOUND, find(w, "other", name, &size));
    IS(ST_NOT_FOUND, cancel(w, "other", name));
    IS(ST_NOT_FOUND, registry_finish_upload(&w->r, STR("other"), &arrival, w->now, &w->err));
    OK(find(w, "app", name, &size));
    COUNT(0, "SELECT count(*) FROM blob");
    SOUND();
}

static void ends_once(void **state)
{
    struct world *w = *state;
    struct digest d = world_digest("bytes");
    char name[33];
    uint64_t size = 0;
    OK(start(w, "app", name));
    OK(world_write(w, name, "bytes"));
    OK(progress(w, name, 5));
    OK(find(w, "app", name, &size));
    assert_int_equal(size, 5);
    const struct blob_arrival arrival = {
        .digest = &d, .size = 5, .name = str_of(name), .name_written = true
    };
    OK(registry_finish_upload(&w->r, STR("app"), &arrival, w->now, &w->err));
    IS(ST_NOT_FOUND, registry_finish_upload(&w->r, STR("app"), &arrival, w->now, &w->err));
    IS(ST_NOT_FOUND, progress(w, name, 6));
    IS(ST_NOT_FOUND, cancel(w, "app", name));
    OK(world_get_blob(w, "app", &d));
    SOUND();
}

static void cancelled_bytes_go_at_once(void **state)
{
    struct world *w = *state;
    char name[33];
    OK(start(w, "app", name));
    OK(world_write(w, name, "bytes"));
    OK(cancel(w, "app", name));
    assert_int_equal(world_names(w), 1);
    SOUND();
    OK(world_reclaim(w));
    EMPTY();
}

static void expires_when_it_rests(void **state)
{
    struct world *w = *state;
    char name[33];
    uint64_t size = 0;
    OK(start(w, "app", name));
    OK(world_write(w, name, "bytes"));
    w->now += w->r.upload_rest_ms - 1;
    OK(world_reclaim(w));
    OK(progress(w, name, 5)); /* its time moves on */
    w->now += w->r.upload_rest_ms - 1;
    OK(world_reclaim(w));
    OK(find(w, "app", name, &size));
    w->now += 1;
    OK(world_reclaim(w));
    IS(ST_NOT_FOUND, find(w, "app", name, &size));
    EMPTY();
}

/* The reclaimer saw that the upload was due; before it got hold of it, a request went on with it.
 */
struct racing {
    struct world *w;
    const char *name;
    bool refuse;
    int held;
};

static bool take(void *ctx, str id, void **held)
{
    struct racing *r = ctx;
    struct world *w = r->w;
    assert_true(str_eq(id, str_of(r->name)));
    if (r->refuse)
        return false;
    OK(progress(w, r->name, 6));
    r->held++;
    *held = r;
    return true;
}

static void release(void *ctx, void *held)
{
    struct racing *r = ctx;
    assert_ptr_equal(r, held);
    r->held--;
}

static void progress_wins_over_expiry(void **state)
{
    struct world *w = *state;
    char name[33];
    uint64_t size = 0;
    OK(start(w, "app", name));
    w->now += w->r.upload_rest_ms;
    struct racing racing = { .w = w, .name = name, .refuse = true };
    const struct reclaim_guard guard = { take, release, &racing };
    struct reclaim_report report = { 0 };
    OK(reclaim_step(&w->r, &guard, w->now, &report, &w->err));
    racing.refuse = false;
    OK(reclaim_step(&w->r, &guard, w->now, &report, &w->err));
    assert_int_equal(racing.held, 0);
    assert_int_equal(report.uploads, 0);
    OK(find(w, "app", name, &size));
    assert_int_equal(size, 6);
    SOUND();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WORLD_TEST(limited_per_repository),
        WORLD_TEST(known_in_its_repository_only),
        WORLD_TEST(ends_once),
        WORLD_TEST(cancelled_bytes_go_at_once),
        WORLD_TEST(expires_when_it_rests),
        WORLD_TEST(progress_wins_over_expiry),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
