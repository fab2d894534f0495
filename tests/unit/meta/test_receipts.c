/* SPDX-License-Identifier: Apache-2.0 */
#include <unistd.h>

#include "base/buf.h"
#include "meta/receipts.h"
#include "world_test.h"

struct rig {
    struct world w;
    struct arena a;
    struct receipts_verdict verdict;
    struct receipts_stretch stretch;
};

static int setup(void **state)
{
    static struct rig rig;
    rig = (struct rig){ .a = { .limit_bytes = 64 * MIB } };
    if (!world_open(&rig.w, "")) {
        print_error("%s\n", rig.w.err.text);
        return -1;
    }
    *state = &rig;
    return 0;
}

static int teardown(void **state)
{
    struct rig *r = *state;
    arena_release(&r->a);
    world_close(&r->w);
    return 0;
}

#define RECEIPT_TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

/* Receipts 1 .. count by direct orders. */
static void make_receipts(struct world *w, int count)
{
    for (int i = 0; i < count; i++) {
        char name[32];
        struct made m;
        (void)snprintf(name, sizeof(name), "image-%d", i);
        push_image(w, "app", name, "v1", &m);
        OK(world_push(w, "app", &m, "v2"));
        OK(world_delete_manifest(w, "app", &m.digest));
        w->now += 1000;
    }
}

static enum st verify(struct db_tx *tx, void *ctx, struct err *err)
{
    struct rig *r = ctx;
    return receipts_verify(tx, deletion_public_key(r->w.d), &r->stretch, &r->a, &r->verdict, err);
}

static const struct receipts_verdict *verified(struct rig *r, int64_t from,
                                               const unsigned char *before, size_t limit)
{
    struct world *w = &r->w;
    r->stretch = (struct receipts_stretch){ .from = from, .before = before, .limit = limit };
    OK(db_read(w->r.db, verify, r, &w->err));
    return &r->verdict;
}

static enum st run_sql(struct db_tx *tx, void *ctx, struct err *err)
{
    return db_run(tx, ctx, DB_NO_ARGS, NULL, err);
}

static void run(struct world *w, const char *sql)
{
    /* The address of a statement is its key: each text must stay. */
    static char texts[400][240];
    static size_t n;
    assert_true(n < ARRAY_LEN(texts));
    (void)snprintf(texts[n], sizeof(texts[n]), "%s", sql);
    OK(db_write(w->r.db, run_sql, texts[n++], &w->err));
}

/* ---- whole ----------------------------------------------------------------------------------- */

static void a_chain_is_whole(void **state)
{
    struct rig *r = *state;
    const struct receipts_verdict *v = verified(r, 0, NULL, 100);
    assert_int_equal(v->checked, 0);
    assert_int_equal(v->last_seq, 0);
    make_receipts(&r->w, 5);
    v = verified(r, 0, NULL, 100);
    assert_int_equal(v->wrong_count, 0);
    assert_int_equal(v->checked, 5);
    assert_int_equal(v->last_seq, 5);
    assert_int_equal(v->next, 0);
}

static void it_is_verified_in_stretches(void **state)
{
    struct rig *r = *state;
    unsigned char hash[RECEIPT_HASH_BYTES];
    int64_t from = 0;
    uint64_t checked = 0;
    make_receipts(&r->w, 7);
    do {
        const struct receipts_verdict *v = verified(r, from, from == 0 ? NULL : hash, 3);
        assert_int_equal(v->wrong_count, 0);
        checked += v->checked;
        from = v->next;
        memcpy(hash, v->last_hash, sizeof(hash));
    } while (from != 0);
    assert_int_equal(checked, 7);
}

/* ---- any change ------------------------------------------------------------------------------ */

/* Each column that is covered, changed in the third of five. */
static void each_change_is_found(void **state)
{
    struct rig *r = *state;
    struct world *w = &r->w;
    static const struct {
        const char *table, *column, *to, *where;
    } rows[] = {
        { "receipt", "created_at", "created_at + 1", "id = 3" },
        { "receipt", "sealed_at", "sealed_at - 1", "id = 3" },
        { "receipt", "due_at", "due_at + 1", "id = 3" },
        { "receipt", "door", "'ebb'", "id = 3" },
        { "receipt", "actor", "'nobody'", "id = 3" },
        { "receipt", "peer", "'127.0.0.2'", "id = 3" },
        { "receipt", "reason", "''", "id = 3" },
        { "receipt", "rule", "'x'", "id = 3" },
        { "receipt", "request", "'{}'", "id = 3" },
        { "receipt", "plan_id", "'x'", "id = 3" },
        { "receipt", "undo_of", "2", "id = 3" },
        { "receipt", "kind", "'undo'", "id = 3" },
        { "receipt", "kind", "'deleted'", "id = 3" },
        { "receipt", "state", "'open'", "id = 3" },
        { "receipt", "immediate", "1", "id = 3" },
        { "receipt", "immediate", "2", "id = 3" },
        { "receipt", "total", "total + 1", "id = 3" },
        { "receipt", "position", "position + 1", "id = 3" },
        { "receipt", "items", "items - 1", "id = 3" },
        { "receipt", "tags", "tags - 1", "id = 3" },
        { "receipt", "manifests", "manifests + 1", "id = 3" },
        { "receipt", "blobs", "blobs + 1", "id = 3" },
        { "receipt", "skipped", "skipped + 1", "id = 3" },
        { "receipt", "bytes_freed", "bytes_freed + 1", "id = 3" },
        { "receipt", "bytes_kept", "bytes_kept + 1", "id = 3" },
        { "receipt", "seq", "30", "id = 3" },
        { "receipt", "items_hash", "(SELECT items_hash FROM receipt WHERE id = 2)", "id = 3" },
        { "receipt", "prev_hash", "hash", "id = 3" },
        { "receipt", "hash", "prev_hash", "id = 3" },
        { "receipt", "signature", "(SELECT signature FROM receipt WHERE id = 2)", "id = 3" },
        { "receipt", "signature", "NULL", "id = 3" },
        { "receipt_item", "item", "9", "receipt_id = 3 AND item = 2" },
        { "receipt_item", "kind", "'b'", "receipt_id = 3 AND item = 2" },
        { "receipt_item", "kind", "'x'", "receipt_id = 3 AND item = 2" },
        { "receipt_item", "role", "'w'", "receipt_id = 3 AND item = 2" },
        { "receipt_item", "repo", "'lib'", "receipt_id = 3 AND item = 2" },
        { "receipt_item", "tag", "'v3'", "receipt_id = 3 AND item = 2" },
        { "receipt_item", "tag", "NULL", "receipt_id = 3 AND item = 2" },
        { "receipt_item", "digest",
          "(SELECT digest FROM receipt_item WHERE receipt_id = 2"
          " AND item = 2)",
          "receipt_id = 3 AND item = 2" },
        { "receipt_item", "digest", "x'00'", "receipt_id = 3 AND item = 2" },
        { "receipt_item", "size", "size + 1", "receipt_id = 3 AND item = 3" },
        { "receipt_item", "why", "'x'", "receipt_id = 3 AND item = 2" },
    };
    make_receipts(w, 5);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char sql[240];
        run(w, "CREATE TABLE saved AS SELECT * FROM receipt WHERE id = 3");
        run(w, "CREATE TABLE saved_item AS SELECT * FROM receipt_item WHERE receipt_id = 3");
        (void)snprintf(sql, sizeof(sql), "UPDATE %s SET %s = %s WHERE %s", rows[i].table,
                       rows[i].column, rows[i].to, rows[i].where);
        run(w, sql);
        const struct receipts_verdict *v = verified(r, 0, NULL, 100);
        if (v->wrong_count == 0)
            fail_msg("nobody sees: %s", sql);
        run(w, "DELETE FROM receipt_item WHERE receipt_id = 3");
        run(w, "REPLACE INTO receipt SELECT * FROM saved");
        run(w, "INSERT INTO receipt_item SELECT * FROM saved_item");
        run(w, "DROP TABLE saved");
        run(w, "DROP TABLE saved_item");
    }
    assert_int_equal(verified(r, 0, NULL, 100)->wrong_count, 0);
    run(w, "UPDATE receipt SET undone = 1 WHERE id = 3"); /* notes are no part of it */
    run(w, "UPDATE receipt_item SET undone_by = 5 WHERE receipt_id = 3");
    assert_int_equal(verified(r, 0, NULL, 100)->wrong_count, 0);
}

/* A change is told once, at its place; what follows is right. */
static void only_what_is_wrong_is_told(void **state)
{
    struct rig *r = *state;
    make_receipts(&r->w, 5);
    run(&r->w, "UPDATE receipt SET actor = 'nobody' WHERE id = 3");
    const struct receipts_verdict *v = verified(r, 0, NULL, 100);
    assert_int_equal(v->wrong_count, 1);
    assert_int_equal(v->wrong[0].seq, 3);
    assert_int_equal(v->wrong[0].receipt_id, 3);
    assert_int_equal(v->checked, 5);
}

static void removing_and_reordering_is_found(void **state)
{
    struct rig *r = *state;
    struct world *w = &r->w;
    unsigned char head[RECEIPT_HASH_BYTES];
    make_receipts(w, 5);
    memcpy(head, verified(r, 0, NULL, 100)->last_hash, sizeof(head));
    run(w, "UPDATE receipt SET seq = 99 WHERE id = 2");
    run(w, "UPDATE receipt SET seq = 2 WHERE id = 3");
    run(w, "UPDATE receipt SET seq = 3 WHERE id = 2");
    assert_true(verified(r, 0, NULL, 100)->wrong_count >= 2);
    run(w, "UPDATE receipt SET seq = 99 WHERE id = 2");
    run(w, "UPDATE receipt SET seq = 3 WHERE id = 3");
    run(w, "UPDATE receipt SET seq = 2 WHERE id = 2");
    assert_int_equal(verified(r, 0, NULL, 100)->wrong_count, 0);

    run(w, "DELETE FROM receipt_item WHERE receipt_id = 5");
    run(w, "DELETE FROM receipt WHERE id = 5");
    assert_int_equal(verified(r, 0, NULL, 100)->wrong_count, 0); /* as if it never was, ... */
    const struct receipts_verdict *v = verified(r, 6, head, 100);
    assert_int_equal(v->wrong_count, 1); /* ... unless somebody noted the head */
    assert_int_equal(v->wrong[0].seq, 5);

    run(w, "DELETE FROM receipt_item WHERE receipt_id = 3");
    run(w, "DELETE FROM receipt WHERE id = 3");
    v = verified(r, 0, NULL, 100);
    assert_int_equal(v->wrong_count, 1);
    assert_int_equal(v->wrong[0].seq, 3);
    run(w, "DELETE FROM receipt_item WHERE receipt_id = 1");
    run(w, "DELETE FROM receipt WHERE id = 1");
    assert_int_equal(verified(r, 0, NULL, 100)->wrong_count, 2);
}

/* ---- dropping -------------------------------------------------------------------------------- */

struct dropping {
    int64_t until;
    struct signature_key *key;
    bool more;
};

static enum st drop(struct db_tx *tx, void *ctx, struct err *err)
{
    struct dropping *d = ctx;
    return receipts_expire(tx, d->until, d->key, &d->more, err);
}

static void the_old_end_is_dropped(void **state)
{
    struct rig *r = *state;
    struct world *w = &r->w;
    make_receipts(w, 5);
    /* The engine's own key is not to be had: they are sealed by another one from here on. */
    struct dropping d = { .until = WORLD_START + WORLD_GRACE + 2000, .more = true };
    OK(signature_key_new(&d.key, &w->err));
    while (d.more)
        OK(db_write(w->r.db, drop, &d, &w->err));
    COUNT(2, "SELECT count(*) FROM receipt");
    COUNT(6, "SELECT count(*) FROM receipt_item");
    COUNT(3, "SELECT seq FROM receipt_anchor");
    const struct receipts_verdict *v = verified(r, 0, NULL, 100);
    assert_int_equal(v->wrong_count, 1); /* the anchor is not by this registry's key */
    assert_int_equal(v->wrong[0].seq, 3);
    assert_int_equal(v->checked, 2);
    run(w, "UPDATE receipt_anchor SET hash = signature");
    assert_true(verified(r, 0, NULL, 100)->wrong_count >= 2);
    d.until = INT64_MAX;
    d.more = true;
    while (d.more)
        OK(db_write(w->r.db, drop, &d, &w->err));
    COUNT(1, "SELECT count(*) FROM receipt"); /* the newest stays: ids are not given twice */
    make_receipts(w, 1);
    COUNT(6, "SELECT max(seq) FROM receipt");
    signature_key_free(d.key);
}

/* ---- others can verify it -------------------------------------------------------------------- */

/* The fixed text of a receipt and of an item: doc/receipts.md shows them, and programs of others
 * compute with them. */
static void texts_are_as_documented(void **state)
{
    (void)state;
    AUTO(buf_release) struct buf b = { .max_bytes = 4096 };
    struct receipt_item item = { .number = 2,
                                 .kind = ITEM_TAG,
                                 .repo = STR("group/app"),
                                 .tag = STR("v1"),
                                 .digest = world_digest("x"),
                                 .size = 0 };
    receipts_item_text(&item, &b);
    assert_true(str_eq(
        buf_str(&b),
        STR("item 2\nkind 3:tag\nrole 8:selected\nrepository 9:group/app\ntag 2:v1\ndigest 71:"
            "sha256:2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881\n"
            "size 0\nskipped -\n")));
    buf_clear(&b);
    struct receipt receipt = { .id = 17,
                               .created_at = 1700000000000,
                               .sealed_at = 1700000000005,
                               .due_at = 1700086400000,
                               .door = STR("ebb"),
                               .actor = STR("anonymous"),
                               .peer = STR("127.0.0.1"),
                               .reason = STR("disk\nfull"),
                               .total = 1,
                               .position = 1,
                               .items = 2,
                               .tags = 1,
                               .manifests = 1,
                               .bytes_freed = 123,
                               .seq = 9 };
    receipts_text(&receipt, &b);
    assert_true(str_eq(
        buf_str(&b),
        STR("ebb receipt 1\nid 17\nseq 9\nkind 6:delete\ncreated_at 1700000000000\n"
            "sealed_at 1700000000005\ndue_at 1700086400000\ndoor 3:ebb\nactor 9:anonymous\n"
            "peer 9:127.0.0.1\nreason 9:disk\nfull\nrule -\nrequest -\nplan -\nundo_of 0\n"
            "immediate 0\ntotal 1\nposition 1\nitems 2\ntags 1\nmanifests 1\nblobs 0\nskipped 0\n"
            "bytes_freed 123\nbytes_kept 0\nitems_hash "
            "0000000000000000000000000000000000000000000000000000000000000000\n")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RECEIPT_TEST(a_chain_is_whole),
        RECEIPT_TEST(it_is_verified_in_stretches),
        RECEIPT_TEST(each_change_is_found),
        RECEIPT_TEST(only_what_is_wrong_is_told),
        RECEIPT_TEST(removing_and_reordering_is_found),
        RECEIPT_TEST(the_old_end_is_dropped),
        cmocka_unit_test(texts_are_as_documented),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
