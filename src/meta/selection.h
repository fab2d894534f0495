/* SPDX-License-Identifier: Apache-2.0
 *
 * selection - what a plan looks at: tags, manifests, what is above and below them, the links they
 * use. Only reading; functions run inside the caller's transaction.
 *
 * A list is opened with a function that names it and read with the `next` function of its kind:
 * ST_OK with a row, ST_END after the last. What is borrowed lives until the next row.
 */
#ifndef EBB_SELECTION_H
#define EBB_SELECTION_H

#include "db/db.h"
#include "oci/digest.h"

/* Ids that one statement takes at most. */
#define SELECTION_IDS 64

struct selection_repository {
    int64_t id;
    str name;
    uint64_t tags;
    bool trash; /* bytes lie in the trash there */
};
/* Whose names start with `prefix`, by name. */
MUST_CHECK enum st selection_repositories(struct db_tx *tx, struct db_rows *rows, str prefix,
                                          struct err *err);
MUST_CHECK enum st selection_next_repository(struct db_rows *rows, struct selection_repository *out,
                                             struct err *err);
/* ST_NOT_FOUND; its name is as given. */
MUST_CHECK enum st selection_repository(struct db_tx *tx, str name,
                                        struct selection_repository *out, struct err *err);

struct selection_tag {
    str name;
    int64_t manifest_id;
    int64_t tagged_at;
    int64_t pulled_at; /* when asked for; 0: no row */
};
/* All of a repository, by name. */
MUST_CHECK enum st selection_tags(struct db_tx *tx, struct db_rows *rows, int64_t repo_id,
                                  bool pulls, struct err *err);
MUST_CHECK enum st selection_tags_of(struct db_tx *tx, struct db_rows *rows, int64_t manifest_id,
                                     struct err *err);
MUST_CHECK enum st selection_next_tag(struct db_rows *rows, struct selection_tag *out,
                                      struct err *err);
/* ST_NOT_FOUND; its name is as given. */
MUST_CHECK enum st selection_tag(struct db_tx *tx, int64_t repo_id, str name,
                                 struct selection_tag *out, struct err *err);
/* Whether a tag of the repository was set after (tagged_at, name). Looks at `limit` tags at most:
 * *known is false when that was not enough to say no. */
MUST_CHECK enum st selection_newer_tag(struct db_tx *tx, int64_t repo_id, int64_t tagged_at,
                                       str name, size_t limit, bool *newer, bool *known,
                                       struct err *err);

struct selection_manifest {
    int64_t id;
    str digest_key;
    uint64_t size;
    int64_t due_at; /* 0: kept */
    int64_t pushed_at;
    bool trashed;
    bool has_subject;
};
enum selection_manifests { SELECTION_LIVE, SELECTION_LOOSE, SELECTION_TRASH };
/* Of a repository; LOOSE: without a tag, and pushed before `before`. */
MUST_CHECK enum st selection_manifests(struct db_tx *tx, struct db_rows *rows, int64_t repo_id,
                                       enum selection_manifests which, int64_t before,
                                       struct err *err);
MUST_CHECK enum st selection_manifests_by_id(struct db_tx *tx, struct db_rows *rows,
                                             const int64_t *ids, size_t count, struct err *err);
MUST_CHECK enum st selection_next_manifest(struct db_rows *rows, struct selection_manifest *out,
                                           struct err *err);
/* The live manifest. ST_NOT_FOUND. */
MUST_CHECK enum st selection_manifest(struct db_tx *tx, int64_t repo_id, const struct digest *d,
                                      int64_t *id, struct err *err);

/* Pairs of numbers: how many tags each manifest has; which blobs each uses; when each was pulled,
 * if after `since`. */
struct selection_pair {
    int64_t id;
    int64_t value;
};
MUST_CHECK enum st selection_tag_counts(struct db_tx *tx, struct db_rows *rows, const int64_t *ids,
                                        size_t count, struct err *err);
MUST_CHECK enum st selection_uses(struct db_tx *tx, struct db_rows *rows, const int64_t *ids,
                                  size_t count, struct err *err);
MUST_CHECK enum st selection_pulls(struct db_tx *tx, struct db_rows *rows, const int64_t *ids,
                                   size_t count, struct err *err);
MUST_CHECK enum st selection_next_pair(struct db_rows *rows, struct selection_pair *out,
                                       struct err *err);

/* Whether any manifest of the repository names another. */
MUST_CHECK enum st selection_is_graph(struct db_tx *tx, int64_t repo_id, bool *out,
                                      struct err *err);
struct selection_above {
    int64_t id;
    int64_t due_at;
    str digest_key;
    bool trashed;
    bool is_index; /* or the subject */
};
MUST_CHECK enum st selection_above(struct db_tx *tx, struct db_rows *rows, int64_t manifest_id,
                                   struct err *err);
MUST_CHECK enum st selection_next_above(struct db_rows *rows, struct selection_above *out,
                                        struct err *err);
/* Pairs of a live manifest right below and nothing. */
MUST_CHECK enum st selection_below(struct db_tx *tx, struct db_rows *rows, int64_t manifest_id,
                                   struct err *err);

struct selection_link {
    int64_t repo_id;
    int64_t blob_id;
    uint64_t size;
    uint64_t kept, loose, trash;
    int64_t lease_until;
    int64_t due_at;
    bool trashed; /* by itself */
    bool shared;
};
MUST_CHECK enum st selection_links(struct db_tx *tx, struct db_rows *rows, int64_t repo_id,
                                   const int64_t *blob_ids, size_t count, struct err *err);
MUST_CHECK enum st selection_links_of_blob(struct db_tx *tx, struct db_rows *rows, int64_t blob_id,
                                           struct err *err);
/* Of the repository: those in the trash by themselves, or visible ones that no live manifest
 * uses. */
MUST_CHECK enum st selection_links_unused(struct db_tx *tx, struct db_rows *rows, int64_t repo_id,
                                          bool trashed, struct err *err);
MUST_CHECK enum st selection_next_link(struct db_rows *rows, struct selection_link *out,
                                       struct err *err);
/* The visible link. ST_NOT_FOUND. */
MUST_CHECK enum st selection_link(struct db_tx *tx, int64_t repo_id, const struct digest *d,
                                  struct selection_link *out, struct err *err);
MUST_CHECK enum st selection_blob_digest(struct db_tx *tx, int64_t blob_id, struct digest *out,
                                         struct err *err);

struct selection_user {
    int64_t manifest_id;
    str repo;
    str digest_key;
    int64_t due_at;
    bool trashed;
};
/* Manifests that use the blob, of one repository after the other, the newest first. */
MUST_CHECK enum st selection_users(struct db_tx *tx, struct db_rows *rows, int64_t blob_id,
                                   struct err *err);
MUST_CHECK enum st selection_next_user(struct db_rows *rows, struct selection_user *out,
                                       struct err *err);

/* Whether there are any such rows at all; locks (locks.h) are like rules and like holds. */
MUST_CHECK enum st selection_any(struct db_tx *tx, bool *rules, bool *holds, bool *pulls,
                                 struct err *err);
/* Whether a hold or a lock keeps the manifest, or a hold (in force at `now`) a link of the blob;
 * the reason of the hold, or unset, is copied into `reason`. */
MUST_CHECK enum st selection_manifest_held(struct db_tx *tx, int64_t manifest_id, bool *out,
                                           struct err *err);
MUST_CHECK enum st selection_blob_held(struct db_tx *tx, int64_t blob_id, int64_t now, bool *out,
                                       char *reason, size_t reason_size, struct err *err);

#endif
