/* SPDX-License-Identifier: Apache-2.0
 *
 * Runs a fuzz target over the files of a directory, so that every corpus is an ordinary test.
 */
#include <dirent.h>
#include <fcntl.h>

#include "base/file.h"
#include "base/mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static enum st replay(int dir, const char *name, struct err *err)
{
    AUTO(file_close_auto) int fd = -1;
    AUTO(mem_auto) uint8_t *bytes = NULL;
    uint64_t size = 0;
    size_t got = 0;
    enum st st = file_open(dir, name, O_RDONLY, 0, &fd, err);
    if (st == ST_OK)
        st = file_size(fd, &size, err);
    if (st != ST_OK)
        return st;
    bytes = mem_new(size == 0 ? 1 : size); /* its own block, so that overreads are seen */
    if (bytes == NULL)
        return err_no_memory(err);
    st = file_read_at(fd, bytes, size, 0, &got, err);
    if (st == ST_OK)
        (void)LLVMFuzzerTestOneInput(bytes, got);
    return st;
}

int main(int argc, char **argv)
{
    struct err err;
    size_t count = 0;
    DIR *dir = argc == 2 ? opendir(argv[1]) : NULL;
    if (dir == NULL) {
        (void)fprintf(stderr, "usage: %s <directory of inputs>\n", argv[0]);
        return 2;
    }
    for (struct dirent *e = readdir(dir); e != NULL; e = readdir(dir)) {
        if (e->d_name[0] == '.')
            continue;
        if (replay(dirfd(dir), e->d_name, &err) != ST_OK) {
            (void)fprintf(stderr, "%s: %s\n", e->d_name, err.text);
            return 1;
        }
        count++;
    }
    (void)closedir(dir);
    (void)printf("%zu inputs\n", count);
    return count == 0; /* an empty corpus proves nothing */
}
