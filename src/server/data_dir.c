/* SPDX-License-Identifier: Apache-2.0 */
#include "server/data_dir.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"

#define LOCK_TEXT_MAX 256

enum st data_dir_default(struct arena *a, const char **out, struct err *err)
{
    if (geteuid() == 0) {
        *out = "/var/lib/ebb";
        return ST_OK;
    }
    const char *base = getenv("XDG_DATA_HOME");
    const char *below = "ebb";
    if (base == NULL || base[0] != '/') { /* the XDG specification ignores relative ones */
        base = getenv("HOME");
        below = ".local/share/ebb";
    }
    if (base == NULL || base[0] != '/')
        return err_set(err, ST_NOT_FOUND,
                       "no data directory: $HOME is not set; name one with --data");
    str path = arena_printf(a, "%s/%s", base, below);
    if (path.ptr == NULL)
        return err_no_memory(err);
    *out = path.ptr;
    return ST_OK;
}

static enum st make_parents(const char *path, struct err *err)
{
    char part[PATH_MAX];
    if (!str_copy(str_of(path), part, sizeof(part)))
        return err_set(err, ST_INVALID, "data directory: the path is too long");
    for (char *slash = strchr(part + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        enum st st = file_mkdir(AT_FDCWD, part, 0700, err);
        if (st != ST_OK)
            return st;
        *slash = '/';
    }
    return ST_OK;
}

/* Who has it, as well as the file tells. */
static enum st refuse_busy(const char *path, int fd, struct err *err)
{
    char text[LOCK_TEXT_MAX + 1] = "";
    char host[65] = "";
    char since[33] = "";
    long pid = 0;
    size_t got = 0;
    if (file_read_at(fd, text, LOCK_TEXT_MAX, 0, &got, NULL) == ST_OK)
        text[got] = '\0';
    if (sscanf(text, "%ld %64s %32s", &pid, host, since) != 3)
        return err_set(err, ST_BUSY,
                       "data directory %s is in use by another process; stop it first, or name "
                       "another directory with --data",
                       path);
    return err_set(err, ST_BUSY,
                   "data directory %s is in use by process %ld on %s since %s; stop it first "
                   "(kill %ld), or name another directory with --data",
                   path, pid, host, since, pid);
}

static enum st write_owner(int fd, struct err *err)
{
    char host[65] = "";
    char since[CLOCK_RFC3339_SIZE];
    char text[LOCK_TEXT_MAX];
    if (gethostname(host, sizeof(host) - 1) < 0 || host[0] == '\0')
        (void)str_copy(STR("unknown"), host, sizeof(host));
    clock_rfc3339(clock_utc_ms(), since);
    int len = snprintf(text, sizeof(text), "%ld %s %s\n", (long)getpid(), host, since);
    enum st st = file_truncate(fd, 0, err);
    return st != ST_OK ? st : file_write_at(fd, text, (size_t)len, 0, err);
}

static enum st take_lock(const char *path, int dir, int *out, struct err *err)
{
    AUTO(file_close_auto) int fd = -1;
    enum st st = file_open(dir, "lock", O_RDWR | O_CREAT, 0600, &fd, err);
    if (st != ST_OK)
        return err_wrap(err, "data directory %s", path);
    while (flock(fd, LOCK_EX | LOCK_NB) < 0) {
        if (errno == EWOULDBLOCK)
            return refuse_busy(path, fd, err);
        if (errno != EINTR)
            return err_sys(err, "data directory %s: lock", path);
    }
    st = write_owner(fd, err);
    if (st != ST_OK)
        return err_wrap(err, "data directory %s: lock", path);
    *out = fd;
    fd = -1;
    return ST_OK;
}

enum st data_dir_open(const char *path, bool with_parents, struct data_dir *out, struct err *err)
{
    enum st st = with_parents ? make_parents(path, err) : ST_OK;
    if (st == ST_OK)
        st = file_mkdir(AT_FDCWD, path, 0700, err);
    AUTO(file_close_auto) int dir = -1;
    if (st == ST_OK)
        st = file_open(AT_FDCWD, path, O_RDONLY | O_DIRECTORY, 0, &dir, err);
    if (st != ST_OK)
        return err_wrap(err, "data directory");
    return take_lock(path, dir, &out->lock_fd, err);
}

void data_dir_close(struct data_dir *d)
{
    if (d->lock_fd < 0)
        return;
    if (file_truncate(d->lock_fd, 0, NULL) != ST_OK) {
        /* the old text stays, which decides nothing */
    }
    (void)close(d->lock_fd);
    d->lock_fd = -1;
}
