/* SPDX-License-Identifier: Apache-2.0 */
#include "auth/subject.h"

#include "auth/secret.h"
#include "base/mem.h"

#define ROWS_BYTES_MAX (16 * MIB)
#define FILE_BITS      UINT64_C(0x0000ffffffffffff) /* a claim must stay a small number */

/* ---- what is public -------------------------------------------------------------------------- */

static void free_world(struct counted *c)
{
    struct world *w = CONTAINER_OF(c, struct world, counted);
    arena_release(&w->arena);
    mem_free(w);
}

enum st world_load(struct db_tx *tx, struct world **out, struct err *err)
{
    struct world *w = mem_new(sizeof(*w));
    if (w == NULL)
        return err_no_memory(err);
    atomic_init(&w->counted.refs, 1);
    w->counted.free = free_world;
    w->arena.limit_bytes = ROWS_BYTES_MAX;
    enum st st = visibility_list(tx, &w->arena, &w->visibility, &w->visibility_count, err);
    if (st == ST_OK)
        *out = w;
    else
        counted_drop(&w->counted);
    return st;
}

/* ---- somebody -------------------------------------------------------------------------------- */

void subject_key(str name, uint8_t out[static CACHE_KEY_BYTES])
{
    hash256((const str[]){ STR("name:"), name }, 2, out);
}

static void free_subject(struct counted *c)
{
    struct subject *s = CONTAINER_OF(c, struct subject, counted);
    counted_drop(&s->world->counted);
    arena_release(&s->arena);
    mem_free(s);
}

/* The file is the truth about who is of it: another hash there is another generation, and who is
 * not in it does not log in. */
static enum st take_from_file(struct subject *s, const struct htpasswd_table *table,
                              struct err *err)
{
    uint8_t digest[HASH256_BYTES];
    uint64_t bits;
    str hash = htpasswd_find(table, s->account.name);
    s->account.hash = STR_NONE;
    if (hash.ptr == NULL) {
        s->may_log_in = false;
        return ST_OK;
    }
    secret_hash(hash, digest);
    memcpy(&bits, digest, sizeof(bits));
    s->generation = (int64_t)((uint64_t)s->generation ^ (bits & FILE_BITS));
    s->account.hash = arena_dup(&s->arena, hash);
    return s->account.hash.ptr == NULL ? err_no_memory(err) : ST_OK;
}

static enum st fill_subject(struct db_tx *tx, str name, const struct htpasswd_table *table,
                            struct subject *s, struct err *err)
{
    if (name.len == 0) {
        s->account.name = STR("anonymous");
        s->may_log_in = true;
        return ST_OK;
    }
    enum st st = accounts_find(tx, name, &s->arena, &s->account, err);
    if (st != ST_OK)
        return st;
    s->generation = s->account.generation;
    s->may_log_in = !s->account.disabled;
    atomic_init(&s->used_at, s->account.used_at);
    if (s->account.kind == ACCOUNT_HTPASSWD)
        st = take_from_file(s, table, err);
    if (st == ST_OK)
        st = members_of_account(tx, s->account.id, &s->arena, &s->members, &s->member_count, err);
    return st;
}

enum st subject_load(struct db_tx *tx, str name, const struct htpasswd_table *table,
                     struct world *world, struct subject **out, struct err *err)
{
    struct subject *s = mem_new(sizeof(*s));
    if (s == NULL)
        return err_no_memory(err);
    atomic_init(&s->counted.refs, 1);
    s->counted.free = free_subject;
    s->arena.limit_bytes = ROWS_BYTES_MAX;
    s->world = world;
    counted_take(&world->counted);
    enum st st = fill_subject(tx, name, table, s, err);
    if (st == ST_OK)
        *out = s;
    else
        counted_drop(&s->counted);
    return st;
}

/* ---- tokens ---------------------------------------------------------------------------------- */

static void free_token(struct counted *c)
{
    struct known_token *t = CONTAINER_OF(c, struct known_token, counted);
    arena_release(&t->arena);
    mem_free(t);
}

void known_token_key(int64_t id, uint8_t out[static CACHE_KEY_BYTES])
{
    hash256((const str[]){ STR("token:"), { (const char *)&id, sizeof(id) } }, 2, out);
}

enum st known_token_load(struct db_tx *tx, const uint8_t *hash, int64_t id,
                         struct known_token **out, struct err *err)
{
    struct known_token *t = mem_new(sizeof(*t));
    if (t == NULL)
        return err_no_memory(err);
    atomic_init(&t->counted.refs, 1);
    t->counted.free = free_token;
    enum st st = hash != NULL ? tokens_find(tx, hash, &t->arena, &t->row, err)
                              : tokens_find_id(tx, id, &t->arena, &t->row, err);
    if (st != ST_OK) {
        counted_drop(&t->counted);
        return st;
    }
    bool deploy = t->row.account_id == 0;
    subject_key(deploy ? STR("") : t->row.account, t->subject);
    t->member = (struct access_member){ t->row.prefix, scope_role(t->row.scopes) };
    atomic_init(&t->used_at, t->row.used_at);
    *out = t;
    return ST_OK;
}

/* ---- JWTs ------------------------------------------------------------------------------------ */

static void free_jwt(struct counted *c)
{
    struct known_jwt *j = CONTAINER_OF(c, struct known_jwt, counted);
    arena_release(&j->arena);
    mem_free(j);
}

enum st known_jwt_new(struct known_jwt **out, struct err *err)
{
    struct known_jwt *j = mem_new(sizeof(*j));
    if (j == NULL)
        return err_no_memory(err);
    atomic_init(&j->counted.refs, 1);
    j->counted.free = free_jwt;
    *out = j;
    return ST_OK;
}
