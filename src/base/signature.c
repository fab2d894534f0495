/* SPDX-License-Identifier: Apache-2.0
 *
 * libcrypto has its own heap; its want of memory is ST_NO_MEMORY here.
 */
#include "base/signature.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <pthread.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"

#define PEM_MAX        4096
#define PATH_MAX_BYTES 4096

struct signature_key {
    EVP_PKEY *pair;
    uint8_t public[SIGNATURE_PUBLIC_BYTES];
};

static void free_bio(BIO **bio)
{
    BIO_free(*bio);
}

static void free_pair(EVP_PKEY **pair)
{
    EVP_PKEY_free(*pair);
}

static void free_md(EVP_MD_CTX **md)
{
    EVP_MD_CTX_free(*md);
}

/* Takes the pair, also on failure. */
static enum st key_of(EVP_PKEY *pair, struct signature_key **out, struct err *err)
{
    size_t len = SIGNATURE_PUBLIC_BYTES;
    struct signature_key *key = mem_new(sizeof(*key));
    if (key == NULL || EVP_PKEY_get_raw_public_key(pair, key->public, &len) != 1) {
        EVP_PKEY_free(pair);
        mem_free(key);
        return err_no_memory(err);
    }
    key->pair = pair;
    *out = key;
    return ST_OK;
}

enum st signature_key_new(struct signature_key **out, struct err *err)
{
    EVP_PKEY *pair = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    if (pair == NULL)
        return err_set(err, ST_IO,
                       "no key could be made: libcrypto has no memory or no randomness");
    return key_of(pair, out, err);
}

void signature_key_free(struct signature_key *key)
{
    if (key == NULL)
        return;
    EVP_PKEY_free(key->pair);
    mem_free(key);
}

static enum st write_whole(int dir, const char *path, const char *bytes, size_t len,
                           struct err *err)
{
    AUTO(file_close_auto) int fd = -1;
    enum st st = file_open(dir, path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600, &fd, err);
    if (st == ST_OK)
        st = file_write_at(fd, bytes, len, 0, err);
    if (st == ST_OK)
        st = file_sync(fd, err);
    return st;
}

static enum st save_pem(int dir, const char *path, const char *pem, size_t len, struct err *err)
{
    char fresh[PATH_MAX_BYTES];
    char folder[PATH_MAX_BYTES] = ".";
    if ((size_t)snprintf(fresh, sizeof(fresh), "%s.new", path) >= sizeof(fresh))
        return err_set(err, ST_INVALID, "the path of the key is too long");
    const char *slash = strrchr(path, '/');
    if (slash != NULL)
        (void)str_copy((str){ path, (size_t)(slash - path) + 1 }, folder, sizeof(folder));
    enum st st = file_unlink(dir, fresh, err); /* a crash may have left it */
    if (st != ST_OK)
        return st;
    st = write_whole(dir, fresh, pem, len, err);
    if (st == ST_OK)
        st = file_rename_new(dir, fresh, path, err);
    if (st != ST_OK) {
        enum st left = file_unlink(dir, fresh, NULL); /* the next save tries again */
        (void)left;
        return st;
    }
    return file_sync_dir(dir, folder, err);
}

enum st signature_key_save(const struct signature_key *key, int dir, const char *path,
                           struct err *err)
{
    AUTO(free_bio) BIO *bio = BIO_new(BIO_s_secmem());
    char *pem = NULL;
    if (bio == NULL ||
        PEM_write_bio_PKCS8PrivateKey(bio, key->pair, NULL, NULL, 0, NULL, NULL) != 1)
        return err_no_memory(err);
    long len = BIO_get_mem_data(bio, &pem);
    enum st st = save_pem(dir, path, pem, (size_t)len, err);
    if (st != ST_OK && err != NULL)
        (void)err_wrap(err, "save the key %s", path);
    return st;
}

static enum st check_mode(int fd, const char *path, struct err *err)
{
    struct stat s;
    if (fstat(fd, &s) < 0)
        return err_sys(err, "fstat %s", path);
    if (!S_ISREG(s.st_mode))
        return err_set(err, ST_DENIED, "%s is not a file", path);
    if ((s.st_mode & 077) != 0)
        return err_set(err, ST_DENIED,
                       "%s holds a private key and has mode %04o, so that others than its owner "
                       "may use it; only 0600 or less is allowed (chmod 600)",
                       path, (unsigned)s.st_mode & 07777);
    return ST_OK;
}

/* libcrypto would ask on the terminal. */
static int no_password(char *out, int size, int writing, void *ctx)
{
    (void)out;
    (void)size;
    (void)writing;
    (void)ctx;
    return -1;
}

enum st signature_key_load(int dir, const char *path, struct signature_key **out, struct err *err)
{
    AUTO(file_close_auto) int fd = -1;
    char pem[PEM_MAX];
    size_t len = 0;
    enum st st = file_open(dir, path, O_RDONLY | O_NONBLOCK, 0, &fd, err);
    if (st == ST_OK)
        st = check_mode(fd, path, err);
    if (st == ST_OK)
        st = file_read_at(fd, pem, sizeof(pem), 0, &len, err);
    if (st != ST_OK)
        return st;
    AUTO(free_bio) BIO *bio = BIO_new_mem_buf(pem, (int)len);
    EVP_PKEY *pair = bio == NULL ? NULL : PEM_read_bio_PrivateKey(bio, NULL, no_password, NULL);
    OPENSSL_cleanse(pem, sizeof(pem));
    if (bio == NULL)
        return err_no_memory(err);
    if (pair == NULL || EVP_PKEY_get_id(pair) != EVP_PKEY_ED25519) {
        EVP_PKEY_free(pair);
        return err_set(err, ST_DAMAGED, "%s holds no private Ed25519 key in PEM without a password",
                       path);
    }
    return key_of(pair, out, err);
}

const uint8_t *signature_public(const struct signature_key *key)
{
    return key->public;
}

void signature_public_text(const uint8_t public[static SIGNATURE_PUBLIC_BYTES],
                           char out[static SIGNATURE_PUBLIC_TEXT + 1])
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < SIGNATURE_PUBLIC_BYTES; i++) {
        out[2 * i] = digits[public[i] >> 4];
        out[2 * i + 1] = digits[public[i] & 15];
    }
    out[SIGNATURE_PUBLIC_TEXT] = '\0';
}

static int digit_of(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

enum st signature_public_parse(str text, uint8_t out[static SIGNATURE_PUBLIC_BYTES],
                               struct err *err)
{
    uint8_t bytes[SIGNATURE_PUBLIC_BYTES];
    bool good = text.len == SIGNATURE_PUBLIC_TEXT;
    for (size_t i = 0; good && i < sizeof(bytes); i++) {
        int high = digit_of(text.ptr[2 * i]);
        int low = digit_of(text.ptr[2 * i + 1]);
        good = high >= 0 && low >= 0;
        bytes[i] = (uint8_t)((unsigned)high << 4 | (unsigned)low);
    }
    if (!good)
        return err_set(err, ST_INVALID, "a public key is %d lower-case hex digits",
                       SIGNATURE_PUBLIC_TEXT);
    memcpy(out, bytes, sizeof(bytes));
    return ST_OK;
}

static const unsigned char *bytes_of(str s)
{
    return (const unsigned char *)(s.ptr == NULL ? "" : s.ptr);
}

enum st signature_make(const struct signature_key *key, str bytes,
                       uint8_t out[static SIGNATURE_BYTES], struct err *err)
{
    AUTO(free_md) EVP_MD_CTX *md = EVP_MD_CTX_new();
    uint8_t made[SIGNATURE_BYTES];
    size_t len = sizeof(made);
    if (md == NULL || EVP_DigestSignInit(md, NULL, NULL, NULL, key->pair) != 1 ||
        EVP_DigestSign(md, made, &len, bytes_of(bytes), bytes.len) != 1)
        return err_no_memory(err);
    memcpy(out, made, sizeof(made));
    return ST_OK;
}

enum st signature_check(const uint8_t public[static SIGNATURE_PUBLIC_BYTES], str bytes,
                        const uint8_t signature[static SIGNATURE_BYTES], struct err *err)
{
    AUTO(free_md) EVP_MD_CTX *md = EVP_MD_CTX_new();
    AUTO(free_pair)
    EVP_PKEY *key =
        EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, public, SIGNATURE_PUBLIC_BYTES);
    if (md == NULL || key == NULL || EVP_DigestVerifyInit(md, NULL, NULL, NULL, key) != 1)
        return err_no_memory(err);
    if (EVP_DigestVerify(md, signature, SIGNATURE_BYTES, bytes_of(bytes), bytes.len) != 1)
        return err_set(err, ST_MISMATCH, "the signature is not this key's over these bytes");
    return ST_OK;
}

/* Each is got once, the digest a process and its state a thread: getting them costs more than
 * hashing a short text. */
static struct {
    EVP_MD *sha256;
    pthread_key_t of_thread; /* EVP_MD_CTX */
} hashing;

static void free_state(void *md)
{
    EVP_MD_CTX_free(md);
}

static void begin_hashing(void)
{
    hashing.sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
    if (hashing.sha256 == NULL || pthread_key_create(&hashing.of_thread, free_state) != 0)
        abort();
}

static EVP_MD_CTX *state_of_thread(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    (void)pthread_once(&once, begin_hashing);
    EVP_MD_CTX *md = pthread_getspecific(hashing.of_thread);
    if (md != NULL)
        return md;
    md = EVP_MD_CTX_new();
    if (md == NULL || pthread_setspecific(hashing.of_thread, md) != 0)
        abort();
    return md;
}

void hash256(const str *slices, size_t n, uint8_t out[static HASH256_BYTES])
{
    EVP_MD_CTX *md = state_of_thread();
    bool good = EVP_DigestInit_ex2(md, hashing.sha256, NULL) == 1;
    for (size_t i = 0; good && i < n; i++)
        good = EVP_DigestUpdate(md, bytes_of(slices[i]), slices[i].len) == 1;
    if (!good || EVP_DigestFinal_ex(md, out, NULL) != 1)
        abort();
}
