/* SPDX-License-Identifier: Apache-2.0
 *
 * invariants - recomputes from all rows, by brute force, what meta/ promises to keep, and walks the
 * store. For tests: its cost is the square of the registry.
 */
#ifndef EBB_INVARIANTS_H
#define EBB_INVARIANTS_H

#include "meta/registry.h"

/* ST_OK, or ST_BUG with what is wrong. `store` is the one below any that fails on purpose;
 * `sparse`: an index may name what is not there. */
MUST_CHECK enum st check_invariants(struct db *db, struct blob_store *store, bool sparse,
                                    int64_t now, struct err *err);

#endif
