/* SPDX-License-Identifier: Apache-2.0 */
#include "deletion/id_list.h"

void id_list_add(struct id_list *l, const int64_t *ids, size_t count)
{
    if (count > 0)
        buf_add(&l->b, (str){ (const char *)ids, count * sizeof(*ids) });
}

static bool is_last(const struct id_list *l, int64_t id)
{
    size_t len = l->b.len;
    return len >= sizeof(id) && memcmp(l->b.ptr + len - sizeof(id), &id, sizeof(id)) == 0;
}

void id_list_add_new(struct id_list *l, int64_t id)
{
    if (!is_last(l, id))
        id_list_add(l, &id, 1);
}

void id_list_drop_last(struct id_list *l, int64_t id)
{
    if (is_last(l, id))
        l->b.len -= sizeof(id);
}

bool id_list_next(const struct id_list *l, size_t *at, int64_t *id)
{
    if (*at == l->b.len)
        return false;
    memcpy(id, l->b.ptr + *at, sizeof(*id));
    *at += sizeof(*id);
    return true;
}

void id_list_release(struct id_list *l)
{
    buf_release(&l->b);
}
