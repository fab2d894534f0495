/* SPDX-License-Identifier: Apache-2.0
 *
 * Which items of a receipt are meant, and how that is written down so that a restart goes on with
 * the same ones.
 */
#include "base/json.h"
#include "deletion/undo_int.h"
#include "oci/name.h"

#define PAGE_ITEMS   2000
#define RANGES_BYTES ((size_t)(64 * MIB))

/* ---- references ------------------------------------------------------------------------------ */

enum st undo_parse(str text, struct undo_reference *out, struct err *err)
{
    struct undo_reference r = { .text = text };
    str name = STR_NONE;
    enum st st = ST_OK;
    if (str_cut(text, '@', &r.repo, &name))
        st = digest_parse(name, &r.digest, err);
    else if (str_cut_last(text, ':', &r.repo, &name) && name.len > 0)
        r.tag = name;
    else
        return err_set(err, ST_INVALID, "\"%.*s\" is no reference: repo:tag or repo@sha256:...",
                       (int)MIN(text.len, (size_t)200), text.ptr);
    if (st == ST_OK)
        st = name_check(r.repo, err);
    if (st != ST_OK)
        return err_set(err, ST_INVALID, "\"%.*s\" is no reference: repo:tag or repo@sha256:...",
                       (int)MIN(text.len, (size_t)200), text.ptr);
    *out = r;
    return ST_OK;
}

/* ---- a table of what is wanted --------------------------------------------------------------- */

struct wanted {
    uint64_t hash; /* 0: an empty slot */
    str repo;
    str tag;
    struct digest digest;
    size_t reference; /* + 1; 0: the image of a tag that is wanted */
};

struct choosing {
    struct arena *a;
    struct wanted *slots;
    size_t size; /* a power of two */
    size_t used;
    bool *found; /* by reference */
    struct buf ranges;
    struct undo_choice choice;
};

static uint64_t hash_more(uint64_t h, str s)
{
    for (size_t i = 0; i < s.len; i++)
        h = (h ^ (unsigned char)s.ptr[i]) * UINT64_C(1099511628211);
    return (h ^ 0xFF) * UINT64_C(1099511628211);
}

static uint64_t hash_of(str repo, str tag, const struct digest *digest)
{
    uint64_t h = hash_more(UINT64_C(14695981039346656037), repo);
    if (tag.ptr != NULL)
        return hash_more(h, tag) | 1;
    return hash_more(h, (str){ (const char *)digest->bytes, sizeof(digest->bytes) }) | 1;
}

static struct wanted *slot_of(const struct choosing *c, str repo, str tag,
                              const struct digest *digest)
{
    uint64_t hash = hash_of(repo, tag, digest);
    size_t at = (size_t)(hash >> 7) & (c->size - 1);
    for (;; at = (at + 1) & (c->size - 1)) {
        struct wanted *w = &c->slots[at];
        if (w->hash == 0)
            return w;
        if (w->hash == hash && str_eq(w->repo, repo) && (w->tag.ptr == NULL) == (tag.ptr == NULL) &&
            (tag.ptr != NULL ? str_eq(w->tag, tag) : digest_eq(&w->digest, digest)))
            return w;
    }
}

static const struct wanted *find(const struct choosing *c, str repo, str tag,
                                 const struct digest *digest)
{
    const struct wanted *w = slot_of(c, repo, tag, digest);
    return w->hash == 0 ? NULL : w;
}

static enum st grow(struct choosing *c, struct err *err)
{
    struct choosing more = { .size = MAX(c->size * 2, (size_t)64) };
    if ((c->used + 1) * 2 <= c->size)
        return ST_OK;
    more.slots = arena_alloc(c->a, more.size * sizeof(*more.slots));
    if (more.slots == NULL)
        return err_no_memory(err);
    for (size_t i = 0; i < c->size; i++) {
        const struct wanted *w = &c->slots[i];
        if (w->hash != 0)
            *slot_of(&more, w->repo, w->tag, &w->digest) = *w;
    }
    c->slots = more.slots;
    c->size = more.size;
    return ST_OK;
}

/* `repo` and `tag` must outlive the table. */
static enum st want(struct choosing *c, str repo, str tag, const struct digest *digest,
                    size_t reference, struct err *err)
{
    enum st st = grow(c, err);
    if (st != ST_OK)
        return st;
    struct wanted *w = slot_of(c, repo, tag, digest);
    if (w->hash == 0) {
        *w = (struct wanted){ hash_of(repo, tag, digest), repo, tag, *digest, reference };
        c->used++;
    } else if (reference != 0) {
        c->found[reference - 1] = true; /* named twice: the first one counts */
    }
    return ST_OK;
}

/* ---- choosing -------------------------------------------------------------------------------- */

static void add_number(struct choosing *c, uint64_t number)
{
    struct buf *b = &c->ranges;
    struct undo_range last = { number, number };
    if (b->len >= sizeof(last)) {
        struct undo_range before;
        memcpy(&before, b->ptr + b->len - sizeof(before), sizeof(before));
        if (before.to + 1 == number) {
            last.from = before.from;
            b->len -= sizeof(before);
        }
    }
    buf_add(b, (str){ (const char *)&last, sizeof(last) });
}

static void mark_found(struct choosing *c, const struct wanted *w)
{
    if (w != NULL && w->reference != 0)
        c->found[w->reference - 1] = true;
}

static enum st choose_item(struct choosing *c, const struct receipt_item *item, struct err *err)
{
    const struct wanted *image = find(c, item->repo, STR_NONE, &item->digest);
    const struct wanted *tag =
        item->kind == ITEM_TAG ? find(c, item->repo, item->tag, &item->digest) : NULL;
    if (item->kind == ITEM_TAG && image != NULL && image->reference == 0)
        image = NULL; /* another tag of an image that comes back for one of them */
    if ((image == NULL && tag == NULL) || item->why.ptr != NULL)
        return ST_OK;
    bool by_tag = tag != NULL;
    mark_found(c, image);
    mark_found(c, tag);
    add_number(c, item->number);
    c->choice.chosen++;
    if (item->undone_by != 0) {
        c->choice.newest_undo = MAX(c->choice.newest_undo, item->undone_by);
    } else {
        c->choice.left++;
        c->choice.tags += item->kind == ITEM_TAG;
    }
    if (!by_tag)
        return ST_OK;
    str repo = arena_dup(c->a, item->repo);
    if (repo.ptr == NULL)
        return err_no_memory(err);
    return want(c, repo, STR_NONE, &item->digest, 0, err);
}

static enum st choose_all(struct db_tx *tx, struct choosing *c, int64_t receipt_id, struct err *err)
{
    uint64_t after = 0;
    bool more = true;
    enum st st = ST_OK;
    while (st == ST_OK && more) {
        AUTO(arena_release) struct arena page = { .limit_bytes = 64 * MIB };
        struct receipt_item *items = NULL;
        size_t count = 0;
        st = receipts_items(tx, receipt_id, after, PAGE_ITEMS, false, &page, &items, &count, &more,
                            err);
        for (size_t i = 0; i < count && st == ST_OK; i++) {
            after = items[i].number;
            st = choose_item(c, &items[i], err);
        }
    }
    return st == ST_OK ? buf_status(&c->ranges, err) : st;
}

static enum st finish(struct choosing *c, struct undo_choice *out, struct err *err)
{
    c->choice.ranges = arena_alloc(c->a, c->ranges.len + 1);
    if (c->choice.ranges == NULL)
        return err_no_memory(err);
    if (c->ranges.len > 0)
        memcpy(c->choice.ranges, c->ranges.ptr, c->ranges.len);
    c->choice.range_count = c->ranges.len / sizeof(struct undo_range);
    *out = c->choice;
    return ST_OK;
}

enum st undo_choose(struct db_tx *tx, int64_t receipt_id, const struct undo_reference *only,
                    size_t count, struct arena *a, struct undo_choice *out, struct err *err)
{
    struct choosing c = { .a = a, .ranges = { .max_bytes = RANGES_BYTES } };
    c.found = arena_alloc(a, count + 1);
    enum st st = c.found == NULL ? err_no_memory(err) : ST_OK;
    for (size_t i = 0; i < count && st == ST_OK; i++)
        st = want(&c, only[i].repo, only[i].tag, &only[i].digest, i + 1, err);
    if (st == ST_OK)
        st = choose_all(tx, &c, receipt_id, err);
    for (size_t i = 0; i < count && st == ST_OK; i++)
        if (!c.found[i])
            st = err_set(err, ST_NOT_FOUND, "nothing that receipt %lld removed is %.*s",
                         (long long)receipt_id, STR_FMT(only[i].text));
    if (st == ST_OK)
        st = finish(&c, out, err);
    buf_release(&c.ranges);
    return st;
}

/* ---- the request as JSON --------------------------------------------------------------------- */

/* `only` stands last, so that what is read again has one form: tags need no escapes. */
void undo_order_write(struct buf *b, const struct undo_request *request,
                      const struct undo_choice *choice)
{
    buf_printf(b, "{\"force\":%s", request->force ? "true" : "false");
    if (request->as.ptr != NULL) {
        buf_add(b, STR(",\"as\":"));
        json_add_string(b, request->as);
    }
    if (choice != NULL) {
        buf_add(b, STR(",\"items\":["));
        for (size_t i = 0; i < choice->range_count; i++)
            buf_printf(b, "%s[%llu,%llu]", i == 0 ? "" : ",",
                       (unsigned long long)choice->ranges[i].from,
                       (unsigned long long)choice->ranges[i].to);
        buf_add_byte(b, ']');
    }
    for (size_t i = 0; i < request->only_count; i++) {
        buf_add(b, i == 0 ? STR(",\"only\":[") : STR(","));
        json_add_string(b, request->only[i]);
    }
    buf_add(b, request->only_count > 0 ? STR("]}") : STR("}"));
}

static bool take(str *text, str literal)
{
    if (!str_starts(*text, literal))
        return false;
    *text = str_slice(*text, literal.len, text->len);
    return true;
}

/* Up to `end`, which is taken, too. */
static bool take_number(str *text, char end, uint64_t *out)
{
    str digits = STR_NONE;
    return str_cut(*text, end, &digits, text) && str_to_u64(digits, INT64_MAX, out);
}

static enum st unreadable(struct err *err)
{
    return err_set(err, ST_CORRUPT, "the request of the undo cannot be read");
}

static enum st read_ranges(str *text, struct arena *a, struct undo_order *out, struct err *err)
{
    size_t count = 0;
    for (size_t i = 0; i < text->len; i++)
        count += text->ptr[i] == '[';
    out->ranges = arena_alloc(a, (count + 1) * sizeof(*out->ranges));
    if (out->ranges == NULL)
        return err_no_memory(err);
    while (out->range_count < count && !take(text, STR("]"))) {
        struct undo_range r = { 0 };
        (void)take(text, STR(","));
        if (!take(text, STR("[")) || !take_number(text, ',', &r.from) ||
            !take_number(text, ']', &r.to) || r.from == 0 || r.to < r.from)
            return unreadable(err);
        out->ranges[out->range_count++] = r;
    }
    return ST_OK;
}

enum st undo_order_read(str text, struct arena *a, struct undo_order *out, struct err *err)
{
    struct undo_order order = { 0 };
    enum st st = ST_OK;
    order.force = take(&text, STR("{\"force\":true"));
    if (!order.force && !take(&text, STR("{\"force\":false")))
        return unreadable(err);
    if (take(&text, STR(",\"as\":\""))) {
        str as = STR_NONE;
        if (!str_cut(text, '"', &as, &text) || tag_check(as, err) != ST_OK)
            return unreadable(err);
        order.as = arena_dup(a, as);
        if (order.as.ptr == NULL)
            return err_no_memory(err);
    }
    if (take(&text, STR(",\"items\":[")))
        st = read_ranges(&text, a, &order, err);
    if (st == ST_OK)
        *out = order;
    return st;
}
