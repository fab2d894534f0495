/* SPDX-License-Identifier: Apache-2.0
 *
 * meta/ - what the registry knows, as functions over SQL: repositories, blobs and their visibility,
 * manifests, tags, uploads, receipts, names to be removed. It does not know HTTP, and it holds the
 * only SQL there is.
 *
 *  - registry.h is the front door: one call, one transaction. api/ uses it.
 *  - The other headers work inside a transaction that the caller holds; deletion/ and reclaim/
 *    compose them.
 *
 * What every function here keeps (numbers as in ARCHITECTURE.md):
 *   1  a live manifest's blobs are linked (repo_blob) in its repository, and its children are live;
 *   2  a link is not removed before its lease_until;
 *   4  whatever nothing keeps has a due_at; a name that no row uses is in `doomed`.
 */
#ifndef EBB_SCHEMA_H
#define EBB_SCHEMA_H

#include "db/db.h"

extern const struct db_migration schema_migrations[];
extern const size_t schema_migration_count;

#endif
