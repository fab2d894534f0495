/* SPDX-License-Identifier: Apache-2.0 */
#include "base/fault.h"
#include "deletion_test.h"

#define MANY 300 /* images: 600 items, three steps */

static void expect_tag(struct world *w, const char *repo, const char *tag, const struct digest *d)
{
    struct digest found;
    OK(world_get_tag(w, repo, tag, &found));
    assert_true(digest_eq(&found, d));
}

/* ---- everything ------------------------------------------------------------------------------ */

static void image_with_its_tags(void **state)
{
    struct world *w = *state;
    struct made a;
    push_image(w, "app", "a", "v1", &a);
    OK(world_push(w, "app", &a, "v2"));
    int64_t id = delete_all_of(w, IMAGE_OF("app", "v1"));
    COUNT(0, TAGS);
    w->now += WORLD_GRACE - 1;
    OK(world_reclaim(w));
    int64_t undo_id = undo_all(w, id);
    expect_tag(w, "app", "v1", &a.digest);
    expect_tag(w, "app", "v2", &a.digest);
    OK(world_get_blob(w, "app", &a.parts[0].digest));
    struct finding u = receipt_of(w, undo_id);
    assert_int_equal(u.receipt.kind, RECEIPT_UNDO);
    assert_int_equal(u.receipt.undo_of, id);
    assert_int_equal(u.receipt.tags, 2);
    assert_int_equal(u.receipt.manifests, 1);
    assert_int_equal(u.receipt.skipped, 0);
    assert_true(u.receipt.sealed);
    struct finding r = receipt_of(w, id);
    assert_int_equal(r.receipt.undone, 3);
    assert_int_equal(r.items[0].undone_by, undo_id);
    SOUND();
    CHAIN();
    OK(world_settle(w));
    expect_tag(w, "app", "v1", &a.digest);
    OK(world_get_blob(w, "app", &a.parts[1].digest));
}

static void direct_orders(void **state)
{
    struct world *w = *state;
    struct made a;
    struct digest alone = world_digest("alone");
    push_image(w, "app", "a", "v1", &a);
    OK(world_upload(w, "app", "alone"));
    OK(world_delete_tag(w, "app", "v1"));
    (void)undo_all(w, 1);
    expect_tag(w, "app", "v1", &a.digest);
    OK(world_delete_manifest(w, "app", &a.digest));
    (void)undo_all(w, 3);
    expect_tag(w, "app", "v1", &a.digest);
    OK(world_delete_blob(w, "app", &alone));
    IS(ST_NOT_FOUND, world_get_blob(w, "app", &alone));
    (void)undo_all(w, 5);
    OK(world_get_blob(w, "app", &alone));
    SOUND();
    CHAIN();
}

/* Children, a nested index, a signature: all come back and are kept again. */
static void index_with_all_that_hangs_below(void **state)
{
    struct world *w = *state;
    struct made a, b, inner, outer, signature, of_it;
    push_image(w, "app", "a", NULL, &a);
    OK(world_push(w, "app", &a, NULL));
    push_image(w, "app", "b", NULL, &b);
    OK(world_push(w, "app", &b, NULL));
    made_index(&inner, "inner");
    made_add_child(&inner, &a.digest);
    OK(world_push(w, "app", &inner, NULL));
    made_index(&outer, "outer");
    made_add_child(&outer, &inner.digest);
    made_add_child(&outer, &b.digest);
    OK(world_push(w, "app", &outer, "v1"));
    made_image(&signature, "signature");
    made_set_subject(&signature, &outer.digest);
    OK(world_push(w, "app", &signature, NULL));
    made_image(&of_it, "of it");
    made_set_subject(&of_it, &signature.digest);
    OK(world_push(w, "app", &of_it, NULL));
    COUNT(6, "SELECT count(*) FROM manifest WHERE due_at IS NULL");
    for (int i = 0; i < 3; i++) {
        int64_t id = 0;
        if (i == 0)
            id = delete_all_of(w, IMAGE_OF("app", "v1"));
        else if (i == 1)
            id = delete_all_of(w, REPO_OF("app"));
        else {
            OK(world_delete_manifest(w, "app", &outer.digest));
            id = world_count(w, "SELECT max(id) FROM receipt");
        }
        COUNT(0, "SELECT count(*) FROM manifest WHERE due_at IS NULL");
        int64_t undo_id = undo_all(w, id);
        COUNT(6, "SELECT count(*) FROM manifest WHERE due_at IS NULL");
        struct finding u = receipt_of(w, undo_id);
        assert_int_equal(u.receipt.skipped, 0);
        assert_int_equal(u.receipt.manifests, 6);
        SOUND();
    }
    OK(world_settle(w));
    OK(world_get_blob(w, "app", &a.parts[0].digest));
    OK(world_get_manifest(w, "app", &of_it.digest));
    CHAIN();
}

static void repository_that_had_vanished(void **state)
{
    struct world *w = *state;
    AUTO(arena_release) struct arena a = { 0 };
    struct name_page page = { 0 };
    push_many(w, "app", 3);
    push_many(w, "lib", 1);
    int64_t id = delete_all_of(w, REPO_OF("app"));
    OK(registry_list_repositories(&w->r, STR_NONE, 10, &a, &page, &w->err));
    assert_int_equal(page.count, 1);
    (void)undo_all(w, id);
    OK(registry_list_repositories(&w->r, STR_NONE, 10, &a, &page, &w->err));
    assert_int_equal(page.count, 2);
    COUNT(4, TAGS);
    SOUND();
}

static void many_come_back(void **state)
{
    struct world *w = *state;
    int64_t undo_id = 0;
    int64_t again = 0;
    push_many(w, "app", MANY);
    int64_t id = delete_all_of(w, REPO_OF("app"));
    OK(undo_of(w, id, (struct undo_request){ 0 }, &undo_id));
    assert_false(receipt_of(w, undo_id).receipt.sealed);
    OK(undo_of(w, id, (struct undo_request){ 0 }, &again)); /* it is under way */
    assert_int_equal(undo_id, again);
    IS(ST_BUSY, undo_of(w, id, (struct undo_request){ .force = true }, &again));
    OK(world_carry_on(w));
    struct finding u = receipt_of(w, undo_id);
    assert_int_equal(u.receipt.tags, MANY);
    assert_int_equal(u.receipt.manifests, MANY);
    COUNT(MANY, TAGS);
    COUNT(0, TRASH);
    COUNT(0, "SELECT count(*) FROM receipt_item WHERE receipt_id = 1 AND undone_by IS NULL");
    assert_int_equal(receipt_of(w, id).receipt.undone, 2 * MANY);
    SOUND();
    CHAIN();
}

/* ---- in part --------------------------------------------------------------------------------- */

static void only_some(void **state)
{
    struct world *w = *state;
    struct made a, b;
    char text[DIGEST_TEXT_MAX + 1];
    char reference[DIGEST_TEXT_MAX + 8];
    int64_t undo_id = 0;
    push_image(w, "app", "a", "v1", &a);
    OK(world_push(w, "app", &a, "v2"));
    push_image(w, "app", "b", "w1", &b);
    OK(world_push(w, "app", &b, "w2"));
    int64_t id = delete_all_of(w, REPO_OF("app"));
    str only[] = { STR("app:v1") };
    struct undo_request part = { .only = only, .only_count = 1 };
    OK(undo_of(w, id, part, &undo_id));
    struct finding u = receipt_of(w, undo_id);
    assert_int_equal(u.receipt.tags, 1); /* with its image, without the image's other tag */
    assert_int_equal(u.receipt.manifests, 1);
    expect_tag(w, "app", "v1", &a.digest);
    COUNT(1, TAGS);
    OK(undo_of(w, id, part, &undo_id)); /* that is done */
    assert_int_equal(undo_id, u.id);
    (void)snprintf(reference, sizeof(reference), "app@%s", digest_text(&b.digest, text).ptr);
    only[0] = str_of(reference); /* with every tag of it */
    OK(undo_of(w, id, part, &undo_id));
    u = receipt_of(w, undo_id);
    assert_int_equal(u.receipt.tags, 2);
    assert_int_equal(u.receipt.manifests, 1);
    COUNT(3, TAGS);
    SOUND();
    undo_id = undo_all(w, id); /* the rest, and nothing that is back already */
    assert_int_equal(receipt_of(w, undo_id).receipt.items, 1);
    COUNT(4, TAGS);
    assert_int_equal(receipt_of(w, id).receipt.undone, 6);
    CHAIN();
}

static void references_that_are_none(void **state)
{
    struct world *w = *state;
    struct made a;
    int64_t undo_id = 0;
    push_image(w, "app", "a", "v1", &a);
    int64_t id = delete_all_of(w, IMAGE_OF("app", "v1"));
    static const struct {
        const char *text;
        enum st want;
    } rows[] = {
        { "app:v2", ST_NOT_FOUND },
        { "lib:v1", ST_NOT_FOUND },
        { "app", ST_INVALID },
        { "app:", ST_INVALID },
        { ":v1", ST_INVALID },
        { "App:v1", ST_INVALID },
        { "app@v1", ST_INVALID },
        { "", ST_INVALID },
        { "app@sha256:0000000000000000000000000000000000000000000000000000000000000000",
          ST_NOT_FOUND },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        str only[] = { STR("app:v1"), str_of(rows[i].text) };
        IS(rows[i].want,
           undo_of(w, id, (struct undo_request){ .only = only, .only_count = 2 }, &undo_id));
    }
    IS(ST_NOT_FOUND, undo_of(w, 99, (struct undo_request){ 0 }, &undo_id));
    COUNT(1, "SELECT count(*) FROM receipt");
    COUNT(0, TAGS);
}

/* ---- what is newer stays --------------------------------------------------------------------- */

static void tag_set_again(void **state)
{
    struct world *w = *state;
    struct made a, b;
    int64_t undo_id = 0;
    push_image(w, "app", "a", "v1", &a);
    int64_t id = delete_all_of(w, IMAGE_OF("app", "v1"));
    push_image(w, "app", "b", "v1", &b);
    OK(undo_of(w, id, (struct undo_request){ 0 }, &undo_id));
    struct finding u = receipt_of(w, undo_id);
    WHY("it names sha256:", item_of(&u, "app", "v1", NULL));
    assert_int_equal(u.receipt.skipped, 1);
    expect_tag(w, "app", "v1", &b.digest);
    OK(undo_of(w, id, (struct undo_request){ .as = STR("old") }, &undo_id));
    u = receipt_of(w, undo_id);
    WHY(NULL, item_of(&u, "app", "old", NULL));
    expect_tag(w, "app", "old", &a.digest);
    expect_tag(w, "app", "v1", &b.digest);
    SOUND();
    CHAIN();
}

static void force_moves_it(void **state)
{
    struct world *w = *state;
    struct made a, b;
    int64_t undo_id = 0;
    push_image(w, "app", "a", "v1", &a);
    int64_t id = delete_all_of(w, IMAGE_OF("app", "v1"));
    push_image(w, "app", "b", "v1", &b);
    OK(undo_of(w, id, (struct undo_request){ .force = true }, &undo_id));
    expect_tag(w, "app", "v1", &a.digest);
    assert_int_equal(receipt_of(w, undo_id).receipt.skipped, 0);
    SOUND();
}

static void another_name_is_for_one_tag(void **state)
{
    struct world *w = *state;
    struct made a;
    int64_t undo_id = 0;
    push_image(w, "app", "a", "v1", &a);
    OK(world_push(w, "app", &a, "v2"));
    int64_t id = delete_all_of(w, IMAGE_OF("app", "v1"));
    IS(ST_INVALID, undo_of(w, id, (struct undo_request){ .as = STR("x") }, &undo_id));
    IS(ST_INVALID, undo_of(w, id, (struct undo_request){ .as = STR("no tag") }, &undo_id));
    str only[] = { STR("app:v2") };
    struct undo_request one = { .only = only, .only_count = 1, .as = STR("x") };
    OK(undo_of(w, id, one, &undo_id));
    expect_tag(w, "app", "x", &a.digest);
    COUNT(1, TAGS);
}

static enum st add_rule(struct db_tx *tx, void *ctx, struct err *err)
{
    int64_t id = 0;
    return rules_add(tx, ctx, &id, err);
}

static void protection_holds_here_too(void **state)
{
    struct world *w = *state;
    struct made a, b;
    int64_t undo_id = 0;
    push_image(w, "app", "a", "v1", &a);
    int64_t id = delete_all_of(w, IMAGE_OF("app", "v1"));
    push_image(w, "app", "b", "v1", &b);
    struct rule rule = { .kind = RULE_IMMUTABLE,
                         .repo = STR("app"),
                         .tag = STR("v1"),
                         .actor = STR("x"),
                         .created_at = w->now };
    OK(db_write(w->r.db, add_rule, &rule, &w->err));
    OK(undo_of(w, id, (struct undo_request){ .force = true }, &undo_id));
    struct finding u = receipt_of(w, undo_id);
    WHY("immutable", item_of(&u, "app", "v1", NULL));
    expect_tag(w, "app", "v1", &b.digest);
    rule = (struct rule){
        .kind = RULE_READ_ONLY, .repo = STR("app"), .actor = STR("x"), .created_at = w->now
    };
    OK(db_write(w->r.db, add_rule, &rule, &w->err));
    OK(undo_of(w, id, (struct undo_request){ .as = STR("x") }, &undo_id));
    u = receipt_of(w, undo_id);
    WHY("read-only", item_of(&u, "app", "x", NULL));
    assert_int_equal(u.receipt.skipped, u.receipt.items);
    COUNT(1, TAGS);
    SOUND();
}

/* ---- refused --------------------------------------------------------------------------------- */

static void refused_undos(void **state)
{
    struct world *w = *state;
    struct made a;
    int64_t undo_id = 0;
    int64_t id = 0;
    push_many(w, "app", MANY);
    struct plan plan = plan_of(w, REPO_OF("app"), false);
    OK(apply_of(w, &plan, &id));
    IS(ST_BUSY, undo_of(w, id, (struct undo_request){ 0 }, &undo_id));
    OK(world_carry_on(w));
    push_image(w, "app", "a", "v1", &a);
    id = delete_all_of(w, IMAGE_OF("app", "v1"));
    undo_id = undo_all(w, id);
    IS(ST_INVALID, undo_of(w, undo_id, (struct undo_request){ 0 }, &undo_id));
    int64_t again = 0;
    OK(undo_of(w, id, (struct undo_request){ 0 }, &again)); /* done already */
    assert_int_equal(again, undo_id);
    id = delete_all_of(w, IMAGE_OF("app", "v1"));
    w->now += WORLD_GRACE;
    IS(ST_EXPIRED, undo_of(w, id, (struct undo_request){ 0 }, &undo_id));
    SOUND();
}

/* Somebody else deleted it again meanwhile, tag first. */
static void deleted_twice(void **state)
{
    struct world *w = *state;
    struct made a;
    push_image(w, "app", "a", "v1", &a);
    OK(world_delete_tag(w, "app", "v1"));
    OK(world_delete_manifest(w, "app", &a.digest));
    (void)undo_all(w, 1);
    expect_tag(w, "app", "v1", &a.digest);
    (void)undo_all(w, 2);
    expect_tag(w, "app", "v1", &a.digest);
    SOUND();
}

static void what_is_gone_is_told(void **state)
{
    struct world *w = *state;
    struct made a;
    int64_t undo_id = 0;
    push_image(w, "app", "a", "v1", &a);
    OK(world_delete_tag(w, "app", "v1")); /* loose; its own time may come before the receipt's */
    COUNT(1, "SELECT count(*) FROM receipt");
    int64_t id = 0;
    struct plan plan = plan_of(
        w, (struct selector){ .kind = SELECT_IMAGE, .repo = STR("app"), .digest = a.digest }, true);
    OK(apply_of(w, &plan, &id));
    OK(world_reclaim(w));
    EMPTY();
    OK(undo_of(w, 1, (struct undo_request){ 0 }, &undo_id));
    struct finding u = receipt_of(w, undo_id);
    WHY("gone for good", item_of(&u, "app", "v1", NULL));
    EMPTY();
    CHAIN();
}

/* ---- the trash ------------------------------------------------------------------------------- */

struct listing {
    struct world *w;
    str prefix;
    size_t limit;
    struct trash_place place;
    struct trash_item *items;
    size_t count;
    bool more;
};

static enum st list(struct db_tx *tx, void *ctx, struct err *err)
{
    struct listing *l = ctx;
    return trash_list(tx, l->prefix, &l->place, l->limit, l->w->now, &test_arena, &l->items,
                      &l->count, &l->more, err);
}

static size_t count_trash(struct world *w, const char *prefix, size_t limit)
{
    struct listing l = { .w = w, .prefix = str_of(prefix), .limit = limit, .more = true };
    size_t n = 0;
    while (l.more) {
        OK(db_read(w->r.db, list, &l, &w->err));
        assert_true(l.count <= limit);
        n += l.count;
    }
    return n;
}

static void trash_is_listed(void **state)
{
    struct world *w = *state;
    struct made a, b, c;
    struct digest alone = world_digest("alone");
    push_image(w, "x/app", "a", "v1", &a);
    OK(world_push(w, "x/app", &a, "v2"));
    push_image(w, "x/app", "b", "w1", &b);
    OK(world_push(w, "x/app", &b, "w2"));
    push_image(w, "x/apple", "c", "v1", &c);
    OK(world_upload(w, "x/app", "alone"));
    (void)delete_all_of(w, IMAGE_OF("x/app", "v1"));
    OK(world_delete_tag(w, "x/app", "w1"));
    OK(world_delete_blob(w, "x/app", &alone));
    (void)delete_all_of(w, IMAGE_OF("x/apple", "v1"));
    struct listing l = { .w = w, .prefix = STR(""), .limit = 10 };
    OK(db_read(w->r.db, list, &l, &w->err));
    assert_int_equal(l.count, 4);
    assert_false(l.more);
    assert_int_equal(l.items[0].receipt_id, 4); /* newest first */
    assert_int_equal(l.items[1].item.kind, ITEM_BLOB);
    assert_int_equal(l.items[2].item.kind, ITEM_TAG);
    assert_true(str_eq(l.items[2].item.tag, STR("w1")));
    assert_int_equal(l.items[3].item.kind, ITEM_MANIFEST);
    assert_int_equal(l.items[3].tag_count, 2);
    assert_int_equal(l.items[3].until, w->now + WORLD_GRACE);
    for (size_t limit = 1; limit < 6; limit++) {
        assert_int_equal(count_trash(w, "", limit), 4);
        assert_int_equal(count_trash(w, "x", limit), 4);
        assert_int_equal(count_trash(w, "x/app", limit), 3);
        assert_int_equal(count_trash(w, "x/a", limit), 0);
    }
    OK(world_push(w, "x/app", &a, "v1")); /* takes it out of there */
    (void)undo_all(w, 3);
    assert_int_equal(count_trash(w, "x/app", 10), 2); /* the tags v2 and w1 */
    w->now += WORLD_GRACE;
    assert_int_equal(count_trash(w, "", 10), 0);
}

static void newest_of_each(void **state)
{
    struct world *w = *state;
    struct made a, b, c;
    char text[DIGEST_TEXT_MAX + 1];
    char reference[DIGEST_TEXT_MAX + 8];
    int64_t undo_id = 0;
    push_image(w, "app", "a", "v1", &a);
    push_image(w, "app", "b", "w1", &b);
    OK(world_delete_manifest(w, "app", &a.digest));
    push_image(w, "app", "c", "v1", &c);
    OK(world_delete_manifest(w, "app", &c.digest)); /* the newest v1 */
    OK(world_delete_manifest(w, "app", &b.digest));
    (void)snprintf(reference, sizeof(reference), "app@%s", digest_text(&b.digest, text).ptr);
    str only[] = { STR("app:v1"), str_of(reference), STR("app:none") };
    struct undo_request request = { .only = only, .only_count = 3, .by = TEST_BY };
    IS(ST_NOT_FOUND, undo_newest(w->d, &request, w->now, &undo_id, &w->err));
    COUNT(0, TAGS);
    request.only_count = 2;
    OK(undo_newest(w->d, &request, w->now, &undo_id, &w->err));
    expect_tag(w, "app", "v1", &c.digest);
    expect_tag(w, "app", "w1", &b.digest);
    IS(ST_NOT_FOUND, world_get_manifest(w, "app", &a.digest));
    struct finding u = receipt_of(w, undo_id);
    assert_int_equal(u.receipt.items, 4);
    assert_int_equal(u.receipt.undo_of, 0);
    request.only_count = 1; /* the older one is the newest that is left */
    request.as = STR("v0");
    OK(undo_newest(w->d, &request, w->now, &undo_id, &w->err));
    expect_tag(w, "app", "v0", &a.digest);
    assert_int_equal(receipt_of(w, undo_id).receipt.undo_of, 1);
    SOUND();
    CHAIN();
}

/* ---- crashes, faults ------------------------------------------------------------------------- */

static void crash_between_steps(void **state)
{
    struct world world;
    struct world *w = &world;
    char path[64];
    uint64_t rng = 7;
    int64_t undo_id = 0;
    bool more = true;
    (void)state;
    arena_release(&test_arena);
    (void)snprintf(path, sizeof(path), "/tmp/ebb-test-undo-%d.db", (int)getpid());
    (void)unlink(path);
    assert_true(world_open(w, path));
    push_many(w, "app", MANY);
    push_many(w, "lib", MANY);
    int64_t id = delete_all_of(w, REPO_OF("**"));
    str only[2 * MANY];
    char texts[MANY][24];
    for (int i = 0; i < MANY; i++) { /* every other one by name */
        (void)snprintf(texts[i], sizeof(texts[i]), "%s:t%d", i % 2 == 0 ? "app" : "lib", i);
        only[i] = str_of(texts[i]);
    }
    struct undo_request part = { .only = only, .only_count = MANY };
    OK(undo_of(w, id, part, &undo_id));
    assert_false(receipt_of(w, undo_id).receipt.sealed);
    while (more) {
        assert_true(world_crash(w, path, &rng));
        SOUND();
        OK(deletion_step(w->d, w->now, &more, &w->err));
    }
    struct finding u = receipt_of(w, undo_id);
    assert_true(u.receipt.sealed);
    assert_int_equal(u.receipt.tags, MANY);
    assert_int_equal(u.receipt.manifests, MANY);
    assert_int_equal(u.receipt.skipped, 0);
    COUNT(MANY, TAGS);
    COUNT(0, "SELECT count(*) FROM tag t JOIN repository r ON r.id = t.repo_id"
             " WHERE (r.name = 'app') <> (CAST(substr(t.name, 2) AS INTEGER) % 2 = 0)");
    SOUND();
    world_close(w);
    (void)unlink(path);
}

#ifdef EBB_FAULTS

static void each_sql_step_fails(void **state)
{
    (void)state;
    bool fired = true;
    for (uint64_t n = 1; fired; n += 1 + n / 8) {
        struct world world;
        struct world *w = &world;
        int64_t undo_id = 0;
        arena_release(&test_arena);
        assert_true(world_open(w, ""));
        push_many(w, "app", 140); /* two steps */
        int64_t id = delete_all_of(w, REPO_OF("app"));
        fault_arm(FAULT_SQL, n, n % 2 == 0);
        w->err = (struct err){ 0 };
        enum st st = undo_of(w, id, (struct undo_request){ 0 }, &undo_id);
        fault_disarm();
        fired = fault_fired();
        if (st != ST_OK && (st != ST_IO || w->err.text[0] == '\0' || !fired))
            fail_msg("number %llu: %s (%s)", (unsigned long long)n, st_text(st), w->err.text);
        SOUND();
        OK(undo_of(w, id, (struct undo_request){ 0 }, &undo_id));
        OK(world_carry_on(w));
        struct finding u = receipt_of(w, undo_id);
        assert_int_equal(u.receipt.items, 280);
        assert_int_equal(u.receipt.skipped, 0);
        COUNT(2, "SELECT count(*) FROM receipt");
        COUNT(140, TAGS);
        SOUND();
        OK(db_read(w->r.db, verify_it, w, &w->err));
        world_close(w);
    }
}

#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        DELETION_TEST(image_with_its_tags),
        DELETION_TEST(direct_orders),
        DELETION_TEST(index_with_all_that_hangs_below),
        DELETION_TEST(repository_that_had_vanished),
        DELETION_TEST(many_come_back),
        DELETION_TEST(only_some),
        DELETION_TEST(references_that_are_none),
        DELETION_TEST(tag_set_again),
        DELETION_TEST(force_moves_it),
        DELETION_TEST(another_name_is_for_one_tag),
        DELETION_TEST(protection_holds_here_too),
        DELETION_TEST(refused_undos),
        DELETION_TEST(deleted_twice),
        DELETION_TEST(what_is_gone_is_told),
        DELETION_TEST(trash_is_listed),
        DELETION_TEST(newest_of_each),
        cmocka_unit_test(crash_between_steps),
#ifdef EBB_FAULTS
        cmocka_unit_test(each_sql_step_fails),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
