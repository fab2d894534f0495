/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/fault.h"
#include "oci/digest.h"

#define HEX64 "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define HEX128                                                                                     \
    "cf83e1357eefb8bdf1542850d66d8007d620e4050b5715dc83f4a921d36ce9ce"                             \
    "47d0d13c5d85f2b0ff8318d2877eec2f63b931bd47417a81a538327af927da3e"

static void grammar(void **state)
{
    (void)state;
    const struct {
        str text;
        enum st st;
    } cases[] = {
        { STR("sha256:" HEX64), ST_OK },
        { STR("sha512:" HEX128), ST_OK },
        { STR(""), ST_INVALID },
        { STR(":"), ST_INVALID },
        { STR("sha256"), ST_INVALID },
        { STR("sha256:"), ST_INVALID },
        { STR("sha256:totallywrong"), ST_INVALID },
        { STR(":" HEX64), ST_INVALID },
        { STR("sha256:" HEX64 "0"), ST_INVALID },
        { STR("sha256:" HEX128), ST_INVALID },
        { STR("sha512:" HEX64), ST_INVALID },
        { STR("sha256:E3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
          ST_INVALID },
        { STR("sha256:g3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
          ST_INVALID },
        { STR("sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b85="),
          ST_INVALID },
        { STR("sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b85\0"),
          ST_INVALID },
        { STR("sha256:" HEX64 "\n"), ST_INVALID },
        { STR(" sha256:" HEX64), ST_INVALID },
        { STR("sha256::" HEX64), ST_INVALID },
        { STR("SHA256:" HEX64), ST_INVALID },
        { STR("Sha256:" HEX64), ST_INVALID },
        { STR("sha256/../x:" HEX64), ST_INVALID },
        { STR("sha256:../../../../etc/passwd"), ST_INVALID },
        { STR("+sha:abc"), ST_INVALID },
        { STR("sha+:abc"), ST_INVALID },
        { STR("sha++x:abc"), ST_INVALID },
        { STR("sha384:abc"), ST_UNSUPPORTED },
        { STR("md5:d41d8cd98f00b204e9800998ecf8427e"), ST_UNSUPPORTED },
        { STR("blake3:" HEX64), ST_UNSUPPORTED },
        { STR("multihash+base58:QmRZxt2b1FVZPNqd8hsiykDL3TdBDeTSPX9Kv46HmX4Gx8"), ST_UNSUPPORTED },
        { STR("sha256+b64u:LCa0a2j_xo_5m0U8HTBBNBNCLXBkg7-g-YpeiGJm564"), ST_UNSUPPORTED },
        { STR("a.b_c-d+e:="), ST_UNSUPPORTED },
        { STR("md5:a/b"), ST_INVALID },
        { STR("sha25\xc3\xa9:" HEX64), ST_INVALID },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct digest d;
        struct err err = { .st = ST_OK };
        enum st st = digest_parse(cases[i].text, &d, &err);
        if (st != cases[i].st)
            fail_msg("case %zu (%.*s): %s", i, STR_FMT(cases[i].text), st_text(st));
        assert_int_equal(err.st, st);
        if (st != ST_OK) {
            assert_true(err.text[0] != '\0');
            continue;
        }
        char text[DIGEST_TEXT_MAX + 1];
        assert_true(str_eq(digest_text(&d, text), cases[i].text));
        assert_int_equal(strlen(text), cases[i].text.len);
    }
    struct digest untouched = { .algorithm = DIGEST_SHA512, .bytes = { 7 } };
    assert_int_equal(digest_parse(STR_NONE, &untouched, NULL), ST_INVALID);
    assert_int_equal(digest_parse(STR("sha256:" HEX64 "0"), &untouched, NULL), ST_INVALID);
    assert_int_equal(untouched.algorithm, DIGEST_SHA512);
    assert_int_equal(untouched.bytes[0], 7);
}

static void algorithms(void **state)
{
    (void)state;
    enum digest_algorithm a = DIGEST_SHA256;
    assert_int_equal(digest_algorithm_parse(STR("sha512"), &a, NULL), ST_OK);
    assert_int_equal(a, DIGEST_SHA512);
    assert_int_equal(digest_algorithm_parse(STR("sha256"), &a, NULL), ST_OK);
    assert_int_equal(a, DIGEST_SHA256);
    assert_int_equal(digest_algorithm_parse(STR("sha"), &a, NULL), ST_UNSUPPORTED);
    assert_int_equal(digest_algorithm_parse(STR("sha2566"), &a, NULL), ST_UNSUPPORTED);
    assert_int_equal(digest_algorithm_parse(STR("SHA256"), &a, NULL), ST_INVALID);
    assert_int_equal(digest_algorithm_parse(STR(""), &a, NULL), ST_INVALID);
    assert_int_equal(digest_algorithm_parse(STR_NONE, &a, NULL), ST_INVALID);
}

static void equality_takes_the_algorithm(void **state)
{
    (void)state;
    struct digest a = { .algorithm = DIGEST_SHA256 };
    struct digest b = { .algorithm = DIGEST_SHA512 };
    assert_false(digest_eq(&a, &b));
    b.algorithm = DIGEST_SHA256;
    assert_true(digest_eq(&a, &b));
    b.bytes[31] = 1;
    assert_false(digest_eq(&a, &b));
}

static void keys(void **state)
{
    (void)state;
    for (int a = 0; a < DIGEST_ALGORITHMS; a++) {
        struct digest d, back;
        char key[DIGEST_KEY_MAX];
        digest_of((enum digest_algorithm)a, STR("abc"), &d);
        str k = digest_key(&d, key);
        assert_int_equal(k.len, digest_bytes(d.algorithm) + 1);
        assert_int_equal(k.ptr[0], a + 1); /* what rows hold must never change */
        memset(&back, 0xff, sizeof(back));
        assert_int_equal(digest_of_key(k, &back, NULL), ST_OK);
        assert_true(digest_eq(&d, &back));
        assert_int_equal(digest_of_key(str_slice(k, 0, k.len - 1), &back, NULL), ST_CORRUPT);
        assert_int_equal(digest_of_key(str_slice(k, 1, k.len), &back, NULL), ST_CORRUPT);
        key[0] = a == 0 ? 2 : 1;
        assert_int_equal(digest_of_key(k, &back, NULL), ST_CORRUPT);
        key[0] = 0;
        assert_int_equal(digest_of_key(k, &back, NULL), ST_CORRUPT);
    }
    struct digest d;
    assert_int_equal(digest_of_key(STR_NONE, &d, NULL), ST_CORRUPT);
}

static void assert_text(const struct digest *d, const char *want)
{
    char text[DIGEST_TEXT_MAX + 1];
    (void)digest_text(d, text);
    assert_string_equal(text, want);
}

/* FIPS 180-2's samples. */
static void known_hashes(void **state)
{
    (void)state;
    struct digest d;
    digest_of(DIGEST_SHA256, STR_NONE, &d);
    assert_text(&d, "sha256:" HEX64);
    digest_of(DIGEST_SHA512, STR(""), &d);
    assert_text(&d, "sha512:" HEX128);
    digest_of(DIGEST_SHA256, STR("abc"), &d);
    assert_text(&d, "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    digest_of(DIGEST_SHA512, STR("abc"), &d);
    assert_text(&d, "sha512:ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
                    "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f");
}

static void running_hash_goes_on_after_get(void **state)
{
    (void)state;
    char bytes[1000];
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (char)(i * 7);
    for (int a = 0; a < DIGEST_ALGORITHMS; a++) {
        struct digest_hash *h = NULL;
        assert_int_equal(digest_hash_new((enum digest_algorithm)a, &h, NULL), ST_OK);
        assert_int_equal(digest_hash_algorithm(h), a);
        for (size_t done = 0; done <= sizeof(bytes); done += 100) {
            struct digest got, again, want;
            memset(&got, 0xff, sizeof(got));
            digest_hash_get(h, &got);
            digest_hash_get(h, &again);
            digest_of((enum digest_algorithm)a, (str){ bytes, done }, &want);
            assert_true(digest_eq(&got, &want));
            assert_true(digest_eq(&again, &want));
            assert_int_equal(digest_hash_size(h), done);
            if (done < sizeof(bytes))
                digest_hash_add(h, bytes + done, 100);
        }
        digest_hash_add(h, NULL, 0);
        assert_int_equal(digest_hash_size(h), sizeof(bytes));
        digest_hash_free(h);
    }
    digest_hash_free(NULL);
}

static void no_memory(void **state)
{
    (void)state;
#ifdef EBB_FAULTS
    struct digest_hash *h = NULL;
    fault_arm(FAULT_ALLOC, 1, false);
    assert_int_equal(digest_hash_new(DIGEST_SHA256, &h, NULL), ST_NO_MEMORY);
    assert_null(h);
    fault_disarm();
#endif
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(grammar),
        cmocka_unit_test(algorithms),
        cmocka_unit_test(equality_takes_the_algorithm),
        cmocka_unit_test(keys),
        cmocka_unit_test(known_hashes),
        cmocka_unit_test(running_hash_goes_on_after_get),
        cmocka_unit_test(no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
