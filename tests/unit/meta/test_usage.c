/* SPDX-License-Identifier: Apache-2.0
 *
 * Bytes by class, of repositories and of path prefixes, against a count of the rows by hand.
 */
#include "meta/usage.h"

#include "base/rng.h"
#include "meta/inspect.h"
#include "world_test.h"

struct question {
    const char *prefix;
    bool alone; /* the repository only */
    struct usage usage;
};

static enum st ask(struct db_tx *tx, void *ctx, struct err *err)
{
    struct question *q = ctx;
    return q->alone ? usage_of_repository(tx, str_of(q->prefix), &q->usage, err)
                    : usage_of_prefix(tx, str_of(q->prefix), &q->usage, err);
}

static struct usage usage_of(struct world *w, const char *prefix)
{
    struct question q = { .prefix = prefix };
    OK(db_read(w->r.db, ask, &q, &w->err));
    return q.usage;
}

/* ---- by hand -------------------------------------------------------------------------------- */

static bool inside(str name, str prefix)
{
    return prefix.len == 0 || str_eq(name, prefix) ||
           (str_starts(name, prefix) && name.len > prefix.len && name.ptr[prefix.len] == '/');
}

/* Every blob's classes inside and outside, summed without a look at any counter. */
static enum st count_by_hand(struct db_tx *tx, void *ctx, struct err *err)
{
    struct question *q = ctx;
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    struct usage u = { 0 };
    int64_t blob = -1;
    uint64_t size = 0;
    bool used = false, trash = false, linked = false, outside = false;
    enum st st = db_select(
        tx, &rows,
        "SELECT b.id, b.size, r.name, l.receipt_id IS NOT NULL,"
        " EXISTS (SELECT 1 FROM manifest_blob u JOIN manifest m ON m.id = u.manifest_id"
        "  WHERE u.blob_id = b.id AND m.repo_id = r.id AND m.due_at IS NULL),"
        " EXISTS (SELECT 1 FROM manifest_blob u JOIN manifest m ON m.id = u.manifest_id"
        "  WHERE u.blob_id = b.id AND m.repo_id = r.id AND m.receipt_id IS NOT NULL)"
        " FROM blob b JOIN repo_blob l ON l.blob_id = b.id JOIN repository r ON r.id = l.repo_id"
        " UNION ALL SELECT 9000000000000000, 0, '', 0, 0, 0 ORDER BY 1",
        DB_NO_ARGS, err);
    while (st == ST_OK && (st = db_next(&rows, err)) == ST_OK) {
        if (db_int(&rows, 0) != blob) {
            uint64_t *class = used && outside ? &u.shared
                              : used          ? &u.unique
                              : trash         ? &u.trash
                                              : &u.pending;
            *class += linked ? size : 0;
            blob = db_int(&rows, 0);
            size = (uint64_t)db_int(&rows, 1);
            used = trash = linked = outside = false;
        }
        if (!inside(db_text(&rows, 2), str_of(q->prefix))) {
            outside = true;
            continue;
        }
        linked = true;
        used = used || db_int(&rows, 4) != 0;
        trash = trash || db_int(&rows, 5) != 0 || db_int(&rows, 3) != 0;
    }
    if (st != ST_END)
        return st;
    db_rows_close(&rows);
    st = db_select(tx, &rows,
                   "SELECT r.name, m.size, m.due_at IS NULL, m.receipt_id IS NOT NULL"
                   " FROM manifest m JOIN repository r ON r.id = m.repo_id",
                   DB_NO_ARGS, err);
    while (st == ST_OK && (st = db_next(&rows, err)) == ST_OK)
        if (inside(db_text(&rows, 0), str_of(q->prefix)))
            *(db_int(&rows, 2) != 0   ? &u.unique
              : db_int(&rows, 3) != 0 ? &u.trash
                                      : &u.pending) += (uint64_t)db_int(&rows, 1);
    q->usage = u;
    return st == ST_END ? ST_OK : st;
}

static void compare(struct world *w, const char *prefix)
{
    struct question q = { .prefix = prefix };
    struct usage u = usage_of(w, prefix);
    OK(db_read(w->r.db, count_by_hand, &q, &w->err));
    assert_int_equal(u.unique, q.usage.unique);
    assert_int_equal(u.shared, q.usage.shared);
    assert_int_equal(u.trash, q.usage.trash);
    if (prefix[0] != '\0')
        assert_int_equal(u.pending, q.usage.pending);
}

/* ---- tests ---------------------------------------------------------------------------------- */

static struct made image;

/* An image of a layer of its own and one that all share. */
static void push_sharing(struct world *w, const char *repo, const char *own, const char *tag)
{
    struct digest d = world_digest("shared by all of them");
    struct digest e = world_digest(own);
    OK(world_upload(w, repo, own));
    OK(world_upload(w, repo, "shared by all of them"));
    made_image(&image, own);
    made_add_blob(&image, &d, false);
    made_add_blob(&image, &e, false);
    OK(world_push(w, repo, &image, tag));
}

static void classes(void **state)
{
    struct world *w = *state;
    const uint64_t both = strlen("shared by all of them");
    push_sharing(w, "a", "one", "v1");
    assert_int_equal(usage_of(w, "a").unique, both + 2 * strlen("one"));
    assert_int_equal(usage_of(w, "a").shared, 0);
    push_sharing(w, "b", "two", "v1");
    assert_int_equal(usage_of(w, "a").unique, 2 * strlen("one"));
    assert_int_equal(usage_of(w, "a").shared, both);
    assert_int_equal(usage_of(w, "").unique, both + 2 * 3 + 2 * 3);
    OK(world_delete_manifest(w, "b", &image.digest));
    assert_int_equal(usage_of(w, "b").unique, 0);
    assert_int_equal(usage_of(w, "b").trash, both + 2 * 3);
    assert_int_equal(usage_of(w, "").trash, 2 * 3); /* the layer is used elsewhere */
    OK(world_push(w, "b", &image, "v1"));
    assert_int_equal(usage_of(w, "b").trash, 0);
    OK(world_delete_tag(w, "b", "v1"));
    assert_int_equal(usage_of(w, "b").pending, both + 2 * 3);
    OK(world_settle(w));
    assert_int_equal(usage_of(w, "a").unique, both + 2 * 3);
    assert_int_equal(usage_of(w, "").pending, 0);
}

/* '-' and '0' stand on both sides of '/': "a-b" and "a0" are not below "a". */
static void prefixes(void **state)
{
    struct world *w = *state;
    static const char *const repos[] = { "a", "a-b", "a/b", "a/b/c", "a/b-c", "a0", "b/a" };
    for (size_t i = 0; i < ARRAY_LEN(repos); i++)
        push_sharing(w, repos[i], repos[i], "v1");
    struct usage u = usage_of(w, "a");
    assert_int_equal(u.repositories, 4); /* a, a/b, a/b/c, a/b-c */
    assert_int_equal(u.tags, 4);
    for (size_t i = 0; i < ARRAY_LEN(repos); i++)
        compare(w, repos[i]);
    compare(w, "");
    compare(w, "nothing");
    /* What only "a" and what is below hold belongs to them. */
    OK(world_delete_manifest(w, "b/a", &image.digest));
    OK(world_settle(w));
    compare(w, "a");
}

static void of_repository(void **state)
{
    struct world *w = *state;
    struct question q = { .prefix = "a", .alone = true };
    push_sharing(w, "a", "one", "v1");
    push_sharing(w, "a/b", "two", "v1");
    OK(db_read(w->r.db, ask, &q, &w->err));
    assert_int_equal(q.usage.tags, 1);
    assert_int_equal(q.usage.shared, strlen("shared by all of them"));
    q.prefix = "none";
    IS(ST_NOT_FOUND, db_read(w->r.db, ask, &q, &w->err));
}

/* Random pushes, deletes and passes of time over a few repositories. */
static void at_random(void **state)
{
    struct world *w = *state;
    static const char *const repos[] = { "a", "a/x", "a/y", "b" };
    static const char *const prefixes[] = { "", "a", "a/x", "b" };
    uint64_t rng = 42;
    for (int i = 0; i < 300; i++) {
        char own[16];
        const char *repo = repos[rng_next(&rng) % ARRAY_LEN(repos)];
        (void)snprintf(own, sizeof(own), "layer %d", (int)(rng_next(&rng) % 6));
        switch (rng_next(&rng) % 5) {
        case 0:
        case 1:
            push_sharing(w, repo, own, rng_next(&rng) % 2 == 0 ? "v1" : "v2");
            break;
        case 2:
            (void)world_delete_tag(w, repo, "v1");
            break;
        case 3:
            made_image(&image, own);
            (void)world_delete_manifest(w, repo, &image.digest);
            break;
        default:
            w->now += (int64_t)(rng_next(&rng) % (uint64_t)(WORLD_GRACE / 2));
            OK(world_reclaim(w));
        }
        for (size_t k = 0; k < ARRAY_LEN(prefixes); k++)
            compare(w, prefixes[k]);
    }
    OK(check_invariants(w->r.db, w->mem, false, w->now, &w->err));
}

/* "g/p0" is the first name behind all that lies below "g/p". */
static void what_lies_right_below(void **state)
{
    static const char *const repos[] = { "g/p/a", "g/p/b", "g/p0", "g/p-x", "g/q" };
    static const char *const wanted[] = { "g/p-x", "g/p", "g/p0", "g/q" };
    AUTO(arena_release) struct arena a = { 0 };
    struct world *w = *state;
    struct inspect_usage usage = { 0 };
    for (size_t i = 0; i < ARRAY_LEN(repos); i++)
        push_sharing(w, repos[i], "layer", "v1");
    OK(inspect_usage(&w->r, STR("g"), 1, &a, &usage, &w->err));
    assert_int_equal(usage.below_count, ARRAY_LEN(wanted));
    for (size_t i = 0; i < ARRAY_LEN(wanted); i++)
        assert_true(str_eq(usage.below[i].prefix, str_of(wanted[i])));
}

int main(void)
{
    const struct CMUnitTest tests[] = { WORLD_TEST(classes), WORLD_TEST(prefixes),
                                        WORLD_TEST(of_repository), WORLD_TEST(at_random),
                                        WORLD_TEST(what_lies_right_below) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
