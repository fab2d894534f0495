/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of artifacts share.
 */
#ifndef EBB_ARTIFACTS_INT_H
#define EBB_ARTIFACTS_INT_H

#include "meta/artifacts.h"
#include "meta/inspect_int.h"

/* What may be done with it; all while no lock is set anywhere (`any`). */
MUST_CHECK enum st artifacts_may(struct db_tx *tx, bool any, const struct lock_object *o,
                                 unsigned *may, struct err *err);

#endif
