/* SPDX-License-Identifier: Apache-2.0
 *
 * What only the file store does: its layout, foreign files, each file call failing in turn, and a
 * disk that is really full. Runs in a mount namespace of its own, so no mount is left behind.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/rng.h"
#include "blob/blob.h"

#define NAME "0123456789abcdef0123456789abcdef"

static const str name = { NAME, 32 };
static const str other = { "fedcba9876543210fedcba9876543210", 32 };
static char dir[64];
static char blobs[80];

static void path_to(char out[static 200], const char *rest)
{
    (void)snprintf(out, 200, "%s/%s", blobs, rest);
}

static int make_dir(void **state)
{
    (void)state;
    (void)snprintf(dir, sizeof(dir), "/tmp/ebb-test-XXXXXX");
    if (mkdtemp(dir) == NULL)
        return -1;
    (void)snprintf(blobs, sizeof(blobs), "%s/blobs", dir);
    return 0;
}

static int remove_dir(void **state)
{
    (void)state;
    char command[128];
    (void)umount(dir); /* only the tests of a full disk mount something */
    (void)snprintf(command, sizeof(command), "rm -rf %s", dir);
    return system(command);
}

static struct blob_store *open_store(void)
{
    struct err err;
    struct blob_store *s = NULL;
    if (blob_fs_open(blobs, &s, &err) != ST_OK)
        fail_msg("%s", err.text);
    return s;
}

static void put(struct blob_store *s, str n, const char *bytes)
{
    struct blob_writer *w = NULL;
    assert_int_equal(blob_writer_open(s, n, 0, &w, NULL), ST_OK);
    assert_int_equal(blob_writer_add(w, bytes, strlen(bytes), NULL), ST_OK);
    assert_int_equal(blob_writer_finish(w, NULL), ST_OK);
    blob_writer_close(w);
}

#ifdef EBB_FAULTS
static unsigned open_descriptors(void)
{
    DIR *d = opendir("/proc/self/fd");
    assert_non_null(d);
    unsigned n = 0;
    while (readdir(d) != NULL)
        n++;
    closedir(d);
    return n;
}
#endif

static void layout_and_modes(void **state)
{
    (void)state;
    char path[200];
    struct stat info;
    struct blob_store *s = open_store();
    put(s, name, "hello");
    path_to(path, "01/23456789abcdef0123456789abcdef");
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_mode, S_IFREG | 0600);
    assert_int_equal(info.st_size, 5);
    path_to(path, "ff");
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_mode, S_IFDIR | 0700);
    blob_store_free(s);
    s = open_store(); /* again, with all there */
    struct blob_reader r = BLOB_READER_NONE;
    assert_int_equal(blob_reader_open(s, name, &r, NULL), ST_OK);
    assert_true(r.fd >= 0 && r.size == 5);
    assert_true((fcntl(r.fd, F_GETFD) & FD_CLOEXEC) != 0);
    blob_reader_close(&r);
    blob_store_free(s);
}

static void parent_must_be_there(void **state)
{
    (void)state;
    struct blob_store *s = NULL;
    struct err err;
    assert_int_equal(blob_fs_open("/nowhere/at/all", &s, &err), ST_NOT_FOUND);
    assert_null(s);
    assert_non_null(strstr(err.text, "/nowhere/at/all"));
}

static void links_are_not_followed(void **state)
{
    (void)state;
    char path[200];
    struct blob_store *s = open_store();
    struct blob_reader r = BLOB_READER_NONE;
    struct blob_writer *w = NULL;
    path_to(path, "01/23456789abcdef0123456789abcdef");
    assert_int_equal(symlink("/etc/passwd", path), 0);
    assert_int_equal(blob_reader_open(s, name, &r, NULL), ST_IO);
    assert_int_equal(blob_writer_open(s, name, 0, &w, NULL), ST_IO);
    assert_int_equal(blob_remove(s, &name, 1, NULL), ST_OK); /* the link, not what it names */
    assert_int_equal(access("/etc/passwd", F_OK), 0);
    assert_int_equal(lstat(path, &(struct stat){ 0 }), -1);
    blob_store_free(s);
    path_to(path, "7a");
    assert_int_equal(rmdir(path), 0);
    assert_int_equal(symlink("7b", path), 0);
    assert_int_equal(blob_fs_open(blobs, &s, NULL), ST_IO);
}

struct seen {
    unsigned blobs, foreign;
    char names[400];
};

static enum st note(str n, uint64_t size, void *ctx, struct err *err)
{
    (void)size, (void)err;
    struct seen *seen = ctx;
    if (blob_name_valid(n)) {
        seen->blobs++;
        return ST_OK;
    }
    seen->foreign++;
    size_t used = strlen(seen->names);
    (void)snprintf(seen->names + used, sizeof(seen->names) - used, "[%.*s]", STR_FMT(n));
    return ST_OK;
}

static void foreign_files_are_listed(void **state)
{
    (void)state;
    static const char *const foreign[] = { "README", "01/notes.txt",
                                           "fe/0123456789abcdef0123456789ABCD", "lost+found/" };
    struct blob_store *s = open_store();
    put(s, name, "hello");
    for (size_t i = 0; i < ARRAY_LEN(foreign); i++) {
        char path[200];
        path_to(path, foreign[i]);
        int fd = str_ends(str_of(foreign[i]), STR("/")) ? mkdir(path, 0700)
                                                        : open(path, O_CREAT | O_WRONLY, 0600);
        assert_true(fd >= 0);
        if (fd > 0)
            close(fd);
    }
    char path[200]; /* named as a blob, and none */
    path_to(path, "ab/cdefabcdefabcdefabcdefabcdefab");
    assert_int_equal(mkdir(path, 0700), 0);
    struct seen seen = { 0 };
    assert_int_equal(blob_walk(s, note, &seen, NULL), ST_OK);
    assert_int_equal(seen.blobs, 1);
    assert_int_equal(seen.foreign, 5);
    assert_non_null(strstr(seen.names, "[README]"));
    assert_non_null(strstr(seen.names, "[01/notes.txt]"));
    assert_non_null(strstr(seen.names, "[lost+found]"));
    assert_non_null(strstr(seen.names, "[ab/cdefabcdefabcdefabcdefabcdefab]"));
    /* What cannot be removed is said, and keeps no other name. */
    str names[] = { { "abcdefabcdefabcdefabcdefabcdefab", 32 }, name };
    struct blob_reader r = BLOB_READER_NONE;
    struct err err = { .st = ST_OK };
    assert_int_equal(blob_remove(s, names, 2, &err), ST_IO);
    assert_non_null(strstr(err.text, "ab/cdef"));
    assert_int_equal(blob_reader_open(s, name, &r, NULL), ST_NOT_FOUND);
    blob_store_free(s);
}

/* Large enough for writing back and dropping, resumed at odd offsets, in odd pieces and from odd
 * addresses: whatever way the bytes take, the same must come out. */
static void write_in_odd_pieces(struct blob_store *s)
{
    const size_t size = 40 * MIB + 12345;
    unsigned char *bytes = malloc(size + 4096);
    unsigned char *copy = malloc(size);
    assert_true(bytes != NULL && copy != NULL);
    uint64_t rng = 99;
    for (size_t i = 0; i + 8 <= size; i += 8) {
        uint64_t x = rng_next(&rng);
        memcpy(bytes + i, &x, 8);
    }
    unsigned char *page = aligned_alloc(4096, 2 * MIB);
    assert_non_null(page);
    for (unsigned round = 0; round < 3; round++) {
        struct blob_writer *w = NULL;
        assert_int_equal(blob_writer_open(s, name, 0, &w, NULL), ST_OK);
        for (size_t at = 0; at < size;) {
            size_t kind = rng_next(&rng) % 8;
            size_t piece = kind == 0   ? rng_next(&rng) % 70000
                           : kind == 1 ? 600001
                           : kind < 5  ? 4096 - at % 4096 /* aligned from here on */
                                       : 1 * MIB;
            size_t shift = kind == 5 ? rng_next(&rng) % 4096 : 0;
            piece = MIN(round == 0 ? 1 * MIB : piece, size - at);
            memcpy(page + shift, bytes + at, piece);
            assert_int_equal(blob_writer_add(w, page + shift, piece, NULL), ST_OK);
            memset(page, 0, 2 * MIB); /* the caller's buffer is free again */
            at += piece;
            if (round == 2 && rng_next(&rng) % 8 == 0) {
                blob_writer_close(w);
                at -= rng_next(&rng) % (piece + 1);
                assert_int_equal(blob_writer_open(s, name, at, &w, NULL), ST_OK);
            }
        }
        assert_int_equal(blob_writer_finish(w, NULL), ST_OK);
        blob_writer_close(w);
        struct blob_reader r = BLOB_READER_NONE;
        size_t got = 0;
        assert_int_equal(blob_reader_open(s, name, &r, NULL), ST_OK);
        assert_int_equal(r.size, size);
        assert_int_equal(blob_reader_get(&r, copy, size, 0, &got, NULL), ST_OK);
        assert_true(got == size && memcmp(copy, bytes, size) == 0);
        blob_reader_close(&r);
        assert_int_equal(blob_remove(s, &name, 1, NULL), ST_OK);
    }
    free(page);
    free(bytes);
    free(copy);
}

static void large_file_in_odd_pieces(void **state)
{
    (void)state;
    struct blob_store *s = open_store();
    write_in_odd_pieces(s);
    blob_store_free(s);
}

/* Beside another large blob that is being written, pieces go past the page cache. */
static void large_file_beside_another(void **state)
{
    (void)state;
    struct blob_store *s = open_store();
    struct blob_writer *beside = NULL;
    str other_name = { "00000000000000000000000000000002", 32 };
    char *piece = aligned_alloc(4096, 1 * MIB);
    assert_non_null(piece);
    memset(piece, 7, 1 * MIB);
    assert_int_equal(blob_writer_open(s, other_name, 0, &beside, NULL), ST_OK);
    for (unsigned i = 0; i < 18; i++)
        assert_int_equal(blob_writer_add(beside, piece, 1 * MIB, NULL), ST_OK);
    write_in_odd_pieces(s);
    assert_int_equal(blob_writer_finish(beside, NULL), ST_OK);
    blob_writer_close(beside);
    free(piece);
    blob_store_free(s);
}

/* Pieces that are started are written in order, each before the next call on the writer returns. */
static void started_pieces(void **state)
{
    (void)state;
    struct blob_store *s = open_store();
    struct blob_writer *w = NULL;
    char *pieces[2] = { aligned_alloc(4096, 1 * MIB), aligned_alloc(4096, 1 * MIB) };
    char *copy = malloc(1 * MIB);
    assert_true(pieces[0] != NULL && pieces[1] != NULL && copy != NULL);
    assert_int_equal(blob_writer_open(s, name, 0, &w, NULL), ST_OK);
    for (unsigned i = 0; i < 20; i++) { /* a buffer is used again when the other's call returned */
        memset(pieces[i % 2], (int)i, 1 * MIB);
        assert_int_equal(blob_writer_start(w, pieces[i % 2], 1 * MIB, NULL), ST_OK);
    }
    assert_int_equal(blob_writer_add(w, "end", 3, NULL), ST_OK);
    assert_int_equal(blob_writer_offset(w), 20 * MIB + 3);
    assert_int_equal(blob_writer_start(w, pieces[0], 1 * MIB, NULL), ST_OK);
    assert_int_equal(blob_writer_finish(w, NULL), ST_OK);
    assert_int_equal(blob_writer_start(w, pieces[1], 1 * MIB, NULL), ST_OK);
    blob_writer_close(w); /* waits for the piece, whose bytes are ours again then */
    memset(pieces[1], 0xff, 1 * MIB);
    struct blob_reader r = BLOB_READER_NONE;
    assert_int_equal(blob_reader_open(s, name, &r, NULL), ST_OK);
    assert_int_equal(r.size, 22 * MIB + 3);
    for (unsigned i = 0; i < 20; i++) {
        size_t got = 0;
        memset(pieces[0], (int)i, 1 * MIB);
        assert_int_equal(blob_reader_get(&r, copy, 1 * MIB, i * MIB, &got, NULL), ST_OK);
        assert_true(got == 1 * MIB && memcmp(copy, pieces[0], got) == 0);
    }
    blob_reader_close(&r);
    free(pieces[0]);
    free(pieces[1]);
    free(copy);
    blob_store_free(s);
}

#ifdef EBB_FAULTS
/* The failure of a started piece is told by the next call, whichever it is. */
static void started_piece_fails(void **state)
{
    (void)state;
    struct blob_store *s = open_store();
    char *piece = aligned_alloc(4096, 1 * MIB);
    assert_non_null(piece);
    memset(piece, 1, 1 * MIB);
    for (unsigned way = 0; way < 4; way++) {
        struct blob_writer *w = NULL;
        assert_int_equal(blob_writer_open(s, name, 0, &w, NULL), ST_OK);
        fault_arm(FAULT_IO, 1, true);
        assert_int_equal(blob_writer_start(w, piece, 1 * MIB, NULL), ST_OK);
        enum st st = way == 0   ? blob_writer_wait(w, NULL)
                     : way == 1 ? blob_writer_add(w, "x", 1, NULL)
                     : way == 2 ? blob_writer_start(w, piece, 1 * MIB, NULL)
                                : blob_writer_finish(w, NULL);
        fault_disarm();
        assert_int_equal(st, ST_IO);
        assert_int_equal(blob_writer_finish(w, NULL), ST_BUG);
        blob_writer_close(w);
    }
    free(piece);
    blob_store_free(s);
}

struct told { /* what the store said */
    bool stored, stored_other, removed;
};

static enum st count_name(str n, uint64_t size, void *ctx, struct err *err)
{
    (void)n, (void)size, (void)err;
    ++*(unsigned *)ctx;
    return ST_OK;
}

static enum st write_one(struct blob_store *s, str n, bool *stored, struct err *err)
{
    struct blob_writer *w = NULL;
    enum st st = blob_writer_open(s, n, 0, &w, err);
    if (st == ST_OK)
        st = blob_writer_add(w, "0123456789", 10, err);
    blob_writer_close(w);
    w = NULL;
    if (st == ST_OK)
        st = blob_writer_open(s, n, 5, &w, err);
    if (st == ST_OK)
        st = blob_writer_add(w, "abcde", 5, err);
    if (st == ST_OK)
        st = blob_writer_finish(w, err);
    *stored = st == ST_OK;
    blob_writer_close(w);
    return st;
}

static enum st all_calls(struct told *told, struct err *err)
{
    struct blob_store *s = NULL;
    struct blob_reader r = BLOB_READER_NONE;
    struct blob_space space;
    unsigned names = 0;
    char bytes[10];
    size_t got = 0;
    enum st st = blob_fs_open(blobs, &s, err);
    if (st == ST_OK)
        st = write_one(s, name, &told->stored, err);
    if (st == ST_OK)
        st = write_one(s, other, &told->stored_other, err);
    if (st == ST_OK)
        st = blob_reader_open(s, name, &r, err);
    if (st == ST_OK)
        st = blob_reader_get(&r, bytes, 10, 0, &got, err);
    blob_reader_close(&r);
    if (st == ST_OK)
        st = blob_space_get(s, &space, err);
    if (st == ST_OK) {
        st = blob_remove(s, &name, 1, err);
        told->removed = st == ST_OK;
    }
    if (st == ST_OK)
        st = blob_walk(s, count_name, &names, err);
    if (st == ST_OK)
        assert_int_equal(names, 1);
    blob_store_free(s);
    return st;
}

/* Whether exactly the ten bytes are there. */
static bool holds(struct blob_store *s, str n)
{
    struct blob_reader r = BLOB_READER_NONE;
    char bytes[11] = "";
    size_t got = 0;
    bool there = blob_reader_open(s, n, &r, NULL) == ST_OK &&
                 blob_reader_get(&r, bytes, 10, 0, &got, NULL) == ST_OK &&
                 strcmp(bytes, "01234abcde") == 0;
    blob_reader_close(&r);
    return there;
}

static void every_file_call_can_fail(void **state)
{
    (void)state;
    blob_store_free(open_store()); /* the making of the folders has a test of its own */
    for (unsigned sticky = 0; sticky < 2; sticky++) {
        uint64_t n = 1;
        for (;; n++) {
            struct told told = { 0 };
            struct err err = { .st = ST_OK };
            unsigned before = open_descriptors();
            fault_arm(FAULT_IO, n, sticky != 0);
            enum st st = all_calls(&told, &err);
            bool fired = fault_fired();
            fault_disarm();
            assert_int_equal(open_descriptors(), before);
            assert_int_equal(st != ST_OK, fired);
            assert_int_equal(err.st, st);
            assert_int_equal(strstr(err.text, "Input/output error") != NULL, fired);
            struct blob_store *s = open_store();
            struct blob_reader r = BLOB_READER_NONE;
            if (told.removed)
                assert_int_equal(blob_reader_open(s, name, &r, NULL), ST_NOT_FOUND);
            else
                assert_true(fired);
            if (told.stored_other)
                assert_true(holds(s, other));
            if (told.stored && !told.stored_other)
                assert_true(holds(s, name));
            assert_int_equal(blob_remove(s, (str[]){ name, other }, 2, NULL), ST_OK); /* again */
            assert_false(holds(s, name) || holds(s, other));
            blob_store_free(s);
            if (!fired)
                break;
            if (n > 60) /* the walk of 257 folders, at the end, fails everywhere alike */
                n += 40;
        }
        assert_true(n > 300);
    }
}

/* The sync that failed must not be healed by a second one: the bytes may be lost already. */
static void failed_sync_is_not_trusted(void **state)
{
    (void)state;
    struct blob_store *s = open_store();
    for (uint64_t nth = 1; nth <= 3; nth++) { /* file, opening the folder, folder */
        struct blob_writer *w = NULL;
        assert_int_equal(blob_writer_open(s, name, 0, &w, NULL), ST_OK);
        assert_int_equal(blob_writer_add(w, "0123456789", 10, NULL), ST_OK);
        fault_arm(FAULT_IO, nth, false);
        assert_int_equal(blob_writer_finish(w, NULL), ST_IO);
        fault_disarm();
        blob_writer_close(w);
        assert_int_equal(blob_writer_open(s, name, 10, &w, NULL), ST_DAMAGED);
    }
    blob_store_free(s);
}

static void folders_are_made_again_after_a_failure(void **state)
{
    (void)state;
    for (uint64_t n = 1;; n++) {
        struct blob_store *s = NULL;
        unsigned before = open_descriptors();
        fault_arm(FAULT_IO, n, false);
        enum st st = blob_fs_open(blobs, &s, NULL);
        bool fired = fault_fired();
        fault_disarm();
        assert_int_equal(st != ST_OK, fired);
        blob_store_free(s);
        assert_int_equal(open_descriptors(), before);
        if (!fired)
            break;
        if (n > 6 && n < 250)
            n += 50;
    }
    struct blob_store *s = open_store();
    put(s, other, "x");
    blob_store_free(s);
}
#endif

/* A small disk under the store's directory. */
static void mount_small(const char *options)
{
    if (mount("tmpfs", dir, "tmpfs", 0, options) != 0)
        fail_msg("mount a tmpfs: %s (needs root or user namespaces)", strerror(errno));
}

static void full_disk(void **state)
{
    (void)state;
    static char piece[64 * 1024];
    mount_small("size=1m,nr_inodes=300");
    struct blob_store *s = open_store();
    struct blob_writer *w = NULL;
    struct err err = { .st = ST_OK };
    put(s, other, "small");
    assert_int_equal(blob_writer_open(s, name, 0, &w, &err), ST_OK);
    enum st st = ST_OK;
    while (st == ST_OK)
        st = blob_writer_add(w, piece, sizeof(piece), &err);
    assert_int_equal(st, ST_FULL);
    assert_non_null(strstr(err.text, "No space left on device"));
    assert_in_range(blob_writer_offset(w), 512 * 1024, 1024 * 1024);
    uint64_t stored = blob_writer_offset(w);
    blob_writer_close(w);
    struct blob_space space;
    assert_int_equal(blob_space_get(s, &space, NULL), ST_OK);
    assert_int_equal(space.size_bytes, 1024 * 1024);
    assert_in_range(space.free_bytes, 0, sizeof(piece));
    assert_int_equal(blob_writer_open(s, name, stored, &w, NULL), ST_OK); /* what fitted is there */
    blob_writer_close(w);
    assert_int_equal(blob_remove(s, &name, 1, NULL), ST_OK);
    put(s, name, "fits again");
    assert_int_equal(blob_remove(s, (str[]){ name, other }, 2, NULL), ST_OK);
    blob_store_free(s);
}

static void no_inodes_left(void **state)
{
    (void)state;
    mount_small("size=1m,nr_inodes=270"); /* the root, the store and 256 folders take 258 */
    struct blob_store *s = open_store();
    struct err err = { .st = ST_OK };
    char ids[32][RNG_ID_LEN + 1];
    unsigned n = 0;
    enum st st = ST_OK;
    for (; n < ARRAY_LEN(ids); n++) {
        struct blob_writer *w = NULL;
        rng_id(ids[n]);
        st = blob_writer_open(s, str_of(ids[n]), 0, &w, &err);
        blob_writer_close(w);
        if (st != ST_OK)
            break;
    }
    assert_int_equal(st, ST_FULL);
    assert_true(n > 0);
    str first = str_of(ids[0]);
    assert_int_equal(blob_remove(s, &first, 1, NULL), ST_OK);
    put(s, name, "x");
    blob_store_free(s);
}

static void no_room_for_the_folders(void **state)
{
    (void)state;
    mount_small("size=1m,nr_inodes=20");
    struct blob_store *s = NULL;
    struct err err = { .st = ST_OK };
    assert_int_equal(blob_fs_open(blobs, &s, &err), ST_FULL);
    assert_null(s);
    assert_non_null(strstr(err.text, "open blob store"));
    assert_non_null(strstr(err.text, "No space left on device"));
}

static void write_line(const char *path, const char *line)
{
    int fd = open(path, O_WRONLY);
    if (fd < 0 || write(fd, line, strlen(line)) < 0)
        perror(path);
    if (fd >= 0)
        close(fd);
}

/* Mounts are ours alone, and allowed: as root, or as root of a user namespace. */
static bool enter_namespace(void)
{
    char uids[64];
    char gids[64];
    bool root = geteuid() == 0;
    (void)snprintf(uids, sizeof(uids), "0 %u 1", (unsigned)geteuid());
    (void)snprintf(gids, sizeof(gids), "0 %u 1", (unsigned)getegid());
    if (unshare(CLONE_NEWNS | (root ? 0 : CLONE_NEWUSER)) != 0) {
        perror("unshare");
        return false;
    }
    if (!root) {
        write_line("/proc/self/setgroups", "deny");
        write_line("/proc/self/uid_map", uids);
        write_line("/proc/self/gid_map", gids);
    }
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0) {
        perror("mount --make-rprivate /");
        return false;
    }
    return true;
}

#define TEST_IN_DIR(fn) cmocka_unit_test_setup_teardown(fn, make_dir, remove_dir)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST_IN_DIR(layout_and_modes),
        TEST_IN_DIR(parent_must_be_there),
        TEST_IN_DIR(links_are_not_followed),
        TEST_IN_DIR(foreign_files_are_listed),
        TEST_IN_DIR(large_file_in_odd_pieces),
        TEST_IN_DIR(large_file_beside_another),
        TEST_IN_DIR(started_pieces),
#ifdef EBB_FAULTS
        TEST_IN_DIR(started_piece_fails),
        TEST_IN_DIR(every_file_call_can_fail),
        TEST_IN_DIR(failed_sync_is_not_trusted),
        TEST_IN_DIR(folders_are_made_again_after_a_failure),
#endif
        TEST_IN_DIR(full_disk),
        TEST_IN_DIR(no_inodes_left),
        TEST_IN_DIR(no_room_for_the_folders),
    };
    if (!enter_namespace())
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
