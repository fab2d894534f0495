/* SPDX-License-Identifier: Apache-2.0 */
#include "base/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/fault.h"

/* Fails as a broken disk would. */
static bool injected(void)
{
    if (!fault_hit(FAULT_IO))
        return false;
    errno = EIO;
    return true;
}

enum st file_open(int dir, const char *path, int flags, mode_t mode, int *fd, struct err *err)
{
    int opened = injected() ? -1 : openat(dir, path, flags | O_CLOEXEC, mode);
    if (opened < 0)
        return err_sys(err, "open %s", path);
    *fd = opened;
    return ST_OK;
}

enum st file_write_at(int fd, const void *bytes, size_t len, uint64_t offset, struct err *err)
{
    const char *p = bytes;
    while (len > 0) {
        ssize_t n = injected() ? -1 : pwrite(fd, p, len, (off_t)offset);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_sys(err, "write");
        p += n;
        offset += (uint64_t)n;
        len -= (size_t)n;
    }
    return ST_OK;
}

enum st file_read_at(int fd, void *bytes, size_t len, uint64_t offset, size_t *got, struct err *err)
{
    char *p = bytes;
    size_t done = 0;
    while (done < len) {
        ssize_t n = injected() ? -1 : pread(fd, p + done, len - done, (off_t)(offset + done));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_sys(err, "read");
        if (n == 0)
            break;
        done += (size_t)n;
    }
    *got = done;
    return ST_OK;
}

enum st file_sync(int fd, struct err *err)
{
    if (injected() || fdatasync(fd) < 0)
        return err_sys(err, "fdatasync");
    return ST_OK;
}

enum st file_sync_dir(int dir, const char *path, struct err *err)
{
    AUTO(file_close_auto) int fd = -1;
    enum st st = file_open(dir, path, O_RDONLY | O_DIRECTORY, 0, &fd, err);
    if (st != ST_OK)
        return st;
    if (injected() || fsync(fd) < 0)
        return err_sys(err, "fsync directory %s", path);
    return ST_OK;
}

enum st file_truncate(int fd, uint64_t size, struct err *err)
{
    if (injected() || ftruncate(fd, (off_t)size) < 0)
        return err_sys(err, "truncate");
    return ST_OK;
}

enum st file_size(int fd, uint64_t *size, struct err *err)
{
    struct stat s;
    if (injected() || fstat(fd, &s) < 0)
        return err_sys(err, "fstat");
    *size = (uint64_t)s.st_size;
    return ST_OK;
}

enum st file_unlink(int dir, const char *path, struct err *err)
{
    if (!injected() && (unlinkat(dir, path, 0) == 0 || errno == ENOENT))
        return ST_OK;
    return err_sys(err, "unlink %s", path);
}

enum st file_rename_new(int dir, const char *from, const char *to, struct err *err)
{
    if (!injected() && renameat2(dir, from, dir, to, RENAME_NOREPLACE) == 0)
        return ST_OK;
    if (errno == EEXIST)
        return err_set(err, ST_EXISTS, "%s is already there", to);
    return err_sys(err, "rename %s to %s", from, to);
}

enum st file_rename_over(int dir, const char *from, const char *to, struct err *err)
{
    if (!injected() && renameat(dir, from, dir, to) == 0)
        return ST_OK;
    return err_sys(err, "rename %s to %s", from, to);
}

enum st file_mkdir(int dir, const char *path, mode_t mode, struct err *err)
{
    if (!injected() && (mkdirat(dir, path, mode) == 0 || errno == EEXIST))
        return ST_OK;
    return err_sys(err, "mkdir %s", path);
}

enum st file_write_back(int fd, uint64_t from, uint64_t len, bool wait, struct err *err)
{
    unsigned flags = SYNC_FILE_RANGE_WRITE;
    if (wait)
        flags |= SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WAIT_AFTER;
    if (!injected() && (sync_file_range(fd, (off_t)from, (off_t)len, flags) == 0 ||
                        errno == ENOSYS || errno == EINVAL))
        return ST_OK; /* where it is not supported, file_sync() does all the work */
    return err_sys(err, "write back");
}

void file_forget(int fd, uint64_t from, uint64_t len)
{
    (void)posix_fadvise(fd, (off_t)from, (off_t)len, POSIX_FADV_DONTNEED);
}

bool file_set_direct(int fd, bool direct)
{
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0)
        return false;
    flags = direct ? flags | O_DIRECT : flags & ~O_DIRECT;
    return fcntl(fd, F_SETFL, flags) == 0;
}

enum st file_space(int fd, uint64_t *free_bytes, uint64_t *size_bytes, struct err *err)
{
    struct statvfs s;
    if (injected() || fstatvfs(fd, &s) < 0)
        return err_sys(err, "fstatvfs");
    *free_bytes = (uint64_t)s.f_bavail * s.f_frsize;
    *size_bytes = (uint64_t)s.f_blocks * s.f_frsize;
    return ST_OK;
}

static void close_dir_auto(DIR **d)
{
    if (*d != NULL)
        (void)closedir(*d);
}

static enum st list_entry(int fd, const char *name, file_list_fn fn, void *ctx, struct err *err)
{
    struct stat s;
    if (injected() || fstatat(fd, name, &s, AT_SYMLINK_NOFOLLOW) < 0) {
        if (errno == ENOENT)
            return ST_OK; /* gone since it was read */
        return err_sys(err, "stat %s", name);
    }
    if (S_ISREG(s.st_mode))
        return fn(name, FILE_REGULAR, (uint64_t)s.st_size, ctx, err);
    return fn(name, S_ISDIR(s.st_mode) ? FILE_FOLDER : FILE_OTHER, 0, ctx, err);
}

enum st file_list(int dir, const char *path, file_list_fn fn, void *ctx, struct err *err)
{
    int fd;
    enum st st = file_open(dir, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0, &fd, err);
    if (st != ST_OK)
        return st;
    AUTO(close_dir_auto) DIR *d = injected() ? NULL : fdopendir(fd);
    if (d == NULL) {
        st = err_sys(err, "list %s", path);
        (void)close(fd);
        return st;
    }
    for (;;) {
        errno = 0;
        struct dirent *e = injected() ? NULL : readdir(d);
        if (e == NULL)
            return errno == 0 ? ST_OK : err_sys(err, "list %s", path);
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        st = list_entry(fd, e->d_name, fn, ctx, err);
        if (st != ST_OK)
            return st;
    }
}

void file_close_auto(const int *fd)
{
    if (*fd >= 0)
        (void)close(*fd); /* what must be durable was synced before */
}
