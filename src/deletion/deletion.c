/* SPDX-License-Identifier: Apache-2.0
 *
 * The engine, and orders about one thing: looked at, removed, recorded and sealed in one
 * transaction. A crash leaves all of it or nothing.
 */
#include <fcntl.h>

#include "base/mem.h"
#include "deletion/deletion_int.h"
#include "deletion/job.h"
#include "deletion/plan_map.h"
#include "meta/selection.h"

/* ---- the engine ------------------------------------------------------------------------------ */

/* The key of the registry: loaded, or made when this is the first start. */
static enum st open_key(const char *path, struct signature_key **out, struct err *err)
{
    if (path == NULL)
        return signature_key_new(out, err);
    enum st st = signature_key_load(AT_FDCWD, path, out, err);
    if (st != ST_NOT_FOUND)
        return st == ST_OK ? ST_OK : err_wrap(err, "the key that signs receipts");
    struct signature_key *key = NULL;
    st = signature_key_new(&key, err);
    if (st == ST_OK)
        st = signature_key_save(key, AT_FDCWD, path, err);
    if (st == ST_OK)
        *out = key;
    else
        signature_key_free(key);
    return st == ST_OK ? ST_OK : err_wrap(err, "the key that signs receipts");
}

enum st deletion_open(struct registry *r, const struct deletion_options *options,
                      struct deletion **out, struct err *err)
{
    struct deletion *d = mem_new(sizeof(*d));
    if (d == NULL)
        return err_no_memory(err);
    d->r = r;
    d->options = *options;
    d->options.key_path = NULL; /* borrowed for the call */
    enum st st = open_key(options->key_path, &d->key, err);
    if (st == ST_OK && !options->no_thread)
        st = job_start(d, &d->job, err);
    if (st != ST_OK) {
        deletion_close(d);
        return st;
    }
    *out = d;
    return ST_OK;
}

void deletion_close(struct deletion *d)
{
    if (d == NULL)
        return;
    job_stop(d->job);
    signature_key_free(d->key);
    mem_free(d);
}

const uint8_t *deletion_public_key(const struct deletion *d)
{
    return signature_public(d->key);
}

void deletion_note_now(struct deletion *d, int64_t now)
{
    atomic_store(&d->last_now, now);
}

int64_t deletion_now(struct deletion *d, int64_t created_at)
{
    if (d->r->time != NULL)
        return registry_now(d->r);
    return MAX(atomic_load(&d->last_now), created_at);
}

struct keeping deletion_keeping(const struct deletion *d, bool immediate)
{
    struct keeping k = d->r->keeping;
    if (immediate)
        k = (struct keeping){ .untagged = k.untagged, .cut = true };
    return k;
}

/* ---- what every deletion does ---------------------------------------------------------------- */

enum st removing_begin(struct removing *m, struct err *err)
{
    bool any_rules = false;
    bool any_pulls = false;
    m->memo = (struct protection_memo){ 0 };
    enum st st = selection_any(m->tx, &any_rules, &m->any_holds, &any_pulls, err);
    return st == ST_OK ? protection_load(m->tx, m->d->r->protection, &m->protection, err) : st;
}

void removing_end(struct removing *m)
{
    protection_release(&m->protection);
}

enum st removing_check(struct removing *m, enum protection_act act, str repo, str tag,
                       const struct digest *digest, struct err *err)
{
    const struct protection_case c = { .act = act,
                                       .actor = m->receipt->actor,
                                       .repo = repo,
                                       .tag = tag,
                                       .digest = digest,
                                       .no_holds = !m->any_holds,
                                       .memo = &m->memo };
    return protection_check(m->tx, m->protection, &c, m->now, err);
}

enum st removing_record(struct removing *m, const struct receipt_item *item, struct err *err)
{
    return receipts_add_item(m->tx, m->receipt, item, err);
}

enum st removing_review(struct removing *m, const struct id_list *ids, uint64_t *freed,
                        struct err *err)
{
    enum st st = buf_status(&ids->b, err);
    int64_t id = 0;
    for (size_t at = 0; st == ST_OK && id_list_next(ids, &at, &id);)
        st = manifests_review(m->tx, id, &m->keeping, m->now, freed, err);
    return st;
}

/* ---- an order -------------------------------------------------------------------------------- */

/* An order under way, inside its transaction. */
struct ordered {
    struct removing m;
    struct receipt receipt;
    const struct deletion_order *order;
    int64_t repo_id;
    struct deletion_result result;
    bool repo_known;
};

static enum st open_receipt(struct ordered *o, struct err *err)
{
    const struct deletion_by *by = &o->order->by;
    o->receipt = (struct receipt){
        .created_at = o->m.now,
        .due_at = o->m.now + o->m.keeping.grace_ms,
        .door = by->door,
        .actor = by->actor,
        .peer = by->peer,
        .reason = by->reason,
        .total = 1,
        .position = 1,
    };
    return receipts_open(o->m.tx, &o->receipt, err);
}

static enum st record(struct ordered *o, struct receipt_item item, struct err *err)
{
    item.repo = o->order->repo;
    return removing_record(&o->m, &item, err);
}

static enum st add_below(struct ordered *o, int64_t id, struct id_list *ids, struct err *err)
{
    AUTO(arena_release) struct arena scratch = { .limit_bytes = 32 * MIB };
    int64_t *below = NULL;
    size_t count = 0;
    enum st st = manifests_below(o->m.tx, id, &scratch, &below, &count, err);
    if (st == ST_OK)
        id_list_add(ids, below, count);
    return st;
}

/* Writes down those of `ids` that are loose by now, and what is loose below them. They were kept
 * before, and so was everything below them: nothing is written down that was loose anyway. */
static enum st record_loose(struct ordered *o, struct id_list *ids, struct err *err)
{
    AUTO(plan_map_release) struct plan_map seen = { 0 };
    int64_t id = 0;
    for (size_t at = 0; id_list_next(ids, &at, &id);) {
        struct standing s = { 0 };
        if (plan_map_find(&seen, id) != PLAN_NOWHERE)
            continue;
        enum st st = plan_map_add(&seen, id, 0, err);
        if (st == ST_OK)
            st = manifests_standing(o->m.tx, id, &s, err);
        if (st == ST_OK && !s.trashed && s.due_at != 0) {
            st = record(
                o,
                (struct receipt_item){
                    .kind = ITEM_MANIFEST, .with = true, .digest = s.digest, .size = s.size },
                err);
            if (st == ST_OK)
                st = add_below(o, id, ids, err);
        }
        if (st != ST_OK)
            return st;
    }
    return buf_status(&ids->b, err);
}

static enum st remove_tag(struct ordered *o, str tag, const struct digest *digest, struct err *err)
{
    struct removing *m = &o->m;
    enum st st = removing_check(m, PROTECT_DELETE_TAG, o->order->repo, tag, digest, err);
    if (st == ST_OK)
        st = tags_remove(m->tx, o->repo_id, tag, err);
    if (st == ST_OK)
        st = record(o, (struct receipt_item){ .kind = ITEM_TAG, .tag = tag, .digest = *digest },
                    err);
    if (st == ST_OK)
        o->result.tags++;
    return st;
}

static enum st delete_tag(struct ordered *o, struct err *err)
{
    struct removing *m = &o->m;
    struct tag_target tag = { 0 };
    AUTO(id_list_release) struct id_list ids = ID_LIST;
    enum st st = targets_tag(m->tx, o->repo_id, o->order->tag, &tag, err);
    if (st == ST_NOT_FOUND)
        return err_set(err, st, "there is no tag %.*s in %.*s", STR_FMT(o->order->tag),
                       STR_FMT(o->order->repo));
    if (st == ST_OK)
        st = open_receipt(o, err);
    if (st == ST_OK)
        st = remove_tag(o, o->order->tag, &tag.digest, err);
    id_list_add(&ids, &tag.manifest.id, 1);
    if (st == ST_OK)
        st = removing_review(m, &ids, &o->receipt.bytes_freed, err);
    o->result.digest = tag.digest;
    return st == ST_OK ? record_loose(o, &ids, err) : st;
}

/* ---- a manifest, and what hangs below ---------------------------------------------------- */

static enum st remove_tags_of(struct ordered *o, int64_t manifest_id, const struct digest *digest,
                              struct err *err)
{
    for (;;) { /* each round removes the one it finds */
        AUTO(arena_release) struct arena scratch = { 0 };
        str tag = STR_NONE;
        enum st st = tags_first_of(o->m.tx, manifest_id, &scratch, &tag, err);
        if (st == ST_NOT_FOUND)
            return ST_OK;
        if (st == ST_OK)
            st = remove_tag(o, tag, digest, err);
        if (st != ST_OK)
            return st;
    }
}

static enum st trash_manifest(struct ordered *o, int64_t id, struct err *err)
{
    struct removing *m = &o->m;
    struct standing s = { 0 };
    enum st st = remove_tags_of(o, id, &o->order->digest, err);
    if (st == ST_OK)
        st = manifests_standing(m->tx, id, &s, err);
    if (st == ST_OK)
        st = manifests_trash(m->tx, id, &s, o->receipt.id, o->receipt.due_at, &m->keeping, m->now,
                             &o->receipt.bytes_freed, err);
    if (st == ST_OK)
        st = record(
            o, (struct receipt_item){ .kind = ITEM_MANIFEST, .digest = s.digest, .size = s.size },
            err);
    if (st == ST_OK)
        o->result.manifests++;
    return st;
}

static enum st refuse_child(struct ordered *o, struct err *err)
{
    struct digest parent;
    char text[DIGEST_TEXT_MAX + 1];
    enum st st = manifests_live_parent(o->m.tx, o->repo_id, &o->order->digest, &parent, NULL);
    if (st == ST_NOT_FOUND)
        return ST_OK;
    if (st != ST_OK)
        return err_set(err, st, "cannot tell whether an index names this manifest");
    str digest = digest_text(&parent, text);
    o->result.in_use = true;
    return err_set(err, ST_DENIED, "this manifest is part of the index %.*s: delete that one",
                   STR_FMT(digest));
}

static enum st delete_manifest(struct ordered *o, struct err *err)
{
    struct removing *m = &o->m;
    const struct digest *digest = &o->order->digest;
    struct manifest_target row = { 0 };
    AUTO(id_list_release) struct id_list ids = ID_LIST;
    char text[DIGEST_TEXT_MAX + 1];
    str name = digest_text(digest, text);
    enum st st = targets_manifest(m->tx, o->repo_id, digest, &row, err);
    if (st == ST_NOT_FOUND || (st == ST_OK && row.receipt_id != 0))
        return err_set(err, ST_NOT_FOUND, "there is no manifest %.*s in %.*s", STR_FMT(name),
                       STR_FMT(o->order->repo));
    if (st == ST_OK)
        st = refuse_child(o, err);
    if (st == ST_OK)
        st = removing_check(m, PROTECT_DELETE_MANIFEST, o->order->repo, STR_NONE, digest, err);
    if (st == ST_OK)
        st = add_below(o, row.id, &ids, err);
    if (st == ST_OK)
        st = open_receipt(o, err);
    if (st == ST_OK)
        st = trash_manifest(o, row.id, err);
    if (st == ST_OK)
        st = removing_review(m, &ids, &o->receipt.bytes_freed, err);
    o->result.digest = *digest;
    return st == ST_OK && row.due_at == 0 ? record_loose(o, &ids, err) : st;
}

/* ---- a blob ------------------------------------------------------------------------------- */

static enum st delete_blob(struct ordered *o, struct err *err)
{
    struct removing *m = &o->m;
    const struct digest *digest = &o->order->digest;
    struct link_target row = { 0 };
    char text[DIGEST_TEXT_MAX + 1];
    str name = digest_text(digest, text);
    enum st st = targets_link(m->tx, o->repo_id, digest, &row, err);
    if (st == ST_NOT_FOUND || (st == ST_OK && row.receipt_id != 0))
        return err_set(err, ST_NOT_FOUND, "there is no blob %.*s in %.*s", STR_FMT(name),
                       STR_FMT(o->order->repo));
    if (st == ST_OK && row.live_use) {
        o->result.in_use = true;
        return err_set(err, ST_DENIED,
                       "a manifest in %.*s uses this blob: delete the manifest, and its blobs go"
                       " with it",
                       STR_FMT(o->order->repo));
    }
    if (st == ST_OK)
        st = removing_check(m, PROTECT_DELETE_BLOB, o->order->repo, STR_NONE, digest, err);
    if (st == ST_OK)
        st = open_receipt(o, err);
    if (st == ST_OK)
        st = links_trash(m->tx, &(struct link_ref){ o->repo_id, row.blob_id }, o->receipt.id,
                         o->receipt.due_at, &m->keeping, m->now, &o->receipt.bytes_freed, err);
    if (st == ST_OK)
        st = record(o,
                    (struct receipt_item){ .kind = ITEM_BLOB, .digest = *digest, .size = row.size },
                    err);
    o->result.digest = *digest;
    o->result.blobs = 1;
    return st;
}

/* ------------------------------------------------------------------------------------------- */

static enum st carry_out(struct ordered *o, struct err *err)
{
    enum st st = removing_begin(&o->m, err);
    if (st != ST_OK)
        return st;
    switch (o->order->kind) {
    case DELETION_TAG:
        return delete_tag(o, err);
    case DELETION_MANIFEST:
        return delete_manifest(o, err);
    case DELETION_BLOB:
        return delete_blob(o, err);
    }
    return err_set(err, ST_BUG, "unknown kind of deletion");
}

static enum st apply(struct db_tx *tx, void *ctx, struct err *err)
{
    struct ordered *o = ctx;
    o->m.tx = tx;
    o->receipt = (struct receipt){ .actor = o->order->by.actor };
    o->result = (struct deletion_result){ 0 };
    o->repo_known = false;
    enum st st = repositories_find(tx, o->order->repo, &o->repo_id, err);
    if (st != ST_OK)
        return st;
    o->repo_known = true;
    st = carry_out(o, err);
    if (st == ST_OK)
        st = receipts_seal(tx, &o->receipt, o->m.d->key, o->m.now, err);
    removing_end(&o->m);
    o->result.receipt_id = o->receipt.id;
    o->result.bytes_freed = o->receipt.bytes_freed;
    return st;
}

enum st deletion_apply(struct deletion *d, const struct deletion_order *order, int64_t now,
                       struct deletion_result *out, bool *repo_known, struct err *err)
{
    struct ordered o = {
        .order = order,
    };
    o.m = (struct removing){ .d = d, .receipt = &o.receipt, .keeping = d->r->keeping, .now = now };
    deletion_note_now(d, now);
    enum st st = registry_write(d->r, apply, &o, err);
    *repo_known = o.repo_known;
    if (st == ST_OK)
        *out = o.result;
    else
        out->in_use = o.result.in_use;
    return st;
}
