/* SPDX-License-Identifier: Apache-2.0
 *
 * OpenSSL's context for a hash lives on its heap and some of its calls can only fail for want of
 * memory. Functions here that cannot report abort then: a digest that is wrong would be stored, a
 * crash loses nothing that was acknowledged.
 */
#include "oci/digest.h"

#include <openssl/evp.h>
#include <pthread.h>

#include "base/mem.h"

/* In the order of enum digest_algorithm. */
static const struct {
    const char *name;
    const char *openssl_name;
    size_t bytes;
} algorithms[DIGEST_ALGORITHMS] = {
    { "sha256", "SHA2-256", 32 },
    { "sha512", "SHA2-512", 64 },
};

/* Fetched once, kept as long as the process: a fetch takes locks and costs more than a small hash.
 */
static EVP_MD *fetched[DIGEST_ALGORITHMS];
static pthread_once_t fetch_once = PTHREAD_ONCE_INIT;

static void fetch_all(void)
{
    for (size_t i = 0; i < DIGEST_ALGORITHMS; i++)
        fetched[i] = EVP_MD_fetch(NULL, algorithms[i].openssl_name, NULL);
}

static const EVP_MD *md_of(enum digest_algorithm a)
{
    assert(a < DIGEST_ALGORITHMS);
    (void)pthread_once(&fetch_once, fetch_all);
    return fetched[a];
}

static void must(int openssl_result)
{
    if (openssl_result != 1)
        abort();
}

size_t digest_bytes(enum digest_algorithm a)
{
    assert(a < DIGEST_ALGORITHMS);
    return algorithms[a].bytes;
}

str digest_algorithm_name(enum digest_algorithm a)
{
    assert(a < DIGEST_ALGORITHMS);
    return str_of(algorithms[a].name);
}

static bool is_lower_or_digit(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

/* `[a-z0-9]+([+._-][a-z0-9]+)*` */
static bool is_algorithm(str s)
{
    bool after_word = false;
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];
        if (is_lower_or_digit(c))
            after_word = true;
        else if (after_word && (c == '+' || c == '.' || c == '_' || c == '-'))
            after_word = false;
        else
            return false;
    }
    return after_word;
}

/* `[a-zA-Z0-9=_-]+` */
static bool is_encoded(str s)
{
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];
        if (!is_lower_or_digit(c) && !(c >= 'A' && c <= 'Z') && c != '=' && c != '_' && c != '-')
            return false;
    }
    return s.len > 0;
}

enum st digest_algorithm_parse(str s, enum digest_algorithm *out, struct err *err)
{
    for (size_t i = 0; i < DIGEST_ALGORITHMS; i++)
        if (str_eq(s, str_of(algorithms[i].name))) {
            *out = (enum digest_algorithm)i;
            return ST_OK;
        }
    if (is_algorithm(s))
        return err_set(err, ST_UNSUPPORTED,
                       "digest algorithm \"%.*s\" is not supported; sha256 and sha512 are",
                       (int)MIN(s.len, (size_t)64), s.ptr);
    return err_set(err, ST_INVALID,
                   "digest algorithm: lower-case letters and digits, such as \"sha256\"");
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return -1;
}

enum st digest_parse(str s, struct digest *out, struct err *err)
{
    str name, encoded;
    if (!str_cut(s, ':', &name, &encoded) || !is_algorithm(name) || !is_encoded(encoded))
        return err_set(err, ST_INVALID,
                       "digest: \"<algorithm>:<encoded>\" is wanted, such as \"sha256:\" and 64 "
                       "hexadecimal digits");
    struct digest d = { .algorithm = DIGEST_SHA256 };
    enum st st = digest_algorithm_parse(name, &d.algorithm, err);
    if (st != ST_OK)
        return st;
    size_t bytes = digest_bytes(d.algorithm);
    bool good = encoded.len == 2 * bytes;
    for (size_t i = 0; good && i < bytes; i++) {
        int high = hex_value(encoded.ptr[2 * i]);
        int low = hex_value(encoded.ptr[2 * i + 1]);
        good = high >= 0 && low >= 0;
        d.bytes[i] = (unsigned char)(good ? high * 16 + low : 0);
    }
    if (!good)
        return err_set(err, ST_INVALID,
                       "digest: %s wants exactly %zu digits, 0-9 and lower-case a-f",
                       algorithms[d.algorithm].name, 2 * bytes);
    *out = d;
    return ST_OK;
}

str digest_text(const struct digest *d, char out[static DIGEST_TEXT_MAX + 1])
{
    static const char digits[] = "0123456789abcdef";
    str name = digest_algorithm_name(d->algorithm);
    size_t bytes = digest_bytes(d->algorithm);
    memcpy(out, name.ptr, name.len);
    char *p = out + name.len;
    *p++ = ':';
    for (size_t i = 0; i < bytes; i++) {
        *p++ = digits[d->bytes[i] >> 4];
        *p++ = digits[d->bytes[i] & 15];
    }
    *p = '\0';
    return (str){ out, (size_t)(p - out) };
}

bool digest_eq(const struct digest *a, const struct digest *b)
{
    return a->algorithm == b->algorithm && memcmp(a->bytes, b->bytes, sizeof(a->bytes)) == 0;
}

/* The bytes of algorithms in keys are stored: they never change, whatever the enum does. */
static const unsigned char key_bytes[DIGEST_ALGORITHMS] = {
    [DIGEST_SHA256] = 1,
    [DIGEST_SHA512] = 2,
};

str digest_key(const struct digest *d, char out[static DIGEST_KEY_MAX])
{
    size_t bytes = digest_bytes(d->algorithm);
    out[0] = (char)key_bytes[d->algorithm];
    memcpy(out + 1, d->bytes, bytes);
    return (str){ out, bytes + 1 };
}

enum st digest_of_key(str key, struct digest *out, struct err *err)
{
    for (size_t a = 0; a < DIGEST_ALGORITHMS; a++) {
        if (key.len != algorithms[a].bytes + 1 || (unsigned char)key.ptr[0] != key_bytes[a])
            continue;
        struct digest d = { .algorithm = (enum digest_algorithm)a };
        memcpy(d.bytes, key.ptr + 1, algorithms[a].bytes);
        *out = d;
        return ST_OK;
    }
    return err_set(err, ST_CORRUPT, "a stored digest of %zu bytes is not one", key.len);
}

struct digest_hash {
    EVP_MD_CTX *running;
    EVP_MD_CTX *scratch; /* finished copies are made here, so that `running` can go on */
    enum digest_algorithm algorithm;
    uint64_t size;
};

enum st digest_hash_new(enum digest_algorithm a, struct digest_hash **out, struct err *err)
{
    struct digest_hash *h = mem_new(sizeof(*h));
    if (h == NULL)
        return err_no_memory(err);
    h->algorithm = a;
    h->running = EVP_MD_CTX_new();
    h->scratch = EVP_MD_CTX_new();
    const EVP_MD *md = md_of(a);
    if (md == NULL || h->running == NULL || h->scratch == NULL ||
        EVP_DigestInit_ex2(h->running, md, NULL) != 1) {
        digest_hash_free(h);
        if (md == NULL)
            return err_set(err, ST_UNSUPPORTED, "libcrypto does not offer %s here",
                           algorithms[a].name);
        return err_no_memory(err);
    }
    *out = h;
    return ST_OK;
}

void digest_hash_add(struct digest_hash *h, const void *bytes, size_t len)
{
    if (len == 0)
        return;
    must(EVP_DigestUpdate(h->running, bytes, len));
    h->size += len;
}

uint64_t digest_hash_size(const struct digest_hash *h)
{
    return h->size;
}

enum digest_algorithm digest_hash_algorithm(const struct digest_hash *h)
{
    return h->algorithm;
}

void digest_hash_get(const struct digest_hash *h, struct digest *out)
{
    *out = (struct digest){ .algorithm = h->algorithm };
    must(EVP_MD_CTX_copy_ex(h->scratch, h->running));
    must(EVP_DigestFinal_ex(h->scratch, out->bytes, NULL));
}

void digest_hash_free(struct digest_hash *h)
{
    if (h == NULL)
        return;
    EVP_MD_CTX_free(h->running);
    EVP_MD_CTX_free(h->scratch);
    mem_free(h);
}

void digest_of(enum digest_algorithm a, str bytes, struct digest *out)
{
    const EVP_MD *md = md_of(a);
    *out = (struct digest){ .algorithm = a };
    must(md != NULL &&
         EVP_Digest(bytes.len == 0 ? "" : bytes.ptr, bytes.len, out->bytes, NULL, md, NULL) == 1);
}
