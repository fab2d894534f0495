/* SPDX-License-Identifier: Apache-2.0
 *
 * Rows against rows: tags, links, manifests. A page is judged row by row; the keys of rows that
 * look wrong are kept, and each of them is judged again in a snapshot of its own. Only what both
 * find is told.
 */
#include "base/mem.h"
#include "check/check_int.h"

/* ---- tags ---------------------------------------------------------------------------------- */

struct tag_page {
    struct check *c;
    struct audit_tag_at at;
    struct audit_tag_at *suspects; /* CHECK_PAGE places */
    size_t suspect_count;
    size_t passed;
    struct audit_tag_at cursor;
    bool told;
};

static bool tag_is_wrong(const struct audit_tag *row)
{
    return row->repo.ptr == NULL || !row->has_manifest || row->trashed;
}

static enum st suspect_tag(struct db_tx *tx, const struct audit_tag *row, void *ctx,
                           struct err *err)
{
    struct tag_page *p = ctx;
    (void)tx;
    (void)err;
    if (!tag_is_wrong(row))
        return ST_OK;
    struct audit_tag_at *s = &p->suspects[p->suspect_count++];
    s->repo_id = row->repo_id;
    (void)str_copy(row->name, s->name, sizeof(s->name)); /* the cursor held it as well */
    return ST_OK;
}

static enum st read_tags(struct db_tx *tx, void *ctx, struct err *err)
{
    struct tag_page *p = ctx;
    p->cursor = p->at;
    p->suspect_count = 0;
    return audit_tags(tx, &p->cursor, CHECK_PAGE, suspect_tag, p, &p->passed, err);
}

static enum st tell_tag(struct db_tx *tx, const struct audit_tag *row, void *ctx, struct err *err)
{
    struct tag_page *p = ctx;
    char object[CHECK_OBJECT_MAX];
    (void)tx;
    (void)err;
    if (!tag_is_wrong(row) || p->told)
        return ST_OK;
    p->told = true;
    check_tell(p->c, CHECK_TAG_DANGLING, false, check_object_in(row->repo, ':', row->name, object),
               "%s",
               row->repo.ptr == NULL ? "its repository is not there"
               : row->has_manifest   ? "its manifest is in the trash"
                                     : "its manifest is not there");
    return ST_OK;
}

static enum st look_at_tag(struct db_tx *tx, void *ctx, struct err *err)
{
    struct tag_page *p = ctx;
    enum st st = audit_tag(tx, &p->at, tell_tag, p, err);
    return st == ST_NOT_FOUND ? ST_OK : st;
}

enum st check_tags(struct check *c, struct err *err)
{
    struct tag_page p = { .c = c };
    p.suspects = mem_new(CHECK_PAGE * sizeof(*p.suspects));
    if (p.suspects == NULL)
        return err_no_memory(err);
    enum st st = ST_OK;
    do {
        st = db_read(c->r->db, read_tags, &p, err);
        for (size_t i = 0; st == ST_OK && i < p.suspect_count; i++) {
            p.at = p.suspects[i];
            p.told = false;
            st = db_read(c->r->db, look_at_tag, &p, err);
        }
        p.at = p.cursor;
        if (st == ST_OK) {
            c->report->tags += p.passed;
            st = check_advance(c, p.passed, err);
        }
    } while (st == ST_OK && p.passed == CHECK_PAGE);
    mem_free(p.suspects);
    return st;
}

/* ---- links --------------------------------------------------------------------------------- */

struct link_page {
    struct check *c;
    struct audit_link_at at;
    struct audit_link_at suspects[CHECK_PAGE];
    size_t suspect_count;
    size_t passed;
    struct audit_link_at cursor;
    bool told;
    bool miscounted; /* the one looked at; told when it was repaired, or not */
    char object[CHECK_OBJECT_MAX];
};

/* A link that is not due must be live and in use by a kept manifest. */
static bool link_is_leaked(const struct audit_link *row)
{
    return !row->due && (row->trashed || !row->kept);
}

static bool link_is_dangling(const struct audit_link *row)
{
    return !row->has_blob || row->repo.ptr == NULL;
}

static enum st suspect_link(struct db_tx *tx, const struct audit_link *row, void *ctx,
                            struct err *err)
{
    struct link_page *p = ctx;
    (void)tx;
    (void)err;
    if (link_is_dangling(row) || link_is_leaked(row) || !row->counted)
        p->suspects[p->suspect_count++] = (struct audit_link_at){ row->repo_id, row->blob_id };
    return ST_OK;
}

static enum st read_links(struct db_tx *tx, void *ctx, struct err *err)
{
    struct link_page *p = ctx;
    p->cursor = p->at;
    p->suspect_count = 0;
    return audit_links(tx, &p->cursor, CHECK_PAGE, suspect_link, p, &p->passed, err);
}

static enum st tell_link(struct db_tx *tx, const struct audit_link *row, void *ctx, struct err *err)
{
    struct link_page *p = ctx;
    char blob[CHECK_OBJECT_MAX];
    (void)tx;
    (void)err;
    bool same = row->repo_id == p->at.repo_id && row->blob_id == p->at.blob_id + 1;
    if (!same || p->told)
        return ST_OK;
    str about = check_object_in(
        row->repo, '@',
        check_object_digest(&row->digest, row->has_digest, "blob", row->blob_id, blob), p->object);
    if (link_is_dangling(row)) {
        p->told = true;
        check_tell(p->c, CHECK_LINK_DANGLING, false, about, "there is no such %s",
                   row->has_blob ? "repository" : "blob");
    } else if (link_is_leaked(row)) {
        p->told = true;
        check_tell(p->c, CHECK_LINK_LEAKED, false, about, "%s",
                   row->trashed ? "it is in the trash without a time"
                                : "no manifest that is kept uses it, and it has no time");
    } else {
        p->miscounted = !row->counted;
    }
    return ST_OK;
}

static enum st look_at_link(struct db_tx *tx, void *ctx, struct err *err)
{
    struct link_page *p = ctx;
    struct audit_link_at cursor = p->at;
    size_t passed = 0;
    return audit_links(tx, &cursor, 1, tell_link, p, &passed, err);
}

static enum st recount_link(struct db_tx *tx, void *ctx, struct err *err)
{
    struct link_page *p = ctx;
    const struct audit_link_at at = { p->at.repo_id, p->at.blob_id + 1 };
    enum st st = audit_recount_link(tx, &at, err);
    return st == ST_OK ? audit_recount_repository(tx, at.repo_id, err) : st;
}

static enum st look_again_at_link(struct link_page *p, struct err *err)
{
    struct check *c = p->c;
    p->told = p->miscounted = false;
    enum st st = db_read(c->r->db, look_at_link, p, err);
    if (st != ST_OK || !p->miscounted)
        return st;
    if (c->options->repair_counts)
        st = db_write(c->r->db, recount_link, p, err);
    if (st == ST_OK)
        check_tell(c, CHECK_LINK_COUNT, c->options->repair_counts, str_of(p->object),
                   "its row says otherwise than the manifests that use it");
    return st;
}

enum st check_links(struct check *c, struct err *err)
{
    struct link_page p = { .c = c };
    enum st st = ST_OK;
    do {
        st = db_read(c->r->db, read_links, &p, err);
        for (size_t i = 0; st == ST_OK && i < p.suspect_count; i++) {
            p.at = (struct audit_link_at){ p.suspects[i].repo_id, p.suspects[i].blob_id - 1 };
            st = look_again_at_link(&p, err);
        }
        p.at = p.cursor;
        if (st == ST_OK) {
            c->report->links += p.passed;
            st = check_advance(c, p.passed, err);
        }
    } while (st == ST_OK && p.passed == CHECK_PAGE);
    return st;
}

/* ---- repositories -------------------------------------------------------------------------- */

/* One a transaction: counting it costs all its rows. */
struct repository_at {
    struct check *c;
    int64_t after_id, id;
    size_t passed;
    bool miscounted;
    char name[CHECK_OBJECT_MAX];
};

static enum st count_repository(struct db_tx *tx, const struct audit_repository *row, void *ctx,
                                struct err *err)
{
    struct repository_at *p = ctx;
    (void)tx;
    (void)err;
    p->id = row->id;
    p->miscounted = !row->counted;
    (void)str_copy(row->name, p->name, sizeof(p->name));
    return ST_OK;
}

static enum st read_repository(struct db_tx *tx, void *ctx, struct err *err)
{
    struct repository_at *p = ctx;
    int64_t after = p->after_id;
    return audit_repositories(tx, &after, 1, count_repository, p, &p->passed, err);
}

static enum st recount_repository(struct db_tx *tx, void *ctx, struct err *err)
{
    struct repository_at *p = ctx;
    return audit_recount_repository(tx, p->id, err);
}

enum st check_repositories(struct check *c, struct err *err)
{
    struct repository_at p = { .c = c };
    for (;;) {
        enum st st = db_read(c->r->db, read_repository, &p, err);
        if (st != ST_OK || p.passed == 0)
            return st;
        if (p.miscounted && c->options->repair_counts)
            st = db_write(c->r->db, recount_repository, &p, err);
        if (p.miscounted && st == ST_OK)
            check_tell(c, CHECK_REPOSITORY_COUNT, c->options->repair_counts, str_of(p.name),
                       "its row says otherwise than its tags, manifests and blobs");
        p.after_id = p.id;
        c->report->repositories++;
        if (st == ST_OK)
            st = check_advance(c, 1, err);
        if (st != ST_OK)
            return st;
    }
}

/* ---- manifests ----------------------------------------------------------------------------- */

/* What is wrong with a manifest, as bits. */
enum manifest_fault {
    FAULT_ROW = 1 << 0,
    FAULT_DIGEST = 1 << 1,
    FAULT_BLOB = 1 << 2,
    FAULT_CHILD = 1 << 3,
    FAULT_PARTS = 1 << 4,
    FAULT_LEAK = 1 << 5,
};

struct manifest_page {
    struct check *c;
    int64_t after;
    int64_t cursor;
    struct {
        int64_t id;
        int faults;
    } suspects[CHECK_PAGE];
    size_t suspect_count;
    size_t passed;
    int expected; /* faults of the suspect that is looked at again */
    int64_t id;
    bool told;
};

/* Only what was accepted once is stored; these are above any limit that can be configured. */
static const struct manifest_limits no_limits = { .bytes_max = 64 * MIB,
                                                  .depth_max = 1000,
                                                  .descriptors_max = 1000000 };

/* Whether the rows hold what the bytes name. Bytes that do not parse are left to their digest. */
static enum st parts_are_recorded(struct db_tx *tx, const struct audit_manifest *row, bool *out,
                                  struct digest *part, struct err *err)
{
    AUTO(arena_release) struct arena a = { .limit_bytes = 256 * MIB };
    struct manifest m = { 0 };
    enum st st = manifest_parse(row->payload, row->media_type, &no_limits, &a, &m, err);
    bool recorded = true;
    if (st == ST_NO_MEMORY)
        return st;
    if (st != ST_OK) {
        *out = true;
        return ST_OK;
    }
    for (size_t i = 0; st == ST_OK && recorded && i < m.blob_count; i++) {
        *part = m.blobs[i].digest;
        if (!m.blobs[i].foreign)
            st = audit_names_blob(tx, row->id, part, &recorded, err);
    }
    for (size_t i = 0; st == ST_OK && recorded && i < m.child_count; i++) {
        *part = m.children[i].digest;
        st = audit_names_child(tx, row->id, part, &recorded, err);
    }
    if (st == ST_OK)
        *out = recorded;
    return st;
}

static bool payload_is_right(const struct audit_manifest *row)
{
    struct digest real;
    digest_of(row->digest.algorithm, row->payload, &real);
    return digest_eq(&real, &row->digest);
}

static enum st judge_manifest(struct check *c, struct db_tx *tx, const struct audit_manifest *row,
                              int *faults, struct digest *part, struct err *err)
{
    bool recorded = true;
    int found = 0;
    if (!row->has_digest || row->repo.ptr == NULL)
        found |= FAULT_ROW;
    if (row->has_digest &&
        (row->payload_bytes != row->size || (row->payload.ptr != NULL && !payload_is_right(row))))
        found |= FAULT_DIGEST;
    if (!row->due && (row->trashed || !row->kept))
        found |= FAULT_LEAK;
    if (!row->trashed && row->missing_blobs > 0)
        found |= FAULT_BLOB;
    if (!row->trashed && row->missing_children > 0 && !c->options->sparse_index)
        found |= FAULT_CHILD;
    if (found == 0 && row->payload.ptr != NULL) {
        enum st st = parts_are_recorded(tx, row, &recorded, part, err);
        if (st != ST_OK)
            return st;
    }
    *faults = found | (recorded ? 0 : FAULT_PARTS);
    return ST_OK;
}

static enum st suspect_manifest(struct db_tx *tx, const struct audit_manifest *row, void *ctx,
                                struct err *err)
{
    struct manifest_page *p = ctx;
    struct digest part;
    int faults = 0;
    enum st st = judge_manifest(p->c, tx, row, &faults, &part, err);
    if (st == ST_OK && faults != 0) {
        p->suspects[p->suspect_count].id = row->id;
        p->suspects[p->suspect_count++].faults = faults;
    }
    return st;
}

static size_t manifest_page_rows(const struct check *c)
{
    return c->options->quick ? CHECK_PAGE : CHECK_PAYLOAD_PAGE;
}

static enum st read_manifests(struct db_tx *tx, void *ctx, struct err *err)
{
    struct manifest_page *p = ctx;
    p->cursor = p->after;
    p->suspect_count = 0;
    return audit_manifests(tx, &p->cursor, manifest_page_rows(p->c), !p->c->options->quick,
                           suspect_manifest, p, &p->passed, err);
}

/* Part of a sentence: the first of the things that are missing. */
static const char *short_digest(enum st found, const struct digest *d,
                                char out[static DIGEST_TEXT_MAX + 1])
{
    if (found != ST_OK)
        return "one that no row describes";
    (void)digest_text(d, out);
    return out;
}

static void tell_manifest(struct check *c, struct db_tx *tx, const struct audit_manifest *row,
                          int faults, const struct digest *part)
{
    char digest[CHECK_OBJECT_MAX];
    char object[CHECK_OBJECT_MAX];
    char text[DIGEST_TEXT_MAX + 1];
    struct digest missing;
    str about = check_object_in(
        row->repo, '@',
        check_object_digest(&row->digest, row->has_digest, "manifest", row->id, digest), object);
    if ((faults & FAULT_ROW) != 0)
        check_tell(c, CHECK_ROW_DAMAGED, false, about, "%s",
                   row->has_digest ? "its repository is not there" : "its digest is no digest");
    if ((faults & FAULT_DIGEST) != 0)
        check_tell(c, CHECK_MANIFEST_DIGEST, false, about, "%llu bytes were stored, it has %llu%s",
                   (unsigned long long)row->size, (unsigned long long)row->payload_bytes,
                   row->size == row->payload_bytes ? " others" : "");
    if ((faults & FAULT_BLOB) != 0)
        check_tell(c, CHECK_MANIFEST_BLOB, false, about, "%llu missing, such as %s",
                   (unsigned long long)row->missing_blobs,
                   short_digest(audit_missing_blob(tx, row->id, &missing, NULL), &missing, text));
    if ((faults & FAULT_CHILD) != 0)
        check_tell(c, CHECK_MANIFEST_CHILD, false, about, "%llu missing, such as %s",
                   (unsigned long long)row->missing_children,
                   short_digest(audit_missing_child(tx, row->id, &missing, NULL), &missing, text));
    if ((faults & FAULT_PARTS) != 0)
        check_tell(c, CHECK_MANIFEST_PARTS, false, about, "no row for %s",
                   short_digest(ST_OK, part, text));
    if ((faults & FAULT_LEAK) != 0)
        check_tell(c, CHECK_MANIFEST_LEAKED, false, about, "%s",
                   row->trashed ? "it is in the trash without a time"
                                : "no tag, index, subject or hold keeps it, and it has no time");
}

static enum st confirm_manifest(struct db_tx *tx, const struct audit_manifest *row, void *ctx,
                                struct err *err)
{
    struct manifest_page *p = ctx;
    struct digest part = { 0 };
    int faults = 0;
    if (row->id != p->id || p->told)
        return ST_OK;
    enum st st = judge_manifest(p->c, tx, row, &faults, &part, err);
    faults &= p->expected;
    if (st == ST_OK && faults != 0) {
        p->told = true;
        tell_manifest(p->c, tx, row, faults, &part);
    }
    return st;
}

static enum st look_at_manifest(struct db_tx *tx, void *ctx, struct err *err)
{
    struct manifest_page *p = ctx;
    int64_t cursor = p->id - 1;
    size_t passed = 0;
    return audit_manifests(tx, &cursor, 1, !p->c->options->quick, confirm_manifest, p, &passed,
                           err);
}

enum st check_manifests(struct check *c, struct err *err)
{
    struct manifest_page p = { .c = c };
    enum st st = ST_OK;
    do {
        st = db_read(c->r->db, read_manifests, &p, err);
        for (size_t i = 0; st == ST_OK && i < p.suspect_count; i++) {
            p.id = p.suspects[i].id;
            p.expected = p.suspects[i].faults;
            p.told = false;
            st = db_read(c->r->db, look_at_manifest, &p, err);
        }
        p.after = p.cursor;
        if (st == ST_OK) {
            c->report->manifests += p.passed;
            st = check_advance(c, p.passed, err);
        }
    } while (st == ST_OK && p.passed == manifest_page_rows(c));
    return st;
}
