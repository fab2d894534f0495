/* SPDX-License-Identifier: Apache-2.0
 *
 * jwt - JSON Web Tokens (RFC 7519) of our own making, signed with ES256 (RFC 7518).
 *
 *  1. jwt_header() looks first, at the first part alone: it must be an object of "alg": "ES256",
 *     "kid" and perhaps "typ": "JWT", and nothing else. No other algorithm, key in the header,
 *     critical extension or duplicate reaches the library.
 *  2. jwt_verify() checks the signature before it reads a claim; then the claims must be those that
 *     jwt_make() writes, with "iss" and "aud" ours. Further claims are passed over.
 *  3. A token has at most JWT_BYTES_MAX bytes.
 *
 * Pure but for the library; the header and claims are fuzzed. Threads: any.
 */
#ifndef EBB_JWT_H
#define EBB_JWT_H

#include "auth/auth.h"
#include "auth/keys.h"

#define JWT_BYTES_MAX ((size_t)16 * KIB)
#define JWT_LEEWAY_S  60

struct jwt_claims {
    enum jwt_use use;
    str sub;
    int64_t exp, nbf, iat; /* UTC seconds */
    int64_t generation;
    int64_t token_id;
    const struct claim *claims;
    size_t claim_count;
};

/* Whether it is meant as one: two dots, and "ey" at the start. */
bool jwt_looks_like(str text);
/* ST_DENIED. */
MUST_CHECK enum st jwt_header(str text, struct arena *a, str *kid, struct err *err);
/* After jwt_header(). ST_DENIED. */
MUST_CHECK enum st jwt_verify(str text, const struct key *key, str service, struct arena *a,
                              struct jwt_claims *out, struct err *err);
/* The text of the claims, signature and all aside. ST_DENIED. */
MUST_CHECK enum st jwt_read_claims(str json, str service, struct arena *a, struct jwt_claims *out,
                                   struct err *err);
/* ST_DENIED, ST_EXPIRED (which auth/ tells its callers as ST_DENIED). */
MUST_CHECK enum st jwt_check_times(const struct jwt_claims *c, int64_t now_s, struct err *err);
/* `extra` as in struct jwt_order. ST_TOO_LARGE, ST_INVALID for an extra claim with one of our
 * names. */
MUST_CHECK enum st jwt_make(const struct key *key, const struct jwt_claims *c, str service,
                            const char *const *extra, struct arena *a, str *out, struct err *err);

#endif
