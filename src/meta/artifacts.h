/* SPDX-License-Identifier: Apache-2.0
 *
 * artifacts - a repository's tags and manifests, a page at a time, in the order of their names or
 * of time, with sizes, tags and locks; and what of them lies in the trash. Each function is one
 * snapshot; nothing is written. Times are the registry's own. What comes out lives in the arena
 * given.
 *
 *  1. What a lock hides from lists (locks.h) is passed over in pages. A manifest's own tags are
 *     told all the same: without them it would look like one that nothing needs.
 *  2. A page may be shorter than asked for, with `more`, but has a row when there is one.
 *  3. A place stays good when what it names is deleted, unless it is a bare name in an order of
 *     time.
 *
 * Threads: any; they read the database for longer than a look-up: for a worker.
 */
#ifndef EBB_ARTIFACTS_H
#define EBB_ARTIFACTS_H

#include "meta/locks.h"
#include "meta/registry.h"

enum artifacts_order { ARTIFACTS_BY_NAME, ARTIFACTS_OLDEST, ARTIFACTS_NEWEST };

struct artifacts_query {
    str repo;
    enum artifacts_order order;
    size_t limit;
    /* Behind this; unset, and has_digest false: from the start. */
    str after_tag;
    bool has_digest;
    struct digest after_digest;
    bool has_time; /* when what it names was set or pushed */
    int64_t after_time;
    const struct digest *only; /* tags of this manifest; or NULL */
};

/* Inside a transaction: the repository, when something in it is live; else ST_NOT_FOUND. */
MUST_CHECK enum st artifacts_find(struct db_tx *tx, str repo, int64_t *id, struct err *err);

struct artifact_repository {
    int64_t created_at;
    int64_t updated_at; /* when something was pushed or tagged last */
    uint64_t manifests;
    uint64_t tags;
    unsigned may; /* locks.h */
};
/* ST_NOT_FOUND also when nothing in it is live. */
MUST_CHECK enum st artifacts_repository(struct registry *r, str repo,
                                        struct artifact_repository *out, struct err *err);

struct artifact_tag {
    str name;
    struct digest digest;
    int64_t created_at; /* set first; */
    int64_t updated_at; /* and last */
    unsigned may;
};
struct artifact_tags {
    struct artifact_tag *items;
    size_t count;
    bool more;
};
/* ST_NOT_FOUND without the repository, or when nothing in it is live. ST_EXPIRED: the place is a
 * bare name that is gone, in an order of time. */
MUST_CHECK enum st artifacts_tags(struct registry *r, const struct artifacts_query *q,
                                  struct arena *a, struct artifact_tags *out, struct err *err);
MUST_CHECK enum st artifacts_tag(struct registry *r, str repo, str tag, struct arena *a,
                                 struct artifact_tag *out, struct err *err);

struct artifact_manifest {
    struct digest digest;
    str media_type;
    int64_t pushed_at;
    bool kept; /* something keeps it: a tag, what is above it, a hold */
    bool has_size;
    uint64_t size; /* inspect.h */
    str *tags;
    size_t tag_count;
    unsigned may;
    str config_type; /* media type of an image's configuration; or unset */
    bool has_config; /* and where its bytes are */
    struct blob_row config;
    str payload; /* of an index; artifacts_manifest() only */
};
struct artifact_manifests {
    struct artifact_manifest *items;
    size_t count;
    bool more;
};
#define ARTIFACT_CONFIG_MAX  ((uint64_t)256 * 1024) /* larger ones are not told */
#define ARTIFACT_PAYLOAD_MAX ((size_t)256 * 1024)   /* of larger ones no configuration is told */
MUST_CHECK enum st artifacts_manifests(struct registry *r, const struct artifacts_query *q,
                                       struct arena *a, struct artifact_manifests *out,
                                       struct err *err);
MUST_CHECK enum st artifacts_manifest(struct registry *r, str repo, const struct digest *d,
                                      struct arena *a, struct artifact_manifest *out,
                                      struct err *err);

/* Whether a lock forbids to delete this: of the tag; or of the manifest, or of any of its tags,
 * when `tag` is unset. What is not there is not locked. */
MUST_CHECK enum st artifacts_locked(struct registry *r, str repo, str tag, const struct digest *d,
                                    bool *out, struct err *err);

/* ---- the trash ------------------------------------------------------------------------------- */

struct artifact_deleted {
    str name; /* of the repository or tag; unset of a manifest */
    struct digest digest;
    int64_t created_at;
    int64_t deleted_at;
    int64_t receipt_id; /* with `item`, or with the digest, its place in the list */
    uint64_t item;
    int64_t due_at;
};
struct artifacts_deleted {
    struct artifact_deleted *items;
    size_t count;
    bool more;
};
/* Repositories of which nothing is live and a manifest lies in the trash, by name. */
MUST_CHECK enum st artifacts_deleted_repositories(struct registry *r, str after, size_t limit,
                                                  int64_t now, struct arena *a,
                                                  struct artifacts_deleted *out, struct err *err);
/* The oldest deletion first. `after`: an item of an earlier page (its due_at and digest, or its
 * receipt_id and item), or NULL. */
MUST_CHECK enum st artifacts_deleted_manifests(struct registry *r, str repo,
                                               const struct artifact_deleted *after, size_t limit,
                                               int64_t now, struct arena *a,
                                               struct artifacts_deleted *out, struct err *err);
MUST_CHECK enum st artifacts_deleted_tags(struct registry *r, str repo,
                                          const struct artifact_deleted *after, size_t limit,
                                          int64_t now, struct arena *a,
                                          struct artifacts_deleted *out, struct err *err);

/* How a deletion of `digest` can be taken back: a receipt, and one of the tags that named it and
 * went by that receipt; unset when none did. `tag` set: that one if it did. The newest;
 * ST_NOT_FOUND. */
MUST_CHECK enum st artifacts_find_deleted(struct registry *r, str repo, const struct digest *digest,
                                          str tag, int64_t now, struct arena *a,
                                          int64_t *receipt_id, str *by_tag, struct err *err);

#endif
