/* SPDX-License-Identifier: Apache-2.0
 *
 * Files against rows, and the rows of uploads and of what is doomed (check.h, contract 2).
 *
 * A name from the walk that no row has is suspected; one that is still in the store after that look
 * is an orphan: bytes go before the doomed row does, and an upload's row is there before its bytes.
 * Handing it to the reclaimer looks for a row once more, in the transaction that dooms the name.
 */
#include "base/clock.h"
#include "base/mem.h"
#include "base/rng.h"
#include "check/check_int.h"

/* ---- uploads ------------------------------------------------------------------------------- */

struct upload_page {
    struct check *c;
    struct audit_name_at at;
    struct audit_name_at cursor;
    struct {
        char id[AUDIT_NAME_MAX + 1];
        bool overdue;
        bool stored; /* its bytes are said to be in the store */
    } suspects[CHECK_PAGE];
    size_t suspect_count;
    size_t passed;
    /* the second look */
    bool there;
    char repo[AUDIT_NAME_MAX + 1];
    uint64_t size;
    int64_t due_at;
    bool stored;
};

/* The reclaimer of a running registry comes by all the time; this is no delay of its. */
#define OVERDUE_MS (10 * CLOCK_MINUTE_MS)

static enum st suspect_upload(struct db_tx *tx, const struct audit_upload *row, void *ctx,
                              struct err *err)
{
    struct upload_page *p = ctx;
    bool overdue = row->due_at + OVERDUE_MS < p->c->now;
    bool stored = !row->in_row && row->size > 0;
    (void)tx;
    (void)err;
    if (!overdue && !stored)
        return ST_OK;
    (void)str_copy(row->id, p->suspects[p->suspect_count].id, AUDIT_NAME_MAX + 1);
    p->suspects[p->suspect_count].overdue = overdue;
    p->suspects[p->suspect_count++].stored = stored;
    return ST_OK;
}

static enum st read_uploads(struct db_tx *tx, void *ctx, struct err *err)
{
    struct upload_page *p = ctx;
    p->cursor = p->at;
    p->suspect_count = 0;
    return audit_uploads(tx, &p->cursor, CHECK_PAGE, suspect_upload, p, &p->passed, err);
}

static enum st note_upload(struct db_tx *tx, const struct audit_upload *row, void *ctx,
                           struct err *err)
{
    struct upload_page *p = ctx;
    (void)tx;
    (void)err;
    p->there = true;
    p->size = row->size;
    p->due_at = row->due_at;
    p->stored = !row->in_row && row->size > 0;
    (void)str_copy(row->repo, p->repo, sizeof(p->repo));
    return ST_OK;
}

static enum st look_at_upload(struct db_tx *tx, void *ctx, struct err *err)
{
    struct upload_page *p = ctx;
    p->there = false;
    enum st st = audit_upload(tx, str_of(p->at.name), note_upload, p, err);
    return st == ST_NOT_FOUND ? ST_OK : st;
}

/* How much of it lies in the store. */
static enum st stored_size(struct check *c, str id, uint64_t *out, struct err *err)
{
    AUTO(blob_reader_close) struct blob_reader reader = BLOB_READER_NONE;
    *out = 0;
    if (!blob_name_valid(id))
        return ST_OK;
    enum st st = blob_reader_open(c->r->store, id, &reader, err);
    if (st == ST_OK)
        *out = reader.size;
    return st == ST_NOT_FOUND ? ST_OK : st;
}

static enum st confirm_upload(struct upload_page *p, size_t i, struct err *err)
{
    char object[CHECK_OBJECT_MAX];
    char when[CLOCK_RFC3339_SIZE];
    str id = str_of(p->suspects[i].id);
    uint64_t real = 0;
    enum st st = p->suspects[i].stored ? stored_size(p->c, id, &real, err) : ST_OK;
    (void)str_copy(id, p->at.name, sizeof(p->at.name));
    if (st == ST_OK)
        st = db_read(p->c->r->db, look_at_upload, p, err);
    if (st != ST_OK || !p->there)
        return st;
    str about = check_object_in(str_of(p->repo), '/', id, object);
    if (p->suspects[i].overdue && p->due_at + OVERDUE_MS < p->c->now) {
        clock_rfc3339(registry_utc(p->c->r, p->due_at), when);
        check_tell(p->c, CHECK_UPLOAD_OVERDUE, false, about, "since %s", when);
    }
    if (!p->suspects[i].stored || !p->stored || real >= p->size)
        return ST_OK;
    /* The file never has less than the row said before, as long as there is a row. */
    uint64_t said = p->size;
    st = stored_size(p->c, id, &real, err);
    if (st == ST_OK && real < said)
        st = db_read(p->c->r->db, look_at_upload, p, err);
    if (st == ST_OK && real < said && p->there)
        check_tell(p->c, CHECK_UPLOAD_SHORT, false, about, "%llu bytes were stored, %llu are there",
                   (unsigned long long)said, (unsigned long long)real);
    return st;
}

/* ---- what is doomed ------------------------------------------------------------------------ */

struct doomed_page {
    struct check *c;
    struct audit_name_at at;
    struct audit_name_at cursor;
    size_t passed;
};

/* One snapshot judges: a name is doomed in the transaction that takes it from its row. */
static enum st tell_doomed(struct db_tx *tx, str name, bool used, void *ctx, struct err *err)
{
    struct doomed_page *p = ctx;
    (void)tx;
    (void)err;
    if (used)
        check_tell(p->c, CHECK_DOOMED_USED, false, name,
                   "the reclaimer would remove what is in use");
    return ST_OK;
}

static enum st read_doomed(struct db_tx *tx, void *ctx, struct err *err)
{
    struct doomed_page *p = ctx;
    p->cursor = p->at;
    return audit_doomed(tx, &p->cursor, CHECK_PAGE, tell_doomed, p, &p->passed, err);
}

enum st check_uploads(struct check *c, struct err *err)
{
    struct upload_page *p = mem_new(sizeof(*p));
    struct doomed_page d = { .c = c };
    enum st st = ST_OK;
    if (p == NULL)
        return err_no_memory(err);
    p->c = c;
    do {
        st = db_read(c->r->db, read_uploads, p, err);
        for (size_t i = 0; st == ST_OK && i < p->suspect_count; i++)
            st = confirm_upload(p, i, err);
        p->at = p->cursor;
        if (st == ST_OK) {
            c->report->uploads += p->passed;
            st = check_advance(c, p->passed, err);
        }
    } while (st == ST_OK && p->passed == CHECK_PAGE);
    mem_free(p);
    while (st == ST_OK) {
        st = db_read(c->r->db, read_doomed, &d, err);
        d.at = d.cursor;
        if (st == ST_OK)
            st = check_advance(c, d.passed, err);
        if (d.passed < CHECK_PAGE)
            break;
    }
    return st;
}

/* ---- the walk ------------------------------------------------------------------------------ */

#define NAMES_BATCH ((size_t)256)

struct file_batch {
    struct check *c;
    char names[NAMES_BATCH][RNG_ID_LEN + 1];
    enum audit_use uses[NAMES_BATCH];
    size_t count;
    str doom; /* the name that is handed on */
    uint64_t doom_size;
    bool doomed;
};

static enum st look_up_names(struct db_tx *tx, void *ctx, struct err *err)
{
    struct file_batch *b = ctx;
    enum st st = ST_OK;
    for (size_t i = 0; st == ST_OK && i < b->count; i++)
        st = audit_use_of(tx, str_of(b->names[i]), &b->uses[i], err);
    return st;
}

static enum st doom_name(struct db_tx *tx, void *ctx, struct err *err)
{
    struct file_batch *b = ctx;
    return audit_doom_orphan(tx, b->doom, b->doom_size, b->c->now, &b->doomed, err);
}

static enum st confirm_orphan(struct file_batch *b, size_t i, struct err *err)
{
    AUTO(blob_reader_close) struct blob_reader reader = BLOB_READER_NONE;
    str name = str_of(b->names[i]);
    enum st st = blob_reader_open(b->c->r->store, name, &reader, err);
    if (st == ST_NOT_FOUND)
        return ST_OK; /* it was removed, and then its row was */
    if (st != ST_OK)
        return st;
    b->doomed = false;
    if (b->c->options->repair_orphans) {
        b->doom = name;
        b->doom_size = reader.size;
        st = db_write(b->c->r->db, doom_name, b, err);
    }
    if (st == ST_OK)
        check_tell(b->c, CHECK_FILE_ORPHAN, b->doomed, name, "%llu bytes",
                   (unsigned long long)reader.size);
    return st;
}

static enum st judge_files(struct file_batch *b, struct err *err)
{
    size_t passed = b->count;
    enum st st = db_read(b->c->r->db, look_up_names, b, err);
    for (size_t i = 0; st == ST_OK && i < b->count; i++)
        if (b->uses[i] == AUDIT_UNKNOWN)
            st = confirm_orphan(b, i, err);
    b->count = 0;
    return st == ST_OK ? check_advance(b->c, passed, err) : st;
}

static enum st add_file(str name, uint64_t size, void *ctx, struct err *err)
{
    struct file_batch *b = ctx;
    b->c->report->files++;
    if (!blob_name_valid(name)) {
        if (!str_eq(name, STR("lost+found"))) /* the store may be a file system of its own */
            check_tell(b->c, CHECK_FILE_FOREIGN, false, name, "%llu bytes",
                       (unsigned long long)size);
        return ST_OK;
    }
    (void)str_copy(name, b->names[b->count++], sizeof(b->names[0]));
    return b->count == NAMES_BATCH ? judge_files(b, err) : ST_OK;
}

enum st check_files(struct check *c, struct err *err)
{
    struct file_batch *b = mem_new(sizeof(*b));
    if (b == NULL)
        return err_no_memory(err);
    b->c = c;
    enum st st = blob_walk(c->r->store, add_file, b, err);
    if (st == ST_OK)
        st = judge_files(b, err);
    mem_free(b);
    return st;
}
