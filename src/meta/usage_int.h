/* SPDX-License-Identifier: Apache-2.0
 *
 * The counters of repositories recounted from the rows, for the schema's step and for `ebb check`.
 */
#ifndef EBB_USAGE_INT_H
#define EBB_USAGE_INT_H

#include "meta/usage.h"

#define USAGE_LINKS_SQL(class, shared)                                                             \
    "coalesce((SELECT sum(size) FROM repo_blob WHERE repo_id = repository.id AND shared = " shared \
    " AND " class "), 0)"
#define USAGE_PAYLOADS_SQL(class)                                                                  \
    "coalesce((SELECT sum(size) FROM manifest WHERE repo_id = repository.id AND " class "), 0)"
#define USAGE_LINK_USED    "kept > 0"
#define USAGE_LINK_TRASH   "kept = 0 AND (trash > 0 OR receipt_id IS NOT NULL)"
#define USAGE_LINK_PENDING "kept = 0 AND trash = 0 AND receipt_id IS NULL"

/* Column by column, in the order of struct usage_delta. */
#define USAGE_TAGS_SQL "(SELECT count(*) FROM tag WHERE repo_id = repository.id)"
#define USAGE_MANIFESTS_SQL                                                                        \
    "(SELECT count(*) FROM manifest WHERE repo_id = repository.id AND receipt_id IS NULL)"
#define USAGE_USED_ALONE_SQL                                                                       \
    USAGE_LINKS_SQL(USAGE_LINK_USED, "0") " + " USAGE_PAYLOADS_SQL("due_at IS NULL")
#define USAGE_TRASH_ALONE_SQL                                                                      \
    USAGE_LINKS_SQL(USAGE_LINK_TRASH, "0") " + " USAGE_PAYLOADS_SQL("receipt_id IS NOT NULL")
#define USAGE_PENDING_ALONE_SQL                                                                    \
    USAGE_LINKS_SQL(USAGE_LINK_PENDING, "0")                                                       \
    " + " USAGE_PAYLOADS_SQL("due_at IS NOT NULL AND receipt_id IS NULL")
#define USAGE_USED_SHARED_SQL    USAGE_LINKS_SQL(USAGE_LINK_USED, "1")
#define USAGE_TRASH_SHARED_SQL   USAGE_LINKS_SQL(USAGE_LINK_TRASH, "1")
#define USAGE_PENDING_SHARED_SQL USAGE_LINKS_SQL(USAGE_LINK_PENDING, "1")

#define USAGE_RECOUNT_SQL                                                                          \
    "UPDATE repository SET tags = " USAGE_TAGS_SQL ", manifests = " USAGE_MANIFESTS_SQL            \
    ", used_alone = " USAGE_USED_ALONE_SQL ", trash_alone = " USAGE_TRASH_ALONE_SQL                \
    ", pending_alone = " USAGE_PENDING_ALONE_SQL ", used_shared = " USAGE_USED_SHARED_SQL          \
    ", trash_shared = " USAGE_TRASH_SHARED_SQL ", pending_shared = " USAGE_PENDING_SHARED_SQL

#endif
