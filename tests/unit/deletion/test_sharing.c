/* SPDX-License-Identifier: Apache-2.0
 *
 * What is shared and what is not: for each case the plan says how many bytes it frees, the
 * functions of meta/ add up the same, and after all graces the registry holds exactly so much less.
 */
#include "base/rng.h"
#include "plan_test.h"

#define TAG(r, t)   ((struct selector){ .kind = SELECT_TAG, .repo = STR(r), .tag = STR(t) })
#define IMAGE(r, t) ((struct selector){ .kind = SELECT_IMAGE, .repo = STR(r), .tag = STR(t) })
#define REPO(glob)  ((struct selector){ .kind = SELECT_REPOSITORY, .repo = STR(glob) })

/* An image of the blobs that are named; each is uploaded. */
static void push_of(struct world *w, const char *repo, const char *name, const char *tag,
                    const char *config, const char *layer, struct made *m)
{
    const char *const texts[] = { config, layer };
    made_image(m, name);
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        struct digest d = world_digest(texts[i]);
        OK(world_upload(w, repo, texts[i]));
        made_add_blob(m, &d, false);
    }
    OK(world_push(w, repo, m, tag));
}

static void past_leases(struct world *w)
{
    w->now += 2 * WORLD_GRACE;
    OK(world_reclaim(w));
}

/* name 4, config 6, layer 5 bytes, if they are its own. */
static void shared_layer(struct world *w)
{
    struct made a, b;
    push_of(w, "app", "one.", "v1", "config", "layer", &a);
    push_of(w, "app", "two.", "v2", "other!", "layer", &b);
    OK(make_plan(w, IMAGE("app", "v1")));
    FREES(4 + 6);
    OK(make_plan(w, IMAGE("app", "v2")));
    FREES(4 + 6 + 5);
}

static void shared_layer_of_two_repositories(struct world *w)
{
    struct made a, b;
    push_of(w, "app", "one.", "v1", "config", "layer", &a);
    push_of(w, "lib", "two.", "v1", "other!", "layer", &b);
    OK(make_plan(w, IMAGE("app", "v1")));
    assert_int_equal(planner.plan.bytes_kept, 5);
    assert_int_equal(planner.plan.kept_count, 1);
    assert_int_equal(planner.plan.kept[0].by_count, 1);
    assert_true(str_eq(planner.plan.kept[0].by[0].repo, STR("lib")));
    assert_true(str_eq(planner.plan.kept[0].by[0].tag, STR("v1")));
    OK(make_plan(w, REPO("**")));
    FREES(4 + 6 + 4 + 6 + 5);
}

static void shared_config(struct world *w)
{
    struct made a, b;
    push_of(w, "app", "one.", "v1", "config", "layer", &a);
    push_of(w, "app", "two.", "v2", "config", "LAYER", &b);
    OK(make_plan(w, TAG("app", "v1")));
    FREES(4 + 5);
}

static void same_manifest_in_two_repositories(struct world *w)
{
    struct made a;
    push_of(w, "app", "one.", "v1", "config", "layer", &a);
    push_of(w, "lib", "one.", "v1", "config", "layer", &a);
    OK(make_plan(w, IMAGE("app", "v1")));
    FREES(4);
    OK(make_plan(w, IMAGE("lib", "v1")));
    FREES(4 + 6 + 5);
}

static void indexes_over_shared_children(struct world *w)
{
    struct made a, b, c, first, second;
    push_of(w, "app", "one.", NULL, "config", "layer", &a);
    push_of(w, "app", "two.", NULL, "other!", "LAYER", &b);
    push_of(w, "app", "tri.", NULL, "third!", "Layer", &c);
    made_index(&first, "first");
    made_add_child(&first, &a.digest);
    made_add_child(&first, &b.digest);
    OK(world_push(w, "app", &first, "v1"));
    made_index(&second, "second");
    made_add_child(&second, &b.digest);
    made_add_child(&second, &c.digest);
    OK(world_push(w, "app", &second, "v2"));
    OK(make_plan(w, IMAGE("app", "v1")));
    FREES(5 + 4 + 6 + 5);
    OK(make_plan(w, TAG("app", "v2")));
    FREES(6 + 4 + 6 + 5 + 4 + 6 + 5);
}

static void nested_index(struct world *w)
{
    struct made a, inner, outer;
    push_of(w, "app", "one.", NULL, "config", "layer", &a);
    made_index(&inner, "inner");
    made_add_child(&inner, &a.digest);
    OK(world_push(w, "app", &inner, NULL));
    made_index(&outer, "outer");
    made_add_child(&outer, &inner.digest);
    OK(world_push(w, "app", &outer, "v1"));
    OK(make_plan(w, IMAGE("app", "v1")));
    FREES(5 + 5 + 4 + 6 + 5);
}

static void referrer_chain(struct world *w)
{
    struct made a, signature, of_it;
    push_of(w, "app", "one.", "v1", "config", "layer", &a);
    made_image(&signature, "signature");
    made_set_subject(&signature, &a.digest);
    OK(world_push(w, "app", &signature, NULL));
    made_image(&of_it, "of it");
    made_set_subject(&of_it, &signature.digest);
    OK(world_push(w, "app", &of_it, NULL));
    OK(make_plan(w, TAG("app", "v1")));
    assert_int_equal(planner.plan.manifests, 3);
    FREES(4 + 6 + 5 + 9 + 5);
}

static void mounted_then_deleted(struct world *w)
{
    struct made a;
    struct digest layer = world_digest("layer");
    push_of(w, "app", "one.", "v1", "config", "layer", &a);
    past_leases(w);
    OK(world_mount(w, "lib", "app", &layer));
    OK(make_plan(w, IMAGE("app", "v1")));
    assert_int_equal(planner.plan.bytes_later, 0); /* both go after the same grace */
    FREES(4 + 6 + 5);
}

static void leased_beyond_a_plan_without_grace(struct world *w)
{
    struct made a;
    struct digest layer = world_digest("layer");
    push_of(w, "app", "one.", "v1", "config", "layer", &a);
    past_leases(w);
    OK(world_mount(w, "lib", "app", &layer));
    int64_t until = w->now + WORLD_GRACE;
    OK(make_plan_now(w, IMAGE("app", "v1")));
    assert_int_equal(planner.plan.bytes_freed, 4 + 6 + 5);
    assert_int_equal(planner.plan.bytes_later, 5);
    assert_int_equal(planner.plan.later_until, until);
    uint64_t before = bytes_held(w);
    assert_int_equal(apply_by_hand(w), 4 + 6 + 5);
    OK(world_reclaim(w));
    assert_int_equal(before - bytes_held(w), 4 + 6);
    w->now = until - 1;
    OK(world_reclaim(w));
    assert_int_equal(before - bytes_held(w), 4 + 6);
    w->now = until;
    OK(world_reclaim(w));
    assert_int_equal(before - bytes_held(w), 4 + 6 + 5);
}

static void tag_moved(struct world *w)
{
    struct made a, b;
    push_of(w, "app", "one.", "v1", "config", "layer", &a);
    push_of(w, "app", "two.", "v1", "other!", "layer", &b);
    past_leases(w);
    OK(make_plan(w, TAG("app", "v1")));
    FREES(4 + 6 + 5);
}

/* What a tag was moved from is loose: it goes by itself, and holds what it shares until then. */
static void tag_just_moved(struct world *w)
{
    struct made a, b;
    push_of(w, "app", "one.", "v1", "config", "layer", &a);
    push_of(w, "app", "two.", "v1", "other!", "layer", &b);
    OK(make_plan_now(w, TAG("app", "v1")));
    assert_int_equal(planner.plan.bytes_freed, 4 + 6 + 5);
    assert_int_equal(planner.plan.bytes_later, 5);
    assert_int_equal(planner.plan.later_until, w->now + WORLD_GRACE);
}

static void pushed_again_into_the_trash(struct world *w)
{
    struct made a;
    push_of(w, "app", "one.", "v1", "config", "layer", &a);
    OK(make_plan(w, IMAGE("app", "v1")));
    assert_int_equal(apply_by_hand(w), 4 + 6 + 5);
    OK(world_push(w, "app", &a, "v2"));
    OK(make_plan(w, IMAGE("app", "v2")));
    FREES(4 + 6 + 5);
}

/* Bytes in the trash count there, and not again. */
static void shared_with_the_trash(struct world *w)
{
    struct made a, b;
    push_of(w, "app", "one.", "v1", "config", "layer", &a);
    push_of(w, "app", "two.", "v2", "other!", "layer", &b);
    OK(make_plan(w, IMAGE("app", "v1")));
    assert_int_equal(apply_by_hand(w), 4 + 6);
    w->now += WORLD_GRACE / 2;
    OK(make_plan_now(w, IMAGE("app", "v2")));
    assert_int_equal(planner.plan.bytes_freed, 4 + 6 + 5);
    assert_int_equal(planner.plan.bytes_later, 5);
    assert_int_equal(planner.plan.later_until, w->now + WORLD_GRACE / 2);
    assert_int_equal(apply_by_hand(w), 4 + 6 + 5);
    const struct selector trash = { .kind = SELECT_TRASH, .repo = STR("**") };
    OK(make_plan_now(w, trash));
    assert_int_equal(planner.plan.manifests, 2);
    assert_int_equal(planner.plan.bytes_freed, 4 + 6 + 4 + 6 + 5);
    (void)apply_by_hand(w);
    OK(world_settle(w));
    EMPTY();
}

static void empty_layer(struct world *w)
{
    struct made a;
    push_of(w, "app", "one.", "v1", "config", "", &a);
    OK(make_plan(w, IMAGE("app", "v1")));
    FREES(4 + 6);
}

static void twin_of_another_algorithm(struct world *w)
{
    struct made a, b;
    struct digest twin;
    digest_of(DIGEST_SHA512, STR("layer"), &twin);
    push_of(w, "app", "one.", "v1", "config", "layer", &a);
    OK(world_upload_as(w, "app", &twin, "layer", WORLD_STORED));
    made_image(&b, "two.");
    made_add_blob(&b, &twin, false);
    OK(world_push(w, "app", &b, "v2"));
    OK(make_plan(w, IMAGE("app", "v2")));
    FREES(4 + 5);
    OK(make_plan(w, IMAGE("app", "v1")));
    FREES(4 + 6 + 5);
}

static void held_blob(struct world *w)
{
    struct made a;
    push_of(w, "app", "one.", "v1", "config", "layer", &a);
    const struct digest layer = world_digest("layer");
    char hex[2 * DIGEST_KEY_MAX + 1], key[DIGEST_KEY_MAX];
    str k = digest_key(&layer, key);
    for (size_t i = 0; i < k.len; i++)
        (void)snprintf(hex + 2 * i, 3, "%02x", (unsigned char)k.ptr[i]);
    static char sql[512];
    (void)snprintf(sql, sizeof(sql),
                   "INSERT INTO hold (repo, digest, created_at, actor, reason)"
                   " VALUES ('', x'%s', 0, 'tester', 'evidence') RETURNING 1",
                   hex);
    OK(world_run(w, sql));
    OK(make_plan(w, IMAGE("app", "v1")));
    assert_int_equal(planner.plan.bytes_freed, 4 + 6);
    assert_int_equal(planner.plan.bytes_kept, 5);
    assert_true(str_eq(planner.plan.kept[0].by[0].why, STR("held: evidence")));
}

static void untagged_last(struct world *w)
{
    struct made a, b;
    push_of(w, "app", "one.", "v1", "config", "layer", &a);
    push_of(w, "app", "two.", "v2", "other!", "layer", &b);
    w->r.keeping.untagged = false;
    OK(make_plan(w, TAG("app", "v1")));
    assert_int_equal(planner.plan.tags, 1);
    assert_int_equal(planner.plan.manifests, 0);
    bool warned = false;
    for (size_t i = 0; i < planner.plan.warning_count; i++)
        warned = warned || planner.plan.warnings[i].code == PLAN_UNTAGGED_KEPT;
    assert_true(warned);
    FREES(0);
    OK(make_plan(w, IMAGE("app", "v2")));
    FREES(4 + 6); /* the layer lasts with the other */
}

static const struct sharing_case {
    const char *name;
    void (*fn)(struct world *w);
} cases[] = {
#define CASE(fn)                                                                                   \
    {                                                                                              \
#fn, fn                                                                                    \
    }
    CASE(shared_layer),
    CASE(shared_layer_of_two_repositories),
    CASE(shared_config),
    CASE(same_manifest_in_two_repositories),
    CASE(indexes_over_shared_children),
    CASE(nested_index),
    CASE(referrer_chain),
    CASE(mounted_then_deleted),
    CASE(leased_beyond_a_plan_without_grace),
    CASE(tag_moved),
    CASE(tag_just_moved),
    CASE(pushed_again_into_the_trash),
    CASE(shared_with_the_trash),
    CASE(empty_layer),
    CASE(twin_of_another_algorithm),
    CASE(held_blob),
    CASE(untagged_last),
};

static void table(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        print_message("  %s\n", cases[i].name);
        cases[i].fn(*state);
        if (i + 1 < ARRAY_LEN(cases)) {
            planner_teardown(state);
            planner_setup(state);
        }
    }
}

/* ---- any registry -----------------------------------------------------------------------------
 */

#define IMAGES  12
#define INDEXES 4
#define ROUNDS  100

static const char *const repos[] = { "a/x", "a/y", "b/z" };

/* Images of three layers out of eight, indexes over them, signatures, tags, in three
 * repositories. */
static void fill(struct world *w, uint64_t *rng)
{
    static const char *const tags[] = { "t0", "t1", "t2", "t3", "t4", "t5", NULL, NULL };
    for (size_t step = 0; step < 50; step++) {
        const char *repo = repos[rng_next(rng) % ARRAY_LEN(repos)];
        const char *tag = tags[rng_next(rng) % ARRAY_LEN(tags)];
        uint64_t number = rng_next(rng) % IMAGES;
        char name[32];
        struct made m;
        w->now += 1000;
        switch (rng_next(rng) % 8) {
        case 6: /* trash, and what is loose */
            if (tag != NULL)
                (void)world_delete_tag(w, repo, tag);
            break;
        case 7: {
            (void)snprintf(name, sizeof(name), "image %u", (unsigned)number);
            struct digest d = world_digest(name);
            (void)world_delete_manifest(w, repo, &d);
            break;
        }
        case 0: { /* an index over two images, if they are there */
            (void)snprintf(name, sizeof(name), "index %u", (unsigned)(number % INDEXES));
            made_index(&m, name);
            for (uint64_t i = 0; i < 2; i++) {
                char child[32];
                (void)snprintf(child, sizeof(child), "image %u",
                               (unsigned)((number % INDEXES + i) % IMAGES));
                struct digest d = world_digest(child);
                made_add_child(&m, &d);
            }
            (void)world_push(w, repo, &m, tag);
            break;
        }
        case 1: { /* a signature */
            (void)snprintf(name, sizeof(name), "image %u", (unsigned)number);
            struct digest d = world_digest(name);
            (void)snprintf(name, sizeof(name), "signature %u", (unsigned)number);
            made_image(&m, name);
            made_set_subject(&m, &d);
            OK(world_push(w, repo, &m, NULL));
            break;
        }
        default:
            (void)snprintf(name, sizeof(name), "image %u", (unsigned)number);
            made_image(&m, name);
            for (uint64_t i = 0; i < 3; i++) {
                char layer[32];
                (void)snprintf(layer, sizeof(layer), "%0*u", (int)(3 + (number * 5 + i * 7) % 8),
                               (unsigned)((number * 5 + i * 7) % 8));
                struct digest d = world_digest(layer);
                OK(world_upload(w, repo, layer));
                made_add_blob(&m, &d, false);
            }
            OK(world_push(w, repo, &m, tag));
            break;
        }
    }
}

static struct selector random_selector(uint64_t *rng)
{
    static const char *const globs[] = { "**", "a/*", "a/x", "b/*" };
    static const char *const tags[] = { "t0", "t1", "t2", "t3", "t4", "t5" };
    struct selector s = { .kind = SELECT_RULE,
                          .repo = str_of(globs[rng_next(rng) % ARRAY_LEN(globs)]) };
    switch (rng_next(rng) % 6) {
    case 0:
        s.kind = SELECT_REPOSITORY;
        break;
    case 1:
        s.rule.tags = STR("t[0-3]");
        break;
    case 2:
        s.rule.has_keep = true;
        s.rule.keep = 1 + rng_next(rng) % 3;
        break;
    case 3:
        s.rule.untagged = true;
        break;
    default:
        s.kind = rng_next(rng) % 2 == 0 ? SELECT_TAG : SELECT_IMAGE;
        s.repo = str_of(repos[rng_next(rng) % ARRAY_LEN(repos)]);
        s.tag = str_of(tags[rng_next(rng) % ARRAY_LEN(tags)]);
        break;
    }
    return s;
}

/* `settled`: nothing but the plan makes anything go. Otherwise what is pending goes as well, and
 * the plan may free only what it says besides. */
static void one_round(struct world *w, uint64_t seed, bool settled)
{
    uint64_t rng = seed * 2 + 1;
    struct selector selectors[3];
    size_t count = 1 + rng_next(&rng) % 3;
    fill(w, &rng);
    if (settled)
        OK(world_settle(w));
    for (size_t i = 0; i < count; i++)
        selectors[i] = random_selector(&rng);
    enum st st = make_plan_of(w, selectors, count, false);
    if (st == ST_NOT_FOUND)
        return;
    OK(st);
    uint64_t before = bytes_held(w);
    uint64_t added = apply_by_hand(w);
    SOUND();
    OK(world_settle(w));
    SOUND();
    uint64_t gone = before - bytes_held(w);
    if (added != planner.plan.bytes_freed || gone < added || (settled && gone != added))
        print_error("seed %llu: planned %llu, added up %llu, gone %llu\n", (unsigned long long)seed,
                    (unsigned long long)planner.plan.bytes_freed, (unsigned long long)added,
                    (unsigned long long)gone);
    assert_int_equal(added, planner.plan.bytes_freed);
    assert_true(settled ? gone == added : gone >= added);
    assert_int_equal(planner.plan.bytes_later, 0);
}

static void any_registry(void **state)
{
    for (uint64_t seed = 1; seed <= ROUNDS; seed++) {
        one_round(*state, seed, seed % 2 == 0);
        planner_teardown(state);
        planner_setup(state);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        PLAN_TEST(table),
        PLAN_TEST(any_registry),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
