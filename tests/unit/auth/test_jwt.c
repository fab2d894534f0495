/* SPDX-License-Identifier: Apache-2.0
 *
 * The token service: what it gives, what it takes back, forgeries of every kind, and its keys.
 */
#include "auth_test.h"

#include <jansson.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/param_build.h>

#include "auth/auth_int.h"
#include "auth/base64.h"

#define SCOPE  "repository:group/app:pull,push,delete registry:catalog:* repository:none:pull"
#define CLAIMS "\"iss\":\"ebb.test\",\"aud\":\"ebb.test\",\"sub\":\"admin\",\"jti\":\"x\","
#define REST   "\"use\":\"access\",\"gen\":1,\"tok\":0,\"access\":[]"

static struct credentials admin(void)
{
    return basic("admin", ADMIN_PASSWORD);
}

/* ---- forging --------------------------------------------------------------------------------- */

static str encode(struct fixture *f, str bytes)
{
    char *text = NULL;
    size_t len = 0;
    cjose_err why;
    assert_true(cjose_base64url_encode((const uint8_t *)bytes.ptr, bytes.len, &text, &len, &why));
    str out = arena_dup(&f->arena, (str){ text, len });
    cjose_get_dealloc()(text);
    return out;
}

static size_t decode(const json_t *jwk, const char *name, unsigned char *out)
{
    size_t len = 0;
    str text = str_of(json_string_value(json_object_get(jwk, name)));
    assert_true(base64_decode(text, (char *)out, &len));
    assert_int_equal(32, len);
    return len;
}

static EVP_PKEY *key_of(const cjose_jwk_t *jwk)
{
    cjose_err why;
    unsigned char point[65] = { 4 }, secret[32];
    char *text = cjose_jwk_to_json(jwk, true, &why);
    json_t *root = json_loads(text, 0, NULL);
    (void)decode(root, "x", point + 1);
    (void)decode(root, "y", point + 33);
    (void)decode(root, "d", secret);
    json_decref(root);
    cjose_get_dealloc()(text);
    BIGNUM *d = BN_bin2bn(secret, sizeof(secret), NULL);
    OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
    assert_true(OSSL_PARAM_BLD_push_utf8_string(build, "group", "P-256", 0) &&
                OSSL_PARAM_BLD_push_octet_string(build, "pub", point, sizeof(point)) &&
                OSSL_PARAM_BLD_push_BN(build, "priv", d));
    OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(build);
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
    EVP_PKEY *key = NULL;
    assert_int_equal(1, EVP_PKEY_fromdata_init(ctx));
    assert_int_equal(1, EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_KEYPAIR, params));
    EVP_PKEY_CTX_free(ctx);
    OSSL_PARAM_free(params);
    OSSL_PARAM_BLD_free(build);
    BN_free(d);
    return key;
}

/* ES256 over any header and claims: what cjose would not make itself. */
static str sign(struct fixture *f, const cjose_jwk_t *jwk, const char *header, const char *claims)
{
    str body = arena_printf(&f->arena, "%.*s.%.*s", STR_FMT(encode(f, str_of(header))),
                            STR_FMT(encode(f, str_of(claims))));
    EVP_PKEY *key = key_of(jwk);
    EVP_MD_CTX *md = EVP_MD_CTX_new();
    unsigned char der[128], raw[64];
    size_t len = sizeof(der);
    assert_int_equal(1, EVP_DigestSignInit(md, NULL, EVP_sha256(), NULL, key));
    assert_int_equal(1, EVP_DigestSign(md, der, &len, (const unsigned char *)body.ptr, body.len));
    const unsigned char *at = der;
    ECDSA_SIG *sig = d2i_ECDSA_SIG(NULL, &at, (long)len);
    assert_non_null(sig);
    assert_int_equal(32, BN_bn2binpad(ECDSA_SIG_get0_r(sig), raw, 32));
    assert_int_equal(32, BN_bn2binpad(ECDSA_SIG_get0_s(sig), raw + 32, 32));
    ECDSA_SIG_free(sig);
    EVP_MD_CTX_free(md);
    EVP_PKEY_free(key);
    return arena_printf(&f->arena, "%.*s.%.*s", STR_FMT(body),
                        STR_FMT(encode(f, (str){ (const char *)raw, sizeof(raw) })));
}

struct forgery {
    const char *header; /* %s: the key's id */
    const char *claims; /* %lld, three times: exp, nbf, iat; NULL: good ones */
    enum st want;
};

static const char good_claims[] = "{" CLAIMS "\"exp\":%lld,\"nbf\":%lld,\"iat\":%lld," REST "}";
static const char good_header[] = "{\"alg\":\"ES256\",\"kid\":\"%s\"}";

static str forge(struct fixture *f, const cjose_jwk_t *jwk, const char *kid,
                 const struct forgery *how, int64_t shift)
{
    long long now = f->now / 1000 + shift;
    char header[1024], claims[2048];
    (void)snprintf(header, sizeof(header), how->header == NULL ? good_header : how->header, kid);
    (void)snprintf(claims, sizeof(claims), how->claims == NULL ? good_claims : how->claims,
                   now + 600, now, now);
    return sign(f, jwk, header, claims);
}

static const char *own_kid(struct fixture *f, char out[KEY_ID_MAX + 1])
{
    assert_true(str_copy(f->a->keys->keys[0].kid, out, KEY_ID_MAX + 1));
    return out;
}

static void expect_forgery(struct fixture *f, str text, enum st want, const char *what)
{
    struct identity id = { 0 };
    enum st st = identify(f, bearer(text), &id);
    if (st != want)
        fail_msg("%s: %s (%s)", what, st_text(st), st == ST_OK ? "" : f->err.text);
    identity_release(&id);
}

#define WITH(more) "{\"alg\":\"ES256\",\"kid\":\"%s\"," more "}"
#define TIMES      "\"exp\":%lld,\"nbf\":%lld,\"iat\":%lld,"

static void forgeries_are_refused(void **state)
{
    struct fixture *f = *state;
    static const struct forgery forgeries[] = {
        { good_header, good_claims, ST_OK },
        { WITH("\"typ\":\"JWT\""), NULL, ST_OK },
        { "{\"kid\":\"%s\",\"alg\":\"ES256\"}", NULL, ST_OK },
        /* headers */
        { "{\"alg\":\"none\",\"kid\":\"%s\"}", NULL, ST_DENIED },
        { "{\"alg\":\"None\",\"kid\":\"%s\"}", NULL, ST_DENIED },
        { "{\"alg\":\"HS256\",\"kid\":\"%s\"}", NULL, ST_DENIED },
        { "{\"alg\":\"RS256\",\"kid\":\"%s\"}", NULL, ST_DENIED },
        { "{\"alg\":\"ES384\",\"kid\":\"%s\"}", NULL, ST_DENIED },
        { "{\"alg\":\"es256\",\"kid\":\"%s\"}", NULL, ST_DENIED },
        { "{\"alg\":\"ES256\\u0000\",\"kid\":\"%s\"}", NULL, ST_DENIED },
        { "{\"alg\":[\"ES256\"],\"kid\":\"%s\"}", NULL, ST_DENIED },
        { "{\"alg\":\"ES256\"}", NULL, ST_DENIED },
        { "{\"kid\":\"%s\"}", NULL, ST_DENIED },
        { "{\"alg\":\"ES256\",\"kid\":\"../../%s\"}", NULL, ST_DENIED },
        { "{\"alg\":\"ES256\",\"kid\":\"\"}", NULL, ST_DENIED },
        { "{\"alg\":\"ES256\",\"kid\":7}", NULL, ST_DENIED },
        { "{\"alg\":\"ES256\",\"kid\":\"0123456789abcdef0123456789abcdef\"}", NULL, ST_DENIED },
        { "{\"alg\":\"none\",\"alg\":\"ES256\",\"kid\":\"%s\"}", NULL, ST_DENIED },
        { "{\"alg\":\"ES256\",\"alg\":\"none\",\"kid\":\"%s\"}", NULL, ST_DENIED },
        { WITH("\"crit\":[\"exp\"]"), NULL, ST_DENIED },
        { WITH("\"b64\":false"), NULL, ST_DENIED },
        { WITH("\"jku\":\"https://evil.example/keys\""), NULL, ST_DENIED },
        { WITH("\"x5u\":\"https://evil.example/keys\""), NULL, ST_DENIED },
        { WITH("\"x5c\":[\"MIIB\"]"), NULL, ST_DENIED },
        { WITH("\"jwk\":{\"kty\":\"EC\"}"), NULL, ST_DENIED },
        { WITH("\"typ\":\"JOSE\""), NULL, ST_DENIED },
        { WITH("\"typ\":\"JWT\",\"cty\":\"JWT\""), NULL, ST_DENIED },
        { "[\"ES256\"]", NULL, ST_DENIED },
        { "\"ES256\"", NULL, ST_DENIED },
        { "{", NULL, ST_DENIED },
        /* claims */
        { NULL,
          "{\"iss\":\"other\",\"aud\":\"ebb.test\",\"sub\":\"admin\",\"jti\":\"x\"," TIMES REST "}",
          ST_DENIED },
        { NULL,
          "{\"iss\":\"ebb.test\",\"aud\":\"other\",\"sub\":\"admin\",\"jti\":\"x\"," TIMES REST "}",
          ST_DENIED },
        { NULL,
          "{\"iss\":\"ebb.test\",\"aud\":[\"ebb.test\"],\"sub\":\"admin\",\"jti\":\"x\"," TIMES REST
          "}",
          ST_DENIED },
        { NULL, "{" CLAIMS TIMES "\"use\":\"refresh\",\"gen\":1,\"tok\":0,\"access\":[]}",
          ST_DENIED },
        { NULL, "{" CLAIMS TIMES "\"use\":\"arm\",\"gen\":1,\"tok\":0,\"access\":[]}", ST_DENIED },
        { NULL, "{" CLAIMS TIMES "\"use\":\"any\",\"gen\":1,\"tok\":0,\"access\":[]}", ST_DENIED },
        { NULL, "{" CLAIMS TIMES "\"gen\":1,\"tok\":0,\"access\":[]}", ST_DENIED },
        { NULL, "{" CLAIMS TIMES "\"use\":\"access\",\"gen\":2,\"tok\":0,\"access\":[]}",
          ST_DENIED },
        { NULL, "{" CLAIMS TIMES "\"use\":\"access\",\"gen\":\"1\",\"tok\":0,\"access\":[]}",
          ST_DENIED },
        { NULL, "{" CLAIMS TIMES "\"use\":\"access\",\"gen\":1.0,\"tok\":0,\"access\":[]}",
          ST_DENIED },
        { NULL, "{" CLAIMS TIMES "\"use\":\"access\",\"gen\":1,\"tok\":99,\"access\":[]}",
          ST_DENIED },
        { NULL, "{" CLAIMS TIMES "\"use\":\"access\",\"gen\":1,\"tok\":-1,\"access\":[]}",
          ST_DENIED },
        { NULL, "{" CLAIMS TIMES "\"use\":\"access\",\"gen\":1,\"tok\":0}", ST_DENIED },
        { NULL, "{" CLAIMS TIMES "\"use\":\"access\",\"gen\":1,\"tok\":0,\"access\":{}}",
          ST_DENIED },
        { NULL,
          "{" CLAIMS TIMES "\"use\":\"access\",\"gen\":1,\"tok\":0,\"access\":[{\"type\":"
          "\"repository\",\"name\":\"x\",\"actions\":[\"fly\"]}]}",
          ST_DENIED },
        { NULL,
          "{" CLAIMS TIMES "\"use\":\"access\",\"gen\":1,\"tok\":0,\"access\":[{\"type\":\"moon\","
          "\"name\":\"x\",\"actions\":[\"pull\"]}]}",
          ST_DENIED },
        { NULL, "{" CLAIMS TIMES "\"sub\":\"root\"," REST "}", ST_DENIED },
        { NULL, "{" CLAIMS "\"exp\":\"%lld\",\"nbf\":%lld,\"iat\":%lld," REST "}", ST_DENIED },
        { NULL, "{" CLAIMS "\"exp\":99999999999999999999,\"nbf\":0,\"iat\":0," REST "}",
          ST_DENIED },
        { NULL, "{" CLAIMS "\"nbf\":0,\"iat\":0," REST "}", ST_DENIED },
        { NULL,
          "{\"iss\":\"ebb.test\",\"aud\":\"ebb.test\",\"sub\":\"nobody\",\"jti\":\"x\"," TIMES REST
          "}",
          ST_DENIED },
        { NULL,
          "{\"iss\":\"ebb.test\",\"aud\":\"ebb.test\",\"sub\":\"deploy-token-0\",\"jti\":"
          "\"x\"," TIMES REST "}",
          ST_DENIED },
        { NULL,
          "{\"iss\":\"ebb.test\",\"aud\":\"ebb.test\",\"sub\":\"admin\\u0000\",\"jti\":\"x\"," TIMES
              REST "}",
          ST_DENIED },
        { NULL, "[]", ST_DENIED },
        { NULL, "", ST_DENIED },
    };
    char kid[KEY_ID_MAX + 1];
    for (size_t i = 0; i < ARRAY_LEN(forgeries); i++) {
        const struct forgery *how = &forgeries[i];
        str text = forge(f, f->a->keys->keys[0].jwk, own_kid(f, kid), how, 0);
        expect_forgery(f, text, how->want, how->header == NULL ? how->claims : how->header);
    }
}

static void times_have_a_minute_of_leeway(void **state)
{
    struct fixture *f = *state;
    static const struct forgery good = { NULL, NULL, ST_OK };
    const cjose_jwk_t *jwk = f->a->keys->keys[0].jwk;
    char kid[KEY_ID_MAX + 1];
    (void)own_kid(f, kid);
    f->now = f->now / 1000 * 1000;
    expect_forgery(f, forge(f, jwk, kid, &good, -600 - 59), ST_OK, "over for 59 s");
    expect_forgery(f, forge(f, jwk, kid, &good, -600 - 60), ST_DENIED, "over for 60 s");
    expect_forgery(f, forge(f, jwk, kid, &good, 60), ST_OK, "good in 60 s");
    expect_forgery(f, forge(f, jwk, kid, &good, 61), ST_DENIED, "good in 61 s");
    /* And so has one that was seen before. */
    str text = forge(f, jwk, kid, &good, 0);
    expect_forgery(f, text, ST_OK, "new");
    f->now += 659 * 1000;
    expect_forgery(f, text, ST_OK, "known");
    f->now += 1000;
    expect_forgery(f, text, ST_DENIED, "known, over");
    REFUSED(bearer(text));
}

static void other_keys_are_refused(void **state)
{
    struct fixture *f = *state;
    static const struct forgery good = { NULL, NULL, ST_OK };
    struct signing_key made;
    cjose_err why;
    char kid[KEY_ID_MAX + 1];
    OK(keys_make(f->now, &f->arena, &made, &f->err));
    cjose_jwk_t *foreign = cjose_jwk_import(made.jwk.ptr, made.jwk.len, &why);
    assert_non_null(foreign);
    expect_forgery(f, forge(f, foreign, own_kid(f, kid), &good, 0), ST_DENIED, "our id");
    expect_forgery(f, forge(f, foreign, made.kid.ptr, &good, 0), ST_DENIED, "its own id");
    (void)cjose_jwk_release(foreign);
}

/* The classic: our public key as the secret of an HMAC. */
static void the_public_key_is_no_secret(void **state)
{
    struct fixture *f = *state;
    char header[256], claims[1024], kid[KEY_ID_MAX + 1];
    unsigned char mac[32];
    unsigned len = 0;
    str public;
    OK(auth_public_keys(f->a, &f->arena, &public, &f->err));
    (void)snprintf(header, sizeof(header), "{\"alg\":\"HS256\",\"kid\":\"%s\"}", own_kid(f, kid));
    long long now = f->now / 1000;
    (void)snprintf(claims, sizeof(claims), good_claims, now + 600, now, now);
    str body = arena_printf(&f->arena, "%.*s.%.*s", STR_FMT(encode(f, str_of(header))),
                            STR_FMT(encode(f, str_of(claims))));
    assert_non_null(HMAC(EVP_sha256(), public.ptr, (int)public.len, (const unsigned char *)body.ptr,
                         body.len, mac, &len));
    str text = arena_printf(&f->arena, "%.*s.%.*s", STR_FMT(body),
                            STR_FMT(encode(f, (str){ (const char *)mac, len })));
    expect_forgery(f, text, ST_DENIED, "HS256");
    text = arena_printf(&f->arena, "%.*s.", STR_FMT(body));
    expect_forgery(f, text, ST_DENIED, "no signature");
}

static void no_character_may_change(void **state)
{
    struct fixture *f = *state;
    str text = issue(f, admin(), JWT_ACCESS, "repository:x:pull");
    char *copy = arena_cstr(&f->arena, text);
    for (size_t i = 0; i < text.len; i++) {
        struct identity id = { 0 };
        char was = copy[i];
        copy[i] = was == 'A' ? 'B' : 'A';
        IS(ST_DENIED, identify(f, bearer((str){ copy, text.len }), &id));
        copy[i] = was;
    }
    assert_int_equal(RIGHT_PULL, rights(f, bearer((str){ copy, text.len }), "x"));
    for (size_t len = 0; len < text.len; len += 7)
        REFUSED(bearer((str){ copy, len }));
    REFUSED(bearer(arena_printf(&f->arena, "%s.", copy)));
    REFUSED(bearer(arena_printf(&f->arena, "%s=", copy)));
    REFUSED(bearer(arena_printf(&f->arena, " %s", copy)));
}

static void huge_ones_are_refused(void **state)
{
    struct fixture *f = *state;
    char *text = arena_alloc(&f->arena, MIB);
    memset(text, 'e', MIB);
    text[1] = 'y';
    text[20] = text[8000] = '.';
    REFUSED(bearer((str){ text, MIB }));
    REFUSED(bearer((str){ text, JWT_BYTES_MAX }));
    memset(text, '.', MIB);
    REFUSED(bearer((str){ text, JWT_BYTES_MAX }));
}

/* ---- issuing --------------------------------------------------------------------------------- */

static void claims_narrow_and_never_widen(void **state)
{
    struct fixture *f = *state;
    add_account(f, "ann", "correct horse");
    set_role(f, "ann", "group", ROLE_DEVELOPER);
    struct credentials ann = basic("ann", "correct horse");
    struct identity id = { 0 };
    struct claims claims = { .count = 0 };
    struct jwt_issued issued = { 0 };
    OK(identify(f, ann, &id));
    OK(scope_add(&claims, STR(SCOPE), &f->arena, &f->err));
    struct jwt_order order = {
        .use = JWT_ACCESS, .who = &id, .claims = claims.items, .claim_count = claims.count
    };
    OK(auth_issue(f->a, &order, &f->arena, &issued, &f->err));
    assert_int_equal(2, issued.claim_count);
    assert_int_equal(ACTION_PULL | ACTION_PUSH, issued.claims[0].actions);
    assert_int_equal(CLAIM_CATALOG, issued.claims[1].type);
    assert_int_equal(issued.issued_at + TOKEN_MS / 1000, issued.expires_at);
    identity_release(&id);
    assert_int_equal(DEVELOPS, rights(f, bearer(issued.text), "group/app"));
    assert_int_equal(0, rights(f, bearer(issued.text), "group/other"));
    /* A token of a token is no wider, and no refresh token. */
    str again = issue(f, bearer(issued.text), JWT_ACCESS, "repository:group/app:* repository:*:*");
    assert_int_equal(DEVELOPS, rights(f, bearer(again), "group/app"));
    assert_int_equal(0, rights(f, bearer(again), "group/other"));
    OK(identify(f, bearer(issued.text), &id));
    order = (struct jwt_order){ .use = JWT_REFRESH, .who = &id };
    IS(ST_DENIED, auth_issue(f->a, &order, &f->arena, &issued, &f->err));
    identity_release(&id);
}

static void everything_is_judged_live(void **state)
{
    struct fixture *f = *state;
    struct identity id = { 0 };
    add_account(f, "ann", "correct horse");
    set_role(f, "ann", "group", ROLE_MAINTAINER);
    struct credentials all =
        bearer(issue(f, basic("ann", "correct horse"), JWT_ACCESS, "repository:*:*"));
    assert_int_equal(MAINTAINS, rights(f, all, "group/app"));
    assert_int_equal(0, rights(f, all, "other"));
    set_role(f, "ann", "other", ROLE_GUEST);
    assert_int_equal(RIGHT_PULL, rights(f, all, "other"));
    /* One repository is not the registry. */
    OK(identify(f, bearer(issue(f, admin(), JWT_ACCESS, "repository:x:*")), &id));
    assert_false(identity_is_admin(&id));
    assert_int_equal(MAINTAINS, identity_rights(&id, STR("x")));
    identity_release(&id);
    /* Nor does one for everything rule: what it set would outlive it. */
    OK(identify(f, bearer(issue(f, admin(), JWT_ACCESS, "repository:*:*")), &id));
    assert_false(identity_is_admin(&id));
    assert_int_equal(RIGHTS_ALL & ~(RIGHT_ADMIN | RIGHT_MEMBERS), identity_rights(&id, STR("x")));
    identity_release(&id);
    OK(identify(f, bearer(issue(f, admin(), JWT_ACCESS, "repository:*:pull")), &id));
    assert_false(identity_is_admin(&id));
    assert_int_equal(RIGHT_PULL, identity_rights(&id, STR("x")));
    identity_release(&id);
}

/* One that was made here is known at once; the same claims under another signature are not. */
static void what_was_made_is_known(void **state)
{
    struct fixture *f = *state;
    struct identity id = { 0 };
    str text = issue(f, admin(), JWT_ACCESS, "repository:x:pull");
    OK(identify_fast(f, bearer(text), &id));
    assert_int_equal(RIGHT_PULL, identity_rights(&id, STR("x")));
    assert_int_equal(0, identity_rights(&id, STR("y")));
    identity_release(&id);
    char *other = arena_cstr(&f->arena, text);
    char *signature = strrchr(other, '.') + 1;
    *signature = *signature == 'A' ? 'B' : 'A';
    IS(ST_BUSY, identify_fast(f, bearer(str_of(other)), &id));
    REFUSED(bearer(str_of(other)));
}

static void each_use_has_its_own(void **state)
{
    struct fixture *f = *state;
    struct identity id = { 0 };
    str texts[] = { issue(f, admin(), JWT_ACCESS, "repository:x:pull"),
                    issue(f, admin(), JWT_REFRESH, "repository:x:pull"),
                    issue(f, admin(), JWT_ARM, "") };
    for (size_t i = 0; i < 3; i++) {
        for (size_t use = 0; use < 3; use++) {
            enum st st =
                auth_redeem(f->a, texts[i], (enum jwt_use)use, f->now, &f->arena, &id, &f->err);
            assert_int_equal(i == use ? ST_OK : ST_DENIED, st);
            if (st == ST_OK) {
                assert_int_equal(use == JWT_ACCESS, id.has_claims);
                identity_release(&id);
            }
        }
    }
    REFUSED(bearer(texts[JWT_REFRESH]));
    REFUSED(bearer(texts[JWT_ARM]));
    /* As a password, by the name that az gives for nobody. */
    char *refresh = arena_cstr(&f->arena, texts[JWT_REFRESH]);
    char *arm = arena_cstr(&f->arena, texts[JWT_ARM]);
    assert_int_equal(RIGHTS_ALL & ~(RIGHT_ADMIN | RIGHT_MEMBERS),
                     rights(f, basic("00000000-0000-0000-0000-000000000000", refresh), "x"));
    REFUSED(basic("00000000-0000-0000-0000-000000000000", arm));
    REFUSED(basic("admin", refresh));
    /* Neither makes what would be good for the next one. */
    struct jwt_issued issued = { 0 };
    const struct jwt_order order = { .use = JWT_ARM, .who = &id };
    OK(identify(f, admin(), &id));
    assert_false(id.by_jwt);
    identity_release(&id);
    OK(identify(f, basic("00000000-0000-0000-0000-000000000000", refresh), &id));
    assert_true(id.by_jwt && !id.has_claims);
    IS(ST_DENIED, auth_issue(f->a, &order, &f->arena, &issued, &f->err));
    identity_release(&id);
}

static void further_claims_are_written(void **state)
{
    struct fixture *f = *state;
    struct identity id = { 0 };
    struct jwt_issued issued = { 0 };
    const char *const extra[] = { "tid", "a tenant", "oid", "an \"object\"", NULL };
    const char *const own[] = { "sub", "root", NULL };
    OK(identify(f, admin(), &id));
    struct jwt_order order = { .use = JWT_ARM, .who = &id, .extra = extra, .life_ms = 60000 };
    OK(auth_issue(f->a, &order, &f->arena, &issued, &f->err));
    assert_int_equal(issued.issued_at + 60, issued.expires_at);
    str payload, rest;
    size_t len;
    assert_true(str_cut(issued.text, '.', &rest, &payload));
    assert_true(str_cut(payload, '.', &payload, &rest));
    uint8_t *plain = NULL;
    cjose_err why;
    assert_true(cjose_base64url_decode(payload.ptr, payload.len, &plain, &len, &why));
    json_t *root = json_loadb((const char *)plain, len, JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(root);
    assert_string_equal("a tenant", json_string_value(json_object_get(root, "tid")));
    assert_string_equal("an \"object\"", json_string_value(json_object_get(root, "oid")));
    assert_string_equal("admin", json_string_value(json_object_get(root, "sub")));
    json_decref(root);
    cjose_get_dealloc()(plain);
    order.extra = own;
    IS(ST_INVALID, auth_issue(f->a, &order, &f->arena, &issued, &f->err));
    identity_release(&id);
}

static void too_many_claims_do_not_fit(void **state)
{
    struct fixture *f = *state;
    struct identity id = { 0 };
    struct jwt_issued issued = { 0 };
    struct claim claims[CLAIMS_MAX];
    char name[300];
    memset(name, 'x', sizeof(name));
    for (size_t i = 0; i < CLAIMS_MAX; i++)
        claims[i] = (struct claim){ CLAIM_REPOSITORY, { name, sizeof(name) - i }, ACTION_PULL };
    OK(identify(f, admin(), &id));
    const struct jwt_order order = {
        .use = JWT_ACCESS, .who = &id, .claims = claims, .claim_count = CLAIMS_MAX
    };
    IS(ST_TOO_LARGE, auth_issue(f->a, &order, &f->arena, &issued, &f->err));
    identity_release(&id);
}

/* Everybody may ask for one with many names, and there is room for thousands. */
static void large_ones_are_not_remembered(void **state)
{
    struct fixture *f = *state;
    struct identity id = { 0 };
    struct jwt_issued issued = { 0 };
    struct claim claims[20];
    char name[200];
    memset(name, 'x', sizeof(name));
    for (size_t i = 0; i < ARRAY_LEN(claims); i++)
        claims[i] = (struct claim){ CLAIM_REPOSITORY, { name, sizeof(name) - i }, ACTION_PULL };
    OK(identify(f, admin(), &id));
    struct jwt_order order = { .use = JWT_ACCESS, .who = &id, .claims = claims };
    for (order.claim_count = 1; order.claim_count <= ARRAY_LEN(claims); order.claim_count += 19) {
        struct identity other = { 0 };
        OK(auth_issue(f->a, &order, &f->arena, &issued, &f->err));
        OK(identify(f, bearer(issued.text), &other));
        identity_release(&other);
        bool large = order.claim_count > 1;
        IS(large ? ST_BUSY : ST_OK, identify_fast(f, bearer(issued.text), &other));
        if (!large)
            identity_release(&other);
    }
    identity_release(&id);
}

/* ---- keys ------------------------------------------------------------------------------------ */

static size_t count_keys(struct fixture *f)
{
    str public;
    OK(auth_public_keys(f->a, &f->arena, &public, &f->err));
    json_t *root = json_loadb(public.ptr, public.len, JSON_REJECT_DUPLICATES, NULL);
    json_t *keys = json_object_get(root, "keys");
    assert_true(json_is_array(keys));
    size_t count = json_array_size(keys);
    for (size_t i = 0; i < count; i++) {
        const json_t *key = json_array_get(keys, i);
        assert_int_equal(7, json_object_size(key));
        assert_string_equal("ES256", json_string_value(json_object_get(key, "alg")));
        assert_string_equal("P-256", json_string_value(json_object_get(key, "crv")));
        assert_null(json_object_get(key, "d"));
    }
    json_decref(root);
    return count;
}

static void rotation_breaks_no_token(void **state)
{
    struct fixture *f = *state;
    struct credentials old = bearer(issue(f, admin(), JWT_ACCESS, "repository:x:pull"));
    OK(auth_rotate_key(f->a, f->now, &f->err));
    assert_int_equal(2, count_keys(f));
    struct credentials new = bearer(issue(f, admin(), JWT_ACCESS, "repository:x:pull"));
    assert_int_equal(RIGHT_PULL, rights(f, old, "x"));
    assert_int_equal(RIGHT_PULL, rights(f, new, "x"));
    /* After a restart as well. */
    struct auth_options options = test_options();
    auth_close(f->a);
    OK(auth_open(&f->r, &options, &f->a, f->made, &f->err));
    assert_int_equal(RIGHT_PULL, rights(f, old, "x"));
    assert_int_equal(RIGHT_PULL, rights(f, new, "x"));
}

static void keys_are_rotated_and_dropped(void **state)
{
    struct fixture *f = *state;
    f->now = f->a->keys->keys[0].created_at;
    OK(auth_tick(f->a, f->now, &f->err));
    assert_int_equal(1, count_keys(f));
    f->now += ROTATE_MS - CLOCK_HOUR_MS;
    OK(auth_tick(f->a, f->now, &f->err));
    assert_int_equal(1, count_keys(f));
    f->now += CLOCK_HOUR_MS;
    OK(auth_tick(f->a, f->now, &f->err));
    assert_int_equal(2, count_keys(f));
    OK(auth_tick(f->a, f->now, &f->err));
    assert_int_equal(2, count_keys(f));
    /* The first is dropped when the second is older than a token lives. */
    for (int i = 0; i < 3; i++) {
        f->now += ROTATE_MS;
        OK(auth_tick(f->a, f->now, &f->err));
        assert_int_equal(3 + i, count_keys(f));
    }
    f->now += 2 * CLOCK_HOUR_MS;
    OK(auth_tick(f->a, f->now, &f->err));
    assert_int_equal(4, count_keys(f));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        AUTH_TEST(forgeries_are_refused),         AUTH_TEST(times_have_a_minute_of_leeway),
        AUTH_TEST(other_keys_are_refused),        AUTH_TEST(the_public_key_is_no_secret),
        AUTH_TEST(no_character_may_change),       AUTH_TEST(huge_ones_are_refused),
        AUTH_TEST(claims_narrow_and_never_widen), AUTH_TEST(everything_is_judged_live),
        AUTH_TEST(what_was_made_is_known),        AUTH_TEST(each_use_has_its_own),
        AUTH_TEST(further_claims_are_written),    AUTH_TEST(too_many_claims_do_not_fit),
        AUTH_TEST(rotation_breaks_no_token),      AUTH_TEST(keys_are_rotated_and_dropped),
        AUTH_TEST(large_ones_are_not_remembered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
