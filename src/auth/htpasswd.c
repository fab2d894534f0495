/* SPDX-License-Identifier: Apache-2.0 */
#include "auth/htpasswd.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "auth/password.h"
#include "base/file.h"
#include "base/lock.h"
#include "base/mem.h"
#include "meta/accounts.h"

struct stamp {
    bool there;
    struct timespec changed, written;
    off_t size;
    ino_t inode;
    dev_t device;
};

struct htpasswd {
    char *path;
    struct stamp stamp; /* of the last reading, failed ones included */
    struct lock lock;   /* of what follows; the rest belongs to who looks */
    struct htpasswd_table *table;
};

/* ---- the text -------------------------------------------------------------------------------- */

static void free_table(struct counted *c)
{
    struct htpasswd_table *t = CONTAINER_OF(c, struct htpasswd_table, counted);
    arena_release(&t->arena);
    mem_free(t);
}

static enum st new_table(struct htpasswd_table **out, struct err *err)
{
    struct htpasswd_table *t = mem_new(sizeof(*t));
    if (t == NULL)
        return err_no_memory(err);
    t->counted.free = free_table;
    atomic_init(&t->counted.refs, 1);
    t->arena.limit_bytes = 4 * HTPASSWD_BYTES_MAX;
    *out = t;
    return ST_OK;
}

static size_t count_lines(str text)
{
    size_t n = 1;
    for (size_t i = 0; i < text.len; i++)
        n += text.ptr[i] == '\n';
    return n;
}

static int by_name(const void *a, const void *b)
{
    return str_cmp(((const struct htpasswd_entry *)a)->name,
                   ((const struct htpasswd_entry *)b)->name);
}

static enum st parse_line(str line, size_t number, struct htpasswd_entry *out, struct err *err)
{
    if (!str_cut(line, ':', &out->name, &out->hash))
        return err_set(err, ST_INVALID, "line %zu has no colon between name and hash", number);
    if (account_name_check(out->name, err) != ST_OK)
        return err_wrap(err, "line %zu", number);
    if (!password_hash_is_known(out->hash))
        return err_set(err, ST_INVALID,
                       "line %zu: the hash is of a kind that is not known; htpasswd -B makes one",
                       number);
    return ST_OK;
}

/* `entries` has room for every line of the text. */
static enum st parse_lines(str text, struct htpasswd_entry *entries, size_t *count, struct err *err)
{
    size_t number = 0;
    for (bool more = true; more;) {
        str line = text;
        more = str_cut(text, '\n', &line, &text);
        number++;
        if (str_ends(line, STR("\r")))
            line.len--;
        if (line.len == 0 || line.ptr[0] == '#')
            continue;
        enum st st = parse_line(line, number, &entries[*count], err);
        if (st != ST_OK)
            return st;
        ++*count;
    }
    qsort(entries, *count, sizeof(*entries), by_name);
    for (size_t i = 1; i < *count; i++)
        if (str_eq(entries[i - 1].name, entries[i].name))
            return err_set(err, ST_INVALID, "%.*s is there twice", STR_FMT(entries[i].name));
    return ST_OK;
}

static enum st fill(struct htpasswd_table *t, str text, struct err *err)
{
    size_t lines = count_lines(text);
    if (text.len > HTPASSWD_BYTES_MAX || lines > HTPASSWD_ENTRIES_MAX)
        return err_set(err, ST_TOO_LARGE, "more than %zu lines or %zu bytes are not read",
                       HTPASSWD_ENTRIES_MAX, (size_t)HTPASSWD_BYTES_MAX);
    str copy = arena_dup(&t->arena, text);
    struct htpasswd_entry *entries = arena_alloc(&t->arena, lines * sizeof(*entries));
    if (copy.ptr == NULL || entries == NULL)
        return err_no_memory(err);
    t->entries = entries;
    return parse_lines(copy, entries, &t->count, err);
}

enum st htpasswd_parse(str text, struct htpasswd_table **out, struct err *err)
{
    struct htpasswd_table *t = NULL;
    enum st st = new_table(&t, err);
    if (st != ST_OK)
        return st;
    st = fill(t, text, err);
    if (st == ST_OK)
        *out = t;
    else
        counted_drop(&t->counted);
    return st;
}

str htpasswd_find(const struct htpasswd_table *t, str name)
{
    const struct htpasswd_entry key = { .name = name };
    const struct htpasswd_entry *found = NULL;
    if (t != NULL && t->count > 0)
        found = bsearch(&key, t->entries, t->count, sizeof(key), by_name);
    return found == NULL ? STR_NONE : found->hash;
}

/* ---- the file -------------------------------------------------------------------------------- */

static enum st read_file(const char *path, struct htpasswd_table **out, struct err *err)
{
    AUTO(file_close_auto) int fd = -1;
    AUTO(mem_auto) char *bytes = NULL;
    uint64_t size = 0;
    size_t got = 0;
    enum st st = file_open(AT_FDCWD, path, O_RDONLY, 0, &fd, err);
    if (st == ST_OK)
        st = file_size(fd, &size, err);
    if (st != ST_OK)
        return st;
    if (size > HTPASSWD_BYTES_MAX)
        return err_set(err, ST_TOO_LARGE, "%s: more than %zu bytes are not read", path,
                       (size_t)HTPASSWD_BYTES_MAX);
    bytes = mem_new(size + 1);
    if (bytes == NULL)
        return err_no_memory(err);
    st = file_read_at(fd, bytes, size, 0, &got, err);
    if (st == ST_OK && htpasswd_parse((str){ bytes, got }, out, err) != ST_OK)
        st = err_wrap(err, "%s", path);
    return st;
}

static struct stamp stamp_of(const char *path)
{
    struct stat s;
    if (stat(path, &s) != 0)
        return (struct stamp){ .there = false };
    return (struct stamp){ .there = true,
                           .changed = s.st_ctim,
                           .written = s.st_mtim,
                           .size = s.st_size,
                           .inode = s.st_ino,
                           .device = s.st_dev };
}

static bool same_time(struct timespec a, struct timespec b)
{
    return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

static bool same_stamp(const struct stamp *a, const struct stamp *b)
{
    return a->there == b->there && same_time(a->changed, b->changed) &&
           same_time(a->written, b->written) && a->size == b->size && a->inode == b->inode &&
           a->device == b->device;
}

struct htpasswd_table *htpasswd_table(struct htpasswd *h)
{
    if (h == NULL)
        return NULL;
    LOCK_SCOPE(&h->lock);
    counted_take(&h->table->counted);
    return h->table;
}

static void set_table(struct htpasswd *h, struct htpasswd_table *t)
{
    struct htpasswd_table *old;
    {
        LOCK_SCOPE(&h->lock);
        old = h->table;
        h->table = t;
    }
    if (old != NULL)
        counted_drop(&old->counted);
}

enum st htpasswd_look(struct htpasswd *h, bool *changed, struct err *err)
{
    struct htpasswd_table *t;
    /* Taken before the file is read: a change meanwhile is seen the next time. */
    struct stamp stamp = stamp_of(h->path);
    *changed = false;
    if (same_stamp(&stamp, &h->stamp))
        return ST_OK;
    enum st st = stamp.there ? read_file(h->path, &t, err) : new_table(&t, err);
    if (st != ST_NO_MEMORY) /* that is tried again */
        h->stamp = stamp;
    if (st != ST_OK)
        return st;
    set_table(h, t);
    *changed = true;
    return ST_OK;
}

enum st htpasswd_open(const char *path, struct htpasswd **out, struct err *err)
{
    struct htpasswd *h = mem_new(sizeof(*h));
    if (h == NULL)
        return err_no_memory(err);
    lock_init(&h->lock, LOCK_AUTH_KEYS);
    h->path = mem_dup(path, strlen(path));
    enum st st = h->path == NULL ? err_no_memory(err) : ST_OK;
    if (st == ST_OK) {
        h->stamp = stamp_of(path);
        st = read_file(path, &h->table, err);
    }
    if (st == ST_OK)
        *out = h;
    else
        htpasswd_close(h);
    return st;
}

void htpasswd_close(struct htpasswd *h)
{
    if (h == NULL)
        return;
    if (h->table != NULL)
        counted_drop(&h->table->counted);
    lock_release(&h->lock);
    mem_free(h->path);
    mem_free(h);
}
