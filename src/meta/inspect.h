/* SPDX-License-Identifier: Apache-2.0
 *
 * inspect - the registry as people look at it: pages of repositories and tags, an image with all
 * its relations, what keeps something, what belongs to whom. Each function is one snapshot; nothing
 * is written. Times are the registry's own. What comes out lives in the arena given.
 *
 * Bounded: no list is longer than its limit, and each tells when there is more.
 *
 * Threads: any; they read the database for longer than a look-up: for a worker.
 */
#ifndef EBB_INSPECT_H
#define EBB_INSPECT_H

#include "meta/protection.h"
#include "meta/registry.h"
#include "meta/usage.h"

/* ---- lists ----------------------------------------------------------------------------------- */

struct inspect_repository {
    str name;
    int64_t created_at;
    struct usage usage; /* of it alone */
};
struct inspect_repositories {
    struct inspect_repository *items;
    size_t count;
    bool more;
};
/* `prefix` itself and those below it, "" for all, in byte order after `after` (unset: from the
 * start). Those are listed, too, of which only trash or uploads are left. */
MUST_CHECK enum st inspect_repositories(struct registry *r, str prefix, str after, size_t limit,
                                        struct arena *a, struct inspect_repositories *out,
                                        struct err *err);

/* The size of an image: its manifest, those below it in the same repository and all their blobs,
 * each once. Not known of one with more than INSPECT_SIZE_MANIFESTS below it or
 * INSPECT_SIZE_BLOBS blobs. A page of tags ends early after INSPECT_PAGE_ROWS rows for sizes. */
#define INSPECT_SIZE_MANIFESTS 1000
#define INSPECT_SIZE_BLOBS     50000
#define INSPECT_PAGE_ROWS      200000

struct inspect_tag {
    str name;
    struct digest digest;
    str media_type;
    bool has_size;
    uint64_t size;
    int64_t tagged_at;
    int64_t pulled_at; /* 0: not since pulls are noted */
    str protected_by;  /* a sentence, or unset */
};
struct inspect_tags {
    struct inspect_tag *items;
    size_t count;
    bool more;
};
/* ST_NOT_FOUND without the repository. */
MUST_CHECK enum st inspect_tags(struct registry *r, str repo, str after, size_t limit, int64_t now,
                                struct arena *a, struct inspect_tags *out, struct err *err);

#define INSPECT_DEPTH_MAX 8
#define INSPECT_NODES_MAX 1000
/* A path, and the paths right below it. */
struct inspect_usage {
    str prefix;
    struct usage usage;
    struct inspect_usage *below;
    size_t below_count;
    bool more; /* below are more than were listed */
};
MUST_CHECK enum st inspect_usage(struct registry *r, str prefix, unsigned depth, struct arena *a,
                                 struct inspect_usage *out, struct err *err);

/* ---- an image -------------------------------------------------------------------------------- */

#define INSPECT_LIST_MAX 1000 /* of each list below */
#define INSPECT_SHARERS  3
#define INSPECT_COUNT    1000 /* up to which is counted */

struct inspect_blob {
    struct digest digest;
    uint64_t size;
    uint64_t images;       /* in this repository that use it; up to INSPECT_COUNT */
    uint64_t repositories; /* others that have it, up to INSPECT_COUNT */
    str sharers[INSPECT_SHARERS];
    size_t sharer_count;
};
struct inspect_manifest {
    struct digest digest;
    str media_type; /* these three are unset when it is not there */
    str artifact_type;
    bool present;
    uint64_t size; /* of the payload */
};
struct inspect_manifests {
    struct inspect_manifest *items;
    size_t count;
    bool more;
};
struct inspect_image {
    struct inspect_manifest manifest;
    str payload;
    str annotations; /* JSON, or unset */
    bool has_size;
    uint64_t size;
    int64_t pushed_at;
    int64_t pulled_at;
    int64_t due_at; /* 0: kept */
    str *tags;
    size_t tag_count;
    bool more_tags;
    struct inspect_blob *blobs;
    size_t blob_count;
    bool more_blobs;
    bool has_subject;
    struct inspect_manifest subject;
    struct inspect_manifests children;
    struct inspect_manifests indexes;   /* that name it */
    struct inspect_manifests referrers; /* whose subject it is */
    struct hold *holds;
    size_t hold_count;
};
/* By tag, or by digest when `tag` is unset. ST_NOT_FOUND. */
MUST_CHECK enum st inspect_image(struct registry *r, str repo, str tag, const struct digest *d,
                                 int64_t now, struct arena *a, struct inspect_image *out,
                                 struct err *err);

/* ---- what keeps something -------------------------------------------------------------------- */

enum inspect_keeper_kind {
    KEEPER_TAG,
    KEEPER_INDEX,
    KEEPER_SUBJECT,
    KEEPER_MANIFEST,
    KEEPER_HOLD,
    KEEPER_LEASE,
    KEEPER_TRASH,
    KEEPER_GRACE,
};
const char *inspect_keeper_text(enum inspect_keeper_kind kind); /* "tag", ... */

struct inspect_keeper {
    enum inspect_keeper_kind kind;
    str repo; /* unset: every repository */
    bool has_digest;
    struct digest digest;
    str tag;       /* or unset */
    int64_t until; /* 0: as long as it is there */
    str text;      /* a sentence */
};

#define INSPECT_KEEPERS_MAX 100

enum inspect_state { INSPECT_ABSENT, INSPECT_PENDING, INSPECT_TRASH, INSPECT_LOOSE, INSPECT_KEPT };
struct inspect_why {
    bool is_blob;
    enum inspect_state state; /* of several repositories the highest */
    struct digest digest;     /* when the state is not ABSENT */
    uint64_t size;            /* of the payload or blob */
    int64_t until;            /* when it goes unless that changes; 0: it stays, or is absent */
    bool untagged_goes;       /* reclaim.untagged */
    struct inspect_keeper *keepers;
    size_t count;
    bool more;
};
/* `repo` unset: the digest in every repository, as a blob's, else as a manifest's, which costs a
 * look-up for each repository. */
MUST_CHECK enum st inspect_why(struct registry *r, str repo, str tag, const struct digest *d,
                               int64_t now, struct arena *a, struct inspect_why *out,
                               struct err *err);

/* ---- where space can be had ------------------------------------------------------------------ */

/* A large blob that few live manifests use, in any repository. */
struct inspect_layer {
    struct digest digest;
    uint64_t size;
    struct inspect_layer_user {
        str repo;
        struct digest digest;
    } * users;
    size_t user_count;
};
#define INSPECT_LAYER_USERS 20
/* The largest of the blobs with at most INSPECT_LAYER_USERS users, of the `sample` largest blobs.
 */
MUST_CHECK enum st inspect_layers(struct registry *r, size_t sample, size_t limit, struct arena *a,
                                  struct inspect_layer **out, size_t *count, struct err *err);

#endif
