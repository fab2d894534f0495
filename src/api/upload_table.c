/* SPDX-License-Identifier: Apache-2.0 */
#include "api/upload_table.h"

#include "base/mem.h"

void upload_table_init(struct upload_table *t)
{
    *t = (struct upload_table){ 0 };
    lock_init(&t->lock, LOCK_UPLOAD);
}

static void upload_free(struct upload *u)
{
    buf_release(&u->data);
    mem_free(u->repo);
    mem_free(u->actor);
    digest_hash_free(u->hash);
    mem_free(u);
}

void upload_table_release(struct upload_table *t)
{
    for (size_t i = 0; i < ARRAY_LEN(t->buckets); i++) {
        while (t->buckets[i] != NULL) {
            struct upload *u = t->buckets[i];
            t->buckets[i] = u->next;
            upload_free(u);
        }
    }
    lock_release(&t->lock);
}

/* Ids are random: their first characters spread well. */
static struct upload **bucket_of(struct upload_table *t, str id)
{
    size_t hash = 0;
    for (size_t i = 0; i < MIN(id.len, (size_t)8); i++)
        hash = hash * 31 + (unsigned char)id.ptr[i];
    return &t->buckets[hash % ARRAY_LEN(t->buckets)];
}

static void unlink_from_rest(struct upload_table *t, struct upload *u)
{
    *(u->older != NULL ? &u->older->newer : &t->oldest) = u->newer;
    *(u->newer != NULL ? &u->newer->older : &t->newest) = u->older;
    u->older = u->newer = NULL;
    t->at_rest--;
}

static void link_to_rest(struct upload_table *t, struct upload *u)
{
    u->older = t->newest;
    u->newer = NULL;
    *(t->newest != NULL ? &t->newest->newer : &t->oldest) = u;
    t->newest = u;
    t->at_rest++;
}

static void forget(struct upload_table *t, struct upload *u)
{
    struct upload **at = bucket_of(t, str_of(u->id));
    while (*at != u)
        at = &(*at)->next;
    *at = u->next;
    upload_free(u);
}

static struct upload *add(struct upload_table *t, str id)
{
    struct upload *u = mem_new(sizeof(*u));
    if (u == NULL)
        return NULL;
    if (!str_copy(id, u->id, sizeof(u->id))) {
        mem_free(u);
        return NULL;
    }
    struct upload **at = bucket_of(t, id);
    u->next = *at;
    *at = u;
    return u;
}

enum st upload_table_take(struct upload_table *t, str id, struct upload **out, struct err *err)
{
    LOCK_SCOPE(&t->lock);
    struct upload *u = *bucket_of(t, id);
    while (u != NULL && !str_eq(str_of(u->id), id))
        u = u->next;
    if (u != NULL && u->taken)
        return err_set(err, ST_BUSY, "another request is writing to this upload");
    if (u != NULL)
        unlink_from_rest(t, u);
    else
        u = add(t, id);
    if (u == NULL)
        return err_no_memory(err);
    u->taken = true;
    *out = u;
    return ST_OK;
}

void upload_table_give(struct upload_table *t, struct upload *u)
{
    LOCK_SCOPE(&t->lock);
    assert(u->taken);
    u->taken = false;
    if (!u->known) {
        forget(t, u);
        return;
    }
    link_to_rest(t, u);
    if (t->at_rest > UPLOADS_AT_REST_MAX) {
        struct upload *oldest = t->oldest;
        unlink_from_rest(t, oldest);
        forget(t, oldest);
    }
}

void upload_table_drop(struct upload_table *t, struct upload *u)
{
    LOCK_SCOPE(&t->lock);
    assert(u->taken);
    forget(t, u);
}
