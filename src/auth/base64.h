/* SPDX-License-Identifier: Apache-2.0
 *
 * base64 - reads base64 and base64url (RFC 4648), with or without padding. Pure; fuzzed.
 */
#ifndef EBB_BASE64_H
#define EBB_BASE64_H

#include "base/str.h"

/* `out` has room for 3 bytes of each 4 characters begun. False for what is no base64, bits that are
 * left over and not zero included; then `out` holds anything. */
bool base64_decode(str text, char *out, size_t *len);

#endif
