/* SPDX-License-Identifier: Apache-2.0
 *
 * settings - rows of setting: what an administrator switched while the server ran, kept over
 * restarts. Functions run inside the caller's transaction.
 */
#ifndef EBB_SETTINGS_H
#define EBB_SETTINGS_H

#include "base/arena.h"
#include "db/db.h"

#define SETTING_RECLAIM_PAUSED "reclaim.paused" /* "true" or absent */

/* Unset when there is no such row. */
MUST_CHECK enum st settings_get(struct db_tx *tx, const char *name, struct arena *a, str *out,
                                struct err *err);
/* `value` unset: the row goes. */
MUST_CHECK enum st settings_set(struct db_tx *tx, const char *name, str value, struct err *err);

#endif
