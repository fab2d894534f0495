/* SPDX-License-Identifier: Apache-2.0
 *
 * deletion/ - the one way anything is deleted: an order says what, one transaction moves it to the
 * trash and writes the receipt. It does not know HTTP or who asked; the doors in api/ are selectors
 * in front of it.
 *
 *  1. Visible at once: what an order deleted is gone in the next request, in that repository only.
 *  2. Together: what only a deleted manifest kept (the children of an index, the referrers of a
 *     subject) becomes loose and is reclaimed with it, after one grace. Until then it answers by
 * its digest: another client may have been told a moment ago that it is there, and may name it in
 * the index that it pushes next. What something else keeps stays.
 *  3. Complete (invariant 1): what a live manifest names cannot be deleted under it: ST_DENIED for
 * a child of a live index and for a blob that a live manifest uses.
 *  4. Recorded: the receipt names every tag, manifest and blob link that went, and until when it
 * can be undone. Bytes go later, by reclaim/.
 *
 * A crash before the commit leaves everything as it was; after it, everything is done.
 *
 * Threads: any; blocks until durable.
 */
#ifndef EBB_DELETION_H
#define EBB_DELETION_H

#include "meta/registry.h"

enum deletion_kind {
    DELETION_TAG,      /* the tag alone; its manifest stays, loose when nothing else keeps it */
    DELETION_MANIFEST, /* by digest: with every tag on it */
    DELETION_BLOB,     /* the blob's visibility in this repository */
};

struct deletion_order {
    enum deletion_kind kind;
    str repo;
    str tag;              /* of DELETION_TAG */
    struct digest digest; /* of the others */
    str door;             /* which API: "oci" */
    str actor;            /* who; "anonymous" without accounts */
    str peer;             /* from which address */
    str reason;           /* why, or unset */
};

struct deletion_result {
    int64_t receipt_id;
    struct digest digest; /* of the manifest or blob concerned */
    uint64_t tags;
    uint64_t manifests;
    uint64_t blobs; /* links */
};

/* ST_NOT_FOUND: there is no such thing (*repo_known tells whether the repository is there);
 * ST_DENIED: see contract 3. */
MUST_CHECK enum st deletion_apply(struct registry *r, const struct deletion_order *order,
                                  int64_t now, struct deletion_result *out, bool *repo_known,
                                  struct err *err);

#endif
