/* SPDX-License-Identifier: Apache-2.0
 *
 * oci/ - what the OCI specifications define, as pure functions: digests, names, manifests, media
 * types, ranges. No I/O, no clock, no state but a running hash.
 *
 * digest - "algorithm:encoded" (image-spec, descriptor.md), for sha256 and sha512.
 *
 *  1. Only lower-case hex of the exact length is a digest; nothing else is ever stored or compared.
 *  2. The algorithm is part of the digest: two digests are equal only when both parts are.
 */
#ifndef EBB_DIGEST_H
#define EBB_DIGEST_H

#include "base/err.h"
#include "base/str.h"

enum digest_algorithm { DIGEST_SHA256, DIGEST_SHA512, DIGEST_ALGORITHMS };

#define DIGEST_TEXT_MAX (sizeof("sha512:") - 1 + 128)

struct digest {
    enum digest_algorithm algorithm;
    unsigned char bytes[64]; /* the first digest_bytes(algorithm); the rest is zero */
};

size_t digest_bytes(enum digest_algorithm a);       /* 32, 64 */
str digest_algorithm_name(enum digest_algorithm a); /* "sha256" */
/* ST_UNSUPPORTED for a well-formed name that is not one of ours, ST_INVALID otherwise. */
MUST_CHECK enum st digest_algorithm_parse(str s, enum digest_algorithm *out, struct err *err);

/* ST_INVALID outside the grammar, ST_UNSUPPORTED for another algorithm. */
MUST_CHECK enum st digest_parse(str s, struct digest *out, struct err *err);
/* NUL-terminated text; returns a view of `out`. */
str digest_text(const struct digest *d, char out[static DIGEST_TEXT_MAX + 1]);
bool digest_eq(const struct digest *a, const struct digest *b);

/* How rows hold a digest: one byte of algorithm, then its bytes (33 or 65 in all). */
#define DIGEST_KEY_MAX 65
str digest_key(const struct digest *d, char out[static DIGEST_KEY_MAX]);
/* ST_CORRUPT when the bytes are not such a key. */
MUST_CHECK enum st digest_of_key(str key, struct digest *out, struct err *err);

/* A running hash. One thread at a time. */
struct digest_hash;
MUST_CHECK enum st digest_hash_new(enum digest_algorithm a, struct digest_hash **out,
                                   struct err *err);
void digest_hash_add(struct digest_hash *h, const void *bytes, size_t len);
uint64_t digest_hash_size(const struct digest_hash *h); /* bytes added so far */
enum digest_algorithm digest_hash_algorithm(const struct digest_hash *h);
/* The digest of what was added so far; the hash can go on. */
void digest_hash_get(const struct digest_hash *h, struct digest *out);
void digest_hash_free(struct digest_hash *h); /* NULL is fine */

/* Of bytes in memory. */
void digest_of(enum digest_algorithm a, str bytes, struct digest *out);

#endif
