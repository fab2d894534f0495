/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/file.h"
#include "base/signature.h"

static char folder[] = "test_signature_XXXXXX";
static int dir = -1;

static int set_up(void **state)
{
    (void)state;
    if (mkdtemp(folder) == NULL)
        return -1;
    dir = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return dir < 0;
}

static int tear_down(void **state)
{
    (void)state;
    (void)close(dir);
    return rmdir(folder); /* fails when a test leaves something */
}

static void gone(const char *path)
{
    assert_int_equal(file_unlink(dir, path, NULL), ST_OK);
}

static void put(const char *path, const char *text)
{
    AUTO(file_close_auto) int fd = -1;
    assert_int_equal(file_open(dir, path, O_WRONLY | O_CREAT | O_TRUNC, 0600, &fd, NULL), ST_OK);
    assert_int_equal(file_write_at(fd, text, strlen(text), 0, NULL), ST_OK);
}

/* RFC 8032, 7.1, TEST 1 and TEST 2, as `openssl pkey` writes their secret keys. */
static void vectors(void **state)
{
    (void)state;
    static const struct {
        const char *pem;
        const char *public;
        str message;
        const char *signature;
    } cases[] = {
        { "-----BEGIN PRIVATE KEY-----\n"
          "MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n"
          "-----END PRIVATE KEY-----\n",
          "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
          { "", 0 },
          "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e3970"
          "1cf9b46bd25bf5f0595bbe24655141438e7a100b" },
        { "-----BEGIN PRIVATE KEY-----\n"
          "MC4CAQAwBQYDK2VwBCIEIEzNCJso/5banbbDRuwRTg9bijGfNaumJNqM9u1PuKb7\n"
          "-----END PRIVATE KEY-----\n",
          "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
          { "\x72", 1 },
          "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613"
          "d0f11d8c387b2eaeb4302aeeb00d291612bb0c00" },
    };
    struct signature_key *key = NULL;
    char text[SIGNATURE_PUBLIC_TEXT + 1];
    uint8_t signature[SIGNATURE_BYTES];
    uint8_t parsed[SIGNATURE_PUBLIC_BYTES];
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        put("key", cases[i].pem);
        assert_int_equal(signature_key_load(dir, "key", &key, NULL), ST_OK);
        signature_public_text(signature_public(key), text);
        assert_string_equal(text, cases[i].public);
        assert_int_equal(signature_public_parse(str_of(text), parsed, NULL), ST_OK);
        assert_memory_equal(parsed, signature_public(key), sizeof(parsed));
        assert_int_equal(signature_make(key, cases[i].message, signature, NULL), ST_OK);
        for (size_t half = 0; half < 2; half++) { /* as hex, 32 bytes at a time */
            signature_public_text(signature + 32 * half, text);
            assert_memory_equal(text, cases[i].signature + 64 * half, 64);
        }
        assert_int_equal(signature_check(parsed, cases[i].message, signature, NULL), ST_OK);
        signature_key_free(key);
        gone("key");
    }
}

static void only_the_same_bytes(void **state)
{
    (void)state;
    struct signature_key *key = NULL;
    struct signature_key *other = NULL;
    struct err err;
    uint8_t signature[SIGNATURE_BYTES];
    assert_int_equal(signature_key_new(&key, NULL), ST_OK);
    assert_int_equal(signature_key_new(&other, NULL), ST_OK);
    assert_memory_not_equal(signature_public(key), signature_public(other), SIGNATURE_PUBLIC_BYTES);
    assert_int_equal(signature_make(key, STR("receipt 1"), signature, NULL), ST_OK);
    const uint8_t *public = signature_public(key);
    assert_int_equal(signature_check(public, STR("receipt 1"), signature, &err), ST_OK);
    assert_int_equal(signature_check(public, STR("receipt 2"), signature, &err), ST_MISMATCH);
    assert_int_equal(signature_check(public, STR(""), signature, &err), ST_MISMATCH);
    assert_int_equal(signature_check(signature_public(other), STR("receipt 1"), signature, &err),
                     ST_MISMATCH);
    for (size_t i = 0; i < sizeof(signature); i++) {
        signature[i] ^= 1;
        assert_int_equal(signature_check(public, STR("receipt 1"), signature, &err), ST_MISMATCH);
        signature[i] ^= 1;
    }
    signature_key_free(key);
    signature_key_free(other);
    signature_key_free(NULL);
}

static void lies_in_a_file(void **state)
{
    (void)state;
    struct signature_key *key = NULL;
    struct signature_key *again = NULL;
    struct err err;
    struct stat s;
    mode_t old_mask = umask(0);
    assert_int_equal(signature_key_new(&key, NULL), ST_OK);
    put("key.new", "left by a crash");
    assert_int_equal(signature_key_save(key, dir, "key", &err), ST_OK);
    (void)umask(old_mask);
    assert_int_equal(fstatat(dir, "key", &s, 0), 0);
    assert_int_equal(s.st_mode & 07777, 0600);
    assert_int_equal(fstatat(dir, "key.new", &s, 0), -1);
    assert_int_equal(signature_key_load(dir, "key", &again, &err), ST_OK);
    assert_memory_equal(signature_public(key), signature_public(again), SIGNATURE_PUBLIC_BYTES);
    signature_key_free(again);

    /* It is never replaced, and what is tried leaves nothing. */
    struct signature_key *other = NULL;
    assert_int_equal(signature_key_new(&other, NULL), ST_OK);
    assert_int_equal(signature_key_save(other, dir, "key", &err), ST_EXISTS);
    assert_int_equal(fstatat(dir, "key.new", &s, 0), -1);
    assert_int_equal(signature_key_load(dir, "key", &again, &err), ST_OK);
    assert_memory_equal(signature_public(key), signature_public(again), SIGNATURE_PUBLIC_BYTES);
    signature_key_free(again);
    signature_key_free(other);

    char path[64]; /* with a folder in the path */
    (void)snprintf(path, sizeof(path), "%s/sub-key", folder);
    assert_int_equal(signature_key_save(key, AT_FDCWD, path, &err), ST_OK);
    assert_int_equal(signature_key_load(AT_FDCWD, path, &again, &err), ST_OK);
    signature_key_free(again);
    signature_key_free(key);
    gone("sub-key");
    gone("key");
}

static void bad_files(void **state)
{
    (void)state;
    struct signature_key *key = (void *)&dir;
    struct signature_key *fresh = NULL;
    struct err err;
    assert_int_equal(signature_key_load(dir, "absent", &key, &err), ST_NOT_FOUND);
    assert_int_equal(signature_key_new(&fresh, NULL), ST_OK);
    assert_int_equal(signature_key_save(fresh, dir, "key", NULL), ST_OK);
    static const mode_t open_modes[] = { 0640, 0604, 0660, 0601, 0620 };
    for (size_t i = 0; i < ARRAY_LEN(open_modes); i++) {
        assert_int_equal(fchmodat(dir, "key", open_modes[i], 0), 0);
        assert_int_equal(signature_key_load(dir, "key", &key, &err), ST_DENIED);
        assert_non_null(strstr(err.text, "chmod 600"));
    }
    gone("key");
    signature_key_free(fresh);
    static const char *const texts[] = {
        "",
        "nonsense",
        "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
        /* X25519: a key, but not for signatures */
        "-----BEGIN PRIVATE KEY-----\n"
        "MC4CAQAwBQYDK2VuBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n"
        "-----END PRIVATE KEY-----\n",
        /* with a password: refused, never asked for */
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\n"
        "MIGbMFcGCSqGSIb3DQEFDTBKMCkGCSqGSIb3DQEFDDAcBAgGyrE2T9pYtQICCAAw\n"
        "-----END ENCRYPTED PRIVATE KEY-----\n",
    };
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        put("key", texts[i]);
        assert_int_equal(signature_key_load(dir, "key", &key, &err), ST_DAMAGED);
    }
    gone("key");
    assert_int_equal(signature_key_load(dir, ".", &key, &err), ST_DENIED);
    assert_ptr_equal(key, &dir);
    uint8_t public[SIGNATURE_PUBLIC_BYTES];
    char text[] = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511A";
    assert_int_equal(signature_public_parse(str_of(text), public, &err), ST_INVALID);
    assert_int_equal(signature_public_parse((str){ text, 63 }, public, &err), ST_INVALID);
    assert_int_equal(signature_public_parse(STR_NONE, public, &err), ST_INVALID);
}

static void *sign_often(void *shared)
{
    uintptr_t wrong = 0;
    uint8_t signature[SIGNATURE_BYTES];
    for (size_t i = 0; i < 200; i++) {
        str bytes = { (const char *)&i, sizeof(i) };
        wrong += signature_make(shared, bytes, signature, NULL) != ST_OK;
        wrong += signature_check(signature_public(shared), bytes, signature, NULL) != ST_OK;
    }
    return (void *)wrong;
}

static void threads_share(void **state)
{
    (void)state;
    struct signature_key *key = NULL;
    pthread_t threads[4];
    assert_int_equal(signature_key_new(&key, NULL), ST_OK);
    for (size_t i = 0; i < ARRAY_LEN(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, sign_often, key), 0);
    for (size_t i = 0; i < ARRAY_LEN(threads); i++) {
        void *wrong = NULL;
        assert_int_equal(pthread_join(threads[i], &wrong), 0);
        assert_null(wrong);
    }
    signature_key_free(key);
}

/* FIPS 180-2, appendix B, in any cut. */
static void hashes(void **state)
{
    (void)state;
    static const uint8_t abc[] = { 0xba, 0x78, 0x16, 0xbf, 0x8f, 0x01, 0xcf, 0xea, 0x41, 0x41, 0x40,
                                   0xde, 0x5d, 0xae, 0x22, 0x23, 0xb0, 0x03, 0x61, 0xa3, 0x96, 0x17,
                                   0x7a, 0x9c, 0xb4, 0x10, 0xff, 0x61, 0xf2, 0x00, 0x15, 0xad };
    static const uint8_t empty[] = { 0xe3, 0xb0, 0xc4, 0x42 };
    uint8_t out[HASH256_BYTES];
    hash256((const str[]){ STR("abc") }, 1, out);
    assert_memory_equal(out, abc, sizeof(abc));
    hash256((const str[]){ STR("a"), STR_NONE, STR("bc"), STR("") }, 4, out);
    assert_memory_equal(out, abc, sizeof(abc));
    hash256(NULL, 0, out);
    assert_memory_equal(out, empty, sizeof(empty));
}

#ifdef EBB_FAULTS
/* Whatever fails while a key is saved: no key file, or the whole one. */
static void saves_whole_or_not(void **state)
{
    (void)state;
    struct signature_key *key = NULL;
    assert_int_equal(signature_key_new(&key, NULL), ST_OK);
    bool done = false;
    size_t failures = 0;
    for (uint64_t n = 1; !done; n++) {
        fault_arm(FAULT_IO, n, true);
        enum st st = signature_key_save(key, dir, "key", NULL);
        done = !fault_fired();
        fault_disarm();
        assert_int_equal(st, done ? ST_OK : ST_IO);
        failures += st != ST_OK;
        struct signature_key *again = NULL;
        enum st loaded = signature_key_load(dir, "key", &again, NULL);
        assert_true(loaded == ST_OK || (!done && loaded == ST_NOT_FOUND));
        signature_key_free(again);
        gone("key");
    }
    assert_int_equal(failures, 7); /* unlink, open, write, sync, rename; open, sync of the folder */
    gone("key.new");
    signature_key_free(key);
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(vectors),
        cmocka_unit_test(only_the_same_bytes),
        cmocka_unit_test(lies_in_a_file),
        cmocka_unit_test(bad_files),
        cmocka_unit_test(threads_share),
        cmocka_unit_test(hashes),
#ifdef EBB_FAULTS
        cmocka_unit_test(saves_whole_or_not),
#endif
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
