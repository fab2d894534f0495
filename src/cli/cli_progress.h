/* SPDX-License-Identifier: Apache-2.0
 *
 * cli_progress - long work at the registry, on standard error: a bar that is drawn again on a
 * terminal, a line now and then elsewhere.
 */
#ifndef EBB_CLI_PROGRESS_H
#define EBB_CLI_PROGRESS_H

#include "base/base.h"
#include "cli/cli_ask.h"

struct progress {
    const char *what; /* "deleting" */
    bool terminal;
    bool drawn;
    int64_t started_ms;
    int64_t shown_ms;
};
void progress_begin(struct progress *p, const char *what);
void progress_show(struct progress *p, uint64_t done, uint64_t total, const char *detail);
void progress_end(struct progress *p); /* takes the bar away */

/* From progress_watch() on, SIGINT and SIGTERM are noted once; the second one ends the process. */
void progress_watch(void);
bool progress_interrupted(void);
void progress_pause(int64_t *ms); /* sleeps; longer each time, up to half a second */

/* Waits until a receipt is sealed. *receipt is replaced by how it stands at the end. ST_STOPPING
 * when a signal came: the work goes on at the registry, and the message says how to follow it. */
MUST_CHECK enum st progress_receipt(const struct ask_server *s, const char *what, json_t **receipt,
                                    struct err *err);

#endif
