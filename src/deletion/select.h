/* SPDX-License-Identifier: Apache-2.0
 *
 * select - what a deletion is to be about. A selector never deletes: it names tags, manifests and
 * links for a plan. Names are checked against their grammar by the caller, patterns here.
 */
#ifndef EBB_SELECT_H
#define EBB_SELECT_H

#include "base/err.h"
#include "oci/digest.h"

enum selector_kind {
    SELECT_TAG,        /* repo, tag: the tag; its image goes with its last tag */
    SELECT_IMAGE,      /* repo, tag or digest: the manifest with every tag of it */
    SELECT_BLOB,       /* repo, digest: the blob's visibility */
    SELECT_REPOSITORY, /* repo: a glob; everything in those that match */
    SELECT_RULE,       /* repo: a glob; what the rule finds in those that match */
    SELECT_TRASH,      /* repo: a glob; what lies in the trash there. Only with plan_request.now */
};

/* Unset or 0: not given. At least one but `keep_tags` must be given. */
struct selector_rule {
    str tags;      /* regular expression over the whole tag */
    str keep_tags; /* the same: never selected */
    bool has_keep;
    uint64_t keep; /* the newest so many of the tags that match */
    int64_t older_than_ms;
    int64_t not_pulled_for_ms;
    bool untagged; /* manifests without a tag that nothing refers to */
};

struct selector {
    enum selector_kind kind;
    str repo;
    str tag;
    struct digest digest; /* used when tag is unset */
    struct selector_rule rule;
};

#endif
