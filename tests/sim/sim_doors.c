/* SPDX-License-Identifier: Apache-2.0
 *
 * The doors that bring, read and delete one thing.
 */
#include "base/clock.h"
#include "base/rng.h"
#include "sim.h"

static enum st may_push(const struct sim *s, int repo)
{
    return model_is_read_only(&s->m, repo) ? ST_DENIED : ST_OK;
}

static bool start(struct sim *s, const struct step *t)
{
    struct slot *slot = &s->slots[t->slot];
    bool done = false;
    if (slot->open)
        return true;
    world_name(&s->w, slot->name);
    enum st st = registry_start_upload(&s->w.r, str_of(repo_names[t->repo]), str_of(slot->name),
                                       STR_NONE, s->w.now, &s->w.err);
    if (st == ST_TOO_LARGE) /* uploads that a crash made forget count as well */
        return true;
    if (!sim_answered(s, st, may_push(s, t->repo), &done))
        return false;
    if (done)
        *slot = (struct slot){ .open = true,
                               .repo = t->repo,
                               .blob = t->blob,
                               .due_at = s->w.now + s->w.r.upload_rest_ms };
    if (done)
        (void)snprintf(slot->name, sizeof(slot->name), "%032llx", (unsigned long long)s->w.ids);
    return true;
}

/* Bytes that are written, synced or not, and perhaps acknowledged. */
static bool write_some(struct sim *s, const struct step *t)
{
    struct slot *slot = &s->slots[t->slot];
    struct blob_writer *writer = NULL;
    bool done = false;
    if (!slot->open)
        return true;
    const char *text = s->u.texts[slot->blob];
    slot->wrote = true;
    if (blob_writer_open(s->w.r.store, str_of(slot->name), 0, &writer, NULL) != ST_OK)
        return true;
    enum st st = blob_writer_add(writer, text, t->how % strlen(text), NULL);
    uint64_t size = blob_writer_offset(writer);
    if (st == ST_OK && t->how % 3 == 0)
        st = blob_writer_finish(writer, NULL);
    blob_writer_close(writer);
    if (st != ST_OK || t->how % 2 == 0)
        return true;
    st = registry_note_progress(&s->w.r, str_of(slot->name), size, STR_NONE, s->w.now, &s->w.err);
    if (!sim_answered(s, st, ST_OK, &done))
        return false;
    if (done)
        slot->due_at = s->w.now + s->w.r.upload_rest_ms;
    return true;
}

static bool finish(struct sim *s, const struct step *t)
{
    struct slot *slot = &s->slots[t->slot];
    bool in_row = t->how % 2 == 0;
    bool done = false;
    if (!slot->open)
        return true;
    const char *text = s->u.texts[slot->blob];
    if (!in_row) {
        slot->wrote = true;
        if (world_write(&s->w, slot->name, text) != ST_OK)
            return true; /* its client tries again, or never comes back */
    }
    const struct blob_arrival arrival = { .digest = &s->u.blobs[slot->blob],
                                          .size = strlen(text),
                                          .name = str_of(slot->name),
                                          .data = in_row ? str_of(text) : STR_NONE,
                                          .name_written = slot->wrote };
    enum st st = registry_finish_upload(&s->w.r, str_of(repo_names[slot->repo]), &arrival, s->w.now,
                                        &s->w.err);
    if (!sim_answered(s, st, may_push(s, slot->repo), &done))
        return false;
    if (done) {
        model_linked(&s->m, slot->repo, slot->blob, s->w.now);
        s->m.damaged[slot->blob] = false;
        slot->open = false;
    }
    return true;
}

static bool cancel(struct sim *s, const struct step *t)
{
    struct slot *slot = &s->slots[t->slot];
    bool done = false;
    if (!slot->open)
        return true;
    enum st st = registry_cancel_upload(&s->w.r, str_of(repo_names[slot->repo]), str_of(slot->name),
                                        s->w.now, &s->w.err);
    if (!sim_answered(s, st, ST_OK, &done))
        return false;
    slot->open = slot->open && !done;
    return true;
}

static bool upload(struct sim *s, const struct step *t)
{
    bool done = false;
    struct blob_store *store = s->w.r.store;
    s->w.r.store = s->w.mem; /* here only the database fails */
    enum st st = world_upload_as(&s->w, repo_names[t->repo], &s->u.blobs[t->blob],
                                 s->u.texts[t->blob], t->how % 3);
    s->w.r.store = store;
    if (st == ST_TOO_LARGE)
        return true;
    if (!sim_answered(s, st, may_push(s, t->repo), &done))
        return false;
    if (done) {
        model_linked(&s->m, t->repo, t->blob, s->w.now);
        s->m.damaged[t->blob] = false;
    }
    return true;
}

static bool mount(struct sim *s, const struct step *t)
{
    int from = t->how % 4 == 0 ? -1 : t->other;
    bool done = false;
    enum st st = world_mount(&s->w, repo_names[t->repo], from < 0 ? NULL : repo_names[from],
                             &s->u.blobs[t->blob]);
    if (!sim_answered(s, st, model_mount(&s->m, t->repo, from, t->blob), &done))
        return false;
    if (done)
        model_linked(&s->m, t->repo, t->blob, s->w.now);
    return true;
}

static bool blob_call(struct sim *s, const struct step *t)
{
    const char *repo = repo_names[t->repo];
    const struct digest *d = &s->u.blobs[t->blob];
    bool done = false;
    if (t->op == OP_DELETE_BLOB) {
        enum st st = world_delete_blob(&s->w, repo, d);
        if (!sim_answered(s, st, model_delete_blob(&s->m, t->repo, t->blob, s->w.now), &done))
            return false;
        if (done)
            model_blob_deleted(&s->m, t->repo, t->blob, s->w.now);
        return !done || sim_note_receipt(s);
    }
    enum st st =
        t->op == OP_HEAD_BLOB ? world_head_blob(&s->w, repo, d) : world_get_blob(&s->w, repo, d);
    if (!sim_answered(s, st, model_get_blob(&s->m, t->repo, t->blob), &done))
        return false;
    if (done && t->op == OP_HEAD_BLOB)
        model_head_blob(&s->m, t->repo, t->blob, s->w.now);
    return true;
}

static bool damage(struct sim *s, const struct step *t)
{
    AUTO(arena_release) struct arena a = { 0 };
    struct blob_row row = { 0 };
    bool known = false, done = false;
    enum st st = registry_find_blob(&s->w.r, str_of(repo_names[t->repo]), &s->u.blobs[t->blob], &a,
                                    &row, &known, &s->w.err);
    if (st != ST_OK)
        return true;
    st = registry_report_damage(&s->w.r, &row, s->w.now, &s->w.err);
    if (!sim_answered(s, st, ST_OK, &done))
        return false;
    s->m.damaged[t->blob] = s->m.damaged[t->blob] || done;
    return true;
}

static bool manifest_call(struct sim *s, const struct step *t)
{
    const char *repo = repo_names[t->repo];
    const struct made *made = &s->u.manifests[t->manifest];
    int tag = t->op == OP_TAG ? t->tag : -1;
    bool done = false;
    enum st want = s->m.manifests[t->repo][t->manifest].visible ? ST_OK : ST_NOT_FOUND;
    switch (t->op) {
    case OP_HEAD_MANIFEST:
        if (!sim_answered(s, world_head_manifest(&s->w, repo, &made->digest), want, &done))
            return false;
        if (done)
            model_head_manifest(&s->m, t->repo, t->manifest, s->w.now);
        return true;
    case OP_GET_MANIFEST:
        return sim_answered(s, world_get_manifest(&s->w, repo, &made->digest), want, &done);
    case OP_DELETE_MANIFEST:
        if (!sim_answered(s, world_delete_manifest(&s->w, repo, &made->digest),
                          model_delete_manifest(&s->m, t->repo, t->manifest, s->w.now), &done))
            return false;
        if (done)
            model_manifest_deleted(&s->m, t->repo, t->manifest,
                                   world_count(&s->w, "SELECT max(id) FROM receipt"), s->w.now);
        return !done || sim_note_receipt(s);
    default:
        if (!sim_answered(s, world_push(&s->w, repo, made, tag < 0 ? NULL : tag_names[tag]),
                          model_push(&s->m, t->repo, t->manifest, tag), &done))
            return false;
        if (done)
            model_pushed(&s->m, t->repo, t->manifest, tag, s->w.now);
        return true;
    }
}

static bool untag(struct sim *s, const struct step *t)
{
    bool done = false;
    enum st st = world_delete_tag(&s->w, repo_names[t->repo], tag_names[t->tag]);
    if (!sim_answered(s, st, model_untag(&s->m, t->repo, t->tag, s->w.now), &done))
        return false;
    if (done)
        model_untagged(&s->m, t->repo, t->tag, s->w.now);
    return !done || sim_note_receipt(s);
}

static void pass_time(struct sim *s, const struct step *t)
{
    const struct keeping *k = &s->w.r.keeping;
    const int64_t jumps[] = { 1,           k->lease_ms / 10,          k->lease_ms - 1,
                              k->lease_ms, k->grace_ms / 3,           MAX(k->grace_ms, 1) - 1,
                              k->grace_ms, k->grace_ms + k->lease_ms, s->w.r.upload_rest_ms };
    s->w.now += jumps[t->how % ARRAY_LEN(jumps)];
}

bool sim_door(struct sim *s, const struct step *t)
{
    switch (t->op) {
    case OP_START:
        return start(s, t);
    case OP_WRITE:
        return write_some(s, t);
    case OP_FINISH:
        return finish(s, t);
    case OP_CANCEL:
        return cancel(s, t);
    case OP_UPLOAD:
        return upload(s, t);
    case OP_MOUNT:
        return mount(s, t);
    case OP_DAMAGE:
        return damage(s, t);
    case OP_UNTAG:
        return untag(s, t);
    case OP_TIME:
        pass_time(s, t);
        return true;
    case OP_HEAD_BLOB:
    case OP_GET_BLOB:
    case OP_DELETE_BLOB:
        return blob_call(s, t);
    default:
        return manifest_call(s, t);
    }
}
