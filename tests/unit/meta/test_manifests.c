/* SPDX-License-Identifier: Apache-2.0 */
#include "world_test.h"

#define KEPT  "SELECT count(*) FROM manifest WHERE due_at IS NULL"
#define LOOSE "SELECT count(*) FROM manifest WHERE due_at IS NOT NULL AND receipt_id IS NULL"
#define TRASH "SELECT count(*) FROM manifest WHERE receipt_id IS NOT NULL"
#define LINKS "SELECT count(*) FROM repo_blob"

static void index_of(struct made *m, const char *name, const struct made *a, const struct made *b)
{
    made_index(m, name);
    made_add_child(m, &a->digest);
    if (b != NULL)
        made_add_child(m, &b->digest);
}

static void referrer_of(struct made *m, const char *name, const struct made *subject)
{
    made_image(m, name);
    made_set_subject(m, &subject->digest);
}

static void pushed_and_found(void **state)
{
    struct world *w = *state;
    struct made image;
    struct digest found;
    push_image(w, "app", "image", "v1", &image);
    OK(world_get_manifest(w, "app", &image.digest));
    OK(world_get_tag(w, "app", "v1", &found));
    assert_true(digest_eq(&found, &image.digest));
    IS(ST_NOT_FOUND, world_get_tag(w, "app", "v2", &found));
    IS(ST_NOT_FOUND, world_get_tag(w, "other", "v1", &found));
    IS(ST_NOT_FOUND, world_get_manifest(w, "other", &image.digest));
    COUNT(1, KEPT);
    SOUND();
    OK(world_settle(w));
    OK(world_get_tag(w, "app", "v1", &found));
    COUNT(2, LINKS);
}

static void refused_when_parts_are_missing(void **state)
{
    struct world *w = *state;
    struct made image, index;
    push_image(w, "other", "image", NULL, &image);
    IS(ST_MISSING_PART, world_push(w, "app", &image, "v1")); /* there, but not here */
    index_of(&index, "index", &image, NULL);
    IS(ST_MISSING_PART, world_push(w, "other", &index, "v1"));
    COUNT(0, "SELECT count(*) FROM manifest");
    COUNT(1, "SELECT count(*) FROM repository");
    OK(world_push(w, "other", &image, NULL));
    OK(world_push(w, "other", &index, NULL));
    SOUND();
}

static void other_media_type_refused(void **state)
{
    struct world *w = *state;
    struct made image;
    push_image(w, "app", "image", "v1", &image);
    image.parsed.media_type = STR("application/vnd.docker.distribution.manifest.v2+json");
    IS(ST_MISMATCH, world_push(w, "app", &image, "v2"));
    COUNT(1, "SELECT count(*) FROM tag");
    SOUND();
}

static void foreign_layer_need_not_be_there(void **state)
{
    struct world *w = *state;
    struct digest d = world_digest("foreign");
    struct made image;
    made_image(&image, "image");
    made_add_blob(&image, &d, true);
    OK(world_push(w, "app", &image, "v1"));
    SOUND();
    OK(world_upload(w, "app", "foreign"));
    OK(world_delete_blob(w, "app", &d)); /* nothing uses it: it was not there then */
    OK(world_push(w, "app", &image, "v2"));
    SOUND();
    OK(world_settle(w));
    COUNT(0, LINKS);
    OK(world_get_manifest(w, "app", &image.digest));
}

/* The manifest used it, both went to the trash, and only the manifest came back. */
static void foreign_layer_left_in_the_trash(void **state)
{
    struct world *w = *state;
    struct digest d = world_digest("foreign");
    struct made image;
    made_image(&image, "image");
    made_add_blob(&image, &d, true);
    OK(world_upload(w, "app", "foreign"));
    OK(world_push(w, "app", &image, NULL));
    IS(ST_DENIED, world_delete_blob(w, "app", &d));
    OK(world_delete_manifest(w, "app", &image.digest));
    OK(world_delete_blob(w, "app", &d));
    OK(world_push(w, "app", &image, NULL));
    SOUND();
    OK(world_push(w, "app", &image, "v1"));
    IS(ST_NOT_FOUND, world_get_blob(w, "app", &d));
    SOUND();
    OK(world_settle(w));
    COUNT(0, LINKS);
    COUNT(1, KEPT);
    SOUND();
}

static void tag_moved(void **state)
{
    struct world *w = *state;
    struct made first, second;
    push_image(w, "app", "first", "v1", &first);
    push_image(w, "app", "second", "v1", &second);
    COUNT(1, KEPT);
    COUNT(1, LOOSE);
    OK(world_get_manifest(w, "app", &first.digest)); /* by digest still */
    SOUND();
    w->now += WORLD_GRACE - 1;
    OK(world_reclaim(w));
    OK(world_push(w, "app", &first, "v0")); /* back in time */
    COUNT(2, KEPT);
    SOUND();
    OK(world_delete_tag(w, "app", "v0"));
    w->now += WORLD_GRACE;
    OK(world_reclaim(w));
    IS(ST_NOT_FOUND, world_get_manifest(w, "app", &first.digest));
    OK(world_get_manifest(w, "app", &second.digest));
    COUNT(2, LINKS);
    assert_int_equal(world_names(w), 2);
    SOUND();
}

static void two_tags_keep_until_the_last_goes(void **state)
{
    struct world *w = *state;
    struct made image;
    push_image(w, "app", "image", "v1", &image);
    OK(world_push(w, "app", &image, "v2"));
    OK(world_delete_tag(w, "app", "v1"));
    IS(ST_NOT_FOUND, world_delete_tag(w, "app", "v1"));
    COUNT(1, KEPT);
    OK(world_delete_tag(w, "app", "v2"));
    COUNT(1, LOOSE);
    SOUND();
    OK(world_settle(w));
    EMPTY();
}

static void shared_between_repositories(void **state)
{
    struct world *w = *state;
    struct made image;
    push_image(w, "app", "image", "v1", &image);
    for (size_t i = 0; i < 2; i++)
        OK(world_mount(w, "other", "app", &image.parts[i].digest));
    OK(world_push(w, "other", &image, "v1"));
    COUNT(2, KEPT);
    COUNT(2, "SELECT count(*) FROM blob");
    OK(world_delete_manifest(w, "app", &image.digest));
    IS(ST_NOT_FOUND, world_get_manifest(w, "app", &image.digest));
    OK(world_get_manifest(w, "other", &image.digest));
    OK(world_settle(w));
    COUNT(1, "SELECT count(*) FROM repository");
    COUNT(2, LINKS);
    OK(world_get_blob(w, "other", &image.parts[0].digest));
    SOUND();
    OK(world_delete_manifest(w, "other", &image.digest));
    OK(world_settle(w));
    EMPTY();
}

static void layer_shared_by_manifests(void **state)
{
    struct world *w = *state;
    struct made first, second;
    push_image(w, "app", "first", "v1", &first);
    made_image(&second, "second");
    made_add_blob(&second, &first.parts[1].digest, false);
    OK(world_push(w, "app", &second, "v2"));
    OK(world_delete_manifest(w, "app", &first.digest));
    OK(world_settle(w));
    COUNT(1, LINKS);
    OK(world_get_blob(w, "app", &first.parts[1].digest));
    COUNT(1, "SELECT count(*) FROM repo_blob WHERE due_at IS NULL");
    SOUND();
}

/* Blobs do not wait for another lease once the manifest they waited for is gone. */
static void loose_manifest_goes_with_its_blobs(void **state)
{
    struct world *w = *state;
    struct made image;
    push_image(w, "app", "image", NULL, &image);
    w->now += 1000; /* so that the blobs are due before the manifest */
    OK(world_push(w, "app", &image, NULL));
    w->now += WORLD_GRACE - 1;
    OK(world_reclaim(w));
    COUNT(1, LOOSE);
    COUNT(2, LINKS);
    w->now += 1;
    OK(world_reclaim(w));
    EMPTY();
}

static void head_renews_a_loose_manifest(void **state)
{
    struct world *w = *state;
    struct made image;
    push_image(w, "app", "image", NULL, &image);
    OK(world_push(w, "app", &image, NULL));
    for (int i = 0; i < 100; i++) {
        w->now += WORLD_LEASE * 9 / 10 - 1;
        OK(world_reclaim(w));
        OK(world_head_manifest(w, "app", &image.digest));
        SOUND();
    }
    OK(world_get_blob(w, "app", &image.parts[0].digest));
    OK(world_settle(w));
    EMPTY();
}

static void pushed_again_counts_from_then(void **state)
{
    struct world *w = *state;
    struct made image;
    push_image(w, "app", "image", NULL, &image);
    OK(world_push(w, "app", &image, NULL));
    w->now += WORLD_GRACE - 1;
    OK(world_push(w, "app", &image, NULL));
    w->now += WORLD_GRACE - 1;
    OK(world_reclaim(w));
    OK(world_get_manifest(w, "app", &image.digest));
    w->now += 1;
    OK(world_reclaim(w));
    EMPTY();
}

static void index_keeps_its_children(void **state)
{
    struct world *w = *state;
    struct made a, b, c, first, second;
    push_image(w, "app", "a", NULL, &a);
    push_image(w, "app", "b", NULL, &b);
    push_image(w, "app", "c", NULL, &c);
    OK(world_push(w, "app", &a, NULL));
    OK(world_push(w, "app", &b, NULL));
    OK(world_push(w, "app", &c, NULL));
    index_of(&first, "first", &a, &b);
    index_of(&second, "second", &b, &c);
    OK(world_push(w, "app", &first, "v1"));
    OK(world_push(w, "app", &second, "v2"));
    COUNT(5, KEPT);
    SOUND();
    OK(world_push(w, "app", &second, "v1")); /* the first is let go, and a with it; b is shared */
    COUNT(3, KEPT);
    COUNT(2, LOOSE);
    SOUND();
    w->now += WORLD_GRACE;
    OK(world_reclaim(w)); /* one grace for the whole of it */
    COUNT(3, "SELECT count(*) FROM manifest");
    COUNT(4, LINKS);
    assert_int_equal(world_names(w), 4);
    SOUND();
}

static void sparse_index_and_child_pushed_later(void **state)
{
    struct world *w = *state;
    struct made a, index;
    w->r.sparse_index = true;
    push_image(w, "app", "a", NULL, &a);
    index_of(&index, "index", &a, NULL);
    OK(world_push(w, "app", &index, "v1"));
    SOUND();
    OK(world_push(w, "app", &a, NULL));
    COUNT(2, KEPT); /* named by what is kept already */
    SOUND();
    IS(ST_DENIED, world_delete_manifest(w, "app", &a.digest));
    OK(world_settle(w));
    COUNT(2, KEPT);
}

/* A child lies in the trash when a sparse index that names it is pushed: it goes all the same, and
 * does not keep the reclaimer busy. */
static void sparse_index_does_not_keep_the_trash(void **state)
{
    struct world *w = *state;
    struct made a, index;
    w->r.sparse_index = true;
    push_image(w, "app", "a", "v1", &a);
    OK(world_delete_manifest(w, "app", &a.digest));
    index_of(&index, "index", &a, NULL);
    OK(world_push(w, "app", &index, "v2"));
    COUNT(1, TRASH);
    SOUND();
    w->now += WORLD_GRACE;
    OK(world_reclaim(w));
    COUNT(1, "SELECT count(*) FROM manifest");
    SOUND();
}

static void referrers_follow_their_subject(void **state)
{
    struct world *w = *state;
    struct made image, signature, countersignature;
    push_image(w, "app", "image", NULL, &image);
    referrer_of(&signature, "signature", &image);
    referrer_of(&countersignature, "countersignature", &signature);
    OK(world_push(w, "app", &countersignature, NULL)); /* before their subjects */
    OK(world_push(w, "app", &signature, NULL));
    COUNT(2, LOOSE);
    SOUND();
    OK(world_push(w, "app", &image, "v1"));
    COUNT(3, KEPT);
    SOUND();
    OK(world_delete_tag(w, "app", "v1"));
    COUNT(3, LOOSE);
    OK(world_push(w, "app", &signature, "signed")); /* keeps the one below, not its subject */
    COUNT(2, KEPT);
    SOUND();
    w->now += WORLD_GRACE;
    OK(world_reclaim(w));
    COUNT(2, KEPT);
    COUNT(0, LOOSE);
    SOUND();
    OK(world_delete_tag(w, "app", "signed"));
    w->now += WORLD_GRACE;
    OK(world_reclaim(w));
    EMPTY();
}

static size_t referrers(struct world *w, const struct made *of, str type, const struct digest *last,
                        size_t limit, bool *more, struct digest *first)
{
    AUTO(arena_release) struct arena a = { .limit_bytes = 16 * MIB };
    struct referrer_page page = { 0 };
    OK(registry_list_referrers(&w->r, STR("app"), &of->digest, type, last, limit, &a, &page,
                               &w->err));
    *more = page.more;
    if (page.count > 0)
        *first = page.items[0].digest;
    return page.count;
}

static void referrers_listed_in_pages(void **state)
{
    struct world *w = *state;
    struct made image, r;
    struct digest last, next;
    bool more = true;
    made_image(&image, "image");
    assert_int_equal(referrers(w, &image, STR_NONE, NULL, 10, &more, &last), 0);
    static const char *const names[] = { "r1", "r2", "r3" };
    for (size_t i = 0; i < 3; i++) {
        referrer_of(&r, names[i], &image);
        OK(world_push(w, "app", &r, NULL));
    }
    assert_int_equal(referrers(w, &image, STR_NONE, NULL, 3, &more, &last), 3);
    assert_false(more);
    assert_int_equal(referrers(w, &image, STR("other"), NULL, 3, &more, &last), 0);
    assert_int_equal(referrers(w, &image, r.parsed.artifact_type, NULL, 3, &more, &last), 3);
    size_t seen = referrers(w, &image, STR_NONE, NULL, 1, &more, &last);
    while (more) {
        seen += referrers(w, &image, STR_NONE, &last, 1, &more, &next);
        last = next;
    }
    assert_int_equal(seen, 3);
    OK(world_delete_manifest(w, "app", &r.digest));
    assert_int_equal(referrers(w, &image, STR_NONE, NULL, 10, &more, &last), 2);
}

/* Each may be as long as a manifest: a page of many must not need the memory of all of them. */
static void long_annotations_end_a_page(void **state)
{
    struct world *w = *state;
    enum { BYTES = 3 * 1024 * 1024 };
    struct made image, r[3];
    struct digest last;
    bool more = false;
    char *annotations = malloc(BYTES);
    assert_non_null(annotations);
    memset(annotations, ' ', BYTES);
    push_image(w, "app", "image", "v1", &image);
    for (size_t i = 0; i < ARRAY_LEN(r); i++) {
        char name[16];
        (void)snprintf(name, sizeof(name), "referrer %zu", i);
        made_image(&r[i], name);
        made_set_subject(&r[i], &image.digest);
        r[i].parsed.annotations = (str){ annotations, BYTES };
        OK(world_push(w, "app", &r[i], NULL));
    }
    assert_int_equal(referrers(w, &image, STR_NONE, NULL, 10, &more, &last), 2);
    assert_true(more);
    assert_int_equal(referrers(w, &image, STR_NONE, &last, 10, &more, &last),
                     2); /* after the first */
    assert_false(more);
    free(annotations);
}

static void pushed_again_from_the_trash(void **state)
{
    struct world *w = *state;
    struct made a, index;
    push_image(w, "app", "a", NULL, &a);
    OK(world_push(w, "app", &a, NULL));
    index_of(&index, "index", &a, NULL);
    OK(world_push(w, "app", &index, "v1"));
    OK(world_delete_manifest(w, "app", &index.digest));
    OK(world_delete_manifest(w, "app", &a.digest));
    COUNT(2, TRASH);
    IS(ST_MISSING_PART, world_push(w, "app", &index, "v1")); /* its child first, as for any push */
    OK(world_push(w, "app", &a, NULL));
    SOUND();
    OK(world_push(w, "app", &index, "v1"));
    COUNT(2, KEPT);
    COUNT(2, "SELECT count(*) FROM repo_blob WHERE due_at IS NULL");
    SOUND();
    OK(world_settle(w));
    COUNT(2, KEPT);
    OK(world_get_blob(w, "app", &a.parts[0].digest));
}

/* An index whose subject is its own child, directly or further down, would keep itself for ever. */
static void knots_are_refused(void **state)
{
    struct world *w = *state;
    struct made c, index, middle, s, r;
    push_image(w, "app", "c", NULL, &c);
    OK(world_push(w, "app", &c, NULL));
    made_index(&index, "own child");
    made_add_child(&index, &c.digest);
    made_set_subject(&index, &c.digest);
    IS(ST_INVALID, world_push(w, "app", &index, "v1"));
    index_of(&middle, "middle", &c, NULL);
    OK(world_push(w, "app", &middle, NULL));
    made_index(&index, "child of a child");
    made_add_child(&index, &middle.digest);
    made_set_subject(&index, &c.digest);
    IS(ST_INVALID, world_push(w, "app", &index, "v1"));
    /* The last piece of a knot may be an image: s is the subject that r waits for, r names c. */
    made_image(&s, "s");
    made_set_subject(&s, &c.digest);
    made_index(&r, "r");
    made_add_child(&r, &c.digest);
    made_set_subject(&r, &s.digest);
    OK(world_push(w, "app", &r, NULL));
    IS(ST_INVALID, world_push(w, "app", &s, NULL));
    COUNT(3, LOOSE);
    SOUND();
    /* A subject beside what the index names is none of these. */
    made_image(&s, "beside");
    OK(world_push(w, "app", &s, NULL));
    made_index(&index, "fine");
    made_add_child(&index, &c.digest);
    made_set_subject(&index, &s.digest);
    OK(world_push(w, "app", &index, "v1"));
    OK(world_delete_manifest(w, "app", &index.digest));
    OK(world_settle(w));
    COUNT(0, "SELECT count(*) FROM manifest");
}

#define DEEP 200

static void nested_deep(void **state)
{
    struct world *w = *state;
    static struct made levels[DEEP];
    push_image(w, "app", "leaf", NULL, &levels[0]);
    OK(world_push(w, "app", &levels[0], NULL));
    for (int i = 1; i < DEEP; i++) {
        char name[32];
        (void)snprintf(name, sizeof(name), "level %d", i);
        index_of(&levels[i], name, &levels[i - 1], NULL);
        w->now++; /* so that what is below is due before */
        OK(world_push(w, "app", &levels[i], NULL));
    }
    const struct digest *top = &levels[DEEP - 1].digest;
    COUNT(DEEP, LOOSE);
    OK(world_push(w, "app", &levels[DEEP - 1], "v1"));
    COUNT(DEEP, KEPT);
    SOUND();
    OK(world_delete_tag(w, "app", "v1"));
    COUNT(DEEP, LOOSE);
    OK(world_push(w, "app", &levels[DEEP - 1], "v1"));
    IS(ST_DENIED, world_delete_manifest(w, "app", &levels[50].digest));
    OK(world_delete_manifest(w, "app", top));
    COUNT(1, TRASH);
    COUNT(DEEP - 1, LOOSE);
    SOUND();
    w->now += WORLD_GRACE - 1;
    OK(world_reclaim(w));
    COUNT(1, TRASH);
    COUNT(DEEP - 1, LOOSE);
    w->now += 1;
    OK(world_reclaim(w)); /* all of it at once, not a level at a time */
    EMPTY();
}

static void loose_nested_goes_together(void **state)
{
    struct world *w = *state;
    static struct made levels[DEEP];
    push_image(w, "app", "leaf", NULL, &levels[0]);
    OK(world_push(w, "app", &levels[0], NULL));
    for (int i = 1; i < DEEP; i++) {
        char name[32];
        (void)snprintf(name, sizeof(name), "level %d", i);
        index_of(&levels[i], name, &levels[i - 1], NULL);
        w->now++;
        OK(world_push(w, "app", &levels[i], NULL));
    }
    w->now += WORLD_GRACE - 1;
    OK(world_reclaim(w));
    COUNT(DEEP, LOOSE);
    SOUND();
    w->now += 1;
    OK(world_reclaim(w));
    EMPTY();
}

static void untagged_kept_when_asked(void **state)
{
    struct world *w = *state;
    struct made image, other;
    w->r.keeping.untagged = false;
    push_image(w, "app", "image", NULL, &image);
    push_image(w, "app", "other", "v1", &other);
    OK(world_push(w, "app", &image, NULL));
    OK(world_delete_manifest(w, "app", &other.digest));
    for (int i = 0; i < 10; i++)
        OK(world_settle(w));
    COUNT(1, "SELECT count(*) FROM manifest");
    COUNT(2, LINKS);
    SOUND();
    OK(world_delete_manifest(w, "app", &image.digest));
    OK(world_settle(w));
    EMPTY();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WORLD_TEST(pushed_and_found),
        WORLD_TEST(refused_when_parts_are_missing),
        WORLD_TEST(other_media_type_refused),
        WORLD_TEST(foreign_layer_need_not_be_there),
        WORLD_TEST(foreign_layer_left_in_the_trash),
        WORLD_TEST(tag_moved),
        WORLD_TEST(two_tags_keep_until_the_last_goes),
        WORLD_TEST(shared_between_repositories),
        WORLD_TEST(layer_shared_by_manifests),
        WORLD_TEST(loose_manifest_goes_with_its_blobs),
        WORLD_TEST(head_renews_a_loose_manifest),
        WORLD_TEST(pushed_again_counts_from_then),
        WORLD_TEST(index_keeps_its_children),
        WORLD_TEST(sparse_index_and_child_pushed_later),
        WORLD_TEST(sparse_index_does_not_keep_the_trash),
        WORLD_TEST(referrers_follow_their_subject),
        WORLD_TEST(referrers_listed_in_pages),
        WORLD_TEST(long_annotations_end_a_page),
        WORLD_TEST(pushed_again_from_the_trash),
        WORLD_TEST(knots_are_refused),
        WORLD_TEST(nested_deep),
        WORLD_TEST(loose_nested_goes_together),
        WORLD_TEST(untagged_kept_when_asked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
