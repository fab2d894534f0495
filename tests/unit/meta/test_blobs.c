/* SPDX-License-Identifier: Apache-2.0 */
#include "world_test.h"

static const char *const text = "some bytes";

/* How the bytes come, and how many names are in the store then and after a second upload. */
static void uploaded_once_kept_once(void **state)
{
    static const struct {
        enum world_how how;
        int names;
        int doomed; /* after the second upload */
    } cases[] = {
        { WORLD_INLINE, 0, 0 },
        { WORLD_STORED, 1, 1 },
        { WORLD_HALF_STORED, 1, 2 },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct world *w = *state;
        struct digest d = world_digest(text);
        OK(world_upload_as(w, "app", &d, text, cases[i].how));
        OK(world_get_blob(w, "app", &d));
        assert_int_equal(world_names(w), cases[i].names);
        SOUND();
        OK(world_upload_as(w, "app", &d, text, cases[i].how));
        OK(world_upload_as(w, "other", &d, text, WORLD_INLINE));
        COUNT(1, "SELECT count(*) FROM blob");
        COUNT(2, "SELECT count(*) FROM repo_blob");
        COUNT(cases[i].doomed, "SELECT count(*) FROM doomed");
        SOUND();
        OK(world_reclaim(w)); /* the second copy goes at once, the first stays */
        OK(world_get_blob(w, "app", &d));
        assert_int_equal(world_names(w), cases[i].how == WORLD_STORED);
        OK(world_settle(w));
        EMPTY();
    }
}

static void visible_only_where_uploaded_or_mounted(void **state)
{
    struct world *w = *state;
    struct digest d = world_digest(text);
    OK(world_upload(w, "app", text));
    IS(ST_NOT_FOUND, world_get_blob(w, "other", &d));
    IS(ST_NOT_FOUND, world_mount(w, "other", "nowhere", &d));
    IS(ST_NOT_FOUND, world_mount(w, "other", "other", &d));
    COUNT(1, "SELECT count(*) FROM repository"); /* failed mounts make none */
    OK(world_mount(w, "other", "app", &d));
    OK(world_mount(w, "third", NULL, &d));
    OK(world_get_blob(w, "other", &d));
    OK(world_get_blob(w, "third", &d));
    SOUND();
}

static void mounted_then_source_deleted(void **state)
{
    struct world *w = *state;
    struct digest d = world_digest(text);
    OK(world_upload(w, "app", text));
    OK(world_mount(w, "other", "app", &d));
    OK(world_delete_blob(w, "app", &d));
    IS(ST_NOT_FOUND, world_get_blob(w, "app", &d));
    IS(ST_NOT_FOUND, world_mount(w, "third", "app", &d));
    OK(world_get_blob(w, "other", &d));
    w->now += WORLD_GRACE;
    OK(world_head_blob(w, "other", &d)); /* due now, and leased again before anybody looked */
    OK(world_reclaim(w));
    COUNT(1, "SELECT count(*) FROM repo_blob");
    OK(world_get_blob(w, "other", &d));
    OK(world_settle(w));
    EMPTY();
}

static void deleted_then_uploaded_again(void **state)
{
    struct world *w = *state;
    struct digest d = world_digest(text);
    OK(world_upload(w, "app", text));
    OK(world_delete_blob(w, "app", &d));
    IS(ST_NOT_FOUND, world_delete_blob(w, "app", &d));
    IS(ST_NOT_FOUND, world_head_blob(w, "app", &d));
    IS(ST_NOT_FOUND, world_mount(w, "other", NULL, &d)); /* in the trash everywhere */
    w->now += WORLD_GRACE - 1;
    OK(world_upload(w, "app", text));
    OK(world_get_blob(w, "app", &d));
    w->now += WORLD_LEASE - 1;
    OK(world_reclaim(w));
    OK(world_get_blob(w, "app", &d));
    SOUND();
    OK(world_settle(w));
    EMPTY();
}

static void same_bytes_by_sha512(void **state)
{
    struct world *w = *state;
    struct digest d = world_digest(text);
    struct digest twin;
    digest_of(DIGEST_SHA512, str_of(text), &twin);
    OK(world_upload(w, "app", text));
    IS(ST_NOT_FOUND, world_get_blob(w, "app", &twin));
    OK(world_upload_as(w, "app", &twin, text, WORLD_STORED));
    COUNT(2, "SELECT count(*) FROM blob");
    OK(world_delete_blob(w, "app", &d));
    OK(world_get_blob(w, "app", &twin));
    SOUND();
    OK(world_settle(w));
    EMPTY();
}

static void damage(struct world *w, const char *repo, const struct digest *d)
{
    AUTO(arena_release) struct arena a = { 0 };
    struct blob_row row;
    bool known = false;
    OK(registry_find_blob(&w->r, str_of(repo), d, &a, &row, &known, &w->err));
    OK(registry_report_damage(&w->r, &row, w->now, &w->err));
}

static void damaged_is_served_to_nobody_and_healed_by_upload(void **state)
{
    static const enum world_how hows[] = { WORLD_INLINE, WORLD_STORED, WORLD_HALF_STORED };
    struct world *w = *state;
    for (size_t i = 0; i < ARRAY_LEN(hows); i++) {
        struct digest d = world_digest(text);
        struct made image;
        made_image(&image, "image");
        made_add_blob(&image, &d, false);
        OK(world_upload(w, "app", text));
        damage(w, "app", &d);
        IS(ST_DAMAGED, world_get_blob(w, "app", &d));
        IS(ST_NOT_FOUND, world_mount(w, "other", "app", &d));
        IS(ST_NOT_FOUND, world_mount(w, "other", NULL, &d));
        IS(ST_MISSING_PART, world_push(w, "app", &image, "v1"));
        SOUND();
        OK(world_upload_as(w, "other", &d, text, hows[i]));
        OK(world_get_blob(w, "app", &d)); /* for everybody who sees it */
        OK(world_push(w, "app", &image, "v1"));
        SOUND();
        OK(world_reclaim(w));
        assert_int_equal(world_names(w), hows[i] == WORLD_STORED);
        OK(world_delete_manifest(w, "app", &image.digest));
        OK(world_settle(w));
        EMPTY();
    }
}

/* Upload, mount and HEAD each promise; each is kept to the millisecond, with a grace that is
 * shorter than a lease, and longer; and then the blob goes. */
static void leases_hold(void **state)
{
    static const struct {
        int64_t lease, grace;
    } cases[] = { { CLOCK_HOUR_MS, CLOCK_DAY_MS },
                  { CLOCK_HOUR_MS, 0 },
                  { CLOCK_HOUR_MS, 1 },
                  { 1000, 999 },
                  { 1000, 1000 },
                  { 1000, 1001 } };
    struct world *w = *state;
    struct digest d = world_digest(text);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        int64_t lease = cases[i].lease;
        int64_t whole = MAX(lease, cases[i].grace);
        int64_t promised = lease - lease / 10; /* by a HEAD that need not write */
        w->r.keeping.lease_ms = lease;
        w->r.keeping.grace_ms = cases[i].grace;
        OK(world_upload(w, "app", text));
        w->now += lease - 1;
        OK(world_reclaim(w));
        OK(world_head_blob(w, "app", &d)); /* just before */
        OK(world_mount(w, "other", "app", &d));
        OK(world_delete_blob(w, "other", &d));
        w->now += promised - 1;
        OK(world_reclaim(w));
        OK(world_get_blob(w, "app", &d));
        w->now += whole;
        OK(world_head_blob(w, "app", &d)); /* after, and not reclaimed yet */
        w->now += promised - 1;
        OK(world_reclaim(w));
        OK(world_get_blob(w, "app", &d));
        SOUND();
        OK(world_settle(w));
        IS(ST_NOT_FOUND, world_head_blob(w, "app", &d));
        EMPTY();
    }
}

/* A HEAD of a blob in use writes nothing; its promise is kept although all that used it goes. */
static void head_of_used_blob_is_a_promise(void **state)
{
    struct world *w = *state;
    struct made image;
    struct digest d = world_digest("image/layer");
    w->r.keeping.grace_ms = 0;
    push_image(w, "app", "image", "v1", &image);
    w->now += 10 * CLOCK_DAY_MS;
    OK(world_reclaim(w));
    OK(world_head_blob(w, "app", &d));
    COUNT(2, "SELECT count(*) FROM repo_blob WHERE due_at IS NULL");
    OK(world_delete_manifest(w, "app", &image.digest));
    w->now += WORLD_LEASE - 1;
    OK(world_reclaim(w));
    COUNT(0, "SELECT count(*) FROM manifest");
    OK(world_get_blob(w, "app", &d));
    SOUND();
    w->now += 1;
    OK(world_reclaim(w));
    EMPTY();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WORLD_TEST(uploaded_once_kept_once),
        WORLD_TEST(visible_only_where_uploaded_or_mounted),
        WORLD_TEST(mounted_then_source_deleted),
        WORLD_TEST(deleted_then_uploaded_again),
        WORLD_TEST(same_bytes_by_sha512),
        WORLD_TEST(damaged_is_served_to_nobody_and_healed_by_upload),
        WORLD_TEST(leases_hold),
        WORLD_TEST(head_of_used_blob_is_a_promise),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
