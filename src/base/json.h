/* SPDX-License-Identifier: Apache-2.0
 *
 * json - writes JSON text. (Reading is jansson's, in the rooms that parse.)
 */
#ifndef EBB_JSON_H
#define EBB_JSON_H

#include "base/buf.h"

/* Adds `s` as a JSON string with its quotes. Bytes that are not UTF-8 become U+FFFD. */
void json_add_string(struct buf *b, str s);

#endif
