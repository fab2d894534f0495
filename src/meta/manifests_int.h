/* SPDX-License-Identifier: Apache-2.0
 *
 * What manifests.c, manifests_push.c and manifests_reclaim.c share.
 */
#ifndef EBB_MANIFESTS_INT_H
#define EBB_MANIFESTS_INT_H

#include "base/buf.h"
#include "meta/manifests.h"

/* When a manifest that is loose from now on is due. */
static inline int64_t loose_until(const struct keeping *k, int64_t now)
{
    return now + MAX(k->grace_ms, k->lease_ms);
}

/* The rows that say which blobs it names. */
MUST_CHECK enum st manifests_drop_blobs(struct db_tx *tx, int64_t id, struct err *err);

/* A list of work that grows while it is done: nesting may be deep, so there is no recursion. */
struct worklist {
    struct buf ids;
    size_t done;
};

static inline void worklist_add(struct worklist *w, const int64_t *ids, size_t count)
{
    buf_add(&w->ids, (str){ (const char *)ids, count * sizeof(*ids) });
}

/* Unless it is on the list. Looks through all of it: for short lists. */
static inline void worklist_add_new(struct worklist *w, int64_t id)
{
    for (size_t at = 0; at < w->ids.len; at += sizeof(id))
        if (memcmp(w->ids.ptr + at, &id, sizeof(id)) == 0)
            return;
    worklist_add(w, &id, 1);
}

static inline bool worklist_next(struct worklist *w, int64_t *id)
{
    if (w->done == w->ids.len)
        return false;
    memcpy(id, w->ids.ptr + w->done, sizeof(*id));
    w->done += sizeof(*id);
    return true;
}

static inline void worklist_release(struct worklist *w)
{
    buf_release(&w->ids);
}

#endif
