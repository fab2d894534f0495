/* SPDX-License-Identifier: Apache-2.0
 *
 * file - the file calls that matter for durability, each of which a test can make fail (fault.h).
 *
 * Paths are relative to `dir`, a directory's descriptor or AT_FDCWD. Descriptors are close-on-exec.
 * All return a status and name the path in the message.
 */
#ifndef EBB_FILE_H
#define EBB_FILE_H

#include <sys/types.h>

#include "base/err.h"
#include "base/str.h"

MUST_CHECK enum st file_open(int dir, const char *path, int flags, mode_t mode, int *fd,
                             struct err *err);
/* Writes all of it at `offset`. */
MUST_CHECK enum st file_write_at(int fd, const void *bytes, size_t len, uint64_t offset,
                                 struct err *err);
/* Up to `len` bytes; *got is smaller only at the end of the file. */
MUST_CHECK enum st file_read_at(int fd, void *bytes, size_t len, uint64_t offset, size_t *got,
                                struct err *err);
MUST_CHECK enum st file_sync(int fd, struct err *err); /* data and what is needed to read it */
MUST_CHECK enum st file_sync_dir(int dir, const char *path,
                                 struct err *err); /* a directory's entries */
MUST_CHECK enum st file_truncate(int fd, uint64_t size, struct err *err);
MUST_CHECK enum st file_size(int fd, uint64_t *size, struct err *err);
MUST_CHECK enum st file_unlink(int dir, const char *path, struct err *err); /* absent is ST_OK */
/* In one step, as `to` or not at all: ST_EXISTS when `to` is there. */
MUST_CHECK enum st file_rename_new(int dir, const char *from, const char *to, struct err *err);
/* In one step, in place of what `to` was. */
MUST_CHECK enum st file_rename_over(int dir, const char *from, const char *to, struct err *err);
MUST_CHECK enum st file_mkdir(int dir, const char *path, mode_t mode,
                              struct err *err); /* there is ST_OK */

/* Starts writing [from, from + len) to the disk; with `wait`, returns when it is there. No
 * durability without file_sync(): neither the size nor the disk's own cache is flushed. */
MUST_CHECK enum st file_write_back(int fd, uint64_t from, uint64_t len, bool wait, struct err *err);
/* Drops what the page cache holds of the range and the disk holds as well. A hint: cannot fail. */
void file_forget(int fd, uint64_t from, uint64_t len);
/* Reads and writes behind the cache from now on, or no longer. False when this file cannot. */
bool file_set_direct(int fd, bool direct);
MUST_CHECK enum st file_space(int fd, uint64_t *free_bytes, uint64_t *size_bytes, struct err *err);

enum file_kind { FILE_REGULAR, FILE_FOLDER, FILE_OTHER };
/* A status other than ST_OK ends the listing and is returned. */
typedef enum st (*file_list_fn)(const char *name, enum file_kind kind, uint64_t size, void *ctx,
                                struct err *err);
/* Every entry of a directory but "." and "..", in any order. What comes or goes meanwhile may be
 * listed or not. Symbolic links are not followed. */
MUST_CHECK enum st file_list(int dir, const char *path, file_list_fn fn, void *ctx,
                             struct err *err);

/* For AUTO(file_close_auto) int fd = -1. */
void file_close_auto(const int *fd);

#endif
