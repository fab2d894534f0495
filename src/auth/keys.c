/* SPDX-License-Identifier: Apache-2.0 */
#include "auth/keys.h"

#include <jansson.h>

#include "base/buf.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/rng.h"
#include "oci/json_tree.h"

#define JWK_BYTES_MAX ((size_t)2048)
#define SET_BYTES_MAX ((size_t)KEYS_MAX * JWK_BYTES_MAX)
#define LEEWAY_MS     ((int64_t)60 * 60 * 1000) /* clocks of other nodes, late ticks */

static const struct json_limits jwk_limits = { JWK_BYTES_MAX, 2, 20 };

static enum st broken(struct err *err, const char *what, const cjose_err *why)
{
    if (why->code == CJOSE_ERR_NO_MEMORY)
        return err_no_memory(err);
    return err_set(err, ST_CORRUPT, "a signing key cannot be %s: %s", what,
                   why->message == NULL ? "no reason given" : why->message);
}

/* ---- one key --------------------------------------------------------------------------------- */

static void release_jwk(cjose_jwk_t **jwk)
{
    if (*jwk != NULL)
        (void)cjose_jwk_release(*jwk);
}

/* Of cjose's heap, which is the process's own. */
static void free_text(char **text)
{
    cjose_get_dealloc()(*text);
}

/* Read back: what the library could not allocate it leaves out, and a row outlives the moment. */
static enum st check_made(str jwk, struct err *err)
{
    static const char *const names[] = { "kid", "kty", "crv", "x", "y", "d" };
    AUTO(json_tree_free) json_t *root = NULL;
    if (json_tree_read("a signing key", jwk, &jwk_limits, &root, err) != ST_OK)
        return err_no_memory(err);
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (json_string_value(json_object_get(root, names[i])) == NULL)
            return err_no_memory(err);
    return ST_OK;
}

enum st keys_make(int64_t now, struct arena *a, struct signing_key *out, struct err *err)
{
    cjose_err why = { .code = CJOSE_ERR_NONE };
    char id[RNG_ID_LEN + 1];
    rng_id(id);
    AUTO(release_jwk) cjose_jwk_t *jwk = cjose_jwk_create_EC_random(CJOSE_JWK_EC_P_256, &why);
    if (jwk == NULL || !cjose_jwk_set_kid(jwk, id, strlen(id), &why))
        return broken(err, "made", &why);
    AUTO(free_text) char *text = cjose_jwk_to_json(jwk, true, &why);
    if (text == NULL)
        return err_no_memory(err);
    enum st st = check_made(str_of(text), err);
    if (st != ST_OK)
        return st;
    struct signing_key key = { .kid = arena_dup(a, str_of(id)),
                               .jwk = arena_dup(a, str_of(text)),
                               .created_at = now };
    if (key.kid.ptr == NULL || key.jwk.ptr == NULL)
        return err_no_memory(err);
    *out = key;
    return ST_OK;
}

static void add_member(struct buf *b, const json_t *jwk, const char *name)
{
    const char *value = json_string_value(json_object_get(jwk, name));
    buf_printf(b, ",\"%s\":", name);
    json_add_string(b, str_of(value == NULL ? "" : value));
}

/* Adds the public part: only what is named here can ever be shown. */
static void add_public(struct buf *b, const json_t *jwk)
{
    buf_add(b, b->ptr[b->len - 1] == '}' ? STR(",{") : STR("{"));
    buf_add(b, STR("\"kty\":\"EC\",\"use\":\"sig\",\"alg\":\"ES256\""));
    add_member(b, jwk, "kid");
    add_member(b, jwk, "crv");
    add_member(b, jwk, "x");
    add_member(b, jwk, "y");
    buf_add(b, STR("}"));
}

static enum st import(struct key_set *s, const struct signing_key *row, json_t *jwk,
                      struct err *err)
{
    cjose_err why = { .code = CJOSE_ERR_NONE };
    struct key *key = &s->keys[s->count];
    *key = (struct key){ .kid = row->kid, .created_at = row->created_at };
    key->jwk = cjose_jwk_import_json(jwk, &why);
    if (key->jwk == NULL)
        return broken(err, "read", &why);
    s->count++;
    const char *kid = cjose_jwk_get_kid(key->jwk, &why);
    if (cjose_jwk_get_kty(key->jwk, &why) != CJOSE_JWK_KTY_EC ||
        cjose_jwk_EC_get_curve(key->jwk, &why) != CJOSE_JWK_EC_P_256 || kid == NULL ||
        !str_eq(str_of(kid), row->kid))
        return err_set(err, ST_CORRUPT, "a signing key is none of ES256");
    return ST_OK;
}

static enum st add_key(struct key_set *s, struct signing_key row, struct buf *public,
                       struct err *err)
{
    AUTO(json_tree_free) json_t *jwk = NULL;
    row.kid = arena_dup(&s->arena, row.kid);
    if (row.kid.ptr == NULL)
        return err_no_memory(err);
    enum st st = json_tree_read("a signing key", row.jwk, &jwk_limits, &jwk, err);
    if (st != ST_OK)
        return st == ST_NO_MEMORY ? st : err_set(err, ST_CORRUPT, "a signing key is damaged");
    add_public(public, jwk);
    st = buf_status(public, err);
    return st == ST_OK ? import(s, &row, jwk, err) : st;
}

/* ---- sets ------------------------------------------------------------------------------------ */

static void free_set(struct counted *c)
{
    struct key_set *s = CONTAINER_OF(c, struct key_set, counted);
    for (size_t i = 0; i < s->count; i++)
        (void)cjose_jwk_release(s->keys[i].jwk);
    arena_release(&s->arena);
    mem_free(s);
}

struct load_call {
    struct arena arena; /* holds private keys only as long as they are imported */
    struct signing_key *rows;
    size_t count;
};

static enum st load(struct db_tx *tx, void *ctx, struct err *err)
{
    struct load_call *c = ctx;
    return signing_keys_list(tx, &c->arena, &c->rows, &c->count, err);
}

static enum st fill(struct key_set *s, struct load_call *c, struct err *err)
{
    struct buf public = { .max_bytes = SET_BYTES_MAX };
    size_t count = MIN(c->count, (size_t)KEYS_MAX);
    s->keys = arena_alloc(&s->arena, (count + 1) * sizeof(*s->keys));
    enum st st = s->keys == NULL ? err_no_memory(err) : ST_OK;
    buf_add(&public, STR("{\"keys\":["));
    if (st == ST_OK)
        st = buf_status(&public, err);
    for (size_t i = 0; i < count && st == ST_OK; i++)
        st = add_key(s, c->rows[i], &public, err);
    buf_add(&public, STR("]}"));
    if (st == ST_OK)
        st = buf_status(&public, err);
    if (st == ST_OK) {
        s->public = arena_dup(&s->arena, buf_str(&public));
        st = s->public.ptr == NULL ? err_no_memory(err) : ST_OK;
    }
    buf_release(&public);
    return st;
}

enum st keys_load(struct registry *r, struct key_set **out, struct err *err)
{
    struct load_call c = { .arena = { .limit_bytes = 2 * SET_BYTES_MAX } };
    enum st st = db_read(r->db, load, &c, err);
    struct key_set *s = st == ST_OK ? mem_new(sizeof(*s)) : NULL;
    if (st == ST_OK && s == NULL)
        st = err_no_memory(err);
    if (s != NULL) {
        s->counted.free = free_set;
        atomic_init(&s->counted.refs, 1);
        s->arena.limit_bytes = 2 * SET_BYTES_MAX;
        st = fill(s, &c, err);
        if (st == ST_OK)
            *out = s;
        else
            counted_drop(&s->counted);
    }
    arena_release(&c.arena);
    return st;
}

const struct key *keys_find(const struct key_set *s, str kid)
{
    for (size_t i = 0; i < s->count; i++)
        if (str_eq(s->keys[i].kid, kid))
            return &s->keys[i];
    return NULL;
}

int64_t keys_over(const struct key_set *s, int64_t now, int64_t longest_life_ms)
{
    for (size_t i = 1; i < s->count; i++)
        if (s->keys[i - 1].created_at < now - longest_life_ms - LEEWAY_MS)
            return s->keys[i].created_at + 1;
    return 0;
}
