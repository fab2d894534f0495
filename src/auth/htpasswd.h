/* SPDX-License-Identifier: Apache-2.0
 *
 * htpasswd - a file of "name:hash" lines, as `htpasswd -B` writes it, as a table.
 *
 *  1. Names are those of accounts, each once; hashes are of a kind that libcrypt knows. Empty lines
 *     and those that begin with # are passed over. One line that is anything else refuses the file.
 *  2. A table never changes; the file is looked at again at most once a second, and read when its
 *     time, size or inode differ. One that cannot be read any more leaves the table as it was; one
 *     that is gone is an empty one: nobody in it logs in.
 *
 * Threads: any.
 */
#ifndef EBB_HTPASSWD_H
#define EBB_HTPASSWD_H

#include "auth/cache.h"
#include "base/arena.h"

#define HTPASSWD_BYTES_MAX   (4 * MIB)
#define HTPASSWD_ENTRIES_MAX ((size_t)20000)

struct htpasswd_entry {
    str name;
    str hash;
};
struct htpasswd_table {
    struct counted counted;
    struct arena arena;
    const struct htpasswd_entry *entries; /* in byte order of names */
    size_t count;
};
/* ST_INVALID with the number of the line, ST_TOO_LARGE. */
MUST_CHECK enum st htpasswd_parse(str text, struct htpasswd_table **out, struct err *err);
/* Unset when there is no such name. */
str htpasswd_find(const struct htpasswd_table *t, str name);

struct htpasswd;
MUST_CHECK enum st htpasswd_open(const char *path, struct htpasswd **out, struct err *err);
void htpasswd_close(struct htpasswd *h); /* NULL is fine */
/* Reads it again when it changed; *changed tells. A file that cannot be read is told once. */
MUST_CHECK enum st htpasswd_look(struct htpasswd *h, bool *changed, struct err *err);
/* A reference, for counted_drop(). */
struct htpasswd_table *htpasswd_table(struct htpasswd *h);

#endif
