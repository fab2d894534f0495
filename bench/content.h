/* SPDX-License-Identifier: Apache-2.0
 *
 * content - bytes to push: random, unique by their last 64 bytes, with digests that cost one block.
 *
 * All blobs of one size share a prefix. Its hash state is kept, so the digest of a blob is that
 * state and its tail. The prefix repeats a pattern of 16 MiB; the pattern is a file in memory, so a
 * body can be sent with sendfile() and is not copied on the sending side.
 */
#ifndef BENCH_CONTENT_H
#define BENCH_CONTENT_H

#include "load.h"

#include <openssl/evp.h>

#define CONTENT_TAIL        64
#define CONTENT_PATTERN     ((size_t)(16 * MIB))
#define CONTENT_DIGEST_SIZE 72 /* "sha256:" and 64 hex digits, NUL */

struct content {
    uint64_t size;       /* of a blob, at least CONTENT_TAIL */
    uint64_t prefix;     /* size - CONTENT_TAIL */
    const char *pattern; /* mapped, CONTENT_PATTERN bytes */
    int fd;              /* the same, for sendfile() */
    EVP_MD_CTX *state;   /* after the prefix */
};

/* Makes the pattern and hashes the prefix once. Ends the process on failure. */
void content_init(struct content *c, uint64_t size);

/* A new tail from a random state, and the digest of the blob that ends with it. `work` is a hash
 * context of the calling thread. */
void content_next(const struct content *c, EVP_MD_CTX *work, uint64_t *random,
                  char tail[static CONTENT_TAIL], char digest[static CONTENT_DIGEST_SIZE]);

void content_digest(EVP_MD_CTX *work, const void *bytes, size_t len,
                    char digest[static CONTENT_DIGEST_SIZE]);

#endif
