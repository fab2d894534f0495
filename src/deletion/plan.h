/* SPDX-License-Identifier: Apache-2.0
 *
 * plan - a computed deletion: exactly which tags, manifests and links go, which bytes are given
 * back and which stay. A plan changes nothing. It is kept under an id for a while, so that what is
 * applied is what was shown.
 *
 *  1. Exact: bytes_freed is what nothing lasting keeps once the plan is applied: blobs that no kept
 *     manifest outside the plan uses, in any repository, and on which there is no hold; and the
 *     payloads of the manifests that go. Leases, other trash and untagged manifests hold bytes for
 *     a while only: those are part of it, and told as bytes_later with the last time. (With
 *     reclaim.untagged off, untagged manifests last.)
 *  2. What goes: selected tags; selected manifests; manifests that lose their last tag by the plan
 *     and that nothing else keeps; and with them (role WITH) what only they kept.
 *  3. Cost follows the plan, and the tags of the repositories that a rule looks at.
 *  4. One snapshot: everything a plan says was true at one instant.
 *  5. A tag whose rule cannot be decided is retained; what is protected is listed and does not go.
 */
#ifndef EBB_PLAN_H
#define EBB_PLAN_H

#include "base/rng.h"
#include "deletion/deletion.h"
#include "deletion/select.h"
#include "policy/retention.h"

struct plan_request {
    const struct selector *selectors;
    size_t count;
    bool now; /* without a grace */
    struct deletion_by by;
    str text; /* the request as it came, JSON; kept with the plan and the receipt */
    /* Whether whoever asks may delete in that repository: patterns pass by the others, and a name
     * among them is one that is not there. NULL: everywhere. Called within the snapshot. */
    bool (*may)(void *ctx, str repo);
    void *may_ctx;
};

enum plan_warning_code {
    PLAN_ALL_TAGS,        /* every tag of the repository */
    PLAN_SHARE,           /* more of its tags than deletion.max_percent */
    PLAN_NEWEST_TAG,      /* the tag of the repository that was set last */
    PLAN_PULLED_RECENTLY, /* an image that was pulled within a day */
    PLAN_UNTAGGED_KEPT,   /* bytes stay although untagged, because reclaim.untagged is off */
};
struct plan_warning {
    enum plan_warning_code code;
    str repo;
    str text; /* a sentence */
};

/* What keeps a blob that stays. */
struct plan_keeper {
    str repo;
    struct digest digest; /* of the manifest */
    str tag;              /* one of its tags, or unset */
    str why;              /* a few words: "used by a tagged image", "held: <reason>" */
};
#define PLAN_KEPT_MAX    100 /* of the blobs that stay, the largest */
#define PLAN_KEEPERS_MAX 3
struct plan_kept {
    struct digest digest;
    uint64_t size;
    struct plan_keeper by[PLAN_KEEPERS_MAX];
    size_t by_count;
};

struct plan {
    char id[RNG_ID_LEN + 1];
    int64_t created_at;
    int64_t expires_at;
    bool now;
    str reason;  /* or unset */
    str request; /* as asked */
    uint64_t tags, manifests, blobs,
        repositories; /* that go; blobs: links selected by themselves */
    uint64_t items;   /* listed, protected ones too */
    uint64_t protected_items;
    uint64_t bytes_freed;
    uint64_t bytes_later;
    int64_t later_until;
    uint64_t bytes_kept;
    uint64_t confirm_tags; /* applying needs this number; 0: no */
    str confirm_why;
    uint64_t retained[RETENTION_VERDICTS]; /* tags that rules looked at and left, by verdict */
    struct plan_warning *warnings;
    size_t warning_count;
    struct plan_kept *kept;
    size_t kept_count;
    int64_t receipt_id; /* 0: not applied */
};

/* Computes a plan and keeps it. Strings and arrays live in `a`.
 *   ST_INVALID    a pattern, a rule without a criterion, trash without `now`
 *   ST_NOT_FOUND  a tag, image, blob or (without wildcards) repository that is not there
 *   ST_TOO_LARGE  more than deletion.plan_items items: narrow it */
MUST_CHECK enum st plan_make(struct deletion *d, const struct plan_request *request, int64_t now,
                             struct arena *a, struct plan *out, struct err *err);
/* ST_NOT_FOUND: never made, or forgotten. */
MUST_CHECK enum st plan_find(struct deletion *d, str id, int64_t now, struct arena *a,
                             struct plan *out, struct err *err);
/* Calls `visit` with the name of each repository that the plan has an item in, some more than once,
 * until it returns false; within a snapshot. ST_NOT_FOUND as plan_find(). */
MUST_CHECK enum st plan_visit_repositories(struct deletion *d, str id, int64_t now,
                                           bool (*visit)(void *ctx, str repo), void *ctx,
                                           struct err *err);
MUST_CHECK enum st plan_drop(struct deletion *d, str id, struct err *err);
/* Removes the rows of what expired. */
MUST_CHECK enum st plan_expire(struct deletion *d, int64_t now, struct err *err);

enum plan_role { PLAN_SELECTED, PLAN_WITH };
struct plan_item {
    enum { PLAN_TAG, PLAN_MANIFEST, PLAN_BLOB } kind;
    enum plan_role role;
    bool is_protected; /* does not go */
    bool was_loose;    /* nothing kept it when the plan was made; see plan_item.h, 4 */
    bool in_trash;     /* lies in the trash: goes for good. What is live by then is left alone */
    bool is_whole;     /* goes with its whole repository (SELECT_REPOSITORY) */
    str repo;
    str tag; /* of PLAN_TAG */
    struct digest digest;
    uint64_t size;
    int64_t
        changed_at; /* when the tag was set, the manifest pushed: it goes only if it still is so */
    str why;        /* of a protected one: by which rule; or unset */
};
struct plan_page {
    struct plan_item *items;
    size_t count;
    uint64_t next; /* pass it as `from`; 0: no more */
};
struct plan_filter {
    int kind;  /* of enum above, or -1 */
    int state; /* 0 goes, 1 protected, -1 any */
};
/* Items from place `from` on, in the order in which they are applied: tags before their manifest,
 * an index before its children. ST_NOT_FOUND as plan_find(). */
MUST_CHECK enum st plan_items(struct deletion *d, str id, const struct plan_filter *filter,
                              uint64_t from, size_t limit, int64_t now, struct arena *a,
                              struct plan_page *out, struct err *err);

#endif
