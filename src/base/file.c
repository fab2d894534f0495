/* SPDX-License-Identifier: Apache-2.0 */
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
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

enum st file_mkdir(int dir, const char *path, mode_t mode, struct err *err)
{
    if (!injected() && (mkdirat(dir, path, mode) == 0 || errno == EEXIST))
        return ST_OK;
    return err_sys(err, "mkdir %s", path);
}

void file_close_auto(const int *fd)
{
    if (*fd >= 0)
        (void)close(*fd); /* what must be durable was synced before */
}
