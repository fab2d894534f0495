/* SPDX-License-Identifier: Apache-2.0
 *
 * model - what a registry must show, in plain arrays: what is visible, which promises are open. It
 * shares no code with meta/.
 *
 * After an answer it is told what was asked and changes as the contracts in deletion.h, blobs.h and
 * manifests.h say. What reclaim removes is not predicted but judged: model_compare() takes what it
 * sees and accepts only losses that no tag, promise or manifest forbids.
 */
#ifndef EBB_MODEL_H
#define EBB_MODEL_H

#include "world.h"

enum { REPOS = 3, BLOBS = 8, MANIFESTS = 14, TAGS = 4 };

/* What can be pushed; made from the seed, then constant. */
struct universe {
    char texts[BLOBS][16];
    struct digest blobs[BLOBS];
    struct made manifests[MANIFESTS];
    bool foreign[MANIFESTS][BLOBS];
    bool names_blob[MANIFESTS][BLOBS];
    bool child[MANIFESTS][MANIFESTS]; /* [index][child] */
    int subject[MANIFESTS];           /* -1: none */
};
void universe_make(struct universe *u, uint64_t *rng);

struct thing {
    bool visible;
    int64_t promise;     /* not removed before, but by a deletion */
    int64_t trash_until; /* not forgotten before, when invisible */
};

struct model {
    const struct universe *u;
    struct thing manifests[REPOS][MANIFESTS];
    struct thing blobs[REPOS][BLOBS];
    bool uses[REPOS][MANIFESTS][BLOBS]; /* of visible manifests: blobs that must stay visible */
    int tags[REPOS][TAGS];              /* -1: none */
    bool damaged[BLOBS];
    bool sparse;
    int64_t lease, grace;
    char why[200]; /* of a failed comparison */
};
void model_init(struct model *m, const struct universe *u, const struct world *w);

bool model_is_kept(const struct model *m, int repo, int manifest); /* reachable from a tag */

/* The answers expected. */
enum st model_get_blob(const struct model *m, int repo, int blob);
enum st model_mount(const struct model *m, int from, int blob); /* from < 0: anywhere */
enum st model_push(const struct model *m, int repo, int manifest);
enum st model_delete_manifest(const struct model *m, int repo, int manifest);
enum st model_delete_blob(const struct model *m, int repo, int blob);

/* What follows from an ST_OK. */
void model_linked(struct model *m, int repo, int blob, int64_t now);
void model_head_blob(struct model *m, int repo, int blob, int64_t now);
void model_head_manifest(struct model *m, int repo, int manifest, int64_t now);
void model_pushed(struct model *m, int repo, int manifest, int tag,
                  int64_t now); /* tag < 0: none */
void model_untagged(struct model *m, int repo, int tag, int64_t now);
void model_manifest_deleted(struct model *m, int repo, int manifest, int64_t now);
void model_blob_deleted(struct model *m, int repo, int blob, int64_t now);

/* What the database holds. */
struct seen {
    bool manifest_rows[REPOS][MANIFESTS], manifests[REPOS][MANIFESTS];
    bool link_rows[REPOS][BLOBS], blobs[REPOS][BLOBS];
    int tags[REPOS][TAGS];
};
bool seen_read(struct seen *s, const struct universe *u, struct world *w);

/* False, with m->why, when something shows that must not, or is gone that must not be. Takes over
 * losses that reclaim was free to make; with `reclaimed` false there may be none. */
bool model_compare(struct model *m, const struct seen *s, bool reclaimed, int64_t now);
/* After all leases and graces: exactly what tags reach is left. */
bool model_is_settled(struct model *m, const struct seen *s);

#endif
