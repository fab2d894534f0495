/* SPDX-License-Identifier: Apache-2.0
 *
 * signature - Ed25519 (RFC 8032), and SHA-256 over a few slices.
 *
 * A private key lies in a file of its own, PKCS #8 as PEM, mode 0600, as `openssl pkey` reads it.
 *
 *  1. A key file appears whole and on the disk, or not at all; one that is there is never replaced.
 *     A crash while it is written leaves at most PATH.new, which the next save removes.
 *  2. A key file that others may read is refused.
 *  3. Ed25519 is deterministic: the same key and bytes give the same signature.
 *
 * Threads: a key may be used by any number of threads once it was made or loaded.
 */
#ifndef EBB_SIGNATURE_H
#define EBB_SIGNATURE_H

#include "base/err.h"
#include "base/str.h"

#define SIGNATURE_BYTES        64
#define SIGNATURE_PUBLIC_BYTES 32
#define SIGNATURE_PUBLIC_TEXT  64 /* lower-case hex digits */

struct signature_key;

MUST_CHECK enum st signature_key_new(struct signature_key **out, struct err *err); /* a fresh one */
/* Paths as in file.h. ST_EXISTS when the file is there. */
MUST_CHECK enum st signature_key_save(const struct signature_key *key, int dir, const char *path,
                                      struct err *err);
/* ST_NOT_FOUND; ST_DENIED when others may read it; ST_DAMAGED when it holds no Ed25519 key. */
MUST_CHECK enum st signature_key_load(int dir, const char *path, struct signature_key **out,
                                      struct err *err);
void signature_key_free(struct signature_key *key); /* NULL is fine */

/* Borrowed, as long as the key lives. */
const uint8_t *signature_public(const struct signature_key *key);
void signature_public_text(const uint8_t public[static SIGNATURE_PUBLIC_BYTES],
                           char out[static SIGNATURE_PUBLIC_TEXT + 1]);
MUST_CHECK enum st signature_public_parse(str text, uint8_t out[static SIGNATURE_PUBLIC_BYTES],
                                          struct err *err);

MUST_CHECK enum st signature_make(const struct signature_key *key, str bytes,
                                  uint8_t out[static SIGNATURE_BYTES], struct err *err);
/* ST_MISMATCH when the signature is not the key's over these bytes. */
MUST_CHECK enum st signature_check(const uint8_t public[static SIGNATURE_PUBLIC_BYTES], str bytes,
                                   const uint8_t signature[static SIGNATURE_BYTES],
                                   struct err *err);

/* SHA-256 of the slices, one behind the other; nothing marks where one ends. Aborts without memory,
 * as oci/digest.h does and for the same reason. */
#define HASH256_BYTES 32
void hash256(const str *slices, size_t n, uint8_t out[static HASH256_BYTES]);

#endif
