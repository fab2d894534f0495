/* SPDX-License-Identifier: Apache-2.0
 *
 * The canonical texts, as doc/receipts.md describes them, and the chain.
 *
 *     anchor(seq, hash) ◀── receipt seq+1 ◀── receipt seq+2 ◀── ... ◀── head
 *
 *  1. A text is injective: two receipts, or items, that differ in anything differ in their text.
 *     Each line is a name and a number, or a name, the length of a value and its bytes.
 *  2. A receipt gets its place in the transaction that seals it, so there is one head at a time.
 *  3. The anchor is written with the removal of the receipt that it stands for.
 *  4. Whoever holds the key can write another chain; whoever noted the head finds out.
 */
#include "base/buf.h"
#include "meta/receipts_int.h"

#define TEXT_MAX ((size_t)(80 * MIB)) /* a request may be long */

/* ---- texts ----------------------------------------------------------------------------------- */

static void add_number(struct buf *b, const char *name, int64_t n)
{
    buf_add(b, str_of(name));
    buf_add_byte(b, ' ');
    buf_add_number(b, n);
    buf_add_byte(b, '\n');
}

/* Unset is "-". */
static void add_text(struct buf *b, const char *name, str s)
{
    buf_add(b, str_of(name));
    buf_add_byte(b, ' ');
    if (s.ptr == NULL) {
        buf_add(b, STR("-\n"));
        return;
    }
    buf_add_number(b, (int64_t)s.len);
    buf_add_byte(b, ':');
    buf_add(b, s);
    buf_add_byte(b, '\n');
}

static void add_hex(struct buf *b, const char *name,
                    const unsigned char hash[static RECEIPT_HASH_BYTES])
{
    static const char digits[] = "0123456789abcdef";
    char text[2 * RECEIPT_HASH_BYTES];
    for (size_t i = 0; i < RECEIPT_HASH_BYTES; i++) {
        text[2 * i] = digits[hash[i] >> 4];
        text[2 * i + 1] = digits[hash[i] & 15];
    }
    buf_add(b, str_of(name));
    buf_add_byte(b, ' ');
    buf_add(b, (str){ text, sizeof(text) });
    buf_add_byte(b, '\n');
}

void receipts_text(const struct receipt *r, struct buf *b)
{
    buf_add(b, STR("ebb receipt 1\n"));
    add_number(b, "id", r->id);
    add_number(b, "seq", r->seq);
    add_text(b, "kind", r->kind == RECEIPT_UNDO ? STR("undo") : STR("delete"));
    add_number(b, "created_at", r->created_at);
    add_number(b, "sealed_at", r->sealed_at);
    add_number(b, "due_at", r->due_at);
    add_text(b, "door", r->door);
    add_text(b, "actor", r->actor);
    add_text(b, "peer", r->peer);
    add_text(b, "reason", r->reason);
    add_text(b, "rule", r->rule);
    add_text(b, "request", r->request);
    add_text(b, "plan", r->plan_id);
    add_number(b, "undo_of", r->undo_of);
    add_number(b, "immediate", r->immediate);
    add_number(b, "total", (int64_t)r->total);
    add_number(b, "position", (int64_t)r->position);
    add_number(b, "items", (int64_t)r->items);
    add_number(b, "tags", (int64_t)r->tags);
    add_number(b, "manifests", (int64_t)r->manifests);
    add_number(b, "blobs", (int64_t)r->blobs);
    add_number(b, "skipped", (int64_t)r->skipped);
    add_number(b, "bytes_freed", (int64_t)r->bytes_freed);
    add_number(b, "bytes_kept", (int64_t)r->bytes_kept);
    add_hex(b, "items_hash", r->items_hash);
}

void receipts_item_text(const struct receipt_item *item, struct buf *b)
{
    static const char *const kinds[] = { "tag", "manifest", "blob" };
    char digest[DIGEST_TEXT_MAX + 1];
    add_number(b, "item", (int64_t)item->number);
    add_text(b, "kind", str_of(kinds[item->kind]));
    add_text(b, "role", item->with ? STR("with") : STR("selected"));
    add_text(b, "repository", item->repo);
    add_text(b, "tag", item->tag);
    add_text(b, "digest", digest_text(&item->digest, digest));
    add_number(b, "size", (int64_t)item->size);
    add_text(b, "skipped", item->why);
}

/* ---- hashes ---------------------------------------------------------------------------------- */

static str hash_bytes(const unsigned char hash[static RECEIPT_HASH_BYTES])
{
    return (str){ (const char *)hash, RECEIPT_HASH_BYTES };
}

enum st receipts_roll(unsigned char hash[static RECEIPT_HASH_BYTES],
                      const struct receipt_item *item, struct err *err)
{
    AUTO(buf_release) struct buf text = { .max_bytes = TEXT_MAX };
    receipts_item_text(item, &text);
    enum st st = buf_status(&text, err);
    if (st == ST_OK)
        hash256((const str[]){ hash_bytes(hash), buf_str(&text) }, 2, hash);
    return st;
}

static enum st hash_receipt(const struct receipt *r,
                            const unsigned char before[static RECEIPT_HASH_BYTES],
                            unsigned char out[static RECEIPT_HASH_BYTES], struct err *err)
{
    AUTO(buf_release) struct buf text = { .max_bytes = TEXT_MAX };
    receipts_text(r, &text);
    enum st st = buf_status(&text, err);
    if (st == ST_OK)
        hash256((const str[]){ hash_bytes(before), buf_str(&text) }, 2, out);
    return st;
}

/* ---- the anchor and the head ----------------------------------------------------------------- */

struct chain_end {
    int64_t seq; /* 0: nothing yet */
    unsigned char hash[RECEIPT_HASH_BYTES];
    unsigned char signature[SIGNATURE_BYTES];
    bool has_signature;
};

static enum st read_end(struct db_tx *tx, const char *sql, struct chain_end *out, struct err *err)
{
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    struct chain_end end = { 0 };
    enum st st = db_one(tx, &rows, sql, DB_NO_ARGS, err);
    if (st != ST_OK)
        return st;
    str hash = db_bytes(&rows, 1);
    str signature = db_bytes(&rows, 2);
    end.seq = db_int(&rows, 0);
    if (hash.len == sizeof(end.hash))
        memcpy(end.hash, hash.ptr, sizeof(end.hash));
    end.has_signature = signature.len == sizeof(end.signature);
    if (end.has_signature)
        memcpy(end.signature, signature.ptr, sizeof(end.signature));
    *out = end;
    return ST_OK;
}

/* seq 0 when nothing was dropped yet. */
static enum st find_anchor(struct db_tx *tx, struct chain_end *out, struct err *err)
{
    enum st st =
        read_end(tx, "SELECT seq, hash, signature FROM receipt_anchor WHERE id = 1", out, err);
    if (st == ST_NOT_FOUND)
        *out = (struct chain_end){ 0 };
    return st == ST_NOT_FOUND ? ST_OK : st;
}

static enum st find_head(struct db_tx *tx, struct chain_end *out, struct err *err)
{
    enum st st = read_end(tx,
                          "SELECT seq, hash, signature FROM receipt WHERE seq IS NOT NULL"
                          " ORDER BY seq DESC LIMIT 1",
                          out, err);
    return st == ST_NOT_FOUND ? find_anchor(tx, out, err) : st;
}

static enum st anchor_hash(const struct chain_end *end,
                           unsigned char out[static RECEIPT_HASH_BYTES], struct err *err)
{
    AUTO(buf_release) struct buf text = { .max_bytes = KIB };
    buf_add(&text, STR("ebb receipt anchor 1\n"));
    add_number(&text, "seq", end->seq);
    add_hex(&text, "hash", end->hash);
    enum st st = buf_status(&text, err);
    if (st == ST_OK)
        hash256((const str[]){ buf_str(&text) }, 1, out);
    return st;
}

enum st receipts_set_anchor(struct db_tx *tx, const struct signature_key *key, int64_t seq,
                            const unsigned char hash[static RECEIPT_HASH_BYTES], struct err *err)
{
    struct chain_end end = { .seq = seq };
    unsigned char signed_hash[RECEIPT_HASH_BYTES];
    memcpy(end.hash, hash, sizeof(end.hash));
    enum st st = anchor_hash(&end, signed_hash, err);
    if (st == ST_OK)
        st = signature_make(key, hash_bytes(signed_hash), end.signature, err);
    if (st != ST_OK)
        return st;
    str signature = { (const char *)end.signature, sizeof(end.signature) };
    return db_run(tx,
                  "INSERT INTO receipt_anchor (id, seq, hash, signature) VALUES (1, $1, $2, $3)"
                  " ON CONFLICT (id) DO UPDATE SET seq = excluded.seq, hash = excluded.hash,"
                  " signature = excluded.signature",
                  DB_ARGS(DB_INT(seq), DB_BYTES(hash_bytes(end.hash)), DB_BYTES(signature)), NULL,
                  err);
}

enum st receipts_seal(struct db_tx *tx, struct receipt *r, const struct signature_key *key,
                      int64_t now, struct err *err)
{
    struct chain_end head = { 0 };
    enum st st = receipts_note(tx, r, err);
    if (st == ST_OK)
        st = find_head(tx, &head, err);
    if (st != ST_OK)
        return st;
    r->seq = head.seq + 1;
    r->sealed_at = now;
    memcpy(r->prev_hash, head.hash, sizeof(r->prev_hash));
    st = hash_receipt(r, r->prev_hash, r->hash, err);
    if (st == ST_OK)
        st = signature_make(key, hash_bytes(r->hash), r->signature, err);
    if (st != ST_OK)
        return st;
    r->sealed = r->has_signature = true;
    str signature = { (const char *)r->signature, sizeof(r->signature) };
    return db_run(tx,
                  "UPDATE receipt SET state = 'sealed', sealed_at = $1, seq = $2, prev_hash = $3,"
                  " hash = $4, signature = $5 WHERE id = $6",
                  DB_ARGS(DB_INT(now), DB_INT(r->seq), DB_BYTES(hash_bytes(r->prev_hash)),
                          DB_BYTES(hash_bytes(r->hash)), DB_BYTES(signature), DB_INT(r->id)),
                  NULL, err);
}

/* ---- verifying ------------------------------------------------------------------------------- */

struct verifying {
    const uint8_t *public;
    struct arena *a;
    struct receipts_verdict v;
    uint64_t items;
};

static enum st wrong(struct verifying *c, int64_t seq, int64_t id, const char *text,
                     struct err *err)
{
    if (c->v.wrong_count == RECEIPTS_WRONG_MAX)
        return ST_OK;
    str copy = arena_dup(c->a, str_of(text));
    if (copy.ptr == NULL)
        return err_no_memory(err);
    c->v.wrong[c->v.wrong_count++] = (struct receipts_wrong){ seq, id, copy };
    return ST_OK;
}

/* The hash over the items as they are. *readable: false when one of them is not. */
static enum st hash_items(struct db_tx *tx, struct verifying *c, int64_t id,
                          unsigned char hash[static RECEIPT_HASH_BYTES], bool *readable,
                          struct err *err)
{
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    struct err why = { 0 };
    *readable = true;
    memset(hash, 0, RECEIPT_HASH_BYTES);
    enum st st = db_select(tx, &rows,
                           "SELECT " RECEIPT_ITEM_COLUMNS " FROM receipt_item"
                           " WHERE receipt_id = $1 ORDER BY item",
                           DB_ARGS(DB_INT(id)), err);
    while (st == ST_OK && *readable && (st = db_next(&rows, err)) == ST_OK) {
        AUTO(arena_release) struct arena scratch = { .limit_bytes = 16 * MIB };
        struct receipt_item item = { 0 };
        c->items++;
        st = receipts_read_item(&rows, &scratch, &item, &why);
        if (st == ST_OK)
            st = receipts_roll(hash, &item, &why);
        *readable = st != ST_CORRUPT;
        if (st == ST_CORRUPT)
            st = ST_OK;
        else if (st != ST_OK)
            return err_set(err, st, "%s", why.text);
    }
    return st == ST_END ? ST_OK : st;
}

static enum st check_signature(struct verifying *c, const struct receipt *r, struct err *err)
{
    struct err why = { 0 };
    if (!r->has_signature)
        return wrong(c, r->seq, r->id, "it is not signed", err);
    enum st st = signature_check(c->public, hash_bytes(r->hash), r->signature, &why);
    if (st == ST_MISMATCH)
        return wrong(c, r->seq, r->id, "its signature is not by the registry's key", err);
    return st == ST_OK ? ST_OK : err_set(err, st, "%s", why.text);
}

/* A receipt behind the one with c->v.last_hash. What was changed in it is told once. */
static enum st check_receipt(struct db_tx *tx, struct verifying *c, const struct receipt *r,
                             bool has_before, struct err *err)
{
    unsigned char hash[RECEIPT_HASH_BYTES];
    bool readable = false;
    enum st st = ST_OK;
    if (!r->sealed)
        st = wrong(c, r->seq, r->id, "it is in the chain and not sealed", err);
    if (st == ST_OK && has_before &&
        memcmp(r->prev_hash, c->v.last_hash, sizeof(r->prev_hash)) != 0)
        st = wrong(c, r->seq, r->id, "it does not follow the receipt before it", err);
    if (st == ST_OK)
        st = hash_items(tx, c, r->id, hash, &readable, err);
    if (st == ST_OK && (!readable || memcmp(hash, r->items_hash, sizeof(hash)) != 0))
        st = wrong(c, r->seq, r->id, "its items are not those that were recorded", err);
    if (st == ST_OK)
        st = hash_receipt(r, r->prev_hash, hash, err);
    if (st == ST_OK && memcmp(hash, r->hash, sizeof(hash)) != 0)
        st = wrong(c, r->seq, r->id, "it was changed after it was sealed", err);
    return st == ST_OK ? check_signature(c, r, err) : st;
}

static enum st missing(struct verifying *c, int64_t from, int64_t to, struct err *err)
{
    char text[120];
    if (from == to)
        (void)snprintf(text, sizeof(text), "receipt number %lld of the chain is missing",
                       (long long)from);
    else
        (void)snprintf(text, sizeof(text), "receipts number %lld to %lld of the chain are missing",
                       (long long)from, (long long)to);
    return wrong(c, from, 0, text, err);
}

/* Where to begin: behind the anchor, or where the caller says. *has_before: v.last_hash is known.
 */
static enum st begin(struct db_tx *tx, struct verifying *c, const struct receipts_stretch *stretch,
                     bool *has_before, struct err *err)
{
    struct chain_end anchor = { 0 };
    struct err why = { 0 };
    unsigned char hash[RECEIPT_HASH_BYTES];
    int64_t from = MAX(stretch->from, (int64_t)1);
    enum st st = find_anchor(tx, &anchor, err);
    if (st == ST_OK)
        st = anchor_hash(&anchor, hash, err);
    if (st != ST_OK)
        return st;
    if (anchor.seq != 0) {
        st = anchor.has_signature
                 ? signature_check(c->public, hash_bytes(hash), anchor.signature, &why)
                 : ST_MISMATCH;
        if (st == ST_MISMATCH)
            st = wrong(c, anchor.seq, 0, "the mark of what was dropped is not the registry's", err);
        else if (st != ST_OK)
            err_set(err, st, "%s", why.text);
        if (st != ST_OK)
            return st;
    }
    *has_before = true;
    if (from <= anchor.seq + 1) {
        if (from == anchor.seq + 1 && from > 1 && stretch->before != NULL &&
            memcmp(anchor.hash, stretch->before, sizeof(anchor.hash)) != 0)
            st =
                wrong(c, anchor.seq, 0, "the receipt before it is another than the one noted", err);
        c->v.last_seq = anchor.seq;
        memcpy(c->v.last_hash, anchor.hash, sizeof(anchor.hash));
        return st;
    }
    c->v.last_seq = from - 1;
    *has_before = stretch->before != NULL;
    if (*has_before)
        memcpy(c->v.last_hash, stretch->before, sizeof(c->v.last_hash));
    return ST_OK;
}

/* The receipt that the caller noted must still be there, and be the same. */
static enum st check_noted(struct db_tx *tx, struct verifying *c, bool has_before, struct err *err)
{
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    struct chain_end anchor = { 0 };
    enum st st = find_anchor(tx, &anchor, err);
    if (st != ST_OK || c->v.last_seq <= anchor.seq)
        return st;
    st = db_one(tx, &rows, "SELECT hash, id FROM receipt WHERE seq = $1",
                DB_ARGS(DB_INT(c->v.last_seq)), err);
    if (st == ST_NOT_FOUND)
        return missing(c, c->v.last_seq, c->v.last_seq, err);
    if (st == ST_OK && has_before && !str_eq(db_bytes(&rows, 0), hash_bytes(c->v.last_hash)))
        st = wrong(c, c->v.last_seq, db_int(&rows, 1), "it is another than the one noted", err);
    return st;
}

static enum st next_in_chain(struct db_tx *tx, int64_t after, struct arena *a, struct receipt *out,
                             struct err *err)
{
    AUTO(db_rows_close) struct db_rows rows = { 0 };
    enum st st = db_one(tx, &rows,
                        "SELECT " RECEIPT_COLUMNS " FROM receipt WHERE seq IS NOT NULL"
                        " AND seq > $1 ORDER BY seq LIMIT 1",
                        DB_ARGS(DB_INT(after)), err);
    if (st != ST_OK)
        return st;
    /* What cannot be read has at least a place. */
    out->id = db_int(&rows, 0);
    out->seq = db_int(&rows, 24);
    str hash = db_bytes(&rows, 27);
    if (hash.len == sizeof(out->hash))
        memcpy(out->hash, hash.ptr, sizeof(out->hash));
    return receipts_read(&rows, a, out, err);
}

/* The next one; ST_END behind the last. */
static enum st check_next(struct db_tx *tx, struct verifying *c, bool has_before, struct err *err)
{
    AUTO(arena_release) struct arena scratch = { .limit_bytes = 128 * MIB };
    struct receipt r = { 0 };
    struct err why = { 0 };
    enum st read = next_in_chain(tx, c->v.last_seq, &scratch, &r, &why);
    if (read == ST_NOT_FOUND)
        return ST_END;
    if (read != ST_OK && read != ST_CORRUPT)
        return err_set(err, read, "%s", why.text);
    enum st st = ST_OK;
    if (r.seq != c->v.last_seq + 1) {
        st = missing(c, c->v.last_seq + 1, r.seq - 1, err);
        has_before = false;
    }
    if (st == ST_OK && read == ST_CORRUPT)
        st = wrong(c, r.seq, r.id, "it was changed after it was sealed", err);
    else if (st == ST_OK)
        st = check_receipt(tx, c, &r, has_before, err);
    c->v.checked++;
    c->v.last_seq = r.seq;
    memcpy(c->v.last_hash, r.hash, sizeof(r.hash));
    return st;
}

enum st receipts_verify(struct db_tx *tx, const uint8_t public[static SIGNATURE_PUBLIC_BYTES],
                        const struct receipts_stretch *stretch, struct arena *a,
                        struct receipts_verdict *out, struct err *err)
{
    struct verifying c = { .public = public, .a = a };
    bool has_before = false;
    c.v.wrong = arena_alloc(a, RECEIPTS_WRONG_MAX * sizeof(*c.v.wrong));
    if (c.v.wrong == NULL)
        return err_no_memory(err);
    enum st st = begin(tx, &c, stretch, &has_before, err);
    if (st == ST_OK)
        st = check_noted(tx, &c, has_before, err);
    while (st == ST_OK && c.v.checked < MAX(stretch->limit, (size_t)1) &&
           (stretch->items_max == 0 || c.items < stretch->items_max)) {
        st = check_next(tx, &c, has_before, err);
        has_before = true;
    }
    if (st != ST_OK && st != ST_END)
        return st;
    c.v.next = st == ST_END ? 0 : c.v.last_seq + 1;
    *out = c.v;
    return ST_OK;
}
