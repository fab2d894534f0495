/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/file.h"

static char folder[] = "test_file_XXXXXX";
static int dir = -1;

static int set_up(void **state)
{
    (void)state;
    if (mkdtemp(folder) == NULL)
        return -1;
    dir = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return dir < 0;
}

static int tear_down(void **state)
{
    (void)state;
    (void)close(dir);
    return rmdir(folder); /* fails when a test leaves something */
}

static void write_and_read(void **state)
{
    (void)state;
    AUTO(file_close_auto) int fd = -1;
    char bytes[16] = "";
    size_t got = 99;
    uint64_t size = 99;
    assert_int_equal(file_open(dir, "f", O_RDWR | O_CREAT | O_EXCL, 0600, &fd, NULL), ST_OK);
    assert_true((fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
    assert_int_equal(file_write_at(fd, "world", 5, 6, NULL), ST_OK);
    assert_int_equal(file_write_at(fd, "hello ", 6, 0, NULL), ST_OK);
    assert_int_equal(file_write_at(fd, NULL, 0, 0, NULL), ST_OK);
    assert_int_equal(file_size(fd, &size, NULL), ST_OK);
    assert_int_equal(size, 11);
    assert_int_equal(file_read_at(fd, bytes, sizeof(bytes), 0, &got, NULL), ST_OK);
    assert_int_equal(got, 11);
    assert_memory_equal(bytes, "hello world", 11);
    assert_int_equal(file_read_at(fd, bytes, 5, 6, &got, NULL), ST_OK);
    assert_int_equal(got, 5);
    assert_memory_equal(bytes, "world", 5);
    assert_int_equal(file_read_at(fd, bytes, 5, 100, &got, NULL), ST_OK);
    assert_int_equal(got, 0);
    assert_int_equal(file_truncate(fd, 3, NULL), ST_OK);
    assert_int_equal(file_size(fd, &size, NULL), ST_OK);
    assert_int_equal(size, 3);
    assert_int_equal(file_sync(fd, NULL), ST_OK);
    assert_int_equal(file_sync_dir(dir, ".", NULL), ST_OK);
    assert_int_equal(file_unlink(dir, "f", NULL), ST_OK);
    assert_int_equal(file_unlink(dir, "f", NULL), ST_OK); /* absent is fine */
}

static void failures_name_the_path(void **state)
{
    (void)state;
    int fd = -7;
    struct err err;
    assert_int_equal(file_open(dir, "absent", O_RDONLY, 0, &fd, &err), ST_NOT_FOUND);
    assert_non_null(strstr(err.text, "absent"));
    assert_int_equal(fd, -7);
    assert_int_equal(file_sync_dir(dir, "absent", &err), ST_NOT_FOUND);
    assert_int_equal(file_mkdir(dir, "sub", 0700, NULL), ST_OK);
    assert_int_equal(file_mkdir(dir, "sub", 0700, NULL), ST_OK); /* there is fine */
    assert_int_equal(file_mkdir(dir, "absent/sub", 0700, &err), ST_NOT_FOUND);
    assert_int_equal(file_unlink(dir, "sub", &err), ST_IO);
    assert_non_null(strstr(err.text, "sub"));
    assert_int_equal(unlinkat(dir, "sub", AT_REMOVEDIR), 0);
    assert_int_equal(file_write_at(-1, "x", 1, 0, &err), ST_IO);
    assert_int_equal(file_write_at(-1, "x", 1, UINT64_MAX, &err), ST_IO);
}

struct seen {
    size_t files, folders, others;
    uint64_t bytes;
    enum st answer;
};

static enum st see(const char *name, enum file_kind kind, uint64_t size, void *ctx, struct err *err)
{
    struct seen *s = ctx;
    assert_true(name[0] != '.');
    s->files += kind == FILE_REGULAR;
    s->folders += kind == FILE_FOLDER;
    s->others += kind == FILE_OTHER;
    s->bytes += size;
    return s->answer == ST_OK ? ST_OK : err_set(err, s->answer, "enough");
}

static void make_some(void)
{
    AUTO(file_close_auto) int fd = -1;
    assert_int_equal(file_open(dir, "a", O_WRONLY | O_CREAT, 0600, &fd, NULL), ST_OK);
    assert_int_equal(file_write_at(fd, "12345", 5, 0, NULL), ST_OK);
    assert_int_equal(file_mkdir(dir, "d", 0700, NULL), ST_OK);
    assert_int_equal(symlinkat("a", dir, "link"), 0);
}

static void remove_some(void)
{
    assert_int_equal(file_unlink(dir, "a", NULL), ST_OK);
    assert_int_equal(file_unlink(dir, "link", NULL), ST_OK);
    assert_int_equal(unlinkat(dir, "d", AT_REMOVEDIR), 0);
}

static void listing(void **state)
{
    (void)state;
    make_some();
    struct seen s = { 0 };
    assert_int_equal(file_list(dir, ".", see, &s, NULL), ST_OK);
    assert_int_equal(s.files, 1);
    assert_int_equal(s.folders, 1);
    assert_int_equal(s.others, 1);
    assert_int_equal(s.bytes, 5);
    s = (struct seen){ .answer = ST_BUSY };
    assert_int_equal(file_list(dir, ".", see, &s, NULL), ST_BUSY);
    assert_int_equal(s.files + s.folders + s.others, 1);
    assert_int_equal(file_list(dir, "absent", see, &s, NULL), ST_NOT_FOUND);
    assert_int_equal(file_list(dir, "a", see, &s, NULL), ST_IO);
    remove_some();
    uint64_t space = 0;
    uint64_t all = 0;
    assert_int_equal(file_space(dir, &space, &all, NULL), ST_OK);
    assert_true(all > 0 && space <= all);
}

#ifdef EBB_FAULTS
/* Everything that touches the disk, in a row. */
static enum st work(struct err *err)
{
    AUTO(file_close_auto) int fd = -1;
    char byte;
    size_t got;
    uint64_t size;
    uint64_t all;
    struct seen s = { 0 };
    enum st st = file_open(dir, "w", O_RDWR | O_CREAT, 0600, &fd, err);
    if (st == ST_OK)
        st = file_write_at(fd, "x", 1, 0, err);
    if (st == ST_OK)
        st = file_read_at(fd, &byte, 1, 0, &got, err);
    if (st == ST_OK)
        st = file_write_back(fd, 0, 1, true, err);
    if (st == ST_OK)
        st = file_sync(fd, err);
    if (st == ST_OK)
        st = file_sync_dir(dir, ".", err);
    if (st == ST_OK)
        st = file_truncate(fd, 0, err);
    if (st == ST_OK)
        st = file_size(fd, &size, err);
    if (st == ST_OK)
        st = file_space(fd, &size, &all, err);
    if (st == ST_OK)
        st = file_mkdir(dir, "wd", 0700, err);
    if (st == ST_OK)
        st = file_list(dir, ".", see, &s, err);
    if (st == ST_OK)
        st = file_unlink(dir, "w", err);
    return st;
}

static void each_call_can_fail(void **state)
{
    (void)state;
    uint64_t nth = 1;
    for (;; nth++) {
        struct err err = { .st = ST_OK };
        fault_arm(FAULT_IO, nth, false);
        enum st st = work(&err);
        bool fired = fault_fired();
        fault_disarm();
        assert_int_equal(st, fired ? ST_IO : ST_OK);
        assert_int_equal(err.st, st);
        if (!fired)
            break;
    }
    assert_true(nth > 15);
    assert_int_equal(unlinkat(dir, "wd", AT_REMOVEDIR), 0);
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(write_and_read),
        cmocka_unit_test(failures_name_the_path),
        cmocka_unit_test(listing),
#ifdef EBB_FAULTS
        cmocka_unit_test(each_call_can_fail),
#endif
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
