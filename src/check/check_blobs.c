/* SPDX-License-Identifier: Apache-2.0
 *
 * Rows of blob by themselves and against their files (check.h, contract 2). A page of rows is read,
 * then the files are looked at without a transaction, then the row of each file that is wrong once
 * more: a name is doomed before its bytes go, so a row that still has the name convicts.
 */
#include "base/clock.h"
#include "base/mem.h"
#include "check/check_int.h"

struct blob_page {
    struct check *c;
    int64_t after;
    int64_t cursor;
    struct check_blob *stored; /* CHECK_PAGE places */
    size_t stored_count;
    int64_t suspects[CHECK_PAGE]; /* ids of rows that look wrong by themselves */
    size_t suspect_count;
    size_t passed;
    int64_t id; /* the one looked at again */
    bool told;
};

static bool place_is_wrong(const struct audit_blob *row)
{
    return row->in_row == (row->name.ptr != NULL) ||
           (row->name.ptr != NULL && !blob_name_valid(row->name));
}

static bool bytes_are_wrong(const struct audit_blob *row)
{
    struct digest real;
    if (row->row_bytes != row->size)
        return true;
    if (row->data.ptr == NULL)
        return false; /* not asked for */
    digest_of(row->digest.algorithm, row->data, &real);
    return !digest_eq(&real, &row->digest);
}

static bool blob_is_wrong(const struct audit_blob *row)
{
    if (!row->has_digest || row->damaged_at != 0 || !row->linked || place_is_wrong(row))
        return true;
    return row->in_row && bytes_are_wrong(row);
}

static enum st suspect_blob(struct db_tx *tx, const struct audit_blob *row, void *ctx,
                            struct err *err)
{
    struct blob_page *p = ctx;
    (void)tx;
    (void)err;
    if (blob_is_wrong(row))
        p->suspects[p->suspect_count++] = row->id;
    if (row->damaged_at != 0 || row->name.ptr == NULL || !blob_name_valid(row->name))
        return ST_OK;
    struct check_blob *seen = &p->stored[p->stored_count++];
    *seen = (struct check_blob){
        .id = row->id, .digest = row->digest, .has_digest = row->has_digest, .size = row->size
    };
    (void)str_copy(row->name, seen->name, sizeof(seen->name)); /* a valid name fits */
    return ST_OK;
}

static enum st read_blobs(struct db_tx *tx, void *ctx, struct err *err)
{
    struct blob_page *p = ctx;
    p->cursor = p->after;
    p->stored_count = p->suspect_count = 0;
    return audit_blobs(tx, &p->cursor, CHECK_PAGE, !p->c->options->quick, suspect_blob, p,
                       &p->passed, err);
}

struct mark {
    int64_t id;
    str name;
    int64_t now;
    bool marked;
};

static enum st mark_blob(struct db_tx *tx, void *ctx, struct err *err)
{
    struct mark *m = ctx;
    return audit_mark_damaged(tx, m->id, m->name, m->now, &m->marked, err);
}

/* Marks it when that was asked for; not under a snapshot. */
static enum st repair_blob(struct check *c, int64_t id, const char *name, bool *repaired,
                           struct err *err)
{
    struct mark m = { .id = id, .now = c->now };
    if (name[0] != '\0')
        m.name = str_of(name);
    *repaired = false;
    if (!c->options->repair_blobs)
        return ST_OK;
    enum st st = db_write(c->r->db, mark_blob, &m, err);
    *repaired = m.marked;
    return st;
}

static void tell_row(struct check *c, const struct audit_blob *row)
{
    char object[CHECK_OBJECT_MAX];
    char when[CLOCK_RFC3339_SIZE];
    str about = check_object_digest(&row->digest, row->has_digest, "blob", row->id, object);
    if (!row->has_digest)
        check_tell(c, CHECK_ROW_DAMAGED, false, about, "its digest is no digest");
    if (row->damaged_at != 0) {
        clock_rfc3339(registry_utc(c->r, row->damaged_at), when);
        check_tell(c, CHECK_BLOB_DAMAGED, false, about, "since %s", when);
    } else if (place_is_wrong(row)) {
        check_tell(c, CHECK_BLOB_PLACE, false, about, "%s",
                   row->name.ptr == NULL ? "in neither"
                   : row->in_row         ? "in both"
                                         : "the name of its file is none");
    }
    if (!row->linked)
        check_tell(c, CHECK_BLOB_UNLINKED, false, about, "%llu bytes",
                   (unsigned long long)row->size);
}

/* Set by look_at_blob() for what is told once the snapshot is over, as it may be repaired. */
struct inline_fault {
    bool found;
    bool size;
    struct digest digest;
    uint64_t stored, real;
};

struct second_look {
    struct blob_page *p;
    struct inline_fault fault;
};

static enum st confirm_blob(struct db_tx *tx, const struct audit_blob *row, void *ctx,
                            struct err *err)
{
    struct second_look *look = ctx;
    struct blob_page *p = look->p;
    (void)tx;
    (void)err;
    if (row->id != p->id || p->told)
        return ST_OK;
    p->told = true;
    tell_row(p->c, row);
    if (row->has_digest && row->damaged_at == 0 && !place_is_wrong(row) && row->in_row &&
        bytes_are_wrong(row))
        look->fault = (struct inline_fault){ .found = true,
                                             .size = row->row_bytes != row->size,
                                             .digest = row->digest,
                                             .stored = row->size,
                                             .real = row->row_bytes };
    return ST_OK;
}

static enum st look_at_blob(struct db_tx *tx, void *ctx, struct err *err)
{
    struct second_look *look = ctx;
    int64_t cursor = look->p->id - 1;
    size_t passed = 0;
    look->fault.found = false;
    return audit_blobs(tx, &cursor, 1, !look->p->c->options->quick, confirm_blob, look, &passed,
                       err);
}

static enum st confirm_row(struct blob_page *p, int64_t id, struct err *err)
{
    struct second_look look = { .p = p };
    char object[CHECK_OBJECT_MAX];
    bool repaired = false;
    p->id = id;
    p->told = false;
    enum st st = db_read(p->c->r->db, look_at_blob, &look, err);
    if (st != ST_OK || !look.fault.found)
        return st;
    st = repair_blob(p->c, id, "", &repaired, err);
    if (st != ST_OK)
        return st;
    str about = digest_text(&look.fault.digest, object);
    if (look.fault.size)
        check_tell(p->c, CHECK_BLOB_SIZE, repaired, about,
                   "%llu bytes were stored, the row holds %llu",
                   (unsigned long long)look.fault.stored, (unsigned long long)look.fault.real);
    else
        check_tell(p->c, CHECK_BLOB_DIGEST, repaired, about, "%llu bytes in the row",
                   (unsigned long long)look.fault.real);
    return ST_OK;
}

struct name_look {
    const struct check_blob *seen;
    bool still; /* a row has that name and is not known to be damaged */
};

static enum st note_still(struct db_tx *tx, const struct audit_blob *row, void *ctx,
                          struct err *err)
{
    struct name_look *look = ctx;
    (void)tx;
    (void)err;
    look->still = row->id == look->seen->id && row->damaged_at == 0 &&
                  str_eq(row->name, str_of(look->seen->name));
    return ST_OK;
}

static enum st look_for_name(struct db_tx *tx, void *ctx, struct err *err)
{
    struct name_look *look = ctx;
    int64_t cursor = look->seen->id - 1;
    size_t passed = 0;
    look->still = false;
    return audit_blobs(tx, &cursor, 1, false, note_still, look, &passed, err);
}

enum st check_convict(struct check *c, const struct check_blob *seen, enum check_code code,
                      const char *what, struct err *err)
{
    struct name_look look = { .seen = seen };
    char object[CHECK_OBJECT_MAX];
    bool repaired = false;
    enum st st = db_read(c->r->db, look_for_name, &look, err);
    if (st != ST_OK || !look.still)
        return st;
    if (code != CHECK_BLOB_UNREADABLE)
        st = repair_blob(c, seen->id, seen->name, &repaired, err);
    if (st == ST_OK)
        check_tell(c, code, repaired,
                   check_object_digest(&seen->digest, seen->has_digest, "blob", seen->id, object),
                   "%s", what);
    return st;
}

/* The file of a blob, by its size. */
static enum st look_at_file(struct check *c, const struct check_blob *seen, struct err *err)
{
    char what[ERR_TEXT_MAX];
    struct err why = { 0 };
    AUTO(blob_reader_close) struct blob_reader reader = BLOB_READER_NONE;
    enum st st = blob_reader_open(c->r->store, str_of(seen->name), &reader, &why);
    c->report->stored_bytes += seen->size;
    if (st == ST_OK && reader.size == seen->size)
        return ST_OK;
    if (st == ST_NO_MEMORY)
        return err_no_memory(err);
    if (st == ST_OK)
        (void)snprintf(what, sizeof(what), "%llu bytes were stored, file %s has %llu",
                       (unsigned long long)seen->size, seen->name, (unsigned long long)reader.size);
    else if (st == ST_NOT_FOUND)
        (void)snprintf(what, sizeof(what), "%llu bytes, file %s", (unsigned long long)seen->size,
                       seen->name);
    return check_convict(c, seen,
                         st == ST_OK          ? CHECK_BLOB_SIZE
                         : st == ST_NOT_FOUND ? CHECK_BLOB_MISSING
                                              : CHECK_BLOB_UNREADABLE,
                         st == ST_OK || st == ST_NOT_FOUND ? what : why.text, err);
}

enum st check_each_blob(struct check *c, bool rows, check_blob_fn fn, struct err *err)
{
    struct blob_page *p = mem_new(sizeof(*p));
    struct check_blob *stored = mem_new(CHECK_PAGE * sizeof(*stored));
    enum st st = p == NULL || stored == NULL ? err_no_memory(err) : ST_OK;
    if (st == ST_OK)
        *p = (struct blob_page){ .c = c, .stored = stored };
    while (st == ST_OK) {
        st = db_read(c->r->db, read_blobs, p, err);
        for (size_t i = 0; rows && st == ST_OK && i < p->suspect_count; i++)
            st = confirm_row(p, p->suspects[i], err);
        for (size_t i = 0; st == ST_OK && i < p->stored_count; i++)
            st = fn(c, &p->stored[i], err);
        if (st != ST_OK)
            break;
        p->after = p->cursor;
        if (rows)
            c->report->blobs += p->passed;
        st = check_advance(c, p->passed, err);
        if (p->passed < CHECK_PAGE)
            break;
    }
    mem_free(stored);
    mem_free(p);
    return st;
}

enum st check_blobs(struct check *c, struct err *err)
{
    return check_each_blob(c, true, look_at_file, err);
}
