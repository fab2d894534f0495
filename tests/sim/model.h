/* SPDX-License-Identifier: Apache-2.0
 *
 * model - what a registry must show, in plain arrays: what is visible, what is protected, which
 * promises are open, what each receipt can bring back. It shares no code with meta/ and deletion/.
 *
 *     model.c           what is there, and the doors that push and delete one thing
 *     model_compare.c   what the database holds, and whether that may be
 *     model_protect.c   rules and holds
 *     model_plan.c      what a plan must say, and what carrying it out may do
 *     model_undo.c      what a receipt must bring back
 *
 * After an answer it is told what was asked and changes as the contracts in deletion.h, apply.h,
 * undo.h, protection.h, blobs.h and manifests.h say. What reclaim removes is not predicted but
 * judged: model_compare() takes what it sees and accepts only losses that no tag, promise, hold or
 * manifest forbids.
 */
#ifndef EBB_MODEL_H
#define EBB_MODEL_H

#include "deletion/select.h"
#include "world.h"

enum { REPOS = 3, BLOBS = 8, MANIFESTS = 14, TAGS = 6, RULES = 4, HOLDS = 4, RECEIPTS = 12 };
#define EACH(i, n) for (int i = 0; i < (n); i++)

/* The last tag is one over which a regular expression gives up. */
extern const char *const repo_names[REPOS];
extern const char *const tag_names[TAGS];

/* Patterns, and what they match: bits of repositories or tags. A tag over which one gives up is
 * among `unclear`. */
struct known_pattern {
    const char *text; /* NULL: not given */
    unsigned yes, unclear;
};
enum { REPO_GLOBS = 4, TAG_PATTERNS = 4, TAG_REGEXES = 4 };
extern const struct known_pattern repo_globs[REPO_GLOBS];
extern const struct known_pattern tag_patterns[TAG_PATTERNS]; /* of protection rules */
extern const struct known_pattern tag_regexes[TAG_REGEXES];   /* of selectors */

/* What can be pushed; made from the seed, then constant. */
struct universe {
    char texts[BLOBS][400];
    struct digest blobs[BLOBS];
    uint64_t sizes[BLOBS];
    struct made manifests[MANIFESTS];
    uint64_t payloads[MANIFESTS];
    bool foreign[MANIFESTS][BLOBS];
    bool names_blob[MANIFESTS][BLOBS];
    bool child[MANIFESTS][MANIFESTS]; /* [index][child] */
    int subject[MANIFESTS];           /* -1: none */
};
void universe_make(struct universe *u, uint64_t *rng);

struct thing {
    bool visible;
    bool row;            /* there, perhaps in the trash */
    int64_t promise;     /* not removed before, but by a deletion */
    int64_t trash_until; /* not forgotten before, when invisible */
    int64_t receipt;     /* of the deletion, when invisible */
    int64_t pushed_at;
};

struct model_rule {
    int64_t id; /* 0: unused */
    enum rule_kind kind;
    int repos, tags; /* of repo_globs, tag_patterns */
};
struct model_hold {
    int64_t id; /* 0: unused */
    int repo;   /* -1: all */
    bool of_blob;
    int thing;
    int64_t until; /* INT64_MAX: for ever */
};

enum item_kind { TAG_ITEM, MANIFEST_ITEM, BLOB_ITEM };
struct model_item {
    enum item_kind kind;
    bool with;
    bool skipped;
    int repo, tag, thing;
    int64_t undone_by;
};
enum { ITEMS_MAX = REPOS * (TAGS + MANIFESTS + BLOBS) };
struct model_receipt {
    int64_t id; /* 0: unused */
    bool is_undo;
    bool open;
    int64_t due_at;
    int count;
    struct model_item items[ITEMS_MAX];
};

struct model {
    const struct universe *u;
    struct thing manifests[REPOS][MANIFESTS];
    struct thing blobs[REPOS][BLOBS];
    bool uses[REPOS][MANIFESTS][BLOBS]; /* of manifests with a row: blobs that must stay */
    int tags[REPOS][TAGS];              /* -1: none */
    int64_t tagged_at[REPOS][TAGS];
    bool damaged[BLOBS];
    struct model_rule rules[RULES];
    struct model_hold holds[HOLDS];
    struct model_receipt receipts[RECEIPTS];
    bool sparse;
    int64_t lease, grace;
    char why[300]; /* of a failed comparison */
};
void model_init(struct model *m, const struct universe *u, const struct world *w);
/* Sets m->why; false. */
bool model_wrong(struct model *m, const char *what, int repo, int thing);

/* Reachable from a tag or a hold. */
bool model_is_kept(const struct model *m, int repo, int manifest);
bool model_has_tag(const struct model *m, int repo, int manifest);
bool model_has_live_index(const struct model *m, int repo, int manifest);
bool model_is_used(const struct model *m, int repo, int blob); /* by a visible manifest */
bool model_has_repo(const struct model *m, int repo);

/* The answers expected; protection comes first where the call asks it first. */
enum st model_get_blob(const struct model *m, int repo, int blob);
enum st model_mount(const struct model *m, int repo, int from, int blob); /* from < 0: anywhere */
enum st model_push(const struct model *m, int repo, int manifest, int tag);
enum st model_untag(const struct model *m, int repo, int tag, int64_t now);
enum st model_delete_manifest(const struct model *m, int repo, int manifest, int64_t now);
enum st model_delete_blob(const struct model *m, int repo, int blob, int64_t now);

/* What follows from an ST_OK. */
void model_linked(struct model *m, int repo, int blob, int64_t now);
void model_head_blob(struct model *m, int repo, int blob, int64_t now);
void model_head_manifest(struct model *m, int repo, int manifest, int64_t now);
void model_pushed(struct model *m, int repo, int manifest, int tag,
                  int64_t now); /* tag < 0: none */
void model_untagged(struct model *m, int repo, int tag, int64_t now);
void model_manifest_deleted(struct model *m, int repo, int manifest, int64_t receipt, int64_t now);
void model_blob_deleted(struct model *m, int repo, int blob, int64_t now);

/* Between these two, tags, manifests and holds change: what is let go, and what it uses, stays for
 * a grace; with `cut` it has no promise any more. */
struct kept_before {
    bool kept[REPOS][MANIFESTS];
    bool visible[REPOS][MANIFESTS];
};
void model_note_kept(const struct model *m, struct kept_before *before);
void model_let_go(struct model *m, const struct kept_before *before, bool cut, int64_t now);

/* ---- protection (model_protect.c) ------------------------------------------------------------ */

bool model_is_read_only(const struct model *m, int repo);
bool model_is_immutable(const struct model *m, int repo, int tag);
bool model_is_held(const struct model *m, int repo, bool of_blob, int thing, int64_t now);
bool model_has_hold(const struct model *m, int repo, bool of_blob,
                    int thing); /* or had, just now */
bool model_may_delete_tag(const struct model *m, int repo, int tag, int64_t now);
bool model_may_delete_manifest(const struct model *m, int repo, int manifest, int64_t now);
bool model_may_delete_blob(const struct model *m, int repo, int blob, int64_t now);
bool model_can_hold(const struct model *m, int repo, bool of_blob, int thing);
void model_hold_ended(struct model *m, int hold, int64_t now);

/* ---- plans (model_plan.c) -------------------------------------------------------------------- */

/* A selector in the model's words. */
struct wish {
    enum selector_kind kind;
    int repo;            /* of TAG, IMAGE, BLOB */
    int repos;           /* of repo_globs */
    int tag;             /* of TAG and IMAGE; -1: by digest */
    int thing;           /* manifest or blob */
    int tags, keep_tags; /* of tag_regexes */
    int keep;            /* 0: not given */
    int64_t older_than;
    bool not_pulled;
    bool untagged;
};
enum fate { STAYS, LOOSE, TRASH };
struct forecast {
    enum st st;
    bool tags[REPOS][TAGS]; /* that go */
    enum fate fates[REPOS][MANIFESTS];
    bool blobs[REPOS][BLOBS];                                      /* links that go by themselves */
    bool old_manifests[REPOS][MANIFESTS], old_blobs[REPOS][BLOBS]; /* in the trash: go for good */
    uint64_t tag_count, manifest_count, blob_count;
    uint64_t bytes_freed;
    bool all_tags; /* of some repository */
};
void model_plan(const struct model *m, const struct wish *wishes, int count, bool now_too,
                int64_t now, struct forecast *out);

/* A plan that was made, as the engine told its items. */
struct model_plan {
    char id[40]; /* "": none */
    bool now;
    int64_t created_at, expires_at;
    uint64_t tags, confirm_tags, bytes_freed;
    int64_t receipt_id; /* applied, or begun: */
    bool open;
    int done; /* items of the receipt that the model took over */
    int count;
    struct plan_thing {
        enum item_kind kind;
        bool with, in_trash;
        int repo, tag, thing;
        int64_t changed_at; /* when the tag was set, the manifest pushed */
    } items[ITEMS_MAX];
};
/* The engine carried out the plan, or a part, and the receipt has these items: takes over those
 * that are new. False when one was skipped that must not be, or went that must not. */
bool model_applied(struct model *m, struct model_plan *plan, const struct model_receipt *receipt,
                   int64_t now);
void model_add_receipt(struct model *m, const struct model_receipt *receipt);

/* ---- undo (model_undo.c) --------------------------------------------------------------------- */

struct undo_wish {
    struct model_receipt *of;
    int only; /* this item; -1: all */
    bool force;
    int as; /* a tag; -1: none */
};
enum st model_undo(const struct model *m, const struct undo_wish *wish, int64_t now);
bool model_undone(struct model *m, const struct undo_wish *wish,
                  const struct model_receipt *receipt, int64_t now);

/* ---- comparing (model_compare.c) ------------------------------------------------------------- */

/* What the database holds. */
struct seen {
    bool manifest_rows[REPOS][MANIFESTS], manifests[REPOS][MANIFESTS];
    bool link_rows[REPOS][BLOBS], blobs[REPOS][BLOBS];
    int tags[REPOS][TAGS];
    bool holds[HOLDS];
};
bool seen_read(struct seen *s, const struct model *m, struct world *w);
/* The items of a receipt as its rows have them. */
bool receipt_read(struct model_receipt *to, int64_t id, const struct model *m, struct world *w);
int universe_find(const struct universe *u, const struct digest *d, bool manifest);

/* False, with m->why, when something shows that must not, or is gone that must not be. Takes over
 * losses that reclaim was free to make; with `reclaimed` false there may be none. */
bool model_compare(struct model *m, const struct seen *s, bool reclaimed, int64_t now);
/* After all leases, graces and holds that end: exactly what tags and holds reach is left. */
bool model_is_settled(struct model *m, const struct seen *s, int64_t now);

#endif
