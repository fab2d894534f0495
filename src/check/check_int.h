/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of check/ share: the check under way.
 */
#ifndef EBB_CHECK_INT_H
#define EBB_CHECK_INT_H

#include "check/check.h"
#include "meta/audit.h"

#define CHECK_PAGE         ((size_t)512) /* rows of one transaction */
#define CHECK_PAYLOAD_PAGE ((size_t)64)  /* when their bytes are hashed and parsed */

struct check {
    struct registry *r;
    const struct check_options *options;
    const struct check_watch *watch;
    struct check_report *report;
    struct check_progress progress;
    int64_t now;
    int64_t hash_started_ms; /* monotonic */
};

/* Tells the watcher; ST_STOPPING when it wants no more. */
MUST_CHECK enum st check_advance(struct check *c, uint64_t objects, struct err *err);
/* Counts and tells a finding. */
void check_tell(struct check *c, enum check_code code, bool repaired, str object, const char *fmt,
                ...) PRINTF_LIKE(5, 6);

/* The phases. */
MUST_CHECK enum st check_tags(struct check *c, struct err *err);
MUST_CHECK enum st check_manifests(struct check *c, struct err *err);
MUST_CHECK enum st check_links(struct check *c, struct err *err);
MUST_CHECK enum st check_repositories(struct check *c, struct err *err);
MUST_CHECK enum st check_blobs(struct check *c, struct err *err);
MUST_CHECK enum st check_uploads(struct check *c, struct err *err);
MUST_CHECK enum st check_files(struct check *c, struct err *err);
MUST_CHECK enum st check_hashes(struct check *c, struct err *err);

/* A blob of the store as its row was when its page was read. */
struct check_blob {
    int64_t id;
    struct digest digest;
    bool has_digest;
    uint64_t size;
    char name[AUDIT_NAME_MAX + 1];
};
typedef enum st (*check_blob_fn)(struct check *c, const struct check_blob *seen, struct err *err);
/* Calls for each blob of the store that is not known to be damaged; `rows`: judges all rows of blob
 * by themselves as well. */
MUST_CHECK enum st check_each_blob(struct check *c, bool rows, check_blob_fn fn, struct err *err);
/* Tells that its file is wrong if its row is still there, and marks the blob when that was asked
 * for. `what` was seen before this call. */
MUST_CHECK enum st check_convict(struct check *c, const struct check_blob *seen,
                                 enum check_code code, const char *what, struct err *err);

/* ---- what findings are about ---------------------------------------------------------------- */

#define CHECK_OBJECT_MAX (512 + DIGEST_TEXT_MAX)
/* "sha256:...", or "<what> <id>" for a digest that cannot be read. */
str check_object_digest(const struct digest *d, bool readable, const char *what, int64_t id,
                        char out[static CHECK_OBJECT_MAX]);
/* "<repo><separator><rest>" */
str check_object_in(str repo, char separator, str rest, char out[static CHECK_OBJECT_MAX]);

#endif
