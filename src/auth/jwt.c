/* SPDX-License-Identifier: Apache-2.0 */
#include "auth/jwt.h"

#include <jansson.h>

#include "auth/base64.h"
#include "base/buf.h"
#include "base/json.h"
#include "base/rng.h"
#include "oci/json_tree.h"

#define HEADER_MAX      ((size_t)512) /* in base64url */
#define SIGNATURE_CHARS 86            /* 64 bytes in base64url */
#define SUBJECT_MAX     ((size_t)128)
#define SCOPED_NAME_MAX ((size_t)512)

static const char *const use_words[] = { "access", "refresh", "arm" };
static const char *const own_names[] = { "iss", "aud", "sub", "exp", "nbf",   "iat",
                                         "jti", "use", "gen", "tok", "access" };

/* What a client is told does not depend on what was found, so that it is no oracle. */
static enum st refuse(struct err *err)
{
    return err_set(err, ST_DENIED, "the token is none of ours");
}

bool jwt_looks_like(str text)
{
    str a, b, c;
    return str_starts(text, STR("ey")) && str_cut(text, '.', &a, &b) && str_cut(b, '.', &b, &c) &&
           memchr(c.ptr, '.', c.len) == NULL;
}

/* ---- header ---------------------------------------------------------------------------------- */

static bool is_url_text(str s)
{
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              c == '-' || c == '_'))
            return false;
    }
    return s.len > 0;
}

static bool member_is(const json_t *object, const char *name, const char *want)
{
    const char *value = json_string_value(json_object_get(object, name));
    return value != NULL && strcmp(value, want) == 0 &&
           json_string_length(json_object_get(object, name)) == strlen(want);
}

static enum st read_header(str json, struct arena *a, str *kid, struct err *err)
{
    static const struct json_limits limits = { HEADER_MAX, 1, 8 };
    AUTO(json_tree_free) json_t *root = NULL;
    enum st st = json_tree_read("a token", json, &limits, &root, err);
    if (st != ST_OK)
        return st == ST_NO_MEMORY ? st : refuse(err);
    bool has_type = json_object_get(root, "typ") != NULL;
    str id = str_of(json_string_value(json_object_get(root, "kid")));
    if (json_object_size(root) != (has_type ? 3 : 2) || !member_is(root, "alg", "ES256") ||
        (has_type && !member_is(root, "typ", "JWT")) || id.len == 0 || id.len > KEY_ID_MAX ||
        id.len != json_string_length(json_object_get(root, "kid")))
        return refuse(err);
    str copy = arena_dup(a, id);
    if (copy.ptr == NULL)
        return err_no_memory(err);
    *kid = copy;
    return ST_OK;
}

/* Each part is base64url, and what it decodes to has no other text: of a token there is one. */
static enum st check_parts(str header, str payload, str signature, struct arena *a, str *json,
                           struct err *err)
{
    if (header.len > HEADER_MAX || !is_url_text(header) || !is_url_text(payload) ||
        !is_url_text(signature) || signature.len != SIGNATURE_CHARS)
        return refuse(err);
    size_t len;
    char *room = arena_alloc(a, header.len + payload.len + signature.len);
    if (room == NULL)
        return err_no_memory(err);
    if (!base64_decode(payload, room, &len) || !base64_decode(signature, room, &len) ||
        !base64_decode(header, room, &len))
        return refuse(err);
    *json = (str){ room, len };
    return ST_OK;
}

enum st jwt_header(str text, struct arena *a, str *kid, struct err *err)
{
    str header, payload, signature, json;
    if (text.len > JWT_BYTES_MAX || !str_cut(text, '.', &header, &payload) ||
        !str_cut(payload, '.', &payload, &signature))
        return refuse(err);
    enum st st = check_parts(header, payload, signature, a, &json, err);
    return st == ST_OK ? read_header(json, a, kid, err) : st;
}

/* ---- claims ---------------------------------------------------------------------------------- */

/* A string without NUL, of at most `max` bytes. */
static bool read_text(const json_t *object, const char *name, size_t max, str *out)
{
    const json_t *value = json_object_get(object, name);
    if (!json_is_string(value))
        return false;
    *out = (str){ json_string_value(value), json_string_length(value) };
    return out->len <= max && memchr(out->ptr, '\0', out->len) == NULL;
}

/* A whole number that no sum of two of them overflows. */
static bool read_number(const json_t *object, const char *name, int64_t *out)
{
    const json_t *value = json_object_get(object, name);
    if (!json_is_integer(value))
        return false;
    *out = json_integer_value(value);
    return *out >= 0 && *out <= INT64_MAX / 4;
}

static bool read_actions(const json_t *list, unsigned *out)
{
    *out = 0;
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *word = json_array_get(list, i);
        unsigned action =
            json_is_string(word)
                ? action_of((str){ json_string_value(word), json_string_length(word) })
                : 0;
        if (action == 0)
            return false;
        *out |= action;
    }
    return json_is_array(list) && *out != 0;
}

static bool read_claim(const json_t *object, struct claim *out)
{
    str type;
    if (!json_is_object(object) || !read_text(object, "type", 32, &type) ||
        !read_text(object, "name", SCOPED_NAME_MAX, &out->name) ||
        !read_actions(json_object_get(object, "actions"), &out->actions))
        return false;
    if (str_eq(type, STR("repository")))
        out->type = CLAIM_REPOSITORY;
    else if (str_eq(type, STR("registry")) && str_eq(out->name, STR("catalog")))
        out->type = CLAIM_CATALOG;
    else if (str_eq(type, STR("registry")) && str_eq(out->name, STR("deleted_catalog")))
        out->type = CLAIM_DELETED_CATALOG;
    else
        return false;
    return out->name.len > 0;
}

static enum st read_access(const json_t *list, struct arena *a, struct jwt_claims *out,
                           struct err *err)
{
    size_t count = json_array_size(list);
    if (!json_is_array(list) || count > CLAIMS_MAX)
        return refuse(err);
    struct claim *claims = arena_alloc(a, (count + 1) * sizeof(*claims));
    if (claims == NULL)
        return err_no_memory(err);
    for (size_t i = 0; i < count; i++) {
        if (!read_claim(json_array_get(list, i), &claims[i]))
            return refuse(err);
        claims[i].name = arena_dup(a, claims[i].name);
        if (claims[i].name.ptr == NULL)
            return err_no_memory(err);
    }
    out->claims = claims;
    out->claim_count = count;
    return ST_OK;
}

static bool read_use(const json_t *root, enum jwt_use *out)
{
    for (size_t i = 0; i < ARRAY_LEN(use_words); i++) {
        if (member_is(root, "use", use_words[i])) {
            *out = (enum jwt_use)i;
            return true;
        }
    }
    return false;
}

static enum st read_root(const json_t *root, str service, struct arena *a, struct jwt_claims *out,
                         struct err *err)
{
    struct jwt_claims c = { 0 };
    str iss, aud, jti, sub;
    if (!read_text(root, "iss", SCOPED_NAME_MAX, &iss) || !str_eq(iss, service) ||
        !read_text(root, "aud", SCOPED_NAME_MAX, &aud) || !str_eq(aud, service) ||
        !read_text(root, "jti", KEY_ID_MAX, &jti) || jti.len == 0 ||
        !read_text(root, "sub", SUBJECT_MAX, &sub) || !read_use(root, &c.use) ||
        !read_number(root, "exp", &c.exp) || !read_number(root, "nbf", &c.nbf) ||
        !read_number(root, "iat", &c.iat) || !read_number(root, "gen", &c.generation) ||
        !read_number(root, "tok", &c.token_id))
        return refuse(err);
    c.sub = arena_dup(a, sub);
    if (c.sub.ptr == NULL)
        return err_no_memory(err);
    enum st st = read_access(json_object_get(root, "access"), a, &c, err);
    if (st == ST_OK)
        *out = c;
    return st;
}

enum st jwt_read_claims(str json, str service, struct arena *a, struct jwt_claims *out,
                        struct err *err)
{
    static const struct json_limits limits = { JWT_BYTES_MAX, 4, 1500 };
    AUTO(json_tree_free) json_t *root = NULL;
    enum st st = json_tree_read("a token", json, &limits, &root, err);
    if (st != ST_OK)
        return st == ST_NO_MEMORY ? st : refuse(err);
    return read_root(root, service, a, out, err);
}

static void release_jws(cjose_jws_t **jws)
{
    cjose_jws_release(*jws);
}

enum st jwt_verify(str text, const struct key *key, str service, struct arena *a,
                   struct jwt_claims *out, struct err *err)
{
    cjose_err why = { .code = CJOSE_ERR_NONE };
    uint8_t *plain = NULL;
    size_t len = 0;
    AUTO(release_jws) cjose_jws_t *jws = cjose_jws_import(text.ptr, text.len, &why);
    if (jws == NULL) /* jwt_header() looked at all that import does; the library calls it invalid */
        return err_no_memory(err);
    if (!cjose_jws_verify(jws, key->jwk, &why) || !cjose_jws_get_plaintext(jws, &plain, &len, &why))
        return why.code == CJOSE_ERR_NO_MEMORY ? err_no_memory(err) : refuse(err);
    return jwt_read_claims((str){ (const char *)plain, len }, service, a, out, err);
}

enum st jwt_check_times(const struct jwt_claims *c, int64_t now_s, struct err *err)
{
    if (now_s >= c->exp + JWT_LEEWAY_S)
        return err_set(err, ST_EXPIRED, "the token's time is over");
    if (now_s < c->nbf - JWT_LEEWAY_S || now_s < c->iat - JWT_LEEWAY_S)
        return err_set(err, ST_DENIED, "the token is not good yet");
    return ST_OK;
}

/* ---- making ---------------------------------------------------------------------------------- */

static void add_text(struct buf *b, const char *name, str value)
{
    json_add_string(b, str_of(name));
    buf_add_byte(b, ':');
    json_add_string(b, value);
    buf_add_byte(b, ',');
}

static void add_number(struct buf *b, const char *name, int64_t value)
{
    buf_printf(b, "\"%s\":", name);
    buf_add_number(b, value);
    buf_add_byte(b, ',');
}

static void add_actions(struct buf *b, unsigned actions)
{
    bool first = true;
    for (unsigned bit = 1; bit <= ACTION_ALL; bit <<= 1) {
        char word[ACTIONS_TEXT_MAX];
        if ((actions & bit) == 0)
            continue;
        buf_add(b, first ? STR("") : STR(","));
        json_add_string(b, str_of(actions_text(bit, word)));
        first = false;
    }
}

static void add_access(struct buf *b, const struct jwt_claims *c)
{
    buf_add(b, STR("\"access\":["));
    for (size_t i = 0; i < c->claim_count; i++) {
        const struct claim *claim = &c->claims[i];
        buf_add(b, i == 0 ? STR("{") : STR(",{"));
        add_text(b, "type", claim->type == CLAIM_REPOSITORY ? STR("repository") : STR("registry"));
        add_text(b, "name",
                 claim->type == CLAIM_CATALOG           ? STR("catalog")
                 : claim->type == CLAIM_DELETED_CATALOG ? STR("deleted_catalog")
                                                        : claim->name);
        buf_add(b, STR("\"actions\":["));
        add_actions(b, claim->actions);
        buf_add(b, STR("]}"));
    }
    buf_add_byte(b, ']');
}

static enum st add_extra(struct buf *b, const char *const *extra, struct err *err)
{
    for (; extra != NULL && extra[0] != NULL; extra += 2) {
        for (size_t i = 0; i < ARRAY_LEN(own_names); i++)
            if (strcmp(extra[0], own_names[i]) == 0)
                return err_set(err, ST_INVALID, "the claim %s is not a further one", extra[0]);
        add_text(b, extra[0], str_of(extra[1]));
    }
    return ST_OK;
}

static enum st write_claims(struct buf *b, const struct jwt_claims *c, str service,
                            const char *const *extra, struct err *err)
{
    char id[RNG_ID_LEN + 1];
    rng_id(id);
    buf_add_byte(b, '{');
    add_text(b, "iss", service);
    add_text(b, "aud", service);
    add_text(b, "sub", c->sub);
    add_number(b, "exp", c->exp);
    add_number(b, "nbf", c->nbf);
    add_number(b, "iat", c->iat);
    add_text(b, "jti", str_of(id));
    add_text(b, "use", str_of(use_words[c->use]));
    add_number(b, "gen", c->generation);
    add_number(b, "tok", c->token_id);
    enum st st = add_extra(b, extra, err);
    add_access(b, c);
    buf_add_byte(b, '}');
    return st == ST_OK ? buf_status(b, err) : st;
}

static void release_header(cjose_header_t **header)
{
    cjose_header_release(*header);
}

static enum st sign(const struct key *key, str claims, struct arena *a, str *out, struct err *err)
{
    cjose_err why = { .code = CJOSE_ERR_NONE };
    const char *text = NULL;
    char kid[KEY_ID_MAX + 1];
    if (!str_copy(key->kid, kid, sizeof(kid)))
        return err_set(err, ST_CORRUPT, "the id of a signing key is too long");
    AUTO(release_header) cjose_header_t *header = cjose_header_new(&why);
    if (header == NULL || !cjose_header_set(header, CJOSE_HDR_ALG, CJOSE_HDR_ALG_ES256, &why) ||
        !cjose_header_set(header, "typ", "JWT", &why) ||
        !cjose_header_set(header, CJOSE_HDR_KID, kid, &why))
        return err_no_memory(err);
    AUTO(release_jws)
    cjose_jws_t *jws =
        cjose_jws_sign(key->jwk, header, (const uint8_t *)claims.ptr, claims.len, &why);
    if (jws == NULL || !cjose_jws_export(jws, &text, &why))
        return why.code == CJOSE_ERR_CRYPTO
                   ? err_set(err, ST_BUG, "a token cannot be signed")
                   : err_no_memory(err); /* the library calls what it cannot allocate invalid */
    if (strlen(text) > JWT_BYTES_MAX)
        return err_set(err, ST_TOO_LARGE, "the token would be larger than %zu bytes",
                       JWT_BYTES_MAX);
    /* Read back: of the header the library leaves out what it cannot allocate. */
    str copy = arena_dup(a, str_of(text));
    str check;
    if (copy.ptr == NULL || jwt_header(copy, a, &check, err) != ST_OK || !str_eq(check, key->kid))
        return err_no_memory(err);
    *out = copy;
    return ST_OK;
}

enum st jwt_make(const struct key *key, const struct jwt_claims *c, str service,
                 const char *const *extra, struct arena *a, str *out, struct err *err)
{
    struct buf json = { .max_bytes = JWT_BYTES_MAX };
    enum st st = write_claims(&json, c, service, extra, err);
    if (st == ST_OK)
        st = sign(key, buf_str(&json), a, out, err);
    buf_release(&json);
    return st;
}
