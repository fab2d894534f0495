/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EBB_CLI_SHOW_H
#define EBB_CLI_SHOW_H

#include "cli/cli_ask.h"

/* What the registry knows of an image (doc/api.md, /show). Release *out in every case. */
MUST_CHECK enum st show_ask(const struct ask_server *s, str reference, struct ask_answer *out,
                            struct err *err);

#endif
