/* SPDX-License-Identifier: Apache-2.0
 *
 * secret - random bytes and the texts made of them: "ebb_" and 40 base32 characters (200 bits) of
 * a token, which are stored as their SHA-256 only, and passwords that a person copies once.
 *
 * Pure but for the kernel's random bytes; without them the process aborts.
 */
#ifndef EBB_SECRET_H
#define EBB_SECRET_H

#include "base/signature.h"
#include "base/str.h"

#define SECRET_TOKEN_PREFIX "ebb_"
#define SECRET_TOKEN_LEN    ((size_t)44)
#define SECRET_PASSWORD_LEN ((size_t)24)
#define SECRET_KEYED_BYTES  64 /* of a key of secret_keyed(): SHA-256's block */

void secret_random(void *bytes, size_t len);
void secret_token(char out[static SECRET_TOKEN_LEN + 1]);
/* Letters and digits that look like no other. */
void secret_password(char out[static SECRET_PASSWORD_LEN + 1]);
/* By its prefix alone: what is meant as a token is not tried as a password. */
bool secret_is_token(str text);
void secret_hash(str text, uint8_t out[static HASH256_BYTES]);
/* HMAC-SHA-256 (RFC 2104) of up to 6 slices, each with its length in front. */
void secret_keyed(const uint8_t key[static SECRET_KEYED_BYTES], const str *slices, size_t n,
                  uint8_t out[static HASH256_BYTES]);

#endif
