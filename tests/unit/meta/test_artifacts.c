/* SPDX-License-Identifier: Apache-2.0
 *
 * Pages of tags and manifests in each order: everything is on one page and on one only, also when
 * what was on the page before is deleted, and when some are hidden.
 */
#include "meta/artifacts.h"
#include "world_test.h"

#define IMAGES 12 /* in pairs of the same time */

static struct made images[IMAGES];

static void tag_name(unsigned i, char out[static 8])
{
    (void)snprintf(out, 8, "t%02u", i);
}

static void fill(struct world *w)
{
    char tag[8];
    char text[32];
    for (unsigned i = 0; i < IMAGES; i++) {
        tag_name((i * 7) % IMAGES, tag); /* the order of names is not that of time */
        (void)snprintf(text, sizeof(text), "image %u", i);
        w->now += i % 2 == 0 ? 1000 : 0;
        push_image(w, "app", text, tag, &images[i]);
    }
}

/* What a client does that takes its place from the last row of a page. */
static void next_tag(struct artifacts_query *q, const struct artifact_tags *page)
{
    const struct artifact_tag *last = &page->items[page->count - 1];
    q->after_tag = last->name;
    q->has_time = true;
    q->after_time = last->updated_at;
}

static void next_manifest(struct artifacts_query *q, const struct artifact_manifests *page)
{
    const struct artifact_manifest *last = &page->items[page->count - 1];
    q->has_digest = true;
    q->after_digest = last->digest;
    q->has_time = true;
    q->after_time = last->pushed_at;
}

static bool in_order(enum artifacts_order order, const struct artifact_tag *a,
                     const struct artifact_tag *b)
{
    if (order == ARTIFACTS_BY_NAME)
        return str_cmp(a->name, b->name) < 0;
    return order == ARTIFACTS_OLDEST ? a->updated_at <= b->updated_at
                                     : a->updated_at >= b->updated_at;
}

/* Goes through all pages; `deleting` takes away each page's tags before the next one is asked for.
 */
static unsigned count_tags(struct world *w, enum artifacts_order order, bool deleting)
{
    AUTO(arena_release) struct arena a = { .limit_bytes = 1 * MIB };
    struct artifacts_query q = { .repo = STR("app"), .order = order, .limit = 5 };
    struct artifact_tags page = { .more = true };
    struct artifact_tag before = { 0 };
    unsigned n = 0;
    while (page.more) {
        OK(artifacts_tags(&w->r, &q, &a, &page, &w->err));
        for (size_t i = 0; i < page.count; i++, n++) {
            assert_true(n == 0 || in_order(order, &before, &page.items[i]));
            before = page.items[i];
            if (deleting)
                OK(world_delete_tag(w, "app", before.name.ptr));
        }
        if (page.more)
            next_tag(&q, &page);
    }
    return n;
}

static unsigned count_manifests(struct world *w, enum artifacts_order order, bool deleting)
{
    AUTO(arena_release) struct arena a = { .limit_bytes = 1 * MIB };
    struct artifacts_query q = { .repo = STR("app"), .order = order, .limit = 5 };
    struct artifact_manifests page = { .more = true };
    unsigned n = 0;
    while (page.more) {
        OK(artifacts_manifests(&w->r, &q, &a, &page, &w->err));
        for (size_t i = 0; i < page.count; i++, n++) {
            assert_true(page.items[i].has_size &&
                        page.items[i].kept == (page.items[i].tag_count > 0));
            if (deleting && n + 1 < IMAGES) /* the last one would take the repository along */
                OK(world_delete_manifest(w, "app", &page.items[i].digest));
        }
        if (page.more)
            next_manifest(&q, &page);
    }
    return n;
}

static void pages_hold_everything_once(void **state)
{
    struct world *w = *state;
    fill(w);
    for (int order = ARTIFACTS_BY_NAME; order <= ARTIFACTS_NEWEST; order++) {
        assert_int_equal(count_tags(w, order, false), IMAGES);
        assert_int_equal(count_manifests(w, order, false), IMAGES);
    }
}

static void pages_outlive_what_they_name(void **state)
{
    struct world *w = *state;
    for (int order = ARTIFACTS_BY_NAME; order <= ARTIFACTS_NEWEST; order++) {
        fill(w);
        assert_int_equal(count_tags(w, order, true), IMAGES);
        fill(w);
        assert_int_equal(count_manifests(w, order, true), IMAGES);
    }
}

struct lock_call {
    struct world *w;
    struct lock_object object;
    unsigned may;
};

static enum st set_lock(struct db_tx *tx, void *ctx, struct err *err)
{
    const struct lock_call *c = ctx;
    return locks_set(tx, &c->object, c->may, &c->w->r.keeping, c->w->now, err);
}

static void what_is_hidden_is_passed_over(void **state)
{
    struct world *w = *state;
    char tag[8];
    fill(w);
    for (unsigned i = 3; i < 9; i++) { /* more than a page */
        tag_name(i, tag);
        struct lock_call c = { w,
                               { .repo = STR("app"), .tag = str_of(tag) },
                               LOCK_MAY_ALL & ~(unsigned)LOCK_MAY_LIST };
        OK(db_write(w->r.db, set_lock, &c, &w->err));
        c.object = (struct lock_object){ .repo = STR("app"), .digest = &images[i].digest };
        OK(db_write(w->r.db, set_lock, &c, &w->err));
    }
    for (int order = ARTIFACTS_BY_NAME; order <= ARTIFACTS_NEWEST; order++) {
        assert_int_equal(count_tags(w, order, false), IMAGES - 6);
        assert_int_equal(count_manifests(w, order, false), IMAGES - 6);
    }
}

static void a_bare_name_that_is_gone_is_no_place_in_time(void **state)
{
    struct world *w = *state;
    AUTO(arena_release) struct arena a = { .limit_bytes = 1 * MIB };
    struct artifact_tags page;
    struct artifact_manifests manifests;
    struct artifacts_query q = { .repo = STR("app"),
                                 .order = ARTIFACTS_NEWEST,
                                 .limit = 5,
                                 .after_tag = STR("none"),
                                 .has_digest = true,
                                 .after_digest = world_digest("none") };
    fill(w);
    IS(ST_EXPIRED, artifacts_tags(&w->r, &q, &a, &page, &w->err));
    IS(ST_EXPIRED, artifacts_manifests(&w->r, &q, &a, &manifests, &w->err));
    q.order = ARTIFACTS_BY_NAME;
    OK(artifacts_tags(&w->r, &q, &a, &page, &w->err));
    OK(artifacts_manifests(&w->r, &q, &a, &manifests, &w->err));
    q.repo = STR("other");
    IS(ST_NOT_FOUND, artifacts_tags(&w->r, &q, &a, &page, &w->err));
    IS(ST_NOT_FOUND, artifacts_manifests(&w->r, &q, &a, &manifests, &w->err));
}

/* The first time stays when a tag moves. */
static void a_tag_has_two_times(void **state)
{
    struct world *w = *state;
    AUTO(arena_release) struct arena a = { .limit_bytes = 1 * MIB };
    struct artifact_tag tag;
    push_image(w, "app", "one", "v1", &images[0]);
    int64_t first = w->now;
    w->now += 5000;
    push_image(w, "app", "two", "v1", &images[1]);
    OK(artifacts_tag(&w->r, STR("app"), STR("v1"), &a, &tag, &w->err));
    assert_int_equal(tag.created_at, first);
    assert_int_equal(tag.updated_at, first + 5000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WORLD_TEST(pages_hold_everything_once),
        WORLD_TEST(pages_outlive_what_they_name),
        WORLD_TEST(what_is_hidden_is_passed_over),
        WORLD_TEST(a_bare_name_that_is_gone_is_no_place_in_time),
        WORLD_TEST(a_tag_has_two_times),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
