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
MUST_CHECK enum st file_sync(int fd, struct err *err);         /* data and what is needed to read it */
MUST_CHECK enum st file_sync_dir(int dir, const char *path, struct err *err); /* a directory's entries */
MUST_CHECK enum st file_truncate(int fd, uint64_t size, struct err *err);
MUST_CHECK enum st file_size(int fd, uint64_t *size, struct err *err);
MUST_CHECK enum st file_unlink(int dir, const char *path, struct err *err); /* absent is ST_OK */
MUST_CHECK enum st file_mkdir(int dir, const char *path, mode_t mode, struct err *err); /* there is ST_OK */

/* For AUTO(file_close_auto) int fd = -1. */
void file_close_auto(const int *fd);

#endif
