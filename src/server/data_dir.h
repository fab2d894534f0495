/* SPDX-License-Identifier: Apache-2.0
 *
 * data_dir - the directory of the database and the content, and the lock that keeps it to one
 * process.
 *
 *  1. The lock is flock() on the file "lock": it ends with the process, however that ends. What
 *     stands in the file ("pid host started") is for people and decides nothing.
 *  2. The file is never removed: a process that waits on a removed file would hold nothing.
 *
 * Threads: any; one struct belongs to one thread.
 */
#ifndef EBB_DATA_DIR_H
#define EBB_DATA_DIR_H

#include "base/arena.h"

/* Where the data is when nobody says: /var/lib/ebb for root, else $XDG_DATA_HOME/ebb or
 * ~/.local/share/ebb. Touches nothing. */
MUST_CHECK enum st data_dir_default(struct arena *a, const char **out, struct err *err);

struct data_dir {
    int lock_fd;
};
#define DATA_DIR_NONE ((struct data_dir){ .lock_fd = -1 })

/* Makes the directory (mode 0700) when it is not there and takes its lock. ST_BUSY names the
 * process that has it. `with_parents` makes those above it, too. */
MUST_CHECK enum st data_dir_open(const char *path, bool with_parents, struct data_dir *out,
                                 struct err *err);
void data_dir_close(struct data_dir *d); /* a DATA_DIR_NONE is fine */

#endif
