/* SPDX-License-Identifier: Apache-2.0
 *
 * JWTs: the whole text against a key of our own, and, as nobody else can sign, its bytes as claims.
 * What is read as claims can be made again and read the same.
 */
#include "auth/jwt.h"

#include "base/mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define SERVICE STR("ebb")

static const struct key *own_key(void)
{
    static struct key key;
    static struct arena arena;
    struct signing_key row;
    cjose_err why;
    if (key.jwk == NULL) {
        assert(keys_make(1, &arena, &row, NULL) == ST_OK);
        key =
            (struct key){ .kid = row.kid, .jwk = cjose_jwk_import(row.jwk.ptr, row.jwk.len, &why) };
        assert(key.jwk != NULL);
    }
    return &key;
}

static void check_same(const struct jwt_claims *a, const struct jwt_claims *b)
{
    assert(a->use == b->use && str_eq(a->sub, b->sub) && a->exp == b->exp && a->nbf == b->nbf &&
           a->iat == b->iat && a->generation == b->generation && a->token_id == b->token_id &&
           a->claim_count == b->claim_count);
    for (size_t i = 0; i < a->claim_count; i++)
        assert(a->claims[i].type == b->claims[i].type &&
               a->claims[i].actions == b->claims[i].actions &&
               str_eq(a->claims[i].name, b->claims[i].name));
}

static void check_claims(str json, struct arena *a)
{
    struct jwt_claims c, again;
    str text, kid;
    struct err err = { .st = ST_OK };
    enum st st = jwt_read_claims(json, SERVICE, a, &c, &err);
    assert(st == ST_OK || st == ST_DENIED);
    if (st != ST_OK)
        return;
    assert(c.claim_count <= CLAIMS_MAX);
    st = jwt_check_times(&c, 1700000000, &err);
    assert(st == ST_OK || st == ST_DENIED || st == ST_EXPIRED);
    st = jwt_make(own_key(), &c, SERVICE, NULL, a, &text, &err);
    assert(st == ST_OK || st == ST_TOO_LARGE);
    if (st != ST_OK)
        return;
    assert(jwt_looks_like(text));
    assert(jwt_header(text, a, &kid, &err) == ST_OK);
    assert(jwt_verify(text, own_key(), SERVICE, a, &again, &err) == ST_OK);
    check_same(&c, &again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena a = { .limit_bytes = 4 * MIB };
    struct jwt_claims c;
    struct err err = { .st = ST_OK };
    str text = { (const char *)data, size };
    str kid;
    (void)jwt_looks_like(text);
    enum st st = jwt_header(text, &a, &kid, &err);
    assert(st == ST_OK || st == ST_DENIED);
    if (st == ST_OK) {
        assert(kid.len > 0 && kid.len <= KEY_ID_MAX);
        assert(jwt_verify(text, own_key(), SERVICE, &a, &c, &err) == ST_DENIED);
    }
    check_claims(text, &a);
    arena_release(&a);
    return 0;
}
