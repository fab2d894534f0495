/* SPDX-License-Identifier: Apache-2.0
 *
 * A plan in the making. One repository is looked at after the other, and only that one is in memory
 * as a graph; what remains of it are the items, as records, and the blobs that other repositories
 * see as well.
 *
 *     select.c       which tags, manifests and links selectors name
 *     plan_graph.c   nodes, and what is known of them
 *     plan_close.c   what becomes of each node
 *     plan_bytes.c   which blobs are freed, kept, and until when
 *     plan_list.c    the items, in the order in which they are applied
 *     plan_tell.c    warnings, the number to confirm, what keeps the largest blobs
 *     plan.c         puts it together and stores it
 *
 * What becomes of a node is never taken back, only raised, so the order of looking does not matter:
 *
 *     stays ──nothing kept names it any more──▶ loose ──no live index names it──▶ trash
 *        └───────────────── selected, and no live index names it ──────────────▶
 *
 *   stays   something keeps it, or it was loose before and nobody selected it
 *   loose   was kept; from now on it is not, and is reclaimed after its time (role WITH)
 *   trash   is deleted
 */
#ifndef EBB_PLAN_INT_H
#define EBB_PLAN_INT_H

#include "base/buf.h"
#include "deletion/deletion_int.h"
#include "deletion/plan_item.h"
#include "deletion/plan_map.h"
#include "meta/protection.h"
#include "meta/pulls.h"
#include "meta/selection.h"

enum plan_fate { FATE_STAYS, FATE_LOOSE, FATE_TRASH };

enum plan_node_flag {
    NODE_EXPLICIT = 1,  /* selected by itself */
    NODE_UNTAGGED = 2,  /* selected if nothing names it */
    NODE_OWN = 4,       /* a rule took a tag of it: it is an item when it goes */
    NODE_PROTECTED = 8, /* `why` tells */
    NODE_HELD = 16,     /* by a hold */
    NODE_IN_TRASH = 32, /* before */
    NODE_HAS_SUBJECT = 64,
    NODE_QUEUED = 128, /* on the worklist */
};

struct plan_node {
    int64_t id;
    int64_t due_at; /* 0: kept before */
    int64_t pushed_at;
    int64_t held_until; /* rows outside the plan that name it keep it on the disk until then */
    uint32_t digest;    /* in graph.bytes; 0: not loaded */
    uint32_t size;
    uint32_t why;                 /* in graph.bytes; 0: none */
    uint32_t first_tag, last_tag; /* in graph.tags; PLAN_NOWHERE: none */
    uint32_t tags;                /* that it has */
    uint32_t taken;               /* that go */
    uint32_t order;               /* its last place in graph.order */
    uint8_t flags;
    uint8_t fate;
};

struct plan_tag {
    int64_t tagged_at;
    uint32_t node;
    uint32_t name; /* in graph.bytes, a length byte first */
    uint32_t next; /* of the node */
    uint32_t why;  /* 0: not protected */
};

/* A link selected by itself. */
struct plan_leaf {
    int64_t blob_id;
    uint64_t size;
    uint32_t why; /* 0: goes */
    bool in_trash;
};

/* How many manifests that use a link go, by what they were. */
struct plan_going {
    uint32_t kept;
    uint32_t loosened; /* of these: they are loose afterwards */
    uint32_t loose;
    uint32_t trash;
    bool itself; /* the link is selected */
};
struct plan_use {
    int64_t blob_id;
    int64_t held_until;
    struct plan_going going;
};

/* One repository. */
struct plan_graph {
    const struct plan_repo *repo;
    bool whole;       /* selected whole */
    uint32_t refused; /* why that must not be, in bytes; 0: it may */
    bool has_edges;   /* a manifest of it names another */
    struct plan_array nodes;
    struct plan_map by_id;
    struct plan_array tags;
    struct plan_map by_name; /* by a hash of the name; kept when several selectors look here */
    struct plan_array leaves;
    struct plan_array uses;
    struct plan_map by_blob;
    struct buf bytes; /* names, digests, reasons; byte 0 is unused */
    struct buf order; /* uint32_t: nodes in the order in which they got their fate */
    struct buf work;  /* uint32_t: nodes to look at */
    struct buf named; /* int64_t: what each tag of the repository names, once all were read */
    bool all_named;
    uint64_t tags_gone;
    int64_t newest_at; /* of the tags that go */
    uint32_t newest;   /* its name, in bytes */
    bool newest_known; /* whether it is the newest of all was found already */
    bool newest_goes;
};

/* A repository that selectors name. */
struct plan_repo {
    int64_t id;
    str name;
    uint64_t tags;
    bool trash;
    uint32_t first_target; /* of `targets`, one list each */
    uint32_t last_target;
};
struct plan_target {
    uint32_t selector;
    uint32_t next;
};

/* A blob with links in several repositories. */
struct plan_blob {
    int64_t id;
    uint32_t first_part;
};
struct plan_part {
    int64_t repo_id;
    int64_t held_until;
    struct plan_going going;
    uint32_t next;
};

/* Records of items, cut into chunks. */
struct plan_stream {
    struct buf records;
    struct plan_array chunks; /* struct plan_cut */
    struct plan_item last;    /* of the chunk; repo only */
};
struct plan_cut {
    size_t end; /* in records */
    size_t count;
};

struct plan_patterns {
    struct pattern *repo, *tags, *keep;
};

struct plan_stay {
    int64_t blob_id;
    uint64_t size;
};

struct planning {
    struct deletion *d;
    const struct plan_request *request;
    int64_t now;
    struct keeping keeping; /* as it is applied */
    int64_t horizon;        /* when what is let go now is looked at */
    struct db_tx *tx;
    struct arena *a;
    struct protection *protection;
    struct protection_memo memo; /* of whoever asks */
    bool any_rules, any_holds, any_pulls;
    int64_t pulls_since; /* 0: not known */
    uint64_t items_max;
    struct plan_patterns *patterns; /* by selector */
    struct plan_array repos, targets;
    struct plan_map repo_by_id;
    struct plan_graph g;
    struct plan_array blobs, parts;
    struct plan_map by_blob;
    struct plan_map going;                 /* ids of all manifests that go; no place */
    struct plan_stream early, late;        /* plan_item.h, 3 */
    struct plan_stay stays[PLAN_KEPT_MAX]; /* a heap, the smallest first */
    size_t stay_count;
    uint64_t untagged_bytes; /* of manifests that stay because reclaim.untagged is off */
    struct plan_array warnings;
    struct plan plan;
};

/* select.c */
MUST_CHECK enum st plan_select_check(struct planning *p, struct err *err);
MUST_CHECK enum st plan_select_repositories(struct planning *p, struct err *err);
MUST_CHECK enum st plan_select(struct planning *p, struct err *err); /* into p->g */

/* plan_graph.c */
void plan_graph_reset(struct planning *p, const struct plan_repo *repo);
void plan_graph_release(struct plan_graph *g);
struct plan_node *plan_node_at(const struct plan_graph *g, uint32_t i);
struct plan_tag *plan_tag_at(const struct plan_graph *g, uint32_t i);
/* Finds the node, or makes one that is not loaded. */
MUST_CHECK enum st plan_graph_node(struct plan_graph *g, int64_t id, uint32_t *out,
                                   struct err *err);
/* Adds the row to a node that is not loaded. */
MUST_CHECK enum st plan_graph_fill(struct plan_graph *g, uint32_t node,
                                   const struct selection_manifest *row, struct err *err);
/* Adds a tag, unless it is there. */
MUST_CHECK enum st plan_graph_tag(struct planning *p, const struct selection_tag *tag, bool own,
                                  struct err *err);
/* Rows, numbers of tags and holds of the nodes from `from` on. */
MUST_CHECK enum st plan_graph_load(struct planning *p, uint32_t from, struct err *err);
MUST_CHECK enum st plan_graph_text(struct plan_graph *g, str text, uint32_t *out, struct err *err);
str plan_graph_name(const struct plan_graph *g, uint32_t name);
str plan_graph_why(const struct plan_graph *g, uint32_t why); /* unset when 0 */
void plan_graph_digest(const struct plan_graph *g, const struct plan_node *n, struct digest *out);

/* plan_close.c */
MUST_CHECK enum st plan_close(struct planning *p, struct err *err);
/* Whether the repository may go whole: into g.refused. */
MUST_CHECK enum st plan_protect_whole(struct planning *p, struct err *err);

/* plan_bytes.c */
MUST_CHECK enum st plan_bytes_of_repository(struct planning *p, struct err *err);
MUST_CHECK enum st plan_bytes_of_shared(struct planning *p, struct err *err);
/* Whether the node's payload, and with it what it uses, is given back. */
bool plan_node_goes(const struct planning *p, const struct plan_node *n);

/* plan_list.c */
MUST_CHECK enum st plan_list(struct planning *p, struct err *err);

/* plan_tell.c */
MUST_CHECK enum st plan_tell_repository(struct planning *p, struct err *err);
MUST_CHECK enum st plan_tell(struct planning *p, struct err *err);

#endif
