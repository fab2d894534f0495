/* SPDX-License-Identifier: Apache-2.0 */
#include "content.h"

#include <sys/mman.h>
#include <unistd.h>

static void digest_text(EVP_MD_CTX *work, char digest[static CONTENT_DIGEST_SIZE])
{
    static const char hex[] = "0123456789abcdef";
    unsigned char sum[EVP_MAX_MD_SIZE];
    if (!EVP_DigestFinal_ex(work, sum, NULL))
        die("libcrypto cannot finish a digest");
    memcpy(digest, "sha256:", 7);
    for (size_t i = 0; i < 32; i++) {
        digest[7 + 2 * i] = hex[sum[i] >> 4];
        digest[8 + 2 * i] = hex[sum[i] & 15];
    }
    digest[71] = '\0';
}

void content_init(struct content *c, uint64_t size)
{
    if (size < CONTENT_TAIL)
        die("a blob has at least %d bytes", CONTENT_TAIL);
    c->size = size;
    c->prefix = size - CONTENT_TAIL;
    c->fd = memfd_create("pattern", MFD_CLOEXEC);
    if (c->fd < 0 || ftruncate(c->fd, (off_t)CONTENT_PATTERN) != 0)
        die("no memory for the pattern");
    uint64_t *words = mmap(NULL, CONTENT_PATTERN, PROT_READ | PROT_WRITE, MAP_SHARED, c->fd, 0);
    if (words == MAP_FAILED)
        die("no memory for the pattern");
    uint64_t random = 1; /* the same in each run: only tails differ */
    for (size_t i = 0; i < CONTENT_PATTERN / sizeof(*words); i++)
        words[i] = random_next(&random);
    c->pattern = (const char *)words;
    c->state = EVP_MD_CTX_new();
    if (!c->state || !EVP_DigestInit_ex(c->state, EVP_sha256(), NULL))
        die("libcrypto has no SHA-256");
    for (uint64_t left = c->prefix; left > 0;) {
        size_t n = (size_t)MIN(left, CONTENT_PATTERN);
        EVP_DigestUpdate(c->state, c->pattern, n);
        left -= n;
    }
}

void content_next(const struct content *c, EVP_MD_CTX *work, uint64_t *random,
                  char tail[static CONTENT_TAIL], char digest[static CONTENT_DIGEST_SIZE])
{
    for (size_t i = 0; i < CONTENT_TAIL; i += 8) {
        uint64_t word = random_next(random);
        memcpy(tail + i, &word, 8);
    }
    if (!EVP_MD_CTX_copy_ex(work, c->state))
        die("libcrypto cannot copy a state");
    EVP_DigestUpdate(work, tail, CONTENT_TAIL);
    digest_text(work, digest);
}

void content_digest(EVP_MD_CTX *work, const void *bytes, size_t len,
                    char digest[static CONTENT_DIGEST_SIZE])
{
    if (!EVP_DigestInit_ex(work, EVP_sha256(), NULL))
        die("libcrypto has no SHA-256");
    EVP_DigestUpdate(work, bytes, len);
    digest_text(work, digest);
}
