/* SPDX-License-Identifier: Apache-2.0
 *
 * Blobs as files: <dir>/<2 hex>/<30 hex>, mode 0600 in folders of mode 0700. No other file belongs
 * to the store.
 *
 * Invariants
 *  1. All 256 folders are there and durable before the store is opened, so that a new name needs
 *     one fsync of one folder, and no path is made from anything but a checked name.
 *  2. A file is synced before its folder, both before finish() returns. (Their order does not
 *     matter for a name that nobody asks for before both are done.)
 *  3. After a sync that failed, the kernel may have dropped the bytes and call them clean: a second
 *     sync would succeed and promise what is lost. So a failed finish() cuts the file to nothing;
 *     a resumed upload then meets ST_DAMAGED and starts over.
 *
 *     absent --open(0)--> growing --finish--> durable --remove--> absent
 *                         ^     |  (open(n) cuts to n and goes on)
 *                         +-----+
 *
 * What a power loss leaves: while growing, nothing or a file of any length up to what was written;
 * between unlink and fsync of the folder, the old file or nothing. A row of the database names it
 * in both cases and has it removed.
 *
 * How bytes go to the disk. Measured on a virtual machine of 2 cores, ext4, 1 GiB in pieces of
 * 1 MiB with SHA-256 in the same thread (alone: 0.83 to 0.94 s of CPU), memory not lately used:
 *
 *     buffered, then fdatasync          290 MB/s      3.2 s of CPU (fresh page cache is what costs)
 *     written back early                350 MB/s      3.1 s
 *     written back, dropped behind      785-850 MB/s  1.25-1.32 s (the same pages again and again)
 *     past the cache (O_DIRECT)         650-770 MB/s  0.95-1.10 s
 *
 * With hashing and writing on two threads, as uploads do it (blob_writer_start()), one stream
 * reached 740-800 MB/s dropped behind for 1.8-2.0 s of CPU and 690-750 MB/s past the cache
 * for 1.4-1.6 s: alone, an upload has a processor to spare, so it goes through the cache. With two
 * at once the CPU decides: 230-380 MB/s each dropped behind, 390-570 past the cache. So large
 * aligned pieces go past it while several large blobs are written, all others through it and out
 * again. Files up to CACHED_BYTES stay cached for the pull that follows a push; a larger one is
 * read from the disk by its first pull: 440-1600 MB/s by sendfile, 2800 when cached. Allocating
 * ahead gained nothing. A file system without O_DIRECT gets all of it buffered.
 *
 * Small files: fdatasync and fsync of the folder for each; 256 KiB from 8 threads: 1,890/s. ext4's
 * journal already commits those of concurrent callers together: a thread that syncs for a group
 * reached 1,330/s, starting the writing back first 1,550/s.
 *
 * Threads: a store has a descriptor and a count; the kernel does the rest.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/rng.h"
#include "blob/blob.h"

#define FOLDERS   256
#define PATH_SIZE (RNG_ID_LEN + 2) /* the slash and the NUL */

/* A file is written back in windows of this size, and left in the page cache up to this far behind
 * its end; what is older is dropped, so that the next window finds its pages warm. */
#define WINDOW_BYTES (4 * MIB)
#define CACHED_BYTES (16 * MIB)

/* While several large blobs are written, pieces from this size on go past the page cache, when
 * address and offset are aligned; shorter ones are slower that way. Behind the first CACHED_BYTES
 * only: what is smaller stays cached for its pull. */
#define DIRECT_BYTES (512 * KIB)
#define DIRECT_ALIGN ((uint64_t)4096)

struct fs_store {
    struct blob_store store;
    int dir;
    atomic_uint large; /* writers that are beyond CACHED_BYTES */
};

struct fs_writer {
    struct blob_writer writer;
    int fd;
    uint64_t started; /* writing back has been started up to here */
    uint64_t dropped; /* written back, waited for and dropped from the cache up to here */
    bool large;       /* counted in the store's `large` */
    bool direct;      /* the descriptor's mode now */
    bool no_direct;   /* the file system refused it */
    char path[PATH_SIZE];
};

static struct fs_store *fs_of(struct blob_store *s)
{
    return CONTAINER_OF(s, struct fs_store, store);
}

static struct fs_writer *writer_of(struct blob_writer *w)
{
    return CONTAINER_OF(w, struct fs_writer, writer);
}

static void make_path(str name, char out[static PATH_SIZE])
{
    assert(blob_name_valid(name));
    memcpy(out, name.ptr, 2);
    out[2] = '/';
    memcpy(out + 3, name.ptr + 2, name.len - 2);
    out[name.len + 1] = '\0';
}

static void make_folder(unsigned i, char out[static 3])
{
    static const char digits[] = "0123456789abcdef";
    out[0] = digits[i / 16];
    out[1] = digits[i % 16];
    out[2] = '\0';
}

/* The path's folder as a path of its own. */
static enum st sync_folder_of(struct fs_store *fs, const char path[static PATH_SIZE],
                              struct err *err)
{
    char folder[3] = { path[0], path[1], '\0' };
    return file_sync_dir(fs->dir, folder, err);
}

/* A missing folder is not a missing blob. */
static enum st open_status(enum st st, const char *path, struct err *err)
{
    if (st != ST_NOT_FOUND)
        return st;
    return err_set(err, ST_IO, "open %s: its folder is missing; a restart makes it again", path);
}

static enum st open_at(struct fs_store *fs, struct fs_writer *w, uint64_t offset, struct err *err)
{
    int flags = O_WRONLY | O_NOFOLLOW | (offset == 0 ? O_CREAT : 0);
    AUTO(file_close_auto) int fd = -1;
    uint64_t size = 0;
    enum st st = file_open(fs->dir, w->path, flags, 0600, &fd, err);
    if (st == ST_NOT_FOUND && offset > 0)
        return err_set(err, ST_DAMAGED, "%s is missing, with %llu bytes stored before", w->path,
                       (unsigned long long)offset);
    if (st != ST_OK)
        return open_status(st, w->path, err);
    st = file_size(fd, &size, err);
    if (st != ST_OK)
        return st;
    if (size < offset)
        return err_set(err, ST_DAMAGED, "%s holds %llu bytes, not the %llu stored before", w->path,
                       (unsigned long long)size, (unsigned long long)offset);
    if (size > offset) {
        st = file_truncate(fd, offset, err);
        if (st != ST_OK)
            return st;
    }
    w->fd = fd;
    fd = -1;
    return ST_OK;
}

static enum st fs_writer_open(struct blob_store *s, str name, uint64_t offset,
                              struct blob_writer **out, struct err *err)
{
    struct fs_writer *w = mem_new(sizeof(*w));
    if (w == NULL)
        return err_no_memory(err);
    make_path(name, w->path);
    w->started = offset;
    w->dropped = offset;
    enum st st = open_at(fs_of(s), w, offset, err);
    if (st != ST_OK) {
        mem_free(w);
        return st;
    }
    *out = &w->writer;
    return ST_OK;
}

/* Starts writing back each full window, so that finish() has little to wait for, and drops from the
 * cache what is far behind. */
static enum st write_behind(struct fs_writer *w, uint64_t end, struct err *err)
{
    while (end - w->started >= WINDOW_BYTES) {
        enum st st = file_write_back(w->fd, w->started, WINDOW_BYTES, false, err);
        if (st != ST_OK)
            return st;
        w->started += WINDOW_BYTES;
    }
    while (w->started - w->dropped > CACHED_BYTES) {
        enum st st = file_write_back(w->fd, w->dropped, WINDOW_BYTES, true, err);
        if (st != ST_OK)
            return st;
        file_forget(w->fd, w->dropped, WINDOW_BYTES);
        w->dropped += WINDOW_BYTES;
    }
    return ST_OK;
}

/* Whether another large writer is at work; counts this one. */
static bool in_company(struct fs_writer *w)
{
    struct fs_store *fs = fs_of(w->writer.store);
    if (!w->large)
        (void)atomic_fetch_add(&fs->large, 1);
    w->large = true;
    return atomic_load_explicit(&fs->large, memory_order_relaxed) > 1;
}

/* How many of the bytes can go past the page cache; all others go through it. */
static size_t direct_part(struct fs_writer *w, const void *bytes, size_t len)
{
    uint64_t at = w->writer.offset;
    if (w->no_direct || len < DIRECT_BYTES || at < CACHED_BYTES || !in_company(w))
        return 0;
    if ((uintptr_t)bytes % DIRECT_ALIGN != 0 || at % DIRECT_ALIGN != 0)
        return 0;
    return len - len % DIRECT_ALIGN;
}

static bool set_direct(struct fs_writer *w, bool direct)
{
    if (w->direct != direct && file_set_direct(w->fd, direct))
        w->direct = direct;
    return w->direct == direct;
}

/* The range is new to the file, so no page of it is cached that the kernel would have to find out
 * about; a buffered neighbour shares no block with it. */
static enum st add_direct(struct fs_writer *w, const void *bytes, size_t len, bool *done,
                          struct err *err)
{
    if (!set_direct(w, true)) {
        w->no_direct = true;
        return ST_OK;
    }
    enum st st = file_write_at(w->fd, bytes, len, w->writer.offset, err);
    if (st == ST_IO && errno == EINVAL) { /* wants a larger alignment, or has none of this */
        w->no_direct = true;
        return ST_OK;
    }
    *done = st == ST_OK;
    return st;
}

static enum st fs_writer_add(struct blob_writer *writer, const void *bytes, size_t len,
                             struct err *err)
{
    struct fs_writer *w = writer_of(writer);
    size_t direct = direct_part(w, bytes, len);
    if (direct > 0) {
        bool done = false;
        enum st st = add_direct(w, bytes, direct, &done, err);
        if (st != ST_OK)
            return st;
        if (!done)
            direct = 0;
    }
    if (direct < len) {
        if (!set_direct(w, false))
            return err_set(err, ST_IO, "cannot leave direct writing");
        enum st st = file_write_at(w->fd, (const char *)bytes + direct, len - direct,
                                   writer->offset + direct, err);
        if (st != ST_OK)
            return st;
    }
    return write_behind(w, writer->offset + len, err);
}

/* Invariant 3: sees to it that nobody takes the bytes for stored. */
static enum st distrust(struct fs_store *fs, struct fs_writer *w, enum st st, struct err *err)
{
    if (file_truncate(w->fd, 0, NULL) == ST_OK || file_unlink(fs->dir, w->path, NULL) == ST_OK)
        return st;
    if (err != NULL)
        (void)err_wrap(err, "and what was written could not be taken back");
    return st;
}

static enum st fs_writer_finish(struct blob_writer *writer, struct err *err)
{
    struct fs_store *fs = fs_of(writer->store);
    struct fs_writer *w = writer_of(writer);
    enum st st = file_sync(w->fd, err);
    if (st == ST_OK)
        st = sync_folder_of(fs, w->path, err);
    return st == ST_OK ? ST_OK : distrust(fs, w, st, err);
}

static void fs_writer_close(struct blob_writer *writer)
{
    struct fs_writer *w = writer_of(writer);
    if (w->large)
        (void)atomic_fetch_sub(&fs_of(writer->store)->large, 1);
    file_close_auto(&w->fd);
    mem_free(w);
}

static enum st fs_reader_open(struct blob_store *s, str name, struct blob_reader *out,
                              struct err *err)
{
    char path[PATH_SIZE];
    make_path(name, path);
    AUTO(file_close_auto) int fd = -1;
    enum st st = file_open(fs_of(s)->dir, path, O_RDONLY | O_NOFOLLOW, 0, &fd, err);
    if (st == ST_OK)
        st = file_size(fd, &out->size, err);
    if (st != ST_OK)
        return st;
    out->fd = fd;
    fd = -1;
    return ST_OK;
}

static enum st fs_reader_get(struct blob_reader *r, void *bytes, size_t len, uint64_t offset,
                             size_t *got, struct err *err)
{
    return file_read_at(r->fd, bytes, len, offset, got, err);
}

static void fs_reader_close(struct blob_reader *r)
{
    file_close_auto(&r->fd);
}

/* Tries every name, so that one that cannot go does not keep the others; answers with the first
 * failure. A folder is synced for an absent name too: whoever unlinked it may not have got so far.
 */
static enum st fs_remove(struct blob_store *s, const str *names, size_t count, struct err *err)
{
    struct fs_store *fs = fs_of(s);
    bool touched[FOLDERS] = { false };
    enum st first = ST_OK;
    for (size_t i = 0; i < count; i++) {
        char path[PATH_SIZE];
        make_path(names[i], path);
        enum st st = file_unlink(fs->dir, path, first == ST_OK ? err : NULL);
        if (first == ST_OK)
            first = st;
        char folder[3] = { path[0], path[1], '\0' };
        touched[strtoul(folder, NULL, 16)] = true;
    }
    for (unsigned i = 0; i < FOLDERS; i++) {
        if (!touched[i])
            continue;
        char folder[3];
        make_folder(i, folder);
        enum st st = file_sync_dir(fs->dir, folder, first == ST_OK ? err : NULL);
        if (first == ST_OK)
            first = st;
    }
    return first;
}

struct walk {
    blob_walk_fn fn;
    void *ctx;
    const char *folder; /* NULL at the top */
    bool ended;         /* by the callback */
};

static bool is_folder(const char *name)
{
    return strlen(name) == 2 && strspn(name, "0123456789abcdef") == 2;
}

static enum st list_top(const char *name, enum file_kind kind, uint64_t size, void *ctx,
                        struct err *err)
{
    const struct walk *walk = ctx;
    if (is_folder(name) && kind == FILE_FOLDER)
        return ST_OK;
    return walk->fn(str_of(name), size, walk->ctx, err);
}

static enum st list_folder(const char *name, enum file_kind kind, uint64_t size, void *ctx,
                           struct err *err)
{
    struct walk *walk = ctx;
    char path[2 + 1 + 255 + 1]; /* NAME_MAX */
    int len = snprintf(path, sizeof(path), "%s%s", walk->folder, name);
    if (len < 0 || (size_t)len >= sizeof(path))
        return err_set(err, ST_IO, "%s/%s: the name is too long", walk->folder, name);
    str id = { path, (size_t)len };
    if (kind != FILE_REGULAR || !blob_name_valid(id)) {
        (void)snprintf(path, sizeof(path), "%s/%s", walk->folder, name);
        id = str_of(path);
    }
    enum st st = walk->fn(id, size, walk->ctx, err);
    walk->ended = st != ST_OK;
    return st;
}

static enum st fs_walk(struct blob_store *s, blob_walk_fn fn, void *ctx, struct err *err)
{
    struct fs_store *fs = fs_of(s);
    struct walk walk = { .fn = fn, .ctx = ctx };
    enum st st = file_list(fs->dir, ".", list_top, &walk, err);
    for (unsigned i = 0; st == ST_OK && i < FOLDERS; i++) {
        char folder[3];
        make_folder(i, folder);
        walk.folder = folder;
        st = file_list(fs->dir, folder, list_folder, &walk, err);
        if (st == ST_NOT_FOUND && !walk.ended)
            st = ST_OK; /* no names; the next start makes it again */
    }
    return st;
}

static enum st fs_space(struct blob_store *s, struct blob_space *out, struct err *err)
{
    return file_space(fs_of(s)->dir, &out->free_bytes, &out->size_bytes, err);
}

static void fs_store_free(struct blob_store *s)
{
    struct fs_store *fs = fs_of(s);
    file_close_auto(&fs->dir);
    mem_free(fs);
}

static const struct blob_ops ops = {
    .kind = "fs",
    .free = fs_store_free,
    .writer_open = fs_writer_open,
    .writer_add = fs_writer_add,
    .writer_finish = fs_writer_finish,
    .writer_close = fs_writer_close,
    .reader_open = fs_reader_open,
    .reader_get = fs_reader_get,
    .reader_close = fs_reader_close,
    .remove = fs_remove,
    .walk = fs_walk,
    .space = fs_space,
};

/* Makes what is missing of the folders. The last one is made when all that leads to the store is
 * durable: where it is there, only the store's own directory may still have to be synced, which
 * costs one fsync and is always done. */
static enum st make_folders(int dir, struct err *err)
{
    enum st st = ST_OK;
    bool complete = true;
    for (unsigned i = 0; i < FOLDERS; i++) {
        char folder[3];
        struct stat info;
        make_folder(i, folder);
        if (fstatat(dir, folder, &info, AT_SYMLINK_NOFOLLOW) == 0) {
            if (!S_ISDIR(info.st_mode))
                return err_set(err, ST_IO, "%s is there and is not a folder", folder);
            continue;
        }
        if (complete) { /* the first that is missing: a new store, or its making was cut short */
            st = file_sync_dir(dir, "..", err);
            if (st != ST_OK)
                return st;
            complete = false;
        }
        st = file_mkdir(dir, folder, 0700, err);
        if (st != ST_OK)
            return st;
    }
    return file_sync_dir(dir, ".", err);
}

static enum st open_store(const char *path, bool read_only, struct blob_store **out,
                          struct err *err)
{
    AUTO(file_close_auto) int dir = -1;
    enum st st = read_only ? ST_OK : file_mkdir(AT_FDCWD, path, 0700, err);
    if (st == ST_OK)
        st = file_open(AT_FDCWD, path, O_RDONLY | O_DIRECTORY, 0, &dir, err);
    if (st == ST_OK && !read_only)
        st = make_folders(dir, err);
    struct fs_store *fs = NULL;
    if (st == ST_OK) {
        fs = mem_new(sizeof(*fs));
        if (fs == NULL)
            st = err_no_memory(err);
    }
    if (st != ST_OK) {
        if (err != NULL)
            (void)err_wrap(err, "open blob store %s", path);
        return st;
    }
    fs->store.ops = &ops;
    fs->dir = dir;
    dir = -1;
    *out = &fs->store;
    return ST_OK;
}

enum st blob_fs_open(const char *path, struct blob_store **out, struct err *err)
{
    return open_store(path, false, out, err);
}

enum st blob_fs_open_read_only(const char *path, struct blob_store **out, struct err *err)
{
    return open_store(path, true, out, err);
}
