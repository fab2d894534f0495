/* SPDX-License-Identifier: Apache-2.0
 *
 * check/ - compares what the database says with what lies in the store, both ways, and the rows
 * with each other; hashes bytes again on request. It does not know HTTP, terminals or directories,
 * and holds no SQL (meta/audit.h).
 *
 *  1. Nothing changes unless a repair is asked for, and then only what check_options names.
 *  2. True:    it may run beside pushes, deletes and reclaim. What looks wrong on a page is looked
 *              at again before it is told, in this order:
 *                file wrong, row right    file, then row: a row of this name that is still there
 *                                         was there all the while, and names are never reused
 *                file there, no row       row, then file: bytes go before the last row with their
 *                                         name does, and a row is there before its bytes
 *                rows disagree            all of them again in one snapshot
 *  3. Short:   a page of rows is one transaction, and no transaction is open while files are read.
 *  4. Bounded: memory for one page of rows and one piece of a file, whatever the registry holds.
 *  5. What cannot be read ends the check, but for the bytes of a blob and a damaged database, which
 *     are findings.
 *
 * A check that dies leaves nothing behind but the repairs that it told of.
 *
 * Threads: check_run() blocks for minutes; it calls back on its own thread.
 */
#ifndef EBB_CHECK_H
#define EBB_CHECK_H

#include "meta/registry.h"

enum check_code {
#define FINDING(id, word, weight, meaning, action) CHECK_##id,
#include "check/findings.def"
#undef FINDING
    CHECK_CODES
};

struct check_kind {
    const char *word;    /* "blob-missing" */
    bool wrong;          /* false: a note */
    const char *meaning; /* a sentence without its capital and its dot */
    const char *action;  /* what ebb does about it */
};
extern const struct check_kind check_kinds[CHECK_CODES];

struct check_finding {
    enum check_code code;
    str object; /* "sha256:...", "team/app:1", "team/app@sha256:...", a file's name */
    str detail; /* what exactly was found */
    bool repaired;
};

enum check_phase {
    CHECK_DATABASE,
    CHECK_TAGS,
    CHECK_MANIFESTS,
    CHECK_LINKS,
    CHECK_REPOSITORIES,
    CHECK_BLOBS,
    CHECK_UPLOADS,
    CHECK_FILES,
    CHECK_HASH,
    CHECK_PHASES
};
extern const char *const check_phase_names[CHECK_PHASES]; /* "database", ... */

struct check_progress {
    enum check_phase phase;
    uint64_t objects;     /* rows or files passed in this phase */
    uint64_t bytes;       /* hashed so far */
    uint64_t bytes_total; /* to be hashed; known in CHECK_HASH */
};

struct check_options {
    bool quick;          /* hash nothing, not even what the database holds */
    bool hash;           /* hash what the store holds */
    bool sparse_index;   /* a child that is missing is in order */
    bool repair_blobs;   /* mark what is damaged, so that a push heals it */
    bool repair_orphans; /* doom files that no row names */
    bool repair_counts;  /* count again what was counted wrong */
    uint64_t rate_bytes; /* hashed in a second at the most; 0: no limit */
    int64_t now;         /* what is overdue depends on it; 0: the registry's */
};

struct check_watch {
    /* Now and then, at least once a page or piece; false stops the check. May be NULL. */
    bool (*progress)(void *ctx, const struct check_progress *p);
    /* Strings are borrowed for the call. */
    void (*finding)(void *ctx, const struct check_finding *f);
    void *ctx;
};

struct check_report {
    uint64_t found[CHECK_CODES];
    uint64_t wrong; /* findings that are not notes */
    uint64_t notes;
    uint64_t repaired;
    uint64_t tags, manifests, links, repositories, blobs, uploads, files; /* looked at */
    uint64_t stored_bytes; /* of blobs in the store */
    uint64_t hashed_bytes;
    bool stopped;
};

/* ST_OK when it came to its end, whatever it found. *out is filled in any case. */
MUST_CHECK enum st check_run(struct registry *r, const struct check_options *options,
                             const struct check_watch *watch, struct check_report *out,
                             struct err *err);

#endif
