/* SPDX-License-Identifier: Apache-2.0 */
#include "world_test.h"

#define TRASH "SELECT count(*) FROM manifest WHERE receipt_id IS NOT NULL"
#define LIVE  "SELECT count(*) FROM manifest WHERE receipt_id IS NULL"

static struct deletion_result apply(struct world *w, enum st want, struct deletion_order order)
{
    struct deletion_result result = { 0 };
    bool known = false;
    order.repo = STR("app");
    order.by = (struct deletion_by){ .door = STR("oci"),
                                     .actor = STR("somebody"),
                                     .peer = STR("192.0.2.1") };
    IS(want, deletion_apply(w->d, &order, w->now, &result, &known, &w->err));
    assert_true(known);
    return result;
}

static void unknown_repository(void **state)
{
    struct world *w = *state;
    struct digest d = world_digest("x");
    struct deletion_result result;
    const struct deletion_order orders[] = {
        { .kind = DELETION_TAG, .repo = STR("none"), .tag = STR("v1") },
        { .kind = DELETION_MANIFEST, .repo = STR("none"), .digest = d },
        { .kind = DELETION_BLOB, .repo = STR("none"), .digest = d },
    };
    for (size_t i = 0; i < ARRAY_LEN(orders); i++) {
        bool known = true;
        IS(ST_NOT_FOUND, deletion_apply(w->d, &orders[i], w->now, &result, &known, &w->err));
        assert_false(known);
    }
    EMPTY();
}

static void refused_leaves_no_receipt(void **state)
{
    struct world *w = *state;
    struct made image, index;
    struct digest absent = world_digest("absent");
    push_image(w, "app", "image", NULL, &image);
    OK(world_push(w, "app", &image, "child"));
    made_index(&index, "index");
    made_add_child(&index, &image.digest);
    OK(world_push(w, "app", &index, "v1"));
    apply(w, ST_NOT_FOUND, (struct deletion_order){ .kind = DELETION_TAG, .tag = STR("v2") });
    apply(w, ST_NOT_FOUND, (struct deletion_order){ .kind = DELETION_MANIFEST, .digest = absent });
    apply(w, ST_NOT_FOUND, (struct deletion_order){ .kind = DELETION_BLOB, .digest = absent });
    apply(w, ST_DENIED,
          (struct deletion_order){ .kind = DELETION_MANIFEST, .digest = image.digest });
    apply(w, ST_DENIED,
          (struct deletion_order){ .kind = DELETION_BLOB, .digest = image.parts[1].digest });
    COUNT(0, "SELECT count(*) FROM receipt");
    COUNT(0, TRASH);
    COUNT(2, "SELECT count(*) FROM tag");
    SOUND();
}

static void receipt_names_everything(void **state)
{
    struct world *w = *state;
    struct made a, b, index, signature;
    push_image(w, "app", "a", NULL, &a);
    push_image(w, "app", "b", "b", &b);
    OK(world_push(w, "app", &a, NULL));
    made_index(&index, "index");
    made_add_child(&index, &a.digest);
    made_add_child(&index, &b.digest);
    OK(world_push(w, "app", &index, "v1"));
    OK(world_push(w, "app", &index, "latest"));
    made_image(&signature, "signature");
    made_set_subject(&signature, &a.digest); /* of a child */
    OK(world_push(w, "app", &signature, NULL));
    struct deletion_result r = apply(
        w, ST_OK, (struct deletion_order){ .kind = DELETION_MANIFEST, .digest = index.digest });
    assert_int_equal(r.tags, 2);
    assert_int_equal(r.manifests, 1);
    assert_int_equal(r.blobs, 0);
    assert_true(digest_eq(&r.digest, &index.digest));
    COUNT(5, "SELECT count(*) FROM receipt_item"); /* with a and the signature, which are loose */
    COUNT(2, "SELECT count(*) FROM receipt_item WHERE kind = 'm' AND role = 'w'");
    COUNT(2, "SELECT count(*) FROM receipt_item WHERE kind = 't' AND tag IN ('v1', 'latest')");
    COUNT(1, "SELECT count(*) FROM receipt_item WHERE kind = 'm' AND tag IS NULL AND size > 0"
             " AND role = 's'");
    COUNT(1, "SELECT count(*) FROM receipt WHERE door = 'oci' AND actor = 'somebody' AND"
             " peer = '192.0.2.1' AND reason IS NULL AND due_at = created_at + 86400000");
    COUNT(3, LIVE); /* a and the signature are loose, b has a tag */
    COUNT(2, "SELECT count(*) FROM manifest WHERE receipt_id IS NULL AND due_at IS NOT NULL");
    IS(ST_NOT_FOUND, world_get_manifest(w, "app", &index.digest));
    OK(world_get_manifest(w, "app", &a.digest));
    SOUND();
    OK(world_delete_manifest(w, "app", &b.digest)); /* no live index names it any more */
    OK(world_settle(w));
    EMPTY();
    COUNT(2, "SELECT count(*) FROM receipt"); /* the record stays */
}

static void tag_and_blob_receipts(void **state)
{
    struct world *w = *state;
    struct made image;
    struct digest d = world_digest("alone");
    push_image(w, "app", "image", "v1", &image);
    OK(world_upload(w, "app", "alone"));
    struct deletion_result r =
        apply(w, ST_OK, (struct deletion_order){ .kind = DELETION_TAG, .tag = STR("v1") });
    assert_int_equal(r.tags, 1);
    assert_int_equal(r.manifests + r.blobs, 0);
    assert_true(digest_eq(&r.digest, &image.digest));
    OK(world_get_manifest(w, "app", &image.digest));
    r = apply(w, ST_OK, (struct deletion_order){ .kind = DELETION_BLOB, .digest = d });
    assert_int_equal(r.blobs, 1);
    COUNT(1, "SELECT count(*) FROM receipt_item WHERE kind = 'b' AND size = 5");
    SOUND();
    OK(world_settle(w));
    EMPTY();
}

/* What hangs below is shared in a diamond: N and I name C; a signature of C; N hangs below I. */
static void diamond_goes_once(void **state)
{
    struct world *w = *state;
    struct made c, n, i, signature;
    push_image(w, "app", "c", NULL, &c);
    OK(world_push(w, "app", &c, NULL));
    made_index(&n, "n");
    made_add_child(&n, &c.digest);
    OK(world_push(w, "app", &n, NULL));
    made_index(&i, "i");
    made_add_child(&i, &c.digest);
    made_add_child(&i, &n.digest);
    OK(world_push(w, "app", &i, "v1"));
    made_image(&signature, "signature");
    made_set_subject(&signature, &c.digest);
    OK(world_push(w, "app", &signature, NULL));
    struct deletion_result r =
        apply(w, ST_OK, (struct deletion_order){ .kind = DELETION_MANIFEST, .digest = i.digest });
    assert_int_equal(r.manifests, 1);
    COUNT(3, LIVE);
    COUNT(3, "SELECT count(*) FROM manifest WHERE receipt_id IS NULL AND due_at IS NOT NULL");
    SOUND();
    w->now += WORLD_GRACE;
    OK(world_reclaim(w));
    EMPTY();
}

/* A loose index still names the child of the deleted one: the child stays, loose. */
static void held_by_a_loose_index(void **state)
{
    struct world *w = *state;
    struct made c, first, second;
    push_image(w, "app", "c", NULL, &c);
    OK(world_push(w, "app", &c, NULL));
    made_index(&first, "first");
    made_add_child(&first, &c.digest);
    OK(world_push(w, "app", &first, "v1"));
    made_index(&second, "second");
    made_add_child(&second, &c.digest);
    OK(world_push(w, "app", &second, NULL));
    OK(world_delete_manifest(w, "app", &first.digest));
    COUNT(1, TRASH);
    COUNT(2, "SELECT count(*) FROM manifest WHERE receipt_id IS NULL AND due_at IS NOT NULL");
    SOUND();
    OK(world_settle(w));
    EMPTY();
}

/* A client pushed the child again, or was told that it is there; somebody deletes the old index;
 * the client's new index must find the child. */
static void child_of_the_next_index_stays(void **state)
{
    struct world *w = *state;
    struct made c, before, after;
    push_image(w, "app", "c", NULL, &c);
    OK(world_push(w, "app", &c, NULL));
    made_index(&before, "before");
    made_add_child(&before, &c.digest);
    OK(world_push(w, "app", &before, "v1"));
    OK(world_push(w, "app", &c, NULL)); /* again: acknowledged */
    OK(world_delete_manifest(w, "app", &before.digest));
    made_index(&after, "after");
    made_add_child(&after, &c.digest);
    OK(world_push(w, "app", &after, "v2"));
    OK(world_settle(w));
    OK(world_get_manifest(w, "app", &c.digest));
    SOUND();
}

/* Deleting a signature does not touch its subject; and it goes although its subject stays. */
static void referrer_of_a_live_subject(void **state)
{
    struct world *w = *state;
    struct made image, signature;
    struct digest d = world_digest("signature's own");
    push_image(w, "app", "image", "v1", &image);
    made_image(&signature, "signature");
    made_set_subject(&signature, &image.digest);
    made_add_blob(&signature, &d, false);
    OK(world_upload(w, "app", "signature's own"));
    OK(world_push(w, "app", &signature, NULL));
    OK(world_delete_manifest(w, "app", &signature.digest));
    COUNT(1, TRASH);
    OK(world_get_manifest(w, "app", &image.digest));
    SOUND();
    w->now += WORLD_GRACE - 1;
    OK(world_reclaim(w));
    COUNT(1, TRASH);
    w->now += 1;
    OK(world_reclaim(w));
    COUNT(0, TRASH);
    COUNT(2, "SELECT count(*) FROM repo_blob");
    COUNT(1, "SELECT count(*) FROM manifest WHERE due_at IS NULL");
    SOUND();
}

/* The index went first, what it named later: until the index can no longer be restored, neither
 * goes. */
static void trash_stays_whole(void **state)
{
    struct world *w = *state;
    struct made c, index, other;
    push_image(w, "app", "c", "c", &c);
    made_index(&index, "index");
    made_add_child(&index, &c.digest);
    OK(world_push(w, "app", &index, "v1"));
    made_index(&other, "other");
    made_add_child(&other, &c.digest);
    OK(world_push(w, "app", &other, "v2"));
    OK(world_delete_manifest(w, "app", &index.digest));
    w->now += 1000;
    OK(world_delete_tag(w, "app", "c"));
    OK(world_delete_manifest(w, "app", &other.digest));
    OK(world_delete_manifest(w, "app", &c.digest));
    COUNT(3, TRASH);
    SOUND();
    w->now += WORLD_GRACE - 1000;
    OK(world_reclaim(w));
    COUNT(2, TRASH);
    SOUND();
    w->now += 1000;
    OK(world_reclaim(w));
    EMPTY();
}

/* All were loose; one index went to the trash, the other just ended. What both name stays for the
 * first. */
static void loose_child_stays_for_the_trash(void **state)
{
    struct world *w = *state;
    struct made c, first, second;
    push_image(w, "app", "c", NULL, &c);
    OK(world_push(w, "app", &c, NULL));
    made_index(&first, "first");
    made_add_child(&first, &c.digest);
    OK(world_push(w, "app", &first, NULL));
    made_index(&second, "second");
    made_add_child(&second, &c.digest);
    OK(world_push(w, "app", &second, NULL));
    w->now += WORLD_GRACE - 1000;
    OK(world_delete_manifest(w, "app", &first.digest));
    w->now += 1000;
    OK(world_reclaim(w));
    COUNT(1, TRASH);
    COUNT(1, LIVE);
    SOUND();
    w->now += WORLD_GRACE - 1000;
    OK(world_reclaim(w));
    EMPTY();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WORLD_TEST(unknown_repository),       WORLD_TEST(refused_leaves_no_receipt),
        WORLD_TEST(receipt_names_everything), WORLD_TEST(tag_and_blob_receipts),
        WORLD_TEST(diamond_goes_once),        WORLD_TEST(child_of_the_next_index_stays),
        WORLD_TEST(held_by_a_loose_index),    WORLD_TEST(referrer_of_a_live_subject),
        WORLD_TEST(trash_stays_whole),        WORLD_TEST(loose_child_stays_for_the_trash),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
