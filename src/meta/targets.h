/* SPDX-License-Identifier: Apache-2.0
 *
 * targets - tags, manifests and links as they stand, live or in the trash: for those who decided
 * earlier what is to become of them and look again before they do it. Functions run inside the
 * caller's transaction; those that find nothing give ST_NOT_FOUND with a plain message.
 */
#ifndef EBB_TARGETS_H
#define EBB_TARGETS_H

#include "base/arena.h"
#include "db/db.h"
#include "oci/digest.h"

struct manifest_target {
    int64_t id;
    uint64_t size;
    int64_t pushed_at;
    int64_t due_at;     /* 0: kept */
    int64_t receipt_id; /* 0: live */
};
MUST_CHECK enum st targets_manifest(struct db_tx *tx, int64_t repo_id, const struct digest *d,
                                    struct manifest_target *out, struct err *err);

struct tag_target {
    struct digest digest;
    int64_t tagged_at;
    struct manifest_target manifest; /* that it names */
};
MUST_CHECK enum st targets_tag(struct db_tx *tx, int64_t repo_id, str tag, struct tag_target *out,
                               struct err *err);

struct link_target {
    int64_t blob_id;
    uint64_t size;
    int64_t due_at;     /* 0: a kept manifest uses it */
    int64_t receipt_id; /* 0: not in the trash by itself */
    bool live_use;      /* a manifest that is not in the trash uses it */
};
MUST_CHECK enum st targets_link(struct db_tx *tx, int64_t repo_id, const struct digest *d,
                                struct link_target *out, struct err *err);

#endif
