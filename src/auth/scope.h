/* SPDX-License-Identifier: Apache-2.0
 *
 * scope - what a token of the Docker and Azure flows is asked for and holds, as text and as rights.
 *
 *     repository:group/app:pull,push registry:catalog:*
 *
 *  1. Names may hold a host with a port: split at the first and the last colon. A class in brackets
 *     behind the type is dropped. Unknown types and actions are dropped, not refused.
 *  2. `*` as an action is everything that the asker may; as a name (`repository:*:*`, which acr
 *     sends) every repository.
 *
 * Pure; fuzzed.
 */
#ifndef EBB_SCOPE_H
#define EBB_SCOPE_H

#include "base/arena.h"
#include "policy/access.h"

enum claim_type { CLAIM_REPOSITORY, CLAIM_CATALOG, CLAIM_DELETED_CATALOG };
struct claim {
    enum claim_type type;
    str name; /* of a repository, or "*" */
    unsigned actions;
};
/* Actions, as clients spell them. */
enum {
    ACTION_PULL = 1 << 0,
    ACTION_PUSH = 1 << 1,
    ACTION_DELETE = 1 << 2,
    ACTION_METADATA_READ = 1 << 3,
    ACTION_METADATA_WRITE = 1 << 4,
    ACTION_DELETED_READ = 1 << 5,
    ACTION_DELETED_RESTORE = 1 << 6,
    ACTION_ALL = 1 << 7, /* "*" */
};
/* pull, metadata_read: RIGHT_PULL; push: RIGHT_PUSH; delete, deleted_*: RIGHT_DELETE (and
 * RIGHT_PULL); metadata_write: RIGHT_RULES; *: all. */
unsigned action_rights(unsigned actions);
unsigned action_of(str word); /* 0 for none of them */
/* What of `actions` may be granted to who has `rights`; "*" becomes what it stands for. */
unsigned actions_within(unsigned actions, unsigned rights);

#define CLAIMS_MAX 100 /* of one token */
/* Adds the scopes in `text`, separated by blanks, to the list; the same name twice is one claim.
 * ST_TOO_LARGE over CLAIMS_MAX. */
struct claims {
    struct claim items[CLAIMS_MAX];
    size_t count;
};
MUST_CHECK enum st scope_add(struct claims *c, str text, struct arena *a, struct err *err);
/* "pull,push" */
#define ACTIONS_TEXT_MAX 96
const char *actions_text(unsigned actions, char out[static ACTIONS_TEXT_MAX]);

#endif
